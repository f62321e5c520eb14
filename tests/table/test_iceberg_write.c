#include "iceberg/iceberg_table.h"
#include "iceberg_test.h"

#include "moraine/base/fault.h"

static const struct table_row first_rows[] = {{"a", 1, 0, 10, false},
                                              {"b", 2, 0, 10, false},
                                              {"c", 3, 1, 10, false},
                                              {"d", 4, -1, 10, false},
                                              {"g", 7, 0, 10, false}};
static const struct table_row second_rows[] = {
    {"a", 5, 0, 11, false}, {"b", 0, 0, 11, true}, {"e", 6, 0, 11, false}};
static const struct table_row third_rows[] = {{"a", 8, 1, 12, false}, {"c", 9, 1, 12, false}};

static void assert_property(struct iceberg_fixture *fixture, const char *expected)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    for (int refresh = 0; refresh < 2; refresh++) {
        char *value = NULL;
        enum mor_status status = mor_table_property(fixture->base.table, "moraine", refresh, &arena,
                                                    &value, &fixture->base.err);
        assert_int_equal(status, expected ? MOR_OK : MOR_NOT_FOUND);
        if (expected)
            assert_string_equal(value, expected);
    }
    mor_arena_done(&arena);
}

static json_t *summary_of(struct iceberg_fixture *fixture, const char *version)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct iceberg_snapshot snapshot;
    int64_t id;
    struct mor_error *err = &fixture->base.err;
    assert_int_equal(iceberg_load(iceberg_of(fixture->base.table), &metadata, err), MOR_OK);
    assert_int_equal(iceberg_version_parse(version, &id, err), MOR_OK);
    assert_true(iceberg_metadata_snapshot(metadata, id, &snapshot));
    return json_deep_copy(snapshot.summary);
}

static void assert_summary(struct iceberg_fixture *fixture, const char *key, const char *expected)
{
    ICEBERG_AUTO_JSON *summary = summary_of(fixture, fixture->version);
    const char *value = iceberg_json_text(summary, key);
    if (!value || strcmp(value, expected) != 0)
        fail_msg("%s is '%s', not '%s'", key, value ? value : "(absent)", expected);
}

// ---- appending ----------------------------------------------------------------------------------

static void append_only(struct iceberg_fixture *fixture)
{
    fixture->base.options.key_column_count = 0;
    fixture->base.options.ordering_column = NULL;
}

static void rows_are_appended(void **state)
{
    struct iceberg_fixture *fixture = *state;
    append_only(fixture);
    table_open(&fixture->base);
    assert_property(fixture, NULL);
    iceberg_must_commit(fixture, first_rows, 5);
    assert_property(fixture, "1");
    iceberg_check(fixture);
    assert_summary(fixture, "operation", "append");
    assert_summary(fixture, "added-records", "5");
    iceberg_must_commit(fixture, third_rows, 2);
    iceberg_check(fixture);
    assert_summary(fixture, "total-records", "7");
    table_close(&fixture->base);
    // a second process finds the same
    table_open(&fixture->base);
    assert_property(fixture, "2");
    iceberg_must_commit(fixture, second_rows, 1);
    iceberg_check(fixture);
}

static void many_commits_leave_few_manifests(void **state)
{
    struct iceberg_fixture *fixture = *state;
    append_only(fixture);
    fixture->base.options.partition_field_count = 0;
    table_open(&fixture->base);
    for (int i = 0; i < 150; i++) {
        struct table_row row = {"x", i, 0, i, false};
        iceberg_must_commit(fixture, &row, 1);
    }
    iceberg_check(fixture);
    struct iceberg_table *table = iceberg_of(fixture->base.table);
    ICEBERG_AUTO_METADATA *metadata = iceberg_known(table);
    ICEBERG_AUTO_STATE *last = NULL;
    assert_int_equal(iceberg_state_open(table, metadata, -1, &last, &fixture->base.err), MOR_OK);
    assert_true(last->manifest_count < 30);
    assert_summary(fixture, "total-data-files", "150");
}

// ---- by place -----------------------------------------------------------------------------------

