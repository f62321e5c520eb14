// Memory is refused during a commit of a Hudi table: from opening it to freeing it.
#include "../table/table_test.h"
#include "alloc_fault.h"
#include "moraine/base/memory.h"
#include "moraine/merge.h"

static const struct table_row first_rows[] = {{"a", 1, 0, 1, false}, {"b", 2, 1, 1, false}};
// an update, inserts, a delete; two file groups exist, one is new
static const struct table_row second_rows[] = {
    {"a", 10, 0, 2, false}, {"c", 3, 0, 2, false}, {"d", 4, 2, 2, false}, {"b", 2, 1, 2, true}};

struct work {
    struct table_fixture *fixture;
    char *kept; // the table as every process finds it
    struct mor_uuid batch;
};

// `to` becomes a copy of `from`.
static void copy_folder(const char *from, const char *to)
{
    MOR_AUTO_FREE char *command = mor_asprintf("rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

static void bring_back(void *context)
{
    struct work *work = context;
    copy_folder(work->kept, work->fixture->location);
}

static enum mor_status open_and_commit(void *context, struct mor_error *err)
{
    struct work *work = context;
    struct table_fixture *fixture = work->fixture;
    fixture->err = MOR_ERROR_INIT;
    enum mor_status status =
        mor_table_open_write(&fixture->options, &fixture->table, &fixture->err);
    if (status == MOR_OK)
        status = table_commit_batch(fixture, &work->batch, second_rows, 4, "1", "2", NULL);
    table_close(fixture);
    *err = fixture->err;
    return status;
}

// Sum of `value`, over all rows that a reader sees.
static int sum_of_rows(struct table_fixture *fixture, size_t *ret_count)
{
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    if (mor_table_open_read(fixture->location, NULL, &table, &fixture->err) != MOR_OK ||
        mor_scan_open(table, &(struct mor_scan_options){0}, &scan, &fixture->err) != MOR_OK)
        fail_msg("%s", fixture->err.message);
    const struct mor_schema *schema = mor_scan_schema(scan);
    size_t value = 0;
    while (strcmp(schema->root.children[value].name, "value") != 0)
        value++;
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    int sum = 0;
    *ret_count = 0;
    do {
        if (mor_scan_next(scan, batch, &fixture->err) != MOR_OK)
            fail_msg("%s", fixture->err.message);
        for (size_t row = 0; row < batch->row_count; row++)
            sum += mor_vector_i32(&batch->columns[value], row);
        *ret_count += batch->row_count;
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return sum;
}

static void look(void *context, enum alloc_outcome outcome)
{
    struct work *work = context;
    struct table_fixture *fixture = work->fixture;
    size_t count = 0;
    int sum = sum_of_rows(fixture, &count);
    bool committed = count == 3 && sum == 17;
    if (!committed && (count != 2 || sum != 3))
        fail_msg("%zu rows that sum up to %d", count, sum);
    assert_true(committed || outcome != ALLOC_DONE);
    // who comes next finds out what happened, and finishes
    table_open(fixture);
    bool has = false;
    if (mor_table_has_batch(fixture->table, &work->batch, &has, &fixture->err) != MOR_OK)
        fail_msg("%s", fixture->err.message);
    if (!has && table_commit_batch(fixture, &work->batch, second_rows, 4, "1", "2", NULL) != MOR_OK)
        fail_msg("%s", fixture->err.message);
    table_close(fixture);
    sum = sum_of_rows(fixture, &count);
    assert_int_equal(count, 3);
    assert_int_equal(sum, 17);
}

static void sweep(struct table_fixture *fixture, const char *name, int32_t version)
{
    fixture->options.hudi_table_version = version;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_close(fixture);
    struct work work = {
        .fixture = fixture, .kept = mor_asprintf("%s/kept", fixture->root), .batch = mor_uuid_v7()};
    copy_folder(fixture->location, work.kept);
    struct alloc_work swept = {.name = name,
                               .context = &work,
                               .before = bring_back,
                               .run = open_and_commit,
                               .after = look};
    alloc_fault_sweep(&swept);
    free(work.kept);
}

static void commits_survive_refused_memory_in_version_6(void **state)
{
    sweep(*state, "commit, Hudi 6", 6);
}

static void commits_survive_refused_memory_in_version_9(void **state)
{
    sweep(*state, "commit, Hudi 9", 9);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(commits_survive_refused_memory_in_version_6),
        TEST(commits_survive_refused_memory_in_version_9),
    };
    return cmocka_run_group_tests_name("allocation faults: table", tests, NULL, NULL);
}
