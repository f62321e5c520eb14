#include "check.h"
#include "moraine/column.h"

static void types_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const char *const types[] = {"boolean",
                                        "int",
                                        "long",
                                        "float",
                                        "double",
                                        "date",
                                        "time_ms",
                                        "time_us",
                                        "timestamp_ms",
                                        "timestamp_us",
                                        "string",
                                        "bytes",
                                        "uuid",
                                        "enum",
                                        "json",
                                        "decimal(12,2)",
                                        "decimal(38,38)",
                                        "fixed(16)",
                                        "list<string>",
                                        "map<long>",
                                        "list<list<map<decimal(9,0)>>>"};
    struct mor_schema *schema = mor_schema_new("s");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
        assert_ok(mor_type_parse(schema, field, types[i], &err));
        MOR_AUTO_BUFFER text = {0};
        mor_type_format(field, &text);
        assert_string_equal(mor_buffer_terminate(&text), types[i]);
    }
    mor_schema_free(schema);
}

static void map_may_name_its_string_key(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("s");
    struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
    assert_ok(mor_type_parse(schema, field, "map<string, list< int >>", &err));
    assert_int_equal(field->type, MOR_TYPE_MAP);
    assert_int_equal(field->children[1].type, MOR_TYPE_LIST);
    field = mor_schema_add(schema, NULL, "g", MOR_TYPE_STRING, true);
    assert_ok(mor_type_parse(schema, field, "map<string>", &err));
    assert_int_equal(field->children[1].type, MOR_TYPE_STRING);
    mor_schema_free(schema);
}

static void wrong_types_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *type, *words;
    } wrong[] = {
        {"lng", "at character 1"},
        {"", "at character 1"},
        {"decimal(39,1)", "precision must be"},
        {"decimal(5,6)", "scale at most"},
        {"decimal(5)", "decimal(precision,scale)"},
        {"list<int", "expected '>'"},
        {"list", "expected '<'"},
        {"int x", "expected the end"},
        {"fixed(0)", "fixed(bytes)"},
        {"struct", "a type name"},
    };
    struct mor_schema *schema = mor_schema_new("s");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
        assert_fails(mor_type_parse(schema, field, wrong[i].type, &err), MOR_DATA, wrong[i].words);
    }
    MOR_AUTO_BUFFER deep = {0};
    for (int i = 0; i < 1000; i++)
        mor_buffer_append_text(&deep, "list<");
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_field *field = mor_schema_add(schema, NULL, "f", MOR_TYPE_STRING, true);
    assert_fails(mor_type_parse(schema, field, mor_buffer_terminate(&deep), &err), MOR_DATA,
                 "nested deeper");
    mor_schema_free(schema);
}

static struct mor_schema *sample(void)
{
    struct mor_schema *schema = mor_schema_new("sample");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_INT64, false);
    struct mor_field *address = mor_schema_add(schema, NULL, "address", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, address, "city", MOR_TYPE_STRING, true);
    mor_schema_add(schema, address, "zip", MOR_TYPE_STRING, true);
    return schema;
}

static void copies_are_equal_and_independent(void **state)
{
    (void)state;
    struct mor_schema *schema = sample();
    struct mor_schema *copy = mor_schema_copy(schema);
    assert_true(mor_schema_equal(schema, copy));
    copy->root.children[1].children[0].nullable = false;
    assert_false(mor_schema_equal(schema, copy));
    mor_schema_free(schema);
    assert_int_equal(mor_schema_find(copy, "address"), 1);
    assert_int_equal(mor_schema_find(copy, "city"), -1);
    mor_schema_free(copy);
}

static void ids_are_given_in_preorder_and_kept(void **state)
{
    (void)state;
    struct mor_schema *schema = sample();
    schema->root.children[0].field_id = 7;
    mor_schema_assign_ids(schema);
    assert_int_equal(schema->root.children[0].field_id, 7);
    assert_int_equal(schema->root.children[1].field_id, 8);
    assert_int_equal(schema->root.children[1].children[1].field_id, 10);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_read_as_they_are_written),
        cmocka_unit_test(map_may_name_its_string_key),
        cmocka_unit_test(wrong_types_are_refused_with_the_place),
        cmocka_unit_test(copies_are_equal_and_independent),
        cmocka_unit_test(ids_are_given_in_preorder_and_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
