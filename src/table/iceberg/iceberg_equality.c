#include "iceberg/iceberg_equality.h"

#include <math.h>
#include <string.h>

#include "iceberg/iceberg_bounds.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "moraine/base/thread.h"
#include "moraine/parquet.h"

#define BATCH_ROWS   4096
#define CAPACITY_MIN 1024

// ---- keys and the newest delete of each ---------------------------------------------------------

struct newest_delete {
    struct mor_hash128 key;
    int64_t sequence_number; // 0 = free
};

// Of the keys whose hash (high half) is in a range; fewer when they would take too much memory.
struct newest_deletes {
    atomic_int references;
    uint64_t from, last;
    struct newest_delete *slots;
    size_t count, capacity; // capacity is a power of two, at least twice the count
    struct mor_budget *budget;
};

static struct newest_deletes *deletes_new(uint64_t from, struct mor_budget *budget)
{
    struct newest_deletes *deletes = mor_calloc(1, sizeof *deletes);
    atomic_init(&deletes->references, 1);
    deletes->from = from;
    deletes->last = UINT64_MAX;
    deletes->capacity = CAPACITY_MIN;
    deletes->slots = mor_calloc(CAPACITY_MIN, sizeof *deletes->slots);
    deletes->budget = budget;
    mor_budget_take(budget, CAPACITY_MIN * sizeof *deletes->slots);
    return deletes;
}

static struct newest_deletes *deletes_ref(struct newest_deletes *deletes)
{
    atomic_fetch_add(&deletes->references, 1);
    return deletes;
}

static void deletes_unref(struct newest_deletes *deletes)
{
    if (!deletes || atomic_fetch_sub(&deletes->references, 1) != 1)
        return;
    mor_budget_give(deletes->budget, deletes->capacity * sizeof *deletes->slots);
    free(deletes->slots);
    free(deletes);
}

static bool covers(const struct newest_deletes *deletes, struct mor_hash128 key)
{
    return key.high >= deletes->from && key.high <= deletes->last;
}

// The slot of the key, or the free one where it belongs.
static struct newest_delete *slot_of(struct newest_delete *slots, size_t capacity,
                                     struct mor_hash128 key)
{
    size_t at = key.low & (capacity - 1);
    while (slots[at].sequence_number != 0 &&
           (slots[at].key.low != key.low || slots[at].key.high != key.high))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

// Moves what is covered into as many slots.
static void resize(struct newest_deletes *deletes, size_t capacity)
{
    struct newest_delete *slots = mor_calloc(capacity, sizeof *slots);
    size_t kept = 0;
    for (size_t i = 0; i < deletes->capacity; i++) {
        const struct newest_delete *slot = &deletes->slots[i];
        if (slot->sequence_number == 0 || !covers(deletes, slot->key))
            continue;
        *slot_of(slots, capacity, slot->key) = *slot;
        kept++;
    }
    mor_budget_take(deletes->budget, capacity * sizeof *slots);
    mor_budget_give(deletes->budget, deletes->capacity * sizeof *slots);
    free(deletes->slots);
    deletes->slots = slots;
    deletes->capacity = capacity;
    deletes->count = kept;
}

// For one more key: with more memory, or with half of the range of hashes.
static void make_room(struct newest_deletes *deletes)
{
    if (2 * deletes->capacity * sizeof *deletes->slots <= ICEBERG_EQUALITY_BYTES) {
        resize(deletes, 2 * deletes->capacity);
        return;
    }
    while ((deletes->count + 1) * 2 > deletes->capacity && deletes->last > deletes->from) {
        deletes->last = deletes->from + (deletes->last - deletes->from) / 2;
        resize(deletes, deletes->capacity);
    }
}

static void add_delete(struct newest_deletes *deletes, struct mor_hash128 key,
                       int64_t sequence_number)
{
    if (covers(deletes, key) && (deletes->count + 1) * 2 > deletes->capacity)
        make_room(deletes);
    if (!covers(deletes, key))
        return;
    struct newest_delete *slot = slot_of(deletes->slots, deletes->capacity, key);
    deletes->count += slot->sequence_number == 0;
    if (sequence_number > slot->sequence_number)
        *slot = (struct newest_delete){key, sequence_number};
}

static bool is_deleted(const struct newest_deletes *deletes, struct mor_hash128 key,
                       int64_t row_sequence_number)
{
    return covers(deletes, key) &&
           slot_of(deletes->slots, deletes->capacity, key)->sequence_number > row_sequence_number;
}

// ---- the keys of a file -------------------------------------------------------------------------

typedef void visit_key(void *context, struct mor_hash128 key, uint64_t position);

// Java compares floating-point numbers as Float and Double do: all NaNs are one, and -0 is not 0.
static bool is_nan(const struct mor_vector *vector, size_t row)
{
    const void *data = vector->data.data;
    if (vector->field->type == MOR_TYPE_FLOAT)
        return isnan(((const float *)data)[row]);
    return vector->field->type == MOR_TYPE_DOUBLE && isnan(((const double *)data)[row]);
}

static struct mor_hash128 key_of(const struct mor_batch *batch, size_t row,
                                 struct mor_buffer *scratch)
{
    mor_buffer_reset(scratch);
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct mor_vector *vector = &batch->columns[i];
        uint32_t size = UINT32_MAX; // null is equal to null
        size_t size_at = scratch->size_bytes;
        mor_buffer_append_le32(scratch, size);
        if (mor_vector_is_null(vector, row))
            continue;
        if (is_nan(vector, row))
            mor_buffer_append_text(scratch, "NaN");
        else
            iceberg_value_of_slot(vector, row, scratch);
        size = (uint32_t)(scratch->size_bytes - size_at - sizeof size);
        memcpy(scratch->data + size_at, &size, sizeof size);
    }
    return mor_hash128(scratch->data, scratch->size_bytes);
}

