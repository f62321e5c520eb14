#include "pq_schema.h"

struct tree_builder {
    const struct mor_pq_element *elements;
    size_t count, next;
    struct mor_arena *arena;
    struct mor_pq_tree *tree;
    struct mor_error *err;
};

static enum mor_status bad(struct tree_builder *b, const struct mor_pq_element *e, const char *what)
{
    int length = e->name.size_bytes < 100 ? (int)e->name.size_bytes : 100;
    return mor_error_set(b->err, MOR_DATA, "schema element '%.*s': %s", length,
                         (const char *)e->name.data, what);
}

static enum mor_status check_leaf(struct tree_builder *b, const struct mor_pq_element *e)
{
    if (e->type == MOR_PQ_FLBA && (e->type_length <= 0 || e->type_length > (1 << 24)))
        return bad(b, e, "fixed length is out of range");
    if (e->num_children > 0)
        return bad(b, e, "a primitive type cannot have children");
    return MOR_OK;
}

static enum mor_status link_node(struct tree_builder *b, struct mor_pq_node *node,
                                 struct mor_pq_node *parent, uint32_t depth)
{
    if (b->next == b->count)
        return mor_error_set(b->err, MOR_DATA, "schema has fewer elements than its groups need");
    if (depth > MOR_PQ_DEPTH_MAX)
        return mor_error_set(b->err, MOR_DATA, "schema is nested deeper than %d", MOR_PQ_DEPTH_MAX);
    const struct mor_pq_element *e = &b->elements[b->next++];
    node->element = e;
    node->parent = parent;
    node->leaf = -1;
    if (parent) {
        if (e->repetition < MOR_PQ_REQUIRED || e->repetition > MOR_PQ_REPEATED)
            return bad(b, e, "repetition is missing or unknown");
        node->def = (uint8_t)(parent->def + (e->repetition != MOR_PQ_REQUIRED));
        node->rep = (uint8_t)(parent->rep + (e->repetition == MOR_PQ_REPEATED));
    }
    node->first_leaf = (int32_t)b->tree->leaf_count;
    if (parent && e->type >= 0) {
        MOR_TRY(check_leaf(b, e));
        if (b->tree->leaf_count == MOR_PQ_LEAVES_MAX)
            return mor_error_set(b->err, MOR_DATA, "schema has more than %d columns",
                                 MOR_PQ_LEAVES_MAX);
        node->leaf = (int32_t)b->tree->leaf_count;
        b->tree->leaves[b->tree->leaf_count++] = node;
        return MOR_OK;
    }
    if (e->num_children < 0 || (size_t)e->num_children > b->count - b->next)
        return bad(b, e, "child count is out of range");
    node->child_count = (size_t)e->num_children;
    node->children = mor_arena_calloc(b->arena, node->child_count + 1, sizeof *node->children);
    for (size_t i = 0; i < node->child_count; i++)
        MOR_TRY(link_node(b, &node->children[i], node, depth + 1));
    return MOR_OK;
}

enum mor_status mor_pq_tree_build(const struct mor_pq_element *elements, size_t count,
                                  struct mor_arena *arena, struct mor_pq_tree *ret_tree,
                                  struct mor_error *err)
{
    struct tree_builder b = {
        .elements = elements, .count = count, .arena = arena, .tree = ret_tree, .err = err};
    *ret_tree = (struct mor_pq_tree){0};
    ret_tree->root = mor_arena_calloc(arena, 1, sizeof *ret_tree->root);
    ret_tree->leaves = mor_arena_calloc(
        arena, count < MOR_PQ_LEAVES_MAX ? count : MOR_PQ_LEAVES_MAX, sizeof *ret_tree->leaves);
    MOR_TRY(link_node(&b, ret_tree->root, NULL, 0));
    if (b.next != count)
        return mor_error_set(err, MOR_DATA, "schema has %zu elements that belong to no group",
                             count - b.next);
    return MOR_OK;
}

// ---- leaf types ---------------------------------------------------------------------------------

