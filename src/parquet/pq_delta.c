#include "pq_delta.h"

#include "pq_rle.h"
#include "pq_simd.h"
#include "pq_thrift.h"

#define BLOCK     128
#define MINIS     4
#define MINI      (BLOCK / MINIS)
#define BLOCK_MAX (1u << 20) // values per block a file may ask for

// ---- writing ------------------------------------------------------------------------------------

static void append_zigzag(struct mor_buffer *out, int64_t value)
{
    mor_pq_append_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static uint8_t *store64(uint8_t *at, uint64_t word)
{
    memcpy(at, &word, 8);
    return at + 8;
}

// Packs 32 values; writes 4 * width bytes and up to 8 bytes beyond.
static uint8_t *pack_miniblock(uint8_t *at, const uint64_t *values, uint32_t width)
{
    uint8_t *end = at + 4 * width;
    uint64_t word = 0;
    uint32_t filled = 0;
    if (width == 0)
        return end;
    for (size_t i = 0; i < MINI; i++) {
        word |= values[i] << filled;
        filled += width;
        if (filled >= 64) {
            at = store64(at, word);
            filled -= 64;
            word = filled ? values[i] >> (width - filled) : 0;
        }
    }
    store64(at, word);
    return end;
}

// deltas[0..count) with their least one; padded to a block with zeroes by this function.
MOR_PQ_CLONES static void write_block(struct mor_buffer *out, uint64_t *deltas, size_t count,
                                      int64_t min_delta)
{
    append_zigzag(out, min_delta);
    for (size_t i = 0; i < count; i++)
        deltas[i] -= (uint64_t)min_delta;
    for (size_t i = count; i < BLOCK; i++)
        deltas[i] = 0;
    mor_buffer_reserve(out, MINIS + BLOCK * 8 + 8);
    uint8_t *widths = out->data + out->size_bytes, *at = widths + MINIS;
    for (size_t mini = 0; mini < MINIS; mini++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < MINI; i++)
            bits |= deltas[mini * MINI + i];
        widths[mini] = (uint8_t)mor_pq_bit_width(bits);
        at = pack_miniblock(at, deltas + mini * MINI, widths[mini]);
    }
    out->size_bytes = (size_t)(at - out->data);
}

static void write_head(struct mor_buffer *out, size_t count, int64_t first)
{
    mor_pq_append_varint(out, BLOCK);
    mor_pq_append_varint(out, MINIS);
    mor_pq_append_varint(out, count);
    append_zigzag(out, first);
}

void mor_pq_delta_write64(struct mor_buffer *out, const int64_t *values, size_t count)
{
    uint64_t deltas[BLOCK];
    write_head(out, count, count ? values[0] : 0);
    for (size_t from = 1; from < count; from += BLOCK) {
        size_t part = count - from < BLOCK ? count - from : BLOCK;
        int64_t min = INT64_MAX;
        for (size_t i = 0; i < part; i++) {
            int64_t delta = (int64_t)((uint64_t)values[from + i] - (uint64_t)values[from + i - 1]);
            deltas[i] = (uint64_t)delta;
            min = delta < min ? delta : min;
        }
        write_block(out, deltas, part, min);
    }
}

void mor_pq_delta_write32(struct mor_buffer *out, const int32_t *values, size_t count)
{
    uint64_t deltas[BLOCK];
    write_head(out, count, count ? values[0] : 0);
    for (size_t from = 1; from < count; from += BLOCK) {
        size_t part = count - from < BLOCK ? count - from : BLOCK;
        int32_t min = INT32_MAX;
        for (size_t i = 0; i < part; i++) {
            int32_t delta = (int32_t)((uint32_t)values[from + i] - (uint32_t)values[from + i - 1]);
            deltas[i] = (uint64_t)(int64_t)delta;
            min = delta < min ? delta : min;
        }
        // Sign-extended deltas differ from the least one by less than 2^32, as readers expect.
        write_block(out, deltas, part, min);
    }
}

// ---- reading ------------------------------------------------------------------------------------

