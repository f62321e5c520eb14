// The configuration: YAML files into plain structs, with errors that point at the place of the
// mistake.
//
// One service file and one file per topic (names and meaning: docs/configuration.md, which is
// generated from the same tables that read the files). A struct here holds checked values only:
// units are converted, defaults filled in, ${env:NAME} and ${file:PATH} replaced. Nothing here
// knows columns, tables or Kafka: types, partition columns and librdkafka's properties are passed
// on as text.
#ifndef MORAINE_CONFIG_H
#define MORAINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "moraine/base/log.h"
#include "moraine/base/status.h"

// ---- topics -------------------------------------------------------------------------------------

enum mor_config_format {
    MOR_CONFIG_FORMAT_AVRO,
    MOR_CONFIG_FORMAT_JSON,
    MOR_CONFIG_FORMAT_PROTOBUF,
    MOR_CONFIG_FORMAT_RAW
};
enum mor_config_envelope { MOR_CONFIG_ENVELOPE_NONE, MOR_CONFIG_ENVELOPE_DEBEZIUM };
enum mor_config_truncate { MOR_CONFIG_TRUNCATE_IGNORE, MOR_CONFIG_TRUNCATE_STOP };
enum mor_config_unavailable {
    MOR_CONFIG_UNAVAILABLE_NULL,
    MOR_CONFIG_UNAVAILABLE_KEEP,
    MOR_CONFIG_UNAVAILABLE_DEAD_LETTER
};
enum mor_config_decimals {
    MOR_CONFIG_DECIMALS_AUTO,
    MOR_CONFIG_DECIMALS_TEXT,
    MOR_CONFIG_DECIMALS_BASE64
};
enum mor_config_wire { MOR_CONFIG_WIRE_BARE, MOR_CONFIG_WIRE_CONFLUENT };
enum mor_config_key_format {
    MOR_CONFIG_KEY_AUTO,
    MOR_CONFIG_KEY_STRING,
    MOR_CONFIG_KEY_JSON,
    MOR_CONFIG_KEY_AVRO
};
enum mor_config_schema {
    MOR_CONFIG_SCHEMA_REGISTRY,
    MOR_CONFIG_SCHEMA_FILE,
    MOR_CONFIG_SCHEMA_FIELDS,
    MOR_CONFIG_SCHEMA_INFERRED
};
enum mor_config_start { MOR_CONFIG_START_EARLIEST, MOR_CONFIG_START_LATEST };
enum mor_config_time_unit {
    MOR_CONFIG_TIME_S,
    MOR_CONFIG_TIME_MS,
    MOR_CONFIG_TIME_US,
    MOR_CONFIG_TIME_NS
};
enum mor_config_key_index {
    MOR_CONFIG_KEY_INDEX_AUTO,
    MOR_CONFIG_KEY_INDEX_ON,
    MOR_CONFIG_KEY_INDEX_OFF
};
enum mor_config_late { MOR_CONFIG_LATE_MERGE, MOR_CONFIG_LATE_DEAD_LETTER, MOR_CONFIG_LATE_DROP };
enum mor_config_changes {
    MOR_CONFIG_CHANGES_EVOLVE,
    MOR_CONFIG_CHANGES_FREEZE,
    MOR_CONFIG_CHANGES_STOP
};
enum mor_config_table_format {
    MOR_CONFIG_TABLE_HUDI,
    MOR_CONFIG_TABLE_ICEBERG,
    MOR_CONFIG_TABLE_DELTA
};
enum mor_config_codec {
    MOR_CONFIG_CODEC_ZSTD,
    MOR_CONFIG_CODEC_SNAPPY,
    MOR_CONFIG_CODEC_GZIP,
    MOR_CONFIG_CODEC_NONE
};
enum mor_config_transform {
    MOR_CONFIG_PARTITION_IDENTITY,
    MOR_CONFIG_PARTITION_YEAR,
    MOR_CONFIG_PARTITION_MONTH,
    MOR_CONFIG_PARTITION_DAY,
    MOR_CONFIG_PARTITION_HOUR,
    MOR_CONFIG_PARTITION_BUCKET,
    MOR_CONFIG_PARTITION_TRUNCATE
};
enum mor_config_compaction {
    MOR_CONFIG_COMPACTION_AUTO,
    MOR_CONFIG_COMPACTION_EXTERNAL,
    MOR_CONFIG_COMPACTION_OFF
};

