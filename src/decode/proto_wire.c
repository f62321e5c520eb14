#include "proto_wire.h"

#define GROUP_DEPTH_MAX 32

const char *mor_proto_tag(struct mor_proto_input *in, int32_t *ret_number,
                          enum mor_proto_wire *ret_wire)
{
    uint64_t tag = 0;
    const char *wrong = mor_proto_varint(in, &tag);
    if (wrong)
        return wrong;
    if (tag >> 3 == 0 || tag > UINT32_MAX || (tag & 7) > MOR_PROTO_WIRE_32)
        return "a field has an impossible tag";
    *ret_number = (int32_t)(tag >> 3);
    *ret_wire = (enum mor_proto_wire)(tag & 7);
    return NULL;
}

// Moves to the end tag of group `number`; *ret_end is where its content ends.
static const char *skip_group(struct mor_proto_input *in, int32_t number, const uint8_t **ret_end)
{
    int32_t open[GROUP_DEPTH_MAX], inner;
    size_t depth = 1;
    enum mor_proto_wire wire;
    struct mor_proto_token token;
    const char *wrong;
    open[0] = number;
    for (;;) {
        *ret_end = in->at;
        if ((wrong = mor_proto_tag(in, &inner, &wire)))
            return wrong;
        if (wire == MOR_PROTO_WIRE_GROUP) {
            if (depth == GROUP_DEPTH_MAX)
                return "groups are nested too deeply";
            open[depth++] = inner;
        } else if (wire == MOR_PROTO_WIRE_GROUP_END) {
            if (inner != open[--depth])
                return "a group ends that did not begin";
            if (depth == 0)
                return NULL;
        } else if ((wrong = mor_proto_content(in, inner, wire, &token))) {
            return wrong;
        }
    }
}

const char *mor_proto_content(struct mor_proto_input *in, int32_t number, enum mor_proto_wire wire,
                              struct mor_proto_token *ret_token)
{
    const char *wrong;
    const uint8_t *end;
    uint32_t narrow = 0;
    *ret_token = (struct mor_proto_token){.number = number, .wire = wire};
    switch (wire) {
    case MOR_PROTO_WIRE_VARINT:
        return mor_proto_varint(in, &ret_token->value);
    case MOR_PROTO_WIRE_64:
        return mor_proto_fixed(in, 8, &ret_token->value);
    case MOR_PROTO_WIRE_LENGTH:
        return mor_proto_bytes(in, &ret_token->bytes, &ret_token->size_bytes);
    case MOR_PROTO_WIRE_32:
        wrong = mor_proto_fixed(in, 4, &narrow);
        ret_token->value = narrow;
        return wrong;
    case MOR_PROTO_WIRE_GROUP:
        ret_token->bytes = in->at;
        wrong = skip_group(in, number, &end);
        if (!wrong)
            ret_token->size_bytes = (size_t)(end - ret_token->bytes);
        return wrong;
    case MOR_PROTO_WIRE_GROUP_END:
        break;
    }
    return "a group ends that did not begin";
}

const char *mor_proto_next(struct mor_proto_input *in, struct mor_proto_token *ret_token)
{
    int32_t number;
    enum mor_proto_wire wire;
    const char *wrong = mor_proto_tag(in, &number, &wire);
    return wrong ? wrong : mor_proto_content(in, number, wire, ret_token);
}
