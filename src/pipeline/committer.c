#include "committer.h"

#include <assert.h>
#include <time.h>

#include "changes.h"
#include "dedup.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define RETRY_PAUSE_MIN_MS 100
#define RATED_RECORDS_MIN  1000   // before the share of dead letters says anything
#define RATED_RECORDS_MAX  100000 // then what came before counts half
#define RETRY_PAUSE_MAX_MS 10000

// One cut on its way into the table.
struct commit_work {
    struct mor_committer *committer;
    struct mor_lane_batch **batches; // one per lane
    bool **take_run;
    struct mor_range *ranges;
    size_t range_count;
    bool has_records;
    struct mor_changes changes;
    struct mor_commit_facts facts;
    struct mor_event_time_facts event_time; // of the taken runs, like all below
    int64_t oldest_ms, dead_by_stage[MOR_DEAD_STAGES];
    struct mor_letter_rows *letters; // dead letters
    size_t letters_count;
    struct mor_outcomes gathered; // of the runs, before their rows were looked at
    struct mor_state_batch *state_batch;
    struct mor_buffer refused;   // of a redrive
    struct mor_buffer ids, keys; // to attach: ids and changes of keys
    bool is_built;
    // the commit up to which the changes know the table: its batch, and by place its version
    char built_on[MOR_UUID_TEXT_SIZE], built_on_version[64];
    // of the current attempt
    struct mor_write *write;
    struct mor_ledger base, after;
    char base_version[64]; // by place, else ""
    struct mor_buffer property;
    const char *step; // what is being done
    // what came of it
    int64_t fenced;
    bool went_back;
};

static void tell(struct mor_committer *committer, const char *step, const struct mor_error *trouble)
{
    committer->step(committer->context, step, trouble);
}

static void enter(struct commit_work *work, const char *step)
{
    work->step = step;
    tell(work->committer, step, NULL);
}

static void pause_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

// ---- the table's ledger -------------------------------------------------------------------------

enum mor_status mor_committer_load(struct mor_table *table, struct mor_ledger *ret_ledger,
                                   char **ret_property, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *text = NULL;
    enum mor_status status = mor_table_property(table, LEDGER_PROPERTY, true, &arena, &text, err);
    if (status == MOR_NOT_FOUND) {
        *err = MOR_ERROR_INIT;
        text = NULL;
        status = MOR_OK;
    }
    if (status == MOR_OK)
        status = mor_ledger_parse(text, ret_ledger, err);
    if (status == MOR_OK && ret_property != NULL)
        *ret_property = text != NULL ? mor_strdup(text) : NULL;
    mor_arena_done(&arena);
    return status;
}

// Starts the local state anew. No lane may judge meanwhile; what was judged before is read again.
static enum mor_status restart_state(struct mor_committer *committer,
                                     const struct mor_ledger *ledger, const char *property,
                                     struct mor_error *err)
{
    for (size_t i = 0; i < committer->lane_count; i++)
        mor_lane_hold(committer->lanes[i]);
    enum mor_status status = mor_local_state_reset(committer->local, err);
    if (status == MOR_OK)
        status = mor_local_state_catch_up(committer->local, ledger, property, err);
    if (status == MOR_NOT_FOUND) // somebody else rewrote it meanwhile
        err->status = status = MOR_RETRY;
    size_t count;
    MOR_AUTO_FREE int32_t *partitions = mor_positions_abort(committer->positions, ledger, &count);
    for (size_t i = 0; i < committer->lane_count; i++)
        mor_lane_release(committer->lanes[i]);
    for (size_t i = 0; i < count; i++)
        committer->reassign(committer->context, partitions[i]);
    return status;
}

// Takes into the local state what the table has and it has not.
static enum mor_status catch_up(struct mor_committer *committer, const struct mor_ledger *ledger,
                                const char *property, struct mor_error *err)
{
    if (committer->local == NULL || (property == NULL && !committer->local->has_index))
        return MOR_OK;
    enum mor_status status =
        atomic_load(&committer->local->damaged)
            ? MOR_DATA
            : mor_local_state_catch_up(committer->local, ledger, property, err);
    if (status != MOR_NOT_FOUND && status != MOR_DATA)
        return status;
    *err = MOR_ERROR_INIT;
    return restart_state(committer, ledger, property, err);
}

