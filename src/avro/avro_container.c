// Object container files (Avro 1.11 specification, "Object Container Files"):
//
//   "Obj" 01 | metadata: map of bytes (avro.schema, avro.codec, ...) | 16 bytes sync
//   block*: long datum count | long size in bytes | data, through the codec | 16 bytes sync
//
// Codecs: null; deflate (raw, RFC 1951); snappy (block format, then 4 bytes big-endian CRC-32 of
// the plain data); zstandard.
#include <limits.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "avro_read.h"
#include "moraine/base/hash.h"
#include "moraine/base/uuid.h"

#define SYNC_SIZE         16
#define BLOCK_SIZE_MAX    (1u << 30) // plain bytes of a block
#define DEFLATE_RATIO_MAX 1100       // RFC 1951 cannot do better than 1032:1

static const uint8_t magic[4] = {'O', 'b', 'j', 1};

static const char *const codec_names[] = {
    [MOR_AVRO_CODEC_NULL] = "null",
    [MOR_AVRO_CODEC_DEFLATE] = "deflate",
    [MOR_AVRO_CODEC_SNAPPY] = "snappy",
    [MOR_AVRO_CODEC_ZSTANDARD] = "zstandard",
};

// ---- codecs -------------------------------------------------------------------------------------

static enum mor_status deflate_block(const struct mor_buffer *plain, struct mor_buffer *ret,
                                     struct mor_error *err)
{
    z_stream z = {0};
    // 15 bits of window, negative = without the zlib header
    if (plain->size_bytes > UINT_MAX / 2 ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return mor_error_set(err, MOR_FATAL, "deflate does not start");
    size_t bound = deflateBound(&z, plain->size_bytes);
    mor_buffer_reserve(ret, bound);
    z.next_in = plain->data;
    z.avail_in = (uInt)plain->size_bytes;
    z.next_out = ret->data;
    z.avail_out = (uInt)bound;
    int result = deflate(&z, Z_FINISH);
    ret->size_bytes = z.total_out;
    deflateEnd(&z);
    return result == Z_STREAM_END ? MOR_OK : mor_error_set(err, MOR_FATAL, "deflate does not end");
}

static enum mor_status snappy_block(const struct mor_buffer *plain, struct mor_buffer *ret,
                                    struct mor_error *err)
{
    size_t size = snappy_max_compressed_length(plain->size_bytes);
    mor_buffer_reserve(ret, size + 4);
    if (snappy_compress((const char *)plain->data, plain->size_bytes, (char *)ret->data, &size) !=
        SNAPPY_OK)
        return mor_error_set(err, MOR_FATAL, "snappy does not compress");
    ret->size_bytes = size;
    mor_buffer_append_be32(ret, mor_crc32(0, plain->data, plain->size_bytes));
    return MOR_OK;
}

static enum mor_status zstandard_block(const struct mor_buffer *plain, struct mor_buffer *ret,
                                       struct mor_error *err)
{
    size_t bound = ZSTD_compressBound(plain->size_bytes);
    mor_buffer_reserve(ret, bound);
    size_t size = ZSTD_compress(ret->data, bound, plain->data, plain->size_bytes, 3);
    if (ZSTD_isError(size))
        return mor_error_set(err, MOR_FATAL, "zstd: %s", ZSTD_getErrorName(size));
    ret->size_bytes = size;
    return MOR_OK;
}

static enum mor_status inflate_block(const uint8_t *data, size_t size_bytes, struct mor_buffer *ret,
                                     struct mor_error *err)
{
    z_stream z = {0};
    if (size_bytes > UINT_MAX / 2 || inflateInit2(&z, -15) != Z_OK)
        return mor_error_set(err, MOR_DATA, "deflate: the block cannot be read");
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)size_bytes;
    size_t limit = size_bytes > BLOCK_SIZE_MAX / DEFLATE_RATIO_MAX
                       ? BLOCK_SIZE_MAX
                       : size_bytes * DEFLATE_RATIO_MAX + 64;
    int result = Z_OK;
    while (result == Z_OK && ret->size_bytes < limit) {
        mor_buffer_reserve(ret, size_bytes * 4 + 1024);
        size_t room = ret->capacity_bytes - ret->size_bytes;
        z.next_out = ret->data + ret->size_bytes;
        z.avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        uInt offered = z.avail_out;
        result = inflate(&z, Z_NO_FLUSH);
        ret->size_bytes += offered - z.avail_out;
    }
    inflateEnd(&z);
    // bytes behind the stream are let pass: fastavro leaves part of zlib's checksum there
    if (result != Z_STREAM_END)
        return mor_error_set(err, MOR_DATA, "deflate: the block is damaged or too long");
    return MOR_OK;
}

