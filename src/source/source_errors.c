// What came instead of a message: which errors end a partition or the topic, and in which words.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define RESTART_AFTER_MS   500
#define WATERMARK_LIMIT_MS 2000

void mor_source_notice(struct mor_source *source, enum mor_log_level level, const char *format, ...)
{
    if (!source->options.notice)
        return;
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    source->options.notice(source->options.context, level, text);
}

void mor_source_stop_partition(struct mor_source *source, struct mor_source_part *part,
                               const struct mor_error *err)
{
    if (part->state == MOR_PARTITION_STOPPED)
        return;
    part->state = MOR_PARTITION_STOPPED;
    source->options.failure(source->options.context, part->partition, err);
}

void mor_source_fail(struct mor_source *source, const struct mor_error *err)
{
    if (source->failed)
        return;
    source->failed = true;
    pthread_mutex_lock(&source->mutex);
    source->failure = *err;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->mutex);
    source->options.failure(source->options.context, -1, err);
}

// ---- partitions ---------------------------------------------------------------------------------

// Reads the partition again from `next` after a while.
static void halt(struct mor_source_part *part)
{
    part->state = MOR_PARTITION_HALTED;
    part->retry_at_ms = mor_clock_mono_ms() + RESTART_AFTER_MS;
}

// The offset is not there, or librdkafka says so: asks the broker for the ends of its log first.
static void offset_gone(struct mor_source *source, struct mor_source_part *part, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        source->kafka, source->topic, part->partition, &low, &high, WATERMARK_LIMIT_MS);
    bool truncated = strstr(text, "runcat") != NULL;
    bool known = code == RD_KAFKA_RESP_ERR_NO_ERROR && low >= 0 && high >= 0;
    bool inside = known && part->next >= low && part->next <= high;
    if (!truncated && (inside || !known) && ++part->error_count < MOR_SOURCE_ERRORS_MAX) {
        halt(part); // a broker that lags behind its leader says the same for a moment
        return;
    }
    mor_source_suspect_identity(source);
    if (known && !truncated && part->next < low)
        mor_error_set(&err, MOR_FATAL,
                      "topic '%s' partition %d: offset %lld is not in Kafka any more, its log is "
                      "now %lld to %lld: "
                      "retention removed %lld records before they were read. Nothing was skipped. "
                      "Give Kafka the records "
                      "back, or start with a new table",
                      source->topic, part->partition, (long long)part->next, (long long)low,
                      (long long)high, (long long)(low - part->next));
    else if (known && !truncated && part->next > high)
        mor_error_set(&err, MOR_FATAL,
                      "topic '%s' partition %d: the table is at offset %lld but the log is %lld to "
                      "%lld: the topic was "
                      "deleted and created again, or lost records. Nothing was read. If the new "
                      "topic is the one to read, "
                      "start with a new table",
                      source->topic, part->partition, (long long)part->next, (long long)low,
                      (long long)high);
    else
        mor_error_set(&err, MOR_FATAL,
                      "topic '%s' partition %d: Kafka's log was cut below offset %lld after an "
                      "election, so the table may "
                      "hold records that Kafka lost. Compare them before going on (%s)",
                      source->topic, part->partition, (long long)part->next, text);
    mor_source_stop_partition(source, part, &err);
}

// What an operator can do about an error that will not go away by itself.
static const char *advice(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "grant this user Read and Describe on the topic";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return "grant this user Read on the consumer group";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return "grant this user its rights on the cluster";
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
        return "if the batch is larger than receive.message.max.bytes once unpacked, raise that "
               "under 'kafka'";
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        return "the broker's copy of the batch is damaged; another replica may have a good one";
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
        return "the batch has a format or compression that this librdkafka was built without";
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        return "another member of the group uses another partition.assignment.strategy";
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
        return "the broker's limits for session.timeout.ms are narrower";
    default:
        return "nothing was skipped";
    }
}

// Errors after which reading the same place again cannot help.
static bool is_final(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED;
}

static bool is_missing_topic(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == MOR_RDKAFKA_UNKNOWN_TOPIC_ID;
}