enum mor_config_cluster_order { MOR_CONFIG_CLUSTER_BY_VALUE, MOR_CONFIG_CLUSTER_BY_Z_ORDER };
enum mor_config_on_error { MOR_CONFIG_ON_ERROR_DEAD_LETTER, MOR_CONFIG_ON_ERROR_STOP };

struct mor_config_texts {
    const char **items;
    size_t count;
};

// A column as the topic file declares it. `type` is text ("long", "decimal(12,2)", "list<string>");
// NULL when the column is a struct, whose fields are the children.
struct mor_config_field {
    const char *name;
    const char *type;
    const char *doc; // NULL = none
    bool nullable;
    struct mor_config_field *children;
    size_t child_count;
    int64_t line, column; // place in the file, for errors of whoever reads the type
};

// A column that the topic's file asks for by itself; see `columns` in the manual.
enum mor_config_column_kind {
    MOR_CONFIG_COLUMN_FIELD, // of the payload: names separated by dots
    MOR_CONFIG_COLUMN_HEADER,
    MOR_CONFIG_COLUMN_CONSTANT,
    MOR_CONFIG_COLUMN_KAFKA,
    MOR_CONFIG_COLUMN_DEBEZIUM
};
struct mor_config_column {
    enum mor_config_column_kind kind;
    const char *from; // field, header's name, value, or what of Kafka or Debezium
    const char *as;   // the column's name
    const char *type; // NULL = its own
    int64_t line, column;
};

struct mor_config_partition_field {
    const char *column;
    enum mor_config_transform transform;
    int64_t argument; // of bucket and truncate; 0 = none
};

struct mor_place;
struct mor_config_topic {
    const char *path;    // the file, as opened
    const char *topic;   // NULL when `pattern` is set
    const char *pattern; // regular expression starting with '^', NULL when `topic` is set
    const char *group;   // consumer group
    enum mor_config_start start;

    struct {
        enum mor_config_format format;
        enum mor_config_envelope envelope;
        enum mor_config_wire wire; // Avro: with or without the Confluent header
        enum mor_config_decimals decimals;
        struct {
            enum mor_config_truncate truncate;
            enum mor_config_unavailable unavailable;
        } debezium;
    } value;
    struct {
        enum mor_config_key_format format;
    } message_key;

    struct {
        enum mor_config_schema kind;
        const char *file; // FILE: its path, for messages
        const char *text; // FILE: its contents, zero-terminated besides
        size_t text_size_bytes;
        const char *subject;             // REGISTRY: NULL = "<topic>-value"
        const char *message;             // Protobuf: NULL = the first of the file
        struct mor_config_field *fields; // FIELDS
        size_t field_count;
    } schema;

    struct {
        struct mor_config_column *items;
        size_t count;
    } columns;
    struct {
        int64_t value_size_bytes;
        int64_t depth;
        int64_t elements;
    } limits;

    enum mor_config_changes schema_changes;
    struct {
        const char *field;              // NULL = Kafka's timestamp
        enum mor_config_time_unit unit; // of fields that are numbers
        const char *format;             // of text fields: NULL = ISO 8601, "epoch" = numbers
        int64_t max_lateness_ms;
        int64_t idle_after_ms;
        int64_t max_future_ms;
        int64_t watermark_interval_ms; // 0 = never
        enum mor_config_late late;
    } event_time;

    struct mor_config_texts key; // none = append-only
    const char *ordering;        // NULL = Kafka's offset decides
    struct {
        const char *field; // NULL = Kafka tombstones only
        const char *equals;
    } delete_when;
    struct {
        struct mor_config_texts by;
        int64_t window_ms;
    } dedup;

    struct {
        enum mor_config_table_format format;
        const char *location; // also of a table in a catalog: "name:namespace.table"
        struct {
            const char *name, *namespace_, *table; // NULL = the table is in none
        } catalog;
        const char *name; // NULL = last part of the location
        const char *database;
        enum mor_config_codec codec;
        struct mor_config_texts partition_by;                // as written
        struct mor_config_partition_field *partition_fields; // the same, parsed
        size_t partition_field_count;
        int64_t buckets;
        bool provenance;
        enum mor_config_key_index key_index;
        int64_t format_version; // of Iceberg
        int64_t hudi_table_version;
    } table;
    struct {
        int64_t interval_ms;
        int64_t max_rows;
        int64_t max_bytes;
    } commit;
    struct {
        enum mor_config_compaction mode;
        int64_t max_delta_files;
        double max_delta_ratio;
        int64_t target_file_size_bytes;
        struct mor_config_texts cluster_by; // append-only tables
        enum mor_config_cluster_order cluster_order;
    } compaction;
    struct {
        int64_t age_ms;
        int64_t min_snapshots;
    } retention;
    struct {
        const char *location; // NULL = none
        const char *topic;    // NULL = none
        double max_ratio;
    } dead_letter;
    enum mor_config_on_error on_error;
    const struct mor_place *places; // private: see mor_config_where
};

