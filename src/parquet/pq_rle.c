#include "pq_rle.h"

#include "pq_simd.h"
#include "pq_thrift.h"

// ---- reading ------------------------------------------------------------------------------------

void mor_pq_rle_init(struct mor_pq_rle *rle, const void *bytes, size_t size_bytes,
                     uint32_t bit_width)
{
    *rle = (struct mor_pq_rle){
        .at = bytes, .end = (const uint8_t *)bytes + size_bytes, .bit_width = bit_width};
}

void mor_pq_rle_init_bit_packed(struct mor_pq_rle *rle, const void *bytes, size_t size_bytes,
                                uint32_t bit_width)
{
    mor_pq_rle_init(rle, bytes, size_bytes, bit_width);
    rle->msb_first = true;
    rle->run_packed = true;
    rle->packed_at = rle->at;
    rle->packed_end = rle->at = rle->end;
    rle->run_left = bit_width ? size_bytes * 8 / bit_width : SIZE_MAX;
}

static bool take_run_head(struct mor_pq_rle *rle, uint32_t *ret_head)
{
    uint32_t head = 0;
    for (unsigned shift = 0; shift < 35 && rle->at < rle->end; shift += 7) {
        uint8_t byte = *rle->at++;
        if (shift == 28 && byte > 0x0f)
            return false;
        head |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_head = head;
            return true;
        }
    }
    return false;
}

// One run, possibly of no values at all; false when there is none or it is malformed.
static bool take_run(struct mor_pq_rle *rle)
{
    uint32_t head;
    if (!take_run_head(rle, &head))
        return false;
    size_t left = (size_t)(rle->end - rle->at);
    rle->run_packed = head & 1;
    if (rle->run_packed) {
        size_t groups = head >> 1, bytes = groups * rle->bit_width;
        rle->run_left = groups * 8;
        // Writers may cut the padding of the last group: what is there counts, reads beyond fail.
        if (bytes > left) {
            bytes = left;
            rle->run_left = rle->bit_width ? left * 8 / rle->bit_width : 0;
        }
        rle->packed_at = rle->at;
        rle->packed_bit = 0;
        rle->packed_end = rle->at + bytes;
        rle->at += bytes;
        return true;
    }
    size_t bytes = (rle->bit_width + 7) / 8;
    if (bytes > left)
        return false;
    rle->run_left = head >> 1;
    rle->run_value = 0;
    for (size_t i = 0; i < bytes; i++)
        rle->run_value |= (uint32_t)rle->at[i] << (8 * i);
    rle->at += bytes;
    if (rle->bit_width < 32 && rle->run_value >> rle->bit_width)
        return false;
    return true;
}

bool mor_pq_rle_next_run(struct mor_pq_rle *rle)
{
    // Every run takes at least a byte, so runs of length zero cannot hold this up.
    do {
        if (!take_run(rle))
            return false;
    } while (rle->run_left == 0);
    return true;
}

static uint64_t load_le64(const uint8_t *bytes, const uint8_t *end)
{
    uint64_t word = 0;
    size_t left = (size_t)(end - bytes);
    memcpy(&word, bytes, left < 8 ? left : 8);
    return word;
}

// Eight values of `width` bits each from the front of `at`, which has 8 bytes to spare. Inlined
// with a constant width: the shifts and the loop are gone then.
static inline __attribute__((always_inline)) void unpack_group(const uint8_t *at, uint32_t width,
                                                               uint32_t *ret_values)
{
    const uint32_t mask = width == 32 ? UINT32_MAX : (1u << width) - 1;
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t word;
        memcpy(&word, at + (i * width >> 3), 8);
        ret_values[i] = (uint32_t)(word >> (i * width & 7)) & mask;
    }
}

#define UNPACK_WIDTH(width_)                                                                       \
    case (width_):                                                                                 \
        for (; groups > 0; groups--, at += (width_), ret_values += 8)                              \
            unpack_group(at, (width_), ret_values);                                                \
        break;

// Whole groups at a byte boundary. Reads up to 8 bytes beyond them.
MOR_PQ_CLONES static void unpack_groups(const uint8_t *at, uint32_t width, uint32_t *ret_values,
                                        size_t groups)
{
    switch (width) {
        UNPACK_WIDTH(1)
        UNPACK_WIDTH(2)
        UNPACK_WIDTH(3)
        UNPACK_WIDTH(4)
        UNPACK_WIDTH(5)
        UNPACK_WIDTH(6)
        UNPACK_WIDTH(7)
        UNPACK_WIDTH(8)
        UNPACK_WIDTH(9)
        UNPACK_WIDTH(10)
        UNPACK_WIDTH(11)
        UNPACK_WIDTH(12)
        UNPACK_WIDTH(13)
        UNPACK_WIDTH(14)
        UNPACK_WIDTH(15)
        UNPACK_WIDTH(16)
        UNPACK_WIDTH(17)
        UNPACK_WIDTH(18)
        UNPACK_WIDTH(19)
        UNPACK_WIDTH(20)
    default:
        for (; groups > 0; groups--, at += width, ret_values += 8)
            unpack_group(at, width, ret_values);
        break;
    }
}

