// FileDescriptorSet and what is in it (google/protobuf/descriptor.proto), as protoc writes it.
#include <stdio.h>

#include "proto_schema.h"
#include "proto_wire.h"

// Field numbers that count here.
enum {
    SET_FILE = 1,
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SYNTAX = 12,
    MESSAGE_NAME = 1,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_OPTIONS = 7,
    OPTIONS_MAP_ENTRY = 7,
    FIELD_NAME = 1,
    FIELD_NUMBER = 3,
    FIELD_LABEL = 4,
    FIELD_TYPE = 5,
    FIELD_TYPE_NAME = 6,
    FIELD_ONEOF = 9,
    FIELD_PROTO3_OPTIONAL = 17,
    ENUM_NAME = 1,
    ENUM_VALUE = 2,
    VALUE_NAME = 1,
    VALUE_NUMBER = 2,
    LABEL_REQUIRED = 2,
    LABEL_REPEATED = 3,
};

struct reading {
    struct mor_proto_set *set;
    struct mor_proto_file *file;
    struct mor_error *err;
};

static enum mor_status broken(const struct reading *r, const char *wrong)
{
    return mor_error_set(r->err, MOR_DATA, "descriptor: %s", wrong);
}

// The last occurrence of a field of length-delimited kind as text, NULL = none, or with zero bytes.
static const char *text_of(const struct reading *r, struct mor_proto_input in, int32_t number)
{
    struct mor_proto_token token;
    const char *text = NULL;
    while (in.at < in.end && !mor_proto_next(&in, &token)) {
        if (token.number == number && token.wire == MOR_PROTO_WIRE_LENGTH &&
            (token.size_bytes == 0 || !memchr(token.bytes, 0, token.size_bytes)))
            text = mor_arena_strndup(&r->set->arena, (const char *)token.bytes, token.size_bytes);
    }
    return text;
}

static uint64_t number_of(struct mor_proto_input in, int32_t number, uint64_t initial)
{
    struct mor_proto_token token;
    uint64_t found = initial;
    while (in.at < in.end && !mor_proto_next(&in, &token)) {
        if (token.number == number && token.wire == MOR_PROTO_WIRE_VARINT)
            found = token.value;
    }
    return found;
}

static struct mor_proto_input inside(const struct mor_proto_token *token)
{
    return (struct mor_proto_input){token->bytes, token->bytes + token->size_bytes};
}

static enum mor_status read_enum(struct reading *r, const struct mor_proto_message *parent,
                                 struct mor_proto_input in)
{
    struct mor_proto_enum *made;
    struct mor_proto_token token;
    const char *name = text_of(r, in, ENUM_NAME), *wrong;
    if (!name)
        return broken(r, "an enum has no name");
    MOR_TRY(mor_proto_declare_enum(r->set, r->file, parent, name, &made, r->err));
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return broken(r, wrong);
        if (token.number != ENUM_VALUE || token.wire != MOR_PROTO_WIRE_LENGTH)
            continue;
        const char *value = text_of(r, inside(&token), VALUE_NAME);
        if (!value)
            return broken(r, "an enum value has no name");
        MOR_TRY(mor_proto_declare_value(
            r->set, made, value, (int32_t)number_of(inside(&token), VALUE_NUMBER, 0), r->err));
    }
    return MOR_OK;
}

// Messages and enums are named, and nothing else is.
static bool type_is_named(enum mor_proto_type type)
{
    return type == MOR_PROTO_UNKNOWN || type == MOR_PROTO_GROUP || type == MOR_PROTO_MESSAGE ||
           type == MOR_PROTO_ENUM;
}

static enum mor_status read_field(struct reading *r, struct mor_proto_message *message,
                                  struct mor_proto_input in)
{
    uint64_t type = number_of(in, FIELD_TYPE, 0), label = number_of(in, FIELD_LABEL, 1);
    bool optional = number_of(in, FIELD_PROTO3_OPTIONAL, 0) != 0;
    uint64_t oneof = number_of(in, FIELD_ONEOF, UINT64_MAX);
    struct mor_proto_field field = {
        .name = text_of(r, in, FIELD_NAME),
        .number = (int32_t)number_of(in, FIELD_NUMBER, 0),
        .type = type > MOR_PROTO_SINT64 ? MOR_PROTO_UNKNOWN : (enum mor_proto_type)type,
        .repeated = label == LABEL_REPEATED,
        .required = label == LABEL_REQUIRED,
        .oneof = oneof < MOR_PROTO_MEMBERS_MAX && !optional ? (int32_t)oneof : -1,
        .type_name = text_of(r, in, FIELD_TYPE_NAME),
    };
    field.implicit = r->file->implicit && !field.repeated && !optional && field.oneof < 0;
    if (!field.name || type_is_named(field.type) != (field.type_name != NULL))
        return broken(r, "a field has no name or type");
    field.group = field.type == MOR_PROTO_GROUP;
    field.type = field.group ? MOR_PROTO_MESSAGE : field.type;
    if (field.oneof >= message->oneof_count)
        message->oneof_count = field.oneof + 1;
    return mor_proto_declare_field(r->set, message, &field, r->err);
}

