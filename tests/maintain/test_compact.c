#include <sys/wait.h>

#include "maintain_test.h"
#include "moraine/base/fault.h"

static void merging_changes_no_row_and_no_commit_time(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        table_open(fixture);
        for (int i = 0; i < 6; i++)
            commit_mix(fixture, i);
        struct seen_rows before = see_rows(fixture, NULL);
        struct mor_compact_options options = {.everything = true, .thread_count = 2};
        struct mor_compact_report report = compact_table(fixture, &options);
        assert_int_equal(report.failed, 0);
        assert_int_equal(report.due, 8); // two buckets of four days
        assert_int_equal(report.done, 8);
        assert_int_equal(report.commits, 1);
        assert_same_rows(see_rows(fixture, NULL), before);
        report = compact_table(fixture, &options);
        assert_int_equal(report.due, 0);
        assert_int_equal(report.delta_files, 0);
        // the writer goes on where it was, with the properties it wrote
        commit_mix(fixture, 6);
        commit_mix(fixture, 7);
        before = see_rows(fixture, NULL);
        compact_table(fixture, &options);
        assert_same_rows(see_rows(fixture, NULL), before);
        table_close(fixture);
        table_open(fixture);
        commit_mix(fixture, 8);
        table_close(fixture);
    }
}

static void properties_are_carried_on(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        table_open(fixture);
        for (int i = 0; i < 3; i++)
            commit_mix(fixture, i);
        table_close(fixture);
        compact_table(fixture, &(struct mor_compact_options){.everything = true});
        struct mor_arena arena;
        struct mor_commit_info *commits = NULL;
        size_t count = 0, property = 0;
        mor_arena_init(&arena, 0, NULL);
        table_open(fixture);
        assert_int_equal(mor_table_history(fixture->table, &arena, &commits, &count, &fixture->err),
                         MOR_OK);
        assert_string_equal(commits[count - 1].operation, "compaction");
        for (property = 0; property < commits[count - 1].property_count; property++) {
            if (strcmp(commits[count - 1].properties[property].key, "moraine") == 0)
                break;
        }
        assert_true(property < commits[count - 1].property_count);
        assert_string_equal(commits[count - 1].properties[property].value, "2");
        mor_arena_done(&arena);
        table_close(fixture);
    }
}

// The fixture's table with a column more, or that column with a wider type.
static void open_with_note(struct table_fixture *fixture, enum mor_type type)
{
    const struct mor_schema *schema = fixture->options.schema;
    struct mor_schema *more = mor_schema_copy(fixture->schema);
    mor_schema_add(more, NULL, "note", type, true);
    fixture->options.schema = more;
    table_open(fixture);
    fixture->options.schema = schema;
    mor_schema_free(more);
}

static void deltas_from_before_a_type_was_widened_are_merged_at_once(void **state)
{
    struct table_fixture *fixture = *state;
    const struct mor_compact_options options = {.limits = {.max_delta_files = 100}};
    FOR_BOTH_VERSIONS(fixture)
    {
        table_open(fixture);
        for (int i = 0; i < 3; i++)
            commit_mix(fixture, i);
        table_close(fixture);
        open_with_note(fixture, MOR_TYPE_INT32); // every reader takes logs that lack a column
        commit_mix(fixture, 3);
        assert_int_equal(compact_table(fixture, &options).due, 0);
        table_close(fixture);
        open_with_note(fixture, MOR_TYPE_INT64);
        commit_mix(fixture, 4);
        commit_mix(fixture, 5);
        struct seen_rows before = see_rows(fixture, NULL);
        struct mor_compact_report report = compact_table(fixture, &options);
        assert_int_equal(report.due, 8);
        assert_int_equal(report.done, 8);
        assert_same_rows(see_rows(fixture, NULL), before);
        commit_mix(fixture, 6);
        assert_int_equal(compact_table(fixture, &options).due, 0);
        table_close(fixture);
    }
}

static void a_change_of_columns_since_the_table_was_opened_is_noticed(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        open_with_note(fixture, MOR_TYPE_INT32);
        commit_mix(fixture, 0);
        table_close(fixture);
        struct mor_table *table = open_rewrite(fixture);
        struct mor_rewrite *rewrite = NULL;
        open_with_note(fixture, MOR_TYPE_INT64);
        commit_mix(fixture, 1);
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_RETRY);
        fixture->err = MOR_ERROR_INIT;
        mor_table_free(table);
        table_close(fixture);
    }
}

