// Protobuf in Confluent's wire format: schema ids, message indexes, references.
#include "decode_test.h"

#include "http_server.h"

#define TEXT                                                                                       \
    "syntax = \\\"proto3\\\"; package p; import \\\"other.proto\\\";"                              \
    " message Unused {} message M { message N { string s = 1; } int64 id = 1; q.Other o = 2; }"

// descriptor_pb2.FileDescriptorProto of "message B { int64 id = 1; }", package p, proto3
#define BASE64 "CgFiEgFwIg8KAUISCgoCaWQYASABKANiBnByb3RvMw=="

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    (void)server;
    if (strncmp(request, "GET /schemas/ids/1 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schemaType\":\"PROTOBUF\",\"schema\":\"" TEXT
                           "\",\"references\":[{\"name\":\"other.proto\",\"subject\":\"other\","
                           "\"version\":3}]}");
    if (strncmp(request, "GET /subjects/other/versions/3 ", 31) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schemaType\":\"PROTOBUF\",\"schema\":\"package q; message Other { "
                           "optional int32 x = 1; }\"}");
    if (strncmp(request, "GET /schemas/ids/2 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schemaType\":\"PROTOBUF\",\"schema\":\"" BASE64 "\"}");
    if (strncmp(request, "GET /schemas/ids/3 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{\"schema\":\"\\\"long\\\"\"}");
    if (strncmp(request, "GET /schemas/ids/4 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schemaType\":\"PROTOBUF\",\"schema\":\"message M { int64 id }\"}");
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

struct wire_case {
    const char *message; // that the topic wants, NULL = any
    const char *bytes;
    size_t size;
    const char *expected; // the row, or part of what is wrong
};

static void run(const struct wire_case *c)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("id", "long", "s", "string", NULL);
    struct mor_decoder *decoder = decoder_of(
        schema, (struct mor_decoder_options){
                    .format = MOR_PAYLOAD_PROTOBUF, .registry = registry, .message = c->message});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int round = 0; round < 2; round++) { // the second time from the cache
        enum mor_status status = decode_value(decoder, batch, c->bytes, c->size, &err);
        if (status == MOR_OK) {
            MOR_AUTO_FREE char *row = row_text(batch, (size_t)round);
            assert_string_equal(row, c->expected);
        } else {
            assert_int_equal(status, MOR_DATA);
            if (!strstr(err.message, c->expected))
                fail_msg("'%s' is not in '%s'", c->expected, err.message);
        }
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

#define CASE(message_, bytes_, expected_)                                                          \
    {                                                                                              \
        message_, bytes_, sizeof(bytes_) - 1, expected_                                            \
    }

static void messages_are_found_by_their_place(void **state)
{
    (void)state;
    static const struct wire_case cases[] = {
        CASE(NULL, "\0\0\0\0\1\2\2\x08\x05", "{\"id\":5,\"s\":null}"),
        CASE("p.M", "\0\0\0\0\1\2\2\x08\x05\x12\x02\x08\x01", "{\"id\":5,\"s\":null}"),
        CASE(NULL, "\0\0\0\0\1\4\2\0\x0a\x01x", "{\"id\":null,\"s\":\"x\"}"),
        CASE(NULL, "\0\0\0\0\1\0", "{\"id\":null,\"s\":null}"), // the first one
        CASE("p.B", "\0\0\0\0\2\0\x08\x07", "{\"id\":7,\"s\":null}"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void what_cannot_be_read_is_data(void **state)
{
    (void)state;
    static const struct wire_case cases[] = {
        CASE("p.M", "\0\0\0\0\1\0", "the message is a 'p.Unused', not a 'p.M'"),
        CASE(NULL, "\0\0\0\0\1\2\6\x08\x05", "no message at the place"),
        CASE(NULL, "\0\0\0\0\1", "byte 5: the data end inside a number"),
        CASE(NULL, "\0\0\0\0\1\1\2", "byte 5: an impossible number of message indexes"),
        CASE(NULL, "\0\0\0\0\1\xff\xff\xff\xff\x0f", "an impossible number of message indexes"),
        CASE(NULL, "\0\0\0\0\1\2\1", "byte 5: an impossible message index"),
        CASE(NULL, "\0\0\0\0\1\2\2\x08", "message: field 'id', byte 0: the data end inside"),
        CASE(NULL, "\0\0\0\0\3\0", "schema id 3 is of type AVRO, not PROTOBUF"),
        CASE(NULL, "\0\0\0\0\4\0", "expected '='"),
        CASE(NULL, "\0\0\0\0\5\0", "schema id 5 is not in the registry"),
        CASE(NULL, "\1\0\0\0\1\0", "byte 0: the wire format begins with 00"),
        CASE(NULL, "\0\0", "too few for the wire format"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void bare_messages_need_a_schema(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_decoder *decoder = NULL;
    struct mor_schema *schema = schema_of("id", "double", NULL);
    struct mor_decoder_options options = {
        .format = MOR_PAYLOAD_PROTOBUF, .schema = schema, .column_count = 1};
    assert_int_equal(mor_decoder_new(&options, &decoder, &err), MOR_FATAL);
    static const char text[] =
        "message A { optional int32 id = 1; } message B { required int32 id = 1; }";
    options.writer_schema = (struct mor_schema_text){.text = text, .size_bytes = sizeof text - 1};
    options.message = "C";
    assert_int_equal(mor_decoder_new(&options, &decoder, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "there is no message 'C'"));
    options.message = "B";
    assert_ok(mor_decoder_new(&options, &decoder, &err));
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    assert_ok(decode_value(decoder, batch, "\x08\x05", 2, &err));
    assert_int_equal(decode_value(decoder, batch, "", 0, &err), MOR_DATA);
    MOR_AUTO_FREE char *row = row_text(batch, 0);
    assert_string_equal(row, "{\"id\":5.0}");
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_found_by_their_place),
        cmocka_unit_test(what_cannot_be_read_is_data),
        cmocka_unit_test(bare_messages_need_a_schema),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
