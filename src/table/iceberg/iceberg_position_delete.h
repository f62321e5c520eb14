// Position-delete files of version 2: Parquet with (file_path, pos), sorted, no row twice. Ours
// speak of one data file each.
#ifndef MORAINE_TABLE_ICEBERG_POSITION_DELETE_H
#define MORAINE_TABLE_ICEBERG_POSITION_DELETE_H

#include "moraine/base/position_set.h"
#include "moraine/storage.h"

// Field ids of the two columns.
#define ICEBERG_ID_DELETE_FILE_PATH 2147483546
#define ICEBERG_ID_DELETE_POSITION  2147483545

// What the manifest entry of a written file needs. Bounds of file_path are the URI in whole, those
// of pos are first and last, 8 bytes little-endian.
struct iceberg_delete_file {
    int64_t size_bytes;
    int64_t row_count;
    int64_t first, last; // positions
};
// Writes the object `key`, which joins the batch. The URI is that of the
// data file, byte for byte as the manifests spell it. `positions` is not empty. Errors: those of
// mor_sink_*.
enum mor_status iceberg_delete_file_write(struct mor_store *store, struct mor_sink_batch *batch,
                                          const char *key, const char *data_file_uri,
                                          const struct mor_position_set *positions,
                                          struct mor_budget *budget,
                                          struct iceberg_delete_file *ret_file,
                                          struct mor_error *err) MOR_CHECKED;
// Adds to `positions` those that the file (of any writer) has for the data file with this URI; rows
// of other data files are passed over, unread where statistics allow it. DATA: no position-delete
// file, or damaged.
enum mor_status iceberg_delete_file_read(struct mor_store *store, const char *key,
                                         const char *data_file_uri, struct mor_budget *budget,
                                         struct mor_position_set *positions,
                                         struct mor_error *err) MOR_CHECKED;

// Calls visit with every (URI, position) in the order of the file; for checks and for files that
// speak of many data files.
typedef enum mor_status iceberg_visit_delete(void *context, const char *uri, size_t uri_size_bytes,
                                             int64_t position, struct mor_error *err);
enum mor_status iceberg_delete_file_visit(struct mor_store *store, const char *key,
                                          struct mor_budget *budget, iceberg_visit_delete *visit,
                                          void *context, struct mor_error *err) MOR_CHECKED;

#endif
