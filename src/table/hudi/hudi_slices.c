#include "hudi/hudi_slices.h"

#include <string.h>

#include "hudi/hudi_metadata.h"

#define PARTITION_METADATA ".hoodie_partition_metadata"
#define META_FOLDER        ".hoodie"

// ---- snapshot -----------------------------------------------------------------------------------

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool hudi_snapshot_sees(const struct mor_snapshot *snapshot, const char *instant)
{
    if (snapshot->until && strcmp(instant, snapshot->until) > 0)
        return false;
    if (*snapshot->start && strcmp(instant, snapshot->start) < 0)
        return true;
    return snapshot->committed_count > 0 &&
           bsearch(&instant, snapshot->committed, snapshot->committed_count,
                   sizeof *snapshot->committed, compare_text) != NULL;
}

static struct mor_snapshot *snapshot_new(const struct hudi_timeline *timeline, int table_version,
                                         const char *until, struct mor_arena *arena)
{
    struct mor_snapshot *snapshot = mor_arena_calloc(arena, 1, sizeof *snapshot);
    char **committed = mor_arena_alloc(arena, (timeline->count + 1) * sizeof *committed);
    snapshot->table_version = table_version;
    memcpy(snapshot->start, timeline->start, sizeof snapshot->start);
    for (size_t i = 0; i < timeline->count; i++) {
        if (timeline->instants[i].completed != HUDI_ACTION_NONE)
            committed[snapshot->committed_count++] =
                mor_arena_strdup(arena, timeline->instants[i].time);
    }
    snapshot->committed = committed;
    snapshot->until = until ? mor_arena_strdup(arena, until) : NULL;
    return snapshot;
}

// ---- files --------------------------------------------------------------------------------------

struct visiting {
    struct mor_arena *arena;
    enum mor_status (*visit)(void *context, const char *partition, const char *name,
                             const struct hudi_file *file, int64_t size_bytes,
                             struct mor_error *err);
    void *context;
    const char **partitions;
    size_t partition_count, partition_capacity;
    const char *last_partition; // directory of the file before, so that neighbours share the text
};

static const char *partition_of(struct visiting *visiting, const char *key, size_t length)
{
    const char *last = visiting->last_partition;
    if (!last || strlen(last) != length || memcmp(last, key, length) != 0)
        visiting->last_partition = mor_arena_strndup(visiting->arena, key, length);
    return visiting->last_partition;
}

static enum mor_status visit_object(struct visiting *visiting, const struct mor_object_info *object,
                                    struct mor_error *err)
{
    const char *slash = strrchr(object->key, '/');
    const char *name = slash ? slash + 1 : object->key;
    const char *partition =
        partition_of(visiting, object->key, slash ? (size_t)(slash - object->key) : 0);
    if (strncmp(name, PARTITION_METADATA, strlen(PARTITION_METADATA)) == 0) {
        if (visiting->partition_count == visiting->partition_capacity) {
            size_t capacity = visiting->partition_capacity ? visiting->partition_capacity * 2 : 16;
            const char **grown = mor_arena_alloc(visiting->arena, capacity * sizeof *grown);
            if (visiting->partition_count > 0)
                memcpy(grown, visiting->partitions, visiting->partition_count * sizeof *grown);
            visiting->partitions = grown;
            visiting->partition_capacity = capacity;
        }
        visiting->partitions[visiting->partition_count++] = partition;
        return MOR_OK;
    }
    struct hudi_file file;
    if (!hudi_file_parse(name, visiting->arena, &file))
        return MOR_OK;
    return visiting->visit(visiting->context, partition, name, &file, object->size_bytes, err);
}

