// Compiling of plans: which operation turns a writer's type into a column's.
#include "avro_plan.h"

#include "avro_text.h"

#define US_PER_DAY (86400LL * 1000000)
#define MS_PER_DAY (86400LL * 1000)

#define STRANGERS_MAX_BYTES 300 // names for a message; a few are enough

struct compiler {
    struct mor_arena *arena;
    struct mor_avro_plan *plan;
    struct mor_error *err;
    size_t op_count;
    bool full; // the limit was met: no branch of a union may swallow that error
    bool row_is_whole;
    const char *path[MOR_SCHEMA_DEPTH_MAX]; // columns and fields around what is being compiled
    size_t depth;
};

// One record to be compiled: the writer's type, the reader's (NULL = not known), and where the
// fields go.
struct record {
    const struct mor_avro_node *writer, *reader;
    const struct mor_field *columns;
    const struct mor_route *routes;
    size_t route_count;
    bool whole; // every field of it should have a column
};

static enum mor_status compile_value(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_avro_node *reader,
                                     const struct mor_field *field, struct mor_avro_op *op);
static enum mor_status compile_record(struct compiler *c, const struct record *record,
                                      struct mor_avro_program *program);

static enum mor_status set(struct mor_avro_op *op, enum mor_avro_op_code code)
{
    op->code = (uint8_t)code;
    return MOR_OK;
}

static enum mor_status set_factor(struct mor_avro_op *op, enum mor_avro_op_code code,
                                  int64_t factor)
{
    op->factor = factor;
    return set(op, code);
}

static enum mor_status refuse(struct compiler *c, const struct mor_avro_node *node,
                              const struct mor_field *field)
{
    static const char *const logical_names[] = {
        "",
        "decimal ",
        "uuid ",
        "date ",
        "time-millis ",
        "time-micros ",
        "timestamp-millis ",
        "timestamp-micros ",
        "local-timestamp-millis ",
        "local-timestamp-micros ",
    };
    MOR_AUTO_BUFFER type = {0};
    mor_type_format(field, &type);
    return mor_error_set(c->err, MOR_DATA, "the writer's %s%s does not fit a column of type %s",
                         logical_names[node->logical], mor_avro_kind_name(node->kind),
                         mor_buffer_terminate(&type));
}

// Remembers a field that goes nowhere although the fields around it are columns.
static void note_stranger(struct compiler *c, const char *name)
{
    struct mor_buffer *strangers = &c->plan->strangers;
    if (strangers->size_bytes > STRANGERS_MAX_BYTES)
        return;
    mor_buffer_append_text(strangers, strangers->size_bytes > 0 ? ", " : "");
    for (size_t i = 0; i < c->depth; i++)
        mor_buffer_printf(strangers, "%.100s.", c->path[i]);
    mor_buffer_printf(strangers, "%.100s", name);
}

// `count` operations, zeroed; NULL with c->err set when the plan gets too long.
static struct mor_avro_op *ops_new(struct compiler *c, size_t count)
{
    c->full = c->full || count > MOR_AVRO_OPS_MAX - c->op_count;
    if (c->full) {
        mor_error_set(c->err, MOR_DATA, "more than %d operations", MOR_AVRO_OPS_MAX);
        return NULL;
    }
    c->op_count += count;
    return mor_arena_calloc(c->arena, count, sizeof(struct mor_avro_op));
}

// ---- scalar types -------------------------------------------------------------------------------

