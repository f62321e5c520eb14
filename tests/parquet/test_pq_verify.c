#include "parquet_test.h"
#include "pq_meta.h"

// What mor_parquet_verify reported, one fault after the other.
struct faults {
    struct mor_buffer text;
    int64_t count;
};

static void take_fault(void *context, const char *text)
{
    struct faults *faults = context;
    faults->count++;
    mor_buffer_append_text(&faults->text, text);
    mor_buffer_append_u8(&faults->text, '\n');
}

static enum mor_status verify(struct memory_file *file, struct faults *faults,
                              struct mor_parquet_verified *ret_verified, struct mor_error *err)
{
    struct mor_byte_source source = memory_source(file);
    const struct mor_parquet_verify_options options = {.report = take_fault, .context = faults};
    mor_buffer_reset(&faults->text);
    faults->count = 0;
    return mor_parquet_verify(&source, &options, ret_verified, err);
}

static void expect_faults(struct memory_file *file, const char *words)
{
    struct faults faults = {0};
    struct mor_parquet_verified verified;
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(verify(file, &faults, &verified, &err));
    mor_buffer_terminate(&faults.text);
    if (!words && faults.count > 0)
        fail_msg("unexpected: %s", (char *)faults.text.data);
    if (words && (faults.count == 0 || !strstr((char *)faults.text.data, words)))
        fail_msg("'%s' is not in: %s", words, faults.count ? (char *)faults.text.data : "");
    assert_int_equal(verified.fault_count, faults.count);
    mor_buffer_done(&faults.text);
}

// 5,000 rows of every type, or nested ones, in two row groups.
static void make_file(struct memory_file *file, bool nested,
                      const struct mor_parquet_writer_options *options)
{
    struct mor_schema *schema = nested ? nested_schema() : all_types_schema();
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    uint64_t seed = 11;
    for (size_t row = 0; row < 5000; row++)
        for (size_t c = 0; c < batch->column_count; c++)
            append_random(&batch->columns[c], &seed, 10);
    batch->row_count = 5000;
    write_file(file, batch, options);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static struct mor_parquet_writer_options small_pages(void)
{
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.row_group_rows_max = 2500;
    options.page_rows_max = 500;
    options.write_checksums = true;
    return options;
}

static void files_as_they_are_written_have_no_fault(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        for (int nested = 0; nested <= 1; nested++) {
            for (int profile = MOR_PARQUET_COMPATIBLE; profile <= MOR_PARQUET_COMPACT; profile++) {
                struct memory_file file = {0};
                struct mor_parquet_writer_options options = small_pages();
                options.data_page_version = version;
                options.profile = (enum mor_parquet_profile)profile;
                make_file(&file, nested, &options);
                expect_faults(&file, NULL);
                memory_done(&file);
            }
        }
    }
}

static void what_was_checked_is_counted(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    const struct mor_parquet_column_options columns[] = {{.path = "i64",
                                                          .encoding = MOR_PARQUET_AUTO,
                                                          .bloom_filter = true,
                                                          .bloom_filter_fpp = 0.01},
                                                         {.path = "text",
                                                          .encoding = MOR_PARQUET_AUTO,
                                                          .bloom_filter = true,
                                                          .bloom_filter_fpp = 0.01}};
    options.columns = columns;
    options.column_count = 2;
    make_file(&file, false, &options);
    struct faults faults = {0};
    struct mor_parquet_verified verified;
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(verify(&file, &faults, &verified, &err));
    assert_int_equal(faults.count, 0);
    assert_int_equal(verified.row_count, 5000);
    assert_int_equal(verified.chunk_count, 2 * 19);
    assert_true(verified.page_count >= 2 * 19 * 5);
    assert_int_equal(verified.checksums_checked, verified.page_count);
    assert_int_equal(verified.blooms_checked, 4);
    assert_true(verified.bounds_checked >= 2 * 17); // random floats may hold a NaN
    assert_true(verified.page_bounds_checked >= 10 * 17);
    memory_done(&file);
}

