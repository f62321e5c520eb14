#include "topic_schema.h"

#include "moraine/avro.h"
#include "moraine/table.h"
#include "topic_infer.h"

// ---- where the columns come from ----------------------------------------------------------------

static enum mor_status add_fields(struct mor_schema *schema, struct mor_field *parent,
                                  const struct mor_config_field *fields, size_t count,
                                  const char *path, struct mor_error *err);

// A struct has fields of its own; those of "list<struct>" and "map<struct>" are its values'.
static enum mor_status add_type(struct mor_schema *schema, struct mor_field *field,
                                const struct mor_config_field *from, const char *path,
                                struct mor_error *err)
{
    struct mor_field *holder = field;
    if (from->type != NULL && from->child_count == 0)
        return mor_type_parse(schema, field, from->type, err);
    if (from->type != NULL && strcmp(from->type, "list<struct>") == 0) {
        field->type = MOR_TYPE_LIST;
        holder = mor_schema_add(schema, field, "element", MOR_TYPE_STRUCT, true);
    } else if (from->type != NULL && strcmp(from->type, "map<struct>") == 0) {
        field->type = MOR_TYPE_MAP;
        mor_schema_add(schema, field, "key", MOR_TYPE_STRING, false);
        holder = mor_schema_add(schema, field, "value", MOR_TYPE_STRUCT, true);
    } else if (from->type != NULL) {
        return mor_error_set(
            err, MOR_FATAL, "type '%s': only list<struct> and map<struct> have fields", from->type);
    }
    return add_fields(schema, holder, from->children, from->child_count, path, err);
}

static enum mor_status add_fields(struct mor_schema *schema, struct mor_field *parent,
                                  const struct mor_config_field *fields, size_t count,
                                  const char *path, struct mor_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct mor_config_field *from = &fields[i];
        struct mor_field *field =
            mor_schema_add(schema, parent, from->name, MOR_TYPE_STRUCT, from->nullable);
        if (from->doc != NULL)
            field->doc = mor_arena_strdup(&schema->arena, from->doc);
        enum mor_status status = add_type(schema, field, from, path, err);
        if (status != MOR_OK) {
            err->status = MOR_FATAL;
            return mor_error_wrap(err, "%s:%lld:%lld: field '%s'", path, (long long)from->line,
                                  (long long)from->column, from->name);
        }
    }
    return MOR_OK;
}

static enum mor_status read_avro(const char *text, struct mor_schema **ret_schema,
                                 struct mor_error *err)
{
    struct mor_avro_schema *avro;
    MOR_TRY(mor_avro_schema_parse(text, strlen(text), &avro, err));
    enum mor_status status = mor_avro_schema_to_table(avro, ret_schema, err);
    mor_avro_schema_free(avro);
    return status;
}

// The payload that a text describes. `message` of Protobuf: NULL = the first of the file.
static enum mor_status read_text(const struct mor_config_topic *topic,
                                 const struct mor_schema_text *text, const char *message,
                                 struct mor_arena *arena, const char **ret_message,
                                 struct mor_schema **ret_schema, struct mor_error *err)
{
    if (topic->value.format == MOR_CONFIG_FORMAT_PROTOBUF)
        return mor_protobuf_to_table(text, message, arena, ret_message, ret_schema, err);
    if (topic->value.format == MOR_CONFIG_FORMAT_JSON &&
        (topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY || !mor_json_schema_is_avro(text->text)))
        return mor_json_schema_to_table(text, ret_schema, err);
    return read_avro(text->text, ret_schema, err);
}

// The payload that schema->text describes.
static enum mor_status read_own_text(const struct mor_config_topic *topic,
                                     struct mor_topic_schema *schema, struct mor_error *err)
{
    return read_text(topic, &schema->text, topic->schema.message, &schema->arena, &schema->message,
                     &schema->source, err);
}

static const enum mor_schema_kind registry_kinds[] = {
    [MOR_CONFIG_FORMAT_AVRO] = MOR_SCHEMA_AVRO,
    [MOR_CONFIG_FORMAT_JSON] = MOR_SCHEMA_JSON,
    [MOR_CONFIG_FORMAT_PROTOBUF] = MOR_SCHEMA_PROTOBUF,
};

