// Avro schemas and table schemas, both ways.
#include <stdio.h>

#include "avro_schema.h"
#include "avro_text.h"

// ---- Avro to table ------------------------------------------------------------------------------

// The records above the one that is being converted, to tell a recursive one.
struct chain {
    const struct chain *above;
    const struct mor_avro_node *node;
};

struct converter {
    struct mor_schema *schema;
    size_t field_count;
    int depth;
    struct mor_error *err;
};

static enum mor_status add_field(struct converter *c, struct mor_field *parent,
                                 const struct mor_avro_member *member, const struct chain *above);

bool mor_avro_nullable(const struct mor_avro_node **node)
{
    const struct mor_avro_node *u = *node;
    if (u->kind != MOR_AVRO_UNION || u->member_count > 2)
        return false;
    if (u->member_count == 1) {
        *node = u->members[0].node;
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (u->members[i].node->kind == MOR_AVRO_NULL) {
            *node = u->members[1 - i].node;
            return true;
        }
    }
    return false;
}

static const enum mor_type plain_types[] = {
    [MOR_AVRO_BOOLEAN] = MOR_TYPE_BOOL,  [MOR_AVRO_INT] = MOR_TYPE_INT32,
    [MOR_AVRO_LONG] = MOR_TYPE_INT64,    [MOR_AVRO_FLOAT] = MOR_TYPE_FLOAT,
    [MOR_AVRO_DOUBLE] = MOR_TYPE_DOUBLE, [MOR_AVRO_BYTES] = MOR_TYPE_BYTES,
    [MOR_AVRO_STRING] = MOR_TYPE_STRING, [MOR_AVRO_RECORD] = MOR_TYPE_STRUCT,
    [MOR_AVRO_ENUM] = MOR_TYPE_ENUM,     [MOR_AVRO_ARRAY] = MOR_TYPE_LIST,
    [MOR_AVRO_MAP] = MOR_TYPE_MAP,       [MOR_AVRO_FIXED] = MOR_TYPE_FIXED,
};

static const enum mor_type logical_types[] = {
    [MOR_AVRO_LOGICAL_DECIMAL] = MOR_TYPE_DECIMAL,
    [MOR_AVRO_LOGICAL_UUID] = MOR_TYPE_UUID,
    [MOR_AVRO_LOGICAL_DATE] = MOR_TYPE_DATE,
    [MOR_AVRO_LOGICAL_TIME_MILLIS] = MOR_TYPE_TIME_MILLIS,
    [MOR_AVRO_LOGICAL_TIME_MICROS] = MOR_TYPE_TIME_MICROS,
    [MOR_AVRO_LOGICAL_TIMESTAMP_MILLIS] = MOR_TYPE_TIMESTAMP_MILLIS,
    [MOR_AVRO_LOGICAL_TIMESTAMP_MICROS] = MOR_TYPE_TIMESTAMP_MICROS,
    [MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS] = MOR_TYPE_TIMESTAMP_MILLIS,
    [MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS] = MOR_TYPE_TIMESTAMP_MICROS,
};

// The wider of two number types, as Spark's Avro reader has it; null counts among the branches.
static bool is_union_of_numbers(const struct mor_avro_node *node, enum mor_type *ret_type)
{
    bool of_int = false, of_long = false, of_float = false, of_double = false, other = false;
    for (size_t i = 0; i < node->member_count; i++) {
        enum mor_avro_kind kind = node->members[i].node->kind;
        bool plain = !node->members[i].node->logical;
        of_int = of_int || (plain && kind == MOR_AVRO_INT);
        of_long = of_long || (plain && kind == MOR_AVRO_LONG);
        of_float = of_float || kind == MOR_AVRO_FLOAT;
        of_double = of_double || kind == MOR_AVRO_DOUBLE;
        other =
            other || (kind != MOR_AVRO_NULL && kind != MOR_AVRO_FLOAT && kind != MOR_AVRO_DOUBLE &&
                      !(plain && (kind == MOR_AVRO_INT || kind == MOR_AVRO_LONG)));
    }
    *ret_type = of_long ? MOR_TYPE_INT64 : MOR_TYPE_DOUBLE;
    return !other && ((of_int && of_long && !of_float && !of_double) ||
                      (of_float && of_double && !of_int && !of_long));
}

