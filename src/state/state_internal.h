// What the files of this module share.
//
// Locks, never two at once but for write_mutex, under which readers or mutex may be taken:
//   shard mutexes          slots and filters of a shard
//   env.write_mutex        one write transaction; sums and next sequence
//   env.readers            (read) the list of sorted runs, their filters and the map; (write)
//                          changing them
//   mutex                  names, demotions, wishes to the merger and its trouble
//   merge_mutex            one merge at a time; outermost
// Mark and batches belong to the committer.
#ifndef MORAINE_STATE_INTERNAL_H
#define MORAINE_STATE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "key_sort.h"
#include "key_space.h"
#include "moraine/base/map.h"
#include "moraine/state.h"
#include "sorted_run.h"
#include "state_env.h"

#define OWNER_NONE       0 // the entry is on disk
#define BUCKETS          16
#define BUCKET_MS_MIN    1000
#define BUCKET_LAST      (UINT32_MAX - 1) // for times past all counting: never dropped
#define TEXT_BYTES_MAX   1000
#define OPAQUE_BYTES_MAX ((size_t)4 << 20)

struct mor_dedup_run {
    uint32_t number;
    // value = ID_VALUE(bucket, row)
    struct key_change *fresh; // judged NEW
    size_t fresh_count, fresh_capacity;
    struct key_change *doubtful; // judged IN_FLIGHT
    size_t doubtful_count, doubtful_capacity;
    struct mor_budget *budget; // counts the capacities
};

// The row of `run` with this id is not its first any more.
struct demotion {
    uint32_t run;
    struct mor_hash128 hash;
};

// Changes of the key index that wait for their sorted run.
struct index_changes {
    struct key_change *keys; // values are indices into `entries`
    struct mor_state_entry *entries;
    size_t count, capacity;
};

struct mor_state_batch {
    struct mor_dedup_run **runs; // taken, without NULLs
    size_t *run_indices;         // place of each in the caller's array
    size_t run_count;
    uint32_t *numbers; // of the runs, sorted
    struct mor_dedup_correction *corrections;
    size_t correction_count, correction_capacity;
    struct index_changes index;
};

struct run_list {
    struct sorted_run *runs; // sorted by kind, bucket, order
    size_t count;
};

// What must agree with what is on disk, in the record 'D'.
struct state_sums {
    uint64_t next_sequence;
    uint64_t run_count, run_sum;   // of the records' checksums
    uint64_t name_count, name_sum; // of the values' checksums
    uint64_t mark_checksum;        // 0 = no mark
};

struct mor_state {
    char *folder;      // of LOCK
    char *data_folder; // of the environment
    char *table;
    char *dedup_by;
    int64_t window_ms, bucket_ms; // 0 = no dedup
    bool has_index;
    int64_t grave_ms;     // 0 = for ever
    uint64_t salt_wanted; // 0 = any
    size_t share_bytes, map_size_bytes_first;
    struct mor_budget *budget;
    int lock_fd;
    struct mor_state_env env;
    uint64_t salt;
    struct key_space ids, keys;
    uint64_t horizon_before; // horizon of the ids before the last apply
    struct run_list runs;
    struct state_sums sums;

    bool has_mark;
    struct mor_state_mark mark; // points into mark_bytes
    struct mor_buffer mark_bytes;
    struct key_change *loading_ids; // wait for their sorted run
    size_t loading_id_count;
    struct index_changes loading_keys;
    int64_t loading_watermark_ms;
    bool loading_watched;
    struct mor_state_twice loading_twice;

    atomic_uint last_number; // of runs
    pthread_mutex_t mutex;
    struct mor_map names; // entry i has number i
    struct demotion *demotions;
    size_t demotion_count, demotion_capacity;

    pthread_t merger;
    bool merger_runs;
    bool merger_stops, merger_wanted;
    pthread_cond_t merger_wake;
    pthread_mutex_t merge_mutex; // one merge at a time
    pthread_mutex_t reset_mutex; // held while the data are replaced, and taken before any other
    char trouble[256];
};

// ---- state_disk.c -------------------------------------------------------------------------------

// Entries of one new sorted run, packed.
struct packed_run {
    uint8_t kind;
    uint32_t entry_size, bucket;
    struct mor_buffer entries;
};

// Everything that one transaction can change; zero = leaves it as it is.
struct state_change {
    struct packed_run *runs;
    size_t run_count;
    const struct mor_state_mark *mark;
    uint64_t drop_before; // sorted runs of ids in buckets before this one
};
// One durable transaction; names that are new go with it. Takes effect on memory (mark,
// list of runs) once it is durable.
enum mor_status mor_state_disk_write(struct mor_state *state, const struct state_change *change,
                                     struct mor_error *err) MOR_CHECKED;
