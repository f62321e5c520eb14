#include "table/table_test.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/merge.h"

// Rows of a scan as JSON objects in an array; columns NULL = all of the table's.
static json_t *scan_rows(struct mor_table *table, const char *const *columns, size_t column_count,
                         const char *version, struct mor_error *err)
{
    struct mor_scan_options options = {
        .columns = columns, .column_count = column_count, .version = version};
    struct mor_scan *scan = NULL;
    if (mor_scan_open(table, &options, &scan, err) != MOR_OK)
        return NULL;
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    json_t *rows = json_array();
    do {
        if (mor_scan_next(scan, batch, err) != MOR_OK || mor_batch_validate(batch, err) != MOR_OK) {
            json_decref(rows);
            rows = NULL;
            break;
        }
        for (size_t row = 0; row < batch->row_count; row++) {
            json_t *object = json_object();
            for (size_t i = 0; i < batch->column_count; i++) {
                struct mor_buffer text = {0};
                json_t *value = json_null();
                if (!mor_vector_is_null(&batch->columns[i], row)) {
                    mor_vector_format_json(&batch->columns[i], row, &text);
                    value = json_loadb((char *)text.data, text.size_bytes, JSON_DECODE_ANY, NULL);
                    assert_non_null(value);
                }
                json_object_set_new(object, batch->columns[i].field->name, value);
                mor_buffer_done(&text);
            }
            json_array_append_new(rows, object);
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    return rows;
}

// ---- tables that Spark wrote --------------------------------------------------------------------

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_typeof(a) != json_typeof(b) || json_object_size(a) != json_object_size(b) ||
        json_array_size(a) != json_array_size(b))
        return false;
    if (json_is_object(a)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)a, key, value)
        {
            const json_t *other = json_object_get(b, key);
            if (!other || !same(value, other))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!same(json_array_get(a, i), json_array_get(b, i)))
            return false;
    }
    return json_is_array(a) || json_equal(a, b);
}

