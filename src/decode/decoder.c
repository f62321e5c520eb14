#include "decoder.h"

#include <stdio.h>

#include "moraine/avro/append.h"

bool mor_decoder_take_notice(struct mor_decoder *decoder, char *ret_text, size_t capacity)
{
    if (__builtin_expect(decoder->notice[0] == '\0', 1))
        return false;
    (void)snprintf(ret_text, capacity, "%s", decoder->notice);
    decoder->notice[0] = '\0';
    return true;
}

int32_t mor_decoder_changed_id(const struct mor_decoder *decoder)
{
    return decoder->changed_id;
}

enum mor_status mor_decoder_wire_id(const uint8_t *bytes, size_t size_bytes, int32_t *ret_id,
                                    struct mor_error *err)
{
    if (size_bytes < MOR_WIRE_HEADER_SIZE)
        return mor_error_set(err, MOR_DATA,
                             "byte 0: %zu bytes are too few for the wire format's header",
                             size_bytes);
    if (bytes[0] != 0)
        return mor_error_set(err, MOR_DATA, "byte 0: the wire format begins with 00, not %02x",
                             bytes[0]);
    uint32_t id =
        (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    if (id > INT32_MAX)
        return mor_error_set(err, MOR_DATA, "byte 1: schema id %u is not in the registry", id);
    *ret_id = (int32_t)id;
    return MOR_OK;
}

static enum mor_status set_json(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    const struct mor_field *columns = options->schema->root.children;
    const struct mor_route *routes = options->routes;
    size_t count = options->route_count;
    if (!routes) {
        count = options->column_count;
        routes = mor_json_routes_of(&decoder->arena, columns, count);
    }
    MOR_TRY(mor_json_object_build(&decoder->arena, columns, routes, count,
                                  options->source_schema ? &options->source_schema->root : NULL,
                                  &decoder->object, err));
    decoder->row = options->routes ? NULL : decoder->object;
    for (size_t i = 0; options->row_is_whole && i < decoder->object->field_count; i++) {
        const struct mor_json_field *field = &decoder->object->fields[i];
        if (field->role == MOR_JSON_FLATTENED && field->otherwise != MOR_ROUTE_NONE)
            decoder->row = field->value.object;
    }
    return MOR_OK;
}

static struct mor_schema *first_columns(const struct mor_schema *schema, size_t count)
{
    struct mor_schema *copy = mor_schema_new(schema->root.name);
    for (size_t i = 0; i < count; i++)
        mor_schema_add_copy(copy, NULL, &schema->root.children[i]);
    return copy;
}

static enum mor_status set_payload(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    size_t count = options->column_count + options->attribute_count;
    if ((options->column_count == 0) != (options->format == MOR_PAYLOAD_RAW) || count == 0 ||
        count > options->schema->root.child_count)
        return mor_error_set(
            err, MOR_FATAL, "a decoder of %zu columns and %zu attributes for a schema of %zu",
            options->column_count, options->attribute_count, options->schema->root.child_count);
    decoder->value_table = first_columns(options->schema, options->column_count);
    switch (options->format) {
    case MOR_PAYLOAD_JSON:
        return set_json(decoder, err);
    case MOR_PAYLOAD_AVRO:
        return mor_decoder_set_avro(decoder, err);
    case MOR_PAYLOAD_PROTOBUF:
        return mor_decoder_set_protobuf(decoder, err);
    case MOR_PAYLOAD_RAW:
        break;
    }
    return MOR_OK;
}

static void set_limits(struct mor_decoder_limits *limits)
{
    if (limits->value_size_max_bytes == 0)
        limits->value_size_max_bytes = MOR_DECODER_VALUE_SIZE_MAX;
    if (limits->items_max == 0)
        limits->items_max = MOR_DECODER_ITEMS_MAX;
    if (limits->depth_max == 0)
        limits->depth_max = MOR_DECODER_DEPTH_MAX;
}

enum mor_status mor_decoder_new(const struct mor_decoder_options *options,
                                struct mor_decoder **ret_decoder, struct mor_error *err)
{
    struct mor_decoder *decoder = mor_calloc(1, sizeof *decoder);
    mor_arena_init(&decoder->arena, 0, NULL);
    decoder->options = *options;
    set_limits(&decoder->options.limits);
    decoder->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    enum mor_status status = decoder->locale ? set_payload(decoder, err)
                                             : mor_error_set(err, MOR_FATAL, "no locale \"C\"");
    if (status == MOR_OK)
        status = mor_decoder_set_attributes(decoder, err);
    if (status == MOR_OK)
        status = mor_decoder_set_keys(decoder, err);
    if (status != MOR_OK) {
        mor_decoder_free(decoder);
        return status;
    }
    *ret_decoder = decoder;
    return MOR_OK;
}

void mor_decoder_free(struct mor_decoder *decoder)
{
    if (!decoder)
        return;
    mor_decoder_avro_done(decoder);
    mor_decoder_protobuf_done(decoder);
    mor_schema_free(decoder->value_table);
    mor_decoder_attributes_done(decoder);
    mor_schema_free(decoder->key_table);
    mor_buffer_done(&decoder->text);
    mor_buffer_done(&decoder->scratch);
    mor_buffer_done(&decoder->slots);
    mor_arena_done(&decoder->arena);
    if (decoder->locale)
        freelocale(decoder->locale);
    free(decoder);
}

void mor_decoder_undo(const struct mor_decoder *decoder, struct mor_vector *columns, size_t length)
{
    for (size_t i = 0; i < decoder->options.column_count; i++)
        mor_avro_append_undo(&columns[i], length);
}

enum mor_status mor_decoder_value(struct mor_decoder *decoder, const struct mor_record *record,
                                  struct mor_vector *columns, struct mor_error *err)
{
    size_t limit = decoder->options.limits.value_size_max_bytes;
    if (record->value_size_bytes > limit)
        return mor_error_set(err, MOR_DATA, "the value has %zu bytes, the limit is %zu",
                             record->value_size_bytes, limit);
    if (!record->value && decoder->options.format != MOR_PAYLOAD_RAW)
        return mor_error_set(err, MOR_DATA, "the record has no value");
    switch (decoder->options.format) {
    case MOR_PAYLOAD_JSON:
        return mor_decoder_json(decoder, record, columns, err);
    case MOR_PAYLOAD_AVRO:
        return mor_decoder_avro(decoder, record, columns, err);
    case MOR_PAYLOAD_PROTOBUF:
        return mor_decoder_protobuf(decoder, record, columns, err);
    case MOR_PAYLOAD_RAW:
        break;
    }
    return MOR_OK;
}

enum mor_status mor_decoder_record(struct mor_decoder *decoder, const struct mor_record *record,
                                   struct mor_vector *columns, enum mor_decoded *ret_what,
                                   struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    size_t length = columns[0].length;
    bool keyed = options->key_column_count > 0;
    *ret_what = MOR_DECODED_ROW;
    if (record->value || (options->format == MOR_PAYLOAD_RAW && !keyed)) {
        MOR_TRY(mor_decoder_value(decoder, record, columns, err));
        if (options->envelope != MOR_ENVELOPE_NONE)
            MOR_TRY(mor_decoder_judge(decoder, columns, length, ret_what, err));
        if (*ret_what == MOR_DECODED_NOTHING)
            return MOR_OK;
    } else if (keyed) {
        decoder->notes = (struct mor_notes){0};
        *ret_what = MOR_DECODED_TOMBSTONE;
        MOR_TRY(mor_decoder_key(decoder, record, columns, err));
    } else {
        return mor_error_set(err, MOR_DATA, "a tombstone (no value) in a topic without a key");
    }
    if (options->attribute_count == 0 ||
        mor_decoder_append_attributes(decoder, record, columns, err) == MOR_OK)
        return MOR_OK;
    mor_decoder_undo(decoder, columns, length);
    return mor_error_class(err);
}
