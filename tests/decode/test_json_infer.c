// Columns inferred from records.
#include "decode_test.h"

static void infers(bool enveloped, const char *const *records, size_t count, const char *expected)
{
    struct mor_json_inference *inference = mor_json_inference_new(enveloped);
    for (size_t i = 0; i < count; i++)
        mor_json_inference_add(inference, records[i], strlen(records[i]));
    struct mor_schema *schema = mor_json_inference_finish(inference);
    MOR_AUTO_BUFFER text = {0};
    if (schema)
        mor_type_format(&schema->root, &text);
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_schema_free(schema);
    mor_json_inference_free(inference);
}
#define INFERS(expected_, ...)                                                                     \
    infers(false, (const char *const[]){__VA_ARGS__},                                              \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), expected_)

static void plain_types(void **state)
{
    (void)state;
    INFERS("struct<a:long,b:boolean,c:double,d:json>",
           "{\"a\":1,\"b\":true,\"c\":1.5,\"d\":\"x\"}");
    INFERS("struct<b:json,a:long>", "{\"b\":null}", "{\"a\":1}", "{\"b\":null}");
}

static void types_that_differ_widen_or_become_text(void **state)
{
    (void)state;
    INFERS("struct<a:double>", "{\"a\":1}", "{\"a\":1.5}", "{\"a\":2}");
    INFERS("struct<a:json>", "{\"a\":1}", "{\"a\":\"x\"}", "{\"a\":1}");
    INFERS("struct<a:json>", "{\"a\":{\"b\":1}}", "{\"a\":[1]}", "{\"a\":{\"b\":1}}");
    INFERS("struct<a:list<double>>", "{\"a\":[]}", "{\"a\":[1,null]}", "{\"a\":[0.5]}");
}

static void objects_are_structs_where_they_can_be(void **state)
{
    (void)state;
    INFERS("struct<a:struct<x:long,y:json>>", "{\"a\":{\"x\":1}}", "{\"a\":{\"y\":\"\"}}",
           "{\"a\":{}}");
    INFERS("struct<a:json>", "{\"a\":{}}");
    INFERS("struct<a:json,ok:long>", "{\"a\":{\"not a name\":1},\"ok\":1,\"also not\":2}");
    INFERS("struct<a:struct<a:struct<a:struct<a:struct<a:struct<a:struct<a:struct<a:json>>>>>>>>",
           "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}");
}

static void broken_records_are_passed_over(void **state)
{
    (void)state;
    INFERS("", "{", "[1]", "7", "");
    INFERS("struct<a:long>", "{\"a\":", "{\"a\":1}", "{\"a\":1} x");
}

static void change_events_give_their_row(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"schema\":{},\"payload\":{\"before\":null,\"after\":{\"id\":1},\"op\":\"c\"}}",
        "{\"before\":{\"id\":1,\"gone\":true},\"after\":null,\"op\":\"d\"}", "{\"op\":\"t\"}"};
    infers(true, events, 3, "struct<id:long,gone:boolean>");
}

static void a_tables_texts_take_any_value(void **state)
{
    (void)state;
    struct mor_schema *schema =
        schema_of("a", "string", "b", "list<string>", "m", "map<string>", "n", "long", NULL);
    mor_json_inference_reopen(schema);
    MOR_AUTO_BUFFER text = {0};
    mor_type_format(&schema->root, &text);
    assert_string_equal(mor_buffer_terminate(&text),
                        "struct<a:json,b:list<json>,m:map<json>,n:long>");
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_types),
        cmocka_unit_test(types_that_differ_widen_or_become_text),
        cmocka_unit_test(objects_are_structs_where_they_can_be),
        cmocka_unit_test(broken_records_are_passed_over),
        cmocka_unit_test(change_events_give_their_row),
        cmocka_unit_test(a_tables_texts_take_any_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
