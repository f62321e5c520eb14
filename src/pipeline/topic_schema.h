// From a topic's configuration to the schema of its rows.
#ifndef MORAINE_PIPELINE_TOPIC_SCHEMA_H
#define MORAINE_PIPELINE_TOPIC_SCHEMA_H

#include "moraine/column.h"
#include "moraine/config.h"
#include "moraine/decode.h"
#include "topic_columns.h"

struct mor_topic_schema {
    struct mor_schema *source;        // the payload as the topic declares it, NULL for raw values
    struct mor_topic_columns columns; // what fills each column; its `rows` in the source's types
    struct mor_schema *rows; // the same columns in the table's types; after binding also what only
                             // the table has
    struct mor_arena arena;  // of the next two
    struct mor_schema_text text; // what the source came from; text NULL = columns by hand
    const char *message;         // Protobuf
    size_t absent_first;         // columns from here on are only the table's: null in every new row
    uint32_t *column_of_table;   // after binding: for each column of the table, its index in rows
    int32_t ordering_column;     // -1 = append-only
    int32_t delete_column;       // -1 = tombstones only
    int32_t event_time_column;   // -1 = Kafka's timestamp
    int32_t *required_columns;   // ordering and partition columns of a keyed table
    size_t required_count;
    int64_t event_time_factor, event_time_divisor;
    int32_t *dedup_columns; // as many as dedup.by names
};

// Reads the configured fields, the schema file or the registry (RETRY when it is away) and checks
// that key, ordering, delete_when, event_time and partition_by name columns that can serve. FATAL
// with the place in the configuration.
// `learned`: writer schemas of the registry whose fields and types are taken over, too.
// `config` NULL: nobody is asked but the registry (see mor_topic_infer).
struct mor_learned {
    const int32_t *ids;
    size_t count;
};
enum mor_status
mor_topic_schema_load(const struct mor_config *config, const struct mor_config_topic *topic,
                      struct mor_registry *registry, const struct mor_learned *learned,
                      struct mor_topic_schema *ret_schema, struct mor_error *err) MOR_CHECKED;
// Takes over types and further columns of the table that was opened: an evolved table keeps its own
// order of columns, so rows are built in the topic's order and handed over through column_of_table.
enum mor_status mor_topic_schema_bind(struct mor_topic_schema *schema,
                                      const struct mor_schema *table,
                                      struct mor_error *err) MOR_CHECKED;
// How the topic's records are decoded, after binding; borrows all of it.
struct mor_decoder_options mor_topic_decoder_options(const struct mor_config_topic *topic,
                                                     const struct mor_topic_schema *schema,
                                                     struct mor_registry *registry);
void mor_topic_schema_done(struct mor_topic_schema *schema);

#endif
