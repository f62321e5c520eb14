// Merging sorted runs, so that their number stays small. The output is written in pieces, each in a
// transaction of its own that a commit waits for only briefly; pieces are nothing until the last
// transaction writes their record and deletes what was merged.
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "moraine/base/fault.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

// Of a tier, before merging is worth it: each entry is rewritten once per tier.
#define MERGE_RUNS_MIN   8
#define MERGE_RUNS_MAX   16   // at once
#define TIER_ENTRIES     4096 // of the smallest tier
#define TIER_FACTOR_BITS 3
#define PIECE_CHUNKS     4 // written per transaction
#define RETRY_PAUSE_S    5

// ---- choosing -----------------------------------------------------------------------------------

static unsigned tier_of(const struct sorted_run *run)
{
    unsigned tier = 0;
    for (uint64_t entries = run->entry_count / TIER_ENTRIES; entries > 0;
         entries >>= TIER_FACTOR_BITS)
        tier++;
    return tier;
}

static bool stand_together(const struct sorted_run *a, const struct sorted_run *b)
{
    return a->kind == b->kind && a->bucket == b->bucket && a->entry_size == b->entry_size;
}

// Runs next to each other in age, none above the tier. *ret_first is an index into the list.
static size_t choose_in_tier(const struct run_list *list, unsigned tier, size_t *ret_first)
{
    for (size_t start = 0, end; start < list->count; start = end) {
        end = start + 1;
        if (tier_of(&list->runs[start]) > tier)
            continue;
        while (end < list->count && stand_together(&list->runs[start], &list->runs[end]) &&
               tier_of(&list->runs[end]) <= tier)
            end++;
        if (end - start >= MERGE_RUNS_MIN) {
            *ret_first = start;
            return end - start < MERGE_RUNS_MAX ? end - start : MERGE_RUNS_MAX;
        }
    }
    return 0;
}

static size_t choose(const struct run_list *list, size_t *ret_first)
{
    for (unsigned tier = 0; tier < 64 / TIER_FACTOR_BITS; tier++) {
        size_t count = choose_in_tier(list, tier, ret_first);
        if (count > 0)
            return count;
    }
    return 0;
}

// ---- filters of runs ----------------------------------------------------------------------------

// When the keys are more than fit into memory, most of those that are looked for stand in one of
// many runs: a filter of each saves reading the others.

struct filtering {
    uint64_t sequence; // of the run
    struct key_filter *filter;
    uint32_t chunk; // next to read
    bool complete;
};

static bool keys_are_filtered(struct mor_state *state)
{
    MOR_LOCKED(&state->keys.shards[0].mutex);
    return state->keys.shards[0].filtered;
}

// The run to go on with: the one that was begun, or the first without a filter.
static struct sorted_run *find_unfiltered(struct mor_state *state, struct filtering *work)
{
    for (size_t i = 0; i < state->runs.count; i++) {
        struct sorted_run *run = &state->runs.runs[i];
        if (run->kind != RUN_OF_KEYS || run->filter != NULL ||
            (work->filter != NULL && run->sequence != work->sequence))
            continue;
        if (work->filter == NULL) {
            work->sequence = run->sequence;
            work->filter = mor_calloc(1, sizeof *work->filter);
        }
        return run;
    }
    return NULL;
}

// Some chunks of a run go into its filter.
static int add_to_filter(struct mor_state *state, struct filtering *work,
                         const struct sorted_run *run, MDB_txn *txn)
{
    size_t bytes = 0;
    int code = MDB_SUCCESS;
    for (int done = 0; done < PIECE_CHUNKS && work->chunk < run->chunk_count; done++) {
        const uint8_t *entries;
        size_t count;
        code = mor_sorted_run_chunk(run, txn, state->env.dbi, work->chunk++, false, &entries,
                                    &count, NULL);
        if (code != MDB_SUCCESS)
            break;
        for (size_t i = 0; i < count; i++)
            bytes += mor_key_filter_add(
                work->filter,
                mor_run_filter_hash(mor_run_entry_at(entries, run->entry_size, i).hash),
                run->entry_count);
    }
    atomic_fetch_add(&state->keys.bytes, bytes);
    mor_budget_take(state->budget, bytes);
    work->complete = work->chunk == run->chunk_count;
    return code;
}

