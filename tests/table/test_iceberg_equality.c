// Equality deletes of other writers: which rows they remove, and when they leave the table.
#include "iceberg_foreign.h"
#include "iceberg_rewriting.h"

static const int32_t by_id[] = {1}, by_value_and_day[] = {3, 2};

static void open_with(struct iceberg_fixture *fixture, int32_t version, bool partitioned)
{
    fixture->base.options.format_version = version;
    fixture->base.options.partition_field_count = partitioned;
    table_open(&fixture->base);
}

static void model_remove(struct iceberg_fixture *fixture, const char *id)
{
    struct model_row *row = model_find(fixture, id);
    assert_non_null(row);
    *row = fixture->rows[--fixture->row_count];
}

static void delete_by_id(struct iceberg_fixture *fixture, const char *id, const char *file)
{
    const struct table_row row = {id, 0, 0, 0, false};
    const struct foreign_deletes deletes = {
        .ids = by_id, .id_count = 1, .rows = &row, .row_count = 1, .file = file};
    foreign_commit(fixture, &deletes);
}

static int64_t equality_deletes(struct iceberg_fixture *fixture)
{
    struct mor_table *head = NULL;
    struct mor_error *err = &fixture->base.err;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *state = NULL;
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &head, err), MOR_OK);
    struct iceberg_table *table = iceberg_of(head);
    assert_int_equal(iceberg_load(table, &metadata, err), MOR_OK);
    assert_int_equal(iceberg_state_open(table, metadata, -1, &state, err), MOR_OK);
    assert_int_equal(iceberg_state_load_files(table, state, err), MOR_OK);
    int64_t count = state->equality_delete_count;
    const char *total = iceberg_snapshot_property(&state->snapshot, "total-equality-deletes");
    assert_true((count == 0) == (strcmp(total, "0") == 0));
    iceberg_state_unref(state);
    state = NULL;
    mor_table_free(head);
    return count;
}

