// Sorted runs: how ids and keys stand in LMDB. Every commit adds one run per time bucket of ids and
// one of keys; merging keeps their number small.
//
// Integers in keys are big-endian (LMDB sorts bytes), in values little-endian.
//
//   key                                                     value
//   'C' kind u8, bucket u32, sequence u64, chunk u32        chunk: 0 u64 checksum | 8 u32 entries |
//                                                           12 u32 0 | 16 entries, sorted by hash
//   'S' kind u8, bucket u32, sequence u64                   record: 0 u64 checksum | 8 u64 order |
//                                                           16 u64 entries | 24 u32 chunks |
//                                                           28 u32 entry size | 32 u64 digest
//
//   kind 'D' ids: entries of 16 bytes (u64 high, u64 low), or, in runs of several buckets, of 24
//   (u64 high, u64 low, u64 bucket); the key then names the newest bucket
//   kind 'K' keys: entries of 32 bytes (u64 high, u64 low, u64 value, u64 ordering); the value is a
//   location, a grave (key_space.h) or all ones: removed without a trace
//
// A checksum covers its key and everything behind itself; the digest covers the checksums of the
// chunks in their order. Chunks without a record are of a merge that did not finish.
#ifndef MORAINE_STATE_SORTED_RUN_H
#define MORAINE_STATE_SORTED_RUN_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "key_filter.h"
#include "moraine/base/hash.h"

#define RUN_OF_IDS  'D'
#define RUN_OF_KEYS 'K'

#define ID_ENTRY_SIZE     16
#define BUCKET_ENTRY_SIZE 24 // of ids
#define KEY_ENTRY_SIZE    32
// A chunk fills 1 MiB with LMDB's page header: large enough that a key costs next to nothing in the
// tree, small enough that freed pages are found again in one piece.
#define RUN_CHUNK_BYTES    ((1u << 20) - 16)
#define RUN_CHUNK_HEADER   16
#define RUN_KEY_SIZE       14
#define RUN_CHUNK_KEY_SIZE 18
#define RUN_RECORD_SIZE    40

struct sorted_run {
    uint8_t kind;
    uint32_t entry_size;
    uint32_t bucket;
    uint64_t sequence; // its name
    uint64_t order;    // its age: entries of a later run win
    uint64_t entry_count;
    uint32_t chunk_count;
    uint64_t digest;
    uint64_t record_hash;       // of key and record, for the sum over all runs
    struct mor_hash128 *fences; // first hash of each chunk
    struct key_filter *filter;  // of its hashes; NULL: any may be in it
};

// One entry out of a chunk; what its size has no room for is 0.
struct run_entry {
    struct mor_hash128 hash;
    uint64_t value, ordering;
};
struct run_entry mor_run_entry_at(const uint8_t *entries, uint32_t entry_size, size_t index);
void mor_run_entry_put(uint8_t *to, uint32_t entry_size, const struct run_entry *entry);
static inline int mor_run_compare(struct mor_hash128 a, struct mor_hash128 b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

// What a run's filter is asked with: its leading bits choose the block, so a sorted run goes in as
// one sweep over memory.
static inline uint64_t mor_run_filter_hash(struct mor_hash128 hash)
{
    return (hash.high & ~UINT64_C(0xffffffff)) | (hash.low & UINT64_C(0xffffffff));
}

static inline size_t mor_run_chunk_entries_max(uint32_t entry_size)
{
    return (RUN_CHUNK_BYTES - RUN_CHUNK_HEADER) / entry_size;
}

// Frees fences and filter; returns the bytes of the filter.
size_t mor_sorted_run_done(struct sorted_run *run);

// All of these return LMDB codes; MDB_CORRUPTED = not what was written.

// Writes the next chunk of a run that started as {kind, entry_size, bucket, sequence, order}.
int mor_sorted_run_add_chunk(struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi,
                             const uint8_t *entries, size_t count);
// Writes the record; the run exists from the commit of this transaction on.
int mor_sorted_run_add_record(struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi);
int mor_sorted_run_delete(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi);

// Reads a record from a cursor's key and value.
int mor_sorted_run_parse(const MDB_val *key, const MDB_val *value, struct sorted_run *ret_run);
// Key of a chunk, in `buffer`.
MDB_val mor_sorted_run_chunk_key(const struct sorted_run *run, uint32_t chunk,
                                 uint8_t buffer[RUN_CHUNK_KEY_SIZE]);
// Finds a chunk: its entries stay valid as long as the transaction. `verify`: checks the checksum
// and returns it.
int mor_sorted_run_chunk(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi, uint32_t chunk,
                         bool verify, const uint8_t **ret_entries, size_t *ret_count,
                         uint64_t *ret_checksum);
// Looks for `count` hashes, at most RUN_SEARCHES, at once, so that their cache misses overlap:
// which were found, and the entries of those.
#define RUN_SEARCHES 16
int mor_sorted_run_find(const struct sorted_run *run, MDB_txn *txn, MDB_dbi dbi,
                        const struct mor_hash128 *hashes, size_t count, bool *ret_found,
                        struct run_entry *ret_entries);
uint64_t mor_run_digest_add(uint64_t digest, uint64_t chunk_checksum);

// Checksum of a value whose first 8 bytes are the checksum itself.
uint64_t mor_run_checksum(const MDB_val *key, const uint8_t *value, size_t size);

#endif
