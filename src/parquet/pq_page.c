#include "moraine/base/hash.h"
#include "pq_leaf.h"

#define HEADER_FIRST_BYTES 128 // most headers are shorter

static enum mor_status data_error(const struct mor_pq_leaf *leaf, struct mor_error *err,
                                  const char *what)
{
    mor_error_set(err, MOR_DATA, "%s", what);
    return mor_pq_leaf_fail(leaf, err);
}

enum mor_status mor_pq_leaf_fail(const struct mor_pq_leaf *leaf, struct mor_error *err)
{
    if (err->file_offset < 0)
        err->file_offset = leaf->page.offset;
    err->row_group = leaf->row_group;
    err->column = leaf->node->leaf;
    const struct mor_pq_bytes name = leaf->node->element->name;
    return mor_error_wrap(err, "row group %d, column %d '%.*s', page at byte %lld", leaf->row_group,
                          leaf->node->leaf, name.size_bytes < 100 ? (int)name.size_bytes : 100,
                          (const char *)name.data, (long long)leaf->page.offset);
}

// ---- header and body ----------------------------------------------------------------------------

static enum mor_status read_header(struct mor_pq_leaf *leaf, struct mor_pq_page_header *ret_header,
                                   size_t *ret_size_bytes, struct mor_error *err)
{
    size_t left = (size_t)(leaf->stream.end - leaf->next_page), size = HEADER_FIRST_BYTES;
    for (;;) {
        const uint8_t *bytes;
        size = size < left ? size : left;
        MOR_TRY(mor_pq_stream_view(&leaf->stream, leaf->next_page, size, &bytes, err));
        struct mor_error attempt = MOR_ERROR_INIT;
        enum mor_status status =
            mor_pq_page_header_parse(bytes, size, ret_header, ret_size_bytes, &attempt);
        if (status == MOR_OK)
            return MOR_OK;
        // A longer piece may do: headers hold statistics of any length.
        if (size == left || size >= MOR_PQ_PAGE_HEADER_MAX) {
            *err = attempt;
            return status;
        }
        size *= 8;
    }
}

static enum mor_status check_crc(const struct mor_pq_leaf *leaf,
                                 const struct mor_pq_page_header *header, const uint8_t *body,
                                 struct mor_error *err)
{
    if (!leaf->verify || !header->has_crc ||
        mor_crc32(0, body, (size_t)header->compressed_bytes) == header->crc)
        return MOR_OK;
    return mor_error_set(err, MOR_DATA, "page checksum does not match");
}

// Levels of a V2 page are never compressed; `prefix_bytes` of the body are copied as they are.
static enum mor_status unpack_body(struct mor_pq_leaf *leaf,
                                   const struct mor_pq_page_header *header, const uint8_t *packed,
                                   size_t prefix_bytes, const uint8_t **ret_body,
                                   struct mor_error *err)
{
    size_t packed_size = (size_t)header->compressed_bytes,
           size = (size_t)header->uncompressed_bytes;
    bool compressed = leaf->chunk->codec != MOR_PQ_CODEC_NONE &&
                      (header->type != MOR_PQ_DATA_PAGE_V2 || header->is_compressed);
    if (!compressed) {
        if (packed_size != size)
            return mor_error_set(err, MOR_DATA, "uncompressed page has two different sizes");
        *ret_body = packed;
        return MOR_OK;
    }
    if (size > mor_pq_decompressed_max(leaf->chunk->codec, packed_size) + prefix_bytes)
        return mor_error_set(err, MOR_DATA,
                             "page says to be %zu bytes, which %zu compressed bytes cannot hold",
                             size, packed_size);
    struct mor_buffer *body = &leaf->page.body;
    size_t needed = size > body->capacity_bytes ? size : body->capacity_bytes;
    MOR_TRY(mor_pq_leaf_hold(leaf, &leaf->held_body, needed, err));
    mor_buffer_reset(body);
    mor_buffer_reserve(body, size + 16);
    if (prefix_bytes > 0)
        memcpy(body->data, packed, prefix_bytes);
    // A page without values may have nothing where the compressed values would be.
    if (size > prefix_bytes)
        MOR_TRY(mor_pq_decompress(leaf->codec, leaf->chunk->codec, packed + prefix_bytes,
                                  packed_size - prefix_bytes, body->data + prefix_bytes,
                                  size - prefix_bytes, err));
    body->size_bytes = size;
    *ret_body = body->data;
    return MOR_OK;
}

// ---- dictionary ---------------------------------------------------------------------------------

