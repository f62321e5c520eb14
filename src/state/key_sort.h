// Sorting by hash.
#ifndef MORAINE_STATE_KEY_SORT_H
#define MORAINE_STATE_KEY_SORT_H

#include <stddef.h>
#include <stdint.h>

#include "moraine/base/hash.h"

struct key_change {
    struct mor_hash128 hash;
    uint64_t value;
};

// Sorts by hash, stable. `scratch` has room for `count`, too.
void mor_key_sort(struct key_change *changes, struct key_change *scratch, size_t count);

#endif
