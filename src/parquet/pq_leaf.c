#include "pq_leaf.h"
#include "pq_simd.h"

#define CHUNK 2048 // values that are converted or looked up at a time

void mor_pq_leaf_init(struct mor_pq_leaf *leaf, const struct mor_pq_node *node,
                      const struct mor_byte_source *source, struct mor_pq_held *held,
                      struct mor_pq_codec_state *codec, struct mor_budget *budget)
{
    *leaf = (struct mor_pq_leaf){.node = node, .held = held, .codec = codec};
    mor_pq_stream_init(&leaf->stream, source, budget);
    struct mor_buffer *buffers[] = {&leaf->dictionary.data,
                                    &leaf->dictionary.offsets,
                                    &leaf->page.def,
                                    &leaf->page.rep,
                                    &leaf->page.body,
                                    &leaf->def,
                                    &leaf->rep,
                                    &leaf->booleans,
                                    &leaf->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_init(buffers[i], budget);
}

void mor_pq_leaf_done(struct mor_pq_leaf *leaf)
{
    struct mor_buffer *buffers[] = {&leaf->dictionary.data,
                                    &leaf->dictionary.offsets,
                                    &leaf->page.def,
                                    &leaf->page.rep,
                                    &leaf->page.body,
                                    &leaf->def,
                                    &leaf->rep,
                                    &leaf->booleans,
                                    &leaf->scratch};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mor_buffer_done(buffers[i]);
    mor_pq_stream_done(&leaf->stream);
    mor_pq_decoder_done(&leaf->decoder);
}

// ---- chunks -------------------------------------------------------------------------------------

// Writers forgot the header of the dictionary page in total_compressed_size (PARQUET-816): a little
// beyond the end is allowed, the value count says where to stop.
#define CHUNK_SLACK_BYTES 128

enum mor_status mor_pq_chunk_range(const struct mor_pq_chunk *chunk, int64_t data_end,
                                   int64_t *ret_start, int64_t *ret_end, struct mor_error *err)
{
    int64_t start = chunk->data_page_offset, end;
    // Some writers put zero, or the first data page again, when there is no dictionary.
    if (chunk->dictionary_page_offset > 0 && chunk->dictionary_page_offset < start)
        start = chunk->dictionary_page_offset;
    if (start < 4 || chunk->total_compressed_bytes < 0 ||
        __builtin_add_overflow(start, chunk->total_compressed_bytes, &end) || end > data_end) {
        mor_error_set(err, MOR_DATA, "column chunk lies outside the file");
        err->file_offset = chunk->data_page_offset;
        return MOR_DATA;
    }
    *ret_start = start;
    *ret_end = data_end - end > CHUNK_SLACK_BYTES ? end + CHUNK_SLACK_BYTES : data_end;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_open(struct mor_pq_leaf *leaf, const struct mor_pq_chunk *chunk,
                                 int32_t row_group, int64_t data_end,
                                 struct mor_pq_segment *segment, struct mor_error *err)
{
    int64_t start, end;
    leaf->row_group = row_group;
    leaf->page.offset = chunk->data_page_offset;
    if (!chunk->has_meta || chunk->encrypted || chunk->file_path.data ||
        chunk->type != leaf->node->element->type || chunk->num_values < 0) {
        mor_error_set(err, MOR_DATA, "%s",
                      chunk->encrypted        ? "column is encrypted"
                      : chunk->file_path.data ? "column chunk lies in another file"
                      : !chunk->has_meta      ? "column chunk without metadata"
                      : chunk->num_values < 0 ? "column chunk with a negative value count"
                                              : "column chunk has another type than the schema");
        return mor_pq_leaf_fail(leaf, err);
    }
    if (mor_pq_chunk_range(chunk, data_end, &start, &end, err) != MOR_OK)
        return mor_pq_leaf_fail(leaf, err);
    if (segment && end > segment->end)
        end = segment->end;
    leaf->chunk = chunk;
    mor_pq_stream_open(&leaf->stream, start, end, segment, 0);
    leaf->next_page = start;
    leaf->values_left = chunk->num_values;
    leaf->first_entry = true;
    leaf->pages_read = leaf->checksums_checked = 0;
    leaf->row = 0;
    leaf->index = NULL;
    leaf->jumped = false;
    leaf->dictionary.present = false;
    leaf->page.count = leaf->page.at = 0;
    return MOR_OK;
}

// ---- values -------------------------------------------------------------------------------------

static enum mor_status bad_values(const struct mor_pq_leaf *leaf, struct mor_error *err,
                                  const char *what)
{
    mor_error_set(err, MOR_DATA, "%s", what);
    return mor_pq_leaf_fail(leaf, err);
}

MOR_PQ_CLONES static bool indexes_in_range(const uint32_t *indexes, size_t count, size_t limit)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < count; i++)
        highest = indexes[i] > highest ? indexes[i] : highest;
    return highest < limit;
}

