#include "maintain_test.h"

static const struct mor_compact_options everything = {.everything = true};

static size_t count_traces(struct table_fixture *fixture, const struct mor_erase_options *options,
                           int64_t *ret_rows, int64_t *ret_deletes)
{
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_trace *traces = NULL;
    size_t count = 0;
    *ret_rows = *ret_deletes = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err), MOR_OK);
    if (mor_trace_rows(table, options, &arena, &traces, &count, &fixture->err) != MOR_OK)
        fail_msg("trace: %s", fixture->err.message);
    for (size_t i = 0; i < count; i++) {
        *ret_rows += traces[i].rows;
        *ret_deletes += traces[i].deletes;
    }
    mor_table_free(table);
    mor_arena_done(&arena);
    return count;
}

static void erased_keys_are_in_no_file_after_merging_and_expiring(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const keys[] = {"k3", "k17", "never there"};
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_erase_options options = {.keys = keys, .key_count = 3, .dry_run = true};
        struct mor_erase_report report;
        int64_t rows, deletes;
        table_open(fixture);
        const struct table_row both[] = {{"k3", 1, 3, 90, false}, {"k17", 2, 1, 90, false}};
        commit_mix(fixture, 0);
        table_must_commit(fixture, both, 2, "0", "0");
        size_t before = see_rows(fixture, NULL).count;
        struct mor_table *table = open_rewrite(fixture);
        assert_int_equal(mor_erase(table, &options, &report, &fixture->err), MOR_OK);
        assert_int_equal(report.rows, 2);
        assert_int_equal(see_rows(fixture, NULL).count, before);
        options.dry_run = false;
        if (mor_erase(table, &options, &report, &fixture->err) != MOR_OK)
            fail_msg("erase: %s", fixture->err.message);
        mor_table_free(table);
        assert_int_equal(report.commits, 1);
        assert_int_equal(see_rows(fixture, NULL).count, before - 2);
        assert_true(count_traces(fixture, &options, &rows, &deletes) > 0);
        assert_int_equal(rows, 4); // of both commits
        assert_int_equal(deletes, 2);
        // the writer's own properties go on, and so does the writer
        commit_mix(fixture, 1);
        compact_table(fixture, &everything);
        usleep(5000);
        struct mor_arena arena;
        struct mor_expiry expiry;
        const struct mor_retention now = {.age_ms = 1, .min_snapshots = 1};
        mor_arena_init(&arena, 0, NULL);
        table = open_rewrite(fixture);
        assert_int_equal(mor_table_expire(table, &now, false, &arena, &expiry, &fixture->err),
                         MOR_OK);
        mor_table_free(table);
        mor_arena_done(&arena);
        static const char *const gone[] = {"k5"}; // commit 1 leaves it out: it was erased by nobody
        options.keys = gone;
        options.key_count = 1;
        assert_int_equal(count_traces(fixture, &options, &rows, &deletes), 1);
        table_close(fixture);
    }
}

static void rows_are_erased_by_condition(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_filter *filter = NULL;
    struct mor_erase_report report;
    int64_t rows, deletes;
    table_open(fixture);
    commit_mix(fixture, 0);
    struct mor_table *table = open_rewrite(fixture);
    assert_int_equal(mor_filter_parse(table, "value between 10 and 19", &filter, &fixture->err),
                     MOR_OK);
    const struct mor_erase_options options = {.filter = filter};
    assert_int_equal(mor_erase(table, &options, &report, &fixture->err), MOR_OK);
    mor_table_free(table);
    assert_int_equal(report.rows, 10);
    assert_int_equal(see_rows(fixture, NULL).count, 30);
    count_traces(fixture, &options, &rows, &deletes);
    assert_int_equal(rows, 10);
    mor_filter_free(filter);
    table_close(fixture);
}

static void table_without_rows_left_goes_on(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_filter *filter = NULL;
        struct mor_erase_report report;
        struct mor_arena arena;
        struct mor_expiry expiry;
        const struct mor_retention now = {.age_ms = 1, .min_snapshots = 1};
        int64_t rows, deletes;
        table_open(fixture);
        commit_mix(fixture, 0);
        commit_mix(fixture, 1);
        struct mor_table *table = open_rewrite(fixture);
        assert_int_equal(
            mor_filter_parse(table, "value >= 0 or value is null", &filter, &fixture->err), MOR_OK);
        const struct mor_erase_options options = {.filter = filter};
        assert_int_equal(mor_erase(table, &options, &report, &fixture->err), MOR_OK);
        assert_true(report.rows > 30);
        assert_int_equal(mor_erase(table, &options, &report, &fixture->err), MOR_OK);
        assert_int_equal(report.rows, 0);
        assert_int_equal(report.commits, 0);
        mor_table_free(table);
        assert_int_equal(see_rows(fixture, NULL).count, 0);
        assert_int_equal(compact_table(fixture, &everything).failed, 0);
        usleep(5000);
        mor_arena_init(&arena, 0, NULL);
        table = open_rewrite(fixture);
        assert_int_equal(mor_table_expire(table, &now, false, &arena, &expiry, &fixture->err),
                         MOR_OK);
        assert_true(expiry.file_count > 0);
        mor_table_free(table);
        mor_arena_done(&arena);
        assert_int_equal(see_rows(fixture, NULL).count, 0);
        assert_int_equal(count_traces(fixture, &options, &rows, &deletes), 0);
        // a key that was erased may come again, also with a lower ordering
        const struct table_row again[] = {{"k3", 7, 3, 0, false}};
        table_must_commit(fixture, again, 1, "1", "2");
        compact_table(fixture, &everything);
        assert_int_equal(see_rows(fixture, NULL).count, 1);
        mor_filter_free(filter);
        table_close(fixture);
    }
}

static void rows_of_append_only_tables_are_not_erased(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_erase_report report;
    static const char *const keys[] = {"a"};
    const struct mor_erase_options options = {.keys = keys, .key_count = 1};
    const struct table_row row[] = {{"a", 1, 0, 1, false}};
    fixture->options.key_column_count = 0;
    fixture->options.ordering_column = NULL;
    fixture->options.bucket_count = 0;
    table_open(fixture);
    table_must_commit(fixture, row, 1, NULL, "1");
    struct mor_table *table = open_rewrite(fixture);
    assert_int_equal(mor_erase(table, &options, &report, &fixture->err), MOR_FATAL);
    mor_table_free(table);
    table_close(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(erased_keys_are_in_no_file_after_merging_and_expiring),
        TEST(rows_are_erased_by_condition),
        TEST(table_without_rows_left_goes_on),
        TEST(rows_of_append_only_tables_are_not_erased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
