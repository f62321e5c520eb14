// What two versions of a table with places differ by: against two scans, over commits, rewrites and
// rows that come back as they were.
#include "changes_fixture.h"
#include "moraine/maintain.h"

#define IDS      40
#define VERSIONS 40

struct row {
    bool there;
    int64_t version, offset;
    char region[8];
};
struct rows {
    struct row rows[IDS];
    int count[IDS]; // of rows with this id
};

struct history {
    struct fixture base;
    uint64_t random;
    int64_t offset;
    bool keyed;
    char versions[VERSIONS][64];
    size_t version_count;
};

static uint64_t next_random(struct history *h)
{
    h->random = h->random * 6364136223846793005u + 1442695040888963407u;
    return h->random >> 33;
}

static void note_version(struct history *h)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_true(h->version_count < VERSIONS);
    assert_ok(mor_table_version_at(h->base.table, INT64_MAX, h->versions[h->version_count], &err));
    h->version_count++;
}

static void random_commit(struct history *h)
{
    static const char *const regions[] = {"A", "B", "C"};
    for (int i = 0; i < 12; i++) {
        int64_t id = (int64_t)(next_random(h) % IDS);
        uint8_t flags = h->keyed && next_random(h) % 4 == 0 ? ROW_DELETE : 0;
        // in tables without key some rows are there several times
        int64_t offset = h->keyed ? h->offset : h->offset / 6;
        add_row(&h->base.batches[id % LANES], id, h->keyed ? h->offset : 1,
                regions[next_random(h) % (h->keyed ? 3 : 1)], offset, flags);
        h->offset++;
    }
    (void)commit(&h->base);
    note_version(h);
}

static void rewrite(struct history *h)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    struct mor_compact_report report;
    const struct mor_compact_options options = {
        .limits = {.target_file_size_bytes = 1 << 20}, .everything = true, .thread_count = 1};
    assert_ok(mor_table_open_rewrite(h->base.folder, "upkeep", NULL, &table, &err));
    assert_ok(mor_cluster(table, &options, &report, &err));
    assert_true(report.commits > 0);
    mor_table_free(table);
    note_version(h);
}

// ---- what is there ------------------------------------------------------------------------------

static void take(struct rows *rows, const struct mor_batch *batch, size_t first, size_t i)
{
    int64_t id = mor_vector_i64(&batch->columns[first], i);
    struct row *row = &rows->rows[id];
    size_t size;
    const uint8_t *region = mor_vector_bytes_at(&batch->columns[first + 2], i, &size);
    row->there = true;
    row->version = mor_vector_i64(&batch->columns[first + 1], i);
    row->offset = mor_vector_i64(&batch->columns[first + 3], i);
    snprintf(row->region, sizeof row->region, "%.*s", (int)size, (const char *)region);
    rows->count[id]++;
}

static const char *const columns[] = {"id", "version", "region", "_kafka_offset"};

