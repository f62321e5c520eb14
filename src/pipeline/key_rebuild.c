// The key index from the rows of a table: of all of them, or of files whose rows came from others.
#include "key_index.h"
#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/merge.h"

#define PROGRESS_MS 5000

struct rebuild {
    struct mor_state *state;
    const struct mor_key_rebuild *options;
    mor_take_key_changes *take;
    void *context;
    struct mor_router *router;
    const char **columns; // of the projection, by name
    size_t column_count;
    struct mor_batch *rows;    // of the projection
    struct mor_batch view;     // the same in the table's order; other columns are empty
    int32_t ordering;          // column of rows, -1 = none
    uint32_t *number_of_local; // of the router's groups, + 1
    size_t local_count;
    uint32_t *groups;
    struct mor_hash128 *keys;
    struct mor_key_change *changes;
    size_t capacity;
    int64_t row_count, started_ms, told_ms;
    // by place
    int32_t place;        // column of rows, -1 = rows have no places
    uint64_t file_number; // of the slice that is read, << 32
};

// ---- columns ------------------------------------------------------------------------------------

static bool is_needed(const struct rebuild *work, const char *name)
{
    int32_t column = mor_schema_find(work->options->rows, name);
    for (size_t i = 0; i < work->options->required_count; i++)
        if (work->options->required_columns[i] == column)
            return true;
    return mor_table_is_key_column(work->options->table, name);
}

// The projection, and the table's own order of columns for the router.
static void choose_columns(struct rebuild *work, struct mor_arena *arena)
{
    const struct mor_schema *all = mor_table_schema(work->options->table);
    size_t count = all->root.child_count;
    work->columns = mor_arena_calloc(arena, count, sizeof *work->columns);
    work->view =
        (struct mor_batch){.schema = all,
                           .column_count = count,
                           .columns = mor_arena_calloc(arena, count, sizeof(struct mor_vector))};
    for (size_t i = 0; i < count; i++) {
        work->view.columns[i].field = &all->root.children[i];
        if (is_needed(work, all->root.children[i].name))
            work->columns[work->column_count++] = all->root.children[i].name;
    }
}

// Rows come with this schema.
static void begin_rows(struct rebuild *work, const struct mor_schema *schema)
{
    const struct mor_key_rebuild *options = work->options;
    work->rows = mor_batch_new(schema, options->budget);
    work->router = mor_router_new(options->table);
    work->place =
        mor_table_has_places(options->table) ? mor_schema_find(schema, MOR_COLUMN_PLACE) : -1;
    work->ordering =
        options->ordering_column >= 0
            ? mor_schema_find(schema, options->rows->root.children[options->ordering_column].name)
            : -1;
}

// ---- rows ---------------------------------------------------------------------------------------

static uint32_t number_of(struct rebuild *work, uint32_t local)
{
    if (local >= work->local_count) {
        size_t grown = (size_t)local * 2 + 64;
        work->number_of_local =
            mor_realloc(work->number_of_local, grown * sizeof *work->number_of_local);
        memset(work->number_of_local + work->local_count, 0,
               (grown - work->local_count) * sizeof *work->number_of_local);
        work->local_count = grown;
    }
    if (work->number_of_local[local] == 0) {
        const char *partition;
        int32_t bucket;
        mor_router_group(work->router, local, &partition, &bucket);
        work->number_of_local[local] = mor_state_name_number(work->state, partition) + 1;
    }
    return work->number_of_local[local] - 1;
}

static void reserve(struct rebuild *work, size_t row_count)
{
    if (row_count <= work->capacity)
        return;
    work->groups = mor_realloc(work->groups, row_count * sizeof *work->groups);
    work->keys = mor_realloc(work->keys, row_count * sizeof *work->keys);
    work->changes = mor_realloc(work->changes, row_count * sizeof *work->changes);
    work->capacity = row_count;
}

static uint64_t location_of(struct rebuild *work, size_t row)
{
    if (work->place < 0)
        return number_of(work, work->groups[row]);
    uint64_t place = (uint64_t)mor_vector_i64(&work->rows->columns[work->place], row);
    return work->file_number | (place & UINT32_MAX);
}

static enum mor_status take_rows(struct rebuild *work, struct mor_error *err)
{
    size_t row_count = work->rows->row_count;
    reserve(work, row_count);
    for (size_t i = 0; i < work->column_count; i++)
        work->view.columns[mor_schema_find(work->view.schema, work->columns[i])] =
            work->rows->columns[i];
    work->view.row_count = row_count;
    mor_router_route(work->router, &work->view, 0, row_count, NULL, work->groups, work->keys);
    const struct mor_vector *ordering =
        work->ordering >= 0 ? &work->rows->columns[work->ordering] : NULL;
    size_t kept = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (work->groups[i] == MOR_GROUP_INVALID) // written by somebody else
            continue;
        work->changes[kept++] = (struct mor_key_change){
            work->keys[i], {location_of(work, i), mor_key_ordering(ordering, i)}};
    }
    work->row_count += (int64_t)kept;
    return work->take(work->context, work->changes, kept, err);
}

