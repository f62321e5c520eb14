// DELTA_BINARY_PACKED: blocks of deltas, bit-packed per miniblock.
//
//   header: <values per block><miniblocks per block><total values> varints, <first value> zigzag
//   block:  <least delta> zigzag, <bit width> byte per miniblock, packed deltas minus the least one
//
// Source: parquet-format Encodings.md, "Delta Encoding (DELTA_BINARY_PACKED = 5)".
#ifndef MOR_PQ_DELTA_H
#define MOR_PQ_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"

// Appends the encoding of `count` values; arithmetic wraps at the width of the type.
void mor_pq_delta_write32(struct mor_buffer *out, const int32_t *values, size_t count);
void mor_pq_delta_write64(struct mor_buffer *out, const int64_t *values, size_t count);

struct mor_pq_delta {
    const uint8_t *at, *end;
    uint32_t miniblock_values; // multiple of 8
    uint32_t miniblock_count;
    uint32_t miniblock;      // current one, miniblock_count = block used up
    uint32_t miniblock_left; // values left in it
    const uint8_t *widths;   // of the current block
    const uint8_t *packed;   // current miniblock
    uint64_t packed_bit;
    uint64_t min_delta;
    uint64_t last;
    uint64_t total, left; // values in all / not yet read
    bool first_pending;
};

// False when the header is malformed. The total is not to be trusted before that many were read.
bool mor_pq_delta_init(struct mor_pq_delta *delta, const void *bytes, size_t size_bytes);
// Read exactly `count` values; false when there are fewer or the data is malformed.
bool mor_pq_delta_read32(struct mor_pq_delta *delta, int32_t *ret_values, size_t count);
bool mor_pq_delta_read64(struct mor_pq_delta *delta, int64_t *ret_values, size_t count);
// Where the encoding ends; valid after all values were read (or `total` is 0).
const uint8_t *mor_pq_delta_end(const struct mor_pq_delta *delta);

#endif
