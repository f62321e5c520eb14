// What tells the instances of one table apart: a lock for the life of each, a staging folder, and
// whose turn it is.
#include <stdio.h>
#include <unistd.h>

#include "hudi/hudi_table.h"
#include "moraine/base/clock.h"
#include "partition_path.h"

#define WRITERS_PREFIX ".hoodie/moraine/writers"
#define TURN_KEY       ".hoodie/moraine/turn"
#define QUEUE_KEY      ".hoodie/moraine/turn.next"
// Somebody who looks whether an instance still runs holds its lock for moments.
#define INSTANCE_WAIT_MS 1000
// A commit takes tens of milliseconds, a large one seconds. Whoever has its turn for longer may be
// stopped, and must not stop the others: what is decided does not depend on turns.
#define TURN_WAIT_MS 10000

static char *holder_text(const struct hudi_table *table)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    return mor_asprintf("%s (process %ld on %s)", table->instance, (long)getpid(), host);
}

static char *writer_key(const char *name)
{
    return mor_asprintf(WRITERS_PREFIX "/%s", name);
}

enum mor_status hudi_instance_open(struct hudi_table *table, const char *instance,
                                   struct mor_error *err)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    table->instance = mor_strdup(instance && *instance ? instance : host);
    MOR_AUTO_BUFFER name = {0};
    mor_partition_escape(table->instance, strlen(table->instance), &name);
    MOR_AUTO_FREE char *key = writer_key(mor_buffer_terminate(&name));
    MOR_AUTO_FREE char *holder = holder_text(table);
    table->staging_prefix = mor_asprintf(HUDI_STAGING_PREFIX "/%s", mor_buffer_terminate(&name));
    table->turn_wait_ms = TURN_WAIT_MS;
    enum mor_status status =
        mor_store_lock(table->table.store, key, holder, INSTANCE_WAIT_MS, &table->lock, err);
    return status == MOR_RETRY
               ? mor_error_wrap(err, "the lock of instance name '%s' is taken", table->instance)
               : status;
}

enum mor_status hudi_instance_check(const struct hudi_table *table, struct mor_error *err)
{
    enum mor_status status = mor_lock_check(table->lock, err);
    if (status == MOR_FENCED)
        err->status = status = MOR_FATAL;
    return status;
}

// ---- turns --------------------------------------------------------------------------------------

// False when somebody else keeps the lock. `stuck`: the words for a holder that was waited for in
// vain; it is not waited for twice.
static bool take(struct hudi_table *table, const char *key, int64_t wait_ms, char *stuck,
                 size_t stuck_size, struct mor_lock **ret_lock)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *holder = holder_text(table);
    MOR_AUTO_FREE char *text =
        mor_asprintf("%s, turn %lld", holder, (long long)mor_clock_mono_ns());
    struct mor_store *store = table->table.store;
    enum mor_status status = mor_store_lock(store, key, text, 0, ret_lock, &err);
    if (status == MOR_RETRY && wait_ms > 0 && strcmp(err.message, stuck) != 0)
        status = mor_store_lock(store, key, text, wait_ms, ret_lock, &err);
    snprintf(stuck, stuck_size, "%.*s", (int)stuck_size - 1,
             status == MOR_RETRY ? err.message : "");
    return status == MOR_OK;
}

void hudi_turn_take(struct hudi_table *table)
{
    struct hudi_turn *turn = &table->turn;
    int64_t deadline_ms = mor_clock_mono_ms() + table->turn_wait_ms;
    // Who waits for the turn holds the queue's place meanwhile. So one who just had its turn comes
    // after at least one other that waits.
    struct mor_lock *queue = NULL;
    bool queued = take(table, QUEUE_KEY, table->turn_wait_ms, turn->stuck_queue,
                       sizeof turn->stuck_queue, &queue);
    take(table, TURN_KEY, deadline_ms - mor_clock_mono_ms(), turn->stuck_turn,
         sizeof turn->stuck_turn, &turn->lock);
    if (queued)
        mor_lock_free(queue);
}

void hudi_turn_release(struct hudi_table *table)
{
    mor_lock_free(table->turn.lock);
    table->turn.lock = NULL;
}

// ---- staging folders ----------------------------------------------------------------------------

// Finishes the slots that are not older than `instant`, oldest first. Only the head can be undone,
// unless a power failure took renames back that a later slot was put after.
static enum mor_status finish_since(struct mor_store *store, const char *instant,
                                    struct mor_error *err)
{
    struct hudi_slot slot = {0};
    uint64_t first = 0, last;
    char previous[MOR_UUID_TEXT_SIZE] = "";
    MOR_TRY(hudi_chain_head(store, &slot, err));
    last = slot.number;
    while (slot.number > 0 && slot.kind != HUDI_SLOT_FOLLOW &&
           (slot.kind == HUDI_SLOT_REWRITE || strcmp(slot.instant, instant) >= 0)) {
        uint64_t number = first = slot.number;
        memcpy(previous, slot.previous, sizeof previous);
        hudi_slot_done(&slot);
        if (number == 1)
            break;
        enum mor_status status = hudi_chain_read(store, number - 1, &slot, err);
        if (status != MOR_OK && status != MOR_NOT_FOUND)
            return status;
        *err = MOR_ERROR_INIT;
        if (status == MOR_OK && strcmp(slot.batch, previous) != 0)
            hudi_slot_done(&slot); // left by a stopped process, no part of the chain
    }
    hudi_slot_done(&slot);
    for (uint64_t number = first; number > 0 && number <= last; number++) {
        MOR_TRY(hudi_chain_read(store, number, &slot, err));
        enum mor_status status = hudi_chain_help(store, &slot, err);
        hudi_slot_done(&slot);
        MOR_TRY(status);
    }
    return MOR_OK;
}

// Empties the staging folder of an instance that does not run, or is ours.
static enum mor_status clear_staging(struct hudi_table *table, const char *prefix,
                                     struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    const char *oldest = NULL;
    enum mor_status status = mor_store_list_names(store, prefix, &arena, &objects, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        const char *name = strrchr(objects[i].key, '/') + 1;
        if (!oldest || strcmp(name, oldest) < 0)
            oldest = name;
    }
    if (status == MOR_OK && oldest) {
        char instant[18];
        snprintf(instant, sizeof instant, "%s", oldest);
        status = finish_since(store, instant, err);
    }
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        status = mor_store_delete(store, objects[i].key, false, err);
    mor_arena_done(&arena);
    return status;
}

enum mor_status hudi_staging_clear(struct hudi_table *table, struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *folders = NULL;
    size_t count = 0;
    enum mor_status status =
        mor_store_list_names(store, HUDI_STAGING_PREFIX, &arena, &folders, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        struct mor_lock *lock = NULL;
        if (!folders[i].is_prefix)
            continue;
        if (strcmp(folders[i].key, table->staging_prefix) != 0) {
            // what a running instance stages is not ours to judge
            MOR_AUTO_FREE char *key = writer_key(strrchr(folders[i].key, '/') + 1);
            struct mor_error taken = MOR_ERROR_INIT;
            if (mor_store_lock(store, key, table->instance, 0, &lock, &taken) != MOR_OK)
                continue;
        }
        status = clear_staging(table, folders[i].key, err);
        mor_lock_free(lock);
    }
    mor_arena_done(&arena);
    return status;
}
