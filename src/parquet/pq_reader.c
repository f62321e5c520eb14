#include "pq_prune.h"

#include <assert.h>

#define TAIL_FIRST_BYTES ((int64_t)64 << 10) // most footers are shorter
#define BATCH_ROWS_MAX   ((size_t)1 << 22)
#define BATCH_BYTES_MAX  ((size_t)1 << 30) // of fixed-width columns

// ---- footer -------------------------------------------------------------------------------------

static enum mor_status not_parquet(struct mor_error *err, int64_t offset, const char *what)
{
    mor_error_set(err, MOR_DATA, "not a Parquet file: %s", what);
    err->file_offset = offset;
    return MOR_DATA;
}

static enum mor_status read_footer(struct mor_parquet_reader *r, struct mor_error *err)
{
    const struct mor_byte_source *source = &r->source;
    int64_t size = source->size_bytes, tail = size < TAIL_FIRST_BYTES ? size : TAIL_FIRST_BYTES;
    uint32_t length;
    if (size < 12)
        return not_parquet(err, 0, "shorter than 12 bytes");
    mor_buffer_reserve(&r->footer, (size_t)tail);
    MOR_TRY(source->read(source->context, size - tail, r->footer.data, (size_t)tail, err));
    const uint8_t *end = r->footer.data + tail;
    if (memcmp(end - 4, "PARE", 4) == 0)
        return not_parquet(err, size - 4, "the footer is encrypted");
    if (memcmp(end - 4, "PAR1", 4) != 0)
        return not_parquet(err, size - 4, "it does not end with PAR1");
    memcpy(&length, end - 8, 4);
    if (length > MOR_PQ_FOOTER_BYTES_MAX || (int64_t)length > size - 12)
        return not_parquet(err, size - 8,
                           "the footer is longer than the file or the limit of 256 MiB");
    r->data_end = size - 8 - (int64_t)length;
    r->footer.size_bytes = length;
    if ((int64_t)length + 8 <= tail) {
        memmove(r->footer.data, end - 8 - length, length);
        return MOR_OK;
    }
    mor_buffer_reset(&r->footer);
    mor_buffer_reserve(&r->footer, length);
    r->footer.size_bytes = length;
    return source->read(source->context, r->data_end, r->footer.data, length, err);
}

static enum mor_status count_rows(struct mor_parquet_reader *r, struct mor_error *err)
{
    for (size_t i = 0; i < r->file.row_group_count; i++) {
        if (__builtin_add_overflow(r->row_count, r->file.row_groups[i].num_rows, &r->row_count))
            return mor_error_set(err, MOR_DATA, "row groups have more rows than can be counted");
    }
    return MOR_OK;
}

static void copy_key_values(struct mor_parquet_reader *r)
{
    size_t count = r->file.key_value_count;
    r->key_values = mor_arena_calloc(&r->arena, count + 1, sizeof *r->key_values);
    for (size_t i = 0; i < count; i++) {
        const struct mor_pq_bytes key = r->file.key_values[i].key,
                                  value = r->file.key_values[i].value;
        r->key_values[i].key =
            mor_arena_strndup(&r->arena, key.data ? (const char *)key.data : "", key.size_bytes);
        if (value.data)
            r->key_values[i].value =
                mor_arena_strndup(&r->arena, (const char *)value.data, value.size_bytes);
        else
            r->key_values[i].value = "";
    }
}

static enum mor_status open_file(struct mor_parquet_reader *r, struct mor_error *err)
{
    MOR_TRY(read_footer(r, err));
    MOR_TRY(mor_pq_file_parse(r->footer.data, r->footer.size_bytes, r->data_end, &r->arena,
                              &r->file, err));
    if (r->file.encrypted)
        return mor_error_set(err, MOR_DATA, "the file is encrypted");
    MOR_TRY(mor_pq_tree_build(r->file.elements, r->file.element_count, &r->arena, &r->tree, err));
    MOR_TRY(mor_pq_views_build(&r->tree, &r->arena, &r->schema, &r->views, err));
    MOR_TRY(count_rows(r, err));
    copy_key_values(r);
    return MOR_OK;
}

enum mor_status mor_parquet_reader_open(const struct mor_byte_source *source,
                                        struct mor_budget *budget,
                                        struct mor_parquet_reader **ret_reader,
                                        struct mor_error *err)
{
    struct mor_parquet_reader *r = mor_calloc(1, sizeof *r);
    r->source = *source;
    r->budget = budget;
    mor_arena_init(&r->arena, 0, budget);
    mor_arena_init(&r->plan_arena, 0, budget);
    mor_arena_init(&r->group_arena, 0, budget);
    mor_buffer_init(&r->footer, budget);
    r->leaves.source = &r->source;
    r->leaves.budget = budget;
    r->leaves.held.bytes_max = MOR_PQ_HELD_BYTES_MAX;
    if (open_file(r, err) != MOR_OK) {
        mor_parquet_reader_free(r);
        return mor_error_wrap(err, "could not open the Parquet file");
    }
    *ret_reader = r;
    return MOR_OK;
}

