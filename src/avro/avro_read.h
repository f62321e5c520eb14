// Bounded reading of binary data (Avro 1.11 specification, "Binary Encoding").
#ifndef MORAINE_AVRO_READ_H
#define MORAINE_AVRO_READ_H

#include "avro_schema.h"

// What is left of a datum. No function here moves `at` past `end`.
struct mor_avro_input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline size_t mor_avro_left(const struct mor_avro_input *in)
{
    return (size_t)(in->end - in->at);
}

// Zig-zag varint of at most 10 bytes. NULL on success, else what is wrong.
static inline const char *mor_avro_get_long(struct mor_avro_input *in, int64_t *ret_value)
{
    const uint8_t *at = in->at;
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == in->end)
            return "the data end inside a number";
        uint64_t byte = *at++;
        if (shift == 63 && byte > 1)
            return "a number has more than 64 bits";
        bits |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            in->at = at;
            return NULL;
        }
    }
    return "a number has more than 10 bytes";
}

static inline const char *mor_avro_get_int(struct mor_avro_input *in, int32_t *ret_value)
{
    int64_t value = 0;
    const char *wrong = mor_avro_get_long(in, &value);
    if (wrong)
        return wrong;
    if (value < INT32_MIN || value > INT32_MAX)
        return "a number has more than 32 bits";
    *ret_value = (int32_t)value;
    return NULL;
}

// Length-prefixed bytes, borrowed from the input.
static inline const char *mor_avro_get_bytes(struct mor_avro_input *in, const uint8_t **ret_bytes,
                                             size_t *ret_size_bytes)
{
    int64_t size = 0;
    struct mor_avro_input ahead = *in;
    const char *wrong = mor_avro_get_long(&ahead, &size);
    if (wrong)
        return wrong;
    if (size < 0)
        return "a length is negative";
    if ((uint64_t)size > mor_avro_left(&ahead))
        return "a length is beyond the end of the data";
    *ret_bytes = ahead.at;
    *ret_size_bytes = (size_t)size;
    in->at = ahead.at + size;
    return NULL;
}

// Exactly `size_bytes` bytes, borrowed from the input.
static inline const char *mor_avro_get_fixed(struct mor_avro_input *in, size_t size_bytes,
                                             const uint8_t **ret_bytes)
{
    if (size_bytes > mor_avro_left(in))
        return "the data end inside a value";
    *ret_bytes = in->at;
    in->at += size_bytes;
    return NULL;
}

// Header of the next block of an array or map: its number of items, 0 = the last block has been
// read. `item_size_min` is what an item takes at least; `empty_left` counts down the items of no
// size that the value may still have.
const char *mor_avro_get_block(struct mor_avro_input *in, size_t item_size_min, size_t *empty_left,
                               size_t *ret_count);

// Moves past one datum of the type. `depth` counts from 0 to MOR_AVRO_DATUM_DEPTH_MAX.
const char *mor_avro_skip(const struct mor_avro_node *node, struct mor_avro_input *in, int depth);

#endif
