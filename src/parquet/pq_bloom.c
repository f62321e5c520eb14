#include "pq_bloom.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

static const uint32_t salts[8] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                  0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

uint64_t mor_pq_bloom_hash(const void *bytes, size_t size_bytes)
{
    return XXH64(bytes, size_bytes, 0);
}

size_t mor_pq_bloom_size_bytes(size_t count, double fpp)
{
    // BloomFilter.md, "Sizing": bits = -8 n / ln(1 - fpp^(1/8)).
    double bits = -8.0 * (double)(count ? count : 1) / log(1 - pow(fpp, 1.0 / 8));
    size_t size = 32;
    while (size < ((size_t)8 << 20) && (double)size * 8 < bits)
        size *= 2;
    return size;
}

size_t mor_pq_bloom_block(size_t size_bytes, uint64_t hash)
{
    return (size_t)((hash >> 32) * (size_bytes / 32) >> 32) * 32;
}

void mor_pq_bloom_insert(uint8_t *bitset, size_t size_bytes, uint64_t hash)
{
    uint8_t *block = bitset + mor_pq_bloom_block(size_bytes, hash);
    for (size_t i = 0; i < 8; i++) {
        uint32_t word;
        memcpy(&word, block + 4 * i, 4);
        word |= 1u << ((uint32_t)hash * salts[i] >> 27);
        memcpy(block + 4 * i, &word, 4);
    }
}

bool mor_pq_bloom_maybe(const uint8_t *bitset, size_t size_bytes, uint64_t hash)
{
    const uint8_t *block = bitset + mor_pq_bloom_block(size_bytes, hash);
    for (size_t i = 0; i < 8; i++) {
        uint32_t word;
        memcpy(&word, block + 4 * i, 4);
        if (!(word >> ((uint32_t)hash * salts[i] >> 27) & 1))
            return false;
    }
    return true;
}
