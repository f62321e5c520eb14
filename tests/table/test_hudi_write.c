#include "table_test.h"

#include <pthread.h>

#include "hudi/hudi_table.h"

static const struct table_row first_rows[] = {{"a", 1, 0, 10, false},
                                              {"b", 2, 0, 10, false},
                                              {"c", 3, 1, 10, false},
                                              {"d", 4, -1, 10, false}};
static const struct table_row second_rows[] = {
    {"a", 5, 0, 11, false}, {"b", 0, 0, 0, true}, {"e", 6, 0, 11, false}};

static char *property(struct table_fixture *fixture, struct mor_arena *arena, bool refresh)
{
    char *value = NULL;
    enum mor_status status =
        mor_table_property(fixture->table, "moraine", refresh, arena, &value, &fixture->err);
    assert_true(status == MOR_OK || status == MOR_NOT_FOUND);
    return value;
}

static void assert_property(struct table_fixture *fixture, const char *expected)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    for (int refresh = 0; refresh < 2; refresh++) {
        const char *value = property(fixture, &arena, refresh);
        if (expected)
            assert_string_equal(value, expected);
        else
            assert_null(value);
    }
    mor_arena_done(&arena);
}

static void put_file(struct table_fixture *fixture, const char *key, const char *text)
{
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(fixture->location, false, &store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_put_new(store, key, text, strlen(text), &fixture->err), MOR_OK);
    mor_store_free(store);
}

static void run_shell(const struct table_fixture *fixture, const char *format)
{
    char command[512];
    snprintf(command, sizeof command, "cd '%s' && %s", fixture->location, format);
    assert_int_equal(system(command), 0);
}

// ---- the way of a commit ------------------------------------------------------------------------

static void check_two_commits(struct table_fixture *fixture)
{
    table_open(fixture);
    assert_property(fixture, NULL);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    assert_property(fixture, "1");
    int bases = table_count_files(fixture, "\\.parquet$");
    assert_true(bases >= 3);
    assert_int_equal(table_count_files(fixture, "\\.log\\."), 0);
    struct mor_commit_result result;
    assert_int_equal(table_commit(fixture, second_rows, 3, "1", "2", &result), MOR_OK);
    assert_int_equal(result.file_count, table_count_files(fixture, "\\.log\\.") +
                                            table_count_files(fixture, "\\.parquet$") - bases);
    assert_property(fixture, "2");
    assert_int_equal(table_count_files(fixture, "hoodie_partition_metadata"), 3);
    table_close(fixture);
    // a second process finds the same
    table_open(fixture);
    assert_property(fixture, "2");
    table_must_commit(fixture, second_rows, 1, "2", "3");
    assert_property(fixture, "3");
}

static void commits_of_version_6_make_base_files_then_logs(void **state)
{
    struct table_fixture *fixture = *state;
    check_two_commits(fixture);
    assert_int_equal(table_count_files(fixture, "\\.hoodie/[0-9]*\\.deltacommit$"), 3);
    assert_true(table_count_files(fixture, "\\.log\\.2_") >= 1);
}

static void commits_of_version_9_carry_completion_times(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.hudi_table_version = 9;
    check_two_commits(fixture);
    assert_int_equal(table_count_files(fixture, "timeline/[0-9]*_[0-9]*\\.deltacommit$"), 3);
    assert_int_equal(table_count_files(fixture, "\\.log\\.2_"), 0);
}

static void groups_are_known_after_their_first_commit(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    assert_false(mor_table_has_group(fixture->table, "created_at_day=2026-01-01", 0));
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    size_t total = 0;
    for (int32_t bucket = 0; bucket < 2; bucket++) {
        const char **partitions;
        size_t count;
        mor_table_partitions_with_bucket(fixture->table, bucket, &arena, &partitions, &count);
        for (size_t i = 0; i < count; i++)
            assert_true(mor_table_has_group(fixture->table, partitions[i], bucket));
        total += count;
    }
    assert_int_equal(total, table_count_files(fixture, "\\.parquet$"));
    assert_false(mor_table_has_group(fixture->table, "created_at_day=2026-01-09", 0));
    mor_arena_done(&arena);
}

static void deletes_of_keys_that_no_group_holds_write_nothing(void **state)
{
    struct table_fixture *fixture = *state;
    const struct table_row rows[] = {{"x", 0, 5, 0, true}};
    struct mor_commit_result result;
    table_open(fixture);
    assert_int_equal(table_commit(fixture, rows, 1, NULL, "1", &result), MOR_OK);
    assert_int_equal(result.file_count, 0);
    assert_property(fixture, "1");
}

