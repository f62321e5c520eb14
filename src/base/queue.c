#include "moraine/base/queue.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "moraine/base/memory.h"
#include "moraine/base/thread.h"

struct item {
    void *pointer;
    size_t size_bytes;
};

// A ring that grows only for forced pushes; pushes and pops share one mutex because items are
// chunks of thousands of records.
struct mor_queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    pthread_cond_t drained;
    struct item *ring;
    size_t capacity;
    size_t first;
    size_t count;
    size_t bytes;
    size_t item_limit;
    size_t byte_limit;
    bool closed;
};

struct mor_queue *mor_queue_new(size_t item_limit, size_t byte_limit)
{
    struct mor_queue *queue = mor_calloc(1, sizeof *queue);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &attributes);
    pthread_cond_init(&queue->drained, &attributes);
    pthread_condattr_destroy(&attributes);
    queue->item_limit = item_limit;
    queue->byte_limit = byte_limit;
    queue->capacity = item_limit;
    queue->ring = mor_calloc(queue->capacity, sizeof *queue->ring);
    return queue;
}

void mor_queue_free(struct mor_queue *queue)
{
    if (queue == NULL)
        return;
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->filled);
    pthread_cond_destroy(&queue->drained);
    free(queue->ring);
    free(queue);
}

// An item larger than the byte limit is taken when the queue is empty, else it could never pass.
static bool has_room(const struct mor_queue *queue, size_t size_bytes)
{
    if (queue->count >= queue->item_limit)
        return false;
    return queue->byte_limit == 0 || queue->count == 0 ||
           queue->bytes + size_bytes <= queue->byte_limit;
}

static void put(struct mor_queue *queue, void *item, size_t size_bytes)
{
    assert(queue->capacity > 0);
    if (queue->count == queue->capacity) {
        struct item *grown = mor_calloc(queue->capacity * 2, sizeof *grown);
        for (size_t i = 0; i < queue->count; i++)
            grown[i] = queue->ring[(queue->first + i) % queue->capacity];
        free(queue->ring);
        queue->ring = grown;
        queue->first = 0;
        queue->capacity *= 2;
    }
    queue->ring[(queue->first + queue->count) % queue->capacity] = (struct item){item, size_bytes};
    queue->count++;
    queue->bytes += size_bytes;
    pthread_cond_signal(&queue->filled);
}

bool mor_queue_try_push(struct mor_queue *queue, void *item, size_t size_bytes)
{
    MOR_LOCKED(&queue->mutex);
    if (queue->closed || !has_room(queue, size_bytes))
        return false;
    put(queue, item, size_bytes);
    return true;
}

bool mor_queue_push(struct mor_queue *queue, void *item, size_t size_bytes)
{
    MOR_LOCKED(&queue->mutex);
    while (!queue->closed && !has_room(queue, size_bytes))
        pthread_cond_wait(&queue->drained, &queue->mutex);
    if (queue->closed)
        return false;
    put(queue, item, size_bytes);
    return true;
}

void mor_queue_force_push(struct mor_queue *queue, void *item, size_t size_bytes)
{
    MOR_LOCKED(&queue->mutex);
    put(queue, item, size_bytes);
}

static struct timespec deadline_after_ms(int64_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

void *mor_queue_pop(struct mor_queue *queue, int64_t timeout_ms)
{
    MOR_LOCKED(&queue->mutex);
    if (queue->count == 0 && timeout_ms > 0) {
        struct timespec deadline = deadline_after_ms(timeout_ms);
        while (queue->count == 0 && !queue->closed &&
               pthread_cond_timedwait(&queue->filled, &queue->mutex, &deadline) == 0) {
        }
    }
    while (queue->count == 0 && !queue->closed && timeout_ms < 0)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    if (queue->count == 0)
        return NULL;
    struct item item = queue->ring[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    queue->bytes -= item.size_bytes;
    pthread_cond_broadcast(&queue->drained);
    return item.pointer;
}

void mor_queue_close(struct mor_queue *queue)
{
    MOR_LOCKED(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_cond_broadcast(&queue->drained);
}

size_t mor_queue_count(struct mor_queue *queue)
{
    MOR_LOCKED(&queue->mutex);
    return queue->count;
}

size_t mor_queue_bytes(struct mor_queue *queue)
{
    MOR_LOCKED(&queue->mutex);
    return queue->bytes;
}
