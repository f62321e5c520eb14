#include "proto_schema.h"

#include <stdio.h>

// A name stands for a message or an enum.
struct symbol {
    struct mor_proto_message *message;
    struct mor_proto_enum *enumeration;
};

// The types that every compiler knows without being given their files.
static const char well_known[] =
    "syntax = 'proto3'; package google.protobuf;"
    "message Timestamp { int64 seconds = 1; int32 nanos = 2; }"
    "message Duration { int64 seconds = 1; int32 nanos = 2; }"
    "message DoubleValue { double value = 1; } message FloatValue { float value = 1; }"
    "message Int64Value { int64 value = 1; } message UInt64Value { uint64 value = 1; }"
    "message Int32Value { int32 value = 1; } message UInt32Value { uint32 value = 1; }"
    "message BoolValue { bool value = 1; } message StringValue { string value = 1; }"
    "message BytesValue { bytes value = 1; }"
    "message Any { string type_url = 1; bytes value = 2; }"
    "message Empty {} message FieldMask { repeated string paths = 1; }"
    "message Struct { map<string, Value> fields = 1; }"
    "enum NullValue { NULL_VALUE = 0; }"
    "message Value { oneof kind { NullValue null_value = 1; double number_value = 2;"
    " string string_value = 3; bool bool_value = 4; Struct struct_value = 5;"
    " ListValue list_value = 6; } }"
    "message ListValue { repeated Value values = 1; }";

static const struct {
    const char *name;
    enum mor_proto_known known;
} known_names[] = {
    {"google.protobuf.Timestamp", MOR_PROTO_TIMESTAMP},
    {"google.protobuf.Duration", MOR_PROTO_DURATION},
    {"google.protobuf.DoubleValue", MOR_PROTO_WRAPPER},
    {"google.protobuf.FloatValue", MOR_PROTO_WRAPPER},
    {"google.protobuf.Int64Value", MOR_PROTO_WRAPPER},
    {"google.protobuf.UInt64Value", MOR_PROTO_WRAPPER},
    {"google.protobuf.Int32Value", MOR_PROTO_WRAPPER},
    {"google.protobuf.UInt32Value", MOR_PROTO_WRAPPER},
    {"google.protobuf.BoolValue", MOR_PROTO_WRAPPER},
    {"google.protobuf.StringValue", MOR_PROTO_WRAPPER},
    {"google.protobuf.BytesValue", MOR_PROTO_WRAPPER},
    {"google.protobuf.Struct", MOR_PROTO_STRUCT},
    {"google.protobuf.Value", MOR_PROTO_VALUE},
    {"google.protobuf.ListValue", MOR_PROTO_LIST},
};

struct mor_proto_set *mor_proto_set_new(void)
{
    struct mor_proto_set *set = mor_calloc(1, sizeof *set);
    struct mor_error ignored = MOR_ERROR_INIT;
    mor_arena_init(&set->arena, 0, NULL);
    // our own text is valid
    (void)!mor_proto_add_text(set, "google/protobuf", well_known, sizeof well_known - 1, &ignored);
    return set;
}

void mor_proto_set_free(struct mor_proto_set *set)
{
    if (!set)
        return;
    mor_map_done(&set->names);
    mor_arena_done(&set->arena);
    free(set);
}

// ---- declaring ----------------------------------------------------------------------------------

static enum mor_status count_member(struct mor_proto_set *set, struct mor_error *err)
{
    return ++set->member_count <= MOR_PROTO_MEMBERS_MAX
               ? MOR_OK
               : mor_error_set(err, MOR_DATA, "more than %d messages, fields and values",
                               MOR_PROTO_MEMBERS_MAX);
}

