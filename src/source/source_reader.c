// Offsets that were read before, read again: no group, no thread, explicit offsets.
#include <stdio.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define ANSWER_LIMIT_MS   10000
#define PROGRESS_LIMIT_MS 30000
#define POLL_MS           500
#define BATCH_MAX         1024

struct mor_source_reader {
    char *topic_name;
    rd_kafka_t *kafka;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *answers;
    char last_error[512]; // librdkafka's, for messages
};

static void note_error(rd_kafka_t *kafka, int code, const char *reason, void *context)
{
    struct mor_source_reader *reader = context;
    (void)kafka;
    (void)snprintf(reader->last_error, sizeof reader->last_error, "%s: %s",
                   rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
}

static void ignore_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text)
{
    (void)kafka;
    (void)level;
    (void)facility;
    (void)text;
}

static enum mor_status no_answer(struct mor_source_reader *reader, rd_kafka_resp_err_t code,
                                 const char *what, struct mor_error *err)
{
    rd_kafka_poll(reader->kafka, 0); // brings last_error up to date
    bool missing = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                   code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                   code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    return mor_error_set(err, missing ? MOR_NOT_FOUND : MOR_RETRY,
                         "topic '%s': could not %s: %s%s%s", reader->topic_name, what,
                         rd_kafka_err2str(code), *reader->last_error ? "; " : "",
                         reader->last_error);
}

// ---- beginning and end --------------------------------------------------------------------------

static enum mor_status connect_reader(struct mor_source_reader *reader,
                                      const struct mor_source_property *properties, size_t count,
                                      struct mor_error *err)
{
    const struct mor_source_options options = {
        .topic = reader->topic_name, .properties = properties, .property_count = count};
    rd_kafka_conf_t *conf = NULL;
    char reason[512] = "";
    MOR_TRY(mor_source_configure(&options, &conf, err));
    rd_kafka_conf_set_opaque(conf, reader);
    rd_kafka_conf_set_rebalance_cb(conf, NULL);
    rd_kafka_conf_set_error_cb(conf, note_error);
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    reader->kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (!reader->kafka) {
        rd_kafka_conf_destroy(conf);
        return mor_error_set(err, MOR_FATAL,
                             "topic '%s': the Kafka client cannot be configured: %s",
                             reader->topic_name, reason);
    }
    rd_kafka_set_log_queue(reader->kafka, NULL);
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(reader->kafka);
    if (error)
        rd_kafka_error_destroy(error);
    reader->answers = rd_kafka_queue_new(reader->kafka);
    reader->topic = rd_kafka_topic_new(reader->kafka, reader->topic_name, NULL);
    if (!reader->topic)
        return mor_error_set(err, MOR_FATAL, "topic '%s': %s", reader->topic_name,
                             rd_kafka_err2str(rd_kafka_last_error()));
    return MOR_OK;
}

enum mor_status mor_source_reader_open(const char *topic,
                                       const struct mor_source_property *properties,
                                       size_t property_count, struct mor_source_reader **ret_reader,
                                       struct mor_error *err)
{
    struct mor_source_reader *reader = mor_calloc(1, sizeof *reader);
    reader->topic_name = mor_strdup(topic);
    enum mor_status status = connect_reader(reader, properties, property_count, err);
    if (status != MOR_OK) {
        mor_source_reader_free(reader);
        return status;
    }
    *ret_reader = reader;
    return MOR_OK;
}

void mor_source_reader_free(struct mor_source_reader *reader)
{
    if (!reader)
        return;
    if (reader->topic)
        rd_kafka_topic_destroy(reader->topic);
    if (reader->answers)
        rd_kafka_queue_destroy(reader->answers);
    if (reader->kafka)
        rd_kafka_destroy(reader->kafka);
    free(reader->topic_name);
    free(reader);
}

// ---- facts --------------------------------------------------------------------------------------

// Waits for the answer to an admin request; NULL when none came.
static rd_kafka_event_t *wait_for_answer(struct mor_source_reader *reader)
{
    return rd_kafka_queue_poll(reader->answers, ANSWER_LIMIT_MS + 1000);
}

static rd_kafka_AdminOptions_t *new_options(struct mor_source_reader *reader,
                                            rd_kafka_admin_op_t kind)
{
    char reason[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(reader->kafka, kind);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_LIMIT_MS, reason, sizeof reason);
    return options;
}

