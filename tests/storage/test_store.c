#include "storage_test.h"

#include <string.h>

#include "store.h"

static void key_that_leaves_the_root_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"};
    struct mor_error err = MOR_ERROR_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mor_store_key_check(bad[i], false, &err), MOR_FATAL);
    assert_int_equal(mor_store_key_check("", true, &err), MOR_OK);
    assert_int_equal(mor_store_key_check("...", false, &err), MOR_OK);
    assert_int_equal(mor_store_key_check("a/.hidden/b=1", false, &err), MOR_OK);
}

static void segment_of_256_bytes_is_refused_and_255_are_taken(void **state)
{
    (void)state;
    char key[300];
    struct mor_error err = MOR_ERROR_INIT;
    memset(key, 'x', 256);
    key[256] = '\0';
    assert_int_equal(mor_store_key_check(key, false, &err), MOR_FATAL);
    key[255] = '\0';
    assert_int_equal(mor_store_key_check(key, false, &err), MOR_OK);
}

static void unknown_scheme_and_relative_file_url_are_refused_in_words(void **state)
{
    (void)state;
    struct mor_store *store = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(mor_store_open("ftp://host/x", true, &store, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "ftp"));
    assert_int_equal(mor_store_open("file://host/x", true, &store, &err), MOR_FATAL);
    assert_int_equal(mor_store_open("", true, &store, &err), MOR_FATAL);
}

static void absent_root_is_not_found_unless_it_shall_be_created(void **state)
{
    struct storage_fixture *fixture = *state;
    char location[128];
    snprintf(location, sizeof location, "file://%s/a/b/c", fixture->root);
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(location, false, &store, &fixture->err), MOR_NOT_FOUND);
    assert_int_equal(mor_store_open(location, true, &store, &fixture->err), MOR_OK);
    assert_string_equal(mor_store_location(store), location);
    mor_store_free(store);
    assert_int_equal(mor_store_open(location, false, &store, &fixture->err), MOR_OK);
    mor_store_free(store);
}

static int64_t requests(const char *operation, enum mor_status status)
{
    struct mor_storage_count counts[MOR_STORAGE_COUNTS_MAX];
    size_t count = mor_storage_requests(counts);
    for (size_t i = 0; i < count; i++)
        if (strcmp(counts[i].operation, operation) == 0 && counts[i].status == status)
            return counts[i].count;
    return 0;
}

static void requests_are_counted_by_what_came_of_them(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER bytes = {0};
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(fixture->root, false, &store, &err), MOR_OK);
    int64_t puts = requests("put", MOR_OK), conflicts = requests("put", MOR_CONFLICT);
    int64_t gets = requests("get", MOR_OK), missing = requests("get", MOR_NOT_FOUND);
    assert_int_equal(mor_store_put_new(store, "a", "x", 1, &err), MOR_OK);
    assert_int_equal(mor_store_put_new(store, "a", "x", 1, &err), MOR_CONFLICT);
    assert_int_equal(mor_store_get(store, "a", 10, &bytes, &err), MOR_OK);
    assert_int_equal(mor_store_get(store, "b", 10, &bytes, &err), MOR_NOT_FOUND);
    assert_int_equal(mor_store_get(store, "../b", 10, &bytes, &err), MOR_FATAL); // never sent
    struct mor_sink *sink = NULL;
    assert_int_equal(mor_store_create(store, "c", &sink, &err), MOR_OK);
    assert_int_equal(mor_sink_finish(sink, &err), MOR_OK);
    mor_sink_free(sink);
    assert_int_equal(requests("put", MOR_OK) - puts, 2);
    assert_int_equal(requests("put", MOR_CONFLICT) - conflicts, 1);
    assert_int_equal(requests("get", MOR_OK) - gets, 1);
    assert_int_equal(requests("get", MOR_NOT_FOUND) - missing, 1);
    assert_int_equal(requests("get", MOR_FATAL), 0);
    mor_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_that_leaves_the_root_is_refused),
        cmocka_unit_test(segment_of_256_bytes_is_refused_and_255_are_taken),
        cmocka_unit_test(unknown_scheme_and_relative_file_url_are_refused_in_words),
        cmocka_unit_test_setup_teardown(absent_root_is_not_found_unless_it_shall_be_created,
                                        storage_setup, storage_teardown),
        cmocka_unit_test_setup_teardown(requests_are_counted_by_what_came_of_them, storage_setup,
                                        storage_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
