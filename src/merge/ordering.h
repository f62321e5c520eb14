// Comparing ordering values of two versions of a row.
#ifndef MORAINE_MERGE_ORDERING_H
#define MORAINE_MERGE_ORDERING_H

#include "moraine/merge.h"

// Whether a version with slot `later` wins over an earlier one with slot `earlier` (same type): it
// does when its value is not lower, or when one of the two is null. NaN is greater than every
// number.
bool mor_ordering_later_wins(const struct mor_vector *later_vector, size_t later,
                             const struct mor_vector *earlier_vector, size_t earlier);

#endif
