#include "check.h"
#include "verify_offsets.h"

static bool add(struct mor_verify_offsets *set, int32_t partition, int64_t offset)
{
    bool is_new = false;
    assert_true(mor_verify_offsets_add(set, partition, offset, &is_new));
    return is_new;
}

static void an_offset_is_new_once_per_partition(void **state)
{
    (void)state;
    struct mor_verify_offsets set = {0};
    static const int64_t offsets[] = {
        0, 7, 8, VERIFY_PIECE_OFFSETS - 1, VERIFY_PIECE_OFFSETS, INT64_MAX};
    for (int32_t partition = 0; partition < 3; partition++) {
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
            assert_true(add(&set, partition, offsets[i]));
    }
    for (int32_t partition = 0; partition < 3; partition++) {
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
            assert_false(add(&set, partition, offsets[i]));
    }
    mor_verify_offsets_done(&set);
}

static void memory_follows_the_offsets_that_are_there(void **state)
{
    (void)state;
    struct mor_budget budget;
    mor_budget_init(&budget, 1u << 30);
    struct mor_verify_offsets set = {.budget = &budget};
    for (int64_t offset = 0; offset < 3000000; offset++)
        assert_true(add(&set, 0, 1000000000000 + offset));
    assert_true(mor_budget_used(&budget) <= 4 * (VERIFY_PIECE_OFFSETS / 8));
    mor_verify_offsets_done(&set);
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void scattered_offsets_end_at_the_limit(void **state)
{
    (void)state;
    struct mor_verify_offsets set = {0};
    bool is_new, taken = true;
    size_t count = 0;
    while (taken && count <= VERIFY_PIECES_MAX) {
        taken = mor_verify_offsets_add(&set, 0, (int64_t)count * VERIFY_PIECE_OFFSETS, &is_new);
        count += taken;
    }
    assert_int_equal(count, VERIFY_PIECES_MAX);
    mor_verify_offsets_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offset_is_new_once_per_partition),
        cmocka_unit_test(memory_follows_the_offsets_that_are_there),
        cmocka_unit_test(scattered_offsets_end_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