enum mor_status mor_committer_sync(struct mor_committer *committer, struct mor_error *err)
{
    int64_t ticket = mor_positions_sync_wanted(committer->positions);
    struct mor_ledger ledger;
    MOR_AUTO_FREE char *property = NULL;
    MOR_TRY(mor_committer_load(committer->table, &ledger, &property, err));
    enum mor_status status = catch_up(committer, &ledger, property, err);
    if (status == MOR_OK) {
        mor_ledger_copy(committer->ledger, &ledger);
        mor_positions_synced(committer->positions, ticket, &ledger);
    }
    mor_ledger_done(&ledger);
    return status;
}

// ---- cut ----------------------------------------------------------------------------------------

static enum mor_status cut(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    size_t count = committer->lane_count;
    work->batches = mor_calloc(count, sizeof *work->batches);
    work->take_run = mor_calloc(count, sizeof *work->take_run);
    if (count > 0)
        mor_gate_cut(committer->plan->gate);
    for (size_t i = 0; i < count; i++) {
        work->batches[i] = mor_lane_cut(committer->lanes[i]);
        work->take_run[i] = mor_calloc(work->batches[i]->run_count, sizeof **work->take_run);
    }
    return mor_positions_begin(committer->positions, work->batches, work->take_run, count, err);
}

// Calls visit for every run that the commit takes in, in the order of its lane.
typedef void visit_run(struct commit_work *work, struct mor_lane_batch *batch, struct mor_run *run);

static void for_each_taken(struct commit_work *work, visit_run *visit)
{
    for (size_t lane = 0; lane < work->committer->lane_count; lane++)
        for (size_t i = 0; i < work->batches[lane]->run_count; i++)
            if (work->take_run[lane][i])
                visit(work, work->batches[lane], &work->batches[lane]->runs[i]);
}

static struct mor_range *range_of(struct commit_work *work, int32_t partition)
{
    for (size_t i = 0; i < work->range_count; i++)
        if (work->ranges[i].partition == partition)
            return &work->ranges[i];
    work->ranges = mor_realloc(work->ranges, (work->range_count + 1) * sizeof *work->ranges);
    work->ranges[work->range_count] = (struct mor_range){.partition = partition,
                                                         .start = MOR_OFFSET_NONE,
                                                         .leader_epoch = -1,
                                                         .highest_ms = NO_WATERMARK};
    return &work->ranges[work->range_count++];
}

static void add_to_range(struct commit_work *work, struct mor_lane_batch *batch,
                         struct mor_run *run)
{
    (void)batch;
    struct mor_range *range = range_of(work, run->partition);
    if (range->start == MOR_OFFSET_NONE)
        range->start = run->offset_first;
    range->end = run->offset_next;
    if (run->leader_epoch >= 0)
        range->leader_epoch = run->leader_epoch;
    mor_hash128_add(&range->digest, run->digest);
    if (run->event_time.highest_ms > range->highest_ms)
        range->highest_ms = run->event_time.highest_ms;
    range->records += run->outcomes.read;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct mor_range *x = a, *y = b;
    return x->partition < y->partition ? -1 : x->partition > y->partition;
}

static void collect_ranges(struct commit_work *work)
{
    for_each_taken(work, add_to_range);
    if (work->range_count > 0)
        qsort(work->ranges, work->range_count, sizeof *work->ranges, compare_ranges);
}

// ---- fencing ------------------------------------------------------------------------------------

// Does the range continue what the table has of its partition?
static bool continues(const struct mor_range *range, const struct mor_ledger *ledger)
{
    const struct mor_progress *progress = mor_ledger_find(ledger, range->partition);
    return progress == NULL || progress->next_offset == MOR_OFFSET_NONE ||
           progress->next_offset == range->start;
}

static void leave_out(struct commit_work *work, int32_t partition)
{
    for (size_t lane = 0; lane < work->committer->lane_count; lane++)
        for (size_t i = 0; i < work->batches[lane]->run_count; i++)
            if (work->batches[lane]->runs[i].partition == partition)
                work->take_run[lane][i] = false;
}

// Partitions that another writer has moved leave the cut before anything is built on it, so the
// others lose nothing. What moves later is found by the comparison of every attempt.
static void fence(struct commit_work *work, const struct mor_ledger *ledger)
{
    struct mor_committer *committer = work->committer;
    size_t kept = 0;
    for (size_t i = 0; i < work->range_count; i++) {
        struct mor_range *range = &work->ranges[i];
        if (continues(range, ledger)) {
            work->ranges[kept++] = *range;
            continue;
        }
        work->fenced++;
        leave_out(work, range->partition);
        if (mor_positions_fence(committer->positions, range->partition))
            committer->reassign(committer->context, range->partition);
    }
    work->range_count = kept;
}

