#include "pq_convert.h"

// ---- choosing -----------------------------------------------------------------------------------

static bool is_bytes(enum mor_type type)
{
    return type == MOR_TYPE_STRING || type == MOR_TYPE_BYTES || type == MOR_TYPE_ENUM ||
           type == MOR_TYPE_JSON;
}

static enum mor_status cannot(const struct mor_pq_element *e, const struct mor_field *own,
                              const struct mor_field *wanted, struct mor_error *err)
{
    MOR_AUTO_BUFFER from = {0}, to = {0};
    mor_type_format(own, &from);
    mor_type_format(wanted, &to);
    return mor_error_set(err, MOR_DATA, "column '%s' of type %s (%s) cannot be read as %s",
                         wanted->name, mor_buffer_terminate(&from), mor_pq_type_name(e->type),
                         mor_buffer_terminate(&to));
}

static int64_t units_per_second(const struct mor_pq_element *e, enum mor_type type)
{
    if (e && (e->logical == MOR_PQ_L_TIME || e->logical == MOR_PQ_L_TIMESTAMP) &&
        e->unit == MOR_PQ_NANOS)
        return 1000000000;
    return type == MOR_TYPE_TIMESTAMP_MILLIS || type == MOR_TYPE_TIME_MILLIS ? 1000 : 1000000;
}

static bool is_timestamp(enum mor_type type)
{
    return type == MOR_TYPE_TIMESTAMP_MILLIS || type == MOR_TYPE_TIMESTAMP_MICROS;
}

static bool is_time(enum mor_type type)
{
    return type == MOR_TYPE_TIME_MILLIS || type == MOR_TYPE_TIME_MICROS;
}

// Times and timestamps between their units. False when the pair is none.
static bool make_time(const struct mor_pq_element *e, const struct mor_field *own,
                      const struct mor_field *wanted, struct mor_pq_convert *c)
{
    if (!(is_timestamp(own->type) && is_timestamp(wanted->type)) &&
        !(is_time(own->type) && is_time(wanted->type)))
        return false;
    int64_t from = units_per_second(e, own->type), to = units_per_second(NULL, wanted->type);
    c->multiply = to > from ? to / from : 1;
    c->divide = from > to ? from / to : 1;
    if (e->type == MOR_PQ_INT96) {
        c->kind = MOR_PQ_V_INT96_TIMESTAMP;
        c->divide = 1000000000 / to;
        return true;
    }
    if (from == to && c->from_width == c->to_width) {
        c->kind = MOR_PQ_V_COPY;
        return true;
    }
    c->kind = e->type == MOR_PQ_INT32 ? MOR_PQ_V_SCALE_INT32_INT64 : MOR_PQ_V_SCALE_INT64;
    return c->to_width == 8;
}

static bool make_decimal(const struct mor_pq_element *e, const struct mor_field *own,
                         const struct mor_field *wanted, struct mor_pq_convert *c)
{
    static const int kinds[] = {-1, MOR_PQ_V_INT32_DECIMAL, MOR_PQ_V_INT64_DECIMAL, -1, -1,
                                -1, MOR_PQ_V_BYTES_DECIMAL, MOR_PQ_V_FIXED_DECIMAL};
    bool integer = own->type == MOR_TYPE_INT32 || own->type == MOR_TYPE_INT64;
    if ((own->type != MOR_TYPE_DECIMAL && !integer) || kinds[e->type] < 0)
        return false;
    bool is_unsigned =
        e->type == MOR_PQ_INT64 && own->type == MOR_TYPE_DECIMAL && own->precision == 20;
    c->kind = is_unsigned ? MOR_PQ_V_UINT64_DECIMAL : (enum mor_pq_convert_kind)kinds[e->type];
    if (integer && own->type == MOR_TYPE_INT64 && e->type == MOR_PQ_INT32)
        return false; // unsigned 32 bit
    c->decimal_up = wanted->scale - (integer ? 0 : own->scale);
    // Digits before the point must not be lost; those of an integer are checked value by value.
    int32_t whole = wanted->precision - wanted->scale;
    if (c->decimal_up < 0 || (!integer && whole < own->precision - own->scale))
        return false;
    c->precision = integer || c->decimal_up > 0 ? wanted->precision : 0;
    return true;
}

