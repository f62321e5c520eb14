#include "moraine/avro/value.h"

#include "avro_read.h"

struct building {
    struct mor_avro_input in;
    struct mor_arena *arena;
};

static const char *build(struct building *b, const struct mor_avro_node *node,
                         struct mor_avro_value *value, int depth);

static const char *build_bytes(struct building *b, const struct mor_avro_node *node,
                               struct mor_avro_value *value)
{
    const uint8_t *bytes = NULL;
    size_t size = node->fixed_size_bytes;
    const char *wrong = node->kind == MOR_AVRO_FIXED ? mor_avro_get_fixed(&b->in, size, &bytes)
                                                     : mor_avro_get_bytes(&b->in, &bytes, &size);
    if (wrong)
        return wrong;
    value->kind = MOR_AVRO_VALUE_BYTES;
    if (node->kind == MOR_AVRO_STRING) {
        if (!mor_avro_utf8_valid(bytes, size))
            return "a string is not UTF-8";
        value->kind = MOR_AVRO_VALUE_STRING;
        bytes = (const uint8_t *)mor_arena_strndup(b->arena, (const char *)bytes, size);
    }
    value->as.blob.bytes = bytes;
    value->as.blob.size_bytes = size;
    return NULL;
}

static const char *build_float(struct building *b, bool is_double, struct mor_avro_value *value)
{
    const uint8_t *bytes = NULL;
    const char *wrong = mor_avro_get_fixed(&b->in, is_double ? 8 : 4, &bytes);
    if (wrong)
        return wrong;
    float narrow = 0;
    if (is_double)
        memcpy(&value->as.floating, bytes, 8);
    else
        memcpy(&narrow, bytes, 4);
    if (!is_double)
        value->as.floating = (double)narrow;
    value->kind = is_double ? MOR_AVRO_VALUE_DOUBLE : MOR_AVRO_VALUE_FLOAT;
    return NULL;
}

static const char *build_record(struct building *b, const struct mor_avro_node *node,
                                struct mor_avro_value *value, int depth)
{
    value->kind = MOR_AVRO_VALUE_RECORD;
    value->as.list.count = node->member_count;
    value->as.list.items =
        mor_arena_calloc(b->arena, node->member_count + 1, sizeof *value->as.list.items);
    for (size_t i = 0; i < node->member_count; i++) {
        struct mor_avro_value *item = &value->as.list.items[i];
        const char *wrong = build(b, node->members[i].node, item, depth + 1);
        if (wrong)
            return wrong;
        item->field_id = node->members[i].field_id;
        item->name = node->members[i].name;
    }
    return NULL;
}

static const char *build_pair(struct building *b, const struct mor_avro_node *node,
                              struct mor_avro_value *pair, int depth)
{
    static const struct mor_avro_node text = {.kind = MOR_AVRO_STRING};
    struct mor_avro_value *items = mor_arena_calloc(b->arena, 2, sizeof *items);
    const char *wrong = build_bytes(b, &text, &items[0]);
    if (!wrong)
        wrong = build(b, node, &items[1], depth + 1);
    items[0].name = "key";
    items[1].name = "value";
    items[0].field_id = items[1].field_id = -1;
    pair->kind = MOR_AVRO_VALUE_RECORD;
    pair->as.list.items = items;
    pair->as.list.count = 2;
    return wrong;
}

// Room for `more` items behind the `count` that are there.
static struct mor_avro_value *grow(struct building *b, const struct mor_avro_value *items,
                                   size_t count, size_t more)
{
    struct mor_avro_value *grown = mor_arena_calloc(b->arena, count + more, sizeof *grown);
    if (count > 0)
        memcpy(grown, items, count * sizeof *grown);
    return grown;
}

static const char *build_items(struct building *b, const struct mor_avro_node *node,
                               struct mor_avro_value *value, int depth)
{
    const struct mor_avro_node *item = node->members[0].node;
    bool is_map = node->kind == MOR_AVRO_MAP;
    size_t item_size_min = item->size_min_bytes + (is_map ? 1 : 0);
    size_t empty_left = MOR_AVRO_EMPTY_ELEMENTS_MAX, count = 0, more = 0;
    struct mor_avro_value *items = NULL;
    do {
        const char *wrong = mor_avro_get_block(&b->in, item_size_min, &empty_left, &more);
        if (wrong)
            return wrong;
        if (more > 0)
            items = grow(b, items, count, more);
        for (size_t i = 0; i < more; i++, count++) {
            wrong = is_map ? build_pair(b, item, &items[count], depth)
                           : build(b, item, &items[count], depth + 1);
            if (wrong)
                return wrong;
            items[count].field_id = -1;
        }
    } while (more > 0);
    value->kind = MOR_AVRO_VALUE_ARRAY;
    value->as.list.items = items;
    value->as.list.count = count;
    return NULL;
}

