#include "serve_metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "moraine/base/utf8.h"
#include "serve_text.h"

const char serve_metrics_openmetrics_type[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";
const char serve_metrics_prometheus_type[] = "text/plain; version=0.0.4; charset=utf-8";

enum kind { COUNTER, GAUGE, HISTOGRAM };
static const char *const kind_names[] = {"counter", "gauge", "histogram"};

// Where a value is: in the facts of the service, of a topic, of a partition, or derived.
enum source { FACT, TOPIC_VIEW, SNAPSHOT, PARTITION_VIEW, TOPIC_HISTOGRAM, READY, STUCK, REQUESTS };

// One series of a family: the family's values with this label, "" = without.
struct series {
    const char *label, *value;
    size_t offset;
};

#define SERIES_MAX 8
struct family {
    const char *name; // without prefix and "_total"
    enum kind kind;
    const char *unit; // suffix of the name, "" = none
    enum source source;
    bool is_ms; // held in milliseconds, told in seconds
    const char *help;
    struct series series[SERIES_MAX];
};

#define FACT_OF(member) offsetof(struct mor_serve_facts, member)
#define ONE(member)                                                                                \
    {                                                                                              \
        {                                                                                          \
            "", "", FACT_OF(member)                                                                \
        }                                                                                          \
    }
#define KNOWN_IN(s_, m_)                                                                           \
    {                                                                                              \
        {                                                                                          \
            "", "", offsetof(struct s_, m_)                                                        \
        }                                                                                          \
    }

// In the order in which they are printed.
static const struct family families[] = {
    {"consumed_records", COUNTER, "records", FACT, false,
     "Records handed over by Kafka, committed or not", ONE(consumed_records)},
    {"consumed_bytes", COUNTER, "bytes", FACT, false,
     "Bytes of keys and values handed over by Kafka", ONE(consumed_bytes)},
    {"rows",
     COUNTER,
     "rows",
     FACT,
     false,
     "Records committed, by what became of them",
     {{"outcome", "inserted", FACT_OF(inserted)},
      {"outcome", "updated", FACT_OF(updated)},
      {"outcome", "deleted", FACT_OF(deleted)},
      {"outcome", "duplicate", FACT_OF(duplicate)},
      {"outcome", "late_dropped", FACT_OF(late_dropped)},
      {"outcome", "dead", FACT_OF(dead)},
      {"outcome", "filtered", FACT_OF(filtered)}}},
    {"lag_records", GAUGE, "records", PARTITION_VIEW, false,
     "Records in Kafka that are not in the table", KNOWN_IN(serve_partition_view, lag_records)},
    {"lag_seconds", GAUGE, "seconds", PARTITION_VIEW, true,
     "Age of the oldest record in Kafka that is not in the table; a lower bound after a start",
     KNOWN_IN(serve_partition_view, lag.ms)},
    {"watermark_seconds", GAUGE, "seconds", FACT, true,
     "Event time up to which the table is complete, Unix time", ONE(watermark_ms)},
    {"watermark_lag_seconds", GAUGE, "seconds", TOPIC_VIEW, true, "Now minus the watermark",
     KNOWN_IN(serve_topic_view, watermark_lag_ms)},
    {"commits",
     COUNTER,
     "",
     FACT,
     false,
     "Table commits",
     {{"result", "committed", FACT_OF(commits)}, {"result", "fenced", FACT_OF(fenced)}}},
    {"commit_duration_seconds", HISTOGRAM, "seconds", TOPIC_HISTOGRAM, false,
     "From cutting the batch to the commit being visible",
     KNOWN_IN(mor_serve_topic, commit_duration)},
    {"last_commit_timestamp_seconds", GAUGE, "seconds", FACT, true,
     "When the last commit became visible, Unix time", ONE(last_commit_ms)},
    {"freshness_seconds", HISTOGRAM, "seconds", TOPIC_HISTOGRAM, false,
     "Per commit: from the Kafka timestamp of its oldest record to being visible",
     KNOWN_IN(mor_serve_topic, freshness)},
    {"files_written",
     COUNTER,
     "",
     FACT,
     false,
     "Data files committed",
     {{"kind", "base", FACT_OF(base_files_written)},
      {"kind", "delta", FACT_OF(delta_files_written)}}},
    {"bytes_written",
     COUNTER,
     "",
     FACT,
     false,
     "Bytes of data files committed",
     {{"kind", "data", FACT_OF(bytes_written)}}},
    {"ready",
     GAUGE,
     "",
     READY,
     false,
     "1 = the topic runs or was paused by an operator, 0 = it is stuck",
     {{0}}},
    {"stuck_seconds",
     GAUGE,
     "seconds",
     STUCK,
     true,
     "For how long a topic has been stuck, and in which step; absent while it is ready",
     {{0}}},
    {"delta_files", GAUGE, "", FACT, false, "Delta files that readers merge", ONE(delta_files)},
    {"file_groups", GAUGE, "", FACT, false, "File groups of the table", ONE(file_groups)},
    {"compaction_pending", GAUGE, "", FACT, false, "File groups that wait for compaction",
     ONE(compaction_pending)},
    {"compaction_duration_seconds", HISTOGRAM, "seconds", TOPIC_HISTOGRAM, false,
     "Duration of compactions", KNOWN_IN(mor_serve_topic, compaction_duration)},
    {"compaction_bytes", COUNTER, "bytes", FACT, false, "Bytes written by compaction",
     ONE(compaction_bytes)},
    {"cleaned_files", COUNTER, "files", FACT, false, "Files removed after their retention",
     ONE(cleaned_files)},
    {"state_entries", GAUGE, "", FACT, false, "Entries of the local state", ONE(state_entries)},
    {"state_bytes", GAUGE, "bytes", FACT, false, "Size of the local state", ONE(state_bytes)},
    {"index_lookups",
     COUNTER,
     "",
     FACT,
     false,
     "Keys looked up, by whether the index knows them",
     {{"result", "hit", FACT_OF(index_hits)}, {"result", "miss", FACT_OF(index_misses)}}},
    {"storage_requests",
     COUNTER,
     "",
     REQUESTS,
     false,
     "Requests to the storage of the tables, by operation and result",
     {{0}}},
    {"memory_used_bytes", GAUGE, "bytes", SNAPSHOT, false, "Memory counted against the budget",
     KNOWN_IN(mor_serve_snapshot, memory_used_bytes)},
    {"memory_limit_bytes", GAUGE, "bytes", SNAPSHOT, false, "The budget",
     KNOWN_IN(mor_serve_snapshot, memory_limit_bytes)},
    {"config_reloads",
     COUNTER,
     "",
     SNAPSHOT,
     false,
     "Reloads of the configuration",
     {{"result", "done", offsetof(struct mor_serve_snapshot, reloads_done)},
      {"result", "refused", offsetof(struct mor_serve_snapshot, reloads_refused)}}},
    {"paused_partitions", GAUGE, "", FACT, false,
     "Partitions whose intake is paused for want of memory or room", ONE(paused_partitions)},
    {"dead_letters",
     COUNTER,
     "",
     FACT,
     false,
     "Records put aside, by the step that refused them",
     {{"reason", "decode", FACT_OF(dead_letters_decode)},
      {"reason", "event_time", FACT_OF(dead_letters_event_time)},
      {"reason", "key", FACT_OF(dead_letters_key)},
      {"reason", "late", FACT_OF(dead_letters_late)}}},
    {"late_records", COUNTER, "records", FACT, false,
     "Records behind the watermark, whatever became of them", ONE(late)},
    {"lateness_seconds", HISTOGRAM, "seconds", TOPIC_HISTOGRAM, false,
     "How far records came behind a later one of their partition, by event time",
     KNOWN_IN(mor_serve_topic, lateness)},
    {"future_records", COUNTER, "records", FACT, false,
     "Records whose event time lies too far ahead to move the watermark", ONE(future)},
    {"rebalances", COUNTER, "", FACT, false, "Assignments and revocations of partitions",
     ONE(rebalances)},
    {"fenced", COUNTER, "", FACT, false,
     "Batches that were dropped because another writer owns their range", ONE(fenced)},
    {"schema_changes", COUNTER, "", FACT, false, "Changes of the table's schema",
     ONE(schema_changes)},
};

struct writer {
    const struct serve_view *view;
    enum serve_metrics_format format;
    struct mor_buffer *out;
    const struct family *family;
    bool headed; // of the current family
};

// Backslash, quote and line end are escaped; bytes that are not UTF-8 are replaced, because a
// scrape that holds one is refused as a whole.
static void append_label_value(struct mor_buffer *out, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    while (*at != 0) {
        size_t length = mor_utf8_length(at);
        if (length == 0) {
            mor_buffer_append_text(out, "\xef\xbf\xbd");
            length = 1;
        } else if (*at == '\n') {
            mor_buffer_append_text(out, "\\n");
        } else {
            if (*at == '\\' || *at == '"')
                mor_buffer_append_u8(out, '\\');
            mor_buffer_append(out, at, length);
        }
        at += length;
    }
}

static void head(struct writer *writer)
{
    const struct family *family = writer->family;
    if (writer->headed)
        return;
    writer->headed = true;
    bool open = writer->format == SERVE_METRICS_OPENMETRICS;
    const char *suffix = !open && family->kind == COUNTER ? "_total" : "";
    mor_buffer_printf(writer->out, "# TYPE moraine_%s%s %s\n", family->name, suffix,
                      kind_names[family->kind]);
    // a unit must end the name
    size_t name_length = strlen(family->name), unit_length = strlen(family->unit);
    if (open && unit_length > 0 && name_length >= unit_length &&
        strcmp(family->name + name_length - unit_length, family->unit) == 0)
        mor_buffer_printf(writer->out, "# UNIT moraine_%s %s\n", family->name, family->unit);
    mor_buffer_printf(writer->out, "# HELP moraine_%s%s %s.\n", family->name, suffix, family->help);
}

struct label {
    const char *name, *value;
};

// `suffix` of the sample's name, then up to three labels; those without a name are left out.
static void begin_sample(struct writer *writer, const char *suffix, const struct label *labels,
                         size_t label_count)
{
    mor_buffer_printf(writer->out, "moraine_%s%s", writer->family->name, suffix);
    char separator = '{';
    for (size_t i = 0; i < label_count; i++) {
        if (labels[i].name == NULL || labels[i].name[0] == '\0')
            continue;
        mor_buffer_printf(writer->out, "%c%s=\"", separator, labels[i].name);
        append_label_value(writer->out, labels[i].value);
        mor_buffer_append_u8(writer->out, '"');
        separator = ',';
    }
    mor_buffer_append_text(writer->out, separator == ',' ? "} " : " ");
}

static void write_value(struct writer *writer, int64_t value, const struct label *labels,
                        size_t label_count)
{
    if (value == MOR_SERVE_UNKNOWN)
        return;
    head(writer);
    begin_sample(writer, writer->family->kind == COUNTER ? "_total" : "", labels, label_count);
    if (writer->family->is_ms)
        serve_append_seconds(writer->out, value);
    else
        mor_buffer_printf(writer->out, "%" PRId64, value);
    mor_buffer_append_u8(writer->out, '\n');
}

static void write_histogram(struct writer *writer, const char *topic,
                            const struct mor_serve_histogram *histogram)
{
    if (histogram->bound_count == 0)
        return;
    head(writer);
    int64_t count = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        MOR_AUTO_BUFFER bound = {0};
        if (i < histogram->bound_count)
            serve_append_seconds(&bound, histogram->bounds_ms[i]);
        else
            mor_buffer_append_text(&bound, "+Inf");
        const struct label labels[] = {{"topic", topic}, {"le", mor_buffer_terminate(&bound)}};
        count += histogram->counts[i];
        begin_sample(writer, "_bucket", labels, 2);
        mor_buffer_printf(writer->out, "%" PRId64 "\n", count);
    }
    const struct label labels[] = {{"topic", topic}};
    begin_sample(writer, "_sum", labels, 1);
    serve_append_seconds(writer->out, histogram->sum_ms);
    mor_buffer_append_u8(writer->out, '\n');
    begin_sample(writer, "_count", labels, 1);
    mor_buffer_printf(writer->out, "%" PRId64 "\n", count);
}

