#include <stdlib.h>
#include <string.h>

#include "source_rig.h"

static struct rig_cluster cluster;

static int start_cluster(void **state)
{
    (void)state;
    rig_cluster_start(&cluster, "orders", 4);
    return 0;
}

static int end_cluster(void **state)
{
    (void)state;
    rig_cluster_end(&cluster);
    return 0;
}

static int64_t sum_to(int64_t count)
{
    return count * (count - 1) / 2;
}

static void records_come_in_order_from_the_offsets_of_the_table(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 10);
    struct rig rig = {.table = &table};
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, 1000);
    struct mor_source_options options = rig_options(&rig, "orders", "g1");
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 4 * 990);
    rig_close(&rig);
    assert_int_equal(table.value_sum, 4 * (sum_to(1000) - sum_to(10)));
    assert_int_equal(table.stale_count, 0);
    assert_int_equal(table.gap_count, 0);
    assert_int_equal(rig.failure_count, 0);
    assert_int_equal(rig.assign_count, 1);
    assert_string_not_equal(rig.identity.cluster_id, "");
}

static void eager_assignor_works_as_well(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    const struct mor_source_property eager[] = {{"partition.assignment.strategy", "range"},
                                                {NULL, NULL}};
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, 500);
    struct mor_source_options options = rig_options(&rig, "orders", "g-eager");
    rig_open(&rig, &cluster, &options, eager);
    RIG_WAIT(rig_records(&table) == 4 * 500);
    // asked anew, and then read again from an older offset
    pthread_mutex_lock(&table.mutex);
    table.next[2] = 100;
    pthread_mutex_unlock(&table.mutex);
    mor_source_reassign(rig.source, 2);
    RIG_WAIT(rig_records(&table) == 4 * 500 + 400);
    rig_close(&rig);
    assert_int_equal(table.next[2], 500);
    assert_int_equal(table.value_sum, 4 * sum_to(500) + sum_to(500) - sum_to(100));
}

static void table_without_offsets_starts_at_the_beginning(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, MOR_OFFSET_NONE);
    struct rig rig = {.table = &table};
    rig_produce(&cluster, "orders", 1, 0, 100);
    struct mor_source_options options = rig_options(&rig, "orders", "g-first");
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 100);
    rig_close(&rig);
    assert_int_equal(table.next[1], 100);
    assert_int_equal(table.next[0], MOR_OFFSET_NONE);
}

static void latest_marks_its_start_and_reads_what_comes_after(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, MOR_OFFSET_NONE);
    struct rig rig = {.table = &table};
    rig_produce(&cluster, "orders", 1, 0, 100);
    struct mor_source_options options = rig_options(&rig, "orders", "g-latest");
    options.start = MOR_START_LATEST;
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(RIG_READ(&rig, rig.empty_count) == 4);
    assert_int_equal(RIG_READ(&rig, table.next[1]), 100);
    assert_int_equal(RIG_READ(&rig, table.next[0]), 0);
    rig_produce(&cluster, "orders", 1, 1000, 10);
    rig_produce(&cluster, "orders", 3, 0, 5);
    RIG_WAIT(rig_records(&table) == 15);
    rig_close(&rig);
    assert_int_equal(table.value_sum, 10045 + 10);
}

static void latest_reads_new_partitions_of_a_known_topic_from_their_beginning(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, MOR_OFFSET_NONE);
    struct rig rig = {.table = &table};
    table.next[0] = 0;
    rig_produce(&cluster, "orders", 1, 0, 100);
    struct mor_source_options options = rig_options(&rig, "orders", "g-grown");
    options.start = MOR_START_LATEST;
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 100);
    rig_close(&rig);
}

static void keys_tombstones_and_timestamps_are_kept(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table, .keep = true};
    rd_kafka_producev(cluster.producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_KEY("k1", 2), RD_KAFKA_V_VALUE("", 0),
                      RD_KAFKA_V_TIMESTAMP(1767225600123), RD_KAFKA_V_END);
    rd_kafka_producev(cluster.producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_KEY("k2", 2), RD_KAFKA_V_TIMESTAMP(1767225600124), RD_KAFKA_V_END);
    rd_kafka_flush(cluster.producer, 10000);
    struct mor_source_options options = rig_options(&rig, "orders", "g-kv");
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 2);
    mor_source_stop(rig.source);
    const struct mor_record *first = NULL, *second = NULL;
    for (size_t i = 0; i < rig.kept_count; i++) {
        for (size_t k = 0; k < rig.kept[i]->record_count; k++) {
            if (rig.kept[i]->records[k].offset == 0)
                first = &rig.kept[i]->records[k];
            else
                second = &rig.kept[i]->records[k];
        }
    }
    assert_memory_equal(first->key, "k1", 2);
    assert_non_null(first->value);
    assert_int_equal(first->value_size_bytes, 0);
    assert_int_equal(first->timestamp_ms, 1767225600123);
    assert_memory_equal(second->key, "k2", 2);
    assert_null(second->value);
    rig_close(&rig);
}

