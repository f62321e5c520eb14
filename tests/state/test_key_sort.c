#include "check.h"
#include "key_sort.h"
#include "sorted_run.h"

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

// Values say where an entry stood, so that the order of equals shows.
static void check_sorting(size_t count, uint64_t high_mask, uint64_t low_mask)
{
    struct key_change *changes = malloc((count + 1) * sizeof *changes);
    struct key_change *scratch = malloc((count + 1) * sizeof *scratch);
    assert_true(changes != NULL && scratch != NULL);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct key_change){
            {.low = next_random() & low_mask, .high = next_random() & high_mask}, i};
        sum += changes[i].hash.low * 31 + changes[i].hash.high;
    }
    mor_key_sort(changes, scratch, count);
    uint64_t values = 0;
    for (size_t i = 0; i < count; i++) {
        sum -= changes[i].hash.low * 31 + changes[i].hash.high;
        values += changes[i].value;
        if (i == 0)
            continue;
        int order = mor_run_compare(changes[i - 1].hash, changes[i].hash);
        assert_true(order < 0 || (order == 0 && changes[i - 1].value < changes[i].value));
    }
    assert_true(sum == 0);
    assert_true(count == 0 || values == count * (count - 1) / 2);
    free(changes);
    free(scratch);
}

static void spread_hashes_are_sorted(void **context)
{
    (void)context;
    static const size_t counts[] = {0, 1, 2, 3, 24, 25, 100, 511, 512, 513, 5000, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        check_sorting(counts[i], UINT64_MAX, UINT64_MAX);
}

static void hashes_that_are_not_spread_are_sorted_and_stable(void **context)
{
    (void)context;
    check_sorting(20000, 0, UINT64_MAX);
    check_sorting(20000, 0, 7);
    check_sorting(20000, 3, 3);
    check_sorting(20000, 0xF000000000000000u, 0);
    check_sorting(20000, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_hashes_are_sorted),
        cmocka_unit_test(hashes_that_are_not_spread_are_sorted_and_stable),
    };
    return cmocka_run_group_tests_name("key sort", tests, NULL, NULL);
}
