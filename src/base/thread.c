#include "moraine/base/thread.h"

#include <signal.h>
#include <stdio.h>

enum mor_status mor_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *),
                                 void *argument, struct mor_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(ret_thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return mor_error_set_errno(err, failed, "could not start thread '%s'", name);
    char short_name[16];
    (void)snprintf(short_name, sizeof short_name, "%s", name);
    (void)pthread_setname_np(*ret_thread, short_name);
    return MOR_OK;
}
