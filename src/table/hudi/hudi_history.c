// What a table tells of itself: slices, history, description.
#include <ctype.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "partition_path.h"

// ---- slices -------------------------------------------------------------------------------------

static enum mor_status no_such_commit(const struct hudi_timeline *timeline, const char *version,
                                      struct mor_error *err)
{
    for (size_t i = 0; i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        if (hudi_action_writes(instant->completed) && strcmp(version, instant->time) < 0)
            return mor_error_set(err, MOR_NOT_FOUND,
                                 "the table has no commit '%s' (any more); the oldest that it "
                                 "knows is '%s'",
                                 version, instant->time);
        if (hudi_action_writes(instant->completed))
            break;
    }
    return mor_error_set(err, MOR_NOT_FOUND, "the table has no completed commit '%s'", version);
}

// The commit that `version` names, or the newest instant not after it when it was archived.
static enum mor_status check_version(const struct hudi_table *table,
                                     const struct hudi_timeline *timeline, const char *version,
                                     struct mor_error *err)
{
    if (!hudi_time_is_valid(version, strlen(version)))
        return mor_error_set(err, MOR_NOT_FOUND,
                             "'%s' is no version of a Hudi table: 17 digits yyyyMMddHHmmssSSS",
                             version);
    const struct hudi_instant *instant = hudi_timeline_find(timeline, version);
    if (!instant || instant->completed == HUDI_ACTION_NONE)
        return no_such_commit(timeline, version, err);
    for (size_t i = timeline->count; i-- > 0;) {
        const struct hudi_instant *clean = &timeline->instants[i];
        if (clean->completed != HUDI_ACTION_CLEAN)
            continue;
        MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, clean);
        HUDI_AUTO_JSON *json = NULL;
        MOR_TRY(hudi_metadata_read(table->table.store, key, &json, err));
        const char *earliest = hudi_json_text(json, "earliestCommitToRetain");
        if (earliest && *earliest && strcmp(version, earliest) < 0)
            return mor_error_set(err, MOR_NOT_FOUND,
                                 "files of version '%s' were cleaned; the oldest kept is '%s'",
                                 version, earliest);
        break;
    }
    return MOR_OK;
}

// Time of the commit that wrote the log; of its slice when the name does not tell.
static int64_t log_commit_ms(const struct hudi_log *log)
{
    char commit[HUDI_TIME_SIZE];
    const struct hudi_file file = {.token = (char *)(uintptr_t)log->token};
    hudi_file_commit(&file, commit);
    return hudi_time_parse(*commit ? commit : log->instant);
}

// Version 6: a slice lists logs of later commits, and other engines append to logs, whose names
// tell no commit then.
static bool logs_tell_commits(const struct hudi_slice *slice, const struct mor_snapshot *snapshot)
{
    for (size_t i = 0; i < slice->log_count; i++) {
        char commit[HUDI_TIME_SIZE];
        const struct hudi_file file = {.token = (char *)(uintptr_t)slice->logs[i].token};
        hudi_file_commit(&file, commit);
        if (!*commit || !hudi_snapshot_sees(snapshot, commit))
            return false;
    }
    return true;
}

static void fill_slice(const struct hudi_slice *from, const struct mor_snapshot *snapshot,
                       struct mor_arena *arena, struct mor_slice *to)
{
    const char *separator = *from->partition ? "/" : "";
    *to = (struct mor_slice){
        .partition = from->partition,
        .file_group = from->file_id,
        .base_size_bytes = from->base_size_bytes,
        .delta_count = from->log_count,
        .snapshot = snapshot,
    };
    if (from->base_name)
        to->base_key =
            mor_arena_printf(arena, "%s%s%s", from->partition, separator, from->base_name);
    const char **keys = mor_arena_alloc(arena, (from->log_count + 1) * sizeof *keys);
    for (size_t i = 0; i < from->log_count; i++) {
        keys[i] = mor_arena_printf(arena, "%s%s%s", from->partition, separator, from->logs[i].name);
        to->delta_size_bytes += from->logs[i].size_bytes;
        int64_t commit_ms = log_commit_ms(&from->logs[i]);
        if (i == 0 || commit_ms < to->oldest_delta_ms)
            to->oldest_delta_ms = commit_ms;
    }
    to->delta_keys = keys;
    to->sealed = snapshot->table_version >= 8 || logs_tell_commits(from, snapshot);
}

// The timeline as it is now: a handle that lives long, also one that writes, sees what others
// committed since.
static enum mor_status load_now(const struct hudi_table *table, struct hudi_timeline *ret_timeline,
                                struct mor_error *err)
{
    *ret_timeline = (struct hudi_timeline){0};
    return hudi_timeline_load(ret_timeline, table->table.store, table->layout, err);
}

