// A rewrite comes into the table: as one snapshot that replaces files, after whatever came
// meanwhile. Rows that were removed from its sources since it began are removed from the new files.
#include <string.h>
#include <time.h>

#include "iceberg/iceberg_rewrite.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define ATTEMPTS_MAX     20
#define UNKNOWN_ATTEMPTS 10
#define UNKNOWN_PAUSE_NS 200000000

// One attempt, on one state of the table.
struct attempt {
    struct iceberg_rewrite *rewrite;
    struct iceberg_state *state;
    struct iceberg_draft draft;
    struct iceberg_files deletes; // of rows that were removed meanwhile
    struct mor_rewrite_result result;
    bool keeps_files;
};

static bool same_deletes(const struct iceberg_state *then, const struct iceberg_live *before,
                         const struct iceberg_state *now, const struct iceberg_live *live)
{
    if (before->delete_count != live->delete_count)
        return false;
    for (uint32_t i = 0; i < live->delete_count; i++) {
        const struct iceberg_live *a = &then->deletes[before->deletes[i]];
        const struct iceberg_live *b = &now->deletes[live->deletes[i]];
        if (strcmp(a->key, b->key) != 0 ||
            a->entry->file.content_offset != b->entry->file.content_offset)
            return false;
    }
    return true;
}

static int compare_runs(const void *a, const void *b)
{
    const struct iceberg_run *left = a, *right = b;
    return (left->place > right->place) - (left->place < right->place);
}

// Adds to `moved` where the rows of `gone` (positions in a source) are in the new file.
static void translate(const struct iceberg_run *runs, size_t count, uint32_t number,
                      const struct mor_position_set *gone, struct mor_position_set *moved)
{
    uint64_t positions[512], from = 0;
    size_t run = 0, got;
    while ((got = mor_position_set_list(gone, from, positions, 512)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint64_t place = (uint64_t)number << 32 | positions[i];
            while (run < count && runs[run].place + runs[run].count <= place)
                run++;
            if (run < count && runs[run].place <= place)
                mor_position_set_add(moved, runs[run].first + (place - runs[run].place));
        }
        from = positions[got - 1] + 1;
    }
}

// What was removed by place from a source since the rewrite began, as positions in the new file.
// Equality deletes that came since apply to the new file by their sequence number.
static enum mor_status add_gone(struct attempt *attempt, uint32_t number,
                                const struct iceberg_live *live, const struct iceberg_run *runs,
                                size_t run_count, struct mor_position_set *moved,
                                struct mor_error *err)
{
    const struct iceberg_rewrite *rewrite = attempt->rewrite;
    struct iceberg_table *table = iceberg_rewrite_table(rewrite);
    const struct iceberg_live *before = rewrite->lives[number];
    if (same_deletes(rewrite->state, before, attempt->state, live))
        return MOR_OK;
    struct mor_position_set *now = mor_position_set_new(table->table.budget);
    struct mor_position_set *then = mor_position_set_new(table->table.budget);
    enum mor_status status =
        iceberg_state_removed_by_place(table, attempt->state, live, table->table.budget, now, err);
    if (status == MOR_OK)
        status = iceberg_state_removed_by_place(table, rewrite->state, before, table->table.budget,
                                                then, err);
    if (status == MOR_OK) {
        mor_position_set_subtract(now, then);
        translate(runs, run_count, number, now, moved);
    }
    mor_position_set_free(now);
    mor_position_set_free(then);
    return status;
}

// A source leaves the table, with the deletes that speak of it alone.
static void remove_source(struct attempt *attempt, const struct iceberg_live *live)
{
    const struct iceberg_state *state = attempt->state;
    iceberg_draft_remove(&attempt->draft, live);
    for (uint32_t i = 0; i < live->delete_count; i++) {
        const struct iceberg_live *delete = &state->deletes[live->deletes[i]];
        if (iceberg_delete_target(&delete->entry->file, &attempt->draft.arena))
            iceberg_draft_remove(&attempt->draft, delete);
    }
}

