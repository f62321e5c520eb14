// Dedup by configured columns: the ids of rows, and the local state that remembers them.
//
// The ids that a commit brings are attached to it in the table, hashed with a salt that the table's
// ledger carries. The local state is rebuilt and caught up from these attachments, after a crash,
// when another instance has committed, and from nothing alike.
#ifndef MORAINE_PIPELINE_DEDUP_H
#define MORAINE_PIPELINE_DEDUP_H

#include <stdatomic.h>

#include "ledger.h"
#include "moraine/column.h"
#include "moraine/state.h"
#include "moraine/table.h"

// Hash of the id of each of `count` rows from `first` on. A row whose id columns are all null has
// no id: verdicts[i] becomes MOR_DEDUP_SKIP. Rows that are not MOR_DEDUP_ASK are passed over.
void mor_dedup_hash(const struct mor_batch *rows, const int32_t *columns, size_t column_count,
                    uint64_t salt, size_t first, size_t count, uint8_t *verdicts,
                    struct mor_hash128 *ret_ids);

struct mor_dedup_options {
    const char *state_dir;
    const char *topic;
    const char *location; // of the table
    const char *const *by;
    size_t by_count;
    int64_t window_ms;
    uint64_t salt; // of the table's ledger
    struct mor_budget *budget;
    size_t share_bytes;
};

struct mor_dedup {
    struct mor_state *state;
    struct mor_table *table; // borrowed
    uint64_t salt;
    int64_t window_ms;
    int64_t tidy_at_ms;  // monotonic: when attachments are looked through again
    atomic_bool damaged; // a lane found the state unusable
};

// Opens <state_dir>/state/<topic>. Committer, as all below. RETRY: disk full, somebody has it open.
enum mor_status mor_dedup_open(const struct mor_dedup_options *options, struct mor_table *table,
                               struct mor_dedup **ret_dedup, struct mor_state_outcome *ret_outcome,
                               struct mor_error *err) MOR_CHECKED;
void mor_dedup_free(struct mor_dedup *dedup);

// Takes in what the table has and the state has not, up to `ledger`, which was read from the table
// (`property`: its text, not NULL). No batch may be open; lanes may go on judging. NOT_FOUND: the
// state does not continue this table (rolled back, or too far behind): mor_dedup_reset first.
enum mor_status mor_dedup_catch_up(struct mor_dedup *dedup, const struct mor_ledger *ledger,
                                   const char *property, struct mor_error *err) MOR_CHECKED;
// Sets the state aside and starts an empty one. No lane may judge meanwhile, no batch may be open;
// every run that is open must be forgotten and its records read again.
enum mor_status mor_dedup_reset(struct mor_dedup *dedup, struct mor_error *err) MOR_CHECKED;
// The commit `version` of the batch is in the table with this ledger. `continues`: its base is what
// the state had taken in; otherwise only catching up moves the mark. The batch is freed on OK.
enum mor_status mor_dedup_apply(struct mor_dedup *dedup, struct mor_state_batch *batch,
                                const char *version, const struct mor_ledger *ledger,
                                const char *property, bool continues,
                                struct mor_error *err) MOR_CHECKED;
// Whether the state has taken in everything up to the ledger's commit.
bool mor_dedup_is_at(const struct mor_dedup *dedup, const struct mor_ledger *ledger);
// The bytes to attach to the commit of this batch; empty when it brings no new id.
void mor_dedup_attachment(const struct mor_dedup *dedup, const struct mor_state_batch *batch,
                          struct mor_buffer *ret_bytes);
#define DEDUP_ATTACHMENT "ids"
// Drops attachments whose ids the window has left behind, every few minutes.
enum mor_status mor_dedup_tidy(struct mor_dedup *dedup, int64_t watermark_ms,
                               struct mor_error *err) MOR_CHECKED;

#endif
