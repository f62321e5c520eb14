// What two snapshots of a table differ by, file group by file group.
//
// A file group with the same files in both has no changes and is not read. Of the others the keys
// of the older snapshot are gathered, with the version that each row had; the rows of the newer one
// are streamed past them; and what was met by none of those is read once more, as gone. When the
// keys take more memory than they may, this is done several times, each time for a part of them.
//
// Of tables with places, all files that differ are one unit, since a key may be anywhere; of a file
// that both snapshots have, only the rows count that one of them removed.
#include <string.h>

#include "filter.h"
#include "moraine/base/map.h"
#include "row_hash.h"
#include "version_set.h"

#define INDEX_BYTES_DEFAULT (64u << 20)
#define KEY_COLUMNS         3 // key, commit and sequence

static const char *const kinds[] = {
    [MOR_CHANGE_INSERT] = "insert", [MOR_CHANGE_UPDATE] = "update", [MOR_CHANGE_DELETE] = "delete"};

// File groups that are compared with each other: one that both snapshots have, or all those of a
// table partition that only one of them has, since rows may have moved between them.
struct unit {
    struct member {
        const struct mor_slice *slice;
        const struct mor_slice *without; // with places: the same file on the other side
    } * from, *to;
    size_t from_count, to_count;
};

enum step { STEP_UNIT, STEP_PASS, STEP_NEW, STEP_OLD, STEP_END };

struct mor_diff {
    struct mor_table *table; // borrowed
    const struct mor_filter *filter;
    struct mor_budget *budget;
    size_t index_bytes_max;
    struct mor_arena arena;
    struct mor_schema *schema; // the change, then the wanted columns
    struct mor_schema *merged; // the wanted columns, then keys and those of the condition
    struct mor_schema *keys;
    int32_t key_columns[KEY_COLUMNS]; // in merged
    bool by_place;                    // then it is these, in merged too:
    int32_t *keys_of_place, *values;  // key columns, and all columns of the table
    size_t key_of_place_count, value_count;
    struct mor_buffer scratch;
    struct unit *units;
    size_t unit_count, next_unit;

    enum step step;
    uint64_t pass_from;
    struct version_set set;
    bool has_set;
    size_t next_slice; // of the side that is read
    struct mor_slice_reader *reader;
    struct mor_batch *rows; // of the merged schema
    uint32_t chosen[MOR_FILTER_ROWS_MAX], wanted[MOR_FILTER_ROWS_MAX];
    uint8_t kinds_of_rows[MOR_FILTER_ROWS_MAX];
};

// ---- open ---------------------------------------------------------------------------------------

static enum mor_status add_column(const struct mor_diff *diff, struct mor_schema *schema,
                                  const char *name, struct mor_error *err)
{
    const struct mor_field *field = mor_table_column(diff->table, name);
    if (!field)
        return mor_error_set(err, MOR_DATA, "table '%s' has no column '%s'",
                             mor_table_name(diff->table), name);
    if (mor_schema_find(schema, name) >= 0)
        return mor_error_set(err, MOR_DATA, "column '%s' is asked for twice", name);
    mor_schema_add_copy(schema, NULL, field);
    return MOR_OK;
}

static enum mor_status build_merged(struct mor_diff *diff, const struct mor_diff_options *options,
                                    struct mor_error *err)
{
    const struct mor_schema *all = mor_table_schema(diff->table);
    diff->merged = mor_schema_new("rows");
    for (size_t i = 0; options->column_count == 0 && i < all->root.child_count; i++)
        mor_schema_add_copy(diff->merged, NULL, &all->root.children[i]);
    for (size_t i = 0; i < options->column_count; i++)
        MOR_TRY(add_column(diff, diff->merged, options->columns[i], err));
    if (mor_schema_find(diff->merged, MOR_CHANGE_COLUMN) >= 0)
        return mor_error_set(err, MOR_DATA,
                             "the table has a column '" MOR_CHANGE_COLUMN
                             "' of its own: name the columns that are wanted, without it");
    diff->schema = mor_schema_new("changes");
    mor_schema_add(diff->schema, NULL, MOR_CHANGE_COLUMN, MOR_TYPE_STRING, false);
    for (size_t i = 0; i < diff->merged->root.child_count; i++)
        mor_schema_add_copy(diff->schema, NULL, &diff->merged->root.children[i]);
    return MOR_OK;
}

