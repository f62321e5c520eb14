#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define OPEN_ATTEMPTS_MAX 20

enum mor_status iceberg_probe(struct mor_store *store, bool *ret_found, struct mor_error *err)
{
    return iceberg_files_probe(store, ret_found, err);
}

enum mor_status iceberg_normalise_field(struct mor_field *field, struct mor_error *err)
{
    return iceberg_schema_normalise(field, err);
}

// Without a store the table lies where its catalog says.
static struct iceberg_table *table_new(struct mor_store *store, const struct iceberg_named *named,
                                       struct mor_budget *budget)
{
    struct iceberg_table *table = mor_calloc(1, sizeof *table);
    table->table.ops = &mor_table_iceberg_ops;
    table->table.store = store;
    table->table.budget = budget;
    table->table.ordering_column = -1;
    table->seen_snapshot_id = table->seen_sequence = table->begin_snapshot_id = -1;
    table->turn_wait_ms = MOR_TURN_WAIT_MS;
    table->catalog = named ? named->catalog : iceberg_catalog_open_files(store);
    table->table.name = named ? mor_strdup(named->name) : NULL;
    table->table.database = named ? mor_strdup(named->database) : NULL;
    pthread_mutex_init(&table->catalog_mutex, NULL);
    pthread_mutex_init(&table->mutex, NULL);
    pthread_mutex_init(&table->equality_mutex, NULL);
    return table;
}

void iceberg_free(struct mor_table *head)
{
    struct iceberg_table *table = iceberg_of(head);
    iceberg_pending_done(table);
    iceberg_state_unref(table->state);
    iceberg_contents_clear(table);
    iceberg_equality_cache_done(&table->equality);
    iceberg_metadata_unref(table->metadata);
    mor_turn_release(&table->turn);
    mor_lock_free(table->lock);
    iceberg_catalog_free(table->catalog);
    mor_schema_free(table->file_schema);
    mor_schema_free(table->rewrite_schema);
    free(table->ordering_name);
    free(table->instance);
    pthread_mutex_destroy(&table->catalog_mutex);
    pthread_mutex_destroy(&table->mutex);
    pthread_mutex_destroy(&table->equality_mutex);
    mor_table_done(head);
    free(table);
}

// ---- metadata -----------------------------------------------------------------------------------

struct iceberg_metadata *iceberg_known(struct iceberg_table *table)
{
    MOR_LOCKED(&table->mutex);
    return table->metadata ? iceberg_metadata_ref(table->metadata) : NULL;
}

void iceberg_remember(struct iceberg_table *table, struct iceberg_metadata *metadata)
{
    MOR_LOCKED(&table->mutex);
    iceberg_metadata_unref(table->metadata);
    table->metadata = iceberg_metadata_ref(metadata);
}

enum mor_status iceberg_load(struct iceberg_table *table, struct iceberg_metadata **ret_metadata,
                             struct mor_error *err)
{
    MOR_LOCKED(&table->catalog_mutex);
    ICEBERG_AUTO_METADATA *known = iceberg_known(table);
    if (known) {
        bool moved;
        MOR_TRY(iceberg_catalog_has_moved(table->catalog, known, &moved, err));
        if (!moved) {
            *ret_metadata = iceberg_metadata_ref(known);
            return MOR_OK;
        }
    }
    MOR_TRY(iceberg_catalog_load(table->catalog, ret_metadata, err));
    iceberg_remember(table, *ret_metadata);
    return MOR_OK;
}

// Opens the store of a table in a catalog, once its location is known.
static enum mor_status find_store(struct iceberg_table *table,
                                  const struct iceberg_metadata *metadata, bool create,
                                  struct mor_error *err)
{
    if (table->table.store)
        return MOR_OK;
    if (mor_store_open(metadata->location, create, &table->table.store, err) != MOR_OK)
        return mor_error_wrap(err, "the catalog keeps the table's files at '%s'",
                              metadata->location);
    return MOR_OK;
}

