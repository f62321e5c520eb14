// Message types as tables.
#include <stdio.h>

#include "proto_schema.h"

// The messages above the one that is being converted, to tell a recursive one.
struct chain {
    const struct chain *above;
    const struct mor_proto_message *message;
};

struct converter {
    struct mor_schema *schema;
    size_t field_count;
    int depth;
    struct mor_error *err;
};

static enum mor_status fill(struct converter *c, struct mor_field *field,
                            const struct mor_proto_field *from, const struct chain *above);

static const enum mor_type scalar_types[] = {
    [MOR_PROTO_DOUBLE] = MOR_TYPE_DOUBLE,  [MOR_PROTO_FLOAT] = MOR_TYPE_FLOAT,
    [MOR_PROTO_INT64] = MOR_TYPE_INT64,    [MOR_PROTO_UINT64] = MOR_TYPE_DECIMAL,
    [MOR_PROTO_INT32] = MOR_TYPE_INT32,    [MOR_PROTO_FIXED64] = MOR_TYPE_DECIMAL,
    [MOR_PROTO_FIXED32] = MOR_TYPE_INT64,  [MOR_PROTO_BOOL] = MOR_TYPE_BOOL,
    [MOR_PROTO_STRING] = MOR_TYPE_STRING,  [MOR_PROTO_BYTES] = MOR_TYPE_BYTES,
    [MOR_PROTO_UINT32] = MOR_TYPE_INT64,   [MOR_PROTO_ENUM] = MOR_TYPE_ENUM,
    [MOR_PROTO_SFIXED32] = MOR_TYPE_INT32, [MOR_PROTO_SFIXED64] = MOR_TYPE_INT64,
    [MOR_PROTO_SINT32] = MOR_TYPE_INT32,   [MOR_PROTO_SINT64] = MOR_TYPE_INT64,
};

static enum mor_status fill_members(struct converter *c, struct mor_field *field,
                                    const struct mor_proto_message *message,
                                    const struct chain *above)
{
    struct chain here = {above, message};
    for (const struct chain *at = above; at; at = at->above) {
        if (at->message == message)
            return mor_error_set(c->err, MOR_DATA,
                                 "a table cannot hold the recursive type '%.200s'",
                                 message->full_name);
    }
    if (++c->depth > MOR_SCHEMA_DEPTH_MAX)
        return mor_error_set(c->err, MOR_DATA, "types are nested deeper than %d",
                             MOR_SCHEMA_DEPTH_MAX);
    field->type = MOR_TYPE_STRUCT;
    for (size_t i = 0; i < message->field_count; i++) {
        const struct mor_proto_field *from = &message->fields[i];
        struct mor_field *child =
            mor_schema_add(c->schema, field, from->name, MOR_TYPE_BOOL, !from->required);
        if (fill(c, child, from, &here) != MOR_OK)
            return mor_error_wrap(c->err, "field '%s'", from->name);
    }
    c->depth--;
    return MOR_OK;
}

static enum mor_status fill_message(struct converter *c, struct mor_field *field,
                                    const struct mor_proto_message *message,
                                    const struct chain *above)
{
    switch (message->known) {
    case MOR_PROTO_TIMESTAMP:
        field->type = MOR_TYPE_TIMESTAMP_MICROS;
        return MOR_OK;
    case MOR_PROTO_DURATION: // microseconds
        field->type = MOR_TYPE_INT64;
        return MOR_OK;
    case MOR_PROTO_WRAPPER:
        return fill(c, field, &message->fields[0], above);
    case MOR_PROTO_STRUCT:
    case MOR_PROTO_VALUE:
    case MOR_PROTO_LIST:
        field->type = MOR_TYPE_JSON;
        return MOR_OK;
    case MOR_PROTO_PLAIN:
        break;
    }
    if (message->field_count == 0) { // true where it stands
        field->type = MOR_TYPE_BOOL;
        return MOR_OK;
    }
    return fill_members(c, field, message, above);
}

// One value, not the list of a repeated field.
static enum mor_status fill_one(struct converter *c, struct mor_field *field,
                                const struct mor_proto_field *from, const struct chain *above)
{
    if (from->message)
        return fill_message(c, field, from->message, above);
    field->type = scalar_types[from->type];
    if (field->type == MOR_TYPE_DECIMAL)
        field->precision = 20; // 2^64
    return MOR_OK;
}

static enum mor_status fill(struct converter *c, struct mor_field *field,
                            const struct mor_proto_field *from, const struct chain *above)
{
    if (++c->field_count > MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(c->err, MOR_DATA, "more than %d fields", MOR_SCHEMA_FIELDS_MAX);
    if (from->group)
        return mor_error_set(c->err, MOR_DATA, "groups are not read");
    if (!from->repeated)
        return fill_one(c, field, from, above);
    if (from->message && from->message->is_map_entry && from->message->field_count == 2) {
        field->type = MOR_TYPE_MAP;
        mor_schema_add(c->schema, field, "key", MOR_TYPE_STRING, false);
        struct mor_field *value = mor_schema_add(c->schema, field, "value", MOR_TYPE_BOOL, true);
        return fill_one(c, value, &from->message->fields[1], above);
    }
    field->type = MOR_TYPE_LIST;
    return fill_one(c, mor_schema_add(c->schema, field, "element", MOR_TYPE_BOOL, true), from,
                    above);
}

enum mor_status mor_proto_to_table(const struct mor_proto_message *message,
                                   struct mor_schema **ret_schema, struct mor_error *err)
{
    const char *dot = strrchr(message->full_name, '.');
    struct mor_schema *table = mor_schema_new(dot ? dot + 1 : message->full_name);
    struct converter c = {.schema = table, .err = err};
    enum mor_status status =
        message->field_count > 0
            ? fill_members(&c, &table->root, message, NULL)
            : mor_error_set(err, MOR_DATA, "'%.200s' has no fields", message->full_name);
    if (status != MOR_OK) {
        mor_schema_free(table);
        return status;
    }
    *ret_schema = table;
    return MOR_OK;
}
