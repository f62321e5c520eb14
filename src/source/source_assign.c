// From an assigned partition to a running one. The group assigns, the table says where to start,
// and librdkafka gets one assign call with that offset: never an assign without one and a seek
// later.
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "source_internal.h"

#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define RETRY_MS           1000
#define ASK_AGAIN_MS       100 // the table is being read, which is a matter of moments
#define RESTART_MS         500
#define WATERMARK_LIMIT_MS 1000
#define SETTLE_LIMIT_MS    3000 // a third of the default session: the group waits for us meanwhile
#define SETTLE_SLICE_US    5000

struct mor_source_part *mor_source_find(struct mor_source *source, int32_t partition)
{
    for (size_t i = 0; i < source->part_count; i++) {
        if (source->parts[i]->partition == partition)
            return source->parts[i];
    }
    return NULL;
}

static void add_part(struct mor_source *source, int32_t partition)
{
    struct mor_source_part *part = mor_source_find(source, partition);
    if (!part) {
        part = mor_calloc(1, sizeof *part);
        source->parts =
            mor_realloc(source->parts, (source->part_count + 1) * sizeof(struct mor_source_part *));
        source->parts[source->part_count++] = part;
    }
    mor_source_drop_pending(part);
    *part = (struct mor_source_part){
        .partition = partition,
        .leader_epoch = -1,
        .state = MOR_PARTITION_ASKING,
        .valid_from = source->batch_count,
        .low = -1,
        .high = -1,
    };
}

static void remove_part(struct mor_source *source, int32_t partition)
{
    for (size_t i = 0; i < source->part_count; i++) {
        if (source->parts[i]->partition != partition)
            continue;
        assert(!source->parts[i]->building);
        mor_source_drop_pending(source->parts[i]);
        free(source->parts[i]);
        source->parts[i] = source->parts[--source->part_count];
        return;
    }
}

// ---- librdkafka's assignment --------------------------------------------------------------------

static bool is_cooperative(struct mor_source *source)
{
    return strcmp(rd_kafka_rebalance_protocol(source->kafka), "COOPERATIVE") == 0;
}

static void add_to_list(struct mor_source *source, rd_kafka_topic_partition_list_t *list,
                        const struct mor_source_part *part)
{
    rd_kafka_topic_partition_t *row =
        rd_kafka_topic_partition_list_add(list, source->topic, part->partition);
    row->offset = part->next;
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_1
    // with the epoch librdkafka asks the broker whether the log was cut below our offset
    if (part->leader_epoch >= 0)
        rd_kafka_topic_partition_set_leader_epoch(row, part->leader_epoch);
#endif
}

static void mark_assigned(struct mor_source_part *part)
{
    part->assigned = true;
    part->state = MOR_PARTITION_RUNNING;
    part->started = false;
    part->paused = false;
}

// A refusal by librdkafka of its own assignment is a broken state, not a partition's fault.
static void fail_assignment(struct mor_source *source, const char *doing, const char *reason)
{
    struct mor_error err = MOR_ERROR_INIT;
    mor_error_set(&err, MOR_FATAL, "topic '%s': librdkafka could not %s: %s", source->topic, doing,
                  reason);
    mor_source_fail(source, &err);
}

// Replaces everything: the only way with eager assignors. Running partitions go on from `next`.
static void assign_all(struct mor_source *source)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->part_count);
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        part->assigned = part->state == MOR_PARTITION_READY || part->state == MOR_PARTITION_RUNNING;
        if (!part->assigned)
            continue;
        add_to_list(source, list, part);
        mark_assigned(part);
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(source->kafka, source->part_count > 0 ? list : NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_assignment(source, "assign partitions", rd_kafka_err2str(code));
}

