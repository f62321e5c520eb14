// Values that JSON and keys give as text: dates, times, identifiers, binary, decimals.
#include "json_read.h"
#include "moraine/avro.h"
#include "moraine/avro/append.h"
#include "moraine/base/base64.h"
#include "moraine/base/clock.h"
#include "moraine/base/uuid.h"

static bool two_digits(const uint8_t *at, int64_t limit, int64_t *ret_value)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *ret_value = (at[0] - '0') * 10 + (at[1] - '0');
    return *ret_value < limit;
}

// "hh:mm:ss[.fraction]"; digits behind the sixth of the fraction are cut.
static bool parse_clock(const uint8_t *text, size_t size, int64_t *ret_us)
{
    int64_t hours, minutes, seconds, fraction = 0, unit = 100000;
    if (size < 8 || text[2] != ':' || text[5] != ':' || !two_digits(text, 24, &hours) ||
        !two_digits(text + 3, 60, &minutes) || !two_digits(text + 6, 60, &seconds))
        return false;
    if (size == 9 || (size > 8 && text[8] != '.'))
        return false;
    for (size_t i = 9; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        fraction += (text[i] - '0') * unit;
        unit /= 10;
    }
    *ret_us = ((hours * 60 + minutes) * 60 + seconds) * 1000000 + fraction;
    return true;
}

static bool append_time(const struct mor_json_value *value, struct mor_vector *vector,
                        const uint8_t *text, size_t size)
{
    int64_t number;
    const char *chars = (const char *)text;
    bool small = value->type == MOR_TYPE_DATE || value->type == MOR_TYPE_TIME_MILLIS;
    if (value->type == MOR_TYPE_DATE) {
        if (!mor_parse_date(chars, size, &number))
            return false;
    } else if (value->type == MOR_TYPE_TIME_MILLIS || value->type == MOR_TYPE_TIME_MICROS) {
        if (!parse_clock(text, size, &number))
            return false;
        number /= value->text_divide;
    } else {
        if (!mor_parse_timestamp(chars, size, &number))
            return false;
        number = number / value->text_divide - (number % value->text_divide < 0);
    }
    int32_t narrow = (int32_t)number;
    if (small)
        mor_avro_append_4(vector, value->nullable, &narrow);
    else
        mor_avro_append_8(vector, value->nullable, &number);
    return true;
}

static bool append_binary(const struct mor_json_value *value, struct mor_vector *vector,
                          const uint8_t *text, size_t size)
{
    size_t size_before = vector->data.size_bytes;
    if (!mor_base64_decode(text, size, &vector->data))
        return false;
    if (value->type == MOR_TYPE_BYTES) {
        mor_avro_append_offset(vector, value->nullable);
        return true;
    }
    if (vector->data.size_bytes - size_before != value->fixed_size_bytes) {
        vector->data.size_bytes = size_before;
        return false;
    }
    mor_avro_append_valid(vector, value->nullable);
    return true;
}

// Decimal digits with an optional minus, nothing else: keys of maps and messages.
static bool append_integer(const struct mor_json_value *value, struct mor_vector *vector,
                           const uint8_t *text, size_t size)
{
    int64_t number = 0;
    bool negative = size > 0 && text[0] == '-';
    size_t first = negative ? 1 : 0;
    if (size == first || (text[first] == '0' && size > first + 1))
        return false;
    for (size_t i = first; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        int64_t digit = negative ? '0' - text[i] : text[i] - '0';
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    if (value->type == MOR_TYPE_INT64) {
        mor_avro_append_8(vector, value->nullable, &number);
        return true;
    }
    int32_t narrow = (int32_t)number;
    if (narrow != number)
        return false;
    mor_avro_append_4(vector, value->nullable, &narrow);
    return true;
}

bool mor_json_append_decimal(const struct mor_json_value *value, struct mor_vector *vector,
                             const uint8_t *digits, size_t size)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    mor_int128 number;
    if (mor_decimal_parse((const char *)digits, size, value->precision, value->scale, &number,
                          &ignored) != MOR_OK)
        return false;
    mor_avro_append_16(vector, value->nullable, &number);
    return true;
}

// Base64 of the unscaled value, big-endian: Kafka Connect's Decimal in JSON.
static bool append_unscaled(struct mor_json_reader *reader, const struct mor_json_value *value,
                            struct mor_vector *vector, const uint8_t *text, size_t size)
{
    mor_int128 number;
    mor_buffer_reset(reader->scratch);
    if (size == 0 || !mor_base64_decode(text, size, reader->scratch) ||
        !mor_decimal_from_be(reader->scratch->data, reader->scratch->size_bytes, &number) ||
        !mor_decimal_fits(number, value->precision))
        return false;
    mor_avro_append_16(vector, value->nullable, &number);
    return true;
}

bool mor_json_append_text(struct mor_json_reader *reader, const struct mor_json_value *value,
                          struct mor_vector *vector, const uint8_t *text, size_t size)
{
    struct mor_uuid uuid;
    switch (value->type) {
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        mor_avro_append_bytes(vector, value->nullable, text, size);
        return true;
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
        return append_integer(value, vector, text, size);
    case MOR_TYPE_DECIMAL:
        return reader->base64_decimals ? append_unscaled(reader, value, vector, text, size)
                                       : mor_json_append_decimal(value, vector, text, size);
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return append_time(value, vector, text, size);
    case MOR_TYPE_BYTES:
    case MOR_TYPE_FIXED:
        return append_binary(value, vector, text, size);
    case MOR_TYPE_UUID:
        if (!mor_uuid_parse((const char *)text, size, &uuid))
            return false;
        if (value->as_text)
            mor_avro_append_bytes(vector, value->nullable, text, size);
        else
            mor_avro_append_16(vector, value->nullable, uuid.bytes);
        return true;
    case MOR_TYPE_BOOL:
        if (size == 4 && memcmp(text, "true", 4) == 0)
            mor_avro_append_bool(vector, value->nullable, true);
        else if (size == 5 && memcmp(text, "false", 5) == 0)
            mor_avro_append_bool(vector, value->nullable, false);
        else
            return false;
        return true;
    default:
        return false;
    }
}
