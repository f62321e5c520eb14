#include <math.h>

#include "check.h"
#include "iceberg/iceberg_bounds.h"

static struct mor_field field_of(enum mor_type type)
{
    return (struct mor_field){.name = "f", .type = type, .field_id = 1, .precision = 38};
}

static struct iceberg_value text(const char *value)
{
    return (struct iceberg_value){(const uint8_t *)value, strlen(value)};
}

// ---- single values ------------------------------------------------------------------------------

static void assert_value(const struct mor_field *field, const void *slot, size_t slot_size,
                         const char *expected, size_t expected_size)
{
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    if (mor_type_width(field) > 0)
        mor_vector_append_fixed(&vector, slot);
    else if (field->type == MOR_TYPE_BOOL)
        mor_vector_append_bool(&vector, *(const bool *)slot);
    else
        mor_vector_append_bytes(&vector, slot, slot_size);
    struct mor_buffer bytes = {0};
    iceberg_value_of_slot(&vector, 0, &bytes);
    assert_int_equal(bytes.size_bytes, expected_size);
    assert_memory_equal(bytes.data, expected, expected_size);
    struct iceberg_value value = {bytes.data, bytes.size_bytes};
    assert_true(iceberg_value_is_valid(field, value));
    mor_buffer_done(&bytes);
    mor_vector_done(&vector);
}

static void assert_decimal(mor_int128 number, const char *expected, size_t expected_size)
{
    struct mor_field field = field_of(MOR_TYPE_DECIMAL);
    assert_value(&field, &number, sizeof number, expected, expected_size);
}

static void single_values_have_the_specified_bytes(void **state)
{
    (void)state;
    struct mor_field field = field_of(MOR_TYPE_BOOL);
    assert_value(&field, &(bool){true}, 1, "\x01", 1);
    field = field_of(MOR_TYPE_INT32);
    assert_value(&field, &(int32_t){1}, 4, "\x01\0\0\0", 4);
    field = field_of(MOR_TYPE_DATE);
    assert_value(&field, &(int32_t){-1}, 4, "\xff\xff\xff\xff", 4);
    field = field_of(MOR_TYPE_INT64);
    assert_value(&field, &(int64_t){258}, 8, "\x02\x01\0\0\0\0\0\0", 8);
    field = field_of(MOR_TYPE_DOUBLE);
    assert_value(&field, &(double){1.0}, 8, "\0\0\0\0\0\0\xf0\x3f", 8);
    field = field_of(MOR_TYPE_STRING);
    assert_value(&field, "iceberg", 7, "iceberg", 7);
    field = field_of(MOR_TYPE_UUID);
    assert_value(&field, "0123456789abcdef", 16, "0123456789abcdef", 16);
}

static void decimals_take_the_fewest_bytes(void **state)
{
    (void)state;
    assert_decimal(0, "\0", 1);
    assert_decimal(127, "\x7f", 1);
    assert_decimal(128, "\0\x80", 2);
    assert_decimal(-1, "\xff", 1);
    assert_decimal(-128, "\x80", 1);
    assert_decimal(-129, "\xff\x7f", 2);
    assert_decimal(1420, "\x05\x8c", 2);
    assert_decimal((mor_int128)1 << 64, "\x01\0\0\0\0\0\0\0\0", 9);
}