static bool make_number(const struct mor_pq_element *e, const struct mor_field *own,
                        const struct mor_field *wanted, struct mor_pq_convert *c)
{
    if (wanted->type == MOR_TYPE_INT64 && own->type == MOR_TYPE_INT64 && e->type == MOR_PQ_INT32)
        c->kind = MOR_PQ_V_UINT32_INT64;
    else if (wanted->type == MOR_TYPE_INT64 && own->type == MOR_TYPE_INT32)
        c->kind = MOR_PQ_V_INT32_INT64;
    else if (wanted->type == MOR_TYPE_DOUBLE && own->type == MOR_TYPE_FLOAT &&
             e->type == MOR_PQ_FLOAT)
        c->kind = MOR_PQ_V_FLOAT_DOUBLE;
    else if (wanted->type == MOR_TYPE_DOUBLE && own->type == MOR_TYPE_INT32)
        c->kind = MOR_PQ_V_INT32_DOUBLE;
    else if (wanted->type == MOR_TYPE_DOUBLE && own->type == MOR_TYPE_FLOAT)
        c->kind = MOR_PQ_V_HALF_DOUBLE;
    else if (wanted->type == MOR_TYPE_FLOAT && own->type == MOR_TYPE_FLOAT &&
             e->type == MOR_PQ_FLBA)
        c->kind = MOR_PQ_V_HALF_FLOAT;
    else
        return false;
    return true;
}

enum mor_status mor_pq_convert_make(const struct mor_pq_element *e, const struct mor_field *wanted,
                                    struct mor_pq_convert *ret_convert, struct mor_error *err)
{
    static const uint32_t widths[] = {1, 4, 8, 12, 4, 8, 0, 0};
    struct mor_field own = {.field_id = -1};
    mor_pq_leaf_type(e, &own);
    struct mor_pq_convert c = {.from_width = e->type == MOR_PQ_FLBA ? (uint32_t)e->type_length
                                                                    : widths[e->type],
                               .to_width = (uint32_t)mor_type_width(wanted),
                               .multiply = 1,
                               .divide = 1};
    bool good = true;
    bool plain_fixed = wanted->type == MOR_TYPE_FIXED || wanted->type == MOR_TYPE_UUID;
    if (wanted->type == MOR_TYPE_BOOL)
        good = own.type == MOR_TYPE_BOOL;
    else if (is_bytes(wanted->type))
        good = e->type == MOR_PQ_BYTE_ARRAY || e->type == MOR_PQ_FLBA;
    else if (plain_fixed)
        good = e->type == MOR_PQ_FLBA && c.from_width == c.to_width;
    else if (make_time(e, &own, wanted, &c) || make_number(e, &own, wanted, &c))
        good = true;
    else if (wanted->type == MOR_TYPE_DECIMAL)
        good = make_decimal(e, &own, wanted, &c);
    else
        good = own.type == wanted->type && c.from_width == c.to_width;
    if (!good)
        return cannot(e, &own, wanted, err);
    if (wanted->type == MOR_TYPE_BOOL)
        c.kind = MOR_PQ_V_BOOL;
    else if (is_bytes(wanted->type))
        c.kind = e->type == MOR_PQ_FLBA ? MOR_PQ_V_FIXED_BYTES : MOR_PQ_V_BYTES;
    *ret_convert = c;
    return MOR_OK;
}

// ---- converting ---------------------------------------------------------------------------------

static bool put_decimal(const struct mor_pq_convert *c, mor_int128 value, uint8_t *to)
{
    for (int32_t i = 0; i < c->decimal_up; i++) {
        if (__builtin_mul_overflow(value, (mor_int128)10, &value))
            return false;
    }
    if (c->precision > 0 && !mor_decimal_fits(value, c->precision))
        return false;
    memcpy(to, &value, 16);
    return true;
}

bool mor_pq_convert_bytes_decimal(const struct mor_pq_convert *c, const uint8_t *from,
                                  size_t size_bytes, uint8_t *ret_to)
{
    mor_int128 value = 0;
    if (size_bytes > 0 && !mor_decimal_from_be(from, size_bytes, &value))
        return false;
    return put_decimal(c, value, ret_to);
}

