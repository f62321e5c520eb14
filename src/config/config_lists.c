// Options whose value is a list of structures: librdkafka's properties, catalogs, columns.
#include <string.h>

#include "config_options.h"

#define FIELD_DEPTH_MAX 32
#define FIELD_COUNT_MAX 5000

static size_t child_count(const struct mor_yaml_node *node)
{
    size_t count = 0;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next)
        count++;
    return count;
}

// Reports the keys of `node` that are not in `names`.
static bool only_keys(struct mor_config_loader *loader, const struct mor_yaml_node *node,
                      const char *const *names, size_t count)
{
    bool good = true;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next) {
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known = known || strcmp(child->key, names[i]) == 0;
        if (known)
            continue;
        const char *nearest = mor_option_nearest(child->key, names, count);
        mor_config_error(loader, child->key_place,
                         nearest ? "unknown key '%s', did you mean '%s'?" : "unknown key '%s'",
                         child->key, nearest);
        good = false;
    }
    return good;
}

bool mor_option_parse_properties(struct mor_option_reading *reading, const struct mor_option *row,
                                 const struct mor_yaml_node *node)
{
    struct mor_config_loader *loader = reading->loader;
    struct mor_config_property *items = mor_arena_calloc(&loader->memory->arena, child_count(node),
                                                         sizeof(struct mor_config_property));
    size_t count = 0;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next) {
        bool secret = false;
        if (child->kind != MOR_YAML_SCALAR) {
            mor_config_error(loader, child->place, "'%s.%s' must be text, found %s", row->path,
                             child->key, mor_yaml_describe(child));
            continue;
        }
        const char *text = mor_config_substitute(loader, child->place, child->text, &secret);
        if (!text)
            continue;
        if (mor_config_secret_name(child->key)) {
            secret = true;
            mor_config_remember_secret(loader, text);
        }
        items[count++] =
            (struct mor_config_property){.name = child->key, .value = text, .secret = secret};
    }
    char *target = (char *)reading->target + row->offset;
    *(struct mor_config_property **)(void *)target = items;
    *(size_t *)(void *)(target + sizeof items) = count;
    return true;
}

static bool is_catalog_name(const char *name)
{
    for (const char *at = name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && *at != '_' && *at != '-')
            return false;
    }
    return *name != '\0' && strcmp(name, "file") != 0;
}

static void check_catalog(struct mor_config_loader *loader, const struct mor_option *row,
                          const struct mor_yaml_node *node, const struct mor_config_catalog *item)
{
    if (!is_catalog_name(item->name))
        mor_config_error(loader, node->place,
                         "'%s.%s': names of catalogs are made of letters, digits, '_' and '-'",
                         row->path, item->name);
    if (item->uri && strncmp(item->uri, "http://", 7) != 0 &&
        strncmp(item->uri, "https://", 8) != 0)
        mor_config_error(loader, mor_yaml_child(node, "uri")->place,
                         "'%s.%s.uri' must begin with http:// or https://", row->path, item->name);
    if (item->token && item->credential)
        mor_config_error(loader, mor_yaml_child(node, "credential")->place,
                         "'%s.%s' has either 'token' or 'credential'", row->path, item->name);
    const char *colon = item->credential ? strchr(item->credential, ':') : NULL;
    if (colon) // the whole is a secret by its name; the client sends the parts
        mor_config_remember_secret(loader, colon + 1);
    else if (item->credential)
        mor_config_error(loader, mor_yaml_child(node, "credential")->place,
                         "'%s.%s.credential' must have the form id:secret", row->path, item->name);
}

bool mor_option_parse_catalogs(struct mor_option_reading *reading, const struct mor_option *row,
                               const struct mor_yaml_node *node)
{
    static const char *const names[] = {"type",       "uri",   "warehouse",         "token",
                                        "credential", "scope", "oauth2_server_uri", "ca_location"};
    struct mor_config_loader *loader = reading->loader;
    struct mor_config_catalog *items = mor_arena_calloc(&loader->memory->arena, child_count(node),
                                                        sizeof(struct mor_config_catalog));
    size_t count = 0;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next) {
        if (child->kind != MOR_YAML_MAPPING) {
            mor_config_error(loader, child->place, "'%s.%s' must be a mapping, found %s", row->path,
                             child->key, mor_yaml_describe(child));
            continue;
        }
        (void)only_keys(loader, child, names, sizeof names / sizeof names[0]); // reported there
        struct mor_config_catalog *item = &items[count++];
        item->name = child->key;
        item->type = mor_option_child_text(loader, child, "type", true);
        item->uri = mor_option_child_text(loader, child, "uri", true);
        item->warehouse = mor_option_child_text(loader, child, "warehouse", false);
        item->token = mor_option_child_text(loader, child, "token", false);
        item->credential = mor_option_child_text(loader, child, "credential", false);
        item->scope = mor_option_child_text(loader, child, "scope", false);
        item->oauth2_server_uri = mor_option_child_text(loader, child, "oauth2_server_uri", false);
        item->ca_location = mor_option_child_text(loader, child, "ca_location", false);
        check_catalog(loader, row, child, item);
        if (item->type && strcmp(item->type, "rest") != 0)
            mor_config_error(loader, mor_yaml_child(child, "type")->place,
                             "'%s.%s.type' must be rest, found '%s'", row->path, child->key,
                             item->type);
    }
    char *target = (char *)reading->target + row->offset;
    *(struct mor_config_catalog **)(void *)target = items;
    *(size_t *)(void *)(target + sizeof items) = count;
    return true;
}