static int64_t value_at(const void *base, size_t offset)
{
    int64_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}

static void write_partitions(struct writer *writer, size_t index)
{
    const struct mor_serve_topic *topic = &writer->view->snapshot.topics[index];
    const struct series *series = &writer->family->series[0];
    for (size_t i = 0; i < topic->partition_count; i++) {
        char partition[16];
        (void)snprintf(partition, sizeof partition, "%" PRId32, topic->partitions[i].partition);
        const struct label labels[] = {{"topic", topic->topic}, {"partition", partition}};
        write_value(writer, value_at(&writer->view->topics[index].partitions[i], series->offset),
                    labels, 2);
    }
}

static void write_snapshot(struct writer *writer)
{
    const struct family *family = writer->family;
    for (size_t i = 0; i < SERIES_MAX && family->series[i].label != NULL; i++) {
        const struct label label = {family->series[i].label, family->series[i].value};
        write_value(writer, value_at(&writer->view->snapshot, family->series[i].offset), &label, 1);
    }
}

static void write_requests(struct writer *writer)
{
    const struct mor_serve_snapshot *snapshot = &writer->view->snapshot;
    for (size_t i = 0; i < snapshot->request_count; i++) {
        const struct mor_serve_requests *requests = &snapshot->requests[i];
        const struct label labels[] = {{"operation", requests->operation},
                                       {"code", requests->code}};
        write_value(writer, requests->count, labels, 2);
    }
}

