#include "check.h"
#include "iceberg/iceberg_schema.h"

static struct mor_error err;

static json_t *parse(const char *text)
{
    json_t *json = NULL;
    assert_ok(iceberg_json_parse(text, strlen(text), "schema", &json, &err));
    return json;
}

static void assert_json(const json_t *json, const char *expected)
{
    struct mor_buffer text = {0};
    iceberg_json_format(json, &text);
    assert_string_equal((char *)text.data, expected);
    mor_buffer_done(&text);
}

static int setup(void **state)
{
    (void)state;
    err = MOR_ERROR_INIT;
    return 0;
}

#define FIELD(id, name, required, type)                                                            \
    "{\"id\":" #id ",\"name\":\"" name "\",\"required\":" #required ",\"type\":" type "}"
#define SCHEMA(fields) "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[" fields "]}"

static void ids_are_given_level_by_level(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    struct mor_field *a = mor_schema_add(schema, NULL, "a", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, a, "x", MOR_TYPE_INT32, true);
    mor_schema_add(schema, a, "y", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "b", MOR_TYPE_INT64, false);
    int32_t last = 0;
    iceberg_schema_assign(schema, &last);
    assert_int_equal(last, 4);
    assert_int_equal(iceberg_schema_last_id(schema), 4);
    const struct mor_field *root = &schema->root;
    assert_int_equal(root->children[0].field_id, 1);
    assert_int_equal(root->children[1].field_id, 2);
    assert_int_equal(root->children[0].children[0].field_id, 3);
    assert_int_equal(root->children[0].children[1].field_id, 4);
    assert_string_equal(iceberg_schema_field(schema, 4)->name, "y");
    assert_null(iceberg_schema_field(schema, 5));
    mor_schema_free(schema);
}

static void every_type_comes_back_as_it_was_written(void **state)
{
    (void)state;
    static const char
        text[] =
            "{\"type\":\"struct\",\"schema-id\":3,\"identifier-field-ids\":[2],\"fields\":[" FIELD(
                1, "bool", false, "\"boolean\"") "," FIELD(2, "i", true, "\"int\"") "," FIELD(3, "l", false, "\"long\"") "," FIELD(4, "f", false, "\"float\"") "," FIELD(5, "d", false, "\"double\"") "," FIELD(6, "dec", false, "\"decimal(38, 10)\"") "," FIELD(7, "date", false, "\"date\"") "," FIELD(8,
                                                                                                                                                                                                                                                                                                          "time", false, "\"time\"") "," FIELD(9,
                                                                                                                                                                                                                                                                                                                                               "local", false, "\"timestamp\"") "," FIELD(10,
                                                                                                                                                                                                                                                                                                                                                                                          "utc", false, "\"timestamptz\"") "," FIELD(11,
                                                                                                                                                                                                                                                                                                                                                                                                                                     "s",
                                                                                                                                                                                                                                                                                                                                                                                                                                     false,
                                                                                                                                                                                                                                                                                                                                                                                                                                     "\"string\"") "," FIELD(12,
                                                                                                                                                                                                                                                                                                                                                                                                                                                             "u",
                                                                                                                                                                                                                                                                                                                                                                                                                                                             false, "\"uuid\"") "," FIELD(13,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "bin", false, "\"binary\"") "," FIELD(14,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "fix", false, "\"fixed[16]\"") "," FIELD(15,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "list",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         false,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "{\"type\":\"list\",\"element-id\":18,\"element\":\"int\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "\"element-required\":false}") "," FIELD(16,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "map",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  false,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "{\"type\":\"map\",\"key-id\":19,\"key\":\"string\",\"value-id\":20,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "\"value\":\"long\",\"value-required\":true}") "," FIELD(17,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "struct",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           true, "{\"type\":\"struct\",\"fields\":[" FIELD(21, "x", true, "\"int\"") "]}") "]}";
    json_t *json = parse(text);
    struct mor_schema *schema = NULL;
    assert_ok(iceberg_schema_from_json(json, &schema, &err));
    int32_t identifiers[2] = {0};
    assert_int_equal(iceberg_schema_identifiers(json, identifiers, 2), 1);
    assert_int_equal(identifiers[0], 2);
    assert_int_equal(schema->root.child_count, 17);
    assert_false(schema->root.children[1].nullable);
    assert_true(schema->root.children[8].local_timestamp);
    assert_false(schema->root.children[9].local_timestamp);
    assert_int_equal(iceberg_schema_last_id(schema), 21);
    json_t *again = iceberg_schema_to_json(schema, 3, identifiers, 1);
    assert_json(again, text);
    assert_true(iceberg_schema_json_equal(json, again));
    json_decref(again);
    json_decref(json);
    mor_schema_free(schema);
}

