#include <inttypes.h>

#include "moraine/merge.h"
#include "table/table_test.h"

#define KEYS    3000
#define COMMITS 6

// The fixture's table with KEYS keys that every commit writes, or deletes, in part, and the value
// that each has in the end (-1 = deleted, or never there).
static void fill(struct table_fixture *fixture, int32_t values[KEYS])
{
    uint64_t seed = 1;
    int64_t updated[KEYS];
    fixture->options.bucket_count = 1;
    fixture->options.partition_field_count = 0;
    table_open(fixture);
    memset(updated, 0, sizeof updated);
    for (int i = 0; i < KEYS; i++)
        values[i] = -1;
    char names[64][16], before[16], state[16];
    int number = 0;
    for (int commit = 0; commit < COMMITS; commit++) {
        for (int first = 0; first < KEYS; first += 64) {
            struct table_row rows[64];
            size_t count = 0;
            for (int key = first; key < first + 64 && key < KEYS; key++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                unsigned dice = (unsigned)(seed >> 60);
                if (commit > 0 && dice < 8)
                    continue;
                // a late version loses, a delete takes whatever came before
                int64_t ordering = (int64_t)(seed >> 40 & 0xFF);
                bool is_delete = commit > 0 && dice > 13;
                snprintf(names[count], sizeof names[0], "key-%d", key);
                rows[count] =
                    (struct table_row){names[count], commit * KEYS + key, 0, ordering, is_delete};
                count++;
                if (is_delete) {
                    values[key] = -1;
                    updated[key] = INT64_MIN;
                } else if (ordering >= updated[key]) {
                    values[key] = commit * KEYS + key;
                    updated[key] = ordering;
                }
            }
            snprintf(before, sizeof before, "%d", number);
            snprintf(state, sizeof state, "%d", ++number);
            if (count > 0)
                table_must_commit(fixture, rows, count, number == 1 ? NULL : before, state);
            else
                number--;
        }
    }
}

static struct mor_slice_counts check(struct table_fixture *fixture, size_t index_bytes_max,
                                     const int32_t values[KEYS])
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_slices(fixture->table, NULL, &arena, &slices, &count, &fixture->err),
                     MOR_OK);
    assert_int_equal(count, 1);
    struct mor_slice_options options = {.wanted = mor_table_schema(fixture->table),
                                        .index_bytes_max = index_bytes_max};
    struct mor_slice_reader *reader = NULL;
    assert_int_equal(
        mor_slice_reader_open(fixture->table, slices, &options, &reader, &fixture->err), MOR_OK);
    bool seen[KEYS] = {0};
    struct mor_batch *batch = mor_batch_new(options.wanted, NULL);
    for (;;) {
        if (mor_slice_reader_next(reader, batch, &fixture->err) != MOR_OK)
            fail_msg("next: %s", fixture->err.message);
        if (batch->row_count == 0)
            break;
        assert_int_equal(mor_batch_validate(batch, &fixture->err), MOR_OK);
        for (size_t i = 0; i < batch->row_count; i++) {
            int key = mor_vector_i32(&batch->columns[1], i) % KEYS;
            assert_false(seen[key]);
            seen[key] = true;
            assert_int_equal(mor_vector_i32(&batch->columns[1], i), values[key]);
        }
    }
    for (int key = 0; key < KEYS; key++)
        assert_int_equal(seen[key], values[key] >= 0);
    struct mor_slice_counts counts = mor_slice_reader_counts(reader);
    mor_batch_free(batch);
    mor_slice_reader_free(reader);
    mor_arena_done(&arena);
    return counts;
}

static void any_limit_of_memory_gives_the_same_rows(void **state)
{
    struct table_fixture *fixture = *state;
    int32_t values[KEYS];
    fill(fixture, values);
    struct mor_slice_counts all = check(fixture, 0, values);
    assert_int_equal(all.passes, 1);
    assert_true(all.delta_rows > KEYS && all.delta_deletes > 100);
    struct mor_slice_counts few = check(fixture, 60000, values);
    assert_true(few.passes >= 3 && few.passes <= 16);
    assert_int_equal(few.delta_rows, all.delta_rows);
    assert_int_equal(few.base_rows, all.base_rows);
    assert_int_equal(few.updated_rows, all.updated_rows);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(any_limit_of_memory_gives_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
