// A file against itself: every page is read, and what footer, page index and bloom filters state of
// the values is compared with the values.
#include <stdio.h>

#include "pq_bloom.h"
#include "pq_prune.h"

#define STEP_ROWS  ((size_t)1 << 16)
#define STEP_BYTES ((size_t)64 << 20)

struct verifying {
    struct mor_parquet_reader *reader; // borrowed
    const struct mor_parquet_verify_options *options;
    struct mor_parquet_verified *counts;
};

// What one leaf's chunk is compared with, while its values go by.
struct chunk_check {
    struct mor_pq_leaf *leaf;
    const struct mor_field *field; // in the table model, of the leaf
    const struct mor_pq_chunk *chunk;
    enum mor_pq_order order;
    struct mor_vector vector;
    struct mor_pq_values values;
    struct mor_pq_bounds bounds, page_bounds;
    int64_t entries, nulls, page_entries, page_nulls;
    struct mor_pq_offset_index *offsets; // NULL = none
    struct mor_pq_column_index *pages;   // NULL = none
    struct mor_buffer bloom;             // bit set, empty = none
    int64_t bloom_missing;
};

// ---- reporting ----------------------------------------------------------------------------------

static void append_path(const struct mor_pq_node *node, struct mor_buffer *text)
{
    if (node->parent && node->parent->parent) {
        append_path(node->parent, text);
        mor_buffer_append_u8(text, '.');
    }
    mor_buffer_append(text, node->element->name.data, node->element->name.size_bytes);
}

