// Bytes of a file by range: reads are coalesced over the column chunks of a row group and run ahead
// of what is asked for.
#ifndef MOR_PQ_STREAM_H
#define MOR_PQ_STREAM_H

#include "moraine/parquet.h"

// Bytes [start, end) of the file, read front to back. A chunk that was coalesced with its
// neighbours lies in a shared segment; others have a window of their own.
struct mor_pq_segment {
    int64_t start, end;
    struct mor_buffer data; // empty until first needed
    size_t users;           // streams that still read from it
};

struct mor_pq_stream {
    const struct mor_byte_source *source; // borrowed
    struct mor_pq_segment *segment;       // borrowed, NULL = own window
    int64_t start, end;
    int64_t window_start;
    struct mor_buffer window;
    size_t ahead_bytes; // how much is read at a time
};

void mor_pq_stream_init(struct mor_pq_stream *stream, const struct mor_byte_source *source,
                        struct mor_budget *budget);
void mor_pq_stream_done(struct mor_pq_stream *stream);
// Turns to another range; the memory of the window is kept. ahead_bytes 0 = the default.
void mor_pq_stream_open(struct mor_pq_stream *stream, int64_t start, int64_t end,
                        struct mor_pq_segment *segment, size_t ahead_bytes);
void mor_pq_stream_close(struct mor_pq_stream *stream);
// Makes bytes [offset, offset + size) readable at *ret_bytes until the next call. DATA when they
// lie outside the range.
enum mor_status mor_pq_stream_view(struct mor_pq_stream *stream, int64_t offset, size_t size_bytes,
                                   const uint8_t **ret_bytes, struct mor_error *err) MOR_CHECKED;

#endif
