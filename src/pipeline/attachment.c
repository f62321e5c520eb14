#include "attachment.h"

#include <string.h>

#include "moraine/storage.h"

// The head, all little-endian:
//   0 magic | 8 size of the body | 16 note | 24 hash of the body (low half)
#define BYTES_MAX ((size_t)4 << 30)

void mor_attachment_begin(struct mor_buffer *bytes)
{
    mor_buffer_reset(bytes);
    mor_buffer_append(bytes, (const uint8_t[ATTACHMENT_HEAD_BYTES]){0}, ATTACHMENT_HEAD_BYTES);
}

void mor_attachment_seal(const struct mor_attachment_kind *kind, int64_t note,
                         struct mor_buffer *bytes)
{
    uint64_t size = bytes->size_bytes - ATTACHMENT_HEAD_BYTES;
    uint64_t sum = mor_hash128(bytes->data + ATTACHMENT_HEAD_BYTES, (size_t)size).low;
    memcpy(bytes->data, kind->magic, sizeof kind->magic);
    memcpy(bytes->data + 8, &size, sizeof size);
    memcpy(bytes->data + 16, &note, sizeof note);
    memcpy(bytes->data + 24, &sum, sizeof sum);
}

static bool is_whole(const struct mor_attachment_kind *kind, const struct mor_buffer *bytes)
{
    uint64_t size, sum;
    if (bytes->size_bytes < ATTACHMENT_HEAD_BYTES ||
        memcmp(bytes->data, kind->magic, sizeof kind->magic) != 0)
        return false;
    memcpy(&size, bytes->data + 8, sizeof size);
    memcpy(&sum, bytes->data + 24, sizeof sum);
    return size == bytes->size_bytes - ATTACHMENT_HEAD_BYTES &&
           sum == mor_hash128(bytes->data + ATTACHMENT_HEAD_BYTES, (size_t)size).low;
}

enum mor_status mor_attachment_read(struct mor_table *table, const struct mor_attachment_kind *kind,
                                    const char *key, struct mor_buffer *ret_bytes,
                                    struct mor_error *err)
{
    mor_buffer_reset(ret_bytes);
    MOR_TRY(mor_store_get(mor_table_store(table), key, BYTES_MAX, ret_bytes, err));
    if (is_whole(kind, ret_bytes))
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL, "'%s' is damaged: it holds %s", key, kind->damaged);
}

static enum mor_status read_note(struct mor_table *table, const char *key, int64_t *ret_note,
                                 struct mor_error *err)
{
    struct mor_reader *reader;
    uint8_t head[ATTACHMENT_HEAD_BYTES];
    MOR_TRY(mor_store_open_object(mor_table_store(table), key, &reader, err));
    enum mor_status status = mor_reader_read(reader, 0, head, sizeof head, err);
    mor_reader_free(reader);
    MOR_TRY(status);
    memcpy(ret_note, head + 16, sizeof *ret_note);
    return MOR_OK;
}

static enum mor_status drop_past(struct mor_table *table, const struct mor_attachment *attachments,
                                 size_t count, int64_t least, struct mor_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int64_t note;
        enum mor_status status = read_note(table, attachments[i].key, &note, err);
        if (status == MOR_NOT_FOUND) { // another instance was faster
            *err = MOR_ERROR_INIT;
            continue;
        }
        MOR_TRY(status);
        if (note >= least)
            return MOR_OK;
        MOR_TRY(mor_table_attachment_drop(table, &attachments[i], err));
    }
    return MOR_OK;
}

enum mor_status mor_attachments_drop(struct mor_table *table,
                                     const struct mor_attachment_kind *kind, int64_t least,
                                     struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *attachments;
    size_t count;
    enum mor_status status =
        mor_table_attachments(table, kind->name, NULL, &arena, &attachments, &count, err);
    if (status == MOR_OK)
        status = drop_past(table, attachments, count, least, err);
    mor_arena_done(&arena);
    return status;
}
