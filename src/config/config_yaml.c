#include "config_yaml.h"

#include <yaml.h>

#include "moraine/base/map.h"

struct builder {
    struct mor_config_loader *loader;
    yaml_parser_t parser;
    const char *text;
    size_t length;
    size_t node_count;
    bool failed;
};

static struct mor_place place_of(yaml_mark_t mark)
{
    return (struct mor_place){(int64_t)mark.line + 1, (int64_t)mark.column + 1};
}

static void fail(struct builder *builder, yaml_mark_t mark, const char *message)
{
    mor_config_error(builder->loader, place_of(mark), "%s", message);
    builder->failed = true;
}

// libyaml's own errors, with a word on the one that everybody makes.
static void fail_syntax(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML";
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR) {
        mor_config_error(builder->loader, (struct mor_place){0}, "%s at byte %zu", problem,
                         parser->problem_offset);
    } else if (mark.index < builder->length && builder->text[mark.index] == '\t') {
        fail(builder, mark, "a tab cannot indent YAML; use blanks");
    } else if (parser->context) {
        mor_config_error(builder->loader, place_of(mark), "%s, %s", problem, parser->context);
    } else {
        fail(builder, mark, problem);
    }
    builder->failed = true;
}

static bool next_event(struct builder *builder, yaml_event_t *event)
{
    if (builder->failed)
        return false;
    if (!yaml_parser_parse(&builder->parser, event)) {
        fail_syntax(builder);
        return false;
    }
    return true;
}

static struct mor_yaml_node *new_node(struct builder *builder, const yaml_event_t *event,
                                      enum mor_yaml_kind kind)
{
    if (++builder->node_count > MOR_YAML_NODES_MAX) {
        fail(builder, event->start_mark, "too many values in one file");
        return NULL;
    }
    struct mor_yaml_node *node = mor_arena_calloc(&builder->loader->memory->arena, 1, sizeof *node);
    node->kind = kind;
    node->place = place_of(event->start_mark);
    return node;
}

