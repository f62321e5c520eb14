// Version 6 beside a compaction of another engine.
//
// A log of version 6 says by its name to which slice it belongs, and a compaction plan C says which
// logs of the old slice it merges. A commit that is published after the engine listed the logs and
// before its plan appears is in neither: named by the old slice, not in the plan. As soon as the
// compaction is completed its rows are gone. So when a plan is seen for the first time, and before
// any log takes its name, such logs are put into the new slice as well, byte for byte: their blocks
// carry the instant of their commit, and merging a commit twice in a row changes nothing. Only the
// newest slice is mended: what an older one missed was found when that was the newest, and a delete
// of it must not come after younger rows that were merged since.
#include "hudi/hudi_table.h"

struct raced {
    const char *name;
    const char *token;
    int32_t version;
};

// One file group of a plan.
struct operation {
    const char *partition, *file_id;
    const char *base_instant;
    const json_t *merged; // names of logs
    int32_t version;      // greatest one of the new slice
    struct mor_map there; // tokens of its logs
    struct raced *raced;
    size_t raced_count, raced_capacity;
};

struct mending {
    struct hudi_table *table;
    const char *instant; // of the plan, and so of the new slice
    struct mor_arena arena;
    struct mor_map operations; // partition, zero byte, file id -> struct operation
    struct mor_map partitions;
    bool copied;
};

static struct mor_map_entry *operation_entry(struct mending *mending, const char *partition,
                                             const char *file_id, bool add)
{
    MOR_AUTO_BUFFER key = {0};
    mor_buffer_append(&key, partition, strlen(partition) + 1);
    mor_buffer_append_text(&key, file_id);
    return add ? mor_map_put(&mending->operations, key.data, key.size_bytes, NULL)
               : mor_map_find(&mending->operations, key.data, key.size_bytes);
}

static void add_operations(struct mending *mending, const json_t *plan)
{
    size_t n;
    json_t *json;
    json_array_foreach(json_object_get(plan, "operations"), n, json)
    {
        const char *partition = hudi_json_text(json, "partitionPath");
        const char *file_id = hudi_json_text(json, "fileId");
        const char *base = hudi_json_text(json, "baseInstantTime");
        const struct hudi_group *group =
            file_id ? hudi_group_find(mending->table, partition ? partition : "", file_id) : NULL;
        if (!group || !base || strcmp(group->name_instant, mending->instant) != 0)
            continue;
        struct operation *operation = mor_arena_calloc(&mending->arena, 1, sizeof *operation);
        operation->partition = group->partition;
        operation->file_id = file_id;
        operation->base_instant = base;
        operation->merged = json_object_get(json, "deltaFilePaths");
        operation_entry(mending, group->partition, file_id, true)->value.pointer = operation;
        mor_map_put_text(&mending->partitions, group->partition, NULL);
    }
}

static bool is_merged(const struct operation *operation, const char *name)
{
    size_t n;
    json_t *path;
    json_array_foreach(operation->merged, n, path)
    {
        const char *text = json_string_value(path);
        const char *slash = text ? strrchr(text, '/') : NULL;
        if (text && strcmp(slash ? slash + 1 : text, name) == 0)
            return true;
    }
    return false;
}

static void add_raced(struct mending *mending, struct operation *operation, const char *name,
                      const struct hudi_file *file)
{
    if (operation->raced_count == operation->raced_capacity) {
        size_t capacity = operation->raced_capacity ? operation->raced_capacity * 2 : 4;
        struct raced *grown = mor_arena_alloc(&mending->arena, capacity * sizeof *grown);
        if (operation->raced_count > 0)
            memcpy(grown, operation->raced, operation->raced_count * sizeof *grown);
        operation->raced = grown;
        operation->raced_capacity = capacity;
    }
    operation->raced[operation->raced_count++] =
        (struct raced){.name = name, .token = file->token, .version = file->version};
}

static void judge_file(struct mending *mending, const char *partition, const char *name)
{
    struct hudi_file file;
    char commit[HUDI_TIME_SIZE];
    if (!hudi_file_parse(name, &mending->arena, &file) || !file.is_log)
        return;
    struct mor_map_entry *entry = operation_entry(mending, partition, file.file_id, false);
    if (!entry)
        return;
    struct operation *operation = entry->value.pointer;
    if (strcmp(file.instant, mending->instant) == 0) {
        mor_map_put_text(&operation->there, file.token, NULL);
        operation->version = file.version > operation->version ? file.version : operation->version;
        return;
    }
    hudi_file_commit(&file, commit);
    if (strcmp(file.instant, operation->base_instant) == 0 && *commit &&
        hudi_timeline_is_committed(&mending->table->timeline, commit) &&
        !is_merged(operation, name))
        add_raced(mending, operation, name, &file);
}

