#include <string.h>

#include "partition_path.h"
#include "record_key.h"
#include "table_catalogs.h"
#include "table_format.h"

static const struct mor_table_ops *const formats[] = {
    &mor_table_hudi_ops,
    &mor_table_iceberg_ops,
};

enum mor_status mor_table_normalise_schema(enum mor_table_format format,
                                           const struct mor_schema *schema,
                                           struct mor_schema **ret_schema, struct mor_error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i]->format != format)
            continue;
        struct mor_schema *copy = mor_schema_copy(schema);
        for (size_t c = 0; c < copy->root.child_count; c++) {
            enum mor_status status = formats[i]->normalise_field(&copy->root.children[c], err);
            if (status != MOR_OK) {
                mor_schema_free(copy);
                return mor_error_wrap(err, "column '%s'", schema->root.children[c].name);
            }
        }
        *ret_schema = copy;
        return MOR_OK;
    }
    return mor_error_set(err, MOR_FATAL, "this table format is not built in yet");
}

bool mor_format_has_places(enum mor_table_format format)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i]->format == format)
            return formats[i]->write_removal != NULL;
    }
    return false;
}

bool mor_table_types_equal(const struct mor_field *a, const struct mor_field *b)
{
    if (a->type != b->type || a->child_count != b->child_count ||
        (a->type == MOR_TYPE_DECIMAL && (a->precision != b->precision || a->scale != b->scale)) ||
        (a->type == MOR_TYPE_FIXED && a->fixed_size_bytes != b->fixed_size_bytes))
        return false;
    for (size_t i = 0; i < a->child_count; i++) {
        // the names of a list's element and of a map's parts carry no meaning
        if (a->type == MOR_TYPE_STRUCT && strcmp(a->children[i].name, b->children[i].name) != 0)
            return false;
        if (!mor_table_types_equal(&a->children[i], &b->children[i]))
            return false;
    }
    return true;
}

// ---- binding ------------------------------------------------------------------------------------

static enum mor_status bind_key(struct mor_table *table, const char *const *names, size_t count,
                                struct mor_error *err)
{
    table->key_columns = mor_calloc(count + 1, sizeof *table->key_columns);
    table->key_column_count = count;
    table->keyed = count > 0;
    for (size_t i = 0; i < count; i++) {
        int32_t column = mor_schema_find(table->schema, names[i]);
        if (column < 0)
            return mor_error_set(err, MOR_FATAL, "key column '%s' is not in the schema", names[i]);
        const struct mor_field *field = &table->schema->root.children[column];
        if (!mor_record_key_accepts(field))
            return mor_error_set(err, MOR_FATAL, "key column '%s' is %s, which cannot be a key",
                                 names[i], mor_type_name(field->type));
        table->key_columns[i] = column;
    }
    return MOR_OK;
}

static bool can_order(const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
    case MOR_TYPE_STRING:
        return true;
    default:
        return false;
    }
}

static enum mor_status bind_ordering(struct mor_table *table, const char *name,
                                     struct mor_error *err)
{
    table->ordering_column = -1;
    if (!name)
        return MOR_OK;
    table->ordering_column = mor_schema_find(table->schema, name);
    if (table->ordering_column < 0)
        return mor_error_set(err, MOR_FATAL, "ordering column '%s' is not in the schema", name);
    const struct mor_field *field = &table->schema->root.children[table->ordering_column];
    if (!can_order(field))
        return mor_error_set(err, MOR_FATAL, "ordering column '%s' is %s, which has no order", name,
                             mor_type_name(field->type));
    return MOR_OK;
}

static bool accepts(const struct mor_table *table, const struct mor_partition_column *bound,
                    const struct mor_field *field)
{
    if (bound->transform <= MOR_TRANSFORM_HOUR)
        return mor_transform_accepts(bound->transform, field);
    return table->ops && table->ops->transform_accepts &&
           table->ops->transform_accepts(bound->transform, bound->argument, field);
}

