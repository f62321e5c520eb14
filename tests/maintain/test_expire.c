#include "moraine/base/clock.h"

#include "maintain_test.h"

static struct mor_expiry expire(struct table_fixture *fixture, const struct mor_retention *keep,
                                bool dry_run, struct mor_arena *arena)
{
    struct mor_table *table = open_rewrite(fixture);
    struct mor_expiry expiry;
    if (mor_table_expire(table, keep, dry_run, arena, &expiry, &fixture->err) != MOR_OK)
        fail_msg("expire: %s", fixture->err.message);
    mor_table_free(table);
    return expiry;
}

static size_t count_versions(struct table_fixture *fixture, char first[64], char last[64])
{
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_commit_info *commits = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err), MOR_OK);
    assert_int_equal(mor_table_history(table, &arena, &commits, &count, &fixture->err), MOR_OK);
    memcpy(first, commits[0].version, 64);
    memcpy(last, commits[count - 1].version, 64);
    mor_table_free(table);
    mor_arena_done(&arena);
    return count;
}

static const struct mor_compact_options everything = {.everything = true};

static void nothing_goes_while_it_is_young_or_one_of_the_last(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_arena arena;
        mor_arena_init(&arena, 0, NULL);
        table_open(fixture);
        for (int i = 0; i < 6; i++)
            commit_mix(fixture, i);
        compact_table(fixture, &everything);
        struct mor_retention young = {.age_ms = 60000}, last = {.min_snapshots = 10};
        assert_int_equal(expire(fixture, &young, false, &arena).file_count, 0);
        assert_int_equal(expire(fixture, &last, false, &arena).file_count, 0);
        mor_arena_done(&arena);
        table_close(fixture);
    }
}

static void merged_slices_go_and_the_table_stays(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_arena arena;
        char first[64], last[64];
        mor_arena_init(&arena, 0, NULL);
        table_open(fixture);
        for (int i = 0; i < 6; i++)
            commit_mix(fixture, i);
        compact_table(fixture, &everything);
        commit_mix(fixture, 6);
        usleep(20000);
        struct seen_rows before = see_rows(fixture, NULL);
        int bases = count_matching(fixture, "*.parquet"), logs = count_matching(fixture, "*.log.*");
        struct mor_retention now = {.age_ms = 10, .min_snapshots = 1};
        // a dry run tells and does nothing
        struct mor_expiry planned = expire(fixture, &now, true, &arena);
        assert_int_equal(count_matching(fixture, "*.parquet"), bases);
        struct mor_expiry done = expire(fixture, &now, false, &arena);
        assert_int_equal(planned.file_count, done.file_count);
        assert_int_equal(planned.bytes, done.bytes);
        assert_int_equal(bases, 16);
        assert_int_equal(count_matching(fixture, "*.parquet"), 8);
        assert_int_equal((size_t)(logs - count_matching(fixture, "*.log.*")) + 8, done.file_count);
        assert_same_rows(see_rows(fixture, NULL), before);
        // first inserts, the merge, the last commit and the clean itself are all that is left
        assert_true(count_versions(fixture, first, last) <= 4);
        assert_int_equal(expire(fixture, &now, false, &arena).file_count, 0);
        // what is gone is said to be gone
        struct mor_table *table = NULL;
        struct mor_slice *slices = NULL;
        size_t count = 0;
        assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err),
                         MOR_OK);
        assert_int_equal(
            mor_table_slices(table, "20200101000000000", &arena, &slices, &count, &fixture->err),
            MOR_NOT_FOUND);
        mor_table_free(table);
        // writers and merging go on
        commit_mix(fixture, 7);
        before = see_rows(fixture, NULL);
        compact_table(fixture, &everything);
        assert_same_rows(see_rows(fixture, NULL), before);
        table_close(fixture);
        table_open(fixture);
        commit_mix(fixture, 8);
        table_close(fixture);
        mor_arena_done(&arena);
    }
}

static void kept_versions_stay_readable(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_arena arena;
        struct seen_rows seen[12];
        char versions[12][64];
        mor_arena_init(&arena, 0, NULL);
        table_open(fixture);
        for (int i = 0; i < 12; i++) {
            char first[64];
            commit_mix(fixture, i);
            count_versions(fixture, first, versions[i]);
            seen[i] = see_rows(fixture, versions[i]);
            if (i % 3 == 2)
                compact_table(fixture, &everything);
        }
        usleep(5000);
        // merges are snapshots, too
        struct mor_retention last = {.age_ms = 1, .min_snapshots = 6};
        struct mor_expiry expiry = expire(fixture, &last, false, &arena);
        assert_true(expiry.file_count > 0);
        int readable = 0;
        for (int i = 0; i < 12; i++) {
            if (strcmp(versions[i], expiry.oldest_version) < 0)
                continue;
            assert_same_rows(see_rows(fixture, versions[i]), seen[i]);
            readable++;
        }
        assert_true(readable >= 4);
        mor_arena_done(&arena);
        table_close(fixture);
    }
}

static void old_files_that_no_commit_names_go(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_arena arena;
    char path[256];
    mor_arena_init(&arena, 0, NULL);
    fixture->options.hudi_table_version = 9;
    table_open(fixture);
    commit_mix(fixture, 0);
    snprintf(path, sizeof path,
             "%s/created_at_day=2026-01-01/00000000-0000-0000-0000-000000000000-0_0-1-1_"
             "20991231000000000.parquet",
             fixture->location);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    struct mor_retention keep = {.age_ms = 60000, .orphan_age_ms = 3600000};
    assert_int_equal(expire(fixture, &keep, false, &arena).file_count, 0);
    keep.orphan_age_ms = 0;
    usleep(5000);
    assert_int_equal(expire(fixture, &keep, false, &arena).file_count, 1);
    assert_int_not_equal(access(path, F_OK), 0);
    mor_arena_done(&arena);
    table_close(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_goes_while_it_is_young_or_one_of_the_last),
        TEST(merged_slices_go_and_the_table_stays),
        TEST(kept_versions_stay_readable),
        TEST(old_files_that_no_commit_names_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
