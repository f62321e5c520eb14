// Files that other people's software wrote (apache/parquet-testing), with the values they hold.
#include <errno.h>
#include <unistd.h>

#include "parquet_test.h"

static bool load(const char *name, struct mor_buffer *ret_bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/parquet/%s", MORAINE_GOLDEN, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    uint8_t piece[4096];
    for (size_t count; (count = fread(piece, 1, sizeof piece, file)) > 0;)
        mor_buffer_append(ret_bytes, piece, count);
    fclose(file);
    return true;
}

// Rows as JSON lines; the class of the first error.
static enum mor_status read_golden(const char *name, struct mor_buffer *text, size_t *ret_rows,
                                   struct mor_error *err)
{
    struct memory_file file = {0};
    if (!load(name, &file.bytes))
        fail_msg("golden file %s is missing", name);
    struct mor_byte_source source = memory_source(&file);
    struct mor_parquet_reader *reader = NULL;
    enum mor_status status = mor_parquet_reader_open(&source, NULL, &reader, err);
    struct mor_batch *batch = NULL;
    if (status == MOR_OK)
        batch = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
    *ret_rows = 0;
    while (status == MOR_OK) {
        status = mor_parquet_reader_next(reader, 100, batch, NULL, err);
        if (status != MOR_OK || batch->row_count == 0)
            break;
        status = mor_batch_validate(batch, err);
        append_rows_json(batch, 0, batch->row_count, text);
        *ret_rows += batch->row_count;
    }
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
    memory_done(&file);
    return status;
}

static void files_of_every_feature_give_their_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t rows;
        const char *first; // how the first row begins
    } files[] = {
        {"alltypes_dictionary.parquet", 2,
         "0,true,0,0,0,0,0.0,0.0,\"MDEvMDEvMDk=\",\"MA==\","
         "\"2009-01-01T00:00:00\"\n1,false,1,1,1,10,1.1"},
        {"alltypes_plain.parquet", 8, "4,true,0,0,0,0,0.0,0.0,\"MDMvMDEvMDk=\""},
        {"alltypes_plain.snappy.parquet", 2, "6,true,0,"},
        {"binary.parquet", 12, "\"AA==\"\n\"AQ==\""},
        {"binary_truncated_min_max.parquet", 12, "\"Blart Versenwald III\""},
        {"byte_array_decimal.parquet", 24, "\"1.00\"\n\"2.00\""},
        {"byte_stream_split.zstd.parquet", 300, "1.7640524,-1.3065268517353166"},
        {"byte_stream_split_extended.gzip.parquet", 200, "10.3046875,10.3046875,"},
        {"column_chunk_key_value_metadata.parquet", 0, ""},
        {"concatenated_gzip_members.parquet", 513, "\"1\"\n\"2\"\n\"3\"\n"},
        {"datapage_v1-snappy-compressed-checksum.parquet", 5120, "50462976,1734763876\n"},
        {"datapage_v1-uncompressed-checksum.parquet", 5120, "50462976,1734763876\n"},
        {"delta_length_byte_array.parquet", 1000, "\"apple_banana_mango0\""},
        {"dict-page-offset-zero.parquet", 39, "1552"},
        {"fixed_length_decimal.parquet", 24, "\"1.00\"\n\"2.00\""},
        {"fixed_length_decimal_legacy.parquet", 24, "\"1.00\"\n\"2.00\""},
        {"float16_nonzeros_and_nans.parquet", 8, "null\n1.0\n-2.0\n\"NaN\"\n0.0\n-1.0\n-0.0\n2.0"},
        {"float16_zeros_and_nans.parquet", 3, "null\n0.0\n\"NaN\""},
        {"int32_decimal.parquet", 24, "\"1.00\"\n\"2.00\""},
        {"int32_with_null_pages.parquet", 1000, ""},
        {"int64_decimal.parquet", 24, "\"1.00\"\n\"2.00\""},
        {"lz4_raw_compressed.parquet", 4, "1593604800,\"YWJj\",42.0\n1593604800,\"ZGVm\",7.7"},
        {"lz4_raw_compressed_larger.parquet", 10000, "\"c7ce6bef-d5b0-4863-b199-8ea8c7fb117b\""},
        {"map_no_value.parquet", 3, "{\"1\":null,\"2\":null,\"3\":null},[1,2,3],[1,2,3]"},
        {"nan_in_stats.parquet", 2, "1.0\n\"NaN\""},
        {"nested_maps.snappy.parquet", 6, "{\"a\":{\"1\":true,\"2\":false}},1,1.0"},
        {"nested_structs.rust.parquet", 1, "{"},
        {"non_hadoop_lz4_compressed.parquet", 4, "1593604800,\"YWJj\",42.0"},
        {"nonnullable.impala.parquet", 1, "8,[-1],[[-1,-2],[]],{\"k1\":-1},[{},{\"k1\":1},{},{}],"},
        {"null_list.parquet", 1, "[]"},
        {"nulls.snappy.parquet", 8, "{\"b_c_int\":null}\n"},
        {"old_list_structure.parquet", 1, "[[1,2],[3,4]]"},
        {"plain-dict-uncompressed-checksum.parquet", 1000, "0,"},
        {"repeated_no_annotation.parquet", 6, "1,null\n2,null\n3,{\"phone\":[]}\n"},
        {"repeated_primitive_no_list.parquet", 4, "[0,1,2,3],"},
        {"rle-dict-snappy-checksum.parquet", 1000, "0,"},
        {"rle_boolean_encoding.parquet", 68, "true\nfalse\nnull\ntrue"},
        {"single_nan.parquet", 1, "null"},
        {"sort_columns.parquet", 6, ""},
        {"unknown-logical-type.parquet", 3, "\"known string 1\",\"dW5rbm93biBzdHJpbmcgMQ==\""},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        MOR_AUTO_BUFFER text = {0};
        size_t rows, length = strlen(files[i].first);
        if (read_golden(files[i].name, &text, &rows, &err) != MOR_OK)
            fail_msg("%s: %s", files[i].name, err.message);
        if (rows != files[i].rows)
            fail_msg("%s: %zu rows", files[i].name, rows);
        mor_buffer_terminate(&text);
        if (text.size_bytes < length || memcmp(text.data, files[i].first, length) != 0)
            fail_msg("%s begins with %.300s", files[i].name, (const char *)text.data);
    }
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER text = {0};
    size_t rows;
    assert_fails(read_golden("datapage_v1-corrupt-checksum.parquet", &text, &rows, &err), MOR_DATA,
                 "checksum");
    assert_fails(read_golden("rle-dict-uncompressed-corrupt-checksum.parquet", &text, &rows, &err),
                 MOR_DATA, "checksum");
}

