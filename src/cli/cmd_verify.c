// moraine verify: is the table what its ledger, its files and Kafka say?

#include <stdio.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/verify.h"
#include "service.h"

#define PROGRESS_MS 200

static const struct cli_option options[] = {
    {"config", "FILE", "the service's YAML file, for the way to Kafka; with --topic"},
    {"topic", "T",
     "compare the ledger with this topic of Kafka, as far as it still has the records"},
    {"output", "FORMAT", "text (the default) or json"},
};

static int run_verify(int argc, char **argv);

const struct cli_command cli_verify_command = {
    .name = "verify",
    .arguments = "TABLE",
    .summary =
        "checks a table: ledger, rows, keys, files, and Kafka.\n"
        "The ledger's ranges must tile each Kafka partition and their sums must close; every row "
        "must come from\n"
        "one offset of one commit; no key may occur twice; every file must be there, whole, and "
        "as it is stated.\n"
        "With --config and --topic the records that Kafka still has are read again and compared "
        "with the ledger's\n"
        "digests. Reads only and locks nothing. Exit 1 and a list when anything is missing, "
        "doubled or damaged.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_verify,
};

// On a terminal, one line that is written over.
struct progress {
    bool shown, wanted;
    int64_t next_ms;
};

static void show_progress(void *context, const char *what, int64_t done, int64_t total)
{
    struct progress *progress = context;
    int64_t now_ms = mor_clock_mono_ms();
    if (!progress->wanted || now_ms < progress->next_ms)
        return;
    progress->next_ms = now_ms + PROGRESS_MS;
    progress->shown = true;
    (void)fprintf(stderr, "\r%s: %lld of %lld\033[K", what, (long long)done, (long long)total);
}

static enum mor_status open_kafka(const struct mor_config *config, const char *topic,
                                  struct mor_source_reader **ret_reader, struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_source_property *properties =
        mor_calloc(config->kafka_count + 1, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct mor_source_property){config->kafka[i].name, config->kafka[i].value};
    enum mor_status status =
        mor_source_reader_open(topic, properties, config->kafka_count, ret_reader, err);
    mor_config_redact(config, err->message);
    return status;
}

static enum mor_status verify(const char *location, struct mor_source_reader *kafka,
                              const char *topic, struct mor_verify_report **ret_report,
                              struct mor_error *err)
{
    struct progress progress = {.wanted = isatty(STDERR_FILENO) != 0};
    const struct mor_verify_options settings = {
        .kafka = kafka, .topic = topic, .progress = show_progress, .context = &progress};
    struct mor_table *table;
    MOR_TRY(mor_table_open_read(location, NULL, &table, err));
    enum mor_status status = mor_verify_table(table, &settings, ret_report, err);
    mor_table_free(table);
    if (progress.shown)
        (void)fprintf(stderr, "\r\033[K");
    return status;
}

static int print_report(const struct mor_verify_report *report, bool json)
{
    MOR_AUTO_BUFFER text = {0};
    if (json)
        mor_verify_report_json(report, &text);
    else
        mor_verify_report_text(report, &text);
    if (!cli_write(&text))
        return EXIT_FAILED;
    return report->wrong_count > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_verify(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_verify_command, argc, argv, &arguments))
        return EXIT_USAGE;
    const char *path = cli_value(&arguments, "config"), *topic = cli_value(&arguments, "topic");
    const char *output = cli_value(&arguments, "output");
    bool json = output != NULL && strcmp(output, "json") == 0;
    if (output != NULL && !json && strcmp(output, "text") != 0)
        return cli_usage(&cli_verify_command, "--output: '%s' is not one of text, json", output);
    // a catalog's table may need the configuration for itself, which cli_parse has seen to
    bool in_catalog = mor_table_is_in_catalog(arguments.positional[0]);
    if ((path == NULL && topic != NULL) || (path != NULL && topic == NULL && !in_catalog))
        return cli_usage(&cli_verify_command, "--config and --topic belong together");
    struct mor_config *config = topic != NULL ? cli_load_config(path) : NULL;
    if (topic != NULL && config == NULL)
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_reader *kafka = NULL;
    struct mor_verify_report *report = NULL;
    enum mor_status status = config != NULL ? open_kafka(config, topic, &kafka, &err) : MOR_OK;
    if (status == MOR_OK)
        status = verify(arguments.positional[0], kafka, topic, &report, &err);
    int result = status == MOR_OK ? print_report(report, json) : cli_fail(&err);
    mor_verify_report_free(report);
    mor_source_reader_free(kafka);
    mor_config_free(config);
    return result;
}