static void refused_chunks_pause_the_source_and_come_again(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table, .refuse = true};
    struct mor_budget budget;
    mor_budget_init(&budget, (size_t)1 << 40);
    struct mor_source_options options = rig_options(&rig, "orders", "g-refuse");
    options.budget = &budget;
    options.queue_bytes_max = 256 * 1024;
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, RIG_RECORDS);
    rig_open(&rig, &cluster, &options, NULL);
    struct mor_source_lag lag[4];
    RIG_WAIT(mor_source_lag(rig.source, lag, 4) == 4 && lag[0].paused && lag[1].paused &&
             lag[2].paused && lag[3].paused);
    // some chunks are waiting, and not the whole topic
    size_t held = mor_budget_used(&budget);
    assert_true(held > 0 && held < (size_t)16 * 1024 * 1024);
    for (int i = 0; i < 100; i++)
        rig_nap();
    assert_int_equal(mor_budget_used(&budget), held);
    assert_int_equal(rig_records(&table), 0);
    pthread_mutex_lock(&table.mutex);
    rig.refuse = false;
    pthread_mutex_unlock(&table.mutex);
    RIG_WAIT(rig_records(&table) == 4 * RIG_RECORDS);
    rig_close(&rig);
    assert_int_equal(table.value_sum, 4 * sum_to(RIG_RECORDS));
    assert_int_equal(table.stale_count, 0);
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void refusing_now_and_then_loses_and_doubles_nothing(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-flap");
    options.queue_bytes_max = 64 * 1024;
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, RIG_RECORDS);
    rig_open(&rig, &cluster, &options, NULL);
    for (int i = 0; i < 20 && rig_records(&table) < 4 * RIG_RECORDS; i++) {
        pthread_mutex_lock(&table.mutex);
        rig.refuse = i % 2 == 0;
        pthread_mutex_unlock(&table.mutex);
        for (int nap = 0; nap < (i % 2 == 0 ? 75 : 2); nap++)
            rig_nap();
    }
    pthread_mutex_lock(&table.mutex);
    rig.refuse = false;
    pthread_mutex_unlock(&table.mutex);
    RIG_WAIT(rig_records(&table) == 4 * RIG_RECORDS);
    rig_close(&rig);
    assert_int_equal(table.value_sum, 4 * sum_to(RIG_RECORDS));
    assert_int_equal(table.stale_count, 0);
    assert_int_equal(table.gap_count, 0);
}

static void intake_stops_while_the_budget_is_spent(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table, .keep = true};
    struct mor_budget budget;
    mor_budget_init(&budget, (size_t)4 * 1024 * 1024);
    struct mor_source_options options = rig_options(&rig, "orders", "g-budget");
    options.budget = &budget;
    options.queue_bytes_max = 256 * 1024;
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, RIG_RECORDS);
    rig_open(&rig, &cluster, &options, NULL);
    struct mor_source_lag lag[4];
    RIG_WAIT(mor_source_lag(rig.source, lag, 4) == 4 && lag[0].paused && lag[1].paused &&
             lag[2].paused && lag[3].paused);
    assert_true(rig_records(&table) < 4 * RIG_RECORDS);
    // a batch in flight may pass the mark, the whole topic may not
    assert_true(mor_budget_used(&budget) < (size_t)12 * 1024 * 1024);
    while (rig_records(&table) < 4 * RIG_RECORDS) {
        pthread_mutex_lock(&table.mutex);
        size_t count = rig.kept_count;
        struct mor_chunk *kept[4096];
        memcpy(kept, rig.kept, count * sizeof kept[0]);
        rig.kept_count = 0;
        pthread_mutex_unlock(&table.mutex);
        for (size_t i = 0; i < count; i++)
            mor_chunk_free(kept[i]);
        rig_nap();
    }
    rig_close(&rig);
    assert_int_equal(table.value_sum, 4 * sum_to(RIG_RECORDS));
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void reassigned_partition_is_asked_anew_and_gets_a_new_generation(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-again");
    for (int32_t p = 0; p < 4; p++)
        rig_produce(&cluster, "orders", p, 0, 1000);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 4000);
    int64_t generation = RIG_READ(&rig, rig.generations[1]);
    for (int round = 0; round < 5; round++) {
        pthread_mutex_lock(&table.mutex);
        table.next[1] = 250;
        pthread_mutex_unlock(&table.mutex);
        mor_source_reassign(rig.source, 1);
        RIG_WAIT(rig_records(&table) == 4000 + 750 * (round + 1));
    }
    assert_int_not_equal(RIG_READ(&rig, rig.generations[1]), generation);
    rig_close(&rig);
    assert_int_equal(table.next[1], 1000);
    assert_int_equal(table.gap_count, 0);
    assert_int_equal(table.value_sum, 4 * sum_to(1000) + 5 * (sum_to(1000) - sum_to(250)));
}

