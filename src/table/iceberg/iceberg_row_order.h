// Whether the rows of a data file are in the sort order that its manifest entry states.
#ifndef MORAINE_TABLE_ICEBERG_ROW_ORDER_H
#define MORAINE_TABLE_ICEBERG_ROW_ORDER_H

#include "iceberg/iceberg_metadata.h"

struct iceberg_row_order;
// Of the sort order `order_id` in files with this schema (borrowed); NULL when there is nothing to
// compare: unsorted, not known, or its first field is transformed. Fields behind a transformed one
// are left out.
struct iceberg_row_order *iceberg_row_order_new(const struct iceberg_metadata *metadata,
                                                int32_t order_id, const struct mor_schema *schema);
void iceberg_row_order_free(struct iceberg_row_order *order); // NULL allowed
// The next rows of the file; false when one of them does not follow the one before.
bool iceberg_row_order_add(struct iceberg_row_order *order, const struct mor_batch *batch);

#endif