static void blanks_in_parameters_are_read(void **state)
{
    (void)state;
    static const char *const types[] = {"\"decimal(9,2)\"", "\"decimal( 9 , 2 )\"",
                                        "\"decimal(9, 2)\""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 SCHEMA("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":%s}"), types[i]);
        json_t *json = parse(text);
        struct mor_schema *schema = NULL;
        assert_ok(iceberg_schema_from_json(json, &schema, &err));
        assert_int_equal(schema->root.children[0].precision, 9);
        assert_int_equal(schema->root.children[0].scale, 2);
        mor_schema_free(schema);
        json_decref(json);
    }
}

static void schemas_that_break_the_rules_are_refused_with_the_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum mor_status status;
        const char *words;
    } cases[] = {
        {"{\"schema-id\":0}", MOR_DATA, "no list 'fields'"},
        {SCHEMA(FIELD(1, "a", true, "\"int\"") "," FIELD(1, "b", true, "\"int\"")), MOR_DATA,
         "field id 1 is given twice"},
        {SCHEMA(FIELD(1, "a", true, "\"int\"") "," FIELD(2, "a", true, "\"int\"")), MOR_DATA,
         "two fields have this name"},
        {SCHEMA(FIELD(2147483546, "a", true, "\"int\"")), MOR_DATA, "out of range"},
        {SCHEMA(FIELD(1, "a", true, "\"decimal(39, 2)\"")), MOR_DATA, "not known"},
        {SCHEMA(FIELD(1, "a", true, "\"decimal(9, 10)\"")), MOR_DATA, "not known"},
        {SCHEMA(FIELD(1, "a", true, "\"fixed[0]\"")), MOR_DATA, "not known"},
        {SCHEMA(FIELD(1, "a", true, "\"number\"")), MOR_DATA, "field 'a'"},
        {SCHEMA(FIELD(1, "a", true, "{\"type\":\"list\",\"element-id\":2,\"element\":\"int\"}")),
         MOR_DATA, "element-required"},
        {SCHEMA(FIELD(1, "a", false, "\"timestamp_ns\"")), MOR_FATAL, "timestamp_ns"},
        {SCHEMA(FIELD(1, "a", false, "\"geometry(srid:4326)\"")), MOR_FATAL, "geometry"},
        {SCHEMA(
             "{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\",\"initial-default\":7}"),
         MOR_FATAL, "initial default"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = parse(cases[i].text);
        struct mor_schema *schema = NULL;
        err = MOR_ERROR_INIT;
        assert_fails(iceberg_schema_from_json(json, &schema, &err), cases[i].status,
                     cases[i].words);
        assert_null(schema);
        json_decref(json);
    }
}

