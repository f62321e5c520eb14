// Rewrites of whole tables, as maintenance does them.
#ifndef ICEBERG_REWRITING_H
#define ICEBERG_REWRITING_H

#include "iceberg_test.h"

static inline struct mor_table *open_rewrite(struct iceberg_fixture *fixture)
{
    struct mor_table *table = NULL;
    if (mor_table_open_rewrite(fixture->base.location, "upkeep", NULL, &table,
                               &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    return table;
}

// Copies the rows of a slice that stand into the file, as maintenance does.
static inline void copy_rows(struct iceberg_fixture *fixture, struct mor_table *table,
                             struct mor_rewrite *rewrite, const struct mor_slice *slice,
                             struct mor_rewrite_file *file)
{
    struct mor_error *err = &fixture->base.err;
    const struct mor_schema *schema = mor_rewrite_schema(rewrite);
    struct mor_position_set *removed = NULL;
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    int64_t first;
    assert_int_equal(mor_table_removed_rows(table, slice, NULL, &removed, err), MOR_OK);
    assert_int_equal(mor_store_open_object(mor_table_store(table), slice->base_key, &object, err),
                     MOR_OK);
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = table_read_object};
    assert_int_equal(mor_parquet_reader_open(&source, NULL, &reader, err), MOR_OK);
    struct mor_schema *read = mor_schema_copy(schema);
    int32_t place = mor_schema_find(read, MOR_COLUMN_PLACE);
    read->root.children[place].nullable = true; // no file has it
    assert_int_equal(mor_parquet_reader_project(reader, read, err), MOR_OK);
    struct mor_batch *all = mor_batch_new(read, NULL), *kept = mor_batch_new(schema, NULL);
    do {
        assert_int_equal(mor_parquet_reader_next(reader, 1000, all, &first, err), MOR_OK);
        mor_batch_reset(kept);
        for (uint32_t i = 0; i < all->row_count; i++) {
            int64_t position = first + i;
            int64_t value = (int64_t)((uint64_t)slice->number << 32) | position;
            if (removed && mor_position_set_has(removed, (uint64_t)position))
                continue;
            for (size_t c = 0; c < kept->column_count; c++) {
                int64_t id = slice->base_row_id + position;
                bool is_id = strcmp(schema->root.children[c].name, MOR_COLUMN_ROW_ID) == 0;
                if ((int32_t)c == place)
                    mor_vector_append_fixed(&kept->columns[c], &value);
                else if (is_id && mor_vector_is_null(&all->columns[c], i))
                    mor_vector_append_fixed(&kept->columns[c], &id);
                else
                    mor_vector_append_slot(&kept->columns[c], &all->columns[c], i);
            }
            kept->row_count++;
        }
        if (kept->row_count > 0)
            assert_int_equal(mor_rewrite_file_append(file, kept, err), MOR_OK);
    } while (all->row_count > 0);
    mor_batch_free(all);
    mor_batch_free(kept);
    mor_parquet_reader_free(reader);
    mor_schema_free(read);
    mor_reader_free(object);
    mor_position_set_free(removed);
}

// Makes one file of each partition's slices.
static inline void rewrite_all(struct iceberg_fixture *fixture, struct mor_table *table,
                               struct mor_rewrite *rewrite)
{
    const struct mor_slice *slices;
    size_t count;
    struct mor_error *err = &fixture->base.err;
    const struct mor_rewrite_counts counts = {0};
    mor_rewrite_slices(rewrite, &slices, &count);
    MOR_AUTO_FREE bool *done = mor_calloc(count + 1, sizeof *done);
    for (size_t i = 0; i < count; i++) {
        const struct mor_slice *some[64];
        size_t some_count = 0;
        for (size_t k = i; k < count && !done[i]; k++) {
            if (strcmp(slices[k].partition, slices[i].partition) == 0)
                some[some_count++] = &slices[k];
        }
        if (some_count == 0)
            continue;
        for (size_t k = 0; k < some_count; k++)
            done[some[k] - slices] = true;
        struct mor_rewrite_file *file = NULL;
        if (mor_rewrite_file_open(rewrite, some, some_count, 0, &file, err) != MOR_OK)
            fail_msg("%s", err->message);
        for (size_t k = 0; k < some_count; k++)
            copy_rows(fixture, table, rewrite, some[k], file);
        if (mor_rewrite_file_finish(file, &counts, err) != MOR_OK)
            fail_msg("%s", err->message);
    }
}

static inline struct mor_rewrite *begin(struct iceberg_fixture *fixture, struct mor_table *table)
{
    struct mor_rewrite *rewrite = NULL;
    if (mor_rewrite_begin(table, MOR_REWRITE_CLUSTER, &rewrite, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    return rewrite;
}

#endif
