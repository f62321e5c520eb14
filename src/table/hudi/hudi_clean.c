#include "hudi/hudi_clean.h"

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

struct entry {
    const char *key;
    struct hudi_file file;
    int64_t size_bytes;
    struct entry *next;
};

struct group {
    const char *partition;
    struct entry *entries;
};

static void group_key(struct mor_buffer *key, const char *partition, const char *file_id)
{
    mor_buffer_reset(key);
    mor_buffer_append(key, partition, strlen(partition) + 1);
    mor_buffer_append_text(key, file_id);
}

// ---- the oldest kept snapshot -------------------------------------------------------------------

// When an instant became visible: version 6 tells it only by the time of its file.
static enum mor_status visible_times(struct hudi_expiring *expiring, int64_t **ret_times,
                                     struct mor_error *err)
{
    const struct hudi_table *table = expiring->table;
    const struct hudi_timeline *timeline = &table->timeline;
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    int64_t *times = mor_arena_calloc(expiring->arena, timeline->count + 1, sizeof *times);
    for (size_t i = 0; i < timeline->count; i++)
        times[i] = *timeline->instants[i].completion
                       ? hudi_time_parse(timeline->instants[i].completion)
                       : expiring->now_ms;
    if (table->layout == 1)
        MOR_TRY(mor_store_list(table->table.store, ".hoodie", false, expiring->arena, &objects,
                               &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *name = strrchr(objects[i].key, '/') + 1;
        const char *dot = strchr(name, '.');
        char time[HUDI_TIME_SIZE] = "";
        if (objects[i].is_prefix || !dot || !hudi_time_is_valid(name, (size_t)(dot - name)))
            continue;
        memcpy(time, name, (size_t)(dot - name));
        const struct hudi_instant *instant = hudi_timeline_find(timeline, time);
        // of an instant's files the completed one is the youngest
        if (instant && objects[i].modified_ms > times[instant - timeline->instants])
            times[instant - timeline->instants] = objects[i].modified_ms;
    }
    *ret_times = times;
    return MOR_OK;
}

static enum mor_status find_oldest(struct hudi_expiring *expiring, struct mor_error *err)
{
    const struct hudi_timeline *timeline = &expiring->table->timeline;
    int64_t *visible = NULL, kept = 0;
    int64_t before = expiring->now_ms - expiring->retention->age_ms;
    MOR_TRY(visible_times(expiring, &visible, err));
    // the snapshots that must stay by number
    size_t first = timeline->count, oldest = timeline->count;
    while (first > 0 && kept < expiring->retention->min_snapshots) {
        const struct hudi_instant *instant = &timeline->instants[--first];
        kept += hudi_action_writes(instant->completed) || instant->completed == HUDI_ACTION_NONE;
    }
    for (size_t i = 0; i <= first && i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        bool writes = hudi_action_writes(instant->completed);
        if (instant->completed == HUDI_ACTION_SAVEPOINT && oldest < timeline->count)
            break; // what was saved stays, and all that is younger
        if (!writes &&
            !(instant->completed == HUDI_ACTION_NONE && hudi_action_writes(instant->pending)))
            continue;
        if (!writes || visible[i] > before) {
            oldest = oldest < timeline->count || !writes ? oldest : i;
            break;
        }
        oldest = i;
    }
    if (oldest < timeline->count)
        memcpy(expiring->oldest, timeline->instants[oldest].time, sizeof expiring->oldest);
    return MOR_OK;
}

// ---- files --------------------------------------------------------------------------------------

static enum mor_status collect(void *context, const char *partition, const char *name,
                               const struct hudi_file *file, int64_t size_bytes,
                               struct mor_error *err)
{
    (void)err;
    struct hudi_expiring *expiring = context;
    MOR_AUTO_BUFFER key = {0};
    group_key(&key, partition, file->file_id);
    struct mor_map_entry *slot = mor_map_put(&expiring->groups, key.data, key.size_bytes, NULL);
    struct group *group = slot->value.pointer;
    if (!group) {
        group = mor_arena_calloc(expiring->arena, 1, sizeof *group);
        group->partition = partition;
        slot->value.pointer = group;
    }
    struct entry *entry = mor_arena_alloc(expiring->arena, sizeof *entry);
    const char *slash = strrchr(name, '/');
    *entry =
        (struct entry){.key = mor_arena_printf(expiring->arena, "%s%s%s", partition,
                                               *partition ? "/" : "", slash ? slash + 1 : name),
                       .file = *file,
                       .size_bytes = size_bytes,
                       .next = group->entries};
    group->entries = entry;
    return MOR_OK;
}

static void expire_file(struct hudi_expiring *expiring, const struct entry *entry)
{
    if (expiring->file_count == expiring->file_capacity) {
        size_t capacity = expiring->file_capacity ? expiring->file_capacity * 2 : 64;
        struct mor_expired_file *grown = mor_arena_alloc(expiring->arena, capacity * sizeof *grown);
        if (expiring->file_count > 0)
            memcpy(grown, expiring->files, expiring->file_count * sizeof *grown);
        expiring->files = grown;
        expiring->file_capacity = capacity;
    }
    expiring->files[expiring->file_count++] =
        (struct mor_expired_file){.key = entry->key, .size_bytes = entry->size_bytes};
}

static void keep_file(struct hudi_expiring *expiring, const struct hudi_file *file)
{
    char commit[HUDI_TIME_SIZE];
    mor_map_put_text(&expiring->live, file->instant, NULL);
    if (!file->is_log)
        return;
    hudi_file_commit(file, commit);
    if (*commit)
        mor_map_put_text(&expiring->live, commit, NULL);
    else if (!*expiring->live_since || strcmp(file->instant, expiring->live_since) < 0)
        // another writer's log may hold blocks of any later commit
        memcpy(expiring->live_since, file->instant, sizeof expiring->live_since);
}

// Whether no commit names the file, by its name.
static bool is_uncommitted(const struct hudi_expiring *expiring, const struct hudi_file *file)
{
    const struct hudi_table *table = expiring->table;
    bool named_by_commit = !file->is_log || table->version >= 8;
    return named_by_commit && !hudi_timeline_find(&table->timeline, file->instant) &&
           !hudi_timeline_is_committed(&table->timeline, file->instant);
}

// Greatest committed base instant of the group that the oldest kept snapshot sees, "" = none.
static const char *kept_base(const struct hudi_expiring *expiring, const struct group *group)
{
    const char *kept = "";
    for (const struct entry *entry = group->entries; entry; entry = entry->next) {
        const char *instant = entry->file.instant;
        if (!entry->file.is_log && strcmp(instant, expiring->oldest) <= 0 &&
            strcmp(instant, kept) > 0 &&
            hudi_timeline_is_committed(&expiring->table->timeline, instant))
            kept = instant;
    }
    return kept;
}

static void judge_group(struct hudi_expiring *expiring, const struct group *group, bool replaced)
{
    const struct hudi_timeline *timeline = &expiring->table->timeline;
    const char *kept = kept_base(expiring, group);
    for (const struct entry *entry = group->entries; entry; entry = entry->next) {
        const struct hudi_file *file = &entry->file;
        if (is_uncommitted(expiring, file))
            continue; // see add_orphans
        // where a log belongs: by its name in version 6, by its commit's completion since 8
        const char *place = file->is_log && expiring->table->version >= 8
                                ? hudi_timeline_completion(timeline, file->instant)
                                : file->instant;
        bool pending = !hudi_timeline_is_committed(timeline, file->instant);
        if (!pending && (replaced || (*kept && strcmp(place, kept) < 0)))
            expire_file(expiring, entry);
        else
            keep_file(expiring, file);
    }
}

// Files that no commit names and that are old: nobody will come and name them.
static enum mor_status add_orphans(struct hudi_expiring *expiring, const struct group *group,
                                   struct mor_error *err)
{
    for (const struct entry *entry = group->entries; entry; entry = entry->next) {
        struct mor_object_info info;
        if (!is_uncommitted(expiring, &entry->file))
            continue;
        enum mor_status status =
            mor_store_info(expiring->table->table.store, entry->key, &info, err);
        if (status == MOR_NOT_FOUND) {
            *err = MOR_ERROR_INIT;
            continue;
        }
        if (status != MOR_OK)
            return status;
        if (expiring->now_ms - info.modified_ms < expiring->retention->orphan_age_ms)
            continue;
        expire_file(expiring, entry);
        expiring->orphan_count++;
    }
    return MOR_OK;
}

// File groups that a replacement took out before the oldest kept snapshot.
static enum mor_status collect_replaced(struct hudi_expiring *expiring, struct mor_error *err)
{
    const struct hudi_table *table = expiring->table;
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        if (instant->completed != HUDI_ACTION_REPLACECOMMIT ||
            strcmp(instant->time, expiring->oldest) > 0)
            continue;
        MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, instant);
        HUDI_AUTO_JSON *json = NULL;
        MOR_TRY(hudi_metadata_read(table->table.store, key, &json, err));
        const char *partition;
        json_t *ids, *id;
        json_object_foreach(json_object_get(json, "partitionToReplaceFileIds"), partition, ids)
        {
            size_t n;
            json_array_foreach(ids, n, id)
            {
                MOR_AUTO_BUFFER group = {0};
                group_key(&group, partition, json_is_string(id) ? json_string_value(id) : "");
                mor_map_put(&expiring->replaced, group.data, group.size_bytes, NULL);
            }
        }
    }
    return MOR_OK;
}

