// Records that go back into Kafka arrive with key and value, each partition's in order.
#include "source_rig.h"

#define RECORDS 300

static struct mor_producer *open_producer(const char *bootstrap, const char *topic)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_producer *producer = NULL;
    const struct mor_source_property properties[] = {
        {"bootstrap.servers", bootstrap},
        {"session.timeout.ms", "6000"}, // a consumer's, passed over
        {"message.timeout.ms", "2000"}};
    if (mor_producer_open(properties, 3, topic, &producer, &err) != MOR_OK)
        fail_msg("%s", err.message);
    return producer;
}

static struct mor_record record_of(const char *key, const char *value)
{
    static const struct mor_header headers[] = {{"moraine.reason", (const uint8_t *)"why", 3},
                                                {"none", NULL, 0}};
    return (struct mor_record){.key = (const uint8_t *)key,
                               .key_size_bytes = key ? strlen(key) : 0,
                               .value = (const uint8_t *)value,
                               .value_size_bytes = value ? strlen(value) : 0,
                               .headers = headers,
                               .header_count = 2};
}

struct found {
    int64_t count, without_value;
};

static enum mor_status look(void *context, const struct mor_record *record, struct mor_error *err)
{
    (void)err;
    struct found *found = context;
    found->count++;
    found->without_value += record->value == NULL;
    return MOR_OK;
}

static void every_record_arrives_once(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    rig_cluster_start(&cluster, "letters", 1);
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(cluster.mock);
    struct mor_producer *producer = open_producer(bootstrap, "letters");
    for (int i = 0; i < RECORDS; i++) {
        struct mor_record record = record_of("k", i % 10 == 0 ? NULL : "v");
        assert_int_equal(mor_producer_send(producer, &record, 1000, &err), MOR_OK);
    }
    assert_int_equal(mor_producer_flush(producer, 10000, &err), MOR_OK);
    mor_producer_free(producer);
    const struct mor_source_property property = {"bootstrap.servers", bootstrap};
    struct mor_source_reader *reader = NULL;
    assert_int_equal(mor_source_reader_open("letters", &property, 1, &reader, &err), MOR_OK);
    struct found found = {0};
    assert_int_equal(mor_source_reader_read(reader, 0, 0, RECORDS, look, &found, &err), MOR_OK);
    assert_int_equal(found.count, RECORDS);
    assert_int_equal(found.without_value, RECORDS / 10);
    mor_source_reader_free(reader);
    rig_cluster_end(&cluster);
}

static void a_broker_that_is_away_is_said_in_time(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_producer *producer = open_producer("127.0.0.1:1", "letters");
    struct mor_record record = record_of("k", "v");
    assert_int_equal(mor_producer_send(producer, &record, 1000, &err), MOR_OK);
    assert_int_equal(mor_producer_flush(producer, 300, &err), MOR_RETRY);
    assert_non_null(strstr(err.message, "letters"));
    mor_producer_free(producer);
}

static void a_wrong_property_is_named_without_its_value(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_producer *producer = NULL;
    const struct mor_source_property property = {"sasl.mechanismus", "secret"};
    assert_int_equal(mor_producer_open(&property, 1, "t", &producer, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "sasl.mechanismus"));
    assert_null(strstr(err.message, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_arrives_once),
        cmocka_unit_test(a_broker_that_is_away_is_said_in_time),
        cmocka_unit_test(a_wrong_property_is_named_without_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
