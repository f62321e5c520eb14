// Instants leave the timeline, so that listing it stays cheap. Nothing is written elsewhere: no
// reader of snapshots needs an instant that no file names. An instant vanishes in two steps: first
// its requested and inflight files, then the completed one, so that it never looks pending.
#include "hudi/hudi_clean.h"

#include "moraine/base/fault.h"

#define CLEANS_KEPT 2 // Java's incremental cleaning starts from the last one

// The newest commit that carries the properties of this program, "" = there is none.
static enum mor_status find_carrier(struct hudi_table *table, char ret_instant[HUDI_TIME_SIZE],
                                    struct mor_error *err)
{
    *ret_instant = '\0';
    for (size_t i = table->timeline.count; i-- > 0;) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        const json_t *extra = NULL;
        if (!hudi_action_writes(instant->completed))
            continue;
        MOR_TRY(hudi_extra_read(table, instant, &extra, err));
        if (!hudi_json_text(extra, HUDI_INSTANCE_KEY))
            continue;
        memcpy(ret_instant, instant->time, HUDI_TIME_SIZE);
        break;
    }
    return MOR_OK;
}

static bool is_live(const struct hudi_expiring *expiring, const char *time)
{
    return mor_map_find_text(&expiring->live, time) ||
           (*expiring->live_since && strcmp(time, expiring->live_since) >= 0);
}

// Whether files of groups that the replacement took out are still there: without it they would
// count again.
static enum mor_status replaces_files(const struct hudi_expiring *expiring,
                                      const struct hudi_instant *instant, bool *ret_replaces,
                                      struct mor_error *err)
{
    const struct hudi_table *table = expiring->table;
    MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, instant);
    HUDI_AUTO_JSON *json = NULL;
    MOR_TRY(hudi_metadata_read(table->table.store, key, &json, err));
    const char *partition;
    json_t *ids, *id;
    *ret_replaces = false;
    json_object_foreach(json_object_get(json, "partitionToReplaceFileIds"), partition, ids)
    {
        size_t n;
        json_array_foreach(ids, n, id)
        {
            MOR_AUTO_BUFFER group = {0};
            mor_buffer_append(&group, partition, strlen(partition) + 1);
            mor_buffer_append_text(&group, json_is_string(id) ? json_string_value(id) : "");
            *ret_replaces |= mor_map_find(&expiring->groups, group.data, group.size_bytes) != NULL;
        }
    }
    return MOR_OK;
}

static enum mor_status may_go(const struct hudi_expiring *expiring,
                              const struct hudi_instant *instant, const char *carrier,
                              size_t *cleans_left, bool *ret_may, struct mor_error *err)
{
    const struct hudi_table *table = expiring->table;
    const char *time = instant->time;
    *ret_may = false;
    if (instant->completed == HUDI_ACTION_NONE || instant->completed == HUDI_ACTION_SAVEPOINT)
        return MOR_OK;
    if (instant->completed == HUDI_ACTION_CLEAN) {
        *ret_may = *cleans_left > CLEANS_KEPT;
        *cleans_left -= *ret_may;
        return MOR_OK;
    }
    if (strcmp(time, expiring->oldest) >= 0 || is_live(expiring, time) ||
        strcmp(time, carrier) == 0 || strcmp(time, table->head.version) == 0 ||
        strcmp(time, table->head.instant) == 0)
        return MOR_OK;
    bool replaces = false;
    if (instant->completed == HUDI_ACTION_REPLACECOMMIT)
        MOR_TRY(replaces_files(expiring, instant, &replaces, err));
    *ret_may = !replaces;
    return MOR_OK;
}

enum mor_status hudi_archive_plan(struct hudi_expiring *expiring, const char ***ret_instants,
                                  size_t *ret_count, struct mor_error *err)
{
    struct hudi_table *table = expiring->table;
    const struct hudi_timeline *timeline = &table->timeline;
    const char **instants =
        mor_arena_alloc(expiring->arena, (timeline->count + 1) * sizeof *instants);
    char carrier[HUDI_TIME_SIZE];
    size_t count = 0, cleans_left = 0;
    MOR_TRY(find_carrier(table, carrier, err));
    for (size_t i = 0; i < timeline->count; i++)
        cleans_left += timeline->instants[i].completed == HUDI_ACTION_CLEAN;
    for (size_t i = 0; i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        bool may = false;
        MOR_TRY(may_go(expiring, instant, carrier, &cleans_left, &may, err));
        if (may)
            instants[count++] = mor_arena_strdup(expiring->arena, instant->time);
    }
    *ret_instants = instants;
    *ret_count = count;
    return MOR_OK;
}

enum mor_status hudi_archive(struct hudi_expiring *expiring, const char *const *instants,
                             size_t count, struct mor_error *err)
{
    struct hudi_table *table = expiring->table;
    struct mor_store *store = table->table.store;
    enum mor_status marked = mor_store_put_new(store, HUDI_ARCHIVED_KEY, "", 0, err);
    if (marked != MOR_OK && marked != MOR_CONFLICT)
        return marked;
    *err = MOR_ERROR_INIT;
    for (size_t i = 0; i < count; i++) {
        const struct hudi_instant *instant = hudi_timeline_find(&table->timeline, instants[i]);
        if (!instant || instant->pending == HUDI_ACTION_NONE)
            continue;
        MOR_AUTO_FREE char *requested =
            hudi_instant_key(table->layout, instant->time, instant->pending, HUDI_REQUESTED, "");
        MOR_AUTO_FREE char *inflight =
            hudi_instant_key(table->layout, instant->time, instant->pending, HUDI_INFLIGHT, "");
        MOR_TRY(mor_store_delete(store, inflight, false, err));
        MOR_TRY(mor_store_delete(store, requested, false, err));
    }
    MOR_TRY(mor_store_sync(store, err));
    MOR_TRY(mor_fault("hudi.archive_pending", err));
    for (size_t i = 0; i < count; i++) {
        const struct hudi_instant *instant = hudi_timeline_find(&table->timeline, instants[i]);
        if (!instant)
            continue;
        MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, instant);
        MOR_TRY(mor_store_delete(store, key, false, err));
        MOR_TRY(mor_fault("hudi.archive_one", err));
    }
    return mor_store_sync(store, err);
}
