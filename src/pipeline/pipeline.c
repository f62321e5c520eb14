#include "moraine/pipeline.h"

#include <stdio.h>
#include <time.h>

#include "committer.h"
#include "crew.h"
#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"
#include "moraine/decode.h"
#include "moraine/source.h"
#include "moraine/table.h"
#include "topic_schema.h"

#define OPEN_RETRY_MS      2000
#define WAIT_SLICE_MS      500
#define CONFIRM_TIMEOUT_MS 5000
#define DRAIN_SLICE_MS     20
#define GATHER_SHARE                                                                               \
    6 // of the topic's budget: one batch being filled, one being committed, their growth, encoding
#define STATE_SHARE       4 // ids of the dedup window and keys, before filters take over
#define GRAVE_MS_MIN      86400000
#define LANE_QUEUE_SHARE  16
#define KAFKA_QUEUE_SHARE 16
#define KAFKA_QUEUE_MAX   (16u << 20)
#define GATHER_BYTES_MAX  (1u << 30) // string columns have 32-bit offsets

struct mor_pipeline {
    const struct mor_config *config;
    const struct mor_config_topic *topic;
    struct mor_registry *registry;
    struct mor_budget *budget;
    size_t budget_share_bytes;
    pthread_t thread;

    // opened in this order by the topic's thread, closed in the opposite one
    struct mor_topic_schema schema;
    struct mor_table *table;
    struct mor_ledger ledger;
    struct mor_letter_sink *letters;
    struct mor_schema *letter_schema;
    struct mor_positions positions;
    struct mor_local_state *local; // NULL = none
    struct mor_gate gate;
    struct mor_lane_plan plan;
    struct mor_lane **lanes;
    size_t lane_count;
    struct mor_crew *crew;
    struct mor_source *source;
    bool positions_made;

    atomic_bool stopping;
    atomic_bool paused; // by an operator
    atomic_llong deadline_ms;
    atomic_llong consumed_records, consumed_bytes;
    atomic_llong alive_ms; // of the committer
    pthread_mutex_t mutex; // status, identity, and `source` for whoever reads lag
    struct mor_pipeline_status status;
    struct mor_source_identity identity; // "" until the table or Kafka has told
};

// ---- what is told -------------------------------------------------------------------------------

static void set_step(struct mor_pipeline *pipeline, const char *step)
{
    MOR_LOCKED(&pipeline->mutex);
    if (strcmp(pipeline->status.step, step) == 0)
        return;
    (void)snprintf(pipeline->status.step, sizeof pipeline->status.step, "%s", step);
    pipeline->status.step_since_ms = mor_clock_wall_ms();
}

// `text` "" = all is well again.
static void set_trouble(struct mor_pipeline *pipeline, const char *step, const char *text)
{
    MOR_LOCKED(&pipeline->mutex);
    struct mor_pipeline_status *status = &pipeline->status;
    (void)snprintf(status->trouble_step, sizeof status->trouble_step, "%s", step);
    (void)snprintf(status->trouble, sizeof status->trouble, "%s", text);
}

static void set_state(struct mor_pipeline *pipeline, enum mor_pipeline_state state)
{
    MOR_LOCKED(&pipeline->mutex);
    pipeline->status.state = state;
}

