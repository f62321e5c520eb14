#include "event_time.h"

#include <time.h>

#include "moraine/base/clock.h"

#define TEXT_BYTES_MAX 128

const int64_t mor_pipeline_lateness_ms[MOR_PIPELINE_LATENESS] = {
    1000, 10000, 60000, 300000, 900000, 3600000, 6 * 3600000, 24 * 3600000, 7 * 24 * 3600000};

void mor_event_time_add(struct mor_event_time_facts *sum, const struct mor_event_time_facts *more)
{
    if (more->highest_ms > sum->highest_ms)
        sum->highest_ms = more->highest_ms;
    sum->late += more->late;
    sum->future += more->future;
    for (size_t i = 0; i <= MOR_PIPELINE_LATENESS; i++)
        sum->lateness[i] += more->lateness[i];
}

static enum mor_status parse_text(const char *format, const struct mor_vector *column, size_t row,
                                  int64_t *ret_ms, struct mor_error *err)
{
    size_t size;
    const char *bytes = (const char *)mor_vector_bytes_at(column, row, &size);
    char text[TEXT_BYTES_MAX + 1];
    int64_t us;
    if (format == NULL && mor_parse_timestamp(bytes, size, &us)) {
        *ret_ms = us / 1000 - (us % 1000 < 0);
        return MOR_OK;
    }
    struct tm parts = {0};
    if (format != NULL && size <= TEXT_BYTES_MAX) {
        memcpy(text, bytes, size);
        text[size] = '\0';
        const char *end = strptime(text, format, &parts);
        if (end != NULL && *end == '\0') {
            *ret_ms = ((int64_t)timegm(&parts) - parts.tm_gmtoff) * 1000;
            return MOR_OK;
        }
    }
    return mor_error_set(err, MOR_DATA, "event time '%.*s' is not %s", (int)(size < 64 ? size : 64),
                         bytes, format != NULL ? format : "an ISO 8601 time");
}

enum mor_status mor_event_time_of(const struct mor_event_time_plan *plan,
                                  const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                  struct mor_error *err)
{
    *ret_ms = NO_EVENT_TIME;
    if (mor_vector_is_null(column, row))
        return MOR_OK;
    if (column->field->type == MOR_TYPE_STRING)
        return parse_text(plan->format, column, row, ret_ms, err);
    int64_t value = mor_type_width(column->field) == 8 ? mor_vector_i64(column, row)
                                                       : mor_vector_i32(column, row);
    int64_t whole =
        plan->divisor == 1 ? value : value / plan->divisor - (value % plan->divisor < 0);
    if (__builtin_mul_overflow(whole, plan->factor, ret_ms))
        *ret_ms = whole < 0 ? NO_EVENT_TIME + 1 : INT64_MAX;
    return MOR_OK;
}

static void note_lateness(struct mor_event_time_facts *facts, int64_t behind_ms)
{
    size_t i = 0;
    while (i < MOR_PIPELINE_LATENESS && behind_ms > mor_pipeline_lateness_ms[i])
        i++;
    facts->lateness[i]++;
}

bool mor_event_clock_take(struct mor_event_clock *clock, const struct mor_event_time_plan *plan,
                          int64_t time_ms, int64_t now_ms, struct mor_event_time_facts *facts)
{
    if (time_ms == NO_EVENT_TIME)
        return false;
    if (__builtin_expect(time_ms >= clock->highest_ms, 1)) {
        if (time_ms > now_ms && time_ms - now_ms > plan->max_future_ms) {
            facts->future++;
            return false;
        }
        clock->highest_ms = time_ms;
        if (time_ms > facts->highest_ms)
            facts->highest_ms = time_ms;
        return false;
    }
    int64_t behind_ms;
    if (__builtin_sub_overflow(clock->highest_ms, time_ms, &behind_ms))
        behind_ms = INT64_MAX;
    note_lateness(facts, behind_ms);
    bool late = behind_ms > plan->max_lateness_ms;
    facts->late += late;
    return late;
}
