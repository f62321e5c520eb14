#include "parquet_test.h"
#include "pq_thrift.h"

static void values_of_every_type_written_read_back_equal(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER out = {0};
    struct mor_pq_thrift_out w;
    mor_pq_out_init(&w, &out);
    mor_pq_out_bool(&w, 1, true);
    mor_pq_out_i32(&w, 2, INT32_MIN);
    mor_pq_out_i64(&w, 40, INT64_MIN); // far from the id before: long form
    mor_pq_out_text(&w, 41, "text");
    mor_pq_out_struct(&w, 42);
    mor_pq_out_bool(&w, 1, false);
    mor_pq_out_end(&w);
    mor_pq_out_list(&w, 43, MOR_PQ_T_I64, 20);
    for (int64_t i = 0; i < 20; i++)
        mor_pq_out_element_i64(&w, -i);
    mor_pq_out_stop(&w);

    struct mor_pq_thrift t;
    struct mor_pq_field f = {0}, inner = {0};
    mor_pq_thrift_init(&t, out.data, out.size_bytes);
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 1 && mor_pq_thrift_bool(&t, &f));
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 2);
    assert_int_equal(mor_pq_thrift_i32(&t, &f), INT32_MIN);
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 40);
    assert_true(mor_pq_thrift_i64(&t, &f) == INT64_MIN);
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 41);
    struct mor_pq_bytes text = mor_pq_thrift_binary(&t, &f);
    assert_int_equal(text.size_bytes, 4);
    assert_memory_equal(text.data, "text", 4);
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 42 && mor_pq_thrift_is_struct(&f));
    assert_true(mor_pq_thrift_next(&t, &inner) && !mor_pq_thrift_bool(&t, &inner));
    assert_false(mor_pq_thrift_next(&t, &inner));
    assert_true(mor_pq_thrift_next(&t, &f) && f.id == 43);
    assert_int_equal(mor_pq_thrift_list(&t, &f, MOR_PQ_T_I64), 20);
    for (int64_t i = 0; i < 20; i++)
        assert_int_equal(mor_pq_thrift_element_i64(&t), -i);
    assert_false(mor_pq_thrift_next(&t, &f));
    assert_null(t.fault);
    assert_ptr_equal(t.at, t.end);
}

static void every_prefix_of_a_struct_is_refused(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER out = {0};
    struct mor_pq_thrift_out w;
    mor_pq_out_init(&w, &out);
    mor_pq_out_i32(&w, 1, 123456);
    mor_pq_out_text(&w, 2, "some text");
    mor_pq_out_list(&w, 3, MOR_PQ_T_I32, 3);
    for (int32_t i = 0; i < 3; i++)
        mor_pq_out_element_i32(&w, i * 1000);
    mor_pq_out_stop(&w);
    for (size_t size = 0; size < out.size_bytes; size++) {
        struct mor_pq_thrift t;
        struct mor_pq_field f = {0};
        mor_pq_thrift_init(&t, out.data, size);
        while (mor_pq_thrift_next(&t, &f))
            mor_pq_thrift_skip(&t, &f);
        assert_non_null(t.fault);
    }
}

static void field_of_another_type_is_skipped_and_reads_as_zero(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER out = {0};
    struct mor_pq_thrift_out w;
    mor_pq_out_init(&w, &out);
    mor_pq_out_text(&w, 1, "not a number");
    mor_pq_out_list(&w, 2, MOR_PQ_T_BINARY, 1);
    mor_pq_out_element_binary(&w, "x", 1);
    mor_pq_out_i32(&w, 3, 7);
    mor_pq_out_stop(&w);
    struct mor_pq_thrift t;
    struct mor_pq_field f = {0};
    mor_pq_thrift_init(&t, out.data, out.size_bytes);
    assert_true(mor_pq_thrift_next(&t, &f));
    assert_int_equal(mor_pq_thrift_i32(&t, &f), 0);
    assert_true(mor_pq_thrift_next(&t, &f));
    assert_int_equal(mor_pq_thrift_list(&t, &f, MOR_PQ_T_I64), 0);
    assert_true(mor_pq_thrift_next(&t, &f));
    assert_int_equal(mor_pq_thrift_i32(&t, &f), 7);
    assert_null(t.fault);
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    uint8_t deep[200];
    memset(deep, 0x1c, sizeof deep); // field 1: struct, in it field 1: struct, ...
    struct mor_pq_thrift t;
    struct mor_pq_field f = {0};
    mor_pq_thrift_init(&t, deep, sizeof deep);
    assert_true(mor_pq_thrift_next(&t, &f));
    mor_pq_thrift_skip(&t, &f);
    assert_string_equal(t.fault, "metadata is nested too deeply");
}

static void list_longer_than_the_input_is_refused(void **state)
{
    (void)state;
    const uint8_t list[] = {0x19, 0xf6, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00};
    struct mor_pq_thrift t;
    struct mor_pq_field f = {0};
    mor_pq_thrift_init(&t, list, sizeof list);
    assert_true(mor_pq_thrift_next(&t, &f));
    assert_int_equal(mor_pq_thrift_list(&t, &f, MOR_PQ_T_I64), 0);
    assert_non_null(t.fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_written_read_back_equal),
        cmocka_unit_test(every_prefix_of_a_struct_is_refused),
        cmocka_unit_test(field_of_another_type_is_skipped_and_reads_as_zero),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(list_longer_than_the_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
