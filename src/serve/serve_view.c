#include "serve_view.h"

#include <stdio.h>

#include "serve_text.h"

struct serve_view *serve_view_new(int64_t time_ms, int64_t mono_ms)
{
    struct serve_view *view = mor_calloc(1, sizeof *view);
    atomic_init(&view->references, 1);
    mor_arena_init(&view->arena, 0, NULL);
    view->time_ms = time_ms;
    view->mono_ms = mono_ms;
    view->snapshot = (struct mor_serve_snapshot){.arena = &view->arena,
                                                 .instance = "",
                                                 .version = "",
                                                 .memory_used_bytes = MOR_SERVE_UNKNOWN,
                                                 .memory_peak_bytes = MOR_SERVE_UNKNOWN,
                                                 .memory_limit_bytes = MOR_SERVE_UNKNOWN,
                                                 .config_trouble = "",
                                                 .config_loaded_ms = MOR_SERVE_UNKNOWN,
                                                 .reloads_done = MOR_SERVE_UNKNOWN,
                                                 .reloads_refused = MOR_SERVE_UNKNOWN};
    return view;
}

struct serve_view *serve_view_ref(struct serve_view *view)
{
    atomic_fetch_add(&view->references, 1);
    return view;
}

void serve_view_unref(struct serve_view *view)
{
    if (view == NULL || atomic_fetch_sub(&view->references, 1) > 1)
        return;
    mor_arena_done(&view->arena);
    free(view);
}

// ---- snapshot -----------------------------------------------------------------------------------

static struct mor_serve_facts unknown_facts(void)
{
    struct mor_serve_facts facts;
    _Static_assert(sizeof facts % sizeof(int64_t) == 0, "facts are int64_t only");
    int64_t *members = (int64_t *)(void *)&facts;
    for (size_t i = 0; i < sizeof facts / sizeof *members; i++)
        members[i] = MOR_SERVE_UNKNOWN;
    return facts;
}

void mor_serve_snapshot_topics(struct mor_serve_snapshot *snapshot, size_t count)
{
    snapshot->topics = mor_arena_calloc(snapshot->arena, count, sizeof *snapshot->topics);
    snapshot->topic_count = count;
    for (size_t i = 0; i < count; i++)
        snapshot->topics[i] = (struct mor_serve_topic){.topic = "",
                                                       .step = "",
                                                       .step_since_ms = MOR_SERVE_UNKNOWN,
                                                       .trouble = "",
                                                       .trouble_step = "",
                                                       .upkeep_trouble = "",
                                                       .alive_ms = MOR_SERVE_UNKNOWN,
                                                       .table = "",
                                                       .format = "",
                                                       .version = "",
                                                       .commit_interval_ms = MOR_SERVE_UNKNOWN,
                                                       .stuck_after_ms = MOR_SERVE_UNKNOWN,
                                                       .trouble_after_ms = MOR_SERVE_UNKNOWN,
                                                       .facts = unknown_facts()};
}

void mor_serve_topic_partitions(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                                size_t count)
{
    topic->partitions = mor_arena_calloc(snapshot->arena, count, sizeof *topic->partitions);
    topic->partition_count = count;
    for (size_t i = 0; i < count; i++)
        topic->partitions[i] = (struct mor_serve_partition){.low = MOR_SERVE_UNKNOWN,
                                                            .high = MOR_SERVE_UNKNOWN,
                                                            .table_offset = MOR_SERVE_UNKNOWN,
                                                            .watermark_ms = MOR_SERVE_UNKNOWN};
}

// ---- memory -------------------------------------------------------------------------------------

static void forget_topic(struct serve_topic_memory *topic)
{
    free(topic->topic);
    free(topic->partitions);
    free(topic);
}

void serve_memory_done(struct serve_memory *memory)
{
    for (size_t i = 0; i < memory->topic_count; i++)
        forget_topic(memory->topics[i]);
    free(memory->topics);
    *memory = (struct serve_memory){0};
}

