// A new table from its options, and an existing one made to fit them.
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/clock.h"

// ---- schema and partitioning --------------------------------------------------------------------

static void clear_ids(struct mor_field *field)
{
    field->field_id = -1;
    for (size_t i = 0; i < field->child_count; i++)
        clear_ids(&field->children[i]);
}

static bool is_key(const struct mor_table_options *options, const char *name)
{
    for (size_t i = 0; i < options->key_column_count; i++) {
        if (strcmp(options->key_columns[i], name) == 0)
            return true;
    }
    return false;
}

// The rows' schema as Iceberg stores it: key columns are required.
static enum mor_status wanted_schema(const struct mor_table_options *options,
                                     struct mor_schema **ret_schema, struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    MOR_TRY(mor_table_normalise_schema(MOR_FORMAT_ICEBERG, options->schema, &schema, err));
    for (size_t i = 0; i < schema->root.child_count; i++) {
        struct mor_field *field = &schema->root.children[i];
        clear_ids(field);
        field->nullable = !is_key(options, field->name);
    }
    *ret_schema = schema;
    return MOR_OK;
}

static struct iceberg_transform transform_of(const struct mor_partition_field *field)
{
    static const enum iceberg_transform_kind kinds[] = {
        [MOR_TRANSFORM_IDENTITY] = ICEBERG_IDENTITY, [MOR_TRANSFORM_YEAR] = ICEBERG_YEAR,
        [MOR_TRANSFORM_MONTH] = ICEBERG_MONTH,       [MOR_TRANSFORM_DAY] = ICEBERG_DAY,
        [MOR_TRANSFORM_HOUR] = ICEBERG_HOUR,         [MOR_TRANSFORM_BUCKET] = ICEBERG_BUCKET,
        [MOR_TRANSFORM_TRUNCATE] = ICEBERG_TRUNCATE,
    };
    return (struct iceberg_transform){kinds[field->transform], field->argument};
}

static void wishes_of(const struct mor_table_options *options, struct iceberg_spec_wish *wishes)
{
    for (size_t i = 0; i < options->partition_field_count; i++)
        wishes[i] = (struct iceberg_spec_wish){options->partition_fields[i].column,
                                               transform_of(&options->partition_fields[i])};
}

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

// Ids of the key columns, ascending; none when one of them cannot be an identifier.
static size_t identifiers_of(const struct mor_schema *schema,
                             const struct mor_table_options *options, int32_t *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < options->key_column_count; i++) {
        int32_t column = mor_schema_find(schema, options->key_columns[i]);
        if (column < 0)
            continue;
        const struct mor_field *field = &schema->root.children[column];
        if (field->type == MOR_TYPE_FLOAT || field->type == MOR_TYPE_DOUBLE)
            return 0;
        ids[count++] = field->field_id;
    }
    if (count > 1)
        qsort(ids, count, sizeof *ids, compare_ids);
    return count;
}

static char *join_keys(const struct mor_table_options *options)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < options->key_column_count; i++)
        mor_buffer_printf(&text, "%s%s", i > 0 ? "," : "", options->key_columns[i]);
    return mor_strdup(mor_buffer_terminate(&text));
}

// ---- a new table --------------------------------------------------------------------------------

// A new table only where nothing lies yet: a mistyped location must not mix with somebody's files.
static enum mor_status check_empty(struct mor_store *store, struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_store_list_names(store, "", &arena, &objects, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        if (strcmp(objects[i].key, "_moraine") == 0 || strcmp(objects[i].key, "lost+found") == 0)
            continue;
        struct mor_object_info *inside = NULL;
        size_t inside_count = 0;
        // what a create left that did not come to its end, or another instance does just now
        if (strcmp(objects[i].key, "metadata") == 0)
            status = mor_store_list_names(store, "metadata", &arena, &inside, &inside_count, err);
        if (status == MOR_OK && (strcmp(objects[i].key, "metadata") != 0 || inside_count > 0))
            status = mor_error_set(
                err, MOR_FATAL, "there is no Iceberg table, but the location is not empty ('%s')",
                inside_count > 0 ? inside[0].key : objects[i].key);
    }
    mor_arena_done(&arena);
    return status;
}

