#include "state_fixture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

static size_t count_aside(const struct fixture *f)
{
    size_t count = 0;
    DIR *stream = opendir(f->folder);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        count += strncmp(entry->d_name, "data.bad-", 9) == 0;
    closedir(stream);
    return count;
}

static void a_new_state_is_fresh_and_has_no_mark(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_FRESH);
    assert_string_equal(f.outcome.reason, "");
    assert_null(mor_state_mark_of(f.state));
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_FRESH);
    assert_int_equal(count_aside(&f), 0);
    fixture_done(&f);
}

static void what_was_applied_is_there_after_a_restart(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    uint64_t salt = mor_state_salt(f.state);
    struct mor_state_batch *batch = begin_plain(&f, judge_one(&f, 7, HOUR_MS, MOR_DEDUP_NEW));
    put_key(batch, 1, 100);
    put_key(batch, 2, 200);
    put_entry(batch, 1, 101, UINT64_MAX);
    uint32_t name = mor_state_name_number(f.state, "part=a");
    apply(&f, batch, 2 * HOUR_MS);
    const struct mor_state_mark *mark = mor_state_mark_of(f.state);
    assert_string_equal(mark->version, "v1");
    struct mor_uuid batch_id = mark->batch_id;

    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_USABLE);
    assert_true(mor_state_salt(f.state) == salt);
    mark = mor_state_mark_of(f.state);
    assert_non_null(mark);
    assert_string_equal(mark->version, "v1");
    assert_int_equal(mark->offsets_size_bytes, 7);
    assert_memory_equal(mark->offsets, "{\"0\":1}", 7);
    assert_memory_equal(&mark->batch_id, &batch_id, sizeof batch_id);
    assert_int_equal(mark->watermark_ms, 2 * HOUR_MS);
    mor_state_dedup_forget(f.state, judge_one(&f, 7, HOUR_MS, MOR_DEDUP_STATE));
    mor_state_dedup_forget(f.state, judge_one(&f, 8, HOUR_MS, MOR_DEDUP_NEW));
    check_entry(&f, 1, 101, UINT64_MAX);
    check_entry(&f, 2, 200, 0);
    check_entry(&f, 3, MOR_STATE_NOWHERE, 0);
    assert_int_equal(mor_state_name_number(f.state, "part=a"), name);
    assert_string_equal(mor_state_name_text(f.state, name), "part=a");
    assert_null(mor_state_name_text(f.state, name + 1));
    fixture_done(&f);
}

static void names_keep_their_numbers_over_restarts_and_dropped_batches(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    char long_name[3000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(mor_state_name_number(f.state, "a"), 0);
    mor_state_batch_drop(f.state, begin_plain(&f, judge_one(&f, 1, 0, MOR_DEDUP_NEW)));
    assert_int_equal(mor_state_name_number(f.state, ""), 1);
    apply_run(&f, judge_one(&f, 1, 0, MOR_DEDUP_NEW), INT64_MIN);
    assert_int_equal(mor_state_name_number(f.state, long_name), 2);
    assert_int_equal(mor_state_name_number(f.state, "a"), 0);
    apply_run(&f, judge_one(&f, 2, 0, MOR_DEDUP_NEW), INT64_MIN);
    fixture_reopen(&f);
    assert_string_equal(mor_state_name_text(f.state, 0), "a");
    assert_string_equal(mor_state_name_text(f.state, 1), "");
    assert_string_equal(mor_state_name_text(f.state, 2), long_name);
    fixture_done(&f);
}

static void another_table_or_other_dedup_fields_set_the_state_aside(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    apply_run(&f, judge_one(&f, 1, 0, MOR_DEDUP_NEW), INT64_MIN);
    f.options.table = "table-2";
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    assert_non_null(strstr(f.outcome.reason, "another table"));
    assert_null(mor_state_mark_of(f.state));
    apply_run(&f, judge_one(&f, 1, 0, MOR_DEDUP_NEW), INT64_MIN);
    f.options.dedup_by = "event_id,source";
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    assert_non_null(strstr(f.outcome.reason, "dedup"));
    f.options.dedup_window_ms *= 2;
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    f.options.salt = 12345;
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    assert_non_null(strstr(f.outcome.reason, "salt"));
    assert_true(mor_state_salt(f.state) == 12345);
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_FRESH);
    f.options.index = false;
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    assert_int_equal(count_aside(&f), 2); // the newest two are kept
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_FRESH);
    fixture_done(&f);
}

