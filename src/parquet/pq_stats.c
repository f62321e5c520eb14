#include "pq_stats.h"
#include "pq_simd.h"

#include <math.h>

static enum mor_pq_order integer_order(const struct mor_pq_element *e, enum mor_pq_order is_signed,
                                       enum mor_pq_order is_unsigned)
{
    bool unsigned_logical = e->logical == MOR_PQ_L_INTEGER && !e->is_signed;
    bool unsigned_converted = e->logical == MOR_PQ_L_NONE && e->converted >= MOR_PQ_C_UINT_8 &&
                              e->converted <= MOR_PQ_C_UINT_64;
    return unsigned_logical || unsigned_converted ? is_unsigned : is_signed;
}

enum mor_pq_order mor_pq_order_of(const struct mor_pq_element *e)
{
    bool decimal = e->logical == MOR_PQ_L_DECIMAL ||
                   (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_DECIMAL);
    switch (e->type) {
    case MOR_PQ_BOOLEAN:
        return MOR_PQ_ORDER_BOOLEAN;
    case MOR_PQ_INT32:
        return integer_order(e, MOR_PQ_ORDER_INT32, MOR_PQ_ORDER_UINT32);
    case MOR_PQ_INT64:
        return integer_order(e, MOR_PQ_ORDER_INT64, MOR_PQ_ORDER_UINT64);
    case MOR_PQ_FLOAT:
        return MOR_PQ_ORDER_FLOAT;
    case MOR_PQ_DOUBLE:
        return MOR_PQ_ORDER_DOUBLE;
    case MOR_PQ_FLBA:
        if (e->logical == MOR_PQ_L_FLOAT16)
            return MOR_PQ_ORDER_FLOAT16;
        if (e->converted == MOR_PQ_C_INTERVAL)
            return MOR_PQ_ORDER_NONE;
        return decimal ? MOR_PQ_ORDER_SIGNED_BYTES : MOR_PQ_ORDER_BYTES;
    case MOR_PQ_BYTE_ARRAY:
        // Geometry and geography (17, 18) and annotations yet to come have no order here.
        if (e->logical > MOR_PQ_L_FLOAT16)
            return MOR_PQ_ORDER_NONE;
        return decimal ? MOR_PQ_ORDER_SIGNED_BYTES : MOR_PQ_ORDER_BYTES;
    default:
        return MOR_PQ_ORDER_NONE;
    }
}

// ---- comparing ----------------------------------------------------------------------------------

#define COMPARE(a_, b_) (((a_) > (b_)) - ((a_) < (b_)))

