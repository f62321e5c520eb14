#include "writer_turn.h"

#include <stdio.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "partition_path.h"

// Somebody who looks whether an instance still runs holds its lock for moments.
#define INSTANCE_WAIT_MS 1000

static void host_name(char ret_host[256])
{
    memcpy(ret_host, "localhost", sizeof "localhost");
    gethostname(ret_host, 255);
    ret_host[255] = '\0';
}

char *mor_writer_holder(const char *instance)
{
    char host[256];
    host_name(host);
    return mor_asprintf("%s (process %ld on %s)", instance, (long)getpid(), host);
}

enum mor_status mor_writer_lock(struct mor_store *store, const char *prefix, const char *instance,
                                char **ret_instance, char **ret_name, struct mor_lock **ret_lock,
                                struct mor_error *err)
{
    char host[256];
    host_name(host);
    *ret_instance = mor_strdup(instance && *instance ? instance : host);
    MOR_AUTO_BUFFER name = {0};
    mor_partition_escape(*ret_instance, strlen(*ret_instance), &name);
    *ret_name = mor_strdup(mor_buffer_terminate(&name));
    MOR_AUTO_FREE char *key = mor_asprintf("%s/%s", prefix, *ret_name);
    MOR_AUTO_FREE char *holder = mor_writer_holder(*ret_instance);
    enum mor_status status = mor_store_lock(store, key, holder, INSTANCE_WAIT_MS, ret_lock, err);
    return status == MOR_RETRY
               ? mor_error_wrap(err, "the lock of instance name '%s' is taken", *ret_instance)
               : status;
}

// False when somebody else keeps the lock. `stuck`: the words for a holder that was waited for in
// vain; it is not waited for twice.
static bool take(struct mor_store *store, const char *key, const char *instance, int64_t wait_ms,
                 char *stuck, size_t stuck_size, struct mor_lock **ret_lock)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *holder = mor_writer_holder(instance);
    MOR_AUTO_FREE char *text =
        mor_asprintf("%s, turn %lld", holder, (long long)mor_clock_mono_ns());
    enum mor_status status = mor_store_lock(store, key, text, 0, ret_lock, &err);
    if (status == MOR_RETRY && wait_ms > 0 && strcmp(err.message, stuck) != 0)
        status = mor_store_lock(store, key, text, wait_ms, ret_lock, &err);
    snprintf(stuck, stuck_size, "%.*s", (int)stuck_size - 1,
             status == MOR_RETRY ? err.message : "");
    return status == MOR_OK;
}

void mor_turn_take(struct mor_turn *turn, struct mor_store *store, const char *key,
                   const char *instance, int64_t wait_ms)
{
    int64_t deadline_ms = mor_clock_mono_ms() + wait_ms;
    // Who waits for the turn holds the queue's place meanwhile. So one who just had its turn comes
    // after at least one other that waits.
    struct mor_lock *queue = NULL;
    MOR_AUTO_FREE char *queue_key = mor_asprintf("%s.next", key);
    bool queued = take(store, queue_key, instance, wait_ms, turn->stuck_queue,
                       sizeof turn->stuck_queue, &queue);
    take(store, key, instance, deadline_ms - mor_clock_mono_ms(), turn->stuck_turn,
         sizeof turn->stuck_turn, &turn->lock);
    if (queued)
        mor_lock_free(queue);
}

void mor_turn_release(struct mor_turn *turn)
{
    mor_lock_free(turn->lock);
    turn->lock = NULL;
}
