// Control data: JSON text to a datum and back. Not for the data path.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "avro_read.h"
#include "avro_text.h"
#include "moraine/base/base64.h"

#define JSON_SIZE_MAX (256u << 20)

// ---- JSON to datum ------------------------------------------------------------------------------

static enum mor_status put_value(const struct mor_avro_node *node, const json_t *json,
                                 struct mor_buffer *datum, int depth, struct mor_error *err);

static enum mor_status wrong_kind(const struct mor_avro_node *node, struct mor_error *err)
{
    return mor_error_set(err, MOR_DATA, "the value is not of type %s",
                         node->full_name ? node->full_name : mor_avro_kind_name(node->kind));
}

static enum mor_status put_number(const struct mor_avro_node *node, const json_t *json,
                                  struct mor_buffer *datum, struct mor_error *err)
{
    if (node->kind == MOR_AVRO_INT || node->kind == MOR_AVRO_LONG) {
        if (!json_is_integer(json))
            return wrong_kind(node, err);
        json_int_t value = json_integer_value(json);
        if (node->kind == MOR_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
            return mor_error_set(err, MOR_DATA, "%" JSON_INTEGER_FORMAT " is out of range for int",
                                 value);
        mor_avro_put_long(datum, value);
        return MOR_OK;
    }
    if (!json_is_number(json))
        return wrong_kind(node, err);
    double value = json_number_value(json);
    float narrow = (float)value;
    if (node->kind == MOR_AVRO_FLOAT)
        mor_buffer_append(datum, &narrow, sizeof narrow);
    else
        mor_buffer_append(datum, &value, sizeof value);
    return MOR_OK;
}

static enum mor_status put_binary(const struct mor_avro_node *node, const json_t *json,
                                  struct mor_buffer *datum, struct mor_error *err)
{
    if (!json_is_string(json))
        return wrong_kind(node, err);
    MOR_AUTO_BUFFER bytes = {0};
    if (!mor_base64_decode(json_string_value(json), json_string_length(json), &bytes))
        return mor_error_set(err, MOR_DATA, "the text is not base64");
    if (node->kind == MOR_AVRO_BYTES) {
        mor_avro_put_bytes(datum, bytes.data, bytes.size_bytes);
        return MOR_OK;
    }
    if (bytes.size_bytes != node->fixed_size_bytes)
        return mor_error_set(err, MOR_DATA, "%zu bytes for a fixed of %u", bytes.size_bytes,
                             node->fixed_size_bytes);
    mor_buffer_append(datum, bytes.data, bytes.size_bytes);
    return MOR_OK;
}

static enum mor_status put_default(const struct mor_avro_member *field, struct mor_buffer *datum,
                                   int depth, struct mor_error *err)
{
    const struct mor_avro_node *inner = field->node;
    if (!field->default_) {
        if (!mor_avro_nullable(&inner))
            return mor_error_set(err, MOR_DATA, "field '%s' is missing and has no default",
                                 field->name);
        return put_value(field->node, NULL, datum, depth, err);
    }
    json_error_t json_error;
    json_t *value = json_loads(field->default_, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error);
    if (!value)
        return mor_error_set(err, MOR_DATA, "field '%s': unreadable default", field->name);
    enum mor_status status = put_value(field->node, value, datum, depth, err);
    json_decref(value);
    return status;
}

// A default of bytes or fixed is a text whose code points 0 to 255 are the bytes, other than
// everywhere else in this file.
static bool put_default_bytes(const struct mor_avro_node *node, const char *text, size_t size_bytes,
                              struct mor_buffer *datum)
{
    MOR_AUTO_BUFFER bytes = {0};
    const uint8_t *end = (const uint8_t *)text + size_bytes;
    for (const uint8_t *at = (const uint8_t *)text; at < end; at++) {
        bool two = (*at & 0xFE) == 0xC2; // code points 0x80 to 0xFF
        if (*at >= 0x80 && !two)
            return false;
        mor_buffer_append_u8(&bytes, (uint8_t)(two ? (at[0] << 6 | (at[1] & 0x3F)) & 0xFF : *at));
        at += two;
    }
    if (node->kind == MOR_AVRO_FIXED && bytes.size_bytes != node->fixed_size_bytes)
        return false;
    if (node->kind == MOR_AVRO_BYTES)
        mor_avro_put_long(datum, (int64_t)bytes.size_bytes);
    mor_buffer_append(datum, bytes.data, bytes.size_bytes);
    return true;
}

enum mor_status mor_avro_default_datum(const struct mor_avro_member *field,
                                       struct mor_buffer *ret_datum, struct mor_error *err)
{
    if (field->node->kind != MOR_AVRO_BYTES && field->node->kind != MOR_AVRO_FIXED)
        return put_default(field, ret_datum, 0, err);
    json_error_t json_error;
    json_t *value = json_loads(field->default_, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error);
    bool good = json_is_string(value) && put_default_bytes(field->node, json_string_value(value),
                                                           json_string_length(value), ret_datum);
    json_decref(value);
    return good ? MOR_OK : wrong_kind(field->node, err);
}

static enum mor_status put_record(const struct mor_avro_node *node, const json_t *json,
                                  struct mor_buffer *datum, int depth, struct mor_error *err)
{
    if (!json_is_object(json))
        return wrong_kind(node, err);
    size_t known = 0;
    for (size_t i = 0; i < node->member_count; i++) {
        const struct mor_avro_member *field = &node->members[i];
        const json_t *value = json_object_get(json, field->name);
        known += value != NULL;
        enum mor_status status = value ? put_value(field->node, value, datum, depth + 1, err)
                                       : put_default(field, datum, depth + 1, err);
        if (status != MOR_OK)
            return value ? mor_error_wrap(err, "field '%s'", field->name) : status;
    }
    if (known < json_object_size(json)) // a slip of the pen must not vanish
        return mor_error_set(err, MOR_DATA, "record '%s' lacks a field that the JSON object has",
                             node->full_name);
    return MOR_OK;
}

static enum mor_status put_enum(const struct mor_avro_node *node, const json_t *json,
                                struct mor_buffer *datum, struct mor_error *err)
{
    for (size_t i = 0; json_is_string(json) && i < node->member_count; i++) {
        if (strcmp(node->members[i].name, json_string_value(json)) == 0) {
            mor_avro_put_long(datum, (int64_t)i);
            return MOR_OK;
        }
    }
    return wrong_kind(node, err);
}

static enum mor_status put_array(const struct mor_avro_node *node, const json_t *json,
                                 struct mor_buffer *datum, int depth, struct mor_error *err)
{
    if (!json_is_array(json))
        return wrong_kind(node, err);
    size_t count = json_array_size(json);
    if (count > 0)
        mor_avro_put_long(datum, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        if (put_value(node->members[0].node, json_array_get(json, i), datum, depth + 1, err) !=
            MOR_OK)
            return mor_error_wrap(err, "[%zu]", i);
    }
    mor_buffer_append_u8(datum, 0);
    return MOR_OK;
}

static enum mor_status put_map(const struct mor_avro_node *node, const json_t *json,
                               struct mor_buffer *datum, int depth, struct mor_error *err)
{
    if (!json_is_object(json))
        return wrong_kind(node, err);
    if (json_object_size(json) > 0)
        mor_avro_put_long(datum, (int64_t)json_object_size(json));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        mor_avro_put_bytes(datum, key, strlen(key));
        if (put_value(node->members[0].node, value, datum, depth + 1, err) != MOR_OK)
            return mor_error_wrap(err, "[\"%.100s\"]", key);
    }
    mor_buffer_append_u8(datum, 0);
    return MOR_OK;
}

