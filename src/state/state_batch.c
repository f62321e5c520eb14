// A batch: the runs that one table commit takes in. Beginning it settles what was in doubt,
// applying it makes it durable and then part of the memory of the state.
#include <assert.h>
#include <stdlib.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

// ---- begin --------------------------------------------------------------------------------------

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_taken(const struct mor_state_batch *batch, uint32_t number)
{
    return batch->run_count > 0 && bsearch(&number, batch->numbers, batch->run_count, sizeof number,
                                           compare_numbers) != NULL;
}

static struct mor_state_batch *new_batch(struct mor_dedup_run **runs, size_t count)
{
    struct mor_state_batch *batch = mor_calloc(1, sizeof *batch);
    batch->runs = mor_alloc(count * sizeof *batch->runs);
    batch->run_indices = mor_alloc(count * sizeof *batch->run_indices);
    batch->numbers = mor_alloc(count * sizeof *batch->numbers);
    for (size_t i = 0; i < count; i++) {
        if (runs[i] == NULL)
            continue;
        batch->run_indices[batch->run_count] = i;
        batch->numbers[batch->run_count] = runs[i]->number;
        batch->runs[batch->run_count++] = runs[i];
        runs[i] = NULL;
    }
    if (batch->run_count > 0)
        qsort(batch->numbers, batch->run_count, sizeof *batch->numbers, compare_numbers);
    return batch;
}

static void correct(struct mor_state_batch *batch, size_t run_index, uint32_t row,
                    enum mor_dedup_verdict verdict)
{
    if (batch->correction_count == batch->correction_capacity) {
        batch->correction_capacity =
            batch->correction_capacity > 0 ? batch->correction_capacity * 2 : 64;
        batch->corrections = mor_realloc(batch->corrections,
                                         batch->correction_capacity * sizeof *batch->corrections);
    }
    batch->corrections[batch->correction_count++] =
        (struct mor_dedup_correction){batch->run_indices[run_index], row, verdict};
}

void mor_state_demote(struct mor_state *state, uint32_t number, struct mor_hash128 hash)
{
    MOR_LOCKED(&state->mutex);
    if (state->demotion_count == state->demotion_capacity) {
        state->demotion_capacity = state->demotion_capacity > 0 ? state->demotion_capacity * 2 : 64;
        state->demotions =
            mor_realloc(state->demotions, state->demotion_capacity * sizeof *state->demotions);
    }
    state->demotions[state->demotion_count++] = (struct demotion){number, hash};
}

static void note_bucket(void *context, uint32_t bucket)
{
    struct packed_run *list = context; // a growable list of buckets
    mor_buffer_append(&list->entries, &bucket, sizeof bucket);
}

enum claim { CLAIM_TAKEN_OVER, CLAIM_ON_DISK, CLAIM_IN_BATCH };

// Who is the original of this id? When nobody is, or only a run of a later commit, `run` becomes
// it.
static enum claim claim_slot(struct mor_state *state, const struct mor_state_batch *batch,
                             const struct mor_dedup_run *run, const struct key_change *change,
                             uint32_t *ret_loser, struct packed_run *buckets)
{
    struct key_shard *shard = key_shard_at(&state->ids, change->hash);
    MOR_LOCKED(&shard->mutex);
    mor_key_shard_reserve(&state->ids, shard, 1);
    struct key_slot *slot = mor_key_shard_put(shard, change->hash);
    *ret_loser = OWNER_NONE;
    if (slot->value != KEY_NOWHERE) { // inside the window or not: it was judged by this entry
        uint32_t owner = ID_OWNER(slot->value);
        if (owner == OWNER_NONE)
            return CLAIM_ON_DISK;
        if (is_taken(batch, owner)) // perhaps an earlier row of the same run
            return CLAIM_IN_BATCH;
        *ret_loser = owner;
    }
    // Also when somebody holds the slot: a lane claims it before it has asked the sorted runs.
    if (shard->filtered)
        mor_key_shard_ask_filters(shard, change->hash, note_bucket, buckets);
    slot->value = ID_VALUE(ID_BUCKET(change->value), run->number);
    return CLAIM_TAKEN_OVER;
}

static void unclaim(struct mor_state *state, struct mor_hash128 hash, uint32_t number)
{
    struct key_shard *shard = key_shard_at(&state->ids, hash);
    MOR_LOCKED(&shard->mutex);
    struct key_slot *slot = mor_key_shard_find(shard, hash);
    if (slot != NULL && slot->value != KEY_NOWHERE && ID_OWNER(slot->value) == number)
        slot->value = KEY_NOWHERE;
}

