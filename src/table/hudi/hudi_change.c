// A change from its first staged file to its slot.
#include <stdio.h>

#include "hudi/hudi_table.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

// Slots between two cleanings.
#define CLEAN_EVERY 64

static const char *later_of(const char *a, const char *b)
{
    return strcmp(a, b) > 0 ? a : b;
}

void hudi_change_init(struct hudi_change *change, struct hudi_table *table,
                      enum hudi_slot_kind kind, const struct mor_uuid *batch_id,
                      enum hudi_action completed, const char *timeline_last)
{
    *change = (struct hudi_change){.table = table};
    struct hudi_slot *slot = &change->slot;
    mor_arena_init(&slot->arena, 0, NULL);
    slot->kind = kind;
    slot->completed = completed;
    slot->writer = mor_arena_strdup(&slot->arena, table->instance);
    mor_uuid_format(batch_id, slot->batch);
    change->files = mor_sink_batch_new();
    pthread_mutex_init(&change->mutex, NULL);
    MOR_LOCKED(&table->mutex);
    hudi_time_next(later_of(table->last_time, timeline_last), slot->instant);
    memcpy(table->last_time, slot->instant, sizeof table->last_time);
}

const char *hudi_change_stage_key(struct hudi_change *change)
{
    struct hudi_table *table = change->table;
    char *key = mor_asprintf("%s/%s-%llu", table->staging_prefix, change->slot.instant,
                             (unsigned long long)atomic_fetch_add_explicit(&table->staged_next, 1,
                                                                           memory_order_relaxed));
    MOR_LOCKED(&change->mutex);
    if (change->staged_count == change->staged_capacity) {
        change->staged_capacity = change->staged_capacity ? change->staged_capacity * 2 : 16;
        change->staged =
            mor_realloc(change->staged, change->staged_capacity * sizeof *change->staged);
    }
    change->staged[change->staged_count++] = key;
    return key;
}

// Room for one more element in an array of the slot's arena.
static void *grow(struct mor_arena *arena, void *array, size_t count, size_t *capacity,
                  size_t element_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 16;
    void *grown = mor_arena_alloc(arena, *capacity * element_bytes);
    if (count > 0)
        memcpy(grown, array, count * element_bytes);
    return grown;
}

void hudi_change_add(struct hudi_change *change, const char *staged_key, const char *to,
                     int64_t size_bytes)
{
    struct hudi_slot *slot = &change->slot;
    slot->moves = grow(&slot->arena, slot->moves, slot->move_count, &change->move_capacity,
                       sizeof *slot->moves);
    slot->moves[slot->move_count++] = (struct hudi_move){
        .from = mor_arena_strdup(&slot->arena, staged_key),
        .to = mor_arena_strdup(&slot->arena, to),
        .size_bytes = size_bytes,
    };
}

enum mor_status hudi_change_put(struct hudi_change *change, const char *to, const void *bytes,
                                size_t size_bytes, struct mor_error *err)
{
    const char *key = hudi_change_stage_key(change);
    MOR_TRY(mor_store_put_new_deferred(change->table->table.store, key, bytes, size_bytes, err));
    hudi_change_add(change, key, to, (int64_t)size_bytes);
    return MOR_OK;
}

void hudi_change_add_partition(struct hudi_change *change, const char *partition)
{
    struct hudi_slot *slot = &change->slot;
    for (size_t i = 0; i < slot->partition_count; i++) {
        if (strcmp(slot->partitions[i], partition) == 0)
            return;
    }
    slot->partitions = grow(&slot->arena, slot->partitions, slot->partition_count,
                            &change->partition_capacity, sizeof *slot->partitions);
    slot->partitions[slot->partition_count++] = mor_arena_strdup(&slot->arena, partition);
}

void hudi_change_add_delete(struct hudi_change *change, const char *key)
{
    struct hudi_slot *slot = &change->slot;
    slot->deletes = grow(&slot->arena, slot->deletes, slot->delete_count, &change->delete_capacity,
                         sizeof *slot->deletes);
    slot->deletes[slot->delete_count++] = mor_arena_strdup(&slot->arena, key);
}

