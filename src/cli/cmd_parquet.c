// moraine parquet: a look inside any Parquet file.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "moraine/parquet.h"

#define FLUSH_BYTES (256u << 10)
#define BATCH_ROWS  4096

enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_CSV };
static const char *const output_names[] = {"text", "json", "csv"};

static const struct cli_option options[] = {
    {"rows", "N", "print the first N rows instead of describing the file"},
    {"columns", "A,B", "rows with only these columns, in this order"},
    {"output", "FORMAT", "text (the default), json (rows: a row a line), csv (rows)"},
};

static int run_parquet(int argc, char **argv);

const struct cli_command cli_parquet_command = {
    .name = "parquet",
    .arguments = "FILE",
    .summary = "shows what is inside a Parquet file.\nSchema, row groups, columns with encodings, "
               "sizes and statistics, metadata; or rows.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_parquet,
};

// ---- the file -----------------------------------------------------------------------------------

static enum mor_status read_file(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                                 struct mor_error *err)
{
    int fd = *(const int *)context;
    for (size_t done = 0; done < size_bytes;) {
        ssize_t count =
            pread(fd, (char *)ret_bytes + done, size_bytes - done, (off_t)(offset + (int64_t)done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return mor_error_set_errno(err, errno, "could not read");
        if (count == 0)
            return mor_error_set(err, MOR_DATA, "the file became shorter while it was read");
        done += (size_t)count;
    }
    return MOR_OK;
}

static enum mor_status open_file(const char *path, int *ret_fd, struct mor_byte_source *ret_source,
                                 struct mor_error *err)
{
    struct stat info;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0 || fstat(*ret_fd, &info) != 0)
        return mor_error_set_errno(err, errno, "could not open '%s'", path);
    if (!S_ISREG(info.st_mode))
        return mor_error_set(err, MOR_FATAL, "'%s' is not a file", path);
    *ret_source =
        (struct mor_byte_source){.context = ret_fd, .size_bytes = info.st_size, .read = read_file};
    return MOR_OK;
}

// ---- rows ---------------------------------------------------------------------------------------

static void put_cell(struct mor_buffer *text, const struct mor_vector *column, size_t row,
                     enum output output, struct mor_buffer *scratch)
{
    if (mor_vector_is_null(column, row)) {
        if (output == OUTPUT_TEXT)
            mor_buffer_append_text(text, "null");
        return;
    }
    mor_buffer_reset(scratch);
    mor_vector_format_text(column, row, scratch);
    // an empty string is not a null
    bool quote = output == OUTPUT_CSV && scratch->size_bytes == 0;
    for (size_t i = 0; output == OUTPUT_CSV && i < scratch->size_bytes; i++)
        quote = quote || strchr(",\"\r\n", scratch->data[i]) != NULL;
    if (quote)
        mor_buffer_append_u8(text, '"');
    for (size_t i = 0; i < scratch->size_bytes; i++) {
        uint8_t byte = scratch->data[i];
        if (quote && byte == '"')
            mor_buffer_append_u8(text, '"');
        // tabs and line ends would break the columns of the text form
        bool blank = output == OUTPUT_TEXT && (byte == '\t' || byte == '\n' || byte == '\r');
        mor_buffer_append_u8(text, blank ? ' ' : byte);
    }
    if (quote)
        mor_buffer_append_u8(text, '"');
}

static void put_row(struct mor_buffer *text, const struct mor_batch *batch, size_t row,
                    enum output output, struct mor_buffer *scratch)
{
    char separator = output == OUTPUT_TEXT ? '\t' : ',';
    if (output == OUTPUT_JSON)
        mor_buffer_append_u8(text, '{');
    for (size_t i = 0; i < batch->column_count; i++) {
        if (i > 0)
            mor_buffer_append_u8(text, (uint8_t)separator);
        if (output == OUTPUT_JSON) {
            mor_buffer_printf(text, "\"%s\":", batch->columns[i].field->name);
            mor_vector_format_json(&batch->columns[i], row, text);
        } else {
            put_cell(text, &batch->columns[i], row, output, scratch);
        }
    }
    mor_buffer_append_text(text, output == OUTPUT_JSON ? "}\n" : "\n");
}

static enum mor_status put_rows(struct mor_parquet_reader *reader, const struct mor_schema *schema,
                                int64_t rows_left, enum output output, bool *ret_written,
                                struct mor_error *err)
{
    MOR_AUTO_BUFFER text = {0}, scratch = {0};
    for (size_t i = 0; output != OUTPUT_JSON && i < schema->root.child_count; i++)
        mor_buffer_printf(&text, "%s%s",
                          i == 0                 ? ""
                          : output == OUTPUT_CSV ? ","
                                                 : "\t",
                          schema->root.children[i].name);
    if (output != OUTPUT_JSON)
        mor_buffer_append_u8(&text, '\n');
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    enum mor_status status = MOR_OK;
    while (*ret_written && rows_left > 0) {
        size_t count = rows_left < BATCH_ROWS ? (size_t)rows_left : BATCH_ROWS;
        status = mor_parquet_reader_next(reader, count, batch, NULL, err);
        if (status != MOR_OK || batch->row_count == 0)
            break;
        for (size_t row = 0; row < batch->row_count && *ret_written; row++) {
            put_row(&text, batch, row, output, &scratch);
            if (text.size_bytes >= FLUSH_BYTES)
                *ret_written = cli_write(&text);
        }
        rows_left -= (int64_t)batch->row_count;
    }
    mor_batch_free(batch);
    if (*ret_written && status == MOR_OK)
        *ret_written = cli_write(&text);
    return status;
}

// The named columns of the file, in the order they were named; NULL list = all of them.
static enum mor_status choose_columns(const struct mor_schema *file, const char *list,
                                      struct mor_schema **ret_schema, struct mor_error *err)
{
    struct mor_arena arena;
    const char *const *names = NULL;
    mor_arena_init(&arena, 0, NULL);
    struct mor_schema *schema = mor_schema_new(file->root.name);
    size_t count = list ? cli_split(list, &arena, &names) : 0;
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        int32_t at = mor_schema_find(file, names[i]);
        if (at < 0)
            status = mor_error_set(err, MOR_FATAL, "the file has no column '%s'", names[i]);
        else
            mor_schema_add_copy(schema, NULL, &file->root.children[at]);
    }
    mor_arena_done(&arena);
    if (status == MOR_OK)
        *ret_schema = schema;
    else
        mor_schema_free(schema);
    return status;
}

