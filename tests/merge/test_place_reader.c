// Slices of a table whose rows are removed by place, over a table that is nothing but one file.
#include "../../src/table/table_format.h"
#include "check.h"
#include "moraine/merge.h"
#include "moraine/parquet.h"

#define ROWS     20000
#define SLICE    7
#define ROW_ID   1000000
#define BASE_KEY "data/a.parquet"

struct place_table {
    struct mor_table table;
    struct mor_table_ops ops;
    struct mor_schema *columns; // the table's, then the virtual ones
    struct mor_position_set *removed;
    char *root;
    struct mor_slice slice;
};

static void rule_by_place(const struct mor_table *table, struct mor_merge_rule *ret_rule)
{
    (void)table;
    *ret_rule = (struct mor_merge_rule){.by_place = true};
}

static const struct mor_field *find_column(const struct mor_table *table, const char *name)
{
    const struct mor_schema *columns = ((const struct place_table *)table)->columns;
    int32_t at = mor_schema_find(columns, name);
    return at >= 0 ? &columns->root.children[at] : NULL;
}

static enum mor_status copy_removed(struct mor_table *table, const struct mor_slice *slice,
                                    struct mor_budget *budget,
                                    struct mor_position_set **ret_positions, struct mor_error *err)
{
    (void)slice;
    (void)budget;
    (void)err;
    *ret_positions = mor_position_set_copy(((struct place_table *)table)->removed);
    return MOR_OK;
}

static enum mor_status write_sink(void *context, const void *bytes, size_t size_bytes,
                                  struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

// Row i has id i and number i / 100; every tenth of the first half states a row id of its own.
static void write_rows(struct place_table *p, const struct mor_schema *schema)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_sink *sink;
    struct mor_parquet_writer *writer;
    assert_ok(mor_store_create(p->table.store, BASE_KEY, &sink, &err));
    struct mor_byte_sink bytes = {.context = sink, .write = write_sink};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.row_group_rows_max = 6000;
    options.page_rows_max = 500;
    assert_ok(mor_parquet_writer_open(schema, &bytes, &options, &writer, &err));
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t number = i / 100, row_id = -i;
        mor_vector_append_fixed(&batch->columns[0], &i);
        mor_vector_append_fixed(&batch->columns[1], &number);
        if (i < ROWS / 2 && i % 10 == 0)
            mor_vector_append_fixed(&batch->columns[2], &row_id);
        else
            mor_vector_append_null(&batch->columns[2]);
    }
    batch->row_count = ROWS;
    assert_ok(mor_parquet_writer_append(writer, batch, 0, ROWS, &err));
    assert_ok(mor_parquet_writer_finish(writer, &err));
    assert_ok(mor_sink_finish(sink, &err));
    mor_batch_free(batch);
    mor_parquet_writer_free(writer);
    mor_sink_free(sink);
}

static int setup(void **state)
{
    static const char *const delta_keys[] = {"data/a.deletes"};
    struct place_table *p = calloc(1, sizeof *p);
    struct mor_error err = MOR_ERROR_INIT;
    p->root = check_folder();
    assert_ok(mor_store_open(p->root, true, &p->table.store, &err));
    p->ops = (struct mor_table_ops){
        .merge_rule = rule_by_place, .column = find_column, .removed_rows = copy_removed};
    p->table.ops = &p->ops;
    p->table.name = p->root;
    p->columns = mor_schema_new("t");
    mor_schema_add(p->columns, NULL, "id", MOR_TYPE_INT64, false)->field_id = 1;
    mor_schema_add(p->columns, NULL, "number", MOR_TYPE_INT64, true)->field_id = 2;
    p->table.schema = mor_schema_copy(p->columns);
    mor_schema_add(p->columns, NULL, MOR_COLUMN_ROW_ID, MOR_TYPE_INT64, true)->field_id =
        2147483540;
    write_rows(p, p->columns);
    mor_schema_add(p->columns, NULL, MOR_COLUMN_SEQUENCE, MOR_TYPE_INT64, true)->field_id =
        2147483539;
    mor_schema_add(p->columns, NULL, MOR_COLUMN_PLACE, MOR_TYPE_INT64, true);
    p->removed = mor_position_set_new(NULL);
    p->slice = (struct mor_slice){.partition = "",
                                  .file_group = "a",
                                  .base_key = BASE_KEY,
                                  .delta_keys = delta_keys,
                                  .delta_count = 1,
                                  .number = SLICE,
                                  .base_row_id = ROW_ID,
                                  .base_sequence = 42};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place_table *p = *state;
    mor_store_free(p->table.store);
    mor_schema_free(p->columns);
    mor_schema_free(p->table.schema);
    mor_position_set_free(p->removed);
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", p->root);
    assert_int_equal(system(command), 0);
    free(p->root);
    free(p);
    return 0;
}

