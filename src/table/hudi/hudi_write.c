// Life of a deltacommit T:
//
//   begin   properties unchanged, timeline read again; T.inflight (marked as ours), then
//   T.requested group   partition metadata, base file or log; bytes durable, names with the next
//   sync commit  under the commit lock: still ours to write? names durable; completed file
//   put-if-absent
#include <stdio.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define COMMIT_LOCK_WAIT_MS 10000

char *hudi_data_key(const char *partition, const char *name)
{
    return *partition ? mor_asprintf("%s/%s", partition, name) : mor_strdup(name);
}

// ---- begin --------------------------------------------------------------------------------------

// The inflight file comes first: it carries our mark, without which the requested file would look
// like another writer's after a crash. Both are durable before the first data file.
static enum mor_status announce(struct hudi_table *table, struct hudi_write *write,
                                struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(table->layout, write->instant, HUDI_ACTION_DELTACOMMIT, HUDI_INFLIGHT, "");
    MOR_AUTO_FREE char *requested = hudi_instant_key(table->layout, write->instant,
                                                     HUDI_ACTION_DELTACOMMIT, HUDI_REQUESTED, "");
    json_t *extra = json_object();
    json_object_set_new(extra, HUDI_INSTANCE_KEY, json_string(table->instance));
    HUDI_AUTO_JSON *json = hudi_commit_build(table, write->instant, NULL, 0, "UPSERT", extra);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_commit_encode(table, json, &bytes, err));
    MOR_TRY(mor_fault("hudi.begin", err));
    write->announced = true;
    MOR_TRY(mor_store_put_new_deferred(store, inflight, bytes.data, bytes.size_bytes, err));
    MOR_TRY(mor_fault("hudi.inflight", err));
    MOR_TRY(mor_store_put_new_deferred(store, requested, "", 0, err));
    MOR_TRY(mor_store_sync(store, err));
    return mor_fault("hudi.requested", err);
}

enum mor_status hudi_write_begin(struct mor_table *head, const struct mor_uuid *batch_id,
                                 struct mor_write **ret_write, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    // first whether the table is there at all: its lock goes with it
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(mor_lock_check(table->lock, err));
    MOR_TRY(hudi_timeline_load(&table->timeline, head->store, table->layout, err));
    MOR_TRY(hudi_rollback_failed(table, false, err));
    if (table->groups_digest != hudi_timeline_digest(&table->timeline))
        MOR_TRY(hudi_groups_load(table, err));
    struct hudi_write *write = mor_calloc(1, sizeof *write);
    write->write.table = head;
    write->batch_id = *batch_id;
    pthread_mutex_init(&write->mutex, NULL);
    hudi_time_next(table->timeline.last, write->instant);
    enum mor_status status = announce(table, write, err);
    if (status != MOR_OK) {
        hudi_write_free(&write->write);
        return status;
    }
    *ret_write = &write->write;
    return MOR_OK;
}

// ---- groups -------------------------------------------------------------------------------------

// Java sees a directory as a partition only when this file is in it, so it comes before the data.
static enum mor_status ensure_partition(struct hudi_table *table, const struct hudi_write *write,
                                        const char *partition, struct mor_error *err)
{
    {
        MOR_LOCKED(&table->mutex);
        if (mor_map_find_text(&table->partitions, partition))
            return MOR_OK;
    }
    int depth = *partition ? 1 : 0;
    for (const char *c = partition; *c; c++)
        depth += *c == '/';
    MOR_AUTO_FREE char *key = hudi_data_key(partition, HUDI_PARTITION_FILE);
    MOR_AUTO_FREE char *text = mor_asprintf(
        "#partition metadata\ncommitTime=%s\npartitionDepth=%d\n", write->instant, depth);
    enum mor_status status =
        mor_store_put_new_deferred(table->table.store, key, text, strlen(text), err);
    if (status != MOR_OK && status != MOR_CONFLICT)
        return status;
    *err = MOR_ERROR_INIT;
    MOR_LOCKED(&table->mutex);
    mor_map_put_text(&table->partitions, partition, NULL);
    return MOR_OK;
}

static void stat_free(struct hudi_file_stat *stat)
{
    free(stat->partition);
    free(stat->file_id);
    free(stat->name);
}

static struct hudi_file_stat stat_copy(const struct hudi_file_stat *stat)
{
    struct hudi_file_stat copy = *stat;
    copy.partition = mor_strdup(stat->partition);
    copy.file_id = mor_strdup(stat->file_id);
    copy.name = mor_strdup(stat->name);
    return copy;
}