static bool is_map_entry(struct mor_proto_input in)
{
    struct mor_proto_token token;
    bool found = false;
    while (in.at < in.end && !mor_proto_next(&in, &token)) {
        if (token.number == MESSAGE_OPTIONS && token.wire == MOR_PROTO_WIRE_LENGTH)
            found = found || number_of(inside(&token), OPTIONS_MAP_ENTRY, 0) != 0;
    }
    return found;
}

static enum mor_status read_message(struct reading *r, struct mor_proto_message *parent,
                                    struct mor_proto_input in, int depth)
{
    struct mor_proto_message *message;
    struct mor_proto_token token;
    const char *name = text_of(r, in, MESSAGE_NAME), *wrong;
    if (!name || depth > MOR_PROTO_DEPTH_MAX)
        return broken(r, name ? "messages are nested too deeply" : "a message has no name");
    MOR_TRY(mor_proto_declare_message(r->set, r->file, parent, name, is_map_entry(in), &message,
                                      r->err));
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return broken(r, wrong);
        if (token.wire != MOR_PROTO_WIRE_LENGTH)
            continue;
        if (token.number == MESSAGE_FIELD)
            MOR_TRY(read_field(r, message, inside(&token)));
        else if (token.number == MESSAGE_NESTED)
            MOR_TRY(read_message(r, message, inside(&token), depth + 1));
        else if (token.number == MESSAGE_ENUM)
            MOR_TRY(read_enum(r, message, inside(&token)));
    }
    return MOR_OK;
}

// `name` NULL = as the descriptor names the file.
static enum mor_status read_file(struct reading *r, struct mor_proto_input in, const char *name)
{
    struct mor_proto_token token;
    const char *package = text_of(r, in, FILE_PACKAGE), *wrong;
    const char *syntax = text_of(r, in, FILE_SYNTAX);
    if (!name)
        name = text_of(r, in, FILE_NAME);
    if (!name)
        return broken(r, "a file has no name");
    // ours stands for all of these
    if (strncmp(name, "google/protobuf/", 16) == 0 && package &&
        strcmp(package, "google.protobuf") == 0)
        return MOR_OK;
    r->file = mor_proto_declare_file(r->set, name);
    if (!r->file)
        return MOR_OK;
    r->file->package = package ? package : "";
    r->file->implicit = syntax && strcmp(syntax, "proto3") == 0;
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return broken(r, wrong);
        if (token.wire != MOR_PROTO_WIRE_LENGTH)
            continue;
        if (token.number == FILE_MESSAGE)
            MOR_TRY(read_message(r, NULL, inside(&token), 1));
        else if (token.number == FILE_ENUM)
            MOR_TRY(read_enum(r, NULL, inside(&token)));
    }
    return MOR_OK;
}

static enum mor_status count_size(const struct reading *r, size_t size_bytes)
{
    r->set->text_size_bytes += size_bytes;
    return r->set->text_size_bytes <= MOR_PROTO_TEXT_SIZE_MAX ? MOR_OK
                                                              : broken(r, "more than 1 MiB");
}

enum mor_status mor_proto_add_descriptor(struct mor_proto_set *set, const char *file_name,
                                         const void *bytes, size_t size_bytes,
                                         struct mor_error *err)
{
    struct reading r = {.set = set, .err = err};
    struct mor_proto_input in = {bytes, (const uint8_t *)bytes + size_bytes};
    MOR_TRY(count_size(&r, size_bytes));
    return read_file(&r, in, file_name);
}

enum mor_status mor_proto_add_descriptors(struct mor_proto_set *set, const void *bytes,
                                          size_t size_bytes, struct mor_error *err)
{
    struct reading r = {.set = set, .err = err};
    struct mor_proto_input in = {bytes, (const uint8_t *)bytes + size_bytes};
    struct mor_proto_token token;
    const char *wrong;
    MOR_TRY(count_size(&r, size_bytes));
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return broken(&r, wrong);
        if (token.number == SET_FILE && token.wire == MOR_PROTO_WIRE_LENGTH)
            MOR_TRY(read_file(&r, inside(&token), NULL));
    }
    return MOR_OK;
}