// A line of the expected values: cells quoted or not, empty = null. Turned into the JSON of the
// row.
static size_t csv_line_to_json(const char *at, bool quote_texts, struct mor_buffer *json)
{
    const char *start = at;
    for (bool more = true; more;) {
        bool quoted = *at == '"';
        const char *cell = at += quoted;
        at += strcspn(at, quoted ? "\"" : ",\r\n");
        size_t length = (size_t)(at - cell);
        bool number = length > 0 && strspn(cell, "-0123456789") >= length;
        if (!quoted && length == 0)
            mor_buffer_append_text(json, "null");
        else if (number && !quote_texts)
            mor_buffer_append(json, cell, length);
        else
            mor_buffer_printf(json, "\"%.*s\"", (int)length, cell);
        at += quoted;
        more = *at == ',';
        if (more)
            mor_buffer_append_u8(json, ',');
        at += more;
    }
    at += strspn(at, "\r\n");
    mor_buffer_append_u8(json, '\n');
    return (size_t)(at - start);
}

static void delta_files_hold_the_expected_values(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool all_texts;
    } files[] = {{"delta_binary_packed", false}, {"delta_byte_array", true}};
    for (size_t i = 0; i < 2; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        MOR_AUTO_BUFFER got = {0}, csv = {0}, want = {0};
        char name[100];
        size_t rows, at = 0;
        snprintf(name, sizeof name, "%s.parquet", files[i].name);
        assert_ok(read_golden(name, &got, &rows, &err));
        snprintf(name, sizeof name, "%s_expect.csv", files[i].name);
        assert_true(load(name, &csv));
        const char *lines = mor_buffer_terminate(&csv);
        at = strcspn(lines, "\n") + 1;
        while (at < csv.size_bytes)
            at += csv_line_to_json(lines + at, files[i].all_texts, &want);
        assert_same_text(&want, &got);
    }
}

int main(void)
{
    struct mor_buffer probe = {0};
    if (!load("binary.parquet", &probe)) {
        printf("skipped: no golden files in %s\n", MORAINE_GOLDEN);
        return 77;
    }
    mor_buffer_done(&probe);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_feature_give_their_rows),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(delta_files_hold_the_expected_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
