#include "moraine/column.h"

#include <math.h>
#include <stdio.h>

#include "moraine/base/base64.h"
#include "moraine/base/clock.h"
#include "moraine/base/uuid.h"

static void append_json_string(struct mor_buffer *text, const uint8_t *bytes, size_t size_bytes)
{
    mor_buffer_append_u8(text, '"');
    size_t start = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        uint8_t byte = bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        mor_buffer_append(text, bytes + start, i - start);
        start = i + 1;
        if (byte == '"' || byte == '\\')
            mor_buffer_printf(text, "\\%c", byte);
        else if (byte == '\n')
            mor_buffer_append_text(text, "\\n");
        else
            mor_buffer_printf(text, "\\u%04x", byte);
    }
    mor_buffer_append(text, bytes + start, size_bytes - start);
    mor_buffer_append_u8(text, '"');
}

// Shortest text that reads back as the same value.
static void append_floating(struct mor_buffer *text, double value, bool single, bool quote_special)
{
    if (isnan(value) || isinf(value)) {
        const char *name = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
        mor_buffer_printf(text, quote_special ? "\"%s\"" : "%s", name);
        return;
    }
    char digits[40];
    int last = single ? 9 : 17;
    for (int precision = single ? 6 : 15; precision <= last; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value)
            break;
    }
    mor_buffer_append_text(text, digits);
    if (strpbrk(digits, ".e") == NULL)
        mor_buffer_append_text(text, ".0");
}

