#include "moraine/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "moraine/base/memory.h"

#define SERVICE                                                                                    \
    "instance: one\n"                                                                              \
    "kafka: {bootstrap.servers: \"localhost:9092\", client.rack: a}\n"                             \
    "catalogs: {lake: {type: rest, uri: \"http://localhost:1\"}}\n"                                \
    "topics: topics.yaml\n"
#define TOPIC                                                                                      \
    "topic: orders\n"                                                                              \
    "value: {format: json}\n"                                                                      \
    "schema: {fields: [{name: id, type: long}, {name: at, type: string},\n"                        \
    "  {name: s, fields: [{name: x, type: int}]}]}\n"                                              \
    "key: [id]\n"                                                                                  \
    "compaction: {max_delta_ratio: 0.3}\n"                                                         \
    "table:\n"                                                                                     \
    "  location: /lake/orders\n"                                                                   \
    "  partition_by: [at]\n"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct mor_config *load(const char *service, const char *topic)
{
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    write_file("moraine.yaml", service);
    write_file("topics.yaml", topic);
    enum mor_status status = mor_config_load("moraine.yaml", &config, &report);
    for (size_t i = 0; i < report.count && status != MOR_OK; i++)
        print_error("%s\n", report.notes[i].text);
    assert_int_equal(status, MOR_OK);
    mor_config_report_done(&report);
    return config;
}

// `text` with the first `from` replaced; the caller frees.
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return mor_asprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void topic_equals_itself_loaded_again_and_spelled_otherwise(void **state)
{
    (void)state;
    struct mor_config *a = load(SERVICE, TOPIC);
    char *text = edited(TOPIC, "value: {format: json}\n", "value.format: json # the same\n");
    struct mor_config *b = load(SERVICE, text);
    assert_true(mor_config_topic_equals(&a->topics[0], &b->topics[0]));
    free(text);
    mor_config_free(a);
    mor_config_free(b);
}

static void topic_differs_when_any_kind_of_option_does(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        {"key: [id]", "key: [id, at]"},
        {"key: [id]", "key: [id]\ncommit: {interval: 3s}"},
        {"key: [id]", "key: [id]\ncommit: {max_bytes: 3MiB}"},
        {"key: [id]", "key: [id]\ncommit: {max_rows: 3}"},
        {"key: [id]", "key: [id]\non_error: stop"},
        {"key: [id]", "key: [id]\ngroup: mine"},
        {"0.3", "0.4"},
        {"type: string", "type: bytes"},
        {"name: x, type: int", "name: y, type: int"},
        {"name: x, type: int", "name: x, type: int, nullable: false"},
        {"/lake/orders", "/lake/orders\n  provenance: false"},
        {"/lake/orders", "/lake/other"},
    };
    struct mor_config *a = load(SERVICE, TOPIC);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *text = edited(TOPIC, edits[i][0], edits[i][1]);
        struct mor_config *b = load(SERVICE, text);
        if (mor_config_topic_equals(&a->topics[0], &b->topics[0]))
            fail_msg("'%s' instead of '%s' is no difference", edits[i][1], edits[i][0]);
        mor_config_free(b);
        free(text);
    }
    mor_config_free(a);
}

static void topic_differs_when_its_schema_file_does(void **state)
{
    (void)state;
    static const char topic[] = "topic: orders\nvalue: {format: avro}\nschema: {file: o.avsc}\n"
                                "table: {location: /lake/orders}\n";
    write_file("o.avsc", "{\"type\":\"record\",\"name\":\"a\",\"fields\":[]}");
    struct mor_config *a = load(SERVICE, topic);
    write_file("o.avsc", "{\"type\":\"record\",\"name\":\"b\",\"fields\":[]}");
    struct mor_config *b = load(SERVICE, topic);
    assert_false(mor_config_topic_equals(&a->topics[0], &b->topics[0]));
    mor_config_free(a);
    mor_config_free(b);
}

static void collect(void *context, const char *key)
{
    mor_buffer_printf(context, "%s ", key);
}

static void differing_service_options_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *keys;
    } edits[] = {
        {"instance: one", "instance: one # still", ""},
        {"instance: one", "instance: two\nlog: {level: debug}", "instance log.level "},
        {"client.rack: a", "client.rack: b", "kafka "},
        {", client.rack: a", "", "kafka "},
        {"localhost:1", "localhost:2", "catalogs "},
        {"topics: topics.yaml", "topics: [topics.yaml]", ""},
    };
    struct mor_config *a = load(SERVICE, TOPIC);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *text = edited(SERVICE, edits[i].from, edits[i].to);
        struct mor_config *b = load(text, TOPIC);
        MOR_AUTO_BUFFER keys = {0};
        mor_config_differences(a, b, collect, &keys);
        assert_string_equal(mor_buffer_terminate(&keys), edits[i].keys);
        mor_config_free(b);
        free(text);
    }
    mor_config_free(a);
}

static void place_of_an_option_is_told_and_of_a_default_the_file(void **state)
{
    (void)state;
    struct mor_config *config = load(SERVICE, TOPIC);
    char place[256];
    mor_config_where(config, &config->topics[0], "table.location", place, sizeof place);
    assert_string_equal(place, "topics.yaml:8:13");
    mor_config_where(config, &config->topics[0], "commit.interval", place, sizeof place);
    assert_string_equal(place, "topics.yaml");
    mor_config_where(config, NULL, "kafka", place, sizeof place);
    assert_string_equal(place, "moraine.yaml:2:8");
    mor_config_free(config);
}

static char folder[] = "/tmp/moraine-compare-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? chdir(folder) : 1;
}

static int leave_folder(void **state)
{
    (void)state;
    (void)unlink("moraine.yaml");
    (void)unlink("topics.yaml");
    (void)unlink("o.avsc");
    return chdir("/") + rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_equals_itself_loaded_again_and_spelled_otherwise),
        cmocka_unit_test(topic_differs_when_any_kind_of_option_does),
        cmocka_unit_test(topic_differs_when_its_schema_file_does),
        cmocka_unit_test(differing_service_options_are_named),
        cmocka_unit_test(place_of_an_option_is_told_and_of_a_default_the_file),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
