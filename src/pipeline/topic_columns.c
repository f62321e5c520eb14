#include "topic_columns.h"

#include <stdio.h>

// What a choice is made with.
struct choice {
    const struct mor_config_topic *topic;
    struct mor_schema *source; // the payload, NULL for raw values
    struct mor_topic_columns *columns;
    struct mor_error *err;
};

static enum mor_status wrong(const struct choice *choice, const struct mor_config_column *column,
                             const char *what)
{
    return mor_error_set(choice->err, MOR_FATAL, "%s:%lld:%lld: column '%s': %s",
                         choice->topic->path, (long long)column->line, (long long)column->column,
                         column->as, what);
}

static struct mor_field *find_child(const struct mor_field *parent, const char *name, size_t length)
{
    for (size_t i = 0; i < parent->child_count; i++) {
        if (strncmp(parent->children[i].name, name, length) == 0 &&
            parent->children[i].name[length] == '\0')
            return &parent->children[i];
    }
    return NULL;
}

// ---- the row of a change event ------------------------------------------------------------------

static bool is_enveloped(const struct mor_config_topic *topic)
{
    return topic->value.envelope == MOR_CONFIG_ENVELOPE_DEBEZIUM;
}

// JSON declares the row: the event around it. Its fields may be null, as an image before a change
// often holds the key alone.
static void wrap_row(struct choice *choice)
{
    struct mor_schema *event = mor_schema_new("event");
    struct mor_field *after = mor_schema_add(event, NULL, "after", MOR_TYPE_STRUCT, true);
    for (size_t i = 0; i < choice->source->root.child_count; i++)
        mor_schema_add_copy(event, after, &choice->source->root.children[i])->nullable = true;
    mor_schema_add(event, NULL, "source", MOR_TYPE_STRUCT, true);
    mor_schema_free(choice->source);
    choice->source = event;
}

// The struct whose fields are the row.
static enum mor_status find_row(const struct choice *choice, const struct mor_field **ret_row)
{
    *ret_row = choice->source ? &choice->source->root : NULL;
    if (!is_enveloped(choice->topic))
        return MOR_OK;
    if (*ret_row)
        *ret_row = find_child(*ret_row, "after", strlen("after"));
    if (*ret_row && (*ret_row)->type == MOR_TYPE_STRUCT)
        return MOR_OK;
    return mor_error_set(choice->err, MOR_FATAL,
                         "%s: value.envelope: the schema is not that of a change event: it has no "
                         "record 'after'",
                         choice->topic->path);
}

// ---- routes -------------------------------------------------------------------------------------

// Routes while they grow.
struct node {
    struct mor_route route; // children are filled in at the end
    struct node *first, *last, *next;
};

static struct node *child_of(struct choice *choice, struct node *parent, const char *name,
                             size_t length)
{
    for (struct node *node = parent->first; node; node = node->next) {
        if (strncmp(node->route.name, name, length) == 0 && node->route.name[length] == '\0')
            return node;
    }
    struct node *node = mor_arena_calloc(&choice->columns->arena, 1, sizeof *node);
    node->route =
        (struct mor_route){.name = mor_arena_strndup(&choice->columns->arena, name, length),
                           .column = MOR_ROUTE_NONE,
                           .note = MOR_ROUTE_NONE};
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return node;
}

static void freeze(struct choice *choice, struct node *parent)
{
    size_t count = 0;
    for (struct node *node = parent->first; node; node = node->next)
        count++;
    struct mor_route *routes = mor_arena_calloc(&choice->columns->arena, count + 1, sizeof *routes);
    parent->route.children = routes;
    parent->route.child_count = count;
    for (struct node *node = parent->first; node; node = node->next) {
        freeze(choice, node);
        *routes++ = node->route;
    }
}

// A column of `field` under the name `as`; its route ends at `node`.
static void add_column(struct choice *choice, struct node *node, const struct mor_field *field,
                       const char *as, bool nullable)
{
    struct mor_schema *rows = choice->columns->rows;
    node->route.column = (int32_t)rows->root.child_count;
    struct mor_field *column = mor_schema_add_copy(rows, NULL, field);
    column->name = mor_arena_strdup(&rows->arena, as);
    column->nullable = column->nullable || nullable;
    choice->columns->payload_count++;
}

