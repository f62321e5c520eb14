// Merging what is due, in commits of moderate size: a commit publishes soon what was read, and a
// crash or a stop loses little.
#include <string.h>

#include "jobs.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/map.h"
#include "moraine/base/thread.h"

#define COMMIT_GROUPS_MAX 256
#define URGENCY_PRESSING  2.0
#define COMMIT_BYTES_MAX  ((int64_t)1 << 30) // of the files that are read

static enum mor_status copy_rows(struct job_run *run, struct mor_slice_reader *reader,
                                 struct mor_rewrite_file *file, int64_t *row_count,
                                 struct mor_error *err)
{
    struct mor_batch *batch = mor_batch_new(mor_rewrite_schema(run->rewrite), run->options->budget);
    int64_t work_ns = 0;
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, batch, err)) == MOR_OK && batch->row_count > 0) {
        *row_count += (int64_t)batch->row_count;
        status = mor_rewrite_file_append(file, batch, err);
        if (status == MOR_OK)
            status = mor_jobs_breathe(run, &work_ns, err);
        if (status != MOR_OK)
            break;
    }
    mor_batch_free(batch);
    return status;
}

static enum mor_status merge_slice(struct job_run *run, size_t job, struct mor_error *err)
{
    const struct mor_compaction_item *items = run->context;
    const struct mor_slice *slice = items[job].slice;
    const struct mor_slice_options options = {
        .wanted = mor_rewrite_schema(run->rewrite),
        .index_bytes_max = run->memory_bytes_max / 3,
        .budget = run->options->budget,
    };
    struct mor_slice_reader *reader = NULL;
    struct mor_rewrite_file *file = NULL;
    int64_t row_count = 0;
    MOR_TRY(mor_slice_reader_open(run->table, slice, &options, &reader, err));
    enum mor_status status =
        mor_rewrite_file_open(run->rewrite, &slice, 1, mor_jobs_row_group_bytes(run), &file, err);
    if (status == MOR_OK)
        status = copy_rows(run, reader, file, &row_count, err);
    if (status == MOR_OK)
        status = mor_fault("maintain.merged", err);
    struct mor_slice_counts counts = mor_slice_reader_counts(reader);
    mor_slice_reader_free(reader);
    if (status != MOR_OK) {
        mor_rewrite_file_free(file);
        return status;
    }
    const struct mor_rewrite_counts written = {.base_rows = counts.base_rows,
                                               .delta_rows = counts.delta_rows,
                                               .delta_deletes = counts.delta_deletes,
                                               .updated_rows = counts.updated_rows};
    MOR_TRY(mor_rewrite_file_finish(file, &written, err));
    MOR_LOCKED(&run->mutex);
    run->report->rows_written += row_count;
    run->report->bytes_read += slice->base_size_bytes + slice->delta_size_bytes;
    return MOR_OK;
}

static char *slice_name(const struct mor_slice *slice)
{
    return mor_asprintf("%s/%s", slice->partition, slice->file_group);
}

// Leaves of the items those for one commit that were not tried yet, and notes them as tried.
static size_t take_some(struct mor_compaction_item *items, size_t count, struct mor_map *tried)
{
    size_t taken = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < count && taken < COMMIT_GROUPS_MAX; i++) {
        const struct mor_slice *slice = items[i].slice;
        bytes += slice->base_size_bytes + slice->delta_size_bytes;
        if (taken > 0 && bytes > COMMIT_BYTES_MAX)
            break;
        MOR_AUTO_FREE char *name = slice_name(slice);
        bool added;
        mor_map_put_text(tried, name, &added);
        if (added)
            items[taken++] = items[i];
    }
    return taken;
}

static void look(const struct mor_slice *slices, size_t count, struct mor_compact_report *report)
{
    report->file_groups = (int64_t)count;
    report->delta_files = 0;
    for (size_t i = 0; i < count; i++)
        report->delta_files += (int64_t)slices[i].delta_count;
}

