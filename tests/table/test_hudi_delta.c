// Logs made by hand: what of their blocks counts.
#include "table_test.h"

#include "hudi/hudi_log.h"
#include "hudi/hudi_table.h"
#include "moraine/avro.h"

#define PARTITION "created_at_day=2026-01-01"

static const struct table_row base_rows[] = {{"a", 1, 0, 10, false}};

struct delta_counts {
    size_t rows, deletes, orderings;
    int64_t values; // sum
};

// Reads the deltas of the table's only slice; MOR_OK and the counts, or the error's class.
static enum mor_status read_deltas(struct table_fixture *fixture, struct delta_counts *counts)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_table *table = NULL;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    *counts = (struct delta_counts){0};
    enum mor_status status = mor_table_open_read(fixture->location, NULL, &table, &fixture->err);
    assert_int_equal(status, MOR_OK);
    status = mor_table_slices(table, NULL, &arena, &slices, &count, &fixture->err);
    assert_int_equal(status, MOR_OK);
    assert_int_equal(count, 1);
    struct mor_delta *delta = NULL;
    status = mor_delta_open(table, &slices[0], mor_table_schema(table), &delta, &fixture->err);
    enum mor_delta_kind kind = MOR_DELTA_ROWS;
    while (status == MOR_OK && kind != MOR_DELTA_END) {
        const struct mor_batch *batch = NULL;
        status = mor_delta_next(delta, &kind, &batch, &fixture->err);
        if (status != MOR_OK || kind == MOR_DELTA_END)
            break;
        *(kind == MOR_DELTA_ROWS ? &counts->rows : &counts->deletes) += batch->row_count;
        for (size_t i = 0; i < batch->row_count; i++) {
            if (kind == MOR_DELTA_DELETES)
                counts->orderings += !mor_vector_is_null(&batch->columns[1], i);
            else
                counts->values += mor_vector_i32(&batch->columns[1], i);
        }
    }
    mor_delta_free(delta);
    mor_table_free(table);
    mor_arena_done(&arena);
    return status;
}

// Completed instant without files, so that blocks of it count.
static void complete(struct table_fixture *fixture, const char *instant)
{
    char key[96];
    struct mor_store *store = NULL;
    snprintf(key, sizeof key, ".hoodie/%s.deltacommit", instant);
    assert_int_equal(mor_store_open(fixture->location, false, &store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_put_new(store, key, "{}", 2, &fixture->err), MOR_OK);
    mor_store_free(store);
}

// Adds a log file to the only group of the table, whichever bucket that is.
static void add_log(struct table_fixture *fixture, int version, const struct mor_buffer *bytes)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_slices(fixture->table, NULL, &arena, &slices, &count, &fixture->err),
                     MOR_OK);
    const char *base = slices[0].base_key;
    const char *instant = strrchr(base, '_') + 1;
    char key[256];
    snprintf(key, sizeof key, PARTITION "/.%s_%.17s.log.%d_0-1-1", slices[0].file_group, instant,
             version);
    assert_int_equal(mor_store_put_new(mor_table_store(fixture->table), key, bytes->data,
                                       bytes->size_bytes, &fixture->err),
                     MOR_OK);
    mor_arena_done(&arena);
}

static const char row_schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"id\",\"type\":[\"null\","
    "\"string\"]},"
    "{\"name\":\"value\",\"type\":\"int\"},{\"name\":\"extra\",\"type\":\"string\"}]}";

static void add_row_block(struct mor_buffer *bytes, const char *instant, int value)
{
    struct hudi_block_writer writer;
    hudi_block_begin(&writer, bytes, HUDI_BLOCK_AVRO, instant, row_schema);
    size_t mark = hudi_records_begin(bytes), record = hudi_record_begin(bytes);
    mor_avro_put_long(bytes, 1);
    mor_avro_put_bytes(bytes, "k", 1);
    mor_avro_put_long(bytes, value);
    mor_avro_put_bytes(bytes, "skipped", 7);
    hudi_record_end(bytes, record);
    hudi_records_end(bytes, mark, 1);
    hudi_block_end(&writer);
}

static void add_command_block(struct mor_buffer *bytes, const char *instant, const char *target)
{
    // 105 bytes, as Spark's rollback writes it
    size_t start = bytes->size_bytes;
    mor_buffer_append(bytes, "#HUDI#", 6);
    mor_buffer_append_be64(bytes, 91);
    mor_buffer_append_be32(bytes, 1);
    mor_buffer_append_be32(bytes, HUDI_BLOCK_COMMAND);
    mor_buffer_append_be32(bytes, 3);
    const char *values[] = {instant, target, "0"};
    static const uint32_t keys[] = {HUDI_HEADER_INSTANT, HUDI_HEADER_TARGET_INSTANT,
                                    HUDI_HEADER_COMMAND};
    for (int i = 0; i < 3; i++) {
        mor_buffer_append_be32(bytes, keys[i]);
        mor_buffer_append_be32(bytes, (uint32_t)strlen(values[i]));
        mor_buffer_append_text(bytes, values[i]);
    }
    mor_buffer_append_be64(bytes, 0);
    mor_buffer_append_be32(bytes, 0);
    mor_buffer_append_be64(bytes, 97);
    assert_int_equal(bytes->size_bytes - start, 105);
}

