// Ids or keys in memory: 128-bit hash -> value, in shards with a mutex each.
//
// A shard is an open-addressing table whose slots stand in the order of the hashes (slot = hash *
// capacity), so that a sorted run goes in and out as one sweep over memory. When the space outgrows
// its share, a shard keeps only what is in flight, and filters (of ids per bucket, of keys per run)
// say whether a sorted run on disk is worth reading.
#ifndef MORAINE_STATE_KEY_SPACE_H
#define MORAINE_STATE_KEY_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "key_filter.h"
#include "moraine/base/hash.h"
#include "moraine/base/memory.h"

// Few enough that a chunk of some hundred keys has several for each shard (their cache misses
// overlap), and that a shard is large enough for huge pages; enough that lanes seldom meet.
#define KEY_SHARD_BITS 4
#define KEY_SHARDS     (1u << KEY_SHARD_BITS)
#define KEY_NOWHERE    UINT64_MAX // value of a slot whose entry is gone

// Value of an id: time bucket and the run that put it in, 0 = it is in the table.
#define ID_VALUE(bucket_, owner_) ((uint64_t)(bucket_) << 32 | (owner_))
#define ID_BUCKET(value_)         ((uint32_t)((value_) >> 32))
#define ID_OWNER(value_)          ((uint32_t)(value_))

// Value of a key: a location, or the grave of a deleted key with the table's watermark at its
// death.
#define GRAVE_BIT          (UINT64_C(1) << 63)
#define GRAVE_FOR_EVER     (GRAVE_BIT - 2) // a death before the table had a watermark
#define GRAVE_OF(died_ms_) (GRAVE_BIT | (died_ms_))
#define GRAVE_DIED(value_) ((value_) & ~GRAVE_BIT)

struct key_slot {
    uint64_t high, low; // both 0 = empty
    uint64_t value;
    uint64_t ordering[]; // one, of a key; none, of an id
};

struct key_shard {
    _Alignas(64) pthread_mutex_t mutex; // everything below
    uint64_t *slots;                    // key_slot_at
    size_t slot_words;
    size_t capacity;
    size_t used; // slots that are not empty, entries that are gone included
    bool filtered;
    struct key_filter *filters; // of ids, one per bucket; keys have one per sorted run
    size_t filter_count;
};

struct key_space {
    struct key_shard shards[KEY_SHARDS];
    bool has_buckets; // values are of ids; otherwise of keys
    // Ids on disk in buckets before `horizon` are outside of the window: new rows do not see them.
    // They stay until two commits later (`purge_horizon`), because rows that are in flight were
    // judged by them. For keys both are one number: graves of deaths before it are expired.
    _Atomic uint64_t horizon, purge_horizon;
    atomic_size_t bytes; // memory of slots and filters
    struct mor_budget *budget;
};

void mor_key_space_init(struct key_space *space, bool has_buckets, struct mor_budget *budget);
void mor_key_space_done(struct key_space *space);
// Forgets everything; back to tables. Any thread.
void mor_key_space_clear(struct key_space *space);

// Memory of the tables for this many entries, after they have grown.
size_t mor_key_space_bytes(const struct key_space *space, size_t entries);

// The hash (0, 0) marks an empty slot.
static inline struct mor_hash128 key_normalise(struct mor_hash128 hash)
{
    if (__builtin_expect((hash.low | hash.high) == 0, 0))
        hash.low = 1;
    return hash;
}

static inline size_t key_shard_of(struct mor_hash128 hash)
{
    return hash.high >> (64 - KEY_SHARD_BITS);
}

static inline struct key_shard *key_shard_at(struct key_space *space, struct mor_hash128 hash)
{
    return &space->shards[key_shard_of(hash)];
}

static inline size_t key_position(const struct key_shard *shard, struct mor_hash128 hash)
{
    uint64_t part = (uint32_t)(hash.high >> (32 - KEY_SHARD_BITS));
    return (size_t)((part * shard->capacity) >> 32);
}

static inline struct key_slot *key_slot_at(const struct key_shard *shard, size_t at)
{
    return (struct key_slot *)(shard->slots + at * shard->slot_words);
}

static inline bool key_slot_is_empty(const struct key_slot *slot)
{
    return (slot->high | slot->low) == 0;
}

static inline struct mor_hash128 key_slot_hash(const struct key_slot *slot)
{
    return (struct mor_hash128){.low = slot->low, .high = slot->high};
}

static inline bool key_is_before(const struct key_space *space, uint64_t value, uint64_t horizon)
{
    if (value == KEY_NOWHERE)
        return true;
    return space->has_buckets ? ID_OWNER(value) == 0 && ID_BUCKET(value) < horizon
                              : (value & GRAVE_BIT) != 0 && GRAVE_DIED(value) < horizon;
}
// For a new row the entry does not count.
static inline bool key_is_gone(const struct key_space *space, uint64_t value)
{
    return key_is_before(space, value, atomic_load_explicit(&space->horizon, memory_order_relaxed));
}
// The slot may be given to another entry.
static inline bool key_is_purged(const struct key_space *space, uint64_t value)
{
    return key_is_before(space, value,
                         atomic_load_explicit(&space->purge_horizon, memory_order_relaxed));
}

// ---- with the shard's mutex held ----------------------------------------------------------------

// Brings what a question about the hash will read into the cache.
static inline void key_prefetch(const struct key_shard *shard, struct mor_hash128 hash)
{
    __builtin_prefetch(key_slot_at(shard, key_position(shard, hash)), 1);
    for (size_t i = 0; i < shard->filter_count; i++)
        mor_key_filter_prefetch(&shard->filters[i], hash.low);
}
// A walk over sorted hashes meets the slots in their order, but of a large table only one in many:
// it asks for the one that comes so many steps later.
#define KEY_PREFETCH_AHEAD 16
// Makes room for `more` entries; slots may move.
void mor_key_shard_reserve(struct key_space *space, struct key_shard *shard, size_t more);
// The slot of the hash, or NULL; its entry may be gone.
struct key_slot *mor_key_shard_find(struct key_shard *shard, struct mor_hash128 hash);
// The slot of the hash, made when absent (value KEY_NOWHERE); room must have been reserved.
struct key_slot *mor_key_shard_put(struct key_shard *shard, struct mor_hash128 hash);
// Adds to the filter of the bucket, for an entry that is on disk.
void mor_key_shard_filter_add(struct key_space *space, struct key_shard *shard, uint32_t bucket,
                              struct mor_hash128 hash, size_t expected_more);
// Entries on disk leave the table, ids for the filters; entries in flight stay.
void mor_key_shard_to_filters(struct key_space *space, struct key_shard *shard);
// Drops the filters of buckets that are purged.
void mor_key_shard_forget_old(struct key_space *space, struct key_shard *shard);

// Calls found(context, bucket) for every bucket whose filter may hold the hash.
void mor_key_shard_ask_filters(const struct key_shard *shard, struct mor_hash128 hash,
                               void (*found)(void *context, uint32_t bucket), void *context);

// ---- groups of keys -----------------------------------------------------------------------------

// order[] = indices of the hashes by shard, stable; starts[s] .. starts[s + 1) is shard s.
void mor_key_group(const struct mor_hash128 *hashes, size_t count, uint32_t *order,
                   uint32_t starts[KEY_SHARDS + 1]);

#endif
