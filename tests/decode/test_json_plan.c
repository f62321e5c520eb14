// Units of the source against those of the table.
#include "decode_test.h"

static void decodes(const char *source_type, const char *type, const char *number,
                    const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *source = schema_of("unrelated", "string", "x", source_type, NULL);
    struct mor_schema *table = schema_of("x", type, NULL);
    struct mor_decoder *decoder =
        decoder_of(table, (struct mor_decoder_options){.source_schema = source});
    mor_schema_free(source); // borrowed for the call only
    struct mor_batch *batch = mor_batch_new(table, NULL);
    char text[128];
    int size = snprintf(text, sizeof text, "{\"x\":%s}", number);
    enum mor_status status = decode_value(decoder, batch, text, (size_t)size, &err);
    if (!expected) {
        assert_int_equal(status, MOR_DATA);
    } else {
        assert_ok(status);
        MOR_AUTO_FREE char *row = row_text(batch, 0);
        MOR_AUTO_FREE char *wanted = mor_asprintf("{\"x\":%s}", expected);
        assert_string_equal(row, wanted);
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(table);
}

static void test_numbers_have_the_unit_of_the_source(void **state)
{
    (void)state;
    decodes("timestamp_ms", "timestamp_us", "1500", "\"1970-01-01T00:00:01.500000Z\"");
    decodes("timestamp_us", "timestamp_us", "1500", "\"1970-01-01T00:00:00.001500Z\"");
    decodes("timestamp_us", "timestamp_ms", "-1", "\"1969-12-31T23:59:59.999000Z\"");
    decodes("date", "timestamp_us", "1", "\"1970-01-02T00:00:00Z\"");
    decodes("time_ms", "time_us", "1500", "\"00:00:01.500000\"");
    decodes("time_us", "time_ms", "1500", "\"00:00:00.001000\"");
    decodes("list<timestamp_ms>", "list<timestamp_us>", "[1500,null]",
            "[\"1970-01-01T00:00:01.500000Z\",null]");
    decodes("map<timestamp_ms>", "map<timestamp_us>", "{\"a\":1500}",
            "{\"a\":\"1970-01-01T00:00:01.500000Z\"}");
    decodes("string", "long", "5", "5"); // the table's type counts where there are no units
}

static void test_texts_do_not_depend_on_the_unit(void **state)
{
    (void)state;
    decodes("timestamp_ms", "timestamp_us", "\"2026-01-02T03:04:05.678901Z\"",
            "\"2026-01-02T03:04:05.678901Z\"");
    decodes("date", "timestamp_us", "\"2026-01-02T03:04:05Z\"", "\"2026-01-02T03:04:05Z\"");
}

static void test_texts_of_uuids_are_checked_where_the_column_keeps_them(void **state)
{
    (void)state;
    static const char uuid[] = "\"00112233-4455-6677-8899-aabbccddeeFF\"";
    decodes("uuid", "string", uuid, uuid);
    decodes("list<uuid>", "list<string>", "[null]", "[null]");
    decodes("uuid", "string", "\"00112233-4455-6677-8899-aabbccddeef\"", NULL);
    decodes("uuid", "string", "7", NULL);
    decodes("list<uuid>", "list<string>", "[\"x\"]", NULL);
    decodes("string", "string", "\"x\"", "\"x\"");
}

static void test_numbers_that_leave_the_range_are_refused(void **state)
{
    (void)state;
    decodes("timestamp_ms", "timestamp_us", "9223372036854775807", NULL);
    decodes("timestamp_ms", "timestamp_us", "-9223372036854775808", NULL);
    decodes("timestamp_ms", "timestamp_us", "9223372036854775",
            "\"294247-01-10T04:00:54.775000Z\"");
    decodes("date", "timestamp_us", "2147483647", NULL);
}

static void test_source_types_without_a_meaning_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"long", "timestamp_us"},    {"string", "date"},
                                           {"timestamp_ms", "date"},    {"time_ms", "timestamp_ms"},
                                           {"timestamp_ms", "time_us"}, {"double", "time_ms"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema *source = schema_of("x", cases[i][0], NULL);
        struct mor_schema *table = schema_of("x", cases[i][1], NULL);
        struct mor_decoder_options options = {
            .schema = table, .column_count = 1, .source_schema = source};
        struct mor_decoder *decoder = NULL;
        assert_int_equal(mor_decoder_new(&options, &decoder, &err), MOR_FATAL);
        assert_non_null(strstr(err.message, "field 'x'"));
        mor_schema_free(source);
        mor_schema_free(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_have_the_unit_of_the_source),
        cmocka_unit_test(test_texts_do_not_depend_on_the_unit),
        cmocka_unit_test(test_texts_of_uuids_are_checked_where_the_column_keeps_them),
        cmocka_unit_test(test_numbers_that_leave_the_range_are_refused),
        cmocka_unit_test(test_source_types_without_a_meaning_are_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
