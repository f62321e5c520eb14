// The newest version of every key that the logs of one slice speak of: places, not rows.
//
// An index covers a range of key hashes. When it would take more than its limit, the range shrinks
// and the rest of the keys is left to another index.
#ifndef MORAINE_MERGE_DELTA_INDEX_H
#define MORAINE_MERGE_DELTA_INDEX_H

#include "moraine/table.h"

struct mor_delta_index;

// Reads all changes of the slice for keys whose hash is at least `from`. `keys` has the key at
// column 0 and, when there is one, the ordering at column 1; borrowed for the index's life.
enum mor_status mor_delta_index_build(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_schema *keys, uint64_t from,
                                      size_t bytes_max, struct mor_budget *budget,
                                      struct mor_delta_index **ret_index,
                                      struct mor_error *err) MOR_CHECKED;
void mor_delta_index_free(struct mor_delta_index *index); // NULL allowed
// Greatest hash that the index covers; UINT64_MAX: nothing is left to another one.
uint64_t mor_delta_index_last(const struct mor_delta_index *index);

// Judges rows [0, row_count) of base rows by their keys and orderings (NULL = none): kept[] gets
// the indices of those that stand and that the index covers, *ret_kept_count of them.
void mor_delta_index_judge(struct mor_delta_index *index, const struct mor_vector *keys,
                           const struct mor_vector *ordering, uint32_t *kept,
                           size_t *ret_kept_count);

// After the last base row: which of the slice's changed rows stand, as mor_delta_select takes it.
// *ret_winner_count: how many; lives as long as the index.
const uint8_t *mor_delta_index_winners(struct mor_delta_index *index, uint64_t *ret_row_count,
                                       uint64_t *ret_winner_count);

// Facts of the slice for statistics.
struct mor_delta_counts {
    uint64_t rows, deletes; // as the logs hold them
    uint64_t keys;          // that the index covers
};
struct mor_delta_counts mor_delta_index_counts(const struct mor_delta_index *index);

#endif
