#include "json_plan.h"

#define US_PER_DAY (86400LL * 1000000)

static enum mor_status build_value(struct mor_arena *arena, const struct mor_field *field,
                                   const struct mor_field *source, struct mor_json_value *value,
                                   struct mor_error *err);

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

static enum mor_status set_units(const struct mor_field *field, enum mor_type source,
                                 struct mor_json_value *value, struct mor_error *err)
{
    int64_t to = unit_us(field->type);
    int64_t from = unit_us(source);
    bool from_instant = source == MOR_TYPE_TIMESTAMP_MILLIS || source == MOR_TYPE_TIMESTAMP_MICROS;
    if (from == 0 || is_time_of_day(source) != is_time_of_day(field->type) ||
        (field->type == MOR_TYPE_DATE && from_instant))
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
        return mor_json_object_build(arena, field->children, field->child_count,
                                     same ? source : NULL, &value->object, err);
    size_t item = field->type == MOR_TYPE_MAP ? 1 : 0;
    value->item = mor_arena_calloc(arena, 1, sizeof *value->item);
    if (item > 0) {
        value->key = mor_arena_calloc(arena, 1, sizeof *value->key);
        MOR_TRY(build_value(arena, &field->children[0], NULL, value->key, err));
    }
    return build_value(arena, &field->children[item], same ? &source->children[item] : NULL,
                       value->item, err);
}

static enum mor_status build_value(struct mor_arena *arena, const struct mor_field *field,
                                   const struct mor_field *source, struct mor_json_value *value,
                                   struct mor_error *err)
{
    *value = (struct mor_json_value){
        .type = field->type,
        .nullable = field->nullable,
        .required = !field->nullable,
        .precision = field->precision,
        .scale = field->scale,
        .fixed_size_bytes = (uint32_t)field->fixed_size_bytes,
        .name = mor_arena_strdup(arena, field->name),
    };
    if (unit_us(field->type) > 0)
        return set_units(field, source ? source->type : field->type, value, err);
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

enum mor_status mor_json_object_build_some(struct mor_arena *arena, const struct mor_field *fields,
                                           const size_t *indices, size_t count,
                                           const struct mor_field *source,
                                           struct mor_json_object **ret_object,
                                           struct mor_error *err)
{
    struct mor_json_object *object = mor_arena_calloc(arena, 1, sizeof *object);
    object->arena = arena;
    object->field_count = count;
    object->fields = mor_arena_calloc(arena, count + 1, sizeof *object->fields);
    object->ignored = mor_arena_calloc(arena, MOR_JSON_IGNORED_MAX, sizeof *object->ignored);
    object->slot_count = 16;
    while (object->slot_count < 2 * (count + MOR_JSON_IGNORED_MAX))
        object->slot_count *= 2;
    object->slots = mor_arena_calloc(arena, object->slot_count, sizeof *object->slots);
    object->stranger.ignored = true;
    object->stranger.quoted = mor_arena_calloc(arena, 1, 32); // read, though its size is 0
    for (size_t i = 0; i < count; i++) {
        const struct mor_field *from = &fields[indices ? indices[i] : i];
        struct mor_json_field *field = &object->fields[i];
        set_name(arena, field, from->name, strlen(from->name));
        field->column = (uint32_t)(indices ? indices[i] : i);
        if (i > 0)
            object->fields[i - 1].next = field; // the first guess: the table's own order
        add_slot(object, field, i);
        if (build_value(arena, from, find_source(source, from->name), &field->value, err) != MOR_OK)
            return err->status;
        field->must_occur = indices != NULL;
        field->value.required = field->value.required || (indices && count == 1);
    }
    object->first = count > 0 ? &object->fields[0] : NULL;
    *ret_object = object;
    return MOR_OK;
}

enum mor_status mor_json_object_build(struct mor_arena *arena, const struct mor_field *fields,
                                      size_t count, const struct mor_field *source,
                                      struct mor_json_object **ret_object, struct mor_error *err)
{
    return mor_json_object_build_some(arena, fields, NULL, count, source, ret_object, err);
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
    field->ignored = true;
    add_slot(object, field, object->field_count + object->ignored_count);
    object->ignored_count++;
    return field;
}