// Index of the column in the merged schema, added when it is not there.
static enum mor_status need_column(const struct mor_diff *diff, const char *name,
                                   int32_t *ret_index, struct mor_error *err)
{
    if (mor_schema_find(diff->merged, name) < 0)
        MOR_TRY(add_column(diff, diff->merged, name, err));
    *ret_index = mor_schema_find(diff->merged, name);
    return MOR_OK;
}

// Rows are told apart by their values: all columns are read.
static enum mor_status add_places(struct mor_diff *diff, struct mor_error *err)
{
    const struct mor_schema *all = mor_table_schema(diff->table);
    const char *name;
    diff->values = mor_arena_calloc(&diff->arena, all->root.child_count, sizeof *diff->values);
    diff->keys_of_place =
        mor_arena_calloc(&diff->arena, all->root.child_count, sizeof *diff->keys_of_place);
    for (size_t i = 0; i < all->root.child_count; i++)
        MOR_TRY(
            need_column(diff, all->root.children[i].name, &diff->values[diff->value_count++], err));
    while ((name = mor_table_key_column(diff->table, diff->key_of_place_count)) != NULL)
        MOR_TRY(need_column(diff, name, &diff->keys_of_place[diff->key_of_place_count++], err));
    return MOR_OK;
}

static enum mor_status build_schemas(struct mor_diff *diff, const struct mor_diff_options *options,
                                     struct mor_error *err)
{
    struct mor_merge_rule rule;
    mor_table_merge_rule(diff->table, &rule);
    MOR_TRY(build_merged(diff, options, err));
    diff->by_place = rule.by_place;
    if (rule.by_place)
        return add_places(diff, err);
    if (!rule.key_column || !rule.commit_column || !rule.sequence_column)
        return mor_error_set(err, MOR_FATAL, "the table does not tell which commit wrote a row");
    const char *const names[KEY_COLUMNS] = {rule.key_column, rule.commit_column,
                                            rule.sequence_column};
    diff->keys = mor_schema_new("keys");
    for (size_t i = 0; i < KEY_COLUMNS; i++) {
        MOR_TRY(add_column(diff, diff->keys, names[i], err));
        MOR_TRY(need_column(diff, names[i], &diff->key_columns[i], err));
    }
    const struct mor_filter *filter = diff->filter;
    for (size_t i = 0; filter && i < filter->columns->root.child_count; i++) {
        int32_t ignored;
        MOR_TRY(need_column(diff, filter->columns->root.children[i].name, &ignored, err));
    }
    return MOR_OK;
}

// Whether the two are the same files, and files that nobody adds to.
static bool is_same(const struct mor_slice *a, const struct mor_slice *b)
{
    if (!a->base_key != !b->base_key || (a->base_key && strcmp(a->base_key, b->base_key) != 0) ||
        a->delta_count != b->delta_count || !a->sealed || !b->sealed)
        return false;
    for (size_t i = 0; i < a->delta_count; i++) {
        if (strcmp(a->delta_keys[i], b->delta_keys[i]) != 0)
            return false;
    }
    return true;
}

struct loner {
    const struct mor_slice *slice;
    bool is_new;
};

static int compare_loners(const void *a, const void *b)
{
    const struct loner *left = a, *right = b;
    int order = strcmp(left->slice->partition, right->slice->partition);
    return order != 0 ? order : left->is_new - right->is_new;
}

