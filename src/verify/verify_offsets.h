// A set of Kafka coordinates: one bit per offset, in pieces that come into being when touched.
#ifndef MORAINE_VERIFY_OFFSETS_H
#define MORAINE_VERIFY_OFFSETS_H

#include "moraine/base/map.h"
#include "moraine/base/memory.h"

#define VERIFY_PIECE_OFFSETS ((int64_t)1 << 20) // 128 KiB
#define VERIFY_PIECES_MAX    ((size_t)16384)    // 2 GiB: 17 billion offsets

// Zero-initialised is a valid empty set.
struct mor_verify_offsets {
    struct mor_map pieces; // partition and offset / VERIFY_PIECE_OFFSETS -> bits
    uint8_t *last;         // piece that was used last
    int64_t last_number;
    int32_t last_partition;
    struct mor_budget *budget; // borrowed, may be NULL
};

void mor_verify_offsets_done(struct mor_verify_offsets *set);
// Adds (partition, offset); *ret_new tells whether it was not there. False: the set is full.
bool mor_verify_offsets_add(struct mor_verify_offsets *set, int32_t partition, int64_t offset,
                            bool *ret_new);

#endif
