#include "iceberg/iceberg_table.h"
#include "iceberg_rewriting.h"

#include "moraine/base/clock.h"

// Six commits that replace and delete rows of each other.
static void fill(struct iceberg_fixture *fixture)
{
    char ids[24][8];
    struct table_row rows[24];
    for (int c = 0; c < 6; c++) {
        for (int i = 0; i < 24; i++) {
            snprintf(ids[i], sizeof ids[i], "k%d", i + c * 8);
            rows[i] = (struct table_row){ids[i], c * 100 + i, i % 3, c, c > 1 && i % 7 == 0};
        }
        iceberg_must_commit(fixture, rows, 24);
    }
    iceberg_check(fixture);
}

static size_t count_slices(struct mor_table *table, size_t *ret_deltas)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_slices(table, NULL, &arena, &slices, &count, &err), MOR_OK);
    *ret_deltas = 0;
    for (size_t i = 0; i < count; i++)
        *ret_deltas += slices[i].delta_count;
    mor_arena_done(&arena);
    return count;
}

static void assert_ledger(struct iceberg_fixture *fixture, struct mor_table *table)
{
    struct mor_arena arena;
    char *value = NULL, expected[16];
    mor_arena_init(&arena, 0, NULL);
    snprintf(expected, sizeof expected, "%d", fixture->ledger);
    assert_int_equal(mor_table_property(table, "moraine", true, &arena, &value, &fixture->base.err),
                     MOR_OK);
    assert_string_equal(value, expected);
    mor_arena_done(&arena);
}