static void write_readiness(struct writer *writer, size_t index)
{
    const struct serve_topic_view *derived = &writer->view->topics[index];
    const struct label labels[] = {{"topic", writer->view->snapshot.topics[index].topic},
                                   {"step", derived->step}};
    if (writer->family->source == READY)
        write_value(writer, derived->ready, labels, 1);
    else if (!derived->ready)
        write_value(
            writer,
            derived->since_ms == MOR_SERVE_UNKNOWN ? 0 : writer->view->time_ms - derived->since_ms,
            labels, 2);
}

static void write_topic(struct writer *writer, size_t index)
{
    const struct family *family = writer->family;
    const struct mor_serve_topic *topic = &writer->view->snapshot.topics[index];
    if (family->source == READY || family->source == STUCK) {
        write_readiness(writer, index);
        return;
    }
    if (family->source == PARTITION_VIEW) {
        write_partitions(writer, index);
        return;
    }
    if (family->source == TOPIC_HISTOGRAM) {
        const char *at = (const char *)topic + family->series[0].offset;
        write_histogram(writer, topic->topic, (const struct mor_serve_histogram *)(const void *)at);
        return;
    }
    const void *base = family->source == FACT ? (const void *)&topic->facts
                                              : (const void *)&writer->view->topics[index];
    for (size_t i = 0; i < SERIES_MAX && family->series[i].label != NULL; i++) {
        const struct series *series = &family->series[i];
        const struct label labels[] = {{"topic", topic->topic}, {series->label, series->value}};
        write_value(writer, value_at(base, series->offset), labels, 2);
    }
}

