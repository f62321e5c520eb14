#include "state_fixture.h"

static void an_id_is_new_once(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *first = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW);
    struct mor_dedup_run *second = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_IN_FLIGHT);
    struct mor_dedup_run *runs[] = {first, second};
    const struct mor_dedup_correction *corrections;
    size_t count;
    apply(&f, begin(&f, runs, 2, NULL, 0, &corrections, &count), INT64_MIN);
    assert_int_equal(count, 0);
    mor_state_dedup_forget(f.state, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_STATE));
    fixture_done(&f);
}

static void ids_of_one_chunk_are_judged_in_order_and_skipped_rows_left_alone(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_hash128 ids[] = {id_of(1), id_of(2), id_of(1), id_of(2), {0, 0}, {0, 0}};
    int64_t times[] = {5, 5, 5, 5, 5, 5};
    uint8_t verdicts[] = {MOR_DEDUP_ASK, MOR_DEDUP_SKIP, MOR_DEDUP_ASK,
                          MOR_DEDUP_ASK, MOR_DEDUP_ASK,  MOR_DEDUP_ASK};
    struct mor_dedup_run *run;
    assert_ok(mor_state_dedup(f.state, ids, times, verdicts, 6, &run, &err));
    const uint8_t expected[] = {MOR_DEDUP_NEW, MOR_DEDUP_SKIP, MOR_DEDUP_IN_FLIGHT,
                                MOR_DEDUP_NEW, MOR_DEDUP_NEW,  MOR_DEDUP_IN_FLIGHT};
    assert_memory_equal(verdicts, expected, 6);
    apply_run(&f, run, INT64_MIN);
    fixture_reopen(&f);
    memset(verdicts, MOR_DEDUP_ASK, sizeof verdicts);
    assert_ok(mor_state_dedup(f.state, ids, times, verdicts, 6, &run, &err));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(verdicts[i], MOR_DEDUP_STATE);
    mor_state_dedup_forget(f.state, run);
    fixture_done(&f);
}

static void an_empty_chunk_makes_an_empty_run(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *run;
    assert_ok(mor_state_dedup(f.state, NULL, NULL, NULL, 0, &run, &err));
    apply_run(&f, run, INT64_MIN);
    fixture_done(&f);
}

static void a_forgotten_run_leaves_nothing_behind(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    mor_state_dedup_forget(f.state, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW));
    mor_state_dedup_forget(f.state, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW));
    mor_state_dedup_forget(f.state, NULL);
    fixture_done(&f);
}

// An assignment is lost and comes back: its records are read again while the first reading is still
// in memory. They are no duplicates of themselves.
static void records_read_again_are_not_duplicates_of_themselves(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *old = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW);
    struct mor_dedup_run *again = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_IN_FLIGHT);
    const struct mor_dedup_correction *corrections;
    size_t count;
    struct mor_state_batch *batch = begin(&f, &again, 1, &old, 1, &corrections, &count);
    assert_int_equal(count, 1);
    assert_int_equal(corrections[0].run, 0);
    assert_int_equal(corrections[0].row, 0);
    assert_int_equal(corrections[0].verdict, MOR_DEDUP_NEW);
    apply(&f, batch, INT64_MIN);
    fixture_reopen(&f);
    mor_state_dedup_forget(f.state, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_STATE));
    fixture_done(&f);
}

// Lane 0 is cut first and goes on; lane 1 then finds an id that lane 0 already read for the next
// commit. Were lane 1's row dropped as its duplicate, this commit would pass the record and the
// next one might never come.
static void a_row_does_not_rest_on_a_later_commit(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *later = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW);
    struct mor_dedup_run *earlier = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_IN_FLIGHT);
    const struct mor_dedup_correction *corrections;
    size_t count;
    struct mor_state_batch *batch = begin(&f, &earlier, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 1);
    assert_int_equal(corrections[0].verdict, MOR_DEDUP_NEW);
    apply(&f, batch, INT64_MIN);
    batch = begin(&f, &later, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 1);
    assert_int_equal(corrections[0].verdict, MOR_DEDUP_STATE);
    apply(&f, batch, INT64_MIN);
    fixture_done(&f);
}