// Reads all columns of the rows with `condition` (NULL = all); seen[id] becomes true. Returns how
// many rows of the base file were looked at.
static int64_t read_slice(struct place_table *p, const char *condition, bool *seen)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_filter *filter = NULL;
    if (condition != NULL)
        assert_ok(mor_filter_parse(&p->table, condition, &filter, &err));
    struct mor_slice_options options = {.wanted = p->columns, .filter = filter};
    struct mor_slice_reader *reader;
    assert_ok(mor_slice_reader_open(&p->table, &p->slice, &options, &reader, &err));
    struct mor_batch *batch = mor_batch_new(p->columns, NULL);
    memset(seen, 0, ROWS * sizeof *seen);
    for (;;) {
        assert_ok(mor_slice_reader_next(reader, batch, &err));
        if (batch->row_count == 0)
            break;
        assert_ok(mor_batch_validate(batch, &err));
        for (size_t i = 0; i < batch->row_count; i++) {
            int64_t id = mor_vector_i64(&batch->columns[0], i);
            assert_false(seen[id]);
            seen[id] = true;
            assert_int_equal(mor_vector_i64(&batch->columns[1], i), id / 100);
            bool stated = id < ROWS / 2 && id % 10 == 0;
            for (size_t c = 2; c < 5; c++)
                assert_false(mor_vector_is_null(&batch->columns[c], i));
            assert_int_equal(mor_vector_i64(&batch->columns[2], i), stated ? -id : ROW_ID + id);
            assert_int_equal(mor_vector_i64(&batch->columns[3], i), 42);
            assert_int_equal(mor_vector_i64(&batch->columns[4], i), (int64_t)SLICE << 32 | id);
        }
    }
    int64_t base_rows = mor_slice_reader_counts(reader).base_rows;
    assert_int_equal(mor_slice_reader_counts(reader).delta_deletes,
                     mor_position_set_count(p->removed));
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    mor_filter_free(filter);
    return base_rows;
}

static void removed_rows_are_left_out_and_places_are_told(void **state)
{
    struct place_table *p = *state;
    static bool seen[ROWS];
    for (uint64_t i = 0; i < ROWS; i++)
        if (i % 7 == 0 || (i >= 5990 && i < 9000))
            mor_position_set_add(p->removed, i);
    mor_position_set_add(p->removed, ROWS + 5); // more than the file has does no harm
    assert_int_equal(read_slice(p, NULL, seen), ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        assert_int_equal(seen[i], !mor_position_set_has(p->removed, i));
}

static void places_are_right_when_statistics_leave_out_pages(void **state)
{
    struct place_table *p = *state;
    static bool seen[ROWS];
    for (uint64_t i = 0; i < ROWS; i += 3)
        mor_position_set_add(p->removed, i);
    const struct {
        const char *condition;
        int64_t first, last; // ids
    } ranges[] = {{"id = 12345", 12345, 12345},
                  {"number = 61", 6100, 6199},
                  {"id >= 5900 and id < 6100", 5900, 6099},
                  {"id < 0", 1, 0}};
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        assert_in_range(read_slice(p, ranges[r].condition, seen), 0, 1500);
        for (int64_t i = 0; i < ROWS; i++)
            assert_int_equal(seen[i], i >= ranges[r].first && i <= ranges[r].last && i % 3 != 0);
    }
    // pages in the middle of two row groups
    (void)read_slice(p, "number in (13, 150)", seen);
    for (int64_t i = 0; i < ROWS; i++)
        assert_int_equal(seen[i], (i / 100 == 13 || i / 100 == 150) && i % 3 != 0);
}

static void a_file_without_deltas_has_its_places_too(void **state)
{
    struct place_table *p = *state;
    static bool seen[ROWS];
    p->slice.delta_count = 0;
    p->ops.removed_rows = NULL;
    assert_int_equal(read_slice(p, NULL, seen), ROWS);
    for (size_t i = 0; i < ROWS; i++)
        assert_true(seen[i]);
}

static void conditions_find_a_renamed_column_by_its_id(void **state)
{
    struct place_table *p = *state;
    struct mor_error err = MOR_ERROR_INIT;
    // "number" was "id" when the file was written, and the other way round
    p->columns->root.children[0].name = p->table.schema->root.children[1].name;
    p->columns->root.children[1].name = p->table.schema->root.children[0].name;
    struct mor_filter *filter;
    assert_ok(mor_filter_parse(&p->table, "number = 19999", &filter, &err));
    struct mor_slice_options options = {.wanted = p->columns, .filter = filter};
    struct mor_slice_reader *reader;
    assert_ok(mor_slice_reader_open(&p->table, &p->slice, &options, &reader, &err));
    struct mor_batch *batch = mor_batch_new(p->columns, NULL);
    assert_ok(mor_slice_reader_next(reader, batch, &err));
    assert_int_equal(batch->row_count, 1);
    assert_int_equal(mor_vector_i64(&batch->columns[1], 0), 199);
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    mor_filter_free(filter);
    // a column that is not in the file, with the name of one that is
    p->columns->root.children[1].field_id = 9;
    assert_ok(mor_filter_parse(&p->table, "id is null", &filter, &err));
    options.filter = filter;
    assert_ok(mor_slice_reader_open(&p->table, &p->slice, &options, &reader, &err));
    batch = mor_batch_new(p->columns, NULL);
    assert_ok(mor_slice_reader_next(reader, batch, &err));
    assert_true(batch->row_count > 0);
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    mor_filter_free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(removed_rows_are_left_out_and_places_are_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(places_are_right_when_statistics_leave_out_pages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_file_without_deltas_has_its_places_too, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions_find_a_renamed_column_by_its_id, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
