#include <stdio.h>
#include <string.h>

#include "iceberg/iceberg_table.h"
#include "partition_path.h"

// ---- history ------------------------------------------------------------------------------------

static int64_t number_of(const struct iceberg_snapshot *snapshot, const char *key)
{
    const char *text = iceberg_snapshot_property(snapshot, key);
    return text ? strtoll(text, NULL, 10) : 0;
}

static void fill_properties(const struct iceberg_snapshot *snapshot, struct mor_arena *arena,
                            struct mor_commit_info *info)
{
    json_t *summary = (json_t *)(uintptr_t)snapshot->summary, *value;
    const char *name;
    struct mor_property *properties =
        mor_arena_alloc(arena, (json_object_size(summary) + 1) * sizeof *properties);
    json_object_foreach(summary, name, value)
    {
        if (json_is_string(value) && strcmp(name, "operation") != 0)
            properties[info->property_count++] = (struct mor_property){
                mor_arena_strdup(arena, name), mor_arena_strdup(arena, json_string_value(value))};
    }
    info->properties = properties;
}

static void fill_info(const struct iceberg_snapshot *snapshot, struct mor_arena *arena,
                      struct mor_commit_info *info)
{
    const char *operation = iceberg_snapshot_property(snapshot, "operation");
    *info = (struct mor_commit_info){
        .operation = mor_arena_strdup(arena, operation ? operation : "unknown"),
        .time_ms = snapshot->timestamp_ms,
        .files_added =
            number_of(snapshot, "added-data-files") + number_of(snapshot, "added-delete-files"),
        .bytes_added = number_of(snapshot, "added-files-size"),
        .rows_written = number_of(snapshot, "added-records"),
        .rows_deleted = number_of(snapshot, "deleted-records") +
                        number_of(snapshot, "added-position-deletes") -
                        number_of(snapshot, "removed-position-deletes"),
    };
    if (info->rows_deleted < 0)
        info->rows_deleted = 0;
    snprintf(info->version, sizeof info->version, "%lld", (long long)snapshot->snapshot_id);
    fill_properties(snapshot, arena, info);
}

enum mor_status iceberg_history(struct mor_table *head, struct mor_arena *arena,
                                struct mor_commit_info **ret_commits, size_t *ret_count,
                                struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = NULL;
    struct iceberg_snapshot *snapshots = NULL;
    size_t count = 0;
    bool whole;
    MOR_TRY(iceberg_load(iceberg_of(head), &metadata, err));
    iceberg_ancestors(metadata, -1, arena, &snapshots, &count, &whole);
    struct mor_commit_info *commits = mor_arena_alloc(arena, (count + 1) * sizeof *commits);
    for (size_t i = 0; i < count; i++)
        fill_info(&snapshots[count - 1 - i], arena, &commits[i]);
    *ret_commits = commits;
    *ret_count = count;
    return MOR_OK;
}

// ---- description --------------------------------------------------------------------------------

static json_t *describe_schema(const struct mor_schema *schema)
{
    json_t *columns = json_array();
    for (size_t i = 0; i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        MOR_AUTO_BUFFER type = {0};
        mor_type_format(field, &type);
        json_t *column = json_object();
        json_object_set_new(column, "name", json_string(field->name));
        json_object_set_new(column, "type", json_string(mor_buffer_terminate(&type)));
        json_object_set_new(column, "id", json_integer(field->field_id));
        json_array_append_new(columns, column);
    }
    return columns;
}

static json_t *describe_spec(const struct iceberg_spec *spec)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        const char *source = field->source ? field->source->name : "?";
        MOR_AUTO_FREE char *text = field->transform.kind == ICEBERG_IDENTITY
                                       ? mor_strdup(source)
                                       : mor_asprintf("%s(%s)", field->transform_text, source);
        json_array_append_new(fields, json_string(text));
    }
    return fields;
}

static json_t *describe_key(const struct mor_table *table)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < table->key_column_count; i++)
        mor_buffer_printf(&text, "%s%s", i > 0 ? "," : "",
                          table->schema->root.children[table->key_columns[i]].name);
    return table->key_column_count > 0 ? json_string(mor_buffer_terminate(&text)) : json_null();
}