static void check_upserts(struct iceberg_fixture *fixture)
{
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    iceberg_check(fixture);
    iceberg_must_commit(fixture, second_rows, 3);
    iceberg_check(fixture);
    assert_summary(fixture, "operation", "overwrite");
    assert_summary(fixture, "added-position-deletes", "2");
    table_close(&fixture->base);
    table_open(&fixture->base);
    iceberg_must_commit(fixture, third_rows, 2);
    iceberg_check(fixture);
    // rows of one file again and again
    for (int i = 0; i < 12; i++) {
        struct table_row rows[] = {{"h", i, 0, 20 + i, false}, {"i", i, 0, 20 + i, false}};
        iceberg_must_commit(fixture, rows, 1 + (size_t)i % 2);
        iceberg_check(fixture);
    }
    struct table_row gone = {"d", 0, -1, 50, true};
    iceberg_must_commit(fixture, &gone, 1);
    iceberg_check(fixture);
    assert_summary(fixture, "operation", "delete"); // the file lost all its rows
    assert_summary(fixture, "deleted-data-files", "1");
}

static void rows_are_replaced_in_version_2(void **state)
{
    struct iceberg_fixture *fixture = *state;
    check_upserts(fixture);
    assert_int_equal(table_count_files(&fixture->base, "puffin$"), 0);
    assert_true(table_count_files(&fixture->base, "deletes.parquet$") > 0);
}

static void rows_are_replaced_in_version_3(void **state)
{
    struct iceberg_fixture *fixture = *state;
    fixture->base.options.format_version = 3;
    check_upserts(fixture);
    assert_true(table_count_files(&fixture->base, "puffin$") > 0);
    assert_int_equal(table_count_files(&fixture->base, "deletes.parquet$"), 0);
}

static void deletes_of_one_file_do_not_pile_up(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct table_row rows[40];
    char ids[40][8];
    table_open(&fixture->base);
    for (int i = 0; i < 40; i++) {
        snprintf(ids[i], sizeof ids[i], "k%d", i);
        rows[i] = (struct table_row){ids[i], i, 0, 1, false};
    }
    iceberg_must_commit(fixture, rows, 40);
    for (int i = 0; i < 30; i++) {
        rows[i].is_delete = true;
        iceberg_must_commit(fixture, &rows[i], 1);
    }
    iceberg_check(fixture);
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(
        mor_table_slices(fixture->base.table, NULL, &arena, &slices, &count, &fixture->base.err),
        MOR_OK);
    assert_int_equal(count, 1);
    assert_true(slices[0].delta_count <= 9);
    assert_int_equal(slices[0].delta_row_count, 30);
    assert_summary(fixture, "total-position-deletes", "30");
    mor_arena_done(&arena);
}

// How many vectors of the current snapshot follow another one of their Puffin file in their
// manifest; each of them must lie before that one.
static size_t count_followers(struct iceberg_fixture *fixture)
{
    struct iceberg_table *table = iceberg_of(fixture->base.table);
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    ICEBERG_AUTO_METADATA *metadata = iceberg_known(table);
    ICEBERG_AUTO_STATE *last = NULL;
    assert_int_equal(iceberg_state_open(table, metadata, -1, &last, err), MOR_OK);
    size_t followers = 0;
    for (size_t m = 0; m < last->manifest_count; m++) {
        struct iceberg_entry *entries = NULL;
        size_t count = 0;
        if (last->manifests[m].content != ICEBERG_MANIFEST_DELETES)
            continue;
        assert_int_equal(iceberg_state_read_manifest(table, last, m, &arena, &entries, &count, err),
                         MOR_OK);
        for (size_t i = 1; i < count; i++) {
            const struct iceberg_data_file *file = &entries[i].file, *before = &entries[i - 1].file;
            if (strcmp(file->file_path, before->file_path) != 0)
                continue;
            assert_true(file->content_offset < before->content_offset);
            followers++;
        }
    }
    mor_arena_done(&arena);
    return followers;
}

