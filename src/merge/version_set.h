// Keys of rows with the version that each had, to tell which rows of another snapshot are new,
// changed or gone. Keys are known by 128 bits of hash.
//
// A set covers a range of key hashes. When it would take more than its limit, the range shrinks and
// the rest of the keys is left to another set.
#ifndef MORAINE_MERGE_VERSION_SET_H
#define MORAINE_MERGE_VERSION_SET_H

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"

struct version_entry {
    struct mor_hash128 key;
    uint64_t version;
    bool used, seen;
};

struct version_set {
    uint64_t from, last; // hashes (high half) that the set covers
    struct version_entry *entries;
    size_t count, capacity; // capacity is a power of two, at least twice the count
    size_t seen_count;
    size_t bytes_max;
    struct mor_budget *budget; // may be NULL
};

// Covers all hashes from `from` on.
void version_set_init(struct version_set *set, uint64_t from, size_t bytes_max,
                      struct mor_budget *budget);
void version_set_done(struct version_set *set);
bool version_set_covers(const struct version_set *set, struct mor_hash128 key);
// Adds the key when the set covers it, and returns whether it did; a key that is there keeps its
// first version.
bool version_set_add(struct version_set *set, struct mor_hash128 key, uint64_t version);
// NULL when the key is not there.
struct version_entry *version_set_find(const struct version_set *set, struct mor_hash128 key);
// Notes that the key is there still.
void version_set_see(struct version_set *set, struct version_entry *entry);

#endif
