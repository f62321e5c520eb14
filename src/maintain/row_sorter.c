#include "row_sorter.h"

#include <string.h>

#include "moraine/merge.h"

#define OUT_ROWS_MAX  4096
#define SORT_ROWS_MAX (1u << 20)
#define Z_COLUMNS_MAX 8
#define Z_BITS        16 // of each column's rank

enum mor_status row_sorter_init(struct row_sorter *sorter, const struct mor_schema *schema,
                                const char *const *columns, size_t column_count,
                                enum mor_cluster_order order, size_t bytes_max,
                                struct mor_budget *budget, struct mor_error *err)
{
    *sorter = (struct row_sorter){.schema = schema, .order = order, .bytes_max = bytes_max};
    if (order == MOR_CLUSTER_BY_Z_ORDER && column_count > Z_COLUMNS_MAX)
        return mor_error_set(err, MOR_DATA, "rows can be clustered by at most %d columns",
                             Z_COLUMNS_MAX);
    sorter->columns = mor_calloc(column_count + 1, sizeof *sorter->columns);
    sorter->column_count = column_count;
    for (size_t i = 0; i < column_count; i++) {
        sorter->columns[i] = mor_schema_find(schema, columns[i]);
        if (sorter->columns[i] < 0 || schema->root.children[sorter->columns[i]].child_count > 0) {
            free(sorter->columns);
            sorter->columns = NULL;
            return mor_error_set(err, MOR_DATA, "rows cannot be clustered by column '%s'",
                                 columns[i]);
        }
    }
    sorter->rows = mor_batch_new(schema, budget);
    sorter->out = mor_batch_new(schema, budget);
    return MOR_OK;
}

void row_sorter_done(struct row_sorter *sorter)
{
    mor_batch_free(sorter->rows);
    mor_batch_free(sorter->out);
    free(sorter->columns);
}

enum mor_status row_sorter_add(struct row_sorter *sorter, const struct mor_batch *batch,
                               struct mor_rewrite_file *file, struct mor_error *err)
{
    struct mor_batch *rows = sorter->rows;
    if (rows->row_count + batch->row_count > SORT_ROWS_MAX ||
        mor_batch_bytes(rows) + mor_batch_bytes(batch) > sorter->bytes_max)
        MOR_TRY(row_sorter_flush(sorter, file, err));
    for (size_t i = 0; i < rows->column_count; i++)
        mor_vector_append_range(&rows->columns[i], &batch->columns[i], 0, batch->row_count);
    rows->row_count += batch->row_count;
    return MOR_OK;
}

// ---- order --------------------------------------------------------------------------------------

static int compare_slots(const struct mor_vector *column, uint32_t a, uint32_t b)
{
    bool a_null = mor_vector_is_null(column, a), b_null = mor_vector_is_null(column, b);
    return a_null || b_null ? b_null - a_null : mor_ordering_compare(column, a, column, b);
}

static int compare_values(const void *a, const void *b, void *context)
{
    const struct row_sorter *sorter = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    int order = 0;
    for (size_t i = 0; i < sorter->column_count && order == 0; i++)
        order = compare_slots(&sorter->rows->columns[sorter->columns[i]], left, right);
    return order != 0 ? order : (left > right) - (left < right);
}

static int compare_one(const void *a, const void *b, void *context)
{
    return compare_slots(context, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int compare_z(const void *a, const void *b, void *context)
{
    const unsigned __int128 *z = context;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (z[left] != z[right])
        return z[left] < z[right] ? -1 : 1;
    return (left > right) - (left < right);
}

// Position on the curve: the bits of the rows' ranks in each column, in turn. Ranks and not values,
// so that columns of any type and distribution count alike.
static void sort_by_curve(const struct row_sorter *sorter, uint32_t *order)
{
    size_t count = sorter->rows->row_count;
    unsigned __int128 *z = mor_calloc(count + 1, sizeof *z);
    for (size_t c = 0; c < sorter->column_count; c++) {
        struct mor_vector *column = &sorter->rows->columns[sorter->columns[c]];
        qsort_r(order, count, sizeof *order, compare_one, column);
        uint64_t rank = 0;
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && compare_slots(column, order[i - 1], order[i]) != 0)
                rank = i;
            uint64_t bits = rank * ((1u << Z_BITS) - 1) / (count > 1 ? count - 1 : 1);
            for (int bit = 0; bit < Z_BITS; bit++) {
                size_t place = (size_t)bit * sorter->column_count + sorter->column_count - 1 - c;
                z[order[i]] |= (unsigned __int128)(bits >> bit & 1) << place;
            }
        }
    }
    qsort_r(order, count, sizeof *order, compare_z, z);
    free(z);
}

enum mor_status row_sorter_flush(struct row_sorter *sorter, struct mor_rewrite_file *file,
                                 struct mor_error *err)
{
    size_t count = sorter->rows->row_count;
    uint32_t *order = mor_alloc((count + 1) * sizeof *order);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    if (sorter->order == MOR_CLUSTER_BY_Z_ORDER && sorter->column_count > 1)
        sort_by_curve(sorter, order);
    else if (count > 1)
        qsort_r(order, count, sizeof *order, compare_values, sorter);
    enum mor_status status = MOR_OK;
    for (size_t first = 0; first < count && status == MOR_OK; first += OUT_ROWS_MAX) {
        size_t left = count - first;
        mor_batch_reset(sorter->out);
        mor_batch_append_rows(sorter->out, sorter->rows, order + first,
                              left < OUT_ROWS_MAX ? left : OUT_ROWS_MAX);
        status = mor_rewrite_file_append(file, sorter->out, err);
    }
    free(order);
    mor_batch_reset(sorter->rows);
    return status;
}
