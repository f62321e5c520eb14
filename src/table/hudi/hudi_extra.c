// Properties that commits carry in their extraMetadata.
#include <string.h>

#include "hudi/hudi_table.h"

#define CACHE_MAX 64

void hudi_extra_remember(struct hudi_table *table, const char *instant, json_t *extra)
{
    if (table->extra_cache.count >= CACHE_MAX) {
        for (size_t i = 0; i < table->extra_cache.count; i++)
            json_decref(table->extra_cache.entries[i].value.pointer);
        mor_map_done(&table->extra_cache);
        table->extra_cache = (struct mor_map){0};
    }
    struct mor_map_entry *entry = mor_map_put_text(&table->extra_cache, instant, NULL);
    json_decref(entry->value.pointer);
    entry->value.pointer = json_incref(extra);
}

enum mor_status hudi_extra_load(const struct hudi_table *table, const struct hudi_instant *instant,
                                json_t **ret_extra, struct mor_error *err)
{
    MOR_AUTO_FREE char *key = hudi_instant_completed_key(table->layout, instant);
    HUDI_AUTO_JSON *json = NULL;
    MOR_TRY(hudi_metadata_read(table->table.store, key, &json, err));
    json_t *extra = json_object_get(json, "extraMetadata");
    *ret_extra = json_is_object(extra) ? json_incref(extra) : json_object();
    return MOR_OK;
}

enum mor_status hudi_extra_read(struct hudi_table *table, const struct hudi_instant *instant,
                                const json_t **ret_extra, struct mor_error *err)
{
    const struct mor_map_entry *known = mor_map_find_text(&table->extra_cache, instant->time);
    if (!known) {
        HUDI_AUTO_JSON *object = NULL;
        MOR_TRY(hudi_extra_load(table, instant, &object, err));
        hudi_extra_remember(table, instant->time, object);
        known = mor_map_find_text(&table->extra_cache, instant->time);
    }
    *ret_extra = known->value.pointer;
    return MOR_OK;
}

static bool carries_extra(enum hudi_action action)
{
    return action == HUDI_ACTION_COMMIT || action == HUDI_ACTION_DELTACOMMIT ||
           action == HUDI_ACTION_REPLACECOMMIT;
}

enum mor_status hudi_extra_find(struct hudi_table *table, const char *key, const char **ret_value,
                                struct mor_error *err)
{
    for (size_t i = table->timeline.count; i-- > 0;) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        if (!carries_extra(instant->completed))
            continue;
        const json_t *extra = NULL;
        MOR_TRY(hudi_extra_read(table, instant, &extra, err));
        const char *value = hudi_json_text(extra, key);
        if (value) {
            *ret_value = value;
            return MOR_OK;
        }
    }
    *ret_value = NULL;
    return MOR_OK;
}

enum mor_status hudi_extra_base(struct hudi_table *table, json_t **ret_extra, struct mor_error *err)
{
    HUDI_AUTO_JSON *base = json_object();
    for (size_t i = table->timeline.count; i-- > 0;) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        const json_t *extra = NULL;
        if (!carries_extra(instant->completed))
            continue;
        MOR_TRY(hudi_extra_read(table, instant, &extra, err));
        json_object_update_missing(base, (json_t *)(uintptr_t)extra);
        // what this program writes carries everything on that came before
        if (hudi_json_text(extra, HUDI_INSTANCE_KEY))
            break;
    }
    const char *key;
    json_t *value;
    json_object_foreach(base, key, value)
    {
        MOR_AUTO_FREE char *carried =
            json_is_string(value) ? mor_property_carried(json_string_value(value)) : NULL;
        if (carried)
            json_object_set_new(base, key, json_string(carried));
    }
    *ret_extra = json_incref(base);
    return MOR_OK;
}

static enum mor_status copy_value(const char *key, const char *value, struct mor_arena *arena,
                                  char **ret_value, struct mor_error *err)
{
    if (!value)
        return mor_error_set(err, MOR_NOT_FOUND, "no commit carries the property '%s'", key);
    *ret_value = mor_arena_strdup(arena, value);
    return MOR_OK;
}

// From the table as it is now, with buffers of its own: any thread.
static enum mor_status find_now(struct hudi_table *table, const struct hudi_timeline *timeline,
                                const char *key, struct mor_arena *arena, char **ret_value,
                                struct mor_error *err)
{
    for (size_t i = timeline->count; i-- > 0;) {
        HUDI_AUTO_JSON *extra = NULL;
        if (!carries_extra(timeline->instants[i].completed))
            continue;
        MOR_TRY(hudi_extra_load(table, &timeline->instants[i], &extra, err));
        if (hudi_json_text(extra, key))
            return copy_value(key, hudi_json_text(extra, key), arena, ret_value, err);
    }
    return copy_value(key, NULL, arena, ret_value, err);
}

enum mor_status hudi_property(struct mor_table *head, const char *key, bool refresh,
                              struct mor_arena *arena, char **ret_value, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    if (!refresh) {
        const char *value = NULL;
        MOR_TRY(hudi_extra_find(table, key, &value, err));
        return copy_value(key, value, arena, ret_value, err);
    }
    // a table that was deleted must not look like one without commits
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_base_finish(table, err));
    struct hudi_timeline timeline = {0};
    enum mor_status status = hudi_timeline_load(&timeline, head->store, table->layout, err);
    if (status == MOR_OK)
        status = find_now(table, &timeline, key, arena, ret_value, err);
    hudi_timeline_done(&timeline);
    return status;
}
