#include <string.h>

#include "hudi/hudi_log.h"
#include "moraine/avro.h"

#define BLOCK_MAGIC     "#HUDI#"
#define MAGIC_BYTES     6
#define BLOCK_VERSION   1
#define CONTENT_VERSION 3

static void patch_be32(struct mor_buffer *bytes, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        bytes->data[at + i] = (uint8_t)(value >> (24 - 8 * i));
}

static void patch_be64(struct mor_buffer *bytes, size_t at, uint64_t value)
{
    patch_be32(bytes, at, (uint32_t)(value >> 32));
    patch_be32(bytes, at + 4, (uint32_t)value);
}

static void append_header(struct mor_buffer *bytes, enum hudi_header key, const char *value)
{
    mor_buffer_append_be32(bytes, (uint32_t)key);
    mor_buffer_append_be32(bytes, (uint32_t)strlen(value));
    mor_buffer_append_text(bytes, value);
}

void hudi_block_begin(struct hudi_block_writer *writer, struct mor_buffer *bytes,
                      enum hudi_block_type type, const char *instant, const char *schema_json)
{
    writer->bytes = bytes;
    writer->start = bytes->size_bytes;
    mor_buffer_append(bytes, BLOCK_MAGIC, MAGIC_BYTES);
    mor_buffer_append_be64(bytes, 0);
    mor_buffer_append_be32(bytes, BLOCK_VERSION);
    mor_buffer_append_be32(bytes, (uint32_t)type);
    mor_buffer_append_be32(bytes, 2);
    append_header(bytes, HUDI_HEADER_INSTANT, instant);
    append_header(bytes, HUDI_HEADER_SCHEMA, schema_json);
    writer->content_length_at = bytes->size_bytes;
    mor_buffer_append_be64(bytes, 0);
    writer->content_at = bytes->size_bytes;
}

void hudi_block_end(struct hudi_block_writer *writer)
{
    struct mor_buffer *bytes = writer->bytes;
    patch_be64(bytes, writer->content_length_at, bytes->size_bytes - writer->content_at);
    mor_buffer_append_be32(bytes, 0);
    uint64_t length = bytes->size_bytes + 8 - writer->start - MAGIC_BYTES - 8;
    mor_buffer_append_be64(bytes, length + MAGIC_BYTES);
    patch_be64(bytes, writer->start + MAGIC_BYTES, length);
}

size_t hudi_records_begin(struct mor_buffer *bytes)
{
    mor_buffer_append_be32(bytes, CONTENT_VERSION);
    mor_buffer_append_be32(bytes, 0);
    return bytes->size_bytes - 4;
}

void hudi_records_end(struct mor_buffer *bytes, size_t mark, uint32_t record_count)
{
    patch_be32(bytes, mark, record_count);
}

size_t hudi_record_begin(struct mor_buffer *bytes)
{
    mor_buffer_append_be32(bytes, 0);
    return bytes->size_bytes - 4;
}

void hudi_record_end(struct mor_buffer *bytes, size_t mark)
{
    patch_be32(bytes, mark, (uint32_t)(bytes->size_bytes - mark - 4));
}

size_t hudi_deletes_begin(struct mor_buffer *bytes, size_t key_count)
{
    mor_buffer_append_be32(bytes, CONTENT_VERSION);
    mor_buffer_append_be32(bytes, 0);
    size_t mark = bytes->size_bytes - 4;
    if (key_count > 0)
        mor_avro_put_long(bytes, (int64_t)key_count);
    return mark;
}

void hudi_delete_add(struct mor_buffer *bytes, const void *key, size_t key_size_bytes,
                     const char *partition)
{
    mor_avro_put_long(bytes, 1);
    mor_avro_put_bytes(bytes, key, key_size_bytes);
    mor_avro_put_long(bytes, 1);
    mor_avro_put_bytes(bytes, partition, strlen(partition));
    mor_avro_put_long(bytes, 2); // IntWrapper
    mor_avro_put_long(bytes, 0);
}

void hudi_deletes_end(struct mor_buffer *bytes, size_t mark)
{
    mor_avro_put_long(bytes, 0);
    patch_be32(bytes, mark, (uint32_t)(bytes->size_bytes - mark - 4));
}
