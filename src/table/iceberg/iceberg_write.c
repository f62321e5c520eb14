#include "iceberg/iceberg_write.h"

#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_data_writer.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define STEP_ROWS 4096

// ---- begin --------------------------------------------------------------------------------------

static enum mor_status check_instance(const struct iceberg_table *table, struct mor_error *err)
{
    enum mor_status status = mor_lock_check(table->lock, err);
    if (status == MOR_FENCED)
        err->status = status = MOR_FATAL; // another process may use the name by now
    return status;
}

// Notices that somebody took the table back, and removes what was attached to what is gone.
static enum mor_status follow(struct iceberg_table *table, const struct iceberg_metadata *metadata,
                              struct mor_error *err)
{
    struct mor_store *store = table->table.store;
    bool taken = table->seen_snapshot_id >= 0 &&
                 iceberg_was_taken_back(metadata, table->seen_snapshot_id, table->seen_sequence);
    MOR_TRY(iceberg_attached_settle(store, metadata, err));
    if (taken || !table->attached_checked)
        MOR_TRY(iceberg_attached_purge(table, err));
    table->attached_checked = true;
    table->went_back |= taken;
    return MOR_OK;
}

static enum mor_status begin(struct iceberg_table *table, struct iceberg_write *write,
                             struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    mor_turn_take(&table->turn, table->table.store, ICEBERG_TURN_KEY, table->instance,
                  table->turn_wait_ms);
    MOR_TRY(mor_fault("iceberg.begin", err));
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(check_instance(table, err));
    table->table.outgrown = iceberg_is_outgrown(table, metadata);
    MOR_TRY(iceberg_check_unchanged(table, metadata, err));
    MOR_TRY(follow(table, metadata, err));
    iceberg_files_init(&write->files, table, metadata);
    MOR_TRY(iceberg_state_open(table, metadata, -1, &write->state, err));
    if (table->table.keyed) {
        MOR_TRY(iceberg_state_load_files(table, write->state, err));
        MOR_TRY(iceberg_state_check_deletes(write->state, err));
    }
    const struct iceberg_snapshot *head = &write->state->snapshot;
    write->base = iceberg_base_properties(metadata);
    write->snapshot_id = iceberg_metadata_new_snapshot_id(metadata);
    write->went_back = table->went_back;
    iceberg_version_format(head->snapshot_id, write->base_version);
    table->went_back = false;
    table->begin_snapshot_id = table->seen_snapshot_id = head->snapshot_id;
    table->seen_sequence = head->snapshot_id >= 0 ? head->sequence_number : -1;
    iceberg_pending_done(table);
    return MOR_OK;
}

enum mor_status iceberg_write_begin(struct mor_table *head, const struct mor_uuid *batch_id,
                                    struct mor_write **ret_write, struct mor_error *err)
{
    struct iceberg_write *write = mor_calloc(1, sizeof *write);
    write->write.table = head;
    write->batch_id = *batch_id;
    pthread_mutex_init(&write->mutex, NULL);
    enum mor_status status = begin(iceberg_of(head), write, err);
    if (status != MOR_OK) {
        iceberg_write_free(&write->write);
        return status;
    }
    *ret_write = &write->write;
    return MOR_OK;
}

const char *iceberg_write_base_property(const struct mor_write *base, const char *key)
{
    char name[128];
    iceberg_property_name(key, name, sizeof name);
    return iceberg_json_text(((const struct iceberg_write *)base)->base, name);
}

const char *iceberg_write_base_version(const struct mor_write *base)
{
    return ((const struct iceberg_write *)base)->base_version;
}

bool iceberg_write_base_went_back(const struct mor_write *base)
{
    return ((const struct iceberg_write *)base)->went_back;
}

// ---- groups -------------------------------------------------------------------------------------

// Rows of the group in their order, a step at a time.
static enum mor_status write_rows(const struct mor_change_set *changes,
                                  const struct mor_change_group *group, struct mor_batch *scratch,
                                  struct iceberg_data_writer *writer, struct mor_error *err)
{
    uint32_t indices[STEP_ROWS];
    for (size_t next = 0; next < group->upsert_count;) {
        const struct mor_row_ref *refs = &group->upserts[next];
        const struct mor_batch *batch = changes->batches[refs[0].batch];
        size_t count = 0, left = group->upsert_count - next;
        while (count < left && count < STEP_ROWS && refs[count].batch == refs[0].batch) {
            indices[count] = refs[count].row;
            count++;
        }
        mor_batch_reset(scratch);
        mor_batch_append_rows(scratch, batch, indices, count);
        MOR_TRY(iceberg_data_writer_append(writer, scratch->columns, count, err));
        next += count;
    }
    return MOR_OK;
}

