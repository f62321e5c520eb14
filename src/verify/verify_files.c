// Files: what is stated of them, and what they state of themselves.
#include <inttypes.h>

#include "moraine/parquet.h"
#include "moraine/storage.h"
#include "verify_job.h"

#define FIND(job_, warning_, kind_, place_, ...)                                                   \
    mor_verify_report_add((job_)->report, MOR_VERIFY_FILES, warning_, kind_, place_, __VA_ARGS__)
#define COUNT(job_, name_, more_)                                                                  \
    mor_verify_report_count((job_)->report, MOR_VERIFY_FILES, name_, more_)

static struct mor_verify_place place_of(const char *version, const char *file)
{
    struct mor_verify_place place = VERIFY_NOWHERE;
    place.version = version;
    place.file = file;
    return place;
}

void mor_verify_files_audit(struct mor_verify_job *job)
{
    for (size_t i = 0; i < job->audit.remark_count; i++) {
        const struct mor_audit_remark *remark = &job->audit.remarks[i];
        struct mor_verify_place place = place_of(remark->version, remark->key);
        switch (remark->kind) {
        case MOR_AUDIT_MISSING:
            FIND(job, false, "missing file", &place,
                 "the commit names the file, readers need it, and it is not there");
            break;
        case MOR_AUDIT_UNNAMED:
            FIND(job, false, "unnamed file", &place,
                 "readers take the file, but the commit it belongs to does not name it");
            break;
        case MOR_AUDIT_UNREADABLE:
            FIND(job, false, "timeline", &place, "%s", remark->text);
            break;
        case MOR_AUDIT_BROKEN:
            FIND(job, false, "format", &place, "%s", remark->text);
            break;
        case MOR_AUDIT_PENDING:
            FIND(job, true, "pending", &place,
                 "a %s was begun and is not completed: it is on its way, or its writer failed",
                 remark->text);
            break;
        case MOR_AUDIT_LEFTOVER:
            FIND(job, true, "leftover", &place, "nothing names the file, no reader takes it");
            break;
        case MOR_AUDIT_IDLE:
            FIND(job, true, "idle", &place, "%s", remark->text);
            break;
        }
    }
}

// ---- one file -----------------------------------------------------------------------------------

struct checking {
    struct mor_verify_job *job;
    const struct mor_slice *slice;
    const char *key;
    const struct mor_stated_file *stated; // NULL = its commit is not in the table any more
    struct mor_verify_place place;
};

static struct checking begin(struct mor_verify_job *job, const struct mor_slice *slice,
                             const char *key)
{
    struct checking checking = {.job = job, .slice = slice, .key = key};
    const struct mor_map_entry *entry = mor_map_find_text(&job->stated, key);
    checking.stated = entry ? entry->value.pointer : NULL;
    checking.place = place_of(checking.stated ? checking.stated->version : NULL, key);
    return checking;
}

// An error of reading: a finding, unless the file was only cleaned meanwhile (RETRY) or the disk
// failed.
static enum mor_status take_error(struct checking *checking, struct mor_error *err)
{
    if (err->status == MOR_RETRY)
        return MOR_RETRY;
    if (err->status == MOR_NOT_FOUND) {
        MOR_TRY(mor_verify_job_is_lost(checking->job, checking->slice, err));
        FIND(checking->job, false, "missing file", &checking->place, "%s", err->message);
        return MOR_OK;
    }
    FIND(checking->job, false, "damaged file", &checking->place, "%s", err->message);
    return MOR_OK;
}

static void check_size(struct checking *checking, int64_t size_bytes)
{
    COUNT(checking->job, "files", 1);
    COUNT(checking->job, "bytes", size_bytes);
    if (!checking->stated || checking->stated->size_bytes < 0)
        COUNT(checking->job, "of unknown size", 1);
    else if (checking->stated->size_bytes != size_bytes)
        FIND(checking->job, false, "file size", &checking->place,
             "the commit states %" PRId64 " bytes, the file has %" PRId64,
             checking->stated->size_bytes, size_bytes);
}

static void take_fault(void *context, const char *text)
{
    struct checking *checking = context;
    FIND(checking->job, false, "damaged file", &checking->place, "%s", text);
}

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static enum mor_status verify_base(struct checking *checking, struct mor_reader *object,
                                   struct mor_error *err)
{
    const struct mor_parquet_verify_options options = {
        .budget = checking->job->options->budget, .report = take_fault, .context = checking};
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = read_object};
    struct mor_parquet_verified verified;
    check_size(checking, source.size_bytes);
    MOR_TRY(mor_parquet_verify(&source, &options, &verified, err));
    COUNT(checking->job, "pages", verified.page_count);
    COUNT(checking->job, "pages with checksum", verified.checksums_checked);
    COUNT(checking->job, "minima and maxima",
          verified.bounds_checked + verified.page_bounds_checked);
    COUNT(checking->job, "bloom filters", verified.blooms_checked);
    if (checking->stated && checking->stated->row_count >= 0 &&
        checking->stated->row_count != verified.row_count)
        FIND(checking->job, false, "row count", &checking->place,
             "the commit states %" PRId64 " rows, the file has %" PRId64,
             checking->stated->row_count, verified.row_count);
    return MOR_OK;
}

