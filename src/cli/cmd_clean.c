// moraine clean: removes what no kept snapshot of a table needs, once.

#include <stdio.h>

#include "cli.h"
#include "moraine/config.h"
#include "moraine/table.h"

#define DAY_MS ((int64_t)86400000)

static const struct cli_option options[] = {
    {"retain", "AGE", "snapshots that are younger stay readable (7d)"},
    {"min-snapshots", "N", "and so many of the newest, whatever their age (10)"},
    {"orphan-age", "AGE", "files that no commit names go when they are older (1d)"},
    {"dry-run", NULL, "only lists what would go, and how many bytes"},
};

static int run_clean(int argc, char **argv);

const struct cli_command cli_clean_command = {
    .name = "clean",
    .arguments = "TABLE",
    .summary = "removes old files and commits that no kept snapshot needs, once.\n"
               "Services that write to the table may go on meanwhile.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_clean,
};

static bool parse_age(const struct cli_arguments *arguments, const char *name, int64_t otherwise,
                      int64_t *ret_ms)
{
    const char *text = cli_value(arguments, name);
    *ret_ms = otherwise;
    if (text == NULL || mor_config_parse_duration(text, ret_ms))
        return true;
    cli_usage(arguments->command, "--%s: '%s' is no duration such as 7d or 12h", name, text);
    return false;
}

static bool print_expiry(const struct mor_expiry *expiry, bool dry_run)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < expiry->file_count && dry_run; i++)
        mor_buffer_printf(&text, "file\t%s\t%lld\n", expiry->files[i].key,
                          (long long)expiry->files[i].size_bytes);
    for (size_t i = 0; i < expiry->version_count && dry_run; i++)
        mor_buffer_printf(&text, "version\t%s\n", expiry->versions[i]);
    mor_buffer_printf(&text, "%zu files with %lld bytes and %zu versions %s\n", expiry->file_count,
                      (long long)expiry->bytes, expiry->version_count,
                      dry_run ? "would go" : "are gone");
    if (*expiry->oldest_version)
        mor_buffer_printf(&text, "the oldest kept version is %s\n", expiry->oldest_version);
    return cli_write(&text);
}

static int run_clean(int argc, char **argv)
{
    struct cli_arguments arguments;
    struct mor_retention retention;
    if (!cli_parse(&cli_clean_command, argc, argv, &arguments) ||
        !parse_age(&arguments, "retain", 7 * DAY_MS, &retention.age_ms) ||
        !parse_age(&arguments, "orphan-age", DAY_MS, &retention.orphan_age_ms) ||
        !cli_number(&arguments, "min-snapshots", 1, 10, &retention.min_snapshots))
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_expiry expiry;
    bool dry_run = cli_flag(&arguments, "dry-run"), written = false;
    mor_arena_init(&arena, 0, NULL);
    const char *location = arguments.positional[0];
    enum mor_status status =
        dry_run ? mor_table_open_read(location, NULL, &table, &err)
                : mor_table_open_rewrite(location, "cli.clean", NULL, &table, &err);
    if (status == MOR_OK)
        status = mor_table_expire(table, &retention, dry_run, &arena, &expiry, &err);
    if (status == MOR_OK)
        written = print_expiry(&expiry, dry_run);
    mor_table_free(table);
    mor_arena_done(&arena);
    if (status != MOR_OK)
        return cli_fail(&err);
    return written ? EXIT_DONE : EXIT_FAILED;
}