// ---- service ------------------------------------------------------------------------------------

struct mor_config_property {
    const char *name;
    const char *value;
    bool secret; // never print the value
};

struct mor_config_catalog {
    const char *name;
    const char *type;
    const char *uri;
    const char *warehouse;                               // NULL = none
    const char *token;                                   // NULL = none
    const char *credential;                              // NULL = none
    const char *scope, *oauth2_server_uri, *ca_location; // NULL = the usual
};

struct mor_config {
    const char *path;
    const char *instance;
    const char *state_dir;
    int64_t memory_bytes;
    int64_t lanes; // number of cores unless set
    int64_t shutdown_timeout_ms;
    struct {
        enum mor_log_level level;
        enum mor_log_format format;
    } log;
    struct {
        const char *listen; // "host:port"; NULL = off
        const char *token;  // NULL = POST is refused
    } http;
    struct mor_config_property *kafka;
    size_t kafka_count;
    struct {
        const char *url; // NULL = none
        const char *username, *password;
        const char *ca_location;
        int64_t timeout_ms;
    } schema_registry;
    struct {
        const char *endpoint; // NULL = the cloud's own
        const char *region;
        bool path_style;
        const char *access_key_id, *secret_access_key, *session_token; // NULL = found elsewhere
    } s3;
    struct mor_config_catalog *catalogs;
    size_t catalog_count;
    struct mor_config_texts topics_from; // the globs
    struct mor_config_topic *topics;     // sorted by file name
    size_t topic_count;
    void *memory; // private: the arena behind every pointer above, and the secrets
    const struct mor_place *places; // private: see mor_config_where
};

// ---- loading ------------------------------------------------------------------------------------

struct mor_config_note {
    bool is_error;
    char *text; // "file:line:column: message", line and column from 1
};
// What the loader has to say, in order of appearance. Zero-initialised is empty.
struct mor_config_report {
    struct mor_config_note *notes;
    size_t count;
    size_t error_count, warning_count;
};

// Loads the service file and the topic files it names. FATAL when there is an error in the report
// (up to 20 are collected); *ret_config is then untouched. Warnings ("has no effect yet") do not
// fail. The report must be empty and is always filled; the caller frees it. One thread at a time
// (reads the environment).
enum mor_status mor_config_load(const char *path, struct mor_config **ret_config,
                                struct mor_config_report *report) MOR_CHECKED;
// Wipes secrets before it frees. NULL is fine.
void mor_config_free(struct mor_config *config);
void mor_config_report_done(struct mor_config_report *report);

// Whether a key by its name holds a secret ("sasl.password", "ssl.key.pem").
bool mor_config_secret_name(const char *name);
// Overwrites every secret value (from ${env:} or ${file:}, or of a key that names a password,
// secret or token) inside `text` with '*'. For texts that come from libraries and go to logs. Any
// thread.
void mor_config_redact(const struct mor_config *config, char *text);

// The secret values themselves, for whoever hides them elsewhere; borrowed. Any thread.
const char *const *mor_config_secrets(const struct mor_config *config, size_t *ret_count);

// Where option `key` ("table.location") of the topic's file, or with NULL of the service's, was
// set: "file:line:column"; the file alone when it has its default. Any thread.
void mor_config_where(const struct mor_config *config, const struct mor_config_topic *topic,
                      const char *key, char *ret_text, size_t capacity);
// Whether both files ask for the same, schema file included; where they lie does not matter.
bool mor_config_topic_equals(const struct mor_config_topic *a, const struct mor_config_topic *b);
// Calls `differs` for each option of the service's files that has another value.
void mor_config_differences(const struct mor_config *a, const struct mor_config *b,
                            void (*differs)(void *context, const char *key), void *context);

// Parses "500ms", "10s", "5m", "24h", "7d" / "64KiB", "1MiB", "2GiB". False: not such a text, or
// too big.
bool mor_config_parse_duration(const char *text, int64_t *ret_ms);
bool mor_config_parse_size(const char *text, int64_t *ret_bytes);

// The reference manual of all options, as Markdown.
void mor_config_print_reference(FILE *out);

#endif