// A DATE or TIME is a number with a meaning: a plain int gives it none, so it needs the same
// logical type. The other way round, a plain number column takes the number as it is.
static enum mor_status compile_int(struct compiler *c, const struct mor_avro_node *node,
                                   const struct mor_field *field, struct mor_avro_op *op)
{
    bool is_date = node->logical == MOR_AVRO_LOGICAL_DATE;
    bool is_time = node->logical == MOR_AVRO_LOGICAL_TIME_MILLIS;
    switch (field->type) {
    case MOR_TYPE_INT32:
        return set(op, MOR_AVRO_OP_INT_I32);
    case MOR_TYPE_INT64:
        return set_factor(op, MOR_AVRO_OP_INT_I64, 1);
    case MOR_TYPE_FLOAT:
        return set(op, MOR_AVRO_OP_INT_FLOAT);
    case MOR_TYPE_DOUBLE:
        return set(op, MOR_AVRO_OP_INT_DOUBLE);
    case MOR_TYPE_DATE:
        return is_date ? set(op, MOR_AVRO_OP_INT_I32) : refuse(c, node, field);
    case MOR_TYPE_TIMESTAMP_MILLIS:
        return is_date ? set_factor(op, MOR_AVRO_OP_INT_I64, MS_PER_DAY) : refuse(c, node, field);
    case MOR_TYPE_TIMESTAMP_MICROS: // 2^31 days overflow
        return is_date ? set_factor(op, MOR_AVRO_OP_LONG_MULTIPLY, US_PER_DAY)
                       : refuse(c, node, field);
    case MOR_TYPE_TIME_MILLIS:
        return is_time ? set(op, MOR_AVRO_OP_INT_I32) : refuse(c, node, field);
    case MOR_TYPE_TIME_MICROS:
        return is_time ? set_factor(op, MOR_AVRO_OP_INT_I64, 1000) : refuse(c, node, field);
    default:
        return refuse(c, node, field);
    }
}

static enum mor_status compile_long(struct compiler *c, const struct mor_avro_node *node,
                                    const struct mor_field *field, struct mor_avro_op *op)
{
    enum mor_avro_logical logical = node->logical;
    bool is_millis = logical == MOR_AVRO_LOGICAL_TIMESTAMP_MILLIS ||
                     logical == MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS;
    bool is_micros = logical == MOR_AVRO_LOGICAL_TIMESTAMP_MICROS ||
                     logical == MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS;
    bool is_time = logical == MOR_AVRO_LOGICAL_TIME_MICROS;
    switch (field->type) {
    case MOR_TYPE_INT64:
        return set(op, MOR_AVRO_OP_LONG_I64);
    case MOR_TYPE_FLOAT:
        return set(op, MOR_AVRO_OP_LONG_FLOAT);
    case MOR_TYPE_DOUBLE:
        return set(op, MOR_AVRO_OP_LONG_DOUBLE);
    case MOR_TYPE_TIMESTAMP_MILLIS:
        if (is_millis)
            return set(op, MOR_AVRO_OP_LONG_I64);
        return is_micros ? set_factor(op, MOR_AVRO_OP_LONG_DIVIDE, 1000) : refuse(c, node, field);
    case MOR_TYPE_TIMESTAMP_MICROS:
        if (is_micros)
            return set(op, MOR_AVRO_OP_LONG_I64);
        return is_millis ? set_factor(op, MOR_AVRO_OP_LONG_MULTIPLY, 1000) : refuse(c, node, field);
    case MOR_TYPE_TIME_MICROS:
        return is_time ? set(op, MOR_AVRO_OP_LONG_I64) : refuse(c, node, field);
    case MOR_TYPE_TIME_MILLIS:
        return is_time ? set_factor(op, MOR_AVRO_OP_LONG_DIVIDE_I32, 1000) : refuse(c, node, field);
    default:
        return refuse(c, node, field);
    }
}

