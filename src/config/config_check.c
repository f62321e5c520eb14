// What no single option can tell: options that need or exclude each other, names, locations.
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_options.h"

// table.buckets when nothing is said
#define BUCKETS_HUDI    8
#define BUCKETS_ICEBERG 1

static bool made_of(const char *text, size_t length_max, const char *more)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr(more, text[i]))
            return false;
    }
    return length > 0 && length <= length_max && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

__attribute__((format(printf, 3, 4))) static void
complain(struct mor_option_reading *reading, const char *path, const char *format, ...)
{
    char message[512];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    mor_config_error(reading->loader, mor_option_place(reading, path), "%s", message);
}

static bool is_web_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

// "host:port" with a port from 0 to 65535.
static bool is_listen_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5)
        return false;
    int port = 0;
    for (const char *c = colon + 1; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        port = port * 10 + (*c - '0');
    }
    return port <= 65535;
}

void mor_config_check_service(struct mor_option_reading *reading, struct mor_config *config)
{
    bool servers = false;
    if (!made_of(config->instance, 64, "._-"))
        complain(reading, "instance",
                 "'instance' must be up to 64 letters, digits, '.', '_' or '-'");
    if (config->http.listen && !is_listen_address(config->http.listen))
        complain(reading, "http.listen", "'http.listen' must be host:port or off");
    if (config->schema_registry.url && !is_web_url(config->schema_registry.url))
        complain(reading, "schema_registry.url",
                 "'schema_registry.url' must start with http:// or https://");
    else if (config->schema_registry.url && strpbrk(config->schema_registry.url, "?#"))
        complain(reading, "schema_registry.url",
                 "'schema_registry.url' must have neither query nor fragment");
    if (config->schema_registry.password && !config->schema_registry.username)
        complain(reading, "schema_registry.password",
                 "'schema_registry.password' needs 'schema_registry.username'");
    for (size_t i = 0; i < config->kafka_count; i++) {
        const char *name = config->kafka[i].name;
        servers = servers || strcmp(name, "bootstrap.servers") == 0 ||
                  strcmp(name, "metadata.broker.list") == 0;
    }
    if (!servers && mor_option_is_set(reading, "kafka"))
        complain(reading, "kafka", "missing required key 'kafka.bootstrap.servers'");
}

// ---- topics -------------------------------------------------------------------------------------

// The number that "N, column" begins with, and the column behind it; false when it does not.
static bool parse_argument(struct mor_config_partition_field *field)
{
    char *end;
    if (*field->column < '0' || *field->column > '9')
        return false;
    field->argument = strtoll(field->column, &end, 10);
    if (*end != ',' || field->argument < 1 || field->argument > INT32_MAX)
        return false;
    for (end++; *end == ' ';)
        end++;
    field->column = end;
    return *end != '\0';
}

// "day(created_at)", "bucket(16, id)" or a plain column.
static bool parse_partition(struct mor_arena *arena, const char *text,
                            struct mor_config_partition_field *field)
{
    static const char *const transforms[] = {"identity", "year",   "month",   "day",
                                             "hour",     "bucket", "truncate"};
    const char *open = strchr(text, '(');
    size_t length = strlen(text);
    field->transform = MOR_CONFIG_PARTITION_IDENTITY;
    field->column = text;
    if (!open)
        return strchr(text, ')') == NULL && strchr(text, ' ') == NULL;
    if (text[length - 1] != ')' || open + 2 >= text + length)
        return false;
    field->column = mor_arena_strndup(arena, open + 1, (size_t)(text + length - 1 - open) - 1);
    for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++) {
        if (strlen(transforms[i]) != (size_t)(open - text) ||
            strncmp(text, transforms[i], (size_t)(open - text)) != 0)
            continue;
        field->transform = (enum mor_config_transform)i;
        if (field->transform >= MOR_CONFIG_PARTITION_BUCKET && !parse_argument(field))
            return false;
        return strpbrk(field->column, "() ,") == NULL;
    }
    return false;
}

static void check_partitions(struct mor_option_reading *reading, struct mor_config_topic *topic)
{
    size_t count = topic->table.partition_by.count;
    struct mor_arena *arena = &reading->loader->memory->arena;
    topic->table.partition_fields =
        mor_arena_calloc(arena, count, sizeof *topic->table.partition_fields);
    for (size_t i = 0; i < count; i++) {
        const char *text = topic->table.partition_by.items[i];
        if (!parse_partition(arena, text, &topic->table.partition_fields[i])) {
            complain(reading, "table.partition_by",
                     "'table.partition_by': '%s' is neither a column nor year(c), month(c), "
                     "day(c), hour(c), bucket(N, c) or truncate(W, c)",
                     text);
            continue;
        }
        if (topic->table.partition_fields[i].argument > 0 &&
            topic->table.format != MOR_CONFIG_TABLE_ICEBERG)
            complain(reading, "table.partition_by",
                     "'table.partition_by': '%s' is for 'table.format: iceberg'", text);
        topic->table.partition_field_count++;
    }
}

