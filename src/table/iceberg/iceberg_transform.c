// Partition transforms (specification, "Partition Transforms" and Appendix B).
#include <string.h>

#include "iceberg_spec.h"
#include "moraine/base/clock.h"

static const char *const names[] = {
    [ICEBERG_IDENTITY] = "identity", [ICEBERG_BUCKET] = "bucket", [ICEBERG_TRUNCATE] = "truncate",
    [ICEBERG_YEAR] = "year",         [ICEBERG_MONTH] = "month",   [ICEBERG_DAY] = "day",
    [ICEBERG_HOUR] = "hour",         [ICEBERG_VOID] = "void",
};

static bool has_width(enum iceberg_transform_kind kind)
{
    return kind == ICEBERG_BUCKET || kind == ICEBERG_TRUNCATE;
}

// "[16]" with nothing behind it.
static bool parse_width(const char *text, int32_t *ret_width)
{
    int64_t width = 0;
    if (*text++ != '[' || *text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9' && width <= INT32_MAX; text++)
        width = width * 10 + (*text - '0');
    *ret_width = (int32_t)width;
    return width > 0 && width <= INT32_MAX && strcmp(text, "]") == 0;
}

enum mor_status iceberg_transform_parse(const char *text, struct iceberg_transform *ret_transform,
                                        struct mor_error *err)
{
    struct iceberg_transform transform = {.kind = ICEBERG_TRANSFORM_UNKNOWN};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) != 0)
            continue;
        if (!has_width((enum iceberg_transform_kind)i)) {
            if (text[length] == '\0')
                transform.kind = (enum iceberg_transform_kind)i;
        } else if (text[length] == '[' || text[length] == '\0') {
            transform.kind = (enum iceberg_transform_kind)i;
            if (!parse_width(text + length, &transform.width))
                return mor_error_set(err, MOR_DATA, "the width of the transform '%.60s' is wrong",
                                     text);
        }
    }
    *ret_transform = transform;
    return MOR_OK;
}

void iceberg_transform_format(struct iceberg_transform transform, struct mor_buffer *ret_text)
{
    if (transform.kind == ICEBERG_TRANSFORM_UNKNOWN)
        mor_buffer_append_text(ret_text, "unknown");
    else if (has_width(transform.kind))
        mor_buffer_printf(ret_text, "%s[%d]", names[transform.kind], transform.width);
    else
        mor_buffer_append_text(ret_text, names[transform.kind]);
}

bool iceberg_transform_accepts(struct iceberg_transform transform, const struct mor_field *source)
{
    enum mor_type type = source->type;
    bool nested = type == MOR_TYPE_STRUCT || type == MOR_TYPE_LIST || type == MOR_TYPE_MAP;
    switch (transform.kind) {
    case ICEBERG_IDENTITY:
    case ICEBERG_VOID:
        return !nested;
    case ICEBERG_BUCKET:
        return !nested && type != MOR_TYPE_BOOL && type != MOR_TYPE_FLOAT &&
               type != MOR_TYPE_DOUBLE;
    case ICEBERG_TRUNCATE:
        return type == MOR_TYPE_INT32 || type == MOR_TYPE_INT64 || type == MOR_TYPE_DECIMAL ||
               type == MOR_TYPE_STRING || type == MOR_TYPE_BYTES;
    case ICEBERG_YEAR:
    case ICEBERG_MONTH:
    case ICEBERG_DAY:
        return type == MOR_TYPE_DATE || type == MOR_TYPE_TIMESTAMP_MICROS;
    case ICEBERG_HOUR:
        return type == MOR_TYPE_TIMESTAMP_MICROS;
    default:
        return false;
    }
}

