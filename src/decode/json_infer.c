// Columns from samples: what all of the first records have in common.
#include <jansson.h>

#include "moraine/avro.h"
#include "moraine/decode.h"

#define DEPTH_MAX  8    // deeper values are JSON text
#define FIELDS_MAX 2000 // of all levels; later ones are left out

enum kind { KIND_NULL, KIND_BOOL, KIND_LONG, KIND_DOUBLE, KIND_TEXT, KIND_LIST, KIND_STRUCT };

// What is known of a value. TEXT also takes what fits nothing else.
struct shape {
    enum kind kind;
    char *name;
    struct shape *children; // fields in the order of their first coming; LIST: one
    size_t child_count;
};

struct mor_json_inference {
    struct shape root;
    bool enveloped;
    size_t sample_count, field_count;
};

struct mor_json_inference *mor_json_inference_new(bool enveloped)
{
    struct mor_json_inference *inference = mor_calloc(1, sizeof *inference);
    inference->root.kind = KIND_STRUCT;
    inference->enveloped = enveloped;
    return inference;
}

static void shape_done(struct shape *shape)
{
    for (size_t i = 0; i < shape->child_count; i++)
        shape_done(&shape->children[i]);
    free(shape->children);
    free(shape->name);
}

void mor_json_inference_free(struct mor_json_inference *inference)
{
    if (!inference)
        return;
    shape_done(&inference->root);
    free(inference);
}

// ---- looking at values --------------------------------------------------------------------------

static void look(struct mor_json_inference *inference, struct shape *shape, const json_t *value,
                 int depth);

static struct shape *add_child(struct mor_json_inference *inference, struct shape *shape,
                               const char *name)
{
    inference->field_count++;
    shape->children =
        mor_realloc(shape->children, (shape->child_count + 1) * sizeof *shape->children);
    struct shape *child = &shape->children[shape->child_count++];
    *child = (struct shape){.name = mor_strdup(name)};
    return child;
}

static struct shape *find_child(const struct shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->child_count; i++) {
        if (strcmp(shape->children[i].name, name) == 0)
            return &shape->children[i];
    }
    return NULL;
}

static void become_text(struct shape *shape)
{
    for (size_t i = 0; i < shape->child_count; i++)
        shape_done(&shape->children[i]);
    free(shape->children);
    shape->children = NULL;
    shape->child_count = 0;
    shape->kind = KIND_TEXT;
}

static enum kind kind_of(const json_t *value, int depth)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return KIND_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return KIND_BOOL;
    case JSON_INTEGER:
        return KIND_LONG;
    case JSON_REAL:
        return KIND_DOUBLE;
    case JSON_ARRAY:
        return depth < DEPTH_MAX ? KIND_LIST : KIND_TEXT;
    case JSON_OBJECT:
        return depth < DEPTH_MAX && json_object_size(value) > 0 ? KIND_STRUCT : KIND_TEXT;
    case JSON_STRING:
        break;
    }
    return KIND_TEXT;
}

// Columns need names that every table format takes; an object with others is text.
static void look_inside(struct mor_json_inference *inference, struct shape *shape,
                        const json_t *object, int depth)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        struct shape *child = find_child(shape, name);
        if (!child && !mor_avro_name_is_valid(name)) {
            if (depth == 0)
                continue; // left out
            become_text(shape);
            return;
        }
        if (!child && inference->field_count >= FIELDS_MAX)
            continue;
        look(inference, child ? child : add_child(inference, shape, name), value, depth + 1);
    }
}

static void look(struct mor_json_inference *inference, struct shape *shape, const json_t *value,
                 int depth)
{
    enum kind kind = kind_of(value, depth);
    bool empty = json_is_object(value) && json_object_size(value) == 0;
    if (kind == KIND_NULL || shape->kind == KIND_TEXT || (empty && shape->kind == KIND_STRUCT))
        return;
    bool numbers = (kind == KIND_LONG || kind == KIND_DOUBLE) &&
                   (shape->kind == KIND_LONG || shape->kind == KIND_DOUBLE);
    if (shape->kind == KIND_NULL || kind == shape->kind) {
        shape->kind = kind;
    } else if (numbers) {
        shape->kind = KIND_DOUBLE;
    } else {
        become_text(shape);
        return;
    }
    if (kind == KIND_STRUCT)
        look_inside(inference, shape, value, depth);
    if (kind != KIND_LIST)
        return;
    struct shape *element =
        shape->child_count > 0 ? shape->children : add_child(inference, shape, "element");
    for (size_t i = 0; i < json_array_size(value); i++)
        look(inference, element, json_array_get(value, i), depth + 1);
}

// The row of a change event.
static const json_t *row_of(const json_t *event)
{
    const json_t *payload = json_object_get(event, "payload");
    const json_t *inside = json_is_object(payload) ? payload : event;
    const json_t *after = json_object_get(inside, "after");
    return json_is_object(after) ? after : json_object_get(inside, "before");
}

void mor_json_inference_add(struct mor_json_inference *inference, const void *value,
                            size_t size_bytes)
{
    json_error_t error;
    bool framed = size_bytes > 5 && *(const char *)value == 0;
    size_t first = framed ? 5 : 0;
    json_t *json = json_loadb((const char *)value + first, size_bytes - first, 0, &error);
    const json_t *row = inference->enveloped ? row_of(json) : json;
    if (json_is_object(row) && json_object_size(row) > 0) {
        inference->sample_count++;
        look_inside(inference, &inference->root, row, 0);
    }
    json_decref(json);
}

// ---- the schema ---------------------------------------------------------------------------------

static void put(struct mor_schema *schema, struct mor_field *parent, const struct shape *shape)
{
    static const enum mor_type types[] = {
        [KIND_NULL] = MOR_TYPE_JSON,     [KIND_BOOL] = MOR_TYPE_BOOL, [KIND_LONG] = MOR_TYPE_INT64,
        [KIND_DOUBLE] = MOR_TYPE_DOUBLE, [KIND_TEXT] = MOR_TYPE_JSON, [KIND_LIST] = MOR_TYPE_LIST,
        [KIND_STRUCT] = MOR_TYPE_STRUCT};
    struct mor_field *field = mor_schema_add(schema, parent, shape->name, types[shape->kind], true);
    for (size_t i = 0; i < shape->child_count; i++)
        put(schema, field, &shape->children[i]);
}

struct mor_schema *mor_json_inference_finish(const struct mor_json_inference *inference)
{
    if (inference->root.child_count == 0)
        return NULL;
    struct mor_schema *schema = mor_schema_new("row");
    for (size_t i = 0; i < inference->root.child_count; i++)
        put(schema, NULL, &inference->root.children[i]);
    return schema;
}

static void reopen(struct mor_field *field)
{
    if (field->type == MOR_TYPE_STRING)
        field->type = MOR_TYPE_JSON;
    bool map = field->type == MOR_TYPE_MAP;
    for (size_t i = map ? 1 : 0; i < field->child_count; i++)
        reopen(&field->children[i]);
}

void mor_json_inference_reopen(struct mor_schema *schema)
{
    for (size_t i = 0; i < schema->root.child_count; i++)
        reopen(&schema->root.children[i]);
}
