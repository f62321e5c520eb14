#include "pq_writer.h"
#include "moraine/base/thread.h"

#include <assert.h>
#include <stdio.h>

#define GATHER_BYTES ((size_t)1 << 20)  // pieces below this are gathered before the sink gets them
#define STRIDE_BYTES ((size_t)8 << 20)  // rows taken at a time, in bytes of the batch
#define STRIDE_ROWS  ((size_t)64 << 10) // and in rows

static const uint8_t magic[4] = {'P', 'A', 'R', '1'};

// ---- bytes --------------------------------------------------------------------------------------

enum mor_status mor_pq_writer_drain(struct mor_parquet_writer *w, struct mor_error *err)
{
    if (w->out.size_bytes == 0)
        return MOR_OK;
    enum mor_status status = w->sink.write(w->sink.context, w->out.data, w->out.size_bytes, err);
    mor_buffer_reset(&w->out);
    return status;
}

enum mor_status mor_pq_writer_put(struct mor_parquet_writer *w, const void *bytes,
                                  size_t size_bytes, struct mor_error *err)
{
    if (size_bytes >= GATHER_BYTES) {
        MOR_TRY(mor_pq_writer_drain(w, err));
        MOR_TRY(w->sink.write(w->sink.context, bytes, size_bytes, err));
    } else {
        mor_buffer_append(&w->out, bytes, size_bytes);
        if (w->out.size_bytes >= GATHER_BYTES)
            MOR_TRY(mor_pq_writer_drain(w, err));
    }
    w->position += (int64_t)size_bytes;
    return MOR_OK;
}

static enum mor_status start_file(struct mor_parquet_writer *w, struct mor_error *err)
{
    if (w->started)
        return MOR_OK;
    w->started = true;
    return mor_pq_writer_put(w, magic, sizeof magic, err);
}

// ---- workspaces ---------------------------------------------------------------------------------

static void make_workspaces(struct mor_parquet_writer *w, size_t count)
{
    pthread_mutex_init(&w->mutex, NULL);
    w->work = mor_calloc(count, sizeof *w->work);
    w->work_count = count;
    for (size_t i = 0; i < count; i++) {
        mor_pq_workspace_init(&w->work[i], w->config.budget);
        w->work[i].next = w->free_work;
        w->free_work = &w->work[i];
    }
}

// There is one per thread, so one is always free.
void mor_pq_writer_lend(struct mor_parquet_writer *w, struct mor_pq_column_writer *column)
{
    MOR_LOCKED(&w->mutex);
    assert(w->free_work);
    column->work = w->free_work;
    w->free_work = column->work->next;
}

void mor_pq_writer_take_back(struct mor_parquet_writer *w, struct mor_pq_column_writer *column)
{
    MOR_LOCKED(&w->mutex);
    column->work->next = w->free_work;
    w->free_work = column->work;
    column->work = NULL;
}

// ---- opening ------------------------------------------------------------------------------------

static size_t or_default(size_t value, size_t fallback)
{
    return value ? value : fallback;
}

static int32_t codec_of(enum mor_parquet_codec codec)
{
    switch (codec) {
    case MOR_PARQUET_SNAPPY:
        return MOR_PQ_CODEC_SNAPPY;
    case MOR_PARQUET_GZIP:
        return MOR_PQ_CODEC_GZIP;
    case MOR_PARQUET_LZ4_RAW:
        return MOR_PQ_CODEC_LZ4_RAW;
    case MOR_PARQUET_ZSTD:
        return MOR_PQ_CODEC_ZSTD;
    default:
        return MOR_PQ_CODEC_NONE;
    }
}