// Changes the footer of a file with `edit` and writes it anew.
static void edit_footer(struct memory_file *file, void (*edit)(struct mor_pq_file *parsed))
{
    struct mor_arena arena;
    struct mor_pq_file parsed;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER footer = {0};
    mor_arena_init(&arena, 0, NULL);
    uint32_t length;
    memcpy(&length, file->bytes.data + file->bytes.size_bytes - 8, 4);
    size_t start = file->bytes.size_bytes - 8 - length;
    assert_ok(
        mor_pq_file_parse(file->bytes.data + start, length, (int64_t)start, &arena, &parsed, &err));
    edit(&parsed);
    mor_pq_file_write(&parsed, &footer);
    file->bytes.size_bytes = start;
    mor_buffer_append(&file->bytes, footer.data, footer.size_bytes);
    mor_buffer_append_le32(&file->bytes, (uint32_t)footer.size_bytes);
    mor_buffer_append(&file->bytes, "PAR1", 4);
    mor_arena_done(&arena);
}

enum { COLUMN_I32 = 1, COLUMN_TEXT = 10, COLUMN_AMOUNT = 15 };

static struct mor_pq_statistics *statistics(struct mor_pq_file *parsed, size_t column)
{
    return &parsed->row_groups[1].chunks[column].statistics;
}

static void raise_minimum(struct mor_pq_file *parsed)
{
    statistics(parsed, COLUMN_I32)->min_value = statistics(parsed, COLUMN_I32)->max_value;
}

static void lower_text_maximum(struct mor_pq_file *parsed)
{
    statistics(parsed, COLUMN_TEXT)->max_value = statistics(parsed, COLUMN_TEXT)->min_value;
}

static void lower_decimal_maximum(struct mor_pq_file *parsed)
{
    statistics(parsed, COLUMN_AMOUNT)->max_value = statistics(parsed, COLUMN_AMOUNT)->min_value;
}

static void widen_exact_minimum(struct mor_pq_file *parsed)
{
    static const uint8_t lowest[] = {0, 0, 0, 0x80};
    statistics(parsed, COLUMN_I32)->min_value = (struct mor_pq_bytes){lowest, 4};
    statistics(parsed, COLUMN_I32)->min_exact = 1;
}

static void change_null_count(struct mor_pq_file *parsed)
{
    statistics(parsed, COLUMN_I32)->null_count++;
}

static void change_row_count(struct mor_pq_file *parsed)
{
    parsed->num_rows++;
}