static void lag_rows_tell_ends_and_position(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-lag");
    rig_produce(&cluster, "orders", 2, 0, 300);
    rig_open(&rig, &cluster, &options, NULL);
    struct mor_source_lag lag[4];
    RIG_WAIT(mor_source_lag(rig.source, lag, 4) == 4 && lag[2].high == 300 &&
             lag[2].position == 300);
    assert_int_equal(lag[2].low, 0);
    assert_false(lag[2].paused);
    assert_int_equal(mor_source_lag(rig.source, lag, 2), 2);
    rig_close(&rig);
}

static int64_t group_offset(const char *group, int32_t partition)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster.mock),
                      reason, sizeof reason);
    rd_kafka_conf_set(conf, "group.id", group, reason, sizeof reason);
    rd_kafka_conf_set_log_cb(conf, rig_no_log);
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "orders", partition);
    assert_int_equal(rd_kafka_committed(kafka, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return offset;
}

static void hints_reach_the_group_and_only_grow(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-hint");
    rig_produce(&cluster, "orders", 0, 0, 100);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 100);
    struct mor_source_partition hint = {.partition = 0, .offset = 60, .leader_epoch = -1};
    mor_source_commit_hint(rig.source, &hint, 1);
    RIG_WAIT(group_offset("g-hint", 0) == 60);
    hint.offset = 40;
    mor_source_commit_hint(rig.source, &hint, 1);
    hint = (struct mor_source_partition){.partition = 1, .offset = 7, .leader_epoch = -1};
    mor_source_commit_hint(rig.source, &hint, 1);
    rig_close(&rig); // sends what is left
    assert_int_equal(group_offset("g-hint", 1), 7);
    assert_int_equal(group_offset("g-hint", 0), 60);
}

static void nothing_is_delivered_after_stop(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-stop");
    rig_produce(&cluster, "orders", 0, 0, RIG_RECORDS);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) > 0);
    mor_source_stop(rig.source);
    int64_t count = rig_records(&table);
    rig_produce(&cluster, "orders", 0, 0, 100);
    for (int i = 0; i < 50; i++)
        rig_nap();
    assert_int_equal(rig_records(&table), count);
    assert_int_equal(RIG_READ(&rig, rig.revoke_count), 0);
    rig_close(&rig);
    assert_int_equal(rig.revoke_count, 1);
}

int main(void)
{
#define ON_CLUSTER(test_) cmocka_unit_test_setup_teardown(test_, start_cluster, end_cluster)
    const struct CMUnitTest tests[] = {
        ON_CLUSTER(records_come_in_order_from_the_offsets_of_the_table),
        ON_CLUSTER(eager_assignor_works_as_well),
        ON_CLUSTER(table_without_offsets_starts_at_the_beginning),
        ON_CLUSTER(latest_marks_its_start_and_reads_what_comes_after),
        ON_CLUSTER(latest_reads_new_partitions_of_a_known_topic_from_their_beginning),
        ON_CLUSTER(keys_tombstones_and_timestamps_are_kept),
        ON_CLUSTER(refused_chunks_pause_the_source_and_come_again),
        ON_CLUSTER(refusing_now_and_then_loses_and_doubles_nothing),
        ON_CLUSTER(intake_stops_while_the_budget_is_spent),
        ON_CLUSTER(reassigned_partition_is_asked_anew_and_gets_a_new_generation),
        ON_CLUSTER(lag_rows_tell_ends_and_position),
        ON_CLUSTER(hints_reach_the_group_and_only_grow),
        ON_CLUSTER(nothing_is_delivered_after_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
