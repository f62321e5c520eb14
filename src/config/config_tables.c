// Every option there is. docs/configuration.md is printed from these rows.
#include "config_options.h"

#define SERVICE(member_) offsetof(struct mor_config, member_)
#define TOPIC(member_)   offsetof(struct mor_config_topic, member_)
#define S                1000LL
#define MINUTE           (60 * S)
#define HOUR             (60 * MINUTE)
#define DAY              (24 * HOUR)
#define KIB              1024LL
#define MIB              (1024 * KIB)
#define GIB              (1024 * MIB)
#define TIB              (1024 * GIB)

static const struct mor_option_choice log_levels[] = {
    {"debug", MOR_LOG_DEBUG, false}, {"info", MOR_LOG_INFO, false}, {"warn", MOR_LOG_WARN, false},
    {"error", MOR_LOG_ERROR, false}, {"off", MOR_LOG_OFF, false},   {NULL, 0, false},
};
static const struct mor_option_choice log_formats[] = {
    {"logfmt", MOR_LOG_LOGFMT, false}, {"json", MOR_LOG_JSON, false}, {NULL, 0, false}};

const struct mor_option mor_service_options[] = {
    {"instance", MOR_OPTION_TEXT, SERVICE(instance), NULL, 0, 0, NULL, 0,
     "Name of this process among those that share the tables: letters, digits, `.`, `_`, `-`. "
     "Default: the host name."},
    {"state_dir", MOR_OPTION_TEXT, SERVICE(state_dir), "/var/lib/moraine", 0, 0, NULL, 0,
     "Folder of the local state, a cache that can be deleted at any time."},
    {"memory", MOR_OPTION_SIZE, SERVICE(memory_bytes), "512MiB", 64 * MIB, 4 * TIB, NULL, 0,
     "Memory budget of the process. When it is nearly spent, intake pauses."},
    {"lanes", MOR_OPTION_COUNT, SERVICE(lanes), NULL, 1, 256, NULL, 0,
     "Threads that turn records into files. Default: the number of cores."},
    {"shutdown_timeout", MOR_OPTION_DURATION, SERVICE(shutdown_timeout_ms), "30s", 1 * S, 1 * HOUR,
     NULL, 0, "Time for the last commit after SIGTERM."},
    {"log.level", MOR_OPTION_CHOICE, SERVICE(log.level), "info", 0, 0, log_levels, 0,
     "Least important lines to write."},
    {"log.format", MOR_OPTION_CHOICE, SERVICE(log.format), "logfmt", 0, 0, log_formats, 0,
     "Form of a log line."},
    {"http.listen", MOR_OPTION_TEXT, SERVICE(http.listen), "127.0.0.1:8090", 0, 0, NULL, 0,
     "`host:port` of status page, health, lag and metrics; `off` for none."},
    {"http.token", MOR_OPTION_TEXT, SERVICE(http.token), NULL, 0, 0, NULL, 0,
     "Bearer token for POST requests. Without one they are refused."},
    {"kafka", MOR_OPTION_PROPERTIES, SERVICE(kafka), NULL, 0, 0, NULL, MOR_OPTION_REQUIRED,
     "Properties of librdkafka, passed on as they are; `bootstrap.servers` is required. Those that "
     "would break "
     "exactly-once are refused."},
    {"schema_registry.url", MOR_OPTION_TEXT, SERVICE(schema_registry.url), NULL, 0, 0, NULL, 0,
     "Confluent-compatible schema registry."},
    {"schema_registry.username", MOR_OPTION_TEXT, SERVICE(schema_registry.username), NULL, 0, 0,
     NULL, 0, "User for basic authentication."},
    {"schema_registry.password", MOR_OPTION_TEXT, SERVICE(schema_registry.password), NULL, 0, 0,
     NULL, 0, "Password for basic authentication."},
    {"schema_registry.ca_location", MOR_OPTION_TEXT, SERVICE(schema_registry.ca_location), NULL, 0,
     0, NULL, 0, "File with the certificates to trust. Default: the system's."},
    {"schema_registry.timeout", MOR_OPTION_DURATION, SERVICE(schema_registry.timeout_ms), "5s", 100,
     10 * MINUTE, NULL, 0, "Limit of one request."},
    {"storage.s3.endpoint", MOR_OPTION_TEXT, SERVICE(s3.endpoint), NULL, 0, 0, NULL,
     MOR_OPTION_IDLE, "URL of an S3-compatible store. Default: AWS."},
    {"storage.s3.region", MOR_OPTION_TEXT, SERVICE(s3.region), "us-east-1", 0, 0, NULL,
     MOR_OPTION_IDLE, "Region."},
    {"storage.s3.path_style", MOR_OPTION_BOOL, SERVICE(s3.path_style), "false", 0, 0, NULL,
     MOR_OPTION_IDLE, "Bucket in the path instead of the host name."},
    {"storage.s3.access_key_id", MOR_OPTION_TEXT, SERVICE(s3.access_key_id), NULL, 0, 0, NULL,
     MOR_OPTION_IDLE,
     "Access key. Default: environment, web identity, container and instance metadata."},
    {"storage.s3.secret_access_key", MOR_OPTION_TEXT, SERVICE(s3.secret_access_key), NULL, 0, 0,
     NULL, MOR_OPTION_IDLE, "Secret of the access key."},
    {"storage.s3.session_token", MOR_OPTION_TEXT, SERVICE(s3.session_token), NULL, 0, 0, NULL,
     MOR_OPTION_IDLE, "Token of temporary credentials."},
    {"catalogs", MOR_OPTION_CATALOGS, SERVICE(catalogs), NULL, 0, 0, NULL, 0,
     "Iceberg REST catalogs by name: `{type: rest, uri, warehouse, token, credential, scope, "
     "oauth2_server_uri, ca_location}`; `type` and `uri` (without `/v1`) are required. `token`: a "
     "bearer token; `credential`: `id:secret` for OAuth2's client credentials, with `scope` "
     "(default `catalog`) from `oauth2_server_uri` (default: the catalog's own). Tables in them "
     "are written `name:namespace.table` on the command line."},
    {"topics", MOR_OPTION_TEXTS, SERVICE(topics_from), NULL, 0, 0, NULL, MOR_OPTION_REQUIRED,
     "Topic files: a glob or a list of globs, relative to this file."},
    {NULL, MOR_OPTION_TEXT, 0, NULL, 0, 0, NULL, 0, NULL},
};

