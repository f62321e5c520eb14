// A scan goes through the slices one after the other: base rows that stand, then rows of logs.
#include <string.h>

#include "delta_index.h"
#include "moraine/merge.h"
#include "moraine/parquet.h"
#include "moraine/storage.h"

#define BATCH_ROWS_MAX 4096

struct mor_scan {
    struct mor_table *table; // borrowed
    struct mor_budget *budget;
    struct mor_merge_rule rule;
    struct mor_schema *schema; // what the caller gets
    struct mor_schema *merged; // the same, then key and ordering column where they are missing
    int32_t key_column, ordering_column;
    struct mor_arena arena;
    struct mor_slice *slices;
    size_t slice_count, next_slice;

    // the slice at hand
    struct mor_reader *object;
    struct mor_parquet_reader *base;
    struct mor_delta_index *deltas; // NULL: the base is the whole slice
    struct mor_batch *base_batch;   // of the merged schema
    uint32_t kept[BATCH_ROWS_MAX];
};

// ---- open ---------------------------------------------------------------------------------------

static enum mor_status add_column(struct mor_schema *schema, const struct mor_table *table,
                                  const char *name, struct mor_error *err)
{
    const struct mor_field *field = mor_table_column(table, name);
    if (!field)
        return mor_error_set(err, MOR_DATA, "table '%s' has no column '%s'", mor_table_name(table),
                             name);
    if (mor_schema_find(schema, name) >= 0)
        return mor_error_set(err, MOR_DATA, "column '%s' is asked for twice", name);
    mor_schema_add_copy(schema, NULL, field);
    return MOR_OK;
}

static enum mor_status build_schemas(struct mor_scan *scan, const struct mor_scan_options *options,
                                     struct mor_error *err)
{
    const struct mor_schema *all = mor_table_schema(scan->table);
    scan->schema = mor_schema_new("rows");
    if (options->column_count == 0) {
        for (size_t i = 0; i < all->root.child_count; i++)
            mor_schema_add_copy(scan->schema, NULL, &all->root.children[i]);
    }
    for (size_t i = 0; i < options->column_count; i++)
        MOR_TRY(add_column(scan->schema, scan->table, options->columns[i], err));
    scan->merged = mor_schema_copy(scan->schema);
    const char *key = scan->rule.key_column, *ordering = scan->rule.ordering_column;
    if (key && mor_schema_find(scan->merged, key) < 0)
        MOR_TRY(add_column(scan->merged, scan->table, key, err));
    if (ordering && mor_schema_find(scan->merged, ordering) < 0)
        MOR_TRY(add_column(scan->merged, scan->table, ordering, err));
    scan->key_column = key ? mor_schema_find(scan->merged, key) : -1;
    scan->ordering_column = ordering ? mor_schema_find(scan->merged, ordering) : -1;
    return MOR_OK;
}

enum mor_status mor_scan_open(struct mor_table *table, const struct mor_scan_options *options,
                              struct mor_scan **ret_scan, struct mor_error *err)
{
    struct mor_scan *scan = mor_calloc(1, sizeof *scan);
    scan->table = table;
    scan->budget = options->budget;
    mor_arena_init(&scan->arena, 0, options->budget);
    mor_table_merge_rule(table, &scan->rule);
    enum mor_status status = build_schemas(scan, options, err);
    if (status == MOR_OK)
        status = mor_table_slices(table, options->version, &scan->arena, &scan->slices,
                                  &scan->slice_count, err);
    if (status != MOR_OK) {
        mor_scan_free(scan);
        return status;
    }
    *ret_scan = scan;
    return MOR_OK;
}

const struct mor_schema *mor_scan_schema(const struct mor_scan *scan)
{
    return scan->schema;
}

static void close_base(struct mor_scan *scan)
{
    mor_parquet_reader_free(scan->base);
    mor_reader_free(scan->object);
    scan->base = NULL;
    scan->object = NULL;
}