// ---- schemas ------------------------------------------------------------------------------------

static void add_long(struct mor_schema *schema, const char *name, int32_t field_id, bool nullable)
{
    struct mor_field *field = mor_schema_add(schema, NULL, name, MOR_TYPE_INT64, nullable);
    field->field_id = field_id;
}

// The schemas of rows, from the table's current one. Key columns are required in the files only.
static enum mor_status take_schema(struct iceberg_table *table,
                                   const struct iceberg_metadata *metadata, const char *const *keys,
                                   size_t key_count, struct mor_error *err)
{
    const json_t *json = iceberg_metadata_schema(metadata, metadata->current_schema_id);
    MOR_TRY(iceberg_schema_from_json(json, &table->file_schema, err));
    table->table.schema = mor_schema_copy(table->file_schema);
    for (size_t i = 0; i < key_count; i++) {
        int32_t column = mor_schema_find(table->table.schema, keys[i]);
        if (column >= 0)
            table->table.schema->root.children[column].nullable = true;
    }
    table->rewrite_schema = mor_schema_copy(table->table.schema);
    if (metadata->format_version >= 3) {
        add_long(table->rewrite_schema, MOR_COLUMN_ROW_ID, ICEBERG_ID_ROW_ID, true);
        add_long(table->rewrite_schema, MOR_COLUMN_SEQUENCE, ICEBERG_ID_LAST_UPDATED, true);
    }
    // nullable, because no file has it: whoever reads a slice fills it
    add_long(table->rewrite_schema, MOR_COLUMN_PLACE, -1, true);
    table->format_version = metadata->format_version;
    return MOR_OK;
}

static void take_name(struct iceberg_table *table, const char *name, const char *database)
{
    if (table->table.name)
        return; // it has one in its catalog
    const char *location = mor_store_location(table->table.store);
    size_t length = strlen(location);
    while (length > 1 && location[length - 1] == '/')
        length--;
    const char *slash = memrchr(location, '/', length);
    const char *last = slash ? slash + 1 : location;
    table->table.name =
        name ? mor_strdup(name) : mor_strndup(last, length - (size_t)(last - location));
    table->table.database = mor_strdup(database ? database : "default");
}

// ---- open for reading ---------------------------------------------------------------------------

struct bindings {
    struct mor_arena arena;
    const char **keys;
    size_t key_count;
    struct mor_partition_field *fields;
    size_t field_count;
};

static void find_keys(const struct iceberg_metadata *metadata, const struct mor_schema *schema,
                      struct bindings *bindings)
{
    const char *stated = iceberg_metadata_property(metadata, ICEBERG_KEY_KEY);
    size_t limit = schema->root.child_count;
    bindings->keys = mor_arena_calloc(&bindings->arena, limit + 1, sizeof *bindings->keys);
    while (stated && *stated && bindings->key_count < limit) {
        size_t length = strcspn(stated, ",");
        bindings->keys[bindings->key_count++] = mor_arena_strndup(&bindings->arena, stated, length);
        stated += length + (stated[length] == ',');
    }
    if (bindings->key_count > 0)
        return;
    int32_t ids[64];
    size_t count = iceberg_schema_identifiers(
        iceberg_metadata_schema(metadata, metadata->current_schema_id), ids, 64);
    for (size_t i = 0; i < count && i < 64; i++) {
        for (size_t c = 0; c < limit; c++) {
            if (schema->root.children[c].field_id == ids[i])
                bindings->keys[bindings->key_count++] = schema->root.children[c].name;
        }
    }
}

