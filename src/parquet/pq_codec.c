#include "pq_codec.h"

#include <brotli/decode.h>
#include <lz4.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

void mor_pq_codec_done(struct mor_pq_codec_state *state)
{
    ZSTD_freeCCtx(state->zstd_out);
    ZSTD_freeDCtx(state->zstd_in);
    *state = (struct mor_pq_codec_state){0};
}

// ---- compression --------------------------------------------------------------------------------

static enum mor_status compress_zstd(struct mor_pq_codec_state *state, int32_t level,
                                     const void *bytes, size_t size_bytes, struct mor_buffer *out,
                                     struct mor_error *err)
{
    if (!state->zstd_out && !(state->zstd_out = ZSTD_createCCtx()))
        return mor_error_set(err, MOR_RETRY, "could not make a zstd context");
    mor_buffer_reserve(out, ZSTD_compressBound(size_bytes));
    size_t size = ZSTD_compressCCtx(state->zstd_out, out->data + out->size_bytes,
                                    out->capacity_bytes - out->size_bytes, bytes, size_bytes,
                                    level ? level : ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(size))
        return mor_error_set(err, MOR_FATAL, "zstd could not compress a page: %s",
                             ZSTD_getErrorName(size));
    out->size_bytes += size;
    return MOR_OK;
}

static enum mor_status compress_gzip(int32_t level, const void *bytes, size_t size_bytes,
                                     struct mor_buffer *out, struct mor_error *err)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return mor_error_set(err, MOR_FATAL, "gzip could not start (level %d)", level);
    size_t bound = deflateBound(&stream, size_bytes);
    mor_buffer_reserve(out, bound);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)size_bytes;
    stream.next_out = out->data + out->size_bytes;
    stream.avail_out = (uInt)bound;
    int result = deflate(&stream, Z_FINISH);
    out->size_bytes += stream.total_out;
    deflateEnd(&stream);
    if (result != Z_STREAM_END)
        return mor_error_set(err, MOR_FATAL, "gzip could not compress a page");
    return MOR_OK;
}

static enum mor_status compress_snappy(const void *bytes, size_t size_bytes, struct mor_buffer *out,
                                       struct mor_error *err)
{
    size_t size = snappy_max_compressed_length(size_bytes);
    mor_buffer_reserve(out, size);
    if (snappy_compress(bytes, size_bytes, (char *)out->data + out->size_bytes, &size) != SNAPPY_OK)
        return mor_error_set(err, MOR_FATAL, "snappy could not compress a page");
    out->size_bytes += size;
    return MOR_OK;
}

static enum mor_status compress_lz4(const void *bytes, size_t size_bytes, struct mor_buffer *out,
                                    struct mor_error *err)
{
    int bound = LZ4_compressBound((int)size_bytes);
    if (bound <= 0)
        return mor_error_set(err, MOR_FATAL, "page of %zu bytes is too large for lz4", size_bytes);
    mor_buffer_reserve(out, (size_t)bound);
    int size =
        LZ4_compress_default(bytes, (char *)out->data + out->size_bytes, (int)size_bytes, bound);
    if (size <= 0)
        return mor_error_set(err, MOR_FATAL, "lz4 could not compress a page");
    out->size_bytes += (size_t)size;
    return MOR_OK;
}

enum mor_status mor_pq_compress(struct mor_pq_codec_state *state, int32_t codec, int32_t level,
                                const void *bytes, size_t size_bytes, struct mor_buffer *out,
                                struct mor_error *err)
{
    if (size_bytes > INT32_MAX)
        return mor_error_set(err, MOR_DATA, "a page of %zu bytes is larger than Parquet allows",
                             size_bytes);
    switch (codec) {
    case MOR_PQ_CODEC_NONE:
        mor_buffer_append(out, bytes, size_bytes);
        return MOR_OK;
    case MOR_PQ_CODEC_ZSTD:
        return compress_zstd(state, level, bytes, size_bytes, out, err);
    case MOR_PQ_CODEC_GZIP:
        return compress_gzip(level, bytes, size_bytes, out, err);
    case MOR_PQ_CODEC_SNAPPY:
        return compress_snappy(bytes, size_bytes, out, err);
    case MOR_PQ_CODEC_LZ4_RAW:
        return compress_lz4(bytes, size_bytes, out, err);
    default:
        return mor_error_set(err, MOR_FATAL, "codec %s cannot be written",
                             mor_pq_codec_name(codec));
    }
}

