// A set of row positions of one file: which of its rows are gone.
//
// Held as a Roaring bitmap: 65,536 positions at a time, as a sorted array or as bits. Written and
// read in the portable 64-bit format (RoaringFormatSpec, "extension for 64-bit implementations"):
// the bytes that Iceberg's deletion vectors and those of other formats wrap.
#ifndef MORAINE_BASE_POSITION_SET_H
#define MORAINE_BASE_POSITION_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

#define MOR_POSITION_MAX ((UINT64_C(0x7fffffff) << 32) - 1) // greatest that the format can hold

// One thread changes it; any number may ask when nobody does.
struct mor_position_set;

// Empty. Memory counts against the budget (borrowed, may be NULL).
struct mor_position_set *mor_position_set_new(struct mor_budget *budget);
void mor_position_set_free(struct mor_position_set *set); // NULL allowed
struct mor_position_set *mor_position_set_copy(const struct mor_position_set *set);

// Positions are at most MOR_POSITION_MAX. In ascending order adding is fastest.
void mor_position_set_add(struct mor_position_set *set, uint64_t position);
void mor_position_set_add_all(struct mor_position_set *set, const uint32_t *positions,
                              size_t count);
// Adds what `other` has.
void mor_position_set_unite(struct mor_position_set *set, const struct mor_position_set *other);
// Takes out what `other` has.
void mor_position_set_subtract(struct mor_position_set *set, const struct mor_position_set *other);

uint64_t mor_position_set_count(const struct mor_position_set *set);
bool mor_position_set_has(const struct mor_position_set *set, uint64_t position);
// How many members are less than `position`.
uint64_t mor_position_set_rank(const struct mor_position_set *set, uint64_t position);
// The least and the greatest member; only for sets that are not empty.
uint64_t mor_position_set_first(const struct mor_position_set *set);
uint64_t mor_position_set_last(const struct mor_position_set *set);
// The least members from `from` on, at most count_max of them, ascending; returns how many.
size_t mor_position_set_list(const struct mor_position_set *set, uint64_t from,
                             uint64_t *ret_positions, size_t count_max);
// Indices i in [0, count) for which first + i is not a member, ascending; ret_rows has room for
// all. Returns how many.
size_t mor_position_set_leave_out(const struct mor_position_set *set, uint64_t first,
                                  uint32_t count, uint32_t *ret_rows);

// Appends the portable format; run containers where they are smaller. The same set gives the same
// bytes.
void mor_position_set_write(const struct mor_position_set *set, struct mor_buffer *ret_bytes);
// Reads exactly `size_bytes` of it. DATA with the place (err->file_offset) when it is anything
// else: what a container states of itself must hold.
enum mor_status mor_position_set_read(const uint8_t *bytes, size_t size_bytes,
                                      struct mor_budget *budget, struct mor_position_set **ret_set,
                                      struct mor_error *err) MOR_CHECKED;

#endif
