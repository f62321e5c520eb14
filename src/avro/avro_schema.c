#include "avro_schema.h"

#include <assert.h>
#include <stdio.h>

#include <jansson.h>

#include "avro_text.h"
#include "moraine/base/map.h"

// The library answers refused memory with values that lack something. Every user of it stands above
// this file, so that for all of them memory is refused as it is for us: base/memory.c.
__attribute__((constructor)) static void share_allocator(void)
{
    json_set_alloc_funcs(mor_alloc, free);
}

struct parser {
    struct mor_arena *arena;
    struct mor_map names; // full name -> node
    size_t member_count;
    struct mor_error *err;
};

static enum mor_status parse_type(struct parser *p, const json_t *json, const char *space,
                                  int depth, struct mor_avro_node **ret_node);

static const char *const kind_names[] = {
    [MOR_AVRO_NULL] = "null",   [MOR_AVRO_BOOLEAN] = "boolean", [MOR_AVRO_INT] = "int",
    [MOR_AVRO_LONG] = "long",   [MOR_AVRO_FLOAT] = "float",     [MOR_AVRO_DOUBLE] = "double",
    [MOR_AVRO_BYTES] = "bytes", [MOR_AVRO_STRING] = "string",   [MOR_AVRO_RECORD] = "record",
    [MOR_AVRO_ENUM] = "enum",   [MOR_AVRO_ARRAY] = "array",     [MOR_AVRO_MAP] = "map",
    [MOR_AVRO_UNION] = "union", [MOR_AVRO_FIXED] = "fixed",
};

const char *mor_avro_kind_name(enum mor_avro_kind kind)
{
    return kind_names[kind];
}

// ---- names --------------------------------------------------------------------------------------

// Full name of `name` seen from namespace `space` ("" = none).
static const char *full_name(struct parser *p, const char *name, const char *space)
{
    if (strchr(name, '.') || !*space)
        return *name == '.' ? name + 1 : name;
    return mor_arena_printf(p->arena, "%s.%s", space, name);
}

static const char *space_of(struct parser *p, const char *full)
{
    const char *dot = strrchr(full, '.');
    return dot ? mor_arena_strndup(p->arena, full, (size_t)(dot - full)) : "";
}

// Name of the record, enum or fixed that `json` defines. Only the last part is held to the rule for
// names: Java, whose schemas these mostly are, lets any namespace pass.
static enum mor_status parse_name(struct parser *p, const json_t *json, const char *space,
                                  const char **ret_full)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    if (!name)
        return mor_error_set(p->err, MOR_DATA, "a named type has no \"name\"");
    const char *own = json_string_value(json_object_get(json, "namespace"));
    const char *full = full_name(p, mor_arena_strdup(p->arena, name), own ? own : space);
    const char *dot = strrchr(full, '.');
    if (!mor_avro_name_is_valid(dot ? dot + 1 : full))
        return mor_error_set(p->err, MOR_DATA, "'%.200s' is not a valid name", full);
    *ret_full = full;
    return MOR_OK;
}

static enum mor_status define(struct parser *p, struct mor_avro_node *node, const char *full)
{
    bool added;
    struct mor_map_entry *entry = mor_map_put_text(&p->names, full, &added);
    if (!added)
        return mor_error_set(p->err, MOR_DATA, "type '%.200s' is defined twice", full);
    entry->value.pointer = node;
    node->full_name = full;
    return MOR_OK;
}

// ---- members ------------------------------------------------------------------------------------

static enum mor_status members_new(struct parser *p, struct mor_avro_node *node, size_t count)
{
    if (count > MOR_AVRO_MEMBERS_MAX - p->member_count)
        return mor_error_set(p->err, MOR_DATA, "more than %d fields, symbols and branches",
                             MOR_AVRO_MEMBERS_MAX);
    p->member_count += count;
    node->member_count = count;
    node->members = mor_arena_calloc(p->arena, count ? count : 1, sizeof *node->members);
    for (size_t i = 0; i < count; i++)
        node->members[i].field_id = -1;
    return MOR_OK;
}

