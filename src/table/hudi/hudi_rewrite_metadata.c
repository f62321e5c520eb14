// What the timeline says of a rewrite: plan, inflight file and completed instant.
#include "hudi/hudi_rewrite.h"

static const char *name_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

// Instant of a slice: of its base file, else of its first log.
static void slice_instant(struct hudi_rewrite *rewrite, const struct mor_slice *slice,
                          char ret_instant[HUDI_TIME_SIZE])
{
    struct hudi_file file;
    const char *key = slice->base_key ? slice->base_key : slice->delta_keys[0];
    *ret_instant = '\0';
    if (hudi_file_parse(name_of(key), &rewrite->arena, &file))
        memcpy(ret_instant, file.instant, HUDI_TIME_SIZE);
}

static void set_int(json_t *json, const char *key, int64_t value)
{
    json_object_set_new(json, key, json_integer(value));
}

// ---- plan ---------------------------------------------------------------------------------------

static json_t *operation_build(struct hudi_rewrite *rewrite, const struct hudi_rewrite_file *file)
{
    const struct mor_slice *slice = file->sources[0];
    const double mebibyte = 1 << 20;
    char instant[HUDI_TIME_SIZE];
    slice_instant(rewrite, slice, instant);
    json_t *json = json_object(), *logs = json_array(), *metrics = json_object();
    for (size_t i = 0; i < slice->delta_count; i++)
        json_array_append_new(logs, json_string(name_of(slice->delta_keys[i])));
    json_object_set_new(metrics, "TOTAL_LOG_FILES", json_real((double)slice->delta_count));
    json_object_set_new(metrics, "TOTAL_LOG_FILES_SIZE",
                        json_real((double)slice->delta_size_bytes));
    json_object_set_new(
        metrics, "TOTAL_IO_READ_MB",
        json_real((double)(slice->base_size_bytes + slice->delta_size_bytes) / mebibyte));
    json_object_set_new(metrics, "TOTAL_IO_WRITE_MB",
                        json_real((double)file->size_bytes / mebibyte));
    json_object_set_new(json, "baseInstantTime", json_string(instant));
    json_object_set_new(json, "deltaFilePaths", logs);
    json_object_set_new(json, "dataFilePath",
                        slice->base_key ? json_string(name_of(slice->base_key)) : json_null());
    json_object_set_new(json, "fileId", json_string(file->file_id));
    json_object_set_new(json, "partitionPath", json_string(slice->partition));
    json_object_set_new(json, "metrics", metrics);
    json_object_set_new(json, "bootstrapFilePath", json_null());
    return json;
}

static enum mor_status put_merge_plan(struct hudi_rewrite *rewrite, struct mor_error *err)
{
    int layout = hudi_rewrite_table(rewrite)->layout;
    HUDI_AUTO_JSON *plan = json_object();
    json_t *operations = json_array();
    for (size_t i = 0; i < rewrite->file_count; i++) {
        if (rewrite->files[i]->fits)
            json_array_append_new(operations, operation_build(rewrite, rewrite->files[i]));
    }
    json_object_set_new(plan, "operations", operations);
    json_object_set_new(plan, "extraMetadata", json_null());
    json_object_set_new(plan, "version", json_integer(2));
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_metadata_to_avro(HUDI_RECORD_COMPACTION_PLAN, plan, &bytes, err));
    MOR_AUTO_FREE char *requested =
        hudi_instant_key(layout, rewrite->instant, HUDI_ACTION_COMPACTION, HUDI_REQUESTED, "");
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(layout, rewrite->instant, HUDI_ACTION_COMPACTION, HUDI_INFLIGHT, "");
    MOR_TRY(hudi_change_put(&rewrite->change, requested, bytes.data, bytes.size_bytes, err));
    return hudi_change_put(&rewrite->change, inflight, "", 0, err);
}

static enum mor_status put_cluster_plan(struct hudi_rewrite *rewrite, struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    HUDI_AUTO_JSON *json =
        hudi_commit_build(table, rewrite->instant, NULL, 0, "CLUSTER", json_object());
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_commit_encode(table, json, &bytes, err));
    enum hudi_action action = HUDI_ACTION_REPLACECOMMIT;
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(table->layout, rewrite->instant, action, HUDI_INFLIGHT, "");
    MOR_AUTO_FREE char *requested =
        hudi_instant_key(table->layout, rewrite->instant, action, HUDI_REQUESTED, "");
    MOR_TRY(hudi_change_put(&rewrite->change, inflight, bytes.data, bytes.size_bytes, err));
    return hudi_change_put(&rewrite->change, requested, "", 0, err);
}

enum mor_status hudi_rewrite_put_plan(struct hudi_rewrite *rewrite, struct mor_error *err)
{
    return rewrite->kind == MOR_REWRITE_MERGE ? put_merge_plan(rewrite, err)
                                              : put_cluster_plan(rewrite, err);
}

