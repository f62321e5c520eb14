#include "hudi/hudi_base_file.h"

#include <string.h>

#include "hudi/hudi_table.h"
#include "moraine/base/fault.h"

#define KEY_COLUMN 2 // of the stored columns

// Java compares strings by UTF-16 units: characters beyond the basic plane come before U+E000.
static int compare_keys(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t common = a && b ? (a_size < b_size ? a_size : b_size) : 0, i = 0;
    for (; i + 8 <= common && memcmp(a + i, b + i, 8) == 0;)
        i += 8;
    for (; i < common; i++) {
        if (a[i] == b[i])
            continue;
        if (a[i] >= 0xEE && b[i] >= 0xEE && (a[i] >= 0xF0) != (b[i] >= 0xF0))
            return a[i] >= 0xF0 ? -1 : 1;
        return a[i] < b[i] ? -1 : 1;
    }
    return (a_size > b_size) - (a_size < b_size);
}

static void keep(struct mor_buffer *buffer, const uint8_t *key, size_t size)
{
    mor_buffer_reset(buffer);
    mor_buffer_append(buffer, key, size);
}

static void add_keys(struct hudi_base_file *file, const struct mor_parquet_column_rows *keys,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *key = mor_vector_bytes_at(keys->vector, keys->first + i, &size);
        if (!file->any_key ||
            compare_keys(key, size, file->least_key.data, file->least_key.size_bytes) < 0)
            keep(&file->least_key, key, size);
        if (!file->any_key ||
            compare_keys(key, size, file->greatest_key.data, file->greatest_key.size_bytes) > 0)
            keep(&file->greatest_key, key, size);
        file->any_key = true;
    }
}

static enum mor_status write_to_sink(void *context, const void *bytes, size_t size_bytes,
                                     struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

static enum mor_status open_writer(struct hudi_base_file *file,
                                   const struct hudi_base_file_options *base, struct mor_error *err)
{
    const struct hudi_table *table = file->table;
    const struct mor_field *stored = &table->stored_schema->root;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.budget = table->table.budget;
    if (base->row_group_bytes_max > 0)
        options.row_group_bytes_max = base->row_group_bytes_max;
    // Spark 3.5's vectorised reader takes DELTA_LENGTH_BYTE_ARRAY and gives wrong texts where a
    // column holds nulls; older readers of Hudi tables refuse the delta encodings altogether.
    options.profile = MOR_PARQUET_CONSERVATIVE;
    MOR_AUTO_FREE struct mor_parquet_column_options *constants =
        mor_calloc(stored->child_count, sizeof *constants);
    for (size_t i = 0; base->constants && i < stored->child_count; i++)
        if (base->constants[i])
            constants[options.column_count++] = (struct mor_parquet_column_options){
                .path = stored->children[i].name,
                .constant = base->constants[i],
                .constant_size_bytes = strlen(base->constants[i])};
    options.columns = constants;
    struct mor_byte_sink bytes = {.context = file->sink, .write = write_to_sink};
    return mor_parquet_writer_open(table->stored_schema, &bytes, &options, &file->writer, err);
}

enum mor_status hudi_base_file_open(struct hudi_base_file *file, const struct hudi_table *table,
                                    const char *key, const struct hudi_base_file_options *options,
                                    struct mor_error *err)
{
    *file = (struct hudi_base_file){.table = table};
    MOR_TRY(mor_store_create(table->table.store, key, &file->sink, err));
    return open_writer(file, options, err);
}

enum mor_status hudi_base_file_append(struct hudi_base_file *file,
                                      const struct mor_parquet_column_rows *columns, size_t count,
                                      struct mor_error *err)
{
    add_keys(file, &columns[KEY_COLUMN], count);
    return mor_parquet_writer_append_columns(file->writer, columns, count, err);
}

enum mor_status hudi_base_file_finish(struct hudi_base_file *file, struct mor_sink_batch *batch,
                                      int64_t *ret_size_bytes, struct mor_error *err)
{
    struct mor_parquet_writer *writer = file->writer;
    struct mor_sink *sink = file->sink;
    mor_parquet_writer_add_metadata(writer, "hoodie_min_record_key",
                                    mor_buffer_terminate(&file->least_key));
    mor_parquet_writer_add_metadata(writer, "hoodie_max_record_key",
                                    mor_buffer_terminate(&file->greatest_key));
    mor_parquet_writer_add_metadata(writer, "parquet.avro.schema", file->table->block_schema_json);
    mor_parquet_writer_add_metadata(writer, "writer.model.name", "avro");
    // Spark refuses dates before 1582 in files that do not state a version that wrote them in
    // the proleptic Gregorian calendar; Hudi's own writer states it the same way
    mor_parquet_writer_add_metadata(writer, "org.apache.spark.version", "3.5.0");
    MOR_TRY(mor_parquet_writer_finish(writer, err));
    MOR_TRY(mor_fault("hudi.file_written", err));
    *ret_size_bytes = mor_sink_position(sink);
    file->sink = NULL;
    return mor_sink_batch_add(batch, sink, err);
}

void hudi_base_file_done(struct hudi_base_file *file)
{
    mor_parquet_writer_free(file->writer);
    mor_sink_free(file->sink);
    mor_buffer_done(&file->least_key);
    mor_buffer_done(&file->greatest_key);
}
