// Which assignment of a Kafka partition is the current one, and where it may start.
//
// Every assignment gets a new generation; runs of an older one never reach the table. A partition
// that was somebody else's, or may have been, starts at the offset that the table states *after* it
// was assigned: the assignment waits until the committer has read the table again (and has taken
// into the local state what others committed). Between two commits the committer's thread alone
// moves these positions.
#ifndef MORAINE_PIPELINE_POSITIONS_H
#define MORAINE_PIPELINE_POSITIONS_H

#include <pthread.h>

#include "lane.h"
#include "ledger.h"
#include "moraine/source.h"

struct mor_position {
    int32_t partition;
    bool assigned;
    int64_t generation;
    int64_t ticket;         // 0 = not asked for; assigned once synced_ticket has reached it
    int64_t committed_next; // as the table states, MOR_OFFSET_NONE when it does not
    int64_t read_next;      // where the next run must start, MOR_OFFSET_NONE = anywhere
    bool in_flight;         // the commit on its way moves it
    int64_t active_ms;      // monotonic: last cut with records of it, or its assignment
    int32_t leader_epoch;
    int64_t watermark_ms; // as the table states, NO_WATERMARK when it does not
};

struct mor_positions {
    pthread_mutex_t mutex;
    struct mor_position *rows;
    size_t count;
    int64_t last_generation;
    int64_t last_ticket, synced_ticket;
};

void mor_positions_init(struct mor_positions *positions, const struct mor_ledger *ledger);
void mor_positions_done(struct mor_positions *positions);

// Source thread: fills offset, leader_epoch and generation; older generations are void from now on.
// RETRY until mor_positions_synced was called after the first time that these partitions were
// asked for.
enum mor_status mor_positions_assign(struct mor_positions *positions,
                                     struct mor_source_partition *partitions, size_t count,
                                     struct mor_error *err) MOR_CHECKED;
// Source thread: voids the generations.
void mor_positions_revoke(struct mor_positions *positions,
                          const struct mor_source_partition *partitions, size_t count);
// Committer without a source: a generation whose runs may start anywhere.
int64_t mor_positions_claim(struct mor_positions *positions, int32_t partition);
// Any thread: does the commit on its way move one of these partitions?
bool mor_positions_in_flight(struct mor_positions *positions,
                             const struct mor_source_partition *partitions, size_t count);
// Lane: where the watermark of a partition stood when this generation of it was assigned.
int64_t mor_positions_watermark(struct mor_positions *positions, int32_t partition,
                                int64_t generation);

// Committer: is an assignment waiting for the table to be read? The ticket to hand to
// mor_positions_synced afterwards, 0 = no.
int64_t mor_positions_sync_wanted(struct mor_positions *positions);
// Committer: `ledger` was read from the table after the ticket was taken.
void mor_positions_synced(struct mor_positions *positions, int64_t ticket,
                          const struct mor_ledger *ledger);

// Committer: decides which runs of the cut batches a commit takes (those of the current
// generations), sets take_run, and notes where the commit ends. One step, so that an assignment
// sees all of it or nothing. FATAL when the runs of a partition do not follow each other without a
// hole.
enum mor_status mor_positions_begin(struct mor_positions *positions,
                                    struct mor_lane_batch *const *batches, bool *const *take_run,
                                    size_t batch_count, struct mor_error *err) MOR_CHECKED;
// Committer: another writer has moved this partition; its runs leave the commit on its way and its
// generation is void. True when it is assigned, and must be assigned anew.
bool mor_positions_fence(struct mor_positions *positions, int32_t partition);
// Committer: the commit is in the table as `ledger` states.
void mor_positions_commit(struct mor_positions *positions, const struct mor_ledger *ledger);
// Committer: the commit was dropped, the table is as `ledger` states; every generation is void.
// Returns the assigned partitions, which must be assigned anew; the caller frees.
int32_t *mor_positions_abort(struct mor_positions *positions, const struct mor_ledger *ledger,
                             size_t *ret_count);

#endif
