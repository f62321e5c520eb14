// Reading manifests and manifest lists of any writer: fields are found by id.
#include <ctype.h>
#include <string.h>

#include "iceberg_manifest.h"
#include "moraine/avro/value.h"

#define PATH_BYTES_MAX 8192

// Grows on the heap while a file is read; then it is copied into the caller's arena.
struct items {
    void *data;
    size_t count, capacity, size_bytes;
};

static void *add_item(struct items *items)
{
    if (items->count == items->capacity) {
        items->capacity = items->capacity ? items->capacity * 2 : 64;
        items->data = mor_realloc(items->data, items->capacity * items->size_bytes);
    }
    void *item = (uint8_t *)items->data + items->count++ * items->size_bytes;
    memset(item, 0, items->size_bytes);
    return item;
}

static void *take_items(struct items *items, struct mor_arena *arena)
{
    void *copy = mor_arena_calloc(arena, items->count + 1, items->size_bytes);
    if (items->count > 0)
        memcpy(copy, items->data, items->count * items->size_bytes);
    return copy;
}

struct reading {
    struct mor_arena *arena;  // of the result
    struct mor_arena scratch; // of one datum
    struct items items;
    // manifests
    const struct iceberg_manifest_file *manifest;
    const struct iceberg_spec *spec;
    enum iceberg_read_columns columns;
    int64_t next_row_id; // -1 = not assigned
};

// ---- members ------------------------------------------------------------------------------------

static bool is_number(const struct mor_avro_value *value)
{
    return value && (value->kind == MOR_AVRO_VALUE_INT || value->kind == MOR_AVRO_VALUE_LONG);
}

static bool is_blob(const struct mor_avro_value *value)
{
    return value && (value->kind == MOR_AVRO_VALUE_BYTES || value->kind == MOR_AVRO_VALUE_STRING);
}

// Number of a field, `absent` when there is none or it is null.
static int64_t number_of(const struct mor_avro_value *record, int32_t id, const char *name,
                         int64_t absent)
{
    const struct mor_avro_value *value = mor_avro_value_field(record, id, name);
    return is_number(value) ? value->as.number : absent;
}

static enum mor_status need_number(const struct mor_avro_value *record, int32_t id,
                                   const char *name, int64_t minimum, int64_t maximum,
                                   int64_t *ret_number, struct mor_error *err)
{
    const struct mor_avro_value *value = mor_avro_value_field(record, id, name);
    if (!is_number(value))
        return mor_error_set(err, MOR_DATA, "there is no %s (field %d)", name, id);
    if (value->as.number < minimum || value->as.number > maximum)
        return mor_error_set(err, MOR_DATA, "%s is %lld, which is out of range", name,
                             (long long)value->as.number);
    *ret_number = value->as.number;
    return MOR_OK;
}

// Text of a field in the arena; NULL when there is none.
static const char *text_of(struct reading *r, const struct mor_avro_value *record, int32_t id,
                           const char *name)
{
    const struct mor_avro_value *value = mor_avro_value_field(record, id, name);
    if (!value || value->kind != MOR_AVRO_VALUE_STRING)
        return NULL;
    return mor_arena_strndup(r->arena, (const char *)value->as.blob.bytes,
                             value->as.blob.size_bytes);
}

static enum mor_status need_path(struct reading *r, const struct mor_avro_value *record, int32_t id,
                                 const char *name, const char **ret_path, struct mor_error *err)
{
    const struct mor_avro_value *value = mor_avro_value_field(record, id, name);
    if (!value || value->kind != MOR_AVRO_VALUE_STRING || value->as.blob.size_bytes == 0 ||
        value->as.blob.size_bytes > PATH_BYTES_MAX ||
        memchr(value->as.blob.bytes, '\0', value->as.blob.size_bytes))
        return mor_error_set(err, MOR_DATA, "there is no usable %s (field %d)", name, id);
    *ret_path = text_of(r, record, id, name);
    return MOR_OK;
}

static struct iceberg_value blob_of(struct reading *r, const struct mor_avro_value *value)
{
    if (!is_blob(value))
        return (struct iceberg_value){0};
    struct iceberg_value blob = {value->as.blob.bytes, value->as.blob.size_bytes};
    return iceberg_value_copy(blob, r->arena);
}

static struct iceberg_value field_blob(struct reading *r, const struct mor_avro_value *record,
                                       int32_t id, const char *name)
{
    return blob_of(r, mor_avro_value_field(record, id, name));
}

