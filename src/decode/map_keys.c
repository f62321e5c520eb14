#include "map_keys.h"

#include "moraine/base/hash.h"

bool mor_map_keys_differ(struct mor_buffer *slots_buffer, const struct mor_vector *keys,
                         size_t first)
{
    size_t count = keys->length - first;
    size_t slot_count = 4;
    while (slot_count < 2 * count)
        slot_count *= 2;
    mor_buffer_reset(slots_buffer);
    mor_buffer_reserve(slots_buffer, slot_count * sizeof(uint32_t));
    uint32_t *slots = (uint32_t *)(void *)slots_buffer->data;
    memset(slots, 0, slot_count * sizeof *slots);
    size_t width = mor_type_width(keys->field);
    for (size_t i = 0; i < count; i++) {
        size_t size = width;
        const uint8_t *key = width > 0 ? keys->data.data + (first + i) * width
                                       : mor_vector_bytes_at(keys, first + i, &size);
        size_t slot = mor_hash64(key, size) & (slot_count - 1);
        for (; slots[slot] != 0; slot = (slot + 1) & (slot_count - 1)) {
            size_t other_size = width;
            size_t index = first + slots[slot] - 1;
            const uint8_t *other = width > 0 ? keys->data.data + index * width
                                             : mor_vector_bytes_at(keys, index, &other_size);
            if (other_size == size && (size == 0 || memcmp(key, other, size) == 0))
                return false;
        }
        slots[slot] = (uint32_t)i + 1;
    }
    return true;
}