static enum mor_status is_in_runs(struct mor_state *state, struct mor_hash128 hash,
                                  const struct packed_run *buckets, bool *ret_found,
                                  struct mor_error *err)
{
    *ret_found = false;
    if (buckets->entries.size_bytes == 0)
        return MOR_OK;
    MDB_txn *txn;
    MOR_TRY(mor_state_env_read(&state->env, &txn, err));
    enum mor_status status = MOR_OK;
    for (size_t at = 0; at < buckets->entries.size_bytes && status == MOR_OK && !*ret_found;
         at += sizeof(uint32_t)) {
        uint32_t bucket;
        memcpy(&bucket, buckets->entries.data + at, sizeof bucket);
        status = mor_state_find_id(state, txn, hash, bucket, ret_found, err);
    }
    mor_state_env_read_end(&state->env, txn);
    return status;
}

// Settles one row that was told IN_FLIGHT, or NEW and then demoted. *ret_verdict is final.
static enum mor_status settle(struct mor_state *state, const struct mor_state_batch *batch,
                              const struct mor_dedup_run *run, const struct key_change *change,
                              enum mor_dedup_verdict *ret_verdict, struct mor_error *err)
{
    struct packed_run buckets = {0};
    uint32_t loser;
    enum claim claim = claim_slot(state, batch, run, change, &loser, &buckets);
    bool found = claim == CLAIM_ON_DISK;
    enum mor_status status = MOR_OK;
    if (claim == CLAIM_TAKEN_OVER) {
        status = is_in_runs(state, change->hash, &buckets, &found, err);
        if (status != MOR_OK || found)
            unclaim(state, change->hash, run->number);
        else if (loser != OWNER_NONE)
            mor_state_demote(state, loser, change->hash);
    }
    mor_buffer_done(&buckets.entries);
    *ret_verdict = found                     ? MOR_DEDUP_STATE
                   : claim == CLAIM_IN_BATCH ? MOR_DEDUP_IN_FLIGHT
                                             : MOR_DEDUP_NEW;
    return status;
}

static void add_fresh(struct mor_dedup_run *run, const struct key_change *change)
{
    if (run->fresh_count == run->fresh_capacity) {
        size_t more = run->fresh_capacity / 2 + 16;
        run->fresh_capacity += more;
        run->fresh = mor_realloc(run->fresh, run->fresh_capacity * sizeof *run->fresh);
        mor_budget_take(run->budget, more * sizeof *run->fresh);
    }
    run->fresh[run->fresh_count++] = *change;
}

static int compare_demotions(const void *a, const void *b)
{
    const struct demotion *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return mor_run_compare(x->hash, y->hash);
}

static bool has_demotion(const struct demotion *sorted, size_t count, uint32_t run)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle].run < run)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && sorted[low].run == run;
}

// Rows of this run that another run took over are settled like doubtful ones. `demotions`: sorted.
static enum mor_status settle_demoted(struct mor_state *state, struct mor_state_batch *batch,
                                      size_t index, const struct demotion *demotions,
                                      size_t demotion_count, struct mor_error *err)
{
    struct mor_dedup_run *run = batch->runs[index];
    if (!has_demotion(demotions, demotion_count, run->number))
        return MOR_OK;
    enum mor_status status = MOR_OK;
    size_t kept = 0;
    for (size_t i = 0; i < run->fresh_count; i++) {
        const struct key_change *change = &run->fresh[i];
        enum mor_dedup_verdict verdict = MOR_DEDUP_NEW;
        struct demotion wanted = {run->number, change->hash};
        if (status == MOR_OK &&
            bsearch(&wanted, demotions, demotion_count, sizeof wanted, compare_demotions) != NULL)
            status = settle(state, batch, run, change, &verdict, err);
        if (verdict != MOR_DEDUP_NEW)
            correct(batch, index, ID_OWNER(change->value), verdict);
        else
            run->fresh[kept++] = *change;
    }
    run->fresh_count = kept;
    return status;
}

