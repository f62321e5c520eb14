#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "source_internal.h"

static enum mor_status configure(const char *name, const char *value, rd_kafka_conf_t **ret_conf,
                                 struct mor_error *err)
{
    const struct mor_source_property property = {name, value};
    struct mor_source_options options = {
        .topic = "t", .group_id = "g", .properties = &property, .property_count = 1};
    *err = MOR_ERROR_INIT;
    return mor_source_configure(&options, ret_conf, err);
}

static void expect_property(rd_kafka_conf_t *conf, const char *name, const char *expected)
{
    char value[512];
    size_t size = sizeof value;
    assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, expected);
}

static void recipe_is_set_and_the_user_wins_over_defaults(void **state)
{
    (void)state;
    struct mor_error err;
    rd_kafka_conf_t *conf = NULL;
    assert_int_equal(configure("fetch.wait.max.ms", "7", &conf, &err), MOR_OK);
    expect_property(conf, "fetch.wait.max.ms", "7");
    expect_property(conf, "enable.auto.commit", "false");
    expect_property(conf, "enable.auto.offset.store", "false");
    expect_property(conf, "auto.offset.reset", "error");
    expect_property(conf, "isolation.level", "read_committed");
    expect_property(conf, "check.crcs", "true");
    expect_property(conf, "enable.partition.eof", "true");
    expect_property(conf, "allow.auto.create.topics", "false");
    expect_property(conf, "partition.assignment.strategy", "cooperative-sticky");
    expect_property(conf, "group.id", "g");
    rd_kafka_conf_destroy(conf);
}

static void properties_that_break_exactly_once_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct mor_error err;
    rd_kafka_conf_t *conf = NULL;
    assert_int_equal(configure("auto.offset.reset", "latest", &conf, &err), MOR_FATAL);
    assert_string_equal(
        err.message,
        "kafka property 'auto.offset.reset' must stay 'error': an offset that Kafka no longer "
        "has must stop the partition, not skip or repeat records");
    assert_int_equal(configure("enable.auto.commit", "true", &conf, &err), MOR_FATAL);
    assert_int_equal(configure("isolation.level", "read_uncommitted", &conf, &err), MOR_FATAL);
    assert_int_equal(configure("group.id", "mine", &conf, &err), MOR_FATAL);
    // saying what is so anyway is fine
    assert_int_equal(configure("enable.auto.commit", "false", &conf, &err), MOR_OK);
    rd_kafka_conf_destroy(conf);
}

static void unknown_property_is_an_error_with_its_name(void **state)
{
    (void)state;
    struct mor_error err;
    rd_kafka_conf_t *conf = NULL;
    assert_int_equal(configure("bootstrap.sevrers", "x", &conf, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "'bootstrap.sevrers' is not known to librdkafka"));
    assert_int_equal(configure("session.timeout.ms", "soon", &conf, &err), MOR_FATAL);
    assert_non_null(strstr(err.message, "session.timeout.ms"));
}

static void secret_value_is_not_quoted(void **state)
{
    (void)state;
    struct mor_error err;
    rd_kafka_conf_t *conf = NULL;
    enum mor_status status = configure("ssl.key.pem", "not-a-key-but-secret", &conf, &err);
    if (status == MOR_OK)
        rd_kafka_conf_destroy(conf);
    else
        assert_null(strstr(err.message, "not-a-key-but-secret"));
}

static void missing_protections_follow_the_version(void **state)
{
    (void)state;
    const char *lines[32];
    size_t count = mor_source_missing_protections(lines, 32);
    if (rd_kafka_version() >= 0x020e02ff && RD_KAFKA_VERSION >= 0x020e02ff)
        assert_int_equal(count, 0);
    if (rd_kafka_version() < MOR_RDKAFKA_2_3)
        assert_true(count >= 2);
    assert_true(mor_source_missing_protections(lines, 1) <= 1);
    assert_non_null(strstr(mor_source_library_version(), rd_kafka_version_str()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipe_is_set_and_the_user_wins_over_defaults),
        cmocka_unit_test(properties_that_break_exactly_once_are_refused_with_the_reason),
        cmocka_unit_test(unknown_property_is_an_error_with_its_name),
        cmocka_unit_test(secret_value_is_not_quoted),
        cmocka_unit_test(missing_protections_follow_the_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
