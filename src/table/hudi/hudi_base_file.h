// A base file being written: rows of all stored columns, meta columns included.
#ifndef MORAINE_TABLE_HUDI_BASE_FILE_H
#define MORAINE_TABLE_HUDI_BASE_FILE_H

#include "moraine/parquet.h"
#include "moraine/storage.h"

struct hudi_table;

struct hudi_base_file {
    const struct hudi_table *table;
    struct mor_sink *sink;
    struct mor_parquet_writer *writer;
    struct mor_buffer least_key, greatest_key;
    bool any_key;
};

struct hudi_base_file_options {
    size_t row_group_bytes_max; // 0 = the default
    // By stored column: the text that it holds in every row, NULL = it comes with the rows.
    // Borrowed for open; NULL = no column is so.
    const char *const *constants;
};

// One thread per file.
enum mor_status hudi_base_file_open(struct hudi_base_file *file, const struct hudi_table *table,
                                    const char *key, const struct hudi_base_file_options *options,
                                    struct mor_error *err) MOR_CHECKED;
// One entry for each stored column.
enum mor_status hudi_base_file_append(struct hudi_base_file *file,
                                      const struct mor_parquet_column_rows *columns, size_t count,
                                      struct mor_error *err) MOR_CHECKED;
// The object joins the batch.
enum mor_status hudi_base_file_finish(struct hudi_base_file *file, struct mor_sink_batch *batch,
                                      int64_t *ret_size_bytes, struct mor_error *err) MOR_CHECKED;
void hudi_base_file_done(struct hudi_base_file *file); // removes what is unfinished

#endif
