// Merging and expiring, killed at every step: no row is lost, doubled or brought back, and whoever
// comes next goes on.
#include <signal.h>
#include <sys/wait.h>

#include "maintain_test.h"
#include "moraine/base/fault.h"

static void compact_all(struct table_fixture *fixture)
{
    const struct mor_compact_options options = {.everything = true, .thread_count = 2};
    compact_table(fixture, &options);
}

static void expire_all(struct table_fixture *fixture)
{
    struct mor_arena arena;
    struct mor_expiry expiry;
    const struct mor_retention retention = {.age_ms = 1, .min_snapshots = 1};
    mor_arena_init(&arena, 0, NULL);
    struct mor_table *table = open_rewrite(fixture);
    if (mor_table_expire(table, &retention, false, &arena, &expiry, &fixture->err) != MOR_OK)
        fail_msg("expire: %s", fixture->err.message);
    mor_table_free(table);
    mor_arena_done(&arena);
}

// True when the child came to the point and was killed there.
static bool is_killed_at(struct table_fixture *fixture, const char *point,
                         void (*work)(struct table_fixture *fixture))
{
    pid_t child = fork();
    if (child == 0) {
        char text[64];
        snprintf(text, sizeof text, "%s=kill", point);
        setenv("MORAINE_FAILPOINTS", text, 1);
        if (mor_fault_init(&fixture->err) != MOR_OK)
            _exit(1);
        work(fixture);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void kill_at_each(struct table_fixture *fixture, const char *const *points, size_t count,
                         void (*work)(struct table_fixture *fixture), bool merged_before)
{
    FOR_BOTH_VERSIONS(fixture)
    {
        int number = 0;
        table_open(fixture);
        for (; number < 3; number++)
            commit_mix(fixture, number);
        for (size_t i = 0; i < count; i++) {
            commit_mix(fixture, number++);
            if (merged_before)
                compact_all(fixture);
            usleep(3000);
            struct seen_rows before = see_rows(fixture, NULL);
            if (!is_killed_at(fixture, points[i], work))
                fail_msg("version %d never came to %s", version_, points[i]);
            assert_same_rows(see_rows(fixture, NULL), before); // before anybody helped
            commit_mix(fixture, number++);
            before = see_rows(fixture, NULL);
            work(fixture);
            assert_same_rows(see_rows(fixture, NULL), before);
        }
        table_close(fixture);
        table_open(fixture);
        commit_mix(fixture, number);
        table_close(fixture);
        compact_all(fixture);
        assert_int_equal(table_count_files(fixture, "/staging/"), 0);
        assert_int_equal(table_count_files(fixture, "\\.compaction\\.requested"),
                         table_count_files(fixture, "\\.compaction\\.inflight"));
    }
}

static void merging_survives_a_kill_at_every_step(void **state)
{
    static const char *const points[] = {
        "maintain.planned",    "maintain.merged", "hudi.rewrite_file", "hudi.file_written",
        "hudi.rewrite_staged", "hudi.sync",       "hudi.staged",       "hudi.publish",
        "hudi.slot_put",       "hudi.help",       "hudi.renamed",
    };
    kill_at_each(*state, points, sizeof points / sizeof points[0], compact_all, false);
}

static void expiring_survives_a_kill_at_every_step(void **state)
{
    static const char *const points[] = {
        "hudi.clean_staged", "hudi.sync", "hudi.staged",  "hudi.publish",
        "hudi.slot_put",     "hudi.help", "hudi.renamed", "hudi.archive_pending",
        "hudi.archive_one",
    };
    kill_at_each(*state, points, sizeof points / sizeof points[0], expire_all, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(merging_survives_a_kill_at_every_step),
        TEST(expiring_survives_a_kill_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
