#include "iceberg/iceberg_rewrite.h"

#include <string.h>

#include "iceberg/iceberg_schema.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

// ---- begin --------------------------------------------------------------------------------------

static void add_long(struct mor_schema *schema, const char *name, int32_t field_id)
{
    mor_schema_add(schema, NULL, name, MOR_TYPE_INT64, true)->field_id = field_id;
}

// The files hold what a row is known by in version 3: otherwise it would get another id.
static struct mor_schema *new_schema(const struct iceberg_table *table)
{
    struct mor_schema *schema = mor_schema_copy(table->file_schema);
    if (table->format_version >= 3) {
        add_long(schema, MOR_COLUMN_ROW_ID, ICEBERG_ID_ROW_ID);
        add_long(schema, MOR_COLUMN_SEQUENCE, ICEBERG_ID_LAST_UPDATED);
    }
    return schema;
}

// Columns that were added since this handle was opened would be lost.
static enum mor_status check_schema(const struct iceberg_table *table,
                                    const struct iceberg_metadata *metadata, struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    MOR_TRY(iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                     &schema, err));
    enum mor_status status = MOR_OK;
    if (!mor_schema_equal(schema, table->file_schema))
        status = mor_error_set(err, MOR_RETRY, "the columns of the table changed just now");
    mor_schema_free(schema);
    return status == MOR_OK ? iceberg_check_unchanged(table, metadata, err) : status;
}

// Slices of the partitioning that the table has now: those of older ones stay as they are.
static void choose_slices(struct iceberg_rewrite *rewrite)
{
    const struct iceberg_state *state = rewrite->state;
    size_t kept = 0;
    rewrite->lives =
        mor_arena_alloc(&rewrite->arena, (rewrite->slice_count + 1) * sizeof *rewrite->lives);
    for (size_t i = 0; i < rewrite->slice_count; i++) {
        const struct iceberg_live *live = &state->data[i];
        if (state->manifests[live->manifest].spec_id != state->metadata->default_spec_id)
            continue;
        rewrite->slices[kept] = rewrite->slices[i];
        rewrite->slices[kept].number = (uint32_t)kept;
        rewrite->lives[kept++] = live;
    }
    rewrite->slice_count = kept;
}

static enum mor_status begin(struct iceberg_rewrite *rewrite, struct mor_error *err)
{
    struct iceberg_table *table = iceberg_rewrite_table(rewrite);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(check_schema(table, metadata, err));
    MOR_TRY(iceberg_state_open(table, metadata, -1, &rewrite->state, err));
    MOR_TRY(iceberg_state_load_files(table, rewrite->state, err));
    MOR_TRY(iceberg_slices_of(table, rewrite->state, &rewrite->arena, &rewrite->slices,
                              &rewrite->slice_count, err));
    choose_slices(rewrite);
    iceberg_files_init(&rewrite->files, table, metadata);
    return mor_fault("iceberg.rewrite_begin", err);
}

enum mor_status iceberg_rewrite_begin(struct mor_table *head, enum mor_rewrite_kind kind,
                                      struct mor_rewrite **ret_rewrite, struct mor_error *err)
{
    struct iceberg_rewrite *rewrite = mor_calloc(1, sizeof *rewrite);
    rewrite->rewrite.table = head;
    rewrite->kind = kind;
    rewrite->schema = new_schema(iceberg_of(head));
    mor_arena_init(&rewrite->arena, 0, head->budget);
    pthread_mutex_init(&rewrite->mutex, NULL);
    enum mor_status status = begin(rewrite, err);
    if (status != MOR_OK) {
        iceberg_rewrite_free(&rewrite->rewrite);
        return status;
    }
    *ret_rewrite = &rewrite->rewrite;
    return MOR_OK;
}

void iceberg_rewrite_slices(const struct mor_rewrite *base, const struct mor_slice **ret_slices,
                            size_t *ret_count)
{
    const struct iceberg_rewrite *rewrite = (const struct iceberg_rewrite *)base;
    *ret_slices = rewrite->slices;
    *ret_count = rewrite->slice_count;
}

