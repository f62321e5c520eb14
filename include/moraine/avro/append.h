// Inline appending to columns, for decoders: what mor_vector_append_* does, without the call and
// the look at the type, which would cost more than the decoding itself. The caller has matched the
// type of the column when it made its plan.
//
// Caution: these trust the caller. A wrong width corrupts the column; a STRING column takes any
// bytes.
#ifndef MORAINE_AVRO_APPEND_H
#define MORAINE_AVRO_APPEND_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "moraine/column.h"

// Marks the slot that is being appended as present and counts it. `nullable` =
// vector->field->nullable.
static inline void mor_avro_append_valid(struct mor_vector *vector, bool nullable)
{
    if (nullable) {
        size_t byte = vector->length >> 3;
        if (byte >= vector->validity.size_bytes)
            mor_buffer_append_u8(&vector->validity, 0);
        vector->validity.data[byte] |= (uint8_t)(1u << (vector->length & 7));
    }
    vector->length++;
}

// Appends a value of 4, 8 or 16 bytes (INT32, DATE, FLOAT; INT64, TIMESTAMP_*, DOUBLE; DECIMAL,
// UUID).
static inline void mor_avro_append_4(struct mor_vector *vector, bool nullable, const void *value)
{
    mor_buffer_reserve(&vector->data, 4);
    memcpy(vector->data.data + vector->data.size_bytes, value, 4);
    vector->data.size_bytes += 4;
    mor_avro_append_valid(vector, nullable);
}
static inline void mor_avro_append_8(struct mor_vector *vector, bool nullable, const void *value)
{
    mor_buffer_reserve(&vector->data, 8);
    memcpy(vector->data.data + vector->data.size_bytes, value, 8);
    vector->data.size_bytes += 8;
    mor_avro_append_valid(vector, nullable);
}
static inline void mor_avro_append_16(struct mor_vector *vector, bool nullable, const void *value)
{
    mor_buffer_reserve(&vector->data, 16);
    memcpy(vector->data.data + vector->data.size_bytes, value, 16);
    vector->data.size_bytes += 16;
    mor_avro_append_valid(vector, nullable);
}
static inline void mor_avro_append_bool(struct mor_vector *vector, bool nullable, bool value)
{
    size_t byte = vector->length >> 3;
    if (byte >= vector->data.size_bytes)
        mor_buffer_append_u8(&vector->data, 0);
    unsigned bit = vector->length & 7; // may be stale from a slot that was cut off
    uint8_t *bits = &vector->data.data[byte];
    *bits = (uint8_t)((*bits & ~(1u << bit)) | (unsigned)value << bit);
    mor_avro_append_valid(vector, nullable);
}

// True when a column of variable width takes `size_bytes` more: its offsets are 32 bits wide.
static inline bool mor_avro_append_has_room(const struct mor_vector *vector, size_t size_bytes)
{
    return size_bytes <= (size_t)INT32_MAX - vector->data.size_bytes;
}

// Ends a slot of variable width whose bytes stand at the end of vector->data.
static inline void mor_avro_append_offset(struct mor_vector *vector, bool nullable)
{
    int32_t end = (int32_t)vector->data.size_bytes;
    mor_buffer_reserve(&vector->offsets, sizeof end);
    memcpy(vector->offsets.data + vector->offsets.size_bytes, &end, sizeof end);
    vector->offsets.size_bytes += sizeof end;
    mor_avro_append_valid(vector, nullable);
}

// Appends bytes (STRING, BYTES, ENUM, JSON) after mor_avro_append_has_room.
static inline void mor_avro_append_bytes(struct mor_vector *vector, bool nullable,
                                         const void *bytes, size_t size_bytes)
{
    mor_buffer_reserve(&vector->data, size_bytes + 1); // data is not NULL once there is a slot
    mor_buffer_append(&vector->data, bytes, size_bytes);
    mor_avro_append_offset(vector, nullable);
}

// Appends text of up to 64 bytes with a few wide stores, which tell in the same breath whether it
// is ASCII. False: it is not, it is longer, or too few bytes stand behind a short one; nothing was
// appended.
static inline __attribute__((always_inline)) bool
mor_avro_append_short_ascii(struct mor_vector *vector, bool nullable, const uint8_t *bytes,
                            size_t size_bytes, const uint8_t *end)
{
#ifdef __SSE2__
    if (size_bytes > 64 || (size_bytes < 32 && end - bytes < 32))
        return false;
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 16));
    uint64_t first = (uint64_t)_mm_movemask_epi8(a) | (uint64_t)_mm_movemask_epi8(b) << 16;
    mor_buffer_reserve(&vector->data, 64);
    uint8_t *to = vector->data.data + vector->data.size_bytes;
    _mm_storeu_si128((__m128i *)(void *)to, a);
    _mm_storeu_si128((__m128i *)(void *)(to + 16), b);
    if (size_bytes > 32) { // the last 32 bytes, which overlap the first
        a = _mm_loadu_si128((const __m128i *)(const void *)(bytes + size_bytes - 32));
        b = _mm_loadu_si128((const __m128i *)(const void *)(bytes + size_bytes - 16));
        first |= (uint64_t)(_mm_movemask_epi8(a) | _mm_movemask_epi8(b));
        _mm_storeu_si128((__m128i *)(void *)(to + size_bytes - 32), a);
        _mm_storeu_si128((__m128i *)(void *)(to + size_bytes - 16), b);
    } else {
        first &= ((uint64_t)1 << size_bytes) - 1;
    }
    if (first)
        return false;
    vector->data.size_bytes += size_bytes;
    mor_avro_append_offset(vector, nullable);
    return true;
#else
    (void)vector, (void)nullable, (void)bytes, (void)size_bytes, (void)end;
    return false;
#endif
}

// Appends text that is UTF-8 (after mor_avro_append_has_room). False: it is not, nothing was
// appended.
bool mor_avro_append_checked(struct mor_vector *vector, bool nullable, const uint8_t *bytes,
                             size_t size_bytes);
// The same, inline for short ASCII. `end` is how far behind `bytes` may be read.
static inline __attribute__((always_inline)) bool
mor_avro_append_text(struct mor_vector *vector, bool nullable, const uint8_t *bytes,
                     size_t size_bytes, const uint8_t *end)
{
    return mor_avro_append_short_ascii(vector, nullable, bytes, size_bytes, end) ||
           mor_avro_append_checked(vector, nullable, bytes, size_bytes);
}

// Cuts a column back to `length` slots, also when its last slot was left unfinished (children that
// already have elements of it).
void mor_avro_append_undo(struct mor_vector *vector, size_t length);

#endif
