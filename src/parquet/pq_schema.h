// The schema tree of a file: elements in pre-order become nodes with levels; nodes become views,
// the tree of the table model they stand for (lists and maps without their helper groups).
#ifndef MOR_PQ_SCHEMA_H
#define MOR_PQ_SCHEMA_H

#include "moraine/column.h"
#include "pq_meta.h"

// One schema element with its place in the tree.
struct mor_pq_node {
    const struct mor_pq_element *element;
    struct mor_pq_node *parent;
    size_t child_count;
    struct mor_pq_node *children;
    uint8_t def, rep; // levels including this node
    int32_t leaf;     // column index of a leaf, -1 for a group
    int32_t first_leaf;
};

struct mor_pq_tree {
    struct mor_pq_node *root;
    size_t leaf_count;
    struct mor_pq_node **leaves; // by column index
};

#define MOR_PQ_DEPTH_MAX  64    // schema nesting, helper groups included
#define MOR_PQ_LEAVES_MAX 20000 // columns

// Checks the elements and links them. Results live in `arena`. DATA when they are no tree, too deep
// or a leaf has an impossible type.
enum mor_status mor_pq_tree_build(const struct mor_pq_element *elements, size_t count,
                                  struct mor_arena *arena, struct mor_pq_tree *ret_tree,
                                  struct mor_error *err) MOR_CHECKED;

// What a node is in the table model.
struct mor_pq_view {
    const struct mor_pq_node *node; // group or leaf whose repetition says whether it is nullable
    enum mor_type type;
    bool nullable;
    uint8_t slot_def,
        slot_rep; // a slot exists at an entry with def >= slot_def and rep <= slot_rep
    uint8_t def;  // the slot is not null when def >= this
    uint8_t list_def,
        list_rep; // LIST, MAP: an element exists when def >= list_def (and rep <= list_rep)
    size_t child_count;
    struct mor_pq_view *children; // STRUCT fields; LIST element; MAP key and value
};

// Builds the file's own schema and, in step with it, the views of its top-level fields
// (ret_views[i] belongs to root.children[i]). The schema is the caller's. DATA when the schema is
// larger than the table model allows.
enum mor_status mor_pq_views_build(const struct mor_pq_tree *tree, struct mor_arena *arena,
                                   struct mor_schema **ret_schema, struct mor_pq_view **ret_views,
                                   struct mor_error *err) MOR_CHECKED;

// Table type of a leaf: type, precision, scale, sizes are filled in `field`.
void mor_pq_leaf_type(const struct mor_pq_element *element, struct mor_field *field);

// ---- for the writer -----------------------------------------------------------------------------

// Elements of a schema in pre-order; names point into the schema.
enum mor_status mor_pq_elements_make(const struct mor_schema *schema, bool decimal_as_int,
                                     struct mor_arena *arena, struct mor_pq_element **ret_elements,
                                     size_t *ret_count, struct mor_error *err) MOR_CHECKED;

#endif