static enum mor_status load_registry(const struct mor_config_topic *topic,
                                     struct mor_registry *registry, struct mor_topic_schema *schema,
                                     struct mor_error *err)
{
    if (registry == NULL)
        return mor_error_set(err, MOR_FATAL,
                             "%s: 'schema: registry' needs schema_registry.url in the service file",
                             topic->path);
    MOR_AUTO_FREE char *subject = topic->schema.subject != NULL
                                      ? mor_strdup(topic->schema.subject)
                                      : mor_asprintf("%s-value", topic->topic);
    enum mor_status status = mor_registry_latest(registry, registry_kinds[topic->value.format],
                                                 subject, &schema->arena, &schema->text, err);
    if (status == MOR_NOT_FOUND) {
        err->status = MOR_RETRY; // the first producer registers it
        return mor_error_wrap(err, "subject '%s' is not registered yet", subject);
    }
    MOR_TRY(status);
    if (read_own_text(topic, schema, err) == MOR_OK)
        return MOR_OK;
    err->status = MOR_FATAL;
    return mor_error_wrap(err, "schema %d of subject '%s' cannot be a table", schema->text.id,
                          subject);
}

static enum mor_status load_file(const struct mor_config_topic *topic,
                                 struct mor_topic_schema *schema, struct mor_error *err)
{
    schema->text = (struct mor_schema_text){.text = topic->schema.text,
                                            .size_bytes = topic->schema.text_size_bytes};
    if (read_own_text(topic, schema, err) == MOR_OK)
        return MOR_OK;
    err->status = MOR_FATAL;
    return mor_error_wrap(err, "schema file '%s'", topic->schema.file);
}

static enum mor_status load_source(const struct mor_config *config,
                                   const struct mor_config_topic *topic,
                                   struct mor_registry *registry, struct mor_topic_schema *schema,
                                   struct mor_error *err)
{
    if (topic->value.format == MOR_CONFIG_FORMAT_RAW)
        return MOR_OK;
    switch (topic->schema.kind) {
    case MOR_CONFIG_SCHEMA_FIELDS:
        schema->source = mor_schema_new("row");
        return add_fields(schema->source, NULL, topic->schema.fields, topic->schema.field_count,
                          topic->path, err);
    case MOR_CONFIG_SCHEMA_FILE:
        return load_file(topic, schema, err);
    case MOR_CONFIG_SCHEMA_INFERRED:
        return mor_topic_infer(config, topic, &schema->source, err);
    case MOR_CONFIG_SCHEMA_REGISTRY:
        break;
    }
    return load_registry(topic, registry, schema, err);
}

// The columns, in the types of the table.
static enum mor_status choose_columns(const struct mor_config_topic *topic,
                                      struct mor_topic_schema *schema, struct mor_error *err)
{
    MOR_TRY(mor_topic_columns_choose(topic, &schema->source, &schema->columns, err));
    enum mor_table_format format = (enum mor_table_format)topic->table.format;
    return mor_table_normalise_schema(format, schema->columns.rows, &schema->rows, err);
}

enum mor_status mor_topic_schema_bind(struct mor_topic_schema *schema,
                                      const struct mor_schema *table, struct mor_error *err)
{
    struct mor_schema *bound = mor_schema_new(table->root.name);
    size_t count = table->root.child_count;
    uint32_t *column_of_table = mor_calloc(count, sizeof *column_of_table);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < schema->rows->root.child_count && status == MOR_OK; i++) {
        const char *name = schema->rows->root.children[i].name;
        int32_t at = mor_schema_find(table, name);
        if (at < 0) {
            status = mor_error_set(err, MOR_FATAL, "the table has no column '%s'", name);
        } else {
            mor_schema_add_copy(bound, NULL, &table->root.children[at]);
            column_of_table[at] = (uint32_t)i;
        }
    }
    schema->absent_first = bound->root.child_count;
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        const struct mor_field *field = &table->root.children[i];
        if (mor_schema_find(bound, field->name) >= 0)
            continue;
        if (!field->nullable)
            status = mor_error_set(
                err, MOR_FATAL,
                "the table's column '%s' must have a value, but the topic has no such field",
                field->name);
        column_of_table[i] = (uint32_t)bound->root.child_count;
        mor_schema_add_copy(bound, NULL, field);
    }
    if (status != MOR_OK) {
        mor_schema_free(bound);
        free(column_of_table);
        return status;
    }
    mor_schema_free(schema->rows);
    free(schema->column_of_table);
    schema->rows = bound;
    schema->column_of_table = column_of_table;
    return MOR_OK;
}

// ---- columns with a role ------------------------------------------------------------------------

