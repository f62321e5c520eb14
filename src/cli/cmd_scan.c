// moraine scan: the rows of a table as its readers see them.

#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "moraine/base/clock.h"
#include "moraine/base/hash.h"
#include "moraine/merge.h"

#define FLUSH_BYTES (256u << 10)

enum output { OUTPUT_JSON, OUTPUT_CSV, OUTPUT_COUNT, OUTPUT_DIGEST };
static const char *const output_names[] = {"json", "csv", "count", "digest"};

static const struct cli_option options[] = {
    {"columns", "A,B", "only these columns, in this order"},
    {"where", "EXPR",
     "only rows for which the condition is true, e.g. \"n > 3 and s in ('a', 'b')\""},
    {"version", "V", "the table as commit V left it ('moraine history' lists them)"},
    {"as-of", "TIME", "the table as readers saw it then: 2026-01-31T05:06:07Z, or 2026-01-31"},
    {"changes-since", "V",
     "rows inserted, updated and deleted between commit V and --version (the newest one when not "
     "given), told by a first column " MOR_CHANGE_COLUMN "; deleted rows as V had them"},
    {"limit", "N", "stop after N rows"},
    {"threads", "N", "file groups read at once (the number of processors when not given)"},
    {"output", "FORMAT",
     "json (a row a line, the default), csv, count, or digest (free of row order)"},
};

static int run_scan(int argc, char **argv);

const struct cli_command cli_scan_command = {
    .name = "scan",
    .arguments = "TABLE",
    .summary = "prints the rows of a table, merged on read.\nTABLE is a path or file:// location.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_scan,
};

struct scan_output {
    enum output kind;
    int64_t rows_left; // -1 = no limit
    int64_t row_count;
    unsigned __int128 digest; // sum of the rows' hashes
    struct mor_buffer text;
    struct mor_buffer row;
};

static void append_csv_cell(struct mor_buffer *text, const struct mor_vector *column, size_t row,
                            struct mor_buffer *scratch)
{
    if (mor_vector_is_null(column, row))
        return;
    mor_buffer_reset(scratch);
    mor_vector_format_text(column, row, scratch);
    bool quote = scratch->size_bytes == 0; // an empty string is not a null
    for (size_t i = 0; i < scratch->size_bytes; i++)
        quote = quote || strchr(",\"\r\n", scratch->data[i]) != NULL;
    if (!quote) {
        mor_buffer_append(text, scratch->data, scratch->size_bytes);
        return;
    }
    mor_buffer_append_u8(text, '"');
    for (size_t i = 0; i < scratch->size_bytes; i++) {
        if (scratch->data[i] == '"')
            mor_buffer_append_u8(text, '"');
        mor_buffer_append_u8(text, scratch->data[i]);
    }
    mor_buffer_append_u8(text, '"');
}

static void append_json_row(struct mor_buffer *text, const struct mor_batch *batch, size_t row)
{
    mor_buffer_append_u8(text, '{');
    for (size_t i = 0; i < batch->column_count; i++) {
        mor_buffer_printf(text, "%s\"%s\":", i > 0 ? "," : "", batch->columns[i].field->name);
        mor_vector_format_json(&batch->columns[i], row, text);
    }
    mor_buffer_append_text(text, "}\n");
}

static void put_row(struct scan_output *output, const struct mor_batch *batch, size_t row)
{
    struct mor_buffer *text = &output->text;
    switch (output->kind) {
    case OUTPUT_JSON:
        append_json_row(text, batch, row);
        break;
    case OUTPUT_CSV:
        for (size_t i = 0; i < batch->column_count; i++) {
            if (i > 0)
                mor_buffer_append_u8(text, ',');
            append_csv_cell(text, &batch->columns[i], row, &output->row);
        }
        mor_buffer_append_u8(text, '\n');
        break;
    case OUTPUT_DIGEST: {
        mor_buffer_reset(&output->row);
        append_json_row(&output->row, batch, row);
        struct mor_hash128 hash = mor_hash128(output->row.data, output->row.size_bytes);
        output->digest += (unsigned __int128)hash.high << 64 | hash.low;
        break;
    }
    case OUTPUT_COUNT:
        break;
    }
}

static bool put_batch(struct scan_output *output, const struct mor_batch *batch)
{
    size_t count = batch->row_count;
    if (output->rows_left >= 0 && (int64_t)count > output->rows_left)
        count = (size_t)output->rows_left;
    if (output->kind != OUTPUT_COUNT) {
        for (size_t row = 0; row < count; row++) {
            put_row(output, batch, row);
            if (output->text.size_bytes >= FLUSH_BYTES && !cli_write(&output->text))
                return false;
        }
    }
    output->row_count += (int64_t)count;
    if (output->rows_left >= 0)
        output->rows_left -= (int64_t)count;
    return true;
}

static void put_header(struct scan_output *output, const struct mor_schema *schema)
{
    if (output->kind != OUTPUT_CSV)
        return;
    for (size_t i = 0; i < schema->root.child_count; i++)
        mor_buffer_printf(&output->text, "%s%s", i > 0 ? "," : "", schema->root.children[i].name);
    mor_buffer_append_u8(&output->text, '\n');
}

static void put_end(struct scan_output *output)
{
    if (output->kind == OUTPUT_COUNT)
        mor_buffer_printf(&output->text, "%lld\n", (long long)output->row_count);
    if (output->kind == OUTPUT_DIGEST)
        mor_buffer_printf(&output->text, "%016llx%016llx %lld\n",
                          (unsigned long long)(output->digest >> 64),
                          (unsigned long long)output->digest, (long long)output->row_count);
}