// What keeps a table healthy that gets a commit every second, for everybody who writes it.
static json_t *new_properties(const struct mor_table_options *options)
{
    static const char *const fixed[][2] = {
        {"write.format.default", "parquet"},
        {"write.parquet.compression-codec", "zstd"},
        {"write.delete.mode", "merge-on-read"},
        {"write.update.mode", "merge-on-read"},
        {"write.merge.mode", "merge-on-read"},
        {"write.delete.granularity", "file"},
        {"write.metadata.delete-after-commit.enabled", "true"},
        {"write.metadata.previous-versions-max", "20"},
        {"history.expire.max-snapshot-age-ms", "3600000"},
        {"history.expire.min-snapshots-to-keep", "10"},
        {"commit.retry.num-retries", "20"},
    };
    json_t *properties = json_object();
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        json_object_set_new(properties, fixed[i][0], json_string(fixed[i][1]));
    if (options->key_column_count > 0) {
        MOR_AUTO_FREE char *keys = join_keys(options);
        json_object_set_new(properties, ICEBERG_KEY_KEY, json_string(keys));
        json_object_set_new(properties, ICEBERG_ORDERING_KEY,
                            json_string(options->ordering_column));
    }
    return properties;
}

static char *location_uri(const struct mor_store *store)
{
    const char *location = mor_store_location(store);
    const char *path = strncmp(location, "file://", 7) == 0  ? location + 7
                       : strncmp(location, "file:/", 6) == 0 ? location + 5
                                                             : location;
    // every URI of the table begins with it, and readers of other programs open them
    char *absolute = realpath(path, NULL);
    char *uri = mor_asprintf("file://%s", absolute ? absolute : path);
    free(absolute);
    size_t length = strlen(uri);
    while (length > strlen("file:///") && uri[length - 1] == '/')
        uri[--length] = '\0';
    return uri;
}

enum mor_status iceberg_create(struct iceberg_table *table, const struct mor_table_options *options,
                               struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    int32_t version = options->format_version ? options->format_version : 2;
    if (version != 2 && version != 3)
        return mor_error_set(err, MOR_FATAL,
                             "Iceberg format version %d cannot be written; 2 and 3 can", version);
    if (table->table.store) // else the catalog finds a place
        MOR_TRY(check_empty(table->table.store, err));
    struct mor_schema *schema = NULL;
    MOR_TRY(wanted_schema(options, &schema, err));
    int32_t last_id = 0, last_partition_id = 999;
    iceberg_schema_assign(schema, &last_id);
    MOR_AUTO_FREE int32_t *ids = mor_calloc(options->key_column_count + 1, sizeof *ids);
    MOR_AUTO_FREE struct iceberg_spec_wish *wishes =
        mor_calloc(options->partition_field_count + 1, sizeof *wishes);
    wishes_of(options, wishes);
    ICEBERG_AUTO_JSON *json =
        iceberg_schema_to_json(schema, 0, ids, identifiers_of(schema, options, ids));
    ICEBERG_AUTO_JSON *spec = NULL;
    enum mor_status status = iceberg_spec_make(schema, wishes, options->partition_field_count, 0,
                                               &last_partition_id, &spec, err);
    mor_schema_free(schema);
    MOR_TRY(status);
    MOR_AUTO_FREE char *location = table->table.store ? location_uri(table->table.store) : NULL;
    ICEBERG_AUTO_JSON *properties = new_properties(options);
    const struct iceberg_creation creation = {.format_version = version,
                                              .location = location,
                                              .schema = json,
                                              .spec = spec,
                                              .properties = properties};
    return iceberg_catalog_create(table->catalog, &creation, ret_metadata, err);
}