// ---- manifest lists -----------------------------------------------------------------------------

static enum mor_status read_summaries(struct reading *r, const struct mor_avro_value *record,
                                      struct iceberg_manifest_file *manifest, struct mor_error *err)
{
    const struct mor_avro_value *list = mor_avro_value_field(record, 507, "partitions");
    if (!list || list->kind != MOR_AVRO_VALUE_ARRAY)
        return MOR_OK;
    struct iceberg_partition_summary *summaries =
        mor_arena_calloc(r->arena, list->as.list.count + 1, sizeof *summaries);
    for (size_t i = 0; i < list->as.list.count; i++) {
        const struct mor_avro_value *item = &list->as.list.items[i];
        const struct mor_avro_value *null = mor_avro_value_field(item, 509, "contains_null");
        const struct mor_avro_value *nan = mor_avro_value_field(item, 518, "contains_nan");
        if (!null || null->kind != MOR_AVRO_VALUE_BOOLEAN)
            return mor_error_set(err, MOR_DATA, "a partition summary lacks contains_null");
        summaries[i].contains_null = null->as.boolean;
        summaries[i].contains_nan = -1;
        if (nan && nan->kind == MOR_AVRO_VALUE_BOOLEAN)
            summaries[i].contains_nan = nan->as.boolean ? 1 : 0;
        summaries[i].lower = field_blob(r, item, 510, "lower_bound");
        summaries[i].upper = field_blob(r, item, 511, "upper_bound");
    }
    manifest->partitions = summaries;
    manifest->partition_count = list->as.list.count;
    return MOR_OK;
}

// The three counts of a status under their names of today or of old; -1 = not stated (version 1).
static enum mor_status read_counts(const struct mor_avro_value *record,
                                   struct iceberg_manifest_file *manifest, struct mor_error *err)
{
    static const struct {
        int32_t files_id, rows_id;
        const char *files_name, *old_files_name, *rows_name;
    } counts[] = {
        {504, 512, "added_files_count", "added_data_files_count", "added_rows_count"},
        {505, 513, "existing_files_count", "existing_data_files_count", "existing_rows_count"},
        {506, 514, "deleted_files_count", "deleted_data_files_count", "deleted_rows_count"},
    };
    int32_t *files[] = {&manifest->added_files, &manifest->existing_files,
                        &manifest->deleted_files};
    int64_t *rows[] = {&manifest->added_rows, &manifest->existing_rows, &manifest->deleted_rows};
    for (size_t i = 0; i < 3; i++) {
        int64_t count = number_of(record, counts[i].files_id, counts[i].files_name, -1);
        if (count < 0)
            count = number_of(record, counts[i].files_id, counts[i].old_files_name, -1);
        if (count > INT32_MAX)
            return mor_error_set(err, MOR_DATA, "%s is out of range", counts[i].files_name);
        *files[i] = (int32_t)count;
        *rows[i] = number_of(record, counts[i].rows_id, counts[i].rows_name, -1);
    }
    return MOR_OK;
}

static enum mor_status read_manifest_file(struct reading *r, const struct mor_avro_value *record,
                                          struct iceberg_manifest_file *manifest,
                                          struct mor_error *err)
{
    int64_t length = 0, spec_id = 0, snapshot_id = 0;
    MOR_TRY(need_path(r, record, 500, "manifest_path", &manifest->path, err));
    MOR_TRY(need_number(record, 501, "manifest_length", 0, INT64_MAX, &length, err));
    MOR_TRY(need_number(record, 502, "partition_spec_id", 0, INT32_MAX, &spec_id, err));
    MOR_TRY(need_number(record, 503, "added_snapshot_id", INT64_MIN, INT64_MAX, &snapshot_id, err));
    int64_t content = number_of(record, 517, "content", ICEBERG_MANIFEST_DATA);
    if (content != ICEBERG_MANIFEST_DATA && content != ICEBERG_MANIFEST_DELETES)
        return mor_error_set(err, MOR_DATA, "its content is %lld, which is not known",
                             (long long)content);
    manifest->length_bytes = length;
    manifest->spec_id = (int32_t)spec_id;
    manifest->added_snapshot_id = snapshot_id;
    manifest->content = (enum iceberg_manifest_content)content;
    manifest->sequence_number = number_of(record, 515, "sequence_number", 0);
    manifest->min_sequence_number = number_of(record, 516, "min_sequence_number", 0);
    manifest->first_row_id = number_of(record, 520, "first_row_id", -1);
    manifest->key_metadata = field_blob(r, record, 519, "key_metadata");
    if (!iceberg_value_is_null(manifest->key_metadata))
        return mor_error_set(err, MOR_FATAL, "it is encrypted, which moraine does not support");
    MOR_TRY(read_counts(record, manifest, err));
    return read_summaries(r, record, manifest, err);
}

