// Life of a deltacommit T:
//
//   begin   the turn of this instance; properties unchanged; what is decided is finished; the base
//   group   base file or log in the staging folder; bytes durable, names with the next sync
//   commit  nothing that the files build on changed; metadata staged, all names durable; the slot
//           after the base, if it is still the head: that decides; then files, T.requested,
//           T.inflight and the completed file get their places
#include <stdio.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

char *hudi_data_key(const char *partition, const char *name)
{
    return *partition ? mor_asprintf("%s/%s", partition, name) : mor_strdup(name);
}

// ---- begin --------------------------------------------------------------------------------------

// The schema of the commit: the table's, and what another instance gave it since this one opened
// it. Columns that came new are left null; a wider type has the table opened again, because not
// every reader takes what would be written with the old one.
static enum mor_status join_schema(struct hudi_table *table, struct hudi_write *write,
                                   struct mor_error *err)
{
    const char *newest = hudi_json_text(write->base, "schema");
    table->table.outgrown = false;
    if (!newest || strcmp(newest, table->schema_json) == 0)
        return MOR_OK;
    MOR_TRY(hudi_schema_join(table, newest, &write->schema_json, err));
    if (strcmp(write->schema_json, table->schema_json) == 0)
        return MOR_OK;
    struct mor_schema *joined = NULL;
    MOR_TRY(hudi_schema_parse(write->schema_json, NULL, 0, &joined, err));
    table->table.outgrown = hudi_schema_has_other_types(table->table.schema, joined);
    mor_schema_free(joined);
    return table->table.outgrown
               ? mor_error_set(err, MOR_FATAL,
                               "another writer has given a column of the table a wider type")
               : MOR_OK;
}

static enum mor_status begin(struct hudi_table *table, struct hudi_write *write,
                             struct mor_error *err)
{
    // first whether the table is there at all: its lock goes with it
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_instance_check(table, err));
    hudi_turn_take(table);
    MOR_TRY(mor_fault("hudi.begin", err));
    MOR_TRY(hudi_base_load(table, err));
    MOR_TRY(hudi_extra_base(table, &write->base, err));
    MOR_TRY(join_schema(table, write, err));
    const char *version = hudi_base_version(&table->timeline);
    memcpy(write->base_version, version, strlen(version) + 1);
    hudi_change_init(&write->change, table, HUDI_SLOT_COMMIT, &write->batch_id,
                     HUDI_ACTION_DELTACOMMIT, table->timeline.last);
    write->instant = write->change.slot.instant;
    write->went_back = table->went_back;
    table->went_back = false;
    return MOR_OK;
}

enum mor_status hudi_write_begin(struct mor_table *head, const struct mor_uuid *batch_id,
                                 struct mor_write **ret_write, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    struct hudi_write *write = mor_calloc(1, sizeof *write);
    write->write.table = head;
    write->batch_id = *batch_id;
    pthread_mutex_init(&write->mutex, NULL);
    enum mor_status status = begin(table, write, err);
    if (status != MOR_OK) {
        hudi_write_free(&write->write);
        return status;
    }
    *ret_write = &write->write;
    return MOR_OK;
}

const char *hudi_write_base_property(const struct mor_write *base, const char *key)
{
    return hudi_json_text(((const struct hudi_write *)base)->base, key);
}

const char *hudi_write_base_version(const struct mor_write *base)
{
    return ((const struct hudi_write *)base)->base_version;
}

bool hudi_write_base_went_back(const struct mor_write *base)
{
    return ((const struct hudi_write *)base)->went_back;
}

// ---- groups -------------------------------------------------------------------------------------

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
    copy.name = stat->name ? mor_strdup(stat->name) : NULL;
    return copy;
}

static void stat_add(struct hudi_write *write, const struct hudi_file_stat *stat)
{
    MOR_LOCKED(&write->mutex);
    if (write->stat_count == write->stat_capacity) {
        write->stat_capacity = write->stat_capacity ? write->stat_capacity * 2 : 16;
        write->stats = mor_realloc(write->stats, write->stat_capacity * sizeof *write->stats);
    }
    write->stats[write->stat_count++] = stat_copy(stat);
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
        hudi_bucket_file_id(group->bucket, group->partition, file_id);
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
    MOR_AUTO_FREE char *name = known ? NULL : hudi_base_name(file_id, number, write->instant);
    struct hudi_file_stat stat = {
        .partition = (char *)(uintptr_t)group->partition,
        .file_id = file_id,
        .name = name,
        .staged = hudi_change_stage_key(&write->change),
        .number = number,
        .is_log = known,
    };
    MOR_TRY(mor_fault("hudi.group", err));
    if (known)
        MOR_TRY(hudi_encode_log(write, changes, group, number, &stat, err));
    else
        MOR_TRY(hudi_encode_base(write, changes, group, number, &stat, err));
    stat_add(write, &stat);
    return mor_fault("hudi.group_written", err);
}

// ---- commit -------------------------------------------------------------------------------------

