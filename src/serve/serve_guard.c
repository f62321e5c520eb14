#include "serve_guard.h"

#include <sys/socket.h>

#include "moraine/base/memory.h"
#include "moraine/base/thread.h"

struct guarded {
    int connection;
    int64_t since_ms; // of the request that is being read or answered
};

struct serve_guard {
    int64_t request_ms_max;
    pthread_mutex_t mutex; // a connection in the list is open: it is taken out before it is closed
    struct guarded *guarded;
    size_t count, capacity;
};

struct serve_guard *serve_guard_new(size_t connections_max, int64_t request_ms_max)
{
    struct serve_guard *guard = mor_calloc(1, sizeof *guard);
    guard->request_ms_max = request_ms_max;
    guard->capacity = connections_max;
    guard->guarded = mor_calloc(connections_max, sizeof *guard->guarded);
    pthread_mutex_init(&guard->mutex, NULL);
    return guard;
}

void serve_guard_free(struct serve_guard *guard)
{
    if (guard == NULL)
        return;
    pthread_mutex_destroy(&guard->mutex);
    free(guard->guarded);
    free(guard);
}

void serve_guard_opened(struct serve_guard *guard, int connection, int64_t now_ms)
{
    MOR_LOCKED(&guard->mutex);
    if (guard->count < guard->capacity)
        guard->guarded[guard->count++] = (struct guarded){connection, now_ms};
}

static struct guarded *find(struct serve_guard *guard, int connection)
{
    for (size_t i = 0; i < guard->count; i++)
        if (guard->guarded[i].connection == connection)
            return &guard->guarded[i];
    return NULL;
}

void serve_guard_answered(struct serve_guard *guard, int connection, int64_t now_ms)
{
    MOR_LOCKED(&guard->mutex);
    struct guarded *found = find(guard, connection);
    if (found != NULL)
        found->since_ms = now_ms;
}

void serve_guard_closing(struct serve_guard *guard, int connection)
{
    MOR_LOCKED(&guard->mutex);
    struct guarded *found = find(guard, connection);
    if (found != NULL)
        *found = guard->guarded[--guard->count];
}

void serve_guard_look(struct serve_guard *guard, int64_t now_ms)
{
    MOR_LOCKED(&guard->mutex);
    for (size_t i = 0; i < guard->count; i++)
        if (now_ms - guard->guarded[i].since_ms > guard->request_ms_max)
            (void)shutdown(guard->guarded[i].connection, SHUT_RDWR);
}
