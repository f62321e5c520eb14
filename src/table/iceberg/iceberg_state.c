#include "iceberg/iceberg_state.h"

#include <string.h>

#include "iceberg/iceberg_equality.h"
#include "iceberg/iceberg_position_delete.h"
#include "iceberg/iceberg_puffin.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/thread.h"
#include "partition_path.h"

// ---- contents of manifests ----------------------------------------------------------------------

static void content_unref(struct iceberg_entries *content)
{
    if (!content || atomic_fetch_sub(&content->references, 1) != 1)
        return;
    mor_arena_done(&content->arena);
    free(content);
}

static struct iceberg_entries *content_ref(struct iceberg_entries *content)
{
    atomic_fetch_add(&content->references, 1);
    return content;
}

// Reads the object behind a URI of the metadata.
static enum mor_status read_uri(struct iceberg_table *table,
                                const struct iceberg_metadata *metadata, const char *uri,
                                struct mor_buffer *ret_bytes, struct mor_error *err)
{
    const char *key = iceberg_key_of_uri(metadata, uri);
    if (!key)
        return mor_error_set(err, MOR_FATAL, "'%s' lies outside the table's location", uri);
    enum mor_status status =
        mor_store_get(table->table.store, key, ICEBERG_MANIFEST_BYTES_MAX, ret_bytes, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not read '%s'", key);
}

static enum mor_status read_manifest(struct iceberg_table *table, const struct iceberg_state *state,
                                     size_t index, enum iceberg_read_columns columns,
                                     struct mor_arena *arena, struct iceberg_entry **ret_entries,
                                     size_t *ret_count, struct mor_error *err)
{
    const struct iceberg_manifest_file *manifest = &state->manifests[index];
    const struct iceberg_spec *spec = iceberg_state_spec(state, manifest->spec_id);
    if (!spec)
        return mor_error_set(err, MOR_DATA, "manifest '%s' names partition spec %d, which is gone",
                             manifest->path, manifest->spec_id);
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(read_uri(table, state->metadata, manifest->path, &bytes, err));
    enum mor_status status = iceberg_manifest_read(bytes.data, bytes.size_bytes, manifest, spec,
                                                   columns, arena, ret_entries, ret_count, err);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not read manifest '%s'", manifest->path);
}

enum mor_status iceberg_state_read_manifest(struct iceberg_table *table,
                                            const struct iceberg_state *state, size_t manifest,
                                            struct mor_arena *arena,
                                            struct iceberg_entry **ret_entries, size_t *ret_count,
                                            struct mor_error *err)
{
    return read_manifest(table, state, manifest, ICEBERG_READ_ALL, arena, ret_entries, ret_count,
                         err);
}

// From what is kept, else from the store. What a manifest's entries inherit may differ between
// lists (a first row id is assigned late), so the list's words are part of its name.
static enum mor_status load_content(struct iceberg_table *table, const struct iceberg_state *state,
                                    size_t index, struct iceberg_entries **ret_content,
                                    struct mor_error *err)
{
    const struct iceberg_manifest_file *manifest = &state->manifests[index];
    MOR_AUTO_FREE char *name = mor_asprintf("%lld %lld %s", (long long)manifest->sequence_number,
                                            (long long)manifest->first_row_id, manifest->path);
    {
        MOR_LOCKED(&table->mutex);
        struct mor_map_entry *kept = mor_map_find_text(&table->manifests, name);
        if (kept && kept->value.pointer) {
            *ret_content = content_ref(kept->value.pointer);
            return MOR_OK;
        }
    }
    struct iceberg_entries *content = mor_calloc(1, sizeof *content);
    atomic_init(&content->references, 1);
    mor_arena_init(&content->arena, 0, table->table.budget);
    // bounds of a delete file tell which data file it is about
    enum iceberg_read_columns columns =
        manifest->content == ICEBERG_MANIFEST_DATA ? ICEBERG_READ_NO_METRICS : ICEBERG_READ_ALL;
    enum mor_status status = read_manifest(table, state, index, columns, &content->arena,
                                           &content->entries, &content->count, err);
    if (status != MOR_OK) {
        content_unref(content);
        return status;
    }
    MOR_LOCKED(&table->mutex);
    struct mor_map_entry *kept = mor_map_put_text(&table->manifests, name, NULL);
    if (!kept->value.pointer)
        kept->value.pointer = content_ref(content);
    *ret_content = content;
    return MOR_OK;
}

void iceberg_contents_clear(struct iceberg_table *table)
{
    for (size_t i = 0; i < table->manifests.count; i++)
        content_unref(table->manifests.entries[i].value.pointer);
    mor_map_done(&table->manifests);
    table->manifests = (struct mor_map){0};
}

// Keeps the contents of the state's manifests only.
static void keep_contents(struct iceberg_table *table, const struct iceberg_state *state)
{
    MOR_LOCKED(&table->mutex);
    if (table->manifests.count < 2 * state->manifest_count + 16)
        return;
    iceberg_contents_clear(table);
    for (size_t i = 0; i < state->manifest_count; i++) {
        const struct iceberg_manifest_file *manifest = &state->manifests[i];
        MOR_AUTO_FREE char *name =
            mor_asprintf("%lld %lld %s", (long long)manifest->sequence_number,
                         (long long)manifest->first_row_id, manifest->path);
        mor_map_put_text(&table->manifests, name, NULL)->value.pointer =
            content_ref(state->contents[i]);
    }
}

// ---- states -------------------------------------------------------------------------------------

struct iceberg_state *iceberg_state_ref(struct iceberg_state *state)
{
    atomic_fetch_add(&state->references, 1);
    return state;
}

void iceberg_state_unref(struct iceberg_state *state)
{
    if (!state || atomic_fetch_sub(&state->references, 1) != 1)
        return;
    for (size_t i = 0; state->contents && i < state->manifest_count; i++)
        content_unref(state->contents[i]);
    for (size_t i = 0; i < state->spec_count; i++)
        iceberg_spec_free(state->specs[i]);
    free(state->specs);
    free(state->contents);
    free(state->data);
    free(state->deletes);
    mor_map_done(&state->by_key);
    iceberg_metadata_unref(state->metadata);
    mor_arena_done(&state->arena);
    free(state);
}

static enum mor_status bind_specs(struct iceberg_state *state, struct mor_error *err)
{
    const struct iceberg_metadata *metadata = state->metadata;
    const json_t *specs = json_object_get(metadata->document, "partition-specs"), *spec;
    struct mor_schema *schema = NULL;
    MOR_TRY(iceberg_schema_from_json(iceberg_metadata_schema(metadata, metadata->current_schema_id),
                                     &schema, err));
    state->specs = mor_calloc(json_array_size(specs) + 1, sizeof(struct iceberg_spec *));
    enum mor_status status = MOR_OK;
    size_t i;
    json_array_foreach(specs, i, spec)
    {
        status = iceberg_spec_from_json(spec, schema, &state->specs[state->spec_count], err);
        if (status != MOR_OK)
            break;
        state->spec_count++;
    }
    mor_schema_free(schema);
    return status;
}

const struct iceberg_spec *iceberg_state_spec(const struct iceberg_state *state, int32_t spec_id)
{
    for (size_t i = 0; i < state->spec_count; i++) {
        if (state->specs[i]->spec_id == spec_id)
            return state->specs[i];
    }
    return NULL;
}

static enum mor_status read_list(struct iceberg_table *table, struct iceberg_state *state,
                                 struct mor_error *err)
{
    if (state->snapshot.snapshot_id < 0)
        return MOR_OK;
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(read_uri(table, state->metadata, state->snapshot.manifest_list, &bytes, err));
    enum mor_status status =
        iceberg_manifest_list_read(bytes.data, bytes.size_bytes, &state->arena, &state->manifests,
                                   &state->manifest_count, err);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not read manifest list '%s'",
                                             state->snapshot.manifest_list);
}

