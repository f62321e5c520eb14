#include "pq_column_writer.h"

#include <assert.h>

#include "moraine/base/hash.h"
#include "pq_bloom.h"
#include "pq_rle.h"

static bool is_text(enum mor_type type)
{
    return type == MOR_TYPE_STRING || type == MOR_TYPE_ENUM || type == MOR_TYPE_JSON;
}

static void make_histograms(struct mor_pq_column_writer *c)
{
    // Levels with one possible value, or with present and null only, say nothing the counts do not.
    c->rep_histogram =
        c->path->rep_max > 0 ? mor_arena_calloc(&c->arena, c->path->rep_max + 1u, 8) : NULL;
    c->def_histogram =
        c->path->def_max > 1 ? mor_arena_calloc(&c->arena, c->path->def_max + 1u, 8) : NULL;
}

void mor_pq_workspace_init(struct mor_pq_workspace *work, struct mor_budget *budget)
{
    *work = (struct mor_pq_workspace){0};
    struct mor_buffer *buffers[] = {&work->body, &work->packed, &work->indexes, &work->used};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_init(buffers[i], budget);
}

void mor_pq_workspace_done(struct mor_pq_workspace *work)
{
    struct mor_buffer *buffers[] = {&work->body, &work->packed, &work->indexes, &work->used};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_done(buffers[i]);
    mor_pq_shredded_done(&work->shredded);
    mor_pq_codec_done(&work->codec);
}

void mor_pq_column_writer_init(struct mor_pq_column_writer *c,
                               const struct mor_pq_writer_config *config,
                               const struct mor_pq_path *path, const struct mor_pq_element *element)
{
    *c = (struct mor_pq_column_writer){.config = config, .path = path, .element = element};
    c->error = MOR_ERROR_INIT;
    c->text = is_text(path->leaf->type);
    struct mor_budget *budget = config->budget;
    struct mor_buffer *buffers[] = {&c->def, &c->rep, &c->pages, &c->infos, &c->hashes};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_init(buffers[i], budget);
    mor_pq_values_init(&c->values, element->type, element->type_length, budget);
    mor_pq_dict_init(&c->dict, element->type, element->type_length, budget);
    mor_arena_init(&c->arena, 4096, budget);
    mor_pq_bounds_init(&c->page_bounds, mor_pq_order_of(element));
    mor_pq_bounds_init(&c->chunk_bounds, mor_pq_order_of(element));
    c->dict_open = true;
    make_histograms(c);
}

void mor_pq_column_writer_done(struct mor_pq_column_writer *c)
{
    struct mor_buffer *buffers[] = {&c->def, &c->rep, &c->pages, &c->infos, &c->hashes};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_done(buffers[i]);
    mor_pq_values_done(&c->values);
    mor_pq_dict_done(&c->dict);
    mor_arena_done(&c->arena);
    mor_pq_bounds_done(&c->page_bounds);
    mor_pq_bounds_done(&c->chunk_bounds);
}

static void reset_page(struct mor_pq_column_writer *c)
{
    mor_pq_values_reset(&c->values);
    mor_buffer_reset(&c->def);
    mor_buffer_reset(&c->rep);
    mor_pq_bounds_reset(&c->page_bounds);
    c->entry_count = c->row_count = c->null_count = 0;
}

void mor_pq_column_reset(struct mor_pq_column_writer *c)
{
    reset_page(c);
    mor_buffer_reset(&c->pages);
    mor_buffer_reset(&c->infos);
    mor_buffer_reset(&c->hashes);
    if (!c->constant)
        mor_pq_dict_reset(&c->dict);
    mor_arena_reset(&c->arena);
    mor_pq_bounds_reset(&c->chunk_bounds);
    c->dict_open = true;
    c->dict_page_count = 0;
    memset(c->encoding_pages, 0, sizeof c->encoding_pages);
    c->chunk_values = c->chunk_nulls = c->chunk_rows = c->chunk_unencoded_bytes = 0;
    c->uncompressed_bytes = 0;
    make_histograms(c);
}

