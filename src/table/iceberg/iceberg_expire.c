#include "iceberg/iceberg_expire.h"

#include <stdio.h>
#include <string.h>

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "moraine/base/uuid.h"

#define ATTEMPTS_MAX   20
#define NOTE_BYTES_MAX ((size_t)64 << 20)

// ---- which snapshots ----------------------------------------------------------------------------

static void keep(struct mor_map *kept, int64_t snapshot_id)
{
    mor_map_put(kept, &snapshot_id, sizeof snapshot_id, NULL);
}

// What branches and tags of others name, and what those branches came from.
static void keep_refs(const struct iceberg_metadata *metadata, struct mor_arena *arena,
                      struct mor_map *kept)
{
    const char *name;
    json_t *ref;
    json_object_foreach(json_object_get(metadata->document, "refs"), name, ref)
    {
        int64_t id = iceberg_json_int(ref, "snapshot-id", -1);
        const char *type = iceberg_json_text(ref, "type");
        keep(kept, id);
        if (strcmp(name, "main") == 0 || (type && strcmp(type, "tag") == 0))
            continue;
        struct iceberg_snapshot *line = NULL;
        size_t count = 0;
        bool whole;
        iceberg_ancestors(metadata, id, arena, &line, &count, &whole);
        for (size_t i = 0; i < count; i++)
            keep(kept, line[i].snapshot_id);
    }
}

// The newest ones, and those that a reader who began as long ago as the retention says may read:
// such a reader took the snapshot that was the newest then. Returns the oldest kept one.
static int64_t keep_line(const struct iceberg_expiring *expiring, struct mor_map *kept,
                         struct mor_map *line_ids)
{
    struct iceberg_snapshot *line = NULL;
    size_t count = 0;
    bool whole;
    const struct mor_retention *retention = expiring->retention;
    int64_t before = expiring->now_ms - retention->age_ms, oldest = -1;
    iceberg_ancestors(expiring->metadata, -1, expiring->arena, &line, &count, &whole);
    for (size_t i = 0; i < count; i++)
        keep(line_ids, line[i].snapshot_id);
    for (size_t i = 0; i < count; i++) {
        bool young = i == 0 || (line[i - 1].timestamp_ms > before && i < ICEBERG_SNAPSHOTS_MAX);
        if (!young && (int64_t)i >= retention->min_snapshots)
            break;
        keep(kept, line[i].snapshot_id);
        oldest = line[i].snapshot_id;
    }
    return oldest;
}

// Snapshots that nothing names and that are old enough: expired ones, and those that were taken
// back.
static size_t choose(const struct iceberg_expiring *expiring, int64_t *ids, int64_t *ret_oldest)
{
    const struct iceberg_metadata *metadata = expiring->metadata;
    struct mor_map kept = {0}, line = {0};
    size_t count = 0;
    *ret_oldest = keep_line(expiring, &kept, &line);
    keep_refs(metadata, expiring->arena, &kept);
    for (size_t i = 0; i < iceberg_metadata_snapshot_count(metadata); i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        int64_t id = snapshot.snapshot_id;
        bool in_line = mor_map_find(&line, &id, sizeof id) != NULL;
        bool old = snapshot.timestamp_ms < expiring->now_ms - expiring->retention->age_ms;
        if (!mor_map_find(&kept, &id, sizeof id) && (in_line || old))
            ids[count++] = id;
    }
    mor_map_done(&line);
    mor_map_done(&kept);
    return count;
}

// ---- leaving the metadata -----------------------------------------------------------------------