static struct iceberg_state *state_new(struct iceberg_table *table,
                                       struct iceberg_metadata *metadata)
{
    struct iceberg_state *state = mor_calloc(1, sizeof *state);
    atomic_init(&state->references, 1);
    mor_arena_init(&state->arena, 0, table->table.budget);
    state->metadata = iceberg_metadata_ref(metadata);
    state->snapshot = (struct iceberg_snapshot){.snapshot_id = -1, .parent_id = -1};
    return state;
}

enum mor_status iceberg_state_of_list(struct iceberg_table *table,
                                      struct iceberg_metadata *metadata,
                                      const struct mor_buffer *list,
                                      struct iceberg_state **ret_state, struct mor_error *err)
{
    struct iceberg_state *state = state_new(table, metadata);
    enum mor_status status = bind_specs(state, err);
    if (status == MOR_OK)
        status = iceberg_manifest_list_read(list->data, list->size_bytes, &state->arena,
                                            &state->manifests, &state->manifest_count, err);
    if (status != MOR_OK) {
        iceberg_state_unref(state);
        return status;
    }
    *ret_state = state;
    return MOR_OK;
}

enum mor_status iceberg_state_open(struct iceberg_table *table, struct iceberg_metadata *metadata,
                                   int64_t snapshot_id, struct iceberg_state **ret_state,
                                   struct mor_error *err)
{
    struct iceberg_snapshot snapshot = {.snapshot_id = -1, .parent_id = -1};
    if (snapshot_id < 0)
        snapshot_id = metadata->current_snapshot_id;
    if (snapshot_id >= 0 && !iceberg_metadata_snapshot(metadata, snapshot_id, &snapshot))
        return mor_error_set(err, MOR_NOT_FOUND, "the table has no snapshot %lld (any more)",
                             (long long)snapshot_id);
    struct iceberg_state *state = state_new(table, metadata);
    state->snapshot = snapshot;
    enum mor_status status = bind_specs(state, err);
    if (status == MOR_OK)
        status = read_list(table, state, err);
    if (status != MOR_OK) {
        iceberg_state_unref(state);
        return status;
    }
    *ret_state = state;
    return MOR_OK;
}