// Values from bit `bit` on, any alignment.
static void unpack_bits(const uint8_t *bytes, const uint8_t *end, size_t bit, uint32_t bit_width,
                        uint32_t *ret_values, size_t count)
{
    uint64_t mask = bit_width == 32 ? UINT32_MAX : (1u << bit_width) - 1;
    size_t left = (size_t)(end - bytes) - (bit >> 3), i = 0;
    if ((bit & 7) == 0 && left > 8) {
        size_t groups = count / 8, fit = (left - 8) / bit_width;
        groups = groups < fit ? groups : fit;
        unpack_groups(bytes + (bit >> 3), bit_width, ret_values, groups);
        i = groups * 8;
        bit += i * bit_width;
    }
    // Eight bytes hold any value at any bit offset (7 + 32 bits), so one load per value suffices.
    for (; i < count && (size_t)(end - bytes) >= (bit >> 3) + 8; i++, bit += bit_width) {
        uint64_t word;
        memcpy(&word, bytes + (bit >> 3), 8);
        ret_values[i] = (uint32_t)(word >> (bit & 7) & mask);
    }
    for (; i < count; i++, bit += bit_width)
        ret_values[i] = (uint32_t)(load_le64(bytes + (bit >> 3), end) >> (bit & 7) & mask);
}

void mor_pq_unpack32(const uint8_t *bytes, const uint8_t *end, uint32_t bit_width,
                     uint32_t *ret_values, size_t count)
{
    if (bit_width == 0)
        memset(ret_values, 0, count * sizeof *ret_values);
    else
        unpack_bits(bytes, end, 0, bit_width, ret_values, count);
}

static uint32_t take_msb(const uint8_t *bytes, size_t bit, uint32_t bit_width)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < bit_width; i++, bit++)
        value = value << 1 | (bytes[bit >> 3] >> (7 - (bit & 7)) & 1);
    return value;
}

static void take_packed(struct mor_pq_rle *rle, uint32_t *ret_values, size_t count)
{
    if (rle->bit_width == 0) {
        memset(ret_values, 0, count * sizeof *ret_values);
    } else if (rle->msb_first) {
        for (size_t i = 0; i < count; i++)
            ret_values[i] =
                take_msb(rle->packed_at, rle->packed_bit + i * rle->bit_width, rle->bit_width);
    } else {
        unpack_bits(rle->packed_at, rle->packed_end, rle->packed_bit, rle->bit_width, ret_values,
                    count);
    }
    rle->packed_bit += count * rle->bit_width;
}

bool mor_pq_rle_read32(struct mor_pq_rle *rle, uint32_t *ret_values, size_t count)
{
    while (count > 0) {
        if (rle->run_left == 0 && !mor_pq_rle_next_run(rle))
            return false;
        size_t take = count < rle->run_left ? count : rle->run_left;
        if (rle->run_packed) {
            take_packed(rle, ret_values, take);
        } else {
            for (size_t i = 0; i < take; i++)
                ret_values[i] = rle->run_value;
        }
        ret_values += take;
        count -= take;
        rle->run_left -= take;
    }
    return true;
}

// One bit per value is what most levels and booleans have: eight values per byte.
static size_t take_packed_bits8(struct mor_pq_rle *rle, uint8_t *ret_values, size_t count)
{
    size_t done = 0;
    if (rle->bit_width != 1 || rle->msb_first || rle->packed_bit % 8 != 0)
        return 0;
    const uint8_t *at = rle->packed_at + rle->packed_bit / 8;
    for (; done + 8 <= count; done += 8) {
        // Spreads the eight bits of a byte over the bytes of a word.
        uint64_t word = (*at++ * 0x0101010101010101u) & 0x8040201008040201u;
        word = ((word + 0x7f7f7f7f7f7f7f7fu) | word) >> 7 & 0x0101010101010101u;
        memcpy(ret_values + done, &word, 8);
    }
    rle->packed_bit += done;
    return done;
}