static bool is_decimal(const struct mor_pq_element *e)
{
    bool said = e->logical == MOR_PQ_L_DECIMAL ||
                (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_DECIMAL);
    bool possible = e->type == MOR_PQ_INT32 || e->type == MOR_PQ_INT64 || e->type == MOR_PQ_FLBA ||
                    e->type == MOR_PQ_BYTE_ARRAY;
    return said && possible && e->precision > 0 && e->precision <= MOR_DECIMAL_PRECISION_MAX &&
           e->scale >= 0 && e->scale <= e->precision;
}

static bool is(const struct mor_pq_element *e, int32_t logical, int32_t converted)
{
    return e->logical == logical || (e->logical == MOR_PQ_L_NONE && e->converted == converted);
}

static enum mor_type int32_type(const struct mor_pq_element *e)
{
    if (is(e, MOR_PQ_L_DATE, MOR_PQ_C_DATE))
        return MOR_TYPE_DATE;
    if (is(e, MOR_PQ_L_TIME, MOR_PQ_C_TIME_MILLIS))
        return MOR_TYPE_TIME_MILLIS;
    bool unsigned32 = (e->logical == MOR_PQ_L_INTEGER && e->bit_width == 32 && !e->is_signed) ||
                      (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_UINT_32);
    return unsigned32 ? MOR_TYPE_INT64 : MOR_TYPE_INT32;
}

static enum mor_type int64_type(const struct mor_pq_element *e, struct mor_field *field)
{
    if (e->logical == MOR_PQ_L_TIMESTAMP) {
        field->local_timestamp = !e->utc;
        return e->unit == MOR_PQ_MILLIS ? MOR_TYPE_TIMESTAMP_MILLIS : MOR_TYPE_TIMESTAMP_MICROS;
    }
    if (e->logical == MOR_PQ_L_TIME || is(e, MOR_PQ_L_TIME, MOR_PQ_C_TIME_MICROS))
        return MOR_TYPE_TIME_MICROS;
    if (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_TIMESTAMP_MILLIS)
        return MOR_TYPE_TIMESTAMP_MILLIS;
    if (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_TIMESTAMP_MICROS)
        return MOR_TYPE_TIMESTAMP_MICROS;
    if ((e->logical == MOR_PQ_L_INTEGER && e->bit_width == 64 && !e->is_signed) ||
        (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_UINT_64)) {
        field->precision = 20;
        return MOR_TYPE_DECIMAL;
    }
    return MOR_TYPE_INT64;
}

static enum mor_type bytes_type(const struct mor_pq_element *e)
{
    if (is(e, MOR_PQ_L_STRING, MOR_PQ_C_UTF8))
        return MOR_TYPE_STRING;
    if (is(e, MOR_PQ_L_ENUM, MOR_PQ_C_ENUM))
        return MOR_TYPE_ENUM;
    if (is(e, MOR_PQ_L_JSON, MOR_PQ_C_JSON))
        return MOR_TYPE_JSON;
    return MOR_TYPE_BYTES;
}

static enum mor_type fixed_type(const struct mor_pq_element *e, struct mor_field *field)
{
    if (e->logical == MOR_PQ_L_UUID && e->type_length == 16)
        return MOR_TYPE_UUID;
    if (e->logical == MOR_PQ_L_FLOAT16 && e->type_length == 2)
        return MOR_TYPE_FLOAT;
    field->fixed_size_bytes = e->type_length;
    return MOR_TYPE_FIXED;
}

void mor_pq_leaf_type(const struct mor_pq_element *e, struct mor_field *field)
{
    if (is_decimal(e)) {
        field->type = MOR_TYPE_DECIMAL;
        field->precision = e->precision;
        field->scale = e->scale;
        return;
    }
    switch (e->type) {
    case MOR_PQ_BOOLEAN:
        field->type = MOR_TYPE_BOOL;
        break;
    case MOR_PQ_INT32:
        field->type = int32_type(e);
        break;
    case MOR_PQ_INT64:
        field->type = int64_type(e, field);
        break;
    case MOR_PQ_INT96:
        // Nothing else is stored in it: nanoseconds of the day and Julian day, local to nobody
        // knows.
        field->type = MOR_TYPE_TIMESTAMP_MICROS;
        field->local_timestamp = true;
        break;
    case MOR_PQ_FLOAT:
        field->type = MOR_TYPE_FLOAT;
        break;
    case MOR_PQ_DOUBLE:
        field->type = MOR_TYPE_DOUBLE;
        break;
    case MOR_PQ_FLBA:
        field->type = fixed_type(e, field);
        break;
    default:
        field->type = bytes_type(e);
        break;
    }
}

