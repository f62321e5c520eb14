// Rewriting file groups. Merging is Hudi's compaction and clustering its replacement of file
// groups, with one difference: nothing stands on the timeline before the new files are there. Plan,
// inflight file, new files and completed instant all come with one slot of the chain, within
// moments. So a crash leaves nothing but staged files, and readers never meet a pending compaction:
// in version 6 the ones that do not know how to read beside it would fail or miss rows.
#include "hudi/hudi_rewrite.h"

#include <string.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define NAME_COLUMN       4 // of the stored columns: the file's own name
#define LIST_ATTEMPTS_MAX 64

// ---- open ---------------------------------------------------------------------------------------

enum mor_status hudi_open_rewrite(struct mor_store *take_store, const char *instance,
                                  struct mor_budget *budget, struct mor_table **ret_table,
                                  struct mor_error *err)
{
    struct mor_table *head = NULL;
    MOR_TRY(hudi_open_read(take_store, budget, &head, err));
    struct hudi_table *table = hudi_of(head);
    enum mor_status status = MOR_OK;
    if (!table->has_meta_columns)
        status =
            mor_error_set(err, MOR_FATAL, "the table has no meta columns; it cannot be merged");
    if (status == MOR_OK)
        status = hudi_instance_open(table, instance, err);
    if (status == MOR_OK)
        status = hudi_staging_clear(table, err);
    if (status != MOR_OK) {
        hudi_free(head);
        return status;
    }
    *ret_table = head;
    return MOR_OK;
}

// ---- begin --------------------------------------------------------------------------------------

// Columns that were added since this handle was opened would be lost, and values of widened ones
// would not fit.
static enum mor_status check_schema(struct hudi_table *table, struct mor_error *err)
{
    const char *newest = NULL;
    MOR_TRY(hudi_extra_find(table, "schema", &newest, err));
    if (!newest || !*newest || strcmp(newest, table->schema_json) == 0)
        return MOR_OK;
    MOR_AUTO_FREE char *joined = NULL;
    MOR_TRY(hudi_schema_join(table, newest, &joined, err));
    return strcmp(joined, table->schema_json) == 0
               ? MOR_OK
               : mor_error_set(err, MOR_RETRY, "the columns of the table changed just now");
}

static void group_key(struct mor_buffer *key, const char *partition, const char *file_group)
{
    mor_buffer_reset(key);
    mor_buffer_append(key, partition, strlen(partition) + 1);
    mor_buffer_append_text(key, file_group);
}

// File groups that pending plans of other engines name.
static enum mor_status collect_planned(struct hudi_table *table, struct mor_map *planned,
                                       struct mor_error *err)
{
    for (size_t i = 0; i < table->timeline.count; i++) {
        const struct hudi_instant *instant = &table->timeline.instants[i];
        if (instant->completed != HUDI_ACTION_NONE ||
            (instant->pending != HUDI_ACTION_COMPACTION &&
             instant->pending != HUDI_ACTION_LOGCOMPACTION))
            continue;
        MOR_AUTO_FREE char *key =
            hudi_instant_key(table->layout, instant->time, instant->pending, HUDI_REQUESTED, "");
        HUDI_AUTO_JSON *plan = NULL;
        MOR_TRY(hudi_metadata_read(table->table.store, key, &plan, err));
        size_t n;
        json_t *operation;
        json_array_foreach(json_object_get(plan, "operations"), n, operation)
        {
            const char *partition = hudi_json_text(operation, "partitionPath");
            const char *file_id = hudi_json_text(operation, "fileId");
            MOR_AUTO_BUFFER text = {0};
            group_key(&text, partition ? partition : "", file_id ? file_id : "");
            mor_map_put(planned, text.data, text.size_bytes, NULL);
        }
    }
    return MOR_OK;
}

// Version 6: a log is named by its slice, so it is listed as soon as it is there. One whose commit
// the snapshot does not see yet would count as merged, and its rows be lost: it comes in later.
static void leave_out_unseen(struct hudi_rewrite *rewrite, struct mor_slice *slice)
{
    const char **seen = mor_arena_alloc(&rewrite->arena, (slice->delta_count + 1) * sizeof *seen);
    size_t count = 0;
    for (size_t i = 0; i < slice->delta_count; i++) {
        const char *key = slice->delta_keys[i], *slash = strrchr(key, '/');
        struct hudi_file file;
        char commit[HUDI_TIME_SIZE] = "";
        if (hudi_file_parse(slash ? slash + 1 : key, &rewrite->arena, &file))
            hudi_file_commit(&file, commit);
        if (!*commit || hudi_snapshot_sees(slice->snapshot, commit))
            seen[count++] = key;
    }
    slice->delta_keys = seen;
    slice->delta_count = count;
}

