// moraine status: what a running service says of itself, as a table.

#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "moraine/net.h"
#include "moraine/serve.h"

#define DEFAULT_URL     "http://127.0.0.1:8090"
#define WATCH_PAUSE_S   2
#define ANSWER_MAX      (64u << 20)
#define ANSWER_AFTER_MS 10000

static const struct cli_option options[] = {
    {"url", "URL", "of the service (default " DEFAULT_URL ")"},
    {"watch", NULL, "again every 2 seconds, until interrupted"},
};

static int run_status(int argc, char **argv);

const struct cli_command cli_status_command = {
    .name = "status",
    .arguments = "",
    .summary =
        "shows how a running service is.\n"
        "Per topic: state, lag, watermark, throughput, last commit, dead letters, and what is "
        "stuck and since when.\n"
        "Ends with 1 when a topic is not ready or the service does not answer.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_status,
};

// ---- facts as text ------------------------------------------------------------------------------

static const char unknown[] = "-";

// Text of the service, without what would steer a terminal.
static const char *text_of(const json_t *object, const char *name, struct mor_arena *arena)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *copy = mor_arena_strdup(arena, text != NULL ? text : "");
    for (unsigned char *at = (unsigned char *)copy; *at != '\0'; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (*at < 0x20 || *at == 0x7f)
            *at = ' ';
        else if (c1)
            at[0] = at[1] = '?';
    }
    return copy;
}

// 1234567 is "1,234,567".
static const char *number_of(const json_t *value, struct mor_arena *arena)
{
    if (!json_is_number(value))
        return unknown;
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", json_number_value(value));
    char *text = mor_arena_alloc(arena, sizeof digits * 2), *out = text;
    for (int i = 0; i < length; i++) {
        *out++ = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-')
            *out++ = ',';
    }
    *out = '\0';
    return text;
}

static const char *duration_of(double ms, struct mor_arena *arena)
{
    char text[40];
    mor_serve_format_duration((int64_t)(ms < 0 ? -ms : ms), text, sizeof text);
    return mor_arena_printf(arena, "%s%s", ms < 0 ? "-" : "", text);
}

static const char *seconds_of(const json_t *value, struct mor_arena *arena)
{
    return json_is_number(value) ? duration_of(json_number_value(value) * 1000, arena) : unknown;
}

static const char *mebibytes_of(const json_t *value, struct mor_arena *arena)
{
    return json_is_number(value)
               ? mor_arena_printf(arena, "%.1f MiB", json_number_value(value) / 1048576)
               : unknown;
}

// ---- table --------------------------------------------------------------------------------------

static const char *const headings[] = {"TOPIC",         "STATE",     "LAG",       "LAG TIME",
                                       "WATERMARK LAG", "RECORDS/S", "COMMITS",   "LAST COMMIT",
                                       "FRESH",         "DEAD",      "TO COMPACT"};
#define COLUMN_COUNT (sizeof headings / sizeof headings[0])
#define TEXT_COLUMNS 2 // these stand left, numbers right

static void topic_cells(const json_t *topic, double now_ms, struct mor_arena *arena,
                        const char *cells[COLUMN_COUNT])
{
    const json_t *commits = json_object_get(topic, "commits");
    const json_t *last = json_object_get(commits, "last_ms");
    bool stuck = !json_is_true(json_object_get(topic, "ready")) &&
                 strcmp(text_of(topic, "state", arena), "running") == 0;
    bool at_least = json_is_true(json_object_get(topic, "lag_seconds_at_least"));
    const char *row[] = {
        text_of(topic, "topic", arena),
        stuck ? "stuck" : text_of(topic, "state", arena),
        number_of(json_object_get(topic, "lag_records"), arena),
        mor_arena_printf(arena, "%s%s", at_least ? ">= " : "",
                         seconds_of(json_object_get(topic, "lag_seconds"), arena)),
        seconds_of(json_object_get(topic, "watermark_lag_seconds"), arena),
        number_of(json_object_get(topic, "records_per_second"), arena),
        number_of(json_object_get(commits, "count"), arena),
        json_is_number(last)
            ? mor_arena_printf(arena, "%s ago",
                               duration_of(now_ms - json_number_value(last), arena))
            : unknown,
        seconds_of(json_object_get(commits, "last_freshness_seconds"), arena),
        number_of(json_object_get(json_object_get(topic, "dead_letters"), "count"), arena),
        number_of(json_object_get(json_object_get(topic, "table"), "compaction_pending"), arena)};
    _Static_assert(sizeof row == COLUMN_COUNT * sizeof *row, "a cell for each heading");
    memcpy(cells, row, sizeof row);
}

static void print_row(const char *const cells[COLUMN_COUNT], const size_t widths[COLUMN_COUNT],
                      struct mor_buffer *out)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        int width = (int)widths[i];
        mor_buffer_printf(out, i < TEXT_COLUMNS ? "%s%-*s" : "%s%*s", i > 0 ? "  " : "", width,
                          cells[i]);
    }
    mor_buffer_append_u8(out, '\n');
}