// The field at a path below `from`, with the node where its route ends.
static enum mor_status follow(struct choice *choice, const struct mor_config_column *column,
                              const struct mor_field *from, struct node *at, const char *path,
                              struct mor_field **ret_field, struct node **ret_node,
                              bool *ret_nullable)
{
    char text[400];
    *ret_nullable = is_enveloped(choice->topic);
    for (;;) {
        size_t length = strcspn(path, ".");
        struct mor_field *field = find_child(from, path, length);
        if (!field) {
            (void)snprintf(text, sizeof text, "the payload has no field '%.200s'", column->from);
            return wrong(choice, column, text);
        }
        at = child_of(choice, at, path, length);
        if (at->route.column != MOR_ROUTE_NONE)
            return wrong(choice, column, "the field is already a column, whole or in part");
        if (path[length] == '\0') {
            *ret_field = field;
            *ret_node = at;
            return at->first
                       ? wrong(choice, column, "the field is already a column, whole or in part")
                       : MOR_OK;
        }
        if (field->type != MOR_TYPE_STRUCT) {
            (void)snprintf(text, sizeof text, "field '%.*s' is a %s, it has no fields", (int)length,
                           path, mor_type_name(field->type));
            return wrong(choice, column, text);
        }
        *ret_nullable = *ret_nullable || field->nullable;
        from = field;
        path += length + 1;
    }
}

static enum mor_status set_type(struct choice *choice, const struct mor_config_column *column,
                                struct mor_schema *schema, struct mor_field *field)
{
    if (!column->type)
        return MOR_OK;
    field->child_count = 0;
    field->children = NULL;
    if (mor_type_parse(schema, field, column->type, choice->err) == MOR_OK)
        return MOR_OK;
    MOR_AUTO_FREE char *reason = mor_strdup(choice->err->message);
    return wrong(choice, column, reason);
}

static enum mor_status add_field(struct choice *choice, const struct mor_config_column *column,
                                 const struct mor_field *row, struct node *at)
{
    struct mor_field *field;
    struct node *node;
    bool nullable;
    MOR_TRY(follow(choice, column, row, at, column->from, &field, &node, &nullable));
    MOR_TRY(set_type(choice, column, choice->source, field));
    add_column(choice, node, field, column->as, nullable);
    return MOR_OK;
}

// ---- what a change event says of itself ---------------------------------------------------------

// Types of the source block's fields in JSON; others are read as text.
static enum mor_type source_type(const char *name)
{
    static const char *const longs[] = {"ts_ms",         "source.ts_ms",    "source.ts_us",
                                        "source.ts_ns",  "source.lsn",      "source.xmin",
                                        "source.txId",   "source.pos",      "source.row",
                                        "source.thread", "source.server_id"};
    for (size_t i = 0; i < sizeof longs / sizeof longs[0]; i++) {
        if (strcmp(longs[i], name) == 0)
            return MOR_TYPE_INT64;
    }
    return MOR_TYPE_JSON;
}

// JSON does not declare these fields: the column does.
static struct mor_field *declare(struct choice *choice, const char *path)
{
    struct mor_field *parent = &choice->source->root;
    const char *name = path;
    if (strncmp(path, "source.", 7) == 0) {
        parent = find_child(parent, "source", strlen("source"));
        name += 7;
    }
    struct mor_field *field = find_child(parent, name, strlen(name));
    return field ? field : mor_schema_add(choice->source, parent, name, source_type(path), true);
}

static enum mor_status add_event_field(struct choice *choice,
                                       const struct mor_config_column *column, struct node *root)
{
    struct mor_field *field;
    struct node *node;
    bool nullable;
    if (choice->topic->value.format == MOR_CONFIG_FORMAT_JSON)
        MOR_TRY(set_type(choice, column, choice->source, declare(choice, column->from)));
    else if (column->type)
        return wrong(choice, column, "the type of a field comes from its schema");
    MOR_TRY(follow(choice, column, &choice->source->root, root, column->from, &field, &node,
                   &nullable));
    add_column(choice, node, field, column->as, nullable);
    return MOR_OK;
}

static bool is_event_attribute(const struct mor_config_column *column)
{
    return strcmp(column->from, "op") == 0 || strcmp(column->from, "position") == 0;
}

static void note(struct choice *choice, struct node *parent, const char *name, int32_t index)
{
    child_of(choice, parent, name, strlen(name))->route.note = index;
}

