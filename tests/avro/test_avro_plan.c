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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