static void append_only_table_gets_a_new_file_group_every_time(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.key_column_count = 0;
    fixture->options.ordering_column = NULL;
    table_open(fixture);
    assert_false(mor_table_is_keyed(fixture->table));
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_must_commit(fixture, first_rows, 2, "1", "2");
    assert_int_equal(table_count_files(fixture, "\\.parquet$"), 2);
    assert_int_equal(table_count_files(fixture, "\\.log\\."), 0);
}

struct parallel {
    struct table_fixture *fixture;
    struct mor_write *write;
    const struct mor_change_set *set;
    size_t first;
    int failures;
};

static void *write_some(void *argument)
{
    struct parallel *parallel = argument;
    for (size_t i = parallel->first; i < parallel->set->group_count; i += 4) {
        struct mor_error err = MOR_ERROR_INIT;
        parallel->failures += mor_write_group(parallel->write, parallel->set, i, &err) != MOR_OK;
    }
    return NULL;
}

static void groups_are_written_by_several_threads_at_once(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.bucket_count = 16;
    table_open(fixture);
    struct table_row row = {"a", 1, 0, 10, false};
    for (int round = 0; round < 2; round++) {
        struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), &row, 1);
        struct mor_row_ref ref = {0, 0};
        struct mor_change_group groups[48];
        char partitions[3][32];
        for (int i = 0; i < 48; i++) {
            snprintf(partitions[i % 3], sizeof partitions[0], "created_at_day=2026-01-0%d",
                     i % 3 + 1);
            groups[i] = (struct mor_change_group){.partition = partitions[i % 3],
                                                  .bucket = i / 3,
                                                  .upserts = &ref,
                                                  .upsert_count = 1};
        }
        struct mor_batch *const batches[] = {batch};
        struct mor_change_set set = {
            .batches = batches, .batch_count = 1, .groups = groups, .group_count = 48};
        struct mor_uuid id = mor_uuid_v7();
        struct mor_write *write = NULL;
        assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
        struct parallel parallel[4];
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++) {
            parallel[i] = (struct parallel){fixture, write, &set, i, 0};
            pthread_create(&threads[i], NULL, write_some, &parallel[i]);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(parallel[i].failures, 0);
        }
        struct mor_commit_result result;
        assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
        assert_int_equal(result.file_count, 48);
        assert_int_equal(result.log_file_count, round ? 48 : 0);
        mor_write_free(write);
        mor_batch_free(batch);
    }
}

// ---- others -------------------------------------------------------------------------------------

static void second_writer_is_told_who_holds_the_table(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    struct mor_table *other = NULL;
    assert_int_equal(mor_table_open_write(&fixture->options, &other, &fixture->err), MOR_RETRY);
    assert_non_null(strstr(fixture->err.message, "held by test (process"));
}

static void batch_that_began_on_another_state_is_fenced_and_leaves_nothing(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    int files = table_count_files(fixture, "0-0000-");
    assert_int_equal(table_commit(fixture, second_rows, 3, "0", "2", NULL), MOR_FENCED);
    assert_int_equal(table_commit(fixture, second_rows, 3, NULL, "2", NULL), MOR_FENCED);
    assert_int_equal(table_count_files(fixture, "0-0000-"), files);
    assert_int_equal(table_count_files(fixture, "deltacommit.inflight"), 1);
    assert_property(fixture, "1");
    table_must_commit(fixture, second_rows, 3, "1", "2");
}

static void abandoned_write_leaves_nothing(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(table_write_groups(fixture, write, first_rows, 4), MOR_OK);
    // nothing of it lies among the data files or on the timeline before it is decided
    assert_true(table_count_files(fixture, "moraine/staging/") > 0);
    assert_int_equal(table_count_files(fixture, "created_at_day="), 0);
    assert_int_equal(table_count_files(fixture, "deltacommit"), 0);
    mor_write_free(write);
    assert_int_equal(table_count_files(fixture, "moraine/staging/"), 0);
    assert_int_equal(table_count_files(fixture, "rollback"), 0);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
}

static void foreign_commit_in_between_is_a_conflict_then_seen(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(table_write_groups(fixture, write, second_rows, 3), MOR_OK);
    put_file(fixture, ".hoodie/20990101000000000.deltacommit", "{\"extraMetadata\":{}}");
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_CONFLICT);
    mor_write_free(write);
    table_must_commit(fixture, second_rows, 3, "1", "2");
    // times go on after the foreign one
    assert_int_equal(table_count_files(fixture, "\\.hoodie/2099.*deltacommit$"), 2);
}

