#include "pq_stream.h"

#define AHEAD_BYTES ((size_t)1 << 20)

void mor_pq_stream_init(struct mor_pq_stream *stream, const struct mor_byte_source *source,
                        struct mor_budget *budget)
{
    *stream = (struct mor_pq_stream){.source = source};
    mor_buffer_init(&stream->window, budget);
}

void mor_pq_stream_done(struct mor_pq_stream *stream)
{
    mor_pq_stream_close(stream);
    mor_buffer_done(&stream->window);
}

void mor_pq_stream_open(struct mor_pq_stream *stream, int64_t start, int64_t end,
                        struct mor_pq_segment *segment, size_t ahead_bytes)
{
    mor_pq_stream_close(stream);
    stream->start = start;
    stream->end = end;
    stream->segment = segment;
    stream->window_start = start;
    stream->ahead_bytes = ahead_bytes ? ahead_bytes : AHEAD_BYTES;
    mor_buffer_reset(&stream->window);
}

void mor_pq_stream_close(struct mor_pq_stream *stream)
{
    struct mor_pq_segment *segment = stream->segment;
    stream->segment = NULL;
    if (segment && --segment->users == 0)
        mor_buffer_done(&segment->data);
}

static enum mor_status load_segment(struct mor_pq_stream *stream, struct mor_error *err)
{
    struct mor_pq_segment *segment = stream->segment;
    size_t size = (size_t)(segment->end - segment->start);
    if (segment->data.size_bytes == size)
        return MOR_OK;
    mor_buffer_reserve(&segment->data, size);
    MOR_TRY(stream->source->read(stream->source->context, segment->start, segment->data.data, size,
                                 err));
    segment->data.size_bytes = size;
    return MOR_OK;
}

// Moves the window to begin at `offset`, keeping bytes that it already has.
static enum mor_status move_window(struct mor_pq_stream *stream, int64_t offset, size_t size_bytes,
                                   struct mor_error *err)
{
    struct mor_buffer *window = &stream->window;
    int64_t have_end = stream->window_start + (int64_t)window->size_bytes;
    size_t keep = 0;
    if (offset >= stream->window_start && offset < have_end) {
        keep = (size_t)(have_end - offset);
        memmove(window->data, window->data + (offset - stream->window_start), keep);
    }
    window->size_bytes = keep;
    stream->window_start = offset;
    size_t want = size_bytes > stream->ahead_bytes ? size_bytes : stream->ahead_bytes;
    if (want > (size_t)(stream->end - offset))
        want = (size_t)(stream->end - offset);
    mor_buffer_reserve(window, want - keep);
    MOR_TRY(stream->source->read(stream->source->context, offset + (int64_t)keep,
                                 window->data + keep, want - keep, err));
    window->size_bytes = want;
    return MOR_OK;
}

enum mor_status mor_pq_stream_view(struct mor_pq_stream *stream, int64_t offset, size_t size_bytes,
                                   const uint8_t **ret_bytes, struct mor_error *err)
{
    if (offset < stream->start || offset > stream->end ||
        size_bytes > (size_t)(stream->end - offset)) {
        mor_error_set(err, MOR_DATA, "page reaches beyond the end of its column chunk");
        err->file_offset = offset;
        return MOR_DATA;
    }
    if (stream->segment) {
        MOR_TRY(load_segment(stream, err));
        *ret_bytes = stream->segment->data.data + (offset - stream->segment->start);
        return MOR_OK;
    }
    if (offset < stream->window_start ||
        offset + (int64_t)size_bytes > stream->window_start + (int64_t)stream->window.size_bytes)
        MOR_TRY(move_window(stream, offset, size_bytes, err));
    *ret_bytes = stream->window.data + (offset - stream->window_start);
    return MOR_OK;
}