static enum mor_status bind_partition(struct mor_table *table,
                                      const struct mor_partition_field *fields, size_t count,
                                      struct mor_error *err)
{
    table->partition_columns = mor_calloc(count + 1, sizeof *table->partition_columns);
    table->escape_partition_values = table->ops && mor_table_has_places(table);
    for (size_t i = 0; i < count; i++) {
        struct mor_partition_column *bound = &table->partition_columns[i];
        bound->column = mor_schema_find(table->schema, fields[i].column);
        bound->transform = fields[i].transform;
        bound->argument = fields[i].argument;
        if (bound->column < 0)
            return mor_error_set(err, MOR_FATAL, "partition column '%s' is not in the schema",
                                 fields[i].column);
        const struct mor_field *field = &table->schema->root.children[bound->column];
        if (!accepts(table, bound, field))
            return mor_error_set(err, MOR_FATAL, "cannot partition by %s of column '%s' (%s)",
                                 mor_transform_name(bound->transform), fields[i].column,
                                 mor_type_name(field->type));
        bound->path_name = bound->transform == MOR_TRANSFORM_IDENTITY
                               ? mor_strdup(fields[i].column)
                               : mor_asprintf("%s_%s", fields[i].column,
                                              bound->transform == MOR_TRANSFORM_TRUNCATE
                                                  ? "trunc"
                                                  : mor_transform_name(bound->transform));
        table->partition_column_count = i + 1;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(table->partition_columns[k].path_name, bound->path_name) == 0)
                return mor_error_set(err, MOR_FATAL, "the table is partitioned by '%s' twice",
                                     bound->path_name);
        }
        if ((bound->transform == MOR_TRANSFORM_IDENTITY ||
             bound->transform == MOR_TRANSFORM_TRUNCATE) &&
            (field->type == MOR_TYPE_STRING || field->type == MOR_TYPE_ENUM))
            table->escape_partition_values = true;
    }
    return MOR_OK;
}

enum mor_status mor_table_bind(struct mor_table *table, const char *const *key_columns,
                               size_t key_column_count, const char *ordering_column,
                               const struct mor_partition_field *partition_fields,
                               size_t partition_field_count, struct mor_error *err)
{
    MOR_TRY(bind_key(table, key_columns, key_column_count, err));
    MOR_TRY(bind_ordering(table, ordering_column, err));
    return bind_partition(table, partition_fields, partition_field_count, err);
}

void mor_table_done(struct mor_table *table)
{
    for (size_t i = 0; i < table->partition_column_count; i++)
        free(table->partition_columns[i].path_name);
    free(table->partition_columns);
    free(table->key_columns);
    free(table->name);
    free(table->database);
    mor_schema_free(table->schema);
    mor_store_free(table->store);
}

// ---- opening ------------------------------------------------------------------------------------

enum mor_status mor_table_open_write(const struct mor_table_options *options,
                                     struct mor_table **ret_table, struct mor_error *err)
{
    if (mor_table_is_in_catalog(options->location))
        return mor_catalogs_open_write(options, ret_table, err);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i]->format != options->format)
            continue;
        struct mor_store *store = NULL;
        MOR_TRY(mor_store_open(options->location, true, &store, err));
        enum mor_status status = formats[i]->open_write(store, options, ret_table, err);
        return status == MOR_OK ? MOR_OK
                                : mor_error_wrap(err, "could not open the table '%s' for writing",
                                                 options->location);
    }
    return mor_error_set(err, MOR_FATAL, "this table format is not built in yet");
}

// The format of what lies in the store; takes the store when there is none.
static enum mor_status find_format(struct mor_store *store, const char *location,
                                   const struct mor_table_ops **ret_format, struct mor_error *err)
{
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0] && status == MOR_OK; i++) {
        bool found = false;
        status = formats[i]->probe(store, &found, err);
        if (status == MOR_OK && found) {
            *ret_format = formats[i];
            return MOR_OK;
        }
    }
    mor_store_free(store);
    return status != MOR_OK
               ? mor_error_wrap(err, "could not open the table '%s'", location)
               : mor_error_set(err, MOR_NOT_FOUND, "there is no table at '%s'", location);
}

enum mor_status mor_table_open_read(const char *location, struct mor_budget *budget,
                                    struct mor_table **ret_table, struct mor_error *err)
{
    struct mor_store *store = NULL;
    const struct mor_table_ops *format = NULL;
    if (mor_table_is_in_catalog(location))
        return mor_catalogs_open_read(location, budget, ret_table, err);
    MOR_TRY(mor_store_open(location, false, &store, err));
    MOR_TRY(find_format(store, location, &format, err));
    enum mor_status status = format->open_read(store, budget, ret_table, err);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not open the table '%s'", location);
}

enum mor_status mor_table_open_rewrite(const char *location, const char *instance,
                                       struct mor_budget *budget, struct mor_table **ret_table,
                                       struct mor_error *err)
{
    struct mor_store *store = NULL;
    const struct mor_table_ops *format = NULL;
    if (mor_table_is_in_catalog(location))
        return mor_catalogs_open_rewrite(location, instance, budget, ret_table, err);
    MOR_TRY(mor_store_open(location, false, &store, err));
    MOR_TRY(find_format(store, location, &format, err));
    enum mor_status status = format->open_rewrite(store, instance, budget, ret_table, err);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not open the table '%s' for rewriting", location);
}
