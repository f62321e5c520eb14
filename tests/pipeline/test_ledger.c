#include "check.h"
#include "ledger.h"
#include "moraine/source.h"

static struct mor_ledger sample_ledger(void)
{
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    (void)snprintf(ledger.cluster_id, sizeof ledger.cluster_id, "cluster \"one\"");
    (void)snprintf(ledger.topic_id, sizeof ledger.topic_id, "AAAAB3NzaC1yc2E");
    struct mor_progress *progress = mor_ledger_partition(&ledger, 11);
    progress->next_offset = 90;
    progress->leader_epoch = 4;
    progress = mor_ledger_partition(&ledger, 2);
    progress->next_offset = 250;
    progress->watermark_ms = -5;
    (void)mor_ledger_partition(&ledger, 7); // assigned, nothing committed yet
    ledger.watermark_ms = -5;
    ledger.dedup_salt = 0xfeedface12345678;
    ledger.number = 17;
    ledger.keys = (struct mor_kept_keys){3, 9, 1767225600000, 4096};
    mor_ledger_set_letters(&ledger, "host-1", 1234);
    mor_ledger_set_letters(&ledger, "host \"2\"", 0);
    mor_ledger_partition(&ledger, 11)->idle = true;
    return ledger;
}

static struct mor_commit_facts sample_facts(const struct mor_range *ranges, size_t count)
{
    return (struct mor_commit_facts){
        .batch_id = mor_uuid_v7(),
        .instance = "host-1",
        .topic = "orders",
        .ranges = ranges,
        .range_count = count,
        .outcomes = {
            .read = 148, .inserted = 100, .updated = 40, .deleted = 5, .dead = 3, .gap = 2}};
}

static void a_ledger_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = sample_ledger(), back;
    const struct mor_range ranges[] = {
        {.partition = 2, .start = 100, .end = 250, .digest = {0x1234, 0xabcd}},
        {.partition = 11, .start = 90, .end = 90}};
    struct mor_commit_facts facts = sample_facts(ranges, 2);
    MOR_AUTO_BUFFER json = {0};
    mor_ledger_format(&ledger, &facts, &json);
    char expected[MOR_UUID_TEXT_SIZE];
    assert_ok(mor_ledger_parse((const char *)json.data, &back, &err));
    mor_uuid_format(&facts.batch_id, expected);
    assert_string_equal(back.batch_id, expected);
    assert_string_equal(back.cluster_id, ledger.cluster_id);
    assert_string_equal(back.topic_id, ledger.topic_id);
    assert_int_equal(back.watermark_ms, -5);
    assert_int_equal(mor_ledger_letters(&back, "host-1"), 1234);
    assert_int_equal(mor_ledger_letters(&back, "host \"2\""), 0);
    assert_int_equal(mor_ledger_letters(&back, "host-3"), -1);
    assert_true(back.dedup_salt == 0xfeedface12345678);
    assert_int_equal(back.number, 17);
    assert_memory_equal(&back.keys, &ledger.keys, sizeof back.keys);
    assert_true(mor_ledger_find(&back, 11)->idle);
    assert_false(mor_ledger_find(&back, 2)->idle);
    assert_int_equal(back.progress_count, 2);
    assert_int_equal(mor_ledger_find(&back, 2)->next_offset, 250);
    assert_int_equal(mor_ledger_find(&back, 2)->watermark_ms, -5);
    assert_int_equal(mor_ledger_find(&back, 2)->leader_epoch, -1);
    assert_int_equal(mor_ledger_find(&back, 11)->leader_epoch, 4);
    assert_true(mor_ledger_find(&back, 11)->watermark_ms == NO_WATERMARK);
    assert_null(mor_ledger_find(&back, 7));
    assert_non_null(strstr((const char *)json.data, "\"ranges\":{\"2\":[100,250],\"11\":[90,90]}"));
    assert_non_null(
        strstr((const char *)json.data, "\"digest\":{\"2\":\"000000000000abcd0000000000001234\""));
    mor_ledger_done(&ledger);
    mor_ledger_done(&back);
}

static void changes_of_keys_are_kept_for_a_while(void **state)
{
    (void)state;
    const int64_t hour_ms = 3600000;
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    for (ledger.number = 5; ledger.number < 1005; ledger.number++)
        mor_ledger_keep_keys(&ledger, 100, ledger.number * 10000);
    assert_int_equal(ledger.keys.from, 5);
    assert_int_equal(ledger.keys.next, 5);
    assert_int_equal(ledger.keys.next_bytes, 100000);
    mor_ledger_keep_keys(&ledger, 100, 1005 * 10000); // enough of them, for long enough
    assert_int_equal(ledger.keys.from, 5);
    assert_int_equal(ledger.keys.next, 1005);
    ledger.number = 3000; // not for an hour
    mor_ledger_keep_keys(&ledger, 100, 1005 * 10000 + hour_ms - 1);
    assert_int_equal(ledger.keys.next, 1005);
    ledger.number++;
    mor_ledger_keep_keys(&ledger, 100, 1005 * 10000 + hour_ms);
    assert_int_equal(ledger.keys.from, 1005);
    assert_int_equal(ledger.keys.next, 3001);
    mor_ledger_keep_keys(&ledger, (int64_t)1 << 30, 1005 * 10000 + hour_ms);
    ledger.number++; // too many bytes
    mor_ledger_keep_keys(&ledger, 100, 1005 * 10000 + hour_ms);
    assert_int_equal(ledger.keys.from, 3001);
    assert_int_equal(ledger.keys.next, 3002);
    mor_ledger_done(&ledger);
}

