// Into memory: from the sorted runs when the state is opened, and from the table when it lags.
#include <assert.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

#define LOAD_CHANGES_MAX ((size_t)1 << 20) // of a sorted run made while loading: 24 MiB

#define TWICE_PIECE 4096 // keys looked up at once

// ---- sorted runs --------------------------------------------------------------------------------

// Asks for the slot, or the filters, of the entry that comes a little later.
static void prefetch_ahead(const struct key_shard *shard, const uint8_t *entries,
                           uint32_t entry_size, size_t at, size_t end)
{
    if (at + KEY_PREFETCH_AHEAD < end && shard->capacity > 0)
        key_prefetch(shard, mor_run_entry_at(entries, entry_size, at + KEY_PREFETCH_AHEAD).hash);
}

// Entries [start, end) of a chunk, all of one shard.
static void take_in_ids(struct mor_state *state, struct key_shard *shard,
                        const struct sorted_run *run, const uint8_t *entries, size_t start,
                        size_t end)
{
    uint64_t horizon = atomic_load(&state->ids.horizon);
    MOR_LOCKED(&shard->mutex);
    if (!shard->filtered)
        mor_key_shard_reserve(&state->ids, shard, end - start);
    for (size_t i = start; i < end; i++) {
        prefetch_ahead(shard, entries, run->entry_size, i, end);
        struct run_entry entry = mor_run_entry_at(entries, run->entry_size, i);
        uint32_t bucket = run->entry_size == ID_ENTRY_SIZE ? run->bucket : (uint32_t)entry.value;
        if (bucket < horizon)
            continue;
        if (shard->filtered) {
            mor_key_shard_filter_add(&state->ids, shard, bucket, entry.hash,
                                     run->entry_count / KEY_SHARDS);
            continue;
        }
        struct key_slot *slot = mor_key_shard_put(shard, entry.hash);
        if (slot->value == KEY_NOWHERE || ID_BUCKET(slot->value) < bucket)
            slot->value = ID_VALUE(bucket, OWNER_NONE);
    }
}

void mor_state_take_in_keys(struct mor_state *state, struct key_shard *shard,
                            const uint8_t *entries, size_t start, size_t end)
{
    MOR_LOCKED(&shard->mutex);
    if (shard->filtered)
        return;
    // Most keys of a commit may be known, and need no room. There must be room for all of the
    // others at once: they come in the order of the slots and would crowd together at the
    // beginning.
    size_t missing = 0;
    for (size_t i = start; i < end; i++) {
        prefetch_ahead(shard, entries, KEY_ENTRY_SIZE, i, end);
        missing +=
            mor_key_shard_find(shard, mor_run_entry_at(entries, KEY_ENTRY_SIZE, i).hash) == NULL;
    }
    mor_key_shard_reserve(&state->keys, shard, missing);
    for (size_t i = start; i < end; i++) {
        prefetch_ahead(shard, entries, KEY_ENTRY_SIZE, i, end);
        struct run_entry entry = mor_run_entry_at(entries, KEY_ENTRY_SIZE, i);
        struct key_slot *slot = mor_key_shard_put(shard, entry.hash);
        slot->value = entry.value;
        slot->ordering[0] = entry.ordering;
    }
}

// Entries are sorted, so those of a shard stand together and meet its slots in order. False when
// they are not.
static bool take_in_chunk(struct mor_state *state, const struct sorted_run *run,
                          const uint8_t *entries, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (mor_run_compare(mor_run_entry_at(entries, run->entry_size, i - 1).hash,
                            mor_run_entry_at(entries, run->entry_size, i).hash) >= 0)
            return false;
    for (size_t start = 0, end; start < count; start = end) {
        size_t shard = key_shard_of(mor_run_entry_at(entries, run->entry_size, start).hash);
        for (end = start + 1; end < count; end++)
            if (key_shard_of(mor_run_entry_at(entries, run->entry_size, end).hash) != shard)
                break;
        if (run->kind == RUN_OF_IDS)
            take_in_ids(state, &state->ids.shards[shard], run, entries, start, end);
        else
            mor_state_take_in_keys(state, &state->keys.shards[shard], entries, start, end);
    }
    return true;
}

