#include "moraine/config.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "moraine/base/memory.h"

#define DATA MORAINE_TEST_DATA "/config"
#define CONF MORAINE_TEST_DATA "/../../conf"

static struct mor_config *load(const char *path, struct mor_config_report *report)
{
    struct mor_config *config = NULL;
    memset(report, 0, sizeof *report);
    if (mor_config_load(path, &config, report) != MOR_OK) {
        for (size_t i = 0; i < report->count; i++)
            print_error("%s\n", report->notes[i].text);
        fail_msg("'%s' did not load", path);
    }
    return config;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return mor_strdup("");
    char *text = mor_calloc(1, 64 * 1024);
    size_t size = fread(text, 1, 64 * 1024 - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

// Every folder in `kind` has moraine.yaml and, in `expected`, what the loader says about it.
// MORAINE_UPDATE_EXPECTED=1 writes `expected` instead.
static void run_folder(const char *kind, enum mor_status expected_status)
{
    char *folder = mor_asprintf("%s/%s", DATA, kind);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t case_count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = mor_asprintf("%s/%s", folder, entry->d_name);
        assert_int_equal(chdir(path), 0);
        struct mor_config *config = NULL;
        struct mor_config_report report = {0};
        enum mor_status status = mor_config_load("moraine.yaml", &config, &report);
        MOR_AUTO_BUFFER said = {0};
        for (size_t i = 0; i < report.count; i++)
            mor_buffer_printf(&said, "%s%s\n",
                              report.notes[i].is_error ? "" : "warning: ", report.notes[i].text);
        if (getenv("MORAINE_UPDATE_EXPECTED")) {
            FILE *file = fopen("expected", "w");
            assert_non_null(file);
            fputs(mor_buffer_terminate(&said), file);
            fclose(file);
        }
        char *expected = read_text("expected");
        if (status != expected_status)
            fail_msg("%s: status %s:\n%s", entry->d_name, mor_status_name(status),
                     mor_buffer_terminate(&said));
        if (strcmp(mor_buffer_terminate(&said), expected) != 0)
            fail_msg("%s: expected\n%sgot\n%s", entry->d_name, expected,
                     mor_buffer_terminate(&said));
        free(expected);
        mor_config_report_done(&report);
        mor_config_free(config);
        free(path);
        case_count++;
    }
    closedir(directory);
    free(folder);
    assert_true(case_count > 2);
}

static void invalid_files_are_refused_with_the_expected_words(void **state)
{
    (void)state;
    unsetenv("MORAINE_TEST_NOT_SET");
    setenv("MORAINE_TEST_SECRET", "hunter2-and-more", 1);
    run_folder("invalid", MOR_FATAL);
}

static void valid_files_load_with_the_expected_warnings(void **state)
{
    (void)state;
    run_folder("valid", MOR_OK);
}

static void samples_load_with_every_value_in_place(void **state)
{
    (void)state;
    struct mor_config_report report;
    struct mor_config *config = load(CONF "/moraine.yaml", &report);
    assert_int_equal(report.count, 0);
    assert_string_equal(config->instance, "moraine-1");
    assert_string_equal(config->state_dir, "/var/lib/moraine");
    assert_int_equal(config->memory_bytes, 512LL << 20);
    assert_int_equal(config->shutdown_timeout_ms, 30000);
    assert_true(config->lanes >= 1);
    assert_int_equal(config->log.level, MOR_LOG_INFO);
    assert_string_equal(config->http.listen, "127.0.0.1:8090");
    assert_null(config->http.token);
    assert_int_equal(config->kafka_count, 1);
    assert_string_equal(config->kafka[0].name, "bootstrap.servers");
    assert_string_equal(config->schema_registry.url, "http://localhost:8081");
    assert_int_equal(config->schema_registry.timeout_ms, 5000);

    assert_int_equal(config->topic_count, 1);
    const struct mor_config_topic *topic = &config->topics[0];
    assert_string_equal(topic->topic, "orders");
    assert_string_equal(topic->group, "moraine-orders");
    assert_int_equal(topic->start, MOR_CONFIG_START_EARLIEST);
    assert_int_equal(topic->value.format, MOR_CONFIG_FORMAT_AVRO);
    assert_int_equal(topic->value.wire, MOR_CONFIG_WIRE_CONFLUENT);
    assert_int_equal(topic->schema.kind, MOR_CONFIG_SCHEMA_REGISTRY);
    assert_string_equal(topic->event_time.field, "updated_at");
    assert_int_equal(topic->event_time.max_lateness_ms, 600000);
    assert_int_equal(topic->key.count, 1);
    assert_string_equal(topic->key.items[0], "order_id");
    assert_string_equal(topic->ordering, "updated_at");
    assert_string_equal(topic->delete_when.equals, "d");
    assert_int_equal(topic->table.partition_field_count, 1);
    assert_string_equal(topic->table.partition_fields[0].column, "created_at");
    assert_int_equal(topic->table.partition_fields[0].transform, MOR_CONFIG_PARTITION_DAY);
    assert_int_equal(topic->table.buckets, 8);
    assert_int_equal(topic->table.hudi_table_version, 6);
    assert_true(topic->table.provenance);
    assert_int_equal(topic->commit.max_bytes, 128LL << 20);
    assert_null(topic->dead_letter.location);
    mor_config_report_done(&report);
    mor_config_free(config);
}

// Writes files into a fresh folder and loads moraine.yaml there.
static char temporary[] = "/tmp/moraine-config-XXXXXX";

static void write_text(const char *name, const char *text)
{
    char *path = mor_asprintf("%s/%s", temporary, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static struct mor_config *load_texts(const char *service, const char *topic,
                                     struct mor_config_report *report)
{
    write_text("moraine.yaml", service);
    write_text("topic.yaml", topic);
    char *path = mor_asprintf("%s/moraine.yaml", temporary);
    struct mor_config *config = load(path, report);
    free(path);
    return config;
}

static void secrets_are_filled_in_marked_and_redacted(void **state)
{
    (void)state;
    struct mor_config_report report;
    setenv("MORAINE_TEST_PASSWORD", "tr0ub4dor", 1);
    write_text("token", "from-a-file\n");
    struct mor_config *config =
        load_texts("kafka:\n"
                   "  bootstrap.servers: a:1\n"
                   "  sasl.password: \"x-${env:MORAINE_TEST_PASSWORD}-y\"\n"
                   "  ssl.key.password: plain-text\n"
                   "  sasl.username: \"$${not a reference}\"\n"
                   "schema_registry: {url: http://r, username: u, password: registry-pw}\n"
                   "http: {token: \"${file:token}\"}\n"
                   "catalogs:\n"
                   "  a: {type: rest, uri: \"http://c\", credential: \"me:catalog-pw\"}\n"
                   "  b: {type: rest, uri: \"http://c\", token: catalog-bearer}\n"
                   "topics: topic.yaml\n",
                   "topic: t\nvalue: {format: avro}\ntable: {location: /x}\n", &report);
    assert_string_equal(config->kafka[1].value, "x-tr0ub4dor-y");
    assert_true(config->kafka[1].secret);
    assert_true(config->kafka[2].secret);
    assert_false(config->kafka[0].secret);
    assert_string_equal(config->kafka[3].value, "${not a reference}");
    assert_string_equal(config->http.token, "from-a-file");
    char text[] = "a tr0ub4dor b from-a-file c plain-text d registry-pw e";
    mor_config_redact(config, text);
    assert_string_equal(text, "a ********* b *********** c ********** d *********** e");
    char catalogs[] = "catalog-pw me catalog-bearer";
    mor_config_redact(config, catalogs);
    assert_string_equal(catalogs, "********** me **************");
    mor_config_report_done(&report);
    mor_config_free(config);
}

// Libraries quote the address that they could not reach.
static void passwords_of_addresses_are_redacted(void **state)
{
    (void)state;
    struct mor_config_report report;
    setenv("MORAINE_TEST_HOST", "whole:secret5@host", 1);
    struct mor_config *config =
        load_texts("kafka: {bootstrap.servers: \"a:1,SSL://user:broker-pw@b:2\"}\n"
                   "schema_registry: {url: \"https://reg:p%40ss-w0rd@r:8081/api\"}\n"
                   "catalogs: {lake: {type: rest, uri: \"http://ghp-token@c/@x\", "
                   "warehouse: \"http://${env:MORAINE_TEST_HOST}/w\"}}\n"
                   "topics: topic.yaml\n",
                   "topic: t\nvalue: {format: avro}\ntable: {location: /x}\n", &report);
    char text[] = "reg p%40ss-w0rd p@ss-w0rd broker-pw ghp-token secret5 user r:8081/api";
    mor_config_redact(config, text);
    assert_string_equal(text,
                        "reg *********** ********* ********* ********* ******* user r:8081/api");
    mor_config_report_done(&report);
    mor_config_free(config);
}

static void columns_keep_their_nesting(void **state)
{
    (void)state;
    struct mor_config_report report;
    struct mor_config *config =
        load_texts("kafka: {bootstrap.servers: a:1}\ntopics: [topic.yaml]\n",
                   "topic: t\n"
                   "value: {format: json}\n"
                   "table: {location: /x}\n"
                   "key: id\n"
                   "schema:\n"
                   "  fields:\n"
                   "    - {name: id, type: long, nullable: false}\n"
                   "    - {name: amount, type: \"decimal(12,2)\", doc: money}\n"
                   "    - name: address\n"
                   "      fields: [{name: street, type: string}]\n"
                   "    - name: items\n"
                   "      type: list<struct>\n"
                   "      fields: [{name: sku, type: string}, {name: n, type: int}]\n",
                   &report);
    const struct mor_config_topic *topic = &config->topics[0];
    assert_int_equal(topic->schema.kind, MOR_CONFIG_SCHEMA_FIELDS);
    assert_int_equal(topic->schema.field_count, 4);
    assert_false(topic->schema.fields[0].nullable);
    assert_string_equal(topic->schema.fields[1].type, "decimal(12,2)");
    assert_string_equal(topic->schema.fields[1].doc, "money");
    assert_true(topic->schema.fields[1].nullable);
    assert_null(topic->schema.fields[2].type);
    assert_string_equal(topic->schema.fields[2].children[0].name, "street");
    assert_string_equal(topic->schema.fields[3].type, "list<struct>");
    assert_int_equal(topic->schema.fields[3].child_count, 2);
    assert_int_equal(topic->schema.fields[3].line, 11);
    assert_string_equal(topic->key.items[0], "id");
    mor_config_report_done(&report);
    mor_config_free(config);
}

static void schema_file_is_read_beside_the_topic_file(void **state)
{
    (void)state;
    struct mor_config_report report;
    write_text("t.avsc", "{\"type\":\"record\"}");
    struct mor_config *config = load_texts(
        "kafka: {bootstrap.servers: a:1}\ntopics: topic.yaml\n",
        "topic: t\nvalue: {format: avro}\nschema: {file: t.avsc}\ntable: {location: /x}\n",
        &report);
    assert_int_equal(config->topics[0].schema.kind, MOR_CONFIG_SCHEMA_FILE);
    assert_string_equal(config->topics[0].schema.text, "{\"type\":\"record\"}");
    assert_int_equal(config->topics[0].value.wire, MOR_CONFIG_WIRE_BARE);
    mor_config_report_done(&report);
    mor_config_free(config);
}

static void http_off_leaves_no_address(void **state)
{
    (void)state;
    struct mor_config_report report;
    struct mor_config *config =
        load_texts("kafka: {bootstrap.servers: a:1}\ntopics: topic.yaml\nhttp: {listen: off}\n"
                   "schema_registry: {url: http://r}\n",
                   "topic: t\nvalue: {format: avro}\ntable: {location: /x}\n", &report);
    assert_null(config->http.listen);
    mor_config_report_done(&report);
    mor_config_free(config);
}

static void missing_file_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    assert_int_equal(mor_config_load("/no/such/file.yaml", &config, &report), MOR_FATAL);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.notes[0].text,
                        "/no/such/file.yaml: cannot be read: No such file or directory");
    mor_config_report_done(&report);
}

static void partitions_of_iceberg_have_their_arguments(void **state)
{
    (void)state;
    struct mor_config_report report;
    assert_int_equal(chdir(DATA "/valid/iceberg"), 0);
    struct mor_config *config = load("moraine.yaml", &report);
    const struct mor_config_topic *topic = &config->topics[0];
    assert_int_equal(topic->table.format, MOR_CONFIG_TABLE_ICEBERG);
    assert_int_equal(topic->table.format_version, 3);
    assert_int_equal(topic->table.buckets, 1);
    const struct mor_config_partition_field expected[] = {
        {"at", MOR_CONFIG_PARTITION_DAY, 0},
        {"id", MOR_CONFIG_PARTITION_BUCKET, 16},
        {"name", MOR_CONFIG_PARTITION_TRUNCATE, 4},
        {"region", MOR_CONFIG_PARTITION_IDENTITY, 0}};
    assert_int_equal(topic->table.partition_field_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(topic->table.partition_fields[i].column, expected[i].column);
        assert_int_equal(topic->table.partition_fields[i].transform, expected[i].transform);
        assert_int_equal(topic->table.partition_fields[i].argument, expected[i].argument);
    }
    mor_config_free(config);
    mor_config_report_done(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_of_iceberg_have_their_arguments),
        cmocka_unit_test(invalid_files_are_refused_with_the_expected_words),
        cmocka_unit_test(valid_files_load_with_the_expected_warnings),
        cmocka_unit_test(samples_load_with_every_value_in_place),
        cmocka_unit_test(secrets_are_filled_in_marked_and_redacted),
        cmocka_unit_test(passwords_of_addresses_are_redacted),
        cmocka_unit_test(columns_keep_their_nesting),
        cmocka_unit_test(schema_file_is_read_beside_the_topic_file),
        cmocka_unit_test(http_off_leaves_no_address),
        cmocka_unit_test(missing_file_is_an_error_that_names_it),
    };
    if (!mkdtemp(temporary))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char *command = mor_asprintf("rm -rf '%s'", temporary);
    if (system(command) != 0)
        failed++;
    free(command);
    return failed;
}
