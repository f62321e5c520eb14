#include "dead_letter.h"

#include "moraine/base/clock.h"

struct mor_schema *mor_dead_letter_schema(void)
{
    struct mor_schema *schema = mor_schema_new("dead_letter");
    mor_schema_add(schema, NULL, "topic", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "offset", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "timestamp", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "time", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "stage", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "reason", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "schema_id", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "key", MOR_TYPE_BYTES, true);
    mor_schema_add(schema, NULL, "value", MOR_TYPE_BYTES, true);
    struct mor_field *headers = mor_schema_add(schema, NULL, "headers", MOR_TYPE_LIST, true);
    struct mor_field *header = mor_schema_add(schema, headers, "element", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, header, "name", MOR_TYPE_STRING, true);
    mor_schema_add(schema, header, "value", MOR_TYPE_BYTES, true);
    return schema;
}

static void append_text(struct mor_vector *column, const char *text)
{
    mor_vector_append_bytes(column, text, strlen(text));
}

// Reasons quote bytes of the record; a text column holds UTF-8.
static void append_reason(struct mor_vector *column, const char *reason)
{
    MOR_AUTO_BUFFER clean = {0};
    for (const unsigned char *at = (const unsigned char *)reason; *at != 0; at++) {
        if (*at < 0x20 || *at >= 0x7F)
            mor_buffer_printf(&clean, "\\x%02x", *at);
        else
            mor_buffer_append_u8(&clean, *at);
    }
    mor_vector_append_bytes(column, clean.data, clean.size_bytes);
}

static void append_bytes(struct mor_vector *column, const uint8_t *bytes, size_t size_bytes)
{
    if (bytes == NULL)
        mor_vector_append_null(column);
    else
        mor_vector_append_bytes(column, bytes, size_bytes);
}

static void append_time(struct mor_vector *column, int64_t ms)
{
    int64_t us = ms * 1000;
    if (ms < 0)
        mor_vector_append_null(column);
    else
        mor_vector_append_fixed(column, &us);
}

// The number behind the magic byte of a registry's wire format, where there can be one.
static void append_schema_id(struct mor_vector *column, const struct mor_record *record)
{
    const uint8_t *value = record->value;
    if (value == NULL || record->value_size_bytes < 5 || value[0] != 0) {
        mor_vector_append_null(column);
        return;
    }
    int32_t id = (int32_t)((uint32_t)value[1] << 24 | (uint32_t)value[2] << 16 |
                           (uint32_t)value[3] << 8 | value[4]);
    mor_vector_append_fixed(column, &id);
}

static void append_headers(struct mor_vector *column, const struct mor_record *record)
{
    if (record->header_count == 0) {
        mor_vector_append_null(column);
        return;
    }
    struct mor_vector *header = &column->children[0];
    for (size_t i = 0; i < record->header_count; i++) {
        append_reason(&header->children[0], record->headers[i].name);
        append_bytes(&header->children[1], record->headers[i].value, record->headers[i].size_bytes);
        mor_vector_append_end(header);
    }
    mor_vector_append_end(column);
}

void mor_dead_letter_append(struct mor_batch *letters, const char *topic,
                            const struct mor_record *record, const char *stage, const char *reason)
{
    struct mor_vector *columns = letters->columns;
    append_text(&columns[LETTER_TOPIC], topic);
    mor_vector_append_fixed(&columns[LETTER_PARTITION], &record->partition);
    mor_vector_append_fixed(&columns[LETTER_OFFSET], &record->offset);
    append_time(&columns[LETTER_TIMESTAMP], record->timestamp_ms);
    append_time(&columns[LETTER_TIME], mor_clock_wall_ms());
    append_text(&columns[LETTER_STAGE], stage);
    append_reason(&columns[LETTER_REASON], reason);
    append_schema_id(&columns[LETTER_SCHEMA_ID], record);
    append_bytes(&columns[LETTER_KEY], record->key, record->key_size_bytes);
    append_bytes(&columns[LETTER_VALUE], record->value, record->value_size_bytes);
    append_headers(&columns[LETTER_HEADERS], record);
    letters->row_count++;
}

enum mor_status mor_letter_sink_open(const struct mor_config *config,
                                     const struct mor_config_topic *topic,
                                     const struct mor_ledger *ledger, struct mor_budget *budget,
                                     struct mor_letter_sink **ret_sink, struct mor_error *err)
{
    if (topic->dead_letter.topic != NULL)
        return mor_letter_topic_open(config, topic, ret_sink, err);
    if (topic->dead_letter.location != NULL)
        return mor_letter_table_open(config, topic, budget, ret_sink, err);
    return mor_letter_file_open(config->state_dir, config->instance, topic->topic, ledger, ret_sink,
                                err);
}
