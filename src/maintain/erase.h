// Deleting rows, private to its files.
#ifndef MORAINE_MAINTAIN_ERASE_H
#define MORAINE_MAINTAIN_ERASE_H

#include "moraine/base/map.h"
#include "moraine/maintain.h"
#include "moraine/merge.h"

struct erasing {
    struct mor_table *table;
    const struct mor_erase_options *options;
    struct mor_map keys;    // record keys that are asked for
    const char *key_column; // NULL: tables with places, whose key columns make up the record key
    struct mor_batch *rows; // of the table's schema, to be deleted with the next commit
    struct mor_buffer key;
    struct mor_erase_report report;
    uint32_t chosen[MOR_FILTER_ROWS_MAX];
};

// Rows of the batch that are asked for, in erasing->chosen. A batch for keys has the key column, or
// the key columns.
size_t mor_erase_choose(struct erasing *erasing, const struct mor_batch *batch);
// The columns that choosing needs; the caller frees.
struct mor_schema *mor_erase_columns(const struct erasing *erasing);

// ---- erase_places.c -----------------------------------------------------------------------------

enum mor_status mor_erase_places(struct erasing *erasing, struct mor_error *err) MOR_CHECKED;

#endif
