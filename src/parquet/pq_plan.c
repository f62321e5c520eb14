#include "pq_plan.h"

struct planner {
    struct mor_arena *arena;
    struct mor_pq_leaves *leaves;
    bool own;
    struct mor_error *err;
};

void mor_pq_leaves_done(struct mor_pq_leaves *leaves)
{
    for (size_t i = 0; i < leaves->count; i++)
        mor_pq_leaf_done(&leaves->items[i]);
    free(leaves->items);
    leaves->items = NULL;
    leaves->count = leaves->capacity = 0;
    leaves->held.bytes = 0;
    mor_pq_codec_done(&leaves->codec);
}

static struct mor_pq_leaf *add_leaf(struct planner *p, const struct mor_pq_node *node,
                                    int32_t *ret_index)
{
    struct mor_pq_leaves *leaves = p->leaves;
    if (leaves->count == leaves->capacity) {
        leaves->capacity = leaves->capacity ? leaves->capacity * 2 : 16;
        leaves->items = mor_realloc(leaves->items, leaves->capacity * sizeof *leaves->items);
    }
    *ret_index = (int32_t)leaves->count;
    struct mor_pq_leaf *leaf = &leaves->items[leaves->count++];
    mor_pq_leaf_init(leaf, node, leaves->source, &leaves->held, &leaves->codec, leaves->budget);
    leaf->verify = true;
    return leaf;
}

// Nothing below is wanted, but the levels of some leaf tell what is null and how long lists are.
static enum mor_status add_levels(struct planner *p, const struct mor_pq_node *node,
                                  int32_t *ret_index)
{
    while (node->leaf < 0 && node->child_count > 0)
        node = &node->children[0];
    if (node->leaf < 0)
        return mor_error_set(p->err, MOR_DATA, "a group without columns cannot be read");
    add_leaf(p, node, ret_index)->levels_only = true;
    return MOR_OK;
}

// Index of the file's field that stands for `wanted`, -1 when there is none.
static int32_t match(const struct mor_field *wanted, const struct mor_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool ids = wanted->field_id >= 0 && fields[i].field_id >= 0;
        if (ids ? wanted->field_id == fields[i].field_id
                : strcmp(wanted->name, fields[i].name) == 0)
            return (int32_t)i;
    }
    return -1;
}

static enum mor_status plan_field(struct planner *p, const struct mor_field *wanted,
                                  const struct mor_field *own, const struct mor_pq_view *view,
                                  struct mor_pq_plan *plan);

static enum mor_status plan_missing(struct planner *p, const struct mor_field *wanted,
                                    struct mor_pq_plan *plan)
{
    *plan = (struct mor_pq_plan){.field = wanted, .leaf = -1};
    if (wanted->nullable)
        return MOR_OK;
    return mor_error_set(p->err, MOR_DATA, "the file has no column '%s', which must not be null",
                         wanted->name);
}

static enum mor_status plan_children(struct planner *p, const struct mor_field *wanted,
                                     const struct mor_field *own, const struct mor_pq_view *view,
                                     struct mor_pq_plan *plan)
{
    bool by_position = p->own || wanted->type != MOR_TYPE_STRUCT;
    plan->child_count = wanted->child_count;
    plan->children = mor_arena_calloc(p->arena, wanted->child_count + 1, sizeof *plan->children);
    for (size_t i = 0; i < wanted->child_count; i++) {
        const struct mor_field *child = &wanted->children[i];
        int32_t at = by_position ? (int32_t)i : match(child, own->children, own->child_count);
        if (at < 0)
            MOR_TRY(plan_missing(p, child, &plan->children[i]));
        else
            MOR_TRY(
                plan_field(p, child, &own->children[at], &view->children[at], &plan->children[i]));
        if (plan->leaf < 0)
            plan->leaf = plan->children[i].leaf;
    }
    if (plan->leaf < 0)
        return add_levels(p, view->node, &plan->leaf);
    return MOR_OK;
}

static enum mor_status plan_field(struct planner *p, const struct mor_field *wanted,
                                  const struct mor_field *own, const struct mor_pq_view *view,
                                  struct mor_pq_plan *plan)
{
    *plan = (struct mor_pq_plan){.field = wanted, .view = view, .leaf = -1};
    bool nested = view->child_count > 0 || view->type == MOR_TYPE_STRUCT;
    if (nested != (wanted->child_count > 0 || wanted->type == MOR_TYPE_STRUCT) ||
        (nested && view->type != wanted->type))
        return mor_error_set(p->err, MOR_DATA,
                             "column '%s' is %s in the file and cannot be read as %s", wanted->name,
                             mor_type_name(view->type), mor_type_name(wanted->type));
    if (nested)
        return plan_children(p, wanted, own, view, plan);
    struct mor_pq_convert convert;
    MOR_TRY(mor_pq_convert_make(view->node->element, wanted, &convert, p->err));
    add_leaf(p, view->node, &plan->leaf)->convert = convert;
    return MOR_OK;
}

enum mor_status mor_pq_plan_make(const struct mor_schema *wanted,
                                 const struct mor_schema *file_schema,
                                 const struct mor_pq_view *views, bool own, struct mor_arena *arena,
                                 struct mor_pq_leaves *leaves, struct mor_pq_plan **ret_plans,
                                 struct mor_error *err)
{
    struct planner p = {.arena = arena, .leaves = leaves, .own = own, .err = err};
    size_t count = wanted->root.child_count;
    struct mor_pq_plan *plans = mor_arena_calloc(arena, count + 1, sizeof *plans);
    const struct mor_field *fields = file_schema->root.children;
    for (size_t i = 0; i < count; i++) {
        const struct mor_field *field = &wanted->root.children[i];
        int32_t at = own ? (int32_t)i : match(field, fields, file_schema->root.child_count);
        if (at < 0)
            MOR_TRY(plan_missing(&p, field, &plans[i]));
        else
            MOR_TRY(plan_field(&p, field, &fields[at], &views[at], &plans[i]));
    }
    *ret_plans = plans;
    return MOR_OK;
}
