// What a commit builds on: the head of the chain, the timeline, and the file groups they make.
#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/thread.h"

#define SETTLE_ROUNDS   16
#define FOLLOWED_PREFIX ".hoodie/moraine/followed"

// ---- pending instants ---------------------------------------------------------------------------

// Versions of this program that wrote data files before a commit was decided left their name in
// what was pending meanwhile.
static enum mor_status is_of_older(struct hudi_table *table, const struct hudi_instant *instant,
                                   bool *ret_older, struct mor_error *err)
{
    *ret_older = false;
    if (!instant->inflight || instant->pending != HUDI_ACTION_DELTACOMMIT)
        return MOR_OK;
    MOR_AUTO_FREE char *key =
        hudi_instant_key(table->layout, instant->time, instant->pending, HUDI_INFLIGHT, "");
    HUDI_AUTO_JSON *json = NULL;
    enum mor_status status = hudi_metadata_read(table->table.store, key, &json, err);
    if (status == MOR_NOT_FOUND)
        *err = MOR_ERROR_INIT; // taken back since it was listed
    else if (status != MOR_OK)
        return status;
    *ret_older = hudi_json_text(json_object_get(json, "extraMetadata"), HUDI_INSTANCE_KEY) != NULL;
    return MOR_OK;
}

// CONFLICT, with the words of a RETRY, when another writer's commit is pending.
static enum mor_status check_pending(struct hudi_table *table, struct mor_map *failed,
                                     struct mor_error *err)
{
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        if (instant->completed != HUDI_ACTION_NONE)
            continue;
        switch (instant->pending) {
        case HUDI_ACTION_DELTACOMMIT:
        case HUDI_ACTION_COMMIT:
        case HUDI_ACTION_REPLACECOMMIT:
        case HUDI_ACTION_CLUSTERING:
        case HUDI_ACTION_RESTORE:
            break;
        default:
            continue; // plans and housekeeping: no rows of theirs can become visible by our commit
        }
        bool older = false;
        if (failed)
            MOR_TRY(is_of_older(table, instant, &older, err));
        if (!older)
            return mor_error_set(
                err, MOR_CONFLICT,
                "instant %s (%s) of another writer is pending; writing goes on when it is "
                "completed, or rolled back with that writer's own tool",
                instant->time, hudi_action_name(instant->pending));
        mor_map_put_text(failed, instant->time, NULL);
    }
    return MOR_OK;
}

enum mor_status hudi_base_finish(struct hudi_table *table, struct mor_error *err)
{
    struct hudi_slot head = {0};
    if (!table->lock)
        return MOR_OK;
    MOR_TRY(hudi_chain_head(table->table.store, &head, err));
    enum mor_status status = hudi_chain_help(table->table.store, &head, err);
    hudi_slot_done(&head);
    return status;
}

static enum mor_status finish_head(struct hudi_table *table, struct mor_error *err)
{
    struct hudi_slot head = {0};
    MOR_TRY(hudi_chain_head(table->table.store, &head, err));
    hudi_slot_done(&table->head);
    table->head = head;
    return hudi_chain_help(table->table.store, &table->head, err);
}

static void note_times(struct hudi_table *table)
{
    MOR_LOCKED(&table->mutex);
    const char *const times[] = {table->timeline.last, table->head.instant, table->head.completion};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(times[i], table->last_time) > 0)
            memcpy(table->last_time, times[i], sizeof table->last_time);
    }
}

enum mor_status hudi_base_settle(struct hudi_table *table, struct mor_map *failed,
                                 struct mor_error *err)
{
    enum mor_status status = MOR_CONFLICT;
    uint64_t looked = UINT64_MAX;
    MOR_TRY(finish_head(table, err));
    // what is pending may be of the next slot, on its way to its places just now
    for (int i = 0; i < SETTLE_ROUNDS && status == MOR_CONFLICT && looked != table->head.number;
         i++) {
        looked = table->head.number;
        MOR_TRY(hudi_timeline_load(&table->timeline, table->table.store, table->layout, err));
        status = check_pending(table, failed, err);
        if (status == MOR_CONFLICT) {
            struct mor_error words = *err;
            MOR_TRY(finish_head(table, err));
            *err = words;
        }
    }
    if (status == MOR_CONFLICT)
        err->status = status = MOR_RETRY;
    if (status != MOR_OK)
        return status;
    *err = MOR_ERROR_INIT;
    note_times(table);
    return MOR_OK;
}