const struct mor_schema *iceberg_rewrite_schema(const struct mor_rewrite *base)
{
    return iceberg_of(base->table)->rewrite_schema;
}

void iceberg_rewrite_free(struct mor_rewrite *base)
{
    struct iceberg_rewrite *rewrite = (struct iceberg_rewrite *)base;
    for (size_t i = 0; i < rewrite->finished_count; i++)
        iceberg_rewrite_file_free(&rewrite->finished[i]->file);
    free(rewrite->finished);
    iceberg_files_done(&rewrite->files, rewrite->keeps_files);
    iceberg_state_unref(rewrite->state);
    mor_schema_free(rewrite->schema);
    pthread_mutex_destroy(&rewrite->mutex);
    mor_arena_done(&rewrite->arena);
    free(rewrite);
}

// ---- files --------------------------------------------------------------------------------------

static enum mor_status check_sources(const struct iceberg_rewrite *rewrite,
                                     const struct mor_slice *const *slices, size_t count,
                                     struct mor_error *err)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(slices[i]->partition, slices[0]->partition) != 0)
            return mor_error_set(err, MOR_FATAL, "files of partitions '%s' and '%s' cannot be one",
                                 slices[0]->partition, slices[i]->partition);
    }
    return count > 0 && slices[0]->number < rewrite->slice_count
               ? MOR_OK
               : mor_error_set(err, MOR_FATAL, "a new file needs slices that it is made of");
}

// The new file lies in the partition of its sources.
static void take_partition(struct iceberg_rewrite *rewrite, struct iceberg_rewrite_file *file)
{
    const struct iceberg_live *live = rewrite->lives[file->sources[0]->number];
    const struct iceberg_spec *spec = iceberg_state_spec(rewrite->state, file->written->spec_id);
    struct mor_arena *arena = &file->written->arena;
    struct iceberg_value *tuple = mor_arena_calloc(arena, spec->field_count + 1, sizeof *tuple);
    for (size_t i = 0; i < spec->field_count; i++)
        tuple[i] = iceberg_value_copy(live->entry->file.partition[i], arena);
    file->written->file.partition = tuple;
}

enum mor_status iceberg_rewrite_file_open(struct mor_rewrite *base,
                                          const struct mor_slice *const *slices, size_t slice_count,
                                          size_t row_group_bytes_max,
                                          struct mor_rewrite_file **ret_file, struct mor_error *err)
{
    struct iceberg_rewrite *rewrite = (struct iceberg_rewrite *)base;
    MOR_TRY(check_sources(rewrite, slices, slice_count, err));
    struct iceberg_rewrite_file *file = mor_calloc(1, sizeof *file);
    file->file.rewrite = base;
    file->sources = mor_calloc(slice_count, sizeof(const struct mor_slice *));
    memcpy(file->sources, slices, slice_count * sizeof(const struct mor_slice *));
    file->source_count = slice_count;
    file->written = iceberg_files_new(&rewrite->files, slices[0]->partition, ".parquet",
                                      rewrite->state->metadata->default_spec_id);
    enum mor_status status =
        iceberg_data_writer_open(&file->writer, iceberg_rewrite_table(rewrite), rewrite->schema,
                                 file->written->key, row_group_bytes_max, err);
    if (status != MOR_OK) {
        iceberg_rewrite_file_free(&file->file);
        return status;
    }
    *ret_file = &file->file;
    return MOR_OK;
}

static void add_run(struct iceberg_rewrite_file *file, uint64_t place, uint32_t first)
{
    if (!file->runs || file->run_count == file->run_capacity) {
        file->run_capacity = file->run_capacity ? file->run_capacity * 2 : 64;
        file->runs = mor_realloc(file->runs, file->run_capacity * sizeof *file->runs);
    }
    file->runs[file->run_count++] =
        (struct iceberg_run){.place = place, .first = first, .count = 1};
}