// An instant that is on the timeline now, compared with what begin saw of it. What is merged by log
// and compaction beside us is no conflict in versions 8 and 9, where a log belongs to its slice by
// completion time; nor in version 6 while the plan is pending, whose instant names the logs.
// Cleaning and rolling back never touch the newest slices. Everything else may have changed what
// our files build on.
static enum mor_status check_instant(const struct hudi_table *table, const struct hudi_write *write,
                                     const struct hudi_instant *now,
                                     const struct hudi_instant *then, struct mor_error *err)
{
    bool completed =
        now->completed != HUDI_ACTION_NONE && (!then || then->completed == HUDI_ACTION_NONE);
    bool undoes = (now->pending == HUDI_ACTION_ROLLBACK || now->pending == HUDI_ACTION_RESTORE) &&
                  now->completed == HUDI_ACTION_NONE && !then;
    if (undoes)
        return mor_error_set(err, MOR_CONFLICT,
                             "another writer began a %s (%s) while %s was written",
                             hudi_action_name(now->pending), now->time, write->instant);
    bool compaction =
        now->completed == HUDI_ACTION_COMMIT && now->pending == HUDI_ACTION_COMPACTION;
    bool known_plan = then && then->pending == HUDI_ACTION_COMPACTION;
    if (!completed || now->completed == HUDI_ACTION_CLEAN ||
        now->completed == HUDI_ACTION_ROLLBACK || now->completed == HUDI_ACTION_SAVEPOINT ||
        now->completed == HUDI_ACTION_INDEXING ||
        (compaction && (table->version >= 8 || known_plan)))
        return MOR_OK;
    return mor_error_set(err, MOR_CONFLICT, "instant %s (%s) came in while %s was written",
                         now->time, hudi_action_name(now->completed), write->instant);
}

static enum mor_status check_others(struct hudi_table *table, const struct hudi_write *write,
                                    const struct hudi_timeline *before, struct mor_error *err)
{
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *now = &table->timeline.instants[i];
        const struct hudi_instant *then = hudi_timeline_find(before, now->time);
        MOR_TRY(check_instant(table, write, now, then, err));
        if (table->version < 8 && now->pending == HUDI_ACTION_COMPACTION && !then)
            MOR_TRY(hudi_groups_apply_plan(table, now, err));
    }
    MOR_TRY(hudi_mend(table, err));
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
    // Readers of version 6 that only compare with the newest commit would see our logs as soon as
    // they have their names, before the commit is completed.
    const char *newest = hudi_base_version(&table->timeline);
    if (table->version < 8 && strcmp(newest, write->instant) > 0)
        return mor_error_set(err, MOR_CONFLICT, "instant %s came in before %s", newest,
                             write->instant);
    return MOR_OK;
}

static enum mor_status check_head(struct hudi_table *table, struct hudi_write *write,
                                  struct mor_error *err)
{
    // first whether the table is there at all: its lock goes with it
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_instance_check(table, err));
    struct hudi_timeline before = table->timeline;
    table->timeline = (struct hudi_timeline){0};
    enum mor_status status =
        hudi_timeline_load(&table->timeline, table->table.store, table->layout, err);
    if (status != MOR_OK) {
        table->timeline = before;
        return status;
    }
    status = check_others(table, write, &before, err);
    hudi_timeline_done(&before);
    return status;
}

// The last look before the slot: nothing may have come in since the files got their names.
static enum mor_status recheck(void *context, struct mor_error *err)
{
    struct hudi_write *write = context;
    struct hudi_table *table = hudi_of(write->write.table);
    uint64_t digest = hudi_timeline_digest(&table->timeline);
    MOR_TRY(check_head(table, write, err));
    if (digest == hudi_timeline_digest(&table->timeline))
        return MOR_OK;
    return mor_error_set(err, MOR_CONFLICT, "the timeline changed while %s was committed",
                         write->instant);
}

// What the base says and this commit does not is carried on: one commit tells everything.
static json_t *build_extra(const struct hudi_table *table, const struct hudi_write *write,
                           const struct mor_property *properties, size_t property_count)
{
    json_t *extra = json_object();
    json_object_set_new(extra, "schema",
                        json_string(write->schema_json ? write->schema_json : table->schema_json));
    json_object_set_new(extra, HUDI_INSTANCE_KEY, json_string(table->instance));
    for (size_t i = 0; i < property_count; i++) {
        json_object_set_new(extra, properties[i].key, json_string(properties[i].value));
        if (strcmp(properties[i].key, MOR_PROPERTY_CHECKPOINT) == 0)
            json_object_set_new(extra,
                                table->version >= 8 ? "streamer.checkpoint.key.v2"
                                                    : "deltastreamer.checkpoint.key",
                                json_string(properties[i].value));
    }
    json_object_update_missing(extra, write->base);
    return extra;
}