void iceberg_transform_result(struct iceberg_transform transform, const struct mor_field *source,
                              struct mor_field *ret_type)
{
    switch (transform.kind) {
    case ICEBERG_BUCKET:
    case ICEBERG_YEAR:
    case ICEBERG_MONTH:
    case ICEBERG_HOUR:
        ret_type->type = MOR_TYPE_INT32;
        break;
    case ICEBERG_DAY:
        ret_type->type = MOR_TYPE_DATE;
        break;
    case ICEBERG_TRANSFORM_UNKNOWN:
        ret_type->type = MOR_TYPE_BYTES;
        break;
    default:
        ret_type->type = source->type;
        ret_type->local_timestamp = source->local_timestamp;
        ret_type->precision = source->precision;
        ret_type->scale = source->scale;
        ret_type->fixed_size_bytes = source->fixed_size_bytes;
        break;
    }
}

// ---- values -------------------------------------------------------------------------------------

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static int64_t load_integer(const struct mor_field *source, struct iceberg_value value)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < value.size_bytes && i < 8; i++)
        bits |= (uint64_t)value.bytes[i] << (8 * i);
    int64_t number = value.size_bytes == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
    bool was_date = source->type == MOR_TYPE_TIMESTAMP_MICROS && value.size_bytes == 4;
    return was_date ? number * 86400000000 : number;
}

static bool is_integer(enum mor_type type)
{
    return type == MOR_TYPE_INT32 || type == MOR_TYPE_INT64 || type == MOR_TYPE_DATE ||
           type == MOR_TYPE_TIME_MICROS || type == MOR_TYPE_TIMESTAMP_MICROS;
}

static int32_t bucket_of(int32_t width, const struct mor_field *source, struct iceberg_value value)
{
    uint32_t hash;
    if (is_integer(source->type)) {
        // all integers hash as 8 bytes, so that a bucket survives int becoming long
        uint64_t bits = (uint64_t)load_integer(source, value);
        uint8_t bytes[8];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(bits >> (8 * i));
        hash = iceberg_murmur3(bytes, sizeof bytes);
    } else {
        hash = iceberg_murmur3(value.bytes, value.size_bytes);
    }
    return (int32_t)((hash & 0x7fffffffu) % (uint32_t)width);
}

static void truncate_value(int32_t width, const struct mor_field *source,
                           struct iceberg_value value, struct mor_buffer *ret_bytes)
{
    if (source->type == MOR_TYPE_STRING || source->type == MOR_TYPE_BYTES) {
        mor_buffer_append(
            ret_bytes, value.bytes,
            iceberg_bound_cut_lower(source, value.bytes, value.size_bytes, (size_t)width));
        return;
    }
    if (source->type == MOR_TYPE_DECIMAL) {
        mor_int128 number = 0;
        (void)mor_decimal_from_be(value.bytes, value.size_bytes, &number);
        number -= ((number % width) + width) % width;
        struct mor_field field = *source;
        field.nullable = false;
        struct mor_vector vector;
        mor_vector_init(&vector, &field, NULL);
        mor_vector_append_fixed(&vector, &number);
        iceberg_value_of_slot(&vector, 0, ret_bytes);
        mor_vector_done(&vector);
        return;
    }
    int64_t number = load_integer(source, value);
    int64_t rest = ((number % width) + width) % width;
    uint64_t bits = (uint64_t)number - (uint64_t)rest; // the least values wrap around, as in Java
    if (source->type == MOR_TYPE_INT32)
        mor_buffer_append_le32(ret_bytes, (uint32_t)bits);
    else
        mor_buffer_append_le64(ret_bytes, bits);
}

static int32_t calendar_unit(enum iceberg_transform_kind kind, const struct mor_field *source,
                             struct iceberg_value value)
{
    int64_t number = load_integer(source, value);
    bool date = source->type == MOR_TYPE_DATE;
    int64_t hours = date ? number * 24 : floor_div(number, 3600000000);
    int64_t days = date ? number : floor_div(hours, 24);
    if (kind == ICEBERG_HOUR)
        return (int32_t)hours;
    if (kind == ICEBERG_DAY)
        return (int32_t)days;
    struct mor_civil civil = mor_civil_from_days(days);
    int32_t years = civil.year - 1970;
    return kind == ICEBERG_YEAR ? years : years * 12 + civil.month - 1;
}