// ---- live files ---------------------------------------------------------------------------------

const char *iceberg_delete_target(const struct iceberg_data_file *file, struct mor_arena *arena)
{
    if (file->content != ICEBERG_POSITION_DELETES)
        return NULL;
    if (file->referenced_data_file)
        return file->referenced_data_file;
    for (size_t i = 0; i < file->metric_count; i++) {
        const struct iceberg_column_metrics *column = &file->metrics[i];
        if (column->field_id == ICEBERG_ID_DELETE_PATH && column->lower.bytes &&
            column->upper.bytes && iceberg_value_equal(column->lower, column->upper))
            return mor_arena_strndup(arena, (const char *)column->lower.bytes,
                                     column->lower.size_bytes);
    }
    return NULL;
}

// A list of delete files, by data file or by partition.
struct applying {
    uint32_t *indices;
    size_t count, capacity;
};

static void applying_add(struct mor_map *map, const void *name, size_t size, uint32_t index)
{
    struct mor_map_entry *entry = mor_map_put(map, name, size, NULL);
    struct applying *list = entry->value.pointer;
    if (!list)
        list = entry->value.pointer = mor_calloc(1, sizeof *list);
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 2;
        list->indices = mor_realloc(list->indices, list->capacity * sizeof *list->indices);
    }
    list->indices[list->count++] = index;
}

static void applying_done(struct mor_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        struct applying *list = map->entries[i].value.pointer;
        free(list->indices);
        free(list);
    }
    mor_map_done(map);
}

// Spec and tuple of a file as bytes; `kind`: of the deletes that apply by it.
static void tuple_name(const struct iceberg_state *state, const struct iceberg_live *live,
                       uint8_t kind, struct mor_buffer *name)
{
    int32_t spec_id = state->manifests[live->manifest].spec_id;
    const struct iceberg_data_file *file = &live->entry->file;
    const struct iceberg_spec *spec = iceberg_state_spec(state, spec_id);
    mor_buffer_reset(name);
    mor_buffer_append_u8(name, kind);
    mor_buffer_append_le32(name, (uint32_t)spec_id);
    for (size_t i = 0; i < spec->field_count; i++) {
        struct iceberg_value value = file->partition[i];
        mor_buffer_append_le32(name, value.bytes ? (uint32_t)value.size_bytes : UINT32_MAX);
        if (value.bytes)
            mor_buffer_append(name, value.bytes, value.size_bytes);
    }
}

void iceberg_state_scope(const struct iceberg_state *state, const struct iceberg_live *live,
                         struct mor_buffer *ret_name)
{
    const struct iceberg_spec *spec =
        iceberg_state_spec(state, state->manifests[live->manifest].spec_id);
    bool partitioned = false;
    for (size_t i = 0; i < spec->field_count; i++)
        partitioned |= spec->fields[i].transform.kind != ICEBERG_VOID;
    if (partitioned) {
        tuple_name(state, live, 'e', ret_name);
        return;
    }
    mor_buffer_reset(ret_name);
    mor_buffer_append_u8(ret_name, 'g');
}

static enum mor_status add_live(struct iceberg_state *state, uint32_t manifest,
                                const struct iceberg_entry *entry, struct mor_error *err)
{
    bool is_data = entry->file.content == ICEBERG_DATA;
    const char *key = iceberg_key_of_uri(state->metadata, entry->file.file_path);
    if (!key)
        return mor_error_set(err, MOR_FATAL, "file '%s' lies outside the table's location",
                             entry->file.file_path);
    struct iceberg_live live = {.entry = entry, .manifest = manifest, .key = key};
    if (!is_data) {
        state->deletes[state->delete_count++] = live;
        state->equality_delete_count += entry->file.content == ICEBERG_EQUALITY_DELETES;
        return MOR_OK;
    }
    bool added;
    struct mor_map_entry *slot = mor_map_put_text(&state->by_key, key, &added);
    if (!added)
        return mor_error_set(err, MOR_DATA, "data file '%s' is named twice by the snapshot", key);
    slot->value.number = (int64_t)state->data_count;
    state->data[state->data_count++] = live;
    return MOR_OK;
}

