// A data file being written, and what its manifest entry says of it: counted on the way, without
// reading the file again.
#ifndef MORAINE_TABLE_ICEBERG_DATA_WRITER_H
#define MORAINE_TABLE_ICEBERG_DATA_WRITER_H

#include "iceberg/iceberg_manifest.h"
#include "moraine/parquet.h"
#include "moraine/storage.h"

struct iceberg_table;

struct iceberg_data_writer {
    const struct iceberg_table *table;
    const struct mor_schema *schema; // of the file
    struct mor_sink *sink;
    struct mor_parquet_writer *writer;
    struct iceberg_metrics *metrics;
    struct mor_vector *columns; // room for those of a batch
};

// One thread per file. `schema`: columns of the file, with ids (borrowed). row_group_bytes_max 0 =
// the default.
enum mor_status iceberg_data_writer_open(struct iceberg_data_writer *writer,
                                         const struct iceberg_table *table,
                                         const struct mor_schema *schema, const char *key,
                                         size_t row_group_bytes_max,
                                         struct mor_error *err) MOR_CHECKED;
// Columns of the batch at columns[0..) are the file's, in order; the types are the same, the file
// may require what the batch leaves open. DATA when a required column holds null.
enum mor_status iceberg_data_writer_append(struct iceberg_data_writer *writer,
                                           const struct mor_vector *columns, size_t row_count,
                                           struct mor_error *err) MOR_CHECKED;
// The object joins the batch. *ret_file: all but the partition; `uri` is borrowed, the rest in the
// arena.
enum mor_status iceberg_data_writer_finish(struct iceberg_data_writer *writer,
                                           struct mor_sink_batch *batch, const char *uri,
                                           struct mor_arena *arena,
                                           struct iceberg_data_file *ret_file,
                                           struct mor_error *err) MOR_CHECKED;
void iceberg_data_writer_done(struct iceberg_data_writer *writer); // removes what is unfinished

#endif