// Where rows come from: a scan, or the changes between two versions.
struct row_source {
    struct mor_scan *scan; // either
    struct mor_diff *changes;
};

static enum mor_status source_open(struct row_source *source, struct mor_table *table,
                                   const struct mor_scan_options *scan_options, const char *since,
                                   struct mor_error *err)
{
    const struct mor_diff_options changes = {.from = since,
                                             .to = scan_options->version,
                                             .columns = scan_options->columns,
                                             .column_count = scan_options->column_count,
                                             .filter = scan_options->filter};
    *source = (struct row_source){0};
    return since ? mor_diff_open(table, &changes, &source->changes, err)
                 : mor_scan_open(table, scan_options, &source->scan, err);
}

static enum mor_status source_next(const struct row_source *source, struct mor_batch *batch,
                                   struct mor_error *err)
{
    return source->changes ? mor_diff_next(source->changes, batch, err)
                           : mor_scan_next(source->scan, batch, err);
}

static enum mor_status put_rows(const struct row_source *source, struct scan_output *output,
                                bool *ret_written, struct mor_error *err)
{
    const struct mor_schema *schema =
        source->changes ? mor_diff_schema(source->changes) : mor_scan_schema(source->scan);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    put_header(output, schema);
    enum mor_status status;
    *ret_written = true;
    while ((status = source_next(source, batch, err)) == MOR_OK && batch->row_count > 0 &&
           output->rows_left != 0 && *ret_written)
        *ret_written = put_batch(output, batch);
    if (status == MOR_OK && *ret_written) {
        put_end(output);
        *ret_written = cli_write(&output->text);
    }
    mor_batch_free(batch);
    return status;
}

// The version that --version or --as-of names; stays NULL for the newest.
static enum mor_status find_version(const struct cli_arguments *arguments, struct mor_table *table,
                                    char found[64], const char **ret_version, struct mor_error *err)
{
    *ret_version = cli_value(arguments, "version");
    const char *text = cli_value(arguments, "as-of");
    if (text == NULL)
        return MOR_OK;
    int64_t us, days;
    if (mor_parse_date(text, strlen(text), &days))
        us = days * 86400000000;
    else if (!mor_parse_timestamp(text, strlen(text), &us))
        return mor_error_set(err, MOR_DATA, "--as-of: '%s' is no time", text);
    MOR_TRY(mor_table_version_at(table, us / 1000, found, err));
    *ret_version = found;
    return MOR_OK;
}

static enum mor_status run_on_table(const struct cli_arguments *arguments, struct mor_table *table,
                                    int64_t threads, struct scan_output *output, bool *ret_written,
                                    struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char version[64];
    struct mor_filter *filter = NULL;
    struct mor_scan_options scan_options = {
        // rows of one thread come in the table's order
        .thread_count = (size_t)threads,
    };
    const char *columns = cli_value(arguments, "columns"), *where = cli_value(arguments, "where");
    if (columns != NULL)
        scan_options.column_count = cli_split(columns, &arena, &scan_options.columns);
    const char *any_column = mor_table_schema(table)->root.children[0].name;
    if (output->kind == OUTPUT_COUNT && columns == NULL) { // rows are counted, not read
        scan_options.columns = &any_column;
        scan_options.column_count = 1;
    }
    enum mor_status status = find_version(arguments, table, version, &scan_options.version, err);
    if (status == MOR_OK && where != NULL)
        status = mor_filter_parse(table, where, &filter, err);
    scan_options.filter = filter;
    struct row_source source = {0};
    if (status == MOR_OK)
        status =
            source_open(&source, table, &scan_options, cli_value(arguments, "changes-since"), err);
    if (status == MOR_OK)
        status = put_rows(&source, output, ret_written, err);
    mor_diff_free(source.changes);
    mor_scan_free(source.scan);
    mor_filter_free(filter);
    mor_arena_done(&arena);
    return status;
}

static bool parse_output(const struct cli_arguments *arguments, enum output *ret_output)
{
    const char *text = cli_value(arguments, "output");
    *ret_output = OUTPUT_JSON;
    if (text == NULL)
        return true;
    for (size_t i = 0; i < sizeof output_names / sizeof output_names[0]; i++) {
        if (strcmp(text, output_names[i]) == 0) {
            *ret_output = (enum output)i;
            return true;
        }
    }
    cli_usage(arguments->command, "--output: '%s' is not one of json, csv, count, digest", text);
    return false;
}

static int run_scan(int argc, char **argv)
{
    struct cli_arguments arguments;
    struct scan_output output = {0};
    int64_t threads;
    if (!cli_parse(&cli_scan_command, argc, argv, &arguments) ||
        !parse_output(&arguments, &output.kind) ||
        !cli_number(&arguments, "limit", 0, -1, &output.rows_left) ||
        !cli_number(&arguments, "threads", 1, sysconf(_SC_NPROCESSORS_ONLN), &threads))
        return EXIT_USAGE;
    if (cli_value(&arguments, "version") != NULL && cli_value(&arguments, "as-of") != NULL)
        return cli_usage(&cli_scan_command, "--version and --as-of exclude each other");
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    if (mor_table_open_read(arguments.positional[0], NULL, &table, &err) != MOR_OK)
        return cli_fail(&err);
    bool written = false;
    enum mor_status status = run_on_table(&arguments, table, threads, &output, &written, &err);
    mor_table_free(table);
    mor_buffer_done(&output.text);
    mor_buffer_done(&output.row);
    if (status != MOR_OK)
        return cli_fail(&err);
    return written ? EXIT_DONE : EXIT_FAILED;
}
