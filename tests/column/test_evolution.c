#include "check.h"
#include "moraine/column.h"

static struct mor_schema *schema_of(const char *const *columns)
{
    struct mor_schema *schema = mor_schema_new("t");
    struct mor_error err = MOR_ERROR_INIT;
    for (size_t i = 0; columns[i] != NULL; i += 2) {
        struct mor_field *field =
            mor_schema_add(schema, NULL, columns[i], MOR_TYPE_STRING, columns[i][0] != '!');
        assert_ok(mor_type_parse(schema, field, columns[i + 1], &err));
    }
    return schema;
}

static void assert_join(const char *const *a, const char *const *b, const char *expected)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *x = schema_of(a), *y = schema_of(b), *joined;
    assert_ok(mor_schema_join(x, y, &joined, &err));
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < joined->root.child_count; i++) {
        mor_buffer_printf(&text, "%s%s ", i > 0 ? ", " : "", joined->root.children[i].name);
        mor_type_format(&joined->root.children[i], &text);
    }
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_schema_free(x);
    mor_schema_free(y);
    mor_schema_free(joined);
}

static void new_columns_come_last_and_dropped_ones_stay(void **state)
{
    (void)state;
    assert_join((const char *const[]){"a", "int", "b", "string", NULL},
                (const char *const[]){"c", "long", "a", "int", NULL}, "a int, b string, c long");
}

static void types_widen_in_either_direction(void **state)
{
    (void)state;
    const char *const narrow[] = {"a", "int", "b", "float", "c", "decimal(8,2)", NULL};
    const char *const wide[] = {"a", "long", "b", "double", "c", "decimal(12,2)", NULL};
    assert_join(narrow, wide, "a long, b double, c decimal(12,2)");
    assert_join(wide, narrow, "a long, b double, c decimal(12,2)");
}

static void nested_types_widen_alike(void **state)
{
    (void)state;
    assert_join((const char *const[]){"a", "list<int>", "m", "map<float>", NULL},
                (const char *const[]){"a", "list<long>", "m", "map<double>", NULL},
                "a list<long>, m map<double>");
}

static void fields_of_structs_are_joined(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *a = mor_schema_new("t"), *b = mor_schema_new("t"), *joined;
    struct mor_field *s = mor_schema_add(a, NULL, "s", MOR_TYPE_STRUCT, false);
    mor_schema_add(a, s, "x", MOR_TYPE_INT32, false);
    s = mor_schema_add(b, NULL, "s", MOR_TYPE_STRUCT, true);
    mor_schema_add(b, s, "y", MOR_TYPE_STRING, false);
    mor_schema_add(b, s, "x", MOR_TYPE_INT64, false);
    assert_ok(mor_schema_join(a, b, &joined, &err));
    const struct mor_field *field = &joined->root.children[0];
    assert_true(field->nullable);
    assert_int_equal(field->child_count, 2);
    assert_string_equal(field->children[0].name, "x");
    assert_int_equal(field->children[0].type, MOR_TYPE_INT64);
    assert_false(field->children[0].nullable);
    assert_string_equal(field->children[1].name, "y");
    assert_true(field->children[1].nullable); // rows of a do not have it
    mor_schema_free(a);
    mor_schema_free(b);
    mor_schema_free(joined);
}

static void what_no_type_holds_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"int", "string"},
                                           {"decimal(8,2)", "decimal(8,3)"},
                                           {"list<int>", "int"},
                                           {"list<int>", "map<int>"},
                                           {"long", "double"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema *a = schema_of((const char *const[]){"a", wrong[i][0], NULL}), *joined;
        struct mor_schema *b = schema_of((const char *const[]){"a", wrong[i][1], NULL});
        assert_fails(mor_schema_join(a, b, &joined, &err), MOR_FATAL, "column 'a'");
        mor_schema_free(a);
        mor_schema_free(b);
    }
}

static void what_is_new_is_named_by_its_path(void **state)
{
    (void)state;
    struct mor_schema *have =
        schema_of((const char *const[]){"a", "int", "l", "list<int>", "d", "decimal(8,2)", NULL});
    struct mor_schema *theirs = schema_of((const char *const[]){
        "l", "list<long>", "a", "long", "d", "decimal(9,2)", "b", "string", NULL});
    mor_schema_add(have, mor_schema_add(have, NULL, "s", MOR_TYPE_STRUCT, true), "x",
                   MOR_TYPE_INT32, true);
    struct mor_field *s = mor_schema_add(theirs, NULL, "s", MOR_TYPE_STRUCT, true);
    mor_schema_add(theirs, s, "y", MOR_TYPE_INT32, true);
    mor_schema_add(theirs, s, "x", MOR_TYPE_INT32, true);
    MOR_AUTO_BUFFER names = {0}, none = {0};
    mor_schema_strangers(have, theirs, &names);
    assert_string_equal(mor_buffer_terminate(&names), "l.element, a, d, b, s.y");
    mor_schema_strangers(theirs, have, &none); // narrower types and fewer fields are not new
    assert_int_equal(none.size_bytes, 0);
    mor_schema_freeze(&theirs->root, &have->root);
    MOR_AUTO_BUFFER frozen = {0};
    mor_type_format(&theirs->root, &frozen);
    assert_string_equal(mor_buffer_terminate(&frozen),
                        "struct<l:list<int>,a:int,d:decimal(8,2),s:struct<x:int>>");
    mor_schema_free(have);
    mor_schema_free(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_columns_come_last_and_dropped_ones_stay),
        cmocka_unit_test(types_widen_in_either_direction),
        cmocka_unit_test(nested_types_widen_alike),
        cmocka_unit_test(fields_of_structs_are_joined),
        cmocka_unit_test(what_is_new_is_named_by_its_path),
        cmocka_unit_test(what_no_type_holds_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
