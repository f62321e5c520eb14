#include "proto_plan.h"

#include <stdio.h>

#include "proto_wire.h"

#define STRANGERS_MAX_BYTES 300 // names for a message; a few are enough

struct compiler {
    struct mor_arena *arena;
    struct mor_error *err;
    struct mor_buffer *strangers;
    const char *path[MOR_SCHEMA_DEPTH_MAX]; // columns and fields around what is being compiled
    size_t depth;
};

// One message to be compiled.
struct target {
    const struct mor_proto_message *message;
    const struct mor_field *columns;
    const struct mor_route *routes;
    size_t route_count;
    bool whole; // every field of it should have a column
};

static void note_stranger(struct compiler *c, const char *name)
{
    struct mor_buffer *strangers = c->strangers;
    if (strangers->size_bytes > STRANGERS_MAX_BYTES)
        return;
    mor_buffer_append_text(strangers, strangers->size_bytes > 0 ? ", " : "");
    for (size_t i = 0; i < c->depth; i++)
        mor_buffer_printf(strangers, "%.100s.", c->path[i]);
    mor_buffer_printf(strangers, "%.100s", name);
}

static enum mor_status compile(struct compiler *c, const struct target *target,
                               struct mor_proto_program **ret_program);

static enum mor_status refuse(struct compiler *c, const struct mor_proto_field *from,
                              const struct mor_field *column)
{
    MOR_AUTO_BUFFER type = {0};
    mor_type_format(column, &type);
    return mor_error_set(c->err, MOR_DATA,
                         "the writer's field does not fit a column of type %s (number %d)",
                         mor_buffer_terminate(&type), from->number);
}

// ---- scalar types -------------------------------------------------------------------------------

static bool is_integer(enum mor_proto_type type)
{
    switch (type) {
    case MOR_PROTO_INT64:
    case MOR_PROTO_UINT64:
    case MOR_PROTO_INT32:
    case MOR_PROTO_FIXED64:
    case MOR_PROTO_FIXED32:
    case MOR_PROTO_UINT32:
    case MOR_PROTO_SFIXED32:
    case MOR_PROTO_SFIXED64:
    case MOR_PROTO_SINT32:
    case MOR_PROTO_SINT64:
        return true;
    default:
        return false;
    }
}

static bool is_text(enum mor_type type)
{
    return type == MOR_TYPE_STRING || type == MOR_TYPE_ENUM || type == MOR_TYPE_JSON;
}

// `key`: of a map, whose keys are text whatever the writer has.
static bool scalar_fits(enum mor_proto_type type, enum mor_type column, bool key)
{
    bool narrow = type == MOR_PROTO_INT32 || type == MOR_PROTO_SINT32 || type == MOR_PROTO_SFIXED32;
    if (is_integer(type))
        return (column == MOR_TYPE_INT32 && narrow) || column == MOR_TYPE_INT64 ||
               column == MOR_TYPE_DOUBLE || column == MOR_TYPE_DECIMAL || (key && is_text(column));
    switch (type) {
    case MOR_PROTO_DOUBLE:
        return column == MOR_TYPE_DOUBLE;
    case MOR_PROTO_FLOAT:
        return column == MOR_TYPE_FLOAT || column == MOR_TYPE_DOUBLE;
    case MOR_PROTO_BOOL:
        return column == MOR_TYPE_BOOL || (key && is_text(column));
    case MOR_PROTO_STRING:
    case MOR_PROTO_BYTES:
        return is_text(column) || column == MOR_TYPE_BYTES;
    case MOR_PROTO_ENUM:
        return is_text(column) || column == MOR_TYPE_INT32 || column == MOR_TYPE_INT64;
    default:
        return false;
    }
}

static enum mor_proto_wire wire_of(enum mor_proto_type type)
{
    switch (type) {
    case MOR_PROTO_DOUBLE:
    case MOR_PROTO_FIXED64:
    case MOR_PROTO_SFIXED64:
        return MOR_PROTO_WIRE_64;
    case MOR_PROTO_FLOAT:
    case MOR_PROTO_FIXED32:
    case MOR_PROTO_SFIXED32:
        return MOR_PROTO_WIRE_32;
    case MOR_PROTO_STRING:
    case MOR_PROTO_BYTES:
    case MOR_PROTO_MESSAGE:
        return MOR_PROTO_WIRE_LENGTH;
    default:
        return MOR_PROTO_WIRE_VARINT;
    }
}

// ---- messages -----------------------------------------------------------------------------------

static struct mor_route *routes_of(struct compiler *c, const struct mor_field *fields, size_t count)
{
    struct mor_route *routes = mor_arena_calloc(c->arena, count + 1, sizeof *routes);
    for (size_t i = 0; i < count; i++)
        routes[i] = (struct mor_route){
            .name = fields[i].name, .column = (int32_t)i, .note = MOR_ROUTE_NONE};
    return routes;
}

