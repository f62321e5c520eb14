// Bytes that callers keep with their commits. Until the commit is in the table they are
// _moraine/staged/<sequence number>_<snapshot id>.<kind>, and then, by whoever looks next,
// _moraine/attached/<kind>/<sequence number>_<snapshot id>: there they outlive the snapshot.
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_write.h"
#include "moraine/base/fault.h"
#include "moraine/base/map.h"

#define KIND_LENGTH_MAX 32

static enum mor_status check_kind(const char *kind, struct mor_error *err)
{
    size_t length = strspn(kind, "abcdefghijklmnopqrstuvwxyz_");
    if (length == 0 || kind[length] != '\0' || length > KIND_LENGTH_MAX)
        return mor_error_set(err, MOR_FATAL, "'%s' is no kind of attachment", kind);
    return MOR_OK;
}

char *iceberg_staged_key(int64_t sequence_number, int64_t snapshot_id, const char *kind)
{
    return mor_asprintf(ICEBERG_STAGED_PREFIX "/%020lld_%lld.%s", (long long)sequence_number,
                        (long long)snapshot_id, kind);
}

enum mor_status iceberg_write_attach(struct mor_write *base, const char *kind, const void *bytes,
                                     size_t size_bytes, struct mor_error *err)
{
    struct iceberg_write *write = (struct iceberg_write *)base;
    MOR_TRY(check_kind(kind, err));
    for (size_t i = 0; i < write->attached_count; i++) {
        if (strcmp(write->attached[i].kind, kind) == 0)
            return mor_error_set(err, MOR_FATAL, "'%s' is attached already", kind);
    }
    char *key = iceberg_staged_key(write->state->metadata->last_sequence_number + 1,
                                   write->snapshot_id, kind);
    enum mor_status status =
        mor_store_put_new_deferred(base->table->store, key, bytes, size_bytes, err);
    if (status != MOR_OK) {
        free(key);
        return status;
    }
    write->attached =
        mor_realloc(write->attached, (write->attached_count + 1) * sizeof *write->attached);
    write->attached[write->attached_count++] = (struct iceberg_attached){
        .kind = mor_strdup(kind), .key = key, .size_bytes = (int64_t)size_bytes};
    return MOR_OK;
}

// ---- names --------------------------------------------------------------------------------------

struct name {
    int64_t sequence_number, snapshot_id;
    const char *rest; // after the id: ".kind", or ""
};

static bool parse_name(const char *key, struct name *ret_name)
{
    const char *slash = strrchr(key, '/'), *text = slash ? slash + 1 : key;
    char *end = NULL;
    if (strspn(text, "0123456789") != 20 || text[20] != '_')
        return false;
    ret_name->sequence_number = strtoll(text, NULL, 10);
    ret_name->snapshot_id = strtoll(text + 21, &end, 10);
    ret_name->rest = end;
    return end != text + 21;
}

// Whether the snapshot is in the table, and does not count.
static bool is_gone(const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    struct iceberg_snapshot snapshot;
    return iceberg_metadata_snapshot(metadata, snapshot_id, &snapshot) &&
           !iceberg_is_ancestor(metadata, metadata->current_snapshot_id, snapshot_id);
}

// Whether the snapshot is, or was until it expired, one that the newest descends from. Of those
// that expired only the newest of ours can still be staged, and the table names it.
static bool is_decided(const struct iceberg_metadata *metadata, int64_t snapshot_id)
{
    char id[ICEBERG_VERSION_SIZE];
    const char *newest = iceberg_metadata_property(metadata, ICEBERG_SNAPSHOT_KEY);
    iceberg_version_format(snapshot_id, id);
    return iceberg_is_ancestor(metadata, metadata->current_snapshot_id, snapshot_id) ||
           (newest && strcmp(newest, id) == 0 && !is_gone(metadata, snapshot_id));
}

// ---- their places -------------------------------------------------------------------------------

static enum mor_status settle_one(struct mor_store *store, const struct iceberg_metadata *metadata,
                                  const char *key, struct mor_error *err)
{
    struct name name;
    if (!parse_name(key, &name) || *name.rest != '.')
        return MOR_OK;
    if (is_gone(metadata, name.snapshot_id))
        return mor_store_delete(store, key, false, err);
    if (!is_decided(metadata, name.snapshot_id))
        return MOR_OK; // on its way, or of an attempt that failed
    MOR_AUTO_FREE char *place =
        mor_asprintf(ICEBERG_ATTACHED_PREFIX "/%s/%020lld_%lld", name.rest + 1,
                     (long long)name.sequence_number, (long long)name.snapshot_id);
    MOR_TRY(mor_fault("iceberg.attach", err));
    enum mor_status status = mor_store_move(store, key, place, err);
    if (status == MOR_NOT_FOUND || status == MOR_CONFLICT) {
        *err = MOR_ERROR_INIT; // somebody else was first
        status = MOR_OK;
    }
    return status;
}

