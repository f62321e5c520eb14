#include "serve_sample.h"

#include <errno.h>
#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"
#include "serve_guard.h"

#define SAMPLE_INTERVAL_MS 500

struct serve_sampler {
    void *context;
    void (*snapshot)(void *context, struct mor_serve_snapshot *snapshot);
    int64_t interval_ms;
    struct serve_guard *guard;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t mutex; // `stopping`, `newest`, `memory`; not held while a snapshot is asked for
    pthread_cond_t wake;
    bool stopping;
    struct serve_view *newest;
    struct serve_memory memory;
};

static void sample(struct serve_sampler *sampler)
{
    struct serve_view *view = serve_view_new(mor_clock_wall_ms(), mor_clock_mono_ms());
    sampler->snapshot(sampler->context, &view->snapshot);
    struct serve_view *old;
    {
        MOR_LOCKED(&sampler->mutex);
        serve_view_derive(&sampler->memory, view);
        old = sampler->newest;
        sampler->newest = view;
    }
    serve_view_unref(old);
}

// False when the sampler is to stop.
static bool wait_for_next(struct serve_sampler *sampler)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += sampler->interval_ms / 1000;
    until.tv_nsec += sampler->interval_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    MOR_LOCKED(&sampler->mutex);
    while (!sampler->stopping)
        if (pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &until) == ETIMEDOUT)
            break;
    return !sampler->stopping;
}

static void *sampler_main(void *argument)
{
    struct serve_sampler *sampler = argument;
    while (wait_for_next(sampler)) {
        serve_guard_look(sampler->guard, mor_clock_mono_ms());
        sample(sampler);
    }
    return NULL;
}

enum mor_status serve_sampler_open(const struct mor_serve_options *options,
                                   struct serve_guard *guard, struct serve_sampler **ret_sampler,
                                   struct mor_error *err)
{
    struct serve_sampler *sampler = mor_calloc(1, sizeof *sampler);
    sampler->guard = guard;
    sampler->context = options->context;
    sampler->snapshot = options->snapshot;
    sampler->interval_ms =
        options->sample_interval_ms > 0 ? options->sample_interval_ms : SAMPLE_INTERVAL_MS;
    pthread_mutex_init(&sampler->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    sample(sampler);
    enum mor_status status =
        mor_thread_start(&sampler->thread, "serve-sample", sampler_main, sampler, err);
    sampler->thread_runs = status == MOR_OK;
    if (status != MOR_OK) {
        serve_sampler_free(sampler);
        return status;
    }
    *ret_sampler = sampler;
    return MOR_OK;
}

void serve_sampler_free(struct serve_sampler *sampler)
{
    if (sampler == NULL)
        return;
    {
        MOR_LOCKED(&sampler->mutex);
        sampler->stopping = true;
        pthread_cond_signal(&sampler->wake);
    }
    if (sampler->thread_runs)
        pthread_join(sampler->thread, NULL);
    serve_view_unref(sampler->newest);
    serve_memory_done(&sampler->memory);
    pthread_cond_destroy(&sampler->wake);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}

struct serve_view *serve_sampler_view(struct serve_sampler *sampler)
{
    MOR_LOCKED(&sampler->mutex);
    return serve_view_ref(sampler->newest);
}

void serve_sampler_memory(struct serve_sampler *sampler,
                          void (*write)(const struct serve_memory *memory, void *context),
                          void *context)
{
    MOR_LOCKED(&sampler->mutex);
    write(&sampler->memory, context);
}
