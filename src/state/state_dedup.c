// Judging ids. One slot per id says in which bucket it was seen and which run put it in. The first
// to claim a slot is NEW; what is claimed by a run in flight makes an IN_FLIGHT duplicate, which is
// settled when its commit is cut (state_batch.c).
#include <assert.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

#define PREFETCH_SLOTS    64
#define PREFETCH_FILTERED 8

// A filter said that a sorted run of `bucket` may hold the id of fresh[index].
struct doubt {
    uint32_t index, bucket;
};

struct judging {
    struct mor_state *state;
    struct mor_dedup_run *run;
    const struct mor_hash128 *ids;
    const int64_t *times_ms;
    uint8_t *verdicts;
    uint64_t horizon; // one for the whole chunk
    struct doubt *doubts;
    size_t doubt_count, doubt_capacity;
};

static int64_t floor_div(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

uint32_t mor_state_bucket(const struct mor_state *state, int64_t event_time_ms)
{
    // Clamped to later buckets at both ends: such ids are remembered longer than they need be.
    int64_t bucket = floor_div(event_time_ms, state->bucket_ms);
    return bucket < 0 ? 0 : bucket > BUCKET_LAST ? BUCKET_LAST : (uint32_t)bucket;
}

uint64_t mor_state_horizon(const struct mor_state *state, int64_t watermark_ms)
{
    if (state->bucket_ms == 0 || watermark_ms < INT64_MIN + state->window_ms)
        return 0;
    int64_t horizon = floor_div(watermark_ms - state->window_ms, state->bucket_ms);
    return horizon < 0 ? 0 : horizon > BUCKET_LAST ? BUCKET_LAST : (uint64_t)horizon;
}

uint64_t mor_state_grave_horizon(const struct mor_state *state, int64_t watermark_ms)
{
    bool any = state->grave_ms > 0 && watermark_ms > state->grave_ms;
    return any ? (uint64_t)(watermark_ms - state->grave_ms) : 0;
}

void mor_state_set_horizon(struct mor_state *state, int64_t watermark_ms)
{
    uint64_t horizon = mor_state_horizon(state, watermark_ms);
    state->horizon_before = horizon;
    atomic_store(&state->ids.horizon, horizon);
    atomic_store(&state->ids.purge_horizon, horizon);
    uint64_t graves = mor_state_grave_horizon(state, watermark_ms);
    atomic_store(&state->keys.horizon, graves);
    atomic_store(&state->keys.purge_horizon, graves);
}

void mor_dedup_run_free(struct mor_dedup_run *run)
{
    if (run == NULL)
        return;
    mor_budget_give(run->budget,
                    (run->fresh_capacity + run->doubtful_capacity) * sizeof(struct key_change));
    free(run->fresh);
    free(run->doubtful);
    free(run);
}

static void add_doubt(void *context, uint32_t bucket)
{
    struct judging *judging = context;
    if (bucket < judging->horizon)
        return;
    if (judging->doubt_count == judging->doubt_capacity) {
        judging->doubt_capacity = judging->doubt_capacity > 0 ? judging->doubt_capacity * 2 : 64;
        judging->doubts =
            mor_realloc(judging->doubts, judging->doubt_capacity * sizeof *judging->doubts);
    }
    judging->doubts[judging->doubt_count++] =
        (struct doubt){(uint32_t)judging->run->fresh_count, bucket};
}

static void add_doubtful(struct mor_dedup_run *run, struct mor_hash128 hash, uint64_t value)
{
    if (run->doubtful_count == run->doubtful_capacity) {
        size_t more = run->doubtful_capacity > 0 ? run->doubtful_capacity : 16;
        run->doubtful_capacity += more;
        mor_budget_take(run->budget, more * sizeof *run->doubtful);
        run->doubtful = mor_realloc(run->doubtful, run->doubtful_capacity * sizeof *run->doubtful);
    }
    run->doubtful[run->doubtful_count++] = (struct key_change){hash, value};
}

static void judge_row(struct judging *judging, struct key_shard *shard, uint32_t row)
{
    uint64_t horizon = judging->horizon;
    struct mor_dedup_run *run = judging->run;
    struct mor_hash128 hash = key_normalise(judging->ids[row]);
    uint32_t bucket = mor_state_bucket(judging->state, judging->times_ms[row]);
    if (bucket < horizon) {
        judging->verdicts[row] = MOR_DEDUP_TOO_OLD;
        return;
    }
    struct key_slot *slot = mor_key_shard_put(shard, hash);
    if (!key_is_before(&judging->state->ids, slot->value, horizon)) {
        bool in_flight = ID_OWNER(slot->value) != OWNER_NONE;
        judging->verdicts[row] = in_flight ? MOR_DEDUP_IN_FLIGHT : MOR_DEDUP_STATE;
        if (in_flight)
            add_doubtful(run, hash, ID_VALUE(bucket, row));
        return;
    }
    if (shard->filtered)
        mor_key_shard_ask_filters(shard, hash, add_doubt, judging);
    slot->value = ID_VALUE(bucket, run->number);
    run->fresh[run->fresh_count++] = (struct key_change){hash, ID_VALUE(bucket, row)};
    judging->verdicts[row] = MOR_DEDUP_NEW;
}

static void judge_shard(struct judging *judging, struct key_shard *shard, const uint32_t *rows,
                        size_t count)
{
    struct key_space *space = &judging->state->ids;
    MOR_LOCKED(&shard->mutex);
    mor_key_shard_reserve(space, shard, count);
    // as many as the first-level cache keeps until they are read; a key asks many filters
    size_t block = shard->filtered ? PREFETCH_FILTERED : PREFETCH_SLOTS;
    for (size_t start = 0; start < count; start += block) {
        size_t end = count - start < block ? count : start + block;
        for (size_t i = start; i < end; i++)
            key_prefetch(shard, judging->ids[rows[i]]);
        for (size_t i = start; i < end; i++)
            if (judging->verdicts[rows[i]] == MOR_DEDUP_ASK)
                judge_row(judging, shard, rows[i]);
    }
}

// The slot is given up, if the run still holds it.
static void release(struct mor_state *state, struct mor_hash128 hash, uint32_t number)
{
    struct key_shard *shard = key_shard_at(&state->ids, hash);
    MOR_LOCKED(&shard->mutex);
    struct key_slot *slot = mor_key_shard_find(shard, hash);
    if (slot != NULL && slot->value != KEY_NOWHERE && ID_OWNER(slot->value) == number)
        slot->value = KEY_NOWHERE;
}

// Reads the sorted runs for those rows whose filter said "perhaps". The slots are claimed already,
// so nobody else judges the same id as new meanwhile.
static enum mor_status settle_doubts(struct judging *judging, struct mor_error *err)
{
    struct mor_dedup_run *run = judging->run;
    MDB_txn *txn;
    MOR_TRY(mor_fault("state.claimed", err));
    MOR_TRY(mor_state_env_read(&judging->state->env, &txn, err));
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < judging->doubt_count && status == MOR_OK; i++) {
        struct key_change *fresh = &run->fresh[judging->doubts[i].index];
        uint32_t row = ID_OWNER(fresh->value);
        bool found = false;
        if (judging->verdicts[row] == MOR_DEDUP_NEW)
            status = mor_state_find_id(judging->state, txn, fresh->hash, judging->doubts[i].bucket,
                                       &found, err);
        if (found)
            judging->verdicts[row] = MOR_DEDUP_STATE;
    }
    mor_state_env_read_end(&judging->state->env, txn);
    MOR_TRY(status);
    size_t kept = 0;
    for (size_t i = 0; i < run->fresh_count; i++) {
        if (judging->verdicts[ID_OWNER(run->fresh[i].value)] == MOR_DEDUP_NEW)
            run->fresh[kept++] = run->fresh[i];
        else
            release(judging->state, run->fresh[i].hash, run->number);
    }
    run->fresh_count = kept;
    return MOR_OK;
}

