#include <assert.h>

#include "pq_delta.h"
#include "pq_rle.h"
#include "pq_simd.h"
#include "pq_values.h"

static void encode_plain_bits(const struct mor_pq_values *values, struct mor_buffer *out)
{
    size_t size = (values->count + 7) / 8;
    mor_buffer_reserve(out, size);
    uint8_t *to = out->data + out->size_bytes;
    memset(to, 0, size);
    for (size_t i = 0; i < values->count; i++)
        to[i >> 3] |= (uint8_t)(values->data.data[i] << (i & 7));
    out->size_bytes += size;
}

static void encode_plain_bytes(const struct mor_pq_values *values, struct mor_buffer *out)
{
    const uint32_t *offsets = mor_pq_values_offsets(values);
    mor_buffer_reserve(out, values->data.size_bytes + 4 * values->count);
    uint8_t *to = out->data + out->size_bytes;
    const uint8_t *from = values->data.data;
    for (size_t i = 0; i < values->count; i++) {
        uint32_t size = offsets[i + 1] - offsets[i];
        memcpy(to, &size, 4);
        if (size > 0)
            memcpy(to + 4, from + offsets[i], size);
        to += 4 + size;
    }
    out->size_bytes = (size_t)(to - out->data);
}

void mor_pq_encode_plain(const struct mor_pq_values *values, struct mor_buffer *out)
{
    if (values->type == MOR_PQ_BOOLEAN)
        encode_plain_bits(values, out);
    else if (values->type == MOR_PQ_BYTE_ARRAY)
        encode_plain_bytes(values, out);
    else
        mor_buffer_append(out, values->data.data, values->data.size_bytes);
}

// RLE as a value encoding has its size in front, unlike dictionary indexes.
void mor_pq_encode_boolean_rle(const struct mor_pq_values *values, struct mor_buffer *out)
{
    size_t head = out->size_bytes;
    mor_buffer_append_le32(out, 0);
    mor_pq_rle_write8(out, values->data.data, values->count, 1);
    uint32_t size = (uint32_t)(out->size_bytes - head - 4);
    memcpy(out->data + head, &size, 4);
}

void mor_pq_encode_delta(const struct mor_pq_values *values, struct mor_buffer *out)
{
    if (values->type == MOR_PQ_INT32)
        mor_pq_delta_write32(out, (const int32_t *)(const void *)values->data.data, values->count);
    else
        mor_pq_delta_write64(out, (const int64_t *)(const void *)values->data.data, values->count);
}

void mor_pq_encode_delta_length(const struct mor_pq_values *values, struct mor_buffer *out)
{
    const uint32_t *offsets = mor_pq_values_offsets(values);
    int32_t *lengths = mor_alloc((values->count + 1) * sizeof *lengths);
    for (size_t i = 0; i < values->count; i++)
        lengths[i] = (int32_t)(offsets[i + 1] - offsets[i]);
    mor_pq_delta_write32(out, lengths, values->count);
    free(lengths);
    mor_buffer_append(out, values->data.data, values->data.size_bytes);
}

static size_t common_prefix(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t limit = a_size < b_size ? a_size : b_size, i = 0;
    while (i < limit && a[i] == b[i])
        i++;
    return i;
}

void mor_pq_encode_delta_bytes(const struct mor_pq_values *values, struct mor_buffer *out)
{
    int32_t *prefixes = mor_alloc((values->count + 1) * 2 * sizeof *prefixes),
            *suffixes = prefixes + values->count;
    MOR_AUTO_BUFFER tail = {0};
    const uint8_t *last = NULL;
    size_t last_size = 0;
    for (size_t i = 0; i < values->count; i++) {
        size_t size;
        const uint8_t *at = mor_pq_values_at(values, i, &size);
        size_t prefix = common_prefix(last, last_size, at, size);
        prefixes[i] = (int32_t)prefix;
        suffixes[i] = (int32_t)(size - prefix);
        mor_buffer_append(&tail, at + prefix, size - prefix);
        last = at;
        last_size = size;
    }
    mor_pq_delta_write32(out, prefixes, values->count);
    mor_pq_delta_write32(out, suffixes, values->count);
    free(prefixes);
    mor_buffer_append(out, tail.data, tail.size_bytes);
}

MOR_PQ_CLONES void mor_pq_encode_stream_split(const struct mor_pq_values *values,
                                              struct mor_buffer *out)
{
    const size_t width = values->width, count = values->count;
    mor_buffer_reserve(out, count * width);
    uint8_t *to = out->data + out->size_bytes;
    const uint8_t *from = values->data.data;
    for (size_t k = 0; k < width; k++) {
        for (size_t i = 0; i < count; i++)
            to[k * count + i] = from[i * width + k];
    }
    out->size_bytes += count * width;
}

bool mor_pq_encoding_fits(int32_t encoding, int32_t type)
{
    switch (encoding) {
    case MOR_PQ_PLAIN:
        return true;
    case MOR_PQ_RLE:
        return type == MOR_PQ_BOOLEAN;
    case MOR_PQ_PLAIN_DICTIONARY:
    case MOR_PQ_RLE_DICTIONARY:
        return type != MOR_PQ_BOOLEAN;
    case MOR_PQ_DELTA_BINARY_PACKED:
        return type == MOR_PQ_INT32 || type == MOR_PQ_INT64;
    case MOR_PQ_DELTA_LENGTH_BYTE_ARRAY:
        return type == MOR_PQ_BYTE_ARRAY;
    case MOR_PQ_DELTA_BYTE_ARRAY:
        return type == MOR_PQ_BYTE_ARRAY || type == MOR_PQ_FLBA;
    case MOR_PQ_BYTE_STREAM_SPLIT:
        return type == MOR_PQ_INT32 || type == MOR_PQ_INT64 || type == MOR_PQ_FLOAT ||
               type == MOR_PQ_DOUBLE || type == MOR_PQ_FLBA;
    default:
        return false;
    }
}

void mor_pq_encode(const struct mor_pq_values *values, int32_t encoding, struct mor_buffer *out)
{
    assert(mor_pq_encoding_fits(encoding, values->type));
    switch (encoding) {
    case MOR_PQ_RLE:
        mor_pq_encode_boolean_rle(values, out);
        break;
    case MOR_PQ_DELTA_BINARY_PACKED:
        mor_pq_encode_delta(values, out);
        break;
    case MOR_PQ_DELTA_LENGTH_BYTE_ARRAY:
        mor_pq_encode_delta_length(values, out);
        break;
    case MOR_PQ_DELTA_BYTE_ARRAY:
        mor_pq_encode_delta_bytes(values, out);
        break;
    case MOR_PQ_BYTE_STREAM_SPLIT:
        mor_pq_encode_stream_split(values, out);
        break;
    default:
        mor_pq_encode_plain(values, out);
        break;
    }
}