static void a_table_without_a_ledger_has_an_empty_one(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger back;
    assert_ok(mor_ledger_parse(NULL, &back, &err));
    assert_int_equal(back.progress_count, 0);
    assert_true(back.watermark_ms == NO_WATERMARK);
    mor_ledger_done(&back);
}

static void the_tables_watermark_is_the_least_of_partitions_that_are_not_idle(void **state)
{
    (void)state;
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    mor_ledger_partition(&ledger, 0)->watermark_ms = 500;
    mor_ledger_partition(&ledger, 1)->watermark_ms = 300;
    (void)mor_ledger_partition(&ledger, 2);
    mor_ledger_advance_watermark(&ledger);
    assert_int_equal(ledger.watermark_ms, 300);
    mor_ledger_partition(&ledger, 1)->idle = true;
    mor_ledger_advance_watermark(&ledger);
    assert_int_equal(ledger.watermark_ms, 500);
    // it wakes up with old records and pulls nothing back
    const struct mor_range old = {
        .partition = 1, .end = 7, .leader_epoch = -1, .highest_ms = 410, .records = 3};
    mor_ledger_follow(&ledger, &old, 10);
    assert_false(mor_ledger_find(&ledger, 1)->idle);
    assert_int_equal(mor_ledger_find(&ledger, 1)->watermark_ms, 400);
    assert_int_equal(mor_ledger_find(&ledger, 1)->next_offset, 7);
    mor_ledger_advance_watermark(&ledger);
    assert_int_equal(ledger.watermark_ms, 500);
    // nothing is on its way any more
    mor_ledger_partition(&ledger, 1)->watermark_ms = 700;
    mor_ledger_partition(&ledger, 0)->idle = true;
    mor_ledger_partition(&ledger, 1)->idle = true;
    mor_ledger_advance_watermark(&ledger);
    assert_int_equal(ledger.watermark_ms, 700);
    mor_ledger_done(&ledger);
}

static void the_checkpoint_names_topic_and_next_offsets(void **state)
{
    (void)state;
    struct mor_ledger ledger = sample_ledger();
    MOR_AUTO_BUFFER text = {0};
    mor_ledger_format_checkpoint(&ledger, "orders", &text);
    assert_string_equal((const char *)text.data, "orders,2:250,11:90");
    mor_ledger_done(&ledger);
}

static void what_is_not_a_ledger_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "x",
        "[]",
        "{\"v\":2,\"offsets\":{}}",
        "{\"v\":1}",
        "{\"v\":1,\"offsets\":{\"x\":[1,1]}}",
        "{\"v\":1,\"offsets\":{\"0\":[-1,1]}}",
        "{\"v\":1,\"offsets\":{\"0\":5}}",
        "{\"v\":1,\"offsets\":{},\"idle\":[-1]}",
        "{\"v\":1,\"offsets\":{},\"watermarks_ms\":{\"0\":\"now\"}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_ledger ledger;
        assert_fails(mor_ledger_parse(wrong[i], &ledger, &err), MOR_FATAL, "moraine");
    }
}

static void sums_that_do_not_close_stop_the_commit(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    const struct mor_range ranges[] = {{.partition = 0, .start = 100, .end = 250}};
    struct mor_commit_facts facts = sample_facts(ranges, 1);
    assert_ok(mor_ledger_check(&facts, &err));
    facts.outcomes.gap--;
    assert_fails(mor_ledger_check(&facts, &err), MOR_FATAL, "does not close");
    facts.outcomes.gap++;
    facts.outcomes.inserted--;
    assert_fails(mor_ledger_check(&facts, &err), MOR_FATAL, "does not close");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_reads_back_as_it_was_written),
        cmocka_unit_test(changes_of_keys_are_kept_for_a_while),
        cmocka_unit_test(a_table_without_a_ledger_has_an_empty_one),
        cmocka_unit_test(the_tables_watermark_is_the_least_of_partitions_that_are_not_idle),
        cmocka_unit_test(the_checkpoint_names_topic_and_next_offsets),
        cmocka_unit_test(what_is_not_a_ledger_is_refused),
        cmocka_unit_test(sums_that_do_not_close_stop_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
