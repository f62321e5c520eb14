// Equality deletes as other writers commit them: in a snapshot of their own, with the manifest that
// this program would not write.
#ifndef ICEBERG_FOREIGN_H
#define ICEBERG_FOREIGN_H

#include "iceberg/iceberg_summary.h"
#include "iceberg/iceberg_table.h"
#include "iceberg_test.h"
#include "moraine/base/clock.h"

struct foreign_deletes {
    const int32_t *ids; // of the key columns
    size_t id_count;
    const struct table_row *rows; // their values are the keys
    size_t row_count;
    const char *file;   // partition: that of this data file (key); NULL = not partitioned
    const char *format; // as the manifest says; NULL = PARQUET
    bool as_own;        // the snapshot says that it is of this program
};

static inline enum mor_status foreign_write_bytes(void *context, const void *bytes, size_t size,
                                                  struct mor_error *err)
{
    return mor_sink_write(context, bytes, size, err);
}

// The key columns of the rows as a Parquet file; returns its size.
static inline int64_t foreign_write_keys(struct iceberg_table *table, const char *key,
                                         const struct foreign_deletes *deletes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_sink *sink = NULL;
    struct mor_parquet_writer *writer = NULL;
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    struct mor_schema *schema = mor_schema_new("keys");
    struct mor_batch *all = table_batch(table->table.schema, deletes->rows, deletes->row_count);
    for (size_t i = 0; i < deletes->id_count; i++)
        mor_schema_add_copy(schema, NULL, &table->file_schema->root.children[deletes->ids[i] - 1])
            ->nullable = true;
    struct mor_batch *keys = mor_batch_new(schema, NULL);
    for (size_t i = 0; i < deletes->id_count; i++)
        for (size_t row = 0; row < deletes->row_count; row++)
            mor_vector_append_slot(&keys->columns[i], &all->columns[deletes->ids[i] - 1], row);
    keys->row_count = deletes->row_count;
    assert_int_equal(mor_store_create(table->table.store, key, &sink, &err), MOR_OK);
    struct mor_byte_sink bytes = {.context = sink, .write = foreign_write_bytes};
    assert_int_equal(mor_parquet_writer_open(schema, &bytes, &options, &writer, &err), MOR_OK);
    assert_int_equal(mor_parquet_writer_append(writer, keys, 0, keys->row_count, &err), MOR_OK);
    assert_int_equal(mor_parquet_writer_finish(writer, &err), MOR_OK);
    int64_t size = mor_sink_position(sink);
    assert_int_equal(mor_sink_finish(sink, &err), MOR_OK);
    mor_sink_free(sink);
    mor_parquet_writer_free(writer);
    mor_batch_free(keys);
    mor_batch_free(all);
    mor_schema_free(schema);
    return size;
}

static inline void foreign_put(struct iceberg_table *table, const char *key,
                               const struct mor_buffer *bytes)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(
        mor_store_put_new(table->table.store, key, bytes->data, bytes->size_bytes, &err), MOR_OK);
}

static inline char *foreign_uri(const struct iceberg_metadata *metadata, const char *key,
                                struct mor_arena *arena)
{
    return mor_arena_printf(arena, "%s/%s", metadata->location, key);
}

