// Local state of one topic: which ids were seen inside the dedup window, where the row of a key is,
// and how far the table has been taken in. A cache of the table: it may lag the table, never lead
// it, and can be deleted at any time.
//
// A lane asks about the ids of a chunk with mor_state_dedup and gets a *run*: what that chunk put
// in. The committer hands the runs of a commit to mor_state_batch_begin, corrects the few verdicts
// that come back, writes its table commit, and then either applies the batch (one durable
// transaction) or drops it (its ids are forgotten). Runs that the commit leaves out are forgotten
// at the same moment. So every verdict "duplicate" that reaches the table rests on a row that is in
// the table before, or comes with the same commit. The argument is in src/state/README.md.
//
// Errors of every call: RETRY = the disk is full or refuses, the same call may succeed later (pause
// the topic and try again); DATA = the state on disk is damaged: mor_state_reset, then load it from
// the table; FATAL = an operator must act.
#ifndef MORAINE_STATE_H
#define MORAINE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/base/uuid.h"

struct mor_state;

// ---- open ---------------------------------------------------------------------------------------

struct mor_state_options {
    const char *folder;          // of this topic; made when absent; on a local disk
    const char *table;           // identity of the table (uuid, location); up to 1000 bytes
    const char *dedup_by;        // what ids are made of ("event_id,source"); "" or NULL = no dedup
    int64_t dedup_window_ms;     // > 0 with dedup_by
    bool index;                  // keep the key index
    int64_t grave_ms;            // how long orderings of deleted keys are kept; 0 = for ever
    uint64_t salt;               // of the hashes; 0 = a random one, kept with the state
    struct mor_budget *budget;   // borrowed, counts memory; may be NULL
    size_t share_bytes;          // memory for ids and keys before filters take over; 0 = no limit
    size_t map_size_bytes_first; // 0 = default; the map grows by itself
    bool merge_by_hand;          // no thread of its own: the caller calls mor_state_merge
};

enum mor_state_condition {
    MOR_STATE_USABLE,    // as of mor_state_mark_of(): catch up from there
    MOR_STATE_FRESH,     // empty: load everything
    MOR_STATE_SET_ASIDE, // what was there is unusable and was renamed; empty now: load everything
};

struct mor_state_outcome {
    enum mor_state_condition condition;
    char reason[512]; // in words, why it was set aside; "" otherwise
};

// Opens or makes the state. Damage, another format version, another table, salt or other dedup
// fields never fail: the data is renamed to data.bad-<time> (the newest two are kept) and the state
// starts empty. RETRY when another process has it open or the disk is full; FATAL on a network
// file system.
enum mor_status mor_state_open(const struct mor_state_options *options,
                               struct mor_state **ret_state, struct mor_state_outcome *ret_outcome,
                               struct mor_error *err) MOR_CHECKED;
// No batch may be open; runs that are still open must be forgotten before.
void mor_state_free(struct mor_state *state);
// Sets the data aside and starts empty, for a table that was rolled back or replaced and after DATA
// errors. Committer; nobody else may use the state meanwhile but for its status, no batch may be
// open. Runs that are
// open can only be forgotten afterwards.
enum mor_status mor_state_reset(struct mor_state *state, struct mor_error *err) MOR_CHECKED;

// How far the table has been taken in.
struct mor_state_mark {
    const char *version; // of the table, up to 1000 bytes
    const void *offsets; // opaque: the offsets of that version, up to 4 MiB
    size_t offsets_size_bytes;
    struct mor_uuid batch_id;
    int64_t watermark_ms; // INT64_MIN = none; ids older than watermark - window are dropped
};
// NULL when nothing was taken in yet. Borrowed until the next apply, load or reset. Committer.
const struct mor_state_mark *mor_state_mark_of(const struct mor_state *state);
// The salt of the options, or the random number of this state: hash ids and keys with
// mor_hash128_seed(…, salt), so that nobody can prepare two ids with one hash.
uint64_t mor_state_salt(const struct mor_state *state);