// The first branch that the value fits is taken; null fits only null. `json` NULL = null.
static enum mor_status put_union(const struct mor_avro_node *node, const json_t *json,
                                 struct mor_buffer *datum, int depth, struct mor_error *err)
{
    bool null = !json || json_is_null(json);
    size_t tried = 0;
    size_t size_before = datum->size_bytes;
    for (size_t i = 0; i < node->member_count; i++) {
        if ((node->members[i].node->kind == MOR_AVRO_NULL) != null)
            continue;
        tried++;
        mor_avro_put_long(datum, (int64_t)i);
        struct mor_error branch_error = MOR_ERROR_INIT;
        if (put_value(node->members[i].node, json, datum, depth + 1, &branch_error) == MOR_OK)
            return MOR_OK;
        datum->size_bytes = size_before;
        if (tried == 1)
            *err = branch_error; // with one candidate its reason says most
    }
    if (tried == 1)
        return err->status;
    return mor_error_set(err, MOR_DATA,
                         null ? "null is not a branch of the union"
                              : "the value fits no branch of the union");
}

static enum mor_status put_value(const struct mor_avro_node *node, const json_t *json,
                                 struct mor_buffer *datum, int depth, struct mor_error *err)
{
    if (depth > MOR_AVRO_DATUM_DEPTH_MAX)
        return mor_error_set(err, MOR_DATA, "values are nested too deep");
    switch (node->kind) {
    case MOR_AVRO_NULL:
        return !json || json_is_null(json) ? MOR_OK : wrong_kind(node, err);
    case MOR_AVRO_BOOLEAN:
        if (!json_is_boolean(json))
            return wrong_kind(node, err);
        mor_buffer_append_u8(datum, json_is_true(json));
        return MOR_OK;
    case MOR_AVRO_INT:
    case MOR_AVRO_LONG:
    case MOR_AVRO_FLOAT:
    case MOR_AVRO_DOUBLE:
        return put_number(node, json, datum, err);
    case MOR_AVRO_BYTES:
    case MOR_AVRO_FIXED:
        return put_binary(node, json, datum, err);
    case MOR_AVRO_STRING:
        if (!json_is_string(json))
            return wrong_kind(node, err);
        mor_avro_put_bytes(datum, json_string_value(json), json_string_length(json));
        return MOR_OK;
    case MOR_AVRO_RECORD:
        return put_record(node, json, datum, depth, err);
    case MOR_AVRO_ENUM:
        return put_enum(node, json, datum, err);
    case MOR_AVRO_ARRAY:
        return put_array(node, json, datum, depth, err);
    case MOR_AVRO_MAP:
        return put_map(node, json, datum, depth, err);
    case MOR_AVRO_UNION:
        return put_union(node, json, datum, depth, err);
    }
    return wrong_kind(node, err);
}

