#include "pq_meta.h"

static void put_bytes(struct mor_pq_thrift_out *w, int32_t id, struct mor_pq_bytes bytes)
{
    if (bytes.data)
        mor_pq_out_binary(w, id, bytes.data, bytes.size_bytes);
}

static void put_statistics(struct mor_pq_thrift_out *w, int32_t id,
                           const struct mor_pq_statistics *s)
{
    mor_pq_out_struct(w, id);
    put_bytes(w, 1, s->max);
    put_bytes(w, 2, s->min);
    if (s->null_count >= 0)
        mor_pq_out_i64(w, 3, s->null_count);
    if (s->distinct_count >= 0)
        mor_pq_out_i64(w, 4, s->distinct_count);
    put_bytes(w, 5, s->max_value);
    put_bytes(w, 6, s->min_value);
    if (s->max_exact >= 0)
        mor_pq_out_bool(w, 7, s->max_exact);
    if (s->min_exact >= 0)
        mor_pq_out_bool(w, 8, s->min_exact);
    mor_pq_out_end(w);
}

static bool has_statistics(const struct mor_pq_statistics *s)
{
    return s->null_count >= 0 || s->min_value.data || s->max_value.data || s->distinct_count >= 0;
}

static void put_logical(struct mor_pq_thrift_out *w, int32_t id, const struct mor_pq_element *e)
{
    mor_pq_out_struct(w, id);
    mor_pq_out_struct(w, e->logical);
    if (e->logical == MOR_PQ_L_DECIMAL) {
        mor_pq_out_i32(w, 1, e->scale);
        mor_pq_out_i32(w, 2, e->precision);
    } else if (e->logical == MOR_PQ_L_TIME || e->logical == MOR_PQ_L_TIMESTAMP) {
        mor_pq_out_bool(w, 1, e->utc);
        mor_pq_out_struct(w, 2);
        mor_pq_out_struct(w, e->unit);
        mor_pq_out_end(w);
        mor_pq_out_end(w);
    } else if (e->logical == MOR_PQ_L_INTEGER) {
        mor_pq_out_byte(w, 1, (int8_t)e->bit_width);
        mor_pq_out_bool(w, 2, e->is_signed);
    }
    mor_pq_out_end(w);
    mor_pq_out_end(w);
}

static void put_element(struct mor_pq_thrift_out *w, const struct mor_pq_element *e)
{
    mor_pq_out_element(w);
    if (e->type >= 0)
        mor_pq_out_i32(w, 1, e->type);
    if (e->type == MOR_PQ_FLBA)
        mor_pq_out_i32(w, 2, e->type_length);
    if (e->repetition >= 0)
        mor_pq_out_i32(w, 3, e->repetition);
    put_bytes(w, 4, e->name);
    if (e->type < 0)
        mor_pq_out_i32(w, 5, e->num_children);
    if (e->converted >= 0)
        mor_pq_out_i32(w, 6, e->converted);
    if (e->converted == MOR_PQ_C_DECIMAL) {
        mor_pq_out_i32(w, 7, e->scale);
        mor_pq_out_i32(w, 8, e->precision);
    }
    if (e->field_id >= 0)
        mor_pq_out_i32(w, 9, e->field_id);
    if (e->logical != MOR_PQ_L_NONE)
        put_logical(w, 10, e);
    mor_pq_out_end(w);
}

static void put_key_values(struct mor_pq_thrift_out *w, int32_t id,
                           const struct mor_pq_key_value *pairs, size_t count)
{
    if (count == 0)
        return;
    mor_pq_out_list(w, id, MOR_PQ_T_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        mor_pq_out_element(w);
        put_bytes(w, 1, pairs[i].key);
        put_bytes(w, 2, pairs[i].value);
        mor_pq_out_end(w);
    }
}

static void put_i64_list(struct mor_pq_thrift_out *w, int32_t id, const int64_t *numbers,
                         size_t count)
{
    mor_pq_out_list(w, id, MOR_PQ_T_I64, count);
    for (size_t i = 0; i < count; i++)
        mor_pq_out_element_i64(w, numbers[i]);
}

