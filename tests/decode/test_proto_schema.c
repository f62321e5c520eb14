// .proto texts and descriptors: what is read, and what is refused with its place.
#include "decode_test.h"

#include "proto_schema.h"

static enum mor_status parse(const char *text, struct mor_proto_set **ret_set,
                             struct mor_error *err)
{
    *err = MOR_ERROR_INIT;
    *ret_set = mor_proto_set_new();
    enum mor_status status = mor_proto_add_text(*ret_set, "x.proto", text, strlen(text), err);
    return status == MOR_OK ? mor_proto_link(*ret_set, err) : status;
}

// The table of a message, as "name type" pairs.
static void gives(const char *text, const char *message, const char *expected)
{
    struct mor_error err;
    struct mor_proto_set *set;
    struct mor_schema *table = NULL;
    assert_ok(parse(text, &set, &err));
    const struct mor_proto_message *found = mor_proto_find(set, message);
    assert_non_null(found);
    assert_ok(mor_proto_to_table(found, &table, &err));
    MOR_AUTO_BUFFER columns = {0};
    mor_type_format(&table->root, &columns);
    assert_string_equal(mor_buffer_terminate(&columns), expected);
    mor_schema_free(table);
    mor_proto_set_free(set);
}

static void refused(const char *text, const char *reason)
{
    struct mor_error err;
    struct mor_proto_set *set;
    enum mor_status status = parse(text, &set, &err);
    struct mor_schema *table = NULL;
    if (status == MOR_OK) {
        const struct mor_proto_message *found = mor_proto_find(set, "M");
        assert_non_null(found);
        status = mor_proto_to_table(found, &table, &err);
    }
    assert_int_equal(status, MOR_DATA);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    mor_proto_set_free(set);
}

static void names_are_looked_up_from_the_inside_out(void **state)
{
    (void)state;
    gives("syntax='proto3'; package a.b; message T { int32 outer = 1; }"
          "message M { message T { string inner = 1; } T t = 1; .a.b.T far = 2; b.T also = 3;"
          " M.T same = 4; }",
          "a.b.M",
          "struct<t:struct<inner:string>,far:struct<outer:int>,also:struct<outer:int>,"
          "same:struct<inner:string>>");
}

static void every_scalar_has_its_column(void **state)
{
    (void)state;
    gives("syntax='proto3'; message M { double a=1; float b=2; int32 c=3; int64 d=4; uint32 e=5;"
          " uint64 f=6; sint32 g=7; sint64 h=8; fixed32 i=9; fixed64 j=10; sfixed32 k=11;"
          " sfixed64 l=12; bool m=13; string n=14; bytes o=15; E p=16; } enum E { Z = 0; }",
          "M",
          "struct<a:double,b:float,c:int,d:long,e:long,f:decimal(20,0),g:int,h:long,i:long,"
          "j:decimal(20,0),k:int,l:long,m:boolean,n:string,o:bytes,p:enum>");
}

static void known_messages_have_columns_of_their_own(void **state)
{
    (void)state;
    gives("syntax='proto3'; import 'google/protobuf/any.proto'; message M {"
          " google.protobuf.Timestamp a=1; google.protobuf.Duration b=2;"
          " google.protobuf.UInt64Value c=3; google.protobuf.Struct d=4; google.protobuf.Value e=5;"
          " google.protobuf.ListValue f=6; google.protobuf.Any g=7; google.protobuf.Empty h=8;"
          " google.protobuf.FieldMask i=9; repeated google.protobuf.StringValue j=10;"
          " map<string, google.protobuf.Timestamp> k=11; }",
          "M",
          "struct<a:timestamp_us,b:long,c:decimal(20,0),d:json,e:json,f:json,"
          "g:struct<type_url:string,value:bytes>,h:boolean,i:struct<paths:list<string>>,"
          "j:list<string>,k:map<timestamp_us>>");
}

static void old_and_new_syntax_are_read(void **state)
{
    (void)state;
    gives(
        "message M { required int32 a = 1; optional E e = 0x2 [default = B, (x).y = {z: [1]}];"
        " extensions 10 to 20; enum E { A = 0; B = -0x1; } extend Other { optional int32 q = 1; } }"
        " message Other { extensions 1; }",
        "M", "struct<a:int,e:enum>");
    gives("edition = '2023'; option features.field_presence = EXPLICIT; ; message M {"
          " string optional = 1; ; int32 message = 2; reserved a, b; }",
          "M", "struct<optional:string,message:int>");
}

static void what_is_no_proto_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"syntax='proto4';", "x.proto:1: expected \"proto2\" or \"proto3\""},
        {"message M {\n int32 a = 1\n}", "x.proto:3: expected ';', found '}'"},
        {"message M { int32 a = 1;", "found 'the end'"},
        {"message M { int32 a = x; }", "expected a number"},
        {"message M { int32 a = 99999999999; }", "expected a number"},
        {"message M { int32 a = 0; }", "has the number 0"},
        {"message M { int32 a = 1; int32 b = 1; }", "name or number of another"},
        {"message M { int32 a = 1; int32 a = 2; }", "name or number of another"},
        {"message M { Missing a = 1; }", "type 'Missing' is not defined"},
        {"message M {} message M {}", "'M' is defined twice"},
        {"message M { map<double, int32> a = 1; }", "cannot be the key of a map"},
        {"message M { optional group G = 1 { optional int32 a = 1; } }", "groups are not read"},
        {"message M { optional M again = 1; }", "field 'again': a table cannot hold the recursive"},
        {"message M {}", "has no fields"},
        {"\"", "expected a declaration"},
        {"option x = {", "expected ';' or '}'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(cases[i][0], cases[i][1]);
}

static void deep_and_large_texts_are_refused(void **state)
{
    (void)state;
    struct mor_error err;
    struct mor_proto_set *set;
    MOR_AUTO_BUFFER deep = {0};
    for (int i = 0; i < 200; i++)
        mor_buffer_printf(&deep, "message M%d {", i);
    assert_int_equal(parse(mor_buffer_terminate(&deep), &set, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "levels"));
    mor_proto_set_free(set);
    MOR_AUTO_BUFFER many = {0};
    mor_buffer_append_text(&many, "enum E {");
    for (int i = 0; i < 30000; i++)
        mor_buffer_printf(&many, "V%d=%d;", i, i);
    mor_buffer_append_text(&many, "}");
    assert_int_equal(parse(mor_buffer_terminate(&many), &set, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "more than 20000"));
    mor_proto_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_looked_up_from_the_inside_out),
        cmocka_unit_test(every_scalar_has_its_column),
        cmocka_unit_test(known_messages_have_columns_of_their_own),
        cmocka_unit_test(old_and_new_syntax_are_read),
        cmocka_unit_test(what_is_no_proto_file_is_refused_with_its_line),
        cmocka_unit_test(deep_and_large_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