// Builds the tree of a datum in the scratch arena.
static enum mor_status tree_of(struct reading *r, const struct mor_avro_schema *schema,
                               const uint8_t *datum, size_t size_bytes,
                               struct mor_avro_value *ret_record, struct mor_error *err)
{
    mor_arena_reset(&r->scratch);
    MOR_TRY(mor_avro_value_read(schema, datum, size_bytes, &r->scratch, ret_record, err));
    if (ret_record->kind != MOR_AVRO_VALUE_RECORD)
        return mor_error_set(err, MOR_DATA, "its data are no records");
    return MOR_OK;
}

static enum mor_status visit_manifest(void *context, const struct mor_avro_schema *schema,
                                      const uint8_t *datum, size_t size_bytes,
                                      struct mor_error *err)
{
    struct reading *r = context;
    struct mor_avro_value record;
    MOR_TRY(tree_of(r, schema, datum, size_bytes, &record, err));
    struct iceberg_manifest_file *manifest = add_item(&r->items);
    if (read_manifest_file(r, &record, manifest, err) != MOR_OK)
        return mor_error_wrap(err, "manifest %zu ('%s')", r->items.count - 1,
                              manifest->path ? manifest->path : "");
    return MOR_OK;
}

enum mor_status iceberg_manifest_list_read(const uint8_t *file, size_t size_bytes,
                                           struct mor_arena *arena,
                                           struct iceberg_manifest_file **ret_manifests,
                                           size_t *ret_count, struct mor_error *err)
{
    struct reading r = {
        .arena = arena,
        .items = {.size_bytes = sizeof(struct iceberg_manifest_file)},
    };
    mor_arena_init(&r.scratch, 0, NULL);
    enum mor_status status = mor_avro_container_read(file, size_bytes, visit_manifest, &r, err);
    if (status == MOR_OK) {
        *ret_manifests = take_items(&r.items, arena);
        *ret_count = r.items.count;
    }
    mor_arena_done(&r.scratch);
    free(r.items.data);
    return status;
}

// ---- partition tuples ---------------------------------------------------------------------------

static void put_integer(struct mor_buffer *bytes, const struct mor_field *type, int64_t number)
{
    bool narrow = type->type == MOR_TYPE_INT32 || type->type == MOR_TYPE_DATE;
    if (type->type == MOR_TYPE_BYTES) // of a transform that is not known
        mor_buffer_append_le64(bytes, (uint64_t)number);
    else if (narrow)
        mor_buffer_append_le32(bytes, (uint32_t)number);
    else
        mor_buffer_append_le64(bytes, (uint64_t)number);
}

static void put_floating(struct mor_buffer *bytes, const struct mor_field *type, double number)
{
    float narrow = (float)number;
    if (type->type == MOR_TYPE_FLOAT)
        mor_buffer_append(bytes, &narrow, sizeof narrow);
    else
        mor_buffer_append(bytes, &number, sizeof number);
}

// Sign bytes in front that say nothing are left out.
static void put_decimal(struct mor_buffer *bytes, const struct mor_avro_value *value)
{
    const uint8_t *at = value->as.blob.bytes;
    size_t size = value->as.blob.size_bytes;
    while (size > 1 && ((at[0] == 0x00 && !(at[1] & 0x80)) || (at[0] == 0xff && (at[1] & 0x80)))) {
        at++;
        size--;
    }
    mor_buffer_append(bytes, at, size);
}