// ---- completed instant --------------------------------------------------------------------------

// Adds to the statistics of a new base file what it was merged from.
static void add_merge_counts(struct hudi_rewrite *rewrite, const struct hudi_rewrite_file *file,
                             json_t *json)
{
    const struct mor_slice *slice = file->sources[0];
    const struct mor_rewrite_counts *counts = &file->counts;
    char instant[HUDI_TIME_SIZE];
    slice_instant(rewrite, slice, instant);
    int64_t kept = counts->base_rows < file->row_count ? counts->base_rows : file->row_count;
    json_object_set_new(json, "prevCommit", json_string(instant));
    if (slice->base_key && hudi_rewrite_table(rewrite)->version >= 8)
        json_object_set_new(json, "prevBaseFile", json_string(name_of(slice->base_key)));
    set_int(json, "numInserts", file->row_count - kept);
    set_int(json, "numUpdateWrites", counts->updated_rows);
    set_int(json, "numDeletes", counts->base_rows - kept);
    set_int(json, "totalLogRecords", counts->delta_rows + counts->delta_deletes);
    set_int(json, "totalLogFilesCompacted", (int64_t)slice->delta_count);
    set_int(json, "totalLogSizeCompacted", slice->delta_size_bytes);
    set_int(json, "totalUpdatedRecordsCompacted", counts->updated_rows);
    if (json_array_size(file->logs) > 0)
        json_object_set(json, "logFiles", file->logs);
}

static json_t *replaced_groups(const struct hudi_rewrite *rewrite)
{
    json_t *partitions = json_object();
    struct mor_map seen = {0};
    for (size_t i = 0; i < rewrite->file_count; i++) {
        const struct hudi_rewrite_file *file = rewrite->files[i];
        for (size_t k = 0; file->fits && k < file->source_count; k++) {
            const struct mor_slice *slice = file->sources[k];
            MOR_AUTO_FREE char *key = hudi_data_key(slice->partition, slice->file_group);
            bool added;
            mor_map_put_text(&seen, key, &added);
            if (!json_object_get(partitions, slice->partition))
                json_object_set_new(partitions, slice->partition, json_array());
            if (added)
                json_array_append_new(json_object_get(partitions, slice->partition),
                                      json_string(slice->file_group));
        }
    }
    mor_map_done(&seen);
    return partitions;
}

// Statistics of the new files, and the files in the order of the statistics.
static json_t *commit_build(struct hudi_rewrite *rewrite, json_t *take_extra)
{
    struct hudi_file_stat *stats = mor_calloc(rewrite->file_count + 1, sizeof *stats);
    size_t count = 0;
    bool merge = rewrite->kind == MOR_REWRITE_MERGE;
    for (size_t i = 0; i < rewrite->file_count; i++) {
        const struct hudi_rewrite_file *file = rewrite->files[i];
        if (file->fits)
            stats[count++] =
                (struct hudi_file_stat){.partition = (char *)(uintptr_t)file->sources[0]->partition,
                                        .file_id = file->file_id,
                                        .name = file->name,
                                        .rows = file->row_count,
                                        .size_bytes = file->size_bytes};
    }
    json_t *json = hudi_commit_build(hudi_rewrite_table(rewrite), rewrite->instant, stats, count,
                                     merge ? "COMPACT" : "CLUSTER", take_extra);
    free(stats);
    json_t *partitions = json_object_get(json, "partitionToWriteStats");
    for (size_t i = 0; i < rewrite->file_count && merge; i++) {
        const struct hudi_rewrite_file *file = rewrite->files[i];
        json_t *list = json_object_get(partitions, file->sources[0]->partition), *stat;
        size_t n;
        json_array_foreach(list, n, stat)
        {
            if (strcmp(hudi_json_text(stat, "fileId"), file->file_id) == 0 && file->fits)
                add_merge_counts(rewrite, file, stat);
        }
    }
    return json;
}

enum mor_status hudi_rewrite_completed(struct hudi_rewrite *rewrite, struct mor_buffer *ret_bytes,
                                       struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    json_t *extra = NULL;
    // offsets, watermark and ledger of the newest commit go on
    MOR_TRY(hudi_extra_base(table, &extra, err));
    if (!json_object_get(extra, "schema"))
        json_object_set_new(extra, "schema", json_string(table->schema_json));
    HUDI_AUTO_JSON *json = commit_build(rewrite, extra);
    if (rewrite->kind == MOR_REWRITE_MERGE) {
        json_object_set_new(json, "compacted", json_true());
        return hudi_commit_encode(table, json, ret_bytes, err);
    }
    json_object_set_new(json, "partitionToReplaceFileIds", replaced_groups(rewrite));
    if (table->version >= 8)
        return hudi_metadata_to_avro(HUDI_RECORD_REPLACE_COMMIT, json, ret_bytes, err);
    hudi_metadata_to_json(json, ret_bytes);
    return MOR_OK;
}