// *ret_wanted: the schema that the reader holds on to from now on, NULL when it is the file's own.
static enum mor_status print_rows(struct mor_parquet_reader *reader, const char *columns,
                                  int64_t rows, enum output output, struct mor_schema **ret_wanted,
                                  bool *ret_written, struct mor_error *err)
{
    const struct mor_schema *file = mor_parquet_reader_schema(reader);
    if (!columns)
        return put_rows(reader, file, rows, output, ret_written, err);
    MOR_TRY(choose_columns(file, columns, ret_wanted, err));
    MOR_TRY(mor_parquet_reader_project(reader, *ret_wanted, err));
    return put_rows(reader, *ret_wanted, rows, output, ret_written, err);
}

// ---- the command --------------------------------------------------------------------------------

static bool parse_output(const struct cli_arguments *arguments, enum output *ret_output)
{
    const char *text = cli_value(arguments, "output");
    *ret_output = OUTPUT_TEXT;
    for (size_t i = 0; text && i < sizeof output_names / sizeof output_names[0]; i++) {
        if (strcmp(text, output_names[i]) == 0) {
            *ret_output = (enum output)i;
            return true;
        }
    }
    if (text)
        cli_usage(arguments->command, "--output: '%s' is not one of text, json, csv", text);
    return !text;
}

static enum mor_status show(const struct cli_arguments *arguments, struct mor_byte_source *source,
                            int64_t rows, enum output output, bool *ret_written,
                            struct mor_error *err)
{
    struct mor_parquet_reader *reader = NULL;
    MOR_TRY(mor_parquet_reader_open(source, NULL, &reader, err));
    struct mor_schema *wanted = NULL;
    enum mor_status status;
    if (rows >= 0) {
        status = print_rows(reader, cli_value(arguments, "columns"), rows, output, &wanted,
                            ret_written, err);
    } else {
        MOR_AUTO_BUFFER text = {0};
        status = mor_parquet_describe(reader, output == OUTPUT_JSON, &text, err);
        if (status == MOR_OK)
            *ret_written = cli_write(&text);
    }
    mor_parquet_reader_free(reader);
    mor_schema_free(wanted);
    return status;
}

static int run_parquet(int argc, char **argv)
{
    struct cli_arguments arguments;
    enum output output;
    int64_t rows;
    if (!cli_parse(&cli_parquet_command, argc, argv, &arguments) ||
        !parse_output(&arguments, &output) || !cli_number(&arguments, "rows", 0, -1, &rows))
        return EXIT_USAGE;
    if (rows < 0 && (output == OUTPUT_CSV || cli_value(&arguments, "columns")))
        rows = INT64_MAX; // both only make sense for rows
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_byte_source source;
    int fd = -1;
    bool written = true;
    enum mor_status status = open_file(arguments.positional[0], &fd, &source, &err);
    if (status == MOR_OK)
        status = show(&arguments, &source, rows, output, &written, &err);
    if (fd >= 0)
        (void)close(fd);
    if (status != MOR_OK)
        return cli_fail(&err);
    return written ? EXIT_DONE : EXIT_FAILED;
}