static struct unit *add_unit(struct mor_diff *diff, size_t from_count, size_t to_count)
{
    struct unit *unit = &diff->units[diff->unit_count++];
    unit->from = mor_arena_calloc(&diff->arena, from_count + 1, sizeof *unit->from);
    unit->to = mor_arena_calloc(&diff->arena, to_count + 1, sizeof *unit->to);
    return unit;
}

static void pool_loners(struct mor_diff *diff, struct loner *loners, size_t count)
{
    if (count > 1)
        qsort(loners, count, sizeof *loners, compare_loners);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && strcmp(loners[next].slice->partition,
                                                      loners[first].slice->partition) == 0;
             next++)
            continue;
        struct unit *unit = add_unit(diff, next - first, next - first);
        for (size_t i = first; i < next; i++) {
            if (loners[i].is_new)
                unit->to[unit->to_count++].slice = loners[i].slice;
            else
                unit->from[unit->from_count++].slice = loners[i].slice;
        }
    }
}

static void group_key(struct mor_buffer *key, const struct mor_slice *slice)
{
    mor_buffer_reset(key);
    mor_buffer_append(key, slice->partition, strlen(slice->partition) + 1);
    mor_buffer_append_text(key, slice->file_group);
}

static bool may_match(const struct mor_diff *diff, const struct mor_slice *slice)
{
    return !diff->filter ||
           mor_filter_partition_may_match(diff->filter, diff->table, slice->partition);
}

static void plan_units(struct mor_diff *diff, const struct mor_slice *from, size_t from_count,
                       const struct mor_slice *to, size_t to_count)
{
    struct mor_map olds = {0};
    MOR_AUTO_BUFFER key = {0};
    struct loner *loners =
        mor_arena_alloc(&diff->arena, (from_count + to_count + 1) * sizeof *loners);
    size_t loner_count = 0;
    diff->units = mor_arena_calloc(&diff->arena, from_count + to_count + 1, sizeof *diff->units);
    for (size_t i = 0; i < from_count; i++) {
        group_key(&key, &from[i]);
        mor_map_put(&olds, key.data, key.size_bytes, NULL)->value.number = (int64_t)i;
    }
    bool *met = mor_calloc(from_count + 1, sizeof *met);
    for (size_t i = 0; i < to_count; i++) {
        if (!may_match(diff, &to[i]))
            continue;
        group_key(&key, &to[i]);
        const struct mor_map_entry *entry = mor_map_find(&olds, key.data, key.size_bytes);
        if (!entry) {
            loners[loner_count++] = (struct loner){&to[i], true};
            continue;
        }
        met[entry->value.number] = true;
        const struct mor_slice *old = &from[entry->value.number];
        if (is_same(old, &to[i]))
            continue;
        struct unit *unit = add_unit(diff, 1, 1);
        unit->from[unit->from_count++].slice = old;
        unit->to[unit->to_count++].slice = &to[i];
    }
    for (size_t i = 0; i < from_count; i++) {
        if (!met[i] && may_match(diff, &from[i]))
            loners[loner_count++] = (struct loner){&from[i], false};
    }
    pool_loners(diff, loners, loner_count);
    free(met);
    mor_map_done(&olds);
}

static void plan_places(struct mor_diff *diff, const struct mor_slice *from, size_t from_count,
                        const struct mor_slice *to, size_t to_count)
{
    struct mor_map olds = {0};
    diff->units = mor_arena_calloc(&diff->arena, 1, sizeof *diff->units);
    struct unit *unit = add_unit(diff, from_count, to_count);
    for (size_t i = 0; i < from_count; i++)
        mor_map_put_text(&olds, from[i].base_key, NULL)->value.pointer =
            (void *)(uintptr_t)&from[i];
    for (size_t i = 0; i < to_count; i++) {
        struct mor_map_entry *entry = mor_map_find_text(&olds, to[i].base_key);
        const struct mor_slice *old = entry ? entry->value.pointer : NULL;
        if (entry)
            entry->value.pointer = NULL;
        if (old && is_same(old, &to[i]))
            continue;
        unit->to[unit->to_count++] = (struct member){&to[i], old};
        if (old)
            unit->from[unit->from_count++] = (struct member){old, &to[i]};
    }
    for (size_t i = 0; i < from_count; i++)
        if (olds.entries[i].value.pointer)
            unit->from[unit->from_count++] = (struct member){olds.entries[i].value.pointer, NULL};
    mor_map_done(&olds);
}

