// Rows to data, byte by byte, and random schemas and rows through encode, schema text, plan and
// decode.
#include "avro_test.h"
#include "random_rows.h"

static void hex_of(const struct mor_buffer *bytes, struct mor_buffer *ret)
{
    for (size_t i = 0; i < bytes->size_bytes; i++)
        mor_buffer_printf(ret, "%02x", bytes->data[i]);
    mor_buffer_terminate(ret);
}

static void test_row_has_the_bytes_of_the_specification(void **state)
{
    (void)state;
    struct mor_schema *s = mor_schema_new("t");
    mor_schema_add(s, NULL, "l", MOR_TYPE_INT64, false);
    mor_schema_add(s, NULL, "n", MOR_TYPE_INT32, true);
    mor_schema_add(s, NULL, "t", MOR_TYPE_STRING, true);
    mor_schema_add(s, NULL, "b", MOR_TYPE_BOOL, false);
    struct mor_field *d = mor_schema_add(s, NULL, "d", MOR_TYPE_DECIMAL, true);
    d->precision = 10;
    d->scale = 2;
    struct mor_field *list = mor_schema_add(s, NULL, "a", MOR_TYPE_LIST, true);
    mor_schema_add(s, list, "element", MOR_TYPE_INT64, true);
    mor_schema_add(s, NULL, "f", MOR_TYPE_FLOAT, false);
    struct mor_batch *b = mor_batch_new(s, NULL);
    int64_t minus_64 = -64;
    mor_int128 cents = -12345;
    float f = 1.0f;
    mor_vector_append_fixed(&b->columns[0], &minus_64);
    mor_vector_append_null(&b->columns[1]);
    mor_vector_append_bytes(&b->columns[2], "foo", 3);
    mor_vector_append_bool(&b->columns[3], true);
    mor_vector_append_fixed(&b->columns[4], &cents);
    mor_vector_append_null(&b->columns[5].children[0]);
    mor_vector_append_fixed(&b->columns[5].children[0], &minus_64);
    mor_vector_append_end(&b->columns[5]);
    mor_vector_append_fixed(&b->columns[6], &f);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_AUTO_BUFFER hex = {0};
    mor_avro_encode_row(s, b->columns, 0, &bytes);
    hex_of(&bytes, &hex);
    assert_string_equal((char *)hex.data, "7f"           // -64
                                          "00"           // null
                                          "0206666f6f"   // "foo"
                                          "01"           // true
                                          "02ffffffcfc7" // -12345 in 5 bytes
                                          "020400027f00" // [null, -64]
                                          "0000803f");
    mor_batch_free(b);
    mor_schema_free(s);
}

static void test_longs_have_the_bytes_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *hex;
    } cases[] = {{0, "00"},
                 {-1, "01"},
                 {1, "02"},
                 {-2, "03"},
                 {63, "7e"},
                 {64, "8001"},
                 {-65, "8101"},
                 {8191, "fe7f"},
                 {8192, "808001"},
                 {INT64_MAX, "feffffffffffffffff01"},
                 {INT64_MIN, "ffffffffffffffffff01"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        MOR_AUTO_BUFFER hex = {0};
        mor_avro_put_long(&bytes, cases[i].value);
        hex_of(&bytes, &hex);
        assert_string_equal((char *)hex.data, cases[i].hex);
    }
}

// ---- random schemas and rows --------------------------------------------------------------------

static void compare_slots(const struct mor_vector *a, const struct mor_vector *b, size_t row)
{
    MOR_AUTO_BUFFER left = {0};
    MOR_AUTO_BUFFER right = {0};
    mor_vector_format_json(a, row, &left);
    mor_vector_format_json(b, row, &right);
    assert_string_equal(mor_buffer_terminate(&left), mor_buffer_terminate(&right));
}

// Every prefix of the datum is refused and leaves the columns as they were.
static void check_prefixes(const struct mor_avro_plan *plan, const struct mor_buffer *datum,
                           struct mor_batch *to)
{
    struct mor_error err = MOR_ERROR_INIT;
    for (size_t size = 0; size < datum->size_bytes; size++) {
        uint8_t *copy = mor_alloc(size + 1);
        memcpy(copy, datum->data, size);
        assert_int_equal(mor_avro_plan_decode(plan, copy, size, to->columns, NULL, &err), MOR_DATA);
        free(copy);
        if (size % 7 == 0)
            assert_ok(mor_batch_validate(to, &err));
    }
}

static void round_trip_of_seed(uint64_t number)
{
    struct mor_error err = MOR_ERROR_INIT;
    random_seed = number;
    struct mor_schema *table = mor_schema_new("t");
    for (size_t i = 0, count = random_below(8) + 1; i < count; i++) {
        char name[8] = {'f', (char)('a' + i), 0};
        add_random_field(table, NULL, name, 0);
    }
    MOR_AUTO_BUFFER json = {0};
    struct mor_avro_plan *plan = NULL;
    assert_ok(mor_avro_schema_from_table(table, "r", "n", &json, &err));
    struct mor_avro_schema *avro = parse_avro((char *)json.data);
    assert_ok(mor_avro_plan_new(avro, table, &plan, &err));
    struct mor_batch *from = mor_batch_new(table, NULL);
    struct mor_batch *to = mor_batch_new(table, NULL);
    for (size_t row = 0; row < 20; row++) {
        for (size_t i = 0; i < from->column_count; i++)
            append_random(&from->columns[i]);
        from->row_count++;
        MOR_AUTO_BUFFER datum = {0};
        mor_avro_encode_row(table, from->columns, row, &datum);
        if (row < 3)
            check_prefixes(plan, &datum, to);
        size_t used = 0;
        size_t size = datum.size_bytes;
        mor_buffer_append(&datum, "tail", row % 5); // also with bytes behind it
        assert_ok(mor_avro_plan_decode(plan, datum.data, size, to->columns, NULL, &err));
        to->row_count++;
        for (size_t i = 0; i < from->column_count; i++)
            compare_slots(&from->columns[i], &to->columns[i], row);
        mor_batch_truncate(to, row);
        assert_ok(
            mor_avro_plan_decode(plan, datum.data, datum.size_bytes, to->columns, &used, &err));
        to->row_count++;
        assert_int_equal(used, size);
    }
    assert_ok(mor_batch_validate(to, &err));
    mor_batch_free(from);
    mor_batch_free(to);
    mor_avro_plan_free(plan);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void test_random_rows_come_back_and_prefixes_are_refused(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 400; number++)
        round_trip_of_seed(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_has_the_bytes_of_the_specification),
        cmocka_unit_test(test_longs_have_the_bytes_of_the_specification),
        cmocka_unit_test(test_random_rows_come_back_and_prefixes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