// ---- was the table taken back? ------------------------------------------------------------------

const char *hudi_base_version(const struct hudi_timeline *timeline)
{
    for (size_t i = timeline->count; i-- > 0;) {
        if (hudi_action_writes(timeline->instants[i].completed))
            return timeline->instants[i].time;
    }
    return "";
}

// Commits that were taken back, told by the markers of FOLLOW slots: "<when>_<back to>".
static bool covers(const char *marker, const char *version)
{
    const char *name = strrchr(marker, '/') + 1, *back_to = strchr(name, '_');
    return back_to && strncmp(version, name, (size_t)(back_to - name)) < 0 &&
           strcmp(version, back_to + 1) > 0;
}

enum mor_status hudi_base_was_taken_back(struct mor_store *store, const char *version,
                                         bool *ret_taken, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *markers = NULL;
    size_t count = 0;
    enum mor_status status =
        mor_store_list_names(store, FOLLOWED_PREFIX, &arena, &markers, &count, err);
    bool taken = false;
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        taken |= covers(markers[i].key, version);
    mor_arena_done(&arena);
    if (status == MOR_OK)
        *ret_taken = taken;
    return status;
}

// A slot that says where the table stands now: whoever planned on the head before is in conflict,
// and what was attached to commits that are gone goes.
static enum mor_status put_follow(struct hudi_table *table, struct mor_error *err)
{
    struct mor_uuid id = mor_uuid_v7();
    struct hudi_change change;
    hudi_change_init(&change, table, HUDI_SLOT_FOLLOW, &id, HUDI_ACTION_NONE, table->timeline.last);
    const char *version = hudi_base_version(&table->timeline);
    memcpy(change.slot.version, version, strlen(version) + 1);
    MOR_AUTO_FREE char *marker =
        mor_asprintf(FOLLOWED_PREFIX "/%s_%s", change.slot.instant, version);
    enum mor_status status = hudi_attachments_gone(&change, version, table->head.version, err);
    if (status == MOR_OK)
        status = hudi_change_put(&change, marker, "", 0, err);
    if (status == MOR_OK)
        status =
            hudi_change_decide(&change, &table->head, table->timeline.last, NULL, NULL, NULL, err);
    hudi_change_done(&change);
    return status;
}

static bool head_is_gone(const struct hudi_table *table)
{
    const char *version = table->head.version;
    return *version && !hudi_timeline_is_committed(&table->timeline, version);
}

static void see(struct hudi_table *table)
{
    const char *version = hudi_base_version(&table->timeline);
    memcpy(table->seen, version, strlen(version) + 1);
}

enum mor_status hudi_base_follow(struct hudi_table *table, struct mor_error *err)
{
    if (head_is_gone(table)) {
        enum mor_status status = put_follow(table, err);
        if (status != MOR_OK && status != MOR_CONFLICT)
            return status;
        *err = MOR_ERROR_INIT; // another instance found out first
        MOR_TRY(finish_head(table, err));
        if (head_is_gone(table))
            return mor_error_set(err, MOR_RETRY, "commit %s was taken back just now",
                                 table->head.version);
    }
    // an old commit may also be missing because it was archived; the newest never is
    bool back = strcmp(table->seen, hudi_base_version(&table->timeline)) > 0;
    if (*table->seen && !back)
        MOR_TRY(hudi_base_was_taken_back(table->table.store, table->seen, &back, err));
    table->went_back |= back;
    see(table);
    return MOR_OK;
}

// ---- file groups --------------------------------------------------------------------------------

