#include "plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1000000

static struct mor_slice slice(const char *partition, int64_t base_bytes, size_t deltas,
                              int64_t delta_bytes, int64_t age_ms)
{
    return (struct mor_slice){.partition = partition,
                              .file_group = "g",
                              .base_key = base_bytes > 0 ? "base" : NULL,
                              .base_size_bytes = base_bytes,
                              .delta_count = deltas,
                              .delta_size_bytes = delta_bytes,
                              .oldest_delta_ms = deltas ? NOW_MS - age_ms : 0};
}

static void each_limit_makes_a_file_group_due_and_the_worst_comes_first(void **state)
{
    (void)state;
    struct mor_slice slices[] = {
        slice("a", 100 << 20, 9, 1 << 20, 10),   // below every limit
        slice("b", 100 << 20, 10, 1 << 20, 10),  // as many deltas as allowed
        slice("c", 10 << 20, 2, 6 << 20, 10),    // twice the ratio
        slice("d", 1 << 10, 2, 10 << 10, 10),    // small: its ratio says nothing
        slice("e", 900 << 20, 3, 150 << 20, 10), // 1.5 times the bytes
        slice("f", 100 << 20, 1, 1 << 10, 3000), // 3 times the age
        slice("g", 100 << 20, 0, 0, 0),          // nothing to merge
        slice("h", 0, 1, 1 << 10, 10),           // no base: readers of base files miss it
        slice("i", 100 << 20, 1, 1 << 10, 10),   // readers refuse its deltas
    };
    slices[8].has_outdated_delta = true;
    const struct mor_compact_options options = {.limits = {.max_delta_files = 10,
                                                           .max_delta_ratio = 0.3,
                                                           .max_delta_bytes = 100 << 20,
                                                           .max_delta_age_ms = 1000}};
    struct mor_arena arena;
    struct mor_compaction_item *items;
    mor_arena_init(&arena, 0, NULL);
    size_t count = mor_compaction_plan(slices, 9, &options, NOW_MS, &arena, &items);
    static const char *const expected[] = {"f", "i", "c", "e", "b", "h"};
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(items[i].slice->partition, expected[i]);
    struct mor_compact_options one = options;
    one.partition = "e";
    assert_int_equal(mor_compaction_plan(slices, 9, &one, NOW_MS, &arena, &items), 1);
    one = (struct mor_compact_options){.everything = true};
    assert_int_equal(mor_compaction_plan(slices, 9, &one, NOW_MS, &arena, &items), 8);
    mor_arena_done(&arena);
}

static void small_files_of_a_partition_are_gathered_when_they_fill_a_file(void **state)
{
    (void)state;
    struct mor_slice slices[] = {
        slice("a", 30, 0, 0, 0), slice("b", 40, 0, 0, 0), slice("a", 40, 0, 0, 0),
        slice("a", 90, 0, 0, 0), slice("a", 35, 0, 0, 0), slice("b", 10, 0, 0, 0),
    };
    struct mor_compact_options options = {.limits = {.target_file_size_bytes = 100}};
    struct mor_arena arena;
    struct mor_cluster *clusters;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_cluster_plan(slices, 6, &options, &arena, &clusters), 1);
    assert_int_equal(clusters[0].slice_count, 3); // 30, 35, 40; 90 is no small file
    assert_int_equal(clusters[0].bytes, 105);
    assert_string_equal(clusters[0].slices[0]->partition, "a");
    options.everything = true;
    assert_int_equal(mor_cluster_plan(slices, 6, &options, &arena, &clusters), 2);
    assert_int_equal(clusters[1].slice_count, 2);
    options.partition = "b";
    assert_int_equal(mor_cluster_plan(slices, 6, &options, &arena, &clusters), 1);
    mor_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_makes_a_file_group_due_and_the_worst_comes_first),
        cmocka_unit_test(small_files_of_a_partition_are_gathered_when_they_fill_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