static enum mor_status bytes_dictionary(struct mor_pq_leaf *leaf, struct mor_pq_decoder *decoder,
                                        size_t count, struct mor_error *err)
{
    struct mor_pq_dictionary *dictionary = &leaf->dictionary;
    mor_buffer_append_le32(&dictionary->offsets, 0);
    size_t done;
    if (!mor_pq_decoder_read_bytes(decoder, &dictionary->data, &dictionary->offsets, count,
                                   INT32_MAX, &done) ||
        done != count)
        return mor_error_set(err, MOR_DATA,
                             "dictionary page holds fewer values than its header says");
    const int32_t *offsets = (const int32_t *)(const void *)dictionary->offsets.data;
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)(offsets[i + 1] - offsets[i]);
        dictionary->longest = size > dictionary->longest ? size : dictionary->longest;
    }
    return MOR_OK;
}

static enum mor_status decimal_dictionary(struct mor_pq_leaf *leaf, struct mor_pq_decoder *decoder,
                                          size_t count, struct mor_error *err)
{
    struct mor_pq_dictionary *dictionary = &leaf->dictionary;
    MOR_TRY(bytes_dictionary(leaf, decoder, count, err));
    MOR_AUTO_BUFFER bytes = dictionary->data;
    dictionary->data = (struct mor_buffer){.budget = bytes.budget};
    mor_buffer_reserve(&dictionary->data, count * 16 + 16);
    const int32_t *offsets = (const int32_t *)(const void *)dictionary->offsets.data;
    for (size_t i = 0; i < count; i++) {
        if (!mor_pq_convert_bytes_decimal(&leaf->convert, bytes.data + offsets[i],
                                          (size_t)(offsets[i + 1] - offsets[i]),
                                          dictionary->data.data + 16 * i))
            return mor_error_set(err, MOR_DATA, "a decimal in the dictionary is out of range");
    }
    dictionary->data.size_bytes = count * 16;
    return MOR_OK;
}

// Values with a fixed width, turned into what is wanted once and for all.
static enum mor_status fixed_dictionary(struct mor_pq_leaf *leaf, struct mor_pq_decoder *decoder,
                                        size_t count, struct mor_error *err)
{
    struct mor_pq_dictionary *dictionary = &leaf->dictionary;
    const struct mor_pq_convert *convert = &leaf->convert;
    mor_buffer_reset(&leaf->scratch);
    if ((size_t)(decoder->end - decoder->at) / convert->from_width < count)
        return mor_error_set(err, MOR_DATA,
                             "dictionary page holds fewer values than its header says");
    const uint8_t *from = decoder->at;
    if (convert->kind == MOR_PQ_V_FIXED_BYTES) {
        mor_buffer_append(&dictionary->data, from, count * convert->from_width);
        for (size_t i = 0; i <= count; i++)
            mor_buffer_append_le32(&dictionary->offsets, (uint32_t)(i * convert->from_width));
        dictionary->longest = convert->from_width;
        return MOR_OK;
    }
    // Aligned copy: conversion reads whole numbers.
    mor_buffer_append(&leaf->scratch, from, count * convert->from_width);
    mor_buffer_reserve(&dictionary->data, count * convert->to_width + 16);
    if (!mor_pq_convert_fixed(convert, leaf->scratch.data, count, dictionary->data.data))
        return mor_error_set(err, MOR_DATA, "a value in the dictionary is out of range");
    dictionary->data.size_bytes = count * convert->to_width;
    return MOR_OK;
}

static enum mor_status load_dictionary(struct mor_pq_leaf *leaf,
                                       const struct mor_pq_page_header *header,
                                       const uint8_t *packed, struct mor_error *err)
{
    struct mor_pq_dictionary *dictionary = &leaf->dictionary;
    const uint8_t *body;
    size_t count = (size_t)header->num_values, size = (size_t)header->uncompressed_bytes;
    if (dictionary->present)
        return mor_error_set(err, MOR_DATA, "column chunk has two dictionary pages");
    if (header->encoding != MOR_PQ_PLAIN && header->encoding != MOR_PQ_PLAIN_DICTIONARY)
        return mor_error_set(err, MOR_DATA, "dictionary page has encoding %d", header->encoding);
    dictionary->present = true;
    dictionary->longest = 0;
    mor_buffer_reset(&dictionary->data);
    mor_buffer_reset(&dictionary->offsets);
    if (leaf->levels_only)
        return MOR_OK;
    // A value takes at least four bytes of length, or its width.
    if (leaf->convert.kind == MOR_PQ_V_BOOL || count > size)
        return mor_error_set(err, MOR_DATA, "dictionary page says to hold %zu values in %zu bytes",
                             count, size);
    MOR_TRY(unpack_body(leaf, header, packed, 0, &body, err));
    MOR_TRY(mor_pq_leaf_hold(leaf, &leaf->held_dictionary,
                             size + count * (4 + (size_t)leaf->convert.to_width), err));
    dictionary->count = count;
    const struct mor_pq_element *e = leaf->node->element;
    MOR_TRY(mor_pq_decoder_open(&leaf->decoder, e->type, e->type_length, MOR_PQ_PLAIN, body, size,
                                count, err));
    if (leaf->convert.kind == MOR_PQ_V_BYTES)
        return bytes_dictionary(leaf, &leaf->decoder, count, err);
    if (leaf->convert.kind == MOR_PQ_V_BYTES_DECIMAL)
        return decimal_dictionary(leaf, &leaf->decoder, count, err);
    return fixed_dictionary(leaf, &leaf->decoder, count, err);
}