// A partition value in binary form of the type.
static enum mor_status read_partition_value(struct reading *r, const struct mor_avro_value *value,
                                            const struct mor_field *type,
                                            struct iceberg_value *ret_value, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    mor_buffer_reserve(&bytes, 16);
    switch (value->kind) {
    case MOR_AVRO_VALUE_NULL:
        return MOR_OK;
    case MOR_AVRO_VALUE_BOOLEAN:
        mor_buffer_append_u8(&bytes, value->as.boolean ? 1 : 0);
        break;
    case MOR_AVRO_VALUE_INT:
    case MOR_AVRO_VALUE_LONG:
        put_integer(&bytes, type, value->as.number);
        break;
    case MOR_AVRO_VALUE_FLOAT:
    case MOR_AVRO_VALUE_DOUBLE:
        put_floating(&bytes, type, value->as.floating);
        break;
    case MOR_AVRO_VALUE_BYTES:
    case MOR_AVRO_VALUE_STRING:
        if (type->type == MOR_TYPE_DECIMAL)
            put_decimal(&bytes, value);
        else
            mor_buffer_append(&bytes, value->as.blob.bytes, value->as.blob.size_bytes);
        break;
    default:
        return mor_error_set(err, MOR_DATA, "partition value '%s' is nested", type->name);
    }
    struct iceberg_value result = {bytes.data, bytes.size_bytes};
    if (!iceberg_value_is_valid(type, result))
        return mor_error_set(err, MOR_DATA, "partition value '%s' is no %s", type->name,
                             mor_type_name(type->type));
    *ret_value = iceberg_value_copy(result, r->arena);
    return MOR_OK;
}

static enum mor_status read_partition(struct reading *r, const struct mor_avro_value *file,
                                      struct iceberg_data_file *ret_file, struct mor_error *err)
{
    size_t count = r->spec->field_count;
    struct iceberg_value *values = mor_arena_calloc(r->arena, count + 1, sizeof *values);
    const struct mor_avro_value *record = mor_avro_value_field(file, 102, "partition");
    if (!record || record->kind != MOR_AVRO_VALUE_RECORD)
        return mor_error_set(err, MOR_DATA, "it has no partition (field 102)");
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_spec_field *field = &r->spec->fields[i];
        const struct mor_avro_value *value =
            mor_avro_value_field(record, field->field_id, field->name);
        if (value)
            MOR_TRY(read_partition_value(r, value, &field->result, &values[i], err));
    }
    ret_file->partition = values;
    return MOR_OK;
}

// ---- metrics ------------------------------------------------------------------------------------

static struct iceberg_column_metrics *metrics_of(struct items *columns, int32_t field_id)
{
    struct iceberg_column_metrics *data = columns->data;
    for (size_t i = columns->count; i > 0; i--) {
        if (data[i - 1].field_id == field_id)
            return &data[i - 1];
    }
    struct iceberg_column_metrics *column = add_item(columns);
    *column = (struct iceberg_column_metrics){
        .field_id = field_id,
        .size_bytes = -1,
        .value_count = -1,
        .null_count = -1,
        .nan_count = -1,
    };
    return column;
}

static void read_metric(struct reading *r, const struct mor_avro_value *pair, int32_t map_id,
                        int32_t key_id, int32_t value_id, struct items *columns)
{
    int64_t field_id = number_of(pair, key_id, "key", -1);
    const struct mor_avro_value *value = mor_avro_value_field(pair, value_id, "value");
    if (field_id < 0 || field_id > INT32_MAX || !value)
        return;
    struct iceberg_column_metrics *column = metrics_of(columns, (int32_t)field_id);
    int64_t number = is_number(value) ? value->as.number : -1;
    switch (map_id) {
    case 108:
        column->size_bytes = number;
        break;
    case 109:
        column->value_count = number;
        break;
    case 110:
        column->null_count = number;
        break;
    case 137:
        column->nan_count = number;
        break;
    case 125:
        column->lower = blob_of(r, value);
        break;
    default:
        column->upper = blob_of(r, value);
        break;
    }
}

static int compare_columns(const void *a, const void *b)
{
    int32_t left = ((const struct iceberg_column_metrics *)a)->field_id;
    int32_t right = ((const struct iceberg_column_metrics *)b)->field_id;
    return (left > right) - (left < right);
}