static struct serve_topic_memory *topic_memory(struct serve_memory *memory, const char *topic,
                                               size_t index)
{
    if (index < memory->topic_count && strcmp(memory->topics[index]->topic, topic) == 0)
        return memory->topics[index]; // as always, unless topics come and go
    for (size_t i = 0; i < memory->topic_count; i++)
        if (strcmp(memory->topics[i]->topic, topic) == 0)
            return memory->topics[i];
    memory->topics =
        mor_realloc(memory->topics, (memory->topic_count + 1) * sizeof *memory->topics);
    struct serve_topic_memory *known = mor_calloc(1, sizeof *known);
    known->topic = mor_strdup(topic);
    memory->topics[memory->topic_count++] = known;
    return known;
}

static bool view_has_topic(const struct serve_view *view, const char *topic)
{
    for (size_t i = 0; i < view->snapshot.topic_count; i++)
        if (strcmp(view->snapshot.topics[i].topic, topic) == 0)
            return true;
    return false;
}

// Topics that the snapshot does not have any more; otherwise a service whose topics come and go
// would grow.
static void forget_absent(struct serve_memory *memory, const struct serve_view *view)
{
    if (memory->topic_count <= view->snapshot.topic_count)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < memory->topic_count; i++) {
        if (view_has_topic(view, memory->topics[i]->topic))
            memory->topics[kept++] = memory->topics[i];
        else
            forget_topic(memory->topics[i]);
    }
    memory->topic_count = kept;
}

static struct serve_partition_memory *partition_memory(struct serve_topic_memory *topic,
                                                       int32_t partition, size_t index)
{
    if (index < topic->partition_count && topic->partitions[index].partition == partition)
        return &topic->partitions[index];
    for (size_t i = 0; i < topic->partition_count; i++)
        if (topic->partitions[i].partition == partition)
            return &topic->partitions[i];
    topic->partitions =
        mor_realloc(topic->partitions, (topic->partition_count + 1) * sizeof *topic->partitions);
    struct serve_partition_memory *known = &topic->partitions[topic->partition_count++];
    *known = (struct serve_partition_memory){.partition = partition};
    return known;
}

// ---- lag ----------------------------------------------------------------------------------------

static void note_end(struct serve_partition_memory *memory, int64_t high, int64_t now_ms)
{
    struct serve_end *newest = memory->end_count > 0 ? &memory->ends[memory->end_count - 1] : NULL;
    if (newest != NULL && high < newest->high) { // a topic that was recreated
        memory->end_count = 0;
        newest = NULL;
    }
    if (newest != NULL && high == newest->high) {
        newest->last_ms = now_ms;
        return;
    }
    struct serve_end end = {now_ms, now_ms, high};
    // the newest one is always now; the ones before it keep their distance
    if (memory->end_count >= 2 && now_ms - newest[-1].last_ms < SERVE_END_INTERVAL_MS) {
        *newest = end;
        return;
    }
    if (memory->end_count == SERVE_ENDS_MAX) {
        memmove(memory->ends, memory->ends + 1, (SERVE_ENDS_MAX - 1) * sizeof memory->ends[0]);
        memory->end_count--;
    }
    memory->ends[memory->end_count++] = end;
}

// When the record at `offset` came to Kafka: between the last time the end was not past it and the
// first time it was. Kafka does not tell; a straight line between the two does for a page.
static struct serve_duration lag_duration(const struct serve_partition_memory *memory,
                                          int64_t offset, int64_t now_ms)
{
    size_t after = memory->end_count;
    while (after > 0 && memory->ends[after - 1].high > offset)
        after--;
    if (after == memory->end_count)
        return (struct serve_duration){0, false};
    if (after == 0)
        return (struct serve_duration){now_ms - memory->ends[0].first_ms, true};
    const struct serve_end *a = &memory->ends[after - 1], *b = &memory->ends[after];
    double part = (double)(offset - a->high) / (double)(b->high - a->high);
    double time = (double)a->last_ms + part * (double)(b->first_ms - a->last_ms);
    return (struct serve_duration){now_ms - (int64_t)time, false};
}