static void report(const struct verifying *v, const struct chunk_check *check, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

static void report(const struct verifying *v, const struct chunk_check *check, const char *format,
                   ...)
{
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_printf(&text, "row group %d, column '", check->leaf->row_group);
    append_path(check->leaf->node, &text);
    mor_buffer_append_text(&text, "': ");
    char what[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(what, sizeof what, format, list);
    va_end(list);
    mor_buffer_append_text(&text, what);
    v->counts->fault_count++;
    v->options->report(v->options->context, mor_buffer_terminate(&text));
}

// ---- values in the form of the file -------------------------------------------------------------

// Whether what the leaf was read as turns back into the very bytes of the file.
static bool is_invertible(const struct mor_pq_leaf *leaf)
{
    switch (leaf->convert.kind) {
    case MOR_PQ_V_COPY:
    case MOR_PQ_V_BOOL:
    case MOR_PQ_V_BYTES:
        return true;
    case MOR_PQ_V_INT32_DECIMAL:
    case MOR_PQ_V_INT64_DECIMAL:
    case MOR_PQ_V_FIXED_DECIMAL:
        return leaf->convert.decimal_up == 0;
    default:
        return false;
    }
}

static bool take_values(struct chunk_check *check)
{
    const struct mor_pq_leaf *leaf = check->leaf;
    mor_pq_values_reset(&check->values);
    if (check->values.type == MOR_PQ_BOOLEAN) {
        mor_buffer_append(&check->values.data, leaf->booleans.data, leaf->value_count);
        check->values.count = leaf->value_count;
        return true;
    }
    return mor_pq_values_append(&check->values, &check->vector, 0, leaf->value_count, NULL);
}

// ---- bounds -------------------------------------------------------------------------------------

// `exact`: 1 = the file says that the bound is a value, not only a limit.
static void check_bound(const struct verifying *v, const struct chunk_check *check,
                        const struct mor_pq_bytes *stated, const struct mor_buffer *found,
                        bool is_min, int8_t exact, const char *where)
{
    const struct mor_pq_element *e = check->leaf->node->element;
    if (!mor_pq_bound_usable(check->order, stated, e->type == MOR_PQ_FLBA ? e->type_length : 0))
        return;
    int order = mor_pq_compare(check->order, stated->data, stated->size_bytes, found->data,
                               found->size_bytes);
    const char *name = is_min ? "minimum" : "maximum";
    if (is_min ? order > 0 : order < 0)
        report(v, check, "the %s of %s is %s a value", name, where, is_min ? "above" : "below");
    else if (order != 0 && exact == 1)
        report(v, check, "the %s of %s is said to be exact and is no value", name, where);
}

static void check_statistics(const struct verifying *v, const struct chunk_check *check)
{
    const struct mor_pq_statistics *stated = &check->chunk->statistics;
    if (check->chunk->num_values != check->entries)
        report(v, check, "%lld values are stated, there are %lld",
               (long long)check->chunk->num_values, (long long)check->entries);
    if (stated->null_count >= 0 && stated->null_count != check->nulls)
        report(v, check, "%lld nulls are stated, there are %lld", (long long)stated->null_count,
               (long long)check->nulls);
    const struct mor_pq_file *file = &v->reader->file;
    size_t leaf = (size_t)check->leaf->node->leaf;
    bool defined = leaf < file->column_order_count && file->column_orders[leaf];
    if (!defined || !check->bounds.any)
        return;
    v->counts->bounds_checked += stated->min_value.data != NULL || stated->max_value.data != NULL;
    check_bound(v, check, &stated->min_value, &check->bounds.min, true, stated->min_exact,
                "the chunk");
    check_bound(v, check, &stated->max_value, &check->bounds.max, false, stated->max_exact,
                "the chunk");
}

static void check_page(const struct verifying *v, const struct chunk_check *check, size_t page)
{
    const struct mor_pq_column_index *stated = check->pages;
    char where[48];
    (void)snprintf(where, sizeof where, "page %zu", page);
    if (stated->null_counts && stated->null_counts[page] != check->page_nulls)
        report(v, check, "%lld nulls are stated for %s, there are %lld",
               (long long)stated->null_counts[page], where, (long long)check->page_nulls);
    if (stated->null_pages[page] && check->page_nulls != check->page_entries)
        report(v, check, "%s is said to have nulls only and has values", where);
    if (stated->null_pages[page] || !check->page_bounds.any)
        return;
    v->counts->page_bounds_checked++;
    check_bound(v, check, &stated->min_values[page], &check->page_bounds.min, true, -1, where);
    check_bound(v, check, &stated->max_values[page], &check->page_bounds.max, false, -1, where);
}

// ---- bloom filter -------------------------------------------------------------------------------

static enum mor_status load_bloom(const struct verifying *v, struct chunk_check *check,
                                  struct mor_error *err)
{
    const struct mor_parquet_reader *r = v->reader;
    int64_t offset = check->chunk->bloom_filter_offset, left = r->data_end - offset;
    if (offset < 0 || check->values.type == MOR_PQ_BOOLEAN)
        return MOR_OK;
    if (offset < 4 || left < 8)
        return mor_error_set(err, MOR_DATA, "the bloom filter lies outside the file");
    uint8_t head[256];
    size_t size = left < (int64_t)sizeof head ? (size_t)left : sizeof head, head_size;
    int32_t bytes;
    MOR_TRY(r->source.read(r->source.context, offset, head, size, err));
    MOR_TRY(mor_pq_bloom_header_parse(head, size, &bytes, &head_size, err));
    if (bytes > left - (int64_t)head_size)
        return mor_error_set(err, MOR_DATA, "the bloom filter lies outside the file");
    mor_buffer_reserve(&check->bloom, (size_t)bytes);
    MOR_TRY(r->source.read(r->source.context, offset + (int64_t)head_size, check->bloom.data,
                           (size_t)bytes, err));
    check->bloom.size_bytes = (size_t)bytes;
    v->counts->blooms_checked++;
    return MOR_OK;
}

static void look_up_values(struct chunk_check *check)
{
    for (size_t i = 0; check->bloom.size_bytes > 0 && i < check->values.count; i++) {
        size_t size;
        const uint8_t *value = mor_pq_values_at(&check->values, i, &size);
        check->bloom_missing += !mor_pq_bloom_maybe(check->bloom.data, check->bloom.size_bytes,
                                                    mor_pq_bloom_hash(value, size));
    }
}

// ---- one chunk ----------------------------------------------------------------------------------

static enum mor_status read_step(struct chunk_check *check, size_t row_count, size_t *ret_rows,
                                 struct mor_error *err)
{
    struct mor_pq_leaf *leaf = check->leaf;
    mor_vector_reset(&check->vector);
    MOR_TRY(mor_pq_leaf_read(leaf, &check->vector, row_count,
                             leaf->node->rep > 0 ? INT32_MAX : STEP_BYTES, ret_rows, err));
    int64_t nulls = (int64_t)leaf->entry_count - (int64_t)leaf->value_count;
    check->entries += (int64_t)leaf->entry_count;
    check->page_entries += (int64_t)leaf->entry_count;
    check->nulls += nulls;
    check->page_nulls += nulls;
    if (*ret_rows == 0)
        return mor_error_set(err, MOR_DATA, "the column chunk has fewer rows than its row group");
    if (!is_invertible(leaf))
        return MOR_OK;
    if (!take_values(check))
        return mor_error_set(err, MOR_DATA, "a decimal has more digits than its column");
    if (check->values.count > 0)
        mor_pq_bounds_add(&check->page_bounds, &check->values);
    look_up_values(check);
    return MOR_OK;
}

// Rows [first, end) of the row group, which are page `page` when the file has page indexes.
static enum mor_status read_page_rows(const struct verifying *v, struct chunk_check *check,
                                      size_t page, int64_t first, int64_t end,
                                      struct mor_error *err)
{
    mor_pq_bounds_reset(&check->page_bounds);
    check->page_entries = check->page_nulls = 0;
    size_t step = check->leaf->node->rep > 0 ? 256 : STEP_ROWS;
    while (first < end) {
        size_t rows = (uint64_t)(end - first) < step ? (size_t)(end - first) : step;
        MOR_TRY(read_step(check, rows, &rows, err));
        first += (int64_t)rows;
    }
    mor_pq_bounds_merge(&check->bounds, &check->page_bounds);
    if (check->pages)
        check_page(v, check, page);
    return MOR_OK;
}

static enum mor_status read_chunk(const struct verifying *v, struct chunk_check *check,
                                  struct mor_error *err)
{
    struct mor_parquet_reader *r = v->reader;
    int64_t num_rows = r->file.row_groups[r->group].num_rows;
    MOR_TRY(load_bloom(v, check, err));
    MOR_TRY(mor_pq_read_column_index(r, check->chunk, &r->group_arena, &check->pages, err));
    MOR_TRY(
        mor_pq_read_offset_index(r, check->chunk, num_rows, &r->group_arena, &check->offsets, err));
    if (check->pages && (!check->offsets || check->offsets->page_count != check->pages->page_count))
        return mor_error_set(err, MOR_DATA, "column index and offset index differ in their pages");
    const struct mor_pq_page_location whole = {0};
    const struct mor_pq_page_location *pages = check->offsets ? check->offsets->pages : &whole;
    size_t count = check->offsets ? check->offsets->page_count : 1;
    for (size_t page = 0; page < count; page++) {
        int64_t end = page + 1 < count ? pages[page + 1].first_row : num_rows;
        MOR_TRY(read_page_rows(v, check, page, pages[page].first_row, end, err));
    }
    check_statistics(v, check);
    if (check->bloom_missing > 0)
        report(v, check, "the bloom filter denies %lld values that are there",
               (long long)check->bloom_missing);
    return MOR_OK;
}

static void verify_chunk(const struct verifying *v, struct mor_pq_leaf *leaf,
                         const struct mor_field *field)
{
    const struct mor_pq_element *e = leaf->node->element;
    struct mor_budget *budget = v->reader->budget;
    struct chunk_check check = {.leaf = leaf, .field = field, .chunk = leaf->chunk};
    check.order = is_invertible(leaf) ? mor_pq_order_of(e) : MOR_PQ_ORDER_NONE;
    mor_vector_init(&check.vector, field, budget);
    mor_pq_values_init(&check.values, e->type, e->type_length, budget);
    mor_pq_bounds_init(&check.bounds, check.order);
    mor_pq_bounds_init(&check.page_bounds, check.order);
    mor_buffer_init(&check.bloom, budget);
    struct mor_error err = MOR_ERROR_INIT;
    if (read_chunk(v, &check, &err) != MOR_OK)
        report(v, &check, "%s", err.message);
    v->counts->chunk_count++;
    v->counts->page_count += leaf->pages_read;
    v->counts->checksums_checked += leaf->checksums_checked;
    mor_buffer_done(&check.bloom);
    mor_pq_bounds_done(&check.page_bounds);
    mor_pq_bounds_done(&check.bounds);
    mor_pq_values_done(&check.values);
    mor_vector_done(&check.vector);
}

// ---- the file -----------------------------------------------------------------------------------

// Fields of the leaves, by the leaf's index in the plan.
static void collect_fields(const struct mor_pq_plan *plan, const struct mor_field **fields)
{
    if (plan->child_count == 0 && plan->leaf >= 0)
        fields[plan->leaf] = plan->field;
    for (size_t i = 0; i < plan->child_count; i++)
        collect_fields(&plan->children[i], fields);
}

static enum mor_status verify_groups(const struct verifying *v, struct mor_error *err)
{
    struct mor_parquet_reader *r = v->reader;
    MOR_TRY(mor_parquet_reader_project(r, NULL, err));
    MOR_AUTO_FREE const struct mor_field **fields = mor_calloc(r->leaves.count + 1, sizeof *fields);
    for (size_t i = 0; i < r->wanted->root.child_count; i++)
        collect_fields(&r->plans[i], fields);
    for (size_t group = 0; group < r->file.row_group_count; group++) {
        mor_arena_reset(&r->group_arena);
        if (r->file.row_groups[group].num_rows == 0)
            continue;
        MOR_TRY(mor_pq_reader_open_group(r, group, err));
        for (size_t i = 0; i < r->leaves.count; i++) {
            if (fields[i] && !r->leaves.items[i].levels_only)
                verify_chunk(v, &r->leaves.items[i], fields[i]);
        }
        mor_pq_reader_close_group(r);
    }
    return MOR_OK;
}

enum mor_status mor_parquet_verify(const struct mor_byte_source *source,
                                   const struct mor_parquet_verify_options *options,
                                   struct mor_parquet_verified *ret_verified, struct mor_error *err)
{
    struct mor_parquet_reader *reader = NULL;
    struct mor_parquet_verified counts = {0};
    MOR_TRY(mor_parquet_reader_open(source, options->budget, &reader, err));
    const struct verifying v = {.reader = reader, .options = options, .counts = &counts};
    counts.row_count = reader->row_count;
    if (reader->file.num_rows != reader->row_count) {
        MOR_AUTO_FREE char *text =
            mor_asprintf("the footer states %lld rows, its row groups %lld",
                         (long long)reader->file.num_rows, (long long)reader->row_count);
        counts.fault_count++;
        options->report(options->context, text);
    }
    enum mor_status status = verify_groups(&v, err);
    mor_parquet_reader_free(reader);
    if (status == MOR_OK)
        *ret_verified = counts;
    return status;
}
