#include "check.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_spec.h"
#include "moraine/base/clock.h"
#include "moraine/base/uuid.h"

static struct mor_error err;

static int setup(void **state)
{
    (void)state;
    err = MOR_ERROR_INIT;
    return 0;
}

static struct iceberg_transform transform_of(const char *text)
{
    struct iceberg_transform transform = {0};
    assert_ok(iceberg_transform_parse(text, &transform, &err));
    return transform;
}

// ---- hashes and buckets (specification, Appendix B) ---------------------------------------------

static int32_t hash_of(const void *bytes, size_t size_bytes)
{
    return (int32_t)iceberg_murmur3(bytes, size_bytes);
}

static int32_t hash_long(int64_t value)
{
    return hash_of(&value, sizeof value);
}

static void hashes_are_those_of_the_specification(void **state)
{
    (void)state;
    struct mor_uuid uuid;
    static const char text[] = "f79c3e09-677c-4bbd-a479-3f349cb785e7";
    assert_true(mor_uuid_parse(text, strlen(text), &uuid));
    int64_t second = 1000000, moment = 0;
    assert_true(mor_parse_timestamp("2017-11-16T22:31:08", 19, &moment));
    assert_int_equal(hash_long(34), 2017239379);
    assert_int_equal(hash_long(-1), 1651860712);
    assert_int_equal(hash_long(0), 1669671676);
    assert_int_equal(hash_of("iceberg", 7), 1210000089);
    assert_int_equal(hash_of("", 0), 0);
    assert_int_equal(hash_of("\x05\x8c", 2), -500754589); // 14.20
    assert_int_equal(hash_long(mor_days_from_civil((struct mor_civil){2017, 11, 16})), -653330422);
    assert_int_equal(hash_long((22 * 3600 + 31 * 60 + 8) * second), -662762989);
    assert_int_equal(hash_long(moment), -2047944441);
    assert_int_equal(hash_long(moment + 1), -1207196810);
    assert_int_equal(hash_of(uuid.bytes, sizeof uuid.bytes), 1488055340);
    assert_int_equal(hash_of("\0\x01\x02\x03", 4), -188683207);
}

// The int that a transform gives for a slot.
static int32_t int_of(const char *transform, struct mor_field *field, const void *slot)
{
    struct mor_vector vector;
    mor_vector_init(&vector, field, NULL);
    if (mor_type_width(field) > 0)
        mor_vector_append_fixed(&vector, slot);
    else
        mor_vector_append_bytes(&vector, slot, strlen(slot));
    struct mor_buffer bytes = {0};
    assert_true(iceberg_transform_slot(transform_of(transform), &vector, 0, &bytes));
    assert_int_equal(bytes.size_bytes, 4);
    int32_t number;
    memcpy(&number, bytes.data, sizeof number);
    mor_buffer_done(&bytes);
    mor_vector_done(&vector);
    return number;
}

static void buckets_are_those_of_the_specification(void **state)
{
    (void)state;
    struct mor_field field = {.name = "f", .type = MOR_TYPE_INT32};
    assert_int_equal(int_of("bucket[16]", &field, &(int32_t){34}), 3);
    field.type = MOR_TYPE_INT64;
    assert_int_equal(int_of("bucket[100]", &field, &(int64_t){34}), 79);
    field.type = MOR_TYPE_STRING;
    assert_int_equal(int_of("bucket[16]", &field, "iceberg"), 9);
    assert_int_equal(int_of("bucket[100]", &field, "iceberg"), 89);
    assert_int_equal(int_of("bucket[100]", &field, ""), 0);
    field = (struct mor_field){.name = "f", .type = MOR_TYPE_DECIMAL, .precision = 9, .scale = 2};
    assert_int_equal(int_of("bucket[16]", &field, &(mor_int128){1420}), 3);
    assert_int_equal(int_of("bucket[100]", &field, &(mor_int128){1420}), 59);
    field.type = MOR_TYPE_DATE;
    int32_t day = (int32_t)mor_days_from_civil((struct mor_civil){2017, 11, 16});
    assert_int_equal(int_of("bucket[16]", &field, &day), 10);
}

// ---- calendar -----------------------------------------------------------------------------------

