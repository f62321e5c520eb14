// Dead letters sent again: what they have more becomes columns, and none is taken for a tombstone.
#include "check.h"
#include "table_rows_count.h"

#include <time.h>

#include "http_server.h"
#include "moraine/base/clock.h"
#include "moraine/decode.h"
#include "moraine/merge.h"
#include "moraine/pipeline.h"
#include "moraine/pipeline/dead_letters.h"
#include "moraine/source.h"

#define PATIENCE_MS 30000
#define SCHEMA(more_)                                                                              \
    "\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"r\\\",\\\"fields\\\":["            \
    "{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"long\\\"}" more_ "]}\"}"
#define EXTRA ",{\\\"name\\\":\\\"extra\\\",\\\"type\\\":\\\"string\\\"}"
#define TWICE ",{\\\"name\\\":\\\"id2\\\",\\\"type\\\":\\\"int\\\"}"

// Schemas 3 and 4 are registered late, when `mode` says so.
static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    bool late = atomic_load(&server->mode) != 0;
    if (strncmp(request, "GET /subjects/events-value/versions/latest ", 43) == 0)
        return http_answer(answer, capacity, "200 OK", "{\"id\":1," SCHEMA(""));
    if (strncmp(request, "GET /schemas/ids/1 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{" SCHEMA(""));
    if (late && strncmp(request, "GET /schemas/ids/3 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{" SCHEMA(EXTRA));
    if (late && strncmp(request, "GET /schemas/ids/4 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{" SCHEMA(TWICE));
    return http_answer(answer, capacity, "404 Not Found",
                       "{\"error_code\":40403,\"message\":\"Schema not found\"}");
}

struct rig {
    char *folder, *table;
    struct http_server server;
    struct mor_demo_broker *broker;
    struct mor_config *config;
    struct mor_budget budget;
};

static void write_file(const char *folder, const char *name, const char *text)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void set_up(struct rig *rig, const char *records)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_config_report notes = {0};
    *rig = (struct rig){.folder = check_folder()};
    rig->table = mor_asprintf("%s/table", rig->folder);
    http_server_start(&rig->server, handle);
    mor_budget_init(&rig->budget, 64u << 20);
    assert_ok(mor_demo_broker_start("events", 2, &rig->broker, &err));
    MOR_AUTO_FREE char *service = mor_asprintf(
        "instance: test\nstate_dir: %s/state\nmemory: 64MiB\nlanes: 2\n"
        "kafka: {bootstrap.servers: \"%s\"}\nschema_registry: {url: \"%s\"}\ntopics: topic.yaml\n",
        rig->folder, mor_demo_broker_address(rig->broker), rig->server.url);
    MOR_AUTO_FREE char *topic =
        mor_asprintf("topic: events\n%scommit: {interval: 100ms}\n"
                     "max_dead_letter_ratio: 1\ndead_letter: {location: \"file://%s/letters\"}\n"
                     "table: {format: hudi, location: \"file://%s\"}\n",
                     records, rig->folder, rig->table);
    write_file(rig->folder, "moraine.yaml", service);
    write_file(rig->folder, "topic.yaml", topic);
    MOR_AUTO_FREE char *path = mor_asprintf("%s/moraine.yaml", rig->folder);
    assert_ok(mor_config_load(path, &rig->config, &notes));
    mor_config_report_done(&notes);
}

static void tear_down(struct rig *rig)
{
    mor_config_free(rig->config);
    mor_demo_broker_free(rig->broker);
    http_server_stop(&rig->server);
    free(rig->table);
    free(rig->folder);
    assert_int_equal(mor_budget_used(&rig->budget), 0);
}

// A registry that remembers nothing of before.
static struct mor_registry *registry_of(const struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_registry *registry = NULL;
    struct mor_registry_options options = {.url = rig->server.url, .timeout_ms = 3000};
    assert_ok(mor_registry_open(&options, &registry, &err));
    return registry;
}

static void produce(struct rig *rig, int32_t partition, const char *key, const char *value,
                    size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_demo_broker_produce(rig->broker, partition, key, key ? strlen(key) : 0, value,
                                      size, 1767225600000, &err));
    assert_ok(mor_demo_broker_flush(rig->broker, &err));
}

