#include "pq_prune.h"

// Chunks below this size are read together with their neighbours; a segment is not larger than
// that.
#define COALESCE_CHUNK_BYTES   ((int64_t)1 << 20)
#define COALESCE_SEGMENT_BYTES ((int64_t)4 << 20)
#define COALESCE_GAP_BYTES     ((int64_t)64 << 10)

struct chunk_range {
    int64_t start, end;
    size_t leaf;
    struct mor_pq_segment *segment;
};

static int by_start(const void *a, const void *b)
{
    int64_t x = ((const struct chunk_range *)a)->start, y = ((const struct chunk_range *)b)->start;
    return (x > y) - (x < y);
}

// Puts neighbouring small chunks into segments.
static void coalesce(struct mor_parquet_reader *r, struct chunk_range *ranges, size_t count)
{
    r->segments = mor_calloc(count + 1, sizeof *r->segments);
    struct mor_pq_segment *open = NULL;
    for (size_t i = 0; i < count; i++) {
        struct chunk_range *range = &ranges[i];
        if (range->end - range->start > COALESCE_CHUNK_BYTES) {
            open = NULL;
            continue;
        }
        if (!open || range->start - open->end > COALESCE_GAP_BYTES ||
            range->end - open->start > COALESCE_SEGMENT_BYTES) {
            open = &r->segments[r->segment_count++];
            open->start = range->start;
            open->end = range->end;
            mor_buffer_init(&open->data, r->budget);
        }
        open->end = range->end > open->end ? range->end : open->end;
        open->users++;
        range->segment = open;
    }
}

enum mor_status mor_pq_reader_fail(size_t group, int32_t column, struct mor_error *err)
{
    if (err->row_group < 0)
        err->row_group = (int32_t)group;
    if (err->column < 0)
        err->column = column;
    return err->status;
}

static enum mor_status check_group(const struct mor_parquet_reader *r, size_t group,
                                   struct mor_error *err)
{
    const struct mor_pq_row_group *g = &r->file.row_groups[group];
    if (g->chunk_count != r->tree.leaf_count) {
        mor_error_set(err, MOR_DATA,
                      "row group %zu has %zu column chunks, the schema has %zu columns", group,
                      g->chunk_count, r->tree.leaf_count);
        return mor_pq_reader_fail(group, -1, err);
    }
    for (size_t i = 0; i < r->leaves.count; i++) {
        const struct mor_pq_node *node = r->leaves.items[i].node;
        const struct mor_pq_chunk *chunk = &g->chunks[node->leaf];
        bool fits =
            node->rep > 0 ? chunk->num_values >= g->num_rows : chunk->num_values == g->num_rows;
        if (fits)
            continue;
        mor_error_set(err, MOR_DATA, "row group %zu has %lld rows, its column %d %lld values",
                      group, (long long)g->num_rows, node->leaf, (long long)chunk->num_values);
        err->file_offset = chunk->data_page_offset;
        return mor_pq_reader_fail(group, node->leaf, err);
    }
    return MOR_OK;
}

enum mor_status mor_pq_reader_open_group(struct mor_parquet_reader *r, size_t group,
                                         struct mor_error *err)
{
    mor_pq_reader_close_group(r);
    MOR_TRY(check_group(r, group, err));
    size_t count = r->leaves.count;
    MOR_AUTO_FREE struct chunk_range *ranges = mor_calloc(count + 1, sizeof *ranges);
    for (size_t i = 0; i < count; i++) {
        const struct mor_pq_chunk *chunk =
            &r->file.row_groups[group].chunks[r->leaves.items[i].node->leaf];
        ranges[i].leaf = i;
        if (mor_pq_chunk_range(chunk, r->data_end, &ranges[i].start, &ranges[i].end, err) != MOR_OK)
            return mor_pq_reader_fail(group, r->leaves.items[i].node->leaf, err);
    }
    qsort(ranges, count, sizeof *ranges, by_start);
    coalesce(r, ranges, count);
    for (size_t i = 0; i < count; i++) {
        struct mor_pq_leaf *leaf = &r->leaves.items[ranges[i].leaf];
        const struct mor_pq_chunk *chunk = &r->file.row_groups[group].chunks[leaf->node->leaf];
        MOR_TRY(mor_pq_leaf_open(leaf, chunk, (int32_t)group, r->data_end, ranges[i].segment, err));
        leaf->verify = !r->skip_checksums;
    }
    r->group = group;
    r->group_open = true;
    r->group_row = 0;
    return MOR_OK;
}

// Offset indexes are only worth their reads when pages will be jumped over.
static enum mor_status load_offset_indexes(struct mor_parquet_reader *r, struct mor_error *err)
{
    const struct mor_pq_row_group *g = &r->file.row_groups[r->group];
    for (size_t i = 0; i < r->leaves.count; i++) {
        struct mor_pq_leaf *leaf = &r->leaves.items[i];
        struct mor_pq_offset_index *index;
        if (mor_pq_read_offset_index(r, leaf->chunk, g->num_rows, &r->group_arena, &index, err) !=
            MOR_OK)
            return mor_pq_reader_fail(r->group, leaf->node->leaf, err);
        leaf->index = index;
    }
    return MOR_OK;
}

enum mor_status mor_pq_reader_open_range(struct mor_parquet_reader *r, struct mor_error *err)
{
    const struct mor_pq_range *range = &r->ranges[r->range];
    int64_t num_rows = r->file.row_groups[r->group].num_rows;
    if (r->range == 0 && (r->range_count > 1 || range->first > 0 || range->end < num_rows))
        MOR_TRY(load_offset_indexes(r, err));
    for (size_t i = 0; i < r->leaves.count; i++)
        MOR_TRY(mor_pq_leaf_seek(&r->leaves.items[i], range->first, err));
    r->group_row = range->first;
    return MOR_OK;
}

void mor_pq_reader_close_group(struct mor_parquet_reader *r)
{
    for (size_t i = 0; i < r->leaves.count; i++) {
        mor_pq_stream_close(&r->leaves.items[i].stream);
        r->leaves.items[i].chunk = NULL;
    }
    for (size_t i = 0; i < r->segment_count; i++)
        mor_buffer_done(&r->segments[i].data);
    free(r->segments);
    r->segments = NULL;
    r->segment_count = 0;
    r->group_open = false;
}