static void check_rewrite(struct iceberg_fixture *fixture)
{
    size_t deltas;
    struct mor_rewrite_result result;
    table_open(&fixture->base);
    fill(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    struct mor_rewrite *rewrite = begin(fixture, upkeep);
    rewrite_all(fixture, upkeep, rewrite);
    if (mor_rewrite_commit(rewrite, &result, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    mor_rewrite_free(rewrite);
    assert_int_equal(result.file_count, 3);
    assert_int_equal(count_slices(upkeep, &deltas), 3);
    assert_int_equal(deltas, 0);
    assert_ledger(fixture, upkeep);
    iceberg_relocate(fixture, upkeep);
    mor_table_free(upkeep);
    // the writer goes on
    struct table_row more[] = {{"k20", 7, 0, 50, false}, {"k30", 8, 0, 50, true}};
    iceberg_must_commit(fixture, more, 2);
    iceberg_check(fixture);
}

static void files_are_rewritten_in_version_2(void **state)
{
    check_rewrite(*state);
}

static void files_are_rewritten_in_version_3(void **state)
{
    struct iceberg_fixture *fixture = *state;
    fixture->base.options.format_version = 3;
    check_rewrite(fixture);
}

// What is removed while a rewrite runs is removed from its files, and what moved is told.
static void check_removed_meanwhile(struct iceberg_fixture *fixture)
{
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    struct mor_slice *moved = NULL;
    size_t count = 0, deltas;
    struct mor_rewrite_result result;
    mor_arena_init(&arena, 0, NULL);
    fixture->attaches = true;
    table_open(&fixture->base);
    fill(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    struct mor_rewrite *rewrite = begin(fixture, upkeep);
    rewrite_all(fixture, upkeep, rewrite);
    struct table_row more[] = {{"k40", 7, 0, 50, false},
                               {"k33", 8, 0, 50, true},
                               {"k47", 9, 2, 50, false},
                               {"new", 1, 1, 50, false}};
    iceberg_must_commit(fixture, more, 4);
    char before[64];
    memcpy(before, fixture->version, sizeof before);
    assert_int_equal(mor_table_moved_files(upkeep, before, &arena, &moved, &count, err), MOR_OK);
    assert_int_equal(count, 0);
    if (mor_rewrite_commit(rewrite, &result, err) != MOR_OK)
        fail_msg("%s", err->message);
    mor_rewrite_free(rewrite);
    assert_int_equal(result.file_count, 3);
    assert_int_equal(mor_table_moved_files(upkeep, before, &arena, &moved, &count, err), MOR_OK);
    assert_int_equal(count, 3);
    assert_int_equal(mor_table_moved_files(upkeep, NULL, &arena, &moved, &count, err), MOR_OK);
    assert_int_equal(count, 3);
    assert_int_equal(mor_table_moved_files(upkeep, "12345", &arena, &moved, &count, err),
                     MOR_NOT_FOUND);
    *err = MOR_ERROR_INIT;
    // rows that were removed by request are in no attachment: everything is read again
    fixture->attaches = false;
    struct table_row erased = {"k41", 0, 0, 60, true};
    iceberg_relocate(fixture, upkeep);
    iceberg_must_commit(fixture, &erased, 1);
    assert_int_equal(mor_table_moved_files(upkeep, before, &arena, &moved, &count, err),
                     MOR_NOT_FOUND);
    *err = MOR_ERROR_INIT;
    count_slices(upkeep, &deltas);
    assert_true(deltas > 0);
    assert_ledger(fixture, upkeep);
    iceberg_relocate(fixture, upkeep);
    mor_table_free(upkeep);
    mor_arena_done(&arena);
}

static void rows_removed_meanwhile_stay_removed_in_version_2(void **state)
{
    check_removed_meanwhile(*state);
}

static void rows_removed_meanwhile_stay_removed_in_version_3(void **state)
{
    struct iceberg_fixture *fixture = *state;
    fixture->base.options.format_version = 3;
    check_removed_meanwhile(fixture);
}

static void a_rewrite_of_what_is_gone_is_a_conflict(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_rewrite_result result;
    table_open(&fixture->base);
    fill(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    struct mor_rewrite *slow = begin(fixture, upkeep), *fast = begin(fixture, upkeep);
    rewrite_all(fixture, upkeep, slow);
    rewrite_all(fixture, upkeep, fast);
    assert_int_equal(mor_rewrite_commit(fast, &result, &fixture->base.err), MOR_OK);
    int files = table_count_files(&fixture->base, "data/.*parquet$");
    assert_int_equal(mor_rewrite_commit(slow, &result, &fixture->base.err), MOR_CONFLICT);
    mor_rewrite_free(slow);
    mor_rewrite_free(fast);
    // those of the slow one never got their names
    assert_int_equal(table_count_files(&fixture->base, "data/.*parquet$"), files);
    iceberg_relocate(fixture, upkeep);
    mor_table_free(upkeep);
}

// ---- expiry -------------------------------------------------------------------------------------

static void expire(struct iceberg_fixture *fixture, struct mor_table *table, int64_t age_ms,
                   int64_t min_snapshots, int64_t orphan_age_ms, struct mor_arena *arena,
                   struct mor_expiry *ret_expiry)
{
    const struct mor_retention retention = {
        .age_ms = age_ms, .min_snapshots = min_snapshots, .orphan_age_ms = orphan_age_ms};
    if (mor_table_expire(table, &retention, false, arena, ret_expiry, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
}

static void old_snapshots_and_their_files_go(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_arena arena;
    struct mor_expiry expiry;
    struct mor_rewrite_result result;
    mor_arena_init(&arena, 0, NULL);
    table_open(&fixture->base);
    fill(fixture);
    struct mor_table *upkeep = open_rewrite(fixture);
    struct mor_rewrite *rewrite = begin(fixture, upkeep);
    rewrite_all(fixture, upkeep, rewrite);
    assert_int_equal(mor_rewrite_commit(rewrite, &result, &fixture->base.err), MOR_OK);
    mor_rewrite_free(rewrite);
    iceberg_relocate(fixture, upkeep);
    // young enough: everything stays
    expire(fixture, upkeep, 3600000, 1, 3600000, &arena, &expiry);
    assert_int_equal(expiry.version_count, 0);
    assert_int_equal(expiry.file_count, 0);
    // two snapshots stay by number
    usleep(20000);
    expire(fixture, upkeep, 1, 2, 3600000, &arena, &expiry);
    assert_int_equal(expiry.version_count, 5);
    usleep(20000);
    expire(fixture, upkeep, 1, 2, 3600000, &arena, &expiry); // readers had their time
    assert_int_equal(expiry.version_count, 0);
    iceberg_check(fixture);
    expire(fixture, upkeep, 1, 1, 3600000, &arena, &expiry);
    assert_int_equal(expiry.version_count, 1);
    usleep(20000);
    expire(fixture, upkeep, 1, 1, 3600000, &arena, &expiry);
    assert_true(expiry.file_count > 18); // all that the rewrite replaced
    assert_int_equal(table_count_files(&fixture->base, "data/.*parquet$"), 3);
    assert_int_equal(table_count_files(&fixture->base, "metadata/snap-"), 1);
    assert_int_equal(table_count_files(&fixture->base, "_moraine/expired"), 0);
    iceberg_check(fixture);
    assert_ledger(fixture, upkeep);
    struct table_row more[] = {{"k20", 7, 0, 50, false}};
    iceberg_must_commit(fixture, more, 1);
    iceberg_check(fixture);
    mor_table_free(upkeep);
    mor_arena_done(&arena);
}

static void what_nothing_names_goes_when_it_is_old(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_arena arena;
    struct mor_expiry expiry;
    struct mor_error *err = &fixture->base.err;
    mor_arena_init(&arena, 0, NULL);
    table_open(&fixture->base);
    fill(fixture);
    struct mor_store *store = mor_table_store(fixture->base.table);
    assert_int_equal(mor_store_put_new(store, "data/left.parquet", "x", 1, err), MOR_OK);
    assert_int_equal(mor_store_put_new(store, "metadata/left.avro", "x", 1, err), MOR_OK);
    struct mor_table *upkeep = open_rewrite(fixture);
    expire(fixture, upkeep, 3600000, 1, 3600000, &arena, &expiry);
    assert_int_equal(expiry.file_count, 0);
    usleep(20000);
    expire(fixture, upkeep, 3600000, 1, 1, &arena, &expiry);
    assert_int_equal(expiry.file_count, 2);
    assert_int_equal(table_count_files(&fixture->base, "left"), 0);
    iceberg_check(fixture);
    mor_table_free(upkeep);
    mor_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_rewritten_in_version_2, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(files_are_rewritten_in_version_3, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(rows_removed_meanwhile_stay_removed_in_version_2,
                                        iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(rows_removed_meanwhile_stay_removed_in_version_3,
                                        iceberg_setup, iceberg_teardown),
        cmocka_unit_test_setup_teardown(a_rewrite_of_what_is_gone_is_a_conflict, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(old_snapshots_and_their_files_go, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(what_nothing_names_goes_when_it_is_old, iceberg_setup,
                                        iceberg_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
