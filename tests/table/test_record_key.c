#include "table_test.h"

#include "moraine/base/hash.h"
#include "record_key.h"

struct key_fixture {
    struct mor_schema *schema;
    struct mor_batch *batch;
    struct mor_table table;
    int32_t columns[2];
};

// Rows of two nullable strings; key_count of them are the key.
static void key_init(struct key_fixture *fixture, size_t key_count)
{
    fixture->schema = mor_schema_new("s");
    mor_schema_add(fixture->schema, NULL, "a", MOR_TYPE_STRING, true);
    mor_schema_add(fixture->schema, NULL, "b", MOR_TYPE_STRING, true);
    fixture->batch = mor_batch_new(fixture->schema, NULL);
    fixture->columns[0] = 0;
    fixture->columns[1] = 1;
    fixture->table = (struct mor_table){
        .schema = fixture->schema, .key_columns = fixture->columns, .key_column_count = key_count};
}

static void key_done(struct key_fixture *fixture)
{
    mor_batch_free(fixture->batch);
    mor_schema_free(fixture->schema);
}

static void add_row(struct key_fixture *fixture, const char *a, const char *b)
{
    const char *values[] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (values[i])
            mor_vector_append_bytes(&fixture->batch->columns[i], values[i], strlen(values[i]));
        else
            mor_vector_append_null(&fixture->batch->columns[i]);
    }
    fixture->batch->row_count++;
}

// NULL when the row has no key.
static const char *key_of(struct key_fixture *fixture, size_t row, int32_t *ret_hash)
{
    static char text[256];
    struct mor_buffer key = {0};
    const char *problem =
        mor_record_key_append(&fixture->table, fixture->batch->columns, row, &key, ret_hash);
    snprintf(text, sizeof text, "%s", problem ? "" : mor_buffer_terminate(&key));
    mor_buffer_done(&key);
    return problem ? NULL : text;
}

static void single_key_is_the_bare_value_and_null_or_empty_is_none(void **state)
{
    (void)state;
    struct key_fixture fixture;
    key_init(&fixture, 1);
    add_row(&fixture, "abc", NULL);
    add_row(&fixture, NULL, NULL);
    add_row(&fixture, "", NULL);
    assert_string_equal(key_of(&fixture, 0, NULL), "abc");
    assert_null(key_of(&fixture, 1, NULL));
    assert_null(key_of(&fixture, 2, NULL));
    key_done(&fixture);
}

static void bucket_of_a_single_key_is_that_of_java(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t buckets, bucket;
    } vectors[] = {{"abc", 4, 1},
                   {"1", 4, 0},
                   {"TXN-001", 16, 13},
                   {"334e26e9-8355-45cc-97c6-c31daf0df330", 8, 3}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct key_fixture fixture;
        key_init(&fixture, 1);
        add_row(&fixture, vectors[i].key, NULL);
        int32_t hash = 0;
        assert_non_null(key_of(&fixture, 0, &hash));
        assert_int_equal(mor_record_key_bucket(hash, vectors[i].buckets), vectors[i].bucket);
        key_done(&fixture);
    }
}

static void composite_key_joins_names_and_values(void **state)
{
    (void)state;
    struct key_fixture fixture;
    key_init(&fixture, 2);
    add_row(&fixture, "x", "y");
    add_row(&fixture, NULL, "y");
    add_row(&fixture, "x", "");
    add_row(&fixture, NULL, "");
    int32_t hash = 0;
    assert_string_equal(key_of(&fixture, 0, &hash), "a:x,b:y");
    int32_t list = (31 * (31 * 1 + 'x')) + 'y';
    assert_int_equal(hash, list);
    assert_string_equal(key_of(&fixture, 1, NULL), "a:__null__,b:y");
    assert_string_equal(key_of(&fixture, 2, NULL), "a:x,b:__empty__");
    assert_null(key_of(&fixture, 3, NULL));
    key_done(&fixture);
}

static void composite_key_that_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    struct key_fixture fixture;
    key_init(&fixture, 2);
    add_row(&fixture, "x,b:y", "z");
    add_row(&fixture, "x", "y,b:z");
    add_row(&fixture, "__null__", "z");
    add_row(&fixture, "x,b", ":y");
    assert_null(key_of(&fixture, 0, NULL));
    assert_string_equal(key_of(&fixture, 1, NULL), "a:x,b:y,b:z");
    assert_null(key_of(&fixture, 2, NULL));
    assert_string_equal(key_of(&fixture, 3, NULL), "a:x,b,b::y");
    key_done(&fixture);
}

static void numbers_are_keys_in_decimal(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("s");
    mor_schema_add(schema, NULL, "n", MOR_TYPE_INT64, true);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    int32_t column = 0;
    struct mor_table table = {.schema = schema, .key_columns = &column, .key_column_count = 1};
    static const int64_t values[] = {0, -1, INT64_MIN, INT64_MAX};
    static const char *const texts[] = {"0", "-1", "-9223372036854775808", "9223372036854775807"};
    for (size_t i = 0; i < 4; i++) {
        mor_vector_append_fixed(&batch->columns[0], &values[i]);
        struct mor_buffer key = {0};
        assert_null(mor_record_key_append(&table, batch->columns, i, &key, NULL));
        assert_string_equal(mor_buffer_terminate(&key), texts[i]);
        mor_buffer_done(&key);
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_key_is_the_bare_value_and_null_or_empty_is_none),
        cmocka_unit_test(bucket_of_a_single_key_is_that_of_java),
        cmocka_unit_test(composite_key_joins_names_and_values),
        cmocka_unit_test(composite_key_that_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(numbers_are_keys_in_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
