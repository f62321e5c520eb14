// moraine history: the commits of a table. moraine describe: what the table is.

#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "moraine/base/clock.h"
#include "moraine/table.h"

static const struct cli_option options[] = {
    {"output", "FORMAT", "text (the default) or json"},
};

static int run_history(int argc, char **argv);
static int run_describe(int argc, char **argv);

const struct cli_command cli_history_command = {
    .name = "history",
    .arguments = "TABLE",
    .summary = "lists the commits of a table, oldest first.\n"
               "For commits of moraine: rows by outcome, Kafka offsets, watermark.",
    .options = options,
    .option_count = 1,
    .positional_min = 1,
    .positional_max = 1,
    .run = run_history,
};

const struct cli_command cli_describe_command = {
    .name = "describe",
    .arguments = "TABLE",
    .summary =
        "tells what a table is.\nSchema, key, partitioning, file groups, sizes, newest commit.",
    .options = options,
    .option_count = 1,
    .positional_min = 1,
    .positional_max = 1,
    .run = run_describe,
};

static bool parse_json_wanted(const struct cli_arguments *arguments, bool *ret_json)
{
    const char *text = cli_value(arguments, "output");
    *ret_json = text != NULL && strcmp(text, "json") == 0;
    if (text == NULL || *ret_json || strcmp(text, "text") == 0)
        return true;
    cli_usage(arguments->command, "--output: '%s' is not one of text, json", text);
    return false;
}

// The ledger of a commit, NULL when it has none. The caller releases it. A commit that rewrites
// files carries the ledger of the one before it, whose records were counted there.
static json_t *ledger_of(const struct mor_commit_info *commit)
{
    if (strcmp(commit->operation, "compaction") == 0 ||
        strcmp(commit->operation, "clustering") == 0)
        return NULL;
    for (size_t i = 0; i < commit->property_count; i++)
        if (strcmp(commit->properties[i].key, "moraine") == 0)
            return json_loads(commit->properties[i].value, 0, NULL);
    return NULL;
}

static json_t *commit_to_json(const struct mor_commit_info *commit)
{
    json_t *object =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "version", commit->version, "operation",
                  commit->operation, "time_ms", (json_int_t)commit->time_ms, "files_added",
                  (json_int_t)commit->files_added, "bytes_added", (json_int_t)commit->bytes_added,
                  "rows_written", (json_int_t)commit->rows_written, "rows_deleted",
                  (json_int_t)commit->rows_deleted);
    json_t *ledger = ledger_of(commit);
    if (ledger != NULL)
        json_object_set_new(object, "moraine", ledger);
    return object;
}

static void append_offsets(struct mor_buffer *text, json_t *ledger)
{
    const char *partition;
    json_t *offset;
    const char *blank = "  offsets";
    json_object_foreach(json_object_get(ledger, "offsets"), partition, offset)
    {
        mor_buffer_printf(text, "%s %s:%lld", blank, partition,
                          (long long)json_integer_value(json_array_get(offset, 0)));
        blank = "";
    }
}

static void append_commit_text(struct mor_buffer *text, const struct mor_commit_info *commit)
{
    char time[48];
    mor_format_timestamp(commit->time_ms * 1000, time, sizeof time);
    mor_buffer_printf(text, "%s  %-24s %-10s files %lld (%lld bytes)", commit->version, time,
                      commit->operation, (long long)commit->files_added,
                      (long long)commit->bytes_added);
    json_t *ledger = ledger_of(commit);
    if (ledger == NULL) {
        mor_buffer_printf(text, "  rows written %lld, deleted %lld",
                          (long long)commit->rows_written, (long long)commit->rows_deleted);
    } else {
        const char *name;
        json_t *count;
        json_object_foreach(json_object_get(ledger, "rows"), name, count)
        {
            if (json_integer_value(count) != 0)
                mor_buffer_printf(text, "  %s %lld", name, (long long)json_integer_value(count));
        }
        append_offsets(text, ledger);
        json_t *watermark = json_object_get(ledger, "watermark_ms");
        if (json_is_integer(watermark)) {
            mor_format_timestamp(json_integer_value(watermark) * 1000, time, sizeof time);
            mor_buffer_printf(text, "  watermark %s", time);
        }
        json_decref(ledger);
    }
    mor_buffer_append_u8(text, '\n');
}