static enum mor_status write_file(struct iceberg_write *write, const struct mor_change_set *changes,
                                  const struct mor_change_group *group,
                                  struct iceberg_written *written, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_write_table(write);
    const struct iceberg_spec *spec = iceberg_state_spec(write->state, written->spec_id);
    if (!spec)
        return mor_error_set(err, MOR_FATAL, "partition spec %d was removed from the table",
                             written->spec_id);
    struct iceberg_data_writer writer = {0};
    const char *uri = iceberg_files_uri(&write->files, written, written->key);
    struct mor_batch *scratch = mor_batch_new(table->table.schema, table->table.budget);
    enum mor_status status =
        iceberg_data_writer_open(&writer, table, table->file_schema, written->key, 0, err);
    if (status == MOR_OK)
        status = write_rows(changes, group, scratch, &writer, err);
    if (status == MOR_OK)
        status = iceberg_data_writer_finish(&writer, write->files.sinks, uri, &written->arena,
                                            &written->file, err);
    iceberg_data_writer_done(&writer);
    mor_batch_free(scratch);
    MOR_TRY(status);
    struct iceberg_value *tuple =
        mor_arena_calloc(&written->arena, spec->field_count + 1, sizeof *tuple);
    iceberg_spec_tuple(spec, changes->batches[group->upserts[0].batch], group->upserts[0].row,
                       &written->arena, tuple);
    written->file.partition = tuple;
    return MOR_OK;
}

enum mor_status iceberg_write_group(struct mor_write *base, const struct mor_change_set *changes,
                                    size_t group_index, struct mor_error *err)
{
    struct iceberg_write *write = (struct iceberg_write *)base;
    const struct mor_change_group *group = &changes->groups[group_index];
    if (group->delete_count > 0)
        return mor_error_set(err, MOR_FATAL, "rows of table '%s' are removed by place, not by key",
                             base->table->name);
    if (group->upsert_count == 0)
        return MOR_OK;
    struct iceberg_written *written = iceberg_files_new(&write->files, group->partition, ".parquet",
                                                        iceberg_write_table(write)->spec_id);
    written->group = group_index;
    enum mor_status status = mor_fault("iceberg.group", err);
    if (status == MOR_OK)
        status = write_file(write, changes, group, written, err);
    if (status != MOR_OK) {
        iceberg_written_free(written);
        return status;
    }
    iceberg_files_add(&write->files, written);
    return mor_fault("iceberg.group_written", err);
}

const char *iceberg_write_group_file(const struct mor_write *base, size_t group_index)
{
    struct iceberg_write *write = (struct iceberg_write *)(uintptr_t)base;
    MOR_LOCKED(&write->files.mutex);
    for (size_t i = 0; i < write->files.count; i++) {
        if (write->files.list[i]->group == group_index)
            return write->files.list[i]->key;
    }
    return NULL;
}

// ---- commit -------------------------------------------------------------------------------------

// What the base says and this commit does not is carried on: one commit tells everything.
static json_t *build_properties(const struct iceberg_write *write,
                                const struct mor_property *properties, size_t property_count)
{
    json_t *result = iceberg_carried_properties(write->base);
    char batch[MOR_UUID_TEXT_SIZE], name[128];
    mor_uuid_format(&write->batch_id, batch);
    for (size_t i = 0; i < property_count; i++) {
        iceberg_property_name(properties[i].key, name, sizeof name);
        json_object_set_new(result, name, json_string(properties[i].value));
    }
    json_object_set_new(result, ICEBERG_BATCH_KEY, json_string(batch));
    MOR_AUTO_BUFFER kinds = {0};
    for (size_t i = 0; i < write->attached_count; i++)
        mor_buffer_printf(&kinds, "%s%s", i > 0 ? "," : "", write->attached[i].kind);
    if (write->attached_count > 0)
        json_object_set_new(result, ICEBERG_ATTACHED_KEY,
                            json_string(mor_buffer_terminate(&kinds)));
    return result;
}

