// JSON schemas as tables.
#include "decode_test.h"

static struct mor_schema_import address = {
    "address.json", "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"
                    "\"up\":{\"$ref\":\"#\"}},\"definitions\":{\"zip\":{\"type\":\"integer\"}}}"};

static struct mor_schema_text text_of(const char *text)
{
    return (struct mor_schema_text){
        .text = text, .size_bytes = strlen(text), .imports = &address, .import_count = 1};
}

#define OBJECT(properties_) "{\"type\":\"object\",\"properties\":{" properties_ "}}"

static void gives(const char *property, const char *expected, bool nullable)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *json =
        mor_asprintf("{\"type\":\"object\",\"required\":[\"f\"],\"definitions\":{\"d\":{\"type\":"
                     "\"boolean\"}},\"properties\":{\"f\":%s}}",
                     property);
    struct mor_schema_text text = text_of(json);
    struct mor_schema *table = NULL;
    assert_ok(mor_json_schema_to_table(&text, &table, &err));
    MOR_AUTO_BUFFER type = {0};
    mor_type_format(&table->root.children[0], &type);
    assert_string_equal(mor_buffer_terminate(&type), expected);
    assert_int_equal(table->root.children[0].nullable, nullable);
    mor_schema_free(table);
}

static void types_become_columns(void **state)
{
    (void)state;
    gives("{\"type\":\"integer\"}", "long", false);
    gives("{\"type\":\"number\"}", "double", false);
    gives("{\"type\":\"boolean\"}", "boolean", false);
    gives("{\"type\":\"string\"}", "string", false);
    gives("{\"type\":[\"null\",\"string\"]}", "string", true);
    gives("{\"type\":[\"integer\",\"number\"]}", "double", false);
    gives("{\"type\":[\"string\",\"integer\"]}", "json", false);
    gives("{\"type\":\"string\",\"format\":\"date-time\"}", "timestamp_us", false);
    gives("{\"type\":\"string\",\"format\":\"date\"}", "date", false);
    gives("{\"type\":\"string\",\"format\":\"uuid\"}", "uuid", false);
    gives("{\"type\":\"string\",\"contentEncoding\":\"base64\"}", "bytes", false);
    gives("{\"enum\":[\"a\",\"b\"]}", "enum", false);
    gives("{\"enum\":[\"a\",1]}", "json", false);
    gives("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "list<long>", false);
    gives("{\"type\":\"array\"}", "json", false);
    gives("{\"type\":\"object\"}", "json", false);
    gives("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}", "map<double>",
          false);
    gives(OBJECT("\"a\":{\"type\":\"string\"},\"b\":true"), "struct<a:string,b:json>", false);
    gives("{}", "json", false);
    gives("true", "json", false);
}

static void alternatives_with_null_are_nullable(void **state)
{
    (void)state;
    gives("{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "long", true);
    gives("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "json", false);
    gives("{\"allOf\":[{\"$ref\":\"#/definitions/d\"}]}", "boolean", false);
}

static void notes_of_connect_are_heeded(void **state)
{
    (void)state;
    gives("{\"type\":\"integer\",\"connect.type\":\"int32\"}", "int", false);
    gives("{\"type\":\"number\",\"connect.type\":\"float32\"}", "float", false);
    gives("{\"type\":\"string\",\"connect.type\":\"bytes\"}", "bytes", false);
    gives("{\"type\":\"integer\",\"title\":\"org.apache.kafka.connect.data.Timestamp\"}",
          "timestamp_ms", false);
    gives("{\"type\":\"integer\",\"title\":\"org.apache.kafka.connect.data.Date\"}", "date", false);
}

static void references_are_followed(void **state)
{
    (void)state;
    gives("{\"$ref\":\"#/definitions/d\"}", "boolean", false);
    gives("{\"$ref\":\"address.json#/definitions/zip\"}", "long", false);
    gives("{\"$ref\":\"address.json\"}", "struct<city:string,up:json>", false); // holds itself
    gives("{\"$ref\":\"nowhere.json\"}", "json", false);
    gives("{\"$ref\":\"#/definitions/none\"}", "json", false);
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"type\":\"string\"}", "not that of an object"},
        {"{\"$ref\":\"#\"}", "not that of an object"},
        {"{\"type\":", "JSON schema: line 1"},
        {"[]", "not that of an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema_text text = text_of(cases[i][0]);
        struct mor_schema *table = NULL;
        assert_int_equal(mor_json_schema_to_table(&text, &table, &err), MOR_DATA);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("'%s' is not in '%s'", cases[i][1], err.message);
    }
    assert_true(mor_json_schema_is_avro("{\"type\":\"record\",\"name\":\"r\"}"));
    assert_false(mor_json_schema_is_avro(OBJECT("")));
}

// Each level refers to the next twice: what it would expand to is limited.
static void expanding_references_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER json = {0};
    mor_buffer_append_text(&json,
                           "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/d/t0\"}},"
                           "\"d\":{");
    for (int i = 0; i < 30; i++)
        mor_buffer_printf(
            &json,
            "\"t%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/d/t%d\"},"
            "\"b\":{\"$ref\":\"#/d/t%d\"}}},",
            i, i + 1, i + 1);
    mor_buffer_append_text(&json, "\"t30\":{\"type\":\"string\"}}}");
    struct mor_schema_text text = text_of(mor_buffer_terminate(&json));
    struct mor_schema *table = NULL;
    assert_int_equal(mor_json_schema_to_table(&text, &table, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "more than 5000 fields"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_become_columns),
        cmocka_unit_test(alternatives_with_null_are_nullable),
        cmocka_unit_test(notes_of_connect_are_heeded),
        cmocka_unit_test(references_are_followed),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(expanding_references_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
