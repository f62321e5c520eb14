#include "iceberg/iceberg_data_writer.h"

#include "iceberg/iceberg_table.h"
#include "moraine/base/fault.h"

static enum mor_status write_to_sink(void *context, const void *bytes, size_t size_bytes,
                                     struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

enum mor_status iceberg_data_writer_open(struct iceberg_data_writer *writer,
                                         const struct iceberg_table *table,
                                         const struct mor_schema *schema, const char *key,
                                         size_t row_group_bytes_max, struct mor_error *err)
{
    *writer = (struct iceberg_data_writer){.table = table, .schema = schema};
    MOR_TRY(mor_store_create(table->table.store, key, &writer->sink, err));
    struct mor_byte_sink bytes = {.context = writer->sink, .write = write_to_sink};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.budget = table->table.budget;
    if (row_group_bytes_max > 0)
        options.row_group_bytes_max = row_group_bytes_max;
    // readers of Iceberg tables are of many kinds, and not all know the delta encodings
    options.profile = MOR_PARQUET_CONSERVATIVE;
    options.decimal_as_integer = true;
    writer->columns = mor_calloc(schema->root.child_count, sizeof *writer->columns);
    writer->metrics = iceberg_metrics_new(schema, 0);
    return mor_parquet_writer_open(schema, &bytes, &options, &writer->writer, err);
}

enum mor_status iceberg_data_writer_append(struct iceberg_data_writer *writer,
                                           const struct mor_vector *columns, size_t row_count,
                                           struct mor_error *err)
{
    const struct mor_schema *schema = writer->schema;
    struct mor_batch batch = {.schema = schema,
                              .row_count = row_count,
                              .column_count = schema->root.child_count,
                              .columns = writer->columns};
    for (size_t i = 0; i < batch.column_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        if (!field->nullable && columns[i].null_count > 0)
            return mor_error_set(err, MOR_DATA, "the required column '%s' holds null", field->name);
        batch.columns[i] = columns[i];
        batch.columns[i].field = field;
    }
    iceberg_metrics_add(writer->metrics, &batch, 0, row_count);
    return mor_parquet_writer_append(writer->writer, &batch, 0, row_count, err);
}

enum mor_status iceberg_data_writer_finish(struct iceberg_data_writer *writer,
                                           struct mor_sink_batch *batch, const char *uri,
                                           struct mor_arena *arena,
                                           struct iceberg_data_file *ret_file,
                                           struct mor_error *err)
{
    struct iceberg_column_metrics *metrics = NULL;
    int64_t *offsets = NULL;
    MOR_TRY(mor_parquet_writer_finish(writer->writer, err));
    MOR_TRY(mor_fault("iceberg.file_written", err));
    *ret_file = (struct iceberg_data_file){
        .content = ICEBERG_DATA,
        .file_path = uri,
        .file_format = "PARQUET",
        .record_count = mor_parquet_writer_row_count(writer->writer),
        .file_size_bytes = mor_sink_position(writer->sink),
        .sort_order_id = 0,
        .first_row_id = -1,
        .content_offset = -1,
        .content_size_bytes = -1,
    };
    iceberg_metrics_finish(writer->metrics, arena, &metrics, &ret_file->metric_count);
    for (size_t i = 0; i < ret_file->metric_count; i++)
        metrics[i].size_bytes =
            mor_parquet_writer_column_bytes(writer->writer, metrics[i].field_id);
    ret_file->metrics = metrics;
    mor_parquet_writer_row_groups(writer->writer, arena, &offsets, &ret_file->split_offset_count);
    ret_file->split_offsets = offsets;
    struct mor_sink *sink = writer->sink;
    writer->sink = NULL;
    return mor_sink_batch_add(batch, sink, err);
}

void iceberg_data_writer_done(struct iceberg_data_writer *writer)
{
    mor_parquet_writer_free(writer->writer);
    mor_sink_free(writer->sink);
    iceberg_metrics_free(writer->metrics);
    free(writer->columns);
    *writer = (struct iceberg_data_writer){0};
}
