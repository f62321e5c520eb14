#include "pq_prune.h"

#include <assert.h>

#include "pq_bloom.h"

void mor_pq_predicates_done(struct mor_pq_predicate *predicates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mor_buffer_done(&predicates[i].value);
    free(predicates);
}

// ---- predicates ---------------------------------------------------------------------------------

// The leaf that a path of field names leads to, through structs; NULL when there is none.
static const struct mor_pq_view *find_view(const struct mor_field *fields,
                                           const struct mor_pq_view *views, size_t count,
                                           const char *path, const struct mor_field **ret_field)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(fields[i].name);
        if (strcmp(fields[i].name, path) == 0 && views[i].node->leaf >= 0) {
            *ret_field = &fields[i];
            return &views[i];
        }
        if (fields[i].type == MOR_TYPE_STRUCT && strncmp(fields[i].name, path, length) == 0 &&
            path[length] == '.') {
            const struct mor_pq_view *found =
                find_view(fields[i].children, views[i].children, fields[i].child_count,
                          path + length + 1, ret_field);
            if (found)
                return found;
        }
    }
    return NULL;
}

static void put_be(struct mor_buffer *out, const uint8_t *little, size_t size)
{
    for (size_t i = size; i-- > 0;)
        mor_buffer_append_u8(out, little[i]);
}

// The value in the physical form of the column; false when bounds cannot be compared with it.
static bool physical_value(const struct mor_pq_element *e, const struct mor_field *field,
                           const struct mor_parquet_predicate *p, struct mor_buffer *out)
{
    size_t width = mor_type_width(field);
    if (field->type == MOR_TYPE_BOOL)
        width = 1;
    if (!p->value || (width > 0 && p->value_size_bytes != width))
        return false;
    if (field->type == MOR_TYPE_DECIMAL) {
        mor_int128 value;
        memcpy(&value, p->value, 16);
        if (e->type == MOR_PQ_INT32 && (value < INT32_MIN || value > INT32_MAX))
            return false;
        if (e->type == MOR_PQ_INT64 && (value < INT64_MIN || value > INT64_MAX))
            return false;
        if (e->type == MOR_PQ_INT32 || e->type == MOR_PQ_INT64)
            mor_buffer_append(out, p->value, e->type == MOR_PQ_INT32 ? 4 : 8);
        else
            put_be(out, p->value, 16);
        return true;
    }
    // Types that are converted on reading keep another form in the file.
    bool nanos = (e->logical == MOR_PQ_L_TIMESTAMP || e->logical == MOR_PQ_L_TIME) &&
                 e->unit == MOR_PQ_NANOS;
    bool converted = e->type == MOR_PQ_INT96 || nanos || e->logical == MOR_PQ_L_FLOAT16 ||
                     (e->type == MOR_PQ_INT32 && width == 8);
    if (converted)
        return false;
    mor_buffer_append(out, p->value, p->value_size_bytes);
    return true;
}

enum mor_status mor_parquet_reader_filter(struct mor_parquet_reader *r,
                                          const struct mor_parquet_predicate *predicates,
                                          size_t count, struct mor_error *err)
{
    assert(!r->started);
    mor_pq_predicates_done(r->predicates, r->predicate_count);
    r->predicates = mor_calloc(count + 1, sizeof *r->predicates);
    r->predicate_count = count;
    for (size_t i = 0; i < count; i++) {
        struct mor_pq_predicate *to = &r->predicates[i];
        const struct mor_field *field = NULL;
        const struct mor_pq_view *view =
            find_view(r->schema->root.children, r->views, r->schema->root.child_count,
                      predicates[i].path, &field);
        *to = (struct mor_pq_predicate){.compare = predicates[i].compare, .leaf = -1};
        if (!view)
            continue;
        to->leaf = view->node->leaf;
        to->order = mor_pq_order_of(view->node->element);
        bool needs_value = predicates[i].compare < MOR_PARQUET_IS_NULL;
        if (needs_value && !predicates[i].value)
            return mor_error_set(err, MOR_FATAL, "the predicate on '%s' has no value",
                                 predicates[i].path);
        to->ordered =
            needs_value && physical_value(view->node->element, field, &predicates[i], &to->value);
    }
    return MOR_OK;
}

// ---- bounds -------------------------------------------------------------------------------------

struct bounds {
    struct mor_pq_bytes min, max;
    bool has_min, has_max;
};

