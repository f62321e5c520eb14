// Finds keys that occur more than once among any number of them: 96 bits of each key's hash and the
// place it was seen in, 16 bytes together, spread over 64 parts by the hash. A part that grows
// beyond its share of memory goes to a file, and in the end is sorted by itself.
#ifndef MORAINE_VERIFY_KEYS_H
#define MORAINE_VERIFY_KEYS_H

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"

#define VERIFY_KEY_PARTS 64

struct mor_verify_key {
    uint64_t high;
    uint32_t low;   // with `high`: of the hash
    uint32_t place; // the caller's
};

struct mor_verify_keys {
    struct mor_buffer parts[VERIFY_KEY_PARTS]; // of mor_verify_key
    int files[VERIFY_KEY_PARTS];               // nameless, -1 = none
    int64_t file_bytes[VERIFY_KEY_PARTS];
    size_t part_bytes_max;
    const char *folder; // borrowed
};

// `bytes_max`: of all parts in memory. Nothing is put into `folder` before it is reached.
void mor_verify_keys_init(struct mor_verify_keys *keys, const char *folder, size_t bytes_max,
                          struct mor_budget *budget);
void mor_verify_keys_done(struct mor_verify_keys *keys);
// RETRY: the folder's disk.
enum mor_status mor_verify_keys_add(struct mor_verify_keys *keys, struct mor_hash128 hash,
                                    uint32_t place, struct mor_error *err) MOR_CHECKED;
static inline struct mor_verify_key mor_verify_key_of(struct mor_hash128 hash, uint32_t place)
{
    return (struct mor_verify_key){hash.high, (uint32_t)hash.low, place};
}
// Calls `visit` once for every hash that was added more than once, with all places of it.
enum mor_status mor_verify_keys_doubles(struct mor_verify_keys *keys,
                                        void (*visit)(void *context,
                                                      const struct mor_verify_key *same,
                                                      size_t count),
                                        void *context, struct mor_error *err) MOR_CHECKED;

#endif