static struct mor_yaml_node *read_scalar(struct builder *builder, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (event->data.scalar.anchor) {
        fail(builder, event->start_mark, "anchors and aliases are not supported");
        return NULL;
    }
    if (event->data.scalar.tag) {
        fail(builder, event->start_mark, "tags are not supported");
        return NULL;
    }
    if (strlen(text) != length) {
        fail(builder, event->start_mark, "a zero byte inside a value");
        return NULL;
    }
    struct mor_yaml_node *node = new_node(builder, event, MOR_YAML_SCALAR);
    if (!node)
        return NULL;
    node->text = mor_arena_strndup(&builder->loader->memory->arena, text, length);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct mor_yaml_node *read_node(struct builder *builder, yaml_event_t *event, int depth);

static void read_sequence(struct builder *builder, struct mor_yaml_node *node, int depth)
{
    struct mor_yaml_node **tail = &node->first;
    yaml_event_t event;
    while (next_event(builder, &event)) {
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct mor_yaml_node *child = end ? NULL : read_node(builder, &event, depth + 1);
        yaml_event_delete(&event);
        if (end)
            return;
        if (child) {
            *tail = child;
            tail = &child->next;
        }
    }
}

// One key of a mapping into *ret_key. False at the end of the mapping.
static bool read_key(struct builder *builder, struct mor_yaml_node **ret_key)
{
    yaml_event_t event;
    *ret_key = NULL;
    if (!next_event(builder, &event))
        return false;
    bool more = event.type != YAML_MAPPING_END_EVENT;
    if (event.type == YAML_SCALAR_EVENT)
        *ret_key = read_scalar(builder, &event);
    else if (more)
        fail(builder, event.start_mark, "a key must be plain text");
    if (*ret_key && strcmp((*ret_key)->text, "<<") == 0)
        fail(builder, event.start_mark, "merge keys are not supported");
    yaml_event_delete(&event);
    return more && !builder->failed;
}

static void read_mapping(struct builder *builder, struct mor_yaml_node *node, int depth)
{
    struct mor_map seen = {0};
    struct mor_yaml_node **tail = &node->first;
    struct mor_yaml_node *key;
    yaml_event_t event;
    while (read_key(builder, &key) && next_event(builder, &event)) {
        struct mor_yaml_node *child = read_node(builder, &event, depth + 1);
        yaml_event_delete(&event);
        if (!child)
            break;
        bool added;
        struct mor_map_entry *entry = mor_map_put_text(&seen, key->text, &added);
        if (!added) {
            mor_config_error(builder->loader, key->place, "duplicate key '%s', first in line %lld",
                             key->text, (long long)entry->value.number);
            continue;
        }
        entry->value.number = key->place.line;
        child->key = key->text;
        child->key_place = key->place;
        *tail = child;
        tail = &child->next;
    }
    mor_map_done(&seen);
}

static struct mor_yaml_node *read_node(struct builder *builder, yaml_event_t *event, int depth)
{
    struct mor_yaml_node *node = NULL;
    if (depth > MOR_YAML_DEPTH_MAX) {
        fail(builder, event->start_mark, "nested too deeply");
    } else if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(builder, event);
    } else if (event->type == YAML_SEQUENCE_START_EVENT ||
               event->type == YAML_MAPPING_START_EVENT) {
        bool mapping = event->type == YAML_MAPPING_START_EVENT;
        const void *anchor =
            mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
        const void *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
        if (anchor || tag) {
            fail(builder, event->start_mark,
                 anchor ? "anchors and aliases are not supported" : "tags are not supported");
            return NULL;
        }
        node = new_node(builder, event, mapping ? MOR_YAML_MAPPING : MOR_YAML_SEQUENCE);
        if (node && mapping)
            read_mapping(builder, node, depth);
        else if (node)
            read_sequence(builder, node, depth);
    } else {
        fail(builder, event->start_mark, "anchors and aliases are not supported");
    }
    return builder->failed ? NULL : node;
}

static struct mor_yaml_node *read_document(struct builder *builder)
{
    struct mor_yaml_node *root = NULL;
    yaml_event_t event;
    bool done = false;
    while (!done && next_event(builder, &event)) {
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            done = true;
            break;
        default:
            if (root)
                fail(builder, event.start_mark, "a second document in one file");
            else
                root = read_node(builder, &event, 1);
        }
        yaml_event_delete(&event);
    }
    return builder->failed ? NULL : root;
}

struct mor_yaml_node *mor_yaml_parse(struct mor_config_loader *loader, const char *text,
                                     size_t length)
{
    struct builder builder = {.loader = loader, .text = text, .length = length};
    if (!yaml_parser_initialize(&builder.parser)) {
        mor_config_error(loader, (struct mor_place){0}, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, length);
    struct mor_yaml_node *root = read_document(&builder);
    yaml_parser_delete(&builder.parser);
    if (builder.failed)
        return NULL;
    if (!root || root->kind != MOR_YAML_MAPPING) {
        mor_config_error(loader, root ? root->place : (struct mor_place){1, 1},
                         "expected a mapping, found %s",
                         root ? mor_yaml_describe(root) : "nothing");
        return NULL;
    }
    return root;
}

const char *mor_yaml_describe(const struct mor_yaml_node *node)
{
    if (node->kind == MOR_YAML_MAPPING)
        return "a mapping";
    if (node->kind == MOR_YAML_SEQUENCE)
        return "a list";
    return node->text[0] == '\0' && !node->quoted ? "nothing" : "text";
}

struct mor_yaml_node *mor_yaml_child(const struct mor_yaml_node *node, const char *key)
{
    if (node->kind != MOR_YAML_MAPPING)
        return NULL;
    for (struct mor_yaml_node *child = node->first; child; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}
