#include "check.h"
#include "event_time.h"

#include <math.h>

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
    assert_int_equal(facts.lateness_sum_ms, 201);
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
    one.lateness_sum_ms = INT64_MAX / 2 + 1;
    mor_event_time_add(&sum, &one);
    one.highest_ms = 3;
    mor_event_time_add(&sum, &one);
    assert_int_equal(sum.highest_ms, 7);
    assert_int_equal(sum.late, 4);
    assert_int_equal(sum.lateness[3], 4);
    assert_true(sum.lateness_sum_ms == INT64_MAX); // no wrapping
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

static void texts_may_be_numbers(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    static const struct {
        const char *text;
        int64_t ms; // NO_EVENT_TIME: refused
    } cases[] = {
        {"1767323045", 1767323045000},
        {"1767323045.678", 1767323045678},
        {"1767323045.6789999", 1767323045678},
        {"0", 0},
        {"-1.5", -1500},
        {"-0.0001", -1}, // down, not towards zero
        {"99999999999999999999999999", INT64_MAX},
        {"-99999999999999999999999999", EVENT_TIME_MIN_MS},
        {"", NO_EVENT_TIME},
        {"-", NO_EVENT_TIME},
        {".5", NO_EVENT_TIME},
        {"5.", NO_EVENT_TIME},
        {"1.2.3", NO_EVENT_TIME},
        {" 5", NO_EVENT_TIME},
        {"1e9", NO_EVENT_TIME},
        {"1111111111111111111111111111111", NO_EVENT_TIME},
        {"2026-01-02", NO_EVENT_TIME},
    };
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "at", MOR_TYPE_STRING, true);
    struct mor_batch *rows = mor_batch_new(schema, NULL);
    const struct mor_event_time_plan seconds = {.factor = 1000, .divisor = 1, .epoch_text = true};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = NO_EVENT_TIME;
        mor_vector_append_bytes(&rows->columns[0], cases[i].text, strlen(cases[i].text));
        err = MOR_ERROR_INIT;
        enum mor_status status = mor_event_time_of(&seconds, &rows->columns[0], i, &ms, &err);
        if (status != (cases[i].ms == NO_EVENT_TIME ? MOR_DATA : MOR_OK) || ms != cases[i].ms)
            fail_msg("'%s' is %lld: %s", cases[i].text, (long long)ms, err.message);
    }
    mor_batch_free(rows);
    mor_schema_free(schema);
}

static void fractions_are_times_as_well(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "f", MOR_TYPE_DOUBLE, true);
    struct mor_field *d = mor_schema_add(schema, NULL, "d", MOR_TYPE_DECIMAL, true);
    d->precision = 38;
    d->scale = 3;
    struct mor_batch *rows = mor_batch_new(schema, NULL);
    const double doubles[] = {1767323045.5, -0.25, 1e300, -1e300, (double)INFINITY, (double)NAN};
    const mor_int128 decimals[] = {1767323045678, -1, (mor_int128)1 << 120};
    for (size_t i = 0; i < 6; i++)
        mor_vector_append_fixed(&rows->columns[0], &doubles[i]);
    for (size_t i = 0; i < 3; i++)
        mor_vector_append_fixed(&rows->columns[1], &decimals[i]);
    const struct mor_event_time_plan seconds = {.factor = 1000, .divisor = 1};
    assert_int_equal(time_of(&seconds, rows, 0), 1767323045500);
    assert_int_equal(time_of(&seconds, rows, 1), -250);
    assert_true(time_of(&seconds, rows, 2) == INT64_MAX);
    assert_int_equal(time_of(&seconds, rows, 3), EVENT_TIME_MIN_MS);
    int64_t ms;
    assert_fails(mor_event_time_of(&seconds, &rows->columns[0], 4, &ms, &err), MOR_DATA, "inf");
    err = MOR_ERROR_INIT;
    assert_fails(mor_event_time_of(&seconds, &rows->columns[0], 5, &ms, &err), MOR_DATA, "nan");
    static const int64_t expected[] = {1767323045678, -1, INT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(mor_event_time_of(&seconds, &rows->columns[1], i, &ms, &err));
        assert_true(ms == expected[i]);
    }
    mor_batch_free(rows);
    mor_schema_free(schema);
}

// The watermark of a partition is its highest time less max_lateness: no time may make that wrap.
static void what_is_older_than_any_calendar_counts_as_its_first_day(void **state)
{
    (void)state;
    struct mor_schema *schema = mor_schema_new("t");
    mor_schema_add(schema, NULL, "at", MOR_TYPE_INT64, true);
    struct mor_batch *rows = mor_batch_new(schema, NULL);
    const int64_t values[] = {INT64_MIN, INT64_MIN + 5, EVENT_TIME_MIN_MS};
    for (size_t i = 0; i < 3; i++)
        mor_vector_append_fixed(&rows->columns[0], &values[i]);
    const struct mor_event_time_plan millis = {.factor = 1, .divisor = 1};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(time_of(&millis, rows, i), EVENT_TIME_MIN_MS);
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
        cmocka_unit_test(texts_may_be_numbers),
        cmocka_unit_test(fractions_are_times_as_well),
        cmocka_unit_test(what_is_older_than_any_calendar_counts_as_its_first_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