// ---- levels -------------------------------------------------------------------------------------

// Fills ret_levels[0..count) and checks that none is above `max`.
static enum mor_status decode_levels(struct mor_pq_rle *rle, size_t count, uint8_t max,
                                     struct mor_buffer *levels, struct mor_error *err)
{
    mor_buffer_reset(levels);
    mor_buffer_reserve(levels, count + 1);
    if (!mor_pq_rle_read8(rle, levels->data, count))
        return mor_error_set(err, MOR_DATA, "page has fewer levels than values");
    levels->size_bytes = count;
    uint8_t highest = 0;
    for (size_t i = 0; i < count; i++)
        highest = levels->data[i] > highest ? levels->data[i] : highest;
    if (highest > max)
        return mor_error_set(err, MOR_DATA, "page has level %u where the schema allows %u", highest,
                             max);
    return MOR_OK;
}

// One run over the whole page is how "no nulls" looks; it is not expanded.
static bool is_one_run(struct mor_pq_rle *rle, size_t count, uint8_t value)
{
    if (rle->msb_first || !mor_pq_rle_next_run(rle))
        return false;
    return !rle->run_packed && rle->run_value == value && rle->run_left >= count;
}

// Finds the levels of a V1 page and moves *body behind them.
static enum mor_status open_v1_levels(const uint8_t **body, size_t *size, size_t count, uint8_t max,
                                      int32_t encoding, struct mor_pq_rle *ret_rle,
                                      struct mor_error *err)
{
    uint32_t width = mor_pq_bit_width(max), bytes;
    if (encoding == MOR_PQ_BIT_PACKED) {
        size_t packed = (count * width + 7) / 8;
        if (packed > *size)
            return mor_error_set(err, MOR_DATA, "page has fewer levels than values");
        mor_pq_rle_init_bit_packed(ret_rle, *body, packed, width);
        *body += packed;
        *size -= packed;
        return MOR_OK;
    }
    if (encoding != MOR_PQ_RLE)
        return mor_error_set(err, MOR_DATA, "levels have encoding %d", encoding);
    if (*size < 4)
        return mor_error_set(err, MOR_DATA, "page ends before its levels");
    memcpy(&bytes, *body, 4);
    if (bytes > *size - 4)
        return mor_error_set(err, MOR_DATA, "page ends inside its levels");
    mor_pq_rle_init(ret_rle, *body + 4, bytes, width);
    *body += 4 + (size_t)bytes;
    *size -= 4 + (size_t)bytes;
    return MOR_OK;
}

static enum mor_status take_rep(struct mor_pq_leaf *leaf, struct mor_pq_rle *rle,
                                struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    MOR_TRY(mor_pq_leaf_hold(leaf, &leaf->held_levels, page->count * 2, err));
    MOR_TRY(decode_levels(rle, page->count, leaf->node->rep, &page->rep, err));
    if (leaf->first_entry && page->count > 0 && page->rep.data[0] != 0)
        return mor_error_set(err, MOR_DATA, "column chunk does not begin with a new row");
    return MOR_OK;
}

#define WINDOW                                                                                     \
    ((size_t)1 << 16) // definition levels of a flat column that are spelled out at a time