static bool can_match(const struct mor_pq_predicate *p, const struct bounds *b)
{
    const struct mor_buffer *v = &p->value;
    int to_min = b->has_min ? mor_pq_compare(p->order, v->data, v->size_bytes, b->min.data,
                                             b->min.size_bytes)
                            : 1;
    int to_max = b->has_max ? mor_pq_compare(p->order, v->data, v->size_bytes, b->max.data,
                                             b->max.size_bytes)
                            : -1;
    switch (p->compare) {
    case MOR_PARQUET_EQUAL:
        return to_min >= 0 && to_max <= 0;
    case MOR_PARQUET_LESS:
        return to_min > 0;
    case MOR_PARQUET_LESS_OR_EQUAL:
        return to_min >= 0;
    case MOR_PARQUET_GREATER:
        return to_max < 0;
    case MOR_PARQUET_GREATER_OR_EQUAL:
        return to_max <= 0;
    default:
        return true;
    }
}

// Bounds of a file are only used when they can be right.
static struct bounds trusted(const struct mor_parquet_reader *r, const struct mor_pq_predicate *p,
                             struct mor_pq_bytes min, struct mor_pq_bytes max)
{
    const struct mor_pq_element *e = r->tree.leaves[p->leaf]->element;
    int32_t length = e->type == MOR_PQ_FLBA ? e->type_length : 0;
    struct bounds b = {.min = min, .max = max};
    b.has_min = mor_pq_bound_usable(p->order, &min, length);
    b.has_max = mor_pq_bound_usable(p->order, &max, length);
    if (b.has_min && b.has_max &&
        mor_pq_compare(p->order, min.data, min.size_bytes, max.data, max.size_bytes) > 0)
        b.has_min = b.has_max = false;
    return b;
}

static struct bounds chunk_bounds(const struct mor_parquet_reader *r,
                                  const struct mor_pq_predicate *p,
                                  const struct mor_pq_statistics *s)
{
    bool defined_order =
        (size_t)p->leaf < r->file.column_order_count && r->file.column_orders[p->leaf];
    if (defined_order)
        return trusted(r, p, s->min_value, s->max_value);
    // The old fields were compared as signed numbers, whatever the type.
    bool numeric = p->order == MOR_PQ_ORDER_INT32 || p->order == MOR_PQ_ORDER_INT64 ||
                   p->order == MOR_PQ_ORDER_FLOAT || p->order == MOR_PQ_ORDER_DOUBLE ||
                   p->order == MOR_PQ_ORDER_BOOLEAN;
    return numeric ? trusted(r, p, s->min, s->max) : (struct bounds){0};
}

// May a set of `values` entries, `nulls` of which are null (-1: unknown), hold a match?
static bool nulls_allow(const struct mor_pq_predicate *p, int64_t values, int64_t nulls)
{
    if (p->compare == MOR_PARQUET_IS_NULL)
        return nulls != 0;
    return nulls < 0 || nulls < values;
}

// ---- bloom filter -------------------------------------------------------------------------------

static enum mor_status read_range(const struct mor_parquet_reader *r, int64_t offset, size_t size,
                                  uint8_t *ret_bytes, struct mor_error *err)
{
    if (offset < 4 || offset > r->data_end || size > (size_t)(r->data_end - offset)) {
        mor_error_set(err, MOR_DATA, "an index or bloom filter lies outside the file");
        err->file_offset = offset;
        return MOR_DATA;
    }
    return r->source.read(r->source.context, offset, ret_bytes, size, err);
}

static enum mor_status bloom_allows(const struct mor_parquet_reader *r,
                                    const struct mor_pq_predicate *p,
                                    const struct mor_pq_chunk *chunk, bool *ret_maybe,
                                    struct mor_error *err)
{
    const struct mor_pq_element *e = r->tree.leaves[p->leaf]->element;
    uint8_t head[256];
    int64_t left = r->data_end - chunk->bloom_filter_offset;
    int32_t bitset;
    size_t head_size;
    *ret_maybe = true;
    // Decimals have several forms of one number, zeroes of floating point two: not looked up.
    if (p->compare != MOR_PARQUET_EQUAL || !p->ordered || chunk->bloom_filter_offset < 4 ||
        left < 8 || p->order == MOR_PQ_ORDER_SIGNED_BYTES || p->order == MOR_PQ_ORDER_FLOAT ||
        p->order == MOR_PQ_ORDER_DOUBLE || e->type == MOR_PQ_BOOLEAN)
        return MOR_OK;
    size_t size = left < (int64_t)sizeof head ? (size_t)left : sizeof head;
    MOR_TRY(read_range(r, chunk->bloom_filter_offset, size, head, err));
    MOR_TRY(mor_pq_bloom_header_parse(head, size, &bitset, &head_size, err));
    // One block decides; only that is read.
    uint64_t hash = mor_pq_bloom_hash(p->value.data, p->value.size_bytes);
    size_t block = mor_pq_bloom_block((size_t)bitset, hash);
    uint8_t bits[32];
    MOR_TRY(
        read_range(r, chunk->bloom_filter_offset + (int64_t)(head_size + block), 32, bits, err));
    *ret_maybe = mor_pq_bloom_maybe(bits, 32, hash);
    return MOR_OK;
}

