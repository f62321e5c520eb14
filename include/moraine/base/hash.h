// Hashes: XXH3 for tables in memory, CRC-32 for Hudi and gzip framing, Java's String.hashCode.
#ifndef MORAINE_BASE_HASH_H
#define MORAINE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct mor_hash128 {
    uint64_t low;
    uint64_t high;
};

uint64_t mor_hash64(const void *bytes, size_t size_bytes);
struct mor_hash128 mor_hash128(const void *bytes, size_t size_bytes);
struct mor_hash128 mor_hash128_seed(const void *bytes, size_t size_bytes, uint64_t seed);
// Adds modulo 2^128: sums of hashes do not depend on the order.
void mor_hash128_add(struct mor_hash128 *sum, struct mor_hash128 more);

// CRC-32 (polynomial 0xEDB88320, as zlib) continued from `crc`; start with 0.
uint32_t mor_crc32(uint32_t crc, const void *bytes, size_t size_bytes);

// java.lang.String.hashCode over the UTF-16 code units of valid UTF-8 text.
int32_t mor_hash_java_string(const char *text, size_t size_bytes);

#endif
