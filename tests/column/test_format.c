#include <math.h>

#include "check.h"
#include "moraine/column.h"

// The only value of a column of `type` as JSON and as text.
static void assert_formats(const char *type, const void *value, size_t size, const char *json,
                           const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("s");
    struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
    assert_ok(mor_type_parse(schema, field, type, &err));
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    if (field->type == MOR_TYPE_BOOL)
        mor_vector_append_bool(&vector, *(const bool *)value);
    else if (mor_type_width(field) > 0)
        mor_vector_append_fixed(&vector, value);
    else
        mor_vector_append_bytes(&vector, value, size);
    MOR_AUTO_BUFFER out = {0};
    mor_vector_format_json(&vector, 0, &out);
    assert_string_equal(mor_buffer_terminate(&out), json);
    mor_buffer_reset(&out);
    mor_vector_format_text(&vector, 0, &out);
    assert_string_equal(mor_buffer_terminate(&out), text);
    mor_vector_done(&vector);
    mor_schema_free(schema);
}

static void every_type_has_its_text(void **state)
{
    (void)state;
    bool yes = true;
    int32_t days = 20777, noon_ms = 43200001;
    int64_t us = 1767225600000001, number = INT64_MIN, noon_us = 43200000001;
    float single = 0.1f;
    double wide = 0.1, large = 1e300, whole = 3, nan_value = NAN, infinity = -INFINITY;
    mor_int128 decimal = -1234;
    uint8_t uuid[16] = {0x33, 0x4e, 0x26, 0xe9, 0x83, 0x55, 0x45, 0xcc,
                        0x97, 0xc6, 0xc3, 0x1d, 0xaf, 0x0d, 0xf3, 0x30};
    assert_formats("boolean", &yes, 1, "true", "true");
    assert_formats("long", &number, 8, "-9223372036854775808", "-9223372036854775808");
    assert_formats("float", &single, 4, "0.1", "0.1");
    assert_formats("double", &wide, 8, "0.1", "0.1");
    assert_formats("double", &large, 8, "1e+300", "1e+300");
    assert_formats("double", &whole, 8, "3.0", "3.0");
    assert_formats("double", &nan_value, 8, "\"NaN\"", "NaN");
    assert_formats("double", &infinity, 8, "\"-Infinity\"", "-Infinity");
    assert_formats("decimal(9,2)", &decimal, 16, "\"-12.34\"", "-12.34");
    assert_formats("date", &days, 4, "\"2026-11-20\"", "2026-11-20");
    assert_formats("time_ms", &noon_ms, 4, "\"12:00:00.001000\"", "12:00:00.001000");
    assert_formats("time_us", &noon_us, 8, "\"12:00:00.000001\"", "12:00:00.000001");
    assert_formats("timestamp_us", &us, 8, "\"2026-01-01T00:00:00.000001Z\"",
                   "2026-01-01T00:00:00.000001Z");
    assert_formats("uuid", uuid, 16, "\"334e26e9-8355-45cc-97c6-c31daf0df330\"",
                   "334e26e9-8355-45cc-97c6-c31daf0df330");
    assert_formats("string", "a\"\\\n\x01\xC3\xA9", 7, "\"a\\\"\\\\\\n\\u0001\xC3\xA9\"",
                   "a\"\\\n\x01\xC3\xA9");
    assert_formats("bytes", "ab", 2, "\"YWI=\"", "YWI=");
    assert_formats("bytes", "", 0, "\"\"", "");
    assert_formats("fixed(3)", "abc", 3, "\"YWJj\"", "YWJj");
}

static void nested_values_become_objects_and_arrays(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("s");
    struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
    assert_ok(mor_type_parse(schema, field, "map<list<int>>", &err));
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    for (int32_t i = 0; i < 2; i++) {
        mor_vector_append_bytes(&vector.children[0], i == 0 ? "x" : "y", 1);
        struct mor_vector *list = &vector.children[1];
        if (i == 1) {
            mor_vector_append_null(list);
            continue;
        }
        mor_vector_append_fixed(&list->children[0], &i);
        mor_vector_append_null(&list->children[0]);
        mor_vector_append_end(list);
    }
    mor_vector_append_end(&vector);
    mor_vector_append_null(&vector);
    MOR_AUTO_BUFFER out = {0};
    mor_vector_format_json(&vector, 0, &out);
    mor_vector_format_json(&vector, 1, &out);
    assert_string_equal(mor_buffer_terminate(&out), "{\"x\":[0,null],\"y\":null}null");
    mor_vector_done(&vector);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_text),
        cmocka_unit_test(nested_values_become_objects_and_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
