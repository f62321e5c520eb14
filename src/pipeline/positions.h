// Which assignment of a Kafka partition is the current one, and where it may start.
//
// Every assignment gets a new generation; runs of an older one never reach the table. A partition
// starts at the offset the table states, or at the end of the commit that is on its way: that
// commit either lands or is tried again, and when it is dropped (fenced) everything is assigned
// anew.
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
    int64_t committed_next; // as the table states, MOR_OFFSET_NONE when it does not
    int64_t in_flight_next; // end of the commit on its way, MOR_OFFSET_NONE when it does not move
                            // the partition
    int32_t leader_epoch;
    int64_t watermark_ms; // as the table states, NO_WATERMARK when it does not
};

struct mor_positions {
    pthread_mutex_t mutex;
    struct mor_position *rows;
    size_t count;
    int64_t last_generation;
};

void mor_positions_init(struct mor_positions *positions, const struct mor_ledger *ledger);
void mor_positions_done(struct mor_positions *positions);

// Source thread: fills offset, leader_epoch and generation; older generations are void from now on.
void mor_positions_assign(struct mor_positions *positions, struct mor_source_partition *partitions,
                          size_t count);
void mor_positions_revoke(struct mor_positions *positions,
                          const struct mor_source_partition *partitions, size_t count);

// Committer: decides which runs of the cut batches a commit takes (those of the current
// generations), sets take_run, and notes where the commit ends. One step, so that an assignment
// sees all of it or nothing. FATAL when the runs of a partition do not follow each other without a
// hole.
enum mor_status mor_positions_begin(struct mor_positions *positions,
                                    struct mor_lane_batch *const *batches, bool *const *take_run,
                                    size_t batch_count, struct mor_error *err) MOR_CHECKED;
// Committer: the commit is in the table as `ledger` states.
void mor_positions_commit(struct mor_positions *positions, const struct mor_ledger *ledger);
// Committer: the commit was dropped, the table is as `ledger` states; every generation is void.
// Returns the assigned partitions, which must be assigned anew; the caller frees.
int32_t *mor_positions_abort(struct mor_positions *positions, const struct mor_ledger *ledger,
                             size_t *ret_count);

#endif
