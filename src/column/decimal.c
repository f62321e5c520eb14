#include "moraine/column.h"

#include <assert.h>

mor_int128 mor_vector_decimal(const struct mor_vector *vector, size_t index)
{
    mor_int128 value;
    memcpy(&value, vector->data.data + index * sizeof value, sizeof value);
    return value;
}

static mor_int128 power_of_ten(int32_t exponent)
{
    mor_int128 power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

bool mor_decimal_fits(mor_int128 value, int32_t precision)
{
    mor_int128 limit = power_of_ten(precision);
    return value < limit && value > -limit;
}

// Digits, sign and decimal exponent of a number's text, before it is scaled.
struct decimal_text {
    bool negative;
    char digits[MOR_DECIMAL_PRECISION_MAX + 2]; // significant ones, leading zeros left out
    int32_t digit_count;
    int32_t exponent; // value = digits * 10^exponent
};

// Takes one digit; digits past the longest precision only move the exponent when they are zero.
static bool take_digit(struct decimal_text *number, char digit, bool fraction)
{
    if (number->digit_count == 0 && digit == '0') {
        number->exponent -= fraction;
        return true;
    }
    if (number->digit_count <= MOR_DECIMAL_PRECISION_MAX) {
        number->digits[number->digit_count++] = digit;
        number->exponent -= fraction;
        return true;
    }
    number->exponent += !fraction;
    return digit == '0';
}

static bool parse_exponent(const char *text, size_t length, int32_t *exponent)
{
    size_t at = 0;
    bool negative = false;
    if (at < length && (text[at] == '+' || text[at] == '-'))
        negative = text[at++] == '-';
    if (at == length)
        return false;
    int32_t value = 0;
    for (; at < length; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        if (value < 100000)
            value = value * 10 + (text[at] - '0');
    }
    *exponent += negative ? -value : value;
    return true;
}

static enum mor_status scan_decimal(const char *text, size_t length, struct decimal_text *number,
                                    struct mor_error *err)
{
    size_t at = 0;
    bool any = false, fraction = false;
    if (at < length && (text[at] == '+' || text[at] == '-'))
        number->negative = text[at++] == '-';
    for (; at < length; at++) {
        if (text[at] == '.' && !fraction) {
            fraction = true;
        } else if (text[at] >= '0' && text[at] <= '9') {
            any = true;
            if (!take_digit(number, text[at], fraction))
                return mor_error_set(err, MOR_DATA, "number has more than %d digits",
                                     MOR_DECIMAL_PRECISION_MAX);
        } else {
            break;
        }
    }
    if (any && at < length && (text[at] == 'e' || text[at] == 'E') &&
        parse_exponent(text + at + 1, length - at - 1, &number->exponent))
        at = length;
    if (!any || at != length)
        return mor_error_set(err, MOR_DATA, "'%.*s' is not a decimal number",
                             (int)(length > 40 ? 40 : length), text);
    return MOR_OK;
}

enum mor_status mor_decimal_parse(const char *text, size_t length, int32_t precision, int32_t scale,
                                  mor_int128 *ret_value, struct mor_error *err)
{
    struct decimal_text number = {0};
    MOR_TRY(scan_decimal(text, length, &number, err));
    int32_t shift = number.exponent + scale;
    while (shift < 0 && number.digit_count > 0 && number.digits[number.digit_count - 1] == '0') {
        number.digit_count--;
        shift++;
    }
    if (number.digit_count == 0) {
        *ret_value = 0;
        return MOR_OK;
    }
    if (shift < 0)
        return mor_error_set(err, MOR_DATA, "number has more than %d fraction digits", scale);
    if (shift > precision || number.digit_count + shift > precision)
        return mor_error_set(err, MOR_DATA, "number has more than %d digits before the point",
                             precision - scale);
    mor_int128 value = 0;
    for (int32_t i = 0; i < number.digit_count; i++)
        value = value * 10 + (number.digits[i] - '0');
    value *= power_of_ten(shift);
    *ret_value = number.negative ? -value : value;
    return MOR_OK;
}

size_t mor_decimal_format(mor_int128 value, int32_t scale, char ret_text[48])
{
    char reversed[48];
    size_t count = 0;
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    do {
        if ((int32_t)count == scale && scale > 0 && memchr(reversed, '.', count) == NULL)
            reversed[count++] = '.';
        reversed[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0 || (int32_t)count <= scale);
    size_t length = 0;
    if (value < 0)
        ret_text[length++] = '-';
    while (count > 0)
        ret_text[length++] = reversed[--count];
    ret_text[length] = '\0';
    return length;
}

int32_t mor_decimal_size_bytes(int32_t precision)
{
    // the least n with 2^(8n-1) - 1 >= 10^precision - 1
    mor_int128 largest = power_of_ten(precision) - 1;
    for (int32_t size = 1; size < 16; size++)
        if ((((mor_int128)1) << (8 * size - 1)) - 1 >= largest)
            return size;
    return 16;
}

void mor_decimal_to_be(mor_int128 value, uint8_t *ret_bytes, size_t size_bytes)
{
    for (size_t i = size_bytes; i-- > 0;) {
        ret_bytes[i] = (uint8_t)value;
        value >>= 8;
    }
}

bool mor_decimal_from_be(const uint8_t *bytes, size_t size_bytes, mor_int128 *ret_value)
{
    if (size_bytes == 0)
        return false;
    uint8_t pad = bytes[0] & 0x80 ? 0xFF : 0;
    while (size_bytes > 16) {
        if (bytes[0] != pad || (bytes[1] & 0x80) != (pad & 0x80))
            return false;
        bytes++;
        size_bytes--;
    }
    unsigned __int128 value = pad ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < size_bytes; i++)
        value = value << 8 | bytes[i];
    *ret_value = (mor_int128)value;
    return true;
}
