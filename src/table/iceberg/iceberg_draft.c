#include "iceberg/iceberg_draft.h"

#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_table.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define SAME_GROUND_MAX 10 // times that somebody else changes what is no obstacle

void iceberg_draft_init(struct iceberg_draft *draft, struct iceberg_table *table,
                        struct iceberg_state *state, int64_t snapshot_id)
{
    *draft = (struct iceberg_draft){.table = table,
                                    .state = iceberg_state_ref(state),
                                    .snapshot_id = snapshot_id,
                                    .uuid = mor_uuid_v4()};
    mor_arena_init(&draft->arena, 0, table->table.budget);
    iceberg_change_init(&draft->change);
}

void iceberg_draft_done(struct iceberg_draft *draft)
{
    if (!draft->table)
        return;
    for (size_t i = 0; i < draft->written_count; i++) {
        struct mor_error ignored = MOR_ERROR_INIT;
        // what cannot be deleted now is found as an orphan later
        enum mor_status status =
            draft->keeps_files
                ? MOR_OK
                : mor_store_delete(draft->table->table.store, draft->written[i], false, &ignored);
        (void)status;
        free(draft->written[i]);
    }
    free(draft->written);
    free(draft->added);
    free(draft->removed);
    iceberg_summary_done(&draft->summary);
    iceberg_change_done(&draft->change);
    iceberg_state_unref(draft->state);
    mor_arena_done(&draft->arena);
    *draft = (struct iceberg_draft){0};
}

void iceberg_draft_wrote(struct iceberg_draft *draft, const char *key)
{
    if (draft->written_count == draft->written_capacity) {
        draft->written_capacity = draft->written_capacity ? draft->written_capacity * 2 : 8;
        draft->written =
            mor_realloc(draft->written, draft->written_capacity * sizeof *draft->written);
    }
    draft->written[draft->written_count++] = mor_strdup(key);
}

static void count(struct iceberg_draft *draft, int32_t spec_id,
                  const struct iceberg_data_file *file, bool added)
{
    const struct iceberg_spec *spec = iceberg_state_spec(draft->state, spec_id);
    iceberg_summary_count(&draft->summary, spec_id, spec->field_count, file, added);
}

void iceberg_draft_add(struct iceberg_draft *draft, int32_t spec_id,
                       const struct iceberg_data_file *file, int64_t sequence_number)
{
    if (draft->added_count == draft->added_capacity) {
        draft->added_capacity = draft->added_capacity ? draft->added_capacity * 2 : 16;
        draft->added = mor_realloc(draft->added, draft->added_capacity * sizeof *draft->added);
    }
    draft->added[draft->added_count++] = (struct iceberg_draft_file){
        .spec_id = spec_id, .sequence_number = sequence_number, .file = *file};
    count(draft, spec_id, file, true);
}

void iceberg_draft_remove(struct iceberg_draft *draft, const struct iceberg_live *live)
{
    if (draft->removed_count == draft->removed_capacity) {
        draft->removed_capacity = draft->removed_capacity ? draft->removed_capacity * 2 : 16;
        draft->removed =
            mor_realloc(draft->removed, draft->removed_capacity * sizeof *draft->removed);
    }
    draft->removed[draft->removed_count++] = live;
    count(draft, draft->state->manifests[live->manifest].spec_id, &live->entry->file, false);
}

// ---- publishing ---------------------------------------------------------------------------------

static enum mor_status write_list(struct iceberg_draft *draft, struct iceberg_snapshot *snapshot,
                                  char **ret_uri, struct mor_error *err)
{
    const struct iceberg_metadata *metadata = draft->state->metadata;
    const struct iceberg_manifest_list_options options = {
        .format_version = metadata->format_version,
        .snapshot_id = snapshot->snapshot_id,
        .parent_snapshot_id = snapshot->parent_id,
        .sequence_number = snapshot->sequence_number,
        .first_row_id = metadata->next_row_id,
    };
    MOR_AUTO_BUFFER bytes = {0}, uri = {0};
    char uuid[MOR_UUID_TEXT_SIZE];
    int64_t next_row_id = metadata->next_row_id;
    mor_uuid_format(&draft->uuid, uuid);
    MOR_TRY(iceberg_manifest_list_encode(&options, draft->manifests, draft->manifest_count, &bytes,
                                         &next_row_id, err));
    MOR_AUTO_FREE char *key =
        mor_asprintf("metadata/snap-%lld-1-%s.avro", (long long)snapshot->snapshot_id, uuid);
    iceberg_draft_wrote(draft, key);
    MOR_TRY(mor_store_put_new_deferred(draft->table->table.store, key, bytes.data, bytes.size_bytes,
                                       err));
    iceberg_uri_of_key(metadata, key, &uri);
    *ret_uri = mor_strdup(mor_buffer_terminate(&uri));
    snapshot->first_row_id = metadata->format_version >= 3 ? metadata->next_row_id : -1;
    snapshot->added_rows = metadata->format_version >= 3 ? next_row_id - metadata->next_row_id : -1;
    return MOR_OK;
}