static void vectors_are_listed_from_the_end_of_their_file(void **state)
{
    struct iceberg_fixture *fixture = *state;
    fixture->base.options.format_version = 3;
    fixture->base.options.partition_field_count = 0;
    table_open(&fixture->base);
    struct table_row rows[12];
    char ids[12][8];
    for (int i = 0; i < 12; i++) {
        snprintf(ids[i], sizeof ids[i], "k%d", i);
        rows[i] = (struct table_row){ids[i], i, 0, 1, false};
    }
    for (int i = 0; i < 6; i++) // two rows a file: none becomes empty
        iceberg_must_commit(fixture, &rows[2 * (size_t)i], 2);
    struct table_row changed[6];
    for (int i = 0; i < 6; i++)
        changed[i] = (struct table_row){ids[2 * i], 0, 0, 2, false};
    iceberg_must_commit(fixture, changed, 6);
    assert_int_equal(count_followers(fixture), 5);
    // manifests are merged meanwhile
    for (int i = 0; i < 20; i++) {
        struct table_row more[] = {{"x", i, 0, 10 + i, false}, {"y", i, 0, 10 + i, false}};
        iceberg_must_commit(fixture, more, 1 + (size_t)i % 2);
    }
    assert_true(count_followers(fixture) >= 5);
    iceberg_check(fixture);
}

static void an_upgrade_continues_position_deletes(void **state)
{
    struct iceberg_fixture *fixture = *state;
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    iceberg_must_commit(fixture, second_rows, 3);
    table_close(&fixture->base);
    fixture->base.options.format_version = 3;
    table_open(&fixture->base);
    iceberg_check(fixture);
    struct table_row row = {"g", 70, 0, 13, false};
    iceberg_must_commit(fixture, &row, 1);
    iceberg_check(fixture);
    iceberg_must_commit(fixture, third_rows, 2);
    iceberg_check(fixture);
    table_close(&fixture->base);
    fixture->base.options.format_version = 2; // of a new table: there is no way back
    table_open(&fixture->base);
    assert_int_equal(iceberg_of(fixture->base.table)->format_version, 3);
    iceberg_must_commit(fixture, second_rows, 3);
    iceberg_check(fixture);
}

// ---- what must not happen -----------------------------------------------------------------------

static void another_commit_is_a_conflict(void **state)
{
    struct iceberg_fixture *fixture = *state;
    table_open(&fixture->base);
    iceberg_of(fixture->base.table)->turn_wait_ms = 0;
    iceberg_must_commit(fixture, first_rows, 5);
    int files = table_count_files(&fixture->base, "parquet$");
    struct test_commit *late = calloc(1, sizeof *late);
    assert_int_equal(commit_prepare(late, fixture, third_rows, 2), MOR_OK);
    // another instance is faster
    struct iceberg_fixture *other = calloc(1, sizeof *other);
    memcpy(other, fixture, sizeof *other);
    other->base.options.instance = "other";
    table_open(&other->base);
    iceberg_of(other->base.table)->turn_wait_ms = 0;
    iceberg_must_commit(other, second_rows, 3);
    assert_int_equal(commit_publish(late), MOR_CONFLICT);
    commit_done(late);
    free(late);
    bool has = true;
    struct mor_uuid nobody = mor_uuid_v7();
    assert_int_equal(mor_table_has_batch(fixture->base.table, &nobody, &has, &fixture->base.err),
                     MOR_OK);
    assert_false(has);
    iceberg_check(other);
    assert_int_equal(table_count_files(&fixture->base, "parquet$"), files + 2);
    // what follows knows both
    struct mor_table *first = fixture->base.table;
    struct mor_table *second = other->base.table;
    memcpy(fixture, other, sizeof *fixture);
    fixture->base.table = first;
    fixture->base.options.instance = "test";
    iceberg_must_commit(fixture, third_rows, 2);
    iceberg_check(fixture);
    mor_table_free(second);
    free(other);
}

static void a_batch_is_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    bool has = false;
    table_open(&fixture->base);
    struct test_commit *commit = calloc(1, sizeof *commit);
    assert_int_equal(commit_prepare(commit, fixture, first_rows, 5), MOR_OK);
    struct mor_uuid id = commit->id;
    assert_int_equal(mor_table_has_batch(fixture->base.table, &id, &has, &fixture->base.err),
                     MOR_OK);
    assert_false(has);
    assert_int_equal(commit_publish(commit), MOR_OK);
    commit_done(commit);
    free(commit);
    assert_int_equal(mor_table_has_batch(fixture->base.table, &id, &has, &fixture->base.err),
                     MOR_OK);
    assert_true(has);
}