// ---- duplicates ---------------------------------------------------------------------------------

// Moves the runs' ids out of the cut, taken ones and others apart; a place for every run.
struct id_runs {
    struct mor_dedup_run **taken, **left_out;
    struct mor_run **runs; // of taken
    struct mor_lane_batch **batches;
    size_t taken_count, left_out_count;
};

static void gather_id_runs(struct commit_work *work, struct id_runs *ids)
{
    size_t total = 0;
    for (size_t lane = 0; lane < work->committer->lane_count; lane++)
        total += work->batches[lane]->run_count;
    *ids = (struct id_runs){.taken = mor_calloc(total, sizeof(struct mor_dedup_run *)),
                            .left_out = mor_calloc(total, sizeof(struct mor_dedup_run *)),
                            .runs = mor_calloc(total, sizeof(struct mor_run *)),
                            .batches = mor_calloc(total, sizeof(struct mor_lane_batch *))};
    for (size_t lane = 0; lane < work->committer->lane_count; lane++) {
        struct mor_lane_batch *batch = work->batches[lane];
        for (size_t i = 0; i < batch->run_count; i++) {
            if (work->take_run[lane][i]) {
                ids->runs[ids->taken_count] = &batch->runs[i];
                ids->batches[ids->taken_count] = batch;
                ids->taken[ids->taken_count++] = batch->runs[i].dedup;
            } else {
                ids->left_out[ids->left_out_count++] = batch->runs[i].dedup;
            }
            batch->runs[i].dedup = NULL;
        }
    }
}

static void correct_rows(const struct id_runs *ids, const struct mor_dedup_correction *corrections,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *flags =
            &ids->batches[corrections[i].run]
                 ->flags[ids->runs[corrections[i].run]->row_first + corrections[i].row];
        *flags &= (uint8_t)~ROW_LEFT_OUT;
        if (corrections[i].verdict != MOR_DEDUP_NEW)
            *flags |= ROW_DUPLICATE;
    }
}

static void count_duplicates(struct commit_work *work, struct mor_lane_batch *batch,
                             struct mor_run *run)
{
    for (size_t row = run->row_first; row < run->row_first + run->row_count; row++)
        work->gathered.duplicate += (batch->flags[row] & ROW_LEFT_OUT) != 0;
}

// The verdicts of the cut become final.
static enum mor_status settle_ids(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    if (committer->local == NULL || committer->lane_count == 0)
        return MOR_OK;
    struct id_runs ids;
    gather_id_runs(work, &ids);
    const struct mor_dedup_correction *corrections;
    size_t count;
    enum mor_status status =
        mor_state_batch_begin(committer->local->state, ids.taken, ids.taken_count, ids.left_out,
                              ids.left_out_count, &work->state_batch, &corrections, &count, err);
    if (status == MOR_OK) {
        correct_rows(&ids, corrections, count);
        if (committer->local->has_ids)
            for_each_taken(work, count_duplicates);
        mor_dedup_attachment(committer->local->state, work->state_batch, &work->ids);
    }
    free(ids.taken);
    free(ids.left_out);
    free(ids.runs);
    free(ids.batches);
    return status;
}

// ---- what the commit brings ---------------------------------------------------------------------

static void take_run(struct commit_work *work, struct mor_lane_batch *batch, struct mor_run *run)
{
    mor_outcomes_add(&work->gathered, &run->outcomes);
    mor_event_time_add(&work->event_time, &run->event_time);
    for (size_t i = 0; i < MOR_DEAD_STAGES; i++)
        work->dead_by_stage[i] += run->dead_by_stage[i];
    if (run->oldest_ms < work->oldest_ms)
        work->oldest_ms = run->oldest_ms;
    if (run->letters_count == 0)
        return;
    work->letters = mor_realloc(work->letters, (work->letters_count + 1) * sizeof *work->letters);
    work->letters[work->letters_count++] =
        (struct mor_letter_rows){batch->dead_letters, run->letters_first, run->letters_count};
}

static void take_runs(struct commit_work *work)
{
    for_each_taken(work, take_run);
    work->facts.outcomes = work->gathered;
    work->facts.late = work->event_time.late;
    work->facts.ranges = work->ranges;
    work->facts.range_count = work->range_count;
}