static void pending_commit_of_another_writer_stops_ours(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    put_file(fixture, ".hoodie/20260101000000000.deltacommit.requested", "");
    put_file(fixture, ".hoodie/20260101000000000.deltacommit.inflight", "{\"extraMetadata\":{}}");
    assert_int_equal(table_commit(fixture, first_rows, 1, NULL, "1", NULL), MOR_RETRY);
    assert_non_null(strstr(fixture->err.message, "20260101000000000"));
}

static void rollback_that_another_writer_began_is_a_conflict(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    put_file(fixture, ".hoodie/20990101000000000.rollback.requested", "");
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_CONFLICT);
    mor_write_free(write);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
}

static void changed_properties_are_fatal_and_named(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    run_shell(fixture, "echo hoodie.table.metadata.partitions=files >> .hoodie/hoodie.properties");
    assert_int_equal(table_commit(fixture, second_rows, 3, "1", "2", NULL), MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "metadata table"));
    run_shell(fixture,
              "sed -i 's/^hoodie.table.version=6/hoodie.table.version=9/;/metadata.part/d' "
              ".hoodie/hoodie.properties");
    assert_int_equal(table_commit(fixture, second_rows, 3, "1", "2", NULL), MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "upgraded"));
}

static void table_whose_types_another_instance_widened_is_outgrown(void **state)
{
    struct table_fixture *fixture = *state;
    for (int version = 6; version <= 9; version += 3) {
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        table_open(fixture);
        table_commit_with_note(fixture, MOR_TYPE_INT32); // rows without it are rows of the table
        assert_int_equal(table_begin_only(fixture, fixture->table), MOR_OK);
        assert_false(mor_table_is_outgrown(fixture->table));
        table_close(fixture);
        table_open(fixture);
        table_commit_with_note(fixture, MOR_TYPE_INT64);
        assert_int_equal(table_begin_only(fixture, fixture->table), MOR_FATAL);
        assert_true(mor_table_is_outgrown(fixture->table));
        fixture->err = MOR_ERROR_INIT;
        table_close(fixture);
        table_open(fixture);
        assert_int_equal(table_begin_only(fixture, fixture->table), MOR_OK);
        assert_false(mor_table_is_outgrown(fixture->table));
        table_close(fixture);
    }
}

static void deleted_table_is_fatal_and_not_made_again(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    run_shell(fixture, "mv .hoodie ../gone");
    enum mor_status status = mor_write_commit(write, NULL, 0, &result, &fixture->err);
    assert_int_equal(status, MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "deleted"));
    mor_write_free(write);
    assert_int_equal(table_count_files(fixture, "deltacommit"), 0);
    assert_int_equal(table_commit(fixture, second_rows, 3, "1", "2", NULL), MOR_FATAL);
}

static void commits_that_an_operator_took_back_rewind_the_property(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    table_must_commit(fixture, second_rows, 3, "1", "2");
    // what a restore to the first commit does
    run_shell(fixture, "rm $(ls -d .hoodie/*.deltacommit* | tail -3) && rm */.*.log.*");
    assert_int_equal(table_commit(fixture, second_rows, 3, "2", "3", NULL), MOR_FENCED);
    assert_property(fixture, "1");
    table_must_commit(fixture, second_rows, 3, "1", "2");
}

static void file_groups_with_random_ids_of_other_writers_are_continued(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.bucket_count = 1;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_close(fixture);
    // Spark's ids have the bucket, then a random rest
    run_shell(fixture, "cd created_at_day=2026-01-01 && for f in *.parquet; do mv $f "
                       "00000000-8a1d-4c5e-9d1f-0123456789ab-0_${f#*-0_}; done");
    table_open(fixture);
    assert_true(mor_table_has_group(fixture->table, "created_at_day=2026-01-01", 0));
    table_must_commit(fixture, second_rows, 3, "1", "2");
    assert_int_equal(table_count_files(fixture, "\\.00000000-8a1d-4c5e-9d1f-0123456789ab-0_"), 1);
    table_close(fixture);
    run_shell(fixture, "cd created_at_day=2026-01-01 && for f in *.parquet; do cp $f "
                       "00000000-0000-0000-0000-000000000000-0_${f#*-0_}; done");
    assert_int_equal(mor_table_open_write(&fixture->options, &fixture->table, &fixture->err),
                     MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "several file groups"));
}

// ---- compaction beside us -----------------------------------------------------------------------

