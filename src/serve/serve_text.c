#include "serve_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/serve.h"

void serve_append_seconds(struct mor_buffer *out, int64_t ms)
{
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    char text[40];
    int length = snprintf(text, sizeof text, "%s%" PRIu64 ".%03u", ms < 0 ? "-" : "", size / 1000,
                          (unsigned)(size % 1000));
    while (text[length - 1] == '0' && text[length - 2] != '.')
        length--;
    mor_buffer_append(out, text, (size_t)length);
}

void mor_serve_format_duration(int64_t ms, char *ret_text, size_t capacity)
{
    int64_t seconds = ms / 1000;
    if (ms < 1000)
        (void)snprintf(ret_text, capacity, "%" PRId64 " ms", ms < 0 ? 0 : ms);
    else if (seconds < 60)
        (void)snprintf(ret_text, capacity, "%" PRId64 ".%d s", seconds, (int)(ms % 1000 / 100));
    else if (seconds < 3600)
        (void)snprintf(ret_text, capacity, "%" PRId64 " min %d s", seconds / 60,
                       (int)(seconds % 60));
    else if (seconds < 86400)
        (void)snprintf(ret_text, capacity, "%" PRId64 " h %d min", seconds / 3600,
                       (int)(seconds % 3600 / 60));
    else
        (void)snprintf(ret_text, capacity, "%" PRId64 " d %d h", seconds / 86400,
                       (int)(seconds % 86400 / 3600));
}

void serve_format_time(int64_t time_ms, char *ret_text, size_t capacity)
{
    (void)mor_format_timestamp(time_ms / 1000 * 1000000, ret_text, capacity);
}

bool serve_secret_equals(const char *given, const char *secret)
{
    size_t given_length = strlen(given), secret_length = strlen(secret);
    size_t difference = given_length ^ secret_length;
    for (size_t i = 0; i < given_length; i++) {
        // volatile: the loop must not end at the first byte that differs
        volatile uint8_t other = secret_length > 0 ? (uint8_t)secret[i % secret_length] : 0;
        difference |= (size_t)((uint8_t)given[i] ^ other);
    }
    return difference == 0;
}