// `names` holds every member name so far; refuses a second one.
static enum mor_status check_member_name(struct parser *p, struct mor_map *names, const char *name,
                                         const char *what)
{
    bool added;
    if (!name || !mor_avro_name_is_valid(name))
        return mor_error_set(p->err, MOR_DATA, "'%.200s' is not a valid name of a %s",
                             name ? name : "(none)", what);
    mor_map_put_text(names, name, &added);
    if (!added)
        return mor_error_set(p->err, MOR_DATA, "%s '%.200s' occurs twice", what, name);
    return MOR_OK;
}

static const char *optional_text(struct parser *p, const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? mor_arena_strdup(p->arena, text) : NULL;
}

static const char *dump_default(struct parser *p, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *copy = text ? mor_arena_strdup(p->arena, text) : "null";
    free(text);
    return copy;
}

static enum mor_status parse_aliases(struct parser *p, const json_t *json,
                                     struct mor_avro_member *member)
{
    const json_t *aliases = json_object_get(json, "aliases");
    size_t count = json_array_size(aliases);
    if (count == 0)
        return MOR_OK;
    if (count > MOR_AVRO_MEMBERS_MAX - p->member_count)
        return mor_error_set(p->err, MOR_DATA, "field '%s' has too many aliases", member->name);
    p->member_count += count;
    const char **copy = mor_arena_calloc(p->arena, count, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        const char *alias = json_string_value(json_array_get(aliases, i));
        if (!alias)
            return mor_error_set(p->err, MOR_DATA, "field '%s': an alias is not a string",
                                 member->name);
        copy[i] = mor_arena_strdup(p->arena, alias);
    }
    member->aliases = copy;
    member->alias_count = count;
    return MOR_OK;
}

static enum mor_status parse_field(struct parser *p, const json_t *json, const char *space,
                                   int depth, struct mor_map *names, struct mor_avro_member *field)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    MOR_TRY(check_member_name(p, names, name, "field"));
    field->name = mor_arena_strdup(p->arena, name);
    field->doc = optional_text(p, json, "doc");
    const json_t *value = json_object_get(json, "default");
    if (value)
        field->default_ = dump_default(p, value);
    const json_t *id = json_object_get(json, "field-id");
    if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX)
        field->field_id = (int32_t)json_integer_value(id);
    MOR_TRY(parse_aliases(p, json, field));
    const json_t *type = json_object_get(json, "type");
    if (!type)
        return mor_error_set(p->err, MOR_DATA, "field '%s' has no type", field->name);
    struct mor_avro_node *node;
    if (parse_type(p, type, space, depth + 1, &node) != MOR_OK)
        return mor_error_wrap(p->err, "field '%s'", field->name);
    field->node = node;
    return MOR_OK;
}

// ---- complex types ------------------------------------------------------------------------------

static enum mor_status parse_record(struct parser *p, const json_t *json, const char *space,
                                    int depth, struct mor_avro_node *node)
{
    const char *full;
    MOR_TRY(parse_name(p, json, space, &full));
    MOR_TRY(define(p, node, full));
    node->doc = optional_text(p, json, "doc");
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields))
        return mor_error_set(p->err, MOR_DATA, "record '%.200s' has no \"fields\"", full);
    MOR_TRY(members_new(p, node, json_array_size(fields)));
    const char *inner = space_of(p, full);
    struct mor_map names = {0};
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < node->member_count && status == MOR_OK; i++)
        status = parse_field(p, json_array_get(fields, i), inner, depth, &names, &node->members[i]);
    mor_map_done(&names);
    return status;
}

