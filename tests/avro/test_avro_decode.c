// Damaged and hostile data: refused with field path and byte position, columns as before.
#include "avro_test.h"

static void refused(const char *writer, const char *type, bool nullable, const void *bytes,
                    size_t size, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *json = record_of(writer);
    struct mor_avro_schema *avro = parse_avro(json);
    struct mor_schema *table = mor_schema_new("t");
    struct mor_field *field = mor_schema_add(table, NULL, "f", MOR_TYPE_INT32, nullable);
    assert_ok(mor_type_parse(table, field, type, &err));
    struct mor_avro_plan *plan = NULL;
    assert_ok(mor_avro_plan_new(avro, table, &plan, &err));
    struct mor_batch *batch = mor_batch_new(table, NULL);
    uint8_t *copy = mor_alloc(size + 1);
    memcpy(copy, bytes, size);
    assert_int_equal(mor_avro_plan_decode(plan, copy, size, batch->columns, NULL, &err), MOR_DATA);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    assert_ok(mor_batch_validate(batch, &err));
    assert_int_equal(batch->columns[0].length, 0);
    for (size_t i = 0; i < batch->columns[0].child_count; i++)
        assert_int_equal(batch->columns[0].children[i].length, 0);
    free(copy);
    mor_batch_free(batch);
    mor_avro_plan_free(plan);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    refused("\"int\"", "int", true, "\x80\x80\x80\x80\x10", 5,
            "field 'f', byte 0: a number has more than 32 bits");
    refused("\"int\"", "long", true, "\x80\x80\x80\x80\x10", 5, "32 bits");
    refused("\"int\"", "double", true, "\x80\x80\x80\x80\x10", 5, "32 bits");
    refused("\"long\"", "long", true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "64 bits");
    refused("\"long\"", "long", true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12,
            "64 bits");
    refused("\"boolean\"", "boolean", true, "\x02", 1, "neither 0 nor 1");
    refused("\"int\"", "int", true, "\x02\x02", 2, "byte 1: bytes are left");
}

