#include "jobs.h"

#include <sys/resource.h>

#include "maintain_test.h"
#include "moraine/base/clock.h"

static long voluntary_switches(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

// Works for three milliseconds of processor time and breathes; *ret_slept: it gave the processor
// away.
static int64_t work_and_breathe(const struct mor_compact_options *options, bool *ret_slept)
{
    const struct job_run run = {.options = options};
    struct mor_error err = MOR_ERROR_INIT;
    int64_t work_ns = 0, from_ns = mor_clock_thread_cpu_ns();
    assert_int_equal(mor_jobs_breathe(&run, &work_ns, &err), MOR_OK); // begins
    while (mor_clock_thread_cpu_ns() - from_ns < 3000000)
        continue;
    long before = voluntary_switches();
    int64_t start_ns = mor_clock_mono_ns();
    assert_int_equal(mor_jobs_breathe(&run, &work_ns, &err), MOR_OK);
    *ret_slept = voluntary_switches() > before;
    return mor_clock_mono_ns() - start_ns;
}

static bool always(void *context)
{
    (void)context;
    return true;
}

static void jobs_work_half_of_the_time_while_memory_is_half_used(void **state)
{
    (void)state;
    bool slept;
    struct mor_budget budget;
    mor_budget_init(&budget, 1000);
    struct mor_compact_options options = {.in_background = true, .budget = &budget};
    mor_budget_take(&budget, 400);
    work_and_breathe(&options, &slept);
    assert_false(slept);
    mor_budget_take(&budget, 200);
    assert_true(work_and_breathe(&options, &slept) >= 2000000);
    assert_true(slept);
    options.in_background = false; // somebody waits for it
    work_and_breathe(&options, &slept);
    assert_false(slept);
    options.should_yield = always;
    assert_true(work_and_breathe(&options, &slept) >= 2000000);
    assert_true(slept);
    mor_budget_give(&budget, 600);
}

static void jobs_stop_between_batches(void **state)
{
    (void)state;
    const struct mor_compact_options options = {.should_stop = always};
    const struct job_run run = {.options = &options};
    struct mor_error err = MOR_ERROR_INIT;
    int64_t work_ns = 0;
    assert_int_equal(mor_jobs_breathe(&run, &work_ns, &err), MOR_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_work_half_of_the_time_while_memory_is_half_used),
        cmocka_unit_test(jobs_stop_between_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