static mor_int128 power_of_ten(int32_t exponent)
{
    mor_int128 power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static enum mor_status compile_decimal(struct compiler *c, const struct mor_avro_node *node,
                                       const struct mor_field *field, struct mor_avro_op *op)
{
    if (field->scale < node->scale)
        return refuse(c, node, field);
    struct mor_avro_decimal *decimal = mor_arena_calloc(c->arena, 1, sizeof *decimal);
    decimal->limit = power_of_ten(field->precision);
    decimal->multiply = power_of_ten(field->scale - node->scale);
    decimal->fixed_size_bytes = node->fixed_size_bytes;
    op->decimal = decimal;
    return set(op, node->kind == MOR_AVRO_FIXED ? MOR_AVRO_OP_DECIMAL_FIXED
                                                : MOR_AVRO_OP_DECIMAL_BYTES);
}

static enum mor_status compile_text(struct compiler *c, const struct mor_avro_node *node,
                                    const struct mor_field *field, struct mor_avro_op *op)
{
    switch (field->type) {
    case MOR_TYPE_STRING:
        return set(op, node->logical == MOR_AVRO_LOGICAL_UUID ? MOR_AVRO_OP_UUID_STRING
                                                              : MOR_AVRO_OP_STRING);
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        return set(op, MOR_AVRO_OP_STRING);
    case MOR_TYPE_BYTES:
        return set(op, MOR_AVRO_OP_BYTES);
    case MOR_TYPE_FIXED:
        op->fixed_size_bytes = (uint32_t)field->fixed_size_bytes;
        return node->kind == MOR_AVRO_BYTES ? set(op, MOR_AVRO_OP_BYTES_FIXED)
                                            : refuse(c, node, field);
    case MOR_TYPE_UUID:
        return node->kind == MOR_AVRO_STRING ? set(op, MOR_AVRO_OP_UUID_TEXT)
                                             : refuse(c, node, field);
    case MOR_TYPE_DECIMAL:
        return node->logical == MOR_AVRO_LOGICAL_DECIMAL ? compile_decimal(c, node, field, op)
                                                         : refuse(c, node, field);
    default:
        return refuse(c, node, field);
    }
}

static enum mor_status compile_fixed(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_field *field, struct mor_avro_op *op)
{
    op->fixed_size_bytes = node->fixed_size_bytes;
    switch (field->type) {
    case MOR_TYPE_FIXED:
        return (uint32_t)field->fixed_size_bytes == node->fixed_size_bytes
                   ? set(op, MOR_AVRO_OP_FIXED)
                   : refuse(c, node, field);
    case MOR_TYPE_UUID:
        return node->fixed_size_bytes == 16 ? set(op, MOR_AVRO_OP_FIXED) : refuse(c, node, field);
    case MOR_TYPE_BYTES:
        return set(op, MOR_AVRO_OP_FIXED_BYTES);
    case MOR_TYPE_STRING:
        return node->logical == MOR_AVRO_LOGICAL_UUID ? set(op, MOR_AVRO_OP_UUID_FORMAT)
                                                      : refuse(c, node, field);
    case MOR_TYPE_DECIMAL:
        return node->logical == MOR_AVRO_LOGICAL_DECIMAL ? compile_decimal(c, node, field, op)
                                                         : refuse(c, node, field);
    default:
        return refuse(c, node, field);
    }
}

static enum mor_status compile_enum(struct compiler *c, const struct mor_avro_node *node,
                                    const struct mor_field *field, struct mor_avro_op *op)
{
    if (field->type != MOR_TYPE_ENUM && field->type != MOR_TYPE_STRING)
        return refuse(c, node, field);
    struct mor_avro_symbol *symbols =
        mor_arena_calloc(c->arena, node->member_count, sizeof *symbols);
    for (size_t i = 0; i < node->member_count; i++) {
        symbols[i].text = node->members[i].name;
        symbols[i].size_bytes = strlen(node->members[i].name);
    }
    op->symbols = symbols;
    op->count = (uint32_t)node->member_count;
    return set(op, MOR_AVRO_OP_ENUM);
}

// ---- nested types -------------------------------------------------------------------------------

// The reader's type behind its union with null, when it is of the writer's kind; else NULL.
static const struct mor_avro_node *alike(const struct mor_avro_node *reader,
                                         enum mor_avro_kind kind)
{
    if (reader)
        (void)mor_avro_nullable(&reader);
    return reader && reader->kind == kind ? reader : NULL;
}

static const struct mor_route *routes_of(struct compiler *c, const struct mor_field *field)
{
    struct mor_route *routes = mor_arena_calloc(c->arena, field->child_count + 1, sizeof *routes);
    for (size_t i = 0; i < field->child_count; i++)
        routes[i] = (struct mor_route){
            .name = field->children[i].name, .column = (int32_t)i, .note = MOR_ROUTE_NONE};
    return routes;
}

static enum mor_status compile_struct(struct compiler *c, const struct mor_avro_node *node,
                                      const struct mor_avro_node *reader,
                                      const struct mor_field *field, struct mor_avro_op *op)
{
    if (field->type != MOR_TYPE_STRUCT)
        return refuse(c, node, field);
    struct mor_avro_program *program = mor_arena_calloc(c->arena, 1, sizeof *program);
    struct record record = {node,
                            alike(reader, MOR_AVRO_RECORD),
                            field->children,
                            routes_of(c, field),
                            field->child_count,
                            true};
    op->program = program;
    MOR_TRY(compile_record(c, &record, program));
    return set(op, MOR_AVRO_OP_RECORD);
}

static enum mor_status compile_items(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_avro_node *reader,
                                     const struct mor_field *field, struct mor_avro_op *op)
{
    bool is_map = node->kind == MOR_AVRO_MAP;
    if (field->type != (is_map ? MOR_TYPE_MAP : MOR_TYPE_LIST) ||
        (is_map && field->children[0].type != MOR_TYPE_STRING))
        return refuse(c, node, field);
    struct mor_avro_op *item = ops_new(c, 1);
    if (!item)
        return MOR_DATA;
    const struct mor_avro_node *item_node = node->members[0].node;
    reader = alike(reader, node->kind);
    item->column = is_map ? 1 : 0;
    item->name = is_map ? "value" : "element";
    if (compile_value(c, item_node, reader ? reader->members[0].node : NULL,
                      &field->children[item->column], item) != MOR_OK)
        return mor_error_wrap(c->err, "%s", item->name);
    op->items.item = item;
    op->items.size_min_bytes = item_node->size_min_bytes + (is_map ? 1 : 0);
    return set(op, is_map ? MOR_AVRO_OP_MAP : MOR_AVRO_OP_ARRAY);
}

// The field of the column that a branch has for itself, as a union of several types becomes a
// struct; child_count = none.
static size_t branch_field(const struct mor_avro_node *node, size_t branch,
                           const struct mor_field *field)
{
    char name[MOR_AVRO_BRANCH_NAME_SIZE];
    size_t i = 0;
    mor_avro_branch_name(node, branch, name, sizeof name);
    while (i < field->child_count && strcmp(field->children[i].name, name) != 0)
        i++;
    return i;
}

static bool has_branch_fields(const struct mor_avro_node *node, const struct mor_field *field)
{
    bool found = false;
    for (size_t i = 0; i < node->member_count && field->type == MOR_TYPE_STRUCT; i++)
        found = found || (node->members[i].node->kind != MOR_AVRO_NULL &&
                          branch_field(node, i, field) < field->child_count);
    return found;
}

// Branch by branch. One that the column cannot hold is refused when a datum takes it, so that a
// writer's union may be wider than the table as long as the data are not.
static enum mor_status compile_branches(struct compiler *c, const struct mor_avro_node *node,
                                        const struct mor_avro_node *reader,
                                        const struct mor_field *field, struct mor_avro_op *op)
{
    struct mor_avro_op *branches = ops_new(c, node->member_count);
    if (!branches)
        return MOR_DATA;
    bool members = has_branch_fields(node, field);
    size_t fitting = 0;
    for (size_t i = 0; i < node->member_count; i++) {
        const struct mor_avro_node *branch = node->members[i].node;
        const struct mor_field *to = field;
        bool null = branch->kind == MOR_AVRO_NULL;
        branches[i].name = op->name;
        branches[i].column = op->column;
        branches[i].code = MOR_AVRO_OP_REFUSE;
        branches[i].null_branch = MOR_AVRO_NO_BRANCH;
        if (members && !null) {
            size_t own = branch_field(node, i, field);
            if (own == field->child_count) {
                char name[MOR_AVRO_BRANCH_NAME_SIZE];
                mor_avro_branch_name(node, i, name, sizeof name);
                note_stranger(c, name);
                continue;
            }
            branches[i].column = (uint32_t)own;
            to = &field->children[own];
        }
        if (compile_value(c, branch, reader, to, &branches[i]) == MOR_OK)
            fitting += !null;
        else if (c->full)
            return MOR_DATA;
        else
            branches[i].code = MOR_AVRO_OP_REFUSE;
    }
    if (fitting == 0)
        return refuse(c, node, field);
    op->branches = branches;
    op->count = (uint32_t)node->member_count;
    return set(op, members ? MOR_AVRO_OP_MEMBERS : MOR_AVRO_OP_UNION);
}

static enum mor_status compile_union(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_avro_node *reader,
                                     const struct mor_field *field, struct mor_avro_op *op)
{
    const struct mor_avro_node *inner = node;
    if (!mor_avro_nullable(&inner))
        return compile_branches(c, node, NULL, field, op);
    uint8_t null_branch = node->members[0].node->kind == MOR_AVRO_NULL ? 0 : 1;
    MOR_TRY(compile_value(c, inner, reader, field, op));
    op->null_branch = null_branch;
    return MOR_OK;
}

static enum mor_status compile_value(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_avro_node *reader,
                                     const struct mor_field *field, struct mor_avro_op *op)
{
    op->null_branch = MOR_AVRO_NO_BRANCH;
    op->nullable = field->nullable;
    switch (node->kind) {
    case MOR_AVRO_NULL:
        return set(op, MOR_AVRO_OP_ABSENT);
    case MOR_AVRO_BOOLEAN:
        return field->type == MOR_TYPE_BOOL ? set(op, MOR_AVRO_OP_BOOL) : refuse(c, node, field);
    case MOR_AVRO_INT:
        return compile_int(c, node, field, op);
    case MOR_AVRO_LONG:
        return compile_long(c, node, field, op);
    case MOR_AVRO_FLOAT:
        if (field->type == MOR_TYPE_FLOAT)
            return set(op, MOR_AVRO_OP_FLOAT);
        return field->type == MOR_TYPE_DOUBLE ? set(op, MOR_AVRO_OP_FLOAT_DOUBLE)
                                              : refuse(c, node, field);
    case MOR_AVRO_DOUBLE:
        return field->type == MOR_TYPE_DOUBLE ? set(op, MOR_AVRO_OP_DOUBLE)
                                              : refuse(c, node, field);
    case MOR_AVRO_BYTES:
    case MOR_AVRO_STRING:
        return compile_text(c, node, field, op);
    case MOR_AVRO_RECORD:
        return compile_struct(c, node, reader, field, op);
    case MOR_AVRO_ENUM:
        return compile_enum(c, node, field, op);
    case MOR_AVRO_ARRAY:
    case MOR_AVRO_MAP:
        return compile_items(c, node, reader, field, op);
    case MOR_AVRO_UNION:
        return compile_union(c, node, reader, field, op);
    case MOR_AVRO_FIXED:
        return compile_fixed(c, node, field, op);
    }
    return refuse(c, node, field);
}

static bool has_alias(const struct mor_avro_member *member, const char *name)
{
    for (size_t i = 0; i < member->alias_count; i++) {
        if (strcmp(member->aliases[i], name) == 0)
            return true;
    }
    return false;
}

static const struct mor_avro_member *find_member(const struct mor_avro_node *node, const char *name)
{
    for (size_t i = 0; node && i < node->member_count; i++) {
        if (strcmp(node->members[i].name, name) == 0)
            return &node->members[i];
    }
    return NULL;
}

// The reader's field that a column has its default from: of its name, or renamed since the table
// was made.
static const struct mor_avro_member *find_wanted(const struct record *record, const char *name)
{
    const struct mor_avro_member *wanted = find_member(record->reader, name);
    for (size_t i = 0; !wanted && record->reader && i < record->reader->member_count; i++) {
        if (has_alias(&record->reader->members[i], name))
            wanted = &record->reader->members[i];
    }
    return wanted;
}

// Index of the route that a member takes: by its name; else by an alias, the writer's or the
// reader's, unless another member has that name or came first. route_count = none.
static size_t find_route(const struct record *record, const struct mor_avro_member *member,
                         const bool *taken)
{
    for (size_t i = 0; i < record->route_count; i++) {
        if (strcmp(record->routes[i].name, member->name) == 0)
            return i;
    }
    for (size_t i = 0; i < record->route_count; i++) {
        const char *name = record->routes[i].name;
        const struct mor_avro_member *wanted = find_member(record->reader, name);
        const struct mor_avro_member *renamed = find_member(record->reader, member->name);
        if (!taken[i] && !find_member(record->writer, name) &&
            (has_alias(member, name) || (wanted && has_alias(wanted, member->name)) ||
             (renamed && has_alias(renamed, name))))
            return i;
    }
    return record->route_count;
}

// ---- fields that are absent ---------------------------------------------------------------------

static size_t leaf_count(const struct mor_route *route)
{
    size_t count = route->column != MOR_ROUTE_NONE;
    for (size_t i = 0; i < route->child_count; i++)
        count += leaf_count(&route->children[i]);
    return count;
}

static enum mor_status put_absent(struct compiler *c, const struct mor_field *columns,
                                  const struct mor_route *route, struct mor_avro_op *ops,
                                  size_t *count)
{
    for (size_t i = 0; i < route->child_count; i++)
        MOR_TRY(put_absent(c, columns, &route->children[i], ops, count));
    if (route->column == MOR_ROUTE_NONE)
        return MOR_OK;
    const struct mor_field *field = &columns[route->column];
    if (!field->nullable)
        return mor_error_set(c->err, MOR_DATA,
                             "the writer has no field for the required column '%s'", field->name);
    ops[(*count)++] = (struct mor_avro_op){.code = MOR_AVRO_OP_ABSENT,
                                           .null_branch = MOR_AVRO_NO_BRANCH,
                                           .nullable = true,
                                           .column = (uint32_t)route->column,
                                           .name = field->name};
    return MOR_OK;
}

// The reader's default for a column that the writer has no field for, if it has one.
static enum mor_status put_default(struct compiler *c, const struct mor_avro_member *wanted,
                                   const struct mor_field *field, struct mor_avro_op *op,
                                   bool *ret_found)
{
    *ret_found = false;
    if (!wanted || !wanted->default_ || strcmp(wanted->default_, "null") == 0)
        return MOR_OK;
    struct mor_avro_op *value = ops_new(c, 1);
    if (!value)
        return MOR_DATA;
    struct mor_buffer *datum = mor_arena_calloc(c->arena, 1, sizeof *datum);
    c->plan->defaults =
        mor_realloc(c->plan->defaults, (c->plan->default_count + 1) * sizeof *c->plan->defaults);
    enum mor_status status = mor_avro_default_datum(wanted, datum, c->err);
    c->plan->defaults[c->plan->default_count++] = *datum;
    if (status == MOR_OK) {
        value->name = field->name;
        status = compile_value(c, wanted->node, NULL, field, value);
    }
    if (status != MOR_OK)
        return mor_error_wrap(c->err, "default of field '%s'", field->name);
    op->code = MOR_AVRO_OP_DEFAULT;
    op->preset.value = value;
    op->preset.datum = datum;
    *ret_found = true;
    return MOR_OK;
}

static enum mor_status compile_missing(struct compiler *c, const struct record *record,
                                       const struct mor_route *route, struct mor_avro_op *ops,
                                       size_t *count)
{
    if (route->column != MOR_ROUTE_NONE) {
        const struct mor_field *field = &record->columns[route->column];
        struct mor_avro_op *op = &ops[*count];
        bool found;
        *op = (struct mor_avro_op){.null_branch = MOR_AVRO_NO_BRANCH,
                                   .column = (uint32_t)route->column,
                                   .name = field->name};
        MOR_TRY(put_default(c, find_wanted(record, route->name), field, op, &found));
        *count += found;
        if (found)
            return MOR_OK;
    }
    return put_absent(c, record->columns, route, ops, count);
}

// ---- flattened records --------------------------------------------------------------------------

static struct mor_avro_op *one_op(struct mor_avro_op *op, enum mor_avro_op_code code,
                                  const char *name)
{
    *op = (struct mor_avro_op){
        .code = (uint8_t)code, .null_branch = MOR_AVRO_NO_BRANCH, .name = name};
    return op;
}

static enum mor_status compile_fields(struct compiler *c, const struct record *around,
                                      const struct mor_avro_member *member,
                                      const struct mor_route *route, bool whole,
                                      uint8_t *ret_null_branch,
                                      const struct mor_avro_program **ret_program)
{
    const struct mor_avro_node *node = member->node;
    const struct mor_avro_member *wanted = find_member(around->reader, route->name);
    *ret_null_branch = MOR_AVRO_NO_BRANCH;
    if (mor_avro_nullable(&node))
        *ret_null_branch = member->node->members[0].node->kind == MOR_AVRO_NULL ? 0 : 1;
    if (node->kind != MOR_AVRO_RECORD)
        return mor_error_set(c->err, MOR_DATA, "field '%s' is no record but %s", member->name,
                             mor_avro_kind_name(node->kind));
    struct mor_avro_program *program = mor_arena_calloc(c->arena, 1, sizeof *program);
    struct record record = {node,
                            wanted ? alike(wanted->node, MOR_AVRO_RECORD) : NULL,
                            around->columns,
                            route->children,
                            route->child_count,
                            whole};
    *ret_program = program;
    return compile_record(c, &record, program);
}

static enum mor_status compile_flatten(struct compiler *c, const struct record *record,
                                       const struct mor_avro_member *member,
                                       const struct mor_route *route, struct mor_avro_op *op)
{
    struct mor_avro_flatten *flatten = mor_arena_calloc(c->arena, 1, sizeof *flatten);
    struct mor_avro_program *absent = mor_arena_calloc(c->arena, 1, sizeof *absent);
    struct mor_avro_op *ops = ops_new(c, leaf_count(route) + 1);
    if (!ops)
        return MOR_DATA;
    one_op(op, MOR_AVRO_OP_FLATTEN, member->name);
    MOR_TRY(compile_fields(c, record, member, route, route->otherwise && c->row_is_whole,
                           &op->flatten_null_branch, &flatten->program));
    if (op->flatten_null_branch != MOR_AVRO_NO_BRANCH || route->otherwise)
        MOR_TRY(put_absent(c, record->columns, route, ops, &absent->op_count));
    absent->ops = ops;
    flatten->absent = absent;
    flatten->has_otherwise = route->otherwise != NULL;
    c->plan->has_notes = c->plan->has_notes || route->otherwise;
    const struct mor_avro_member *other =
        route->otherwise ? find_member(record->writer, route->otherwise) : NULL;
    if (other)
        MOR_TRY(compile_fields(c, record, other, route, false, &flatten->kept_null_branch,
                               &flatten->kept));
    op->flatten = flatten;
    return MOR_OK;
}

// ---- records ------------------------------------------------------------------------------------

static enum mor_status compile_member(struct compiler *c, const struct record *record,
                                      const struct mor_avro_member *member,
                                      const struct mor_route *route, struct mor_avro_op *op)
{
    if (route->child_count > 0)
        return compile_flatten(c, record, member, route, op);
    struct mor_avro_op *value = op;
    if (route->note != MOR_ROUTE_NONE) {
        value = ops_new(c, 1);
        if (!value)
            return MOR_DATA;
        one_op(op, MOR_AVRO_OP_NOTE, member->name);
        struct mor_avro_noted *noted = mor_arena_alloc(c->arena, sizeof *noted);
        *noted = (struct mor_avro_noted){value, member->node, route->note};
        op->noted = noted;
        c->plan->has_notes = true;
    }
    one_op(value, MOR_AVRO_OP_SKIP, member->name);
    if (route->column == MOR_ROUTE_NONE) {
        value->skip = member->node;
        return MOR_OK;
    }
    op->column = value->column = (uint32_t)route->column;
    const struct mor_field *field = &record->columns[route->column];
    const struct mor_avro_member *wanted = find_wanted(record, route->name);
    bool named = c->depth < MOR_SCHEMA_DEPTH_MAX;
    if (named)
        c->path[c->depth++] = field->name;
    enum mor_status status =
        compile_value(c, member->node, wanted ? wanted->node : NULL, field, value);
    c->depth -= named;
    return status == MOR_OK ? MOR_OK : mor_error_wrap(c->err, "field '%s'", field->name);
}

// The name of the field that may stand in for a flattened one, with its route; NULL = none.
static const struct mor_route *settled_route(const struct record *record)
{
    for (size_t i = 0; i < record->route_count; i++) {
        if (record->routes[i].otherwise)
            return &record->routes[i];
    }
    return NULL;
}

// A field that no column wants. Of logs most fields are, when only the keys are read.
static void compile_skip(struct mor_avro_op *op, const struct mor_avro_member *member)
{
    const struct mor_avro_node *node = member->node;
    one_op(op, MOR_AVRO_OP_SKIP, member->name)->skip = node;
    uint8_t null_branch = MOR_AVRO_NO_BRANCH;
    for (uint8_t i = 0; node->kind == MOR_AVRO_UNION && node->member_count == 2 && i < 2; i++) {
        if (node->members[i].node->kind != MOR_AVRO_NULL)
            continue;
        null_branch = i;
        node = node->members[1 - i].node;
    }
    if (node->kind == MOR_AVRO_STRING || node->kind == MOR_AVRO_BYTES) {
        op->code = MOR_AVRO_OP_SKIP_BYTES;
    } else if (node->kind == MOR_AVRO_INT || node->kind == MOR_AVRO_LONG ||
               node->kind == MOR_AVRO_ENUM) {
        op->code = MOR_AVRO_OP_SKIP_LONG;
    } else if (node->constant_size && node->size_min_bytes <= UINT32_MAX) {
        op->code = MOR_AVRO_OP_SKIP_FIXED;
        op->fixed_size_bytes = (uint32_t)node->size_min_bytes;
    } else {
        return;
    }
    op->null_branch = null_branch;
}

static enum mor_status compile_record(struct compiler *c, const struct record *record,
                                      struct mor_avro_program *program)
{
    const struct mor_avro_node *node = record->writer;
    const struct mor_route *settled = settled_route(record);
    size_t leaves = 0, count = 0;
    for (size_t i = 0; i < record->route_count; i++)
        leaves += leaf_count(&record->routes[i]);
    struct mor_avro_op *ops = ops_new(c, node->member_count + leaves + 2);
    if (!ops)
        return MOR_DATA;
    bool *taken = mor_arena_calloc(c->arena, record->route_count + 1, sizeof *taken);
    const struct mor_avro_op *flattened = NULL;
    for (size_t i = 0; i < node->member_count; i++) {
        const struct mor_avro_member *member = &node->members[i];
        struct mor_avro_op *op = &ops[count++];
        size_t route = find_route(record, member, taken);
        if (route < record->route_count) {
            taken[route] = true;
            MOR_TRY(compile_member(c, record, member, &record->routes[route], op));
            if (&record->routes[route] == settled)
                flattened = op;
            continue;
        }
        bool kept = settled && strcmp(member->name, settled->otherwise) == 0;
        if (kept)
            one_op(op, MOR_AVRO_OP_KEEP, member->name)->skip = member->node;
        else
            compile_skip(op, member);
        if (record->whole && !kept)
            note_stranger(c, member->name);
    }
    for (size_t i = 0; i < record->route_count; i++) {
        if (!taken[i])
            MOR_TRY(compile_missing(c, record, &record->routes[i], ops, &count));
    }
    if (flattened)
        one_op(&ops[count++], MOR_AVRO_OP_SETTLE, settled->otherwise)->flatten = flattened->flatten;
    program->ops = ops;
    program->op_count = count;
    return MOR_OK;
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_avro_plan_compile(const struct mor_avro_plan_options *options,
                                      struct mor_avro_plan **ret_plan, struct mor_error *err)
{
    const struct mor_avro_node *writer = options->writer->root;
    if (writer->kind != MOR_AVRO_RECORD)
        return mor_error_set(err, MOR_DATA, "the writer's schema is not a record but %s",
                             mor_avro_kind_name(writer->kind));
    struct mor_avro_plan *plan = mor_calloc(1, sizeof *plan);
    mor_arena_init(&plan->arena, 4096, NULL);
    plan->column_count = options->table->root.child_count;
    struct compiler c = {
        .arena = &plan->arena, .plan = plan, .err = err, .row_is_whole = options->row_is_whole};
    struct record record = {writer,
                            options->reader ? alike(options->reader->root, MOR_AVRO_RECORD) : NULL,
                            options->table->root.children,
                            options->routes,
                            options->route_count,
                            !options->routes};
    if (!options->routes) {
        record.routes = routes_of(&c, &options->table->root);
        record.route_count = options->table->root.child_count;
    }
    enum mor_status status = compile_record(&c, &record, &plan->program);
    if (status != MOR_OK) {
        mor_avro_plan_free(plan);
        return status;
    }
    (void)mor_buffer_terminate(&plan->strangers);
    *ret_plan = plan;
    return MOR_OK;
}

enum mor_status mor_avro_plan_new(const struct mor_avro_schema *writer,
                                  const struct mor_schema *table, struct mor_avro_plan **ret_plan,
                                  struct mor_error *err)
{
    struct mor_avro_plan_options options = {.writer = writer, .table = table};
    return mor_avro_plan_compile(&options, ret_plan, err);
}

const char *mor_avro_plan_strangers(const struct mor_avro_plan *plan)
{
    return plan->strangers.size_bytes > 0 ? (const char *)plan->strangers.data : "";
}

void mor_avro_plan_free(struct mor_avro_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->default_count; i++)
        mor_buffer_done(&plan->defaults[i]);
    free(plan->defaults);
    mor_buffer_done(&plan->strangers);
    mor_arena_done(&plan->arena);
    free(plan);
}