static void check_location(struct mor_option_reading *reading, const char *path,
                           const char *location)
{
    if (!location)
        return;
    if (strncmp(location, "s3://", 5) == 0)
        complain(reading, path, "'%s: %.*s' is not supported in this version yet", path,
                 (int)(strchr(location, ':') - location), location);
    else if (location[0] != '/' && strncmp(location, "file:///", 8) != 0)
        complain(reading, path, "'%s' must be file:///path or an absolute path", path);
}

static bool is_known_catalog(const struct mor_config *config, const char *name)
{
    for (size_t i = 0; i < config->catalog_count; i++) {
        if (strcmp(config->catalogs[i].name, name) == 0)
            return true;
    }
    return false;
}

// A table has a location or is in a catalog; the location names it either way.
static void check_catalog(struct mor_option_reading *reading, const struct mor_config *config,
                          struct mor_config_topic *topic)
{
    const char *name = topic->table.catalog.name, *namespace_ = topic->table.catalog.namespace_;
    bool parts = namespace_ || topic->table.catalog.table;
    if (!name && !topic->table.location && !parts)
        complain(reading, "table.location",
                 "missing required key 'table.location' (or 'table.catalog')");
    if (!name && parts)
        complain(reading, "table.catalog.namespace", "'table.catalog' needs 'name'");
    if (!name)
        return;
    if (topic->table.location)
        complain(reading, "table.catalog.name",
                 "either 'table.location' or 'table.catalog': a catalog chooses the place");
    if (topic->table.format != MOR_CONFIG_TABLE_ICEBERG)
        complain(reading, "table.catalog.name", "'table.catalog' is for 'table.format: iceberg'");
    if (!is_known_catalog(config, name))
        complain(reading, "table.catalog.name", "no catalog '%s' in 'catalogs' of '%s'", name,
                 config->path);
    if (!topic->table.catalog.table)
        topic->table.catalog.table = topic->topic;
    const char *table = topic->table.catalog.table;
    if (!namespace_ || !*namespace_)
        complain(reading, "table.catalog.name", "'table.catalog' needs 'namespace'");
    else if (strpbrk(namespace_, "/:") || (table && strpbrk(table, "./:")))
        complain(reading, "table.catalog.namespace",
                 "'table.catalog': no '/' and ':' in names, and no '.' in the table's");
    else if (table)
        topic->table.location =
            mor_arena_printf(&reading->loader->memory->arena, "%s:%s.%s", name, namespace_, table);
}

// What the wire format and the place of the columns need of each other. `binary`: the format's name
// when its data cannot be read without a schema.
static void check_wire(struct mor_option_reading *reading, const struct mor_config *config,
                       const struct mor_config_topic *topic, const char *binary)
{
    enum mor_config_schema kind = topic->schema.kind;
    bool confluent = binary && topic->value.wire == MOR_CONFIG_WIRE_CONFLUENT;
    bool registry = confluent || kind == MOR_CONFIG_SCHEMA_REGISTRY;
    if (kind == MOR_CONFIG_SCHEMA_INFERRED && binary)
        complain(reading, "schema", "'schema: inferred' is for 'value.format: json'");
    if (kind == MOR_CONFIG_SCHEMA_REGISTRY && !mor_option_is_set(reading, "schema") &&
        !mor_option_is_set(reading, "schema.subject") && !binary)
        complain(reading, "schema",
                 "JSON needs 'schema': {fields: [...]}, {file: ...}, registry or inferred");
    else if (registry && !config->schema_registry.url)
        complain(reading, "schema", "this needs 'schema_registry.url' in '%s'", config->path);
    if (binary && !confluent && kind != MOR_CONFIG_SCHEMA_FILE &&
        kind != MOR_CONFIG_SCHEMA_INFERRED)
        complain(
            reading, "schema",
            "%s without the registry's header needs the writer's schema: 'schema: {file: ...}'",
            binary);
    if (topic->schema.message && topic->value.format != MOR_CONFIG_FORMAT_PROTOBUF)
        complain(reading, "schema.message", "'schema.message' is for 'value.format: protobuf'");
    if (topic->schema.subject && kind != MOR_CONFIG_SCHEMA_REGISTRY)
        complain(reading, "schema.subject", "'schema.subject' is for a schema from the registry");
}

