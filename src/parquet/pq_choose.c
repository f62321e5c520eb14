#include "pq_column_writer.h"
#include "pq_rle.h"

// Choice of an encoding from the first page of a column. Candidates encode and compress a sample
// and the smallest wins; the choice holds for the file. A dictionary must win clearly: it costs
// readers a lookup, and it may still be given up when it grows too large.

#define SAMPLE_VALUES 8192

struct sample {
    struct mor_pq_column_writer *column;
    struct mor_pq_values values; // borrows the staged data
    struct mor_buffer body, packed;
};

// The first values of the staged page, not copied.
static void sample_values(struct mor_pq_column_writer *c, struct mor_pq_values *ret_sample)
{
    *ret_sample = c->values;
    if (ret_sample->count > SAMPLE_VALUES)
        ret_sample->count = SAMPLE_VALUES;
    if (c->values.type == MOR_PQ_BYTE_ARRAY)
        ret_sample->data.size_bytes = mor_pq_values_offsets(&c->values)[ret_sample->count];
    else
        ret_sample->data.size_bytes = ret_sample->count * c->values.width;
}

static enum mor_status packed_size(struct sample *s, size_t *ret_size, struct mor_error *err)
{
    const struct mor_pq_writer_config *config = s->column->config;
    mor_buffer_reset(&s->packed);
    MOR_TRY(mor_pq_compress(&s->column->work->codec, config->codec, config->codec_level,
                            s->body.data, s->body.size_bytes, &s->packed, err));
    *ret_size = s->packed.size_bytes;
    return MOR_OK;
}

static enum mor_status direct_size(struct sample *s, int32_t encoding, size_t *ret_size,
                                   struct mor_error *err)
{
    mor_buffer_reset(&s->body);
    mor_pq_encode(&s->values, encoding, &s->body);
    return packed_size(s, ret_size, err);
}

// Indexes the sample, then the rest of the page: *ret_size counts the indexes of the sample and the
// sample's share of the dictionary. SIZE_MAX when values hardly repeat.
static enum mor_status dictionary_size(struct sample *s, size_t *ret_size, struct mor_error *err)
{
    struct mor_pq_column_writer *c = s->column;
    struct mor_pq_dict *dict = &c->dict;
    size_t count = s->values.count, all = c->values.count;
    *ret_size = SIZE_MAX;
    mor_buffer_reset(&c->work->indexes);
    mor_buffer_reserve(&c->work->indexes, (all + 1) * sizeof(uint32_t));
    uint32_t *indexes = (uint32_t *)(void *)c->work->indexes.data;
    size_t bytes_max = c->config->dictionary_bytes_max;
    if (mor_pq_dict_index(dict, &c->values, 0, count, bytes_max, indexes) < count ||
        (count > 64 && dict->values.count > count - count / 8))
        return MOR_OK;
    if (all > count && (mor_pq_dict_index(dict, &c->values, count, all - count, bytes_max,
                                          indexes + count) < all - count ||
                        dict->values.count > all / 2))
        return MOR_OK;
    uint32_t width = mor_pq_bit_width(dict->values.count - 1);
    mor_buffer_reset(&s->body);
    mor_pq_rle_write32(&s->body, indexes, count, width);
    size_t index_size, value_size;
    MOR_TRY(packed_size(s, &index_size, err));
    mor_buffer_reset(&s->body);
    mor_pq_encode_plain(&dict->values, &s->body);
    MOR_TRY(packed_size(s, &value_size, err));
    // A dictionary serves every page of the chunk; four are assumed when this page did not end it.
    size_t pages = all >= c->config->page_rows_max / 2 ? 4 : 1;
    *ret_size = index_size + value_size * count / (all * pages);
    return MOR_OK;
}

static size_t candidates(const struct mor_pq_column_writer *c, int32_t *ret_encodings)
{
    size_t count = 0;
    ret_encodings[count++] = MOR_PQ_PLAIN;
    if (c->config->profile == MOR_PARQUET_CONSERVATIVE)
        return count;
    switch (c->values.type) {
    case MOR_PQ_INT32:
    case MOR_PQ_INT64:
        ret_encodings[count++] = MOR_PQ_DELTA_BINARY_PACKED;
        break;
    case MOR_PQ_BYTE_ARRAY:
        ret_encodings[0] = MOR_PQ_DELTA_LENGTH_BYTE_ARRAY;
        if (c->config->profile == MOR_PARQUET_COMPACT)
            ret_encodings[count++] = MOR_PQ_DELTA_BYTE_ARRAY;
        break;
    default:
        break;
    }
    // For other types it came with 2.11 of the format, which few readers know.
    bool real = c->values.type == MOR_PQ_FLOAT || c->values.type == MOR_PQ_DOUBLE;
    if (c->config->profile == MOR_PARQUET_COMPACT && real)
        ret_encodings[count++] = MOR_PQ_BYTE_STREAM_SPLIT;
    return count;
}

static enum mor_status choose(struct sample *s, struct mor_error *err)
{
    struct mor_pq_column_writer *c = s->column;
    int32_t encodings[4];
    size_t count = candidates(c, encodings), best = SIZE_MAX, size;
    for (size_t i = 0; i < count; i++) {
        MOR_TRY(direct_size(s, encodings[i], &size, err));
        // One in fifty is not worth a richer encoding.
        if (best == SIZE_MAX || size + size / 50 < best) {
            best = size;
            c->direct_encoding = encodings[i];
        }
    }
    MOR_TRY(dictionary_size(s, &size, err));
    c->choice = size != SIZE_MAX && size <= best ? MOR_PQ_CHOSE_DICTIONARY : MOR_PQ_CHOSE_DIRECT;
    if (c->choice == MOR_PQ_CHOSE_DIRECT)
        mor_pq_dict_reset(&c->dict);
    return MOR_OK;
}

enum mor_status mor_pq_column_choose(struct mor_pq_column_writer *c, struct mor_error *err)
{
    if (c->values.type == MOR_PQ_BOOLEAN) {
        c->choice = MOR_PQ_CHOSE_DIRECT;
        c->direct_encoding = c->config->page_v2 ? MOR_PQ_RLE : MOR_PQ_PLAIN;
        return MOR_OK;
    }
    struct sample s = {.column = c};
    mor_buffer_init(&s.body, c->config->budget);
    mor_buffer_init(&s.packed, c->config->budget);
    sample_values(c, &s.values);
    enum mor_status status = choose(&s, err);
    mor_buffer_done(&s.body);
    mor_buffer_done(&s.packed);
    return status;
}
