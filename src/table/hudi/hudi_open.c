#include <stdio.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/fault.h"
#include "partition_path.h"

#define COMMENT      "Properties of a Hudi table written by moraine"
#define OPEN_WAIT_MS 10000 // other instances that open the table list its files meanwhile

enum mor_status hudi_probe(struct mor_store *store, bool *ret_found, struct mor_error *err)
{
    struct mor_object_info info;
    enum mor_status status = mor_store_info(store, HUDI_PROPERTIES_KEY, &info, err);
    if (status != MOR_OK && status != MOR_NOT_FOUND)
        return status;
    *ret_found = status == MOR_OK;
    return MOR_OK;
}

static struct hudi_table *table_new(struct mor_store *store, struct mor_budget *budget)
{
    struct hudi_table *table = mor_calloc(1, sizeof *table);
    table->table.ops = &mor_table_hudi_ops;
    table->table.store = store;
    table->table.budget = budget;
    table->table.ordering_column = -1;
    pthread_mutex_init(&table->mutex, NULL);
    return table;
}

void hudi_free(struct mor_table *head)
{
    struct hudi_table *table = hudi_of(head);
    hudi_groups_clear(table);
    for (size_t i = 0; i < table->extra_cache.count; i++)
        json_decref(table->extra_cache.entries[i].value.pointer);
    mor_map_done(&table->extra_cache);
    mor_map_done(&table->mended);
    hudi_timeline_done(&table->timeline);
    hudi_properties_done(&table->properties);
    mor_buffer_done(&table->properties_bytes);
    mor_schema_free(table->stored_schema);
    free(table->schema_json);
    free(table->block_schema_json);
    free(table->ordering_name);
    free(table->instance);
    free(table->staging_prefix);
    hudi_slot_done(&table->head);
    hudi_turn_release(table);
    mor_lock_free(table->lock);
    pthread_mutex_destroy(&table->mutex);
    mor_table_done(&table->table);
    free(table);
}

// ---- what is on disk ----------------------------------------------------------------------------

static enum mor_status read_merging(struct hudi_table *table, struct mor_error *err)
{
    const struct hudi_properties *properties = &table->properties;
    const char *ordering =
        hudi_properties_get(properties, table->version >= 9 ? "hoodie.table.ordering.fields"
                                                            : "hoodie.table.precombine.field");
    if (ordering && *ordering) {
        if (strchr(ordering, ','))
            return mor_error_set(err, MOR_FATAL,
                                 "the table orders by several columns (%s), which is not supported",
                                 ordering);
        free(table->ordering_name);
        table->ordering_name = mor_strdup(ordering);
    }
    const char *mode = hudi_properties_get(properties, "hoodie.record.merge.mode");
    const char *payload = hudi_properties_get(properties, "hoodie.compaction.payload.class");
    const char *name = payload ? strrchr(payload, '.') : NULL;
    name = name ? name + 1 : payload;
    if (mode && strcmp(mode, "EVENT_TIME_ORDERING") == 0)
        table->by_ordering = true;
    else if (mode && strcmp(mode, "COMMIT_TIME_ORDERING") == 0)
        table->by_ordering = false;
    else if (mode)
        return mor_error_set(err, MOR_FATAL, "the table merges rows by %s, which is not supported",
                             mode);
    else if (!name || strcmp(name, "DefaultHoodieRecordPayload") == 0 ||
             strcmp(name, "EventTimeAvroPayload") == 0)
        table->by_ordering = true;
    else if (strcmp(name, "OverwriteWithLatestAvroPayload") == 0)
        table->by_ordering = false;
    else
        return mor_error_set(err, MOR_FATAL,
                             "the table merges rows with the class %s, which is not supported",
                             payload);
    table->by_ordering &= table->ordering_name != NULL;
    return MOR_OK;
}