static enum mor_status check_convertible(const struct mor_avro_node *node,
                                         const struct chain *above, struct mor_error *err)
{
    if (node->kind == MOR_AVRO_NULL)
        return mor_error_set(err, MOR_DATA, "a table cannot hold the type null");
    if (node->kind == MOR_AVRO_FIXED && node->fixed_size_bytes == 0)
        return mor_error_set(err, MOR_DATA, "a table cannot hold a fixed of 0 bytes");
    if (node->kind == MOR_AVRO_RECORD && node->member_count == 0)
        return mor_error_set(err, MOR_DATA, "a table cannot hold a record without fields");
    if (node->logical == MOR_AVRO_LOGICAL_DECIMAL && node->precision > MOR_DECIMAL_PRECISION_MAX)
        return mor_error_set(err, MOR_DATA, "decimal precision %d is more than %d", node->precision,
                             MOR_DECIMAL_PRECISION_MAX);
    for (const struct chain *c = above; c; c = c->above) {
        if (c->node == node)
            return mor_error_set(err, MOR_DATA, "a table cannot hold the recursive type '%.200s'",
                                 node->full_name);
    }
    return MOR_OK;
}

static enum mor_status add_children(struct converter *c, struct mor_field *field,
                                    const struct mor_avro_node *node, const struct chain *above)
{
    struct chain here = {above, node};
    if (++c->depth > MOR_SCHEMA_DEPTH_MAX)
        return mor_error_set(c->err, MOR_DATA, "types are nested deeper than %d",
                             MOR_SCHEMA_DEPTH_MAX);
    if (node->kind == MOR_AVRO_MAP)
        mor_schema_add(c->schema, field, "key", MOR_TYPE_STRING, false);
    for (size_t i = 0; i < node->member_count; i++) {
        struct mor_avro_member member = node->members[i];
        if (node->kind == MOR_AVRO_ARRAY)
            member.name = "element";
        if (node->kind == MOR_AVRO_MAP)
            member.name = "value";
        MOR_TRY(add_field(c, field, &member, node->kind == MOR_AVRO_RECORD ? &here : above));
    }
    c->depth--;
    return MOR_OK;
}

void mor_avro_branch_name(const struct mor_avro_node *node, size_t branch, char *ret_name,
                          size_t capacity)
{
    const struct mor_avro_node *type = node->members[branch].node;
    const char *dot = type->full_name ? strrchr(type->full_name, '.') : NULL;
    const char *name = !type->full_name ? mor_avro_kind_name(type->kind)
                       : dot            ? dot + 1
                                        : type->full_name;
    for (size_t i = 0; dot && i < node->member_count; i++) {
        const char *other = node->members[i].node->full_name;
        const char *other_dot = other && i != branch ? strrchr(other, '.') : NULL;
        if (other && i != branch && strcmp(other_dot ? other_dot + 1 : other, name) == 0)
            name = type->full_name; // two records of one name
    }
    (void)snprintf(ret_name, capacity, "%s", name);
    for (char *c = ret_name; *c; c++)
        *c = *c == '.' ? '_' : *c;
}

// A union of several types: a number, or a struct with a field per branch.
static enum mor_status add_union(struct converter *c, struct mor_field *parent,
                                 const struct mor_avro_member *member, const struct chain *above)
{
    const struct mor_avro_node *node = member->node;
    bool nullable = false;
    for (size_t i = 0; i < node->member_count; i++)
        nullable = nullable || node->members[i].node->kind == MOR_AVRO_NULL;
    enum mor_type type;
    bool numbers = is_union_of_numbers(node, &type);
    struct mor_field *field =
        mor_schema_add(c->schema, parent, member->name, numbers ? type : MOR_TYPE_STRUCT, nullable);
    field->field_id = member->field_id;
    if (member->doc)
        field->doc = mor_arena_strdup(&c->schema->arena, member->doc);
    if (numbers)
        return MOR_OK;
    if (++c->depth > MOR_SCHEMA_DEPTH_MAX)
        return mor_error_set(c->err, MOR_DATA, "types are nested deeper than %d",
                             MOR_SCHEMA_DEPTH_MAX);
    for (size_t i = 0; i < node->member_count; i++) {
        char name[MOR_AVRO_BRANCH_NAME_SIZE];
        mor_avro_branch_name(node, i, name, sizeof name);
        struct mor_avro_member branch = {
            .name = name, .node = node->members[i].node, .field_id = -1};
        if (branch.node->kind == MOR_AVRO_NULL)
            continue;
        MOR_TRY(add_field(c, field, &branch, above));
        field->children[field->child_count - 1].nullable = true;
    }
    c->depth--;
    return MOR_OK;
}

