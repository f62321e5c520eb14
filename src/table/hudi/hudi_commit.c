// Commit metadata: one write stat per file.
#include <string.h>

#include "hudi/hudi_table.h"

static void set_int(json_t *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

static void set_text(json_t *object, const char *key, const char *value)
{
    // partition values may hold bytes that are no UTF-8 when a foreign tool made the directories
    json_t *text = json_string(value);
    json_object_set_new(object, key, text ? text : json_string_nocheck(value));
}

static json_t *runtime_stats(void)
{
    json_t *stats = json_object();
    set_int(stats, "totalScanTime", 0);
    set_int(stats, "totalUpsertTime", 0);
    set_int(stats, "totalCreateTime", 0);
    return stats;
}

// What a log's stat says of its slice: everything in version 6, only itself since 8.
static void add_log_fields(const struct hudi_table *table, const struct hudi_file_stat *stat,
                           const struct hudi_group *group, json_t *json)
{
    set_int(json, "logVersion", stat->log_version);
    set_int(json, "logOffset", 0);
    set_text(json, "baseFile",
             table->version == 6 && group && group->base_name ? group->base_name : "");
    json_t *logs = json_array();
    if (table->version == 6 && group) {
        for (size_t i = 0; i < group->log_count; i++)
            json_array_append_new(logs, json_string(group->logs[i]));
    }
    json_array_append_new(logs, json_string(stat->name));
    json_object_set_new(json, "logFiles", logs);
}

static json_t *stat_build(const struct hudi_table *table, const char *instant,
                          const struct hudi_file_stat *stat)
{
    static const char *const zeroes[] = {
        "totalLogRecords",       "totalLogFilesCompacted",
        "totalLogSizeCompacted", "totalUpdatedRecordsCompacted",
        "totalLogBlocks",        "totalCorruptLogBlock",
        "totalRollbackBlocks",
    };
    const struct hudi_group *group =
        stat->is_log ? hudi_group_find(table, stat->partition, stat->file_id) : NULL;
    MOR_AUTO_FREE char *path = hudi_data_key(stat->partition, stat->name);
    json_t *json = json_object();
    set_text(json, "fileId", stat->file_id);
    set_text(json, "path", path);
    json_object_set_new(json, "cdcStats", json_null());
    set_text(json, "prevCommit",
             !stat->is_log                  ? "null"
             : table->version == 6 && group ? group->name_instant
                                            : instant);
    set_int(json, "numWrites", stat->rows);
    set_int(json, "numDeletes", stat->deletes);
    // whether a row of a log is new is known to readers only
    set_int(json, "numUpdateWrites", stat->is_log ? stat->rows : 0);
    set_int(json, "numInserts", stat->is_log ? 0 : stat->rows);
    set_int(json, "totalWriteBytes", stat->size_bytes);
    set_int(json, "totalWriteErrors", 0);
    json_object_set_new(json, "tempPath", json_null());
    set_text(json, "partitionPath", stat->partition);
    for (size_t i = 0; i < sizeof zeroes / sizeof zeroes[0]; i++)
        set_int(json, zeroes[i], 0);
    set_int(json, "fileSizeInBytes", stat->size_bytes);
    json_object_set_new(json, "minEventTime", json_null());
    json_object_set_new(json, "maxEventTime", json_null());
    json_object_set_new(json, "runtimeStats", runtime_stats());
    if (stat->is_log)
        add_log_fields(table, stat, group, json);
    return json;
}

json_t *hudi_commit_build(const struct hudi_table *table, const char *instant,
                          const struct hudi_file_stat *stats, size_t stat_count,
                          const char *operation, json_t *take_extra)
{
    json_t *partitions = json_object();
    for (size_t i = 0; i < stat_count; i++) {
        json_t *list = json_object_get(partitions, stats[i].partition);
        if (!list) {
            json_object_set_new(partitions, stats[i].partition, json_array());
            list = json_object_get(partitions, stats[i].partition);
        }
        json_array_append_new(list, stat_build(table, instant, &stats[i]));
    }
    json_t *json = json_object();
    json_object_set_new(json, "partitionToWriteStats", partitions);
    json_object_set_new(json, "compacted", json_false());
    json_object_set_new(json, "extraMetadata", take_extra);
    set_text(json, "operationType", operation);
    return json;
}

enum mor_status hudi_commit_encode(const struct hudi_table *table, const json_t *json,
                                   struct mor_buffer *ret_bytes, struct mor_error *err)
{
    if (table->version >= 8)
        return hudi_metadata_to_avro(HUDI_RECORD_COMMIT, json, ret_bytes, err);
    hudi_metadata_to_json(json, ret_bytes);
    return MOR_OK;
}