void mor_pq_column_set_constant(struct mor_pq_column_writer *c, const void *bytes,
                                size_t size_bytes)
{
    c->constant = true;
    c->choice = MOR_PQ_CHOSE_DICTIONARY;
    mor_buffer_append(&c->dict.values.data, bytes, size_bytes);
    mor_buffer_append_le32(&c->dict.values.offsets, (uint32_t)size_bytes);
    c->dict.values.count = 1;
}

// ---- staging ------------------------------------------------------------------------------------

static void append_levels(struct mor_pq_column_writer *c, const struct mor_pq_shredded *s)
{
    if (c->path->step_count > 1) {
        mor_buffer_append(&c->def, s->def.data, s->entry_count);
        if (c->path->rep_max > 0)
            mor_buffer_append(&c->rep, s->rep.data, s->entry_count);
        return;
    }
    // A flat column: definition levels are spelled out from the first null on.
    if (s->null_count == 0 && c->def.size_bytes == 0)
        return;
    mor_buffer_reserve(&c->def, c->entry_count + s->entry_count - c->def.size_bytes);
    size_t missing = c->entry_count - c->def.size_bytes;
    memset(c->def.data + c->def.size_bytes, 1, missing);
    c->def.size_bytes += missing;
    if (s->null_count > 0) {
        mor_buffer_append(&c->def, s->present.data, s->entry_count);
    } else {
        memset(c->def.data + c->def.size_bytes, 1, s->entry_count);
        c->def.size_bytes += s->entry_count;
    }
}

static enum mor_status append_rows(struct mor_pq_column_writer *c, const struct mor_vector *top,
                                   size_t first, size_t count, struct mor_error *err)
{
    struct mor_pq_shredded *s = &c->work->shredded;
    MOR_TRY(mor_pq_shred(c->path, top, first, count, s, err));
    append_levels(c, s);
    if (!mor_pq_values_append(&c->values, s->vector, s->first, s->count,
                              s->all_present ? NULL : s->present.data))
        return mor_error_set(err, MOR_DATA, "column '%s': a decimal has more than %d digits",
                             c->path->leaf->name, c->path->leaf->precision);
    c->entry_count += s->entry_count;
    c->null_count += s->null_count;
    c->row_count += count;
    assert(c->values.count == c->entry_count - c->null_count);
    if (c->values.data.size_bytes > MOR_PQ_PAGE_WRITE_MAX / 2)
        return mor_error_set(err, MOR_DATA, "column '%s': one row holds more than %zu bytes",
                             c->path->leaf->name, MOR_PQ_PAGE_WRITE_MAX / 2);
    return MOR_OK;
}

static enum mor_status append_constant(struct mor_pq_column_writer *c, size_t count,
                                       struct mor_error *err)
{
    while (count > 0) {
        size_t room = c->config->page_rows_max - c->row_count, part = count < room ? count : room;
        c->entry_count += part;
        c->row_count += part;
        count -= part;
        if (c->row_count >= c->config->page_rows_max)
            MOR_TRY(mor_pq_column_flush_page(c, err));
    }
    return MOR_OK;
}

enum mor_status mor_pq_column_append(struct mor_pq_column_writer *c, const struct mor_vector *top,
                                     size_t first, size_t count, struct mor_error *err)
{
    const struct mor_pq_writer_config *config = c->config;
    if (c->constant)
        return append_constant(c, count, err);
    while (count > 0) {
        size_t part = count;
        if (c->row_count + part > config->page_rows_max)
            part = config->page_rows_max - c->row_count;
        // Halve until a part adds at most a quarter of a page, so pages end near their size.
        while (part > 1 &&
               mor_pq_shred_bytes(c->path, top, first, part) > config->page_bytes_max / 4)
            part /= 2;
        MOR_TRY(append_rows(c, top, first, part, err));
        if (c->row_count >= config->page_rows_max ||
            c->values.data.size_bytes >= config->page_bytes_max)
            MOR_TRY(mor_pq_column_flush_page(c, err));
        first += part;
        count -= part;
    }
    return MOR_OK;
}