// Counts entries with the highest level without spelling the levels out: a few bytes can stand for
// any number of nulls.
static enum mor_status count_values(const struct mor_pq_rle *levels, size_t count, uint8_t max,
                                    size_t *ret_values, struct mor_error *err)
{
    struct mor_pq_rle rle = *levels;
    uint8_t chunk[1024];
    size_t values = 0;
    uint8_t highest = 0;
    while (count > 0) {
        if (rle.run_left == 0 && !mor_pq_rle_next_run(&rle))
            return mor_error_set(err, MOR_DATA, "page has fewer levels than values");
        size_t part = count < rle.run_left ? count : rle.run_left;
        if (!rle.run_packed) {
            values += rle.run_value == max ? part : 0;
            highest = rle.run_value > highest ? (uint8_t)rle.run_value : highest;
            rle.run_left -= part;
        } else {
            part = part < sizeof chunk ? part : sizeof chunk;
            (void)mor_pq_rle_read8(&rle, chunk, part); // the run has them
            for (size_t i = 0; i < part; i++) {
                values += chunk[i] == max;
                highest = chunk[i] > highest ? chunk[i] : highest;
            }
        }
        count -= part;
    }
    *ret_values = values;
    if (highest > max)
        return mor_error_set(err, MOR_DATA, "page has level %u where the schema allows %u", highest,
                             max);
    return MOR_OK;
}