static int load_run(struct mor_state *state, struct sorted_run *run, MDB_txn *txn)
{
    uint64_t digest = 0, entry_count = 0;
    run->fences = mor_alloc(run->chunk_count * sizeof *run->fences);
    for (uint32_t chunk = 0; chunk < run->chunk_count; chunk++) {
        const uint8_t *entries;
        size_t count;
        uint64_t checksum;
        int code = mor_sorted_run_chunk(run, txn, state->env.dbi, chunk, true, &entries, &count,
                                        &checksum);
        if (code != MDB_SUCCESS)
            return code;
        if (!take_in_chunk(state, run, entries, count))
            return MDB_CORRUPTED;
        run->fences[chunk] = mor_run_entry_at(entries, run->entry_size, 0).hash;
        digest = mor_run_digest_add(digest, checksum);
        entry_count += count;
    }
    return digest == run->digest && entry_count == run->entry_count ? MDB_SUCCESS : MDB_CORRUPTED;
}

// Tables when they fit into the share, filters from the start otherwise; and room at once.
static void prepare_spaces(struct mor_state *state)
{
    size_t ids = 0, keys = 0, keys_largest = 0;
    for (size_t i = 0; i < state->runs.count; i++) {
        const struct sorted_run *run = &state->runs.runs[i];
        if (run->kind == RUN_OF_IDS) {
            ids += run->entry_count;
        } else {
            keys += run->entry_count;
            keys_largest = run->entry_count > keys_largest ? run->entry_count : keys_largest;
        }
    }
    const size_t id_bytes = mor_key_space_bytes(&state->ids, ids);
    const size_t key_bytes = mor_key_space_bytes(&state->keys, keys);
    bool ids_fit = state->share_bytes == 0 || id_bytes + key_bytes <= state->share_bytes;
    bool keys_fit = ids_fit;
    if (!ids_fit) { // one of them may
        bool ids_are_less = id_bytes < key_bytes;
        bool less_fits = (ids_are_less ? id_bytes : key_bytes) <= state->share_bytes / 2;
        ids_fit = less_fits && ids_are_less;
        keys_fit = less_fits && !ids_are_less;
    }
    for (size_t s = 0; s < KEY_SHARDS; s++) {
        struct key_shard *shards[2] = {&state->ids.shards[s], &state->keys.shards[s]};
        struct key_space *spaces[2] = {&state->ids, &state->keys};
        const bool fits[2] = {ids_fit, keys_fit};
        // a key may stand in many runs, but hardly in one twice
        const size_t counts[2] = {ids, keys_largest};
        for (int i = 0; i < 2; i++) {
            MOR_LOCKED(&shards[i]->mutex);
            shards[i]->filtered = !fits[i];
            size_t count = counts[i] / KEY_SHARDS;
            if (fits[i] && count > 0)
                mor_key_shard_reserve(spaces[i], shards[i], count + count / 32);
        }
    }
}

enum mor_status mor_state_load_runs(struct mor_state *state, struct mor_error *err)
{
    prepare_spaces(state);
    MDB_txn *txn;
    MOR_TRY(mor_state_env_read(&state->env, &txn, err));
    int code = MDB_SUCCESS;
    // the list has the runs of keys in the order of their age
    for (size_t i = 0; i < state->runs.count && code == MDB_SUCCESS; i++)
        code = load_run(state, &state->runs.runs[i], txn);
    enum mor_status status = MOR_OK;
    if (code != MDB_SUCCESS)
        status = mor_state_env_error(&state->env, code, "reading a sorted run", err);
    mor_state_env_read_end(&state->env, txn);
    return status;
}

// ---- from the table -----------------------------------------------------------------------------

enum mor_status mor_state_load_begin(struct mor_state *state, int64_t watermark_ms,
                                     struct mor_error *err)
{
    mor_state_loading_free(state);
    state->loading_watermark_ms = watermark_ms;
    if (mor_state_horizon(state, watermark_ms) > atomic_load(&state->ids.horizon))
        mor_state_set_horizon(state, watermark_ms);
    return mor_fault("state.load_begin", err);
}

