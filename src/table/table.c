// The public functions that only hand over to the table's format.
#include "moraine/table.h"

#include "table_format.h"

void mor_table_free(struct mor_table *table)
{
    if (table)
        table->ops->free(table);
}

const struct mor_schema *mor_table_schema(const struct mor_table *table)
{
    return table->schema;
}

const char *mor_table_name(const struct mor_table *table)
{
    return table->name;
}

bool mor_table_is_outgrown(const struct mor_table *table)
{
    return table->outgrown;
}

bool mor_table_is_keyed(const struct mor_table *table)
{
    return table->keyed;
}

bool mor_table_has_places(const struct mor_table *table)
{
    return table->ops->write_removal != NULL;
}

bool mor_table_is_key_column(const struct mor_table *table, const char *name)
{
    for (size_t i = 0; i < table->key_column_count; i++) {
        if (strcmp(table->schema->root.children[table->key_columns[i]].name, name) == 0)
            return true;
    }
    return false;
}

const char *mor_table_key_column(const struct mor_table *table, size_t index)
{
    return index < table->key_column_count
               ? table->schema->root.children[table->key_columns[index]].name
               : NULL;
}

struct mor_store *mor_table_store(const struct mor_table *table)
{
    return table->store;
}

enum mor_status mor_table_property(struct mor_table *table, const char *key, bool refresh,
                                   struct mor_arena *arena, char **ret_value, struct mor_error *err)
{
    return table->ops->property(table, key, refresh, arena, ret_value, err);
}

void mor_table_partitions_with_bucket(struct mor_table *table, int32_t bucket,
                                      struct mor_arena *arena, const char ***ret_partitions,
                                      size_t *ret_count)
{
    table->ops->partitions_with_bucket(table, bucket, arena, ret_partitions, ret_count);
}

bool mor_table_has_group(const struct mor_table *table, const char *partition, int32_t bucket)
{
    return table->ops->has_group(table, partition, bucket);
}

enum mor_status mor_write_begin(struct mor_table *table, const struct mor_uuid *batch_id,
                                struct mor_write **ret_write, struct mor_error *err)
{
    enum mor_status status = table->ops->write_begin(table, batch_id, ret_write, err);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not begin a commit to table '%s'", table->name);
}

enum mor_status mor_write_group(struct mor_write *write, const struct mor_change_set *changes,
                                size_t group_index, struct mor_error *err)
{
    return write->table->ops->write_group(write, changes, group_index, err);
}

const char *mor_write_group_file(const struct mor_write *write, size_t group_index)
{
    const struct mor_table_ops *ops = write->table->ops;
    return ops->group_file ? ops->group_file(write, group_index) : NULL;
}

enum mor_status mor_write_removal(struct mor_write *write, const struct mor_change_set *changes,
                                  size_t removal_index, struct mor_error *err)
{
    const struct mor_table *table = write->table;
    if (!table->ops->write_removal)
        return mor_error_set(err, MOR_FATAL, "rows of table '%s' are removed by key, not by place",
                             table->name);
    return table->ops->write_removal(write, changes, removal_index, err);
}

enum mor_status mor_write_commit(struct mor_write *write, const struct mor_property *properties,
                                 size_t property_count, struct mor_commit_result *ret_result,
                                 struct mor_error *err)
{
    struct mor_table *table = write->table;
    enum mor_status status =
        table->ops->write_commit(write, properties, property_count, ret_result, err);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not commit to table '%s'", table->name);
}

const char *mor_write_base_property(const struct mor_write *write, const char *key)
{
    return write->table->ops->base_property(write, key);
}

const char *mor_write_base_version(const struct mor_write *write)
{
    return write->table->ops->base_version(write);
}

bool mor_write_base_went_back(const struct mor_write *write)
{
    return write->table->ops->base_went_back(write);
}

enum mor_status mor_write_attach(struct mor_write *write, const char *kind, const void *bytes,
                                 size_t size_bytes, struct mor_error *err)
{
    return write->table->ops->attach(write, kind, bytes, size_bytes, err);
}

void mor_write_free(struct mor_write *write)
{
    if (write)
        write->table->ops->write_free(write);
}

enum mor_status mor_table_has_batch(struct mor_table *table, const struct mor_uuid *batch_id,
                                    bool *ret_has, struct mor_error *err)
{
    return table->ops->has_batch(table, batch_id, ret_has, err);
}