// Where the columns come from, and reads the file when they come from one.
static void check_schema(struct mor_option_reading *reading, const struct mor_config *config,
                         struct mor_config_topic *topic)
{
    bool file = mor_option_is_set(reading, "schema.file"),
         fields = mor_option_is_set(reading, "schema.fields");
    bool avro = topic->value.format == MOR_CONFIG_FORMAT_AVRO;
    bool protobuf = topic->value.format == MOR_CONFIG_FORMAT_PROTOBUF;
    if (file && fields)
        complain(reading, "schema.fields", "'schema' has either 'file' or 'fields'");
    if (file)
        topic->schema.kind = MOR_CONFIG_SCHEMA_FILE;
    else if (fields)
        topic->schema.kind = MOR_CONFIG_SCHEMA_FIELDS;
    if (!mor_option_is_set(reading, "value.wire")) {
        bool registry = topic->schema.kind == MOR_CONFIG_SCHEMA_REGISTRY;
        topic->value.wire = registry ? MOR_CONFIG_WIRE_CONFLUENT : MOR_CONFIG_WIRE_BARE;
    } else if (!avro && !protobuf) {
        complain(reading, "value.wire", "'value.wire' is for 'value.format: avro' and 'protobuf'");
    }
    if (!mor_option_is_set(reading, "value.format"))
        return;
    if (topic->value.format == MOR_CONFIG_FORMAT_RAW) {
        if (mor_option_is_set(reading, "schema") || file || fields)
            complain(reading, "schema", "'value.format: raw' has no schema; see 'columns'");
        return;
    }
    check_wire(reading, config, topic, avro ? "Avro" : protobuf ? "Protobuf" : NULL);
    if (file && topic->schema.file) {
        struct mor_config_loader *loader = reading->loader;
        const char *reason = NULL;
        topic->schema.file = mor_config_resolve(loader, topic->schema.file);
        topic->schema.text = mor_config_read_file(loader, topic->schema.file,
                                                  &topic->schema.text_size_bytes, &reason);
        if (!topic->schema.text)
            complain(reading, "schema.file", "file '%s' %s", topic->schema.file, reason);
    }
}

// Names of columns can be checked here when the columns stand in this file.
static void check_column(struct mor_option_reading *reading, const struct mor_config_topic *topic,
                         const char *path, const char *column)
{
    if (!column || topic->schema.kind != MOR_CONFIG_SCHEMA_FIELDS || topic->schema.field_count == 0)
        return;
    const char **names =
        mor_arena_calloc(&reading->loader->memory->arena, topic->schema.field_count, sizeof *names);
    for (size_t i = 0; i < topic->schema.field_count; i++) {
        names[i] = topic->schema.fields[i].name;
        if (strcmp(names[i], column) == 0)
            return;
    }
    const char *nearest = mor_option_nearest(column, names, topic->schema.field_count);
    if (nearest)
        complain(reading, path, "'%s': there is no column '%s', did you mean '%s'?", path, column,
                 nearest);
    else
        complain(reading, path, "'%s': there is no column '%s'", path, column);
}

// What `columns` and `value` say together.
static void check_payload(struct mor_option_reading *reading, const struct mor_config_topic *topic)
{
    bool debezium = topic->value.envelope == MOR_CONFIG_ENVELOPE_DEBEZIUM;
    bool raw = topic->value.format == MOR_CONFIG_FORMAT_RAW;
    if (debezium && raw)
        complain(reading, "value.envelope", "'value.envelope' needs a value that is read, not raw");
    if (!debezium && (mor_option_is_set(reading, "value.debezium.truncate") ||
                      mor_option_is_set(reading, "value.debezium.unavailable")))
        complain(reading, "value.envelope", "'value.debezium' is for 'value.envelope: debezium'");
    if (topic->value.format != MOR_CONFIG_FORMAT_JSON &&
        mor_option_is_set(reading, "value.decimals"))
        complain(reading, "value.decimals", "'value.decimals' is for 'value.format: json'");
    for (size_t i = 0; i < topic->columns.count; i++) {
        const struct mor_config_column *column = &topic->columns.items[i];
        struct mor_place place = {column->line, column->column};
        if (!column->from)
            continue; // reported
        if (column->kind == MOR_CONFIG_COLUMN_FIELD && raw)
            mor_config_error(reading->loader, place, "'field' needs a value that is read, not raw");
        if (column->kind == MOR_CONFIG_COLUMN_DEBEZIUM && !debezium)
            mor_config_error(reading->loader, place, "'debezium' needs 'value.envelope: debezium'");
        if (column->kind == MOR_CONFIG_COLUMN_FIELD && column->type &&
            topic->value.format != MOR_CONFIG_FORMAT_JSON)
            mor_config_error(reading->loader, place,
                             "the type of a field comes from its schema; only JSON may name one");
    }
}