// Takes the stat in. Before its file is written (sizes still 0), so that a rollback knows the name
// of whatever may be on disk; the finished stat replaces it.
static size_t stat_add(struct hudi_write *write, const struct hudi_file_stat *stat)
{
    MOR_LOCKED(&write->mutex);
    if (write->stat_count == write->stat_capacity) {
        write->stat_capacity = write->stat_capacity ? write->stat_capacity * 2 : 16;
        write->stats = mor_realloc(write->stats, write->stat_capacity * sizeof *write->stats);
    }
    write->stats[write->stat_count] = stat_copy(stat);
    return write->stat_count++;
}

static void stat_finish(struct hudi_write *write, size_t index, const struct hudi_file_stat *stat)
{
    MOR_LOCKED(&write->mutex);
    write->stats[index].rows = stat->rows;
    write->stats[index].deletes = stat->deletes;
    write->stats[index].size_bytes = stat->size_bytes;
}

static int32_t next_number(struct hudi_write *write)
{
    MOR_LOCKED(&write->mutex);
    return write->file_number++;
}

enum mor_status hudi_write_group(struct mor_write *base, const struct mor_change_set *changes,
                                 size_t group_index, struct mor_error *err)
{
    struct hudi_write *write = (struct hudi_write *)base;
    struct hudi_table *table = hudi_of(base->table);
    const struct mor_change_group *group = &changes->groups[group_index];
    char file_id[64];
    int32_t number = group->bucket;
    const struct hudi_group *known = NULL;
    if (table->table.keyed) {
        hudi_bucket_file_id(group->bucket, file_id);
        known = hudi_group_find(table, group->partition, file_id);
        // another writer of the bucket index may have made the group: only the first part is the
        // bucket
        if (known)
            snprintf(file_id, sizeof file_id, "%s", known->file_id);
    } else {
        struct mor_uuid uuid = mor_uuid_v4();
        mor_uuid_format(&uuid, file_id);
        memcpy(file_id + MOR_UUID_TEXT_SIZE - 1, "-0", 3);
        number = next_number(write);
    }
    // nothing is there that a delete could remove
    if (group->upsert_count == 0 && (!known || group->delete_count == 0))
        return MOR_OK;
    struct hudi_file_stat stat = {
        .partition = (char *)(uintptr_t)group->partition, .file_id = file_id, .is_log = known};
    if (known && table->version >= 8) {
        stat.log_version = 1;
        stat.name = hudi_log_name(file_id, write->instant, 1, number, write->instant);
    } else if (known) {
        stat.log_version = known->log_version + 1;
        stat.name =
            hudi_log_name(file_id, known->name_instant, stat.log_version, number, write->instant);
    } else {
        stat.name = hudi_base_name(file_id, number, write->instant);
    }
    MOR_AUTO_FREE char *name = stat.name;
    size_t index = stat_add(write, &stat);
    MOR_TRY(ensure_partition(table, write, group->partition, err));
    MOR_TRY(mor_fault("hudi.group", err));
    if (known)
        MOR_TRY(hudi_encode_log(write, changes, group, number, &stat, err));
    else
        MOR_TRY(hudi_encode_base(write, changes, group, number, &stat, err));
    stat_finish(write, index, &stat);
    return mor_fault("hudi.group_written", err);
}

// ---- commit -------------------------------------------------------------------------------------

static enum mor_status check_fence(struct hudi_table *table, const char *fence_key,
                                   const char *fence_value, struct mor_error *err)
{
    if (!fence_key)
        return MOR_OK;
    const char *value = NULL;
    MOR_TRY(hudi_extra_find(table, fence_key, &value, err));
    if ((!value && !fence_value) || (value && fence_value && strcmp(value, fence_value) == 0))
        return MOR_OK;
    return mor_error_set(err, MOR_FENCED,
                         "the table's newest '%s' is not what it was when this "
                         "batch began",
                         fence_key);
}

