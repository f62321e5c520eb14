// Reading without storing: block headers and the skipping of values.
#include "avro_read.h"

const char *mor_avro_get_block(struct mor_avro_input *in, size_t item_size_min, size_t *empty_left,
                               size_t *ret_count)
{
    int64_t count = 0, block_size = -1;
    const char *wrong = mor_avro_get_long(in, &count);
    if (wrong)
        return wrong;
    if (count < 0) { // then the size of the block in bytes follows
        if (count == INT64_MIN)
            return "an item count is out of range";
        count = -count;
        wrong = mor_avro_get_long(in, &block_size);
        if (wrong)
            return wrong;
        if (block_size < 0 || (uint64_t)block_size > mor_avro_left(in))
            return "a block is longer than the data";
    }
    if (item_size_min > 0) {
        if ((uint64_t)count > mor_avro_left(in) / item_size_min)
            return "an item count is beyond the end of the data";
    } else {
        if ((uint64_t)count > *empty_left)
            return "an array has too many items without size";
        *empty_left -= (size_t)count;
    }
    *ret_count = (size_t)count;
    return NULL;
}

static const char *skip_bytes(struct mor_avro_input *in)
{
    const uint8_t *bytes;
    size_t size_bytes;
    return mor_avro_get_bytes(in, &bytes, &size_bytes);
}

static const char *skip_items(const struct mor_avro_node *node, struct mor_avro_input *in,
                              int depth)
{
    const struct mor_avro_node *item = node->members[0].node;
    bool is_map = node->kind == MOR_AVRO_MAP;
    size_t item_size_min = item->size_min_bytes + (is_map ? 1 : 0);
    size_t empty_left = MOR_AVRO_EMPTY_ELEMENTS_MAX;
    for (;;) {
        size_t count = 0;
        const char *wrong = mor_avro_get_block(in, item_size_min, &empty_left, &count);
        if (wrong || count == 0)
            return wrong;
        if (item->constant_size && !is_map) {
            in->at +=
                count * item->size_min_bytes; // get_block compared the product with what is left
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            wrong = is_map ? skip_bytes(in) : NULL;
            if (!wrong)
                wrong = mor_avro_skip(item, in, depth + 1);
            if (wrong)
                return wrong;
        }
    }
}

const char *mor_avro_skip(const struct mor_avro_node *node, struct mor_avro_input *in, int depth)
{
    while (node->kind == MOR_AVRO_UNION) {
        int64_t branch = 0;
        const char *wrong = mor_avro_get_long(in, &branch);
        if (wrong)
            return wrong;
        if (branch < 0 || (uint64_t)branch >= node->member_count)
            return "a union branch does not exist";
        node = node->members[branch].node;
        depth++;
    }
    if (node->constant_size) {
        if (node->size_min_bytes > mor_avro_left(in))
            return "the data end inside a value";
        in->at += node->size_min_bytes;
        return NULL;
    }
    if (depth > MOR_AVRO_DATUM_DEPTH_MAX)
        return "values are nested too deep";
    int64_t number;
    switch (node->kind) {
    case MOR_AVRO_BYTES:
    case MOR_AVRO_STRING:
        return skip_bytes(in);
    case MOR_AVRO_RECORD:
        for (size_t i = 0; i < node->member_count; i++) {
            const char *wrong = mor_avro_skip(node->members[i].node, in, depth + 1);
            if (wrong)
                return wrong;
        }
        return NULL;
    case MOR_AVRO_ARRAY:
    case MOR_AVRO_MAP:
        return skip_items(node, in, depth);
    default:
        return mor_avro_get_long(in, &number);
    }
}
