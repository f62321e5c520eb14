// From the lanes' batches to a change set: which rows go to which file group, one winner per key.
#ifndef MORAINE_PIPELINE_CHANGES_H
#define MORAINE_PIPELINE_CHANGES_H

#include "crew.h"
#include "lane.h"
#include "moraine/table.h"

// The runs of one lane batch that a commit takes in (the others came from an assignment that is
// gone).
struct mor_batch_part {
    struct mor_lane_batch *batch;
    const bool *take_run; // one per run of the batch
};

// Rows in file groups; borrowed batches.
struct mor_changes {
    struct mor_change_set set;
    struct mor_outcomes outcomes; // inserted, updated, deleted
    struct mor_arena arena;       // everything below
    struct mor_batch **batches;
    struct mor_row_ref *refs;
    size_t ref_count;
    struct mor_budget *budget;
};

// Groups and pre-combines the rows. Per key the highest ordering value wins, ties go to the later
// Kafka offset; a delete removes what came before it. A tombstone does not know its table partition
// and goes to every partition that has its bucket. Outcomes count each record as if it were applied
// alone: the first row of a key in a new file group is inserted, later ones update it; in an
// existing file group every row is an update, because nothing is looked up.
enum mor_status mor_changes_build(struct mor_table *table, const struct mor_lane_plan *plan,
                                  int32_t ordering_column, const struct mor_batch_part *parts,
                                  size_t part_count, struct mor_crew *crew,
                                  struct mor_changes *ret_changes,
                                  struct mor_error *err) MOR_CHECKED;
void mor_changes_done(struct mor_changes *changes);

#endif
