// Opening and closing everything of a topic.
#include "pipeline_internal.h"

#include <stdio.h>
#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"

#define OPEN_RETRY_MS 2000
#define OPEN_SLICE_MS 500
// Shares of the topic's budget. Gathering: one batch being filled, one being committed, their
// growth, encoding. State: ids of the dedup window and keys, before filters take over.
#define GATHER_SHARE      6
#define STATE_SHARE       4
#define LANE_QUEUE_SHARE  16
#define KAFKA_QUEUE_SHARE 16
#define KAFKA_QUEUE_MAX   (16u << 20)
#define GATHER_BYTES_MAX  (1u << 30) // string columns have 32-bit offsets
#define GRAVE_MS_MIN      86400000

static size_t at_most(size_t value, size_t limit)
{
    return value < limit ? value : limit;
}

size_t mor_pipeline_gather_bytes(const struct mor_config_topic *topic, size_t share_bytes)
{
    return at_most(at_most((size_t)topic->commit.max_bytes, share_bytes / GATHER_SHARE),
                   GATHER_BYTES_MAX);
}

bool mor_pipeline_wants_index(const struct mor_config_topic *topic)
{
    if (topic->table.key_index != MOR_CONFIG_KEY_INDEX_AUTO)
        return topic->table.key_index == MOR_CONFIG_KEY_INDEX_ON;
    // where rows have places only the index knows them; otherwise, without either of the two, no
    // record is older than one before it, and no key can move
    return topic->key.count > 0 &&
           (mor_format_has_places((enum mor_table_format)topic->table.format) ||
            topic->ordering != NULL || topic->table.partition_field_count > 0);
}

int32_t mor_pipeline_ordering(const struct mor_pipeline *pipeline)
{
    return pipeline->topic->ordering != NULL ? pipeline->schema.ordering_column : -1;
}

static enum mor_status open_table(struct mor_pipeline *pipeline, struct mor_error *err)
{
    const struct mor_config_topic *topic = pipeline->topic;
    MOR_AUTO_FREE struct mor_partition_field *fields =
        mor_calloc(topic->table.partition_field_count, sizeof *fields);
    for (size_t i = 0; i < topic->table.partition_field_count; i++)
        fields[i] = (struct mor_partition_field){
            .column = topic->table.partition_fields[i].column,
            .transform = (enum mor_transform)topic->table.partition_fields[i].transform,
            .argument = (int32_t)topic->table.partition_fields[i].argument};
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
                                        .format_version = (int32_t)topic->table.format_version,
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
    struct mor_committer committer = mor_pipeline_committer(pipeline);
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
        .index = mor_pipeline_wants_index(topic),
        .grave_ms = lateness_ms > GRAVE_MS_MIN / 2 ? 2 * lateness_ms : GRAVE_MS_MIN,
        .rebuild = {.table = pipeline->table,
                    .location = topic->table.location,
                    .rows = schema->rows,
                    .ordering_column = mor_pipeline_ordering(pipeline),
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
    if (topic->dedup.by.count == 0 && !mor_pipeline_wants_index(topic))
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
    struct mor_committer committer = mor_pipeline_committer(pipeline);
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

static struct mor_decoder_options decoder_options(const struct mor_pipeline *pipeline)
{
    struct mor_decoder_options options =
        mor_topic_decoder_options(pipeline->topic, &pipeline->schema, pipeline->registry);
    options.follow_changes = pipeline->topic->schema_changes != MOR_CONFIG_CHANGES_FREEZE;
    options.learned_ids = pipeline->learned_ids;
    options.learned_count = pipeline->learned_count;
    return options;
}

static void make_plan(struct mor_pipeline *pipeline)
{
    const struct mor_config_topic *topic = pipeline->topic;
    const struct mor_topic_schema *schema = &pipeline->schema;
    pipeline->plan = (struct mor_lane_plan){
        .topic = topic->topic,
        .table = pipeline->table,
        .decoder = decoder_options(pipeline),
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
                       .epoch_text = topic->event_time.format != NULL &&
                                     strcmp(topic->event_time.format, "epoch") == 0,
                       .max_lateness_ms = topic->event_time.max_lateness_ms,
                       .max_future_ms = topic->event_time.max_future_ms,
                       .late = pipeline->without_source
                                   ? MOR_LATE_MERGE
                                   : (enum mor_late_policy)topic->event_time.late},
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
    };
    mor_pipeline_listen(pipeline, &options);
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
    const struct mor_learned learned = {pipeline->learned_ids, pipeline->learned_count};
    return mor_topic_schema_load(pipeline->config, pipeline->topic, pipeline->registry, &learned,
                                 &pipeline->schema, err);
}

// Waits a moment; false when the topic is to stop.
static bool wait_to_retry(struct mor_pipeline *pipeline)
{
    for (int64_t waited = 0; waited < OPEN_RETRY_MS && !atomic_load(&pipeline->stopping);
         waited += OPEN_SLICE_MS) {
        struct timespec pause = {0, OPEN_SLICE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return !atomic_load(&pipeline->stopping);
}

// What is away is waited for (registry, a lock, the broker); OK also when the topic is to stop
// meanwhile.
enum mor_status mor_pipeline_open_all(struct mor_pipeline *pipeline, struct mor_error *err)
{
    static const struct open_step steps[] = {{"schema", open_schema},        {"table", open_table},
                                             {"dead_letters", open_letters}, {"state", open_state},
                                             {"catch_up", catch_up},         {"lanes", start_lanes},
                                             {"kafka", open_source}}; // last: see without_source
    size_t count = sizeof steps / sizeof steps[0] - (pipeline->without_source ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        mor_pipeline_set_step(pipeline, steps[i].name);
        enum mor_status status;
        while ((status = steps[i].open(pipeline, err)) == MOR_RETRY) {
            mor_pipeline_set_trouble(pipeline, steps[i].name, err->message);
            atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
            MOR_LOG(WARN, "open_retry", MOR_STR("topic", pipeline->topic->topic),
                    MOR_STR("step", steps[i].name), MOR_STR("msg", err->message));
            if (!wait_to_retry(pipeline))
                return MOR_OK;
        }
        MOR_TRY(status);
        mor_pipeline_set_trouble(pipeline, "", "");
        if (atomic_load(&pipeline->stopping))
            return MOR_OK;
    }
    return MOR_OK;
}

void mor_pipeline_learn(struct mor_pipeline *pipeline, int32_t schema_id)
{
    size_t count = pipeline->learned_count + 1;
    pipeline->learned_ids =
        mor_realloc(pipeline->learned_ids, count * sizeof *pipeline->learned_ids);
    pipeline->learned_ids[pipeline->learned_count++] = schema_id;
}

void mor_pipeline_close_all(struct mor_pipeline *pipeline)
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
    pipeline->crew = NULL;
    if (pipeline->positions_made)
        mor_positions_done(&pipeline->positions);
    pipeline->positions_made = false;
    if (pipeline->letters != NULL)
        pipeline->letters->ops->free(pipeline->letters);
    pipeline->letters = NULL;
    mor_schema_free(pipeline->letter_schema);
    pipeline->letter_schema = NULL;
    mor_local_state_free(pipeline->local);
    pipeline->local = NULL;
    mor_table_free(pipeline->table);
    pipeline->table = NULL;
    mor_ledger_done(&pipeline->ledger);
    mor_topic_schema_done(&pipeline->schema);
}
