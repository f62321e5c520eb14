#include "table_test.h"

#include "partition_path.h"

static void check_format(enum mor_transform transform, int64_t unit, const char *expected)
{
    struct mor_buffer text = {0};
    mor_transform_format(transform, unit, &text);
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_buffer_done(&text);
}

static int64_t unit_of(enum mor_transform transform, int64_t us)
{
    struct mor_schema *schema = mor_schema_new("s");
    struct mor_field *field = mor_schema_add(schema, NULL, "t", MOR_TYPE_TIMESTAMP_MICROS, true);
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    mor_vector_append_fixed(&vector, &us);
    int64_t unit = mor_transform_unit(transform, &vector, 0);
    mor_vector_done(&vector);
    mor_schema_free(schema);
    return unit;
}

static void units_are_formatted_as_prefixes_of_a_date(void **state)
{
    (void)state;
    check_format(MOR_TRANSFORM_YEAR, 56, "2026");
    check_format(MOR_TRANSFORM_MONTH, 56 * 12, "2026-01");
    check_format(MOR_TRANSFORM_MONTH, -1, "1969-12");
    check_format(MOR_TRANSFORM_DAY, 20454, "2026-01-01");
    check_format(MOR_TRANSFORM_HOUR, 20454 * 24 + 5, "2026-01-01-05");
    check_format(MOR_TRANSFORM_HOUR, -1, "1969-12-31-23");
}

static void timestamps_before_1970_fall_into_the_unit_that_holds_them(void **state)
{
    (void)state;
    assert_int_equal(unit_of(MOR_TRANSFORM_DAY, -1), -1);
    assert_int_equal(unit_of(MOR_TRANSFORM_HOUR, -1), -1);
    assert_int_equal(unit_of(MOR_TRANSFORM_MONTH, -1), -1);
    assert_int_equal(unit_of(MOR_TRANSFORM_YEAR, -1), -1);
    assert_int_equal(unit_of(MOR_TRANSFORM_DAY, 1767225600000000), 20454);
}

static void extreme_timestamps_have_a_path(void **state)
{
    (void)state;
    static const int64_t extremes[] = {INT64_MIN, INT64_MAX};
    for (int i = 0; i < 2; i++) {
        for (int t = MOR_TRANSFORM_YEAR; t <= MOR_TRANSFORM_HOUR; t++) {
            struct mor_buffer text = {0};
            mor_transform_format((enum mor_transform)t, unit_of((enum mor_transform)t, extremes[i]),
                                 &text);
            assert_true(text.size_bytes > 0 && text.size_bytes < 32);
            mor_buffer_done(&text);
        }
    }
}

static void characters_that_paths_cannot_hold_are_escaped(void **state)
{
    (void)state;
    struct mor_buffer text = {0};
    const char *value = "a/b=c%d:e\x01\x7f日[]{^";
    mor_partition_escape(value, strlen(value), &text);
    assert_string_equal(mor_buffer_terminate(&text), "a%2Fb%3Dc%25d%3Ae%01%7F日%5B%5D%7B%5E");
    mor_buffer_done(&text);
}

static void field_notation_is_parsed_and_nonsense_refused(void **state)
{
    (void)state;
    enum mor_transform transform;
    const char *column;
    size_t length;
    assert_true(mor_partition_field_parse("day(created_at)", &transform, &column, &length));
    assert_int_equal(transform, MOR_TRANSFORM_DAY);
    assert_int_equal(length, strlen("created_at"));
    assert_memory_equal(column, "created_at", length);
    assert_true(mor_partition_field_parse("region", &transform, &column, &length));
    assert_int_equal(transform, MOR_TRANSFORM_IDENTITY);
    assert_false(mor_partition_field_parse("day()", &transform, &column, &length));
    assert_false(mor_partition_field_parse("week(x)", &transform, &column, &length));
    assert_false(mor_partition_field_parse("day(x", &transform, &column, &length));
    assert_false(mor_partition_field_parse("", &transform, &column, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_formatted_as_prefixes_of_a_date),
        cmocka_unit_test(timestamps_before_1970_fall_into_the_unit_that_holds_them),
        cmocka_unit_test(extreme_timestamps_have_a_path),
        cmocka_unit_test(characters_that_paths_cannot_hold_are_escaped),
        cmocka_unit_test(field_notation_is_parsed_and_nonsense_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