static enum mor_status collect_live(struct iceberg_state *state, struct mor_error *err)
{
    size_t data = 0, deletes = 0;
    for (size_t m = 0; m < state->manifest_count; m++) {
        size_t *count = state->manifests[m].content == ICEBERG_MANIFEST_DATA ? &data : &deletes;
        *count += state->contents[m]->count;
    }
    state->data = mor_calloc(data + 1, sizeof *state->data);
    state->deletes = mor_calloc(deletes + 1, sizeof *state->deletes);
    for (size_t m = 0; m < state->manifest_count; m++) {
        bool is_data = state->manifests[m].content == ICEBERG_MANIFEST_DATA;
        const struct iceberg_entries *content = state->contents[m];
        for (size_t i = 0; i < content->count; i++) {
            const struct iceberg_entry *entry = &content->entries[i];
            if (!iceberg_entry_is_live(entry))
                continue;
            if ((entry->file.content == ICEBERG_DATA) != is_data)
                return mor_error_set(err, MOR_DATA, "manifest '%s' holds files of both kinds",
                                     state->manifests[m].path);
            MOR_TRY(add_live(state, (uint32_t)m, entry, err));
        }
    }
    return MOR_OK;
}

// Where each delete file applies: by data file ("f" and its key), or by partition; equality deletes
// also in the whole table.
static void sort_deletes(struct iceberg_state *state, struct mor_map *map)
{
    MOR_AUTO_BUFFER name = {0};
    for (size_t i = 0; i < state->delete_count; i++) {
        const struct iceberg_live *live = &state->deletes[i];
        const char *target = iceberg_delete_target(&live->entry->file, &state->arena);
        if (live->entry->file.content == ICEBERG_EQUALITY_DELETES) {
            iceberg_state_scope(state, live, &name);
        } else if (target) {
            const char *key = iceberg_key_of_uri(state->metadata, target);
            mor_buffer_reset(&name);
            mor_buffer_append_u8(&name, 'f');
            mor_buffer_append_text(&name, key ? key : target);
        } else {
            tuple_name(state, live, 'p', &name);
        }
        applying_add(map, name.data, name.size_bytes, (uint32_t)i);
    }
}

// Position deletes remove rows of their own commit, too; equality deletes older ones only.
static bool is_older(const struct iceberg_entry *delete, const struct iceberg_entry *data)
{
    return delete->file.content == ICEBERG_EQUALITY_DELETES
               ? delete->sequence_number <= data->sequence_number
               : delete->sequence_number < data->sequence_number;
}

// Adds to `found` the deletes of a list that are not too old for the data file. A deletion vector
// holds everything that was removed by place before it.
static size_t take_applying(const struct iceberg_state *state, const struct iceberg_live *live,
                            const struct mor_map *map, const struct mor_buffer *name,
                            uint32_t *found, size_t count, bool *has_vector)
{
    const struct mor_map_entry *entry = mor_map_find(map, name->data, name->size_bytes);
    const struct applying *list = entry ? entry->value.pointer : NULL;
    for (size_t i = 0; list && i < list->count; i++) {
        const struct iceberg_entry *delete = state->deletes[list->indices[i]].entry;
        if (is_older(delete, live->entry))
            continue;
        if (iceberg_file_is_vector(&delete->file)) {
            *has_vector = true;
            found[0] = list->indices[i];
            return 1;
        }
        found[count++] = list->indices[i];
    }
    return count;
}

// The deletes of one data file; `found` has room for all.
static size_t find_deletes(const struct iceberg_state *state, const struct iceberg_live *live,
                           const struct mor_map *map, struct mor_buffer *name, uint32_t *found)
{
    bool has_vector = false;
    mor_buffer_reset(name);
    mor_buffer_append_u8(name, 'f');
    mor_buffer_append_text(name, live->key);
    size_t count = take_applying(state, live, map, name, found, 0, &has_vector);
    if (!has_vector) {
        tuple_name(state, live, 'p', name);
        count = take_applying(state, live, map, name, found, count, &has_vector);
    }
    if (state->equality_delete_count == 0)
        return count;
    tuple_name(state, live, 'e', name);
    count = take_applying(state, live, map, name, found, count, &has_vector);
    mor_buffer_reset(name);
    mor_buffer_append_u8(name, 'g');
    return take_applying(state, live, map, name, found, count, &has_vector);
}

