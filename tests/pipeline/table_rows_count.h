// How many rows a table has, by our own scan.
#ifndef TABLE_ROWS_COUNT_H
#define TABLE_ROWS_COUNT_H

#include "check.h"
#include "moraine/merge.h"

static inline int64_t count_rows(const char *location)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_scan_options options = {0};
    struct mor_table *table;
    struct mor_scan *running;
    assert_ok(mor_table_open_read(location, NULL, &table, &err));
    assert_ok(mor_scan_open(table, &options, &running, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(running), NULL);
    int64_t count = 0;
    do {
        assert_ok(mor_scan_next(running, batch, &err));
        count += (int64_t)batch->row_count;
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(running);
    mor_table_free(table);
    return count;
}

#endif