static void plan_compaction(struct table_fixture *fixture, const char *instant)
{
    struct mor_buffer bytes = {0};
    json_t *plan = json_pack(
        "{s:[{s:s,s:[],s:s,s:s,s:s,s:{},s:n}],s:{},s:i}", "operations", "baseInstantTime",
        "20260101000000000", "deltaFilePaths", "dataFilePath", "x.parquet", "fileId",
        "00000000-0000-0000-0000-000000000000-0", "partitionPath", "created_at_day=2026-01-01",
        "metrics", "bootstrapFilePath", "extraMetadata", "version", 2);
    assert_non_null(plan);
    if (hudi_metadata_to_avro(HUDI_RECORD_COMPACTION_PLAN, plan, &bytes, &fixture->err) != MOR_OK)
        fail_msg("%s", fixture->err.message);
    json_decref(plan);
    char key[96];
    struct mor_store *store = NULL;
    snprintf(key, sizeof key, ".hoodie/%s.compaction.requested", instant);
    assert_int_equal(mor_store_open(fixture->location, false, &store, &fixture->err), MOR_OK);
    assert_int_equal(mor_store_put_new(store, key, bytes.data, bytes.size_bytes, &fixture->err),
                     MOR_OK);
    mor_store_free(store);
    mor_buffer_done(&bytes);
}

// Ten keys, so that both buckets have some.
static const struct table_row many_rows[] = {
    {"a", 1, 0, 10, false}, {"b", 1, 0, 10, false}, {"c", 1, 0, 10, false}, {"d", 1, 0, 10, false},
    {"e", 1, 0, 10, false}, {"f", 1, 0, 10, false}, {"g", 1, 0, 10, false}, {"h", 1, 0, 10, false}};

static void logs_of_version_6_take_the_instant_of_a_pending_compaction(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, many_rows, 8, NULL, "1");
    plan_compaction(fixture, "20990101000000000");
    table_must_commit(fixture, many_rows, 8, "1", "2");
    assert_int_equal(table_count_files(fixture, "00000000-.*_20990101000000000\\.log\\.1_"), 1);
    assert_int_equal(table_count_files(fixture, "00000001-.*_20990101000000000\\.log"), 0);
    table_must_commit(fixture, many_rows, 8, "2", "3");
    assert_int_equal(table_count_files(fixture, "00000000-.*_20990101000000000\\.log\\.2_"), 1);
    table_close(fixture);
    table_open(fixture);
    table_must_commit(fixture, many_rows, 8, "3", "4");
    assert_int_equal(table_count_files(fixture, "00000000-.*_20990101000000000\\.log\\.3_"), 1);
}

static void compaction_planned_while_version_6_writes_names_its_logs(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, many_rows, 8, NULL, "1");
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(table_write_groups(fixture, write, many_rows, 8), MOR_OK);
    plan_compaction(fixture, "20990101000000000");
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
    mor_write_free(write);
    assert_int_equal(table_count_files(fixture, "00000000-.*_20990101000000000\\.log\\.1_"), 1);
    assert_int_equal(table_count_files(fixture, "00000001-.*_20990101000000000\\.log"), 0);
    table_must_commit(fixture, many_rows, 8, "1", "2");
    assert_int_equal(table_count_files(fixture, "00000000-.*_20990101000000000\\.log\\.2_"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(commits_of_version_6_make_base_files_then_logs),
        TEST(commits_of_version_9_carry_completion_times),
        TEST(groups_are_known_after_their_first_commit),
        TEST(deletes_of_keys_that_no_group_holds_write_nothing),
        TEST(append_only_table_gets_a_new_file_group_every_time),
        TEST(groups_are_written_by_several_threads_at_once),
        TEST(second_writer_is_told_who_holds_the_table),
        TEST(batch_that_began_on_another_state_is_fenced_and_leaves_nothing),
        TEST(abandoned_write_leaves_nothing),
        TEST(foreign_commit_in_between_is_a_conflict_then_seen),
        TEST(pending_commit_of_another_writer_stops_ours),
        TEST(rollback_that_another_writer_began_is_a_conflict),
        TEST(changed_properties_are_fatal_and_named),
        TEST(table_whose_types_another_instance_widened_is_outgrown),
        TEST(deleted_table_is_fatal_and_not_made_again),
        TEST(commits_that_an_operator_took_back_rewind_the_property),
        TEST(file_groups_with_random_ids_of_other_writers_are_continued),
        TEST(logs_of_version_6_take_the_instant_of_a_pending_compaction),
        TEST(compaction_planned_while_version_6_writes_names_its_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