static enum mor_status parse_enum(struct parser *p, const json_t *json, const char *space,
                                  struct mor_avro_node *node)
{
    const char *full;
    MOR_TRY(parse_name(p, json, space, &full));
    MOR_TRY(define(p, node, full));
    const json_t *symbols = json_object_get(json, "symbols");
    if (json_array_size(symbols) == 0)
        return mor_error_set(p->err, MOR_DATA, "enum '%.200s' has no \"symbols\"", full);
    MOR_TRY(members_new(p, node, json_array_size(symbols)));
    struct mor_map names = {0};
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < node->member_count && status == MOR_OK; i++) {
        const char *symbol = json_string_value(json_array_get(symbols, i));
        status = check_member_name(p, &names, symbol, "symbol");
        if (status == MOR_OK)
            node->members[i].name = mor_arena_strdup(p->arena, symbol);
    }
    mor_map_done(&names);
    return status;
}

static enum mor_status parse_fixed(struct parser *p, const json_t *json, const char *space,
                                   struct mor_avro_node *node)
{
    const char *full;
    MOR_TRY(parse_name(p, json, space, &full));
    MOR_TRY(define(p, node, full));
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > MOR_AVRO_FIXED_SIZE_MAX)
        return mor_error_set(p->err, MOR_DATA, "fixed '%.200s' needs a \"size\" of 0 to %u", full,
                             MOR_AVRO_FIXED_SIZE_MAX);
    node->fixed_size_bytes = (uint32_t)json_integer_value(size);
    return MOR_OK;
}

// Array items and map values.
static enum mor_status parse_element(struct parser *p, const json_t *json, const char *key,
                                     const char *space, int depth, struct mor_avro_node *node)
{
    const json_t *type = json_object_get(json, key);
    if (!type)
        return mor_error_set(p->err, MOR_DATA, "%s without \"%s\"", kind_names[node->kind], key);
    MOR_TRY(members_new(p, node, 1));
    struct mor_avro_node *element;
    if (parse_type(p, type, space, depth + 1, &element) != MOR_OK)
        return mor_error_wrap(p->err, "\"%s\"", key);
    node->members[0].name = key;
    node->members[0].node = element;
    const json_t *id =
        json_object_get(json, node->kind == MOR_AVRO_ARRAY ? "element-id" : "value-id");
    if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX)
        node->members[0].field_id = (int32_t)json_integer_value(id);
    return MOR_OK;
}

// Two branches clash when a writer could not tell them apart: same unnamed type, same full name.
static bool branches_clash(const struct mor_avro_node *a, const struct mor_avro_node *b)
{
    if (a->full_name && b->full_name)
        return strcmp(a->full_name, b->full_name) == 0;
    return !a->full_name && !b->full_name && a->kind == b->kind;
}

static enum mor_status parse_union(struct parser *p, const json_t *json, const char *space,
                                   int depth, struct mor_avro_node *node)
{
    node->kind = MOR_AVRO_UNION;
    if (json_array_size(json) == 0)
        return mor_error_set(p->err, MOR_DATA, "a union has no branches");
    MOR_TRY(members_new(p, node, json_array_size(json)));
    for (size_t i = 0; i < node->member_count; i++) {
        struct mor_avro_node *branch = NULL;
        if (parse_type(p, json_array_get(json, i), space, depth + 1, &branch) != MOR_OK)
            return mor_error_wrap(p->err, "union branch %zu", i);
        assert(branch);
        if (branch->kind == MOR_AVRO_UNION)
            return mor_error_set(p->err, MOR_DATA, "a union stands directly in a union");
        for (size_t k = 0; k < i; k++) {
            if (branches_clash(node->members[k].node, branch))
                return mor_error_set(p->err, MOR_DATA, "a union has two branches of type %s",
                                     branch->full_name ? branch->full_name
                                                       : kind_names[branch->kind]);
        }
        node->members[i].name = branch->full_name ? branch->full_name : kind_names[branch->kind];
        node->members[i].node = branch;
    }
    return MOR_OK;
}

// ---- logical types ------------------------------------------------------------------------------

