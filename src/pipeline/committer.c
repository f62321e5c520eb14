#include "committer.h"

#include <time.h>

#include "changes.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define RETRY_PAUSE_MIN_MS 100
#define RETRY_PAUSE_MAX_MS 10000

// One cut on its way into the table.
struct commit_work {
    struct mor_committer *committer;
    struct mor_lane_batch **batches; // one per lane
    bool **take_run;
    struct mor_range *ranges;
    size_t range_count;
    struct mor_changes changes;
    struct mor_commit_facts facts;
    int64_t oldest_ms, dead_keys; // of the taken runs
    struct mor_ledger after;
    struct mor_buffer letters; // dead letters of the taken runs
    struct mor_buffer property;
    struct mor_write *write; // of the current attempt
    const char *failing;     // the step that an error of the attempt would be of
};

static void tell(struct mor_committer *committer, const char *step, const struct mor_error *trouble)
{
    committer->step(committer->context, step, trouble);
}

// ---- cut ----------------------------------------------------------------------------------------

static enum mor_status cut(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    size_t count = committer->lane_count;
    work->batches = mor_calloc(count, sizeof *work->batches);
    work->take_run = mor_calloc(count, sizeof *work->take_run);
    mor_gate_cut(committer->plan->gate);
    for (size_t i = 0; i < count; i++) {
        work->batches[i] = mor_lane_cut(committer->lanes[i]);
        work->take_run[i] = mor_calloc(work->batches[i]->run_count, sizeof **work->take_run);
    }
    return mor_positions_begin(committer->positions, work->batches, work->take_run, count, err);
}

static struct mor_range *range_of(struct commit_work *work, int32_t partition)
{
    for (size_t i = 0; i < work->range_count; i++)
        if (work->ranges[i].partition == partition)
            return &work->ranges[i];
    work->ranges = mor_realloc(work->ranges, (work->range_count + 1) * sizeof *work->ranges);
    work->ranges[work->range_count] =
        (struct mor_range){.partition = partition, .start = MOR_OFFSET_NONE};
    return &work->ranges[work->range_count++];
}

// Adds one run to the ranges, the new ledger and the dead letters of the commit.
static void take_run(struct commit_work *work, const struct mor_lane_batch *batch,
                     const struct mor_run *run)
{
    struct mor_range *range = range_of(work, run->partition);
    if (range->start == MOR_OFFSET_NONE)
        range->start = run->offset_first;
    range->end = run->offset_next;
    mor_hash128_add(&range->digest, run->digest);
    mor_outcomes_add(&work->facts.outcomes, &run->outcomes);
    work->dead_keys += run->dead_keys;
    if (run->oldest_ms < work->oldest_ms)
        work->oldest_ms = run->oldest_ms;
    mor_buffer_append(&work->letters, batch->dead_letters.data + run->letters_first,
                      run->letters_size);

    struct mor_progress *progress = mor_ledger_partition(&work->after, run->partition);
    progress->next_offset = run->offset_next;
    if (run->leader_epoch >= 0)
        progress->leader_epoch = run->leader_epoch;
    if (run->event_time_max_ms != NO_WATERMARK) {
        int64_t watermark = run->event_time_max_ms - work->committer->max_lateness_ms;
        if (watermark > progress->watermark_ms)
            progress->watermark_ms = watermark;
    }
}

static int compare_ranges(const void *a, const void *b)
{
    const struct mor_range *x = a, *y = b;
    return x->partition < y->partition ? -1 : x->partition > y->partition;
}

// The table's watermark is the least of its partitions' and never goes back.
static void set_watermark(struct mor_ledger *after)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < after->progress_count; i++)
        if (after->progress[i].watermark_ms != NO_WATERMARK &&
            after->progress[i].watermark_ms < least)
            least = after->progress[i].watermark_ms;
    if (least != INT64_MAX && least > after->watermark_ms)
        after->watermark_ms = least;
}