static enum mor_status find_files(struct hudi_expiring *expiring, struct mor_error *err)
{
    MOR_TRY(collect_replaced(expiring, err));
    MOR_TRY(hudi_files_visit(expiring->table->table.store, expiring->arena, collect, expiring, NULL,
                             NULL, err));
    for (size_t i = 0; i < expiring->groups.count; i++) {
        const struct mor_map_entry *slot = &expiring->groups.entries[i];
        judge_group(expiring, slot->value.pointer,
                    mor_map_find(&expiring->replaced, slot->key, slot->key_size) != NULL);
    }
    for (size_t i = 0; i < expiring->groups.count; i++)
        MOR_TRY(add_orphans(expiring, expiring->groups.entries[i].value.pointer, err));
    return MOR_OK;
}

// ---- whole --------------------------------------------------------------------------------------

// The table as it is now, without finishing what others began: whoever only looks writes nothing.
static enum mor_status look(struct hudi_table *table, struct mor_error *err)
{
    struct hudi_slot head = {0};
    MOR_TRY(hudi_chain_head(table->table.store, &head, err));
    hudi_slot_done(&table->head);
    table->head = head;
    return hudi_timeline_load(&table->timeline, table->table.store, table->layout, err);
}

static enum mor_status settle(struct hudi_table *table, struct mor_error *err)
{
    MOR_TRY(hudi_instance_check(table, err));
    MOR_TRY(hudi_base_settle(table, NULL, err));
    return hudi_base_follow(table, err);
}

