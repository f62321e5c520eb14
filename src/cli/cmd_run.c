// moraine run: the service.

#include <signal.h>

#include "moraine/base/log.h"
#include "service.h"

#define WATCH_MS 200

static const struct cli_option options[] = {
    {"config", "FILE", "the service's YAML file"},
};

static int run_service(int argc, char **argv);

const struct cli_command cli_run_command = {
    .name = "run",
    .arguments = "",
    .summary =
        "runs the service until SIGTERM.\n"
        "SIGTERM or SIGINT: commits what was taken in and ends within shutdown_timeout. SIGHUP: "
        "reads the files\n"
        "again; topics that are new, gone, changed or failed are started, stopped or started "
        "again, the others go\n"
        "on. A topic that cannot go on stops and says why, on the status page too; the service "
        "then "
        "ends with 1 when\n"
        "it is asked to end.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_service,
};

static int run_service(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_run_command, argc, argv, &arguments))
        return EXIT_USAGE;
    const char *path = cli_value(&arguments, "config");
    if (path == NULL)
        return cli_usage(&cli_run_command, "--config FILE is needed");
    cli_block_signals();
    struct mor_config *config = cli_load_config(path);
    if (config == NULL)
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct cli_service service;
    if (cli_service_start(&service, path, config, &err) != MOR_OK)
        return cli_fail(&err);
    // Also when every topic has failed: the status page is where somebody looks for the reason.
    int signal_number = 0;
    while (signal_number == 0) {
        cli_service_tend(&service);
        signal_number = cli_wait_signal(WATCH_MS);
        if (signal_number == SIGHUP) {
            cli_service_reload(&service);
            signal_number = 0;
        }
    }
    MOR_LOG(INFO, "stopping", MOR_INT("signal", signal_number));
    size_t failed = cli_service_stop(&service);
    MOR_LOG(INFO, "stopped", MOR_INT("failed_topics", failed));
    return failed > 0 ? EXIT_FAILED : EXIT_DONE;
}
