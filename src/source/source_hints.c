// Group offsets: a hint for tools that show lag, never read by us. They only grow, so that a late
// writer cannot move them back.
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

static void remember(struct mor_source *source, const struct mor_source_partition *hint)
{
    for (size_t i = 0; i < source->hint_count; i++) {
        if (source->hints[i].partition != hint->partition)
            continue;
        if (hint->offset > source->hints[i].offset) {
            source->hints[i] = *hint;
            source->hint_changed[i] = true;
        }
        return;
    }
    source->hints = mor_realloc(source->hints, (source->hint_count + 1) * sizeof *source->hints);
    source->hint_changed = mor_realloc(source->hint_changed, source->hint_count + 1);
    source->hints[source->hint_count] = *hint;
    source->hint_changed[source->hint_count++] = true;
}

void mor_source_commit_hint(struct mor_source *source,
                            const struct mor_source_partition *partitions, size_t count)
{
    MOR_LOCKED(&source->mutex);
    for (size_t i = 0; i < count; i++) {
        if (partitions[i].offset >= 0)
            remember(source, &partitions[i]);
    }
}

// The changed hints of partitions that are ours.
static rd_kafka_topic_partition_list_t *changed_hints(struct mor_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    MOR_LOCKED(&source->mutex);
    for (size_t i = 0; i < source->hint_count; i++) {
        const struct mor_source_partition *hint = &source->hints[i];
        struct mor_source_part *part = mor_source_find(source, hint->partition);
        if (!source->hint_changed[i] || !part || !part->assigned)
            continue;
        rd_kafka_topic_partition_t *row =
            rd_kafka_topic_partition_list_add(list, source->topic, hint->partition);
        row->offset = hint->offset;
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_1
        if (hint->leader_epoch >= 0)
            rd_kafka_topic_partition_set_leader_epoch(row, hint->leader_epoch);
#endif
        source->hint_changed[i] = false;
    }
    return list;
}

void mor_source_send_hints(struct mor_source *source, int64_t wait_ms)
{
    // librdkafka keeps such a request for a whole session time-out, and does not end before
    if (source->brokers_down)
        return;
    rd_kafka_topic_partition_list_t *list = changed_hints(source);
    if (list->cnt > 0 && wait_ms == 0) {
        rd_kafka_commit(source->kafka, list, 1);
    } else if (list->cnt > 0) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(source->kafka);
        if (rd_kafka_commit_queue(source->kafka, list, queue, NULL, NULL) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_event_t *event = rd_kafka_queue_poll(queue, (int)wait_ms);
            if (event)
                rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void mor_source_hints_done(struct mor_source *source)
{
    free(source->hints);
    free(source->hint_changed);
}
