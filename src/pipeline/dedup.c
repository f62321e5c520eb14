#include "dedup.h"

#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/storage.h"

// An attachment: this head, then `count` ids of 24 bytes, all little-endian:
//   0 magic "MORIDS01" | 8 count | 16 latest event time (ms) | 24 hash of the ids' bytes (low half)
//   id: low half of the hash, high half, event time (ms, the end of its bucket)
#define HEAD_BYTES           32
#define ID_BYTES             24
#define LOAD_IDS             4096
#define ATTACHMENT_BYTES_MAX ((size_t)4 << 30)
#define TIDY_INTERVAL_MS     300000
static const char magic[8] = {'M', 'O', 'R', 'I', 'D', 'S', '0', '1'};

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

// ---- the state ----------------------------------------------------------------------------------

enum mor_status mor_dedup_open(const struct mor_dedup_options *options, struct mor_table *table,
                               struct mor_dedup **ret_dedup, struct mor_state_outcome *ret_outcome,
                               struct mor_error *err)
{
    MOR_AUTO_FREE char *folder = mor_asprintf("%s/state/%s", options->state_dir, options->topic);
    MOR_AUTO_BUFFER by = {0};
    for (size_t i = 0; i < options->by_count; i++)
        mor_buffer_printf(&by, "%s%s", i > 0 ? "," : "", options->by[i]);
    const struct mor_state_options wanted = {.folder = folder,
                                             .table = options->location,
                                             .dedup_by = mor_buffer_terminate(&by),
                                             .dedup_window_ms = options->window_ms,
                                             .salt = options->salt,
                                             .budget = options->budget,
                                             .share_bytes = options->share_bytes};
    struct mor_state *state;
    MOR_TRY(mor_state_open(&wanted, &state, ret_outcome, err));
    struct mor_dedup *dedup = mor_calloc(1, sizeof *dedup);
    *dedup = (struct mor_dedup){
        .state = state, .table = table, .salt = options->salt, .window_ms = options->window_ms};
    *ret_dedup = dedup;
    return MOR_OK;
}

void mor_dedup_free(struct mor_dedup *dedup)
{
    if (dedup == NULL)
        return;
    mor_state_free(dedup->state);
    free(dedup);
}

static struct mor_state_mark mark_at(const char *version, const struct mor_ledger *ledger,
                                     const char *property)
{
    struct mor_state_mark mark = {.version = version,
                                  .offsets = property,
                                  .offsets_size_bytes = strlen(property),
                                  .watermark_ms = ledger->watermark_ms};
    (void)mor_uuid_parse(ledger->batch_id, strlen(ledger->batch_id), &mark.batch_id);
    return mark;
}

bool mor_dedup_is_at(const struct mor_dedup *dedup, const struct mor_ledger *ledger)
{
    const struct mor_state_mark *mark = mor_state_mark_of(dedup->state);
    if (mark == NULL)
        return false;
    char batch[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&mark->batch_id, batch);
    return strcmp(batch, ledger->batch_id) == 0;
}

// ---- attachments --------------------------------------------------------------------------------

void mor_dedup_attachment(const struct mor_dedup *dedup, const struct mor_state_batch *batch,
                          struct mor_buffer *ret_bytes)
{
    mor_buffer_reset(ret_bytes);
    mor_buffer_append(ret_bytes, (const uint8_t[HEAD_BYTES]){0}, HEAD_BYTES);
    int64_t latest_ms = mor_state_batch_ids(dedup->state, batch, ret_bytes);
    uint64_t count = (ret_bytes->size_bytes - HEAD_BYTES) / ID_BYTES;
    if (count == 0) {
        mor_buffer_reset(ret_bytes);
        return;
    }
    uint64_t sum =
        mor_hash128(ret_bytes->data + HEAD_BYTES, ret_bytes->size_bytes - HEAD_BYTES).low;
    memcpy(ret_bytes->data, magic, sizeof magic);
    memcpy(ret_bytes->data + 8, &count, sizeof count);
    memcpy(ret_bytes->data + 16, &latest_ms, sizeof latest_ms);
    memcpy(ret_bytes->data + 24, &sum, sizeof sum);
}

static enum mor_status check_attachment(const char *key, const struct mor_buffer *bytes,
                                        struct mor_error *err)
{
    uint64_t count, sum;
    bool right = bytes->size_bytes >= HEAD_BYTES && memcmp(bytes->data, magic, sizeof magic) == 0;
    if (right) {
        memcpy(&count, bytes->data + 8, sizeof count);
        memcpy(&sum, bytes->data + 24, sizeof sum);
        right = count == (bytes->size_bytes - HEAD_BYTES) / ID_BYTES &&
                (bytes->size_bytes - HEAD_BYTES) % ID_BYTES == 0 &&
                sum == mor_hash128(bytes->data + HEAD_BYTES, bytes->size_bytes - HEAD_BYTES).low;
    }
    if (right)
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL,
                         "'%s' is damaged: it holds the event ids of a commit, without which "
                         "duplicates of them cannot be told. Remove it to go on without them",
                         key);
}