static void drop_filter(struct mor_state *state, struct filtering *work)
{
    if (work->filter == NULL)
        return;
    size_t bytes = mor_key_filter_done(work->filter);
    atomic_fetch_sub(&state->keys.bytes, bytes);
    mor_budget_give(state->budget, bytes);
    free(work->filter);
    work->filter = NULL;
}

static enum mor_status read_into_filter(struct mor_state *state, struct filtering *work,
                                        struct mor_error *err)
{
    MDB_txn *txn;
    MOR_TRY(mor_state_env_read(&state->env, &txn, err));
    const struct sorted_run *run = find_unfiltered(state, work);
    int code = run != NULL ? add_to_filter(state, work, run, txn) : MDB_SUCCESS;
    mor_state_env_read_end(&state->env, txn);
    if (code != MDB_SUCCESS)
        return mor_state_env_error(&state->env, code, "filtering a sorted run", err);
    work->complete = work->complete || run == NULL;
    return MOR_OK;
}

// One run that has no filter gets it. Only merging takes runs of keys away, and merge_mutex is
// held.
static enum mor_status filter_run(struct mor_state *state, bool *ret_filtered,
                                  struct mor_error *err)
{
    struct filtering work = {0};
    enum mor_status status = MOR_OK;
    while (status == MOR_OK && !work.complete)
        status = read_into_filter(state, &work, err);
    *ret_filtered = status == MOR_OK && work.filter != NULL;
    if (*ret_filtered) {
        pthread_rwlock_wrlock(&state->env.readers);
        struct sorted_run *run = find_unfiltered(state, &work);
        if (run != NULL) {
            run->filter = work.filter;
            work.filter = NULL;
        }
        pthread_rwlock_unlock(&state->env.readers);
    }
    drop_filter(state, &work);
    return status;
}

static enum mor_status filter_runs(struct mor_state *state, struct mor_error *err)
{
    bool more = keys_are_filtered(state);
    while (more)
        MOR_TRY(filter_run(state, &more, err));
    return MOR_OK;
}

// ---- merging ------------------------------------------------------------------------------------

struct merge_source {
    struct sorted_run run; // a copy without fences
    const uint8_t *entries;
    size_t count, at;
    uint32_t chunk; // next to read
    struct run_entry entry;
    bool ended;
};

struct merge {
    struct mor_state *state;
    MDB_txn *reading;
    struct merge_source sources[MERGE_RUNS_MAX];
    size_t source_count;
    bool drops_gone; // the oldest run of the keys takes part: what is gone has nothing to hide
    struct sorted_run output;
    struct sorted_run tried; // output as a transaction would leave it
    struct mor_buffer piece;
    struct state_sums sums;
};

static int advance(struct merge *merge, struct merge_source *source)
{
    if (source->at == source->count) {
        source->ended = source->chunk == source->run.chunk_count;
        if (source->ended)
            return MDB_SUCCESS;
        int code =
            mor_sorted_run_chunk(&source->run, merge->reading, merge->state->env.dbi,
                                 source->chunk++, false, &source->entries, &source->count, NULL);
        if (code != MDB_SUCCESS)
            return code;
        source->at = 0;
    }
    source->entry = mor_run_entry_at(source->entries, source->run.entry_size, source->at++);
    return MDB_SUCCESS;
}

