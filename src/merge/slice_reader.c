// The rows of one slice, in passes. A pass indexes the changed rows whose key hash lies in a range,
// streams the base file past the index, and then streams the changed rows that stand. One pass is
// enough unless the keys of changed rows take more memory than allowed. Where rows are removed by
// place there is one pass, over the base file without them.
#include <assert.h>
#include <string.h>

#include "delta_index.h"
#include "filter.h"
#include "moraine/storage.h"

#define BATCH_ROWS_MAX      MOR_FILTER_ROWS_MAX
#define INDEX_BYTES_DEFAULT (64u << 20)

enum phase { PHASE_PASS, PHASE_BASE, PHASE_WINNERS, PHASE_END };

struct mor_slice_reader {
    struct mor_table *table; // borrowed, as what lies below
    const struct mor_slice *slice;
    struct mor_slice_options options;
    const struct mor_schema *merged;     // wanted columns, then what merging and conditions need
    struct mor_schema *widened;          // owned; NULL = the wanted columns have everything
    struct mor_schema *keys;             // key and ordering
    int32_t key_column, ordering_column; // in merged
    int32_t place_column, id_column, sequence_column; // virtual ones, in merged
    bool by_place;
    struct mor_batch *rows; // of the merged schema
    struct mor_arena arena;

    enum phase phase;
    uint64_t from; // least key hash of this pass
    struct mor_delta_index *index;
    struct mor_position_set *removed; // of the base file, by place; NULL = none
    struct mor_position_set *only;    // of them these; NULL = all
    struct mor_reader *object;
    struct mor_parquet_reader *base;
    struct mor_delta *winners;
    struct mor_slice_counts counts;
    uint32_t kept[BATCH_ROWS_MAX], chosen[BATCH_ROWS_MAX];
};

// ---- open ---------------------------------------------------------------------------------------

// Index of the column in the merged schema, adding it when it is not there; NULL name: -1.
static enum mor_status need_column(struct mor_slice_reader *reader, const char *name,
                                   int32_t *ret_index, struct mor_error *err)
{
    *ret_index = -1;
    if (!name)
        return MOR_OK;
    *ret_index = mor_schema_find(reader->merged, name);
    if (*ret_index >= 0)
        return MOR_OK;
    const struct mor_field *field = mor_table_column(reader->table, name);
    if (!field)
        return mor_error_set(err, MOR_DATA, "table '%s' has no column '%s'",
                             mor_table_name(reader->table), name);
    if (!reader->widened)
        reader->merged = reader->widened = mor_schema_copy(reader->merged);
    mor_schema_add_copy(reader->widened, NULL, field);
    *ret_index = (int32_t)reader->widened->root.child_count - 1;
    return MOR_OK;
}

static enum mor_status build_schemas(struct mor_slice_reader *reader, struct mor_error *err)
{
    struct mor_merge_rule rule;
    mor_table_merge_rule(reader->table, &rule);
    reader->by_place = rule.by_place;
    bool merge = reader->slice->delta_count > 0 && !rule.by_place;
    if (merge && !rule.key_column)
        return mor_error_set(err, MOR_FATAL, "the table has deltas and no key to merge them by");
    reader->merged = reader->options.wanted;
    MOR_TRY(need_column(reader, merge ? rule.key_column : NULL, &reader->key_column, err));
    MOR_TRY(
        need_column(reader, merge ? rule.ordering_column : NULL, &reader->ordering_column, err));
    const struct mor_filter *filter = reader->options.filter;
    for (size_t i = 0; filter && i < filter->columns->root.child_count; i++) {
        int32_t ignored;
        MOR_TRY(need_column(reader, filter->columns->root.children[i].name, &ignored, err));
    }
    reader->place_column = reader->id_column = reader->sequence_column = -1;
    if (rule.by_place) {
        reader->place_column = mor_schema_find(reader->merged, MOR_COLUMN_PLACE);
        reader->id_column = mor_schema_find(reader->merged, MOR_COLUMN_ROW_ID);
        reader->sequence_column = mor_schema_find(reader->merged, MOR_COLUMN_SEQUENCE);
    }
    if (!merge)
        return MOR_OK;
    reader->keys = mor_schema_new("keys");
    mor_schema_add_copy(reader->keys, NULL, mor_table_column(reader->table, rule.key_column));
    if (rule.ordering_column)
        mor_schema_add_copy(reader->keys, NULL,
                            mor_table_column(reader->table, rule.ordering_column));
    return MOR_OK;
}