static enum mor_status take_def(struct mor_pq_leaf *leaf, struct mor_pq_rle *rle,
                                size_t *ret_values, struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    struct mor_pq_rle peek = *rle;
    page->all_present = is_one_run(&peek, page->count, leaf->node->def);
    page->def_start = page->def_count = 0;
    *ret_values = page->count;
    if (page->all_present)
        return MOR_OK;
    if (leaf->node->rep == 0) {
        page->levels = *rle;
        MOR_TRY(count_values(rle, page->count, leaf->node->def, ret_values, err));
    } else {
        MOR_TRY(decode_levels(rle, page->count, leaf->node->def, &page->def, err));
        page->def_count = page->count;
        *ret_values = 0;
        for (size_t i = 0; i < page->count; i++)
            *ret_values += page->def.data[i] == leaf->node->def;
    }
    page->all_present = *ret_values == page->count;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_levels(struct mor_pq_leaf *leaf, size_t *entries, struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    if (page->all_present)
        return MOR_OK;
    if (page->at == page->def_start + page->def_count) {
        size_t left = page->count - page->at;
        page->def_start = page->at;
        page->def_count = left < WINDOW ? left : WINDOW;
        MOR_TRY(decode_levels(&page->levels, page->def_count, leaf->node->def, &page->def, err));
    }
    size_t ready = page->def_start + page->def_count - page->at;
    *entries = *entries < ready ? *entries : ready;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_hold(struct mor_pq_leaf *leaf, size_t *share, size_t bytes,
                                 struct mor_error *err)
{
    struct mor_pq_held *held = leaf->held;
    held->bytes -= *share;
    *share = 0;
    if (bytes > held->bytes_max - held->bytes)
        return mor_error_set(err, MOR_DATA,
                             "pages of all columns together need more than the limit of %zu bytes",
                             held->bytes_max);
    held->bytes += bytes;
    *share = bytes;
    return MOR_OK;
}

// ---- data pages ---------------------------------------------------------------------------------

static enum mor_status open_values(struct mor_pq_leaf *leaf, int32_t encoding, const uint8_t *body,
                                   size_t size, size_t values, struct mor_error *err)
{
    const struct mor_pq_element *e = leaf->node->element;
    bool indexes = encoding == MOR_PQ_RLE_DICTIONARY || encoding == MOR_PQ_PLAIN_DICTIONARY;
    if (leaf->levels_only)
        return MOR_OK;
    if (indexes && values > 0 && !leaf->dictionary.present)
        return mor_error_set(err, MOR_DATA,
                             "page refers to a dictionary that its column chunk does not have");
    return mor_pq_decoder_open(&leaf->decoder, e->type, e->type_length, encoding, body, size,
                               values, err);
}

static enum mor_status load_v1(struct mor_pq_leaf *leaf, const struct mor_pq_page_header *header,
                               const uint8_t *packed, struct mor_error *err)
{
    const uint8_t *body;
    struct mor_pq_rle rle;
    size_t size = (size_t)header->uncompressed_bytes, values = leaf->page.count;
    leaf->page.all_present = true;
    MOR_TRY(unpack_body(leaf, header, packed, 0, &body, err));
    if (leaf->node->rep > 0) {
        MOR_TRY(open_v1_levels(&body, &size, leaf->page.count, leaf->node->rep,
                               header->rep_encoding, &rle, err));
        MOR_TRY(take_rep(leaf, &rle, err));
    }
    if (leaf->node->def > 0) {
        MOR_TRY(open_v1_levels(&body, &size, leaf->page.count, leaf->node->def,
                               header->def_encoding, &rle, err));
        MOR_TRY(take_def(leaf, &rle, &values, err));
    }
    return open_values(leaf, header->encoding, body, size, values, err);
}

static enum mor_status load_v2(struct mor_pq_leaf *leaf, const struct mor_pq_page_header *header,
                               const uint8_t *packed, struct mor_error *err)
{
    size_t rep = (size_t)header->rep_bytes, def = (size_t)header->def_bytes;
    size_t size = (size_t)header->uncompressed_bytes, values = leaf->page.count;
    if (rep + def > (size_t)header->compressed_bytes || rep + def > size)
        return mor_error_set(err, MOR_DATA, "levels are longer than their page");
    struct mor_pq_rle rle;
    leaf->page.all_present = true;
    if (leaf->node->rep > 0) {
        mor_pq_rle_init(&rle, packed, rep, mor_pq_bit_width(leaf->node->rep));
        MOR_TRY(take_rep(leaf, &rle, err));
    }
    if (leaf->node->def > 0) {
        mor_pq_rle_init(&rle, packed + rep, def, mor_pq_bit_width(leaf->node->def));
        MOR_TRY(take_def(leaf, &rle, &values, err));
    }
    const uint8_t *body;
    MOR_TRY(unpack_body(leaf, header, packed, rep + def, &body, err));
    return open_values(leaf, header->encoding, body + rep + def, size - rep - def, values, err);
}

static enum mor_status load_data(struct mor_pq_leaf *leaf, const struct mor_pq_page_header *header,
                                 const uint8_t *packed, struct mor_error *err)
{
    if (header->num_values > leaf->values_left)
        return mor_error_set(err, MOR_DATA, "pages hold more values than the column chunk says");
    if ((size_t)header->num_values > MOR_PQ_VALUES_MAX)
        return mor_error_set(err, MOR_DATA, "page of %d values is larger than the limit of %zu",
                             header->num_values, MOR_PQ_VALUES_MAX);
    leaf->page.count = (size_t)header->num_values;
    leaf->page.at = 0;
    MOR_TRY(header->type == MOR_PQ_DATA_PAGE ? load_v1(leaf, header, packed, err)
                                             : load_v2(leaf, header, packed, err));
    leaf->values_left -= header->num_values;
    if (leaf->jumped) {
        const struct mor_pq_offset_index *index = leaf->index;
        bool last = leaf->page.offset >= index->pages[index->page_count - 1].offset;
        leaf->values_left = last ? 0 : leaf->chunk->num_values;
    }
    leaf->first_entry &= header->num_values == 0;
    return MOR_OK;
}

// *ret_data: it was a data page.
static enum mor_status load_page(struct mor_pq_leaf *leaf, bool *ret_data, struct mor_error *err)
{
    struct mor_pq_page_header header;
    size_t header_size;
    const uint8_t *packed;
    MOR_TRY(read_header(leaf, &header, &header_size, err));
    int64_t body = leaf->next_page + (int64_t)header_size;
    MOR_TRY(mor_pq_stream_view(&leaf->stream, body, (size_t)header.compressed_bytes, &packed, err));
    MOR_TRY(check_crc(leaf, &header, packed, err));
    leaf->pages_read++;
    leaf->checksums_checked += header.has_crc && leaf->verify;
    leaf->next_page = body + header.compressed_bytes;
    *ret_data = header.type == MOR_PQ_DATA_PAGE || header.type == MOR_PQ_DATA_PAGE_V2;
    if (*ret_data)
        return load_data(leaf, &header, packed, err);
    if (header.type == MOR_PQ_DICTIONARY_PAGE)
        return load_dictionary(leaf, &header, packed, err);
    return MOR_OK; // index pages and kinds to come are passed over
}

enum mor_status mor_pq_leaf_next_page(struct mor_pq_leaf *leaf, struct mor_error *err)
{
    bool data = false;
    while (!data) {
        leaf->page.offset = leaf->next_page;
        if (leaf->next_page >= leaf->stream.end)
            return data_error(leaf, err, "column chunk ends before its last value");
        if (load_page(leaf, &data, err) != MOR_OK)
            return mor_pq_leaf_fail(leaf, err);
    }
    return MOR_OK;
}

enum mor_status mor_pq_leaf_load_dictionary(struct mor_pq_leaf *leaf, int64_t first_data_page,
                                            struct mor_error *err)
{
    bool data = false;
    while (leaf->next_page < first_data_page && !data) {
        leaf->page.offset = leaf->next_page;
        if (load_page(leaf, &data, err) != MOR_OK)
            return mor_pq_leaf_fail(leaf, err);
    }
    return MOR_OK;
}
