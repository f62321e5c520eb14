// Iceberg's row in the registry of formats.
#include <string.h>

#include "iceberg/iceberg_expire.h"
#include "iceberg/iceberg_rewrite.h"

static void merge_rule(const struct mor_table *table, struct mor_merge_rule *ret_rule)
{
    (void)table;
    *ret_rule = (struct mor_merge_rule){.by_place = true};
}

static const struct mor_field *column(const struct mor_table *table, const char *name)
{
    // with the virtual ones
    const struct mor_schema *schema = iceberg_of_const(table)->rewrite_schema;
    int32_t index = mor_schema_find(schema, name);
    return index < 0 ? NULL : &schema->root.children[index];
}

// A row goes into a file of its own in any case.
static bool has_group(const struct mor_table *table, const char *partition, int32_t bucket)
{
    (void)partition;
    (void)bucket;
    ICEBERG_AUTO_METADATA *metadata = iceberg_known((struct iceberg_table *)(uintptr_t)table);
    return table->keyed && metadata && metadata->current_snapshot_id >= 0;
}

// Nobody needs to look for a key in other partitions: its place is known.
static void partitions_with_bucket(struct mor_table *table, int32_t bucket, struct mor_arena *arena,
                                   const char ***ret_partitions, size_t *ret_count)
{
    (void)table;
    (void)bucket;
    *ret_partitions = mor_arena_alloc(arena, sizeof **ret_partitions);
    *ret_count = 0;
}

static struct iceberg_transform transform_of(enum mor_transform transform, int32_t argument)
{
    return (struct iceberg_transform){
        transform == MOR_TRANSFORM_BUCKET ? ICEBERG_BUCKET : ICEBERG_TRUNCATE, argument};
}

static bool transform_accepts(enum mor_transform transform, int32_t argument,
                              const struct mor_field *field)
{
    return argument > 0 && iceberg_transform_accepts(transform_of(transform, argument), field);
}

static void transform_text(const struct mor_partition_column *bound,
                           const struct mor_vector *vector, size_t row, struct mor_buffer *ret_text)
{
    const struct iceberg_transform transform = transform_of(bound->transform, bound->argument);
    struct mor_field result = {0};
    MOR_AUTO_BUFFER value = {0};
    iceberg_transform_result(transform, vector->field, &result);
    if (iceberg_transform_slot(transform, vector, row, &value))
        iceberg_transform_value_format(
            transform, &result, (struct iceberg_value){value.data, value.size_bytes}, ret_text);
}

const struct mor_table_ops mor_table_iceberg_ops = {
    .name = "iceberg",
    .format = MOR_FORMAT_ICEBERG,
    .probe = iceberg_probe,
    .normalise_field = iceberg_normalise_field,
    .open_write = iceberg_open_write,
    .open_read = iceberg_open_read,
    .free = iceberg_free,
    .property = iceberg_property,
    .has_group = has_group,
    .partitions_with_bucket = partitions_with_bucket,
    .transform_accepts = transform_accepts,
    .transform_text = transform_text,
    .write_begin = iceberg_write_begin,
    .write_group = iceberg_write_group,
    .write_removal = iceberg_write_removal,
    .group_file = iceberg_write_group_file,
    .write_commit = iceberg_write_commit,
    .write_free = iceberg_write_free,
    .base_property = iceberg_write_base_property,
    .base_version = iceberg_write_base_version,
    .base_went_back = iceberg_write_base_went_back,
    .attach = iceberg_write_attach,
    .has_batch = iceberg_has_batch,
    .attachments = iceberg_attachments,
    .attachment_drop = iceberg_attachment_drop,
    .moved_files = iceberg_moved_files,
    .removed_rows = iceberg_removed_rows,
    .history = iceberg_history,
    .slices = iceberg_slices,
    .data_files = iceberg_data_files,
    .version_at = iceberg_version_at,
    .describe = iceberg_describe,
    .audit = iceberg_audit,
    .check_values = iceberg_check_values,
    .merge_rule = merge_rule,
    .column = column,
    .open_rewrite = iceberg_open_rewrite,
    .rewrite_begin = iceberg_rewrite_begin,
    .rewrite_slices = iceberg_rewrite_slices,
    .rewrite_schema = iceberg_rewrite_schema,
    .rewrite_file_open = iceberg_rewrite_file_open,
    .rewrite_file_append = iceberg_rewrite_file_append,
    .rewrite_file_size_bytes = iceberg_rewrite_file_size_bytes,
    .rewrite_file_finish = iceberg_rewrite_file_finish,
    .rewrite_file_free = iceberg_rewrite_file_free,
    .rewrite_commit = iceberg_rewrite_commit,
    .rewrite_free = iceberg_rewrite_free,
    .expire = iceberg_expire,
};
