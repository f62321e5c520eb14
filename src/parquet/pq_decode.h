// Values of one page, decoded without nulls (Encodings.md of parquet-format).
//
// Every read checks what is left of the page; false means the page holds fewer values than asked
// for or is malformed. No read allocates more than the caller's counts and the page's size justify.
#ifndef MOR_PQ_DECODE_H
#define MOR_PQ_DECODE_H

#include "pq_delta.h"
#include "pq_meta.h"
#include "pq_rle.h"

enum mor_pq_decoder_kind {
    MOR_PQ_D_NONE, // no values in the page
    MOR_PQ_D_PLAIN,
    MOR_PQ_D_BITS,       // PLAIN booleans
    MOR_PQ_D_RLE,        // RLE booleans
    MOR_PQ_D_DICTIONARY, // indexes
    MOR_PQ_D_DELTA,
    MOR_PQ_D_DELTA_LENGTH,
    MOR_PQ_D_DELTA_BYTES,
    MOR_PQ_D_SPLIT,
};

struct mor_pq_decoder {
    enum mor_pq_decoder_kind kind;
    int32_t type;   // mor_pq_type
    uint32_t width; // bytes of a fixed-width value
    const uint8_t *at, *end;
    size_t left;  // values not yet read
    size_t total; // values of the page (streams of BYTE_STREAM_SPLIT)
    struct mor_pq_rle rle;
    struct mor_pq_delta delta;
    struct mor_buffer lengths; // int32_t: lengths, or prefix lengths then suffix lengths
    struct mor_buffer last;    // previous value of DELTA_BYTE_ARRAY
    size_t index;              // next entry of lengths / streams
};

void mor_pq_decoder_done(struct mor_pq_decoder *decoder);
// Prepares to read `count` values from `bytes`, which must stay. DATA when encoding and type do not
// go together or the head is malformed. A dictionary encoding reads indexes.
enum mor_status mor_pq_decoder_open(struct mor_pq_decoder *decoder, int32_t type,
                                    int32_t type_length, int32_t encoding, const void *bytes,
                                    size_t size_bytes, size_t count,
                                    struct mor_error *err) MOR_CHECKED;
// Fixed-width values (booleans as one byte each) into ret_values[count * width].
bool mor_pq_decoder_read_fixed(struct mor_pq_decoder *decoder, void *ret_values, size_t count);
// BYTE_ARRAY values: bytes are appended to `data`, int32_t end offsets to `offsets`. Stops before
// data->size_bytes would pass bytes_max; *ret_count says how many were read.
bool mor_pq_decoder_read_bytes(struct mor_pq_decoder *decoder, struct mor_buffer *data,
                               struct mor_buffer *offsets, size_t count, size_t bytes_max,
                               size_t *ret_count);
bool mor_pq_decoder_read_indexes(struct mor_pq_decoder *decoder, uint32_t *ret_indexes,
                                 size_t count);
bool mor_pq_decoder_skip(struct mor_pq_decoder *decoder, size_t count);

#endif
