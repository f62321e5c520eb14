// A clean instant: the files that go are named by the slot, so that whoever helps deletes them too,
// and the completed instant comes when they are gone. Readers that want an older snapshot are told
// by it that its files were cleaned.
#include "hudi/hudi_clean.h"

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define POLICY "KEEP_LATEST_BY_HOURS"

static const char *name_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

static char *partition_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return mor_strndup(key, slash ? (size_t)(slash - key) : 0);
}

// The array `member` of the partition's object, which is made when it is not there.
static json_t *list_of(json_t *partitions, const char *key, const char *member)
{
    MOR_AUTO_FREE char *partition = partition_of(key);
    json_t *object = json_object_get(partitions, partition);
    if (!object) {
        object = member ? json_object() : json_array();
        json_object_set_new(partitions, partition, object);
        if (member) {
            json_object_set_new(object, "partitionPath", json_string(partition));
            json_object_set_new(object, "policy", json_string(POLICY));
            json_object_set_new(object, "deletePathPatterns", json_array());
            json_object_set_new(object, "successDeleteFiles", json_array());
            json_object_set_new(object, "failedDeleteFiles", json_array());
            json_object_set_new(object, "isPartitionDeleted", json_false());
        }
    }
    return member ? json_object_get(object, member) : object;
}

static json_t *plan_build(const struct hudi_expiring *expiring)
{
    const struct hudi_table *table = expiring->table;
    const struct hudi_instant *oldest = hudi_timeline_find(&table->timeline, expiring->oldest);
    json_t *plan = json_object(), *partitions = json_object();
    for (size_t i = 0; i < expiring->file_count; i++) {
        const char *key = expiring->files[i].key;
        MOR_AUTO_FREE char *path =
            mor_asprintf("%s/%s", mor_store_location(table->table.store), key);
        json_t *file = json_object();
        json_object_set_new(file, "filePath", json_string(path));
        json_object_set_new(file, "isBootstrapBaseFile", json_false());
        json_array_append_new(list_of(partitions, key, NULL), file);
    }
    json_t *earliest = json_object();
    json_object_set_new(earliest, "timestamp", json_string(expiring->oldest));
    json_object_set_new(
        earliest, "action",
        json_string(hudi_action_name(oldest ? oldest->completed : HUDI_ACTION_DELTACOMMIT)));
    json_object_set_new(earliest, "state", json_string("COMPLETED"));
    json_object_set_new(plan, "earliestInstantToRetain", earliest);
    json_object_set_new(plan, "lastCompletedCommitTimestamp",
                        json_string(hudi_base_version(&table->timeline)));
    json_object_set_new(plan, "policy", json_string(POLICY));
    json_object_set_new(plan, "filesToBeDeletedPerPartition", json_object());
    json_object_set_new(plan, "version", json_integer(2));
    json_object_set_new(plan, "filePathsToBeDeletedPerPartition", partitions);
    json_object_set_new(plan, "partitionsToBeDeleted", json_array());
    return plan;
}

static json_t *metadata_build(const struct hudi_expiring *expiring, const char *instant)
{
    json_t *metadata = json_object(), *partitions = json_object();
    for (size_t i = 0; i < expiring->file_count; i++) {
        const char *key = expiring->files[i].key;
        json_array_append_new(list_of(partitions, key, "deletePathPatterns"),
                              json_string(name_of(key)));
        json_array_append_new(list_of(partitions, key, "successDeleteFiles"),
                              json_string(name_of(key)));
    }
    json_object_set_new(metadata, "startCleanTime", json_string(instant));
    json_object_set_new(metadata, "timeTakenInMillis",
                        json_integer(mor_clock_wall_ms() - expiring->now_ms));
    json_object_set_new(metadata, "totalFilesDeleted",
                        json_integer((json_int_t)expiring->file_count));
    json_object_set_new(metadata, "earliestCommitToRetain", json_string(expiring->oldest));
    json_object_set_new(metadata, "lastCompletedCommitTimestamp",
                        json_string(hudi_base_version(&expiring->table->timeline)));
    json_object_set_new(metadata, "partitionMetadata", partitions);
    json_object_set_new(metadata, "version", json_integer(2));
    return metadata;
}

static enum mor_status stage(struct hudi_expiring *expiring, struct hudi_change *change,
                             struct mor_buffer *completed, struct mor_error *err)
{
    int layout = expiring->table->layout;
    const char *instant = change->slot.instant;
    HUDI_AUTO_JSON *plan = plan_build(expiring);
    HUDI_AUTO_JSON *metadata = metadata_build(expiring, instant);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_metadata_to_avro(HUDI_RECORD_CLEAN_PLAN, plan, &bytes, err));
    MOR_TRY(hudi_metadata_to_avro(HUDI_RECORD_CLEAN, metadata, completed, err));
    MOR_AUTO_FREE char *requested =
        hudi_instant_key(layout, instant, HUDI_ACTION_CLEAN, HUDI_REQUESTED, "");
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(layout, instant, HUDI_ACTION_CLEAN, HUDI_INFLIGHT, "");
    MOR_TRY(hudi_change_put(change, requested, bytes.data, bytes.size_bytes, err));
    MOR_TRY(hudi_change_put(change, inflight, bytes.data, bytes.size_bytes, err));
    for (size_t i = 0; i < expiring->file_count; i++)
        hudi_change_add_delete(change, expiring->files[i].key);
    return mor_fault("hudi.clean_staged", err);
}

enum mor_status hudi_clean_publish(struct hudi_expiring *expiring, struct mor_error *err)
{
    struct hudi_table *table = expiring->table;
    struct mor_uuid id = mor_uuid_v7();
    struct hudi_change change;
    MOR_AUTO_BUFFER completed = {0};
    hudi_change_init(&change, table, HUDI_SLOT_REWRITE, &id, HUDI_ACTION_CLEAN,
                     table->timeline.last);
    enum mor_status status = stage(expiring, &change, &completed, err);
    if (status == MOR_OK)
        status = hudi_change_decide(&change, &table->head, table->timeline.last, &completed, NULL,
                                    NULL, err);
    hudi_change_done(&change);
    return status;
}
