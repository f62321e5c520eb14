// What source and committer ask the pipeline.
#include "pipeline_internal.h"

#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"

#define CONFIRM_TIMEOUT_MS 5000

// ---- the committer's questions ------------------------------------------------------------------

static void on_step(void *context, const char *step, const struct mor_error *trouble)
{
    struct mor_pipeline *pipeline = context;
    atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
    mor_pipeline_set_step(pipeline, step != NULL ? step : "fetch");
    if (trouble != NULL) {
        mor_pipeline_set_trouble(pipeline, step != NULL ? step : "commit", trouble->message);
        MOR_LOG(WARN, "commit_retry", MOR_STR("topic", pipeline->topic->topic),
                MOR_STR("step", step), MOR_STR("class", mor_status_name(trouble->status)),
                MOR_STR("msg", trouble->message));
    }
}

static void on_identify(void *context, struct mor_ledger *after)
{
    struct mor_pipeline *pipeline = context;
    MOR_LOCKED(&pipeline->mutex);
    (void)snprintf(after->cluster_id, sizeof after->cluster_id, "%s",
                   pipeline->identity.cluster_id);
    (void)snprintf(after->topic_id, sizeof after->topic_id, "%s", pipeline->identity.topic_id);
}

bool mor_pipeline_gives_up(void *context)
{
    struct mor_pipeline *pipeline = context;
    return atomic_load(&pipeline->stopping) &&
           mor_clock_mono_ms() >= atomic_load(&pipeline->deadline_ms);
}

static enum mor_status on_confirm(void *context, struct mor_error *err)
{
    struct mor_pipeline *pipeline = context;
    return mor_source_confirm_identity(pipeline->source, CONFIRM_TIMEOUT_MS, err);
}

static void on_reassign(void *context, int32_t partition)
{
    struct mor_pipeline *pipeline = context;
    mor_source_reassign(pipeline->source, partition);
}

static bool is_read_to_its_end(const struct mor_source_lag *rows, size_t count, int32_t partition)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].partition == partition)
            return rows[i].high >= 0 && rows[i].position >= rows[i].high;
    return false;
}

static bool on_look_at_idle(void *context, struct mor_ledger *after)
{
    struct mor_pipeline *pipeline = context;
    if (pipeline->source == NULL)
        return false;
    struct mor_source_lag *rows = mor_calloc(MOR_PIPELINE_LAG_MAX, sizeof *rows);
    size_t count = mor_source_lag(pipeline->source, rows, MOR_PIPELINE_LAG_MAX);
    int64_t now_ms = mor_clock_mono_ms();
    bool may_move = true;
    MOR_LOCKED(&pipeline->positions.mutex);
    for (size_t i = 0; i < pipeline->positions.count; i++) {
        const struct mor_position *position = &pipeline->positions.rows[i];
        if (!position->assigned)
            continue;
        bool ended = is_read_to_its_end(rows, count, position->partition);
        struct mor_progress *progress = mor_ledger_partition(after, position->partition);
        progress->idle =
            ended && now_ms - position->active_ms >= pipeline->topic->event_time.idle_after_ms;
        // nothing is known of its event time yet, and something is left to read
        may_move = may_move && (progress->watermark_ms != NO_WATERMARK || ended);
    }
    free(rows);
    return may_move;
}

struct mor_committer mor_pipeline_committer(struct mor_pipeline *pipeline)
{
    return (struct mor_committer){
        .instance = pipeline->config->instance,
        .topic = pipeline->topic->topic,
        .table = pipeline->table,
        .plan = &pipeline->plan,
        .ordering_column = mor_pipeline_ordering(pipeline),
        .index = mor_pipeline_wants_index(pipeline->topic),
        .lanes = pipeline->lanes,
        .lane_count = pipeline->lane_count,
        .crew = pipeline->crew,
        .letters = pipeline->letters,
        .positions = &pipeline->positions,
        .local = pipeline->local,
        .ledger = &pipeline->ledger,
        .dead_ratio_max = pipeline->topic->dead_letter.max_ratio,
        .identify = on_identify,
        .look_at_idle = on_look_at_idle,
        .confirm = on_confirm,
        .reassign = on_reassign,
        .publishing =
            mor_table_is_in_catalog(pipeline->topic->table.location) ? "catalog" : "commit",
        .step = on_step,
        .give_up = mor_pipeline_gives_up,
        .context = pipeline};
}

// ---- the source's callbacks ---------------------------------------------------------------------