static struct serve_partition_view derive_partition(struct serve_topic_memory *memory, size_t index,
                                                    const struct mor_serve_partition *partition,
                                                    int64_t now_ms)
{
    struct serve_partition_view view = {MOR_SERVE_UNKNOWN, {MOR_SERVE_UNKNOWN, false}};
    if (partition->high == MOR_SERVE_UNKNOWN)
        return view;
    struct serve_partition_memory *known = partition_memory(memory, partition->partition, index);
    note_end(known, partition->high, now_ms);
    // without an offset in the table everything in Kafka waits
    int64_t next = partition->table_offset;
    if (next == MOR_SERVE_UNKNOWN || (partition->low != MOR_SERVE_UNKNOWN && next < partition->low))
        next = partition->low;
    if (next == MOR_SERVE_UNKNOWN)
        return view;
    view.lag_records = partition->high > next ? partition->high - next : 0;
    view.lag = lag_duration(known, next, now_ms);
    return view;
}

static void derive_lag(struct serve_topic_memory *memory, const struct serve_view *view,
                       const struct mor_serve_topic *topic, struct serve_topic_view *out)
{
    out->lag_records = MOR_SERVE_UNKNOWN;
    out->lag = (struct serve_duration){MOR_SERVE_UNKNOWN, false};
    for (size_t i = 0; i < topic->partition_count; i++) {
        struct serve_partition_view one =
            derive_partition(memory, i, &topic->partitions[i], view->mono_ms);
        out->partitions[i] = one;
        if (one.lag_records == MOR_SERVE_UNKNOWN)
            continue;
        out->lag_records =
            one.lag_records + (out->lag_records == MOR_SERVE_UNKNOWN ? 0 : out->lag_records);
        if (one.lag.ms > out->lag.ms) // unknown is the least number
            out->lag = one.lag;
    }
    int64_t watermark_ms = topic->facts.watermark_ms;
    out->watermark_lag_ms =
        watermark_ms == MOR_SERVE_UNKNOWN ? MOR_SERVE_UNKNOWN : view->time_ms - watermark_ms;
}

// ---- rates --------------------------------------------------------------------------------------

#define RATE_WINDOW_MIN_MS  5000
#define RATE_WINDOW_MAX_MS  120000
#define RATE_ELAPSED_MIN_MS 1000
#define RATE_INTERVALS      3 // commits come in bursts: a window must hold some

static double rate(int64_t now, int64_t before, int64_t elapsed_ms)
{
    if (now == MOR_SERVE_UNKNOWN || before == MOR_SERVE_UNKNOWN || now < before)
        return -1;
    return (double)(now - before) * 1000.0 / (double)elapsed_ms;
}

static void derive_rates(const struct serve_topic_memory *memory, const struct serve_view *view,
                         const struct mor_serve_topic *topic, struct serve_topic_view *out)
{
    out->records_per_second = out->bytes_per_second = -1;
    int64_t window_ms = topic->commit_interval_ms == MOR_SERVE_UNKNOWN
                            ? RATE_WINDOW_MIN_MS
                            : topic->commit_interval_ms * RATE_INTERVALS;
    window_ms = window_ms < RATE_WINDOW_MIN_MS ? RATE_WINDOW_MIN_MS : window_ms;
    window_ms = window_ms > RATE_WINDOW_MAX_MS ? RATE_WINDOW_MAX_MS : window_ms;
    const struct serve_point *before = NULL;
    for (size_t i = 0; i < memory->point_count; i++) {
        before = &memory->points[i];
        if (i + 1 < memory->point_count && view->mono_ms - before[1].mono_ms < window_ms)
            break;
    }
    if (before == NULL || view->mono_ms - before->mono_ms < RATE_ELAPSED_MIN_MS)
        return;
    int64_t elapsed_ms = view->mono_ms - before->mono_ms;
    out->records_per_second = rate(topic->facts.read, before->read, elapsed_ms);
    out->bytes_per_second = rate(topic->facts.consumed_bytes, before->consumed_bytes, elapsed_ms);
}

