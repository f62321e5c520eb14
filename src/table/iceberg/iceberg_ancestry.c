// The line of snapshots that the newest one descends from: what commits of this program said, which
// of them are in the table, and whether somebody took some back.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_table.h"
#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

enum mor_status iceberg_version_parse(const char *version, int64_t *ret_snapshot_id,
                                      struct mor_error *err)
{
    char *end = NULL;
    size_t digits = strspn(version, "0123456789");
    if (digits > 0 && digits < 20 && version[digits] == '\0') {
        *ret_snapshot_id = strtoll(version, &end, 10);
        if (*ret_snapshot_id >= 0 && *ret_snapshot_id < INT64_MAX)
            return MOR_OK;
    }
    return mor_error_set(err, MOR_NOT_FOUND, "'%s' is no snapshot id", version);
}

void iceberg_ancestors(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                       struct mor_arena *arena, struct iceberg_snapshot **ret_snapshots,
                       size_t *ret_count, bool *ret_whole)
{
    size_t limit = iceberg_metadata_snapshot_count(metadata), count = 0;
    struct iceberg_snapshot *found = mor_arena_alloc(arena, (limit + 1) * sizeof *found);
    if (snapshot_id < 0)
        snapshot_id = metadata->current_snapshot_id;
    // the limit also ends a line that somebody tied into a circle
    while (snapshot_id >= 0 && count < limit &&
           iceberg_metadata_snapshot(metadata, snapshot_id, &found[count]))
        snapshot_id = found[count++].parent_id;
    *ret_snapshots = found;
    *ret_count = count;
    *ret_whole = snapshot_id < 0;
}

bool iceberg_is_ancestor(const struct iceberg_metadata *metadata, int64_t of, int64_t snapshot_id)
{
    struct iceberg_snapshot snapshot;
    size_t limit = iceberg_metadata_snapshot_count(metadata);
    while (of != snapshot_id && limit-- > 0 && iceberg_metadata_snapshot(metadata, of, &snapshot))
        of = snapshot.parent_id;
    return of == snapshot_id;
}

bool iceberg_was_taken_back(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                            int64_t sequence_number)
{
    struct iceberg_snapshot snapshot;
    int64_t head = metadata->current_snapshot_id;
    if (iceberg_is_ancestor(metadata, head, snapshot_id))
        return false;
    if (iceberg_metadata_snapshot(metadata, snapshot_id, &snapshot))
        return true; // it is there, and does not count
    // expired, unless the newest one is older
    return !iceberg_metadata_snapshot(metadata, head, &snapshot) ||
           snapshot.sequence_number < sequence_number;
}

bool iceberg_is_own(const struct iceberg_snapshot *snapshot)
{
    return iceberg_snapshot_property(snapshot, ICEBERG_INSTANCE_KEY) != NULL;
}

// ---- properties ---------------------------------------------------------------------------------

// Members that tell of one snapshot alone.
static bool is_of_one(const char *name)
{
    static const char *const names[] = {ICEBERG_BATCH_KEY, ICEBERG_INSTANCE_KEY,
                                        ICEBERG_ATTACHED_KEY};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_own_name(const char *name)
{
    size_t length = strlen(ICEBERG_OWN_PREFIX);
    return strncmp(name, ICEBERG_OWN_PREFIX, length) == 0 &&
           (name[length] == '\0' || name[length] == '.');
}

json_t *iceberg_base_properties(const struct iceberg_metadata *metadata)
{
    json_t *properties = json_object();
    struct iceberg_snapshot snapshot = {.parent_id = metadata->current_snapshot_id};
    size_t limit = iceberg_metadata_snapshot_count(metadata);
    const char *name;
    json_t *value;
    do {
        if (snapshot.parent_id < 0)
            return properties; // nothing of ours was ever committed on this line
        if (limit-- == 0 || !iceberg_metadata_snapshot(metadata, snapshot.parent_id, &snapshot)) {
            const char *kept = iceberg_metadata_property(metadata, ICEBERG_LEDGER_KEY);
            if (kept)
                json_object_set_new(properties, ICEBERG_LEDGER_KEY, json_string(kept));
            return properties;
        }
    } while (!iceberg_is_own(&snapshot));
    json_object_foreach((json_t *)(uintptr_t)snapshot.summary, name, value)
    {
        if (is_own_name(name) && json_is_string(value))
            json_object_set(properties, name, value);
    }
    return properties;
}

json_t *iceberg_carried_properties(const json_t *base)
{
    json_t *carried = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)base, name, value)
    {
        if (is_of_one(name))
            continue;
        MOR_AUTO_FREE char *text = mor_property_carried(json_string_value(value));
        json_object_set_new(carried, name, json_string(text));
    }
    return carried;
}

void iceberg_property_name(const char *key, char *ret_name, size_t capacity)
{
    snprintf(ret_name, capacity, "%s%s", is_own_name(key) ? "" : ICEBERG_OWN_PREFIX ".", key);
}

