// Names, turns and staging folders of instances.
#include "table_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "hudi/hudi_table.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

static const struct table_row rows[] = {{"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}};

static void nap_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void open_as(struct table_fixture *fixture, const char *instance)
{
    fixture->options.instance = instance;
    table_open(fixture);
}

static struct mor_write *begin(struct table_fixture *fixture)
{
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    if (mor_write_begin(fixture->table, &id, &write, &fixture->err) != MOR_OK)
        fail_msg("begin: %s", fixture->err.message);
    return write;
}

// ---- names --------------------------------------------------------------------------------------

static void names_are_for_one_handle_each_whatever_they_hold(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const names[] = {"a", "a/b", "../a", "\303\244 \n:%", "a.b-c_d"};
    struct table_fixture handles[5];
    for (size_t i = 0; i < 5; i++) {
        handles[i] = *fixture;
        handles[i].table = NULL;
        open_as(&handles[i], names[i]);
        struct mor_table *again = NULL;
        assert_int_equal(mor_table_open_write(&handles[i].options, &again, &fixture->err),
                         MOR_RETRY);
        table_must_commit(&handles[i], rows, 2, i ? "1" : NULL, "1");
    }
    for (size_t i = 0; i < 5; i++)
        table_close(&handles[i]);
    open_as(fixture, "a");
    table_must_commit(fixture, rows, 2, "1", "2");
}

static void instances_that_create_a_table_at_once_share_it(void **state)
{
    struct table_fixture *fixture = *state;
    pid_t children[6];
    for (int i = 0; i < 6; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char name[16];
            snprintf(name, sizeof name, "i%d", i);
            open_as(fixture, name);
            enum mor_status status;
            do {
                status = table_commit(fixture, rows, 2, "x", "x", NULL);
                if (status == MOR_FENCED)
                    status = table_commit(fixture, rows, 2, NULL, "x", NULL);
            } while (status == MOR_CONFLICT || status == MOR_FENCED);
            _exit((int)status);
        }
    }
    for (int i = 0; i < 6; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 6);
}

// ---- turns --------------------------------------------------------------------------------------

static void turn_is_waited_for_and_not_forever(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other = *fixture;
    open_as(fixture, "a");
    open_as(&other, "b");
    hudi_of(other.table)->turn_wait_ms = 300;
    struct mor_write *held = begin(fixture);
    int64_t start_ms = mor_clock_mono_ms();
    mor_write_free(begin(&other));
    int64_t waited_ms = mor_clock_mono_ms() - start_ms;
    assert_true(waited_ms >= 300 && waited_ms < 5000);
    // who kept it that long is not waited for again
    hudi_of(other.table)->turn_wait_ms = 60000;
    start_ms = mor_clock_mono_ms();
    mor_write_free(begin(&other));
    assert_true(mor_clock_mono_ms() - start_ms < 10000);
    mor_write_free(held);
    // but the next one is
    hudi_of(other.table)->turn_wait_ms = 300;
    held = begin(fixture);
    start_ms = mor_clock_mono_ms();
    mor_write_free(begin(&other));
    assert_true(mor_clock_mono_ms() - start_ms >= 300);
    mor_write_free(held);
    table_close(&other);
}

static void turn_is_free_after_commit_conflict_and_abandonment(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other = *fixture;
    open_as(fixture, "a");
    open_as(&other, "b");
    struct mor_commit_result result;
    for (int i = 0; i < 2; i++) {
        struct mor_write *write = begin(fixture);
        if (i == 0)
            assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
        mor_write_free(write);
        int64_t start_ms = mor_clock_mono_ms();
        mor_write_free(begin(&other));
        assert_true(mor_clock_mono_ms() - start_ms < 5000);
    }
    table_close(&other);
}

static void nobody_starves_when_all_commit_without_pause(void **state)
{
    struct table_fixture *fixture = *state;
    enum { COUNT = 3, TIME_MS = 1500 };
    pid_t children[COUNT];
    open_as(fixture, "first");
    table_must_commit(fixture, rows, 2, NULL, "x");
    table_close(fixture);
    for (int i = 0; i < COUNT; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char name[16];
            int commits = 0;
            snprintf(name, sizeof name, "i%d", i);
            open_as(fixture, name);
            int64_t end_ms = mor_clock_mono_ms() + TIME_MS;
            while (mor_clock_mono_ms() < end_ms)
                commits += table_commit(fixture, rows, 2, "x", "x", NULL) == MOR_OK;
            _exit(commits > 250 ? 250 : commits);
        }
    }
    int least = 255, sum = 0;
    for (int i = 0; i < COUNT; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status));
        int commits = WEXITSTATUS(status);
        least = commits < least ? commits : least;
        sum += commits;
        print_message("%d commits\n", commits);
    }
    assert_true(least > 0 && least * 4 * COUNT >= sum); // a quarter of a fair share at the least
}

// ---- staging folders ----------------------------------------------------------------------------

