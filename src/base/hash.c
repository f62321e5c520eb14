#include "moraine/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t mor_hash64(const void *bytes, size_t size_bytes)
{
    return XXH3_64bits(bytes, size_bytes);
}

struct mor_hash128 mor_hash128(const void *bytes, size_t size_bytes)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, size_bytes);
    return (struct mor_hash128){hash.low64, hash.high64};
}

struct mor_hash128 mor_hash128_seed(const void *bytes, size_t size_bytes, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, size_bytes, seed);
    return (struct mor_hash128){hash.low64, hash.high64};
}

void mor_hash128_add(struct mor_hash128 *sum, struct mor_hash128 more)
{
    unsigned __int128 total = ((unsigned __int128)sum->high << 64 | sum->low) +
                              ((unsigned __int128)more.high << 64 | more.low);
    sum->low = (uint64_t)total;
    sum->high = (uint64_t)(total >> 64);
}

// Eight tables, so that eight bytes are taken at a time ("slicing by 8").
static uint32_t crc_tables[8][256];

__attribute__((constructor)) static void make_crc_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0);
        crc_tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int table = 1; table < 8; table++)
            crc_tables[table][i] =
                (crc_tables[table - 1][i] >> 8) ^ crc_tables[0][crc_tables[table - 1][i] & 0xFF];
}

#if defined(__x86_64__)
#include <immintrin.h>

// Folding by carry-less multiplication ("Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction", Intel 2009, bit-reflected form). Takes whole multiples of 16 bytes, at
// least 64; `crc` is inverted already.
__attribute__((target("pclmul,sse4.1"))) static uint32_t crc32_fold(uint32_t crc, const uint8_t *at,
                                                                    size_t size_bytes)
{
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm_loadu_si128((const __m128i *)(const void *)at + i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
    for (at += 64, size_bytes -= 64; size_bytes >= 64; at += 64, size_bytes -= 64) {
        for (int i = 0; i < 4; i++) {
            __m128i low = _mm_clmulepi64_si128(x[i], by_512, 0x00);
            __m128i high = _mm_clmulepi64_si128(x[i], by_512, 0x11);
            __m128i next = _mm_loadu_si128((const __m128i *)(const void *)at + i);
            x[i] = _mm_xor_si128(_mm_xor_si128(low, high), next);
        }
    }
    __m128i sum = x[0];
    for (int i = 1; i < 4; i++)
        sum = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by_128, 0x00),
                                          _mm_clmulepi64_si128(sum, by_128, 0x11)),
                            x[i]);
    for (; size_bytes >= 16; at += 16, size_bytes -= 16)
        sum = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by_128, 0x00),
                                          _mm_clmulepi64_si128(sum, by_128, 0x11)),
                            _mm_loadu_si128((const __m128i *)(const void *)at));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by_128, 0x10));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 4),
                        _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), by_64, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), barrett, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, quotient), 1);
}

static size_t crc32_front(uint32_t *crc, const uint8_t *at, size_t size_bytes)
{
    size_t whole = size_bytes & ~(size_t)15;
    if (whole < 64 || !__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.1"))
        return 0;
    *crc = crc32_fold(*crc, at, whole);
    return whole;
}
#else
static size_t crc32_front(uint32_t *crc, const uint8_t *at, size_t size_bytes)
{
    (void)crc;
    (void)at;
    (void)size_bytes;
    return 0;
}
#endif

uint32_t mor_crc32(uint32_t crc, const void *bytes, size_t size_bytes)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    size_t done = crc32_front(&crc, at, size_bytes);
    at += done;
    size_bytes -= done;
    while (size_bytes >= 8) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = crc_tables[7][low & 0xFF] ^ crc_tables[6][(low >> 8) & 0xFF] ^
              crc_tables[5][(low >> 16) & 0xFF] ^ crc_tables[4][low >> 24] ^
              crc_tables[3][high & 0xFF] ^ crc_tables[2][(high >> 8) & 0xFF] ^
              crc_tables[1][(high >> 16) & 0xFF] ^ crc_tables[0][high >> 24];
        at += 8;
        size_bytes -= 8;
    }
    while (size_bytes-- > 0)
        crc = (crc >> 8) ^ crc_tables[0][(crc ^ *at++) & 0xFF];
    return ~crc;
}

int32_t mor_hash_java_string(const char *text, size_t size_bytes)
{
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size_bytes;
    uint32_t hash = 0;
    while (at < end) {
        uint32_t point = *at++;
        int more = point < 0x80 ? 0 : point < 0xE0 ? 1 : point < 0xF0 ? 2 : 3;
        if (more > 0)
            point &= 0x3Fu >> more;
        while (more-- > 0 && at < end)
            point = (point << 6) | (*at++ & 0x3F);
        if (point >= 0x10000) { // two UTF-16 units
            point -= 0x10000;
            hash = 31 * hash + (0xD800 + (point >> 10));
            hash = 31 * hash + (0xDC00 + (point & 0x3FF));
        } else {
            hash = 31 * hash + point;
        }
    }
    return (int32_t)hash;
}