size_t mor_pq_column_bytes(const struct mor_pq_column_writer *c)
{
    return c->uncompressed_bytes + c->values.data.size_bytes + c->values.offsets.size_bytes +
           c->def.size_bytes + c->dict.values.data.size_bytes;
}

// ---- pages --------------------------------------------------------------------------------------

static void encode_rep_levels(struct mor_pq_column_writer *c, struct mor_buffer *out)
{
    mor_pq_rle_write8(out, c->rep.data, c->entry_count, mor_pq_bit_width(c->path->rep_max));
}

static void encode_def_levels(struct mor_pq_column_writer *c, struct mor_buffer *out)
{
    uint32_t width = mor_pq_bit_width(c->path->def_max);
    if (c->def.size_bytes == 0)
        mor_pq_rle_write_run(out, c->path->def_max, c->entry_count, width);
    else
        mor_pq_rle_write8(out, c->def.data, c->entry_count, width);
}

static void with_size_in_front(struct mor_pq_column_writer *c,
                               void (*encode)(struct mor_pq_column_writer *, struct mor_buffer *))
{
    size_t head = c->work->body.size_bytes;
    mor_buffer_append_le32(&c->work->body, 0);
    encode(c, &c->work->body);
    uint32_t size = (uint32_t)(c->work->body.size_bytes - head - 4);
    memcpy(c->work->body.data + head, &size, 4);
}

// Dictionary indexes of the staged values; false when the dictionary is full.
static bool index_values(struct mor_pq_column_writer *c)
{
    size_t count = c->values.count;
    mor_buffer_reset(&c->work->indexes);
    mor_buffer_reserve(&c->work->indexes, (count + 1) * sizeof(uint32_t));
    return mor_pq_dict_index(&c->dict, &c->values, 0, count, c->config->dictionary_bytes_max,
                             (uint32_t *)(void *)c->work->indexes.data) == count;
}

static void encode_indexes(struct mor_pq_column_writer *c, struct mor_buffer *out)
{
    uint32_t width = mor_pq_bit_width(c->dict.values.count ? c->dict.values.count - 1 : 0);
    mor_buffer_append_u8(out, (uint8_t)width);
    mor_pq_rle_write32(out, (const uint32_t *)(const void *)c->work->indexes.data, c->values.count,
                       width);
}

// Bounds of the page from the dictionary entries it uses: few comparisons when values repeat.
static void add_dictionary_bounds(struct mor_pq_column_writer *c)
{
    size_t distinct = c->dict.values.count;
    if (distinct > c->values.count / 2 || c->page_bounds.order == MOR_PQ_ORDER_INT32 ||
        c->page_bounds.order == MOR_PQ_ORDER_INT64) {
        mor_pq_bounds_add(&c->page_bounds, &c->values);
        return;
    }
    mor_buffer_reset(&c->work->used);
    mor_buffer_reserve(&c->work->used, distinct + 1);
    memset(c->work->used.data, 0, distinct);
    const uint32_t *indexes = (const uint32_t *)(const void *)c->work->indexes.data;
    for (size_t i = 0; i < c->values.count; i++)
        c->work->used.data[indexes[i]] = 1;
    mor_pq_bounds_add_used(&c->page_bounds, &c->dict.values, c->work->used.data);
}

static void count_levels(int64_t *histogram, const uint8_t *levels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        histogram[levels[i]]++;
}

static void add_histogram(int64_t **ret_page, int64_t *chunk, size_t size,
                          const struct mor_buffer *levels, size_t entry_count,
                          struct mor_arena *arena)
{
    if (!chunk)
        return;
    int64_t *page = mor_arena_calloc(arena, size, sizeof *page);
    if (levels->size_bytes == entry_count)
        count_levels(page, levels->data, entry_count);
    else
        page[size - 1] = (int64_t)entry_count;
    for (size_t i = 0; i < size; i++)
        chunk[i] += page[i];
    *ret_page = page;
}