static const struct {
    const char *name;
    enum mor_avro_kind base;
    enum mor_avro_logical logical;
} logical_types[] = {
    {"date", MOR_AVRO_INT, MOR_AVRO_LOGICAL_DATE},
    {"time-millis", MOR_AVRO_INT, MOR_AVRO_LOGICAL_TIME_MILLIS},
    {"time-micros", MOR_AVRO_LONG, MOR_AVRO_LOGICAL_TIME_MICROS},
    {"timestamp-millis", MOR_AVRO_LONG, MOR_AVRO_LOGICAL_TIMESTAMP_MILLIS},
    {"timestamp-micros", MOR_AVRO_LONG, MOR_AVRO_LOGICAL_TIMESTAMP_MICROS},
    {"local-timestamp-millis", MOR_AVRO_LONG, MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS},
    {"local-timestamp-micros", MOR_AVRO_LONG, MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS},
    {"uuid", MOR_AVRO_STRING, MOR_AVRO_LOGICAL_UUID},
};

// Decimal digits that a two's complement number of `size_bytes` bytes always holds:
// floor((8 * size - 1) * log10(2)).
static int64_t decimal_digits(uint32_t size_bytes)
{
    return size_bytes == 0 ? 0 : ((int64_t)size_bytes * 8 - 1) * 30103 / 100000;
}

// What Debezium's converter writes for times: a plain number and the name of its meaning.
static const struct {
    const char *name, *logical;
} connect_names[] = {
    {"io.debezium.time.Date", "date"},
    {"io.debezium.time.Time", "time-millis"},
    {"io.debezium.time.MicroTime", "time-micros"},
    {"io.debezium.time.Timestamp", "local-timestamp-millis"},
    {"io.debezium.time.MicroTimestamp", "local-timestamp-micros"},
};

static const char *logical_name(const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "logicalType"));
    const char *connect = json_string_value(json_object_get(json, "connect.name"));
    for (size_t i = 0; !name && connect && i < sizeof connect_names / sizeof connect_names[0];
         i++) {
        if (strcmp(connect, connect_names[i].name) == 0)
            return connect_names[i].logical;
    }
    return name;
}

static void set_logical(const json_t *json, struct mor_avro_node *node)
{
    const char *name = logical_name(json);
    if (!name)
        return;
    for (size_t i = 0; i < sizeof logical_types / sizeof logical_types[0]; i++) {
        if (node->kind == logical_types[i].base && strcmp(name, logical_types[i].name) == 0)
            node->logical = logical_types[i].logical;
    }
    if (node->kind == MOR_AVRO_FIXED && node->fixed_size_bytes == 16 && strcmp(name, "uuid") == 0)
        node->logical = MOR_AVRO_LOGICAL_UUID;
    if ((node->kind == MOR_AVRO_BYTES || node->kind == MOR_AVRO_FIXED) &&
        strcmp(name, "decimal") == 0) {
        const json_t *scale_json = json_object_get(json, "scale");
        json_int_t precision = json_integer_value(json_object_get(json, "precision"));
        json_int_t scale = json_integer_value(scale_json);
        if (precision < 1 || precision > INT32_MAX || scale < 0 || scale > precision ||
            (scale_json && !json_is_integer(scale_json)) ||
            (node->kind == MOR_AVRO_FIXED && precision > decimal_digits(node->fixed_size_bytes)))
            return;
        node->logical = MOR_AVRO_LOGICAL_DECIMAL;
        node->precision = (int32_t)precision;
        node->scale = (int32_t)scale;
    }
}

// ---- types --------------------------------------------------------------------------------------

static struct mor_avro_node *node_new(struct parser *p, enum mor_avro_kind kind)
{
    struct mor_avro_node *node = mor_arena_calloc(p->arena, 1, sizeof *node);
    node->kind = kind;
    return node;
}

static bool primitive_kind(const char *name, enum mor_avro_kind *ret_kind)
{
    for (enum mor_avro_kind kind = MOR_AVRO_NULL; kind <= MOR_AVRO_STRING; kind++) {
        if (strcmp(name, kind_names[kind]) == 0) {
            *ret_kind = kind;
            return true;
        }
    }
    return false;
}

