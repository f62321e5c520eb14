// Message keys of tombstones: the only thing that says which row is meant.
#include "decoder.h"
#include "moraine/avro/append.h"

static bool is_key(const struct mor_decoder *decoder, size_t column)
{
    for (size_t i = 0; i < decoder->key_count; i++) {
        if (decoder->key_indices[i] == column)
            return true;
    }
    return false;
}

// All columns; the key columns are named as the source names them, the others lose their name, so
// that no field of the message key finds them, and are nullable to the plan, so that it puts null
// (a required column gets zero from the vector).
static struct mor_schema *build_key_table(const struct mor_decoder *decoder,
                                          const struct mor_route *key_routes)
{
    struct mor_schema *table = mor_schema_new("key");
    for (size_t i = 0; i < decoder->options.column_count; i++) {
        if (!is_key(decoder, i)) {
            mor_schema_add(table, NULL, "", MOR_TYPE_BOOL, true);
            continue;
        }
        struct mor_field *field =
            mor_schema_add_copy(table, NULL, &decoder->options.schema->root.children[i]);
        for (size_t k = 0; k < decoder->key_count; k++) {
            if (key_routes[k].column == (int32_t)i)
                field->name = mor_arena_strdup(&table->arena, key_routes[k].name);
        }
    }
    return table;
}

// The source's field behind a key column that is renamed has another name; only routes tell it.
static const char *source_name(const struct mor_route *routes, size_t count, size_t column)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].column == (int32_t)column)
            return routes[i].name;
        const char *below = source_name(routes[i].children, routes[i].child_count, column);
        if (below)
            return below;
    }
    return NULL;
}

static enum mor_status find_keys(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    decoder->key_indices =
        mor_arena_calloc(&decoder->arena, options->key_column_count, sizeof *decoder->key_indices);
    for (size_t i = 0; i < options->key_column_count; i++) {
        int32_t index = mor_schema_find(options->schema, options->key_columns[i]);
        if (index < 0 || (size_t)index >= options->column_count + options->attribute_count)
            return mor_error_set(err, MOR_FATAL, "key column '%s' is not a column of the records",
                                 options->key_columns[i]);
        if (options->schema->root.children[index].child_count > 0)
            return mor_error_set(err, MOR_FATAL, "key column '%s' is nested",
                                 options->key_columns[i]);
        if ((size_t)index < options->column_count) // attributes come with every record
            decoder->key_indices[decoder->key_count++] = (size_t)index;
    }
    return MOR_OK;
}

// The struct of the source in which the fields of a message key are declared: those of the row.
static const struct mor_field *key_source(const struct mor_decoder_options *options)
{
    if (!options->source_schema)
        return NULL;
    const struct mor_field *root = &options->source_schema->root;
    for (size_t i = 0; options->envelope != MOR_ENVELOPE_NONE && i < root->child_count; i++) {
        if (strcmp(root->children[i].name, "after") == 0)
            return &root->children[i];
    }
    return root;
}

enum mor_status mor_decoder_set_keys(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    if (options->key_column_count == 0)
        return MOR_OK;
    MOR_TRY(find_keys(decoder, err));
    if (decoder->key_count == 0)
        return MOR_OK;
    if (options->key_format == MOR_KEY_STRING && decoder->key_count > 1)
        return mor_error_set(err, MOR_FATAL, "a message key as text stands for one column, not %zu",
                             decoder->key_count);
    if (options->key_format == MOR_KEY_AVRO && !options->registry)
        return mor_error_set(err, MOR_FATAL, "Avro message keys need a schema registry");
    struct mor_route *routes =
        mor_arena_calloc(&decoder->arena, decoder->key_count, sizeof *routes);
    for (size_t i = 0; i < decoder->key_count; i++) {
        size_t column = decoder->key_indices[i];
        const char *name = source_name(options->routes, options->route_count, column);
        routes[i] =
            (struct mor_route){.name = name ? name : options->schema->root.children[column].name,
                               .column = (int32_t)column,
                               .note = MOR_ROUTE_NONE};
    }
    decoder->key_table = build_key_table(decoder, routes);
    decoder->key_plans.table = decoder->key_table;
    if (decoder->key_count == 1)
        decoder->key_plans.wrap_as = routes[0].name;
    return mor_json_object_build_key(&decoder->arena, options->schema->root.children, routes,
                                     decoder->key_count, key_source(options), &decoder->key_object,
                                     err);
}

static void fill_others(struct mor_decoder *decoder, struct mor_vector *columns)
{
    for (size_t i = 0; i < decoder->options.column_count; i++) {
        if (!is_key(decoder, i))
            mor_vector_append_null(&columns[i]);
    }
}