static void open_with_base(struct table_fixture *fixture)
{
    fixture->options.bucket_count = 1;
    table_open(fixture);
    table_must_commit(fixture, base_rows, 1, NULL, "1");
}

static void blocks_of_completed_instants_only_are_read(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct delta_counts counts;
    open_with_base(fixture);
    add_row_block(&bytes, "20980101000000001", 1);
    add_row_block(&bytes, "20980101000000002", 10);
    add_row_block(&bytes, "20980101000000001", 100);
    add_log(fixture, 1, &bytes);
    complete(fixture, "20980101000000001");
    assert_int_equal(read_deltas(fixture, &counts), MOR_OK);
    assert_int_equal(counts.rows, 2);
    assert_int_equal(counts.values, 101);
    mor_buffer_done(&bytes);
}

static void command_block_takes_back_blocks_before_it_in_other_files(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct delta_counts counts;
    open_with_base(fixture);
    add_row_block(&bytes, "20980101000000001", 1);
    add_row_block(&bytes, "20980101000000002", 10);
    add_log(fixture, 1, &bytes);
    mor_buffer_reset(&bytes);
    add_command_block(&bytes, "20980101000000003", "20980101000000002");
    add_log(fixture, 2, &bytes);
    complete(fixture, "20980101000000001");
    complete(fixture, "20980101000000002");
    assert_int_equal(read_deltas(fixture, &counts), MOR_OK);
    assert_int_equal(counts.values, 1);
    mor_buffer_done(&bytes);
}

static void typed_orderings_of_deletes_come_in_the_columns_type(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct delta_counts counts;
    struct hudi_block_writer writer;
    open_with_base(fixture);
    hudi_block_begin(&writer, &bytes, HUDI_BLOCK_DELETE, "20980101000000001", "{}");
    size_t mark = hudi_deletes_begin(&bytes, 3);
    for (int i = 0; i < 3; i++) {
        hudi_delete_add(&bytes, "k", 1, PARTITION);
        // branch and value of the ordering: Integer 0, Long 0, Double (not the column's class)
        bytes.data[bytes.size_bytes - 2] = i == 0 ? 4 : i == 1 ? 6 : 10;
        if (i == 2)
            mor_buffer_append(&bytes, "\0\0\0\0\0\xf0\x3f", 7);
    }
    hudi_deletes_end(&bytes, mark);
    hudi_block_end(&writer);
    add_log(fixture, 1, &bytes);
    complete(fixture, "20980101000000001");
    assert_int_equal(read_deltas(fixture, &counts), MOR_OK);
    assert_int_equal(counts.deletes, 3);
    assert_int_equal(counts.orderings, 1);
    mor_buffer_done(&bytes);
}

static void blocks_that_cannot_be_read_are_errors_in_words(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct delta_counts counts;
    struct hudi_block_writer writer;
    open_with_base(fixture);
    hudi_block_begin(&writer, &bytes, HUDI_BLOCK_HFILE, "20980101000000001", "{}");
    hudi_block_end(&writer);
    add_log(fixture, 1, &bytes);
    assert_int_equal(read_deltas(fixture, &counts), MOR_OK); // not committed: not looked at
    complete(fixture, "20980101000000001");
    assert_int_equal(read_deltas(fixture, &counts), MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "HFile"));
    mor_buffer_done(&bytes);
}

static void cut_record_in_a_data_block_is_data(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct delta_counts counts;
    struct hudi_block_writer writer;
    open_with_base(fixture);
    hudi_block_begin(&writer, &bytes, HUDI_BLOCK_AVRO, "20980101000000001", row_schema);
    size_t mark = hudi_records_begin(&bytes);
    mor_buffer_append_be32(&bytes, 1000);
    hudi_records_end(&bytes, mark, 1);
    hudi_block_end(&writer);
    add_log(fixture, 1, &bytes);
    complete(fixture, "20980101000000001");
    assert_int_equal(read_deltas(fixture, &counts), MOR_DATA);
    mor_buffer_done(&bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(blocks_of_completed_instants_only_are_read),
        TEST(command_block_takes_back_blocks_before_it_in_other_files),
        TEST(typed_orderings_of_deletes_come_in_the_columns_type),
        TEST(blocks_that_cannot_be_read_are_errors_in_words),
        TEST(cut_record_in_a_data_block_is_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
