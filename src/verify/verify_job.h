// One run of the checker: what its parts share.
#ifndef MORAINE_VERIFY_JOB_H
#define MORAINE_VERIFY_JOB_H

#include "moraine/base/map.h"
#include "verify_ledger.h"

struct mor_verify_job {
    struct mor_table *table; // borrowed
    const struct mor_verify_options *options;
    struct mor_verify_report *report;
    struct mor_arena arena;
    struct mor_verify_ledger ledger;
    struct mor_map known; // versions from before the slices were listed: their rows must be there
    struct mor_slice *slices;
    size_t slice_count;
    struct mor_table_audit audit;
    struct mor_map stated; // key -> struct mor_stated_file
    struct mor_map
        deletes; // keys of delete files that were looked at: several slices may share one
};

// Reads of the snapshot that met an absent file come here: OK when the file is lost, RETRY when the
// table moved on and does not need it any more.
enum mor_status mor_verify_job_is_lost(struct mor_verify_job *job, const struct mor_slice *slice,
                                       struct mor_error *err) MOR_CHECKED;

// ---- verify_files.c -----------------------------------------------------------------------------

// What the audit remarked.
void mor_verify_files_audit(struct mor_verify_job *job);
// Base file and deltas of one slice, every byte of them.
enum mor_status mor_verify_files_slice(struct mor_verify_job *job, const struct mor_slice *slice,
                                       struct mor_error *err) MOR_CHECKED;

// What the table states of the values in its files.
enum mor_status mor_verify_files_values(struct mor_verify_job *job,
                                        struct mor_error *err) MOR_CHECKED;

// ---- verify_rows.c ------------------------------------------------------------------------------

struct mor_verify_rows;
struct mor_verify_rows *mor_verify_rows_new(struct mor_verify_job *job);
enum mor_status mor_verify_rows_slice(struct mor_verify_rows *rows, size_t slice_index,
                                      struct mor_error *err) MOR_CHECKED;
// After all slices: what the sums say.
enum mor_status mor_verify_rows_finish(struct mor_verify_rows *rows,
                                       struct mor_error *err) MOR_CHECKED;
void mor_verify_rows_free(struct mor_verify_rows *rows);

// ---- verify_kafka.c -----------------------------------------------------------------------------

enum mor_status mor_verify_kafka(struct mor_verify_job *job, struct mor_error *err) MOR_CHECKED;

#endif
