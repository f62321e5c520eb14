// The source's thread and the calls that reach it from other threads.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/thread.h"

#define PAUSE_PERCENT        80
#define RESUME_BELOW_PERCENT 10 // so far below the mark intake goes on
#define OFFER_INTERVAL_MS    2
#define PUBLISH_INTERVAL_MS  250
#define HINT_INTERVAL_MS     1000
#define HINT_LIMIT_MS        2000
#define CLOSE_LIMIT_MS       5000

// ---- requests of other threads ------------------------------------------------------------------

void mor_source_reassign(struct mor_source *source, int32_t partition)
{
    MOR_LOCKED(&source->mutex);
    for (size_t i = 0; i < source->reassign_count; i++) {
        if (source->reassigns[i] == partition)
            return;
    }
    source->reassigns =
        mor_realloc(source->reassigns, (source->reassign_count + 1) * sizeof *source->reassigns);
    source->reassigns[source->reassign_count++] = partition;
    pthread_cond_broadcast(&source->changed);
}

size_t mor_source_lag(struct mor_source *source, struct mor_source_lag *ret_lag, size_t capacity)
{
    MOR_LOCKED(&source->mutex);
    size_t count = source->lag_count < capacity ? source->lag_count : capacity;
    if (count > 0)
        memcpy(ret_lag, source->lag, count * sizeof *ret_lag);
    return count;
}

bool mor_source_is_cut_off(struct mor_source *source, char *ret_why, size_t capacity)
{
    MOR_LOCKED(&source->mutex);
    (void)snprintf(ret_why, capacity, "%s", source->last_error);
    return source->cut_off;
}

void mor_source_stop(struct mor_source *source)
{
    MOR_LOCKED(&source->mutex);
    source->stopped = true;
    pthread_cond_broadcast(&source->changed);
    // From a callback there is nothing to wait for: it is the only one that runs.
    while (source->delivering && !pthread_equal(pthread_self(), source->thread))
        pthread_cond_wait(&source->changed, &source->mutex);
}

static void take_reassigns(struct mor_source *source)
{
    pthread_mutex_lock(&source->mutex);
    int32_t *partitions = source->reassigns;
    size_t count = source->reassign_count;
    source->reassigns = NULL;
    source->reassign_count = 0;
    pthread_mutex_unlock(&source->mutex);
    for (size_t i = 0; i < count; i++) {
        struct mor_source_part *part = mor_source_find(source, partitions[i]);
        if (part)
            mor_source_restart_asking(source, part);
    }
    free(partitions);
}

static bool is_set(struct mor_source *source, const bool *flag)
{
    MOR_LOCKED(&source->mutex);
    return *flag;
}

// ---- one turn of the thread ---------------------------------------------------------------------

static void offer_all(struct mor_source *source, int64_t now_ms)
{
    pthread_mutex_lock(&source->mutex);
    bool go = !source->stopped;
    source->delivering = go;
    pthread_mutex_unlock(&source->mutex);
    if (!go)
        return;
    for (size_t i = 0; i < source->part_count; i++)
        mor_source_offer(source, source->parts[i], now_ms);
    pthread_mutex_lock(&source->mutex);
    source->delivering = false;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->mutex);
}

static void look_at_budget(struct mor_source *source, int64_t now_ms)
{
    const struct mor_budget *budget = source->options.budget;
    if (!budget || budget->limit_bytes == 0)
        return;
    int32_t percent =
        source->options.pause_percent > 0 ? source->options.pause_percent : PAUSE_PERCENT;
    size_t used = mor_budget_used(budget), one_percent = budget->limit_bytes / 100;
    bool was = source->pressure;
    if (used >= one_percent * (size_t)percent)
        source->pressure = true;
    else if (percent <= RESUME_BELOW_PERCENT ||
             used < one_percent * (size_t)(percent - RESUME_BELOW_PERCENT))
        source->pressure = false;
    if (source->pressure && !was)
        source->pressure_since_ms = now_ms;
}

// Whether to leave librdkafka's queue alone for a moment: somebody is short of room, and that is
// most often over sooner than a pause and its refetch.
static bool is_stalled(const struct mor_source *source, int64_t now_ms)
{
    if (source->pressure && now_ms - source->pressure_since_ms <= MOR_SOURCE_STALL_MS)
        return true;
    for (size_t i = 0; i < source->part_count; i++) {
        const struct mor_source_part *part = source->parts[i];
        if (!part->paused && part->started && part->pending_bytes > MOR_SOURCE_PENDING_BYTES &&
            now_ms - part->refused_since_ms <= MOR_SOURCE_STALL_MS)
            return true;
    }
    return false;
}