enum mor_status hudi_slices(struct mor_table *head, const char *version, struct mor_arena *arena,
                            struct mor_slice **ret_slices, size_t *ret_count, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    struct hudi_timeline timeline;
    struct hudi_listing listing;
    MOR_TRY(load_now(table, &timeline, err));
    enum mor_status status = version ? check_version(table, &timeline, version, err) : MOR_OK;
    if (status == MOR_OK)
        status = hudi_slices_build(head->store, &timeline, table->version, version, arena, &listing,
                                   err);
    hudi_timeline_done(&timeline);
    MOR_TRY(status);
    struct mor_slice *slices = mor_arena_calloc(arena, listing.slice_count + 1, sizeof *slices);
    for (size_t i = 0; i < listing.slice_count; i++)
        fill_slice(&listing.slices[i], listing.snapshot, arena, &slices[i]);
    *ret_slices = slices;
    *ret_count = listing.slice_count;
    return MOR_OK;
}

static enum mor_status find_version_at(const struct hudi_timeline *timeline, int64_t time_ms,
                                       char ret_version[64], struct mor_error *err)
{
    const struct hudi_instant *oldest = NULL;
    for (size_t i = timeline->count; i-- > 0;) {
        const struct hudi_instant *instant = &timeline->instants[i];
        if (!hudi_action_writes(instant->completed))
            continue;
        oldest = instant;
        // a write that began earlier and ended later is not seen by a version that stops here
        if (hudi_time_parse(instant->completion) > time_ms)
            continue;
        memcpy(ret_version, instant->time, sizeof instant->time);
        return MOR_OK;
    }
    return oldest ? mor_error_set(err, MOR_NOT_FOUND,
                                  "the oldest version that the table knows is '%s', which is "
                                  "younger",
                                  oldest->time)
                  : mor_error_set(err, MOR_NOT_FOUND, "the table has no versions yet");
}

enum mor_status hudi_version_at(struct mor_table *head, int64_t time_ms, char ret_version[64],
                                struct mor_error *err)
{
    struct hudi_timeline timeline;
    MOR_TRY(load_now(hudi_of(head), &timeline, err));
    enum mor_status status = find_version_at(&timeline, time_ms, ret_version, err);
    hudi_timeline_done(&timeline);
    return status;
}

// ---- history ------------------------------------------------------------------------------------

static void sum_stats(const json_t *json, struct mor_commit_info *info)
{
    const char *partition;
    json_t *list;
    json_object_foreach(json_object_get(json, "partitionToWriteStats"), partition, list)
    {
        size_t i;
        json_t *stat;
        json_array_foreach(list, i, stat)
        {
            info->files_added++;
            info->bytes_added += hudi_json_int(stat, "fileSizeInBytes");
            info->rows_written += hudi_json_int(stat, "numWrites");
            info->rows_deleted += hudi_json_int(stat, "numDeletes");
        }
    }
}

static const char *operation_of(const json_t *json, const struct hudi_instant *instant,
                                struct mor_arena *arena)
{
    const char *stated = hudi_json_text(json, "operationType");
    if (instant->pending == HUDI_ACTION_COMPACTION ||
        json_is_true(json_object_get(json, "compacted")))
        return "compaction";
    if (instant->pending == HUDI_ACTION_CLUSTERING)
        return "clustering";
    char *operation =
        mor_arena_strdup(arena, stated ? stated : hudi_action_name(instant->completed));
    for (char *c = operation; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return operation;
}

static enum mor_status describe_instant(struct hudi_table *table,
                                        const struct hudi_instant *instant, struct mor_arena *arena,
                                        struct mor_commit_info *info, struct mor_error *err)
{
    *info = (struct mor_commit_info){.operation = hudi_action_name(instant->completed)};
    memcpy(info->version, instant->time, sizeof instant->time);
    info->time_ms = hudi_time_parse(instant->completion);
    bool has_stats = instant->completed == HUDI_ACTION_COMMIT ||
                     instant->completed == HUDI_ACTION_DELTACOMMIT ||
                     instant->completed == HUDI_ACTION_REPLACECOMMIT;
    if (!has_stats)
        return MOR_OK;
    MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, instant);
    HUDI_AUTO_JSON *json = NULL;
    MOR_TRY(hudi_metadata_read(table->table.store, key, &json, err));
    sum_stats(json, info);
    info->operation = operation_of(json, instant, arena);
    json_t *extra = json_object_get(json, "extraMetadata");
    struct mor_property *properties =
        mor_arena_alloc(arena, (json_object_size(extra) + 1) * sizeof *properties);
    const char *name;
    json_t *value;
    json_object_foreach(extra, name, value)
    {
        if (strcmp(name, "schema") == 0 || !json_is_string(value))
            continue;
        properties[info->property_count++] = (struct mor_property){
            .key = mor_arena_strdup(arena, name),
            .value = mor_arena_strdup(arena, json_string_value(value)),
        };
    }
    info->properties = properties;
    return MOR_OK;
}