// Entries [start, end), all of one shard. Adds to `losers` (struct demotion) who put an id in that
// is in the table.
static void take_in_part(struct mor_state *state, const struct key_change *sorted, size_t start,
                         size_t end, struct mor_buffer *losers)
{
    struct key_shard *shard = key_shard_at(&state->ids, sorted[start].hash);
    MOR_LOCKED(&shard->mutex);
    mor_key_shard_reserve(&state->ids, shard, end - start); // at once, see above
    for (size_t i = start; i < end; i++) {
        struct key_slot *slot = mor_key_shard_put(shard, sorted[i].hash);
        uint32_t bucket = ID_BUCKET(sorted[i].value);
        if (slot->value != KEY_NOWHERE) {
            struct demotion loser = {ID_OWNER(slot->value), sorted[i].hash};
            if (loser.run != OWNER_NONE)
                mor_buffer_append(losers, &loser, sizeof loser);
            else if (ID_BUCKET(slot->value) > bucket)
                bucket = ID_BUCKET(slot->value);
        }
        slot->value = ID_VALUE(bucket, OWNER_NONE);
        if (shard->filtered) {
            mor_key_shard_filter_add(&state->ids, shard, bucket, sorted[i].hash, end - start);
            slot->value = KEY_NOWHERE;
        }
    }
}

// Rows of the table win over what is in flight: a run that put the same id in will find out.
static void take_in_loaded(struct mor_state *state, const struct key_change *sorted, size_t count)
{
    MOR_AUTO_BUFFER losers = {0};
    for (size_t start = 0, end; start < count; start = end) {
        end = mor_key_shard_end(sorted, start, count);
        take_in_part(state, sorted, start, end, &losers);
    }
    for (size_t at = 0; at < losers.size_bytes; at += sizeof(struct demotion)) {
        struct demotion loser;
        memcpy(&loser, losers.data + at, sizeof loser);
        mor_state_demote(state, loser.run, loser.hash);
    }
}

// The last change of an id wins: leaves one entry per hash. Returns their count.
static size_t keep_last(struct key_change *sorted, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && mor_run_compare(sorted[kept - 1].hash, sorted[i].hash) == 0)
            sorted[kept - 1] = sorted[i];
        else
            sorted[kept++] = sorted[i];
    }
    return kept;
}

static void note_twice(struct mor_state *state, struct mor_hash128 key, uint64_t one,
                       uint64_t other)
{
    if (one == MOR_STATE_NOWHERE || other == MOR_STATE_NOWHERE || one == other)
        return;
    struct mor_state_twice *twice = &state->loading_twice;
    if (twice->count++ == 0)
        *twice = (struct mor_state_twice){1, key, one, other};
}

// Looks for keys that have a location already, among the sorted changes and in the memory.
static enum mor_status look_for_twice(struct mor_state *state, struct mor_error *err)
{
    const struct index_changes *changes = &state->loading_keys;
    MOR_AUTO_FREE struct mor_hash128 *keys = mor_alloc(TWICE_PIECE * sizeof *keys);
    MOR_AUTO_FREE struct mor_state_entry *known = mor_alloc(TWICE_PIECE * sizeof *known);
    for (size_t done = 0, part; done < changes->count; done += part) {
        part = changes->count - done < TWICE_PIECE ? changes->count - done : TWICE_PIECE;
        for (size_t i = 0; i < part; i++)
            keys[i] = changes->keys[done + i].hash;
        MOR_TRY(mor_state_lookup(state, keys, part, known, err));
        for (size_t i = 0; i < part; i++) {
            const struct key_change *key = &changes->keys[done + i];
            uint64_t location = changes->entries[key->value].location;
            bool again = done + i > 0 && mor_run_compare(key[-1].hash, key->hash) == 0;
            note_twice(state, key->hash,
                       again ? changes->entries[key[-1].value].location : known[i].location,
                       location);
        }
    }
    return MOR_OK;
}