static void note_point(struct serve_topic_memory *memory, const struct serve_view *view,
                       const struct mor_serve_topic *topic, const struct serve_topic_view *derived)
{
    size_t count = memory->point_count;
    if (count > 0 && view->mono_ms - memory->points[count - 1].mono_ms < SERVE_POINT_INTERVAL_MS)
        return;
    if (count == SERVE_POINTS_MAX) {
        memmove(memory->points, memory->points + 1,
                (SERVE_POINTS_MAX - 1) * sizeof memory->points[0]);
        count--;
    }
    memory->points[count] = (struct serve_point){.time_ms = view->time_ms,
                                                 .mono_ms = view->mono_ms,
                                                 .read = topic->facts.read,
                                                 .dead = topic->facts.dead,
                                                 .consumed_bytes = topic->facts.consumed_bytes,
                                                 .lag_records = derived->lag_records,
                                                 .lag_ms = derived->lag.ms,
                                                 .watermark_lag_ms = derived->watermark_lag_ms};
    memory->point_count = count + 1;
}

// ---- readiness ----------------------------------------------------------------------------------

static void note_movement(struct serve_topic_memory *memory, const struct serve_view *view,
                          const struct mor_serve_topic *topic,
                          const struct serve_topic_view *derived)
{
    int64_t sum = 0;
    for (size_t i = 0; i < topic->partition_count; i++)
        if (topic->partitions[i].table_offset != MOR_SERVE_UNKNOWN)
            sum += topic->partitions[i].table_offset;
    bool idle = derived->lag_records == 0 || derived->lag_records == MOR_SERVE_UNKNOWN;
    bool moved = memory->moved_ms == 0 || idle || topic->state != memory->state ||
                 topic->facts.commits != memory->commits || sum != memory->offset_sum;
    memory->state = topic->state;
    memory->commits = topic->facts.commits;
    memory->offset_sum = sum;
    if (moved) {
        memory->moved_ms = view->time_ms;
        memory->moved_mono_ms = view->mono_ms;
    }
}

// Without records that wait, trouble is over or of no consequence; but whoever cannot ask Kafka
// does not know whether records wait.
static void note_trouble(struct serve_topic_memory *memory, const struct serve_view *view,
                         const struct mor_serve_topic *topic,
                         const struct serve_topic_view *derived)
{
    bool blind = strcmp(topic->trouble_step, "fetch") == 0;
    bool troubled = topic->trouble[0] != '\0' && (blind || derived->lag_records != 0);
    if (!troubled) {
        memory->trouble_ms = memory->trouble_mono_ms = 0;
    } else if (memory->trouble_ms == 0) {
        memory->trouble_ms = view->time_ms;
        memory->trouble_mono_ms = view->mono_ms;
    }
}

#define FLOOD_WINDOW_MS    60000
#define FLOOD_DEAD_MIN     100
#define FLOOD_DEAD_PERCENT 50

// Of the records committed lately, how many there were and how many became dead letters. What lies
// between commits counts as late as the commit.
static bool is_flooded(const struct serve_topic_memory *memory, const struct serve_view *view,
                       const struct mor_serve_topic *topic, int64_t *ret_read, int64_t *ret_dead)
{
    size_t first = 0;
    while (first < memory->point_count &&
           view->mono_ms - memory->points[first].mono_ms > FLOOD_WINDOW_MS)
        first++;
    if (first == memory->point_count || topic->facts.dead == MOR_SERVE_UNKNOWN ||
        memory->points[first].dead == MOR_SERVE_UNKNOWN)
        return false;
    *ret_read = topic->facts.read - memory->points[first].read;
    *ret_dead = topic->facts.dead - memory->points[first].dead;
    return *ret_dead >= FLOOD_DEAD_MIN && *ret_dead * 100 >= *ret_read * FLOOD_DEAD_PERCENT;
}

static const char *describe(struct serve_view *view, const struct mor_serve_topic *topic,
                            const char *what, int64_t since_ms)
{
    char since[40] = "", elapsed[40] = "";
    if (since_ms != MOR_SERVE_UNKNOWN) {
        serve_format_time(since_ms, since, sizeof since);
        mor_serve_format_duration(view->time_ms - since_ms, elapsed, sizeof elapsed);
    }
    bool dated = since_ms != MOR_SERVE_UNKNOWN, troubled = topic->trouble[0] != '\0';
    return mor_arena_printf(
        &view->arena, "%s%s%s%s%s%s%s", what, dated ? ", since " : "", since, dated ? " (" : "",
        elapsed, dated ? ")" : "",
        troubled ? mor_arena_printf(&view->arena, ". Last error: %s", topic->trouble) : "");
}