static const struct mor_option_choice starts[] = {{"earliest", MOR_CONFIG_START_EARLIEST, false},
                                                  {"latest", MOR_CONFIG_START_LATEST, false},
                                                  {NULL, 0, false}};
static const struct mor_option_choice formats[] = {
    {"avro", MOR_CONFIG_FORMAT_AVRO, false},
    {"json", MOR_CONFIG_FORMAT_JSON, false},
    {"protobuf", MOR_CONFIG_FORMAT_PROTOBUF, false},
    {"raw", MOR_CONFIG_FORMAT_RAW, false},
    {NULL, 0, false},
};
static const struct mor_option_choice envelopes[] = {
    {"none", MOR_CONFIG_ENVELOPE_NONE, false},
    {"debezium", MOR_CONFIG_ENVELOPE_DEBEZIUM, false},
    {NULL, 0, false}};
static const struct mor_option_choice truncates[] = {{"ignore", MOR_CONFIG_TRUNCATE_IGNORE, false},
                                                     {"stop", MOR_CONFIG_TRUNCATE_STOP, false},
                                                     {NULL, 0, false}};
static const struct mor_option_choice unavailables[] = {
    {"null", MOR_CONFIG_UNAVAILABLE_NULL, false},
    {"keep", MOR_CONFIG_UNAVAILABLE_KEEP, false},
    {"dead_letter", MOR_CONFIG_UNAVAILABLE_DEAD_LETTER, false},
    {NULL, 0, false}};
static const struct mor_option_choice decimal_texts[] = {
    {"auto", MOR_CONFIG_DECIMALS_AUTO, false},
    {"text", MOR_CONFIG_DECIMALS_TEXT, false},
    {"base64", MOR_CONFIG_DECIMALS_BASE64, false},
    {NULL, 0, false}};