enum mor_status mor_diff_open(struct mor_table *table, const struct mor_diff_options *options,
                              struct mor_diff **ret_diff, struct mor_error *err)
{
    struct mor_diff *diff = mor_calloc(1, sizeof *diff);
    struct mor_slice *from = NULL, *to = NULL;
    size_t from_count = 0, to_count = 0;
    diff->table = table;
    diff->filter = options->filter;
    diff->budget = options->budget;
    diff->index_bytes_max =
        options->index_bytes_max ? options->index_bytes_max : INDEX_BYTES_DEFAULT;
    mor_arena_init(&diff->arena, 0, options->budget);
    enum mor_status status = build_schemas(diff, options, err);
    // the newer one first: what comes in between is in neither
    if (status == MOR_OK)
        status = mor_table_slices(table, options->to, &diff->arena, &to, &to_count, err);
    if (status == MOR_OK)
        status = mor_table_slices(table, options->from, &diff->arena, &from, &from_count, err);
    if (status != MOR_OK) {
        mor_diff_free(diff);
        return status;
    }
    diff->rows = mor_batch_new(diff->merged, diff->budget);
    if (diff->by_place)
        plan_places(diff, from, from_count, to, to_count);
    else
        plan_units(diff, from, from_count, to, to_count);
    *ret_diff = diff;
    return MOR_OK;
}

static void drop_set(struct mor_diff *diff)
{
    if (diff->has_set)
        version_set_done(&diff->set);
    diff->has_set = false;
}

void mor_diff_free(struct mor_diff *diff)
{
    if (!diff)
        return;
    drop_set(diff);
    mor_slice_reader_free(diff->reader);
    if (diff->rows)
        mor_batch_free(diff->rows);
    mor_buffer_done(&diff->scratch);
    mor_schema_free(diff->schema);
    mor_schema_free(diff->merged);
    mor_schema_free(diff->keys);
    mor_arena_done(&diff->arena);
    free(diff);
}

const struct mor_schema *mor_diff_schema(const struct mor_diff *diff)
{
    return diff->schema;
}

// ---- keys and versions --------------------------------------------------------------------------

static uint64_t hash_at(const struct mor_vector *vector, size_t row)
{
    size_t size = 0;
    const uint8_t *bytes =
        mor_vector_is_null(vector, row) ? NULL : mor_vector_bytes_at(vector, row, &size);
    return mor_hash64(bytes ? bytes : (const uint8_t *)"", size);
}

// By its values; rows without a key are counted: of the older snapshot each is one.
static void identify_by_values(struct mor_diff *diff, const struct mor_batch *batch, size_t row,
                               struct mor_hash128 *ret_key, uint64_t *ret_version)
{
    struct mor_hash128 values =
        row_hash(batch, diff->values, diff->value_count, row, &diff->scratch);
    *ret_key = values;
    *ret_version = 1;
    if (diff->key_of_place_count == 0)
        return;
    *ret_key = row_hash(batch, diff->keys_of_place, diff->key_of_place_count, row, &diff->scratch);
    *ret_version = values.low;
}

