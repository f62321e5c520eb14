#include "moraine/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"

void mor_map_done(struct mor_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        free(map->entries[i].key);
    free(map->entries);
    free(map->slots);
    *map = (struct mor_map){0};
}

// The slot of the key, or the free slot where it belongs. The table is never more than half full.
static size_t find_slot(const struct mor_map *map, const void *key, size_t key_size, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
        uint32_t index = map->slots[slot];
        if (index == 0)
            return slot;
        const struct mor_map_entry *entry = &map->entries[index - 1];
        if (entry->hash == hash && entry->key_size == key_size &&
            memcmp(entry->key, key, key_size) == 0)
            return slot;
    }
}

struct mor_map_entry *mor_map_find(const struct mor_map *map, const void *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;
    uint32_t index = map->slots[find_slot(map, key, key_size, mor_hash64(key, key_size))];
    return index == 0 ? NULL : &map->entries[index - 1];
}

struct mor_map_entry *mor_map_find_text(const struct mor_map *map, const char *key)
{
    return mor_map_find(map, key, strlen(key));
}

static void rehash(struct mor_map *map)
{
    map->slot_count = map->slot_count > 0 ? map->slot_count * 2 : 16;
    free(map->slots);
    map->slots = mor_calloc(map->slot_count, sizeof *map->slots);
    size_t mask = map->slot_count - 1;
    for (size_t i = 0; i < map->count; i++) {
        size_t slot = map->entries[i].hash & mask;
        while (map->slots[slot] != 0)
            slot = (slot + 1) & mask;
        map->slots[slot] = (uint32_t)i + 1;
    }
}

struct mor_map_entry *mor_map_put(struct mor_map *map, const void *key, size_t key_size,
                                  bool *ret_added)
{
    if ((map->count + 1) * 2 > map->slot_count)
        rehash(map);
    uint64_t hash = mor_hash64(key, key_size);
    size_t slot = find_slot(map, key, key_size, hash);
    if (ret_added != NULL)
        *ret_added = map->slots[slot] == 0;
    if (map->slots[slot] != 0)
        return &map->entries[map->slots[slot] - 1];
    if (map->count == map->capacity) {
        map->capacity = map->capacity > 0 ? map->capacity * 2 : 16;
        map->entries = mor_realloc(map->entries, map->capacity * sizeof *map->entries);
    }
    struct mor_map_entry *entry = &map->entries[map->count++];
    *entry = (struct mor_map_entry){
        .key = mor_strndup(key, key_size), .key_size = key_size, .hash = hash};
    map->slots[slot] = (uint32_t)map->count;
    return entry;
}

struct mor_map_entry *mor_map_put_text(struct mor_map *map, const char *key, bool *ret_added)
{
    return mor_map_put(map, key, strlen(key), ret_added);
}