// `known` NULL = there is no key index.
static enum mor_status group_rows(struct commit_work *work, const struct mor_known_keys *known,
                                  struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    const struct mor_changes_options options = {.table = committer->table,
                                                .plan = committer->plan,
                                                .ordering_column = committer->ordering_column,
                                                .known = known,
                                                .crew = committer->crew};
    struct mor_batch_part *parts = mor_calloc(committer->lane_count, sizeof *parts);
    for (size_t i = 0; i < committer->lane_count; i++)
        parts[i] = (struct mor_batch_part){work->batches[i], work->take_run[i]};
    mor_changes_done(&work->changes);
    enum mor_status status =
        mor_changes_build(&options, parts, committer->lane_count, &work->changes, err);
    free(parts);
    return status;
}

// What becomes of the rows, given that the table is as the base states.
static enum mor_status build_changes(struct commit_work *work, struct mor_error *err)
{
    const struct mor_ledger *ledger = &work->base;
    struct mor_local_state *local = work->committer->local;
    enum mor_status status;
    if (work->committer->index) {
        struct mor_key_overlay overlay = {0};
        const struct mor_known_keys known = {local->state, &overlay};
        status = mor_local_state_overlay(local, ledger, work->base_version, &overlay, err);
        if (status == MOR_OK)
            status = group_rows(work, &known, err);
        mor_key_overlay_done(&overlay);
    } else {
        status = group_rows(work, NULL, err);
    }
    MOR_TRY(status);
    memcpy(work->built_on, ledger->batch_id, sizeof work->built_on);
    memcpy(work->built_on_version, work->base_version, sizeof work->built_on_version);
    work->is_built = true;
    if (work->committer->index && !local->by_place) {
        size_t count;
        const struct mor_key_change *changes = mor_changes_of_keys(&work->changes, &count);
        mor_key_attachment(local->state, changes, count, ledger->number + 1, false, &work->keys);
        mor_buffer_done(&work->changes.key_changes); // the attachment has them
    }
    work->facts.outcomes = work->gathered;
    mor_outcomes_add(&work->facts.outcomes, &work->changes.outcomes);
    return mor_ledger_check(&work->facts, err);
}

// A local state that cannot tell what became of keys is made anew, and the records are read again.
static enum mor_status give_up_on_keys(struct commit_work *work, enum mor_status status,
                                       struct mor_error *err)
{
    if (status == MOR_DATA)
        atomic_store(&work->committer->local->damaged, true);
    if (status == MOR_DATA || status == MOR_NOT_FOUND)
        return err->status = MOR_FENCED;
    return status;
}

// Groups the rows on the base of the attempt, unless that was done: what is in the table decides
// which deletes find a row.
static enum mor_status build_on_base(struct commit_work *work, struct mor_error *err)
{
    if (!work->has_records || (work->is_built && strcmp(work->built_on, work->base.batch_id) == 0 &&
                               strcmp(work->built_on_version, work->base_version) == 0))
        return MOR_OK;
    enter(work, "encode");
    enum mor_status status = build_changes(work, err);
    if (status == MOR_OK || !work->committer->index)
        return status;
    return give_up_on_keys(work, status, err);
}

static void drop_state_batch(struct commit_work *work)
{
    const struct mor_local_state *local = work->committer->local;
    assert(work->state_batch == NULL || local != NULL); // a batch is of the state
    if (work->state_batch != NULL)
        mor_state_batch_drop(local->state, work->state_batch);
    work->state_batch = NULL;
}

static void finish(struct commit_work *work)
{
    struct mor_committer *committer = work->committer;
    drop_state_batch(work);
    for (size_t i = 0; work->batches != NULL && i < committer->lane_count; i++) {
        if (work->batches[i] != NULL)
            mor_lane_return(committer->lanes[i], work->batches[i]);
        free(work->take_run[i]);
    }
    free(work->batches);
    free(work->take_run);
    free(work->ranges);
    mor_changes_done(&work->changes);
    mor_ledger_done(&work->base);
    mor_ledger_done(&work->after);
    free(work->letters);
    mor_buffer_done(&work->ids);
    mor_buffer_done(&work->keys);
    mor_buffer_done(&work->property);
    mor_buffer_done(&work->refused);
}

// ---- one attempt --------------------------------------------------------------------------------

