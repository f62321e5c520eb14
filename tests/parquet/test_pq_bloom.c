#include "parquet_test.h"
#include "pq_bloom.h"

static void hash_is_xxhash64_of_the_plain_form(void **state)
{
    (void)state;
    // xxhash.com: XXH64 with seed 0.
    assert_true(mor_pq_bloom_hash("", 0) == 0xef46db3751d8e999u);
    assert_true(mor_pq_bloom_hash("abc", 3) == 0x44bc2cf5ad770999u);
}

static void what_was_inserted_is_found_and_little_else(void **state)
{
    (void)state;
    const size_t count = 10000;
    size_t size = mor_pq_bloom_size_bytes(count, 0.01);
    uint8_t *bits = mor_calloc(size, 1);
    for (uint64_t i = 0; i < count; i++)
        mor_pq_bloom_insert(bits, size, mor_pq_bloom_hash(&i, 8));
    size_t wrong = 0;
    for (uint64_t i = 0; i < count; i++)
        assert_true(mor_pq_bloom_maybe(bits, size, mor_pq_bloom_hash(&i, 8)));
    for (uint64_t i = count; i < 11 * count; i++)
        wrong += mor_pq_bloom_maybe(bits, size, mor_pq_bloom_hash(&i, 8));
    assert_true(wrong < count * 10 / 50); // 2 % where 1 % is expected
    free(bits);
}

static void size_is_a_power_of_two_within_its_limits(void **state)
{
    (void)state;
    assert_int_equal(mor_pq_bloom_size_bytes(0, 0.01), 32);
    assert_int_equal(mor_pq_bloom_size_bytes((size_t)1 << 40, 0.01), (size_t)8 << 20);
    size_t size = mor_pq_bloom_size_bytes(1000, 0.01);
    assert_true((size & (size - 1)) == 0 && size >= 1000 && size <= 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_is_xxhash64_of_the_plain_form),
        cmocka_unit_test(what_was_inserted_is_found_and_little_else),
        cmocka_unit_test(size_is_a_power_of_two_within_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
