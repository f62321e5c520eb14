#include "check.h"
#include "event_time.h"

static const struct mor_event_time_plan plan = {
    .column = 0, .factor = 1, .divisor = 1, .max_lateness_ms = 100, .max_future_ms = 1000};

static struct mor_event_time_facts no_facts(void)
{
    return (struct mor_event_time_facts){.highest_ms = NO_WATERMARK};
}

static void a_record_behind_the_watermark_of_those_before_it_is_late(void **state)
{
    (void)state;
    struct mor_event_clock clock = {.highest_ms = NO_WATERMARK};
    struct mor_event_time_facts facts = no_facts();
    assert_false(mor_event_clock_take(&clock, &plan, 5000, 5000, &facts));
    assert_false(mor_event_clock_take(&clock, &plan, 4900, 5000, &facts)); // on the watermark
    assert_true(mor_event_clock_take(&clock, &plan, 4899, 5000, &facts));
    assert_false(mor_event_clock_take(&clock, &plan, 5001, 5000, &facts));
    assert_int_equal(facts.highest_ms, 5001);
    assert_int_equal(facts.late, 1);
    assert_int_equal(facts.lateness[0], 2); // both came behind a later one, by less than a second
}

static void a_time_too_far_in_the_future_moves_nothing(void **state)
{
    (void)state;
    struct mor_event_clock clock = {.highest_ms = 5000};
    struct mor_event_time_facts facts = no_facts();
    assert_false(mor_event_clock_take(&clock, &plan, 6001, 5000, &facts));
    assert_int_equal(clock.highest_ms, 5000);
    assert_true(facts.highest_ms == NO_WATERMARK);
    assert_int_equal(facts.future, 1);
    assert_false(mor_event_clock_take(&clock, &plan, 6000, 5000, &facts));
    assert_int_equal(clock.highest_ms, 6000);
}

static void the_ends_of_time_do_no_harm(void **state)
{
    (void)state;
    struct mor_event_clock clock = {.highest_ms = NO_WATERMARK};
    struct mor_event_time_facts facts = no_facts();
    assert_false(mor_event_clock_take(&clock, &plan, INT64_MAX, 5000, &facts));
    assert_int_equal(facts.future, 1);
    assert_false(mor_event_clock_take(&clock, &plan, 5000, 5000, &facts));
    assert_true(mor_event_clock_take(&clock, &plan, INT64_MIN + 1, 5000, &facts));
    assert_false(mor_event_clock_take(&clock, &plan, NO_EVENT_TIME, 5000, &facts));
    assert_int_equal(facts.lateness[MOR_PIPELINE_LATENESS], 1);
    assert_int_equal(facts.late, 1);
}

static void facts_of_runs_add_up(void **state)
{
    (void)state;
    struct mor_event_time_facts sum = no_facts(), one = no_facts();
    one.highest_ms = 7;
    one.late = 2;
    one.lateness[3] = 2;
    mor_event_time_add(&sum, &one);
    one.highest_ms = 3;
    mor_event_time_add(&sum, &one);
    assert_int_equal(sum.highest_ms, 7);
    assert_int_equal(sum.late, 4);
    assert_int_equal(sum.lateness[3], 4);
}

static int64_t time_of(const struct mor_event_time_plan *reading, const struct mor_batch *rows,
                       size_t row)
{
    struct mor_error err = MOR_ERROR_INIT;
    int64_t ms;
    assert_ok(mor_event_time_of(reading, &rows->columns[0], row, &ms, &err));
    return ms;
}

static void texts_are_read_by_their_format(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "at", MOR_TYPE_STRING, true);
    struct mor_batch *rows = mor_batch_new(schema, NULL);
    static const char *const texts[] = {"2026-01-02T03:04:05.678Z", "02/01/2026 03:04:05", "soon"};
    for (size_t i = 0; i < 3; i++)
        mor_vector_append_bytes(&rows->columns[0], texts[i], strlen(texts[i]));
    const struct mor_event_time_plan iso = {0}, formatted = {.format = "%d/%m/%Y %H:%M:%S"};
    assert_int_equal(time_of(&iso, rows, 0), 1767323045678);
    assert_int_equal(time_of(&formatted, rows, 1), 1767323045000);
    int64_t ms;
    assert_fails(mor_event_time_of(&iso, &rows->columns[0], 2, &ms, &err), MOR_DATA, "soon");
    err = MOR_ERROR_INIT;
    assert_fails(mor_event_time_of(&formatted, &rows->columns[0], 0, &ms, &err), MOR_DATA, "%d/%m");
    mor_batch_free(rows);
    mor_schema_free(schema);
}

static void units_become_milliseconds_rounded_down(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "at", MOR_TYPE_INT64, true);
    struct mor_batch *rows = mor_batch_new(schema, NULL);
    const int64_t values[] = {1500, -1500, INT64_MAX};
    for (size_t i = 0; i < 3; i++)
        mor_vector_append_fixed(&rows->columns[0], &values[i]);
    mor_vector_append_null(&rows->columns[0]);
    const struct mor_event_time_plan micros = {.factor = 1, .divisor = 1000};
    const struct mor_event_time_plan seconds = {.factor = 1000, .divisor = 1};
    assert_int_equal(time_of(&micros, rows, 0), 1);
    assert_int_equal(time_of(&micros, rows, 1), -2);
    assert_true(time_of(&seconds, rows, 2) == INT64_MAX);
    assert_true(time_of(&seconds, rows, 3) == NO_EVENT_TIME);
    mor_batch_free(rows);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_behind_the_watermark_of_those_before_it_is_late),
        cmocka_unit_test(a_time_too_far_in_the_future_moves_nothing),
        cmocka_unit_test(the_ends_of_time_do_no_harm),
        cmocka_unit_test(facts_of_runs_add_up),
        cmocka_unit_test(texts_are_read_by_their_format),
        cmocka_unit_test(units_become_milliseconds_rounded_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