enum mor_status iceberg_attached_settle(struct mor_store *store,
                                        const struct iceberg_metadata *metadata,
                                        struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status =
        mor_store_list_names(store, ICEBERG_STAGED_PREFIX, &arena, &objects, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        status = settle_one(store, metadata, objects[i].key, err);
    mor_arena_done(&arena);
    return status;
}

// Highest sequence number that something attached may have; INT64_MAX = not known.
static int64_t newest_own(const struct iceberg_metadata *metadata)
{
    struct iceberg_snapshot snapshot = {.parent_id = metadata->current_snapshot_id};
    size_t limit = iceberg_metadata_snapshot_count(metadata);
    while (snapshot.parent_id >= 0) {
        if (limit-- == 0 || !iceberg_metadata_snapshot(metadata, snapshot.parent_id, &snapshot))
            return INT64_MAX;
        if (iceberg_is_own(&snapshot))
            return snapshot.sequence_number;
    }
    return -1;
}

// Names of everything that is attached, whatever its kind.
static enum mor_status list_attached(struct mor_store *store, struct mor_arena *arena,
                                     struct mor_map *ret_keys, struct mor_error *err)
{
    struct mor_object_info *kinds = NULL;
    size_t kind_count = 0;
    MOR_TRY(mor_store_list_names(store, ICEBERG_ATTACHED_PREFIX, arena, &kinds, &kind_count, err));
    for (size_t k = 0; k < kind_count; k++) {
        struct mor_object_info *objects = NULL;
        size_t count = 0;
        MOR_TRY(mor_store_list_names(store, kinds[k].key, arena, &objects, &count, err));
        for (size_t i = 0; i < count; i++)
            mor_map_put_text(ret_keys, objects[i].key, NULL);
    }
    return MOR_OK;
}

// `keys` were there before the metadata was read: what is later than its newest commit, or not of
// its history, never comes to count again.
static enum mor_status purge(struct mor_store *store, const struct iceberg_metadata *metadata,
                             const struct mor_map *keys, struct mor_error *err)
{
    int64_t newest = newest_own(metadata);
    for (size_t i = 0; i < keys->count; i++) {
        struct name name;
        if (parse_name(keys->entries[i].key, &name) &&
            (name.sequence_number > newest || is_gone(metadata, name.snapshot_id)))
            MOR_TRY(mor_store_delete(store, keys->entries[i].key, true, err));
    }
    return MOR_OK;
}

enum mor_status iceberg_attached_purge(struct iceberg_table *table, struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct mor_map keys = {0};
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_fault("iceberg.purge", err);
    if (status == MOR_OK)
        status = list_attached(store, &arena, &keys, err);
    if (status == MOR_OK)
        status = iceberg_load(table, &metadata, err);
    if (status == MOR_OK)
        status = purge(store, metadata, &keys, err);
    mor_map_done(&keys);
    mor_arena_done(&arena);
    return status;
}

// ---- asking -------------------------------------------------------------------------------------

static int compare_attachments(const void *a, const void *b)
{
    const char *left = ((const struct mor_attachment *)a)->key;
    const char *right = ((const struct mor_attachment *)b)->key;
    return strcmp(left, right);
}

// Sequence number of a version: from the metadata, or, when it has expired, from what was attached
// to it.
static enum mor_status sequence_of(const struct iceberg_metadata *metadata, const char *version,
                                   const struct mor_object_info *objects, size_t count,
                                   int64_t *ret_sequence, struct mor_error *err)
{
    int64_t id;
    struct iceberg_snapshot snapshot;
    if (!version || !*version) {
        *ret_sequence = -1;
        return MOR_OK;
    }
    MOR_TRY(iceberg_version_parse(version, &id, err));
    if (iceberg_metadata_snapshot(metadata, id, &snapshot) && !is_gone(metadata, id)) {
        *ret_sequence = snapshot.sequence_number;
        return MOR_OK;
    }
    for (size_t i = 0; i < count && !is_gone(metadata, id); i++) {
        struct name name;
        if (parse_name(objects[i].key, &name) && name.snapshot_id == id) {
            *ret_sequence = name.sequence_number;
            return MOR_OK;
        }
    }
    return mor_error_set(err, MOR_NOT_FOUND, "the table has no version '%s' (any more)", version);
}

enum mor_status iceberg_attachments(struct mor_table *head, const char *kind,
                                    const char *after_version, struct mor_arena *arena,
                                    struct mor_attachment **ret_attachments, size_t *ret_count,
                                    struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct mor_object_info *objects = NULL;
    size_t count = 0, kept = 0;
    int64_t after = -1;
    MOR_TRY(check_kind(kind, err));
    MOR_TRY(iceberg_load(table, &metadata, err));
    if (table->lock) // a handle for reading changes nothing
        MOR_TRY(iceberg_attached_settle(head->store, metadata, err));
    const char *prefix = mor_arena_printf(arena, ICEBERG_ATTACHED_PREFIX "/%s", kind);
    MOR_TRY(mor_store_list_names(head->store, prefix, arena, &objects, &count, err));
    MOR_TRY(sequence_of(metadata, after_version, objects, count, &after, err));
    struct mor_attachment *found = mor_arena_alloc(arena, (count + 1) * sizeof *found);
    for (size_t i = 0; i < count; i++) {
        struct name name;
        struct mor_object_info info;
        if (!parse_name(objects[i].key, &name) || name.sequence_number <= after ||
            is_gone(metadata, name.snapshot_id))
            continue;
        enum mor_status status = mor_store_info(head->store, objects[i].key, &info, err);
        if (status == MOR_NOT_FOUND) { // dropped a moment ago
            *err = MOR_ERROR_INIT;
            continue;
        }
        MOR_TRY(status);
        found[kept++] = (struct mor_attachment){
            .version = mor_arena_printf(arena, "%lld", (long long)name.snapshot_id),
            .key = objects[i].key,
            .size_bytes = info.size_bytes};
    }
    if (kept > 1)
        qsort(found, kept, sizeof *found, compare_attachments);
    *ret_attachments = found;
    *ret_count = kept;
    return MOR_OK;
}

enum mor_status iceberg_attachment_drop(struct mor_table *table,
                                        const struct mor_attachment *attachment,
                                        struct mor_error *err)
{
    return mor_store_delete(table->store, attachment->key, false, err);
}
