// Numbers: the grammar of RFC 8259, section 6, and correct rounding.
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "json_read.h"

#define EXPONENT_MAX 100000 // far beyond what any column holds

static const uint64_t powers[] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000,
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

// Adds the digits at `at` to the mantissa. Returns what is behind them.
static const uint8_t *take_digits(const uint8_t *at, struct mor_json_number *number)
{
    unsigned count = 8;
    while (count == 8) {
        uint32_t value = mor_json_digits8(at, &count);
        uint64_t mantissa;
        if (__builtin_mul_overflow(number->mantissa, powers[count], &mantissa) ||
            __builtin_add_overflow(mantissa, (uint64_t)value, &mantissa))
            number->exact = false;
        else
            number->mantissa = mantissa;
        at += count;
    }
    return at;
}

static const uint8_t *take_exponent(struct mor_json_reader *reader, const uint8_t *at,
                                    int32_t *ret_exponent)
{
    bool negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    if (!is_digit(*at))
        return mor_json_fail(reader, at, "a number has an exponent without digits");
    int32_t exponent = 0;
    for (; is_digit(*at); at++)
        exponent = exponent < EXPONENT_MAX ? exponent * 10 + (*at - '0') : EXPONENT_MAX;
    *ret_exponent = negative ? -exponent : exponent;
    return at;
}

const uint8_t *mor_json_number(struct mor_json_reader *reader, const uint8_t *at,
                               struct mor_json_number *ret_number)
{
    struct mor_json_number number = {.start = at, .exact = true, .integral = true};
    number.negative = *at == '-';
    at += number.negative;
    if (!is_digit(*at))
        return mor_json_fail(reader, at, "expected a number");
    if (*at == '0' && is_digit(at[1]))
        return mor_json_fail(reader, at, "a number begins with a needless zero");
    at = take_digits(at, &number);
    int64_t fraction_size = 0;
    if (*at == '.') {
        number.integral = false;
        const uint8_t *fraction = ++at;
        if (!is_digit(*at))
            return mor_json_fail(reader, at, "a number has a point without digits behind it");
        at = take_digits(at, &number);
        fraction_size = at - fraction;
    }
    if (*at == 'e' || *at == 'E') {
        number.integral = false;
        at = take_exponent(reader, at + 1, &number.exponent);
        if (!at)
            return NULL;
    }
    if (fraction_size > EXPONENT_MAX)
        number.exact = false;
    else
        number.exponent -= (int32_t)fraction_size;
    number.size = (size_t)(at - number.start);
    *ret_number = number;
    return at;
}

// Clinger's fast path: mantissa and power of ten are both exact, so that one operation rounds once.
bool mor_json_to_double(const struct mor_json_reader *reader, const struct mor_json_number *number,
                        double *ret_value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value;
    if (number->exact && number->mantissa <= (uint64_t)1 << 53 && number->exponent >= -22 &&
        number->exponent <= 22) {
        value = (double)number->mantissa;
        value =
            number->exponent < 0 ? value / tens[-number->exponent] : value * tens[number->exponent];
        *ret_value = number->negative ? -value : value;
        return true;
    }
    // the text has been checked and something that is no part of a number stands behind it
    value = strtod_l((const char *)number->start, NULL, (locale_t)reader->locale);
    *ret_value = value;
    return isfinite(value);
}

bool mor_json_to_float(const struct mor_json_reader *reader, const struct mor_json_number *number,
                       float *ret_value)
{
    static const float tens[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
    float value;
    if (number->exact && number->mantissa <= (uint64_t)1 << 24 && number->exponent >= -10 &&
        number->exponent <= 10) {
        value = (float)number->mantissa;
        value =
            number->exponent < 0 ? value / tens[-number->exponent] : value * tens[number->exponent];
        *ret_value = number->negative ? -value : value;
        return true;
    }
    value = strtof_l((const char *)number->start, NULL, (locale_t)reader->locale);
    *ret_value = value;
    return isfinite(value);
}

bool mor_json_to_int64(const struct mor_json_number *number, int64_t *ret_value)
{
    uint64_t mantissa = number->mantissa;
    if (!number->exact) { // also 1 with twenty zeroes behind the point
        mor_int128 wide;
        struct mor_error ignored = MOR_ERROR_INIT;
        if (mor_decimal_parse((const char *)number->start, number->size, 19, 0, &wide, &ignored) !=
                MOR_OK ||
            wide < INT64_MIN || wide > INT64_MAX)
            return false;
        *ret_value = (int64_t)wide;
        return true;
    }
    int32_t exponent = mantissa == 0 ? 0 : number->exponent;
    for (; exponent < 0 && mantissa % 10 == 0; exponent++)
        mantissa /= 10;
    if (exponent < 0)
        return false;
    for (; exponent > 0; exponent--) {
        if (__builtin_mul_overflow(mantissa, (uint64_t)10, &mantissa))
            return false;
    }
    if (mantissa > (uint64_t)INT64_MAX + number->negative)
        return false;
    *ret_value = (int64_t)(number->negative ? -mantissa : mantissa);
    return true;
}
