#include "pq_values.h"

#include <assert.h>

void mor_pq_values_init(struct mor_pq_values *values, int32_t type, int32_t type_length,
                        struct mor_budget *budget)
{
    static const uint32_t widths[] = {1, 4, 8, 12, 4, 8, 0, 0};
    *values = (struct mor_pq_values){.type = type, .width = widths[type]};
    if (type == MOR_PQ_FLBA)
        values->width = (uint32_t)type_length;
    mor_buffer_init(&values->data, budget);
    mor_buffer_init(&values->offsets, budget);
    mor_buffer_reserve(&values->data, 16); // so that an empty value has an address
    mor_pq_values_reset(values);
}

void mor_pq_values_done(struct mor_pq_values *values)
{
    mor_buffer_done(&values->data);
    mor_buffer_done(&values->offsets);
}

void mor_pq_values_reset(struct mor_pq_values *values)
{
    values->count = 0;
    mor_buffer_reset(&values->data);
    mor_buffer_reset(&values->offsets);
    if (values->type == MOR_PQ_BYTE_ARRAY)
        mor_buffer_append_le32(&values->offsets, 0);
}

size_t mor_pq_values_plain_bytes(const struct mor_pq_values *values)
{
    if (values->type == MOR_PQ_BOOLEAN)
        return (values->count + 7) / 8;
    return values->data.size_bytes + (values->type == MOR_PQ_BYTE_ARRAY ? 4 * values->count : 0);
}

static void append_booleans(struct mor_pq_values *values, const struct mor_vector *vector,
                            size_t first, size_t count, const uint8_t *present)
{
    const uint8_t *bits = vector->data.data;
    mor_buffer_reserve(&values->data, count);
    uint8_t *to = values->data.data + values->data.size_bytes;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        to[n] = mor_bit_get(bits, first + i);
        n += present ? present[i] : 1;
    }
    values->data.size_bytes += n;
    values->count += n;
}

// Copies runs of present slots.
static void append_fixed(struct mor_pq_values *values, const struct mor_vector *vector,
                         size_t first, size_t count, const uint8_t *present)
{
    const size_t width = values->width;
    const uint8_t *from = vector->data.data + first * width;
    mor_buffer_reserve(&values->data, count * width);
    uint8_t *to = values->data.data + values->data.size_bytes;
    size_t n = 0;
    if (!present) {
        if (count > 0)
            memcpy(to, from, count * width);
        n = count;
    } else if (width == 8) {
        for (size_t i = 0; i < count; i++) {
            memcpy(to + n * 8, from + i * 8, 8);
            n += present[i];
        }
    } else if (width == 4) {
        for (size_t i = 0; i < count; i++) {
            memcpy(to + n * 4, from + i * 4, 4);
            n += present[i];
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            memcpy(to + n * width, from + i * width, width);
            n += present[i];
        }
    }
    values->data.size_bytes += n * width;
    values->count += n;
}

static bool append_decimals(struct mor_pq_values *values, const struct mor_vector *vector,
                            size_t first, size_t count, const uint8_t *present)
{
    const size_t width = values->width;
    mor_buffer_reserve(&values->data, count * width);
    uint8_t *to = values->data.data + values->data.size_bytes;
    size_t n = 0;
    bool fits = true;
    mor_int128 limit = 1;
    for (int32_t digit = 0; digit < vector->field->precision; digit++)
        limit *= 10;
    for (size_t i = 0; i < count; i++) {
        if (present && !present[i])
            continue;
        mor_int128 value = mor_vector_decimal(vector, first + i);
        fits &= value < limit && value > -limit;
        // Little-endian 16 bytes in the vector: the low bytes are the number when it fits.
        const uint8_t *from = vector->data.data + (first + i) * 16;
        if (values->type == MOR_PQ_FLBA) {
            for (size_t k = 0; k < width; k++)
                to[k] = from[width - 1 - k];
        } else {
            memcpy(to, from, width);
        }
        to += width;
        n++;
    }
    values->data.size_bytes += n * width;
    values->count += n;
    return fits;
}

static void append_bytes(struct mor_pq_values *values, const struct mor_vector *vector,
                         size_t first, size_t count, const uint8_t *present)
{
    const int32_t *from = mor_vector_offsets(vector) + first;
    mor_buffer_reserve(&values->offsets, count * sizeof(uint32_t));
    uint32_t *to = (uint32_t *)(void *)(values->offsets.data + values->offsets.size_bytes);
    uint32_t base = (uint32_t)values->data.size_bytes;
    // A null slot repeats its offset, so the bytes of present slots lie without gaps.
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        to[n] = base + (uint32_t)(from[i + 1] - from[0]);
        n += present ? present[i] : 1;
    }
    size_t size_bytes = (size_t)(from[count] - from[0]);
    if (size_bytes > 0) // there may be no memory for nothing
        mor_buffer_append(&values->data, vector->data.data + from[0], size_bytes);
    values->offsets.size_bytes += n * sizeof(uint32_t);
    values->count += n;
}

// Slots that are left out may own bytes when an ancestor is null: those are not taken along.
static void append_bytes_one_by_one(struct mor_pq_values *values, const struct mor_vector *vector,
                                    size_t first, size_t count, const uint8_t *present)
{
    for (size_t i = 0; i < count; i++) {
        if (!present[i])
            continue;
        size_t size;
        const uint8_t *bytes = mor_vector_bytes_at(vector, first + i, &size);
        mor_buffer_append(&values->data, bytes, size);
        mor_buffer_append_le32(&values->offsets, (uint32_t)values->data.size_bytes);
        values->count++;
    }
}

static bool left_out_slots_are_empty(const struct mor_vector *vector, size_t first, size_t count,
                                     const uint8_t *present)
{
    const int32_t *offsets = mor_vector_offsets(vector) + first;
    int32_t owned = 0;
    for (size_t i = 0; i < count; i++)
        owned |= present[i] ? 0 : offsets[i + 1] - offsets[i];
    return owned == 0;
}

bool mor_pq_values_append(struct mor_pq_values *values, const struct mor_vector *vector,
                          size_t first, size_t count, const uint8_t *present)
{
    if (count == 0)
        return true;
    if (values->type == MOR_PQ_BOOLEAN)
        append_booleans(values, vector, first, count, present);
    else if (vector->field->type == MOR_TYPE_DECIMAL)
        return append_decimals(values, vector, first, count, present);
    else if (values->type != MOR_PQ_BYTE_ARRAY)
        append_fixed(values, vector, first, count, present);
    else if (!present || left_out_slots_are_empty(vector, first, count, present))
        append_bytes(values, vector, first, count, present);
    else
        append_bytes_one_by_one(values, vector, first, count, present);
    return true;
}