static enum mor_status settle_doubtful(struct mor_state *state, struct mor_state_batch *batch,
                                       size_t index, struct mor_error *err)
{
    struct mor_dedup_run *run = batch->runs[index];
    for (size_t i = 0; i < run->doubtful_count; i++) {
        const struct key_change *change = &run->doubtful[i];
        enum mor_dedup_verdict verdict;
        MOR_TRY(settle(state, batch, run, change, &verdict, err));
        if (verdict != MOR_DEDUP_NEW)
            continue;
        add_fresh(run, change);
        correct(batch, index, ID_OWNER(change->value), verdict);
    }
    return MOR_OK;
}

// Takes the demotions of the batch's runs out of the state; sorted.
static struct demotion *take_demotions(struct mor_state *state, const struct mor_state_batch *batch,
                                       size_t *ret_count)
{
    MOR_LOCKED(&state->mutex);
    struct demotion *taken = mor_alloc(state->demotion_count * sizeof *taken);
    size_t kept = 0, count = 0;
    for (size_t i = 0; i < state->demotion_count; i++) {
        if (is_taken(batch, state->demotions[i].run))
            taken[count++] = state->demotions[i];
        else
            state->demotions[kept++] = state->demotions[i];
    }
    state->demotion_count = kept;
    if (count > 0)
        qsort(taken, count, sizeof *taken, compare_demotions);
    *ret_count = count;
    return taken;
}

enum mor_status mor_state_batch_begin(struct mor_state *state, struct mor_dedup_run **take_runs,
                                      size_t run_count, struct mor_dedup_run **take_left_out,
                                      size_t left_out_count, struct mor_state_batch **ret_batch,
                                      const struct mor_dedup_correction **ret_corrections,
                                      size_t *ret_correction_count, struct mor_error *err)
{
    for (size_t i = 0; i < left_out_count; i++) {
        mor_state_dedup_forget(state, take_left_out[i]);
        take_left_out[i] = NULL;
    }
    struct mor_state_batch *batch = new_batch(take_runs, run_count);
    size_t demotion_count;
    MOR_AUTO_FREE struct demotion *demotions = take_demotions(state, batch, &demotion_count);
    enum mor_status status = MOR_OK;
    for (size_t i = 0; i < batch->run_count && demotion_count > 0 && status == MOR_OK; i++)
        status = settle_demoted(state, batch, i, demotions, demotion_count, err);
    for (size_t i = 0; i < batch->run_count && status == MOR_OK; i++)
        status = settle_doubtful(state, batch, i, err);
    if (status != MOR_OK) {
        mor_state_batch_drop(state, batch);
        return status;
    }
    *ret_batch = batch;
    *ret_corrections = batch->corrections;
    *ret_correction_count = batch->correction_count;
    return MOR_OK;
}

static void free_batch(struct mor_state_batch *batch)
{
    for (size_t i = 0; i < batch->run_count; i++)
        mor_dedup_run_free(batch->runs[i]);
    free(batch->runs);
    free(batch->run_indices);
    free(batch->numbers);
    free(batch->corrections);
    mor_index_changes_done(&batch->index);
    free(batch);
}

void mor_state_batch_drop(struct mor_state *state, struct mor_state_batch *take_batch)
{
    if (take_batch == NULL)
        return;
    for (size_t i = 0; i < take_batch->run_count; i++)
        mor_state_dedup_forget(state, take_batch->runs[i]);
    take_batch->run_count = 0;
    free_batch(take_batch);
}

void mor_index_changes_add(struct index_changes *changes, const struct mor_hash128 *keys,
                           const struct mor_state_entry *entries, size_t count)
{
    if (changes->count + count > changes->capacity) {
        changes->capacity = (changes->count + count) * 3 / 2;
        changes->keys = mor_realloc(changes->keys, changes->capacity * sizeof *changes->keys);
        changes->entries =
            mor_realloc(changes->entries, changes->capacity * sizeof *changes->entries);
    }
    for (size_t i = 0; i < count; i++) {
        assert(entries[i].location == MOR_STATE_NOWHERE || entries[i].location < GRAVE_BIT);
        changes->keys[changes->count] = (struct key_change){key_normalise(keys[i]), changes->count};
        changes->entries[changes->count++] = entries[i];
    }
}

void mor_index_changes_done(struct index_changes *changes)
{
    free(changes->keys);
    free(changes->entries);
    *changes = (struct index_changes){0};
}

void mor_state_batch_index(struct mor_state_batch *batch, const struct mor_hash128 *keys,
                           const struct mor_state_entry *entries, size_t count)
{
    mor_index_changes_add(&batch->index, keys, entries, count);
}

