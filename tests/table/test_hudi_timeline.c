#include "table_test.h"

#include "hudi/hudi_timeline.h"
#include "moraine/base/clock.h"

static int store_setup(void **state)
{
    table_setup(state);
    struct table_fixture *fixture = *state;
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(fixture->location, true, &store, &fixture->err), MOR_OK);
    mor_store_free(store);
    return 0;
}

static struct hudi_timeline load(struct table_fixture *fixture, int layout,
                                 const char *const *names, size_t count)
{
    struct mor_store *store = NULL;
    struct hudi_timeline timeline = {0};
    assert_int_equal(mor_store_open(fixture->location, true, &store, &fixture->err), MOR_OK);
    for (size_t i = 0; i < count; i++) {
        char key[128];
        snprintf(key, sizeof key, "%s/%s", layout == 1 ? ".hoodie" : ".hoodie/timeline", names[i]);
        assert_int_equal(mor_store_put_new(store, key, "", 0, &fixture->err), MOR_OK);
    }
    assert_int_equal(hudi_timeline_load(&timeline, store, layout, &fixture->err), MOR_OK);
    mor_store_free(store);
    return timeline;
}

static void states_of_layout_1_are_told_apart(void **state)
{
    static const char *const names[] = {
        "20260101000000000.deltacommit.requested",
        "20260101000000000.deltacommit.inflight",
        "20260101000000000.deltacommit",
        "20260101000001000.deltacommit.requested",
        "20260101000001000.deltacommit.inflight",
        "20260101000002000.compaction.requested",
        "20260101000002000.compaction.inflight",
        "20260101000002000.commit",
        "20260101000003000.compaction.requested",
        "20260101000004000.inflight",
        "hoodie.properties",
        "20260101.deltacommit",
        "20260101000005000_20260101000006000.deltacommit",
    };
    struct hudi_timeline timeline = load(*state, 1, names, sizeof names / sizeof names[0]);
    assert_int_equal(timeline.count, 5);
    assert_true(hudi_timeline_is_committed(&timeline, "20260101000000000"));
    assert_false(hudi_timeline_is_committed(&timeline, "20260101000001000"));
    assert_true(hudi_timeline_is_committed(&timeline, "20260101000002000"));
    assert_false(hudi_timeline_is_committed(&timeline, "20260101000003000"));
    assert_false(hudi_timeline_is_committed(&timeline, "20260101000009000"));
    // before the timeline starts everything counts as committed
    assert_true(hudi_timeline_is_committed(&timeline, "20251231000000000"));
    assert_int_equal(timeline.instants[4].pending, HUDI_ACTION_COMMIT);
    hudi_timeline_done(&timeline);
}

static void completion_times_of_layout_2_are_read(void **state)
{
    static const char *const names[] = {
        "20260101000000000_20260101000005000.deltacommit", "20260101000001000.deltacommit.inflight",
        "20260101000002000.commit", // no completion: not of this layout
    };
    struct hudi_timeline timeline = load(*state, 2, names, 3);
    assert_int_equal(timeline.count, 2);
    assert_string_equal(hudi_timeline_completion(&timeline, "20260101000000000"),
                        "20260101000005000");
    assert_string_equal(timeline.last, "20260101000005000");
    hudi_timeline_done(&timeline);
}

static void digest_changes_with_completions_and_plans_only(void **state)
{
    static const char *const first[] = {"20260101000000000.deltacommit"};
    static const char *const pending[] = {"20260101000001000.deltacommit.inflight"};
    static const char *const plan[] = {"20260101000002000.compaction.requested"};
    struct hudi_timeline a = load(*state, 1, first, 1), b = load(*state, 1, pending, 1),
                         c = load(*state, 1, plan, 1);
    assert_int_equal(hudi_timeline_digest(&a), hudi_timeline_digest(&b));
    assert_int_not_equal(hudi_timeline_digest(&b), hudi_timeline_digest(&c));
    hudi_timeline_done(&a);
    hudi_timeline_done(&b);
    hudi_timeline_done(&c);
}

static void times_rise_even_when_the_clock_does_not(void **state)
{
    (void)state;
    char time[HUDI_TIME_SIZE], later[HUDI_TIME_SIZE];
    hudi_time_next("", time);
    assert_true(hudi_time_is_valid(time, strlen(time)));
    hudi_time_format(mor_clock_wall_ms() + 3600000, time);
    hudi_time_next(time, later);
    assert_int_equal(hudi_time_parse(later), hudi_time_parse(time) + 1);
    hudi_time_next("20991231235959", later);
    assert_string_equal(later, "21000101000000000");
    hudi_time_next("20991231235959999", later);
    assert_string_equal(later, "21000101000000000");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(states_of_layout_1_are_told_apart),
        TEST(completion_times_of_layout_2_are_read),
        TEST(digest_changes_with_completions_and_plans_only),
        cmocka_unit_test(times_rise_even_when_the_clock_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
