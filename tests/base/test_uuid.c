#include "check.h"
#include "moraine/base/clock.h"
#include "moraine/base/uuid.h"

static void version_7_carries_the_time_and_its_version(void **state)
{
    (void)state;
    int64_t before = mor_clock_wall_ms();
    struct mor_uuid uuid = mor_uuid_v7();
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid.bytes[i];
    assert_in_range(ms, before, before + 1000);
    assert_int_equal(uuid.bytes[6] >> 4, 7);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
    assert_int_equal(mor_uuid_v4().bytes[6] >> 4, 4);
}

static void text_round_trips_and_wrong_text_is_refused(void **state)
{
    (void)state;
    struct mor_uuid uuid = mor_uuid_v4(), back;
    char text[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&uuid, text);
    assert_true(mor_uuid_parse(text, 36, &back));
    assert_memory_equal(&uuid, &back, sizeof uuid);
    assert_true(mor_uuid_parse("334E26E9-8355-45cc-97c6-c31daf0df330", 36, &back));
    assert_false(mor_uuid_parse("334e26e9-8355-45cc-97c6-c31daf0df33g", 36, &back));
    assert_false(mor_uuid_parse("334e26e9183552455c-97c6-c31daf0df330", 36, &back));
    assert_false(mor_uuid_parse(text, 35, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_7_carries_the_time_and_its_version),
        cmocka_unit_test(text_round_trips_and_wrong_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