static void put_sizes(struct mor_pq_thrift_out *w, int32_t id,
                      const struct mor_pq_size_statistics *s)
{
    if (s->unencoded_bytes < 0 && !s->rep_histogram && !s->def_histogram)
        return;
    mor_pq_out_struct(w, id);
    if (s->unencoded_bytes >= 0)
        mor_pq_out_i64(w, 1, s->unencoded_bytes);
    if (s->rep_histogram)
        put_i64_list(w, 2, s->rep_histogram, s->rep_count);
    if (s->def_histogram)
        put_i64_list(w, 3, s->def_histogram, s->def_count);
    mor_pq_out_end(w);
}

static void put_encoding_stats(struct mor_pq_thrift_out *w, const struct mor_pq_chunk *c)
{
    if (c->encoding_stats_count == 0)
        return;
    mor_pq_out_list(w, 13, MOR_PQ_T_STRUCT, c->encoding_stats_count);
    for (size_t i = 0; i < c->encoding_stats_count; i++) {
        mor_pq_out_element(w);
        mor_pq_out_i32(w, 1, c->encoding_stats[i].page_type);
        mor_pq_out_i32(w, 2, c->encoding_stats[i].encoding);
        mor_pq_out_i32(w, 3, c->encoding_stats[i].count);
        mor_pq_out_end(w);
    }
}

static void put_column_meta(struct mor_pq_thrift_out *w, int32_t id, const struct mor_pq_chunk *c)
{
    mor_pq_out_struct(w, id);
    mor_pq_out_i32(w, 1, c->type);
    mor_pq_out_list(w, 2, MOR_PQ_T_I32, (size_t)__builtin_popcount(c->encodings));
    for (int32_t encoding = 0; encoding < 32; encoding++) {
        if (c->encodings >> encoding & 1)
            mor_pq_out_element_i32(w, encoding);
    }
    mor_pq_out_list(w, 3, MOR_PQ_T_BINARY, c->path_count);
    for (size_t i = 0; i < c->path_count; i++)
        mor_pq_out_element_binary(w, c->path[i].data, c->path[i].size_bytes);
    mor_pq_out_i32(w, 4, c->codec);
    mor_pq_out_i64(w, 5, c->num_values);
    mor_pq_out_i64(w, 6, c->total_uncompressed_bytes);
    mor_pq_out_i64(w, 7, c->total_compressed_bytes);
    put_key_values(w, 8, c->key_values, c->key_value_count);
    mor_pq_out_i64(w, 9, c->data_page_offset);
    if (c->dictionary_page_offset >= 0)
        mor_pq_out_i64(w, 11, c->dictionary_page_offset);
    if (has_statistics(&c->statistics))
        put_statistics(w, 12, &c->statistics);
    put_encoding_stats(w, c);
    if (c->bloom_filter_offset >= 0) {
        mor_pq_out_i64(w, 14, c->bloom_filter_offset);
        mor_pq_out_i32(w, 15, c->bloom_filter_length);
    }
    put_sizes(w, 16, &c->sizes);
    mor_pq_out_end(w);
}

static void put_chunk(struct mor_pq_thrift_out *w, const struct mor_pq_chunk *c)
{
    mor_pq_out_element(w);
    mor_pq_out_i64(w, 2, c->file_offset);
    put_column_meta(w, 3, c);
    if (c->offset_index_offset >= 0) {
        mor_pq_out_i64(w, 4, c->offset_index_offset);
        mor_pq_out_i32(w, 5, c->offset_index_length);
    }
    if (c->column_index_offset >= 0) {
        mor_pq_out_i64(w, 6, c->column_index_offset);
        mor_pq_out_i32(w, 7, c->column_index_length);
    }
    mor_pq_out_end(w);
}

