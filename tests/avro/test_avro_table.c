// Avro schema to table schema and back. The golden schemas were written by Spark and Hudi.
#include "avro_test.h"

#include <unistd.h>

static void to_table_fails(const char *json, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro = parse_avro(json);
    struct mor_schema *table = NULL;
    assert_int_equal(mor_avro_schema_to_table(avro, &table, &err), MOR_DATA);
    assert_null(table);
    if (!strstr(err.message, reason))
        fail_msg("'%s' is not in '%s'", reason, err.message);
    mor_avro_schema_free(avro);
}

static struct mor_schema *to_table(const char *json)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro = parse_avro(json);
    struct mor_schema *table = NULL;
    assert_ok(mor_avro_schema_to_table(avro, &table, &err));
    mor_avro_schema_free(avro);
    return table;
}

static void test_every_type_maps_to_its_column(void **state)
{
    (void)state;
    static const struct {
        const char *avro, *table;
        bool nullable;
    } cases[] = {
        {"\"boolean\"", "boolean", false},
        {"\"int\"", "int", false},
        {"[\"null\",\"long\"]", "long", true},
        {"[\"float\",\"null\"]", "float", true},
        {"[\"double\"]", "double", false},
        {"\"bytes\"", "bytes", false},
        {"\"string\"", "string", false},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "date", false},
        {"{\"type\":\"int\",\"logicalType\":\"time-millis\"}", "time_ms", false},
        {"{\"type\":\"long\",\"logicalType\":\"time-micros\"}", "time_us", false},
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "timestamp_ms", false},
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "timestamp_us", false},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", "uuid", false},
        {"{\"type\":\"fixed\",\"name\":\"u\",\"size\":16,\"logicalType\":\"uuid\"}", "uuid", false},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":12,\"scale\":2}",
         "decimal(12,2)", false},
        {"{\"type\":\"array\",\"items\":\"string\"}", "list<string>", false},
        {"{\"type\":\"map\",\"values\":[\"null\",\"long\"]}", "map<long>", false},
        // several types: numbers as Spark's Avro reader, others as Kafka Connect has them
        {"[\"int\",\"null\",\"long\"]", "long", true},
        {"[\"double\",\"float\"]", "double", false},
        {"[\"int\",\"double\"]", "struct<int:int,double:double>", false},
        {"[\"string\",\"null\",\"long\"]", "struct<string:string,long:long>", true},
        {"[{\"type\":\"int\",\"logicalType\":\"date\"},\"long\"]", "struct<int:date,long:long>",
         false},
        // what Debezium writes for times
        {"{\"type\":\"int\",\"connect.name\":\"io.debezium.time.Date\"}", "date", false},
        {"{\"type\":\"long\",\"connect.name\":\"io.debezium.time.Timestamp\"}", "timestamp_ms",
         false},
        {"{\"type\":\"long\",\"connect.name\":\"io.debezium.time.MicroTimestamp\"}", "timestamp_us",
         false},
        {"{\"type\":\"long\",\"connect.name\":\"io.debezium.time.MicroTime\"}", "time_us", false},
        {"{\"type\":\"string\",\"connect.name\":\"io.debezium.data.Json\"}", "string", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        MOR_AUTO_FREE char *json = record_of(cases[i].avro);
        struct mor_schema *table = to_table(json);
        MOR_AUTO_BUFFER text = {0};
        mor_type_format(&table->root.children[0], &text);
        assert_string_equal(mor_buffer_terminate(&text), cases[i].table);
        assert_int_equal(table->root.children[0].nullable, cases[i].nullable);
        mor_schema_free(table);
    }
}