MOR_PQ_CLONES static void gather_fixed(const struct mor_pq_dictionary *dictionary,
                                       const uint32_t *indexes, size_t count, size_t width,
                                       struct mor_buffer *data)
{
    mor_buffer_reserve(data, count * width);
    uint8_t *to = data->data + data->size_bytes;
    const uint8_t *from = dictionary->data.data;
    if (width == 8) {
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * 8, from + (size_t)indexes[i] * 8, 8);
    } else if (width == 4) {
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * 4, from + (size_t)indexes[i] * 4, 4);
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * width, from + (size_t)indexes[i] * width, width);
    }
    data->size_bytes += count * width;
}

// Bytes of the dictionary have 16 spare ones behind them, so short values are copied in one move.
static void gather_bytes(const struct mor_pq_dictionary *dictionary, const uint32_t *indexes,
                         size_t count, struct mor_vector *vector)
{
    const int32_t *offsets = (const int32_t *)(const void *)dictionary->offsets.data;
    const uint8_t *from = dictionary->data.data;
    mor_buffer_reserve(&vector->data, count * dictionary->longest + 16);
    mor_buffer_reserve(&vector->offsets, count * sizeof(int32_t));
    uint8_t *start = vector->data.data, *to = start + vector->data.size_bytes;
    int32_t *ends = (int32_t *)(void *)(vector->offsets.data + vector->offsets.size_bytes);
    if (dictionary->longest <= 16) {
        for (size_t i = 0; i < count; i++) {
            int32_t at = offsets[indexes[i]];
            memcpy(to, from + at, 16);
            to += offsets[indexes[i] + 1] - at;
            ends[i] = (int32_t)(to - start);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            int32_t at = offsets[indexes[i]];
            size_t size = (size_t)(offsets[indexes[i] + 1] - at);
            memcpy(to, from + at, size);
            to += size;
            ends[i] = (int32_t)(to - start);
        }
    }
    vector->data.size_bytes = (size_t)(to - start);
    vector->offsets.size_bytes += count * sizeof(int32_t);
}

static enum mor_status dictionary_values(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                         size_t count, size_t bytes_max, size_t *ret_count,
                                         struct mor_error *err)
{
    const struct mor_pq_dictionary *dictionary = &leaf->dictionary;
    bool bytes = leaf->convert.to_width == 0;
    uint32_t indexes[CHUNK];
    for (size_t done = 0; done < count;) {
        size_t part = count - done < CHUNK ? count - done : CHUNK;
        if (bytes && dictionary->longest > 0) {
            size_t room =
                vector->data.size_bytes < bytes_max ? bytes_max - vector->data.size_bytes : 0;
            part = part < room / dictionary->longest ? part : room / dictionary->longest;
        }
        if (part == 0)
            return MOR_OK;
        if (!mor_pq_decoder_read_indexes(&leaf->decoder, indexes, part))
            return bad_values(leaf, err, "page holds fewer values than its header says");
        if (!indexes_in_range(indexes, part, dictionary->count))
            return bad_values(leaf, err, "page refers to a value beyond the end of the dictionary");
        if (bytes)
            gather_bytes(dictionary, indexes, part, vector);
        else
            gather_fixed(dictionary, indexes, part, leaf->convert.to_width, &vector->data);
        done += part;
        *ret_count = done;
    }
    return MOR_OK;
}