bool mor_pq_rle_read8(struct mor_pq_rle *rle, uint8_t *ret_values, size_t count)
{
    uint32_t chunk[256];
    while (count > 0) {
        if (rle->run_left == 0 && !mor_pq_rle_next_run(rle))
            return false;
        size_t take = count < rle->run_left ? count : rle->run_left;
        if (!rle->run_packed) {
            memset(ret_values, (int)rle->run_value, take);
        } else {
            size_t fast = take_packed_bits8(rle, ret_values, take);
            if (fast > 0) {
                take = fast;
            } else {
                take = take < 256 ? take : 256;
                take_packed(rle, chunk, take);
                for (size_t i = 0; i < take; i++)
                    ret_values[i] = (uint8_t)chunk[i];
            }
        }
        ret_values += take;
        count -= take;
        rle->run_left -= take;
    }
    return true;
}

bool mor_pq_rle_skip(struct mor_pq_rle *rle, size_t count)
{
    while (count > 0) {
        if (rle->run_left == 0 && !mor_pq_rle_next_run(rle))
            return false;
        size_t take = count < rle->run_left ? count : rle->run_left;
        rle->packed_bit += rle->run_packed ? take * rle->bit_width : 0;
        count -= take;
        rle->run_left -= take;
    }
    return true;
}

// ---- writing ------------------------------------------------------------------------------------

void mor_pq_pack32(struct mor_buffer *out, const uint32_t *values, size_t count, uint32_t bit_width)
{
    size_t bytes = count / 8 * bit_width;
    mor_buffer_reserve(out, bytes + 8);
    uint8_t *at = out->data + out->size_bytes;
    uint64_t word = 0;
    uint32_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)values[i] << filled;
        filled += bit_width;
        if (filled >= 32) {
            uint32_t low = (uint32_t)word;
            memcpy(at, &low, 4);
            at += 4;
            word >>= 32;
            filled -= 32;
        }
    }
    memcpy(at, &word, 8);
    out->size_bytes += bytes;
}

void mor_pq_rle_write_run(struct mor_buffer *out, uint32_t value, size_t count, uint32_t bit_width)
{
    // A run head is 32 bits wide.
    while (count > 0) {
        size_t part = count < INT32_MAX ? count : INT32_MAX;
        mor_pq_append_varint(out, (uint64_t)part << 1);
        for (uint32_t i = 0; i < (bit_width + 7) / 8; i++)
            mor_buffer_append_u8(out, (uint8_t)(value >> (8 * i)));
        count -= part;
    }
}

static void write_packed(struct mor_buffer *out, const uint32_t *values, size_t count,
                         uint32_t bit_width)
{
    size_t groups = (count + 7) / 8, whole = count / 8 * 8;
    if (groups == 0)
        return;
    mor_pq_append_varint(out, (uint64_t)groups << 1 | 1);
    mor_pq_pack32(out, values, whole, bit_width);
    if (whole < count) {
        uint32_t last[8] = {0};
        memcpy(last, values + whole, (count - whole) * sizeof *last);
        mor_pq_pack32(out, last, 8, bit_width);
    }
}

static inline bool is_group_equal(const uint32_t *values)
{
    uint32_t differs = 0;
    for (size_t i = 1; i < 8; i++)
        differs |= values[i] ^ values[0];
    return differs == 0;
}

// Groups of eight: equal ones begin a repeated run, which goes on as far as it can; the others are
// packed together.
void mor_pq_rle_write32(struct mor_buffer *out, const uint32_t *values, size_t count,
                        uint32_t bit_width)
{
    size_t packed_from = 0, i = 0;
    while (i + 8 <= count) {
        if (!is_group_equal(values + i)) {
            i += 8;
            continue;
        }
        size_t run = 8;
        while (i + run < count && values[i + run] == values[i])
            run++;
        write_packed(out, values + packed_from, i - packed_from, bit_width);
        mor_pq_rle_write_run(out, values[i], run, bit_width);
        i += run;
        packed_from = i;
    }
    write_packed(out, values + packed_from, count - packed_from, bit_width);
}

void mor_pq_rle_write8(struct mor_buffer *out, const uint8_t *values, size_t count,
                       uint32_t bit_width)
{
    size_t packed_from = 0, i = 0;
    MOR_AUTO_BUFFER wide = {0};
    while (i <= count) {
        size_t run = 1;
        if (i < count) {
            while (i + run < count && values[i + run] == values[i])
                run++;
        }
        size_t pending = i - packed_from, borrow = (8 - pending % 8) % 8;
        if (i < count && run < borrow + 8) {
            i += run;
            continue;
        }
        size_t packed = i < count ? pending + borrow : pending;
        mor_buffer_reset(&wide);
        mor_buffer_reserve(&wide, packed * sizeof(uint32_t));
        uint32_t *to = (uint32_t *)(void *)wide.data;
        for (size_t k = 0; k < packed; k++)
            to[k] = values[packed_from + k];
        write_packed(out, to, packed, bit_width);
        if (i == count)
            return;
        mor_pq_rle_write_run(out, values[i], run - borrow, bit_width);
        i += run;
        packed_from = i;
    }
}