// Makes room for one more in an array whose capacity follows from its count.
static void *grow(struct mor_proto_set *set, void *items, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return items;
    void *grown = mor_arena_calloc(&set->arena, count == 0 ? 1 : count * 2, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

struct mor_proto_file *mor_proto_declare_file(struct mor_proto_set *set, const char *name)
{
    if (mor_proto_find_file(set, name))
        return NULL;
    struct mor_proto_file *file = mor_arena_calloc(&set->arena, 1, sizeof *file);
    file->name = mor_arena_strdup(&set->arena, name);
    file->package = "";
    set->files = grow(set, set->files, set->file_count, sizeof *set->files);
    set->files[set->file_count++] = file;
    return file;
}

static enum mor_status declare(struct mor_proto_set *set, const char *scope, const char *name,
                               struct symbol **ret_symbol, const char **ret_full,
                               struct mor_error *err)
{
    bool added;
    MOR_TRY(count_member(set, err));
    *ret_full = *scope ? mor_arena_printf(&set->arena, "%s.%s", scope, name)
                       : mor_arena_strdup(&set->arena, name);
    struct mor_map_entry *entry = mor_map_put_text(&set->names, *ret_full, &added);
    if (!added)
        return mor_error_set(err, MOR_DATA, "'%.300s' is defined twice", *ret_full);
    *ret_symbol = mor_arena_calloc(&set->arena, 1, sizeof **ret_symbol);
    entry->value.pointer = *ret_symbol;
    return MOR_OK;
}

enum mor_status mor_proto_declare_message(struct mor_proto_set *set, struct mor_proto_file *file,
                                          struct mor_proto_message *parent, const char *name,
                                          bool is_map_entry, struct mor_proto_message **ret_message,
                                          struct mor_error *err)
{
    struct symbol *symbol;
    const char *full;
    MOR_TRY(declare(set, parent ? parent->full_name : file->package, name, &symbol, &full, err));
    struct mor_proto_message *message = mor_arena_calloc(&set->arena, 1, sizeof *message);
    message->full_name = full;
    message->scope = full;
    message->is_map_entry = is_map_entry;
    for (size_t i = 0; i < sizeof known_names / sizeof known_names[0]; i++) {
        if (strcmp(known_names[i].name, full) == 0)
            message->known = known_names[i].known;
    }
    symbol->message = message;
    set->messages = grow(set, set->messages, set->message_count, sizeof *set->messages);
    set->messages[set->message_count++] = message;
    *ret_message = message;
    if (is_map_entry)
        return MOR_OK;
    struct mor_proto_message ***list = parent ? &parent->nested : &file->messages;
    size_t *count = parent ? &parent->nested_count : &file->message_count;
    *list = grow(set, *list, *count, sizeof **list);
    (*list)[(*count)++] = message;
    return MOR_OK;
}

enum mor_status mor_proto_declare_field(struct mor_proto_set *set,
                                        struct mor_proto_message *message,
                                        const struct mor_proto_field *field, struct mor_error *err)
{
    MOR_TRY(count_member(set, err));
    if (message->field_count >= MOR_SCHEMA_FIELDS_MAX)
        return mor_error_set(err, MOR_DATA, "'%.200s' has more than %d fields", message->full_name,
                             MOR_SCHEMA_FIELDS_MAX);
    if (field->number < 1 || field->number > 536870911)
        return mor_error_set(err, MOR_DATA, "field '%.200s' of '%.200s' has the number %d",
                             field->name, message->full_name, field->number);
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].number == field->number ||
            strcmp(message->fields[i].name, field->name) == 0)
            return mor_error_set(err, MOR_DATA,
                                 "field '%.200s' of '%.200s' has the name or number of another",
                                 field->name, message->full_name);
    }
    message->fields = grow(set, message->fields, message->field_count, sizeof *message->fields);
    struct mor_proto_field *copy = &message->fields[message->field_count++];
    *copy = *field;
    copy->name = mor_arena_strdup(&set->arena, field->name);
    copy->type_name = field->type_name ? mor_arena_strdup(&set->arena, field->type_name) : NULL;
    return MOR_OK;
}

enum mor_status mor_proto_declare_enum(struct mor_proto_set *set, const struct mor_proto_file *file,
                                       const struct mor_proto_message *parent, const char *name,
                                       struct mor_proto_enum **ret_enum, struct mor_error *err)
{
    struct symbol *symbol;
    const char *full;
    MOR_TRY(declare(set, parent ? parent->full_name : file->package, name, &symbol, &full, err));
    symbol->enumeration = mor_arena_calloc(&set->arena, 1, sizeof *symbol->enumeration);
    symbol->enumeration->full_name = full;
    *ret_enum = symbol->enumeration;
    return MOR_OK;
}