// ---- decompression ------------------------------------------------------------------------------

static enum mor_status wrong(const char *codec, struct mor_error *err)
{
    return mor_error_set(err, MOR_DATA, "page is not valid %s or not of the size its header says",
                         codec);
}

static enum mor_status decompress_zstd(struct mor_pq_codec_state *state, const void *bytes,
                                       size_t size_bytes, void *ret_bytes, size_t ret_size_bytes,
                                       struct mor_error *err)
{
    if (!state->zstd_in && !(state->zstd_in = ZSTD_createDCtx()))
        return mor_error_set(err, MOR_RETRY, "could not make a zstd context");
    size_t size = ZSTD_decompressDCtx(state->zstd_in, ret_bytes, ret_size_bytes, bytes, size_bytes);
    return ZSTD_isError(size) || size != ret_size_bytes ? wrong("zstd", err) : MOR_OK;
}

// gzip or zlib wrapping, any number of members one after another.
static enum mor_status decompress_gzip(const void *bytes, size_t size_bytes, void *ret_bytes,
                                       size_t ret_size_bytes, struct mor_error *err)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
                       .avail_in = (uInt)size_bytes,
                       .next_out = ret_bytes,
                       .avail_out = (uInt)ret_size_bytes};
    if (inflateInit2(&stream, 15 + 32) != Z_OK)
        return mor_error_set(err, MOR_RETRY, "gzip could not start");
    int result;
    for (;;) {
        result = inflate(&stream, Z_FINISH);
        if (result != Z_STREAM_END || stream.avail_in == 0)
            break;
        if (inflateReset(&stream) != Z_OK)
            break;
    }
    inflateEnd(&stream);
    return result != Z_STREAM_END || stream.avail_out != 0 ? wrong("gzip", err) : MOR_OK;
}

static uint32_t load_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// Hadoop's framing: any number of [size u32 BE][compressed size u32 BE][block].
static bool decompress_lz4_hadoop(const uint8_t *at, size_t size_bytes, uint8_t *to,
                                  size_t to_bytes)
{
    while (size_bytes >= 8) {
        uint32_t raw = load_be32(at), packed = load_be32(at + 4);
        at += 8;
        size_bytes -= 8;
        if (packed > size_bytes || raw > to_bytes || packed > INT32_MAX || raw > INT32_MAX)
            return false;
        int size = LZ4_decompress_safe((const char *)at, (char *)to, (int)packed, (int)raw);
        if (size < 0 || (uint32_t)size != raw)
            return false;
        at += packed;
        size_bytes -= packed;
        to += raw;
        to_bytes -= raw;
    }
    return size_bytes == 0 && to_bytes == 0;
}

static bool decompress_lz4_raw(const void *bytes, size_t size_bytes, void *to, size_t to_bytes)
{
    int size = LZ4_decompress_safe(bytes, to, (int)size_bytes, (int)to_bytes);
    return size >= 0 && (size_t)size == to_bytes;
}

static bool decompress_lz4_frame(const void *bytes, size_t size_bytes, void *to, size_t to_bytes)
{
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return false;
    size_t made = to_bytes, used = size_bytes;
    size_t hint = LZ4F_decompress(context, to, &made, bytes, &used, NULL);
    LZ4F_freeDecompressionContext(context);
    return hint == 0 && made == to_bytes && used == size_bytes;
}

// The deprecated codec LZ4 is Hadoop framed by parquet-mr, a bare block or a frame by others.
static enum mor_status decompress_lz4(const void *bytes, size_t size_bytes, void *ret_bytes,
                                      size_t ret_size_bytes, struct mor_error *err)
{
    if (decompress_lz4_hadoop(bytes, size_bytes, ret_bytes, ret_size_bytes) ||
        decompress_lz4_raw(bytes, size_bytes, ret_bytes, ret_size_bytes) ||
        decompress_lz4_frame(bytes, size_bytes, ret_bytes, ret_size_bytes))
        return MOR_OK;
    return wrong("lz4", err);
}