static void times_before_1970_are_rounded_down(void **state)
{
    (void)state;
    struct mor_field stamp = {.name = "f", .type = MOR_TYPE_TIMESTAMP_MICROS};
    struct mor_field date = {.name = "f", .type = MOR_TYPE_DATE};
    int64_t before = -60000000; // 1969-12-31T23:59
    static const char *const kinds[] = {"year", "month", "day", "hour"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(int_of(kinds[i], &stamp, &before), -1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(int_of(kinds[i], &date, &(int32_t){-1}), -1);
    int64_t moment = 0;
    assert_true(mor_parse_timestamp("2017-11-16T22:31:08", 19, &moment));
    assert_int_equal(int_of("year", &stamp, &moment), 47);
    assert_int_equal(int_of("month", &stamp, &moment), 574);
    assert_int_equal(int_of("day", &stamp, &moment), 17486);
    assert_int_equal(int_of("hour", &stamp, &moment), 419686);
    assert_int_equal(int_of("day", &stamp, &(int64_t){0}), 0);
}

// ---- truncation ---------------------------------------------------------------------------------

static void truncation_goes_down_and_counts_code_points(void **state)
{
    (void)state;
    struct mor_field field = {.name = "f", .type = MOR_TYPE_INT32};
    assert_int_equal(int_of("truncate[10]", &field, &(int32_t){1}), 0);
    assert_int_equal(int_of("truncate[10]", &field, &(int32_t){-1}), -10);
    assert_int_equal(int_of("truncate[10]", &field, &(int32_t){-10}), -10);
    field.type = MOR_TYPE_STRING;
    assert_int_equal(int_of("truncate[2]", &field, "\xc3\xa4\xc3\xb6\xc3\xbc"),
                     (int32_t)0xb6c3a4c3);
    field = (struct mor_field){.name = "f", .type = MOR_TYPE_DECIMAL, .precision = 9, .scale = 2};
    struct mor_buffer bytes = {0};
    struct iceberg_value value = {(const uint8_t *)"\xf7", 1}; // -0.09
    assert_true(iceberg_transform_value(transform_of("truncate[50]"), &field, value, &bytes));
    assert_int_equal(bytes.size_bytes, 1);
    assert_int_equal((int8_t)bytes.data[0], -50);
    mor_buffer_done(&bytes);
}

static void transforms_are_read_and_nonsense_is_told(void **state)
{
    (void)state;
    assert_int_equal(transform_of("bucket[16]").width, 16);
    assert_int_equal(transform_of("void").kind, ICEBERG_VOID);
    assert_int_equal(transform_of("zorder").kind, ICEBERG_TRANSFORM_UNKNOWN);
    assert_int_equal(transform_of("days").kind, ICEBERG_TRANSFORM_UNKNOWN);
    static const char *const wrong[] = {"bucket",    "bucket[]",     "bucket[0]",
                                        "bucket[16", "truncate[-1]", "bucket[4294967296]",
                                        "bucket[1]x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct iceberg_transform transform;
        assert_fails(iceberg_transform_parse(wrong[i], &transform, &err), MOR_DATA, "width");
    }
}

// ---- specs --------------------------------------------------------------------------------------

static struct mor_schema *orders(void)
{
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, false)->field_id = 1;
    mor_schema_add(schema, NULL, "region", MOR_TYPE_STRING, true)->field_id = 2;
    mor_schema_add(schema, NULL, "at", MOR_TYPE_TIMESTAMP_MICROS, true)->field_id = 3;
    struct mor_field *nested = mor_schema_add(schema, NULL, "s", MOR_TYPE_STRUCT, true);
    nested->field_id = 4;
    mor_schema_add(schema, nested, "n", MOR_TYPE_INT32, true)->field_id = 5;
    return schema;
}

static struct iceberg_spec *bind(const struct mor_schema *schema, json_t *take_json)
{
    struct iceberg_spec *spec = NULL;
    assert_ok(iceberg_spec_from_json(take_json, schema, &spec, &err));
    json_decref(take_json);
    return spec;
}

static void a_new_spec_is_named_as_spark_names_it(void **state)
{
    (void)state;
    struct mor_schema *schema = orders();
    const struct iceberg_spec_wish wishes[] = {
        {"at", {ICEBERG_DAY, 0}}, {"region", {ICEBERG_IDENTITY, 0}}, {"id", {ICEBERG_BUCKET, 4}}};
    int32_t last = 999;
    json_t *json = NULL;
    assert_ok(iceberg_spec_make(schema, wishes, 3, 0, &last, &json, &err));
    assert_int_equal(last, 1002);
    struct mor_buffer text = {0};
    iceberg_json_format(json, &text);
    assert_string_equal(
        (char *)text.data,
        "{\"spec-id\":0,\"fields\":["
        "{\"source-id\":3,\"field-id\":1000,\"name\":\"at_day\",\"transform\":\"day\"},"
        "{\"source-id\":2,\"field-id\":1001,\"name\":\"region\",\"transform\":\"identity\"},"
        "{\"source-id\":1,\"field-id\":1002,\"name\":\"id_bucket\",\"transform\":\"bucket[4]\"}]}");
    mor_buffer_done(&text);
    struct iceberg_spec *spec = bind(schema, json_incref(json));
    json_t *again = iceberg_spec_to_json(spec);
    assert_true(json_equal(json, again));
    assert_true(iceberg_spec_matches(spec, wishes, 3));
    assert_false(iceberg_spec_matches(spec, wishes, 2));
    assert_ok(iceberg_spec_check_writable(spec, &err));
    json_decref(again);
    json_decref(json);
    iceberg_spec_free(spec);

    mor_schema_add(schema, NULL, "at_day", MOR_TYPE_DATE, true)->field_id = 6;
    assert_fails(iceberg_spec_make(schema, wishes, 1, 0, &last, &json, &err), MOR_FATAL,
                 "'at_day', as a column is");
    const struct iceberg_spec_wish wrong[] = {{"region", {ICEBERG_DAY, 0}}};
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_spec_make(schema, wrong, 1, 0, &last, &json, &err), MOR_FATAL,
                 "cannot partition by day of column 'region'");
    mor_schema_free(schema);
}