// Reads and checks everything small and the list of sorted runs. DATA when it cannot be used: the
// message says why. A new environment gets its head.
enum mor_status mor_state_disk_open(struct mor_state *state, struct mor_error *err) MOR_CHECKED;
// Forgets what mor_state_disk_open read.
void mor_state_disk_close(struct mor_state *state);
int mor_state_put_sums(const struct state_sums *sums, MDB_txn *txn, MDB_dbi dbi);
void mor_run_list_add(struct run_list *list, const struct sorted_run *run);
void mor_run_list_remove(struct mor_state *state, size_t index);

// ---- state_load.c -------------------------------------------------------------------------------

// Entries [start, end) of a sorted run of keys, all of one shard, go into its table, if it has one.
void mor_state_take_in_keys(struct mor_state *state, struct key_shard *shard,
                            const uint8_t *entries, size_t start, size_t end);
// Reads every sorted run into memory, with all checks.
enum mor_status mor_state_load_runs(struct mor_state *state, struct mor_error *err) MOR_CHECKED;

void mor_state_loading_free(struct mor_state *state);

// ---- state_batch.c ------------------------------------------------------------------------------

// Packs changes into sorted runs: ids, which are sorted, one per bucket; keys, which it sorts, in
// one, graves dug at the watermark. Adds to runs; the caller frees.
void mor_state_pack_ids(const struct key_change *sorted, size_t count, struct packed_run **runs,
                        size_t *run_count);
void mor_state_pack_keys(struct index_changes *changes, int64_t watermark_ms,
                         struct packed_run **runs, size_t *run_count);
void mor_state_packed_free(struct packed_run *runs, size_t count);
// What is on disk now goes into tables or filters. `sorted`: values of ids as they are in the
// slots.
void mor_state_settle_ids(struct mor_state *state, const struct key_change *sorted, size_t count);
void mor_state_settle_keys(struct mor_state *state, const struct packed_run *runs,
                           size_t run_count);
void mor_index_changes_add(struct index_changes *changes, const struct mor_hash128 *keys,
                           const struct mor_state_entry *entries, size_t count);
void mor_index_changes_done(struct index_changes *changes);
// End of the changes from `start` on that belong to the shard of the first.
size_t mor_key_shard_end(const struct key_change *sorted, size_t start, size_t count);
// After an apply: moves the horizons on; of the ids, the purge two commits behind.
void mor_state_advance(struct mor_state *state, int64_t watermark_ms);
void mor_state_expire_graves(struct mor_state *state, int64_t watermark_ms);
// The row with this id in run `number` is not the first any more.
void mor_state_demote(struct mor_state *state, uint32_t number, struct mor_hash128 hash);
// FATAL when the mark is too large.
enum mor_status mor_state_mark_check(const struct mor_state_mark *mark,
                                     struct mor_error *err) MOR_CHECKED;
// Filters take over where tables have outgrown their share.
void mor_state_keep_share(struct mor_state *state);

// ---- state_lookup.c -----------------------------------------------------------------------------

// Looks for an id in the sorted runs of a bucket. OK, or an error.
enum mor_status mor_state_find_id(struct mor_state *state, MDB_txn *txn, struct mor_hash128 hash,
                                  uint32_t bucket, bool *ret_found,
                                  struct mor_error *err) MOR_CHECKED;

// ---- state_dedup.c ------------------------------------------------------------------------------

uint32_t mor_state_bucket(const struct mor_state *state, int64_t event_time_ms);
// Horizon for a watermark: buckets before it are outside of the window.
uint64_t mor_state_horizon(const struct mor_state *state, int64_t watermark_ms);
// Horizon of the keys: graves of deaths before it are expired.
uint64_t mor_state_grave_horizon(const struct mor_state *state, int64_t watermark_ms);
// Sets all horizons, when nothing is in flight.
void mor_state_set_horizon(struct mor_state *state, int64_t watermark_ms);
void mor_dedup_run_free(struct mor_dedup_run *run);

// ---- state_merge.c ------------------------------------------------------------------------------

enum mor_status mor_state_merger_start(struct mor_state *state, struct mor_error *err) MOR_CHECKED;
void mor_state_merger_stop(struct mor_state *state);
void mor_state_merger_want(struct mor_state *state);

#endif
