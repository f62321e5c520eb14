// A state in a fresh folder, and short ways to say what tests say often.
#ifndef MORAINE_TESTS_STATE_FIXTURE_H
#define MORAINE_TESTS_STATE_FIXTURE_H

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "moraine/base/fault.h" // before `err` below
#include "moraine/state.h"

#define HOUR_MS   3600000LL
#define WINDOW_MS (16 * HOUR_MS) // buckets of an hour
#define ROWS_MAX  4096

static struct mor_error err = MOR_ERROR_INIT;

struct fixture {
    char *folder;
    struct mor_state *state;
    struct mor_state_outcome outcome;
    struct mor_state_options options;
    int commits;
};

static inline void fixture_open(struct fixture *f)
{
    assert_ok(mor_state_open(&f->options, &f->state, &f->outcome, &err));
}

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.folder = check_folder()};
    f->options = (struct mor_state_options){.folder = f->folder,
                                            .table = "table-1",
                                            .dedup_by = "event_id",
                                            .dedup_window_ms = WINDOW_MS,
                                            .index = true,
                                            .map_size_bytes_first = 1 << 20,
                                            .merge_by_hand = true};
    fixture_open(f);
}

static inline void fixture_reopen(struct fixture *f)
{
    mor_state_free(f->state);
    f->state = NULL;
    fixture_open(f);
}

static inline void fixture_done(struct fixture *f)
{
    mor_state_free(f->state);
    char *command = NULL;
    assert_true(asprintf(&command, "rm -rf '%s'", f->folder) > 0);
    assert_int_equal(system(command), 0);
    free(command);
    free(f->folder);
}

static inline struct mor_hash128 id_of(uint64_t number)
{
    return mor_hash128(&number, sizeof number);
}

// Judges ids first, first + 1, ...; all with one event time.
static inline struct mor_dedup_run *judge(struct fixture *f, uint64_t first, size_t count,
                                          int64_t time_ms, uint8_t *verdicts)
{
    static _Thread_local struct mor_hash128 ids[ROWS_MAX];
    static _Thread_local int64_t times[ROWS_MAX];
    assert_true(count <= ROWS_MAX);
    for (size_t i = 0; i < count; i++) {
        ids[i] = id_of(first + i);
        times[i] = time_ms;
        verdicts[i] = MOR_DEDUP_ASK;
    }
    struct mor_dedup_run *run = NULL;
    assert_ok(mor_state_dedup(f->state, ids, times, verdicts, count, &run, &err));
    return run;
}

// Judges one id.
static inline struct mor_dedup_run *judge_one(struct fixture *f, uint64_t id, int64_t time_ms,
                                              enum mor_dedup_verdict expected)
{
    uint8_t verdict;
    struct mor_dedup_run *run = judge(f, id, 1, time_ms, &verdict);
    assert_int_equal(verdict, expected);
    return run;
}

static inline struct mor_state_mark mark_of(struct fixture *f, int64_t watermark_ms)
{
    static char version[32];
    (void)snprintf(version, sizeof version, "v%d", ++f->commits);
    return (struct mor_state_mark){.version = version,
                                   .offsets = "{\"0\":1}",
                                   .offsets_size_bytes = 7,
                                   .batch_id = mor_uuid_v7(),
                                   .watermark_ms = watermark_ms};
}

// Begins a batch; takes the runs.
static inline struct mor_state_batch *
begin(struct fixture *f, struct mor_dedup_run **runs, size_t count, struct mor_dedup_run **left_out,
      size_t left_out_count, const struct mor_dedup_correction **ret_corrections, size_t *ret_count)
{
    struct mor_state_batch *batch = NULL;
    assert_ok(mor_state_batch_begin(f->state, runs, count, left_out, left_out_count, &batch,
                                    ret_corrections, ret_count, &err));
    return batch;
}

static inline struct mor_state_batch *begin_plain(struct fixture *f, struct mor_dedup_run *run)
{
    const struct mor_dedup_correction *corrections;
    size_t count;
    struct mor_state_batch *batch = begin(f, &run, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 0);
    return batch;
}

static inline void apply(struct fixture *f, struct mor_state_batch *batch, int64_t watermark_ms)
{
    struct mor_state_mark mark = mark_of(f, watermark_ms);
    assert_ok(mor_state_batch_apply(f->state, batch, &mark, &err));
}

static inline void apply_run(struct fixture *f, struct mor_dedup_run *run, int64_t watermark_ms)
{
    apply(f, begin_plain(f, run), watermark_ms);
}

static inline struct mor_state_status status_of(struct fixture *f)
{
    struct mor_state_status status;
    mor_state_status(f->state, &status);
    return status;
}

static inline struct mor_state_entry entry_of(struct fixture *f, uint64_t key)
{
    struct mor_hash128 hash = id_of(key);
    struct mor_state_entry entry;
    assert_ok(mor_state_lookup(f->state, &hash, 1, &entry, &err));
    return entry;
}

static inline uint64_t location_of(struct fixture *f, uint64_t key)
{
    return entry_of(f, key).location;
}

static inline void put_entry(struct mor_state_batch *batch, uint64_t key, uint64_t location,
                             uint64_t ordering)
{
    struct mor_hash128 hash = id_of(key);
    struct mor_state_entry entry = {location, ordering};
    mor_state_batch_index(batch, &hash, &entry, 1);
}

static inline void put_key(struct mor_state_batch *batch, uint64_t key, uint64_t location)
{
    put_entry(batch, key, location, 0);
}

static inline void check_entry(struct fixture *f, uint64_t key, uint64_t location,
                               uint64_t ordering)
{
    struct mor_state_entry entry = entry_of(f, key);
    assert_int_equal(entry.location, location);
    assert_int_equal(entry.ordering, ordering);
}

#endif
