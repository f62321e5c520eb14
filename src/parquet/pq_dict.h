// Dictionary of one column chunk while it is written: values to consecutive indexes.
#ifndef MOR_PQ_DICT_H
#define MOR_PQ_DICT_H

#include "pq_values.h"

struct mor_pq_dict_slot {
    uint32_t tag;   // part of the hash; the value itself when it has four bytes
    uint32_t index; // index + 1, 0 = free
};

// First and last eight bytes of a value (they overlap in short ones) and its size: two values of up
// to sixteen bytes are equal when these are.
struct mor_pq_dict_key {
    uint64_t head, tail;
    size_t size_bytes;
};

struct mor_pq_dict {
    struct mor_pq_values values; // distinct ones in order of first appearance
    struct mor_buffer slots;     // mor_pq_dict_slot[slot_count]
    struct mor_buffer keys;      // mor_pq_dict_key[], of byte arrays and odd widths
    size_t slot_count;           // power of two
};

void mor_pq_dict_init(struct mor_pq_dict *dict, int32_t type, int32_t type_length,
                      struct mor_budget *budget);
void mor_pq_dict_done(struct mor_pq_dict *dict);
void mor_pq_dict_reset(struct mor_pq_dict *dict);
// Looks up values [first, first + count), adding new ones while the distinct values take at most
// bytes_max. Returns how many were looked up; fewer than `count` means the limit was reached.
size_t mor_pq_dict_index(struct mor_pq_dict *dict, const struct mor_pq_values *values, size_t first,
                         size_t count, size_t bytes_max, uint32_t *ret_indexes);

#endif
