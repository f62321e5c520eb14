#include <assert.h>
#include <string.h>

#include "moraine/base/thread.h"
#include "state_internal.h"

// ---- ids in sorted runs -------------------------------------------------------------------------

// May `run` hold an id of `bucket`? Runs of several buckets are named after their newest.
static bool may_hold(const struct sorted_run *run, uint32_t bucket)
{
    return run->kind == RUN_OF_IDS &&
           (run->entry_size == ID_ENTRY_SIZE ? run->bucket == bucket : run->bucket >= bucket);
}

enum mor_status mor_state_find_id(struct mor_state *state, MDB_txn *txn, struct mor_hash128 hash,
                                  uint32_t bucket, bool *ret_found, struct mor_error *err)
{
    *ret_found = false;
    for (size_t i = state->runs.count; i > 0 && !*ret_found; i--) {
        const struct sorted_run *run = &state->runs.runs[i - 1];
        if (!may_hold(run, bucket))
            continue;
        struct run_entry entry;
        int code = mor_sorted_run_find(run, txn, state->env.dbi, &hash, 1, ret_found, &entry);
        if (code == MDB_NOTFOUND && run->bucket < atomic_load(&state->ids.purge_horizon))
            continue; // dropped by a commit that the list does not know yet
        if (code != MDB_SUCCESS)
            return mor_state_env_error(&state->env, code, "looking for an id", err);
        if (*ret_found && run->entry_size == BUCKET_ENTRY_SIZE && entry.value != bucket)
            *ret_found = false;
    }
    return MOR_OK;
}

// ---- keys ---------------------------------------------------------------------------------------

struct key_question {
    struct mor_state *state;
    const struct mor_hash128 *keys;
    struct mor_state_entry *entries;
    uint32_t *perhaps; // keys that sorted runs may have
    size_t perhaps_count;
};

static struct mor_state_entry answer(const struct mor_state *state, uint64_t value,
                                     uint64_t ordering)
{
    // also when the grave still stands somewhere: answers do not depend on when merges happen
    if (key_is_gone(&state->keys, value))
        return (struct mor_state_entry){MOR_STATE_NOWHERE, 0};
    return (struct mor_state_entry){(value & GRAVE_BIT) != 0 ? MOR_STATE_NOWHERE : value, ordering};
}

static void look_in_shard(struct key_question *question, struct key_shard *shard,
                          const uint32_t *order, size_t count)
{
    MOR_LOCKED(&shard->mutex);
    for (size_t i = 0; i < count && shard->capacity > 0; i++)
        key_prefetch(shard, question->keys[order[i]]);
    for (size_t i = 0; i < count; i++) {
        struct mor_hash128 hash = key_normalise(question->keys[order[i]]);
        const struct key_slot *slot = mor_key_shard_find(shard, hash);
        question->entries[order[i]] = slot != NULL
                                          ? answer(question->state, slot->value, slot->ordering[0])
                                          : answer(question->state, KEY_NOWHERE, 0);
        if (shard->filtered)
            question->perhaps[question->perhaps_count++] = order[i];
    }
}

// Looks for some keys in one run; those that it does not have stay in perhaps[], from `*kept` on.
static int look_in_run(struct key_question *question, const struct sorted_run *run, MDB_txn *txn,
                       const uint32_t *indices, size_t count, size_t *kept)
{
    struct mor_hash128 hashes[RUN_SEARCHES];
    uint32_t asked[RUN_SEARCHES];
    size_t asked_count = 0;
    for (size_t i = 0; i < count && run->filter != NULL; i++)
        mor_key_filter_prefetch(run->filter,
                                mor_run_filter_hash(key_normalise(question->keys[indices[i]])));
    for (size_t i = 0; i < count; i++) {
        struct mor_hash128 hash = key_normalise(question->keys[indices[i]]);
        if (run->filter != NULL && !mor_key_filter_has(run->filter, mor_run_filter_hash(hash))) {
            question->perhaps[(*kept)++] = indices[i];
            continue;
        }
        hashes[asked_count] = hash;
        asked[asked_count++] = indices[i];
    }
    bool found[RUN_SEARCHES];
    struct run_entry entries[RUN_SEARCHES];
    int code = mor_sorted_run_find(run, txn, question->state->env.dbi, hashes, asked_count, found,
                                   entries);
    for (size_t i = 0; i < asked_count && code == MDB_SUCCESS; i++) {
        if (found[i])
            question->entries[asked[i]] =
                answer(question->state, entries[i].value, entries[i].ordering);
        else
            question->perhaps[(*kept)++] = asked[i];
    }
    return code;
}

// The latest run that has the key tells.
static enum mor_status look_in_runs(struct key_question *question, struct mor_error *err)
{
    struct mor_state *state = question->state;
    MDB_txn *txn;
    MOR_TRY(mor_state_env_read(&state->env, &txn, err));
    int code = MDB_SUCCESS;
    for (size_t r = state->runs.count; r > 0 && code == MDB_SUCCESS; r--) {
        const struct sorted_run *run = &state->runs.runs[r - 1];
        size_t count = question->perhaps_count, kept = 0;
        if (run->kind != RUN_OF_KEYS)
            continue;
        for (size_t i = 0; i < count && code == MDB_SUCCESS; i += RUN_SEARCHES) {
            size_t part = count - i < RUN_SEARCHES ? count - i : RUN_SEARCHES;
            uint32_t indices[RUN_SEARCHES];
            memcpy(indices, question->perhaps + i, part * sizeof *indices);
            code = look_in_run(question, run, txn, indices, part, &kept);
        }
        question->perhaps_count = kept;
    }
    if (code != MDB_SUCCESS)
        mor_state_env_error(&state->env, code, "looking for a key", err);
    mor_state_env_read_end(&state->env, txn);
    return code == MDB_SUCCESS ? MOR_OK : err->status;
}

enum mor_status mor_state_lookup(struct mor_state *state, const struct mor_hash128 *keys,
                                 size_t count, struct mor_state_entry *ret_entries,
                                 struct mor_error *err)
{
    assert(state->has_index && count <= UINT32_MAX);
    MOR_AUTO_FREE uint32_t *order = mor_alloc(count * sizeof *order);
    MOR_AUTO_FREE uint32_t *perhaps = mor_alloc(count * sizeof *perhaps);
    struct key_question question = {state, keys, ret_entries, perhaps, 0};
    uint32_t starts[KEY_SHARDS + 1];
    mor_key_group(keys, count, order, starts);
    for (size_t s = 0; s < KEY_SHARDS; s++)
        if (starts[s + 1] > starts[s])
            look_in_shard(&question, &state->keys.shards[s], order + starts[s],
                          starts[s + 1] - starts[s]);
    return question.perhaps_count > 0 ? look_in_runs(&question, err) : MOR_OK;
}