static bool any_pending(const struct mor_source *source)
{
    for (size_t i = 0; i < source->part_count; i++) {
        if (source->parts[i]->pending_first)
            return true;
    }
    return false;
}

// Until something changes or it is time to offer again.
static void wait_a_moment(struct mor_source *source, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += wait_ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    MOR_LOCKED(&source->mutex);
    if (!source->quit && source->reassign_count == 0)
        pthread_cond_timedwait(&source->changed, &source->mutex, &until);
}

// A version of librdkafka before 2.13.2 loses its position in batches; one message at a time then.
static size_t poll_singly(struct mor_source *source, rd_kafka_message_t **messages, size_t capacity,
                          int wait_ms)
{
    int64_t until_ms = mor_clock_mono_ms() + wait_ms;
    source->batch_count = 0;
    while (source->batch_count < capacity) {
        int64_t left_ms = until_ms - mor_clock_mono_ms();
        rd_kafka_message_t *message =
            rd_kafka_consumer_poll(source->kafka, left_ms > 0 ? (int)left_ms : 0);
        if (!message)
            break;
        messages[source->batch_count++] = message;
    }
    size_t count = source->batch_count;
    source->batch_count = 0;
    return count;
}

static size_t poll(struct mor_source *source, rd_kafka_message_t **messages, size_t capacity,
                   int wait_ms)
{
    if (rd_kafka_version() < MOR_RDKAFKA_2_13_2)
        return poll_singly(source, messages, capacity, wait_ms);
    ssize_t count =
        rd_kafka_consume_batch_queue(source->consumer_queue, wait_ms, messages, capacity);
    return count > 0 ? (size_t)count : 0;
}

// After stop or failure: the group is kept and its callbacks are served, records are dropped.
static void discard(struct mor_source *source, rd_kafka_message_t **messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->err == RD_KAFKA_RESP_ERR__FATAL)
            mor_source_message_error(source, messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    for (size_t i = 0; i < source->part_count; i++)
        mor_source_drop_pending(source->parts[i]);
}

static void turn(struct mor_source *source, rd_kafka_message_t **messages)
{
    int64_t now_ms = mor_clock_mono_ms();
    atomic_store(&source->alive_ms, now_ms);
    bool idle = is_set(source, &source->stopped) || source->failed;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (mor_fault("source.poll", &ignored) != MOR_OK)
        return;
    take_reassigns(source);
    mor_source_facts(source, now_ms);
    if (!idle) {
        mor_source_settle(source, now_ms);
        offer_all(source, now_ms);
        look_at_budget(source, now_ms);
        mor_source_watch_group(source, now_ms);
    }
    mor_source_pause_as_needed(source, now_ms);
    if (now_ms >= source->hints_at_ms) {
        source->hints_at_ms = now_ms + HINT_INTERVAL_MS;
        mor_source_send_hints(source, 0);
    }
    if (now_ms >= source->publish_at_ms) {
        source->publish_at_ms = now_ms + PUBLISH_INTERVAL_MS;
        mor_source_publish_lag(source);
    }
    if (!idle && is_stalled(source, now_ms)) {
        wait_a_moment(source, OFFER_INTERVAL_MS);
        return;
    }
    // What nobody took must be offered again soon; else the batch may take its time to fill.
    int wait_ms = !idle && any_pending(source) ? OFFER_INTERVAL_MS : MOR_SOURCE_POLL_MS;
    // Short of memory, a partition that cannot be paused yet gets in with a few records at a time.
    size_t capacity = source->pressure ? MOR_SOURCE_BATCH_SMALL : MOR_SOURCE_BATCH_MAX;
    size_t count = poll(source, messages, capacity, wait_ms);
    if (idle || is_set(source, &source->stopped)) {
        discard(source, messages, count);
        return;
    }
    mor_source_distribute(source, messages, count);
    offer_all(source, mor_clock_mono_ms());
}

// ---- beginning and end --------------------------------------------------------------------------

// The topic must be the table's before the group hands out partitions.
static bool wait_for_identity(struct mor_source *source)
{
    while (!source->identity_known && !source->failed && !is_set(source, &source->quit)) {
        mor_source_facts(source, mor_clock_mono_ms());
        atomic_store(&source->alive_ms, mor_clock_mono_ms());
        rd_kafka_poll(source->kafka, MOR_SOURCE_POLL_MS); // errors, logs
    }
    return source->identity_known && !source->failed;
}

void mor_source_subscribe(struct mor_source *source)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, source->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->kafka, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        struct mor_error err = MOR_ERROR_INIT;
        mor_error_set(&err, MOR_FATAL, "topic '%s': could not subscribe: %s", source->topic,
                      rd_kafka_err2str(code));
        mor_source_fail(source, &err);
    }
}