static void check_ages(struct iceberg_fixture *fixture)
{
    static const struct table_row first[] = {
        {"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}, {"c", 3, 1, 1, false}, {"d", 4, 1, 1, false}};
    static const struct table_row again[] = {{"a", 5, 0, 2, false}, {"e", 6, 0, 2, false}};
    static const struct table_row more[] = {{"d", 7, 1, 3, false}, {"b", 8, 1, 3, false}};
    iceberg_must_commit(fixture, first, 4);
    delete_by_id(fixture, "a", NULL);
    delete_by_id(fixture, "c", NULL);
    model_remove(fixture, "a");
    model_remove(fixture, "c");
    iceberg_check(fixture);
    // rows that come later stand, and the rows of the old file are still there to be changed
    iceberg_must_commit(fixture, again, 2);
    iceberg_must_commit(fixture, more, 2);
    iceberg_check(fixture);
    delete_by_id(fixture, "e", NULL);
    model_remove(fixture, "e");
    iceberg_check(fixture);
    assert_int_equal(equality_deletes(fixture), 3);
}

static void older_rows_with_the_key_are_gone_and_newer_ones_stand_in_version_2(void **state)
{
    open_with(*state, 2, false);
    check_ages(*state);
}

static void older_rows_with_the_key_are_gone_and_newer_ones_stand_in_version_3(void **state)
{
    open_with(*state, 3, false);
    check_ages(*state);
}

static void deletes_of_a_partition_leave_the_others_alone(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const struct table_row rows[] = {{"a", 1, 0, 1, false},
                                            {"b", 2, 0, 1, false},
                                            {"c", 3, 1, 1, false},
                                            {"d", 4, -1, 1, false},
                                            {"e", 4, -1, 1, false}};
    open_with(fixture, 2, true);
    iceberg_must_commit(fixture, rows, 5);
    char first[192], none[192];
    snprintf(first, sizeof first, "%s", model_find(fixture, "a")->file);
    snprintf(none, sizeof none, "%s", model_find(fixture, "d")->file);
    delete_by_id(fixture, "b", first);
    delete_by_id(fixture, "c", first); // it is in another one
    delete_by_id(fixture, "d", none);
    delete_by_id(fixture, "b", none);
    model_remove(fixture, "b");
    model_remove(fixture, "d");
    iceberg_check(fixture);
}

static void all_columns_count_and_null_is_equal_to_null(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const struct table_row rows[] = {{"a", 4, -1, 1, false}, {"b", 4, 0, 1, false},
                                            {"c", 4, -1, 1, false}, {"d", 5, -1, 1, false},
                                            {"e", 7, 3, 1, false},  {"f", 7, 4, 1, false}};
    static const struct table_row gone[] = {{"x", 4, -1, 9, false}, {"y", 7, 3, 9, false}};
    const struct foreign_deletes deletes = {
        .ids = by_value_and_day, .id_count = 2, .rows = gone, .row_count = 2};
    open_with(fixture, 2, false);
    iceberg_must_commit(fixture, rows, 6);
    foreign_commit(fixture, &deletes);
    model_remove(fixture, "a");
    model_remove(fixture, "c");
    model_remove(fixture, "e");
    iceberg_check(fixture);
}

static void commit_rewrite(struct iceberg_fixture *fixture, struct mor_table *table,
                           struct mor_rewrite *rewrite)
{
    struct mor_rewrite_result result;
    if (mor_rewrite_commit(rewrite, &result, &fixture->base.err) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    mor_rewrite_free(rewrite);
    iceberg_relocate(fixture, table);
}

static void check_rewriting(struct iceberg_fixture *fixture)
{
    static const struct table_row rows[] = {
        {"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}, {"c", 3, 0, 1, false}, {"d", 4, 0, 1, false}};
    static const struct table_row later[] = {{"b", 5, 0, 2, false}, {"e", 6, 0, 2, false}};
    iceberg_must_commit(fixture, rows, 4);
    delete_by_id(fixture, "a", NULL);
    model_remove(fixture, "a");
    iceberg_must_commit(fixture, later, 2);
    struct mor_table *table = open_rewrite(fixture);
    struct mor_rewrite *rewrite = begin(fixture, table);
    rewrite_all(fixture, table, rewrite);
    // deletes that come while it runs apply to its files
    delete_by_id(fixture, "c", NULL);
    model_remove(fixture, "c");
    commit_rewrite(fixture, table, rewrite);
    assert_int_equal(equality_deletes(fixture), 1);
    rewrite = begin(fixture, table);
    rewrite_all(fixture, table, rewrite);
    commit_rewrite(fixture, table, rewrite);
    assert_int_equal(equality_deletes(fixture), 0);
    mor_table_free(table);
    static const struct table_row last[] = {{"c", 9, 0, 3, false}, {"d", 8, 0, 3, false}};
    iceberg_must_commit(fixture, last, 2);
    iceberg_check(fixture);
}

static void a_rewrite_drops_what_has_nothing_to_remove_in_version_2(void **state)
{
    open_with(*state, 2, false);
    check_rewriting(*state);
}

static void a_rewrite_drops_what_has_nothing_to_remove_in_version_3(void **state)
{
    open_with(*state, 3, false);
    check_rewriting(*state);
}

static void what_cannot_be_applied_is_refused_with_words(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const struct table_row rows[] = {{"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}};
    const struct foreign_deletes deletes = {
        .ids = by_id, .id_count = 1, .rows = rows, .row_count = 1, .format = "AVRO"};
    open_with(fixture, 2, false);
    iceberg_must_commit(fixture, rows, 2);
    foreign_commit(fixture, &deletes);
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t count;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &table, &fixture->base.err),
                     MOR_OK);
    assert_int_equal(mor_table_slices(table, NULL, &arena, &slices, &count, &fixture->base.err),
                     MOR_FATAL);
    assert_non_null(strstr(fixture->base.err.message, "only those in Parquet files"));
    mor_arena_done(&arena);
    mor_table_free(table);
}

// The strict look has nothing to say of those of others, and a word of our own.
static void equality_deletes_of_this_program_are_a_defect(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const struct table_row rows[] = {{"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}};
    struct foreign_deletes deletes = {.ids = by_id, .id_count = 1, .rows = rows, .row_count = 1};
    open_with(fixture, 2, false);
    iceberg_must_commit(fixture, rows, 2);
    for (int own = 0; own < 2; own++) {
        struct mor_table *table = NULL;
        struct mor_arena arena;
        struct mor_table_audit audit;
        bool told = false;
        deletes.as_own = own != 0;
        foreign_commit(fixture, &deletes);
        mor_arena_init(&arena, 0, NULL);
        assert_int_equal(
            mor_table_open_read(fixture->base.location, NULL, &table, &fixture->base.err), MOR_OK);
        assert_int_equal(mor_table_audit(table, &arena, &audit, &fixture->base.err), MOR_OK);
        for (size_t i = 0; i < audit.remark_count; i++)
            told |= strstr(audit.remarks[i].text, "never writes") != NULL;
        assert_int_equal(told, own != 0);
        mor_arena_done(&arena);
        mor_table_free(table);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, iceberg_setup, iceberg_teardown)
    const struct CMUnitTest tests[] = {
        TEST(older_rows_with_the_key_are_gone_and_newer_ones_stand_in_version_2),
        TEST(older_rows_with_the_key_are_gone_and_newer_ones_stand_in_version_3),
        TEST(deletes_of_a_partition_leave_the_others_alone),
        TEST(all_columns_count_and_null_is_equal_to_null),
        TEST(a_rewrite_drops_what_has_nothing_to_remove_in_version_2),
        TEST(a_rewrite_drops_what_has_nothing_to_remove_in_version_3),
        TEST(what_cannot_be_applied_is_refused_with_words),
        TEST(equality_deletes_of_this_program_are_a_defect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
