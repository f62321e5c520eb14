#include <pthread.h>
#include <stdatomic.h>

#include "maintain_test.h"
#include "moraine/base/clock.h"

static struct mor_maintainer *start(struct table_fixture *fixture, bool compacts)
{
    struct mor_maintainer *maintainer = NULL;
    const struct mor_maintainer_options options = {
        .location = fixture->location,
        .compacts = compacts,
        .compact = {.limits = {.max_delta_files = 3}, .thread_count = 2},
        .retention = {.age_ms = 50, .min_snapshots = 1, .orphan_age_ms = 60000},
        .interval_ms = 20,
        .expire_interval_ms = 100,
    };
    assert_int_equal(mor_maintainer_start(&options, &maintainer, &fixture->err), MOR_OK);
    return maintainer;
}

static struct mor_maintainer_status status_of(struct mor_maintainer *maintainer)
{
    struct mor_maintainer_status status;
    mor_maintainer_status(maintainer, &status);
    return status;
}

static void table_under_commits_stays_small_and_right(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_maintainer *maintainer = start(fixture, true); // before there is a table
        table_open(fixture);
        for (int i = 0; i < 30; i++)
            commit_mix(fixture, i);
        int64_t deadline_ms = mor_clock_mono_ms() + 30000;
        while ((status_of(maintainer).cleaned_files == 0 || status_of(maintainer).pending > 0) &&
               mor_clock_mono_ms() < deadline_ms)
            usleep(10000);
        struct mor_maintainer_status status = status_of(maintainer);
        assert_string_equal(status.trouble, "");
        assert_true(status.looked && status.compactions > 0 && status.cleaned_files > 0);
        assert_true(status.bytes_written > 0 && status.rows_written > 0);
        mor_maintainer_free(maintainer);
        struct seen_rows seen = see_rows(fixture, NULL);
        table_close(fixture);
        // the same commits without a maintainer
        snprintf(fixture->location, sizeof fixture->location, "%s/alone%d", fixture->root,
                 version_);
        table_open(fixture);
        for (int i = 0; i < 30; i++)
            commit_mix(fixture, i);
        assert_int_equal(see_rows(fixture, NULL).count, seen.count);
        table_close(fixture);
    }
}

static void poke_merges_everything_now(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    commit_mix(fixture, 0);
    commit_mix(fixture, 1);
    struct mor_maintainer *maintainer = start(fixture, true);
    int64_t deadline_ms = mor_clock_mono_ms() + 30000;
    while (!status_of(maintainer).looked && mor_clock_mono_ms() < deadline_ms)
        usleep(5000);
    assert_int_equal(status_of(maintainer).compactions, 0);
    assert_int_equal(status_of(maintainer).delta_files, 8);
    mor_maintainer_poke(maintainer, true);
    while (status_of(maintainer).delta_files > 0 && mor_clock_mono_ms() < deadline_ms)
        usleep(5000);
    assert_int_equal(status_of(maintainer).delta_files, 0);
    assert_int_equal(status_of(maintainer).compactions, 1);
    mor_maintainer_free(maintainer);
    table_close(fixture);
}

static void failure_is_told_and_passes(void **state)
{
    struct table_fixture *fixture = *state;
    char command[256];
    table_open(fixture);
    for (int i = 0; i < 5; i++)
        commit_mix(fixture, i);
    // a base file that is no Parquet file
    snprintf(command, sizeof command,
             "cd '%s' && for f in */00000000*.parquet; do mv $f $f.kept; echo broken > $f; break; "
             "done",
             fixture->location);
    assert_int_equal(system(command), 0);
    struct mor_maintainer *maintainer = start(fixture, true);
    int64_t deadline_ms = mor_clock_mono_ms() + 30000;
    while (status_of(maintainer).trouble[0] == '\0' && mor_clock_mono_ms() < deadline_ms)
        usleep(5000);
    assert_non_null(strstr(status_of(maintainer).trouble, "could not read file group"));
    assert_int_equal(status_of(maintainer).file_groups_done, 7); // the others
    snprintf(command, sizeof command, "cd '%s' && for f in */*.kept; do mv $f ${f%%.kept}; done",
             fixture->location);
    assert_int_equal(system(command), 0);
    mor_maintainer_poke(maintainer, false);
    while (status_of(maintainer).trouble[0] != '\0' && mor_clock_mono_ms() < deadline_ms)
        usleep(5000);
    assert_int_equal(status_of(maintainer).file_groups_done, 8);
    mor_maintainer_free(maintainer);
    table_close(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(table_under_commits_stays_small_and_right),
        TEST(poke_merges_everything_now),
        TEST(failure_is_told_and_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
