// Between the lanes of a topic and its committer: how much has been gathered for the next commit,
// who waits for room, who waits for work, and the first failure that ends the topic.
#ifndef MORAINE_PIPELINE_GATE_H
#define MORAINE_PIPELINE_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/status.h"

struct mor_gate {
    pthread_mutex_t mutex;
    pthread_cond_t wake; // of the committer
    pthread_cond_t room; // of the lanes
    size_t rows_max, bytes_max;
    size_t rows, bytes; // gathered since the last cut
    int64_t first_ms;   // monotonic time of the first of them, 0 = nothing gathered
    bool flush;         // somebody wants a commit now
    bool poked;         // the committer has something else to look at
    bool closing;       // no lane waits any more
    bool changed;       // a writer schema does not fit the columns
    int32_t changed_id;
    struct mor_error change;
    bool failed;
    struct mor_error failure;
};

void mor_gate_init(struct mor_gate *gate, size_t rows_max, size_t bytes_max);
void mor_gate_done(struct mor_gate *gate);

// Lane: waits until there is room; false when the gate is closing or failed.
bool mor_gate_enter(struct mor_gate *gate);
// Lane: counts what a chunk added.
void mor_gate_add(struct mor_gate *gate, size_t rows, size_t bytes);
// Any thread: the topic cannot go on; the first failure is kept.
void mor_gate_fail(struct mor_gate *gate, const struct mor_error *err);
// Lane: records of this writer schema wait until the columns were changed; the first one is kept.
void mor_gate_change(struct mor_gate *gate, int32_t schema_id, const struct mor_error *err);
// Committer: true and what a lane told.
bool mor_gate_changed(struct mor_gate *gate, int32_t *ret_schema_id, struct mor_error *ret_change);
// Committer: everything starts anew, but a failure stays.
void mor_gate_reopen(struct mor_gate *gate);
// Any thread: asks for a commit now.
void mor_gate_flush(struct mor_gate *gate);
// Any thread: another limit for what is gathered.
void mor_gate_set_bytes(struct mor_gate *gate, size_t bytes_max);
// Any thread: wakes the committer without a reason to cut.
void mor_gate_poke(struct mor_gate *gate);
void mor_gate_close(struct mor_gate *gate);

// Committer: waits until the first gathered chunk is `interval_ms` old, a limit is reached, a flush
// was asked for, the gate failed or closes, it was poked, or timeout_ms has passed. True when there
// is reason to cut.
bool mor_gate_wait(struct mor_gate *gate, int64_t interval_ms, int64_t timeout_ms);
// How long to gather for a commit that shows its first record after `interval_ms`: less what the
// last commit took (commit_ms, 0 = there was none), but at least three quarters of the interval.
int64_t mor_gate_gathering_ms(int64_t interval_ms, int64_t commit_ms);
// Committer: a new gathering starts; lanes that wait go on.
void mor_gate_cut(struct mor_gate *gate);
// True and the failure when the topic has failed.
bool mor_gate_failure(struct mor_gate *gate, struct mor_error *ret_failure);

#endif
