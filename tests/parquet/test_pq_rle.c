#include "parquet_test.h"
#include "pq_rle.h"

// Runs of random lengths, so that repeated and packed runs meet at every alignment.
static size_t make_values(uint32_t *values, size_t count, uint32_t width, uint64_t seed)
{
    uint64_t mask = width == 32 ? UINT32_MAX : (1ul << width) - 1;
    for (size_t i = 0; i < count;) {
        size_t run = noise(&seed) % 3 == 0 ? noise(&seed) % 40 + 1 : 1;
        uint32_t value = (uint32_t)(noise(&seed) & mask);
        for (; run > 0 && i < count; run--)
            values[i++] = value;
    }
    return count;
}

static void values_of_every_width_round_trip(void **state)
{
    (void)state;
    uint32_t values[1000], read[1000];
    for (uint32_t width = 0; width <= 32; width++) {
        for (size_t count = 0; count <= 1000; count += count < 40 ? 1 : 137) {
            MOR_AUTO_BUFFER out = {0};
            make_values(values, count, width, width * 1000 + count);
            mor_pq_rle_write32(&out, values, count, width);
            struct mor_pq_rle rle;
            mor_pq_rle_init(&rle, out.data, out.size_bytes, width);
            assert_true(mor_pq_rle_read32(&rle, read, count));
            if (count > 0)
                assert_memory_equal(values, read, count * sizeof *values);
        }
    }
}

static void reading_in_steps_and_skipping_gives_the_same_values(void **state)
{
    (void)state;
    uint32_t values[1000], read[1000];
    for (uint32_t width = 1; width <= 20; width += 3) {
        MOR_AUTO_BUFFER out = {0};
        make_values(values, 1000, width, width);
        mor_pq_rle_write32(&out, values, 1000, width);
        struct mor_pq_rle rle;
        mor_pq_rle_init(&rle, out.data, out.size_bytes, width);
        for (size_t at = 0; at + 30 <= 1000; at += 30) {
            assert_true(mor_pq_rle_read32(&rle, read, 13));
            assert_memory_equal(values + at, read, 13 * sizeof *read);
            assert_true(mor_pq_rle_skip(&rle, 17));
        }
    }
}

static void levels_as_bytes_round_trip(void **state)
{
    (void)state;
    uint32_t wide[777];
    uint8_t levels[777], read[777];
    for (uint32_t width = 1; width <= 7; width++) {
        MOR_AUTO_BUFFER out = {0};
        make_values(wide, 777, width, width + 50);
        for (size_t i = 0; i < 777; i++)
            levels[i] = (uint8_t)wide[i];
        mor_pq_rle_write8(&out, levels, 777, width);
        struct mor_pq_rle rle;
        mor_pq_rle_init(&rle, out.data, out.size_bytes, width);
        assert_true(mor_pq_rle_read8(&rle, read, 777));
        assert_memory_equal(levels, read, 777);
    }
}

static void every_prefix_gives_fewer_values_and_no_over_read(void **state)
{
    (void)state;
    uint32_t values[300], read[300];
    MOR_AUTO_BUFFER out = {0};
    make_values(values, 300, 9, 7);
    mor_pq_rle_write32(&out, values, 300, 9);
    for (size_t size = 0; size + 1 < out.size_bytes; size++) {
        uint8_t *copy = mor_alloc(size + 1); // exact size: an over-read is seen by the sanitizer
        memcpy(copy, out.data, size);
        struct mor_pq_rle rle;
        mor_pq_rle_init(&rle, copy, size, 9);
        assert_false(mor_pq_rle_read32(&rle, read, 300));
        free(copy);
    }
}

static void repeated_value_wider_than_the_bit_width_is_refused(void **state)
{
    (void)state;
    const uint8_t run[] = {8 << 1, 0x05}; // eight times 5 in two bits
    uint32_t read[8];
    struct mor_pq_rle rle;
    mor_pq_rle_init(&rle, run, sizeof run, 2);
    assert_false(mor_pq_rle_read32(&rle, read, 8));
}

static void bit_packed_levels_begin_with_the_highest_bit(void **state)
{
    (void)state;
    // Encodings.md, BIT_PACKED: the numbers 0 to 7 in three bits.
    const uint8_t packed[] = {0x05, 0x39, 0x77};
    uint8_t read[8];
    struct mor_pq_rle rle;
    mor_pq_rle_init_bit_packed(&rle, packed, sizeof packed, 3);
    assert_true(mor_pq_rle_read8(&rle, read, 8));
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(read[i], i);
    assert_false(mor_pq_rle_read8(&rle, read, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_width_round_trip),
        cmocka_unit_test(reading_in_steps_and_skipping_gives_the_same_values),
        cmocka_unit_test(levels_as_bytes_round_trip),
        cmocka_unit_test(every_prefix_gives_fewer_values_and_no_over_read),
        cmocka_unit_test(repeated_value_wider_than_the_bit_width_is_refused),
        cmocka_unit_test(bit_packed_levels_begin_with_the_highest_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