// Somebody completed an instant since begin. What is merged by log and compaction beside us is no
// conflict in versions 8 and 9, where a log belongs to its slice by completion time; cleaning and
// rolling back never touch the newest slices. Everything else may have changed what our files build
// on.
static enum mor_status check_others(struct hudi_table *table, const struct hudi_write *write,
                                    const struct hudi_timeline *before, struct mor_error *err)
{
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *now = &table->timeline.instants[i];
        const struct hudi_instant *then = hudi_timeline_find(before, now->time);
        bool fresh_plan = now->pending == HUDI_ACTION_COMPACTION && !then;
        bool completed =
            now->completed != HUDI_ACTION_NONE && (!then || then->completed == HUDI_ACTION_NONE);
        bool harmless =
            now->completed == HUDI_ACTION_CLEAN || now->completed == HUDI_ACTION_ROLLBACK ||
            now->completed == HUDI_ACTION_SAVEPOINT || now->completed == HUDI_ACTION_INDEXING;
        bool compaction =
            now->completed == HUDI_ACTION_COMMIT && now->pending == HUDI_ACTION_COMPACTION;
        if (table->version >= 8 && (compaction || (fresh_plan && !completed)))
            continue;
        // version 6: the logs of this commit are named by the plan when it was known at begin
        if (compaction && then && then->pending == HUDI_ACTION_COMPACTION)
            continue;
        if ((completed && !harmless) || fresh_plan)
            return mor_error_set(
                err, MOR_CONFLICT, "instant %s (%s) came in while %s was written", now->time,
                hudi_action_name(completed ? now->completed : now->pending), write->instant);
    }
    for (size_t i = 0; i < before->count; i++) {
        const struct hudi_instant *then = &before->instants[i];
        if (then->completed == HUDI_ACTION_NONE)
            continue;
        const struct hudi_instant *now = hudi_timeline_find(&table->timeline, then->time);
        // archived instants are older than all that is left
        if (!now && strcmp(then->time, table->timeline.start) >= 0)
            return mor_error_set(err, MOR_CONFLICT,
                                 "instant %s was taken back while %s was written", then->time,
                                 write->instant);
    }
    return MOR_OK;
}

// A Java writer in its default mode rolls back what it finds pending: it deletes our files first
// and our inflight file last, so its rollback must not have begun either.
static enum mor_status check_rollbacks(const struct hudi_table *table,
                                       const struct hudi_write *write,
                                       const struct hudi_timeline *before, struct mor_error *err)
{
    const struct hudi_instant *own = hudi_timeline_find(&table->timeline, write->instant);
    if (!own || !own->inflight)
        return mor_error_set(err, MOR_CONFLICT, "instant %s was rolled back by another writer",
                             write->instant);
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *now = &table->timeline.instants[i];
        bool undoes = now->pending == HUDI_ACTION_ROLLBACK || now->pending == HUDI_ACTION_RESTORE;
        if (undoes && now->completed == HUDI_ACTION_NONE && !hudi_timeline_find(before, now->time))
            return mor_error_set(err, MOR_CONFLICT,
                                 "another writer began a %s (%s) while %s was written",
                                 hudi_action_name(now->pending), now->time, write->instant);
    }
    return MOR_OK;
}

static enum mor_status check_head(struct hudi_table *table, struct hudi_write *write,
                                  const char *fence_key, const char *fence_value,
                                  struct mor_error *err)
{
    // first whether the table is there at all: its lock goes with it
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(mor_lock_check(table->lock, err));
    struct hudi_timeline before = table->timeline;
    table->timeline = (struct hudi_timeline){0};
    enum mor_status status =
        hudi_timeline_load(&table->timeline, table->table.store, table->layout, err);
    if (status != MOR_OK) {
        table->timeline = before;
        return status;
    }
    status = check_rollbacks(table, write, &before, err);
    if (status == MOR_OK)
        status = check_fence(table, fence_key, fence_value, err);
    if (status == MOR_OK && table->groups_digest != hudi_timeline_digest(&table->timeline))
        status = check_others(table, write, &before, err);
    hudi_timeline_done(&before);
    return status;
}

static json_t *build_extra(const struct hudi_table *table, const struct mor_property *properties,
                           size_t property_count)
{
    json_t *extra = json_object();
    json_object_set_new(extra, "schema", json_string(table->schema_json));
    for (size_t i = 0; i < property_count; i++) {
        json_object_set_new(extra, properties[i].key, json_string(properties[i].value));
        if (strcmp(properties[i].key, MOR_PROPERTY_CHECKPOINT) == 0)
            json_object_set_new(extra,
                                table->version >= 8 ? "streamer.checkpoint.key.v2"
                                                    : "deltastreamer.checkpoint.key",
                                json_string(properties[i].value));
    }
    return extra;
}