static const char *build_union(struct building *b, const struct mor_avro_node *node,
                               struct mor_avro_value *value, int depth)
{
    int64_t branch = 0;
    const char *wrong = mor_avro_get_long(&b->in, &branch);
    if (wrong)
        return wrong;
    if (branch < 0 || (uint64_t)branch >= node->member_count)
        return "a union branch does not exist";
    return build(b, node->members[branch].node, value, depth + 1);
}

static const char *build_number(struct building *b, const struct mor_avro_node *node,
                                struct mor_avro_value *value)
{
    int32_t narrow = 0;
    value->kind = node->kind == MOR_AVRO_LONG ? MOR_AVRO_VALUE_LONG : MOR_AVRO_VALUE_INT;
    if (node->kind == MOR_AVRO_LONG)
        return mor_avro_get_long(&b->in, &value->as.number);
    const char *wrong = mor_avro_get_int(&b->in, &narrow);
    value->as.number = narrow;
    return wrong;
}

static const char *build(struct building *b, const struct mor_avro_node *node,
                         struct mor_avro_value *value, int depth)
{
    const uint8_t *byte = NULL;
    const char *wrong;
    if (depth > MOR_AVRO_DATUM_DEPTH_MAX)
        return "values are nested too deep";
    value->field_id = -1;
    switch (node->kind) {
    case MOR_AVRO_NULL:
        value->kind = MOR_AVRO_VALUE_NULL;
        return NULL;
    case MOR_AVRO_BOOLEAN:
        wrong = mor_avro_get_fixed(&b->in, 1, &byte);
        value->kind = MOR_AVRO_VALUE_BOOLEAN;
        value->as.boolean = !wrong && *byte != 0;
        return wrong;
    case MOR_AVRO_FLOAT:
    case MOR_AVRO_DOUBLE:
        return build_float(b, node->kind == MOR_AVRO_DOUBLE, value);
    case MOR_AVRO_BYTES:
    case MOR_AVRO_STRING:
    case MOR_AVRO_FIXED:
        return build_bytes(b, node, value);
    case MOR_AVRO_RECORD:
        return build_record(b, node, value, depth);
    case MOR_AVRO_ARRAY:
    case MOR_AVRO_MAP:
        return build_items(b, node, value, depth);
    case MOR_AVRO_UNION:
        return build_union(b, node, value, depth);
    default:
        return build_number(b, node, value);
    }
}

enum mor_status mor_avro_value_read(const struct mor_avro_schema *schema, const uint8_t *datum,
                                    size_t size_bytes, struct mor_arena *arena,
                                    struct mor_avro_value *ret_value, struct mor_error *err)
{
    struct building b = {.in = {.at = datum, .end = datum + size_bytes}, .arena = arena};
    struct mor_avro_value value = {0};
    const char *wrong = build(&b, schema->root, &value, 0);
    if (!wrong && b.in.at != b.in.end)
        wrong = "bytes are left after the datum";
    if (wrong)
        return mor_error_set(err, MOR_DATA, "Avro datum, byte %zu: %s", (size_t)(b.in.at - datum),
                             wrong);
    *ret_value = value;
    return MOR_OK;
}

const struct mor_avro_value *mor_avro_value_field(const struct mor_avro_value *record,
                                                  int32_t field_id, const char *name)
{
    if (record->kind != MOR_AVRO_VALUE_RECORD)
        return NULL;
    const struct mor_avro_value *named = NULL;
    for (size_t i = 0; i < record->as.list.count; i++) {
        const struct mor_avro_value *item = &record->as.list.items[i];
        if (item->field_id == field_id)
            return item;
        if (!named && item->field_id < 0 && name && strcmp(item->name, name) == 0)
            named = item;
    }
    return named;
}
