// Gathering the small files of append-only tables.
#include <string.h>

#include "jobs.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "plan.h"
#include "row_sorter.h"

// Rows of one slice into the sorter.
static enum mor_status add_slice(struct job_run *run, const struct mor_slice *slice,
                                 struct row_sorter *sorter, struct mor_rewrite_file *file,
                                 struct mor_rewrite_counts *counts, struct mor_error *err)
{
    const struct mor_slice_options options = {.wanted = mor_rewrite_schema(run->rewrite),
                                              .budget = run->options->budget};
    struct mor_slice_reader *reader = NULL;
    int64_t work_ns = 0;
    MOR_TRY(mor_slice_reader_open(run->table, slice, &options, &reader, err));
    struct mor_batch *batch = mor_batch_new(options.wanted, options.budget);
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, batch, err)) == MOR_OK && batch->row_count > 0) {
        counts->base_rows += (int64_t)batch->row_count;
        status = sorter->column_count > 0 ? row_sorter_add(sorter, batch, file, err)
                                          : mor_rewrite_file_append(file, batch, err);
        if (status == MOR_OK)
            status = mor_jobs_breathe(run, &work_ns, err);
        if (status != MOR_OK)
            break;
    }
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    return status;
}

static enum mor_status fill_file(struct job_run *run, const struct mor_cluster *cluster,
                                 struct mor_rewrite_file *file, struct mor_rewrite_counts *counts,
                                 struct mor_error *err)
{
    const struct mor_compact_options *options = run->options;
    struct row_sorter sorter;
    MOR_TRY(row_sorter_init(&sorter, mor_rewrite_schema(run->rewrite), options->cluster_columns,
                            options->cluster_column_count, options->cluster_order,
                            mor_jobs_row_group_bytes(run), options->budget, err));
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < cluster->slice_count && status == MOR_OK; i++)
        status = add_slice(run, cluster->slices[i], &sorter, file, counts, err);
    if (status == MOR_OK)
        status = row_sorter_flush(&sorter, file, err);
    row_sorter_done(&sorter);
    return status;
}

static enum mor_status gather(struct job_run *run, size_t job, struct mor_error *err)
{
    const struct mor_cluster *cluster = (const struct mor_cluster *)run->context + job;
    struct mor_rewrite_counts counts = {0};
    struct mor_rewrite_file *file = NULL;
    MOR_TRY(mor_rewrite_file_open(run->rewrite, cluster->slices, cluster->slice_count,
                                  mor_jobs_row_group_bytes(run), &file, err));
    enum mor_status status = fill_file(run, cluster, file, &counts, err);
    if (status == MOR_OK)
        status = mor_fault("maintain.gathered", err);
    if (status != MOR_OK) {
        mor_rewrite_file_free(file);
        return status;
    }
    MOR_TRY(mor_rewrite_file_finish(file, &counts, err));
    MOR_LOCKED(&run->mutex);
    run->report->rows_written += counts.base_rows;
    run->report->bytes_read += cluster->bytes;
    return MOR_OK;
}

static enum mor_status cluster_once(struct mor_table *table, struct mor_rewrite *rewrite,
                                    const struct mor_compact_options *options,
                                    struct mor_compact_report *report, struct mor_error *err)
{
    const struct mor_slice *slices;
    size_t slice_count;
    struct mor_cluster *clusters;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    mor_rewrite_slices(rewrite, &slices, &slice_count);
    report->file_groups = (int64_t)slice_count;
    size_t count = mor_cluster_plan(slices, slice_count, options, &arena, &clusters);
    for (size_t i = 0; i < count; i++)
        report->due += (int64_t)clusters[i].slice_count;
    struct job_run run = {.table = table,
                          .rewrite = rewrite,
                          .options = options,
                          .job_count = count,
                          .run = gather,
                          .context = clusters,
                          .report = report};
    enum mor_status status = count > 0 ? mor_jobs_run(&run, err) : MOR_OK;
    if (status == MOR_OK && count > (size_t)report->failed) {
        struct mor_rewrite_result result;
        status = mor_rewrite_commit(rewrite, &result, err);
        if (status == MOR_OK) {
            report->commits++;
            report->done = report->due;
            report->left_out = result.left_out;
            report->bytes_written = result.bytes_written;
        }
    }
    mor_arena_done(&arena);
    return status;
}

enum mor_status mor_cluster(struct mor_table *table, const struct mor_compact_options *options,
                            struct mor_compact_report *ret_report, struct mor_error *err)
{
    struct mor_rewrite *rewrite = NULL;
    *ret_report = (struct mor_compact_report){0};
    MOR_TRY(mor_rewrite_begin(table, MOR_REWRITE_CLUSTER, &rewrite, err));
    enum mor_status status = cluster_once(table, rewrite, options, ret_report, err);
    mor_rewrite_free(rewrite);
    return status;
}
