// The files of the newest snapshot: data files by their footers, deletes in whole.
#include <inttypes.h>
#include <string.h>

#include "iceberg/iceberg_lint.h"
#include "iceberg/iceberg_position_delete.h"
#include "iceberg/iceberg_puffin.h"
#include "iceberg/iceberg_schema.h"
#include "moraine/parquet.h"

struct looking {
    struct lint *lint;
    const struct lint_contents *contents;
    const struct mor_schema *schema; // current one of the table
    struct mor_map vectors;          // URI of a data file with one -> 1
    const struct lint_live *live;
    const char *key;
    int64_t snapshot_id; // that added the file
};

#define BROKEN(l_, ...) LINT_BROKEN((l_)->lint, (l_)->snapshot_id, (l_)->key, __VA_ARGS__)

// ---- data files ---------------------------------------------------------------------------------

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static bool is_narrower(const struct mor_field *file, const struct mor_field *table)
{
    return (file->type == MOR_TYPE_INT32 && table->type == MOR_TYPE_INT64) ||
           (file->type == MOR_TYPE_FLOAT && table->type == MOR_TYPE_DOUBLE) ||
           (file->type == MOR_TYPE_DECIMAL && table->type == MOR_TYPE_DECIMAL &&
            file->scale == table->scale && file->precision <= table->precision);
}

static bool is_of_type(const struct mor_field *file, const struct mor_field *table)
{
    if (is_narrower(file, table))
        return true;
    if (file->type != table->type || file->local_timestamp != table->local_timestamp)
        return false;
    return (file->type != MOR_TYPE_DECIMAL ||
            (file->precision == table->precision && file->scale == table->scale)) &&
           (file->type != MOR_TYPE_FIXED || file->fixed_size_bytes == table->fixed_size_bytes);
}

// Every column has an id, and the type that the table's column of this id has.
static void look_at_columns(struct looking *l, const struct mor_field *parent)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        const struct mor_field *field = &parent->children[i];
        const struct mor_field *column = iceberg_schema_field(l->schema, field->field_id);
        if (field->field_id < 0)
            BROKEN(l, "column '%s' of the file has no field id", field->name);
        else if (column && !is_of_type(field, column))
            BROKEN(l, "column '%s' (id %d) is %s in the file and %s in the table", field->name,
                   field->field_id, mor_type_name(field->type), mor_type_name(column->type));
        look_at_columns(l, field);
    }
}

static bool has_column(const struct mor_schema *file, int32_t field_id)
{
    return iceberg_schema_field(file, field_id) != NULL;
}

static void look_at_schema(struct looking *l, const struct mor_schema *file)
{
    look_at_columns(l, &file->root);
    for (size_t i = 0; i < l->schema->root.child_count; i++) {
        const struct mor_field *column = &l->schema->root.children[i];
        if (!column->nullable && !has_column(file, column->field_id))
            BROKEN(l, "the file does not have the required column '%s' (id %d)", column->name,
                   column->field_id);
    }
}

// Null only where the manifest's counts allow it is checked by who reads the rows; here the footer.
static enum mor_status look_at_footer_of_parquet(struct looking *l,
                                                 void (*look)(struct looking *l,
                                                              const struct mor_schema *file),
                                                 struct mor_error *err)
{
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    struct mor_store *store = l->lint->table->table.store;
    struct mor_error wrong = MOR_ERROR_INIT;
    MOR_TRY(mor_store_open_object(store, l->key, &object, err));
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = read_object};
    if (mor_parquet_reader_open(&source, l->lint->table->table.budget, &reader, &wrong) != MOR_OK) {
        BROKEN(l, "%s", wrong.message);
    } else {
        int64_t rows = mor_parquet_reader_row_count(reader);
        if (rows != l->live->entry->file.record_count)
            BROKEN(l, "the manifest states %" PRId64 " rows, the file has %" PRId64,
                   l->live->entry->file.record_count, rows);
        look(l, mor_parquet_reader_schema(reader));
        mor_parquet_reader_free(reader);
    }
    mor_reader_free(object);
    return MOR_OK;
}

