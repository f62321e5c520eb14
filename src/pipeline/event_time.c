#include "event_time.h"

#include <math.h>
#include <time.h>

#include "moraine/base/clock.h"

#define TEXT_BYTES_MAX 128

const int64_t mor_pipeline_lateness_ms[MOR_PIPELINE_LATENESS] = {
    1000, 10000, 60000, 300000, 900000, 3600000, 6 * 3600000, 24 * 3600000, 7 * 24 * 3600000};

// One record of a hostile clock must not make the sum wrap.
static int64_t add_up(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void mor_event_time_add(struct mor_event_time_facts *sum, const struct mor_event_time_facts *more)
{
    if (more->highest_ms > sum->highest_ms)
        sum->highest_ms = more->highest_ms;
    sum->late += more->late;
    sum->future += more->future;
    for (size_t i = 0; i <= MOR_PIPELINE_LATENESS; i++)
        sum->lateness[i] += more->lateness[i];
    sum->lateness_sum_ms = add_up(sum->lateness_sum_ms, more->lateness_sum_ms);
}

static int64_t saturate(mor_int128 ms)
{
    return ms > INT64_MAX ? INT64_MAX : ms <= INT64_MIN ? INT64_MIN + 1 : (int64_t)ms;
}

// A number with `digits` of its digits behind the point, in the plan's unit; rounded down.
static int64_t scaled_ms(const struct mor_event_time_plan *plan, mor_int128 value, int32_t digits)
{
    mor_int128 divisor = plan->divisor, limit = (mor_int128)1 << 110;
    for (; digits > 0; digits--)
        divisor *= 10;
    if (value > limit || value < -limit) // times 1000 it still fits
        return value < 0 ? INT64_MIN + 1 : INT64_MAX;
    value *= plan->factor;
    return saturate(value / divisor - (value % divisor < 0));
}

#define EPOCH_DIGITS_MAX 30 // before and behind the point together

// "1767323045", "-1.5", "1767323045.678901".
static bool parse_epoch(const struct mor_event_time_plan *plan, const char *text, size_t size,
                        int64_t *ret_ms)
{
    size_t at = 0, digits = 0;
    int32_t behind = -1; // the point, while it did not come
    bool negative = size > 0 && text[0] == '-';
    mor_int128 value = 0;
    for (at += negative; at < size; at++) {
        if (text[at] == '.' && behind < 0 && digits > 0) {
            behind = 0;
            continue;
        }
        if (text[at] < '0' || text[at] > '9' || ++digits > EPOCH_DIGITS_MAX)
            return false;
        value = value * 10 + (text[at] - '0');
        behind += behind >= 0;
    }
    if (digits == 0 || behind == 0)
        return false;
    *ret_ms = scaled_ms(plan, negative ? -value : value, behind < 0 ? 0 : behind);
    return true;
}

static enum mor_status parse_text(const struct mor_event_time_plan *plan,
                                  const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                  struct mor_error *err)
{
    size_t size;
    const char *bytes = (const char *)mor_vector_bytes_at(column, row, &size);
    const char *format = plan->format;
    char text[TEXT_BYTES_MAX + 1];
    int64_t us;
    if (plan->epoch_text && parse_epoch(plan, bytes, size, ret_ms))
        return MOR_OK;
    if (plan->epoch_text)
        return mor_error_set(err, MOR_DATA, "event time '%.*s' is not a number",
                             (int)(size < 64 ? size : 64), bytes);
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

static enum mor_status read_float(const struct mor_event_time_plan *plan,
                                  const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                  struct mor_error *err)
{
    double value = 0;
    if (column->field->type == MOR_TYPE_FLOAT) {
        float narrow;
        memcpy(&narrow, column->data.data + row * sizeof narrow, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, column->data.data + row * sizeof value, sizeof value);
    }
    if (!isfinite(value))
        return mor_error_set(err, MOR_DATA, "event time %g is not a time", value);
    double ms = floor(value * (double)plan->factor / (double)plan->divisor);
    *ret_ms = ms >= 9e18 ? INT64_MAX : ms <= -9e18 ? INT64_MIN + 1 : (int64_t)ms;
    return MOR_OK;
}

static enum mor_status read_time(const struct mor_event_time_plan *plan,
                                 const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                 struct mor_error *err)
{
    switch (column->field->type) {
    case MOR_TYPE_STRING:
        return parse_text(plan, column, row, ret_ms, err);
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
        return read_float(plan, column, row, ret_ms, err);
    case MOR_TYPE_DECIMAL:
        *ret_ms = scaled_ms(plan, mor_vector_decimal(column, row), column->field->scale);
        return MOR_OK;
    default:
        break;
    }
    int64_t value = mor_type_width(column->field) == 8 ? mor_vector_i64(column, row)
                                                       : mor_vector_i32(column, row);
    int64_t whole =
        plan->divisor == 1 ? value : value / plan->divisor - (value % plan->divisor < 0);
    if (__builtin_mul_overflow(whole, plan->factor, ret_ms))
        *ret_ms = whole < 0 ? INT64_MIN + 1 : INT64_MAX;
    return MOR_OK;
}

enum mor_status mor_event_time_of(const struct mor_event_time_plan *plan,
                                  const struct mor_vector *column, size_t row, int64_t *ret_ms,
                                  struct mor_error *err)
{
    *ret_ms = NO_EVENT_TIME;
    if (mor_vector_is_null(column, row))
        return MOR_OK;
    MOR_TRY(read_time(plan, column, row, ret_ms, err));
    if (*ret_ms < EVENT_TIME_MIN_MS)
        *ret_ms = EVENT_TIME_MIN_MS;
    return MOR_OK;
}

static void note_lateness(struct mor_event_time_facts *facts, int64_t behind_ms)
{
    size_t i = 0;
    while (i < MOR_PIPELINE_LATENESS && behind_ms > mor_pipeline_lateness_ms[i])
        i++;
    facts->lateness[i]++;
    facts->lateness_sum_ms = add_up(facts->lateness_sum_ms, behind_ms);
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
