#include "table_test.h"

#include "hudi/hudi_log.h"

#define INSTANT "20260101000000000"

struct log_fixture {
    struct mor_arena arena;
    struct mor_error err;
};

static int log_setup(void **state)
{
    struct log_fixture *fixture = calloc(1, sizeof *fixture);
    mor_arena_init(&fixture->arena, 0, NULL);
    fixture->err = MOR_ERROR_INIT;
    *state = fixture;
    return 0;
}

static int log_teardown(void **state)
{
    struct log_fixture *fixture = *state;
    mor_arena_done(&fixture->arena);
    free(fixture);
    return 0;
}

static enum mor_status read_memory(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    (void)err;
    memcpy(ret_bytes, (const uint8_t *)context + offset, size_bytes);
    return MOR_OK;
}

static enum mor_status index_bytes(struct log_fixture *fixture, const void *bytes, size_t size,
                                   struct hudi_block **ret_blocks, size_t *ret_count)
{
    // of exactly this size, so that reading past the end is seen
    void *copy = malloc(size);
    memcpy(copy, bytes, size);
    struct mor_byte_source source = {
        .context = copy, .size_bytes = (int64_t)size, .read = read_memory};
    enum mor_status status =
        hudi_log_index(&source, "log", &fixture->arena, ret_blocks, ret_count, &fixture->err);
    free(copy);
    return status;
}

// Two blocks: a data block with `padding` bytes of schema, and a delete block.
static void make_log(struct mor_buffer *bytes, size_t padding)
{
    struct hudi_block_writer writer;
    char *schema = malloc(padding + 1);
    memset(schema, 's', padding);
    schema[padding] = '\0';
    hudi_block_begin(&writer, bytes, HUDI_BLOCK_AVRO, INSTANT, schema);
    size_t mark = hudi_records_begin(bytes);
    hudi_records_end(bytes, mark, 0);
    hudi_block_end(&writer);
    hudi_block_begin(&writer, bytes, HUDI_BLOCK_DELETE, INSTANT, "{}");
    mark = hudi_deletes_begin(bytes, 1);
    hudi_delete_add(bytes, "k", 1, "");
    hudi_deletes_end(bytes, mark);
    hudi_block_end(&writer);
    free(schema);
}

static void blocks_are_found_with_their_headers(void **state)
{
    struct log_fixture *fixture = *state;
    static const size_t paddings[] = {10, 70000, 3000000};
    for (size_t i = 0; i < 3; i++) {
        struct mor_buffer bytes = {0};
        make_log(&bytes, paddings[i]);
        struct hudi_block *blocks = NULL;
        size_t count = 0;
        assert_int_equal(index_bytes(fixture, bytes.data, bytes.size_bytes, &blocks, &count),
                         MOR_OK);
        assert_int_equal(count, 2);
        assert_int_equal(blocks[0].type, HUDI_BLOCK_AVRO);
        assert_int_equal(strlen(blocks[0].header[HUDI_HEADER_SCHEMA]), paddings[i]);
        assert_string_equal(blocks[1].header[HUDI_HEADER_INSTANT], INSTANT);
        assert_int_equal(blocks[1].type, HUDI_BLOCK_DELETE);
        mor_buffer_done(&bytes);
    }
}

static void log_cut_anywhere_is_an_error(void **state)
{
    struct log_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    make_log(&bytes, 10);
    struct hudi_block *blocks = NULL;
    size_t count = 0, whole = 0;
    for (size_t size = 1; size < bytes.size_bytes; size++) {
        enum mor_status status = index_bytes(fixture, bytes.data, size, &blocks, &count);
        whole += status == MOR_OK;
        assert_true(status == MOR_DATA || (status == MOR_OK && count == 1));
    }
    assert_int_equal(whole, 1); // cut exactly between the blocks
    mor_buffer_done(&bytes);
}

