#include "iceberg/iceberg_puffin.h"

#include <inttypes.h>
#include <jansson.h>

#include "moraine/base/hash.h"

#define ENVELOPE_BYTES   8 // length and checksum
#define MAGIC_BYTES      4
#define FOOTER_BYTES_MIN 16 // two magics, size, flags
#define BLOBS_MAX        (1u << 20)
#define FIELD_POSITION   2147483645 // _pos: what a vector speaks of

static const uint8_t VECTOR_MAGIC[MAGIC_BYTES] = {0xD1, 0xD3, 0x39, 0x64};
static const char PUFFIN_MAGIC[MAGIC_BYTES] = {'P', 'F', 'A', '1'};

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

// ---- one vector ---------------------------------------------------------------------------------

void iceberg_vector_write(const struct mor_position_set *positions, struct mor_buffer *ret_bytes)
{
    size_t start = ret_bytes->size_bytes;
    mor_buffer_append_be32(ret_bytes, 0);
    mor_buffer_append(ret_bytes, VECTOR_MAGIC, MAGIC_BYTES);
    mor_position_set_write(positions, ret_bytes);
    uint32_t length = (uint32_t)(ret_bytes->size_bytes - start - 4);
    const uint8_t big_endian[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                   (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(ret_bytes->data + start, big_endian, sizeof big_endian);
    mor_buffer_append_be32(ret_bytes, mor_crc32(0, ret_bytes->data + start + 4, length));
}

// The vector without what is around it.
static enum mor_status open_envelope(const uint8_t **bytes, size_t *size_bytes,
                                     struct mor_error *err)
{
    const uint8_t *blob = *bytes;
    size_t size = *size_bytes;
    if (size >= MAGIC_BYTES && memcmp(blob, VECTOR_MAGIC, MAGIC_BYTES) == 0) {
        *bytes += MAGIC_BYTES;
        *size_bytes -= MAGIC_BYTES;
        return MOR_OK;
    }
    if (size < ENVELOPE_BYTES + MAGIC_BYTES)
        return mor_error_set(err, MOR_DATA, "a deletion vector of %zu bytes", size);
    if (be32(blob) != size - ENVELOPE_BYTES)
        return mor_error_set(err, MOR_DATA, "a deletion vector of %zu bytes states %u", size,
                             be32(blob));
    if (memcmp(blob + 4, VECTOR_MAGIC, MAGIC_BYTES) != 0)
        return mor_error_set(err, MOR_DATA, "what should be a deletion vector begins otherwise");
    if (mor_crc32(0, blob + 4, size - ENVELOPE_BYTES) != be32(blob + size - 4))
        return mor_error_set(err, MOR_DATA, "a deletion vector does not match its checksum");
    *bytes += ENVELOPE_BYTES;
    *size_bytes -= ENVELOPE_BYTES + MAGIC_BYTES;
    return MOR_OK;
}

enum mor_status iceberg_vector_read(const uint8_t *bytes, size_t size_bytes,
                                    struct mor_budget *budget,
                                    struct mor_position_set **ret_positions, struct mor_error *err)
{
    MOR_TRY(open_envelope(&bytes, &size_bytes, err));
    enum mor_status status = mor_position_set_read(bytes, size_bytes, budget, ret_positions, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "a deletion vector is damaged");
}

// ---- a file being built -------------------------------------------------------------------------

void iceberg_puffin_init(struct iceberg_puffin *puffin, struct mor_budget *budget)
{
    mor_buffer_init(&puffin->bytes, budget);
    mor_buffer_init(&puffin->blobs, budget);
    mor_buffer_append(&puffin->bytes, PUFFIN_MAGIC, MAGIC_BYTES);
}

void iceberg_puffin_done(struct iceberg_puffin *puffin)
{
    mor_buffer_done(&puffin->bytes);
    mor_buffer_done(&puffin->blobs);
}

// As a JSON string with its quotes.
static void append_json_text(struct mor_buffer *json, const char *text)
{
    json_t *value = json_string(text); // NULL: not UTF-8, which no URI of a table is
    char *dumped = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    mor_buffer_append_text(json, dumped != NULL ? dumped : "\"\"");
    free(dumped);
    json_decref(value);
}

void iceberg_puffin_add(struct iceberg_puffin *puffin, const char *data_file_uri,
                        const struct mor_position_set *positions, struct iceberg_blob *ret_blob)
{
    size_t start = puffin->bytes.size_bytes;
    iceberg_vector_write(positions, &puffin->bytes);
    *ret_blob = (struct iceberg_blob){.offset = (int64_t)start,
                                      .size_bytes = (int64_t)(puffin->bytes.size_bytes - start),
                                      .row_count = (int64_t)mor_position_set_count(positions)};
    if (puffin->blobs.size_bytes > 0)
        mor_buffer_append_u8(&puffin->blobs, ',');
    mor_buffer_printf(&puffin->blobs,
                      "{\"type\":\"" ICEBERG_DELETION_VECTOR "\",\"fields\":[%d],"
                      "\"snapshot-id\":-1,\"sequence-number\":-1,\"offset\":%" PRId64
                      ",\"length\":%" PRId64 ",\"properties\":{\"referenced-data-file\":",
                      FIELD_POSITION, ret_blob->offset, ret_blob->size_bytes);
    append_json_text(&puffin->blobs, data_file_uri);
    mor_buffer_printf(&puffin->blobs, ",\"cardinality\":\"%" PRId64 "\"}}", ret_blob->row_count);
}

void iceberg_puffin_finish(struct iceberg_puffin *puffin)
{
    struct mor_buffer *bytes = &puffin->bytes;
    mor_buffer_append(bytes, PUFFIN_MAGIC, MAGIC_BYTES);
    size_t start = bytes->size_bytes;
    mor_buffer_append_text(bytes, "{\"blobs\":[");
    mor_buffer_append(bytes, puffin->blobs.data, puffin->blobs.size_bytes);
    mor_buffer_append_text(bytes, "],\"properties\":{\"created-by\":\"moraine\"}}");
    mor_buffer_append_le32(bytes, (uint32_t)(bytes->size_bytes - start));
    mor_buffer_append_le32(bytes, 0); // flags: the footer is not compressed
    mor_buffer_append(bytes, PUFFIN_MAGIC, MAGIC_BYTES);
}

// ---- reading ------------------------------------------------------------------------------------

static enum mor_status read_blob(struct mor_reader *object, const struct iceberg_blob *blob,
                                 struct mor_budget *budget, struct mor_position_set **ret_positions,
                                 struct mor_error *err)
{
    if (blob->offset < 0 || blob->size_bytes < 0 || blob->size_bytes > ICEBERG_VECTOR_BYTES_MAX ||
        blob->offset > mor_reader_size_bytes(object) - blob->size_bytes)
        return mor_error_set(err, MOR_DATA,
                             "a deletion vector at %" PRId64 " of %" PRId64
                             " bytes is not inside the file of %" PRId64 " bytes",
                             blob->offset, blob->size_bytes, mor_reader_size_bytes(object));
    MOR_AUTO_BUFFER bytes = {.budget = budget};
    mor_buffer_reserve(&bytes, (size_t)blob->size_bytes + 1);
    MOR_TRY(mor_reader_read(object, blob->offset, bytes.data, (size_t)blob->size_bytes, err));
    struct mor_position_set *positions;
    MOR_TRY(iceberg_vector_read(bytes.data, (size_t)blob->size_bytes, budget, &positions, err));
    int64_t count = (int64_t)mor_position_set_count(positions);
    if (blob->row_count >= 0 && blob->row_count != count) {
        mor_position_set_free(positions);
        return mor_error_set(err, MOR_DATA,
                             "a deletion vector has %" PRId64 " rows, the table states %" PRId64,
                             count, blob->row_count);
    }
    *ret_positions = positions;
    return MOR_OK;
}

enum mor_status iceberg_puffin_read_vector(struct mor_store *store, const char *key,
                                           const struct iceberg_blob *blob,
                                           struct mor_budget *budget,
                                           struct mor_position_set **ret_positions,
                                           struct mor_error *err)
{
    struct mor_reader *object;
    MOR_TRY(mor_store_open_object(store, key, &object, err));
    enum mor_status status = read_blob(object, blob, budget, ret_positions, err);
    mor_reader_free(object);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not read '%s'", key);
}

// ---- the footer ---------------------------------------------------------------------------------

// The JSON of the footer, borrowed from `bytes`.
static enum mor_status find_footer(const uint8_t *bytes, size_t size, const char **ret_json,
                                   size_t *ret_size, struct mor_error *err)
{
    if (size < MAGIC_BYTES + FOOTER_BYTES_MIN || memcmp(bytes, PUFFIN_MAGIC, MAGIC_BYTES) != 0 ||
        memcmp(bytes + size - MAGIC_BYTES, PUFFIN_MAGIC, MAGIC_BYTES) != 0)
        return mor_error_set(err, MOR_DATA, "not a Puffin file");
    if ((bytes[size - 8] & 1) != 0)
        return mor_error_set(err, MOR_DATA,
                             "the footer of the Puffin file is compressed, which is not supported");
    size_t json_size = le32(bytes + size - 12);
    if (json_size > size - MAGIC_BYTES - FOOTER_BYTES_MIN ||
        memcmp(bytes + size - 12 - json_size - MAGIC_BYTES, PUFFIN_MAGIC, MAGIC_BYTES) != 0)
        return mor_error_set(err, MOR_DATA, "the Puffin file has no footer of %zu bytes",
                             json_size);
    *ret_json = (const char *)bytes + size - 12 - json_size;
    *ret_size = json_size;
    return MOR_OK;
}

static const char *text_of(struct mor_arena *arena, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? mor_arena_strdup(arena, text) : NULL;
}

static enum mor_status read_footer_blob(const json_t *json, int64_t blobs_end,
                                        struct mor_arena *arena, struct iceberg_puffin_blob *blob,
                                        struct mor_error *err)
{
    const json_t *offset = json_object_get(json, "offset"),
                 *length = json_object_get(json, "length");
    const char *type = text_of(arena, json, "type");
    if (type == NULL || !json_is_integer(offset) || !json_is_integer(length))
        return mor_error_set(err, MOR_DATA, "a blob without type, offset or length");
    const json_t *properties = json_object_get(json, "properties");
    const char *cardinality = json_string_value(json_object_get(properties, "cardinality"));
    *blob = (struct iceberg_puffin_blob){
        .type = type,
        .snapshot_id = json_integer_value(json_object_get(json, "snapshot-id")),
        .sequence_number = json_integer_value(json_object_get(json, "sequence-number")),
        .offset = json_integer_value(offset),
        .size_bytes = json_integer_value(length),
        .cardinality = -1,
        .data_file_uri = text_of(arena, properties, "referenced-data-file"),
        .compression_codec = text_of(arena, json, "compression-codec")};
    if (cardinality != NULL && *cardinality != '\0') {
        char *end;
        long long value = strtoll(cardinality, &end, 10);
        blob->cardinality = *end == '\0' && value >= 0 ? value : -1;
    }
    if (blob->offset < MAGIC_BYTES || blob->size_bytes < 0 || blob->size_bytes > blobs_end ||
        blob->offset > blobs_end - blob->size_bytes)
        return mor_error_set(err, MOR_DATA,
                             "a blob at %" PRId64 " of %" PRId64 " bytes does not lie before the "
                             "footer at %" PRId64,
                             blob->offset, blob->size_bytes, blobs_end);
    return MOR_OK;
}

enum mor_status iceberg_puffin_footer(const uint8_t *bytes, size_t size_bytes,
                                      struct mor_arena *arena,
                                      struct iceberg_puffin_blob **ret_blobs, size_t *ret_count,
                                      struct mor_error *err)
{
    const char *text;
    size_t size;
    MOR_TRY(find_footer(bytes, size_bytes, &text, &size, err));
    json_error_t trouble;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &trouble);
    const json_t *list = json_object_get(json, "blobs");
    size_t count = json_array_size(list);
    enum mor_status status = MOR_OK;
    if (!json_is_array(list) || count > BLOBS_MAX)
        status = mor_error_set(err, MOR_DATA, "the footer of the Puffin file lists no blobs: %s",
                               json == NULL ? trouble.text : "no list");
    struct iceberg_puffin_blob *blobs =
        mor_arena_calloc(arena, status == MOR_OK ? count + 1 : 1, sizeof *blobs);
    int64_t blobs_end = (int64_t)((const uint8_t *)text - bytes) - MAGIC_BYTES;
    for (size_t i = 0; i < count && status == MOR_OK; i++)
        status = read_footer_blob(json_array_get(list, i), blobs_end, arena, &blobs[i], err);
    json_decref(json);
    if (status != MOR_OK)
        return status;
    *ret_blobs = blobs;
    *ret_count = count;
    return MOR_OK;
}