static void run_until_read(struct rig *rig, int64_t records)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_registry *registry = registry_of(rig);
    struct mor_pipeline_options options = {.config = rig->config,
                                           .topic = &rig->config->topics[0],
                                           .registry = registry,
                                           .budget = &rig->budget,
                                           .budget_share_bytes = 64u << 20};
    struct mor_pipeline *pipeline;
    struct mor_pipeline_status *status = mor_calloc(1, sizeof *status);
    int64_t deadline_ms = mor_clock_mono_ms() + PATIENCE_MS;
    assert_ok(mor_pipeline_start(&options, &pipeline, &err));
    do {
        struct timespec pause = {0, 10 * 1000000};
        nanosleep(&pause, NULL);
        mor_pipeline_status(pipeline, status);
        if (status->state == MOR_PIPELINE_FAILED || mor_clock_mono_ms() > deadline_ms)
            fail_msg("%s: %s", status->step, status->trouble);
    } while (status->read < records);
    free(status);
    mor_pipeline_stop(pipeline, mor_clock_mono_ms() + PATIENCE_MS);
    mor_pipeline_free(pipeline);
    mor_registry_free(registry);
}

static struct mor_redrive_report redrive(struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_registry *registry = registry_of(rig);
    struct mor_redrive_options options = {.config = rig->config,
                                          .topic = &rig->config->topics[0],
                                          .registry = registry,
                                          .limit = -1,
                                          .budget = &rig->budget,
                                          .budget_share_bytes = 64u << 20};
    struct mor_redrive_report report;
    assert_ok(mor_redrive(&options, &report, &err));
    mor_registry_free(registry);
    return report;
}

static void what_letters_have_more_becomes_columns(void **state)
{
    (void)state;
    struct rig rig;
    struct mor_error err = MOR_ERROR_INIT;
    set_up(&rig, "value: {format: avro}\nschema: registry\n");
    produce(&rig, 0, NULL, "\0\0\0\0\1\2", 6);
    produce(&rig, 0, NULL, "\0\0\0\0\3\4\2x", 8);
    produce(&rig, 1, NULL, "\0\0\0\0\4\6\16", 7);
    produce(&rig, 1, NULL, "\0\0\0\0\5\6", 6); // stays unknown
    run_until_read(&rig, 4);
    atomic_store(&rig.server.mode, 1);
    struct mor_redrive_report report = redrive(&rig);
    assert_int_equal(report.landed, 2);
    assert_int_equal(report.dead_again, 1);

    static const char *const columns[] = {"id", "extra", "id2"};
    struct mor_scan_options scan_options = {.columns = columns, .column_count = 3};
    struct mor_table *table;
    struct mor_scan *scan;
    assert_ok(mor_table_open_read(rig.table, NULL, &table, &err));
    assert_ok(mor_scan_open(table, &scan_options, &scan, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    int64_t rows = 0, sum = 0, extras = 0, twices = 0;
    for (;;) {
        assert_ok(mor_scan_next(scan, batch, &err));
        if (batch->row_count == 0)
            break;
        for (size_t row = 0; row < batch->row_count; row++, rows++) {
            int64_t id = mor_vector_i64(&batch->columns[0], row);
            sum += id;
            extras += mor_vector_is_null(&batch->columns[1], row) ? 0 : id;
            twices += mor_vector_is_null(&batch->columns[2], row) ? 0 : id;
        }
    }
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    assert_int_equal(rows, 3);
    assert_int_equal(sum, 1 + 2 + 3);
    assert_int_equal(extras, 2); // the letter of schema 3 alone has it
    assert_int_equal(twices, 3);
    tear_down(&rig);
}

// All letters at hand have no bytes at all, and none of them is a tombstone for that.
static void a_letter_with_an_empty_value_is_no_tombstone(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "value: {format: json}\nkey: [id]\nordering: n\nschema: {fields: [{name: id, "
                 "type: string, nullable: false}, {name: n, type: long, nullable: false}]}\n");
    static const char row[] = "{\"id\": \"a\", \"n\": 1}";
    produce(&rig, 0, "a", row, sizeof row - 1);
    produce(&rig, 0, "a", "", 0);
    run_until_read(&rig, 2);
    assert_int_equal(count_rows(rig.table), 1);
    struct mor_redrive_report report = redrive(&rig);
    assert_int_equal(report.landed, 0);
    assert_int_equal(report.dead_again, 1);
    assert_int_equal(count_rows(rig.table), 1);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_with_an_empty_value_is_no_tombstone),
        cmocka_unit_test(what_letters_have_more_becomes_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
