#include "partition_path.h"

#include <string.h>

#include "moraine/base/clock.h"
#include "table_format.h"

static const char *const transform_names[] = {
    [MOR_TRANSFORM_IDENTITY] = "identity", [MOR_TRANSFORM_YEAR] = "year",
    [MOR_TRANSFORM_MONTH] = "month",       [MOR_TRANSFORM_DAY] = "day",
    [MOR_TRANSFORM_HOUR] = "hour",         [MOR_TRANSFORM_BUCKET] = "bucket",
    [MOR_TRANSFORM_TRUNCATE] = "truncate",
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
    if (transform > MOR_TRANSFORM_HOUR)
        return false;
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

void mor_partition_append(const void *value, size_t size_bytes, struct mor_buffer *ret_text)
{
    const uint8_t *bytes = value;
    if (size_bytes == strlen(MOR_PARTITION_NULL) &&
        memcmp(bytes, MOR_PARTITION_NULL, size_bytes) == 0) {
        mor_buffer_printf(ret_text, "%%%02X", bytes[0]);
        bytes++;
        size_bytes--;
    }
    mor_partition_escape(bytes, size_bytes, ret_text);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *unescape(const char *text, size_t length, struct mor_arena *arena)
{
    char *result = mor_arena_strndup(arena, text, length);
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        int high = i + 3 <= length && text[i] == '%' ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        result[out++] = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    result[out] = '\0';
    return result;
}

bool mor_table_partition_value(const struct mor_table *table, const char *partition, size_t index,
                               struct mor_arena *arena, const char **ret_column,
                               enum mor_transform *ret_transform, const char **ret_text)
{
    if (index >= table->partition_column_count)
        return false;
    const struct mor_partition_column *column = &table->partition_columns[index];
    for (size_t i = 0; i < index; i++) {
        partition = strchrnul(partition, '/');
        partition += *partition == '/';
    }
    size_t name_length = strlen(column->path_name);
    if (strncmp(partition, column->path_name, name_length) != 0 || partition[name_length] != '=')
        return false;
    const char *value = partition + name_length + 1;
    size_t length = strcspn(value, "/");
    *ret_column = table->schema->root.children[column->column].name;
    *ret_transform = column->transform;
    bool null =
        length == strlen(MOR_PARTITION_NULL) && memcmp(value, MOR_PARTITION_NULL, length) == 0;
    if (null)
        *ret_text = NULL;
    else
        *ret_text = table->escape_partition_values ? unescape(value, length, arena)
                                                   : mor_arena_strndup(arena, value, length);
    return true;
}