// Which commit wrote the row, and which of its rows it is. Rows of a table without key are known by
// nothing else.
static void identify(struct mor_diff *diff, const struct mor_batch *batch, const int32_t *columns,
                     size_t row, struct mor_hash128 *ret_key, uint64_t *ret_version)
{
    if (diff->by_place) {
        identify_by_values(diff, batch, row, ret_key, ret_version);
        return;
    }
    const struct mor_vector *keys = &batch->columns[columns[0]];
    uint64_t parts[2] = {hash_at(&batch->columns[columns[1]], row),
                         hash_at(&batch->columns[columns[2]], row)};
    size_t size = 0;
    const uint8_t *key =
        mor_vector_is_null(keys, row) ? NULL : mor_vector_bytes_at(keys, row, &size);
    *ret_version = mor_hash64(parts, sizeof parts);
    *ret_key = mor_hash128_seed(key ? key : (const uint8_t *)"", size,
                                mor_table_is_keyed(diff->table) ? 0 : *ret_version);
}

static bool counts_rows(const struct mor_diff *diff)
{
    return diff->by_place && diff->key_of_place_count == 0;
}

static enum mor_status gather_keys(struct mor_diff *diff, const struct member *member,
                                   struct mor_error *err)
{
    static const int32_t columns[KEY_COLUMNS] = {0, 1, 2};
    const struct mor_schema *wanted = diff->by_place ? diff->merged : diff->keys;
    const struct mor_slice_options options = {.wanted = wanted,
                                              .index_bytes_max = diff->index_bytes_max,
                                              .without = member->without,
                                              .budget = diff->budget};
    struct mor_slice_reader *reader = NULL;
    MOR_TRY(mor_slice_reader_open(diff->table, member->slice, &options, &reader, err));
    struct mor_batch *batch = mor_batch_new(wanted, diff->budget);
    enum mor_status status;
    while ((status = mor_slice_reader_next(reader, batch, err)) == MOR_OK && batch->row_count > 0) {
        for (size_t i = 0; i < batch->row_count; i++) {
            struct mor_hash128 key;
            uint64_t version;
            identify(diff, batch, columns, i, &key, &version);
            bool added = version_set_add(&diff->set, key, version);
            if (!added && counts_rows(diff) && version_set_covers(&diff->set, key))
                version_set_find(&diff->set, key)->version++;
        }
    }
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    return status;
}

// ---- steps --------------------------------------------------------------------------------------

static enum mor_status begin_pass(struct mor_diff *diff, const struct unit *unit,
                                  struct mor_error *err)
{
    drop_set(diff);
    version_set_init(&diff->set, diff->pass_from, diff->index_bytes_max, diff->budget);
    diff->has_set = true;
    for (size_t i = 0; i < unit->from_count; i++)
        MOR_TRY(gather_keys(diff, &unit->from[i], err));
    diff->next_slice = 0;
    diff->step = STEP_NEW;
    return MOR_OK;
}

static void end_pass(struct mor_diff *diff)
{
    bool last = diff->set.last == UINT64_MAX;
    diff->pass_from = diff->set.last + 1;
    diff->step = last ? STEP_UNIT : STEP_PASS;
    drop_set(diff);
}

// The next rows of one side of the unit; none at its end.
static enum mor_status read_side(struct mor_diff *diff, const struct member *members, size_t count,
                                 struct mor_error *err)
{
    struct mor_slice_options options = {
        .wanted = diff->merged, .index_bytes_max = diff->index_bytes_max, .budget = diff->budget};
    mor_batch_reset(diff->rows);
    for (;;) {
        if (!diff->reader) {
            if (diff->next_slice == count)
                return MOR_OK;
            const struct member *member = &members[diff->next_slice++];
            options.without = member->without;
            MOR_TRY(
                mor_slice_reader_open(diff->table, member->slice, &options, &diff->reader, err));
        }
        MOR_TRY(mor_slice_reader_next(diff->reader, diff->rows, err));
        if (diff->rows->row_count > 0)
            return MOR_OK;
        mor_slice_reader_free(diff->reader);
        diff->reader = NULL;
    }
}

// Whether a row of a table without key is one more than the other side has.
static bool is_one_more(struct mor_diff *diff, struct version_entry *entry, bool is_new)
{
    if (!entry || entry->version == 0)
        return is_new;
    if (--entry->version == 0)
        version_set_see(&diff->set, entry);
    return !is_new;
}

