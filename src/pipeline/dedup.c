#include "dedup.h"

// The body of an attachment: ids of 24 bytes, little-endian: low half of the hash, high half, event
// time (ms, the end of its bucket).
#define ID_BYTES 24
#define LOAD_IDS 4096

const struct mor_attachment_kind mor_dedup_attachments = {
    .name = "ids",
    .magic = {'M', 'O', 'R', 'I', 'D', 'S', '0', '1'},
    .damaged = "the event ids of a commit, without which duplicates of them cannot be told. "
               "Remove it to go on without them"};

// ---- ids ----------------------------------------------------------------------------------------

// Appends the value so that different rows of values never look alike.
static void append_value(struct mor_buffer *bytes, const struct mor_vector *column, size_t row)
{
    bool null = mor_vector_is_null(column, row);
    mor_buffer_append_u8(bytes, null ? 0 : 1);
    if (null)
        return;
    switch (column->field->type) {
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_BYTES: {
        size_t size;
        const uint8_t *value = mor_vector_bytes_at(column, row, &size);
        mor_buffer_append_le32(bytes, (uint32_t)size);
        mor_buffer_append(bytes, value, size);
        return;
    }
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64: {
        // an id keeps its hash when its column is widened
        int64_t value = mor_type_width(column->field) == 8 ? mor_vector_i64(column, row)
                                                           : mor_vector_i32(column, row);
        mor_buffer_append(bytes, &value, sizeof value);
        return;
    }
    default: {
        size_t before = bytes->size_bytes;
        mor_buffer_append_le32(bytes, 0);
        mor_vector_format_text(column, row, bytes);
        uint32_t size = (uint32_t)(bytes->size_bytes - before - sizeof size);
        memcpy(bytes->data + before, &size, sizeof size);
    }
    }
}

void mor_dedup_hash(const struct mor_batch *rows, const int32_t *columns, size_t column_count,
                    uint64_t salt, size_t first, size_t count, uint8_t *verdicts,
                    struct mor_hash128 *ret_ids)
{
    MOR_AUTO_BUFFER bytes = {0};
    for (size_t i = 0; i < count; i++) {
        if (verdicts[i] != MOR_DEDUP_ASK)
            continue;
        mor_buffer_reset(&bytes);
        bool known = false;
        for (size_t c = 0; c < column_count; c++) {
            const struct mor_vector *column = &rows->columns[columns[c]];
            known = known || !mor_vector_is_null(column, first + i);
            append_value(&bytes, column, first + i);
        }
        if (known)
            ret_ids[i] = mor_hash128_seed(bytes.data, bytes.size_bytes, salt);
        else
            verdicts[i] = MOR_DEDUP_SKIP;
    }
}

// ---- attachments --------------------------------------------------------------------------------

void mor_dedup_attachment(const struct mor_state *state, const struct mor_state_batch *batch,
                          struct mor_buffer *ret_bytes)
{
    mor_attachment_begin(ret_bytes);
    int64_t latest_ms = mor_state_batch_ids(state, batch, ret_bytes);
    if (ret_bytes->size_bytes > ATTACHMENT_HEAD_BYTES)
        mor_attachment_seal(&mor_dedup_attachments, latest_ms, ret_bytes);
    else
        mor_buffer_reset(ret_bytes);
}

enum mor_status mor_dedup_load(struct mor_state *state, const struct mor_buffer *bytes,
                               struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_hash128 *ids = mor_alloc(LOAD_IDS * sizeof *ids);
    MOR_AUTO_FREE int64_t *times = mor_alloc(LOAD_IDS * sizeof *times);
    size_t at = ATTACHMENT_HEAD_BYTES;
    while (at + ID_BYTES <= bytes->size_bytes) {
        size_t count = 0;
        for (; count < LOAD_IDS && at + ID_BYTES <= bytes->size_bytes; count++, at += ID_BYTES) {
            memcpy(&ids[count], bytes->data + at, sizeof ids[count]);
            memcpy(&times[count], bytes->data + at + sizeof ids[count], sizeof times[count]);
        }
        MOR_TRY(mor_state_load_ids(state, ids, times, count, err));
    }
    return MOR_OK;
}