static void put_row_group(struct mor_pq_thrift_out *w, const struct mor_pq_row_group *g,
                          size_t ordinal)
{
    mor_pq_out_element(w);
    mor_pq_out_list(w, 1, MOR_PQ_T_STRUCT, g->chunk_count);
    for (size_t i = 0; i < g->chunk_count; i++)
        put_chunk(w, &g->chunks[i]);
    mor_pq_out_i64(w, 2, g->total_byte_size);
    mor_pq_out_i64(w, 3, g->num_rows);
    if (g->sorting_count > 0) {
        mor_pq_out_list(w, 4, MOR_PQ_T_STRUCT, g->sorting_count);
        for (size_t i = 0; i < g->sorting_count; i++) {
            mor_pq_out_element(w);
            mor_pq_out_i32(w, 1, g->sorting[i].column);
            mor_pq_out_bool(w, 2, g->sorting[i].descending);
            mor_pq_out_bool(w, 3, g->sorting[i].nulls_first);
            mor_pq_out_end(w);
        }
    }
    if (g->file_offset >= 0)
        mor_pq_out_i64(w, 5, g->file_offset);
    mor_pq_out_i64(w, 6, g->total_compressed_bytes);
    if (ordinal <= INT16_MAX)
        mor_pq_out_i16(w, 7, (int16_t)ordinal);
    mor_pq_out_end(w);
}

void mor_pq_file_write(const struct mor_pq_file *file, struct mor_buffer *out)
{
    struct mor_pq_thrift_out writer, *w = &writer;
    mor_pq_out_init(w, out);
    mor_pq_out_i32(w, 1, file->version);
    mor_pq_out_list(w, 2, MOR_PQ_T_STRUCT, file->element_count);
    for (size_t i = 0; i < file->element_count; i++)
        put_element(w, &file->elements[i]);
    mor_pq_out_i64(w, 3, file->num_rows);
    mor_pq_out_list(w, 4, MOR_PQ_T_STRUCT, file->row_group_count);
    for (size_t i = 0; i < file->row_group_count; i++)
        put_row_group(w, &file->row_groups[i], i);
    put_key_values(w, 5, file->key_values, file->key_value_count);
    put_bytes(w, 6, file->created_by);
    if (file->column_order_count > 0) {
        mor_pq_out_list(w, 7, MOR_PQ_T_STRUCT, file->column_order_count);
        for (size_t i = 0; i < file->column_order_count; i++) {
            mor_pq_out_element(w);
            mor_pq_out_struct(w, 1);
            mor_pq_out_end(w);
            mor_pq_out_end(w);
        }
    }
    mor_pq_out_stop(w);
}

void mor_pq_page_header_write(const struct mor_pq_page_header *h, struct mor_buffer *out)
{
    struct mor_pq_thrift_out writer, *w = &writer;
    mor_pq_out_init(w, out);
    mor_pq_out_i32(w, 1, h->type);
    mor_pq_out_i32(w, 2, h->uncompressed_bytes);
    mor_pq_out_i32(w, 3, h->compressed_bytes);
    if (h->has_crc)
        mor_pq_out_i32(w, 4, (int32_t)h->crc);
    if (h->type == MOR_PQ_DICTIONARY_PAGE) {
        mor_pq_out_struct(w, 7);
        mor_pq_out_i32(w, 1, h->num_values);
        mor_pq_out_i32(w, 2, h->encoding);
        mor_pq_out_end(w);
    } else if (h->type == MOR_PQ_DATA_PAGE) {
        mor_pq_out_struct(w, 5);
        mor_pq_out_i32(w, 1, h->num_values);
        mor_pq_out_i32(w, 2, h->encoding);
        mor_pq_out_i32(w, 3, h->def_encoding);
        mor_pq_out_i32(w, 4, h->rep_encoding);
        if (has_statistics(&h->statistics))
            put_statistics(w, 5, &h->statistics);
        mor_pq_out_end(w);
    } else {
        mor_pq_out_struct(w, 8);
        mor_pq_out_i32(w, 1, h->num_values);
        mor_pq_out_i32(w, 2, h->num_nulls);
        mor_pq_out_i32(w, 3, h->num_rows);
        mor_pq_out_i32(w, 4, h->encoding);
        mor_pq_out_i32(w, 5, h->def_bytes);
        mor_pq_out_i32(w, 6, h->rep_bytes);
        mor_pq_out_bool(w, 7, h->is_compressed);
        if (has_statistics(&h->statistics))
            put_statistics(w, 8, &h->statistics);
        mor_pq_out_end(w);
    }
    mor_pq_out_stop(w);
}

