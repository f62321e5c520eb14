// Writing manifests and manifest lists.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "iceberg_avro_schema.h"
#include "iceberg_manifest.h"
#include "moraine/avro.h"

struct summary {
    bool contains_null, contains_nan, has_bounds;
    struct mor_buffer lower, upper;
};

struct iceberg_manifest_writer {
    struct iceberg_manifest_options options;
    struct mor_buffer data;
    struct summary *summaries;
    int32_t files[3];
    int64_t rows[3]; // by status
    int64_t min_sequence_number;
};

bool iceberg_file_is_vector(const struct iceberg_data_file *file)
{
    return file->content == ICEBERG_POSITION_DELETES && strcmp(file->file_format, "PUFFIN") == 0;
}

struct iceberg_manifest_writer *
iceberg_manifest_writer_new(const struct iceberg_manifest_options *options)
{
    struct iceberg_manifest_writer *writer = mor_calloc(1, sizeof *writer);
    writer->options = *options;
    writer->summaries = mor_calloc(options->spec->field_count + 1, sizeof *writer->summaries);
    writer->min_sequence_number = -1;
    return writer;
}

void iceberg_manifest_writer_free(struct iceberg_manifest_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->options.spec->field_count; i++) {
        mor_buffer_done(&writer->summaries[i].lower);
        mor_buffer_done(&writer->summaries[i].upper);
    }
    free(writer->summaries);
    mor_buffer_done(&writer->data);
    free(writer);
}

// ---- rules --------------------------------------------------------------------------------------

static enum mor_status check_numbers(const struct iceberg_manifest_options *options,
                                     const struct iceberg_entry *entry, bool upgraded,
                                     struct mor_error *err)
{
    const struct iceberg_data_file *file = &entry->file;
    if (entry->status == ICEBERG_ADDED) {
        if (entry->file_sequence_number >= 0)
            return mor_error_set(err, MOR_FATAL, "an added file states its file sequence number");
        if (entry->snapshot_id >= 0 && entry->snapshot_id != options->snapshot_id)
            return mor_error_set(err, MOR_FATAL, "an added file names another snapshot");
        return MOR_OK;
    }
    if (entry->snapshot_id < 0 || entry->sequence_number < 0 || entry->file_sequence_number < 0)
        return mor_error_set(err, MOR_FATAL,
                             "an existing or deleted file lacks its snapshot or sequence numbers");
    if (entry->status == ICEBERG_DELETED && entry->snapshot_id != options->snapshot_id)
        return mor_error_set(err, MOR_FATAL, "a file deleted by an older snapshot is carried on");
    if (options->format_version >= 3 && file->content == ICEBERG_DATA && file->first_row_id < 0 &&
        !upgraded)
        return mor_error_set(err, MOR_FATAL, "an existing or deleted file lacks its first row id");
    return MOR_OK;
}

static enum mor_status check_deletes(const struct iceberg_manifest_options *options,
                                     const struct iceberg_entry *entry, struct mor_error *err)
{
    const struct iceberg_data_file *file = &entry->file;
    bool vector = iceberg_file_is_vector(file);
    if (file->content == ICEBERG_EQUALITY_DELETES && entry->status == ICEBERG_ADDED)
        return mor_error_set(err, MOR_FATAL, "equality deletes are not written");
    if (vector && options->format_version < 3)
        return mor_error_set(err, MOR_FATAL, "version %d has no deletion vectors",
                             options->format_version);
    if (vector &&
        (!file->referenced_data_file || file->content_offset < 0 || file->content_size_bytes < 0))
        return mor_error_set(err, MOR_FATAL, "a deletion vector lacks its data file or its place");
    if (!vector && file->content == ICEBERG_POSITION_DELETES && options->format_version >= 3 &&
        entry->status == ICEBERG_ADDED)
        return mor_error_set(err, MOR_FATAL,
                             "version 3 takes deletion vectors, no new position delete files");
    return MOR_OK;
}