static void collect(struct commit_work *work)
{
    struct mor_committer *committer = work->committer;
    mor_ledger_copy(&work->after, committer->ledger);
    committer->identify(committer->context, &work->after);
    for (size_t lane = 0; lane < committer->lane_count; lane++)
        for (size_t i = 0; i < work->batches[lane]->run_count; i++)
            if (work->take_run[lane][i])
                take_run(work, work->batches[lane], &work->batches[lane]->runs[i]);
    set_watermark(&work->after);
    if (work->range_count > 0)
        qsort(work->ranges, work->range_count, sizeof *work->ranges, compare_ranges);
    work->facts.batch_id = mor_uuid_v7();
    work->facts.instance = committer->instance;
    work->facts.topic = committer->topic;
    work->facts.ranges = work->ranges;
    work->facts.range_count = work->range_count;
}

static enum mor_status build_changes(struct commit_work *work, struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    struct mor_batch_part *parts = mor_calloc(committer->lane_count, sizeof *parts);
    for (size_t i = 0; i < committer->lane_count; i++)
        parts[i] = (struct mor_batch_part){work->batches[i], work->take_run[i]};
    enum mor_status status =
        mor_changes_build(committer->table, committer->plan, committer->ordering_column, parts,
                          committer->lane_count, committer->crew, &work->changes, err);
    free(parts);
    MOR_TRY(status);
    mor_outcomes_add(&work->facts.outcomes, &work->changes.outcomes);
    return mor_ledger_check(&work->facts, err);
}

static void finish(struct commit_work *work)
{
    for (size_t i = 0; work->batches != NULL && i < work->committer->lane_count; i++) {
        if (work->batches[i] != NULL)
            mor_lane_return(work->committer->lanes[i], work->batches[i]);
        free(work->take_run[i]);
    }
    free(work->batches);
    free(work->take_run);
    free(work->ranges);
    mor_changes_done(&work->changes);
    mor_ledger_done(&work->after);
    mor_buffer_done(&work->letters);
    mor_buffer_done(&work->property);
}

// ---- commit -------------------------------------------------------------------------------------

static enum mor_status write_one_group(void *context, size_t index, struct mor_error *err)
{
    struct commit_work *work = context;
    return mor_write_group(work->write, &work->changes.set, index, err);
}

static enum mor_status write_and_publish(struct commit_work *work,
                                         struct mor_commit_result *ret_result,
                                         struct mor_error *err)
{
    struct mor_committer *committer = work->committer;
    tell(committer, "encode", NULL);
    work->failing = "upload"; // encoding itself does not fail for a while
    MOR_TRY(mor_fault("commit.begun", err));
    MOR_TRY(
        mor_crew_run(committer->crew, work->changes.set.group_count, write_one_group, work, err));
    MOR_TRY(mor_fault("commit.files_written", err));

    work->after.dead_letter_bytes = mor_dead_letters_bytes(committer->letters);
    if (work->letters.size_bytes > 0)
        MOR_TRY(mor_dead_letters_write(committer->letters, &work->letters,
                                       &work->after.dead_letter_bytes, err));
    mor_buffer_reset(&work->property);
    mor_ledger_format(&work->after, &work->facts, &work->property);
    MOR_AUTO_BUFFER checkpoint = {0};
    mor_ledger_format_checkpoint(&work->after, committer->topic, &checkpoint);
    const struct mor_property properties[] = {
        {LEDGER_PROPERTY, (const char *)work->property.data},
        {MOR_PROPERTY_CHECKPOINT, (const char *)checkpoint.data}};
    tell(committer, "confirm", NULL);
    work->failing = "fetch"; // Kafka did not answer
    MOR_TRY(committer->confirm(committer->context, err));
    tell(committer, "commit", NULL);
    work->failing = "commit";
    MOR_TRY(mor_fault("commit.before_publish", err));
    MOR_TRY(mor_write_commit(work->write, properties, sizeof properties / sizeof properties[0],
                             LEDGER_PROPERTY, *committer->property, ret_result, err));
    return mor_fault("commit.after_publish", err);
}

static enum mor_status attempt(struct commit_work *work, struct mor_commit_result *ret_result,
                               struct mor_error *err)
{
    work->failing = "commit";
    MOR_TRY(mor_write_begin(work->committer->table, &work->facts.batch_id, &work->write, err));
    enum mor_status status = write_and_publish(work, ret_result, err);
    mor_write_free(work->write);
    work->write = NULL;
    return status;
}