// ---- deletes ------------------------------------------------------------------------------------

// The data file that a delete speaks of; remarked and NULL when it is not there, or does not fit.
static const struct lint_live *target_of(struct looking *l, const char *uri)
{
    const struct iceberg_entry *entry = l->live->entry;
    const struct mor_map_entry *found = uri ? mor_map_find_text(&l->contents->live, uri) : NULL;
    const struct lint_live *target = found ? found->value.pointer : NULL;
    const struct iceberg_spec *spec = lint_spec(l->lint, l->live->spec_id);
    if (!target || target->entry->file.content != ICEBERG_DATA) {
        // Engines that rewrite data files may leave the position deletes of the old ones behind,
        // but never a vector.
        lint_remark(l->lint,
                    iceberg_file_is_vector(&entry->file) ? MOR_AUDIT_BROKEN : MOR_AUDIT_IDLE,
                    l->snapshot_id, l->key,
                    "it deletes rows of '%s', which the snapshot does not have", uri ? uri : "");
        return NULL;
    }
    if (target->spec_id != l->live->spec_id ||
        (spec && !iceberg_tuple_equal(target->entry->file.partition, entry->file.partition,
                                      spec->field_count)))
        BROKEN(l, "it is of another partition than '%s', whose rows it deletes", uri);
    if (entry->sequence_number < target->entry->sequence_number)
        BROKEN(l,
               "its sequence number %" PRId64 " is before that of '%s', %" PRId64
               ": it removes nothing",
               entry->sequence_number, uri, target->entry->sequence_number);
    return target;
}

static void look_at_positions(struct looking *l, const struct mor_position_set *positions,
                              const struct lint_live *target)
{
    if (mor_position_set_count(positions) == 0) {
        BROKEN(l, "it deletes no row");
        return;
    }
    if (mor_position_set_last(positions) >= (uint64_t)target->entry->file.record_count)
        BROKEN(l, "it deletes row %" PRIu64 " of '%s', which has %" PRId64 " rows",
               mor_position_set_last(positions), target->entry->file.file_path,
               target->entry->file.record_count);
}

static struct iceberg_blob blob_of(const struct iceberg_data_file *file)
{
    return (struct iceberg_blob){file->content_offset, file->content_size_bytes,
                                 file->record_count};
}

// What the Puffin's footer says of the vector.
static void look_at_footer(struct looking *l, const struct mor_buffer *bytes)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    struct iceberg_puffin_blob *blobs = NULL;
    size_t count = 0;
    struct mor_error err = MOR_ERROR_INIT;
    if (iceberg_puffin_footer(bytes->data, bytes->size_bytes, l->lint->arena, &blobs, &count,
                              &err) != MOR_OK) {
        BROKEN(l, "%s", err.message);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (blobs[i].offset != file->content_offset)
            continue;
        bool fits = blobs[i].size_bytes == file->content_size_bytes &&
                    blobs[i].cardinality == file->record_count && blobs[i].data_file_uri &&
                    strcmp(blobs[i].data_file_uri, file->referenced_data_file) == 0 &&
                    strcmp(blobs[i].type, ICEBERG_DELETION_VECTOR) == 0;
        if (!fits)
            BROKEN(l,
                   "the Puffin's footer says something else of the vector at %" PRId64
                   " than the manifest",
                   file->content_offset);
        if (blobs[i].snapshot_id != -1 || blobs[i].sequence_number != -1 ||
            blobs[i].compression_codec)
            BROKEN(l, "the vector at %" PRId64 " states a snapshot or a codec in the footer",
                   file->content_offset);
        return;
    }
    BROKEN(l, "the Puffin's footer has no blob at %" PRId64, file->content_offset);
}

