// One topic into one table: source, lanes, committer, and what is told about them.
#ifndef MORAINE_PIPELINE_H
#define MORAINE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/config.h"

struct mor_registry;

struct mor_pipeline_options {
    const struct mor_config *config;      // borrowed for the pipeline's life, as is everything here
    const struct mor_config_topic *topic; // of the same config
    struct mor_registry *registry;        // NULL = none
    struct mor_budget *budget;            // of the whole service
    size_t budget_share_bytes;            // this topic's part of it
};

enum mor_pipeline_state {
    MOR_PIPELINE_STARTING, // opens registry, table, Kafka; waits for what is away
    MOR_PIPELINE_RUNNING,
    MOR_PIPELINE_STOPPED, // asked to, everything taken in is committed (or given up at the
                          // deadline)
    MOR_PIPELINE_FAILED,  // an operator must act: see error
};

struct mor_pipeline_lag {
    int32_t partition;
    int64_t low, high;    // in Kafka, -1 = not known
    int64_t table_offset; // next offset in the table, -1 = none
    int64_t watermark_ms; // INT64_MIN = none
    bool paused;          // for want of memory or room, or by mor_pipeline_pause
};
#define MOR_PIPELINE_LAG_MAX 1024

// Durations since start: counts[i] are those up to mor_pipeline_bounds_ms[i], the last one those
// above all of them.
#define MOR_PIPELINE_BOUNDS 15
extern const int64_t mor_pipeline_bounds_ms[MOR_PIPELINE_BOUNDS];
struct mor_pipeline_histogram {
    int64_t counts[MOR_PIPELINE_BOUNDS + 1];
    int64_t sum_ms;
};

// Where a record was refused that became a dead letter.
enum mor_dead_stage {
    MOR_DEAD_DECODE,     // it cannot be read
    MOR_DEAD_EVENT_TIME, // its event time is no time
    MOR_DEAD_KEY,        // it has no key, ordering value or partition value
    MOR_DEAD_LATE,       // it is late, and the policy keeps such aside
    MOR_DEAD_STAGES
};

// How far records came behind a later one of their Kafka partition (event time): counts[i] up to
// mor_pipeline_lateness_ms[i], the last one beyond.
#define MOR_PIPELINE_LATENESS 9
extern const int64_t mor_pipeline_lateness_ms[MOR_PIPELINE_LATENESS];

struct mor_pipeline_status {
    char topic[256];
    enum mor_pipeline_state state;
    char step[64]; // what is being done, or waited for
    int64_t step_since_ms;
    char trouble[1024];    // the last thing that went wrong and was not mended since; "" = nothing
    char trouble_step[64]; // where: fetch, decode, index, encode, upload, commit
    int64_t alive_ms; // monotonic clock: when the slower of committer and source last came round
    bool paused;      // by mor_pipeline_pause
    int64_t consumed_records, consumed_bytes; // taken from Kafka since start, committed or not
    // committed since start
    int64_t read, inserted, updated, deleted, duplicate, late_dropped, dead, filtered, gap;
    int64_t late;   // behind their partition's watermark, whatever the policy did with them
    int64_t future; // event times too far in the future to count
    int64_t lateness[MOR_PIPELINE_LATENESS + 1];
    int64_t lateness_sum_ms;                // of the same records
    int64_t dead_by_stage[MOR_DEAD_STAGES]; // their sum is dead
    int64_t index_hits, index_misses;       // keys looked up: known to the index or not
    int64_t commits;
    int64_t fenced; // partitions whose records were dropped because another writer moved them
    int64_t schema_changes;             // writer schemas that the columns followed
    int64_t state_entries, state_bytes; // local state: ids and keys, memory; -1 = there is none
    int64_t rebalances;                 // assignments and revocations
    int64_t files_written, bytes_written;
    int64_t delta_files_written; // of files_written
    int64_t last_commit_ms;      // wall clock, 0 = none yet
    int64_t last_commit_duration_ms;
    int64_t last_freshness_ms; // last commit: Kafka timestamp of its oldest record to visible,
                               // INT64_MIN = none
    struct mor_pipeline_histogram commit_duration, freshness; // one observation per commit
    char last_version[64];
    int64_t watermark_ms; // INT64_MIN = none
    size_t partition_count;
    struct mor_pipeline_lag partitions[MOR_PIPELINE_LAG_MAX];
};

struct mor_pipeline;
// Starts the topic's threads and returns; opening happens on them and is tried until it works or
// cannot work (state FAILED).
enum mor_status mor_pipeline_start(const struct mor_pipeline_options *options,
                                   struct mor_pipeline **ret_pipeline,
                                   struct mor_error *err) MOR_CHECKED;
// Any thread: commit what was gathered now.
void mor_pipeline_flush(struct mor_pipeline *pipeline);
// Any thread: take in nothing more from Kafka until it is resumed; what was taken in is committed.
void mor_pipeline_pause(struct mor_pipeline *pipeline, bool pause);
// Any thread: this topic's part of the budget, when topics come and go. Taken up by the next
// gathering.
void mor_pipeline_set_share(struct mor_pipeline *pipeline, size_t budget_share_bytes);
// Any thread: take in nothing more, commit what was taken in, end by `deadline_ms` (monotonic
// clock).
void mor_pipeline_stop(struct mor_pipeline *pipeline, int64_t deadline_ms);
// Any thread.
void mor_pipeline_status(struct mor_pipeline *pipeline, struct mor_pipeline_status *ret_status);
bool mor_pipeline_has_ended(struct mor_pipeline *pipeline); // STOPPED or FAILED
// Joins the threads (after a stop, or a failure) and frees.
void mor_pipeline_free(struct mor_pipeline *pipeline);

// The schema of the table that a topic's configuration leads to, for `check --plan` and the like:
// opens nothing but the registry. Names and types as text lines "name type [not null]".
enum mor_status mor_pipeline_plan(const struct mor_config_topic *topic,
                                  struct mor_registry *registry, struct mor_buffer *ret_text,
                                  struct mor_error *err) MOR_CHECKED;

#endif