static void take_options(struct mor_parquet_writer *w, const struct mor_parquet_writer_options *o)
{
    w->config = (struct mor_pq_writer_config){
        .codec = codec_of(o->codec),
        .codec_level = o->codec_level,
        .page_v2 = o->data_page_version == 2,
        .profile = o->profile,
        .checksums = o->write_checksums,
        .page_index = o->write_page_index,
        .page_bytes_max = or_default(o->page_bytes_max, 1u << 20),
        .page_rows_max = or_default(o->page_rows_max, 1u << 17),
        .dictionary_bytes_max = or_default(o->dictionary_bytes_max, 1u << 20),
        .bound_bytes_max = or_default(o->bound_bytes_max, 64),
        .budget = o->budget,
    };
    if (w->config.page_bytes_max > MOR_PQ_PAGE_WRITE_MAX / 8)
        w->config.page_bytes_max = MOR_PQ_PAGE_WRITE_MAX / 8;
    if (w->config.dictionary_bytes_max > MOR_PQ_PAGE_WRITE_MAX / 8)
        w->config.dictionary_bytes_max = MOR_PQ_PAGE_WRITE_MAX / 8;
    if (w->config.page_rows_max > MOR_PQ_VALUES_MAX / 8)
        w->config.page_rows_max = MOR_PQ_VALUES_MAX / 8;
    w->row_group_rows_max = or_default(o->row_group_rows_max, 1u << 20);
    w->row_group_bytes_max = or_default(o->row_group_bytes_max, 128u << 20);
}

// Column index of a dotted path, -1 when there is none.
static int32_t find_leaf(const struct mor_parquet_writer *w, const char *path)
{
    for (size_t leaf = 0; leaf < w->leaf_count; leaf++) {
        const char *end = path + strlen(path);
        const struct mor_pq_node *n = w->tree.leaves[leaf];
        bool same = true;
        for (; same && n->parent; n = n->parent) {
            size_t size = n->element->name.size_bytes;
            same = (size_t)(end - path) >= size &&
                   memcmp(end - size, n->element->name.data, size) == 0;
            end -= same ? size : 0;
            if (same && n->parent->parent) {
                same = end > path && end[-1] == '.';
                end -= same;
            }
        }
        if (same && end == path)
            return (int32_t)leaf;
    }
    return -1;
}

static enum mor_status take_constant(struct mor_pq_column_writer *c,
                                     const struct mor_parquet_column_options *o,
                                     struct mor_error *err)
{
    if (c->element->type != MOR_PQ_BYTE_ARRAY || c->path->step_count > 1)
        return mor_error_set(err, MOR_FATAL, "column '%s' cannot be a constant: it is no text",
                             o->path);
    mor_pq_column_set_constant(c, o->constant, o->constant_size_bytes);
    return MOR_OK;
}

static enum mor_status take_column_options(struct mor_parquet_writer *w,
                                           const struct mor_parquet_column_options *o,
                                           struct mor_error *err)
{
    static const int32_t encodings[] = {
        [MOR_PARQUET_PLAIN] = MOR_PQ_PLAIN,
        [MOR_PARQUET_DICTIONARY] = MOR_PQ_RLE_DICTIONARY,
        [MOR_PARQUET_DELTA_BINARY_PACKED] = MOR_PQ_DELTA_BINARY_PACKED,
        [MOR_PARQUET_DELTA_LENGTH_BYTE_ARRAY] = MOR_PQ_DELTA_LENGTH_BYTE_ARRAY,
        [MOR_PARQUET_DELTA_BYTE_ARRAY] = MOR_PQ_DELTA_BYTE_ARRAY,
        [MOR_PARQUET_BYTE_STREAM_SPLIT] = MOR_PQ_BYTE_STREAM_SPLIT,
        [MOR_PARQUET_RLE] = MOR_PQ_RLE,
    };
    int32_t leaf = find_leaf(w, o->path);
    if (leaf < 0)
        return mor_error_set(err, MOR_FATAL, "there is no column '%s' to set options of", o->path);
    struct mor_pq_column_writer *c = &w->columns[leaf];
    if (o->encoding != MOR_PARQUET_AUTO) {
        int32_t encoding = encodings[o->encoding];
        if (!mor_pq_encoding_fits(encoding, c->element->type))
            return mor_error_set(err, MOR_FATAL, "column '%s' of type %s cannot be encoded as %s",
                                 o->path, mor_pq_type_name(c->element->type),
                                 mor_pq_encoding_name(encoding));
        bool dictionary = encoding == MOR_PQ_RLE_DICTIONARY;
        c->choice = dictionary ? MOR_PQ_CHOSE_DICTIONARY : MOR_PQ_CHOSE_DIRECT;
        c->direct_encoding = dictionary ? MOR_PQ_PLAIN : encoding;
    }
    if (o->constant)
        MOR_TRY(take_constant(c, o, err));
    c->bloom = o->bloom_filter && c->element->type != MOR_PQ_BOOLEAN;
    c->bloom_fpp = o->bloom_filter_fpp > 0 && o->bloom_filter_fpp < 1 ? o->bloom_filter_fpp : 0.01;
    return MOR_OK;
}

