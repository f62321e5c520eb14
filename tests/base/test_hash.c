#include "check.h"
#include "moraine/base/hash.h"

static void crc32_matches_the_checksums_of_hudi_tables(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t crc;
    } vectors[] = {
        {"default.v6_trips_8i3d", 3180720914u},
        {"default.v8_trips_8i3u1d", 1197752875u},
        {"default.v9_txns_mor_simple_meta", 1101448031u},
        {"default.v6_nonpartitioned_rollback", 1120353670u},
        {"123456789", 0xCBF43926u},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_int_equal(mor_crc32(0, vectors[i].text, strlen(vectors[i].text)), vectors[i].crc);
}

static void crc32_can_be_continued(void **state)
{
    (void)state;
    uint32_t crc = mor_crc32(0, "12345", 5);
    assert_int_equal(mor_crc32(crc, "6789", 4), 0xCBF43926u);
}

static uint32_t crc32_bit_by_bit(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void crc32_of_every_length_and_place_is_the_definition(void **state)
{
    (void)state;
    uint8_t bytes[700];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t start = 0; start < 17; start++)
        for (size_t size = 0; start + size <= sizeof bytes; size++)
            assert_int_equal(mor_crc32((uint32_t)size, bytes + start, size),
                             crc32_bit_by_bit((uint32_t)size, bytes + start, size));
}

// Spark's bucket of a single key: (31 + hashCode) & MAX_INT % buckets.
static int32_t bucket(const char *key, int32_t buckets)
{
    uint32_t hash = 31u + (uint32_t)mor_hash_java_string(key, strlen(key));
    return (int32_t)(hash & 0x7fffffff) % buckets;
}

static void java_hash_gives_the_buckets_of_spark(void **state)
{
    (void)state;
    assert_int_equal(bucket("abc", 4), 1);
    assert_int_equal(bucket("1", 4), 0);
    assert_int_equal(bucket("TXN-001", 16), 13);
    assert_int_equal(bucket("334e26e9-8355-45cc-97c6-c31daf0df330", 8), 3);
}

static void java_hash_counts_utf16_units(void **state)
{
    (void)state;
    assert_int_equal(mor_hash_java_string("\xC3\xA9", 2), 0xE9);                         // U+00E9
    assert_int_equal(mor_hash_java_string("\xE2\x82\xAC", 3), 0x20AC);                   // U+20AC
    assert_int_equal(mor_hash_java_string("\xF0\x9F\x98\x80", 4), 31 * 0xD83D + 0xDE00); // U+1F600
}

static void seeds_change_the_wide_hash(void **state)
{
    (void)state;
    struct mor_hash128 a = mor_hash128_seed("x", 1, 1), b = mor_hash128_seed("x", 1, 2);
    assert_true(a.low != b.low || a.high != b.high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32_matches_the_checksums_of_hudi_tables),
        cmocka_unit_test(crc32_can_be_continued),
        cmocka_unit_test(crc32_of_every_length_and_place_is_the_definition),
        cmocka_unit_test(java_hash_gives_the_buckets_of_spark),
        cmocka_unit_test(java_hash_counts_utf16_units),
        cmocka_unit_test(seeds_change_the_wide_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
