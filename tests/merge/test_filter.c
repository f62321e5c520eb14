#include "filter.h"

#include "table/table_test.h"

static const struct table_row rows[] = {{"a", 1, 0, 10, false},
                                        {"b", 2, 1, 20, false},
                                        {"c%", 3, 2, 30, false},
                                        {"d'q", 4, -1, 40, false}};

// Ids of the rows for which the condition is true, in order; an error's text instead.
static const char *select_ids(struct table_fixture *fixture, const char *text)
{
    static char result[512];
    struct mor_filter *filter = NULL;
    fixture->err = MOR_ERROR_INIT;
    if (mor_filter_parse(fixture->table, text, &filter, &fixture->err) != MOR_OK) {
        assert_int_equal(fixture->err.status, MOR_DATA);
        snprintf(result, sizeof result, "%.500s", fixture->err.message);
        return result;
    }
    struct mor_batch *batch = table_batch(mor_table_schema(fixture->table), rows, 4);
    uint32_t chosen[MOR_FILTER_ROWS_MAX];
    size_t count = mor_filter_select(filter, batch, chosen);
    result[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strncat(result, rows[chosen[i]].id, 1);
    mor_batch_free(batch);
    mor_filter_free(filter);
    return result;
}

static void conditions_choose_rows_as_sql_does(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    static const char *const cases[][2] = {
        {"value = 2", "b"},
        {"value <> 2", "acd"},
        {"value >= 2 and value < 4", "bc"},
        {"value = 1 or value = 3 or value = 4", "acd"},
        {"not value = 1", "bcd"},
        {"value between 2 and 3", "bc"},
        {"value not between 2 and 3", "ad"},
        {"id in ('a', 'c%', 'zzz')", "ac"},
        {"id not in ('a')", "bcd"},
        {"id = 'd''q'", "d"},
        {"\"id\" like '_'", "ab"},
        {"id like '%\\%'", "c"},
        {"id like '%q'", "d"},
        {"id not like '%q'", "abc"},
        {"created_at is null", "d"},
        {"created_at is not null", "abc"},
        {"created_at >= '2026-01-02'", "bc"},
        {"created_at < '2026-01-02T00:00:00Z'", "a"},
        {"not (created_at < '2026-01-02')", "bc"}, // null is neither
        {"created_at is null or created_at > '2026-01-02'", "cd"},
        {"(value = 1 or value = 2) and updated > 15", "b"},
        {"updated > -1", "abcd"},
        {"value = +4", "d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = select_ids(fixture, cases[i][0]);
        if (strcmp(found, cases[i][1]) != 0)
            fail_msg("%s: '%s' instead of '%s'", cases[i][0], found, cases[i][1]);
    }
}

static void broken_conditions_are_refused_with_their_place(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    static const char *const cases[][2] = {
        {"", "character 1: the name of a column is expected"},
        {"nothing = 1", "character 1: the table has no column 'nothing'"},
        {"value = 'x'", "character 9: 'x' is no value of column 'value' (int)"},
        {"value = 99999999999", "character 9: '99999999999' is no value of column 'value' (int)"},
        {"created_at > 'soon'", "character 14: 'soon' is no value"},
        {"id = 'open", "character 6: a quote is not closed"},
        {"value = 1 value", "character 11: the condition should end here"},
        {"(value = 1", "character 11: ')' is expected"},
        {"value in (1", "character 12: ',' or ')' is expected"},
        {"value like '1'", "only columns of text"},
        {"value", "a comparison is expected"},
        {"value not 3", "'between', 'in' or 'like' is expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = select_ids(fixture, cases[i][0]);
        if (!strstr(found, cases[i][1]))
            fail_msg("%s: '%s' instead of '%s'", cases[i][0], found, cases[i][1]);
    }
    char deep[512];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_non_null(strstr(select_ids(fixture, deep), "nested too deeply"));
}

static void long_chain_of_conditions_is_evaluated(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_text(&text, "value = 100");
    for (int i = 0; i < 1000; i++)
        mor_buffer_printf(&text, " or value = %d", i + 3);
    assert_string_equal(select_ids(fixture, mor_buffer_terminate(&text)), "cd");
}

static bool partition_matches(struct table_fixture *fixture, const char *text,
                              const char *partition)
{
    struct mor_filter *filter = NULL;
    if (mor_filter_parse(fixture->table, text, &filter, &fixture->err) != MOR_OK)
        fail_msg("%s: %s", text, fixture->err.message);
    bool result = mor_filter_partition_may_match(filter, fixture->table, partition);
    mor_filter_free(filter);
    return result;
}

static void partitions_that_cannot_match_are_left_out(void **state)
{
    struct table_fixture *fixture = *state;
    static const struct mor_partition_field fields[] = {{"created_at", MOR_TRANSFORM_DAY, 0},
                                                        {"id", MOR_TRANSFORM_IDENTITY, 0}};
    fixture->options.partition_fields = fields;
    fixture->options.partition_field_count = 2;
    table_open(fixture);
    const char *first = "created_at_day=2026-01-01/id=a%2Fb";
    const char *null = "created_at_day=__HIVE_DEFAULT_PARTITION__/id=x";
    assert_true(partition_matches(fixture, "created_at = '2026-01-01T23:59:59Z'", first));
    assert_false(partition_matches(fixture, "created_at = '2026-01-02'", first));
    assert_false(partition_matches(fixture, "created_at > '2026-01-02'", first));
    assert_true(partition_matches(fixture, "created_at > '2026-01-01'", first));
    assert_false(partition_matches(fixture, "created_at < '2026-01-01'", first));
    assert_true(partition_matches(fixture, "created_at <= '2026-01-01'", first));
    assert_true(partition_matches(fixture, "id = 'a/b'", first));
    assert_false(partition_matches(fixture, "id = 'a' and value > 3", first));
    assert_true(partition_matches(fixture, "id = 'a' or value > 3", first));
    assert_false(partition_matches(fixture, "id in ('x', 'y')", first));
    assert_true(partition_matches(fixture, "not id = 'a/b'", first));
    assert_false(partition_matches(fixture, "created_at is null", first));
    assert_true(partition_matches(fixture, "created_at is null", null));
    assert_false(partition_matches(fixture, "created_at > '2026-01-01'", null));
    assert_true(partition_matches(fixture, "value = 3", "something else"));
}

// Predicates as text, e.g. "value>=1 id!null".
static const char *handed_down(struct table_fixture *fixture, const char *text, bool keys_only)
{
    static const char *const signs[] = {[MOR_PARQUET_EQUAL] = "=",
                                        [MOR_PARQUET_LESS] = "<",
                                        [MOR_PARQUET_LESS_OR_EQUAL] = "<=",
                                        [MOR_PARQUET_GREATER] = ">",
                                        [MOR_PARQUET_GREATER_OR_EQUAL] = ">="};
    static char result[512];
    struct mor_filter *filter = NULL;
    struct mor_parquet_predicate *predicates = NULL;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    if (mor_filter_parse(fixture->table, text, &filter, &fixture->err) != MOR_OK)
        fail_msg("%s: %s", text, fixture->err.message);
    size_t count = mor_filter_predicates(filter, mor_table_schema(fixture->table), keys_only,
                                         fixture->table, &arena, &predicates);
    result[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(result);
        int32_t value = 0;
        if (predicates[i].value_size_bytes >= sizeof value)
            memcpy(&value, predicates[i].value, sizeof value);
        if (predicates[i].compare == MOR_PARQUET_IS_NULL ||
            predicates[i].compare == MOR_PARQUET_IS_NOT_NULL)
            snprintf(result + used, sizeof result - used, "%s%s%s", used ? " " : "",
                     predicates[i].path,
                     predicates[i].compare == MOR_PARQUET_IS_NULL ? "?null" : "!null");
        else
            snprintf(result + used, sizeof result - used, "%s%s%s%d", used ? " " : "",
                     predicates[i].path, signs[predicates[i].compare], (int)value);
    }
    mor_filter_free(filter);
    mor_arena_done(&arena);
    return result;
}

static void what_every_row_must_meet_is_handed_to_files(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    assert_string_equal(handed_down(fixture, "value in (3, 1, 2)", false), "value>=1 value<=3");
    assert_string_equal(
        handed_down(fixture, "value > 7 and (value between 2 and 9 and not id is null)", false),
        "value>7 value>=2 value<=9 id!null");
    assert_string_equal(handed_down(fixture, "value > 7 and not id is null", true), "id!null");
    assert_string_equal(handed_down(fixture, "value = 1 or value = 2", false), "");
    assert_string_equal(handed_down(fixture, "not value in (1, 2)", false), "");
    assert_string_equal(handed_down(fixture, "not (value = 1 and id is null)", false), "");
    assert_string_equal(handed_down(fixture, "value <> 4 and id like 'a%'", false), "");
    assert_string_equal(handed_down(fixture, "created_at is null", false), "created_at?null");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(conditions_choose_rows_as_sql_does),
        TEST(broken_conditions_are_refused_with_their_place),
        TEST(long_chain_of_conditions_is_evaluated),
        TEST(partitions_that_cannot_match_are_left_out),
        TEST(what_every_row_must_meet_is_handed_to_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