// The ledger of the commit: what its base says, moved on by the ranges. FENCED when a range does
// not continue the base.
static enum mor_status make_ledger(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    mor_ledger_copy(&work->after, &work->base);
    committer->identify(committer->context, &work->after);
    for (size_t i = 0; i < work->range_count; i++) {
        const struct mor_range *range = &work->ranges[i];
        if (!continues(range, &work->base))
            return mor_error_set(
                err, MOR_FENCED,
                "partition %d: another writer moved the table from offset %lld to "
                "%lld",
                range->partition, (long long)range->start,
                (long long)mor_ledger_find(&work->base, range->partition)->next_offset);
        mor_ledger_follow(&work->after, range, committer->plan->event_time.max_lateness_ms);
    }
    if (committer->look_at_idle(committer->context, &work->after))
        mor_ledger_advance_watermark(&work->after);
    if (work->after.dedup_salt == 0)
        work->after.dedup_salt = committer->salt;
    work->after.number++;
    mor_uuid_format(&work->facts.batch_id, work->after.batch_id);
    return MOR_OK;
}

static enum mor_status read_base(struct commit_work *work, struct mor_error *err)
{
    struct mor_ledger base;
    MOR_TRY(mor_ledger_parse(mor_write_base_property(work->write, LEDGER_PROPERTY), &base, err));
    mor_ledger_done(&work->base);
    work->base = base;
    const struct mor_local_state *local = work->committer->local;
    bool by_place = local != NULL && local->by_place;
    (void)snprintf(work->base_version, sizeof work->base_version, "%s",
                   by_place ? mor_write_base_version(work->write) : "");
    if (!mor_write_base_went_back(work->write))
        return MOR_OK;
    work->went_back = true;
    return mor_error_set(err, MOR_FENCED,
                         "the table was rolled back or restored to an earlier commit");
}

// Groups of the change set, then removals.
static enum mor_status write_one(void *context, size_t index, struct mor_error *err)
{
    struct commit_work *work = context;
    const struct mor_change_set *set = &work->changes.set;
    if (index < set->group_count)
        return mor_write_group(work->write, set, index, err);
    return mor_write_removal(work->write, set, index - set->group_count, err);
}

// A file from which a row goes is not in the base: the table has moved on, or the index is wrong.
static enum mor_status judge_conflict(struct commit_work *work, enum mor_status status,
                                      struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    if (status != MOR_CONFLICT || !committer->index || !committer->local->by_place)
        return status;
    char head[64];
    struct mor_error ignored = MOR_ERROR_INIT;
    if (mor_local_state_version(committer->local, head, &ignored) != MOR_OK ||
        strcmp(head, work->base_version) != 0)
        return status;
    return give_up_on_keys(work, MOR_DATA, err);
}

static enum mor_status attach(struct commit_work *work, const struct mor_attachment_kind *kind,
                              const struct mor_buffer *bytes, struct mor_error *err)
{
    if (bytes->size_bytes == 0)
        return MOR_OK;
    return mor_write_attach(work->write, kind->name, bytes->data, bytes->size_bytes, err);
}

// Changes of keys by place are known once the files are written, in each attempt anew.
static void place_keys(struct commit_work *work)
{
    struct mor_state *state = work->committer->local->state;
    MOR_AUTO_BUFFER changes = {.budget = work->committer->plan->budget};
    mor_changes_resolve(&work->changes, work->write, state, &changes);
    mor_key_attachment(state, (const struct mor_key_change *)(const void *)changes.data,
                       changes.size_bytes / sizeof(struct mor_key_change), work->base.number + 1,
                       true, &work->keys);
}

static enum mor_status write_files(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    enter(work, "upload");
    MOR_TRY(mor_fault("commit.begun", err));
    const struct mor_change_set *set = &work->changes.set;
    size_t count = set->group_count + set->removal_count;
    if (count > 0) {
        enum mor_status status = mor_crew_run(committer->crew, count, write_one, work, err);
        MOR_TRY(judge_conflict(work, status, err));
    }
    if (work->is_built && committer->index && committer->local->by_place)
        place_keys(work);
    MOR_TRY(attach(work, &mor_dedup_attachments, &work->ids, err));
    MOR_TRY(attach(work, &mor_key_attachments, &work->keys, err));
    return mor_fault("commit.files_written", err);
}

// From which commit on changes of keys are kept, now that this one's are known.
static void keep_keys(struct commit_work *work)
{
    if (work->committer->index)
        mor_ledger_keep_keys(&work->after, (int64_t)work->keys.size_bytes, mor_clock_wall_ms());
    else
        work->after.keys = (struct mor_kept_keys){0};
}

