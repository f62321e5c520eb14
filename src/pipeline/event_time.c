#include "event_time.h"

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

int64_t mor_event_time_of(const struct mor_event_time_plan *plan, const struct mor_vector *column,
                          size_t row)
{
    if (mor_vector_is_null(column, row))
        return NO_EVENT_TIME;
    int64_t value = mor_type_width(column->field) == 8 ? mor_vector_i64(column, row)
                                                       : mor_vector_i32(column, row);
    int64_t whole =
        plan->divisor == 1 ? value : value / plan->divisor - (value % plan->divisor < 0);
    int64_t ms;
    return __builtin_mul_overflow(whole, plan->factor, &ms) ? INT64_MAX : ms;
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
