#include <string.h>

#include "iceberg/iceberg_expire.h"

static void add_uri(const struct iceberg_metadata *metadata, const char *uri, struct mor_map *set)
{
    const char *key = uri ? iceberg_key_of_uri(metadata, uri) : NULL;
    if (key) // files elsewhere are not ours to delete
        mor_map_put_text(set, key, NULL);
}

static enum mor_status get(struct iceberg_table *table, const struct iceberg_metadata *metadata,
                           const char *uri, struct mor_buffer *ret_bytes, struct mor_error *err)
{
    const char *key = iceberg_key_of_uri(metadata, uri);
    if (!key)
        return mor_error_set(err, MOR_FATAL, "'%s' lies outside the table's location", uri);
    return mor_store_get(table->table.store, key, ICEBERG_MANIFEST_BYTES_MAX, ret_bytes, err);
}

// Files of one manifest, those that it removes left out.
static enum mor_status reach_manifest(struct iceberg_table *table, struct iceberg_state *state,
                                      size_t index, struct mor_map *set, struct mor_error *err)
{
    struct mor_arena arena;
    struct iceberg_entry *entries = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, table->table.budget);
    enum mor_status status =
        iceberg_state_read_manifest(table, state, index, &arena, &entries, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        if (iceberg_entry_is_live(&entries[i]))
            add_uri(state->metadata, entries[i].file.file_path, set);
    }
    mor_arena_done(&arena);
    return status;
}

enum mor_status iceberg_reach(struct iceberg_table *table, struct iceberg_metadata *metadata,
                              const char *manifest_list, bool may_lack, struct mor_map *seen,
                              struct mor_map *set, struct mor_error *err)
{
    ICEBERG_AUTO_STATE *state = NULL;
    MOR_AUTO_BUFFER bytes = {0};
    enum mor_status status = get(table, metadata, manifest_list, &bytes, err);
    if (status == MOR_NOT_FOUND && may_lack) {
        *err = MOR_ERROR_INIT;
        return MOR_OK;
    }
    MOR_TRY(status);
    MOR_TRY(iceberg_state_of_list(table, metadata, &bytes, &state, err));
    add_uri(metadata, manifest_list, set);
    for (size_t i = 0; i < state->manifest_count; i++) {
        bool added;
        mor_map_put_text(seen, state->manifests[i].path, &added);
        if (!added)
            continue;
        add_uri(metadata, state->manifests[i].path, set);
        status = reach_manifest(table, state, i, set, err);
        if (status == MOR_NOT_FOUND && may_lack) { // deleted by an expiry that was stopped
            *err = MOR_ERROR_INIT;
            status = MOR_OK;
        }
        MOR_TRY(status);
    }
    return MOR_OK;
}

// What the document names besides snapshots.
static void reach_document(const struct iceberg_metadata *metadata, struct mor_map *set)
{
    static const char *const lists[][2] = {{"metadata-log", "metadata-file"},
                                           {"statistics", "statistics-path"},
                                           {"partition-statistics", "statistics-path"}};
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        json_t *entry;
        size_t i;
        json_array_foreach(json_object_get(metadata->document, lists[l][0]), i, entry)
        {
            add_uri(metadata, iceberg_json_text(entry, lists[l][1]), set);
        }
    }
    add_uri(metadata, metadata->metadata_location, set);
}

enum mor_status iceberg_reach_all(struct iceberg_table *table, struct iceberg_metadata *metadata,
                                  struct mor_map *seen, struct mor_map *set, struct mor_error *err)
{
    size_t count = iceberg_metadata_snapshot_count(metadata);
    for (size_t i = 0; i < count; i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        MOR_TRY(iceberg_reach(table, metadata, snapshot.manifest_list, false, seen, set, err));
    }
    reach_document(metadata, set);
    return MOR_OK;
}
