// Rows that leave a data file: as a position-delete file in version 2, as a deletion vector in
// version 3; a file that loses all its rows leaves the table.
#include <string.h>

#include "iceberg/iceberg_position_delete.h"
#include "iceberg/iceberg_write.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define PUFFIN_BYTES_MAX ((size_t)32 << 20) // a reader may read all of it for one vector
#define FILES_MAX        8 // delete files of one data file in version 2; then they become one

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

static void fill_common(struct iceberg_written *written, const struct iceberg_data_file *target)
{
    written->file.content = ICEBERG_POSITION_DELETES;
    written->file.partition = target->partition;
    written->file.referenced_data_file = target->file_path;
    written->file.sort_order_id = -1;
    written->file.first_row_id = -1;
}

// ---- version 2 ----------------------------------------------------------------------------------

static struct iceberg_value value_of(struct mor_arena *arena, const void *bytes, size_t size_bytes)
{
    return iceberg_value_copy((struct iceberg_value){bytes, size_bytes}, arena);
}

static void fill_metrics(struct iceberg_written *written, const struct iceberg_delete_file *file)
{
    struct mor_arena *arena = &written->arena;
    const char *uri = written->file.referenced_data_file;
    struct iceberg_column_metrics *metrics = mor_arena_calloc(arena, 2, sizeof *metrics);
    metrics[0] = (struct iceberg_column_metrics){
        .field_id = ICEBERG_ID_DELETE_POSITION,
        .size_bytes = -1,
        .value_count = file->row_count,
        .nan_count = -1,
        .lower = value_of(arena, &file->first, sizeof file->first),
        .upper = value_of(arena, &file->last, sizeof file->last),
    };
    metrics[1] = (struct iceberg_column_metrics){
        .field_id = ICEBERG_ID_DELETE_FILE_PATH,
        .size_bytes = -1,
        .value_count = file->row_count,
        .nan_count = -1,
        .lower = value_of(arena, uri, strlen(uri)),
        .upper = value_of(arena, uri, strlen(uri)),
    };
    int64_t *offset = mor_arena_alloc(arena, sizeof *offset);
    *offset = 4; // its only row group begins after the magic
    written->file.metrics = metrics;
    written->file.metric_count = 2;
    written->file.split_offsets = offset;
    written->file.split_offset_count = 1;
}

static enum mor_status write_delete_file(struct iceberg_write *write, const char *partition,
                                         int32_t spec_id, const struct iceberg_data_file *target,
                                         const struct mor_position_set *positions,
                                         struct mor_error *err)
{
    struct iceberg_delete_file file;
    MOR_AUTO_BUFFER uri = {0};
    struct iceberg_written *written = iceberg_written_new(
        iceberg_write_key(write, partition, "-deletes.parquet"), SIZE_MAX, spec_id);
    fill_common(written, target);
    enum mor_status status =
        iceberg_delete_file_write(write->write.table->store, written->key, target->file_path,
                                  positions, write->write.table->budget, &file, err);
    if (status != MOR_OK) {
        iceberg_written_free(written);
        return status;
    }
    iceberg_uri_of_key(write->state->metadata, written->key, &uri);
    written->file.file_path = mor_arena_strdup(&written->arena, mor_buffer_terminate(&uri));
    written->file.file_format = "PARQUET";
    written->file.record_count = file.row_count;
    written->file.file_size_bytes = file.size_bytes;
    written->file.content_offset = written->file.content_size_bytes = -1;
    fill_metrics(written, &file);
    iceberg_write_add(write, written);
    return MOR_OK;
}

// ---- version 3 ----------------------------------------------------------------------------------

static void open_puffin(struct iceberg_write *write)
{
    MOR_AUTO_BUFFER uri = {0};
    write->puffins =
        mor_realloc(write->puffins, (write->puffin_count + 1) * sizeof *write->puffins);
    struct iceberg_written_puffin *held = &write->puffins[write->puffin_count++];
    iceberg_puffin_init(&held->puffin, write->write.table->budget);
    held->key = mor_asprintf("data/%s-%05u.puffin", write->uuid, write->file_number++);
    iceberg_uri_of_key(write->state->metadata, held->key, &uri);
    held->uri = mor_strdup(mor_buffer_terminate(&uri));
}

static void add_vector(struct iceberg_write *write, int32_t spec_id,
                       const struct iceberg_data_file *target,
                       const struct mor_position_set *positions)
{
    struct iceberg_blob blob;
    struct iceberg_written *written = iceberg_written_new(NULL, SIZE_MAX, spec_id);
    fill_common(written, target);
    {
        MOR_LOCKED(&write->mutex);
        if (write->puffin_count == 0 ||
            write->puffins[write->puffin_count - 1].puffin.bytes.size_bytes > PUFFIN_BYTES_MAX)
            open_puffin(write);
        written->puffin = write->puffin_count - 1;
        struct iceberg_written_puffin *held = &write->puffins[written->puffin];
        iceberg_puffin_add(&held->puffin, target->file_path, positions, &blob);
        written->file.file_path = mor_arena_strdup(&written->arena, held->uri);
    }
    written->file.file_format = "PUFFIN";
    written->file.record_count = blob.row_count;
    written->file.content_offset = blob.offset;
    written->file.content_size_bytes = blob.size_bytes;
    iceberg_write_add(write, written);
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

// How many rows the deletes of the file remove, at most.
static int64_t stated_removed(const struct iceberg_state *state, const struct iceberg_live *live)
{
    int64_t count = 0;
    for (size_t i = 0; i < live->delete_count; i++)
        count += state->deletes[live->deletes[i]].entry->file.record_count;
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
    if (iceberg_write_table(write)->format_version >= 3) {
        add_vector(write, spec_id, target, positions);
        return MOR_OK;
    }
    MOR_AUTO_BUFFER partition = {0};
    iceberg_partition_text(iceberg_state_spec(write->state, spec_id), target->partition,
                           &partition);
    return write_delete_file(write, mor_buffer_terminate(&partition), spec_id, target, positions,
                             err);
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
        status =
            iceberg_state_removed(table, write->state, live, table->table.budget, positions, err);
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
