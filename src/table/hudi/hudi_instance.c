// What tells the instances of one table apart: a lock for the life of each, a staging folder, and
// whose turn it is.
#include <stdio.h>

#include "hudi/hudi_table.h"

#define WRITERS_PREFIX ".hoodie/moraine/writers"
#define TURN_KEY       ".hoodie/moraine/turn"

enum mor_status hudi_instance_open(struct hudi_table *table, const char *instance,
                                   struct mor_error *err)
{
    MOR_AUTO_FREE char *name = NULL;
    enum mor_status status = mor_writer_lock(table->table.store, WRITERS_PREFIX, instance,
                                             &table->instance, &name, &table->lock, err);
    table->staging_prefix = mor_asprintf(HUDI_STAGING_PREFIX "/%s", name);
    table->turn_wait_ms = MOR_TURN_WAIT_MS;
    return status;
}

enum mor_status hudi_instance_check(const struct hudi_table *table, struct mor_error *err)
{
    enum mor_status status = mor_lock_check(table->lock, err);
    if (status == MOR_FENCED)
        err->status = status = MOR_FATAL;
    return status;
}

// ---- turns --------------------------------------------------------------------------------------

void hudi_turn_take(struct hudi_table *table)
{
    mor_turn_take(&table->turn, table->table.store, TURN_KEY, table->instance, table->turn_wait_ms);
}

void hudi_turn_release(struct hudi_table *table)
{
    mor_turn_release(&table->turn);
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
            MOR_AUTO_FREE char *key =
                mor_asprintf(WRITERS_PREFIX "/%s", strrchr(folders[i].key, '/') + 1);
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