// The least entry of all sources; the latest run wins among equals. False at the end.
static int next_entry(struct merge *merge, struct run_entry *ret_entry, bool *ret_more)
{
    struct merge_source *least = NULL;
    for (size_t i = 0; i < merge->source_count; i++) {
        struct merge_source *source = &merge->sources[i];
        if (!source->ended &&
            (least == NULL || mor_run_compare(source->entry.hash, least->entry.hash) <= 0))
            least = source;
    }
    *ret_more = least != NULL;
    if (least == NULL)
        return MDB_SUCCESS;
    *ret_entry = least->entry;
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < merge->source_count && code == MDB_SUCCESS; i++) {
        struct merge_source *source = &merge->sources[i];
        if (source->ended || mor_run_compare(source->entry.hash, ret_entry->hash) != 0)
            continue;
        // an id in several buckets is remembered in the newest
        if (source->run.kind == RUN_OF_IDS && source->entry.value > ret_entry->value)
            ret_entry->value = source->entry.value;
        code = advance(merge, source);
    }
    return code;
}

static int write_piece(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct merge *merge = context;
    mor_sorted_run_done(&merge->tried);
    merge->tried = merge->output;
    merge->tried.fences = mor_alloc((merge->output.chunk_count + 1) * sizeof *merge->tried.fences);
    if (merge->output.chunk_count > 0)
        memcpy(merge->tried.fences, merge->output.fences,
               merge->output.chunk_count * sizeof *merge->output.fences);
    size_t total = merge->piece.size_bytes / merge->output.entry_size;
    size_t most = mor_run_chunk_entries_max(merge->output.entry_size);
    int code = MDB_SUCCESS;
    for (size_t done = 0; done < total && code == MDB_SUCCESS;) {
        size_t count = total - done < most ? total - done : most;
        code = mor_sorted_run_add_chunk(&merge->tried, txn, dbi,
                                        merge->piece.data + done * merge->output.entry_size, count);
        done += count;
    }
    return code;
}

static void keep_piece(void *context)
{
    struct merge *merge = context;
    mor_sorted_run_done(&merge->output);
    merge->output = merge->tried;
    merge->tried.fences = NULL;
    mor_buffer_reset(&merge->piece);
}

static size_t find_source(const struct run_list *list, const struct sorted_run *run)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->runs[i].sequence == run->sequence)
            return i;
    return SIZE_MAX;
}

static int write_last(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct merge *merge = context;
    merge->sums = merge->state->sums;
    int code = write_piece(context, txn, dbi);
    for (size_t i = 0; i < merge->source_count && code == MDB_SUCCESS; i++) {
        const struct sorted_run *run = &merge->sources[i].run;
        if (find_source(&merge->state->runs, run) == SIZE_MAX)
            return MDB_KEYEXIST; // its bucket was dropped meanwhile: the merge is void
        code = mor_sorted_run_delete(run, txn, dbi);
        merge->sums.run_count--;
        merge->sums.run_sum -= run->record_hash;
    }
    if (code == MDB_SUCCESS && merge->tried.chunk_count > 0) {
        code = mor_sorted_run_add_record(&merge->tried, txn, dbi);
        merge->sums.run_count++;
        merge->sums.run_sum += merge->tried.record_hash;
    }
    struct mor_error fault = MOR_ERROR_INIT;
    if (code == MDB_SUCCESS && mor_fault("state.merge_last", &fault) != MOR_OK)
        code = EIO;
    return code == MDB_SUCCESS ? mor_state_put_sums(&merge->sums, txn, dbi) : code;
}

static void publish_merge(void *context)
{
    struct merge *merge = context;
    struct run_list *list = &merge->state->runs;
    keep_piece(context);
    merge->state->sums = merge->sums;
    for (size_t i = 0; i < merge->source_count; i++)
        mor_run_list_remove(merge->state, find_source(list, &merge->sources[i].run));
    if (merge->output.chunk_count > 0) {
        mor_run_list_add(list, &merge->output);
        merge->output.fences = NULL;
    }
}

