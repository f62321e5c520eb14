// Rows of a nested column to repetition and definition levels, one leaf at a time (Dremel).
#ifndef MOR_PQ_SHRED_H
#define MOR_PQ_SHRED_H

#include "moraine/column.h"
#include "pq_schema.h"

struct mor_pq_step {
    enum mor_type type;
    bool nullable;
    bool list_below; // a LIST or MAP lies between this step and the leaf
    size_t child;    // which child the path goes on with
    uint8_t rep;     // repetition level of slots at this step
};

// The way from a top-level field to a leaf.
struct mor_pq_path {
    size_t top; // index of the top-level field
    size_t step_count;
    struct mor_pq_step *steps; // steps[step_count - 1] is the leaf
    const struct mor_field *leaf;
    uint8_t def_max, rep_max;
};

// Paths of all leaves in column order; lives in `arena`.
void mor_pq_paths_make(const struct mor_schema *schema, struct mor_arena *arena,
                       struct mor_pq_path **ret_paths, size_t *ret_count);

// Levels of rows [first, first + count) of a leaf.
struct mor_pq_shredded {
    const struct mor_vector *vector; // the leaf's, borrowed
    size_t first, count;             // its slots that belong to the rows
    size_t entry_count;              // levels; equals count unless lists are empty or null
    size_t null_count;               // entries without a value
    struct mor_buffer def, rep;      // uint8_t[entry_count]; rep only when rep_max > 0
    struct mor_buffer present;       // uint8_t[count], meaningful when null_count > 0
    bool all_present;                // every slot has a value: `present` was not filled
};

void mor_pq_shredded_done(struct mor_pq_shredded *shredded);
// Replaces what `shredded` holds. A null in a place that the schema says has none is DATA.
enum mor_status mor_pq_shred(const struct mor_pq_path *path, const struct mor_vector *top,
                             size_t first, size_t count, struct mor_pq_shredded *shredded,
                             struct mor_error *err) MOR_CHECKED;
// Bytes of values that rows [first, first + count) hold in this leaf, without making the levels.
size_t mor_pq_shred_bytes(const struct mor_pq_path *path, const struct mor_vector *top,
                          size_t first, size_t count);

#endif
