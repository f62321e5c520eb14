// Comparing ordering values of two versions of a row.
#ifndef MORAINE_MERGE_ORDERING_H
#define MORAINE_MERGE_ORDERING_H

#include "moraine/column.h"

// Whether a version with slot `later` wins over an earlier one with slot `earlier` (same type): it
// does when its value is not lower, or when one of the two is null. NaN is greater than every
// number.
bool mor_ordering_later_wins(const struct mor_vector *later_vector, size_t later,
                             const struct mor_vector *earlier_vector, size_t earlier);

// Below, at or above 0 as slot `a` is less than, equal to or greater than slot `b` (same type,
// neither null). Nested values are all equal.
int mor_ordering_compare(const struct mor_vector *a_vector, size_t a,
                         const struct mor_vector *b_vector, size_t b);

#endif