static void check_golden(struct table_fixture *fixture, const char *name)
{
    char command[512], path[256], line[65536];
    snprintf(path, sizeof path, "%s/hudi/%s.zip", MORAINE_GOLDEN, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is absent\n", path);
        skip();
    }
    snprintf(command, sizeof command, "unzip -q '%s' -d '%s'", path, fixture->root);
    if (system(command) != 0) {
        print_message("skipped: unzip is missing or failed\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/%s", fixture->root, name);
    struct mor_table *table = NULL;
    if (mor_table_open_read(path, NULL, &table, &fixture->err) != MOR_OK)
        fail_msg("%s: %s", name, fixture->err.message);
    snprintf(path, sizeof path, "%s/merge/%s.jsonl", MORAINE_TEST_DATA, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    json_t *expected = json_array();
    while (fgets(line, sizeof line, file))
        json_array_append_new(expected, json_loads(line, 0, NULL));
    fclose(file);
    const char *columns[64], *column;
    size_t column_count = 0;
    json_t *value;
    json_object_foreach(json_array_get(expected, 0), column, value) columns[column_count++] =
        column;
    json_t *rows = scan_rows(table, columns, column_count, NULL, &fixture->err);
    if (!rows)
        fail_msg("%s: %s", name, fixture->err.message);
    assert_int_equal(json_array_size(rows), json_array_size(expected));
    for (size_t i = 0; i < json_array_size(expected); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(rows) && !found; k++)
            found = same(json_array_get(expected, i), json_array_get(rows, k));
        if (!found)
            fail_msg("%s: row %zu of the expected ones was not read", name, i);
    }
    json_decref(rows);
    json_decref(expected);
    mor_table_free(table);
}

#define GOLDEN(name)                                                                               \
    static void table_##name##_of_spark_is_read_as_hudi_rs_does(void **state)                      \
    {                                                                                              \
        check_golden(*state, #name);                                                               \
    }
GOLDEN(v6_trips_8i1u)
GOLDEN(v6_trips_8i3d)
GOLDEN(v6_nonpartitioned_rollback)
GOLDEN(v8_trips_8i3u1d)
GOLDEN(v9_nonpartitioned_rollback)
GOLDEN(v9_txns_nonpart_nometa)
GOLDEN(v9_txns_simple_nometa)

// ---- tables of our own --------------------------------------------------------------------------

static const struct table_row first_rows[] = {{"a", 1, 0, 10, false},
                                              {"b", 2, 0, 10, false},
                                              {"c", 3, 1, 10, false},
                                              {"d", 4, -1, 10, false}};
static const struct table_row second_rows[] = {
    {"a", 5, 0, 11, false}, {"b", 0, 0, 0, true}, {"e", 6, 0, 11, false}, {"d", 7, -1, 9, false}};

// Sum of `value` over all rows, and their number.
static void check_rows(struct table_fixture *fixture, const char *version, size_t count,
                       int64_t sum)
{
    struct mor_table *table = NULL;
    if (mor_table_open_read(fixture->location, NULL, &table, &fixture->err) != MOR_OK)
        fail_msg("open: %s", fixture->err.message);
    json_t *rows = scan_rows(table, NULL, 0, version, &fixture->err);
    if (!rows)
        fail_msg("scan: %s", fixture->err.message);
    int64_t total = 0;
    for (size_t i = 0; i < json_array_size(rows); i++)
        total += json_integer_value(json_object_get(json_array_get(rows, i), "value"));
    assert_int_equal(json_array_size(rows), count);
    assert_int_equal(total, sum);
    json_decref(rows);
    mor_table_free(table);
}

static void each_version_shows_the_rows_of_its_time(void **state)
{
    struct table_fixture *fixture = *state;
    for (int version = 6; version <= 9; version += 3) {
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        struct mor_commit_result first, second;
        table_open(fixture);
        assert_int_equal(table_commit(fixture, first_rows, 4, NULL, "1", &first), MOR_OK);
        assert_int_equal(table_commit(fixture, second_rows, 4, "1", "2", &second), MOR_OK);
        check_rows(fixture, first.version, 4, 1 + 2 + 3 + 4);
        check_rows(fixture, second.version, 4, 5 + 6 + 3 + 4); // d came late and lost
        check_rows(fixture, NULL, 4, 5 + 6 + 3 + 4);
        struct mor_table *table = NULL;
        assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err),
                         MOR_OK);
        assert_null(scan_rows(table, NULL, 0, "20200101000000000", &fixture->err));
        assert_int_equal(fixture->err.status, MOR_NOT_FOUND);
        mor_table_free(table);
        table_close(fixture);
    }
}

static void projection_gives_the_named_columns_in_their_order(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    table_must_commit(fixture, second_rows, 4, "1", "2");
    static const char *const columns[] = {"value", "_hoodie_commit_time", "created_at_day"};
    json_t *rows = scan_rows(fixture->table, columns, 3, NULL, &fixture->err);
    assert_non_null(rows);
    assert_int_equal(json_array_size(rows), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *row = json_array_get(rows, i);
        assert_int_equal(json_object_size(row), 3);
        assert_int_equal(json_string_length(json_object_get(row, "_hoodie_commit_time")), 17);
    }
    json_decref(rows);
    static const char *const unknown[] = {"nothing"};
    assert_null(scan_rows(fixture->table, unknown, 1, NULL, &fixture->err));
    assert_int_equal(fixture->err.status, MOR_DATA);
}

static void delete_takes_back_what_came_before_and_later_rows_stand(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    const struct table_row insert[] = {{"a", 1, 0, 100, false}};
    const struct table_row remove[] = {{"a", 0, 0, 0, true}};
    // lower ordering than the row that was deleted
    const struct table_row again[] = {{"a", 2, 0, 50, false}};
    table_must_commit(fixture, insert, 1, NULL, "1");
    table_must_commit(fixture, remove, 1, "1", "2");
    check_rows(fixture, NULL, 0, 0);
    table_must_commit(fixture, again, 1, "2", "3");
    check_rows(fixture, NULL, 1, 2);
    table_must_commit(fixture, remove, 1, "3", "4");
    check_rows(fixture, NULL, 0, 0);
}

