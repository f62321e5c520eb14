#include <stdlib.h>
#include <string.h>

#include "source_rig.h"

static struct rig_cluster cluster;

static int start_cluster(void **state)
{
    (void)state;
    rig_cluster_start(&cluster, "orders", 2);
    return 0;
}

static int end_cluster(void **state)
{
    (void)state;
    rig_cluster_end(&cluster);
    return 0;
}

static void wait_for_failure(struct rig *rig, int32_t partition, const char *words)
{
    RIG_WAIT(RIG_READ(rig, rig->failure_count) > 0);
    assert_int_equal(rig->failed_partition, partition);
    assert_int_equal(rig->failure.status, MOR_FATAL);
    if (!strstr(rig->failure.message, words))
        fail_msg("expected '%s' in: %s", words, rig->failure.message);
}

#if RD_KAFKA_VERSION >= 0x020d00ff
static void offset_below_the_log_stops_the_partition_and_says_how_much_is_gone(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 10);
    struct rig rig = {.table = &table};
    rig_produce(&cluster, "orders", 0, 0, 100);
    rig_produce(&cluster, "orders", 1, 0, 100);
    rd_kafka_mock_partition_delete_records(cluster.mock, "orders", 0, 40);
    struct mor_source_options options = rig_options(&rig, "orders", "g-gone");
    rig_open(&rig, &cluster, &options, NULL);
    wait_for_failure(&rig, 0,
                     "offset 10 is not in Kafka any more, its log is now 40 to 100: retention "
                     "removed 30 records");
    // the other partition goes on
    RIG_WAIT(rig_records(&table) == 90);
    // and the operator's decision is taken up
    pthread_mutex_lock(&table.mutex);
    table.next[0] = 40;
    pthread_mutex_unlock(&table.mutex);
    mor_source_reassign(rig.source, 0);
    RIG_WAIT(rig_records(&table) == 90 + 60);
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 1);
}
#endif

static void offset_above_the_log_stops_the_partition(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    table.next[1] = 500;
    rig_produce(&cluster, "orders", 1, 0, 100);
    struct mor_source_options options = rig_options(&rig, "orders", "g-above");
    rig_open(&rig, &cluster, &options, NULL);
    wait_for_failure(&rig, 1, "the table is at offset 500 but the log is 0 to 100");
    rig_close(&rig);
    assert_int_equal(table.record_count, 0);
}

#if RD_KAFKA_VERSION >= 0x020d00ff
// A partition may notice first that its offsets are beyond the log of the new topic; the identity
// of the topic, which is asked for then, ends the source all the same.
static void recreated_topic_ends_the_source(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table, .reject_new_topic = true};
    rig_produce(&cluster, "orders", 0, 0, 10);
    struct mor_source_options options = rig_options(&rig, "orders", "g-new");
    options.identity_interval_ms = 50;
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    assert_string_not_equal(rig.identity.topic_id, "");
    assert_int_equal(rd_kafka_mock_topic_delete(cluster.mock, "orders"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_mock_topic_create(cluster.mock, "orders", 2, 1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    RIG_WAIT(RIG_READ(&rig, rig.failure_count > 0 && rig.failed_partition == -1));
    wait_for_failure(&rig, -1, "the topic was recreated");
    rig_close(&rig);
}

static void recreated_topic_is_not_confirmed_before_a_commit(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table, .reject_new_topic = true};
    struct mor_error err = MOR_ERROR_INIT;
    rig_produce(&cluster, "orders", 0, 0, 10);
    struct mor_source_options options = rig_options(&rig, "orders", "g-confirm");
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mor_source_confirm_identity(rig.source, 10000, &err), MOR_OK);
    assert_int_equal(RIG_READ(&rig, rig.identity_count), 6);
    rd_kafka_mock_topic_delete(cluster.mock, "orders");
    rd_kafka_mock_topic_create(cluster.mock, "orders", 2, 1);
    assert_int_equal(mor_source_confirm_identity(rig.source, 10000, &err), MOR_FATAL);
    assert_string_equal(err.message, "the topic was recreated");
    assert_int_equal(mor_source_confirm_identity(rig.source, 10000, &err), MOR_FATAL);
    rig_close(&rig);
}

static void silent_brokers_confirm_nothing(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_options options = rig_options(&rig, "orders", "g-silent");
    rig_produce(&cluster, "orders", 0, 0, 10);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    rd_kafka_mock_broker_set_down(cluster.mock, 1);
    assert_int_equal(mor_source_confirm_identity(rig.source, 200, &err), MOR_RETRY);
    rd_kafka_mock_broker_set_up(cluster.mock, 1);
    assert_int_equal(mor_source_confirm_identity(rig.source, 30000, &err), MOR_OK);
    rig_close(&rig);
}

