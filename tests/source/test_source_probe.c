#include "source_rig.h"

static enum mor_status probe(const struct rig_cluster *cluster, const char *topic,
                             struct mor_source_probe *ret_probe, struct mor_error *err)
{
    const struct mor_source_property property = {"bootstrap.servers",
                                                 rd_kafka_mock_cluster_bootstraps(cluster->mock)};
    const struct mor_source_options options = {
        .topic = topic, .group_id = "checkers", .properties = &property, .property_count = 1};
    return mor_source_probe(&options, ret_probe, err);
}

static void partitions_and_records_are_counted(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_probe found;
    rig_cluster_start(&cluster, "counted", 3);
    rig_produce(&cluster, "counted", 0, 0, 70);
    rig_produce(&cluster, "counted", 2, 0, 30);
    if (probe(&cluster, "counted", &found, &err) != MOR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(found.partition_count, 3);
    assert_int_equal(found.partitions_without_answer, 0);
    assert_int_equal(found.records, 100);
    assert_int_not_equal(found.read_topic, MOR_RIGHT_MISSING);
    assert_int_not_equal(found.read_group, MOR_RIGHT_MISSING);
    rig_cluster_end(&cluster);
}

static void broker_that_does_not_answer_may_come_back(void **state)
{
    (void)state;
    const struct mor_source_property property = {"bootstrap.servers", "127.0.0.1:1"};
    const struct mor_source_options options = {
        .topic = "t", .group_id = "g", .properties = &property, .property_count = 1};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_probe found;
    assert_int_equal(mor_source_probe(&options, &found, &err), MOR_RETRY);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
}

static void properties_are_judged_without_a_broker(void **state)
{
    (void)state;
    static const struct {
        struct mor_source_property property;
        enum mor_status status;
        const char *words;
    } rows[] = {
        {{"bootstrap.servers", "127.0.0.1:1"}, MOR_OK, ""},
        {{"enable.auto.commit", "true"}, MOR_FATAL, "must stay 'false'"},
        {{"bootstrap.server", "127.0.0.1:1"}, MOR_FATAL, "not known to librdkafka"},
        {{"session.timeout.ms", "often"}, MOR_FATAL, "session.timeout.ms"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mor_source_options options = {
            .topic = "t", .group_id = "g", .properties = &rows[i].property, .property_count = 1};
        struct mor_error err = MOR_ERROR_INIT;
        assert_int_equal(mor_source_check_properties(&options, &err), rows[i].status);
        if (rows[i].status != MOR_OK)
            assert_non_null(strstr(err.message, rows[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_and_records_are_counted),
        cmocka_unit_test(broker_that_does_not_answer_may_come_back),
        cmocka_unit_test(properties_are_judged_without_a_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
