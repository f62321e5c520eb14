// moraine wait-for: holds a scheduler back until a table is complete up to a time.

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "cli.h"
#include "moraine/base/clock.h"
#include "moraine/config.h"
#include "moraine/table.h"

#define POLL_MS 500

static const struct cli_option options[] = {
    {"until", "TIME",
     "event time that the table's watermark must have reached, as "
     "2026-01-31T12:00:00Z or 2026-01-31"},
    {"timeout", "DURATION", "give up after this long, as 30m; without it, wait for ever"},
};

static int run_wait_for(int argc, char **argv);

const struct cli_command cli_wait_for_command = {
    .name = "wait-for",
    .arguments = "TABLE --until TIME",
    .summary = "waits until a table is complete up to a time.\n"
               "Exit code 0 once the table's watermark has reached TIME: no record with an earlier "
               "event time is expected any more,\nbut late ones. 1 when the timeout passes first. "
               "For schedulers, before they read the table.",
    .options = options,
    .option_count = 2,
    .positional_min = 1,
    .positional_max = 1,
    .run = run_wait_for,
};

// The table's watermark in ms, INT64_MIN while it has none. A table that is not there yet has none.
static enum mor_status read_watermark(const char *location, bool *ret_is_there,
                                      int64_t *ret_watermark_ms, struct mor_error *err)
{
    *ret_watermark_ms = INT64_MIN;
    *ret_is_there = false;
    struct mor_table *table;
    enum mor_status status = mor_table_open_read(location, NULL, &table, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        return MOR_OK;
    }
    MOR_TRY(status);
    *ret_is_there = true;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *text = NULL;
    status = mor_table_property(table, "moraine", false, &arena, &text, err);
    if (status == MOR_OK) {
        json_t *ledger = json_loads(text, 0, NULL);
        json_t *watermark = json_object_get(ledger, "watermark_ms");
        if (json_is_integer(watermark))
            *ret_watermark_ms = json_integer_value(watermark);
        json_decref(ledger);
    } else if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        status = MOR_OK;
    }
    mor_arena_done(&arena);
    mor_table_free(table);
    return status;
}

static int wait_for(const char *location, int64_t until_ms, int64_t timeout_ms)
{
    int64_t deadline_ms = timeout_ms >= 0 ? mor_clock_mono_ms() + timeout_ms : INT64_MAX;
    for (;;) {
        struct mor_error err = MOR_ERROR_INIT;
        int64_t watermark_ms;
        bool is_there;
        enum mor_status status = read_watermark(location, &is_there, &watermark_ms, &err);
        if (status != MOR_OK && status != MOR_RETRY)
            return cli_fail(&err);
        char text[48] = "";
        (void)snprintf(text, sizeof text, "%s",
                       is_there ? "no watermark yet" : "there is no table yet");
        if (watermark_ms != INT64_MIN)
            mor_format_timestamp(watermark_ms * 1000, text, sizeof text);
        if (status == MOR_OK && watermark_ms >= until_ms) {
            (void)printf("%s\n", text);
            return EXIT_DONE;
        }
        if (mor_clock_mono_ms() >= deadline_ms) {
            (void)fprintf(stderr, "moraine: '%s' is not complete yet: %s\n", location, text);
            return EXIT_FAILED;
        }
        struct timespec pause = {POLL_MS / 1000, POLL_MS % 1000 * 1000000L};
        nanosleep(&pause, NULL);
    }
}

static bool parse_time(const char *text, int64_t *ret_us)
{
    int64_t days;
    if (mor_parse_timestamp(text, strlen(text), ret_us))
        return true;
    if (!mor_parse_date(text, strlen(text), &days))
        return false;
    *ret_us = days * 86400 * 1000000;
    return true;
}

static int run_wait_for(int argc, char **argv)
{
    struct cli_arguments arguments;
    if (!cli_parse(&cli_wait_for_command, argc, argv, &arguments))
        return EXIT_USAGE;
    const char *until = cli_value(&arguments, "until");
    const char *timeout = cli_value(&arguments, "timeout");
    int64_t until_us = 0, timeout_ms = -1;
    if (until == NULL)
        return cli_usage(&cli_wait_for_command, "--until is missing");
    if (!parse_time(until, &until_us))
        return cli_usage(&cli_wait_for_command, "--until: '%s' is not a time", until);
    if (timeout != NULL && !mor_config_parse_duration(timeout, &timeout_ms))
        return cli_usage(&cli_wait_for_command, "--timeout: '%s' is not a duration like 30m",
                         timeout);
    return wait_for(arguments.positional[0], until_us / 1000, timeout_ms);
}
