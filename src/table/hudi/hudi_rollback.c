// Failed commits of versions of this program that wrote data files to their places before the
// commit was decided: their files go, then their pending instants, and a rollback instant says so.
// What is written today leaves nothing but its staging folder.
//
// Whose a file is: base files, and logs since version 8, are named by their commit; logs of version
// 6 carry it in the token of their name (hudi_file.h). Whose an instant is: our inflight files
// carry a mark. A rollback that crashed half way leaves its own mark beside the lock and is begun
// again.
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define MARK_PREFIX ".hoodie/moraine/rollback-"

struct doomed {
    const char *partition;
    const char *name;
    const char *instant; // of the failed commit
};

struct doomed_list {
    struct mor_arena arena;
    struct doomed *files;
    size_t count, capacity;
};

static void doomed_add(struct doomed_list *list, const char *partition, const char *name,
                       const char *instant)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->files = mor_realloc(list->files, list->capacity * sizeof *list->files);
    }
    list->files[list->count++] = (struct doomed){
        .partition = mor_arena_strdup(&list->arena, partition),
        .name = mor_arena_strdup(&list->arena, name),
        .instant = mor_arena_strdup(&list->arena, instant),
    };
}

static void doomed_done(struct doomed_list *list)
{
    free(list->files);
    mor_arena_done(&list->arena);
}

// ---- one failed instant -------------------------------------------------------------------------

static json_t *instant_info(const char *time)
{
    json_t *info = json_object();
    json_object_set_new(info, "commitTime", json_string(time));
    json_object_set_new(info, "action", json_string("deltacommit"));
    return info;
}

// Files of one instant by partition: {"partition": ["path", ...]}.
static json_t *group_files(const struct hudi_table *table, const struct doomed_list *list,
                           const char *instant)
{
    json_t *partitions = json_object();
    for (size_t i = 0; i < list->count; i++) {
        const struct doomed *file = &list->files[i];
        if (strcmp(file->instant, instant) != 0)
            continue;
        json_t *paths = json_object_get(partitions, file->partition);
        if (!paths) {
            json_object_set_new(partitions, file->partition, json_array());
            paths = json_object_get(partitions, file->partition);
        }
        MOR_AUTO_FREE char *key = hudi_data_key(file->partition, file->name);
        MOR_AUTO_FREE char *path =
            mor_asprintf("%s/%s", mor_store_location(table->table.store), key);
        json_array_append_new(paths, json_string(path));
    }
    return partitions;
}

static json_t *build_plan(const json_t *partitions, const char *instant)
{
    json_t *plan = json_object(), *requests = json_array();
    json_object_set_new(plan, "instantToRollback", instant_info(instant));
    const char *partition;
    json_t *paths;
    json_object_foreach((json_t *)(uintptr_t)partitions, partition, paths)
    {
        json_t *request = json_object();
        json_object_set_new(request, "partitionPath", json_string(partition));
        json_object_set_new(request, "fileId", json_string(""));
        json_object_set_new(request, "latestBaseInstant", json_string(""));
        json_object_set(request, "filesToBeDeleted", paths);
        json_object_set_new(request, "logBlocksToBeDeleted", json_object());
        json_array_append_new(requests, request);
    }
    json_object_set_new(plan, "RollbackRequests", requests);
    json_object_set_new(plan, "version", json_integer(1));
    return plan;
}

static json_t *build_metadata(const json_t *partitions, const char *instant, const char *rollback,
                              int64_t file_count, int64_t taken_ms)
{
    json_t *metadata = json_object(), *by_partition = json_object();
    json_object_set_new(metadata, "startRollbackTime", json_string(rollback));
    json_object_set_new(metadata, "timeTakenInMillis", json_integer(taken_ms));
    json_object_set_new(metadata, "totalFilesDeleted", json_integer(file_count));
    json_object_set_new(metadata, "commitsRollback", json_pack("[s]", instant));
    const char *partition;
    json_t *paths;
    json_object_foreach((json_t *)(uintptr_t)partitions, partition, paths)
    {
        json_t *entry = json_object();
        json_object_set_new(entry, "partitionPath", json_string(partition));
        json_object_set(entry, "successDeleteFiles", paths);
        json_object_set_new(entry, "failedDeleteFiles", json_array());
        json_object_set_new(entry, "rollbackLogFiles", json_object());
        json_object_set_new(entry, "logFilesFromFailedCommit", json_object());
        json_object_set_new(by_partition, partition, entry);
    }
    json_object_set_new(metadata, "partitionMetadata", by_partition);
    json_object_set_new(metadata, "version", json_integer(1));
    json_t *instants = json_array();
    json_array_append_new(instants, instant_info(instant));
    json_object_set_new(metadata, "instantsRollback", instants);
    return metadata;
}