// ---- columns ------------------------------------------------------------------------------------

struct fields {
    struct mor_config_loader *loader;
    const char *path;
    size_t count; // over all levels
};

static bool read_fields(struct fields *fields, const struct mor_yaml_node *node, int depth,
                        struct mor_config_field **ret_fields, size_t *ret_count);

static bool read_nullable(struct mor_config_loader *loader, const struct mor_yaml_node *node,
                          bool *ret_nullable)
{
    const char *text = mor_option_child_text(loader, node, "nullable", false);
    *ret_nullable = true;
    if (!text)
        return !mor_yaml_child(node, "nullable");
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        mor_config_error(loader, mor_yaml_child(node, "nullable")->place,
                         "'nullable' must be true or false, found '%s'", text);
        return false;
    }
    *ret_nullable = text[0] == 't';
    return true;
}

// A struct names its columns under `fields`; so do "list<struct>" and "map<struct>" for their
// values.
static bool has_children(const char *type)
{
    return !type || strcmp(type, "struct") == 0 || strstr(type, "<struct>") != NULL;
}

static bool read_field(struct fields *fields, const struct mor_yaml_node *node, int depth,
                       struct mor_config_field *field)
{
    static const char *const names[] = {"name", "type", "nullable", "fields", "doc"};
    struct mor_config_loader *loader = fields->loader;
    if (node->kind != MOR_YAML_MAPPING) {
        mor_config_error(loader, node->place,
                         "a column is a mapping such as {name: id, type: long}, found %s",
                         mor_yaml_describe(node));
        return false;
    }
    const struct mor_yaml_node *children = mor_yaml_child(node, "fields");
    bool good = only_keys(loader, node, names, sizeof names / sizeof names[0]);
    field->name = mor_option_child_text(loader, node, "name", true);
    field->type = mor_option_child_text(loader, node, "type", !children);
    field->doc = mor_option_child_text(loader, node, "doc", false);
    field->line = node->place.line;
    field->column = node->place.column;
    good = read_nullable(loader, node, &field->nullable) && good && field->name &&
           (field->type || children);
    if (!good)
        return false;
    if (children && !has_children(field->type)) {
        mor_config_error(loader, children->place, "column '%s' of type '%s' cannot have fields",
                         field->name, field->type);
        return false;
    }
    if (!children && has_children(field->type)) {
        mor_config_error(loader, node->place, "column '%s' of type '%s' needs its fields",
                         field->name, field->type);
        return false;
    }
    if (field->type && strcmp(field->type, "struct") == 0)
        field->type = NULL;
    return !children ||
           read_fields(fields, children, depth + 1, &field->children, &field->child_count);
}

static bool read_fields(struct fields *fields, const struct mor_yaml_node *node, int depth,
                        struct mor_config_field **ret_fields, size_t *ret_count)
{
    struct mor_config_loader *loader = fields->loader;
    size_t count = child_count(node);
    fields->count += count;
    if (depth > FIELD_DEPTH_MAX || fields->count > FIELD_COUNT_MAX) {
        mor_config_error(loader, node->place,
                         "a schema has at most %d columns, nested at most %d deep", FIELD_COUNT_MAX,
                         FIELD_DEPTH_MAX);
        return false;
    }
    if (node->kind != MOR_YAML_SEQUENCE || count == 0) {
        mor_config_error(loader, node->place, "'%s' must be a list of columns, found %s",
                         fields->path,
                         count == 0 && node->kind == MOR_YAML_SEQUENCE ? "an empty one"
                                                                       : mor_yaml_describe(node));
        return false;
    }
    struct mor_config_field *items =
        mor_arena_calloc(&loader->memory->arena, count, sizeof(struct mor_config_field));
    bool good = true;
    size_t i = 0;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next, i++) {
        good = read_field(fields, child, depth, &items[i]) && good;
        for (size_t other = 0; good && other < i; other++) {
            if (strcmp(items[other].name, items[i].name) == 0) {
                mor_config_error(loader, child->place, "duplicate column '%s', first in line %lld",
                                 items[i].name, (long long)items[other].line);
                good = false;
            }
        }
    }
    *ret_fields = items;
    *ret_count = count;
    return good;
}

bool mor_option_parse_fields(struct mor_option_reading *reading, const struct mor_option *row,
                             const struct mor_yaml_node *node)
{
    struct fields fields = {.loader = reading->loader, .path = row->path};
    struct mor_config_field *items = NULL;
    size_t count = 0;
    if (!read_fields(&fields, node, 1, &items, &count))
        return false;
    char *target = (char *)reading->target + row->offset;
    *(struct mor_config_field **)(void *)target = items;
    *(size_t *)(void *)(target + sizeof items) = count;
    return true;
}

