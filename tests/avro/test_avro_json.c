// Control data: JSON text to datum and back.
#include "avro_test.h"
#include "moraine/base/base64.h"

// Encodes `json`, compares with `hex`, decodes and compares with `back`.
static void round_trip(const char *type, const char *json, const char *hex, const char *back)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = parse_avro(type);
    MOR_AUTO_BUFFER datum = {0};
    MOR_AUTO_BUFFER text = {0};
    MOR_AUTO_BUFFER got = {0};
    assert_ok(mor_avro_json_to_datum(schema, json, strlen(json), &datum, &err));
    for (size_t i = 0; i < datum.size_bytes; i++)
        mor_buffer_printf(&got, "%02x", datum.data[i]);
    assert_string_equal(mor_buffer_terminate(&got), hex);
    assert_ok(mor_avro_datum_to_json(schema, datum.data, datum.size_bytes, &text, &err));
    assert_string_equal((char *)text.data, back);
    for (size_t size = 0; size < datum.size_bytes; size++) { // every shorter datum is refused
        mor_buffer_reset(&text);
        assert_int_equal(mor_avro_datum_to_json(schema, datum.data, size, &text, &err), MOR_DATA);
        assert_int_equal(text.size_bytes, 0);
    }
    mor_avro_schema_free(schema);
}

static void test_values_go_there_and_back(void **state)
{
    (void)state;
    round_trip("\"null\"", "null", "", "null");
    round_trip("\"boolean\"", "true", "01", "true");
    round_trip("\"int\"", "-1", "01", "-1");
    round_trip("\"int\"", "-2147483648", "ffffffff0f", "-2147483648");
    round_trip("\"long\"", "9223372036854775807", "feffffffffffffffff01", "9223372036854775807");
    round_trip("\"long\"", "-9223372036854775808", "ffffffffffffffffff01", "-9223372036854775808");
    round_trip("\"float\"", "1.5", "0000c03f", "1.5");
    round_trip("\"double\"", "-2", "00000000000000c0", "-2");
    round_trip("\"string\"", "\"h\\u00e9\\n\"", "0868c3a90a", "\"h\xc3\xa9\\n\"");
    round_trip("\"bytes\"", "\"AP8=\"", "0400ff", "\"AP8=\"");
    round_trip("{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", "\"AQID\"", "010203", "\"AQID\"");
    round_trip("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}", "\"B\"", "02",
               "\"B\"");
    round_trip("{\"type\":\"array\",\"items\":\"int\"}", "[1,2]", "04020400", "[1,2]");
    round_trip("{\"type\":\"array\",\"items\":\"int\"}", "[]", "00", "[]");
    round_trip("{\"type\":\"array\",\"items\":\"null\"}", "[null,null]", "0400", "[null,null]");
    round_trip("{\"type\":\"map\",\"values\":\"long\"}", "{\"a\":3}", "0202610600", "{\"a\":3}");
}

static void test_union_takes_the_first_branch_that_fits(void **state)
{
    (void)state;
    const char *type =
        "[\"null\",\"int\",\"long\",\"string\",{\"type\":\"record\",\"name\":\"I\",\"fields\":["
        "{\"name\":\"value\",\"type\":\"int\"}]},{\"type\":\"record\",\"name\":\"S\",\"fields\":["
        "{\"name\":\"value\",\"type\":\"string\"}]}]";
    round_trip(type, "null", "00", "null");
    round_trip(type, "5", "020a", "5");
    round_trip(type, "5000000000", "0480c8afa025", "5000000000");
    round_trip(type, "\"x\"", "060278", "\"x\"");
    round_trip(type, "{\"value\":0}", "0800", "{\"value\":0}");
    round_trip(type, "{\"value\":\"x\"}", "0a0278", "{\"value\":\"x\"}");
}

static void test_missing_fields_take_their_default(void **state)
{
    (void)state;
    round_trip("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\","
               "\"int\"],\"default\":null},"
               "{\"name\":\"b\",\"type\":[\"int\",\"null\"],\"default\":7},{\"name\":\"c\","
               "\"type\":[\"int\",\"null\"]},"
               "{\"name\":\"d\",\"type\":{\"type\":\"array\",\"items\":\"int\"},\"default\":[]}]}",
               "{}", "00000e0200", "{\"a\":null,\"b\":7,\"c\":null,\"d\":[]}");
}

static void refused(const char *type, const char *json, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = parse_avro(type);
    MOR_AUTO_BUFFER datum = {0};
    assert_int_equal(mor_avro_json_to_datum(schema, json, strlen(json), &datum, &err), MOR_DATA);
    assert_int_equal(datum.size_bytes, 0);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    mor_avro_schema_free(schema);
}

static void test_values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const char *record =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}";
    refused("\"int\"", "2147483648", "out of range");
    refused("\"int\"", "1.0", "not of type int");
    refused("\"int\"", "null", "not of type int");
    refused("\"long\"", "99999999999999999999", "not JSON");
    refused("\"string\"", "5", "not of type string");
    refused("\"bytes\"", "\"*\"", "base64");
    refused("{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", "\"AQI=\"",
            "2 bytes for a fixed of 3");
    refused("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "\"B\"", "not of type e");
    refused("[\"null\",\"int\"]", "\"x\"", "not of type int");
    refused("[\"long\",\"int\"]", "null", "null is not a branch");
    refused("[\"long\",\"int\"]", "\"x\"", "fits no branch");
    refused(record, "{}", "field 'a' is missing");
    refused(record, "{\"a\":1,\"b\":2}", "lacks a field");
    refused(record, "{\"a\":1,\"a\":2}", "not JSON");
    refused(record, "{\"a\":\"x\"}", "field 'a'");
    refused(record, "[1", "not JSON");
}

