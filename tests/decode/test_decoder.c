// Avro payloads: wire format, bare data, options, limits.
#include "decode_test.h"

#include "http_server.h"
#include "moraine/avro.h"

#define RECORD "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"r\\\",\\\"fields\\\":["

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    if (atomic_load(&server->mode))
        return 0;
    if (strncmp(request, "GET /schemas/ids/1 ", 19) == 0) // a: long
        return http_answer(answer, capacity, "200 OK",
                           "{\"schema\":\"" RECORD
                           "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\"}]}\"}");
    if (strncmp(request, "GET /schemas/ids/2 ", 19) == 0) // b: string, a: int
        return http_answer(answer, capacity, "200 OK",
                           "{\"schema\":\"" RECORD
                           "{\\\"name\\\":\\\"b\\\",\\\"type\\\":\\\"string\\\"},"
                           "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"int\\\"}]}\"}");
    if (strncmp(request, "GET /schemas/ids/3 ", 19) == 0) // a: string
        return http_answer(answer, capacity, "200 OK",
                           "{\"schema\":\"" RECORD
                           "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"string\\\"}]}\"}");
    if (strncmp(request, "GET /schemas/ids/4 ", 19) == 0) // a: long, x: long, y: boolean
        return http_answer(answer, capacity, "200 OK",
                           "{\"schema\":\"" RECORD
                           "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\"},"
                           "{\\\"name\\\":\\\"x\\\",\\\"type\\\":\\\"long\\\"},"
                           "{\\\"name\\\":\\\"y\\\",\\\"type\\\":\\\"boolean\\\"}]}\"}");
    return http_answer(answer, capacity, "404 Not Found",
                       "{\"error_code\":40403,\"message\":\"Schema not found\"}");
}

struct fixture {
    struct http_server server;
    struct mor_registry *registry;
    struct mor_schema *schema;
    struct mor_decoder *decoder;
    struct mor_batch *batch;
    struct mor_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->err = MOR_ERROR_INIT;
    http_server_start(&f->server, handle);
    struct mor_registry_options options = {.url = f->server.url, .timeout_ms = 3000};
    assert_int_equal(mor_registry_open(&options, &f->registry, &f->err), MOR_OK);
    f->schema = schema_of("a!", "long", "b", "string", "_kafka_offset!", "long", NULL);
    f->decoder = decoder_of(f->schema, (struct mor_decoder_options){.format = MOR_PAYLOAD_AVRO,
                                                                    .column_count = 2,
                                                                    .registry = f->registry});
    f->batch = mor_batch_new(f->schema, NULL);
    f->batch->column_count = 2; // the decoder's share
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->batch->column_count = 3;
    mor_batch_free(f->batch);
    mor_decoder_free(f->decoder);
    mor_schema_free(f->schema);
    mor_registry_free(f->registry);
    http_server_stop(&f->server);
    free(f);
    return 0;
}

static void refused(struct fixture *f, const void *bytes, size_t size, enum mor_status status,
                    const char *reason)
{
    assert_int_equal(decode_value(f->decoder, f->batch, bytes, size, &f->err), status);
    if (!strstr(f->err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, f->err.message);
}

static void test_schemas_may_change_from_record_to_record(void **state)
{
    struct fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    for (int i = 0; i < 50; i++) {
        assert_ok(decode_value(f->decoder, f->batch, "\0\0\0\0\1\x0a", 6, &err));
        assert_ok(decode_value(f->decoder, f->batch, "\0\0\0\0\2\x04hi\x0c", 9, &err));
    }
    MOR_AUTO_FREE char *first = row_text(f->batch, 98);
    MOR_AUTO_FREE char *second = row_text(f->batch, 99);
    assert_string_equal(first, "{\"a\":5,\"b\":null}");
    assert_string_equal(second, "{\"a\":6,\"b\":\"hi\"}");
    assert_int_equal(atomic_load(&f->server.requests), 2);
}

static void test_fields_that_the_table_lacks_are_told_once(void **state)
{
    struct fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    char notice[256];
    assert_ok(decode_value(f->decoder, f->batch, "\0\0\0\0\1\x0a", 6, &err));
    assert_false(mor_decoder_take_notice(f->decoder, notice, sizeof notice));
    for (int i = 0; i < 3; i++) {
        assert_ok(decode_value(f->decoder, f->batch, "\0\0\0\0\4\x0a\x02\x01", 8, &err));
        assert_int_equal(mor_decoder_take_notice(f->decoder, notice, sizeof notice), i == 0);
    }
    assert_non_null(
        strstr(notice, "schema id 4 has fields that the table lacks, they are left out: x, y"));
    MOR_AUTO_FREE char *row = row_text(f->batch, 3);
    assert_string_equal(row, "{\"a\":5,\"b\":null}");
}

static void test_damaged_wire_format_is_data(void **state)
{
    struct fixture *f = *state;
    refused(f, "", 0, MOR_DATA, "byte 0: 0 bytes are too few");
    refused(f, "\0\0\0\0", 4, MOR_DATA, "too few");
    refused(f, "\1\0\0\0\1\x0a", 6, MOR_DATA, "begins with 00, not 01");
    refused(f, "{\"a\":1}", 7, MOR_DATA, "begins with 00, not 7b");
    refused(f, "\0\0\0\0\5\x0a", 6, MOR_DATA, "schema id 5 is not in the registry");
    refused(f, "\0\xff\0\0\5\x0a", 6, MOR_DATA, "schema id 4278190085 is not in the registry");
    refused(f, "\0\0\0\0\1", 5, MOR_DATA, "schema id 1: field 'a', byte 0: the data end");
    refused(f, "\0\0\0\0\1\x0a\x0a", 7, MOR_DATA, "byte 1: bytes are left");
    refused(f, "\0\0\0\0\3\2x", 7, MOR_DATA,
            "schema id 3: field 'a': the writer's string does not fit");
    refused(f, "\0\0\0\0\3\2x", 7, MOR_DATA, "schema id 3: field 'a'");
}

static void test_registry_that_is_down_is_retry_until_it_is_back(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->server.mode, 1);
    refused(f, "\0\0\0\0\1\x0a", 6, MOR_RETRY, "schema registry");
    refused(f, "\0\0\0\0\1\x0a", 6, MOR_RETRY, "schema registry");
    atomic_store(&f->server.mode, 0);
    assert_int_equal(decode_value(f->decoder, f->batch, "\0\0\0\0\1\x0a", 6, &f->err), MOR_OK);
}

