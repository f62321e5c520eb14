#include "parquet_test.h"
#include "pq_schema.h"

#define ELEMENTS_MAX 16

struct fixture {
    struct mor_arena arena;
    struct mor_pq_element elements[ELEMENTS_MAX];
    size_t count;
};

static struct mor_pq_element *add(struct fixture *f, const char *name, int32_t repetition,
                                  int32_t type, int32_t children)
{
    assert_true(f->count < ELEMENTS_MAX);
    struct mor_pq_element *e = &f->elements[f->count++];
    *e = (struct mor_pq_element){.name = {(const uint8_t *)name, strlen(name)},
                                 .type = type,
                                 .repetition = repetition,
                                 .num_children = children,
                                 .converted = -1,
                                 .field_id = -1};
    return e;
}

// The schema in the notation of types, one field after another.
static char *types_of(struct fixture *f, struct mor_buffer *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_tree tree;
    struct mor_pq_view *views;
    struct mor_schema *schema;
    mor_arena_init(&f->arena, 0, NULL);
    assert_ok(mor_pq_tree_build(f->elements, f->count, &f->arena, &tree, &err));
    assert_ok(mor_pq_views_build(&tree, &f->arena, &schema, &views, &err));
    mor_buffer_reset(text);
    for (size_t i = 0; i < schema->root.child_count; i++) {
        mor_buffer_printf(text, "%s%s%s:", i > 0 ? " " : "", schema->root.children[i].name,
                          schema->root.children[i].nullable ? "?" : "");
        mor_type_format(&schema->root.children[i], text);
    }
    mor_schema_free(schema);
    mor_arena_done(&f->arena);
    f->count = 0;
    return mor_buffer_terminate(text);
}

static void lists_of_every_age_become_lists_of_their_element(void **state)
{
    (void)state;
    struct fixture f = {0};
    MOR_AUTO_BUFFER text = {0};
    // three levels
    add(&f, "root", -1, -1, 1);
    add(&f, "l", MOR_PQ_OPTIONAL, -1, 1)->converted = MOR_PQ_C_LIST;
    add(&f, "list", MOR_PQ_REPEATED, -1, 1);
    add(&f, "element", MOR_PQ_OPTIONAL, MOR_PQ_INT32, 0);
    assert_string_equal(types_of(&f, &text), "l?:list<int>");
    // two levels: the repeated leaf is the element
    add(&f, "root", -1, -1, 1);
    add(&f, "l", MOR_PQ_REQUIRED, -1, 1)->logical = MOR_PQ_L_LIST;
    add(&f, "array", MOR_PQ_REPEATED, MOR_PQ_INT64, 0);
    assert_string_equal(types_of(&f, &text), "l:list<long>");
    // a repeated leaf without annotation
    add(&f, "root", -1, -1, 1);
    add(&f, "l", MOR_PQ_REPEATED, MOR_PQ_DOUBLE, 0);
    assert_string_equal(types_of(&f, &text), "l:list<double>");
}

static bool element_is_struct(const char *repeated, const char *list)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture f = {0};
    struct mor_pq_tree tree;
    struct mor_pq_view *views;
    struct mor_schema *schema;
    add(&f, "root", -1, -1, 1);
    add(&f, list, MOR_PQ_OPTIONAL, -1, 1)->converted = MOR_PQ_C_LIST;
    add(&f, repeated, MOR_PQ_REPEATED, -1, 1);
    add(&f, "x", MOR_PQ_REQUIRED, MOR_PQ_INT32, 0);
    mor_arena_init(&f.arena, 0, NULL);
    assert_ok(mor_pq_tree_build(f.elements, f.count, &f.arena, &tree, &err));
    assert_ok(mor_pq_views_build(&tree, &f.arena, &schema, &views, &err));
    bool is_struct = schema->root.children[0].children[0].type == MOR_TYPE_STRUCT;
    mor_schema_free(schema);
    mor_arena_done(&f.arena);
    return is_struct;
}

static void group_named_array_or_tuple_is_the_element_itself(void **state)
{
    (void)state;
    assert_true(element_is_struct("array", "l"));
    assert_true(element_is_struct("l_tuple", "l"));
    assert_false(element_is_struct("list", "l"));
    assert_false(element_is_struct("bag", "l"));
    assert_false(element_is_struct("m_tuple", "l"));
}

static void maps_without_values_are_lists_of_their_keys(void **state)
{
    (void)state;
    struct fixture f = {0};
    MOR_AUTO_BUFFER text = {0};
    add(&f, "root", -1, -1, 2);
    add(&f, "m", MOR_PQ_OPTIONAL, -1, 1)->converted = MOR_PQ_C_MAP_KEY_VALUE;
    add(&f, "map", MOR_PQ_REPEATED, -1, 2);
    add(&f, "k", MOR_PQ_REQUIRED, MOR_PQ_BYTE_ARRAY, 0)->converted = MOR_PQ_C_UTF8;
    add(&f, "v", MOR_PQ_OPTIONAL, MOR_PQ_FLOAT, 0);
    add(&f, "s", MOR_PQ_OPTIONAL, -1, 1)->logical = MOR_PQ_L_MAP;
    add(&f, "key_value", MOR_PQ_REPEATED, -1, 1);
    add(&f, "key", MOR_PQ_REQUIRED, MOR_PQ_INT32, 0);
    assert_string_equal(types_of(&f, &text), "m?:map<float> s?:list<int>");
}

