// Tables with deltas, and what readers see of them.
#ifndef MAINTAIN_TEST_H
#define MAINTAIN_TEST_H

#include "moraine/maintain.h"
#include "moraine/merge.h"
#include "table/table_test.h"

// Rows of the table as its readers see them, with the commit that wrote each: their number and an
// order-free sum of hashes.
struct seen_rows {
    size_t count;
    uint64_t digest;
    int64_t values; // sum of the column `value`
};

static inline struct seen_rows see_rows(struct table_fixture *fixture, const char *version)
{
    static const char *const columns[] = {"_hoodie_commit_time",
                                          "_hoodie_commit_seqno",
                                          "_hoodie_record_key",
                                          "id",
                                          "value",
                                          "created_at",
                                          "updated"};
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    struct mor_scan_options options = {.columns = columns, .column_count = 7, .version = version};
    if (mor_table_open_read(fixture->location, NULL, &table, &fixture->err) != MOR_OK ||
        mor_scan_open(table, &options, &scan, &fixture->err) != MOR_OK)
        fail_msg("open: %s", fixture->err.message);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    struct seen_rows seen = {0};
    do {
        if (mor_scan_next(scan, batch, &fixture->err) != MOR_OK)
            fail_msg("scan: %s", fixture->err.message);
        for (size_t row = 0; row < batch->row_count; row++) {
            MOR_AUTO_BUFFER text = {0};
            for (size_t i = 0; i < batch->column_count; i++) {
                mor_vector_format_text(&batch->columns[i], row, &text);
                mor_buffer_append_u8(&text, '|');
            }
            seen.digest += mor_hash64(text.data, text.size_bytes);
            seen.values += mor_vector_i32(&batch->columns[4], row);
        }
        seen.count += batch->row_count;
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return seen;
}

static inline void assert_same_rows(struct seen_rows a, struct seen_rows b)
{
    assert_int_equal(a.count, b.count);
    assert_true(a.digest == b.digest);
}

// Commit `number` (from 0): rows of 40 keys over four days, some late, some deletes.
static inline void commit_mix(struct table_fixture *fixture, int number)
{
    struct table_row rows[40];
    char names[40][8], before[16], state[16];
    size_t count = 0;
    for (int key = 0; key < 40; key++) {
        if (number > 0 && (key * 7 + number * 3) % 5 == 0)
            continue;
        snprintf(names[count], sizeof names[0], "k%d", key);
        bool is_delete = number > 0 && (key + number) % 11 == 0;
        int64_t updated = number % 4 == 3 ? number - 2 : number;
        rows[count] =
            (struct table_row){names[count], number * 100 + key, key % 4, updated, is_delete};
        count++;
    }
    snprintf(before, sizeof before, "%d", number - 1);
    snprintf(state, sizeof state, "%d", number);
    table_must_commit(fixture, rows, count, number == 0 ? NULL : before, state);
}

static inline struct mor_table *open_rewrite(struct table_fixture *fixture)
{
    struct mor_table *table = NULL;
    if (mor_table_open_rewrite(fixture->location, "test.maintain", NULL, &table, &fixture->err) !=
        MOR_OK)
        fail_msg("open: %s", fixture->err.message);
    return table;
}

static inline struct mor_compact_report compact_table(struct table_fixture *fixture,
                                                      const struct mor_compact_options *options)
{
    struct mor_table *table = open_rewrite(fixture);
    struct mor_compact_report report;
    if (mor_compact(table, options, &report, &fixture->err) != MOR_OK)
        fail_msg("compact: %s", fixture->err.message);
    mor_table_free(table);
    return report;
}

// Number of files below the table that match the shell's pattern.
static inline int count_matching(const struct table_fixture *fixture, const char *pattern)
{
    char command[256];
    int count = -1;
    snprintf(command, sizeof command, "find '%s' -type f -name '%s' | wc -l", fixture->location,
             pattern);
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

// Runs the test body for table versions 6 and 9, each in its own folder.
#define FOR_BOTH_VERSIONS(fixture_)                                                                \
    for (int version_ = 6; version_ <= 9; version_ += 3)                                           \
        if (snprintf((fixture_)->location, sizeof(fixture_)->location, "%s/v%d", (fixture_)->root, \
                     version_) > 0 &&                                                              \
            ((fixture_)->options.hudi_table_version = version_) > 0)

#endif
