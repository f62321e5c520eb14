// A lane: one thread that takes the chunks of its Kafka partitions from bytes to columns.
//
// It owns the batch it fills until the committer cuts it off; while that batch is committed the
// lane fills a second one. Records keep the order of their partition.
#ifndef MORAINE_PIPELINE_LANE_H
#define MORAINE_PIPELINE_LANE_H

#include <stdatomic.h>

#include "event_time.h"
#include "gate.h"
#include "ledger.h"
#include "local_state.h"
#include "moraine/decode.h"
#include "moraine/source.h"
#include "moraine/table.h"

enum mor_row_flag {
    ROW_TOMBSTONE = 1, // only its key columns count
    ROW_DELETE = 2,
    ROW_DUPLICATE = 4, // of a row that is in the table, or that comes with the same commit
    ROW_IN_FLIGHT = 8, // a duplicate unless the cut of the commit finds otherwise
};
#define ROW_LEFT_OUT (ROW_DUPLICATE | ROW_IN_FLIGHT)

// Offsets [offset_first, offset_next) of one partition, as one chunk brought them.
struct mor_run {
    int32_t partition;
    int32_t leader_epoch;
    int64_t generation;
    int64_t offset_first, offset_next;
    size_t row_first, row_count;
    size_t letters_first, letters_count; // rows of the batch's dead letters
    struct mor_outcomes outcomes; // read, dead, gap; what becomes of rows is counted at the cut
    struct mor_hash128 digest;
    struct mor_event_time_facts event_time;
    struct mor_dedup_run *dedup; // what it put into the local state, NULL = nothing
    int64_t oldest_ms;           // least Kafka timestamp, MOR_TIMESTAMP_NONE when no record has one
    int64_t dead_by_stage[MOR_DEAD_STAGES]; // of outcomes.dead
};
#define MOR_TIMESTAMP_NONE INT64_MAX

struct mor_lane_batch {
    struct mor_batch *rows; // columns in the topic's order
    struct mor_batch view;  // the same rows in the table's order; borrows the vectors of `rows`
    const uint32_t *column_of_table;
    struct mor_router *router; // group ids of this batch are the router's
    uint32_t *groups;          // per row
    struct mor_hash128 *keys;  // per row, keyed tables
    uint8_t *flags;            // per row, enum mor_row_flag
    size_t capacity;           // of the three
    struct mor_run *runs;
    size_t run_count, run_capacity;
    struct mor_batch *dead_letters; // rows of mor_dead_letter_schema
};

// How every lane of a topic works; borrowed for their lives.
struct mor_lane_plan {
    const char *topic;
    const struct mor_table *table;
    struct mor_decoder_options decoder;
    const struct mor_schema *rows;   // of the batches
    const uint32_t *column_of_table; // for each column of the table, its index in rows
    size_t absent_first;             // columns that get null: only the table has them
    bool keyed;
    int32_t offset_column; // provenance, -1 = off
    int32_t delete_column; // -1 = no delete_when
    const char *delete_text;
    const int32_t *required_columns; // ordering and partition columns: a delete without one of them
    size_t required_count;           // is taken as a tombstone
    struct mor_event_time_plan event_time;
    struct mor_local_state *local; // NULL = none
    const int32_t *dedup_columns;
    size_t dedup_column_count; // 0 = every record counts
    bool stop_on_error;
    size_t lane_count;
    size_t queue_bytes_max;
    struct mor_budget *budget;
    struct mor_gate *gate;
    struct mor_positions *positions;
    const struct mor_schema *letters; // mor_dead_letter_schema
};

// Brings the view up to what `rows` holds now. Whoever changes rows calls it before the table sees
// them.
void mor_lane_batch_refresh_view(struct mor_lane_batch *batch);

struct mor_lane;
enum mor_status mor_lane_start(const struct mor_lane_plan *plan, int32_t index,
                               struct mor_lane **ret_lane, struct mor_error *err) MOR_CHECKED;
// Source thread: takes the chunk, or false when the lane's queue is full.
bool mor_lane_offer(struct mor_lane *lane, struct mor_chunk *chunk);
// Committer: takes the batch that was filled so far; give it back with mor_lane_return. A lane has
// two batches, so at most one may be out.
struct mor_lane_batch *mor_lane_cut(struct mor_lane *lane);
void mor_lane_return(struct mor_lane *lane, struct mor_lane_batch *batch);
// Committer: between the two calls the lane takes nothing in and judges no ids.
void mor_lane_hold(struct mor_lane *lane);
void mor_lane_release(struct mor_lane *lane);
// True when every chunk that was offered is in a batch.
bool mor_lane_is_idle(struct mor_lane *lane);
// What the lane waits for ("registry: …"), "" when it works; copied.
void mor_lane_trouble(struct mor_lane *lane, char *ret_text, size_t capacity);
// Ends the thread; chunks that were not worked on are freed. The gate must be closed or failed.
void mor_lane_free(struct mor_lane *lane);

#endif