static enum mor_status write_letters(struct commit_work *work, struct mor_error *err)
{
    struct mor_letter_sink *sink = work->committer->letters;
    return sink->ops->write(sink, work->letters, work->letters_count, work->ranges,
                            work->range_count, &work->after, err);
}

static enum mor_status publish(struct commit_work *work, struct mor_commit_result *ret_result,
                               struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    mor_buffer_reset(&work->property);
    mor_ledger_format(&work->after, &work->facts, &work->property);
    MOR_AUTO_BUFFER checkpoint = {0};
    mor_ledger_format_checkpoint(&work->after, committer->topic, &checkpoint);
    const struct mor_property properties[] = {
        {LEDGER_PROPERTY, (const char *)work->property.data},
        {MOR_PROPERTY_CHECKPOINT, (const char *)checkpoint.data}};
    if (work->range_count > 0) {
        enter(work, "fetch");
        MOR_TRY(committer->confirm(committer->context, err));
    }
    enter(work, committer->publishing);
    MOR_TRY(mor_fault("commit.before_publish", err));
    MOR_TRY(mor_write_commit(work->write, properties, sizeof properties / sizeof properties[0],
                             ret_result, err));
    return mor_fault("commit.after_publish", err);
}

static enum mor_status attempt(struct commit_work *work, struct mor_commit_result *ret_result,
                               struct mor_error *err)
{
    enter(work, work->committer->publishing);
    MOR_TRY(mor_write_begin(work->committer->table, &work->facts.batch_id, &work->write, err));
    enum mor_status status = read_base(work, err);
    if (status == MOR_OK)
        status = make_ledger(work, err);
    if (status == MOR_OK)
        status = build_on_base(work, err);
    if (status == MOR_OK)
        status = write_files(work, err);
    if (status == MOR_OK) {
        keep_keys(work);
        status = write_letters(work, err);
    }
    if (status == MOR_OK)
        status = publish(work, ret_result, err);
    mor_write_free(work->write);
    work->write = NULL;
    return status;
}

// Tries until the batch is in the table (OK), fenced off (FENCED), impossible (FATAL) or given up
// (RETRY). After a failed attempt the table is asked whether it landed all the same.
static enum mor_status commit_until_known(struct commit_work *work,
                                          struct mor_commit_result *ret_result,
                                          struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    int64_t pause = RETRY_PAUSE_MIN_MS;
    for (;;) {
        enum mor_status status = attempt(work, ret_result, err);
        if (status == MOR_OK || status == MOR_FATAL || status == MOR_DATA)
            return status;
        tell(committer, work->step, err);
        bool landed = false;
        struct mor_error question = MOR_ERROR_INIT;
        enum mor_status known =
            mor_table_has_batch(committer->table, &work->facts.batch_id, &landed, &question);
        if (known == MOR_OK && landed)
            return MOR_OK;
        if (known == MOR_FATAL) {
            *err = question;
            return MOR_FATAL;
        }
        if (known == MOR_OK && status == MOR_FENCED)
            return MOR_FENCED;
        if (committer->give_up(committer->context))
            return MOR_RETRY;
        pause_ms(status == MOR_CONFLICT ? RETRY_PAUSE_MIN_MS : pause);
        pause = pause * 2 < RETRY_PAUSE_MAX_MS ? pause * 2 : RETRY_PAUSE_MAX_MS;
    }
}

// ---- afterwards ---------------------------------------------------------------------------------

// Tries `what` until it works; a full disk must not lose what the table already has.
typedef enum mor_status follow_up(struct commit_work *work, const char *version,
                                  struct mor_error *err);

static enum mor_status until_done(struct commit_work *work, follow_up *what, const char *version,
                                  struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    for (;;) {
        *err = MOR_ERROR_INIT;
        enum mor_status status = what(work, version, err);
        if (status != MOR_RETRY || committer->give_up(committer->context))
            return status;
        tell(committer, "index", err);
        pause_ms(RETRY_PAUSE_MAX_MS / 10);
    }
}

static enum mor_status apply_state(struct commit_work *work, const char *version,
                                   struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    bool next = *version != '\0' &&
                mor_local_state_is_at(committer->local, &work->base, work->base_version);
    MOR_TRY(mor_fault("commit.before_state", err));
    MOR_TRY(mor_local_state_apply(committer->local, work->state_batch, version, &work->after,
                                  (const char *)work->property.data, next, err));
    work->state_batch = NULL;
    return mor_fault("commit.after_state", err);
}