static void test_times_that_overflow_are_refused(void **state)
{
    (void)state;
    refused("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "timestamp_us", true,
            "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10,
            "field 'f', byte 0: a time is out of the range");
    refused("{\"type\":\"int\",\"logicalType\":\"date\"}", "timestamp_us", true,
            "\xfe\xff\xff\xff\x0f", 5, "out of the range");
    refused("{\"type\":\"long\",\"logicalType\":\"time-micros\"}", "time_ms", true,
            "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, "out of the range");
}

static void test_decimals_with_too_many_digits_are_refused(void **state)
{
    (void)state;
    const char *writer =
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":5,\"scale\":2}";
    refused(writer, "decimal(5,2)", true, "\x06\x01\x86\xa0", 4, "more digits"); // 100000
    refused(writer, "decimal(6,4)", true, "\x04\x30\x39", 3, "more digits");     // 123.4500
    refused(writer, "decimal(38,38)", true,
            "\x20\x7f\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 17,
            "more digits");
    refused(writer, "decimal(5,2)", true,
            "\x22\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x00", 18,
            "more digits");
}

static void test_texts_are_checked(void **state)
{
    (void)state;
    refused("\"string\"", "string", true, "\x04\xc3\x28", 3, "not valid UTF-8");
    refused("\"bytes\"", "string", true, "\x02\xff", 2, "not valid UTF-8");
    refused("\"string\"", "string", true, "\x01", 1, "negative");
    refused("\"string\"", "string", true, "\x08xyz", 4, "beyond the end");
    refused("\"string\"", "string", true, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10,
            "beyond the end");
    refused("\"string\"", "uuid", true,
            "\x06"
            "abc",
            4, "not a UUID");
    refused("{\"type\":\"string\",\"logicalType\":\"uuid\"}", "string", true,
            "\x06"
            "abc",
            4, "not a UUID");
    refused("\"bytes\"", "fixed(3)", true,
            "\x04"
            "ab",
            3, "another size");
    // the bad byte at each place of texts around the widths of the fast paths
    for (size_t size = 1; size <= 70; size++) {
        for (size_t bad = 0; bad < size; bad++) {
            MOR_AUTO_BUFFER datum = {0};
            char text[80];
            memset(text, 'x', sizeof text);
            text[bad] = (char)0x80;
            mor_avro_put_bytes(&datum, text, size);
            refused("\"string\"", "string", true, datum.data, datum.size_bytes, "not valid UTF-8");
        }
    }
}

static void test_text_behind_text_is_not_mixed_up(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro = parse_avro(
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"},"
        "{\"name\":\"b\",\"type\":\"string\"}]}");
    struct mor_schema *table = NULL;
    struct mor_avro_plan *plan = NULL;
    assert_ok(mor_avro_schema_to_table(avro, &table, &err));
    assert_ok(mor_avro_plan_new(avro, table, &plan, &err));
    struct mor_batch *batch = mor_batch_new(table, NULL);
    char text[100];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('!' + i % 90);
    for (size_t first = 0; first < 80; first++) {
        for (size_t second = 0; second < 80; second += 7) {
            MOR_AUTO_BUFFER datum = {0};
            mor_avro_put_bytes(&datum, text, first);
            // the first stays ASCII when the second is not
            mor_avro_put_bytes(&datum, second % 2 ? "\xc3\xa9" : text, second % 2 ? 2 : second);
            size_t row = batch->row_count++;
            assert_ok(mor_avro_plan_decode(plan, datum.data, datum.size_bytes, batch->columns, NULL,
                                           &err));
            size_t size;
            const uint8_t *got = mor_vector_bytes_at(&batch->columns[0], row, &size);
            assert_int_equal(size, first);
            assert_memory_equal(got, text, size);
            got = mor_vector_bytes_at(&batch->columns[1], row, &size);
            assert_memory_equal(got, second % 2 ? "\xc3\xa9" : text, size);
        }
    }
    assert_ok(mor_batch_validate(batch, &err));
    mor_batch_free(batch);
    mor_avro_plan_free(plan);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void test_unions_enums_and_nulls_are_checked(void **state)
{
    (void)state;
    refused("[\"null\",\"int\"]", "int", true, "\x04\x02", 2, "branch does not exist");
    refused("[\"null\",\"int\"]", "int", true, "\x01\x02", 2, "branch does not exist");
    refused("[\"null\",\"int\"]", "int", false, "\x00", 1, "null in a required column");
    refused("\"null\"", "int", false, "", 0, "null in a required column");
    refused("[\"null\",\"int\",\"string\"]", "int", true, "\x04\x02x", 3,
            "does not fit the column");
    refused("[\"null\",\"int\",\"string\"]", "int", false, "\x00", 1, "null in a required column");
    refused("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "string", true, "\x02", 1,
            "symbol does not exist");
    refused("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "string", true, "\x01", 1,
            "symbol does not exist");
}

static void test_item_counts_are_checked_before_anything_is_appended(void **state)
{
    (void)state;
    const char *ints = "{\"type\":\"array\",\"items\":\"int\"}";
    refused(ints, "list<int>", true, "\xfe\xff\xff\xff\x0f\x02", 6,
            "field 'f', byte 0: an item count is beyond");
    refused(ints, "list<int>", true, "\x01\x7e\x02\x00", 4, "longer than the data");
    refused(ints, "list<int>", true, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10,
            "out of range");
    refused(ints, "list<int>", true, "\x04\x02\x02", 3, "inside a number");
    refused("{\"type\":\"map\",\"values\":\"int\"}", "map<int>", true, "\x06\x02x\x02\x02y", 6,
            "beyond the end");
    refused("{\"type\":\"array\",\"items\":\"null\"}", "list<int>", true,
            "\xfe\xff\xff\xff\x0f\x00", 6, "without size");
    refused("{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", "list<string>", true,
            "\x04\x00\x02\x02\xff\x00", 6, "field 'f.element', byte");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_times_that_overflow_are_refused),
        cmocka_unit_test(test_decimals_with_too_many_digits_are_refused),
        cmocka_unit_test(test_texts_are_checked),
        cmocka_unit_test(test_text_behind_text_is_not_mixed_up),
        cmocka_unit_test(test_unions_enums_and_nulls_are_checked),
        cmocka_unit_test(test_item_counts_are_checked_before_anything_is_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