// Makes what was gathered durable and part of the memory.
static enum mor_status flush_loading(struct mor_state *state, const struct mor_state_mark *mark,
                                     struct mor_error *err)
{
    struct state_change change = {.mark = mark,
                                  .drop_before = atomic_load(&state->ids.purge_horizon)};
    size_t id_count = state->loading_id_count;
    MOR_AUTO_FREE struct key_change *scratch = mor_alloc(id_count * sizeof *scratch);
    mor_key_sort(state->loading_ids, scratch, id_count);
    state->loading_id_count = id_count = keep_last(state->loading_ids, id_count);
    mor_state_pack_ids(state->loading_ids, id_count, &change.runs, &change.run_count);
    mor_state_pack_keys(&state->loading_keys, state->loading_watermark_ms, &change.runs,
                        &change.run_count);
    enum mor_status status = state->loading_watched ? look_for_twice(state, err) : MOR_OK;
    if (status == MOR_OK && (change.run_count > 0 || mark != NULL))
        status = mor_state_disk_write(state, &change, err);
    if (status == MOR_OK) {
        take_in_loaded(state, state->loading_ids, id_count);
        mor_state_settle_keys(state, change.runs, change.run_count);
        state->loading_id_count = state->loading_keys.count = 0;
        mor_state_keep_share(state);
        mor_state_merger_want(state);
    }
    mor_state_packed_free(change.runs, change.run_count);
    return status;
}

enum mor_status mor_state_load_ids(struct mor_state *state, const struct mor_hash128 *ids,
                                   const int64_t *event_times_ms, size_t count,
                                   struct mor_error *err)
{
    assert(state->bucket_ms > 0);
    uint64_t horizon = atomic_load(&state->ids.horizon);
    if (state->loading_ids == NULL) {
        state->loading_ids = mor_alloc(LOAD_CHANGES_MAX * sizeof *state->loading_ids);
        mor_budget_take(state->budget, LOAD_CHANGES_MAX * sizeof *state->loading_ids);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bucket = mor_state_bucket(state, event_times_ms[i]);
        if (bucket < horizon)
            continue;
        if (state->loading_id_count == LOAD_CHANGES_MAX)
            MOR_TRY(flush_loading(state, NULL, err));
        state->loading_ids[state->loading_id_count++] =
            (struct key_change){key_normalise(ids[i]), ID_VALUE(bucket, OWNER_NONE)};
    }
    return MOR_OK;
}

enum mor_status mor_state_load_keys(struct mor_state *state, const struct mor_hash128 *keys,
                                    const struct mor_state_entry *entries, size_t count,
                                    struct mor_error *err)
{
    assert(state->has_index);
    for (size_t done = 0, part; done < count; done += part) {
        if (state->loading_keys.count >= LOAD_CHANGES_MAX)
            MOR_TRY(flush_loading(state, NULL, err));
        part = LOAD_CHANGES_MAX - state->loading_keys.count;
        part = count - done < part ? count - done : part;
        mor_index_changes_add(&state->loading_keys, keys + done, entries + done, part);
    }
    return MOR_OK;
}

enum mor_status mor_state_load_watch(struct mor_state *state, struct mor_error *err)
{
    MOR_TRY(flush_loading(state, NULL, err));
    state->loading_watched = true;
    state->loading_twice = (struct mor_state_twice){0};
    return MOR_OK;
}

enum mor_status mor_state_load_watched(struct mor_state *state, struct mor_state_twice *ret_twice,
                                       struct mor_error *err)
{
    MOR_TRY(flush_loading(state, NULL, err));
    state->loading_watched = false;
    *ret_twice = state->loading_twice;
    return MOR_OK;
}

enum mor_status mor_state_load_finish(struct mor_state *state, const struct mor_state_mark *mark,
                                      struct mor_error *err)
{
    MOR_TRY(mor_state_mark_check(mark, err));
    MOR_TRY(flush_loading(state, mark, err));
    mor_state_loading_free(state);
    mor_state_expire_graves(state, mark->watermark_ms);
    if (mor_state_horizon(state, mark->watermark_ms) > atomic_load(&state->ids.horizon))
        mor_state_advance(state, mark->watermark_ms);
    return MOR_OK;
}

void mor_state_loading_free(struct mor_state *state)
{
    if (state->loading_ids != NULL)
        mor_budget_give(state->budget, LOAD_CHANGES_MAX * sizeof *state->loading_ids);
    free(state->loading_ids);
    state->loading_ids = NULL;
    state->loading_id_count = 0;
    state->loading_watched = false;
    mor_index_changes_done(&state->loading_keys);
}
