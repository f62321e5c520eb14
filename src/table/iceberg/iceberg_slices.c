// Slices: a live data file with the delete files that remove rows of it.
#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_table.h"
#include "moraine/base/thread.h"

// What a slice was made of. Holds the state as long as the slice's arena lives.
struct mor_snapshot {
    const struct iceberg_state *state;
    const struct iceberg_live *live;
};

const struct iceberg_live *iceberg_slice_file(const struct mor_slice *slice)
{
    return slice->snapshot->live;
}

static void *copy_bytes(struct mor_arena *arena, const void *bytes, size_t size_bytes)
{
    void *copy = mor_arena_alloc(arena, size_bytes + 1);
    if (size_bytes > 0)
        memcpy(copy, bytes, size_bytes);
    return copy;
}

// States whose slices were given out: their arenas belong to callers, who do not tell when they are
// done. So slices have copies of all that they need. What was removed is shared by those of a call,
// since deletes may apply to many files.
static const struct iceberg_state *copy_deletes(const struct iceberg_state *state,
                                                struct mor_arena *arena)
{
    struct iceberg_state *small = mor_arena_calloc(arena, 1, sizeof *small);
    small->deletes = mor_arena_calloc(arena, state->delete_count + 1, sizeof *small->deletes);
    small->delete_count = state->delete_count;
    for (size_t i = 0; i < state->delete_count; i++) {
        const struct iceberg_live *delete = &state->deletes[i];
        struct iceberg_entry *copy = mor_arena_calloc(arena, 1, sizeof *copy);
        copy->sequence_number = delete->entry->sequence_number;
        copy->file.content = delete->entry->file.content;
        copy->file.file_format = mor_arena_strdup(arena, delete->entry->file.file_format);
        copy->file.record_count = delete->entry->file.record_count;
        copy->file.content_offset = delete->entry->file.content_offset;
        copy->file.content_size_bytes = delete->entry->file.content_size_bytes;
        small->deletes[i] = (struct iceberg_live){
            .entry = copy, .key = mor_arena_strdup(arena, delete->key), .group = delete->group};
    }
    small->groups = mor_arena_calloc(arena, state->group_count + 1, sizeof *small->groups);
    small->group_count = state->group_count;
    for (size_t i = 0; i < state->group_count; i++) {
        const struct iceberg_equality_group *group = &state->groups[i];
        small->groups[i] = *group;
        small->groups[i].ids = copy_bytes(arena, group->ids, group->id_count * sizeof *group->ids);
        small->groups[i].deletes =
            copy_bytes(arena, group->deletes, group->count * sizeof *group->deletes);
    }
    return small;
}

static const struct mor_snapshot *copy_snapshot(const struct iceberg_state *small,
                                                const struct iceberg_live *live,
                                                struct mor_arena *arena)
{
    struct mor_snapshot *snapshot = mor_arena_calloc(arena, 1, sizeof *snapshot);
    struct iceberg_live *file = mor_arena_calloc(arena, 1, sizeof *file);
    struct iceberg_entry *entry = mor_arena_calloc(arena, 1, sizeof *entry);
    entry->sequence_number = live->entry->sequence_number;
    entry->file.file_path = mor_arena_strdup(arena, live->entry->file.file_path);
    entry->file.record_count = live->entry->file.record_count;
    *file = (struct iceberg_live){
        .entry = entry,
        .key = mor_arena_strdup(arena, live->key),
        .deletes = copy_bytes(arena, live->deletes, live->delete_count * sizeof *live->deletes),
        .delete_count = live->delete_count};
    *snapshot = (struct mor_snapshot){small, file};
    return snapshot;
}

static int64_t time_of(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                       int64_t fallback)
{
    struct iceberg_snapshot snapshot;
    return iceberg_metadata_snapshot(metadata, snapshot_id, &snapshot) ? snapshot.timestamp_ms
                                                                       : fallback;
}

static void fill_deltas(const struct iceberg_state *state, const struct iceberg_live *live,
                        struct mor_arena *arena, struct mor_slice *slice)
{
    const char **keys = mor_arena_alloc(arena, (live->delete_count + 1) * sizeof *keys);
    bool by_key = false;
    // a delete file whose snapshot has expired is at least as old as the oldest one that has not
    struct iceberg_snapshot oldest = {0};
    if (iceberg_metadata_snapshot_count(state->metadata) > 0)
        iceberg_metadata_snapshot_at(state->metadata, 0, &oldest);
    for (uint32_t i = 0; i < live->delete_count; i++) {
        const struct iceberg_live *delete = &state->deletes[live->deletes[i]];
        const struct iceberg_data_file *file = &delete->entry->file;
        int64_t time_ms = time_of(state->metadata, delete->entry->snapshot_id, oldest.timestamp_ms);
        keys[i] = slice->snapshot->state->deletes[live->deletes[i]].key;
        slice->delta_size_bytes +=
            iceberg_file_is_vector(file) ? file->content_size_bytes : file->file_size_bytes;
        if (file->content == ICEBERG_EQUALITY_DELETES)
            by_key = true;
        else
            slice->delta_row_count += file->record_count;
        if (slice->oldest_delta_ms == 0 || time_ms < slice->oldest_delta_ms)
            slice->oldest_delta_ms = time_ms;
    }
    // how many of its rows equality deletes name is not known: taken for half, at least one
    if (by_key)
        slice->delta_row_count += slice->base_row_count / 2 + 1;
    slice->delta_keys = keys;
    slice->delta_count = live->delete_count;
}