static enum mor_status unsnappy_block(const uint8_t *data, size_t size_bytes,
                                      struct mor_buffer *ret, struct mor_error *err)
{
    size_t plain_size = 0;
    if (size_bytes < 4 ||
        snappy_uncompressed_length((const char *)data, size_bytes - 4, &plain_size) != SNAPPY_OK ||
        plain_size > BLOCK_SIZE_MAX ||
        plain_size / 64 > size_bytes) // a copy yields 64 bytes at most
        return mor_error_set(err, MOR_DATA, "snappy: the block is damaged or too long");
    mor_buffer_reserve(ret, plain_size + 1);
    if (snappy_uncompress((const char *)data, size_bytes - 4, (char *)ret->data, &plain_size) !=
        SNAPPY_OK)
        return mor_error_set(err, MOR_DATA, "snappy: the block is damaged");
    ret->size_bytes = plain_size;
    const uint8_t *crc = data + size_bytes - 4;
    uint32_t expected =
        (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
    if (mor_crc32(0, ret->data, plain_size) != expected)
        return mor_error_set(err, MOR_DATA, "snappy: the checksum of the block does not match");
    return MOR_OK;
}

static enum mor_status unzstandard_block(const uint8_t *data, size_t size_bytes,
                                         struct mor_buffer *ret, struct mor_error *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream)
        return mor_error_set(err, MOR_RETRY, "zstd: no memory");
    ZSTD_inBuffer in = {.src = data, .size = size_bytes};
    size_t hint = 1;
    bool stalled = false;
    while (hint != 0 && !stalled && !ZSTD_isError(hint) && ret->size_bytes <= BLOCK_SIZE_MAX) {
        mor_buffer_reserve(ret, ZSTD_DStreamOutSize());
        ZSTD_outBuffer out = {.dst = ret->data + ret->size_bytes,
                              .size = ret->capacity_bytes - ret->size_bytes};
        size_t in_before = in.pos;
        hint = ZSTD_decompressStream(stream, &out, &in);
        ret->size_bytes += out.pos;
        stalled = out.pos == 0 && in.pos == in_before;
    }
    ZSTD_freeDStream(stream);
    if (hint != 0 || in.pos != in.size || ret->size_bytes > BLOCK_SIZE_MAX)
        return mor_error_set(err, MOR_DATA, "zstd: the block is damaged or too long");
    return MOR_OK;
}

// ---- writing ------------------------------------------------------------------------------------

static void put_metadata(struct mor_buffer *file, const char *key, const void *value,
                         size_t size_bytes)
{
    mor_avro_put_bytes(file, key, strlen(key));
    mor_avro_put_bytes(file, value, size_bytes);
}

static enum mor_status encode_block(enum mor_avro_codec codec, const struct mor_buffer *plain,
                                    struct mor_buffer *ret, struct mor_error *err)
{
    switch (codec) {
    case MOR_AVRO_CODEC_NULL:
        mor_buffer_append(ret, plain->data, plain->size_bytes);
        return MOR_OK;
    case MOR_AVRO_CODEC_DEFLATE:
        return deflate_block(plain, ret, err);
    case MOR_AVRO_CODEC_SNAPPY:
        return snappy_block(plain, ret, err);
    case MOR_AVRO_CODEC_ZSTANDARD:
        return zstandard_block(plain, ret, err);
    }
    return mor_error_set(err, MOR_FATAL, "unknown Avro codec");
}

enum mor_status mor_avro_container_encode(const struct mor_avro_container_options *options,
                                          const struct mor_buffer *data, int64_t datum_count,
                                          struct mor_buffer *ret_file, struct mor_error *err)
{
    MOR_AUTO_BUFFER block = {0};
    if (datum_count > 0)
        MOR_TRY(encode_block(options->codec, data, &block, err));
    struct mor_uuid sync = mor_uuid_v4();
    bool names_codec = options->codec != MOR_AVRO_CODEC_NULL; // absent means null
    mor_buffer_append(ret_file, magic, sizeof magic);
    mor_avro_put_long(ret_file, (int64_t)options->metadata_count + (names_codec ? 2 : 1));
    put_metadata(ret_file, "avro.schema", options->schema_json, strlen(options->schema_json));
    if (names_codec)
        put_metadata(ret_file, "avro.codec", codec_names[options->codec],
                     strlen(codec_names[options->codec]));
    for (size_t i = 0; i < options->metadata_count; i++)
        put_metadata(ret_file, options->metadata[i].key, options->metadata[i].value,
                     options->metadata[i].value_size_bytes);
    mor_buffer_append_u8(ret_file, 0);
    mor_buffer_append(ret_file, sync.bytes, SYNC_SIZE);
    if (datum_count > 0) {
        mor_avro_put_long(ret_file, datum_count);
        mor_avro_put_bytes(ret_file, block.data, block.size_bytes);
        mor_buffer_append(ret_file, sync.bytes, SYNC_SIZE);
    }
    return MOR_OK;
}

