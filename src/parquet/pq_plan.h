// How a wanted schema is read from a file: a tree in step with the wanted fields.
#ifndef MOR_PQ_PLAN_H
#define MOR_PQ_PLAN_H

#include "pq_leaf.h"

struct mor_pq_plan {
    const struct mor_field *field;  // wanted
    const struct mor_pq_view *view; // NULL = the file does not have it
    int32_t leaf; // whose levels describe this node, index into leaves; -1 = missing
    size_t child_count;
    struct mor_pq_plan *children;
};

struct mor_pq_leaves {
    struct mor_pq_leaf *items;
    size_t count, capacity;
    const struct mor_byte_source *source;
    struct mor_pq_held held;
    struct mor_pq_codec_state codec;
    struct mor_budget *budget;
};

void mor_pq_leaves_done(struct mor_pq_leaves *leaves);
// Plans wanted->root.children against the file's fields. own: the wanted schema is the file's own
// one and fields are matched by position. DATA when a column cannot be read as wanted, or a
// required one is missing.
enum mor_status mor_pq_plan_make(const struct mor_schema *wanted,
                                 const struct mor_schema *file_schema,
                                 const struct mor_pq_view *views, bool own, struct mor_arena *arena,
                                 struct mor_pq_leaves *leaves, struct mor_pq_plan **ret_plans,
                                 struct mor_error *err) MOR_CHECKED;

// Appends what the plan's leaves gathered for `row_count` rows to the vector.
enum mor_status mor_pq_assemble(const struct mor_pq_plan *plan, const struct mor_pq_leaves *leaves,
                                size_t row_count, struct mor_vector *vector,
                                struct mor_error *err) MOR_CHECKED;

#endif