static enum mor_status check_entry(const struct iceberg_manifest_options *options,
                                   const struct iceberg_entry *entry, bool upgraded,
                                   struct mor_error *err)
{
    const struct iceberg_data_file *file = &entry->file;
    bool deletes = file->content != ICEBERG_DATA;
    if (deletes != (options->content == ICEBERG_MANIFEST_DELETES))
        return mor_error_set(err, MOR_FATAL, "data and deletes do not share a manifest");
    if (!iceberg_value_is_null(file->key_metadata))
        return mor_error_set(err, MOR_FATAL,
                             "the file is encrypted, which moraine does not support");
    if (file->record_count < 0 || file->file_size_bytes < 0)
        return mor_error_set(err, MOR_FATAL, "its size or row count is not known");
    MOR_TRY(check_numbers(options, entry, upgraded, err));
    for (size_t i = 0; i < options->spec->field_count; i++) {
        const struct mor_field *type = &options->spec->fields[i].result;
        if (!iceberg_value_is_null(file->partition[i]) &&
            !iceberg_value_is_valid(type, file->partition[i]))
            return mor_error_set(err, MOR_FATAL, "its partition value '%s' is no %s",
                                 options->spec->fields[i].name, mor_type_name(type->type));
    }
    return deletes ? check_deletes(options, entry, err) : MOR_OK;
}

// ---- entries ------------------------------------------------------------------------------------

static void put_optional_long(struct mor_buffer *data, int64_t value)
{
    mor_avro_put_long(data, value >= 0 ? 1 : 0);
    if (value >= 0)
        mor_avro_put_long(data, value);
}

static void put_optional_text(struct mor_buffer *data, const char *text)
{
    mor_avro_put_long(data, text ? 1 : 0);
    if (text)
        mor_avro_put_bytes(data, text, strlen(text));
}

static void put_optional_value(struct mor_buffer *data, struct iceberg_value value)
{
    mor_avro_put_long(data, value.bytes ? 1 : 0);
    if (value.bytes)
        mor_avro_put_bytes(data, value.bytes, value.size_bytes);
}

enum metric { METRIC_SIZE, METRIC_VALUES, METRIC_NULLS, METRIC_NANS, METRIC_LOWER, METRIC_UPPER };

static int64_t metric_number(const struct iceberg_column_metrics *column, enum metric metric)
{
    switch (metric) {
    case METRIC_SIZE:
        return column->size_bytes;
    case METRIC_VALUES:
        return column->value_count;
    case METRIC_NULLS:
        return column->null_count;
    case METRIC_NANS:
        return column->nan_count;
    case METRIC_LOWER:
        return column->lower.bytes ? 0 : -1;
    case METRIC_UPPER:
        return column->upper.bytes ? 0 : -1;
    }
    return -1;
}

// One map of the columns that have the metric; null when none has.
static void put_metrics(struct mor_buffer *data, const struct iceberg_data_file *file,
                        enum metric metric)
{
    int64_t count = 0;
    for (size_t i = 0; i < file->metric_count; i++)
        count += metric_number(&file->metrics[i], metric) >= 0 ? 1 : 0;
    mor_avro_put_long(data, count > 0 ? 1 : 0);
    if (count == 0)
        return;
    mor_avro_put_long(data, count);
    for (size_t i = 0; i < file->metric_count; i++) {
        const struct iceberg_column_metrics *column = &file->metrics[i];
        if (metric_number(column, metric) < 0)
            continue;
        mor_avro_put_long(data, column->field_id);
        if (metric == METRIC_LOWER)
            mor_avro_put_bytes(data, column->lower.bytes, column->lower.size_bytes);
        else if (metric == METRIC_UPPER)
            mor_avro_put_bytes(data, column->upper.bytes, column->upper.size_bytes);
        else
            mor_avro_put_long(data, metric_number(column, metric));
    }
    mor_avro_put_long(data, 0);
}

static void put_lists(struct mor_buffer *data, const struct iceberg_data_file *file)
{
    mor_avro_put_long(data, file->split_offset_count > 0 ? 1 : 0);
    if (file->split_offset_count > 0) {
        mor_avro_put_long(data, (int64_t)file->split_offset_count);
        for (size_t i = 0; i < file->split_offset_count; i++)
            mor_avro_put_long(data, file->split_offsets[i]);
        mor_avro_put_long(data, 0);
    }
    mor_avro_put_long(data, file->equality_id_count > 0 ? 1 : 0);
    if (file->equality_id_count > 0) {
        mor_avro_put_long(data, (int64_t)file->equality_id_count);
        for (size_t i = 0; i < file->equality_id_count; i++)
            mor_avro_put_long(data, file->equality_ids[i]);
        mor_avro_put_long(data, 0);
    }
}

