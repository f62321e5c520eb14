#include <math.h>

#include "parquet_test.h"

static struct mor_parquet_reader *open_file(struct memory_file *file)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_byte_source source = memory_source(file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
    return reader;
}

// ---- projection and evolution -------------------------------------------------------------------

static void columns_are_matched_by_id_whatever_their_name_and_order(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema(), *wanted = mor_schema_new("wanted");
    struct mor_batch *batch = random_batch(schema, 200, 1, 20);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    // grid (last) first, person renamed and cut down to homes.since and a field that is not there.
    const struct mor_field *fields = schema->root.children;
    mor_schema_add_copy(wanted, NULL, &fields[3]);
    struct mor_field *who = mor_schema_add(wanted, NULL, "who", MOR_TYPE_STRUCT, true);
    who->field_id = fields[1].field_id;
    mor_schema_add(wanted, who, "new", MOR_TYPE_STRING, true)->field_id = 900;
    struct mor_field *homes = mor_schema_add(wanted, who, "homes2", MOR_TYPE_LIST, true);
    homes->field_id = fields[1].children[1].field_id;
    struct mor_field *home = mor_schema_add(wanted, homes, "element", MOR_TYPE_STRUCT, true);
    mor_schema_add(wanted, home, "from", MOR_TYPE_DATE, true)->field_id =
        fields[1].children[1].children[0].children[1].field_id;
    mor_schema_add(wanted, NULL, "added", MOR_TYPE_INT64, true)->field_id = 901;

    struct mor_parquet_reader *reader = open_file(&file);
    assert_ok(mor_parquet_reader_project(reader, wanted, &err));
    struct mor_batch *got = mor_batch_new(wanted, NULL);
    assert_ok(mor_parquet_reader_next(reader, 200, got, NULL, &err));
    assert_ok(mor_batch_validate(got, &err));
    assert_int_equal(got->row_count, 200);
    assert_int_equal(got->columns[2].null_count, 200);
    MOR_AUTO_BUFFER a = {0}, b = {0};
    for (size_t row = 0; row < 200; row++) {
        mor_vector_format_json(&batch->columns[3], row, &a);
        mor_vector_format_json(&got->columns[0], row, &b);
    }
    assert_same_text(&a, &b);
    const struct mor_vector *old = &batch->columns[1], *new = &got->columns[1];
    for (size_t row = 0; row < 200; row++) {
        assert_int_equal(mor_vector_is_null(old, row), mor_vector_is_null(new, row));
        assert_true(mor_vector_is_null(&new->children[0], row));
    }
    // since under city-less homes: same dates in the same places
    const struct mor_vector *since = &old->children[1].children[0].children[1],
                            *from = &new->children[1].children[0].children[0];
    assert_int_equal(since->length, from->length);
    for (size_t i = 0; i < since->length; i++) {
        assert_int_equal(mor_vector_is_null(since, i), mor_vector_is_null(from, i));
        if (!mor_vector_is_null(since, i))
            assert_int_equal(mor_vector_i32(since, i), mor_vector_i32(from, i));
    }
    mor_batch_free(got);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    mor_schema_free(wanted);
    memory_done(&file);
}

static void group_none_of_whose_fields_exist_keeps_its_nulls(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema(), *wanted = mor_schema_new("wanted");
    struct mor_batch *batch = random_batch(schema, 300, 2, 40);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    struct mor_field *person = mor_schema_add(wanted, NULL, "person", MOR_TYPE_STRUCT, true);
    mor_schema_add(wanted, person, "age", MOR_TYPE_INT32, true);
    struct mor_parquet_reader *reader = open_file(&file);
    assert_ok(mor_parquet_reader_project(reader, wanted, &err));
    struct mor_batch *got = mor_batch_new(wanted, NULL);
    assert_ok(mor_parquet_reader_next(reader, 300, got, NULL, &err));
    assert_ok(mor_batch_validate(got, &err));
    assert_int_equal(got->row_count, 300);
    assert_int_equal(got->columns[0].null_count, batch->columns[1].null_count);
    assert_int_equal(got->columns[0].children[0].null_count, 300);
    mor_batch_free(got);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    mor_schema_free(wanted);
    memory_done(&file);
}