// ---- page index ---------------------------------------------------------------------------------

static enum mor_status read_index_bytes(const struct mor_parquet_reader *r, int64_t offset,
                                        int32_t length, struct mor_arena *arena,
                                        uint8_t **ret_bytes, struct mor_error *err)
{
    if (length <= 0 || (size_t)length > MOR_PQ_INDEX_BYTES_MAX)
        return mor_error_set(err, MOR_DATA, "page index of %d bytes", length);
    if (offset < 4 || length > r->data_end - offset)
        return mor_error_set(err, MOR_DATA, "page index lies outside the file");
    *ret_bytes = mor_arena_alloc(arena, (size_t)length);
    return read_range(r, offset, (size_t)length, *ret_bytes, err);
}

// Pages must lie inside the chunk, one behind the other, and begin at ascending rows from 0.
static bool offset_index_is_sound(const struct mor_pq_offset_index *index, int64_t start,
                                  int64_t end, int64_t num_rows)
{
    int64_t next = start, row = 0;
    for (size_t i = 0; i < index->page_count; i++) {
        const struct mor_pq_page_location *page = &index->pages[i];
        if (page->offset < next || page->compressed_bytes <= 0 ||
            page->compressed_bytes > end - page->offset || page->first_row < row ||
            page->first_row >= num_rows || (i == 0 && page->first_row != 0))
            return false;
        next = page->offset + page->compressed_bytes;
        row = page->first_row;
    }
    return index->page_count > 0;
}

enum mor_status mor_pq_read_offset_index(const struct mor_parquet_reader *r,
                                         const struct mor_pq_chunk *chunk, int64_t num_rows,
                                         struct mor_arena *arena,
                                         struct mor_pq_offset_index **ret_index,
                                         struct mor_error *err)
{
    uint8_t *bytes;
    int64_t start, end;
    *ret_index = NULL;
    if (chunk->offset_index_offset < 0)
        return MOR_OK;
    struct mor_pq_offset_index *index = mor_arena_calloc(arena, 1, sizeof *index);
    MOR_TRY(read_index_bytes(r, chunk->offset_index_offset, chunk->offset_index_length, arena,
                             &bytes, err));
    MOR_TRY(
        mor_pq_offset_index_parse(bytes, (size_t)chunk->offset_index_length, arena, index, err));
    MOR_TRY(mor_pq_chunk_range(chunk, r->data_end, &start, &end, err));
    if (!offset_index_is_sound(index, start, end, num_rows))
        return mor_error_set(err, MOR_DATA, "offset index contradicts its column chunk");
    *ret_index = index;
    return MOR_OK;
}

enum mor_status mor_pq_read_column_index(const struct mor_parquet_reader *r,
                                         const struct mor_pq_chunk *chunk, struct mor_arena *arena,
                                         struct mor_pq_column_index **ret_index,
                                         struct mor_error *err)
{
    uint8_t *bytes;
    *ret_index = NULL;
    if (chunk->column_index_offset < 0)
        return MOR_OK;
    struct mor_pq_column_index *index = mor_arena_calloc(arena, 1, sizeof *index);
    MOR_TRY(read_index_bytes(r, chunk->column_index_offset, chunk->column_index_length, arena,
                             &bytes, err));
    MOR_TRY(
        mor_pq_column_index_parse(bytes, (size_t)chunk->column_index_length, arena, index, err));
    *ret_index = index;
    return MOR_OK;
}

