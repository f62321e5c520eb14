#include <math.h>

#include "parquet_test.h"
#include "pq_meta.h"

static const enum mor_parquet_codec codecs[] = {MOR_PARQUET_UNCOMPRESSED, MOR_PARQUET_SNAPPY,
                                                MOR_PARQUET_GZIP, MOR_PARQUET_LZ4_RAW,
                                                MOR_PARQUET_ZSTD};

// Writes the batch, reads the file as it is, compares every row.
static void check_round_trip(const struct mor_batch *batch,
                             const struct mor_parquet_writer_options *options, size_t batch_rows)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct memory_file file = {0};
    MOR_AUTO_BUFFER want = {0}, got = {0};
    write_file(&file, batch, options);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
    assert_int_equal(mor_parquet_reader_row_count(reader), (int64_t)batch->row_count);
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    assert_true(mor_schema_equal(schema, batch->schema));
    assert_int_equal(read_rows_json(reader, schema, batch_rows, &got), batch->row_count);
    append_rows_json(batch, 0, batch->row_count, &want);
    assert_same_text(&want, &got);
    mor_parquet_reader_free(reader);
    memory_done(&file);
}

static void rows_of_all_types_round_trip_with_every_codec_and_page_version(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 1500, 1, 20);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        for (int32_t version = 1; version <= 2; version++) {
            struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
            options.codec = codecs[i];
            options.codec_level = 0;
            options.data_page_version = version;
            options.write_checksums = version == 2;
            options.page_rows_max = 333;
            options.row_group_rows_max = 700;
            check_round_trip(batch, &options, 100);
        }
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void nested_rows_round_trip_at_every_share_of_nulls(void **state)
{
    (void)state;
    struct mor_schema *schema = nested_schema();
    const unsigned shares[] = {0, 5, 50, 100};
    for (size_t i = 0; i < 4; i++) {
        struct mor_batch *batch = random_batch(schema, 800, 10 + i, shares[i]);
        for (int32_t version = 1; version <= 2; version++) {
            struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
            options.data_page_version = version;
            options.page_rows_max = 50;
            options.row_group_rows_max = 301;
            options.thread_count = (size_t)version;
            check_round_trip(batch, &options, 77);
        }
        mor_batch_free(batch);
    }
    mor_schema_free(schema);
}

