#include "jobs.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

#define THREADS_MAX           16
#define MEMORY_BYTES_DEFAULT  ((size_t)256 << 20)
#define ROW_GROUP_BYTES_LEAST ((size_t)4 << 20)
#define ROW_GROUP_BYTES_MOST  ((size_t)128 << 20)
#define SLICE_NS              2000000 // work that is paid back with sleep at once
#define MEMORY_WAITS_MAX      50      // of 2 ms, before a batch is taken in nevertheless

#define NICE_LEAST    19
#define NICE_PRESSING 5

#define IOPRIO_CLASS_IDLE_VALUE (3 << 13)
#define IOPRIO_WHO_THREAD       1

// All of this is only hints: without them the work is as right, and in somebody's way. What runs
// only when nothing else wants to would never run on a machine that is always busy.
static void lower_priority(bool presses)
{
    const struct sched_param parameters = {0};
    if (presses || sched_setscheduler(0, SCHED_IDLE, &parameters) != 0)
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), presses ? NICE_PRESSING : NICE_LEAST);
    if (!presses)
        syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, 0, IOPRIO_CLASS_IDLE_VALUE);
}

static void *run_jobs(void *argument)
{
    struct job_run *run = argument;
    if (run->options->in_background)
        lower_priority(run->presses);
    for (size_t job; (job = atomic_fetch_add(&run->next, 1)) < run->job_count;) {
        struct mor_error err = MOR_ERROR_INIT;
        if (run->run(run, job, &err) == MOR_OK)
            continue;
        MOR_LOCKED(&run->mutex);
        run->report->failed++;
        if (run->report->first_failure.status == MOR_OK)
            run->report->first_failure = err;
    }
    return NULL;
}

enum mor_status mor_jobs_run(struct job_run *run, struct mor_error *err)
{
    pthread_t threads[THREADS_MAX];
    const struct mor_compact_options *options = run->options;
    size_t count = options->thread_count < 1 ? 1 : options->thread_count;
    size_t memory = options->memory_bytes_max ? options->memory_bytes_max : MEMORY_BYTES_DEFAULT;
    count = count < THREADS_MAX ? count : THREADS_MAX;
    count = count < run->job_count ? count : run->job_count;
    run->memory_bytes_max = memory / (count ? count : 1);
    pthread_mutex_init(&run->mutex, NULL);
    enum mor_status status = MOR_OK;
    size_t started = 0;
    for (; started < count && status == MOR_OK; started += status == MOR_OK)
        status = mor_thread_start(&threads[started], "compact", run_jobs, run, err);
    if (status != MOR_OK && started > 0) {
        *err = MOR_ERROR_INIT; // fewer threads do it as well
        status = MOR_OK;
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&run->mutex);
    if (status == MOR_OK && options->should_stop && options->should_stop(options->context))
        return mor_error_set(err, MOR_RETRY, "asked to stop");
    return status;
}

static void sleep_ns(int64_t ns)
{
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

// Whether others want the machine more: what takes rows in has filled half of the memory, or the
// caller says so.
static bool shall_yield(const struct mor_compact_options *options)
{
    const struct mor_budget *budget = options->budget;
    bool filled =
        options->in_background && budget && mor_budget_used(budget) > budget->limit_bytes / 2;
    return filled || (options->should_yield && options->should_yield(options->context));
}

enum mor_status mor_jobs_breathe(const struct job_run *run, int64_t *work_ns, struct mor_error *err)
{
    const struct mor_compact_options *options = run->options;
    int64_t now = mor_clock_thread_cpu_ns();
    if (options->should_stop && options->should_stop(options->context))
        return mor_error_set(err, MOR_RETRY, "asked to stop");
    if (*work_ns == 0)
        *work_ns = now;
    if (now - *work_ns < SLICE_NS)
        return MOR_OK;
    if (shall_yield(options))
        sleep_ns(now - *work_ns);
    // what takes rows in comes first when memory is short
    const struct mor_budget *budget = options->budget;
    for (int i = 0; budget && options->in_background && i < MEMORY_WAITS_MAX &&
                    mor_budget_used(budget) > budget->limit_bytes / 10 * 9;
         i++)
        sleep_ns(2000000);
    *work_ns = now;
    return MOR_OK;
}

size_t mor_jobs_row_group_bytes(const struct job_run *run)
{
    // a row group is held twice: as rows, and as pages
    size_t bytes = run->memory_bytes_max / 3;
    bytes = bytes < ROW_GROUP_BYTES_LEAST ? ROW_GROUP_BYTES_LEAST : bytes;
    return bytes < ROW_GROUP_BYTES_MOST ? bytes : ROW_GROUP_BYTES_MOST;
}