static void put_file(struct iceberg_manifest_writer *writer, const struct iceberg_data_file *file)
{
    struct mor_buffer *data = &writer->data;
    const struct iceberg_spec *spec = writer->options.spec;
    mor_avro_put_long(data, file->content);
    mor_avro_put_bytes(data, file->file_path, strlen(file->file_path));
    mor_avro_put_bytes(data, file->file_format, strlen(file->file_format));
    for (size_t i = 0; i < spec->field_count; i++) {
        mor_avro_put_long(data, file->partition[i].bytes ? 1 : 0);
        if (file->partition[i].bytes)
            iceberg_avro_put_partition(&spec->fields[i].result, file->partition[i], data);
    }
    mor_avro_put_long(data, file->record_count);
    mor_avro_put_long(data, file->file_size_bytes);
    for (int metric = METRIC_SIZE; metric <= METRIC_UPPER; metric++)
        put_metrics(data, file, (enum metric)metric);
    put_optional_value(data, file->key_metadata);
    put_lists(data, file);
    put_optional_long(data, file->sort_order_id);
    if (writer->options.format_version >= 3)
        put_optional_long(data, file->content == ICEBERG_DATA ? file->first_row_id : -1);
    put_optional_text(data, file->referenced_data_file);
    if (writer->options.format_version >= 3) {
        put_optional_long(data, file->content_offset);
        put_optional_long(data, file->content_size_bytes);
    }
}

static bool is_nan(const struct mor_field *type, struct iceberg_value value)
{
    float narrow;
    double number;
    if (type->type != MOR_TYPE_FLOAT && type->type != MOR_TYPE_DOUBLE)
        return false;
    if (value.size_bytes == sizeof narrow) {
        memcpy(&narrow, value.bytes, sizeof narrow);
        return isnan(narrow);
    }
    memcpy(&number, value.bytes, sizeof number);
    return isnan(number);
}

static void keep(struct mor_buffer *bound, struct iceberg_value value)
{
    mor_buffer_reset(bound);
    mor_buffer_reserve(bound, 1); // an empty text has an address as well
    mor_buffer_append(bound, value.bytes, value.size_bytes);
}

static void summarise(struct summary *summary, const struct mor_field *type,
                      struct iceberg_value value)
{
    if (!value.bytes) {
        summary->contains_null = true;
        return;
    }
    if (is_nan(type, value)) {
        summary->contains_nan = true;
        return;
    }
    struct iceberg_value lower = {summary->lower.data, summary->lower.size_bytes};
    struct iceberg_value upper = {summary->upper.data, summary->upper.size_bytes};
    if (!summary->has_bounds || iceberg_value_compare(type, value, lower) < 0)
        keep(&summary->lower, value);
    if (!summary->has_bounds || iceberg_value_compare(type, value, upper) > 0)
        keep(&summary->upper, value);
    summary->has_bounds = true;
}

enum mor_status iceberg_manifest_writer_add(struct iceberg_manifest_writer *writer,
                                            const struct iceberg_entry *entry, bool upgraded,
                                            struct mor_error *err)
{
    const struct iceberg_manifest_options *options = &writer->options;
    if (check_entry(options, entry, upgraded, err) != MOR_OK)
        return mor_error_wrap(err, "manifest entry of '%s'", entry->file.file_path);
    struct mor_buffer *data = &writer->data;
    mor_avro_put_long(data, entry->status);
    put_optional_long(data, entry->snapshot_id >= 0 ? entry->snapshot_id : options->snapshot_id);
    put_optional_long(data, entry->sequence_number);
    put_optional_long(data, entry->file_sequence_number);
    put_file(writer, &entry->file);
    writer->files[entry->status]++;
    writer->rows[entry->status] += entry->file.record_count;
    for (size_t i = 0; i < options->spec->field_count; i++)
        summarise(&writer->summaries[i], &options->spec->fields[i].result,
                  entry->file.partition[i]);
    if (iceberg_entry_is_live(entry) && entry->sequence_number >= 0 &&
        (writer->min_sequence_number < 0 || entry->sequence_number < writer->min_sequence_number))
        writer->min_sequence_number = entry->sequence_number;
    return MOR_OK;
}

size_t iceberg_manifest_writer_count(const struct iceberg_manifest_writer *writer)
{
    return (size_t)writer->files[0] + (size_t)writer->files[1] + (size_t)writer->files[2];
}

size_t iceberg_manifest_writer_size_bytes(const struct iceberg_manifest_writer *writer)
{
    return writer->data.size_bytes;
}

// ---- files --------------------------------------------------------------------------------------

static struct mor_avro_metadata text_pair(const char *key, const char *value)
{
    return (struct mor_avro_metadata){key, value, strlen(value)};
}