static void read_metrics(struct reading *r, const struct mor_avro_value *file,
                         struct iceberg_data_file *ret_file)
{
    static const struct {
        int32_t id, key_id, value_id;
        const char *name;
    } maps[] = {
        {109, 119, 120, "value_counts"},      {108, 117, 118, "column_sizes"},
        {110, 121, 122, "null_value_counts"}, {137, 138, 139, "nan_value_counts"},
        {125, 126, 127, "lower_bounds"},      {128, 129, 130, "upper_bounds"},
    };
    struct items columns = {.size_bytes = sizeof(struct iceberg_column_metrics)};
    for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
        const struct mor_avro_value *map = mor_avro_value_field(file, maps[m].id, maps[m].name);
        if (!map || map->kind != MOR_AVRO_VALUE_ARRAY)
            continue;
        for (size_t i = 0; i < map->as.list.count && i < MOR_SCHEMA_FIELDS_MAX; i++)
            read_metric(r, &map->as.list.items[i], maps[m].id, maps[m].key_id, maps[m].value_id,
                        &columns);
    }
    if (columns.count > 0)
        qsort(columns.data, columns.count, columns.size_bytes, compare_columns);
    ret_file->metrics = take_items(&columns, r->arena);
    ret_file->metric_count = columns.count;
    free(columns.data);
}

// ---- entries ------------------------------------------------------------------------------------

static const int64_t *longs_of(struct reading *r, const struct mor_avro_value *file, int32_t id,
                               const char *name, size_t *ret_count)
{
    const struct mor_avro_value *list = mor_avro_value_field(file, id, name);
    size_t count = list && list->kind == MOR_AVRO_VALUE_ARRAY ? list->as.list.count : 0;
    int64_t *numbers = mor_arena_calloc(r->arena, count + 1, sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        const struct mor_avro_value *item = &list->as.list.items[i];
        numbers[i] = is_number(item) ? item->as.number : -1;
    }
    *ret_count = count;
    return numbers;
}

static void read_equality_ids(struct reading *r, const struct mor_avro_value *file,
                              struct iceberg_data_file *ret_file)
{
    size_t count = 0;
    const int64_t *wide = longs_of(r, file, 135, "equality_ids", &count);
    int32_t *ids = mor_arena_calloc(r->arena, count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)wide[i];
    ret_file->equality_ids = ids;
    ret_file->equality_id_count = count;
}

static const char *format_of(struct reading *r, const struct mor_avro_value *file)
{
    static const char *const known[] = {"PARQUET", "PUFFIN", "AVRO", "ORC"};
    const char *text = text_of(r, file, 101, "file_format");
    for (size_t i = 0; text && i < sizeof known / sizeof known[0]; i++) {
        size_t length = strlen(known[i]);
        size_t at = 0;
        while (at < length && toupper((unsigned char)text[at]) == known[i][at])
            at++;
        if (at == length && text[at] == '\0')
            return known[i];
    }
    return text;
}

static enum mor_status read_place(struct reading *r, const struct mor_avro_value *file,
                                  struct iceberg_data_file *ret_file, struct mor_error *err)
{
    ret_file->referenced_data_file = text_of(r, file, 143, "referenced_data_file");
    ret_file->content_offset = number_of(file, 144, "content_offset", -1);
    ret_file->content_size_bytes = number_of(file, 145, "content_size_in_bytes", -1);
    if (iceberg_file_is_vector(ret_file) &&
        (!ret_file->referenced_data_file || ret_file->content_offset < 0 ||
         ret_file->content_size_bytes < 0))
        return mor_error_set(err, MOR_DATA,
                             "it is a deletion vector without its data file or its place");
    return MOR_OK;
}

static enum mor_status read_data_file(struct reading *r, const struct mor_avro_value *file,
                                      struct iceberg_data_file *ret_file, struct mor_error *err)
{
    int64_t content = number_of(file, 134, "content", ICEBERG_DATA);
    bool deletes = r->manifest->content == ICEBERG_MANIFEST_DELETES;
    if (content < ICEBERG_DATA || content > ICEBERG_EQUALITY_DELETES ||
        (content != ICEBERG_DATA) != deletes)
        return mor_error_set(err, MOR_DATA, "its content %lld does not belong into this manifest",
                             (long long)content);
    ret_file->content = (enum iceberg_file_content)content;
    ret_file->file_format = format_of(r, file);
    if (!ret_file->file_format)
        return mor_error_set(err, MOR_DATA, "there is no file_format (field 101)");
    MOR_TRY(need_number(file, 103, "record_count", 0, INT64_MAX, &ret_file->record_count, err));
    MOR_TRY(need_number(file, 104, "file_size_in_bytes", 0, INT64_MAX, &ret_file->file_size_bytes,
                        err));
    MOR_TRY(read_partition(r, file, ret_file, err));
    if (r->columns == ICEBERG_READ_ALL) {
        read_metrics(r, file, ret_file);
        ret_file->split_offsets =
            longs_of(r, file, 132, "split_offsets", &ret_file->split_offset_count);
    }
    read_equality_ids(r, file, ret_file);
    ret_file->key_metadata = field_blob(r, file, 131, "key_metadata");
    if (!iceberg_value_is_null(ret_file->key_metadata))
        return mor_error_set(err, MOR_FATAL, "it is encrypted, which moraine does not support");
    ret_file->sort_order_id = (int32_t)number_of(file, 140, "sort_order_id", -1);
    ret_file->first_row_id = number_of(file, 142, "first_row_id", -1);
    return read_place(r, file, ret_file, err);
}