static void append_time(struct mor_buffer *text, int64_t us)
{
    int64_t seconds = us / 1000000;
    mor_buffer_printf(text, "%02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                      (int)(seconds % 60));
    if (us % 1000000 != 0)
        mor_buffer_printf(text, ".%06d", (int)(us % 1000000));
}

static void append_timestamp(struct mor_buffer *text, int64_t us, bool local)
{
    char date[48];
    size_t length = mor_format_timestamp(us, date, sizeof date);
    if (local && length > 0 && date[length - 1] == 'Z')
        length--;
    mor_buffer_append(text, date, length);
}

// The farthest time there is when microseconds cannot hold it.
static int64_t milliseconds_to_us(int64_t ms)
{
    int64_t us;
    if (__builtin_mul_overflow(ms, 1000, &us))
        return ms < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

// A value without children, as plain text (quote = false) or as JSON.
static void append_scalar(const struct mor_vector *vector, size_t index, bool quote,
                          struct mor_buffer *text)
{
    const struct mor_field *field = vector->field;
    char scratch[64];
    size_t size;
    bool quoted = quote;
    switch (field->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_text(text, mor_bit_get(vector->data.data, index) ? "true" : "false");
        return;
    case MOR_TYPE_INT32:
        mor_buffer_printf(text, "%d", mor_vector_i32(vector, index));
        return;
    case MOR_TYPE_INT64:
        mor_buffer_printf(text, "%lld", (long long)mor_vector_i64(vector, index));
        return;
    case MOR_TYPE_FLOAT:
        append_floating(text, (double)((const float *)(const void *)vector->data.data)[index], true,
                        quote);
        return;
    case MOR_TYPE_DOUBLE:
        append_floating(text, ((const double *)(const void *)vector->data.data)[index], false,
                        quote);
        return;
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON: {
        const uint8_t *bytes = mor_vector_bytes_at(vector, index, &size);
        if (quote)
            append_json_string(text, bytes, size);
        else
            mor_buffer_append(text, bytes, size);
        return;
    }
    default:
        break;
    }
    if (quoted)
        mor_buffer_append_u8(text, '"');
    switch (field->type) {
    case MOR_TYPE_DECIMAL:
        size = mor_decimal_format(mor_vector_decimal(vector, index), field->scale, scratch);
        mor_buffer_append(text, scratch, size);
        break;
    case MOR_TYPE_DATE:
        size = mor_format_date(mor_vector_i32(vector, index), scratch, sizeof scratch);
        mor_buffer_append(text, scratch, size);
        break;
    case MOR_TYPE_TIME_MILLIS:
        append_time(text, (int64_t)mor_vector_i32(vector, index) * 1000);
        break;
    case MOR_TYPE_TIME_MICROS:
        append_time(text, mor_vector_i64(vector, index));
        break;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        append_timestamp(text, milliseconds_to_us(mor_vector_i64(vector, index)),
                         field->local_timestamp);
        break;
    case MOR_TYPE_TIMESTAMP_MICROS:
        append_timestamp(text, mor_vector_i64(vector, index), field->local_timestamp);
        break;
    case MOR_TYPE_UUID: {
        struct mor_uuid uuid;
        memcpy(uuid.bytes, vector->data.data + index * 16, 16);
        mor_uuid_format(&uuid, scratch);
        mor_buffer_append_text(text, scratch);
        break;
    }
    case MOR_TYPE_FIXED:
        size = (size_t)field->fixed_size_bytes;
        mor_base64_encode(vector->data.data + index * size, size, text);
        break;
    default: {
        const uint8_t *bytes = mor_vector_bytes_at(vector, index, &size);
        mor_base64_encode(bytes, size, text);
        break;
    }
    }
    if (quoted)
        mor_buffer_append_u8(text, '"');
}

static void append_map_key(const struct mor_vector *keys, size_t index, struct mor_buffer *text)
{
    if (keys->field->type == MOR_TYPE_STRING || keys->field->type == MOR_TYPE_ENUM) {
        mor_vector_format_json(keys, index, text);
        return;
    }
    mor_buffer_append_u8(text, '"');
    append_scalar(keys, index, false, text);
    mor_buffer_append_u8(text, '"');
}

void mor_vector_format_json(const struct mor_vector *vector, size_t index,
                            struct mor_buffer *ret_text)
{
    if (mor_vector_is_null(vector, index)) {
        mor_buffer_append_text(ret_text, "null");
        return;
    }
    enum mor_type type = vector->field->type;
    if (type == MOR_TYPE_STRUCT) {
        mor_buffer_append_u8(ret_text, '{');
        for (size_t i = 0; i < vector->child_count; i++) {
            const char *name = vector->children[i].field->name;
            if (i > 0)
                mor_buffer_append_u8(ret_text, ',');
            append_json_string(ret_text, (const uint8_t *)name, strlen(name));
            mor_buffer_append_u8(ret_text, ':');
            mor_vector_format_json(&vector->children[i], index, ret_text);
        }
        mor_buffer_append_u8(ret_text, '}');
    } else if (type == MOR_TYPE_LIST || type == MOR_TYPE_MAP) {
        const int32_t *offsets = mor_vector_offsets(vector);
        mor_buffer_append_u8(ret_text, type == MOR_TYPE_LIST ? '[' : '{');
        for (int32_t at = offsets[index]; at < offsets[index + 1]; at++) {
            if (at > offsets[index])
                mor_buffer_append_u8(ret_text, ',');
            if (type == MOR_TYPE_MAP) {
                append_map_key(&vector->children[0], (size_t)at, ret_text);
                mor_buffer_append_u8(ret_text, ':');
            }
            mor_vector_format_json(&vector->children[vector->child_count - 1], (size_t)at,
                                   ret_text);
        }
        mor_buffer_append_u8(ret_text, type == MOR_TYPE_LIST ? ']' : '}');
    } else {
        append_scalar(vector, index, true, ret_text);
    }
}

void mor_vector_format_text(const struct mor_vector *vector, size_t index,
                            struct mor_buffer *ret_text)
{
    if (mor_vector_is_null(vector, index))
        return;
    enum mor_type type = vector->field->type;
    if (type == MOR_TYPE_STRUCT || type == MOR_TYPE_LIST || type == MOR_TYPE_MAP)
        mor_vector_format_json(vector, index, ret_text);
    else
        append_scalar(vector, index, false, ret_text);
}
