#include "table_test.h"

#include "hudi/hudi_properties.h"

static enum mor_status parse(struct hudi_properties *properties, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    return hudi_properties_parse(properties, text, strlen(text), &err);
}

static void checksums_are_those_of_tables_that_spark_wrote(void **state)
{
    (void)state;
    assert_int_equal(hudi_table_checksum("default", "v6_trips_8i3d"), 3180720914u);
    assert_int_equal(hudi_table_checksum("default", "v8_trips_8i3u1d"), 1197752875u);
    assert_int_equal(hudi_table_checksum("default", "v9_txns_mor_simple_meta"), 1101448031u);
    assert_int_equal(hudi_table_checksum("default", "v9_nonpartitioned_rollback_mor"), 169463277u);
    assert_int_equal(hudi_table_checksum("default", "v6_nonpartitioned_rollback"), 1120353670u);
}

static void java_syntax_is_read(void **state)
{
    (void)state;
    struct hudi_properties properties = {0};
    assert_int_equal(parse(&properties, "# comment\n! other\n\na=1\nb : two \n c=x\\:y\\=z\\\\\n"
                                        "d=\\u00DC\\uD83E\\uDD86\ne=long \\\n   line\nf\ng="),
                     MOR_OK);
    assert_string_equal(hudi_properties_get(&properties, "a"), "1");
    assert_string_equal(hudi_properties_get(&properties, "b"), "two ");
    assert_string_equal(hudi_properties_get(&properties, "c"), "x:y=z\\");
    assert_string_equal(hudi_properties_get(&properties, "d"), "Ü🦆");
    assert_string_equal(hudi_properties_get(&properties, "e"), "long line");
    assert_string_equal(hudi_properties_get(&properties, "f"), "");
    assert_string_equal(hudi_properties_get(&properties, "g"), "");
    assert_null(hudi_properties_get(&properties, "h"));
    hudi_properties_done(&properties);
}

static void cut_escapes_and_zero_bytes_are_errors(void **state)
{
    (void)state;
    struct hudi_properties properties = {0};
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(parse(&properties, "a=\\u00"), MOR_DATA);
    assert_int_equal(parse(&properties, "a=\\u00zz"), MOR_DATA);
    assert_int_equal(hudi_properties_parse(&properties, "a=\0b", 4, &err), MOR_DATA);
    assert_int_equal(parse(&properties, "a=\\"), MOR_OK);
    hudi_properties_done(&properties);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct hudi_properties properties = {0}, back = {0};
    static const char *const values[] = {"",           " lead", "a=b:c", "ü 🦆", "back\\slash",
                                         "two\nlines", "#x"};
    char key[8];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        snprintf(key, sizeof key, "k%zu", i);
        hudi_properties_set(&properties, key, values[i]);
    }
    struct mor_buffer text = {0};
    hudi_properties_format(&properties, "test", &text);
    for (size_t i = 0; i < text.size_bytes; i++)
        assert_true(text.data[i] < 0x80);
    assert_int_equal(parse(&back, mor_buffer_terminate(&text)), MOR_OK);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        snprintf(key, sizeof key, "k%zu", i);
        assert_string_equal(hudi_properties_get(&back, key), values[i]);
    }
    mor_buffer_done(&text);
    hudi_properties_done(&properties);
    hudi_properties_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_tables_that_spark_wrote),
        cmocka_unit_test(java_syntax_is_read),
        cmocka_unit_test(cut_escapes_and_zero_bytes_are_errors),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