static enum mor_status visit_rows(struct mor_parquet_reader *reader, struct mor_batch *batch,
                                  visit_key *visit, void *context, struct mor_error *err)
{
    MOR_AUTO_BUFFER scratch = {0};
    for (;;) {
        int64_t position = 0;
        MOR_TRY(mor_parquet_reader_next(reader, BATCH_ROWS, batch, &position, err));
        if (batch->row_count == 0)
            return MOR_OK;
        for (size_t row = 0; row < batch->row_count; row++)
            visit(context, key_of(batch, row, &scratch), (uint64_t)position + row);
    }
}

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

static enum mor_status visit_file(struct mor_store *store, const char *key,
                                  const struct mor_schema *columns, struct mor_budget *budget,
                                  visit_key *visit, void *context, struct mor_error *err)
{
    struct mor_reader *object = NULL;
    struct mor_parquet_reader *reader = NULL;
    MOR_TRY(mor_store_open_object(store, key, &object, err));
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = read_object};
    enum mor_status status = mor_parquet_reader_open(&source, budget, &reader, err);
    if (status == MOR_OK)
        status = mor_parquet_reader_project(reader, columns, err);
    if (status == MOR_OK) {
        struct mor_batch *batch = mor_batch_new(columns, budget);
        status = visit_rows(reader, batch, visit, context, err);
        mor_batch_free(batch);
    }
    mor_parquet_reader_free(reader);
    mor_reader_free(object);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not read keys of '%s'", key);
}

// ---- key columns --------------------------------------------------------------------------------

// A top-level column by id, of the newest schema that has it: columns that were dropped still tell
// rows apart. NULL = there is none.
static enum mor_status add_column(const struct iceberg_metadata *metadata, int32_t id,
                                  struct mor_schema *columns, struct mor_error *err)
{
    const json_t *schemas = json_object_get(metadata->document, "schemas");
    const json_t *current = iceberg_metadata_schema(metadata, metadata->current_schema_id);
    for (size_t i = json_array_size(schemas) + 1; i-- > 0;) {
        const json_t *json = i == json_array_size(schemas) ? current : json_array_get(schemas, i);
        struct mor_schema *schema = NULL;
        struct mor_error ignored = MOR_ERROR_INIT;
        if (iceberg_schema_from_json(json, &schema, &ignored) != MOR_OK)
            continue;
        const struct mor_field *field = iceberg_schema_field(schema, id);
        bool found = field && field->child_count == 0;
        bool is_inside = true;
        for (size_t c = 0; found && c < schema->root.child_count; c++)
            is_inside &= field != &schema->root.children[c];
        if (found && !is_inside)
            mor_schema_add_copy(columns, NULL, field)->nullable = true;
        mor_schema_free(schema);
        if (found && is_inside)
            break;
        if (found)
            return MOR_OK;
    }
    return mor_error_set(err, MOR_FATAL,
                         "equality deletes of another writer name their rows by field %d, which is "
                         "no column of the table, or inside of one: they cannot be applied here",
                         id);
}

static enum mor_status key_columns(struct iceberg_table *table,
                                   const struct iceberg_equality_group *group,
                                   struct mor_schema **ret_columns, struct mor_error *err)
{
    ICEBERG_AUTO_METADATA *metadata = iceberg_known(table);
    struct mor_schema *columns = mor_schema_new("keys");
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < group->id_count && status == MOR_OK; i++)
        status = add_column(metadata, group->ids[i], columns, err);
    if (status != MOR_OK) {
        mor_schema_free(columns);
        return status;
    }
    *ret_columns = columns;
    return MOR_OK;
}