static enum mor_status encode(struct iceberg_manifest_writer *writer, struct mor_buffer *ret_file,
                              struct mor_error *err)
{
    const struct iceberg_manifest_options *options = &writer->options;
    MOR_AUTO_BUFFER avro = {0}, schema = {0}, spec = {0};
    iceberg_avro_manifest_schema(options->format_version, options->spec, &avro);
    iceberg_json_format(options->schema, &schema);
    ICEBERG_AUTO_JSON *fields = iceberg_spec_fields_to_json(options->spec);
    iceberg_json_format(fields, &spec);
    char schema_id[16], spec_id[16], version[16];
    snprintf(schema_id, sizeof schema_id, "%d",
             (int)iceberg_json_int(options->schema, "schema-id", 0));
    snprintf(spec_id, sizeof spec_id, "%d", options->spec->spec_id);
    snprintf(version, sizeof version, "%d", options->format_version);
    const struct mor_avro_metadata metadata[] = {
        text_pair("schema", (const char *)schema.data),
        text_pair("schema-id", schema_id),
        text_pair("partition-spec", (const char *)spec.data),
        text_pair("partition-spec-id", spec_id),
        text_pair("format-version", version),
        text_pair("content", options->content == ICEBERG_MANIFEST_DATA ? "data" : "deletes"),
    };
    const struct mor_avro_container_options container = {
        .schema_json = (const char *)avro.data,
        .codec = MOR_AVRO_CODEC_DEFLATE,
        .metadata = metadata,
        .metadata_count = sizeof metadata / sizeof metadata[0],
    };
    return mor_avro_container_encode(&container, &writer->data,
                                     (int64_t)iceberg_manifest_writer_count(writer), ret_file, err);
}

static struct iceberg_partition_summary *summaries_of(const struct iceberg_manifest_writer *writer,
                                                      struct mor_arena *arena)
{
    size_t count = writer->options.spec->field_count;
    struct iceberg_partition_summary *result = mor_arena_calloc(arena, count + 1, sizeof *result);
    for (size_t i = 0; i < count; i++) {
        const struct summary *summary = &writer->summaries[i];
        enum mor_type type = writer->options.spec->fields[i].result.type;
        bool floating = type == MOR_TYPE_FLOAT || type == MOR_TYPE_DOUBLE;
        result[i].contains_null = summary->contains_null;
        result[i].contains_nan = floating && summary->contains_nan ? 1 : 0;
        if (!summary->has_bounds)
            continue;
        result[i].lower = iceberg_value_copy(
            (struct iceberg_value){summary->lower.data, summary->lower.size_bytes}, arena);
        result[i].upper = iceberg_value_copy(
            (struct iceberg_value){summary->upper.data, summary->upper.size_bytes}, arena);
    }
    return result;
}

enum mor_status iceberg_manifest_writer_finish(struct iceberg_manifest_writer *writer,
                                               struct mor_buffer *ret_file, struct mor_arena *arena,
                                               struct iceberg_manifest_file *ret_manifest,
                                               struct mor_error *err)
{
    if (iceberg_manifest_writer_count(writer) == 0)
        return mor_error_set(err, MOR_FATAL, "a manifest without entries is not written");
    size_t start = ret_file->size_bytes;
    MOR_TRY(encode(writer, ret_file, err));
    *ret_manifest = (struct iceberg_manifest_file){
        .length_bytes = (int64_t)(ret_file->size_bytes - start),
        .spec_id = writer->options.spec->spec_id,
        .content = writer->options.content,
        .sequence_number = -1,
        .min_sequence_number = writer->min_sequence_number,
        .added_snapshot_id = writer->options.snapshot_id,
        .added_files = writer->files[ICEBERG_ADDED],
        .existing_files = writer->files[ICEBERG_EXISTING],
        .deleted_files = writer->files[ICEBERG_DELETED],
        .added_rows = writer->rows[ICEBERG_ADDED],
        .existing_rows = writer->rows[ICEBERG_EXISTING],
        .deleted_rows = writer->rows[ICEBERG_DELETED],
        .partitions = summaries_of(writer, arena),
        .partition_count = writer->options.spec->field_count,
        .first_row_id = -1,
    };
    return MOR_OK;
}

// ---- manifest lists -----------------------------------------------------------------------------

static void put_summaries(struct mor_buffer *data, const struct iceberg_manifest_file *manifest)
{
    mor_avro_put_long(data, 1);
    if (manifest->partition_count > 0) {
        mor_avro_put_long(data, (int64_t)manifest->partition_count);
        for (size_t i = 0; i < manifest->partition_count; i++) {
            const struct iceberg_partition_summary *summary = &manifest->partitions[i];
            mor_buffer_append_u8(data, summary->contains_null ? 1 : 0);
            mor_avro_put_long(data, summary->contains_nan >= 0 ? 1 : 0);
            if (summary->contains_nan >= 0)
                mor_buffer_append_u8(data, (uint8_t)summary->contains_nan);
            put_optional_value(data, summary->lower);
            put_optional_value(data, summary->upper);
        }
    }
    mor_avro_put_long(data, 0);
}

