#include "moraine/base/position_set.h"

#include <assert.h>

// 64-bit portable format: count of bitmaps u64 | for each, ascending: high 32 bits u32, bitmap.
// Bitmap: cookie 12346 u32, count of containers u32; or, when one of them has runs, cookie 12347
// and count - 1 in the upper half of one u32, then a bit for each that has runs | for each: key
// u16, count - 1 u16 | offset from the start of the bitmap u32 for each, left out when there are
// runs and fewer than 4 containers | containers: up to 4096 values u16 ascending; or 1024 words
// u64; or count of runs u16 and start, length - 1 u16 of each. All little-endian.
#define COOKIE         12346
#define COOKIE_RUNS    12347
#define NO_OFFSETS_MAX 3
#define VALUES_MAX     4096 // of a container that is no bits
#define WORDS          1024
#define BITS_BYTES     (WORDS * sizeof(uint64_t))
#define HIGH_MAX       0x7ffffffeu
#define CONTAINERS_MAX 65536
#define CONTAINER_ROWS 65536u

struct container {
    uint64_t key;      // position >> 16
    uint32_t count;    // never 0
    uint32_t capacity; // of values; 0 = bits
    union {
        uint16_t *values; // ascending
        uint64_t *words;
    };
};

struct mor_position_set {
    struct container *containers; // ascending by key
    size_t container_count, capacity;
    uint64_t count;
    struct mor_budget *budget;
};

// ---- containers ---------------------------------------------------------------------------------

static bool has_bit(const uint64_t *words, uint32_t low)
{
    return (words[low >> 6] >> (low & 63)) & 1;
}

static size_t container_bytes(const struct container *c)
{
    return c->capacity > 0 ? c->capacity * sizeof *c->values : BITS_BYTES;
}

static void container_done(struct mor_position_set *set, struct container *c)
{
    mor_budget_give(set->budget, container_bytes(c));
    if (c->capacity > 0)
        free(c->values);
    else
        free(c->words);
}

static void reserve_values(struct mor_position_set *set, struct container *c, uint32_t capacity)
{
    mor_budget_take(set->budget, (capacity - c->capacity) * sizeof *c->values);
    c->values = mor_realloc(c->values, capacity * sizeof *c->values);
    c->capacity = capacity;
}

static void become_bits(struct mor_position_set *set, struct container *c)
{
    uint64_t *words = mor_calloc(WORDS, sizeof *words);
    for (uint32_t i = 0; i < c->count; i++)
        words[c->values[i] >> 6] |= UINT64_C(1) << (c->values[i] & 63);
    mor_budget_give(set->budget, container_bytes(c));
    mor_budget_take(set->budget, BITS_BYTES);
    free(c->values);
    c->capacity = 0;
    c->words = words;
}

