// Message keys of tombstones in every form.
#include "decode_test.h"

#include "http_server.h"

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    (void)server;
    if (strncmp(request, "GET /schemas/ids/1 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{\"schema\":\"\\\"string\\\"\"}");
    if (strncmp(request, "GET /schemas/ids/2 ", 19) == 0)
        return http_answer(
            answer, capacity, "200 OK",
            "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"k\\\",\\\"fields\\\":["
            "{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"n\\\","
            "\\\"type\\\":[\\\"null\\\",\\\"int\\\"]},"
            "{\\\"name\\\":\\\"other\\\",\\\"type\\\":\\\"int\\\"}]}\"}");
    if (strncmp(request, "GET /schemas/ids/3 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{\"schema\":\"\\\"long\\\"\"}");
    return http_answer(answer, capacity, "404 Not Found",
                       "{\"error_code\":40403,\"message\":\"Schema not found\"}");
}

static struct http_server server;
static struct mor_registry *registry;

static int start(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    http_server_start(&server, handle);
    struct mor_registry_options options = {.url = server.url, .timeout_ms = 3000};
    return mor_registry_open(&options, &registry, &err) == MOR_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    mor_registry_free(registry);
    http_server_stop(&server);
    return 0;
}

struct key_case {
    const char *type; // of the column "id"
    enum mor_key_format format;
    bool use_registry;
    size_t columns; // 1: id; 2: id and n
    const char *key;
    size_t size;
    const char *row; // NULL: refused
    const char *reason;
};

static void run(const struct key_case *c)
{
    static const char *const names[] = {"id", "n"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema =
        schema_of("other!", "int", "id", c->type, "v", "list<int>", "n", "long", NULL);
    struct mor_decoder *decoder = decoder_of(
        schema, (struct mor_decoder_options){.registry = c->use_registry ? registry : NULL,
                                             .key_format = c->format,
                                             .key_columns = names,
                                             .key_column_count = c->columns});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    uint8_t *copy = mor_alloc(c->size ? c->size : 1);
    memcpy(copy, c->key, c->size);
    struct mor_record record = {.key = copy, .key_size_bytes = c->size};
    for (int round = 0; round < 2; round++) {
        enum mor_status status = mor_decoder_key(decoder, &record, batch->columns, &err);
        batch->row_count += status == MOR_OK;
        for (size_t i = 0; i < batch->column_count; i++)
            assert_int_equal(batch->columns[i].length, batch->row_count);
        if (!c->row) {
            assert_int_equal(status, MOR_DATA);
            if (!strstr(err.message, c->reason))
                fail_msg("'%s' is not in '%s'", c->reason, err.message);
            continue;
        }
        if (status != MOR_OK)
            fail_msg("%s: %s", c->row, err.message);
        MOR_AUTO_FREE char *row = row_text(batch, batch->row_count - 1);
        assert_string_equal(row, c->row);
    }
    assert_ok(mor_batch_validate(batch, &err));
    free(copy);
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

#define KEY(text_)   .key = text_, .size = sizeof(text_) - 1
#define ROW(id_, n_) .row = "{\"other\":0,\"id\":" id_ ",\"v\":null,\"n\":" n_ "}"

static void test_text_keys_are_read_as_their_column(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        {.type = "string",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("a \"b\""),
         ROW("\"a \\\"b\\\"\"", "null")},
        {.type = "string", .format = MOR_KEY_STRING, .columns = 1, KEY(""), ROW("\"\"", "null")},
        {.type = "long", .format = MOR_KEY_STRING, .columns = 1, KEY("-42"), ROW("-42", "null")},
        {.type = "uuid",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("00112233-4455-6677-8899-AABBCCDDEEFF"),
         ROW("\"00112233-4455-6677-8899-aabbccddeeff\"", "null")},
        {.type = "date",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("2026-02-03"),
         ROW("\"2026-02-03\"", "null")},
        {.type = "decimal(5,2)",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("1.5"),
         ROW("\"1.50\"", "null")},
        {.type = "long",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("4x"),
         .reason = "not a value for column 'id' of type long"},
        {.type = "long",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("007"),
         .reason = "not a value"},
        {.type = "long", .format = MOR_KEY_STRING, .columns = 1, KEY(""), .reason = "not a value"},
        {.type = "int",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("2147483648"),
         .reason = "not a value"},
        {.type = "string",
         .format = MOR_KEY_STRING,
         .columns = 1,
         KEY("\xff"),
         .reason = "not valid UTF-8"},
        {.type = "string",
         .format = MOR_KEY_AUTO,
         .columns = 2,
         KEY("abc"),
         .reason = "cannot hold 2 key columns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void test_json_keys_are_objects_or_bare_values(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY("{\"id\":\"a\"}"),
         ROW("\"a\"", "null")},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY(" \"a\" "),
         ROW("\"a\"", "null")},
        {.type = "long", .format = MOR_KEY_JSON, .columns = 1, KEY("5"), ROW("5", "null")},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 2,
         KEY("{\"n\":7,\"id\":\"a\",\"other\":9,\"v\":[1]}"),
         ROW("\"a\"", "7")},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 2,
         KEY("{\"id\":\"a\"}"),
         .reason = "field 'n', byte 9: a required field is missing"},
        {.type = "string", // a part of a key of several may be null, but must be there
         .format = MOR_KEY_JSON,
         .columns = 2,
         KEY("{\"n\":7,\"id\":null}"),
         ROW("null", "7")},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY("{\"id\":null}"),
         .reason = "null in a required"},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY("null"),
         .reason = "null in a required"},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 2,
         KEY("\"a\""),
         .reason = "expected an object"},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY("\"a\" x"),
         .reason = "stands behind"},
        {.type = "string",
         .format = MOR_KEY_JSON,
         .columns = 1,
         KEY(""),
         .reason = "message key: byte 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void test_avro_keys_are_records_or_bare_values(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 1,
         KEY("\0\0\0\0\1\2x"),
         ROW("\"x\"", "null")},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 2,
         KEY("\0\0\0\0\2\2x\2\x0a\4"),
         ROW("\"x\"", "5")},
        {.type = "long",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 1,
         KEY("\0\0\0\0\3\x0a"),
         ROW("5", "null")},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 2,
         KEY("\0\0\0\0\2\2x\0\4"),
         .reason = "key column 'n' is null"},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 2,
         KEY("\0\0\0\0\1\2x"),
         .reason = "not a record"},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 1,
         KEY("\0\0\0\0\3\x0a"),
         .reason = "does not fit"},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 1,
         KEY("abcdef"),
         .reason = "message key: byte 0"},
        {.type = "string",
         .format = MOR_KEY_AVRO,
         .use_registry = true,
         .columns = 1,
         KEY("\0\0\0\0\x09x"),
         .reason = "schema id 9 is not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void test_the_form_is_guessed_from_the_first_byte(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        {.type = "string",
         .use_registry = true,
         .columns = 1,
         KEY("\0\0\0\0\1\2x"),
         ROW("\"x\"", "null")},
        {.type = "string",
         .use_registry = true,
         .columns = 1,
         KEY("{\"id\":\"a\"}"),
         ROW("\"a\"", "null")},
        {.type = "string", .use_registry = true, .columns = 1, KEY("\"a\""), ROW("\"a\"", "null")},
        {.type = "string", .use_registry = true, .columns = 1, KEY("a"), ROW("\"a\"", "null")},
        {.type = "string",
         .columns = 1,
         KEY("\0\0\0\0\1\2x"),
         ROW("\"\\u0000\\u0000\\u0000\\u0000\\u0001\\u0002x\"", "null")},
        {.type = "long", .columns = 1, KEY("17"), ROW("17", "null")},
        {.type = "string", .columns = 1, KEY(""), ROW("\"\"", "null")},
        // what only begins like JSON is text
        {.type = "string", .columns = 1, KEY("\"a\"-1"), ROW("\"\\\"a\\\"-1\"", "null")},
        {.type = "string", .columns = 1, KEY("{a}"), ROW("\"{a}\"", "null")},
        {.type = "long", .columns = 1, KEY("{1}"), .reason = "message key: "},
        {.type = "string", .columns = 2, KEY("\"a\"-1"), .reason = "expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void test_missing_keys_are_data(void **state)
{
    (void)state;
    static const char *const names[] = {"id"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("id", "string", NULL);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_record record = {0};
    struct mor_decoder *decoder = decoder_of(
        schema, (struct mor_decoder_options){.key_columns = names, .key_column_count = 1});
    assert_int_equal(mor_decoder_key(decoder, &record, batch->columns, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "neither value nor key"));
    mor_decoder_free(decoder);
    decoder = decoder_of(schema, (struct mor_decoder_options){0});
    record.key = (const uint8_t *)"x";
    record.key_size_bytes = 1;
    assert_int_equal(mor_decoder_key(decoder, &record, batch->columns, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "no key columns"));
    mor_decoder_free(decoder);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void test_impossible_key_options_are_fatal(void **state)
{
    (void)state;
    static const char *const good[] = {"id", "n"};
    static const char *const unknown[] = {"nope"};
    static const char *const nested[] = {"l"};
    static const char *const hidden[] = {"hidden"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema =
        schema_of("id", "string", "n", "long", "l", "list<int>", "hidden", "long", NULL);
    const struct mor_decoder_options cases[] = {
        {.key_columns = unknown, .key_column_count = 1},
        {.key_columns = nested, .key_column_count = 1},
        {.key_columns = hidden, .key_column_count = 1},
        {.key_columns = good, .key_column_count = 2, .key_format = MOR_KEY_STRING},
        {.key_columns = good, .key_column_count = 2, .key_format = MOR_KEY_AVRO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_decoder_options options = cases[i];
        struct mor_decoder *decoder = NULL;
        options.schema = schema;
        options.column_count = 3;
        assert_int_equal(mor_decoder_new(&options, &decoder, &err), MOR_FATAL);
    }
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_keys_are_read_as_their_column),
        cmocka_unit_test(test_json_keys_are_objects_or_bare_values),
        cmocka_unit_test(test_avro_keys_are_records_or_bare_values),
        cmocka_unit_test(test_the_form_is_guessed_from_the_first_byte),
        cmocka_unit_test(test_missing_keys_are_data),
        cmocka_unit_test(test_impossible_key_options_are_fatal),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