enum mor_status hudi_history(struct mor_table *head, struct mor_arena *arena,
                             struct mor_commit_info **ret_commits, size_t *ret_count,
                             struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    struct hudi_timeline timeline;
    MOR_TRY(load_now(table, &timeline, err));
    struct mor_commit_info *commits =
        mor_arena_alloc(arena, (timeline.count + 1) * sizeof *commits);
    size_t count = 0;
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < timeline.count && status == MOR_OK; i++) {
        if (timeline.instants[i].completed == HUDI_ACTION_NONE)
            continue;
        status = describe_instant(table, &timeline.instants[i], arena, &commits[count++], err);
    }
    hudi_timeline_done(&timeline);
    MOR_TRY(status);
    *ret_commits = commits;
    *ret_count = count;
    return MOR_OK;
}

// ---- description --------------------------------------------------------------------------------

static json_t *describe_schema(const struct mor_schema *schema)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        MOR_AUTO_BUFFER type = {0};
        mor_type_format(field, &type);
        json_t *column = json_object();
        json_object_set_new(column, "name", json_string(field->name));
        json_object_set_new(column, "type", json_string(mor_buffer_terminate(&type)));
        json_array_append_new(columns, column);
    }
    return columns;
}

static json_t *describe_partitioning(const struct mor_table *table)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < table->partition_column_count; i++) {
        const struct mor_partition_column *column = &table->partition_columns[i];
        const char *source = table->schema->root.children[column->column].name;
        MOR_AUTO_FREE char *text =
            column->transform == MOR_TRANSFORM_IDENTITY
                ? mor_strdup(source)
                : mor_asprintf("%s(%s)", mor_transform_name(column->transform), source);
        json_array_append_new(fields, json_string(text));
    }
    return fields;
}

static void describe_files(const struct mor_slice *slices, size_t count, json_t *json)
{
    int64_t base_files = 0, base_bytes = 0, delta_files = 0, delta_bytes = 0;
    struct mor_map partitions = {0};
    for (size_t i = 0; i < count; i++) {
        base_files += slices[i].base_key != NULL;
        base_bytes += slices[i].base_size_bytes;
        delta_files += (int64_t)slices[i].delta_count;
        delta_bytes += slices[i].delta_size_bytes;
        mor_map_put_text(&partitions, slices[i].partition, NULL);
    }
    json_object_set_new(json, "partitions", json_integer((json_int_t)partitions.count));
    mor_map_done(&partitions);
    json_object_set_new(json, "file_groups", json_integer((json_int_t)count));
    json_object_set_new(json, "base_files", json_integer(base_files));
    json_object_set_new(json, "base_bytes", json_integer(base_bytes));
    json_object_set_new(json, "delta_files", json_integer(delta_files));
    json_object_set_new(json, "delta_bytes", json_integer(delta_bytes));
    json_object_set_new(json, "delta_ratio",
                        json_real(base_bytes > 0 ? (double)delta_bytes / (double)base_bytes : 0));
}

static void describe_timeline(const struct hudi_timeline *timeline, json_t *json)
{
    int64_t commits = 0, pending_compactions = 0;
    const char *last = NULL;
    for (size_t i = 0; i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        pending_compactions +=
            instant->completed == HUDI_ACTION_NONE && instant->pending == HUDI_ACTION_COMPACTION;
        if (instant->completed != HUDI_ACTION_DELTACOMMIT &&
            instant->completed != HUDI_ACTION_COMMIT &&
            instant->completed != HUDI_ACTION_REPLACECOMMIT)
            continue;
        commits++;
        last = instant->time;
    }
    json_object_set_new(json, "commits", json_integer(commits));
    json_object_set_new(json, "last_commit", last ? json_string(last) : json_null());
    json_object_set_new(json, "pending_compactions", json_integer(pending_compactions));
}

enum mor_status hudi_describe(struct mor_table *head, struct mor_buffer *ret_json,
                              struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices = NULL;
    size_t count = 0;
    struct hudi_timeline timeline;
    enum mor_status status = load_now(table, &timeline, err);
    if (status == MOR_OK)
        status = hudi_slices(head, NULL, &arena, &slices, &count, err);
    if (status == MOR_OK) {
        const char *keys = hudi_properties_get(&table->properties, "hoodie.table.recordkey.fields");
        HUDI_AUTO_JSON *json = json_object();
        json_object_set_new(json, "format", json_string("hudi"));
        json_object_set_new(json, "format_version", json_integer(table->version));
        json_object_set_new(json, "name", json_string(head->name));
        json_object_set_new(json, "database", json_string(head->database));
        json_object_set_new(json, "location", json_string(mor_store_location(head->store)));
        json_object_set_new(json, "keyed", json_boolean(head->keyed));
        json_object_set_new(json, "key", keys ? json_string(keys) : json_null());
        json_object_set_new(json, "ordering",
                            table->ordering_name ? json_string(table->ordering_name) : json_null());
        json_object_set_new(json, "partition_by", describe_partitioning(head));
        json_object_set_new(json, "buckets", json_integer(head->bucket_count));
        json_object_set_new(json, "schema", describe_schema(head->schema));
        describe_files(slices, count, json);
        describe_timeline(&timeline, json);
        hudi_metadata_to_json(json, ret_json);
    }
    hudi_timeline_done(&timeline);
    mor_arena_done(&arena);
    return status;
}
