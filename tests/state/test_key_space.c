#include "check.h"
#include "key_space.h"

#define NUMBERS 3000

static uint64_t seed = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 8) % below;
}

// All in shard 0; `crowded`: all homes in the last slots of the table, so that probing wraps.
static struct mor_hash128 hash_of(uint64_t number, bool crowded)
{
    struct mor_hash128 hash = mor_hash128(&number, sizeof number);
    hash.high >>= KEY_SHARD_BITS;
    if (crowded)
        hash.high |= (UINT64_MAX >> KEY_SHARD_BITS) ^ 0xFFFF;
    return hash;
}

// Entries come and go as in a window; the table must always hold exactly those that are alive.
static void check_coming_and_going(bool crowded, size_t window)
{
    static struct key_space space;
    struct mor_budget budget;
    mor_budget_init(&budget, 1 << 30);
    mor_key_space_init(&space, true, &budget);
    struct key_shard *shard = &space.shards[0];
    size_t capacity_max = 0;
    for (uint64_t now = 0; now < NUMBERS; now++) {
        uint32_t horizon = now < window ? 0 : (uint32_t)(now - window);
        atomic_store(&space.horizon, horizon);
        atomic_store(&space.purge_horizon, horizon);
        size_t more = draw(8) + 1;
        mor_key_shard_reserve(&space, shard, more);
        struct key_slot *slot = mor_key_shard_put(shard, hash_of(now, crowded));
        assert_true(slot->value == KEY_NOWHERE);
        slot->value = ID_VALUE(now, 0);
        if (draw(10) == 0) { // one that is forgotten
            uint64_t other = draw(now + 1);
            slot = mor_key_shard_find(shard, hash_of(other, crowded));
            if (slot != NULL)
                slot->value = KEY_NOWHERE;
        }
        for (int i = 0; i < 20; i++) {
            uint64_t other = draw(now + 1);
            slot = mor_key_shard_find(shard, hash_of(other, crowded));
            if (slot == NULL || slot->value == KEY_NOWHERE)
                continue;
            assert_int_equal(ID_BUCKET(slot->value), other);
        }
        capacity_max = shard->capacity > capacity_max ? shard->capacity : capacity_max;
    }
    // forgotten ones apart, the last `window` are all there
    size_t missing = 0;
    for (uint64_t number = NUMBERS - window; number < NUMBERS; number++) {
        const struct key_slot *slot = mor_key_shard_find(shard, hash_of(number, crowded));
        missing += slot == NULL || slot->value == KEY_NOWHERE;
    }
    assert_true(missing < window / 2);
    assert_true(capacity_max < window * 8 + 64);
    assert_int_equal(mor_budget_used(&budget), atomic_load(&space.bytes));
    mor_key_space_done(&space);
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void a_window_of_entries_keeps_its_table(void **context)
{
    (void)context;
    check_coming_and_going(false, 100);
    check_coming_and_going(false, 400);
}

static void probing_past_the_end_of_the_table_survives_a_purge(void **context)
{
    (void)context;
    check_coming_and_going(true, 50);
    check_coming_and_going(true, 200);
}

// Nothing is forgotten here: after every growth and purge each entry is there with its value.
static void no_entry_is_lost_by_growing(void **context)
{
    (void)context;
    for (int crowded = 0; crowded < 2; crowded++) {
        static struct key_space space;
        mor_key_space_init(&space, true, NULL);
        struct key_shard *shard = &space.shards[0];
        for (uint64_t number = 0; number < NUMBERS / 2; number++) {
            mor_key_shard_reserve(&space, shard, 1);
            mor_key_shard_put(shard, hash_of(number, crowded))->value = ID_VALUE(number, 0);
            if (number % 100 != 0)
                continue;
            for (uint64_t other = 0; other <= number; other++)
                assert_int_equal(
                    ID_BUCKET(mor_key_shard_find(shard, hash_of(other, crowded))->value), other);
        }
        mor_key_space_done(&space);
    }
}

static void groups_keep_the_order_of_their_keys(void **context)
{
    (void)context;
    struct mor_hash128 hashes[500];
    uint32_t order[500], starts[KEY_SHARDS + 1];
    for (uint64_t i = 0; i < 500; i++)
        hashes[i] = mor_hash128(&i, sizeof i);
    mor_key_group(hashes, 500, order, starts);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[KEY_SHARDS], 500);
    for (size_t s = 0; s < KEY_SHARDS; s++)
        for (uint32_t i = starts[s]; i < starts[s + 1]; i++) {
            assert_int_equal(key_shard_of(hashes[order[i]]), s);
            assert_true(i == starts[s] || order[i - 1] < order[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_of_entries_keeps_its_table),
        cmocka_unit_test(probing_past_the_end_of_the_table_survives_a_purge),
        cmocka_unit_test(no_entry_is_lost_by_growing),
        cmocka_unit_test(groups_keep_the_order_of_their_keys),
    };
    return cmocka_run_group_tests_name("key space", tests, NULL, NULL);
}