struct finding {
    const char *step, *what; // what NULL = nothing to find
    int64_t since_ms;
};

static struct finding find_in_running(struct serve_topic_memory *memory, struct serve_view *view,
                                      const struct mor_serve_topic *topic,
                                      const struct serve_topic_view *out)
{
    struct mor_arena *arena = &view->arena;
    const char *step = topic->trouble_step[0] != '\0' && topic->trouble[0] != '\0'
                           ? topic->trouble_step
                           : topic->step;
    int64_t read, dead;
    bool flooded = is_flooded(memory, view, topic, &read, &dead);
    memory->flood_ms = !flooded ? 0 : memory->flood_ms != 0 ? memory->flood_ms : view->time_ms;
    if (memory->trouble_ms != 0 && topic->trouble_after_ms != MOR_SERVE_UNKNOWN &&
        view->mono_ms - memory->trouble_mono_ms >= topic->trouble_after_ms)
        return (struct finding){step, mor_arena_printf(arena, "stuck in step '%s'", step),
                                memory->trouble_ms};
    if (topic->stuck_after_ms != MOR_SERVE_UNKNOWN &&
        view->mono_ms - memory->moved_mono_ms > topic->stuck_after_ms)
        return (struct finding){
            step,
            mor_arena_printf(arena, "stuck in step '%s': %lld records wait and no commit came",
                             step, (long long)out->lag_records),
            memory->moved_ms};
    if (flooded)
        return (struct finding){
            "decode",
            mor_arena_printf(arena,
                             "step 'decode' puts most records aside: %lld of the last %lld became "
                             "dead letters",
                             (long long)dead, (long long)read),
            memory->flood_ms};
    return (struct finding){0};
}

static struct finding find_trouble(struct serve_topic_memory *memory, struct serve_view *view,
                                   const struct mor_serve_topic *topic,
                                   const struct serve_topic_view *out)
{
    const char *step = topic->trouble_step[0] != '\0' ? topic->trouble_step : topic->step;
    switch (topic->state) {
    case MOR_SERVE_FAILED:
        return (struct finding){step, "stopped by an error, an operator must act",
                                topic->step_since_ms};
    case MOR_SERVE_STOPPED:
        return (struct finding){topic->step, "stopped", topic->step_since_ms};
    case MOR_SERVE_STARTING:
        return (struct finding){
            topic->step,
            mor_arena_printf(&view->arena, "not started yet, waits in step '%s'", topic->step),
            topic->step_since_ms};
    case MOR_SERVE_PAUSED:
        return (struct finding){0};
    case MOR_SERVE_RUNNING:
        break;
    }
    return find_in_running(memory, view, topic, out);
}

static void derive_readiness(struct serve_topic_memory *memory, struct serve_view *view,
                             const struct mor_serve_topic *topic, struct serve_topic_view *out)
{
    struct finding found = find_trouble(memory, view, topic, out);
    out->ready = found.what == NULL;
    out->since_ms = out->ready ? MOR_SERVE_UNKNOWN : found.since_ms;
    out->step = out->ready ? "" : found.step;
    out->what = out->ready ? "" : found.what;
    out->words = out->ready ? "" : describe(view, topic, found.what, found.since_ms);
}

void serve_view_derive(struct serve_memory *memory, struct serve_view *view)
{
    const struct mor_serve_snapshot *snapshot = &view->snapshot;
    view->topics = mor_arena_calloc(&view->arena, snapshot->topic_count, sizeof *view->topics);
    view->ready = true;
    for (size_t i = 0; i < snapshot->topic_count; i++) {
        const struct mor_serve_topic *topic = &snapshot->topics[i];
        struct serve_topic_view *out = &view->topics[i];
        out->partitions =
            mor_arena_calloc(&view->arena, topic->partition_count, sizeof *out->partitions);
        struct serve_topic_memory *known = topic_memory(memory, topic->topic, i);
        derive_lag(known, view, topic, out);
        derive_rates(known, view, topic, out);
        note_point(known, view, topic, out);
        note_movement(known, view, topic, out);
        note_trouble(known, view, topic, out);
        derive_readiness(known, view, topic, out);
        view->ready = view->ready && out->ready;
    }
    forget_absent(memory, view);
}
