#include <math.h>

#include "parquet_test.h"
#include "pq_stats.h"

static const struct mor_pq_element double_element = {.type = MOR_PQ_DOUBLE, .converted = -1};
static const struct mor_pq_element text_element = {
    .type = MOR_PQ_BYTE_ARRAY, .converted = MOR_PQ_C_UTF8, .logical = MOR_PQ_L_STRING};
static const struct mor_pq_element decimal_element = {.type = MOR_PQ_FLBA,
                                                      .type_length = 3,
                                                      .converted = MOR_PQ_C_DECIMAL,
                                                      .logical = MOR_PQ_L_DECIMAL,
                                                      .precision = 6};

static void add_doubles(struct mor_pq_bounds *bounds, const double *numbers, size_t count)
{
    struct mor_pq_values values;
    mor_pq_values_init(&values, MOR_PQ_DOUBLE, 0, NULL);
    mor_buffer_append(&values.data, numbers, count * sizeof *numbers);
    values.count = count;
    mor_pq_bounds_add(bounds, &values);
    mor_pq_values_done(&values);
}

static double double_of(const struct mor_buffer *bound)
{
    double number;
    assert_int_equal(bound->size_bytes, 8);
    memcpy(&number, bound->data, 8);
    return number;
}

static void nan_takes_no_part_and_zero_bounds_carry_the_widening_sign(void **state)
{
    (void)state;
    struct mor_pq_bounds bounds;
    mor_pq_bounds_init(&bounds, mor_pq_order_of(&double_element));
    add_doubles(&bounds, (double[]){NAN, 0.0, NAN, -0.0}, 4);
    assert_true(bounds.any && bounds.nan);
    assert_true(double_of(&bounds.min) == 0 && signbit(double_of(&bounds.min)));
    assert_true(double_of(&bounds.max) == 0 && !signbit(double_of(&bounds.max)));
    mor_pq_bounds_reset(&bounds);
    add_doubles(&bounds, (double[]){NAN, NAN}, 2);
    assert_true(!bounds.any && bounds.nan);
    mor_pq_bounds_reset(&bounds);
    add_doubles(&bounds, (double[]){INFINITY, -INFINITY, 1}, 3);
    assert_true(isinf(double_of(&bounds.min)) && isinf(double_of(&bounds.max)));
    mor_pq_bounds_done(&bounds);
}

static void add_texts(struct mor_pq_bounds *bounds, const char *const *texts, size_t count)
{
    struct mor_pq_values values;
    mor_pq_values_init(&values, MOR_PQ_BYTE_ARRAY, 0, NULL);
    for (size_t i = 0; i < count; i++) {
        mor_buffer_append_text(&values.data, texts[i]);
        mor_buffer_append_le32(&values.offsets, (uint32_t)values.data.size_bytes);
        values.count++;
    }
    mor_pq_bounds_add(bounds, &values);
    mor_pq_values_done(&values);
}

static void texts_compare_as_unsigned_bytes(void **state)
{
    (void)state;
    struct mor_pq_bounds bounds;
    mor_pq_bounds_init(&bounds, mor_pq_order_of(&text_element));
    add_texts(
        &bounds,
        (const char *[]){"same prefix b", "same prefix", "same prefix a", "\xc3\xa4", "Z", "z"}, 6);
    assert_int_equal(bounds.min.size_bytes, 1);
    assert_memory_equal(bounds.min.data, "Z", 1);
    assert_memory_equal(bounds.max.data, "\xc3\xa4", 2);
    mor_pq_bounds_reset(&bounds);
    add_texts(&bounds, (const char *[]){"same prefix b", "same prefix", "same prefix a"}, 3);
    assert_int_equal(bounds.min.size_bytes, strlen("same prefix"));
    assert_memory_equal(bounds.max.data, "same prefix b", bounds.max.size_bytes);
    mor_pq_bounds_reset(&bounds);
    add_texts(&bounds, (const char *[]){"", "a"}, 2);
    assert_int_equal(bounds.min.size_bytes, 0);
    mor_pq_bounds_done(&bounds);
}