// ---- dedup: lanes -------------------------------------------------------------------------------

enum mor_dedup_verdict {
    MOR_DEDUP_ASK,       // in:  judge this row
    MOR_DEDUP_SKIP,      // in:  leave this row alone (no id: dead letter, tombstone)
    MOR_DEDUP_NEW,       // out: first of its id
    MOR_DEDUP_STATE,     // out: duplicate of a row that is in the table; final
    MOR_DEDUP_IN_FLIGHT, // out: duplicate of a row on its way; keep the row until batch_begin
    MOR_DEDUP_TOO_OLD,   // out: older than the window: nothing is known about it, nothing was kept
};

// What one chunk put in.
struct mor_dedup_run;

// Judges `count` rows in their order and remembers the new ids. verdicts[i] is ASK or SKIP on
// entry, the verdict afterwards. Any thread, several at once. On an error nothing was put in.
enum mor_status mor_state_dedup(struct mor_state *state, const struct mor_hash128 *ids,
                                const int64_t *event_times_ms, uint8_t *verdicts, size_t count,
                                struct mor_dedup_run **ret_run, struct mor_error *err) MOR_CHECKED;
// Forgets what the run put in (the chunk will be tried again, or will never be committed). Any
// thread; NULL is fine.
void mor_state_dedup_forget(struct mor_state *state, struct mor_dedup_run *take_run);

// ---- key index ----------------------------------------------------------------------------------

#define MOR_STATE_NOWHERE UINT64_MAX

// What is known of a key. A deleted key keeps its ordering, so that a record which is older than
// the delete is known as such, until the table's watermark is more than `grave_ms` past the one of
// the commit that deleted it. {MOR_STATE_NOWHERE, 0} is a key of which nothing is known; it leaves
// no trace when it is put in.
struct mor_state_entry {
    uint64_t location; // of the row, below 2^63; MOR_STATE_NOWHERE = not in the table
    uint64_t ordering; // highest one the key had, encoded so that it compares as uint64_t; 0 = none
};

// What is known of these keys as of the last apply. Any thread.
enum mor_status mor_state_lookup(struct mor_state *state, const struct mor_hash128 *keys,
                                 size_t count, struct mor_state_entry *ret_entries,
                                 struct mor_error *err) MOR_CHECKED;

// A number for a text (data file, table partition): the same number for the same text as long as
// the state lives. It becomes durable with the next apply or load. Any thread.
uint32_t mor_state_name_number(struct mor_state *state, const char *text);
// NULL when there is no such number. Valid until reset or free. Any thread.
const char *mor_state_name_text(struct mor_state *state, uint32_t number);

// ---- batch: committer ---------------------------------------------------------------------------

struct mor_state_batch;

// A verdict that changed when the commit was cut.
struct mor_dedup_correction {
    size_t run;                     // index into `taken`
    uint32_t row;                   // index into the arrays of that run's mor_state_dedup
    enum mor_dedup_verdict verdict; // NEW: was IN_FLIGHT, its original is not in this commit;
                                    // STATE or IN_FLIGHT: was NEW, another row is the original
};

// Starts a batch of the runs that a commit takes in and forgets those that it leaves out. Takes all
// runs in every case; NULL entries are skipped. *ret_corrections belongs to the batch. The batch
// before must have been applied or dropped.
enum mor_status mor_state_batch_begin(struct mor_state *state, struct mor_dedup_run **take_runs,
                                      size_t run_count, struct mor_dedup_run **take_left_out,
                                      size_t left_out_count, struct mor_state_batch **ret_batch,
                                      const struct mor_dedup_correction **ret_corrections,
                                      size_t *ret_correction_count,
                                      struct mor_error *err) MOR_CHECKED;