static void put_manifest(struct mor_buffer *data,
                         const struct iceberg_manifest_list_options *options,
                         const struct iceberg_manifest_file *manifest, int64_t first_row_id)
{
    int64_t sequence_number =
        manifest->sequence_number >= 0 ? manifest->sequence_number : options->sequence_number;
    int64_t min_sequence_number =
        manifest->min_sequence_number >= 0 ? manifest->min_sequence_number : sequence_number;
    mor_avro_put_bytes(data, manifest->path, strlen(manifest->path));
    mor_avro_put_long(data, manifest->length_bytes);
    mor_avro_put_long(data, manifest->spec_id);
    mor_avro_put_long(data, manifest->content);
    mor_avro_put_long(data, sequence_number);
    mor_avro_put_long(data, min_sequence_number);
    mor_avro_put_long(data, manifest->added_snapshot_id);
    mor_avro_put_long(data, manifest->added_files);
    mor_avro_put_long(data, manifest->existing_files);
    mor_avro_put_long(data, manifest->deleted_files);
    mor_avro_put_long(data, manifest->added_rows);
    mor_avro_put_long(data, manifest->existing_rows);
    mor_avro_put_long(data, manifest->deleted_rows);
    put_summaries(data, manifest);
    put_optional_value(data, manifest->key_metadata);
    if (options->format_version >= 3)
        put_optional_long(data, first_row_id);
}

static enum mor_status check_manifest(const struct iceberg_manifest_file *manifest,
                                      struct mor_error *err)
{
    if (manifest->added_files < 0 || manifest->existing_files < 0 || manifest->deleted_files < 0 ||
        manifest->added_rows < 0 || manifest->existing_rows < 0 || manifest->deleted_rows < 0)
        return mor_error_set(err, MOR_FATAL, "the counts of manifest '%s' are not known",
                             manifest->path);
    return MOR_OK;
}

enum mor_status iceberg_manifest_list_encode(const struct iceberg_manifest_list_options *options,
                                             const struct iceberg_manifest_file *manifests,
                                             size_t count, struct mor_buffer *ret_file,
                                             int64_t *ret_next_row_id, struct mor_error *err)
{
    MOR_AUTO_BUFFER data = {0};
    int64_t next_row_id = options->first_row_id;
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_manifest_file *manifest = &manifests[i];
        MOR_TRY(check_manifest(manifest, err));
        int64_t first_row_id = -1;
        if (manifest->content == ICEBERG_MANIFEST_DATA)
            first_row_id = manifest->first_row_id;
        if (options->format_version >= 3 && manifest->content == ICEBERG_MANIFEST_DATA &&
            first_row_id < 0) {
            first_row_id = next_row_id;
            next_row_id += manifest->added_rows + manifest->existing_rows;
        }
        put_manifest(&data, options, manifest, first_row_id);
    }
    char snapshot[24], parent[24], sequence[24], version[16], first_row[24];
    snprintf(snapshot, sizeof snapshot, "%lld", (long long)options->snapshot_id);
    snprintf(parent, sizeof parent, "%lld", (long long)options->parent_snapshot_id);
    snprintf(sequence, sizeof sequence, "%lld", (long long)options->sequence_number);
    snprintf(version, sizeof version, "%d", options->format_version);
    snprintf(first_row, sizeof first_row, "%lld", (long long)options->first_row_id);
    const struct mor_avro_metadata metadata[] = {
        text_pair("snapshot-id", snapshot),
        text_pair("parent-snapshot-id", options->parent_snapshot_id >= 0 ? parent : "null"),
        text_pair("sequence-number", sequence),
        text_pair("format-version", version),
        text_pair("first-row-id", first_row),
    };
    const struct mor_avro_container_options container = {
        .schema_json = iceberg_avro_list_schema(options->format_version),
        .codec = MOR_AVRO_CODEC_DEFLATE,
        .metadata = metadata,
        .metadata_count = options->format_version >= 3 ? 5 : 4,
    };
    MOR_TRY(mor_avro_container_encode(&container, &data, (int64_t)count, ret_file, err));
    if (ret_next_row_id)
        *ret_next_row_id = next_row_id;
    return MOR_OK;
}
