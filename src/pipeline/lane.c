#include "lane.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "dead_letter.h"
#include "dedup.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/log.h"
#include "moraine/base/queue.h"
#include "moraine/base/thread.h"
#include "positions.h"

#define LANE_QUEUE_ITEMS 256
#define BYTES_PER_ROW    (sizeof(uint32_t) + sizeof(struct mor_hash128) + 1) // groups, keys, flags
#define RETRY_PAUSE_MS   250
#define KEPT_PERCENT     125 // of a lane's share of one gathering: what a batch may keep allocated

struct mor_lane {
    const struct mor_lane_plan *plan;
    pthread_t thread;
    bool thread_runs;
    struct mor_queue *queue;
    atomic_long pending; // chunks offered and not yet in a batch
    atomic_bool stopping;
    struct mor_decoder *decoder;
    pthread_mutex_t mutex; // filling, spare and what is in them; held for a whole chunk
    struct mor_lane_batch *filling;
    struct mor_lane_batch *spare;
    pthread_mutex_t trouble_mutex; // a status page must not wait for a chunk
    char trouble[256];
    // scratch of one chunk, the lane's thread only
    bool *keys_only;
    bool *deleted; // the record itself says so
    uint32_t *record_of_row;
    int64_t *event_times_ms;
    uint8_t *verdicts;
    struct mor_hash128 *ids;
    size_t scratch_capacity;
    struct mor_event_clock *clocks; // of its partitions
    size_t clock_count;
};

// ---- batches ------------------------------------------------------------------------------------

static struct mor_lane_batch *batch_new(const struct mor_lane_plan *plan)
{
    struct mor_lane_batch *batch = mor_calloc(1, sizeof *batch);
    batch->rows = mor_batch_new(plan->rows, plan->budget);
    batch->column_of_table = plan->column_of_table;
    batch->view.schema = mor_table_schema(plan->table);
    batch->view.column_count = plan->rows->root.child_count;
    batch->view.columns = mor_calloc(batch->view.column_count, sizeof *batch->view.columns);
    batch->router = mor_router_new(plan->table);
    batch->dead_letters = mor_batch_new(plan->letters, plan->budget);
    return batch;
}

// Ids of runs that no commit took.
static void forget_ids(const struct mor_lane_plan *plan, struct mor_lane_batch *batch)
{
    for (size_t i = 0; i < batch->run_count; i++) {
        if (batch->runs[i].dedup != NULL)
            mor_state_dedup_forget(plan->local->state, batch->runs[i].dedup);
        batch->runs[i].dedup = NULL;
    }
}

static void batch_free(const struct mor_lane_plan *plan, struct mor_lane_batch *batch)
{
    if (batch == NULL)
        return;
    forget_ids(plan, batch);
    mor_batch_free(batch->rows);
    free(batch->view.columns);
    mor_router_free(batch->router);
    mor_batch_free(batch->dead_letters);
    mor_budget_give(plan->budget, batch->capacity * BYTES_PER_ROW);
    free(batch->groups);
    free(batch->keys);
    free(batch->flags);
    free(batch->runs);
    free(batch);
}

void mor_lane_batch_refresh_view(struct mor_lane_batch *batch)
{
    for (size_t i = 0; i < batch->view.column_count; i++)
        batch->view.columns[i] = batch->rows->columns[batch->column_of_table[i]];
    batch->view.row_count = batch->rows->row_count;
}

static void batch_reserve(const struct mor_lane_plan *plan, struct mor_lane_batch *batch,
                          size_t row_count)
{
    if (row_count <= batch->capacity)
        return;
    size_t capacity = batch->capacity + batch->capacity / 2;
    capacity = capacity < row_count ? row_count : capacity;
    batch->groups = mor_realloc(batch->groups, capacity * sizeof *batch->groups);
    batch->keys = mor_realloc(batch->keys, capacity * sizeof *batch->keys);
    batch->flags = mor_realloc(batch->flags, capacity * sizeof *batch->flags);
    mor_budget_take(plan->budget, (capacity - batch->capacity) * BYTES_PER_ROW);
    batch->capacity = capacity;
}