static void datum_refused(const char *type, const void *bytes, size_t size, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = parse_avro(type);
    MOR_AUTO_BUFFER text = {0};
    assert_int_equal(mor_avro_datum_to_json(schema, bytes, size, &text, &err), MOR_DATA);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    mor_avro_schema_free(schema);
}

static void test_damaged_datums_are_refused(void **state)
{
    (void)state;
    datum_refused("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "64 bits");
    datum_refused("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "64 bits");
    datum_refused("\"int\"", "\x80\x80\x80\x80\x10", 5, "32 bits");
    datum_refused("\"int\"", "\x02\x02", 2, "bytes are left");
    datum_refused("\"boolean\"", "\x02", 1, "neither 0 nor 1");
    datum_refused("\"string\"", "\x01", 1, "negative");
    datum_refused("\"string\"", "\x04\xc3\x28", 3, "UTF-8");
    datum_refused("[\"null\"]", "\x02", 1, "branch");
    datum_refused("[\"null\"]", "\x01", 1, "branch");
    datum_refused("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "\x02", 1, "symbol");
    datum_refused("{\"type\":\"array\",\"items\":\"null\"}", "\xfe\xff\xff\xff\x0f\x00", 6,
                  "without size");
    datum_refused("{\"type\":\"array\",\"items\":\"int\"}", "\xfe\xff\xff\xff\x0f\x00", 6,
                  "beyond the end");
    datum_refused("{\"type\":\"array\",\"items\":\"int\"}",
                  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, "out of range");
    datum_refused("{\"type\":\"array\",\"items\":\"int\"}", "\x01\x08\x02", 3,
                  "longer than the data");
    MOR_AUTO_BUFFER deep = {0};
    for (int i = 0; i < 500; i++)
        mor_buffer_append_u8(&deep, 2);
    datum_refused("{\"type\":\"record\",\"name\":\"n\",\"fields\":[{\"name\":\"n\",\"type\":["
                  "\"null\",\"n\"]}]}",
                  deep.data, deep.size_bytes, "too deep");
}

static void test_blocks_with_a_size_are_read(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = parse_avro("{\"type\":\"array\",\"items\":\"int\"}");
    MOR_AUTO_BUFFER text = {0};
    // one item; then -2 items in 2 bytes
    assert_ok(mor_avro_datum_to_json(schema, (const uint8_t *)"\x02\x02\x03\x04\x04\x06\x00", 7,
                                     &text, &err));
    assert_string_equal((char *)text.data, "[1,2,3]");
    mor_avro_schema_free(schema);
}

static void test_base64_has_one_text_for_each_value(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"", ""},
                                          {"Zg==", "f"},
                                          {"Zg", "f"},
                                          {"Zm8=", "fo"},
                                          {"Zm9v", "foo"},
                                          {"-_-_", "\xfb\xff\xbf"},
                                          {"+/+/", "\xfb\xff\xbf"}};
    static const char *const bad[] = {
        "Z", "Zg=", "=", "====", "Zh==", "Zm9=", "Zm9v=", "Z g=", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        assert_true(mor_base64_decode(good[i][0], strlen(good[i][0]), &bytes));
        assert_int_equal(bytes.size_bytes, strlen(good[i][1]));
        assert_string_equal(mor_buffer_terminate(&bytes), good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        if (mor_base64_decode(bad[i], strlen(bad[i]), &bytes))
            fail_msg("'%s' was accepted", bad[i]);
        assert_int_equal(bytes.size_bytes, 0);
    }
}

// Every sequence of up to 4 bytes against the definition in RFC 3629, at the places where word-wise
// reading changes its pace.
static bool reference_utf8(const uint8_t *s, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t code;
        size_t more;
        if (s[i] < 0x80) {
            i++;
            continue;
        }
        if ((s[i] & 0xE0) == 0xC0)
            more = 1, code = s[i] & 0x1Fu;
        else if ((s[i] & 0xF0) == 0xE0)
            more = 2, code = s[i] & 0x0Fu;
        else if ((s[i] & 0xF8) == 0xF0)
            more = 3, code = s[i] & 0x07u;
        else
            return false;
        if (size - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xC0) != 0x80)
                return false;
            code = code << 6 | (s[i + k] & 0x3F);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        i += more + 1;
    }
    return true;
}

static void test_utf8_check_agrees_with_the_definition(void **state)
{
    (void)state;
    static const uint8_t interesting[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                          0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { N = sizeof interesting };
    for (size_t pad = 0; pad < 20; pad += 3) {
        uint8_t text[64];
        memset(text, 'x', sizeof text);
        for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
            size_t n = i;
            for (size_t k = 0; k < 4; k++, n /= N)
                text[pad + k] = interesting[n % N];
            size_t size = pad + 4 + (i % 3) * 5;
            if (mor_avro_utf8_valid(text, size) != reference_utf8(text, size))
                fail_msg("pad %zu: %02x %02x %02x %02x", pad, text[pad], text[pad + 1],
                         text[pad + 2], text[pad + 3]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_go_there_and_back),
        cmocka_unit_test(test_union_takes_the_first_branch_that_fits),
        cmocka_unit_test(test_missing_fields_take_their_default),
        cmocka_unit_test(test_values_that_do_not_fit_are_refused),
        cmocka_unit_test(test_damaged_datums_are_refused),
        cmocka_unit_test(test_blocks_with_a_size_are_read),
        cmocka_unit_test(test_base64_has_one_text_for_each_value),
        cmocka_unit_test(test_utf8_check_agrees_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
