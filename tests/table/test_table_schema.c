#include "table_test.h"

#include "table_format.h"

static void hudi_types_are_those_that_every_reader_takes(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("s"), *normal = NULL;
    mor_schema_add(schema, NULL, "t", MOR_TYPE_TIMESTAMP_MILLIS, false);
    mor_schema_add(schema, NULL, "u", MOR_TYPE_UUID, false);
    mor_schema_add(schema, NULL, "m", MOR_TYPE_TIME_MILLIS, false);
    mor_schema_add(schema, NULL, "f", MOR_TYPE_FIXED, false)->fixed_size_bytes = 4;
    struct mor_field *map = mor_schema_add(schema, NULL, "map", MOR_TYPE_MAP, false);
    mor_schema_add(schema, map, "key", MOR_TYPE_INT32, false);
    mor_schema_add(schema, map, "value", MOR_TYPE_ENUM, false);
    assert_int_equal(mor_table_normalise_schema(MOR_FORMAT_HUDI, schema, &normal, &err), MOR_OK);
    const struct mor_field *fields = normal->root.children;
    static const enum mor_type types[] = {MOR_TYPE_TIMESTAMP_MICROS, MOR_TYPE_STRING,
                                          MOR_TYPE_INT32, MOR_TYPE_BYTES, MOR_TYPE_MAP};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(fields[i].type, types[i]);
        assert_true(fields[i].nullable);
    }
    assert_int_equal(fields[4].children[0].type, MOR_TYPE_STRING);
    assert_false(fields[4].children[0].nullable);
    assert_int_equal(fields[4].children[1].type, MOR_TYPE_STRING);
    mor_schema_free(normal);
    mor_schema_free(schema);
}

static void reserved_and_impossible_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"_hoodie_commit_time", "a-b", "1a", "", "ü"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema *schema = mor_schema_new("s"), *normal = NULL;
        mor_schema_add(schema, NULL, names[i], MOR_TYPE_INT32, true);
        assert_int_equal(mor_table_normalise_schema(MOR_FORMAT_HUDI, schema, &normal, &err),
                         MOR_FATAL);
        mor_schema_free(schema);
    }
}

static enum mor_status try_open(struct table_fixture *fixture)
{
    fixture->err = MOR_ERROR_INIT;
    return mor_table_open_write(&fixture->options, &fixture->table, &fixture->err);
}

static void key_ordering_and_partition_columns_must_exist_and_fit(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const missing[] = {"nothing"};
    fixture->options.key_columns = missing;
    assert_int_equal(try_open(fixture), MOR_FATAL);
    fixture->options.key_columns = fixture_keys;
    fixture->options.ordering_column = "nothing";
    assert_int_equal(try_open(fixture), MOR_FATAL);
    fixture->options.ordering_column = NULL;
    assert_int_equal(try_open(fixture), MOR_FATAL);
    fixture->options.ordering_column = "updated";
    static const struct mor_partition_field by_value[] = {{"value", MOR_TRANSFORM_DAY, 0}};
    fixture->options.partition_fields = by_value;
    assert_int_equal(try_open(fixture), MOR_FATAL);
    static const struct mor_partition_field by_time[] = {{"created_at", MOR_TRANSFORM_IDENTITY, 0}};
    fixture->options.partition_fields = by_time;
    assert_int_equal(try_open(fixture), MOR_FATAL);
    fixture->options.partition_fields = fixture_partition;
    fixture->options.bucket_count = 0;
    assert_int_equal(try_open(fixture), MOR_FATAL);
}

static void reading_where_no_table_is_is_not_found(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_table *table = NULL;
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &table, &fixture->err),
                     MOR_NOT_FOUND);
    assert_int_equal(mor_table_open_read(fixture->root, NULL, &table, &fixture->err),
                     MOR_NOT_FOUND);
    fixture->options.format = MOR_FORMAT_DELTA;
    assert_int_equal(try_open(fixture), MOR_FATAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hudi_types_are_those_that_every_reader_takes),
        cmocka_unit_test(reserved_and_impossible_names_are_refused),
        TEST(key_ordering_and_partition_columns_must_exist_and_fit),
        TEST(reading_where_no_table_is_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
