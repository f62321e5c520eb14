// Golden payloads of Google's Python library (tests/data/decode/protobuf/make.py), and what
// decoders of hostile bytes must keep: nothing half done.
#include "decode_test.h"

#include <stdlib.h>

#include "proto_plan.h"

#define FOLDER MORAINE_TEST_DATA "/decode/protobuf/"

static struct mor_buffer read_file(const char *name)
{
    struct mor_buffer content = {0};
    MOR_AUTO_FREE char *path = mor_asprintf("%s%s", FOLDER, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        mor_buffer_append(&content, chunk, got);
    fclose(file);
    return content;
}

static void add_file(struct mor_proto_set *set, const char *name)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_buffer text = read_file(name);
    assert_ok(mor_proto_add_text(set, name, (const char *)text.data, text.size_bytes, &err));
    mor_buffer_done(&text);
}

// The types from their texts, or from protoc's descriptors.
static struct mor_proto_set *load(bool descriptors)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_proto_set *set = mor_proto_set_new();
    if (descriptors) {
        struct mor_buffer bytes = read_file("all.desc");
        assert_ok(mor_proto_add_descriptors(set, bytes.data, bytes.size_bytes, &err));
        mor_buffer_done(&bytes);
    } else {
        add_file(set, "old.proto");
        add_file(set, "far.proto");
        add_file(set, "all.proto");
    }
    assert_ok(mor_proto_link(set, &err));
    return set;
}

struct fixture {
    struct mor_proto_set *set;
    struct mor_schema *table;
    struct mor_proto_plan *plan;
    struct mor_batch *batch;
};

static struct fixture start(struct mor_proto_set *take_set, const char *message)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture f = {.set = take_set};
    const struct mor_proto_message *found = mor_proto_find(f.set, message);
    assert_non_null(found);
    assert_ok(mor_proto_to_table(found, &f.table, &err));
    struct mor_proto_plan_options options = {.message = found, .table = f.table, .items_max = 1000};
    assert_ok(mor_proto_plan_new(&options, &f.plan, &err));
    f.batch = mor_batch_new(f.table, NULL);
    return f;
}

static void stop(struct fixture *f)
{
    mor_batch_free(f->batch);
    mor_proto_plan_free(f->plan);
    mor_schema_free(f->table);
    mor_proto_set_free(f->set);
}

static enum mor_status decode(struct fixture *f, const uint8_t *bytes, size_t size,
                              struct mor_error *err)
{
    *err = MOR_ERROR_INIT;
    uint8_t *copy = mor_alloc(size + 1);
    if (size > 0)
        memcpy(copy, bytes, size);
    enum mor_status status = mor_proto_plan_decode(f->plan, copy, size, f->batch->columns, err);
    free(copy);
    f->batch->row_count += status == MOR_OK;
    struct mor_error invalid = MOR_ERROR_INIT;
    if (mor_batch_validate(f->batch, &invalid) != MOR_OK)
        fail_msg("%s (%s)", invalid.message, err->message);
    return status;
}

static void golden_payloads_become_their_rows(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"empty", "acme.All"},  {"full", "acme.All"},
                                           {"bounds", "acme.All"}, {"merged", "acme.All"},
                                           {"full", "acme.All"},   {"proto2", "acme.Old"}};
    for (int descriptors = 0; descriptors < 2; descriptors++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct mor_error err;
            struct fixture f = start(load(descriptors), cases[i][1]);
            MOR_AUTO_FREE char *bin = mor_asprintf("%s.bin", cases[i][0]);
            MOR_AUTO_FREE char *json = mor_asprintf("%s.json", cases[i][0]);
            MOR_AUTO_BUFFER bytes = read_file(bin);
            MOR_AUTO_BUFFER expected = read_file(json);
            expected.size_bytes--; // its line feed
            for (int round = 0; round < 2; round++) {
                assert_ok(decode(&f, bytes.data, bytes.size_bytes, &err));
                MOR_AUTO_FREE char *row = row_text(f.batch, (size_t)round);
                assert_string_equal(row, mor_buffer_terminate(&expected));
            }
            stop(&f);
        }
    }
}

static void texts_and_descriptors_say_the_same(void **state)
{
    (void)state;
    struct fixture text = start(load(false), "acme.All");
    struct fixture descriptors = start(load(true), "acme.All");
    assert_true(mor_schema_equal(text.table, descriptors.table));
    stop(&text);
    stop(&descriptors);
}

static void damaged_payloads_leave_no_trace(void **state)
{
    (void)state;
    struct mor_error err;
    struct fixture f = start(load(false), "acme.All");
    MOR_AUTO_BUFFER bytes = read_file("full.bin");
    size_t refused = 0;
    for (size_t size = 0; size < bytes.size_bytes; size++)
        refused += decode(&f, bytes.data, size, &err) != MOR_OK;
    assert_true(refused > bytes.size_bytes / 4); // an end between two fields is none
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        uint8_t kept = bytes.data[i];
        for (int value = 0; value < 256; value += 5) {
            bytes.data[i] = (uint8_t)value;
            (void)!decode(&f, bytes.data, bytes.size_bytes, &err);
        }
        bytes.data[i] = kept;
        if (f.batch->row_count > 2000)
            mor_batch_reset(f.batch);
    }
    stop(&f);
}

static struct fixture start_text(const char *text, const char *message)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_proto_set *set = mor_proto_set_new();
    assert_ok(mor_proto_add_text(set, "x.proto", text, strlen(text), &err));
    assert_ok(mor_proto_link(set, &err));
    return start(set, message);
}