// `small`: of copy_deletes.
static void fill_slice(const struct iceberg_state *state, const struct iceberg_state *small,
                       const struct iceberg_live *live, struct mor_arena *arena,
                       struct mor_slice *slice)
{
    const struct iceberg_data_file *file = &live->entry->file;
    MOR_AUTO_BUFFER partition = {0};
    iceberg_partition_text(iceberg_state_spec(state, state->manifests[live->manifest].spec_id),
                           file->partition, &partition);
    const struct mor_snapshot *snapshot = copy_snapshot(small, live, arena);
    const char *name = strrchr(snapshot->live->key, '/');
    *slice = (struct mor_slice){
        .partition = mor_arena_strdup(arena, mor_buffer_terminate(&partition)),
        .file_group = name ? name + 1 : snapshot->live->key,
        .base_key = snapshot->live->key,
        .base_size_bytes = file->file_size_bytes,
        .base_row_count = file->record_count,
        .base_row_id = file->first_row_id,
        .base_sequence = live->entry->sequence_number,
        .sealed = true,
        .snapshot = snapshot,
    };
    fill_deltas(state, live, arena, slice);
}

enum mor_status iceberg_slices_of(const struct iceberg_table *table, struct iceberg_state *state,
                                  struct mor_arena *arena, struct mor_slice **ret_slices,
                                  size_t *ret_count, struct mor_error *err)
{
    (void)table;
    MOR_TRY(iceberg_state_check_deletes(state, err));
    const struct iceberg_state *small = copy_deletes(state, arena);
    struct mor_slice *slices = mor_arena_alloc(arena, (state->data_count + 1) * sizeof *slices);
    for (size_t i = 0; i < state->data_count; i++) {
        fill_slice(state, small, &state->data[i], arena, &slices[i]);
        slices[i].number = (uint32_t)i;
    }
    *ret_slices = slices;
    *ret_count = state->data_count;
    return MOR_OK;
}

enum mor_status iceberg_slices(struct mor_table *head, const char *version, struct mor_arena *arena,
                               struct mor_slice **ret_slices, size_t *ret_count,
                               struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    int64_t snapshot_id = -1;
    if (version)
        MOR_TRY(iceberg_version_parse(version, &snapshot_id, err));
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(iceberg_state_open(table, metadata, snapshot_id, &state, err));
    MOR_TRY(iceberg_state_load_files(table, state, err));
    return iceberg_slices_of(table, state, arena, ret_slices, ret_count, err);
}

enum mor_status iceberg_removed_rows(struct mor_table *head, const struct mor_slice *slice,
                                     struct mor_budget *budget,
                                     struct mor_position_set **ret_positions, struct mor_error *err)
{
    struct mor_position_set *positions = mor_position_set_new(budget);
    const struct mor_snapshot *of = slice->snapshot;
    enum mor_status status = iceberg_state_removed_by_place(iceberg_of(head), of->state, of->live,
                                                            budget, positions, err);
    if (status == MOR_OK)
        status =
            iceberg_equality_removed(iceberg_of(head), of->state, of->live, budget, positions, err);
    if (status != MOR_OK || mor_position_set_count(positions) == 0) {
        mor_position_set_free(positions);
        positions = NULL;
    }
    *ret_positions = positions;
    return status;
}

// ---- files of any version -----------------------------------------------------------------------

static void add_file(const struct iceberg_state *state, const struct iceberg_live *live,
                     struct mor_map *seen, struct mor_arena *arena, struct mor_slice *files,
                     size_t *count)
{
    bool added;
    mor_map_put_text(seen, live->key, &added);
    if (!added)
        return;
    struct iceberg_live alone = *live;
    alone.delete_count = 0;
    fill_slice(state, NULL, &alone, arena, &files[*count]);
    files[*count].number = (uint32_t)*count;
    *(const char **)(uintptr_t)files[*count].delta_keys = files[*count].base_key;
    ++*count;
}