// ---- views --------------------------------------------------------------------------------------

struct view_builder {
    struct mor_arena *arena;
    struct mor_schema *schema;
    size_t field_count;
    struct mor_error *err;
};

static bool name_is(const struct mor_pq_node *node, const char *name)
{
    return node->element->name.size_bytes == strlen(name) &&
           memcmp(node->element->name.data, name, node->element->name.size_bytes) == 0;
}

static bool is_tuple_of(const struct mor_pq_node *node, const struct mor_pq_node *list)
{
    const struct mor_pq_bytes name = node->element->name, outer = list->element->name;
    return name.size_bytes == outer.size_bytes + 6 &&
           memcmp(name.data, outer.data, outer.size_bytes) == 0 &&
           memcmp(name.data + outer.size_bytes, "_tuple", 6) == 0;
}

static bool is_repeated(const struct mor_pq_node *node)
{
    return node->element->repetition == MOR_PQ_REPEATED;
}

static bool is_list(const struct mor_pq_node *node)
{
    return node->leaf < 0 && is(node->element, MOR_PQ_L_LIST, MOR_PQ_C_LIST) &&
           node->child_count == 1 && is_repeated(&node->children[0]);
}

static bool is_map(const struct mor_pq_node *node)
{
    const struct mor_pq_element *e = node->element;
    return node->leaf < 0 &&
           (is(e, MOR_PQ_L_MAP, MOR_PQ_C_MAP) ||
            (e->logical == MOR_PQ_L_NONE && e->converted == MOR_PQ_C_MAP_KEY_VALUE)) &&
           node->child_count == 1 && is_repeated(&node->children[0]) &&
           node->children[0].leaf < 0 &&
           (node->children[0].child_count == 2 || node->children[0].child_count == 1);
}

// LogicalTypes.md, "Lists": is the repeated node itself the element (two-level lists of old
// writers)?
static bool repeated_is_element(const struct mor_pq_node *repeated, const struct mor_pq_node *list)
{
    return repeated->leaf >= 0 || repeated->child_count != 1 ||
           is_repeated(&repeated->children[0]) || name_is(repeated, "array") ||
           is_tuple_of(repeated, list);
}

static enum mor_status make_view(struct view_builder *b, struct mor_field *parent,
                                 const struct mor_pq_node *node, bool as_element,
                                 const char *rename, uint8_t slot_def, uint8_t slot_rep,
                                 uint32_t depth, struct mor_pq_view *view);

// parent = field of a LIST, MAP or STRUCT that gets `count` children.
static enum mor_status make_children(struct view_builder *b, struct mor_field *field,
                                     struct mor_pq_view *view, const struct mor_pq_node *nodes,
                                     size_t count, uint8_t slot_def, uint8_t slot_rep,
                                     uint32_t depth)
{
    static const char *const map_names[] = {"key", "value"};
    view->child_count = count;
    view->children = mor_arena_calloc(b->arena, count + 1, sizeof *view->children);
    for (size_t i = 0; i < count; i++) {
        const char *rename = view->type == MOR_TYPE_MAP    ? map_names[i]
                             : view->type == MOR_TYPE_LIST ? "element"
                                                           : NULL;
        MOR_TRY(make_view(b, field, &nodes[i], false, rename, slot_def, slot_rep, depth,
                          &view->children[i]));
    }
    return MOR_OK;
}

// `repeated` as LIST whose element it is itself.
static enum mor_status make_element(struct view_builder *b, struct mor_field *field,
                                    struct mor_pq_view *view, const struct mor_pq_node *repeated,
                                    uint32_t depth)
{
    view->child_count = 1;
    view->children = mor_arena_calloc(b->arena, 1, sizeof *view->children);
    return make_view(b, field, repeated, true, "element", repeated->def, repeated->rep, depth,
                     view->children);
}

