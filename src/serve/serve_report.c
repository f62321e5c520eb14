#include "serve_report.h"

#include "serve_json.h"
#include "serve_text.h"

const char *serve_state_name(enum mor_serve_state state)
{
    static const char *const names[] = {[MOR_SERVE_STARTING] = "starting",
                                        [MOR_SERVE_RUNNING] = "running",
                                        [MOR_SERVE_PAUSED] = "paused",
                                        [MOR_SERVE_STOPPED] = "stopped",
                                        [MOR_SERVE_FAILED] = "failed"};
    return names[state];
}

// A point in time for people; null when it is not known.
static void write_time(struct serve_json *json, const char *name, int64_t time_ms)
{
    if (time_ms == MOR_SERVE_UNKNOWN) {
        serve_json_int(json, name, time_ms);
        return;
    }
    char text[40];
    serve_format_time(time_ms, text, sizeof text);
    serve_json_text(json, name, text);
}

static void write_lag(struct serve_json *json, int64_t records, struct serve_duration lag)
{
    serve_json_int(json, "lag_records", records);
    serve_json_seconds(json, "lag_seconds", lag.ms);
    serve_json_bool(json, "lag_seconds_at_least", lag.at_least);
}

static void write_watermark(struct serve_json *json, int64_t watermark_ms, int64_t now_ms)
{
    serve_json_int(json, "watermark_ms", watermark_ms);
    serve_json_seconds(json, "watermark_lag_seconds",
                       watermark_ms == MOR_SERVE_UNKNOWN ? MOR_SERVE_UNKNOWN
                                                         : now_ms - watermark_ms);
}

static void write_partitions(struct serve_json *json, const struct serve_view *view, size_t index)
{
    const struct mor_serve_topic *topic = &view->snapshot.topics[index];
    serve_json_open(json, "partitions", '[');
    for (size_t i = 0; i < topic->partition_count; i++) {
        const struct mor_serve_partition *partition = &topic->partitions[i];
        const struct serve_partition_view *derived = &view->topics[index].partitions[i];
        serve_json_open(json, NULL, '{');
        serve_json_int(json, "partition", partition->partition);
        serve_json_int(json, "low", partition->low);
        serve_json_int(json, "high", partition->high);
        serve_json_int(json, "table_offset", partition->table_offset);
        write_lag(json, derived->lag_records, derived->lag);
        write_watermark(json, partition->watermark_ms, view->time_ms);
        serve_json_bool(json, "paused", partition->paused);
        serve_json_close(json, '}');
    }
    serve_json_close(json, ']');
}

void serve_report_lag(const struct serve_view *view, struct mor_buffer *out)
{
    struct serve_json json = {.out = out};
    serve_json_open(&json, NULL, '{');
    serve_json_int(&json, "time_ms", view->time_ms);
    serve_json_open(&json, "topics", '[');
    for (size_t i = 0; i < view->snapshot.topic_count; i++) {
        const struct mor_serve_topic *topic = &view->snapshot.topics[i];
        serve_json_open(&json, NULL, '{');
        serve_json_text(&json, "topic", topic->topic);
        write_lag(&json, view->topics[i].lag_records, view->topics[i].lag);
        write_watermark(&json, topic->facts.watermark_ms, view->time_ms);
        write_partitions(&json, view, i);
        serve_json_close(&json, '}');
    }
    serve_json_close(&json, ']');
    serve_json_close(&json, '}');
    mor_buffer_append_u8(out, '\n');
}

void serve_report_readiness(const struct serve_view *view, struct mor_buffer *out)
{
    struct serve_json json = {.out = out};
    serve_json_open(&json, NULL, '{');
    serve_json_bool(&json, "ready", view->ready);
    serve_json_open(&json, "not_ready", '[');
    for (size_t i = 0; i < view->snapshot.topic_count; i++) {
        const struct mor_serve_topic *topic = &view->snapshot.topics[i];
        const struct serve_topic_view *derived = &view->topics[i];
        if (derived->ready)
            continue;
        serve_json_open(&json, NULL, '{');
        serve_json_text(&json, "topic", topic->topic);
        serve_json_text(&json, "state", serve_state_name(topic->state));
        serve_json_text(&json, "step", derived->step);
        write_time(&json, "since", derived->since_ms);
        serve_json_text(&json, "last_error", topic->trouble);
        serve_json_text(&json, "words", derived->words);
        serve_json_close(&json, '}');
    }
    serve_json_close(&json, ']');
    serve_json_close(&json, '}');
    mor_buffer_append_u8(out, '\n');
}

