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
    ledger.dead_letter_bytes = 1234;
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
    const struct mor_range ranges[] = {{2, 100, 250, {0x1234, 0xabcd}}, {11, 90, 90, {0, 0}}};
    struct mor_commit_facts facts = sample_facts(ranges, 2);
    MOR_AUTO_BUFFER json = {0};
    mor_ledger_format(&ledger, &facts, &json);
    char batch[MOR_UUID_TEXT_SIZE], expected[MOR_UUID_TEXT_SIZE];
    assert_ok(mor_ledger_parse((const char *)json.data, "host-1", &back, batch, &err));
    mor_uuid_format(&facts.batch_id, expected);
    assert_string_equal(batch, expected);
    assert_string_equal(back.cluster_id, ledger.cluster_id);
    assert_string_equal(back.topic_id, ledger.topic_id);
    assert_int_equal(back.watermark_ms, -5);
    assert_int_equal(back.dead_letter_bytes, 1234);
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

static void another_instances_dead_letters_do_not_count(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = sample_ledger(), back;
    struct mor_commit_facts facts = sample_facts(NULL, 0);
    MOR_AUTO_BUFFER json = {0};
    mor_ledger_format(&ledger, &facts, &json);
    assert_ok(mor_ledger_parse((const char *)json.data, "host-2", &back, NULL, &err));
    assert_int_equal(back.dead_letter_bytes, -1);
    mor_ledger_done(&ledger);
    mor_ledger_done(&back);
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
        "{\"v\":1,\"offsets\":{},\"watermarks_ms\":{\"0\":\"now\"}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_ledger ledger;
        assert_fails(mor_ledger_parse(wrong[i], "i", &ledger, NULL, &err), MOR_FATAL, "moraine");
    }
}

static void sums_that_do_not_close_stop_the_commit(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    const struct mor_range ranges[] = {{0, 100, 250, {0, 0}}};
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
        cmocka_unit_test(another_instances_dead_letters_do_not_count),
        cmocka_unit_test(the_checkpoint_names_topic_and_next_offsets),
        cmocka_unit_test(what_is_not_a_ledger_is_refused),
        cmocka_unit_test(sums_that_do_not_close_stop_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
