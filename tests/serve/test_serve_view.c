#include "check.h"
#include "serve_view.h"

// One topic with one partition, looked at again and again.
struct look {
    struct serve_memory memory;
    int64_t now_ms;
    enum mor_serve_state state;
    const char *name;
    int64_t low, high, table_offset, read, dead, commits;
    const char *trouble, *trouble_step; // NULL = none
};

static struct look look_new(void)
{
    return (struct look){.now_ms = 1000000,
                         .state = MOR_SERVE_RUNNING,
                         .name = "orders",
                         .low = 0,
                         .high = 100,
                         .table_offset = 100};
}

static struct serve_view *look_at(struct look *look)
{
    struct serve_view *view = serve_view_new(1700000000000 + look->now_ms, look->now_ms);
    mor_serve_snapshot_topics(&view->snapshot, 1);
    struct mor_serve_topic *topic = &view->snapshot.topics[0];
    topic->topic = look->name;
    topic->state = look->state;
    topic->step = "commit";
    topic->commit_interval_ms = 1000;
    topic->stuck_after_ms = 60000;
    topic->trouble_after_ms = 3000;
    topic->trouble = look->trouble != NULL ? look->trouble : "";
    topic->trouble_step = look->trouble != NULL ? look->trouble_step : "";
    topic->facts.read = look->read;
    topic->facts.dead = look->dead;
    topic->facts.commits = look->commits;
    mor_serve_topic_partitions(&view->snapshot, topic, 1);
    topic->partitions[0].low = look->low;
    topic->partitions[0].high = look->high;
    topic->partitions[0].table_offset = look->table_offset;
    serve_view_derive(&look->memory, view);
    return view;
}

// Looks, and tells the topic's view by value (texts are gone).
static struct serve_topic_view look_once(struct look *look)
{
    struct serve_view *view = look_at(look);
    struct serve_topic_view topic = view->topics[0];
    serve_view_unref(view);
    return topic;
}

static void lag_counts_records_between_table_and_end(void **state)
{
    (void)state;
    struct look look = look_new();
    assert_int_equal(look_once(&look).lag_records, 0);
    assert_int_equal(look_once(&look).lag.ms, 0);
    look.table_offset = 60;
    assert_int_equal(look_once(&look).lag_records, 40);
    look.table_offset = 120; // the end is older than the table
    assert_int_equal(look_once(&look).lag_records, 0);
    look.table_offset = MOR_SERVE_UNKNOWN; // nothing was ever committed
    look.low = 30;
    assert_int_equal(look_once(&look).lag_records, 70);
    look.table_offset = 10; // below what Kafka still has
    assert_int_equal(look_once(&look).lag_records, 70);
    serve_memory_done(&look.memory);
}

static void lag_is_unknown_without_the_end(void **state)
{
    (void)state;
    struct look look = look_new();
    look.high = MOR_SERVE_UNKNOWN;
    struct serve_topic_view topic = look_once(&look);
    assert_int_equal(topic.lag_records, MOR_SERVE_UNKNOWN);
    assert_int_equal(topic.lag.ms, MOR_SERVE_UNKNOWN);
    assert_true(topic.ready);
    serve_memory_done(&look.memory);
}

static void lag_in_seconds_is_a_lower_bound_for_records_older_than_the_program(void **state)
{
    (void)state;
    struct look look = look_new();
    look.table_offset = 0;
    (void)look_once(&look);
    look.now_ms += 7000;
    struct serve_topic_view topic = look_once(&look);
    assert_int_equal(topic.lag.ms, 7000);
    assert_true(topic.lag.at_least);
    serve_memory_done(&look.memory);
}

static void lag_in_seconds_is_the_age_of_the_first_record_that_is_missing(void **state)
{
    (void)state;
    struct look look = look_new();
    (void)look_once(&look);
    // 10 records per second for a minute, none of them committed; seen twice per second
    for (int i = 0; i < 120; i++) {
        look.now_ms += 500;
        look.high += 5;
        (void)look_once(&look);
    }
    struct serve_topic_view topic = look_once(&look);
    assert_int_equal(topic.lag_records, 600);
    assert_false(topic.lag.at_least);
    assert_in_range(topic.lag.ms, 59000, 60500);
    look.table_offset += 450; // 150 records are left: the last 15 seconds
    topic = look_once(&look);
    assert_in_range(topic.lag.ms, 14000, 16000);
    serve_memory_done(&look.memory);
}

