// Writer schemas that the columns do not take in whole: fields that are new, also nested ones and
// those of a change event's row, and wider types, in all three formats.
#include "decode_test.h"

#include "http_server.h"

#define AVRO(fields_)                                                                              \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"r\\\",\\\"fields\\\":[" fields_   \
    "]}\"}"
#define FIELD(name_, type_) "{\\\"name\\\":\\\"" name_ "\\\",\\\"type\\\":" type_ "}"
#define STRUCT(fields_)                                                                            \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"s\\\",\\\"fields\\\":[" fields_ "]}"
#define LONG "\\\"long\\\""
#define TEXT "\\\"string\\\""
#define PROTO(text_)                                                                               \
    "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax = \\\"proto3\\\"; " text_ "\"}"
#define JSON(properties_)                                                                          \
    "{\"schemaType\":\"JSON\",\"schema\":\"{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{"      \
    "\\\"a\\\":{\\\"type\\\":\\\"integer\\\"}" properties_ "}}\"}"
#define IMAGE(fields_) STRUCT(FIELD("a", LONG) fields_)

static const char *const schemas[] = {
    [1] = AVRO(FIELD("a", LONG) "," FIELD("n", STRUCT(FIELD("x", LONG)))),
    [2] = AVRO(FIELD("a", LONG) "," FIELD("n", STRUCT(FIELD("x", LONG) "," FIELD("y", TEXT)))),
    [3] = AVRO(FIELD("after", IMAGE("")) "," FIELD("op", TEXT) "," FIELD("lost", LONG)),
    [4] = AVRO(FIELD("after", IMAGE("," FIELD("b", TEXT))) "," FIELD("op", TEXT)),
    [5] = PROTO("message M { int64 a = 1; N n = 2; } message N { int64 x = 1; }"),
    [6] = PROTO("message M { int64 a = 1; N n = 2; } message N { int64 x = 1; string y = 2; }"),
    [7] = PROTO("message M { string a = 1; } message Other { int64 a = 1; }"),
    [8] = JSON(""),
    [9] = JSON(",\\\"b\\\":{\\\"type\\\":\\\"string\\\"}"),
    [10] = AVRO(FIELD("a", TEXT)),
};

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    (void)server;
    int id = 0;
    if (sscanf(request, "GET /schemas/ids/%d", &id) == 1 && id > 0 &&
        (size_t)id < sizeof schemas / sizeof schemas[0])
        return http_answer(answer, capacity, "200 OK", schemas[id]);
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

// Columns a: long and, unless it is a change event, n: {x: long}.
static struct mor_schema *columns(bool nested)
{
    struct mor_schema *schema = schema_of("a", "long", NULL);
    if (nested)
        mor_schema_add(schema, mor_schema_add(schema, NULL, "n", MOR_TYPE_STRUCT, true), "x",
                       MOR_TYPE_INT64, true);
    return schema;
}

struct expectation {
    struct mor_decoder_options options;
    const char *bytes;
    size_t size;
    bool nested;
    enum mor_status status;
    const char *words; // of the error or of the notice, NULL = neither
    const char *row;
};