static enum mor_status on_identity(void *context, const struct mor_source_identity *identity,
                                   struct mor_error *err)
{
    struct mor_pipeline *pipeline = context;
    MOR_LOCKED(&pipeline->mutex);
    struct mor_source_identity *known = &pipeline->identity;
    if (known->cluster_id[0] != '\0' && identity->cluster_id[0] != '\0' &&
        strcmp(known->cluster_id, identity->cluster_id) != 0)
        return mor_error_set(err, MOR_FATAL,
                             "the table was filled from Kafka cluster '%s', but this is cluster "
                             "'%s': offsets do not carry "
                             "over. Point kafka.bootstrap.servers at the old cluster, or give the "
                             "topic a new table location",
                             known->cluster_id, identity->cluster_id);
    if (known->topic_id[0] != '\0' && identity->topic_id[0] != '\0' &&
        strcmp(known->topic_id, identity->topic_id) != 0)
        return mor_error_set(err, MOR_FATAL,
                             "topic '%s' was deleted and recreated: the table holds offsets of "
                             "topic id %s, the broker now has "
                             "%s. Records of the new topic start at offset 0 and would be skipped. "
                             "Give the topic a new table "
                             "location",
                             pipeline->topic->topic, known->topic_id, identity->topic_id);
    if (known->cluster_id[0] == '\0')
        memcpy(known->cluster_id, identity->cluster_id, sizeof known->cluster_id);
    if (known->topic_id[0] == '\0')
        memcpy(known->topic_id, identity->topic_id, sizeof known->topic_id);
    return MOR_OK;
}

static void note_rebalance(struct mor_pipeline *pipeline)
{
    MOR_LOCKED(&pipeline->mutex);
    pipeline->status.rebalances++;
}

static enum mor_status on_assign(void *context, struct mor_source_partition *partitions,
                                 size_t count, struct mor_error *err)
{
    struct mor_pipeline *pipeline = context;
    enum mor_status status = mor_positions_assign(&pipeline->positions, partitions, count, err);
    if (status == MOR_RETRY)
        mor_gate_poke(&pipeline->gate); // the committer reads the table
    MOR_TRY(status);
    note_rebalance(pipeline);
    for (size_t i = 0; i < count; i++)
        MOR_LOG(INFO, "partition_assigned", MOR_STR("topic", pipeline->topic->topic),
                MOR_INT("partition", partitions[i].partition),
                MOR_INT("offset", partitions[i].offset));
    return MOR_OK;
}

static void on_revoke(void *context, const struct mor_source_partition *partitions, size_t count,
                      bool lost)
{
    struct mor_pipeline *pipeline = context;
    mor_positions_revoke(&pipeline->positions, partitions, count);
    note_rebalance(pipeline);
    for (size_t i = 0; i < count; i++)
        MOR_LOG(INFO, "partition_revoked", MOR_STR("topic", pipeline->topic->topic),
                MOR_INT("partition", partitions[i].partition), MOR_INT("lost", lost));
}

static bool on_settling(void *context, const struct mor_source_partition *partitions, size_t count)
{
    struct mor_pipeline *pipeline = context;
    return mor_positions_in_flight(&pipeline->positions, partitions, count);
}

static bool on_deliver(void *context, struct mor_chunk *chunk)
{
    struct mor_pipeline *pipeline = context;
    if (atomic_load(&pipeline->paused))
        return false; // the source keeps the chunk and pauses its partition
    size_t records = chunk->record_count, bytes = chunk->size_bytes; // it may be gone afterwards
    if (!mor_lane_offer(pipeline->lanes[(size_t)chunk->partition % pipeline->lane_count], chunk))
        return false;
    atomic_fetch_add(&pipeline->consumed_records, (long long)records);
    atomic_fetch_add(&pipeline->consumed_bytes, (long long)bytes);
    return true;
}

static void on_notice(void *context, enum mor_log_level level, const char *text)
{
    struct mor_pipeline *pipeline = context;
    MOR_AUTO_FREE char *clean = mor_strdup(text);
    mor_config_redact(pipeline->config, clean);
    const struct mor_log_field fields[] = {MOR_STR("topic", pipeline->topic->topic),
                                           MOR_STR("msg", clean)};
    if (mor_log_enabled(level))
        mor_log_write(level, "kafka_notice", fields, sizeof fields / sizeof fields[0]);
}

static void on_failure(void *context, int32_t partition, const struct mor_error *err)
{
    struct mor_pipeline *pipeline = context;
    struct mor_error failure = *err;
    if (partition >= 0)
        mor_error_wrap(&failure, "partition %d", partition);
    mor_gate_fail(&pipeline->gate, &failure);
}

void mor_pipeline_listen(struct mor_pipeline *pipeline, struct mor_source_options *options)
{
    options->context = pipeline;
    options->identity = on_identity;
    options->assign = on_assign;
    options->revoke = on_revoke;
    options->settling = on_settling;
    options->deliver = on_deliver;
    options->failure = on_failure;
    options->notice = on_notice;
}
