#include "pq_dict.h"

#include "moraine/base/hash.h"

#define SLOTS_FIRST 1024

void mor_pq_dict_init(struct mor_pq_dict *dict, int32_t type, int32_t type_length,
                      struct mor_budget *budget)
{
    *dict = (struct mor_pq_dict){0};
    mor_pq_values_init(&dict->values, type, type_length, budget);
    mor_buffer_init(&dict->slots, budget);
    mor_buffer_init(&dict->keys, budget);
}

void mor_pq_dict_done(struct mor_pq_dict *dict)
{
    mor_pq_values_done(&dict->values);
    mor_buffer_done(&dict->slots);
    mor_buffer_done(&dict->keys);
}

void mor_pq_dict_reset(struct mor_pq_dict *dict)
{
    mor_pq_values_reset(&dict->values);
    mor_buffer_reset(&dict->keys);
    if (dict->slot_count > 0)
        memset(dict->slots.data, 0, dict->slot_count * sizeof(struct mor_pq_dict_slot));
}

static struct mor_pq_dict_slot *slots_of(const struct mor_pq_dict *dict)
{
    return (struct mor_pq_dict_slot *)(void *)dict->slots.data;
}

// ---- hashes -------------------------------------------------------------------------------------

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static inline uint32_t load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

static inline uint64_t hash_word(uint32_t word)
{
    uint64_t product = word * 0x9e3779b97f4a7c15u;
    return product ^ product >> 32;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Both halves of the product count: doubles like 2.5 have set bits at their top alone, which a
// product moves further up.
static inline uint64_t hash_long(uint64_t word)
{
    return fold(word, 0);
}

static inline struct mor_pq_dict_key key_of(const uint8_t *at, size_t size)
{
    struct mor_pq_dict_key key = {.size_bytes = size};
    if (size >= 8) {
        key.head = load64(at);
        key.tail = load64(at + size - 8);
    } else if (size >= 4) {
        key.head = load32(at);
        key.tail = load32(at + size - 4);
    } else if (size > 0) {
        key.head = (uint64_t)at[0] << 16 | (uint64_t)at[size >> 1] << 8 | at[size - 1];
    }
    return key;
}

static inline uint64_t hash_key(const struct mor_pq_dict_key *key, const uint8_t *at)
{
    if (key->size_bytes > 16)
        return mor_hash64(at, key->size_bytes);
    return fold(key->head + key->size_bytes, key->tail);
}

// ---- the table ----------------------------------------------------------------------------------

// Hash of a value that is in the dictionary.
static uint64_t hash_at(const struct mor_pq_dict *dict, size_t index)
{
    const struct mor_pq_values *values = &dict->values;
    if (values->width == 4)
        return hash_word(load32(values->data.data + index * 4));
    if (values->width == 8)
        return hash_long(load64(values->data.data + index * 8));
    size_t size;
    const uint8_t *at = mor_pq_values_at(values, index, &size);
    struct mor_pq_dict_key key = key_of(at, size);
    return hash_key(&key, at);
}

static uint32_t tag_at(const struct mor_pq_dict *dict, size_t index, uint64_t hash)
{
    return dict->values.width == 4 ? load32(dict->values.data.data + index * 4)
                                   : (uint32_t)(hash >> 32);
}

static void grow(struct mor_pq_dict *dict)
{
    size_t slot_count = dict->slot_count ? dict->slot_count * 4 : SLOTS_FIRST;
    mor_buffer_reset(&dict->slots);
    mor_buffer_reserve(&dict->slots, slot_count * sizeof(struct mor_pq_dict_slot));
    dict->slots.size_bytes = slot_count * sizeof(struct mor_pq_dict_slot);
    memset(dict->slots.data, 0, dict->slots.size_bytes);
    dict->slot_count = slot_count;
    struct mor_pq_dict_slot *slots = slots_of(dict);
    const size_t mask = slot_count - 1;
    for (size_t i = 0; i < dict->values.count; i++) {
        uint64_t hash = hash_at(dict, i);
        size_t at = hash & mask;
        while (slots[at].index)
            at = (at + 1) & mask;
        slots[at] = (struct mor_pq_dict_slot){tag_at(dict, i, hash), (uint32_t)i + 1};
    }
}

// Puts a new value into the free slot `slot`; false when it would take too much room. The table
// grows after the value went in, so that there is always a free slot to find.
static bool add(struct mor_pq_dict *dict, size_t slot, uint32_t tag, const uint8_t *at, size_t size,
                size_t bytes_max)
{
    if (mor_pq_values_plain_bytes(&dict->values) + size > bytes_max)
        return false;
    mor_buffer_append(&dict->values.data, at, size);
    if (dict->values.type == MOR_PQ_BYTE_ARRAY)
        mor_buffer_append_le32(&dict->values.offsets, (uint32_t)dict->values.data.size_bytes);
    dict->values.count++;
    slots_of(dict)[slot] = (struct mor_pq_dict_slot){tag, (uint32_t)dict->values.count};
    if (dict->values.count * 2 >= dict->slot_count)
        grow(dict);
    return true;
}

// Four bytes: the tag is the value. The table is kept in locals, which the stores below cannot
// touch.
static size_t index_words(struct mor_pq_dict *dict, const uint8_t *from, size_t count,
                          size_t bytes_max, uint32_t *ret_indexes)
{
    const struct mor_pq_dict_slot *slots = slots_of(dict);
    size_t mask = dict->slot_count - 1;
    for (size_t i = 0; i < count; i++, from += 4) {
        uint32_t value = load32(from);
        size_t slot = hash_word(value) & mask;
        while (slots[slot].tag != value && slots[slot].index)
            slot = (slot + 1) & mask;
        uint32_t index = slots[slot].index;
        if (__builtin_expect(!index, 0)) {
            if (!add(dict, slot, value, from, 4, bytes_max))
                return i;
            index = (uint32_t)dict->values.count;
            slots = slots_of(dict);
            mask = dict->slot_count - 1;
        }
        ret_indexes[i] = index - 1;
    }
    return count;
}

static size_t index_longs(struct mor_pq_dict *dict, const uint8_t *from, size_t count,
                          size_t bytes_max, uint32_t *ret_indexes)
{
    const struct mor_pq_dict_slot *slots = slots_of(dict);
    const uint8_t *known = dict->values.data.data;
    size_t mask = dict->slot_count - 1;
    for (size_t i = 0; i < count; i++, from += 8) {
        uint64_t value = load64(from), hash = hash_long(value);
        uint32_t tag = (uint32_t)(hash >> 32);
        size_t slot = hash & mask;
        while (slots[slot].index &&
               !(slots[slot].tag == tag && load64(known + (slots[slot].index - 1) * 8ul) == value))
            slot = (slot + 1) & mask;
        uint32_t index = slots[slot].index;
        if (__builtin_expect(!index, 0)) {
            if (!add(dict, slot, tag, from, 8, bytes_max))
                return i;
            index = (uint32_t)dict->values.count;
            slots = slots_of(dict);
            known = dict->values.data.data;
            mask = dict->slot_count - 1;
        }
        ret_indexes[i] = index - 1;
    }
    return count;
}

static inline bool equals(const struct mor_pq_dict *dict, const struct mor_pq_dict_key *keys,
                          size_t index, const struct mor_pq_dict_key *key, const uint8_t *at)
{
    const struct mor_pq_dict_key *known = keys + index;
    if (known->size_bytes != key->size_bytes || known->head != key->head ||
        known->tail != key->tail)
        return false;
    if (key->size_bytes <= 16)
        return true;
    size_t size;
    return memcmp(mor_pq_values_at(&dict->values, index, &size), at, key->size_bytes) == 0;
}

static size_t index_bytes(struct mor_pq_dict *dict, const struct mor_pq_values *values,
                          size_t first, size_t count, size_t bytes_max, uint32_t *ret_indexes)
{
    const struct mor_pq_dict_slot *slots = slots_of(dict);
    const struct mor_pq_dict_key *keys = (const struct mor_pq_dict_key *)(void *)dict->keys.data;
    size_t mask = dict->slot_count - 1;
    const uint8_t *before = NULL; // the value before; neighbours are often equal
    size_t before_size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *at = mor_pq_values_at(values, first + i, &size);
        if (i > 0 && size == before_size && memcmp(at, before, size) == 0) {
            ret_indexes[i] = ret_indexes[i - 1];
            continue;
        }
        before = at;
        before_size = size;
        struct mor_pq_dict_key key = key_of(at, size);
        uint64_t hash = hash_key(&key, at);
        uint32_t tag = (uint32_t)(hash >> 32);
        size_t slot = hash & mask;
        while (slots[slot].index &&
               !(slots[slot].tag == tag && equals(dict, keys, slots[slot].index - 1, &key, at)))
            slot = (slot + 1) & mask;
        uint32_t index = slots[slot].index;
        if (__builtin_expect(!index, 0)) {
            if (!add(dict, slot, tag, at, size, bytes_max))
                return i;
            mor_buffer_append(&dict->keys, &key, sizeof key);
            index = (uint32_t)dict->values.count;
            slots = slots_of(dict);
            keys = (const struct mor_pq_dict_key *)(void *)dict->keys.data;
            mask = dict->slot_count - 1;
        }
        ret_indexes[i] = index - 1;
    }
    return count;
}

size_t mor_pq_dict_index(struct mor_pq_dict *dict, const struct mor_pq_values *values, size_t first,
                         size_t count, size_t bytes_max, uint32_t *ret_indexes)
{
    if (dict->slot_count == 0)
        grow(dict);
    const uint8_t *from = values->data.data + first * values->width;
    if (values->width == 4)
        return index_words(dict, from, count, bytes_max, ret_indexes);
    if (values->width == 8)
        return index_longs(dict, from, count, bytes_max, ret_indexes);
    return index_bytes(dict, values, first, count, bytes_max, ret_indexes);
}
