// Threads with names, and a mutex that unlocks when it leaves scope.
#ifndef MORAINE_BASE_THREAD_H
#define MORAINE_BASE_THREAD_H

#include <pthread.h>

#include "moraine/base/status.h"

// Starts `run(argument)` with all signals blocked and the name (15 characters are kept).
enum mor_status mor_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *),
                                 void *argument, struct mor_error *err) MOR_CHECKED;

static inline void mor_unlock_cleanup(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}
// Locks until the end of the enclosing block.
#define MOR_LOCKED(mutex_)                                                                         \
    __attribute__((cleanup(mor_unlock_cleanup), unused)) pthread_mutex_t *mor_held_ = (mutex_);    \
    pthread_mutex_lock(mor_held_)

#endif
