// Columns that do not come from the payload: coordinates, headers, constants, raw bytes, and what a
// change event says of itself.
#include "decoder.h"
#include "moraine/avro/append.h"

// ---- making -------------------------------------------------------------------------------------

static enum mor_status refuse(const struct mor_field *field, const char *what,
                              struct mor_error *err)
{
    return mor_error_set(err, MOR_FATAL, "column '%s' of type %s cannot hold %s", field->name,
                         mor_type_name(field->type), what);
}

static bool is_text(enum mor_type type)
{
    return type == MOR_TYPE_STRING || type == MOR_TYPE_ENUM || type == MOR_TYPE_JSON;
}

static enum mor_status check_type(const struct mor_decoder_attribute *attribute,
                                  const struct mor_field *field, struct mor_error *err)
{
    enum mor_type type = field->type;
    switch (attribute->kind) {
    case MOR_ATTRIBUTE_PARTITION:
        return type == MOR_TYPE_INT32 || type == MOR_TYPE_INT64 ? MOR_OK
                                                                : refuse(field, "a partition", err);
    case MOR_ATTRIBUTE_OFFSET:
        return type == MOR_TYPE_INT64 ? MOR_OK : refuse(field, "an offset", err);
    case MOR_ATTRIBUTE_POSITION:
        return type == MOR_TYPE_INT64 ? MOR_OK : refuse(field, "a position", err);
    case MOR_ATTRIBUTE_TIMESTAMP:
        return type == MOR_TYPE_INT64 || type == MOR_TYPE_TIMESTAMP_MILLIS ||
                       type == MOR_TYPE_TIMESTAMP_MICROS
                   ? MOR_OK
                   : refuse(field, "a timestamp", err);
    case MOR_ATTRIBUTE_TOPIC:
    case MOR_ATTRIBUTE_OP:
        return is_text(type) ? MOR_OK : refuse(field, "a name", err);
    case MOR_ATTRIBUTE_HEADERS:
        return type == MOR_TYPE_MAP && is_text(field->children[0].type) &&
                       (is_text(field->children[1].type) ||
                        field->children[1].type == MOR_TYPE_BYTES)
                   ? MOR_OK
                   : refuse(field, "headers", err);
    default:
        return field->child_count == 0 ? MOR_OK : refuse(field, "a text", err);
    }
}

static const char *append_value(struct mor_decoder *decoder,
                                const struct mor_decoder_attribute *attribute,
                                struct mor_vector *vector, const uint8_t *bytes, size_t size);

static enum mor_status set_constant(struct mor_decoder *decoder,
                                    struct mor_decoder_attribute *attribute,
                                    const struct mor_field *field, struct mor_error *err)
{
    mor_vector_init(&attribute->constant, field, NULL);
    const char *wrong = append_value(decoder, attribute, &attribute->constant,
                                     (const uint8_t *)attribute->text, strlen(attribute->text));
    return wrong ? mor_error_set(err, MOR_FATAL, "column '%s': '%s' is not a value of type %s",
                                 field->name, attribute->text, mor_type_name(field->type))
                 : MOR_OK;
}

enum mor_status mor_decoder_set_attributes(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    const struct mor_field *fields = options->schema->root.children + options->column_count;
    decoder->attributes = mor_arena_calloc(&decoder->arena, options->attribute_count + 1,
                                           sizeof *decoder->attributes);
    for (size_t i = 0; i < options->attribute_count; i++) {
        struct mor_decoder_attribute *attribute = &decoder->attributes[i];
        attribute->kind = options->attributes[i].kind;
        attribute->text = options->attributes[i].text;
        MOR_TRY(check_type(attribute, &fields[i], err));
        if (fields[i].child_count == 0)
            MOR_TRY(
                mor_json_value_build(&decoder->arena, &fields[i], NULL, &attribute->value, err));
        if (attribute->kind == MOR_ATTRIBUTE_CONSTANT)
            MOR_TRY(set_constant(decoder, attribute, &fields[i], err));
    }
    return MOR_OK;
}

void mor_decoder_attributes_done(struct mor_decoder *decoder)
{
    for (size_t i = 0; decoder->attributes && i < decoder->options.attribute_count; i++) {
        if (decoder->attributes[i].constant.field)
            mor_vector_done(&decoder->attributes[i].constant);
    }
}

// ---- filling ------------------------------------------------------------------------------------

static const char column_full[] = "the column is full (2 GiB)";

// Bytes as they are for a column of bytes, text for one of text, else the text's value.
static const char *append_value(struct mor_decoder *decoder,
                                const struct mor_decoder_attribute *attribute,
                                struct mor_vector *vector, const uint8_t *bytes, size_t size)
{
    const struct mor_json_value *value = &attribute->value;
    struct mor_json_reader reader = {.scratch = &decoder->scratch};
    if (!bytes) {
        mor_vector_append_null(vector);
        return NULL;
    }
    if (!mor_avro_append_has_room(vector, size))
        return column_full;
    if (value->type == MOR_TYPE_BYTES) {
        mor_avro_append_bytes(vector, value->nullable, bytes, size);
        return NULL;
    }
    if (!mor_avro_utf8_valid(bytes, size))
        return "not valid UTF-8";
    return mor_json_append_text(&reader, value, vector, bytes, size)
               ? NULL
               : "not a value of the column's type";
}

