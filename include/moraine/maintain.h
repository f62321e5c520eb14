// Tables that stay fast and small by themselves: file groups are merged, small files gathered, what
// no kept snapshot needs is removed. Works on any table format through moraine/table.h.
#ifndef MORAINE_MAINTAIN_H
#define MORAINE_MAINTAIN_H

#include "moraine/table.h"

// ---- once ---------------------------------------------------------------------------------------

// When a file group is due to be merged. 0 = that limit does not count.
struct mor_compaction_limits {
    int64_t max_delta_files;
    double
        max_delta_ratio; // bytes of deltas to bytes of the base; with places: rows removed to rows
    int64_t max_delta_bytes;
    int64_t max_delta_age_ms; // of the oldest delta: idle file groups are merged too, in the end
    int64_t target_file_size_bytes; // append-only tables, and tables with places: files below half
                                    // of it are gathered
};

// What two columns or more mean when small files are gathered.
enum mor_cluster_order { MOR_CLUSTER_BY_VALUE, MOR_CLUSTER_BY_Z_ORDER };

struct mor_compact_options {
    struct mor_compaction_limits limits;
    const char *const *cluster_columns; // rows of gathered files are sorted by them; none = as read
    size_t cluster_column_count;
    enum mor_cluster_order cluster_order;
    const char *partition;     // only this table partition; NULL = all
    bool everything;           // every file group with deltas is due
    size_t thread_count;       // file groups at once; 0 = 1
    size_t memory_bytes_max;   // all threads together; 0 = 256 MiB
    bool in_background;        // at the lowest priority, until file groups are twice over a limit
    struct mor_budget *budget; // may be NULL; in the background threads work half of the time while
                               // it is half used, and wait while it is nearly used up
    bool (*should_stop)(void *context);  // asked between batches of rows; NULL = never
    bool (*should_yield)(void *context); // then threads work half of the time only; NULL = never
    void *context;                       // of both; they are called by any thread
};

struct mor_compact_report {
    int64_t file_groups, delta_files; // in the table at the last look
    int64_t due;                      // file groups over a limit at the first look
    int64_t done;                     // merged or gathered
    int64_t left_out;                 // rewritten by somebody else meanwhile
    int64_t reserved;                 // left to pending plans of other engines, at the last look
    int64_t failed;                   // see the error
    int64_t commits;
    int64_t bytes_read, bytes_written; // of files
    int64_t rows_written;
    struct mor_error first_failure; // status MOR_OK = none
};

// One file group that is due.
struct mor_compaction_item {
    const struct mor_slice *slice;
    double urgency; // 1 = at its limit
};
// The due ones of the slices, worst first; in the arena.
size_t mor_compaction_plan(const struct mor_slice *slices, size_t count,
                           const struct mor_compact_options *options, int64_t now_ms,
                           struct mor_arena *arena, struct mor_compaction_item **ret_items);
// Merges what is due, worst first, in commits of moderate size, until nothing is due or it is asked
// to stop; each file group once. The table was opened with mor_table_open_rewrite. A file group
// that cannot be read is counted and does not keep the others. RETRY and FATAL: as in
// mor_rewrite_begin and mor_rewrite_commit. The report is filled in either case.
enum mor_status mor_compact(struct mor_table *table, const struct mor_compact_options *options,
                            struct mor_compact_report *ret_report,
                            struct mor_error *err) MOR_CHECKED;
// The same for append-only tables and tables with places: small files of a table partition become
// few of about the target size, when they are enough for one.
enum mor_status mor_cluster(struct mor_table *table, const struct mor_compact_options *options,
                            struct mor_compact_report *ret_report,
                            struct mor_error *err) MOR_CHECKED;

// Whatever of the two the table needs.
enum mor_status mor_rewrite_due(struct mor_table *table, const struct mor_compact_options *options,
                                struct mor_compact_report *ret_report,
                                struct mor_error *err) MOR_CHECKED;

// ---- erasing ------------------------------------------------------------------------------------

struct mor_filter;
// Which rows: those of the condition, or those of the record keys (as the table's key column for
// one key column, "a:1,b:2" for several).
struct mor_erase_options {
    const struct mor_filter *filter;
    const char *const *keys;
    size_t key_count;
    bool dry_run;
    struct mor_budget *budget;
};
struct mor_erase_report {
    int64_t rows; // that the newest version has, or had
    int64_t commits;
};
// Deletes rows of a keyed table that was opened with mor_table_open_rewrite: readers do not see
// them any more from the commit on. Files of older versions still hold them, until file groups are
// merged and old versions expire. FATAL for append-only tables.
enum mor_status mor_erase(struct mor_table *table, const struct mor_erase_options *options,
                          struct mor_erase_report *ret_report, struct mor_error *err) MOR_CHECKED;

// A data file, of any version, that holds such rows, or deletes of such keys.
struct mor_trace {
    const char *file;
    int64_t rows, deletes;
};
// Reads every data file of the table.
enum mor_status mor_trace_rows(struct mor_table *table, const struct mor_erase_options *options,
                               struct mor_arena *arena, struct mor_trace **ret_traces,
                               size_t *ret_count, struct mor_error *err) MOR_CHECKED;

// ---- all the time -------------------------------------------------------------------------------

struct mor_maintainer_options {
    const char *location; // all borrowed for the call, except budget, context and callbacks
    struct mor_compact_options compact; // should_stop is the maintainer's own
    bool compacts;                      // false: another engine does
    struct mor_retention retention;
    int64_t interval_ms;        // between looks at the table; 0 = 5 s
    int64_t expire_interval_ms; // 0 = 1 min
    // A line for the log; NULL = none. Called by the maintainer's thread.
    void (*log)(void *context, bool is_error, const char *event, const char *text);
};

// Durations since start: counts[i] are those up to mor_maintain_bounds_ms[i], the last one those
// above all of them.
#define MOR_MAINTAIN_BOUNDS 12
extern const int64_t mor_maintain_bounds_ms[MOR_MAINTAIN_BOUNDS];

struct mor_maintainer_status {
    bool looked; // a round is over; before, nothing below is known

    int64_t file_groups, delta_files;
    int64_t pending;     // file groups over a limit
    int64_t compactions; // commits of rewritten files since start, as all that follows
    int64_t file_groups_done;
    int64_t duration_counts[MOR_MAINTAIN_BOUNDS + 1]; // of rounds that rewrote something
    int64_t total_duration_ms;
    int64_t bytes_read, bytes_written, rows_written;
    int64_t cleaned_files, cleaned_bytes, archived_versions;
    char trouble[1024]; // why the last round failed; "" = it did not
};

// A thread that looks after one table until it is stopped. Waits for the table to be there, and
// while another process maintains it: one at a time does.
struct mor_maintainer;
enum mor_status mor_maintainer_start(const struct mor_maintainer_options *options,
                                     struct mor_maintainer **ret_maintainer,
                                     struct mor_error *err) MOR_CHECKED;
// Look now, and merge everything when `everything`. Any thread.
void mor_maintainer_poke(struct mor_maintainer *maintainer, bool everything);
void mor_maintainer_status(struct mor_maintainer *maintainer,
                           struct mor_maintainer_status *ret_status); // any thread
// Asks for the end, which comes after the batch of rows at hand. Any thread.
void mor_maintainer_stop(struct mor_maintainer *maintainer);
// Stops, joins and frees; what is not published is dropped. NULL allowed.
void mor_maintainer_free(struct mor_maintainer *maintainer);

#endif