static void lag_in_seconds_is_right_after_a_long_pause_of_the_producer(void **state)
{
    (void)state;
    struct look look = look_new();
    (void)look_once(&look);
    for (int i = 0; i < 100; i++) {
        look.now_ms += 60000;
        (void)look_once(&look);
    }
    look.high++;
    look.now_ms += 500;
    (void)look_once(&look);
    look.now_ms += 3000;
    struct serve_topic_view topic = look_once(&look);
    assert_int_equal(topic.lag_records, 1);
    assert_in_range(topic.lag.ms, 3000, 3500);
    serve_memory_done(&look.memory);
}

static void recreated_topic_starts_a_new_history_of_its_end(void **state)
{
    (void)state;
    struct look look = look_new();
    (void)look_once(&look);
    look.now_ms += 10000;
    look.high = 5;
    look.table_offset = 0;
    struct serve_topic_view topic = look_once(&look);
    assert_int_equal(topic.lag.ms, 0);
    assert_true(topic.lag.at_least);
    serve_memory_done(&look.memory);
}

static void memory_of_a_busy_partition_stays_bounded(void **state)
{
    (void)state;
    struct look look = look_new();
    for (int i = 0; i < 20000; i++) {
        look.now_ms += 500;
        look.high += 1;
        (void)look_once(&look);
    }
    assert_int_equal(look.memory.topics[0]->partitions[0].end_count, SERVE_ENDS_MAX);
    assert_int_equal(look.memory.topics[0]->point_count, SERVE_POINTS_MAX);
    struct serve_topic_view topic = look_once(&look);
    assert_true(topic.lag.at_least); // the record is older than what is remembered
    assert_true(topic.lag.ms > 300000);
    serve_memory_done(&look.memory);
}

static void rate_is_taken_over_some_commit_intervals(void **state)
{
    (void)state;
    struct look look = look_new();
    assert_true(look_once(&look).records_per_second < 0); // nothing to compare with
    for (int i = 1; i <= 40; i++) {
        look.now_ms += 500;
        if (i % 2 == 0)
            look.read += 1000; // a commit per second
        struct serve_topic_view topic = look_once(&look);
        if (i > 20)
            assert_true(topic.records_per_second > 850 && topic.records_per_second < 1150);
    }
    serve_memory_done(&look.memory);
}

static void topic_that_lags_and_does_not_move_is_stuck_until_it_moves(void **state)
{
    (void)state;
    struct look look = look_new();
    (void)look_once(&look);
    look.high = 200;
    look.now_ms += 60000;
    assert_true(look_once(&look).ready); // it has had nothing to do until now
    look.now_ms += 60000;
    assert_false(look_once(&look).ready);
    look.table_offset = 101;
    assert_true(look_once(&look).ready);
    look.now_ms += 61000;
    struct serve_view *view = look_at(&look);
    assert_false(view->ready);
    assert_false(view->topics[0].ready);
    assert_int_equal(view->topics[0].since_ms, view->time_ms - 61000);
    assert_string_equal(view->topics[0].what,
                        "stuck in step 'commit': 99 records wait and no commit came");
    assert_non_null(strstr(view->topics[0].words, "no commit came, since 20"));
    assert_non_null(strstr(view->topics[0].words, "(1 min 1 s)"));
    serve_view_unref(view);
    look.state = MOR_SERVE_PAUSED;
    assert_true(look_once(&look).ready);
    look.state = MOR_SERVE_RUNNING; // resumed: it gets its time again
    assert_true(look_once(&look).ready);
    serve_memory_done(&look.memory);
}

static void trouble_that_lasts_makes_a_topic_stuck_in_its_step(void **state)
{
    (void)state;
    struct look look = look_new();
    look.high = 200;
    (void)look_once(&look);
    look.trouble = "no space left";
    look.trouble_step = "upload";
    assert_true(look_once(&look).ready); // it may pass at once
    look.now_ms += 3000;
    struct serve_view *view = look_at(&look);
    assert_false(view->ready);
    assert_string_equal(view->topics[0].step, "upload");
    assert_string_equal(view->topics[0].what, "stuck in step 'upload'");
    assert_int_equal(view->topics[0].since_ms, view->time_ms - 3000);
    assert_non_null(strstr(view->topics[0].words, "Last error: no space left"));
    serve_view_unref(view);
    look.trouble = NULL;
    assert_true(look_once(&look).ready);
    serve_memory_done(&look.memory);
}