static void run(const struct expectation *e)
{
    struct mor_error err = MOR_ERROR_INIT;
    char notice[512] = "";
    struct mor_schema *schema = columns(e->nested);
    struct mor_decoder_options options = e->options;
    options.registry = registry;
    options.source_schema = schema;
    struct mor_decoder *decoder = decoder_of(schema, options);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int round = 0; round < 2; round++) { // the second time from the cache
        enum mor_status status = decode_value(decoder, batch, e->bytes, e->size, &err);
        bool told = mor_decoder_take_notice(decoder, notice, sizeof notice);
        if (status != e->status)
            fail_msg("%s: %s", mor_status_name(status), err.message);
        assert_true(told == (round == 0 && status == MOR_OK && e->words != NULL));
        const char *words = status == MOR_OK ? notice : err.message;
        if (e->words && !strstr(words, e->words))
            fail_msg("'%s' is not in '%s'", e->words, words);
        if (status == MOR_CONFLICT)
            assert_int_equal(mor_decoder_changed_id(decoder), (uint8_t)e->bytes[4]);
        if (status != MOR_OK)
            assert_int_equal(batch->columns[0].length, 0);
    }
    if (e->row) {
        MOR_AUTO_FREE char *row = row_text(batch, 0);
        assert_string_equal(row, e->row);
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

#define BYTES(text_) .bytes = (text_), .size = sizeof(text_) - 1

static void a_nested_field_that_is_new_is_a_change(void **state)
{
    (void)state;
    static const int32_t learned[] = {2, 6};
    struct expectation cases[] = {
        {.options = {.format = MOR_PAYLOAD_AVRO, .follow_changes = true},
         BYTES("\0\0\0\0\1\x0a\x0c"),
         .nested = true,
         .row = "{\"a\":5,\"n\":{\"x\":6}}"},
        {.options = {.format = MOR_PAYLOAD_AVRO, .follow_changes = true},
         BYTES("\0\0\0\0\2\x0a\x0c\x02y"),
         .nested = true,
         .status = MOR_CONFLICT,
         .words = "schema id 2: new fields: n.y"},
        {.options = {.format = MOR_PAYLOAD_AVRO},
         BYTES("\0\0\0\0\2\x0a\x0c\x02y"),
         .nested = true,
         .words = "the table lacks, they are left out: n.y",
         .row = "{\"a\":5,\"n\":{\"x\":6}}"},
        {.options = {.format = MOR_PAYLOAD_PROTOBUF, .message = "M", .follow_changes = true},
         BYTES("\0\0\0\0\5\0\x08\5\x12\2\x08\6"),
         .nested = true,
         .row = "{\"a\":5,\"n\":{\"x\":6}}"},
        {.options = {.format = MOR_PAYLOAD_PROTOBUF, .message = "M", .follow_changes = true},
         BYTES("\0\0\0\0\6\0\x08\5"),
         .nested = true,
         .status = MOR_CONFLICT,
         .words = "schema id 6: new fields: n.y"},
        {.options = {.format = MOR_PAYLOAD_PROTOBUF,
                     .message = "M",
                     .follow_changes = true,
                     .learned_ids = learned,
                     .learned_count = 2},
         BYTES("\0\0\0\0\6\0\x08\5"),
         .nested = true,
         .words = "schema id 6 has fields that the table lacks",
         .row = "{\"a\":5,\"n\":null}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void a_type_that_does_not_fit_is_a_change_until_it_was_tried(void **state)
{
    (void)state;
    static const int32_t learned[] = {7, 10};
    struct expectation cases[] = {
        {.options = {.format = MOR_PAYLOAD_PROTOBUF, .message = "M", .follow_changes = true},
         BYTES("\0\0\0\0\7\0\x0a\1x"),
         .status = MOR_CONFLICT,
         .words = "schema id 7: field 'a': the writer's field does not fit"},
        {.options = {.format = MOR_PAYLOAD_PROTOBUF,
                     .message = "M",
                     .follow_changes = true,
                     .learned_ids = learned,
                     .learned_count = 2},
         BYTES("\0\0\0\0\7\0\x0a\1x"),
         .status = MOR_FATAL,
         .words = "schema id 7: the table cannot follow this change: field 'a'"},
        {.options = {.format = MOR_PAYLOAD_PROTOBUF, .message = "M"},
         BYTES("\0\0\0\0\7\0\x0a\1x"),
         .status = MOR_DATA,
         .words = "schema id 7: field 'a'"},
        // another message is no change of this one
        {.options = {.format = MOR_PAYLOAD_PROTOBUF, .message = "M", .follow_changes = true},
         BYTES("\0\0\0\0\7\2\2\x08\5"),
         .status = MOR_DATA,
         .words = "the message is a 'Other', not a 'M'"},
        {.options = {.format = MOR_PAYLOAD_AVRO, .follow_changes = true},
         BYTES("\0\0\0\0\x0a\2x"),
         .status = MOR_CONFLICT,
         .words = "schema id 10: field 'a': the writer's string does not fit"},
        {.options = {.format = MOR_PAYLOAD_AVRO,
                     .follow_changes = true,
                     .learned_ids = learned,
                     .learned_count = 2},
         BYTES("\0\0\0\0\x0a\2x"),
         .status = MOR_FATAL,
         .words = "the table cannot follow this change"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void a_change_event_changes_by_its_row_alone(void **state)
{
    (void)state;
    static const struct mor_route row[] = {{"a", 0, MOR_ROUTE_NONE, NULL, NULL, 0}};
    static const struct mor_route routes[] = {
        {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row, 1},
        {"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0}};
    const struct mor_decoder_options options = {.format = MOR_PAYLOAD_AVRO,
                                                .routes = routes,
                                                .route_count = 2,
                                                .envelope = MOR_ENVELOPE_DEBEZIUM,
                                                .follow_changes = true,
                                                .row_is_whole = true};
    struct expectation cases[] = {
        {.options = options, BYTES("\0\0\0\0\3\x0a\2u\2"), .row = "{\"a\":5}"},
        {.options = options,
         BYTES("\0\0\0\0\4\x0a\2x\2u"),
         .status = MOR_CONFLICT,
         .words = "schema id 4: new fields: b"},
        {.options = options, BYTES("\0\0\0\0\4\x0a\2x\2u"), .row = "{\"a\":5}"},
    };
    cases[2].options.row_is_whole = false; // chosen columns: b is left out on purpose
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void a_json_schema_that_is_new_changes_the_columns(void **state)
{
    (void)state;
    struct expectation cases[] = {
        {.options = {.format = MOR_PAYLOAD_JSON, .follow_changes = true},
         BYTES("\0\0\0\0\x08{\"a\":1}"),
         .row = "{\"a\":1}"},
        {.options = {.format = MOR_PAYLOAD_JSON, .follow_changes = true},
         BYTES("\0\0\0\0\x09{\"a\":1}"),
         .status = MOR_CONFLICT,
         .words = "schema id 9: new fields: b"},
        {.options = {.format = MOR_PAYLOAD_JSON},
         BYTES("\0\0\0\0\x09{\"a\":1,\"b\":\"x\"}"),
         .words = "left out: b",
         .row = "{\"a\":1}"},
        // a value can be read without its schema
        {.options = {.format = MOR_PAYLOAD_JSON, .follow_changes = true},
         BYTES("\0\0\0\0\x7f{\"a\":1}"),
         .row = "{\"a\":1}"},
        {.options = {.format = MOR_PAYLOAD_JSON, .follow_changes = true},
         BYTES("\0\0\0\0\1{\"a\":1}"),
         .row = "{\"a\":1}"},
        {.options = {.format = MOR_PAYLOAD_JSON, .follow_changes = true},
         BYTES("{\"a\":1}"),
         .row = "{\"a\":1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run(&cases[i]);
}

static void told(struct mor_decoder *decoder, struct mor_batch *batch, const char *value,
                 const char *words)
{
    struct mor_error err = MOR_ERROR_INIT;
    char notice[512] = "";
    assert_ok(decode_value(decoder, batch, value, strlen(value), &err));
    assert_int_equal(mor_decoder_take_notice(decoder, notice, sizeof notice), words != NULL);
    if (words && !strstr(notice, words))
        fail_msg("'%s' is not in '%s'", words, notice);
}

// Without a registry nobody says that a field is new but the records themselves.
static void fields_of_json_that_go_nowhere_are_told_once(void **state)
{
    (void)state;
    static const struct mor_route row[] = {{"a", 0, MOR_ROUTE_NONE, NULL, NULL, 0}};
    static const struct mor_route routes[] = {
        {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row, 1},
        {"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0}};
    struct mor_schema *schema = columns(false);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_decoder *decoder =
        decoder_of(schema, (struct mor_decoder_options){.format = MOR_PAYLOAD_JSON});
    told(decoder, batch, "{\"a\":1}", NULL);
    told(decoder, batch, "{\"a\":1,\"y\":{\"z\":1},\"x\":2}", "left out: y, x");
    told(decoder, batch, "{\"x\":2,\"a\":1,\"y\":3}", NULL);
    told(decoder, batch, "{\"new\":2}", "left out: new");
    mor_decoder_free(decoder);
    struct mor_decoder_options event = {.format = MOR_PAYLOAD_JSON,
                                        .routes = routes,
                                        .route_count = 2,
                                        .envelope = MOR_ENVELOPE_DEBEZIUM,
                                        .row_is_whole = true};
    decoder = decoder_of(schema, event);
    told(decoder, batch, "{\"after\":{\"a\":1},\"source\":{},\"op\":\"c\"}", NULL);
    told(decoder, batch, "{\"after\":{\"a\":1,\"email\":\"x\"},\"op\":\"c\"}", "left out: email");
    mor_decoder_free(decoder);
    event.row_is_whole = false; // chosen columns
    decoder = decoder_of(schema, event);
    told(decoder, batch, "{\"after\":{\"a\":1,\"email\":\"x\"},\"op\":\"c\"}", NULL);
    mor_decoder_free(decoder);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_field_that_is_new_is_a_change),
        cmocka_unit_test(a_type_that_does_not_fit_is_a_change_until_it_was_tried),
        cmocka_unit_test(a_change_event_changes_by_its_row_alone),
        cmocka_unit_test(a_json_schema_that_is_new_changes_the_columns),
        cmocka_unit_test(fields_of_json_that_go_nowhere_are_told_once),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
