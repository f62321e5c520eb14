#include "check.h"
#include "moraine/base/clock.h"

static void civil_dates_round_trip_over_ten_thousand_years(void **state)
{
    (void)state;
    struct mor_civil before = mor_civil_from_days(-719529); // 0000-12-31 and on
    for (int64_t days = -719528; days < 2932897; days++) {
        struct mor_civil date = mor_civil_from_days(days);
        assert_int_equal(mor_days_from_civil(date), days);
        bool next_day =
            date.day == before.day + 1 && date.month == before.month && date.year == before.year;
        assert_true(next_day || date.day == 1);
        before = date;
    }
    assert_int_equal(mor_days_from_civil((struct mor_civil){1970, 1, 1}), 0);
    assert_int_equal(mor_days_from_civil((struct mor_civil){2000, 2, 29}), 11016);
}

static void dates_are_parsed_strictly(void **state)
{
    (void)state;
    int64_t days;
    assert_true(mor_parse_date("2026-11-20", 10, &days));
    assert_int_equal(days, 20777);
    static const char *const wrong[] = {"2026-02-29", "2026-13-01", "2026-00-10",
                                        "2026-1-01 ", "2026/01/01", "20260101  "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mor_parse_date(wrong[i], 10, &days));
    assert_true(mor_parse_date("2024-02-29", 10, &days));
    assert_false(mor_parse_date("1900-02-29", 10, &days));
}

static void timestamps_are_parsed_with_zone_and_fraction(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } right[] = {
        {"1970-01-01T00:00:00Z", 0},      {"1970-01-01T00:00:00.000001Z", 1},
        {"1970-01-01 00:00:01", 1000000}, {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-0030", 0},  {"1969-12-31T23:59:59.5Z", -500000},
        {"1970-01-01T00:01", 60000000},   {"1970-01-01T00:00:00.1234567899Z", 123456},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        int64_t us;
        assert_true(mor_parse_timestamp(right[i].text, strlen(right[i].text), &us));
        assert_int_equal(us, right[i].us);
    }
    static const char *const wrong[] = {"1970-01-01",           "1970-01-01T24:00:00Z",
                                        "1970-01-01T00:60:00Z", "1970-01-01T00:00:00.Z",
                                        "1970-01-01T00:00:00X", "1970-01-01T00:00:00+1",
                                        "1970-01-01T00:00:0",   "1970-01-01T00:00:00Z "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t us;
        assert_false(mor_parse_timestamp(wrong[i], strlen(wrong[i]), &us));
    }
}

static void timestamps_are_printed_as_they_are_read(void **state)
{
    (void)state;
    static const int64_t samples[] = {
        0, 1, -1, 1767225600000000, -62135596800000000, 253402300799999999};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char text[48];
        size_t length = mor_format_timestamp(samples[i], text, sizeof text);
        int64_t us;
        assert_true(mor_parse_timestamp(text, length, &us));
        assert_int_equal(us, samples[i]);
    }
    char text[48];
    mor_format_timestamp(-1, text, sizeof text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_dates_round_trip_over_ten_thousand_years),
        cmocka_unit_test(dates_are_parsed_strictly),
        cmocka_unit_test(timestamps_are_parsed_with_zone_and_fraction),
        cmocka_unit_test(timestamps_are_printed_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