static enum mor_status add_file(struct attempt *attempt, const struct iceberg_rewrite_file *file,
                                struct mor_error *err)
{
    const struct iceberg_rewrite *rewrite = attempt->rewrite;
    MOR_AUTO_FREE struct iceberg_run *runs = mor_alloc((file->run_count + 1) * sizeof *runs);
    if (file->run_count > 0)
        memcpy(runs, file->runs, file->run_count * sizeof *runs);
    if (file->run_count > 1)
        qsort(runs, file->run_count, sizeof *runs, compare_runs);
    struct mor_position_set *moved = mor_position_set_new(rewrite->rewrite.table->budget);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < file->source_count && status == MOR_OK; i++) {
        const struct mor_slice *source = file->sources[i];
        status =
            add_gone(attempt, source->number, iceberg_state_find(attempt->state, source->base_key),
                     runs, file->run_count, moved, err);
    }
    int64_t gone = (int64_t)mor_position_set_count(moved);
    if (status == MOR_OK && file->row_count > gone) {
        // as of the snapshot that the rows were read from: deletes that came later still apply
        iceberg_draft_add(&attempt->draft, file->written->spec_id, &file->written->file,
                          rewrite->state->snapshot.sequence_number);
        attempt->result.bytes_written += file->written->file.file_size_bytes;
        if (gone > 0)
            status = iceberg_files_add_deletes(
                &attempt->deletes, iceberg_state_spec(attempt->state, file->written->spec_id),
                &file->written->file, moved, err);
    }
    attempt->result.file_count++;
    mor_position_set_free(moved);
    return status;
}

// The sources of a file are all there, and no other file has taken them.
static bool fits(const struct attempt *attempt, const struct iceberg_rewrite_file *file)
{
    for (size_t i = 0; i < file->source_count; i++) {
        if (!iceberg_state_find(attempt->state, file->sources[i]->base_key))
            return false;
    }
    return true;
}

// Whether a delete of a source still has rows to remove from the file that takes its place: by
// place it has none.
static bool outlives(const struct iceberg_rewrite *rewrite, const struct iceberg_entry *delete)
{
    return delete->file.content == ICEBERG_EQUALITY_DELETES &&
           delete->sequence_number > rewrite->state->snapshot.sequence_number;
}

// Marks the deletes of many files that some file still needs. `left`: sources that go.
static void mark_needed(const struct attempt *attempt, const struct mor_map *left, bool *needed)
{
    const struct iceberg_rewrite *rewrite = attempt->rewrite;
    const struct iceberg_state *state = attempt->state;
    for (size_t i = 0; i < state->data_count; i++) {
        const struct iceberg_live *live = &state->data[i];
        bool goes = mor_map_find_text(left, live->key) != NULL;
        for (uint32_t d = 0; d < live->delete_count; d++)
            needed[live->deletes[d]] |=
                !goes || outlives(rewrite, state->deletes[live->deletes[d]].entry);
    }
}

// Deletes that have nothing to remove any more: those that speak of one file alone, which left the
// table without them, as other writers leave them behind; and those of many files when no file is
// older than they are.
static void remove_dangling(struct attempt *attempt, const struct mor_map *left)
{
    struct iceberg_state *state = attempt->state;
    MOR_AUTO_FREE bool *needed = mor_calloc(state->delete_count + 1, sizeof *needed);
    mark_needed(attempt, left, needed);
    for (size_t i = 0; i < state->delete_count; i++) {
        const char *target =
            iceberg_delete_target(&state->deletes[i].entry->file, &attempt->draft.arena);
        const char *key = target ? iceberg_key_of_uri(state->metadata, target) : NULL;
        if (target ? key && !iceberg_state_find(state, key) : !needed[i])
            iceberg_draft_remove(&attempt->draft, &state->deletes[i]);
    }
}

static enum mor_status build(struct attempt *attempt, struct mor_error *err)
{
    struct iceberg_rewrite *rewrite = attempt->rewrite;
    struct mor_map left = {0};
    for (size_t i = 0; i < rewrite->finished_count; i++) {
        struct iceberg_rewrite_file *file = rewrite->finished[i];
        file->fits = fits(attempt, file);
        attempt->result.left_out += !file->fits;
        for (size_t s = 0; s < file->source_count && file->fits; s++) {
            bool added;
            mor_map_put_text(&left, file->sources[s]->base_key, &added);
            if (added)
                remove_source(attempt,
                              iceberg_state_find(attempt->state, file->sources[s]->base_key));
        }
    }
    remove_dangling(attempt, &left);
    mor_map_done(&left);
    for (size_t i = 0; i < rewrite->finished_count; i++) {
        if (rewrite->finished[i]->fits)
            MOR_TRY(add_file(attempt, rewrite->finished[i], err));
    }
    MOR_TRY(iceberg_files_finish(&rewrite->files, err));
    MOR_TRY(iceberg_files_finish(&attempt->deletes, err));
    for (size_t i = 0; i < attempt->deletes.count; i++)
        iceberg_draft_add(&attempt->draft, attempt->deletes.list[i]->spec_id,
                          &attempt->deletes.list[i]->file, -1);
    return mor_fault("iceberg.rewrite_built", err);
}