static int delete_pieces(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct merge *merge = context;
    uint8_t buffer[RUN_CHUNK_KEY_SIZE];
    for (uint32_t chunk = 0; chunk < merge->output.chunk_count; chunk++) {
        MDB_val key = mor_sorted_run_chunk_key(&merge->output, chunk, buffer);
        int code = mdb_del(txn, dbi, &key, NULL);
        if (code != MDB_SUCCESS)
            return code;
    }
    return MDB_SUCCESS;
}

// Reserves a sequence for the output, durably, so that no commit takes the same.
static int reserve_sequence(void *context, MDB_txn *txn, MDB_dbi dbi)
{
    struct merge *merge = context;
    merge->sums = merge->state->sums;
    merge->output.sequence = merge->sums.next_sequence++;
    return mor_state_put_sums(&merge->sums, txn, dbi);
}

static void publish_sums(void *context)
{
    struct merge *merge = context;
    merge->state->sums = merge->sums;
}

static bool plan(struct merge *merge)
{
    struct run_list *list = &merge->state->runs;
    pthread_rwlock_rdlock(&merge->state->env.readers);
    size_t first = 0;
    merge->source_count = choose(list, &first);
    for (size_t i = 0; i < merge->source_count; i++) {
        merge->sources[i] = (struct merge_source){.run = list->runs[first + i]};
        merge->sources[i].run.fences = NULL;
        merge->sources[i].run.filter = NULL;
    }
    if (merge->source_count > 0) {
        const struct sorted_run *oldest = &list->runs[first];
        const struct sorted_run *newest = &list->runs[first + merge->source_count - 1];
        merge->output = (struct sorted_run){.kind = oldest->kind,
                                            .entry_size = oldest->entry_size,
                                            .bucket = oldest->bucket,
                                            .order = newest->order};
        merge->drops_gone = oldest->kind == RUN_OF_KEYS &&
                            (first == 0 || list->runs[first - 1].kind != RUN_OF_KEYS);
    }
    pthread_rwlock_unlock(&merge->state->env.readers);
    return merge->source_count > 0;
}

// Fills the piece; *ret_more: there is more than the piece holds.
static int fill_piece(struct merge *merge, bool *ret_more)
{
    size_t most = PIECE_CHUNKS * mor_run_chunk_entries_max(merge->output.entry_size) *
                  merge->output.entry_size;
    while (merge->piece.size_bytes < most) {
        struct run_entry entry;
        int code = next_entry(merge, &entry, ret_more);
        if (code != MDB_SUCCESS || !*ret_more)
            return code;
        if (merge->drops_gone && key_is_purged(&merge->state->keys, entry.value))
            continue;
        mor_buffer_reserve(&merge->piece, merge->output.entry_size);
        mor_run_entry_put(merge->piece.data + merge->piece.size_bytes, merge->output.entry_size,
                          &entry);
        merge->piece.size_bytes += merge->output.entry_size;
    }
    return MDB_SUCCESS;
}

// Pieces are read under a read transaction that ends before each is written: the map may have to
// grow. Where a source stands is kept by chunk and position.
static enum mor_status read_piece(struct merge *merge, bool *ret_more, struct mor_error *err)
{
    struct mor_state_env *env = &merge->state->env;
    MOR_TRY(mor_state_env_read(env, &merge->reading, err));
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < merge->source_count && code == MDB_SUCCESS; i++) {
        struct merge_source *source = &merge->sources[i];
        if (source->chunk == 0) // not begun
            code = advance(merge, source);
        else if (!source->ended) // the old pointer went with the old transaction
            code = mor_sorted_run_chunk(&source->run, merge->reading, env->dbi, source->chunk - 1,
                                        false, &source->entries, &source->count, NULL);
    }
    if (code == MDB_SUCCESS)
        code = fill_piece(merge, ret_more);
    mor_state_env_read_end(env, merge->reading);
    if (code == MDB_NOTFOUND)
        return mor_error_set(err, MOR_CONFLICT, "a run was dropped while it was merged");
    return code == MDB_SUCCESS ? MOR_OK
                               : mor_state_env_error(env, code, "merging sorted runs", err);
}

