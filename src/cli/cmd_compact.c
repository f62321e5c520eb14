// moraine compact: merges the file groups of a table, or gathers its small files, once.

#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "moraine/base/clock.h"
#include "moraine/config.h"
#include "moraine/maintain.h"

static const struct cli_option options[] = {
    {"partition", "P", "only this table partition, e.g. created_at_day=2026-01-31"},
    {"dry-run", NULL, "only lists the file groups that are due, worst first"},
    {"all", NULL, "every file group with delta files is due, whatever the limits"},
    {"max-delta-files", "N", "a file group is due with so many delta files (10)"},
    {"max-delta-ratio", "R", "... or so many bytes of them for each byte of the base file (0.3)"},
    {"max-delta-bytes", "SIZE", "... or so many bytes of them, whatever the base file has"},
    {"target-file-size", "SIZE", "append-only tables: gather files below half of it (256MiB)"},
    {"cluster-by", "A,B", "append-only tables: sort the rows of gathered files by these columns"},
    {"z-order", NULL, "with --cluster-by: along a Z curve, so that each column counts alike"},
    {"threads", "N", "file groups at once (the number of processors when not given)"},
    {"memory", "SIZE", "of all threads together (256MiB)"},
};

static int run_compact(int argc, char **argv);

const struct cli_command cli_compact_command = {
    .name = "compact",
    .arguments = "TABLE",
    .summary = "merges delta files into base files, or gathers small files, once.\n"
               "Readers see the same rows before, during and after. Services that write to the\n"
               "table may go on meanwhile.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_compact,
};

static bool parse_size(const struct cli_arguments *arguments, const char *name, int64_t *ret_bytes)
{
    const char *text = cli_value(arguments, name);
    if (text == NULL || mor_config_parse_size(text, ret_bytes))
        return true;
    cli_usage(arguments->command, "--%s: '%s' is no size such as 64MiB", name, text);
    return false;
}

static bool parse_limits(const struct cli_arguments *arguments,
                         struct mor_compact_options *ret_options)
{
    struct mor_compaction_limits *limits = &ret_options->limits;
    int64_t threads, memory = 256 << 20;
    const char *ratio = cli_value(arguments, "max-delta-ratio");
    *limits =
        (struct mor_compaction_limits){.max_delta_ratio = 0.3, .target_file_size_bytes = 256 << 20};
    if (!cli_number(arguments, "max-delta-files", 1, 10, &limits->max_delta_files) ||
        !cli_number(arguments, "threads", 1, sysconf(_SC_NPROCESSORS_ONLN), &threads) ||
        !parse_size(arguments, "max-delta-bytes", &limits->max_delta_bytes) ||
        !parse_size(arguments, "target-file-size", &limits->target_file_size_bytes) ||
        !parse_size(arguments, "memory", &memory))
        return false;
    if (ratio != NULL) {
        char *end;
        limits->max_delta_ratio = strtod(ratio, &end);
        if (end == ratio || *end != '\0' || !(limits->max_delta_ratio > 0)) {
            cli_usage(arguments->command, "--max-delta-ratio: '%s' is no number above 0", ratio);
            return false;
        }
    }
    ret_options->partition = cli_value(arguments, "partition");
    ret_options->everything = cli_flag(arguments, "all");
    ret_options->cluster_order =
        cli_flag(arguments, "z-order") ? MOR_CLUSTER_BY_Z_ORDER : MOR_CLUSTER_BY_VALUE;
    ret_options->thread_count = (size_t)threads;
    ret_options->memory_bytes_max = (size_t)memory;
    return true;
}

static enum mor_status list_due(struct mor_table *table, const struct mor_compact_options *limits,
                                struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    struct mor_compaction_item *items = NULL;
    size_t slice_count = 0;
    MOR_AUTO_BUFFER text = {0};
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_table_slices(table, NULL, &arena, &slices, &slice_count, err);
    if (status == MOR_OK)
        status = mor_table_mark_outdated(table, slices, slice_count, err);
    if (status == MOR_OK) {
        size_t count =
            mor_compaction_plan(slices, slice_count, limits, mor_clock_wall_ms(), &arena, &items);
        for (size_t i = 0; i < count; i++)
            mor_buffer_printf(&text, "%s\t%s\t%zu delta files\t%lld bytes on %lld\turgency %.2f\n",
                              items[i].slice->partition, items[i].slice->file_group,
                              items[i].slice->delta_count,
                              (long long)items[i].slice->delta_size_bytes,
                              (long long)items[i].slice->base_size_bytes, items[i].urgency);
        mor_buffer_printf(&text, "%zu of %zu file groups are due\n", count, slice_count);
        cli_write(&text);
    }
    mor_arena_done(&arena);
    return status;
}

static enum mor_status compact(struct mor_table *table, const struct mor_compact_options *limits,
                               struct mor_error *err)
{
    struct mor_compact_report report;
    int64_t started_ms = mor_clock_mono_ms();
    enum mor_status status = mor_rewrite_due(table, limits, &report, err);
    (void)printf("%lld of %lld due file groups rewritten in %lld commits, %.1f s: %lld rows, "
                 "%lld bytes read, %lld written\n",
                 (long long)report.done, (long long)report.due, (long long)report.commits,
                 (double)(mor_clock_mono_ms() - started_ms) / 1000, (long long)report.rows_written,
                 (long long)report.bytes_read, (long long)report.bytes_written);
    if (report.reserved > 0)
        (void)printf("%lld file groups are left to pending compactions of another engine\n",
                     (long long)report.reserved);
    if (report.left_out > 0)
        (void)printf("%lld were rewritten by somebody else meanwhile\n",
                     (long long)report.left_out);
    if (status == MOR_OK && report.failed > 0) {
        *err = report.first_failure;
        return mor_error_class(err);
    }
    return status;
}

static int run_compact(int argc, char **argv)
{
    struct cli_arguments arguments;
    struct mor_compact_options limits = {0};
    if (!cli_parse(&cli_compact_command, argc, argv, &arguments) ||
        !parse_limits(&arguments, &limits))
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_arena arena;
    bool dry_run = cli_flag(&arguments, "dry-run");
    const char *location = arguments.positional[0];
    enum mor_status status =
        dry_run ? mor_table_open_read(location, NULL, &table, &err)
                : mor_table_open_rewrite(location, "cli.compact", NULL, &table, &err);
    mor_arena_init(&arena, 0, NULL);
    if (cli_value(&arguments, "cluster-by") != NULL)
        limits.cluster_column_count =
            cli_split(cli_value(&arguments, "cluster-by"), &arena, &limits.cluster_columns);
    if (status == MOR_OK)
        status = dry_run ? list_due(table, &limits, &err) : compact(table, &limits, &err);
    mor_table_free(table);
    mor_arena_done(&arena);
    return status == MOR_OK ? EXIT_DONE : cli_fail(&err);
}
