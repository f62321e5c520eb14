#include "check.h"
#include "iceberg/iceberg_position_delete.h"
#include "moraine/column.h"
#include "moraine/parquet.h"

#define URI                                                                                        \
    "file:///lake/warehouse/a_namespace/a_table/data/day=2026-01-01/"                              \
    "019a0000-0000-7000-8000-000000000000-00003.parquet"

struct delete_fixture {
    char *root;
    struct mor_store *store;
};

static int setup(void **state)
{
    struct delete_fixture *f = calloc(1, sizeof *f);
    struct mor_error err = MOR_ERROR_INIT;
    f->root = check_folder();
    assert_int_equal(mor_store_open(f->root, true, &f->store, &err), MOR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct delete_fixture *f = *state;
    mor_store_free(f->store);
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f->root);
    free(f);
    return 0;
}

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static void files_hold_the_two_columns_sorted_with_their_ids(void **state)
{
    struct delete_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *set = mor_position_set_new(NULL);
    for (uint64_t i = 0; i < 10000; i++)
        mor_position_set_add(set, i * 7 % 70001);
    struct iceberg_delete_file file;
    struct mor_sink_batch *files = mor_sink_batch_new();
    assert_ok(
        iceberg_delete_file_write(f->store, files, "data/d.parquet", URI, set, NULL, &file, &err));
    assert_ok(mor_sink_batch_publish(files, &err));
    mor_sink_batch_free(files);
    assert_int_equal(file.row_count, mor_position_set_count(set));
    assert_int_equal(file.first, mor_position_set_first(set));
    assert_int_equal(file.last, mor_position_set_last(set));

    struct mor_reader *object;
    struct mor_parquet_reader *parquet;
    assert_ok(mor_store_open_object(f->store, "data/d.parquet", &object, &err));
    assert_int_equal(mor_reader_size_bytes(object), file.size_bytes);
    struct mor_byte_source source = {object, file.size_bytes, read_object};
    assert_ok(mor_parquet_reader_open(&source, NULL, &parquet, &err));
    const struct mor_field *fields = mor_parquet_reader_schema(parquet)->root.children;
    assert_string_equal(fields[0].name, "file_path");
    assert_int_equal(fields[0].field_id, 2147483546);
    assert_int_equal(fields[0].type, MOR_TYPE_STRING);
    assert_false(fields[0].nullable);
    assert_string_equal(fields[1].name, "pos");
    assert_int_equal(fields[1].field_id, 2147483545);
    assert_int_equal(fields[1].type, MOR_TYPE_INT64);
    assert_false(fields[1].nullable);
    struct mor_batch *batch = mor_batch_new(mor_parquet_reader_schema(parquet), NULL);
    int64_t last = -1, rows = 0;
    for (;;) {
        assert_ok(mor_parquet_reader_next(parquet, 1000, batch, NULL, &err));
        if (batch->row_count == 0)
            break;
        for (size_t i = 0; i < batch->row_count; i++, rows++) {
            size_t size;
            const uint8_t *uri = mor_vector_bytes_at(&batch->columns[0], i, &size);
            assert_int_equal(size, strlen(URI));
            assert_memory_equal(uri, URI, size);
            assert_true(mor_vector_i64(&batch->columns[1], i) > last);
            last = mor_vector_i64(&batch->columns[1], i);
            assert_true(mor_position_set_has(set, (uint64_t)last));
        }
    }
    assert_int_equal(rows, file.row_count);
    mor_batch_free(batch);
    mor_parquet_reader_free(parquet);
    mor_reader_free(object);

    struct mor_position_set *read = mor_position_set_new(NULL);
    assert_ok(iceberg_delete_file_read(f->store, "data/d.parquet", URI, NULL, read, &err));
    assert_int_equal(mor_position_set_count(read), rows);
    mor_position_set_subtract(read, set);
    assert_int_equal(mor_position_set_count(read), 0);
    // a file that only begins alike
    assert_ok(iceberg_delete_file_read(f->store, "data/d.parquet", URI "x", NULL, read, &err));
    assert_int_equal(mor_position_set_count(read), 0);
    mor_position_set_free(read);
    mor_position_set_free(set);
}

// ---- files of others ----------------------------------------------------------------------------