void mor_avro_container_write(const char *schema_json, const struct mor_buffer *data,
                              int64_t datum_count, struct mor_buffer *ret_file)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_container_options options = {.schema_json = schema_json};
    // without a codec there is nothing that can fail
    if (mor_avro_container_encode(&options, data, datum_count, ret_file, &err) != MOR_OK)
        abort();
}

// ---- reading ------------------------------------------------------------------------------------

struct reader {
    struct mor_avro_input in;
    const uint8_t *start;
    const uint8_t *schema;
    size_t schema_size_bytes;
    enum mor_avro_codec codec;
    const uint8_t *sync;
    mor_avro_datum_fn *visit;
    void *context;
    struct mor_error *err;
};

static enum mor_status damaged(struct reader *r, const char *wrong)
{
    mor_error_set(r->err, MOR_DATA, "Avro file, byte %zu: %s", (size_t)(r->in.at - r->start),
                  wrong);
    r->err->file_offset = r->in.at - r->start;
    return MOR_DATA;
}

static bool bytes_are(const uint8_t *bytes, size_t size_bytes, const char *text)
{
    return size_bytes == strlen(text) && memcmp(bytes, text, size_bytes) == 0;
}

static enum mor_status set_codec(struct reader *r, const uint8_t *name, size_t size_bytes)
{
    for (size_t i = 0; i < sizeof codec_names / sizeof codec_names[0]; i++) {
        if (bytes_are(name, size_bytes, codec_names[i])) {
            r->codec = (enum mor_avro_codec)i;
            return MOR_OK;
        }
    }
    return mor_error_set(r->err, MOR_DATA, "Avro file: codec '%.*s' is not known",
                         size_bytes > 40 ? 40 : (int)size_bytes, (const char *)name);
}

// Calls `entry` for each metadata pair; reads up to and including the sync marker.
static enum mor_status
read_header(struct reader *r,
            enum mor_status (*entry)(struct reader *r, void *context, const uint8_t *key,
                                     size_t key_size, const uint8_t *value, size_t value_size),
            void *context)
{
    const char *wrong;
    const uint8_t *bytes;
    if (mor_avro_left(&r->in) < sizeof magic || memcmp(r->in.at, magic, sizeof magic) != 0)
        return damaged(r, "not an Avro object container file");
    r->in.at += sizeof magic;
    size_t empty_left = 0, count = 0;
    do {
        if ((wrong = mor_avro_get_block(&r->in, 2, &empty_left, &count)))
            return damaged(r, wrong);
        for (size_t i = 0; i < count; i++) {
            const uint8_t *key = NULL, *value = NULL;
            size_t key_size = 0, value_size = 0;
            if ((wrong = mor_avro_get_bytes(&r->in, &key, &key_size)) ||
                (wrong = mor_avro_get_bytes(&r->in, &value, &value_size)))
                return damaged(r, wrong);
            MOR_TRY(entry(r, context, key, key_size, value, value_size));
        }
    } while (count > 0);
    if ((wrong = mor_avro_get_fixed(&r->in, SYNC_SIZE, &bytes)))
        return damaged(r, wrong);
    r->sync = bytes;
    return MOR_OK;
}

static enum mor_status note_schema_and_codec(struct reader *r, void *context, const uint8_t *key,
                                             size_t key_size, const uint8_t *value,
                                             size_t value_size)
{
    (void)context;
    if (bytes_are(key, key_size, "avro.schema")) {
        r->schema = value;
        r->schema_size_bytes = value_size;
    }
    return bytes_are(key, key_size, "avro.codec") ? set_codec(r, value, value_size) : MOR_OK;
}