// What an entry inherits (specification, "Sequence Number Inheritance", "First Row ID
// Inheritance").
static enum mor_status inherit(struct reading *r, struct iceberg_entry *entry,
                               struct mor_error *err)
{
    const struct iceberg_manifest_file *manifest = r->manifest;
    bool inherits = entry->status == ICEBERG_ADDED || manifest->sequence_number == 0;
    if (entry->snapshot_id < 0)
        entry->snapshot_id = manifest->added_snapshot_id;
    if ((entry->sequence_number < 0 || entry->file_sequence_number < 0) && !inherits)
        return mor_error_set(err, MOR_DATA, "it was not added here and has no sequence number");
    if (entry->sequence_number < 0)
        entry->sequence_number = manifest->sequence_number;
    if (entry->file_sequence_number < 0)
        entry->file_sequence_number = manifest->sequence_number;
    if (manifest->content == ICEBERG_MANIFEST_DATA && r->next_row_id >= 0 &&
        entry->status != ICEBERG_DELETED && entry->file.first_row_id < 0) {
        entry->file.first_row_id = r->next_row_id;
        r->next_row_id += entry->file.record_count;
    }
    return MOR_OK;
}

static enum mor_status read_entry(struct reading *r, const struct mor_avro_value *record,
                                  struct iceberg_entry *entry, struct mor_error *err)
{
    int64_t status = 0;
    const struct mor_avro_value *file = mor_avro_value_field(record, 2, "data_file");
    if (!file || file->kind != MOR_AVRO_VALUE_RECORD)
        return mor_error_set(err, MOR_DATA, "there is no data_file (field 2)");
    MOR_TRY(need_path(r, file, 100, "file_path", &entry->file.file_path, err));
    MOR_TRY(need_number(record, 0, "status", ICEBERG_EXISTING, ICEBERG_DELETED, &status, err));
    entry->status = (enum iceberg_entry_status)status;
    entry->snapshot_id = number_of(record, 1, "snapshot_id", -1);
    entry->sequence_number = number_of(record, 3, "sequence_number", -1);
    entry->file_sequence_number = number_of(record, 4, "file_sequence_number", -1);
    MOR_TRY(read_data_file(r, file, &entry->file, err));
    return inherit(r, entry, err);
}

static enum mor_status visit_entry(void *context, const struct mor_avro_schema *schema,
                                   const uint8_t *datum, size_t size_bytes, struct mor_error *err)
{
    struct reading *r = context;
    struct mor_avro_value record;
    MOR_TRY(tree_of(r, schema, datum, size_bytes, &record, err));
    struct iceberg_entry *entry = add_item(&r->items);
    if (read_entry(r, &record, entry, err) != MOR_OK)
        return mor_error_wrap(err, "entry %zu ('%s')", r->items.count - 1,
                              entry->file.file_path ? entry->file.file_path : "");
    return MOR_OK;
}

enum mor_status iceberg_manifest_read(const uint8_t *file, size_t size_bytes,
                                      const struct iceberg_manifest_file *manifest,
                                      const struct iceberg_spec *spec,
                                      enum iceberg_read_columns columns, struct mor_arena *arena,
                                      struct iceberg_entry **ret_entries, size_t *ret_count,
                                      struct mor_error *err)
{
    struct reading r = {
        .arena = arena,
        .items = {.size_bytes = sizeof(struct iceberg_entry)},
        .manifest = manifest,
        .spec = spec,
        .columns = columns,
        .next_row_id = manifest->first_row_id,
    };
    mor_arena_init(&r.scratch, 0, NULL);
    enum mor_status status = mor_avro_container_read(file, size_bytes, visit_entry, &r, err);
    if (status == MOR_OK) {
        *ret_entries = take_items(&r.items, arena);
        *ret_count = r.items.count;
    }
    mor_arena_done(&r.scratch);
    free(r.items.data);
    return status;
}