enum mor_status iceberg_property(struct mor_table *head, const char *key, bool refresh,
                                 struct mor_arena *arena, char **ret_value, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    if (refresh)
        MOR_TRY(iceberg_load(table, &metadata, err));
    else
        metadata = iceberg_known(table);
    char name[128];
    iceberg_property_name(key, name, sizeof name);
    ICEBERG_AUTO_JSON *properties = iceberg_base_properties(metadata);
    const char *value = iceberg_json_text(properties, name);
    if (!value)
        return mor_error_set(err, MOR_NOT_FOUND, "no commit of table '%s' carries '%s'", head->name,
                             key);
    *ret_value = mor_arena_strdup(arena, value);
    return MOR_OK;
}

// ---- batches ------------------------------------------------------------------------------------

// Looks at the snapshots since the last begin.
static bool find_batch(const struct iceberg_table *table, const struct iceberg_metadata *metadata,
                       const char *batch)
{
    struct iceberg_snapshot snapshot = {.parent_id = metadata->current_snapshot_id};
    size_t limit = iceberg_metadata_snapshot_count(metadata);
    while (limit-- > 0 && snapshot.parent_id != table->begin_snapshot_id &&
           iceberg_metadata_snapshot(metadata, snapshot.parent_id, &snapshot)) {
        const char *text = iceberg_snapshot_property(&snapshot, ICEBERG_BATCH_KEY);
        if (text && strcmp(text, batch) == 0)
            return true;
    }
    return false;
}

void iceberg_pending_done(struct iceberg_table *table)
{
    if (!table->pending.base)
        return;
    iceberg_metadata_unref(table->pending.base);
    iceberg_change_done(&table->pending.change);
    table->pending = (struct iceberg_pending){0};
}

// Sends a commit again whose outcome is not known: a slow catalog might apply the first one any
// time, as long as nothing else came after its base.
static enum mor_status send_again(struct iceberg_table *table, struct mor_error *err)
{
    struct iceberg_metadata *metadata = NULL;
    struct iceberg_pending *pending = &table->pending;
    enum mor_status status;
    {
        MOR_LOCKED(&table->catalog_mutex);
        status =
            iceberg_catalog_commit(table->catalog, pending->base, &pending->change, &metadata, err);
    }
    if (status == MOR_OK) {
        iceberg_remember(table, metadata);
        iceberg_metadata_unref(metadata);
    }
    if (status == MOR_UNKNOWN)
        err->status = status = MOR_RETRY;
    return status;
}

enum mor_status iceberg_has_batch(struct mor_table *head, const struct mor_uuid *batch_id,
                                  bool *ret_has, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    char batch[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(batch_id, batch);
    for (int i = 0; i < 2; i++) {
        ICEBERG_AUTO_METADATA *metadata = NULL;
        MOR_TRY(iceberg_load(table, &metadata, err));
        *ret_has = find_batch(table, metadata, batch);
        struct iceberg_pending *pending = &table->pending;
        bool open = pending->base && memcmp(&pending->batch_id, batch_id, sizeof *batch_id) == 0 &&
                    metadata->current_snapshot_id == pending->base->current_snapshot_id;
        if (*ret_has || !open || i == 1) {
            iceberg_pending_done(table);
            return MOR_OK;
        }
        enum mor_status status = send_again(table, err);
        if (status != MOR_OK && status != MOR_CONFLICT)
            return status;
        *err = MOR_ERROR_INIT; // decided: the next look tells how
    }
    return MOR_OK;
}

// ---- time travel --------------------------------------------------------------------------------

static void version_when(const json_t *log, int64_t time_ms, int64_t *ret_found,
                         int64_t *ret_oldest_ms)
{
    size_t i;
    json_t *entry;
    *ret_found = -1;
    *ret_oldest_ms = INT64_MAX;
    json_array_foreach(log, i, entry)
    {
        int64_t when = iceberg_json_int(entry, "timestamp-ms", INT64_MAX);
        if (when < *ret_oldest_ms)
            *ret_oldest_ms = when;
        if (when <= time_ms)
            *ret_found = iceberg_json_int(entry, "snapshot-id", -1);
    }
}

enum mor_status iceberg_version_at(struct mor_table *head, int64_t time_ms, char ret_version[64],
                                   struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(iceberg_load(table, &metadata, err));
    int64_t found, oldest_ms;
    version_when(json_object_get(metadata->document, "snapshot-log"), time_ms, &found, &oldest_ms);
    if (found < 0 && oldest_ms == INT64_MAX)
        return mor_error_set(err, MOR_NOT_FOUND, "the table has no commit");
    if (found < 0) {
        char text[40];
        mor_format_timestamp(oldest_ms * 1000, text, sizeof text);
        return mor_error_set(err, MOR_NOT_FOUND,
                             "the table does not remember what it was then; its oldest version is "
                             "of %s",
                             text);
    }
    struct iceberg_snapshot snapshot;
    if (!iceberg_metadata_snapshot(metadata, found, &snapshot))
        return mor_error_set(err, MOR_NOT_FOUND, "snapshot %lld of that time has expired",
                             (long long)found);
    snprintf(ret_version, 64, "%lld", (long long)found);
    return MOR_OK;
}
