// What commits carry besides rows for the local state: bytes with a head that tells what they are.
#ifndef MORAINE_PIPELINE_ATTACHMENT_H
#define MORAINE_PIPELINE_ATTACHMENT_H

#include "moraine/table.h"

// A kind of attachment.
struct mor_attachment_kind {
    const char *name; // of mor_write_attach
    char magic[8];
    const char *damaged; // what is lost when one is damaged, in words
};

// Starts an attachment; the body is appended to `bytes` behind what this puts there.
void mor_attachment_begin(struct mor_buffer *bytes);
// Ends it. `note`: a number that can be read without the body.
void mor_attachment_seal(const struct mor_attachment_kind *kind, int64_t note,
                         struct mor_buffer *bytes);
// Reads one; the body starts at ATTACHMENT_HEAD_BYTES. NOT_FOUND: it was dropped. FATAL: damaged.
#define ATTACHMENT_HEAD_BYTES 32
enum mor_status mor_attachment_read(struct mor_table *table, const struct mor_attachment_kind *kind,
                                    const char *key, struct mor_buffer *ret_bytes,
                                    struct mor_error *err) MOR_CHECKED;
// Drops those whose note is less than `least`, oldest first; the first one that stays ends the
// search, so notes should rise from commit to commit.
enum mor_status mor_attachments_drop(struct mor_table *table,
                                     const struct mor_attachment_kind *kind, int64_t least,
                                     struct mor_error *err) MOR_CHECKED;

#endif
