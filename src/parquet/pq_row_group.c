#include "pq_bloom.h"
#include "pq_writer.h"

// ---- page indexes -------------------------------------------------------------------------------

static const struct mor_pq_page_info *infos_of(const struct mor_pq_column_writer *c,
                                               size_t *ret_count)
{
    *ret_count = c->infos.size_bytes / sizeof(struct mor_pq_page_info);
    return (const struct mor_pq_page_info *)(const void *)c->infos.data;
}

// A page without bounds that is not all null has no place in a column index.
static bool has_column_index(const struct mor_pq_column_writer *c)
{
    size_t count;
    const struct mor_pq_page_info *infos = infos_of(c, &count);
    for (size_t i = 0; i < count; i++) {
        if (!infos[i].has_bounds && infos[i].null_count < infos[i].value_count)
            return false;
    }
    return c->page_bounds.order != MOR_PQ_ORDER_NONE;
}

enum { UNORDERED, ASCENDING, DESCENDING };

static int32_t boundary_order(const struct mor_pq_column_writer *c)
{
    size_t count;
    const struct mor_pq_page_info *infos = infos_of(c, &count), *last = NULL;
    bool ascending = true, descending = true;
    for (size_t i = 0; i < count; i++) {
        if (!infos[i].has_bounds)
            continue;
        if (last) {
            const struct mor_pq_cut *a = &last->bounds, *b = &infos[i].bounds;
            int min = mor_pq_compare(c->page_bounds.order, a->min.data, a->min.size_bytes,
                                     b->min.data, b->min.size_bytes);
            int max = mor_pq_compare(c->page_bounds.order, a->max.data, a->max.size_bytes,
                                     b->max.data, b->max.size_bytes);
            ascending &= min <= 0 && max <= 0;
            descending &= min >= 0 && max >= 0;
        }
        last = &infos[i];
    }
    return ascending ? ASCENDING : descending ? DESCENDING : UNORDERED;
}

static int64_t *gather_histograms(const struct mor_pq_page_info *infos, size_t count, bool def,
                                  size_t size, struct mor_arena *arena)
{
    int64_t *all = mor_arena_alloc(arena, count * size * sizeof *all);
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * size, def ? infos[i].def_histogram : infos[i].rep_histogram,
               size * sizeof *all);
    return all;
}

static void write_column_index(struct mor_pq_column_writer *c, struct mor_buffer *out)
{
    struct mor_pq_column_index index = {0};
    const struct mor_pq_page_info *infos = infos_of(c, &index.page_count);
    size_t count = index.page_count;
    index.null_pages = mor_arena_calloc(&c->arena, count, sizeof *index.null_pages);
    index.min_values = mor_arena_calloc(&c->arena, count, sizeof *index.min_values);
    index.max_values = mor_arena_calloc(&c->arena, count, sizeof *index.max_values);
    index.null_counts = mor_arena_calloc(&c->arena, count, sizeof *index.null_counts);
    for (size_t i = 0; i < count; i++) {
        index.null_pages[i] = !infos[i].has_bounds;
        if (infos[i].has_bounds) {
            index.min_values[i] = infos[i].bounds.min;
            index.max_values[i] = infos[i].bounds.max;
        }
        index.null_counts[i] = infos[i].null_count;
    }
    index.boundary_order = boundary_order(c);
    if (c->rep_histogram) {
        index.rep_histogram_count = count * (c->path->rep_max + 1u);
        index.rep_histograms =
            gather_histograms(infos, count, false, c->path->rep_max + 1u, &c->arena);
    }
    if (c->def_histogram) {
        index.def_histogram_count = count * (c->path->def_max + 1u);
        index.def_histograms =
            gather_histograms(infos, count, true, c->path->def_max + 1u, &c->arena);
    }
    mor_pq_column_index_write(&index, out);
}

