#include "check.h"
#include "moraine/column.h"

static void decimals_are_parsed_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t precision, scale;
        const char *back;
    } right[] = {
        {"12.34", 12, 2, "12.34"},
        {"-0.05", 12, 2, "-0.05"},
        {"+7", 12, 2, "7.00"},
        {"1.2300", 5, 2, "1.23"},
        {"1e3", 6, 2, "1000.00"},
        {"12300e-4", 5, 2, "1.23"},
        {"0.000", 3, 0, "0"},
        {"0e999999999", 3, 0, "0"},
        {".5", 2, 1, "0.5"},
        {"99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"},
        {"-0.00000000000000000000000000000000000001", 38, 38,
         "-0.00000000000000000000000000000000000001"},
        {"0000000000000000000000000000000000000000000000001", 5, 0, "1"},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        mor_int128 value;
        assert_ok(mor_decimal_parse(right[i].text, strlen(right[i].text), right[i].precision,
                                    right[i].scale, &value, &err));
        char text[48];
        mor_decimal_format(value, right[i].scale, text);
        assert_string_equal(text, right[i].back);
    }
}

static void decimals_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t precision, scale;
    } wrong[] = {
        {"12.345", 12, 2}, {"100", 4, 2},        {"1e38", 38, 0},
        {"", 5, 0},        {"-", 5, 0},          {"1.2.3", 5, 2},
        {"1e", 5, 0},      {"0x1", 5, 0},        {"NaN", 5, 0},
        {"1 ", 5, 0},      {"1e-1", 5, 0},       {"--1", 5, 0},
        {".", 5, 1},       {"1e1000000", 38, 0}, {"123456789012345678901234567890123456789", 38, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        mor_int128 value;
        assert_int_equal(mor_decimal_parse(wrong[i].text, strlen(wrong[i].text), wrong[i].precision,
                                           wrong[i].scale, &value, &err),
                         MOR_DATA);
    }
}

static void big_endian_bytes_round_trip_at_every_size(void **state)
{
    (void)state;
    mor_int128 value = 1;
    for (int32_t precision = 1; precision <= MOR_DECIMAL_PRECISION_MAX; precision++) {
        value = value * 10 - (precision > 1 ? 1 : 0);
        for (int sign = -1; sign <= 1; sign += 2) {
            uint8_t bytes[16];
            size_t size = (size_t)mor_decimal_size_bytes(precision);
            mor_int128 largest = 1;
            for (int32_t i = 0; i < precision; i++)
                largest *= 10;
            largest = (largest - 1) * sign;
            mor_decimal_to_be(largest, bytes, size);
            mor_int128 back;
            assert_true(mor_decimal_from_be(bytes, size, &back));
            assert_true(back == largest);
            assert_true(mor_decimal_fits(largest, precision));
        }
        value += precision > 1 ? 1 : 0;
    }
    assert_int_equal(mor_decimal_size_bytes(9), 4);
    assert_int_equal(mor_decimal_size_bytes(10), 5);
    assert_int_equal(mor_decimal_size_bytes(18), 8);
    assert_int_equal(mor_decimal_size_bytes(38), 16);
}

static void longer_bytes_must_be_sign_padding(void **state)
{
    (void)state;
    uint8_t bytes[18] = {0xFF, 0xFF, 0xFF};
    memset(bytes, 0xFF, sizeof bytes);
    mor_int128 value;
    assert_true(mor_decimal_from_be(bytes, sizeof bytes, &value));
    assert_true(value == -1);
    bytes[0] = 1;
    assert_false(mor_decimal_from_be(bytes, sizeof bytes, &value));
    assert_false(mor_decimal_from_be(bytes, 0, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_parsed_exactly),
        cmocka_unit_test(decimals_that_do_not_fit_are_refused),
        cmocka_unit_test(big_endian_bytes_round_trip_at_every_size),
        cmocka_unit_test(longer_bytes_must_be_sign_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