// A type given by its name: a primitive or a reference to a definition that came before.
static enum mor_status parse_type_name(struct parser *p, const char *name, const char *space,
                                       struct mor_avro_node **ret_node)
{
    enum mor_avro_kind kind;
    if (primitive_kind(name, &kind)) {
        *ret_node = node_new(p, kind);
        return MOR_OK;
    }
    struct mor_map_entry *entry = mor_map_find_text(&p->names, full_name(p, name, space));
    if (!entry)
        entry = mor_map_find_text(&p->names, name);
    if (!entry)
        return mor_error_set(p->err, MOR_DATA, "type '%.200s' is not defined", name);
    *ret_node = entry->value.pointer;
    return MOR_OK;
}

static enum mor_status parse_object(struct parser *p, const json_t *json, const char *space,
                                    int depth, struct mor_avro_node **ret_node)
{
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(type) || json_is_array(type)) // {"type": {"type": "string"}}
        return parse_type(p, type, space, depth + 1, ret_node);
    const char *name = json_string_value(type);
    if (!name)
        return mor_error_set(p->err, MOR_DATA, "a type has no \"type\"");
    struct mor_avro_node *node = node_new(p, MOR_AVRO_NULL);
    enum mor_avro_kind kind;
    if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0) {
        node->kind = MOR_AVRO_RECORD;
        MOR_TRY(parse_record(p, json, space, depth, node));
    } else if (strcmp(name, "enum") == 0) {
        node->kind = MOR_AVRO_ENUM;
        MOR_TRY(parse_enum(p, json, space, node));
    } else if (strcmp(name, "fixed") == 0) {
        node->kind = MOR_AVRO_FIXED;
        MOR_TRY(parse_fixed(p, json, space, node));
    } else if (strcmp(name, "array") == 0) {
        node->kind = MOR_AVRO_ARRAY;
        MOR_TRY(parse_element(p, json, "items", space, depth, node));
    } else if (strcmp(name, "map") == 0) {
        node->kind = MOR_AVRO_MAP;
        MOR_TRY(parse_element(p, json, "values", space, depth, node));
    } else if (primitive_kind(name, &kind)) {
        node->kind = kind;
    } else {
        return parse_type_name(p, name, space, ret_node);
    }
    set_logical(json, node);
    *ret_node = node;
    return MOR_OK;
}

static enum mor_status parse_type(struct parser *p, const json_t *json, const char *space,
                                  int depth, struct mor_avro_node **ret_node)
{
    if (depth > MOR_AVRO_DEPTH_MAX)
        return mor_error_set(p->err, MOR_DATA, "types are nested deeper than %d",
                             MOR_AVRO_DEPTH_MAX);
    if (json_is_string(json))
        return parse_type_name(p, json_string_value(json), space, ret_node);
    if (json_is_object(json))
        return parse_object(p, json, space, depth, ret_node);
    if (json_is_array(json)) {
        struct mor_avro_node *node = node_new(p, MOR_AVRO_UNION);
        *ret_node = node;
        return parse_union(p, json, space, depth, node);
    }
    return mor_error_set(p->err, MOR_DATA, "a type is neither a name, an object nor a union");
}

// ---- sizes --------------------------------------------------------------------------------------

#define SIZE_LIMIT ((size_t)1 << 40) // sums stop here; more than any datum has

static enum mor_status compute_size(struct parser *p, struct mor_avro_node *node);

static enum mor_status record_size(struct parser *p, struct mor_avro_node *node)
{
    size_t sum = 0;
    bool constant = true;
    for (size_t i = 0; i < node->member_count; i++) {
        struct mor_avro_node *child = (struct mor_avro_node *)node->members[i].node;
        if (child->sizing)
            return mor_error_set(p->err, MOR_DATA,
                                 "record '%.200s' contains itself without a way out",
                                 child->full_name);
        MOR_TRY(compute_size(p, child));
        sum += child->size_min_bytes;
        sum = sum > SIZE_LIMIT ? SIZE_LIMIT : sum;
        constant = constant && child->constant_size;
    }
    node->size_min_bytes = sum;
    node->constant_size = constant;
    return MOR_OK;
}