static size_t batch_bytes(const struct mor_lane_batch *batch)
{
    return mor_batch_bytes(batch->rows) + batch->rows->row_count * BYTES_PER_ROW +
           mor_batch_bytes(batch->dead_letters);
}

static struct mor_run *batch_add_run(struct mor_lane_batch *batch)
{
    if (batch->run_count == batch->run_capacity) {
        batch->run_capacity = batch->run_capacity > 0 ? batch->run_capacity * 2 : 64;
        batch->runs = mor_realloc(batch->runs, batch->run_capacity * sizeof *batch->runs);
    }
    struct mor_run *run = &batch->runs[batch->run_count++];
    *run = (struct mor_run){.event_time = {.highest_ms = NO_WATERMARK},
                            .oldest_ms = MOR_TIMESTAMP_NONE};
    return run;
}

// ---- one chunk ----------------------------------------------------------------------------------

// The work on one chunk.
struct chunk_work {
    struct mor_lane *lane;
    const struct mor_lane_plan *plan;
    struct mor_lane_batch *batch;
    const struct mor_chunk *chunk;
    struct mor_run *run;
    struct mor_event_clock *clock; // of the chunk's partition
    struct mor_event_clock clock_before;
};

static void set_trouble(struct mor_lane *lane, const char *text)
{
    MOR_LOCKED(&lane->trouble_mutex);
    (void)snprintf(lane->trouble, sizeof lane->trouble, "%.*s", (int)sizeof lane->trouble - 1,
                   text);
}

// Keeps the record aside, or ends the topic when the configuration says so.
static enum mor_status keep_aside(struct chunk_work *work, const struct mor_record *record,
                                  enum mor_dead_stage stage, struct mor_error *err)
{
    static const char *const names[] = {[MOR_DEAD_DECODE] = "decode",
                                        [MOR_DEAD_EVENT_TIME] = "event_time",
                                        [MOR_DEAD_KEY] = "key",
                                        [MOR_DEAD_LATE] = "late"};
    if (work->plan->stop_on_error) {
        err->status = MOR_FATAL;
        return mor_error_wrap(err, "partition %d, offset %lld cannot become a row (on_error: stop)",
                              record->partition, (long long)record->offset);
    }
    mor_dead_letter_append(work->batch->dead_letters, work->plan->topic, record, names[stage],
                           err->message);
    work->run->outcomes.dead++;
    work->run->dead_by_stage[stage]++;
    return MOR_OK;
}

static void finish_row(struct chunk_work *work, size_t record, enum mor_decoded what)
{
    struct mor_batch *rows = work->batch->rows;
    struct mor_lane *lane = work->lane;
    size_t row = rows->row_count - work->run->row_first;
    lane->keys_only[row] = what == MOR_DECODED_TOMBSTONE;
    lane->deleted[row] = what == MOR_DECODED_DELETE;
    lane->record_of_row[row] = (uint32_t)record;
    for (size_t i = work->plan->absent_first; i < rows->column_count; i++)
        mor_vector_append_null(&rows->columns[i]);
    rows->row_count++;
}

static enum mor_status decode_chunk(struct chunk_work *work, struct mor_error *err)
{
    const struct mor_chunk *chunk = work->chunk;
    for (size_t i = 0; i < chunk->record_count; i++) {
        const struct mor_record *record = &chunk->records[i];
        enum mor_decoded what;
        mor_record_digest_add(&work->run->digest, record);
        if (record->timestamp_ms >= 0 && record->timestamp_ms < work->run->oldest_ms)
            work->run->oldest_ms = record->timestamp_ms;
        enum mor_status status =
            mor_decoder_record(work->lane->decoder, record, work->batch->rows->columns, &what, err);
        if (status == MOR_DATA || status == MOR_NOT_FOUND) {
            MOR_TRY(keep_aside(work, record, MOR_DEAD_DECODE, err));
            continue;
        }
        if (status != MOR_OK)
            return mor_error_wrap(err, "partition %d, offset %lld", record->partition,
                                  (long long)record->offset);
        if (what == MOR_DECODED_NOTHING)
            work->run->outcomes.filtered++;
        else
            finish_row(work, i, what);
    }
    return MOR_OK;
}

