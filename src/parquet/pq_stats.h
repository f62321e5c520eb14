// Minimum and maximum of a column, in the order that parquet-format defines for its type.
//
// Floating point (parquet.thrift, ColumnOrder): NaN takes no part, and a page or chunk that holds
// one is written without bounds, as parquet-java does, because Spark counts NaN as the greatest
// number; a minimum of zero is written as -0.0, a maximum of zero as +0.0; on reading, bounds with
// NaN are of no use. Byte arrays compare as unsigned bytes, fixed decimals as signed numbers. Long
// bounds are cut, which their exactness flags say.
#ifndef MOR_PQ_STATS_H
#define MOR_PQ_STATS_H

#include "pq_values.h"

enum mor_pq_order {
    MOR_PQ_ORDER_NONE, // no order is defined (INT96, intervals)
    MOR_PQ_ORDER_BOOLEAN,
    MOR_PQ_ORDER_INT32,
    MOR_PQ_ORDER_UINT32,
    MOR_PQ_ORDER_INT64,
    MOR_PQ_ORDER_UINT64,
    MOR_PQ_ORDER_FLOAT,
    MOR_PQ_ORDER_DOUBLE,
    MOR_PQ_ORDER_FLOAT16,
    MOR_PQ_ORDER_BYTES,       // unsigned, shorter first
    MOR_PQ_ORDER_SIGNED_BYTES // big-endian two's complement, any length
};

enum mor_pq_order mor_pq_order_of(const struct mor_pq_element *element);

// Compares two values in PLAIN form (BYTE_ARRAY: bare bytes): <0, 0, >0. Sizes that do not fit the
// order compare as equal; callers check them with mor_pq_bound_usable first.
int mor_pq_compare(enum mor_pq_order order, const void *a, size_t a_size, const void *b,
                   size_t b_size);
// Does a bound that a file claims have the right size and is it no NaN?
bool mor_pq_bound_usable(enum mor_pq_order order, const struct mor_pq_bytes *bound,
                         int32_t type_length);

// Running bounds. `any` false = no value took part (empty, all null, all NaN).
struct mor_pq_bounds {
    enum mor_pq_order order;
    bool any;
    bool nan; // a NaN was seen
    struct mor_buffer min, max;
};

void mor_pq_bounds_init(struct mor_pq_bounds *bounds, enum mor_pq_order order);
void mor_pq_bounds_done(struct mor_pq_bounds *bounds);
void mor_pq_bounds_reset(struct mor_pq_bounds *bounds);
void mor_pq_bounds_add(struct mor_pq_bounds *bounds, const struct mor_pq_values *values);
// Adds only the values that `used[index]` names (dictionary entries of one page).
void mor_pq_bounds_add_used(struct mor_pq_bounds *bounds, const struct mor_pq_values *values,
                            const uint8_t *used);
void mor_pq_bounds_merge(struct mor_pq_bounds *bounds, const struct mor_pq_bounds *other);

// Copies the bounds into `arena`, cut to at most bytes_max bytes (text at a character boundary; the
// maximum is raised). A maximum that cannot be raised stays whole.
struct mor_pq_cut {
    struct mor_pq_bytes min, max;
    bool min_exact, max_exact;
};
struct mor_pq_cut mor_pq_bounds_cut(const struct mor_pq_bounds *bounds, bool text, size_t bytes_max,
                                    struct mor_arena *arena);

#endif