// Asks until the outcome is known, sending the same again as long as nothing else came.
static enum mor_status settle(struct attempt *attempt, struct iceberg_metadata **ret_metadata,
                              struct mor_error *err)
{
    struct iceberg_table *table = iceberg_rewrite_table(attempt->rewrite);
    const struct iceberg_metadata *base = attempt->state->metadata;
    struct iceberg_snapshot snapshot;
    for (int i = 0; i < UNKNOWN_ATTEMPTS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = UNKNOWN_PAUSE_NS}, NULL);
        *err = MOR_ERROR_INIT;
        if (iceberg_load(table, ret_metadata, err) != MOR_OK)
            continue;
        if (iceberg_metadata_snapshot(*ret_metadata, attempt->draft.snapshot_id, &snapshot))
            return MOR_OK;
        bool open = (*ret_metadata)->current_snapshot_id == base->current_snapshot_id;
        iceberg_metadata_unref(*ret_metadata);
        *ret_metadata = NULL;
        if (!open)
            return mor_error_set(err, MOR_CONFLICT, "another commit came first");
        MOR_LOCKED(&table->catalog_mutex);
        if (iceberg_catalog_commit(table->catalog, base, &attempt->draft.change, ret_metadata,
                                   err) == MOR_OK)
            return MOR_OK;
    }
    return mor_error_set(err, MOR_UNKNOWN, "it is not known whether snapshot %lld is in the table",
                         (long long)attempt->draft.snapshot_id);
}

static enum mor_status publish(struct attempt *attempt, struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_JSON *base = iceberg_base_properties(attempt->state->metadata);
    ICEBERG_AUTO_JSON *carried = iceberg_carried_properties(base);
    enum mor_status status =
        iceberg_draft_commit(&attempt->draft, "replace", carried, &metadata, err);
    if (status == MOR_UNKNOWN)
        status = settle(attempt, &metadata, err);
    attempt->keeps_files = status == MOR_OK || status == MOR_UNKNOWN;
    attempt->draft.keeps_files = attempt->keeps_files;
    if (status == MOR_OK)
        iceberg_version_format(attempt->draft.snapshot_id, attempt->result.version);
    return status;
}

static enum mor_status try_once(struct attempt *attempt, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_rewrite_table(attempt->rewrite);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(iceberg_check_unchanged(table, metadata, err));
    MOR_TRY(iceberg_state_open(table, metadata, -1, &attempt->state, err));
    MOR_TRY(iceberg_state_load_files(table, attempt->state, err));
    MOR_TRY(iceberg_state_check_deletes(attempt->state, err));
    iceberg_draft_init(&attempt->draft, table, attempt->state,
                       iceberg_metadata_new_snapshot_id(metadata));
    iceberg_files_init(&attempt->deletes, table, metadata);
    MOR_TRY(build(attempt, err));
    if (attempt->result.file_count == 0)
        return MOR_OK;
    return publish(attempt, err);
}

static enum mor_status run_attempt(struct iceberg_rewrite *rewrite,
                                   struct mor_rewrite_result *ret_result, struct mor_error *err)
{
    struct attempt attempt = {.rewrite = rewrite};
    enum mor_status status = try_once(&attempt, err);
    rewrite->keeps_files = attempt.keeps_files;
    *ret_result = attempt.result;
    iceberg_draft_done(&attempt.draft);
    iceberg_files_done(&attempt.deletes, attempt.keeps_files);
    iceberg_state_unref(attempt.state);
    return status;
}

// Files of which nothing is in the table: their sources were gone, or all their rows.
static void remove_unused(struct iceberg_rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->finished_count; i++) {
        struct mor_error ignored = MOR_ERROR_INIT;
        const struct iceberg_rewrite_file *file = rewrite->finished[i];
        // what cannot be removed now is found as an orphan later
        if (!file->fits && file->row_count > 0)
            (void)!mor_store_delete(rewrite->rewrite.table->store, file->written->key, false,
                                    &ignored);
    }
}

enum mor_status iceberg_rewrite_commit(struct mor_rewrite *base,
                                       struct mor_rewrite_result *ret_result, struct mor_error *err)
{
    struct iceberg_rewrite *rewrite = (struct iceberg_rewrite *)base;
    struct iceberg_table *table = iceberg_rewrite_table(rewrite);
    enum mor_status status = MOR_CONFLICT;
    MOR_TRY(mor_fault("iceberg.rewrite_commit", err));
    // with the turn, no other instance writes for nothing meanwhile
    mor_turn_take(&table->turn, base->table->store, ICEBERG_TURN_KEY, table->instance,
                  table->turn_wait_ms);
    for (int i = 0; i < ATTEMPTS_MAX && status == MOR_CONFLICT; i++) {
        *err = MOR_ERROR_INIT;
        status = run_attempt(rewrite, ret_result, err);
    }
    mor_turn_release(&table->turn);
    MOR_TRY(status);
    if (ret_result->file_count == 0)
        return mor_error_set(err, MOR_CONFLICT, "every file was rewritten by somebody else");
    remove_unused(rewrite);
    return MOR_OK;
}