static void groups_fit(struct hudi_table *table)
{
    table->groups_digest = hudi_timeline_digest(&table->timeline);
    table->groups_slot = table->head.number;
    memcpy(table->groups_batch, table->head.batch, sizeof table->groups_batch);
}

// Takes in what other instances committed, when that is all that happened since. False: the files
// must be listed again.
static bool apply_chain(struct hudi_table *table)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    uint64_t digest = table->groups_digest;
    char previous[MOR_UUID_TEXT_SIZE];
    memcpy(previous, table->groups_batch, sizeof previous);
    bool good = digest != 0 && table->head.number > table->groups_slot;
    for (int pass = 0; pass < 2 && good; pass++) {
        // first whether all fits, so that nothing is taken in by halves
        for (uint64_t n = table->groups_slot + 1; n <= table->head.number && good; n++) {
            struct hudi_slot slot = {0};
            good = hudi_chain_read(table->table.store, n, &slot, &ignored) == MOR_OK;
            if (!good)
                break;
            if (pass == 0) {
                good = slot.kind == HUDI_SLOT_COMMIT && strcmp(slot.previous, previous) == 0;
                memcpy(previous, slot.batch, sizeof previous);
                digest = hudi_timeline_digest_add(digest, slot.instant, slot.completed);
            } else {
                good = hudi_groups_apply(table, &slot);
            }
            hudi_slot_done(&slot);
        }
        good &= digest == hudi_timeline_digest(&table->timeline);
    }
    return good;
}

static enum mor_status update_groups(struct hudi_table *table, struct mor_error *err)
{
    if (table->groups_digest != hudi_timeline_digest(&table->timeline) && !apply_chain(table))
        MOR_TRY(hudi_groups_load(table, err));
    MOR_TRY(hudi_mend(table, err));
    groups_fit(table);
    return MOR_OK;
}

enum mor_status hudi_base_load(struct hudi_table *table, struct mor_error *err)
{
    MOR_TRY(hudi_base_settle(table, NULL, err));
    MOR_TRY(hudi_base_follow(table, err));
    return update_groups(table, err);
}

void hudi_base_advance(struct hudi_table *table, struct hudi_slot *take_slot)
{
    bool alone = table->groups_digest == hudi_timeline_digest(&table->timeline);
    hudi_slot_done(&table->head);
    table->head = *take_slot;
    *take_slot = (struct hudi_slot){0};
    hudi_timeline_complete(&table->timeline, table->head.instant, table->head.completed,
                           table->head.completion);
    if (hudi_groups_apply(table, &table->head) && alone)
        groups_fit(table);
    else
        table->groups_digest = 0;
    see(table);
}

// ---- is it in? ----------------------------------------------------------------------------------

enum mor_status hudi_has_batch(struct mor_table *head, const struct mor_uuid *batch_id,
                               bool *ret_has, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    struct mor_store *store = head->store;
    char batch[MOR_UUID_TEXT_SIZE], previous[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(batch_id, batch);
    memcpy(previous, table->head.batch, sizeof previous);
    bool found = strcmp(previous, batch) == 0;
    struct hudi_slot now = {0};
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_chain_head(store, &now, err));
    enum mor_status status = hudi_chain_help(store, &now, err);
    for (uint64_t n = table->head.number + 1; n <= now.number && status == MOR_OK; n++) {
        struct hudi_slot slot = {0};
        status = hudi_chain_read(store, n, &slot, err);
        if (status == MOR_OK && strcmp(slot.previous, previous) != 0)
            status = MOR_NOT_FOUND; // not of the chain: what was here is cleaned away
        memcpy(previous, slot.batch, sizeof previous);
        found |= strcmp(slot.batch, batch) == 0;
        hudi_slot_done(&slot);
    }
    hudi_slot_done(&now);
    if (status == MOR_NOT_FOUND)
        return mor_error_set(err, MOR_FATAL,
                             "this instance was stopped for so long that it cannot be told whether "
                             "batch %s was committed; it must be started again",
                             batch);
    if (status == MOR_OK)
        *ret_has = found;
    return status;
}