static void write_offset_index(struct mor_pq_column_writer *c, int64_t pages_offset,
                               struct mor_buffer *out)
{
    struct mor_pq_offset_index index = {0};
    const struct mor_pq_page_info *infos = infos_of(c, &index.page_count);
    index.pages = mor_arena_calloc(&c->arena, index.page_count, sizeof *index.pages);
    bool bytes = c->values.type == MOR_PQ_BYTE_ARRAY;
    if (bytes)
        index.unencoded_bytes =
            mor_arena_calloc(&c->arena, index.page_count, sizeof *index.unencoded_bytes);
    for (size_t i = 0; i < index.page_count; i++) {
        index.pages[i] =
            (struct mor_pq_page_location){.offset = pages_offset + (int64_t)infos[i].offset,
                                          .compressed_bytes = infos[i].size_bytes,
                                          .first_row = infos[i].first_row};
        if (bytes)
            index.unencoded_bytes[i] = infos[i].unencoded_bytes;
    }
    mor_pq_offset_index_write(&index, out);
}

// Offsets are relative to the gathered indexes until those get their place in the file.
static void gather_indexes(struct mor_parquet_writer *w, struct mor_pq_column_writer *c,
                           struct mor_pq_chunk *chunk, int64_t pages_offset)
{
    if (!w->config.page_index)
        return;
    size_t start = w->indexes.size_bytes;
    if (has_column_index(c)) {
        write_column_index(c, &w->indexes);
        chunk->column_index_offset = (int64_t)start;
        chunk->column_index_length = (int32_t)(w->indexes.size_bytes - start);
        start = w->indexes.size_bytes;
    }
    write_offset_index(c, pages_offset, &w->indexes);
    chunk->offset_index_offset = (int64_t)start;
    chunk->offset_index_length = (int32_t)(w->indexes.size_bytes - start);
}

enum mor_status mor_pq_writer_put_indexes(struct mor_parquet_writer *w, struct mor_error *err)
{
    int64_t base = w->position;
    struct mor_pq_row_group *groups = (struct mor_pq_row_group *)(void *)w->row_groups.data;
    for (size_t g = 0; g < w->file.row_group_count; g++) {
        for (size_t i = 0; i < groups[g].chunk_count; i++) {
            struct mor_pq_chunk *chunk = &groups[g].chunks[i];
            if (chunk->column_index_offset >= 0)
                chunk->column_index_offset += base;
            if (chunk->offset_index_offset >= 0)
                chunk->offset_index_offset += base;
        }
    }
    return mor_pq_writer_put(w, w->indexes.data, w->indexes.size_bytes, err);
}

// ---- chunks -------------------------------------------------------------------------------------

static void fill_statistics(struct mor_parquet_writer *w, struct mor_pq_column_writer *c,
                            struct mor_pq_chunk *chunk)
{
    chunk->statistics = MOR_PQ_STATISTICS_NONE;
    chunk->statistics.null_count = c->chunk_nulls;
    if (!c->chunk_bounds.any || c->chunk_bounds.nan)
        return;
    size_t bytes_max = c->values.type == MOR_PQ_BYTE_ARRAY ? w->config.bound_bytes_max : SIZE_MAX;
    struct mor_pq_cut cut = mor_pq_bounds_cut(&c->chunk_bounds, c->text, bytes_max, &w->arena);
    chunk->statistics.min_value = cut.min;
    chunk->statistics.max_value = cut.max;
    chunk->statistics.min_exact = cut.min_exact;
    chunk->statistics.max_exact = cut.max_exact;
}

static int64_t *keep_histogram(struct mor_arena *arena, const int64_t *histogram, size_t size)
{
    if (!histogram)
        return NULL;
    int64_t *copy = mor_arena_alloc(arena, size * sizeof *copy);
    memcpy(copy, histogram, size * sizeof *copy);
    return copy;
}