// ---- groups -------------------------------------------------------------------------------------

struct gathering {
    struct newest_deletes *deletes;
    int64_t sequence_number;
};

static void gather_key(void *context, struct mor_hash128 key, uint64_t position)
{
    (void)position;
    const struct gathering *gathering = context;
    add_delete(gathering->deletes, key, gathering->sequence_number);
}

static enum mor_status read_group(struct iceberg_table *table, const struct iceberg_state *state,
                                  const struct iceberg_equality_group *group,
                                  const struct mor_schema *columns, uint64_t from,
                                  struct newest_deletes **ret_deletes, struct mor_error *err)
{
    struct gathering gathering = {.deletes = deletes_new(from, table->table.budget)};
    for (size_t i = 0; i < group->count; i++) {
        const struct iceberg_live *live = &state->deletes[group->deletes[i]];
        gathering.sequence_number = live->entry->sequence_number;
        enum mor_status status = visit_file(table->table.store, live->key, columns,
                                            table->table.budget, gather_key, &gathering, err);
        if (status != MOR_OK) {
            deletes_unref(gathering.deletes);
            return status;
        }
    }
    *ret_deletes = gathering.deletes;
    return MOR_OK;
}

void iceberg_equality_cache_done(struct iceberg_equality_cache *cache)
{
    for (size_t i = 0; i < cache->groups.count; i++)
        deletes_unref(cache->groups.entries[i].value.pointer);
    mor_map_done(&cache->groups);
    *cache = (struct iceberg_equality_cache){0};
}

// Keeps a group that is whole. Cleared when it grows too large: groups differ in every snapshot.
static void keep_group(struct iceberg_equality_cache *cache, struct mor_hash128 name,
                       struct newest_deletes *deletes)
{
    size_t bytes = deletes->capacity * sizeof *deletes->slots;
    if (deletes->from > 0 || deletes->last < UINT64_MAX)
        return;
    if (cache->bytes + bytes > ICEBERG_EQUALITY_BYTES)
        iceberg_equality_cache_done(cache);
    mor_map_put(&cache->groups, &name, sizeof name, NULL)->value.pointer = deletes_ref(deletes);
    cache->bytes += bytes;
}

// The group's keys from `from` on. Who asks for a group that another thread reads waits for it.
static enum mor_status load_group(struct iceberg_table *table, const struct iceberg_state *state,
                                  const struct iceberg_equality_group *group,
                                  const struct mor_schema *columns, uint64_t from,
                                  struct newest_deletes **ret_deletes, struct mor_error *err)
{
    MOR_LOCKED(&table->equality_mutex);
    const struct mor_map_entry *kept =
        mor_map_find(&table->equality.groups, &group->name, sizeof group->name);
    if (kept) {
        *ret_deletes = deletes_ref(kept->value.pointer);
        return MOR_OK;
    }
    MOR_TRY(read_group(table, state, group, columns, from, ret_deletes, err));
    keep_group(&table->equality, group->name, *ret_deletes);
    return MOR_OK;
}

// ---- rows of a data file ------------------------------------------------------------------------

struct removing {
    const struct newest_deletes *deletes;
    int64_t sequence_number; // of the data file
    struct mor_position_set *positions;
};

static void remove_key(void *context, struct mor_hash128 key, uint64_t position)
{
    const struct removing *removing = context;
    if (is_deleted(removing->deletes, key, removing->sequence_number))
        mor_position_set_add(removing->positions, position);
}

static enum mor_status apply_group(struct iceberg_table *table, const struct iceberg_state *state,
                                   const struct iceberg_equality_group *group,
                                   const struct iceberg_live *file, struct mor_budget *budget,
                                   struct mor_position_set *positions, struct mor_error *err)
{
    struct mor_schema *columns = NULL;
    struct removing removing = {.sequence_number = file->entry->sequence_number,
                                .positions = positions};
    uint64_t from = 0, last = 0;
    MOR_TRY(key_columns(table, group, &columns, err));
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && last < UINT64_MAX) {
        struct newest_deletes *deletes = NULL;
        status = load_group(table, state, group, columns, from, &deletes, err);
        if (status != MOR_OK)
            break;
        removing.deletes = deletes;
        status =
            visit_file(table->table.store, file->key, columns, budget, remove_key, &removing, err);
        last = deletes->last;
        from = last + 1;
        deletes_unref(deletes);
    }
    mor_schema_free(columns);
    return status;
}

