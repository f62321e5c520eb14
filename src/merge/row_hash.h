// Hashes of rows by their values.
#ifndef MORAINE_MERGE_ROW_HASH_H
#define MORAINE_MERGE_ROW_HASH_H

#include "moraine/base/hash.h"
#include "moraine/column.h"

// Of the values that a row has in `count` columns of the batch, nested ones included: equal for
// equal values, null equal to null. `scratch` is overwritten.
struct mor_hash128 row_hash(const struct mor_batch *batch, const int32_t *columns, size_t count,
                            size_t row, struct mor_buffer *scratch);

#endif