static void fill_encodings(struct mor_parquet_writer *w, const struct mor_pq_column_writer *c,
                           struct mor_pq_chunk *chunk)
{
    size_t kinds = c->dict_page_count > 0;
    chunk->encodings = c->path->def_max > 0 || c->path->rep_max > 0 ? 1u << MOR_PQ_RLE : 0;
    for (size_t i = 0; i < 16; i++)
        kinds += c->encoding_pages[i] > 0;
    chunk->encoding_stats = mor_arena_calloc(&w->arena, kinds, sizeof *chunk->encoding_stats);
    if (c->dict_page_count > 0) {
        chunk->encodings |= 1u << MOR_PQ_PLAIN;
        chunk->encoding_stats[chunk->encoding_stats_count++] =
            (struct mor_pq_encoding_stats){MOR_PQ_DICTIONARY_PAGE, MOR_PQ_PLAIN, 1};
    }
    int32_t page_type = w->config.page_v2 ? MOR_PQ_DATA_PAGE_V2 : MOR_PQ_DATA_PAGE;
    for (int32_t encoding = 0; encoding < 16; encoding++) {
        if (c->encoding_pages[encoding] == 0)
            continue;
        chunk->encodings |= 1u << encoding;
        chunk->encoding_stats[chunk->encoding_stats_count++] = (struct mor_pq_encoding_stats){
            page_type, encoding, (int32_t)c->encoding_pages[encoding]};
    }
}

static void fill_path(struct mor_parquet_writer *w, size_t leaf, struct mor_pq_chunk *chunk)
{
    const struct mor_pq_node *node = w->tree.leaves[leaf];
    for (const struct mor_pq_node *n = node; n->parent; n = n->parent)
        chunk->path_count++;
    chunk->path = mor_arena_alloc(&w->arena, chunk->path_count * sizeof *chunk->path);
    size_t i = chunk->path_count;
    for (const struct mor_pq_node *n = node; n->parent; n = n->parent)
        chunk->path[--i] = n->element->name;
}

static void fill_chunk(struct mor_parquet_writer *w, size_t leaf, struct mor_pq_chunk *chunk)
{
    struct mor_pq_column_writer *c = &w->columns[leaf];
    *chunk = (struct mor_pq_chunk){.has_meta = true,
                                   .type = c->element->type,
                                   .codec = w->config.codec,
                                   .num_values = c->chunk_values,
                                   .total_uncompressed_bytes = (int64_t)c->uncompressed_bytes,
                                   .dictionary_page_offset = -1,
                                   .bloom_filter_offset = -1,
                                   .offset_index_offset = -1,
                                   .column_index_offset = -1,
                                   .sizes.unencoded_bytes = -1};
    fill_path(w, leaf, chunk);
    fill_encodings(w, c, chunk);
    fill_statistics(w, c, chunk);
    if (c->values.type == MOR_PQ_BYTE_ARRAY)
        chunk->sizes.unencoded_bytes = c->chunk_unencoded_bytes;
    chunk->sizes.rep_count = c->path->rep_max + 1u;
    chunk->sizes.def_count = c->path->def_max + 1u;
    chunk->sizes.rep_histogram =
        keep_histogram(&w->arena, c->rep_histogram, chunk->sizes.rep_count);
    chunk->sizes.def_histogram =
        keep_histogram(&w->arena, c->def_histogram, chunk->sizes.def_count);
}

static enum mor_status put_chunk(struct mor_parquet_writer *w, size_t leaf,
                                 struct mor_pq_chunk *chunk, struct mor_error *err)
{
    struct mor_pq_column_writer *c = &w->columns[leaf];
    MOR_AUTO_BUFFER dictionary = {0};
    bool with_dictionary;
    mor_pq_writer_lend(w, c);
    enum mor_status status = mor_pq_column_dictionary_page(c, &dictionary, &with_dictionary, err);
    mor_pq_writer_take_back(w, c);
    if (status != MOR_OK)
        return status;
    fill_chunk(w, leaf, chunk);
    int64_t start = w->position;
    MOR_TRY(mor_pq_writer_put(w, dictionary.data, dictionary.size_bytes, err));
    chunk->data_page_offset = w->position;
    if (with_dictionary)
        chunk->dictionary_page_offset = start;
    MOR_TRY(mor_pq_writer_put(w, c->pages.data, c->pages.size_bytes, err));
    chunk->total_compressed_bytes = w->position - start;
    gather_indexes(w, c, chunk, chunk->data_page_offset);
    return MOR_OK;
}