static enum mor_status stage_completed(struct hudi_change *change, const char *timeline_last,
                                       const struct mor_buffer *completed, struct mor_error *err)
{
    struct hudi_table *table = change->table;
    struct hudi_slot *slot = &change->slot;
    if (table->layout == 1)
        memcpy(slot->completion, slot->instant, sizeof slot->completion);
    else
        hudi_time_next(later_of(slot->instant, timeline_last), slot->completion);
    if (!completed)
        return MOR_OK;
    MOR_AUTO_FREE char *key = hudi_instant_key(table->layout, slot->instant, slot->completed,
                                               HUDI_COMPLETED, slot->completion);
    return hudi_change_put(change, key, completed->data, completed->size_bytes, err);
}

// Old slots go now and then; what fails is tried again by a later change.
static void clean_slots(struct mor_store *store, uint64_t head)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    if (head % CLEAN_EVERY == 0)
        (void)!hudi_chain_clean(store, head, HUDI_SLOTS_KEPT, &ignored);
}

// Instants are picked before they are decided: of two instances in the same millisecond, a rewrite
// may only see at its end that a commit, which comes after its base, took the same one.
static enum mor_status check_instant(struct hudi_change *change, struct mor_error *err)
{
    struct hudi_table *table = change->table;
    struct hudi_timeline timeline = {0};
    if (change->slot.kind != HUDI_SLOT_REWRITE)
        return MOR_OK;
    MOR_TRY(hudi_timeline_load(&timeline, table->table.store, table->layout, err));
    bool taken = hudi_timeline_find(&timeline, change->slot.instant) != NULL;
    hudi_timeline_done(&timeline);
    return taken ? mor_error_set(err, MOR_CONFLICT, "instant %s is another's by now",
                                 change->slot.instant)
                 : MOR_OK;
}

enum mor_status hudi_change_decide(struct hudi_change *change, const struct hudi_slot *base,
                                   const char *timeline_last, const struct mor_buffer *completed,
                                   enum mor_status (*recheck)(void *context, struct mor_error *err),
                                   void *context, struct mor_error *err)
{
    struct hudi_table *table = change->table;
    struct hudi_slot *slot = &change->slot;
    struct mor_store *store = table->table.store;
    MOR_TRY(stage_completed(change, timeline_last, completed, err));
    MOR_TRY(mor_sink_batch_publish(change->files, err));
    MOR_TRY(mor_fault("hudi.sync", err));
    MOR_TRY(mor_store_sync(store, err));
    MOR_TRY(mor_fault("hudi.staged", err));
    MOR_TRY(check_instant(change, err));
    if (recheck)
        MOR_TRY(recheck(context, err));
    slot->number = base->number + 1;
    if (slot->kind == HUDI_SLOT_COMMIT)
        memcpy(slot->version, slot->instant, sizeof slot->version);
    else if (slot->kind == HUDI_SLOT_REWRITE)
        memcpy(slot->version, base->version, sizeof slot->version);
    memcpy(slot->previous, base->batch, sizeof slot->previous);
    enum mor_status status = hudi_chain_put(store, slot, err);
    change->decided = status == MOR_OK || status == MOR_UNKNOWN;
    if (status != MOR_OK)
        return status;
    if (hudi_chain_help(store, slot, err) == MOR_OK) {
        clean_slots(store, slot->number);
        return MOR_OK;
    }
    // it is decided, so "failed" would be a lie
    mor_error_wrap(err, "commit %s is decided, but not completed yet", slot->instant);
    err->status = MOR_UNKNOWN;
    return MOR_UNKNOWN;
}

void hudi_change_done(struct hudi_change *change)
{
    mor_sink_batch_free(change->files);
    for (size_t i = 0; i < change->staged_count; i++) {
        // what cannot be removed now goes when the instance opens the table again
        struct mor_error ignored = MOR_ERROR_INIT;
        if (!change->decided)
            (void)!mor_store_delete(change->table->table.store, change->staged[i], false, &ignored);
        free(change->staged[i]);
    }
    free(change->staged);
    pthread_mutex_destroy(&change->mutex);
    hudi_slot_done(&change->slot);
}
