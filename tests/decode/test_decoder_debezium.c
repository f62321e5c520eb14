// Debezium's change events in JSON: the row, its operation and its position.
#include "decode_test.h"

// Columns: id, name, day, amount from the row; db from the source block; op and position.
static const struct mor_route row_routes[] = {{"id", 0, MOR_ROUTE_NONE, NULL, NULL, 0},
                                              {"name", 1, MOR_ROUTE_NONE, NULL, NULL, 0},
                                              {"day", 2, MOR_ROUTE_NONE, NULL, NULL, 0},
                                              {"amount", 3, MOR_ROUTE_NONE, NULL, NULL, 0}};
static const struct mor_route source_routes[] = {
    {"db", 4, MOR_ROUTE_NONE, NULL, NULL, 0},
    {"lsn", MOR_ROUTE_NONE, MOR_NOTE_LSN, NULL, NULL, 0},
    {"file", MOR_ROUTE_NONE, MOR_NOTE_FILE, NULL, NULL, 0},
    {"pos", MOR_ROUTE_NONE, MOR_NOTE_POS, NULL, NULL, 0}};
static const struct mor_route routes[] = {
    {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row_routes, 4},
    {"source", MOR_ROUTE_NONE, MOR_ROUTE_NONE, NULL, source_routes, 4},
    {"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0}};
static const struct mor_attribute attributes[] = {{MOR_ATTRIBUTE_OP, NULL},
                                                  {MOR_ATTRIBUTE_POSITION, NULL}};
static const char *const keys[] = {"id"};

struct fixture {
    struct mor_schema *schema;
    struct mor_decoder *decoder;
    struct mor_batch *batch;
    struct mor_error err;
    enum mor_decoded what;
};

static struct fixture start(enum mor_truncate truncate, enum mor_unavailable unavailable)
{
    struct fixture f = {.err = MOR_ERROR_INIT};
    f.schema = schema_of("id", "long", "name", "string", "day", "date", "amount", "decimal(8,2)",
                         "db", "string", "op", "string", "position", "long", NULL);
    f.decoder = decoder_of(f.schema, (struct mor_decoder_options){.column_count = 5,
                                                                  .attributes = attributes,
                                                                  .attribute_count = 2,
                                                                  .routes = routes,
                                                                  .route_count = 3,
                                                                  .base64_decimals = true,
                                                                  .envelope = MOR_ENVELOPE_DEBEZIUM,
                                                                  .truncate = truncate,
                                                                  .unavailable = unavailable,
                                                                  .key_columns = keys,
                                                                  .key_column_count = 1});
    f.batch = mor_batch_new(f.schema, NULL);
    return f;
}

static void stop(struct fixture *f)
{
    mor_batch_free(f->batch);
    mor_decoder_free(f->decoder);
    mor_schema_free(f->schema);
}

static enum mor_status decode(struct fixture *f, const char *key, const char *value)
{
    struct mor_record record = {.key = (const uint8_t *)key,
                                .key_size_bytes = key ? strlen(key) : 0,
                                .value = (const uint8_t *)value,
                                .value_size_bytes = value ? strlen(value) : 0};
    f->err = MOR_ERROR_INIT;
    enum mor_status status =
        mor_decoder_record(f->decoder, &record, f->batch->columns, &f->what, &f->err);
    f->batch->row_count += status == MOR_OK && f->what != MOR_DECODED_NOTHING;
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_batch_validate(f->batch, &err));
    return status;
}

static void row(struct fixture *f, const char *value, enum mor_decoded what, const char *expected)
{
    if (decode(f, NULL, value) != MOR_OK)
        fail_msg("%s: %s", value, f->err.message);
    assert_int_equal(f->what, what);
    MOR_AUTO_FREE char *text = row_text(f->batch, f->batch->row_count - 1);
    assert_string_equal(text, expected);
}

static void refused(struct fixture *f, const char *value, enum mor_status status,
                    const char *reason)
{
    assert_int_equal(decode(f, NULL, value), status);
    if (!strstr(f->err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, f->err.message);
}

#define SOURCE "\"source\":{\"db\":\"shop\",\"lsn\":77,\"txId\":[1]}"
#define ONE    "{\"id\":1,\"name\":\"a\",\"day\":20484,\"amount\":\"AN8=\"}"

static void rows_come_from_after_and_deletes_from_before(void **state)
{
    (void)state;
    struct fixture f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    row(&f, "{\"before\":null,\"after\":" ONE "," SOURCE ",\"op\":\"c\",\"ts_ms\":5}",
        MOR_DECODED_ROW,
        "{\"id\":1,\"name\":\"a\",\"day\":\"2026-01-31\",\"amount\":\"2.23\",\"db\":\"shop\","
        "\"op\":\"c\",\"position\":77}");
    // an update has both; a key in another order
    row(&f, "{\"op\":\"u\",\"after\":{\"name\":\"b\",\"id\":1},\"before\":" ONE "," SOURCE "}",
        MOR_DECODED_ROW,
        "{\"id\":1,\"name\":\"b\",\"day\":null,\"amount\":null,\"db\":\"shop\",\"op\":\"u\","
        "\"position\":77}");
    row(&f, "{\"before\":{\"id\":1,\"name\":null},\"after\":null," SOURCE ",\"op\":\"d\"}",
        MOR_DECODED_DELETE,
        "{\"id\":1,\"name\":null,\"day\":null,\"amount\":null,\"db\":\"shop\",\"op\":\"d\","
        "\"position\":77}");
    stop(&f);
}

static void events_may_stand_beside_their_schema(void **state)
{
    (void)state;
    struct fixture f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    static const char expected[] =
        "{\"id\":1,\"name\":null,\"day\":null,\"amount\":null,\"db\":null,"
        "\"op\":\"r\",\"position\":9}";
#define EVENT "{\"before\":null,\"after\":{\"id\":1},\"source\":{\"lsn\":9},\"op\":\"r\"}"
    row(&f, "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"x\":[]}]},\"payload\":" EVENT "}",
        MOR_DECODED_ROW, expected);
    row(&f, " { \"payload\" : " EVENT " , \"schema\" : null } ", MOR_DECODED_ROW, expected);
    row(&f, "{\"payload\":" EVENT "}", MOR_DECODED_ROW, expected);
    refused(&f, "{\"payload\":" EVENT ",\"x\":1}", MOR_DATA, "expected \"schema\"");
    refused(&f, "{\"payload\":" EVENT "} x", MOR_DATA, "something stands behind");
    refused(&f, "{\"schema\":{\"a\":}}", MOR_DATA, "expected a value");
    stop(&f);
}

static void tombstones_name_the_key(void **state)
{
    (void)state;
    struct fixture f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    static const char *const names[] = {"{\"id\":5}", "{\"schema\":{},\"payload\":{\"id\":5}}",
                                        "5"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decode(&f, names[i], NULL), MOR_OK);
        assert_int_equal(f.what, MOR_DECODED_TOMBSTONE);
        MOR_AUTO_FREE char *text = row_text(f.batch, i);
        assert_string_equal(text,
                            "{\"id\":5,\"name\":null,\"day\":null,\"amount\":null,\"db\":null,"
                            "\"op\":null,\"position\":null}");
    }
    stop(&f);
}

static void events_about_no_row_are_nothing(void **state)
{
    (void)state;
    struct fixture f = start(MOR_TRUNCATE_IGNORE, MOR_UNAVAILABLE_NULL);
    static const char truncate[] = "{\"before\":null,\"after\":null," SOURCE ",\"op\":\"t\"}";
    assert_int_equal(decode(&f, NULL, truncate), MOR_OK);
    assert_int_equal(f.what, MOR_DECODED_NOTHING);
    assert_int_equal(decode(&f, NULL, "{\"op\":\"m\"," SOURCE ",\"message\":{\"prefix\":\"x\"}}"),
                     MOR_OK);
    assert_int_equal(f.what, MOR_DECODED_NOTHING);
    assert_int_equal(f.batch->columns[0].length, 0);
    stop(&f);
    f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    refused(&f, truncate, MOR_FATAL, "the source table was truncated");
    stop(&f);
}

static void what_is_no_change_event_is_refused(void **state)
{
    (void)state;
    struct fixture f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    refused(&f, ONE, MOR_DATA, "not a change event");
    refused(&f, "{\"after\":" ONE "}", MOR_DATA, "it has no field 'op'");
    refused(&f, "{\"after\":" ONE ",\"op\":\"x\"}", MOR_DATA, "unknown 'op'");
    refused(&f, "{\"after\":" ONE ",\"op\":7}", MOR_DATA, "unknown 'op'");
    refused(&f, "{\"before\":" ONE ",\"after\":null,\"op\":\"u\"}", MOR_DATA, "has no 'after'");
    refused(&f, "{\"before\":null,\"after\":" ONE ",\"op\":\"d\"}", MOR_DATA, "has no 'before'");
    refused(&f, "{\"before\":null,\"op\":\"d\"}", MOR_DATA, "has no 'before'");
    refused(&f, "{\"before\":{\"id\":\"x\"},\"op\":\"d\"}", MOR_DATA, "field 'before.id'");
    refused(&f, "{\"after\":{\"id\":1},\"after\":{\"id\":2},\"op\":\"c\"}", MOR_DATA,
            "duplicate key");
    refused(&f, "{\"after\":{\"id\":1},\"source\":{},\"op\":\"c\"}", MOR_DATA,
            "neither an lsn nor a binlog");
    stop(&f);
}

static void a_value_that_was_not_read_follows_its_policy(void **state)
{
    (void)state;
    static const char event[] =
        "{\"after\":{\"id\":1,\"name\":\"__debezium_unavailable_value\"}," SOURCE ",\"op\":\"u\"}";
    static const char rest[] =
        "\"day\":null,\"amount\":null,\"db\":\"shop\",\"op\":\"u\",\"position\":77}";
    struct fixture f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_NULL);
    MOR_AUTO_FREE char *null = mor_asprintf("{\"id\":1,\"name\":null,%s", rest);
    row(&f, event, MOR_DECODED_ROW, null);
    stop(&f);
    f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_KEEP);
    MOR_AUTO_FREE char *kept =
        mor_asprintf("{\"id\":1,\"name\":\"__debezium_unavailable_value\",%s", rest);
    row(&f, event, MOR_DECODED_ROW, kept);
    stop(&f);
    f = start(MOR_TRUNCATE_STOP, MOR_UNAVAILABLE_DEAD_LETTER);
    refused(&f, event, MOR_DATA, "field 'name': the source did not send the value");
    stop(&f);
}