static void annotations_name_the_type_and_unknown_ones_leave_the_physical(void **state)
{
    (void)state;
    static const struct {
        int32_t type, logical, converted, unit, bits;
        const char *name;
    } cases[] = {
        {MOR_PQ_INT32, 0, -1, 0, 0, "int"},
        {MOR_PQ_INT32, 0, MOR_PQ_C_DATE, 0, 0, "date"},
        {MOR_PQ_INT32, MOR_PQ_L_INTEGER, -1, 0, 32, "long"}, // unsigned
        {MOR_PQ_INT64, 0, MOR_PQ_C_UINT_64, 0, 0, "decimal(20,0)"},
        {MOR_PQ_INT64, MOR_PQ_L_TIMESTAMP, -1, MOR_PQ_MILLIS, 0, "timestamp_ms"},
        {MOR_PQ_INT64, MOR_PQ_L_TIMESTAMP, -1, MOR_PQ_NANOS, 0, "timestamp_us"},
        {MOR_PQ_INT64, 0, MOR_PQ_C_TIMESTAMP_MICROS, 0, 0, "timestamp_us"},
        {MOR_PQ_INT64, MOR_PQ_L_TIME, -1, MOR_PQ_MICROS, 0, "time_us"},
        {MOR_PQ_INT96, 0, -1, 0, 0, "timestamp_us"},
        {MOR_PQ_BYTE_ARRAY, MOR_PQ_L_JSON, -1, 0, 0, "json"},
        {MOR_PQ_BYTE_ARRAY, MOR_PQ_L_BSON, -1, 0, 0, "bytes"},
        {MOR_PQ_BYTE_ARRAY, 99, MOR_PQ_C_UTF8, 0, 0, "bytes"},
        {MOR_PQ_BYTE_ARRAY, 0, MOR_PQ_C_DECIMAL, 0, 0, "bytes"}, // without digits
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mor_pq_element e = {.type = cases[i].type,
                                   .logical = cases[i].logical,
                                   .converted = cases[i].converted,
                                   .unit = cases[i].unit,
                                   .bit_width = cases[i].bits};
        struct mor_field field = {.field_id = -1};
        MOR_AUTO_BUFFER text = {0};
        mor_pq_leaf_type(&e, &field);
        mor_type_format(&field, &text);
        assert_string_equal(mor_buffer_terminate(&text), cases[i].name);
    }
}

static void elements_that_are_no_tree_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_tree tree;
    for (int kind = 0; kind < 5; kind++) {
        struct fixture f = {0};
        static const char *const words[] = {"child count", "belong to no group", "repetition",
                                            "fixed length", "child count"};
        add(&f, "root", -1, -1, kind == 0 ? 2 : 1);
        struct mor_pq_element *e = add(&f, "a", MOR_PQ_REQUIRED, MOR_PQ_INT32, 0);
        if (kind == 1)
            add(&f, "b", MOR_PQ_REQUIRED, MOR_PQ_INT32, 0);
        if (kind == 2)
            e->repetition = 7;
        if (kind == 3)
            e->type = MOR_PQ_FLBA;
        if (kind == 4) {
            e->type = -1;
            e->num_children = -2;
        }
        mor_arena_init(&f.arena, 0, NULL);
        enum mor_status status = mor_pq_tree_build(f.elements, f.count, &f.arena, &tree, &err);
        assert_int_equal(status, MOR_DATA);
        if (!strstr(err.message, words[kind]))
            fail_msg("'%s' does not say '%s'", err.message, words[kind]);
        mor_arena_done(&f.arena);
    }
}

static void written_elements_come_back_as_the_same_schema(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schemas[] = {all_types_schema(), nested_schema()};
    for (size_t i = 0; i < 2; i++) {
        struct mor_arena arena;
        struct mor_pq_element *elements;
        struct mor_pq_tree tree;
        struct mor_pq_view *views;
        struct mor_schema *again;
        size_t count;
        mor_arena_init(&arena, 0, NULL);
        assert_ok(mor_pq_elements_make(schemas[i], false, &arena, &elements, &count, &err));
        assert_ok(mor_pq_tree_build(elements, count, &arena, &tree, &err));
        assert_ok(mor_pq_views_build(&tree, &arena, &again, &views, &err));
        assert_true(mor_schema_equal(schemas[i], again));
        mor_schema_free(again);
        mor_schema_free(schemas[i]);
        mor_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_every_age_become_lists_of_their_element),
        cmocka_unit_test(group_named_array_or_tuple_is_the_element_itself),
        cmocka_unit_test(maps_without_values_are_lists_of_their_keys),
        cmocka_unit_test(annotations_name_the_type_and_unknown_ones_leave_the_physical),
        cmocka_unit_test(elements_that_are_no_tree_are_refused),
        cmocka_unit_test(written_elements_come_back_as_the_same_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