enum mor_status mor_table_attachments(struct mor_table *table, const char *kind,
                                      const char *after_version, struct mor_arena *arena,
                                      struct mor_attachment **ret_attachments, size_t *ret_count,
                                      struct mor_error *err)
{
    return table->ops->attachments(table, kind, after_version, arena, ret_attachments, ret_count,
                                   err);
}

enum mor_status mor_table_moved_files(struct mor_table *table, const char *after_version,
                                      struct mor_arena *arena, struct mor_slice **ret_slices,
                                      size_t *ret_count, struct mor_error *err)
{
    if (!table->ops->moved_files)
        return mor_error_set(err, MOR_NOT_FOUND, "rows of table '%s' have no places", table->name);
    return table->ops->moved_files(table, after_version, arena, ret_slices, ret_count, err);
}

enum mor_status
mor_table_check_values(struct mor_table *table,
                       void (*report)(void *context, const char *key, const char *text),
                       void *context, struct mor_values_checked *ret_checked, struct mor_error *err)
{
    *ret_checked = (struct mor_values_checked){0};
    return table->ops->check_values
               ? table->ops->check_values(table, report, context, ret_checked, err)
               : MOR_OK;
}

enum mor_status mor_table_removed_rows(struct mor_table *table, const struct mor_slice *slice,
                                       struct mor_budget *budget,
                                       struct mor_position_set **ret_positions,
                                       struct mor_error *err)
{
    *ret_positions = NULL;
    if (!table->ops->removed_rows || slice->delta_count == 0)
        return MOR_OK;
    return table->ops->removed_rows(table, slice, budget, ret_positions, err);
}

enum mor_status mor_table_attachment_drop(struct mor_table *table,
                                          const struct mor_attachment *attachment,
                                          struct mor_error *err)
{
    return table->ops->attachment_drop(table, attachment, err);
}

enum mor_status mor_table_history(struct mor_table *table, struct mor_arena *arena,
                                  struct mor_commit_info **ret_commits, size_t *ret_count,
                                  struct mor_error *err)
{
    return table->ops->history(table, arena, ret_commits, ret_count, err);
}

enum mor_status mor_table_slices(struct mor_table *table, const char *version,
                                 struct mor_arena *arena, struct mor_slice **ret_slices,
                                 size_t *ret_count, struct mor_error *err)
{
    return table->ops->slices(table, version, arena, ret_slices, ret_count, err);
}

enum mor_status mor_table_mark_outdated(struct mor_table *table, struct mor_slice *slices,
                                        size_t count, struct mor_error *err)
{
    // deltas that hold no rows do not grow old
    return table->ops->mark_outdated ? table->ops->mark_outdated(table, slices, count, err)
                                     : MOR_OK;
}

enum mor_status mor_table_version_at(struct mor_table *table, int64_t time_ms, char ret_version[64],
                                     struct mor_error *err)
{
    return table->ops->version_at(table, time_ms, ret_version, err);
}

enum mor_status mor_table_describe(struct mor_table *table, struct mor_buffer *ret_json,
                                   struct mor_error *err)
{
    return table->ops->describe(table, ret_json, err);
}

enum mor_status mor_table_audit(struct mor_table *table, struct mor_arena *arena,
                                struct mor_table_audit *ret_audit, struct mor_error *err)
{
    return table->ops->audit(table, arena, ret_audit, err);
}

void mor_table_merge_rule(const struct mor_table *table, struct mor_merge_rule *ret_rule)
{
    table->ops->merge_rule(table, ret_rule);
}

const struct mor_field *mor_table_column(const struct mor_table *table, const char *name)
{
    return table->ops->column(table, name);
}

enum mor_status mor_delta_open(struct mor_table *table, const struct mor_slice *slice,
                               const struct mor_schema *wanted, struct mor_delta **ret_delta,
                               struct mor_error *err)
{
    if (!table->ops->delta_open)
        return mor_error_set(err, MOR_FATAL, "rows of table '%s' are removed by place only",
                             table->name);
    return table->ops->delta_open(table, slice, wanted, ret_delta, err);
}

enum mor_status mor_delta_next(struct mor_delta *delta, enum mor_delta_kind *ret_kind,
                               const struct mor_batch **ret_batch, struct mor_error *err)
{
    return delta->table->ops->delta_next(delta, ret_kind, ret_batch, err);
}

void mor_delta_select(struct mor_delta *delta, const uint8_t *row_bits, uint64_t row_count)
{
    delta->table->ops->delta_select(delta, row_bits, row_count);
}

void mor_delta_free(struct mor_delta *delta)
{
    if (delta)
        delta->table->ops->delta_free(delta);
}
