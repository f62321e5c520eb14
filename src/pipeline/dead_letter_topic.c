// Dead letters in a Kafka topic.
#include <stdio.h>

#include "dead_letter.h"
#include "moraine/base/fault.h"
#include "moraine/source.h"

#define SEND_LIMIT_MS 10000
#define NAME_PREFIX   "moraine."

struct letter_topic {
    struct mor_letter_sink sink;
    struct mor_producer *producer;
};

// Everything but key and value as headers: those of the record, then the letter's columns.
struct letter_headers {
    struct mor_header *headers;
    size_t count, capacity;
    struct mor_arena arena;
};

static void add_header(struct letter_headers *list, const char *name, const void *value,
                       size_t size_bytes)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->headers = mor_realloc(list->headers, list->capacity * sizeof *list->headers);
    }
    list->headers[list->count++] =
        (struct mor_header){.name = name, .value = value, .size_bytes = size_bytes};
}

static const uint8_t *bytes_at(const struct mor_vector *column, size_t row, size_t *ret_size)
{
    *ret_size = 0;
    return mor_vector_is_null(column, row) ? NULL : mor_vector_bytes_at(column, row, ret_size);
}

static void add_original(struct letter_headers *list, const struct mor_vector *column, size_t row)
{
    if (mor_vector_is_null(column, row))
        return;
    const int32_t *offsets = mor_vector_offsets(column);
    const struct mor_vector *pairs = column->children[0].children;
    for (size_t i = (size_t)offsets[row]; i < (size_t)offsets[row + 1]; i++) {
        size_t name_size, value_size;
        const uint8_t *name = bytes_at(&pairs[0], i, &name_size);
        const uint8_t *value = bytes_at(&pairs[1], i, &value_size);
        add_header(list, mor_arena_strndup(&list->arena, (const char *)name, name_size), value,
                   value_size);
    }
}

static void add_columns(struct letter_headers *list, const struct mor_batch *letters, size_t row)
{
    for (size_t i = 0; i < LETTER_KEY; i++) {
        if (mor_vector_is_null(&letters->columns[i], row))
            continue;
        MOR_AUTO_BUFFER text = {0};
        mor_vector_format_text(&letters->columns[i], row, &text);
        char *copy = mor_arena_strndup(&list->arena, (const char *)text.data, text.size_bytes);
        add_header(list,
                   mor_arena_printf(&list->arena, NAME_PREFIX "%s",
                                    letters->schema->root.children[i].name),
                   copy, text.size_bytes);
    }
}

static enum mor_status send(struct letter_topic *sink, const struct mor_batch *letters, size_t row,
                            struct mor_error *err)
{
    struct letter_headers list = {0};
    mor_arena_init(&list.arena, 0, NULL);
    add_original(&list, &letters->columns[LETTER_HEADERS], row);
    add_columns(&list, letters, row);
    struct mor_record record = {.headers = list.headers, .header_count = list.count};
    record.key = bytes_at(&letters->columns[LETTER_KEY], row, &record.key_size_bytes);
    record.value = bytes_at(&letters->columns[LETTER_VALUE], row, &record.value_size_bytes);
    enum mor_status status = mor_producer_send(sink->producer, &record, SEND_LIMIT_MS, err);
    free(list.headers);
    mor_arena_done(&list.arena);
    return status;
}

static enum mor_status topic_write(struct mor_letter_sink *base, const struct mor_letter_rows *rows,
                                   size_t count, const struct mor_range *ranges, size_t range_count,
                                   struct mor_ledger *after, struct mor_error *err)
{
    (void)ranges;
    (void)range_count;
    (void)after;
    struct letter_topic *sink = (struct letter_topic *)base;
    if (count == 0)
        return MOR_OK;
    MOR_TRY(mor_fault("dead_letter.write", err));
    for (size_t i = 0; i < count; i++)
        for (size_t row = rows[i].first; row < rows[i].first + rows[i].count; row++)
            MOR_TRY(send(sink, rows[i].batch, row, err));
    enum mor_status status = mor_producer_flush(sink->producer, SEND_LIMIT_MS, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "could not write the dead letters");
}

static void topic_committed(struct mor_letter_sink *sink, const struct mor_ledger *after)
{
    (void)sink;
    (void)after;
}

static void topic_free(struct mor_letter_sink *base)
{
    struct letter_topic *sink = (struct letter_topic *)base;
    mor_producer_free(sink->producer);
    free(sink);
}

static const struct mor_letter_sink_ops topic_ops = {topic_write, topic_committed, topic_free};

enum mor_status mor_letter_topic_open(const struct mor_config *config,
                                      const struct mor_config_topic *topic,
                                      struct mor_letter_sink **ret_sink, struct mor_error *err)
{
    if (topic->topic != NULL && strcmp(topic->dead_letter.topic, topic->topic) == 0)
        return mor_error_set(err, MOR_FATAL,
                             "%s: dead_letter.topic: '%s' is the topic itself: dead letters would "
                             "come back for ever",
                             topic->path, topic->topic);
    MOR_AUTO_FREE struct mor_source_property *properties =
        mor_calloc(config->kafka_count, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct mor_source_property){config->kafka[i].name, config->kafka[i].value};
    struct letter_topic *sink = mor_calloc(1, sizeof *sink);
    sink->sink.ops = &topic_ops;
    enum mor_status status = mor_producer_open(properties, config->kafka_count,
                                               topic->dead_letter.topic, &sink->producer, err);
    if (status != MOR_OK) {
        topic_free(&sink->sink);
        return status;
    }
    *ret_sink = &sink->sink;
    return MOR_OK;
}
