// Rows of one key compete: of everything that a commit brings for it, and what was there before,
// one thing stays.
#ifndef MORAINE_PIPELINE_CONTEST_H
#define MORAINE_PIPELINE_CONTEST_H

#include "key_index.h"
#include "lane.h"

// The runs of one lane batch that a commit takes in (the others came from an assignment that is
// gone).
struct mor_batch_part {
    struct mor_lane_batch *batch;
    const bool *take_run; // one per run of the batch
};

struct mor_contest_rules {
    const struct mor_batch_part *parts; // what the rows' references point into
    int32_t ordering_column;            // of the lanes' rows; -1 = whatever comes later wins
    int32_t offset_column;              // -1 = rows do not have theirs
    const struct mor_known_keys *known; // NULL = nothing is looked up
};

// What is known of one key.
struct mor_contest {
    struct mor_hash128 key;
    struct mor_state_entry prior; // before the commit
    uint64_t ordering;            // highest so far
    struct mor_row_ref winner;    // the last row that counted, when `entered`
    struct mor_row_ref highest;   // the row that has `ordering`, when `measured`
    bool entered, measured;
    bool live; // the key has a row: the winner's when entered, else the one before the commit
};

// The keys of some rows, found by hash. One thread.
struct mor_ring {
    const struct mor_contest_rules *rules;
    struct mor_state_entry unknown; // prior entry of a key when nothing is looked up
    struct mor_contest *contests;
    size_t count, capacity;
    uint32_t *slots; // index into contests + 1
    size_t slot_count;
    struct mor_outcomes outcomes; // inserted, updated, deleted; of tombstones none
    int64_t hits, misses;         // keys that were looked up: the index knows them or not
    struct mor_budget *budget;
};

// For at most `row_count` rows.
void mor_ring_init(struct mor_ring *ring, const struct mor_contest_rules *rules,
                   struct mor_state_entry unknown, size_t row_count, struct mor_budget *budget);
void mor_ring_done(struct mor_ring *ring);
// Lets rows compete in this order. A row that is older than the highest ordering value of its key
// loses, be it an upsert or a delete, and whether the key has a row or is deleted; equal values go
// to the later row (of two Kafka partitions: to the higher offset). A tombstone has no ordering
// value: it always deletes, and the highest value stays. Errors are those of mor_state_lookup.
enum mor_status mor_ring_add(struct mor_ring *ring, const struct mor_row_ref *refs, size_t count,
                             struct mor_error *err) MOR_CHECKED;

#endif