static enum mor_status find_column(const struct mor_config_topic *topic,
                                   const struct mor_topic_schema *schema, const char *option,
                                   const char *name, int32_t *ret_column, struct mor_error *err)
{
    *ret_column = mor_schema_find(schema->rows, name);
    if (*ret_column >= 0)
        return MOR_OK;
    MOR_AUTO_BUFFER names = {0};
    for (size_t i = 0; i < schema->rows->root.child_count && names.size_bytes < 400; i++)
        mor_buffer_printf(&names, "%s%s", i > 0 ? ", " : "", schema->rows->root.children[i].name);
    return mor_error_set(err, MOR_FATAL, "%s: %s: there is no column '%s' (columns: %s)",
                         topic->path, option, name, mor_buffer_terminate(&names));
}

static bool can_order(enum mor_type type)
{
    switch (type) {
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
    case MOR_TYPE_STRING:
        return true;
    default:
        return false;
    }
}

static bool can_be_key(enum mor_type type)
{
    return type != MOR_TYPE_STRUCT && type != MOR_TYPE_LIST && type != MOR_TYPE_MAP &&
           type != MOR_TYPE_FLOAT && type != MOR_TYPE_DOUBLE;
}

static enum mor_status check_key(const struct mor_config_topic *topic,
                                 struct mor_topic_schema *schema, struct mor_error *err)
{
    schema->ordering_column = -1;
    if (topic->key.count == 0) {
        if (topic->table.key_index == MOR_CONFIG_KEY_INDEX_ON)
            return mor_error_set(err, MOR_FATAL, "%s: table.key_index needs a key", topic->path);
        if (topic->ordering != NULL || topic->delete_when.field != NULL)
            return mor_error_set(err, MOR_FATAL, "%s: ordering and delete_when need a key",
                                 topic->path);
        return MOR_OK;
    }
    for (size_t i = 0; i < topic->key.count; i++) {
        int32_t column;
        MOR_TRY(find_column(topic, schema, "key", topic->key.items[i], &column, err));
        enum mor_type type = schema->rows->root.children[column].type;
        if (!can_be_key(type))
            return mor_error_set(err, MOR_FATAL,
                                 "%s: key: column '%s' is a %s, which cannot be a key", topic->path,
                                 topic->key.items[i], mor_type_name(type));
    }
    if (topic->ordering == NULL && schema->columns.offset_column < 0)
        return mor_error_set(err, MOR_FATAL,
                             "%s: a topic with a key needs 'ordering', or table.provenance so that "
                             "the Kafka offset orders "
                             "its rows",
                             topic->path);
    const char *ordering = topic->ordering != NULL ? topic->ordering : PROVENANCE_OFFSET;
    MOR_TRY(find_column(topic, schema, "ordering", ordering, &schema->ordering_column, err));
    enum mor_type type = schema->rows->root.children[schema->ordering_column].type;
    if (!can_order(type))
        return mor_error_set(err, MOR_FATAL,
                             "%s: ordering: column '%s' is a %s, which has no order", topic->path,
                             ordering, mor_type_name(type));
    return MOR_OK;
}

// What turns the event time column into milliseconds: the table's unit for timestamps, the
// configured one for integers.
static enum mor_status check_event_time(const struct mor_config_topic *topic,
                                        struct mor_topic_schema *schema, struct mor_error *err)
{
    schema->event_time_column = -1;
    schema->event_time_factor = 1;
    schema->event_time_divisor = 1;
    enum mor_config_time_unit unit = topic->event_time.unit;
    int64_t unit_factor = unit == MOR_CONFIG_TIME_S ? 1000 : 1;
    int64_t unit_divisor = unit == MOR_CONFIG_TIME_US   ? 1000
                           : unit == MOR_CONFIG_TIME_NS ? 1000000
                                                        : 1;
    if (topic->event_time.field == NULL)
        return MOR_OK;
    MOR_TRY(find_column(topic, schema, "event_time.field", topic->event_time.field,
                        &schema->event_time_column, err));
    switch (schema->rows->root.children[schema->event_time_column].type) {
    case MOR_TYPE_TIMESTAMP_MILLIS:
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MICROS:
        schema->event_time_divisor = 1000;
        return MOR_OK;
    case MOR_TYPE_DATE:
        schema->event_time_factor = 86400000;
        return MOR_OK;
    case MOR_TYPE_STRING: // of texts that are numbers
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
    case MOR_TYPE_DECIMAL:
        schema->event_time_factor = unit_factor;
        schema->event_time_divisor = unit_divisor;
        return MOR_OK;
    default:
        return mor_error_set(
            err, MOR_FATAL,
            "%s: event_time.field: column '%s' is neither a timestamp, a date, a number nor a text",
            topic->path, topic->event_time.field);
    }
}

