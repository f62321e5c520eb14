#include "pq_decode.h"

#include "pq_simd.h"
#include "pq_values.h"

void mor_pq_decoder_done(struct mor_pq_decoder *d)
{
    mor_buffer_done(&d->lengths);
    mor_buffer_done(&d->last);
}

// ---- opening ------------------------------------------------------------------------------------

static bool read_lengths(struct mor_pq_delta *delta, size_t count, struct mor_buffer *lengths)
{
    mor_buffer_reserve(lengths, count * sizeof(int32_t));
    if (!mor_pq_delta_read32(delta, (int32_t *)(void *)(lengths->data + lengths->size_bytes),
                             count))
        return false;
    lengths->size_bytes += count * sizeof(int32_t);
    return true;
}

// The bytes follow the lengths, so all lengths are decoded first; a page has one per value.
static bool open_delta_length(struct mor_pq_decoder *d, size_t streams)
{
    mor_buffer_reset(&d->lengths);
    mor_buffer_reset(&d->last);
    d->index = 0;
    for (size_t i = 0; i < streams; i++) {
        struct mor_pq_delta delta;
        if (!mor_pq_delta_init(&delta, d->at, (size_t)(d->end - d->at)) ||
            delta.total != d->total || !read_lengths(&delta, d->total, &d->lengths))
            return false;
        d->at = mor_pq_delta_end(&delta);
    }
    return true;
}

static bool open_boolean_rle(struct mor_pq_decoder *d)
{
    uint32_t size;
    if (d->end - d->at < 4)
        return false;
    memcpy(&size, d->at, 4);
    d->at += 4;
    if (size > (size_t)(d->end - d->at))
        return false;
    mor_pq_rle_init(&d->rle, d->at, size, 1);
    return true;
}

static bool open_dictionary(struct mor_pq_decoder *d)
{
    if (d->at == d->end)
        return false;
    uint32_t width = *d->at++;
    if (width > 32)
        return false;
    mor_pq_rle_init(&d->rle, d->at, (size_t)(d->end - d->at), width);
    return true;
}

static enum mor_pq_decoder_kind kind_of(int32_t encoding, int32_t type)
{
    switch (encoding) {
    case MOR_PQ_PLAIN:
        return type == MOR_PQ_BOOLEAN ? MOR_PQ_D_BITS : MOR_PQ_D_PLAIN;
    case MOR_PQ_RLE:
        return MOR_PQ_D_RLE;
    case MOR_PQ_PLAIN_DICTIONARY:
    case MOR_PQ_RLE_DICTIONARY:
        return MOR_PQ_D_DICTIONARY;
    case MOR_PQ_DELTA_BINARY_PACKED:
        return MOR_PQ_D_DELTA;
    case MOR_PQ_DELTA_LENGTH_BYTE_ARRAY:
        return MOR_PQ_D_DELTA_LENGTH;
    case MOR_PQ_DELTA_BYTE_ARRAY:
        return MOR_PQ_D_DELTA_BYTES;
    default:
        return MOR_PQ_D_SPLIT;
    }
}

static bool open_kind(struct mor_pq_decoder *d)
{
    switch (d->kind) {
    case MOR_PQ_D_RLE:
        return open_boolean_rle(d);
    case MOR_PQ_D_DICTIONARY:
        return open_dictionary(d);
    case MOR_PQ_D_DELTA:
        return mor_pq_delta_init(&d->delta, d->at, (size_t)(d->end - d->at)) &&
               d->delta.total >= d->total;
    case MOR_PQ_D_DELTA_LENGTH:
        return open_delta_length(d, 1);
    case MOR_PQ_D_DELTA_BYTES:
        return open_delta_length(d, 2);
    case MOR_PQ_D_SPLIT:
        d->index = 0;
        return (size_t)(d->end - d->at) / d->width >= d->total;
    default:
        return true;
    }
}

enum mor_status mor_pq_decoder_open(struct mor_pq_decoder *d, int32_t type, int32_t type_length,
                                    int32_t encoding, const void *bytes, size_t size_bytes,
                                    size_t count, struct mor_error *err)
{
    static const uint32_t widths[] = {1, 4, 8, 12, 4, 8, 0, 0};
    if (!mor_pq_encoding_fits(encoding, type))
        return mor_error_set(err, MOR_DATA, "encoding %s (%d) cannot hold values of type %s",
                             mor_pq_encoding_name(encoding), encoding, mor_pq_type_name(type));
    d->type = type;
    d->width = type == MOR_PQ_FLBA ? (uint32_t)type_length : widths[type];
    d->at = bytes;
    d->end = d->at + size_bytes;
    d->left = d->total = count;
    d->kind = count > 0 ? kind_of(encoding, type) : MOR_PQ_D_NONE;
    d->index = 0;
    if (!open_kind(d))
        return mor_error_set(err, MOR_DATA, "page has malformed %s values",
                             mor_pq_encoding_name(encoding));
    return MOR_OK;
}

