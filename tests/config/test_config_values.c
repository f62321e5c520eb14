#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "config_options.h"

#include "moraine/config.h"

static void durations_need_a_whole_number_and_a_unit(void **state)
{
    (void)state;
    int64_t ms = -1;
    assert_true(mor_config_parse_duration("500ms", &ms) && ms == 500);
    assert_true(mor_config_parse_duration("10s", &ms) && ms == 10000);
    assert_true(mor_config_parse_duration("5m", &ms) && ms == 300000);
    assert_true(mor_config_parse_duration("24h", &ms) && ms == 86400000);
    assert_true(mor_config_parse_duration("7d", &ms) && ms == 604800000);
    assert_true(mor_config_parse_duration("0s", &ms) && ms == 0);
    const char *const wrong[] = {
        "", "10", "s", "-1s", "1.5h", "1h30m", "10 s", "10S", "9223372036854775807d"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mor_config_parse_duration(wrong[i], &ms));
}

static void sizes_know_binary_and_decimal_units(void **state)
{
    (void)state;
    int64_t bytes = -1;
    assert_true(mor_config_parse_size("64KiB", &bytes) && bytes == 65536);
    assert_true(mor_config_parse_size("1MiB", &bytes) && bytes == 1048576);
    assert_true(mor_config_parse_size("2GiB", &bytes) && bytes == 2147483648);
    assert_true(mor_config_parse_size("3MB", &bytes) && bytes == 3000000);
    assert_true(mor_config_parse_size("7B", &bytes) && bytes == 7);
    const char *const wrong[] = {"", "10", "1mib", "1k", "9999999999TiB", "99999999999999999999B"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mor_config_parse_size(wrong[i], &bytes));
}

static void nearest_name_is_found_only_when_it_is_near(void **state)
{
    (void)state;
    const char *const names[] = {"interval", "max_rows", "max_bytes"};
    assert_string_equal(mor_option_nearest("intervall", names, 3), "interval");
    assert_string_equal(mor_option_nearest("maxrows", names, 3), "max_rows");
    assert_null(mor_option_nearest("location", names, 3));
    assert_null(mor_option_nearest("x", names, 3));
}

static void secret_names_are_recognised(void **state)
{
    (void)state;
    assert_true(mor_config_secret_name("sasl.password"));
    assert_true(mor_config_secret_name("sasl.oauthbearer.client.secret"));
    assert_true(mor_config_secret_name("http.token"));
    assert_true(mor_config_secret_name("ssl.key.pem"));
    assert_false(mor_config_secret_name("bootstrap.servers"));
    assert_false(mor_config_secret_name("ssl.ca.location"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_need_a_whole_number_and_a_unit),
        cmocka_unit_test(sizes_know_binary_and_decimal_units),
        cmocka_unit_test(nearest_name_is_found_only_when_it_is_near),
        cmocka_unit_test(secret_names_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