static void what_is_wrong_is_said_with_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *reason;
    } cases[] = {
        {"\x0a\x03\x12\x01\xff", 5, "field 'm.s', byte 2: a string is not valid UTF-8"},
        {"\x0a\x05\x12", 3, "field 'm', byte 0: a length is beyond the end"},
        {"\x00\x00", 2, "byte 0: a field has an impossible tag"},
        {"\x0f", 1, "byte 0: a field has an impossible tag"},
        {"\x12\x08\x08\xff\xff\xff\xff\xff\xff\x7f", 10,
         "field 'at', byte 0: the timestamp is out"},
        {"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11,
         "field 'n', byte 0: a number has more"},
        {"\x22\x03\x0a\x01"
         "a\x22\x03\x0a\x01"
         "a",
         10, "field 'counts', byte 10: a map has a key twice"},
        {"\x2a\x09\x11\x00\x00\x00\x00\x00\x00\xf0\x7f", 11,
         "field 'v', byte 0: a number of a Value"},
        {"\x9b\x06", 2, "byte 0: the data end inside a number"},
    };
    struct fixture f = start_text(
        "syntax='proto3'; message M { I m = 1; google.protobuf.Timestamp at = 2; int64 n = 3;"
        " map<string, int32> counts = 4; google.protobuf.Value v = 5; }"
        "message I { string s = 2; }",
        "M");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mor_error err;
        assert_int_equal(decode(&f, (const uint8_t *)cases[i].bytes, cases[i].size, &err),
                         MOR_DATA);
        if (!strstr(err.message, cases[i].reason))
            fail_msg("'%s' is not in '%s'", cases[i].reason, err.message);
    }
    stop(&f);
}

static void required_fields_must_come(void **state)
{
    (void)state;
    struct mor_error err;
    struct fixture f = start_text("message M { required int32 a = 1; }", "M");
    assert_int_equal(decode(&f, NULL, 0, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "field 'a', byte 0: a required field is missing"));
    stop(&f);
}

static void elements_are_limited(void **state)
{
    (void)state;
    struct mor_error err;
    struct fixture f = start_text("syntax='proto3'; message M { repeated int32 a = 1; }", "M");
    MOR_AUTO_BUFFER bytes = {0};
    mor_buffer_append(&bytes, "\x0a\xe8\x07", 3); // 1000 packed numbers
    for (int i = 0; i < 1000; i++)
        mor_buffer_append_u8(&bytes, 1);
    assert_ok(decode(&f, bytes.data, bytes.size_bytes, &err));
    mor_buffer_append(&bytes, "\x08\x01", 2);
    assert_int_equal(decode(&f, bytes.data, bytes.size_bytes, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "too many elements"));
    stop(&f);
}

// A newer or older writer: fields the table lacks, columns the writer lacks, other types.
static void fields_are_matched_by_name(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_proto_set *set = mor_proto_set_new();
    static const char text[] =
        "syntax='proto3'; message M { int32 a = 7; I i = 2; string gone = 3; }"
        "message I { float f = 1; uint32 u = 2; }";
    assert_ok(mor_proto_add_text(set, "x", text, sizeof text - 1, &err));
    assert_ok(mor_proto_link(set, &err));
    struct mor_schema *table =
        schema_of("u", "decimal(12,2)", "new", "string", "a", "long", "f", "double", NULL);
    static const struct mor_route inner[] = {{"f", 3, MOR_ROUTE_NONE, NULL, NULL, 0},
                                             {"u", 0, MOR_ROUTE_NONE, NULL, NULL, 0}};
    static const struct mor_route routes[] = {{"a", 2, MOR_ROUTE_NONE, NULL, NULL, 0},
                                              {"i", MOR_ROUTE_NONE, MOR_ROUTE_NONE, NULL, inner, 2},
                                              {"new", 1, MOR_ROUTE_NONE, NULL, NULL, 0}};
    struct mor_proto_plan_options options = {.message = mor_proto_find(set, "M"),
                                             .table = table,
                                             .routes = routes,
                                             .route_count = 3,
                                             .items_max = 10};
    struct fixture f = {.set = set, .table = table};
    assert_ok(mor_proto_plan_new(&options, &f.plan, &err));
    f.batch = mor_batch_new(table, NULL);
    static const uint8_t bytes[] = "\x38\x05\x12\x02\x10\x09\x12\x05\x0d\x00\x00\xc0\x3f\x1a\x01x";
    assert_ok(decode(&f, bytes, sizeof bytes - 1, &err)); // i stands there twice
    assert_ok(decode(&f, bytes, 2, &err));
    MOR_AUTO_FREE char *first = row_text(f.batch, 0);
    MOR_AUTO_FREE char *second = row_text(f.batch, 1);
    assert_string_equal(first, "{\"u\":\"9.00\",\"new\":null,\"a\":5,\"f\":1.5}");
    assert_string_equal(second, "{\"u\":null,\"new\":null,\"a\":5,\"f\":null}");
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_payloads_become_their_rows),
        cmocka_unit_test(texts_and_descriptors_say_the_same),
        cmocka_unit_test(damaged_payloads_leave_no_trace),
        cmocka_unit_test(what_is_wrong_is_said_with_its_path),
        cmocka_unit_test(required_fields_must_come),
        cmocka_unit_test(elements_are_limited),
        cmocka_unit_test(fields_are_matched_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