// Judges the rows of one batch; *ret_count of them, in `wanted`, are changes.
static void judge(struct mor_diff *diff, bool is_new, size_t *ret_count)
{
    const struct mor_batch *rows = diff->rows;
    *ret_count = 0;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct mor_hash128 key;
        uint64_t version;
        identify(diff, rows, diff->key_columns, i, &key, &version);
        if (!version_set_covers(&diff->set, key))
            continue;
        struct version_entry *entry = version_set_find(&diff->set, key);
        if (counts_rows(diff)) {
            diff->kinds_of_rows[i] = is_new ? MOR_CHANGE_INSERT : MOR_CHANGE_DELETE;
            if (is_one_more(diff, entry, is_new))
                diff->wanted[(*ret_count)++] = i;
            continue;
        }
        if (is_new && entry)
            version_set_see(&diff->set, entry);
        bool is_change = is_new ? !entry || entry->version != version : entry && !entry->seen;
        if (!is_change)
            continue;
        diff->kinds_of_rows[i] =
            !is_new ? MOR_CHANGE_DELETE : (entry ? MOR_CHANGE_UPDATE : MOR_CHANGE_INSERT);
        diff->wanted[(*ret_count)++] = i;
    }
}

// Leaves of the wanted rows those for which the condition is true.
static size_t apply_filter(struct mor_diff *diff, size_t count)
{
    if (!diff->filter || count == 0)
        return count;
    size_t chosen = mor_filter_select(diff->filter, diff->rows, diff->chosen), left = 0;
    for (size_t i = 0, c = 0; i < count && c < chosen;) {
        uint32_t row = diff->wanted[i];
        if (row == diff->chosen[c])
            diff->wanted[left++] = row;
        i += row <= diff->chosen[c];
        c += row > diff->chosen[c];
    }
    return left;
}

static void emit(struct mor_diff *diff, size_t count, struct mor_batch *batch)
{
    for (size_t i = 0; i < count; i++) {
        const char *kind = kinds[diff->kinds_of_rows[diff->wanted[i]]];
        mor_vector_append_bytes(&batch->columns[0], kind, strlen(kind));
    }
    for (size_t i = 1; i < batch->column_count; i++)
        mor_vector_append_slots(&batch->columns[i], &diff->rows->columns[i - 1], diff->wanted,
                                count);
    batch->row_count += count;
}

static enum mor_status next_rows(struct mor_diff *diff, const struct unit *unit,
                                 struct mor_batch *batch, struct mor_error *err)
{
    bool is_new = diff->step == STEP_NEW;
    MOR_TRY(read_side(diff, is_new ? unit->to : unit->from,
                      is_new ? unit->to_count : unit->from_count, err));
    if (diff->rows->row_count > 0) {
        size_t count;
        judge(diff, is_new, &count);
        emit(diff, apply_filter(diff, count), batch);
        return MOR_OK;
    }
    diff->next_slice = 0;
    if (is_new && diff->set.seen_count < diff->set.count)
        diff->step = STEP_OLD;
    else
        end_pass(diff);
    return MOR_OK;
}

static enum mor_status advance(struct mor_diff *diff, struct mor_batch *batch,
                               struct mor_error *err)
{
    if (diff->step == STEP_UNIT) {
        diff->pass_from = 0;
        diff->step = diff->next_unit < diff->unit_count ? STEP_PASS : STEP_END;
        diff->next_unit++;
        return MOR_OK;
    }
    const struct unit *unit = &diff->units[diff->next_unit - 1];
    return diff->step == STEP_PASS ? begin_pass(diff, unit, err)
                                   : next_rows(diff, unit, batch, err);
}

enum mor_status mor_diff_next(struct mor_diff *diff, struct mor_batch *batch, struct mor_error *err)
{
    mor_batch_reset(batch);
    while (batch->row_count == 0 && diff->step != STEP_END)
        MOR_TRY(advance(diff, batch, err));
    return MOR_OK;
}
