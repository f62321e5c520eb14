// Looking after the tables of a service: what the configuration says, and what is told of it.

#include "service.h"

#include "moraine/base/log.h"

#define ORPHAN_AGE_MS    ((int64_t)86400000)
#define MEMORY_BYTES_MIN ((size_t)32 << 20)
#define MEMORY_SHARE     8 // of what is left for records, all tables together
#define THREADS_MAX      4

static void on_log(void *context, bool is_error, const char *event, const char *text)
{
    const struct cli_topic *topic = context;
    if (is_error)
        MOR_LOG(ERROR, event, MOR_STR("topic", topic->config->topic), MOR_STR("msg", text));
    else
        MOR_LOG(INFO, event, MOR_STR("topic", topic->config->topic), MOR_STR("msg", text));
}

void cli_upkeep_start(struct cli_service *service, struct cli_topic *topic)
{
    const struct mor_config *config = topic->generation->config;
    const struct mor_config_topic *from = topic->config;
    size_t memory = service->budget.limit_bytes / MEMORY_SHARE / config->topic_count;
    int64_t threads = (config->lanes + 1) / 2;
    struct mor_maintainer_options options = {
        .location = from->table.location,
        .compacts = from->compaction.mode == MOR_CONFIG_COMPACTION_AUTO,
        .compact = {.limits = {.max_delta_files = from->compaction.max_delta_files,
                               .max_delta_ratio = from->compaction.max_delta_ratio,
                               .max_delta_bytes = from->compaction.target_file_size_bytes,
                               // deltas keep their commits on the timeline: not for ever
                               .max_delta_age_ms = from->retention.age_ms,
                               .target_file_size_bytes = from->compaction.target_file_size_bytes},
                    .cluster_columns = from->compaction.cluster_by.items,
                    .cluster_column_count = from->compaction.cluster_by.count,
                    .cluster_order = from->compaction.cluster_order == MOR_CONFIG_CLUSTER_BY_Z_ORDER
                                         ? MOR_CLUSTER_BY_Z_ORDER
                                         : MOR_CLUSTER_BY_VALUE,
                    .thread_count = (size_t)(threads < THREADS_MAX ? threads : THREADS_MAX),
                    .memory_bytes_max = memory > MEMORY_BYTES_MIN ? memory : MEMORY_BYTES_MIN,
                    .budget = &service->budget,
                    .context = topic},
        .retention = {.age_ms = from->retention.age_ms,
                      .min_snapshots = from->retention.min_snapshots,
                      .orphan_age_ms = ORPHAN_AGE_MS},
        .log = on_log,
    };
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_maintainer_start(&options, &topic->maintainer, &err) != MOR_OK)
        on_log(topic, true, "maintenance_failed", err.message);
}

void cli_upkeep_fill(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                     const struct cli_topic *from)
{
    struct mor_maintainer_status status;
    struct mor_serve_facts *facts = &topic->facts;
    if (from->maintainer == NULL)
        return;
    mor_maintainer_status(from->maintainer, &status);
    facts->cleaned_files = status.cleaned_files;
    char *trouble = mor_arena_strdup(snapshot->arena, status.trouble);
    mor_config_redact(from->generation->config, trouble);
    topic->upkeep_trouble = trouble;
    if (!status.looked)
        return;
    facts->delta_files = status.delta_files;
    facts->file_groups = status.file_groups;
    facts->compaction_pending = status.pending;
    facts->compaction_bytes = status.bytes_written;
    int64_t *counts = mor_arena_alloc(snapshot->arena, sizeof status.duration_counts);
    memcpy(counts, status.duration_counts, sizeof status.duration_counts);
    topic->compaction_duration = (struct mor_serve_histogram){.bounds_ms = mor_maintain_bounds_ms,
                                                              .bound_count = MOR_MAINTAIN_BOUNDS,
                                                              .counts = counts,
                                                              .sum_ms = status.total_duration_ms};
}