bool serve_report_liveness(const struct serve_view *view, int64_t now_mono_ms,
                           int64_t stall_after_ms, int64_t topic_stall_after_ms,
                           struct mor_buffer *out)
{
    const struct {
        const char *words;
        int64_t at_ms;
    } signs[] = {{"no topic could be asked how it is", view->mono_ms},
                 {"the main loop gave no sign of life", view->snapshot.heartbeat_ms}};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        int64_t silent_ms = now_mono_ms - signs[i].at_ms;
        if (silent_ms <= stall_after_ms)
            continue;
        char text[40];
        mor_serve_format_duration(silent_ms, text, sizeof text);
        mor_buffer_printf(out, "stalled: %s for %s\n", signs[i].words, text);
        return false;
    }
    for (size_t i = 0; i < view->snapshot.topic_count; i++) {
        const struct mor_serve_topic *topic = &view->snapshot.topics[i];
        if (topic->state != MOR_SERVE_RUNNING || topic->alive_ms == MOR_SERVE_UNKNOWN ||
            now_mono_ms - topic->alive_ms <= topic_stall_after_ms)
            continue;
        char text[40];
        mor_serve_format_duration(now_mono_ms - topic->alive_ms, text, sizeof text);
        mor_buffer_printf(out, "stalled: topic %s hangs in step '%s' for %s\n", topic->topic,
                          topic->step, text);
        return false;
    }
    mor_buffer_append_text(out, "ok\n");
    return true;
}

// ---- /status ------------------------------------------------------------------------------------

static void write_rows(struct serve_json *json, const struct mor_serve_facts *facts)
{
    serve_json_open(json, "rows", '{');
    serve_json_int(json, "read", facts->read);
    serve_json_int(json, "inserted", facts->inserted);
    serve_json_int(json, "updated", facts->updated);
    serve_json_int(json, "deleted", facts->deleted);
    serve_json_int(json, "duplicate", facts->duplicate);
    serve_json_int(json, "late_dropped", facts->late_dropped);
    serve_json_int(json, "dead", facts->dead);
    serve_json_int(json, "filtered", facts->filtered);
    serve_json_int(json, "gap", facts->gap);
    serve_json_close(json, '}');
}

static void write_commits(struct serve_json *json, const struct mor_serve_topic *topic)
{
    const struct mor_serve_facts *facts = &topic->facts;
    serve_json_open(json, "commits", '{');
    serve_json_int(json, "count", facts->commits);
    serve_json_int(json, "fenced", facts->fenced);
    serve_json_int(json, "last_ms", facts->last_commit_ms);
    serve_json_seconds(json, "last_duration_seconds", facts->last_commit_duration_ms);
    serve_json_seconds(json, "last_freshness_seconds", facts->last_freshness_ms);
    serve_json_text(json, "last_version", topic->version);
    serve_json_seconds(json, "interval_seconds", topic->commit_interval_ms);
    serve_json_int(json, "base_files_written", facts->base_files_written);
    serve_json_int(json, "delta_files_written", facts->delta_files_written);
    serve_json_int(json, "bytes_written", facts->bytes_written);
    serve_json_close(json, '}');
}

static void write_dead_letters(struct serve_json *json, const struct mor_serve_facts *facts)
{
    serve_json_open(json, "dead_letters", '{');
    serve_json_int(json, "count", facts->dead);
    serve_json_int(json, "decode", facts->dead_letters_decode);
    serve_json_int(json, "event_time", facts->dead_letters_event_time);
    serve_json_int(json, "key", facts->dead_letters_key);
    serve_json_int(json, "late", facts->dead_letters_late);
    serve_json_close(json, '}');
}

static void write_table(struct serve_json *json, const struct mor_serve_topic *topic)
{
    const struct mor_serve_facts *facts = &topic->facts;
    serve_json_open(json, "table", '{');
    serve_json_text(json, "location", topic->table);
    serve_json_text(json, "format", topic->format);
    serve_json_int(json, "file_groups", facts->file_groups);
    serve_json_int(json, "delta_files", facts->delta_files);
    serve_json_int(json, "compaction_pending", facts->compaction_pending);
    serve_json_int(json, "compaction_bytes", facts->compaction_bytes);
    serve_json_int(json, "cleaned_files", facts->cleaned_files);
    serve_json_text(json, "upkeep_trouble", topic->upkeep_trouble);
    serve_json_close(json, '}');
}

static void write_state(struct serve_json *json, const struct mor_serve_facts *facts)
{
    serve_json_open(json, "state_store", '{');
    serve_json_int(json, "entries", facts->state_entries);
    serve_json_int(json, "bytes", facts->state_bytes);
    serve_json_close(json, '}');
}

// Both arrays empty: not told.
static void write_lateness(struct serve_json *json, const struct mor_serve_topic *topic)
{
    const struct mor_serve_histogram *lateness = &topic->lateness;
    serve_json_open(json, "lateness", '{');
    serve_json_int(json, "late_records", topic->facts.late);
    serve_json_int(json, "future_records", topic->facts.future);
    serve_json_open(json, "bounds_seconds", '[');
    for (size_t i = 0; i < lateness->bound_count; i++)
        serve_json_seconds(json, NULL, lateness->bounds_ms[i]);
    serve_json_close(json, ']');
    serve_json_open(json, "counts", '[');
    for (size_t i = 0; lateness->bound_count > 0 && i <= lateness->bound_count; i++)
        serve_json_int(json, NULL, lateness->counts[i]);
    serve_json_close(json, ']');
    serve_json_close(json, '}');
}

