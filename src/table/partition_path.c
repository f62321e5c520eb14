#include "partition_path.h"

#include <string.h>

#include "moraine/base/clock.h"

static const char *const transform_names[] = {
    [MOR_TRANSFORM_IDENTITY] = "identity", [MOR_TRANSFORM_YEAR] = "year",
    [MOR_TRANSFORM_MONTH] = "month",       [MOR_TRANSFORM_DAY] = "day",
    [MOR_TRANSFORM_HOUR] = "hour",
};

const char *mor_transform_name(enum mor_transform transform)
{
    return transform_names[transform];
}

bool mor_transform_parse(const char *text, size_t length, enum mor_transform *ret_transform)
{
    for (size_t i = 0; i < sizeof transform_names / sizeof transform_names[0]; i++) {
        if (strlen(transform_names[i]) == length && memcmp(transform_names[i], text, length) == 0) {
            *ret_transform = (enum mor_transform)i;
            return true;
        }
    }
    return false;
}

bool mor_partition_field_parse(const char *text, enum mor_transform *ret_transform,
                               const char **ret_column, size_t *ret_column_length)
{
    const char *open = strchr(text, '(');
    size_t length = strlen(text);
    if (!open) {
        *ret_transform = MOR_TRANSFORM_IDENTITY;
        *ret_column = text;
        *ret_column_length = length;
        return length > 0;
    }
    if (text[length - 1] != ')' || !mor_transform_parse(text, (size_t)(open - text), ret_transform))
        return false;
    *ret_column = open + 1;
    *ret_column_length = (size_t)(text + length - 1 - (open + 1));
    return *ret_column_length > 0;
}

bool mor_transform_accepts(enum mor_transform transform, const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_DATE:
        return transform != MOR_TRANSFORM_HOUR;
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return transform != MOR_TRANSFORM_IDENTITY;
    case MOR_TYPE_BOOL:
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_STRING:
    case MOR_TYPE_UUID:
    case MOR_TYPE_ENUM:
        return transform == MOR_TRANSFORM_IDENTITY;
    default:
        return false;
    }
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

int64_t mor_transform_unit(enum mor_transform transform, const struct mor_vector *vector,
                           size_t index)
{
    int64_t days = 0, hours = 0;
    switch (vector->field->type) {
    case MOR_TYPE_DATE:
        days = mor_vector_i32(vector, index);
        hours = days * 24;
        break;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        hours = floor_div(mor_vector_i64(vector, index), 3600000);
        days = floor_div(hours, 24);
        break;
    default:
        hours = floor_div(mor_vector_i64(vector, index), 3600000000);
        days = floor_div(hours, 24);
        break;
    }
    if (transform == MOR_TRANSFORM_HOUR)
        return hours;
    if (transform == MOR_TRANSFORM_DAY)
        return days;
    struct mor_civil date = mor_civil_from_days(days);
    int64_t years = (int64_t)date.year - 1970;
    return transform == MOR_TRANSFORM_YEAR ? years : years * 12 + date.month - 1;
}

void mor_transform_format(enum mor_transform transform, int64_t unit, struct mor_buffer *ret_text)
{
    if (transform == MOR_TRANSFORM_YEAR) {
        mor_buffer_printf(ret_text, "%04lld", (long long)(unit + 1970));
        return;
    }
    if (transform == MOR_TRANSFORM_MONTH) {
        int64_t years = floor_div(unit, 12);
        mor_buffer_printf(ret_text, "%04lld-%02lld", (long long)(years + 1970),
                          (long long)(unit - years * 12 + 1));
        return;
    }
    int64_t days = transform == MOR_TRANSFORM_HOUR ? floor_div(unit, 24) : unit;
    char text[16];
    mor_format_date(days, text, sizeof text);
    mor_buffer_append_text(ret_text, text);
    if (transform == MOR_TRANSFORM_HOUR)
        mor_buffer_printf(ret_text, "-%02lld", (long long)(unit - days * 24));
}

void mor_partition_escape(const void *value, size_t size_bytes, struct mor_buffer *ret_text)
{
    static const char escaped[] = "\"#%'*/:=?\\\x7f{[]^";
    const uint8_t *bytes = value;
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] < ' ' || strchr(escaped, bytes[i]))
            mor_buffer_printf(ret_text, "%%%02X", bytes[i]);
        else
            mor_buffer_append_u8(ret_text, bytes[i]);
    }
}