bool iceberg_transform_value(struct iceberg_transform transform, const struct mor_field *source,
                             struct iceberg_value value, struct mor_buffer *ret_bytes)
{
    if (!value.bytes)
        return false;
    switch (transform.kind) {
    case ICEBERG_IDENTITY:
        mor_buffer_append(ret_bytes, value.bytes, value.size_bytes);
        return true;
    case ICEBERG_BUCKET:
        mor_buffer_append_le32(ret_bytes, (uint32_t)bucket_of(transform.width, source, value));
        return true;
    case ICEBERG_TRUNCATE:
        truncate_value(transform.width, source, value, ret_bytes);
        return true;
    case ICEBERG_YEAR:
    case ICEBERG_MONTH:
    case ICEBERG_DAY:
    case ICEBERG_HOUR:
        mor_buffer_append_le32(ret_bytes, (uint32_t)calendar_unit(transform.kind, source, value));
        return true;
    default:
        return false;
    }
}

bool iceberg_transform_slot(struct iceberg_transform transform, const struct mor_vector *vector,
                            size_t index, struct mor_buffer *ret_bytes)
{
    if (mor_vector_is_null(vector, index))
        return false;
    MOR_AUTO_BUFFER bytes = {0};
    mor_buffer_reserve(&bytes, 16); // an empty text has an address as well
    iceberg_value_of_slot(vector, index, &bytes);
    struct iceberg_value value = {bytes.data, bytes.size_bytes};
    return iceberg_transform_value(transform, vector->field, value, ret_bytes);
}

void iceberg_transform_value_format(struct iceberg_transform transform,
                                    const struct mor_field *result, struct iceberg_value value,
                                    struct mor_buffer *ret_text)
{
    if (!value.bytes) {
        mor_buffer_append_text(ret_text, "null");
        return;
    }
    bool calendar = transform.kind == ICEBERG_YEAR || transform.kind == ICEBERG_MONTH ||
                    transform.kind == ICEBERG_HOUR;
    if (!calendar || value.size_bytes != 4) {
        iceberg_value_format(result, value, ret_text);
        return;
    }
    int64_t unit = load_integer(result, value);
    if (transform.kind == ICEBERG_YEAR) {
        mor_buffer_printf(ret_text, "%04lld", (long long)(unit + 1970));
    } else if (transform.kind == ICEBERG_MONTH) {
        int64_t years = floor_div(unit, 12);
        mor_buffer_printf(ret_text, "%04lld-%02lld", (long long)(years + 1970),
                          (long long)(unit - years * 12 + 1));
    } else {
        char day[16];
        int64_t days = floor_div(unit, 24);
        mor_format_date(days, day, sizeof day);
        mor_buffer_printf(ret_text, "%s-%02lld", day, (long long)(unit - days * 24));
    }
}

// ---- hash ---------------------------------------------------------------------------------------

static uint32_t rotate(uint32_t bits, unsigned by)
{
    return bits << by | bits >> (32 - by);
}

uint32_t iceberg_murmur3(const void *bytes, size_t size_bytes)
{
    const uint8_t *at = bytes;
    uint32_t hash = 0;
    for (size_t left = size_bytes; left >= 4; left -= 4, at += 4) {
        uint32_t block =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        hash ^= rotate(block * 0xcc9e2d51u, 15) * 0x1b873593u;
        hash = rotate(hash, 13) * 5 + 0xe6546b64u;
    }
    uint32_t tail = 0;
    for (size_t i = size_bytes & 3; i > 0; i--)
        tail = tail << 8 | at[i - 1];
    hash ^= rotate(tail * 0xcc9e2d51u, 15) * 0x1b873593u;
    hash ^= (uint32_t)size_bytes;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}