static const char *append_header(struct mor_decoder *decoder,
                                 const struct mor_decoder_attribute *attribute,
                                 const struct mor_record *record, struct mor_vector *vector)
{
    for (size_t i = record->header_count; i-- > 0;) {
        const struct mor_header *header = &record->headers[i];
        if (strcmp(header->name, attribute->text) == 0)
            return append_value(decoder, attribute, vector, header->value, header->size_bytes);
    }
    mor_vector_append_null(vector);
    return NULL;
}

// Of headers with one name the last counts, as for a single header.
static const char *append_headers(struct mor_decoder *decoder, const struct mor_record *record,
                                  struct mor_vector *vector)
{
    struct mor_vector *names = &vector->children[0], *values = &vector->children[1];
    bool bytes = values->field->type == MOR_TYPE_BYTES;
    if (record->header_count > decoder->options.limits.items_max)
        return "too many headers";
    for (size_t i = 0; i < record->header_count; i++) {
        const struct mor_header *header = &record->headers[i];
        size_t name_size = strlen(header->name);
        bool again = false;
        for (size_t k = i + 1; k < record->header_count && !again; k++)
            again = strcmp(record->headers[k].name, header->name) == 0;
        if (again)
            continue;
        if (!mor_avro_append_has_room(names, name_size) ||
            !mor_avro_append_has_room(values, header->size_bytes))
            return column_full;
        if (!mor_avro_utf8_valid(header->name, name_size) ||
            (!bytes && header->value && !mor_avro_utf8_valid(header->value, header->size_bytes)))
            return "not valid UTF-8";
        mor_avro_append_bytes(names, names->field->nullable, header->name, name_size);
        if (header->value)
            mor_avro_append_bytes(values, values->field->nullable, header->value,
                                  header->size_bytes);
        else
            mor_vector_append_null(values);
    }
    mor_vector_append_end(vector);
    return NULL;
}

static void append_timestamp(const struct mor_record *record, struct mor_vector *vector)
{
    bool micros = vector->field->type == MOR_TYPE_TIMESTAMP_MICROS;
    int64_t time = micros ? record->timestamp_ms * 1000 : record->timestamp_ms;
    if (record->timestamp_ms < 0 || record->timestamp_ms > INT64_MAX / 1000)
        mor_vector_append_null(vector);
    else
        mor_vector_append_fixed(vector, &time);
}

static const char *append_position(const struct mor_decoder *decoder, struct mor_vector *vector)
{
    int64_t position = 0;
    const struct mor_note *notes = decoder->notes.values;
    if (mor_position_of(&decoder->notes, &position))
        mor_vector_append_fixed(vector, &position);
    else if (notes[MOR_NOTE_OP].present)
        return "the source block has neither an lsn nor a binlog file and position";
    else
        mor_vector_append_null(vector); // a tombstone
    return NULL;
}

static const char *append_op(const struct mor_decoder *decoder, struct mor_vector *vector)
{
    const struct mor_note *op = &decoder->notes.values[MOR_NOTE_OP];
    if (op->present && op->text)
        mor_avro_append_bytes(vector, vector->field->nullable, op->text, op->size_bytes);
    else
        mor_vector_append_null(vector);
    return NULL;
}

static const char *append_attribute(struct mor_decoder *decoder,
                                    const struct mor_decoder_attribute *attribute,
                                    const struct mor_record *record, struct mor_vector *vector)
{
    int64_t partition = record->partition; // little-endian: its low half is the int
    switch (attribute->kind) {
    case MOR_ATTRIBUTE_PARTITION:
        mor_vector_append_fixed(vector, &partition);
        return NULL;
    case MOR_ATTRIBUTE_OFFSET:
        mor_vector_append_fixed(vector, &record->offset);
        return NULL;
    case MOR_ATTRIBUTE_TIMESTAMP:
        append_timestamp(record, vector);
        return NULL;
    case MOR_ATTRIBUTE_TOPIC:
        return append_value(decoder, attribute, vector, (const uint8_t *)attribute->text,
                            strlen(attribute->text));
    case MOR_ATTRIBUTE_KEY:
        return append_value(decoder, attribute, vector, record->key, record->key_size_bytes);
    case MOR_ATTRIBUTE_VALUE:
        return append_value(decoder, attribute, vector, record->value, record->value_size_bytes);
    case MOR_ATTRIBUTE_HEADERS:
        return append_headers(decoder, record, vector);
    case MOR_ATTRIBUTE_HEADER:
        return append_header(decoder, attribute, record, vector);
    case MOR_ATTRIBUTE_CONSTANT:
        mor_vector_append_slot(vector, &attribute->constant, 0);
        return NULL;
    case MOR_ATTRIBUTE_OP:
        return append_op(decoder, vector);
    case MOR_ATTRIBUTE_POSITION:
        return append_position(decoder, vector);
    }
    return NULL;
}

enum mor_status mor_decoder_append_attributes(struct mor_decoder *decoder,
                                              const struct mor_record *record,
                                              struct mor_vector *columns, struct mor_error *err)
{
    struct mor_vector *vectors = columns + decoder->options.column_count;
    size_t length = vectors[0].length;
    for (size_t i = 0; i < decoder->options.attribute_count; i++) {
        const char *wrong = append_attribute(decoder, &decoder->attributes[i], record, &vectors[i]);
        if (!wrong)
            continue;
        for (size_t k = 0; k <= i; k++)
            mor_avro_append_undo(&vectors[k], length);
        return mor_error_set(err, wrong == column_full ? MOR_RETRY : MOR_DATA, "column '%s': %s",
                             vectors[i].field->name, wrong);
    }
    return MOR_OK;
}
