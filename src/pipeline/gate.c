#include "gate.h"

#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

void mor_gate_init(struct mor_gate *gate, size_t rows_max, size_t bytes_max)
{
    *gate = (struct mor_gate){.rows_max = rows_max, .bytes_max = bytes_max};
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->wake, &attributes);
    pthread_cond_init(&gate->room, &attributes);
    pthread_condattr_destroy(&attributes);
}

void mor_gate_done(struct mor_gate *gate)
{
    pthread_mutex_destroy(&gate->mutex);
    pthread_cond_destroy(&gate->wake);
    pthread_cond_destroy(&gate->room);
}

static bool is_full(const struct mor_gate *gate)
{
    return gate->rows >= gate->rows_max || gate->bytes >= gate->bytes_max;
}

bool mor_gate_enter(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    while (is_full(gate) && !gate->closing && !gate->failed)
        pthread_cond_wait(&gate->room, &gate->mutex);
    return !gate->closing && !gate->failed;
}

void mor_gate_add(struct mor_gate *gate, size_t rows, size_t bytes)
{
    MOR_LOCKED(&gate->mutex);
    if (gate->first_ms == 0) {
        gate->first_ms = mor_clock_mono_ms();
        pthread_cond_signal(&gate->wake);
    }
    gate->rows += rows;
    gate->bytes += bytes;
    if (is_full(gate))
        pthread_cond_signal(&gate->wake);
}

void mor_gate_fail(struct mor_gate *gate, const struct mor_error *err)
{
    MOR_LOCKED(&gate->mutex);
    if (!gate->failed) {
        gate->failed = true;
        gate->failure = *err;
    }
    pthread_cond_broadcast(&gate->wake);
    pthread_cond_broadcast(&gate->room);
}

void mor_gate_change(struct mor_gate *gate, int32_t schema_id, const struct mor_error *err)
{
    MOR_LOCKED(&gate->mutex);
    if (gate->changed)
        return;
    gate->changed = true;
    gate->changed_id = schema_id;
    gate->change = *err;
    gate->poked = true;
    pthread_cond_signal(&gate->wake);
}

bool mor_gate_changed(struct mor_gate *gate, int32_t *ret_schema_id, struct mor_error *ret_change)
{
    MOR_LOCKED(&gate->mutex);
    if (gate->changed) {
        *ret_schema_id = gate->changed_id;
        *ret_change = gate->change;
    }
    return gate->changed;
}

void mor_gate_reopen(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    gate->rows = gate->bytes = 0;
    gate->first_ms = 0;
    gate->closing = gate->changed = gate->poked = false;
}

void mor_gate_flush(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    gate->flush = true;
    pthread_cond_signal(&gate->wake);
}

void mor_gate_set_bytes(struct mor_gate *gate, size_t bytes_max)
{
    MOR_LOCKED(&gate->mutex);
    gate->bytes_max = bytes_max;
    pthread_cond_broadcast(&gate->room);
    pthread_cond_signal(&gate->wake);
}

void mor_gate_poke(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    gate->poked = true;
    pthread_cond_signal(&gate->wake);
}

void mor_gate_close(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    gate->closing = true;
    pthread_cond_broadcast(&gate->wake);
    pthread_cond_broadcast(&gate->room);
}

static struct timespec monotonic_at_ms(int64_t ms)
{
    return (struct timespec){ms / 1000, ms % 1000 * 1000000};
}

bool mor_gate_wait(struct mor_gate *gate, int64_t interval_ms, int64_t timeout_ms)
{
    MOR_LOCKED(&gate->mutex);
    int64_t deadline = mor_clock_mono_ms() + timeout_ms;
    for (;;) {
        int64_t now = mor_clock_mono_ms();
        bool due = gate->first_ms != 0 && now >= gate->first_ms + interval_ms;
        if (due || is_full(gate) || gate->flush || gate->failed || gate->closing)
            return true;
        if (now >= deadline || gate->poked) {
            gate->poked = false;
            return false;
        }
        int64_t until = deadline;
        if (gate->first_ms != 0 && gate->first_ms + interval_ms < until)
            until = gate->first_ms + interval_ms;
        struct timespec at = monotonic_at_ms(until);
        (void)pthread_cond_timedwait(&gate->wake, &gate->mutex, &at);
    }
}

int64_t mor_gate_gathering_ms(int64_t interval_ms, int64_t commit_ms)
{
    int64_t ahead_max_ms = interval_ms / 4;
    return interval_ms - (commit_ms < ahead_max_ms ? commit_ms : ahead_max_ms);
}

void mor_gate_cut(struct mor_gate *gate)
{
    MOR_LOCKED(&gate->mutex);
    gate->rows = 0;
    gate->bytes = 0;
    gate->first_ms = 0;
    gate->flush = false;
    pthread_cond_broadcast(&gate->room);
}

bool mor_gate_failure(struct mor_gate *gate, struct mor_error *ret_failure)
{
    MOR_LOCKED(&gate->mutex);
    if (gate->failed)
        *ret_failure = gate->failure;
    return gate->failed;
}
