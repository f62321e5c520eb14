// Hash map from byte keys to a pointer-sized value; keys are copied. For control data (partitions,
// file groups, schema ids), not for the hot path. One thread at a time.
#ifndef MORAINE_BASE_MAP_H
#define MORAINE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mor_map_entry {
    char *key; // zero-terminated copy, length key_size
    size_t key_size;
    uint64_t hash;
    union {
        void *pointer;
        int64_t number;
    } value;
};

// Zero-initialised is a valid empty map. Entries keep insertion order: entries[0..count).
struct mor_map {
    struct mor_map_entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *slots; // index + 1 into entries, 0 = free
    size_t slot_count;
};

void mor_map_done(struct mor_map *map); // does not free the values
// NULL when absent. The pointer is valid until the next insertion.
struct mor_map_entry *mor_map_find(const struct mor_map *map, const void *key, size_t key_size);
struct mor_map_entry *mor_map_find_text(const struct mor_map *map, const char *key);
// Finds or adds (value zeroed); *ret_added tells which, may be NULL.
struct mor_map_entry *mor_map_put(struct mor_map *map, const void *key, size_t key_size,
                                  bool *ret_added);
struct mor_map_entry *mor_map_put_text(struct mor_map *map, const char *key, bool *ret_added);

#endif