static void scan_version(struct mor_table *table, const char *version, struct rows *ret_rows)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_scan *scan;
    const struct mor_scan_options options = {
        .columns = columns, .column_count = 4, .version = version};
    *ret_rows = (struct rows){0};
    assert_ok(mor_scan_open(table, &options, &scan, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    do {
        assert_ok(mor_scan_next(scan, batch, &err));
        for (size_t i = 0; i < batch->row_count; i++)
            take(ret_rows, batch, 0, i);
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
}

// Rows by the kind of their change.
static void diff_versions(struct mor_table *table, const char *from, const char *to,
                          struct rows ret_kinds[3])
{
    static const char *const names[] = {"insert", "update", "delete"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_diff *diff;
    // so little memory that the keys come in several parts
    const struct mor_diff_options options = {
        .from = from, .to = to, .columns = columns, .column_count = 4, .index_bytes_max = 1};
    memset(ret_kinds, 0, 3 * sizeof *ret_kinds);
    assert_ok(mor_diff_open(table, &options, &diff, &err));
    struct mor_batch *batch = mor_batch_new(mor_diff_schema(diff), NULL);
    do {
        assert_ok(mor_diff_next(diff, batch, &err));
        for (size_t i = 0; i < batch->row_count; i++) {
            size_t size, kind = 0;
            const uint8_t *name = mor_vector_bytes_at(&batch->columns[0], i, &size);
            while (strlen(names[kind]) != size || memcmp(names[kind], name, size) != 0)
                assert_true(++kind < 3);
            take(&ret_kinds[kind], batch, 1, i);
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_diff_free(diff);
}

static bool same_row(const struct row *a, const struct row *b)
{
    return a->there == b->there && a->version == b->version && a->offset == b->offset &&
           strcmp(a->region, b->region) == 0;
}

static void check_pair(struct mor_table *table, const char *from, const char *to)
{
    struct rows before, after, kinds[3];
    static const struct row none = {0};
    scan_version(table, from, &before);
    scan_version(table, to, &after);
    diff_versions(table, from, to, kinds);
    for (int id = 0; id < IDS; id++) {
        const struct row *was = &before.rows[id], *is = &after.rows[id];
        bool updated = was->there && is->there && !same_row(was, is);
        assert_true(same_row(&kinds[MOR_CHANGE_INSERT].rows[id], was->there ? &none : is));
        assert_true(same_row(&kinds[MOR_CHANGE_UPDATE].rows[id], updated ? is : &none));
        assert_true(same_row(&kinds[MOR_CHANGE_DELETE].rows[id], is->there ? &none : was));
        for (int kind = 0; kind < 3; kind++)
            assert_true(kinds[kind].count[id] <= 1);
    }
}

static void set_up_history(struct history *h, bool keyed)
{
    *h = (struct history){.random = 11, .keyed = keyed};
    fixture_format = MOR_FORMAT_ICEBERG;
    set_up(&h->base, keyed, true, keyed);
}

static void changes_of_a_keyed_table_are_what_two_scans_differ_by(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct history h;
    struct mor_table *table;
    set_up_history(&h, true);
    for (int i = 0; i < 6; i++) {
        random_commit(&h);
        random_commit(&h);
        if (i % 2 == 1) {
            rewrite(&h);
            mor_state_free(h.base.state); // the places are others
            free(h.base.state_folder);
            h.base.state_folder = check_folder();
            open_state(&h.base);
            static const int32_t required[] = {VERSION, REGION};
            const struct mor_key_rebuild rebuild = {.table = h.base.table,
                                                    .location = h.base.folder,
                                                    .rows = mor_table_schema(h.base.table),
                                                    .ordering_column = VERSION,
                                                    .required_columns = required,
                                                    .required_count = 2,
                                                    .topic = "t"};
            const struct mor_state_mark mark = {
                .version = "v", .offsets = "", .watermark_ms = INT64_MIN};
            assert_ok(mor_state_load_begin(h.base.state, INT64_MIN, &err));
            assert_ok(mor_key_index_rebuild(h.base.state, &rebuild, &err));
            assert_ok(mor_state_load_finish(h.base.state, &mark, &err));
        }
    }
    assert_ok(mor_table_open_read(h.base.folder, NULL, &table, &err));
    for (size_t from = 0; from < h.version_count; from++)
        for (size_t to = 0; to < h.version_count; to++) // also back in time
            check_pair(table, h.versions[from], h.versions[to]);
    mor_table_free(table);
    tear_down(&h.base);
}

static void rows_without_a_key_are_counted(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct history h;
    struct mor_table *table;
    struct rows before, after, kinds[3];
    set_up_history(&h, false);
    random_commit(&h);
    random_commit(&h);
    rewrite(&h);
    random_commit(&h);
    rewrite(&h);
    assert_ok(mor_table_open_read(h.base.folder, NULL, &table, &err));
    for (size_t from = 0; from < h.version_count; from++) {
        for (size_t to = from; to < h.version_count; to++) {
            scan_version(table, h.versions[from], &before);
            scan_version(table, h.versions[to], &after);
            diff_versions(table, h.versions[from], h.versions[to], kinds);
            for (int id = 0; id < IDS; id++) {
                assert_int_equal(kinds[MOR_CHANGE_INSERT].count[id],
                                 after.count[id] - before.count[id]);
                assert_int_equal(
                    kinds[MOR_CHANGE_UPDATE].count[id] + kinds[MOR_CHANGE_DELETE].count[id], 0);
            }
            diff_versions(table, h.versions[to], h.versions[from], kinds);
            for (int id = 0; id < IDS; id++)
                assert_int_equal(kinds[MOR_CHANGE_DELETE].count[id],
                                 after.count[id] - before.count[id]);
        }
    }
    mor_table_free(table);
    tear_down(&h.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_a_keyed_table_are_what_two_scans_differ_by),
        cmocka_unit_test(rows_without_a_key_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
