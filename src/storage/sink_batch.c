// Objects of one commit that become durable together.
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "moraine/base/thread.h"
#include "store.h"

#define HELD_MAX 128 // of a batch: a journal's commit for so many is as good as for thousands
// Of the process, with two descriptors each: many topics may have their commits at one time.
#define HELD_IN_PROCESS_MAX 512

static atomic_size_t held_in_process;

struct mor_sink_batch {
    pthread_mutex_t mutex; // guards what follows
    struct mor_sink *held[HELD_MAX];
    size_t count;
    struct mor_error failure; // of an object that is lost; status MOR_OK = none
};

struct mor_sink_batch *mor_sink_batch_new(void)
{
    struct mor_sink_batch *batch = mor_calloc(1, sizeof *batch);
    pthread_mutex_init(&batch->mutex, NULL);
    batch->failure = MOR_ERROR_INIT;
    return batch;
}

static void free_all(struct mor_sink **sinks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mor_sink_free(sinks[i]);
    atomic_fetch_sub_explicit(&held_in_process, count, memory_order_relaxed);
}

// Takes the sinks. What fails is remembered: without one of its objects the batch is worth nothing.
static enum mor_status finish_all(struct mor_sink_batch *batch, struct mor_sink **take_sinks,
                                  size_t count, struct mor_error *err)
{
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        status = mor_sink_finish_deferred(take_sinks[i], err);
    free_all(take_sinks, count);
    if (status != MOR_OK) {
        MOR_LOCKED(&batch->mutex);
        batch->failure = *err;
    }
    return status;
}

// Moves what is held to ret_sinks; with the mutex.
static size_t take_held(struct mor_sink_batch *batch, struct mor_sink *ret_sinks[HELD_MAX])
{
    size_t count = batch->count;
    memcpy(ret_sinks, batch->held, count * sizeof(struct mor_sink *));
    batch->count = 0;
    return count;
}

enum mor_status mor_sink_batch_add(struct mor_sink_batch *batch, struct mor_sink *take_sink,
                                   struct mor_error *err)
{
    struct mor_sink *full[HELD_MAX];
    size_t count = 0;
    size_t in_process = atomic_fetch_add_explicit(&held_in_process, 1, memory_order_relaxed) + 1;
    enum mor_status status = take_sink->ops->complete(take_sink, err);
    if (status != MOR_OK) {
        free_all(&take_sink, 1);
        return status;
    }
    pthread_mutex_lock(&batch->mutex);
    batch->held[batch->count++] = take_sink;
    if (batch->count == HELD_MAX || in_process > HELD_IN_PROCESS_MAX)
        count = take_held(batch, full);
    pthread_mutex_unlock(&batch->mutex);
    return finish_all(batch, full, count, err);
}

enum mor_status mor_sink_batch_publish(struct mor_sink_batch *batch, struct mor_error *err)
{
    struct mor_sink *last[HELD_MAX];
    pthread_mutex_lock(&batch->mutex);
    size_t count = take_held(batch, last);
    pthread_mutex_unlock(&batch->mutex);
    MOR_TRY(finish_all(batch, last, count, err));
    MOR_LOCKED(&batch->mutex);
    if (batch->failure.status != MOR_OK)
        *err = batch->failure;
    return batch->failure.status;
}

void mor_sink_batch_free(struct mor_sink_batch *batch)
{
    if (!batch)
        return;
    free_all(batch->held, batch->count);
    pthread_mutex_destroy(&batch->mutex);
    free(batch);
}
