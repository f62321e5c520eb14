// The ledger: what a table commit says about the Kafka topic behind it (the commit property
// "moraine").
//
//   {"v":1,"batch":"<uuid>","instance":"…","cluster":"…","topic":"orders","topic_id":"…",
//    "ranges":{"0":[100,250]},            [start, end) of this commit, partitions that moved
//    "offsets":{"0":[250,4],"1":[90,4]},  every partition: next offset, leader epoch; carried
//    forward "watermark_ms":…,"watermarks_ms":{"0":…},
//    "rows":{"read":150,"inserted":…,"updated":…,"deleted":…,"duplicate":…,"late_dropped":…,"dead":…,
//            "filtered":…,"gap":…},
//    "redriven":{…},                      as rows, for a commit of dead letters that were sent
//    again;
//                                         ranges and rows are empty then; and of those
//    "refused":["0:17"],                  the partitions and offsets that are dead again
//    "redrive":"<uuid>",                  batch of the newest commit of that kind; carried forward
//    "late":…,                            rows behind their partition's watermark, whatever became
//                                         of them
//    "digest":{"0":"<32 hex digits>"},    sum of 128-bit hashes of (offset, key, value), free of
//                                         order
//    "own":["ranges","rows",…],           members that tell of this commit alone: empty in commits
//                                         that carry the ledger on (compaction)
//    "idle":[3],                          partitions that do not hold the table's watermark back
//    "dead_letters":{"<instance>":…},     length of each instance's local dead-letter file
//    "dedup_salt":"<16 hex digits>",      of the hashes of event ids, once dedup was configured
//    "number":17,                         commits so far, this one included
//    "keys":[3,9,<ms>,<bytes>]}           whose changes of keys are kept (struct mor_kept_keys)
#ifndef MORAINE_PIPELINE_LEDGER_H
#define MORAINE_PIPELINE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/base/uuid.h"

#define LEDGER_PROPERTY "moraine"
#define NO_WATERMARK    INT64_MIN

// How far one Kafka partition has come in the table.
struct mor_progress {
    int32_t partition;
    int32_t leader_epoch; // -1 when not known
    int64_t next_offset;
    int64_t watermark_ms; // NO_WATERMARK when it has none
    bool idle;            // nothing has come for a while and nothing is left to read
};

// How much of an instance's dead-letter file the table counts on.
struct mor_letters_mark {
    char instance[128];
    int64_t bytes;
};

// Every record has exactly one of these outcomes; gap counts offsets without a record.
struct mor_outcomes {
    int64_t read;
    int64_t inserted, updated, deleted, duplicate, late_dropped, dead, filtered;
    int64_t gap;
};
void mor_outcomes_add(struct mor_outcomes *sum, const struct mor_outcomes *more);

// The changes of keys of which commits are kept beside them, for local states to catch up from.
// They go in two steps: once the commits from `next` on are enough, `from` moves there.
struct mor_kept_keys {
    int64_t from; // number of the oldest commit whose changes are kept, as are all later; 0 = none
    int64_t next, next_ms; // commit, and when it was made
    int64_t next_bytes;    // of the changes of the commits from `next` on
};

struct mor_ledger {
    char cluster_id[128]; // "" until known
    char topic_id[64];
    struct mor_progress *progress; // sorted by partition
    size_t progress_count;
    int64_t watermark_ms;
    struct mor_letters_mark *letters;
    size_t letters_count;
    uint64_t dedup_salt; // 0 = none yet
    int64_t number;      // of the commit that was read, 0 before the first
    struct mor_kept_keys keys;
    char batch_id[MOR_UUID_TEXT_SIZE];   // of the commit that was read, "" before the first
    char redrive_id[MOR_UUID_TEXT_SIZE]; // of the newest commit of dead letters sent again, "" none
};

void mor_ledger_init(struct mor_ledger *ledger);
void mor_ledger_done(struct mor_ledger *ledger);
// Adds the partition (offset MOR_OFFSET_NONE) when it is new. Valid until the next call.
struct mor_progress *mor_ledger_partition(struct mor_ledger *ledger, int32_t partition);
const struct mor_progress *mor_ledger_find(const struct mor_ledger *ledger, int32_t partition);
void mor_ledger_copy(struct mor_ledger *to, const struct mor_ledger *from);
// Length of the instance's dead-letter file, -1 when the ledger does not know it.
int64_t mor_ledger_letters(const struct mor_ledger *ledger, const char *instance);
void mor_ledger_set_letters(struct mor_ledger *ledger, const char *instance, int64_t bytes);
// The table's watermark follows the least of those partitions that are not idle, and when all are,
// the greatest of them: nothing older is on its way. It never goes back.
void mor_ledger_advance_watermark(struct mor_ledger *ledger);
// The commit number ledger->number attaches `bytes` of changes of keys; keeps them and enough
// before them (1,000 commits and an hour, but not much more than 512 MiB).
void mor_ledger_keep_keys(struct mor_ledger *ledger, int64_t bytes, int64_t now_ms);

// One range of one commit.
struct mor_range {
    int32_t partition;
    int64_t start, end;
    struct mor_hash128 digest;
    int32_t leader_epoch; // of the last record, -1 when not known
    int64_t highest_ms;   // event time, NO_WATERMARK when no record moves it
    int64_t records;
};
// Moves the partition of the range on to its end.
void mor_ledger_follow(struct mor_ledger *ledger, const struct mor_range *range,
                       int64_t max_lateness_ms);

struct mor_commit_facts {
    struct mor_uuid batch_id;
    const char *instance;
    const char *topic;
    const struct mor_range *ranges;
    size_t range_count;
    struct mor_outcomes outcomes;
    int64_t late;
    bool redrive;        // the records are dead letters that were sent again: no ranges
    const char *refused; // of them, those that are dead again: "0:17","3:5"; NULL = none
};

// Reads the property (NULL = the table has none: an empty ledger); FATAL when it is not a ledger of
// this version.
enum mor_status mor_ledger_parse(const char *json, struct mor_ledger *ret_ledger,
                                 struct mor_error *err) MOR_CHECKED;
// Writes the property for a commit that leads to `after`.
void mor_ledger_format(const struct mor_ledger *after, const struct mor_commit_facts *facts,
                       struct mor_buffer *ret_json);
// "topic,0:100,1:90": the checkpoint that Hudi Streamer writes.
void mor_ledger_format_checkpoint(const struct mor_ledger *after, const char *topic,
                                  struct mor_buffer *ret_text);
// The sums that every commit must keep: records + gaps = end - start, records = sum of outcomes.
enum mor_status mor_ledger_check(const struct mor_commit_facts *facts,
                                 struct mor_error *err) MOR_CHECKED;

#endif
