// The broker of `moraine demo`: librdkafka's mock cluster in this process, with one topic.
#include <stdio.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "moraine/base/clock.h"
#include "moraine/base/memory.h"
#include "moraine/source.h"

#define FLUSH_LIMIT_MS   30000
#define PRODUCE_LIMIT_MS 30000

struct mor_demo_broker {
    rd_kafka_t *producer; // also the home of the cluster
    rd_kafka_mock_cluster_t *cluster;
    char *topic;
    int64_t failed_count;
};

// Called by rd_kafka_poll in the producing thread.
static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    struct mor_demo_broker *broker = context;
    (void)kafka;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        broker->failed_count++;
}

static void drop_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text)
{
    (void)kafka;
    (void)level;
    (void)facility;
    (void)text;
}

static enum mor_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                           struct mor_error *err)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL, "demo broker: %s: %s", name, reason);
}

static enum mor_status configure(rd_kafka_conf_t *conf, struct mor_error *err)
{
    // librdkafka starts a mock cluster of its own for this handle
    MOR_TRY(set(conf, "test.mock.num.brokers", "1", err));
    MOR_TRY(set(conf, "linger.ms", "5", err));
    // packed batches: the mock keeps a fixed number of bytes per partition
    MOR_TRY(set(conf, "compression.type", "lz4", err));
    return set(conf, "queue.buffering.max.kbytes", "65536", err);
}

static enum mor_status start(struct mor_demo_broker *broker, int32_t partition_count,
                             struct mor_error *err)
{
    char reason[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum mor_status status = configure(conf, err);
    if (status != MOR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_opaque(conf, broker);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_log_cb(conf, drop_log);
    broker->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!broker->producer) {
        rd_kafka_conf_destroy(conf);
        return mor_error_set(err, MOR_FATAL, "demo broker: %s", reason);
    }
    broker->cluster = rd_kafka_handle_mock_cluster(broker->producer);
    if (!broker->cluster)
        return mor_error_set(err, MOR_FATAL, "demo broker: librdkafka has no mock cluster");
#if RD_KAFKA_VERSION >= 0x020300ff
    rd_kafka_mock_group_initial_rebalance_delay_ms(broker->cluster, 0);
    rd_kafka_mock_set_controller_id(broker->cluster, 1); // topics are described by the controller
#endif
    rd_kafka_resp_err_t code =
        rd_kafka_mock_topic_create(broker->cluster, broker->topic, partition_count, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return mor_error_set(err, MOR_FATAL, "demo broker: topic '%s': %s", broker->topic,
                             rd_kafka_err2str(code));
    return MOR_OK;
}

enum mor_status mor_demo_broker_start(const char *topic, int32_t partition_count,
                                      struct mor_demo_broker **ret_broker, struct mor_error *err)
{
    struct mor_demo_broker *broker = mor_calloc(1, sizeof *broker);
    broker->topic = mor_strdup(topic);
    enum mor_status status = start(broker, partition_count, err);
    if (status != MOR_OK) {
        mor_demo_broker_free(broker);
        return status;
    }
    *ret_broker = broker;
    return MOR_OK;
}

const char *mor_demo_broker_address(const struct mor_demo_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

enum mor_status mor_demo_broker_produce(struct mor_demo_broker *broker, int32_t partition,
                                        const void *key, size_t key_size, const void *value,
                                        size_t value_size, int64_t timestamp_ms,
                                        struct mor_error *err)
{
    int64_t until_ms = mor_clock_mono_ms() + PRODUCE_LIMIT_MS;
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            broker->producer, RD_KAFKA_V_TOPIC(broker->topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY((void *)(uintptr_t)key, key_size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_size),
            RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_poll(broker->producer, 0);
            return MOR_OK;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || mor_clock_mono_ms() > until_ms)
            return mor_error_set(err, MOR_FATAL, "demo broker: could not produce: %s",
                                 rd_kafka_err2str(code));
        rd_kafka_poll(broker->producer, 10);
    }
}

enum mor_status mor_demo_broker_flush(struct mor_demo_broker *broker, struct mor_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(broker->producer, FLUSH_LIMIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return mor_error_set(err, MOR_FATAL, "demo broker: could not flush: %s",
                             rd_kafka_err2str(code));
    if (broker->failed_count > 0)
        return mor_error_set(err, MOR_FATAL, "demo broker: %lld records were not taken",
                             (long long)broker->failed_count);
    return MOR_OK;
}

void mor_demo_broker_free(struct mor_demo_broker *broker)
{
    if (!broker)
        return;
    if (broker->producer)
        rd_kafka_destroy(broker->producer);
    free(broker->topic);
    free(broker);
}