static void check_columns(struct mor_option_reading *reading, const struct mor_config_topic *topic)
{
    if (topic->columns.count > 0 || topic->value.envelope != MOR_CONFIG_ENVELOPE_NONE)
        return; // who reads the schema knows them
    check_column(reading, topic, "event_time.field", topic->event_time.field);
    check_column(reading, topic, "ordering", topic->ordering);
    check_column(reading, topic, "delete_when.field", topic->delete_when.field);
    for (size_t i = 0; i < topic->key.count; i++)
        check_column(reading, topic, "key", topic->key.items[i]);
    for (size_t i = 0; i < topic->table.partition_field_count; i++)
        check_column(reading, topic, "table.partition_by", topic->table.partition_fields[i].column);
}

static void check_merging(struct mor_option_reading *reading, const struct mor_config_topic *topic)
{
    if (topic->key.count == 0 && topic->ordering)
        complain(reading, "ordering", "'ordering' needs 'key'");
    if (topic->key.count == 0 && topic->delete_when.field)
        complain(reading, "delete_when.field", "'delete_when' needs 'key'");
    if (topic->delete_when.field && !mor_option_is_set(reading, "delete_when.equals"))
        complain(reading, "delete_when.equals", "missing required key 'delete_when.equals'");
    if (!topic->delete_when.field && mor_option_is_set(reading, "delete_when.equals"))
        complain(reading, "delete_when.field", "missing required key 'delete_when.field'");
    if (topic->table.hudi_table_version != 6 && topic->table.hudi_table_version != 9)
        complain(reading, "table.hudi.table_version", "'table.hudi.table_version' must be 6 or 9");
}

// What each format has and others have not.
static void check_format(struct mor_option_reading *reading, struct mor_config_topic *topic)
{
    bool iceberg = topic->table.format == MOR_CONFIG_TABLE_ICEBERG;
    if (!mor_option_is_set(reading, "table.buckets"))
        topic->table.buckets = iceberg ? BUCKETS_ICEBERG : BUCKETS_HUDI;
    if (!iceberg && mor_option_is_set(reading, "table.format_version"))
        complain(reading, "table.format_version",
                 "'table.format_version' is for 'table.format: iceberg'");
    if (iceberg && mor_option_is_set(reading, "table.hudi.table_version"))
        complain(reading, "table.hudi.table_version",
                 "'table.hudi.table_version' is for 'table.format: hudi'");
    if (iceberg && topic->key.count > 0 && topic->table.key_index == MOR_CONFIG_KEY_INDEX_OFF)
        complain(reading, "table.key_index",
                 "'table.key_index: off': rows of Iceberg tables are changed by their place, which "
                 "only the index knows; leave it out, or leave out 'key'");
}

void mor_config_check_topic(struct mor_option_reading *reading, const struct mor_config *config,
                            struct mor_config_topic *topic)
{
    struct mor_arena *arena = &reading->loader->memory->arena;
    if (!topic->topic && !mor_option_is_set(reading, "pattern"))
        mor_config_error(reading->loader, (struct mor_place){1, 1}, "missing required key 'topic'");
    else if (topic->topic && mor_option_is_set(reading, "pattern"))
        complain(reading, "pattern", "either 'topic' or 'pattern'");
    else if (topic->topic && !made_of(topic->topic, 249, "._-"))
        complain(reading, "topic",
                 "'topic' must be a Kafka topic name: up to 249 letters, digits, '.', '_' or '-'");
    if (!topic->group && topic->topic)
        topic->group = mor_arena_printf(arena, "moraine-%s", topic->topic);
    check_schema(reading, config, topic);
    check_payload(reading, topic);
    check_partitions(reading, topic);
    check_columns(reading, topic);
    check_merging(reading, topic);
    check_format(reading, topic);
    check_location(reading, "table.location", topic->table.location);
    check_catalog(reading, config, topic);
    check_location(reading, "dead_letter.location", topic->dead_letter.location);
}

static const char *plain_location(const char *location)
{
    return strncmp(location, "file://", 7) == 0 ? location + 7 : location;
}

void mor_config_check_topics(struct mor_config_loader *loader, const struct mor_config *config)
{
    for (size_t i = 0; i < config->topic_count; i++) {
        const struct mor_config_topic *topic = &config->topics[i];
        loader->file = topic->path;
        for (size_t other = 0; other < i; other++) {
            const struct mor_config_topic *first = &config->topics[other];
            struct mor_place whole = {0};
            if (topic->topic && first->topic && strcmp(topic->topic, first->topic) == 0)
                mor_config_error(loader, whole, "topic '%s' is also configured in '%s'",
                                 topic->topic, first->path);
            else if (topic->table.location && first->table.location &&
                     strcmp(plain_location(topic->table.location),
                            plain_location(first->table.location)) == 0)
                mor_config_error(loader, whole, "table '%s' is also written by '%s'",
                                 topic->table.location, first->path);
        }
    }
}
