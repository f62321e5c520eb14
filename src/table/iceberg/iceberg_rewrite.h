// A rewrite in progress, private to its files: the rows of data files that stand, in other files.
#ifndef MORAINE_TABLE_ICEBERG_REWRITE_H
#define MORAINE_TABLE_ICEBERG_REWRITE_H

#include "iceberg/iceberg_data_writer.h"
#include "iceberg/iceberg_files.h"

// Consecutive rows of a source that are consecutive in the new file.
struct iceberg_run {
    uint64_t place; // of the first: number of the slice << 32 | position
    uint32_t first; // position in the new file
    uint32_t count;
};

struct iceberg_rewrite_file {
    struct mor_rewrite_file file;
    const struct mor_slice **sources; // of the rewrite's slices
    size_t source_count;
    struct iceberg_written *written; // NULL once the rewrite's files have it
    struct iceberg_data_writer writer;
    struct iceberg_run *runs; // ascending by first
    size_t run_count, run_capacity;
    int64_t row_count;
    bool fits; // its sources are still there
};

struct iceberg_rewrite {
    struct mor_rewrite rewrite;
    enum mor_rewrite_kind kind;
    struct iceberg_state *state; // that the slices are of
    struct mor_schema *schema;   // of the new files
    struct mor_arena arena;
    struct mor_slice *slices;
    const struct iceberg_live **lives; // by number of the slice
    size_t slice_count;
    struct iceberg_files files; // new data files
    bool keeps_files;
    pthread_mutex_t mutex;                  // guards the list
    struct iceberg_rewrite_file **finished; // owned
    size_t finished_count, finished_capacity;
};

static inline struct iceberg_table *iceberg_rewrite_table(const struct iceberg_rewrite *rewrite)
{
    return iceberg_of(rewrite->rewrite.table);
}

enum mor_status iceberg_rewrite_begin(struct mor_table *table, enum mor_rewrite_kind kind,
                                      struct mor_rewrite **ret_rewrite,
                                      struct mor_error *err) MOR_CHECKED;
void iceberg_rewrite_slices(const struct mor_rewrite *rewrite, const struct mor_slice **ret_slices,
                            size_t *ret_count);
const struct mor_schema *iceberg_rewrite_schema(const struct mor_rewrite *rewrite);
void iceberg_rewrite_free(struct mor_rewrite *rewrite);
enum mor_status iceberg_rewrite_file_open(struct mor_rewrite *rewrite,
                                          const struct mor_slice *const *slices, size_t slice_count,
                                          size_t row_group_bytes_max,
                                          struct mor_rewrite_file **ret_file,
                                          struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_rewrite_file_append(struct mor_rewrite_file *file,
                                            const struct mor_batch *batch,
                                            struct mor_error *err) MOR_CHECKED;
int64_t iceberg_rewrite_file_size_bytes(const struct mor_rewrite_file *file);
enum mor_status iceberg_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                            const struct mor_rewrite_counts *counts,
                                            struct mor_error *err) MOR_CHECKED;
void iceberg_rewrite_file_free(struct mor_rewrite_file *file);

// ---- iceberg_rewrite_publish.c ------------------------------------------------------------------

enum mor_status iceberg_rewrite_commit(struct mor_rewrite *rewrite,
                                       struct mor_rewrite_result *ret_result,
                                       struct mor_error *err) MOR_CHECKED;

#endif