// Where the rows come from: a place that becomes void meanwhile is void in the new file, too.
static void note_places(struct iceberg_rewrite_file *file, const struct mor_vector *places)
{
    for (size_t i = 0; i < places->length; i++) {
        uint64_t place = (uint64_t)mor_vector_i64(places, i);
        struct iceberg_run *last = file->run_count > 0 ? &file->runs[file->run_count - 1] : NULL;
        if (last && last->place + last->count == place)
            last->count++;
        else
            add_run(file, place, (uint32_t)(file->row_count + (int64_t)i));
    }
    file->row_count += (int64_t)places->length;
}

enum mor_status iceberg_rewrite_file_append(struct mor_rewrite_file *base,
                                            const struct mor_batch *batch, struct mor_error *err)
{
    struct iceberg_rewrite_file *file = (struct iceberg_rewrite_file *)base;
    if (file->row_count + (int64_t)batch->row_count > INT32_MAX)
        return mor_error_set(err, MOR_FATAL, "a data file cannot take more than %d rows",
                             INT32_MAX);
    note_places(file, &batch->columns[batch->column_count - 1]);
    return iceberg_data_writer_append(&file->writer, batch->columns, batch->row_count, err);
}

int64_t iceberg_rewrite_file_size_bytes(const struct mor_rewrite_file *base)
{
    return mor_parquet_writer_size_bytes(
        ((const struct iceberg_rewrite_file *)base)->writer.writer);
}

static enum mor_status finish(struct iceberg_rewrite *rewrite, struct iceberg_rewrite_file *file,
                              struct mor_error *err)
{
    struct iceberg_written *written = file->written;
    MOR_TRY(mor_fault("iceberg.rewrite_file", err));
    if (file->row_count == 0)
        return MOR_OK; // its sources leave the table, and nothing comes
    const char *uri = iceberg_files_uri(&rewrite->files, written, written->key);
    MOR_TRY(iceberg_data_writer_finish(&file->writer, rewrite->files.sinks, uri, &written->arena,
                                       &written->file, err));
    take_partition(rewrite, file);
    iceberg_files_add(&rewrite->files, written);
    return MOR_OK;
}

enum mor_status iceberg_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                            const struct mor_rewrite_counts *counts,
                                            struct mor_error *err)
{
    (void)counts;
    struct iceberg_rewrite_file *file = (struct iceberg_rewrite_file *)take_file;
    struct iceberg_rewrite *rewrite = (struct iceberg_rewrite *)take_file->rewrite;
    enum mor_status status = finish(rewrite, file, err);
    iceberg_data_writer_done(&file->writer);
    if (status != MOR_OK) {
        iceberg_rewrite_file_free(take_file);
        return status;
    }
    MOR_LOCKED(&rewrite->mutex);
    if (rewrite->finished_count == rewrite->finished_capacity) {
        rewrite->finished_capacity =
            rewrite->finished_capacity ? rewrite->finished_capacity * 2 : 16;
        rewrite->finished = mor_realloc(
            rewrite->finished, rewrite->finished_capacity * sizeof(struct iceberg_rewrite_file *));
    }
    rewrite->finished[rewrite->finished_count++] = file;
    return MOR_OK;
}

void iceberg_rewrite_file_free(struct mor_rewrite_file *base)
{
    struct iceberg_rewrite_file *file = (struct iceberg_rewrite_file *)base;
    const struct iceberg_rewrite *rewrite = (const struct iceberg_rewrite *)base->rewrite;
    bool owned = false;
    iceberg_data_writer_done(&file->writer);
    for (size_t i = 0; i < rewrite->files.count; i++)
        owned |= rewrite->files.list[i] == file->written;
    if (!owned && file->written)
        iceberg_written_free(file->written);
    free(file->sources);
    free(file->runs);
    free(file);
}