static enum mor_status check_roles(const struct mor_config_topic *topic,
                                   struct mor_topic_schema *schema, struct mor_error *err)
{
    MOR_TRY(check_key(topic, schema, err));
    MOR_TRY(check_event_time(topic, schema, err));
    schema->delete_column = -1;
    if (topic->delete_when.field != NULL)
        MOR_TRY(find_column(topic, schema, "delete_when.field", topic->delete_when.field,
                            &schema->delete_column, err));
    schema->dedup_columns = mor_calloc(topic->dedup.by.count + 1, sizeof *schema->dedup_columns);
    for (size_t i = 0; i < topic->dedup.by.count; i++)
        MOR_TRY(find_column(topic, schema, "dedup.by", topic->dedup.by.items[i],
                            &schema->dedup_columns[i], err));
    schema->required_columns =
        mor_calloc(topic->table.partition_field_count + 1, sizeof *schema->required_columns);
    if (schema->ordering_column >= 0)
        schema->required_columns[schema->required_count++] = schema->ordering_column;
    for (size_t i = 0; i < topic->table.partition_field_count; i++)
        MOR_TRY(find_column(topic, schema, "table.partition_by",
                            topic->table.partition_fields[i].column,
                            &schema->required_columns[schema->required_count++], err));
    return MOR_OK;
}

// ---- a table that is there ----------------------------------------------------------------------

// Chosen columns have their names from the topic's file.
static bool chooses_fields(const struct mor_config_topic *topic)
{
    for (size_t i = 0; i < topic->columns.count; i++)
        if (topic->columns.items[i].kind == MOR_CONFIG_COLUMN_FIELD)
            return true;
    return false;
}

static enum mor_status keep_names(const struct mor_config_topic *topic,
                                  const struct mor_schema_text *text, const char *reader_text,
                                  const struct mor_schema *have, struct mor_schema *columns,
                                  struct mor_error *err)
{
    struct mor_avro_schema *avro = NULL, *reader = NULL;
    if (chooses_fields(topic) || topic->value.format != MOR_CONFIG_FORMAT_AVRO ||
        topic->value.envelope != MOR_CONFIG_ENVELOPE_NONE)
        return MOR_OK;
    MOR_TRY(mor_avro_schema_parse(text->text, strlen(text->text), &avro, err));
    enum mor_status status =
        reader_text == NULL ? MOR_OK
                            : mor_avro_schema_parse(reader_text, strlen(reader_text), &reader, err);
    if (status == MOR_OK)
        mor_avro_keep_names(avro, reader, have, columns);
    mor_avro_schema_free(avro);
    mor_avro_schema_free(reader);
    return status;
}

// Columns that are not to change are those of the table, and of its types.
static void freeze(const struct mor_config_topic *topic, const struct mor_schema *table,
                   struct mor_schema *source)
{
    struct mor_field *row = &source->root;
    for (size_t i = 0; topic->value.envelope != MOR_CONFIG_ENVELOPE_NONE && i < row->child_count;
         i++) {
        if (strcmp(row->children[i].name, "after") == 0) {
            mor_schema_freeze(&row->children[i], &table->root);
            return;
        }
    }
    mor_schema_freeze(row, &table->root);
}

// What the topic's newest schema says must heed a table that is there: it keeps the name that a
// column had first, and all of its columns when they are not to change.
static enum mor_status heed_table(const struct mor_config_topic *topic,
                                  struct mor_topic_schema *schema, struct mor_error *err)
{
    struct mor_table *table = NULL;
    bool renamed = topic->value.format == MOR_CONFIG_FORMAT_AVRO && schema->text.text != NULL &&
                   topic->value.envelope == MOR_CONFIG_ENVELOPE_NONE &&
                   strstr(schema->text.text, "\"aliases\"") != NULL;
    bool frozen = topic->schema_changes == MOR_CONFIG_CHANGES_FREEZE &&
                  topic->value.format != MOR_CONFIG_FORMAT_RAW &&
                  topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY;
    if (chooses_fields(topic) || (!renamed && !frozen))
        return MOR_OK;
    enum mor_status status = mor_table_open_read(topic->table.location, NULL, &table, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        return MOR_OK;
    }
    MOR_TRY(status);
    if (renamed)
        status =
            keep_names(topic, &schema->text, NULL, mor_table_schema(table), schema->source, err);
    if (status == MOR_OK && frozen)
        freeze(topic, mor_table_schema(table), schema->source);
    mor_table_free(table);
    return status;
}

