#include "positions.h"

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"

void mor_positions_init(struct mor_positions *positions, const struct mor_ledger *ledger)
{
    *positions = (struct mor_positions){0};
    pthread_mutex_init(&positions->mutex, NULL);
    mor_positions_commit(positions, ledger);
}

void mor_positions_done(struct mor_positions *positions)
{
    pthread_mutex_destroy(&positions->mutex);
    free(positions->rows);
    positions->rows = NULL;
}

static struct mor_position *find(struct mor_positions *positions, int32_t partition)
{
    for (size_t i = 0; i < positions->count; i++)
        if (positions->rows[i].partition == partition)
            return &positions->rows[i];
    return NULL;
}

static struct mor_position *find_or_add(struct mor_positions *positions, int32_t partition)
{
    struct mor_position *position = find(positions, partition);
    if (position != NULL)
        return position;
    positions->rows =
        mor_realloc(positions->rows, (positions->count + 1) * sizeof *positions->rows);
    position = &positions->rows[positions->count++];
    *position = (struct mor_position){.partition = partition,
                                      .committed_next = MOR_OFFSET_NONE,
                                      .read_next = MOR_OFFSET_NONE,
                                      .leader_epoch = -1,
                                      .watermark_ms = NO_WATERMARK};
    return position;
}

// A partition that the table does not know although it knows others was added to the topic: its
// first record is the one to start with.
static int64_t start_of(const struct mor_positions *positions, const struct mor_position *position)
{
    if (position->committed_next != MOR_OFFSET_NONE)
        return position->committed_next;
    for (size_t i = 0; i < positions->count; i++)
        if (positions->rows[i].committed_next != MOR_OFFSET_NONE)
            return MOR_OFFSET_EARLIEST;
    return MOR_OFFSET_NONE;
}

// Hands out tickets where there are none; true when the table was read after every one of them.
static bool are_synced(struct mor_positions *positions,
                       const struct mor_source_partition *partitions, size_t count)
{
    bool synced = true;
    for (size_t i = 0; i < count; i++) {
        struct mor_position *position = find_or_add(positions, partitions[i].partition);
        if (position->ticket == 0)
            position->ticket = ++positions->last_ticket;
        synced = synced && position->ticket <= positions->synced_ticket;
    }
    return synced;
}

enum mor_status mor_positions_assign(struct mor_positions *positions,
                                     struct mor_source_partition *partitions, size_t count,
                                     struct mor_error *err)
{
    MOR_LOCKED(&positions->mutex);
    if (!are_synced(positions, partitions, count))
        return mor_error_set(err, MOR_RETRY, "the table is being read again");
    for (size_t i = 0; i < count; i++) {
        struct mor_position *position = find(positions, partitions[i].partition);
        position->assigned = true;
        position->ticket = 0;
        position->active_ms = mor_clock_mono_ms();
        position->generation = ++positions->last_generation;
        partitions[i].generation = position->generation;
        position->read_next = position->committed_next;
        partitions[i].offset = start_of(positions, position);
        partitions[i].leader_epoch = position->leader_epoch;
    }
    return MOR_OK;
}

void mor_positions_revoke(struct mor_positions *positions,
                          const struct mor_source_partition *partitions, size_t count)
{
    MOR_LOCKED(&positions->mutex);
    for (size_t i = 0; i < count; i++) {
        struct mor_position *position = find_or_add(positions, partitions[i].partition);
        position->assigned = false;
        position->ticket = 0;
        position->generation = ++positions->last_generation;
    }
}

int64_t mor_positions_claim(struct mor_positions *positions, int32_t partition)
{
    MOR_LOCKED(&positions->mutex);
    struct mor_position *position = find_or_add(positions, partition);
    position->read_next = MOR_OFFSET_NONE;
    return position->generation = ++positions->last_generation;
}

bool mor_positions_in_flight(struct mor_positions *positions,
                             const struct mor_source_partition *partitions, size_t count)
{
    MOR_LOCKED(&positions->mutex);
    for (size_t i = 0; i < count; i++) {
        const struct mor_position *position = find(positions, partitions[i].partition);
        if (position != NULL && position->in_flight)
            return true;
    }
    return false;
}

