// Columns that do not come from the payload.
#include "decode_test.h"

static struct mor_header headers[] = {
    {"trace", (const uint8_t *)"t1", 2},    {"n", (const uint8_t *)"42", 2},
    {"trace", (const uint8_t *)"t2", 2},    {"null", NULL, 0},
    {"binary", (const uint8_t *)"\xff", 1},
};

static struct mor_record full_record(void)
{
    return (struct mor_record){.key = (const uint8_t *)"k1",
                               .key_size_bytes = 2,
                               .value = (const uint8_t *)"{\"a\":7}",
                               .value_size_bytes = 7,
                               .offset = 99,
                               .timestamp_ms = 1000,
                               .partition = 3,
                               .headers = headers,
                               .header_count = sizeof headers / sizeof headers[0]};
}

// Decodes one record with one attribute, beside the JSON column "a", and compares the row.
static void gives(const char *type, struct mor_attribute attribute, const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a", "long", "x", type, NULL);
    struct mor_decoder *decoder =
        decoder_of(schema, (struct mor_decoder_options){
                               .column_count = 1, .attributes = &attribute, .attribute_count = 1});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_record record = full_record();
    enum mor_decoded what;
    enum mor_status status = mor_decoder_record(decoder, &record, batch->columns, &what, &err);
    if (status == MOR_OK) {
        batch->row_count = 1;
        assert_int_equal(what, MOR_DECODED_ROW);
        assert_ok(mor_batch_validate(batch, &err));
        MOR_AUTO_FREE char *row = row_text(batch, 0);
        assert_string_equal(row, expected);
    } else if (!strstr(err.message, expected)) {
        fail_msg("'%s' is not in '%s'", expected, err.message);
    } else {
        assert_int_equal(batch->columns[0].length, 0);
        assert_int_equal(batch->columns[1].length, 0);
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

#define ATTRIBUTE(kind_, text_) ((struct mor_attribute){MOR_ATTRIBUTE_##kind_, text_})

static void coordinates_become_columns(void **state)
{
    (void)state;
    gives("int", ATTRIBUTE(PARTITION, NULL), "{\"a\":7,\"x\":3}");
    gives("long", ATTRIBUTE(PARTITION, NULL), "{\"a\":7,\"x\":3}");
    gives("long", ATTRIBUTE(OFFSET, NULL), "{\"a\":7,\"x\":99}");
    gives("string", ATTRIBUTE(TOPIC, "orders"), "{\"a\":7,\"x\":\"orders\"}");
    gives("long", ATTRIBUTE(TIMESTAMP, NULL), "{\"a\":7,\"x\":1000}");
    gives("timestamp_ms", ATTRIBUTE(TIMESTAMP, NULL), "{\"a\":7,\"x\":\"1970-01-01T00:00:01Z\"}");
    gives("timestamp_us", ATTRIBUTE(TIMESTAMP, NULL), "{\"a\":7,\"x\":\"1970-01-01T00:00:01Z\"}");
    gives("string", ATTRIBUTE(KEY, NULL), "{\"a\":7,\"x\":\"k1\"}");
    gives("bytes", ATTRIBUTE(KEY, NULL), "{\"a\":7,\"x\":\"azE=\"}");
    gives("long", ATTRIBUTE(KEY, NULL), "column 'x': not a value of the column's type");
    gives("string", ATTRIBUTE(VALUE, NULL), "{\"a\":7,\"x\":\"{\\\"a\\\":7}\"}");
}

static void the_last_header_of_a_name_counts(void **state)
{
    (void)state;
    gives("string", ATTRIBUTE(HEADER, "trace"), "{\"a\":7,\"x\":\"t2\"}");
    gives("long", ATTRIBUTE(HEADER, "n"), "{\"a\":7,\"x\":42}");
    gives("string", ATTRIBUTE(HEADER, "null"), "{\"a\":7,\"x\":null}");
    gives("string", ATTRIBUTE(HEADER, "none"), "{\"a\":7,\"x\":null}");
    gives("bytes", ATTRIBUTE(HEADER, "binary"), "{\"a\":7,\"x\":\"/w==\"}");
    gives("string", ATTRIBUTE(HEADER, "binary"), "column 'x': not valid UTF-8");
    gives("long", ATTRIBUTE(HEADER, "trace"), "column 'x': not a value of the column's type");
    gives("map<bytes>", ATTRIBUTE(HEADERS, NULL),
          "{\"a\":7,\"x\":{\"n\":\"NDI=\",\"trace\":\"dDI=\",\"null\":null,\"binary\":\"/w==\"}}");
    gives("map<string>", ATTRIBUTE(HEADERS, NULL), "column 'x': not valid UTF-8");
}

static void constants_have_any_type(void **state)
{
    (void)state;
    gives("string", ATTRIBUTE(CONSTANT, "eu-1"), "{\"a\":7,\"x\":\"eu-1\"}");
    gives("date", ATTRIBUTE(CONSTANT, "2026-01-31"), "{\"a\":7,\"x\":\"2026-01-31\"}");
    gives("decimal(4,2)", ATTRIBUTE(CONSTANT, "1.5"), "{\"a\":7,\"x\":\"1.50\"}");
    gives("boolean", ATTRIBUTE(CONSTANT, "true"), "{\"a\":7,\"x\":true}");
}

static void refused(const char *type, struct mor_attribute attribute, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("x", type, NULL);
    struct mor_decoder_options options = {.format = MOR_PAYLOAD_RAW,
                                          .schema = schema,
                                          .attributes = &attribute,
                                          .attribute_count = 1};
    struct mor_decoder *decoder = NULL;
    assert_int_equal(mor_decoder_new(&options, &decoder, &err), MOR_FATAL);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    mor_schema_free(schema);
}

static void types_that_cannot_hold_them_are_refused(void **state)
{
    (void)state;
    refused("string", ATTRIBUTE(PARTITION, NULL),
            "column 'x' of type string cannot hold a partition");
    refused("int", ATTRIBUTE(OFFSET, NULL), "cannot hold an offset");
    refused("date", ATTRIBUTE(TIMESTAMP, NULL), "cannot hold a timestamp");
    refused("long", ATTRIBUTE(TOPIC, "t"), "cannot hold a name");
    refused("map<long>", ATTRIBUTE(HEADERS, NULL), "cannot hold headers");
    refused("list<string>", ATTRIBUTE(KEY, NULL), "cannot hold a text");
    refused("long", ATTRIBUTE(CONSTANT, "x"), "'x' is not a value of type long");
}

// Raw values: no payload column; a record without value is a row, or a tombstone of a keyed table.
static void raw_records_are_rows_as_they_are(void **state)
{
    (void)state;
    static const struct mor_attribute attributes[] = {{MOR_ATTRIBUTE_KEY, NULL},
                                                      {MOR_ATTRIBUTE_VALUE, NULL}};
    static const char *const keys[] = {"k"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("k", "string", "v", "bytes", NULL);
    for (size_t keyed = 0; keyed < 2; keyed++) {
        struct mor_decoder_options options = {.format = MOR_PAYLOAD_RAW,
                                              .schema = schema,
                                              .attributes = attributes,
                                              .attribute_count = 2,
                                              .key_columns = keys,
                                              .key_column_count = keyed};
        struct mor_decoder *decoder = NULL;
        assert_ok(mor_decoder_new(&options, &decoder, &err));
        struct mor_batch *batch = mor_batch_new(schema, NULL);
        struct mor_record record = full_record();
        enum mor_decoded what;
        assert_ok(mor_decoder_record(decoder, &record, batch->columns, &what, &err));
        assert_int_equal(what, MOR_DECODED_ROW);
        record.value = NULL;
        record.value_size_bytes = 0;
        assert_ok(mor_decoder_record(decoder, &record, batch->columns, &what, &err));
        assert_int_equal(what, keyed ? MOR_DECODED_TOMBSTONE : MOR_DECODED_ROW);
        batch->row_count = 2;
        assert_ok(mor_batch_validate(batch, &err));
        MOR_AUTO_FREE char *first = row_text(batch, 0);
        MOR_AUTO_FREE char *second = row_text(batch, 1);
        assert_string_equal(first, "{\"k\":\"k1\",\"v\":\"eyJhIjo3fQ==\"}");
        assert_string_equal(second, "{\"k\":\"k1\",\"v\":null}");
        mor_batch_free(batch);
        mor_decoder_free(decoder);
    }
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coordinates_become_columns),
        cmocka_unit_test(the_last_header_of_a_name_counts),
        cmocka_unit_test(constants_have_any_type),
        cmocka_unit_test(types_that_cannot_hold_them_are_refused),
        cmocka_unit_test(raw_records_are_rows_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
