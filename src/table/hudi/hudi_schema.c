#include <ctype.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/avro.h"

static const char *const meta_columns[HUDI_META_COLUMNS] = {
    "_hoodie_commit_time",    "_hoodie_commit_seqno", "_hoodie_record_key",
    "_hoodie_partition_path", "_hoodie_file_name",
};

static bool is_name(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    }
    return true;
}

// Types whose Avro and Parquet forms every reader of Hudi tables takes.
static void normalise_type(struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        field->type = MOR_TYPE_TIMESTAMP_MICROS;
        field->local_timestamp = false;
        break;
    case MOR_TYPE_TIME_MILLIS:
        field->type = MOR_TYPE_INT32;
        break;
    case MOR_TYPE_TIME_MICROS:
        field->type = MOR_TYPE_INT64;
        break;
    case MOR_TYPE_FIXED:
        field->type = MOR_TYPE_BYTES;
        field->fixed_size_bytes = 0;
        break;
    case MOR_TYPE_UUID:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        field->type = MOR_TYPE_STRING;
        break;
    default:
        break;
    }
}

static enum mor_status normalise(struct mor_field *field, bool nullable, struct mor_error *err)
{
    if (!is_name(field->name))
        return mor_error_set(err, MOR_FATAL,
                             "'%s' is no name for a column of a Hudi table; allowed are "
                             "letters, digits and underscore, not beginning with a digit",
                             field->name);
    normalise_type(field);
    // every column can be null, as in the tables that Spark writes: columns can be added and
    // dropped
    field->nullable = nullable;
    field->field_id = -1;
    bool is_map = field->type == MOR_TYPE_MAP;
    if (is_map && field->child_count == 2)
        field->children[0].type = MOR_TYPE_STRING; // Avro has no other map key
    for (size_t i = 0; i < field->child_count; i++)
        MOR_TRY(normalise(&field->children[i], !(is_map && i == 0), err));
    return MOR_OK;
}

enum mor_status hudi_normalise_field(struct mor_field *field, struct mor_error *err)
{
    if (strncmp(field->name, "_hoodie_", 8) == 0)
        return mor_error_set(err, MOR_FATAL, "names beginning with _hoodie_ belong to Hudi");
    return normalise(field, true, err);
}

// Record name and namespace in the form that Spark uses; characters that Avro refuses are replaced.
static char *avro_name(const char *table)
{
    char *name = mor_strdup(table);
    for (char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '_';
    }
    if (isdigit((unsigned char)*name))
        *name = '_';
    return name;
}

static enum mor_status schema_to_json(const struct hudi_table *table,
                                      const struct mor_schema *schema, char **ret_json,
                                      struct mor_error *err)
{
    MOR_AUTO_FREE char *table_name = avro_name(table->table.name);
    MOR_AUTO_FREE char *name = mor_asprintf("%s_record", table_name);
    MOR_AUTO_FREE char *name_space = mor_asprintf("hoodie.%s", table_name);
    MOR_AUTO_BUFFER json = {0};
    MOR_TRY(mor_avro_schema_from_table(schema, name, name_space, &json, err));
    free(*ret_json);
    *ret_json = mor_strndup((const char *)json.data, json.size_bytes);
    return MOR_OK;
}

enum mor_status hudi_schema_prepare(struct hudi_table *table, struct mor_error *err)
{
    struct mor_schema *stored = mor_schema_new("record");
    struct mor_schema *plain = mor_schema_new("record");
    for (size_t i = 0; i < HUDI_META_COLUMNS; i++)
        mor_schema_add(stored, NULL, meta_columns[i], MOR_TYPE_STRING, true);
    for (size_t i = 0; i < table->table.schema->root.child_count; i++) {
        mor_schema_add_copy(stored, NULL, &table->table.schema->root.children[i]);
        mor_schema_add_copy(plain, NULL, &table->table.schema->root.children[i]);
    }
    table->derived_count = 0;
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < table->table.partition_column_count && status == MOR_OK; i++) {
        const struct mor_partition_column *column = &table->table.partition_columns[i];
        if (column->transform == MOR_TRANSFORM_IDENTITY)
            continue;
        if (mor_schema_find(plain, column->path_name) >= 0)
            status = mor_error_set(err, MOR_FATAL,
                                   "the partition column '%s' would have the name of a column",
                                   column->path_name);
        mor_schema_add(stored, NULL, column->path_name, MOR_TYPE_STRING, true);
        mor_schema_add(plain, NULL, column->path_name, MOR_TYPE_STRING, true);
        table->derived_count++;
    }
    if (status == MOR_OK)
        status = schema_to_json(table, plain, &table->schema_json, err);
    if (status == MOR_OK)
        status = schema_to_json(table, stored, &table->block_schema_json, err);
    mor_schema_free(plain);
    mor_schema_free(table->stored_schema);
    table->stored_schema = stored;
    return status;
}

static bool is_derived(const char *name, const char *const *derived_names, size_t derived_count)
{
    for (size_t i = 0; i < derived_count; i++) {
        if (strcmp(name, derived_names[i]) == 0)
            return true;
    }
    return strncmp(name, "_hoodie_", 8) == 0;
}

enum mor_status hudi_schema_parse(const char *json, const char *const *derived_names,
                                  size_t derived_count, struct mor_schema **ret_schema,
                                  struct mor_error *err)
{
    struct mor_avro_schema *avro = NULL;
    struct mor_schema *all = NULL;
    MOR_TRY(mor_avro_schema_parse(json, strlen(json), &avro, err));
    enum mor_status status = mor_avro_schema_to_table(avro, &all, err);
    mor_avro_schema_free(avro);
    if (status != MOR_OK)
        return status;
    struct mor_schema *schema = mor_schema_new(all->root.name);
    for (size_t i = 0; i < all->root.child_count; i++) {
        if (is_derived(all->root.children[i].name, derived_names, derived_count))
            continue;
        struct mor_field *field = mor_schema_add_copy(schema, NULL, &all->root.children[i]);
        field->nullable = true;
        field->field_id = -1;
    }
    mor_schema_free(all);
    *ret_schema = schema;
    return MOR_OK;
}

enum mor_status hudi_schema_join(const struct hudi_table *table, const char *newest,
                                 char **ret_json, struct mor_error *err)
{
    const struct mor_field *stored = &table->stored_schema->root;
    const struct mor_schema *ours = table->table.schema;
    const char *derived[64];
    size_t count = table->derived_count < 64 ? table->derived_count : 64;
    for (size_t i = 0; i < count; i++)
        derived[i] = stored->children[stored->child_count - table->derived_count + i].name;
    struct mor_schema *theirs = NULL, *joined = NULL;
    char *json = NULL;
    MOR_TRY(hudi_schema_parse(newest, derived, count, &theirs, err));
    enum mor_status status = mor_schema_join(theirs, ours, &joined, err);
    if (status == MOR_OK && mor_table_types_equal(&joined->root, &ours->root)) {
        json = mor_strdup(table->schema_json);
    } else if (status == MOR_OK) {
        for (size_t i = 0; i < count; i++)
            mor_schema_add(joined, NULL, derived[i], MOR_TYPE_STRING, true);
        status = schema_to_json(table, joined, &json, err);
    }
    mor_schema_free(theirs);
    mor_schema_free(joined);
    if (status == MOR_OK)
        *ret_json = json;
    return status;
}
