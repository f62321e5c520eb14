#include "check.h"
#include "gate.h"
#include "moraine/base/clock.h"

static void a_commit_that_shows_records_in_time_is_begun_earlier(void **state)
{
    (void)state;
    assert_int_equal(mor_gate_gathering_ms(1000, 0), 1000);
    assert_int_equal(mor_gate_gathering_ms(1000, 90), 910);
    assert_int_equal(mor_gate_gathering_ms(10000, 900), 9100);
}

static void slow_commits_take_no_more_than_a_quarter_of_the_interval(void **state)
{
    (void)state;
    assert_int_equal(mor_gate_gathering_ms(1000, 250), 750);
    assert_int_equal(mor_gate_gathering_ms(1000, 251), 750);
    assert_int_equal(mor_gate_gathering_ms(100, 60000), 75);
}

static void a_gathering_is_due_by_its_age_and_by_its_size(void **state)
{
    (void)state;
    struct mor_gate gate;
    mor_gate_init(&gate, 10, 1000);
    assert_false(mor_gate_wait(&gate, 0, 0)); // nothing was gathered
    mor_gate_add(&gate, 1, 1);
    assert_true(mor_gate_wait(&gate, 0, 0));
    int64_t before_ms = mor_clock_mono_ms();
    assert_true(mor_gate_wait(&gate, 50, 60000));
    assert_in_range(mor_clock_mono_ms() - before_ms, 0, 30000);
    assert_false(mor_gate_wait(&gate, 60000, 0)); // too young
    mor_gate_add(&gate, 9, 1);
    assert_true(mor_gate_wait(&gate, 60000, 0)); // full
    mor_gate_cut(&gate);
    assert_false(mor_gate_wait(&gate, 0, 0));
    mor_gate_done(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_that_shows_records_in_time_is_begun_earlier),
        cmocka_unit_test(slow_commits_take_no_more_than_a_quarter_of_the_interval),
        cmocka_unit_test(a_gathering_is_due_by_its_age_and_by_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