static enum mor_status check_base(struct mor_verify_job *job, const struct mor_slice *slice,
                                  struct mor_error *err)
{
    struct checking checking = begin(job, slice, slice->base_key);
    struct mor_reader *object = NULL;
    struct mor_error cause = MOR_ERROR_INIT;
    enum mor_status status =
        mor_store_open_object(mor_table_store(job->table), slice->base_key, &object, &cause);
    if (status == MOR_OK)
        status = verify_base(&checking, object, &cause);
    mor_reader_free(object);
    if (status == MOR_OK)
        return MOR_OK;
    status = take_error(&checking, &cause);
    if (status != MOR_OK)
        *err = cause;
    return status;
}

// Every block of one delta file: found, decoded, as a reader would.
static enum mor_status verify_delta(struct checking *checking, struct mor_error *err)
{
    struct mor_table *table = checking->job->table;
    struct mor_object_info info;
    MOR_TRY(mor_store_info(mor_table_store(table), checking->key, &info, err));
    check_size(checking, info.size_bytes);
    struct mor_slice alone = *checking->slice;
    alone.base_key = NULL;
    alone.delta_keys = &checking->key;
    alone.delta_count = 1;
    struct mor_delta *delta = NULL;
    MOR_TRY(mor_delta_open(table, &alone, mor_table_schema(table), &delta, err));
    enum mor_delta_kind kind = MOR_DELTA_ROWS;
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && kind != MOR_DELTA_END) {
        const struct mor_batch *batch = NULL;
        status = mor_delta_next(delta, &kind, &batch, err);
        if (status == MOR_OK && kind != MOR_DELTA_END)
            COUNT(checking->job, kind == MOR_DELTA_ROWS ? "changed rows" : "deletes",
                  (int64_t)batch->row_count);
    }
    mor_delta_free(delta);
    return status;
}

// Deletes of a table whose rows have places: which rows of the base they remove. The first delete
// file of a slice counts for all of them, since they are read together.
static enum mor_status verify_removals(struct checking *checking, struct mor_error *err)
{
    struct mor_table *table = checking->job->table;
    struct mor_object_info info;
    struct mor_position_set *positions = NULL;
    bool added = false;
    MOR_TRY(mor_store_info(mor_table_store(table), checking->key, &info, err));
    mor_map_put_text(&checking->job->deletes, checking->key, &added);
    if (added)
        check_size(checking, info.size_bytes);
    if (checking->key != checking->slice->delta_keys[0])
        return MOR_OK;
    MOR_TRY(mor_table_removed_rows(table, checking->slice, checking->job->options->budget,
                                   &positions, err));
    if (positions)
        COUNT(checking->job, "removed rows", (int64_t)mor_position_set_count(positions));
    mor_position_set_free(positions);
    return MOR_OK;
}

static enum mor_status check_delta(struct mor_verify_job *job, const struct mor_slice *slice,
                                   const char *key, struct mor_error *err)
{
    struct checking checking = begin(job, slice, key);
    struct mor_error cause = MOR_ERROR_INIT;
    enum mor_status status = mor_table_has_places(job->table) ? verify_removals(&checking, &cause)
                                                              : verify_delta(&checking, &cause);
    if (status != MOR_OK)
        status = take_error(&checking, &cause);
    if (status != MOR_OK)
        *err = cause;
    return status;
}

static void take_value_fault(void *context, const char *key, const char *text)
{
    struct mor_verify_job *job = context;
    struct mor_verify_place place = place_of(NULL, key);
    FIND(job, false, "bounds", &place, "%s", text);
}

enum mor_status mor_verify_files_values(struct mor_verify_job *job, struct mor_error *err)
{
    struct mor_values_checked checked;
    MOR_TRY(mor_table_check_values(job->table, take_value_fault, job, &checked, err));
    if (checked.files > 0)
        COUNT(job, "bounds of columns", checked.bounds);
    return MOR_OK;
}

enum mor_status mor_verify_files_slice(struct mor_verify_job *job, const struct mor_slice *slice,
                                       struct mor_error *err)
{
    if (slice->base_key)
        MOR_TRY(check_base(job, slice, err));
    for (size_t i = 0; i < slice->delta_count; i++)
        MOR_TRY(check_delta(job, slice, slice->delta_keys[i], err));
    return MOR_OK;
}
