// Version 6 beside a compaction of another engine that listed the logs before a commit was
// published and planned after it.
#include "table_rows.h"

#include "hudi/hudi_table.h"

#define FILE_ID "00000000-5067-ca82-2999-cd8e2f3d4bfd-0" // of bucket 0 in FOLDER
#define FOLDER  "created_at_day=2026-01-01"
#define PLAN    "20990101000000000"
#define SECOND  "20990201000000000"

static const struct table_row first_rows[] = {{"a", 1, 0, 10, false}};
static const struct table_row raced_rows[] = {{"r", 2, 0, 11, false}, {"a", 0, 0, 0, true}};
static const struct table_row later_rows[] = {{"a", 3, 0, 12, false}};

static void run_shell(const struct table_fixture *fixture, const char *text)
{
    MOR_AUTO_FREE char *command = mor_asprintf("cd '%s' && %s", fixture->location, text);
    assert_int_equal(system(command), 0);
}

static void put(struct table_fixture *fixture, const char *key, const void *bytes, size_t size)
{
    struct mor_store *store = mor_table_store(fixture->table);
    assert_int_equal(mor_store_put_new(store, key, bytes, size, &fixture->err), MOR_OK);
}

// The plan as an engine makes it that knows only the first `known` logs.
static void plan_with(struct table_fixture *fixture, const char *instant, size_t known)
{
    const struct hudi_group *group = hudi_group_find(hudi_of(fixture->table), FOLDER, FILE_ID);
    struct mor_buffer bytes = {0};
    assert_non_null(group);
    assert_true(known <= group->log_count);
    json_t *logs = json_array();
    for (size_t i = 0; i < known; i++)
        json_array_append_new(logs, json_string(group->logs[i]));
    json_t *plan = json_pack("{s:[{s:s,s:o,s:s,s:s,s:s,s:{},s:n}],s:{},s:i}", "operations",
                             "baseInstantTime", group->base_instant, "deltaFilePaths", logs,
                             "dataFilePath", group->base_name, "fileId", FILE_ID, "partitionPath",
                             FOLDER, "metrics", "bootstrapFilePath", "extraMetadata", "version", 2);
    assert_int_equal(
        hudi_metadata_to_avro(HUDI_RECORD_COMPACTION_PLAN, plan, &bytes, &fixture->err), MOR_OK);
    json_decref(plan);
    char key[96];
    snprintf(key, sizeof key, ".hoodie/%s.compaction.requested", instant);
    put(fixture, key, bytes.data, bytes.size_bytes);
    mor_buffer_done(&bytes);
}

static void plan_compaction(struct table_fixture *fixture)
{
    plan_with(fixture, PLAN, 1);
}

// The new base file holds what the old one did: the first log says nothing else.
static void complete_with(struct table_fixture *fixture, const char *instant)
{
    const char *completed = "{\"compacted\":true,\"extraMetadata\":{}}";
    char text[512];
    snprintf(text, sizeof text,
             "touch .hoodie/%s.compaction.inflight && cd " FOLDER " && cp $(ls " FILE_ID
             "_*.parquet | head -1) " FILE_ID "_0-7-7_%s.parquet",
             instant, instant);
    run_shell(fixture, text);
    snprintf(text, sizeof text, ".hoodie/%s.commit", instant);
    put(fixture, text, completed, strlen(completed));
}

static void complete_compaction(struct table_fixture *fixture)
{
    complete_with(fixture, PLAN);
}

struct counted {
    int raced, later;
};

static void count_row(void *context, const char *id, size_t length, int32_t value, int64_t updated)
{
    struct counted *counted = context;
    (void)updated;
    counted->raced += length == 1 && *id == 'r';
    counted->later += length == 1 && *id == 'a' && value == 3;
}

static struct counted count_rows(struct table_fixture *fixture)
{
    struct counted counted = {0};
    table_visit_rows(fixture->table, count_row, &counted, &fixture->err);
    return counted;
}

static void assert_logs(const struct table_fixture *fixture, int of_plan)
{
    assert_int_equal(table_count_files(fixture, "_" PLAN "\\.log\\."), of_plan);
}

static void set_up_race(struct table_fixture *fixture)
{
    fixture->options.bucket_count = 1;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 1, NULL, "1");
    table_must_commit(fixture, first_rows, 1, "1", "2");
    table_must_commit(fixture, raced_rows, 2, "2", "3");
}

static void commit_that_a_pending_plan_missed_goes_to_the_new_slice_first(void **state)
{
    struct table_fixture *fixture = *state;
    set_up_race(fixture);
    plan_compaction(fixture);
    assert_logs(fixture, 0);
    table_must_commit(fixture, later_rows, 1, "3", "4");
    assert_logs(fixture, 2);
    // merged before what came later: the delete of the raced commit must not take the new row
    assert_int_equal(table_count_files(fixture, "_" PLAN "\\.log\\.2_0-2099"), 1);
    complete_compaction(fixture);
    struct counted counted = count_rows(fixture);
    assert_int_equal(counted.raced, 1);
    assert_int_equal(counted.later, 1);
    table_must_commit(fixture, later_rows, 1, "4", "5");
    assert_logs(fixture, 3);
}