// Appends every new id of the batch, 24 bytes each: its hash (low, high half) and the last event
// time (ms) of its bucket, as mor_state_load_ids takes them. Returns the latest of these times,
// INT64_MIN when there is no id.
int64_t mor_state_batch_ids(const struct mor_state *state, const struct mor_state_batch *batch,
                            struct mor_buffer *ret_ids);
// Adds changes of the key index, seen by lookups once the batch is applied. The last change of a
// key counts.
void mor_state_batch_index(struct mor_state_batch *batch, const struct mor_hash128 *keys,
                           const struct mor_state_entry *entries, size_t count);
// The table commit is in: writes ids, keys, names and mark in one durable transaction, drops the
// buckets that the watermark passed. The batch is freed on OK; otherwise the
// caller still owns it and tries again (RETRY) or drops it.
enum mor_status mor_state_batch_apply(struct mor_state *state, struct mor_state_batch *batch,
                                      const struct mor_state_mark *mark,
                                      struct mor_error *err) MOR_CHECKED;
// The table commit will never be in: forgets everything of the batch. NULL is fine.
void mor_state_batch_drop(struct mor_state *state, struct mor_state_batch *take_batch);

// ---- catching up --------------------------------------------------------------------------------

// Starts taking in rows of the table up to a version whose watermark is `watermark_ms` (INT64_MIN =
// none): ids that it has left behind are not kept, keys that are loaded as deleted died at it.
// Committer; no batch may be open.
enum mor_status mor_state_load_begin(struct mor_state *state, int64_t watermark_ms,
                                     struct mor_error *err) MOR_CHECKED;
// Takes in rows of committed files, in the order of their commits; the same row may come twice.
// What was loaded may become durable before mor_state_load_finish, which sets the mark: an
// interrupted load is simply started again. Committer; no batch may be open.
enum mor_status mor_state_load_ids(struct mor_state *state, const struct mor_hash128 *ids,
                                   const int64_t *event_times_ms, size_t count,
                                   struct mor_error *err) MOR_CHECKED;
enum mor_status mor_state_load_keys(struct mor_state *state, const struct mor_hash128 *keys,
                                    const struct mor_state_entry *entries, size_t count,
                                    struct mor_error *err) MOR_CHECKED;
// Keys that were loaded with more than one location.
struct mor_state_twice {
    size_t count;           // of further locations
    struct mor_hash128 key; // one of them, and two of its locations
    uint64_t one, other;
};
// What is loaded between these two calls is each key's only location, or is counted. Committer.
enum mor_status mor_state_load_watch(struct mor_state *state, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_state_load_watched(struct mor_state *state, struct mor_state_twice *ret_twice,
                                       struct mor_error *err) MOR_CHECKED;
enum mor_status mor_state_load_finish(struct mor_state *state, const struct mor_state_mark *mark,
                                      struct mor_error *err) MOR_CHECKED;

// ---- upkeep -------------------------------------------------------------------------------------

// Merges one group of sorted runs on disk, if there is one to merge; *ret_merged tells. Any thread,
// one at a time (the state's own thread calls it unless merge_by_hand).
enum mor_status mor_state_merge(struct mor_state *state, bool *ret_merged,
                                struct mor_error *err) MOR_CHECKED;

struct mor_state_status {
    size_t dedup_entries; // ids on disk, whose buckets are alive
    size_t index_entries; // on disk, graves too; a key that moved counts once per sorted run
    size_t bucket_count;
    size_t sorted_run_count;
    size_t name_count;      // texts that have numbers
    size_t memory_bytes;    // of tables and filters
    int64_t file_bytes;     // size of the LMDB file
    bool dedup_is_filtered; // the table outgrew its share; filters and sorted runs answer
    bool index_is_filtered;
    char trouble[256]; // what went wrong in the background, "" = nothing
};
// Any thread.
void mor_state_status(struct mor_state *state, struct mor_state_status *ret_status);

#endif