static enum mor_status catch_up_after(struct commit_work *work, const char *version,
                                      struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    if (*version != '\0' && mor_local_state_is_at(committer->local, &work->after, version))
        return MOR_OK;
    return catch_up(committer, &work->after, (const char *)work->property.data, err);
}

// The batch is in the table: the local state and the positions follow. A state that cannot follow
// now (given up, damaged) is behind, which the next catching up mends.
static enum mor_status adopt(struct commit_work *work, const char *version, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    committer->letters->ops->committed(committer->letters, &work->after);
    mor_ledger_copy(committer->ledger, &work->after);
    enum mor_status status = MOR_OK;
    if (work->state_batch != NULL) {
        if (work->keys.size_bytes > 0)
            status = mor_key_attachment_visit(committer->local->state, &work->keys,
                                              committer->local->by_place, mor_key_apply,
                                              work->state_batch, err);
        if (status == MOR_OK)
            status = until_done(work, apply_state, version, err);
        if (status == MOR_DATA)
            atomic_store(&committer->local->damaged, true);
        if (work->state_batch != NULL)
            mor_state_batch_drop(committer->local->state, work->state_batch);
        work->state_batch = NULL;
    }
    mor_positions_commit(committer->positions, committer->ledger);
    if (committer->local != NULL && status != MOR_FATAL)
        status = until_done(work, catch_up_after, version, err);
    return status == MOR_RETRY ? MOR_OK : status;
}

// Somebody else moved the table: the batch is dropped and every partition starts from the table
// again.
static enum mor_status resynchronise(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    drop_state_batch(work);
    struct mor_ledger now;
    MOR_AUTO_FREE char *property = NULL;
    MOR_TRY(mor_committer_load(committer->table, &now, &property, err));
    mor_ledger_done(committer->ledger);
    *committer->ledger = now;
    enum mor_status status = catch_up(committer, committer->ledger, property, err);
    size_t count;
    MOR_AUTO_FREE int32_t *partitions =
        mor_positions_abort(committer->positions, committer->ledger, &count);
    for (size_t i = 0; i < count; i++)
        committer->reassign(committer->context, partitions[i]);
    return status == MOR_RETRY ? MOR_OK : status;
}

// The table as it is now: whose records these still are, and what others did to their keys.
static enum mor_status look_at_table(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    MOR_AUTO_FREE char *property = NULL;
    mor_ledger_done(&work->base);
    MOR_TRY(mor_committer_load(committer->table, &work->base, &property, err));
    fence(work, &work->base);
    if (!committer->index)
        return MOR_OK;
    // asks where the state is by itself
    enum mor_status status = mor_local_state_catch_up(committer->local, &work->base, property, err);
    return status == MOR_OK ? MOR_OK : give_up_on_keys(work, status, err);
}

// When nearly everything is broken, the configuration is, and not the records.
static enum mor_status check_dead_ratio(const struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    committer->rated_read += work->gathered.read;
    committer->rated_dead += work->gathered.dead;
    int64_t read = committer->rated_read, dead = committer->rated_dead;
    if (read >= RATED_RECORDS_MIN && (double)dead > committer->dead_ratio_max * (double)read)
        return mor_error_set(err, MOR_FATAL,
                             "%lld of the last %lld records are dead letters, more than "
                             "max_dead_letter_ratio allows: nothing of this batch was committed. "
                             "Mend the schema or the format of the topic, or raise the limit",
                             (long long)dead, (long long)read);
    if (read > RATED_RECORDS_MAX) {
        committer->rated_read /= 2;
        committer->rated_dead /= 2;
    }
    return MOR_OK;
}

// A redrive has no gaps between its records, and says which of them are dead again.
static void close_redrive(struct commit_work *work)
{
    work->gathered.gap = 0;
    for (size_t i = 0; i < work->letters_count; i++) {
        const struct mor_letter_rows *rows = &work->letters[i];
        for (size_t row = rows->first; row < rows->first + rows->count; row++)
            mor_buffer_printf(&work->refused, "%s\"%d:%lld\"",
                              work->refused.size_bytes > 0 ? "," : "",
                              mor_vector_i32(&rows->batch->columns[LETTER_PARTITION], row),
                              (long long)mor_vector_i64(&rows->batch->columns[LETTER_OFFSET], row));
    }
    if (work->refused.size_bytes > 0)
        work->facts.refused = mor_buffer_terminate(&work->refused);
}

