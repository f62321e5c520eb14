// Compiling of plans: which operation turns a writer's type into a column's.
#include "avro_plan.h"

#include <assert.h>

#include "avro_text.h"

#define US_PER_DAY (86400LL * 1000000)
#define MS_PER_DAY (86400LL * 1000)

struct compiler {
    struct mor_arena *arena;
    struct mor_error *err;
    size_t op_count;
    bool full; // the limit was met: no branch of a union may swallow that error
};

static enum mor_status compile_value(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_field *field, struct mor_avro_op *op);
static enum mor_status compile_record(struct compiler *c, const struct mor_avro_node *node,
                                      const struct mor_field *fields, size_t field_count,
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

static enum mor_status compile_struct(struct compiler *c, const struct mor_avro_node *node,
                                      const struct mor_field *field, struct mor_avro_op *op)
{
    if (field->type != MOR_TYPE_STRUCT)
        return refuse(c, node, field);
    struct mor_avro_program *program = mor_arena_calloc(c->arena, 1, sizeof *program);
    op->program = program;
    MOR_TRY(compile_record(c, node, field->children, field->child_count, program));
    return set(op, MOR_AVRO_OP_RECORD);
}

static enum mor_status compile_items(struct compiler *c, const struct mor_avro_node *node,
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
    item->column = is_map ? 1 : 0;
    item->name = is_map ? "value" : "element";
    if (compile_value(c, item_node, &field->children[item->column], item) != MOR_OK)
        return mor_error_wrap(c->err, "%s", item->name);
    op->items.item = item;
    op->items.size_min_bytes = item_node->size_min_bytes + (is_map ? 1 : 0);
    return set(op, is_map ? MOR_AVRO_OP_MAP : MOR_AVRO_OP_ARRAY);
}

// Branch by branch. One that the column cannot hold is refused when a datum takes it, so that a
// writer's union may be wider than the table as long as the data are not.
static enum mor_status compile_union(struct compiler *c, const struct mor_avro_node *node,
                                     const struct mor_field *field, struct mor_avro_op *op)
{
    const struct mor_avro_node *inner = node;
    if (mor_avro_nullable(&inner)) {
        op->null_branch = node->members[0].node->kind == MOR_AVRO_NULL ? 0 : 1;
        uint8_t null_branch = op->null_branch;
        MOR_TRY(compile_value(c, inner, field, op));
        op->null_branch = null_branch;
        return MOR_OK;
    }
    struct mor_avro_op *branches = ops_new(c, node->member_count);
    if (!branches)
        return MOR_DATA;
    size_t fitting = 0;
    for (size_t i = 0; i < node->member_count; i++) {
        branches[i].column = op->column;
        branches[i].name = op->name;
        if (compile_value(c, node->members[i].node, field, &branches[i]) == MOR_OK)
            fitting += branches[i].code != MOR_AVRO_OP_ABSENT;
        else if (c->full)
            return MOR_DATA;
        else
            branches[i].code = MOR_AVRO_OP_REFUSE;
    }
    if (fitting == 0)
        return refuse(c, node, field);
    op->branches = branches;
    op->count = (uint32_t)node->member_count;
    return set(op, MOR_AVRO_OP_UNION);
}

static enum mor_status compile_value(struct compiler *c, const struct mor_avro_node *node,
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
        return compile_struct(c, node, field, op);
    case MOR_AVRO_ENUM:
        return compile_enum(c, node, field, op);
    case MOR_AVRO_ARRAY:
    case MOR_AVRO_MAP:
        return compile_items(c, node, field, op);
    case MOR_AVRO_UNION:
        return compile_union(c, node, field, op);
    case MOR_AVRO_FIXED:
        return compile_fixed(c, node, field, op);
    }
    return refuse(c, node, field);
}

// Index of the field that a member is written to: by its name, else by one of its aliases unless
// another member has that name or came first. field_count = none.
static size_t find_field(const struct mor_avro_node *node, const struct mor_avro_member *member,
                         const struct mor_field *fields, size_t field_count, const bool *taken)
{
    for (size_t i = 0; i < field_count; i++) {
        if (strcmp(fields[i].name, member->name) == 0)
            return i;
    }
    for (size_t a = 0; a < member->alias_count; a++) {
        for (size_t i = 0; i < field_count; i++) {
            if (taken[i] || strcmp(fields[i].name, member->aliases[a]) != 0)
                continue;
            bool named = false;
            for (size_t m = 0; m < node->member_count; m++)
                named |= strcmp(node->members[m].name, fields[i].name) == 0;
            if (!named)
                return i;
        }
    }
    return field_count;
}

static enum mor_status compile_record(struct compiler *c, const struct mor_avro_node *node,
                                      const struct mor_field *fields, size_t field_count,
                                      struct mor_avro_program *program)
{
    struct mor_avro_op *ops = ops_new(c, node->member_count + field_count + 1);
    if (!ops)
        return MOR_DATA;
    bool *taken = mor_arena_calloc(c->arena, field_count + 1, sizeof *taken);
    size_t count = 0;
    for (size_t i = 0; i < node->member_count; i++) {
        const struct mor_avro_member *member = &node->members[i];
        struct mor_avro_op *op = &ops[count++];
        size_t column = find_field(node, member, fields, field_count, taken);
        op->name = member->name;
        op->null_branch = MOR_AVRO_NO_BRANCH;
        op->column = (uint32_t)column;
        if (column == field_count) {
            op->code = MOR_AVRO_OP_SKIP;
            op->skip = member->node;
            continue;
        }
        taken[column] = true;
        if (compile_value(c, member->node, &fields[column], op) != MOR_OK)
            return mor_error_wrap(c->err, "field '%s'", fields[column].name);
    }
    for (size_t i = 0; i < field_count; i++) {
        if (taken[i])
            continue;
        if (!fields[i].nullable)
            return mor_error_set(c->err, MOR_DATA,
                                 "the writer has no field for the required column '%s'",
                                 fields[i].name);
        ops[count++] = (struct mor_avro_op){
            .code = MOR_AVRO_OP_ABSENT,
            .null_branch = MOR_AVRO_NO_BRANCH,
            .nullable = true,
            .column = (uint32_t)i,
            .name = fields[i].name,
        };
    }
    program->ops = ops;
    program->op_count = count;
    return MOR_OK;
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_avro_plan_new(const struct mor_avro_schema *writer,
                                  const struct mor_schema *table, struct mor_avro_plan **ret_plan,
                                  struct mor_error *err)
{
    if (writer->root->kind != MOR_AVRO_RECORD)
        return mor_error_set(err, MOR_DATA, "the writer's schema is not a record but %s",
                             mor_avro_kind_name(writer->root->kind));
    struct mor_avro_plan *plan = mor_calloc(1, sizeof *plan);
    mor_arena_init(&plan->arena, 4096, NULL);
    plan->column_count = table->root.child_count;
    struct compiler c = {.arena = &plan->arena, .err = err};
    enum mor_status status = compile_record(&c, writer->root, table->root.children,
                                            table->root.child_count, &plan->program);
    if (status != MOR_OK) {
        mor_avro_plan_free(plan);
        return status;
    }
    *ret_plan = plan;
    return MOR_OK;
}

void mor_avro_plan_free(struct mor_avro_plan *plan)
{
    if (!plan)
        return;
    mor_arena_done(&plan->arena);
    free(plan);
}