static enum mor_status compile_struct(struct compiler *c, const struct mor_proto_message *message,
                                      const struct mor_field *column, struct mor_proto_op *op)
{
    struct target target = {message, column->children,
                            routes_of(c, column->children, column->child_count),
                            column->child_count, true};
    op->read = MOR_PROTO_MESSAGE;
    return compile(c, &target, &op->program);
}

static enum mor_status compile_message(struct compiler *c, const struct mor_proto_field *from,
                                       const struct mor_field *column, struct mor_proto_op *op)
{
    const struct mor_proto_message *message = from->message;
    struct mor_route route = {
        message->field_count > 0 ? message->fields[0].name : "", 0, MOR_ROUTE_NONE, NULL, NULL, 0};
    struct target inner = {message, column, NULL, 1, false};
    enum mor_type type = column->type;
    op->message = message;
    switch (message->known) {
    case MOR_PROTO_TIMESTAMP:
        op->read = MOR_PROTO_READ_TIMESTAMP;
        return type == MOR_TYPE_TIMESTAMP_MICROS || type == MOR_TYPE_TIMESTAMP_MILLIS
                   ? MOR_OK
                   : refuse(c, from, column);
    case MOR_PROTO_DURATION:
        op->read = MOR_PROTO_READ_DURATION;
        return type == MOR_TYPE_INT64 ? MOR_OK : refuse(c, from, column);
    case MOR_PROTO_STRUCT:
    case MOR_PROTO_VALUE:
    case MOR_PROTO_LIST:
        op->read = MOR_PROTO_READ_JSON;
        return is_text(type) ? MOR_OK : refuse(c, from, column);
    case MOR_PROTO_WRAPPER:
        op->read = MOR_PROTO_READ_WRAPPER;
        inner.routes = memcpy(mor_arena_alloc(c->arena, sizeof route), &route, sizeof route);
        return compile(c, &inner, &op->program);
    case MOR_PROTO_PLAIN:
        break;
    }
    if (message->field_count == 0) {
        op->read = MOR_PROTO_READ_PRESENT;
        return type == MOR_TYPE_BOOL ? MOR_OK : refuse(c, from, column);
    }
    return type == MOR_TYPE_STRUCT ? compile_struct(c, message, column, op)
                                   : refuse(c, from, column);
}

// The value of a field, or of an element of a list.
static enum mor_status compile_value(struct compiler *c, const struct mor_proto_field *from,
                                     const struct mor_field *column, bool key,
                                     struct mor_proto_op *op)
{
    op->store = (uint8_t)column->type;
    op->nullable = column->nullable;
    op->precision = column->precision;
    op->scale = column->scale;
    if (from->message)
        return compile_message(c, from, column, op);
    op->read = (uint8_t)from->type;
    op->enumeration = from->enumeration;
    return scalar_fits(from->type, column->type, key) ? MOR_OK : refuse(c, from, column);
}

static enum mor_status compile_map(struct compiler *c, const struct mor_proto_field *from,
                                   const struct mor_field *column, struct mor_proto_op *op)
{
    if (column->type != MOR_TYPE_MAP || !from->message || from->message->field_count != 2)
        return refuse(c, from, column);
    op->is_map = true;
    op->read = MOR_PROTO_MESSAGE;
    op->message = from->message;
    return compile_struct(c, from->message, column, op);
}

static enum mor_status compile_column(struct compiler *c, const struct mor_proto_field *from,
                                      const struct mor_field *column, bool key,
                                      struct mor_proto_op *op)
{
    if (from->group)
        return refuse(c, from, column);
    if (!from->repeated)
        return compile_value(c, from, column, key, op);
    if (from->message && from->message->is_map_entry)
        return compile_map(c, from, column, op);
    if (column->type != MOR_TYPE_LIST)
        return refuse(c, from, column);
    op->is_list = true;
    return compile_value(c, from, &column->children[0], false, op);
}

static enum mor_status compile_flatten(struct compiler *c, const struct target *target,
                                       const struct mor_proto_field *from,
                                       const struct mor_route *route, struct mor_proto_op *op)
{
    struct target inner = {from->message, target->columns, route->children, route->child_count,
                           false};
    if (from->repeated || !from->message || from->message->known != MOR_PROTO_PLAIN)
        return mor_error_set(c->err, MOR_DATA, "field '%.200s' is no single message", from->name);
    op->read = MOR_PROTO_READ_FLATTEN;
    op->message = from->message;
    return compile(c, &inner, &op->program);
}

static enum mor_status compile_field(struct compiler *c, const struct target *target,
                                     const struct mor_proto_field *from,
                                     const struct mor_route *route, struct mor_proto_op *op)
{
    *op = (struct mor_proto_op){.wire = (uint8_t)wire_of(from->type),
                                .implicit = from->implicit,
                                .required = from->required,
                                .number = from->number,
                                .oneof = from->oneof,
                                .name = from->name};
    op->tag = (uint32_t)from->number << 3 | op->wire;
    if (route->child_count > 0)
        return compile_flatten(c, target, from, route, op);
    op->column = (uint32_t)route->column;
    bool key = target->message->is_map_entry && from->number == 1;
    bool named = c->depth < MOR_SCHEMA_DEPTH_MAX;
    if (named)
        c->path[c->depth++] = from->name;
    enum mor_status status = compile_column(c, from, &target->columns[route->column], key, op);
    c->depth -= named;
    return status;
}