// ---- pack ---------------------------------------------------------------------------------------

// A commit has one or two buckets as a rule. With more than this many, the small ones share a run,
// so that a thousand event times do not make a thousand runs.
#define BUCKETS_ALONE 4
#define BUCKET_SMALL  4096

static struct packed_run *add_packed(struct packed_run **runs, size_t *run_count, uint8_t kind,
                                     uint32_t entry_size, uint32_t bucket)
{
    *runs = mor_realloc(*runs, (*run_count + 1) * sizeof **runs);
    struct packed_run *packed = &(*runs)[(*run_count)++];
    *packed = (struct packed_run){.kind = kind, .entry_size = entry_size, .bucket = bucket};
    return packed;
}

static void pack_entry(struct packed_run *packed, const struct run_entry *entry)
{
    mor_buffer_reserve(&packed->entries, packed->entry_size);
    mor_run_entry_put(packed->entries.data + packed->entries.size_bytes, packed->entry_size, entry);
    packed->entries.size_bytes += packed->entry_size;
}

struct bucket_count {
    uint32_t bucket;
    size_t count;
    size_t run; // index into the packed runs
};

static int compare_buckets(const void *a, const void *b)
{
    const struct bucket_count *x = a, *y = b;
    return x->bucket < y->bucket ? -1 : x->bucket > y->bucket;
}

static struct bucket_count *find_bucket(struct bucket_count *buckets, size_t count, uint32_t bucket)
{
    struct bucket_count wanted = {.bucket = bucket};
    return bsearch(&wanted, buckets, count, sizeof *buckets, compare_buckets);
}

// The buckets of the changes, sorted, with their counts.
static struct bucket_count *count_buckets(const struct key_change *sorted, size_t count,
                                          size_t *ret_count)
{
    struct bucket_count *buckets = NULL;
    size_t found = 0, capacity = 0;
    struct bucket_count *last = NULL;
    for (size_t i = 0; i < count; i++) {
        uint32_t bucket = ID_BUCKET(sorted[i].value);
        if (last == NULL || last->bucket != bucket)
            last = found > 0 ? find_bucket(buckets, found, bucket) : NULL;
        if (last == NULL) {
            if (found == capacity) {
                capacity = capacity > 0 ? capacity * 2 : 16;
                buckets = mor_realloc(buckets, capacity * sizeof *buckets);
            }
            size_t at = found++;
            for (; at > 0 && buckets[at - 1].bucket > bucket; at--)
                buckets[at] = buckets[at - 1];
            buckets[at] = (struct bucket_count){.bucket = bucket};
            last = &buckets[at];
        }
        last->count++;
    }
    *ret_count = found;
    return buckets;
}

void mor_state_pack_ids(const struct key_change *sorted, size_t count, struct packed_run **runs,
                        size_t *run_count)
{
    if (count == 0)
        return;
    size_t bucket_count;
    MOR_AUTO_FREE struct bucket_count *buckets = count_buckets(sorted, count, &bucket_count);
    size_t shared = SIZE_MAX; // the run of the small buckets; its bucket is the newest of them
    for (size_t i = 0; i < bucket_count; i++) {
        if (bucket_count <= BUCKETS_ALONE || buckets[i].count >= BUCKET_SMALL) {
            buckets[i].run = *run_count;
            add_packed(runs, run_count, RUN_OF_IDS, ID_ENTRY_SIZE, buckets[i].bucket);
            mor_buffer_reserve(&(*runs)[buckets[i].run].entries, buckets[i].count * ID_ENTRY_SIZE);
            continue;
        }
        if (shared == SIZE_MAX) {
            shared = *run_count;
            add_packed(runs, run_count, RUN_OF_IDS, BUCKET_ENTRY_SIZE, 0);
        }
        buckets[i].run = shared;
        (*runs)[shared].bucket = buckets[i].bucket;
    }
    const struct bucket_count *last = buckets;
    for (size_t i = 0; i < count; i++) {
        uint32_t bucket = ID_BUCKET(sorted[i].value);
        if (last->bucket != bucket)
            last = find_bucket(buckets, bucket_count, bucket);
        assert(*runs != NULL && last != NULL);
        pack_entry(&(*runs)[last->run], &(struct run_entry){sorted[i].hash, bucket, 0});
    }
}