static enum mor_status look_at_vector(struct looking *l, struct mor_error *err)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    const struct lint_live *target = target_of(l, file->referenced_data_file);
    struct mor_position_set *positions = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    const struct iceberg_blob blob = blob_of(file);
    MOR_AUTO_BUFFER bytes = {0};
    bool added = false;
    MOR_TRY(
        mor_store_get(l->lint->table->table.store, l->key, ICEBERG_PUFFIN_BYTES_MAX, &bytes, err));
    mor_map_put_text(&l->vectors, file->referenced_data_file, &added);
    if (!added)
        BROKEN(l, "'%s' has two deletion vectors", file->referenced_data_file);
    look_at_footer(l, &bytes);
    if (iceberg_puffin_read_vector(l->lint->table->table.store, l->key, &blob,
                                   l->lint->table->table.budget, &positions, &wrong) != MOR_OK) {
        BROKEN(l, "%s", wrong.message);
        return MOR_OK;
    }
    if (target)
        look_at_positions(l, positions, target);
    mor_position_set_free(positions);
    return MOR_OK;
}

struct rows_of_deletes {
    struct looking *l;
    char *uri; // of the row before
    int64_t position, count;
    bool unsorted, elsewhere;
    struct mor_position_set *positions;
};

static enum mor_status take_row(void *context, const char *uri, size_t uri_size_bytes,
                                int64_t position, struct mor_error *err)
{
    struct rows_of_deletes *rows = context;
    (void)err;
    bool same = rows->uri && strlen(rows->uri) == uri_size_bytes &&
                memcmp(rows->uri, uri, uri_size_bytes) == 0;
    if (!same) {
        MOR_AUTO_FREE char *next = mor_strndup(uri, uri_size_bytes);
        rows->unsorted |= rows->uri && strcmp(rows->uri, next) >= 0;
        free(rows->uri);
        rows->uri = mor_strdup(next);
        const char *stated = rows->l->live->entry->file.referenced_data_file;
        rows->elsewhere |= stated && strcmp(stated, next) != 0;
    } else {
        rows->unsorted |= position <= rows->position;
    }
    rows->position = position;
    rows->count++;
    if (position >= 0 && position <= (int64_t)MOR_POSITION_MAX)
        mor_position_set_add(rows->positions, (uint64_t)position);
    return MOR_OK;
}

static void look_at_rows(struct looking *l, const struct rows_of_deletes *rows)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    if (rows->unsorted)
        BROKEN(l, "its rows are not in order, or one is there twice");
    if (rows->elsewhere)
        BROKEN(l, "it has rows of other files than '%s', which the manifest names",
               file->referenced_data_file);
    if (rows->count != file->record_count)
        BROKEN(l, "the manifest states %" PRId64 " rows, the file has %" PRId64, file->record_count,
               rows->count);
}

static enum mor_status look_at_delete_file(struct looking *l, struct mor_error *err)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    struct rows_of_deletes rows = {.l = l, .positions = mor_position_set_new(NULL)};
    enum mor_status status = iceberg_delete_file_visit(
        l->lint->table->table.store, l->key, l->lint->table->table.budget, take_row, &rows, err);
    if (status == MOR_DATA) {
        BROKEN(l, "%s", err->message);
        *err = MOR_ERROR_INIT;
        status = MOR_OK;
    } else if (status == MOR_OK) {
        look_at_rows(l, &rows);
        const char *uri = file->referenced_data_file;
        const struct lint_live *target = uri ? target_of(l, uri) : NULL;
        if (target)
            look_at_positions(l, rows.positions, target);
    }
    free(rows.uri);
    mor_position_set_free(rows.positions);
    return status;
}

// Those of others: the columns that tell its rows are in it.
static void look_at_key_columns(struct looking *l, const struct mor_schema *file)
{
    const struct iceberg_data_file *deletes = &l->live->entry->file;
    for (size_t i = 0; i < deletes->equality_id_count; i++) {
        if (!has_column(file, deletes->equality_ids[i]))
            BROKEN(l, "the file does not have the column with the id %d, by which it deletes rows",
                   deletes->equality_ids[i]);
    }
}