void mor_scan_free(struct mor_scan *scan)
{
    if (!scan)
        return;
    close_base(scan);
    mor_delta_index_free(scan->deltas);
    mor_batch_free(scan->base_batch);
    mor_schema_free(scan->schema);
    mor_schema_free(scan->merged);
    mor_arena_done(&scan->arena);
    free(scan);
}

// ---- slices -------------------------------------------------------------------------------------

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static enum mor_status open_base(struct mor_scan *scan, const char *key,
                                 const struct mor_schema *wanted, struct mor_error *err)
{
    MOR_TRY(mor_store_open_object(mor_table_store(scan->table), key, &scan->object, err));
    struct mor_byte_source source = {.context = scan->object,
                                     .size_bytes = mor_reader_size_bytes(scan->object),
                                     .read = read_object};
    MOR_TRY(mor_parquet_reader_open(&source, scan->budget, &scan->base, err));
    return mor_parquet_reader_project(scan->base, wanted, err);
}

static enum mor_status open_slice(struct mor_scan *scan, const struct mor_slice *slice,
                                  struct mor_error *err)
{
    bool merge = slice->delta_count > 0;
    if (merge && scan->key_column < 0)
        return mor_error_set(err, MOR_FATAL, "the table has deltas and no key to merge them by");
    if (merge) {
        MOR_TRY(mor_delta_index_build(scan->table, slice, scan->merged, scan->key_column,
                                      scan->ordering_column, scan->budget, &scan->deltas, err));
        if (!scan->base_batch)
            scan->base_batch = mor_batch_new(scan->merged, scan->budget);
    }
    if (slice->base_key) {
        enum mor_status status =
            open_base(scan, slice->base_key, merge ? scan->merged : scan->schema, err);
        if (status != MOR_OK)
            return mor_error_wrap(err, "could not read '%s'", slice->base_key);
    } else if (merge) {
        mor_delta_index_finish(scan->deltas);
    }
    return MOR_OK;
}

// Rows of the base that stand, of one batch of the file.
static enum mor_status next_merged(struct mor_scan *scan, struct mor_batch *batch,
                                   struct mor_error *err)
{
    MOR_TRY(mor_parquet_reader_next(scan->base, BATCH_ROWS_MAX, scan->base_batch, NULL, err));
    if (scan->base_batch->row_count == 0) {
        close_base(scan);
        mor_delta_index_finish(scan->deltas);
        return MOR_OK;
    }
    size_t kept_count = 0;
    mor_delta_index_judge(scan->deltas, scan->base_batch, scan->kept, &kept_count);
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_append_slots(&batch->columns[i], &scan->base_batch->columns[i], scan->kept,
                                kept_count);
    batch->row_count += kept_count;
    return MOR_OK;
}

// One step of the slice at hand; the batch may stay empty.
static enum mor_status step(struct mor_scan *scan, struct mor_batch *batch, struct mor_error *err)
{
    if (scan->deltas && mor_delta_index_take_winners(scan->deltas, batch, BATCH_ROWS_MAX))
        return MOR_OK;
    enum mor_status status = MOR_OK;
    if (scan->base && scan->deltas) {
        status = next_merged(scan, batch, err);
    } else if (scan->base) {
        status = mor_parquet_reader_next(scan->base, BATCH_ROWS_MAX, batch, NULL, err);
        if (status == MOR_OK && batch->row_count == 0)
            close_base(scan);
    } else {
        mor_delta_index_free(scan->deltas);
        scan->deltas = NULL;
    }
    if (status != MOR_OK)
        return mor_error_wrap(err, "could not read '%s'",
                              scan->slices[scan->next_slice - 1].base_key);
    return MOR_OK;
}

enum mor_status mor_scan_next(struct mor_scan *scan, struct mor_batch *batch, struct mor_error *err)
{
    mor_batch_reset(batch);
    while (batch->row_count == 0) {
        if (!scan->base && !scan->deltas) {
            if (scan->next_slice == scan->slice_count)
                return MOR_OK;
            MOR_TRY(open_slice(scan, &scan->slices[scan->next_slice++], err));
            continue;
        }
        MOR_TRY(step(scan, batch, err));
    }
    return MOR_OK;
}
