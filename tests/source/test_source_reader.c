#include "source_rig.h"

#define RECORDS 3000

struct seen {
    int64_t first, last, count, sum, stop_at;
};

static enum mor_status take(void *context, const struct mor_record *record, struct mor_error *err)
{
    struct seen *seen = context;
    char text[32] = "";
    if (seen->stop_at > 0 && seen->count == seen->stop_at)
        return mor_error_set(err, MOR_DATA, "enough");
    assert_true(record->value_size_bytes < sizeof text);
    memcpy(text, record->value, record->value_size_bytes);
    if (seen->count++ == 0)
        seen->first = record->offset;
    seen->last = record->offset;
    seen->sum += atoll(text);
    return MOR_OK;
}

static struct mor_source_reader *open_reader(const struct rig_cluster *cluster, const char *topic)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_reader *reader = NULL;
    const struct mor_source_property property = {"bootstrap.servers",
                                                 rd_kafka_mock_cluster_bootstraps(cluster->mock)};
    if (mor_source_reader_open(topic, &property, 1, &reader, &err) != MOR_OK)
        fail_msg("%s", err.message);
    return reader;
}

static void ranges_are_read_exactly_and_again(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    rig_cluster_start(&cluster, "again", 2);
    rig_produce(&cluster, "again", 1, 0, RECORDS);
    struct mor_source_reader *reader = open_reader(&cluster, "again");
    static const int64_t ranges[][2] = {
        {100, 200}, {0, RECORDS}, {100, 200}, {RECORDS - 1, RECORDS}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct seen seen = {0};
        if (mor_source_reader_read(reader, 1, ranges[i][0], ranges[i][1], take, &seen, &err) !=
            MOR_OK)
            fail_msg("%s", err.message);
        int64_t count = ranges[i][1] - ranges[i][0];
        assert_int_equal(seen.count, count);
        assert_int_equal(seen.first, ranges[i][0]);
        assert_int_equal(seen.last, ranges[i][1] - 1);
        assert_int_equal(seen.sum, (ranges[i][0] + ranges[i][1] - 1) * count / 2);
    }
    struct seen none = {0};
    assert_int_equal(mor_source_reader_read(reader, 0, 0, 0, take, &none, &err), MOR_OK);
    assert_int_equal(none.count, 0);
    mor_source_reader_free(reader);
    rig_cluster_end(&cluster);
}

static void a_visitor_ends_the_reading(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    rig_cluster_start(&cluster, "ended", 1);
    rig_produce(&cluster, "ended", 0, 0, RECORDS);
    struct mor_source_reader *reader = open_reader(&cluster, "ended");
    struct seen seen = {.stop_at = 10};
    assert_int_equal(mor_source_reader_read(reader, 0, 5, RECORDS, take, &seen, &err), MOR_DATA);
    assert_int_equal(seen.count, 10);
    assert_non_null(strstr(err.message, "partition 0, offsets 5 to 3000: enough"));
    mor_source_reader_free(reader);
    rig_cluster_end(&cluster);
}

static void ends_and_identity_come_from_the_broker(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    rig_cluster_start(&cluster, "facts", 1);
    rig_produce(&cluster, "facts", 0, 0, 7);
    struct mor_source_reader *reader = open_reader(&cluster, "facts");
    int64_t low, high;
    struct mor_source_identity identity;
    assert_int_equal(mor_source_reader_ends(reader, 0, &low, &high, &err), MOR_OK);
    assert_int_equal(low, 0);
    assert_int_equal(high, 7);
    if (mor_source_reader_identity(reader, &identity, &err) != MOR_OK)
        fail_msg("%s", err.message);
    assert_true(strlen(identity.cluster_id) > 0);
    mor_source_reader_free(reader);
    rig_cluster_end(&cluster);
}

static void an_offset_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct rig_cluster cluster;
    struct mor_error err = MOR_ERROR_INIT;
    rig_cluster_start(&cluster, "beyond", 1);
    rig_produce(&cluster, "beyond", 0, 0, 10);
    struct mor_source_reader *reader = open_reader(&cluster, "beyond");
    struct seen seen = {0};
    assert_int_equal(mor_source_reader_read(reader, 0, 50, 60, take, &seen, &err), MOR_NOT_FOUND);
    assert_int_equal(seen.count, 0);
    assert_non_null(strstr(err.message, "offset 50 is not in Kafka any more"));
    mor_source_reader_free(reader);
    rig_cluster_end(&cluster);
}

static void a_property_that_would_break_reading_is_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_source_reader *reader = NULL;
    const struct mor_source_property property = {"isolation.level", "read_uncommitted"};
    assert_int_equal(mor_source_reader_open("t", &property, 1, &reader, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "isolation.level"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_exactly_and_again),
        cmocka_unit_test(a_visitor_ends_the_reading),
        cmocka_unit_test(ends_and_identity_come_from_the_broker),
        cmocka_unit_test(an_offset_that_is_not_there_is_said),
        cmocka_unit_test(a_property_that_would_break_reading_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