static enum mor_status publish(struct mor_rewrite *rewrite, struct mor_compact_report *report,
                               struct mor_error *err)
{
    struct mor_rewrite_result result;
    enum mor_status status = mor_rewrite_commit(rewrite, &result, err);
    if (status == MOR_CONFLICT) {
        *err = MOR_ERROR_INIT; // somebody else did it
        return MOR_OK;
    }
    if (status != MOR_OK)
        return status;
    report->commits++;
    report->done += result.file_count;
    report->left_out += result.left_out;
    report->bytes_written += result.bytes_written;
    return MOR_OK;
}

// One commit; *ret_count: file groups it was about.
static enum mor_status merge_some(struct mor_table *table, struct mor_rewrite *rewrite,
                                  const struct mor_compact_options *options, struct mor_map *tried,
                                  struct mor_compact_report *report, size_t *ret_count,
                                  struct mor_error *err)
{
    const struct mor_slice *slices;
    size_t slice_count;
    struct mor_compaction_item *items;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    mor_rewrite_slices(rewrite, &slices, &slice_count);
    report->reserved = mor_rewrite_reserved_count(rewrite);
    look(slices, slice_count, report);
    size_t count =
        mor_compaction_plan(slices, slice_count, options, mor_clock_wall_ms(), &arena, &items);
    if (tried->count == 0)
        report->due = (int64_t)count;
    int64_t failed = report->failed;
    *ret_count = take_some(items, count, tried);
    struct job_run run = {.table = table,
                          .rewrite = rewrite,
                          .options = options,
                          .job_count = *ret_count,
                          .run = merge_slice,
                          .context = items,
                          .report = report,
                          .presses = count > 0 && items[0].urgency >= URGENCY_PRESSING};
    enum mor_status status = mor_fault("maintain.planned", err);
    if (status == MOR_OK && *ret_count > 0)
        status = mor_jobs_run(&run, err);
    if (status == MOR_OK && *ret_count > (size_t)(report->failed - failed))
        status = publish(rewrite, report, err);
    mor_arena_done(&arena);
    return status;
}

static void add_report(struct mor_compact_report *sum, const struct mor_compact_report *more)
{
    sum->delta_files = more->delta_files;
    sum->due += more->due;
    sum->done += more->done;
    sum->left_out += more->left_out;
    sum->reserved = more->reserved;
    sum->failed += more->failed;
    sum->commits += more->commits;
    sum->bytes_read += more->bytes_read;
    sum->bytes_written += more->bytes_written;
    sum->rows_written += more->rows_written;
    if (sum->first_failure.status == MOR_OK)
        sum->first_failure = more->first_failure;
}

enum mor_status mor_rewrite_due(struct mor_table *table, const struct mor_compact_options *options,
                                struct mor_compact_report *ret_report, struct mor_error *err)
{
    if (mor_table_is_keyed(table) && !mor_table_has_places(table))
        return mor_compact(table, options, ret_report, err);
    enum mor_status status = mor_cluster(table, options, ret_report, err);
    if (status == MOR_CONFLICT) { // somebody else gathered them
        *err = MOR_ERROR_INIT;
        status = MOR_OK;
    }
    if (status != MOR_OK || !mor_table_has_places(table))
        return status;
    // small files are gathered with their deltas; what is left are large ones
    struct mor_compact_report report;
    status = mor_compact(table, options, &report, err);
    add_report(ret_report, &report);
    return status;
}

enum mor_status mor_compact(struct mor_table *table, const struct mor_compact_options *options,
                            struct mor_compact_report *ret_report, struct mor_error *err)
{
    struct mor_map tried = {0};
    size_t count = 1;
    enum mor_status status = MOR_OK;
    *ret_report = (struct mor_compact_report){0};
    while (status == MOR_OK && count > 0) {
        struct mor_rewrite *rewrite = NULL;
        status = mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, err);
        if (status == MOR_OK)
            status = merge_some(table, rewrite, options, &tried, ret_report, &count, err);
        mor_rewrite_free(rewrite);
    }
    mor_map_done(&tried);
    return status;
}
