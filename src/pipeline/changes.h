// From the lanes' batches to a change set: which rows go to which file group, one winner per key.
#ifndef MORAINE_PIPELINE_CHANGES_H
#define MORAINE_PIPELINE_CHANGES_H

#include "contest.h"
#include "crew.h"
#include "moraine/table.h"

// Rows in file groups; borrowed batches. Zero-initialised is empty.
struct mor_changes {
    struct mor_change_set set;
    struct mor_outcomes outcomes; // inserted, updated, deleted
    int64_t index_hits, index_misses;
    // struct mor_key_change[], of the key index. Where rows have places these are provisional,
    // since the files do not exist yet: number of the group << 32 | index in its upserts.
    struct mor_buffer key_changes;
    struct mor_arena arena; // everything below
    struct mor_batch **batches;
    struct mor_row_ref **refs; // arrays that the groups point into
    size_t ref_array_count;
    size_t ref_bytes;
    struct mor_budget *budget;
};

struct mor_changes_options {
    struct mor_table *table;
    const struct mor_lane_plan *plan;
    int32_t ordering_column;            // -1 = whatever comes later wins
    const struct mor_known_keys *known; // the key index; NULL = there is none
    struct mor_crew *crew;
};

// Groups the rows and lets those of one key compete (contest.h).
//
// With the key index a key is one in the whole table: its winner goes to its table partition, what
// lies in another one is deleted there, a delete goes where the row is, and what loses or changes
// nothing is not written. Outcomes: inserted = the key had no row, updated = it had one, or the
// record is older than what the key has had, deleted = the record deletes.
//
// In a table with places the row that a key had is removed from its place, wherever the winner
// goes; there is always an index then.
//
// Without the index nothing is known of what is in the table: a key is one per table partition, a
// tombstone does not know its partition and goes to every one that has its bucket, and each record
// counts as if its key had a row when its file group exists.
//
// Errors: those of mor_state_lookup; DATA: two keys of the index have one place.
enum mor_status mor_changes_build(const struct mor_changes_options *options,
                                  const struct mor_batch_part *parts, size_t part_count,
                                  struct mor_changes *ret_changes,
                                  struct mor_error *err) MOR_CHECKED;
void mor_changes_done(struct mor_changes *changes);
// Where rows have places: the key changes with their locations, once the files of the groups were
// written; numbers are those of the known keys' state. Appended to `ret_changes`.
void mor_changes_resolve(const struct mor_changes *changes, const struct mor_write *write,
                         struct mor_state *state, struct mor_buffer *ret_changes);
static inline const struct mor_key_change *mor_changes_of_keys(const struct mor_changes *changes,
                                                               size_t *ret_count)
{
    *ret_count = changes->key_changes.size_bytes / sizeof(struct mor_key_change);
    return (const struct mor_key_change *)(const void *)changes->key_changes.data;
}

#endif
