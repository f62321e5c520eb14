// The file writer behind the public face, in the parts that its source files share.
#ifndef MOR_PQ_WRITER_H
#define MOR_PQ_WRITER_H

#include <pthread.h>

#include "moraine/parquet.h"
#include "pq_column_writer.h"

struct mor_pq_pool;

struct mor_parquet_writer {
    struct mor_byte_sink sink;
    struct mor_schema *schema;
    struct mor_arena arena; // footer metadata, paths, elements
    struct mor_pq_writer_config config;
    size_t row_group_rows_max, row_group_bytes_max;
    struct mor_pq_path *paths;
    struct mor_pq_column_writer *columns; // one per leaf
    size_t leaf_count;
    struct mor_parquet_column_rows *rows; // scratch, one per field of the schema
    struct mor_pq_tree tree;
    struct mor_pq_file file;      // filled as row groups are written
    struct mor_buffer row_groups; // struct mor_pq_row_group[]
    struct mor_buffer key_values; // struct mor_pq_key_value[]
    struct mor_pq_sorting *sorting;
    size_t sorting_count;
    size_t group_rows; // rows in the open row group
    int64_t row_count, position;
    struct mor_buffer out;     // bytes not yet given to the sink
    struct mor_buffer indexes; // serialised column and offset indexes of finished row groups
    struct mor_pq_pool *pool;  // NULL = one thread
    pthread_mutex_t mutex;     // of free_work
    struct mor_pq_workspace *work, *free_work;
    size_t work_count;
    bool started, finished, broken;
};

// Lends the column a workspace / takes it back. Any thread of the writer.
void mor_pq_writer_lend(struct mor_parquet_writer *writer, struct mor_pq_column_writer *column);
void mor_pq_writer_take_back(struct mor_parquet_writer *writer,
                             struct mor_pq_column_writer *column);
// Adds bytes to the file; small pieces are gathered.
enum mor_status mor_pq_writer_put(struct mor_parquet_writer *writer, const void *bytes,
                                  size_t size_bytes, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_pq_writer_drain(struct mor_parquet_writer *writer,
                                    struct mor_error *err) MOR_CHECKED;

// Writes the chunks of the open row group and records them (pq_row_group.c).
enum mor_status mor_pq_writer_flush_row_group(struct mor_parquet_writer *writer,
                                              struct mor_error *err) MOR_CHECKED;
// Writes the gathered page indexes; chunk metadata gets their places.
enum mor_status mor_pq_writer_put_indexes(struct mor_parquet_writer *writer,
                                          struct mor_error *err) MOR_CHECKED;

// Runs work(context, i) for i in [0, count) on the pool's threads and the caller's (pq_pool.c).
struct mor_pq_pool *mor_pq_pool_new(size_t thread_count, struct mor_error *err);
void mor_pq_pool_free(struct mor_pq_pool *pool);
void mor_pq_pool_run(struct mor_pq_pool *pool, size_t count,
                     void (*work)(void *context, size_t index), void *context);

#endif
