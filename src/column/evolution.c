// How the types of a column may change: to one that holds every value of both.
#include <string.h>

#include "moraine/column.h"

static bool add_children(struct mor_schema *schema, struct mor_field *joined,
                         const struct mor_field *a, const struct mor_field *b);

// The scalar type that holds the values of both; false when there is none.
static bool join_scalar(const struct mor_field *a, const struct mor_field *b,
                        struct mor_field *joined)
{
    if (a->type == b->type) {
        if (a->type == MOR_TYPE_DECIMAL && a->scale != b->scale)
            return false;
        if (a->type == MOR_TYPE_FIXED && a->fixed_size_bytes != b->fixed_size_bytes)
            return false;
        joined->precision = a->precision > b->precision ? a->precision : b->precision;
        return a->local_timestamp == b->local_timestamp;
    }
    bool integers = (a->type == MOR_TYPE_INT32 && b->type == MOR_TYPE_INT64) ||
                    (a->type == MOR_TYPE_INT64 && b->type == MOR_TYPE_INT32);
    bool floats = (a->type == MOR_TYPE_FLOAT && b->type == MOR_TYPE_DOUBLE) ||
                  (a->type == MOR_TYPE_DOUBLE && b->type == MOR_TYPE_FLOAT);
    if (integers)
        joined->type = MOR_TYPE_INT64;
    else if (floats)
        joined->type = MOR_TYPE_DOUBLE;
    return integers || floats;
}

static bool is_nested(const struct mor_field *field)
{
    return field->type == MOR_TYPE_STRUCT || field->type == MOR_TYPE_LIST ||
           field->type == MOR_TYPE_MAP;
}

static bool add_joined(struct mor_schema *schema, struct mor_field *parent,
                       const struct mor_field *a, const struct mor_field *b)
{
    if (is_nested(a) != is_nested(b) || (is_nested(a) && a->type != b->type))
        return false;
    if (!is_nested(a)) {
        struct mor_field *joined = mor_schema_add_copy(schema, parent, a);
        joined->nullable = a->nullable || b->nullable;
        return join_scalar(a, b, joined);
    }
    struct mor_field *joined =
        mor_schema_add(schema, parent, a->name, a->type, a->nullable || b->nullable);
    joined->field_id = a->field_id;
    return add_children(schema, joined, a, b);
}

static const struct mor_field *find_child(const struct mor_field *parent, const char *name)
{
    for (size_t i = 0; i < parent->child_count; i++)
        if (strcmp(parent->children[i].name, name) == 0)
            return &parent->children[i];
    return NULL;
}

// Those of a in their order, then what only b has, which rows of a do not have.
static bool add_children(struct mor_schema *schema, struct mor_field *joined,
                         const struct mor_field *a, const struct mor_field *b)
{
    if (a->type != MOR_TYPE_STRUCT) {
        for (size_t i = 0; i < a->child_count; i++)
            if (!add_joined(schema, joined, &a->children[i], &b->children[i]))
                return false;
        return true;
    }
    for (size_t i = 0; i < a->child_count; i++) {
        const struct mor_field *other = find_child(b, a->children[i].name);
        if (other == NULL)
            mor_schema_add_copy(schema, joined, &a->children[i])->nullable = true;
        else if (!add_joined(schema, joined, &a->children[i], other))
            return false;
    }
    for (size_t i = 0; i < b->child_count; i++)
        if (find_child(a, b->children[i].name) == NULL)
            mor_schema_add_copy(schema, joined, &b->children[i])->nullable = true;
    return true;
}

enum mor_status mor_schema_join(const struct mor_schema *a, const struct mor_schema *b,
                                struct mor_schema **ret_schema, struct mor_error *err)
{
    struct mor_schema *schema = mor_schema_new(a->root.name);
    for (size_t i = 0; i < a->root.child_count; i++) {
        const struct mor_field *field = &a->root.children[i];
        const struct mor_field *other = find_child(&b->root, field->name);
        if (other == NULL) {
            mor_schema_add_copy(schema, NULL, field);
            continue;
        }
        if (add_joined(schema, NULL, field, other))
            continue;
        MOR_AUTO_BUFFER old_type = {0}, new_type = {0};
        mor_type_format(field, &old_type);
        mor_type_format(other, &new_type);
        mor_schema_free(schema);
        return mor_error_set(err, MOR_FATAL, "column '%s' is %s, which cannot become %s",
                             field->name, mor_buffer_terminate(&old_type),
                             mor_buffer_terminate(&new_type));
    }
    for (size_t i = 0; i < b->root.child_count; i++)
        if (find_child(&a->root, b->root.children[i].name) == NULL)
            mor_schema_add_copy(schema, NULL, &b->root.children[i])->nullable = true;
    *ret_schema = schema;
    return MOR_OK;
}

// ---- what is new --------------------------------------------------------------------------------

#define STRANGERS_MAX_BYTES 300 // names for a message; a few are enough

struct path {
    const struct path *above;
    const char *name;
};

static void put_path(struct mor_buffer *names, const struct path *path)
{
    if (path->above != NULL) {
        put_path(names, path->above);
        mor_buffer_append_u8(names, '.');
    }
    mor_buffer_printf(names, "%.100s", path->name);
}

static bool is_wider(const struct mor_field *have, const struct mor_field *theirs)
{
    return (have->type == MOR_TYPE_INT32 && theirs->type == MOR_TYPE_INT64) ||
           (have->type == MOR_TYPE_FLOAT && theirs->type == MOR_TYPE_DOUBLE) ||
           (have->type == MOR_TYPE_DECIMAL && theirs->type == MOR_TYPE_DECIMAL &&
            have->scale == theirs->scale && have->precision < theirs->precision);
}

static void compare(const struct mor_field *have, const struct mor_field *theirs,
                    const struct path *above, struct mor_buffer *names)
{
    for (size_t i = 0; i < theirs->child_count && names->size_bytes <= STRANGERS_MAX_BYTES; i++) {
        const struct mor_field *child = &theirs->children[i];
        const struct mor_field *mine =
            have->type != MOR_TYPE_STRUCT ? &have->children[i] : find_child(have, child->name);
        struct path path = {above, child->name};
        if (mine != NULL && is_nested(mine) && mine->type == child->type)
            compare(mine, child, &path, names);
        if (mine != NULL && !is_wider(mine, child))
            continue;
        mor_buffer_append_text(names, names->size_bytes > 0 ? ", " : "");
        put_path(names, &path);
    }
}

void mor_schema_freeze(struct mor_field *fields, const struct mor_field *have)
{
    size_t kept = 0;
    if (fields->type != have->type)
        return;
    for (size_t i = 0; i < fields->child_count; i++) {
        struct mor_field *child = &fields->children[i];
        const struct mor_field *mine =
            have->type != MOR_TYPE_STRUCT ? &have->children[i] : find_child(have, child->name);
        if (mine == NULL)
            continue;
        if (is_wider(mine, child)) {
            child->type = mine->type;
            child->precision = mine->precision;
        } else if (is_nested(child)) {
            mor_schema_freeze(child, mine);
        }
        if (kept != i)
            fields->children[kept] = *child;
        kept++;
    }
    fields->child_count = kept;
}

void mor_schema_strangers(const struct mor_schema *have, const struct mor_schema *theirs,
                          struct mor_buffer *ret_names)
{
    compare(&have->root, &theirs->root, NULL, ret_names);
}