static enum mor_status take_sorting(struct mor_parquet_writer *w,
                                    const struct mor_parquet_writer_options *o,
                                    struct mor_error *err)
{
    w->sorting = mor_arena_calloc(&w->arena, o->sorting_count + 1, sizeof *w->sorting);
    for (size_t i = 0; i < o->sorting_count; i++) {
        int32_t leaf = find_leaf(w, o->sorting[i].path);
        if (leaf < 0)
            return mor_error_set(err, MOR_FATAL, "there is no column '%s' to be sorted by",
                                 o->sorting[i].path);
        w->sorting[w->sorting_count++] =
            (struct mor_pq_sorting){.column = leaf,
                                    .descending = o->sorting[i].descending,
                                    .nulls_first = o->sorting[i].nulls_first};
    }
    return MOR_OK;
}

static enum mor_status open_columns(struct mor_parquet_writer *w,
                                    const struct mor_parquet_writer_options *o,
                                    struct mor_error *err)
{
    MOR_TRY(mor_pq_elements_make(w->schema, o->decimal_as_integer, &w->arena, &w->file.elements,
                                 &w->file.element_count, err));
    MOR_TRY(mor_pq_tree_build(w->file.elements, w->file.element_count, &w->arena, &w->tree, err));
    mor_pq_paths_make(w->schema, &w->arena, &w->paths, &w->leaf_count);
    assert(w->leaf_count == w->tree.leaf_count);
    w->columns = mor_calloc(w->leaf_count + 1, sizeof *w->columns);
    w->rows = mor_arena_calloc(&w->arena, w->schema->root.child_count, sizeof *w->rows);
    for (size_t i = 0; i < w->leaf_count; i++) {
        assert(w->paths[i].def_max == w->tree.leaves[i]->def &&
               w->paths[i].rep_max == w->tree.leaves[i]->rep);
        mor_pq_column_writer_init(&w->columns[i], &w->config, &w->paths[i],
                                  w->tree.leaves[i]->element);
    }
    for (size_t i = 0; i < o->column_count; i++)
        MOR_TRY(take_column_options(w, &o->columns[i], err));
    MOR_TRY(take_sorting(w, o, err));
    if (o->thread_count > 1 && !(w->pool = mor_pq_pool_new(o->thread_count, err)))
        return err->status;
    return MOR_OK;
}

enum mor_status mor_parquet_writer_open(const struct mor_schema *schema,
                                        const struct mor_byte_sink *sink,
                                        const struct mor_parquet_writer_options *options,
                                        struct mor_parquet_writer **ret_writer,
                                        struct mor_error *err)
{
    if (schema->root.child_count == 0)
        return mor_error_set(err, MOR_FATAL, "a Parquet file needs at least one column");
    struct mor_parquet_writer *w = mor_calloc(1, sizeof *w);
    w->sink = *sink;
    w->schema = mor_schema_copy(schema);
    mor_arena_init(&w->arena, 0, options->budget);
    mor_buffer_init(&w->out, options->budget);
    mor_buffer_init(&w->indexes, options->budget);
    take_options(w, options);
    make_workspaces(w, options->thread_count > 1 ? options->thread_count : 1);
    const char *created_by =
        options->created_by ? options->created_by : "moraine version " MORAINE_VERSION;
    created_by = mor_arena_strdup(&w->arena, created_by);
    w->file.created_by = (struct mor_pq_bytes){(const uint8_t *)created_by, strlen(created_by)};
    enum mor_status status = open_columns(w, options, err);
    if (status != MOR_OK) {
        mor_parquet_writer_free(w);
        return status;
    }
    *ret_writer = w;
    return MOR_OK;
}

