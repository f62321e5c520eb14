// google.protobuf.Struct, Value and ListValue as JSON text.
#include <math.h>
#include <stdio.h>

#include "moraine/avro.h"
#include "proto_plan.h"
#include "proto_wire.h"

#define DEPTH_MAX 64

enum {
    VALUE_NULL = 1,
    VALUE_NUMBER = 2,
    VALUE_STRING = 3,
    VALUE_BOOL = 4,
    VALUE_STRUCT = 5,
    VALUE_LIST = 6,
};

static const char *put_value(struct mor_proto_input in, struct mor_buffer *json, int depth);

static const char *put_text(const struct mor_proto_token *token, struct mor_buffer *json)
{
    if (!mor_avro_utf8_valid(token->bytes, token->size_bytes))
        return "a string is not valid UTF-8";
    mor_avro_put_json_string(json, (const char *)token->bytes, token->size_bytes);
    return NULL;
}

// The shortest text that reads back as the same number; JSON has no other numbers than finite ones.
static const char *put_number(uint64_t bits, struct mor_buffer *json)
{
    double number;
    char text[40];
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number))
        return "a number of a Value is not finite";
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*g", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    mor_buffer_append_text(json, text);
    return NULL;
}

static struct mor_proto_input inside(const struct mor_proto_token *token)
{
    return (struct mor_proto_input){token->bytes, token->bytes + token->size_bytes};
}

static const char *put_struct(struct mor_proto_input in, struct mor_buffer *json, int depth)
{
    struct mor_proto_token field, token;
    const char *wrong, *separator = "{";
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &field)))
            return wrong;
        if (field.number != 1 || field.wire != MOR_PROTO_WIRE_LENGTH)
            continue;
        struct mor_proto_token key = {.bytes = (const uint8_t *)""};
        struct mor_proto_input entry = inside(&field), value = {entry.end, entry.end};
        while (entry.at < entry.end) {
            if ((wrong = mor_proto_next(&entry, &token)))
                return wrong;
            if (token.number == 1 && token.wire == MOR_PROTO_WIRE_LENGTH)
                key = token;
            if (token.number == 2 && token.wire == MOR_PROTO_WIRE_LENGTH)
                value = inside(&token);
        }
        mor_buffer_append_text(json, separator);
        separator = ",";
        if ((wrong = put_text(&key, json)))
            return wrong;
        mor_buffer_append_u8(json, ':');
        if ((wrong = put_value(value, json, depth + 1)))
            return wrong;
    }
    mor_buffer_append_text(json, *separator == '{' ? "{}" : "}");
    return NULL;
}

static const char *put_list(struct mor_proto_input in, struct mor_buffer *json, int depth)
{
    struct mor_proto_token token;
    const char *wrong, *separator = "";
    mor_buffer_append_u8(json, '[');
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return wrong;
        if (token.number != 1 || token.wire != MOR_PROTO_WIRE_LENGTH)
            continue;
        mor_buffer_append_text(json, separator);
        separator = ",";
        if ((wrong = put_value(inside(&token), json, depth + 1)))
            return wrong;
    }
    mor_buffer_append_u8(json, ']');
    return NULL;
}

// The last member counts; none is null.
static const char *put_value(struct mor_proto_input in, struct mor_buffer *json, int depth)
{
    struct mor_proto_token token, last = {.number = VALUE_NULL};
    const char *wrong;
    if (depth > DEPTH_MAX)
        return "values are nested too deeply";
    while (in.at < in.end) {
        if ((wrong = mor_proto_next(&in, &token)))
            return wrong;
        if (token.number >= VALUE_NULL && token.number <= VALUE_LIST)
            last = token;
    }
    bool is_bytes = last.wire == MOR_PROTO_WIRE_LENGTH;
    if (last.number == VALUE_NUMBER && last.wire == MOR_PROTO_WIRE_64)
        return put_number(last.value, json);
    if (last.number == VALUE_STRING && is_bytes)
        return put_text(&last, json);
    if (last.number == VALUE_STRUCT && is_bytes)
        return put_struct(inside(&last), json, depth);
    if (last.number == VALUE_LIST && is_bytes)
        return put_list(inside(&last), json, depth);
    bool truth = last.number == VALUE_BOOL;
    mor_buffer_append_text(json, !truth ? "null" : last.value ? "true" : "false");
    return NULL;
}

const char *mor_proto_put_json(enum mor_proto_known known, const uint8_t *bytes, size_t size_bytes,
                               struct mor_buffer *ret_json)
{
    struct mor_proto_input in = {bytes, bytes + size_bytes};
    if (known == MOR_PROTO_STRUCT)
        return put_struct(in, ret_json, 0);
    return known == MOR_PROTO_LIST ? put_list(in, ret_json, 0) : put_value(in, ret_json, 0);
}