static bool transform_of(struct iceberg_transform transform, struct mor_partition_field *field)
{
    static const int kinds[] = {
        [ICEBERG_IDENTITY] = MOR_TRANSFORM_IDENTITY, [ICEBERG_BUCKET] = MOR_TRANSFORM_BUCKET,
        [ICEBERG_TRUNCATE] = MOR_TRANSFORM_TRUNCATE, [ICEBERG_YEAR] = MOR_TRANSFORM_YEAR,
        [ICEBERG_MONTH] = MOR_TRANSFORM_MONTH,       [ICEBERG_DAY] = MOR_TRANSFORM_DAY,
        [ICEBERG_HOUR] = MOR_TRANSFORM_HOUR,
    };
    if (transform.kind >= ICEBERG_VOID)
        return false;
    field->transform = (enum mor_transform)kinds[transform.kind];
    field->argument = transform.kind == ICEBERG_BUCKET || transform.kind == ICEBERG_TRUNCATE
                          ? transform.width
                          : 0;
    return true;
}

// Partition fields of the default spec; none when one of them cannot be expressed.
static enum mor_status find_fields(const struct iceberg_metadata *metadata,
                                   const struct mor_schema *schema, struct bindings *bindings,
                                   struct iceberg_spec **ret_spec, struct mor_error *err)
{
    struct iceberg_spec *spec = NULL;
    MOR_TRY(iceberg_spec_from_json(iceberg_metadata_spec(metadata, metadata->default_spec_id),
                                   schema, &spec, err));
    bindings->fields =
        mor_arena_calloc(&bindings->arena, spec->field_count + 1, sizeof *bindings->fields);
    for (size_t i = 0; i < spec->field_count; i++) {
        struct mor_partition_field *field = &bindings->fields[bindings->field_count];
        if (spec->fields[i].transform.kind == ICEBERG_VOID)
            continue;
        if (!spec->fields[i].source || !transform_of(spec->fields[i].transform, field) ||
            mor_schema_find(schema, spec->fields[i].source->name) < 0) {
            bindings->field_count = 0;
            break;
        }
        field->column = mor_arena_strdup(&bindings->arena, spec->fields[i].source->name);
        bindings->field_count++;
    }
    *ret_spec = spec;
    return MOR_OK;
}

// Fields of the spec may have names of their own.
static void take_field_names(struct iceberg_table *table, const struct iceberg_spec *spec)
{
    size_t bound = 0;
    for (size_t i = 0; i < spec->field_count && bound < table->table.partition_column_count; i++) {
        if (spec->fields[i].transform.kind == ICEBERG_VOID)
            continue;
        struct mor_partition_column *column = &table->table.partition_columns[bound++];
        free(column->path_name);
        column->path_name = mor_strdup(spec->fields[i].name);
    }
}

static enum mor_status bind_for_reading(struct iceberg_table *table,
                                        const struct iceberg_metadata *metadata,
                                        struct bindings *bindings, struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    struct iceberg_spec *spec = NULL;
    MOR_TRY(iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                     &schema, err));
    find_keys(metadata, schema, bindings);
    enum mor_status status = find_fields(metadata, schema, bindings, &spec, err);
    if (status == MOR_OK)
        status = take_schema(table, metadata, bindings->keys, bindings->key_count, err);
    const char *ordering = iceberg_metadata_property(metadata, ICEBERG_ORDERING_KEY);
    if (status == MOR_OK) {
        table->ordering_name = ordering ? mor_strdup(ordering) : NULL;
        struct mor_error ignored = MOR_ERROR_INIT;
        // a foreign table may have keys or partitions that we could not write
        if (mor_table_bind(&table->table, bindings->keys, bindings->key_count, ordering,
                           bindings->fields, bindings->field_count, &ignored) != MOR_OK)
            table->table.keyed = bindings->key_count > 0;
        take_field_names(table, spec);
    }
    iceberg_spec_free(spec);
    mor_schema_free(schema);
    return status;
}

static enum mor_status open_for_reading(struct iceberg_table *table, struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct bindings bindings = {0};
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(find_store(table, metadata, false, err));
    take_name(table, NULL, NULL);
    mor_arena_init(&bindings.arena, 0, NULL);
    enum mor_status status = bind_for_reading(table, metadata, &bindings, err);
    mor_arena_done(&bindings.arena);
    return status;
}