static bool take_varint(struct mor_pq_delta *delta, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && delta->at < delta->end; shift += 7) {
        uint8_t byte = *delta->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool take_zigzag(struct mor_pq_delta *delta, uint64_t *ret_value)
{
    uint64_t value;
    if (!take_varint(delta, &value))
        return false;
    *ret_value = (value >> 1) ^ (0 - (value & 1));
    return true;
}

bool mor_pq_delta_init(struct mor_pq_delta *delta, const void *bytes, size_t size_bytes)
{
    *delta = (struct mor_pq_delta){.at = bytes, .end = (const uint8_t *)bytes + size_bytes};
    uint64_t block, minis;
    if (!take_varint(delta, &block) || !take_varint(delta, &minis) ||
        !take_varint(delta, &delta->total) || !take_zigzag(delta, &delta->last))
        return false;
    if (block == 0 || block > BLOCK_MAX || minis == 0 || minis > block || block % minis != 0 ||
        block / minis % 8 != 0)
        return false;
    delta->miniblock_values = (uint32_t)(block / minis);
    delta->miniblock_count = delta->miniblock = (uint32_t)minis;
    delta->left = delta->total;
    delta->first_pending = delta->total > 0;
    return true;
}

// Makes the next miniblock current, reading a block head when the block is used up.
static bool next_miniblock(struct mor_pq_delta *delta)
{
    if (delta->miniblock == delta->miniblock_count) {
        if (!take_zigzag(delta, &delta->min_delta) ||
            (size_t)(delta->end - delta->at) < delta->miniblock_count)
            return false;
        delta->widths = delta->at;
        delta->at += delta->miniblock_count;
        delta->miniblock = 0;
    }
    uint32_t width = delta->widths[delta->miniblock];
    if (width > 64)
        return false;
    size_t bytes = (size_t)delta->miniblock_values / 8 * width,
           left = (size_t)(delta->end - delta->at);
    delta->miniblock_left = delta->miniblock_values;
    if (bytes > left) {
        // The last miniblock of some writers is not padded.
        uint64_t needed =
            delta->left < delta->miniblock_values ? delta->left : delta->miniblock_values;
        if (needed * width > (uint64_t)left * 8)
            return false;
        delta->miniblock_left = (uint32_t)needed;
        bytes = left;
    }
    delta->packed = delta->at;
    delta->packed_bit = 0;
    delta->at += bytes;
    delta->miniblock++;
    return true;
}

static uint64_t load64(const uint8_t *bytes, const uint8_t *end)
{
    uint64_t word = 0;
    size_t left = (size_t)(end - bytes);
    memcpy(&word, bytes, left < 8 ? left : 8);
    return word;
}

// Unpacks from the current miniblock, whose bytes end at delta->at.
static void unpack(struct mor_pq_delta *delta, uint64_t *ret_values, size_t count)
{
    uint32_t width = delta->widths[delta->miniblock - 1];
    uint64_t bit = delta->packed_bit;
    const uint8_t *packed = delta->packed, *end = delta->end;
    if (width == 0) {
        memset(ret_values, 0, count * sizeof *ret_values);
        return;
    }
    uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    delta->packed_bit += count * width;
    if (width <= 56) {
        size_t i = 0;
        for (; i < count && (size_t)(end - packed) >= (bit >> 3) + 8; i++, bit += width) {
            uint64_t word;
            memcpy(&word, packed + (bit >> 3), 8);
            ret_values[i] = word >> (bit & 7) & mask;
        }
        for (; i < count; i++, bit += width)
            ret_values[i] = load64(packed + (bit >> 3), end) >> (bit & 7) & mask;
        return;
    }
    for (size_t i = 0; i < count; i++, bit += width) {
        const uint8_t *at = packed + (bit >> 3);
        uint32_t shift = bit & 7;
        uint64_t value = load64(at, end) >> shift;
        if (shift + width > 64)
            value |= (uint64_t)at[8] << (64 - shift);
        ret_values[i] = value & mask;
    }
}

// Up to 32 values of the current miniblock as running sums; returns how many, 0 on malformed data.
static size_t take_some(struct mor_pq_delta *delta, uint64_t *ret_values, size_t count)
{
    if (delta->miniblock_left == 0 && !next_miniblock(delta))
        return 0;
    size_t take = count < 32 ? count : 32;
    take = take < delta->miniblock_left ? take : delta->miniblock_left;
    unpack(delta, ret_values, take);
    uint64_t sum = delta->last, min_delta = delta->min_delta;
    for (size_t i = 0; i < take; i++) {
        sum += ret_values[i] + min_delta;
        ret_values[i] = sum;
    }
    delta->last = sum;
    delta->miniblock_left -= (uint32_t)take;
    delta->left -= take;
    return take;
}

bool mor_pq_delta_read64(struct mor_pq_delta *delta, int64_t *ret_values, size_t count)
{
    if (count > delta->left)
        return false;
    if (count > 0 && delta->first_pending) {
        *ret_values++ = (int64_t)delta->last;
        delta->first_pending = false;
        delta->left--;
        count--;
    }
    while (count > 0) {
        size_t done = take_some(delta, (uint64_t *)(void *)ret_values, count);
        if (done == 0)
            return false;
        ret_values += done;
        count -= done;
    }
    return true;
}

bool mor_pq_delta_read32(struct mor_pq_delta *delta, int32_t *ret_values, size_t count)
{
    int64_t chunk[64];
    while (count > 0) {
        size_t take = count < 64 ? count : 64;
        if (!mor_pq_delta_read64(delta, chunk, take))
            return false;
        for (size_t i = 0; i < take; i++)
            ret_values[i] = (int32_t)chunk[i];
        ret_values += take;
        count -= take;
    }
    return true;
}

const uint8_t *mor_pq_delta_end(const struct mor_pq_delta *delta)
{
    return delta->at;
}