static void every_profile_and_forced_encoding_round_trips(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 600, 2, 10);
    for (int profile = MOR_PARQUET_COMPATIBLE; profile <= MOR_PARQUET_COMPACT; profile++) {
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.profile = (enum mor_parquet_profile)profile;
        options.decimal_as_integer = profile == MOR_PARQUET_COMPACT;
        check_round_trip(batch, &options, 600);
    }
    const struct mor_parquet_column_options forced[][5] = {
        {{.path = "i32", .encoding = MOR_PARQUET_DELTA_BINARY_PACKED},
         {.path = "text", .encoding = MOR_PARQUET_DELTA_BYTE_ARRAY},
         {.path = "f64", .encoding = MOR_PARQUET_BYTE_STREAM_SPLIT},
         {.path = "fixed", .encoding = MOR_PARQUET_DELTA_BYTE_ARRAY},
         {.path = "flag", .encoding = MOR_PARQUET_RLE}},
        {{.path = "i64", .encoding = MOR_PARQUET_BYTE_STREAM_SPLIT},
         {.path = "bytes", .encoding = MOR_PARQUET_DELTA_LENGTH_BYTE_ARRAY, .bloom_filter = true},
         {.path = "uuid", .encoding = MOR_PARQUET_BYTE_STREAM_SPLIT},
         {.path = "amount",
          .encoding = MOR_PARQUET_DICTIONARY,
          .bloom_filter = true,
          .bloom_filter_fpp = 0.1},
         {.path = "f32", .encoding = MOR_PARQUET_DICTIONARY}},
    };
    for (size_t i = 0; i < 2; i++) {
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.columns = forced[i];
        options.column_count = 5;
        check_round_trip(batch, &options, 600);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void print_fault(void *context, const char *text)
{
    (void)context;
    print_error("%s\n", text);
}

// Rows of two batches side by side, one column a constant: as if they had been one batch.
static void constant_columns_and_columns_of_several_batches_are_those_of_one(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("constants");
    mor_schema_add(schema, NULL, "same", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "number", MOR_TYPE_INT64, false);
    mor_schema_add(schema, NULL, "empty", MOR_TYPE_BYTES, false);
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, true);
    const struct mor_parquet_column_options columns[] = {
        {.path = "same", .bloom_filter = true, .constant = "grüße", .constant_size_bytes = 7},
        {.path = "empty", .constant = "", .constant_size_bytes = 0}};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.page_rows_max = 100;
    options.row_group_rows_max = 350;
    options.columns = columns;
    options.column_count = 2;
    struct mor_batch *numbers = random_batch(schema, 1000, 3, 0),
                     *texts = random_batch(schema, 1000, 4, 30),
                     *want = mor_batch_new(schema, NULL);
    for (uint32_t row = 0; row < 900; row++) {
        const uint32_t shifted = row + 7;
        mor_vector_append_bytes(&want->columns[0], "grüße", 7);
        mor_vector_append_slots(&want->columns[1], &numbers->columns[1], &row, 1);
        mor_vector_append_bytes(&want->columns[2], "", 0);
        mor_vector_append_slots(&want->columns[3], &texts->columns[3], &shifted, 1);
    }
    want->row_count = 900;
    for (int32_t version = 1; version <= 2; version++) {
        struct memory_file file = {0};
        struct mor_byte_sink sink = memory_sink(&file);
        struct mor_parquet_writer *writer = NULL;
        options.data_page_version = version;
        assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
        for (size_t first = 0; first < 900; first += 450) {
            const struct mor_parquet_column_rows rows[] = {{NULL, 0},
                                                           {&numbers->columns[1], first},
                                                           {NULL, 0},
                                                           {&texts->columns[3], first + 7}};
            assert_ok(mor_parquet_writer_append_columns(writer, rows, 450, &err));
        }
        assert_ok(mor_parquet_writer_finish(writer, &err));
        mor_parquet_writer_free(writer);
        struct mor_byte_source source = memory_source(&file);
        struct mor_parquet_reader *reader = NULL;
        MOR_AUTO_BUFFER got = {0}, expected = {0};
        assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
        assert_int_equal(read_rows_json(reader, schema, 77, &got), 900);
        append_rows_json(want, 0, 900, &expected);
        assert_same_text(&expected, &got);
        mor_parquet_reader_free(reader);
        // statistics, page indexes and bloom filters are those of the values
        struct mor_parquet_verified counts = {0};
        assert_ok(mor_parquet_verify(
            &source, &(struct mor_parquet_verify_options){.report = print_fault}, &counts, &err));
        assert_int_equal(counts.fault_count, 0);
        memory_done(&file);
    }
    mor_batch_free(numbers);
    mor_batch_free(texts);
    mor_batch_free(want);
    mor_schema_free(schema);
}

static void file_without_rows_keeps_schema_and_metadata(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema();
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    mor_parquet_writer_add_metadata(writer, "who", "tests");
    mor_parquet_writer_add_metadata(writer, "empty", "");
    assert_ok(mor_parquet_writer_finish(writer, &err));
    mor_parquet_writer_free(writer);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
    assert_true(mor_schema_equal(mor_parquet_reader_schema(reader), schema));
    const struct mor_parquet_key_value *pairs;
    assert_int_equal(mor_parquet_reader_metadata(reader, &pairs), 2);
    assert_string_equal(pairs[0].key, "who");
    assert_string_equal(pairs[0].value, "tests");
    assert_string_equal(pairs[1].value, "");
    MOR_AUTO_BUFFER rows = {0};
    assert_int_equal(read_rows_json(reader, mor_parquet_reader_schema(reader), 10, &rows), 0);
    mor_parquet_reader_free(reader);
    mor_schema_free(schema);
    memory_done(&file);
}

