#include "pq_dict.h"

#include "moraine/base/hash.h"

#define SLOTS_FIRST 1024

static struct mor_pq_dict_slot *slots_of(const struct mor_pq_dict *dict)
{
    return (struct mor_pq_dict_slot *)(void *)dict->slots.data;
}

static void make_slots(struct mor_pq_dict *dict, size_t slot_count)
{
    mor_buffer_reset(&dict->slots);
    mor_buffer_reserve(&dict->slots, slot_count * sizeof(struct mor_pq_dict_slot));
    dict->slots.size_bytes = slot_count * sizeof(struct mor_pq_dict_slot);
    memset(dict->slots.data, 0, dict->slots.size_bytes);
    dict->slot_count = slot_count;
}

void mor_pq_dict_init(struct mor_pq_dict *dict, int32_t type, int32_t type_length,
                      struct mor_budget *budget)
{
    *dict = (struct mor_pq_dict){0};
    mor_pq_values_init(&dict->values, type, type_length, budget);
    mor_buffer_init(&dict->slots, budget);
}

void mor_pq_dict_done(struct mor_pq_dict *dict)
{
    mor_pq_values_done(&dict->values);
    mor_buffer_done(&dict->slots);
}

void mor_pq_dict_reset(struct mor_pq_dict *dict)
{
    mor_pq_values_reset(&dict->values);
    if (dict->slot_count > 0)
        memset(dict->slots.data, 0, dict->slot_count * sizeof(struct mor_pq_dict_slot));
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static uint64_t load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Most values are short: two overlapping loads cover up to 16 bytes.
static inline uint64_t hash_bytes(const uint8_t *at, size_t size)
{
    if (size > 16)
        return mor_hash64(at, size);
    if (size >= 8)
        return fold(load64(at) + size, load64(at + size - 8));
    if (size >= 4)
        return fold(load32(at) + size, load32(at + size - 4));
    uint64_t word = size ? (uint64_t)at[0] << 16 | (uint64_t)at[size >> 1] << 8 | at[size - 1] : 0;
    return fold(word, size);
}

static uint64_t hash_at(const struct mor_pq_values *values, size_t index)
{
    size_t size;
    const uint8_t *at = mor_pq_values_at(values, index, &size);
    return hash_bytes(at, size);
}

static void grow(struct mor_pq_dict *dict)
{
    make_slots(dict, dict->slot_count ? dict->slot_count * 4 : SLOTS_FIRST);
    struct mor_pq_dict_slot *slots = slots_of(dict);
    const size_t mask = dict->slot_count - 1;
    for (size_t i = 0; i < dict->values.count; i++) {
        uint64_t hash = hash_at(&dict->values, i);
        size_t at = hash & mask;
        while (slots[at].index)
            at = (at + 1) & mask;
        slots[at] =
            (struct mor_pq_dict_slot){.tag = (uint32_t)(hash >> 32), .index = (uint32_t)i + 1};
    }
}

static void add_value(struct mor_pq_dict *dict, const uint8_t *at, size_t size)
{
    mor_buffer_append(&dict->values.data, at, size);
    if (dict->values.type == MOR_PQ_BYTE_ARRAY)
        mor_buffer_append_le32(&dict->values.offsets, (uint32_t)dict->values.data.size_bytes);
    dict->values.count++;
}

static inline bool equals(const struct mor_pq_dict *dict, uint32_t index, const uint8_t *at,
                          size_t size)
{
    size_t other_size;
    const uint8_t *other = mor_pq_values_at(&dict->values, index, &other_size);
    return other_size == size && memcmp(other, at, size) == 0;
}

size_t mor_pq_dict_index(struct mor_pq_dict *dict, const struct mor_pq_values *values, size_t first,
                         size_t count, size_t bytes_max, uint32_t *ret_indexes)
{
    const uint8_t *last = NULL;
    size_t last_size = 0;
    uint32_t last_index = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *at = mor_pq_values_at(values, first + i, &size);
        // Runs of one value are common and skip the table.
        if (last && size == last_size && memcmp(at, last, size) == 0) {
            ret_indexes[i] = last_index;
            continue;
        }
        if (dict->values.count * 2 >= dict->slot_count)
            grow(dict);
        uint64_t hash = hash_bytes(at, size);
        uint32_t tag = (uint32_t)(hash >> 32);
        struct mor_pq_dict_slot *slots = slots_of(dict);
        const size_t mask = dict->slot_count - 1;
        size_t slot = hash & mask;
        while (slots[slot].index &&
               !(slots[slot].tag == tag && equals(dict, slots[slot].index - 1, at, size)))
            slot = (slot + 1) & mask;
        if (!slots[slot].index) {
            if (mor_pq_values_plain_bytes(&dict->values) + size > bytes_max)
                return i;
            add_value(dict, at, size);
            slots[slot] =
                (struct mor_pq_dict_slot){.tag = tag, .index = (uint32_t)dict->values.count};
        }
        last = at;
        last_size = size;
        last_index = ret_indexes[i] = slots[slot].index - 1;
    }
    return count;
}
