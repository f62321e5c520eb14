#include "crew.h"

#include <pthread.h>

#include "moraine/base/memory.h"
#include "moraine/base/thread.h"

struct mor_crew {
    pthread_mutex_t mutex;
    pthread_cond_t started;
    pthread_cond_t ended;
    pthread_t *threads;
    size_t thread_count;
    bool closing;
    // the job at hand, all under the mutex
    mor_crew_task *task;
    void *context;
    size_t count;
    size_t next;
    size_t running;
    enum mor_status status;
    struct mor_error error;
};

// Takes indices until none is left or one failed. The mutex is held on entry and on return.
static void work(struct mor_crew *crew)
{
    while (crew->next < crew->count && crew->status == MOR_OK) {
        size_t index = crew->next++;
        crew->running++;
        pthread_mutex_unlock(&crew->mutex);
        struct mor_error err = MOR_ERROR_INIT;
        enum mor_status status = crew->task(crew->context, index, &err);
        pthread_mutex_lock(&crew->mutex);
        crew->running--;
        if (status != MOR_OK && crew->status == MOR_OK) {
            crew->status = status;
            crew->error = err;
        }
    }
    if (crew->running == 0)
        pthread_cond_broadcast(&crew->ended);
}

static void *crew_main(void *argument)
{
    struct mor_crew *crew = argument;
    MOR_LOCKED(&crew->mutex);
    while (!crew->closing) {
        if (crew->next < crew->count && crew->status == MOR_OK)
            work(crew);
        else
            pthread_cond_wait(&crew->started, &crew->mutex);
    }
    return NULL;
}

enum mor_status mor_crew_new(size_t thread_count, const char *name, struct mor_crew **ret_crew,
                             struct mor_error *err)
{
    struct mor_crew *crew = mor_calloc(1, sizeof *crew);
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->started, NULL);
    pthread_cond_init(&crew->ended, NULL);
    crew->threads = mor_calloc(thread_count, sizeof *crew->threads);
    for (size_t i = 0; i < thread_count; i++) {
        enum mor_status status = mor_thread_start(&crew->threads[i], name, crew_main, crew, err);
        if (status != MOR_OK) {
            mor_crew_free(crew);
            return status;
        }
        crew->thread_count++;
    }
    *ret_crew = crew;
    return MOR_OK;
}

void mor_crew_free(struct mor_crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->mutex);
    crew->closing = true;
    pthread_cond_broadcast(&crew->started);
    pthread_mutex_unlock(&crew->mutex);
    for (size_t i = 0; i < crew->thread_count; i++)
        pthread_join(crew->threads[i], NULL);
    free(crew->threads);
    pthread_mutex_destroy(&crew->mutex);
    pthread_cond_destroy(&crew->started);
    pthread_cond_destroy(&crew->ended);
    free(crew);
}

enum mor_status mor_crew_run(struct mor_crew *crew, size_t count, mor_crew_task *task,
                             void *context, struct mor_error *err)
{
    MOR_LOCKED(&crew->mutex);
    crew->task = task;
    crew->context = context;
    crew->count = count;
    crew->next = 0;
    crew->status = MOR_OK;
    pthread_cond_broadcast(&crew->started);
    work(crew);
    while (crew->running > 0)
        pthread_cond_wait(&crew->ended, &crew->mutex);
    crew->count = 0;
    if (crew->status != MOR_OK)
        *err = crew->error;
    return crew->status;
}
