#include "table_test.h"

#include <jansson.h>

static const struct table_row rows[] = {
    {"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}, {"c", 3, 1, 10, false}};

static void history_lists_commits_with_counts_and_properties(void **state)
{
    struct table_fixture *fixture = *state;
    for (int version = 6; version <= 9; version += 3) {
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        table_open(fixture);
        table_must_commit(fixture, rows, 3, NULL, "1");
        table_must_commit(fixture, rows, 2, "1", "2");
        struct mor_arena arena;
        mor_arena_init(&arena, 0, NULL);
        struct mor_commit_info *commits = NULL;
        size_t count = 0;
        assert_int_equal(mor_table_history(fixture->table, &arena, &commits, &count, &fixture->err),
                         MOR_OK);
        assert_int_equal(count, 2);
        assert_string_equal(commits[0].operation, "upsert");
        assert_int_equal(commits[0].rows_written, 3);
        assert_int_equal(commits[1].rows_written, 2);
        assert_true(commits[0].bytes_added > 0);
        assert_true(strcmp(commits[0].version, commits[1].version) < 0);
        assert_true(commits[0].time_ms <= commits[1].time_ms);
        bool found = false, checkpoint = false;
        for (size_t i = 0; i < commits[1].property_count; i++) {
            const struct mor_property *property = &commits[1].properties[i];
            found |= strcmp(property->key, "moraine") == 0 && strcmp(property->value, "2") == 0;
            checkpoint |= strcmp(property->key, version == 6 ? "deltastreamer.checkpoint.key"
                                                             : "streamer.checkpoint.key.v2") == 0;
            assert_string_not_equal(property->key, "schema");
        }
        assert_true(found && checkpoint);
        mor_arena_done(&arena);
        table_close(fixture);
    }
}

static void description_states_what_the_table_is(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, rows, 3, NULL, "1");
    table_close(fixture);
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &fixture->table, &fixture->err),
                     MOR_OK);
    struct mor_buffer text = {0};
    assert_int_equal(mor_table_describe(fixture->table, &text, &fixture->err), MOR_OK);
    json_t *json = json_loadb((char *)text.data, text.size_bytes, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "format")), "hudi");
    assert_int_equal(json_integer_value(json_object_get(json, "format_version")), 6);
    assert_string_equal(json_string_value(json_object_get(json, "key")), "id");
    assert_int_equal(json_integer_value(json_object_get(json, "buckets")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "partitions")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "partition_by"), 0)),
                        "day(created_at)");
    assert_int_equal(json_array_size(json_object_get(json, "schema")), 4);
    json_decref(json);
    mor_buffer_done(&text);
}

static void slices_name_base_and_deltas(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.bucket_count = 1;
    table_open(fixture);
    table_must_commit(fixture, rows, 2, NULL, "1");
    table_must_commit(fixture, rows, 2, "1", "2");
    table_must_commit(fixture, rows, 1, "2", "3");
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_slices(fixture->table, NULL, &arena, &slices, &count, &fixture->err),
                     MOR_OK);
    assert_int_equal(count, 1);
    assert_non_null(slices[0].base_key);
    assert_int_equal(slices[0].delta_count, 2);
    assert_true(strcmp(slices[0].delta_keys[0], slices[0].delta_keys[1]) < 0);
    struct mor_object_info info;
    assert_int_equal(
        mor_store_info(mor_table_store(fixture->table), slices[0].base_key, &info, &fixture->err),
        MOR_OK);
    assert_int_equal(info.size_bytes, slices[0].base_size_bytes);
    mor_arena_done(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(history_lists_commits_with_counts_and_properties),
        TEST(description_states_what_the_table_is),
        TEST(slices_name_base_and_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