static enum mor_status visit_listed(struct visiting *visiting, struct mor_store *store,
                                    const char *prefix, bool recursive, struct mor_error *err)
{
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    MOR_TRY(mor_store_list(store, prefix, recursive, visiting->arena, &objects, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (!objects[i].is_prefix)
            MOR_TRY(visit_object(visiting, &objects[i], err));
        else if (strcmp(objects[i].key, META_FOLDER) != 0)
            MOR_TRY(visit_listed(visiting, store, objects[i].key, true, err));
    }
    return MOR_OK;
}

enum mor_status
hudi_files_visit(struct mor_store *store, struct mor_arena *arena,
                 enum mor_status (*visit)(void *context, const char *partition, const char *name,
                                          const struct hudi_file *file, int64_t size_bytes,
                                          struct mor_error *err),
                 void *context, const char ***ret_partitions, size_t *ret_partition_count,
                 struct mor_error *err)
{
    struct visiting visiting = {.arena = arena, .visit = visit, .context = context};
    MOR_TRY(visit_listed(&visiting, store, "", false, err));
    if (ret_partitions) {
        *ret_partitions = visiting.partitions;
        *ret_partition_count = visiting.partition_count;
    }
    return MOR_OK;
}

// ---- file groups --------------------------------------------------------------------------------

struct entry {
    const char *name;
    struct hudi_file file;
    int64_t size_bytes;
    struct entry *next;
};

struct group {
    const char *partition;
    const char *file_id;
    struct entry *entries;
};

struct building {
    struct mor_arena *arena;
    const struct hudi_timeline *timeline;
    const struct mor_snapshot *snapshot;
    struct mor_map groups;   // partition, zero byte, file id -> struct group
    struct mor_map replaced; // same keys: groups that a replace commit took out
};

static void group_key(struct mor_buffer *key, const char *partition, const char *file_id)
{
    mor_buffer_reset(key);
    mor_buffer_append(key, partition, strlen(partition) + 1);
    mor_buffer_append_text(key, file_id);
}

static enum mor_status collect(void *context, const char *partition, const char *name,
                               const struct hudi_file *file, int64_t size_bytes,
                               struct mor_error *err)
{
    (void)err;
    struct building *building = context;
    // a base file, and since version 8 a log, is named by the commit that wrote it
    bool named_by_commit = !file->is_log || building->snapshot->table_version >= 8;
    const char *until = building->snapshot->until;
    if (named_by_commit ? !hudi_snapshot_sees(building->snapshot, file->instant)
                        : until && strcmp(file->instant, until) > 0)
        return MOR_OK;
    MOR_AUTO_BUFFER key = {0};
    group_key(&key, partition, file->file_id);
    struct mor_map_entry *slot = mor_map_put(&building->groups, key.data, key.size_bytes, NULL);
    struct group *group = slot->value.pointer;
    if (!group) {
        group = mor_arena_calloc(building->arena, 1, sizeof *group);
        group->partition = partition;
        group->file_id = file->file_id;
        slot->value.pointer = group;
    }
    struct entry *entry = mor_arena_alloc(building->arena, sizeof *entry);
    const char *slash = strrchr(name, '/');
    *entry = (struct entry){.name = slash ? slash + 1 : name,
                            .file = *file,
                            .size_bytes = size_bytes,
                            .next = group->entries};
    group->entries = entry;
    return MOR_OK;
}

static int compare_logs(const void *a, const void *b)
{
    const struct hudi_log *left = a, *right = b;
    int order = strcmp(left->completion, right->completion);
    if (order == 0)
        order = strcmp(left->instant, right->instant);
    if (order == 0)
        order = (left->version > right->version) - (left->version < right->version);
    return order != 0 ? order : strcmp(left->token, right->token);
}

static void take_base(struct hudi_slice *slice, const struct group *group)
{
    for (const struct entry *entry = group->entries; entry; entry = entry->next) {
        if (entry->file.is_log || strcmp(entry->file.instant, slice->base_instant) <= 0)
            continue;
        slice->base_name = entry->name;
        slice->base_size_bytes = entry->size_bytes;
        memcpy(slice->base_instant, entry->file.instant, sizeof slice->base_instant);
    }
}

static void take_logs(const struct building *building, struct hudi_slice *slice,
                      const struct group *group)
{
    size_t count = 0;
    for (const struct entry *entry = group->entries; entry; entry = entry->next)
        count += entry->file.is_log;
    slice->logs = mor_arena_calloc(building->arena, count + 1, sizeof *slice->logs);
    for (const struct entry *entry = group->entries; entry; entry = entry->next) {
        if (!entry->file.is_log)
            continue;
        // version 6 knows no completion: the instant in the name decides
        const char *completion =
            building->snapshot->table_version >= 8
                ? hudi_timeline_completion(building->timeline, entry->file.instant)
                : entry->file.instant;
        if (slice->base_name && strcmp(completion, slice->base_instant) < 0)
            continue;
        struct hudi_log *log = &slice->logs[slice->log_count++];
        log->name = entry->name;
        memcpy(log->instant, entry->file.instant, sizeof log->instant);
        memcpy(log->completion, completion, strlen(completion) + 1);
        log->version = entry->file.version;
        log->token = entry->file.token;
        log->size_bytes = entry->size_bytes;
    }
    if (slice->log_count > 1)
        qsort(slice->logs, slice->log_count, sizeof *slice->logs, compare_logs);
    if (!slice->base_name && slice->log_count > 0)
        memcpy(slice->base_instant, slice->logs[0].instant, sizeof slice->base_instant);
}

// File groups that completed replace commits (clustering, overwrite) took out of the table.
static enum mor_status collect_replaced(struct building *building, struct mor_store *store,
                                        struct mor_error *err)
{
    for (size_t i = 0; i < building->timeline->count; i++) {
        const struct hudi_instant *instant = &building->timeline->instants[i];
        if (instant->completed != HUDI_ACTION_REPLACECOMMIT ||
            !hudi_snapshot_sees(building->snapshot, instant->time))
            continue;
        MOR_AUTO_FREE char *key = hudi_instant_completed_key(building->timeline->layout, instant);
        HUDI_AUTO_JSON *json = NULL;
        MOR_TRY(hudi_metadata_read(store, key, &json, err));
        const char *partition;
        json_t *ids;
        json_object_foreach(json_object_get(json, "partitionToReplaceFileIds"), partition, ids)
        {
            size_t n;
            json_t *id;
            json_array_foreach(ids, n, id)
            {
                MOR_AUTO_BUFFER group = {0};
                group_key(&group, partition, json_is_string(id) ? json_string_value(id) : "");
                mor_map_put(&building->replaced, group.data, group.size_bytes, NULL);
            }
        }
    }
    return MOR_OK;
}

enum mor_status hudi_slices_build(struct mor_store *store, const struct hudi_timeline *timeline,
                                  int table_version, const char *until, struct mor_arena *arena,
                                  struct hudi_listing *ret_listing, struct mor_error *err)
{
    struct hudi_listing listing = {.snapshot = snapshot_new(timeline, table_version, until, arena)};
    struct building building = {.arena = arena, .timeline = timeline, .snapshot = listing.snapshot};
    enum mor_status status = collect_replaced(&building, store, err);
    if (status == MOR_OK)
        status = hudi_files_visit(store, arena, collect, &building, &listing.partitions,
                                  &listing.partition_count, err);
    if (status == MOR_OK) {
        listing.slices = mor_arena_calloc(arena, building.groups.count + 1, sizeof *listing.slices);
        for (size_t i = 0; i < building.groups.count; i++) {
            const struct mor_map_entry *slot = &building.groups.entries[i];
            if (mor_map_find(&building.replaced, slot->key, slot->key_size))
                continue;
            const struct group *group = slot->value.pointer;
            struct hudi_slice *slice = &listing.slices[listing.slice_count];
            slice->partition = group->partition;
            slice->file_id = group->file_id;
            take_base(slice, group);
            take_logs(&building, slice, group);
            if (slice->base_name || slice->log_count > 0)
                listing.slice_count++;
        }
        *ret_listing = listing;
    }
    mor_map_done(&building.groups);
    mor_map_done(&building.replaced);
    return status;
}
