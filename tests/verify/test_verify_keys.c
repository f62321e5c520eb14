#include <unistd.h>

#include "check.h"
#include "verify_keys.h"

struct doubles {
    size_t count, places_sum;
    struct mor_verify_key last;
};

static void take(void *context, const struct mor_verify_key *same, size_t count)
{
    struct doubles *doubles = context;
    doubles->count++;
    for (size_t i = 0; i < count; i++)
        doubles->places_sum += same[i].place;
    doubles->last = same[0];
    assert_true(count > 1);
}

static struct mor_hash128 hash_of(uint64_t number)
{
    return mor_hash128(&number, sizeof number);
}

// Adds 0..count-1, every `step`-th twice (from another place), and counts what is found double.
static struct doubles run(size_t bytes_max, uint64_t count, uint64_t step, bool *ret_spilled)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_verify_keys keys;
    struct doubles doubles = {0};
    mor_verify_keys_init(&keys, "/tmp", bytes_max, NULL);
    for (uint64_t i = 0; i < count; i++)
        assert_ok(mor_verify_keys_add(&keys, hash_of(i), 1, &err));
    for (uint64_t i = 0; step > 0 && i < count; i += step)
        assert_ok(mor_verify_keys_add(&keys, hash_of(i), 2, &err));
    *ret_spilled = keys.files[0] >= 0;
    assert_ok(mor_verify_keys_doubles(&keys, take, &doubles, &err));
    mor_verify_keys_done(&keys);
    return doubles;
}

static void keys_that_differ_are_no_doubles(void **state)
{
    (void)state;
    bool spilled;
    assert_int_equal(run(1 << 26, 100000, 0, &spilled).count, 0);
    assert_false(spilled);
}

static void every_double_is_found_once_with_its_places(void **state)
{
    (void)state;
    bool spilled;
    struct doubles doubles = run(1 << 26, 100000, 1000, &spilled);
    assert_int_equal(doubles.count, 100);
    assert_int_equal(doubles.places_sum, 300);
}

static void more_keys_than_memory_go_through_files(void **state)
{
    (void)state;
    bool spilled;
    struct doubles doubles = run((size_t)64 * 1024, 100000, 1000, &spilled);
    assert_true(spilled);
    assert_int_equal(doubles.count, 100);
    assert_int_equal(doubles.places_sum, 300);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_verify_keys keys;
    enum mor_status status = MOR_OK;
    mor_verify_keys_init(&keys, "/nowhere", 64 * 16, NULL);
    for (uint64_t i = 0; i < 100 && status == MOR_OK; i++)
        status = mor_verify_keys_add(&keys, hash_of(i), 0, &err);
    assert_int_equal(status, MOR_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere"));
    mor_verify_keys_done(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_differ_are_no_doubles),
        cmocka_unit_test(every_double_is_found_once_with_its_places),
        cmocka_unit_test(more_keys_than_memory_go_through_files),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
