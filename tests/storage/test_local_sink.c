#include "storage_test.h"

#include <fcntl.h>
#include <stdio.h>
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

// ---- batches ------------------------------------------------------------------------------------

static enum mor_status add_object(struct storage_fixture *fixture, struct mor_sink_batch *batch,
                                  int number)
{
    char key[32];
    struct mor_sink *sink = NULL;
    snprintf(key, sizeof key, "d%d/x%d", number % 7, number);
    assert_int_equal(mor_store_create(fixture->store, key, &sink, &fixture->err), MOR_OK);
    assert_int_equal(mor_sink_write(sink, key, strlen(key), &fixture->err), MOR_OK);
    return mor_sink_batch_add(batch, sink, &fixture->err);
}

static size_t count_objects(struct storage_fixture *fixture)
{
    struct mor_arena arena;
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(
        mor_store_list(fixture->store, "", true, &arena, &objects, &count, &fixture->err), MOR_OK);
    for (size_t i = 0; i < count; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        assert_int_equal(mor_store_get(fixture->store, objects[i].key, 100, &bytes, &fixture->err),
                         MOR_OK);
        assert_string_equal(mor_buffer_terminate(&bytes), objects[i].key);
    }
    mor_arena_done(&arena);
    return count;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void objects_of_a_batch_appear_when_it_is_published(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink_batch *batch = mor_sink_batch_new();
    for (int i = 0; i < 10; i++)
        assert_int_equal(add_object(fixture, batch, i), MOR_OK);
    assert_int_equal(count_objects(fixture), 0);
    assert_int_equal(mor_sink_batch_publish(batch, &fixture->err), MOR_OK);
    assert_int_equal(count_objects(fixture), 10);
    assert_int_equal(mor_sink_batch_publish(batch, &fixture->err), MOR_OK); // nothing is left
    mor_sink_batch_free(batch);
}

static void a_large_batch_holds_few_descriptors(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink_batch *batch = mor_sink_batch_new();
    size_t before = count_descriptors();
    for (int i = 0; i < 1000; i++)
        assert_int_equal(add_object(fixture, batch, i), MOR_OK);
    assert_true(count_descriptors() <= before + 256);
    assert_int_equal(mor_sink_batch_publish(batch, &fixture->err), MOR_OK);
    assert_int_equal(count_objects(fixture), 1000);
    mor_sink_batch_free(batch);
    assert_int_equal(count_descriptors(), before);
}

static void a_batch_that_is_freed_leaves_nothing(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink_batch *batch = mor_sink_batch_new();
    int64_t temporary = -1;
    for (int i = 0; i < 10; i++)
        assert_int_equal(add_object(fixture, batch, i), MOR_OK);
    mor_sink_batch_free(batch);
    assert_int_equal(count_objects(fixture), 0);
    assert_int_equal(mor_store_clean_temporary(fixture->store, &temporary, &fixture->err), MOR_OK);
    assert_int_equal(temporary, 0);
}

static void a_batch_that_lost_an_object_is_never_good(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink_batch *batch = mor_sink_batch_new();
    assert_int_equal(mor_store_put_new(fixture->store, "d1/x1", "d1/x1", 5, &fixture->err), MOR_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(add_object(fixture, batch, i), MOR_OK);
    assert_int_equal(mor_sink_batch_publish(batch, &fixture->err), MOR_CONFLICT);
    assert_non_null(strstr(fixture->err.message, "d1/x1"));
    assert_int_equal(add_object(fixture, batch, 4), MOR_OK);
    // the object that it took in later does not make up for it
    assert_int_equal(mor_sink_batch_publish(batch, &fixture->err), MOR_CONFLICT);
    assert_non_null(strstr(fixture->err.message, "d1/x1"));
    mor_sink_batch_free(batch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, storage_setup, storage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(streamed_object_equals_what_was_written_in_pieces),
        TEST(sink_freed_unfinished_leaves_nothing),
        TEST(finishing_over_an_existing_object_is_a_conflict),
        TEST(full_disk_is_retry_with_words_and_leaves_nothing),
        TEST(objects_of_a_batch_appear_when_it_is_published),
        TEST(a_large_batch_holds_few_descriptors),
        TEST(a_batch_that_is_freed_leaves_nothing),
        TEST(a_batch_that_lost_an_object_is_never_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