// ---- programs -----------------------------------------------------------------------------------

static const struct mor_route *find_route(const struct target *target, const char *name)
{
    for (size_t i = 0; i < target->route_count; i++) {
        if (strcmp(target->routes[i].name, name) == 0)
            return &target->routes[i];
    }
    return NULL;
}

static size_t leaf_count(const struct mor_route *route)
{
    size_t count = route->column != MOR_ROUTE_NONE;
    for (size_t i = 0; i < route->child_count; i++)
        count += leaf_count(&route->children[i]);
    return count;
}

static enum mor_status put_absent(struct compiler *c, const struct target *target,
                                  const struct mor_route *route, uint32_t *absent, size_t *count)
{
    for (size_t i = 0; i < route->child_count; i++)
        MOR_TRY(put_absent(c, target, &route->children[i], absent, count));
    if (route->column == MOR_ROUTE_NONE)
        return MOR_OK;
    const struct mor_field *column = &target->columns[route->column];
    if (!column->nullable)
        return mor_error_set(c->err, MOR_DATA,
                             "the writer has no field for the required column '%s'", column->name);
    absent[(*count)++] = (uint32_t)route->column;
    return MOR_OK;
}

static enum mor_status find_absent(struct compiler *c, const struct target *target,
                                   struct mor_proto_program *program)
{
    size_t leaves = 0;
    for (size_t i = 0; i < target->route_count; i++)
        leaves += leaf_count(&target->routes[i]);
    uint32_t *absent = mor_arena_calloc(c->arena, leaves + 1, sizeof *absent);
    for (size_t i = 0; i < target->route_count; i++) {
        const struct mor_route *route = &target->routes[i];
        bool found = false;
        for (size_t k = 0; k < target->message->field_count; k++)
            found = found || strcmp(target->message->fields[k].name, route->name) == 0;
        if (!found)
            MOR_TRY(put_absent(c, target, route, absent, &program->absent_count));
    }
    program->absent = absent;
    return MOR_OK;
}

static int by_number(const void *a, const void *b)
{
    int32_t x = ((const struct mor_proto_op *)a)->number,
            y = ((const struct mor_proto_op *)b)->number;
    return (x > y) - (x < y);
}

static enum mor_status compile(struct compiler *c, const struct target *target,
                               struct mor_proto_program **ret_program)
{
    const struct mor_proto_message *message = target->message;
    struct mor_proto_program *program = mor_arena_calloc(c->arena, 1, sizeof *program);
    program->ops = mor_arena_calloc(c->arena, message->field_count + 1, sizeof *program->ops);
    program->oneof_count = message->oneof_count;
    program->oneof_ops =
        mor_arena_calloc(c->arena, (size_t)message->oneof_count + 1, sizeof *program->oneof_ops);
    for (size_t i = 0; i < message->field_count; i++) {
        const struct mor_proto_field *from = &message->fields[i];
        const struct mor_route *route = find_route(target, from->name);
        if (!route) {
            if (target->whole)
                note_stranger(c, from->name);
            continue;
        }
        if (compile_field(c, target, from, route, &program->ops[program->op_count++]) != MOR_OK)
            return mor_error_wrap(c->err, "field '%s'", from->name);
    }
    qsort(program->ops, program->op_count, sizeof *program->ops, by_number);
    *ret_program = program;
    return find_absent(c, target, program);
}

enum mor_status mor_proto_plan_new(const struct mor_proto_plan_options *options,
                                   struct mor_proto_plan **ret_plan, struct mor_error *err)
{
    struct mor_proto_plan *plan = mor_calloc(1, sizeof *plan);
    mor_arena_init(&plan->arena, 4096, NULL);
    plan->column_count = options->table->root.child_count;
    plan->items_max = options->items_max;
    struct compiler c = {.arena = &plan->arena, .err = err, .strangers = &plan->strangers};
    struct target target = {options->message, options->table->root.children, options->routes,
                            options->route_count, !options->routes};
    if (!options->routes) {
        target.routes = routes_of(&c, target.columns, plan->column_count);
        target.route_count = plan->column_count;
    }
    enum mor_status status = compile(&c, &target, &plan->program);
    if (status != MOR_OK) {
        mor_proto_plan_free(plan);
        return status;
    }
    (void)mor_buffer_terminate(&plan->strangers);
    *ret_plan = plan;
    return MOR_OK;
}

const char *mor_proto_plan_strangers(const struct mor_proto_plan *plan)
{
    return plan->strangers.size_bytes > 0 ? (const char *)plan->strangers.data : "";
}

void mor_proto_plan_free(struct mor_proto_plan *plan)
{
    if (!plan)
        return;
    mor_buffer_done(&plan->slots);
    mor_buffer_done(&plan->strangers);
    mor_arena_done(&plan->arena);
    free(plan);
}
