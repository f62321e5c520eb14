// Rows that leave a data file: as a position-delete file in version 2, as a deletion vector in
// version 3; a file that loses all its rows leaves the table.
#include "iceberg/iceberg_write.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define FILES_MAX 8 // delete files of one data file in version 2; then they become one

static void add_removed(struct iceberg_write *write, const struct iceberg_live *live)
{
    MOR_LOCKED(&write->mutex);
    if (write->removed_count == write->removed_capacity) {
        write->removed_capacity = write->removed_capacity ? write->removed_capacity * 2 : 16;
        write->removed =
            mor_realloc(write->removed, write->removed_capacity * sizeof *write->removed);
    }
    write->removed[write->removed_count++] = live;
}

// The delete files that speak of this data file alone are replaced.
static size_t count_own(const struct iceberg_state *state, const struct iceberg_live *live,
                        struct mor_arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < live->delete_count; i++)
        count +=
            iceberg_delete_target(&state->deletes[live->deletes[i]].entry->file, arena) != NULL;
    return count;
}

static void remove_own(struct iceberg_write *write, const struct iceberg_live *live,
                       struct mor_arena *arena)
{
    const struct iceberg_state *state = write->state;
    for (size_t i = 0; i < live->delete_count; i++) {
        const struct iceberg_live *delete = &state->deletes[live->deletes[i]];
        if (iceberg_delete_target(&delete->entry->file, arena))
            add_removed(write, delete);
    }
}

// ---- one data file ------------------------------------------------------------------------------

static enum mor_status check_positions(const struct iceberg_live *live,
                                       const struct mor_change_removal *removal,
                                       struct mor_error *err)
{
    int64_t last = -1;
    for (size_t i = 0; i < removal->count; i++) {
        if ((int64_t)removal->positions[i] <= last)
            return mor_error_set(err, MOR_FATAL, "positions of '%s' are not ascending",
                                 removal->file);
        last = removal->positions[i];
    }
    if (last >= live->entry->file.record_count)
        return mor_error_set(err, MOR_FATAL, "'%s' has %lld rows, none at position %lld",
                             removal->file, (long long)live->entry->file.record_count,
                             (long long)last);
    return MOR_OK;
}

// How many rows are removed from the file by place, at most.
static int64_t stated_removed(const struct iceberg_state *state, const struct iceberg_live *live)
{
    int64_t count = 0;
    for (size_t i = 0; i < live->delete_count; i++) {
        const struct iceberg_data_file *file = &state->deletes[live->deletes[i]].entry->file;
        count += file->content == ICEBERG_POSITION_DELETES ? file->record_count : 0;
    }
    return count;
}

static enum mor_status write_positions(struct iceberg_write *write, const struct iceberg_live *live,
                                       const struct mor_position_set *positions,
                                       struct mor_error *err)
{
    const struct iceberg_data_file *target = &live->entry->file;
    int32_t spec_id = write->state->manifests[live->manifest].spec_id;
    if ((int64_t)mor_position_set_count(positions) >= target->record_count) {
        add_removed(write, live);
        return MOR_OK;
    }
    return iceberg_files_add_deletes(&write->files, iceberg_state_spec(write->state, spec_id),
                                     target, positions, err);
}

static enum mor_status remove_rows(struct iceberg_write *write, const struct iceberg_live *live,
                                   const struct mor_change_removal *removal,
                                   struct mor_position_set *positions, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_write_table(write);
    struct mor_arena arena;
    mor_arena_init(&arena, 1024, NULL);
    bool unites = table->format_version >= 3 ||
                  count_own(write->state, live, &arena) >= FILES_MAX ||
                  stated_removed(write->state, live) + (int64_t)removal->count >=
                      live->entry->file.record_count;
    enum mor_status status = MOR_OK;
    if (unites)
        status = iceberg_state_removed_by_place(table, write->state, live, table->table.budget,
                                                positions, err);
    mor_position_set_add_all(positions, removal->positions, removal->count);
    if (status == MOR_OK)
        status = write_positions(write, live, positions, err);
    if (status == MOR_OK && unites)
        remove_own(write, live, &arena);
    mor_arena_done(&arena);
    return status;
}

enum mor_status iceberg_write_removal(struct mor_write *base, const struct mor_change_set *changes,
                                      size_t removal_index, struct mor_error *err)
{
    struct iceberg_write *write = (struct iceberg_write *)base;
    const struct mor_change_removal *removal = &changes->removals[removal_index];
    if (removal->count == 0)
        return MOR_OK;
    MOR_TRY(mor_fault("iceberg.removal", err));
    const struct iceberg_live *live = iceberg_state_find(write->state, removal->file);
    if (!live)
        return mor_error_set(err, MOR_CONFLICT, "the table has no data file '%s' (any more)",
                             removal->file);
    MOR_TRY(check_positions(live, removal, err));
    struct mor_position_set *positions = mor_position_set_new(base->table->budget);
    enum mor_status status = remove_rows(write, live, removal, positions, err);
    mor_position_set_free(positions);
    MOR_TRY(status);
    return mor_fault("iceberg.removal_written", err);
}
