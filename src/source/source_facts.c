// What the broker says about the topic: that it exists, which one it is, how far its logs reach.
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "source_internal.h"

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

#define CONNECT_LIMIT_MS     5000
#define CONNECT_TRIES        3
#define IDENTITY_INTERVAL_MS 30000
#define IDENTITY_RETRY_MS    1000
#define ANSWER_LIMIT_MS      5000
#define MISSING_TRIES        6
#define MISSING_PAUSE_US     500000
#define LAG_INTERVAL_MS      10000
#define LAG_LOST_MS          20000
#define BROKER_INTERVAL_MS   1000
#define BROKER_LIMIT_MS      500
// A topic that is not there so many times in a row, a second apart, is gone; once may be a broker
// that has just started.
#define TOPIC_MISSING_MAX 3

// ---- at the start -------------------------------------------------------------------------------

static bool is_authentication(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

static enum mor_status no_broker(struct mor_source *source, struct mor_error *err)
{
    rd_kafka_poll(source->kafka, 0); // brings last_error up to date
    pthread_mutex_lock(&source->mutex);
    rd_kafka_resp_err_t code = source->last_error_code;
    char reason[sizeof source->last_error];
    memcpy(reason, source->last_error, sizeof reason);
    pthread_mutex_unlock(&source->mutex);
    return mor_error_set(err, is_authentication(code) ? MOR_FATAL : MOR_RETRY,
                         "topic '%s': no broker answers: %s", source->topic,
                         reason[0] ? reason : "timed out");
}

static enum mor_status check_metadata(struct mor_source *source,
                                      const struct rd_kafka_metadata *metadata,
                                      struct mor_error *err)
{
    rd_kafka_resp_err_t code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                                        : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return mor_error_set(err, MOR_NOT_FOUND, "topic '%s' does not exist in this Kafka cluster",
                             source->topic);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return mor_error_set(
            err, MOR_FATAL,
            "topic '%s': this user may not describe it (grant it Read and Describe)",
            source->topic);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
        return mor_error_set(err, MOR_FATAL, "'%s' is not a valid topic name", source->topic);
    return MOR_OK; // a partition without a leader gets one
}

enum mor_status mor_source_check_topic(struct mor_source *source, struct mor_error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(source->kafka, source->topic, NULL);
    if (!topic)
        return mor_error_set(err, MOR_FATAL, "topic '%s': %s", source->topic,
                             rd_kafka_err2str(rd_kafka_last_error()));
    enum mor_status status = MOR_RETRY;
    int missing = 0; // a broker hears of a new topic some moments after its making
    for (int i = 0; i < CONNECT_TRIES && status == MOR_RETRY; i++) {
        const struct rd_kafka_metadata *metadata = NULL;
        *err = MOR_ERROR_INIT;
        if (rd_kafka_metadata(source->kafka, 0, topic, &metadata, CONNECT_LIMIT_MS) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = check_metadata(source, metadata, err);
            rd_kafka_metadata_destroy(metadata);
            if (status == MOR_NOT_FOUND && ++missing < MISSING_TRIES) {
                usleep(MISSING_PAUSE_US);
                status = MOR_RETRY;
                i--;
            }
        } else {
            status = no_broker(source, err);
        }
    }
    rd_kafka_topic_destroy(topic);
    if (status == MOR_NOT_FOUND)
        status = err->status = MOR_FATAL;
    return status;
}

// ---- identity -----------------------------------------------------------------------------------

void mor_source_suspect_identity(struct mor_source *source)
{
    int64_t soon = mor_clock_mono_ms();
    if (source->identity_at_ms > soon && source->topic_missing_count == 0)
        source->identity_at_ms = soon;
}

static void tell_identity(struct mor_source *source, const char *topic_id)
{
    struct mor_source_identity identity = {0};
    struct mor_error err = MOR_ERROR_INIT;
    source->topic_missing_count = 0;
    char *cluster_id =
        rd_kafka_clusterid(source->kafka, source->identity_known ? 0 : IDENTITY_RETRY_MS);
    if (cluster_id) {
        snprintf(identity.cluster_id, sizeof identity.cluster_id, "%s", cluster_id);
        rd_kafka_mem_free(source->kafka, cluster_id);
    }
    snprintf(identity.topic_id, sizeof identity.topic_id, "%s", topic_id);
    if (source->options.identity(source->options.context, &identity, &err) == MOR_OK) {
        source->identity_known = true;
        pthread_mutex_lock(&source->mutex);
        source->confirm_done = source->confirm_asked;
        pthread_cond_broadcast(&source->changed);
        pthread_mutex_unlock(&source->mutex);
    } else if (err.status == MOR_RETRY && !source->identity_known) {
        source->identity_at_ms = mor_clock_mono_ms() + IDENTITY_RETRY_MS;
        mor_source_notice(source, MOR_LOG_WARN,
                          "could not compare the topic with the table, trying again: %s",
                          err.message);
    } else if (err.status != MOR_RETRY) {
        mor_source_fail(source, &err);
    }
}

#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
static void topic_missing(struct mor_source *source)
{
    struct mor_error err = MOR_ERROR_INIT;
    source->identity_at_ms = mor_clock_mono_ms() + IDENTITY_RETRY_MS;
    if (++source->topic_missing_count < TOPIC_MISSING_MAX)
        return;
    mor_error_set(&err, MOR_FATAL,
                  "topic '%s' does not exist in Kafka any more; the table keeps what was read",
                  source->topic);
    mor_source_fail(source, &err);
}

static void send_admin(struct mor_source *source, rd_kafka_admin_op_t kind,
                       void (*send)(struct mor_source *, const rd_kafka_AdminOptions_t *))
{
    char reason[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(source->kafka, kind);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_LIMIT_MS, reason, sizeof reason);
    send(source, options);
    rd_kafka_AdminOptions_destroy(options);
}

static void send_describe(struct mor_source *source, const rd_kafka_AdminOptions_t *options)
{
    const char *name = source->topic;
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_DescribeTopics(source->kafka, topics, options, source->answer_queue);
    rd_kafka_TopicCollection_destroy(topics);
}

static void take_description(struct mor_source *source, rd_kafka_event_t *event)
{
    const rd_kafka_DescribeTopics_result_t *result = rd_kafka_event_DescribeTopics_result(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics =
        result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
    source->identity_asked = false;
    if (code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
        tell_identity(source, ""); // a broker that has no topic ids
        return;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1) {
        const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(topics[0]);
        code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        topic_missing(source);
    } else if (code != RD_KAFKA_RESP_ERR_NO_ERROR || count != 1) {
        // brokers down: nothing can be read either
        mor_source_notice(source, source->brokers_down ? MOR_LOG_DEBUG : MOR_LOG_WARN,
                          "could not ask for the topic's id, trying again: %s",
                          rd_kafka_err2str(code));
        source->identity_at_ms = mor_clock_mono_ms() + IDENTITY_RETRY_MS;
    } else {
        const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topics[0]);
        size_t partition_count = 0;
        rd_kafka_TopicDescription_partitions(topics[0], &partition_count);
        source->group.partition_count = (int32_t)partition_count;
        bool none = !id || (rd_kafka_Uuid_most_significant_bits(id) == 0 &&
                            rd_kafka_Uuid_least_significant_bits(id) == 0);
        tell_identity(source, none ? "" : rd_kafka_Uuid_base64str(id));
    }
}
#endif

static void ask_identity(struct mor_source *source, int64_t now_ms)
{
    int64_t interval = source->options.identity_interval_ms;
    pthread_mutex_lock(&source->mutex);
    int64_t wanted = source->confirm_wanted;
    bool waiting = wanted > source->confirm_asked;
    pthread_mutex_unlock(&source->mutex);
    if (source->identity_asked || (now_ms < source->identity_at_ms && !waiting))
        return;
    source->confirm_asked = wanted;
    source->identity_at_ms = now_ms + (interval > 0 ? interval : IDENTITY_INTERVAL_MS);
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
    source->identity_asked = true;
    send_admin(source, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, send_describe);
#else
    tell_identity(source, "");
#endif
}

// An answer counts when its question was sent after the call: one that was on its way does not.
enum mor_status mor_source_confirm_identity(struct mor_source *source, int64_t timeout_ms,
                                            struct mor_error *err)
{
#if RD_KAFKA_VERSION < MOR_RDKAFKA_2_3
    (void)source;
    (void)timeout_ms;
    (void)err;
    return MOR_OK;
#else
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    MOR_LOCKED(&source->mutex);
    int64_t mine = ++source->confirm_wanted;
    int waited = 0;
    pthread_cond_broadcast(&source->changed);
    while (source->confirm_done < mine && source->failure.status == MOR_OK && waited == 0)
        waited = pthread_cond_timedwait(&source->changed, &source->mutex, &until);
    if (source->failure.status != MOR_OK) {
        *err = source->failure;
        return err->status;
    }
    if (source->confirm_done < mine)
        return mor_error_set(err, MOR_RETRY, "topic '%s': no broker confirmed which topic it is",
                             source->topic);
    return MOR_OK;
#endif
}

// ---- lag ----------------------------------------------------------------------------------------

#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
static void send_list(struct mor_source *source, const rd_kafka_AdminOptions_t *options,
                      int64_t spec)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->part_count);
    for (size_t i = 0; i < source->part_count; i++)
        rd_kafka_topic_partition_list_add(list, source->topic, source->parts[i]->partition)
            ->offset = spec;
    rd_kafka_ListOffsets(source->kafka, list, options, source->answer_queue);
    rd_kafka_topic_partition_list_destroy(list);
}