static void types_without_a_counterpart_are_normalised(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    struct mor_field *list = mor_schema_add(schema, NULL, "a", MOR_TYPE_LIST, true);
    mor_schema_add(schema, list, "element", MOR_TYPE_TIMESTAMP_MILLIS, true);
    assert_ok(iceberg_schema_normalise(&schema->root.children[0], &err));
    assert_int_equal(schema->root.children[0].children[0].type, MOR_TYPE_TIMESTAMP_MICROS);
    struct mor_field *json = mor_schema_add(schema, NULL, "b", MOR_TYPE_JSON, true);
    assert_ok(iceberg_schema_normalise(json, &err));
    assert_int_equal(json->type, MOR_TYPE_STRING);
    struct mor_field *empty = mor_schema_add(schema, NULL, "c", MOR_TYPE_STRUCT, true);
    assert_fails(iceberg_schema_normalise(empty, &err), MOR_FATAL, "without fields");
    mor_schema_free(schema);
}

// ---- evolution ----------------------------------------------------------------------------------

static const char table_text[] =
    "{\"type\":\"struct\",\"schema-id\":0,\"identifier-field-ids\":[1],\"fields\":"
    "[" FIELD(1, "id", true, "\"long\"") "," FIELD(2, "n", true, "\"int\"") "," FIELD(
        3, "price", false,
        "\"decimal(9, 2)\"") "," FIELD(4, "s", false,
                                       "{\"type\":\"struct\",\"fields\":[" FIELD(
                                           5, "x", false, "\"float\"") "]}") "]}";

static struct mor_schema *rows_as_table(void)
{
    json_t *json = parse(table_text);
    struct mor_schema *rows = NULL;
    assert_ok(iceberg_schema_from_json(json, &rows, &err));
    json_decref(json);
    return rows;
}

static void a_schema_that_holds_the_rows_does_not_change(void **state)
{
    (void)state;
    json_t *table = parse(table_text), *evolved = table;
    struct mor_schema *rows = rows_as_table();
    rows->root.children[0].nullable = true; // rows without a key are never written
    rows->root.children[2].precision = 5;
    int32_t last = 5;
    assert_ok(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err));
    assert_null(evolved);
    assert_int_equal(last, 5);
    mor_schema_free(rows);
    json_decref(table);
}

static void columns_are_added_and_widened_at_every_level(void **state)
{
    (void)state;
    json_t *table = parse(table_text), *evolved = NULL;
    struct mor_schema *rows = rows_as_table();
    rows->root.children[1].type = MOR_TYPE_INT64;
    rows->root.children[1].nullable = true;
    rows->root.children[2].precision = 12;
    rows->root.children[3].children[0].type = MOR_TYPE_DOUBLE;
    mor_schema_add(rows, &rows->root.children[3], "y", MOR_TYPE_STRING, false);
    struct mor_field *tags = mor_schema_add(rows, NULL, "tags", MOR_TYPE_LIST, false);
    mor_schema_add(rows, tags, "element", MOR_TYPE_STRING, false);
    int32_t last = 7;
    assert_ok(iceberg_schema_evolve(table, rows, 4, &last, &evolved, &err));
    assert_int_equal(last, 10);
    assert_json(
        evolved,
        "{\"type\":\"struct\",\"schema-id\":4,\"identifier-field-ids\":[1],\"fields\":"
        "[" FIELD(1, "id", true, "\"long\"") "," FIELD(2, "n", false, "\"long\"") "," FIELD(
            3, "price", false,
            "\"decimal(12, 2)\"") "," FIELD(4, "s", false,
                                            "{\"type\":\"struct\",\"fields\":"
                                            "[" FIELD(5, "x", false, "\"double\"") "," FIELD(
                                                8, "y", false,
                                                "\"string\"") "]}") "," FIELD(9, "tags", false,
                                                                              "{\"ty"
                                                                              "pe\":"
                                                                              "\"lis"
                                                                              "t\","
                                                                              "\"ele"
                                                                              "ment-"
                                                                              "id\":"
                                                                              "10,"
                                                                              "\"ele"
                                                                              "ment"
                                                                              "\":"
                                                                              "\"str"
                                                                              "ing\""
                                                                              ","
                                                                              "\"ele"
                                                                              "ment-"
                                                                              "requi"
                                                                              "red\""
                                                                              ":true"
                                                                              "}") "]}");
    json_decref(evolved);
    mor_schema_free(rows);
    json_decref(table);
}

