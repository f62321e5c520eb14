// From physical values of a file to the values of a wanted column.
#ifndef MOR_PQ_CONVERT_H
#define MOR_PQ_CONVERT_H

#include "moraine/column.h"
#include "pq_schema.h"

enum mor_pq_convert_kind {
    MOR_PQ_V_COPY,  // fixed width, same bytes
    MOR_PQ_V_BOOL,  // one byte each to a bitmap
    MOR_PQ_V_BYTES, // BYTE_ARRAY as it is
    MOR_PQ_V_INT32_INT64,
    MOR_PQ_V_UINT32_INT64,
    MOR_PQ_V_INT32_DECIMAL,
    MOR_PQ_V_INT64_DECIMAL,
    MOR_PQ_V_UINT64_DECIMAL,
    MOR_PQ_V_FIXED_DECIMAL,
    MOR_PQ_V_BYTES_DECIMAL,
    MOR_PQ_V_FLOAT_DOUBLE,
    MOR_PQ_V_INT32_DOUBLE,
    MOR_PQ_V_HALF_FLOAT,
    MOR_PQ_V_HALF_DOUBLE,
    MOR_PQ_V_INT96_TIMESTAMP,
    MOR_PQ_V_SCALE_INT64, // multiply, divide rounding down
    MOR_PQ_V_SCALE_INT32_INT64,
    MOR_PQ_V_FIXED_BYTES, // FIXED_LEN_BYTE_ARRAY to offsets and bytes
};

struct mor_pq_convert {
    enum mor_pq_convert_kind kind;
    uint32_t from_width, to_width; // bytes; 0 for variable width and BOOL
    int64_t multiply, divide;      // SCALE, INT96
    int32_t decimal_up;            // digits the scale grows by
    int32_t precision;             // of the wanted decimal, 0 = not checked
};

// How a leaf is read as `wanted`. DATA when it cannot be: int -> long, float -> double, int ->
// double, decimals to more digits, time units, and text to bytes are possible.
enum mor_status mor_pq_convert_make(const struct mor_pq_element *element,
                                    const struct mor_field *wanted,
                                    struct mor_pq_convert *ret_convert,
                                    struct mor_error *err) MOR_CHECKED;
// Converts `count` fixed-width values; false when one is out of range.
bool mor_pq_convert_fixed(const struct mor_pq_convert *convert, const uint8_t *from, size_t count,
                          uint8_t *ret_to);
// One BYTE_ARRAY decimal to 16 bytes.
bool mor_pq_convert_bytes_decimal(const struct mor_pq_convert *convert, const uint8_t *from,
                                  size_t size_bytes, uint8_t *ret_to);

#endif
