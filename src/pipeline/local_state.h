// What a topic knows of its table without reading it: ids inside the dedup window, and the key
// index. One local state (moraine/state.h) holds both, so a commit is one transaction of it.
//
// What a commit brings of both is attached to it in the table. The local state is caught up from
// these attachments, after a crash and when another instance has committed alike. Ids are kept as
// long as their window; changes of keys only for a while, because the rows of the table tell
// where its keys are: a state that is too far behind, or new, is made from them.
#ifndef MORAINE_PIPELINE_LOCAL_STATE_H
#define MORAINE_PIPELINE_LOCAL_STATE_H

#include <stdatomic.h>

#include "key_index.h"
#include "ledger.h"
#include "moraine/state.h"
#include "moraine/table.h"

struct mor_local_state_options {
    const char *state_dir;
    const char *topic;
    const char *location;        // of the table
    const char *const *dedup_by; // columns of event ids; none = no dedup
    size_t dedup_by_count;
    int64_t window_ms;
    uint64_t salt; // of event ids, from the table's ledger
    bool index;    // keep the key index
    int64_t grave_ms;
    struct mor_key_rebuild rebuild; // with the index
    struct mor_budget *budget;
    size_t share_bytes;
    size_t names_max; // by place: see names_max below; 0 = the default
};

struct mor_local_state {
    struct mor_state *state;
    struct mor_table *table; // borrowed
    bool has_ids, has_index;
    bool by_place; // the index knows places of rows, which commits move that the ledger does not
                   // tell
    uint64_t salt;
    int64_t window_ms;
    // By place every data file that ever was has a number. When there are more than names_max, and
    // four times as many as the state began with, it is made anew from the files that are left.
    size_t names_max, names_first;
    struct mor_key_rebuild rebuild;
    int64_t tidy_at_ms;       // monotonic: when attachments are looked through again
    int64_t keys_superfluous; // changes of keys before this commit were not needed at that time
    atomic_bool damaged;      // a lane found the state unusable
};

// Opens <state_dir>/state/<topic>. Committer, as all below. RETRY: disk full, somebody has it open.
// What the options point to must outlive the state.
enum mor_status mor_local_state_open(const struct mor_local_state_options *options,
                                     struct mor_table *table, struct mor_local_state **ret_local,
                                     struct mor_state_outcome *ret_outcome,
                                     struct mor_error *err) MOR_CHECKED;
void mor_local_state_free(struct mor_local_state *local);

// Whether the state has taken in everything up to the ledger's commit; by place, up to `version` of
// the table, which may be newer.
bool mor_local_state_is_at(const struct mor_local_state *local, const struct mor_ledger *ledger,
                           const char *version);
// The table's newest version, read from it, where an index by place needs it; else "".
enum mor_status mor_local_state_version(const struct mor_local_state *local, char ret_version[64],
                                        struct mor_error *err) MOR_CHECKED;
// Takes in what the table has and the state has not, up to `ledger`, which was read from the table
// (`property`: its text, NULL = the table has none), and by place also the rows that were moved. No
// batch may be open; lanes may go on judging.
// NOT_FOUND: the state does not continue this table (rolled back, or too far behind):
// mor_local_state_reset first.
enum mor_status mor_local_state_catch_up(struct mor_local_state *local,
                                         const struct mor_ledger *ledger, const char *property,
                                         struct mor_error *err) MOR_CHECKED;
// Sets the state aside and starts an empty one. No lane may judge meanwhile, no batch may be open;
// every run that is open must be forgotten and its records read again.
enum mor_status mor_local_state_reset(struct mor_local_state *local,
                                      struct mor_error *err) MOR_CHECKED;
// The changes of keys that the table has and the state has not, while a batch is open. NOT_FOUND as
// for catching up, and when more rows were moved than belong into memory twice.
enum mor_status mor_local_state_overlay(struct mor_local_state *local,
                                        const struct mor_ledger *ledger, const char *version,
                                        struct mor_key_overlay *overlay,
                                        struct mor_error *err) MOR_CHECKED;
// The commit `version` of the batch is in the table with this ledger. `continues`: its base is what
// the state had taken in; otherwise only catching up moves the mark. The batch is freed on OK.
enum mor_status mor_local_state_apply(struct mor_local_state *local, struct mor_state_batch *batch,
                                      const char *version, const struct mor_ledger *ledger,
                                      const char *property, bool continues,
                                      struct mor_error *err) MOR_CHECKED;
// Drops attachments that nobody needs any more, every few minutes. `ledger` as the table states it.
enum mor_status mor_local_state_tidy(struct mor_local_state *local, const struct mor_ledger *ledger,
                                     struct mor_error *err) MOR_CHECKED;

#endif
