// What is told of a pipeline: counters, steps, what is stuck.
#include "pipeline_internal.h"

#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"

void mor_pipeline_set_step(struct mor_pipeline *pipeline, const char *step)
{
    MOR_LOCKED(&pipeline->mutex);
    if (strcmp(pipeline->status.step, step) == 0)
        return;
    (void)snprintf(pipeline->status.step, sizeof pipeline->status.step, "%s", step);
    pipeline->status.step_since_ms = mor_clock_wall_ms();
}

void mor_pipeline_set_trouble(struct mor_pipeline *pipeline, const char *step, const char *text)
{
    MOR_LOCKED(&pipeline->mutex);
    struct mor_pipeline_status *status = &pipeline->status;
    (void)snprintf(status->trouble_step, sizeof status->trouble_step, "%s", step);
    (void)snprintf(status->trouble, sizeof status->trouble, "%s", text);
}

void mor_pipeline_set_state(struct mor_pipeline *pipeline, enum mor_pipeline_state state)
{
    MOR_LOCKED(&pipeline->mutex);
    pipeline->status.state = state;
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

void mor_pipeline_note_commit(struct mor_pipeline *pipeline, const struct mor_commit_report *report)
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
        for (size_t i = 0; i < MOR_DEAD_STAGES; i++)
            status->dead_by_stage[i] += report->dead_by_stage[i];
        status->index_hits += report->index_hits;
        status->index_misses += report->index_misses;
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
        if (__builtin_add_overflow(status->lateness_sum_ms, report->event_time.lateness_sum_ms,
                                   &status->lateness_sum_ms))
            status->lateness_sum_ms = INT64_MAX;
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