static void test_local_timestamps_enums_and_fixed_keep_their_kind(void **state)
{
    (void)state;
    struct mor_schema *table =
        to_table("{\"type\":\"record\",\"name\":\"n.r\",\"doc\":\"all\",\"fields\":["
                 "{\"name\":\"l\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-"
                 "micros\"},\"field-id\":9},"
                 "{\"name\":\"e\",\"doc\":\"\",\"type\":{\"type\":\"enum\",\"name\":\"e\","
                 "\"symbols\":[\"A\"]}},"
                 "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"x\",\"size\":7}},"
                 "{\"name\":\"s\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"s\","
                 "\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}]}]}");
    assert_string_equal(table->root.name, "r");
    assert_string_equal(table->root.doc, "all");
    assert_int_equal(table->root.child_count, 4);
    const struct mor_field *f = table->root.children;
    assert_int_equal(f[0].type, MOR_TYPE_TIMESTAMP_MICROS);
    assert_true(f[0].local_timestamp);
    assert_int_equal(f[0].field_id, 9);
    assert_int_equal(f[1].type, MOR_TYPE_ENUM);
    assert_string_equal(f[1].doc, "");
    assert_int_equal(f[1].field_id, -1);
    assert_int_equal(f[2].type, MOR_TYPE_FIXED);
    assert_int_equal(f[2].fixed_size_bytes, 7);
    assert_int_equal(f[3].type, MOR_TYPE_STRUCT);
    assert_true(f[3].nullable);
    assert_string_equal(f[3].children[0].name, "a");
    mor_schema_free(table);
}

static void test_what_a_table_cannot_hold_is_refused_with_its_path(void **state)
{
    (void)state;
    to_table_fails("\"string\"", "must be a record");
    static const char *const cases[][2] = {
        {"[\"null\",\"int\",\"r\"]", "field 'f': field 'r': a table cannot hold the recursive"},
        {"\"null\"", "type null"},
        {"[\"null\"]", "type null"},
        {"[\"null\",\"r\"]", "recursive type 'r'"},
        {"{\"type\":\"fixed\",\"name\":\"x\",\"size\":0}", "fixed of 0 bytes"},
        {"{\"type\":\"record\",\"name\":\"x\",\"fields\":[]}", "without fields"},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":39}", "precision 39"},
        {"{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"null\"}}",
         "field 'f': field 'element': field 'value': a table cannot hold the type null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        MOR_AUTO_FREE char *json = record_of(cases[i][0]);
        to_table_fails(json, cases[i][1]);
    }
}

// t0 has two fields, t1 two of t0, ...: 2^30 fields in a short text.
static void test_expanding_references_are_refused(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_text(
        &text,
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":"
        "{\"type\":\"record\",\"name\":\"t0\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}}");
    for (int i = 1; i < 30; i++)
        mor_buffer_printf(
            &text,
            ",{\"name\":\"x%d\",\"type\":{\"type\":\"record\",\"name\":\"t%d\",\"fields\":["
            "{\"name\":\"a\",\"type\":\"t%d\"},{\"name\":\"b\",\"type\":\"t%d\"}]}}",
            i, i, i - 1, i - 1);
    mor_buffer_append_text(&text, "]}");
    to_table_fails(mor_buffer_terminate(&text), "more than 5000 fields");
}

// ---- table to Avro ------------------------------------------------------------------------------

static void test_schema_text_is_the_one_that_spark_writes(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *table = mor_schema_new("ignored");
    mor_schema_add(table, NULL, "id", MOR_TYPE_INT64, false);
    struct mor_field *d = mor_schema_add(table, NULL, "amount", MOR_TYPE_DECIMAL, true);
    d->precision = 15;
    d->scale = 2;
    d->doc = mor_arena_strdup(&table->arena, "in \"cents\"\n");
    struct mor_field *s = mor_schema_add(table, NULL, "s", MOR_TYPE_STRUCT, true);
    struct mor_field *list = mor_schema_add(table, s, "l", MOR_TYPE_LIST, true);
    mor_schema_add(table, list, "element", MOR_TYPE_UUID, true);
    struct mor_field *map = mor_schema_add(table, s, "m", MOR_TYPE_MAP, false);
    mor_schema_add(table, map, "key", MOR_TYPE_STRING, false);
    mor_schema_add(table, map, "value", MOR_TYPE_FIXED, false)->fixed_size_bytes = 4;
    mor_schema_add(table, NULL, "l", MOR_TYPE_TIMESTAMP_MICROS, true)->local_timestamp = true;
    MOR_AUTO_BUFFER json = {0};
    assert_ok(mor_avro_schema_from_table(table, "t_record", "hoodie.t", &json, &err));
    assert_string_equal(
        (char *)json.data,
        "{\"type\":\"record\",\"name\":\"t_record\",\"namespace\":\"hoodie.t\",\"fields\":["
        "{\"name\":\"id\",\"type\":\"long\"},"
        "{\"name\":\"amount\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"fixed\","
        "\"namespace\":\"hoodie.t.t_record.amount\","
        "\"size\":7,\"logicalType\":\"decimal\",\"precision\":15,\"scale\":2}],\"doc\":\"in "
        "\\\"cents\\\"\\n\",\"default\":null},"
        "{\"name\":\"s\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"s\",\"namespace\":"
        "\"hoodie.t.t_record\",\"fields\":["
        "{\"name\":\"l\",\"type\":[\"null\",{\"type\":\"array\",\"items\":[\"null\",\"string\"]}],"
        "\"default\":null},"
        "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"bytes\"}}]}],\"default\":null},"
        "{\"name\":\"l\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"local-timestamp-"
        "micros\"}],\"default\":null}]}");
    struct mor_avro_schema *again = parse_avro((char *)json.data);
    mor_avro_schema_free(again);
    mor_schema_free(table);
}

