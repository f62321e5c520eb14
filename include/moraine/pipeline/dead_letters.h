// Dead letters that were kept aside in a table: reading them, and sending them through the pipeline
// again.
#ifndef MORAINE_PIPELINE_DEAD_LETTERS_H
#define MORAINE_PIPELINE_DEAD_LETTERS_H

#include "moraine/base/memory.h"
#include "moraine/column.h"
#include "moraine/config.h"

struct mor_registry;

// Columns of a letter, in this order.
enum mor_letter_column {
    LETTER_TOPIC,
    LETTER_PARTITION,
    LETTER_OFFSET,
    LETTER_TIMESTAMP, // Kafka's
    LETTER_TIME,      // when it was kept aside
    LETTER_STAGE,     // decode | event_time | key | late; redrive and redriven are marks, see below
    LETTER_REASON,
    LETTER_SCHEMA_ID,
    LETTER_KEY,
    LETTER_VALUE,
    LETTER_HEADERS,
};

// The letters of a table that still wait, in no order. One thread.
struct mor_dead_letters;
// `where`: a condition on the columns, NULL = all. NOT_FOUND when there is no table, FATAL when it
// holds no dead letters, DATA when the condition is none.
enum mor_status mor_dead_letters_open(const char *location, const char *where,
                                      struct mor_dead_letters **ret_letters,
                                      struct mor_error *err) MOR_CHECKED;
const struct mor_schema *mor_dead_letters_schema(const struct mor_dead_letters *letters);
// Replaces the rows of `batch` (made with the schema); row_count 0 = end.
enum mor_status mor_dead_letters_next(struct mor_dead_letters *letters, struct mor_batch *batch,
                                      struct mor_error *err) MOR_CHECKED;
void mor_dead_letters_free(struct mor_dead_letters *letters); // NULL is fine

// ---- sending again ------------------------------------------------------------------------------

struct mor_redrive_options {
    const struct mor_config *config;
    const struct mor_config_topic *topic; // whose letters are in a table, or in this host's file
    struct mor_registry *registry;        // NULL = none
    const char *where;                    // which letters, NULL = all
    int64_t limit;                        // at most so many, -1 = all
    bool dry_run;                         // count them only
    struct mor_budget *budget;
    size_t budget_share_bytes;
};
struct mor_redrive_report {
    int64_t letters;    // that were chosen
    int64_t landed;     // became rows, deletes or duplicates
    int64_t dead_again; // stay dead letters
};
// Sends dead letters through the pipeline again, with today's configuration, beside a running
// service: it writes as the instance "redrive", of which a table has one at a time (RETRY while
// there is another). Exactly once: the letters that can be read are marked before and after the
// commit that takes them, and what a crash left in between is looked up in the table. The commit
// moves no offset; its ledger counts the records as "redriven".
enum mor_status mor_redrive(const struct mor_redrive_options *options,
                            struct mor_redrive_report *ret_report,
                            struct mor_error *err) MOR_CHECKED;

#endif