// Takes the commit into what is known of the table, as if it had been read back.
static void apply(struct hudi_table *table, const struct hudi_write *write, json_t *extra,
                  struct mor_commit_result *ret_result)
{
    *ret_result = (struct mor_commit_result){.file_count = (int64_t)write->stat_count};
    memcpy(ret_result->version, write->instant, strlen(write->instant) + 1);
    for (size_t i = 0; i < write->stat_count; i++) {
        const struct hudi_file_stat *stat = &write->stats[i];
        ret_result->bytes_written += stat->size_bytes;
        ret_result->log_file_count += stat->is_log;
        if (!stat->is_log)
            hudi_group_add_base(table, stat->partition, stat->file_id, stat->name, write->instant,
                                stat->size_bytes);
        else if (table->version < 8)
            hudi_group_add_log(hudi_group_find(table, stat->partition, stat->file_id), stat->name,
                               stat->log_version);
    }
    hudi_extra_remember(table, write->instant, extra);
    bool alone = table->groups_digest == hudi_timeline_digest(&table->timeline);
    hudi_timeline_complete(&table->timeline, write->instant, HUDI_ACTION_DELTACOMMIT,
                           write->completion);
    if (alone)
        table->groups_digest = hudi_timeline_digest(&table->timeline);
}

static enum mor_status publish(struct hudi_table *table, struct hudi_write *write,
                               json_t *take_extra, struct mor_error *err)
{
    const char *operation = table->table.keyed ? "UPSERT" : "INSERT";
    HUDI_AUTO_JSON *json = hudi_commit_build(table, write->instant, write->stats, write->stat_count,
                                             operation, take_extra);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_commit_encode(table, json, &bytes, err));
    MOR_TRY(mor_fault("hudi.sync", err));
    // every data file is durable, its name included, before anybody can see the commit
    MOR_TRY(mor_store_sync(table->table.store, err));
    hudi_time_next(table->timeline.last, write->completion);
    MOR_AUTO_FREE char *key = hudi_instant_key(
        table->layout, write->instant, HUDI_ACTION_DELTACOMMIT, HUDI_COMPLETED, write->completion);
    MOR_TRY(mor_fault("hudi.publish", err));
    enum mor_status status =
        mor_store_put_new(table->table.store, key, bytes.data, bytes.size_bytes, err);
    if (status == MOR_UNKNOWN)
        write->settled = true;
    if (status != MOR_OK)
        return status;
    write->settled = true;
    if (mor_fault("hudi.published", err) == MOR_OK)
        return MOR_OK;
    err->status = MOR_UNKNOWN; // it is committed, so "failed" would be a lie
    return MOR_UNKNOWN;
}

enum mor_status hudi_write_commit(struct mor_write *base, const struct mor_property *properties,
                                  size_t property_count, const char *fence_key,
                                  const char *fence_value, struct mor_commit_result *ret_result,
                                  struct mor_error *err)
{
    struct hudi_write *write = (struct hudi_write *)base;
    struct hudi_table *table = hudi_of(base->table);
    struct mor_lock *lock = NULL;
    MOR_TRY(mor_fault("hudi.commit", err));
    MOR_TRY(mor_store_lock(table->table.store, HUDI_COMMIT_LOCK_KEY, table->instance,
                           COMMIT_LOCK_WAIT_MS, &lock, err));
    json_t *extra = build_extra(table, properties, property_count);
    HUDI_AUTO_JSON *kept = json_incref(extra);
    enum mor_status status = check_head(table, write, fence_key, fence_value, err);
    if (status == MOR_OK)
        status = publish(table, write, extra, err);
    else
        json_decref(extra);
    if (status == MOR_OK)
        apply(table, write, kept, ret_result);
    mor_lock_free(lock);
    return status;
}

void hudi_write_free(struct mor_write *base)
{
    struct hudi_write *write = (struct hudi_write *)base;
    struct hudi_table *table = hudi_of(base->table);
    if (write->announced && !write->settled) {
        // what cannot be removed now is rolled back by the next begin or open
        struct mor_error ignored = MOR_ERROR_INIT;
        if (hudi_rollback_write(table, write->instant, write->stats, write->stat_count, &ignored) !=
            MOR_OK)
            table->groups_digest = 0;
    }
    for (size_t i = 0; i < write->stat_count; i++)
        stat_free(&write->stats[i]);
    free(write->stats);
    pthread_mutex_destroy(&write->mutex);
    free(write);
}
