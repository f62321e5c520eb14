// Rows gathered up to a limit of memory and given out sorted: a file written from it is sorted
// within each of its row groups.
#ifndef MORAINE_MAINTAIN_ROW_SORTER_H
#define MORAINE_MAINTAIN_ROW_SORTER_H

#include "moraine/maintain.h"

struct row_sorter {
    const struct mor_schema *schema; // borrowed
    struct mor_batch *rows;
    struct mor_batch *out;
    int32_t *columns; // to sort by
    size_t column_count;
    enum mor_cluster_order order;
    size_t bytes_max;
};

// DATA when the schema lacks one of the columns, or one cannot be compared.
enum mor_status row_sorter_init(struct row_sorter *sorter, const struct mor_schema *schema,
                                const char *const *columns, size_t column_count,
                                enum mor_cluster_order order, size_t bytes_max,
                                struct mor_budget *budget, struct mor_error *err) MOR_CHECKED;
void row_sorter_done(struct row_sorter *sorter);
// Takes the rows in; gives everything out first when they would be too many.
enum mor_status row_sorter_add(struct row_sorter *sorter, const struct mor_batch *batch,
                               struct mor_rewrite_file *file, struct mor_error *err) MOR_CHECKED;
// Appends what is left to the file, in order.
enum mor_status row_sorter_flush(struct row_sorter *sorter, struct mor_rewrite_file *file,
                                 struct mor_error *err) MOR_CHECKED;

#endif