static void a_second_process_is_refused(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_state *other = NULL;
    struct mor_state_outcome outcome;
    assert_fails(mor_state_open(&f.options, &other, &outcome, &err), MOR_RETRY, "in use");
    assert_null(other);
    fixture_done(&f);
}

static void impossible_options_are_refused(void **context)
{
    (void)context;
    struct mor_state *state = NULL;
    struct mor_state_outcome outcome;
    struct mor_state_options options = {.folder = "/proc/nowhere", .table = "t", .dedup_by = "a"};
    assert_fails(mor_state_open(&options, &state, &outcome, &err), MOR_FATAL, "window");
    options.dedup_window_ms = 1;
    options.folder = "";
    assert_fails(mor_state_open(&options, &state, &outcome, &err), MOR_FATAL, "folder");
    options.folder = "/proc/nowhere";
    assert_int_not_equal(mor_state_open(&options, &state, &outcome, &err), MOR_OK);
    assert_null(state);
}

static void a_reset_starts_empty_and_keeps_what_was_there(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_state_batch *batch = begin_plain(&f, judge_one(&f, 7, HOUR_MS, MOR_DEDUP_NEW));
    put_key(batch, 1, 100);
    mor_state_name_number(f.state, "gone");
    apply(&f, batch, 2 * HOUR_MS);
    struct mor_dedup_run *open_run = judge_one(&f, 8, HOUR_MS, MOR_DEDUP_NEW);
    assert_ok(mor_state_reset(f.state, &err));
    mor_state_dedup_forget(f.state, open_run);
    assert_null(mor_state_mark_of(f.state));
    assert_int_equal(count_aside(&f), 1);
    assert_null(mor_state_name_text(f.state, 0));
    assert_true(location_of(&f, 1) == MOR_STATE_NOWHERE);
    mor_state_dedup_forget(f.state, judge_one(&f, 7, HOUR_MS, MOR_DEDUP_NEW));
    mor_state_dedup_forget(f.state, judge_one(&f, 8, HOUR_MS, MOR_DEDUP_NEW));
    fixture_done(&f);
}

static void a_load_makes_a_fresh_state_usable(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    assert_ok(mor_state_load_begin(f.state, 20 * HOUR_MS, &err));
    for (int pass = 0; pass < 2; pass++) { // the same rows twice
        for (uint64_t i = 0; i < 1000; i++) {
            struct mor_hash128 id = id_of(i);
            int64_t time = (int64_t)(i % 30) * HOUR_MS;
            struct mor_state_entry entry = {i, 2 * i};
            assert_ok(mor_state_load_ids(f.state, &id, &time, 1, &err));
            if (i % 100 == 0)
                assert_ok(mor_state_load_keys(f.state, &id, &entry, 1, &err));
        }
    }
    struct mor_state_mark mark = mark_of(&f, 20 * HOUR_MS);
    assert_ok(mor_state_load_finish(f.state, &mark, &err));
    for (int restart = 0; restart < 2; restart++) {
        // ids before hour 4 are outside of the window
        mor_state_dedup_forget(f.state, judge_one(&f, 3, 10 * HOUR_MS, MOR_DEDUP_NEW));
        mor_state_dedup_forget(f.state, judge_one(&f, 3, 3 * HOUR_MS, MOR_DEDUP_TOO_OLD));
        mor_state_dedup_forget(f.state, judge_one(&f, 4, 10 * HOUR_MS, MOR_DEDUP_STATE));
        mor_state_dedup_forget(f.state, judge_one(&f, 29, 4 * HOUR_MS, MOR_DEDUP_STATE));
        check_entry(&f, 500, 500, 1000);
        fixture_reopen(&f);
        assert_int_equal(f.outcome.condition, MOR_STATE_USABLE);
    }
    fixture_done(&f);
}

// Keys [0, count) at the places `first`, `first` + 1, ...
static void load_places(struct fixture *f, uint64_t count, uint64_t first)
{
    for (uint64_t i = 0; i < count; i++) {
        struct mor_hash128 key = id_of(i);
        struct mor_state_entry entry = {first + i, 1};
        assert_ok(mor_state_load_keys(f->state, &key, &entry, 1, &err));
    }
}

