#include "block.h"

#include <string.h>
#include <sys/mman.h>

#include "moraine/base/memory.h"
#include "moraine/base/thread.h"

#define GRAIN_BYTES ((size_t)64 << 10)
#define KEPT_MAX    256

struct block {
    void *memory;
    size_t size_bytes;
};

static struct {
    pthread_mutex_t mutex;
    struct block blocks[KEPT_MAX]; // the one given back first is the first
    size_t count, bytes, bytes_max;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void take_out(size_t i)
{
    kept.bytes -= kept.blocks[i].size_bytes;
    kept.count--;
    memmove(kept.blocks + i, kept.blocks + i + 1, (kept.count - i) * sizeof *kept.blocks);
}

// The smallest that fits and is not twice as large as asked for; false when there is none.
static bool take_kept(size_t wanted_bytes, struct block *ret_block)
{
    MOR_LOCKED(&kept.mutex);
    size_t best = KEPT_MAX;
    for (size_t i = 0; i < kept.count; i++) {
        size_t size = kept.blocks[i].size_bytes;
        if (size >= wanted_bytes && size / 2 < wanted_bytes &&
            (best == KEPT_MAX || size < kept.blocks[best].size_bytes))
            best = i;
    }
    if (best == KEPT_MAX)
        return false;
    *ret_block = kept.blocks[best];
    take_out(best);
    return true;
}

// Blocks leave until `bytes` more may be kept, the oldest first.
static void make_room(size_t bytes)
{
    while (kept.count > 0 && (kept.bytes + bytes > kept.bytes_max || kept.count == KEPT_MAX)) {
        (void)munmap(kept.blocks[0].memory, kept.blocks[0].size_bytes);
        take_out(0);
    }
}

void mor_memory_keep(size_t bytes_max)
{
    MOR_LOCKED(&kept.mutex);
    kept.bytes_max = bytes_max;
    make_room(0);
}

size_t mor_memory_kept(void)
{
    MOR_LOCKED(&kept.mutex);
    return kept.bytes;
}

static size_t round_up(size_t bytes)
{
    return (bytes + GRAIN_BYTES - 1) & ~(GRAIN_BYTES - 1);
}

void *mor_block_new(size_t wanted_bytes, size_t *ret_size_bytes)
{
    struct block block;
    if (take_kept(wanted_bytes, &block)) {
        *ret_size_bytes = block.size_bytes;
        return block.memory;
    }
    size_t size = round_up(wanted_bytes);
    if (size < wanted_bytes)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *ret_size_bytes = size;
    return memory == MAP_FAILED ? NULL : memory;
}

void *mor_block_grow(void *block, size_t size_bytes, size_t wanted_bytes, size_t *ret_size_bytes)
{
    struct block larger;
    if (take_kept(wanted_bytes, &larger)) {
        memcpy(larger.memory, block, size_bytes);
        mor_block_free(block, size_bytes);
        *ret_size_bytes = larger.size_bytes;
        return larger.memory;
    }
    size_t size = round_up(wanted_bytes);
    if (size < wanted_bytes)
        return NULL;
    void *memory = mremap(block, size_bytes, size, MREMAP_MAYMOVE);
    *ret_size_bytes = size;
    return memory == MAP_FAILED ? NULL : memory;
}

void mor_block_free(void *block, size_t size_bytes)
{
    MOR_LOCKED(&kept.mutex);
    if (size_bytes > kept.bytes_max / 4) {
        (void)munmap(block, size_bytes);
        return;
    }
    make_room(size_bytes);
    kept.blocks[kept.count++] = (struct block){block, size_bytes};
    kept.bytes += size_bytes;
}