static const struct mor_option_choice wires[] = {{"confluent", MOR_CONFIG_WIRE_CONFLUENT, false},
                                                 {"bare", MOR_CONFIG_WIRE_BARE, false},
                                                 {NULL, 0, false}};
static const struct mor_option_choice key_formats[] = {
    {"auto", MOR_CONFIG_KEY_AUTO, false},
    {"string", MOR_CONFIG_KEY_STRING, false},
    {"json", MOR_CONFIG_KEY_JSON, false},
    {"avro", MOR_CONFIG_KEY_AVRO, false},
    {NULL, 0, false},
};
static const struct mor_option_choice schemas[] = {{"registry", MOR_CONFIG_SCHEMA_REGISTRY, false},
                                                   {"inferred", MOR_CONFIG_SCHEMA_INFERRED, false},
                                                   {NULL, 0, false}};
static const struct mor_option_choice time_units[] = {
    {"s", MOR_CONFIG_TIME_S, false},
    {"ms", MOR_CONFIG_TIME_MS, false},
    {"us", MOR_CONFIG_TIME_US, false},
    {"ns", MOR_CONFIG_TIME_NS, false},
    {NULL, 0, false},
};
static const struct mor_option_choice key_indexes[] = {
    {"auto", MOR_CONFIG_KEY_INDEX_AUTO, false},
    {"on", MOR_CONFIG_KEY_INDEX_ON, false},
    {"off", MOR_CONFIG_KEY_INDEX_OFF, false},
    {NULL, 0, false},
};
static const struct mor_option_choice schema_changes[] = {
    {"evolve", MOR_CONFIG_CHANGES_EVOLVE, false},
    {"freeze", MOR_CONFIG_CHANGES_FREEZE, false},
    {"stop", MOR_CONFIG_CHANGES_STOP, false},
    {NULL, 0, false},
};
static const struct mor_option_choice late_policies[] = {
    {"merge", MOR_CONFIG_LATE_MERGE, false},
    {"dead_letter", MOR_CONFIG_LATE_DEAD_LETTER, false},
    {"drop", MOR_CONFIG_LATE_DROP, false},
    {NULL, 0, false},
};
static const struct mor_option_choice table_formats[] = {
    {"hudi", MOR_CONFIG_TABLE_HUDI, false},
    {"iceberg", MOR_CONFIG_TABLE_ICEBERG, false},
    {"delta", MOR_CONFIG_TABLE_DELTA, true},
    {NULL, 0, false},
};
static const struct mor_option_choice codecs[] = {
    {"zstd", MOR_CONFIG_CODEC_ZSTD, false},
    {"snappy", MOR_CONFIG_CODEC_SNAPPY, false},
    {"gzip", MOR_CONFIG_CODEC_GZIP, false},
    {"none", MOR_CONFIG_CODEC_NONE, false},
    {NULL, 0, false},
};
static const struct mor_option_choice compactions[] = {
    {"auto", MOR_CONFIG_COMPACTION_AUTO, false},
    {"external", MOR_CONFIG_COMPACTION_EXTERNAL, false},
    {"off", MOR_CONFIG_COMPACTION_OFF, false},
    {NULL, 0, false},
};
static const struct mor_option_choice cluster_orders[] = {
    {"value", MOR_CONFIG_CLUSTER_BY_VALUE, false},
    {"z", MOR_CONFIG_CLUSTER_BY_Z_ORDER, false},
    {NULL, 0, false},
};
static const struct mor_option_choice on_errors[] = {
    {"dead_letter", MOR_CONFIG_ON_ERROR_DEAD_LETTER, false},
    {"stop", MOR_CONFIG_ON_ERROR_STOP, false},
    {NULL, 0, false}};