// Gives back what only rows need: a writer that has finished may live on for what it tells.
static void release_encoders(struct mor_parquet_writer *w)
{
    mor_pq_pool_free(w->pool);
    w->pool = NULL;
    for (size_t i = 0; w->columns && i < w->leaf_count; i++)
        mor_pq_column_writer_done(&w->columns[i]);
    for (size_t i = 0; i < w->work_count; i++)
        mor_pq_workspace_done(&w->work[i]);
    w->work_count = 0;
    mor_buffer_done(&w->out);
    mor_buffer_done(&w->indexes);
}

void mor_parquet_writer_free(struct mor_parquet_writer *w)
{
    if (!w)
        return;
    if (!w->finished)
        release_encoders(w);
    free(w->columns);
    free(w->work);
    pthread_mutex_destroy(&w->mutex);
    mor_buffer_done(&w->row_groups);
    mor_buffer_done(&w->key_values);
    mor_arena_done(&w->arena);
    mor_schema_free(w->schema);
    free(w);
}

void mor_parquet_writer_add_metadata(struct mor_parquet_writer *w, const char *key,
                                     const char *value)
{
    key = mor_arena_strdup(&w->arena, key);
    value = mor_arena_strdup(&w->arena, value);
    struct mor_pq_key_value pair = {.key = {(const uint8_t *)key, strlen(key)},
                                    .value = {(const uint8_t *)value, strlen(value)}};
    mor_buffer_append(&w->key_values, &pair, sizeof pair);
    w->file.key_value_count++;
}

// ---- appending ----------------------------------------------------------------------------------

struct stride {
    struct mor_parquet_writer *writer;
    const struct mor_parquet_column_rows *columns;
    size_t done, count; // rows of `columns` before this stride, rows of this stride
};

static void append_column(void *context, size_t index)
{
    const struct stride *s = context;
    struct mor_pq_column_writer *c = &s->writer->columns[index];
    const struct mor_parquet_column_rows *rows = &s->columns[c->path->top];
    mor_pq_writer_lend(s->writer, c);
    c->status = mor_pq_column_append(c, rows->vector, rows->first + s->done, s->count, &c->error);
    mor_pq_writer_take_back(s->writer, c);
}

static enum mor_status append_stride(struct mor_parquet_writer *w, struct stride *stride,
                                     struct mor_error *err)
{
    mor_pq_pool_run(w->pool, w->leaf_count, append_column, stride);
    size_t bytes = 0;
    for (size_t i = 0; i < w->leaf_count; i++) {
        if (w->columns[i].status != MOR_OK) {
            *err = w->columns[i].error;
            err->column = (int32_t)i;
            err->row_group = (int32_t)w->file.row_group_count;
            return mor_error_wrap(err, "could not encode row group %d", err->row_group);
        }
        bytes += mor_pq_column_bytes(&w->columns[i]);
    }
    w->group_rows += stride->count;
    w->row_count += (int64_t)stride->count;
    if (w->group_rows >= w->row_group_rows_max || bytes >= w->row_group_bytes_max) {
        MOR_TRY(start_file(w, err));
        return mor_pq_writer_flush_row_group(w, err);
    }
    return MOR_OK;
}