// ---- an existing table --------------------------------------------------------------------------

static enum mor_status check_properties(const struct iceberg_metadata *metadata,
                                        struct mor_error *err)
{
    const char *format = iceberg_metadata_property(metadata, "write.format.default");
    if (format && strcmp(format, "parquet") != 0)
        return mor_error_set(err, MOR_FATAL,
                             "the table wants its files as %s (write.format.default); only Parquet "
                             "is written here",
                             format);
    static const char *const paths[] = {"write.data.path", "write.metadata.path",
                                        "write.folder-storage.path", "write.object-storage.path"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (iceberg_metadata_property(metadata, paths[i]))
            return mor_error_set(err, MOR_FATAL,
                                 "the table wants its files elsewhere (%s), which is not supported",
                                 paths[i]);
    }
    return MOR_OK;
}

static enum mor_status check_version(const struct iceberg_metadata *metadata, struct mor_error *err)
{
    if (metadata->format_version < 2)
        return mor_error_set(err, MOR_FATAL,
                             "the table has format version 1, which is only read: upgrade it with "
                             "the program that made it");
    return MOR_OK;
}

static enum mor_status check_partitioning(const struct iceberg_metadata *metadata,
                                          const struct mor_table_options *options,
                                          struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    struct iceberg_spec *spec = NULL;
    MOR_AUTO_FREE struct iceberg_spec_wish *wishes =
        mor_calloc(options->partition_field_count + 1, sizeof *wishes);
    wishes_of(options, wishes);
    MOR_TRY(iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                     &schema, err));
    enum mor_status status = iceberg_spec_from_json(
        iceberg_metadata_spec(metadata, metadata->default_spec_id), schema, &spec, err);
    mor_schema_free(schema);
    MOR_TRY(status);
    status = iceberg_spec_check_writable(spec, err);
    if (status == MOR_OK && !iceberg_spec_matches(spec, wishes, options->partition_field_count)) {
        ICEBERG_AUTO_JSON *json = iceberg_spec_fields_to_json(spec);
        MOR_AUTO_BUFFER text = {0};
        iceberg_json_format(json, &text);
        status = mor_error_set(err, MOR_FATAL,
                               "the table is partitioned otherwise than the options say: %s",
                               mor_buffer_terminate(&text));
    }
    iceberg_spec_free(spec);
    return status;
}

// The table's key is what its identifier fields say, or what an earlier commit of this program
// noted.
static enum mor_status check_key(const struct iceberg_metadata *metadata,
                                 const struct mor_table_options *options, struct mor_error *err)
{
    const char *stated = iceberg_metadata_property(metadata, ICEBERG_KEY_KEY);
    const char *ordering = iceberg_metadata_property(metadata, ICEBERG_ORDERING_KEY);
    MOR_AUTO_FREE char *wanted = join_keys(options);
    if (stated && strcmp(stated, wanted) != 0)
        return mor_error_set(err, MOR_FATAL, "the table's key is '%s', not '%s'", stated, wanted);
    if (ordering && options->ordering_column && strcmp(ordering, options->ordering_column) != 0)
        return mor_error_set(err, MOR_FATAL, "the table is ordered by '%s', not '%s'", ordering,
                             options->ordering_column);
    int32_t ids[64];
    const json_t *json = iceberg_metadata_schema(metadata, metadata->current_schema_id);
    size_t count = iceberg_schema_identifiers(json, ids, 64);
    if (count == 0 || options->key_column_count == 0)
        return MOR_OK; // what other writers made may have none; appending needs none
    struct mor_schema *schema = NULL;
    MOR_TRY(iceberg_schema_from_json(json, &schema, err));
    bool same = count == options->key_column_count;
    for (size_t i = 0; i < count && i < 64; i++) {
        const struct mor_field *field = iceberg_schema_field(schema, ids[i]);
        same &= field && is_key(options, field->name);
    }
    mor_schema_free(schema);
    return same ? MOR_OK
                : mor_error_set(err, MOR_FATAL,
                                "the table's identifier fields are others than the key '%s'",
                                wanted);
}

