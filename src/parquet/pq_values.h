// Values of one leaf without nulls, in their physical type: what pages are encoded from.
#ifndef MOR_PQ_VALUES_H
#define MOR_PQ_VALUES_H

#include "moraine/column.h"
#include "pq_meta.h"

struct mor_pq_values {
    int32_t type;   // mor_pq_type
    uint32_t width; // bytes per value; BOOLEAN 1, BYTE_ARRAY 0
    size_t count;
    struct mor_buffer data;    // values; bytes of all BYTE_ARRAY values
    struct mor_buffer offsets; // BYTE_ARRAY: uint32_t[count + 1]
};

void mor_pq_values_init(struct mor_pq_values *values, int32_t type, int32_t type_length,
                        struct mor_budget *budget);
void mor_pq_values_done(struct mor_pq_values *values);
void mor_pq_values_reset(struct mor_pq_values *values);
// Bytes that PLAIN encoding would take.
size_t mor_pq_values_plain_bytes(const struct mor_pq_values *values);

static inline const uint32_t *mor_pq_values_offsets(const struct mor_pq_values *values)
{
    return (const uint32_t *)(const void *)values->offsets.data;
}
static inline const uint8_t *mor_pq_values_at(const struct mor_pq_values *values, size_t index,
                                              size_t *ret_size_bytes)
{
    if (values->type != MOR_PQ_BYTE_ARRAY) {
        *ret_size_bytes = values->width;
        return values->data.data + index * values->width;
    }
    const uint32_t *offsets = mor_pq_values_offsets(values);
    *ret_size_bytes = offsets[index + 1] - offsets[index];
    return values->data.data + offsets[index];
}

// Appends slots [first, first + count) of a leaf vector. present: one byte per slot, 0 = leave out;
// NULL = all of them. Decimals become big-endian or integers as `values->type` says; false when one
// has more digits than its column.
bool mor_pq_values_append(struct mor_pq_values *values, const struct mor_vector *vector,
                          size_t first, size_t count, const uint8_t *present);

// ---- encodings (Encodings.md of parquet-format); all append to `out` ----------------------------

void mor_pq_encode_plain(const struct mor_pq_values *values, struct mor_buffer *out);
void mor_pq_encode_boolean_rle(const struct mor_pq_values *values, struct mor_buffer *out);
void mor_pq_encode_delta(const struct mor_pq_values *values,
                         struct mor_buffer *out); // INT32, INT64
void mor_pq_encode_delta_length(const struct mor_pq_values *values, struct mor_buffer *out);
void mor_pq_encode_delta_bytes(const struct mor_pq_values *values,
                               struct mor_buffer *out); // also FIXED
void mor_pq_encode_stream_split(const struct mor_pq_values *values, struct mor_buffer *out);
// Can values of this physical type be encoded so?
bool mor_pq_encoding_fits(int32_t encoding, int32_t type);
// Any of the above by number; RLE_DICTIONARY is not among them.
void mor_pq_encode(const struct mor_pq_values *values, int32_t encoding, struct mor_buffer *out);

#endif