static enum mor_status open_read(struct iceberg_table *table, struct mor_table **ret_table,
                                 struct mor_error *err)
{
    enum mor_status status = open_for_reading(table, err);
    if (status != MOR_OK) {
        iceberg_free(&table->table);
        return status;
    }
    *ret_table = &table->table;
    return MOR_OK;
}

enum mor_status iceberg_open_read(struct mor_store *take_store, struct mor_budget *budget,
                                  struct mor_table **ret_table, struct mor_error *err)
{
    return open_read(table_new(take_store, NULL, budget), ret_table, err);
}

enum mor_status iceberg_open_read_named(const struct iceberg_named *take_named,
                                        struct mor_budget *budget, struct mor_table **ret_table,
                                        struct mor_error *err)
{
    return open_read(table_new(NULL, take_named, budget), ret_table, err);
}

static enum mor_status open_rewrite(struct iceberg_table *table, const char *instance,
                                    struct mor_table **ret_table, struct mor_error *err)
{
    struct mor_table *head = NULL;
    MOR_TRY(open_read(table, &head, err));
    MOR_AUTO_FREE char *name = NULL;
    enum mor_status status =
        table->format_version < 2
            ? mor_error_set(err, MOR_FATAL, "the table has format version 1, which is only read")
            : mor_writer_lock(head->store, ICEBERG_WRITERS_PREFIX, instance, &table->instance,
                              &name, &table->lock, err);
    if (status != MOR_OK) {
        iceberg_free(head);
        return status;
    }
    *ret_table = head;
    return MOR_OK;
}

enum mor_status iceberg_open_rewrite(struct mor_store *take_store, const char *instance,
                                     struct mor_budget *budget, struct mor_table **ret_table,
                                     struct mor_error *err)
{
    return open_rewrite(table_new(take_store, NULL, budget), instance, ret_table, err);
}

enum mor_status iceberg_open_rewrite_named(const struct iceberg_named *take_named,
                                           const char *instance, struct mor_budget *budget,
                                           struct mor_table **ret_table, struct mor_error *err)
{
    return open_rewrite(table_new(NULL, take_named, budget), instance, ret_table, err);
}

// ---- open for writing ---------------------------------------------------------------------------

static enum mor_status bind_options(struct iceberg_table *table,
                                    const struct iceberg_metadata *metadata,
                                    const struct mor_table_options *options, struct mor_error *err)
{
    struct iceberg_spec *spec = NULL;
    MOR_TRY(take_schema(table, metadata, options->key_columns, options->key_column_count, err));
    MOR_TRY(mor_table_bind(&table->table, options->key_columns, options->key_column_count,
                           options->ordering_column, options->partition_fields,
                           options->partition_field_count, err));
    MOR_TRY(iceberg_spec_from_json(iceberg_metadata_spec(metadata, metadata->default_spec_id),
                                   table->file_schema, &spec, err));
    table->spec_id = spec->spec_id;
    take_field_names(table, spec);
    iceberg_spec_free(spec);
    table->ordering_name = options->ordering_column ? mor_strdup(options->ordering_column) : NULL;
    if (table->table.keyed)
        table->table.bucket_count = options->bucket_count > 1 ? options->bucket_count : 1;
    return MOR_OK;
}

// Makes the table, or takes the one that is there to what the options need.
static enum mor_status prepare(struct iceberg_table *table, const struct mor_table_options *options,
                               struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    enum mor_status status = iceberg_load(table, ret_metadata, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        status = iceberg_create(table, options, ret_metadata, err);
        if (status == MOR_OK) {
            iceberg_remember(table, *ret_metadata);
            return find_store(table, *ret_metadata, true, err);
        }
        if (status == MOR_UNKNOWN)
            err->status = status = MOR_CONFLICT; // a look tells
    }
    if (status == MOR_OK)
        status = find_store(table, *ret_metadata, true, err);
    if (status == MOR_OK)
        status = iceberg_adapt(table, options, ret_metadata, err);
    return status;
}

