// Memory is refused while the configuration is loaded.
#include "alloc_fault.h"
#include "check.h"
#include "moraine/base/memory.h"
#include "moraine/config.h"

static void write_file(const char *folder, const char *name, const char *text)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static enum mor_status load(void *context, struct mor_error *err)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/moraine.yaml", (const char *)context);
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    enum mor_status status = mor_config_load(path, &config, &report);
    if (status != MOR_OK)
        mor_error_set(err, status, "%s", report.count > 0 ? report.notes[0].text : "");
    else if (config->topic_count != 1)
        abort();
    mor_config_report_done(&report);
    mor_config_free(config);
    return status;
}

static void loading_survives_refused_memory(void **state)
{
    (void)state;
    char *folder = check_folder();
    write_file(folder, "moraine.yaml",
               "memory: 64MiB\nkafka: {bootstrap.servers: \"localhost:9092\"}\n"
               "state_dir: /tmp\ntopics: [\"t*.yaml\"]\n");
    write_file(folder, "topic.yaml",
               "topic: events\nvalue: {format: json}\n"
               "schema: {fields: [{name: id, type: long}, {name: version, type: long},\n"
               "  {name: op, type: string}]}\n"
               "key: [id]\nordering: version\ndelete_when: {field: op, equals: d}\n"
               "table: {format: hudi, location: \"file:///tmp/t\", buckets: 2}\n");
    struct alloc_work work = {.name = "config", .context = folder, .run = load};
    alloc_fault_sweep(&work);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loading_survives_refused_memory)};
    return cmocka_run_group_tests_name("allocation faults: config", tests, NULL, NULL);
}
