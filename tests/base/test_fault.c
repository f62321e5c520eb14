#include "check.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

static void armed_points_act_on_the_passing_that_was_asked_for(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(mor_fault("a.b", &err), MOR_OK);
    assert_ok(setenv("MORAINE_FAILPOINTS", "a.b=error@2;slow=delay:30;always=error", 1) == 0
                  ? MOR_OK
                  : MOR_FATAL);
    assert_ok(mor_fault_init(&err));
    assert_ok(mor_fault("a.b", &err));
    assert_fails(mor_fault("a.b", &err), MOR_RETRY, "a.b");
    assert_ok(mor_fault("a.b", &err));
    assert_fails(mor_fault("always", &err), MOR_RETRY, "always");
    assert_fails(mor_fault("always", &err), MOR_RETRY, "always");
    int64_t before = mor_clock_mono_ms();
    assert_ok(mor_fault("slow", &err));
    assert_true(mor_clock_mono_ms() - before >= 29);
    assert_ok(mor_fault("other", &err));
}

static void a_setting_that_cannot_be_read_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const wrong[] = {"a",         "=kill",     "a=explode",
                                        "a=error@0", "a=delay:x", "a=error@"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        assert_int_equal(setenv("MORAINE_FAILPOINTS", wrong[i], 1), 0);
        assert_fails(mor_fault_init(&err), MOR_FATAL, "MORAINE_FAILPOINTS: character 0");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(armed_points_act_on_the_passing_that_was_asked_for),
        cmocka_unit_test(a_setting_that_cannot_be_read_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