static void write_family(struct writer *writer, const struct family *family)
{
    writer->family = family;
    writer->headed = false;
    if (family->source == SNAPSHOT) {
        write_snapshot(writer);
        return;
    }
    if (family->source == REQUESTS) {
        write_requests(writer);
        return;
    }
    for (size_t i = 0; i < writer->view->snapshot.topic_count; i++)
        write_topic(writer, i);
}

static void write_build_info(struct writer *writer)
{
    bool open = writer->format == SERVE_METRICS_OPENMETRICS;
    mor_buffer_printf(writer->out,
                      "# TYPE moraine_build%s %s\n"
                      "# HELP moraine_build%s What runs here.\n"
                      "moraine_build_info{version=\"",
                      open ? "" : "_info", open ? "info" : "gauge", open ? "" : "_info");
    append_label_value(writer->out, writer->view->snapshot.version);
    mor_buffer_append_text(writer->out, "\",instance_name=\"");
    append_label_value(writer->out, writer->view->snapshot.instance);
    mor_buffer_append_text(writer->out, "\"} 1\n");
}

void serve_metrics_write(const struct serve_view *view, enum serve_metrics_format format,
                         struct mor_buffer *out)
{
    struct writer writer = {.view = view, .format = format, .out = out};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        write_family(&writer, &families[i]);
    write_build_info(&writer);
    if (format == SERVE_METRICS_OPENMETRICS)
        mor_buffer_append_text(out, "# EOF\n");
}
