// The way back into Kafka, for records that are kept aside in a topic: an idempotent producer.
#include <stdatomic.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define DRAIN_MS 100

struct mor_producer {
    rd_kafka_t *kafka;
    char *topic;
    atomic_llong failed; // deliveries since the last flush
    atomic_int failed_code;
};

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    (void)kafka;
    struct mor_producer *producer = context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    atomic_store(&producer->failed_code, message->err);
    atomic_fetch_add(&producer->failed, 1);
}

// librdkafka has a consumer's properties refused by a producer with a line in the log.
static void drop_log(const rd_kafka_t *kafka, int level, const char *facility, const char *text)
{
    (void)kafka;
    (void)level;
    (void)facility;
    (void)text;
}

static enum mor_status configure(rd_kafka_conf_t *conf,
                                 const struct mor_source_property *properties, size_t count,
                                 struct mor_error *err)
{
    char reason[256];
    for (size_t i = 0; i < count; i++) {
        const char *name = properties[i].name;
        if (rd_kafka_conf_set(conf, name, properties[i].value, reason, sizeof reason) !=
            RD_KAFKA_CONF_OK)
            return mor_error_set(err, MOR_FATAL,
                                 "kafka property '%s' has a value that librdkafka does not take",
                                 name);
    }
    if (rd_kafka_conf_set(conf, "enable.idempotence", "true", reason, sizeof reason) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "linger.ms", "5", reason, sizeof reason) != RD_KAFKA_CONF_OK)
        return mor_error_set(err, MOR_FATAL, "producer: %s", reason);
    return MOR_OK;
}

enum mor_status mor_producer_open(const struct mor_source_property *properties,
                                  size_t property_count, const char *topic,
                                  struct mor_producer **ret_producer, struct mor_error *err)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum mor_status status = configure(conf, properties, property_count, err);
    if (status != MOR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    struct mor_producer *producer = mor_calloc(1, sizeof *producer);
    producer->topic = mor_strdup(topic);
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_log_cb(conf, drop_log);
    producer->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!producer->kafka) {
        rd_kafka_conf_destroy(conf);
        mor_producer_free(producer);
        return mor_error_set(err, MOR_FATAL, "could not make a producer: %s", reason);
    }
    *ret_producer = producer;
    return MOR_OK;
}

static rd_kafka_headers_t *make_headers(const struct mor_header *headers, size_t count)
{
    rd_kafka_headers_t *made = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_add(made, headers[i].name, -1, headers[i].value,
                            headers[i].value ? (ssize_t)headers[i].size_bytes : -1);
    return made;
}

enum mor_status mor_producer_send(struct mor_producer *producer, const struct mor_record *record,
                                  int64_t timeout_ms, struct mor_error *err)
{
    int64_t until_ms = mor_clock_mono_ms() + timeout_ms;
    for (;;) {
        rd_kafka_headers_t *headers = make_headers(record->headers, record->header_count);
        rd_kafka_resp_err_t code = rd_kafka_producev(
            producer->kafka, RD_KAFKA_V_TOPIC(producer->topic),
            RD_KAFKA_V_KEY((void *)(uintptr_t)record->key, record->key_size_bytes),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value_size_bytes),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return MOR_OK;
        rd_kafka_headers_destroy(headers);
        bool full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        if (!full || mor_clock_mono_ms() > until_ms)
            return mor_error_set(err, full ? MOR_RETRY : MOR_FATAL,
                                 "could not produce to topic '%s': %s", producer->topic,
                                 rd_kafka_err2str(code));
        rd_kafka_poll(producer->kafka, DRAIN_MS);
    }
}

enum mor_status mor_producer_flush(struct mor_producer *producer, int64_t timeout_ms,
                                   struct mor_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->kafka, (int)timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) // what is still on its way must not count later
        rd_kafka_purge(producer->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(producer->kafka, 0);
    long long failed = atomic_exchange(&producer->failed, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && failed > 0)
        code = (rd_kafka_resp_err_t)atomic_load(&producer->failed_code);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return MOR_OK;
    return mor_error_set(err, MOR_RETRY, "topic '%s' did not take every record: %s",
                         producer->topic, rd_kafka_err2str(code));
}

void mor_producer_free(struct mor_producer *producer)
{
    if (!producer)
        return;
    if (producer->kafka) {
        rd_kafka_purge(producer->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(producer->kafka);
    }
    free(producer->topic);
    free(producer);
}
