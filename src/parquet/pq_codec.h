// Compression of page bodies. One state per thread: it keeps the contexts of the libraries.
#ifndef MOR_PQ_CODEC_H
#define MOR_PQ_CODEC_H

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "pq_meta.h"

struct mor_pq_codec_state {
    void *zstd_out, *zstd_in; // ZSTD_CCtx, ZSTD_DCtx; made when first needed
};

void mor_pq_codec_done(struct mor_pq_codec_state *state);

// Appends the compressed form of `bytes` to `out`. level 0 = the codec's default.
enum mor_status mor_pq_compress(struct mor_pq_codec_state *state, int32_t codec, int32_t level,
                                const void *bytes, size_t size_bytes, struct mor_buffer *out,
                                struct mor_error *err) MOR_CHECKED;

// Decompresses into exactly `ret_size_bytes` bytes. DATA when the input is malformed, gives another
// size, or the codec is not known.
enum mor_status mor_pq_decompress(struct mor_pq_codec_state *state, int32_t codec,
                                  const void *bytes, size_t size_bytes, void *ret_bytes,
                                  size_t ret_size_bytes, struct mor_error *err) MOR_CHECKED;

// The most bytes that `size_bytes` compressed bytes can stand for: a page that claims more is
// malformed and nothing is allocated for it.
uint64_t mor_pq_decompressed_max(int32_t codec, size_t size_bytes);

#endif