void mor_pq_offset_index_write(const struct mor_pq_offset_index *index, struct mor_buffer *out)
{
    struct mor_pq_thrift_out writer, *w = &writer;
    mor_pq_out_init(w, out);
    mor_pq_out_list(w, 1, MOR_PQ_T_STRUCT, index->page_count);
    for (size_t i = 0; i < index->page_count; i++) {
        mor_pq_out_element(w);
        mor_pq_out_i64(w, 1, index->pages[i].offset);
        mor_pq_out_i32(w, 2, index->pages[i].compressed_bytes);
        mor_pq_out_i64(w, 3, index->pages[i].first_row);
        mor_pq_out_end(w);
    }
    if (index->unencoded_bytes)
        put_i64_list(w, 2, index->unencoded_bytes, index->page_count);
    mor_pq_out_stop(w);
}

static void put_binary_list(struct mor_pq_thrift_out *w, int32_t id,
                            const struct mor_pq_bytes *list, size_t count)
{
    mor_pq_out_list(w, id, MOR_PQ_T_BINARY, count);
    for (size_t i = 0; i < count; i++)
        mor_pq_out_element_binary(w, list[i].data, list[i].size_bytes);
}

void mor_pq_column_index_write(const struct mor_pq_column_index *index, struct mor_buffer *out)
{
    struct mor_pq_thrift_out writer, *w = &writer;
    mor_pq_out_init(w, out);
    mor_pq_out_list(w, 1, MOR_PQ_T_TRUE, index->page_count);
    for (size_t i = 0; i < index->page_count; i++)
        mor_pq_out_element_bool(w, index->null_pages[i]);
    put_binary_list(w, 2, index->min_values, index->page_count);
    put_binary_list(w, 3, index->max_values, index->page_count);
    mor_pq_out_i32(w, 4, index->boundary_order);
    if (index->null_counts)
        put_i64_list(w, 5, index->null_counts, index->page_count);
    if (index->rep_histograms)
        put_i64_list(w, 6, index->rep_histograms, index->rep_histogram_count);
    if (index->def_histograms)
        put_i64_list(w, 7, index->def_histograms, index->def_histogram_count);
    mor_pq_out_stop(w);
}

void mor_pq_bloom_header_write(int32_t bitset_bytes, struct mor_buffer *out)
{
    struct mor_pq_thrift_out writer, *w = &writer;
    mor_pq_out_init(w, out);
    mor_pq_out_i32(w, 1, bitset_bytes);
    for (int32_t id = 2; id <= 4; id++) {
        mor_pq_out_struct(w, id);
        mor_pq_out_struct(w, 1);
        mor_pq_out_end(w);
        mor_pq_out_end(w);
    }
    mor_pq_out_stop(w);
}

static const char *name_of(const char *const *names, size_t count, int32_t index)
{
    return index >= 0 && (size_t)index < count && names[index] ? names[index] : "unknown";
}

const char *mor_pq_type_name(int32_t type)
{
    static const char *const names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                        "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
    return name_of(names, 8, type);
}

const char *mor_pq_encoding_name(int32_t encoding)
{
    static const char *const names[] = {"PLAIN",
                                        NULL,
                                        "PLAIN_DICTIONARY",
                                        "RLE",
                                        "BIT_PACKED",
                                        "DELTA_BINARY_PACKED",
                                        "DELTA_LENGTH_BYTE_ARRAY",
                                        "DELTA_BYTE_ARRAY",
                                        "RLE_DICTIONARY",
                                        "BYTE_STREAM_SPLIT",
                                        "ALP"};
    return name_of(names, 11, encoding);
}

const char *mor_pq_codec_name(int32_t codec)
{
    static const char *const names[] = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO",
                                        "BROTLI",       "LZ4",    "ZSTD", "LZ4_RAW"};
    return name_of(names, 8, codec);
}