static enum mor_status write_sink(void *context, const void *bytes, size_t size_bytes,
                                  struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

struct foreign_row {
    const char *uri; // NULL = null
    int64_t position;
};

static void write_foreign(struct delete_fixture *f, const char *key, bool ids, enum mor_type type,
                          const struct foreign_row *rows, size_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("deletes");
    mor_schema_add(schema, NULL, "file_path", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "pos", type, true);
    mor_schema_add(schema, NULL, "row_note", MOR_TYPE_STRING, true);
    for (size_t i = 0; ids && i < 2; i++)
        schema->root.children[i].field_id = 2147483546 - (int32_t)i;
    struct mor_sink *sink;
    struct mor_parquet_writer *writer;
    assert_ok(mor_store_create(f->store, key, &sink, &err));
    struct mor_byte_sink bytes = {.context = sink, .write = write_sink};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    assert_ok(mor_parquet_writer_open(schema, &bytes, &options, &writer, &err));
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].uri != NULL)
            mor_vector_append_bytes(&batch->columns[0], rows[i].uri, strlen(rows[i].uri));
        else
            mor_vector_append_null(&batch->columns[0]);
        mor_vector_append_fixed(&batch->columns[1], &rows[i].position);
        mor_vector_append_null(&batch->columns[2]);
    }
    batch->row_count = count;
    assert_ok(mor_parquet_writer_append(writer, batch, 0, count, &err));
    assert_ok(mor_parquet_writer_finish(writer, &err));
    assert_ok(mor_sink_finish(sink, &err));
    mor_batch_free(batch);
    mor_parquet_writer_free(writer);
    mor_sink_free(sink);
    mor_schema_free(schema);
}

static enum mor_status count_rows(void *context, const char *uri, size_t uri_size_bytes,
                                  int64_t position, struct mor_error *err)
{
    (void)err;
    int64_t *sums = context;
    sums[0]++;
    sums[1] += position;
    sums[2] += (int64_t)uri_size_bytes + uri[0];
    return MOR_OK;
}

static void files_of_several_data_files_are_read(void **state)
{
    struct delete_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    const struct foreign_row rows[] = {
        {"file:/a", 1}, {"file:/a", 5}, {URI, 0}, {URI, 4000000000}, {"file:/z", 3}};
    for (int ids = 0; ids < 2; ids++) {
        const char *key = ids != 0 ? "ids.parquet" : "names.parquet";
        write_foreign(f, key, ids != 0, MOR_TYPE_INT64, rows, 5);
        struct mor_position_set *set = mor_position_set_new(NULL);
        assert_ok(iceberg_delete_file_read(f->store, key, URI, NULL, set, &err));
        assert_int_equal(mor_position_set_count(set), 2);
        assert_int_equal(mor_position_set_last(set), 4000000000);
        assert_ok(iceberg_delete_file_read(f->store, key, "file:/a", NULL, set, &err));
        assert_int_equal(mor_position_set_count(set), 4);
        int64_t sums[3] = {0};
        assert_ok(iceberg_delete_file_visit(f->store, key, NULL, count_rows, sums, &err));
        assert_int_equal(sums[0], 5);
        assert_int_equal(sums[1], 4000000009);
        mor_position_set_free(set);
    }
}

static void other_files_are_refused_with_words(void **state)
{
    struct delete_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *set = mor_position_set_new(NULL);
    assert_fails(iceberg_delete_file_read(f->store, "none.parquet", URI, NULL, set, &err),
                 MOR_NOT_FOUND, "none.parquet");
    assert_ok(mor_store_put_new(f->store, "text.parquet", "PAR1 and so on", 14, &err));
    assert_fails(iceberg_delete_file_read(f->store, "text.parquet", URI, NULL, set, &err), MOR_DATA,
                 "text.parquet");
    write_foreign(f, "type.parquet", true, MOR_TYPE_DOUBLE, &(struct foreign_row){URI, 1}, 1);
    assert_fails(iceberg_delete_file_read(f->store, "type.parquet", URI, NULL, set, &err), MOR_DATA,
                 "no column 'pos' of type long");
    write_foreign(f, "below.parquet", true, MOR_TYPE_INT64, &(struct foreign_row){URI, -1}, 1);
    assert_fails(iceberg_delete_file_read(f->store, "below.parquet", URI, NULL, set, &err),
                 MOR_DATA, "position -1");
    write_foreign(f, "above.parquet", true, MOR_TYPE_INT64, &(struct foreign_row){URI, INT64_MAX},
                  1);
    assert_fails(iceberg_delete_file_read(f->store, "above.parquet", URI, NULL, set, &err),
                 MOR_DATA, "position 9223372036854775807");
    int64_t sums[3] = {0};
    write_foreign(f, "null.parquet", true, MOR_TYPE_INT64, &(struct foreign_row){NULL, 1}, 1);
    assert_fails(iceberg_delete_file_visit(f->store, "null.parquet", NULL, count_rows, sums, &err),
                 MOR_DATA, "without file_path");
    assert_int_equal(mor_position_set_count(set), 0);
    mor_position_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_hold_the_two_columns_sorted_with_their_ids, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_of_several_data_files_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(other_files_are_refused_with_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