static void assign_more(struct mor_source *source)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)source->part_count);
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        if (part->state != MOR_PARTITION_READY)
            continue;
        assert(!part->assigned);
        add_to_list(source, list, part);
        mark_assigned(part);
    }
    rd_kafka_error_t *error = rd_kafka_incremental_assign(source->kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error) {
        fail_assignment(source, "assign partitions", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

// Takes one partition out of librdkafka's assignment, with everything it has fetched. With eager
// assignors the assign_all that follows does it.
static void unassign(struct mor_source *source, struct mor_source_part *part)
{
    if (!part->assigned || !is_cooperative(source))
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, source->topic, part->partition);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(source->kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    part->assigned = false;
    if (error) {
        fail_assignment(source, "give a partition up", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

// ---- steps --------------------------------------------------------------------------------------

static bool is_due(const struct mor_source_part *part, enum mor_source_state state, int64_t now_ms)
{
    return part->state == state && part->retry_at_ms <= now_ms;
}

// One answer of the table.
static void take_offset(struct mor_source *source, struct mor_source_part *part,
                        const struct mor_source_partition *row)
{
    part->generation = row->generation;
    part->leader_epoch = row->offset >= 0 ? row->leader_epoch : -1;
    part->error_count = 0;
    if (row->offset >= 0) {
        part->next = row->offset;
        part->state = MOR_PARTITION_READY;
        source->seen_offset = true;
        return;
    }
    part->state = MOR_PARTITION_STARTING;
    part->from_latest =
        source->options.start == MOR_START_LATEST && row->offset != MOR_OFFSET_EARLIEST;
}

// ASKING -> READY or STARTING: one call for all that are due.
static void ask_offsets(struct mor_source *source, int64_t now_ms)
{
    MOR_AUTO_FREE struct mor_source_partition *rows =
        mor_calloc(source->part_count + 1, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; i < source->part_count; i++) {
        if (is_due(source->parts[i], MOR_PARTITION_ASKING, now_ms))
            rows[count++] = (struct mor_source_partition){.partition = source->parts[i]->partition,
                                                          .offset = MOR_OFFSET_NONE,
                                                          .leader_epoch = -1};
    }
    if (count == 0)
        return;
    struct mor_error err = MOR_ERROR_INIT;
    enum mor_status status = source->options.assign(source->options.context, rows, count, &err);
    if (status == MOR_FATAL) {
        mor_source_fail(source, &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct mor_source_part *part = mor_source_find(source, rows[i].partition);
        assert(part);
        if (status == MOR_OK)
            take_offset(source, part, &rows[i]);
        else
            part->retry_at_ms = now_ms + ASK_AGAIN_MS;
    }
}

// With `latest` the place itself must get into the table: else a restart before the first record
// would start later and skip what came in between.
static void mark_start(struct mor_source *source, struct mor_source_part *part)
{
    mor_source_chunk_finish(source, part, mor_source_chunk_new(source, part, 0));
}

// STARTING -> READY: asks the broker for the ends of the log. False when it does not answer.
static bool find_start(struct mor_source *source, struct mor_source_part *part)
{
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        source->kafka, source->topic, part->partition, &low, &high, WATERMARK_LIMIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || low < 0 || high < 0) {
        mor_source_notice(source, MOR_LOG_WARN,
                          "could not find where partition %d starts, trying again: %s",
                          part->partition, rd_kafka_err2str(code));
        return false;
    }
    // A topic of which the table knows any partition has new ones, and those are read from their
    // first record: whatever came between their creation and now would be lost otherwise.
    bool latest = part->from_latest && !source->seen_offset;
    part->next = latest ? high : low;
    part->state = MOR_PARTITION_READY;
    if (latest)
        mark_start(source, part);
    return true;
}

static void find_starts(struct mor_source *source, int64_t now_ms)
{
    bool answering = true;
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        if (!is_due(part, MOR_PARTITION_STARTING, now_ms))
            continue;
        answering = answering && find_start(source, part);
        if (!answering) // one time-out is enough for this round
            part->retry_at_ms = now_ms + RETRY_MS;
    }
}

static void restart_halted(struct mor_source *source, int64_t now_ms)
{
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        if (!is_due(part, MOR_PARTITION_HALTED, now_ms))
            continue;
        unassign(source, part);
        part->state = MOR_PARTITION_READY;
    }
}

static bool any_ready(const struct mor_source *source)
{
    for (size_t i = 0; i < source->part_count; i++) {
        if (source->parts[i]->state == MOR_PARTITION_READY)
            return true;
    }
    return false;
}

void mor_source_settle(struct mor_source *source, int64_t now_ms)
{
    if (source->failed)
        return;
    ask_offsets(source, now_ms);
    if (!source->failed)
        find_starts(source, now_ms);
    restart_halted(source, now_ms);
    if (source->failed || !any_ready(source))
        return;
    if (is_cooperative(source))
        assign_more(source);
    else
        assign_all(source);
}

void mor_source_restart_asking(struct mor_source *source, struct mor_source_part *part)
{
    unassign(source, part);
    mor_source_drop_pending(part);
    part->state = MOR_PARTITION_ASKING;
    part->retry_at_ms = 0;
    part->error_count = 0;
}

// ---- the group's callback -----------------------------------------------------------------------

static void on_assign(struct mor_source *source, const rd_kafka_topic_partition_list_t *partitions)
{
    bool cooperative = is_cooperative(source);
    for (int i = 0; i < partitions->cnt; i++) {
        if (strcmp(partitions->elems[i].topic, source->topic) == 0)
            add_part(source, partitions->elems[i].partition);
    }
    if (!source->failed) {
        int64_t now_ms = mor_clock_mono_ms();
        ask_offsets(source, now_ms);
        if (!source->failed)
            find_starts(source, now_ms);
    }
    // librdkafka waits for this call, even with nothing to read yet.
    if (cooperative)
        assign_more(source);
    else
        assign_all(source);
}

// The commit on its way asks who the topic is, so that is answered meanwhile.
static void let_settle(struct mor_source *source, const struct mor_source_partition *rows,
                       size_t count)
{
    int64_t until_ms = mor_clock_mono_ms() + SETTLE_LIMIT_MS;
    while (source->options.settling && mor_clock_mono_ms() < until_ms &&
           source->options.settling(source->options.context, rows, count)) {
        mor_source_facts(source, mor_clock_mono_ms());
        usleep(SETTLE_SLICE_US);
    }
}

static void tell_revoke(struct mor_source *source,
                        const rd_kafka_topic_partition_list_t *partitions, bool lost)
{
    MOR_AUTO_FREE struct mor_source_partition *rows =
        mor_calloc((size_t)partitions->cnt + 1, sizeof *rows);
    size_t count = 0;
    for (int i = 0; i < partitions->cnt; i++) {
        struct mor_source_part *part = mor_source_find(source, partitions->elems[i].partition);
        if (!part)
            continue;
        rows[count++] = (struct mor_source_partition){.partition = part->partition,
                                                      .offset = part->next,
                                                      .leader_epoch = part->leader_epoch,
                                                      .generation = part->generation};
    }
    if (count == 0)
        return;
    source->options.revoke(source->options.context, rows, count, lost);
    if (!lost)
        let_settle(source, rows, count);
}

static void on_revoke(struct mor_source *source, const rd_kafka_topic_partition_list_t *partitions)
{
    bool lost = rd_kafka_assignment_lost(source->kafka) != 0;
    bool cooperative = is_cooperative(source);
    struct mor_error ignored = MOR_ERROR_INIT;
    (void)mor_fault("source.revoke", &ignored);
    tell_revoke(source, partitions, lost);
    if (!lost)
        mor_source_send_hints(source, 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions->cnt);
    for (int i = 0; i < partitions->cnt; i++) {
        struct mor_source_part *part = mor_source_find(source, partitions->elems[i].partition);
        if (part && part->assigned) // those still on their way are not librdkafka's yet
            rd_kafka_topic_partition_list_add(list, source->topic, part->partition);
        remove_part(source, partitions->elems[i].partition);
    }
    if (cooperative) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(source->kafka, list);
        if (error) {
            fail_assignment(source, "give partitions up", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    } else {
        assign_all(source);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void mor_source_rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t event,
                          rd_kafka_topic_partition_list_t *partitions, void *context)
{
    struct mor_source *source = context;
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(source, partitions);
    } else if (event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        on_revoke(source, partitions);
    } else {
        // a failed rebalance: give everything up so that group and client agree again
        mor_source_notice(source, MOR_LOG_WARN, "rebalance failed: %s", rd_kafka_err2str(event));
        tell_revoke(source, partitions, true);
        for (int i = 0; i < partitions->cnt; i++)
            remove_part(source, partitions->elems[i].partition);
        rd_kafka_assign(kafka, NULL);
    }
    mor_source_publish_lag(source);
}

// ---- pausing ------------------------------------------------------------------------------------

// Only on a change of state: resuming what is not paused used to fetch from an old position.
void mor_source_set_paused(struct mor_source *source, struct mor_source_part *part, bool pause)
{
    if (part->paused == pause || !part->assigned)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, source->topic, part->partition);
    rd_kafka_resp_err_t code = pause ? rd_kafka_pause_partitions(source->kafka, list)
                                     : rd_kafka_resume_partitions(source->kafka, list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        part->paused = pause;
    else
        mor_source_notice(source, MOR_LOG_WARN, "could not %s partition %d: %s",
                          pause ? "pause" : "resume", part->partition, rd_kafka_err2str(code));
}

void mor_source_pause_as_needed(struct mor_source *source, int64_t now_ms)
{
    bool all = source->failed ||
               (source->pressure && now_ms - source->pressure_since_ms > MOR_SOURCE_STALL_MS);
    for (size_t i = 0; i < source->part_count; i++) {
        struct mor_source_part *part = source->parts[i];
        if (part->state != MOR_PARTITION_RUNNING)
            continue;
        bool refused = part->refused_since_ms != 0 &&
                       now_ms - part->refused_since_ms > MOR_SOURCE_STALL_MS &&
                       part->pending_bytes > MOR_SOURCE_PENDING_BYTES;
        // Pausing before the first record would lose the offset of the assign call.
        if (!part->paused && part->started && (all || refused))
            mor_source_set_paused(source, part, true);
        else if (part->paused && !source->pressure && !source->failed && !part->pending_first)
            mor_source_set_paused(source, part, false);
    }
}