enum mor_status iceberg_equality_removed(struct iceberg_table *table,
                                         const struct iceberg_state *state,
                                         const struct iceberg_live *file, struct mor_budget *budget,
                                         struct mor_position_set *positions, struct mor_error *err)
{
    MOR_AUTO_FREE bool *applied = NULL;
    for (uint32_t i = 0; i < file->delete_count; i++) {
        const struct iceberg_live *delete = &state->deletes[file->deletes[i]];
        if (delete->entry->file.content != ICEBERG_EQUALITY_DELETES)
            continue;
        if (!applied)
            applied = mor_calloc(state->group_count, sizeof *applied);
        if (!applied[delete->group])
            MOR_TRY(apply_group(table, state, &state->groups[delete->group], file, budget,
                                positions, err));
        applied[delete->group] = true;
    }
    return MOR_OK;
}

// ---- sorting into groups ------------------------------------------------------------------------

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

enum mor_status iceberg_equality_check(const struct iceberg_live *live, struct mor_error *err)
{
    const struct iceberg_data_file *file = &live->entry->file;
    if (strcmp(file->file_format, "PARQUET") != 0)
        return mor_error_set(err, MOR_FATAL,
                             "the equality deletes '%s' of another writer are %s; only those in "
                             "Parquet files can be applied here: rewrite the data files with that "
                             "writer first",
                             live->key, file->file_format);
    if (file->equality_id_count == 0)
        return mor_error_set(err, MOR_DATA, "the equality deletes '%s' name no columns", live->key);
    return MOR_OK;
}

// Columns and scope of a delete file as bytes; *ret_ids in the state's arena, ascending.
static void group_name(struct iceberg_state *state, const struct iceberg_live *live,
                       struct mor_buffer *name, const int32_t **ret_ids)
{
    const struct iceberg_data_file *file = &live->entry->file;
    int32_t *ids = mor_arena_alloc(&state->arena, file->equality_id_count * sizeof *ids);
    memcpy(ids, file->equality_ids, file->equality_id_count * sizeof *ids);
    qsort(ids, file->equality_id_count, sizeof *ids, compare_ids);
    iceberg_state_scope(state, live, name);
    for (size_t i = 0; i < file->equality_id_count; i++)
        mor_buffer_append_le32(name, (uint32_t)ids[i]);
    mor_buffer_append_le32(name, (uint32_t)file->equality_id_count);
    *ret_ids = ids;
}

// Lists the deletes of each group, and names it after them.
static void fill_groups(struct iceberg_state *state)
{
    MOR_AUTO_BUFFER name = {0};
    for (size_t g = 0; g < state->group_count; g++) {
        struct iceberg_equality_group *group = &state->groups[g];
        group->deletes = mor_arena_alloc(&state->arena, group->count * sizeof *group->deletes);
        group->count = 0;
    }
    for (uint32_t i = 0; i < state->delete_count; i++) {
        const struct iceberg_live *live = &state->deletes[i];
        if (live->entry->file.content != ICEBERG_EQUALITY_DELETES)
            continue;
        struct iceberg_equality_group *group = &state->groups[live->group];
        group->deletes[group->count++] = i;
    }
    for (size_t g = 0; g < state->group_count; g++) {
        struct iceberg_equality_group *group = &state->groups[g];
        mor_buffer_reset(&name);
        mor_buffer_append(&name, group->ids, group->id_count * sizeof *group->ids);
        for (size_t i = 0; i < group->count; i++) {
            const struct iceberg_live *live = &state->deletes[group->deletes[i]];
            mor_buffer_append(&name, &live->entry->sequence_number, sizeof(int64_t));
            mor_buffer_append(&name, live->key, strlen(live->key) + 1);
        }
        group->name = mor_hash128(name.data, name.size_bytes);
    }
}

void iceberg_equality_group(struct iceberg_state *state)
{
    struct mor_map names = {0};
    MOR_AUTO_BUFFER name = {0};
    if (state->equality_delete_count == 0)
        return;
    state->groups = mor_arena_calloc(&state->arena, (size_t)state->equality_delete_count,
                                     sizeof *state->groups);
    for (size_t i = 0; i < state->delete_count; i++) {
        struct iceberg_live *live = &state->deletes[i];
        if (live->entry->file.content != ICEBERG_EQUALITY_DELETES)
            continue;
        bool added = false;
        const int32_t *ids = NULL;
        group_name(state, live, &name, &ids);
        struct mor_map_entry *entry = mor_map_put(&names, name.data, name.size_bytes, &added);
        if (added) {
            entry->value.number = (int64_t)state->group_count;
            state->groups[state->group_count++] = (struct iceberg_equality_group){
                .ids = ids, .id_count = live->entry->file.equality_id_count};
        }
        live->group = (uint32_t)entry->value.number;
        state->groups[live->group].count++;
    }
    mor_map_done(&names);
    fill_groups(state);
}
