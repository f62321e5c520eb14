// Fields that were renamed: the names that an older table has for them.
#include "avro_schema.h"
#include "avro_text.h"

static struct mor_field *find_child(const struct mor_field *parent, const char *name)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (strcmp(parent->children[i].name, name) == 0)
            return &parent->children[i];
    }
    return NULL;
}

static const struct mor_avro_member *find_member(const struct mor_avro_node *node, const char *name)
{
    for (size_t i = 0; node && i < node->member_count; i++) {
        if (strcmp(node->members[i].name, name) == 0)
            return &node->members[i];
    }
    return NULL;
}

// Where one record, its columns and those of the table stand.
struct place {
    const struct mor_avro_node *node, *reader; // reader NULL = not known
    const struct mor_field *have;
    struct mor_field *columns;
    struct mor_schema *schema; // owns the columns' names
};

static void keep_in_record(const struct place *place);

// The table's field that one of the aliases names, unless another field has that name or took it.
static const struct mor_field *find_alias(const struct place *place,
                                          const struct mor_avro_member *member)
{
    for (size_t i = 0; member && i < member->alias_count; i++) {
        const struct mor_field *found = find_child(place->have, member->aliases[i]);
        if (found && !find_child(place->columns, found->name))
            return found;
    }
    return NULL;
}

static void keep_in_value(const struct place *around, const struct mor_avro_node *node,
                          const struct mor_avro_node *reader, const struct mor_field *have,
                          struct mor_field *column)
{
    (void)mor_avro_nullable(&node);
    if (reader)
        (void)mor_avro_nullable(&reader);
    reader = reader && reader->kind == node->kind ? reader : NULL;
    if (have->type != column->type)
        return;
    struct place inside = {node, reader, have, column, around->schema};
    bool items = (node->kind == MOR_AVRO_ARRAY && column->type == MOR_TYPE_LIST) ||
                 (node->kind == MOR_AVRO_MAP && column->type == MOR_TYPE_MAP);
    if (node->kind == MOR_AVRO_RECORD && column->type == MOR_TYPE_STRUCT) {
        keep_in_record(&inside);
    } else if (items) {
        size_t last = column->child_count - 1;
        keep_in_value(around, node->members[0].node, reader ? reader->members[0].node : NULL,
                      &have->children[last], &column->children[last]);
    }
}

static void keep_in_record(const struct place *place)
{
    for (size_t i = 0; i < place->node->member_count && i < place->columns->child_count; i++) {
        const struct mor_avro_member *member = &place->node->members[i];
        const struct mor_avro_member *known = find_member(place->reader, member->name);
        struct mor_field *column = &place->columns->children[i];
        const struct mor_field *have = find_child(place->have, member->name);
        if (!have) {
            have = find_alias(place, member);
            have = have ? have : find_alias(place, known);
            if (have)
                column->name = mor_arena_strdup(&place->schema->arena, have->name);
        }
        if (have)
            keep_in_value(place, member->node, known ? known->node : NULL, have, column);
    }
}

void mor_avro_keep_names(const struct mor_avro_schema *schema, const struct mor_avro_schema *reader,
                         const struct mor_schema *have, struct mor_schema *columns)
{
    struct place place = {schema->root, reader ? reader->root : NULL, &have->root, &columns->root,
                          columns};
    if (schema->root->kind == MOR_AVRO_RECORD)
        keep_in_record(&place);
}