static enum mor_status open_for_writing(struct iceberg_table *table,
                                        const struct mor_table_options *options,
                                        struct mor_error *err)
{
    MOR_AUTO_FREE char *name = NULL;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    enum mor_status status = MOR_CONFLICT;
    if (options->key_column_count > 0 && !options->ordering_column)
        return mor_error_set(err, MOR_FATAL, "a table with a key needs an ordering column");
    take_name(table, options->name, options->database);
    for (int i = 0; i < OPEN_ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        iceberg_metadata_unref(metadata);
        metadata = NULL;
        *err = MOR_ERROR_INIT;
        status = prepare(table, options, &metadata, err);
    }
    if (status == MOR_CONFLICT)
        err->status = status = MOR_RETRY;
    MOR_TRY(status);
    MOR_TRY(mor_writer_lock(table->table.store, ICEBERG_WRITERS_PREFIX, options->instance,
                            &table->instance, &name, &table->lock, err));
    return bind_options(table, metadata, options, err);
}

static enum mor_status open_write(struct iceberg_table *table,
                                  const struct mor_table_options *options,
                                  struct mor_table **ret_table, struct mor_error *err)
{
    enum mor_status status = open_for_writing(table, options, err);
    if (status != MOR_OK) {
        iceberg_free(&table->table);
        return status;
    }
    *ret_table = &table->table;
    return MOR_OK;
}

enum mor_status iceberg_open_write(struct mor_store *take_store,
                                   const struct mor_table_options *options,
                                   struct mor_table **ret_table, struct mor_error *err)
{
    return open_write(table_new(take_store, NULL, options->budget), options, ret_table, err);
}

enum mor_status iceberg_open_write_named(const struct iceberg_named *take_named,
                                         const struct mor_table_options *options,
                                         struct mor_table **ret_table, struct mor_error *err)
{
    return open_write(table_new(NULL, take_named, options->budget), options, ret_table, err);
}

bool iceberg_is_outgrown(const struct iceberg_table *table, const struct iceberg_metadata *metadata)
{
    struct mor_schema *schema = NULL;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                 &schema, &ignored) != MOR_OK)
        return false;
    bool wider = false, same = true;
    for (size_t i = 0; i < table->file_schema->root.child_count && same; i++) {
        const struct mor_field *ours = &table->file_schema->root.children[i];
        const struct mor_field *now = iceberg_schema_field(schema, ours->field_id);
        same = now && strcmp(ours->name, now->name) == 0;
        wider |= same && !mor_table_types_equal(ours, now);
    }
    mor_schema_free(schema);
    return same && wider;
}

enum mor_status iceberg_check_unchanged(const struct iceberg_table *table,
                                        const struct iceberg_metadata *metadata,
                                        struct mor_error *err)
{
    if (metadata->format_version != table->format_version)
        return mor_error_set(err, MOR_FATAL,
                             "the table was taken from format version %d to %d: start again",
                             table->format_version, metadata->format_version);
    struct mor_schema *schema = NULL;
    MOR_TRY(iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                     &schema, err));
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < table->file_schema->root.child_count && status == MOR_OK; i++) {
        const struct mor_field *ours = &table->file_schema->root.children[i];
        const struct mor_field *now = iceberg_schema_field(schema, ours->field_id);
        if (!now || !mor_table_types_equal(ours, now) || strcmp(ours->name, now->name) != 0)
            status = mor_error_set(err, MOR_FATAL,
                                   "column '%s' of the table was dropped, renamed or changed by "
                                   "somebody: start again",
                                   ours->name);
    }
    for (size_t i = 0; i < schema->root.child_count && status == MOR_OK; i++) {
        const struct mor_field *now = &schema->root.children[i];
        if (!now->nullable && mor_schema_find(table->file_schema, now->name) < 0)
            status =
                mor_error_set(err, MOR_FATAL, "the table got the required column '%s'", now->name);
    }
    mor_schema_free(schema);
    return status;
}
