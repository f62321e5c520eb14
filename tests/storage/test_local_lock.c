#include "storage_test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static void second_lock_is_retry_with_the_holders_name(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_lock *lock = NULL, *other = NULL;
    assert_int_equal(
        mor_store_lock(fixture->store, "d/lock", "writer-1 pid 7", 0, &lock, &fixture->err),
        MOR_OK);
    assert_int_equal(
        mor_store_lock(fixture->store, "d/lock", "writer-2", 50, &other, &fixture->err), MOR_RETRY);
    assert_non_null(strstr(fixture->err.message, "writer-1 pid 7"));
    assert_int_equal(mor_lock_check(lock, &fixture->err), MOR_OK);
    mor_lock_free(lock);
    assert_int_equal(mor_store_lock(fixture->store, "d/lock", "writer-2", 0, &other, &fixture->err),
                     MOR_OK);
    mor_lock_free(other);
}

static void removed_lock_file_fences_its_holder(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_lock *lock = NULL, *other = NULL;
    assert_int_equal(mor_store_lock(fixture->store, "lock", "a", 0, &lock, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_delete(fixture->store, "lock", false, &fixture->err), MOR_OK);
    assert_int_equal(mor_lock_check(lock, &fixture->err), MOR_FENCED);
    assert_int_equal(mor_store_lock(fixture->store, "lock", "b", 0, &other, &fixture->err), MOR_OK);
    assert_int_equal(mor_lock_check(lock, &fixture->err), MOR_FENCED);
    mor_lock_free(lock);
    mor_lock_free(other);
}

static void lock_of_a_killed_process_is_free(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_lock *lock = NULL;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (mor_store_lock(fixture->store, "lock", "child", 0, &lock, &fixture->err) != MOR_OK)
            _exit(1);
        ssize_t written = write(ready[1], "x", 1);
        (void)written;
        pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(mor_store_lock(fixture->store, "lock", "me", 0, &lock, &fixture->err),
                     MOR_RETRY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(mor_store_lock(fixture->store, "lock", "me", 0, &lock, &fixture->err), MOR_OK);
    mor_lock_free(lock);
    close(ready[0]);
    close(ready[1]);
}

static void temporary_names_of_dead_processes_are_cleaned_and_of_living_kept(void **state)
{
    struct storage_fixture *fixture = *state;
    struct mor_sink *mine = NULL;
    assert_int_equal(mor_store_create(fixture->store, "d/mine", &mine, &fixture->err), MOR_OK);
    pid_t child = fork();
    if (child == 0) {
        // its own store, as a process of its own would have
        struct mor_store *store = NULL;
        struct mor_sink *sink = NULL;
        if (mor_store_open(fixture->root, false, &store, &fixture->err) != MOR_OK ||
            mor_store_create(store, "d/e/left", &sink, &fixture->err) != MOR_OK)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    int64_t count = -1;
    assert_int_equal(mor_store_clean_temporary(fixture->store, &count, &fixture->err), MOR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(mor_sink_finish(mine, &fixture->err), MOR_OK);
    mor_sink_free(mine);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, storage_setup, storage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(second_lock_is_retry_with_the_holders_name),
        TEST(removed_lock_file_fences_its_holder),
        TEST(lock_of_a_killed_process_is_free),
        TEST(temporary_names_of_dead_processes_are_cleaned_and_of_living_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