static enum mor_status add_event(struct choice *choice, struct node *root)
{
    const struct mor_config_topic *topic = choice->topic;
    note(choice, root, "op", MOR_NOTE_OP);
    for (size_t i = 0; i < topic->columns.count; i++) {
        const struct mor_config_column *column = &topic->columns.items[i];
        if (column->kind != MOR_CONFIG_COLUMN_DEBEZIUM)
            continue;
        if (!is_event_attribute(column))
            MOR_TRY(add_event_field(choice, column, root));
        if (strcmp(column->from, "position") != 0)
            continue;
        struct node *source = child_of(choice, root, "source", strlen("source"));
        note(choice, source, "lsn", MOR_NOTE_LSN);
        note(choice, source, "file", MOR_NOTE_FILE);
        note(choice, source, "pos", MOR_NOTE_POS);
    }
    return MOR_OK;
}

// ---- columns of the payload ---------------------------------------------------------------------

static bool names_fields(const struct mor_config_topic *topic)
{
    for (size_t i = 0; i < topic->columns.count; i++) {
        if (topic->columns.items[i].kind == MOR_CONFIG_COLUMN_FIELD)
            return true;
    }
    return false;
}

static enum mor_status choose_payload(struct choice *choice)
{
    const struct mor_config_topic *topic = choice->topic;
    const struct mor_field *row;
    MOR_TRY(find_row(choice, &row));
    bool chosen = names_fields(topic);
    choice->columns->row_is_whole = !chosen && is_enveloped(topic);
    if (!row)
        return MOR_OK;
    if (!chosen && !is_enveloped(topic)) {
        for (size_t i = 0; i < row->child_count; i++)
            mor_schema_add_copy(choice->columns->rows, NULL, &row->children[i]);
        choice->columns->payload_count = row->child_count;
        return MOR_OK;
    }
    struct node root = {0};
    struct node *at = &root;
    if (is_enveloped(topic)) {
        at = child_of(choice, &root, "after", strlen("after"));
        at->route.otherwise = "before";
    }
    for (size_t i = 0; !chosen && i < row->child_count; i++)
        add_column(choice,
                   child_of(choice, at, row->children[i].name, strlen(row->children[i].name)),
                   &row->children[i], row->children[i].name, true);
    for (size_t i = 0; i < topic->columns.count; i++) {
        if (topic->columns.items[i].kind == MOR_CONFIG_COLUMN_FIELD)
            MOR_TRY(add_field(choice, &topic->columns.items[i], row, at));
    }
    if (is_enveloped(topic))
        MOR_TRY(add_event(choice, &root));
    freeze(choice, &root);
    choice->columns->routes = (struct mor_route *)root.route.children;
    choice->columns->route_count = root.route.child_count;
    return MOR_OK;
}

// ---- attributes ---------------------------------------------------------------------------------

struct attribute_name {
    const char *name;
    enum mor_attribute_kind kind;
    const char *type;
};

static const struct attribute_name kafka_attributes[] = {
    {"topic", MOR_ATTRIBUTE_TOPIC, "string"},
    {"partition", MOR_ATTRIBUTE_PARTITION, "int"},
    {"offset", MOR_ATTRIBUTE_OFFSET, "long"},
    {"timestamp", MOR_ATTRIBUTE_TIMESTAMP, "timestamp_ms"},
    {"key", MOR_ATTRIBUTE_KEY, "bytes"},
    {"value", MOR_ATTRIBUTE_VALUE, "bytes"},
    {"headers", MOR_ATTRIBUTE_HEADERS, "map<bytes>"},
    {NULL, 0, NULL}};
static const struct attribute_name event_attributes[] = {
    {"op", MOR_ATTRIBUTE_OP, "string"},
    {"position", MOR_ATTRIBUTE_POSITION, "long"},
    {NULL, 0, NULL}};
static const struct attribute_name header = {"", MOR_ATTRIBUTE_HEADER, "string"};
static const struct attribute_name constant = {"", MOR_ATTRIBUTE_CONSTANT, "string"};

static const struct attribute_name *attribute_of(const struct mor_config_column *column)
{
    const struct attribute_name *names = kafka_attributes;
    switch (column->kind) {
    case MOR_CONFIG_COLUMN_FIELD:
        return NULL;
    case MOR_CONFIG_COLUMN_HEADER:
        return &header;
    case MOR_CONFIG_COLUMN_CONSTANT:
        return &constant;
    case MOR_CONFIG_COLUMN_DEBEZIUM:
        names = event_attributes;
        break;
    case MOR_CONFIG_COLUMN_KAFKA:
        break;
    }
    while (names->name && strcmp(names->name, column->from) != 0)
        names++;
    return names->name ? names : NULL;
}

