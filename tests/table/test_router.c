#include "table_test.h"

static void rows_of_one_key_and_day_share_a_group_and_hash(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    const struct table_row rows[] = {
        {"a", 1, 0, 1, false}, {"a", 2, 0, 2, false}, {"a", 3, 1, 3, false}, {"b", 4, 0, 1, false}};
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 4);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t groups[4];
    struct mor_hash128 keys[4];
    mor_router_route(router, batch, 0, 4, NULL, groups, keys);
    assert_int_equal(groups[0], groups[1]);
    assert_int_not_equal(groups[0], groups[2]);
    assert_memory_equal(&keys[0], &keys[2], sizeof keys[0]);
    assert_memory_not_equal(&keys[0], &keys[3], sizeof keys[0]);
    const char *partition;
    int32_t bucket, other_bucket;
    mor_router_group(router, groups[0], &partition, &bucket);
    assert_string_equal(partition, "created_at_day=2026-01-01");
    mor_router_group(router, groups[2], &partition, &other_bucket);
    assert_string_equal(partition, "created_at_day=2026-01-02");
    assert_int_equal(bucket, other_bucket);
    mor_router_free(router);
    mor_batch_free(batch);
}

static void tombstones_know_their_bucket_only(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    const struct table_row rows[] = {{"a", 0, -1, 0, true}, {"a", 1, 0, 1, false}};
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 2);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t groups[2];
    const bool keys_only[] = {true, false};
    mor_router_route(router, batch, 0, 2, keys_only, groups, NULL);
    assert_true(groups[0] & MOR_GROUP_ANY_PARTITION);
    const char *partition = "x", *other;
    int32_t bucket, other_bucket;
    mor_router_group(router, groups[0], &partition, &bucket);
    assert_null(partition);
    mor_router_group(router, groups[1], &other, &other_bucket);
    assert_int_equal(bucket, other_bucket);
    mor_router_free(router);
    mor_batch_free(batch);
}

static void rows_without_key_or_ordering_are_invalid_and_explained(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    const struct table_row rows[] = {
        {NULL, 1, 0, 1, false}, {"", 1, 0, 1, false}, {"a", 1, -1, 1, false}};
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 3);
    mor_vector_truncate(&batch->columns[3], 2);
    mor_vector_append_null(&batch->columns[3]);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t groups[3];
    mor_router_route(router, batch, 0, 3, NULL, groups, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(groups[i], MOR_GROUP_INVALID);
        mor_router_explain(router, batch, i, &fixture->err);
        assert_int_equal(fixture->err.status, MOR_DATA);
    }
    assert_non_null(strstr(fixture->err.message, "ordering"));
    mor_router_free(router);
    mor_batch_free(batch);
}

static void null_and_empty_partition_values_share_the_null_partition(void **state)
{
    struct table_fixture *fixture = *state;
    static const struct mor_partition_field by_id[] = {{"id", MOR_TRANSFORM_IDENTITY, 0}};
    fixture->options.partition_fields = by_id;
    fixture->options.key_column_count = 0;
    fixture->options.ordering_column = NULL;
    table_open(fixture);
    const struct table_row rows[] = {
        {NULL, 1, 0, 1, false}, {"", 1, 0, 1, false}, {"a/b=%", 1, 0, 1, false}};
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 3);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t groups[3];
    mor_router_route(router, batch, 0, 3, NULL, groups, NULL);
    assert_int_equal(groups[0], groups[1]);
    const char *partition;
    int32_t bucket;
    mor_router_group(router, groups[0], &partition, &bucket);
    assert_string_equal(partition, "id=__HIVE_DEFAULT_PARTITION__");
    assert_int_equal(bucket, -1);
    mor_router_group(router, groups[2], &partition, &bucket);
    assert_string_equal(partition, "id=a%2Fb%3D%25");
    mor_router_free(router);
    mor_batch_free(batch);
}

static void partition_value_too_long_for_a_directory_is_invalid(void **state)
{
    struct table_fixture *fixture = *state;
    static const struct mor_partition_field by_id[] = {{"id", MOR_TRANSFORM_IDENTITY, 0}};
    fixture->options.partition_fields = by_id;
    table_open(fixture);
    char id[300];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    const struct table_row rows[] = {{id, 1, 0, 1, false}, {id + 60, 1, 0, 1, false}};
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 2);
    struct mor_router *router = mor_router_new(fixture->table);
    uint32_t groups[2];
    mor_router_route(router, batch, 0, 2, NULL, groups, NULL);
    assert_int_equal(groups[0], MOR_GROUP_INVALID);
    assert_int_not_equal(groups[1], MOR_GROUP_INVALID);
    mor_router_explain(router, batch, 0, &fixture->err);
    assert_non_null(strstr(fixture->err.message, "too long"));
    mor_router_free(router);
    mor_batch_free(batch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(rows_of_one_key_and_day_share_a_group_and_hash),
        TEST(tombstones_know_their_bucket_only),
        TEST(rows_without_key_or_ordering_are_invalid_and_explained),
        TEST(null_and_empty_partition_values_share_the_null_partition),
        TEST(partition_value_too_long_for_a_directory_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