static enum mor_status decode_text(struct mor_decoder *decoder, const struct mor_record *record,
                                   struct mor_vector *columns, struct mor_error *err)
{
    struct mor_json_reader reader = {0};
    if (decoder->key_count > 1)
        return mor_error_set(err, MOR_DATA, "message key: text cannot hold %zu key columns",
                             decoder->key_count);
    if (!mor_avro_utf8_valid(record->key, record->key_size_bytes))
        return mor_error_set(err, MOR_DATA, "message key: not valid UTF-8");
    const struct mor_json_field *field = &decoder->key_object->fields[0];
    struct mor_vector *vector = &columns[decoder->key_indices[0]];
    if (!mor_avro_append_has_room(vector, record->key_size_bytes))
        return mor_error_set(err, MOR_RETRY, "message key: the column is full (2 GiB)");
    if (!mor_json_append_text(&reader, &field->value, vector, record->key, record->key_size_bytes))
        return mor_error_set(err, MOR_DATA, "message key: not a value for column '%s' of type %s",
                             field->name, mor_type_name(field->value.type));
    fill_others(decoder, columns);
    return MOR_OK;
}

static enum mor_status decode_json(struct mor_decoder *decoder, const struct mor_record *record,
                                   struct mor_vector *columns, struct mor_error *err)
{
    struct mor_json_reader reader;
    size_t length = columns[0].length;
    mor_decoder_start_json(decoder, record->key, record->key_size_bytes, &reader);
    int depth = 0;
    const uint8_t *at = mor_json_space(decoder->text.data);
    if (decoder->options.envelope != MOR_ENVELOPE_NONE)
        at = mor_decoder_enter_json(&reader, at, &depth);
    if (at && (*at == '{' || decoder->key_count > 1))
        at = mor_json_decode_object(&reader, decoder->key_object, columns, at, depth);
    else if (at)
        at = mor_json_decode_value(&reader, &decoder->key_object->fields[0].value,
                                   &columns[decoder->key_indices[0]], at, depth);
    if (mor_decoder_finish_json(decoder, &reader, at, depth, columns, length, err) != MOR_OK)
        return mor_error_wrap(err, "message key");
    fill_others(decoder, columns);
    return MOR_OK;
}

static enum mor_status decode_avro(struct mor_decoder *decoder, const struct mor_record *record,
                                   struct mor_vector *columns, struct mor_error *err)
{
    size_t length = columns[0].length;
    if (mor_decoder_wire(decoder, &decoder->key_plans, record->key, record->key_size_bytes, columns,
                         err) != MOR_OK)
        return mor_error_wrap(err, "message key");
    for (size_t i = 0; i < decoder->key_count; i++) {
        struct mor_vector *vector = &columns[decoder->key_indices[i]];
        if (mor_vector_is_null(vector, length)) { // also a column that the key's record lacks
            mor_decoder_undo(decoder, columns, length);
            return mor_error_set(
                err, MOR_DATA, "message key: key column '%s' is null",
                decoder->options.schema->root.children[decoder->key_indices[i]].name);
        }
    }
    return MOR_OK;
}

static enum mor_key_format guess(const struct mor_decoder *decoder, const struct mor_record *record)
{
    if (decoder->options.key_format != MOR_KEY_AUTO)
        return decoder->options.key_format;
    uint8_t first = record->key_size_bytes > 0 ? record->key[0] : 'x';
    if (first == 0 && decoder->options.registry)
        return MOR_KEY_AVRO;
    return first == '{' || first == '"' ? MOR_KEY_JSON : MOR_KEY_STRING;
}

// A text may begin like JSON without being it ("7\"-nails" as the name of an article).
static enum mor_status decode_json_or_text(struct mor_decoder *decoder,
                                           const struct mor_record *record,
                                           struct mor_vector *columns, struct mor_error *err)
{
    enum mor_status status = decode_json(decoder, record, columns, err);
    if (status != MOR_DATA || decoder->options.key_format != MOR_KEY_AUTO || decoder->key_count > 1)
        return status;
    struct mor_error as_text = MOR_ERROR_INIT;
    // what is no text either is reported as the JSON it looks like
    return decode_text(decoder, record, columns, &as_text) == MOR_OK ? MOR_OK : status;
}

enum mor_status mor_decoder_key(struct mor_decoder *decoder, const struct mor_record *record,
                                struct mor_vector *columns, struct mor_error *err)
{
    if (decoder->options.key_column_count == 0)
        return mor_error_set(err, MOR_DATA, "the topic has no key columns");
    if (decoder->key_count == 0) {
        fill_others(decoder, columns);
        return MOR_OK;
    }
    if (!record->key)
        return mor_error_set(err, MOR_DATA, "the record has neither value nor key");
    if (record->key_size_bytes > decoder->options.limits.value_size_max_bytes)
        return mor_error_set(err, MOR_DATA, "the message key has %zu bytes, the limit is %zu",
                             record->key_size_bytes, decoder->options.limits.value_size_max_bytes);
    switch (guess(decoder, record)) {
    case MOR_KEY_AVRO:
        return decode_avro(decoder, record, columns, err);
    case MOR_KEY_JSON:
        return decode_json_or_text(decoder, record, columns, err);
    default:
        return decode_text(decoder, record, columns, err);
    }
}