// The slices, with the certainty that no commit of another program came in between the look at the
// timeline and the look at the files: what its logs are called does not tell whose they are.
static enum mor_status list_settled(struct hudi_rewrite *rewrite, struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    for (int i = 0; i < LIST_ATTEMPTS_MAX; i++) {
        uint64_t digest = hudi_timeline_digest(&table->timeline);
        MOR_TRY(mor_fault("hudi.rewrite_list", err));
        MOR_TRY(hudi_slices(&table->table, NULL, &rewrite->arena, &rewrite->slices,
                            &rewrite->slice_count, err));
        MOR_TRY(hudi_base_settle(table, NULL, err));
        if (digest == hudi_timeline_digest(&table->timeline)) {
            for (size_t n = 0; n < rewrite->slice_count && table->version < 8; n++)
                leave_out_unseen(rewrite, &rewrite->slices[n]);
            return MOR_OK;
        }
    }
    return mor_error_set(err, MOR_RETRY, "the table changed at every look at it");
}

static enum mor_status list_slices(struct hudi_rewrite *rewrite, struct mor_error *err)
{
    struct hudi_table *table = hudi_rewrite_table(rewrite);
    struct mor_map planned = {0};
    enum mor_status status = list_settled(rewrite, err);
    if (status == MOR_OK)
        status = collect_planned(table, &planned, err);
    size_t kept = 0;
    for (size_t i = 0; status == MOR_OK && i < rewrite->slice_count; i++) {
        MOR_AUTO_BUFFER text = {0};
        group_key(&text, rewrite->slices[i].partition, rewrite->slices[i].file_group);
        if (!mor_map_find(&planned, text.data, text.size_bytes))
            rewrite->slices[kept++] = rewrite->slices[i];
    }
    rewrite->rewrite.reserved_count = (int64_t)(rewrite->slice_count - kept);
    rewrite->slice_count = kept;
    mor_map_done(&planned);
    return status == MOR_OK
               ? hudi_mark_outdated(&table->table, rewrite->slices, rewrite->slice_count, err)
               : status;
}

// The stored columns without the name of a row's file, which is another one now.
static struct mor_schema *read_schema(const struct mor_schema *stored)
{
    struct mor_schema *schema = mor_schema_new("rows");
    for (size_t i = 0; i < stored->root.child_count; i++) {
        if (i != NAME_COLUMN)
            mor_schema_add_copy(schema, NULL, &stored->root.children[i]);
    }
    return schema;
}

enum mor_status hudi_rewrite_begin(struct mor_table *head, enum mor_rewrite_kind kind,
                                   struct mor_rewrite **ret_rewrite, struct mor_error *err)
{
    struct hudi_table *table = hudi_of(head);
    MOR_TRY(hudi_properties_unchanged(table, err));
    MOR_TRY(hudi_instance_check(table, err));
    MOR_TRY(hudi_base_settle(table, NULL, err));
    MOR_TRY(check_schema(table, err));
    struct hudi_rewrite *rewrite = mor_calloc(1, sizeof *rewrite);
    rewrite->rewrite.table = head;
    rewrite->kind = kind;
    rewrite->id = mor_uuid_v7();
    rewrite->schema = read_schema(table->stored_schema);
    mor_arena_init(&rewrite->arena, 0, head->budget);
    pthread_mutex_init(&rewrite->mutex, NULL);
    enum mor_status status = list_slices(rewrite, err);
    if (status != MOR_OK) {
        hudi_rewrite_free(&rewrite->rewrite);
        return status;
    }
    // the instant is later than everything that the slices hold
    hudi_change_init(&rewrite->change, table, HUDI_SLOT_REWRITE, &rewrite->id,
                     kind == MOR_REWRITE_MERGE ? HUDI_ACTION_COMMIT : HUDI_ACTION_REPLACECOMMIT,
                     table->timeline.last);
    rewrite->instant = rewrite->change.slot.instant;
    *ret_rewrite = &rewrite->rewrite;
    return MOR_OK;
}

void hudi_rewrite_slices(const struct mor_rewrite *base, const struct mor_slice **ret_slices,
                         size_t *ret_count)
{
    const struct hudi_rewrite *rewrite = (const struct hudi_rewrite *)base;
    *ret_slices = rewrite->slices;
    *ret_count = rewrite->slice_count;
}

const struct mor_schema *hudi_rewrite_schema(const struct mor_rewrite *base)
{
    return ((const struct hudi_rewrite *)base)->schema;
}

void hudi_rewrite_free(struct mor_rewrite *base)
{
    struct hudi_rewrite *rewrite = (struct hudi_rewrite *)base;
    for (size_t i = 0; i < rewrite->file_count; i++)
        hudi_rewrite_file_free(&rewrite->files[i]->file);
    free(rewrite->files);
    if (rewrite->instant)
        hudi_change_done(&rewrite->change);
    pthread_mutex_destroy(&rewrite->mutex);
    mor_schema_free(rewrite->schema);
    mor_arena_done(&rewrite->arena);
    free(rewrite);
}