static void tell_progress(struct rebuild *work, bool done)
{
    int64_t now_ms = mor_clock_mono_ms();
    if (!done && now_ms < work->told_ms + PROGRESS_MS)
        return;
    work->told_ms = now_ms;
    MOR_LOG(INFO, done ? "key_index_rebuilt" : "key_index_progress",
            MOR_STR("topic", work->options->topic), MOR_INT("keys", work->row_count),
            MOR_INT("ms", now_ms - work->started_ms));
}

// ---- by table partition -------------------------------------------------------------------------

static enum mor_status take_scan(struct rebuild *work, struct mor_scan *scan, struct mor_error *err)
{
    begin_rows(work, mor_scan_schema(scan));
    for (;;) {
        MOR_TRY(mor_scan_next(scan, work->rows, err));
        if (work->rows->row_count == 0)
            return MOR_OK;
        MOR_TRY(take_rows(work, err));
        tell_progress(work, false);
    }
}

static enum mor_status scan_table(struct rebuild *work, struct mor_table *snapshot,
                                  struct mor_error *err)
{
    const struct mor_scan_options options = {.columns = work->columns,
                                             .column_count = work->column_count,
                                             .budget = work->options->budget};
    struct mor_scan *scan;
    MOR_TRY(mor_scan_open(snapshot, &options, &scan, err));
    enum mor_status status = take_scan(work, scan, err);
    mor_scan_free(scan);
    return status;
}

// The same table, opened for reading.
static enum mor_status take_table(struct rebuild *work, struct mor_error *err)
{
    struct mor_table *snapshot;
    MOR_TRY(mor_table_open_read(work->options->location, work->options->budget, &snapshot, err));
    enum mor_status status = scan_table(work, snapshot, err);
    mor_table_free(snapshot);
    return status;
}

// ---- by place -----------------------------------------------------------------------------------

static enum mor_status take_reader(struct rebuild *work, struct mor_slice_reader *reader,
                                   struct mor_error *err)
{
    for (;;) {
        MOR_TRY(mor_slice_reader_next(reader, work->rows, err));
        if (work->rows->row_count == 0)
            return MOR_OK;
        MOR_TRY(take_rows(work, err));
        tell_progress(work, false);
    }
}

static enum mor_status take_slice(struct rebuild *work, const struct mor_schema *wanted,
                                  const struct mor_slice *slice, struct mor_error *err)
{
    const struct mor_slice_options options = {.wanted = wanted, .budget = work->options->budget};
    struct mor_slice_reader *reader;
    MOR_TRY(mor_slice_reader_open(work->options->table, slice, &options, &reader, err));
    work->file_number = (uint64_t)mor_state_name_number(work->state, slice->base_key) << 32;
    enum mor_status status = take_reader(work, reader, err);
    mor_slice_reader_free(reader);
    return status;
}

static enum mor_status take_slices(struct rebuild *work, const struct mor_slice *slices,
                                   size_t slice_count, struct mor_error *err)
{
    struct mor_table *table = work->options->table;
    struct mor_schema *wanted = mor_schema_new("keys");
    for (size_t i = 0; i < work->column_count; i++)
        mor_schema_add_copy(wanted, NULL, mor_table_column(table, work->columns[i]));
    mor_schema_add_copy(wanted, NULL, mor_table_column(table, MOR_COLUMN_PLACE));
    begin_rows(work, wanted);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < slice_count && status == MOR_OK; i++)
        status = take_slice(work, wanted, &slices[i], err);
    mor_batch_free(work->rows); // its schema goes
    work->rows = NULL;
    mor_schema_free(wanted);
    return status;
}

// ---- the whole ----------------------------------------------------------------------------------

static void begin(struct rebuild *work, struct mor_state *state,
                  const struct mor_key_rebuild *options, mor_take_key_changes *take, void *context,
                  struct mor_arena *arena)
{
    int64_t now_ms = mor_clock_mono_ms();
    *work = (struct rebuild){.state = state,
                             .options = options,
                             .take = take,
                             .context = context,
                             .started_ms = now_ms,
                             .told_ms = now_ms};
    mor_arena_init(arena, 0, NULL);
    choose_columns(work, arena);
}

static void end(struct rebuild *work, struct mor_arena *arena)
{
    if (work->rows != NULL)
        mor_batch_free(work->rows);
    mor_router_free(work->router);
    free(work->number_of_local);
    free(work->groups);
    free(work->keys);
    free(work->changes);
    mor_arena_done(arena);
}