static void deleted_topic_ends_the_source(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    rig_produce(&cluster, "orders", 0, 0, 10);
    struct mor_source_options options = rig_options(&rig, "orders", "g-del");
    options.identity_interval_ms = 50;
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    assert_int_equal(rd_kafka_mock_topic_delete(cluster.mock, "orders"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    wait_for_failure(&rig, -1, "does not exist in Kafka any more");
    rig_close(&rig);
}
#endif

static void broker_that_goes_and_comes_back_loses_and_doubles_nothing(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-down");
    const struct mor_source_property reconnect[] = {{"reconnect.backoff.max.ms", "300"},
                                                    {NULL, NULL}};
    rig_produce(&cluster, "orders", 0, 0, 1000);
    rig_open(&rig, &cluster, &options, reconnect);
    RIG_WAIT(rig_records(&table) == 1000);
    for (int round = 0; round < 3; round++) {
        rd_kafka_mock_broker_set_down(cluster.mock, 1);
        for (int i = 0; i < 200; i++)
            rig_nap();
        rd_kafka_mock_broker_set_up(cluster.mock, 1);
        rig_produce(&cluster, "orders", 0, 1000 + round * 100, 100);
        RIG_WAIT(rig_records(&table) == 1000 + (round + 1) * 100);
    }
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 0);
    assert_int_equal(table.stale_count, 0);
    assert_int_equal(table.value_sum, 1300 * 1299 / 2);
}

static void source_ends_in_time_while_every_broker_is_down(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-end");
    rig_produce(&cluster, "orders", 0, 0, 10);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    struct mor_source_partition hint = {.partition = 0, .offset = 10, .leader_epoch = -1};
    mor_source_commit_hint(rig.source, &hint, 1);
    rd_kafka_mock_broker_set_down(cluster.mock, 1);
    int64_t from_ms = mor_clock_mono_ms();
    rig_close(&rig);
    assert_true(mor_clock_mono_ms() - from_ms < 15000);
}

#if RD_KAFKA_VERSION >= 0x020f00ff
#define FETCH 1

static void push(int32_t partition, int count, rd_kafka_resp_err_t code)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(rd_kafka_mock_partition_push_request_errors(cluster.mock, "orders",
                                                                     partition, FETCH, 1, code),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void error_of_a_partition_is_tried_again_and_the_records_come_after_all(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-twice");
    rig_produce(&cluster, "orders", 0, 0, 10);
    push(0, 2, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 0);
    assert_int_equal(table.gap_count, 0);
}

static void error_that_stays_stops_its_partition_only(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-thrice");
    rig_produce(&cluster, "orders", 0, 0, 10);
    rig_produce(&cluster, "orders", 1, 0, 10);
    push(0, 20, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    rig_open(&rig, &cluster, &options, NULL);
    wait_for_failure(&rig, 0, "topic 'orders' partition 0 stopped at offset 0: ");
    RIG_WAIT(rig_records(&table) == 10);
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 1);
    assert_int_equal(table.next[1], 10);
    assert_int_equal(table.next[0], 0);
}

static void missing_authorisation_stops_the_partition_with_advice(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-auth");
    push(1, 5, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    rig_open(&rig, &cluster, &options, NULL);
    wait_for_failure(&rig, 1, "grant this user Read and Describe on the topic");
    rig_close(&rig);
}

static void partition_that_moves_to_another_leader_goes_on(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-leader");
    rig_produce(&cluster, "orders", 0, 0, 10);
    push(0, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 10);
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 0);
}
#endif

// ---- opening ------------------------------------------------------------------------------------

static enum mor_status open_with(const char *topic, const struct mor_source_property *properties,
                                 size_t count, struct mor_error *err)
{
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, topic, "g-open");
    options.properties = properties;
    options.property_count = count;
    *err = MOR_ERROR_INIT;
    enum mor_status status = mor_source_open(&options, &rig.source, err);
    if (status == MOR_OK)
        mor_source_free(rig.source);
    return status;
}

static void missing_topic_is_refused_with_its_name(void **state)
{
    (void)state;
    struct mor_error err;
    rd_kafka_mock_topic_set_error(cluster.mock, "nowhere", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    const struct mor_source_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster.mock)}};
    assert_int_equal(open_with("nowhere", properties, 1, &err), MOR_FATAL);
    assert_string_equal(err.message, "topic 'nowhere' does not exist in this Kafka cluster");
}

static void cluster_that_does_not_answer_is_worth_a_retry(void **state)
{
    (void)state;
    struct mor_error err;
    // a port of the loopback that nobody listens on
    const struct mor_source_property properties[] = {{"bootstrap.servers", "127.0.0.1:1"}};
    assert_int_equal(open_with("orders", properties, 1, &err), MOR_RETRY);
    assert_non_null(strstr(err.message, "no broker answers"));
}

int main(void)
{
#define ON_CLUSTER(test_) cmocka_unit_test_setup_teardown(test_, start_cluster, end_cluster)
    const struct CMUnitTest tests[] = {
#if RD_KAFKA_VERSION >= 0x020d00ff
        ON_CLUSTER(offset_below_the_log_stops_the_partition_and_says_how_much_is_gone),
        ON_CLUSTER(recreated_topic_ends_the_source),
        ON_CLUSTER(recreated_topic_is_not_confirmed_before_a_commit),
        ON_CLUSTER(silent_brokers_confirm_nothing),
        ON_CLUSTER(deleted_topic_ends_the_source),
#endif
        ON_CLUSTER(offset_above_the_log_stops_the_partition),
        ON_CLUSTER(broker_that_goes_and_comes_back_loses_and_doubles_nothing),
        ON_CLUSTER(source_ends_in_time_while_every_broker_is_down),
#if RD_KAFKA_VERSION >= 0x020f00ff
        ON_CLUSTER(error_of_a_partition_is_tried_again_and_the_records_come_after_all),
        ON_CLUSTER(error_that_stays_stops_its_partition_only),
        ON_CLUSTER(missing_authorisation_stops_the_partition_with_advice),
        ON_CLUSTER(partition_that_moves_to_another_leader_goes_on),
#endif
        ON_CLUSTER(missing_topic_is_refused_with_its_name),
        ON_CLUSTER(cluster_that_does_not_answer_is_worth_a_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
