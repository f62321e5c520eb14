// Maps have each key once.
#ifndef MORAINE_MAP_KEYS_H
#define MORAINE_MAP_KEYS_H

#include "moraine/column.h"

// True when no two keys of the map slot that begins at element `first` and ends where the vector
// ends are equal. `slots` is scratch.
bool mor_map_keys_differ(struct mor_buffer *slots, const struct mor_vector *keys, size_t first);

#endif
