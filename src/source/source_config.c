// Properties for librdkafka: ours, those of the user over them, and those that nobody may change.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "source_internal.h"

#include "moraine/config.h"

struct refused {
    const char *name;
    const char *allowed; // this value is fine, NULL = none
    const char *why;
};

static const struct refused refusals[] = {
    {"enable.auto.commit", "false", "the next offset of a partition is part of the table's commit"},
    {"enable.auto.offset.store", "false",
     "the next offset of a partition is part of the table's commit"},
    {"auto.offset.reset", "error",
     "an offset that Kafka no longer has must stop the partition, not skip or repeat records"},
    {"isolation.level", "read_committed", "records of aborted transactions must not become rows"},
    {"enable.partition.eof", "true", "without it the offsets of control records are never passed"},
    {"allow.auto.create.topics", "false", "a mistyped topic would come into being"},
    {"check.crcs", "true", "a damaged record must not become a row"},
    {"group.id", NULL, "it is 'group' in the topic's file"},
    {"log.queue", "true", "librdkafka's messages are served by our own thread"},
    {"enabled_events", NULL, "events are served by our own thread"},
    {"enable.share.consumer", "false", "a share group cannot be read again from an offset"},
    {"share.acknowledgement.mode", NULL, "a share group cannot be read again from an offset"},
};

static enum mor_status check_refused(const struct mor_source_property *property,
                                     struct mor_error *err)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refused *row = &refusals[i];
        if (strcmp(row->name, property->name) != 0)
            continue;
        if (row->allowed && strcasecmp(row->allowed, property->value) == 0)
            return MOR_OK;
        if (row->allowed)
            return mor_error_set(err, MOR_FATAL, "kafka property '%s' must stay '%s': %s",
                                 row->name, row->allowed, row->why);
        return mor_error_set(err, MOR_FATAL, "kafka property '%s' cannot be set: %s", row->name,
                             row->why);
    }
    return MOR_OK;
}

static enum mor_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                           struct mor_error *err)
{
    char reason[512] = "";
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, reason, sizeof reason);
    if (result == RD_KAFKA_CONF_OK)
        return MOR_OK;
    if (result == RD_KAFKA_CONF_UNKNOWN)
        return mor_error_set(err, MOR_FATAL, "kafka property '%s' is not known to librdkafka %s",
                             name, rd_kafka_version_str());
    // librdkafka quotes the value
    if (mor_config_secret_name(name))
        return mor_error_set(err, MOR_FATAL,
                             "kafka property '%s' has a value that librdkafka does not take", name);
    return mor_error_set(err, MOR_FATAL, "kafka property '%s': %s", name, reason);
}

bool mor_source_user_sets(const struct mor_source_options *options, const char *name)
{
    for (size_t i = 0; i < options->property_count; i++) {
        if (strcmp(options->properties[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum mor_status set_fixed(rd_kafka_conf_t *conf, const struct mor_source_options *options,
                                 struct mor_error *err)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        // enable.share.consumer is younger than most libraries, and false by default
        if (refusals[i].allowed && strcmp(refusals[i].name, "enable.share.consumer") != 0)
            MOR_TRY(set(conf, refusals[i].name, refusals[i].allowed, err));
    }
    return options->group_id ? set(conf, "group.id", options->group_id, err) : MOR_OK;
}

// One answer of a broker is inflated whole before the queue's limit is looked at again, and text
// compresses twenty times and more: answers are this share of the queue.
#define FETCH_SHARE     16
#define FETCH_BYTES_MIN ((size_t)256 * 1024)
#define FETCH_BYTES_MAX ((size_t)8 * 1024 * 1024)

// Values that suit a pipeline with queues of its own; the user's win.
static enum mor_status set_defaults(rd_kafka_conf_t *conf, const struct mor_source_options *options,
                                    struct mor_error *err)
{
    char number[24];
    size_t queue_bytes =
        options->queue_bytes_max ? options->queue_bytes_max : (size_t)16 * 1024 * 1024;
    size_t fetch_bytes = queue_bytes / FETCH_SHARE;
    fetch_bytes = fetch_bytes < FETCH_BYTES_MIN   ? FETCH_BYTES_MIN
                  : fetch_bytes > FETCH_BYTES_MAX ? FETCH_BYTES_MAX
                                                  : fetch_bytes;

    MOR_TRY(set(conf, "client.id", "moraine", err));
    snprintf(number, sizeof number, "%zu", queue_bytes / 1024 < 1 ? (size_t)1 : queue_bytes / 1024);
    MOR_TRY(set(conf, "queued.max.messages.kbytes", number, err));
    // An idle broker answers after this; a partition that is new or resumed waits for it.
    MOR_TRY(set(conf, "fetch.wait.max.ms", "100", err));
    MOR_TRY(set(conf, "topic.metadata.refresh.interval.ms", "30000", err));
    // A broker that comes back is found within so long; librdkafka would take up to ten seconds.
    if (!mor_source_user_sets(options, "reconnect.backoff.ms"))
        MOR_TRY(set(conf, "reconnect.backoff.max.ms", "2000", err));
    if (rd_kafka_version() >= MOR_RDKAFKA_2_2)
        MOR_TRY(set(conf, "fetch.queue.backoff.ms", "5", err));
    // Bounds one answer of a broker, and of one partition. A batch that is larger comes alone and
    // whole, as long as receive.message.max.bytes allows. librdkafka raises fetch.max.bytes to
    // message.max.bytes, which means nothing else to a consumer, so that one is low.
    snprintf(number, sizeof number, "%zu", fetch_bytes);
    MOR_TRY(set(conf, "fetch.message.max.bytes", number, err));
    if (!mor_source_user_sets(options, "message.max.bytes") &&
        !mor_source_user_sets(options, "receive.message.max.bytes")) {
        MOR_TRY(set(conf, "message.max.bytes", "65536", err));
        MOR_TRY(set(conf, "fetch.max.bytes", number, err));
    }
    // With group.protocol=consumer the broker assigns, and librdkafka refuses a strategy and a
    // session timeout.
    if (mor_source_user_sets(options, "group.protocol"))
        return MOR_OK;
    MOR_TRY(set(conf, "partition.assignment.strategy", "cooperative-sticky", err));
    // So long a crashed process keeps its partitions from the one that follows it. Correctness does
    // not hang on it, so it may be short; heartbeats come from a thread that nothing of ours
    // blocks.
    if (!mor_source_user_sets(options, "session.timeout.ms")) {
        MOR_TRY(set(conf, "session.timeout.ms", "10000", err));
        MOR_TRY(set(conf, "heartbeat.interval.ms", "2000", err));
    }
    return MOR_OK;
}

static enum mor_status fill(rd_kafka_conf_t *conf, const struct mor_source_options *options,
                            struct mor_error *err)
{
    MOR_TRY(set_defaults(conf, options, err));
    for (size_t i = 0; i < options->property_count; i++) {
        MOR_TRY(check_refused(&options->properties[i], err));
        MOR_TRY(set(conf, options->properties[i].name, options->properties[i].value, err));
    }
    return set_fixed(conf, options, err);
}

enum mor_status mor_source_configure(const struct mor_source_options *options,
                                     rd_kafka_conf_t **ret_conf, struct mor_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum mor_status status = fill(conf, options, err);
    if (status != MOR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_rebalance_cb(conf, mor_source_rebalance);
    rd_kafka_conf_set_error_cb(conf, mor_source_error_callback);
    rd_kafka_conf_set_log_cb(conf, mor_source_log_callback);
    *ret_conf = conf;
    return MOR_OK;
}