static void equal_ordering_is_won_by_the_later_commit(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    const struct table_row rows[][1] = {{{"a", 1, 0, 7, false}},
                                        {{"a", 2, 0, 7, false}},
                                        {{"a", 3, 0, 7, false}},
                                        {{"a", 4, 0, 6, false}}};
    table_must_commit(fixture, rows[0], 1, NULL, "0");
    table_must_commit(fixture, rows[1], 1, "0", "1");
    check_rows(fixture, NULL, 1, 2);
    table_must_commit(fixture, rows[2], 1, "1", "2");
    table_must_commit(fixture, rows[3], 1, "2", "3");
    check_rows(fixture, NULL, 1, 3);
}

// Sum of `value` of the rows that a scan with these options gives.
static int64_t sum_values(struct table_fixture *fixture, const struct mor_scan_options *options,
                          const char *where)
{
    struct mor_scan_options with = *options;
    struct mor_filter *filter = NULL;
    struct mor_scan *scan = NULL;
    if (where && mor_filter_parse(fixture->table, where, &filter, &fixture->err) != MOR_OK)
        fail_msg("%s: %s", where, fixture->err.message);
    with.filter = filter;
    if (mor_scan_open(fixture->table, &with, &scan, &fixture->err) != MOR_OK)
        fail_msg("scan: %s", fixture->err.message);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    int64_t sum = 0;
    do {
        if (mor_scan_next(scan, batch, &fixture->err) != MOR_OK)
            fail_msg("next: %s", fixture->err.message);
        for (size_t i = 0; i < batch->row_count; i++)
            sum += mor_vector_i32(&batch->columns[0], i);
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_filter_free(filter);
    return sum;
}

static void conditions_are_tested_on_merged_rows(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const columns[] = {"value"};
    for (size_t threads = 1; threads <= 4; threads += 3) {
        const struct mor_scan_options options = {
            .columns = columns, .column_count = 1, .thread_count = threads};
        if (threads == 1) {
            table_open(fixture);
            table_must_commit(fixture, first_rows, 4, NULL, "1");
            table_must_commit(fixture, second_rows, 4, "1", "2");
        }
        assert_int_equal(sum_values(fixture, &options, NULL), 5 + 6 + 3 + 4);
        // the old version of a, in the base file, must not come back
        assert_int_equal(sum_values(fixture, &options, "value = 1"), 0);
        // nor must the late version of d, which lost to a row that does not match
        assert_int_equal(sum_values(fixture, &options, "value = 7"), 0);
        assert_int_equal(sum_values(fixture, &options, "updated = 11"), 5 + 6);
        assert_int_equal(sum_values(fixture, &options, "created_at is null"), 4);
        assert_int_equal(sum_values(fixture, &options, "id = 'c'"), 3);
    }
}

static void version_of_a_moment_is_the_newest_one_before_it(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_commit_result first, second;
    char version[64];
    table_open(fixture);
    int64_t before = mor_clock_wall_ms();
    assert_int_equal(table_commit(fixture, first_rows, 4, NULL, "1", &first), MOR_OK);
    usleep(5000);
    int64_t between = mor_clock_wall_ms();
    usleep(5000);
    assert_int_equal(table_commit(fixture, second_rows, 4, "1", "2", &second), MOR_OK);
    assert_int_equal(mor_table_version_at(fixture->table, between, version, &fixture->err), MOR_OK);
    assert_string_equal(version, first.version);
    assert_int_equal(
        mor_table_version_at(fixture->table, between + 3600000, version, &fixture->err), MOR_OK);
    assert_string_equal(version, second.version);
    assert_int_equal(mor_table_version_at(fixture->table, before - 1000, version, &fixture->err),
                     MOR_NOT_FOUND);
    assert_non_null(strstr(fixture->err.message, first.version));
}

static void added_column_is_null_in_old_rows(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    table_close(fixture);
    mor_schema_add(fixture->schema, NULL, "added", MOR_TYPE_STRING, true);
    table_open(fixture);
    assert_int_equal(mor_schema_find(mor_table_schema(fixture->table), "added"), 4);
    table_must_commit(fixture, second_rows, 4, "1", "2");
    static const char *const columns[] = {"id", "added"};
    json_t *rows = scan_rows(fixture->table, columns, 2, NULL, &fixture->err);
    assert_int_equal(json_array_size(rows), 4);
    json_decref(rows);
    check_rows(fixture, NULL, 4, 5 + 6 + 3 + 4);
}

static void killed_commits_show_no_row_of_theirs(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const points[] = {"hudi.group_written=kill", "hudi.sync=kill",
                                         "hudi.publish=kill"};
    for (int version = 6; version <= 9; version += 3) {
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        table_open(fixture);
        table_must_commit(fixture, first_rows, 4, NULL, "1");
        table_close(fixture);
        for (size_t i = 0; i < 3; i++) {
            pid_t child = fork();
            if (child == 0) {
                setenv("MORAINE_FAILPOINTS", points[i], 1);
                if (mor_fault_init(&fixture->err) != MOR_OK)
                    _exit(1);
                table_open(fixture);
                _exit((int)table_commit(fixture, second_rows, 4, "1", "2", NULL));
            }
            int status;
            waitpid(child, &status, 0);
            assert_true(WIFSIGNALED(status));
            check_rows(fixture, NULL, 4, 1 + 2 + 3 + 4); // before anybody cleaned up
        }
        table_open(fixture);
        check_rows(fixture, NULL, 4, 1 + 2 + 3 + 4);
        table_must_commit(fixture, second_rows, 4, "1", "2");
        check_rows(fixture, NULL, 4, 5 + 6 + 3 + 4);
        table_close(fixture);
    }
}

static void full_disk_is_retry_and_the_table_goes_on_when_there_is_room(void **state)
{
    struct table_fixture *fixture = *state;
    char command[256];
    snprintf(command, sizeof command,
             "mkdir '%s' && mount -t tmpfs -o size=600k none '%s' 2>/dev/null", fixture->location,
             fixture->location);
    if (system(command) != 0) {
        print_message("skipped: no right to mount a tmpfs\n");
        skip();
    }
    table_open(fixture);
    table_must_commit(fixture, first_rows, 4, NULL, "1");
    snprintf(command, sizeof command, "head -c 1000000 /dev/zero > '%s/filler' 2>/dev/null",
             fixture->location);
    assert_int_not_equal(system(command), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(table_commit(fixture, second_rows, 4, "1", "2", NULL), MOR_RETRY);
    assert_non_null(strstr(fixture->err.message, "No space left"));
    check_rows(fixture, NULL, 4, 1 + 2 + 3 + 4);
    snprintf(command, sizeof command, "rm '%s/filler'", fixture->location);
    assert_int_equal(system(command), 0);
    table_must_commit(fixture, second_rows, 4, "1", "2");
    check_rows(fixture, NULL, 4, 5 + 6 + 3 + 4);
    table_close(fixture);
    snprintf(command, sizeof command, "umount '%s'", fixture->location);
    assert_int_equal(system(command), 0);
}

int main(void)
{
#define TEST(name)        cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
#define GOLDEN_TEST(name) TEST(table_##name##_of_spark_is_read_as_hudi_rs_does)
    const struct CMUnitTest tests[] = {
        GOLDEN_TEST(v6_trips_8i1u),
        GOLDEN_TEST(v6_trips_8i3d),
        GOLDEN_TEST(v6_nonpartitioned_rollback),
        GOLDEN_TEST(v8_trips_8i3u1d),
        GOLDEN_TEST(v9_nonpartitioned_rollback),
        GOLDEN_TEST(v9_txns_nonpart_nometa),
        GOLDEN_TEST(v9_txns_simple_nometa),
        TEST(each_version_shows_the_rows_of_its_time),
        TEST(projection_gives_the_named_columns_in_their_order),
        TEST(delete_takes_back_what_came_before_and_later_rows_stand),
        TEST(equal_ordering_is_won_by_the_later_commit),
        TEST(conditions_are_tested_on_merged_rows),
        TEST(version_of_a_moment_is_the_newest_one_before_it),
        TEST(added_column_is_null_in_old_rows),
        TEST(killed_commits_show_no_row_of_theirs),
        TEST(full_disk_is_retry_and_the_table_goes_on_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
