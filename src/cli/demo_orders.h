// Generated orders for the demo: inserts, updates, deletes, duplicates, late and broken records,
// and a model of the table they must lead to.
#ifndef MORAINE_CLI_DEMO_ORDERS_H
#define MORAINE_CLI_DEMO_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"

#define DEMO_PARTITIONS 4

struct demo_record {
    int32_t partition;
    char key[24];
    size_t key_size;
    bool tombstone;
    struct mor_buffer value; // reused from record to record
    int64_t timestamp_ms;
};

struct demo_counts {
    int64_t inserts, updates, deletes, duplicates, late, broken;
};

struct demo_orders;
struct demo_orders *demo_orders_new(uint64_t seed, int64_t now_ms);
void demo_orders_free(struct demo_orders *orders);
// The next record of the stream, sent at now_ms (wall clock).
void demo_orders_next(struct demo_orders *orders, int64_t now_ms, struct demo_record *record);
struct demo_counts demo_orders_counts(const struct demo_orders *orders);
// What the table must hold in the end: living orders and the sum of their amounts.
void demo_orders_expect(const struct demo_orders *orders, int64_t *ret_count, int64_t *ret_cents);

#endif