int64_t mor_positions_watermark(struct mor_positions *positions, int32_t partition,
                                int64_t generation)
{
    MOR_LOCKED(&positions->mutex);
    const struct mor_position *position = find(positions, partition);
    return position != NULL && position->generation == generation ? position->watermark_ms
                                                                  : NO_WATERMARK;
}

int64_t mor_positions_sync_wanted(struct mor_positions *positions)
{
    MOR_LOCKED(&positions->mutex);
    for (size_t i = 0; i < positions->count; i++)
        if (positions->rows[i].ticket > positions->synced_ticket)
            return positions->last_ticket;
    return 0;
}

static enum mor_status take(struct mor_positions *positions, const struct mor_run *run,
                            bool *ret_take, struct mor_error *err)
{
    struct mor_position *position = find(positions, run->partition);
    *ret_take = position != NULL && position->generation == run->generation;
    if (!*ret_take)
        return MOR_OK;
    if (position->read_next != MOR_OFFSET_NONE && run->offset_first != position->read_next)
        return mor_error_set(err, MOR_FATAL,
                             "partition %d: records from offset %lld follow offset %lld: a hole "
                             "inside moraine, nothing was committed",
                             run->partition, (long long)run->offset_first,
                             (long long)position->read_next);
    position->read_next = run->offset_next;
    position->in_flight = true;
    if (run->outcomes.read > 0)
        position->active_ms = mor_clock_mono_ms();
    if (run->leader_epoch >= 0)
        position->leader_epoch = run->leader_epoch;
    return MOR_OK;
}

enum mor_status mor_positions_begin(struct mor_positions *positions,
                                    struct mor_lane_batch *const *batches, bool *const *take_run,
                                    size_t batch_count, struct mor_error *err)
{
    MOR_LOCKED(&positions->mutex);
    for (size_t batch = 0; batch < batch_count; batch++)
        for (size_t i = 0; i < batches[batch]->run_count; i++)
            MOR_TRY(take(positions, &batches[batch]->runs[i], &take_run[batch][i], err));
    return MOR_OK;
}

static void follow_ledger(struct mor_positions *positions, const struct mor_ledger *ledger)
{
    for (size_t i = 0; i < positions->count; i++) {
        positions->rows[i].in_flight = false;
        positions->rows[i].committed_next = MOR_OFFSET_NONE;
    }
    for (size_t i = 0; i < ledger->progress_count; i++) {
        struct mor_position *position = find_or_add(positions, ledger->progress[i].partition);
        position->committed_next = ledger->progress[i].next_offset;
        position->watermark_ms = ledger->progress[i].watermark_ms;
        position->leader_epoch = ledger->progress[i].leader_epoch;
    }
}

void mor_positions_synced(struct mor_positions *positions, int64_t ticket,
                          const struct mor_ledger *ledger)
{
    MOR_LOCKED(&positions->mutex);
    follow_ledger(positions, ledger);
    positions->synced_ticket = ticket;
}

bool mor_positions_fence(struct mor_positions *positions, int32_t partition)
{
    MOR_LOCKED(&positions->mutex);
    struct mor_position *position = find_or_add(positions, partition);
    position->in_flight = false;
    position->generation = ++positions->last_generation;
    return position->assigned;
}

void mor_positions_commit(struct mor_positions *positions, const struct mor_ledger *ledger)
{
    MOR_LOCKED(&positions->mutex);
    follow_ledger(positions, ledger);
}

int32_t *mor_positions_abort(struct mor_positions *positions, const struct mor_ledger *ledger,
                             size_t *ret_count)
{
    MOR_LOCKED(&positions->mutex);
    follow_ledger(positions, ledger);
    int32_t *assigned = mor_alloc(positions->count * sizeof *assigned);
    *ret_count = 0;
    for (size_t i = 0; i < positions->count; i++) {
        if (!positions->rows[i].assigned)
            continue;
        positions->rows[i].generation = ++positions->last_generation;
        assigned[(*ret_count)++] = positions->rows[i].partition;
    }
    return assigned;
}
