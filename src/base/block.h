// Large pieces of memory, kept for the next who asks.
//
// Memory that comes fresh from the system costs a page fault every 4 KiB, which is more than
// filling it; what malloc keeps for itself cannot be bounded. So large buffers are pieces of their
// own, mapped one by one, and those that are given back stay for reuse up to the sum that
// mor_memory_keep states.
#ifndef MOR_BLOCK_H
#define MOR_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#ifndef __has_feature
#define __has_feature(feature_) 0
#endif

// Buffers of this capacity and more are blocks. Under the address sanitizer none is, so that it
// sees where each one ends.
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define MOR_BLOCK_BYTES_MIN SIZE_MAX
#else
#define MOR_BLOCK_BYTES_MIN ((size_t)128 << 10)
#endif

// A block of at least `wanted_bytes`; *ret_size_bytes is what it has. Not zeroed. NULL when the
// system refuses. Any thread, as below.
void *mor_block_new(size_t wanted_bytes, size_t *ret_size_bytes);
// The bytes of a block in a larger one; the old one is gone unless NULL is returned.
void *mor_block_grow(void *block, size_t size_bytes, size_t wanted_bytes, size_t *ret_size_bytes);
// `size_bytes` is what the block has.
void mor_block_free(void *block, size_t size_bytes);

#endif