static void columns_that_the_rows_lack_become_optional(void **state)
{
    (void)state;
    json_t *table = parse(table_text), *evolved = NULL;
    struct mor_schema *rows = mor_schema_new("rows");
    mor_schema_add(rows, NULL, "id", MOR_TYPE_INT64, false);
    int32_t last = 5;
    assert_ok(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err));
    const json_t *fields = json_object_get(evolved, "fields");
    assert_true(json_is_true(json_object_get(json_array_get(fields, 0), "required")));
    assert_true(json_is_false(json_object_get(json_array_get(fields, 1), "required")));
    json_decref(evolved);
    mor_schema_free(rows);
    json_decref(table);
}

static void changes_that_the_format_forbids_name_the_column(void **state)
{
    (void)state;
    json_t *table = parse(table_text), *evolved = NULL;
    int32_t last = 5;
    struct mor_schema *rows = rows_as_table();
    rows->root.children[1].type = MOR_TYPE_STRING;
    assert_fails(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err), MOR_FATAL,
                 "column 'n': it is int in the table and string in the rows");
    rows->root.children[1].type = MOR_TYPE_INT32;
    rows->root.children[2].scale = 3;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err), MOR_FATAL,
                 "column 'price'");
    rows->root.children[2].scale = 2;
    mor_schema_add(rows, &rows->root.children[3], "X", MOR_TYPE_INT32, true);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err), MOR_FATAL,
                 "column 's': column 'X': the table has a column 'x'");
    mor_schema_free(rows);
    rows = mor_schema_new("rows");
    mor_schema_add(rows, NULL, "n", MOR_TYPE_INT32, false);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_schema_evolve(table, rows, 1, &last, &evolved, &err), MOR_FATAL,
                 "column 'id' is part of the table's key");
    assert_int_equal(last, 5);
    mor_schema_free(rows);
    json_decref(table);
}

static void integers_of_64_bits_are_exact(void **state)
{
    (void)state;
    json_t *json = parse("{\"a\":9007199254740993,\"b\":9223372036854775807,\"c\":null,\"d\":1.5}");
    assert_int_equal(iceberg_json_int(json, "a", 0), 9007199254740993);
    assert_int_equal(iceberg_json_int(json, "c", -1), -1);
    assert_int_equal(iceberg_json_int(json, "d", -1), -1);
    assert_json(json, "{\"a\":9007199254740993,\"b\":9223372036854775807,\"c\":null,\"d\":1.5}");
    json_decref(json);
    assert_fails(iceberg_json_parse("{\"a\":1,\"a\":2}", 13, "metadata", &json, &err), MOR_DATA,
                 "metadata: line 1");
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_json_parse("{\"a\":9223372036854775808}", 25, "metadata", &json, &err),
                 MOR_DATA, "too big integer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ids_are_given_level_by_level, setup),
        cmocka_unit_test_setup(every_type_comes_back_as_it_was_written, setup),
        cmocka_unit_test_setup(blanks_in_parameters_are_read, setup),
        cmocka_unit_test_setup(schemas_that_break_the_rules_are_refused_with_the_column, setup),
        cmocka_unit_test_setup(types_without_a_counterpart_are_normalised, setup),
        cmocka_unit_test_setup(a_schema_that_holds_the_rows_does_not_change, setup),
        cmocka_unit_test_setup(columns_are_added_and_widened_at_every_level, setup),
        cmocka_unit_test_setup(columns_that_the_rows_lack_become_optional, setup),
        cmocka_unit_test_setup(changes_that_the_format_forbids_name_the_column, setup),
        cmocka_unit_test_setup(integers_of_64_bits_are_exact, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
