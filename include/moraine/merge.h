// Merge on read: the rows of a table as its readers see them.
#ifndef MORAINE_MERGE_H
#define MORAINE_MERGE_H

#include "moraine/table.h"

struct mor_scan_options {
    const char *const *columns; // projection, none = all
    size_t column_count;
    const char *version; // NULL = newest
    struct mor_budget *budget;
};

// A running scan; one thread.
struct mor_scan;
enum mor_status mor_scan_open(struct mor_table *table, const struct mor_scan_options *options,
                              struct mor_scan **ret_scan, struct mor_error *err) MOR_CHECKED;
const struct mor_schema *mor_scan_schema(const struct mor_scan *scan);
// Replaces the rows of `batch` (made with mor_scan_schema); row_count 0 = end.
enum mor_status mor_scan_next(struct mor_scan *scan, struct mor_batch *batch,
                              struct mor_error *err) MOR_CHECKED;
void mor_scan_free(struct mor_scan *scan);

#endif
