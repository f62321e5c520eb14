#include "state_fixture.h"

// Merges until nothing is left to merge; returns how often.
static size_t merge_all(struct fixture *f)
{
    size_t count = 0;
    for (bool merged = true; merged; count += merged)
        assert_ok(mor_state_merge(f->state, &merged, &err));
    return count;
}

static void the_number_of_runs_stays_small_and_no_entry_is_lost(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    static uint8_t verdicts[ROWS_MAX];
    for (uint64_t version = 0; version < 120; version++) {
        size_t rows = version % 10 == 0 ? ROWS_MAX : 30;
        struct mor_state_batch *batch =
            begin_plain(&f, judge(&f, version * ROWS_MAX, rows, HOUR_MS, verdicts));
        put_key(batch, version % 50, version);
        put_key(batch, 1000 + version, version);
        apply(&f, batch, INT64_MIN);
        (void)merge_all(&f);
        assert_in_range(status_of(&f).sorted_run_count, 1, 2 * 3 * 8);
    }
    assert_int_equal(status_of(&f).dedup_entries, 12 * ROWS_MAX + 108 * 30);
    for (int restart = 0; restart < 2; restart++) {
        for (uint64_t version = 0; version < 120; version++) {
            mor_state_dedup_forget(f.state, judge(&f, version * ROWS_MAX, 30, HOUR_MS, verdicts));
            for (size_t i = 0; i < 30; i++)
                assert_int_equal(verdicts[i], MOR_DEDUP_STATE);
            assert_true(location_of(&f, 1000 + version) == version);
            assert_true(location_of(&f, version % 50) ==
                        (version % 50 < 20 ? 100 + version % 50 : 50 + version % 50));
        }
        fixture_reopen(&f);
    }
    fixture_done(&f);
}

static void removed_keys_vanish_with_the_oldest_run(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    for (uint64_t version = 0; version < 16; version++) {
        struct mor_state_batch *batch =
            begin_plain(&f, judge_one(&f, version, HOUR_MS, MOR_DEDUP_NEW));
        for (uint64_t key = 0; key < 20; key++)
            put_key(batch, key, version == 15 ? MOR_STATE_NOWHERE : version);
        apply(&f, batch, INT64_MIN);
    }
    assert_int_equal(status_of(&f).index_entries, 16 * 20);
    assert_true(merge_all(&f) > 0);
    assert_int_equal(status_of(&f).index_entries, 0);
    fixture_reopen(&f);
    for (uint64_t key = 0; key < 20; key++)
        assert_true(location_of(&f, key) == MOR_STATE_NOWHERE);
    fixture_done(&f);
}

// One key is deleted at hour 10, then come commits without keys and with others.
static void dig_a_grave(struct fixture *f)
{
    struct mor_state_batch *batch = begin_plain(f, NULL);
    put_entry(batch, 1, 7, 70);
    apply(f, batch, 9 * HOUR_MS);
    check_entry(f, 1, 7, 70);
    batch = begin_plain(f, NULL);
    put_entry(batch, 1, MOR_STATE_NOWHERE, 80);
    apply(f, batch, 10 * HOUR_MS);
    check_entry(f, 1, MOR_STATE_NOWHERE, 80);
}

static void fill(struct fixture *f, int64_t watermark_ms)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct mor_state_batch *batch = begin_plain(f, NULL);
        put_entry(batch, 100 + i, i, i);
        apply(f, batch, watermark_ms);
    }
}

