// What the commands share: their table, options, output and exit codes.
#ifndef MORAINE_CLI_H
#define MORAINE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

// One option of a command: "--name VALUE", "--name=VALUE", or a flag when `value` is NULL.
struct cli_option {
    const char *name;  // without dashes
    const char *value; // what stands for the value in the help text, NULL = flag
    const char *text;
};

struct cli_command {
    const char *name;
    const char *arguments; // positional ones, for the help text; "" = none
    const char *summary;
    const struct cli_option *options;
    size_t option_count;
    size_t positional_min, positional_max;
    int (*run)(int argc, char **argv);
};

#define CLI_POSITIONAL_MAX 8
#define CLI_OPTIONS_MAX    16

// A parsed command line; values are borrowed from argv.
struct cli_arguments {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX]; // by the option's index; "" for a flag that was given
    const char *positional[CLI_POSITIONAL_MAX];
    size_t positional_count;
    const char *config; // --config of commands whose first argument is TABLE; NULL = not given
};

// False after a message on standard error when the line does not fit the command.
bool cli_parse(const struct cli_command *command, int argc, char **argv,
               struct cli_arguments *ret_arguments);
// Whether the command's first argument is a table: such commands take --config as well, for the
// catalogs that tables may be in.
bool cli_takes_table(const struct cli_command *command);
// Makes the catalogs known that `table` needs, from the service file `config` (NULL = what
// MORAINE_CONFIG names); nothing to do for a table that has a path. False after a message.
bool cli_find_catalogs(const struct cli_command *command, const char *table, const char *config);
// Value of option `name`, NULL when it was not given.
const char *cli_value(const struct cli_arguments *arguments, const char *name);
bool cli_flag(const struct cli_arguments *arguments, const char *name);
// Reads a whole number of at least `least`; false after a message.
bool cli_number(const struct cli_arguments *arguments, const char *name, int64_t least,
                int64_t otherwise, int64_t *ret_number);

// "moraine: <message>" on standard error; returns the exit code of the class.
int cli_fail(const struct mor_error *err);
// "moraine: <text>" and a pointer to the help; returns EXIT_USAGE.
int cli_usage(const struct cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_print_help(const struct cli_command *command);

// Buffered standard output that notices a closed pipe or a full disk. Returns false then.
bool cli_write(struct mor_buffer *text);
// For file names inside a path: "a,b,c" cut at the commas; the pieces live in `arena`.
size_t cli_split(const char *list, struct mor_arena *arena, const char *const **ret_items);

extern const struct cli_command cli_run_command, cli_check_command, cli_demo_command,
    cli_scan_command, cli_history_command, cli_describe_command, cli_parquet_command,
    cli_status_command, cli_verify_command, cli_compact_command, cli_clean_command,
    cli_wait_for_command, cli_dead_letters_command, cli_redrive_command, cli_delete_command;

#endif
