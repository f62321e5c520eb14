// Parsing of schema texts: tests/data/avro/schema_valid and schema_invalid, one schema per file;
// the first line of an invalid one's neighbour <name>.expect is part of the message.
#include "avro_test.h"

#include <dirent.h>

#include "avro_schema.h"

static size_t each_file(const char *folder,
                        void (*check)(const char *path, const struct mor_buffer *text))
{
    char path[1024];
    snprintf(path, sizeof path, "%s/avro/%s", MORAINE_TEST_DATA, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".avsc") != 0)
            continue;
        char file[2048];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        MOR_AUTO_BUFFER text = {0};
        read_whole_file(file, &text);
        check(file, &text);
        count++;
    }
    closedir(dir);
    return count;
}

static void check_valid(const char *path, const struct mor_buffer *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    if (mor_avro_schema_parse((const char *)text->data, text->size_bytes, &schema, &err) != MOR_OK)
        fail_msg("%s: %s", path, err.message);
    mor_avro_schema_free(schema);
}

static void check_invalid(const char *path, const struct mor_buffer *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    enum mor_status status =
        mor_avro_schema_parse((const char *)text->data, text->size_bytes, &schema, &err);
    if (status != MOR_DATA)
        fail_msg("%s was accepted", path);
    assert_null(schema);
    char expect_path[2048];
    snprintf(expect_path, sizeof expect_path, "%.*s.expect", (int)(strlen(path) - 5), path);
    MOR_AUTO_BUFFER expect = {0};
    read_whole_file(expect_path, &expect);
    char *wanted = mor_buffer_terminate(&expect);
    wanted[strcspn(wanted, "\n")] = '\0';
    if (!*wanted || !strstr(err.message, wanted))
        fail_msg("%s: '%s' is not in '%s'", path, wanted, err.message);
}

static void test_valid_corpus_is_accepted(void **state)
{
    (void)state;
    assert_true(each_file("schema_valid", check_valid) >= 10);
}

static void test_invalid_corpus_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_true(each_file("schema_invalid", check_invalid) >= 20);
}

static void test_names_resolve_through_namespaces(void **state)
{
    (void)state;
    struct mor_avro_schema *schema =
        parse_avro("{\"type\":\"record\",\"name\":\"a.b.R\",\"fields\":["
                   "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
                   "{\"name\":\"y\",\"type\":\"F\"},{\"name\":\"z\",\"type\":\"a.b.F\"},"
                   "{\"name\":\"w\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"namespace\":"
                   "\"other\",\"symbols\":[\"A\"]}},"
                   "{\"name\":\"v\",\"type\":\"other.E\"}]}");
    const struct mor_avro_node *root = schema->root;
    assert_string_equal(root->full_name, "a.b.R");
    assert_string_equal(root->members[0].node->full_name, "a.b.F");
    assert_ptr_equal(root->members[0].node, root->members[1].node);
    assert_ptr_equal(root->members[0].node, root->members[2].node);
    assert_string_equal(root->members[3].node->full_name, "other.E");
    assert_ptr_equal(root->members[3].node, root->members[4].node);
    mor_avro_schema_free(schema);
}

static void test_logical_type_on_a_wrong_base_is_ignored(void **state)
{
    (void)state;
    static const char *const types[] = {
        "{\"type\":\"string\",\"logicalType\":\"date\"}",
        "{\"type\":\"int\",\"logicalType\":\"timestamp-micros\"}",
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":0}",
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":3,\"scale\":4}",
        ("{\"type\":\"fixed\",\"name\":\"f\",\"size\":2,"
         "\"logicalType\":\"decimal\",\"precision\":5}"),
        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":15,\"logicalType\":\"uuid\"}",
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct mor_avro_schema *schema = parse_avro(types[i]);
        assert_int_equal(schema->root->logical, MOR_AVRO_LOGICAL_NONE);
        mor_avro_schema_free(schema);
    }
}

static void test_sizes_tell_the_least_datum(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t size_min;
        bool constant;
    } cases[] = {
        {"\"null\"", 0, true},
        {"\"double\"", 8, true},
        {"\"long\"", 1, false},
        {"{\"type\":\"array\",\"items\":\"double\"}", 1, false},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}", 0, true},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"float\"},"
         "{\"name\":\"b\",\"type\":{\"type\":\"fixed\",\"name\":\"x\",\"size\":5}}]}",
         9, true},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"r\"]"
         "}]}",
         1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_avro_schema *schema = parse_avro(cases[i].type);
        assert_int_equal(schema->root->size_min_bytes, cases[i].size_min);
        assert_int_equal(schema->root->constant_size, cases[i].constant);
        mor_avro_schema_free(schema);
    }
}

static void test_text_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_text(&text, "\"string\"");
    while (text.size_bytes <= MOR_AVRO_TEXT_SIZE_MAX)
        mor_buffer_append_u8(&text, ' ');
    assert_int_equal(mor_avro_schema_parse((char *)text.data, text.size_bytes, &schema, &err),
                     MOR_DATA);
    assert_int_equal(mor_avro_schema_parse((char *)text.data, 100, &schema, &err), MOR_OK);
    mor_avro_schema_free(schema);
}

static void test_too_many_fields_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_text(&text, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[");
    for (int i = 0; i <= MOR_AVRO_MEMBERS_MAX; i++)
        mor_buffer_printf(&text, "%s{\"name\":\"f%d\",\"type\":\"int\"}", i ? "," : "", i);
    mor_buffer_append_text(&text, "]}");
    assert_int_equal(mor_avro_schema_parse((char *)text.data, text.size_bytes, &schema, &err),
                     MOR_DATA);
    assert_non_null(strstr(err.message, "5000"));
}

static void test_types_nested_too_deep_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    for (int depth = 30; depth < 1000; depth += 7) {
        MOR_AUTO_BUFFER text = {0};
        for (int i = 0; i < depth; i++)
            mor_buffer_append_text(&text, "{\"type\":\"array\",\"items\":");
        mor_buffer_append_text(&text, "\"int\"");
        for (int i = 0; i < depth; i++)
            mor_buffer_append_u8(&text, '}');
        enum mor_status status =
            mor_avro_schema_parse((char *)text.data, text.size_bytes, &schema, &err);
        assert_int_equal(status, depth <= MOR_AVRO_DEPTH_MAX ? MOR_OK : MOR_DATA);
        if (status == MOR_OK)
            mor_avro_schema_free(schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_corpus_is_accepted),
        cmocka_unit_test(test_invalid_corpus_is_refused_with_the_reason),
        cmocka_unit_test(test_names_resolve_through_namespaces),
        cmocka_unit_test(test_logical_type_on_a_wrong_base_is_ignored),
        cmocka_unit_test(test_sizes_tell_the_least_datum),
        cmocka_unit_test(test_text_over_the_limit_is_refused),
        cmocka_unit_test(test_too_many_fields_are_refused),
        cmocka_unit_test(test_types_nested_too_deep_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