static enum mor_status decode_block(struct reader *r, const uint8_t *data, size_t size_bytes,
                                    struct mor_buffer *plain)
{
    switch (r->codec) {
    case MOR_AVRO_CODEC_NULL:
        break;
    case MOR_AVRO_CODEC_DEFLATE:
        return inflate_block(data, size_bytes, plain, r->err);
    case MOR_AVRO_CODEC_SNAPPY:
        return unsnappy_block(data, size_bytes, plain, r->err);
    case MOR_AVRO_CODEC_ZSTANDARD:
        return unzstandard_block(data, size_bytes, plain, r->err);
    }
    return MOR_OK;
}

static enum mor_status visit_datums(struct reader *r, const struct mor_avro_schema *schema,
                                    const uint8_t *data, size_t size_bytes, int64_t count)
{
    struct mor_avro_input in = {.at = data, .end = data + size_bytes};
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *datum = in.at;
        const char *wrong = mor_avro_skip(schema->root, &in, 0);
        if (wrong)
            return damaged(r, wrong);
        if (in.at == datum && count > MOR_AVRO_EMPTY_ELEMENTS_MAX)
            return damaged(r, "a block has too many datums without size");
        MOR_TRY(r->visit(r->context, schema, datum, (size_t)(in.at - datum), r->err));
    }
    return in.at == in.end ? MOR_OK : damaged(r, "bytes are left after the datums of a block");
}

static enum mor_status read_block(struct reader *r, const struct mor_avro_schema *schema,
                                  struct mor_buffer *plain)
{
    int64_t count = 0;
    const uint8_t *data = NULL, *sync = NULL;
    size_t size_bytes = 0;
    const char *wrong;
    if ((wrong = mor_avro_get_long(&r->in, &count)) ||
        (wrong = mor_avro_get_bytes(&r->in, &data, &size_bytes)) ||
        (wrong = mor_avro_get_fixed(&r->in, SYNC_SIZE, &sync)))
        return damaged(r, wrong);
    if (count < 0)
        return damaged(r, "a datum count is negative");
    if (memcmp(sync, r->sync, SYNC_SIZE) != 0)
        return damaged(r, "a block does not end with the sync marker");
    mor_buffer_reset(plain);
    if (r->codec != MOR_AVRO_CODEC_NULL) {
        if (decode_block(r, data, size_bytes, plain) != MOR_OK)
            return mor_error_wrap(r->err, "Avro file, byte %zu", (size_t)(data - r->start));
        data = plain->data;
        size_bytes = plain->size_bytes;
    }
    return visit_datums(r, schema, data, size_bytes, count);
}

enum mor_status mor_avro_container_read(const uint8_t *file, size_t size_bytes,
                                        mor_avro_datum_fn *visit, void *context,
                                        struct mor_error *err)
{
    struct reader r = {
        .in = {.at = file, .end = file + size_bytes},
        .start = file,
        .visit = visit,
        .context = context,
        .err = err,
    };
    MOR_TRY(read_header(&r, note_schema_and_codec, NULL));
    if (!r.schema)
        return mor_error_set(err, MOR_DATA, "Avro file: no avro.schema in its metadata");
    struct mor_avro_schema *schema = NULL;
    if (mor_avro_schema_parse((const char *)r.schema, r.schema_size_bytes, &schema, err) != MOR_OK)
        return mor_error_wrap(err, "Avro file");
    MOR_AUTO_BUFFER plain = {0};
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && r.in.at < r.in.end)
        status = read_block(&r, schema, &plain);
    mor_avro_schema_free(schema);
    return status;
}

// ---- metadata -----------------------------------------------------------------------------------

struct lookup {
    const char *key;
    const uint8_t *value;
    size_t value_size_bytes;
};

static enum mor_status note_wanted(struct reader *r, void *context, const uint8_t *key,
                                   size_t key_size, const uint8_t *value, size_t value_size)
{
    (void)r;
    struct lookup *lookup = context;
    if (bytes_are(key, key_size, lookup->key)) {
        lookup->value = value;
        lookup->value_size_bytes = value_size;
    }
    return MOR_OK;
}

enum mor_status mor_avro_container_metadata(const uint8_t *file, size_t size_bytes, const char *key,
                                            const uint8_t **ret_value, size_t *ret_size_bytes,
                                            struct mor_error *err)
{
    struct reader r = {.in = {.at = file, .end = file + size_bytes}, .start = file, .err = err};
    struct lookup lookup = {.key = key};
    MOR_TRY(read_header(&r, note_wanted, &lookup));
    if (!lookup.value)
        return mor_error_set(err, MOR_NOT_FOUND, "Avro file: no %s in its metadata", key);
    *ret_value = lookup.value;
    *ret_size_bytes = lookup.value_size_bytes;
    return MOR_OK;
}
