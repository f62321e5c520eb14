// Protobuf's wire format (protobuf.dev, "Encoding"): bounded reading of tags and values.
#ifndef MORAINE_PROTO_WIRE_H
#define MORAINE_PROTO_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum mor_proto_wire {
    MOR_PROTO_WIRE_VARINT = 0,
    MOR_PROTO_WIRE_64 = 1,
    MOR_PROTO_WIRE_LENGTH = 2,
    MOR_PROTO_WIRE_GROUP = 3,
    MOR_PROTO_WIRE_GROUP_END = 4,
    MOR_PROTO_WIRE_32 = 5,
};

// What is left of a message. No function here moves `at` past `end`; each returns NULL or what is
// wrong.
struct mor_proto_input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline const char *mor_proto_varint(struct mor_proto_input *in, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (in->at < in->end && *in->at < 0x80) {
        *ret_value = *in->at++;
        return NULL;
    }
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (in->at == in->end)
            return "the data end inside a number";
        uint64_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            return "a number has more than 64 bits";
        value |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return NULL;
        }
    }
    return "a number has more than 10 bytes";
}

// Length-prefixed bytes, borrowed from the input.
static inline const char *mor_proto_bytes(struct mor_proto_input *in, const uint8_t **ret_bytes,
                                          size_t *ret_size)
{
    uint64_t size = 0;
    const char *wrong = mor_proto_varint(in, &size);
    if (wrong)
        return wrong;
    if (size > (uint64_t)(in->end - in->at))
        return "a length is beyond the end of the data";
    *ret_bytes = in->at;
    *ret_size = (size_t)size;
    in->at += size;
    return NULL;
}

static inline const char *mor_proto_fixed(struct mor_proto_input *in, size_t size, void *ret_value)
{
    if ((size_t)(in->end - in->at) < size)
        return "the data end inside a value";
    memcpy(ret_value, in->at, size);
    in->at += size;
    return NULL;
}

// One field, whatever it is.
struct mor_proto_token {
    int32_t number;
    enum mor_proto_wire wire;
    uint64_t value;       // VARINT, 64, 32
    const uint8_t *bytes; // LENGTH; GROUP: what is between its tags
    size_t size_bytes;
};

// Reads a tag. A number of 0 or an unknown wire type is wrong.
const char *mor_proto_tag(struct mor_proto_input *in, int32_t *ret_number,
                          enum mor_proto_wire *ret_wire);
// Reads what stands behind a tag.
const char *mor_proto_content(struct mor_proto_input *in, int32_t number, enum mor_proto_wire wire,
                              struct mor_proto_token *ret_token);
const char *mor_proto_next(struct mor_proto_input *in, struct mor_proto_token *ret_token);

#endif