static void trouble_without_records_that_wait_counts_only_when_kafka_cannot_be_asked(void **state)
{
    (void)state;
    static const struct {
        const char *step;
        bool ready;
    } cases[] = {{"commit", true}, {"fetch", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct look look = look_new(); // caught up
        look.trouble = "gone";
        look.trouble_step = cases[i].step;
        (void)look_once(&look);
        look.now_ms += 10000;
        assert_int_equal(look_once(&look).ready, cases[i].ready);
        serve_memory_done(&look.memory);
    }
}

static void flood_of_dead_letters_is_named_and_passes(void **state)
{
    (void)state;
    struct look look = look_new();
    for (int i = 0; i < 10; i++, look.now_ms += 2000, look.read += 1000)
        assert_true(look_once(&look).ready);
    look.dead = 20000; // in one commit with as many good ones
    look.read += 30000;
    look.now_ms += 2000;
    struct serve_view *view = look_at(&look);
    assert_false(view->topics[0].ready);
    assert_string_equal(view->topics[0].step, "decode");
    assert_non_null(strstr(view->topics[0].what, "20000 of the last 40000 became dead letters"));
    serve_view_unref(view);
    look.read += 40000; // good ones again
    assert_true(look_once(&look).ready);
    serve_memory_done(&look.memory);
}

static void few_dead_letters_are_no_flood(void **state)
{
    (void)state;
    struct look look = look_new();
    (void)look_once(&look);
    look.read = look.dead = 99;
    look.now_ms += 2000;
    assert_true(look_once(&look).ready);
    serve_memory_done(&look.memory);
}

static void topic_that_starts_failed_or_stopped_is_not_ready(void **state)
{
    (void)state;
    static const struct {
        enum mor_serve_state state;
        const char *what;
    } cases[] = {{MOR_SERVE_STARTING, "not started yet, waits in step 'commit'"},
                 {MOR_SERVE_FAILED, "stopped by an error, an operator must act"},
                 {MOR_SERVE_STOPPED, "stopped"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct look look = look_new();
        look.state = cases[i].state;
        struct serve_view *view = look_at(&look);
        assert_false(view->ready);
        assert_string_equal(view->topics[0].what, cases[i].what);
        serve_view_unref(view);
        serve_memory_done(&look.memory);
    }
}

static void topics_that_are_gone_are_forgotten(void **state)
{
    (void)state;
    struct look look = look_new();
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        look.name = names[i];
        (void)look_once(&look);
    }
    assert_int_equal(look.memory.topic_count, 1);
    assert_string_equal(look.memory.topics[0]->topic, "d");
    serve_memory_done(&look.memory);
}

static void facts_start_unknown(void **state)
{
    (void)state;
    struct serve_view *view = serve_view_new(1, 1);
    mor_serve_snapshot_topics(&view->snapshot, 2);
    const struct mor_serve_facts *facts = &view->snapshot.topics[1].facts;
    assert_int_equal(facts->consumed_records, MOR_SERVE_UNKNOWN);
    assert_int_equal(facts->paused_partitions, MOR_SERVE_UNKNOWN);
    assert_int_equal(view->snapshot.topics[1].freshness.bound_count, 0);
    serve_view_unref(serve_view_ref(view));
    serve_view_unref(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lag_counts_records_between_table_and_end),
        cmocka_unit_test(lag_is_unknown_without_the_end),
        cmocka_unit_test(lag_in_seconds_is_a_lower_bound_for_records_older_than_the_program),
        cmocka_unit_test(lag_in_seconds_is_the_age_of_the_first_record_that_is_missing),
        cmocka_unit_test(lag_in_seconds_is_right_after_a_long_pause_of_the_producer),
        cmocka_unit_test(recreated_topic_starts_a_new_history_of_its_end),
        cmocka_unit_test(memory_of_a_busy_partition_stays_bounded),
        cmocka_unit_test(rate_is_taken_over_some_commit_intervals),
        cmocka_unit_test(topic_that_lags_and_does_not_move_is_stuck_until_it_moves),
        cmocka_unit_test(trouble_that_lasts_makes_a_topic_stuck_in_its_step),
        cmocka_unit_test(trouble_without_records_that_wait_counts_only_when_kafka_cannot_be_asked),
        cmocka_unit_test(flood_of_dead_letters_is_named_and_passes),
        cmocka_unit_test(few_dead_letters_are_no_flood),
        cmocka_unit_test(topic_that_starts_failed_or_stopped_is_not_ready),
        cmocka_unit_test(topics_that_are_gone_are_forgotten),
        cmocka_unit_test(facts_start_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
