// moraine redrive: dead letters through the pipeline again.

#include <stdio.h>

#include "cli.h"
#include "moraine/decode.h"
#include "moraine/pipeline/dead_letters.h"
#include "service.h"

static const struct cli_option options[] = {
    {"config", "FILE", "the service's file"},
    {"topic", "TOPIC", "whose dead letters"},
    {"where", "EXPR",
     "only those for which the condition is true, e.g. \"stage = 'decode' and "
     "partition = 3\""},
    {"limit", "N", "at most so many"},
    {"dry-run", NULL, "only count them"},
};

static int run_redrive(int argc, char **argv);

const struct cli_command cli_redrive_command = {
    .name = "redrive",
    .arguments = "--config FILE --topic TOPIC",
    .summary =
        "sends dead letters through the pipeline again.\nExactly once, with the configuration as "
        "it is now, beside a running service. What fails again stays a dead letter.\nThe letters "
        "are in the table that dead_letter.location names ('moraine dead-letters' lists them), or "
        "in "
        "the\nfile of this host's instance, from where they come into a table beside it first.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_redrive,
};

static const struct mor_config_topic *find_topic(const struct mor_config *config, const char *name)
{
    for (size_t i = 0; i < config->topic_count; i++)
        if (config->topics[i].topic != NULL && strcmp(config->topics[i].topic, name) == 0)
            return &config->topics[i];
    return NULL;
}

static int redrive(const struct mor_config *config, const struct mor_config_topic *topic,
                   const struct cli_arguments *arguments, int64_t limit)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_registry *registry;
    if (cli_open_registry(config, &registry, &err) != MOR_OK)
        return cli_fail(&err);
    struct mor_budget budget;
    mor_budget_init(&budget, (size_t)config->memory_bytes);
    const struct mor_redrive_options wanted = {.config = config,
                                               .topic = topic,
                                               .registry = registry,
                                               .where = cli_value(arguments, "where"),
                                               .limit = limit,
                                               .dry_run = cli_flag(arguments, "dry-run"),
                                               .budget = &budget,
                                               .budget_share_bytes = (size_t)config->memory_bytes};
    struct mor_redrive_report report;
    enum mor_status status = mor_redrive(&wanted, &report, &err);
    mor_registry_free(registry);
    if (wanted.dry_run && status == MOR_OK)
        (void)printf("%lld dead letters would be sent again\n", (long long)report.letters);
    else
        (void)printf("%lld dead letters sent again: %lld landed, %lld are dead again\n",
                     (long long)report.letters, (long long)report.landed,
                     (long long)report.dead_again);
    return status == MOR_OK ? EXIT_DONE : cli_fail(&err);
}

static int run_redrive(int argc, char **argv)
{
    struct cli_arguments arguments;
    int64_t limit;
    if (!cli_parse(&cli_redrive_command, argc, argv, &arguments) ||
        !cli_number(&arguments, "limit", 0, -1, &limit))
        return EXIT_USAGE;
    const char *path = cli_value(&arguments, "config"), *name = cli_value(&arguments, "topic");
    if (path == NULL || name == NULL)
        return cli_usage(&cli_redrive_command, "--config and --topic are needed");
    struct mor_config *config = cli_load_config(path);
    if (config == NULL)
        return EXIT_USAGE;
    const struct mor_config_topic *topic = find_topic(config, name);
    int code = topic != NULL ? redrive(config, topic, &arguments, limit)
                             : cli_usage(&cli_redrive_command, "no topic '%s' is configured", name);
    mor_config_free(config);
    return code;
}
