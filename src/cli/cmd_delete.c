// moraine delete: deletes rows of a table, and tells which files still hold them.

#include <stdio.h>

#include "cli.h"
#include "moraine/maintain.h"
#include "moraine/merge.h"

#define KEY_BYTES_MAX 65536

static const struct cli_option options[] = {
    {"where", "EXPR", "rows for which the condition is true, as in 'moraine scan'"},
    {"keys", "FILE",
     "rows with these record keys, one a line: the value of the key column, or "
     "a:1,b:2 for a key of several columns"},
    {"dry-run", NULL, "only counts the rows"},
    {"check", NULL,
     "deletes nothing: lists the data files, of any version, that hold such rows; "
     "status 1 when there are some"},
};

static int run_delete(int argc, char **argv);

const struct cli_command cli_delete_command = {
    .name = "delete",
    .arguments = "TABLE",
    .summary =
        "deletes rows of a keyed table.\n"
        "Readers do not see them from then on. Files of older versions hold them until file\n"
        "groups are merged ('moraine compact TABLE --all') and old versions are removed\n"
        "('moraine clean', or the service's retention); --check tells when that is so.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_delete,
};

// Lines of the file; they live in the arena.
static enum mor_status read_keys(const char *path, struct mor_arena *arena,
                                 const char *const **ret_keys, size_t *ret_count,
                                 struct mor_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return mor_error_set(err, MOR_NOT_FOUND, "could not open '%s'", path);
    const char **keys = NULL;
    size_t count = 0, capacity = 0, line_capacity = 0;
    char *line = NULL;
    ssize_t length;
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && (length = getline(&line, &line_capacity, file)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
        if (length > KEY_BYTES_MAX)
            status = mor_error_set(err, MOR_DATA, "'%s': line %zu is too long", path, count + 1);
        if (length == 0 || status != MOR_OK)
            continue;
        if (count == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 64;
            keys = mor_realloc(keys, capacity * sizeof *keys);
        }
        keys[count++] = mor_arena_strndup(arena, line, (size_t)length);
    }
    free(line);
    (void)fclose(file);
    const char **copy = mor_arena_alloc(arena, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = keys[i];
    free(keys);
    *ret_keys = copy;
    *ret_count = count;
    return status;
}

static enum mor_status erase(struct mor_table *table, const struct mor_erase_options *erase_options,
                             struct mor_error *err)
{
    struct mor_erase_report report;
    enum mor_status status = mor_erase(table, erase_options, &report, err);
    (void)printf("%lld rows %s in %lld commits\n", (long long)report.rows,
                 erase_options->dry_run ? "would be deleted" : "deleted",
                 (long long)report.commits);
    return status;
}

// *ret_found: some file holds such rows.
static enum mor_status check(struct mor_table *table, const struct mor_erase_options *erase_options,
                             bool *ret_found, struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_trace *traces = NULL;
    size_t count = 0;
    MOR_AUTO_BUFFER text = {0};
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_trace_rows(table, erase_options, &arena, &traces, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        mor_buffer_printf(&text, "%s\t%lld rows\t%lld deletes\n", traces[i].file,
                          (long long)traces[i].rows, (long long)traces[i].deletes);
    if (status == MOR_OK)
        mor_buffer_printf(&text, "%zu data files hold such rows\n", count);
    *ret_found = count > 0;
    cli_write(&text);
    mor_arena_done(&arena);
    return status;
}

static int run_delete(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_delete_command, argc, argv, &arguments))
        return EXIT_USAGE;
    const char *where = cli_value(&arguments, "where"), *keys = cli_value(&arguments, "keys");
    if ((where != NULL) == (keys != NULL))
        return cli_usage(&cli_delete_command, "either --where or --keys is needed");
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_filter *filter = NULL;
    struct mor_arena arena;
    struct mor_erase_options erase_options = {.dry_run = cli_flag(&arguments, "dry-run")};
    bool only_check = cli_flag(&arguments, "check"), found = false;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status =
        only_check || erase_options.dry_run
            ? mor_table_open_read(arguments.positional[0], NULL, &table, &err)
            : mor_table_open_rewrite(arguments.positional[0], "cli.delete", NULL, &table, &err);
    if (status == MOR_OK && where != NULL)
        status = mor_filter_parse(table, where, &filter, &err);
    if (status == MOR_OK && keys != NULL)
        status = read_keys(keys, &arena, &erase_options.keys, &erase_options.key_count, &err);
    erase_options.filter = filter;
    if (status == MOR_OK)
        status = only_check ? check(table, &erase_options, &found, &err)
                            : erase(table, &erase_options, &err);
    mor_filter_free(filter);
    mor_table_free(table);
    mor_arena_done(&arena);
    if (status != MOR_OK)
        return cli_fail(&err);
    return found ? EXIT_FAILED : EXIT_DONE;
}
