#include "iceberg_bounds.h"

#include <math.h>
#include <string.h>

// ---- values -------------------------------------------------------------------------------------

struct iceberg_value iceberg_value_copy(struct iceberg_value value, struct mor_arena *arena)
{
    if (!value.bytes)
        return value;
    uint8_t *bytes = mor_arena_alloc(arena, value.size_bytes + 1);
    memcpy(bytes, value.bytes, value.size_bytes);
    bytes[value.size_bytes] = '\0';
    return (struct iceberg_value){bytes, value.size_bytes};
}

bool iceberg_value_equal(struct iceberg_value a, struct iceberg_value b)
{
    if (!a.bytes || !b.bytes)
        return !a.bytes && !b.bytes;
    return a.size_bytes == b.size_bytes && memcmp(a.bytes, b.bytes, a.size_bytes) == 0;
}

static void append_decimal(mor_int128 value, struct mor_buffer *bytes)
{
    uint8_t wide[16];
    mor_decimal_to_be(value, wide, sizeof wide);
    size_t skip = 0;
    uint8_t sign = value < 0 ? 0xff : 0x00;
    while (skip < 15 && wide[skip] == sign && (wide[skip + 1] & 0x80) == (sign & 0x80))
        skip++;
    mor_buffer_append(bytes, wide + skip, sizeof wide - skip);
}

void iceberg_value_of_slot(const struct mor_vector *vector, size_t index,
                           struct mor_buffer *ret_bytes)
{
    switch (vector->field->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_u8(ret_bytes, mor_bit_get(vector->data.data, index) ? 1 : 0);
        break;
    case MOR_TYPE_DECIMAL:
        append_decimal(mor_vector_decimal(vector, index), ret_bytes);
        break;
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON: {
        size_t size = 0;
        const uint8_t *bytes = mor_vector_bytes_at(vector, index, &size);
        mor_buffer_append(ret_bytes, bytes, size);
        break;
    }
    default: {
        size_t width = mor_type_width(vector->field);
        mor_buffer_append(ret_bytes, vector->data.data + index * width, width);
        break;
    }
    }
}

static uint64_t load_le(const uint8_t *bytes, size_t size_bytes)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size_bytes; i++)
        bits |= (uint64_t)bytes[i] << (8 * i);
    return bits;
}

static int64_t load_integer(struct iceberg_value value)
{
    return value.size_bytes == 4 ? (int32_t)(uint32_t)load_le(value.bytes, 4)
                                 : (int64_t)load_le(value.bytes, 8);
}

