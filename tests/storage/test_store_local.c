#include "storage_test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static enum mor_status put(struct storage_fixture *fixture, const char *key, const char *text)
{
    return mor_store_put_new(fixture->store, key, text, strlen(text), &fixture->err);
}

static void put_object_is_read_back_and_never_replaced(void **state)
{
    struct storage_fixture *fixture = *state;
    assert_int_equal(put(fixture, "a/b/c.txt", "hello"), MOR_OK);
    assert_int_equal(put(fixture, "a/b/c.txt", "other"), MOR_CONFLICT);
    struct mor_buffer bytes = {0};
    assert_int_equal(mor_store_get(fixture->store, "a/b/c.txt", 100, &bytes, &fixture->err),
                     MOR_OK);
    assert_int_equal(bytes.size_bytes, 5);
    assert_memory_equal(bytes.data, "hello", 5);
    mor_buffer_done(&bytes);
    struct mor_object_info info;
    assert_int_equal(mor_store_info(fixture->store, "a/b/c.txt", &info, &fixture->err), MOR_OK);
    assert_int_equal(info.size_bytes, 5);
    assert_false(info.is_prefix);
}

static void a_hint_is_replaced_whole_and_leaves_nothing_behind(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    for (int i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", 10 - i);
        assert_int_equal(
            mor_store_replace(fixture->store, "a/hint", text, strlen(text), &fixture->err), MOR_OK);
        mor_buffer_reset(&bytes);
        assert_int_equal(mor_store_get(fixture->store, "a/hint", 100, &bytes, &fixture->err),
                         MOR_OK);
        assert_string_equal(mor_buffer_terminate(&bytes), text);
    }
    mor_buffer_done(&bytes);
    struct dirent *entry;
    size_t files = 0;
    char folder[128];
    snprintf(folder, sizeof folder, "%s/a", fixture->root);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        files += entry->d_type == DT_REG ? 1 : 0;
    closedir(dir);
    assert_int_equal(files, 1);
    assert_int_equal(mor_store_replace(fixture->store, "a", "x", 1, &fixture->err), MOR_FATAL);
}

static void object_over_the_limit_is_data_and_absent_is_not_found(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    assert_int_equal(put(fixture, "x", "hello"), MOR_OK);
    assert_int_equal(mor_store_get(fixture->store, "x", 4, &bytes, &fixture->err), MOR_DATA);
    assert_int_equal(mor_store_get(fixture->store, "y", 4, &bytes, &fixture->err), MOR_NOT_FOUND);
    assert_int_equal(mor_store_get(fixture->store, "d/y", 4, &bytes, &fixture->err), MOR_NOT_FOUND);
    mor_buffer_done(&bytes);
}

static void symbolic_link_out_of_the_root_is_not_followed(void **state)
{
    struct storage_fixture *fixture = *state;
    char link[128];
    snprintf(link, sizeof link, "%s/out", fixture->root);
    assert_int_equal(symlink("/etc", link), 0);
    struct mor_buffer bytes = {0};
    assert_int_not_equal(
        mor_store_get(fixture->store, "out/passwd", 1 << 20, &bytes, &fixture->err), MOR_OK);
    assert_int_not_equal(put(fixture, "out/moraine-test", "x"), MOR_OK);
    mor_buffer_done(&bytes);
}

static size_t count_listed(struct storage_fixture *fixture, const char *prefix, bool recursive,
                           size_t *ret_prefixes)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *objects = NULL;
    size_t count = 0, prefixes = 0;
    assert_int_equal(
        mor_store_list(fixture->store, prefix, recursive, &arena, &objects, &count, &fixture->err),
        MOR_OK);
    for (size_t i = 0; i < count; i++)
        prefixes += objects[i].is_prefix;
    *ret_prefixes = prefixes;
    mor_arena_done(&arena);
    return count;
}