static void narrow_columns_are_read_into_wider_ones(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t"), *wanted = mor_schema_new("t");
    mor_schema_add(schema, NULL, "i", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "f", MOR_TYPE_FLOAT, true);
    struct mor_field *field = mor_schema_add(schema, NULL, "d", MOR_TYPE_DECIMAL, true);
    field->precision = 6;
    field->scale = 2;
    mor_schema_add(schema, NULL, "ms", MOR_TYPE_TIMESTAMP_MILLIS, true);
    mor_schema_add(schema, NULL, "s", MOR_TYPE_STRING, true);
    mor_schema_add(wanted, NULL, "i", MOR_TYPE_INT64, true);
    mor_schema_add(wanted, NULL, "f", MOR_TYPE_DOUBLE, true);
    field = mor_schema_add(wanted, NULL, "d", MOR_TYPE_DECIMAL, true);
    field->precision = 20;
    field->scale = 4;
    mor_schema_add(wanted, NULL, "ms", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(wanted, NULL, "s", MOR_TYPE_BYTES, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    int32_t i32 = -7;
    float f32 = 1.5f;
    mor_int128 decimal = -12345;
    int64_t ms = 1700000000123;
    mor_vector_append_fixed(&batch->columns[0], &i32);
    mor_vector_append_fixed(&batch->columns[1], &f32);
    mor_vector_append_fixed(&batch->columns[2], &decimal);
    mor_vector_append_fixed(&batch->columns[3], &ms);
    mor_vector_append_bytes(&batch->columns[4], "text", 4);
    for (size_t i = 0; i < 5; i++)
        mor_vector_append_null(&batch->columns[i]);
    batch->row_count = 2;
    for (int as_integer = 0; as_integer < 2; as_integer++) {
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.decimal_as_integer = as_integer;
        struct memory_file file = {0};
        write_file(&file, batch, &options);
        struct mor_parquet_reader *reader = open_file(&file);
        assert_ok(mor_parquet_reader_project(reader, wanted, &err));
        MOR_AUTO_BUFFER rows = {0};
        assert_int_equal(read_rows_json(reader, wanted, 10, &rows), 2);
        assert_string_equal(mor_buffer_terminate(&rows),
                            "-7,1.5,\"-123.4500\",\"2023-11-14T22:13:20.123000Z\",\"dGV4dA==\"\n"
                            "null,null,null,null,null\n");
        mor_parquet_reader_free(reader);
        memory_done(&file);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
    mor_schema_free(wanted);
}

static void columns_that_cannot_be_converted_are_refused_by_name(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 3, 3, 0);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    static const struct {
        const char *name;
        enum mor_type type;
        bool nullable;
    } wrong[] = {{"i64", MOR_TYPE_INT32, true}, {"text", MOR_TYPE_INT64, true},
                 {"f64", MOR_TYPE_FLOAT, true}, {"flag", MOR_TYPE_STRING, true},
                 {"date", MOR_TYPE_LIST, true}, {"absent", MOR_TYPE_INT32, false}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct mor_schema *wanted = mor_schema_new("wanted");
        struct mor_field *field =
            mor_schema_add(wanted, NULL, wrong[i].name, wrong[i].type, wrong[i].nullable);
        if (wrong[i].type == MOR_TYPE_LIST)
            mor_schema_add(wanted, field, "element", MOR_TYPE_DATE, true);
        struct mor_parquet_reader *reader = open_file(&file);
        assert_fails(mor_parquet_reader_project(reader, wanted, &err), MOR_DATA, wrong[i].name);
        mor_parquet_reader_free(reader);
        mor_schema_free(wanted);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

static void null_for_a_column_that_must_not_be_null_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t"), *wanted = mor_schema_new("t");
    mor_schema_add(schema, NULL, "i", MOR_TYPE_INT32, true);
    mor_schema_add(wanted, NULL, "i", MOR_TYPE_INT32, false);
    for (unsigned nulls = 0; nulls <= 50; nulls += 50) {
        struct mor_batch *batch = random_batch(schema, 100, 4, nulls);
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        struct memory_file file = {0};
        write_file(&file, batch, &options);
        struct mor_parquet_reader *reader = open_file(&file);
        assert_ok(mor_parquet_reader_project(reader, wanted, &err));
        struct mor_batch *got = mor_batch_new(wanted, NULL);
        if (nulls == 0)
            assert_ok(mor_parquet_reader_next(reader, 100, got, NULL, &err));
        else
            assert_fails(mor_parquet_reader_next(reader, 100, got, NULL, &err), MOR_DATA, "'i'");
        mor_batch_free(got);
        mor_parquet_reader_free(reader);
        mor_batch_free(batch);
        memory_done(&file);
    }
    mor_schema_free(schema);
    mor_schema_free(wanted);
}

static void row_positions_count_from_the_front_of_the_file(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema();
    struct mor_batch *batch = random_batch(schema, 1000, 5, 10);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.row_group_rows_max = 300;
    options.page_rows_max = 70;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    struct mor_parquet_reader *reader = open_file(&file);
    struct mor_batch *got = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
    int64_t expected = 0, position;
    for (;;) {
        position = -1;
        assert_ok(mor_parquet_reader_next(reader, 111, got, &position, &err));
        if (got->row_count == 0)
            break;
        assert_int_equal(position, expected);
        expected += (int64_t)got->row_count;
    }
    assert_int_equal(expected, 1000);
    mor_batch_free(got);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

// ---- reads --------------------------------------------------------------------------------------

static void small_neighbouring_chunks_are_fetched_with_one_read(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 2000, 6, 10);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    file.reads = 0;
    struct mor_parquet_reader *reader = open_file(&file);
    MOR_AUTO_BUFFER rows = {0};
    read_rows_json(reader, mor_parquet_reader_schema(reader), 500, &rows);
    mor_parquet_reader_free(reader);
    assert_int_equal(file.reads, 2); // the footer, the columns
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

static void projection_reads_only_the_columns_it_needs(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t"), *wanted = mor_schema_new("t");
    mor_schema_add(schema, NULL, "a", MOR_TYPE_INT64, false);
    mor_schema_add(schema, NULL, "large", MOR_TYPE_BYTES, false);
    mor_schema_add(schema, NULL, "b", MOR_TYPE_INT64, false);
    mor_schema_add(wanted, NULL, "b", MOR_TYPE_INT64, false);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    uint8_t bytes[1000];
    uint64_t seed = 9;
    for (int64_t row = 0; row < 3000; row++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)noise(&seed);
        mor_vector_append_fixed(&batch->columns[0], &row);
        mor_vector_append_bytes(&batch->columns[1], bytes, sizeof bytes);
        mor_vector_append_fixed(&batch->columns[2], &row);
    }
    batch->row_count = 3000;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    struct mor_parquet_reader *reader = open_file(&file);
    assert_ok(mor_parquet_reader_project(reader, wanted, &err));
    file.read_bytes = 0;
    MOR_AUTO_BUFFER rows = {0};
    assert_int_equal(read_rows_json(reader, wanted, 500, &rows), 3000);
    assert_true(file.read_bytes < 100000);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    mor_schema_free(wanted);
    memory_done(&file);
}

static void batch_ends_early_when_a_column_has_too_many_bytes(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, false);
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, false); // one MiB, a thousand times
    mor_schema_add(schema, NULL, "after", MOR_TYPE_INT64, false);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    char *text = mor_alloc(1 << 20);
    memset(text, 'x', 1 << 20);
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    const struct mor_parquet_column_options column = {
        .path = "text", .encoding = MOR_PARQUET_DICTIONARY, .bloom_filter = false};
    options.columns = &column;
    options.column_count = 1;
    options.dictionary_bytes_max = 4 << 20;
    options.row_group_bytes_max = 4u << 30;
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    for (int64_t row = 0; row < 600; row += 20) {
        mor_batch_reset(batch);
        for (int64_t i = row; i < row + 20; i++) {
            mor_vector_append_fixed(&batch->columns[0], &i);
            mor_vector_append_bytes(&batch->columns[1], text, 1 << 20);
            mor_vector_append_fixed(&batch->columns[2], &i);
        }
        batch->row_count = 20;
        assert_ok(mor_parquet_writer_append(writer, batch, 0, 20, &err));
    }
    assert_ok(mor_parquet_writer_finish(writer, &err));
    mor_parquet_writer_free(writer);
    assert_true(file.bytes.size_bytes < 1 << 20); // the text is stored once
    struct mor_parquet_reader *reader = open_file(&file);
    int64_t row = 0, position;
    size_t batches = 0;
    for (;; batches++) {
        assert_ok(mor_parquet_reader_next(reader, 600, batch, &position, &err));
        if (batch->row_count == 0)
            break;
        assert_int_equal(position, row);
        for (size_t i = 0; i < batch->row_count; i++, row++) {
            assert_int_equal(mor_vector_i64(&batch->columns[0], i), row);
            assert_int_equal(mor_vector_i64(&batch->columns[2], i), row);
        }
        assert_true(batch->columns[1].data.size_bytes <= (size_t)256 << 20);
    }
    assert_int_equal(row, 600);
    assert_int_equal(batches, 3);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    free(text);
    memory_done(&file);
}

// ---- malformed files ----------------------------------------------------------------------------

// Reads as far as it goes; the result does not matter, only that nothing worse than an error
// happens.
static enum mor_status read_all(struct memory_file *file, struct mor_error *err)
{
    struct mor_byte_source source = memory_source(file);
    struct mor_parquet_reader *reader = NULL;
    MOR_TRY(mor_parquet_reader_open(&source, NULL, &reader, err));
    struct mor_batch *batch = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
    enum mor_status status;
    size_t rows = 0;
    while ((status = mor_parquet_reader_next(reader, 1000, batch, NULL, err)) == MOR_OK &&
           batch->row_count > 0 && rows < 100000) {
        rows += batch->row_count;
        struct mor_error invalid = MOR_ERROR_INIT;
        assert_int_equal(mor_batch_validate(batch, &invalid), MOR_OK);
    }
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    return status;
}

static void files_cut_anywhere_are_refused(void **state)
{
    (void)state;
    struct mor_schema *schema = nested_schema();
    struct mor_batch *batch = random_batch(schema, 30, 7, 20);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    size_t whole = file.bytes.size_bytes;
    for (size_t size = 0; size < whole; size++) {
        struct mor_error err = MOR_ERROR_INIT;
        file.bytes.size_bytes = size;
        assert_int_equal(read_all(&file, &err), MOR_DATA);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

static void files_with_one_byte_changed_are_read_or_refused(void **state)
{
    (void)state;
    struct mor_schema *schema = nested_schema();
    struct mor_batch *batch = random_batch(schema, 60, 8, 20);
    for (int codec = MOR_PARQUET_UNCOMPRESSED; codec <= MOR_PARQUET_ZSTD; codec += 4) {
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.codec = (enum mor_parquet_codec)codec;
        options.page_rows_max = 20;
        options.write_checksums = codec != MOR_PARQUET_UNCOMPRESSED;
        struct memory_file file = {0};
        write_file(&file, batch, &options);
        uint64_t seed = 1;
        for (size_t at = 0; at < file.bytes.size_bytes; at++) {
            struct mor_error err = MOR_ERROR_INIT;
            uint8_t before = file.bytes.data[at];
            file.bytes.data[at] ^= (uint8_t)(1u << noise(&seed) % 8);
            enum mor_status status = read_all(&file, &err);
            assert_true(status == MOR_OK || status == MOR_DATA);
            file.bytes.data[at] = before;
        }
        memory_done(&file);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void damaged_page_names_its_place_and_passes_when_checksums_are_off(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "a", MOR_TYPE_INT64, false);
    mor_schema_add(schema, NULL, "b", MOR_TYPE_INT64, false);
    struct mor_batch *batch = random_batch(schema, 100, 9, 0);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.codec = MOR_PARQUET_UNCOMPRESSED;
    options.write_checksums = true;
    options.profile = MOR_PARQUET_CONSERVATIVE;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    file.bytes.data[1200] ^= 0x10; // in the values of b
    assert_fails(read_all(&file, &err), MOR_DATA, "checksum");
    assert_int_equal(err.row_group, 0);
    assert_int_equal(err.column, 1);
    assert_true(err.file_offset > 800 && err.file_offset < 1200);
    assert_non_null(strstr(err.message, "column 1 'b'"));
    struct mor_parquet_reader *reader = open_file(&file);
    mor_parquet_reader_verify_checksums(reader, false);
    MOR_AUTO_BUFFER rows = {0};
    assert_int_equal(read_rows_json(reader, mor_parquet_reader_schema(reader), 100, &rows), 100);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

static void pages_beyond_the_limit_of_the_reader_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema();
    struct mor_batch *batch = random_batch(schema, 2000, 10, 10);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    for (size_t limit = 1000; limit <= 1000000; limit *= 1000) {
        struct mor_parquet_reader *reader = open_file(&file);
        mor_parquet_reader_limit_bytes(reader, limit);
        struct mor_batch *got = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
        if (limit > 1000)
            assert_ok(mor_parquet_reader_next(reader, 100, got, NULL, &err));
        else
            assert_fails(mor_parquet_reader_next(reader, 100, got, NULL, &err), MOR_DATA,
                         "limit of 1000 bytes");
        mor_batch_free(got);
        mor_parquet_reader_free(reader);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

static void a_few_bytes_that_stand_for_many_nulls_take_little_memory(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "i", MOR_TYPE_INT64, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int i = 0; i < 100000; i++)
        mor_vector_append_null(&batch->columns[0]);
    batch->row_count = 100000;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.page_rows_max = options.row_group_rows_max = (size_t)1 << 24;
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    for (int i = 0; i < 160; i++)
        assert_ok(mor_parquet_writer_append(writer, batch, 0, 100000, &err));
    assert_ok(mor_parquet_writer_finish(writer, &err));
    mor_parquet_writer_free(writer);
    assert_true(file.bytes.size_bytes < 1000);
    struct mor_budget budget;
    mor_budget_init(&budget, 1 << 30);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, &budget, &reader, &err));
    assert_ok(mor_parquet_reader_next(reader, 1000, batch, NULL, &err));
    assert_int_equal(batch->columns[0].null_count, 1000);
    assert_true(budget.peak_bytes < 1 << 20);
    mor_parquet_reader_free(reader);
    mor_batch_free(batch);
    mor_schema_free(schema);
    memory_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_matched_by_id_whatever_their_name_and_order),
        cmocka_unit_test(group_none_of_whose_fields_exist_keeps_its_nulls),
        cmocka_unit_test(narrow_columns_are_read_into_wider_ones),
        cmocka_unit_test(columns_that_cannot_be_converted_are_refused_by_name),
        cmocka_unit_test(null_for_a_column_that_must_not_be_null_is_refused),
        cmocka_unit_test(row_positions_count_from_the_front_of_the_file),
        cmocka_unit_test(small_neighbouring_chunks_are_fetched_with_one_read),
        cmocka_unit_test(projection_reads_only_the_columns_it_needs),
        cmocka_unit_test(batch_ends_early_when_a_column_has_too_many_bytes),
        cmocka_unit_test(files_cut_anywhere_are_refused),
        cmocka_unit_test(files_with_one_byte_changed_are_read_or_refused),
        cmocka_unit_test(damaged_page_names_its_place_and_passes_when_checksums_are_off),
        cmocka_unit_test(pages_beyond_the_limit_of_the_reader_are_refused),
        cmocka_unit_test(a_few_bytes_that_stand_for_many_nulls_take_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