static void only_what_is_over_a_limit_is_merged(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    for (int i = 0; i < 5; i++)
        commit_mix(fixture, i);
    struct mor_compact_options options = {.limits = {.max_delta_files = 5}};
    assert_int_equal(compact_table(fixture, &options).due, 0);
    options.limits.max_delta_files = 4;
    options.partition = "created_at_day=2026-01-02";
    assert_int_equal(compact_table(fixture, &options).done, 2);
    options.partition = NULL;
    assert_int_equal(compact_table(fixture, &options).done, 6);
    commit_mix(fixture, 5);
    usleep(30000);
    options.limits = (struct mor_compaction_limits){.max_delta_age_ms = 3600000};
    assert_int_equal(compact_table(fixture, &options).due, 0);
    options.limits.max_delta_age_ms = 20;
    assert_int_equal(compact_table(fixture, &options).done, 8);
    table_close(fixture);
}

static void file_group_without_rows_left_stays_empty(void **state)
{
    struct table_fixture *fixture = *state;
    const struct table_row insert[] = {{"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}};
    const struct table_row remove[] = {{"a", 0, 0, 0, true}, {"b", 0, 0, 0, true}};
    const struct table_row again[] = {{"a", 3, 0, 5, false}};
    FOR_BOTH_VERSIONS(fixture)
    {
        fixture->options.bucket_count = 1;
        table_open(fixture);
        table_must_commit(fixture, insert, 2, NULL, "1");
        table_must_commit(fixture, remove, 2, "1", "2");
        struct mor_compact_options options = {.everything = true};
        assert_int_equal(compact_table(fixture, &options).done, 1);
        assert_int_equal(see_rows(fixture, NULL).count, 0);
        table_must_commit(fixture, again, 1, "2", "3");
        assert_int_equal(see_rows(fixture, NULL).count, 1);
        assert_int_equal(compact_table(fixture, &options).done, 1);
        assert_int_equal(see_rows(fixture, NULL).count, 1);
        table_close(fixture);
    }
}

// Merges all slices of a rewrite that has begun.
static void merge_all(struct table_fixture *fixture, struct mor_table *table,
                      struct mor_rewrite *rewrite)
{
    const struct mor_slice *slices;
    size_t count;
    mor_rewrite_slices(rewrite, &slices, &count);
    struct mor_batch *batch = mor_batch_new(mor_rewrite_schema(rewrite), NULL);
    for (size_t i = 0; i < count; i++) {
        const struct mor_slice *slice = &slices[i];
        struct mor_slice_options options = {.wanted = mor_rewrite_schema(rewrite)};
        struct mor_slice_reader *reader = NULL;
        struct mor_rewrite_file *file = NULL;
        struct mor_rewrite_counts counts = {0};
        assert_int_equal(mor_slice_reader_open(table, slice, &options, &reader, &fixture->err),
                         MOR_OK);
        assert_int_equal(mor_rewrite_file_open(rewrite, &slice, 1, 0, &file, &fixture->err),
                         MOR_OK);
        do {
            assert_int_equal(mor_slice_reader_next(reader, batch, &fixture->err), MOR_OK);
            if (batch->row_count > 0)
                assert_int_equal(mor_rewrite_file_append(file, batch, &fixture->err), MOR_OK);
        } while (batch->row_count > 0);
        assert_int_equal(mor_rewrite_file_finish(file, &counts, &fixture->err), MOR_OK);
        mor_slice_reader_free(reader);
    }
    mor_batch_free(batch);
}

static void commits_that_come_in_while_merging_stay_on_top(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        table_open(fixture);
        for (int i = 0; i < 4; i++)
            commit_mix(fixture, i);
        struct mor_table *table = open_rewrite(fixture);
        struct mor_rewrite *rewrite = NULL;
        struct mor_rewrite_result result;
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_OK);
        usleep(3000); // or the commit may take the instant that the rewrite picked
        commit_mix(fixture, 4);
        merge_all(fixture, table, rewrite);
        commit_mix(fixture, 5);
        commit_mix(fixture, 6);
        struct seen_rows before = see_rows(fixture, NULL);
        if (mor_rewrite_commit(rewrite, &result, &fixture->err) != MOR_OK)
            fail_msg("commit: %s", fixture->err.message);
        assert_int_equal(result.file_count, 8);
        assert_int_equal(result.left_out, 0);
        mor_rewrite_free(rewrite);
        mor_table_free(table);
        assert_same_rows(see_rows(fixture, NULL), before);
        commit_mix(fixture, 7);
        before = see_rows(fixture, NULL);
        struct mor_compact_options options = {.everything = true};
        compact_table(fixture, &options);
        assert_same_rows(see_rows(fixture, NULL), before);
        table_close(fixture);
        assert_int_equal(table_count_files(fixture, "/staging/"), 0);
    }
}

static pid_t fork_with(struct table_fixture *fixture, const char *failpoints)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("MORAINE_FAILPOINTS", failpoints, 1);
        if (mor_fault_init(&fixture->err) != MOR_OK)
            _exit(1);
    }
    return child;
}

