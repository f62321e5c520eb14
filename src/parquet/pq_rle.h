// RLE / bit-packed hybrid: levels, dictionary indexes, booleans; and the deprecated BIT_PACKED
// levels.
//
// Source: parquet-format Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".
#ifndef MOR_PQ_RLE_H
#define MOR_PQ_RLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"

// Bits that hold values 0..max.
static inline uint32_t mor_pq_bit_width(uint64_t max)
{
    return max == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(max);
}

// ---- reading ------------------------------------------------------------------------------------

// Cursor over encoded values; a run is never expanded beyond what the caller asks for.
struct mor_pq_rle {
    const uint8_t *at, *end;
    uint32_t bit_width; // 0..32
    bool msb_first;     // BIT_PACKED: one endless packed run, most significant bit first
    size_t run_left;    // values left in the current run
    bool run_packed;
    uint32_t run_value; // repeated run
    size_t packed_bit;  // packed run: next bit from packed_at
    const uint8_t *packed_at, *packed_end;
};

void mor_pq_rle_init(struct mor_pq_rle *rle, const void *bytes, size_t size_bytes,
                     uint32_t bit_width);
// The deprecated level encoding: no runs.
void mor_pq_rle_init_bit_packed(struct mor_pq_rle *rle, const void *bytes, size_t size_bytes,
                                uint32_t bit_width);
// Makes the next run current; false at the end of the data or when it is malformed.
bool mor_pq_rle_next_run(struct mor_pq_rle *rle);
// Reads exactly `count` values; false when there are fewer.
bool mor_pq_rle_read32(struct mor_pq_rle *rle, uint32_t *ret_values, size_t count);
bool mor_pq_rle_read8(struct mor_pq_rle *rle, uint8_t *ret_values, size_t count); // bit_width <= 8
bool mor_pq_rle_skip(struct mor_pq_rle *rle, size_t count);

// Unpacks `count` values of `bit_width` bits (LSB first) that begin at bit 0 of `bytes`; reads at
// most up to `end`.
void mor_pq_unpack32(const uint8_t *bytes, const uint8_t *end, uint32_t bit_width,
                     uint32_t *ret_values, size_t count);

// ---- writing ------------------------------------------------------------------------------------

// Appends all values as runs; packed groups are padded with zeroes at the end.
void mor_pq_rle_write32(struct mor_buffer *out, const uint32_t *values, size_t count,
                        uint32_t bit_width);
void mor_pq_rle_write8(struct mor_buffer *out, const uint8_t *values, size_t count,
                       uint32_t bit_width);
// One repeated run.
void mor_pq_rle_write_run(struct mor_buffer *out, uint32_t value, size_t count, uint32_t bit_width);
// Packs `count` values (multiple of 8), LSB first.
void mor_pq_pack32(struct mor_buffer *out, const uint32_t *values, size_t count,
                   uint32_t bit_width);

#endif