static void apply_deletes(struct iceberg_state *state, const struct mor_map *map)
{
    MOR_AUTO_BUFFER name = {0};
    MOR_AUTO_FREE uint32_t *found = mor_alloc((state->delete_count + 1) * sizeof *found);
    for (size_t i = 0; i < state->data_count && map->count > 0; i++) {
        struct iceberg_live *live = &state->data[i];
        size_t count = find_deletes(state, live, map, &name, found);
        if (count == 0)
            continue;
        uint32_t *kept = mor_arena_alloc(&state->arena, count * sizeof *kept);
        memcpy(kept, found, count * sizeof *kept);
        live->deletes = kept;
        live->delete_count = (uint32_t)count;
    }
}

enum mor_status iceberg_state_load_files(struct iceberg_table *table, struct iceberg_state *state,
                                         struct mor_error *err)
{
    if (state->has_files)
        return MOR_OK;
    if (!state->contents)
        state->contents = mor_calloc(state->manifest_count + 1, sizeof(void *));
    for (size_t i = 0; i < state->manifest_count; i++) {
        if (!state->contents[i])
            MOR_TRY(load_content(table, state, i, &state->contents[i], err));
    }
    struct mor_map map = {0};
    enum mor_status status = collect_live(state, err);
    if (status == MOR_OK) {
        sort_deletes(state, &map);
        apply_deletes(state, &map);
        iceberg_equality_group(state);
        state->has_files = true;
        keep_contents(table, state);
    }
    applying_done(&map);
    return status;
}

const struct iceberg_live *iceberg_state_find(const struct iceberg_state *state, const char *key)
{
    const struct mor_map_entry *entry = mor_map_find_text(&state->by_key, key);
    return entry ? &state->data[entry->value.number] : NULL;
}

enum mor_status iceberg_state_check_deletes(const struct iceberg_state *state,
                                            struct mor_error *err)
{
    for (size_t i = 0; i < state->delete_count && state->equality_delete_count > 0; i++) {
        if (state->deletes[i].entry->file.content == ICEBERG_EQUALITY_DELETES)
            MOR_TRY(iceberg_equality_check(&state->deletes[i], err));
    }
    return MOR_OK;
}

enum mor_status
iceberg_state_removed_by_place(struct iceberg_table *table, const struct iceberg_state *state,
                               const struct iceberg_live *file, struct mor_budget *budget,
                               struct mor_position_set *positions, struct mor_error *err)
{
    for (size_t i = 0; i < file->delete_count; i++) {
        const struct iceberg_live *live = &state->deletes[file->deletes[i]];
        const struct iceberg_data_file *delete = &live->entry->file;
        if (delete->content == ICEBERG_EQUALITY_DELETES)
            continue;
        if (!iceberg_file_is_vector(delete)) {
            MOR_TRY(iceberg_delete_file_read(table->table.store, live->key,
                                             file->entry->file.file_path, budget, positions, err));
            continue;
        }
        const struct iceberg_blob blob = {.offset = delete->content_offset,
                                          .size_bytes = delete->content_size_bytes,
                                          .row_count = delete->record_count};
        struct mor_position_set *vector = NULL;
        MOR_TRY(
            iceberg_puffin_read_vector(table->table.store, live->key, &blob, budget, &vector, err));
        mor_position_set_unite(positions, vector);
        mor_position_set_free(vector);
    }
    return MOR_OK;
}

// ---- partitions ---------------------------------------------------------------------------------

void iceberg_partition_text(const struct iceberg_spec *spec, const struct iceberg_value *values,
                            struct mor_buffer *ret_text)
{
    size_t written = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_spec_field *field = &spec->fields[i];
        if (field->transform.kind == ICEBERG_VOID)
            continue;
        MOR_AUTO_BUFFER value = {0};
        if (!iceberg_value_is_null(values[i]))
            iceberg_transform_value_format(field->transform, &field->result, values[i], &value);
        if (written++ > 0)
            mor_buffer_append_u8(ret_text, '/');
        mor_buffer_append_text(ret_text, field->name);
        mor_buffer_append_u8(ret_text, '=');
        if (iceberg_value_is_null(values[i]))
            mor_buffer_append_text(ret_text, MOR_PARTITION_NULL);
        else
            mor_partition_append(value.data, value.size_bytes, ret_text);
    }
}
