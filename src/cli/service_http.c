// What the running service tells over HTTP, and what it can be told.

#include "service.h"

#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"
#include "moraine/storage.h"

// A topic is stuck when records wait and nothing was committed for some of its commit intervals and
// the time that a commit may take, or when something went wrong and did not pass at once.
#define STUCK_INTERVALS  3
#define STUCK_GRACE_MS   5000
#define TROUBLE_AFTER_MS 3000

static const char *const format_names[] = {[MOR_CONFIG_TABLE_HUDI] = "hudi",
                                           [MOR_CONFIG_TABLE_ICEBERG] = "iceberg",
                                           [MOR_CONFIG_TABLE_DELTA] = "delta"};

static enum mor_serve_state state_of(const struct mor_pipeline_status *status)
{
    switch (status->state) {
    case MOR_PIPELINE_STARTING:
        return MOR_SERVE_STARTING;
    case MOR_PIPELINE_RUNNING:
        return status->paused ? MOR_SERVE_PAUSED : MOR_SERVE_RUNNING;
    case MOR_PIPELINE_STOPPED:
        return MOR_SERVE_STOPPED;
    case MOR_PIPELINE_FAILED:
        break;
    }
    return MOR_SERVE_FAILED;
}

// Both modules say "not known" in their own way.
static int64_t known(int64_t value, int64_t unknown)
{
    return value == unknown ? MOR_SERVE_UNKNOWN : value;
}

static void fill_partitions(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                            const struct mor_pipeline_status *status)
{
    mor_serve_topic_partitions(snapshot, topic, status->partition_count);
    int64_t paused = 0;
    for (size_t i = 0; i < status->partition_count; i++) {
        const struct mor_pipeline_lag *lag = &status->partitions[i];
        topic->partitions[i] =
            (struct mor_serve_partition){.partition = lag->partition,
                                         .paused = lag->paused,
                                         .low = known(lag->low, -1),
                                         .high = known(lag->high, -1),
                                         .table_offset = known(lag->table_offset, -1),
                                         .watermark_ms = known(lag->watermark_ms, INT64_MIN)};
        paused += lag->paused;
    }
    topic->facts.paused_partitions = paused;
}

static void fill_facts(struct mor_serve_facts *facts, const struct mor_pipeline_status *status)
{
    facts->consumed_records = status->consumed_records;
    facts->consumed_bytes = status->consumed_bytes;
    facts->read = status->read;
    facts->inserted = status->inserted;
    facts->updated = status->updated;
    facts->deleted = status->deleted;
    facts->duplicate = status->duplicate;
    facts->late_dropped = status->late_dropped;
    facts->dead = status->dead;
    facts->filtered = status->filtered;
    facts->gap = status->gap;
    facts->commits = status->commits;
    facts->fenced = status->fenced;
    facts->schema_changes = status->schema_changes;
    facts->last_commit_ms = known(status->last_commit_ms, 0);
    facts->last_commit_duration_ms =
        status->commits > 0 ? status->last_commit_duration_ms : MOR_SERVE_UNKNOWN;
    facts->last_freshness_ms = known(status->last_freshness_ms, INT64_MIN);
    facts->watermark_ms = known(status->watermark_ms, INT64_MIN);
    facts->base_files_written = status->files_written - status->delta_files_written;
    facts->delta_files_written = status->delta_files_written;
    facts->bytes_written = status->bytes_written;
    facts->dead_letters_decode = status->dead_by_stage[MOR_DEAD_DECODE];
    facts->dead_letters_event_time = status->dead_by_stage[MOR_DEAD_EVENT_TIME];
    facts->dead_letters_key = status->dead_by_stage[MOR_DEAD_KEY];
    facts->dead_letters_late = status->dead_by_stage[MOR_DEAD_LATE];
    facts->late = status->late;
    facts->future = status->future;
    facts->index_hits = status->index_hits;
    facts->index_misses = status->index_misses;
    facts->state_entries = known(status->state_entries, -1);
    facts->state_bytes = known(status->state_bytes, -1);
    facts->rebalances = status->rebalances;
}