// The manifest of one delete file, as a list names it.
static inline struct iceberg_manifest_file
foreign_manifest(struct iceberg_table *table, struct iceberg_state *state, int64_t snapshot_id,
                 const struct iceberg_data_file *file, struct mor_arena *arena)
{
    struct mor_error err = MOR_ERROR_INIT;
    const struct iceberg_metadata *metadata = state->metadata;
    const struct iceberg_spec *spec = iceberg_state_spec(state, metadata->default_spec_id);
    const struct iceberg_manifest_options options = {
        .format_version = metadata->format_version,
        .content = ICEBERG_MANIFEST_DELETES,
        .schema = iceberg_metadata_schema(metadata, metadata->current_schema_id),
        .spec = spec,
        .snapshot_id = snapshot_id};
    // as an existing one: added ones are refused
    const struct iceberg_entry entry = {.status = ICEBERG_EXISTING,
                                        .snapshot_id = snapshot_id,
                                        .sequence_number = metadata->last_sequence_number + 1,
                                        .file_sequence_number = metadata->last_sequence_number + 1,
                                        .file = *file};
    struct iceberg_manifest_writer *writer = iceberg_manifest_writer_new(&options);
    struct iceberg_manifest_file manifest;
    MOR_AUTO_BUFFER bytes = {0};
    if (iceberg_manifest_writer_add(writer, &entry, false, &err) != MOR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(iceberg_manifest_writer_finish(writer, &bytes, arena, &manifest, &err),
                     MOR_OK);
    const char *key = mor_arena_printf(arena, "metadata/foreign-%lld-m0.avro",
                                       (long long)metadata->last_sequence_number);
    foreign_put(table, key, &bytes);
    manifest.path = foreign_uri(metadata, key, arena);
    iceberg_manifest_writer_free(writer);
    return manifest;
}

static inline json_t *foreign_summary(const struct iceberg_state *state,
                                      const struct iceberg_data_file *file, bool as_own)
{
    struct iceberg_summary summary = {0};
    const struct iceberg_spec *spec = iceberg_state_spec(state, state->metadata->default_spec_id);
    iceberg_summary_count(&summary, spec->spec_id, spec->field_count, file, true);
    json_t *json = iceberg_summary_make(&summary, "delete", state->snapshot.summary);
    iceberg_summary_done(&summary);
    if (as_own)
        json_object_set_new(json, ICEBERG_INSTANCE_KEY, json_string("x"));
    return json;
}

static inline void foreign_publish(struct iceberg_table *table, struct iceberg_state *state,
                                   int64_t snapshot_id,
                                   const struct iceberg_manifest_file *manifest,
                                   const json_t *summary, struct mor_arena *arena)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct iceberg_metadata *metadata = state->metadata, *after = NULL;
    bool v3 = metadata->format_version >= 3;
    struct iceberg_manifest_file *manifests =
        mor_arena_alloc(arena, (state->manifest_count + 1) * sizeof *manifests);
    memcpy(manifests, state->manifests, state->manifest_count * sizeof *manifests);
    manifests[state->manifest_count] = *manifest;
    const struct iceberg_manifest_list_options options = {
        .format_version = metadata->format_version,
        .snapshot_id = snapshot_id,
        .parent_snapshot_id = state->snapshot.snapshot_id,
        .sequence_number = metadata->last_sequence_number + 1,
        .first_row_id = v3 ? metadata->next_row_id : -1};
    MOR_AUTO_BUFFER bytes = {0};
    if (iceberg_manifest_list_encode(&options, manifests, state->manifest_count + 1, &bytes, NULL,
                                     &err) != MOR_OK)
        fail_msg("%s", err.message);
    const char *key =
        mor_arena_printf(arena, "metadata/snap-%lld-1-foreign.avro", (long long)snapshot_id);
    foreign_put(table, key, &bytes);
    const struct iceberg_snapshot snapshot = {
        .snapshot_id = snapshot_id,
        .parent_id = state->snapshot.snapshot_id,
        .sequence_number = metadata->last_sequence_number + 1,
        .timestamp_ms = iceberg_metadata_clamp_ms(metadata, mor_clock_wall_ms()),
        .manifest_list = foreign_uri(metadata, key, arena),
        .schema_id = metadata->current_schema_id,
        .summary = summary,
        .first_row_id = v3 ? metadata->next_row_id : -1,
        .added_rows = v3 ? 0 : -1};
    struct iceberg_change change;
    iceberg_change_init(&change);
    iceberg_change_require_uuid(&change, metadata->uuid);
    iceberg_change_require_main(&change, metadata->current_snapshot_id);
    iceberg_change_add_snapshot(&change, iceberg_snapshot_make(&snapshot));
    iceberg_change_set_main(&change, snapshot_id);
    if (iceberg_catalog_commit(table->catalog, metadata, &change, &after, &err) != MOR_OK)
        fail_msg("%s", err.message);
    iceberg_change_done(&change);
    iceberg_metadata_unref(after);
}

// Commits the deletes after whatever is in the table.
static inline void foreign_commit(struct iceberg_fixture *fixture,
                                  const struct foreign_deletes *deletes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *head = NULL;
    struct mor_arena arena;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &head, &err), MOR_OK);
    struct iceberg_table *table = iceberg_of(head);
    assert_int_equal(iceberg_load(table, &metadata, &err), MOR_OK);
    assert_int_equal(iceberg_state_open(table, metadata, -1, &state, &err), MOR_OK);
    assert_int_equal(iceberg_state_load_files(table, state, &err), MOR_OK);
    const char *key = mor_arena_printf(&arena, "data/foreign-%lld-eq.parquet",
                                       (long long)metadata->last_sequence_number);
    const struct iceberg_live *beside =
        deletes->file ? iceberg_state_find(state, deletes->file) : NULL;
    struct iceberg_data_file file = {.content = ICEBERG_EQUALITY_DELETES,
                                     .file_path = foreign_uri(metadata, key, &arena),
                                     .file_format = deletes->format ? deletes->format : "PARQUET",
                                     .partition = beside ? beside->entry->file.partition : NULL,
                                     .record_count = (int64_t)deletes->row_count,
                                     .file_size_bytes = foreign_write_keys(table, key, deletes),
                                     .equality_ids = deletes->ids,
                                     .equality_id_count = deletes->id_count,
                                     .sort_order_id = -1,
                                     .first_row_id = -1,
                                     .content_offset = -1,
                                     .content_size_bytes = -1};
    int64_t snapshot_id = iceberg_metadata_new_snapshot_id(metadata);
    const struct iceberg_manifest_file manifest =
        foreign_manifest(table, state, snapshot_id, &file, &arena);
    ICEBERG_AUTO_JSON *summary = foreign_summary(state, &file, deletes->as_own);
    foreign_publish(table, state, snapshot_id, &manifest, summary, &arena);
    iceberg_state_unref(state);
    state = NULL;
    mor_table_free(head);
    mor_arena_done(&arena);
}

#endif