static void on_step(void *context, const char *step, const struct mor_error *trouble)
{
    struct mor_pipeline *pipeline = context;
    atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
    set_step(pipeline, step != NULL ? step : "fetch");
    if (trouble != NULL) {
        set_trouble(pipeline, step != NULL ? step : "commit", trouble->message);
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

static bool on_give_up(void *context)
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

const int64_t mor_pipeline_bounds_ms[MOR_PIPELINE_BOUNDS] = {
    50,    100,   250,   500,    1000,   2500,   5000,   10000,
    15000, 30000, 60000, 120000, 300000, 900000, 3600000};

static void observe(struct mor_pipeline_histogram *histogram, int64_t ms)
{
    size_t i = 0;
    while (i < MOR_PIPELINE_BOUNDS && ms > mor_pipeline_bounds_ms[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_ms += ms;
}

static void note_freshness(struct mor_pipeline_status *status, int64_t oldest_ms)
{
    if (oldest_ms == MOR_TIMESTAMP_NONE)
        return;
    // producers' clocks may run ahead of ours
    int64_t ms = status->last_commit_ms > oldest_ms ? status->last_commit_ms - oldest_ms : 0;
    status->last_freshness_ms = ms;
    observe(&status->freshness, ms);
}

static void note_commit(struct mor_pipeline *pipeline, const struct mor_commit_report *report)
{
    const struct mor_outcomes *rows = &report->outcomes;
    {
        MOR_LOCKED(&pipeline->mutex);
        struct mor_pipeline_status *status = &pipeline->status;
        status->commits++;
        status->read += rows->read;
        status->inserted += rows->inserted;
        status->updated += rows->updated;
        status->deleted += rows->deleted;
        status->duplicate += rows->duplicate;
        status->late_dropped += rows->late_dropped;
        status->dead += rows->dead;
        status->dead_keys += report->dead_keys;
        status->filtered += rows->filtered;
        status->gap += rows->gap;
        status->files_written += report->result.file_count;
        status->delta_files_written += report->result.log_file_count;
        status->bytes_written += report->result.bytes_written;
        status->last_commit_ms = mor_clock_wall_ms();
        status->last_commit_duration_ms = report->duration_ms;
        observe(&status->commit_duration, report->duration_ms);
        note_freshness(status, report->oldest_ms);
        status->watermark_ms = pipeline->ledger.watermark_ms;
        status->late += report->event_time.late;
        status->future += report->event_time.future;
        for (size_t i = 0; i <= MOR_PIPELINE_LATENESS; i++)
            status->lateness[i] += report->event_time.lateness[i];
        status->trouble[0] = '\0';
        memcpy(status->last_version, report->result.version, sizeof status->last_version);
    }
    MOR_LOG(INFO, "commit_done", MOR_STR("topic", pipeline->topic->topic),
            MOR_STR("commit", report->result.version), MOR_INT("read", rows->read),
            MOR_INT("inserted", rows->inserted), MOR_INT("updated", rows->updated),
            MOR_INT("deleted", rows->deleted), MOR_INT("duplicate", rows->duplicate),
            MOR_INT("late", report->event_time.late), MOR_INT("dead", rows->dead),
            MOR_INT("gap", rows->gap), MOR_INT("files", report->result.file_count),
            MOR_INT("bytes", report->result.bytes_written), MOR_INT("ms", report->duration_ms));
    if (rows->dead > 0)
        MOR_LOG(WARN, "dead_letters", MOR_STR("topic", pipeline->topic->topic),
                MOR_INT("records", rows->dead));
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

static bool wants_index(const struct mor_config_topic *topic)
{
    if (topic->table.key_index != MOR_CONFIG_KEY_INDEX_AUTO)
        return topic->table.key_index == MOR_CONFIG_KEY_INDEX_ON;
    // otherwise no record is older than one before it, and no key can move
    return topic->key.count > 0 &&
           (topic->ordering != NULL || topic->table.partition_field_count > 0);
}

// What decides between two rows of a key, besides the order in which they come.
static int32_t configured_ordering(const struct mor_pipeline *pipeline)
{
    return pipeline->topic->ordering != NULL ? pipeline->schema.ordering_column : -1;
}

static struct mor_committer make_committer(struct mor_pipeline *pipeline)
{
    return (struct mor_committer){.instance = pipeline->config->instance,
                                  .topic = pipeline->topic->topic,
                                  .table = pipeline->table,
                                  .plan = &pipeline->plan,
                                  .ordering_column = configured_ordering(pipeline),
                                  .index = wants_index(pipeline->topic),
                                  .lanes = pipeline->lanes,
                                  .lane_count = pipeline->lane_count,
                                  .crew = pipeline->crew,
                                  .letters = pipeline->letters,
                                  .positions = &pipeline->positions,
                                  .local = pipeline->local,
                                  .ledger = &pipeline->ledger,
                                  .identify = on_identify,
                                  .look_at_idle = on_look_at_idle,
                                  .confirm = on_confirm,
                                  .reassign = on_reassign,
                                  .step = on_step,
                                  .give_up = on_give_up,
                                  .context = pipeline};
}

// ---- opening ------------------------------------------------------------------------------------

static enum mor_status open_table(struct mor_pipeline *pipeline, struct mor_error *err)
{
    const struct mor_config_topic *topic = pipeline->topic;
    MOR_AUTO_FREE struct mor_partition_field *fields =
        mor_calloc(topic->table.partition_field_count, sizeof *fields);
    for (size_t i = 0; i < topic->table.partition_field_count; i++)
        fields[i] = (struct mor_partition_field){
            topic->table.partition_fields[i].column,
            (enum mor_transform)topic->table.partition_fields[i].transform};
    const char *ordering =
        pipeline->schema.ordering_column >= 0
            ? pipeline->schema.rows->root.children[pipeline->schema.ordering_column].name
            : NULL;
    struct mor_table_options options = {.format = (enum mor_table_format)topic->table.format,
                                        .location = topic->table.location,
                                        .database = topic->table.database,
                                        .name = topic->table.name,
                                        .schema = pipeline->schema.rows,
                                        .key_columns = topic->key.items,
                                        .key_column_count = topic->key.count,
                                        .ordering_column = ordering,
                                        .partition_fields = fields,
                                        .partition_field_count = topic->table.partition_field_count,
                                        .bucket_count = (int32_t)topic->table.buckets,
                                        .hudi_table_version =
                                            (int32_t)topic->table.hudi_table_version,
                                        .instance = pipeline->config->instance,
                                        .budget = pipeline->budget};
    MOR_TRY(mor_table_open_write(&options, &pipeline->table, err));
    enum mor_status status = mor_committer_load(pipeline->table, &pipeline->ledger, NULL, err);
    if (status == MOR_OK)
        status = mor_topic_schema_bind(&pipeline->schema, mor_table_schema(pipeline->table), err);
    if (status != MOR_OK) {
        mor_table_free(pipeline->table);
        pipeline->table = NULL;
        return status;
    }
    MOR_LOCKED(&pipeline->mutex);
    (void)snprintf(pipeline->identity.cluster_id, sizeof pipeline->identity.cluster_id, "%s",
                   pipeline->ledger.cluster_id);
    (void)snprintf(pipeline->identity.topic_id, sizeof pipeline->identity.topic_id, "%s",
                   pipeline->ledger.topic_id);
    return MOR_OK;
}

static enum mor_status open_letters(struct mor_pipeline *pipeline, struct mor_error *err)
{
    MOR_TRY(mor_letter_sink_open(pipeline->config, pipeline->topic, &pipeline->ledger,
                                 pipeline->budget, &pipeline->letters, err));
    pipeline->letter_schema = mor_dead_letter_schema();
    mor_positions_init(&pipeline->positions, &pipeline->ledger);
    pipeline->positions_made = true;
    MOR_LOCKED(&pipeline->mutex);
    pipeline->status.watermark_ms = pipeline->ledger.watermark_ms;
    return MOR_OK;
}

// The salt of event ids belongs to the table, so the first instance that wants one commits it
// before anything else.
static enum mor_status agree_on_salt(struct mor_pipeline *pipeline, struct mor_error *err)
{
    if (pipeline->ledger.dedup_salt != 0)
        return MOR_OK;
    struct mor_committer committer = make_committer(pipeline);
    struct mor_uuid random = mor_uuid_v4();
    memcpy(&committer.salt, random.bytes, sizeof committer.salt);
    committer.salt |= 1; // not 0
    struct mor_commit_report report;
    return mor_committer_run(&committer, MOR_COMMIT_ANYWAY, &report, err);
}

static struct mor_local_state_options local_state_options(const struct mor_pipeline *pipeline)
{
    const struct mor_config_topic *topic = pipeline->topic;
    const struct mor_topic_schema *schema = &pipeline->schema;
    int64_t lateness_ms = topic->event_time.max_lateness_ms;
    return (struct mor_local_state_options){
        .state_dir = pipeline->config->state_dir,
        .topic = topic->topic,
        .location = topic->table.location,
        .dedup_by = topic->dedup.by.items,
        .dedup_by_count = topic->dedup.by.count,
        .window_ms = topic->dedup.window_ms,
        .salt = topic->dedup.by.count > 0 ? pipeline->ledger.dedup_salt : 0,
        .index = wants_index(topic),
        .grave_ms = lateness_ms > GRAVE_MS_MIN / 2 ? 2 * lateness_ms : GRAVE_MS_MIN,
        .rebuild = {.table = pipeline->table,
                    .location = topic->table.location,
                    .rows = schema->rows,
                    .ordering_column = configured_ordering(pipeline),
                    .required_columns = schema->required_columns,
                    .required_count = schema->required_count,
                    .budget = pipeline->budget,
                    .topic = topic->topic},
        .budget = pipeline->budget,
        .share_bytes = pipeline->budget_share_bytes / STATE_SHARE};
}

static enum mor_status open_state(struct mor_pipeline *pipeline, struct mor_error *err)
{
    const struct mor_config_topic *topic = pipeline->topic;
    if (topic->dedup.by.count == 0 && !wants_index(topic))
        return MOR_OK;
    if (topic->dedup.by.count > 0)
        MOR_TRY(agree_on_salt(pipeline, err));
    const struct mor_local_state_options options = local_state_options(pipeline);
    struct mor_state_outcome outcome;
    MOR_TRY(mor_local_state_open(&options, pipeline->table, &pipeline->local, &outcome, err));
    if (outcome.condition == MOR_STATE_SET_ASIDE)
        MOR_LOG(WARN, "state_set_aside", MOR_STR("topic", topic->topic),
                MOR_STR("msg", outcome.reason));
    return MOR_OK;
}

// Takes in what the table has and the local state has not.
static enum mor_status catch_up(struct mor_pipeline *pipeline, struct mor_error *err)
{
    struct mor_committer committer = make_committer(pipeline);
    int64_t started = mor_clock_mono_ms();
    MOR_TRY(mor_committer_sync(&committer, err));
    if (pipeline->local != NULL) {
        struct mor_state_status state;
        mor_state_status(pipeline->local->state, &state);
        MOR_LOG(INFO, "state_ready", MOR_STR("topic", pipeline->topic->topic),
                MOR_INT("ids", (int64_t)state.dedup_entries),
                MOR_INT("keys", (int64_t)state.index_entries),
                MOR_INT("ms", mor_clock_mono_ms() - started));
    }
    return MOR_OK;
}

static void make_plan(struct mor_pipeline *pipeline)
{
    const struct mor_config_topic *topic = pipeline->topic;
    const struct mor_topic_schema *schema = &pipeline->schema;
    pipeline->plan = (struct mor_lane_plan){
        .topic = topic->topic,
        .table = pipeline->table,
        .decoder = mor_topic_decoder_options(topic, schema, pipeline->registry),
        .rows = schema->rows,
        .column_of_table = schema->column_of_table,
        .absent_first = schema->absent_first,
        .keyed = topic->key.count > 0,
        .offset_column = schema->columns.offset_column,
        .delete_column = schema->delete_column,
        .delete_text = topic->delete_when.equals,
        .required_columns = schema->required_columns,
        .required_count = schema->required_count,
        .event_time = {.column = schema->event_time_column,
                       .factor = schema->event_time_factor,
                       .divisor = schema->event_time_divisor,
                       .format = topic->event_time.format,
                       .max_lateness_ms = topic->event_time.max_lateness_ms,
                       .max_future_ms = topic->event_time.max_future_ms,
                       .late = (enum mor_late_policy)topic->event_time.late},
        .local = pipeline->local,
        .dedup_columns = schema->dedup_columns,
        .dedup_column_count = topic->dedup.by.count,
        .stop_on_error = topic->on_error == MOR_CONFIG_ON_ERROR_STOP,
        .lane_count = pipeline->lane_count,
        .queue_bytes_max = pipeline->budget_share_bytes / LANE_QUEUE_SHARE / pipeline->lane_count,
        .budget = pipeline->budget,
        .gate = &pipeline->gate,
        .positions = &pipeline->positions,
        .letters = pipeline->letter_schema};
}

static enum mor_status start_lanes(struct mor_pipeline *pipeline, struct mor_error *err)
{
    pipeline->lanes = mor_calloc((size_t)pipeline->config->lanes, sizeof *pipeline->lanes);
    size_t wanted = (size_t)pipeline->config->lanes;
    pipeline->lane_count = wanted;
    make_plan(pipeline);
    pipeline->lane_count = 0;
    for (size_t i = 0; i < wanted; i++) {
        MOR_TRY(mor_lane_start(&pipeline->plan, (int32_t)i, &pipeline->lanes[i], err));
        pipeline->lane_count++;
    }
    // the committer's own thread helps the crew
    return mor_crew_new(wanted - 1, "encode", &pipeline->crew, err);
}

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

static enum mor_status open_source(struct mor_pipeline *pipeline, struct mor_error *err)
{
    const struct mor_config *config = pipeline->config;
    MOR_AUTO_FREE struct mor_source_property *properties =
        mor_calloc(config->kafka_count, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct mor_source_property){config->kafka[i].name, config->kafka[i].value};
    struct mor_source_options options = {
        .topic = pipeline->topic->topic,
        .group_id = pipeline->topic->group,
        .properties = properties,
        .property_count = config->kafka_count,
        .start = pipeline->topic->start == MOR_CONFIG_START_LATEST ? MOR_START_LATEST
                                                                   : MOR_START_EARLIEST,
        .budget = pipeline->budget,
        .queue_bytes_max =
            at_most(pipeline->budget_share_bytes / KAFKA_QUEUE_SHARE, KAFKA_QUEUE_MAX),
        .headers = pipeline->topic->dead_letter.location != NULL ||
                   pipeline->topic->dead_letter.topic != NULL ||
                   mor_topic_columns_want_headers(&pipeline->schema.columns),
        .context = pipeline,
        .identity = on_identity,
        .assign = on_assign,
        .revoke = on_revoke,
        .settling = on_settling,
        .deliver = on_deliver,
        .failure = on_failure,
        .notice = on_notice};
    struct mor_source *source;
    MOR_TRY(mor_source_open(&options, &source, err));
    MOR_LOCKED(&pipeline->mutex);
    pipeline->source = source;
    return MOR_OK;
}

struct open_step {
    const char *name;
    enum mor_status (*open)(struct mor_pipeline *pipeline, struct mor_error *err);
};

static enum mor_status open_schema(struct mor_pipeline *pipeline, struct mor_error *err)
{
    return mor_topic_schema_load(pipeline->topic, pipeline->registry, &pipeline->schema, err);
}

// Waits a moment; false when the topic is to stop.
static bool wait_to_retry(struct mor_pipeline *pipeline)
{
    for (int64_t waited = 0; waited < OPEN_RETRY_MS && !atomic_load(&pipeline->stopping);
         waited += WAIT_SLICE_MS) {
        struct timespec pause = {0, WAIT_SLICE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return !atomic_load(&pipeline->stopping);
}

// What is away is waited for (registry, a lock, the broker); OK also when the topic is to stop
// meanwhile.
static enum mor_status open_all(struct mor_pipeline *pipeline, struct mor_error *err)
{
    static const struct open_step steps[] = {{"schema", open_schema},        {"table", open_table},
                                             {"dead_letters", open_letters}, {"state", open_state},
                                             {"catch_up", catch_up},         {"lanes", start_lanes},
                                             {"kafka", open_source}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        set_step(pipeline, steps[i].name);
        enum mor_status status;
        while ((status = steps[i].open(pipeline, err)) == MOR_RETRY) {
            set_trouble(pipeline, steps[i].name, err->message);
            atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
            MOR_LOG(WARN, "open_retry", MOR_STR("topic", pipeline->topic->topic),
                    MOR_STR("step", steps[i].name), MOR_STR("msg", err->message));
            if (!wait_to_retry(pipeline))
                return MOR_OK;
        }
        MOR_TRY(status);
        set_trouble(pipeline, "", "");
        if (atomic_load(&pipeline->stopping))
            return MOR_OK;
    }
    return MOR_OK;
}

// ---- running ------------------------------------------------------------------------------------

static void hint_offsets(struct mor_pipeline *pipeline)
{
    size_t count = 0;
    MOR_AUTO_FREE struct mor_source_partition *hints =
        mor_calloc(pipeline->ledger.progress_count, sizeof *hints);
    for (size_t i = 0; i < pipeline->ledger.progress_count; i++) {
        const struct mor_progress *progress = &pipeline->ledger.progress[i];
        if (progress->next_offset != MOR_OFFSET_NONE)
            hints[count++] = (struct mor_source_partition){.partition = progress->partition,
                                                           .offset = progress->next_offset,
                                                           .leader_epoch = progress->leader_epoch};
    }
    mor_source_commit_hint(pipeline->source, hints, count);
}

static enum mor_status commit_once(struct mor_pipeline *pipeline, struct mor_committer *committer,
                                   enum mor_commit_reason reason, struct mor_error *err)
{
    struct mor_commit_report report;
    enum mor_status status = mor_committer_run(committer, reason, &report, err);
    if (report.went_back)
        MOR_LOG(WARN, "table_rolled_back", MOR_STR("topic", pipeline->topic->topic),
                MOR_STR("msg", "the table was rolled back or restored to an earlier commit: its "
                               "offsets are followed, and the records after them are read again"));
    if (report.fenced > 0) {
        static const char words[] = "another writer moved partitions of this instance in the "
                                    "table; their records were dropped and are read again from "
                                    "there";
        MOR_LOG(WARN, "fenced", MOR_STR("topic", pipeline->topic->topic),
                MOR_INT("partitions", report.fenced), MOR_STR("msg", words));
        set_trouble(pipeline, "commit", words);
        MOR_LOCKED(&pipeline->mutex);
        pipeline->status.fenced += report.fenced;
    }
    MOR_TRY(status);
    if (report.committed) {
        note_commit(pipeline, &report);
        hint_offsets(pipeline);
    }
    return MOR_OK;
}

// Between two commits: assignments that wait for the table, a local state that must start anew.
static enum mor_status look_around(struct mor_pipeline *pipeline, struct mor_committer *committer,
                                   struct mor_error *err)
{
    bool damaged = pipeline->local != NULL && atomic_load(&pipeline->local->damaged);
    if (mor_positions_sync_wanted(&pipeline->positions) == 0 && !damaged)
        return MOR_OK;
    enum mor_status status = mor_committer_sync(committer, err);
    if (status != MOR_RETRY)
        return status;
    on_step(pipeline, "index", err);
    return MOR_OK;
}

// The watermark may move when nothing but time passes, because partitions turn idle.
static enum mor_commit_reason reason_for(struct mor_pipeline *pipeline, bool due,
                                         int64_t *watermark_at_ms)
{
    int64_t interval_ms = pipeline->topic->event_time.watermark_interval_ms;
    int64_t now_ms = mor_clock_mono_ms();
    if (interval_ms == 0 || (!due && now_ms < *watermark_at_ms))
        return MOR_COMMIT_RECORDS;
    *watermark_at_ms = now_ms + interval_ms;
    return MOR_COMMIT_WATERMARK;
}

static bool lanes_are_idle(struct mor_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->lane_count; i++)
        if (!mor_lane_is_idle(pipeline->lanes[i]))
            return false;
    return true;
}

// Everything that was taken in is committed, unless the deadline passes first.
static enum mor_status drain(struct mor_pipeline *pipeline, struct mor_committer *committer,
                             struct mor_error *err)
{
    set_step(pipeline, "drain");
    mor_source_stop(pipeline->source);
    bool idle;
    do {
        idle = lanes_are_idle(pipeline);
        enum mor_status status = commit_once(pipeline, committer, MOR_COMMIT_RECORDS, err);
        if (status == MOR_RETRY) {
            MOR_LOG(WARN, "shutdown_deadline", MOR_STR("topic", pipeline->topic->topic),
                    MOR_STR("msg", err->message));
            return MOR_OK;
        }
        MOR_TRY(status);
        if (mor_gate_failure(&pipeline->gate, err))
            return err->status;
        if (!idle)
            (void)mor_gate_wait(&pipeline->gate, 0, DRAIN_SLICE_MS);
    } while (!idle && !on_give_up(pipeline));
    return MOR_OK;
}

// What cannot be dropped now is dropped later.
static enum mor_status tidy(struct mor_pipeline *pipeline, struct mor_error *err)
{
    enum mor_status status = mor_local_state_tidy(pipeline->local, &pipeline->ledger, err);
    if (status == MOR_FATAL)
        return status;
    *err = MOR_ERROR_INIT;
    return MOR_OK;
}

static enum mor_status run(struct mor_pipeline *pipeline, struct mor_error *err)
{
    struct mor_committer committer = make_committer(pipeline);
    int64_t watermark_at_ms = 0;
    set_state(pipeline, MOR_PIPELINE_RUNNING);
    set_step(pipeline, "fetch");
    while (!atomic_load(&pipeline->stopping)) {
        bool due =
            mor_gate_wait(&pipeline->gate, pipeline->topic->commit.interval_ms, WAIT_SLICE_MS);
        atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
        if (mor_gate_failure(&pipeline->gate, err))
            return err->status;
        MOR_TRY(look_around(pipeline, &committer, err));
        enum mor_commit_reason reason = reason_for(pipeline, due, &watermark_at_ms);
        if (due || reason == MOR_COMMIT_WATERMARK)
            MOR_TRY(commit_once(pipeline, &committer, reason, err));
        if (pipeline->local != NULL)
            MOR_TRY(tidy(pipeline, err));
    }
    return drain(pipeline, &committer, err);
}

static void close_all(struct mor_pipeline *pipeline)
{
    mor_gate_close(&pipeline->gate);
    struct mor_source *source = pipeline->source;
    if (source != NULL)
        mor_source_stop(source);
    {
        MOR_LOCKED(
            &pipeline->mutex);   // whoever asks how the topic is sees neither source, lanes nor
        pipeline->source = NULL; // positions from here on
    }
    for (size_t i = 0; i < pipeline->lane_count; i++)
        mor_lane_free(pipeline->lanes[i]);
    free(pipeline->lanes);
    pipeline->lanes = NULL;
    pipeline->lane_count = 0;
    if (source != NULL)
        mor_source_free(source);
    mor_crew_free(pipeline->crew);
    if (pipeline->positions_made)
        mor_positions_done(&pipeline->positions);
    if (pipeline->letters != NULL)
        pipeline->letters->ops->free(pipeline->letters);
    mor_schema_free(pipeline->letter_schema);
    mor_local_state_free(pipeline->local);
    mor_table_free(pipeline->table);
    mor_ledger_done(&pipeline->ledger);
    mor_topic_schema_done(&pipeline->schema);
}

static void *pipeline_main(void *argument)
{
    struct mor_pipeline *pipeline = argument;
    struct mor_error err = MOR_ERROR_INIT;
    enum mor_status status = open_all(pipeline, &err);
    if (status == MOR_OK && pipeline->source != NULL)
        status = run(pipeline, &err);
    if (status != MOR_OK) {
        mor_config_redact(pipeline->config, err.message);
        MOR_AUTO_FREE char *step = mor_strdup(pipeline->status.step); // written by this thread only
        set_trouble(pipeline, step, err.message);
        MOR_LOG(ERROR, "topic_failed", MOR_STR("topic", pipeline->topic->topic),
                MOR_STR("class", mor_status_name(status)), MOR_STR("msg", err.message));
    }
    close_all(pipeline);
    set_state(pipeline, status == MOR_OK ? MOR_PIPELINE_STOPPED : MOR_PIPELINE_FAILED);
    set_step(pipeline, status == MOR_OK ? "stopped" : "failed");
    return NULL;
}

// ---- public -------------------------------------------------------------------------------------

static size_t gather_bytes(const struct mor_config_topic *topic, size_t share_bytes)
{
    return at_most(at_most((size_t)topic->commit.max_bytes, share_bytes / GATHER_SHARE),
                   GATHER_BYTES_MAX);
}

void mor_pipeline_set_share(struct mor_pipeline *pipeline, size_t budget_share_bytes)
{
    mor_gate_set_bytes(&pipeline->gate, gather_bytes(pipeline->topic, budget_share_bytes));
}

enum mor_status mor_pipeline_start(const struct mor_pipeline_options *options,
                                   struct mor_pipeline **ret_pipeline, struct mor_error *err)
{
    if (options->topic->topic == NULL)
        return mor_error_set(err, MOR_FATAL,
                             "%s: topic patterns are not supported yet: name one topic",
                             options->topic->path);
    struct mor_pipeline *pipeline = mor_calloc(1, sizeof *pipeline);
    pipeline->config = options->config;
    pipeline->topic = options->topic;
    pipeline->registry = options->registry;
    pipeline->budget = options->budget;
    pipeline->budget_share_bytes = options->budget_share_bytes;
    mor_ledger_init(&pipeline->ledger);
    pthread_mutex_init(&pipeline->mutex, NULL);
    mor_gate_init(&pipeline->gate, (size_t)options->topic->commit.max_rows,
                  gather_bytes(options->topic, options->budget_share_bytes));
    (void)snprintf(pipeline->status.topic, sizeof pipeline->status.topic, "%s",
                   options->topic->topic);
    pipeline->status.watermark_ms = NO_WATERMARK;
    pipeline->status.last_freshness_ms = INT64_MIN;
    pipeline->status.state_entries = pipeline->status.state_bytes = -1;
    atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
    enum mor_status status =
        mor_thread_start(&pipeline->thread, "committer", pipeline_main, pipeline, err);
    if (status != MOR_OK) {
        mor_gate_done(&pipeline->gate);
        pthread_mutex_destroy(&pipeline->mutex);
        free(pipeline);
        return status;
    }
    *ret_pipeline = pipeline;
    return MOR_OK;
}

void mor_pipeline_flush(struct mor_pipeline *pipeline)
{
    mor_gate_flush(&pipeline->gate);
}

void mor_pipeline_pause(struct mor_pipeline *pipeline, bool pause)
{
    atomic_store(&pipeline->paused, pause);
}

void mor_pipeline_stop(struct mor_pipeline *pipeline, int64_t deadline_ms)
{
    atomic_store(&pipeline->deadline_ms, deadline_ms);
    atomic_store(&pipeline->stopping, true);
    mor_gate_flush(&pipeline->gate);
}

static void fill_lag(struct mor_pipeline *pipeline, struct mor_pipeline_status *status)
{
    struct mor_source_lag rows[MOR_PIPELINE_LAG_MAX];
    status->partition_count = mor_source_lag(pipeline->source, rows, MOR_PIPELINE_LAG_MAX);
    for (size_t i = 0; i < status->partition_count; i++) {
        struct mor_pipeline_lag *lag = &status->partitions[i];
        *lag = (struct mor_pipeline_lag){.partition = rows[i].partition,
                                         .low = rows[i].low,
                                         .high = rows[i].high,
                                         .table_offset = MOR_OFFSET_NONE,
                                         .watermark_ms = NO_WATERMARK,
                                         .paused = rows[i].paused};
        MOR_LOCKED(&pipeline->positions.mutex);
        for (size_t k = 0; k < pipeline->positions.count; k++) {
            const struct mor_position *position = &pipeline->positions.rows[k];
            if (position->partition != rows[i].partition)
                continue;
            lag->table_offset = position->committed_next;
            lag->watermark_ms = position->watermark_ms;
        }
    }
}

// A lane that waits (for the registry) or a source without brokers is the trouble, unless the
// commit has one.
static void fill_trouble(struct mor_pipeline *pipeline, struct mor_pipeline_status *status)
{
    for (size_t i = 0; i < pipeline->lane_count && status->trouble[0] == '\0'; i++) {
        mor_lane_trouble(pipeline->lanes[i], status->trouble, sizeof status->trouble);
        if (status->trouble[0] != '\0')
            (void)snprintf(status->trouble_step, sizeof status->trouble_step, "decode");
    }
    char why[512];
    if (status->trouble[0] != '\0' || !mor_source_is_cut_off(pipeline->source, why, sizeof why))
        return;
    (void)snprintf(status->trouble, sizeof status->trouble, "no broker answers: %s", why);
    (void)snprintf(status->trouble_step, sizeof status->trouble_step, "fetch");
}

static void fill_state(struct mor_pipeline *pipeline, struct mor_pipeline_status *status)
{
    if (pipeline->local == NULL)
        return;
    struct mor_state_status state;
    mor_state_status(pipeline->local->state, &state);
    status->state_entries = (int64_t)(state.dedup_entries + state.index_entries);
    status->state_bytes = (int64_t)state.memory_bytes;
}

void mor_pipeline_status(struct mor_pipeline *pipeline, struct mor_pipeline_status *ret_status)
{
    MOR_LOCKED(&pipeline->mutex);
    *ret_status = pipeline->status;
    ret_status->paused = atomic_load(&pipeline->paused);
    ret_status->consumed_records = atomic_load(&pipeline->consumed_records);
    ret_status->consumed_bytes = atomic_load(&pipeline->consumed_bytes);
    ret_status->alive_ms = atomic_load(&pipeline->alive_ms);
    if (pipeline->status.state != MOR_PIPELINE_RUNNING || pipeline->source == NULL)
        return;
    int64_t source_alive_ms = mor_source_alive_ms(pipeline->source);
    if (source_alive_ms < ret_status->alive_ms)
        ret_status->alive_ms = source_alive_ms;
    fill_lag(pipeline, ret_status);
    fill_state(pipeline, ret_status);
    fill_trouble(pipeline, ret_status);
}

bool mor_pipeline_has_ended(struct mor_pipeline *pipeline)
{
    MOR_LOCKED(&pipeline->mutex);
    return pipeline->status.state == MOR_PIPELINE_STOPPED ||
           pipeline->status.state == MOR_PIPELINE_FAILED;
}

void mor_pipeline_free(struct mor_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    pthread_join(pipeline->thread, NULL);
    mor_gate_done(&pipeline->gate);
    pthread_mutex_destroy(&pipeline->mutex);
    free(pipeline);
}

enum mor_status mor_pipeline_plan(const struct mor_config_topic *topic,
                                  struct mor_registry *registry, struct mor_buffer *ret_text,
                                  struct mor_error *err)
{
    struct mor_topic_schema schema;
    MOR_TRY(mor_topic_schema_load(topic, registry, &schema, err));
    for (size_t i = 0; i < schema.rows->root.child_count; i++) {
        const struct mor_field *field = &schema.rows->root.children[i];
        mor_buffer_printf(ret_text, "%s ", field->name);
        mor_type_format(field, ret_text);
        mor_buffer_append_text(ret_text, field->nullable ? "\n" : " not null\n");
    }
    mor_topic_schema_done(&schema);
    return MOR_OK;
}
