// Records that cannot become rows, kept aside with everything that came with them, durable before
// the commit that passes them.
//
// Where they go is a sink: a table of their own (exactly once), a Kafka topic, or a local file of
// JSON lines. A letter is a row with these columns:
//   topic, partition, offset, timestamp (Kafka's), time (when it was kept aside),
//   stage (decode | event_time | key | late), reason, schema_id, key, value, headers
#ifndef MORAINE_PIPELINE_DEAD_LETTER_H
#define MORAINE_PIPELINE_DEAD_LETTER_H

#include "ledger.h"
#include "moraine/base/record.h"
#include "moraine/column.h"
#include "moraine/config.h"
#include "moraine/pipeline/dead_letters.h"

// Stages of rows that are no letters but marks on one with the same coordinates: it was taken for
// another try by the batch that `reason` names; that batch is in the table.
#define LETTER_REDRIVE  "redrive"
#define LETTER_REDRIVEN "redriven"

// The caller frees.
struct mor_schema *mor_dead_letter_schema(void);
// Appends the row of a record; any thread that owns the batch.
void mor_dead_letter_append(struct mor_batch *letters, const char *topic,
                            const struct mor_record *record, const char *stage, const char *reason);

// As mor_dead_letters_open, but the marks LETTER_REDRIVE that have no LETTER_REDRIVEN.
enum mor_status mor_dead_letter_marks_open(const char *location,
                                           struct mor_dead_letters **ret_letters,
                                           struct mor_error *err) MOR_CHECKED;

// Letters of one commit: rows [first, first + count) of a batch.
struct mor_letter_rows {
    const struct mor_batch *batch;
    size_t first, count;
};

// A sink; the committer's thread only.
struct mor_letter_sink;
struct mor_letter_sink_ops {
    // Makes the letters of a commit durable that leads to `after` (which the sink may mark) by
    // these ranges. Called again for every attempt of the same commit, also after a crash of an
    // earlier one.
    enum mor_status (*write)(struct mor_letter_sink *sink, const struct mor_letter_rows *rows,
                             size_t count, const struct mor_range *ranges, size_t range_count,
                             struct mor_ledger *after, struct mor_error *err);
    // The commit that leads to `after` is in the table.
    void (*committed)(struct mor_letter_sink *sink, const struct mor_ledger *after);
    void (*free)(struct mor_letter_sink *sink);
};
struct mor_letter_sink {
    const struct mor_letter_sink_ops *ops;
};

// The sink that the topic's configuration names. `ledger`: of the table, as it is now. RETRY: what
// it needs is away.
enum mor_status mor_letter_sink_open(const struct mor_config *config,
                                     const struct mor_config_topic *topic,
                                     const struct mor_ledger *ledger, struct mor_budget *budget,
                                     struct mor_letter_sink **ret_sink,
                                     struct mor_error *err) MOR_CHECKED;

// ---- the sinks ----------------------------------------------------------------------------------

// <state_dir>/dead_letters/<topic>.jsonl, one line per letter, key and value in base64. The
// ledger states its length, so lines of a commit that never came to be are cut off at start: every
// letter stands in the file once. A file that is shorter was moved away and is started anew.
enum mor_status mor_letter_file_open(const char *state_dir, const char *instance, const char *topic,
                                     const struct mor_ledger *ledger,
                                     struct mor_letter_sink **ret_sink,
                                     struct mor_error *err) MOR_CHECKED;
// An append-only table. Its own ledger says up to which offset of each Kafka partition letters were
// written; letters before it are there already, from an attempt whose commit never came to be.
enum mor_status mor_letter_table_open(const struct mor_config *config,
                                      const struct mor_config_topic *topic,
                                      struct mor_budget *budget, struct mor_letter_sink **ret_sink,
                                      struct mor_error *err) MOR_CHECKED;
// Appends marks to such a table: the coordinates of the rows, the stage and what it says. In the
// table when it returns OK.
enum mor_status mor_letter_table_mark(struct mor_letter_sink *sink,
                                      const struct mor_letter_rows *rows, size_t count,
                                      const char *stage, const char *reason,
                                      struct mor_error *err) MOR_CHECKED;
// Where the letters of the local file are taken into a table, so that they can be sent again; the
// caller frees.
char *mor_letter_import_location(const struct mor_config *config, const char *topic);
// Does so, exactly once each. `topic`: with that location as its dead_letter.location; `instance`:
// whose file it is, config->instance: who writes the table. *ret_any: whether there is a table.
// RETRY: somebody else has it open.
enum mor_status mor_letter_file_import(const struct mor_config *config,
                                       const struct mor_config_topic *topic, const char *instance,
                                       struct mor_budget *budget, bool *ret_any,
                                       struct mor_error *err) MOR_CHECKED;
// A Kafka topic: key and value as they were, the rest as headers `moraine.<column>`. A letter comes
// twice when a commit is tried again after a crash; its coordinates tell.
enum mor_status mor_letter_topic_open(const struct mor_config *config,
                                      const struct mor_config_topic *topic,
                                      struct mor_letter_sink **ret_sink,
                                      struct mor_error *err) MOR_CHECKED;

#endif