enum mor_status mor_avro_json_to_datum(const struct mor_avro_schema *schema, const char *json,
                                       size_t size_bytes, struct mor_buffer *ret_datum,
                                       struct mor_error *err)
{
    json_error_t json_error;
    json_t *value =
        json_loadb(json, size_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &json_error);
    if (!value)
        return mor_error_set(err, MOR_DATA, "not JSON: line %d, column %d: %s", json_error.line,
                             json_error.column, json_error.text);
    size_t size_before = ret_datum->size_bytes;
    enum mor_status status = put_value(schema->root, value, ret_datum, 0, err);
    json_decref(value);
    if (status != MOR_OK)
        ret_datum->size_bytes = size_before;
    return status;
}

// ---- datum to JSON ------------------------------------------------------------------------------

struct printer {
    struct mor_avro_input in;
    struct mor_buffer *json;
    size_t size_before;
    size_t empty_left;
};

static const char *print_value(struct printer *p, const struct mor_avro_node *node, int depth);

static const char *print_string(struct printer *p)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    const char *wrong = mor_avro_get_bytes(&p->in, &bytes, &size_bytes);
    if (wrong)
        return wrong;
    if (!mor_avro_utf8_valid(bytes, size_bytes))
        return "a string is not valid UTF-8";
    mor_avro_put_json_string(p->json, (const char *)bytes, size_bytes);
    return NULL;
}

static const char *print_binary(struct printer *p, const struct mor_avro_node *node)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = node->fixed_size_bytes;
    const char *wrong = node->kind == MOR_AVRO_FIXED
                            ? mor_avro_get_fixed(&p->in, size_bytes, &bytes)
                            : mor_avro_get_bytes(&p->in, &bytes, &size_bytes);
    if (wrong)
        return wrong;
    mor_buffer_append_u8(p->json, '"');
    mor_base64_encode(bytes, size_bytes, p->json);
    mor_buffer_append_u8(p->json, '"');
    return NULL;
}