// Names of logs: in version 6 they say to which slice a log belongs, which is only known now.
static void name_logs(struct hudi_table *table, struct hudi_write *write)
{
    for (size_t i = 0; i < write->stat_count; i++) {
        struct hudi_file_stat *stat = &write->stats[i];
        if (!stat->is_log)
            continue;
        const struct hudi_group *group = hudi_group_find(table, stat->partition, stat->file_id);
        stat->log_version = table->version >= 8 ? 1 : group->log_version + 1;
        stat->name =
            hudi_log_name(stat->file_id, table->version >= 8 ? write->instant : group->name_instant,
                          stat->log_version, stat->number, write->instant);
    }
}

static void add_files(struct hudi_table *table, struct hudi_write *write)
{
    for (size_t i = 0; i < write->stat_count; i++) {
        const struct hudi_file_stat *stat = &write->stats[i];
        MOR_AUTO_FREE char *key = hudi_data_key(stat->partition, stat->name);
        if (!hudi_has_partition(table, stat->partition))
            hudi_change_add_partition(&write->change, stat->partition);
        hudi_change_add(&write->change, stat->staged, key, stat->size_bytes);
    }
    for (size_t i = 0; i < write->attached_count; i++) {
        const struct hudi_attached *attached = &write->attached[i];
        MOR_AUTO_FREE char *key = hudi_attached_key(attached->kind, write->instant);
        hudi_change_add(&write->change, attached->staged, key, attached->size_bytes);
    }
}

// The files that Java's tools want to find beside a completed instant.
static enum mor_status add_pending(struct hudi_table *table, struct hudi_write *write,
                                   struct mor_error *err)
{
    MOR_AUTO_FREE char *inflight =
        hudi_instant_key(table->layout, write->instant, HUDI_ACTION_DELTACOMMIT, HUDI_INFLIGHT, "");
    MOR_AUTO_FREE char *requested = hudi_instant_key(table->layout, write->instant,
                                                     HUDI_ACTION_DELTACOMMIT, HUDI_REQUESTED, "");
    HUDI_AUTO_JSON *json =
        hudi_commit_build(table, write->instant, NULL, 0, "UPSERT", json_object());
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_commit_encode(table, json, &bytes, err));
    MOR_TRY(hudi_change_put(&write->change, requested, "", 0, err));
    return hudi_change_put(&write->change, inflight, bytes.data, bytes.size_bytes, err);
}

static enum mor_status decide(struct hudi_table *table, struct hudi_write *write,
                              json_t *take_extra, struct mor_error *err)
{
    const char *operation = table->table.keyed ? "UPSERT" : "INSERT";
    HUDI_AUTO_JSON *json = hudi_commit_build(table, write->instant, write->stats, write->stat_count,
                                             operation, take_extra);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(hudi_commit_encode(table, json, &bytes, err));
    add_files(table, write);
    MOR_TRY(add_pending(table, write, err));
    return hudi_change_decide(&write->change, &table->head, table->timeline.last, &bytes, recheck,
                              write, err);
}

// Takes the commit into what is known of the table, as if it had been read back.
static void adopt(struct hudi_table *table, struct hudi_write *write, json_t *extra,
                  struct mor_commit_result *ret_result)
{
    *ret_result = (struct mor_commit_result){.file_count = (int64_t)write->stat_count};
    memcpy(ret_result->version, write->instant, strlen(write->instant) + 1);
    for (size_t i = 0; i < write->stat_count; i++) {
        ret_result->bytes_written += write->stats[i].size_bytes;
        ret_result->log_file_count += write->stats[i].is_log;
    }
    hudi_extra_remember(table, write->instant, extra);
    hudi_base_advance(table, &write->change.slot);
}

enum mor_status hudi_write_commit(struct mor_write *base, const struct mor_property *properties,
                                  size_t property_count, struct mor_commit_result *ret_result,
                                  struct mor_error *err)
{
    struct hudi_write *write = (struct hudi_write *)base;
    struct hudi_table *table = hudi_of(base->table);
    MOR_TRY(mor_fault("hudi.commit", err));
    MOR_TRY(check_head(table, write, err));
    name_logs(table, write);
    json_t *extra = build_extra(table, write, properties, property_count);
    HUDI_AUTO_JSON *kept = json_incref(extra);
    enum mor_status status = decide(table, write, extra, err);
    if (status == MOR_OK)
        adopt(table, write, kept, ret_result);
    hudi_turn_release(table);
    return status;
}

void hudi_write_free(struct mor_write *base)
{
    struct hudi_write *write = (struct hudi_write *)base;
    for (size_t i = 0; i < write->stat_count; i++)
        stat_free(&write->stats[i]);
    for (size_t i = 0; i < write->attached_count; i++)
        free(write->attached[i].kind);
    if (write->instant)
        hudi_change_done(&write->change);
    hudi_turn_release(hudi_of(base->table));
    json_decref(write->base);
    free(write->schema_json);
    free(write->attached);
    free(write->stats);
    pthread_mutex_destroy(&write->mutex);
    free(write);
}