static void statistics_that_values_contradict_are_named(void **state)
{
    (void)state;
    static const struct {
        void (*edit)(struct mor_pq_file *);
        const char *words;
    } cases[] = {
        {raise_minimum, "row group 1, column 'i32': the minimum of the chunk is above a value"},
        {lower_text_maximum, "row group 1, column 'text': the maximum of the chunk is below"},
        {lower_decimal_maximum, "column 'amount': the maximum of the chunk is below a value"},
        {widen_exact_minimum, "is said to be exact and is no value"},
        {change_null_count, "nulls are stated, there are"},
        {change_row_count, "the footer states 5001 rows, its row groups 5000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct memory_file file = {0};
        struct mor_parquet_writer_options options = small_pages();
        make_file(&file, false, &options);
        edit_footer(&file, cases[i].edit);
        expect_faults(&file, cases[i].words);
        memory_done(&file);
    }
}

// The first chunk with a place, from a parsed footer.
static struct mor_pq_chunk chunk_of(struct memory_file *file, size_t column)
{
    struct mor_arena arena;
    struct mor_pq_file parsed;
    struct mor_error err = MOR_ERROR_INIT;
    mor_arena_init(&arena, 0, NULL);
    uint32_t length;
    memcpy(&length, file->bytes.data + file->bytes.size_bytes - 8, 4);
    size_t start = file->bytes.size_bytes - 8 - length;
    assert_ok(
        mor_pq_file_parse(file->bytes.data + start, length, (int64_t)start, &arena, &parsed, &err));
    struct mor_pq_chunk chunk = parsed.row_groups[0].chunks[column];
    mor_arena_done(&arena);
    return chunk;
}

static void a_flipped_byte_in_a_page_is_found_by_its_checksum(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    make_file(&file, false, &options);
    struct mor_pq_chunk chunk = chunk_of(&file, COLUMN_TEXT);
    file.bytes.data[chunk.data_page_offset + chunk.total_compressed_bytes / 2] ^= 0x10;
    expect_faults(&file, "column 'text': ");
    memory_done(&file);
}

static void a_bloom_filter_that_lost_bits_is_named(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    const struct mor_parquet_column_options column = {.path = "i64",
                                                      .encoding = MOR_PARQUET_AUTO,
                                                      .bloom_filter = true,
                                                      .bloom_filter_fpp = 0.01};
    options.columns = &column;
    options.column_count = 1;
    make_file(&file, false, &options);
    struct mor_pq_chunk chunk = chunk_of(&file, 2);
    assert_true(chunk.bloom_filter_offset > 0);
    memset(file.bytes.data + chunk.bloom_filter_offset + chunk.bloom_filter_length - 64, 0, 64);
    expect_faults(&file, "row group 0, column 'i64': the bloom filter denies");
    memory_done(&file);
}

static void a_page_index_that_values_contradict_is_named(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    make_file(&file, false, &options);
    struct mor_pq_chunk chunk = chunk_of(&file, COLUMN_I32);
    struct mor_arena arena;
    struct mor_pq_column_index index;
    struct mor_error err = MOR_ERROR_INIT;
    mor_arena_init(&arena, 0, NULL);
    assert_ok(mor_pq_column_index_parse(file.bytes.data + chunk.column_index_offset,
                                        (size_t)chunk.column_index_length, &arena, &index, &err));
    ((uint8_t *)(uintptr_t)index.max_values[1].data)[3] = 0x80; // now far below zero
    mor_arena_done(&arena);
    expect_faults(&file, "row group 0, column 'i32': the maximum of page 1 is below a value");
    memory_done(&file);
}

static void a_footer_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    make_file(&file, false, &options);
    file.bytes.size_bytes -= 100;
    struct faults faults = {0};
    struct mor_parquet_verified verified;
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(verify(&file, &faults, &verified, &err), MOR_DATA);
    memory_done(&file);
}

// Whatever byte is changed: a fault or an error, or nothing when no reader would notice; never a
// crash.
static void any_flipped_byte_is_survived(void **state)
{
    (void)state;
    struct memory_file file = {0};
    struct mor_parquet_writer_options options = small_pages();
    options.row_group_rows_max = 5000;
    make_file(&file, true, &options);
    uint64_t seed = 5;
    size_t found = 0;
    for (int round = 0; round < 300; round++) {
        size_t at = noise(&seed) % file.bytes.size_bytes;
        uint8_t bit = (uint8_t)(1u << (noise(&seed) % 8));
        file.bytes.data[at] ^= bit;
        struct faults faults = {0};
        struct mor_parquet_verified verified;
        struct mor_error err = MOR_ERROR_INIT;
        found += verify(&file, &faults, &verified, &err) != MOR_OK || faults.count > 0;
        mor_buffer_done(&faults.text);
        file.bytes.data[at] ^= bit;
    }
    assert_true(found > 200);
    expect_faults(&file, NULL);
    memory_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_as_they_are_written_have_no_fault),
        cmocka_unit_test(what_was_checked_is_counted),
        cmocka_unit_test(statistics_that_values_contradict_are_named),
        cmocka_unit_test(a_flipped_byte_in_a_page_is_found_by_its_checksum),
        cmocka_unit_test(a_bloom_filter_that_lost_bits_is_named),
        cmocka_unit_test(a_page_index_that_values_contradict_is_named),
        cmocka_unit_test(a_footer_that_cannot_be_read_is_an_error),
        cmocka_unit_test(any_flipped_byte_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