// ---- columns chosen by hand ---------------------------------------------------------------------

static const char *const column_sources[] = {
    [MOR_CONFIG_COLUMN_FIELD] = "field",       [MOR_CONFIG_COLUMN_HEADER] = "header",
    [MOR_CONFIG_COLUMN_CONSTANT] = "constant", [MOR_CONFIG_COLUMN_KAFKA] = "kafka",
    [MOR_CONFIG_COLUMN_DEBEZIUM] = "debezium",
};
#define COLUMN_SOURCES (sizeof column_sources / sizeof column_sources[0])

// The one source that the column names.
static bool read_source(struct mor_config_loader *loader, const struct mor_yaml_node *node,
                        struct mor_config_column *column)
{
    size_t found = 0;
    for (size_t i = 0; i < COLUMN_SOURCES; i++) {
        if (!mor_yaml_child(node, column_sources[i]))
            continue;
        found++;
        column->kind = (enum mor_config_column_kind)i;
        column->from = mor_option_child_text(loader, node, column_sources[i], true);
    }
    if (found == 1)
        return column->from != NULL;
    mor_config_error(loader, node->place,
                     "a column needs one of 'field', 'header', 'constant', 'kafka' or 'debezium'");
    return false;
}

// What may stand behind `kafka` and `debezium`.
static bool check_source(struct mor_config_loader *loader, const struct mor_yaml_node *node,
                         const struct mor_config_column *column)
{
    static const char *const kafka[] = {"topic", "partition", "offset", "timestamp",
                                        "key",   "value",     "headers"};
    static const char *const debezium[] = {"op", "position", "ts_ms"};
    bool is_kafka = column->kind == MOR_CONFIG_COLUMN_KAFKA;
    const char *const *names = is_kafka ? kafka : debezium;
    size_t count = is_kafka ? sizeof kafka / sizeof kafka[0] : sizeof debezium / sizeof debezium[0];
    if (!is_kafka && (column->kind != MOR_CONFIG_COLUMN_DEBEZIUM ||
                      (strncmp(column->from, "source.", 7) == 0 && column->from[7])))
        return true;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], column->from) == 0)
            return true;
    }
    const struct mor_yaml_node *place = mor_yaml_child(node, column_sources[column->kind]);
    mor_config_error(loader, place->place, "'%s' must be %s, found '%s'",
                     column_sources[column->kind],
                     is_kafka ? "topic, partition, offset, timestamp, key, value or headers"
                              : "op, position, ts_ms or source.<field>",
                     column->from);
    return false;
}

static bool read_column(struct mor_config_loader *loader, const struct mor_yaml_node *node,
                        struct mor_config_column *column)
{
    static const char *const names[] = {"field",    "header", "constant", "kafka",
                                        "debezium", "as",     "type"};
    if (node->kind != MOR_YAML_MAPPING) {
        mor_config_error(loader, node->place,
                         "a column is a mapping such as {header: trace_id}, found %s",
                         mor_yaml_describe(node));
        return false;
    }
    column->line = node->place.line;
    column->column = node->place.column;
    if (!only_keys(loader, node, names, sizeof names / sizeof names[0]) ||
        !read_source(loader, node, column) || !check_source(loader, node, column))
        return false;
    column->as = mor_option_child_text(loader, node, "as", false);
    column->type = mor_option_child_text(loader, node, "type", false);
    if (!column->as && column->kind == MOR_CONFIG_COLUMN_CONSTANT) {
        mor_config_error(loader, node->place, "a constant column needs its name: 'as'");
        return false;
    }
    if (!column->as) {
        const char *dot =
            column->kind == MOR_CONFIG_COLUMN_HEADER ? NULL : strrchr(column->from, '.');
        column->as = dot ? dot + 1 : column->from;
    }
    return true;
}

bool mor_option_parse_columns(struct mor_option_reading *reading, const struct mor_option *row,
                              const struct mor_yaml_node *node)
{
    struct mor_config_loader *loader = reading->loader;
    size_t count = child_count(node), i = 0;
    if (count == 0 || count > FIELD_COUNT_MAX) {
        mor_config_error(loader, node->place, "'%s' must be a list of 1 to %d columns", row->path,
                         FIELD_COUNT_MAX);
        return false;
    }
    struct mor_config_column *items =
        mor_arena_calloc(&loader->memory->arena, count, sizeof(struct mor_config_column));
    bool good = true;
    for (const struct mor_yaml_node *child = node->first; child; child = child->next, i++) {
        good = read_column(loader, child, &items[i]) && good;
        for (size_t other = 0; good && other < i; other++) {
            if (strcmp(items[other].as, items[i].as) == 0) {
                mor_config_error(loader, child->place, "duplicate column '%s', first in line %lld",
                                 items[i].as, (long long)items[other].line);
                good = false;
            }
        }
    }
    char *target = (char *)reading->target + row->offset;
    *(struct mor_config_column **)(void *)target = items;
    *(size_t *)(void *)(target + sizeof items) = count;
    return good;
}
