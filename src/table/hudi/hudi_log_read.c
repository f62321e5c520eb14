#include <string.h>

#include "hudi/hudi_log.h"

#define MAGIC_BYTES  6
#define BLOCKS_MAX   (1u << 20)
#define PREFIX_BYTES 65536 // holds the header of nearly every block in one read

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint64_t be64(const uint8_t *bytes)
{
    return (uint64_t)be32(bytes) << 32 | be32(bytes + 4);
}

struct indexing {
    const struct mor_byte_source *source;
    const char *name;
    struct mor_arena *arena;
    struct mor_buffer prefix;
};

static enum mor_status read_source(const struct indexing *indexing, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    return indexing->source->read(indexing->source->context, offset, ret_bytes, size_bytes, err);
}

static enum mor_status broken(const struct indexing *indexing, int64_t offset, const char *what,
                              struct mor_error *err)
{
    mor_error_set(err, MOR_DATA, "log file '%s': %s in the block at %lld", indexing->name, what,
                  (long long)offset);
    err->file_offset = offset;
    return MOR_DATA;
}

// Parses the header map in prefix[at..]; MOR_RETRY when the prefix is too short for it.
static enum mor_status parse_header(struct indexing *indexing, int64_t offset, size_t *at,
                                    struct hudi_block *block, struct mor_error *err)
{
    const struct mor_buffer *prefix = &indexing->prefix;
    if (prefix->size_bytes - *at < 4)
        return MOR_RETRY;
    uint32_t count = be32(prefix->data + *at);
    *at += 4;
    if (count > 64)
        return broken(indexing, offset, "too many header entries", err);
    for (uint32_t i = 0; i < count; i++) {
        if (prefix->size_bytes - *at < 8)
            return MOR_RETRY;
        uint32_t key = be32(prefix->data + *at), length = be32(prefix->data + *at + 4);
        *at += 8;
        if (length > HUDI_BLOCK_HEADER_MAX)
            return broken(indexing, offset, "oversized header", err);
        if (prefix->size_bytes - *at < length)
            return MOR_RETRY;
        if (key < HUDI_HEADER_COUNT)
            block->header[key] =
                mor_arena_strndup(indexing->arena, (const char *)prefix->data + *at, length);
        *at += length;
    }
    return MOR_OK;
}

static enum mor_status read_prefix(struct indexing *indexing, int64_t offset, size_t size_bytes,
                                   struct mor_error *err)
{
    mor_buffer_reset(&indexing->prefix);
    mor_buffer_reserve(&indexing->prefix, size_bytes);
    MOR_TRY(read_source(indexing, offset, indexing->prefix.data, size_bytes, err));
    indexing->prefix.size_bytes = size_bytes;
    return MOR_OK;
}

// Reads the block at *offset and moves on.
static enum mor_status index_block(struct indexing *indexing, int64_t *offset,
                                   struct hudi_block *ret_block, struct mor_error *err)
{
    int64_t start = *offset, left = indexing->source->size_bytes - start;
    size_t want = PREFIX_BYTES;
    if (left < 42)
        return broken(indexing, start, "a cut", err);
    for (;;) {
        size_t take = (int64_t)want < left ? want : (size_t)left;
        MOR_TRY(read_prefix(indexing, start, take, err));
        const uint8_t *bytes = indexing->prefix.data;
        if (memcmp(bytes, "#HUDI#", MAGIC_BYTES) != 0)
            return broken(indexing, start, "no magic", err);
        uint64_t length = be64(bytes + MAGIC_BYTES);
        if (length < 28 || length > (uint64_t)(left - MAGIC_BYTES - 8))
            return broken(indexing, start, "a wrong length", err);
        if (be32(bytes + 14) != 1)
            return broken(indexing, start, "an unknown format version", err);
        struct hudi_block block = {.type = (enum hudi_block_type)be32(bytes + 18)};
        size_t at = 22;
        enum mor_status status = parse_header(indexing, start, &at, &block, err);
        if (status == MOR_OK && indexing->prefix.size_bytes - at < 8)
            status = MOR_RETRY;
        if (status == MOR_RETRY) {
            if ((int64_t)take == left || want >= HUDI_BLOCK_HEADER_MAX)
                return broken(indexing, start, "an endless header", err);
            want *= 8;
            continue;
        }
        if (status != MOR_OK)
            return status;
        uint64_t content = be64(bytes + at);
        uint64_t end = MAGIC_BYTES + 8 + length; // of the block, from its start
        if (content > HUDI_BLOCK_CONTENT_MAX || at + 8 + content + 4 + 8 > end)
            return broken(indexing, start, "a wrong content length", err);
        block.content_offset = start + (int64_t)at + 8;
        block.content_size_bytes = (int64_t)content;
        uint8_t trailer[8];
        MOR_TRY(read_source(indexing, start + (int64_t)end - 8, trailer, 8, err));
        if (be64(trailer) != length + MAGIC_BYTES)
            return broken(indexing, start, "a wrong trailer", err);
        if (block.type > HUDI_BLOCK_CDC)
            return broken(indexing, start, "an unknown type", err);
        const char *instant = block.header[HUDI_HEADER_INSTANT];
        if (!instant || !hudi_time_is_valid(instant, strlen(instant)))
            return broken(indexing, start, "no instant time", err);
        *ret_block = block;
        *offset = start + (int64_t)end;
        return MOR_OK;
    }
}

