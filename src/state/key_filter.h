// Split-block Bloom filter (the one of the Parquet specification: blocks of 256 bits, eight bits
// per key) that grows by layers, because nobody knows beforehand how many ids a bucket will hold.
#ifndef MORAINE_STATE_KEY_FILTER_H
#define MORAINE_STATE_KEY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_BITS_PER_KEY 16
#define FILTER_LAYERS_MAX   24

struct key_filter_layer {
    uint32_t *words; // 8 per block
    size_t block_count;
    size_t used, capacity; // keys
};

struct key_filter {
    uint32_t bucket;
    uint32_t layer_count;
    struct key_filter_layer layers[FILTER_LAYERS_MAX]; // each larger than the one before
};

// `expected_more` sizes a new layer. Returns the bytes that were allocated.
size_t mor_key_filter_add(struct key_filter *filter, uint64_t hash, size_t expected_more);
bool mor_key_filter_has(const struct key_filter *filter, uint64_t hash);
// Brings the blocks of the hash into the cache.
void mor_key_filter_prefetch(const struct key_filter *filter, uint64_t hash);
// Returns the bytes that were freed.
size_t mor_key_filter_done(struct key_filter *filter);

#endif