enum mor_status mor_slice_reader_open(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_slice_options *options,
                                      struct mor_slice_reader **ret_reader, struct mor_error *err)
{
    struct mor_slice_reader *reader = mor_calloc(1, sizeof *reader);
    reader->table = table;
    reader->slice = slice;
    reader->options = *options;
    if (options->index_bytes_max == 0)
        reader->options.index_bytes_max = INDEX_BYTES_DEFAULT;
    mor_arena_init(&reader->arena, 0, options->budget);
    enum mor_status status = build_schemas(reader, err);
    if (status != MOR_OK) {
        mor_slice_reader_free(reader);
        return status;
    }
    reader->rows = mor_batch_new(reader->merged, options->budget);
    *ret_reader = reader;
    return MOR_OK;
}

static void close_base(struct mor_slice_reader *reader)
{
    mor_parquet_reader_free(reader->base);
    mor_reader_free(reader->object);
    reader->base = NULL;
    reader->object = NULL;
}

void mor_slice_reader_free(struct mor_slice_reader *reader)
{
    if (!reader)
        return;
    close_base(reader);
    mor_delta_free(reader->winners);
    mor_delta_index_free(reader->index);
    mor_position_set_free(reader->removed);
    mor_position_set_free(reader->only);
    mor_batch_free(reader->rows);
    mor_schema_free(reader->widened);
    mor_schema_free(reader->keys);
    mor_arena_done(&reader->arena);
    free(reader);
}

struct mor_slice_counts mor_slice_reader_counts(const struct mor_slice_reader *reader)
{
    return reader->counts;
}

// ---- rows out -----------------------------------------------------------------------------------

// Leaves of rows[0..count) those that the condition wants; `batch` has the merged schema.
static size_t choose(struct mor_slice_reader *reader, const struct mor_batch *batch, uint32_t *rows,
                     size_t count)
{
    if (!reader->options.filter || count == 0)
        return count;
    size_t chosen_count = mor_filter_select(reader->options.filter, batch, reader->chosen);
    size_t left = 0;
    for (size_t i = 0, c = 0; i < count && c < chosen_count;) {
        if (rows[i] == reader->chosen[c])
            rows[left++] = rows[i];
        if (rows[i] < reader->chosen[c])
            i++;
        else
            c++;
    }
    return left;
}

// Appends the rows of `from` (merged schema) to the caller's batch (wanted schema).
static void emit(struct mor_batch *batch, const struct mor_batch *from, const uint32_t *rows,
                 size_t count)
{
    for (size_t i = 0; i < batch->column_count; i++) {
        if (count == from->row_count)
            mor_vector_append_range(&batch->columns[i], &from->columns[i], 0, count);
        else
            mor_vector_append_slots(&batch->columns[i], &from->columns[i], rows, count);
    }
    batch->row_count += count;
}

static void swap_batches(struct mor_batch *a, struct mor_batch *b)
{
    struct mor_batch kept = *a;
    *a = *b;
    *b = kept;
}

// ---- base ---------------------------------------------------------------------------------------