#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
static rd_kafka_resp_err_t take_topic_id(const rd_kafka_event_t *event, char *ret_id, size_t size)
{
    const rd_kafka_DescribeTopics_result_t *result =
        rd_kafka_event_DescribeTopics_result((rd_kafka_event_t *)(uintptr_t)event);
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics =
        result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
    rd_kafka_resp_err_t code = rd_kafka_event_error((rd_kafka_event_t *)(uintptr_t)event);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || count != 1)
        return code;
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(topics[0]);
    if (error && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_error_code(error);
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topics[0]);
    if (id && (rd_kafka_Uuid_most_significant_bits(id) | rd_kafka_Uuid_least_significant_bits(id)))
        (void)snprintf(ret_id, size, "%s", rd_kafka_Uuid_base64str(id));
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t ask_topic_id(struct mor_source_reader *reader, char *ret_id, size_t size)
{
    const char *name = reader->topic_name;
    rd_kafka_AdminOptions_t *options = new_options(reader, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_DescribeTopics(reader->kafka, topics, options, reader->answers);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = wait_for_answer(reader);
    if (!event)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_resp_err_t code = take_topic_id(event, ret_id, size);
    rd_kafka_event_destroy(event);
    return code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
}
#endif

enum mor_status mor_source_reader_identity(struct mor_source_reader *reader,
                                           struct mor_source_identity *ret_identity,
                                           struct mor_error *err)
{
    struct mor_source_identity identity = {0};
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
    rd_kafka_resp_err_t code = ask_topic_id(reader, identity.topic_id, sizeof identity.topic_id);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return no_answer(reader, code, "learn which topic it is", err);
#endif
    char *cluster = rd_kafka_clusterid(reader->kafka, ANSWER_LIMIT_MS);
    if (!cluster)
        return no_answer(reader, RD_KAFKA_RESP_ERR__TIMED_OUT, "learn which cluster it is in", err);
    (void)snprintf(identity.cluster_id, sizeof identity.cluster_id, "%s", cluster);
    rd_kafka_mem_free(reader->kafka, cluster);
    *ret_identity = identity;
    return MOR_OK;
}

static bool says_compact(const rd_kafka_event_t *event)
{
    const rd_kafka_DescribeConfigs_result_t *result =
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)(uintptr_t)event);
    size_t count = 0, entry_count = 0;
    const rd_kafka_ConfigResource_t **resources =
        result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
    const rd_kafka_ConfigEntry_t **entries =
        count == 1 ? rd_kafka_ConfigResource_configs(resources[0], &entry_count) : NULL;
    for (size_t i = 0; i < entry_count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0)
            return value && strstr(value, "compact") != NULL;
    }
    return false;
}

bool mor_source_reader_is_compacted(struct mor_source_reader *reader)
{
    rd_kafka_AdminOptions_t *options = new_options(reader, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, reader->topic_name);
    rd_kafka_DescribeConfigs(reader->kafka, &resource, 1, options, reader->answers);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = wait_for_answer(reader);
    bool compacted = event && says_compact(event);
    if (event)
        rd_kafka_event_destroy(event);
    return compacted;
}

enum mor_status mor_source_reader_ends(struct mor_source_reader *reader, int32_t partition,
                                       int64_t *ret_low, int64_t *ret_high, struct mor_error *err)
{
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        reader->kafka, reader->topic_name, partition, &low, &high, ANSWER_LIMIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return no_answer(reader, code, "learn where its log begins and ends", err);
    *ret_low = low;
    *ret_high = high;
    return MOR_OK;
}

// ---- records ------------------------------------------------------------------------------------

struct mor_record mor_source_record(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp = rd_kafka_message_timestamp(message, &type);
    return (struct mor_record){
        .key = message->key,
        .value = message->payload,
        .key_size_bytes = message->key ? message->key_len : 0,
        .value_size_bytes = message->payload ? message->len : 0,
        .offset = message->offset,
        .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
        .partition = message->partition,
    };
}

struct reading {
    struct mor_source_reader *reader;
    int64_t next, end;
    enum mor_status (*visit)(void *context, const struct mor_record *record, struct mor_error *err);
    void *context;
};

// Moves `next` past the message.
static enum mor_status take_message(struct reading *reading, const rd_kafka_message_t *message,
                                    struct mor_error *err)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        // also past control records and aborted ones
        reading->next = message->offset > reading->next ? message->offset : reading->next;
        return MOR_OK;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return mor_error_set(err, MOR_NOT_FOUND, "offset %lld is not in Kafka any more",
                             (long long)reading->next);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return no_answer(reading->reader, message->err, "read records", err);
    if (message->offset < reading->next)
        return MOR_OK;
    reading->next = message->offset + 1;
    if (message->offset >= reading->end)
        return MOR_OK;
    struct mor_record record = mor_source_record(message);
    return reading->visit(reading->context, &record, err);
}

static enum mor_status read_on(struct reading *reading, int32_t partition, struct mor_error *err)
{
    struct mor_source_reader *reader = reading->reader;
    rd_kafka_message_t *messages[BATCH_MAX];
    int64_t until_ms = mor_clock_mono_ms() + PROGRESS_LIMIT_MS;
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && reading->next < reading->end) {
        int64_t before = reading->next;
        ssize_t count =
            rd_kafka_consume_batch(reader->topic, partition, POLL_MS, messages, BATCH_MAX);
        rd_kafka_poll(reader->kafka, 0);
        for (ssize_t i = 0; i < count; i++) {
            if (status == MOR_OK)
                status = take_message(reading, messages[i], err);
            rd_kafka_message_destroy(messages[i]);
        }
        if (reading->next > before)
            until_ms = mor_clock_mono_ms() + PROGRESS_LIMIT_MS;
        else if (status == MOR_OK && mor_clock_mono_ms() > until_ms)
            status = no_answer(reader, RD_KAFKA_RESP_ERR__TIMED_OUT, "read records", err);
    }
    return status;
}

enum mor_status mor_source_reader_read(
    struct mor_source_reader *reader, int32_t partition, int64_t start, int64_t end,
    enum mor_status (*visit)(void *context, const struct mor_record *record, struct mor_error *err),
    void *context, struct mor_error *err)
{
    struct reading reading = {
        .reader = reader, .next = start, .end = end, .visit = visit, .context = context};
    if (start >= end)
        return MOR_OK;
    if (rd_kafka_consume_start(reader->topic, partition, start) != 0)
        return no_answer(reader, rd_kafka_last_error(), "read records", err);
    enum mor_status status = read_on(&reading, partition, err);
    (void)rd_kafka_consume_stop(reader->topic, partition);
    return status == MOR_OK ? MOR_OK
                            : mor_error_wrap(err, "partition %d, offsets %lld to %lld", partition,
                                             (long long)start, (long long)end);
}
