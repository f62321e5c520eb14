// A scan: the slices of a snapshot, one after the other by the caller's thread, or several at once
// by threads that hand finished batches over through a bounded queue.
#include <stdatomic.h>
#include <string.h>

#include "filter.h"
#include "moraine/base/queue.h"
#include "moraine/base/thread.h"

#define THREADS_MAX        64
#define BATCHES_PER_THREAD 4

struct mor_scan {
    struct mor_table *table; // borrowed
    struct mor_schema *schema;
    struct mor_slice_options options; // the same for every slice
    struct mor_arena arena;
    struct mor_slice *slices;
    size_t slice_count;
    atomic_size_t next_slice;

    struct mor_slice_reader *reader; // of the caller's thread

    // side by side: filled batches come through one queue, empty ones go back through another
    pthread_t threads[THREADS_MAX];
    size_t thread_count;
    atomic_size_t threads_running;
    struct mor_queue *filled, *empty;
    pthread_mutex_t mutex; // guards the error
    struct mor_error err;
};

// ---- open ---------------------------------------------------------------------------------------

static enum mor_status add_column(struct mor_schema *schema, const struct mor_table *table,
                                  const char *name, struct mor_error *err)
{
    const struct mor_field *field = mor_table_column(table, name);
    if (!field)
        return mor_error_set(err, MOR_DATA, "table '%s' has no column '%s'", mor_table_name(table),
                             name);
    if (mor_schema_find(schema, name) >= 0)
        return mor_error_set(err, MOR_DATA, "column '%s' is asked for twice", name);
    mor_schema_add_copy(schema, NULL, field);
    return MOR_OK;
}

static enum mor_status build_schema(struct mor_scan *scan, const struct mor_scan_options *options,
                                    struct mor_error *err)
{
    const struct mor_schema *all = mor_table_schema(scan->table);
    scan->schema = mor_schema_new("rows");
    for (size_t i = 0; options->column_count == 0 && i < all->root.child_count; i++)
        mor_schema_add_copy(scan->schema, NULL, &all->root.children[i]);
    for (size_t i = 0; i < options->column_count; i++)
        MOR_TRY(add_column(scan->schema, scan->table, options->columns[i], err));
    return MOR_OK;
}

static void prune_partitions(struct mor_scan *scan, const struct mor_filter *filter)
{
    size_t kept = 0;
    for (size_t i = 0; i < scan->slice_count; i++) {
        if (mor_filter_partition_may_match(filter, scan->table, scan->slices[i].partition))
            scan->slices[kept++] = scan->slices[i];
    }
    scan->slice_count = kept;
}

static enum mor_status start_threads(struct mor_scan *scan, size_t count, struct mor_error *err);

enum mor_status mor_scan_open(struct mor_table *table, const struct mor_scan_options *options,
                              struct mor_scan **ret_scan, struct mor_error *err)
{
    struct mor_scan *scan = mor_calloc(1, sizeof *scan);
    scan->table = table;
    scan->err = MOR_ERROR_INIT;
    pthread_mutex_init(&scan->mutex, NULL);
    mor_arena_init(&scan->arena, 0, options->budget);
    enum mor_status status = build_schema(scan, options, err);
    if (status == MOR_OK)
        status = mor_table_slices(table, options->version, &scan->arena, &scan->slices,
                                  &scan->slice_count, err);
    if (status == MOR_OK && options->filter)
        prune_partitions(scan, options->filter);
    scan->options = (struct mor_slice_options){
        .wanted = scan->schema,
        .filter = options->filter,
        .index_bytes_max = options->index_bytes_max,
        .budget = options->budget,
    };
    size_t threads = options->thread_count < THREADS_MAX ? options->thread_count : THREADS_MAX;
    if (threads > scan->slice_count)
        threads = scan->slice_count;
    if (status == MOR_OK && threads > 1)
        status = start_threads(scan, threads, err);
    if (status != MOR_OK) {
        mor_scan_free(scan);
        return status;
    }
    *ret_scan = scan;
    return MOR_OK;
}

const struct mor_schema *mor_scan_schema(const struct mor_scan *scan)
{
    return scan->schema;
}

static void free_batches(struct mor_queue *queue)
{
    if (!queue)
        return;
    mor_queue_close(queue);
    for (struct mor_batch *batch; (batch = mor_queue_pop(queue, 0)) != NULL;)
        mor_batch_free(batch);
}