static const char *print_integer(struct printer *p, const struct mor_avro_node *node)
{
    int64_t value = 0;
    const char *wrong = mor_avro_get_long(&p->in, &value);
    if (wrong)
        return wrong;
    if (node->kind == MOR_AVRO_ENUM) {
        if (value < 0 || (uint64_t)value >= node->member_count)
            return "an enum symbol does not exist";
        const char *symbol = node->members[value].name;
        mor_avro_put_json_string(p->json, symbol, strlen(symbol));
        return NULL;
    }
    if (node->kind == MOR_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        return "an int has more than 32 bits";
    mor_buffer_printf(p->json, "%" PRId64, value);
    return NULL;
}

static const char *print_real(struct printer *p, const struct mor_avro_node *node)
{
    const uint8_t *bytes = NULL;
    bool narrow = node->kind == MOR_AVRO_FLOAT;
    const char *wrong = mor_avro_get_fixed(&p->in, narrow ? 4 : 8, &bytes);
    if (wrong)
        return wrong;
    double value;
    float float_value;
    if (narrow) {
        memcpy(&float_value, bytes, sizeof float_value);
        value = (double)float_value;
    } else {
        memcpy(&value, bytes, sizeof value);
    }
    if (isfinite(value))
        mor_buffer_printf(p->json, "%.*g", narrow ? 9 : 17, value);
    else
        mor_buffer_append_text(p->json, isnan(value) ? "\"NaN\""
                                        : value > 0  ? "\"Infinity\""
                                                     : "\"-Infinity\"");
    return NULL;
}

static const char *print_record(struct printer *p, const struct mor_avro_node *node, int depth)
{
    mor_buffer_append_u8(p->json, '{');
    for (size_t i = 0; i < node->member_count; i++) {
        const struct mor_avro_member *field = &node->members[i];
        if (i > 0)
            mor_buffer_append_u8(p->json, ',');
        mor_avro_put_json_string(p->json, field->name, strlen(field->name));
        mor_buffer_append_u8(p->json, ':');
        const char *wrong = print_value(p, field->node, depth + 1);
        if (wrong)
            return wrong;
    }
    mor_buffer_append_u8(p->json, '}');
    return NULL;
}

static const char *print_item(struct printer *p, const struct mor_avro_node *node, int depth)
{
    if (node->kind == MOR_AVRO_MAP) {
        const char *wrong = print_string(p);
        if (wrong)
            return wrong;
        mor_buffer_append_u8(p->json, ':');
    }
    return print_value(p, node->members[0].node, depth + 1);
}

static const char *print_items(struct printer *p, const struct mor_avro_node *node, int depth)
{
    bool is_map = node->kind == MOR_AVRO_MAP;
    size_t item_size_min = node->members[0].node->size_min_bytes + (is_map ? 1 : 0);
    bool first = true;
    mor_buffer_append_u8(p->json, is_map ? '{' : '[');
    for (;;) {
        size_t count = 0;
        const char *wrong = mor_avro_get_block(&p->in, item_size_min, &p->empty_left, &count);
        if (wrong)
            return wrong;
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            if (!first)
                mor_buffer_append_u8(p->json, ',');
            first = false;
            wrong = print_item(p, node, depth);
            if (wrong)
                return wrong;
        }
    }
    mor_buffer_append_u8(p->json, is_map ? '}' : ']');
    return NULL;
}

static const char *print_union(struct printer *p, const struct mor_avro_node *node, int depth)
{
    int64_t branch = 0;
    const char *wrong = mor_avro_get_long(&p->in, &branch);
    if (wrong)
        return wrong;
    if (branch < 0 || (uint64_t)branch >= node->member_count)
        return "a union branch does not exist";
    return print_value(p, node->members[branch].node, depth + 1);
}

static const char *print_boolean(struct printer *p)
{
    const uint8_t *byte = NULL;
    const char *wrong = mor_avro_get_fixed(&p->in, 1, &byte);
    if (wrong)
        return wrong;
    if (*byte > 1)
        return "a boolean is neither 0 nor 1";
    mor_buffer_append_text(p->json, *byte ? "true" : "false");
    return NULL;
}

static const char *print_value(struct printer *p, const struct mor_avro_node *node, int depth)
{
    if (depth > MOR_AVRO_DATUM_DEPTH_MAX)
        return "values are nested too deep";
    if (p->json->size_bytes - p->size_before > JSON_SIZE_MAX)
        return "the JSON text gets too long";
    switch (node->kind) {
    case MOR_AVRO_NULL:
        mor_buffer_append_text(p->json, "null");
        return NULL;
    case MOR_AVRO_BOOLEAN:
        return print_boolean(p);
    case MOR_AVRO_INT:
    case MOR_AVRO_LONG:
    case MOR_AVRO_ENUM:
        return print_integer(p, node);
    case MOR_AVRO_FLOAT:
    case MOR_AVRO_DOUBLE:
        return print_real(p, node);
    case MOR_AVRO_BYTES:
    case MOR_AVRO_FIXED:
        return print_binary(p, node);
    case MOR_AVRO_STRING:
        return print_string(p);
    case MOR_AVRO_RECORD:
        return print_record(p, node, depth);
    case MOR_AVRO_ARRAY:
    case MOR_AVRO_MAP:
        return print_items(p, node, depth);
    case MOR_AVRO_UNION:
        return print_union(p, node, depth);
    }
    return "unknown type";
}

enum mor_status mor_avro_datum_to_json(const struct mor_avro_schema *schema, const uint8_t *bytes,
                                       size_t size_bytes, struct mor_buffer *ret_json,
                                       struct mor_error *err)
{
    struct printer p = {
        .in = {.at = bytes, .end = bytes + size_bytes},
        .json = ret_json,
        .size_before = ret_json->size_bytes,
        .empty_left = MOR_AVRO_EMPTY_ELEMENTS_MAX,
    };
    const char *wrong = print_value(&p, schema->root, 0);
    if (!wrong && p.in.at != p.in.end)
        wrong = "bytes are left after the datum";
    if (wrong) {
        ret_json->size_bytes = p.size_before;
        return mor_error_set(err, MOR_DATA, "byte %zu: %s", (size_t)(p.in.at - bytes), wrong);
    }
    mor_buffer_terminate(ret_json);
    return MOR_OK;
}