// Rows that are taken at a time: as many as have STRIDE_BYTES.
static size_t stride_rows(const struct mor_parquet_writer *w,
                          const struct mor_parquet_column_rows *columns)
{
    size_t row_bytes = 1;
    for (size_t i = 0; i < w->schema->root.child_count; i++) {
        const struct mor_vector *vector = columns[i].vector;
        row_bytes += vector ? mor_vector_bytes(vector) / (vector->length + 1) : 0;
    }
    size_t rows = STRIDE_BYTES / row_bytes + 1;
    return rows < STRIDE_ROWS ? rows : STRIDE_ROWS;
}

enum mor_status mor_parquet_writer_append_columns(struct mor_parquet_writer *w,
                                                  const struct mor_parquet_column_rows *columns,
                                                  size_t count, struct mor_error *err)
{
    assert(!w->finished);
    if (w->broken)
        return mor_error_set(err, MOR_FATAL, "the Parquet writer failed before");
    struct stride stride = {.writer = w, .columns = columns};
    size_t stride_max = stride_rows(w, columns);
    while (stride.done < count) {
        size_t left = count - stride.done, room = w->row_group_rows_max - w->group_rows;
        stride.count = left < stride_max ? left : stride_max;
        stride.count = stride.count < room ? stride.count : room;
        enum mor_status status = append_stride(w, &stride, err);
        if (status != MOR_OK) {
            // Columns may hold different numbers of rows now.
            w->broken = true;
            return status;
        }
        stride.done += stride.count;
    }
    return MOR_OK;
}

enum mor_status mor_parquet_writer_append(struct mor_parquet_writer *w,
                                          const struct mor_batch *batch, size_t first, size_t count,
                                          struct mor_error *err)
{
    assert(first + count <= batch->row_count);
    if (!mor_schema_equal(batch->schema, w->schema))
        return mor_error_set(err, MOR_FATAL,
                             "the batch has another schema than the Parquet writer");
    for (size_t i = 0; i < batch->column_count; i++)
        w->rows[i] = (struct mor_parquet_column_rows){&batch->columns[i], first};
    return mor_parquet_writer_append_columns(w, w->rows, count, err);
}

// ---- finishing ----------------------------------------------------------------------------------

// Reads the serialised footer as a reader would and compares what must agree.
static enum mor_status verify_footer(const struct mor_parquet_writer *w,
                                     const struct mor_buffer *footer, struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_pq_file file;
    struct mor_pq_tree tree;
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status =
        mor_pq_file_parse(footer->data, footer->size_bytes, w->position, &arena, &file, err);
    if (status == MOR_OK)
        status = mor_pq_tree_build(file.elements, file.element_count, &arena, &tree, err);
    bool same = status == MOR_OK && file.num_rows == w->row_count &&
                tree.leaf_count == w->leaf_count &&
                file.row_group_count == w->file.row_group_count &&
                file.key_value_count == w->file.key_value_count;
    for (size_t g = 0; same && g < file.row_group_count; g++) {
        for (size_t i = 0; same && i < w->leaf_count; i++) {
            const struct mor_pq_chunk *wrote = &w->file.row_groups[g].chunks[i],
                                      *read = &file.row_groups[g].chunks[i];
            same = wrote->data_page_offset == read->data_page_offset &&
                   wrote->num_values == read->num_values &&
                   wrote->dictionary_page_offset == read->dictionary_page_offset &&
                   wrote->total_compressed_bytes == read->total_compressed_bytes;
        }
    }
    mor_arena_done(&arena);
    if (status == MOR_OK && !same)
        return mor_error_set(err, MOR_FATAL,
                             "the Parquet footer does not read back as it was written");
    return status;
}

// What the sink stored must be the footer that was given to it.
static enum mor_status verify_stored(struct mor_parquet_writer *w, const struct mor_buffer *footer,
                                     int64_t offset, struct mor_error *err)
{
    if (!w->sink.read)
        return MOR_OK;
    MOR_AUTO_FREE uint8_t *stored = mor_alloc(footer->size_bytes + 1);
    MOR_TRY(w->sink.read(w->sink.context, offset, stored, footer->size_bytes, err));
    if (memcmp(stored, footer->data, footer->size_bytes) != 0)
        return mor_error_set(err, MOR_RETRY,
                             "the stored Parquet footer differs from the one that was written");
    return MOR_OK;
}

