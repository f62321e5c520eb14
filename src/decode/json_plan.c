#include "json_plan.h"

#define US_PER_DAY (86400LL * 1000000)

// ---- units --------------------------------------------------------------------------------------

// Microseconds in the unit of a type, 0 when the type is no time.
static int64_t unit_us(enum mor_type type)
{
    switch (type) {
    case MOR_TYPE_DATE:
        return US_PER_DAY;
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
        return 1000;
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return 1;
    default:
        return 0;
    }
}

static bool is_time_of_day(enum mor_type type)
{
    return type == MOR_TYPE_TIME_MILLIS || type == MOR_TYPE_TIME_MICROS;
}

static enum mor_status set_units(const struct mor_field *field, enum mor_type type,
                                 enum mor_type source, struct mor_json_value *value,
                                 struct mor_error *err)
{
    int64_t to = unit_us(type);
    int64_t from = unit_us(source);
    bool from_instant = source == MOR_TYPE_TIMESTAMP_MILLIS || source == MOR_TYPE_TIMESTAMP_MICROS;
    if (from == 0 || is_time_of_day(source) != is_time_of_day(type) ||
        (type == MOR_TYPE_DATE && from_instant))
        return mor_error_set(err, MOR_FATAL, "field '%s': the source declares %s, the column is %s",
                             field->name, mor_type_name(source), mor_type_name(field->type));
    value->multiply = from > to ? from / to : 1;
    value->divide = from < to ? to / from : 1;
    value->text_divide = to;
    return MOR_OK;
}

// ---- values -------------------------------------------------------------------------------------

static enum mor_status build_nested(struct mor_arena *arena, const struct mor_field *field,
                                    const struct mor_field *source, struct mor_json_value *value,
                                    struct mor_error *err)
{
    bool same = source && source->type == field->type;
    if (field->type == MOR_TYPE_STRUCT)
        return mor_json_object_build(arena, field->children,
                                     mor_json_routes_of(arena, field->children, field->child_count),
                                     field->child_count, same ? source : NULL, &value->object, err);
    size_t item = field->type == MOR_TYPE_MAP ? 1 : 0;
    value->item = mor_arena_calloc(arena, 1, sizeof *value->item);
    if (item > 0) {
        value->key = mor_arena_calloc(arena, 1, sizeof *value->key);
        MOR_TRY(mor_json_value_build(arena, &field->children[0], NULL, value->key, err));
    }
    return mor_json_value_build(arena, &field->children[item],
                                same ? &source->children[item] : NULL, value->item, err);
}

// What the text is read as: a table may hold times as plain numbers, JSON and UUIDs as plain text,
// but the source says what they are.
static enum mor_type read_as(const struct mor_field *field, const struct mor_field *source)
{
    if (!source)
        return field->type;
    if ((source->type == MOR_TYPE_TIME_MILLIS && field->type == MOR_TYPE_INT32) ||
        (source->type == MOR_TYPE_TIME_MICROS && field->type == MOR_TYPE_INT64) ||
        (source->type == MOR_TYPE_JSON && field->type == MOR_TYPE_STRING) ||
        (source->type == MOR_TYPE_UUID && field->type == MOR_TYPE_STRING))
        return source->type;
    return field->type;
}

enum mor_status mor_json_value_build(struct mor_arena *arena, const struct mor_field *field,
                                     const struct mor_field *source, struct mor_json_value *value,
                                     struct mor_error *err)
{
    *value = (struct mor_json_value){
        .type = read_as(field, source),
        .nullable = field->nullable,
        .required = !field->nullable || (source && !source->nullable),
        .as_text = field->type == MOR_TYPE_STRING,
        .precision = field->precision,
        .scale = field->scale,
        .fixed_size_bytes = (uint32_t)field->fixed_size_bytes,
        .name = mor_arena_strdup(arena, field->name),
    };
    if (unit_us(value->type) > 0)
        return set_units(field, value->type, source ? source->type : field->type, value, err);
    if (field->type == MOR_TYPE_STRUCT || field->type == MOR_TYPE_LIST ||
        field->type == MOR_TYPE_MAP)
        return build_nested(arena, field, source, value, err);
    return MOR_OK;
}

// ---- objects ------------------------------------------------------------------------------------

static void set_name(struct mor_arena *arena, struct mor_json_field *field, const char *name,
                     size_t size)
{
    field->name = mor_arena_strndup(arena, name, size);
    field->name_size = size;
    bool plain = size <= UINT16_MAX;
    for (size_t i = 0; i < size; i++)
        plain = plain && name[i] != '"' && name[i] != '\\' && (unsigned char)name[i] >= 0x20;
    uint8_t *quoted = mor_arena_calloc(arena, size + 2 + 32, 1);
    quoted[0] = '"';
    memcpy(quoted + 1, name, size);
    quoted[size + 1] = '"';
    field->quoted = quoted;
    field->quoted_size = plain ? (uint32_t)size + 2 : 0;
}

static void add_slot(struct mor_json_object *object, const struct mor_json_field *field,
                     size_t index)
{
    size_t slot =
        mor_json_name_hash(field->quoted + 1, field->name_size) & (object->slot_count - 1);
    while (object->slots[slot] != 0)
        slot = (slot + 1) & (object->slot_count - 1);
    object->slots[slot] = (uint32_t)index + 1;
}

static const struct mor_field *find_source(const struct mor_field *source, const char *name)
{
    for (size_t i = 0; source && i < source->child_count; i++) {
        if (strcmp(source->children[i].name, name) == 0)
            return &source->children[i];
    }
    return NULL;
}

