// A mock cluster, a sink that plays the pipeline, and the table's offsets, for the tests of
// source/.
#ifndef MORAINE_TESTS_SOURCE_RIG_H
#define MORAINE_TESTS_SOURCE_RIG_H

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "moraine/base/clock.h"
#include "moraine/source.h"

#define RIG_PARTITIONS 8
#define RIG_RECORDS    20000
#define RIG_LIMIT_MS   30000

struct rig_cluster {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *mock;
};

// What the pipeline would know. The next offset per partition is "the table": a chunk counts only
// when it continues there, as a commit would.
struct rig_table {
    pthread_mutex_t mutex;
    int64_t next[RIG_PARTITIONS]; // MOR_OFFSET_NONE = not in the table
    int64_t record_count, stale_count, gap_count;
    int64_t value_sum;
    int64_t last_generation;
};

struct rig {
    struct rig_table *table;
    struct mor_source *source;
    int64_t generations[RIG_PARTITIONS];
    bool assigned[RIG_PARTITIONS];
    int assign_count, revoke_count, lost_count, identity_count, failure_count;
    int chunk_count, empty_count, refused_count;
    int32_t failed_partition;
    struct mor_error failure;
    struct mor_source_identity identity;
    bool refuse;           // deliver says no
    bool keep;             // chunks are kept instead of freed
    bool reject_new_topic; // identity says FATAL when the topic id changes
    struct mor_chunk *kept[4096];
    size_t kept_count;
    size_t pending_bytes_seen;
};

static inline void rig_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

// Waits for `condition_`, which may lock; fails the test after RIG_LIMIT_MS.
#define RIG_WAIT(condition_)                                                                       \
    do {                                                                                           \
        int64_t rig_until_ = mor_clock_mono_ms() + RIG_LIMIT_MS;                                   \
        while (!(condition_)) {                                                                    \
            if (mor_clock_mono_ms() > rig_until_)                                                  \
                fail_msg("timed out waiting for %s", #condition_);                                 \
            rig_nap();                                                                             \
        }                                                                                          \
    } while (0)

// ---- cluster ------------------------------------------------------------------------------------

static inline void rig_no_log(const rd_kafka_t *kafka, int level, const char *facility,
                              const char *text)
{
    (void)kafka;
    (void)level;
    (void)facility;
    (void)text;
}

static inline void rig_cluster_start(struct rig_cluster *cluster, const char *topic, int partitions)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", reason, sizeof reason),
                     RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "linger.ms", "5", reason, sizeof reason),
                     RD_KAFKA_CONF_OK);
    rd_kafka_conf_set_log_cb(conf, rig_no_log);
    cluster->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    assert_non_null(cluster->producer);
    cluster->mock = rd_kafka_handle_mock_cluster(cluster->producer);
    assert_non_null(cluster->mock);
#if RD_KAFKA_VERSION >= 0x020300ff
    rd_kafka_mock_group_initial_rebalance_delay_ms(cluster->mock, 0);
    rd_kafka_mock_set_controller_id(cluster->mock, 1); // topics are described by the controller