// ---- files --------------------------------------------------------------------------------------

static void name_file(struct hudi_rewrite *rewrite, struct hudi_rewrite_file *file)
{
    int32_t number = 0;
    if (rewrite->kind == MOR_REWRITE_MERGE) {
        file->file_id = mor_strdup(file->sources[0]->file_group);
        number = hudi_file_id_bucket(file->file_id);
        number = number < 0 ? 0 : number;
    } else {
        struct mor_uuid uuid = mor_uuid_v4();
        char text[MOR_UUID_TEXT_SIZE];
        mor_uuid_format(&uuid, text);
        file->file_id = mor_asprintf("%s-0", text);
    }
    file->name = hudi_base_name(file->file_id, number, rewrite->instant);
}

enum mor_status hudi_rewrite_file_open(struct mor_rewrite *base,
                                       const struct mor_slice *const *slices, size_t slice_count,
                                       size_t row_group_bytes_max,
                                       struct mor_rewrite_file **ret_file, struct mor_error *err)
{
    struct hudi_rewrite *rewrite = (struct hudi_rewrite *)base;
    const struct hudi_table *table = hudi_rewrite_table(rewrite);
    struct hudi_rewrite_file *file = mor_calloc(1, sizeof *file);
    file->file.rewrite = base;
    file->sources = mor_calloc(slice_count, sizeof *file->sources);
    memcpy(file->sources, slices, slice_count * sizeof *file->sources);
    file->source_count = slice_count;
    name_file(rewrite, file);
    file->staged = hudi_change_stage_key(&rewrite->change);
    file->columns = mor_calloc(table->stored_schema->root.child_count, sizeof *file->columns);
    MOR_AUTO_FREE const char **constants =
        mor_calloc(table->stored_schema->root.child_count, sizeof *constants);
    constants[NAME_COLUMN] = file->name;
    enum mor_status status =
        hudi_base_file_open(&file->base, table, file->staged,
                            &(struct hudi_base_file_options){row_group_bytes_max, constants}, err);
    if (status != MOR_OK) {
        hudi_rewrite_file_free(&file->file);
        return status;
    }
    *ret_file = &file->file;
    return MOR_OK;
}

enum mor_status hudi_rewrite_file_append(struct mor_rewrite_file *base,
                                         const struct mor_batch *batch, struct mor_error *err)
{
    struct hudi_rewrite_file *file = (struct hudi_rewrite_file *)base;
    // the rows as they are; the name of their file lies between them
    for (size_t i = 0; i < batch->column_count; i++)
        file->columns[i < NAME_COLUMN ? i : i + 1].vector = &batch->columns[i];
    file->row_count += (int64_t)batch->row_count;
    return hudi_base_file_append(&file->base, file->columns, batch->row_count, err);
}

int64_t hudi_rewrite_file_size_bytes(const struct mor_rewrite_file *base)
{
    const struct hudi_rewrite_file *file = (const struct hudi_rewrite_file *)base;
    return mor_parquet_writer_size_bytes(file->base.writer);
}

enum mor_status hudi_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                         const struct mor_rewrite_counts *counts,
                                         struct mor_error *err)
{
    struct hudi_rewrite_file *file = (struct hudi_rewrite_file *)take_file;
    struct hudi_rewrite *rewrite = (struct hudi_rewrite *)take_file->rewrite;
    enum mor_status status = mor_fault("hudi.rewrite_file", err);
    if (status == MOR_OK)
        status = hudi_base_file_finish(&file->base, rewrite->change.files, &file->size_bytes, err);
    if (status != MOR_OK) {
        hudi_rewrite_file_free(take_file);
        return status;
    }
    file->counts = *counts;
    MOR_LOCKED(&rewrite->mutex);
    if (rewrite->file_count == rewrite->file_capacity) {
        rewrite->file_capacity = rewrite->file_capacity ? rewrite->file_capacity * 2 : 16;
        rewrite->files = mor_realloc(rewrite->files,
                                     rewrite->file_capacity * sizeof(struct hudi_rewrite_file *));
    }
    rewrite->files[rewrite->file_count++] = file;
    return MOR_OK;
}

void hudi_rewrite_file_free(struct mor_rewrite_file *base)
{
    struct hudi_rewrite_file *file = (struct hudi_rewrite_file *)base;
    hudi_base_file_done(&file->base);
    free(file->columns);
    json_decref(file->logs);
    free(file->sources);
    free(file->file_id);
    free(file->name);
    free(file);
}