static enum mor_status make_list(struct view_builder *b, struct mor_field *field,
                                 struct mor_pq_view *view, const struct mor_pq_node *repeated,
                                 bool element_itself, uint32_t depth)
{
    view->list_def = repeated->def;
    view->list_rep = repeated->rep;
    if (element_itself)
        return make_element(b, field, view, repeated, depth);
    return make_children(b, field, view, repeated->children, repeated->child_count, repeated->def,
                         repeated->rep, depth);
}

static struct mor_field *add_field(struct view_builder *b, struct mor_field *parent,
                                   const struct mor_pq_node *node, const char *rename,
                                   enum mor_type type, bool nullable)
{
    const struct mor_pq_bytes name = node->element->name;
    char *text =
        rename ? NULL : mor_arena_strndup(b->arena, (const char *)name.data, name.size_bytes);
    struct mor_field *field =
        mor_schema_add(b->schema, parent, rename ? rename : text, type, nullable);
    field->field_id = node->element->field_id >= 0 ? node->element->field_id : -1;
    return field;
}

// as_element: the node is repeated and stands for one element of a list already made.
static enum mor_status make_view(struct view_builder *b, struct mor_field *parent,
                                 const struct mor_pq_node *node, bool as_element,
                                 const char *rename, uint8_t slot_def, uint8_t slot_rep,
                                 uint32_t depth, struct mor_pq_view *view)
{
    if (depth > MOR_SCHEMA_DEPTH_MAX || ++b->field_count > MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(b->err, MOR_DATA,
                             "schema is deeper than %d or has more than %d fields",
                             MOR_SCHEMA_DEPTH_MAX, MOR_SCHEMA_FIELDS_MAX);
    *view = (struct mor_pq_view){
        .node = node, .slot_def = slot_def, .slot_rep = slot_rep, .def = node->def};
    bool bare_list = is_repeated(node) && !as_element;
    view->nullable = node->element->repetition == MOR_PQ_OPTIONAL;
    struct mor_field leaf = {.field_id = -1};
    if (bare_list)
        view->type = MOR_TYPE_LIST;
    else if (node->leaf >= 0) {
        mor_pq_leaf_type(node->element, &leaf);
        view->type = leaf.type;
    } else if (is_map(node))
        view->type = node->children[0].child_count == 2 ? MOR_TYPE_MAP : MOR_TYPE_LIST;
    else
        view->type = is_list(node) ? MOR_TYPE_LIST : MOR_TYPE_STRUCT;
    struct mor_field *field = add_field(b, parent, node, rename, view->type, view->nullable);
    field->precision = leaf.precision;
    field->scale = leaf.scale;
    field->fixed_size_bytes = leaf.fixed_size_bytes;
    field->local_timestamp = leaf.local_timestamp;
    if (bare_list) {
        view->def = slot_def; // never null
        return make_list(b, field, view, node, true, depth + 1);
    }
    if (node->leaf >= 0)
        return MOR_OK;
    if (view->type == MOR_TYPE_STRUCT)
        return make_children(b, field, view, node->children, node->child_count, slot_def, slot_rep,
                             depth + 1);
    const struct mor_pq_node *repeated = &node->children[0];
    return make_list(b, field, view, repeated, !is_map(node) && repeated_is_element(repeated, node),
                     depth + 1);
}

enum mor_status mor_pq_views_build(const struct mor_pq_tree *tree, struct mor_arena *arena,
                                   struct mor_schema **ret_schema, struct mor_pq_view **ret_views,
                                   struct mor_error *err)
{
    const struct mor_pq_bytes name = tree->root->element->name;
    struct mor_schema *schema =
        mor_schema_new(mor_arena_strndup(arena, (const char *)name.data, name.size_bytes));
    struct view_builder b = {.arena = arena, .schema = schema, .err = err};
    size_t count = tree->root->child_count;
    struct mor_pq_view *views = mor_arena_calloc(arena, count + 1, sizeof *views);
    for (size_t i = 0; i < count; i++) {
        enum mor_status status =
            make_view(&b, NULL, &tree->root->children[i], false, NULL, 0, 0, 1, &views[i]);
        if (status != MOR_OK) {
            mor_schema_free(schema);
            return status;
        }
    }
    *ret_schema = schema;
    *ret_views = views;
    return MOR_OK;
}
