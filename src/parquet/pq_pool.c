#include <stdatomic.h>

#include "moraine/base/thread.h"
#include "pq_writer.h"

// Workers wait for a round, take indexes from one counter until none is left, and report back. The
// caller works too, so a pool of n threads has n - 1 workers.

struct mor_pq_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake, idle;
    pthread_t *threads;
    size_t thread_count, busy;
    uint64_t round;
    bool stop;
    void (*work)(void *context, size_t index);
    void *context;
    size_t count;
    atomic_size_t next;
};

static void take_work(struct mor_pq_pool *pool)
{
    for (;;) {
        size_t index = atomic_fetch_add(&pool->next, 1);
        if (index >= pool->count)
            return;
        pool->work(pool->context, index);
    }
}

static void *worker(void *argument)
{
    struct mor_pq_pool *pool = argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->round == seen && !pool->stop)
            pthread_cond_wait(&pool->wake, &pool->mutex);
        if (pool->stop)
            break;
        seen = pool->round;
        pthread_mutex_unlock(&pool->mutex);
        take_work(pool);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->idle);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

struct mor_pq_pool *mor_pq_pool_new(size_t thread_count, struct mor_error *err)
{
    struct mor_pq_pool *pool = mor_calloc(1, sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->threads = mor_calloc(thread_count, sizeof *pool->threads);
    while (pool->thread_count + 1 < thread_count) {
        if (mor_thread_start(&pool->threads[pool->thread_count], "pq-encode", worker, pool, err) !=
            MOR_OK) {
            mor_pq_pool_free(pool);
            return NULL;
        }
        pool->thread_count++;
    }
    return pool;
}

void mor_pq_pool_free(struct mor_pq_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->idle);
    free(pool->threads);
    free(pool);
}

void mor_pq_pool_run(struct mor_pq_pool *pool, size_t count,
                     void (*work)(void *context, size_t index), void *context)
{
    if (!pool) {
        for (size_t i = 0; i < count; i++)
            work(context, i);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->work = work;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->next, 0);
    pool->busy = pool->thread_count;
    pool->round++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    take_work(pool);
    pthread_mutex_lock(&pool->mutex);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->idle, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}
