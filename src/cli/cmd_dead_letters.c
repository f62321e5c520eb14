// moraine dead-letters: what could not become rows.

#include <stdio.h>

#include "cli.h"
#include "moraine/pipeline/dead_letters.h"

#define FLUSH_BYTES (64u << 10)

static const struct cli_option options[] = {
    {"where", "EXPR",
     "only those for which the condition is true, e.g. \"stage = 'decode' and "
     "partition = 3\""},
    {"limit", "N", "stop after N letters"},
    {"output", "FORMAT", "text (the default) or json (a letter a line, key and value in base64)"},
};

static int run_dead_letters(int argc, char **argv);

const struct cli_command cli_dead_letters_command = {
    .name = "dead-letters",
    .arguments = "TABLE",
    .summary = "lists the records that could not become rows.\nTABLE is the one that "
               "dead_letter.location names. Those that were redriven are left out.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .positional_min = 1,
    .positional_max = 1,
    .run = run_dead_letters,
};

static void append_json(struct mor_buffer *text, const struct mor_batch *batch, size_t row)
{
    mor_buffer_append_u8(text, '{');
    for (size_t i = 0; i < batch->column_count; i++) {
        mor_buffer_printf(text, "%s\"%s\":", i > 0 ? "," : "", batch->columns[i].field->name);
        mor_vector_format_json(&batch->columns[i], row, text);
    }
    mor_buffer_append_text(text, "}\n");
}

static void append_text(struct mor_buffer *text, const struct mor_batch *batch, size_t row)
{
    static const enum mor_letter_column shown[] = {LETTER_TIME,   LETTER_TOPIC, LETTER_PARTITION,
                                                   LETTER_OFFSET, LETTER_STAGE, LETTER_REASON};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        mor_buffer_append_text(text, i > 0 ? "  " : "");
        mor_vector_format_text(&batch->columns[shown[i]], row, text);
    }
    mor_buffer_append_u8(text, '\n');
}

static enum mor_status list(struct mor_dead_letters *letters, bool json, int64_t limit,
                            struct mor_error *err)
{
    MOR_AUTO_BUFFER text = {0};
    struct mor_batch *batch = mor_batch_new(mor_dead_letters_schema(letters), NULL);
    enum mor_status status = MOR_OK;
    bool end = false;
    while (!end) {
        status = mor_dead_letters_next(letters, batch, err);
        end = status != MOR_OK || batch->row_count == 0;
        for (size_t row = 0; !end && row < batch->row_count; row++) {
            if (limit >= 0 && limit-- == 0) {
                end = true;
                break;
            }
            (json ? append_json : append_text)(&text, batch, row);
        }
        if (text.size_bytes > FLUSH_BYTES && !cli_write(&text))
            end = true;
    }
    mor_batch_free(batch);
    (void)cli_write(&text);
    return status;
}

static int run_dead_letters(int argc, char **argv)
{
    struct cli_arguments arguments;
    int64_t limit;
    if (!cli_parse(&cli_dead_letters_command, argc, argv, &arguments) ||
        !cli_number(&arguments, "limit", 0, -1, &limit))
        return EXIT_USAGE;
    const char *output = cli_value(&arguments, "output");
    bool json = output != NULL && strcmp(output, "json") == 0;
    if (output != NULL && !json && strcmp(output, "text") != 0)
        return cli_usage(&cli_dead_letters_command, "--output: '%s' is not one of text, json",
                         output);
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_dead_letters *letters;
    enum mor_status status = mor_dead_letters_open(arguments.positional[0],
                                                   cli_value(&arguments, "where"), &letters, &err);
    if (status == MOR_OK) {
        status = list(letters, json, limit, &err);
        mor_dead_letters_free(letters);
    }
    return status == MOR_OK ? EXIT_DONE : cli_fail(&err);
}
