#include "iceberg/iceberg_files.h"

#include <string.h>

#include "iceberg/iceberg_position_delete.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define PUFFIN_BYTES_MAX ((size_t)32 << 20) // a reader may read all of it for one vector

void iceberg_files_init(struct iceberg_files *files, struct iceberg_table *table,
                        struct iceberg_metadata *metadata)
{
    struct mor_uuid uuid = mor_uuid_v7();
    *files = (struct iceberg_files){.table = table, .metadata = iceberg_metadata_ref(metadata)};
    mor_uuid_format(&uuid, files->uuid);
    files->sinks = mor_sink_batch_new();
    pthread_mutex_init(&files->mutex, NULL);
}

static void delete_key(const struct iceberg_files *files, const char *key)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    // what cannot be deleted now is found as an orphan later
    enum mor_status status = mor_store_delete(files->table->table.store, key, false, &ignored);
    (void)status;
}

void iceberg_files_done(struct iceberg_files *files, bool keep)
{
    if (!files->table)
        return;
    mor_sink_batch_free(files->sinks);
    for (size_t i = 0; i < files->count; i++) {
        if (!keep && files->list[i]->key)
            delete_key(files, files->list[i]->key);
        iceberg_written_free(files->list[i]);
    }
    for (size_t i = 0; i < files->puffin_count; i++) {
        if (!keep)
            delete_key(files, files->puffins[i].key);
        iceberg_puffin_done(&files->puffins[i].puffin);
        free(files->puffins[i].key);
        free(files->puffins[i].uri);
    }
    free(files->list);
    free(files->puffins);
    iceberg_metadata_unref(files->metadata);
    pthread_mutex_destroy(&files->mutex);
    *files = (struct iceberg_files){0};
}

static struct iceberg_written *written_new(char *take_key, int32_t spec_id)
{
    struct iceberg_written *written = mor_calloc(1, sizeof *written);
    mor_arena_init(&written->arena, 1024, NULL);
    written->key = take_key;
    written->group = written->puffin = SIZE_MAX;
    written->spec_id = spec_id;
    return written;
}

struct iceberg_written *iceberg_files_new(struct iceberg_files *files, const char *partition,
                                          const char *ending, int32_t spec_id)
{
    MOR_LOCKED(&files->mutex);
    return written_new(mor_asprintf("data/%s%s%s-%05u%s", partition, *partition ? "/" : "",
                                    files->uuid, files->number++, ending),
                       spec_id);
}

void iceberg_written_free(struct iceberg_written *written)
{
    mor_arena_done(&written->arena);
    free(written->key);
    free(written);
}

const char *iceberg_files_uri(const struct iceberg_files *files, struct iceberg_written *written,
                              const char *key)
{
    MOR_AUTO_BUFFER uri = {0};
    iceberg_uri_of_key(files->metadata, key, &uri);
    return mor_arena_strdup(&written->arena, mor_buffer_terminate(&uri));
}

// With the mutex.
static void add(struct iceberg_files *files, struct iceberg_written *written)
{
    if (files->count == files->capacity) {
        files->capacity = files->capacity ? files->capacity * 2 : 16;
        files->list = mor_realloc(files->list, files->capacity * sizeof(struct iceberg_written *));
    }
    files->list[files->count++] = written;
}

void iceberg_files_add(struct iceberg_files *files, struct iceberg_written *take_written)
{
    MOR_LOCKED(&files->mutex);
    add(files, take_written);
}

// ---- rows removed -------------------------------------------------------------------------------

static void copy_target(struct iceberg_written *written, const struct iceberg_spec *spec,
                        const struct iceberg_data_file *target)
{
    struct mor_arena *arena = &written->arena;
    struct iceberg_value *tuple = mor_arena_calloc(arena, spec->field_count + 1, sizeof *tuple);
    for (size_t i = 0; i < spec->field_count; i++)
        tuple[i] = iceberg_value_copy(target->partition[i], arena);
    written->file = (struct iceberg_data_file){
        .content = ICEBERG_POSITION_DELETES,
        .partition = tuple,
        .referenced_data_file = mor_arena_strdup(arena, target->file_path),
        .sort_order_id = -1,
        .first_row_id = -1,
        .content_offset = -1,
        .content_size_bytes = -1,
    };
}

static struct iceberg_value value_of(struct mor_arena *arena, const void *bytes, size_t size_bytes)
{
    return iceberg_value_copy((struct iceberg_value){bytes, size_bytes}, arena);
}