void mor_scan_free(struct mor_scan *scan)
{
    if (!scan)
        return;
    // a closed queue ends the threads, the ones that wait for room too
    free_batches(scan->filled);
    free_batches(scan->empty);
    for (size_t i = 0; i < scan->thread_count; i++)
        pthread_join(scan->threads[i], NULL);
    free_batches(scan->filled);
    mor_queue_free(scan->filled);
    mor_queue_free(scan->empty);
    mor_slice_reader_free(scan->reader);
    mor_schema_free(scan->schema);
    mor_arena_done(&scan->arena);
    pthread_mutex_destroy(&scan->mutex);
    free(scan);
}

// ---- one slice after the other ------------------------------------------------------------------

static enum mor_status open_next(struct mor_scan *scan, struct mor_slice_reader **ret_reader,
                                 struct mor_error *err)
{
    size_t slice = atomic_fetch_add(&scan->next_slice, 1);
    if (slice >= scan->slice_count)
        return MOR_OK;
    return mor_slice_reader_open(scan->table, &scan->slices[slice], &scan->options, ret_reader,
                                 err);
}

static enum mor_status next_inline(struct mor_scan *scan, struct mor_batch *batch,
                                   struct mor_error *err)
{
    mor_batch_reset(batch);
    for (;;) {
        if (!scan->reader)
            MOR_TRY(open_next(scan, &scan->reader, err));
        if (!scan->reader)
            return MOR_OK;
        MOR_TRY(mor_slice_reader_next(scan->reader, batch, err));
        if (batch->row_count > 0)
            return MOR_OK;
        mor_slice_reader_free(scan->reader);
        scan->reader = NULL;
    }
}

// ---- side by side -------------------------------------------------------------------------------

static struct mor_batch *take_empty(struct mor_scan *scan)
{
    struct mor_batch *batch = mor_queue_pop(scan->empty, 0);
    return batch ? batch : mor_batch_new(scan->schema, scan->options.budget);
}

static enum mor_status read_slices(struct mor_scan *scan, struct mor_slice_reader **reader,
                                   struct mor_error *err)
{
    for (;;) {
        MOR_TRY(open_next(scan, reader, err));
        if (!*reader)
            return MOR_OK;
        for (;;) {
            struct mor_batch *batch = take_empty(scan);
            enum mor_status status = mor_slice_reader_next(*reader, batch, err);
            bool end = status != MOR_OK || batch->row_count == 0;
            if (end || !mor_queue_push(scan->filled, batch, 0)) {
                mor_batch_free(batch);
                if (end && status == MOR_OK)
                    break;
                return status;
            }
        }
        mor_slice_reader_free(*reader);
        *reader = NULL;
    }
}

static void *run_thread(void *argument)
{
    struct mor_scan *scan = argument;
    struct mor_slice_reader *reader = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    enum mor_status status = read_slices(scan, &reader, &err);
    mor_slice_reader_free(reader);
    if (status != MOR_OK) {
        MOR_LOCKED(&scan->mutex);
        if (scan->err.status == MOR_OK)
            scan->err = err;
        atomic_store(&scan->next_slice, scan->slice_count); // nobody begins another one
    }
    // the last one out ends the stream
    if (atomic_fetch_sub(&scan->threads_running, 1) == 1)
        mor_queue_close(scan->filled);
    return NULL;
}

static enum mor_status start_threads(struct mor_scan *scan, size_t count, struct mor_error *err)
{
    scan->filled = mor_queue_new(count * BATCHES_PER_THREAD, 0);
    scan->empty = mor_queue_new(count * BATCHES_PER_THREAD, 0);
    atomic_store(&scan->threads_running, count);
    while (scan->thread_count < count) {
        enum mor_status status =
            mor_thread_start(&scan->threads[scan->thread_count], "scan", run_thread, scan, err);
        if (status != MOR_OK)
            return status;
        scan->thread_count++;
    }
    return MOR_OK;
}

static enum mor_status next_handed_over(struct mor_scan *scan, struct mor_batch *batch,
                                        struct mor_error *err)
{
    mor_batch_reset(batch);
    struct mor_batch *filled = mor_queue_pop(scan->filled, -1);
    if (!filled) {
        MOR_LOCKED(&scan->mutex);
        if (scan->err.status != MOR_OK)
            *err = scan->err;
        return scan->err.status;
    }
    struct mor_batch kept = *batch;
    *batch = *filled;
    *filled = kept;
    if (!mor_queue_try_push(scan->empty, filled, 0))
        mor_batch_free(filled);
    return MOR_OK;
}

enum mor_status mor_scan_next(struct mor_scan *scan, struct mor_batch *batch, struct mor_error *err)
{
    return scan->thread_count > 0 ? next_handed_over(scan, batch, err)
                                  : next_inline(scan, batch, err);
}