static enum mor_status read_object(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

// Conditions that leave out whole row groups and pages. A base row that is left out cannot win over
// a changed one any more, so where the higher ordering wins only conditions on the key may do it.
static enum mor_status prune(struct mor_slice_reader *reader, struct mor_error *err)
{
    const struct mor_schema *schema = mor_parquet_reader_schema(reader->base);
    bool keys_only = reader->ordering_column >= 0;
    struct mor_parquet_predicate *predicates = NULL;
    size_t count = 0;
    if (reader->options.filter)
        count = mor_filter_predicates(reader->options.filter, schema, keys_only, reader->table,
                                      &reader->arena, &predicates);
    return count > 0 ? mor_parquet_reader_filter(reader->base, predicates, count, err) : MOR_OK;
}

static enum mor_status open_base(struct mor_slice_reader *reader, struct mor_error *err)
{
    struct mor_store *store = mor_table_store(reader->table);
    MOR_TRY(mor_store_open_object(store, reader->slice->base_key, &reader->object, err));
    struct mor_byte_source source = {.context = reader->object,
                                     .size_bytes = mor_reader_size_bytes(reader->object),
                                     .read = read_object};
    MOR_TRY(mor_parquet_reader_open(&source, reader->options.budget, &reader->base, err));
    MOR_TRY(mor_parquet_reader_project(reader->base, reader->merged, err));
    return prune(reader, err);
}

// Fills the slots of a virtual column: first, first + step, and so on. Those that the file states
// itself stay when `stated`.
static void fill_virtual(struct mor_vector *column, int64_t first, int64_t step, bool stated)
{
    int64_t *values = (int64_t *)(void *)column->data.data;
    for (size_t i = 0; i < column->length; i++)
        if (!stated || mor_vector_is_null(column, i))
            values[i] = first + (int64_t)i * step;
    if (column->null_count > 0)
        memset(column->validity.data, 0xff, (column->length + 7) / 8);
    column->null_count = 0;
}

// `position`: in the base file, of the first row.
static void fill_virtual_columns(const struct mor_slice_reader *reader, struct mor_batch *rows,
                                 int64_t position)
{
    const struct mor_slice *slice = reader->slice;
    if (reader->place_column >= 0)
        fill_virtual(&rows->columns[reader->place_column], (int64_t)slice->number << 32 | position,
                     1, false);
    if (reader->id_column >= 0 && slice->base_row_id >= 0)
        fill_virtual(&rows->columns[reader->id_column], slice->base_row_id + position, 1, true);
    if (reader->sequence_column >= 0 && slice->base_sequence > 0)
        fill_virtual(&rows->columns[reader->sequence_column], slice->base_sequence, 0, true);
}

// Indices of the rows that stand, before conditions.
static size_t keep_standing(struct mor_slice_reader *reader, const struct mor_batch *rows,
                            int64_t position)
{
    size_t count = rows->row_count;
    if (reader->index) {
        const struct mor_vector *ordering =
            reader->ordering_column >= 0 ? &rows->columns[reader->ordering_column] : NULL;
        mor_delta_index_judge(reader->index, &rows->columns[reader->key_column], ordering,
                              reader->kept, &count);
        return count;
    }
    if (reader->only) {
        count = 0;
        for (uint32_t i = 0; i < rows->row_count; i++)
            if (mor_position_set_has(reader->only, (uint64_t)position + i))
                reader->kept[count++] = i;
        return count;
    }
    if (reader->removed)
        return mor_position_set_leave_out(reader->removed, (uint64_t)position, (uint32_t)count,
                                          reader->kept);
    for (uint32_t i = 0; i < count; i++)
        reader->kept[i] = i;
    return count;
}

static enum mor_status next_base(struct mor_slice_reader *reader, struct mor_batch *batch,
                                 struct mor_error *err)
{
    struct mor_batch *rows = reader->rows;
    int64_t position = 0;
    MOR_TRY(mor_parquet_reader_next(reader->base, BATCH_ROWS_MAX, rows, &position, err));
    if (rows->row_count == 0) {
        close_base(reader);
        reader->phase = PHASE_WINNERS;
        return MOR_OK;
    }
    if (reader->from == 0)
        reader->counts.base_rows += (int64_t)rows->row_count;
    fill_virtual_columns(reader, rows, position);
    size_t count = keep_standing(reader, rows, position);
    count = choose(reader, rows, reader->kept, count);
    if (count == rows->row_count && !reader->widened)
        swap_batches(batch, rows);
    else
        emit(batch, rows, reader->kept, count);
    return MOR_OK;
}

// ---- passes -------------------------------------------------------------------------------------

// The rows that the other version of the file removed and this one has.
static enum mor_status leave_out_common(struct mor_slice_reader *reader, struct mor_error *err)
{
    if (!reader->options.without)
        return MOR_OK;
    MOR_TRY(mor_table_removed_rows(reader->table, reader->options.without, reader->options.budget,
                                   &reader->only, err));
    if (!reader->only)
        reader->only = mor_position_set_new(reader->options.budget);
    if (reader->removed)
        mor_position_set_subtract(reader->only, reader->removed);
    return MOR_OK;
}

static enum mor_status begin_pass(struct mor_slice_reader *reader, struct mor_error *err)
{
    reader->counts.passes++;
    if (reader->keys) {
        MOR_TRY(mor_delta_index_build(reader->table, reader->slice, reader->keys, reader->from,
                                      reader->options.index_bytes_max, reader->options.budget,
                                      &reader->index, err));
        struct mor_delta_counts counts = mor_delta_index_counts(reader->index);
        reader->counts.delta_rows = (int64_t)counts.rows;
        reader->counts.delta_deletes = (int64_t)counts.deletes;
    }
    if (reader->by_place) {
        MOR_TRY(mor_table_removed_rows(reader->table, reader->slice, reader->options.budget,
                                       &reader->removed, err));
        if (reader->removed)
            reader->counts.delta_deletes = (int64_t)mor_position_set_count(reader->removed);
        MOR_TRY(leave_out_common(reader, err));
        if (reader->only && mor_position_set_count(reader->only) == 0) {
            reader->phase = PHASE_END;
            return MOR_OK;
        }
    }
    reader->phase = PHASE_WINNERS;
    if (!reader->slice->base_key)
        return MOR_OK;
    reader->phase = PHASE_BASE;
    return open_base(reader, err);
}

static void end_pass(struct mor_slice_reader *reader)
{
    uint64_t last = reader->index ? mor_delta_index_last(reader->index) : UINT64_MAX;
    mor_delta_free(reader->winners);
    mor_delta_index_free(reader->index);
    reader->winners = NULL;
    reader->index = NULL;
    reader->from = last + 1;
    reader->phase = last == UINT64_MAX ? PHASE_END : PHASE_PASS;
}

// Changed rows that stand, of the pass at hand.
static enum mor_status next_winners(struct mor_slice_reader *reader, struct mor_batch *batch,
                                    struct mor_error *err)
{
    if (reader->index && !reader->winners) {
        uint64_t row_count, winner_count;
        const uint8_t *bits = mor_delta_index_winners(reader->index, &row_count, &winner_count);
        reader->counts.updated_rows += (int64_t)winner_count;
        if (winner_count > 0) {
            MOR_TRY(mor_delta_open(reader->table, reader->slice, reader->merged, &reader->winners,
                                   err));
            mor_delta_select(reader->winners, bits, row_count);
        }
    }
    enum mor_delta_kind kind = MOR_DELTA_END;
    const struct mor_batch *rows = NULL;
    if (reader->winners)
        MOR_TRY(mor_delta_next(reader->winners, &kind, &rows, err));
    if (kind == MOR_DELTA_END) {
        end_pass(reader);
        return MOR_OK;
    }
    if (kind == MOR_DELTA_DELETES)
        return MOR_OK;
    assert(rows->row_count <= BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < rows->row_count; i++)
        reader->kept[i] = i;
    emit(batch, rows, reader->kept, choose(reader, rows, reader->kept, rows->row_count));
    return MOR_OK;
}

static enum mor_status step(struct mor_slice_reader *reader, struct mor_batch *batch,
                            struct mor_error *err)
{
    if (reader->phase == PHASE_PASS)
        return begin_pass(reader, err);
    if (reader->phase == PHASE_BASE)
        return next_base(reader, batch, err);
    return next_winners(reader, batch, err);
}

enum mor_status mor_slice_reader_next(struct mor_slice_reader *reader, struct mor_batch *batch,
                                      struct mor_error *err)
{
    mor_batch_reset(batch);
    while (batch->row_count == 0 && reader->phase != PHASE_END) {
        enum mor_status status = step(reader, batch, err);
        if (status != MOR_OK)
            return mor_error_wrap(err, "could not read file group '%s' of partition '%s'",
                                  reader->slice->file_group, reader->slice->partition);
    }
    return MOR_OK;
}
