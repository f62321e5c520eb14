#include "key_filter.h"

#include <sys/mman.h>

#include "moraine/base/memory.h"

#define BLOCK_WORDS      8
#define BLOCK_BITS       256
#define LAYER_KEYS_FIRST 1024
#define HUGE_BYTES       ((uintptr_t)2 << 20)

static const uint32_t salts[BLOCK_WORDS] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                            0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

static uint32_t *block_of(const struct key_filter_layer *layer, uint64_t hash)
{
    return layer->words + ((hash >> 32) * layer->block_count >> 32) * BLOCK_WORDS;
}

// Zeroed; the whole huge pages of a large one are asked for as such: every question is a miss of
// the TLB otherwise.
static uint32_t *alloc_words(size_t bytes)
{
    uint32_t *words = mor_calloc(1, bytes);
    uintptr_t first = ((uintptr_t)words + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    uintptr_t end = ((uintptr_t)words + bytes) / HUGE_BYTES * HUGE_BYTES;
    if (first < end)
        (void)madvise((uint8_t *)words + (first - (uintptr_t)words), end - first, MADV_HUGEPAGE);
    return words;
}

// A new layer is at least twice the one before, so their number stays small.
static size_t add_layer(struct key_filter *filter, size_t expected_more)
{
    size_t keys = LAYER_KEYS_FIRST;
    if (filter->layer_count > 0)
        keys = filter->layers[filter->layer_count - 1].capacity * 2;
    if (keys < expected_more)
        keys = expected_more;
    struct key_filter_layer *layer = &filter->layers[filter->layer_count++];
    size_t blocks = (keys * FILTER_BITS_PER_KEY + BLOCK_BITS - 1) / BLOCK_BITS;
    *layer = (struct key_filter_layer){
        .words = alloc_words(blocks * BLOCK_WORDS * sizeof(uint32_t)),
        .block_count = blocks,
        .capacity = keys,
    };
    return blocks * BLOCK_WORDS * sizeof(uint32_t);
}

size_t mor_key_filter_add(struct key_filter *filter, uint64_t hash, size_t expected_more)
{
    size_t bytes = 0;
    if (filter->layer_count == 0 || filter->layers[filter->layer_count - 1].used ==
                                        filter->layers[filter->layer_count - 1].capacity) {
        if (filter->layer_count < FILTER_LAYERS_MAX)
            bytes = add_layer(filter, expected_more);
    }
    struct key_filter_layer *layer = &filter->layers[filter->layer_count - 1];
    uint32_t *block = block_of(layer, hash);
    for (int i = 0; i < BLOCK_WORDS; i++)
        block[i] |= 1U << (((uint32_t)hash * salts[i]) >> 27);
    layer->used++;
    return bytes;
}

static bool layer_has(const struct key_filter_layer *layer, uint64_t hash)
{
    const uint32_t *block = block_of(layer, hash);
    uint32_t missing = 0;
    for (int i = 0; i < BLOCK_WORDS; i++)
        missing |= ~block[i] & (1U << (((uint32_t)hash * salts[i]) >> 27));
    return missing == 0;
}

bool mor_key_filter_has(const struct key_filter *filter, uint64_t hash)
{
    for (uint32_t i = filter->layer_count; i > 0; i--)
        if (layer_has(&filter->layers[i - 1], hash))
            return true;
    return false;
}

void mor_key_filter_prefetch(const struct key_filter *filter, uint64_t hash)
{
    for (uint32_t i = 0; i < filter->layer_count; i++)
        __builtin_prefetch(block_of(&filter->layers[i], hash));
}

size_t mor_key_filter_done(struct key_filter *filter)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < filter->layer_count; i++) {
        bytes += filter->layers[i].block_count * BLOCK_WORDS * sizeof(uint32_t);
        free(filter->layers[i].words);
    }
    *filter = (struct key_filter){0};
    return bytes;
}
