// Tables whose rows are addressed by place: merged, gathered and erased.
#include "moraine/maintain.h"
#include "moraine/merge.h"
#include "table/iceberg_test.h"

static struct mor_table *open_rewrite(struct iceberg_fixture *fixture)
{
    struct mor_table *table = NULL;
    if (mor_table_open_rewrite(fixture->base.location, "upkeep", NULL, &table,
                               &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    return table;
}

static void fill(struct iceberg_fixture *fixture)
{
    char ids[24][8];
    struct table_row rows[24];
    for (int c = 0; c < 6; c++) {
        for (int i = 0; i < 24; i++) {
            snprintf(ids[i], sizeof ids[i], "k%d", i + c * 8);
            rows[i] = (struct table_row){ids[i], c * 100 + i, i % 3, c, c > 1 && i % 7 == 0};
        }
        iceberg_must_commit(fixture, rows, 24);
    }
}

// Rows as a scan shows them, compared with the model.
static void check_scan(struct iceberg_fixture *fixture)
{
    static const char *const columns[] = {"id", "value", "updated"};
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    struct mor_error *err = &fixture->base.err;
    const struct mor_scan_options options = {.columns = columns, .column_count = 3};
    size_t count = 0;
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &table, err), MOR_OK);
    assert_int_equal(mor_scan_open(table, &options, &scan, err), MOR_OK);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    do {
        if (mor_scan_next(scan, batch, err) != MOR_OK)
            fail_msg("%s", err->message);
        for (size_t i = 0; i < batch->row_count; i++) {
            size_t length;
            char id[16];
            const uint8_t *bytes = mor_vector_bytes_at(&batch->columns[0], i, &length);
            snprintf(id, sizeof id, "%.*s", (int)length, (const char *)bytes);
            const struct model_row *row = model_find(fixture, id);
            assert_non_null(row);
            assert_int_equal(row->value, mor_vector_i32(&batch->columns[1], i));
            assert_int_equal(row->updated, mor_vector_i64(&batch->columns[2], i));
        }
        count += batch->row_count;
    } while (batch->row_count > 0);
    assert_int_equal(count, fixture->row_count);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
}

static void check_upkeep(struct iceberg_fixture *fixture)
{
    struct mor_compact_report report;
    struct mor_compact_options options = {.limits = {.max_delta_files = 10,
                                                     .max_delta_ratio = 0.3,
                                                     .target_file_size_bytes = 64 << 20},
                                          .thread_count = 2};
    table_open(&fixture->base);
    fill(fixture);
    check_scan(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    // small files that fill none stay
    if (mor_rewrite_due(upkeep, &options, &report, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    assert_int_equal(report.commits, 0);
    options.everything = true;
    if (mor_rewrite_due(upkeep, &options, &report, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    assert_int_equal(report.commits, 1);
    assert_int_equal(report.failed, 0);
    assert_int_equal(report.rows_written, fixture->row_count);
    check_scan(fixture);
    iceberg_relocate(fixture, upkeep);
    // one file of a partition, hollow: it is merged by itself
    struct table_row gone[20];
    size_t count = 0;
    for (size_t i = 0; i < fixture->row_count && count < 6; i++) {
        if (strcmp(fixture->rows[i].file, fixture->rows[0].file) == 0)
            gone[count++] = (struct table_row){fixture->rows[i].id, 0, 0, 90, true};
    }
    char ids[20][16];
    for (size_t i = 0; i < count; i++) {
        memcpy(ids[i], gone[i].id, sizeof ids[i]);
        gone[i].id = ids[i];
    }
    iceberg_must_commit(fixture, gone, count);
    options.everything = false;
    assert_int_equal(mor_rewrite_due(upkeep, &options, &report, &fixture->base.err), MOR_OK);
    assert_int_equal(report.commits, 1);
    assert_int_equal(report.due, 1);
    check_scan(fixture);
    iceberg_relocate(fixture, upkeep);
    // a large file is merged when enough of its rows are removed
    options.limits.target_file_size_bytes = 100;
    memcpy(ids[0], fixture->rows[0].id, sizeof ids[0]);
    gone[0] = (struct table_row){ids[0], 0, 2, 91, true};
    iceberg_must_commit(fixture, gone, 1);
    options.limits.max_delta_ratio = 0.01;
    assert_int_equal(mor_rewrite_due(upkeep, &options, &report, &fixture->base.err), MOR_OK);
    assert_int_equal(report.commits, 1);
    check_scan(fixture);
    iceberg_relocate(fixture, upkeep);
    mor_table_free(upkeep);
}

static void tables_of_version_2_are_kept_small(void **state)
{
    check_upkeep(*state);
}

static void tables_of_version_3_are_kept_small(void **state)
{
    struct iceberg_fixture *fixture = *state;
    fixture->base.options.format_version = 3;
    check_upkeep(fixture);
}

static void forget(struct iceberg_fixture *fixture, const char *id)
{
    struct model_row *row = model_find(fixture, id);
    assert_non_null(row);
    *row = fixture->rows[--fixture->row_count];
}

static void rows_are_erased_by_key_and_condition(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const char *const keys[] = {"k41", "k46", "never there"};
    struct mor_error *err = &fixture->base.err;
    struct mor_erase_options options = {.keys = keys, .key_count = 3, .dry_run = true};
    struct mor_erase_report report;
    struct mor_filter *filter = NULL;
    table_open(&fixture->base);
    fill(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    if (mor_erase(upkeep, &options, &report, err) != MOR_OK)
        fail_msg("%s", err->message);
    assert_int_equal(report.rows, 2);
    assert_int_equal(report.commits, 0);
    check_scan(fixture);
    options.dry_run = false;
    assert_int_equal(mor_erase(upkeep, &options, &report, err), MOR_OK);
    assert_int_equal(report.rows, 2);
    assert_int_equal(report.commits, 1);
    forget(fixture, "k41");
    forget(fixture, "k46");
    check_scan(fixture);
    iceberg_check(fixture);
    // again: there is nothing, and no commit
    assert_int_equal(mor_erase(upkeep, &options, &report, err), MOR_OK);
    assert_int_equal(report.rows, 0);
    assert_int_equal(report.commits, 0);
    struct mor_arena arena;
    struct mor_trace *traces = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_trace_rows(upkeep, &options, &arena, &traces, &count, err), MOR_OK);
    assert_true(count > 0);
    assert_non_null(strstr(traces[0].file, "data/"));
    mor_arena_done(&arena);
    assert_int_equal(mor_filter_parse(upkeep, "value >= 500 and value < 510", &filter, err),
                     MOR_OK);
    options = (struct mor_erase_options){.filter = filter};
    assert_int_equal(mor_erase(upkeep, &options, &report, err), MOR_OK);
    assert_true(report.rows > 0);
    size_t left = 0;
    for (size_t i = 0; i < fixture->row_count; i++) {
        if (fixture->rows[i].value < 500 || fixture->rows[i].value >= 510)
            fixture->rows[left++] = fixture->rows[i];
    }
    assert_int_equal(fixture->row_count - left, report.rows);
    fixture->row_count = left;
    check_scan(fixture);
    mor_filter_free(filter);
    mor_table_free(upkeep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_of_version_2_are_kept_small, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(tables_of_version_3_are_kept_small, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(rows_are_erased_by_key_and_condition, iceberg_setup,
                                        iceberg_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
