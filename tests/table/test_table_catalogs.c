// Tables named by their catalog, through the table's public face: made, written, read.
#include "moraine/table.h"
#include "rest_mock.h"

static struct mor_error err;

struct fixture {
    struct rest_mock mock;
    char *folder;
    struct mor_schema *schema;
};

static void know_catalog(struct fixture *fixture)
{
    const struct mor_table_catalog catalog = {
        .name = "lake",
        .uri = fixture->mock.server.url,
        .warehouse = "w/1",
        .credential = "me:s:cret",
    };
    mor_table_catalogs_set(&catalog, 1);
}

static int setup(void **state)
{
    struct fixture *fixture = mor_calloc(1, sizeof *fixture);
    err = MOR_ERROR_INIT;
    fixture->folder = check_folder();
    char *location = mor_asprintf("file://%s/wh/orders", fixture->folder);
    mock_start(&fixture->mock, location);
    snprintf(fixture->mock.token, sizeof fixture->mock.token, "none yet");
    free(location);
    fixture->schema = mor_schema_new("orders");
    mor_schema_add(fixture->schema, NULL, "id", MOR_TYPE_INT64, false);
    mor_schema_add(fixture->schema, NULL, "s", MOR_TYPE_STRING, true);
    know_catalog(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    mor_table_catalogs_set(NULL, 0);
    mock_stop(&fixture->mock);
    mor_schema_free(fixture->schema);
    char *command = mor_asprintf("rm -rf '%s'", fixture->folder);
    int failed = system(command);
    free(command);
    free(fixture->folder);
    free(fixture);
    return failed;
}

static struct mor_table *open_table(struct fixture *fixture)
{
    const struct mor_table_options options = {
        .format = MOR_FORMAT_ICEBERG,
        .location = "lake:a.b.orders",
        .schema = fixture->schema,
        .instance = "test",
        .format_version = 2,
    };
    struct mor_table *table = NULL;
    assert_ok(mor_table_open_write(&options, &table, &err));
    return table;
}

static void append(struct mor_table *table, int64_t first, size_t count, const char *offsets)
{
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    struct mor_row_ref rows[16];
    for (size_t i = 0; i < count; i++) {
        int64_t id = first + (int64_t)i;
        mor_vector_append_fixed(&batch->columns[0], &id);
        mor_vector_append_bytes(&batch->columns[1], "text", 4);
        batch->row_count++;
        rows[i] = (struct mor_row_ref){0, (uint32_t)i};
    }
    struct mor_change_group group = {
        .partition = "", .bucket = -1, .upserts = rows, .upsert_count = count};
    const struct mor_change_set changes = {
        .batches = &batch, .batch_count = 1, .groups = &group, .group_count = 1};
    const struct mor_property property = {"moraine", offsets};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    assert_ok(mor_write_begin(table, &id, &write, &err));
    assert_ok(mor_write_group(write, &changes, 0, &err));
    assert_ok(mor_write_commit(write, &property, 1, &result, &err));
    mor_write_free(write);
    mor_batch_free(batch);
}

static void a_table_of_a_catalog_is_made_written_and_read(void **state)
{
    struct fixture *fixture = *state;
    struct mor_table *table = open_table(fixture);
    append(table, 1, 3, "{\"offsets\":1}");
    fixture->mock.fault = MOCK_APPLY_500; // the answer is lost
    fixture->mock.faults_left = 1;
    append(table, 4, 2, "{\"offsets\":2}");
    mor_table_free(table);
    table = open_table(fixture); // it is there already
    append(table, 6, 1, "{\"offsets\":3}");
    mor_table_free(table);

    assert_ok(mor_table_open_read("lake:a.b.orders", NULL, &table, &err));
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *value = NULL;
    assert_ok(mor_table_property(table, "moraine", true, &arena, &value, &err));
    assert_string_equal(value, "{\"offsets\":3}");
    struct mor_slice *slices = NULL;
    size_t count = 0;
    assert_ok(mor_table_slices(table, NULL, &arena, &slices, &count, &err));
    assert_int_equal(count, 3);
    struct mor_commit_info *commits = NULL;
    assert_ok(mor_table_history(table, &arena, &commits, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(mor_table_name(table), "orders");
    mor_arena_done(&arena);
    mor_table_free(table);
}

static void names_that_lead_nowhere_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct mor_table *table = NULL;
    assert_fails(mor_table_open_read("lake:a.b.orders", NULL, &table, &err), MOR_NOT_FOUND,
                 "no table a.b.orders in catalog 'lake'");
    err = MOR_ERROR_INIT;
    assert_fails(mor_table_open_read("pond:a.b.orders", NULL, &table, &err), MOR_FATAL,
                 "no catalog 'pond' is configured");
    static const char *const names[] = {"lake:orders", "lake:.orders", "lake:a.", "lake:a..b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        err = MOR_ERROR_INIT;
        assert_fails(mor_table_open_read(names[i], NULL, &table, &err), MOR_FATAL,
                     "catalog:namespace.table");
    }
    const struct mor_table_options hudi = {
        .format = MOR_FORMAT_HUDI, .location = "lake:a.b.orders", .schema = fixture->schema};
    err = MOR_ERROR_INIT;
    assert_fails(mor_table_open_write(&hudi, &table, &err), MOR_FATAL, "only Iceberg");
}

static void files_that_lie_where_nothing_reaches_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct mor_table *table = NULL;
    snprintf(fixture->mock.location, sizeof fixture->mock.location, "s3://bucket/orders");
    const struct mor_table_options options = {.format = MOR_FORMAT_ICEBERG,
                                              .location = "lake:a.b.orders",
                                              .schema = fixture->schema,
                                              .format_version = 2};
    assert_fails(mor_table_open_write(&options, &table, &err), MOR_FATAL,
                 "the catalog keeps the table's files at 's3://bucket/orders'");
}

static void locations_and_names_in_catalogs_are_told_apart(void **state)
{
    (void)state;
    static const char *const names[] = {"lake:a.b", "lake:b"};
    static const char *const paths[] = {"/a/b:c",  "file:///a", "file:/a", "a",
                                        "a/b:c.d", "s3://b/x",  ":a",      "a:"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(mor_table_is_in_catalog(names[i]));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_false(mor_table_is_in_catalog(paths[i]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_table_of_a_catalog_is_made_written_and_read),
        TEST(names_that_lead_nowhere_are_told),
        TEST(files_that_lie_where_nothing_reaches_are_told),
        TEST(locations_and_names_in_catalogs_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