enum mor_status mor_proto_declare_value(struct mor_proto_set *set, struct mor_proto_enum *to,
                                        const char *name, int32_t number, struct mor_error *err)
{
    MOR_TRY(count_member(set, err));
    to->values = grow(set, to->values, to->value_count, sizeof *to->values);
    to->values[to->value_count++] =
        (struct mor_proto_value){mor_arena_strdup(&set->arena, name), number};
    return MOR_OK;
}

// ---- linking ------------------------------------------------------------------------------------

static const struct symbol *find_symbol(const struct mor_proto_set *set, const char *name)
{
    struct mor_map_entry *entry = mor_map_find_text((struct mor_map *)&set->names, name);
    return entry ? entry->value.pointer : NULL;
}

// A relative name is looked up from the innermost scope outwards.
static const struct symbol *resolve(const struct mor_proto_set *set, const char *scope,
                                    const char *name)
{
    if (*name == '.')
        return find_symbol(set, name + 1);
    size_t length = strlen(scope);
    for (;;) {
        MOR_AUTO_FREE char *full =
            length > 0 ? mor_asprintf("%.*s.%s", (int)length, scope, name) : mor_strdup(name);
        const struct symbol *symbol = find_symbol(set, full);
        if (symbol || length == 0)
            return symbol;
        while (length > 0 && scope[length - 1] != '.')
            length--;
        length -= length > 0;
    }
}

static enum mor_status link_field(const struct mor_proto_set *set,
                                  const struct mor_proto_message *message,
                                  struct mor_proto_field *field, struct mor_error *err)
{
    if (!field->type_name)
        return MOR_OK;
    const struct symbol *symbol = resolve(set, message->scope, field->type_name);
    if (!symbol || (field->type == MOR_PROTO_ENUM && !symbol->enumeration) ||
        (field->type == MOR_PROTO_MESSAGE && !symbol->message))
        return mor_error_set(err, MOR_DATA,
                             "field '%.200s' of '%.200s': type '%.200s' is not "
                             "defined",
                             field->name, message->full_name, field->type_name);
    field->message = symbol->message;
    field->enumeration = symbol->enumeration;
    if (field->type == MOR_PROTO_UNKNOWN)
        field->type = symbol->message ? MOR_PROTO_MESSAGE : MOR_PROTO_ENUM;
    if (field->message)
        field->implicit = false;
    return MOR_OK;
}

enum mor_status mor_proto_link(struct mor_proto_set *set, struct mor_error *err)
{
    for (size_t i = 0; i < set->message_count; i++) {
        struct mor_proto_message *message = set->messages[i];
        for (size_t k = 0; k < message->field_count; k++)
            MOR_TRY(link_field(set, message, &message->fields[k], err));
    }
    return MOR_OK;
}

// ---- looking up ---------------------------------------------------------------------------------

const struct mor_proto_message *mor_proto_find(const struct mor_proto_set *set, const char *name)
{
    const struct symbol *symbol = find_symbol(set, name);
    return symbol ? symbol->message : NULL;
}

const struct mor_proto_file *mor_proto_find_file(const struct mor_proto_set *set, const char *name)
{
    for (size_t i = 0; i < set->file_count; i++) {
        if (strcmp(set->files[i]->name, name) == 0)
            return set->files[i];
    }
    return NULL;
}

const struct mor_proto_message *mor_proto_at(const struct mor_proto_file *file,
                                             const int32_t *indexes, size_t count)
{
    struct mor_proto_message *const *list = file->messages;
    size_t length = file->message_count;
    const struct mor_proto_message *message = NULL;
    for (size_t i = 0; i < count; i++) {
        if (indexes[i] < 0 || (size_t)indexes[i] >= length)
            return NULL;
        message = list[indexes[i]];
        list = message->nested;
        length = message->nested_count;
    }
    return message;
}