static void wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void commit_whose_files_are_there_before_its_instant_is_not_lost(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        fixture->options.instance = "other";
        table_open(fixture);
        for (int i = 0; i < 3; i++)
            commit_mix(fixture, i);
        table_close(fixture);
        // looks at the timeline, and 400 ms later at the files
        pid_t merging = fork_with(fixture, "hudi.rewrite_list=delay:400");
        if (merging == 0) {
            compact_table(fixture, &(struct mor_compact_options){.everything = true});
            _exit(0);
        }
        // meanwhile a commit's files get their places, and 800 ms later its instant
        usleep(150000);
        pid_t writing = fork_with(fixture, "hudi.renamed=delay:800");
        if (writing == 0) {
            table_open(fixture);
            commit_mix(fixture, 3);
            _exit(0);
        }
        wait_for(merging);
        wait_for(writing);
        struct seen_rows seen = see_rows(fixture, NULL);
        snprintf(fixture->location, sizeof fixture->location, "%s/alone%d", fixture->root,
                 version_);
        table_open(fixture);
        for (int i = 0; i < 4; i++)
            commit_mix(fixture, i);
        table_close(fixture);
        struct seen_rows alone = see_rows(fixture, NULL);
        assert_int_equal(seen.count, alone.count);
        assert_int_equal(seen.values, alone.values);
    }
}

static void second_of_two_rewrites_of_a_file_group_is_dropped(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        table_open(fixture);
        for (int i = 0; i < 4; i++)
            commit_mix(fixture, i);
        struct seen_rows before = see_rows(fixture, NULL);
        struct mor_table *table = open_rewrite(fixture), *other = NULL;
        struct mor_rewrite *rewrite = NULL;
        struct mor_rewrite_result result;
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_OK);
        merge_all(fixture, table, rewrite);
        assert_int_equal(
            mor_table_open_rewrite(fixture->location, "other", NULL, &other, &fixture->err),
            MOR_OK);
        struct mor_compact_report report;
        struct mor_compact_options options = {.everything = true,
                                              .partition = "created_at_day=2026-01-01"};
        assert_int_equal(mor_compact(other, &options, &report, &fixture->err), MOR_OK);
        assert_int_equal(report.done, 2);
        assert_int_equal(mor_rewrite_commit(rewrite, &result, &fixture->err), MOR_OK);
        assert_int_equal(result.file_count, 6);
        assert_int_equal(result.left_out, 2);
        mor_rewrite_free(rewrite);
        assert_same_rows(see_rows(fixture, NULL), before);
        mor_table_free(other);
        mor_table_free(table);
        table_close(fixture);
        assert_int_equal(table_count_files(fixture, "/staging/"), 0);
    }
}

static void column_added_while_merging_is_kept(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_rewrite *rewrite = NULL;
        struct mor_rewrite_result result;
        char name[16];
        table_open(fixture);
        for (int i = 0; i < 3; i++)
            commit_mix(fixture, i);
        struct mor_table *table = open_rewrite(fixture);
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_OK);
        table_close(fixture);
        snprintf(name, sizeof name, "added%d", version_);
        mor_schema_add(fixture->schema, NULL, name, MOR_TYPE_STRING, true);
        table_open(fixture);
        commit_mix(fixture, 3);
        struct seen_rows before = see_rows(fixture, NULL);
        merge_all(fixture, table, rewrite);
        if (mor_rewrite_commit(rewrite, &result, &fixture->err) != MOR_OK)
            fail_msg("commit: %s", fixture->err.message);
        assert_int_equal(result.file_count, 8);
        mor_rewrite_free(rewrite);
        assert_same_rows(see_rows(fixture, NULL), before);
        // the handle is of the table as it was, and says so
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_RETRY);
        assert_non_null(strstr(fixture->err.message, "columns of the table changed"));
        fixture->err = MOR_ERROR_INIT;
        mor_table_free(table);
        assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err),
                         MOR_OK);
        assert_true(mor_schema_find(mor_table_schema(table), name) >= 0);
        mor_table_free(table);
        commit_mix(fixture, 4);
        before = see_rows(fixture, NULL);
        compact_table(fixture, &(struct mor_compact_options){.everything = true});
        assert_same_rows(see_rows(fixture, NULL), before);
        table_close(fixture);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(merging_changes_no_row_and_no_commit_time),
        TEST(properties_are_carried_on),
        TEST(only_what_is_over_a_limit_is_merged),
        TEST(deltas_from_before_a_type_was_widened_are_merged_at_once),
        TEST(a_change_of_columns_since_the_table_was_opened_is_noticed),
        TEST(file_group_without_rows_left_stays_empty),
        TEST(commits_that_come_in_while_merging_stay_on_top),
        TEST(commit_whose_files_are_there_before_its_instant_is_not_lost),
        TEST(second_of_two_rewrites_of_a_file_group_is_dropped),
        TEST(column_added_while_merging_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
