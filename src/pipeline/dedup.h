// Dedup by configured columns: the ids of rows, and what a commit carries of them.
#ifndef MORAINE_PIPELINE_DEDUP_H
#define MORAINE_PIPELINE_DEDUP_H

#include "attachment.h"
#include "moraine/column.h"
#include "moraine/state.h"

// Hash of the id of each of `count` rows from `first` on. A row whose id columns are all null has
// no id: verdicts[i] becomes MOR_DEDUP_SKIP. Rows that are not MOR_DEDUP_ASK are passed over.
void mor_dedup_hash(const struct mor_batch *rows, const int32_t *columns, size_t column_count,
                    uint64_t salt, size_t first, size_t count, uint8_t *verdicts,
                    struct mor_hash128 *ret_ids);

// Attachments of the ids that a commit brings; their note is the latest event time (ms) among them.
extern const struct mor_attachment_kind mor_dedup_attachments;
// The bytes for the commit of this batch; empty when it brings no new id.
void mor_dedup_attachment(const struct mor_state *state, const struct mor_state_batch *batch,
                          struct mor_buffer *ret_bytes);
// Loads the ids of an attachment, between mor_state_load_begin and _finish.
enum mor_status mor_dedup_load(struct mor_state *state, const struct mor_buffer *bytes,
                               struct mor_error *err) MOR_CHECKED;

#endif
