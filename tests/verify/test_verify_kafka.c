#include "verify_test.h"

#define TOPIC "t"

// A mock broker with `count` records in each of two partitions, and a reader for it.
struct kafka {
    struct mor_demo_broker *broker;
    struct mor_source_reader *reader;
    struct mor_source_identity identity;
};

static struct mor_record record_of(int32_t partition, int64_t offset, char value[48])
{
    int length = snprintf(value, 48, "value %d/%lld", partition, (long long)offset);
    return (struct mor_record){.key = (const uint8_t *)"k",
                               .key_size_bytes = 1,
                               .value = (const uint8_t *)value,
                               .value_size_bytes = (size_t)length,
                               .offset = offset,
                               .partition = partition};
}

static struct mor_hash128 digest_of(int32_t partition, int64_t start, int64_t end)
{
    struct mor_hash128 digest = {0};
    for (int64_t offset = start; offset < end; offset++) {
        char value[48];
        struct mor_record record = record_of(partition, offset, value);
        mor_record_digest_add(&digest, &record);
    }
    return digest;
}

static void start(struct kafka *kafka, int64_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_demo_broker_start(TOPIC, 2, &kafka->broker, &err));
    for (int32_t partition = 0; partition < 2; partition++) {
        for (int64_t offset = 0; offset < count; offset++) {
            char value[48];
            struct mor_record r = record_of(partition, offset, value);
            assert_ok(mor_demo_broker_produce(kafka->broker, partition, r.key, r.key_size_bytes,
                                              r.value, r.value_size_bytes, 1, &err));
        }
    }
    assert_ok(mor_demo_broker_flush(kafka->broker, &err));
    const struct mor_source_property property = {"bootstrap.servers",
                                                 mor_demo_broker_address(kafka->broker)};
    assert_ok(mor_source_reader_open(TOPIC, &property, 1, &kafka->reader, &err));
    assert_ok(mor_source_reader_identity(kafka->reader, &kafka->identity, &err));
}

static void end(struct kafka *kafka, struct rig *rig)
{
    mor_source_reader_free(kafka->reader);
    mor_demo_broker_free(kafka->broker);
    rig_close(rig);
}

// Commits that cover [0, 100) and [100, 250) of partition 0 and [0, 80) of partition 1.
static void make_table(struct rig *rig, const struct kafka *kafka)
{
    rig_open(rig, false, true, 6);
    snprintf(rig->cluster, sizeof rig->cluster, "%.60s", kafka->identity.cluster_id);
    snprintf(rig->topic_id, sizeof rig->topic_id, "%.60s", kafka->identity.topic_id);
    rig_commit(rig, (struct rig_commit){.count = 100, .digest = digest_of(0, 0, 100)});
    rig_commit(rig,
               (struct rig_commit){.partition = 1, .count = 80, .digest = digest_of(1, 0, 80)});
    rig_commit(rig,
               (struct rig_commit){.start = 100, .count = 150, .digest = digest_of(0, 100, 250)});
}

static struct mor_verify_report *compare(struct rig *rig, const struct kafka *kafka)
{
    const struct mor_verify_options options = {.kafka = kafka->reader, .topic = TOPIC};
    return rig_verify(rig, &options);
}

static void expect(struct rig *rig, const struct kafka *kafka, const char *kind, const char *words)
{
    struct mor_verify_report *report = compare(rig, kafka);
    const struct mor_verify_finding *finding = rig_find(report, kind);
    if (!finding || finding->check != MOR_VERIFY_KAFKA || !strstr(finding->text, words))
        rig_show(report, words);
    mor_verify_report_free(report);
}

static void a_ledger_that_kafka_agrees_with_is_right(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 300);
    make_table(&rig, &kafka);
    struct mor_verify_report *report = compare(&rig, &kafka);
    if (report->wrong_count > 0)
        rig_show(report, "no finding");
    assert_true(report->checks[MOR_VERIFY_KAFKA].checked);
    assert_int_equal(rig_number(report, MOR_VERIFY_KAFKA, "ranges"), 3);
    assert_int_equal(rig_number(report, MOR_VERIFY_KAFKA, "records"), 330);
    mor_verify_report_free(report);
    end(&kafka, &rig);
}

static void a_digest_of_other_records_is_found(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 300);
    make_table(&rig, &kafka);
    rig_commit(&rig,
               (struct rig_commit){.start = 250, .count = 10, .digest = digest_of(0, 251, 261)});
    expect(&rig, &kafka, "digest", "10 records there whose digest is not the one of the ledger");
    end(&kafka, &rig);
}

static void a_gap_that_kafka_has_records_in_is_found(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 300);
    make_table(&rig, &kafka);
    rig_commit(&rig, (struct rig_commit){
                         .start = 250, .count = 10, .gaps = 5, .digest = digest_of(0, 250, 260)});
    expect(&rig, &kafka, "records",
           "15 records in the commit's ranges, its ledger counts 10 records and 5 gaps");
    end(&kafka, &rig);
}

static void a_table_ahead_of_kafka_is_found(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 200);
    make_table(&rig, &kafka);
    expect(&rig, &kafka, "ahead of Kafka", "the table is at offset 250, Kafka's log ends at 200");
    end(&kafka, &rig);
}

static void another_cluster_or_topic_is_found_and_its_records_are_not_read(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 300);
    snprintf(kafka.identity.cluster_id, sizeof kafka.identity.cluster_id, "elsewhere");
    make_table(&rig, &kafka);
    expect(&rig, &kafka, "identity", "the ledger says cluster 'elsewhere', Kafka ");
    struct mor_verify_report *report = compare(&rig, &kafka);
    assert_int_equal(rig_number(report, MOR_VERIFY_KAFKA, "records"), 0);
    mor_verify_report_free(report);
    end(&kafka, &rig);
}

static void a_partition_that_kafka_does_not_have_is_found(void **state)
{
    (void)state;
    struct kafka kafka;
    struct rig rig;
    start(&kafka, 300);
    make_table(&rig, &kafka);
    rig_commit(&rig, (struct rig_commit){.partition = 2, .count = 1});
    expect(&rig, &kafka, "partition", "topic 't'");
    end(&kafka, &rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_that_kafka_agrees_with_is_right),
        cmocka_unit_test(a_digest_of_other_records_is_found),
        cmocka_unit_test(a_gap_that_kafka_has_records_in_is_found),
        cmocka_unit_test(a_table_ahead_of_kafka_is_found),
        cmocka_unit_test(another_cluster_or_topic_is_found_and_its_records_are_not_read),
        cmocka_unit_test(a_partition_that_kafka_does_not_have_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