// Takes in the bytes of hoodie.properties.
static enum mor_status read_properties(struct hudi_table *table, struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    MOR_TRY(mor_store_get(store, HUDI_PROPERTIES_KEY, HUDI_PROPERTIES_BYTES_MAX,
                          &table->properties_bytes, err));
    MOR_TRY(hudi_properties_parse(&table->properties, table->properties_bytes.data,
                                  table->properties_bytes.size_bytes, err));
    const struct hudi_properties *properties = &table->properties;
    const char *name = hudi_properties_get(properties, "hoodie.table.name");
    const char *version = hudi_properties_get(properties, "hoodie.table.version");
    const char *layout = hudi_properties_get(properties, "hoodie.timeline.layout.version");
    if (!name || !version)
        return mor_error_set(err, MOR_DATA,
                             "hoodie.properties states no table name or version (an empty file is "
                             "left by a crash of older Hudi writers; its .backup may be whole)");
    table->version = hudi_properties_int(properties, "hoodie.table.version", -1);
    table->layout = table->version >= 8 ? 2 : 1;
    if (table->version != 6 && table->version != 8 && table->version != 9)
        return mor_error_set(err, MOR_FATAL,
                             "Hudi table version %s is not supported; 6, 8 and 9 are", version);
    if (layout &&
        hudi_properties_int(properties, "hoodie.timeline.layout.version", -1) != table->layout)
        return mor_error_set(err, MOR_FATAL, "timeline layout %s does not belong to version %d",
                             layout, table->version);
    const char *path = hudi_properties_get(properties, "hoodie.timeline.path");
    if (path && strcmp(path, "timeline") != 0)
        return mor_error_set(err, MOR_FATAL, "the timeline lies in '%s', only 'timeline' is known",
                             path);
    const char *populated = hudi_properties_get(properties, "hoodie.populate.meta.fields");
    table->has_meta_columns = !populated || strcasecmp(populated, "true") == 0;
    free(table->table.name);
    table->table.name = mor_strdup(name);
    const char *database = hudi_properties_get(properties, "hoodie.database.name");
    free(table->table.database);
    table->table.database = mor_strdup(database ? database : "");
    return read_merging(table, err);
}

// Names of the derived partition columns of a table that we made, e.g. "created_at_day".
static size_t derived_names(const struct hudi_table *table, struct mor_arena *arena,
                            const char ***ret_names)
{
    const char *text = hudi_properties_get(&table->properties, HUDI_PARTITION_BY_KEY);
    size_t count = 0;
    const char **names = mor_arena_alloc(arena, (strlen(text ? text : "") + 1) * sizeof *names);
    char *rest = mor_arena_strdup(arena, text ? text : "");
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        enum mor_transform transform;
        const char *column;
        size_t length;
        if (mor_partition_field_parse(part, &transform, &column, &length) &&
            transform != MOR_TRANSFORM_IDENTITY)
            names[count++] = mor_arena_printf(arena, "%.*s_%s", (int)length, column,
                                              mor_transform_name(transform));
    }
    *ret_names = names;
    return count;
}

// Table schema: of the newest commit, else of the table's creation.
static enum mor_status read_schema(struct hudi_table *table, struct mor_schema **ret_schema,
                                   struct mor_error *err)
{
    const char *json = NULL;
    MOR_TRY(hudi_extra_find(table, "schema", &json, err));
    if (!json || !*json)
        json = hudi_properties_get(&table->properties, "hoodie.table.create.schema");
    if (!json)
        return mor_error_set(err, MOR_DATA, "neither a commit nor the properties state a schema");
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    const char **names;
    size_t count = derived_names(table, &arena, &names);
    enum mor_status status = hudi_schema_parse(json, names, count, ret_schema, err);
    mor_arena_done(&arena);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not read the table's schema");
}

// ---- open for reading ---------------------------------------------------------------------------