static void write_topic(struct serve_json *json, const struct serve_view *view, size_t index)
{
    const struct mor_serve_topic *topic = &view->snapshot.topics[index];
    const struct serve_topic_view *derived = &view->topics[index];
    serve_json_open(json, NULL, '{');
    serve_json_text(json, "topic", topic->topic);
    serve_json_text(json, "state", serve_state_name(topic->state));
    serve_json_text(json, "step", topic->step);
    serve_json_int(json, "step_since_ms", topic->step_since_ms);
    serve_json_text(json, "trouble", topic->trouble);
    serve_json_text(json, "trouble_step", topic->trouble_step);
    serve_json_bool(json, "ready", derived->ready);
    serve_json_int(json, "not_ready_since_ms", derived->since_ms);
    serve_json_text(json, "stuck_step", derived->step);
    serve_json_text(json, "what", derived->what);
    serve_json_text(json, "words", derived->words);
    write_lag(json, derived->lag_records, derived->lag);
    write_watermark(json, topic->facts.watermark_ms, view->time_ms);
    serve_json_rate(json, "records_per_second", derived->records_per_second);
    serve_json_rate(json, "bytes_per_second", derived->bytes_per_second);
    serve_json_int(json, "consumed_records", topic->facts.consumed_records);
    serve_json_int(json, "consumed_bytes", topic->facts.consumed_bytes);
    write_rows(json, &topic->facts);
    write_commits(json, topic);
    write_dead_letters(json, &topic->facts);
    write_table(json, topic);
    write_state(json, &topic->facts);
    write_lateness(json, topic);
    write_partitions(json, view, index);
    serve_json_close(json, '}');
}

void serve_report_status(const struct serve_view *view, struct mor_buffer *out)
{
    const struct mor_serve_snapshot *snapshot = &view->snapshot;
    struct serve_json json = {.out = out};
    serve_json_open(&json, NULL, '{');
    serve_json_text(&json, "instance", snapshot->instance);
    serve_json_text(&json, "version", snapshot->version);
    serve_json_int(&json, "time_ms", view->time_ms);
    serve_json_int(&json, "started_ms", snapshot->started_ms);
    serve_json_bool(&json, "ready", view->ready);
    serve_json_open(&json, "config", '{');
    serve_json_int(&json, "loaded_ms", snapshot->config_loaded_ms);
    serve_json_text(&json, "trouble", snapshot->config_trouble);
    serve_json_close(&json, '}');
    serve_json_open(&json, "memory", '{');
    serve_json_int(&json, "used_bytes", snapshot->memory_used_bytes);
    serve_json_int(&json, "peak_bytes", snapshot->memory_peak_bytes);
    serve_json_int(&json, "limit_bytes", snapshot->memory_limit_bytes);
    serve_json_close(&json, '}');
    serve_json_open(&json, "topics", '[');
    for (size_t i = 0; i < snapshot->topic_count; i++)
        write_topic(&json, view, i);
    serve_json_close(&json, ']');
    serve_json_close(&json, '}');
    mor_buffer_append_u8(out, '\n');
}

// ---- /history -----------------------------------------------------------------------------------

static void write_series(struct serve_json *json, const struct serve_topic_memory *topic,
                         const char *name, size_t member_offset, bool seconds)
{
    serve_json_open(json, name, '[');
    for (size_t i = 0; i < topic->point_count; i++) {
        int64_t value;
        memcpy(&value, (const char *)&topic->points[i] + member_offset, sizeof value);
        if (seconds)
            serve_json_seconds(json, NULL, value);
        else
            serve_json_int(json, NULL, value);
    }
    serve_json_close(json, ']');
}

void serve_report_history(const struct serve_memory *memory, struct mor_buffer *out)
{
    struct serve_json json = {.out = out};
    serve_json_open(&json, NULL, '{');
    serve_json_open(&json, "topics", '[');
    for (size_t i = 0; i < memory->topic_count; i++) {
        const struct serve_topic_memory *topic = memory->topics[i];
        serve_json_open(&json, NULL, '{');
        serve_json_text(&json, "topic", topic->topic);
        write_series(&json, topic, "time_ms", offsetof(struct serve_point, time_ms), false);
        write_series(&json, topic, "read", offsetof(struct serve_point, read), false);
        write_series(&json, topic, "consumed_bytes", offsetof(struct serve_point, consumed_bytes),
                     false);
        write_series(&json, topic, "lag_records", offsetof(struct serve_point, lag_records), false);
        write_series(&json, topic, "lag_seconds", offsetof(struct serve_point, lag_ms), true);
        write_series(&json, topic, "watermark_lag_seconds",
                     offsetof(struct serve_point, watermark_lag_ms), true);
        serve_json_close(&json, '}');
    }
    serve_json_close(&json, ']');
    serve_json_close(&json, '}');
    mor_buffer_append_u8(out, '\n');
}