enum mor_status hudi_log_index(const struct mor_byte_source *source, const char *name,
                               struct mor_arena *arena, struct hudi_block **ret_blocks,
                               size_t *ret_count, struct mor_error *err)
{
    struct indexing indexing = {.source = source, .name = name, .arena = arena};
    struct hudi_block *blocks = NULL;
    size_t count = 0, capacity = 0;
    enum mor_status status = MOR_OK;
    for (int64_t offset = 0; offset < source->size_bytes;) {
        struct hudi_block block;
        status = count < BLOCKS_MAX ? index_block(&indexing, &offset, &block, err)
                                    : broken(&indexing, offset, "one block too many", err);
        if (status != MOR_OK)
            break;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            struct hudi_block *grown = mor_arena_alloc(arena, capacity * sizeof *grown);
            if (count > 0)
                memcpy(grown, blocks, count * sizeof *grown);
            blocks = grown;
        }
        blocks[count++] = block;
    }
    mor_buffer_done(&indexing.prefix);
    if (status != MOR_OK)
        return status;
    *ret_blocks = blocks;
    *ret_count = count;
    return MOR_OK;
}

// ---- delete blocks ------------------------------------------------------------------------------

struct datum {
    const uint8_t *next, *end;
};

static bool read_long(struct datum *in, int64_t *ret_value)
{
    uint64_t raw = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (in->next == in->end)
            return false;
        uint8_t byte = *in->next++;
        if (shift == 63 && byte > 1)
            return false;
        raw |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *ret_value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
            return true;
        }
    }
    return false;
}

static bool read_bytes(struct datum *in, const uint8_t **ret_bytes, size_t *ret_size_bytes)
{
    int64_t length;
    if (!read_long(in, &length) || length < 0 || length > in->end - in->next)
        return false;
    *ret_bytes = in->next;
    *ret_size_bytes = (size_t)length;
    in->next += length;
    return true;
}

// A nullable string: true also for null, which gives no bytes.
static bool read_optional(struct datum *in, const uint8_t **ret_bytes, size_t *ret_size_bytes)
{
    int64_t branch;
    *ret_bytes = NULL;
    *ret_size_bytes = 0;
    if (!read_long(in, &branch) || branch < 0 || branch > 1)
        return false;
    return branch == 0 || read_bytes(in, ret_bytes, ret_size_bytes);
}

static bool read_real(struct datum *in, size_t size_bytes, double *ret_value)
{
    if ((size_t)(in->end - in->next) < size_bytes)
        return false;
    if (size_bytes == 4) {
        float value;
        memcpy(&value, in->next, sizeof value);
        *ret_value = (double)value;
    } else {
        memcpy(ret_value, in->next, sizeof *ret_value);
    }
    in->next += size_bytes;
    return true;
}

// Branches of orderingVal: null, then wrappers of one value each: boolean, int, long, float,
// double, bytes, string, date, decimal, time-micros, timestamp-micros.
static bool read_ordering(struct datum *in, struct hudi_delete *entry)
{
    int64_t branch;
    if (!read_long(in, &branch))
        return false;
    switch (branch) {
    case 0:
        return true;
    case 1:
        entry->ordering = HUDI_ORDERING_OTHER;
        return in->next < in->end && *in->next++ <= 1;
    case 2:
        // the class Integer with value 0 says "no ordering value"; a long 0 is a value
        if (!read_long(in, &entry->number))
            return false;
        entry->ordering = entry->number == 0 ? HUDI_ORDERING_NONE : HUDI_ORDERING_NUMBER;
        return true;
    case 3:
    case 8:
    case 10:
    case 11:
        entry->ordering = HUDI_ORDERING_NUMBER;
        return read_long(in, &entry->number);
    case 4:
    case 5:
        entry->ordering = HUDI_ORDERING_REAL;
        return read_real(in, branch == 4 ? 4 : 8, &entry->real);
    case 6:
    case 7:
    case 9:
        entry->ordering = branch == 9 ? HUDI_ORDERING_OTHER : HUDI_ORDERING_BYTES;
        return read_bytes(in, &entry->bytes, &entry->bytes_size_bytes);
    default:
        return false;
    }
}

static bool read_delete(struct datum *in, struct hudi_delete *entry)
{
    const uint8_t *partition;
    size_t partition_size_bytes;
    return read_optional(in, &entry->key, &entry->key_size_bytes) &&
           read_optional(in, &partition, &partition_size_bytes) && read_ordering(in, entry);
}

enum mor_status hudi_deletes_read(const uint8_t *content, size_t size_bytes,
                                  enum mor_status (*visit)(void *context,
                                                           const struct hudi_delete *entry,
                                                           struct mor_error *err),
                                  void *context, struct mor_error *err)
{
    if (size_bytes < 8)
        return mor_error_set(err, MOR_DATA, "delete block is cut");
    if (be32(content) != 3)
        return mor_error_set(err, MOR_DATA,
                             "delete block has content version %u; only version 3 can be read",
                             be32(content));
    uint32_t length = be32(content + 4);
    if (length > size_bytes - 8)
        return mor_error_set(err, MOR_DATA, "delete block is cut");
    struct datum in = {.next = content + 8, .end = content + 8 + length};
    for (;;) {
        int64_t count, block_size;
        if (!read_long(&in, &count))
            break;
        if (count == 0)
            return MOR_OK;
        if (count < 0) {
            if (count == INT64_MIN || !read_long(&in, &block_size))
                break;
            count = -count;
        }
        // every entry takes three bytes at least, so a count that lies ends with the bytes
        for (; count > 0; count--) {
            struct hudi_delete entry = {0};
            if (!read_delete(&in, &entry))
                return mor_error_set(err, MOR_DATA, "delete block cannot be decoded");
            if (entry.key)
                MOR_TRY(visit(context, &entry, err));
        }
    }
    return mor_error_set(err, MOR_DATA, "delete block cannot be decoded");
}