static void record_page(struct mor_pq_column_writer *c, size_t offset)
{
    struct mor_pq_page_info info = {.offset = offset,
                                    .size_bytes = (int32_t)(c->pages.size_bytes - offset),
                                    .first_row = c->chunk_rows,
                                    .value_count = (int64_t)c->entry_count,
                                    .null_count = (int64_t)c->null_count};
    if (c->values.type == MOR_PQ_BYTE_ARRAY)
        info.unencoded_bytes =
            (int64_t)(c->constant ? c->dict.values.data.size_bytes * c->entry_count
                                  : c->values.data.size_bytes);
    // Spark holds NaN to be greater than everything, so bounds that leave it out would hide rows.
    if (c->page_bounds.any && !c->page_bounds.nan) {
        size_t bytes_max =
            c->values.type == MOR_PQ_BYTE_ARRAY ? c->config->bound_bytes_max : SIZE_MAX;
        info.bounds = mor_pq_bounds_cut(&c->page_bounds, c->text, bytes_max, &c->arena);
        info.has_bounds = true;
    }
    add_histogram(&info.rep_histogram, c->rep_histogram, c->path->rep_max + 1u, &c->rep,
                  c->entry_count, &c->arena);
    add_histogram(&info.def_histogram, c->def_histogram, c->path->def_max + 1u, &c->def,
                  c->entry_count, &c->arena);
    mor_buffer_append(&c->infos, &info, sizeof info);
    mor_pq_bounds_merge(&c->chunk_bounds, &c->page_bounds);
    c->chunk_values += info.value_count;
    c->chunk_nulls += info.null_count;
    c->chunk_rows += (int64_t)c->row_count;
    c->chunk_unencoded_bytes += info.unencoded_bytes;
}

// Compresses body[levels_size..), writes header and body behind the other pages.
static enum mor_status write_page(struct mor_pq_column_writer *c, struct mor_pq_page_header *header,
                                  size_t levels_size, struct mor_buffer *out, struct mor_error *err)
{
    const struct mor_pq_writer_config *config = c->config;
    if (c->work->body.size_bytes > MOR_PQ_PAGE_WRITE_MAX)
        return mor_error_set(err, MOR_DATA, "column '%s': a page of %zu bytes is too large",
                             c->path->leaf->name, c->work->body.size_bytes);
    size_t values_size = c->work->body.size_bytes - levels_size;
    mor_buffer_reset(&c->work->packed);
    mor_buffer_append(&c->work->packed, c->work->body.data, levels_size);
    header->is_compressed = config->codec != MOR_PQ_CODEC_NONE;
    MOR_TRY(mor_pq_compress(&c->work->codec, config->codec, config->codec_level,
                            c->work->body.data + levels_size, values_size, &c->work->packed, err));
    if (header->type == MOR_PQ_DATA_PAGE_V2 &&
        c->work->packed.size_bytes >= c->work->body.size_bytes) {
        header->is_compressed = false;
        mor_buffer_reset(&c->work->packed);
        mor_buffer_append(&c->work->packed, c->work->body.data, c->work->body.size_bytes);
    }
    header->uncompressed_bytes = (int32_t)c->work->body.size_bytes;
    header->compressed_bytes = (int32_t)c->work->packed.size_bytes;
    header->statistics = MOR_PQ_STATISTICS_NONE;
    header->has_crc = config->checksums;
    if (header->has_crc)
        header->crc = mor_crc32(0, c->work->packed.data, c->work->packed.size_bytes);
    size_t head = out->size_bytes;
    mor_pq_page_header_write(header, out);
    c->uncompressed_bytes += out->size_bytes - head + c->work->body.size_bytes;
    mor_buffer_append(out, c->work->packed.data, c->work->packed.size_bytes);
    return MOR_OK;
}

// The one index, as often as there are rows.
static int32_t encode_constant(struct mor_pq_column_writer *c)
{
    mor_pq_bounds_add(&c->page_bounds, &c->dict.values);
    mor_buffer_append_u8(&c->work->body, 0); // bits of an index
    mor_pq_rle_write_run(&c->work->body, 0, c->entry_count, 0);
    c->dict_page_count++;
    return MOR_PQ_RLE_DICTIONARY;
}

