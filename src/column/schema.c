#include "moraine/column.h"

#include <ctype.h>
#include <stdio.h>

#define SCHEMA_ARENA_CHUNK 4096

static const char *const type_names[] = {
    [MOR_TYPE_BOOL] = "boolean",
    [MOR_TYPE_INT32] = "int",
    [MOR_TYPE_INT64] = "long",
    [MOR_TYPE_FLOAT] = "float",
    [MOR_TYPE_DOUBLE] = "double",
    [MOR_TYPE_DECIMAL] = "decimal",
    [MOR_TYPE_DATE] = "date",
    [MOR_TYPE_TIME_MILLIS] = "time_ms",
    [MOR_TYPE_TIME_MICROS] = "time_us",
    [MOR_TYPE_TIMESTAMP_MILLIS] = "timestamp_ms",
    [MOR_TYPE_TIMESTAMP_MICROS] = "timestamp_us",
    [MOR_TYPE_STRING] = "string",
    [MOR_TYPE_BYTES] = "bytes",
    [MOR_TYPE_FIXED] = "fixed",
    [MOR_TYPE_UUID] = "uuid",
    [MOR_TYPE_ENUM] = "enum",
    [MOR_TYPE_JSON] = "json",
    [MOR_TYPE_STRUCT] = "struct",
    [MOR_TYPE_LIST] = "list",
    [MOR_TYPE_MAP] = "map",
};
#define TYPE_COUNT (sizeof type_names / sizeof type_names[0])

const char *mor_type_name(enum mor_type type)
{
    return (size_t)type < TYPE_COUNT ? type_names[type] : "?";
}

struct mor_schema *mor_schema_new(const char *name)
{
    struct mor_schema *schema = mor_calloc(1, sizeof *schema);
    mor_arena_init(&schema->arena, SCHEMA_ARENA_CHUNK, NULL);
    schema->root = (struct mor_field){
        .name = mor_arena_strdup(&schema->arena, name), .type = MOR_TYPE_STRUCT, .field_id = -1};
    return schema;
}

void mor_schema_free(struct mor_schema *schema)
{
    if (schema == NULL)
        return;
    mor_arena_done(&schema->arena);
    free(schema);
}

// Children are kept in arrays of a power-of-two capacity, so that the capacity follows from the
// count.
static struct mor_field *add_child(struct mor_schema *schema, struct mor_field *parent)
{
    size_t count = parent->child_count;
    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : count * 2;
        struct mor_field *grown = mor_arena_calloc(&schema->arena, capacity, sizeof *grown);
        if (count > 0)
            memcpy(grown, parent->children, count * sizeof *grown);
        parent->children = grown;
    }
    parent->child_count++;
    return &parent->children[count];
}

struct mor_field *mor_schema_add(struct mor_schema *schema, struct mor_field *parent,
                                 const char *name, enum mor_type type, bool nullable)
{
    struct mor_field *field = add_child(schema, parent != NULL ? parent : &schema->root);
    *field = (struct mor_field){.name = mor_arena_strdup(&schema->arena, name),
                                .type = type,
                                .nullable = nullable,
                                .field_id = -1};
    return field;
}

static void copy_field(struct mor_schema *schema, struct mor_field *to,
                       const struct mor_field *from)
{
    *to = *from;
    to->name = mor_arena_strdup(&schema->arena, from->name);
    to->doc = from->doc != NULL ? mor_arena_strdup(&schema->arena, from->doc) : NULL;
    to->child_count = 0;
    to->children = NULL;
    for (size_t i = 0; i < from->child_count; i++)
        copy_field(schema, add_child(schema, to), &from->children[i]);
}

struct mor_field *mor_schema_add_copy(struct mor_schema *schema, struct mor_field *parent,
                                      const struct mor_field *field)
{
    struct mor_field *copy = add_child(schema, parent != NULL ? parent : &schema->root);
    copy_field(schema, copy, field);
    return copy;
}

struct mor_schema *mor_schema_copy(const struct mor_schema *schema)
{
    struct mor_schema *copy = mor_schema_new(schema->root.name);
    copy_field(copy, &copy->root, &schema->root);
    return copy;
}

