#include "table_test.h"

#include "hudi/hudi_log.h"

#define INSTANT "20260101000000000"

static uint64_t be(const struct mor_buffer *bytes, size_t at, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes->data[at + (size_t)i];
    return value;
}

static void lengths_of_a_block_count_what_the_format_says(void **state)
{
    (void)state;
    struct mor_buffer bytes = {0};
    struct hudi_block_writer writer;
    mor_buffer_append_text(&bytes, "before");
    hudi_block_begin(&writer, &bytes, HUDI_BLOCK_AVRO, INSTANT, "{}");
    size_t mark = hudi_records_begin(&bytes);
    for (int i = 0; i < 2; i++) {
        size_t record = hudi_record_begin(&bytes);
        mor_buffer_append_text(&bytes, "abc");
        hudi_record_end(&bytes, record);
    }
    hudi_records_end(&bytes, mark, 2);
    hudi_block_end(&writer);

    size_t size = bytes.size_bytes - 6;
    assert_memory_equal(bytes.data + 6, "#HUDI#", 6);
    uint64_t length = be(&bytes, 12, 8);
    assert_int_equal(length, size - 14);
    assert_int_equal(be(&bytes, 20, 4), 1);
    assert_int_equal(be(&bytes, 24, 4), HUDI_BLOCK_AVRO);
    assert_int_equal(be(&bytes, bytes.size_bytes - 8, 8), length + 6);
    size_t content = 6 + 22 + 4 + (8 + 17) + (8 + 2);
    assert_int_equal(be(&bytes, content, 8), 4 + 4 + 2 * (4 + 3));
    assert_int_equal(be(&bytes, content + 8, 4), 3);  // content version
    assert_int_equal(be(&bytes, content + 12, 4), 2); // records
    assert_int_equal(be(&bytes, content + 16, 4), 3);
    mor_buffer_done(&bytes);
}

static void delete_is_written_as_integer_zero(void **state)
{
    (void)state;
    struct mor_buffer bytes = {0};
    size_t mark = hudi_deletes_begin(&bytes, 1);
    hudi_delete_add(&bytes, "key", 3, "p=1");
    hudi_deletes_end(&bytes, mark);
    static const uint8_t expected[] = {0,   0,   0,   3, 0, 0,   0,   14,  2,    2,    6,
                                       'k', 'e', 'y', 2, 6, 'p', '=', '1', 0x04, 0x00, 0};
    assert_int_equal(bytes.size_bytes, sizeof expected);
    assert_memory_equal(bytes.data, expected, sizeof expected);
    mor_buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_of_a_block_count_what_the_format_says),
        cmocka_unit_test(delete_is_written_as_integer_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