static bool text_equals(const struct mor_vector *column, size_t row, const char *text,
                        struct mor_buffer *scratch)
{
    if (mor_vector_is_null(column, row))
        return false;
    size_t size;
    const uint8_t *bytes;
    if (column->field->type == MOR_TYPE_STRING || column->field->type == MOR_TYPE_ENUM) {
        bytes = mor_vector_bytes_at(column, row, &size);
    } else {
        mor_buffer_reset(scratch);
        mor_vector_format_text(column, row, scratch);
        bytes = scratch->data;
        size = scratch->size_bytes;
    }
    return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

static bool lacks_a_column(const struct chunk_work *work, size_t row)
{
    for (size_t i = 0; i < work->plan->required_count; i++)
        if (mor_vector_is_null(&work->batch->rows->columns[work->plan->required_columns[i]], row))
            return true;
    return false;
}

// Flags of the chunk's rows. A delete that knows neither its table partition nor its order (change
// streams often carry the key alone) is worth no less than a tombstone.
static void mark_deletes(struct chunk_work *work)
{
    struct mor_lane_batch *batch = work->batch;
    const struct mor_run *run = work->run;
    bool *keys_only = work->lane->keys_only;
    MOR_AUTO_BUFFER scratch = {0};
    for (size_t i = 0; i < run->row_count; i++) {
        size_t row = run->row_first + i;
        bool named = !keys_only[i] && work->plan->delete_column >= 0 &&
                     text_equals(&batch->rows->columns[work->plan->delete_column], row,
                                 work->plan->delete_text, &scratch);
        named = named || work->lane->deleted[i];
        keys_only[i] = keys_only[i] || (named && lacks_a_column(work, row));
        batch->flags[row] = keys_only[i] ? ROW_TOMBSTONE | ROW_DELETE : named ? ROW_DELETE : 0;
    }
}

// The clock of the chunk's partition; a new assignment starts where the table has come to.
static struct mor_event_clock *find_clock(struct mor_lane *lane, const struct mor_chunk *chunk)
{
    size_t i = 0;
    while (i < lane->clock_count && lane->clocks[i].partition != chunk->partition)
        i++;
    if (i == lane->clock_count) {
        lane->clocks = mor_realloc(lane->clocks, (i + 1) * sizeof *lane->clocks);
        lane->clocks[lane->clock_count++] =
            (struct mor_event_clock){.partition = chunk->partition, .generation = -1};
    }
    struct mor_event_clock *clock = &lane->clocks[i];
    if (clock->generation != chunk->generation) {
        int64_t watermark_ms =
            mor_positions_watermark(lane->plan->positions, chunk->partition, chunk->generation);
        clock->generation = chunk->generation;
        clock->highest_ms = watermark_ms != NO_WATERMARK
                                ? watermark_ms + lane->plan->event_time.max_lateness_ms
                                : NO_WATERMARK;
    }
    return clock;
}

static enum mor_status event_time_of(const struct chunk_work *work, const struct mor_record *record,
                                     size_t row, int64_t *ret_ms, struct mor_error *err)
{
    const struct mor_event_time_plan *plan = &work->plan->event_time;
    *ret_ms = NO_EVENT_TIME;
    if (plan->column < 0)
        *ret_ms = record->timestamp_ms >= 0 ? record->timestamp_ms : NO_EVENT_TIME;
    else if ((work->batch->flags[row] & ROW_TOMBSTONE) == 0)
        return mor_event_time_of(plan, &work->batch->rows->columns[plan->column], row, ret_ms, err);
    return MOR_OK;
}

// Event time of every row, and what is done with the late ones.
static enum mor_status look_at_event_time(struct chunk_work *work, struct mor_error *err)
{
    const struct mor_event_time_plan *plan = &work->plan->event_time;
    struct mor_lane_batch *batch = work->batch;
    struct mor_run *run = work->run;
    int64_t now_ms = mor_clock_wall_ms();
    for (size_t i = 0; i < run->row_count; i++) {
        size_t row = run->row_first + i;
        const struct mor_record *record = &work->chunk->records[work->lane->record_of_row[i]];
        if (batch->groups[row] == MOR_GROUP_INVALID)
            continue;
        int64_t time_ms;
        if (event_time_of(work, record, row, &time_ms, err) != MOR_OK) {
            batch->groups[row] = MOR_GROUP_INVALID;
            MOR_TRY(keep_aside(work, record, MOR_DEAD_EVENT_TIME, err));
            continue;
        }
        work->lane->event_times_ms[i] = time_ms;
        bool late = mor_event_clock_take(work->clock, plan, time_ms, now_ms, &run->event_time);
        if (!late || plan->late == MOR_LATE_MERGE)
            continue;
        batch->groups[row] = MOR_GROUP_INVALID;
        if (plan->late == MOR_LATE_DROP) {
            run->outcomes.late_dropped++;
            continue;
        }
        (void)mor_error_set(err, MOR_DATA, "late: event time %lld ms is behind the watermark",
                            (long long)time_ms);
        MOR_TRY(keep_aside(work, record, MOR_DEAD_LATE, err));
    }
    return MOR_OK;
}

// Finds the group of each row; rows without one (no key, no ordering value) are kept aside.
static enum mor_status route_chunk(struct chunk_work *work, struct mor_error *err)
{
    struct mor_lane_batch *batch = work->batch;
    struct mor_run *run = work->run;
    mor_lane_batch_refresh_view(batch);
    if (run->row_count == 0)
        return MOR_OK;
    uint32_t *groups = batch->groups + run->row_first;
    mor_router_route(batch->router, &batch->view, run->row_first, run->row_count,
                     work->lane->keys_only, groups,
                     work->plan->keyed ? batch->keys + run->row_first : NULL);
    for (size_t i = 0; i < run->row_count; i++) {
        if (__builtin_expect(groups[i] != MOR_GROUP_INVALID, 1))
            continue;
        mor_router_explain(batch->router, &batch->view, run->row_first + i, err);
        MOR_TRY(keep_aside(work, &work->chunk->records[work->lane->record_of_row[i]], MOR_DEAD_KEY,
                           err));
    }
    return MOR_OK;
}

static void log_duplicate(const struct chunk_work *work, size_t i, const char *reason)
{
    MOR_LOG(DEBUG, "duplicate", MOR_STR("topic", work->plan->topic),
            MOR_INT("partition", work->chunk->partition),
            MOR_INT("offset", work->chunk->records[work->lane->record_of_row[i]].offset),
            MOR_STR("found", reason));
}

// Asks the local state which rows are duplicates. Tombstones have no id, and neither has what is no
// row.
static enum mor_status judge_ids(struct chunk_work *work, struct mor_error *err)
{
    const struct mor_lane_plan *plan = work->plan;
    struct mor_lane *lane = work->lane;
    struct mor_lane_batch *batch = work->batch;
    struct mor_run *run = work->run;
    if (plan->dedup_column_count == 0)
        return MOR_OK;
    for (size_t i = 0; i < run->row_count; i++) {
        size_t row = run->row_first + i;
        bool judge =
            (batch->flags[row] & ROW_TOMBSTONE) == 0 && batch->groups[row] != MOR_GROUP_INVALID;
        lane->verdicts[i] = judge ? MOR_DEDUP_ASK : MOR_DEDUP_SKIP;
        if (lane->event_times_ms[i] == NO_EVENT_TIME)
            lane->event_times_ms[i] = work->chunk->records[lane->record_of_row[i]].timestamp_ms;
    }
    mor_dedup_hash(batch->rows, plan->dedup_columns, plan->dedup_column_count, plan->local->salt,
                   run->row_first, run->row_count, lane->verdicts, lane->ids);
    enum mor_status status = mor_state_dedup(plan->local->state, lane->ids, lane->event_times_ms,
                                             lane->verdicts, run->row_count, &run->dedup, err);
    if (status == MOR_DATA) { // the committer starts the state anew; then this chunk comes again
        atomic_store(&plan->local->damaged, true);
        mor_gate_poke(plan->gate);
        return err->status = MOR_RETRY;
    }
    MOR_TRY(status);
    for (size_t i = 0; i < run->row_count; i++) {
        if (lane->verdicts[i] == MOR_DEDUP_STATE) {
            batch->flags[run->row_first + i] |= ROW_DUPLICATE;
            log_duplicate(work, i, "state");
        } else if (lane->verdicts[i] == MOR_DEDUP_IN_FLIGHT) {
            batch->flags[run->row_first + i] |= ROW_IN_FLIGHT;
            log_duplicate(work, i, "in_flight");
        }
    }
    return MOR_OK;
}

static void reserve_scratch(struct mor_lane *lane, size_t record_count)
{
    if (record_count <= lane->scratch_capacity)
        return;
    lane->keys_only = mor_realloc(lane->keys_only, record_count * sizeof *lane->keys_only);
    lane->deleted = mor_realloc(lane->deleted, record_count * sizeof *lane->deleted);
    lane->record_of_row =
        mor_realloc(lane->record_of_row, record_count * sizeof *lane->record_of_row);
    lane->event_times_ms =
        mor_realloc(lane->event_times_ms, record_count * sizeof *lane->event_times_ms);
    lane->verdicts = mor_realloc(lane->verdicts, record_count * sizeof *lane->verdicts);
    lane->ids = mor_realloc(lane->ids, record_count * sizeof *lane->ids);
    lane->scratch_capacity = record_count;
}

static enum mor_status work_through(struct chunk_work *work, struct mor_error *err)
{
    struct mor_lane_batch *batch = work->batch;
    struct mor_run *run = work->run;
    MOR_TRY(decode_chunk(work, err));
    run->row_count = batch->rows->row_count - run->row_first;
    batch_reserve(work->plan, batch, batch->rows->row_count);
    mark_deletes(work);
    MOR_TRY(route_chunk(work, err));
    MOR_TRY(look_at_event_time(work, err));
    MOR_TRY(judge_ids(work, err));
    run->letters_count = batch->dead_letters->row_count - run->letters_first;
    return MOR_OK;
}

// The mutex is held: the committer may not cut in the middle of a chunk.
static enum mor_status take_in(struct mor_lane *lane, const struct mor_chunk *chunk,
                               struct mor_error *err)
{
    struct mor_lane_batch *batch = lane->filling;
    struct mor_run *run = batch_add_run(batch);
    run->partition = chunk->partition;
    run->leader_epoch = chunk->leader_epoch;
    run->generation = chunk->generation;
    run->offset_first = chunk->offset_first;
    run->offset_next = chunk->offset_next;
    run->row_first = batch->rows->row_count;
    run->letters_first = batch->dead_letters->row_count;
    run->outcomes.read = (int64_t)chunk->record_count;
    run->outcomes.gap = chunk->offset_next - chunk->offset_first - (int64_t)chunk->record_count;
    MOR_TRY(mor_fault("lane.decode", err));
    reserve_scratch(lane, chunk->record_count);
    struct chunk_work work = {.lane = lane,
                              .plan = lane->plan,
                              .batch = batch,
                              .chunk = chunk,
                              .run = run,
                              .clock = find_clock(lane, chunk)};
    work.clock_before = *work.clock;
    enum mor_status status = work_through(&work, err);
    if (status != MOR_OK)
        *work.clock = work.clock_before;
    return status;
}

// Takes back what take_in added, so that the chunk can be tried again as a whole.
static void take_back(struct mor_lane_batch *batch)
{
    const struct mor_run *run = &batch->runs[--batch->run_count];
    assert(run->dedup == NULL); // judging ids is the last thing that can fail
    mor_batch_truncate(batch->rows, run->row_first);
    mor_batch_truncate(batch->dead_letters, run->letters_first);
}

static enum mor_status try_chunk(struct mor_lane *lane, const struct mor_chunk *chunk,
                                 struct mor_error *err)
{
    size_t rows, bytes;
    {
        MOR_LOCKED(&lane->mutex);
        size_t rows_before = lane->filling->rows->row_count;
        size_t bytes_before = batch_bytes(lane->filling);
        enum mor_status status = take_in(lane, chunk, err);
        if (status != MOR_OK) {
            take_back(lane->filling);
            return status;
        }
        rows = lane->filling->rows->row_count - rows_before;
        bytes = batch_bytes(lane->filling) - bytes_before;
    }
    char notice[512];
    if (mor_decoder_take_notice(lane->decoder, notice, sizeof notice))
        MOR_LOG(WARN, "fields_left_out", MOR_STR("topic", lane->plan->topic),
                MOR_STR("msg", notice));
    mor_gate_add(lane->plan->gate, rows, bytes);
    return MOR_OK;
}

// Waits out what is transient (the registry is away); the committer may cut meanwhile, because a
// failed chunk leaves nothing behind.
static enum mor_status work_on(struct mor_lane *lane, const struct mor_chunk *chunk,
                               struct mor_error *err)
{
    enum mor_status status = try_chunk(lane, chunk, err);
    while ((status == MOR_RETRY || status == MOR_CONFLICT) && !atomic_load(&lane->stopping)) {
        if (status == MOR_CONFLICT) // until the columns were changed, which ends this lane
            mor_gate_change(lane->plan->gate, mor_decoder_changed_id(lane->decoder), err);
        set_trouble(lane, err->message);
        struct timespec pause = {0, RETRY_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
        status = try_chunk(lane, chunk, err);
        if (status == MOR_OK)
            set_trouble(lane, "");
    }
    return status;
}

static void *lane_main(void *argument)
{
    struct mor_lane *lane = argument;
    struct mor_chunk *chunk;
    while ((chunk = mor_queue_pop(lane->queue, -1)) != NULL) {
        struct mor_error err = MOR_ERROR_INIT;
        if (mor_gate_enter(lane->plan->gate) && work_on(lane, chunk, &err) != MOR_OK &&
            !atomic_load(&lane->stopping))
            mor_gate_fail(lane->plan->gate, &err);
        mor_chunk_free(chunk);
        atomic_fetch_sub(&lane->pending, 1);
    }
    return NULL;
}

// ---- lifecycle ----------------------------------------------------------------------------------

enum mor_status mor_lane_start(const struct mor_lane_plan *plan, int32_t index,
                               struct mor_lane **ret_lane, struct mor_error *err)
{
    struct mor_lane *lane = mor_calloc(1, sizeof *lane);
    lane->plan = plan;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_mutex_init(&lane->trouble_mutex, NULL);
    lane->queue = mor_queue_new(LANE_QUEUE_ITEMS, plan->queue_bytes_max);
    lane->filling = batch_new(plan);
    lane->spare = batch_new(plan);
    enum mor_status status = mor_decoder_new(&plan->decoder, &lane->decoder, err);
    if (status == MOR_OK) {
        char name[16];
        (void)snprintf(name, sizeof name, "lane-%d", index);
        status = mor_thread_start(&lane->thread, name, lane_main, lane, err);
        lane->thread_runs = status == MOR_OK;
    }
    if (status != MOR_OK) {
        mor_lane_free(lane);
        return status;
    }
    *ret_lane = lane;
    return MOR_OK;
}

bool mor_lane_offer(struct mor_lane *lane, struct mor_chunk *chunk)
{
    atomic_fetch_add(&lane->pending, 1);
    if (mor_queue_try_push(lane->queue, chunk, chunk->size_bytes))
        return true;
    atomic_fetch_sub(&lane->pending, 1);
    return false;
}

struct mor_lane_batch *mor_lane_cut(struct mor_lane *lane)
{
    MOR_LOCKED(&lane->mutex);
    struct mor_lane_batch *batch = lane->filling;
    lane->filling = lane->spare;
    lane->spare = NULL;
    return batch;
}

static size_t vector_capacity_bytes(const struct mor_vector *vector)
{
    size_t bytes = vector->data.capacity_bytes + vector->offsets.capacity_bytes +
                   vector->validity.capacity_bytes;
    for (size_t i = 0; i < vector->child_count; i++)
        bytes += vector_capacity_bytes(&vector->children[i]);
    return bytes;
}

static size_t batch_capacity_bytes(const struct mor_lane_batch *batch)
{
    size_t bytes = batch->capacity * BYTES_PER_ROW;
    for (size_t i = 0; i < batch->rows->column_count; i++)
        bytes += vector_capacity_bytes(&batch->rows->columns[i]);
    for (size_t i = 0; i < batch->dead_letters->column_count; i++)
        bytes += vector_capacity_bytes(&batch->dead_letters->columns[i]);
    return bytes;
}

// Batches keep their buffers from commit to commit, but only what one gathering needs, and nothing
// when memory is short: the source pauses while the budget is nearly spent, so what nobody uses
// must be given back, or it would pause for ever.
static bool may_keep(const struct mor_lane_plan *plan, const struct mor_lane_batch *batch)
{
    size_t share = plan->gate->bytes_max / plan->lane_count;
    if (batch_capacity_bytes(batch) > share / 100 * KEPT_PERCENT)
        return false;
    return plan->budget == NULL || mor_budget_used(plan->budget) < plan->budget->limit_bytes / 2;
}

void mor_lane_return(struct mor_lane *lane, struct mor_lane_batch *batch)
{
    forget_ids(lane->plan, batch);
    if (!may_keep(lane->plan, batch)) {
        batch_free(lane->plan, batch);
        batch = batch_new(lane->plan);
    } else {
        mor_batch_reset(batch->rows);
        mor_batch_reset(batch->dead_letters);
        batch->run_count = 0;
    }
    MOR_LOCKED(&lane->mutex);
    lane->spare = batch;
}

void mor_lane_hold(struct mor_lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
}

void mor_lane_release(struct mor_lane *lane)
{
    pthread_mutex_unlock(&lane->mutex);
}

bool mor_lane_is_idle(struct mor_lane *lane)
{
    return atomic_load(&lane->pending) == 0;
}

void mor_lane_trouble(struct mor_lane *lane, char *ret_text, size_t capacity)
{
    MOR_LOCKED(&lane->trouble_mutex);
    (void)snprintf(ret_text, capacity, "%s", lane->trouble);
}

void mor_lane_free(struct mor_lane *lane)
{
    if (lane == NULL)
        return;
    atomic_store(&lane->stopping, true);
    mor_queue_close(lane->queue);
    if (lane->thread_runs)
        pthread_join(lane->thread, NULL);
    struct mor_chunk *chunk;
    while ((chunk = mor_queue_pop(lane->queue, 0)) != NULL)
        mor_chunk_free(chunk);
    mor_queue_free(lane->queue);
    mor_decoder_free(lane->decoder);
    batch_free(lane->plan, lane->filling);
    batch_free(lane->plan, lane->spare);
    free(lane->keys_only);
    free(lane->deleted);
    free(lane->record_of_row);
    free(lane->event_times_ms);
    free(lane->verdicts);
    free(lane->ids);
    free(lane->clocks);
    pthread_mutex_destroy(&lane->mutex);
    pthread_mutex_destroy(&lane->trouble_mutex);
    free(lane);
}