// What the table's key columns allow, the rows need not ask for.
static void follow_nullability(const struct iceberg_metadata *metadata, struct mor_schema *rows)
{
    struct mor_schema *schema = NULL;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                 &schema, &ignored) != MOR_OK)
        return;
    for (size_t i = 0; i < rows->root.child_count; i++) {
        struct mor_field *field = &rows->root.children[i];
        int32_t column = mor_schema_find(schema, field->name);
        if (!field->nullable && column < 0)
            field->nullable = true; // a key that the table does not have: binding tells
    }
    mor_schema_free(schema);
}

static int32_t next_schema_id(const struct iceberg_metadata *metadata)
{
    const json_t *schemas = json_object_get(metadata->document, "schemas"), *schema;
    int64_t last = -1;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)schemas, i, schema)
    {
        int64_t id = iceberg_json_int(schema, "schema-id", -1);
        last = id > last ? id : last;
    }
    return (int32_t)(last + 1);
}

static enum mor_status evolve(const struct iceberg_metadata *metadata,
                              const struct mor_table_options *options,
                              struct iceberg_change *change, struct mor_error *err)
{
    struct mor_schema *rows = NULL;
    ICEBERG_AUTO_JSON *evolved = NULL;
    int32_t last_id = metadata->last_column_id;
    MOR_TRY(wanted_schema(options, &rows, err));
    follow_nullability(metadata, rows);
    enum mor_status status =
        iceberg_schema_evolve(iceberg_metadata_schema(metadata, metadata->current_schema_id), rows,
                              next_schema_id(metadata), &last_id, &evolved, err);
    mor_schema_free(rows);
    MOR_TRY(status);
    if (evolved) {
        iceberg_change_require_schema(change, metadata->current_schema_id,
                                      metadata->last_column_id);
        iceberg_change_add_schema(change, evolved);
    }
    return MOR_OK;
}

static void note(const struct iceberg_metadata *metadata, const struct mor_table_options *options,
                 struct iceberg_change *change)
{
    if (options->key_column_count == 0 || iceberg_metadata_property(metadata, ICEBERG_KEY_KEY))
        return;
    MOR_AUTO_FREE char *keys = join_keys(options);
    iceberg_change_set_property(change, ICEBERG_KEY_KEY, keys);
    iceberg_change_set_property(change, ICEBERG_ORDERING_KEY, options->ordering_column);
}

enum mor_status iceberg_adapt(struct iceberg_table *table, const struct mor_table_options *options,
                              struct iceberg_metadata **metadata, struct mor_error *err)
{
    MOR_TRY(check_version(*metadata, err));
    MOR_TRY(check_properties(*metadata, err));
    MOR_TRY(check_key(*metadata, options, err));
    MOR_TRY(check_partitioning(*metadata, options, err));
    ICEBERG_AUTO_CHANGE change;
    iceberg_change_init(&change);
    iceberg_change_require_uuid(&change, (*metadata)->uuid);
    if (options->format_version > (*metadata)->format_version)
        iceberg_change_upgrade(&change, options->format_version);
    MOR_TRY(evolve(*metadata, options, &change, err));
    note(*metadata, options, &change);
    if (json_array_size(change.updates) == 0)
        return MOR_OK;
    struct iceberg_metadata *changed = NULL;
    enum mor_status status =
        iceberg_catalog_commit(table->catalog, *metadata, &change, &changed, err);
    if (status == MOR_UNKNOWN)
        err->status = status = MOR_CONFLICT; // a look tells
    MOR_TRY(status);
    iceberg_metadata_unref(*metadata);
    *metadata = changed;
    iceberg_remember(table, changed);
    return MOR_OK;
}
