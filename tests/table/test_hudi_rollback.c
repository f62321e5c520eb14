// Death at every step of a commit, and what versions of this program that wrote in place left.
#include "table_test.h"

#include <signal.h>
#include <sys/wait.h>

#include "moraine/base/fault.h"

static const struct table_row first_rows[] = {
    {"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}, {"c", 3, 1, 10, false}};
static const struct table_row second_rows[] = {
    {"a", 5, 0, 11, false}, {"b", 0, 0, 0, true}, {"e", 6, 3, 11, false}};

// Runs open and, if that is not all, a commit "1" -> "2" in a child with the failpoints; true when
// it was killed.
static bool killed_at(struct table_fixture *fixture, const char *failpoints, bool only_open)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("MORAINE_FAILPOINTS", failpoints, 1);
        if (mor_fault_init(&fixture->err) != MOR_OK ||
            mor_table_open_write(&fixture->options, &fixture->table, &fixture->err) != MOR_OK)
            _exit(1);
        if (only_open)
            _exit(0);
        _exit(table_commit(fixture, second_rows, 3, "1", "2", NULL) == MOR_OK ? 0 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) == 1)
        fail_msg("the child could not open the table");
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void check_recovery(struct table_fixture *fixture, const char *expected)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *value = NULL;
    table_open(fixture);
    assert_int_equal(
        mor_table_property(fixture->table, "moraine", true, &arena, &value, &fixture->err), MOR_OK);
    assert_string_equal(value, expected);
    bool second = strcmp(expected, "2") == 0;
    // every pending instant has a completed one
    assert_int_equal(table_count_files(fixture, "deltacommit.inflight"), second ? 2 : 1);
    assert_int_equal(table_count_files(fixture, "deltacommit.requested"), second ? 2 : 1);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), second ? 2 : 1);
    assert_int_equal(table_count_files(fixture, "rollback.inflight"),
                     table_count_files(fixture, "rollback$"));
    assert_int_equal(table_count_files(fixture, "moraine/rollback-"), 0);
    assert_int_equal(table_count_files(fixture, "\\.tmp$"), 0);
    assert_int_equal(table_count_files(fixture, "moraine/staging/"), 0);
    if (!second)
        assert_int_equal(table_count_files(fixture, "\\.log\\."), 0);
    table_must_commit(fixture, second_rows, 3, expected, "3");
    table_close(fixture);
    mor_arena_done(&arena);
}

static void kill_at_every_step(struct table_fixture *fixture, int version)
{
    static const struct {
        const char *point;
        const char *expected;
    } steps[] = {
        {"hudi.begin=kill", "1"},         {"hudi.group=kill", "1"},
        {"hudi.file_written=kill", "1"},  {"storage.publish=kill@2", "1"},
        {"hudi.group_written=kill", "1"}, {"hudi.group_written=kill@2", "1"},
        {"hudi.commit=kill", "1"},        {"hudi.sync=kill", "1"},
        {"storage.fsync=kill@6", "1"},    {"hudi.staged=kill", "1"},
        {"hudi.publish=kill", "1"},       {"storage.put_published=kill", "2"},
        {"hudi.slot_put=kill", "2"},      {"hudi.help=kill", "2"},
        {"storage.move=kill@1", "2"},     {"storage.move=kill@3", "2"},
        {"hudi.renamed=kill", "2"},       {"hudi.published=kill", "2"},
    };
    fixture->options.hudi_table_version = version;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        table_open(fixture);
        table_must_commit(fixture, first_rows, 3, NULL, "1");
        table_close(fixture);
        print_message("%s, version %d\n", steps[i].point, version);
        assert_true(killed_at(fixture, steps[i].point, false));
        check_recovery(fixture, steps[i].expected);
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", fixture->location);
        assert_int_equal(system(command), 0);
    }
}

static void killed_commit_of_version_6_is_all_or_nothing(void **state)
{
    kill_at_every_step(*state, 6);
}

static void killed_commit_of_version_9_is_all_or_nothing(void **state)
{
    kill_at_every_step(*state, 9);
}

// What a failed commit of a version looks like that wrote its files to their places at once.
static void leave_failed_commit(const struct table_fixture *fixture)
{
    char command[1024];
    const char *timeline = fixture->options.hudi_table_version == 6 ? "." : "timeline";
    snprintf(command, sizeof command,
             "cd '%s' && cd .hoodie/%s && touch 20980101000000000.deltacommit.requested && "
             "echo '{\"extraMetadata\":{\"moraine.instance\":\"old\"}}' "
             "> 20980101000000000.deltacommit.inflight && cd '%s'/created_at_day=2026-01-02 && "
             "touch 00000001-0000-0000-0000-000000000000-0_1-20980101-000000000_2098010100000000"
             "0.parquet .00000000-0000-0000-0000-000000000000-0_20980101000000000.log.1_0-20980101-"
             "000000000",
             fixture->location, timeline, fixture->location);
    assert_int_equal(system(command), 0);
    assert_int_equal(table_count_files(fixture, "20980101-000000000"), 2);
}