// ---- fixed width --------------------------------------------------------------------------------

static bool read_plain(struct mor_pq_decoder *d, void *to, size_t count)
{
    size_t size = count * d->width;
    if ((size_t)(d->end - d->at) < size)
        return false;
    memcpy(to, d->at, size);
    d->at += size;
    return true;
}

// `index` counts bits from `at`.
static bool read_bits(struct mor_pq_decoder *d, uint8_t *to, size_t count)
{
    if ((size_t)(d->end - d->at) * 8 < d->index + count)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t bit = d->index + i;
        to[i] = d->at[bit >> 3] >> (bit & 7) & 1;
    }
    d->index += count;
    return true;
}

MOR_PQ_CLONES static bool read_split(struct mor_pq_decoder *d, uint8_t *to, size_t count)
{
    const size_t width = d->width;
    // Streams as long as the page's values, which may leave bytes over at the end.
    for (size_t k = 0; k < width; k++) {
        const uint8_t *stream = d->at + k * d->total + d->index;
        for (size_t i = 0; i < count; i++)
            to[i * width + k] = stream[i];
    }
    d->index += count;
    return true;
}

// Appends the next value of DELTA_BYTE_ARRAY to nothing but d->last.
static bool next_delta_bytes(struct mor_pq_decoder *d)
{
    const int32_t *prefixes = (const int32_t *)(const void *)d->lengths.data,
                  *suffixes = prefixes + d->total;
    int32_t prefix = prefixes[d->index], suffix = suffixes[d->index];
    if (prefix < 0 || suffix < 0 || (size_t)prefix > d->last.size_bytes || suffix > d->end - d->at)
        return false;
    d->last.size_bytes = (size_t)prefix;
    mor_buffer_append(&d->last, d->at, (size_t)suffix);
    d->at += suffix;
    d->index++;
    return true;
}

static bool read_delta_fixed(struct mor_pq_decoder *d, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++, to += d->width) {
        if (!next_delta_bytes(d) || d->last.size_bytes != d->width)
            return false;
        memcpy(to, d->last.data, d->width);
    }
    return true;
}

bool mor_pq_decoder_read_fixed(struct mor_pq_decoder *d, void *ret_values, size_t count)
{
    if (count == 0)
        return true;
    if (count > d->left)
        return false;
    d->left -= count;
    switch (d->kind) {
    case MOR_PQ_D_PLAIN:
        return read_plain(d, ret_values, count);
    case MOR_PQ_D_BITS:
        return read_bits(d, ret_values, count);
    case MOR_PQ_D_RLE:
        return mor_pq_rle_read8(&d->rle, ret_values, count);
    case MOR_PQ_D_DELTA:
        return d->width == 4 ? mor_pq_delta_read32(&d->delta, ret_values, count)
                             : mor_pq_delta_read64(&d->delta, ret_values, count);
    case MOR_PQ_D_DELTA_BYTES:
        return read_delta_fixed(d, ret_values, count);
    case MOR_PQ_D_SPLIT:
        return read_split(d, ret_values, count);
    default:
        return false;
    }
}

// ---- byte arrays --------------------------------------------------------------------------------

// Room for `size` bytes and whole words beyond, so that short values can be copied 16 bytes at a
// time.
static void copy_value(struct mor_buffer *data, const uint8_t *from, size_t size,
                       const uint8_t *from_end)
{
    mor_buffer_reserve(data, size + 16);
    uint8_t *to = data->data + data->size_bytes;
    if (size <= 16 && (size_t)(from_end - from) >= 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, size);
    data->size_bytes += size;
}

static bool read_plain_bytes(struct mor_pq_decoder *d, struct mor_buffer *data, int32_t *offsets,
                             size_t count, size_t bytes_max, size_t *ret_count)
{
    size_t i = 0;
    for (; i < count; i++) {
        uint32_t size;
        if (d->end - d->at < 4)
            return false;
        memcpy(&size, d->at, 4);
        if (size > (size_t)(d->end - d->at) - 4)
            return false;
        if (data->size_bytes + size > bytes_max)
            break;
        copy_value(data, d->at + 4, size, d->end);
        d->at += 4 + (size_t)size;
        offsets[i] = (int32_t)data->size_bytes;
    }
    *ret_count = i;
    return true;
}

static bool read_delta_length(struct mor_pq_decoder *d, struct mor_buffer *data, int32_t *offsets,
                              size_t count, size_t bytes_max, size_t *ret_count)
{
    const int32_t *lengths = (const int32_t *)(const void *)d->lengths.data + d->index;
    size_t i = 0, size = 0, left = (size_t)(d->end - d->at), base = data->size_bytes;
    for (; i < count; i++) {
        if (lengths[i] < 0 || (size_t)lengths[i] > left - size)
            return false;
        if (base + size + (size_t)lengths[i] > bytes_max)
            break;
        size += (size_t)lengths[i];
        offsets[i] = (int32_t)(base + size);
    }
    mor_buffer_append(data, d->at, size);
    d->at += size;
    d->index += i;
    *ret_count = i;
    return true;
}