static void flipped_bytes_never_read_outside(void **state)
{
    struct log_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    make_log(&bytes, 10);
    for (size_t at = 0; at < bytes.size_bytes; at++) {
        for (int bit = 0; bit < 8; bit += 7) {
            struct hudi_block *blocks = NULL;
            size_t count = 0;
            bytes.data[at] ^= (uint8_t)(1 << bit);
            if (index_bytes(fixture, bytes.data, bytes.size_bytes, &blocks, &count) == MOR_OK) {
                for (size_t i = 0; i < count; i++)
                    assert_true(blocks[i].content_offset + blocks[i].content_size_bytes <=
                                (int64_t)bytes.size_bytes);
            }
            bytes.data[at] ^= (uint8_t)(1 << bit);
        }
    }
    mor_buffer_done(&bytes);
}

// ---- deletes ------------------------------------------------------------------------------------

static struct hudi_delete last_delete;
static int delete_count;

static enum mor_status remember(void *context, const struct hudi_delete *entry,
                                struct mor_error *err)
{
    (void)context;
    (void)err;
    last_delete = *entry;
    delete_count++;
    return MOR_OK;
}

// One delete of key "k" whose ordering union is `ordering`.
static enum mor_status read_delete(const void *ordering, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_buffer bytes = {0};
    static const uint8_t head[] = {2, 2, 2, 'k', 0};
    mor_buffer_append_be32(&bytes, 3);
    mor_buffer_append_be32(&bytes, (uint32_t)(sizeof head + size + 1));
    mor_buffer_append(&bytes, head, sizeof head);
    mor_buffer_append(&bytes, ordering, size);
    mor_buffer_append_u8(&bytes, 0);
    delete_count = 0;
    enum mor_status status = hudi_deletes_read(bytes.data, bytes.size_bytes, remember, NULL, &err);
    mor_buffer_done(&bytes);
    return status;
}

static void integer_zero_and_null_say_no_ordering(void **state)
{
    (void)state;
    assert_int_equal(read_delete("\x00", 1), MOR_OK);
    assert_int_equal(last_delete.ordering, HUDI_ORDERING_NONE);
    assert_int_equal(read_delete("\x04\x00", 2), MOR_OK);
    assert_int_equal(last_delete.ordering, HUDI_ORDERING_NONE);
    assert_int_equal(delete_count, 1);
}

static void long_zero_and_other_values_are_orderings(void **state)
{
    (void)state;
    assert_int_equal(read_delete("\x06\x00", 2), MOR_OK);
    assert_int_equal(last_delete.ordering, HUDI_ORDERING_NUMBER);
    assert_int_equal(last_delete.number, 0);
    assert_int_equal(read_delete("\x04\x05", 2), MOR_OK);
    assert_int_equal(last_delete.number, -3);
    assert_int_equal(read_delete("\x0e\x02x", 3), MOR_OK);
    assert_int_equal(last_delete.ordering, HUDI_ORDERING_BYTES);
    assert_int_equal(last_delete.bytes_size_bytes, 1);
    assert_int_equal(read_delete("\x0a\0\0\0\0\0\0\xf0\x3f", 9), MOR_OK);
    assert_true(last_delete.real == 1.0);
}

static void malformed_deletes_are_errors(void **state)
{
    (void)state;
    assert_int_equal(read_delete("\x1a\x00", 2), MOR_DATA); // branch 13
    assert_int_equal(read_delete("\x0e\x7f", 2), MOR_DATA); // negative length
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(
        hudi_deletes_read((const uint8_t *)"\0\0\0\2\0\0\0\0", 8, remember, NULL, &err), MOR_DATA);
    // a count of 2^62 and no bytes for it
    static const uint8_t huge[] = {0,    0,    0,    3,    0,    0,    0,    9,   0xfe,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    assert_int_equal(hudi_deletes_read(huge, sizeof huge, remember, NULL, &err), MOR_DATA);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, log_setup, log_teardown)
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_found_with_their_headers),
        TEST(log_cut_anywhere_is_an_error),
        TEST(flipped_bytes_never_read_outside),
        cmocka_unit_test(integer_zero_and_null_say_no_ordering),
        cmocka_unit_test(long_zero_and_other_values_are_orderings),
        cmocka_unit_test(malformed_deletes_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