static void two_thousand_columns_round_trip(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("wide");
    for (int i = 0; i < 2000; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        mor_schema_add(schema, NULL, name, i % 2 ? MOR_TYPE_INT32 : MOR_TYPE_STRING, true);
    }
    struct mor_batch *batch = random_batch(schema, 20, 3, 30);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    check_round_trip(batch, &options, 20);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void strings_of_a_mebibyte_fill_pages_of_their_own(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("long");
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    char *text = mor_alloc(1 << 20);
    for (int i = 0; i < 12; i++) {
        memset(text, 'a' + i, 1 << 20);
        if (i % 5 == 4)
            mor_vector_append_null(&batch->columns[0]);
        else
            mor_vector_append_bytes(&batch->columns[0], text, i % 2 ? 1 : 1 << 20);
    }
    batch->row_count = 12;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    check_round_trip(batch, &options, 12);
    options.row_group_bytes_max = 3 << 20;
    check_round_trip(batch, &options, 5);
    free(text);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

// Reads the footer with the module's own parser to look at what the public face does not show.
static void parse_footer(const struct memory_file *file, struct mor_arena *arena,
                         struct mor_pq_file *ret_file)
{
    struct mor_error err = MOR_ERROR_INIT;
    uint32_t size;
    const uint8_t *end = file->bytes.data + file->bytes.size_bytes;
    assert_memory_equal(end - 4, "PAR1", 4);
    memcpy(&size, end - 8, 4);
    assert_ok(mor_pq_file_parse(end - 8 - size, size, 0, arena, ret_file, &err));
}

static void row_groups_end_at_their_rows_and_bytes(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "bytes", MOR_TYPE_BYTES, false);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    uint8_t noise_bytes[1000];
    uint64_t seed = 5;
    for (int row = 0; row < 1000; row++) {
        for (size_t i = 0; i < sizeof noise_bytes; i++)
            noise_bytes[i] = (uint8_t)noise(&seed);
        mor_vector_append_bytes(&batch->columns[0], noise_bytes, sizeof noise_bytes);
    }
    batch->row_count = 1000;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct mor_arena arena;
    struct mor_pq_file footer;
    mor_arena_init(&arena, 0, NULL);
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        struct memory_file file = {0};
        options.row_group_rows_max = by_bytes ? 0 : 300;
        options.row_group_bytes_max = by_bytes ? 256 << 10 : 0;
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_byte_sink sink = memory_sink(&file);
        struct mor_parquet_writer *writer = NULL;
        assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
        for (size_t first = 0; first < 1000; first += 50)
            assert_ok(mor_parquet_writer_append(writer, batch, first, 50, &err));
        assert_ok(mor_parquet_writer_finish(writer, &err));
        mor_parquet_writer_free(writer);
        parse_footer(&file, &arena, &footer);
        assert_int_equal(footer.row_group_count, 4);
        assert_int_equal(footer.row_groups[0].num_rows, 300);
        memory_done(&file);
    }
    mor_arena_done(&arena);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void footer_holds_statistics_sizes_sorting_and_types(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 500, 4, 50);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    const struct mor_parquet_sorting_column sorting = {"i64", true, true};
    options.sorting = &sorting;
    options.sorting_count = 1;
    options.created_by = "tests version 1";
    struct memory_file file = {0};
    struct mor_arena arena;
    struct mor_pq_file footer;
    mor_arena_init(&arena, 0, NULL);
    write_file(&file, batch, &options);
    parse_footer(&file, &arena, &footer);
    const struct mor_pq_row_group *group = &footer.row_groups[0];
    assert_int_equal(footer.created_by.size_bytes, strlen("tests version 1"));
    assert_int_equal(group->sorting_count, 1);
    assert_int_equal(group->sorting[0].column, 2);
    assert_true(group->sorting[0].descending && group->sorting[0].nulls_first);
    assert_int_equal(footer.column_order_count, batch->column_count);
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct mor_pq_chunk *chunk = &group->chunks[i];
        const struct mor_pq_element *e = &footer.elements[i + 1];
        assert_int_equal(chunk->statistics.null_count, (int64_t)batch->columns[i].null_count);
        // random bits of floating point are NaN now and then
        if (e->type != MOR_PQ_FLOAT && e->type != MOR_PQ_DOUBLE) {
            assert_non_null(chunk->statistics.min_value.data);
            assert_int_equal(chunk->statistics.min_exact, 1);
            assert_true(chunk->column_index_offset > 0);
        }
        assert_true(chunk->offset_index_offset > 0);
        assert_int_equal(chunk->sizes.unencoded_bytes >= 0, e->type == MOR_PQ_BYTE_ARRAY);
        assert_int_equal(e->field_id, (int32_t)i + 1);
        assert_int_equal(chunk->num_values, 500);
    }
    const struct mor_pq_element *amount = &footer.elements[16], *big = &footer.elements[17];
    assert_int_equal(amount->type, MOR_PQ_FLBA);
    assert_int_equal(amount->type_length, 6);
    assert_int_equal(amount->converted, MOR_PQ_C_DECIMAL);
    assert_int_equal(big->type_length, 16);
    assert_int_equal(big->repetition, MOR_PQ_REQUIRED);
    const struct mor_pq_element *ts = &footer.elements[10], *local = &footer.elements[19];
    assert_int_equal(ts->converted, MOR_PQ_C_TIMESTAMP_MICROS);
    assert_true(ts->utc && !local->utc && local->logical == MOR_PQ_L_TIMESTAMP);
    mor_arena_done(&arena);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void conservative_profile_uses_no_delta_encodings(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 3000, 6, 10);
    const uint32_t plain = 1u << MOR_PQ_PLAIN | 1u << MOR_PQ_RLE | 1u << MOR_PQ_RLE_DICTIONARY;
    const uint32_t delta = 1u << MOR_PQ_DELTA_BINARY_PACKED | 1u << MOR_PQ_DELTA_LENGTH_BYTE_ARRAY;
    for (int profile = MOR_PARQUET_COMPATIBLE; profile <= MOR_PARQUET_CONSERVATIVE; profile++) {
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.profile = (enum mor_parquet_profile)profile;
        struct memory_file file = {0};
        struct mor_arena arena;
        struct mor_pq_file footer;
        mor_arena_init(&arena, 0, NULL);
        write_file(&file, batch, &options);
        parse_footer(&file, &arena, &footer);
        uint32_t used = 0;
        for (size_t i = 0; i < batch->column_count; i++)
            used |= footer.row_groups[0].chunks[i].encodings;
        assert_int_equal(used & ~(profile == MOR_PARQUET_COMPATIBLE ? plain | delta : plain), 0);
        mor_arena_done(&arena);
        memory_done(&file);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void dictionary_that_grows_too_large_is_given_up(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, false);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int i = 0; i < 20000; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "value-%d", i < 10000 ? i % 10 : i);
        mor_vector_append_bytes(&batch->columns[0], text, (size_t)length);
    }
    batch->row_count = 20000;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.page_rows_max = 1000;
    options.dictionary_bytes_max = 4096;
    struct memory_file file = {0};
    struct mor_arena arena;
    struct mor_pq_file footer;
    mor_arena_init(&arena, 0, NULL);
    write_file(&file, batch, &options);
    parse_footer(&file, &arena, &footer);
    uint32_t encodings = footer.row_groups[0].chunks[0].encodings;
    assert_true(encodings >> MOR_PQ_RLE_DICTIONARY & 1);
    assert_true(encodings >> MOR_PQ_DELTA_LENGTH_BYTE_ARRAY & 1);
    check_round_trip(batch, &options, 20000);
    mor_arena_done(&arena);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void null_in_a_required_column_is_an_error_with_its_place(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t"), *loose = mor_schema_new("t");
    struct mor_field *map = mor_schema_add(schema, NULL, "m", MOR_TYPE_MAP, true);
    mor_schema_add(schema, map, "key", MOR_TYPE_STRING, true); // keys are required in files
    mor_schema_add(schema, map, "value", MOR_TYPE_INT32, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    mor_vector_append_null(&batch->columns[0].children[0]);
    mor_vector_append_null(&batch->columns[0].children[1]);
    mor_vector_append_end(&batch->columns[0]);
    batch->row_count = 1;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    assert_fails(mor_parquet_writer_append(writer, batch, 0, 1, &err), MOR_DATA, "null");
    assert_int_equal(err.column, 0);
    assert_int_equal(err.row_group, 0);
    assert_fails(mor_parquet_writer_finish(writer, &err), MOR_FATAL, "failed before");
    mor_parquet_writer_free(writer);
    assert_int_equal(file.bytes.size_bytes, 0);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
    mor_schema_free(loose);
}

static void chunk_with_nan_has_no_bounds_and_no_column_index(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "clean", MOR_TYPE_DOUBLE, true);
    mor_schema_add(schema, NULL, "nan", MOR_TYPE_DOUBLE, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int i = 0; i < 300; i++) {
        double value = i, other = i == 150 ? (double)NAN : i;
        mor_vector_append_fixed(&batch->columns[0], &value);
        mor_vector_append_fixed(&batch->columns[1], &other);
    }
    batch->row_count = 300;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.page_rows_max = 100;
    struct memory_file file = {0};
    struct mor_arena arena;
    struct mor_pq_file footer;
    mor_arena_init(&arena, 0, NULL);
    write_file(&file, batch, &options);
    parse_footer(&file, &arena, &footer);
    const struct mor_pq_chunk *clean = &footer.row_groups[0].chunks[0], *nan = clean + 1;
    assert_non_null(clean->statistics.min_value.data);
    assert_true(clean->column_index_offset > 0);
    assert_null(nan->statistics.min_value.data);
    assert_null(nan->statistics.max_value.data);
    assert_int_equal(nan->statistics.null_count, 0);
    assert_true(nan->column_index_offset < 0 && nan->offset_index_offset > 0);
    check_round_trip(batch, &options, 300);
    mor_arena_done(&arena);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void decimal_with_too_many_digits_is_an_error(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    struct mor_field *field = mor_schema_add(schema, NULL, "d", MOR_TYPE_DECIMAL, true);
    field->precision = 5;
    field->scale = 2;
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    const mor_int128 numbers[] = {99999, -99999, 100000};
    for (size_t i = 0; i < 3; i++)
        mor_vector_append_fixed(&batch->columns[0], &numbers[i]);
    batch->row_count = 3;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    assert_ok(mor_parquet_writer_append(writer, batch, 0, 2, &err));
    assert_fails(mor_parquet_writer_append(writer, batch, 2, 1, &err), MOR_DATA, "5 digits");
    mor_parquet_writer_free(writer);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void failing_sink_fails_append_or_finish_at_every_write(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 300, 7, 10);
    bool failed = true;
    for (size_t fail_at = 1; failed; fail_at++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct memory_file file = {.fail_at = fail_at};
        struct mor_byte_sink sink = memory_sink(&file);
        struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
        options.row_group_rows_max = 100;
        struct mor_parquet_writer *writer = NULL;
        assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
        enum mor_status status = mor_parquet_writer_append(writer, batch, 0, 300, &err);
        if (status == MOR_OK)
            status = mor_parquet_writer_finish(writer, &err);
        failed = file.writes >= fail_at;
        assert_int_equal(status, failed ? MOR_RETRY : MOR_OK);
        mor_parquet_writer_free(writer);
        memory_done(&file);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void footer_that_was_stored_wrongly_fails_finish(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema();
    struct memory_file file = {.lie = true};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    assert_fails(mor_parquet_writer_finish(writer, &err), MOR_RETRY, "differs");
    mor_parquet_writer_free(writer);
    mor_schema_free(schema);
    memory_done(&file);
}

static void memory_is_counted_and_given_back(void **state)
{
    (void)state;
    struct mor_budget budget;
    mor_budget_init(&budget, 1 << 30);
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = nested_schema();
    struct mor_batch *batch = random_batch(schema, 2000, 8, 10);
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.budget = &budget;
    struct mor_parquet_writer *writer = NULL;
    assert_ok(mor_parquet_writer_open(schema, &sink, &options, &writer, &err));
    assert_ok(mor_parquet_writer_append(writer, batch, 0, 2000, &err));
    size_t encoding = mor_budget_used(&budget);
    assert_true(encoding > 50000);
    assert_ok(mor_parquet_writer_finish(writer, &err));
    // many finished files may wait for their commit
    assert_true(mor_budget_used(&budget) < encoding / 4);
    mor_parquet_writer_free(writer);
    assert_int_equal(mor_budget_used(&budget), 0);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, &budget, &reader, &err));
    MOR_AUTO_BUFFER rows = {0};
    read_rows_json(reader, mor_parquet_reader_schema(reader), 100, &rows);
    assert_true(mor_budget_used(&budget) > 0);
    mor_parquet_reader_free(reader);
    assert_int_equal(mor_budget_used(&budget), 0);
    memory_done(&file);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void options_that_cannot_be_met_are_refused_by_name(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = all_types_schema(), *empty = mor_schema_new("empty");
    struct memory_file file = {0};
    struct mor_byte_sink sink = memory_sink(&file);
    struct mor_parquet_writer *writer = NULL;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct mor_parquet_column_options column = {.path = "nowhere", .encoding = MOR_PARQUET_PLAIN};
    options.columns = &column;
    options.column_count = 1;
    assert_fails(mor_parquet_writer_open(schema, &sink, &options, &writer, &err), MOR_FATAL,
                 "nowhere");
    column = (struct mor_parquet_column_options){.path = "text",
                                                 .encoding = MOR_PARQUET_BYTE_STREAM_SPLIT};
    assert_fails(mor_parquet_writer_open(schema, &sink, &options, &writer, &err), MOR_FATAL,
                 "BYTE_STREAM_SPLIT");
    options.column_count = 0;
    assert_fails(mor_parquet_writer_open(empty, &sink, &options, &writer, &err), MOR_FATAL,
                 "at least one column");
    mor_schema_free(schema);
    mor_schema_free(empty);
    memory_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_all_types_round_trip_with_every_codec_and_page_version),
        cmocka_unit_test(nested_rows_round_trip_at_every_share_of_nulls),
        cmocka_unit_test(every_profile_and_forced_encoding_round_trips),
        cmocka_unit_test(constant_columns_and_columns_of_several_batches_are_those_of_one),
        cmocka_unit_test(file_without_rows_keeps_schema_and_metadata),
        cmocka_unit_test(two_thousand_columns_round_trip),
        cmocka_unit_test(strings_of_a_mebibyte_fill_pages_of_their_own),
        cmocka_unit_test(row_groups_end_at_their_rows_and_bytes),
        cmocka_unit_test(footer_holds_statistics_sizes_sorting_and_types),
        cmocka_unit_test(conservative_profile_uses_no_delta_encodings),
        cmocka_unit_test(dictionary_that_grows_too_large_is_given_up),
        cmocka_unit_test(null_in_a_required_column_is_an_error_with_its_place),
        cmocka_unit_test(chunk_with_nan_has_no_bounds_and_no_column_index),
        cmocka_unit_test(decimal_with_too_many_digits_is_an_error),
        cmocka_unit_test(failing_sink_fails_append_or_finish_at_every_write),
        cmocka_unit_test(footer_that_was_stored_wrongly_fails_finish),
        cmocka_unit_test(memory_is_counted_and_given_back),
        cmocka_unit_test(options_that_cannot_be_met_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