static enum mor_status decompress_snappy(const void *bytes, size_t size_bytes, void *ret_bytes,
                                         size_t ret_size_bytes, struct mor_error *err)
{
    size_t size;
    if (snappy_uncompressed_length(bytes, size_bytes, &size) != SNAPPY_OK ||
        size != ret_size_bytes ||
        snappy_uncompress(bytes, size_bytes, ret_bytes, &size) != SNAPPY_OK)
        return wrong("snappy", err);
    return MOR_OK;
}

static enum mor_status decompress_brotli(const void *bytes, size_t size_bytes, void *ret_bytes,
                                         size_t ret_size_bytes, struct mor_error *err)
{
    size_t size = ret_size_bytes;
    if (BrotliDecoderDecompress(size_bytes, bytes, &size, ret_bytes) !=
            BROTLI_DECODER_RESULT_SUCCESS ||
        size != ret_size_bytes)
        return wrong("brotli", err);
    return MOR_OK;
}

uint64_t mor_pq_decompressed_max(int32_t codec, size_t size_bytes)
{
    switch (codec) {
    case MOR_PQ_CODEC_NONE:
        return size_bytes;
    case MOR_PQ_CODEC_SNAPPY: // a copy of 64 bytes takes two
        return (uint64_t)size_bytes * 64 + 64;
    case MOR_PQ_CODEC_LZ4: // a length byte stands for 255 bytes
    case MOR_PQ_CODEC_LZ4_RAW:
        return (uint64_t)size_bytes * 256 + 256;
    case MOR_PQ_CODEC_GZIP: // RFC 1951: 258 bytes take two bits
        return (uint64_t)size_bytes * 1032 + 1032;
    case MOR_PQ_CODEC_ZSTD: // RFC 8878: a block of 128 KiB takes four bytes
        return (uint64_t)size_bytes * 32768 + 131072;
    default: // RFC 7932: a metablock of 16 MiB takes a few bytes
        return (uint64_t)size_bytes << 20;
    }
}

enum mor_status mor_pq_decompress(struct mor_pq_codec_state *state, int32_t codec,
                                  const void *bytes, size_t size_bytes, void *ret_bytes,
                                  size_t ret_size_bytes, struct mor_error *err)
{
    if (size_bytes > INT32_MAX || ret_size_bytes > INT32_MAX)
        return mor_error_set(err, MOR_DATA, "page is larger than Parquet allows");
    switch (codec) {
    case MOR_PQ_CODEC_NONE:
        if (size_bytes != ret_size_bytes)
            return wrong("uncompressed", err);
        memcpy(ret_bytes, bytes, size_bytes);
        return MOR_OK;
    case MOR_PQ_CODEC_ZSTD:
        return decompress_zstd(state, bytes, size_bytes, ret_bytes, ret_size_bytes, err);
    case MOR_PQ_CODEC_GZIP:
        return decompress_gzip(bytes, size_bytes, ret_bytes, ret_size_bytes, err);
    case MOR_PQ_CODEC_SNAPPY:
        return decompress_snappy(bytes, size_bytes, ret_bytes, ret_size_bytes, err);
    case MOR_PQ_CODEC_LZ4_RAW:
        return decompress_lz4_raw(bytes, size_bytes, ret_bytes, ret_size_bytes) ? MOR_OK
                                                                                : wrong("lz4", err);
    case MOR_PQ_CODEC_LZ4:
        return decompress_lz4(bytes, size_bytes, ret_bytes, ret_size_bytes, err);
    case MOR_PQ_CODEC_BROTLI:
        return decompress_brotli(bytes, size_bytes, ret_bytes, ret_size_bytes, err);
    default:
        return mor_error_set(err, MOR_DATA, "codec %s (%d) cannot be read",
                             mor_pq_codec_name(codec), codec);
    }
}
