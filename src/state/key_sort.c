#include "key_sort.h"

#include <string.h>

#include "moraine/base/memory.h"
#include "sorted_run.h"

// Hashes are spread evenly: two scatters by their leading bits leave parts of a few entries, in
// cache. Parts that are not small (hashes of a test, or of a fool) are merge-sorted.
#define FIRST_BITS      9
#define SECOND_BITS_MAX 11
#define SMALL_COUNT     24

static void insertion_sort(struct key_change *changes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct key_change moving = changes[i];
        size_t at = i;
        for (; at > 0 && mor_run_compare(changes[at - 1].hash, moving.hash) > 0; at--)
            changes[at] = changes[at - 1];
        changes[at] = moving;
    }
}

static void merge_sort(struct key_change *changes, struct key_change *scratch, size_t count)
{
    if (count <= SMALL_COUNT) {
        insertion_sort(changes, count);
        return;
    }
    size_t half = count / 2;
    merge_sort(changes, scratch, half);
    merge_sort(changes + half, scratch + half, count - half);
    memcpy(scratch, changes, half * sizeof *changes);
    size_t left = 0, right = half, to = 0;
    while (left < half && right < count)
        changes[to++] = mor_run_compare(scratch[left].hash, changes[right].hash) <= 0
                            ? scratch[left++]
                            : changes[right++];
    memcpy(changes + to, scratch + left, (half - left) * sizeof *changes);
}

// Scatters by `bits` bits below the leading `skip`; ends[p] becomes the end of part p.
static void scatter(const struct key_change *from, struct key_change *to, size_t count,
                    unsigned skip, unsigned bits, uint32_t *ends)
{
    size_t parts = (size_t)1 << bits;
    uint64_t mask = parts - 1;
    unsigned shift = 64 - skip - bits;
    memset(ends, 0, parts * sizeof *ends);
    for (size_t i = 0; i < count; i++)
        ends[(from[i].hash.high >> shift) & mask]++;
    uint32_t sum = 0;
    for (size_t part = 0; part < parts; part++) {
        uint32_t size = ends[part];
        ends[part] = sum;
        sum += size;
    }
    for (size_t i = 0; i < count; i++)
        to[ends[(from[i].hash.high >> shift) & mask]++] = from[i];
}

// From `from` into `to`, sorted.
static void sort_part(struct key_change *from, struct key_change *to, size_t count)
{
    unsigned bits = 1;
    while (bits < SECOND_BITS_MAX && (size_t)4 << bits < count)
        bits++;
    uint32_t ends[1u << SECOND_BITS_MAX];
    scatter(from, to, count, FIRST_BITS, bits, ends);
    size_t start = 0;
    for (size_t part = 0; part < (size_t)1 << bits; part++) {
        merge_sort(to + start, from + start, ends[part] - start);
        start = ends[part];
    }
}

void mor_key_sort(struct key_change *changes, struct key_change *scratch, size_t count)
{
    if (count <= SMALL_COUNT) {
        insertion_sort(changes, count);
        return;
    }
    uint32_t ends[1u << FIRST_BITS];
    scatter(changes, scratch, count, 0, FIRST_BITS, ends);
    size_t start = 0;
    for (size_t part = 0; part < (size_t)1 << FIRST_BITS; part++) {
        if (ends[part] > start)
            sort_part(scratch + start, changes + start, ends[part] - start);
        start = ends[part];
    }
}