// An engine takes the instant of its plan long before it writes it.
static void plan_that_is_older_than_the_newest_commits_names_what_comes_after_it(void **state)
{
    struct table_fixture *fixture = *state;
    set_up_race(fixture);
    const struct hudi_timeline *timeline = &hudi_of(fixture->table)->timeline;
    char instant[HUDI_TIME_SIZE], pattern[HUDI_TIME_SIZE + 16];
    snprintf(instant, sizeof instant, "%s", timeline->instants[timeline->count - 2].time);
    for (size_t i = strlen(instant); i-- > 0 && ++instant[i] > '9';)
        instant[i] = '0';
    plan_with(fixture, instant, 1);
    snprintf(pattern, sizeof pattern, "_%s\\.log\\.", instant);
    table_must_commit(fixture, later_rows, 1, "3", "4");
    assert_int_equal(table_count_files(fixture, pattern), 2);
    table_must_commit(fixture, later_rows, 1, "4", "5");
    assert_int_equal(table_count_files(fixture, pattern), 3);
    complete_with(fixture, instant);
    assert_int_equal(count_rows(fixture).raced, 1);
    table_must_commit(fixture, later_rows, 1, "5", "6");
    assert_int_equal(table_count_files(fixture, pattern), 4);
}

static void commit_that_a_completed_compaction_missed_comes_back(void **state)
{
    struct table_fixture *fixture = *state;
    set_up_race(fixture);
    plan_compaction(fixture);
    complete_compaction(fixture);
    assert_int_equal(count_rows(fixture).raced, 0);
    table_close(fixture);
    table_open(fixture);
    assert_logs(fixture, 1);
    assert_int_equal(count_rows(fixture).raced, 1);
    table_must_commit(fixture, later_rows, 1, "3", "4");
    assert_logs(fixture, 2);
    // once
    table_close(fixture);
    table_open(fixture);
    assert_logs(fixture, 2);
}

static void plan_that_appears_during_a_write_is_mended_before_its_logs_are_named(void **state)
{
    struct table_fixture *fixture = *state;
    set_up_race(fixture);
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(table_write_groups(fixture, write, later_rows, 1), MOR_OK);
    plan_compaction(fixture);
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
    mor_write_free(write);
    assert_logs(fixture, 2);
    complete_compaction(fixture);
    struct counted counted = count_rows(fixture);
    assert_int_equal(counted.raced, 1);
    assert_int_equal(counted.later, 1);
}

static void commit_that_was_merged_since_does_not_come_back(void **state)
{
    struct table_fixture *fixture = *state;
    set_up_race(fixture);
    plan_compaction(fixture);
    table_must_commit(fixture, later_rows, 1, "3", "4");
    complete_compaction(fixture);
    table_must_commit(fixture, later_rows, 1, "4", "5");
    assert_logs(fixture, 3);
    plan_with(fixture, SECOND, 3);
    complete_with(fixture, SECOND);
    table_close(fixture);
    table_open(fixture);
    assert_int_equal(table_count_files(fixture, "_" SECOND "\\.log\\."), 0);
    assert_logs(fixture, 3);
}

static void other_instances_do_not_mend_again(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other = *fixture;
    set_up_race(fixture);
    other.options.bucket_count = 1;
    other.options.instance = "other";
    table_open(&other);
    plan_compaction(fixture);
    table_must_commit(fixture, later_rows, 1, "3", "4");
    table_must_commit(&other, later_rows, 1, "4", "5");
    assert_logs(fixture, 3);
    table_close(&other);
}

static void file_groups_of_a_pending_plan_are_left_to_its_engine(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_table *table = NULL;
    struct mor_rewrite *rewrite = NULL;
    const struct mor_slice *slices = NULL;
    const struct table_row elsewhere[] = {{"z", 1, 1, 12, false}};
    size_t count = 0;
    set_up_race(fixture);
    table_must_commit(fixture, elsewhere, 1, "3", "4");
    plan_compaction(fixture);
    for (int completed = 0; completed <= 1; completed++) {
        assert_int_equal(
            mor_table_open_rewrite(fixture->location, "merges", NULL, &table, &fixture->err),
            MOR_OK);
        assert_int_equal(mor_rewrite_begin(table, MOR_REWRITE_MERGE, &rewrite, &fixture->err),
                         MOR_OK);
        mor_rewrite_slices(rewrite, &slices, &count);
        assert_int_equal(count, completed ? 2 : 1);
        assert_int_equal(mor_rewrite_reserved_count(rewrite), completed ? 0 : 1);
        mor_rewrite_free(rewrite);
        mor_table_free(table);
        if (!completed)
            complete_compaction(fixture);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(commit_that_a_pending_plan_missed_goes_to_the_new_slice_first),
        TEST(plan_that_is_older_than_the_newest_commits_names_what_comes_after_it),
        TEST(commit_that_a_completed_compaction_missed_comes_back),
        TEST(plan_that_appears_during_a_write_is_mended_before_its_logs_are_named),
        TEST(commit_that_was_merged_since_does_not_come_back),
        TEST(other_instances_do_not_mend_again),
        TEST(file_groups_of_a_pending_plan_are_left_to_its_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
