#include "parquet_test.h"

// 10,000 rows in row groups of 2,500 with pages of 100: id ascending, part = id / 1000 as text,
// noise, sparse null but for every 2,000th row.
struct fixture {
    struct mor_schema *schema;
    struct memory_file file;
};

static void make_file(struct fixture *f, bool page_index, bool bloom)
{
    f->schema = mor_schema_new("t");
    mor_schema_add(f->schema, NULL, "id", MOR_TYPE_INT64, false);
    mor_schema_add(f->schema, NULL, "part", MOR_TYPE_STRING, false);
    mor_schema_add(f->schema, NULL, "noise", MOR_TYPE_INT32, true);
    mor_schema_add(f->schema, NULL, "sparse", MOR_TYPE_DOUBLE, true);
    struct mor_field *list = mor_schema_add(f->schema, NULL, "list", MOR_TYPE_LIST, true);
    mor_schema_add(f->schema, list, "element", MOR_TYPE_INT64, true);
    struct mor_batch *batch = mor_batch_new(f->schema, NULL);
    uint64_t seed = 1;
    for (int64_t id = 0; id < 10000; id++) {
        char part[16];
        int length = snprintf(part, sizeof part, "p%03d", (int)(id / 1000));
        int32_t random = (int32_t)(noise(&seed) % 1000) * 2; // even numbers
        double real = (double)id;
        mor_vector_append_fixed(&batch->columns[0], &id);
        mor_vector_append_bytes(&batch->columns[1], part, (size_t)length);
        mor_vector_append_fixed(&batch->columns[2], &random);
        if (id % 2000 == 1999)
            mor_vector_append_fixed(&batch->columns[3], &real);
        else
            mor_vector_append_null(&batch->columns[3]);
        for (int64_t k = 0; k < id % 3; k++)
            mor_vector_append_fixed(&batch->columns[4].children[0], &id);
        mor_vector_append_end(&batch->columns[4]);
    }
    batch->row_count = 10000;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    const struct mor_parquet_column_options columns[] = {{.path = "noise",
                                                          .encoding = MOR_PARQUET_AUTO,
                                                          .bloom_filter = bloom,
                                                          .bloom_filter_fpp = 0.001},
                                                         {.path = "part",
                                                          .encoding = MOR_PARQUET_AUTO,
                                                          .bloom_filter = bloom,
                                                          .bloom_filter_fpp = 0.001}};
    options.columns = columns;
    options.column_count = 2;
    options.row_group_rows_max = 2500;
    options.page_rows_max = 100;
    options.write_page_index = page_index;
    write_file(&f->file, batch, &options);
    mor_batch_free(batch);
}

static void drop_file(struct fixture *f)
{
    mor_schema_free(f->schema);
    memory_done(&f->file);
}

// Ids that come back under the predicates; every row is checked to be whole and at its position.
static size_t read_ids(struct fixture *f, const struct mor_parquet_predicate *predicates,
                       size_t count, int64_t *ret_first, int64_t *ret_last)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_byte_source source = memory_source(&f->file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
    assert_ok(mor_parquet_reader_filter(reader, predicates, count, &err));
    struct mor_batch *batch = mor_batch_new(f->schema, NULL);
    size_t rows = 0;
    *ret_first = *ret_last = -1;
    for (;;) {
        int64_t position = -1;
        assert_ok(mor_parquet_reader_next(reader, 64, batch, &position, &err));
        if (batch->row_count == 0)
            break;
        assert_ok(mor_batch_validate(batch, &err));
        const int32_t *offsets = mor_vector_offsets(&batch->columns[4]);
        for (size_t row = 0; row < batch->row_count; row++) {
            int64_t id = mor_vector_i64(&batch->columns[0], row);
            assert_int_equal(id, position + (int64_t)row);
            assert_int_equal(mor_vector_is_null(&batch->columns[3], row), id % 2000 != 1999);
            assert_int_equal(offsets[row + 1] - offsets[row], id % 3);
            if (id % 3 > 0)
                assert_int_equal(
                    mor_vector_i64(&batch->columns[4].children[0], (size_t)offsets[row]), id);
            if (rows++ == 0)
                *ret_first = id;
            *ret_last = id;
        }
    }
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    return rows;
}

static void range_of_sorted_ids_reads_only_its_pages(void **state)
{
    (void)state;
    struct fixture f = {0};
    int64_t low = 3310, high = 3490, first, last;
    const struct mor_parquet_predicate range[] = {{"id", MOR_PARQUET_GREATER_OR_EQUAL, &low, 8},
                                                  {"id", MOR_PARQUET_LESS, &high, 8}};
    make_file(&f, true, false);
    assert_int_equal(read_ids(&f, range, 2, &first, &last), 200);
    assert_int_equal(first, 3300);
    assert_int_equal(last, 3499);
    drop_file(&f);
    f = (struct fixture){0};
    make_file(&f, false, false); // without page index: the row group
    assert_int_equal(read_ids(&f, range, 2, &first, &last), 2500);
    assert_int_equal(first, 2500);
    drop_file(&f);
}