// Notes whose files have to go later. Whatever happens to the commit, snapshots that are still in
// the metadata when the note is read keep their files.
static enum mor_status put_note(const struct iceberg_expiring *expiring, const int64_t *ids,
                                size_t count, struct mor_error *err)
{
    ICEBERG_AUTO_JSON *note = json_object();
    json_t *lists = json_array();
    json_object_set_new(note, "manifest-lists", lists);
    for (size_t i = 0; i < count; i++) {
        struct iceberg_snapshot snapshot;
        if (iceberg_metadata_snapshot(expiring->metadata, ids[i], &snapshot))
            json_array_append_new(lists, json_string(snapshot.manifest_list));
    }
    MOR_AUTO_BUFFER text = {0};
    iceberg_json_format(note, &text);
    struct mor_uuid uuid = mor_uuid_v4();
    char name[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&uuid, name);
    MOR_AUTO_FREE char *key =
        mor_asprintf(ICEBERG_EXPIRED_PREFIX "/%020lld_%s.json", (long long)expiring->now_ms, name);
    return mor_store_put_new(expiring->table->table.store, key, text.data, text.size_bytes, err);
}

static enum mor_status remove_snapshots(struct iceberg_expiring *expiring, const int64_t *ids,
                                        size_t count, struct mor_error *err)
{
    struct iceberg_table *table = expiring->table;
    struct iceberg_metadata *changed = NULL;
    ICEBERG_AUTO_CHANGE change;
    iceberg_change_init(&change);
    iceberg_change_require_uuid(&change, expiring->metadata->uuid);
    iceberg_change_require_main(&change, expiring->metadata->current_snapshot_id);
    iceberg_change_remove_snapshots(&change, ids, count);
    MOR_TRY(put_note(expiring, ids, count, err));
    MOR_TRY(mor_fault("iceberg.expire_noted", err));
    enum mor_status status;
    {
        MOR_LOCKED(&table->catalog_mutex);
        status = iceberg_catalog_commit(table->catalog, expiring->metadata, &change, &changed, err);
    }
    if (status == MOR_UNKNOWN)
        err->status = status = MOR_CONFLICT; // a look tells
    MOR_TRY(status);
    iceberg_metadata_unref(expiring->metadata);
    expiring->metadata = changed;
    iceberg_remember(table, changed);
    return MOR_OK;
}

static void name_versions(const struct iceberg_expiring *expiring, const int64_t *ids, size_t count,
                          int64_t oldest, struct mor_expiry *expiry)
{
    char text[ICEBERG_VERSION_SIZE];
    expiry->versions = mor_arena_alloc(expiring->arena, (count + 1) * sizeof *expiry->versions);
    expiry->version_count = count;
    for (size_t i = 0; i < count; i++) {
        iceberg_version_format(ids[i], text);
        expiry->versions[i] = mor_arena_strdup(expiring->arena, text);
    }
    iceberg_version_format(oldest, text);
    expiry->oldest_version = mor_arena_strdup(expiring->arena, text);
}

// Loads the table and takes out what is due, as often as somebody else comes first.
static enum mor_status shorten(struct iceberg_expiring *expiring, bool dry_run,
                               struct mor_expiry *expiry, struct mor_error *err)
{
    enum mor_status status = MOR_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        *err = MOR_ERROR_INIT;
        iceberg_metadata_unref(expiring->metadata);
        expiring->metadata = NULL;
        MOR_TRY(iceberg_load(expiring->table, &expiring->metadata, err));
        int64_t oldest,
            *ids = mor_arena_alloc(expiring->arena,
                                   (iceberg_metadata_snapshot_count(expiring->metadata) + 1) *
                                       sizeof *ids);
        size_t count = choose(expiring, ids, &oldest);
        name_versions(expiring, ids, count, oldest, expiry);
        status = count > 0 && !dry_run ? remove_snapshots(expiring, ids, count, err) : MOR_OK;
    }
    if (status == MOR_CONFLICT)
        err->status = status = MOR_RETRY;
    return status;
}

// ---- files --------------------------------------------------------------------------------------

static void add_file(struct iceberg_expiring *expiring, const char *key, int64_t size_bytes)
{
    if (expiring->file_count == expiring->file_capacity) {
        size_t capacity = expiring->file_capacity ? expiring->file_capacity * 2 : 64;
        struct mor_expired_file *more = mor_arena_alloc(expiring->arena, capacity * sizeof *more);
        if (expiring->file_count > 0)
            memcpy(more, expiring->files, expiring->file_count * sizeof *more);
        expiring->files = more;
        expiring->file_capacity = capacity;
    }
    expiring->files[expiring->file_count++] =
        (struct mor_expired_file){mor_arena_strdup(expiring->arena, key), size_bytes};
}

