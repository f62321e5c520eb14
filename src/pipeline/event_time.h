// Event time of rows: how far a Kafka partition has come, and what is late.
//
// The watermark of a partition is the highest event time of its records so far less max_lateness.
// A record is late when its event time is behind the watermark that the records before it have
// made, so lateness depends on the order of the records alone, never on when commits are cut.
// Times too far in the future move nothing.
#ifndef MORAINE_PIPELINE_EVENT_TIME_H
#define MORAINE_PIPELINE_EVENT_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"
#include "moraine/column.h"
#include "moraine/pipeline.h"

#define NO_EVENT_TIME INT64_MIN
// 0001-01-01: what claims to be older counts as of that day, so that no sum of times overflows.
#define EVENT_TIME_MIN_MS (-62135596800000)

enum mor_late_policy { MOR_LATE_MERGE, MOR_LATE_DEAD_LETTER, MOR_LATE_DROP };

struct mor_event_time_plan {
    int32_t column;          // -1 = Kafka's timestamp
    int64_t factor, divisor; // numbers: column / divisor * factor = milliseconds
    const char *format;      // texts: as strptime(3) reads them in UTC, NULL = ISO 8601
    bool epoch_text;         // texts: a number in the unit, as numbers
    int64_t max_lateness_ms;
    int64_t max_future_ms; // beyond the wall clock
    enum mor_late_policy late;
};

// What one run of records did to its partition's event time.
struct mor_event_time_facts {
    int64_t highest_ms; // NO_WATERMARK when no record moved it
    int64_t late;       // behind the watermark, whatever the policy did with them
    int64_t future;     // too far in the future
    // records that came behind a later one, by how far: mor_pipeline_lateness_ms
    int64_t lateness[MOR_PIPELINE_LATENESS + 1];
    int64_t lateness_sum_ms;
};
void mor_event_time_add(struct mor_event_time_facts *sum, const struct mor_event_time_facts *more);

// Event time of a row, NO_EVENT_TIME when the column is null. DATA: its text or number is no time.
enum mor_status mor_event_time_of(const struct mor_event_time_plan *plan,
                                  const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                  struct mor_error *err) MOR_CHECKED;

// Where one partition stands, in the order of its records.
struct mor_event_clock {
    int32_t partition;
    int64_t generation;
    int64_t highest_ms; // NO_WATERMARK before the first
};
// Takes one record in; true when it is late. `now_ms`: wall clock.
bool mor_event_clock_take(struct mor_event_clock *clock, const struct mor_event_time_plan *plan,
                          int64_t time_ms, int64_t now_ms, struct mor_event_time_facts *facts);

#endif
