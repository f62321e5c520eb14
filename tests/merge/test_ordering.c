#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ordering.h"

static bool wins(enum mor_type type, const void *later, const void *earlier)
{
    struct mor_schema *schema = mor_schema_new("s");
    struct mor_field *field = mor_schema_add(schema, NULL, "o", type, true);
    field->precision = 20;
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    const void *values[] = {later, earlier};
    for (int i = 0; i < 2; i++) {
        if (!values[i])
            mor_vector_append_null(&vector);
        else if (type == MOR_TYPE_STRING)
            mor_vector_append_bytes(&vector, values[i], strlen(values[i]));
        else
            mor_vector_append_fixed(&vector, values[i]);
    }
    bool result = mor_ordering_later_wins(&vector, 0, &vector, 1);
    mor_vector_done(&vector);
    mor_schema_free(schema);
    return result;
}

static void higher_or_equal_wins_for_every_type(void **state)
{
    (void)state;
    int32_t i[] = {-1, 0, 1};
    int64_t l[] = {INT64_MIN, 0, INT64_MAX};
    float f[] = {-1.5f, 0, 1.5f};
    double d[] = {-1.5, 0, 1.5};
    mor_int128 n[] = {-((mor_int128)1 << 90), 0, (mor_int128)1 << 90};
    const char *s[] = {"a", "ab", "\xc3\xbc"};
    for (int later = 0; later < 3; later++) {
        for (int earlier = 0; earlier < 3; earlier++) {
            bool expected = later >= earlier;
            assert_int_equal(wins(MOR_TYPE_INT32, &i[later], &i[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_DATE, &i[later], &i[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_INT64, &l[later], &l[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_TIMESTAMP_MICROS, &l[later], &l[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_FLOAT, &f[later], &f[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_DOUBLE, &d[later], &d[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_DECIMAL, &n[later], &n[earlier]), expected);
            assert_int_equal(wins(MOR_TYPE_STRING, s[later], s[earlier]), expected);
        }
    }
}

static void null_on_either_side_lets_the_later_win(void **state)
{
    (void)state;
    int64_t high = INT64_MAX;
    assert_true(wins(MOR_TYPE_INT64, NULL, &high));
    assert_true(wins(MOR_TYPE_INT64, &high, NULL));
    assert_true(wins(MOR_TYPE_INT64, NULL, NULL));
}

static void nan_is_greater_than_every_number(void **state)
{
    (void)state;
    double nan_value = NAN, infinite = INFINITY;
    assert_true(wins(MOR_TYPE_DOUBLE, &nan_value, &infinite));
    assert_false(wins(MOR_TYPE_DOUBLE, &infinite, &nan_value));
    assert_true(wins(MOR_TYPE_DOUBLE, &nan_value, &nan_value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(higher_or_equal_wins_for_every_type),
        cmocka_unit_test(null_on_either_side_lets_the_later_win),
        cmocka_unit_test(nan_is_greater_than_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