static void comparisons_keep_every_row_that_matches(void **state)
{
    (void)state;
    struct fixture f = {0};
    make_file(&f, true, false);
    static const struct {
        enum mor_parquet_compare compare;
        int64_t value;
        size_t rows;
    } cases[] = {
        {MOR_PARQUET_EQUAL, 5050, 100},
        {MOR_PARQUET_EQUAL, 10000, 0},
        {MOR_PARQUET_LESS, 0, 0},
        {MOR_PARQUET_LESS, 1, 100},
        {MOR_PARQUET_LESS_OR_EQUAL, 99, 100},
        {MOR_PARQUET_LESS_OR_EQUAL, 100, 200},
        {MOR_PARQUET_GREATER, 9998, 100},
        {MOR_PARQUET_GREATER, 9999, 0},
        {MOR_PARQUET_GREATER_OR_EQUAL, 9999, 100},
        {MOR_PARQUET_GREATER, -5, 10000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t first, last;
        const struct mor_parquet_predicate one = {"id", cases[i].compare, &cases[i].value, 8};
        assert_int_equal(read_ids(&f, &one, 1, &first, &last), cases[i].rows);
    }
    drop_file(&f);
}

static void pages_far_apart_are_read_with_gaps_between_them(void **state)
{
    (void)state;
    struct fixture f = {0};
    int64_t first, last;
    make_file(&f, true, false);
    const struct mor_parquet_predicate not_null = {"sparse", MOR_PARQUET_IS_NOT_NULL, NULL, 0};
    assert_int_equal(read_ids(&f, &not_null, 1, &first, &last), 500);
    assert_int_equal(first, 1900);
    assert_int_equal(last, 9999);
    const struct mor_parquet_predicate null = {"id", MOR_PARQUET_IS_NULL, NULL, 0};
    assert_int_equal(read_ids(&f, &null, 1, &first, &last), 0);
    const struct mor_parquet_predicate absent[] = {{"nowhere", MOR_PARQUET_IS_NULL, NULL, 0},
                                                   {"nowhere", MOR_PARQUET_EQUAL, &first, 8}};
    assert_int_equal(read_ids(&f, absent, 1, &first, &last), 10000);
    assert_int_equal(read_ids(&f, absent + 1, 1, &first, &last), 0);
    drop_file(&f);
}

static void texts_are_compared_as_bytes(void **state)
{
    (void)state;
    struct fixture f = {0};
    int64_t first, last;
    make_file(&f, true, false);
    const struct mor_parquet_predicate equal = {"part", MOR_PARQUET_EQUAL, "p007", 4};
    assert_int_equal(read_ids(&f, &equal, 1, &first, &last), 1000);
    assert_int_equal(first, 7000);
    const struct mor_parquet_predicate longer = {"part", MOR_PARQUET_GREATER, "p0089", 5};
    assert_int_equal(read_ids(&f, &longer, 1, &first, &last), 1000);
    assert_int_equal(first, 9000);
    drop_file(&f);
}

static void bloom_filter_leaves_out_what_bounds_cannot(void **state)
{
    (void)state;
    int64_t first, last;
    int32_t odd = 501;
    const struct mor_parquet_predicate equal = {"noise", MOR_PARQUET_EQUAL, &odd, 4};
    struct fixture f = {0};
    make_file(&f, true, false);
    assert_true(read_ids(&f, &equal, 1, &first, &last) > 9000);
    drop_file(&f);
    f = (struct fixture){0};
    make_file(&f, true, true);
    assert_int_equal(read_ids(&f, &equal, 1, &first, &last), 0);
    // Nothing that is there is lost.
    for (int32_t even = 0; even < 2000; even += 200) {
        const struct mor_parquet_predicate there = {"noise", MOR_PARQUET_EQUAL, &even, 4};
        assert_true(read_ids(&f, &there, 1, &first, &last) > 0);
    }
    drop_file(&f);
}

static void pruned_reading_takes_fewer_bytes(void **state)
{
    (void)state;
    struct fixture f = {0};
    int64_t id = 9950, first, last;
    const struct mor_parquet_predicate one = {"id", MOR_PARQUET_EQUAL, &id, 8};
    make_file(&f, true, false);
    f.file.read_bytes = 0;
    read_ids(&f, NULL, 0, &first, &last);
    size_t whole = f.file.read_bytes;
    f.file.read_bytes = 0;
    read_ids(&f, &one, 1, &first, &last);
    assert_true(f.file.read_bytes < whole);
    drop_file(&f);
}

static void value_of_another_size_leaves_out_nothing(void **state)
{
    (void)state;
    struct fixture f = {0};
    int64_t first, last;
    int32_t narrow = -1;
    make_file(&f, true, false);
    const struct mor_parquet_predicate wrong = {"id", MOR_PARQUET_EQUAL, &narrow, 4};
    assert_int_equal(read_ids(&f, &wrong, 1, &first, &last), 10000);
    drop_file(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_of_sorted_ids_reads_only_its_pages),
        cmocka_unit_test(comparisons_keep_every_row_that_matches),
        cmocka_unit_test(pages_far_apart_are_read_with_gaps_between_them),
        cmocka_unit_test(texts_are_compared_as_bytes),
        cmocka_unit_test(bloom_filter_leaves_out_what_bounds_cannot),
        cmocka_unit_test(pruned_reading_takes_fewer_bytes),
        cmocka_unit_test(value_of_another_size_leaves_out_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