bool mor_field_equal(const struct mor_field *a, const struct mor_field *b)
{
    if (strcmp(a->name, b->name) != 0 || a->type != b->type || a->nullable != b->nullable ||
        a->local_timestamp != b->local_timestamp || a->field_id != b->field_id ||
        a->child_count != b->child_count)
        return false;
    if (a->type == MOR_TYPE_DECIMAL && (a->precision != b->precision || a->scale != b->scale))
        return false;
    if (a->type == MOR_TYPE_FIXED && a->fixed_size_bytes != b->fixed_size_bytes)
        return false;
    for (size_t i = 0; i < a->child_count; i++)
        if (!mor_field_equal(&a->children[i], &b->children[i]))
            return false;
    return true;
}

bool mor_schema_equal(const struct mor_schema *a, const struct mor_schema *b)
{
    if (a->root.child_count != b->root.child_count)
        return false;
    for (size_t i = 0; i < a->root.child_count; i++)
        if (!mor_field_equal(&a->root.children[i], &b->root.children[i]))
            return false;
    return true;
}

int32_t mor_schema_find(const struct mor_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->root.child_count; i++)
        if (strcmp(schema->root.children[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

static int32_t largest_id(const struct mor_field *field)
{
    int32_t largest = field->field_id;
    for (size_t i = 0; i < field->child_count; i++) {
        int32_t below = largest_id(&field->children[i]);
        largest = below > largest ? below : largest;
    }
    return largest;
}

static void assign_ids(struct mor_field *field, int32_t *next)
{
    for (size_t i = 0; i < field->child_count; i++) {
        if (field->children[i].field_id < 0)
            field->children[i].field_id = (*next)++;
        assign_ids(&field->children[i], next);
    }
}

void mor_schema_assign_ids(struct mor_schema *schema)
{
    int32_t largest = largest_id(&schema->root);
    int32_t next = largest < 1 ? 1 : largest + 1;
    assign_ids(&schema->root, &next);
}

// ---- types as text ------------------------------------------------------------------------------

struct type_text {
    const char *at;
    const char *whole;
    int depth;
};

static void skip_blanks(struct type_text *text)
{
    while (*text->at == ' ')
        text->at++;
}

static bool take(struct type_text *text, char wanted)
{
    skip_blanks(text);
    if (*text->at != wanted)
        return false;
    text->at++;
    return true;
}

static enum mor_status bad_type(const struct type_text *text, const char *expected,
                                struct mor_error *err)
{
    return mor_error_set(err, MOR_DATA, "type '%.60s': expected %s at character %ld", text->whole,
                         expected, (long)(text->at - text->whole) + 1);
}

static bool take_number(struct type_text *text, int32_t *ret_number)
{
    skip_blanks(text);
    if (!isdigit((unsigned char)*text->at))
        return false;
    int32_t number = 0;
    while (isdigit((unsigned char)*text->at) && number < 1000000)
        number = number * 10 + (*text->at++ - '0');
    *ret_number = number;
    return true;
}

static bool type_of_name(const char *name, size_t length, enum mor_type *ret_type)
{
    static const struct {
        const char *name;
        enum mor_type type;
    } aliases[] = {{"bool", MOR_TYPE_BOOL},     {"int32", MOR_TYPE_INT32},
                   {"integer", MOR_TYPE_INT32}, {"int64", MOR_TYPE_INT64},
                   {"bigint", MOR_TYPE_INT64},  {"timestamp", MOR_TYPE_TIMESTAMP_MICROS},
                   {"array", MOR_TYPE_LIST},    {"binary", MOR_TYPE_BYTES}};
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strlen(type_names[i]) == length && memcmp(type_names[i], name, length) == 0) {
            *ret_type = (enum mor_type)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strlen(aliases[i].name) == length && memcmp(aliases[i].name, name, length) == 0) {
            *ret_type = aliases[i].type;
            return true;
        }
    }
    return false;
}

static enum mor_status parse_type(struct mor_schema *schema, struct mor_field *field,
                                  struct type_text *text, struct mor_error *err);

static enum mor_status parse_decimal(struct mor_field *field, struct type_text *text,
                                     struct mor_error *err)
{
    if (!take(text, '(') || !take_number(text, &field->precision) || !take(text, ',') ||
        !take_number(text, &field->scale) || !take(text, ')'))
        return bad_type(text, "'decimal(precision,scale)'", err);
    if (field->precision < 1 || field->precision > MOR_DECIMAL_PRECISION_MAX ||
        field->scale > field->precision)
        return mor_error_set(
            err, MOR_DATA,
            "type '%.60s': precision must be 1 to %d and scale at most the precision", text->whole,
            MOR_DECIMAL_PRECISION_MAX);
    return MOR_OK;
}

// "list<T>": elements may be null. "map<T>" and "map<string,T>": values may be null.
static enum mor_status parse_nested(struct mor_schema *schema, struct mor_field *field,
                                    struct type_text *text, struct mor_error *err)
{
    if (!take(text, '<'))
        return bad_type(text, "'<'", err);
    if (field->type == MOR_TYPE_MAP) {
        mor_schema_add(schema, field, "key", MOR_TYPE_STRING, false);
        skip_blanks(text);
        if (strncmp(text->at, "string", 6) == 0) {
            struct type_text after = {text->at + 6, text->whole, text->depth};
            if (take(&after, ','))
                text->at = after.at;
        }
    }
    const char *name = field->type == MOR_TYPE_MAP ? "value" : "element";
    MOR_TRY(
        parse_type(schema, mor_schema_add(schema, field, name, MOR_TYPE_STRING, true), text, err));
    return take(text, '>') ? MOR_OK : bad_type(text, "'>'", err);
}

static enum mor_status parse_type(struct mor_schema *schema, struct mor_field *field,
                                  struct type_text *text, struct mor_error *err)
{
    if (++text->depth > MOR_SCHEMA_DEPTH_MAX)
        return mor_error_set(err, MOR_DATA, "type '%.60s': nested deeper than %d", text->whole,
                             MOR_SCHEMA_DEPTH_MAX);
    skip_blanks(text);
    size_t length = 0;
    while (isalnum((unsigned char)text->at[length]) || text->at[length] == '_')
        length++;
    if (length == 0 || !type_of_name(text->at, length, &field->type) ||
        field->type == MOR_TYPE_STRUCT)
        return bad_type(
            text,
            "a type name (boolean, int, long, float, double, decimal(p,s), string, bytes, date, "
            "time_ms, time_us, timestamp_ms, timestamp_us, uuid, enum, json, fixed(n), list<…>, "
            "map<…>)",
            err);
    text->at += length;
    switch (field->type) {
    case MOR_TYPE_DECIMAL:
        return parse_decimal(field, text, err);
    case MOR_TYPE_FIXED:
        if (!take(text, '(') || !take_number(text, &field->fixed_size_bytes) || !take(text, ')') ||
            field->fixed_size_bytes < 1)
            return bad_type(text, "'fixed(bytes)'", err);
        return MOR_OK;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        return parse_nested(schema, field, text, err);
    default:
        return MOR_OK;
    }
}

enum mor_status mor_type_parse(struct mor_schema *schema, struct mor_field *field, const char *type,
                               struct mor_error *err)
{
    struct type_text text = {type, type, 0};
    MOR_TRY(parse_type(schema, field, &text, err));
    skip_blanks(&text);
    return *text.at == '\0' ? MOR_OK : bad_type(&text, "the end", err);
}

void mor_type_format(const struct mor_field *field, struct mor_buffer *ret_text)
{
    mor_buffer_append_text(ret_text, mor_type_name(field->type));
    switch (field->type) {
    case MOR_TYPE_DECIMAL:
        mor_buffer_printf(ret_text, "(%d,%d)", field->precision, field->scale);
        break;
    case MOR_TYPE_FIXED:
        mor_buffer_printf(ret_text, "(%d)", field->fixed_size_bytes);
        break;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        mor_buffer_append_u8(ret_text, '<');
        mor_type_format(&field->children[field->child_count - 1], ret_text);
        mor_buffer_append_u8(ret_text, '>');
        break;
    case MOR_TYPE_STRUCT:
        mor_buffer_append_u8(ret_text, '<');
        for (size_t i = 0; i < field->child_count; i++) {
            mor_buffer_printf(ret_text, "%s%s:", i > 0 ? "," : "", field->children[i].name);
            mor_type_format(&field->children[i], ret_text);
        }
        mor_buffer_append_u8(ret_text, '>');
        break;
    default:
        break;
    }
}