static void forget_plan(struct mor_parquet_reader *r)
{
    mor_pq_reader_close_group(r);
    mor_pq_leaves_done(&r->leaves);
    for (size_t i = 0; r->columns && i < r->wanted->root.child_count; i++)
        mor_vector_done(&r->columns[i].carry);
    free(r->columns);
    r->columns = NULL;
    mor_arena_reset(&r->plan_arena);
    r->wanted = NULL;
}

void mor_parquet_reader_free(struct mor_parquet_reader *r)
{
    if (!r)
        return;
    forget_plan(r);
    mor_arena_done(&r->plan_arena);
    mor_arena_done(&r->group_arena);
    mor_pq_predicates_done(r->predicates, r->predicate_count);
    free(r->ranges);
    mor_schema_free(r->schema);
    mor_buffer_done(&r->footer);
    mor_arena_done(&r->arena);
    free(r);
}

const struct mor_schema *mor_parquet_reader_schema(const struct mor_parquet_reader *r)
{
    return r->schema;
}

int64_t mor_parquet_reader_row_count(const struct mor_parquet_reader *r)
{
    return r->row_count;
}

size_t mor_parquet_reader_metadata(const struct mor_parquet_reader *r,
                                   const struct mor_parquet_key_value **ret_pairs)
{
    *ret_pairs = r->key_values;
    return r->file.key_value_count;
}

// ---- projection ---------------------------------------------------------------------------------

enum mor_status mor_parquet_reader_project(struct mor_parquet_reader *r,
                                           const struct mor_schema *wanted, struct mor_error *err)
{
    assert(!r->started);
    forget_plan(r);
    bool own = !wanted;
    if (own)
        wanted = r->schema;
    MOR_TRY(mor_pq_plan_make(wanted, r->schema, r->views, own, &r->plan_arena, &r->leaves,
                             &r->plans, err));
    r->wanted = wanted;
    r->columns = mor_calloc(wanted->root.child_count + 1, sizeof *r->columns);
    for (size_t i = 0; i < wanted->root.child_count; i++)
        mor_vector_init(&r->columns[i].carry, &wanted->root.children[i], r->budget);
    return MOR_OK;
}

// ---- batches ------------------------------------------------------------------------------------

void mor_parquet_reader_verify_checksums(struct mor_parquet_reader *r, bool verify)
{
    r->skip_checksums = !verify;
}

void mor_parquet_reader_limit_bytes(struct mor_parquet_reader *r, size_t bytes_max)
{
    r->leaves.held.bytes_max = bytes_max;
}

// Rows of a batch whose fixed-width columns stay within the batch's bytes, nulls included.
static size_t batch_rows_max(const struct mor_parquet_reader *r)
{
    size_t row_bytes = 1;
    for (size_t i = 0; i < r->wanted->root.child_count; i++)
        row_bytes += mor_type_width(&r->wanted->root.children[i]) + 4;
    size_t rows = BATCH_BYTES_MAX / row_bytes + 1;
    return rows < BATCH_ROWS_MAX ? rows : BATCH_ROWS_MAX;
}

// Opens the next row group that has rows which may be wanted; *ret_end: there is none.
static enum mor_status next_group(struct mor_parquet_reader *r, bool *ret_end,
                                  struct mor_error *err)
{
    while (r->next_group < r->file.row_group_count) {
        size_t group = r->next_group++;
        r->group_position = r->next_position;
        r->next_position += r->file.row_groups[group].num_rows;
        MOR_TRY(mor_pq_prune_group(r, group, err));
        if (r->range_count == 0)
            continue;
        MOR_TRY(mor_pq_reader_open_group(r, group, err));
        r->range = 0;
        return mor_pq_reader_open_range(r, err);
    }
    *ret_end = true;
    return MOR_OK;
}

// After a batch: the next range of the row group, or none.
static enum mor_status next_range(struct mor_parquet_reader *r, struct mor_error *err)
{
    if (r->group_row < r->ranges[r->range].end)
        return MOR_OK;
    if (++r->range < r->range_count)
        return mor_pq_reader_open_range(r, err);
    mor_pq_reader_close_group(r);
    return MOR_OK;
}

enum mor_status mor_parquet_reader_next(struct mor_parquet_reader *r, size_t row_count_max,
                                        struct mor_batch *batch, int64_t *ret_row_position,
                                        struct mor_error *err)
{
    if (!r->wanted)
        MOR_TRY(mor_parquet_reader_project(r, NULL, err));
    assert(batch->column_count == r->wanted->root.child_count);
    r->started = true;
    mor_batch_reset(batch);
    bool end = row_count_max == 0;
    if (!r->group_open && !end)
        MOR_TRY(next_group(r, &end, err));
    if (end)
        return MOR_OK;
    int64_t left = r->ranges[r->range].end - r->group_row;
    size_t rows = batch_rows_max(r);
    rows = row_count_max < rows ? row_count_max : rows;
    rows = (int64_t)rows < left ? rows : (size_t)left;
    MOR_TRY(mor_pq_reader_read_rows(r, rows, batch, err));
    if (ret_row_position)
        *ret_row_position = r->group_position + r->group_row;
    r->group_row += (int64_t)batch->row_count;
    return next_range(r, err);
}
