// What two versions of a table differ by, with merges, gathering and cleaning between them. The
// model reads both versions whole and compares them.
#include "maintain_test.h"
#include "moraine/base/map.h"

#define VERSIONS_MAX 24

// Rows of a version: key and table partition -> values, with the commit that wrote them.
static void read_version(struct table_fixture *fixture, const char *version, struct mor_map *rows)
{
    static const char *const columns[] = {"_hoodie_partition_path",
                                          "_hoodie_record_key",
                                          "_hoodie_commit_time",
                                          "_hoodie_commit_seqno",
                                          "id",
                                          "value"};
    const struct mor_scan_options options = {
        .columns = columns, .column_count = 6, .version = version};
    struct mor_scan *scan = NULL;
    if (mor_scan_open(fixture->table, &options, &scan, &fixture->err) != MOR_OK)
        fail_msg("scan of %s: %s", version, fixture->err.message);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    do {
        assert_int_equal(mor_scan_next(scan, batch, &fixture->err), MOR_OK);
        for (size_t row = 0; row < batch->row_count; row++) {
            MOR_AUTO_BUFFER key = {0};
            MOR_AUTO_BUFFER text = {0};
            for (size_t i = 0; i < 6; i++) {
                struct mor_buffer *to = i < 2 ? &key : &text;
                mor_vector_format_text(&batch->columns[i], row, to);
                mor_buffer_append_u8(to, '|');
            }
            bool added;
            struct mor_map_entry *entry = mor_map_put(rows, key.data, key.size_bytes, &added);
            assert_true(added);
            entry->value.pointer = mor_strndup((const char *)text.data, text.size_bytes);
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
}

static void free_rows(struct mor_map *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->entries[i].value.pointer);
    mor_map_done(rows);
}

struct tally {
    size_t count;
    uint64_t digest; // order-free
};

static void count_row(struct tally *tally, const char *change, const char *key, const char *text)
{
    MOR_AUTO_BUFFER line = {0};
    mor_buffer_printf(&line, "%s|%s%s", change, key, text);
    tally->digest += mor_hash64(line.data, line.size_bytes);
    tally->count++;
}

static struct tally expected_changes(struct table_fixture *fixture, const char *from,
                                     const char *to)
{
    struct mor_map old = {0}, new = {0};
    struct tally tally = {0};
    read_version(fixture, from, &old);
    read_version(fixture, to, &new);
    for (size_t i = 0; i < new.count; i++) {
        const struct mor_map_entry *row = &new.entries[i];
        const struct mor_map_entry *was = mor_map_find(&old, row->key, row->key_size);
        if (!was)
            count_row(&tally, "insert", row->key, row->value.pointer);
        else if (strcmp(was->value.pointer, row->value.pointer) != 0)
            count_row(&tally, "update", row->key, row->value.pointer);
    }
    for (size_t i = 0; i < old.count; i++) {
        if (!mor_map_find(&new, old.entries[i].key, old.entries[i].key_size))
            count_row(&tally, "delete", old.entries[i].key, old.entries[i].value.pointer);
    }
    free_rows(&old);
    free_rows(&new);
    return tally;
}

static struct tally found_changes(struct table_fixture *fixture,
                                  const struct mor_diff_options *options)
{
    static const char *const columns[] = {"_hoodie_partition_path",
                                          "_hoodie_record_key",
                                          "_hoodie_commit_time",
                                          "_hoodie_commit_seqno",
                                          "id",
                                          "value"};
    struct mor_diff_options with = *options;
    struct mor_diff *diff = NULL;
    struct tally tally = {0};
    with.columns = columns;
    with.column_count = 6;
    if (mor_diff_open(fixture->table, &with, &diff, &fixture->err) != MOR_OK)
        fail_msg("changes since %s: %s", options->from, fixture->err.message);
    struct mor_batch *batch = mor_batch_new(mor_diff_schema(diff), NULL);
    assert_string_equal(batch->schema->root.children[0].name, MOR_CHANGE_COLUMN);
    do {
        if (mor_diff_next(diff, batch, &fixture->err) != MOR_OK)
            fail_msg("changes: %s", fixture->err.message);
        assert_int_equal(mor_batch_validate(batch, &fixture->err), MOR_OK);
        for (size_t row = 0; row < batch->row_count; row++) {
            MOR_AUTO_BUFFER text = {0};
            for (size_t i = 0; i < 7; i++) {
                mor_vector_format_text(&batch->columns[i], row, &text);
                mor_buffer_append_u8(&text, '|');
            }
            tally.digest += mor_hash64(text.data, text.size_bytes);
            tally.count++;
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_diff_free(diff);
    return tally;
}

static size_t read_history(struct table_fixture *fixture, char versions[VERSIONS_MAX][64])
{
    struct mor_arena arena;
    struct mor_commit_info *commits = NULL;
    size_t count = 0, kept = 0;
    mor_arena_init(&arena, 0, NULL);
    assert_int_equal(mor_table_history(fixture->table, &arena, &commits, &count, &fixture->err),
                     MOR_OK);
    for (size_t i = 0; i < count && kept < VERSIONS_MAX; i++) {
        if (strcmp(commits[i].operation, "clean") != 0)
            memcpy(versions[kept++], commits[i].version, 64);
    }
    mor_arena_done(&arena);
    return kept;
}

// Every pair of versions, with room for all keys and with hardly any.
static void check_all_pairs(struct table_fixture *fixture, size_t *ret_most)
{
    char versions[VERSIONS_MAX][64];
    size_t count = read_history(fixture, versions);
    *ret_most = 0;
    for (size_t from = 0; from < count; from++) {
        for (size_t to = from; to < count; to++) {
            struct mor_diff_options options = {.from = versions[from], .to = versions[to]};
            struct tally expected = expected_changes(fixture, options.from, options.to);
            struct tally found = found_changes(fixture, &options);
            assert_int_equal(found.count, expected.count);
            assert_true(found.digest == expected.digest);
            assert_true(from != to || found.count == 0);
            *ret_most = found.count > *ret_most ? found.count : *ret_most;
        }
    }
}

static const struct mor_compact_options everything = {.everything = true};

static void changes_are_the_same_with_merges_between(void **state)
{
    struct table_fixture *fixture = *state;
    FOR_BOTH_VERSIONS(fixture)
    {
        size_t most;
        table_open(fixture);
        for (int i = 0; i < 7; i++) {
            commit_mix(fixture, i);
            if (i % 3 == 2)
                compact_table(fixture, &everything);
        }
        check_all_pairs(fixture, &most);
        assert_true(most > 30);
        table_close(fixture);
    }
}

static struct mor_compact_report cluster_table(struct table_fixture *fixture)
{
    static const char *const columns[] = {"value"};
    const struct mor_compact_options options = {.limits = {.target_file_size_bytes = 1 << 20},
                                                .everything = true,
                                                .cluster_columns = columns,
                                                .cluster_column_count = 1};
    struct mor_table *table = open_rewrite(fixture);
    struct mor_compact_report report;
    if (mor_cluster(table, &options, &report, &fixture->err) != MOR_OK)
        fail_msg("cluster: %s", fixture->err.message);
    mor_table_free(table);
    return report;
}

static void gathered_rows_are_no_changes(void **state)
{
    struct table_fixture *fixture = *state;
    fixture->options.key_column_count = 0;
    fixture->options.ordering_column = NULL;
    fixture->options.bucket_count = 0;
    FOR_BOTH_VERSIONS(fixture)
    {
        size_t most;
        table_open(fixture);
        for (int i = 0; i < 6; i++) {
            // equal rows are rows of their own
            const struct table_row rows[] = {
                {"a", 1, 0, 1, false}, {"a", 1, 0, 1, false}, {"b", i, 1, 1, false}};
            char before[16], now[16];
            snprintf(before, sizeof before, "%d", i - 1);
            snprintf(now, sizeof now, "%d", i);
            table_must_commit(fixture, rows, 3, i == 0 ? NULL : before, now);
            if (i == 3)
                assert_int_equal(cluster_table(fixture).done, 8);
        }
        check_all_pairs(fixture, &most);
        assert_int_equal(most, 15);
        table_close(fixture);
    }
}

static void memory_for_few_keys_gives_the_same_changes(void **state)
{
    struct table_fixture *fixture = *state;
    enum { ROUNDS = 200, ROWS = 60 };
    fixture->options.bucket_count = 1;
    fixture->options.partition_field_count = 0;
    table_open(fixture);
    char versions[2][64];
    for (int round = 0; round < ROUNDS + 1; round++) {
        struct table_row rows[ROWS];
        char names[ROWS][16], before[16], now[16];
        struct mor_commit_result result;
        bool last = round == ROUNDS;
        for (int i = 0; i < ROWS; i++) {
            snprintf(names[i], sizeof names[0], "key%d", last ? i * 7 : round * ROWS + i);
            rows[i] = (struct table_row){names[i], round, 0, round, last && i % 2 == 0};
        }
        snprintf(before, sizeof before, "%d", round - 1);
        snprintf(now, sizeof now, "%d", round);
        if (table_commit(fixture, rows, ROWS, round == 0 ? NULL : before, now, &result) != MOR_OK)
            fail_msg("commit: %s", fixture->err.message);
        memcpy(versions[last], result.version, 64);
    }
    struct mor_diff_options options = {.from = versions[0], .to = versions[1]};
    struct tally expected = expected_changes(fixture, versions[0], versions[1]);
    struct tally all = found_changes(fixture, &options);
    struct mor_budget budget;
    mor_budget_init(&budget, 64 << 20);
    options.index_bytes_max = 1; // the least that an index takes: some thousand keys of 12,000
    options.budget = &budget;
    struct tally parts = found_changes(fixture, &options);
    assert_int_equal(expected.count, ROWS);
    assert_int_equal(all.count, expected.count);
    assert_true(all.digest == expected.digest);
    assert_int_equal(parts.count, expected.count);
    assert_true(parts.digest == expected.digest);
    assert_int_equal(mor_budget_used(&budget), 0);
    table_close(fixture);
}

static size_t count_where(struct table_fixture *fixture, const char *from, const char *where)
{
    struct mor_filter *filter = NULL;
    if (mor_filter_parse(fixture->table, where, &filter, &fixture->err) != MOR_OK)
        fail_msg("%s: %s", where, fixture->err.message);
    const struct mor_diff_options options = {.from = from, .filter = filter};
    size_t count = found_changes(fixture, &options).count;
    mor_filter_free(filter);
    return count;
}

static void condition_is_tested_on_the_row_given_out(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_commit_result first;
    const struct table_row old[] = {
        {"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}, {"c", 3, 1, 1, false}};
    const struct table_row new[] = {
        {"a", 5, 0, 2, false}, {"b", 0, 0, 2, true}, {"d", 4, 2, 2, false}};
    table_open(fixture);
    assert_int_equal(table_commit(fixture, old, 3, NULL, "1", &first), MOR_OK);
    table_must_commit(fixture, new, 3, "1", "2");
    assert_int_equal(count_where(fixture, first.version, "value > 0"), 3);
    assert_int_equal(count_where(fixture, first.version, "value = 5"), 1);
    assert_int_equal(count_where(fixture, first.version, "value = 1"), 0); // a is 5 now
    assert_int_equal(count_where(fixture, first.version, "value = 2"), 1); // b, as it was
    assert_int_equal(count_where(fixture, first.version, "value = 3"), 0); // c is unchanged
    assert_int_equal(count_where(fixture, first.version, "created_at >= '2026-01-03'"), 1);
    table_close(fixture);
}

static void versions_that_are_gone_are_refused_with_words(void **state)
{
    struct table_fixture *fixture = *state;
    char versions[VERSIONS_MAX][64], what[128];
    FOR_BOTH_VERSIONS(fixture)
    {
        struct mor_diff *diff = NULL;
        struct mor_arena arena;
        struct mor_expiry expiry;
        const struct mor_retention now = {.age_ms = 1, .min_snapshots = 1};
        table_open(fixture);
        for (int i = 0; i < 4; i++)
            commit_mix(fixture, i);
        read_history(fixture, versions);
        compact_table(fixture, &everything);
        usleep(5000);
        mor_arena_init(&arena, 0, NULL);
        struct mor_table *table = open_rewrite(fixture);
        assert_int_equal(mor_table_expire(table, &now, false, &arena, &expiry, &fixture->err),
                         MOR_OK);
        assert_true(expiry.file_count > 0);
        mor_table_free(table);
        const char *const from[] = {versions[0], versions[2], "20200101000000000", "yesterday"};
        for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
            const struct mor_diff_options options = {.from = from[i]};
            fixture->err = MOR_ERROR_INIT;
            assert_int_equal(mor_diff_open(fixture->table, &options, &diff, &fixture->err),
                             MOR_NOT_FOUND);
            snprintf(what, sizeof what, "'%s'", from[i]);
            assert_non_null(strstr(fixture->err.message, what));
        }
        const struct mor_diff_options kept = {.from = expiry.oldest_version};
        assert_int_equal(found_changes(fixture, &kept).count, 0);
        mor_arena_done(&arena);
        table_close(fixture);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(changes_are_the_same_with_merges_between),
        TEST(gathered_rows_are_no_changes),
        TEST(memory_for_few_keys_gives_the_same_changes),
        TEST(condition_is_tested_on_the_row_given_out),
        TEST(versions_that_are_gone_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