static void test_values_over_the_limit_and_tombstones_are_data(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a", "string", NULL);
    struct mor_decoder *decoder =
        decoder_of(schema, (struct mor_decoder_options){.limits = {.value_size_max_bytes = 12}});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    assert_ok(decode_value(decoder, batch, "{\"a\":\"1234\"}", 12, &err));
    assert_int_equal(decode_value(decoder, batch, "{\"a\":\"12345\"}", 13, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "the limit is 12"));
    struct mor_record tombstone = {0};
    assert_int_equal(mor_decoder_value(decoder, &tombstone, batch->columns, &err), MOR_DATA);
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

// A column of 2 GiB is not made here: only its size is set, which is looked at before anything is
// written, and which the failure sets back.
static void test_full_column_is_retry_and_nothing_is_appended(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("n", "long", "s", "string", NULL);
    static const struct {
        enum mor_payload_format format;
        const char *value;
        size_t size;
    } cases[] = {{MOR_PAYLOAD_JSON, "{\"n\":1,\"s\":\"0123456789\"}", 24},
                 {MOR_PAYLOAD_AVRO,
                  "\2\x14"
                  "0123456789",
                  12}};
    for (size_t i = 0; i < 2; i++) {
        struct mor_decoder *decoder = decoder_of(
            schema, (struct mor_decoder_options){
                        .format = cases[i].format,
                        .writer_schema.text =
                            "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"n\","
                            "\"type\":\"long\"},{\"name\":\"s\",\"type\":\"string\"}]}"});
        struct mor_batch *batch = mor_batch_new(schema, NULL);
        assert_ok(decode_value(decoder, batch, cases[i].value, cases[i].size, &err));
        batch->columns[1].data.size_bytes = INT32_MAX - 5;
        assert_int_equal(decode_value(decoder, batch, cases[i].value, cases[i].size, &err),
                         MOR_RETRY);
        assert_non_null(strstr(err.message, "full"));
        batch->columns[1].data.size_bytes =
            10; // the slot before is whole, so this was not cut back
        assert_ok(mor_batch_validate(batch, &err));
        assert_ok(decode_value(decoder, batch, cases[i].value, cases[i].size, &err));
        mor_batch_free(batch);
        mor_decoder_free(decoder);
    }
    mor_schema_free(schema);
}

static void test_bare_data_need_a_writer_schema(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a", "double", NULL);
    struct mor_decoder *none = NULL;
    struct mor_decoder_options options = {
        .format = MOR_PAYLOAD_AVRO, .schema = schema, .column_count = 1};
    assert_int_equal(mor_decoder_new(&options, &none, &err), MOR_FATAL);
    options.writer_schema.text = "{\"type\":\"record\"}";
    assert_int_equal(mor_decoder_new(&options, &none, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "writer schema"));
    options.writer_schema.text =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}";
    struct mor_decoder *decoder = decoder_of(schema, options);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    assert_ok(decode_value(decoder, batch, "\x0a", 1, &err));
    MOR_AUTO_FREE char *row = row_text(batch, 0);
    assert_string_equal(row, "{\"a\":5.0}");
    assert_int_equal(decode_value(decoder, batch, "", 0, &err), MOR_DATA);
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

static void test_impossible_column_counts_are_fatal(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a", "double", NULL);
    struct mor_decoder *none = NULL;
    struct mor_decoder_options options = {.schema = schema, .column_count = 2};
    assert_int_equal(mor_decoder_new(&options, &none, &err), MOR_FATAL);
    options.column_count = 0;
    assert_int_equal(mor_decoder_new(&options, &none, &err), MOR_FATAL);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_schemas_may_change_from_record_to_record, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_fields_that_the_table_lacks_are_told_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_wire_format_is_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registry_that_is_down_is_retry_until_it_is_back, setup,
                                        teardown),
        cmocka_unit_test(test_values_over_the_limit_and_tombstones_are_data),
        cmocka_unit_test(test_full_column_is_retry_and_nothing_is_appended),
        cmocka_unit_test(test_bare_data_need_a_writer_schema),
        cmocka_unit_test(test_impossible_column_counts_are_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
