#include "storage_test.h"

#include <string.h>
#include <sys/mount.h>

static void streamed_object_equals_what_was_written_in_pieces(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(fixture->store, "d/big", &sink, &fixture->err), MOR_OK);
    size_t total = 0;
    static uint8_t piece[700000];
    for (size_t size = 1; size < sizeof piece; size = size * 3 + 1) {
        for (size_t i = 0; i < size; i++)
            piece[i] = (uint8_t)((total + i) * 7);
        assert_int_equal(mor_sink_write(sink, piece, size, &fixture->err), MOR_OK);
        total += size;
    }
    assert_int_equal(mor_sink_position(sink), total);
    struct mor_object_info info;
    assert_int_equal(mor_store_info(fixture->store, "d/big", &info, &fixture->err), MOR_NOT_FOUND);
    assert_int_equal(mor_sink_finish(sink, &fixture->err), MOR_OK);
    mor_sink_free(sink);

    struct mor_reader *reader = NULL;
    assert_int_equal(mor_store_open_object(fixture->store, "d/big", &reader, &fixture->err),
                     MOR_OK);
    assert_int_equal(mor_reader_size_bytes(reader), total);
    uint8_t bytes[1000];
    assert_int_equal(
        mor_reader_read(reader, (int64_t)total - 1000, bytes, sizeof bytes, &fixture->err), MOR_OK);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], (uint8_t)((total - 1000 + i) * 7));
    assert_int_equal(
        mor_reader_read(reader, (int64_t)total - 999, bytes, sizeof bytes, &fixture->err),
        MOR_DATA);
    assert_int_equal(mor_reader_read(reader, -1, bytes, 1, &fixture->err), MOR_DATA);
    mor_reader_free(reader);
}

static void sink_freed_unfinished_leaves_nothing(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(fixture->store, "x", &sink, &fixture->err), MOR_OK);
    assert_int_equal(mor_sink_write(sink, "abc", 3, &fixture->err), MOR_OK);
    mor_sink_free(sink);
    assert_int_equal(rmdir(fixture->root), 0); // empty again
    assert_int_equal(mkdtemp(strcpy(fixture->root, "/tmp/moraine-storage-XXXXXX")) != NULL, 1);
}

static void finishing_over_an_existing_object_is_a_conflict(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(fixture->store, "x", &sink, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_put_new(fixture->store, "x", "1", 1, &fixture->err), MOR_OK);
    assert_int_equal(mor_sink_finish(sink, &fixture->err), MOR_CONFLICT);
    mor_sink_free(sink);
}

static void full_disk_is_retry_with_words_and_leaves_nothing(void **state)
{
    struct storage_fixture *fixture = *state;
    char small[128];
    snprintf(small, sizeof small, "%s/small", fixture->root);
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(small, true, &store, &fixture->err), MOR_OK);
    mor_store_free(store);
    if (mount("none", small, "tmpfs", 0, "size=1m") != 0) {
        print_message("skipped: no right to mount a tmpfs\n");
        skip();
    }
    assert_int_equal(mor_store_open(small, false, &store, &fixture->err), MOR_OK);
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(store, "x", &sink, &fixture->err), MOR_OK);
    static const uint8_t zeroes[3 << 20];
    assert_int_equal(mor_sink_write(sink, zeroes, sizeof zeroes, &fixture->err), MOR_RETRY);
    assert_non_null(strstr(fixture->err.message, "No space left"));
    mor_sink_free(sink);
    assert_int_equal(mor_store_put_new(store, "y", zeroes, 100000, &fixture->err), MOR_OK);
    mor_store_free(store);
    assert_int_equal(umount(small), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, storage_setup, storage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(streamed_object_equals_what_was_written_in_pieces),
        TEST(sink_freed_unfinished_leaves_nothing),
        TEST(finishing_over_an_existing_object_is_a_conflict),
        TEST(full_disk_is_retry_with_words_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