static void graves_stay_for_their_time_and_vanish_with_the_oldest_run(void **context)
{
    (void)context;
    for (size_t share = 0; share <= 1; share++) { // tables, filters
        struct fixture f;
        fixture_init(&f);
        f.options.grave_ms = 5 * HOUR_MS;
        f.options.share_bytes = share;
        fixture_reopen(&f);
        dig_a_grave(&f);
        fill(&f, 15 * HOUR_MS);
        assert_true(merge_all(&f) > 0);
        for (int restart = 0; restart < 2; restart++) {
            check_entry(&f, 1, MOR_STATE_NOWHERE, 80);
            fixture_reopen(&f);
        }
        apply(&f, begin_plain(&f, NULL), 15 * HOUR_MS + 1);
        check_entry(&f, 1, MOR_STATE_NOWHERE, 0);
        fixture_reopen(&f);
        check_entry(&f, 1, MOR_STATE_NOWHERE, 0);
        size_t before = status_of(&f).index_entries;
        fill(&f, 15 * HOUR_MS + 1);
        assert_true(merge_all(&f) > 0);
        assert_true(before >= 21);
        assert_int_equal(status_of(&f).index_entries, 20);
        fixture_reopen(&f);
        check_entry(&f, 1, MOR_STATE_NOWHERE, 0);
        check_entry(&f, 119, 19, 19);
        fixture_done(&f);
    }
}

static void graves_stay_for_ever_when_no_time_is_given(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    dig_a_grave(&f);
    fill(&f, INT64_MAX);
    assert_true(merge_all(&f) > 0);
    fixture_reopen(&f);
    check_entry(&f, 1, MOR_STATE_NOWHERE, 80);
    fixture_done(&f);
}

static void a_grave_from_before_any_watermark_stays(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    f.options.grave_ms = 1;
    fixture_reopen(&f);
    struct mor_state_batch *batch = begin_plain(&f, NULL);
    put_entry(batch, 1, MOR_STATE_NOWHERE, 80);
    apply(&f, batch, INT64_MIN);
    fill(&f, INT64_MAX);
    assert_true(merge_all(&f) > 0);
    check_entry(&f, 1, MOR_STATE_NOWHERE, 80);
    fixture_done(&f);
}

static void nothing_to_merge_is_no_error(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    assert_int_equal(merge_all(&f), 0);
    for (uint64_t i = 0; i < 7; i++)
        apply_run(&f, judge_one(&f, i, HOUR_MS, MOR_DEDUP_NEW), INT64_MIN);
    assert_int_equal(merge_all(&f), 0);
    fixture_done(&f);
}

// Larger than one piece: several transactions per merge.
static void a_large_merge_is_written_in_pieces(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_hash128 *keys = malloc(ROWS_MAX * sizeof *keys);
    struct mor_state_entry *entries = malloc(ROWS_MAX * sizeof *entries);
    assert_true(keys != NULL && entries != NULL);
    const uint64_t each = 12 * ROWS_MAX;
    for (uint64_t version = 0; version < 9; version++) {
        struct mor_state_batch *batch =
            begin_plain(&f, judge_one(&f, version, HOUR_MS, MOR_DEDUP_NEW));
        for (uint64_t done = 0; done < each; done += ROWS_MAX) {
            for (uint64_t i = 0; i < ROWS_MAX; i++) {
                entries[i] = (struct mor_state_entry){version * each + done + i, i};
                keys[i] = id_of(entries[i].location);
            }
            mor_state_batch_index(batch, keys, entries, ROWS_MAX);
        }
        apply(&f, batch, INT64_MIN);
    }
    assert_true(merge_all(&f) > 0);
    fixture_reopen(&f);
    for (uint64_t key = 0; key < 9 * each; key += 997)
        assert_true(location_of(&f, key) == key);
    assert_int_equal(status_of(&f).index_entries, 9 * each);
    free(keys);
    free(entries);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_runs_stays_small_and_no_entry_is_lost),
        cmocka_unit_test(removed_keys_vanish_with_the_oldest_run),
        cmocka_unit_test(graves_stay_for_their_time_and_vanish_with_the_oldest_run),
        cmocka_unit_test(graves_stay_for_ever_when_no_time_is_given),
        cmocka_unit_test(a_grave_from_before_any_watermark_stays),
        cmocka_unit_test(nothing_to_merge_is_no_error),
        cmocka_unit_test(a_large_merge_is_written_in_pieces),
    };
    return cmocka_run_group_tests_name("state merge", tests, NULL, NULL);
}
