// Every version of every row that a table shows, read from its files without merging.
#ifndef TABLE_ROWS_H
#define TABLE_ROWS_H

#include "moraine/parquet.h"
#include "table_test.h"

// One row of the fixture's schema; the id is not terminated.
typedef void table_visit_fn(void *context, const char *id, size_t length, int32_t value,
                            int64_t updated);

static inline void table_visit_batch(const struct mor_batch *batch, table_visit_fn *visit,
                                     void *context)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        size_t length;
        const uint8_t *id = mor_vector_bytes_at(&batch->columns[0], row, &length);
        visit(context, (const char *)id, length, mor_vector_i32(&batch->columns[1], row),
              mor_vector_i64(&batch->columns[3], row));
    }
}

static inline enum mor_status table_read_object(void *context, int64_t offset, void *ret_bytes,
                                                size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static inline void table_visit_base(struct mor_table *table, const char *key, table_visit_fn *visit,
                                    void *context, struct mor_error *err)
{
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    const struct mor_schema *schema = mor_table_schema(table);
    if (mor_store_open_object(mor_table_store(table), key, &object, err) != MOR_OK)
        fail_msg("%s", err->message);
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = table_read_object};
    if (mor_parquet_reader_open(&source, NULL, &reader, err) != MOR_OK ||
        mor_parquet_reader_project(reader, schema, err) != MOR_OK)
        fail_msg("%s: %s", key, err->message);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    do {
        assert_int_equal(mor_parquet_reader_next(reader, 1000, batch, NULL, err), MOR_OK);
        table_visit_batch(batch, visit, context);
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    mor_reader_free(object);
}

static inline void table_visit_deltas(struct mor_table *table, const struct mor_slice *slice,
                                      table_visit_fn *visit, void *context, struct mor_error *err)
{
    struct mor_delta *delta = NULL;
    enum mor_delta_kind kind;
    const struct mor_batch *batch = NULL;
    if (mor_delta_open(table, slice, mor_table_schema(table), &delta, err) != MOR_OK)
        fail_msg("%s", err->message);
    for (;;) {
        if (mor_delta_next(delta, &kind, &batch, err) != MOR_OK)
            fail_msg("%s", err->message);
        if (kind == MOR_DELTA_END)
            break;
        if (kind == MOR_DELTA_ROWS)
            table_visit_batch(batch, visit, context);
    }
    mor_delta_free(delta);
}

static inline void table_visit_rows(struct mor_table *table, table_visit_fn *visit, void *context,
                                    struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices = NULL;
    size_t count = 0;
    if (mor_table_slices(table, NULL, &arena, &slices, &count, err) != MOR_OK)
        fail_msg("%s", err->message);
    for (size_t i = 0; i < count; i++) {
        if (slices[i].base_key)
            table_visit_base(table, slices[i].base_key, visit, context, err);
        if (slices[i].delta_count > 0)
            table_visit_deltas(table, &slices[i], visit, context, err);
    }
    mor_arena_done(&arena);
}

#endif
