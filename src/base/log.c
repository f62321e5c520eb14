#include "moraine/base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/memory.h"
#include "moraine/base/thread.h"
#include "moraine/base/utf8.h"

#define LINES_PER_SECOND_MAX 20
#define EVENTS_MAX           256

// How often an event was written in the current second. Event names are constants of the program,
// so they are compared by address and the table stays small.
struct event_rate {
    const char *event;
    int64_t second;
    int64_t lines;
    int64_t suppressed;
};

static atomic_int log_level = MOR_LOG_INFO;
static atomic_int log_format = MOR_LOG_LOGFMT;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct event_rate rates[EVENTS_MAX];
static size_t rate_count;
static char last_problem[512];

#define HIDDEN_MAX 4096 // secrets; a configuration has a few, and every reload may bring new ones

static pthread_mutex_t hidden_mutex = PTHREAD_MUTEX_INITIALIZER;
static char *hidden[HIDDEN_MAX];
static size_t hidden_count;

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void mor_log_configure(enum mor_log_level level, enum mor_log_format format)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_format, (int)format);
}

bool mor_log_enabled(enum mor_log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool mor_log_level_parse(const char *text, enum mor_log_level *ret_level)
{
    for (int i = 0; i <= MOR_LOG_OFF; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum mor_log_level)i;
            return true;
        }
    }
    return false;
}

void mor_log_hide(const char *secret)
{
    MOR_LOCKED(&hidden_mutex);
    for (size_t i = 0; i < hidden_count; i++)
        if (strcmp(hidden[i], secret) == 0)
            return;
    if (hidden_count < HIDDEN_MAX && *secret != '\0')
        hidden[hidden_count++] = mor_strdup(secret);
}

// A copy with the secrets overwritten, NULL when there is none in it. The caller frees.
static char *without_secrets(const char *text)
{
    char *clean = NULL;
    MOR_LOCKED(&hidden_mutex);
    for (size_t i = 0; i < hidden_count; i++) {
        const char *from = clean != NULL ? clean : text;
        if (strstr(from, hidden[i]) == NULL)
            continue;
        if (clean == NULL)
            clean = mor_strdup(text);
        for (char *at = clean; (at = strstr(at, hidden[i])) != NULL;)
            memset(at, '*', strlen(hidden[i]));
    }
    return clean;
}

// Appends a quoted string; the escapes of JSON serve logfmt as well. Bytes that are not UTF-8
// become U+FFFD: whoever reads logs refuses a line that holds one.
static void append_quoted(struct mor_buffer *line, const char *text)
{
    mor_buffer_append_u8(line, '"');
    for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
        size_t length = mor_utf8_length(at);
        if (length > 1) {
            mor_buffer_append(line, at, length);
            at += length - 1;
        } else if (length == 0) {
            mor_buffer_append_text(line, "\xef\xbf\xbd");
        } else if (*at == '"' || *at == '\\') {
            mor_buffer_printf(line, "\\%c", *at);
        } else if (*at == '\n') {
            mor_buffer_append_text(line, "\\n");
        } else if (*at < 0x20 || *at == 0x7F) {
            mor_buffer_printf(line, "\\u%04x", *at);
        } else {
            mor_buffer_append_u8(line, *at);
        }
    }
    mor_buffer_append_u8(line, '"');
}

static bool is_bare(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' || *text >= 0x7F)
            return false;
    return true;
}

static void append_field(struct mor_buffer *line, bool json, const char *name, const char *text,
                         int64_t number)
{
    if (json)
        mor_buffer_printf(line, "%s\"%s\":", line->size_bytes > 1 ? "," : "", name);
    else
        mor_buffer_printf(line, "%s%s=", line->size_bytes > 0 ? " " : "", name);
    if (text == NULL)
        mor_buffer_printf(line, "%lld", (long long)number);
    else if (!json && is_bare(text))
        mor_buffer_append_text(line, text);
    else
        append_quoted(line, text);
}

// Counts the line; false when it is one too many for this second. *ret_suppressed: lines left out
// since the last one that was written. The caller holds log_mutex.
static bool admit(const char *event, int64_t *ret_suppressed)
{
    struct event_rate *rate = NULL;
    for (size_t i = 0; i < rate_count && rate == NULL; i++)
        if (rates[i].event == event)
            rate = &rates[i];
    if (rate == NULL) {
        if (rate_count == EVENTS_MAX)
            return true;
        rate = &rates[rate_count++];
        rate->event = event;
    }
    int64_t second = mor_clock_mono_ms() / 1000;
    if (rate->second != second) {
        rate->second = second;
        rate->lines = 0;
    }
    if (rate->lines >= LINES_PER_SECOND_MAX) {
        rate->suppressed++;
        return false;
    }
    rate->lines++;
    *ret_suppressed = rate->suppressed;
    rate->suppressed = 0;
    return true;
}

void mor_log_write(enum mor_log_level level, const char *event, const struct mor_log_field *fields,
                   unsigned long count)
{
    bool json = atomic_load(&log_format) == MOR_LOG_JSON;
    MOR_AUTO_BUFFER line = {0};
    if (json)
        mor_buffer_append_u8(&line, '{');
    char now[48];
    mor_format_timestamp(mor_clock_wall_ms() * 1000, now, sizeof now);
    append_field(&line, json, "ts", now, 0);
    append_field(&line, json, "level", level_names[level], 0);
    append_field(&line, json, "event", event, 0);
    for (unsigned long i = 0; i < count; i++) {
        MOR_AUTO_FREE char *clean = fields[i].text != NULL ? without_secrets(fields[i].text) : NULL;
        append_field(&line, json, fields[i].name, clean != NULL ? clean : fields[i].text,
                     fields[i].number);
    }
    MOR_LOCKED(&log_mutex);
    int64_t suppressed = 0;
    if (level > MOR_LOG_DEBUG && !admit(event, &suppressed))
        return;
    if (suppressed > 0)
        append_field(&line, json, "suppressed", NULL, suppressed);
    if (level >= MOR_LOG_WARN)
        (void)snprintf(last_problem, sizeof last_problem, "%.*s", (int)line.size_bytes,
                       (const char *)line.data);
    if (json)
        mor_buffer_append_u8(&line, '}');
    mor_buffer_append_u8(&line, '\n');
    if (write(STDERR_FILENO, line.data, line.size_bytes) < 0)
        return; // nowhere left to say it
}

void mor_log_last_problem(char *ret_text, unsigned long capacity)
{
    MOR_LOCKED(&log_mutex);
    (void)snprintf(ret_text, capacity, "%s", last_problem);
}