// Written behind the chunks of its row group, so that those stay together.
static enum mor_status put_bloom(struct mor_parquet_writer *w, size_t leaf,
                                 struct mor_pq_chunk *chunk, struct mor_error *err)
{
    struct mor_pq_column_writer *c = &w->columns[leaf];
    size_t count = c->hashes.size_bytes / sizeof(uint64_t);
    if (!c->bloom || count == 0)
        return MOR_OK;
    // Every data page through the dictionary: its size is the number of distinct values.
    size_t pages = c->infos.size_bytes / sizeof(struct mor_pq_page_info);
    size_t distinct = c->dict_page_count == pages ? c->dict.values.count : count;
    size_t size = mor_pq_bloom_size_bytes(distinct, c->bloom_fpp);
    MOR_AUTO_BUFFER filter = {0};
    mor_pq_bloom_header_write((int32_t)size, &filter);
    size_t head = filter.size_bytes;
    mor_buffer_reserve(&filter, size);
    memset(filter.data + head, 0, size);
    filter.size_bytes += size;
    const uint64_t *hashes = (const uint64_t *)(const void *)c->hashes.data;
    for (size_t i = 0; i < count; i++)
        mor_pq_bloom_insert(filter.data + head, size, hashes[i]);
    chunk->bloom_filter_offset = w->position;
    chunk->bloom_filter_length = (int32_t)filter.size_bytes;
    return mor_pq_writer_put(w, filter.data, filter.size_bytes, err);
}

static void flush_last_page(void *context, size_t index)
{
    struct mor_parquet_writer *w = context;
    struct mor_pq_column_writer *c = &w->columns[index];
    mor_pq_writer_lend(w, c);
    c->status = mor_pq_column_flush_page(c, &c->error);
    mor_pq_writer_take_back(w, c);
}

enum mor_status mor_pq_writer_flush_row_group(struct mor_parquet_writer *w, struct mor_error *err)
{
    if (w->group_rows == 0)
        return MOR_OK;
    mor_pq_pool_run(w->pool, w->leaf_count, flush_last_page, w);
    for (size_t i = 0; i < w->leaf_count; i++) {
        if (w->columns[i].status != MOR_OK) {
            *err = w->columns[i].error;
            return err->status;
        }
    }
    struct mor_pq_row_group group = {.chunk_count = w->leaf_count,
                                     .num_rows = (int64_t)w->group_rows,
                                     .file_offset = w->position,
                                     .sorting = w->sorting,
                                     .sorting_count = w->sorting_count};
    group.chunks = mor_arena_calloc(&w->arena, w->leaf_count, sizeof *group.chunks);
    for (size_t i = 0; i < w->leaf_count; i++) {
        struct mor_pq_chunk *chunk = &group.chunks[i];
        MOR_TRY(put_chunk(w, i, chunk, err));
        group.total_byte_size += chunk->total_uncompressed_bytes;
        group.total_compressed_bytes += chunk->total_compressed_bytes;
    }
    for (size_t i = 0; i < w->leaf_count; i++) {
        MOR_TRY(put_bloom(w, i, &group.chunks[i], err));
        mor_pq_column_reset(&w->columns[i]);
    }
    mor_buffer_append(&w->row_groups, &group, sizeof group);
    w->file.row_group_count++;
    w->group_rows = 0;
    return MOR_OK;
}
