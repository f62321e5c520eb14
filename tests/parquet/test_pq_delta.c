#include "parquet_test.h"
#include "pq_delta.h"

static int64_t value_of(int kind, size_t i, uint64_t *seed)
{
    switch (kind) {
    case 0:
        return (int64_t)i;
    case 1:
        return 42;
    case 2:
        return (int64_t)noise(seed);
    case 3:
        return i % 2 ? INT64_MAX : INT64_MIN;
    default:
        return (int64_t)(noise(seed) % 1000) - 500;
    }
}

static void longs_of_every_count_round_trip(void **state)
{
    (void)state;
    int64_t values[700], read[700];
    for (int kind = 0; kind < 5; kind++) {
        for (size_t count = 0; count <= 700; count += count < 140 ? 1 : 61) {
            MOR_AUTO_BUFFER out = {0};
            uint64_t seed = count;
            for (size_t i = 0; i < count; i++)
                values[i] = value_of(kind, i, &seed);
            mor_pq_delta_write64(&out, values, count);
            struct mor_pq_delta delta;
            assert_true(mor_pq_delta_init(&delta, out.data, out.size_bytes));
            assert_int_equal(delta.total, count);
            assert_true(mor_pq_delta_read64(&delta, read, count));
            if (count > 0)
                assert_memory_equal(values, read, count * sizeof *values);
            assert_ptr_equal(mor_pq_delta_end(&delta), out.data + out.size_bytes);
        }
    }
}

static void ints_wrap_at_their_own_width(void **state)
{
    (void)state;
    int32_t values[300], read[300];
    for (size_t i = 0; i < 300; i++)
        values[i] = i % 3 == 0 ? INT32_MAX : i % 3 == 1 ? INT32_MIN : (int32_t)i;
    MOR_AUTO_BUFFER out = {0};
    mor_pq_delta_write32(&out, values, 300);
    struct mor_pq_delta delta;
    assert_true(mor_pq_delta_init(&delta, out.data, out.size_bytes));
    for (size_t at = 0; at < 300; at += 30)
        assert_true(mor_pq_delta_read32(&delta, read + at, 30));
    assert_memory_equal(values, read, sizeof values);
    // Readers of 32-bit columns expect no bit width above 32.
    assert_true(delta.widths[0] <= 32 && delta.widths[1] <= 32);
}

static void every_prefix_is_refused_without_over_read(void **state)
{
    (void)state;
    int64_t values[200], read[200];
    uint64_t seed = 1;
    for (size_t i = 0; i < 200; i++)
        values[i] = (int64_t)noise(&seed) >> 20;
    MOR_AUTO_BUFFER out = {0};
    mor_pq_delta_write64(&out, values, 200);
    // The last miniblock is padded, so cutting the padding alone does no harm.
    for (size_t size = 0; size + 32 * 6 < out.size_bytes; size++) {
        uint8_t *copy = mor_alloc(size + 1);
        memcpy(copy, out.data, size);
        struct mor_pq_delta delta;
        bool good = mor_pq_delta_init(&delta, copy, size) && mor_pq_delta_read64(&delta, read, 200);
        assert_false(good);
        free(copy);
    }
}

static void impossible_headers_are_refused(void **state)
{
    (void)state;
    const uint8_t heads[][6] = {
        {0, 4, 1, 0},                      // no values per block
        {0x80, 0x01, 0, 1, 0},             // no miniblocks
        {0x80, 0x01, 3, 1, 0},             // 128 values in 3 miniblocks
        {4, 1, 1, 0},                      // miniblock of four values
        {0xff, 0xff, 0xff, 0xff, 0x7f, 1}, // block beyond the limit
    };
    struct mor_pq_delta delta;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_false(mor_pq_delta_init(&delta, heads[i], sizeof heads[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longs_of_every_count_round_trip),
        cmocka_unit_test(ints_wrap_at_their_own_width),
        cmocka_unit_test(every_prefix_is_refused_without_over_read),
        cmocka_unit_test(impossible_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