static void adopt(struct iceberg_write *write, const struct iceberg_metadata *metadata,
                  struct mor_commit_result *ret_result)
{
    struct iceberg_table *table = iceberg_write_table(write);
    *ret_result = (struct mor_commit_result){.file_count = (int64_t)write->files.count};
    iceberg_version_format(write->snapshot_id, ret_result->version);
    for (size_t i = 0; i < write->files.count; i++) {
        const struct iceberg_data_file *file = &write->files.list[i]->file;
        bool is_vector = file->content_size_bytes >= 0;
        ret_result->bytes_written += is_vector ? file->content_size_bytes : file->file_size_bytes;
        ret_result->log_file_count += file->content != ICEBERG_DATA;
    }
    table->seen_snapshot_id = write->snapshot_id;
    table->seen_sequence = write->state->metadata->last_sequence_number + 1;
    // The commit is in: what does not get its place now gets it with the next begin.
    struct mor_error ignored = MOR_ERROR_INIT;
    enum mor_status status = write->attached_count > 0
                                 ? iceberg_attached_settle(table->table.store, metadata, &ignored)
                                 : MOR_OK;
    (void)status;
}

// The outcome is not known: what was sent is kept, to be sent again.
static void keep_pending(struct iceberg_write *write, struct iceberg_draft *draft)
{
    struct iceberg_pending *pending = &iceberg_write_table(write)->pending;
    iceberg_pending_done(iceberg_write_table(write));
    *pending = (struct iceberg_pending){.base = iceberg_metadata_ref(write->state->metadata),
                                        .change = draft->change,
                                        .snapshot_id = write->snapshot_id,
                                        .batch_id = write->batch_id};
    draft->change = (struct iceberg_change){0};
}

static enum mor_status publish(struct iceberg_write *write, struct iceberg_draft *draft,
                               const struct mor_property *properties, size_t property_count,
                               struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    for (size_t i = 0; i < write->files.count; i++)
        iceberg_draft_add(draft, write->files.list[i]->spec_id, &write->files.list[i]->file, -1);
    for (size_t i = 0; i < write->removed_count; i++)
        iceberg_draft_remove(draft, write->removed[i]);
    ICEBERG_AUTO_JSON *all = build_properties(write, properties, property_count);
    enum mor_status status = iceberg_draft_commit(draft, NULL, all, ret_metadata, err);
    write->keeps_files = status == MOR_OK || status == MOR_UNKNOWN;
    if (status == MOR_UNKNOWN)
        keep_pending(write, draft);
    return status;
}

enum mor_status iceberg_write_commit(struct mor_write *base, const struct mor_property *properties,
                                     size_t property_count, struct mor_commit_result *ret_result,
                                     struct mor_error *err)
{
    struct iceberg_write *write = (struct iceberg_write *)base;
    struct iceberg_table *table = iceberg_write_table(write);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(mor_fault("iceberg.commit", err));
    MOR_TRY(check_instance(table, err));
    MOR_TRY(iceberg_files_finish(&write->files, err));
    struct iceberg_draft draft;
    iceberg_draft_init(&draft, table, write->state, write->snapshot_id);
    enum mor_status status = publish(write, &draft, properties, property_count, &metadata, err);
    iceberg_draft_done(&draft);
    if (status == MOR_OK)
        status = mor_fault("iceberg.committed", err);
    if (status == MOR_OK)
        adopt(write, metadata, ret_result);
    else if (write->keeps_files && status == MOR_RETRY)
        err->status = status = MOR_UNKNOWN; // decided, and the caller asks
    mor_turn_release(&table->turn);
    return status;
}

void iceberg_write_free(struct mor_write *base)
{
    struct iceberg_write *write = (struct iceberg_write *)base;
    iceberg_files_done(&write->files, write->keeps_files);
    for (size_t i = 0; i < write->attached_count; i++) {
        struct mor_error ignored = MOR_ERROR_INIT;
        // what cannot be deleted now is found as an orphan later
        enum mor_status status =
            write->keeps_files
                ? MOR_OK
                : mor_store_delete(base->table->store, write->attached[i].key, false, &ignored);
        (void)status;
        free(write->attached[i].kind);
        free(write->attached[i].key);
    }
    mor_turn_release(&iceberg_of(base->table)->turn);
    iceberg_state_unref(write->state);
    json_decref(write->base);
    free(write->attached);
    free(write->removed);
    pthread_mutex_destroy(&write->mutex);
    free(write);
}