// Leaves the group: the others take over at once instead of after the session's time-out. Bounded,
// because with all brokers gone nobody answers; false then.
static bool leave(struct mor_source *source)
{
    int64_t until_ms = mor_clock_mono_ms() + CLOSE_LIMIT_MS;
    mor_source_send_hints(source, HINT_LIMIT_MS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->kafka);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(source->kafka, queue);
    while (!error && !rd_kafka_consumer_closed(source->kafka) && mor_clock_mono_ms() < until_ms) {
        // Fetched records still come until the partitions are given up, so the queue cannot be
        // served by callbacks alone.
        rd_kafka_message_t *late[64];
        ssize_t count = rd_kafka_consume_batch_queue(queue, 100, late, 64);
        for (ssize_t i = 0; i < count; i++)
            rd_kafka_message_destroy(late[i]);
    }
    bool closed = !error && rd_kafka_consumer_closed(source->kafka);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
    return closed;
}

static void *destroy_later(void *argument)
{
    rd_kafka_destroy_flags(argument, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

// A client that could not say good-bye ends by itself, as late as after its session's time-out.
// Nobody waits for that: its callbacks only run where its queues are polled.
static void abandon(rd_kafka_t *kafka)
{
    pthread_t thread;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (mor_thread_start(&thread, "source-end", destroy_later, kafka, &ignored) == MOR_OK)
        pthread_detach(thread);
    else
        destroy_later(kafka);
}

static void *run(void *argument)
{
    struct mor_source *source = argument;
    MOR_AUTO_FREE rd_kafka_message_t **messages =
        mor_calloc(MOR_SOURCE_BATCH_MAX, sizeof(rd_kafka_message_t *));
    if (wait_for_identity(source))
        mor_source_subscribe(source);
    while (!is_set(source, &source->quit))
        turn(source, messages);
    source->closed = leave(source);
    return NULL;
}

static void free_source(struct mor_source *source)
{
    for (size_t i = 0; i < source->part_count; i++) {
        mor_source_drop_pending(source->parts[i]);
        free(source->parts[i]);
    }
    free(source->parts);
    if (source->answer_queue)
        rd_kafka_queue_destroy(source->answer_queue);
    if (source->consumer_queue)
        rd_kafka_queue_destroy(source->consumer_queue);
    if (source->kafka && (source->closed || !source->started))
        rd_kafka_destroy_flags(source->kafka, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    else if (source->kafka)
        abandon(source->kafka);
    mor_source_hints_done(source);
    free(source->reassigns);
    free(source->lag);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->mutex);
    free(source->topic);
    free(source->group.id);
    free(source);
}

static struct mor_source *new_source(const struct mor_source_options *options)
{
    struct mor_source *source = mor_calloc(1, sizeof *source);
    source->options = *options;
    source->topic = mor_strdup(options->topic);
    source->options.topic = source->topic;
    if (mor_source_user_sets(options, "group.instance.id"))
        source->group.id = mor_strdup(options->group_id);
    // used up by mor_source_configure
    source->options.group_id = NULL;
    source->options.properties = NULL;
    source->options.property_count = 0;
    pthread_mutex_init(&source->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&source->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return source;
}

static enum mor_status connect_source(struct mor_source *source,
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
        return mor_error_set(err, MOR_FATAL,
                             "topic '%s': the Kafka client cannot be configured: %s", source->topic,
                             reason);
    }
    // Logs come through the queue that our thread polls; tokens are renewed whether we poll or not.
    rd_kafka_set_log_queue(source->kafka, NULL);
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(source->kafka);
    if (error)
        rd_kafka_error_destroy(error);
    MOR_TRY(mor_source_check_topic(source, err));
    rd_kafka_poll_set_consumer(source->kafka);
    source->consumer_queue = rd_kafka_queue_get_consumer(source->kafka);
    source->answer_queue = rd_kafka_queue_new(source->kafka);
    return MOR_OK;
}

enum mor_status mor_source_open(const struct mor_source_options *options,
                                struct mor_source **ret_source, struct mor_error *err)
{
    struct mor_source *source = new_source(options);
    enum mor_status status = connect_source(source, options, err);
    if (status == MOR_OK)
        status = mor_thread_start(&source->thread, "source", run, source, err);
    if (status != MOR_OK) {
        free_source(source);
        return status;
    }
    source->started = true;
    *ret_source = source;
    return MOR_OK;
}

void mor_source_free(struct mor_source *source)
{
    if (!source)
        return;
    pthread_mutex_lock(&source->mutex);
    source->stopped = true;
    source->quit = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->mutex);
    pthread_join(source->thread, NULL);
    free_source(source);
}

int64_t mor_source_alive_ms(struct mor_source *source)
{
    return atomic_load(&source->alive_ms);
}