static void describe_files(const struct iceberg_state *state, json_t *json)
{
    int64_t base_bytes = 0, delta_files = 0, delta_bytes = 0, rows = 0, removed = 0;
    struct mor_map partitions = {0};
    for (size_t i = 0; i < state->data_count; i++) {
        const struct iceberg_live *live = &state->data[i];
        MOR_AUTO_BUFFER partition = {0};
        iceberg_partition_text(iceberg_state_spec(state, state->manifests[live->manifest].spec_id),
                               live->entry->file.partition, &partition);
        mor_map_put_text(&partitions, mor_buffer_terminate(&partition), NULL);
        base_bytes += live->entry->file.file_size_bytes;
        rows += live->entry->file.record_count;
        // what removes no row of a live file does not count
        for (uint32_t d = 0; d < live->delete_count; d++) {
            const struct iceberg_data_file *file = &state->deletes[live->deletes[d]].entry->file;
            delta_bytes +=
                iceberg_file_is_vector(file) ? file->content_size_bytes : file->file_size_bytes;
            removed += file->record_count;
        }
        delta_files += live->delete_count;
    }
    json_object_set_new(json, "partitions", json_integer((json_int_t)partitions.count));
    mor_map_done(&partitions);
    json_object_set_new(json, "file_groups", json_integer((json_int_t)state->data_count));
    json_object_set_new(json, "base_files", json_integer((json_int_t)state->data_count));
    json_object_set_new(json, "base_bytes", json_integer(base_bytes));
    json_object_set_new(json, "base_rows", json_integer(rows));
    json_object_set_new(json, "delta_files", json_integer(delta_files));
    json_object_set_new(json, "delta_bytes", json_integer(delta_bytes));
    json_object_set_new(json, "delta_rows", json_integer(removed));
    json_object_set_new(json, "delta_ratio",
                        json_real(rows > 0 ? (double)removed / (double)rows : 0));
    json_object_set_new(json, "equality_delete_files", json_integer(state->equality_delete_count));
    json_object_set_new(json, "manifests", json_integer((json_int_t)state->manifest_count));
}

static void describe_metadata(const struct iceberg_state *state, json_t *json)
{
    const struct iceberg_metadata *metadata = state->metadata;
    char last[ICEBERG_VERSION_SIZE];
    iceberg_version_format(state->snapshot.snapshot_id, last);
    json_object_set_new(json, "uuid", json_string(metadata->uuid));
    json_object_set_new(json, "metadata",
                        metadata->metadata_location ? json_string(metadata->metadata_location)
                                                    : json_null());
    json_object_set_new(json, "commits",
                        json_integer((json_int_t)iceberg_metadata_snapshot_count(metadata)));
    json_object_set_new(json, "last_commit", *last ? json_string(last) : json_null());
    json_object_set_new(json, "last_sequence_number", json_integer(metadata->last_sequence_number));
}

enum mor_status iceberg_describe(struct mor_table *head, struct mor_buffer *ret_json,
                                 struct mor_error *err)
{
    struct iceberg_table *table = iceberg_of(head);
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    MOR_TRY(iceberg_load(table, &metadata, err));
    MOR_TRY(iceberg_state_open(table, metadata, -1, &state, err));
    MOR_TRY(iceberg_state_load_files(table, state, err));
    ICEBERG_AUTO_JSON *json = json_object();
    const struct iceberg_spec *spec = iceberg_state_spec(state, metadata->default_spec_id);
    json_object_set_new(json, "format", json_string("iceberg"));
    json_object_set_new(json, "format_version", json_integer(metadata->format_version));
    json_object_set_new(json, "name", json_string(head->name));
    json_object_set_new(json, "database", json_string(head->database));
    json_object_set_new(json, "location", json_string(metadata->location));
    json_object_set_new(json, "keyed", json_boolean(head->keyed));
    json_object_set_new(json, "key", describe_key(head));
    json_object_set_new(json, "ordering",
                        table->ordering_name ? json_string(table->ordering_name) : json_null());
    json_object_set_new(json, "partition_by", spec ? describe_spec(spec) : json_array());
    json_object_set_new(json, "buckets", json_integer(head->bucket_count));
    json_object_set_new(json, "schema", describe_schema(head->schema));
    describe_files(state, json);
    describe_metadata(state, json);
    iceberg_json_format(json, ret_json);
    return MOR_OK;
}
