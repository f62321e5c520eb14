// Columns to binary data (Avro 1.11 specification, "Binary Encoding"): the row is walked along the
// table schema, whose order is the order of the Avro fields.
#include "avro_text.h"
#include "moraine/base/uuid.h"

#define LONG_SIZE_MAX 10

static void encode_value(const struct mor_field *field, const struct mor_vector *vector, size_t row,
                         struct mor_buffer *bytes);

// Writes the zig-zag varint of `value`; LONG_SIZE_MAX bytes are reserved. Returns the end.
static inline uint8_t *put_varint(uint8_t *out, int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (bits >= 0x80) {
        *out++ = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    *out++ = (uint8_t)bits;
    return out;
}

void mor_avro_put_long(struct mor_buffer *bytes, int64_t value)
{
    mor_buffer_reserve(bytes, LONG_SIZE_MAX);
    uint8_t *start = bytes->data + bytes->size_bytes;
    bytes->size_bytes += (size_t)(put_varint(start, value) - start);
}

void mor_avro_put_bytes(struct mor_buffer *bytes, const void *data, size_t size_bytes)
{
    mor_buffer_reserve(bytes, LONG_SIZE_MAX + size_bytes);
    uint8_t *start = bytes->data + bytes->size_bytes;
    uint8_t *out = put_varint(start, (int64_t)size_bytes);
    if (size_bytes > 0)
        memcpy(out, data, size_bytes);
    bytes->size_bytes += (size_t)(out - start) + size_bytes;
}

// What is nullable is said by the field; the vector may never hold a null where the field allows
// it.
static void encode_field(const struct mor_field *field, const struct mor_vector *vector, size_t row,
                         struct mor_buffer *bytes)
{
    if (field->nullable) {
        bool null = mor_vector_is_null(vector, row);
        mor_buffer_append_u8(bytes, null ? 0 : 2); // zig-zag of branch 0 (null) or 1
        if (null)
            return;
    }
    encode_value(field, vector, row, bytes);
}

static void encode_elements(const struct mor_field *field, const struct mor_vector *vector,
                            size_t row, struct mor_buffer *bytes)
{
    const int32_t *offsets = mor_vector_offsets(vector);
    size_t first = (size_t)offsets[row];
    size_t end = (size_t)offsets[row + 1];
    bool is_map = field->type == MOR_TYPE_MAP;
    size_t value = is_map ? 1 : 0;
    if (end > first)
        mor_avro_put_long(bytes, (int64_t)(end - first));
    for (size_t i = first; i < end; i++) {
        if (is_map)
            encode_value(&field->children[0], &vector->children[0], i, bytes);
        encode_field(&field->children[value], &vector->children[value], i, bytes);
    }
    mor_buffer_append_u8(bytes, 0);
}

static void encode_decimal(const struct mor_vector *vector, size_t row, struct mor_buffer *bytes)
{
    size_t size = (size_t)mor_decimal_size_bytes(vector->field->precision);
    mor_buffer_reserve(bytes, size);
    mor_decimal_to_be(mor_vector_decimal(vector, row), bytes->data + bytes->size_bytes, size);
    bytes->size_bytes += size;
}

static void encode_uuid(const struct mor_vector *vector, size_t row, struct mor_buffer *bytes)
{
    struct mor_uuid uuid;
    char text[MOR_UUID_TEXT_SIZE];
    memcpy(uuid.bytes, vector->data.data + row * 16, 16);
    mor_uuid_format(&uuid, text);
    mor_avro_put_bytes(bytes, text, MOR_UUID_TEXT_SIZE - 1);
}

// A value that is there, without its union branch.
static void encode_value(const struct mor_field *field, const struct mor_vector *vector, size_t row,
                         struct mor_buffer *bytes)
{
    switch (field->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_u8(bytes, mor_bit_get(vector->data.data, row));
        return;
    case MOR_TYPE_INT32:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
        mor_avro_put_long(bytes, mor_vector_i32(vector, row));
        return;
    case MOR_TYPE_INT64:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        mor_avro_put_long(bytes, mor_vector_i64(vector, row));
        return;
    case MOR_TYPE_FLOAT: // little-endian, as in the column
        mor_buffer_append(bytes, vector->data.data + row * 4, 4);
        return;
    case MOR_TYPE_DOUBLE:
        mor_buffer_append(bytes, vector->data.data + row * 8, 8);
        return;
    case MOR_TYPE_DECIMAL:
        encode_decimal(vector, row, bytes);
        return;
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON: {
        size_t size_bytes;
        const uint8_t *data = mor_vector_bytes_at(vector, row, &size_bytes);
        mor_avro_put_bytes(bytes, data, size_bytes);
        return;
    }
    case MOR_TYPE_FIXED: {
        size_t size_bytes = (size_t)vector->field->fixed_size_bytes;
        mor_avro_put_bytes(bytes, vector->data.data + row * size_bytes, size_bytes);
        return;
    }
    case MOR_TYPE_UUID:
        encode_uuid(vector, row, bytes);
        return;
    case MOR_TYPE_STRUCT:
        for (size_t i = 0; i < vector->child_count; i++)
            encode_field(&field->children[i], &vector->children[i], row, bytes);
        return;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        encode_elements(field, vector, row, bytes);
        return;
    }
}

void mor_avro_encode_fields(const struct mor_field *fields, const struct mor_vector *columns,
                            size_t count, size_t row, struct mor_buffer *ret_bytes)
{
    for (size_t i = 0; i < count; i++)
        encode_field(&fields[i], &columns[i], row, ret_bytes);
}

void mor_avro_encode_row(const struct mor_schema *schema, const struct mor_vector *columns,
                         size_t row, struct mor_buffer *ret_bytes)
{
    mor_avro_encode_fields(schema->root.children, columns, schema->root.child_count, row,
                           ret_bytes);
}