enum mor_status mor_committer_load(struct mor_table *table, const char *instance,
                                   struct mor_ledger *ret_ledger, char **ret_property,
                                   struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *text = NULL;
    enum mor_status status = mor_table_property(table, LEDGER_PROPERTY, true, &arena, &text, err);
    if (status == MOR_NOT_FOUND) {
        mor_ledger_init(ret_ledger);
        *ret_property = NULL;
        status = MOR_OK;
    } else if (status == MOR_OK) {
        status = mor_ledger_parse(text, instance, ret_ledger, NULL, err);
        if (status == MOR_OK)
            *ret_property = mor_strdup(text);
    }
    mor_arena_done(&arena);
    return status;
}

// After a failed attempt: did it land all the same? *ret_landed tells; the outcome of the question
// itself may be RETRY.
static enum mor_status find_out(struct commit_work *work, bool *ret_landed, struct mor_error *err)
{
    struct mor_ledger now;
    char *property = NULL;
    MOR_TRY(mor_committer_load(work->committer->table, work->committer->instance, &now, &property,
                               err));
    mor_ledger_done(&now);
    char batch[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&work->facts.batch_id, batch);
    *ret_landed = property != NULL && strstr(property, batch) != NULL;
    free(property);
    return MOR_OK;
}

static void pause_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

// Tries until the batch is in the table (OK), fenced off (FENCED), impossible (FATAL) or given up
// (RETRY).
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
        tell(committer, work->failing, err);
        bool landed = false;
        struct mor_error question = MOR_ERROR_INIT;
        enum mor_status known = find_out(work, &landed, &question);
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

static void adopt(struct commit_work *work)
{
    struct mor_committer *committer = work->committer;
    mor_dead_letters_committed(committer->letters, work->after.dead_letter_bytes);
    mor_ledger_copy(committer->ledger, &work->after);
    free(*committer->property);
    *committer->property = mor_strdup((const char *)work->property.data);
    mor_positions_commit(committer->positions, committer->ledger);
}

// Somebody else moved the table: the batch is dropped and every partition starts from the table
// again.
static enum mor_status resynchronise(struct mor_committer *committer, struct mor_error *err)
{
    struct mor_ledger now;
    char *property;
    MOR_TRY(mor_committer_load(committer->table, committer->instance, &now, &property, err));
    mor_ledger_done(committer->ledger);
    *committer->ledger = now;
    free(*committer->property);
    *committer->property = property;
    size_t count;
    MOR_AUTO_FREE int32_t *partitions =
        mor_positions_abort(committer->positions, committer->ledger, &count);
    for (size_t i = 0; i < count; i++)
        committer->reassign(committer->context, partitions[i]);
    return MOR_OK;
}

enum mor_status mor_committer_run(struct mor_committer *committer,
                                  struct mor_commit_report *ret_report, struct mor_error *err)
{
    *ret_report = (struct mor_commit_report){0};
    int64_t started = mor_clock_mono_ms();
    struct commit_work work = {.committer = committer, .oldest_ms = MOR_TIMESTAMP_NONE};
    mor_ledger_init(&work.after);
    enum mor_status status = cut(&work, err);
    if (status == MOR_OK) {
        collect(&work);
        if (work.range_count > 0) {
            status = build_changes(&work, err);
            if (status == MOR_OK)
                status = commit_until_known(&work, &ret_report->result, err);
            ret_report->committed = status == MOR_OK;
        }
    }
    if (ret_report->committed) {
        ret_report->outcomes = work.facts.outcomes;
        ret_report->dead_letter_bytes = (int64_t)work.letters.size_bytes;
        ret_report->dead_keys = work.dead_keys;
        ret_report->oldest_ms = work.oldest_ms;
        adopt(&work);
    } else if (status == MOR_FENCED) {
        ret_report->fenced = true;
        status = resynchronise(committer, err);
    }
    finish(&work);
    tell(committer, NULL, NULL);
    ret_report->duration_ms = mor_clock_mono_ms() - started;
    return status;
}