static void a_row_that_lost_to_a_dropped_batch_is_the_original_again(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *later = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW);
    struct mor_dedup_run *earlier = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_IN_FLIGHT);
    const struct mor_dedup_correction *corrections;
    size_t count;
    mor_state_batch_drop(f.state, begin(&f, &earlier, 1, NULL, 0, &corrections, &count));
    struct mor_state_batch *batch = begin(&f, &later, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 0);
    apply(&f, batch, INT64_MIN);
    mor_state_dedup_forget(f.state, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_STATE));
    fixture_done(&f);
}

static void duplicates_of_a_dropped_batch_become_new(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_state_batch *batch = begin_plain(&f, judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW));
    struct mor_dedup_run *next = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_IN_FLIGHT);
    mor_state_batch_drop(f.state, batch);
    const struct mor_dedup_correction *corrections;
    size_t count;
    batch = begin(&f, &next, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 1);
    assert_int_equal(corrections[0].verdict, MOR_DEDUP_NEW);
    apply(&f, batch, INT64_MIN);
    fixture_done(&f);
}

// Catching up brings an id that a chunk has put in as new: the table knows better.
static void a_loaded_id_wins_over_one_in_flight(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_dedup_run *run = judge_one(&f, 1, HOUR_MS, MOR_DEDUP_NEW);
    struct mor_hash128 id = id_of(1);
    int64_t time = HOUR_MS;
    struct mor_state_mark mark = mark_of(&f, INT64_MIN);
    assert_ok(mor_state_load_begin(f.state, INT64_MIN, &err));
    assert_ok(mor_state_load_ids(f.state, &id, &time, 1, &err));
    assert_ok(mor_state_load_finish(f.state, &mark, &err));
    const struct mor_dedup_correction *corrections;
    size_t count;
    struct mor_state_batch *batch = begin(&f, &run, 1, NULL, 0, &corrections, &count);
    assert_int_equal(count, 1);
    assert_int_equal(corrections[0].verdict, MOR_DEDUP_STATE);
    apply(&f, batch, INT64_MIN);
    fixture_done(&f);
}

static void check_window(struct fixture *f)
{
    // ids in hours 0..39, watermark 36: hours before 36 - 16 = 20 are outside of the window
    for (int hour = 0; hour < 40; hour++)
        apply_run(f, judge_one(f, (uint64_t)hour, hour * HOUR_MS, MOR_DEDUP_NEW),
                  (hour - 3) * HOUR_MS);
    for (int restart = 0; restart < 2; restart++) {
        for (int hour = 0; hour < 40; hour++) {
            bool alive = hour >= 20;
            mor_state_dedup_forget(f->state,
                                   judge_one(f, (uint64_t)hour, hour * HOUR_MS,
                                             alive ? MOR_DEDUP_STATE : MOR_DEDUP_TOO_OLD));
            mor_state_dedup_forget(f->state, judge_one(f, (uint64_t)hour, 39 * HOUR_MS,
                                                       alive ? MOR_DEDUP_STATE : MOR_DEDUP_NEW));
        }
        struct mor_state_status status;
        mor_state_status(f->state, &status);
        assert_int_equal(status.dedup_entries, 20);
        assert_int_equal(status.bucket_count, 20);
        assert_true(status.sorted_run_count <= 24); // dropped from the disk two commits later
        fixture_reopen(f);
    }
}

static void a_bucket_is_dropped_when_the_watermark_passes_its_window(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    check_window(&f);
    fixture_done(&f);
}

static void buckets_are_dropped_with_filters_too(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    mor_state_free(f.state);
    f.options.share_bytes = 1;
    fixture_open(&f);
    check_window(&f);
    struct mor_state_status status;
    mor_state_status(f.state, &status);
    assert_true(status.dedup_is_filtered);
    fixture_done(&f);
}