static enum mor_status put_footer(struct mor_parquet_writer *w, struct mor_error *err)
{
    w->file.version = w->config.page_v2 ? 2 : 1;
    w->file.num_rows = w->row_count;
    w->file.row_groups = (struct mor_pq_row_group *)(void *)w->row_groups.data;
    w->file.key_values = (struct mor_pq_key_value *)(void *)w->key_values.data;
    w->file.column_order_count = w->leaf_count;
    MOR_AUTO_BUFFER footer = {0};
    mor_pq_file_write(&w->file, &footer);
    if (footer.size_bytes > INT32_MAX)
        return mor_error_set(err, MOR_FATAL, "the Parquet footer would be larger than 2 GiB");
    MOR_TRY(verify_footer(w, &footer, err));
    mor_buffer_append_le32(&footer, (uint32_t)footer.size_bytes);
    mor_buffer_append(&footer, magic, sizeof magic);
    int64_t offset = w->position;
    MOR_TRY(mor_pq_writer_put(w, footer.data, footer.size_bytes, err));
    MOR_TRY(mor_pq_writer_drain(w, err));
    return verify_stored(w, &footer, offset, err);
}

static enum mor_status finish(struct mor_parquet_writer *w, struct mor_error *err)
{
    MOR_TRY(start_file(w, err));
    MOR_TRY(mor_pq_writer_flush_row_group(w, err));
    MOR_TRY(mor_pq_writer_put_indexes(w, err));
    return put_footer(w, err);
}

enum mor_status mor_parquet_writer_finish(struct mor_parquet_writer *w, struct mor_error *err)
{
    assert(!w->finished);
    if (w->broken)
        return mor_error_set(err, MOR_FATAL, "the Parquet writer failed before");
    enum mor_status status = finish(w, err);
    w->finished = status == MOR_OK;
    w->broken = status != MOR_OK;
    if (w->finished)
        release_encoders(w);
    return status;
}

int64_t mor_parquet_writer_row_count(const struct mor_parquet_writer *w)
{
    return w->row_count;
}

int64_t mor_parquet_writer_size_bytes(const struct mor_parquet_writer *w)
{
    return w->position;
}

// ---- what was written ---------------------------------------------------------------------------

void mor_parquet_writer_row_groups(const struct mor_parquet_writer *w, struct mor_arena *arena,
                                   int64_t **ret_offsets, size_t *ret_count)
{
    const struct mor_pq_row_group *groups =
        (const struct mor_pq_row_group *)(void *)w->row_groups.data;
    int64_t *offsets = mor_arena_alloc(arena, (w->file.row_group_count + 1) * sizeof *offsets);
    for (size_t g = 0; g < w->file.row_group_count; g++) {
        const struct mor_pq_chunk *first = &groups[g].chunks[0];
        offsets[g] = first->dictionary_page_offset >= 0 ? first->dictionary_page_offset
                                                        : first->data_page_offset;
    }
    *ret_offsets = offsets;
    *ret_count = w->file.row_group_count;
}

int64_t mor_parquet_writer_column_bytes(const struct mor_parquet_writer *w, int32_t field_id)
{
    const struct mor_pq_row_group *groups =
        (const struct mor_pq_row_group *)(void *)w->row_groups.data;
    for (size_t leaf = 0; leaf < w->leaf_count; leaf++) {
        if (w->columns[leaf].element->field_id != field_id)
            continue;
        int64_t bytes = 0;
        for (size_t g = 0; g < w->file.row_group_count; g++)
            bytes += groups[g].chunks[leaf].total_compressed_bytes;
        return bytes;
    }
    return -1;
}