static struct mor_json_object *object_new(struct mor_arena *arena, size_t count)
{
    struct mor_json_object *object = mor_arena_calloc(arena, 1, sizeof *object);
    object->arena = arena;
    object->fields = mor_arena_calloc(arena, count + 1, sizeof *object->fields);
    object->ignored = mor_arena_calloc(arena, MOR_JSON_IGNORED_MAX, sizeof *object->ignored);
    object->slot_count = 16;
    while (object->slot_count < 2 * (count + MOR_JSON_IGNORED_MAX))
        object->slot_count *= 2;
    object->slots = mor_arena_calloc(arena, object->slot_count, sizeof *object->slots);
    object->stranger.role = MOR_JSON_IGNORED;
    object->stranger.quoted = mor_arena_calloc(arena, 1, 32); // read, though its size is 0
    return object;
}

static struct mor_json_field *add_field(struct mor_json_object *object, const char *name,
                                        enum mor_json_role role)
{
    size_t index = object->field_count++;
    struct mor_json_field *field = &object->fields[index];
    set_name(object->arena, field, name, strlen(name));
    field->role = (uint8_t)role;
    field->column = MOR_ROUTE_NONE;
    field->otherwise = MOR_ROUTE_NONE;
    if (index > 0)
        object->fields[index - 1].next = field; // the first guess: the table's own order
    add_slot(object, field, index);
    return field;
}

static enum mor_status add_route(struct mor_json_object *object, const struct mor_field *columns,
                                 const struct mor_route *route, const struct mor_field *source,
                                 struct mor_error *err)
{
    const struct mor_field *from = find_source(source, route->name);
    enum mor_json_role role = route->child_count > 0          ? MOR_JSON_FLATTENED
                              : route->note != MOR_ROUTE_NONE ? MOR_JSON_NOTED
                                                              : MOR_JSON_COLUMN;
    struct mor_json_field *field = add_field(object, route->name, role);
    field->note = (int8_t)route->note;
    if (role != MOR_JSON_FLATTENED) {
        field->column = route->column;
        return route->column == MOR_ROUTE_NONE
                   ? MOR_OK
                   : mor_json_value_build(object->arena, &columns[route->column], from,
                                          &field->value, err);
    }
    field->value.required = from && !from->nullable && !route->otherwise;
    if (route->otherwise) {
        field->otherwise = (int32_t)object->field_count;
        add_field(object, route->otherwise, MOR_JSON_KEPT);
    }
    return mor_json_object_build(object->arena, columns, route->children, route->child_count, from,
                                 &field->value.object, err);
}

enum mor_status mor_json_object_build(struct mor_arena *arena, const struct mor_field *columns,
                                      const struct mor_route *routes, size_t count,
                                      const struct mor_field *source,
                                      struct mor_json_object **ret_object, struct mor_error *err)
{
    struct mor_json_object *object = object_new(arena, 2 * count);
    for (size_t i = 0; i < count; i++)
        MOR_TRY(add_route(object, columns, &routes[i], source, err));
    object->first = count > 0 ? &object->fields[0] : NULL;
    *ret_object = object;
    return MOR_OK;
}

enum mor_status mor_json_object_build_key(struct mor_arena *arena, const struct mor_field *columns,
                                          const struct mor_route *routes, size_t count,
                                          const struct mor_field *source,
                                          struct mor_json_object **ret_object,
                                          struct mor_error *err)
{
    MOR_TRY(mor_json_object_build(arena, columns, routes, count, source, ret_object, err));
    for (size_t i = 0; i < (*ret_object)->field_count; i++) {
        struct mor_json_field *field = &(*ret_object)->fields[i];
        field->must_occur = true;
        field->value.required = field->value.required || count == 1;
    }
    return MOR_OK;
}

struct mor_route *mor_json_routes_of(struct mor_arena *arena, const struct mor_field *fields,
                                     size_t count)
{
    struct mor_route *routes = mor_arena_calloc(arena, count + 1, sizeof *routes);
    for (size_t i = 0; i < count; i++)
        routes[i] = (struct mor_route){
            .name = fields[i].name, .column = (int32_t)i, .note = MOR_ROUTE_NONE};
    return routes;
}

struct mor_json_field *mor_json_object_lookup(const struct mor_json_object *object,
                                              const uint8_t *name, size_t name_size)
{
    size_t slot = mor_json_name_hash(name, name_size) & (object->slot_count - 1);
    for (; object->slots[slot] != 0; slot = (slot + 1) & (object->slot_count - 1)) {
        struct mor_json_field *field = mor_json_object_at(object, object->slots[slot] - 1);
        if (field->name_size == name_size && memcmp(field->name, name, name_size) == 0)
            return field;
    }
    return NULL;
}

struct mor_json_field *mor_json_object_find(struct mor_json_object *object, const uint8_t *name,
                                            size_t name_size)
{
    struct mor_json_field *field = mor_json_object_lookup(object, name, name_size);
    if (field)
        return field;
    if (object->ignored_count == MOR_JSON_IGNORED_MAX || name_size > MOR_JSON_IGNORED_NAME_SIZE_MAX)
        return &object->stranger;
    field = &object->ignored[object->ignored_count];
    set_name(object->arena, field, (const char *)name, name_size);
    field->role = MOR_JSON_IGNORED;
    add_slot(object, field, object->field_count + object->ignored_count);
    object->ignored_count++;
    return field;
}