static void send_list_first(struct mor_source *source, const rd_kafka_AdminOptions_t *options)
{
    rd_kafka_AdminOptions_set_opaque((rd_kafka_AdminOptions_t *)(uintptr_t)options, (void *)0);
    send_list(source, options, RD_KAFKA_OFFSET_SPEC_EARLIEST);
}

static void send_list_last(struct mor_source *source, const rd_kafka_AdminOptions_t *options)
{
    rd_kafka_AdminOptions_set_opaque((rd_kafka_AdminOptions_t *)(uintptr_t)options, (void *)1);
    send_list(source, options, RD_KAFKA_OFFSET_SPEC_LATEST);
}

static void take_offsets(struct mor_source *source, rd_kafka_event_t *event)
{
    const rd_kafka_ListOffsets_result_t *result = rd_kafka_event_ListOffsets_result(event);
    bool last = rd_kafka_event_opaque(event) != NULL;
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        result ? rd_kafka_ListOffsets_result_infos(result, &count) : NULL;
    source->lag_asked[last] = false;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *row =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        struct mor_source_part *part = mor_source_find(source, row->partition);
        if (!part || row->err != RD_KAFKA_RESP_ERR_NO_ERROR || row->offset < 0)
            continue;
        if (last)
            part->high = row->offset;
        else
            part->low = row->offset;
    }
}

