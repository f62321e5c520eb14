#include "key_index.h"

#include <assert.h>
#include <string.h>

// The body of an attachment, little-endian: count of names u32 | for each: number u32, size u32,
// bytes | zeroes up to a multiple of 8 | changes of 32 bytes: low and high half of the key's hash,
// location (all ones = deleted), ordering. A location is the number of the partition's name or,
// where rows have places, the number of the file's name << 32 | position.
#define PIECE_CHANGES 4096
#define OVERLAY_SLOTS 1024
#define MANTISSA_BITS 56
#define SIGN_BIT      (UINT64_C(1) << 63)

const struct mor_attachment_kind mor_key_attachments = {
    .name = "keys",
    .magic = {'M', 'O', 'R', 'K', 'E', 'Y', '0', '1'},
    .damaged =
        "what a commit changed in the key index, without which late records of these keys "
        "cannot be told. Remove it together with the topic's folder under state_dir to go on"};

// ---- orderings ----------------------------------------------------------------------------------

// As java.lang.Double.compare orders them: -0.0 before 0.0, NaN last.
static uint64_t ordering_of_double(double value)
{
    uint64_t bits = UINT64_C(0x7ff8) << 48;
    if (value == value)
        memcpy(&bits, &value, sizeof bits);
    return (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
}

static uint64_t ordering_of_decimal(mor_int128 value)
{
    unsigned __int128 size = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    if (size == 0)
        return SIGN_BIT;
    uint64_t high = (uint64_t)(size >> 64);
    int bits = high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)size);
    uint64_t mantissa = bits > MANTISSA_BITS ? (uint64_t)(size >> (bits - MANTISSA_BITS))
                                             : (uint64_t)size << (MANTISSA_BITS - bits);
    // bits is at most 127 and mantissa has its leading bit set: both fit into 63 bits
    uint64_t number = ((uint64_t)bits << (MANTISSA_BITS - 1)) + mantissa;
    return value < 0 ? SIGN_BIT - number : SIGN_BIT + number;
}

static uint64_t ordering_of_text(const struct mor_vector *column, size_t row)
{
    size_t size;
    const uint8_t *bytes = mor_vector_bytes_at(column, row, &size);
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof number; i++)
        number = number << 8 | (i < size ? bytes[i] : 0);
    return number;
}

uint64_t mor_key_ordering(const struct mor_vector *column, size_t row)
{
    if (column == NULL || mor_vector_is_null(column, row))
        return 0;
    switch (column->field->type) {
    case MOR_TYPE_FLOAT:
        return ordering_of_double(((const float *)(const void *)column->data.data)[row]);
    case MOR_TYPE_DOUBLE:
        return ordering_of_double(((const double *)(const void *)column->data.data)[row]);
    case MOR_TYPE_DECIMAL:
        return ordering_of_decimal(mor_vector_decimal(column, row));
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
        return ordering_of_text(column, row);
    default:
        break;
    }
    int64_t value = mor_type_width(column->field) == 4 ? mor_vector_i32(column, row)
                                                       : mor_vector_i64(column, row);
    return (uint64_t)value ^ SIGN_BIT;
}

bool mor_key_ordering_is_coarse(const struct mor_field *field)
{
    return field->type == MOR_TYPE_STRING || field->type == MOR_TYPE_ENUM ||
           field->type == MOR_TYPE_DECIMAL;
}

// ---- lookups ------------------------------------------------------------------------------------

static bool is_free(const struct mor_key_change *slot)
{
    return slot->key.low == 0 && slot->key.high == 0;
}

