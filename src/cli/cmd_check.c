// moraine check: is the configuration right, before it is deployed?

#include <stdarg.h>
#include <stdio.h>

#include "check.h"
#include "service.h"

static const struct cli_option options[] = {
    {"config", "FILE", "the service's YAML file"},
    {"offline", NULL, "ask nobody: files and local folders only"},
    {"plan", NULL, "print the DDL of each table, its partitions, and files and commits per hour"},
};

static int run_check(int argc, char **argv);

const struct cli_command cli_check_command = {
    .name = "check",
    .arguments = "",
    .summary =
        "checks everything before a deployment.\n"
        "Files, units and secrets; Kafka, its topics and rights; schemas in the registry; whether "
        "storage can be\n"
        "written as commits need it; whether tables that are there already fit. Run it as the user "
        "of the service.\n"
        "Each finding names its place. Ends with 2 when something must be changed, with 1 when "
        "something could only\n"
        "not be reached.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_check,
};

// ---- findings -----------------------------------------------------------------------------------

static void write_finding(struct check *check, enum check_level level, const char *place,
                          const char *key, const char *words)
{
    static const char *const names[] = {
        [CHECK_ERROR] = "error", [CHECK_AWAY] = "not reached", [CHECK_WARNING] = "warning"};
    MOR_AUTO_FREE char *clean = mor_strdup(words);
    mor_config_redact(check->config, clean);
    (void)fprintf(stderr, "%s: %s: %s: %s\n", place, names[level], key, clean);
    check->counts[level]++;
}

void check_find(struct check *check, enum check_level level, const struct mor_config_topic *topic,
                const char *key, const char *format, ...)
{
    char place[1024];
    mor_config_where(check->config, topic, key, place, sizeof place);
    va_list list;
    va_start(list, format);
    MOR_AUTO_FREE char *words = mor_vasprintf(format, list);
    va_end(list);
    write_finding(check, level, place, key, words);
}

void check_find_error(struct check *check, const struct mor_config_topic *topic, const char *key,
                      const struct mor_error *err, const char *advice)
{
    enum check_level level = err->status == MOR_RETRY ? CHECK_AWAY : CHECK_ERROR;
    const char *words = err->message;
    char option[128];
    size_t path_length = strlen(topic->path);
    if (strncmp(words, topic->path, path_length) == 0 && strncmp(words + path_length, ": ", 2) == 0)
        words += path_length + 2;
    size_t length = strcspn(words, ": ");
    if (words != err->message && words[length] == ':' && length < sizeof option) {
        (void)snprintf(option, sizeof option, "%.*s", (int)length, words);
        key = option;
        words += length + 2;
    }
    check_find(check, level, topic, key, "%s%s%s", words, advice[0] != '\0' ? ". " : "", advice);
}

// ---- one topic ----------------------------------------------------------------------------------

// Copies of one id must meet in one instance.
static void warn_of_copies(struct check *check, const struct mor_config_topic *topic,
                           const struct mor_source_probe *probe)
{
    bool one_partition = probe != NULL && probe->partition_count == 1;
    if (topic->dedup.by.count > 0 && !one_partition)
        check_find(check, CHECK_WARNING, topic, "dedup.by",
                   "with several instances, copies of an id are only recognised when they come "
                   "through one Kafka partition: these columns should contain what the producer "
                   "uses as message key; otherwise run one instance");
}

static void check_places(struct check *check, const struct mor_config_topic *topic)
{
    check_storage(check, topic, "table.location", topic->table.location);
    if (topic->dead_letter.location != NULL)
        check_storage(check, topic, "dead_letter.location", topic->dead_letter.location);
}

static void check_topic(struct check *check, const struct mor_config_topic *topic)
{
    size_t errors = check->counts[CHECK_ERROR], away = check->counts[CHECK_AWAY];
    struct mor_source_probe probe;
    bool asked = false;
    check_kafka_properties(check, topic);
    if (!check->offline && check->counts[CHECK_ERROR] == errors)
        asked = check_kafka(check, topic, &probe);
    MOR_AUTO_BUFFER columns = {0};
    bool from_registry = topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY;
    struct mor_error err = MOR_ERROR_INIT;
    check_places(check, topic);
    if (check->offline && from_registry) {
        (void)printf("%s: the schema registry was not asked (--offline), so neither columns nor "
                     "table were compared\n",
                     topic->topic);
    } else if (mor_pipeline_plan(topic, check->registry, &columns, &err) != MOR_OK) {
        check_find_error(check, topic, "schema", &err, "");
    } else {
        check_table(check, topic, mor_buffer_terminate(&columns));
        if (check->plan)
            check_print_plan(topic, mor_buffer_terminate(&columns), asked ? &probe : NULL);
    }
    warn_of_copies(check, topic, asked ? &probe : NULL);
    if (check->counts[CHECK_ERROR] == errors && check->counts[CHECK_AWAY] == away)
        (void)printf("%s: right\n", topic->topic);
}

// ---- all of it ----------------------------------------------------------------------------------

static void check_service(struct check *check, struct mor_registry **ret_registry)
{
    struct mor_error err = MOR_ERROR_INIT;
    check_storage(check, NULL, "state_dir", check->config->state_dir);
    if (!check->offline && cli_open_registry(check->config, ret_registry, &err) != MOR_OK)
        check_find(check, CHECK_ERROR, NULL, "schema_registry.url", "%s", err.message);
    check->registry = *ret_registry;
}

static int summarise(const struct check *check)
{
    size_t errors = check->counts[CHECK_ERROR], away = check->counts[CHECK_AWAY],
           warnings = check->counts[CHECK_WARNING];
    (void)printf("%zu topic%s, %zu error%s, %zu not reached, %zu warning%s\n",
                 check->config->topic_count, check->config->topic_count == 1 ? "" : "s", errors,
                 errors == 1 ? "" : "s", away, warnings, warnings == 1 ? "" : "s");
    return errors > 0 ? EXIT_USAGE : away > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_check(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_check_command, argc, argv, &arguments))
        return EXIT_USAGE;
    if (cli_value(&arguments, "config") == NULL)
        return cli_usage(&cli_check_command, "--config FILE is needed");
    struct mor_config *config = cli_load_config(cli_value(&arguments, "config"));
    if (config == NULL)
        return EXIT_USAGE;
    struct mor_registry *registry = NULL;
    struct check check = {.config = config,
                          .offline = cli_flag(&arguments, "offline"),
                          .plan = cli_flag(&arguments, "plan")};
    check_service(&check, &registry);
    for (size_t i = 0; i < config->topic_count; i++)
        check_topic(&check, &config->topics[i]);
    int result = summarise(&check);
    mor_registry_free(registry);
    mor_config_free(config);
    return result;
}
