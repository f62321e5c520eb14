// moraine check: is the configuration right, before it is deployed?

#include <stdio.h>

#include "service.h"

static const struct cli_option options[] = {
    {"config", "FILE", "the service's YAML file"},
    {"offline", NULL, "look at files only: no registry is asked"},
    {"plan", NULL, "print the columns that each table will have"},
};

static int run_check(int argc, char **argv);

const struct cli_command cli_check_command = {
    .name = "check",
    .arguments = "",
    .summary = "checks the configuration.\n"
               "Reads every file, resolves units and secrets, derives each topic's columns (asking "
               "the schema registry\n"
               "unless --offline) and checks that key, ordering, delete_when, event_time and "
               "partition_by can serve.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_check,
};

// True when the topic's columns can be derived and serve.
static bool check_topic(const struct mor_config_topic *topic, struct mor_registry *registry,
                        bool offline, bool plan)
{
    const char *name = topic->topic != NULL ? topic->topic : topic->pattern;
    if (offline && topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY) {
        (void)printf("%s: columns come from the schema registry (not asked: --offline)\n", name);
        return true;
    }
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER text = {0};
    if (mor_pipeline_plan(topic, registry, &text, &err) != MOR_OK) {
        (void)fprintf(stderr, "%s: %s\n", name, err.message);
        return false;
    }
    (void)printf("%s: right\n", name);
    if (plan)
        (void)printf("table %s\n%s", topic->table.location, mor_buffer_terminate(&text));
    return true;
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
    bool offline = cli_flag(&arguments, "offline");
    struct mor_registry *registry = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    int result = EXIT_DONE;
    if (!offline && cli_open_registry(config, &registry, &err) != MOR_OK)
        result = cli_fail(&err);
    for (size_t i = 0; i < config->topic_count && result != EXIT_FAILED; i++)
        if (!check_topic(&config->topics[i], registry, offline, cli_flag(&arguments, "plan")))
            result = EXIT_USAGE;
    mor_registry_free(registry);
    mor_config_free(config);
    return result;
}
