#include "check.h"
#include "moraine/serve.h"
#include "serve_json.h"

static void commas_stand_between_values_only(void **state)
{
    (void)state;
    struct mor_buffer out = {0};
    struct serve_json json = {.out = &out};
    serve_json_open(&json, NULL, '{');
    serve_json_open(&json, "empty", '[');
    serve_json_close(&json, ']');
    serve_json_open(&json, "list", '[');
    serve_json_int(&json, NULL, 1);
    serve_json_int(&json, NULL, -2);
    serve_json_close(&json, ']');
    serve_json_bool(&json, "yes", true);
    serve_json_bool(&json, "no", false);
    serve_json_close(&json, '}');
    assert_string_equal(mor_buffer_terminate(&out),
                        "{\"empty\":[],\"list\":[1,-2],\"yes\":true,\"no\":false}");
    mor_buffer_done(&out);
}

static void numbers_are_whole_seconds_or_null(void **state)
{
    (void)state;
    struct mor_buffer out = {0};
    struct serve_json json = {.out = &out};
    serve_json_open(&json, NULL, '[');
    serve_json_int(&json, NULL, INT64_MAX);
    serve_json_int(&json, NULL, MOR_SERVE_UNKNOWN);
    serve_json_seconds(&json, NULL, 1500);
    serve_json_seconds(&json, NULL, MOR_SERVE_UNKNOWN);
    serve_json_rate(&json, NULL, 12.34);
    serve_json_rate(&json, NULL, -1);
    serve_json_close(&json, ']');
    assert_string_equal(mor_buffer_terminate(&out),
                        "[9223372036854775807,null,1.5,null,12.3,null]");
    mor_buffer_done(&out);
}

static void every_byte_value_makes_valid_text(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'z', '\0'};
        struct mor_buffer out = {0};
        struct serve_json json = {.out = &out};
        serve_json_text(&json, NULL, text);
        const char *made = mor_buffer_terminate(&out);
        char expected[32];
        if (byte >= 0x80)
            (void)snprintf(expected, sizeof expected, "\"a\\ufffdz\"");
        else if (byte < 0x20 || strchr("\"\\<>&\x7f", byte) != NULL)
            (void)snprintf(expected, sizeof expected, "\"a\\u%04xz\"", (unsigned)byte);
        else
            (void)snprintf(expected, sizeof expected, "\"a%cz\"", byte);
        assert_string_equal(made, expected);
        mor_buffer_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_values_only),
        cmocka_unit_test(numbers_are_whole_seconds_or_null),
        cmocka_unit_test(every_byte_value_makes_valid_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
