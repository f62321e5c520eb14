// A view: one snapshot with what follows from it and from earlier ones, never changed once made.
#ifndef MORAINE_SERVE_VIEW_H
#define MORAINE_SERVE_VIEW_H

#include <stdatomic.h>

#include "moraine/serve.h"

// How long something has been waiting: unknown, known, or at least so long.
struct serve_duration {
    int64_t ms; // MOR_SERVE_UNKNOWN
    bool at_least;
};

struct serve_partition_view {
    int64_t lag_records;
    struct serve_duration lag; // age of the oldest record that is not in the table
};

struct serve_topic_view {
    int64_t lag_records;       // sum of what is known, unknown when nothing is
    struct serve_duration lag; // of the partition that is furthest behind
    int64_t watermark_lag_ms;
    double records_per_second; // committed; below 0: not known
    double bytes_per_second;   // consumed
    struct serve_partition_view *partitions;
    bool ready;
    int64_t since_ms;  // not ready: since when (wall clock)
    const char *step;  // not ready: the step that is stuck
    const char *what;  // not ready: what and where
    const char *words; // the same with since when and the last error
};

struct serve_view {
    atomic_int references;
    struct mor_arena arena;
    int64_t time_ms; // wall clock
    int64_t mono_ms;
    struct mor_serve_snapshot snapshot;
    struct serve_topic_view *topics; // as many as the snapshot has
    bool ready;
};

// A view with an empty snapshot, referenced once. All three: any thread.
struct serve_view *serve_view_new(int64_t time_ms, int64_t mono_ms);
struct serve_view *serve_view_ref(struct serve_view *view);
void serve_view_unref(struct serve_view *view);

// ---- what is remembered from view to view -------------------------------------------------------

#define SERVE_POINTS_MAX        300
#define SERVE_POINT_INTERVAL_MS 2000

// One moment of a topic: for rates, and for the charts of a page that was just opened.
struct serve_point {
    int64_t time_ms;
    int64_t mono_ms;
    int64_t read, dead;
    int64_t consumed_bytes;
    int64_t lag_records;
    int64_t lag_ms;
    int64_t watermark_lag_ms;
};

// How the end of a Kafka partition moved: it stood at `high` from first_ms to last_ms.
#define SERVE_ENDS_MAX        128
#define SERVE_END_INTERVAL_MS 5000
struct serve_end {
    int64_t first_ms, last_ms; // monotonic
    int64_t high;
};
struct serve_partition_memory {
    int32_t partition;
    struct serve_end ends[SERVE_ENDS_MAX]; // oldest first, high ascends
    size_t end_count;
};

struct serve_topic_memory {
    char *topic;
    struct serve_point points[SERVE_POINTS_MAX]; // oldest first
    size_t point_count;
    struct serve_partition_memory *partitions;
    size_t partition_count;
    enum mor_serve_state state;
    int64_t commits, offset_sum;
    int64_t moved_ms, moved_mono_ms;     // when it last moved or had nothing to do
    int64_t trouble_ms, trouble_mono_ms; // since when there is trouble, 0 = there is none
    int64_t flood_ms; // since when most records are dead letters, 0 = they are not
};

// Zero-initialised is empty. One thread at a time.
struct serve_memory {
    struct serve_topic_memory **topics; // in the order of their first appearance
    size_t topic_count;
};
void serve_memory_done(struct serve_memory *memory);
// Fills what follows from view->snapshot.
void serve_view_derive(struct serve_memory *memory, struct serve_view *view);

#endif
