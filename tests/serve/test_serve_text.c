#include "check.h"
#include "moraine/serve.h"
#include "serve_text.h"

static void milliseconds_are_written_as_seconds(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {1, "0.001"},
                 {10, "0.01"},
                 {1234, "1.234"},
                 {1000, "1.0"},
                 {-5, "-0.005"},
                 {-61000, "-61.0"},
                 {1767225600000, "1767225600.0"},
                 {INT64_MIN + 1, "-9223372036854775.807"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_buffer out = {0};
        serve_append_seconds(&out, cases[i].ms);
        assert_string_equal(mor_buffer_terminate(&out), cases[i].text);
        mor_buffer_done(&out);
    }
}

static void durations_read_as_people_say_them(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-3, "0 ms"},           {0, "0 ms"},
                 {850, "850 ms"},        {12345, "12.3 s"},
                 {59999, "59.9 s"},      {60000, "1 min 0 s"},
                 {250000, "4 min 10 s"}, {11100000, "3 h 5 min"},
                 {187200000, "2 d 4 h"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        mor_serve_format_duration(cases[i].ms, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void times_are_utc_to_the_second(void **state)
{
    (void)state;
    char text[40];
    serve_format_time(1767323045678, text, sizeof text);
    assert_string_equal(text, "2026-01-02T03:04:05Z");
}

static void secrets_are_equal_only_as_a_whole(void **state)
{
    (void)state;
    assert_true(serve_secret_equals("abc", "abc"));
    static const char *const others[] = {"", "a", "ab", "abd", "abcd", "abcabc", "Abc"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(serve_secret_equals(others[i], "abc"));
    assert_false(serve_secret_equals("a", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milliseconds_are_written_as_seconds),
        cmocka_unit_test(durations_read_as_people_say_them),
        cmocka_unit_test(times_are_utc_to_the_second),
        cmocka_unit_test(secrets_are_equal_only_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