static enum mor_status add_field(struct converter *c, struct mor_field *parent,
                                 const struct mor_avro_member *member, const struct chain *above)
{
    if (++c->field_count > MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(c->err, MOR_DATA, "more than %d fields", MOR_SCHEMA_FIELDS_MAX);
    const struct mor_avro_node *node = member->node;
    bool nullable = mor_avro_nullable(&node);
    if (node->kind == MOR_AVRO_UNION)
        return add_union(c, parent, member, above) == MOR_OK
                   ? MOR_OK
                   : mor_error_wrap(c->err, "field '%s'", member->name);
    if (check_convertible(node, above, c->err) != MOR_OK)
        return mor_error_wrap(c->err, "field '%s'", member->name);
    enum mor_type type = node->logical ? logical_types[node->logical] : plain_types[node->kind];
    struct mor_field *field = mor_schema_add(c->schema, parent, member->name, type, nullable);
    field->field_id = member->field_id;
    field->precision = node->precision;
    field->scale = node->scale;
    field->local_timestamp = node->logical == MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS ||
                             node->logical == MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS;
    if (type == MOR_TYPE_FIXED)
        field->fixed_size_bytes = (int32_t)node->fixed_size_bytes;
    if (member->doc)
        field->doc = mor_arena_strdup(&c->schema->arena, member->doc);
    if (type == MOR_TYPE_STRUCT || type == MOR_TYPE_LIST || type == MOR_TYPE_MAP) {
        if (add_children(c, field, node, above) != MOR_OK)
            return mor_error_wrap(c->err, "field '%s'", member->name);
    }
    return MOR_OK;
}

enum mor_status mor_avro_schema_to_table(const struct mor_avro_schema *schema,
                                         struct mor_schema **ret_schema, struct mor_error *err)
{
    const struct mor_avro_node *root = schema->root;
    if (root->kind != MOR_AVRO_RECORD)
        return mor_error_set(err, MOR_DATA, "the schema of a table must be a record, not %s",
                             mor_avro_kind_name(root->kind));
    const char *dot = strrchr(root->full_name, '.');
    struct mor_schema *table = mor_schema_new(dot ? dot + 1 : root->full_name);
    if (root->doc)
        table->root.doc = mor_arena_strdup(&table->arena, root->doc);
    struct converter c = {.schema = table, .err = err};
    enum mor_status status = add_children(&c, &table->root, root, NULL);
    if (status != MOR_OK) {
        mor_schema_free(table);
        return status;
    }
    *ret_schema = table;
    return MOR_OK;
}

// ---- table to Avro ------------------------------------------------------------------------------

struct writer {
    struct mor_buffer *json;
    struct mor_error *err;
};

static enum mor_status put_type(struct writer *w, const struct mor_field *field, const char *name,
                                const char *space);

static void put_name_and_space(struct writer *w, const char *name, const char *space)
{
    mor_buffer_append_text(w->json, "\"name\":");
    mor_avro_put_json_string(w->json, name, strlen(name));
    if (*space) {
        mor_buffer_append_text(w->json, ",\"namespace\":");
        mor_avro_put_json_string(w->json, space, strlen(space));
    }
}

static void put_doc(struct writer *w, const char *doc)
{
    if (doc) {
        mor_buffer_append_text(w->json, ",\"doc\":");
        mor_avro_put_json_string(w->json, doc, strlen(doc));
    }
}

// A nullable type is a union with null first, as the default null demands.
static enum mor_status put_nullable(struct writer *w, const struct mor_field *field,
                                    const char *name, const char *space)
{
    if (!field->nullable)
        return put_type(w, field, name, space);
    mor_buffer_append_text(w->json, "[\"null\",");
    MOR_TRY(put_type(w, field, name, space));
    mor_buffer_append_u8(w->json, ']');
    return MOR_OK;
}

// `doc` is the record's own; that of the field it stands in is written with the field.
static enum mor_status put_record(struct writer *w, const struct mor_field *record,
                                  const char *name, const char *space, const char *doc)
{
    MOR_AUTO_FREE char *inner = *space ? mor_asprintf("%s.%s", space, name) : mor_strdup(name);
    mor_buffer_append_text(w->json, "{\"type\":\"record\",");
    put_name_and_space(w, name, space);
    put_doc(w, doc);
    mor_buffer_append_text(w->json, ",\"fields\":[");
    for (size_t i = 0; i < record->child_count; i++) {
        const struct mor_field *field = &record->children[i];
        if (!mor_avro_name_is_valid(field->name))
            return mor_error_set(w->err, MOR_DATA,
                                 "field '%.200s' of '%.200s': not a name that Avro allows",
                                 field->name, name);
        mor_buffer_append_text(w->json, i > 0 ? ",{\"name\":" : "{\"name\":");
        mor_avro_put_json_string(w->json, field->name, strlen(field->name));
        mor_buffer_append_text(w->json, ",\"type\":");
        MOR_TRY(put_nullable(w, field, field->name, inner));
        put_doc(w, field->doc);
        mor_buffer_append_text(w->json, field->nullable ? ",\"default\":null}" : "}");
    }
    mor_buffer_append_text(w->json, "]}");
    return MOR_OK;
}

static void put_decimal(struct writer *w, const struct mor_field *field, const char *name,
                        const char *space)
{
    MOR_AUTO_FREE char *inner = *space ? mor_asprintf("%s.%s", space, name) : mor_strdup(name);
    mor_buffer_append_text(w->json, "{\"type\":\"fixed\",");
    put_name_and_space(w, "fixed", inner);
    mor_buffer_printf(w->json,
                      ",\"size\":%d,\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                      mor_decimal_size_bytes(field->precision), field->precision, field->scale);
}

static void put_logical(struct writer *w, const char *base, const char *local, const char *logical)
{
    mor_buffer_printf(w->json, "{\"type\":\"%s\",\"logicalType\":\"%s%s\"}", base, local, logical);
}

static enum mor_status put_type(struct writer *w, const struct mor_field *field, const char *name,
                                const char *space)
{
    const char *local = field->local_timestamp ? "local-" : "";
    switch (field->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_text(w->json, "\"boolean\"");
        return MOR_OK;
    case MOR_TYPE_INT32:
        mor_buffer_append_text(w->json, "\"int\"");
        return MOR_OK;
    case MOR_TYPE_INT64:
        mor_buffer_append_text(w->json, "\"long\"");
        return MOR_OK;
    case MOR_TYPE_FLOAT:
        mor_buffer_append_text(w->json, "\"float\"");
        return MOR_OK;
    case MOR_TYPE_DOUBLE:
        mor_buffer_append_text(w->json, "\"double\"");
        return MOR_OK;
    case MOR_TYPE_DECIMAL:
        put_decimal(w, field, name, space);
        return MOR_OK;
    case MOR_TYPE_DATE:
        put_logical(w, "int", "", "date");
        return MOR_OK;
    case MOR_TYPE_TIME_MILLIS:
        put_logical(w, "int", "", "time-millis");
        return MOR_OK;
    case MOR_TYPE_TIME_MICROS:
        put_logical(w, "long", "", "time-micros");
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MILLIS:
        put_logical(w, "long", local, "timestamp-millis");
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MICROS:
        put_logical(w, "long", local, "timestamp-micros");
        return MOR_OK;
    // Spark has no type for these four: it would regenerate the schema with string and bytes, and a
    // fixed or enum does not resolve to those.
    case MOR_TYPE_UUID:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
    case MOR_TYPE_STRING:
        mor_buffer_append_text(w->json, "\"string\"");
        return MOR_OK;
    case MOR_TYPE_FIXED:
    case MOR_TYPE_BYTES:
        mor_buffer_append_text(w->json, "\"bytes\"");
        return MOR_OK;
    case MOR_TYPE_STRUCT:
        return put_record(w, field, name, space, NULL);
    case MOR_TYPE_LIST:
        mor_buffer_append_text(w->json, "{\"type\":\"array\",\"items\":");
        MOR_TRY(put_nullable(w, &field->children[0], name, space));
        mor_buffer_append_u8(w->json, '}');
        return MOR_OK;
    case MOR_TYPE_MAP:
        if (field->children[0].type != MOR_TYPE_STRING)
            return mor_error_set(w->err, MOR_DATA, "field '%s': Avro maps have string keys only",
                                 name);
        mor_buffer_append_text(w->json, "{\"type\":\"map\",\"values\":");
        MOR_TRY(put_nullable(w, &field->children[1], name, space));
        mor_buffer_append_u8(w->json, '}');
        return MOR_OK;
    }
    return mor_error_set(w->err, MOR_DATA, "field '%s' has no known type", name);
}

enum mor_status mor_avro_schema_from_table(const struct mor_schema *schema, const char *name,
                                           const char *namespace_, struct mor_buffer *ret_json,
                                           struct mor_error *err)
{
    MOR_AUTO_BUFFER json = {0};
    struct writer w = {.json = &json, .err = err};
    if (!mor_avro_name_is_valid(name))
        return mor_error_set(err, MOR_DATA, "'%.200s' is not a name that Avro allows", name);
    MOR_TRY(put_record(&w, &schema->root, name, namespace_ ? namespace_ : "", schema->root.doc));
    mor_buffer_append(ret_json, json.data, json.size_bytes);
    mor_buffer_terminate(ret_json);
    return MOR_OK;
}
