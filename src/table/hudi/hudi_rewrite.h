// A rewrite in progress, private to its files.
#ifndef MORAINE_TABLE_HUDI_REWRITE_H
#define MORAINE_TABLE_HUDI_REWRITE_H

#include "hudi/hudi_base_file.h"
#include "hudi/hudi_table.h"

struct hudi_rewrite_file {
    struct mor_rewrite_file file;
    const struct mor_slice **sources; // of the rewrite's slices
    size_t source_count;
    char *file_id, *name;
    const char *staged; // key; borrowed from the change
    struct hudi_base_file base;
    struct mor_parquet_column_rows *columns; // one per stored column
    struct mor_rewrite_counts counts;
    int64_t row_count, size_bytes;
    bool fits;                   // what it was made of is still so
    const struct mor_slice *now; // merging: the slice when the rewrite is published
    json_t *logs;                // names of logs that are published again beside the file
};

struct hudi_rewrite {
    struct mor_rewrite rewrite;
    enum mor_rewrite_kind kind;
    struct hudi_change change;
    const char *instant;       // of the change
    struct mor_schema *schema; // of the rows that come in, owned
    struct mor_uuid id;
    struct mor_arena arena;
    struct mor_slice *slices;
    size_t slice_count;
    pthread_mutex_t mutex;            // guards the list
    struct hudi_rewrite_file **files; // finished, owned
    size_t file_count, file_capacity;
};

static inline struct hudi_table *hudi_rewrite_table(const struct hudi_rewrite *rewrite)
{
    return hudi_of(rewrite->rewrite.table);
}

// ---- hudi_rewrite.c -----------------------------------------------------------------------------

enum mor_status hudi_open_rewrite(struct mor_store *take_store, const char *instance,
                                  struct mor_budget *budget, struct mor_table **ret_table,
                                  struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_rewrite_begin(struct mor_table *table, enum mor_rewrite_kind kind,
                                   struct mor_rewrite **ret_rewrite,
                                   struct mor_error *err) MOR_CHECKED;
void hudi_rewrite_slices(const struct mor_rewrite *rewrite, const struct mor_slice **ret_slices,
                         size_t *ret_count);
const struct mor_schema *hudi_rewrite_schema(const struct mor_rewrite *rewrite);
void hudi_rewrite_free(struct mor_rewrite *rewrite);
enum mor_status hudi_rewrite_file_open(struct mor_rewrite *rewrite,
                                       const struct mor_slice *const *slices, size_t slice_count,
                                       size_t row_group_bytes_max,
                                       struct mor_rewrite_file **ret_file,
                                       struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_rewrite_file_append(struct mor_rewrite_file *file,
                                         const struct mor_batch *batch,
                                         struct mor_error *err) MOR_CHECKED;
int64_t hudi_rewrite_file_size_bytes(const struct mor_rewrite_file *file);
enum mor_status hudi_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                         const struct mor_rewrite_counts *counts,
                                         struct mor_error *err) MOR_CHECKED;
void hudi_rewrite_file_free(struct mor_rewrite_file *file);

// ---- hudi_rewrite_publish.c ---------------------------------------------------------------------

enum mor_status hudi_rewrite_commit(struct mor_rewrite *rewrite,
                                    struct mor_rewrite_result *ret_result,
                                    struct mor_error *err) MOR_CHECKED;

// ---- hudi_rewrite_metadata.c --------------------------------------------------------------------

// Stages what the timeline says of the rewrite before it is completed: plan and inflight file.
enum mor_status hudi_rewrite_put_plan(struct hudi_rewrite *rewrite,
                                      struct mor_error *err) MOR_CHECKED;
// Bytes of the completed instant, for the files that fit.
enum mor_status hudi_rewrite_completed(struct hudi_rewrite *rewrite, struct mor_buffer *ret_bytes,
                                       struct mor_error *err) MOR_CHECKED;

#endif