static void fill_metrics(struct iceberg_written *written, const struct iceberg_delete_file *file)
{
    struct mor_arena *arena = &written->arena;
    const char *uri = written->file.referenced_data_file;
    struct iceberg_column_metrics *metrics = mor_arena_calloc(arena, 2, sizeof *metrics);
    metrics[0] = (struct iceberg_column_metrics){
        .field_id = ICEBERG_ID_DELETE_POSITION,
        .size_bytes = -1,
        .value_count = file->row_count,
        .nan_count = -1,
        .lower = value_of(arena, &file->first, sizeof file->first),
        .upper = value_of(arena, &file->last, sizeof file->last),
    };
    metrics[1] = (struct iceberg_column_metrics){
        .field_id = ICEBERG_ID_DELETE_FILE_PATH,
        .size_bytes = -1,
        .value_count = file->row_count,
        .nan_count = -1,
        .lower = value_of(arena, uri, strlen(uri)),
        .upper = value_of(arena, uri, strlen(uri)),
    };
    int64_t *offset = mor_arena_alloc(arena, sizeof *offset);
    *offset = 4; // its only row group begins after the magic
    written->file.metrics = metrics;
    written->file.metric_count = 2;
    written->file.split_offsets = offset;
    written->file.split_offset_count = 1;
}

static enum mor_status add_file(struct iceberg_files *files, const struct iceberg_spec *spec,
                                const struct iceberg_data_file *target,
                                const struct mor_position_set *positions, struct mor_error *err)
{
    struct iceberg_table *table = files->table;
    struct iceberg_delete_file file;
    MOR_AUTO_BUFFER partition = {0};
    iceberg_partition_text(spec, target->partition, &partition);
    struct iceberg_written *written = iceberg_files_new(files, mor_buffer_terminate(&partition),
                                                        "-deletes.parquet", spec->spec_id);
    enum mor_status status =
        iceberg_delete_file_write(table->table.store, files->sinks, written->key, target->file_path,
                                  positions, table->table.budget, &file, err);
    if (status != MOR_OK) {
        iceberg_written_free(written);
        return status;
    }
    copy_target(written, spec, target);
    written->file.file_path = iceberg_files_uri(files, written, written->key);
    written->file.file_format = "PARQUET";
    written->file.record_count = file.row_count;
    written->file.file_size_bytes = file.size_bytes;
    fill_metrics(written, &file);
    iceberg_files_add(files, written);
    return MOR_OK;
}

static struct iceberg_written_puffin *open_puffin(struct iceberg_files *files)
{
    MOR_AUTO_BUFFER uri = {0};
    if (files->puffin_count > 0 &&
        files->puffins[files->puffin_count - 1].puffin.bytes.size_bytes <= PUFFIN_BYTES_MAX)
        return &files->puffins[files->puffin_count - 1];
    files->puffins =
        mor_realloc(files->puffins, (files->puffin_count + 1) * sizeof *files->puffins);
    struct iceberg_written_puffin *held = &files->puffins[files->puffin_count++];
    iceberg_puffin_init(&held->puffin, files->table->table.budget);
    held->key = mor_asprintf("data/%s-%05u.puffin", files->uuid, files->number++);
    iceberg_uri_of_key(files->metadata, held->key, &uri);
    held->uri = mor_strdup(mor_buffer_terminate(&uri));
    return held;
}

static void add_vector(struct iceberg_files *files, const struct iceberg_spec *spec,
                       const struct iceberg_data_file *target,
                       const struct mor_position_set *positions)
{
    struct iceberg_blob blob;
    struct iceberg_written *written = written_new(NULL, spec->spec_id);
    copy_target(written, spec, target);
    MOR_LOCKED(&files->mutex);
    struct iceberg_written_puffin *held = open_puffin(files);
    iceberg_puffin_add(&held->puffin, target->file_path, positions, &blob);
    written->puffin = files->puffin_count - 1;
    written->file.file_path = mor_arena_strdup(&written->arena, held->uri);
    written->file.file_format = "PUFFIN";
    written->file.record_count = blob.row_count;
    written->file.content_offset = blob.offset;
    written->file.content_size_bytes = blob.size_bytes;
    add(files, written);
}

enum mor_status iceberg_files_add_deletes(struct iceberg_files *files,
                                          const struct iceberg_spec *spec,
                                          const struct iceberg_data_file *target,
                                          const struct mor_position_set *positions,
                                          struct mor_error *err)
{
    if (files->table->format_version < 3)
        return add_file(files, spec, target, positions, err);
    add_vector(files, spec, target, positions);
    return MOR_OK;
}

enum mor_status iceberg_files_finish(struct iceberg_files *files, struct mor_error *err)
{
    for (size_t i = 0; i < files->puffin_count; i++) {
        struct iceberg_written_puffin *held = &files->puffins[i];
        iceberg_puffin_finish(&held->puffin);
        MOR_TRY(mor_fault("iceberg.puffin", err));
        MOR_TRY(mor_store_put_new_deferred(files->table->table.store, held->key,
                                           held->puffin.bytes.data, held->puffin.bytes.size_bytes,
                                           err));
    }
    for (size_t i = 0; i < files->count; i++) {
        struct iceberg_written *written = files->list[i];
        if (written->puffin != SIZE_MAX)
            written->file.file_size_bytes =
                (int64_t)files->puffins[written->puffin].puffin.bytes.size_bytes;
    }
    return mor_sink_batch_publish(files->sinks, err);
}