// The slot of the key, or the free one where it would stand.
static struct mor_key_change *find_slot(struct mor_key_change *slots, size_t slot_count,
                                        struct mor_hash128 key)
{
    size_t at = key.low & (slot_count - 1);
    while (!is_free(&slots[at]) && (slots[at].key.low != key.low || slots[at].key.high != key.high))
        at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

void mor_key_overlay_put(struct mor_key_overlay *overlay, const struct mor_key_change *change)
{
    if (overlay->count * 2 >= overlay->slot_count) {
        size_t grown = overlay->slot_count > 0 ? overlay->slot_count * 2 : OVERLAY_SLOTS;
        struct mor_key_change *slots = mor_calloc(grown, sizeof *slots);
        for (size_t i = 0; i < overlay->slot_count; i++)
            if (!is_free(&overlay->slots[i]))
                *find_slot(slots, grown, overlay->slots[i].key) = overlay->slots[i];
        free(overlay->slots);
        overlay->slots = slots;
        overlay->slot_count = grown;
    }
    struct mor_key_change *slot = find_slot(overlay->slots, overlay->slot_count, change->key);
    overlay->count += is_free(slot);
    *slot = *change;
}

void mor_key_overlay_done(struct mor_key_overlay *overlay)
{
    free(overlay->slots);
    *overlay = (struct mor_key_overlay){0};
}

enum mor_status mor_known_keys_lookup(const struct mor_known_keys *known,
                                      const struct mor_hash128 *keys, size_t count,
                                      struct mor_state_entry *ret_entries, struct mor_error *err)
{
    MOR_TRY(mor_state_lookup(known->state, keys, count, ret_entries, err));
    if (known->overlay == NULL || known->overlay->count == 0)
        return MOR_OK;
    for (size_t i = 0; i < count; i++) {
        const struct mor_key_change *slot =
            find_slot(known->overlay->slots, known->overlay->slot_count, keys[i]);
        if (!is_free(slot))
            ret_entries[i] = slot->entry;
    }
    return MOR_OK;
}

// ---- attachments --------------------------------------------------------------------------------

static uint32_t name_number_of(uint64_t location, bool by_place)
{
    return (uint32_t)(by_place ? location >> 32 : location);
}

// Names of the partitions or files that the changes speak of, each once.
static void append_names(struct mor_state *state, const struct mor_key_change *changes,
                         size_t count, bool by_place, struct mor_buffer *bytes)
{
    size_t count_at = bytes->size_bytes;
    uint32_t name_count = 0;
    mor_buffer_append_le32(bytes, 0);
    MOR_AUTO_FREE bool *named = NULL;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].entry.location == MOR_STATE_NOWHERE)
            continue;
        uint32_t number = name_number_of(changes[i].entry.location, by_place);
        if (number >= known) {
            size_t grown = (size_t)number * 2 + 64;
            named = mor_realloc(named, grown * sizeof *named);
            memset(named + known, 0, (grown - known) * sizeof *named);
            known = grown;
        }
        if (named[number])
            continue;
        named[number] = true;
        name_count++;
        const char *name = mor_state_name_text(state, number);
        mor_buffer_append_le32(bytes, number);
        mor_buffer_append_le32(bytes, (uint32_t)strlen(name));
        mor_buffer_append_text(bytes, name);
    }
    memcpy(bytes->data + count_at, &name_count, sizeof name_count);
    while (bytes->size_bytes % 8 != 0)
        mor_buffer_append_u8(bytes, 0);
}

void mor_key_attachment(struct mor_state *state, const struct mor_key_change *changes, size_t count,
                        int64_t number, bool by_place, struct mor_buffer *ret_bytes)
{
    mor_buffer_reset(ret_bytes);
    if (count == 0)
        return;
    mor_attachment_begin(ret_bytes);
    append_names(state, changes, count, by_place, ret_bytes);
    mor_buffer_append(ret_bytes, changes, count * sizeof *changes);
    mor_attachment_seal(&mor_key_attachments, number, ret_bytes);
}

// What the numbers of an attachment are in this state.
struct translation {
    uint32_t *from, *to;
    size_t count;
    bool by_place;
};

// False when the bytes end early.
static bool read_names(struct mor_state *state, const struct mor_buffer *bytes, size_t *at,
                       struct translation *names)
{
    uint32_t count, size;
    if (bytes->size_bytes - *at < sizeof count)
        return false;
    memcpy(&count, bytes->data + *at, sizeof count);
    *at += sizeof count;
    if (count > (bytes->size_bytes - *at) / 8)
        return false;
    names->from = mor_alloc((size_t)count * sizeof *names->from);
    names->to = mor_alloc((size_t)count * sizeof *names->to);
    for (; names->count < count; names->count++) {
        if (bytes->size_bytes - *at < 8)
            return false;
        memcpy(&names->from[names->count], bytes->data + *at, 4);
        memcpy(&size, bytes->data + *at + 4, sizeof size);
        *at += 8;
        if (bytes->size_bytes - *at < size)
            return false;
        MOR_AUTO_FREE char *name = mor_strndup((const char *)bytes->data + *at, size);
        names->to[names->count] = mor_state_name_number(state, name);
        *at += size;
    }
    *at = (*at + 7) / 8 * 8;
    return *at <= bytes->size_bytes &&
           (bytes->size_bytes - *at) % sizeof(struct mor_key_change) == 0;
}