static enum mor_status merge_all(struct merge *merge, struct mor_error *err)
{
    struct mor_state_env *env = &merge->state->env;
    MOR_TRY(mor_state_env_write(env, reserve_sequence, publish_sums, false, merge, err));
    bool more = true;
    while (more) {
        MOR_TRY(read_piece(merge, &more, err));
        MOR_TRY(mor_fault("state.merge_piece", err));
        if (more)
            MOR_TRY(mor_state_env_write(env, write_piece, keep_piece, false, merge, err));
    }
    return mor_state_env_write(env, write_last, publish_merge, true, merge, err);
}

enum mor_status mor_state_merge(struct mor_state *state, bool *ret_merged, struct mor_error *err)
{
    MOR_LOCKED(&state->merge_mutex);
    *ret_merged = false;
    struct merge *merge = mor_calloc(1, sizeof *merge);
    merge->state = state;
    enum mor_status status = MOR_OK;
    if (plan(merge)) {
        status = merge_all(merge, err);
        *ret_merged = status == MOR_OK;
        struct mor_error ignored = MOR_ERROR_INIT;
        // What cannot be deleted now is found and deleted at the next open.
        if (status != MOR_OK && merge->output.chunk_count > 0 &&
            mor_state_env_write(&state->env, delete_pieces, NULL, false, merge, &ignored) != MOR_OK)
            mor_error_wrap(err, "pieces of a merge stay until the next start");
        if (status == MOR_CONFLICT)
            status = MOR_OK;
    }
    mor_sorted_run_done(&merge->output);
    mor_sorted_run_done(&merge->tried);
    mor_buffer_done(&merge->piece);
    free(merge);
    return status == MOR_OK ? filter_runs(state, err) : status;
}

// ---- thread -------------------------------------------------------------------------------------

static void *merger_main(void *argument)
{
    struct mor_state *state = argument;
    pthread_mutex_lock(&state->mutex);
    while (!state->merger_stops) {
        if (!state->merger_wanted) {
            pthread_cond_wait(&state->merger_wake, &state->mutex);
            continue;
        }
        state->merger_wanted = false;
        pthread_mutex_unlock(&state->mutex);
        struct mor_error err = MOR_ERROR_INIT;
        bool merged = false;
        enum mor_status status = mor_state_merge(state, &merged, &err);
        pthread_mutex_lock(&state->mutex);
        (void)snprintf(state->trouble, sizeof state->trouble, "%.250s",
                       status == MOR_OK ? "" : err.message);
        if (status == MOR_OK) {
            state->merger_wanted |= merged;
        } else if (!state->merger_stops) { // a full disk, mostly: the next commit asks again
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += RETRY_PAUSE_S;
            pthread_cond_timedwait(&state->merger_wake, &state->mutex, &until);
        }
    }
    pthread_mutex_unlock(&state->mutex);
    return NULL;
}

enum mor_status mor_state_merger_start(struct mor_state *state, struct mor_error *err)
{
    state->merger_stops = false;
    state->merger_wanted = true;
    MOR_TRY(mor_thread_start(&state->merger, "state-merge", merger_main, state, err));
    state->merger_runs = true;
    return MOR_OK;
}

void mor_state_merger_stop(struct mor_state *state)
{
    if (!state->merger_runs)
        return;
    pthread_mutex_lock(&state->mutex);
    state->merger_stops = true;
    pthread_cond_signal(&state->merger_wake);
    pthread_mutex_unlock(&state->mutex);
    pthread_join(state->merger, NULL);
    state->merger_runs = false;
}

void mor_state_merger_want(struct mor_state *state)
{
    MOR_LOCKED(&state->mutex);
    state->merger_wanted = true;
    pthread_cond_signal(&state->merger_wake);
}