static enum mor_status add_attribute(struct choice *choice, const struct mor_config_column *column,
                                     const struct attribute_name *name)
{
    struct mor_topic_columns *columns = choice->columns;
    bool placed = name->kind == MOR_ATTRIBUTE_PARTITION || name->kind == MOR_ATTRIBUTE_OFFSET;
    struct mor_config_column typed = *column;
    struct mor_field *field =
        mor_schema_add(columns->rows, NULL, column->as, MOR_TYPE_STRING, !placed);
    typed.type = column->type ? column->type : name->type;
    MOR_TRY(set_type(choice, &typed, columns->rows, field));
    columns->attributes[columns->attribute_count++] = (struct mor_attribute){
        .kind = name->kind,
        .text = name->kind == MOR_ATTRIBUTE_TOPIC ? choice->topic->topic : column->from};
    return MOR_OK;
}

static enum mor_status choose_attributes(struct choice *choice)
{
    static const char *const raw[] = {"key", "value", "headers", "timestamp"};
    const struct mor_config_topic *topic = choice->topic;
    struct mor_topic_columns *columns = choice->columns;
    columns->attributes =
        mor_arena_calloc(&columns->arena, topic->columns.count + sizeof raw / sizeof raw[0] + 2,
                         sizeof *columns->attributes);
    for (size_t i = 0; i < topic->columns.count; i++) {
        const struct attribute_name *name = attribute_of(&topic->columns.items[i]);
        if (name)
            MOR_TRY(add_attribute(choice, &topic->columns.items[i], name));
    }
    bool plain = topic->value.format == MOR_CONFIG_FORMAT_RAW && topic->columns.count == 0;
    for (size_t i = 0; plain && i < sizeof raw / sizeof raw[0]; i++) {
        struct mor_config_column column = {
            .kind = MOR_CONFIG_COLUMN_KAFKA, .from = raw[i], .as = raw[i]};
        MOR_TRY(add_attribute(choice, &column, attribute_of(&column)));
    }
    columns->offset_column = -1;
    if (!topic->table.provenance)
        return MOR_OK;
    struct mor_config_column partition = {
        .kind = MOR_CONFIG_COLUMN_KAFKA, .from = "partition", .as = PROVENANCE_PARTITION};
    struct mor_config_column offset = {
        .kind = MOR_CONFIG_COLUMN_KAFKA, .from = "offset", .as = PROVENANCE_OFFSET};
    MOR_TRY(add_attribute(choice, &partition, attribute_of(&partition)));
    columns->offset_column = (int32_t)columns->rows->root.child_count;
    return add_attribute(choice, &offset, attribute_of(&offset));
}

static enum mor_status check_names(const struct choice *choice)
{
    const struct mor_field *root = &choice->columns->rows->root;
    for (size_t i = 0; i < root->child_count; i++) {
        const char *name = root->children[i].name;
        if (mor_schema_find(choice->columns->rows, name) != (int32_t)i)
            return mor_error_set(choice->err, MOR_FATAL, "%s: columns: two columns are named '%s'",
                                 choice->topic->path, name);
    }
    if (root->child_count > 0)
        return MOR_OK;
    return mor_error_set(choice->err, MOR_FATAL, "%s: the table would have no column",
                         choice->topic->path);
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_topic_columns_choose(const struct mor_config_topic *topic,
                                         struct mor_schema **source,
                                         struct mor_topic_columns *ret_columns,
                                         struct mor_error *err)
{
    struct choice choice = {topic, *source, ret_columns, err};
    *ret_columns = (struct mor_topic_columns){.rows = mor_schema_new("row")};
    mor_arena_init(&ret_columns->arena, 4096, NULL);
    if (is_enveloped(topic) && topic->value.format == MOR_CONFIG_FORMAT_JSON)
        wrap_row(&choice);
    *source = choice.source;
    enum mor_status status = choose_payload(&choice);
    if (status == MOR_OK)
        status = choose_attributes(&choice);
    if (status == MOR_OK)
        status = check_names(&choice);
    return status;
}

void mor_topic_columns_done(struct mor_topic_columns *columns)
{
    mor_schema_free(columns->rows);
    mor_arena_done(&columns->arena);
    *columns = (struct mor_topic_columns){0};
}

bool mor_topic_columns_want_headers(const struct mor_topic_columns *columns)
{
    for (size_t i = 0; i < columns->attribute_count; i++) {
        if (columns->attributes[i].kind == MOR_ATTRIBUTE_HEADER ||
            columns->attributes[i].kind == MOR_ATTRIBUTE_HEADERS)
            return true;
    }
    return false;
}