// Joins the columns with those of one writer schema.
static enum mor_status learn(const struct mor_config_topic *topic, struct mor_registry *registry,
                             int32_t id, struct mor_topic_schema *schema, struct mor_error *err)
{
    struct mor_schema_text text;
    struct mor_schema *theirs = NULL, *joined = NULL;
    const char *ignored;
    MOR_TRY(mor_registry_schema(registry, registry_kinds[topic->value.format], id, &schema->arena,
                                &text, err));
    enum mor_status status =
        read_text(topic, &text, schema->message, &schema->arena, &ignored, &theirs, err);
    if (status == MOR_OK)
        status = keep_names(topic, &text, schema->text.text, schema->source, theirs, err);
    if (status == MOR_OK)
        status = mor_schema_join(schema->source, theirs, &joined, err);
    mor_schema_free(theirs);
    if (status == MOR_DATA || status == MOR_FATAL) {
        err->status = MOR_FATAL;
        return mor_error_wrap(err, "the table cannot follow writer schema id %d", id);
    }
    MOR_TRY(status);
    mor_schema_free(schema->source);
    schema->source = joined;
    return MOR_OK;
}

enum mor_status mor_topic_schema_load(const struct mor_config *config,
                                      const struct mor_config_topic *topic,
                                      struct mor_registry *registry,
                                      const struct mor_learned *learned,
                                      struct mor_topic_schema *ret_schema, struct mor_error *err)
{
    struct mor_topic_schema schema = {0};
    mor_arena_init(&schema.arena, 4096, NULL);
    enum mor_status status = load_source(config, topic, registry, &schema, err);
    if (status == MOR_OK)
        status = heed_table(topic, &schema, err);
    for (size_t i = 0; status == MOR_OK && learned != NULL && i < learned->count; i++)
        status = learn(topic, registry, learned->ids[i], &schema, err);
    if (status == MOR_OK)
        status = choose_columns(topic, &schema, err);
    if (status == MOR_OK)
        status = check_roles(topic, &schema, err);
    if (status != MOR_OK) {
        mor_topic_schema_done(&schema);
        return status;
    }
    *ret_schema = schema;
    return MOR_OK;
}

struct mor_decoder_options mor_topic_decoder_options(const struct mor_config_topic *topic,
                                                     const struct mor_topic_schema *schema,
                                                     struct mor_registry *registry)
{
    static const enum mor_payload_format formats[] = {
        [MOR_CONFIG_FORMAT_AVRO] = MOR_PAYLOAD_AVRO,
        [MOR_CONFIG_FORMAT_JSON] = MOR_PAYLOAD_JSON,
        [MOR_CONFIG_FORMAT_PROTOBUF] = MOR_PAYLOAD_PROTOBUF,
        [MOR_CONFIG_FORMAT_RAW] = MOR_PAYLOAD_RAW,
    };
    bool enveloped = topic->value.envelope == MOR_CONFIG_ENVELOPE_DEBEZIUM;
    bool confluent = topic->value.wire == MOR_CONFIG_WIRE_CONFLUENT;
    return (struct mor_decoder_options){
        .format = formats[topic->value.format],
        .schema = schema->rows,
        .column_count = schema->columns.payload_count,
        .attributes = schema->columns.attributes,
        .attribute_count = schema->columns.attribute_count,
        .routes = schema->columns.routes,
        .route_count = schema->columns.route_count,
        .row_is_whole = schema->columns.row_is_whole,
        .source_schema = schema->source,
        .base64_decimals = topic->value.decimals == MOR_CONFIG_DECIMALS_BASE64 ||
                           (topic->value.decimals == MOR_CONFIG_DECIMALS_AUTO && enveloped),
        .registry = confluent ? registry : NULL,
        .writer_schema = schema->text,
        .reader_schema =
            confluent && topic->value.format == MOR_CONFIG_FORMAT_AVRO ? schema->text.text : NULL,
        .message = schema->message,
        .envelope = (enum mor_envelope)topic->value.envelope,
        .truncate = (enum mor_truncate)topic->value.debezium.truncate,
        .unavailable = (enum mor_unavailable)topic->value.debezium.unavailable,
        .key_format = (enum mor_key_format)topic->message_key.format,
        .key_columns = topic->key.items,
        .key_column_count = topic->key.count,
        .limits = {.value_size_max_bytes = (size_t)topic->limits.value_size_bytes,
                   .items_max = (size_t)topic->limits.elements,
                   .depth_max = (int)topic->limits.depth}};
}

void mor_topic_schema_done(struct mor_topic_schema *schema)
{
    mor_schema_free(schema->source);
    mor_schema_free(schema->rows);
    mor_topic_columns_done(&schema->columns);
    mor_arena_done(&schema->arena);
    free(schema->required_columns);
    free(schema->dedup_columns);
    free(schema->column_of_table);
    *schema = (struct mor_topic_schema){0};
}
