#include "check.h"
#include "key_filter.h"
#include "moraine/base/hash.h"

static uint64_t hash_of(uint64_t number)
{
    return mor_hash64(&number, sizeof number);
}

static void a_filter_knows_every_key_and_few_others(void **context)
{
    (void)context;
    static const size_t expected[] = {0, 1000, 200000};
    for (size_t e = 0; e < 3; e++) {
        struct key_filter filter = {0};
        size_t bytes = 0, wrong = 0;
        for (uint64_t i = 0; i < 200000; i++)
            bytes += mor_key_filter_add(&filter, hash_of(i), expected[e]);
        for (uint64_t i = 0; i < 200000; i++)
            assert_true(mor_key_filter_has(&filter, hash_of(i)));
        for (uint64_t i = 200000; i < 400000; i++)
            wrong += mor_key_filter_has(&filter, hash_of(i));
        print_message("%zu bytes, %u layers, %zu of 200000 wrong\n", bytes, filter.layer_count,
                      wrong);
        assert_true(wrong < 200000 / 25);
        assert_true(bytes < 200000 * 5);
        assert_int_equal(mor_key_filter_done(&filter), bytes);
    }
}

static void an_empty_filter_knows_nothing(void **context)
{
    (void)context;
    struct key_filter filter = {0};
    assert_false(mor_key_filter_has(&filter, 1));
    assert_int_equal(mor_key_filter_done(&filter), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_knows_every_key_and_few_others),
        cmocka_unit_test(an_empty_filter_knows_nothing),
    };
    return cmocka_run_group_tests_name("key filter", tests, NULL, NULL);
}