static int run_history(int argc, char **argv)
{
    struct cli_arguments arguments;
    bool json;
    if (!cli_parse(&cli_history_command, argc, argv, &arguments) ||
        !parse_json_wanted(&arguments, &json))
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    if (mor_table_open_read(arguments.positional[0], NULL, &table, &err) != MOR_OK)
        return cli_fail(&err);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_commit_info *commits;
    size_t count = 0;
    enum mor_status status = mor_table_history(table, &arena, &commits, &count, &err);
    MOR_AUTO_BUFFER text = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        if (json)
            json_array_append_new(list, commit_to_json(&commits[i]));
        else
            append_commit_text(&text, &commits[i]);
    }
    if (json) {
        MOR_AUTO_FREE char *dump = json_dumps(list, JSON_INDENT(1));
        mor_buffer_printf(&text, "%s\n", dump);
    }
    json_decref(list);
    mor_arena_done(&arena);
    mor_table_free(table);
    if (status != MOR_OK)
        return cli_fail(&err);
    return cli_write(&text) ? EXIT_DONE : EXIT_FAILED;
}

// "key: value" lines; nested objects are indented, lists take a line per item.
static void append_lines(struct mor_buffer *text, json_t *value, int indent)
{
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        mor_buffer_printf(text, "%*s%s:", indent, "", name);
        if (json_is_object(member)) {
            mor_buffer_append_u8(text, '\n');
            append_lines(text, member, indent + 2);
        } else if (json_is_array(member)) {
            mor_buffer_append_u8(text, '\n');
            size_t index;
            json_t *item;
            json_array_foreach(member, index, item)
            {
                MOR_AUTO_FREE char *dump = json_dumps(item, JSON_ENCODE_ANY | JSON_COMPACT);
                mor_buffer_printf(text, "%*s- %s\n", indent + 2, "",
                                  json_is_string(item) ? json_string_value(item) : dump);
            }
        } else {
            MOR_AUTO_FREE char *dump = json_dumps(member, JSON_ENCODE_ANY);
            mor_buffer_printf(text, " %s\n",
                              json_is_string(member) ? json_string_value(member) : dump);
        }
    }
}

// What the newest ledger states: where the table came from and how complete it is.
static void add_ledger(json_t *object, json_t *ledger)
{
    static const char *const names[] = {"topic", "cluster", "topic_id", "offsets"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_object_get(ledger, names[i]) != NULL)
            json_object_set(object, names[i], json_object_get(ledger, names[i]));
    json_t *watermark = json_object_get(ledger, "watermark_ms");
    if (json_is_integer(watermark)) {
        char time[48];
        mor_format_timestamp(json_integer_value(watermark) * 1000, time, sizeof time);
        json_object_set_new(object, "watermark", json_string(time));
    }
}

// Facts of the format and of the ledger as one object; the caller releases it.
static enum mor_status describe(struct mor_table *table, json_t **ret_object, struct mor_error *err)
{
    MOR_AUTO_BUFFER facts = {0};
    MOR_TRY(mor_table_describe(table, &facts, err));
    json_t *object = json_loadb((const char *)facts.data, facts.size_bytes, 0, NULL);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *text;
    enum mor_status status = mor_table_property(table, "moraine", false, &arena, &text, err);
    if (status == MOR_OK) {
        json_t *ledger = json_loads(text, 0, NULL);
        add_ledger(object, ledger);
        json_decref(ledger);
    }
    mor_arena_done(&arena);
    if (status != MOR_OK && status != MOR_NOT_FOUND) {
        json_decref(object);
        return status;
    }
    *ret_object = object;
    return MOR_OK;
}

static int run_describe(int argc, char **argv)
{
    struct cli_arguments arguments;
    bool json;
    if (!cli_parse(&cli_describe_command, argc, argv, &arguments) ||
        !parse_json_wanted(&arguments, &json))
        return EXIT_USAGE;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    if (mor_table_open_read(arguments.positional[0], NULL, &table, &err) != MOR_OK)
        return cli_fail(&err);
    json_t *object = NULL;
    enum mor_status status = describe(table, &object, &err);
    mor_table_free(table);
    if (status != MOR_OK)
        return cli_fail(&err);
    MOR_AUTO_BUFFER text = {0};
    if (json) {
        MOR_AUTO_FREE char *dump = json_dumps(object, JSON_INDENT(1));
        mor_buffer_printf(&text, "%s\n", dump);
    } else {
        append_lines(&text, object, 0);
    }
    json_decref(object);
    return cli_write(&text) ? EXIT_DONE : EXIT_FAILED;
}