static void listing_shows_objects_and_prefixes_but_no_unfinished_put(void **state)
{
    struct storage_fixture *fixture = *state;
    assert_int_equal(put(fixture, "a/1", "x"), MOR_OK);
    assert_int_equal(put(fixture, "a/b/2", "x"), MOR_OK);
    assert_int_equal(put(fixture, "3", "x"), MOR_OK);
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(fixture->store, "a/4", &sink, &fixture->err), MOR_OK);
    size_t prefixes;
    assert_int_equal(count_listed(fixture, "", true, &prefixes), 3);
    assert_int_equal(prefixes, 0);
    assert_int_equal(count_listed(fixture, "", false, &prefixes), 2);
    assert_int_equal(prefixes, 1);
    assert_int_equal(count_listed(fixture, "a", false, &prefixes), 2);
    assert_int_equal(count_listed(fixture, "absent", true, &prefixes), 0);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *names = NULL;
    size_t count = 0;
    assert_int_equal(
        mor_store_list_names(fixture->store, "a", &arena, &names, &count, &fixture->err), MOR_OK);
    assert_int_equal(count, 2);
    assert_true(names[0].is_prefix != names[1].is_prefix);
    assert_string_equal(names[names[0].is_prefix ? 0 : 1].key, "a/b");
    mor_arena_done(&arena);
    mor_sink_free(sink);
}

static void deleted_object_is_gone_and_deleting_twice_is_success(void **state)
{
    struct storage_fixture *fixture = *state;
    assert_int_equal(put(fixture, "a/1", "x"), MOR_OK);
    assert_int_equal(mor_store_delete(fixture->store, "a/1", true, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_delete(fixture->store, "a/1", true, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_delete(fixture->store, "b/1", false, &fixture->err), MOR_OK);
    struct mor_object_info info;
    assert_int_equal(mor_store_info(fixture->store, "a/1", &info, &fixture->err), MOR_NOT_FOUND);
}

struct race {
    struct storage_fixture *fixture;
    atomic_int winners, conflicts;
};

static void *race_run(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < 50; i++) {
        char key[32];
        struct mor_error err = MOR_ERROR_INIT;
        snprintf(key, sizeof key, "slots/%d", i);
        enum mor_status status = mor_store_put_new(race->fixture->store, key, "x", 1, &err);
        atomic_fetch_add(status == MOR_OK ? &race->winners : &race->conflicts, 1);
        if (status != MOR_OK && status != MOR_CONFLICT)
            atomic_fetch_add(&race->winners, 1000);
    }
    return NULL;
}

static void racing_puts_of_one_key_have_exactly_one_winner(void **state)
{
    struct race race = {.fixture = *state};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_run, &race), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.winners), 50);
    assert_int_equal(atomic_load(&race.conflicts), 150);
}