static size_t order_size(enum mor_pq_order order)
{
    switch (order) {
    case MOR_PQ_ORDER_BOOLEAN:
        return 1;
    case MOR_PQ_ORDER_FLOAT16:
        return 2;
    case MOR_PQ_ORDER_INT32:
    case MOR_PQ_ORDER_UINT32:
    case MOR_PQ_ORDER_FLOAT:
        return 4;
    case MOR_PQ_ORDER_INT64:
    case MOR_PQ_ORDER_UINT64:
    case MOR_PQ_ORDER_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

static uint32_t load_u32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static uint64_t load_u64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

static float load_float(const void *at)
{
    float value;
    memcpy(&value, at, 4);
    return value;
}

static double load_double(const void *at)
{
    double value;
    memcpy(&value, at, 8);
    return value;
}

// Half precision as an integer that sorts alike (both zeroes as 0).
static int32_t load_half(const void *at)
{
    uint16_t bits;
    memcpy(&bits, at, 2);
    int32_t magnitude = bits & 0x7fff;
    return bits & 0x8000 ? -magnitude : magnitude;
}

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t shorter = a_size < b_size ? a_size : b_size;
    int order = shorter ? memcmp(a, b, shorter) : 0;
    return order ? order : COMPARE(a_size, b_size);
}

// Big-endian two's complement; missing leading bytes are the sign.
static int compare_signed(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    bool a_negative = a_size && a[0] & 0x80, b_negative = b_size && b[0] & 0x80;
    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    const uint8_t fill = a_negative ? 0xff : 0;
    size_t size = a_size > b_size ? a_size : b_size;
    for (size_t i = 0; i < size; i++) {
        uint8_t x = i + a_size < size ? fill : a[i + a_size - size];
        uint8_t y = i + b_size < size ? fill : b[i + b_size - size];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int mor_pq_compare(enum mor_pq_order order, const void *a, size_t a_size, const void *b,
                   size_t b_size)
{
    size_t size = order_size(order);
    if (size > 0 && (a_size != size || b_size != size))
        return 0;
    switch (order) {
    case MOR_PQ_ORDER_BOOLEAN:
        return COMPARE(*(const uint8_t *)a, *(const uint8_t *)b);
    case MOR_PQ_ORDER_INT32:
        return COMPARE((int32_t)load_u32(a), (int32_t)load_u32(b));
    case MOR_PQ_ORDER_UINT32:
        return COMPARE(load_u32(a), load_u32(b));
    case MOR_PQ_ORDER_INT64:
        return COMPARE((int64_t)load_u64(a), (int64_t)load_u64(b));
    case MOR_PQ_ORDER_UINT64:
        return COMPARE(load_u64(a), load_u64(b));
    case MOR_PQ_ORDER_FLOAT:
        return COMPARE(load_float(a), load_float(b));
    case MOR_PQ_ORDER_DOUBLE:
        return COMPARE(load_double(a), load_double(b));
    case MOR_PQ_ORDER_FLOAT16:
        return COMPARE(load_half(a), load_half(b));
    case MOR_PQ_ORDER_BYTES:
        return compare_bytes(a, a_size, b, b_size);
    case MOR_PQ_ORDER_SIGNED_BYTES:
        return compare_signed(a, a_size, b, b_size);
    default:
        return 0;
    }
}

bool mor_pq_bound_usable(enum mor_pq_order order, const struct mor_pq_bytes *bound,
                         int32_t type_length)
{
    if (!bound->data || order == MOR_PQ_ORDER_NONE)
        return false;
    size_t size = order_size(order);
    if (size > 0 && bound->size_bytes != size)
        return false;
    if (order == MOR_PQ_ORDER_SIGNED_BYTES &&
        (bound->size_bytes == 0 || (type_length > 0 && bound->size_bytes != (size_t)type_length)))
        return false;
    if (order == MOR_PQ_ORDER_FLOAT)
        return !isnan(load_float(bound->data));
    if (order == MOR_PQ_ORDER_DOUBLE)
        return !isnan(load_double(bound->data));
    if (order == MOR_PQ_ORDER_FLOAT16)
        return abs(load_half(bound->data)) <= 0x7c00;
    return true;
}

// ---- collecting ---------------------------------------------------------------------------------

void mor_pq_bounds_init(struct mor_pq_bounds *bounds, enum mor_pq_order order)
{
    *bounds = (struct mor_pq_bounds){.order = order};
}

void mor_pq_bounds_done(struct mor_pq_bounds *bounds)
{
    mor_buffer_done(&bounds->min);
    mor_buffer_done(&bounds->max);
}

void mor_pq_bounds_reset(struct mor_pq_bounds *bounds)
{
    bounds->any = bounds->nan = false;
    mor_buffer_reset(&bounds->min);
    mor_buffer_reset(&bounds->max);
}

static void put(struct mor_buffer *buffer, const void *bytes, size_t size)
{
    mor_buffer_reset(buffer);
    mor_buffer_append(buffer, bytes, size);
}

// Takes min and max of other values into the bounds.
static void add_pair(struct mor_pq_bounds *b, const void *min, size_t min_size, const void *max,
                     size_t max_size)
{
    if (!b->any || mor_pq_compare(b->order, min, min_size, b->min.data, b->min.size_bytes) < 0)
        put(&b->min, min, min_size);
    if (!b->any || mor_pq_compare(b->order, max, max_size, b->max.data, b->max.size_bytes) > 0)
        put(&b->max, max, max_size);
    b->any = true;
}

MOR_PQ_CLONES static void add_int32(struct mor_pq_bounds *b, const int32_t *values, size_t count)
{
    int32_t min = values[0], max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    add_pair(b, &min, 4, &max, 4);
}

MOR_PQ_CLONES static void add_int64(struct mor_pq_bounds *b, const int64_t *values, size_t count)
{
    int64_t min = values[0], max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    add_pair(b, &min, 8, &max, 8);
}

MOR_PQ_CLONES static void add_float(struct mor_pq_bounds *b, const float *values, size_t count)
{
    float min = INFINITY, max = -INFINITY;
    bool nan = false;
    size_t real = 0;
    for (size_t i = 0; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        nan |= values[i] != values[i];
        real += values[i] == values[i];
    }
    b->nan |= nan;
    if (real == 0)
        return;
    min = min == 0 ? -0.0f : min;
    max = max == 0 ? 0.0f : max;
    add_pair(b, &min, 4, &max, 4);
}

MOR_PQ_CLONES static void add_double(struct mor_pq_bounds *b, const double *values, size_t count)
{
    double min = INFINITY, max = -INFINITY;
    bool nan = false;
    size_t real = 0;
    for (size_t i = 0; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        nan |= values[i] != values[i];
        real += values[i] == values[i];
    }
    b->nan |= nan;
    if (real == 0)
        return;
    min = min == 0 ? -0.0 : min;
    max = max == 0 ? 0.0 : max;
    add_pair(b, &min, 8, &max, 8);
}

// First eight bytes as a number that sorts as the bytes do (shorter values padded with zeroes).
static inline uint64_t prefix_of(const uint8_t *at, size_t size, const uint8_t *end)
{
    uint64_t word = 0;
    if ((size_t)(end - at) >= 8) {
        memcpy(&word, at, 8);
        word = __builtin_bswap64(word);
        if (size < 8)
            word = size ? word & ~(UINT64_MAX >> (8 * size)) : 0;
        return word;
    }
    for (size_t i = 0; i < 8; i++)
        word = word << 8 | (i < size ? at[i] : 0);
    return word;
}

static void add_bytes(struct mor_pq_bounds *b, const struct mor_pq_values *values)
{
    const uint8_t *end = values->data.data + values->data.size_bytes, *min, *max;
    size_t min_size, max_size, size;
    min = max = mor_pq_values_at(values, 0, &min_size);
    max_size = min_size;
    uint64_t min_prefix = prefix_of(min, min_size, end), max_prefix = min_prefix;
    for (size_t i = 1; i < values->count; i++) {
        const uint8_t *at = mor_pq_values_at(values, i, &size);
        uint64_t prefix = prefix_of(at, size, end);
        // Only equal prefixes need the bytes themselves.
        if (prefix <= min_prefix &&
            (prefix < min_prefix || compare_bytes(at, size, min, min_size) < 0)) {
            min = at;
            min_size = size;
            min_prefix = prefix;
        }
        if (prefix >= max_prefix &&
            (prefix > max_prefix || compare_bytes(at, size, max, max_size) > 0)) {
            max = at;
            max_size = size;
            max_prefix = prefix;
        }
    }
    add_pair(b, min, min_size, max, max_size);
}

static void add_one_by_one(struct mor_pq_bounds *b, const struct mor_pq_values *values,
                           const uint8_t *used)
{
    const uint8_t *min = NULL, *max = NULL;
    size_t min_size = 0, max_size = 0;
    for (size_t i = 0; i < values->count; i++) {
        size_t size;
        if (used && !used[i])
            continue;
        const uint8_t *at = mor_pq_values_at(values, i, &size);
        if (!min || mor_pq_compare(b->order, at, size, min, min_size) < 0) {
            min = at;
            min_size = size;
        }
        if (!max || mor_pq_compare(b->order, at, size, max, max_size) > 0) {
            max = at;
            max_size = size;
        }
    }
    if (min)
        add_pair(b, min, min_size, max, max_size);
}

void mor_pq_bounds_add(struct mor_pq_bounds *b, const struct mor_pq_values *values)
{
    const void *data = values->data.data;
    if (values->count == 0)
        return;
    switch (b->order) {
    case MOR_PQ_ORDER_NONE:
        break;
    case MOR_PQ_ORDER_INT32:
        add_int32(b, data, values->count);
        break;
    case MOR_PQ_ORDER_INT64:
        add_int64(b, data, values->count);
        break;
    case MOR_PQ_ORDER_FLOAT:
        add_float(b, data, values->count);
        break;
    case MOR_PQ_ORDER_DOUBLE:
        add_double(b, data, values->count);
        break;
    case MOR_PQ_ORDER_BYTES:
        add_bytes(b, values);
        break;
    default:
        add_one_by_one(b, values, NULL);
        break;
    }
}

void mor_pq_bounds_add_used(struct mor_pq_bounds *b, const struct mor_pq_values *values,
                            const uint8_t *used)
{
    if (b->order == MOR_PQ_ORDER_FLOAT || b->order == MOR_PQ_ORDER_DOUBLE) {
        // NaN and zero rules are kept by the vector functions, one value at a time.
        for (size_t i = 0; i < values->count; i++) {
            if (used[i] && b->order == MOR_PQ_ORDER_FLOAT)
                add_float(b, (const float *)(const void *)values->data.data + i, 1);
            else if (used[i])
                add_double(b, (const double *)(const void *)values->data.data + i, 1);
        }
        return;
    }
    if (b->order != MOR_PQ_ORDER_NONE)
        add_one_by_one(b, values, used);
}

void mor_pq_bounds_merge(struct mor_pq_bounds *b, const struct mor_pq_bounds *other)
{
    b->nan |= other->nan;
    if (other->any)
        add_pair(b, other->min.data, other->min.size_bytes, other->max.data, other->max.size_bytes);
}

// ---- cutting ------------------------------------------------------------------------------------

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

static size_t cut_size(const struct mor_buffer *bound, bool text, size_t bytes_max)
{
    size_t size = bytes_max;
    while (text && size > 0 && is_continuation(bound->data[size]))
        size--;
    return size;
}

// Decodes the character that ends at `size`; 0 when it is not well formed.
static uint32_t last_character(const uint8_t *bytes, size_t size, size_t *ret_start)
{
    size_t start = size - 1;
    while (start > 0 && size - start < 4 && is_continuation(bytes[start]))
        start--;
    *ret_start = start;
    uint8_t head = bytes[start];
    size_t length = size - start;
    if (head < 0x80)
        return length == 1 ? head : 0;
    static const uint8_t masks[] = {0, 0, 0x1f, 0x0f, 0x07};
    if (length < 2 || length > 4)
        return 0;
    uint32_t character = head & masks[length];
    for (size_t i = start + 1; i < size; i++)
        character = character << 6 | (bytes[i] & 0x3f);
    return character;
}

static size_t put_character(uint8_t *to, uint32_t character)
{
    if (character < 0x80) {
        to[0] = (uint8_t)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        to[i] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    to[0] = (uint8_t)(heads[length] | character);
    return length;
}

// Makes bytes[0..size) greater than everything that begins with it; returns the new size, 0 =
// cannot.
static size_t raise_text(uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t start;
        uint32_t character = last_character(bytes, size, &start);
        if (character != 0 && character < 0x10ffff) {
            character = character == 0xd7ff ? 0xe000 : character + 1;
            return start + put_character(bytes + start, character);
        }
        size = start;
    }
    return 0;
}

static size_t raise_bytes(uint8_t *bytes, size_t size)
{
    while (size > 0 && bytes[size - 1] == 0xff)
        size--;
    if (size > 0)
        bytes[size - 1]++;
    return size;
}

struct mor_pq_cut mor_pq_bounds_cut(const struct mor_pq_bounds *bounds, bool text, size_t bytes_max,
                                    struct mor_arena *arena)
{
    struct mor_pq_cut cut = {.min_exact = true, .max_exact = true};
    const struct mor_buffer *min = &bounds->min, *max = &bounds->max;
    size_t min_size = min->size_bytes, max_size = max->size_bytes;
    uint8_t *min_copy = mor_arena_alloc(arena, min_size + 1),
            *max_copy = mor_arena_alloc(arena, max_size + 4);
    bool cuttable = bounds->order == MOR_PQ_ORDER_BYTES;
    if (min_size > 0)
        memcpy(min_copy, min->data, min_size);
    if (max_size > 0)
        memcpy(max_copy, max->data, max_size);
    if (cuttable && min_size > bytes_max) {
        min_size = cut_size(min, text, bytes_max);
        cut.min_exact = false;
    }
    if (cuttable && max_size > bytes_max) {
        size_t raised = cut_size(max, text, bytes_max);
        raised = text ? raise_text(max_copy, raised) : raise_bytes(max_copy, raised);
        if (raised > 0) {
            max_size = raised;
            cut.max_exact = false;
        } else {
            memcpy(max_copy, max->data, max_size);
        }
    }
    cut.min = (struct mor_pq_bytes){.data = min_copy, .size_bytes = min_size};
    cut.max = (struct mor_pq_bytes){.data = max_copy, .size_bytes = max_size};
    return cut;
}
