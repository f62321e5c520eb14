// What the files of a pipeline share: the topic's whole state, and who does what with it.
//
// The topic's own thread (the committer) opens, commits and closes. `mutex` guards status, identity
// and, for whoever reads lag, `source`; it is never held while another lock is waited for, but that
// of the positions.
#ifndef MORAINE_PIPELINE_INTERNAL_H
#define MORAINE_PIPELINE_INTERNAL_H

#include "committer.h"
#include "crew.h"
#include "moraine/decode.h"
#include "moraine/pipeline.h"
#include "moraine/source.h"
#include "topic_schema.h"

struct mor_pipeline {
    const struct mor_config *config;
    const struct mor_config_topic *topic;
    struct mor_registry *registry;
    struct mor_budget *budget;
    size_t budget_share_bytes;
    int32_t *learned_ids; // writer schemas whose changes the columns have taken over
    size_t learned_count;
    char change[512];    // the newest of these changes, in words
    bool opens_again;    // with them
    bool without_source; // records are handed in; late ones are as good as others
    pthread_t thread;

    // opened in this order by the topic's thread, closed in the opposite one
    struct mor_topic_schema schema;
    struct mor_table *table;
    struct mor_ledger ledger;
    struct mor_letter_sink *letters;
    struct mor_schema *letter_schema;
    struct mor_positions positions;
    struct mor_local_state *local; // NULL = none
    struct mor_gate gate;
    struct mor_lane_plan plan;
    struct mor_lane **lanes;
    size_t lane_count;
    struct mor_crew *crew;
    struct mor_source *source;
    bool positions_made;
    int64_t commit_ms; // how long the last commit took, 0 = none yet; the topic's thread only

    atomic_bool stopping;
    atomic_bool paused; // by an operator
    atomic_llong deadline_ms;
    atomic_llong consumed_records, consumed_bytes;
    atomic_llong alive_ms; // of the committer
    pthread_mutex_t mutex; // status, identity, and `source` for whoever reads lag
    struct mor_pipeline_status status;
    struct mor_source_identity identity; // "" until the table or Kafka has told
};
// ---- pipeline_status.c --------------------------------------------------------------------------

void mor_pipeline_set_step(struct mor_pipeline *pipeline, const char *step);
// `text` "" = all is well again.
void mor_pipeline_set_trouble(struct mor_pipeline *pipeline, const char *step, const char *text);
void mor_pipeline_set_state(struct mor_pipeline *pipeline, enum mor_pipeline_state state);
// Takes a commit into counters and log.
void mor_pipeline_note_commit(struct mor_pipeline *pipeline,
                              const struct mor_commit_report *report);

// ---- pipeline_callbacks.c -----------------------------------------------------------------------

// Fills in the source's callbacks.
void mor_pipeline_listen(struct mor_pipeline *pipeline, struct mor_source_options *options);
struct mor_committer mor_pipeline_committer(struct mor_pipeline *pipeline);
// True when the shutdown deadline has passed.
bool mor_pipeline_gives_up(void *pipeline);

// ---- pipeline_open.c ----------------------------------------------------------------------------

// What is away is waited for (registry, a lock, the broker); OK also when the topic is to stop
// meanwhile, `source` is NULL then.
enum mor_status mor_pipeline_open_all(struct mor_pipeline *pipeline,
                                      struct mor_error *err) MOR_CHECKED;
// Remembers a writer schema whose fields and types the columns take over at the next opening.
void mor_pipeline_learn(struct mor_pipeline *pipeline, int32_t schema_id);
void mor_pipeline_close_all(struct mor_pipeline *pipeline);
// Whether the topic keeps a key index.
bool mor_pipeline_wants_index(const struct mor_config_topic *topic);
// What decides between two rows of a key, besides the order in which they come; -1 = nothing.
int32_t mor_pipeline_ordering(const struct mor_pipeline *pipeline);
// How much may be gathered for one commit.
size_t mor_pipeline_gather_bytes(const struct mor_config_topic *topic, size_t share_bytes);

#endif
