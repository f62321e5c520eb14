// What a broker says to somebody who is about to read a topic: for checks before a deployment.
#include <stdio.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define ANSWER_LIMIT_MS 10000
#define HOUR_MS         3600000

enum mor_status mor_source_check_properties(const struct mor_source_options *options,
                                            struct mor_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    MOR_TRY(mor_source_configure(options, &conf, err));
    rd_kafka_conf_destroy(conf);
    return MOR_OK;
}

// ---- rights -------------------------------------------------------------------------------------

#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
static enum mor_source_right right_to(const rd_kafka_AclOperation_t *operations, size_t count,
                                      rd_kafka_AclOperation_t wanted)
{
    if (operations == NULL) // a broker that does not tell
        return MOR_RIGHT_UNKNOWN;
    for (size_t i = 0; i < count; i++)
        if (operations[i] == wanted || operations[i] == RD_KAFKA_ACL_OPERATION_ALL)
            return MOR_RIGHT_GRANTED;
    return MOR_RIGHT_MISSING;
}

static rd_kafka_AdminOptions_t *asking_for_rights(struct mor_source *source,
                                                  rd_kafka_admin_op_t kind)
{
    char reason[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(source->kafka, kind);
    rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_LIMIT_MS, reason, sizeof reason);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
    if (error)
        rd_kafka_error_destroy(error);
    return options;
}

static enum mor_source_right may_read_topic(struct mor_source *source)
{
    const char *name = source->topic;
    rd_kafka_AdminOptions_t *options = asking_for_rights(source, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_DescribeTopics(source->kafka, topics, options, source->answer_queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = rd_kafka_queue_poll(source->answer_queue, ANSWER_LIMIT_MS);
    const rd_kafka_DescribeTopics_result_t *result =
        event ? rd_kafka_event_DescribeTopics_result(event) : NULL;
    size_t count = 0, operation_count = 0;
    const rd_kafka_TopicDescription_t **found =
        result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
    enum mor_source_right right = MOR_RIGHT_UNKNOWN;
    if (count == 1) {
        const rd_kafka_AclOperation_t *operations =
            rd_kafka_TopicDescription_authorized_operations(found[0], &operation_count);
        right = right_to(operations, operation_count, RD_KAFKA_ACL_OPERATION_READ);
    }
    if (event)
        rd_kafka_event_destroy(event);
    return right;
}

static enum mor_source_right right_of_group(const rd_kafka_ConsumerGroupDescription_t *group)
{
    size_t count = 0;
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
    if (error && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return MOR_RIGHT_MISSING;
    if (error && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return MOR_RIGHT_UNKNOWN; // there is no such group yet
    const rd_kafka_AclOperation_t *operations =
        rd_kafka_ConsumerGroupDescription_authorized_operations(group, &count);
    return right_to(operations, count, RD_KAFKA_ACL_OPERATION_READ);
}

static enum mor_source_right may_read_group(struct mor_source *source, const char *group)
{
    rd_kafka_AdminOptions_t *options =
        asking_for_rights(source, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(source->kafka, &group, 1, options, source->answer_queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = rd_kafka_queue_poll(source->answer_queue, ANSWER_LIMIT_MS);
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        event ? rd_kafka_event_DescribeConsumerGroups_result(event) : NULL;
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t **found =
        result ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
    enum mor_source_right right = count == 1 ? right_of_group(found[0]) : MOR_RIGHT_UNKNOWN;
    if (event)
        rd_kafka_event_destroy(event);
    return right;
}
#endif

// ---- what waits ---------------------------------------------------------------------------------

static void count_records(struct mor_source *source, struct mor_source_probe *probe)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(probe->partition_count);
    for (int32_t i = 0; i < probe->partition_count; i++)
        rd_kafka_topic_partition_list_add(list, source->topic, i)->offset =
            mor_clock_wall_ms() - HOUR_MS;
    bool hour_known = rd_kafka_offsets_for_times(source->kafka, list, ANSWER_LIMIT_MS) ==
                      RD_KAFKA_RESP_ERR_NO_ERROR;
    probe->records = probe->records_of_last_hour = 0;
    for (int32_t i = 0; i < probe->partition_count; i++) {
        int64_t low = 0, high = 0, hour_ago = list->elems[i].offset;
        if (rd_kafka_query_watermark_offsets(source->kafka, source->topic, i, &low, &high,
                                             ANSWER_LIMIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            probe->partitions_without_answer++;
            continue;
        }
        probe->records += high - low;
        probe->records_of_last_hour += hour_ago >= 0 && hour_ago < high ? high - hour_ago : 0;
    }
    if (!hour_known)
        probe->records_of_last_hour = -1;
    rd_kafka_topic_partition_list_destroy(list);
}

static int32_t count_partitions(struct mor_source *source)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(source->kafka, source->topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    int32_t count = 0;
    if (topic != NULL && rd_kafka_metadata(source->kafka, 0, topic, &metadata, ANSWER_LIMIT_MS) ==
                             RD_KAFKA_RESP_ERR_NO_ERROR) {
        count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
    return count;
}

// ---- the probe ----------------------------------------------------------------------------------

static enum mor_status connect_probe(struct mor_source *source,
                                     const struct mor_source_options *options,
                                     struct mor_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    char reason[512] = "";
    MOR_TRY(mor_source_configure(options, &conf, err));
    rd_kafka_conf_set_opaque(conf, source);
    source->kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (!source->kafka) {
        rd_kafka_conf_destroy(conf);
        return mor_error_set(err, MOR_FATAL, "the Kafka client cannot be configured: %s", reason);
    }
    rd_kafka_set_log_queue(source->kafka, NULL);
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(source->kafka);
    if (error)
        rd_kafka_error_destroy(error);
    source->answer_queue = rd_kafka_queue_new(source->kafka);
    return mor_source_check_topic(source, err);
}

enum mor_status mor_source_probe(const struct mor_source_options *options,
                                 struct mor_source_probe *ret_probe, struct mor_error *err)
{
    // a source that never starts its thread: the callbacks want one to write errors into
    struct mor_source *source = mor_calloc(1, sizeof *source);
    source->topic = mor_strdup(options->topic);
    pthread_mutex_init(&source->mutex, NULL);
    enum mor_status status = connect_probe(source, options, err);
    struct mor_source_probe probe = {0};
    if (status == MOR_OK) {
        probe.partition_count = count_partitions(source);
        count_records(source, &probe);
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3
        probe.read_topic = may_read_topic(source);
        probe.read_group = may_read_group(source, options->group_id);
#endif
        *ret_probe = probe;
    }
    if (source->answer_queue)
        rd_kafka_queue_destroy(source->answer_queue);
    if (source->kafka)
        rd_kafka_destroy_flags(source->kafka, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_destroy(&source->mutex);
    free(source->topic);
    free(source);
    return status;
}
