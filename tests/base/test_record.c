#include "check.h"
#include "moraine/base/record.h"

static struct mor_hash128 digest_of(const struct mor_record *records, size_t count, bool backwards)
{
    struct mor_hash128 sum = {0};
    for (size_t i = 0; i < count; i++)
        mor_record_digest_add(&sum, &records[backwards ? count - 1 - i : i]);
    return sum;
}

static bool equal(struct mor_hash128 a, struct mor_hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

static struct mor_record record(int64_t offset, const char *key, const char *value)
{
    return (struct mor_record){.key = (const uint8_t *)key,
                               .value = (const uint8_t *)value,
                               .key_size_bytes = key ? strlen(key) : 0,
                               .value_size_bytes = value ? strlen(value) : 0,
                               .offset = offset};
}

static void order_of_records_does_not_change_a_digest(void **state)
{
    (void)state;
    struct mor_record records[] = {record(7, "a", "1"), record(8, "b", "2"), record(9, NULL, "3")};
    assert_true(equal(digest_of(records, 3, false), digest_of(records, 3, true)));
}

static void any_change_of_a_record_changes_the_digest(void **state)
{
    (void)state;
    struct mor_record right = record(7, "a", "1");
    struct mor_hash128 expected = digest_of(&right, 1, false);
    struct mor_record wrong[] = {record(8, "a", "1"),  record(7, "b", "1"),  record(7, "a", "2"),
                                 record(7, NULL, "1"), record(7, "a", NULL), record(7, "1", "a"),
                                 record(7, "", "1"),   record(7, "a", "")};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(equal(digest_of(&wrong[i], 1, false), expected));
    struct mor_record tombstone = record(7, "a", NULL), empty = record(7, "a", "");
    assert_false(equal(digest_of(&tombstone, 1, false), digest_of(&empty, 1, false)));
}

static void sums_carry_into_the_upper_half(void **state)
{
    (void)state;
    struct mor_hash128 sum = {.low = UINT64_MAX, .high = 1};
    mor_hash128_add(&sum, (struct mor_hash128){.low = 2, .high = UINT64_MAX});
    assert_true(sum.low == 1);
    assert_true(sum.high == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_records_does_not_change_a_digest),
        cmocka_unit_test(any_change_of_a_record_changes_the_digest),
        cmocka_unit_test(sums_carry_into_the_upper_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