static void keys_that_are_loaded_at_two_places_are_counted_while_watched(void **context)
{
    (void)context;
    struct fixture f;
    struct mor_state_twice twice = {0};
    fixture_init(&f);
    assert_ok(mor_state_load_begin(f.state, 20 * HOUR_MS, &err));
    struct mor_hash128 grave = id_of(999);
    struct mor_state_entry gone = {MOR_STATE_NOWHERE, 7};
    assert_ok(mor_state_load_keys(f.state, &grave, &gone, 1, &err));
    assert_ok(mor_state_load_watch(f.state, &err));
    load_places(&f, 1000, 5000);
    load_places(&f, 10, 5000); // the same places
    assert_ok(mor_state_load_watched(f.state, &twice, &err));
    assert_int_equal(twice.count, 0);
    // some known before, some for the first time
    assert_ok(mor_state_load_watch(f.state, &err));
    load_places(&f, 3, 9000);
    for (uint64_t place = 0; place < 3; place++) {
        struct mor_hash128 key = id_of(2000);
        struct mor_state_entry entry = {place, 1};
        assert_ok(mor_state_load_keys(f.state, &key, &entry, 1, &err));
    }
    assert_ok(mor_state_load_watched(f.state, &twice, &err));
    assert_int_equal(twice.count, 5);
    assert_true(twice.one != twice.other);
    // and not when nobody watches
    load_places(&f, 1000, 1);
    struct mor_state_mark mark = mark_of(&f, 20 * HOUR_MS);
    assert_ok(mor_state_load_finish(f.state, &mark, &err));
    check_entry(&f, 500, 501, 1);
    fixture_done(&f);
}

static void a_load_that_did_not_finish_is_not_trusted(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    struct mor_hash128 id = id_of(1);
    struct mor_state_entry entry = {5, 6};
    int64_t time = HOUR_MS;
    assert_ok(mor_state_load_begin(f.state, INT64_MIN, &err));
    assert_ok(mor_state_load_ids(f.state, &id, &time, 1, &err));
    while (status_of(&f).sorted_run_count == 0) { // until it writes what it has
        struct mor_hash128 keys[ROWS_MAX] = {id};
        struct mor_state_entry entries[ROWS_MAX] = {entry};
        assert_ok(mor_state_load_keys(f.state, keys, entries, ROWS_MAX, &err));
    }
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_FRESH);
    assert_int_equal(count_aside(&f), 1);
    assert_true(location_of(&f, 1) == MOR_STATE_NOWHERE);
    mor_state_dedup_forget(f.state, judge_one(&f, 1, time, MOR_DEDUP_NEW));
    fixture_done(&f);
}

static void memory_is_counted_and_given_back(void **context)
{
    (void)context;
    struct mor_budget budget;
    mor_budget_init(&budget, 1 << 30);
    struct fixture f;
    fixture_init(&f);
    mor_state_free(f.state);
    f.options.budget = &budget;
    fixture_open(&f);
    static uint8_t verdicts[ROWS_MAX];
    for (uint64_t i = 0; i < 50; i++)
        apply_run(&f, judge(&f, i * 1000, 1000, HOUR_MS, verdicts), INT64_MIN);
    struct mor_state_status status;
    mor_state_status(f.state, &status);
    assert_int_equal(status.dedup_entries, 50000);
    assert_int_equal(status.bucket_count, 1);
    assert_int_equal(status.sorted_run_count, 50);
    assert_true(status.memory_bytes >= 50000 * 24);
    assert_true(status.file_bytes >= 50000 * 16);
    assert_true(mor_budget_used(&budget) >= status.memory_bytes);
    mor_state_free(f.state);
    assert_int_equal(mor_budget_used(&budget), 0);
    fixture_open(&f);
    fixture_done(&f);
    assert_int_equal(mor_budget_used(&budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_state_is_fresh_and_has_no_mark),
        cmocka_unit_test(what_was_applied_is_there_after_a_restart),
        cmocka_unit_test(names_keep_their_numbers_over_restarts_and_dropped_batches),
        cmocka_unit_test(another_table_or_other_dedup_fields_set_the_state_aside),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(a_reset_starts_empty_and_keeps_what_was_there),
        cmocka_unit_test(a_load_makes_a_fresh_state_usable),
        cmocka_unit_test(keys_that_are_loaded_at_two_places_are_counted_while_watched),
        cmocka_unit_test(a_load_that_did_not_finish_is_not_trusted),
        cmocka_unit_test(memory_is_counted_and_given_back),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