static struct mor_serve_histogram histogram_of(struct mor_serve_snapshot *snapshot,
                                               const struct mor_pipeline_histogram *histogram)
{
    int64_t *counts = mor_arena_alloc(snapshot->arena, sizeof histogram->counts);
    memcpy(counts, histogram->counts, sizeof histogram->counts);
    return (struct mor_serve_histogram){.bounds_ms = mor_pipeline_bounds_ms,
                                        .bound_count = MOR_PIPELINE_BOUNDS,
                                        .counts = counts,
                                        .sum_ms = histogram->sum_ms};
}

static struct mor_serve_histogram lateness_of(struct mor_serve_snapshot *snapshot,
                                              const struct mor_pipeline_status *status)
{
    int64_t *counts = mor_arena_alloc(snapshot->arena, sizeof status->lateness);
    memcpy(counts, status->lateness, sizeof status->lateness);
    return (struct mor_serve_histogram){.bounds_ms = mor_pipeline_lateness_ms,
                                        .bound_count = MOR_PIPELINE_LATENESS,
                                        .counts = counts,
                                        .sum_ms = status->lateness_sum_ms};
}

static void fill_config(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                        const struct cli_topic *from)
{
    const struct mor_config_topic *config = from->config;
    topic->topic = mor_arena_strdup(snapshot->arena, config->topic);
    topic->step = "start";
    char *table = mor_arena_strdup(snapshot->arena, config->table.location);
    mor_config_redact(from->generation->config, table);
    topic->table = table;
    topic->format = format_names[config->table.format];
    topic->commit_interval_ms = config->commit.interval_ms;
    topic->stuck_after_ms = config->commit.interval_ms * STUCK_INTERVALS + STUCK_GRACE_MS;
    topic->trouble_after_ms = TROUBLE_AFTER_MS;
}

static void fill_topic(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                       const struct cli_topic *from, const struct mor_pipeline_status *status)
{
    struct mor_arena *arena = snapshot->arena;
    topic->state = state_of(status);
    topic->step = mor_arena_strdup(arena, status->step);
    topic->step_since_ms = known(status->step_since_ms, 0);
    char *trouble = mor_arena_strdup(arena, status->trouble);
    mor_config_redact(from->generation->config, trouble); // libraries quote what they were given
    topic->trouble = trouble;
    topic->trouble_step = mor_arena_strdup(arena, status->trouble_step);
    topic->version = mor_arena_strdup(arena, status->last_version);
    fill_facts(&topic->facts, status);
    topic->commit_duration = histogram_of(snapshot, &status->commit_duration);
    topic->freshness = histogram_of(snapshot, &status->freshness);
    topic->lateness = lateness_of(snapshot, status);
    topic->alive_ms = status->alive_ms;
    fill_partitions(snapshot, topic, status);
}

static void fill_failure(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                         const struct cli_topic *from)
{
    topic->state = MOR_SERVE_FAILED;
    topic->trouble = mor_arena_strdup(snapshot->arena, from->failure);
}

static void fill_reload(struct cli_service *service, struct mor_serve_snapshot *snapshot)
{
    MOR_LOCKED(&service->mutex);
    snapshot->config_trouble = mor_arena_strdup(snapshot->arena, service->reload_trouble);
    snapshot->config_loaded_ms = service->reload_ms != 0 ? service->reload_ms : service->started_ms;
    snapshot->reloads_done = service->reloads_done;
    snapshot->reloads_refused = service->reloads_refused;
}

static void fill_storage(struct mor_serve_snapshot *snapshot)
{
    struct mor_storage_count counts[MOR_STORAGE_COUNTS_MAX];
    snapshot->request_count = mor_storage_requests(counts);
    snapshot->requests =
        mor_arena_calloc(snapshot->arena, snapshot->request_count + 1, sizeof *snapshot->requests);
    for (size_t i = 0; i < snapshot->request_count; i++)
        snapshot->requests[i] = (struct mor_serve_requests){
            counts[i].operation, mor_status_name(counts[i].status), counts[i].count};
}