static void a_place_that_is_not_there_is_refused(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_write *write = NULL;
    struct mor_error *err = &fixture->base.err;
    struct mor_uuid id = mor_uuid_v7();
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    assert_int_equal(mor_write_begin(fixture->base.table, &id, &write, err), MOR_OK);
    uint32_t positions[] = {3, 1000};
    struct mor_change_removal removal = {"data/nothing.parquet", positions, 1};
    struct mor_change_set set = {.removals = &removal, .removal_count = 1};
    assert_int_equal(mor_write_removal(write, &set, 0, err), MOR_CONFLICT);
    removal.file = fixture->rows[0].file;
    removal.count = 2;
    assert_int_equal(mor_write_removal(write, &set, 0, err), MOR_FATAL);
    mor_write_free(write);
    iceberg_check(fixture);
}

static void tables_that_differ_are_refused(void **state)
{
    struct iceberg_fixture *fixture = *state;
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    table_close(&fixture->base);
    struct mor_table_options wrong = fixture->base.options;
    struct mor_table *table = NULL;
    static const char *const other_key[] = {"value"};
    wrong.key_columns = other_key;
    assert_int_equal(mor_table_open_write(&wrong, &table, &fixture->base.err), MOR_FATAL);
    wrong = fixture->base.options;
    wrong.partition_field_count = 0;
    assert_int_equal(mor_table_open_write(&wrong, &table, &fixture->base.err), MOR_FATAL);
    assert_non_null(strstr(fixture->base.err.message, "partitioned otherwise"));
    table_open(&fixture->base);
    assert_int_equal(mor_table_open_write(&fixture->base.options, &table, &fixture->base.err),
                     MOR_RETRY); // the instance's name is taken
}

static void columns_are_added(void **state)
{
    struct iceberg_fixture *fixture = *state;
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    table_close(&fixture->base);
    mor_schema_add(fixture->base.schema, NULL, "note", MOR_TYPE_STRING, true);
    table_open(&fixture->base);
    assert_int_equal(mor_schema_find(mor_table_schema(fixture->base.table), "note"), 4);
    iceberg_check(fixture);
    iceberg_must_commit(fixture, second_rows, 3);
    iceberg_check(fixture);
}

// ---- history ------------------------------------------------------------------------------------

static void the_past_can_be_read(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    char first[64], found[64];
    mor_arena_init(&arena, 0, NULL);
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 5);
    memcpy(first, fixture->version, sizeof first);
    struct iceberg_fixture *before = calloc(1, sizeof *before);
    memcpy(before, fixture, sizeof *before);
    usleep(20000);
    iceberg_must_commit(fixture, second_rows, 3);
    struct model_check check = {.fixture = before, .places = true};
    iceberg_visit_rows(fixture->base.table, first, check_row, &check);
    assert_int_equal(check.seen, before->row_count);
    struct mor_commit_info *commits = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_history(fixture->base.table, &arena, &commits, &count, err), MOR_OK);
    assert_int_equal(count, 2);
    assert_string_equal(commits[0].version, first);
    assert_string_equal(commits[1].operation, "overwrite");
    assert_int_equal(commits[1].rows_written, 2);
    assert_int_equal(commits[1].rows_deleted, 2);
    assert_int_equal(mor_table_version_at(fixture->base.table, commits[1].time_ms - 1, found, err),
                     MOR_OK);
    assert_string_equal(found, first);
    assert_int_equal(mor_table_version_at(fixture->base.table, commits[0].time_ms - 1, found, err),
                     MOR_NOT_FOUND);
    MOR_AUTO_BUFFER json = {0};
    assert_int_equal(mor_table_describe(fixture->base.table, &json, err), MOR_OK);
    assert_non_null(strstr(mor_buffer_terminate(&json), "\"format\":\"iceberg\""));
    free(before);
    mor_arena_done(&arena);
}

static void table_whose_types_another_instance_widened_is_outgrown(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_commit_with_note(fixture, MOR_TYPE_INT32);
    assert_int_equal(table_begin_only(fixture, fixture->table), MOR_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_appended, iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(many_commits_leave_few_manifests, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(rows_are_replaced_in_version_2, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(rows_are_replaced_in_version_3, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(deletes_of_one_file_do_not_pile_up, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(vectors_are_listed_from_the_end_of_their_file,
                                        iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_continues_position_deletes, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(another_commit_is_a_conflict, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_found, iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(a_place_that_is_not_there_is_refused, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(table_whose_types_another_instance_widened_is_outgrown,
                                        iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(tables_that_differ_are_refused, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(columns_are_added, iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(the_past_can_be_read, iceberg_setup, iceberg_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