static void killed_rollback_is_done_again(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const points[] = {
        "hudi.rollback_marked=kill",  "hudi.rollback_announced=kill", "storage.delete=kill@1",
        "hudi.rollback_deleted=kill", "storage.delete=kill@4",        "hudi.rollback_cleared=kill"};
    for (int version = 6; version <= 9; version += 3) {
        fixture->options.hudi_table_version = version;
        for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
            table_open(fixture);
            table_must_commit(fixture, first_rows, 3, NULL, "1");
            table_close(fixture);
            print_message("%s, version %d\n", points[i], version);
            leave_failed_commit(fixture);
            assert_true(killed_at(fixture, points[i], true));
            check_recovery(fixture, "1");
            char command[128];
            snprintf(command, sizeof command, "rm -rf '%s'", fixture->location);
            assert_int_equal(system(command), 0);
        }
    }
}

// A commit "1" -> "2" of a child that fails once at the point; then what it asks and does next.
static void fail_once_in_a_child(struct table_fixture *fixture, const char *point,
                                 enum mor_status expected)
{
    table_open(fixture);
    table_must_commit(fixture, first_rows, 3, NULL, "1");
    table_close(fixture);
    print_message("%s\n", point);
    pid_t child = fork();
    if (child == 0) {
        char once[64];
        snprintf(once, sizeof once, "%s%s", point, strchr(point, '@') ? "" : "@1");
        table_open(fixture);
        setenv("MORAINE_FAILPOINTS", once, 1);
        if (mor_fault_init(&fixture->err) != MOR_OK)
            _exit(1);
        struct mor_uuid id = mor_uuid_v7();
        if (table_commit_batch(fixture, &id, second_rows, 3, "1", "2", NULL) != expected)
            _exit(2);
        bool has = false;
        if (mor_table_has_batch(fixture->table, &id, &has, &fixture->err) != MOR_OK ||
            has != (expected == MOR_UNKNOWN))
            _exit(3);
        // the same process, the same batch
        if (!has && table_commit_batch(fixture, &id, second_rows, 3, "1", "2", NULL) != MOR_OK)
            _exit(4);
        _exit(mor_table_has_batch(fixture->table, &id, &has, &fixture->err) == MOR_OK && has ? 0
                                                                                             : 5);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    check_recovery(fixture, "2");
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->location);
    assert_int_equal(system(command), 0);
}

static void error_before_the_decision_leaves_a_table_that_goes_on(void **state)
{
    static const char *const points[] = {
        "hudi.begin=error",   "hudi.group=error",  "hudi.file_written=error",
        "hudi.commit=error",  "hudi.sync=error",   "hudi.group_written=error",
        "hudi.publish=error", "hudi.staged=error", "storage.fsync=error@3"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        fail_once_in_a_child(*state, points[i], MOR_RETRY);
}

static void error_after_the_decision_is_unknown_and_the_batch_is_in(void **state)
{
    static const char *const points[] = {
        "storage.put_published=error", "hudi.slot_put=error", "hudi.help=error",
        "storage.move=error@2",        "hudi.renamed=error",  "hudi.published=error"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        fail_once_in_a_child(*state, points[i], MOR_UNKNOWN);
}

static void file_without_an_instant_is_removed_at_open(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 3, NULL, "1");
    table_close(fixture);
    char command[512];
    snprintf(command, sizeof command,
             "cd '%s/created_at_day=2026-01-01' && "
             "touch 00000000-0000-0000-0000-000000000000-0_0-20980101-000000000_20980101000000000."
             "parquet .00000000-0000-0000-0000-000000000000-0_20260101000000000.log.9_0-20980101-"
             "000000000 foreign_0-1-1_20980101000000000.parquet",
             fixture->location);
    assert_int_equal(system(command), 0);
    assert_int_equal(table_count_files(fixture, "20980101"), 3);
    // the foreign file is not ours to remove, and of a commit that never happened
    table_open(fixture);
    assert_int_equal(table_count_files(fixture, "20980101"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(killed_commit_of_version_6_is_all_or_nothing),
        TEST(killed_commit_of_version_9_is_all_or_nothing),
        TEST(killed_rollback_is_done_again),
        TEST(error_before_the_decision_leaves_a_table_that_goes_on),
        TEST(error_after_the_decision_is_unknown_and_the_batch_is_in),
        TEST(file_without_an_instant_is_removed_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