static void on_snapshot(void *context, struct mor_serve_snapshot *snapshot)
{
    struct cli_service *service = context;
    snapshot->instance = service->first->config->instance;
    snapshot->version = MORAINE_VERSION;
    snapshot->started_ms = service->started_ms;
    snapshot->heartbeat_ms = atomic_load(&service->heartbeat_ms);
    snapshot->memory_used_bytes = (int64_t)mor_budget_used(&service->budget);
    snapshot->memory_peak_bytes = (int64_t)atomic_load(&service->budget.peak_bytes);
    snapshot->memory_limit_bytes = (int64_t)service->budget.limit_bytes;
    fill_reload(service, snapshot);
    fill_storage(snapshot);
    size_t count;
    struct cli_topic **topics = cli_topics_ref(service, &count);
    mor_serve_snapshot_topics(snapshot, count);
    struct mor_pipeline_status *status = mor_alloc(sizeof *status);
    for (size_t i = 0; i < count; i++) {
        struct mor_serve_topic *topic = &snapshot->topics[i];
        fill_config(snapshot, topic, topics[i]);
        if (topics[i]->pipeline == NULL) {
            fill_failure(snapshot, topic, topics[i]);
            continue;
        }
        mor_pipeline_status(topics[i]->pipeline, status);
        fill_topic(snapshot, topic, topics[i], status);
        cli_upkeep_fill(snapshot, topic, topics[i]);
    }
    free(status);
    cli_topics_unref(topics, count);
}

static enum mor_serve_outcome compact(struct cli_topic *topic, char *ret_words, size_t capacity)
{
    bool ours = topic->config->compaction.mode == MOR_CONFIG_COMPACTION_AUTO;
    if (!ours || topic->maintainer == NULL) {
        (void)snprintf(ret_words, capacity, "'compaction.mode' leaves the table to others");
        return MOR_SERVE_NOT_NOW;
    }
    mor_maintainer_poke(topic->maintainer, true);
    (void)snprintf(ret_words, capacity, "every file group with delta files is merged now");
    return MOR_SERVE_DONE;
}

static enum mor_serve_outcome carry_out(struct mor_pipeline *pipeline, const char *topic,
                                        enum mor_serve_verb verb, char *ret_words, size_t capacity)
{
    if (pipeline == NULL || mor_pipeline_has_ended(pipeline)) {
        (void)snprintf(ret_words, capacity, "topic '%s' is not running", topic);
        return MOR_SERVE_NOT_NOW;
    }
    if (verb == MOR_SERVE_FLUSH)
        mor_pipeline_flush(pipeline);
    else
        mor_pipeline_pause(pipeline, verb == MOR_SERVE_PAUSE);
    (void)snprintf(ret_words, capacity, "%s",
                   verb == MOR_SERVE_FLUSH   ? "what was taken in is committed now"
                   : verb == MOR_SERVE_PAUSE ? "nothing more is taken in until 'resume'"
                                             : "intake goes on");
    return MOR_SERVE_DONE;
}

static enum mor_serve_outcome on_control(void *context, const char *topic, enum mor_serve_verb verb,
                                         char *ret_words, size_t capacity)
{
    size_t count;
    struct cli_topic **topics = cli_topics_ref(context, &count);
    enum mor_serve_outcome outcome = MOR_SERVE_NO_TOPIC;
    for (size_t i = 0; i < count; i++)
        if (strcmp(topics[i]->config->topic, topic) == 0)
            outcome = verb == MOR_SERVE_COMPACT
                          ? compact(topics[i], ret_words, capacity)
                          : carry_out(topics[i]->pipeline, topic, verb, ret_words, capacity);
    if (outcome == MOR_SERVE_NO_TOPIC)
        (void)snprintf(ret_words, capacity, "no topic '%s' is configured", topic);
    cli_topics_unref(topics, count);
    return outcome;
}

enum mor_status cli_service_serve(struct cli_service *service, struct mor_error *err)
{
    const struct mor_config *config = service->first->config;
    if (config->http.listen == NULL)
        return MOR_OK;
    atomic_store(&service->heartbeat_ms, mor_clock_mono_ms());
    struct mor_serve_options options = {.listen = config->http.listen,
                                        .token = config->http.token,
                                        .context = service,
                                        .snapshot = on_snapshot,
                                        .control = on_control};
    enum mor_status status = mor_serve_open(&options, &service->serve, err);
    if (status != MOR_OK)
        return mor_error_wrap(err, "http.listen");
    MOR_LOG(INFO, "http_listening", MOR_STR("url", mor_serve_url(service->serve)));
    return MOR_OK;
}
