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

enum homes { SPREAD, CROWDED, MIXED };

// All in shard 0. Crowded: the home is one of the last slots of the table, so that probing wraps.
static struct mor_hash128 hash_of(uint64_t number, enum homes homes)
{
    struct mor_hash128 hash = mor_hash128(&number, sizeof number);
    hash.high >>= KEY_SHARD_BITS;
    if (homes == CROWDED || (homes == MIXED && number % 7 == 0))
        hash.high |= (UINT64_MAX >> KEY_SHARD_BITS) ^ 0xFFFF;
    return hash;
}

static void check_entry(struct key_shard *shard, uint64_t number, enum homes homes, bool alive)
{
    const struct key_slot *slot = mor_key_shard_find(shard, hash_of(number, homes));
    assert_int_equal(slot != NULL && slot->value != KEY_NOWHERE, alive);
    if (alive)
        assert_int_equal(ID_BUCKET(slot->value), number);
}

// Entries come and go as in a window; the table must always hold exactly those that are alive.
static void check_coming_and_going(enum homes homes, uint64_t window)
{
    static struct key_space space;
    static bool alive[NUMBERS];
    struct mor_budget budget;
    mor_budget_init(&budget, 1 << 30);
    mor_key_space_init(&space, true, &budget);
    struct key_shard *shard = &space.shards[0];
    size_t capacity_max = 0;
    for (uint64_t now = 0; now < NUMBERS; now++) {
        uint64_t first = now < window ? 0 : now - window;
        atomic_store(&space.horizon, (uint32_t)first);
        atomic_store(&space.purge_horizon, (uint32_t)first);
        mor_key_shard_reserve(&space, shard, draw(8) + 1);
        struct key_slot *slot = mor_key_shard_put(shard, hash_of(now, homes));
        assert_true(slot->value == KEY_NOWHERE);
        slot->value = ID_VALUE(now, 0);
        alive[now] = true;
        uint64_t forgotten = draw(now + 1);
        if (draw(10) == 0 && forgotten >= first) {
            slot = mor_key_shard_find(shard, hash_of(forgotten, homes));
            if (slot != NULL)
                slot->value = KEY_NOWHERE;
            alive[forgotten] = false;
        }
        for (uint64_t number = first; number <= now; number += 1 + draw(10))
            check_entry(shard, number, homes, alive[number]);
        capacity_max = shard->capacity > capacity_max ? shard->capacity : capacity_max;
    }
    for (uint64_t number = NUMBERS - window; number < NUMBERS; number++)
        check_entry(shard, number, homes, alive[number]);
    assert_true(capacity_max < window * 8 + 64);
    assert_int_equal(mor_budget_used(&budget), atomic_load(&space.bytes));
    mor_key_space_done(&space);
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void a_window_of_entries_keeps_its_table(void **context)
{
    (void)context;
    check_coming_and_going(SPREAD, 100);
    check_coming_and_going(SPREAD, 400);
}

static void probing_past_the_end_of_the_table_survives_a_purge(void **context)
{
    (void)context;
    static const uint64_t windows[] = {30, 50, 100, 200, 400};
    for (size_t i = 0; i < 5; i++) {
        check_coming_and_going(CROWDED, windows[i]);
        check_coming_and_going(MIXED, windows[i]);
    }
}

// Nothing is forgotten here: after every growth and purge each entry is there with its value.
static void no_entry_is_lost_by_growing(void **context)
{
    (void)context;
    for (enum homes homes = SPREAD; homes <= MIXED; homes++) {
        static struct key_space space;
        mor_key_space_init(&space, true, NULL);
        struct key_shard *shard = &space.shards[0];
        for (uint64_t number = 0; number < NUMBERS / 2; number++) {
            mor_key_shard_reserve(&space, shard, 1);
            mor_key_shard_put(shard, hash_of(number, homes))->value = ID_VALUE(number, 0);
            if (number % 100 != 0)
                continue;
            for (uint64_t other = 0; other <= number; other++)
                assert_int_equal(ID_BUCKET(mor_key_shard_find(shard, hash_of(other, homes))->value),
                                 other);
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