// What stands for an array, a map or bytes that were not read, and what only looks like it.
static void the_marker_is_found_in_every_type(void **state)
{
    (void)state;
    static const struct {
        const char *type, *value;
        bool unavailable;
    } cases[] = {
        {"list<string>", "[\"__debezium_unavailable_value\"]", true},
        {"list<string>", "[\"__debezium_unavailable_value\",\"x\"]", false},
        {"list<string>", "[]", false},
        {"map<string>", "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}",
         true},
        {"map<string>", "{\"a\":\"__debezium_unavailable_value\"}", false},
        {"bytes", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"", true},
        {"json", "\"__debezium_unavailable_value\"", true},
        {"list<int>",
         "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,"
         "97,"
         "108,117,101]",
         true},
        {"list<long>",
         "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,"
         "97,"
         "108,117,101]",
         true},
        {"list<long>",
         "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,"
         "97,"
         "108,117,102]",
         false},
        {"list<int>", "[95,null]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const struct mor_route value_route[] = {{"v", 0, MOR_ROUTE_NONE, NULL, NULL, 0}};
        static const struct mor_route event_routes[] = {
            {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", value_route, 1},
            {"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0}};
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema *schema = schema_of("v", cases[i].type, NULL);
        struct mor_decoder *decoder =
            decoder_of(schema, (struct mor_decoder_options){.routes = event_routes,
                                                            .route_count = 2,
                                                            .envelope = MOR_ENVELOPE_DEBEZIUM,
                                                            .unavailable = MOR_UNAVAILABLE_NULL});
        struct mor_batch *batch = mor_batch_new(schema, NULL);
        MOR_AUTO_FREE char *event =
            mor_asprintf("{\"after\":{\"v\":%s},\"op\":\"u\"}", cases[i].value);
        struct mor_record record = {.value = (const uint8_t *)event,
                                    .value_size_bytes = strlen(event)};
        enum mor_decoded what;
        assert_ok(mor_decoder_record(decoder, &record, batch->columns, &what, &err));
        batch->row_count = 1;
        assert_ok(mor_batch_validate(batch, &err));
        if (mor_vector_is_null(&batch->columns[0], 0) != cases[i].unavailable)
            fail_msg("%s of type %s", cases[i].value, cases[i].type);
        mor_batch_free(batch);
        mor_decoder_free(decoder);
        mor_schema_free(schema);
    }
}

static struct mor_notes notes_of(const char *file, int64_t pos)
{
    struct mor_notes notes = {0};
    notes.values[MOR_NOTE_FILE] = (struct mor_note){
        .text = (const uint8_t *)file, .size_bytes = strlen(file), .present = true};
    notes.values[MOR_NOTE_POS] = (struct mor_note){.number = pos, .present = true};
    return notes;
}

static void positions_grow_with_the_log(void **state)
{
    (void)state;
    int64_t first = 0, second = 0;
    struct mor_notes notes = notes_of("mysql-bin.000009", 4000000000);
    assert_true(mor_position_of(&notes, &first));
    assert_true(first == ((int64_t)9 << 40 | 4000000000));
    notes = notes_of("mysql-bin.000010", 4);
    assert_true(mor_position_of(&notes, &second));
    assert_true(first < second);
    static const char *const bad[] = {"", "mysql-bin", "mysql-bin.", "000001",
                                      "x.99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        notes = notes_of(bad[i], 4);
        assert_false(mor_position_of(&notes, &first));
    }
    notes = notes_of("x.1", -1);
    assert_false(mor_position_of(&notes, &first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_from_after_and_deletes_from_before),
        cmocka_unit_test(events_may_stand_beside_their_schema),
        cmocka_unit_test(tombstones_name_the_key),
        cmocka_unit_test(events_about_no_row_are_nothing),
        cmocka_unit_test(what_is_no_change_event_is_refused),
        cmocka_unit_test(a_value_that_was_not_read_follows_its_policy),
        cmocka_unit_test(the_marker_is_found_in_every_type),
        cmocka_unit_test(positions_grow_with_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