static void deferred_puts_are_made_durable_by_sync(void **state)
{
    struct storage_fixture *fixture = *state;
    assert_int_equal(mor_store_put_new_deferred(fixture->store, "p/q/1", "x", 1, &fixture->err),
                     MOR_OK);
    assert_int_equal(mor_store_sync(fixture->store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_sync(fixture->store, &fixture->err), MOR_OK);
}

// ---- moving -------------------------------------------------------------------------------------

static void moved_object_has_its_new_key_and_bytes_only(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    assert_int_equal(put(fixture, "a/x", "hello"), MOR_OK);
    assert_int_equal(mor_store_move(fixture->store, "a/x", "b/c/y", &fixture->err), MOR_OK);
    assert_int_equal(mor_store_sync(fixture->store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_get(fixture->store, "b/c/y", 100, &bytes, &fixture->err), MOR_OK);
    assert_int_equal(bytes.size_bytes, 5);
    assert_int_equal(mor_store_get(fixture->store, "a/x", 100, &bytes, &fixture->err),
                     MOR_NOT_FOUND);
    mor_buffer_done(&bytes);
}

static void copied_object_is_there_twice_and_replaces_nothing(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    size_t size = (3u << 20) + 17; // more than one step
    uint8_t *content = mor_calloc(size, 1);
    content[size - 1] = 7;
    int64_t copied = 0;
    assert_int_equal(mor_store_put_new(fixture->store, "a/x", content, size, &fixture->err),
                     MOR_OK);
    assert_int_equal(mor_store_copy(fixture->store, "a/x", "b/y", &copied, &fixture->err), MOR_OK);
    assert_int_equal(copied, size);
    assert_int_equal(mor_store_sync(fixture->store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_get(fixture->store, "b/y", size, &bytes, &fixture->err), MOR_OK);
    assert_int_equal(bytes.size_bytes, size);
    assert_memory_equal(bytes.data, content, size);
    assert_int_equal(put(fixture, "c", "other"), MOR_OK);
    assert_int_equal(mor_store_copy(fixture->store, "a/x", "c", NULL, &fixture->err), MOR_CONFLICT);
    assert_int_equal(mor_store_copy(fixture->store, "a/z", "d", NULL, &fixture->err),
                     MOR_NOT_FOUND);
    free(content);
    mor_buffer_done(&bytes);
}

static void move_refuses_to_replace_and_tells_what_is_absent(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_buffer bytes = {0};
    struct mor_object_info info;
    assert_int_equal(put(fixture, "a/x", "hello"), MOR_OK);
    assert_int_equal(put(fixture, "b/y", "other"), MOR_OK);
    assert_int_equal(mor_store_move(fixture->store, "a/x", "b/y", &fixture->err), MOR_CONFLICT);
    assert_int_equal(mor_store_get(fixture->store, "b/y", 100, &bytes, &fixture->err), MOR_OK);
    assert_memory_equal(bytes.data, "other", 5);
    assert_int_equal(mor_store_move(fixture->store, "a/z", "b/z", &fixture->err), MOR_NOT_FOUND);
    assert_int_equal(mor_store_move(fixture->store, "d/z", "e/z", &fixture->err), MOR_NOT_FOUND);
    // no folder is made for nothing
    assert_int_equal(mor_store_info(fixture->store, "e", &info, &fixture->err), MOR_NOT_FOUND);
    assert_int_equal(mor_store_move(fixture->store, "a/x", "../z", &fixture->err), MOR_FATAL);
    assert_int_equal(mor_store_move(fixture->store, "../z", "a/z", &fixture->err), MOR_FATAL);
    assert_int_equal(mor_store_sync(fixture->store, &fixture->err), MOR_OK);
    mor_buffer_done(&bytes);
}

static void *move_run(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < 50; i++) {
        char from[32], to[32];
        struct mor_error err = MOR_ERROR_INIT;
        snprintf(from, sizeof from, "from/%d", i);
        snprintf(to, sizeof to, "to/%d", i);
        enum mor_status status = mor_store_move(race->fixture->store, from, to, &err);
        atomic_fetch_add(status == MOR_OK ? &race->winners : &race->conflicts, 1);
        if (status != MOR_OK && status != MOR_NOT_FOUND)
            atomic_fetch_add(&race->winners, 1000);
    }
    return NULL;
}

static void racing_moves_of_one_object_have_exactly_one_winner(void **state)
{
    struct storage_fixture *fixture = *state;
    struct race race = {.fixture = fixture};
    pthread_t threads[4];
    for (int i = 0; i < 50; i++) {
        char from[32];
        snprintf(from, sizeof from, "from/%d", i);
        assert_int_equal(put(fixture, from, "x"), MOR_OK);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move_run, &race), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.winners), 50);
    assert_int_equal(atomic_load(&race.conflicts), 150);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, storage_setup, storage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(put_object_is_read_back_and_never_replaced),
        TEST(a_hint_is_replaced_whole_and_leaves_nothing_behind),
        TEST(object_over_the_limit_is_data_and_absent_is_not_found),
        TEST(symbolic_link_out_of_the_root_is_not_followed),
        TEST(listing_shows_objects_and_prefixes_but_no_unfinished_put),
        TEST(deleted_object_is_gone_and_deleting_twice_is_success),
        TEST(racing_puts_of_one_key_have_exactly_one_winner),
        TEST(deferred_puts_are_made_durable_by_sync),
        TEST(moved_object_has_its_new_key_and_bytes_only),
        TEST(copied_object_is_there_twice_and_replaces_nothing),
        TEST(move_refuses_to_replace_and_tells_what_is_absent),
        TEST(racing_moves_of_one_object_have_exactly_one_winner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