// Fills size_min_bytes and constant_size of the node. What stands behind an array, map or union
// does not count towards its own size (their least datum is one byte), so those end the recursion;
// mor_avro_schema_parse visits their members on their own.
static enum mor_status compute_size(struct parser *p, struct mor_avro_node *node)
{
    if (node->size_min_bytes > 0 || node->constant_size)
        return MOR_OK;
    node->sizing = true;
    enum mor_status status = MOR_OK;
    node->size_min_bytes = 1;
    switch (node->kind) {
    case MOR_AVRO_NULL:
        node->size_min_bytes = 0;
        node->constant_size = true;
        break;
    case MOR_AVRO_BOOLEAN:
        node->constant_size = true;
        break;
    case MOR_AVRO_FLOAT:
        node->size_min_bytes = 4;
        node->constant_size = true;
        break;
    case MOR_AVRO_DOUBLE:
        node->size_min_bytes = 8;
        node->constant_size = true;
        break;
    case MOR_AVRO_FIXED:
        node->size_min_bytes = node->fixed_size_bytes;
        node->constant_size = true;
        break;
    case MOR_AVRO_RECORD:
        status = record_size(p, node);
        break;
    default:
        break;
    }
    node->sizing = false;
    return status;
}

// Every node once: `open` marks the visited ones; it has no other use once the text has been read.
static enum mor_status compute_sizes(struct parser *p, struct mor_avro_node *node)
{
    if (node->open)
        return MOR_OK;
    node->open = true;
    MOR_TRY(compute_size(p, node));
    for (size_t i = 0; i < node->member_count; i++) {
        if (node->members[i].node)
            MOR_TRY(compute_sizes(p, (struct mor_avro_node *)node->members[i].node));
    }
    return MOR_OK;
}

// ---- front door ---------------------------------------------------------------------------------

static enum mor_status parse_root(struct parser *p, const char *text, size_t size_bytes,
                                  struct mor_avro_node **ret_root)
{
    json_error_t json_error;
    json_t *json = json_loadb(
        text, size_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &json_error);
    if (!json)
        return mor_error_set(p->err, MOR_DATA, "not JSON: line %d, column %d: %s", json_error.line,
                             json_error.column, json_error.text);
    enum mor_status status = parse_type(p, json, "", 0, ret_root);
    json_decref(json);
    return status == MOR_OK ? compute_sizes(p, *ret_root) : status;
}

enum mor_status mor_avro_schema_parse(const char *json, size_t size_bytes,
                                      struct mor_avro_schema **ret_schema, struct mor_error *err)
{
    if (size_bytes > MOR_AVRO_TEXT_SIZE_MAX)
        return mor_error_set(err, MOR_DATA, "Avro schema of %zu bytes is longer than %u",
                             size_bytes, MOR_AVRO_TEXT_SIZE_MAX);
    struct mor_avro_schema *schema = mor_calloc(1, sizeof *schema);
    mor_arena_init(&schema->arena, 8192, NULL);
    struct parser p = {.arena = &schema->arena, .err = err};
    struct mor_avro_node *root = NULL;
    enum mor_status status = parse_root(&p, json, size_bytes, &root);
    mor_map_done(&p.names);
    if (status != MOR_OK) {
        mor_avro_schema_free(schema);
        return mor_error_wrap(err, "Avro schema");
    }
    assert(root);
    schema->root = root;
    *ret_schema = schema;
    return MOR_OK;
}

void mor_avro_schema_free(struct mor_avro_schema *schema)
{
    if (!schema)
        return;
    mor_arena_done(&schema->arena);
    free(schema);
}

bool mor_avro_schema_is_record(const struct mor_avro_schema *schema)
{
    return schema->root->kind == MOR_AVRO_RECORD;
}
