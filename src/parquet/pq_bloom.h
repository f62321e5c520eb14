// Split-block bloom filter: 32-byte blocks of eight 32-bit words, one bit in each per value.
//
// Source: parquet-format BloomFilter.md. Hash: XXH64 with seed 0 of the PLAIN form (BYTE_ARRAY: the
// bytes without their length).
#ifndef MOR_PQ_BLOOM_H
#define MOR_PQ_BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t mor_pq_bloom_hash(const void *bytes, size_t size_bytes);
// Size of the bit set for `count` distinct values at false-positive rate `fpp`: a power of two, 32
// bytes to 8 MiB.
size_t mor_pq_bloom_size_bytes(size_t count, double fpp);
void mor_pq_bloom_insert(uint8_t *bitset, size_t size_bytes, uint64_t hash);
// Offset of the block that holds the bits of a hash.
size_t mor_pq_bloom_block(size_t size_bytes, uint64_t hash);
// False = certainly absent.
bool mor_pq_bloom_maybe(const uint8_t *bitset, size_t size_bytes, uint64_t hash);

#endif
