#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/thread.h"

// Bytes of a file id that tell groups of one partition apart: with a bucket index its bucket, since
// other writers give the rest at random.
static size_t id_length(const struct hudi_table *table, const char *file_id)
{
    size_t length = strlen(file_id);
    return table->table.keyed && length > HUDI_BUCKET_DIGITS ? HUDI_BUCKET_DIGITS : length;
}

static struct mor_map_entry *find_entry(const struct hudi_table *table, const char *partition,
                                        const char *file_id)
{
    char key[2048];
    size_t partition_length = strlen(partition), length = id_length(table, file_id);
    if (partition_length + 1 + length > sizeof key)
        return NULL;
    memcpy(key, partition, partition_length + 1);
    memcpy(key + partition_length + 1, file_id, length);
    return mor_map_find(&table->groups, key, partition_length + 1 + length);
}

static struct hudi_group *add_group(struct hudi_table *table, const char *partition,
                                    const char *file_id)
{
    MOR_AUTO_BUFFER key = {0};
    mor_buffer_append(&key, partition, strlen(partition) + 1);
    mor_buffer_append(&key, file_id, id_length(table, file_id));
    struct mor_map_entry *entry = mor_map_put(&table->groups, key.data, key.size_bytes, NULL);
    struct hudi_group *group = entry->value.pointer;
    if (!group) {
        group = mor_calloc(1, sizeof *group);
        group->partition = mor_strdup(partition);
        group->file_id = mor_strdup(file_id);
        entry->value.pointer = group;
    }
    return group;
}

static void clear_logs(struct hudi_group *group)
{
    for (size_t i = 0; i < group->log_count; i++)
        free(group->logs[i]);
    group->log_count = 0;
}

void hudi_groups_clear(struct hudi_table *table)
{
    for (size_t i = 0; i < table->groups.count; i++) {
        struct hudi_group *group = table->groups.entries[i].value.pointer;
        clear_logs(group);
        free(group->logs);
        free(group->partition);
        free(group->file_id);
        free(group->base_name);
        free(group);
    }
    mor_map_done(&table->groups);
    mor_map_done(&table->partitions);
    table->groups = (struct mor_map){0};
    table->partitions = (struct mor_map){0};
}

struct hudi_group *hudi_group_find(const struct hudi_table *table, const char *partition,
                                   const char *file_id)
{
    // the mutex is no part of what "const" promises
    MOR_LOCKED((pthread_mutex_t *)&table->mutex);
    struct mor_map_entry *entry = find_entry(table, partition, file_id);
    return entry ? entry->value.pointer : NULL;
}

static void set_base(struct hudi_group *group, const char *name, const char *instant,
                     int64_t size_bytes)
{
    free(group->base_name);
    group->base_name = name ? mor_strdup(name) : NULL;
    group->base_size_bytes = size_bytes;
    memcpy(group->base_instant, instant, strlen(instant) + 1);
    memcpy(group->name_instant, group->base_instant, sizeof group->name_instant);
    group->log_version = 0;
    clear_logs(group);
}

void hudi_group_add_base(struct hudi_table *table, const char *partition, const char *file_id,
                         const char *name, const char *instant, int64_t size_bytes)
{
    // a table without key never looks for a group again
    if (!table->table.keyed)
        return;
    MOR_LOCKED(&table->mutex);
    set_base(add_group(table, partition, file_id), name, instant, size_bytes);
}

void hudi_group_add_log(struct hudi_group *group, const char *name, int32_t version)
{
    if (version > group->log_version)
        group->log_version = version;
    if (group->log_count == group->log_capacity) {
        group->log_capacity = group->log_capacity ? group->log_capacity * 2 : 4;
        group->logs = mor_realloc(group->logs, group->log_capacity * sizeof *group->logs);
    }
    group->logs[group->log_count++] = mor_strdup(name);
}

// A log of the chain; false when it is not of the slice that is known.
static bool apply_log(struct hudi_table *table, const char *partition, const char *name,
                      const struct hudi_file *file)
{
    struct hudi_group *group = hudi_group_find(table, partition, file->file_id);
    if (!group)
        return false;
    if (table->version >= 8)
        return true;
    if (strcmp(file->instant, group->name_instant) != 0)
        return false;
    hudi_group_add_log(group, name, file->version);
    return true;
}

bool hudi_groups_apply(struct hudi_table *table, const struct hudi_slot *slot)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    bool good = true;
    for (size_t i = 0; i < slot->partition_count; i++) {
        MOR_LOCKED(&table->mutex);
        mor_map_put_text(&table->partitions, slot->partitions[i], NULL);
    }
    for (size_t i = 0; i < slot->move_count && good && table->table.keyed; i++) {
        const char *key = slot->moves[i].to, *slash = strrchr(key, '/');
        const char *name = slash ? slash + 1 : key;
        struct hudi_file file;
        if (strncmp(key, ".hoodie/", 8) == 0 || !hudi_file_parse(name, &arena, &file))
            continue;
        const char *partition = mor_arena_strndup(&arena, key, slash ? (size_t)(slash - key) : 0);
        if (file.is_log)
            good = apply_log(table, partition, name, &file);
        else
            hudi_group_add_base(table, partition, file.file_id, name, file.instant,
                                slot->moves[i].size_bytes);
    }
    mor_arena_done(&arena);
    return good;
}