// Everything before the first attempt: whose records these still are, which are duplicates, what
// becomes of the others.
static enum mor_status prepare(struct commit_work *work, struct mor_error *err)
{
    collect_ranges(work);
    work->has_records = work->range_count > 0;
    work->facts.redrive = work->committer->redrive != NULL;
    if (work->facts.redrive) {
        work->facts.batch_id = *work->committer->redrive;
        work->range_count = 0;
    }
    if (work->has_records)
        MOR_TRY(look_at_table(work, err));
    work->has_records = work->range_count > 0 || (work->facts.redrive && work->has_records);
    enter(work, "index");
    MOR_TRY(settle_ids(work, err));
    take_runs(work);
    if (work->facts.redrive)
        close_redrive(work);
    else
        MOR_TRY(check_dead_ratio(work, err));
    return MOR_OK;
}

static bool is_due(struct commit_work *work, enum mor_commit_reason reason)
{
    if (work->has_records || reason == MOR_COMMIT_ANYWAY)
        return true;
    if (reason != MOR_COMMIT_WATERMARK)
        return false;
    struct mor_error ignored = MOR_ERROR_INIT;
    mor_ledger_copy(&work->base, work->committer->ledger);
    return make_ledger(work, &ignored) == MOR_OK &&
           work->after.watermark_ms > work->base.watermark_ms;
}

// A failure before the first attempt has dropped the cut, so its partitions are read again.
static enum mor_status drop_cut(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    tell(committer, work->step, err);
    if (err->status == MOR_DATA && committer->local != NULL)
        atomic_store(&committer->local->damaged, true);
    struct mor_error again = MOR_ERROR_INIT;
    int64_t pause = RETRY_PAUSE_MIN_MS;
    enum mor_status status;
    while ((status = resynchronise(work, &again)) == MOR_RETRY) {
        tell(committer, committer->publishing, &again);
        if (committer->give_up(committer->context))
            break;
        pause_ms(pause);
        pause = pause * 2 < RETRY_PAUSE_MAX_MS ? pause * 2 : RETRY_PAUSE_MAX_MS;
        again = MOR_ERROR_INIT;
    }
    if (status != MOR_OK)
        *err = again;
    return status;
}

static void report_on(const struct commit_work *work, struct mor_commit_report *report)
{
    report->fenced = work->fenced;
    report->went_back = work->went_back;
    if (!report->committed)
        return;
    report->outcomes = work->facts.outcomes;
    report->event_time = work->event_time;
    memcpy(report->dead_by_stage, work->dead_by_stage, sizeof report->dead_by_stage);
    report->index_hits = work->changes.index_hits;
    report->index_misses = work->changes.index_misses;
    report->oldest_ms = work->oldest_ms;
}

enum mor_status mor_committer_run(struct mor_committer *committer, enum mor_commit_reason reason,
                                  struct mor_commit_report *ret_report, struct mor_error *err)
{
    *ret_report = (struct mor_commit_report){0};
    int64_t started = mor_clock_mono_ms();
    struct commit_work work = {.committer = committer,
                               .oldest_ms = MOR_TIMESTAMP_NONE,
                               .event_time = {.highest_ms = NO_WATERMARK},
                               .facts = {.batch_id = mor_uuid_v7(),
                                         .instance = committer->instance,
                                         .topic = committer->topic}};
    mor_buffer_init(&work.ids, committer->plan->budget);
    mor_buffer_init(&work.keys, committer->plan->budget);
    mor_ledger_init(&work.base);
    mor_ledger_init(&work.after);
    enter(&work, committer->publishing);
    enum mor_status status = cut(&work, err);
    bool settled = status != MOR_OK;
    if (status == MOR_OK) {
        status = prepare(&work, err);
        settled = status == MOR_OK;
        if (status == MOR_OK && is_due(&work, reason)) {
            status = commit_until_known(&work, &ret_report->result, err);
            ret_report->committed = status == MOR_OK;
        }
    }
    if (ret_report->committed) {
        status = adopt(&work, ret_report->result.version, err);
    } else if (status == MOR_FENCED) {
        work.fenced += (int64_t)work.range_count;
        status = drop_cut(&work, err);
    } else if (!settled && (status == MOR_RETRY || status == MOR_DATA)) {
        status = drop_cut(&work, err);
    }
    report_on(&work, ret_report);
    finish(&work);
    if (status == MOR_OK) // else the step is where it ended
        tell(committer, NULL, NULL);
    ret_report->duration_ms = mor_clock_mono_ms() - started;
    return status;
}