static enum mor_status judge_partition(struct mending *mending, const char *partition,
                                       struct mor_error *err)
{
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    MOR_TRY(mor_store_list_names(mending->table->table.store, partition, &mending->arena, &objects,
                                 &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *slash = strrchr(objects[i].key, '/');
        if (!objects[i].is_prefix)
            judge_file(mending, partition, slash ? slash + 1 : objects[i].key);
    }
    return MOR_OK;
}

static int compare_raced(const void *a, const void *b)
{
    const struct raced *left = a, *right = b;
    return (left->version > right->version) - (left->version < right->version);
}

static enum mor_status copy_raced(struct mending *mending, struct operation *operation,
                                  struct mor_error *err)
{
    struct mor_store *store = mending->table->table.store;
    if (operation->raced_count > 1)
        qsort(operation->raced, operation->raced_count, sizeof *operation->raced, compare_raced);
    for (size_t i = 0; i < operation->raced_count; i++) {
        const struct raced *raced = &operation->raced[i];
        if (mor_map_find_text(&operation->there, raced->token))
            continue;
        MOR_AUTO_FREE char *name =
            mor_asprintf(".%s_%s.log.%d_%s", operation->file_id, mending->instant,
                         ++operation->version, raced->token);
        MOR_AUTO_FREE char *from = hudi_data_key(operation->partition, raced->name);
        MOR_AUTO_FREE char *to = hudi_data_key(operation->partition, name);
        enum mor_status status = mor_store_copy(store, from, to, NULL, err);
        if (status != MOR_OK && status != MOR_CONFLICT)
            return status;
        *err = MOR_ERROR_INIT; // another instance mends the same
        hudi_group_add_log(
            hudi_group_find(mending->table, operation->partition, operation->file_id), name,
            operation->version);
        mending->copied = true;
    }
    return MOR_OK;
}

static enum mor_status mend(struct mending *mending, const struct hudi_instant *instant,
                            struct mor_error *err)
{
    const struct hudi_table *table = mending->table;
    MOR_AUTO_FREE char *key =
        hudi_instant_key(table->layout, instant->time, HUDI_ACTION_COMPACTION, HUDI_REQUESTED, "");
    HUDI_AUTO_JSON *plan = NULL;
    enum mor_status status = hudi_metadata_read(table->table.store, key, &plan, err);
    if (status == MOR_NOT_FOUND)
        *err = MOR_ERROR_INIT; // taken back since the timeline was listed
    else if (status != MOR_OK)
        return status;
    add_operations(mending, plan);
    for (size_t i = 0; i < mending->partitions.count; i++)
        MOR_TRY(judge_partition(mending, mending->partitions.entries[i].key, err));
    for (size_t i = 0; i < mending->operations.count; i++)
        MOR_TRY(copy_raced(mending, mending->operations.entries[i].value.pointer, err));
    return mending->copied ? mor_store_sync(table->table.store, err) : MOR_OK;
}

static enum mor_status mend_plan(struct hudi_table *table, const struct hudi_instant *instant,
                                 struct mor_error *err)
{
    struct mending mending = {.table = table, .instant = instant->time};
    mor_arena_init(&mending.arena, 0, NULL);
    enum mor_status status = mend(&mending, instant, err);
    for (size_t i = 0; i < mending.operations.count; i++)
        mor_map_done(&((struct operation *)mending.operations.entries[i].value.pointer)->there);
    mor_map_done(&mending.operations);
    mor_map_done(&mending.partitions);
    mor_arena_done(&mending.arena);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not complete compaction plan %s", instant->time);
}

enum mor_status hudi_mend(struct hudi_table *table, struct mor_error *err)
{
    for (size_t i = 0; i < table->timeline.count && table->version < 8 && table->table.keyed; i++) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        if (instant->pending != HUDI_ACTION_COMPACTION || !instant->requested ||
            mor_map_find_text(&table->mended, instant->time))
            continue;
        MOR_TRY(mend_plan(table, instant, err));
        mor_map_put_text(&table->mended, instant->time, NULL);
    }
    return MOR_OK;
}
