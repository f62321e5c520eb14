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

// The payload that schema->text describes.
static enum mor_status read_text(const struct mor_config_topic *topic,
                                 struct mor_topic_schema *schema, struct mor_error *err)
{
    if (topic->value.format == MOR_CONFIG_FORMAT_PROTOBUF)
        return mor_protobuf_to_table(&schema->text, topic->schema.message, &schema->arena,
                                     &schema->message, &schema->source, err);
    if (topic->value.format == MOR_CONFIG_FORMAT_JSON &&
        (topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY ||
         !mor_json_schema_is_avro(schema->text.text)))
        return mor_json_schema_to_table(&schema->text, &schema->source, err);
    return read_avro(schema->text.text, &schema->source, err);
}

static enum mor_status load_registry(const struct mor_config_topic *topic,
                                     struct mor_registry *registry, struct mor_topic_schema *schema,
                                     struct mor_error *err)
{
    static const enum mor_schema_kind kinds[] = {
        [MOR_CONFIG_FORMAT_AVRO] = MOR_SCHEMA_AVRO,
        [MOR_CONFIG_FORMAT_JSON] = MOR_SCHEMA_JSON,
        [MOR_CONFIG_FORMAT_PROTOBUF] = MOR_SCHEMA_PROTOBUF,
    };
    if (registry == NULL)
        return mor_error_set(err, MOR_FATAL,
                             "%s: 'schema: registry' needs schema_registry.url in the service file",
                             topic->path);
    MOR_AUTO_FREE char *subject = topic->schema.subject != NULL
                                      ? mor_strdup(topic->schema.subject)
                                      : mor_asprintf("%s-value", topic->topic);
    enum mor_status status = mor_registry_latest(registry, kinds[topic->value.format], subject,
                                                 &schema->arena, &schema->text, err);
    if (status == MOR_NOT_FOUND) {
        err->status = MOR_RETRY; // the first producer registers it
        return mor_error_wrap(err, "subject '%s' is not registered yet", subject);
    }
    MOR_TRY(status);
    if (read_text(topic, schema, err) == MOR_OK)
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
    if (read_text(topic, schema, err) == MOR_OK)
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
    if (topic->event_time.field == NULL)
        return MOR_OK;
    MOR_TRY(find_column(topic, schema, "event_time.field", topic->event_time.field,
                        &schema->event_time_column, err));
    switch (schema->rows->root.children[schema->event_time_column].type) {
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_STRING:
        return MOR_OK;
    case MOR_TYPE_TIMESTAMP_MICROS:
        schema->event_time_divisor = 1000;
        return MOR_OK;
    case MOR_TYPE_DATE:
        schema->event_time_factor = 86400000;
        return MOR_OK;
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
        schema->event_time_factor = topic->event_time.unit == MOR_CONFIG_TIME_S ? 1000 : 1;
        schema->event_time_divisor = topic->event_time.unit == MOR_CONFIG_TIME_US   ? 1000
                                     : topic->event_time.unit == MOR_CONFIG_TIME_NS ? 1000000
                                                                                    : 1;
        return MOR_OK;
    default:
        return mor_error_set(
            err, MOR_FATAL,
            "%s: event_time.field: column '%s' is neither a timestamp, a date, an integer nor a "
            "text",
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

// Joins the columns with those of one writer schema.
static enum mor_status learn(struct mor_registry *registry, int32_t id,
                             struct mor_topic_schema *schema, struct mor_error *err)
{
    struct mor_schema_text text;
    struct mor_schema *theirs = NULL, *joined = NULL;
    MOR_TRY(mor_registry_schema(registry, MOR_SCHEMA_AVRO, id, &schema->arena, &text, err));
    enum mor_status status = read_avro(text.text, &theirs, err);
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
    for (size_t i = 0; status == MOR_OK && learned != NULL && i < learned->count; i++)
        status = learn(registry, learned->ids[i], &schema, err);
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