// Neighbours mostly have the same name: `last` is where the search starts.
static bool translate(const struct translation *names, size_t *last, uint64_t *location)
{
    if (*location == MOR_STATE_NOWHERE)
        return true;
    uint32_t number = name_number_of(*location, names->by_place);
    if (!names->by_place && *location != number)
        return false;
    for (size_t i = 0; i < names->count; i++) {
        size_t at = *last + i < names->count ? *last + i : *last + i - names->count;
        if (names->from[at] != number)
            continue;
        *last = at;
        *location = names->by_place ? (uint64_t)names->to[at] << 32 | (*location & UINT32_MAX)
                                    : names->to[at];
        return true;
    }
    return false;
}

static enum mor_status visit_changes(const struct mor_buffer *bytes, size_t at,
                                     const struct translation *names, mor_take_key_changes *take,
                                     void *context, struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_key_change *piece = mor_alloc(PIECE_CHANGES * sizeof *piece);
    size_t last = 0;
    while (at < bytes->size_bytes) {
        size_t count = (bytes->size_bytes - at) / sizeof *piece;
        count = count < PIECE_CHANGES ? count : PIECE_CHANGES;
        memcpy(piece, bytes->data + at, count * sizeof *piece);
        for (size_t i = 0; i < count; i++)
            if (!translate(names, &last, &piece[i].entry.location))
                return mor_error_set(err, MOR_FATAL,
                                     "an attachment of keys has a place without a name");
        MOR_TRY(take(context, piece, count, err));
        at += count * sizeof *piece;
    }
    return MOR_OK;
}

enum mor_status mor_key_attachment_visit(struct mor_state *state, const struct mor_buffer *bytes,
                                         bool by_place, mor_take_key_changes *take, void *context,
                                         struct mor_error *err)
{
    struct translation names = {.by_place = by_place};
    size_t at = ATTACHMENT_HEAD_BYTES;
    enum mor_status status =
        read_names(state, bytes, &at, &names)
            ? visit_changes(bytes, at, &names, take, context, err)
            : mor_error_set(err, MOR_FATAL, "an attachment of keys ends in the middle");
    free(names.from);
    free(names.to);
    return status;
}

static size_t split(const struct mor_key_change *changes, size_t count, struct mor_hash128 *keys,
                    struct mor_state_entry *entries)
{
    size_t part = count < PIECE_CHANGES ? count : PIECE_CHANGES;
    for (size_t i = 0; i < part; i++) {
        keys[i] = changes[i].key;
        entries[i] = changes[i].entry;
    }
    return part;
}

enum mor_status mor_key_load(void *state, const struct mor_key_change *changes, size_t count,
                             struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_hash128 *keys = mor_alloc(PIECE_CHANGES * sizeof *keys);
    MOR_AUTO_FREE struct mor_state_entry *entries = mor_alloc(PIECE_CHANGES * sizeof *entries);
    for (size_t done = 0, part; done < count; done += part) {
        part = split(changes + done, count - done, keys, entries);
        MOR_TRY(mor_state_load_keys(state, keys, entries, part, err));
    }
    return MOR_OK;
}

enum mor_status mor_key_load_graves(void *state, const struct mor_key_change *changes, size_t count,
                                    struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_key_change *graves = mor_alloc(count * sizeof *graves);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (changes[i].entry.location == MOR_STATE_NOWHERE)
            graves[kept++] = changes[i];
    return mor_key_load(state, graves, kept, err);
}

enum mor_status mor_key_apply(void *batch, const struct mor_key_change *changes, size_t count,
                              struct mor_error *err)
{
    (void)err;
    MOR_AUTO_FREE struct mor_hash128 *keys = mor_alloc(PIECE_CHANGES * sizeof *keys);
    MOR_AUTO_FREE struct mor_state_entry *entries = mor_alloc(PIECE_CHANGES * sizeof *entries);
    for (size_t done = 0, part; done < count; done += part) {
        part = split(changes + done, count - done, keys, entries);
        mor_state_batch_index(batch, keys, entries, part);
    }
    return MOR_OK;
}
