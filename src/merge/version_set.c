#include "version_set.h"

#include <string.h>

#define CAPACITY_MIN 4096

void version_set_init(struct version_set *set, uint64_t from, size_t bytes_max,
                      struct mor_budget *budget)
{
    *set = (struct version_set){.from = from,
                                .last = UINT64_MAX,
                                .capacity = CAPACITY_MIN,
                                .bytes_max = bytes_max,
                                .budget = budget};
    mor_budget_take(budget, CAPACITY_MIN * sizeof *set->entries);
    set->entries = mor_calloc(CAPACITY_MIN, sizeof *set->entries);
}

void version_set_done(struct version_set *set)
{
    mor_budget_give(set->budget, set->capacity * sizeof *set->entries);
    free(set->entries);
    *set = (struct version_set){0};
}

bool version_set_covers(const struct version_set *set, struct mor_hash128 key)
{
    return key.high >= set->from && key.high <= set->last;
}

// The key's entry, or the free one where it belongs.
static struct version_entry *place_of(struct version_entry *entries, size_t capacity,
                                      struct mor_hash128 key)
{
    size_t slot = key.low & (capacity - 1);
    while (entries[slot].used &&
           (entries[slot].key.low != key.low || entries[slot].key.high != key.high))
        slot = (slot + 1) & (capacity - 1);
    return &entries[slot];
}

// Moves what is covered to a table of the given capacity.
static void rebuild(struct version_set *set, size_t capacity)
{
    struct version_entry *entries = mor_calloc(capacity, sizeof *entries);
    size_t kept = 0;
    for (size_t i = 0; i < set->capacity; i++) {
        const struct version_entry *entry = &set->entries[i];
        if (!entry->used || !version_set_covers(set, entry->key))
            continue;
        *place_of(entries, capacity, entry->key) = *entry;
        kept++;
    }
    mor_budget_take(set->budget, capacity * sizeof *entries);
    mor_budget_give(set->budget, set->capacity * sizeof *entries);
    free(set->entries);
    set->entries = entries;
    set->capacity = capacity;
    set->count = kept;
}

// Makes room for one more key: with more memory, or with half of the range of hashes.
static void make_room(struct version_set *set)
{
    if (2 * set->capacity * sizeof *set->entries <= set->bytes_max) {
        rebuild(set, 2 * set->capacity);
        return;
    }
    while ((set->count + 1) * 2 > set->capacity && set->last > set->from) {
        set->last = set->from + (set->last - set->from) / 2;
        rebuild(set, set->capacity);
    }
    if ((set->count + 1) * 2 > set->capacity) // as many keys of one hash: never of honest data
        rebuild(set, 2 * set->capacity);
}

bool version_set_add(struct version_set *set, struct mor_hash128 key, uint64_t version)
{
    if (!version_set_covers(set, key))
        return false;
    if ((set->count + 1) * 2 > set->capacity) {
        make_room(set);
        if (!version_set_covers(set, key))
            return false;
    }
    struct version_entry *entry = place_of(set->entries, set->capacity, key);
    if (entry->used)
        return false;
    *entry = (struct version_entry){.key = key, .version = version, .used = true};
    set->count++;
    return true;
}

struct version_entry *version_set_find(const struct version_set *set, struct mor_hash128 key)
{
    struct version_entry *entry = place_of(set->entries, set->capacity, key);
    return entry->used ? entry : NULL;
}

void version_set_see(struct version_set *set, struct version_entry *entry)
{
    set->seen_count += !entry->seen;
    entry->seen = true;
}