// The id was judged inside the window; by the time its duplicate is settled the watermark has
// passed. It is a duplicate all the same.
static void a_duplicate_stays_one_when_the_watermark_passes_meanwhile(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_state_batch *batch = begin_plain(&f, judge_one(&f, 1, 0, MOR_DEDUP_NEW));
    struct mor_dedup_run *next = judge_one(&f, 1, 0, MOR_DEDUP_IN_FLIGHT);
    apply(&f, batch, 100 * HOUR_MS);
    // makes the table of the shard grow, and with it purge
    static uint8_t verdicts[ROWS_MAX];
    struct mor_dedup_run *others = judge(&f, 1000, ROWS_MAX, 100 * HOUR_MS, verdicts);
    apply_run(&f, next, 100 * HOUR_MS); // no correction
    apply_run(&f, others, 100 * HOUR_MS);
    fixture_done(&f);
}

static void extreme_event_times_are_remembered_at_least_as_long_as_they_should(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    const int64_t times[] = {INT64_MIN, -1, 0, INT64_MAX / 2, INT64_MAX};
    for (uint64_t i = 0; i < 5; i++)
        apply_run(&f, judge_one(&f, i, times[i], MOR_DEDUP_NEW), INT64_MIN);
    for (uint64_t i = 0; i < 5; i++)
        mor_state_dedup_forget(f.state, judge_one(&f, i, times[i], MOR_DEDUP_STATE));
    apply_run(&f, judge_one(&f, 9, INT64_MAX, MOR_DEDUP_NEW), INT64_MAX);
    mor_state_dedup_forget(f.state, judge_one(&f, 4, INT64_MAX, MOR_DEDUP_STATE));
    fixture_done(&f);
}

// A thousand event times in one commit do not make a thousand sorted runs.
static void many_buckets_in_one_commit_share_a_run(void **context)
{
    (void)context;
    for (size_t share = 0; share < 2; share++) {
        struct fixture f;
        fixture_init(&f);
        mor_state_free(f.state);
        f.options.share_bytes = share;
        fixture_open(&f);
        struct mor_hash128 ids[1000];
        int64_t times[1000];
        uint8_t verdicts[1000];
        for (uint64_t i = 0; i < 1000; i++) {
            ids[i] = id_of(i);
            times[i] = (int64_t)i * HOUR_MS;
            verdicts[i] = MOR_DEDUP_ASK;
        }
        struct mor_dedup_run *run;
        assert_ok(mor_state_dedup(f.state, ids, times, verdicts, 1000, &run, &err));
        apply_run(&f, run, 500 * HOUR_MS);
        for (int restart = 0; restart < 2; restart++) {
            struct mor_state_status status;
            mor_state_status(f.state, &status);
            assert_int_equal(status.sorted_run_count, 1);
            for (uint64_t i = 0; i < 1000; i++)
                mor_state_dedup_forget(f.state,
                                       judge_one(&f, i, 600 * HOUR_MS,
                                                 i < 500 - 16 ? MOR_DEDUP_NEW : MOR_DEDUP_STATE));
            fixture_reopen(&f);
        }
        fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_new_once),
        cmocka_unit_test(ids_of_one_chunk_are_judged_in_order_and_skipped_rows_left_alone),
        cmocka_unit_test(an_empty_chunk_makes_an_empty_run),
        cmocka_unit_test(a_forgotten_run_leaves_nothing_behind),
        cmocka_unit_test(records_read_again_are_not_duplicates_of_themselves),
        cmocka_unit_test(a_row_does_not_rest_on_a_later_commit),
        cmocka_unit_test(a_row_that_lost_to_a_dropped_batch_is_the_original_again),
        cmocka_unit_test(duplicates_of_a_dropped_batch_become_new),
        cmocka_unit_test(a_loaded_id_wins_over_one_in_flight),
        cmocka_unit_test(a_bucket_is_dropped_when_the_watermark_passes_its_window),
        cmocka_unit_test(buckets_are_dropped_with_filters_too),
        cmocka_unit_test(a_duplicate_stays_one_when_the_watermark_passes_meanwhile),
        cmocka_unit_test(extreme_event_times_are_remembered_at_least_as_long_as_they_should),
        cmocka_unit_test(many_buckets_in_one_commit_share_a_run),
    };
    return cmocka_run_group_tests_name("state dedup", tests, NULL, NULL);
}