static bool page_can_match(const struct mor_parquet_reader *r, const struct mor_pq_predicate *p,
                           const struct mor_pq_column_index *index, size_t page)
{
    if (p->compare == MOR_PARQUET_IS_NULL)
        return !index->null_counts || index->null_counts[page] != 0 || index->null_pages[page];
    if (index->null_pages[page])
        return false;
    if (!p->ordered)
        return true;
    struct bounds b = trusted(r, p, index->min_values[page], index->max_values[page]);
    return can_match(p, &b);
}

// ---- ranges -------------------------------------------------------------------------------------

// Cuts the ranges of the reader down to those rows that lie in pages which can match.
static enum mor_status prune_pages(struct mor_parquet_reader *r, const struct mor_pq_predicate *p,
                                   const struct mor_pq_chunk *chunk, int64_t num_rows,
                                   struct mor_error *err)
{
    struct mor_pq_column_index *index;
    struct mor_pq_offset_index *offsets;
    // Ranges of pages of a repeated column are rows too, but nulls and bounds are of its elements.
    if (r->tree.leaves[p->leaf]->rep > 0)
        return MOR_OK;
    MOR_TRY(mor_pq_read_column_index(r, chunk, &r->group_arena, &index, err));
    MOR_TRY(mor_pq_read_offset_index(r, chunk, num_rows, &r->group_arena, &offsets, err));
    if (!index || !offsets || index->page_count != offsets->page_count)
        return MOR_OK;
    struct mor_buffer kept = {0};
    for (size_t page = 0; page < index->page_count; page++) {
        if (!page_can_match(r, p, index, page))
            continue;
        int64_t first = offsets->pages[page].first_row;
        int64_t end = page + 1 < index->page_count ? offsets->pages[page + 1].first_row : num_rows;
        for (size_t i = 0; i < r->range_count; i++) {
            struct mor_pq_range *range = &r->ranges[i];
            struct mor_pq_range both = {range->first > first ? range->first : first,
                                        range->end < end ? range->end : end};
            size_t count = kept.size_bytes / sizeof both;
            struct mor_pq_range *last =
                count > 0 ? (struct mor_pq_range *)(void *)kept.data + count - 1 : NULL;
            if (both.first >= both.end)
                continue;
            if (last && last->end == both.first)
                last->end = both.end;
            else
                mor_buffer_append(&kept, &both, sizeof both);
        }
    }
    free(r->ranges);
    r->range_count = kept.size_bytes / sizeof *r->ranges;
    r->ranges = (struct mor_pq_range *)(void *)kept.data;
    return MOR_OK;
}

static enum mor_status chunk_can_match(const struct mor_parquet_reader *r,
                                       const struct mor_pq_predicate *p,
                                       const struct mor_pq_chunk *chunk, bool *ret_maybe,
                                       struct mor_error *err)
{
    const struct mor_pq_statistics *s = &chunk->statistics;
    *ret_maybe = nulls_allow(p, chunk->num_values, s->null_count);
    if (*ret_maybe && p->ordered) {
        struct bounds b = chunk_bounds(r, p, s);
        *ret_maybe = can_match(p, &b);
    }
    if (*ret_maybe)
        return bloom_allows(r, p, chunk, ret_maybe, err);
    return MOR_OK;
}

enum mor_status mor_pq_prune_group(struct mor_parquet_reader *r, size_t group,
                                   struct mor_error *err)
{
    const struct mor_pq_row_group *g = &r->file.row_groups[group];
    free(r->ranges);
    mor_arena_reset(&r->group_arena);
    r->ranges = mor_calloc(1, sizeof *r->ranges);
    r->ranges[0] = (struct mor_pq_range){0, g->num_rows};
    r->range_count = g->num_rows > 0;
    if (g->chunk_count != r->tree.leaf_count)
        return MOR_OK; // said when it is opened
    for (size_t i = 0; i < r->predicate_count && r->range_count > 0; i++) {
        const struct mor_pq_predicate *p = &r->predicates[i];
        bool maybe = p->compare == MOR_PARQUET_IS_NULL;
        enum mor_status status = MOR_OK;
        if (p->leaf >= 0)
            status = chunk_can_match(r, p, &g->chunks[p->leaf], &maybe, err);
        if (status == MOR_OK && maybe && p->leaf >= 0)
            status = prune_pages(r, p, &g->chunks[p->leaf], g->num_rows, err);
        if (status != MOR_OK)
            return mor_pq_reader_fail(group, p->leaf, err);
        if (!maybe)
            r->range_count = 0;
    }
    return MOR_OK;
}