static enum mor_status load_attachment(struct mor_dedup *dedup, const char *key,
                                       struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    MOR_TRY(mor_store_get(mor_table_store(dedup->table), key, ATTACHMENT_BYTES_MAX, &bytes, err));
    MOR_TRY(check_attachment(key, &bytes, err));
    MOR_AUTO_FREE struct mor_hash128 *ids = mor_alloc(LOAD_IDS * sizeof *ids);
    MOR_AUTO_FREE int64_t *times = mor_alloc(LOAD_IDS * sizeof *times);
    size_t at = HEAD_BYTES;
    while (at < bytes.size_bytes) {
        size_t count = 0;
        for (; count < LOAD_IDS && at < bytes.size_bytes; count++, at += ID_BYTES) {
            memcpy(&ids[count], bytes.data + at, sizeof ids[count]);
            memcpy(&times[count], bytes.data + at + sizeof ids[count], sizeof times[count]);
        }
        MOR_TRY(mor_state_load_ids(dedup->state, ids, times, count, err));
    }
    return MOR_OK;
}

static enum mor_status load_all(struct mor_dedup *dedup, const struct mor_attachment *attachments,
                                size_t count, const struct mor_ledger *ledger, const char *property,
                                struct mor_error *err)
{
    MOR_TRY(mor_state_load_begin(dedup->state, ledger->watermark_ms, err));
    for (size_t i = 0; i < count; i++) {
        enum mor_status status = load_attachment(dedup, attachments[i].key, err);
        if (status == MOR_NOT_FOUND) { // dropped meanwhile: its ids are out of the window
            *err = MOR_ERROR_INIT;
            status = MOR_OK;
        }
        MOR_TRY(status);
    }
    const struct mor_state_mark *before = mor_state_mark_of(dedup->state);
    MOR_AUTO_FREE char *version = mor_strdup(count > 0        ? attachments[count - 1].version
                                             : before != NULL ? before->version
                                                              : "");
    struct mor_state_mark mark = mark_at(version, ledger, property);
    return mor_state_load_finish(dedup->state, &mark, err);
}

enum mor_status mor_dedup_catch_up(struct mor_dedup *dedup, const struct mor_ledger *ledger,
                                   const char *property, struct mor_error *err)
{
    if (mor_dedup_is_at(dedup, ledger))
        return MOR_OK;
    const struct mor_state_mark *mark = mor_state_mark_of(dedup->state);
    const char *after = mark != NULL && *mark->version != '\0' ? mark->version : NULL;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *attachments;
    size_t count;
    enum mor_status status = mor_table_attachments(dedup->table, DEDUP_ATTACHMENT, after, &arena,
                                                   &attachments, &count, err);
    if (status == MOR_OK)
        status = load_all(dedup, attachments, count, ledger, property, err);
    mor_arena_done(&arena);
    return status;
}

enum mor_status mor_dedup_reset(struct mor_dedup *dedup, struct mor_error *err)
{
    MOR_TRY(mor_state_reset(dedup->state, err));
    atomic_store(&dedup->damaged, false);
    return MOR_OK;
}

enum mor_status mor_dedup_apply(struct mor_dedup *dedup, struct mor_state_batch *batch,
                                const char *version, const struct mor_ledger *ledger,
                                const char *property, bool continues, struct mor_error *err)
{
    const struct mor_state_mark *before = mor_state_mark_of(dedup->state);
    struct mor_state_mark mark =
        continues || before == NULL ? mark_at(version, ledger, property) : *before;
    return mor_state_batch_apply(dedup->state, batch, &mark, err);
}

// ---- tidying ------------------------------------------------------------------------------------

static enum mor_status read_latest(struct mor_dedup *dedup, const char *key, int64_t *ret_latest_ms,
                                   struct mor_error *err)
{
    struct mor_reader *reader;
    uint8_t head[HEAD_BYTES];
    MOR_TRY(mor_store_open_object(mor_table_store(dedup->table), key, &reader, err));
    enum mor_status status = mor_reader_read(reader, 0, head, sizeof head, err);
    mor_reader_free(reader);
    MOR_TRY(status);
    memcpy(ret_latest_ms, head + 16, sizeof *ret_latest_ms);
    return MOR_OK;
}

// Oldest first: the first one that is still needed ends the search.
static enum mor_status drop_past(struct mor_dedup *dedup, const struct mor_attachment *attachments,
                                 size_t count, int64_t horizon_ms, struct mor_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int64_t latest_ms;
        enum mor_status status = read_latest(dedup, attachments[i].key, &latest_ms, err);
        if (status == MOR_NOT_FOUND) { // another instance was faster
            *err = MOR_ERROR_INIT;
            continue;
        }
        MOR_TRY(status);
        if (latest_ms >= horizon_ms)
            return MOR_OK;
        MOR_TRY(mor_table_attachment_drop(dedup->table, &attachments[i], err));
    }
    return MOR_OK;
}

enum mor_status mor_dedup_tidy(struct mor_dedup *dedup, int64_t watermark_ms, struct mor_error *err)
{
    int64_t now_ms = mor_clock_mono_ms();
    // one more window than needed: an instance may be a while behind
    if (now_ms < dedup->tidy_at_ms || watermark_ms < INT64_MIN + 2 * dedup->window_ms)
        return MOR_OK;
    dedup->tidy_at_ms = now_ms + TIDY_INTERVAL_MS;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *attachments;
    size_t count;
    enum mor_status status = mor_table_attachments(dedup->table, DEDUP_ATTACHMENT, NULL, &arena,
                                                   &attachments, &count, err);
    if (status == MOR_OK)
        status = drop_past(dedup, attachments, count, watermark_ms - 2 * dedup->window_ms, err);
    mor_arena_done(&arena);
    return status;
}
