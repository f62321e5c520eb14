#include "check.h"
#include "moraine/base/memory.h"

static void arena_counts_against_the_budget_and_gives_back(void **state)
{
    (void)state;
    struct mor_budget budget;
    mor_budget_init(&budget, 1000);
    struct mor_arena arena;
    mor_arena_init(&arena, 1024, &budget);
    for (int i = 0; i < 100; i++) {
        uint8_t *bytes = mor_arena_alloc(&arena, 100);
        assert_int_equal((uintptr_t)bytes % 16, 0);
        memset(bytes, i, 100);
    }
    assert_true(mor_budget_used(&budget) >= 100 * 100);
    assert_int_equal(mor_budget_used(&budget), arena.total_bytes);
    mor_arena_reset(&arena);
    assert_int_equal(mor_budget_used(&budget), 1024);
    mor_arena_done(&arena);
    assert_int_equal(mor_budget_used(&budget), 0);
    assert_true(atomic_load(&budget.peak_bytes) >= 100 * 100);
}

static void arena_takes_allocations_larger_than_a_chunk(void **state)
{
    (void)state;
    struct mor_arena arena;
    mor_arena_init(&arena, 64, NULL);
    char *text = mor_arena_printf(&arena, "%0200d", 7);
    assert_int_equal(strlen(text), 200);
    int *zeroes = mor_arena_calloc(&arena, 1000, sizeof *zeroes);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(zeroes[i], 0);
    mor_arena_done(&arena);
}

static void buffer_grows_and_counts_capacity(void **state)
{
    (void)state;
    struct mor_budget budget;
    mor_budget_init(&budget, 0);
    struct mor_buffer buffer;
    mor_buffer_init(&buffer, &budget);
    for (int i = 0; i < 1000; i++)
        mor_buffer_append_u8(&buffer, (uint8_t)i);
    assert_int_equal(buffer.size_bytes, 1000);
    assert_int_equal(mor_budget_used(&budget), buffer.capacity_bytes);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer.data[i], (uint8_t)i);
    mor_buffer_done(&buffer);
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void buffer_move_hands_the_bytes_over(void **state)
{
    (void)state;
    struct mor_buffer buffer = {0};
    mor_buffer_printf(&buffer, "%s-%d", "a", 5);
    uint8_t *data;
    size_t size;
    mor_buffer_move(&buffer, &data, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "a-5", 3);
    assert_int_equal(buffer.size_bytes, 0);
    free(data);
}

static void large_buffers_are_kept_for_the_next_up_to_a_limit(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    mor_memory_keep(8 * MIB);
    struct mor_budget budget;
    mor_budget_init(&budget, 0);
    struct mor_buffer buffers[8];
    for (size_t i = 0; i < 8; i++) {
        mor_buffer_init(&buffers[i], &budget);
        for (size_t byte = 0; byte < MIB; byte += 1000) // through every way of growing
            mor_buffer_append(&buffers[i], memset((uint8_t[1000]){0}, (int)i + 1, 1000), 1000);
    }
    size_t capacity = 0;
    for (size_t i = 0; i < 8; i++) {
        for (size_t byte = 0; byte < buffers[i].size_bytes; byte++)
            assert_int_equal(buffers[i].data[byte], i + 1);
        capacity += buffers[i].capacity_bytes;
    }
    assert_int_equal(mor_budget_used(&budget), capacity);
    for (size_t i = 0; i < 8; i++)
        mor_buffer_done(&buffers[i]);
    assert_int_equal(mor_budget_used(&budget), 0);
    size_t kept = mor_memory_kept();
    assert_true(kept <= 8 * MIB);
#ifndef __SANITIZE_ADDRESS__ // which has every buffer from malloc
    assert_true(kept >= MIB);
    mor_buffer_reserve(&buffers[0], MIB); // one of those
    assert_true(mor_memory_kept() < kept);
#endif
    uint8_t *data;
    size_t size;
    mor_buffer_reserve(&buffers[0], MIB);
    memset(buffers[0].data, 7, MIB / 2);
    buffers[0].size_bytes = MIB / 2;
    mor_buffer_move(&buffers[0], &data, &size); // to somebody who calls free()
    assert_int_equal(size, MIB / 2);
    assert_int_equal(data[size - 1], 7);
    free(data);
    mor_memory_keep(0);
    assert_int_equal(mor_memory_kept(), 0);
}

static void buffer_writes_integers_in_the_order_asked(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER buffer = {0};
    mor_buffer_append_be32(&buffer, 0x01020304);
    mor_buffer_append_le32(&buffer, 0x01020304);
    mor_buffer_append_be64(&buffer, 0x0102030405060708);
    const uint8_t expected[] = {1, 2, 3, 4, 4, 3, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(buffer.size_bytes, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    assert_string_equal(mor_buffer_terminate(&buffer) + sizeof expected, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_counts_against_the_budget_and_gives_back),
        cmocka_unit_test(arena_takes_allocations_larger_than_a_chunk),
        cmocka_unit_test(buffer_grows_and_counts_capacity),
        cmocka_unit_test(buffer_move_hands_the_bytes_over),
        cmocka_unit_test(large_buffers_are_kept_for_the_next_up_to_a_limit),
        cmocka_unit_test(buffer_writes_integers_in_the_order_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
