#include "topic_infer.h"

#include "moraine/base/log.h"
#include "moraine/decode.h"
#include "moraine/source.h"
#include "moraine/table.h"
#include "topic_columns.h"

#define SAMPLES_MAX           1000
#define SAMPLES_PER_PARTITION 200
#define PARTITIONS_MAX        10000

// ---- from the table -----------------------------------------------------------------------------

// Whether the column is one that the topic's file adds to the payload's.
static bool is_added(const struct mor_config_topic *topic, const char *name)
{
    if (strcmp(name, PROVENANCE_PARTITION) == 0 || strcmp(name, PROVENANCE_OFFSET) == 0)
        return true;
    for (size_t i = 0; i < topic->columns.count; i++) {
        const struct mor_config_column *column = &topic->columns.items[i];
        if (column->kind != MOR_CONFIG_COLUMN_FIELD && strcmp(column->as, name) == 0)
            return true;
    }
    return false;
}

static enum mor_status read_table(const struct mor_config_topic *topic,
                                  struct mor_schema **ret_schema, struct mor_error *err)
{
    struct mor_table *table;
    MOR_TRY(mor_table_open_read(topic->table.location, NULL, &table, err));
    const struct mor_schema *stored = mor_table_schema(table);
    struct mor_schema *schema = mor_schema_new("row");
    for (size_t i = 0; i < stored->root.child_count; i++) {
        if (!is_added(topic, stored->root.children[i].name))
            mor_schema_add_copy(schema, NULL, &stored->root.children[i]);
    }
    mor_table_free(table);
    mor_json_inference_reopen(schema);
    *ret_schema = schema;
    return MOR_OK;
}

// ---- from records -------------------------------------------------------------------------------

static enum mor_status take_sample(void *context, const struct mor_record *record,
                                   struct mor_error *err)
{
    (void)err;
    if (record->value)
        mor_json_inference_add(context, record->value, record->value_size_bytes);
    return MOR_OK;
}

// The first records of each partition.
static enum mor_status sample(struct mor_source_reader *reader,
                              struct mor_json_inference *inference, struct mor_error *err)
{
    int64_t left = SAMPLES_MAX;
    for (int32_t partition = 0; partition < PARTITIONS_MAX && left > 0; partition++) {
        int64_t low, high;
        enum mor_status status = mor_source_reader_ends(reader, partition, &low, &high, err);
        if (status == MOR_NOT_FOUND && partition > 0)
            return MOR_OK; // the last one was before it
        MOR_TRY(status);
        int64_t count = high - low < SAMPLES_PER_PARTITION ? high - low : SAMPLES_PER_PARTITION;
        count = count < left ? count : left;
        if (count > 0)
            MOR_TRY(mor_source_reader_read(reader, partition, low, low + count, take_sample,
                                           inference, err));
        left -= count;
    }
    return MOR_OK;
}

static void tell(const struct mor_config_topic *topic, const struct mor_schema *schema)
{
    MOR_AUTO_BUFFER text = {0};
    mor_type_format(&schema->root, &text);
    MOR_LOG(INFO, "schema_inferred", MOR_STR("topic", topic->topic),
            MOR_STR("columns", mor_buffer_terminate(&text)));
}

static enum mor_status read_records(const struct mor_config *config,
                                    const struct mor_config_topic *topic,
                                    struct mor_schema **ret_schema, struct mor_error *err)
{
    MOR_AUTO_FREE struct mor_source_property *properties =
        mor_calloc(config->kafka_count + 1, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct mor_source_property){config->kafka[i].name, config->kafka[i].value};
    struct mor_source_reader *reader;
    MOR_TRY(mor_source_reader_open(topic->topic, properties, config->kafka_count, &reader, err));
    struct mor_json_inference *inference =
        mor_json_inference_new(topic->value.envelope == MOR_CONFIG_ENVELOPE_DEBEZIUM);
    enum mor_status status = sample(reader, inference, err);
    struct mor_schema *schema = NULL;
    if (status == MOR_NOT_FOUND) {
        err->status = MOR_RETRY; // a producer may make the topic
        status = MOR_RETRY;
    } else if (status == MOR_OK) {
        schema = mor_json_inference_finish(inference);
        status =
            schema ? MOR_OK
                   : mor_error_set(err, MOR_RETRY, "waiting for records to infer the columns from");
    }
    if (status == MOR_OK) {
        tell(topic, schema);
        *ret_schema = schema;
    }
    mor_json_inference_free(inference);
    mor_source_reader_free(reader);
    return status;
}

enum mor_status mor_topic_infer(const struct mor_config *config,
                                const struct mor_config_topic *topic,
                                struct mor_schema **ret_schema, struct mor_error *err)
{
    enum mor_status status = read_table(topic, ret_schema, err);
    if (status != MOR_NOT_FOUND)
        return status;
    if (!config)
        return mor_error_set(err, MOR_FATAL,
                             "%s: schema: the columns will be inferred from the first records when "
                             "the topic runs; there is no table yet",
                             topic->path);
    *err = MOR_ERROR_INIT;
    return read_records(config, topic, ret_schema, err);
}