enum mor_status mor_key_slices_visit(struct mor_state *state, const struct mor_key_rebuild *options,
                                     const struct mor_slice *slices, size_t slice_count,
                                     mor_take_key_changes *take, void *context,
                                     struct mor_error *err)
{
    struct rebuild work;
    struct mor_arena arena;
    begin(&work, state, options, take, context, &arena);
    enum mor_status status = take_slices(&work, slices, slice_count, err);
    end(&work, &arena);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "could not take rows of '%s' into the key index",
                                             options->location);
}

// The key at a location as text: "a=1, b=x".
static enum mor_status find_key(struct rebuild *work, const struct mor_slice *slice,
                                uint64_t location, struct mor_buffer *ret_text,
                                struct mor_error *err)
{
    struct mor_table *table = work->options->table;
    struct mor_schema *wanted = mor_schema_new("key");
    const char *name;
    for (size_t i = 0; (name = mor_table_key_column(table, i)) != NULL; i++)
        mor_schema_add_copy(wanted, NULL, mor_table_column(table, name));
    int32_t place = (int32_t)wanted->root.child_count;
    mor_schema_add_copy(wanted, NULL, mor_table_column(table, MOR_COLUMN_PLACE));
    const struct mor_slice_options options = {.wanted = wanted, .budget = work->options->budget};
    struct mor_batch *rows = mor_batch_new(wanted, work->options->budget);
    struct mor_slice_reader *reader = NULL;
    enum mor_status status = mor_slice_reader_open(table, slice, &options, &reader, err);
    while (status == MOR_OK && ret_text->size_bytes == 0) {
        status = mor_slice_reader_next(reader, rows, err);
        if (status != MOR_OK || rows->row_count == 0)
            break;
        for (size_t row = 0; row < rows->row_count; row++) {
            uint64_t at = (uint64_t)mor_vector_i64(&rows->columns[place], row);
            for (int32_t i = 0; (at & UINT32_MAX) == (location & UINT32_MAX) && i < place; i++) {
                mor_buffer_printf(ret_text, "%s%s=", i > 0 ? ", " : "",
                                  rows->columns[i].field->name);
                mor_vector_format_text(&rows->columns[i], row, ret_text);
            }
        }
    }
    mor_slice_reader_free(reader);
    mor_batch_free(rows);
    mor_schema_free(wanted);
    return status;
}

// Which row of a key stands, nobody said: what others wrote is not decided here.
static enum mor_status refuse_twice(struct rebuild *work, const struct mor_state_twice *twice,
                                    const struct mor_slice *slices, size_t slice_count,
                                    struct mor_error *err)
{
    const char *one = mor_state_name_text(work->state, (uint32_t)(twice->one >> 32));
    const char *other = mor_state_name_text(work->state, (uint32_t)(twice->other >> 32));
    MOR_AUTO_BUFFER key = {0};
    for (size_t i = 0; i < slice_count && key.size_bytes == 0; i++)
        if (one != NULL && strcmp(slices[i].base_key, one) == 0)
            MOR_TRY(find_key(work, &slices[i], twice->one, &key, err));
    return mor_error_set(err, MOR_FATAL,
                         "%zu rows of the table have the key of another row, for example %s, in "
                         "'%s' and '%s': somebody else wrote them, and which of them counts is not "
                         "known here. Remove the superfluous ones ('moraine verify' finds them), "
                         "then start the topic again",
                         twice->count, mor_buffer_terminate(&key), one != NULL ? one : "",
                         other != NULL ? other : "");
}

static enum mor_status rebuild_by_place(struct rebuild *work, struct mor_arena *arena,
                                        struct mor_error *err)
{
    struct mor_slice *slices;
    struct mor_state_twice twice;
    size_t count;
    MOR_TRY(mor_table_slices(work->options->table, NULL, arena, &slices, &count, err));
    MOR_TRY(mor_state_load_watch(work->state, err));
    MOR_TRY(take_slices(work, slices, count, err));
    MOR_TRY(mor_state_load_watched(work->state, &twice, err));
    return twice.count > 0 ? refuse_twice(work, &twice, slices, count, err) : MOR_OK;
}

enum mor_status mor_key_index_rebuild(struct mor_state *state,
                                      const struct mor_key_rebuild *options, struct mor_error *err)
{
    struct rebuild work;
    struct mor_arena arena;
    begin(&work, state, options, mor_key_load, state, &arena);
    enum mor_status status = mor_table_has_places(options->table)
                                 ? rebuild_by_place(&work, &arena, err)
                                 : take_table(&work, err);
    if (status == MOR_OK)
        tell_progress(&work, true);
    end(&work, &arena);
    return status == MOR_OK
               ? MOR_OK
               : mor_error_wrap(err, "could not make the key index from '%s'", options->location);
}