static void tuples_and_folders_of_rows(void **state)
{
    (void)state;
    struct mor_schema *schema = orders();
    struct iceberg_spec *spec = bind(
        schema, json_pack("{s:i, s:[{s:i,s:i,s:s,s:s},{s:i,s:i,s:s,s:s},{s:i,s:i,s:s,s:s},"
                          "{s:i,s:i,s:s,s:s}]}",
                          "spec-id", 2, "fields", "source-id", 3, "field-id", 1000, "name",
                          "at_day", "transform", "day", "source-id", 2, "field-id", 1001, "name",
                          "region", "transform", "identity", "source-id", 5, "field-id", 1002,
                          "name", "n/m", "transform", "truncate[10]", "source-id", 3, "field-id",
                          1003, "name", "at_hour", "transform", "hour"));
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int64_t i = 0; i < 2; i++) {
        int64_t at = -1;
        int32_t n = -5;
        mor_vector_append_fixed(&batch->columns[0], &i);
        if (i == 0) {
            mor_vector_append_bytes(&batch->columns[1], "a/b=\xc3\xa4 %", 8);
            mor_vector_append_fixed(&batch->columns[2], &at);
            mor_vector_append_fixed(&batch->columns[3].children[0], &n);
            mor_vector_append_end(&batch->columns[3]);
        } else {
            mor_vector_append_bytes(&batch->columns[1], "", 0);
            mor_vector_append_null(&batch->columns[2]);
            mor_vector_append_null(&batch->columns[3]);
        }
        batch->row_count++;
    }
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct iceberg_value first[4], second[4], again[4];
    iceberg_spec_tuple(spec, batch, 0, &arena, first);
    iceberg_spec_tuple(spec, batch, 1, &arena, second);
    iceberg_spec_tuple(spec, batch, 0, &arena, again);
    assert_true(iceberg_tuple_equal(first, again, 4));
    assert_false(iceberg_tuple_equal(first, second, 4));
    struct mor_buffer path = {0};
    iceberg_spec_path(spec, first, &path);
    assert_string_equal(mor_buffer_terminate(&path),
                        "at_day=1969-12-31/region=a%2Fb%3D%C3%A4%20%25/n%2Fm=-10/"
                        "at_hour=1969-12-31-23");
    mor_buffer_reset(&path);
    iceberg_spec_path(spec, second, &path);
    assert_string_equal(mor_buffer_terminate(&path), "at_day=null/region=/n%2Fm=null/at_hour=null");
    mor_buffer_done(&path);
    mor_arena_done(&arena);
    mor_batch_free(batch);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

static void specs_of_others_are_read_but_not_written(void **state)
{
    (void)state;
    struct mor_schema *schema = orders();
    struct iceberg_spec *spec =
        bind(schema, json_pack("{s:i, s:[{s:i,s:i,s:s,s:s}]}", "spec-id", 0, "fields", "source-id",
                               3, "field-id", 1000, "name", "z", "transform", "zorder[3]"));
    assert_fails(iceberg_spec_check_writable(spec, &err), MOR_FATAL, "zorder[3]");
    iceberg_spec_free(spec);
    spec =
        bind(schema, json_pack("{s:i, s:[{s:i,s:i,s:s,s:s}]}", "spec-id", 0, "fields", "source-id",
                               77, "field-id", 1000, "name", "gone", "transform", "identity"));
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_spec_check_writable(spec, &err), MOR_FATAL, "'gone'");
    iceberg_spec_free(spec);
    json_t *json = json_pack("{s:i, s:[{s:i,s:i,s:s,s:s}]}", "spec-id", 0, "fields", "source-id", 2,
                             "field-id", 1000, "name", "d", "transform", "day");
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_spec_from_json(json, schema, &spec, &err), MOR_DATA,
                 "partition spec 0, field 0: day does not take column 'region'");
    json_decref(json);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hashes_are_those_of_the_specification, setup),
        cmocka_unit_test_setup(buckets_are_those_of_the_specification, setup),
        cmocka_unit_test_setup(times_before_1970_are_rounded_down, setup),
        cmocka_unit_test_setup(truncation_goes_down_and_counts_code_points, setup),
        cmocka_unit_test_setup(transforms_are_read_and_nonsense_is_told, setup),
        cmocka_unit_test_setup(a_new_spec_is_named_as_spark_names_it, setup),
        cmocka_unit_test_setup(tuples_and_folders_of_rows, setup),
        cmocka_unit_test_setup(specs_of_others_are_read_but_not_written, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