static json_t *make_summary(struct iceberg_draft *draft, const char *operation,
                            const json_t *properties)
{
    json_t *summary =
        iceberg_summary_make(&draft->summary, operation, draft->state->snapshot.summary);
    json_object_set_new(summary, "engine-name", json_string("moraine"));
    json_object_set_new(summary, "engine-version", json_string(MORAINE_VERSION));
    json_object_set_new(summary, ICEBERG_INSTANCE_KEY, json_string(draft->table->instance));
    json_object_update(summary, (json_t *)(uintptr_t)properties);
    return summary;
}

static void build_change(struct iceberg_draft *draft, const struct iceberg_snapshot *snapshot,
                         const json_t *properties)
{
    const struct iceberg_metadata *metadata = draft->state->metadata;
    struct iceberg_change *change = &draft->change;
    char id[ICEBERG_VERSION_SIZE];
    iceberg_version_format(snapshot->snapshot_id, id);
    iceberg_change_require_uuid(change, metadata->uuid);
    iceberg_change_require_main(change, metadata->current_snapshot_id);
    iceberg_change_add_snapshot(change, iceberg_snapshot_make(snapshot));
    iceberg_change_set_main(change, snapshot->snapshot_id);
    // a copy that outlives our snapshots
    const char *ledger = iceberg_json_text(properties, ICEBERG_LEDGER_KEY);
    if (ledger)
        iceberg_change_set_property(change, ICEBERG_LEDGER_KEY, ledger);
    iceberg_change_set_property(change, ICEBERG_SNAPSHOT_KEY, id);
}

static enum mor_status send(struct iceberg_draft *draft, const struct iceberg_metadata *base,
                            struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct iceberg_table *table = draft->table;
    enum mor_status status;
    {
        MOR_LOCKED(&table->catalog_mutex);
        status = iceberg_catalog_commit(table->catalog, base, &draft->change, ret_metadata, err);
    }
    if (status == MOR_OK)
        iceberg_remember(table, *ret_metadata);
    return status;
}

// Whether nothing that the snapshot builds on is another: somebody set a property, or expired old
// snapshots.
static bool same_ground(const struct iceberg_metadata *base, const struct iceberg_metadata *now)
{
    return base->current_snapshot_id == now->current_snapshot_id &&
           base->last_sequence_number == now->last_sequence_number &&
           base->next_row_id == now->next_row_id && base->format_version == now->format_version &&
           base->current_schema_id == now->current_schema_id;
}

// The catalog's word, and where it says that another was first: whether that one was ours, or is no
// obstacle.
static enum mor_status publish(struct iceberg_draft *draft, struct iceberg_metadata **ret_metadata,
                               struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *base = iceberg_metadata_ref(draft->state->metadata);
    for (int i = 0; i < SAME_GROUND_MAX; i++) {
        struct iceberg_snapshot snapshot;
        struct mor_error question = MOR_ERROR_INIT;
        struct iceberg_metadata *now = NULL;
        *err = MOR_ERROR_INIT;
        enum mor_status status = send(draft, base, ret_metadata, err);
        if (status != MOR_CONFLICT)
            return status;
        if (iceberg_load(draft->table, &now, &question) != MOR_OK) {
            err->status = MOR_UNKNOWN;
            return MOR_UNKNOWN;
        }
        iceberg_metadata_unref(base);
        base = now;
        if (iceberg_metadata_snapshot(now, draft->snapshot_id, &snapshot)) {
            *ret_metadata = iceberg_metadata_ref(now);
            *err = MOR_ERROR_INIT;
            return MOR_OK;
        }
        if (!same_ground(draft->state->metadata, now))
            return MOR_CONFLICT;
    }
    return MOR_CONFLICT;
}

enum mor_status iceberg_draft_commit(struct iceberg_draft *draft, const char *operation,
                                     const json_t *properties,
                                     struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    const struct iceberg_metadata *metadata = draft->state->metadata;
    MOR_AUTO_FREE char *list = NULL;
    *ret_metadata = NULL;
    struct iceberg_snapshot snapshot = {
        .snapshot_id = draft->snapshot_id,
        .parent_id = metadata->current_snapshot_id,
        .sequence_number = metadata->last_sequence_number + 1,
        .timestamp_ms = iceberg_metadata_clamp_ms(metadata, mor_clock_wall_ms()),
        .schema_id = metadata->current_schema_id,
    };
    MOR_TRY(iceberg_draft_write_manifests(draft, err));
    MOR_TRY(mor_fault("iceberg.manifests", err));
    MOR_TRY(write_list(draft, &snapshot, &list, err));
    ICEBERG_AUTO_JSON *summary = make_summary(draft, operation, properties);
    snapshot.manifest_list = list;
    snapshot.summary = summary;
    build_change(draft, &snapshot, properties);
    MOR_TRY(mor_fault("iceberg.sync", err));
    MOR_TRY(mor_store_sync(draft->table->table.store, err));
    MOR_TRY(mor_fault("iceberg.list", err));
    enum mor_status status = publish(draft, ret_metadata, err);
    draft->keeps_files = status == MOR_OK || status == MOR_UNKNOWN;
    return status;
}