static enum mor_status delete_pending(struct hudi_table *table, const char *instant,
                                      enum hudi_action action, struct mor_error *err)
{
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(table->layout, instant, action, HUDI_INFLIGHT, "");
    MOR_AUTO_FREE char *requested =
        hudi_instant_key(table->layout, instant, action, HUDI_REQUESTED, "");
    // the mark of ownership is in the inflight file, so it goes last
    MOR_TRY(mor_store_delete(table->table.store, requested, true, err));
    return mor_store_delete(table->table.store, inflight, true, err);
}

static enum mor_status delete_files(struct hudi_table *table, const struct doomed_list *list,
                                    const char *instant, int64_t *count, struct mor_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->files[i].instant, instant) != 0)
            continue;
        MOR_AUTO_FREE char *key = hudi_data_key(list->files[i].partition, list->files[i].name);
        MOR_TRY(mor_store_delete(table->table.store, key, false, err));
        (*count)++;
    }
    return mor_store_sync(table->table.store, err);
}

// Announces the rollback; *ret_time is its instant.
static enum mor_status announce(struct hudi_table *table, const json_t *partitions,
                                const char *instant, const char *time, struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    MOR_AUTO_FREE char *mark = mor_asprintf("%s%s", MARK_PREFIX, time);
    MOR_AUTO_FREE char *requested =
        hudi_instant_key(table->layout, time, HUDI_ACTION_ROLLBACK, HUDI_REQUESTED, "");
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(table->layout, time, HUDI_ACTION_ROLLBACK, HUDI_INFLIGHT, "");
    HUDI_AUTO_JSON *plan = build_plan(partitions, instant);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_metadata_to_avro(HUDI_RECORD_ROLLBACK_PLAN, plan, &bytes, err));
    MOR_TRY(mor_store_put_new(store, mark, instant, strlen(instant), err));
    MOR_TRY(mor_fault("hudi.rollback_marked", err));
    MOR_TRY(mor_store_put_new_deferred(store, requested, bytes.data, bytes.size_bytes, err));
    MOR_TRY(mor_store_put_new_deferred(store, inflight, "", 0, err));
    MOR_TRY(mor_store_sync(store, err));
    return mor_fault("hudi.rollback_announced", err);
}

static enum mor_status complete(struct hudi_table *table, const json_t *partitions,
                                const char *instant, const char *time, int64_t file_count,
                                int64_t started_ms, struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    char completion[HUDI_TIME_SIZE];
    hudi_time_next(time, completion);
    MOR_AUTO_FREE char *key =
        hudi_instant_key(table->layout, time, HUDI_ACTION_ROLLBACK, HUDI_COMPLETED, completion);
    MOR_AUTO_FREE char *mark = mor_asprintf("%s%s", MARK_PREFIX, time);
    HUDI_AUTO_JSON *metadata =
        build_metadata(partitions, instant, time, file_count, mor_clock_mono_ms() - started_ms);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_metadata_to_avro(HUDI_RECORD_ROLLBACK, metadata, &bytes, err));
    MOR_TRY(mor_store_put_new(store, key, bytes.data, bytes.size_bytes, err));
    return mor_store_delete(store, mark, true, err);
}

static enum mor_status rollback_one(struct hudi_table *table, const struct doomed_list *list,
                                    const char *instant, struct mor_error *err)
{
    HUDI_AUTO_JSON *partitions = group_files(table, list, instant);
    if (json_object_size(partitions) == 0)
        return delete_pending(table, instant, HUDI_ACTION_DELTACOMMIT, err);
    int64_t started_ms = mor_clock_mono_ms(), file_count = 0;
    char time[HUDI_TIME_SIZE];
    const char *last = table->timeline.last;
    hudi_time_next(strcmp(last, instant) > 0 ? last : instant, time);
    memcpy(table->timeline.last, time, sizeof time);
    MOR_TRY(announce(table, partitions, instant, time, err));
    MOR_TRY(delete_files(table, list, instant, &file_count, err));
    MOR_TRY(mor_fault("hudi.rollback_deleted", err));
    MOR_TRY(delete_pending(table, instant, HUDI_ACTION_DELTACOMMIT, err));
    MOR_TRY(mor_fault("hudi.rollback_cleared", err));
    return complete(table, partitions, instant, time, file_count, started_ms, err);
}

// ---- what older versions left
// ---------------------------------------------------------------------