static enum mor_status bytes_to_decimals(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                         size_t count, size_t *ret_count, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0}, offsets = {0};
    mor_buffer_append_le32(&offsets, 0);
    size_t read;
    if (!mor_pq_decoder_read_bytes(&leaf->decoder, &bytes, &offsets, count, INT32_MAX, &read) ||
        read != count)
        return bad_values(leaf, err, "page holds fewer values than its header says");
    const int32_t *at = (const int32_t *)(const void *)offsets.data;
    mor_buffer_reserve(&vector->data, count * 16);
    for (size_t i = 0; i < count; i++) {
        if (!mor_pq_convert_bytes_decimal(&leaf->convert, bytes.data + at[i],
                                          (size_t)(at[i + 1] - at[i]),
                                          vector->data.data + vector->data.size_bytes))
            return bad_values(leaf, err, "a decimal is out of range");
        vector->data.size_bytes += 16;
    }
    *ret_count = count;
    return MOR_OK;
}

static enum mor_status fixed_to_bytes(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                      size_t count, size_t bytes_max, size_t *ret_count,
                                      struct mor_error *err)
{
    const size_t width = leaf->convert.from_width;
    size_t room =
        vector->data.size_bytes < bytes_max ? (bytes_max - vector->data.size_bytes) / width : 0;
    size_t part = count < room ? count : room;
    mor_buffer_reserve(&vector->data, part * width);
    if (!mor_pq_decoder_read_fixed(&leaf->decoder, vector->data.data + vector->data.size_bytes,
                                   part))
        return bad_values(leaf, err, "page holds fewer values than its header says");
    for (size_t i = 0; i < part; i++) {
        vector->data.size_bytes += width;
        mor_buffer_append_le32(&vector->offsets, (uint32_t)vector->data.size_bytes);
    }
    *ret_count = part;
    return MOR_OK;
}

static enum mor_status converted_values(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                        size_t count, struct mor_error *err)
{
    const struct mor_pq_convert *convert = &leaf->convert;
    mor_buffer_reserve(&vector->data, count * convert->to_width);
    mor_buffer_reset(&leaf->scratch);
    mor_buffer_reserve(&leaf->scratch, CHUNK * (size_t)convert->from_width);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < CHUNK ? count - done : CHUNK;
        if (!mor_pq_decoder_read_fixed(&leaf->decoder, leaf->scratch.data, part))
            return bad_values(leaf, err, "page holds fewer values than its header says");
        if (!mor_pq_convert_fixed(convert, leaf->scratch.data, part,
                                  vector->data.data + vector->data.size_bytes))
            return bad_values(leaf, err, "a value is out of range of the wanted type");
        vector->data.size_bytes += part * convert->to_width;
        done += part;
    }
    return MOR_OK;
}