// Binds key, ordering and partitioning of a table as far as they can be told; a reader needs none.
static void bind_for_reading(struct hudi_table *table)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    const char *keys[64];
    struct mor_partition_field partitions[64];
    size_t key_count = 0, partition_count = 0;
    const char *text = hudi_properties_get(&table->properties, "hoodie.table.recordkey.fields");
    char *rest = mor_arena_strdup(&arena, text ? text : "");
    for (char *part; (part = strsep(&rest, ",")) != NULL && key_count < 64;) {
        if (*part)
            keys[key_count++] = part;
    }
    text = hudi_properties_get(&table->properties, HUDI_PARTITION_BY_KEY);
    rest = mor_arena_strdup(&arena, text ? text : "");
    for (char *part; (part = strsep(&rest, ",")) != NULL && partition_count < 64;) {
        struct mor_partition_field *field = &partitions[partition_count];
        const char *column;
        size_t length;
        if (!mor_partition_field_parse(part, &field->transform, &column, &length))
            continue;
        field->column = mor_arena_strndup(&arena, column, length);
        partition_count++;
    }
    struct mor_error ignored = MOR_ERROR_INIT;
    bool keyed = table->ordering_name != NULL;
    if (mor_table_bind(&table->table, keys, keyed ? key_count : 0, table->ordering_name, partitions,
                       partition_count, &ignored) != MOR_OK) {
        // a foreign table with keys or partitions that we could not write
        table->table.keyed = keyed;
    }
    int32_t buckets = hudi_properties_int(&table->properties, "hoodie.bucket.index.num.buckets", 0);
    table->table.bucket_count = buckets > 0 && keyed ? buckets : 0;
    mor_arena_done(&arena);
}

enum mor_status hudi_open_read(struct mor_store *take_store, struct mor_budget *budget,
                               struct mor_table **ret_table, struct mor_error *err)
{
    struct hudi_table *table = table_new(take_store, budget);
    enum mor_status status = read_properties(table, err);
    if (status == MOR_OK)
        status = hudi_timeline_load(&table->timeline, take_store, table->layout, err);
    if (status == MOR_OK)
        status = read_schema(table, &table->table.schema, err);
    if (status == MOR_OK) {
        bind_for_reading(table);
        status = hudi_schema_prepare(table, err);
    }
    if (status != MOR_OK) {
        hudi_free(&table->table);
        return status;
    }
    *ret_table = &table->table;
    return MOR_OK;
}

// ---- open for writing ---------------------------------------------------------------------------

static enum mor_status bind_options(struct hudi_table *table,
                                    const struct mor_table_options *options, struct mor_error *err)
{
    MOR_TRY(mor_table_bind(&table->table, options->key_columns, options->key_column_count,
                           options->ordering_column, options->partition_fields,
                           options->partition_field_count, err));
    if (options->key_column_count > 0 && !options->ordering_column)
        return mor_error_set(err, MOR_FATAL, "a table with a key needs an ordering column");
    if (options->key_column_count > 0 &&
        (options->bucket_count < 1 || options->bucket_count > 100000))
        return mor_error_set(err, MOR_FATAL, "bucket count %d is not between 1 and 100000",
                             options->bucket_count);
    table->table.bucket_count = options->key_column_count > 0 ? options->bucket_count : 0;
    return hudi_schema_prepare(table, err);
}

// A new table only where nothing lies yet: a mistyped location must not mix with somebody's files.
static enum mor_status check_empty(struct mor_store *store, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = MOR_OK;
    static const char *const prefixes[] = {"", ".hoodie"};
    static const char *const expected[] = {".hoodie", ".hoodie/moraine"};
    for (size_t p = 0; p < 2 && status == MOR_OK; p++) {
        struct mor_object_info *objects = NULL;
        size_t count = 0;
        status = mor_store_list(store, prefixes[p], false, &arena, &objects, &count, err);
        for (size_t i = 0; i < count && status == MOR_OK; i++) {
            if (strcmp(objects[i].key, expected[p]) != 0 &&
                strcmp(objects[i].key, "lost+found") != 0)
                status = mor_error_set(
                    err, MOR_FATAL, "there is no Hudi table, but the location is not empty ('%s')",
                    objects[i].key);
        }
    }
    mor_arena_done(&arena);
    return status;
}