// Fetching tells the ends of a log for free, but a paused partition is not fetched.
static void ask_lag(struct mor_source *source, int64_t now_ms)
{
    bool asked = source->lag_asked[0] || source->lag_asked[1];
    bool lost = now_ms >= source->lag_at_ms + LAG_LOST_MS; // an answer that will not come
    if (now_ms < source->lag_at_ms || source->part_count == 0 || (asked && !lost))
        return;
    source->lag_at_ms = now_ms + LAG_INTERVAL_MS;
    source->lag_asked[0] = source->lag_asked[1] = true;
    send_admin(source, RD_KAFKA_ADMIN_OP_LISTOFFSETS, send_list_first);
    send_admin(source, RD_KAFKA_ADMIN_OP_LISTOFFSETS, send_list_last);
}
#endif

void mor_source_publish_lag(struct mor_source *source)
{
    struct mor_source_lag *rows = mor_calloc(source->part_count + 1, sizeof *rows);
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        int64_t low = -1, high = -1;
        if (rd_kafka_get_watermark_offsets(source->kafka, source->topic, part->partition, &low,
                                           &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
            low = high = -1;
        if (part->state == MOR_PARTITION_RUNNING && !part->paused && part->started) {
            part->low = low >= 0 ? low : part->low;
            part->high = high >= 0 ? high : part->high;
        }
        rows[i] = (struct mor_source_lag){
            .partition = part->partition,
            .low = part->low,
            .high = part->high < part->next && part->high >= 0 && part->started ? part->next
                                                                                : part->high,
            .position = part->state == MOR_PARTITION_ASKING || part->state == MOR_PARTITION_STARTING
                            ? -1
                            : part->next,
            .paused = part->paused,
        };
    }
    pthread_mutex_lock(&source->mutex);
    struct mor_source_lag *old = source->lag;
    source->lag = rows;
    source->lag_count = source->part_count;
    source->cut_off = source->brokers_down;
    pthread_mutex_unlock(&source->mutex);
    free(old);
}

// ---- brokers ----------------------------------------------------------------------------------

// Whether one is back. No request of the admin API waits for that: as long as one does, librdkafka
// 2.15 connects to the broker that it is for again and again without a pause, a core's worth.
static void look_for_broker(struct mor_source *source, int64_t now_ms)
{
    if (now_ms < source->broker_at_ms)
        return;
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(source->kafka, 0, NULL, &metadata, BROKER_LIMIT_MS);
    source->broker_at_ms = mor_clock_mono_ms() + BROKER_INTERVAL_MS;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_metadata_destroy(metadata);
    mor_source_heard(source);
    mor_source_suspect_identity(source); // the topic may be another one by now
}

// ---- answers ------------------------------------------------------------------------------------

void mor_source_facts(struct mor_source *source, int64_t now_ms)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(source->answer_queue, 0)) != NULL) {
        if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR)
            mor_source_heard(source);
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
            take_description(source, event);
        else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LISTOFFSETS_RESULT)
            take_offsets(source, event);
#endif
        rd_kafka_event_destroy(event);
    }
    if (source->failed)
        return;
    if (source->brokers_down)
        look_for_broker(source, now_ms);
    if (source->brokers_down)
        return;
    ask_identity(source, now_ms);
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
    ask_lag(source, now_ms);
#endif
}
