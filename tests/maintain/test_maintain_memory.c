// Merging a file group that is many times what merging may use: the budget is looked at after every
// batch of rows.
#include "maintain_test.h"
#include "moraine/base/memory.h"

#define ROWS       150000
#define COMMITS    4
#define MEMORY     ((size_t)6 << 20)
#define PEAK_MAX   ((size_t)64 << 20) // blocks of logs and pages of files are held besides
#define ROWS_BYTES ((size_t)(COMMITS + 1) * ROWS * 200)

struct watch {
    struct mor_budget budget;
    size_t peak;
};

static bool note_peak(void *context)
{
    struct watch *watch = context;
    size_t used = mor_budget_used(&watch->budget);
    watch->peak = used > watch->peak ? used : watch->peak;
    return false;
}

// One commit of all keys, in the only file group.
static void commit_all(struct table_fixture *fixture, int number)
{
    struct mor_batch *batch = mor_batch_new(mor_table_schema(fixture->table), NULL);
    struct mor_row_ref *refs = mor_calloc(ROWS, sizeof *refs);
    for (int i = 0; i < ROWS; i++) {
        char id[128];
        int length = snprintf(id, sizeof id, "a key of some length, as many systems have it: %09d",
                              i * 7919 % ROWS);
        int64_t us = 1767225600000000 + i, updated = number;
        int32_t value = number;
        mor_vector_append_bytes(&batch->columns[0], id, (size_t)length);
        mor_vector_append_fixed(&batch->columns[1], &value);
        mor_vector_append_fixed(&batch->columns[2], &us);
        mor_vector_append_fixed(&batch->columns[3], &updated);
        batch->row_count++;
        refs[i].row = (uint32_t)i;
    }
    struct mor_change_group group = {
        .partition = "", .bucket = 0, .upserts = refs, .upsert_count = ROWS};
    struct mor_batch *const batches[] = {batch};
    const struct mor_change_set set = {
        .batches = batches, .batch_count = 1, .groups = &group, .group_count = 1};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    if (mor_write_group(write, &set, 0, &fixture->err) != MOR_OK ||
        mor_write_commit(write, NULL, 0, &result, &fixture->err) != MOR_OK)
        fail_msg("commit: %s", fixture->err.message);
    mor_write_free(write);
    mor_batch_free(batch);
    free(refs);
}

static void memory_does_not_follow_the_file_group(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        struct watch watch = {0};
        struct mor_compact_report report;
        struct mor_table *table = NULL;
        fixture->options.bucket_count = 1;
        fixture->options.partition_field_count = 0;
        table_open(fixture);
        for (int i = 0; i <= COMMITS; i++)
            commit_all(fixture, i);
        mor_budget_init(&watch.budget, (size_t)1 << 30);
        const struct mor_compact_options options = {.everything = true,
                                                    .memory_bytes_max = MEMORY,
                                                    .budget = &watch.budget,
                                                    .should_stop = note_peak,
                                                    .context = &watch};
        if (mor_table_open_rewrite(fixture->location, "test.memory", &watch.budget, &table,
                                   &fixture->err) != MOR_OK ||
            mor_compact(table, &options, &report, &fixture->err) != MOR_OK)
            fail_msg("compact: %s", fixture->err.message);
        mor_table_free(table);
        assert_int_equal(report.failed, 0);
        assert_int_equal(report.rows_written, ROWS);
        print_message("version %d: at most %zu KiB for %zu KiB of rows\n", version_,
                      watch.peak >> 10, ROWS_BYTES >> 10);
        assert_true(watch.peak > MEMORY / 4); // it is counted
        assert_true(watch.peak < PEAK_MAX);
        assert_int_equal(mor_budget_used(&watch.budget), 0);
        struct seen_rows seen = see_rows(fixture, NULL);
        assert_int_equal(seen.count, ROWS);
        assert_int_equal(seen.values, (int64_t)COMMITS * ROWS);
        table_close(fixture);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(memory_does_not_follow_the_file_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
