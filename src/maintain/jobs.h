// Jobs of one rewrite, done by several threads of low priority.
#ifndef MORAINE_MAINTAIN_JOBS_H
#define MORAINE_MAINTAIN_JOBS_H

#include <stdatomic.h>

#include "moraine/maintain.h"
#include "moraine/merge.h"

struct job_run {
    struct mor_table *table; // borrowed, as what lies below
    struct mor_rewrite *rewrite;
    const struct mor_compact_options *options;
    size_t job_count;
    // One job: reads, writes and finishes its file. Any thread.
    enum mor_status (*run)(struct job_run *run, size_t job, struct mor_error *err);
    void *context;
    struct mor_compact_report *report; // counts are added; guarded by the mutex while threads run
    size_t memory_bytes_max;           // of one job
    bool presses;                      // what waits piles up: not at the lowest priority any more

    atomic_size_t next;
    pthread_mutex_t mutex;
};

// Runs jobs [0, job_count). A job that fails is counted in the report; RETRY when it was asked to
// stop.
enum mor_status mor_jobs_run(struct job_run *run, struct mor_error *err) MOR_CHECKED;

// For jobs: takes the rest of what a job may use of the processor, and RETRY when it shall stop.
// Called between batches; *work_ns is the job's own, 0 at first.
enum mor_status mor_jobs_breathe(const struct job_run *run, int64_t *work_ns,
                                 struct mor_error *err) MOR_CHECKED;
// Bytes of a row group of the files that a job writes.
size_t mor_jobs_row_group_bytes(const struct job_run *run);

#endif
