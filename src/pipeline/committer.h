// The committer of a topic: cuts the batch across the lanes and carries it through the commit
// protocol.
#ifndef MORAINE_PIPELINE_COMMITTER_H
#define MORAINE_PIPELINE_COMMITTER_H

#include "crew.h"
#include "dead_letter.h"
#include "lane.h"
#include "ledger.h"
#include "local_state.h"
#include "moraine/table.h"
#include "positions.h"

// What a commit did, for counters and logs.
struct mor_commit_report {
    bool committed; // false: there was nothing to commit, or the batch was dropped
    int64_t fenced; // partitions whose records were dropped because another writer moved them
    bool went_back; // the table was rolled back or restored since it was last looked at
    struct mor_commit_result result;
    struct mor_outcomes outcomes;
    struct mor_event_time_facts event_time;
    int64_t duration_ms;
    int64_t dead_by_stage[MOR_DEAD_STAGES]; // of outcomes.dead
    int64_t index_hits, index_misses;
    int64_t oldest_ms; // least Kafka timestamp, MOR_TIMESTAMP_NONE = not known
};

// All borrowed; the committer's thread only, but `give_up` and `step`.
struct mor_committer {
    const char *instance;
    const char *topic;
    struct mor_table *table;
    const struct mor_lane_plan *plan;
    int32_t ordering_column; // of the lanes' rows; -1 = whatever comes later wins
    bool index;              // keep the key index, in `local` once it is there
    struct mor_lane **lanes;
    size_t lane_count;
    struct mor_crew *crew;
    struct mor_letter_sink *letters;
    struct mor_positions *positions;
    struct mor_local_state *local; // NULL = none
    uint64_t salt;                 // for the ledger when it has none; 0 = none wanted
    struct mor_ledger *ledger;     // as the table states it
    // a batch of dead letters that are sent again: moves no offset; NULL = records of Kafka
    const struct mor_uuid *redrive;
    double dead_ratio_max; // of records read, from some number on; more of them end the topic
    int64_t rated_read, rated_dead;
    // fills cluster and topic id into the ledger of a commit
    void (*identify)(void *context, struct mor_ledger *after);
    // marks which of this instance's partitions are idle in the ledger of a commit; false: one of
    // them may hold older records than any that was seen, so the table's watermark must not move
    bool (*look_at_idle)(void *context, struct mor_ledger *after);
    // does everything that was taken in come from the topic that the table knows? FATAL: no; RETRY:
    // Kafka does not answer
    enum mor_status (*confirm)(void *context, struct mor_error *err);
    // called when the partitions must be assigned anew
    void (*reassign)(void *context, int32_t partition);
    const char *publishing; // the step that makes a batch visible: "commit", "catalog"
    // tells what is being done ("encode", "commit"), NULL = nothing; and what went wrong meanwhile
    void (*step)(void *context, const char *step, const struct mor_error *trouble);
    // true: do not try again (shutdown deadline)
    bool (*give_up)(void *context);
    void *context;
};

enum mor_commit_reason {
    MOR_COMMIT_RECORDS,   // when records were taken in
    MOR_COMMIT_WATERMARK, // also when only the watermark moves
    MOR_COMMIT_ANYWAY
};
// Cuts what the lanes have gathered and commits it; tries again until it is in the table, fenced
// off, or given up. FATAL ends the topic.
enum mor_status mor_committer_run(struct mor_committer *committer, enum mor_commit_reason reason,
                                  struct mor_commit_report *ret_report,
                                  struct mor_error *err) MOR_CHECKED;
// Reads the ledger from the table again, takes into the local state what others committed, and
// serves assignments that wait for it. RETRY: later.
enum mor_status mor_committer_sync(struct mor_committer *committer,
                                   struct mor_error *err) MOR_CHECKED;
// The ledger as the table states it now, and its text (NULL = the table has none).
enum mor_status mor_committer_load(struct mor_table *table, struct mor_ledger *ret_ledger,
                                   char **ret_property, struct mor_error *err) MOR_CHECKED;

#endif