// Index of the first value that is not less than `low`.
static uint32_t lower_bound(const struct container *c, uint32_t low)
{
    uint32_t from = 0, to = c->count;
    if (to > 0 && c->values[to - 1] < low) // the usual case while adding
        return to;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (c->values[middle] < low)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool container_has(const struct container *c, uint32_t low)
{
    if (c->capacity == 0)
        return has_bit(c->words, low);
    uint32_t at = lower_bound(c, low);
    return at < c->count && c->values[at] == low;
}

static void container_add(struct mor_position_set *set, struct container *c, uint32_t low)
{
    uint32_t at = 0;
    if (c->capacity > 0) {
        at = lower_bound(c, low);
        if (at < c->count && c->values[at] == low)
            return;
        if (c->count == VALUES_MAX)
            become_bits(set, c);
    }
    if (c->capacity == 0) {
        if (has_bit(c->words, low))
            return;
        c->words[low >> 6] |= UINT64_C(1) << (low & 63);
    } else {
        if (c->count == c->capacity)
            reserve_values(set, c, c->capacity * 2);
        memmove(c->values + at + 1, c->values + at, (c->count - at) * sizeof *c->values);
        c->values[at] = (uint16_t)low;
    }
    c->count++;
    set->count++;
}

// Calls `body` with `low` = every value of the container c, ascending, from `from_` on.
#define FOR_EACH_VALUE(c_, from_, low_, body_)                                                     \
    do {                                                                                           \
        if ((c_)->capacity > 0) {                                                                  \
            for (uint32_t i_ = lower_bound((c_), (from_)); i_ < (c_)->count; i_++) {               \
                uint32_t low_ = (c_)->values[i_];                                                  \
                body_                                                                              \
            }                                                                                      \
        } else {                                                                                   \
            for (uint32_t w_ = (from_) >> 6; w_ < WORDS; w_++) {                                   \
                uint64_t bits_ = (c_)->words[w_];                                                  \
                if (w_ == (from_) >> 6)                                                            \
                    bits_ &= UINT64_MAX << ((from_)&63);                                           \
                for (; bits_ != 0; bits_ &= bits_ - 1) {                                           \
                    uint32_t low_ = w_ * 64 + (uint32_t)__builtin_ctzll(bits_);                    \
                    body_                                                                          \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

// ---- the set ------------------------------------------------------------------------------------

struct mor_position_set *mor_position_set_new(struct mor_budget *budget)
{
    struct mor_position_set *set = mor_calloc(1, sizeof *set);
    set->budget = budget;
    return set;
}

void mor_position_set_free(struct mor_position_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->container_count; i++)
        container_done(set, &set->containers[i]);
    free(set->containers);
    free(set);
}

// Index of the first container whose key is not less than `key`.
static size_t find_container(const struct mor_position_set *set, uint64_t key)
{
    size_t from = 0, to = set->container_count;
    if (to > 0 && set->containers[to - 1].key < key)
        return to;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (set->containers[middle].key < key)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_at(const struct mor_position_set *set, size_t at, uint64_t key)
{
    return at < set->container_count && set->containers[at].key == key;
}

static struct container *insert_container(struct mor_position_set *set, size_t at, uint64_t key)
{
    if (set->container_count == set->capacity) {
        set->capacity = set->capacity > 0 ? set->capacity * 2 : 4;
        set->containers = mor_realloc(set->containers, set->capacity * sizeof *set->containers);
    }
    memmove(set->containers + at + 1, set->containers + at,
            (set->container_count - at) * sizeof *set->containers);
    set->container_count++;
    struct container *c = &set->containers[at];
    *c = (struct container){.key = key};
    return c;
}

void mor_position_set_add(struct mor_position_set *set, uint64_t position)
{
    assert(position <= MOR_POSITION_MAX);
    uint64_t key = position >> 16;
    size_t at = find_container(set, key);
    struct container *c = is_at(set, at, key) ? &set->containers[at] : NULL;
    if (c == NULL) {
        c = insert_container(set, at, key);
        reserve_values(set, c, 4);
    }
    container_add(set, c, (uint32_t)(position & 0xffff));
}

void mor_position_set_add_all(struct mor_position_set *set, const uint32_t *positions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mor_position_set_add(set, positions[i]);
}

static void copy_container(struct mor_position_set *set, size_t at, const struct container *from)
{
    struct container *c = insert_container(set, at, from->key);
    c->count = from->count;
    set->count += from->count;
    if (from->capacity > 0) {
        reserve_values(set, c, from->count);
        memcpy(c->values, from->values, from->count * sizeof *c->values);
        return;
    }
    mor_budget_take(set->budget, BITS_BYTES);
    c->words = mor_alloc(BITS_BYTES);
    memcpy(c->words, from->words, BITS_BYTES);
}

struct mor_position_set *mor_position_set_copy(const struct mor_position_set *set)
{
    struct mor_position_set *copy = mor_position_set_new(set->budget);
    mor_position_set_unite(copy, set);
    return copy;
}

void mor_position_set_unite(struct mor_position_set *set, const struct mor_position_set *other)
{
    for (size_t i = 0; set != other && i < other->container_count; i++) {
        const struct container *from = &other->containers[i];
        size_t at = find_container(set, from->key);
        if (!is_at(set, at, from->key)) {
            copy_container(set, at, from);
            continue;
        }
        struct container *c = &set->containers[at];
        FOR_EACH_VALUE(from, 0u, low, { container_add(set, c, low); });
    }
}

void mor_position_set_subtract(struct mor_position_set *set, const struct mor_position_set *other)
{
    // a container may not become empty, nor bits few: what is left is put together anew
    struct mor_position_set left = {.budget = set->budget};
    for (size_t i = 0; i < set->container_count; i++) {
        const struct container *c = &set->containers[i];
        size_t at = find_container(other, c->key);
        if (!is_at(other, at, c->key)) {
            copy_container(&left, left.container_count, c);
            continue;
        }
        const struct container *gone = &other->containers[at];
        FOR_EACH_VALUE(c, 0u, low, {
            if (!container_has(gone, low))
                mor_position_set_add(&left, c->key << 16 | low);
        });
    }
    for (size_t i = 0; i < set->container_count; i++)
        container_done(set, &set->containers[i]);
    free(set->containers);
    *set = left;
}

uint64_t mor_position_set_count(const struct mor_position_set *set)
{
    return set->count;
}

bool mor_position_set_has(const struct mor_position_set *set, uint64_t position)
{
    size_t at = find_container(set, position >> 16);
    return is_at(set, at, position >> 16) &&
           container_has(&set->containers[at], (uint32_t)(position & 0xffff));
}

uint64_t mor_position_set_rank(const struct mor_position_set *set, uint64_t position)
{
    size_t at = find_container(set, position >> 16);
    uint64_t rank = 0;
    for (size_t i = 0; i < at; i++)
        rank += set->containers[i].count;
    if (!is_at(set, at, position >> 16))
        return rank;
    const struct container *c = &set->containers[at];
    uint32_t low = (uint32_t)(position & 0xffff);
    if (c->capacity > 0)
        return rank + lower_bound(c, low);
    for (uint32_t i = 0; i < low >> 6; i++)
        rank += (uint64_t)__builtin_popcountll(c->words[i]);
    uint64_t before = (UINT64_C(1) << (low & 63)) - 1;
    return rank + (uint64_t)__builtin_popcountll(c->words[low >> 6] & before);
}

uint64_t mor_position_set_first(const struct mor_position_set *set)
{
    uint64_t first = 0;
    size_t count = mor_position_set_list(set, 0, &first, 1);
    assert(count == 1);
    (void)count;
    return first;
}

uint64_t mor_position_set_last(const struct mor_position_set *set)
{
    assert(set->container_count > 0);
    const struct container *c = &set->containers[set->container_count - 1];
    if (c->capacity > 0)
        return c->key << 16 | c->values[c->count - 1];
    uint32_t word = WORDS - 1;
    while (word > 0 && c->words[word] == 0)
        word--;
    return c->key << 16 | (word * 64 + 63 - (uint32_t)__builtin_clzll(c->words[word]));
}

size_t mor_position_set_list(const struct mor_position_set *set, uint64_t from,
                             uint64_t *ret_positions, size_t count_max)
{
    size_t count = 0;
    for (size_t i = find_container(set, from >> 16); i < set->container_count; i++) {
        const struct container *c = &set->containers[i];
        uint32_t first = c->key == from >> 16 ? (uint32_t)(from & 0xffff) : 0;
        FOR_EACH_VALUE(c, first, low, {
            if (count == count_max)
                return count;
            ret_positions[count++] = c->key << 16 | low;
        });
    }
    return count;
}

size_t mor_position_set_leave_out(const struct mor_position_set *set, uint64_t first,
                                  uint32_t count, uint32_t *ret_rows)
{
    size_t kept = 0;
    uint32_t row = 0;
    for (size_t i = find_container(set, first >> 16); i < set->container_count && row < count;
         i++) {
        const struct container *c = &set->containers[i];
        uint64_t base = c->key << 16;
        if (base >= first + count)
            break;
        uint32_t from = base < first ? (uint32_t)(first - base) : 0;
        FOR_EACH_VALUE(c, from, low, {
            if (base + low >= first + count)
                goto rest;
            for (uint32_t gone = (uint32_t)(base + low - first); row < gone; row++)
                ret_rows[kept++] = row;
            row++;
        });
    }
rest:
    for (; row < count; row++)
        ret_rows[kept++] = row;
    return kept;
}

// ---- writing ------------------------------------------------------------------------------------

static void append_le16(struct mor_buffer *bytes, uint32_t value)
{
    mor_buffer_append_u8(bytes, (uint8_t)value);
    mor_buffer_append_u8(bytes, (uint8_t)(value >> 8));
}

static uint32_t count_runs(const struct container *c)
{
    uint32_t runs = 0;
    if (c->capacity > 0) {
        for (uint32_t i = 0; i < c->count; i++)
            runs += i == 0 || c->values[i] != c->values[i - 1] + 1;
        return runs;
    }
    uint64_t before = 0; // the last bit of the word before
    for (uint32_t i = 0; i < WORDS; i++) {
        runs += (uint32_t)__builtin_popcountll(c->words[i] & ~(c->words[i] << 1 | before));
        before = c->words[i] >> 63;
    }
    return runs;
}

// Runs when they take less than values or bits.
static bool has_runs(const struct container *c, uint32_t *ret_runs)
{
    *ret_runs = count_runs(c);
    size_t plain = c->count <= VALUES_MAX ? (size_t)c->count * 2 : BITS_BYTES;
    return 2 + (size_t)*ret_runs * 4 < plain;
}

static size_t written_bytes(const struct container *c)
{
    uint32_t runs;
    if (has_runs(c, &runs))
        return 2 + (size_t)runs * 4;
    return c->count <= VALUES_MAX ? (size_t)c->count * 2 : BITS_BYTES;
}

static void write_runs(const struct container *c, uint32_t runs, struct mor_buffer *bytes)
{
    append_le16(bytes, runs);
    uint32_t start = 0, last = UINT32_MAX;
    FOR_EACH_VALUE(c, 0u, low, {
        if (last == UINT32_MAX) {
            start = low;
        } else if (low != last + 1) {
            append_le16(bytes, start);
            append_le16(bytes, last - start);
            start = low;
        }
        last = low;
    });
    append_le16(bytes, start);
    append_le16(bytes, last - start);
}

static void write_container(const struct container *c, struct mor_buffer *bytes)
{
    uint32_t runs;
    if (has_runs(c, &runs)) {
        write_runs(c, runs, bytes);
        return;
    }
    if (c->count <= VALUES_MAX) {
        FOR_EACH_VALUE(c, 0u, low, { append_le16(bytes, low); });
        return;
    }
    for (uint32_t i = 0; i < WORDS; i++)
        mor_buffer_append_le64(bytes, c->words[i]);
}

// The containers [first, first + count), which have the high 32 bits in common.
static void write_bitmap(const struct container *containers, size_t count, struct mor_buffer *bytes)
{
    size_t start = bytes->size_bytes;
    uint8_t flags[CONTAINERS_MAX / 8] = {0};
    bool any_runs = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t runs;
        if (!has_runs(&containers[i], &runs))
            continue;
        any_runs = true;
        flags[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    if (any_runs) {
        mor_buffer_append_le32(bytes, COOKIE_RUNS | (uint32_t)(count - 1) << 16);
        mor_buffer_append(bytes, flags, (count + 7) / 8);
    } else {
        mor_buffer_append_le32(bytes, COOKIE);
        mor_buffer_append_le32(bytes, (uint32_t)count);
    }
    for (size_t i = 0; i < count; i++) {
        append_le16(bytes, (uint32_t)(containers[i].key & 0xffff));
        append_le16(bytes, containers[i].count - 1);
    }
    if (!any_runs || count > NO_OFFSETS_MAX) {
        size_t offset = bytes->size_bytes - start + count * 4;
        for (size_t i = 0; i < count; i++) {
            mor_buffer_append_le32(bytes, (uint32_t)offset);
            offset += written_bytes(&containers[i]);
        }
    }
    for (size_t i = 0; i < count; i++)
        write_container(&containers[i], bytes);
}

// How many containers from `first` on have the same high 32 bits.
static size_t bitmap_length(const struct mor_position_set *set, size_t first)
{
    size_t count = 1;
    while (first + count < set->container_count &&
           set->containers[first + count].key >> 16 == set->containers[first].key >> 16)
        count++;
    return count;
}

void mor_position_set_write(const struct mor_position_set *set, struct mor_buffer *ret_bytes)
{
    uint64_t bitmaps = 0;
    for (size_t i = 0; i < set->container_count; i += bitmap_length(set, i))
        bitmaps++;
    mor_buffer_append_le64(ret_bytes, bitmaps);
    for (size_t i = 0; i < set->container_count; i += bitmap_length(set, i)) {
        mor_buffer_append_le32(ret_bytes, (uint32_t)(set->containers[i].key >> 16));
        write_bitmap(&set->containers[i], bitmap_length(set, i), ret_bytes);
    }
}

// ---- reading ------------------------------------------------------------------------------------

struct input {
    const uint8_t *bytes;
    size_t size, at;
};

static size_t left_of(const struct input *in)
{
    return in->size - in->at;
}

static uint64_t take_le(struct input *in, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)in->bytes[in->at + i] << (8 * i);
    in->at += width;
    return value;
}

#define wrong(in_, err_, ...)                                                                      \
    ({                                                                                             \
        enum mor_status wrong_status_ = mor_error_set((err_), MOR_DATA, __VA_ARGS__);              \
        (err_)->file_offset = (int64_t)(in_)->at;                                                  \
        wrong_status_;                                                                             \
    })

static enum mor_status need(const struct input *in, size_t bytes, struct mor_error *err)
{
    if (left_of(in) < bytes)
        return wrong(in, err, "the bitmap of positions ends in the middle");
    return MOR_OK;
}

static enum mor_status read_values(struct mor_position_set *set, struct input *in,
                                   struct container *c, uint32_t count, struct mor_error *err)
{
    MOR_TRY(need(in, (size_t)count * 2, err));
    reserve_values(set, c, count);
    for (; c->count < count; c->count++) {
        c->values[c->count] = (uint16_t)take_le(in, 2);
        if (c->count > 0 && c->values[c->count] <= c->values[c->count - 1])
            return wrong(in, err, "positions are not in ascending order");
    }
    return MOR_OK;
}

static void make_bits(struct mor_position_set *set, struct container *c)
{
    mor_budget_take(set->budget, BITS_BYTES);
    c->words = mor_calloc(WORDS, sizeof *c->words);
}

static enum mor_status read_bits(struct mor_position_set *set, struct input *in,
                                 struct container *c, uint32_t count, struct mor_error *err)
{
    MOR_TRY(need(in, BITS_BYTES, err));
    make_bits(set, c);
    for (uint32_t i = 0; i < WORDS; i++) {
        c->words[i] = take_le(in, 8);
        c->count += (uint32_t)__builtin_popcountll(c->words[i]);
    }
    if (c->count != count)
        return wrong(in, err, "a bitmap has %u positions and states %u", c->count, count);
    return MOR_OK;
}

static enum mor_status read_runs(struct mor_position_set *set, struct input *in,
                                 struct container *c, uint32_t count, struct mor_error *err)
{
    MOR_TRY(need(in, 2, err));
    uint32_t runs = (uint32_t)take_le(in, 2), next = 0;
    MOR_TRY(need(in, (size_t)runs * 4, err));
    if (count > VALUES_MAX)
        make_bits(set, c);
    else
        reserve_values(set, c, count);
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t start = (uint32_t)take_le(in, 2), last = start + (uint32_t)take_le(in, 2);
        if (last >= CONTAINER_ROWS || (i > 0 && start < next))
            return wrong(in, err, "runs of positions overlap or leave their range");
        if (last - start + 1 > count - c->count)
            return wrong(in, err, "runs have more positions than the %u that are stated", count);
        for (uint32_t low = start; low <= last; low++) {
            if (c->capacity == 0)
                c->words[low >> 6] |= UINT64_C(1) << (low & 63);
            else
                c->values[c->count] = (uint16_t)low;
            c->count++;
        }
        next = last + 1;
    }
    if (c->count != count)
        return wrong(in, err, "runs have %u positions and state %u", c->count, count);
    return MOR_OK;
}

// Head of a bitmap: how many containers, and which have runs (NULL = none).
static enum mor_status read_head(struct input *in, uint32_t *ret_count, const uint8_t **ret_flags,
                                 struct mor_error *err)
{
    MOR_TRY(need(in, 4, err));
    uint32_t cookie = (uint32_t)take_le(in, 4);
    *ret_flags = NULL;
    if (cookie == COOKIE) {
        MOR_TRY(need(in, 4, err));
        *ret_count = (uint32_t)take_le(in, 4);
    } else if ((cookie & 0xffff) == COOKIE_RUNS) {
        *ret_count = (cookie >> 16) + 1;
        MOR_TRY(need(in, (*ret_count + 7) / 8, err));
        *ret_flags = in->bytes + in->at;
        in->at += (*ret_count + 7) / 8;
    } else {
        return wrong(in, err, "%u is not the beginning of a bitmap of positions", cookie);
    }
    if (*ret_count > CONTAINERS_MAX)
        return wrong(in, err, "a bitmap with %u containers", *ret_count);
    return MOR_OK;
}

static enum mor_status read_bitmap(struct mor_position_set *set, uint64_t high, struct input *in,
                                   struct mor_error *err)
{
    uint32_t count;
    const uint8_t *flags;
    MOR_TRY(read_head(in, &count, &flags, err));
    bool has_offsets = flags == NULL || count > NO_OFFSETS_MAX;
    MOR_TRY(need(in, (size_t)count * (has_offsets ? 8 : 4), err));
    struct input heads = {in->bytes, in->size, in->at};
    in->at += (size_t)count * (has_offsets ? 8 : 4); // offsets only repeat what follows
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = high << 16 | take_le(&heads, 2);
        uint32_t stated = (uint32_t)take_le(&heads, 2) + 1;
        if (set->container_count > 0 && set->containers[set->container_count - 1].key >= key)
            return wrong(&heads, err, "containers of positions are not in ascending order");
        struct container *c = insert_container(set, set->container_count, key);
        // an empty container that could not be read is freed like the others
        bool runs = flags != NULL && (flags[i / 8] >> (i % 8) & 1) != 0;
        enum mor_status status = runs                   ? read_runs(set, in, c, stated, err)
                                 : stated <= VALUES_MAX ? read_values(set, in, c, stated, err)
                                                        : read_bits(set, in, c, stated, err);
        if (status != MOR_OK && c->values == NULL)
            set->container_count--;
        MOR_TRY(status);
        set->count += c->count;
    }
    return MOR_OK;
}

static enum mor_status read_set(struct mor_position_set *set, struct input *in,
                                struct mor_error *err)
{
    MOR_TRY(need(in, 8, err));
    uint64_t bitmaps = take_le(in, 8), next = 0;
    for (uint64_t i = 0; i < bitmaps; i++) {
        MOR_TRY(need(in, 4, err));
        uint64_t high = take_le(in, 4);
        if (high < next || high > HIGH_MAX)
            return wrong(in, err, "bitmaps of positions are not in ascending order");
        next = high + 1;
        MOR_TRY(read_bitmap(set, high, in, err));
    }
    if (left_of(in) > 0)
        return wrong(in, err, "%zu bytes follow the bitmap of positions", left_of(in));
    return MOR_OK;
}

enum mor_status mor_position_set_read(const uint8_t *bytes, size_t size_bytes,
                                      struct mor_budget *budget, struct mor_position_set **ret_set,
                                      struct mor_error *err)
{
    struct input in = {bytes, size_bytes, 0};
    struct mor_position_set *set = mor_position_set_new(budget);
    enum mor_status status = read_set(set, &in, err);
    if (status != MOR_OK) {
        mor_position_set_free(set);
        return status;
    }
    *ret_set = set;
    return MOR_OK;
}