bool hudi_has_partition(struct hudi_table *table, const char *partition)
{
    MOR_LOCKED(&table->mutex);
    return mor_map_find_text(&table->partitions, partition) != NULL;
}

bool hudi_has_group(const struct mor_table *table, const char *partition, int32_t bucket)
{
    char file_id[48];
    if (bucket < 0)
        return false;
    hudi_bucket_file_id(bucket, partition, file_id);
    return hudi_group_find(hudi_of_const(table), partition, file_id) != NULL;
}

void hudi_partitions_with_bucket(struct mor_table *head, int32_t bucket, struct mor_arena *arena,
                                 const char ***ret_partitions, size_t *ret_count)
{
    struct hudi_table *table = hudi_of(head);
    MOR_LOCKED(&table->mutex);
    const char **partitions =
        mor_arena_alloc(arena, (table->groups.count + 1) * sizeof *partitions);
    size_t count = 0;
    for (size_t i = 0; i < table->groups.count; i++) {
        const struct hudi_group *group = table->groups.entries[i].value.pointer;
        if (hudi_file_id_bucket(group->file_id) == bucket)
            partitions[count++] = mor_arena_strdup(arena, group->partition);
    }
    *ret_partitions = partitions;
    *ret_count = count;
}

// ---- from disk ----------------------------------------------------------------------------------

// Every file group must be one that rows are routed to, else a key would live in two groups.
static enum mor_status check_bucket_id(const struct hudi_table *table,
                                       const struct hudi_slice *slice, struct mor_error *err)
{
    int32_t bucket = hudi_file_id_bucket(slice->file_id);
    if (bucket < 0 || bucket >= table->table.bucket_count)
        return mor_error_set(
            err, MOR_FATAL,
            "file group '%s' in partition '%s' was not written with a bucket index "
            "of %d buckets",
            slice->file_id, slice->partition, table->table.bucket_count);
    return MOR_OK;
}

static enum mor_status add_slice(struct hudi_table *table, const struct hudi_slice *slice,
                                 struct mor_error *err)
{
    if (find_entry(table, slice->partition, slice->file_id))
        return mor_error_set(err, MOR_FATAL,
                             "partition '%s' has several file groups for the bucket of '%s'",
                             slice->partition, slice->file_id);
    struct hudi_group *group = add_group(table, slice->partition, slice->file_id);
    set_base(group, slice->base_name, slice->base_instant, slice->base_size_bytes);
    for (size_t i = 0; i < slice->log_count && table->version < 8; i++) {
        // logs of an older name instant only matter as names; versions count per instant
        const struct hudi_log *log = &slice->logs[i];
        if (strcmp(log->instant, group->name_instant) > 0) {
            memcpy(group->name_instant, log->instant, sizeof group->name_instant);
            group->log_version = 0;
        }
        hudi_group_add_log(group, log->name,
                           strcmp(log->instant, group->name_instant) == 0 ? log->version : 0);
    }
    return MOR_OK;
}

enum mor_status hudi_groups_apply_plan(struct hudi_table *table, const struct hudi_instant *instant,
                                       struct mor_error *err)
{
    MOR_AUTO_FREE char *key =
        hudi_instant_key(table->layout, instant->time, HUDI_ACTION_COMPACTION, HUDI_REQUESTED, "");
    HUDI_AUTO_JSON *plan = NULL;
    MOR_TRY(hudi_metadata_read(table->table.store, key, &plan, err));
    size_t n;
    json_t *operation;
    json_array_foreach(json_object_get(plan, "operations"), n, operation)
    {
        const char *partition = hudi_json_text(operation, "partitionPath");
        const char *file_id = hudi_json_text(operation, "fileId");
        struct mor_map_entry *entry =
            find_entry(table, partition ? partition : "", file_id ? file_id : "");
        if (!entry)
            continue;
        struct hudi_group *group = entry->value.pointer;
        if (strcmp(instant->time, group->name_instant) > 0) {
            memcpy(group->name_instant, instant->time, sizeof group->name_instant);
            group->log_version = 0;
        }
    }
    return MOR_OK;
}

enum mor_status hudi_groups_load(struct hudi_table *table, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 1u << 20, NULL);
    struct hudi_listing listing;
    enum mor_status status = hudi_slices_build(table->table.store, &table->timeline, table->version,
                                               NULL, &arena, &listing, err);
    if (status == MOR_OK && table->table.keyed) {
        for (size_t i = 0; i < listing.slice_count && status == MOR_OK; i++)
            status = check_bucket_id(table, &listing.slices[i], err);
    }
    if (status == MOR_OK) {
        MOR_LOCKED(&table->mutex);
        hudi_groups_clear(table);
        for (size_t i = 0; i < listing.partition_count; i++)
            mor_map_put_text(&table->partitions, listing.partitions[i], NULL);
        for (size_t i = 0; i < listing.slice_count && table->table.keyed && status == MOR_OK; i++)
            status = add_slice(table, &listing.slices[i], err);
        for (size_t i = 0; i < table->timeline.count && status == MOR_OK; i++) {
            const struct hudi_instant *instant = &table->timeline.instants[i];
            if (table->version < 8 && instant->pending == HUDI_ACTION_COMPACTION &&
                instant->completed == HUDI_ACTION_NONE)
                status = hudi_groups_apply_plan(table, instant, err);
        }
    }
    mor_arena_done(&arena);
    if (status != MOR_OK)
        table->groups_digest = 0; // half of what is there
    return status;
}