// A child with the instance name that is killed at the point of its commit.
static void kill_at(struct table_fixture *fixture, const char *instance, const char *point)
{
    pid_t child = fork();
    if (child == 0) {
        char setting[64];
        snprintf(setting, sizeof setting, "%s=kill", point);
        open_as(fixture, instance);
        setenv("MORAINE_FAILPOINTS", setting, 1);
        if (mor_fault_init(&fixture->err) == MOR_OK)
            (void)!table_commit(fixture, rows, 2, "1", "2", NULL);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
}

static void staging_of_ended_instances_is_cleared_and_of_running_ones_kept(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture running = *fixture;
    open_as(&running, "running");
    table_must_commit(&running, rows, 2, NULL, "1");
    struct mor_write *write = begin(&running);
    assert_int_equal(table_write_groups(&running, write, rows, 2), MOR_OK);
    int kept = table_count_files(fixture, "staging/running/");
    assert_true(kept > 0);
    hudi_turn_release(hudi_of(running.table)); // the others shall not wait
    kill_at(fixture, "ended", "hudi.staged");
    assert_true(table_count_files(fixture, "staging/ended/") > 0);
    open_as(fixture, "looking");
    assert_int_equal(table_count_files(fixture, "staging/ended/"), 0);
    assert_int_equal(table_count_files(fixture, "staging/running/"), kept);
    struct mor_commit_result result;
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &running.err), MOR_OK);
    mor_write_free(write);
    table_close(&running);
}

static void what_an_ended_instance_decided_is_finished_by_the_next_begin(void **state)
{
    struct table_fixture *fixture = *state;
    open_as(fixture, "running");
    table_must_commit(fixture, rows, 2, NULL, "1");
    struct table_fixture copy = *fixture;
    kill_at(&copy, "ended", "hudi.renamed");
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 1);
    struct mor_write *write = begin(fixture);
    assert_string_equal(mor_write_base_property(write, "moraine"), "2");
    mor_write_free(write);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 2);
    assert_int_equal(table_count_files(fixture, "staging/"), 0);
}

static void renames_that_a_power_failure_took_back_are_done_again_in_order(void **state)
{
    struct table_fixture *fixture = *state;
    open_as(fixture, "a");
    table_must_commit(fixture, rows, 2, NULL, "1");
    table_must_commit(fixture, rows, 2, "1", "2");
    table_must_commit(fixture, rows, 2, "2", "3");
    // the completed file of slot 2 back where its slot says it was staged, and a log of it
    struct hudi_slot slot = {0};
    struct mor_store *store = mor_table_store(fixture->table);
    assert_int_equal(hudi_chain_read(store, 2, &slot, &fixture->err), MOR_OK);
    for (size_t i = 0; i < slot.move_count; i++)
        assert_int_equal(mor_store_move(store, slot.moves[i].to, slot.moves[i].from, &fixture->err),
                         MOR_OK);
    assert_int_equal(mor_store_put_new(store, HUDI_STAGING_PREFIX "/a/20250101000000000-0", "x", 1,
                                       &fixture->err),
                     MOR_OK);
    table_close(fixture);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 2);
    open_as(fixture, "a");
    for (size_t i = 0; i < slot.move_count; i++) {
        struct mor_object_info info;
        store = mor_table_store(fixture->table);
        assert_int_equal(mor_store_info(store, slot.moves[i].to, &info, &fixture->err), MOR_OK);
    }
    hudi_slot_done(&slot);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 3);
    assert_int_equal(table_count_files(fixture, "staging/"), 0);
    table_must_commit(fixture, rows, 2, "3", "4");
}

static void stopped_instance_does_not_stop_the_others(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const points[] = {"hudi.begin",    "hudi.staged", "hudi.publish",
                                         "hudi.slot_put", "hudi.help",   "hudi.renamed"};
    open_as(fixture, "running");
    hudi_of(fixture->table)->turn_wait_ms = 50;
    table_must_commit(fixture, rows, 2, NULL, "1");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct table_fixture copy = *fixture;
        bool decided = i >= 3;
        pid_t child = fork();
        if (child == 0) {
            char setting[64];
            snprintf(setting, sizeof setting, "%s=stop", points[i]);
            open_as(&copy, "zombie");
            setenv("MORAINE_FAILPOINTS", setting, 1);
            if (mor_fault_init(&copy.err) != MOR_OK)
                _exit(99);
            _exit((int)table_commit(&copy, rows, 2, "1", "2", NULL));
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        print_message("%s\n", points[i]);
        assert_true(WIFSTOPPED(status));
        int64_t start_ms = mor_clock_mono_ms();
        for (int n = 0; n < 3; n++)
            table_must_commit(fixture, rows, 2, decided && n == 0 ? "2" : "1", "1");
        assert_true(mor_clock_mono_ms() - start_ms < 8000);
        kill(child, SIGCONT);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), i == 0 || decided ? MOR_OK : MOR_CONFLICT);
        if (i == 0)
            table_must_commit(fixture, rows, 2, "2", "1");
        nap_ms(1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_are_for_one_handle_each_whatever_they_hold),
        TEST(instances_that_create_a_table_at_once_share_it),
        TEST(turn_is_waited_for_and_not_forever),
        TEST(turn_is_free_after_commit_conflict_and_abandonment),
        TEST(nobody_starves_when_all_commit_without_pause),
        TEST(staging_of_ended_instances_is_cleared_and_of_running_ones_kept),
        TEST(what_an_ended_instance_decided_is_finished_by_the_next_begin),
        TEST(renames_that_a_power_failure_took_back_are_done_again_in_order),
        TEST(stopped_instance_does_not_stop_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