// Everything that follows the error is dropped until the partition is read again from `next`: after
// a damaged batch librdkafka goes on behind it, and that must not look like a gap.
static void partition_error(struct mor_source *source, struct mor_source_part *part,
                            rd_kafka_resp_err_t code, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    if (part->state != MOR_PARTITION_RUNNING)
        return;
    if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE || code == MOR_RDKAFKA_LOG_TRUNCATION) {
        offset_gone(source, part, text);
        return;
    }
    if (is_missing_topic(code)) {
        // metadata may be behind; the identity tells whether the topic is gone
        mor_source_suspect_identity(source);
        halt(part);
        return;
    }
    if (!is_final(code) && ++part->error_count < MOR_SOURCE_ERRORS_MAX) {
        mor_source_notice(source, MOR_LOG_WARN, "partition %d at offset %lld, trying again: %s",
                          part->partition, (long long)part->next, text);
        halt(part);
        return;
    }
    mor_error_set(&err, MOR_FATAL, "topic '%s' partition %d stopped at offset %lld: %s (%s)",
                  source->topic, part->partition, (long long)part->next, text, advice(code));
    mor_source_stop_partition(source, part, &err);
}

// ---- the topic ----------------------------------------------------------------------------------

static void fatal_error(struct mor_source *source)
{
    struct mor_error err = MOR_ERROR_INIT;
    char text[512] = "";
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(source->kafka, text, sizeof text);
    mor_error_set(&err, MOR_FATAL, "topic '%s': the Kafka client gave up: %s: %s", source->topic,
                  rd_kafka_err2name(code), text);
    mor_source_fail(source, &err);
}

static void topic_error(struct mor_source *source, rd_kafka_resp_err_t code, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        fatal_error(source);
        return;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        mor_error_set(&err, MOR_FATAL, "topic '%s': %s (%s)", source->topic, text, advice(code));
        mor_source_fail(source, &err);
        return;
    default:
        if (is_missing_topic(code))
            mor_source_suspect_identity(source);
        // brokers down, rebalances, a poll that came late: librdkafka goes on by itself
        mor_source_notice(source, MOR_LOG_WARN, "%s: %s", rd_kafka_err2name(code), text);
    }
}

void mor_source_message_error(struct mor_source *source, const rd_kafka_message_t *message)
{
    const char *text = rd_kafka_message_errstr(message);
    struct mor_source_part *part = mor_source_find(source, message->partition);
    if (!text)
        text = rd_kafka_err2str(message->err);
    // A group offset is a hint, and librdkafka reports its failure where records are expected.
    if (strncmp(text, "Offset commit failed", strlen("Offset commit failed")) == 0) {
        mor_source_notice(source, MOR_LOG_DEBUG, "%s", text);
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR__FATAL || message->partition == RD_KAFKA_PARTITION_UA)
        topic_error(source, message->err, text);
    else if (part)
        partition_error(source, part, message->err, text);
}

// ---- librdkafka's own words ---------------------------------------------------------------------

void mor_source_error_callback(rd_kafka_t *kafka, int code, const char *reason, void *context)
{
    struct mor_source *source = context;
    (void)kafka;
    pthread_mutex_lock(&source->mutex);
    // that all brokers are down follows from what was said before
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || source->last_error[0] == '\0') {
        source->last_error_code = (rd_kafka_resp_err_t)code;
        snprintf(source->last_error, sizeof source->last_error, "%s", reason);
    }
    pthread_mutex_unlock(&source->mutex);
    enum mor_log_level level = source->brokers_down ? MOR_LOG_DEBUG : MOR_LOG_WARN; // said before
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        source->brokers_down = true;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        fatal_error(source);
    else
        mor_source_notice(source, level, "%s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)code),
                          reason);
}

void mor_source_heard(struct mor_source *source)
{
    if (source->brokers_down)
        mor_source_notice(source, MOR_LOG_INFO, "a broker answers again");
    source->brokers_down = false;
}

void mor_source_log_callback(const rd_kafka_t *kafka, int level, const char *facility,
                             const char *text)
{
    struct mor_source *source = rd_kafka_opaque(kafka);
    enum mor_log_level ours = level <= LOG_ERR       ? MOR_LOG_ERROR
                              : level == LOG_WARNING ? MOR_LOG_WARN
                              : level <= LOG_INFO    ? MOR_LOG_INFO
                                                     : MOR_LOG_DEBUG;
    // librdkafka's errors are those of one connection or request; what matters comes as an error
    // event, and nothing but the same again while no broker is there
    if (ours == MOR_LOG_ERROR)
        ours = source->brokers_down ? MOR_LOG_DEBUG : MOR_LOG_WARN;
    mor_source_notice(source, ours, "%s: %s", facility, text);
}