enum mor_status iceberg_data_files(struct mor_table *head, struct mor_arena *arena,
                                   struct mor_slice **ret_files, size_t *ret_count,
                                   struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct mor_map seen = {0};
    struct mor_slice *files = NULL;
    size_t count = 0, capacity = 0;
    MOR_TRY(iceberg_load(table, &metadata, err));
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < iceberg_metadata_snapshot_count(metadata) && status == MOR_OK; i++) {
        struct iceberg_snapshot snapshot;
        ICEBERG_AUTO_STATE *state = NULL;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        status = iceberg_state_open(table, metadata, snapshot.snapshot_id, &state, err);
        if (status == MOR_OK)
            status = iceberg_state_load_files(table, state, err);
        for (size_t f = 0; status == MOR_OK && f < state->data_count; f++) {
            if (count == capacity) {
                capacity = capacity ? capacity * 2 : 64;
                struct mor_slice *more = mor_arena_alloc(arena, capacity * sizeof *more);
                if (count > 0)
                    memcpy(more, files, count * sizeof *more);
                files = more;
            }
            add_file(state, &state->data[f], &seen, arena, files, &count);
        }
    }
    mor_map_done(&seen);
    *ret_files = files;
    *ret_count = count;
    return status;
}

// ---- rows that moved ----------------------------------------------------------------------------

static bool counts_nothing(const struct iceberg_snapshot *snapshot)
{
    static const char *const counters[] = {"added-data-files", "deleted-data-files",
                                           "added-delete-files", "removed-delete-files"};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        const char *text = iceberg_snapshot_property(snapshot, counters[i]);
        if (text && strcmp(text, "0") != 0)
            return false;
    }
    return true;
}

// Notes the snapshots after `after` that moved rows; NOT_FOUND when others did more.
static enum mor_status collect_moving(const struct iceberg_metadata *metadata, int64_t after,
                                      struct mor_map *moving, struct mor_error *err)
{
    struct iceberg_snapshot snapshot = {.parent_id = metadata->current_snapshot_id};
    size_t limit = iceberg_metadata_snapshot_count(metadata);
    while (snapshot.parent_id != after) {
        if (snapshot.parent_id < 0 || limit-- == 0 ||
            !iceberg_metadata_snapshot(metadata, snapshot.parent_id, &snapshot))
            return mor_error_set(err, MOR_NOT_FOUND,
                                 "what came after snapshot %lld is not known any more",
                                 (long long)after);
        const char *operation = iceberg_snapshot_property(&snapshot, "operation");
        if (operation && strcmp(operation, "replace") == 0)
            mor_map_put(moving, &snapshot.snapshot_id, sizeof snapshot.snapshot_id, NULL);
        // a commit of this program that says nothing of its keys removed rows by request
        else if (!iceberg_snapshot_property(&snapshot, ICEBERG_ATTACHED_KEY) &&
                 !counts_nothing(&snapshot))
            return mor_error_set(err, MOR_NOT_FOUND,
                                 "snapshot %lld (%s) changed rows, and does not say which",
                                 (long long)snapshot.snapshot_id, operation ? operation : "?");
    }
    return MOR_OK;
}

enum mor_status iceberg_moved_files(struct mor_table *head, const char *after_version,
                                    struct mor_arena *arena, struct mor_slice **ret_slices,
                                    size_t *ret_count, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    struct mor_map moving = {0};
    int64_t after = -1;
    if (after_version && *after_version)
        MOR_TRY(iceberg_version_parse(after_version, &after, err));
    MOR_TRY(iceberg_load(table, &metadata, err));
    *ret_slices = NULL;
    *ret_count = 0;
    enum mor_status status = collect_moving(metadata, after, &moving, err);
    if (status == MOR_OK && moving.count > 0) {
        status = iceberg_state_open(table, metadata, -1, &state, err);
        if (status == MOR_OK)
            status = iceberg_state_load_files(table, state, err);
    }
    if (status == MOR_OK && state)
        status = iceberg_state_check_deletes(state, err);
    size_t count = status == MOR_OK && state ? state->data_count : 0, kept = 0;
    const struct iceberg_state *small = count > 0 ? copy_deletes(state, arena) : NULL;
    struct mor_slice *slices = mor_arena_alloc(arena, (count + 1) * sizeof *slices);
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_live *live = &state->data[i];
        int64_t id = live->entry->snapshot_id;
        if (!mor_map_find(&moving, &id, sizeof id))
            continue;
        fill_slice(state, small, live, arena, &slices[kept]);
        slices[kept].number = (uint32_t)kept;
        kept++;
    }
    mor_map_done(&moving);
    *ret_slices = slices;
    *ret_count = kept;
    return status;
}
