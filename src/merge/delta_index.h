// The newest version of every key that the logs of one slice speak of.
#ifndef MORAINE_MERGE_DELTA_INDEX_H
#define MORAINE_MERGE_DELTA_INDEX_H

#include "moraine/table.h"

struct mor_delta_index;

// Reads all changes of the slice. `wanted` are the columns of rows, with the key at key_column and
// the ordering at ordering_column (-1 = the later version wins always); borrowed for the index's
// life.
enum mor_status mor_delta_index_build(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_schema *wanted, int32_t key_column,
                                      int32_t ordering_column, struct mor_budget *budget,
                                      struct mor_delta_index **ret_index,
                                      struct mor_error *err) MOR_CHECKED;
void mor_delta_index_free(struct mor_delta_index *index); // NULL allowed

// Judges rows [0, row_count) of a base batch: kept[] gets the indices of the rows that stand,
// *ret_kept_count of them. Rows of logs that replace base rows are remembered for take_winners.
void mor_delta_index_judge(struct mor_delta_index *index, const struct mor_batch *base,
                           uint32_t *kept, size_t *ret_kept_count);
// After the last base batch: the rows of keys that the base did not have become winners.
void mor_delta_index_finish(struct mor_delta_index *index);
// Appends at most row_count_max winners to `batch`, whose columns are the first ones of `wanted`.
// False when there are none left.
bool mor_delta_index_take_winners(struct mor_delta_index *index, struct mor_batch *batch,
                                  size_t row_count_max);

#endif