static bool convert_decimals(const struct mor_pq_convert *c, const uint8_t *from, size_t count,
                             uint8_t *to)
{
    for (size_t i = 0; i < count; i++, from += c->from_width, to += 16) {
        mor_int128 value;
        if (c->kind == MOR_PQ_V_INT32_DECIMAL) {
            int32_t number;
            memcpy(&number, from, 4);
            value = number;
        } else if (c->kind == MOR_PQ_V_FIXED_DECIMAL) {
            if (!mor_decimal_from_be(from, c->from_width, &value))
                return false;
        } else {
            int64_t number;
            memcpy(&number, from, 8);
            value = c->kind == MOR_PQ_V_UINT64_DECIMAL ? (mor_int128)(uint64_t)number : number;
        }
        if (!put_decimal(c, value, to))
            return false;
    }
    return true;
}

static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f,
             fraction = half & 0x3ff;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent > 0) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        float small = (float)fraction * 0x1p-24f;
        memcpy(&bits, &small, 4);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return quotient - (value % by < 0);
}

// Nanoseconds of the day (8 bytes) and Julian day (4 bytes); 2440588 is 1970-01-01. Spark computes
// both with wrapping numbers and writes far dates that only come out right by wrapping again.
static bool convert_int96(const struct mor_pq_convert *c, const uint8_t *from, uint8_t *to)
{
    int64_t nanos;
    int32_t day;
    memcpy(&nanos, from, 8);
    memcpy(&day, from + 8, 4);
    uint64_t per_day = 86400 * (uint64_t)(1000000000 / c->divide);
    uint64_t time =
        (uint64_t)((int64_t)day - 2440588) * per_day + (uint64_t)floor_divide(nanos, c->divide);
    memcpy(to, &time, 8);
    return true;
}

static bool scale(const struct mor_pq_convert *c, int64_t value, uint8_t *to)
{
    if (c->divide > 1)
        value = floor_divide(value, c->divide);
    if (__builtin_mul_overflow(value, c->multiply, &value))
        return false;
    memcpy(to, &value, 8);
    return true;
}

// One value at a time is enough for what is rare.
static bool convert_one(const struct mor_pq_convert *c, const uint8_t *from, uint8_t *to)
{
    int32_t narrow = 0;
    uint16_t half;
    int64_t wide;
    double real;
    float single;
    switch (c->kind) {
    case MOR_PQ_V_INT96_TIMESTAMP:
        return convert_int96(c, from, to);
    case MOR_PQ_V_SCALE_INT64:
        memcpy(&wide, from, 8);
        return scale(c, wide, to);
    case MOR_PQ_V_SCALE_INT32_INT64:
        memcpy(&narrow, from, 4);
        return scale(c, narrow, to);
    case MOR_PQ_V_UINT32_INT64:
        memcpy(&narrow, from, 4);
        wide = (uint32_t)narrow;
        memcpy(to, &wide, 8);
        return true;
    case MOR_PQ_V_INT32_DOUBLE:
        memcpy(&narrow, from, 4);
        real = narrow;
        memcpy(to, &real, 8);
        return true;
    case MOR_PQ_V_HALF_FLOAT:
        memcpy(&half, from, 2);
        single = half_to_float(half);
        memcpy(to, &single, 4);
        return true;
    case MOR_PQ_V_HALF_DOUBLE:
        memcpy(&half, from, 2);
        real = (double)half_to_float(half);
        memcpy(to, &real, 8);
        return true;
    default:
        return false;
    }
}

bool mor_pq_convert_fixed(const struct mor_pq_convert *c, const uint8_t *from, size_t count,
                          uint8_t *ret_to)
{
    switch (c->kind) {
    case MOR_PQ_V_COPY:
        if (count > 0)
            memcpy(ret_to, from, count * c->from_width);
        return true;
    case MOR_PQ_V_INT32_INT64:
        for (size_t i = 0; i < count; i++)
            ((int64_t *)(void *)ret_to)[i] = ((const int32_t *)(const void *)from)[i];
        return true;
    case MOR_PQ_V_FLOAT_DOUBLE:
        for (size_t i = 0; i < count; i++)
            ((double *)(void *)ret_to)[i] = (double)((const float *)(const void *)from)[i];
        return true;
    case MOR_PQ_V_INT32_DECIMAL:
    case MOR_PQ_V_INT64_DECIMAL:
    case MOR_PQ_V_UINT64_DECIMAL:
    case MOR_PQ_V_FIXED_DECIMAL:
        return convert_decimals(c, from, count, ret_to);
    default:
        for (size_t i = 0; i < count; i++, from += c->from_width, ret_to += c->to_width) {
            if (!convert_one(c, from, ret_to))
                return false;
        }
        return true;
    }
}