static void print_topics(const json_t *topics, double now_ms, struct mor_arena *arena,
                         struct mor_buffer *out)
{
    size_t count = json_array_size(topics);
    const char *(*rows)[COLUMN_COUNT] = mor_arena_calloc(arena, count + 1, sizeof *rows);
    memcpy(rows[0], headings, sizeof headings);
    size_t widths[COLUMN_COUNT] = {0};
    for (size_t i = 0; i < count; i++)
        topic_cells(json_array_get(topics, i), now_ms, arena, rows[i + 1]);
    for (size_t i = 0; i <= count; i++)
        for (size_t k = 0; k < COLUMN_COUNT; k++)
            if (strlen(rows[i][k]) > widths[k])
                widths[k] = strlen(rows[i][k]);
    for (size_t i = 0; i <= count; i++)
        print_row(rows[i], widths, out);
}

static void print_problems(const json_t *topics, struct mor_arena *arena, struct mor_buffer *out)
{
    size_t index;
    json_t *topic;
    json_array_foreach((json_t *)topics, index, topic)
    {
        const char *trouble = text_of(topic, "trouble", arena);
        const char *name = text_of(topic, "topic", arena);
        if (!json_is_true(json_object_get(topic, "ready")))
            mor_buffer_printf(out, "\n%s: %s\n", name, text_of(topic, "words", arena));
        else if (trouble[0] != '\0')
            mor_buffer_printf(out, "\n%s: in step '%s': %s\n", name,
                              text_of(topic, "trouble_step", arena), trouble);
    }
}

static void print_status(const json_t *status, struct mor_buffer *out)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    double now_ms = json_number_value(json_object_get(status, "time_ms"));
    const json_t *started = json_object_get(status, "started_ms");
    const json_t *memory = json_object_get(status, "memory");
    const json_t *topics = json_object_get(status, "topics");
    mor_buffer_printf(out, "%s (moraine %s): %s, up for %s, memory %s of %s\n\n",
                      text_of(status, "instance", &arena), text_of(status, "version", &arena),
                      json_is_true(json_object_get(status, "ready")) ? "ready" : "NOT READY",
                      duration_of(now_ms - json_number_value(started), &arena),
                      mebibytes_of(json_object_get(memory, "used_bytes"), &arena),
                      mebibytes_of(json_object_get(memory, "limit_bytes"), &arena));
    const char *refused = text_of(json_object_get(status, "config"), "trouble", &arena);
    if (refused[0] != '\0')
        mor_buffer_printf(
            out, "The last reload was refused, the configuration before it stays: %s\n\n", refused);
    print_topics(topics, now_ms, &arena, out);
    print_problems(topics, &arena, out);
    mor_arena_done(&arena);
}

// ---- asking -------------------------------------------------------------------------------------

// The caller releases *ret_status.
static enum mor_status ask(struct mor_http_client *client, const char *url, json_t **ret_status,
                           struct mor_error *err)
{
    struct mor_http_request request = {.url = url};
    struct mor_http_response response = {0};
    enum mor_status status = mor_http_send(client, &request, &response, err);
    json_t *answer = NULL;
    if (status == MOR_OK && response.code == 200)
        answer = json_loadb((const char *)response.body.data, response.body.size_bytes, 0, NULL);
    if (status == MOR_OK && !json_is_array(json_object_get(answer, "topics"))) {
        json_decref(answer);
        status = mor_error_set(err, MOR_FATAL, "%s answers %d, but not as a moraine service does",
                               url, (int)response.code);
    }
    mor_http_response_done(&response);
    if (status == MOR_OK)
        *ret_status = answer;
    return status;
}

// One look: the exit code, or -1 when standard output is gone.
static int look(struct mor_http_client *client, const char *url, const char *before)
{
    struct mor_error err = MOR_ERROR_INIT;
    json_t *status = NULL;
    MOR_AUTO_BUFFER out = {0};
    mor_buffer_append_text(&out, before);
    if (ask(client, url, &status, &err) != MOR_OK) {
        bool wrote = cli_write(&out);
        int result = cli_fail(&err);
        return wrote ? result : -1;
    }
    print_status(status, &out);
    bool ready = json_is_true(json_object_get(status, "ready"));
    json_decref(status);
    if (!cli_write(&out))
        return -1;
    return ready ? EXIT_DONE : EXIT_FAILED;
}

static int run_status(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_status_command, argc, argv, &arguments))
        return EXIT_USAGE;
    const char *base = cli_value(&arguments, "url");
    base = base != NULL ? base : DEFAULT_URL;
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return cli_usage(&cli_status_command, "--url: '%s' does not start with http:// or https://",
                         base);
    MOR_AUTO_FREE char *url = mor_asprintf("%.*s/status", (int)length, base);
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_http_options http = {.timeout_ms = ANSWER_AFTER_MS,
                                    .response_size_max_bytes = ANSWER_MAX};
    struct mor_http_client *client;
    if (mor_http_client_new(&http, &client, &err) != MOR_OK)
        return cli_fail(&err);
    bool watch = cli_flag(&arguments, "watch");
    const char *clear = watch && isatty(STDOUT_FILENO) ? "\033[H\033[J" : "";
    int result = look(client, url, clear);
    while (watch && result >= 0) {
        (void)sleep(WATCH_PAUSE_S);
        result = look(client, url, clear[0] != '\0' ? clear : "\n");
    }
    mor_http_client_free(client);
    return result < 0 ? EXIT_FAILED : result;
}