// Adds what a note's snapshots had to the set, those left out that the metadata still has.
static enum mor_status reach_note(const struct iceberg_expiring *expiring, const char *key,
                                  struct mor_map *seen, struct mor_map *set, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    ICEBERG_AUTO_JSON *note = NULL;
    enum mor_status status =
        mor_store_get(expiring->table->table.store, key, NOTE_BYTES_MAX, &bytes, err);
    if (status == MOR_NOT_FOUND) { // another instance was here
        *err = MOR_ERROR_INIT;
        return MOR_OK;
    }
    MOR_TRY(status);
    MOR_TRY(iceberg_json_parse(bytes.data, bytes.size_bytes, key, &note, err));
    size_t i;
    json_t *list;
    json_array_foreach(json_object_get(note, "manifest-lists"), i, list)
    {
        if (json_is_string(list))
            MOR_TRY(iceberg_reach(expiring->table, expiring->metadata, json_string_value(list),
                                  true, seen, set, err));
    }
    return MOR_OK;
}

static int64_t time_of_note(const char *key)
{
    return strtoll(key + strlen(ICEBERG_EXPIRED_PREFIX "/"), NULL, 10);
}

// Notes that readers have had time for go; what the younger ones name stays.
static enum mor_status read_notes(struct iceberg_expiring *expiring, struct mor_error *err)
{
    struct mor_object_info *notes = NULL;
    size_t count = 0, due = 0;
    struct mor_map seen_kept = {0}, seen_found = {0};
    MOR_TRY(mor_store_list_names(expiring->table->table.store, ICEBERG_EXPIRED_PREFIX,
                                 expiring->arena, &notes, &count, err));
    for (size_t i = 0; i < count; i++)
        due += time_of_note(notes[i].key) <= expiring->now_ms - expiring->grace_ms;
    expiring->notes = mor_arena_alloc(expiring->arena, (count + 1) * sizeof *expiring->notes);
    enum mor_status status = MOR_OK;
    if (due > 0 || expiring->retention->orphan_age_ms > 0) {
        status = iceberg_reach_all(expiring->table, expiring->metadata, &seen_kept, &expiring->kept,
                                   err);
        expiring->kept_is_whole = true;
    }
    for (size_t i = 0; i < count && status == MOR_OK && expiring->kept_is_whole; i++) {
        bool is_due = time_of_note(notes[i].key) <= expiring->now_ms - expiring->grace_ms;
        status = is_due ? reach_note(expiring, notes[i].key, &seen_found, &expiring->found, err)
                        : reach_note(expiring, notes[i].key, &seen_kept, &expiring->kept, err);
        if (is_due)
            expiring->notes[expiring->note_count++] = notes[i].key;
    }
    mor_map_done(&seen_kept);
    mor_map_done(&seen_found);
    return status;
}

static enum mor_status collect_found(struct iceberg_expiring *expiring, struct mor_error *err)
{
    for (size_t i = 0; i < expiring->found.count; i++) {
        const char *key = expiring->found.entries[i].key;
        struct mor_object_info info;
        if (mor_map_find_text(&expiring->kept, key))
            continue;
        enum mor_status status = mor_store_info(expiring->table->table.store, key, &info, err);
        if (status == MOR_NOT_FOUND) {
            *err = MOR_ERROR_INIT;
            continue;
        }
        MOR_TRY(status);
        add_file(expiring, key, info.size_bytes);
    }
    return MOR_OK;
}

// The file-system catalog's own files, which no metadata name: the newest version may be younger
// than what was read.
static bool is_catalog_file(const char *key)
{
    const char *name = strncmp(key, "metadata/", 9) == 0 ? key + 9 : "";
    return strcmp(name, "version-hint.text") == 0 ||
           (*name == 'v' && strstr(name, "metadata.json"));
}