// The value of an entry as it is written at a watermark.
static uint64_t index_value(const struct mor_state_entry *entry, int64_t watermark_ms)
{
    if (entry->location != MOR_STATE_NOWHERE || entry->ordering == 0)
        return entry->location; // MOR_STATE_NOWHERE: leaves no trace
    if (watermark_ms == INT64_MIN || watermark_ms > (int64_t)GRAVE_FOR_EVER)
        return GRAVE_OF(GRAVE_FOR_EVER);
    return GRAVE_OF(watermark_ms < 0 ? 0 : (uint64_t)watermark_ms);
}

void mor_state_pack_keys(struct index_changes *changes, int64_t watermark_ms,
                         struct packed_run **runs, size_t *run_count)
{
    if (changes->count == 0)
        return;
    // sorted by reference: the entries are fetched once, when they are packed
    MOR_AUTO_FREE struct key_change *scratch = mor_alloc(changes->count * sizeof *scratch);
    mor_key_sort(changes->keys, scratch, changes->count);
    struct packed_run *packed = add_packed(runs, run_count, RUN_OF_KEYS, KEY_ENTRY_SIZE, 0);
    mor_buffer_reserve(&packed->entries, changes->count * KEY_ENTRY_SIZE);
    for (size_t i = 0; i < changes->count; i++) {
        const struct key_change *key = &changes->keys[i];
        if (i + 1 < changes->count && mor_run_compare(key[0].hash, key[1].hash) == 0)
            continue; // the last change counts
        const struct mor_state_entry *entry = &changes->entries[key->value];
        pack_entry(packed, &(struct run_entry){key->hash, index_value(entry, watermark_ms),
                                               entry->ordering});
    }
}

void mor_state_packed_free(struct packed_run *runs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mor_buffer_done(&runs[i].entries);
    free(runs);
}

// ---- apply --------------------------------------------------------------------------------------

size_t mor_key_shard_end(const struct key_change *sorted, size_t start, size_t count)
{
    size_t shard = key_shard_of(sorted[start].hash), end = start + 1;
    while (end < count && key_shard_of(sorted[end].hash) == shard)
        end++;
    return end;
}

void mor_state_settle_ids(struct mor_state *state, const struct key_change *sorted, size_t count)
{
    for (size_t start = 0, end; start < count; start = end) {
        end = mor_key_shard_end(sorted, start, count);
        struct key_shard *shard = key_shard_at(&state->ids, sorted[start].hash);
        MOR_LOCKED(&shard->mutex);
        for (size_t i = start; i < end; i++) {
            if (i + KEY_PREFETCH_AHEAD < end && shard->capacity > 0)
                key_prefetch(shard, sorted[i + KEY_PREFETCH_AHEAD].hash);
            uint32_t bucket = ID_BUCKET(sorted[i].value);
            struct key_slot *slot = mor_key_shard_find(shard, sorted[i].hash);
            bool held = slot != NULL && slot->value == sorted[i].value;
            if (shard->filtered)
                mor_key_shard_filter_add(&state->ids, shard, bucket, sorted[i].hash, end - start);
            if (held)
                slot->value = shard->filtered ? KEY_NOWHERE : ID_VALUE(bucket, OWNER_NONE);
        }
    }
}

static void settle_run_of_keys(struct mor_state *state, const struct packed_run *packed)
{
    const uint8_t *entries = packed->entries.data;
    size_t count = packed->entries.size_bytes / KEY_ENTRY_SIZE;
    for (size_t start = 0, end; start < count; start = end) {
        size_t shard = key_shard_of(mor_run_entry_at(entries, KEY_ENTRY_SIZE, start).hash);
        for (end = start + 1; end < count; end++)
            if (key_shard_of(mor_run_entry_at(entries, KEY_ENTRY_SIZE, end).hash) != shard)
                break;
        mor_state_take_in_keys(state, &state->keys.shards[shard], entries, start, end);
    }
}

void mor_state_settle_keys(struct mor_state *state, const struct packed_run *runs, size_t run_count)
{
    for (size_t i = 0; i < run_count; i++)
        if (runs[i].kind == RUN_OF_KEYS)
            settle_run_of_keys(state, &runs[i]);
}

void mor_state_expire_graves(struct mor_state *state, int64_t watermark_ms)
{
    uint64_t horizon = mor_state_grave_horizon(state, watermark_ms);
    if (horizon <= atomic_load(&state->keys.horizon))
        return;
    atomic_store(&state->keys.horizon, horizon);
    atomic_store(&state->keys.purge_horizon, horizon);
}

