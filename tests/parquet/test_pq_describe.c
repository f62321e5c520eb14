#include "parquet_test.h"

static void describe(const struct mor_batch *batch, bool json, struct mor_buffer *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    const struct mor_parquet_column_options column = {
        .path = "i64", .encoding = MOR_PARQUET_PLAIN, .bloom_filter = true};
    options.columns = &column;
    options.column_count = 1;
    struct memory_file file = {0};
    write_file(&file, batch, &options);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    assert_ok(mor_parquet_reader_open(&source, NULL, &reader, &err));
    assert_ok(mor_parquet_describe(reader, json, text, &err));
    mor_buffer_terminate(text);
    mor_parquet_reader_free(reader);
    memory_done(&file);
}

static void text_and_json_name_types_encodings_and_statistics(void **state)
{
    (void)state;
    struct mor_schema *schema = all_types_schema();
    struct mor_batch *batch = random_batch(schema, 100, 1, 10);
    static const char *const texts[] = {
        "100 rows, 1 row groups",
        "optional INT64 i64 = 3",
        "optional BYTE_ARRAY text (STRING)",
        "FIXED_LEN_BYTE_ARRAY amount [6] (DECIMAL(12,2))",
        "TIMESTAMP(MICROS,local)",
        "i64: INT64 ZSTD PLAIN",
        "bloom filter of",
        "1 pages",
    };
    static const char *const jsons[] = {
        "{\"rows\":100,",
        "\"annotation\":\"DECIMAL(12,2)\"",
        "\"encodings\":[\"PLAIN\",\"RLE\"]",
        "\"nulls\":",
        "\"column_index\":true",
        "\"min_exact\":true",
        "\"metadata\":{}}",
    };
    MOR_AUTO_BUFFER text = {0}, json = {0};
    describe(batch, false, &text);
    describe(batch, true, &json);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!strstr((const char *)text.data, texts[i]))
            fail_msg("'%s' is missing in\n%s", texts[i], (const char *)text.data);
    }
    for (size_t i = 0; i < sizeof jsons / sizeof *jsons; i++) {
        if (!strstr((const char *)json.data, jsons[i]))
            fail_msg("'%s' is missing in\n%s", jsons[i], (const char *)json.data);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_json_name_types_encodings_and_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