// Files that nothing names and nobody is about to: left by attempts that failed or were killed.
static enum mor_status collect_orphans(struct iceberg_expiring *expiring, struct mor_error *err)
{
    static const char *const prefixes[] = {"data", "metadata", ICEBERG_STAGED_PREFIX};
    int64_t before = expiring->now_ms - expiring->retention->orphan_age_ms;
    if (!expiring->kept_is_whole)
        return MOR_OK;
    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
        struct mor_object_info *objects = NULL;
        size_t count = 0;
        MOR_TRY(mor_store_list(expiring->table->table.store, prefixes[p], true, expiring->arena,
                               &objects, &count, err));
        for (size_t i = 0; i < count; i++) {
            const char *key = objects[i].key;
            if (objects[i].modified_ms < before && !is_catalog_file(key) &&
                !mor_map_find_text(&expiring->kept, key) &&
                !mor_map_find_text(&expiring->found, key))
                add_file(expiring, key, objects[i].size_bytes);
        }
    }
    return MOR_OK;
}

static enum mor_status delete_files(struct iceberg_expiring *expiring, struct mor_error *err)
{
    struct mor_store *store = expiring->table->table.store;
    MOR_TRY(mor_fault("iceberg.expire_delete", err));
    for (size_t i = 0; i < expiring->file_count; i++) {
        MOR_TRY(mor_store_delete(store, expiring->files[i].key, false, err));
        MOR_TRY(mor_fault("iceberg.expire_deleted", err));
    }
    for (size_t i = 0; i < expiring->note_count; i++)
        MOR_TRY(mor_store_delete(store, expiring->notes[i], false, err));
    return mor_store_sync(store, err);
}

// ---- expire -------------------------------------------------------------------------------------

static enum mor_status run(struct iceberg_expiring *expiring, bool dry_run,
                           struct mor_expiry *expiry, struct mor_error *err)
{
    struct iceberg_table *table = expiring->table;
    struct mor_turn *turn = &table->turn;
    if (!dry_run)
        mor_turn_take(turn, table->table.store, ICEBERG_TURN_KEY, table->instance,
                      table->turn_wait_ms);
    enum mor_status status = shorten(expiring, dry_run, expiry, err);
    if (!dry_run)
        mor_turn_release(turn);
    MOR_TRY(status);
    MOR_TRY(read_notes(expiring, err));
    MOR_TRY(collect_found(expiring, err));
    MOR_TRY(collect_orphans(expiring, err));
    if (!dry_run)
        MOR_TRY(delete_files(expiring, err));
    expiry->files = expiring->files;
    expiry->file_count = expiring->file_count;
    for (size_t i = 0; i < expiring->file_count; i++)
        expiry->bytes += expiring->files[i].size_bytes;
    return MOR_OK;
}

enum mor_status iceberg_expire(struct mor_table *head, const struct mor_retention *retention,
                               bool dry_run, struct mor_arena *arena, struct mor_expiry *ret_expiry,
                               struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(iceberg_load(table, &metadata, err));
    const char *gc = iceberg_metadata_property(metadata, "gc.enabled");
    if (gc && strcmp(gc, "false") == 0)
        return mor_error_set(err, MOR_FATAL, "the table must not lose files (gc.enabled is false)");
    struct iceberg_expiring expiring = {
        .table = table,
        .retention = retention,
        .arena = arena,
        .now_ms = mor_clock_wall_ms(),
        .grace_ms = retention->age_ms < ICEBERG_GRACE_MS ? retention->age_ms : ICEBERG_GRACE_MS,
    };
    *ret_expiry = (struct mor_expiry){.oldest_version = ""};
    enum mor_status status = run(&expiring, dry_run, ret_expiry, err);
    iceberg_metadata_unref(expiring.metadata);
    mor_map_done(&expiring.kept);
    mor_map_done(&expiring.found);
    return status;
}
