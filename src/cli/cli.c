#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static size_t option_index(const struct cli_command *command, const char *name, size_t length)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (strlen(command->options[i].name) == length &&
            memcmp(command->options[i].name, name, length) == 0)
            return i;
    return command->option_count;
}

bool cli_takes_table(const struct cli_command *command)
{
    return strncmp(command->arguments, "TABLE", 5) == 0;
}

// --config of commands that have no such option of their own. Moves *index over its value.
static bool take_config(const struct cli_command *command, const char *name, size_t length,
                        const char *equals, int argc, char **argv, int *index,
                        struct cli_arguments *arguments)
{
    if (!cli_takes_table(command) || length != 6 || memcmp(name, "config", 6) != 0)
        return false;
    if (equals == NULL && *index + 1 == argc)
        return false; // the message is that of an unknown option
    arguments->config = equals != NULL ? equals + 1 : argv[++*index];
    return true;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv,
               struct cli_arguments *ret_arguments)
{
    struct cli_arguments arguments = {.command = command};
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (options_end || word[0] != '-' || word[1] == '\0') {
            if (arguments.positional_count == command->positional_max) {
                cli_usage(command, "unexpected argument '%s'", word);
                return false;
            }
            arguments.positional[arguments.positional_count++] = word;
        } else {
            const char *name = word + (word[1] == '-' ? 2 : 1);
            const char *equals = strchr(name, '=');
            size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
            size_t option = option_index(command, name, length);
            if (option == command->option_count &&
                take_config(command, name, length, equals, argc, argv, &i, &arguments))
                continue;
            if (option == command->option_count) {
                cli_usage(command, "unknown option '%.*s'", (int)(length + (size_t)(name - word)),
                          word);
                return false;
            }
            bool takes_value = command->options[option].value != NULL;
            if (takes_value && equals == NULL && i + 1 == argc) {
                cli_usage(command, "option '%s' needs a value", word);
                return false;
            }
            if (!takes_value && equals != NULL) {
                cli_usage(command, "option '--%s' takes no value", command->options[option].name);
                return false;
            }
            arguments.values[option] = equals != NULL ? equals + 1 : takes_value ? argv[++i] : "";
        }
    }
    if (arguments.positional_count < command->positional_min) {
        cli_usage(command, "missing argument: %s", command->arguments);
        return false;
    }
    *ret_arguments = arguments;
    const char *config = cli_value(&arguments, "config");
    return !cli_takes_table(command) ||
           cli_find_catalogs(command, arguments.positional[0], config ? config : arguments.config);
}

const char *cli_value(const struct cli_arguments *arguments, const char *name)
{
    size_t option = option_index(arguments->command, name, strlen(name));
    return option < arguments->command->option_count ? arguments->values[option] : NULL;
}

bool cli_flag(const struct cli_arguments *arguments, const char *name)
{
    return cli_value(arguments, name) != NULL;
}

bool cli_number(const struct cli_arguments *arguments, const char *name, int64_t least,
                int64_t otherwise, int64_t *ret_number)
{
    const char *text = cli_value(arguments, name);
    *ret_number = otherwise;
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || number < least) {
        cli_usage(arguments->command, "--%s: '%s' is not a whole number of at least %lld", name,
                  text, (long long)least);
        return false;
    }
    *ret_number = number;
    return true;
}

int cli_fail(const struct mor_error *err)
{
    (void)fprintf(stderr, "moraine: %s\n", err->message);
    return EXIT_FAILED;
}

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "moraine %s: ", command->name);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nTry 'moraine help %s'.\n", command->name);
    return EXIT_USAGE;
}

void cli_print_help(const struct cli_command *command)
{
    (void)printf("moraine %s%s%s%s\n\n%s\n", command->name,
                 command->option_count > 0 ? " [options]" : "",
                 command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    bool config =
        cli_takes_table(command) && option_index(command, "config", 6) == command->option_count;
    if (command->option_count > 0 || config)
        (void)printf("\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        char left[64];
        const struct cli_option *option = &command->options[i];
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name,
                       option->value != NULL ? " " : "",
                       option->value != NULL ? option->value : "");
        (void)printf("  %-28s %s\n", left, option->text);
    }
    if (config)
        (void)printf("  %-28s %s\n", "--config FILE",
                     "service file with the catalogs, for a TABLE like lake:shop.orders");
}

bool cli_write(struct mor_buffer *text)
{
    size_t done = 0;
    while (done < text->size_bytes) {
        ssize_t wrote = write(STDOUT_FILENO, text->data + done, text->size_bytes - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            if (errno != EPIPE)
                (void)fprintf(stderr, "moraine: could not write to standard output: %s\n",
                              strerror(errno));
            return false;
        }
        done += (size_t)wrote;
    }
    mor_buffer_reset(text);
    return true;
}

size_t cli_split(const char *list, struct mor_arena *arena, const char *const **ret_items)
{
    size_t count = 1;
    for (const char *at = list; *at != '\0'; at++)
        count += *at == ',';
    const char **items = mor_arena_calloc(arena, count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(list, ",");
        items[i] = mor_arena_strndup(arena, list, length);
        list += length + (list[length] == ',');
    }
    *ret_items = items;
    return count;
}
