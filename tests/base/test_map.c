#include "check.h"
#include "moraine/base/map.h"

static void map_finds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    struct mor_map map = {0};
    assert_null(mor_map_find_text(&map, "x"));
    char key[32];
    for (int i = 0; i < 10000; i++) {
        bool added;
        (void)snprintf(key, sizeof key, "key-%d", i);
        mor_map_put_text(&map, key, &added)->value.number = i;
        assert_true(added);
    }
    for (int i = 0; i < 10000; i++) {
        bool added;
        (void)snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(mor_map_put_text(&map, key, &added)->value.number, i);
        assert_false(added);
        assert_string_equal(map.entries[i].key, key); // insertion order
    }
    assert_null(mor_map_find_text(&map, "key-10000"));
    assert_int_equal(map.count, 10000);
    mor_map_done(&map);
}

static void keys_may_hold_zero_bytes(void **state)
{
    (void)state;
    struct mor_map map = {0};
    mor_map_put(&map, "a\0b", 3, NULL)->value.number = 1;
    mor_map_put(&map, "a\0c", 3, NULL)->value.number = 2;
    mor_map_put(&map, "a", 1, NULL)->value.number = 3;
    assert_int_equal(mor_map_find(&map, "a\0b", 3)->value.number, 1);
    assert_int_equal(mor_map_find(&map, "a\0c", 3)->value.number, 2);
    assert_int_equal(mor_map_find_text(&map, "a")->value.number, 3);
    mor_map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_finds_what_was_put_and_nothing_else),
        cmocka_unit_test(keys_may_hold_zero_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
