#include "maintain_test.h"

// An append-only table with a file of 20 rows per commit and partition.
static void fill(struct table_fixture *fixture, int commits)
{
    fixture->options.key_column_count = 0;
    fixture->options.ordering_column = NULL;
    fixture->options.bucket_count = 0;
    table_open(fixture);
    for (int c = 0; c < commits; c++) {
        struct table_row rows[40];
        char names[40][8], before[16], state[16];
        for (int i = 0; i < 40; i++) {
            snprintf(names[i], sizeof names[0], "r%d", (i * 17 + c * 5) % 97);
            rows[i] = (struct table_row){names[i], (i * 31 + c * 7) % 101, i % 2, c, false};
        }
        snprintf(before, sizeof before, "%d", c - 1);
        snprintf(state, sizeof state, "%d", c);
        table_must_commit(fixture, rows, 40, c == 0 ? NULL : before, state);
    }
}

static struct mor_compact_report cluster(struct table_fixture *fixture,
                                         const struct mor_compact_options *options)
{
    struct mor_table *table = open_rewrite(fixture);
    struct mor_compact_report report;
    if (mor_cluster(table, options, &report, &fixture->err) != MOR_OK)
        fail_msg("cluster: %s", fixture->err.message);
    mor_table_free(table);
    return report;
}

static size_t slice_count(struct table_fixture *fixture, const char *version)
{
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err), MOR_OK);
    assert_int_equal(mor_table_slices(table, version, &arena, &slices, &count, &fixture->err),
                     MOR_OK);
    mor_table_free(table);
    mor_arena_done(&arena);
    return count;
}

static void gathering_changes_no_row_and_leaves_old_versions_readable(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        char first[64];
        fill(fixture, 5);
        struct seen_rows before = see_rows(fixture, NULL);
        assert_int_equal(slice_count(fixture, NULL), 10);
        struct mor_arena arena;
        struct mor_commit_info *commits = NULL;
        size_t count = 0;
        mor_arena_init(&arena, 0, NULL);
        assert_int_equal(mor_table_history(fixture->table, &arena, &commits, &count, &fixture->err),
                         MOR_OK);
        memcpy(first, commits[count - 1].version, sizeof first);
        mor_arena_done(&arena);
        const struct mor_compact_options options = {.limits = {.target_file_size_bytes = 1 << 20},
                                                    .everything = true};
        struct mor_compact_report report = cluster(fixture, &options);
        assert_int_equal(report.failed, 0);
        assert_int_equal(report.done, 10);
        assert_int_equal(slice_count(fixture, NULL), 2);
        assert_same_rows(see_rows(fixture, NULL), before);
        assert_int_equal(slice_count(fixture, first), 10);
        assert_same_rows(see_rows(fixture, first), before);
        assert_int_equal(cluster(fixture, &options).due, 0);
        // replaced files go with the versions that need them, and nothing comes back
        struct mor_expiry expiry;
        const struct mor_retention now = {.age_ms = 1, .min_snapshots = 1};
        usleep(5000);
        mor_arena_init(&arena, 0, NULL);
        struct mor_table *table = open_rewrite(fixture);
        assert_int_equal(mor_table_expire(table, &now, false, &arena, &expiry, &fixture->err),
                         MOR_OK);
        assert_int_equal(expiry.file_count, 10);
        assert_int_equal(mor_table_expire(table, &now, false, &arena, &expiry, &fixture->err),
                         MOR_OK);
        mor_table_free(table);
        mor_arena_done(&arena);
        assert_int_equal(count_matching(fixture, "*.parquet"), 2);
        assert_same_rows(see_rows(fixture, NULL), before);
        const struct table_row more[] = {{"m", 1, 0, 9, false}};
        table_must_commit(fixture, more, 1, "4", "5");
        assert_int_equal(see_rows(fixture, NULL).count, before.count + 1);
        table_close(fixture);
    }
}

// Rows of the table's partition in the order of its files.
static size_t read_values(struct table_fixture *fixture, int32_t values[200], char ids[200][8])
{
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    struct mor_scan_options options = {0};
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err), MOR_OK);
    assert_int_equal(mor_scan_open(table, &options, &scan, &fixture->err), MOR_OK);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    size_t count = 0;
    do {
        assert_int_equal(mor_scan_next(scan, batch, &fixture->err), MOR_OK);
        for (size_t i = 0; i < batch->row_count; i++, count++) {
            size_t size;
            const uint8_t *id = mor_vector_bytes_at(&batch->columns[0], i, &size);
            snprintf(ids[count], 8, "%.*s", (int)size, id);
            values[count] = mor_vector_i32(&batch->columns[1], i);
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return count;
}

static void gathered_rows_are_sorted_by_the_columns_asked_for(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const columns[] = {"value", "id"};
    struct mor_compact_options options = {.limits = {.target_file_size_bytes = 1 << 20},
                                          .everything = true,
                                          .cluster_columns = columns,
                                          .cluster_column_count = 2};
    int32_t values[200];
    char ids[200][8];
    fixture->options.partition_field_count = 0;
    fill(fixture, 5);
    struct seen_rows before = see_rows(fixture, NULL);
    cluster(fixture, &options);
    assert_int_equal(read_values(fixture, values, ids), 200);
    for (size_t i = 1; i < 200; i++)
        assert_true(values[i - 1] < values[i] ||
                    (values[i - 1] == values[i] && strcmp(ids[i - 1], ids[i]) <= 0));
    // along the curve every quarter of the rows has a narrow range of both columns
    const struct table_row more[] = {{"r1", 1, 0, 9, false}};
    table_must_commit(fixture, more, 1, "4", "5");
    options.cluster_order = MOR_CLUSTER_BY_Z_ORDER;
    cluster(fixture, &options);
    assert_int_equal(see_rows(fixture, NULL).count, before.count + 1);
    int32_t copy[201];
    char names[201][8];
    assert_int_equal(read_values(fixture, copy, names), 201);
    int32_t least = INT32_MAX, greatest = 0;
    for (size_t i = 0; i < 50; i++) {
        least = copy[i] < least ? copy[i] : least;
        greatest = copy[i] > greatest ? copy[i] : greatest;
    }
    assert_true(greatest - least < 60); // of 101
    static const char *const unknown[] = {"nothing"};
    options.cluster_columns = unknown;
    options.cluster_column_count = 1;
    table_must_commit(fixture, more, 1, "5", "6");
    struct mor_compact_report report = cluster(fixture, &options);
    assert_int_equal(report.failed, 1);
    assert_non_null(strstr(report.first_failure.message, "'nothing'"));
    table_close(fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(gathering_changes_no_row_and_leaves_old_versions_readable),
        TEST(gathered_rows_are_sorted_by_the_columns_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
