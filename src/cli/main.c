#include <signal.h>
#include <stdio.h>

#include "cli.h"
#include "moraine/base/fault.h"
#include "moraine/source.h"

static const struct cli_command *const commands[] = {
    &cli_run_command,          &cli_check_command,    &cli_demo_command,    &cli_scan_command,
    &cli_history_command,      &cli_describe_command, &cli_parquet_command, &cli_status_command,
    &cli_verify_command,       &cli_compact_command,  &cli_clean_command,   &cli_wait_for_command,
    &cli_dead_letters_command, &cli_redrive_command,  &cli_delete_command,
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_overview(FILE *out)
{
    (void)fprintf(out, "moraine turns Kafka topics into lakehouse tables, exactly once.\n\n"
                       "Usage: moraine <command> [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        // the first sentence of the summary
        size_t length = strcspn(commands[i]->summary, ".\n");
        (void)fprintf(out, "  %-12s %.*s\n", commands[i]->name, (int)length, commands[i]->summary);
    }
    (void)fprintf(out, "  %-12s %s\n", "help", "explains a command: moraine help <command>");
    (void)fprintf(out, "\nmoraine --version says what it is built from.\n");
}

static int print_version(void)
{
    (void)printf("moraine %s\n%s\n", MORAINE_VERSION, mor_source_library_version());
    const char *lines[32];
    size_t count = mor_source_missing_protections(lines, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < count; i++)
        (void)printf("missing: %s\n", lines[i]);
    return EXIT_DONE;
}

static int help(int argc, char **argv)
{
    if (argc == 0) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    const struct cli_command *command = find_command(argv[0]);
    if (command == NULL) {
        (void)fprintf(stderr, "moraine: there is no command '%s'. Try 'moraine help'.\n", argv[0]);
        return EXIT_USAGE;
    }
    cli_print_help(command);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_fault_init(&err) != MOR_OK) {
        (void)cli_fail(&err);
        return EXIT_USAGE;
    }
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return print_version();
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 2, argv + 2);
    const struct cli_command *command = find_command(argv[1]);
    if (command == NULL) {
        (void)fprintf(stderr, "moraine: there is no command '%s'. Try 'moraine help'.\n", argv[1]);
        return EXIT_USAGE;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli_print_help(command);
            return EXIT_DONE;
        }
    }
    return command->run(argc - 2, argv + 2);
}
