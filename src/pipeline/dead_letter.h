// Records that cannot become rows, kept aside: one append-only file of JSON lines per topic under
// the state directory, made durable before the commit that passes them.
//
// A line:
// {"topic":…,"partition":…,"offset":…,"timestamp_ms":…,"time":"…","stage":"decode","reason":"…",
//          "key":"<base64>" or null,"value":"<base64>" or null}
//
// The commit's ledger states the length of the file, so lines of a commit that never came to be are
// cut off at start: every dead record stands in the file once.
#ifndef MORAINE_PIPELINE_DEAD_LETTER_H
#define MORAINE_PIPELINE_DEAD_LETTER_H

#include "moraine/base/memory.h"
#include "moraine/base/record.h"
#include "moraine/base/status.h"

// Appends the line of a record to `lines`.
void mor_dead_letter_format(struct mor_buffer *lines, const char *topic,
                            const struct mor_record *record, const char *stage, const char *reason);

// The file of one topic; the committer's thread only.
struct mor_dead_letters;
// Opens or creates <state_dir>/dead_letters/<topic>.jsonl and cuts it to `committed_bytes` (-1 =
// the table does not say, nothing is cut; longer than the file = somebody moved it away, start
// anew).
enum mor_status mor_dead_letters_open(const char *state_dir, const char *topic,
                                      int64_t committed_bytes,
                                      struct mor_dead_letters **ret_letters,
                                      struct mor_error *err) MOR_CHECKED;
void mor_dead_letters_free(struct mor_dead_letters *letters);
// Length that the next commit may count on.
int64_t mor_dead_letters_bytes(const struct mor_dead_letters *letters);
// Replaces everything after the committed length by `lines` and makes it durable; *ret_bytes is the
// length then. Calling it again for a repeated attempt of the same commit is right.
enum mor_status mor_dead_letters_write(struct mor_dead_letters *letters,
                                       const struct mor_buffer *lines, int64_t *ret_bytes,
                                       struct mor_error *err) MOR_CHECKED;
// The commit that counts on `bytes` is in the table.
void mor_dead_letters_committed(struct mor_dead_letters *letters, int64_t bytes);

#endif