// Booleans wait as bytes until their nulls are spread.
static enum mor_status plain_values(struct mor_pq_leaf *leaf, struct mor_buffer *data, size_t count,
                                    size_t width, struct mor_error *err)
{
    mor_buffer_reserve(data, count * width);
    if (!mor_pq_decoder_read_fixed(&leaf->decoder, data->data + data->size_bytes, count))
        return bad_values(leaf, err, "page holds fewer values than its header says");
    data->size_bytes += count * width;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_values(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                   size_t count, size_t bytes_max, size_t *ret_count,
                                   struct mor_error *err)
{
    *ret_count = 0;
    if (count == 0)
        return MOR_OK;
    if (leaf->decoder.kind == MOR_PQ_D_DICTIONARY)
        return dictionary_values(leaf, vector, count, bytes_max, ret_count, err);
    switch (leaf->convert.kind) {
    case MOR_PQ_V_BYTES:
        if (!mor_pq_decoder_read_bytes(&leaf->decoder, &vector->data, &vector->offsets, count,
                                       bytes_max, ret_count))
            return bad_values(leaf, err, "page holds fewer values than its header says");
        return MOR_OK;
    case MOR_PQ_V_BYTES_DECIMAL:
        return bytes_to_decimals(leaf, vector, count, ret_count, err);
    case MOR_PQ_V_FIXED_BYTES:
        return fixed_to_bytes(leaf, vector, count, bytes_max, ret_count, err);
    case MOR_PQ_V_BOOL:
        MOR_TRY(plain_values(leaf, &leaf->booleans, count, 1, err));
        break;
    case MOR_PQ_V_COPY:
        MOR_TRY(plain_values(leaf, &vector->data, count, leaf->convert.to_width, err));
        break;
    default:
        MOR_TRY(converted_values(leaf, vector, count, err));
        break;
    }
    *ret_count = count;
    return MOR_OK;
}

// ---- rows ---------------------------------------------------------------------------------------

MOR_PQ_CLONES static size_t count_present(const struct mor_pq_leaf *leaf, size_t entries)
{
    const struct mor_pq_page *page = &leaf->page;
    if (page->all_present)
        return entries;
    size_t values = 0;
    const uint8_t *def = page->def.data + (page->at - page->def_start);
    for (size_t i = 0; i < entries; i++)
        values += def[i] == leaf->node->def;
    return values;
}

// Entries of the page up to, not including, the present value number `values`.
static size_t entries_before(const struct mor_pq_leaf *leaf, size_t values)
{
    const struct mor_pq_page *page = &leaf->page;
    size_t entries = 0;
    if (page->all_present)
        return values;
    for (const uint8_t *def = page->def.data + (page->at - page->def_start);
         def[entries] != leaf->node->def || values-- > 0;)
        entries++;
    return entries;
}

// Takes the levels of `entries` entries of the page to the gathered ones and moves on.
static void take_entries(struct mor_pq_leaf *leaf, size_t entries)
{
    struct mor_pq_page *page = &leaf->page;
    if (leaf->all_present && !page->all_present) {
        mor_buffer_reserve(&leaf->def, leaf->entry_count + 1);
        memset(leaf->def.data, leaf->node->def, leaf->entry_count);
        leaf->def.size_bytes = leaf->entry_count;
        leaf->all_present = false;
    }
    if (!leaf->all_present) {
        mor_buffer_reserve(&leaf->def, entries + 1);
        if (page->all_present)
            memset(leaf->def.data + leaf->def.size_bytes, leaf->node->def, entries);
        else
            memcpy(leaf->def.data + leaf->def.size_bytes,
                   page->def.data + (page->at - page->def_start), entries);
        leaf->def.size_bytes += entries;
    }
    if (leaf->node->rep > 0)
        mor_buffer_append(&leaf->rep, page->rep.data + page->at, entries);
    page->at += entries;
    leaf->entry_count += entries;
}

static enum mor_status read_flat(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                 size_t row_count, size_t bytes_max, struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    while (leaf->entry_count < row_count) {
        if (page->at == page->count) {
            if (leaf->values_left == 0)
                return MOR_OK;
            MOR_TRY(mor_pq_leaf_next_page(leaf, err));
            continue;
        }
        size_t want = row_count - leaf->entry_count, left = page->count - page->at;
        size_t entries = want < left ? want : left;
        if (mor_pq_leaf_levels(leaf, &entries, err) != MOR_OK)
            return mor_pq_leaf_fail(leaf, err);
        size_t values = count_present(leaf, entries), read = values;
        if (!leaf->levels_only)
            MOR_TRY(mor_pq_leaf_values(leaf, vector, values, bytes_max, &read, err));
        if (read < values)
            entries = entries_before(leaf, read);
        leaf->value_count += read;
        take_entries(leaf, entries);
        if (read < values)
            return MOR_OK;
    }
    return MOR_OK;
}

// Entries of the page that belong to the wanted rows; *rows counts rows that were begun.
static size_t nested_entries(const struct mor_pq_leaf *leaf, size_t row_count, size_t *rows,
                             bool *ret_end)
{
    const struct mor_pq_page *page = &leaf->page;
    const uint8_t *rep = page->rep.data;
    size_t at = page->at;
    for (; at < page->count; at++) {
        if (rep[at] == 0) {
            if (*rows == row_count) {
                *ret_end = true;
                break;
            }
            ++*rows;
        }
    }
    return at - page->at;
}

static enum mor_status read_nested(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                   size_t row_count, size_t *ret_rows, struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    bool end = false;
    while (!end) {
        if (page->at == page->count) {
            if (leaf->values_left == 0)
                return MOR_OK;
            MOR_TRY(mor_pq_leaf_next_page(leaf, err));
            continue;
        }
        size_t entries = nested_entries(leaf, row_count, ret_rows, &end),
               values = count_present(leaf, entries), read;
        if (leaf->entry_count + entries > MOR_PQ_VALUES_MAX)
            return bad_values(leaf, err, "rows hold more values than the limit of one batch");
        if (!leaf->levels_only) {
            MOR_TRY(mor_pq_leaf_values(leaf, vector, values, INT32_MAX, &read, err));
            if (read < values)
                return bad_values(leaf, err, "rows hold more bytes than one batch can");
        }
        leaf->value_count += values;
        take_entries(leaf, entries);
    }
    return MOR_OK;
}

enum mor_status mor_pq_leaf_read(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                 size_t row_count, size_t bytes_max, size_t *ret_row_count,
                                 struct mor_error *err)
{
    leaf->entry_count = leaf->value_count = 0;
    leaf->all_present = true;
    mor_buffer_reset(&leaf->def);
    mor_buffer_reset(&leaf->rep);
    mor_buffer_reset(&leaf->booleans);
    size_t rows = 0;
    if (leaf->node->rep > 0) {
        MOR_TRY(read_nested(leaf, vector, row_count, &rows, err));
    } else {
        MOR_TRY(read_flat(leaf, vector, row_count, bytes_max, err));
        rows = leaf->entry_count;
    }
    leaf->row += (int64_t)rows;
    *ret_row_count = rows;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_skip(struct mor_pq_leaf *leaf, size_t row_count, struct mor_error *err)
{
    struct mor_pq_page *page = &leaf->page;
    size_t rows = 0;
    bool end = false, nested = leaf->node->rep > 0;
    while (nested ? !end : rows < row_count) {
        if (page->at == page->count) {
            if (leaf->values_left == 0)
                break;
            MOR_TRY(mor_pq_leaf_next_page(leaf, err));
            continue;
        }
        size_t left = page->count - page->at, want = row_count - rows;
        size_t entries = nested        ? nested_entries(leaf, row_count, &rows, &end)
                         : left < want ? left
                                       : want;
        if (!nested && mor_pq_leaf_levels(leaf, &entries, err) != MOR_OK)
            return mor_pq_leaf_fail(leaf, err);
        rows += nested ? 0 : entries;
        if (!leaf->levels_only &&
            !mor_pq_decoder_skip(&leaf->decoder, count_present(leaf, entries)))
            return bad_values(leaf, err, "page holds fewer values than its header says");
        page->at += entries;
    }
    if (rows < row_count)
        return bad_values(leaf, err, "column chunk has fewer rows than its row group");
    leaf->row += (int64_t)row_count;
    return MOR_OK;
}

enum mor_status mor_pq_leaf_seek(struct mor_pq_leaf *leaf, int64_t row, struct mor_error *err)
{
    const struct mor_pq_offset_index *index = leaf->index;
    size_t page = 0;
    while (index && page + 1 < index->page_count && index->pages[page + 1].first_row <= row)
        page++;
    // Worth a jump only when the page is not the one at hand or the next.
    if (index && index->pages[page].first_row > leaf->row &&
        index->pages[page].offset > leaf->next_page) {
        MOR_TRY(mor_pq_leaf_load_dictionary(leaf, index->pages[0].offset, err));
        leaf->next_page = index->pages[page].offset;
        leaf->row = index->pages[page].first_row;
        leaf->page.count = leaf->page.at = 0;
        leaf->values_left = leaf->chunk->num_values;
        leaf->jumped = true;
    }
    if (row == leaf->row)
        return MOR_OK;
    return mor_pq_leaf_skip(leaf, (size_t)(row - leaf->row), err);
}