static double load_float(struct iceberg_value value)
{
    if (value.size_bytes == 4) {
        uint32_t bits = (uint32_t)load_le(value.bytes, 4);
        float number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    uint64_t bits = load_le(value.bytes, 8);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

bool iceberg_value_is_valid(const struct mor_field *type, struct iceberg_value value)
{
    size_t size = value.size_bytes;
    mor_int128 decimal;
    switch (type->type) {
    case MOR_TYPE_BOOL:
        return size == 1;
    case MOR_TYPE_INT32:
    case MOR_TYPE_DATE:
        return size == 4;
    case MOR_TYPE_FLOAT:
        return size == 4;
    case MOR_TYPE_INT64:
    case MOR_TYPE_DOUBLE:
    case MOR_TYPE_TIMESTAMP_MICROS: // an older date
        return size == 8 || size == 4;
    case MOR_TYPE_TIME_MICROS:
        return size == 8;
    case MOR_TYPE_UUID:
        return size == 16;
    case MOR_TYPE_DECIMAL:
        return size >= 1 && mor_decimal_from_be(value.bytes, size, &decimal) &&
               mor_decimal_fits(decimal, type->precision);
    default:
        return true;
    }
}

static int compare_bytes(struct iceberg_value a, struct iceberg_value b)
{
    size_t common = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    int order = common > 0 ? memcmp(a.bytes, b.bytes, common) : 0;
    return order != 0 ? order : (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

static int compare_floats(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    if (a == 0 && b == 0)
        return (signbit(b) != 0) - (signbit(a) != 0);
    return (a > b) - (a < b);
}

// An int64_t of either; a date under a type of timestamps is its midnight.
static int64_t load_timestamp(struct iceberg_value value)
{
    int64_t number = load_integer(value);
    return value.size_bytes == 4 ? number * 86400000000 : number;
}

int iceberg_value_compare(const struct mor_field *type, struct iceberg_value a,
                          struct iceberg_value b)
{
    if (!iceberg_value_is_valid(type, a) || !iceberg_value_is_valid(type, b))
        return compare_bytes(a, b);
    int64_t left, right;
    mor_int128 wide_left = 0, wide_right = 0;
    switch (type->type) {
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
        return compare_floats(load_float(a), load_float(b));
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MICROS:
        left = load_integer(a);
        right = load_integer(b);
        return (left > right) - (left < right);
    case MOR_TYPE_TIMESTAMP_MICROS:
        left = load_timestamp(a);
        right = load_timestamp(b);
        return (left > right) - (left < right);
    case MOR_TYPE_DECIMAL:
        (void)mor_decimal_from_be(a.bytes, a.size_bytes, &wide_left);
        (void)mor_decimal_from_be(b.bytes, b.size_bytes, &wide_right);
        return (wide_left > wide_right) - (wide_left < wide_right);
    default:
        return compare_bytes(a, b);
    }
}

// Appends the value to a vector of its type, widened where it was promoted.
static void append_value(struct mor_vector *vector, const struct mor_field *type,
                         struct iceberg_value value)
{
    int64_t integer;
    double number;
    mor_int128 decimal = 0;
    switch (type->type) {
    case MOR_TYPE_BOOL:
        mor_vector_append_bool(vector, value.bytes[0] != 0);
        break;
    case MOR_TYPE_INT64:
        integer = load_integer(value);
        mor_vector_append_fixed(vector, &integer);
        break;
    case MOR_TYPE_TIMESTAMP_MICROS:
        integer = load_timestamp(value);
        mor_vector_append_fixed(vector, &integer);
        break;
    case MOR_TYPE_DOUBLE:
        number = load_float(value);
        mor_vector_append_fixed(vector, &number);
        break;
    case MOR_TYPE_DECIMAL:
        (void)mor_decimal_from_be(value.bytes, value.size_bytes, &decimal);
        mor_vector_append_fixed(vector, &decimal);
        break;
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        mor_vector_append_bytes(vector, value.bytes, value.size_bytes);
        break;
    default:
        mor_vector_append_fixed(vector, value.bytes);
        break;
    }
}

void iceberg_value_format(const struct mor_field *type, struct iceberg_value value,
                          struct mor_buffer *ret_text)
{
    bool valid =
        iceberg_value_is_valid(type, value) &&
        (type->type != MOR_TYPE_FIXED || value.size_bytes == (size_t)type->fixed_size_bytes);
    struct mor_field field = *type;
    if (!valid)
        field.type = MOR_TYPE_BYTES;
    field.nullable = false;
    struct mor_vector vector;
    mor_vector_init(&vector, &field, NULL);
    append_value(&vector, &field, value);
    mor_vector_format_text(&vector, 0, ret_text);
    mor_vector_done(&vector);
}

// ---- cut bounds ---------------------------------------------------------------------------------

static bool is_text(const struct mor_field *type)
{
    return type->type == MOR_TYPE_STRING || type->type == MOR_TYPE_ENUM ||
           type->type == MOR_TYPE_JSON;
}

static bool is_cut(const struct mor_field *type)
{
    return is_text(type) || type->type == MOR_TYPE_BYTES || type->type == MOR_TYPE_FIXED;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

// Size of the first `length` code points of UTF-8.
static size_t text_prefix(const uint8_t *bytes, size_t size_bytes, size_t length)
{
    size_t at = 0;
    while (at < size_bytes && length > 0) {
        at++;
        while (at < size_bytes && is_continuation(bytes[at]))
            at++;
        length--;
    }
    return at;
}

size_t iceberg_bound_cut_lower(const struct mor_field *type, const uint8_t *bytes,
                               size_t size_bytes, size_t length)
{
    if (is_text(type))
        return text_prefix(bytes, size_bytes, length);
    return is_cut(type) && size_bytes > length ? length : size_bytes;
}

static uint32_t decode_point(const uint8_t *bytes, size_t size_bytes)
{
    uint32_t point = size_bytes == 1 ? bytes[0] : bytes[0] & (0x7fu >> size_bytes);
    for (size_t i = 1; i < size_bytes; i++)
        point = point << 6 | (bytes[i] & 0x3fu);
    return point;
}

static void append_point(struct mor_buffer *text, uint32_t point)
{
    if (point < 0x80) {
        mor_buffer_append_u8(text, (uint8_t)point);
    } else if (point < 0x800) {
        mor_buffer_append_u8(text, (uint8_t)(0xc0 | point >> 6));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point & 0x3f)));
    } else if (point < 0x10000) {
        mor_buffer_append_u8(text, (uint8_t)(0xe0 | point >> 12));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point & 0x3f)));
    } else {
        mor_buffer_append_u8(text, (uint8_t)(0xf0 | point >> 18));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point >> 12 & 0x3f)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (point & 0x3f)));
    }
}

// Raises the last code point that can be raised; what comes behind it goes.
static bool raise_text(struct mor_buffer *text)
{
    while (text->size_bytes > 0) {
        size_t start = text->size_bytes - 1;
        while (start > 0 && is_continuation(text->data[start]))
            start--;
        size_t size = text->size_bytes - start;
        uint32_t point = size <= 4 ? decode_point(text->data + start, size) : 0x10ffff;
        text->size_bytes = start;
        if (point < 0x10ffff) {
            append_point(text, point == 0xd7ff ? 0xe000 : point + 1);
            return true;
        }
    }
    return false;
}

static bool raise_bytes(struct mor_buffer *bytes)
{
    while (bytes->size_bytes > 0) {
        uint8_t *last = &bytes->data[bytes->size_bytes - 1];
        if (*last < 0xff) {
            (*last)++;
            return true;
        }
        bytes->size_bytes--;
    }
    return false;
}

bool iceberg_bound_cut_upper(const struct mor_field *type, struct mor_buffer *bytes, size_t length)
{
    size_t size = iceberg_bound_cut_lower(type, bytes->data, bytes->size_bytes, length);
    if (size == bytes->size_bytes)
        return true;
    bytes->size_bytes = size;
    return is_text(type) ? raise_text(bytes) : raise_bytes(bytes);
}