static enum mor_status create(struct hudi_table *table, const struct mor_table_options *options,
                              struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    MOR_TRY(check_empty(store, err));
    table->version = options->hudi_table_version ? options->hudi_table_version : 6;
    if (table->version != 6 && table->version != 9)
        return mor_error_set(err, MOR_FATAL, "Hudi table version %d cannot be written; 6 and 9 can",
                             table->version);
    table->layout = table->version >= 8 ? 2 : 1;
    const char *location = mor_store_location(store);
    size_t length = strlen(location);
    while (length > 1 && location[length - 1] == '/')
        length--;
    const char *slash = memrchr(location, '/', length);
    const char *last = slash ? slash + 1 : location;
    table->table.name = options->name ? mor_strdup(options->name)
                                      : mor_strndup(last, length - (size_t)(last - location));
    table->table.database = mor_strdup(options->database ? options->database : "default");
    table->ordering_name = options->ordering_column ? mor_strdup(options->ordering_column) : NULL;
    MOR_TRY(
        mor_table_normalise_schema(MOR_FORMAT_HUDI, options->schema, &table->table.schema, err));
    MOR_TRY(bind_options(table, options, err));
    struct hudi_properties properties = {0};
    MOR_AUTO_BUFFER text = {0};
    hudi_create_properties(table, &properties);
    hudi_properties_format(&properties, COMMENT, &text);
    hudi_properties_done(&properties);
    MOR_TRY(mor_fault("hudi.create", err));
    MOR_TRY(mor_store_put_new(store, HUDI_PROPERTIES_KEY, text.data, text.size_bytes, err));
    return read_properties(table, err);
}

static enum mor_status open_existing(struct hudi_table *table,
                                     const struct mor_table_options *options, struct mor_error *err)
{
    struct mor_schema *existing = NULL, *wanted = NULL;
    // first what is decided, and what ended processes left: the newest commit states the schema
    MOR_TRY(hudi_staging_clear(table, err));
    MOR_TRY(hudi_rollback_failed(table, err));
    MOR_TRY(read_schema(table, &existing, err));
    enum mor_status status =
        mor_table_normalise_schema(MOR_FORMAT_HUDI, options->schema, &wanted, err);
    if (status == MOR_OK)
        status = mor_schema_join(existing, wanted, &table->table.schema, err);
    mor_schema_free(existing);
    mor_schema_free(wanted);
    if (status != MOR_OK)
        return status;
    MOR_TRY(bind_options(table, options, err));
    return hudi_check_options(table, options->hudi_table_version ? options->hudi_table_version : 6,
                              err);
}

static enum mor_status open_locked(struct hudi_table *table,
                                   const struct mor_table_options *options, struct mor_error *err)
{
    MOR_TRY(mor_store_clean_temporary(table->table.store, NULL, err));
    enum mor_status status = read_properties(table, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        status = create(table, options, err);
    } else if (status == MOR_OK) {
        status = open_existing(table, options, err);
    }
    return status == MOR_OK ? hudi_base_load(table, err) : status;
}

// Creating a table, and clearing up after versions of this program that were the only writer, is
// for one instance at a time. Such a version holds the same lock for as long as it runs.
static enum mor_status open_as_instance(struct hudi_table *table,
                                        const struct mor_table_options *options,
                                        struct mor_error *err)
{
    struct mor_lock *lock = NULL;
    MOR_TRY(hudi_instance_open(table, options->instance, err));
    MOR_TRY(mor_store_lock(table->table.store, HUDI_LOCK_KEY, table->instance, OPEN_WAIT_MS, &lock,
                           err));
    enum mor_status status = open_locked(table, options, err);
    mor_lock_free(lock);
    return status;
}

enum mor_status hudi_open_write(struct mor_store *take_store,
                                const struct mor_table_options *options,
                                struct mor_table **ret_table, struct mor_error *err)
{
    struct hudi_table *table = table_new(take_store, options->budget);
    enum mor_status status = open_as_instance(table, options, err);
    if (status != MOR_OK) {
        hudi_free(&table->table);
        return status;
    }
    *ret_table = &table->table;
    return MOR_OK;
}