static void values_compare_in_the_order_of_their_type(void **state)
{
    (void)state;
    struct mor_field field = field_of(MOR_TYPE_INT64);
    struct iceberg_value minus = {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", 8};
    struct iceberg_value one = {(const uint8_t *)"\x01\0\0\0", 4}; // written as int
    assert_true(iceberg_value_compare(&field, minus, one) < 0);
    assert_int_equal(iceberg_value_compare(&field, one, one), 0);
    field = field_of(MOR_TYPE_DECIMAL);
    struct iceberg_value low = {(const uint8_t *)"\xff\x7f", 2};
    struct iceberg_value high = {(const uint8_t *)"\x01", 1};
    assert_true(iceberg_value_compare(&field, low, high) < 0);
    field = field_of(MOR_TYPE_STRING);
    assert_true(iceberg_value_compare(&field, text("a"), text("ab")) < 0);
    assert_true(iceberg_value_compare(&field, text("\xc3\xa4"), text("z")) > 0);
    field = field_of(MOR_TYPE_DOUBLE);
    double numbers[] = {-INFINITY, -0.0, 0.0, INFINITY, NAN};
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            struct iceberg_value a = {(const uint8_t *)&numbers[i], 8};
            struct iceberg_value b = {(const uint8_t *)&numbers[k], 8};
            int order = iceberg_value_compare(&field, a, b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void values_are_printed_for_people(void **state)
{
    (void)state;
    static const struct {
        enum mor_type type;
        const char *bytes;
        size_t size;
        const char *expected;
    } cases[] = {
        {MOR_TYPE_DATE, "\xff\xff\xff\xff", 4, "1969-12-31"},
        {MOR_TYPE_INT64, "\x05\0\0\0", 4, "5"},
        {MOR_TYPE_STRING, "x/y", 3, "x/y"},
        {MOR_TYPE_BOOL, "\x01", 1, "true"},
        {MOR_TYPE_INT32, "ab", 2, "YWI="}, // not an int: its bytes
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_field field = field_of(cases[i].type);
        struct mor_buffer printed = {0};
        struct iceberg_value value = {(const uint8_t *)cases[i].bytes, cases[i].size};
        iceberg_value_format(&field, value, &printed);
        assert_string_equal(mor_buffer_terminate(&printed), cases[i].expected);
        mor_buffer_done(&printed);
    }
}

// ---- cut bounds ---------------------------------------------------------------------------------

static void assert_upper(enum mor_type type, const char *value, const char *expected)
{
    struct mor_field field = field_of(type);
    struct mor_buffer bytes = {0};
    mor_buffer_append_text(&bytes, value);
    bool kept = iceberg_bound_cut_upper(&field, &bytes, 4);
    assert_int_equal(kept, expected != NULL);
    if (expected)
        assert_string_equal(mor_buffer_terminate(&bytes), expected);
    mor_buffer_done(&bytes);
}

static void upper_bounds_are_raised_when_they_are_cut(void **state)
{
    (void)state;
    assert_upper(MOR_TYPE_STRING, "abcd", "abcd");
    assert_upper(MOR_TYPE_STRING, "abcde", "abce");
    assert_upper(MOR_TYPE_STRING, "ab\xc3\xa4\xc3\xbfz", "ab\xc3\xa4\xc4\x80"); // ff -> 100
    assert_upper(MOR_TYPE_STRING, "abc\xed\x9f\xbfz", "abc\xee\x80\x80");       // over surrogates
    assert_upper(MOR_TYPE_STRING, "abc\x7fz", "abc\xc2\x80");
    assert_upper(MOR_TYPE_STRING, "ab\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbfz", "ac");
    assert_upper(MOR_TYPE_STRING,
                 "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbfz", NULL);
    assert_upper(MOR_TYPE_BYTES, "ab\xff\xffz", "ac");
    assert_upper(MOR_TYPE_BYTES, "\xff\xff\xff\xffz", NULL);
    assert_upper(MOR_TYPE_BYTES, "\xff\xff\xff\xff", "\xff\xff\xff\xff");
}

static void lower_bounds_are_cut_at_code_points(void **state)
{
    (void)state;
    struct mor_field string = field_of(MOR_TYPE_STRING), bytes = field_of(MOR_TYPE_BYTES);
    struct mor_field number = field_of(MOR_TYPE_INT64);
    const uint8_t *umlauts = (const uint8_t *)"\xc3\xa4\xc3\xa4\xc3\xa4";
    assert_int_equal(iceberg_bound_cut_lower(&string, umlauts, 6, 2), 4);
    assert_int_equal(iceberg_bound_cut_lower(&string, umlauts, 6, 3), 6);
    assert_int_equal(iceberg_bound_cut_lower(&bytes, umlauts, 6, 2), 2);
    assert_int_equal(iceberg_bound_cut_lower(&number, umlauts, 6, 2), 6);
}

// ---- metrics ------------------------------------------------------------------------------------

static struct mor_schema *metric_schema(void)
{
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "n", MOR_TYPE_INT32, true)->field_id = 4;
    mor_schema_add(schema, NULL, "s", MOR_TYPE_STRING, true)->field_id = 2;
    mor_schema_add(schema, NULL, "d", MOR_TYPE_DOUBLE, true)->field_id = 3;
    struct mor_field *nested = mor_schema_add(schema, NULL, "g", MOR_TYPE_STRUCT, true);
    nested->field_id = 5;
    mor_schema_add(schema, nested, "x", MOR_TYPE_BOOL, true)->field_id = 6;
    struct mor_field *list = mor_schema_add(schema, NULL, "l", MOR_TYPE_LIST, true);
    list->field_id = 7;
    mor_schema_add(schema, list, "element", MOR_TYPE_INT32, true)->field_id = 8;
    return schema;
}

static void add_row(struct mor_batch *batch, const int32_t *n, const char *s, double d, int x)
{
    if (n)
        mor_vector_append_fixed(&batch->columns[0], n);
    else
        mor_vector_append_null(&batch->columns[0]);
    mor_vector_append_bytes(&batch->columns[1], s, strlen(s));
    mor_vector_append_fixed(&batch->columns[2], &d);
    if (x < 0) {
        mor_vector_append_null(&batch->columns[3]);
    } else {
        mor_vector_append_bool(&batch->columns[3].children[0], x);
        mor_vector_append_end(&batch->columns[3]);
    }
    mor_vector_append_end(&batch->columns[4]);
    batch->row_count++;
}

static void metrics_count_values_and_bound_them(void **state)
{
    (void)state;
    struct mor_schema *schema = metric_schema();
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    add_row(batch, &(int32_t){-7}, "zzzzzzzzzzzzzzzzzzz", 0.0, 1);
    add_row(batch, NULL, "a", NAN, -1);
    add_row(batch, &(int32_t){300}, "", -2.5, 1);
    add_row(batch, &(int32_t){1000}, "not in it", 99, 0);
    struct iceberg_metrics *metrics = iceberg_metrics_new(schema, 0);
    iceberg_metrics_add(metrics, batch, 0, 1);
    iceberg_metrics_add_rows(metrics, batch, (uint32_t[]){2, 1}, 2);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct iceberg_column_metrics *columns = NULL;
    size_t count = 0;
    iceberg_metrics_finish(metrics, &arena, &columns, &count);
    assert_int_equal(count, 4); // lists have none
    assert_int_equal(columns[0].field_id, 2);
    assert_int_equal(columns[0].lower.size_bytes, 0);
    assert_non_null(columns[0].lower.bytes);
    assert_int_equal(columns[0].upper.size_bytes, 16);
    assert_memory_equal(columns[0].upper.bytes, "zzzzzzzzzzzzzzz{", 16);
    assert_int_equal(columns[0].nan_count, -1);
    assert_int_equal(columns[1].field_id, 3);
    assert_int_equal(columns[1].nan_count, 1);
    assert_memory_equal(columns[1].lower.bytes, &(double){-2.5}, 8);
    assert_memory_equal(columns[1].upper.bytes, &(double){0.0}, 8);
    assert_int_equal(columns[2].field_id, 4);
    assert_int_equal(columns[2].value_count, 3);
    assert_int_equal(columns[2].null_count, 1);
    assert_memory_equal(columns[2].lower.bytes, "\xf9\xff\xff\xff", 4);
    assert_memory_equal(columns[2].upper.bytes, "\x2c\x01\0\0", 4);
    assert_int_equal(columns[3].field_id, 6);
    assert_int_equal(columns[3].null_count, 1);
    assert_memory_equal(columns[3].lower.bytes, "\x01", 1);
    mor_arena_done(&arena);
    iceberg_metrics_free(metrics);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void values_in_lists_are_counted_when_everything_is_wanted(void **state)
{
    (void)state;
    struct mor_schema *schema = metric_schema();
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    struct mor_vector *elements = &batch->columns[4].children[0];
    mor_vector_append_fixed(elements, &(int32_t){5});
    mor_vector_append_null(elements);
    add_row(batch, NULL, "0123456789abcdefghij", 0.0, 1);
    add_row(batch, NULL, "x", 0.0, 1); // an empty list
    mor_vector_append_fixed(elements, &(int32_t){-2});
    add_row(batch, NULL, "x", 0.0, 1);
    struct iceberg_metrics *metrics = iceberg_metrics_new_whole(schema);
    iceberg_metrics_add(metrics, batch, 0, batch->row_count);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct iceberg_column_metrics *columns = NULL;
    size_t count = 0;
    iceberg_metrics_finish(metrics, &arena, &columns, &count);
    assert_int_equal(count, 5);
    assert_int_equal(columns[0].lower.size_bytes, 20); // not cut
    assert_int_equal(columns[4].field_id, 8);
    assert_int_equal(columns[4].value_count, 3);
    assert_int_equal(columns[4].null_count, 1);
    assert_memory_equal(columns[4].lower.bytes, "\xfe\xff\xff\xff", 4);
    assert_memory_equal(columns[4].upper.bytes, "\x05\0\0\0", 4);
    mor_arena_done(&arena);
    iceberg_metrics_free(metrics);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void columns_without_values_have_no_bounds(void **state)
{
    (void)state;
    struct mor_schema *schema = metric_schema();
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    add_row(batch, NULL, "x", NAN, -1);
    struct iceberg_metrics *metrics = iceberg_metrics_new(schema, 3);
    iceberg_metrics_add(metrics, batch, 0, 1);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct iceberg_column_metrics *columns = NULL;
    size_t count = 0;
    iceberg_metrics_finish(metrics, &arena, &columns, &count);
    assert_int_equal(count, 3);
    assert_null(columns[1].lower.bytes); // only NaN
    assert_null(columns[1].upper.bytes);
    assert_null(columns[2].lower.bytes); // only null
    assert_int_equal(columns[2].null_count, 1);
    mor_arena_done(&arena);
    iceberg_metrics_free(metrics);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_values_have_the_specified_bytes),
        cmocka_unit_test(decimals_take_the_fewest_bytes),
        cmocka_unit_test(values_compare_in_the_order_of_their_type),
        cmocka_unit_test(values_are_printed_for_people),
        cmocka_unit_test(upper_bounds_are_raised_when_they_are_cut),
        cmocka_unit_test(lower_bounds_are_cut_at_code_points),
        cmocka_unit_test(metrics_count_values_and_bound_them),
        cmocka_unit_test(values_in_lists_are_counted_when_everything_is_wanted),
        cmocka_unit_test(columns_without_values_have_no_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
