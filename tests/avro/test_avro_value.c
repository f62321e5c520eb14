// Data as trees: fields by id and by name, damaged data.
#include "check.h"
#include "moraine/avro/value.h"

static const char schema_json[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"a\",\"type\":\"long\",\"field-id\":7},"
    "{\"name\":\"b\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"c\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k\","
    "\"fields\":[{\"name\":\"key\",\"type\":\"int\",\"field-id\":117},"
    "{\"name\":\"value\",\"type\":\"bytes\",\"field-id\":118}]}}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"double\"}},"
    "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"fx\",\"size\":2}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"record\",\"name\":\"empty\",\"fields\":[]}},"
    "{\"name\":\"o\",\"type\":\"boolean\"},{\"name\":\"g\",\"type\":\"float\"}]}";

static void put_datum(struct mor_buffer *data)
{
    mor_avro_put_long(data, -5);
    mor_avro_put_long(data, 1);
    mor_avro_put_bytes(data, "text", 4);
    for (int block = 0; block < 2; block++) { // two blocks of one item
        mor_avro_put_long(data, 1);
        mor_avro_put_long(data, block + 1);
        mor_avro_put_bytes(data, block ? "y" : "x", 1);
    }
    mor_avro_put_long(data, 0);
    mor_avro_put_long(data, 1);
    mor_avro_put_bytes(data, "pi", 2);
    mor_buffer_append(data, &(double){3.14}, 8);
    mor_avro_put_long(data, 0);
    mor_buffer_append(data, "\x01\x02", 2);
    mor_buffer_append_u8(data, 1);
    mor_buffer_append(data, &(float){0.5f}, 4);
}

static void test_fields_are_found_by_id_and_by_name(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    assert_ok(mor_avro_schema_parse(schema_json, strlen(schema_json), &schema, &err));
    MOR_AUTO_BUFFER data = {0};
    put_datum(&data);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_avro_value value;
    assert_ok(mor_avro_value_read(schema, data.data, data.size_bytes, &arena, &value, &err));
    assert_int_equal(mor_avro_value_field(&value, 7, "other")->as.number, -5);
    assert_null(mor_avro_value_field(&value, 8, "a")); // it has an id, and not this one
    assert_string_equal((const char *)mor_avro_value_field(&value, 8, "b")->as.blob.bytes, "text");
    const struct mor_avro_value *pairs = mor_avro_value_field(&value, -2, "c");
    assert_int_equal(pairs->as.list.count, 2);
    assert_int_equal(mor_avro_value_field(&pairs->as.list.items[1], 117, NULL)->as.number, 2);
    assert_memory_equal(mor_avro_value_field(&pairs->as.list.items[1], 118, NULL)->as.blob.bytes,
                        "y", 1);
    const struct mor_avro_value *map = mor_avro_value_field(&value, -2, "m");
    assert_int_equal(map->as.list.count, 1);
    assert_string_equal(
        (const char *)mor_avro_value_field(&map->as.list.items[0], -2, "key")->as.blob.bytes, "pi");
    assert_true(mor_avro_value_field(&map->as.list.items[0], -2, "value")->as.floating > 3.13);
    assert_int_equal(mor_avro_value_field(&value, -2, "f")->as.blob.size_bytes, 2);
    assert_int_equal(mor_avro_value_field(&value, -2, "e")->as.list.count, 0);
    assert_true(mor_avro_value_field(&value, -2, "o")->as.boolean);
    assert_true(mor_avro_value_field(&value, -2, "g")->as.floating == 0.5);
    assert_null(mor_avro_value_field(&map->as.list.items[0].as.list.items[0], 1, "key"));
    mor_arena_done(&arena);
    mor_avro_schema_free(schema);
}

static void test_every_prefix_of_a_datum_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    assert_ok(mor_avro_schema_parse(schema_json, strlen(schema_json), &schema, &err));
    MOR_AUTO_BUFFER data = {0};
    put_datum(&data);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_avro_value value;
    for (size_t size = 0; size < data.size_bytes; size++) {
        uint8_t *copy = malloc(size + 1); // so that a sanitizer sees what is read behind it
        memcpy(copy, data.data, size);
        assert_fails(mor_avro_value_read(schema, copy, size, &arena, &value, &err), MOR_DATA,
                     "Avro datum");
        free(copy);
    }
    mor_buffer_append_u8(&data, 0);
    err = MOR_ERROR_INIT;
    assert_fails(mor_avro_value_read(schema, data.data, data.size_bytes, &arena, &value, &err),
                 MOR_DATA, "left after the datum");
    mor_arena_done(&arena);
    mor_avro_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_by_id_and_by_name),
        cmocka_unit_test(test_every_prefix_of_a_datum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