struct searching {
    struct hudi_table *table;
    const struct mor_map *failed;
    const char *newest; // completed commit
    struct doomed_list *list;
};

static enum mor_status search(void *context, const char *partition, const char *name,
                              const struct hudi_file *file, int64_t size_bytes,
                              struct mor_error *err)
{
    (void)size_bytes;
    (void)err;
    struct searching *searching = context;
    for (size_t i = 0; i < searching->failed->count; i++) {
        const char *instant = searching->failed->entries[i].key;
        if (hudi_file_belongs(file, searching->table->version, instant)) {
            doomed_add(searching->list, partition, name, instant);
            return MOR_OK;
        }
    }
    // A power failure can take the pending instant and leave the file. It must go before it is
    // older than the timeline, when readers would count it as committed.
    char instant[HUDI_TIME_SIZE];
    hudi_file_commit(file, instant);
    if (strcmp(instant, searching->newest) > 0 &&
        !hudi_timeline_find(&searching->table->timeline, instant))
        doomed_add(searching->list, partition, name, instant);
    return MOR_OK;
}

// Rollbacks of ours that a crash cut: their instants go, the work is done again under a new one.
static enum mor_status clear_cut_rollbacks(struct hudi_table *table, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    enum mor_status status =
        mor_store_list(table->table.store, ".hoodie/moraine", false, &arena, &objects, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        size_t prefix = strlen(MARK_PREFIX);
        if (strncmp(objects[i].key, MARK_PREFIX, prefix) != 0)
            continue;
        const char *time = objects[i].key + prefix;
        const struct hudi_instant *instant = hudi_timeline_find(&table->timeline, time);
        if (hudi_time_is_valid(time, strlen(time)) && instant &&
            instant->completed == HUDI_ACTION_NONE)
            status = delete_pending(table, time, HUDI_ACTION_ROLLBACK, err);
        if (status == MOR_OK)
            status = mor_store_delete(table->table.store, objects[i].key, true, err);
    }
    mor_arena_done(&arena);
    return status;
}

// Files that another instance moved to their places since the timeline was read are no orphans.
static enum mor_status spare_decided(struct hudi_table *table, struct doomed_list *list,
                                     struct mor_error *err)
{
    struct hudi_slot slot = {0};
    MOR_TRY(hudi_chain_head(table->table.store, &slot, err));
    uint64_t last = slot.number;
    hudi_slot_done(&slot);
    for (uint64_t number = table->head.number + 1; number <= last; number++) {
        MOR_TRY(hudi_chain_read(table->table.store, number, &slot, err));
        size_t kept = 0;
        for (size_t i = 0; i < list->count; i++) {
            if (strcmp(list->files[i].instant, slot.instant) != 0)
                list->files[kept++] = list->files[i];
        }
        list->count = kept;
        hudi_slot_done(&slot);
    }
    return MOR_OK;
}

static enum mor_status rollback_all(struct hudi_table *table, const struct mor_map *failed,
                                    struct mor_error *err)
{
    struct doomed_list list = {0};
    mor_arena_init(&list.arena, 0, NULL);
    struct searching searching = {.table = table,
                                  .failed = failed,
                                  .newest = hudi_base_version(&table->timeline),
                                  .list = &list};
    struct mor_arena arena;
    mor_arena_init(&arena, 1u << 20, NULL);
    enum mor_status status =
        hudi_files_visit(table->table.store, &arena, search, &searching, NULL, NULL, err);
    if (status == MOR_OK)
        status = spare_decided(table, &list, err);
    for (size_t i = 0; i < failed->count && status == MOR_OK; i++)
        status = rollback_one(table, &list, failed->entries[i].key, err);
    for (size_t i = 0; i < list.count && status == MOR_OK; i++) {
        // what is left belongs to no instant
        MOR_AUTO_FREE char *key = hudi_data_key(list.files[i].partition, list.files[i].name);
        status = mor_store_delete(table->table.store, key, false, err);
    }
    if (status == MOR_OK)
        status = mor_store_sync(table->table.store, err);
    mor_arena_done(&arena);
    doomed_done(&list);
    return status;
}

enum mor_status hudi_rollback_failed(struct hudi_table *table, struct mor_error *err)
{
    struct mor_map failed = {0};
    enum mor_status status =
        hudi_timeline_load(&table->timeline, table->table.store, table->layout, err);
    if (status == MOR_OK)
        status = clear_cut_rollbacks(table, err);
    if (status == MOR_OK)
        status = hudi_base_settle(table, &failed, err);
    if (status == MOR_OK)
        status = rollback_all(table, &failed, err);
    mor_map_done(&failed);
    return status;
}