static int32_t encode_values(struct mor_pq_column_writer *c)
{
    if (c->constant)
        return encode_constant(c);
    if (c->choice == MOR_PQ_CHOSE_DICTIONARY && c->dict_open) {
        if (index_values(c)) {
            add_dictionary_bounds(c);
            encode_indexes(c, &c->work->body);
            c->dict_page_count++;
            return MOR_PQ_RLE_DICTIONARY;
        }
        c->dict_open = false;
    }
    mor_pq_bounds_add(&c->page_bounds, &c->values);
    mor_pq_encode(&c->values, c->direct_encoding, &c->work->body);
    return c->direct_encoding;
}

static void collect_hashes(struct mor_pq_column_writer *c)
{
    const struct mor_pq_values *values = c->constant ? &c->dict.values : &c->values;
    mor_buffer_reserve(&c->hashes, values->count * sizeof(uint64_t));
    uint64_t *to = (uint64_t *)(void *)(c->hashes.data + c->hashes.size_bytes);
    for (size_t i = 0; i < values->count; i++) {
        size_t size;
        const uint8_t *at = mor_pq_values_at(values, i, &size);
        to[i] = mor_pq_bloom_hash(at, size);
    }
    c->hashes.size_bytes += values->count * sizeof(uint64_t);
}

enum mor_status mor_pq_column_flush_page(struct mor_pq_column_writer *c, struct mor_error *err)
{
    if (c->entry_count == 0)
        return MOR_OK;
    if (c->choice == MOR_PQ_UNDECIDED && c->values.count > 0)
        MOR_TRY(mor_pq_column_choose(c, err));
    struct mor_pq_page_header header = {.type = c->config->page_v2 ? MOR_PQ_DATA_PAGE_V2
                                                                   : MOR_PQ_DATA_PAGE,
                                        .num_values = (int32_t)c->entry_count,
                                        .num_nulls = (int32_t)c->null_count,
                                        .num_rows = (int32_t)c->row_count,
                                        .def_encoding = MOR_PQ_RLE,
                                        .rep_encoding = MOR_PQ_RLE};
    mor_buffer_reset(&c->work->body);
    size_t levels_size = 0;
    if (c->config->page_v2) {
        if (c->path->rep_max > 0)
            encode_rep_levels(c, &c->work->body);
        header.rep_bytes = (int32_t)c->work->body.size_bytes;
        if (c->path->def_max > 0)
            encode_def_levels(c, &c->work->body);
        levels_size = c->work->body.size_bytes;
        header.def_bytes = (int32_t)levels_size - header.rep_bytes;
    } else {
        if (c->path->rep_max > 0)
            with_size_in_front(c, encode_rep_levels);
        if (c->path->def_max > 0)
            with_size_in_front(c, encode_def_levels);
    }
    header.encoding = encode_values(c);
    c->encoding_pages[header.encoding]++;
    if (c->bloom)
        collect_hashes(c);
    size_t offset = c->pages.size_bytes;
    MOR_TRY(write_page(c, &header, levels_size, &c->pages, err));
    record_page(c, offset);
    reset_page(c);
    return MOR_OK;
}

enum mor_status mor_pq_column_dictionary_page(struct mor_pq_column_writer *c,
                                              struct mor_buffer *out, bool *ret_written,
                                              struct mor_error *err)
{
    *ret_written = c->dict_page_count > 0;
    if (!*ret_written)
        return MOR_OK;
    struct mor_pq_page_header header = {.type = MOR_PQ_DICTIONARY_PAGE,
                                        .num_values = (int32_t)c->dict.values.count,
                                        .encoding = MOR_PQ_PLAIN};
    mor_buffer_reset(&c->work->body);
    mor_pq_encode_plain(&c->dict.values, &c->work->body);
    return write_page(c, &header, 0, out, err);
}
