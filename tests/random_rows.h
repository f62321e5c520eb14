// Random schemas and rows for round trips. Set random_seed first.
#ifndef MORAINE_RANDOM_ROWS_H
#define MORAINE_RANDOM_ROWS_H

#include "moraine/column.h"

static uint64_t random_seed;

static inline uint64_t random_bits(void)
{
    random_seed += 0x9E3779B97F4A7C15u;
    uint64_t z = random_seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline size_t random_below(size_t limit)
{
    return (size_t)(random_bits() % limit);
}

// ---- random schemas and rows --------------------------------------------------------------------

static inline void add_random_field(struct mor_schema *s, struct mor_field *parent,
                                    const char *name, int depth)
{
    enum mor_type type =
        (enum mor_type)random_below(depth > 3 ? MOR_TYPE_STRUCT : MOR_TYPE_MAP + 1);
    struct mor_field *field = mor_schema_add(s, parent, name, type, random_below(3) > 0);
    field->precision = (int32_t)random_below(38) + 1;
    field->scale = (int32_t)random_below((size_t)field->precision + 1);
    field->local_timestamp = random_below(2);
    if (type == MOR_TYPE_FIXED)
        field->fixed_size_bytes = (int32_t)random_below(20) + 1;
    if (type == MOR_TYPE_STRUCT) {
        for (size_t i = 0, count = random_below(4) + 1; i < count; i++) {
            char child[8] = {'c', (char)('a' + i), 0};
            add_random_field(s, field, child, depth + 1);
        }
    }
    if (type == MOR_TYPE_LIST)
        add_random_field(s, field, "element", depth + 1);
    if (type == MOR_TYPE_MAP) {
        mor_schema_add(s, field, "key", MOR_TYPE_STRING, false);
        add_random_field(s, field, "value", depth + 1);
    }
}

static inline void append_random(struct mor_vector *v);

static inline void append_random_text(struct mor_vector *v)
{
    static const char *const pieces[] = {
        "a", "bc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "0123456789", "\"\\\n"};
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0, count = random_below(random_below(10) ? 5 : 30); i < count; i++)
        mor_buffer_append_text(&text, pieces[random_below(random_below(2) ? 2 : 7)]);
    mor_vector_append_bytes(v, text.data, text.size_bytes);
}

static inline void append_random_decimal(struct mor_vector *v)
{
    mor_int128 value = 0;
    for (int32_t i = 0, digits = (int32_t)random_below((size_t)v->field->precision + 1); i < digits;
         i++)
        value = value * 10 + (mor_int128)random_below(10);
    value = random_below(2) ? -value : value;
    mor_vector_append_fixed(v, &value);
}

static inline void append_random_time(struct mor_vector *v, int64_t least, int64_t most)
{
    int64_t value = least + (int64_t)(random_bits() % (uint64_t)(most - least + 1));
    mor_vector_append_fixed(v, &value); // little-endian: the low half is the int32_t
}

static inline void append_random(struct mor_vector *v)
{
    uint64_t bits[4] = {random_bits(), random_bits(), random_bits(), random_bits()};
    double real = (double)(int64_t)bits[0] / 1024.0;
    float narrow = (float)real;
    if (v->field->nullable && random_below(4) == 0) {
        mor_vector_append_null(v);
        return;
    }
    if (random_below(2)) // small numbers have short forms
        bits[0] >>= 8 * random_below(8);
    switch (v->field->type) {
    // dates and times within the years and the day that have a text form
    case MOR_TYPE_DATE:
        append_random_time(v, -719162, 2932896);
        break;
    case MOR_TYPE_TIME_MILLIS:
        append_random_time(v, 0, 86399999);
        break;
    case MOR_TYPE_TIME_MICROS:
        append_random_time(v, 0, 86399999999);
        break;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        append_random_time(v, -62135596800000, 253402300799999);
        break;
    case MOR_TYPE_TIMESTAMP_MICROS:
        append_random_time(v, -62135596800000000, 253402300799999999);
        break;
    case MOR_TYPE_BOOL:
        mor_vector_append_bool(v, bits[0] & 1);
        break;
    case MOR_TYPE_FLOAT:
        mor_vector_append_fixed(v, &narrow);
        break;
    case MOR_TYPE_DOUBLE:
        mor_vector_append_fixed(v, &real);
        break;
    case MOR_TYPE_DECIMAL:
        append_random_decimal(v);
        break;
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        append_random_text(v);
        break;
    case MOR_TYPE_BYTES:
        mor_vector_append_bytes(v, bits, random_below(sizeof bits));
        break;
    case MOR_TYPE_STRUCT:
        for (size_t i = 0; i < v->child_count; i++)
            append_random(&v->children[i]);
        mor_vector_append_end(v);
        break;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        for (size_t i = 0, count = random_below(4); i < count; i++) {
            for (size_t k = 0; k < v->child_count; k++)
                append_random(&v->children[k]);
        }
        mor_vector_append_end(v);
        break;
    default:
        mor_vector_append_fixed(v, bits);
    }
}

#endif