void mor_state_advance(struct mor_state *state, int64_t watermark_ms)
{
    mor_state_expire_graves(state, watermark_ms);
    uint64_t horizon = atomic_load(&state->ids.horizon);
    uint64_t wanted = mor_state_horizon(state, watermark_ms);
    atomic_store(&state->ids.purge_horizon, state->horizon_before);
    state->horizon_before = horizon;
    atomic_store(&state->ids.horizon, wanted > horizon ? wanted : horizon);
    for (size_t s = 0; s < KEY_SHARDS; s++) {
        struct key_shard *shard = &state->ids.shards[s];
        MOR_LOCKED(&shard->mutex);
        if (shard->filtered)
            mor_key_shard_forget_old(&state->ids, shard);
    }
}

void mor_state_keep_share(struct mor_state *state)
{
    struct key_space *spaces[2] = {&state->ids, &state->keys};
    for (int round = 0; round < 2; round++) {
        size_t ids = atomic_load(&state->ids.bytes), keys = atomic_load(&state->keys.bytes);
        if (state->share_bytes == 0 || ids + keys <= state->share_bytes)
            return;
        struct key_space *space = spaces[keys > ids];
        if (space->shards[0].filtered) // only this thread switches
            space = spaces[keys <= ids];
        if (space->shards[0].filtered)
            return;
        for (size_t s = 0; s < KEY_SHARDS; s++) {
            MOR_LOCKED(&space->shards[s].mutex);
            mor_key_shard_to_filters(space, &space->shards[s]);
        }
    }
}

// All new ids of the batch, sorted; values as in the slots.
static struct key_change *gather_ids(const struct mor_state_batch *batch, size_t *ret_count)
{
    size_t count = 0;
    for (size_t r = 0; r < batch->run_count; r++)
        count += batch->runs[r]->fresh_count;
    struct key_change *all = mor_alloc(count * sizeof *all);
    size_t at = 0;
    for (size_t r = 0; r < batch->run_count; r++)
        for (size_t i = 0; i < batch->runs[r]->fresh_count; i++, at++) {
            const struct key_change *fresh = &batch->runs[r]->fresh[i];
            all[at] = (struct key_change){
                fresh->hash, ID_VALUE(ID_BUCKET(fresh->value), batch->runs[r]->number)};
        }
    MOR_AUTO_FREE struct key_change *scratch = mor_alloc(count * sizeof *scratch);
    mor_key_sort(all, scratch, count);
    *ret_count = count;
    return all;
}

enum mor_status mor_state_mark_check(const struct mor_state_mark *mark, struct mor_error *err)
{
    if (strlen(mark->version) > TEXT_BYTES_MAX || mark->offsets_size_bytes > OPAQUE_BYTES_MAX)
        return mor_error_set(err, MOR_FATAL,
                             "a table version of more than %d bytes or offsets of more than %zu "
                             "bytes do not fit into the local state",
                             TEXT_BYTES_MAX, OPAQUE_BYTES_MAX);
    return MOR_OK;
}

enum mor_status mor_state_batch_apply(struct mor_state *state, struct mor_state_batch *batch,
                                      const struct mor_state_mark *mark, struct mor_error *err)
{
    MOR_TRY(mor_state_mark_check(mark, err));
    assert(batch->index.count == 0 || state->has_index);
    size_t id_count;
    MOR_AUTO_FREE struct key_change *ids = gather_ids(batch, &id_count);
    struct state_change change = {.mark = mark,
                                  .drop_before = atomic_load(&state->ids.purge_horizon)};
    mor_state_pack_ids(ids, id_count, &change.runs, &change.run_count);
    mor_state_pack_keys(&batch->index, mark->watermark_ms, &change.runs, &change.run_count);
    enum mor_status status = mor_fault("state.before_apply", err);
    if (status == MOR_OK)
        status = mor_state_disk_write(state, &change, err);
    if (status == MOR_OK) { // durable; from here on nothing can fail
        (void)mor_fault("state.after_apply", err);
        mor_state_settle_ids(state, ids, id_count);
        mor_state_settle_keys(state, change.runs, change.run_count);
    }
    mor_state_packed_free(change.runs, change.run_count);
    MOR_TRY(status);
    mor_state_advance(state, mark->watermark_ms);
    mor_state_keep_share(state);
    mor_state_merger_want(state);
    free_batch(batch);
    return MOR_OK;
}