const struct mor_option mor_topic_options[] = {
    {"topic", MOR_OPTION_TEXT, TOPIC(topic), NULL, 0, 0, NULL, 0, "Name of the Kafka topic."},
    {"pattern", MOR_OPTION_TEXT, TOPIC(pattern), NULL, 0, 0, NULL, MOR_OPTION_UNSUPPORTED,
     "Instead of `topic`: regular expression over topic names."},
    {"group", MOR_OPTION_TEXT, TOPIC(group), NULL, 0, 0, NULL, 0,
     "Consumer group. Default: `moraine-` and the topic's name."},
    {"start", MOR_OPTION_CHOICE, TOPIC(start), "earliest", 0, 0, starts, 0,
     "Where a partition without an offset in the table begins at the very first start. Partitions "
     "added later "
     "begin at their first record."},
    {"value.format", MOR_OPTION_CHOICE, TOPIC(value.format), NULL, 0, 0, formats,
     MOR_OPTION_REQUIRED, "Encoding of record values. `raw` reads nothing of them."},
    {"value.envelope", MOR_OPTION_CHOICE, TOPIC(value.envelope), "none", 0, 0, envelopes, 0,
     "Change-event envelope around the row; see below."},
    {"value.wire", MOR_OPTION_CHOICE, TOPIC(value.wire), NULL, 0, 0, wires, 0,
     "Avro and Protobuf: `confluent` = five bytes with the schema's id come first (and Protobuf's "
     "message indexes), `bare` = they do not. "
     "Default: `confluent` with "
     "`schema: registry`, else `bare`."},
    {"value.decimals", MOR_OPTION_CHOICE, TOPIC(value.decimals), "auto", 0, 0, decimal_texts, 0,
     "JSON: what a decimal given as a string is: `text` = digits, `base64` = Kafka Connect's bytes "
     "(Debezium's `precise`). `auto`: `base64` with an envelope, else `text`."},
    {"value.debezium.truncate", MOR_OPTION_CHOICE, TOPIC(value.debezium.truncate), "stop", 0, 0,
     truncates, 0,
     "What a truncated source table does to the topic: `stop` with an error, or `ignore` it "
     "(counted "
     "as filtered). Deleting every row is not possible."},
    {"value.debezium.unavailable", MOR_OPTION_CHOICE, TOPIC(value.debezium.unavailable),
     "dead_letter", 0, 0, unavailables, 0,
     "A column whose value Debezium did not get because it is unchanged and stored out of line "
     "(`__debezium_unavailable_value`): `dead_letter`, write `null`, or `keep` the marker as the "
     "value. The old value cannot be kept: rows are written without reading them. "
     "`REPLICA IDENTITY FULL` avoids it."},
    {"message_key.format", MOR_OPTION_CHOICE, TOPIC(message_key.format), "auto", 0, 0, key_formats,
     0,
     "How the keys of tombstones are read; `auto` goes by the value's format and the key columns."},
    {"schema", MOR_OPTION_CHOICE, TOPIC(schema.kind), "registry", 0, 0, schemas, 0,
     "Where the columns come from: `registry`, `{file: orders.avsc}`, `{fields: [...]}`, or "
     "`inferred` "
     "from the first JSON records and from then on those of the table; see below."},
    {"schema.file", MOR_OPTION_TEXT, TOPIC(schema.file), NULL, 0, 0, NULL, 0,
     "A schema file, relative to this file: Avro's JSON; for JSON also a JSON Schema; for Protobuf "
     "a `.proto` text without "
     "imports other than Google's, or what `protoc --include_imports --descriptor_set_out` "
     "writes."},
    {"schema.subject", MOR_OPTION_TEXT, TOPIC(schema.subject), NULL, 0, 0, NULL, 0,
     "Subject of the registry whose newest schema has the columns. Default: the topic's name and "
     "`-value` (TopicNameStrategy). With RecordNameStrategy name the record, with "
     "TopicRecordNameStrategy topic and record: `orders-com.acme.Order`."},
    {"schema.message", MOR_OPTION_TEXT, TOPIC(schema.message), NULL, 0, 0, NULL, 0,
     "Protobuf: the message with its package that the records are; records of another one are dead "
     "letters. Default: the first of the file."},
    {"schema.fields", MOR_OPTION_FIELDS, TOPIC(schema.fields), NULL, 0, 0, NULL, 0,
     "The columns: a list of `{name: id, type: long, nullable: false}`; see below."},
    {"columns", MOR_OPTION_COLUMNS, TOPIC(columns), NULL, 0, 0, NULL, 0,
     "Columns chosen by hand: fields of the payload, Kafka headers, constants, coordinates; see "
     "below."},
    {"limits.value_size", MOR_OPTION_SIZE, TOPIC(limits.value_size_bytes), "32MiB", 1 * KIB,
     1 * GIB, NULL, 0, "Longest value or message key; no text, list or map in it can be longer."},
    {"limits.depth", MOR_OPTION_COUNT, TOPIC(limits.depth), "64", 1, 64, NULL, 0,
     "Deepest nesting of a JSON value."},
    {"limits.elements", MOR_OPTION_COUNT, TOPIC(limits.elements), "1000000", 1, 1000000000, NULL, 0,
     "Elements of one list or map, and headers of one record."},
    {"schema_changes", MOR_OPTION_CHOICE, TOPIC(schema_changes), "evolve", 0, 0, schema_changes, 0,
     "What happens when a producer's schema changes in the registry: `evolve` adds its new fields, "
     "nested ones too, and widens types in the table, in the commit that has the first such "
     "record; "
     "`freeze` leaves new fields out, also after a restart; `stop` stops the topic, which takes "
     "the "
     "change in when it is started again. A change that the table cannot follow stops it in any "
     "case, but with `freeze`, where its records are dead letters."},
    {"event_time.field", MOR_OPTION_TEXT, TOPIC(event_time.field), NULL, 0, 0, NULL, 0,
     "Column with the event's time, of the payload or of a header (see `columns`). Default: "
     "Kafka's timestamp."},
    {"event_time.unit", MOR_OPTION_CHOICE, TOPIC(event_time.unit), "ms", 0, 0, time_units, 0,
     "Unit of that column when it is a number."},
    {"event_time.format", MOR_OPTION_TEXT, TOPIC(event_time.format), NULL, 0, 0, NULL, 0,
     "How that column is read when it is a text, as strptime(3) has it (`%d/%m/%Y %H:%M:%S`), in "
     "UTC; `epoch`: it holds a number (`1767323045`, `1767323045.678`) in that unit. Default: ISO "
     "8601."},
    {"event_time.max_lateness", MOR_OPTION_DURATION, TOPIC(event_time.max_lateness_ms), "10m", 0,
     3650 * DAY, NULL, 0, "How far the watermark stays behind the newest event."},
    {"event_time.idle_after", MOR_OPTION_DURATION, TOPIC(event_time.idle_after_ms), "1m", 1 * S,
     30 * DAY, NULL, 0,
     "A Kafka partition without records for this long, with nothing left to read, no longer holds "
     "the table's watermark back."},
    {"event_time.max_future", MOR_OPTION_DURATION, TOPIC(event_time.max_future_ms), "24h", 0,
     3650 * DAY, NULL, 0,
     "Event times further ahead of the clock than this do not move the watermark; they are "
     "counted."},
    {"event_time.watermark_interval", MOR_OPTION_DURATION, TOPIC(event_time.watermark_interval_ms),
     "0s", 0, DAY, NULL, 0,
     "How often a commit without records may be made when only the watermark moves, because "
     "partitions turn idle; 0s = never."},
    {"event_time.late", MOR_OPTION_CHOICE, TOPIC(event_time.late), "merge", 0, 0, late_policies, 0,
     "What happens to events behind the watermark of their Kafka partition: `merge` takes them in "
     "like others, `dead_letter` keeps them aside, `drop` only counts them."},
    {"key", MOR_OPTION_TEXTS, TOPIC(key), NULL, 0, 0, NULL, 0,
     "Key columns. Leave out for an append-only table."},
    {"ordering", MOR_OPTION_TEXT, TOPIC(ordering), NULL, 0, 0, NULL, 0,
     "Of two rows with one key the one with the higher value here wins; ties: the later Kafka "
     "offset. Default: the "
     "later Kafka offset."},
    {"delete_when.field", MOR_OPTION_TEXT, TOPIC(delete_when.field), NULL, 0, 0, NULL, 0,
     "Column that marks deletes, besides Kafka tombstones."},
    {"delete_when.equals", MOR_OPTION_TEXT, TOPIC(delete_when.equals), NULL, 0, 0, NULL, 0,
     "Value of that column, as text, that deletes the row."},
    {"dedup.by", MOR_OPTION_TEXTS, TOPIC(dedup.by), NULL, 0, 0, NULL, 0,
     "Columns that identify an event; a second one within the window is dropped. All copies of an "
     "event must come through one Kafka partition when several instances share the topic."},
    {"dedup.window", MOR_OPTION_DURATION, TOPIC(dedup.window_ms), "24h", 1 * S, 365 * DAY, NULL, 0,
     "How long an event is remembered, in event time behind the watermark."},
    {"table.format", MOR_OPTION_CHOICE, TOPIC(table.format), "hudi", 0, 0, table_formats, 0,
     "Table format."},
    {"table.location", MOR_OPTION_TEXT, TOPIC(table.location), NULL, 0, 0, NULL, 0,
     "Folder of the table: `file:///path` or an absolute path. Required, unless the table is in a "
     "catalog."},
    {"table.catalog.name", MOR_OPTION_TEXT, TOPIC(table.catalog.name), NULL, 0, 0, NULL, 0,
     "Instead of a location: the catalog, one of `catalogs` in the service file, that an Iceberg "
     "table is in. The catalog chooses where a new table lies."},
    {"table.catalog.namespace", MOR_OPTION_TEXT, TOPIC(table.catalog.namespace_), NULL, 0, 0, NULL,
     0, "Namespace in the catalog; levels are separated by dots. It is made when it is missing."},
    {"table.catalog.table", MOR_OPTION_TEXT, TOPIC(table.catalog.table), NULL, 0, 0, NULL, 0,
     "The table's name in the catalog. Default: the topic's."},
    {"table.name", MOR_OPTION_TEXT, TOPIC(table.name), NULL, 0, 0, NULL, 0,
     "Table name in the metadata. Default: last part of the location."},
    {"table.database", MOR_OPTION_TEXT, TOPIC(table.database), "default", 0, 0, NULL, 0,
     "Database name in the metadata."},
    {"table.codec", MOR_OPTION_CHOICE, TOPIC(table.codec), "zstd", 0, 0, codecs, MOR_OPTION_IDLE,
     "Compression of Parquet files."},
    {"table.partition_by", MOR_OPTION_TEXTS, TOPIC(table.partition_by), NULL, 0, 0, NULL, 0,
     "Partitioning: columns, or `year(c)`, `month(c)`, `day(c)`, `hour(c)`; with Iceberg also "
     "`bucket(N, c)` and `truncate(W, c)`."},
    {"table.buckets", MOR_OPTION_COUNT, TOPIC(table.buckets), NULL, 1, 65536, NULL, 0,
     "Keyed tables. Hudi: file groups per partition, by hash of the key, fixed when the table is "
     "created; default 8. Iceberg: data files that a commit writes side by side into a partition; "
     "default 1."},
    {"table.provenance", MOR_OPTION_BOOL, TOPIC(table.provenance), "true", 0, 0, NULL, 0,
     "Columns `_kafka_partition` and `_kafka_offset`."},
    {"table.key_index", MOR_OPTION_CHOICE, TOPIC(table.key_index), "auto", 0, 0, key_indexes, 0,
     "Whether the service knows of each key where its row is and the highest ordering value it has "
     "had, so that late records and keys that move to another partition of the table come out "
     "right. `auto`: for keyed topics with `ordering` or `table.partition_by`, and for all keyed "
     "topics of Iceberg tables, whose rows are removed by their place, which only the index knows: "
     "`off` is not possible there."},
    {"table.format_version", MOR_OPTION_COUNT, TOPIC(table.format_version), "2", 2, 3, NULL, 0,
     "Iceberg version of a new table: 2 (deletes in position-delete files, read by everything) or "
     "3 (deletion vectors, row ids)."},
    {"table.hudi.table_version", MOR_OPTION_COUNT, TOPIC(table.hudi_table_version), "6", 6, 9, NULL,
     0, "Hudi table version to create: 6 (read by everything) or 9 (Hudi 1.1 and newer)."},
    {"commit.interval", MOR_OPTION_DURATION, TOPIC(commit.interval_ms), "10s", 100, 1 * HOUR, NULL,
     0,
     "How old a batch's first record is when its commit shows it. The batch is cut earlier by what "
     "the last commit took, but by a quarter of this at most."},
    {"commit.max_rows", MOR_OPTION_COUNT, TOPIC(commit.max_rows), "1000000", 1, 1000000000, NULL, 0,
     "Records in a batch."},
    {"commit.max_bytes", MOR_OPTION_SIZE, TOPIC(commit.max_bytes), "128MiB", 1 * KIB, 64 * GIB,
     NULL, 0, "Bytes of keys and values in a batch."},
    {"compaction.mode", MOR_OPTION_CHOICE, TOPIC(compaction.mode), "auto", 0, 0, compactions, 0,
     "`auto` inside the service, `external` by another engine, `off`."},
    {"compaction.max_delta_files", MOR_OPTION_COUNT, TOPIC(compaction.max_delta_files), "10", 1,
     10000, NULL, 0, "Delta files of a file group that make it due."},
    {"compaction.max_delta_ratio", MOR_OPTION_RATIO, TOPIC(compaction.max_delta_ratio), "0.3", 1,
     100000, NULL, 0,
     "Bytes of delta files to bytes of the base file that make it due, from 1 MiB of deltas on."},
    {"compaction.target_file_size", MOR_OPTION_SIZE, TOPIC(compaction.target_file_size_bytes),
     "256MiB", 1 * MIB, 16 * GIB, NULL, 0,
     "Append-only tables: files below half of it are gathered into files of about this size. Keyed "
     "tables: so many bytes of deltas make a file group due."},
    {"compaction.cluster_by", MOR_OPTION_TEXTS, TOPIC(compaction.cluster_by), NULL, 0, 0, NULL, 0,
     "Append-only tables: rows of gathered files are sorted by these columns, row group by row "
     "group."},
    {"compaction.cluster_order", MOR_OPTION_CHOICE, TOPIC(compaction.cluster_order), "value", 0, 0,
     cluster_orders, 0,
     "`value`: by the first column, then the next; `z`: along a Z curve, so that conditions on "
     "each "
     "column leave files unread."},
    {"retention.age", MOR_OPTION_DURATION, TOPIC(retention.age_ms), "7d", 1 * MINUTE, 3650 * DAY,
     NULL, 0,
     "Snapshots younger than this stay readable, of Iceberg tables at most the newest 500; delta "
     "files are merged at this age."},
    {"retention.min_snapshots", MOR_OPTION_COUNT, TOPIC(retention.min_snapshots), "10", 1, 1000000,
     NULL, 0, "So many newest snapshots stay readable whatever their age."},
    {"dead_letter.location", MOR_OPTION_TEXT, TOPIC(dead_letter.location), NULL, 0, 0, NULL, 0,
     "Folder of a table for the dead letters: `file:///path` or an absolute path; of the topic's "
     "table format, append-only, exactly once. Default: the local file "
     "`<state_dir>/dead_letters/<topic>.jsonl`."},
    {"dead_letter.topic", MOR_OPTION_TEXT, TOPIC(dead_letter.topic), NULL, 0, 0, NULL, 0,
     "Instead of a location: Kafka topic for the dead letters. Key and value as they were, "
     "coordinates and reason as headers `moraine.*`; a letter may come twice after a crash."},
    {"max_dead_letter_ratio", MOR_OPTION_RATIO, TOPIC(dead_letter.max_ratio), "0.9", 1, 1000, NULL,
     0,
     "Share of dead letters among the records read, from 1,000 records on, above which the topic "
     "stops: then its schema or format is wrong, and not its records. 1 = never."},
    {"on_error", MOR_OPTION_CHOICE, TOPIC(on_error), "dead_letter", 0, 0, on_errors, 0,
     "What happens to a record that cannot be read: `dead_letter`, or `stop` the topic."},
    {NULL, MOR_OPTION_TEXT, 0, NULL, 0, 0, NULL, 0, NULL},
};

// The places of a reading are an array of fixed size, with room for one row that ends the table.
_Static_assert(sizeof mor_service_options / sizeof mor_service_options[0] <= MOR_OPTION_ROWS_MAX,
               "too many rows");
_Static_assert(sizeof mor_topic_options / sizeof mor_topic_options[0] <= MOR_OPTION_ROWS_MAX,
               "too many rows");
_Static_assert(sizeof(enum mor_log_level) == sizeof(int), "a choice is stored as an int");