static void long_bounds_are_cut_at_a_character_and_the_maximum_raised(void **state)
{
    (void)state;
    struct mor_arena arena;
    struct mor_pq_bounds bounds;
    mor_arena_init(&arena, 0, NULL);
    mor_pq_bounds_init(&bounds, mor_pq_order_of(&text_element));
    add_texts(&bounds, (const char *[]){"aaaa\xc3\xa4zzz"}, 1); // the umlaut lies over the cut
    struct mor_pq_cut cut = mor_pq_bounds_cut(&bounds, true, 5, &arena);
    assert_false(cut.min_exact || cut.max_exact);
    assert_int_equal(cut.min.size_bytes, 4);
    assert_memory_equal(cut.min.data, "aaaa", 4);
    assert_int_equal(cut.max.size_bytes, 4);
    assert_memory_equal(cut.max.data, "aaab", 4);
    cut = mor_pq_bounds_cut(&bounds, true, 6, &arena);
    assert_int_equal(cut.max.size_bytes, 6);
    assert_memory_equal(cut.max.data, "aaaa\xc3\xa5", 6); // ä raised to å
    cut = mor_pq_bounds_cut(&bounds, true, 100, &arena);
    assert_true(cut.min_exact && cut.max_exact);
    // Nothing is greater than the greatest character: the bound stays whole.
    mor_pq_bounds_reset(&bounds);
    add_texts(&bounds, (const char *[]){"\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf"}, 1);
    cut = mor_pq_bounds_cut(&bounds, true, 4, &arena);
    assert_true(cut.max_exact);
    assert_int_equal(cut.max.size_bytes, 8);
    assert_int_equal(cut.min.size_bytes, 4);
    mor_pq_bounds_done(&bounds);
    mor_arena_done(&arena);
}

static void decimals_compare_as_signed_numbers(void **state)
{
    (void)state;
    enum mor_pq_order order = mor_pq_order_of(&decimal_element);
    assert_true(mor_pq_compare(order, "\xff\xff\xff", 3, "\x00\x00\x01", 3) < 0);
    assert_true(mor_pq_compare(order, "\x80\x00\x00", 3, "\xff\xff\xff", 3) < 0);
    assert_true(mor_pq_compare(order, "\x00\x00\x02", 3, "\x00\x00\x01", 3) > 0);
    assert_true(mor_pq_compare(order, "\xff", 1, "\xff\xff\xff", 3) == 0);
    assert_true(mor_pq_compare(order, "\x01\x00\x00\x00", 4, "\x7f\xff\xff", 3) > 0);
}

static void bounds_of_wrong_size_or_nan_are_of_no_use(void **state)
{
    (void)state;
    double nan = NAN, one = 1;
    struct mor_pq_bytes bound = {(const uint8_t *)&nan, 8};
    assert_false(mor_pq_bound_usable(MOR_PQ_ORDER_DOUBLE, &bound, 0));
    bound.data = (const uint8_t *)&one;
    assert_true(mor_pq_bound_usable(MOR_PQ_ORDER_DOUBLE, &bound, 0));
    bound.size_bytes = 7;
    assert_false(mor_pq_bound_usable(MOR_PQ_ORDER_DOUBLE, &bound, 0));
    bound.data = NULL;
    assert_false(mor_pq_bound_usable(MOR_PQ_ORDER_BYTES, &bound, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nan_takes_no_part_and_zero_bounds_carry_the_widening_sign),
        cmocka_unit_test(texts_compare_as_unsigned_bytes),
        cmocka_unit_test(long_bounds_are_cut_at_a_character_and_the_maximum_raised),
        cmocka_unit_test(decimals_compare_as_signed_numbers),
        cmocka_unit_test(bounds_of_wrong_size_or_nan_are_of_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