static enum mor_status look_at_equality_deletes(struct looking *l, struct mor_error *err)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    struct iceberg_snapshot snapshot;
    if (iceberg_metadata_snapshot(l->lint->metadata, l->snapshot_id, &snapshot) &&
        iceberg_is_own(&snapshot))
        BROKEN(l, "a commit of this program added equality deletes, which it never writes");
    if (file->equality_id_count == 0)
        BROKEN(l, "the equality deletes name no column");
    return strcmp(file->file_format, "PARQUET") == 0
               ? look_at_footer_of_parquet(l, look_at_key_columns, err)
               : MOR_OK;
}

// Unsorted (0, or not stated), or sorted as the table knows.
static void look_at_sort_order(struct looking *l)
{
    const json_t *orders = json_object_get(l->lint->metadata->document, "sort-orders");
    int32_t stated = l->live->entry->file.sort_order_id;
    bool known = stated <= 0;
    for (size_t i = 0; i < json_array_size(orders); i++)
        known |= iceberg_json_int(json_array_get(orders, i), "order-id", -1) == stated;
    if (!known)
        BROKEN(l, "the manifest states sort order %d, which the table does not have", stated);
}

// ---- every file ---------------------------------------------------------------------------------

static enum mor_status look_at_file(struct looking *l, struct mor_error *err)
{
    const struct iceberg_data_file *file = &l->live->entry->file;
    struct mor_object_info info;
    enum mor_status status = mor_store_info(l->lint->table->table.store, l->key, &info, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        lint_remark(l->lint, MOR_AUDIT_MISSING, l->snapshot_id, l->key, "%s", "");
        return MOR_OK;
    }
    MOR_TRY(status);
    if (info.size_bytes != file->file_size_bytes)
        BROKEN(l,
               "the manifest states %" PRId64 " bytes, the file has %" PRId64
               ": readers look for its end in the wrong place",
               file->file_size_bytes, info.size_bytes);
    look_at_sort_order(l);
    if (file->content == ICEBERG_EQUALITY_DELETES)
        return look_at_equality_deletes(l, err);
    if (file->content == ICEBERG_POSITION_DELETES)
        return iceberg_file_is_vector(file) ? look_at_vector(l, err) : look_at_delete_file(l, err);
    return strcmp(file->file_format, "PARQUET") == 0
               ? look_at_footer_of_parquet(l, look_at_schema, err)
               : MOR_OK;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Row ids of live data files do not overlap.
static void look_at_row_ids(struct looking *l)
{
    size_t count = 0;
    int64_t(*ranges)[2] = mor_calloc(l->contents->live.count + 1, sizeof *ranges);
    for (size_t i = 0; i < l->contents->live.count; i++) {
        const struct lint_live *live = l->contents->live.entries[i].value.pointer;
        const struct iceberg_data_file *file = &live->entry->file;
        if (file->content != ICEBERG_DATA || file->first_row_id < 0)
            continue;
        ranges[count][0] = file->first_row_id;
        ranges[count++][1] = file->first_row_id + file->record_count;
    }
    if (count > 1)
        qsort(ranges, count, sizeof *ranges, compare_ids);
    for (size_t i = 1; i < count; i++) {
        if (ranges[i][0] < ranges[i - 1][1])
            LINT_BROKEN(l->lint, l->contents->snapshot_id, NULL,
                        "two data files have rows with the id %" PRId64, ranges[i][0]);
    }
    free(ranges);
}

enum mor_status lint_files(struct lint *lint, const struct lint_contents *contents,
                           struct mor_error *err)
{
    struct mor_schema *schema = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    const struct iceberg_metadata *metadata = lint->metadata;
    if (iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                 &schema, &wrong) != MOR_OK)
        return MOR_OK; // told with the schemas
    struct looking l = {.lint = lint, .contents = contents, .schema = schema};
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < contents->live.count && status == MOR_OK; i++) {
        l.live = contents->live.entries[i].value.pointer;
        l.snapshot_id = l.live->entry->snapshot_id;
        l.key = lint_key(lint, l.snapshot_id, l.live->entry->file.file_path);
        if (l.key)
            status = look_at_file(&l, err);
    }
    look_at_row_ids(&l);
    mor_map_done(&l.vectors);
    mor_schema_free(schema);
    return status;
}
