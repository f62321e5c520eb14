// The order of things: slices first, then everything that judges them, so that a commit that lands
// in between is known to the judge and its rows are not missed.
#include "verify_job.h"

static enum mor_status note_known(struct mor_verify_job *job, struct mor_error *err)
{
    struct mor_commit_info *commits;
    size_t count;
    MOR_TRY(mor_table_history(job->table, &job->arena, &commits, &count, err));
    for (size_t i = 0; i < count; i++)
        mor_map_put_text(&job->known, commits[i].version, NULL);
    if (count > 0)
        memcpy(job->report->version, commits[count - 1].version, sizeof job->report->version);
    return MOR_OK;
}

static enum mor_status read_ledger(struct mor_verify_job *job, struct mor_error *err)
{
    struct mor_verify_report *report = job->report;
    struct mor_commit_info *commits;
    size_t count;
    MOR_TRY(mor_table_history(job->table, &job->arena, &commits, &count, err));
    mor_verify_ledger_read(commits, count, job->audit.is_whole, report, &job->ledger);
    struct mor_verify_ledger *ledger = &job->ledger;
    ledger->is_complete &= job->audit.is_whole;
    report->checks[MOR_VERIFY_LEDGER].checked = ledger->commit_count > 0;
    mor_verify_report_count(report, MOR_VERIFY_LEDGER, "commits", (int64_t)ledger->commit_count);
    mor_verify_report_count(report, MOR_VERIFY_LEDGER, "partitions",
                            (int64_t)ledger->partition_count);
    int64_t offsets = 0;
    for (size_t i = 0; i < ledger->commit_count; i++)
        offsets += ledger->commits[i].range_offsets;
    mor_verify_report_count(report, MOR_VERIFY_LEDGER, "offsets", offsets);
    if (ledger->commit_count == 0)
        mor_verify_report_why_not(report, MOR_VERIFY_LEDGER, "no commit carries one");
    else if (!ledger->is_complete)
        mor_verify_report_why_not(report, MOR_VERIFY_LEDGER,
                                  "older commits were archived, the oldest one left is %s",
                                  ledger->commits[0].version);
    if (ledger->hole_count > 0)
        mor_verify_report_count(report, MOR_VERIFY_LEDGER, "archived in between",
                                ledger->hole_count);
    if (ledger->redriven > 0)
        mor_verify_report_count(report, MOR_VERIFY_LEDGER, "dead letters that became rows",
                                ledger->redriven);
    if (ledger->foreign_count > 0)
        mor_verify_report_count(report, MOR_VERIFY_LEDGER, "commits of other programs",
                                ledger->foreign_count);
    return MOR_OK;
}

static enum mor_status prepare(struct mor_verify_job *job, struct mor_error *err)
{
    MOR_TRY(note_known(job, err));
    MOR_TRY(mor_table_slices(job->table, NULL, &job->arena, &job->slices, &job->slice_count, err));
    MOR_TRY(mor_table_audit(job->table, &job->arena, &job->audit, err));
    for (size_t i = 0; i < job->audit.file_count; i++)
        mor_map_put_text(&job->stated, job->audit.files[i].key, NULL)->value.pointer =
            &job->audit.files[i];
    return read_ledger(job, err);
}

static bool names_file(const struct mor_slice *slice, const char *key)
{
    bool found = slice->base_key && strcmp(slice->base_key, key) == 0;
    for (size_t i = 0; i < slice->delta_count && !found; i++)
        found = strcmp(slice->delta_keys[i], key) == 0;
    return found;
}

static bool is_among(const struct mor_slice *slices, size_t count, const char *key)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        found = names_file(&slices[i], key);
    return found;
}

enum mor_status mor_verify_job_is_lost(struct mor_verify_job *job, const struct mor_slice *slice,
                                       struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    struct mor_error problem = MOR_ERROR_INIT;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_table_slices(job->table, NULL, &arena, &slices, &count, &problem);
    // formats that list their files do not list a lost one: it is lost unless the slice was
    // replaced
    bool replaced =
        status == MOR_OK && slice->base_key && !is_among(slices, count, slice->base_key);
    for (size_t i = 0; i < slice->delta_count && status == MOR_OK; i++)
        replaced |= !is_among(slices, count, slice->delta_keys[i]);
    if (replaced) {
        struct mor_table_audit audit;
        status = mor_table_audit(job->table, &arena, &audit, &problem);
        for (size_t i = 0; status == MOR_OK && i < audit.file_count; i++)
            if (names_file(slice, audit.files[i].key))
                replaced = false;
    }
    mor_arena_done(&arena);
    if (status != MOR_OK) {
        *err = problem;
        return status;
    }
    if (replaced)
        return mor_error_set(err, MOR_RETRY,
                             "files of the snapshot were cleaned while it was read; run again, or "
                             "with a longer retention");
    return MOR_OK;
}

static enum mor_status check_slices(struct mor_verify_job *job, struct mor_error *err)
{
    struct mor_verify_rows *rows = mor_verify_rows_new(job);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < job->slice_count && status == MOR_OK; i++) {
        if (job->options->progress)
            job->options->progress(job->options->context, "file groups", (int64_t)i,
                                   (int64_t)job->slice_count);
        status = mor_verify_files_slice(job, &job->slices[i], err);
        if (status == MOR_OK)
            status = mor_verify_rows_slice(rows, i, err);
    }
    if (status == MOR_OK)
        status = mor_verify_rows_finish(rows, err);
    mor_verify_rows_free(rows);
    return status;
}

static enum mor_status check_all(struct mor_verify_job *job, struct mor_error *err)
{
    MOR_TRY(prepare(job, err));
    job->report->checks[MOR_VERIFY_FILES].checked = true;
    mor_verify_files_audit(job);
    MOR_TRY(check_slices(job, err));
    MOR_TRY(mor_verify_files_values(job, err));
    return mor_verify_kafka(job, err);
}

enum mor_status mor_verify_table(struct mor_table *table, const struct mor_verify_options *options,
                                 struct mor_verify_report **ret_report, struct mor_error *err)
{
    struct mor_verify_job job = {
        .table = table, .options = options, .report = mor_verify_report_new()};
    mor_arena_init(&job.arena, 1u << 20, options->budget);
    enum mor_status status = check_all(&job, err);
    mor_verify_ledger_done(&job.ledger);
    mor_map_done(&job.known);
    mor_map_done(&job.stated);
    mor_map_done(&job.deletes);
    mor_arena_done(&job.arena);
    if (status != MOR_OK) {
        mor_verify_report_free(job.report);
        return status;
    }
    *ret_report = job.report;
    return MOR_OK;
}