static bool read_delta_bytes(struct mor_pq_decoder *d, struct mor_buffer *data, int32_t *offsets,
                             size_t count, size_t bytes_max, size_t *ret_count)
{
    const int32_t *prefixes = (const int32_t *)(const void *)d->lengths.data,
                  *suffixes = prefixes + d->total;
    size_t i = 0;
    for (; i < count; i++) {
        // Lengths are checked by next_delta_bytes; here only whether the value still has room.
        size_t size = (size_t)(uint32_t)prefixes[d->index] + (uint32_t)suffixes[d->index];
        if (size < bytes_max && data->size_bytes + size > bytes_max)
            break;
        if (!next_delta_bytes(d))
            return false;
        if (data->size_bytes + d->last.size_bytes > bytes_max)
            return false;
        mor_buffer_append(data, d->last.data, d->last.size_bytes);
        offsets[i] = (int32_t)data->size_bytes;
    }
    *ret_count = i;
    return true;
}

bool mor_pq_decoder_read_bytes(struct mor_pq_decoder *d, struct mor_buffer *data,
                               struct mor_buffer *offsets, size_t count, size_t bytes_max,
                               size_t *ret_count)
{
    *ret_count = 0;
    if (count == 0)
        return true;
    if (count > d->left)
        return false;
    mor_buffer_reserve(offsets, count * sizeof(int32_t));
    int32_t *to = (int32_t *)(void *)(offsets->data + offsets->size_bytes);
    bool good = false;
    if (d->kind == MOR_PQ_D_PLAIN)
        good = read_plain_bytes(d, data, to, count, bytes_max, ret_count);
    else if (d->kind == MOR_PQ_D_DELTA_LENGTH)
        good = read_delta_length(d, data, to, count, bytes_max, ret_count);
    else if (d->kind == MOR_PQ_D_DELTA_BYTES)
        good = read_delta_bytes(d, data, to, count, bytes_max, ret_count);
    if (!good)
        return false;
    offsets->size_bytes += *ret_count * sizeof(int32_t);
    d->left -= *ret_count;
    return true;
}

bool mor_pq_decoder_read_indexes(struct mor_pq_decoder *d, uint32_t *ret_indexes, size_t count)
{
    if (count > d->left || (count > 0 && d->kind != MOR_PQ_D_DICTIONARY))
        return false;
    d->left -= count;
    return mor_pq_rle_read32(&d->rle, ret_indexes, count);
}

// ---- skipping -----------------------------------------------------------------------------------

static bool skip_bytes(struct mor_pq_decoder *d, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t size;
        if (d->end - d->at < 4)
            return false;
        memcpy(&size, d->at, 4);
        if (size > (size_t)(d->end - d->at) - 4)
            return false;
        d->at += 4 + (size_t)size;
    }
    return true;
}

static bool skip_delta(struct mor_pq_decoder *d, size_t count)
{
    int64_t chunk[64];
    for (; count > 0; count -= count < 64 ? count : 64) {
        if (!mor_pq_delta_read64(&d->delta, chunk, count < 64 ? count : 64))
            return false;
    }
    return true;
}

static bool skip_lengths(struct mor_pq_decoder *d, size_t count)
{
    const int32_t *lengths = (const int32_t *)(const void *)d->lengths.data;
    for (; count > 0; count--) {
        int32_t size = lengths[d->index++];
        if (size < 0 || size > d->end - d->at)
            return false;
        d->at += size;
    }
    return true;
}

bool mor_pq_decoder_skip(struct mor_pq_decoder *d, size_t count)
{
    if (count > d->left)
        return false;
    d->left -= count;
    switch (d->kind) {
    case MOR_PQ_D_PLAIN:
        if (d->type == MOR_PQ_BYTE_ARRAY)
            return skip_bytes(d, count);
        if ((size_t)(d->end - d->at) / d->width < count)
            return false;
        d->at += count * d->width;
        return true;
    case MOR_PQ_D_RLE:
    case MOR_PQ_D_DICTIONARY:
        return mor_pq_rle_skip(&d->rle, count);
    case MOR_PQ_D_DELTA:
        return skip_delta(d, count);
    case MOR_PQ_D_DELTA_LENGTH:
        return skip_lengths(d, count);
    case MOR_PQ_D_DELTA_BYTES:
        for (; count > 0; count--) {
            if (!next_delta_bytes(d))
                return false;
        }
        return true;
    case MOR_PQ_D_BITS:
    case MOR_PQ_D_SPLIT:
        d->index += count;
        return true;
    default:
        return count == 0;
    }
}