static enum mor_status expire(struct hudi_expiring *expiring, bool dry_run,
                              struct mor_expiry *ret_expiry, struct mor_error *err)
{
    struct hudi_table *table = expiring->table;
    struct mor_expiry expiry = {0};
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(dry_run ? look(table, err) : settle(table, err));
    MOR_TRY(find_oldest(expiring, err));
    MOR_TRY(find_files(expiring, err));
    MOR_TRY(hudi_archive_plan(expiring, &expiry.versions, &expiry.version_count, err));
    expiry.oldest_version = mor_arena_strdup(expiring->arena, expiring->oldest);
    expiry.files = expiring->files;
    expiry.file_count = expiring->file_count;
    for (size_t i = 0; i < expiry.file_count; i++)
        expiry.bytes += expiry.files[i].size_bytes;
    if (!dry_run && expiry.file_count > 0)
        MOR_TRY(hudi_clean_publish(expiring, err));
    if (!dry_run && expiry.version_count > 0)
        MOR_TRY(hudi_archive(expiring, expiry.versions, expiry.version_count, err));
    *ret_expiry = expiry;
    return MOR_OK;
}

enum mor_status hudi_expire(struct mor_table *head, const struct mor_retention *retention,
                            bool dry_run, struct mor_arena *arena, struct mor_expiry *ret_expiry,
                            struct mor_error *err)
{
    struct hudi_expiring expiring = {.table = hudi_of(head),
                                     .retention = retention,
                                     .arena = arena,
                                     .now_ms = mor_clock_wall_ms()};
    // with the turn, no commit is being written that would meet a timeline with instants gone
    if (!dry_run)
        hudi_turn_take(expiring.table);
    enum mor_status status = expire(&expiring, dry_run, ret_expiry, err);
    if (!dry_run)
        hudi_turn_release(expiring.table);
    mor_map_done(&expiring.groups);
    mor_map_done(&expiring.replaced);
    mor_map_done(&expiring.live);
    return status;
}