static struct mor_dedup_run *new_run(struct mor_state *state, size_t count)
{
    struct mor_dedup_run *run = mor_calloc(1, sizeof *run);
    do
        run->number = atomic_fetch_add(&state->last_number, 1) + 1;
    while (run->number == OWNER_NONE || run->number == UINT32_MAX);
    run->fresh = mor_alloc(count * sizeof *run->fresh);
    run->fresh_capacity = count;
    run->budget = state->budget;
    mor_budget_take(run->budget, count * sizeof *run->fresh);
    return run;
}

enum mor_status mor_state_dedup(struct mor_state *state, const struct mor_hash128 *ids,
                                const int64_t *event_times_ms, uint8_t *verdicts, size_t count,
                                struct mor_dedup_run **ret_run, struct mor_error *err)
{
    assert(state->bucket_ms > 0 && count <= UINT32_MAX);
    struct judging judging = {.state = state,
                              .run = new_run(state, count),
                              .ids = ids,
                              .times_ms = event_times_ms,
                              .verdicts = verdicts,
                              .horizon = atomic_load(&state->ids.horizon)};
    MOR_AUTO_FREE uint32_t *order = mor_alloc(count * sizeof *order);
    uint32_t starts[KEY_SHARDS + 1];
    mor_key_group(ids, count, order, starts);
    for (size_t s = 0; s < KEY_SHARDS; s++)
        if (starts[s + 1] > starts[s])
            judge_shard(&judging, &state->ids.shards[s], order + starts[s],
                        starts[s + 1] - starts[s]);
    enum mor_status status = judging.doubt_count > 0 ? settle_doubts(&judging, err) : MOR_OK;
    free(judging.doubts);
    if (status != MOR_OK) {
        mor_state_dedup_forget(state, judging.run);
        return status;
    }
    *ret_run = judging.run;
    return MOR_OK;
}

void mor_state_dedup_forget(struct mor_state *state, struct mor_dedup_run *take_run)
{
    if (take_run == NULL)
        return;
    for (size_t i = 0; i < take_run->fresh_count; i++)
        release(state, take_run->fresh[i].hash, take_run->number);
    {
        MOR_LOCKED(&state->mutex);
        size_t kept = 0;
        for (size_t i = 0; i < state->demotion_count; i++)
            if (state->demotions[i].run != take_run->number)
                state->demotions[kept++] = state->demotions[i];
        state->demotion_count = kept;
    }
    mor_dedup_run_free(take_run);
}