static void test_name_that_avro_forbids_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *table = mor_schema_new("t");
    mor_schema_add(table, NULL, "a-b", MOR_TYPE_INT64, false);
    MOR_AUTO_BUFFER json = {0};
    assert_int_equal(mor_avro_schema_from_table(table, "t", "", &json, &err), MOR_DATA);
    assert_non_null(strstr(err.message, "a-b"));
    assert_int_equal(mor_avro_schema_from_table(table, "1t", "", &json, &err), MOR_DATA);
    assert_int_equal(json.size_bytes, 0);
    mor_schema_free(table);
}

// Prints the distinct "schema" texts of the commits in the golden Hudi archives, one per line.
static const char golden_script[] =
    "import glob,json,re,sys,zipfile\n"
    "seen=set()\n"
    "for z in sorted(glob.glob(sys.argv[1]+'/hudi/*.zip')):\n"
    "  a=zipfile.ZipFile(z)\n"
    "  for n in a.namelist():\n"
    "    b=a.read(n)\n"
    "    if '/.hoodie/metadata/' in n or 'commit' not in n: continue\n"
    "    if b[:1]==b'{':\n"
    "      s=json.loads(b).get('extraMetadata',{}).get('schema')\n"
    "      if s: seen.add(s)\n"
    "    for m in re.finditer(rb'\\{\"type\":\"record\",\"name\":\"\\w+_record\"',b if "
    "b[:3]==b'Obj' else b''):\n"
    "      s=b[m.start():].decode('latin1'); seen.add(s[:json.JSONDecoder().raw_decode(s)[1]])\n"
    "print('\\n'.join(sorted(seen)))\n";

static void test_golden_hudi_schemas_come_back_byte_for_byte(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    char path[] = "/tmp/moraine-golden-XXXXXX";
    FILE *probe = fopen(MORAINE_GOLDEN "/README.md", "r");
    if (!probe) {
        print_message("skipped: no golden files beside the checkout\n");
        skip();
    }
    fclose(probe);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, golden_script, strlen(golden_script)), (int)strlen(golden_script));
    close(fd);
    MOR_AUTO_FREE char *command = mor_asprintf("python3 %s %s", path, MORAINE_GOLDEN);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    static char line[1 << 16];
    int count = 0;
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = '\0';
        struct mor_schema *table = to_table(line);
        const char *space = strstr(line, "\"namespace\":\"") + strlen("\"namespace\":\"");
        MOR_AUTO_FREE char *namespace_ = mor_strndup(space, strcspn(space, "\""));
        MOR_AUTO_BUFFER json = {0};
        assert_ok(mor_avro_schema_from_table(table, table->root.name, namespace_, &json, &err));
        assert_string_equal((char *)json.data, line);
        mor_schema_free(table);
        count++;
    }
    pclose(pipe);
    unlink(path);
    assert_true(count >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_maps_to_its_column),
        cmocka_unit_test(test_local_timestamps_enums_and_fixed_keep_their_kind),
        cmocka_unit_test(test_what_a_table_cannot_hold_is_refused_with_its_path),
        cmocka_unit_test(test_expanding_references_are_refused),
        cmocka_unit_test(test_schema_text_is_the_one_that_spark_writes),
        cmocka_unit_test(test_name_that_avro_forbids_is_refused),
        cmocka_unit_test(test_golden_hudi_schemas_come_back_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
