#include <stdlib.h>
#include <string.h>

#include "source_rig.h"

static void records_go_from_the_demo_broker_to_a_source(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_demo_broker *broker = NULL;
    assert_int_equal(mor_demo_broker_start("orders", 2, &broker, &err), MOR_OK);
    struct rig_table table;
    rig_table_init(&table, MOR_OFFSET_NONE);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "demo");
    const struct mor_source_property address = {"bootstrap.servers",
                                                mor_demo_broker_address(broker)};
    options.properties = &address;
    options.property_count = 1;
    assert_int_equal(mor_source_open(&options, &rig.source, &err), MOR_OK);
    for (int i = 0; i < 50000; i++)
        assert_int_equal(
            mor_demo_broker_produce(broker, i % 2, "k", 1, "12", 2, 1767225600000 + i, &err),
            MOR_OK);
    assert_int_equal(mor_demo_broker_produce(broker, 0, "k", 1, NULL, 0, 1767225600000, &err),
                     MOR_OK);
    assert_int_equal(mor_demo_broker_flush(broker, &err), MOR_OK);
    RIG_WAIT(rig_records(&table) == 50001);
    assert_int_equal(RIG_READ(&rig, table.value_sum), 50000 * 12);
    rig_close(&rig);
    mor_demo_broker_free(broker);
}

static void starting_and_ending_leaves_nothing_behind(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        struct mor_demo_broker *broker = NULL;
        assert_int_equal(mor_demo_broker_start("orders", 1, &broker, &err), MOR_OK);
        assert_non_null(strchr(mor_demo_broker_address(broker), ':'));
        mor_demo_broker_free(broker);
    }
    mor_demo_broker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_go_from_the_demo_broker_to_a_source),
        cmocka_unit_test(starting_and_ending_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
