#include "pipeline_internal.h"

#include <stdio.h>
#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"

#define WAIT_SLICE_MS  500
#define DRAIN_SLICE_MS 20

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
        mor_pipeline_set_trouble(pipeline, "commit", words);
        MOR_LOCKED(&pipeline->mutex);
        pipeline->status.fenced += report.fenced;
    }
    MOR_TRY(status);
    if (report.committed) {
        pipeline->commit_ms = report.duration_ms;
        mor_pipeline_note_commit(pipeline, &report);
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
    committer->step(committer->context, "index", err);
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

static bool has_changed(struct mor_pipeline *pipeline)
{
    int32_t ignored_id;
    struct mor_error ignored;
    return mor_gate_changed(&pipeline->gate, &ignored_id, &ignored);
}

// Everything that was taken in is committed, unless the deadline passes first.
static enum mor_status drain(struct mor_pipeline *pipeline, struct mor_committer *committer,
                             struct mor_error *err)
{
    mor_pipeline_set_step(pipeline, "drain");
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
        // records that wait for other columns wait for the next start
    } while (!idle && !has_changed(pipeline) && !mor_pipeline_gives_up(pipeline));
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

// A writer schema does not fit the columns. What was taken in before its first record is committed;
// then the topic is opened anew, with columns that take it in.
static enum mor_status follow_change(struct mor_pipeline *pipeline, struct mor_committer *committer,
                                     struct mor_error *err)
{
    int32_t id;
    (void)mor_gate_changed(&pipeline->gate, &id, err);
    if (pipeline->topic->schema_changes == MOR_CONFIG_CHANGES_STOP) {
        err->status = MOR_FATAL;
        return mor_error_wrap(err, "the schema has changed (schema_changes: stop)");
    }
    MOR_LOG(INFO, "schema_changed", MOR_STR("topic", pipeline->topic->topic),
            MOR_INT("schema_id", id), MOR_STR("msg", err->message));
    (void)snprintf(pipeline->change, sizeof pipeline->change, "%.500s", err->message);
    *err = MOR_ERROR_INIT;
    MOR_TRY(commit_once(pipeline, committer, MOR_COMMIT_RECORDS, err));
    mor_pipeline_learn(pipeline, id);
    pipeline->opens_again = true;
    MOR_LOCKED(&pipeline->mutex);
    pipeline->status.schema_changes++;
    return MOR_OK;
}

// Another instance has widened a column: the topic is opened anew with the table's types, and what
// was not committed is read again. True when that is why the commit failed.
static bool follow_table(struct mor_pipeline *pipeline, struct mor_error *err)
{
    if (pipeline->table == NULL || !mor_table_is_outgrown(pipeline->table) ||
        atomic_load(&pipeline->stopping))
        return false;
    MOR_LOG(INFO, "schema_changed", MOR_STR("topic", pipeline->topic->topic),
            MOR_STR("msg", err->message));
    *err = MOR_ERROR_INIT;
    return pipeline->opens_again = true;
}

// Until the topic is to stop, fails, or must be opened again.
static enum mor_status run(struct mor_pipeline *pipeline, struct mor_error *err)
{
    struct mor_committer committer = mor_pipeline_committer(pipeline);
    int64_t watermark_at_ms = 0;
    mor_pipeline_set_state(pipeline, MOR_PIPELINE_RUNNING);
    mor_pipeline_set_step(pipeline, "fetch");
    while (!atomic_load(&pipeline->stopping)) {
        int64_t gathering_ms =
            mor_gate_gathering_ms(pipeline->topic->commit.interval_ms, pipeline->commit_ms);
        bool due = mor_gate_wait(&pipeline->gate, gathering_ms, WAIT_SLICE_MS);
        atomic_store(&pipeline->alive_ms, mor_clock_mono_ms());
        if (mor_gate_failure(&pipeline->gate, err))
            return err->status;
        MOR_TRY(look_around(pipeline, &committer, err));
        if (has_changed(pipeline))
            return follow_change(pipeline, &committer, err);
        enum mor_commit_reason reason = reason_for(pipeline, due, &watermark_at_ms);
        if (due || reason == MOR_COMMIT_WATERMARK)
            MOR_TRY(commit_once(pipeline, &committer, reason, err));
        if (pipeline->local != NULL)
            MOR_TRY(tidy(pipeline, err));
    }
    return drain(pipeline, &committer, err);
}

static void *pipeline_main(void *argument)
{
    struct mor_pipeline *pipeline = argument;
    struct mor_error err = MOR_ERROR_INIT;
    enum mor_status status;
    do {
        pipeline->opens_again = false;
        mor_gate_reopen(&pipeline->gate);
        status = mor_pipeline_open_all(pipeline, &err);
        if (status == MOR_FATAL && pipeline->learned_count > 0)
            (void)mor_error_wrap(&err, "the table cannot follow a change of the schema (%s)",
                                 pipeline->change);
        if (status == MOR_OK && pipeline->source != NULL)
            status = run(pipeline, &err);
        if (status == MOR_FATAL && follow_table(pipeline, &err))
            status = MOR_OK;
        if (status != MOR_OK) {
            mor_config_redact(pipeline->config, err.message);
            // written by this thread only
            MOR_AUTO_FREE char *step = mor_strdup(pipeline->status.step);
            mor_pipeline_set_trouble(pipeline, step, err.message);
            MOR_LOG(ERROR, "topic_failed", MOR_STR("topic", pipeline->topic->topic),
                    MOR_STR("class", mor_status_name(status)), MOR_STR("msg", err.message));
        }
        if (pipeline->opens_again)
            mor_pipeline_set_state(pipeline, MOR_PIPELINE_STARTING);
        mor_pipeline_close_all(pipeline);
    } while (pipeline->opens_again);
    mor_pipeline_set_state(pipeline, status == MOR_OK ? MOR_PIPELINE_STOPPED : MOR_PIPELINE_FAILED);
    mor_pipeline_set_step(pipeline, status == MOR_OK ? "stopped" : "failed");
    return NULL;
}

// ---- public -------------------------------------------------------------------------------------
void mor_pipeline_set_share(struct mor_pipeline *pipeline, size_t budget_share_bytes)
{
    mor_gate_set_bytes(&pipeline->gate,
                       mor_pipeline_gather_bytes(pipeline->topic, budget_share_bytes));
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
                  mor_pipeline_gather_bytes(options->topic, options->budget_share_bytes));
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
    free(pipeline->learned_ids);
    free(pipeline);
}

enum mor_status mor_pipeline_plan(const struct mor_config_topic *topic,
                                  struct mor_registry *registry, struct mor_buffer *ret_text,
                                  struct mor_error *err)
{
    struct mor_topic_schema schema;
    MOR_TRY(mor_topic_schema_load(NULL, topic, registry, NULL, &schema, err));
    for (size_t i = 0; i < schema.rows->root.child_count; i++) {
        const struct mor_field *field = &schema.rows->root.children[i];
        mor_buffer_printf(ret_text, "%s ", field->name);
        mor_type_format(field, ret_text);
        mor_buffer_append_text(ret_text, field->nullable ? "\n" : " not null\n");
    }
    mor_topic_schema_done(&schema);
    return MOR_OK;
}
