// Which writer types fit which columns, and how fields are matched.
#include "avro_test.h"

static struct mor_schema *table_of(const char *type, bool nullable)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *table = mor_schema_new("t");
    struct mor_field *field = mor_schema_add(table, NULL, "f", MOR_TYPE_INT32, nullable);
    assert_ok(mor_type_parse(table, field, type, &err));
    return table;
}

struct hex {
    uint8_t bytes[256];
    size_t size;
};

static struct hex unhex(const char *text)
{
    struct hex hex = {.size = strlen(text) / 2};
    for (size_t i = 0; i < hex.size; i++) {
        unsigned byte = 0;
        sscanf(text + 2 * i, "%2x", &byte);
        hex.bytes[i] = (uint8_t)byte;
    }
    return hex;
}

// Decodes the datum of a one-field record into a nullable column and compares its JSON.
static void decodes(const char *writer, const char *type, const char *datum, const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *json = record_of(writer);
    struct mor_avro_schema *avro = parse_avro(json);
    struct mor_schema *table = table_of(type, true);
    struct mor_avro_plan *plan = NULL;
    if (mor_avro_plan_new(avro, table, &plan, &err) != MOR_OK)
        fail_msg("%s to %s: %s", writer, type, err.message);
    struct mor_batch *batch = mor_batch_new(table, NULL);
    struct hex hex = unhex(datum);
    if (mor_avro_plan_decode(plan, hex.bytes, hex.size, batch->columns, NULL, &err) != MOR_OK)
        fail_msg("%s to %s: %s", writer, type, err.message);
    MOR_AUTO_BUFFER text = {0};
    mor_vector_format_json(&batch->columns[0], 0, &text);
    assert_string_equal(mor_buffer_terminate(&text), expected);
    batch->row_count = 1;
    assert_ok(mor_batch_validate(batch, &err));
    mor_batch_free(batch);
    mor_avro_plan_free(plan);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void plan_refused(const char *writer, const char *type)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *json = record_of(writer);
    struct mor_avro_schema *avro = parse_avro(json);
    struct mor_schema *table = table_of(type, true);
    struct mor_avro_plan *plan = NULL;
    if (mor_avro_plan_new(avro, table, &plan, &err) != MOR_DATA)
        fail_msg("%s to %s was accepted", writer, type);
    assert_non_null(strstr(err.message, "field 'f'"));
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

#define LOGICAL(base_, name_) "{\"type\":\"" base_ "\",\"logicalType\":\"" name_ "\"}"
#define DECIMAL(precision_, scale_)                                                                \
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" #precision_                   \
    ",\"scale\":" #scale_ "}"
#define FIXED(size_) "{\"type\":\"fixed\",\"name\":\"x\",\"size\":" #size_ "}"
#define UUID_FIXED   "{\"type\":\"fixed\",\"name\":\"x\",\"size\":16,\"logicalType\":\"uuid\"}"
#define ENUM_AB      "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"BB\"]}"

static void test_numbers_are_promoted(void **state)
{
    (void)state;
    decodes("\"int\"", "int", "7f", "-64");
    decodes("\"int\"", "long", "7f", "-64");
    decodes("\"int\"", "float", "7f", "-64.0");
    decodes("\"int\"", "double", "7f", "-64.0");
    decodes("\"long\"", "long", "ffffffffffffffffff01", "-9223372036854775808");
    decodes("\"long\"", "float", "04", "2.0");
    decodes("\"long\"", "double", "04", "2.0");
    decodes("\"float\"", "float", "0000c03f", "1.5");
    decodes("\"float\"", "double", "0000c03f", "1.5");
    decodes("\"double\"", "double", "000000000000f83f", "1.5");
    decodes("\"boolean\"", "boolean", "01", "true");
}

static void test_texts_and_bytes_change_places(void **state)
{
    (void)state;
    decodes("\"string\"", "string", "06666f6f", "\"foo\"");
    decodes("\"bytes\"", "string", "06666f6f", "\"foo\"");
    decodes("\"string\"", "bytes", "06666f6f", "\"Zm9v\"");
    decodes(FIXED(3), "bytes", "666f6f", "\"Zm9v\"");
    decodes(ENUM_AB, "string", "02", "\"BB\"");
    decodes(LOGICAL("string", "uuid"), "uuid",
            "4830303131323233332d343435352d363637372d383839392d616162626363646465656666",
            "\"00112233-4455-6677-8899-aabbccddeeff\"");
    decodes(LOGICAL("string", "uuid"), "string",
            "4830303131323233332d343435352d363637372d383839392d616162626363646465654646",
            "\"00112233-4455-6677-8899-aabbccddeeFF\"");
    decodes(UUID_FIXED, "uuid", "00112233445566778899aabbccddeeff",
            "\"00112233-4455-6677-8899-aabbccddeeff\"");
    decodes(UUID_FIXED, "string", "00112233445566778899aabbccddeeff",
            "\"00112233-4455-6677-8899-aabbccddeeff\"");
}

static void test_units_of_time_are_converted(void **state)
{
    (void)state;
    decodes(LOGICAL("int", "date"), "date", "02", "\"1970-01-02\"");
    decodes(LOGICAL("int", "date"), "timestamp_ms", "01", "\"1969-12-31T00:00:00Z\"");
    decodes(LOGICAL("int", "date"), "timestamp_us", "02", "\"1970-01-02T00:00:00Z\"");
    decodes(LOGICAL("long", "timestamp-millis"), "timestamp_us", "dc0b",
            "\"1970-01-01T00:00:00.750000Z\"");
    decodes(LOGICAL("long", "timestamp-micros"), "timestamp_us", "dc0b",
            "\"1970-01-01T00:00:00.000750Z\"");
    decodes(LOGICAL("long", "timestamp-micros"), "timestamp_ms", "01",
            "\"1969-12-31T23:59:59.999000Z\"");
    decodes(LOGICAL("long", "local-timestamp-millis"), "timestamp_us", "dc0b",
            "\"1970-01-01T00:00:00.750000Z\"");
    decodes(LOGICAL("long", "timestamp-millis"), "long", "dc0b", "750");
    decodes(LOGICAL("int", "date"), "int", "02", "1");
}

static void test_decimals_grow_in_scale(void **state)
{
    (void)state;
    decodes(DECIMAL(5, 2), "decimal(5,2)", "04cfc7", "\"-123.45\"");
    decodes(DECIMAL(5, 2), "decimal(9,4)", "04cfc7", "\"-123.4500\"");
    decodes(DECIMAL(5, 2), "decimal(5,2)", "00", "\"0.00\"");
    decodes(DECIMAL(5, 2), "decimal(5,2)", "28ffffffffffffffffffffffffffffffffffffcfc7",
            "\"-123.45\"");
    decodes("{\"type\":\"fixed\",\"name\":\"d\",\"size\":5,\"logicalType\":\"decimal\","
            "\"precision\":10,\"scale\":2}",
            "decimal(12,2)", "ffffffcfc7", "\"-123.45\"");
}

static void test_nulls_and_unions(void **state)
{
    (void)state;
    decodes("[\"null\",\"int\"]", "int", "00", "null");
    decodes("[\"null\",\"int\"]", "int", "0202", "1");
    decodes("[\"int\",\"null\"]", "int", "02", "null");
    decodes("[\"int\",\"null\"]", "int", "0002", "1");
    decodes("[\"int\"]", "int", "0002", "1");
    decodes("\"null\"", "int", "", "null");
    decodes("[\"null\",\"int\",\"long\"]", "long", "0402", "1");
    decodes("[\"null\",\"int\",\"long\"]", "long", "00", "null");
    decodes("[\"string\",\"int\"]", "long", "0202", "1");
    decodes("{\"type\":\"array\",\"items\":[\"null\",\"int\"]}", "list<long>", "0400020200",
            "[null,1]");
    decodes("{\"type\":\"map\",\"values\":[\"int\",\"null\"]}", "map<long>", "040261000202620200",
            "{\"a\":1,\"b\":null}");
    decodes("{\"type\":\"array\",\"items\":\"int\"}", "list<int>", "02020304040600", "[1,2,3]");
}

static void test_what_does_not_fit_is_refused_when_the_plan_is_made(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"long\"", "int"},
        {"\"double\"", "float"},
        {"\"double\"", "long"},
        {"\"string\"", "long"},
        {"\"int\"", "boolean"},
        {"\"boolean\"", "int"},
        {"\"int\"", "date"},
        {"\"int\"", "time_ms"},
        {"\"long\"", "timestamp_us"},
        {"\"long\"", "time_us"},
        {LOGICAL("long", "timestamp-millis"), "date"},
        {LOGICAL("int", "time-millis"), "timestamp_ms"},
        {"\"bytes\"", "uuid"},
        {"\"bytes\"", "decimal(5,2)"},
        {DECIMAL(5, 2), "decimal(5,1)"},
        {FIXED(15), "uuid"},
        {FIXED(3), "string"},
        {ENUM_AB, "bytes"},
        {"{\"type\":\"array\",\"items\":\"long\"}", "list<int>"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "map<int>"},
        {"{\"type\":\"map\",\"values\":\"int\"}", "list<int>"},
        {"[\"string\",\"boolean\"]", "int"},
        {"{\"type\":\"record\",\"name\":\"q\",\"fields\":[]}", "int"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        plan_refused(cases[i][0], cases[i][1]);
}

// ---- matching of fields -------------------------------------------------------------------------

static void test_fields_are_matched_by_name_then_alias_and_others_skipped(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro =
        parse_avro("{\"type\":\"record\",\"name\":\"r\",\"fields\":["
                   "{\"name\":\"skipped\",\"type\":{\"type\":\"map\",\"values\":[\"null\",{"
                   "\"type\":\"array\",\"items\":\"r\"},\"string\"]}},"
                   "{\"name\":\"b\",\"type\":\"int\"},"
                   "{\"name\":\"renamed\",\"aliases\":[\"b\",\"a\"],\"type\":\"int\"},"
                   "{\"name\":\"also\",\"aliases\":[\"a\"],\"type\":\"double\"}]}");
    struct mor_schema *table = mor_schema_new("t");
    mor_schema_add(table, NULL, "a", MOR_TYPE_INT64, false);
    mor_schema_add(table, NULL, "late", MOR_TYPE_STRING, true);
    mor_schema_add(table, NULL, "b", MOR_TYPE_INT32, false);
    struct mor_avro_plan *plan = NULL;
    assert_ok(mor_avro_plan_new(avro, table, &plan, &err));
    struct mor_batch *batch = mor_batch_new(table, NULL);
    // skipped: {"k": "v", "l": [{empty, 1, 2, 0.0}]}
    struct hex hex = unhex("04026b040276026c0202000204000000000000000000000a0c0000000000000000");
    if (mor_avro_plan_decode(plan, hex.bytes, hex.size, batch->columns, NULL, &err) != MOR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(mor_vector_i64(&batch->columns[0], 0), 6);
    assert_true(mor_vector_is_null(&batch->columns[1], 0));
    assert_int_equal(mor_vector_i32(&batch->columns[2], 0), 5);
    mor_batch_free(batch);
    mor_avro_plan_free(plan);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void test_required_column_without_field_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro = parse_avro("{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}");
    struct mor_schema *table = table_of("int", false);
    struct mor_avro_plan *plan = NULL;
    assert_int_equal(mor_avro_plan_new(avro, table, &plan, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "required column 'f'"));
    mor_avro_schema_free(avro);
    avro = parse_avro("\"int\"");
    assert_int_equal(mor_avro_plan_new(avro, table, &plan, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "not a record"));
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

// Two records in each union, each with a union of two records, ...: 2^25 operations.
static void test_multiplying_unions_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_text(&text, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[");
    for (int i = 0; i < 25; i++) {
        const char *inner = "\"int\"";
        char both[64];
        snprintf(both, sizeof both, "[\"a%d\",\"b%d\"]", i - 1, i - 1);
        if (i > 0)
            inner = both;
        mor_buffer_printf(
            &text,
            "%s{\"name\":\"skip%d\",\"type\":[{\"type\":\"record\",\"name\":\"a%d\",\"fields\":[{"
            "\"name\":\"f\",\"type\":%s}]},"
            "{\"type\":\"record\",\"name\":\"b%d\",\"fields\":[{\"name\":\"f\",\"type\":%s}]}]}",
            i ? "," : "", i, i, inner, i, inner);
    }
    mor_buffer_append_text(&text, ",{\"name\":\"f\",\"type\":[\"a24\",\"b24\"]}]}");
    struct mor_avro_schema *avro = parse_avro(mor_buffer_terminate(&text));
    struct mor_schema *table = mor_schema_new("t");
    struct mor_field *parent = NULL;
    for (int i = 0; i < 25; i++)
        parent = mor_schema_add(table, parent, "f", MOR_TYPE_STRUCT, true);
    mor_schema_add(table, parent, "f", MOR_TYPE_INT32, true);
    struct mor_avro_plan *plan = NULL;
    assert_int_equal(mor_avro_plan_new(avro, table, &plan, &err), MOR_DATA);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

// ---- resolution, routes -------------------------------------------------------------------------

struct compiled {
    struct mor_avro_schema *writer, *reader;
    struct mor_schema *table;
    struct mor_avro_plan *plan;
    struct mor_batch *batch;
    struct mor_notes notes; // of `hex`
    struct hex hex;
};

static struct compiled compile(const char *writer, const char *reader, struct mor_schema *table,
                               const struct mor_route *routes, size_t route_count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct compiled c = {
        .writer = parse_avro(writer), .reader = reader ? parse_avro(reader) : NULL, .table = table};
    struct mor_avro_plan_options options = {.writer = c.writer,
                                            .table = table,
                                            .reader = c.reader,
                                            .routes = routes,
                                            .route_count = route_count};
    assert_ok(mor_avro_plan_compile(&options, &c.plan, &err));
    c.batch = mor_batch_new(table, NULL);
    return c;
}

static void done(struct compiled *c)
{
    mor_batch_free(c->batch);
    mor_avro_plan_free(c->plan);
    mor_avro_schema_free(c->writer);
    mor_avro_schema_free(c->reader);
    mor_schema_free(c->table);
}

static enum mor_status decode_hex(struct compiled *c, const char *text, size_t items_max,
                                  struct mor_error *err)
{
    c->hex = unhex(text);
    enum mor_status status = mor_avro_plan_decode_noting(
        c->plan, c->hex.bytes, c->hex.size, items_max, c->batch->columns, &c->notes, err);
    c->batch->row_count += status == MOR_OK;
    return status;
}

static void row_is(const struct compiled *c, const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < c->batch->column_count; i++) {
        mor_buffer_append_text(&text, i > 0 ? " " : "");
        mor_vector_format_json(&c->batch->columns[i], c->batch->row_count - 1, &text);
    }
    assert_string_equal(mor_buffer_terminate(&text), expected);
    assert_ok(mor_batch_validate(c->batch, &err));
}

static struct mor_schema *table_with(const char *const (*columns)[2], size_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *table = mor_schema_new("t");
    for (size_t i = 0; i < count; i++) {
        struct mor_field *field = mor_schema_add(table, NULL, columns[i][0], MOR_TYPE_INT32, true);
        assert_ok(mor_type_parse(table, field, columns[i][1], &err));
    }
    return table;
}

#define FIELD(name_, type_, more_) "{\"name\":\"" name_ "\",\"type\":" type_ more_ "}"
#define RECORD(fields_)            "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields_ "]}"

static void test_each_branch_of_a_union_has_a_field_of_its_own(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    static const char type[] = "[\"string\",\"null\",\"long\"]";
    MOR_AUTO_FREE char *writer = record_of(type);
    struct mor_avro_schema *avro = parse_avro(writer);
    struct mor_schema *table = NULL;
    assert_ok(mor_avro_schema_to_table(avro, &table, &err));
    mor_avro_schema_free(avro);
    struct compiled c = compile(writer, NULL, table, NULL, 0);
    assert_int_equal(decode_hex(&c, "00066162ff", 10, &err), MOR_DATA); // not UTF-8
    assert_ok(decode_hex(&c, "0006616263", 10, &err));
    row_is(&c, "{\"string\":\"abc\",\"long\":null}");
    assert_ok(decode_hex(&c, "040e", 10, &err));
    row_is(&c, "{\"string\":null,\"long\":7}");
    assert_ok(decode_hex(&c, "02", 10, &err));
    row_is(&c, "null");
    assert_int_equal(decode_hex(&c, "06", 10, &err), MOR_DATA);
    done(&c);
}

static void test_what_the_writer_lacks_is_the_readers_default(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    static const char *const columns[][2] = {
        {"a", "long"},    {"s", "string"},   {"b", "bytes"},       {"l", "list<int>"},
        {"none", "long"}, {"new", "string"}, {"d", "decimal(4,2)"}};
    const char *reader = RECORD(
        FIELD("a", "\"long\"", "") "," FIELD("s", "[\"string\",\"null\"]", ",\"default\":\"x\"") "," FIELD("b", "\"bytes\"", ",\"default\":\"\\u00ff\\u0000\"") "," FIELD(
            "l", "{\"type\":\"array\",\"items\":\"int\"}",
            ",\"default\":[1,2]") "," FIELD("none", "[\"null\",\"long\"]",
                                            ",\"default\":null") "," FIELD("new", "\"string\"",
                                                                           ",\"aliases\":[\"old\"],"
                                                                           "\"default\":\"?\"") "," FIELD("d",
                                                                                                          DECIMAL(
                                                                                                              4,
                                                                                                              2),
                                                                                                          ",\"default\":\"\\u0001\""));
    struct compiled c =
        compile(RECORD(FIELD("old", "\"string\"", "") "," FIELD("a", "\"int\"", "")), reader,
                table_with(columns, 7), NULL, 0);
    assert_ok(decode_hex(&c, "024f06", 10, &err));
    row_is(&c, "3 \"x\" \"/wA=\" [1,2] null \"O\" \"0.01\"");
    done(&c);
}

// Names of columns, nested ones as a path, of a table that was made from `older` and then got
// `newer`.
static void names_are(const char *older, const char *newer, const char *reader,
                      const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *first = parse_avro(older), *second = parse_avro(newer);
    struct mor_avro_schema *known = reader ? parse_avro(reader) : NULL;
    struct mor_schema *have, *columns;
    assert_ok(mor_avro_schema_to_table(first, &have, &err));
    assert_ok(mor_avro_schema_to_table(second, &columns, &err));
    mor_avro_keep_names(second, known, have, columns);
    MOR_AUTO_BUFFER text = {0};
    mor_type_format(&columns->root, &text);
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_schema_free(have);
    mor_schema_free(columns);
    mor_avro_schema_free(first);
    mor_avro_schema_free(second);
    mor_avro_schema_free(known);
}

static void test_a_renamed_field_keeps_the_name_that_the_table_has(void **state)
{
    (void)state;
#define ALIAS(name_)   ",\"aliases\":[\"" name_ "\"]"
#define INNER(fields_) "{\"type\":\"record\",\"name\":\"i\",\"fields\":[" fields_ "]}"
#define LIST_OF(type_) "{\"type\":\"array\",\"items\":" type_ "}"
    const char *older = RECORD(
        FIELD("a", "\"int\"", "") "," FIELD("l", LIST_OF(INNER(FIELD("x", "\"int\"", ""))), ""));
    names_are(older,
              RECORD(FIELD("l2", LIST_OF("[\"null\"," INNER(FIELD("y", "\"int\"", ALIAS("x"))) "]"),
                           ALIAS("l")) "," FIELD("b", "\"int\"", ALIAS("zz\",\"a"))),
              NULL, "struct<l:list<struct<x:int>>,a:int>");
    // what has the old name is not what was renamed; the first of two takes a name
    names_are(older, RECORD(FIELD("b", "\"int\"", ALIAS("a")) "," FIELD("a", "\"int\"", "")), NULL,
              "struct<b:int,a:int>");
    names_are(older,
              RECORD(FIELD("b", "\"int\"", ALIAS("a")) "," FIELD("c", "\"int\"", ALIAS("a"))), NULL,
              "struct<a:int,c:int>");
    // the aliases of the topic's schema help with a writer that has none
    names_are(older, RECORD(FIELD("b", "\"int\"", "")), RECORD(FIELD("b", "\"int\"", ALIAS("a"))),
              "struct<a:int>");
    // a table that has the new name as well keeps both
    names_are(RECORD(FIELD("a", "\"int\"", "") "," FIELD("b", "\"int\"", "")),
              RECORD(FIELD("b", "\"int\"", ALIAS("a"))), NULL, "struct<b:int>");
}

// The other way round: a column under the older name takes the values and defaults of the newer.
static void test_a_column_with_an_older_name_is_filled(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    static const char *const columns[][2] = {{"old", "string"}, {"id", "long"}};
    const char *reader =
        RECORD(FIELD("new", "\"string\"",
                     ",\"aliases\":[\"old\"],\"default\":\"?\"") "," FIELD("id", "\"long\"", ""));
    struct compiled c =
        compile(RECORD(FIELD("new", "\"string\"", "") "," FIELD("id", "\"int\"", "")), reader,
                table_with(columns, 2), NULL, 0);
    assert_ok(decode_hex(&c, "024f06", 10, &err));
    row_is(&c, "\"O\" 3");
    assert_string_equal(mor_avro_plan_strangers(c.plan), "");
    done(&c);
    c = compile(RECORD(FIELD("id", "\"int\"", "")), reader, table_with(columns, 2), NULL, 0);
    assert_ok(decode_hex(&c, "06", 10, &err));
    row_is(&c, "\"?\" 3");
    done(&c);
}

// Columns b, id (from after, else before), at (from source); notes of op and source.lsn.
static struct compiled compile_event(bool before_first)
{
    static const struct mor_route row[] = {{"id", 1, MOR_ROUTE_NONE, NULL, NULL, 0},
                                           {"b", 0, MOR_ROUTE_NONE, NULL, NULL, 0}};
    static const struct mor_route source[] = {{"at", 2, MOR_ROUTE_NONE, NULL, NULL, 0},
                                              {"lsn", MOR_ROUTE_NONE, 1, NULL, NULL, 0}};
    static const struct mor_route routes[] = {
        {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row, 2},
        {"source", MOR_ROUTE_NONE, MOR_ROUTE_NONE, NULL, source, 2},
        {"op", MOR_ROUTE_NONE, 0, NULL, NULL, 0}};
    static const char *const columns[][2] = {{"b", "string"}, {"id", "long"}, {"at", "long"}};
#define ROW                                                                                        \
    "[\"null\",{\"type\":\"record\",\"name\":\"v\",\"fields\":[" FIELD(                            \
        "id", "\"long\"", "") "," FIELD("b", "[\"null\",\"string\"]", "") "]}]"
#define SOURCE                                                                                     \
    "{\"type\":\"record\",\"name\":\"s\",\"fields\":[" FIELD("at", "\"long\"", "") "," FIELD(      \
        "db", "\"string\"", "") "," FIELD("lsn", "[\"null\",\"long\"]", "") "]}"
    const char *first =
        RECORD(FIELD("before", ROW, "") "," FIELD("after", "[\"null\",\"v\"]", "") "," FIELD(
            "source", SOURCE, "") "," FIELD("op", "\"string\"", ""));
    const char *last = RECORD(FIELD("op", "\"string\"", "") "," FIELD("after", ROW, "") "," FIELD(
        "source", SOURCE, "") "," FIELD("before", "[\"null\",\"v\"]", ""));
    return compile(before_first ? first : last, NULL, table_with(columns, 3), routes, 3);
}

static void test_a_row_comes_from_after_or_else_from_before(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct compiled c = compile_event(true);
    assert_ok(decode_hex(&c,
                         "00"
                         "0206020278"
                         "0a0264020e"
                         "0263",
                         10, &err));
    row_is(&c, "\"x\" 3 5");
    assert_true(c.notes.values[0].present && c.notes.values[0].text[0] == 'c');
    assert_int_equal(c.notes.values[1].number, 7);
    assert_false(c.notes.otherwise || c.notes.absent);
    assert_int_equal(decode_hex(&c,
                                "02080202790206020278"
                                "0a026400",
                                10, &err),
                     MOR_DATA); // op is cut off
    assert_ok(decode_hex(&c,
                         "0208020279"
                         "00"
                         "0a026400"
                         "0264",
                         10, &err));
    row_is(&c, "\"y\" 4 5");
    assert_true(c.notes.otherwise);
    assert_false(c.notes.values[1].present);
    assert_ok(decode_hex(&c,
                         "0000"
                         "0a026400"
                         "0274",
                         10, &err));
    row_is(&c, "null null 5");
    assert_true(c.notes.absent);
    done(&c);
    c = compile_event(false);
    assert_ok(decode_hex(&c,
                         "0264"
                         "00"
                         "0a026400"
                         "0208020279",
                         10, &err));
    row_is(&c, "\"y\" 4 5");
    assert_true(c.notes.otherwise);
    done(&c);
}

static void test_more_elements_than_allowed_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *writer = record_of("{\"type\":\"array\",\"items\":\"int\"}");
    struct compiled c = compile(writer, NULL, table_of("list<int>", true), NULL, 0);
    assert_ok(decode_hex(&c,
                         "040204"
                         "020600",
                         3, &err));
    row_is(&c, "[1,2,3]");
    assert_int_equal(decode_hex(&c,
                                "040204"
                                "04060800",
                                3, &err),
                     MOR_DATA);
    assert_non_null(strstr(err.message, "too many elements"));
    assert_int_equal(c.batch->columns[0].length, 1);
    done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_promoted),
        cmocka_unit_test(test_texts_and_bytes_change_places),
        cmocka_unit_test(test_units_of_time_are_converted),
        cmocka_unit_test(test_decimals_grow_in_scale),
        cmocka_unit_test(test_nulls_and_unions),
        cmocka_unit_test(test_what_does_not_fit_is_refused_when_the_plan_is_made),
        cmocka_unit_test(test_fields_are_matched_by_name_then_alias_and_others_skipped),
        cmocka_unit_test(test_required_column_without_field_is_refused),
        cmocka_unit_test(test_multiplying_unions_are_refused),
        cmocka_unit_test(test_each_branch_of_a_union_has_a_field_of_its_own),
        cmocka_unit_test(test_what_the_writer_lacks_is_the_readers_default),
        cmocka_unit_test(test_a_renamed_field_keeps_the_name_that_the_table_has),
        cmocka_unit_test(test_a_column_with_an_older_name_is_filled),
        cmocka_unit_test(test_a_row_comes_from_after_or_else_from_before),
        cmocka_unit_test(test_more_elements_than_allowed_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