#endif
    assert_int_equal(rd_kafka_mock_topic_create(cluster->mock, topic, partitions, 1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
}

static inline void rig_cluster_end(struct rig_cluster *cluster)
{
    rd_kafka_destroy(cluster->producer);
}

// Records whose value is the text of a number, from first to first + count - 1.
static inline void rig_produce(struct rig_cluster *cluster, const char *topic, int32_t partition,
                               int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++) {
        char value[32];
        int length = snprintf(value, sizeof value, "%lld", (long long)i);
        rd_kafka_resp_err_t code;
        while ((code = rd_kafka_producev(cluster->producer, RD_KAFKA_V_TOPIC(topic),
                                         RD_KAFKA_V_PARTITION(partition),
                                         RD_KAFKA_V_VALUE(value, (size_t)length),
                                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                         RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(cluster->producer, 10);
        assert_int_equal(code, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(rd_kafka_flush(cluster->producer, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

// ---- callbacks ----------------------------------------------------------------------------------

static inline void rig_table_init(struct rig_table *table, int64_t offset)
{
    *table = (struct rig_table){0};
    pthread_mutex_init(&table->mutex, NULL);
    for (int i = 0; i < RIG_PARTITIONS; i++)
        table->next[i] = offset;
}

static inline enum mor_status
rig_identity(void *context, const struct mor_source_identity *identity, struct mor_error *err)
{
    struct rig *rig = context;
    pthread_mutex_lock(&rig->table->mutex);
    bool changed =
        rig->identity_count > 0 && strcmp(identity->topic_id, rig->identity.topic_id) != 0;
    rig->identity = *identity;
    rig->identity_count++;
    pthread_mutex_unlock(&rig->table->mutex);
    return changed && rig->reject_new_topic
               ? mor_error_set(err, MOR_FATAL, "the topic was recreated")
               : MOR_OK;
}

static inline enum mor_status rig_assign(void *context, struct mor_source_partition *partitions,
                                         size_t count, struct mor_error *err)
{
    struct rig *rig = context;
    (void)err;
    pthread_mutex_lock(&rig->table->mutex);
    rig->assign_count++;
    for (size_t i = 0; i < count; i++) {
        int32_t p = partitions[i].partition;
        partitions[i].offset = rig->table->next[p];
        partitions[i].generation = rig->generations[p] = ++rig->table->last_generation;
        rig->assigned[p] = true;
    }
    pthread_mutex_unlock(&rig->table->mutex);
    return MOR_OK;
}

static inline void rig_revoke(void *context, const struct mor_source_partition *partitions,
                              size_t count, bool lost)
{
    struct rig *rig = context;
    pthread_mutex_lock(&rig->table->mutex);
    rig->revoke_count++;
    rig->lost_count += lost;
    for (size_t i = 0; i < count; i++) {
        rig->assigned[partitions[i].partition] = false;
        rig->generations[partitions[i].partition] = -1;
    }
    pthread_mutex_unlock(&rig->table->mutex);
}

// Checks what every chunk promises, and applies it when it continues the table.
static inline void rig_take(struct rig *rig, const struct mor_chunk *chunk)
{
    struct rig_table *table = rig->table;
    int64_t at = chunk->offset_first, *next = &table->next[chunk->partition];
    assert_true(chunk->offset_first <= chunk->offset_next);
    for (size_t i = 0; i < chunk->record_count; i++) {
        assert_true(chunk->records[i].offset >= at &&
                    chunk->records[i].offset < chunk->offset_next);
        assert_int_equal(chunk->records[i].partition, chunk->partition);
        at = chunk->records[i].offset + 1;
    }
    rig->chunk_count++;
    rig->empty_count += chunk->record_count == 0;
    if (chunk->generation != rig->generations[chunk->partition] ||
        (*next != MOR_OFFSET_NONE && *next != chunk->offset_first)) {
        table->stale_count++;
        return;
    }
    *next = chunk->offset_next;
    table->record_count += (int64_t)chunk->record_count;
    table->gap_count += chunk->offset_next - chunk->offset_first - (int64_t)chunk->record_count;
    for (size_t i = 0; i < chunk->record_count; i++) {
        char text[32] = "";
        if (chunk->records[i].value && chunk->records[i].value_size_bytes < sizeof text)
            memcpy(text, chunk->records[i].value, chunk->records[i].value_size_bytes);
        table->value_sum += atoll(text);
    }
}

static inline bool rig_deliver(void *context, struct mor_chunk *chunk)
{
    struct rig *rig = context;
    bool taken = false, keep = false;
    pthread_mutex_lock(&rig->table->mutex);
    if (rig->refuse) {
        rig->refused_count++;
    } else {
        taken = true;
        rig_take(rig, chunk);
        keep = rig->keep && rig->kept_count < 4096;
        if (keep)
            rig->kept[rig->kept_count++] = chunk;
    }
    pthread_mutex_unlock(&rig->table->mutex);
    if (taken && !keep)
        mor_chunk_free(chunk);
    return taken;
}

static inline void rig_failure(void *context, int32_t partition, const struct mor_error *err)
{
    struct rig *rig = context;
    pthread_mutex_lock(&rig->table->mutex);
    rig->failure_count++;
    rig->failed_partition = partition;
    rig->failure = *err;
    pthread_mutex_unlock(&rig->table->mutex);
}

static inline void rig_notice(void *context, enum mor_log_level level, const char *text)
{
    (void)context;
    if (level >= MOR_LOG_WARN && getenv("MORAINE_TEST_VERBOSE"))
        print_message("notice: %s\n", text);
}

// ---- source -------------------------------------------------------------------------------------

static inline struct mor_source_options rig_options(struct rig *rig, const char *topic,
                                                    const char *group)
{
    return (struct mor_source_options){
        .topic = topic,
        .group_id = group,
        .context = rig,
        .identity = rig_identity,
        .assign = rig_assign,
        .revoke = rig_revoke,
        .deliver = rig_deliver,
        .failure = rig_failure,
        .notice = rig_notice,
    };
}

// Opens with the cluster's address in front of `more` (at most 7, ends with name NULL; may be
// NULL).
static inline void rig_open(struct rig *rig, const struct rig_cluster *cluster,
                            struct mor_source_options *options,
                            const struct mor_source_property *more)
{
    struct mor_source_property properties[8] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster->mock)}};
    size_t count = 1;
    for (; more && more->name; more++)
        properties[count++] = *more;
    options->properties = properties;
    options->property_count = count;
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_source_open(options, &rig->source, &err) != MOR_OK)
        fail_msg("%s", err.message);
}

static inline void rig_release(struct rig *rig)
{
    for (size_t i = 0; i < rig->kept_count; i++)
        mor_chunk_free(rig->kept[i]);
    rig->kept_count = 0;
}

static inline void rig_close(struct rig *rig)
{
    mor_source_stop(rig->source);
    rig_release(rig);
    mor_source_free(rig->source);
    rig->source = NULL;
}

static inline int64_t rig_records(struct rig_table *table)
{
    pthread_mutex_lock(&table->mutex);
    int64_t count = table->record_count;
    pthread_mutex_unlock(&table->mutex);
    return count;
}

#define RIG_READ(rig_, expression_)                                                                \
    ({                                                                                             \
        pthread_mutex_lock(&(rig_)->table->mutex);                                                 \
        __typeof__(expression_) rig_value_ = (expression_);                                        \
        pthread_mutex_unlock(&(rig_)->table->mutex);                                               \
        rig_value_;                                                                                \
    })

#endif
