// Attachments, commits that are killed at every step, and tables that others take back.
#include "iceberg/iceberg_table.h"
#include "iceberg_test.h"

#include <sys/wait.h>

#include "moraine/base/fault.h"

static const struct table_row first_rows[] = {
    {"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}, {"c", 3, 1, 10, false}};
static const struct table_row second_rows[] = {
    {"a", 5, 0, 11, false}, {"b", 0, 0, 11, true}, {"e", 6, 0, 11, false}};

// ---- attachments --------------------------------------------------------------------------------

static enum mor_status commit_with(struct iceberg_fixture *fixture, const struct table_row *rows,
                                   size_t count, const char *bytes)
{
    struct test_commit *commit = calloc(1, sizeof *commit);
    enum mor_status status = commit_prepare(commit, fixture, rows, count);
    if (status == MOR_OK)
        status = mor_write_attach(commit->write, "keys", bytes, strlen(bytes), &fixture->base.err);
    if (status == MOR_OK)
        status = commit_publish(commit);
    commit_done(commit);
    free(commit);
    return status;
}

// Texts of the attachments after a version, one after the other.
static enum mor_status attached(struct iceberg_fixture *fixture, const char *after,
                                char ret_text[64])
{
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    struct mor_attachment *found = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    *ret_text = '\0';
    enum mor_status status =
        mor_table_attachments(fixture->base.table, "keys", after, &arena, &found, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        status =
            mor_store_get(mor_table_store(fixture->base.table), found[i].key, 100, &bytes, err);
        assert_int_equal(bytes.size_bytes, found[i].size_bytes);
        strncat(ret_text, mor_buffer_terminate(&bytes), 60);
    }
    mor_arena_done(&arena);
    return status;
}

static void assert_attached(struct iceberg_fixture *fixture, const char *after,
                            const char *expected)
{
    char text[64];
    if (attached(fixture, after, text) != MOR_OK)
        fail_msg("%s", fixture->base.err.message);
    assert_string_equal(text, expected);
}

static void bytes_are_kept_with_commits(void **state)
{
    struct iceberg_fixture *fixture = *state;
    char text[64], first[64];
    table_open(&fixture->base);
    assert_attached(fixture, NULL, "");
    assert_int_equal(commit_with(fixture, first_rows, 3, "A"), MOR_OK);
    memcpy(first, fixture->version, sizeof first);
    assert_int_equal(commit_with(fixture, second_rows, 3, "B"), MOR_OK);
    assert_attached(fixture, NULL, "AB");
    assert_attached(fixture, first, "B");
    assert_attached(fixture, fixture->version, "");
    assert_int_equal(attached(fixture, "1234", text), MOR_NOT_FOUND);
    // a write that is given up leaves nothing
    struct test_commit *commit = calloc(1, sizeof *commit);
    assert_int_equal(commit_prepare(commit, fixture, first_rows, 3), MOR_OK);
    assert_int_equal(mor_write_attach(commit->write, "keys", "C", 1, &fixture->base.err), MOR_OK);
    assert_int_equal(mor_write_attach(commit->write, "keys", "C", 1, &fixture->base.err),
                     MOR_FATAL);
    commit_done(commit);
    free(commit);
    assert_attached(fixture, NULL, "AB");
    assert_int_equal(table_count_files(&fixture->base, "_moraine/staged"), 0);
    // they outlive the snapshots
    struct mor_table *upkeep = NULL;
    struct mor_arena arena;
    struct mor_expiry expiry;
    const struct mor_retention retention = {1, 1, 3600000};
    mor_arena_init(&arena, 0, NULL);
    usleep(20000);
    assert_int_equal(
        mor_table_open_rewrite(fixture->base.location, "upkeep", NULL, &upkeep, &fixture->base.err),
        MOR_OK);
    assert_int_equal(
        mor_table_expire(upkeep, &retention, false, &arena, &expiry, &fixture->base.err), MOR_OK);
    assert_int_equal(expiry.version_count, 1);
    mor_table_free(upkeep);
    mor_arena_done(&arena);
    assert_attached(fixture, NULL, "AB");
    assert_attached(fixture, first, "B");
}

// ---- taken back ---------------------------------------------------------------------------------

// As Spark's rollback_to_snapshot.
static void roll_back(struct iceberg_fixture *fixture, const char *version)
{
    struct iceberg_table *table = iceberg_of(fixture->base.table);
    struct mor_error *err = &fixture->base.err;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_METADATA *changed = NULL;
    ICEBERG_AUTO_CHANGE change;
    int64_t id;
    struct iceberg_catalog *catalog = iceberg_catalog_open_files(table->table.store);
    iceberg_change_init(&change);
    assert_int_equal(iceberg_version_parse(version, &id, err), MOR_OK);
    assert_int_equal(iceberg_catalog_load(catalog, &metadata, err), MOR_OK);
    iceberg_change_set_main(&change, id);
    if (iceberg_catalog_commit(catalog, metadata, &change, &changed, err) != MOR_OK)
        fail_msg("%s", err->message);
    iceberg_catalog_free(catalog);
}

static void a_table_that_was_taken_back_is_noticed(void **state)
{
    struct iceberg_fixture *fixture = *state;
    char first[64], text[64];
    struct mor_write *write = NULL;
    struct mor_uuid id = mor_uuid_v7();
    table_open(&fixture->base);
    assert_int_equal(commit_with(fixture, first_rows, 3, "A"), MOR_OK);
    memcpy(first, fixture->version, sizeof first);
    struct iceberg_fixture *before = calloc(1, sizeof *before);
    memcpy(before, fixture, sizeof *before);
    assert_int_equal(commit_with(fixture, second_rows, 3, "B"), MOR_OK);
    char gone[64];
    memcpy(gone, fixture->version, sizeof gone);
    roll_back(fixture, first);
    assert_attached(fixture, NULL, "A");
    assert_int_equal(attached(fixture, gone, text), MOR_NOT_FOUND);
    assert_int_equal(mor_write_begin(fixture->base.table, &id, &write, &fixture->base.err), MOR_OK);
    assert_true(mor_write_base_went_back(write));
    assert_string_equal(mor_write_base_property(write, "moraine"), "1");
    assert_string_equal(mor_write_base_version(write), first);
    mor_write_free(write);
    assert_int_equal(table_count_files(&fixture->base, "_moraine/attached"), 1);
    assert_int_equal(mor_write_begin(fixture->base.table, &id, &write, &fixture->base.err), MOR_OK);
    assert_false(mor_write_base_went_back(write)); // once
    mor_write_free(write);
    before->base.table = fixture->base.table;
    assert_int_equal(commit_with(before, second_rows, 3, "C"), MOR_OK);
    iceberg_check(before);
    assert_attached(before, NULL, "AC");
    free(before);
}

// ---- others -------------------------------------------------------------------------------------

// A commit of somebody else that appends nothing, or says that it replaced files.
static void foreign_commit(struct iceberg_fixture *fixture, const char *operation, bool counts)
{
    struct iceberg_table *table = iceberg_of(fixture->base.table);
    struct mor_error *err = &fixture->base.err;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_METADATA *changed = NULL;
    ICEBERG_AUTO_CHANGE change;
    struct iceberg_snapshot head, snapshot;
    struct iceberg_catalog *catalog = iceberg_catalog_open_files(table->table.store);
    iceberg_change_init(&change);
    assert_int_equal(iceberg_catalog_load(catalog, &metadata, err), MOR_OK);
    assert_true(iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id, &head));
    ICEBERG_AUTO_JSON *summary = json_pack("{s:s}", "operation", operation);
    if (counts)
        json_object_set_new(summary, "added-data-files", json_string("1"));
    snapshot = head;
    snapshot.snapshot_id = iceberg_metadata_new_snapshot_id(metadata);
    snapshot.parent_id = head.snapshot_id;
    snapshot.sequence_number = metadata->last_sequence_number + 1;
    snapshot.timestamp_ms = head.timestamp_ms;
    snapshot.summary = summary;
    iceberg_change_add_snapshot(&change, iceberg_snapshot_make(&snapshot));
    iceberg_change_set_main(&change, snapshot.snapshot_id);
    if (iceberg_catalog_commit(catalog, metadata, &change, &changed, err) != MOR_OK)
        fail_msg("%s", err->message);
    iceberg_catalog_free(catalog);
}

static void commits_of_others_are_built_upon(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    struct mor_slice *moved = NULL;
    size_t count = 0;
    char *value = NULL;
    mor_arena_init(&arena, 0, NULL);
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 3);
    char own[64];
    memcpy(own, fixture->version, sizeof own);
    foreign_commit(fixture, "append", false);
    assert_int_equal(mor_table_property(fixture->base.table, "moraine", true, &arena, &value, err),
                     MOR_OK);
    assert_string_equal(value, "1");
    assert_int_equal(mor_table_moved_files(fixture->base.table, own, &arena, &moved, &count, err),
                     MOR_OK);
    foreign_commit(fixture, "append", true);
    assert_int_equal(mor_table_moved_files(fixture->base.table, own, &arena, &moved, &count, err),
                     MOR_NOT_FOUND);
    *err = MOR_ERROR_INIT;
    iceberg_must_commit(fixture, second_rows, 3);
    iceberg_check(fixture);
    struct mor_commit_info *commits = NULL;
    assert_int_equal(mor_table_history(fixture->base.table, &arena, &commits, &count, err), MOR_OK);
    assert_int_equal(count, 4);
    mor_arena_done(&arena);
}

// The ledger is known also when every snapshot of ours has expired.
static void the_ledger_outlives_our_snapshots(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    struct mor_expiry expiry;
    struct mor_table *upkeep = NULL;
    const struct mor_retention retention = {1, 1, 3600000};
    char *value = NULL;
    mor_arena_init(&arena, 0, NULL);
    table_open(&fixture->base);
    iceberg_must_commit(fixture, first_rows, 3);
    foreign_commit(fixture, "append", false);
    usleep(20000);
    assert_int_equal(mor_table_open_rewrite(fixture->base.location, "upkeep", NULL, &upkeep, err),
                     MOR_OK);
    assert_int_equal(mor_table_expire(upkeep, &retention, false, &arena, &expiry, err), MOR_OK);
    assert_int_equal(expiry.version_count, 1);
    mor_table_free(upkeep);
    assert_int_equal(mor_table_property(fixture->base.table, "moraine", true, &arena, &value, err),
                     MOR_OK);
    assert_string_equal(value, "1");
    iceberg_must_commit(fixture, second_rows, 3);
    iceberg_check(fixture);
    mor_arena_done(&arena);
}

// ---- killed -------------------------------------------------------------------------------------

static void die_at(const char *point, struct iceberg_fixture *fixture, const struct mor_uuid *id)
{
    MOR_AUTO_FREE char *points = mor_asprintf("%s=kill", point);
    setenv("MORAINE_FAILPOINTS", points, 1);
    if (mor_fault_init(&fixture->base.err) != MOR_OK ||
        mor_table_open_write(&fixture->base.options, &fixture->base.table, &fixture->base.err) !=
            MOR_OK)
        _exit(2);
    struct test_commit *commit = calloc(1, sizeof *commit);
    struct mor_error *err = &fixture->base.err;
    *commit = (struct test_commit){.fixture = fixture,
                                   .table = fixture->base.table,
                                   .rows = second_rows,
                                   .count = 3,
                                   .id = *id};
    if (mor_write_begin(commit->table, id, &commit->write, err) != MOR_OK)
        _exit(3);
    commit_build(commit);
    for (size_t g = 0; g < commit->set.group_count; g++) {
        if (mor_write_group(commit->write, &commit->set, g, err) != MOR_OK)
            _exit(4);
    }
    for (size_t r = 0; r < commit->set.removal_count; r++) {
        if (mor_write_removal(commit->write, &commit->set, r, err) != MOR_OK)
            _exit(5);
    }
    if (mor_write_attach(commit->write, "keys", "B", 1, err) != MOR_OK ||
        commit_publish(commit) != MOR_OK)
        _exit(6);
    _exit(0);
}

// The child dies at the point; then either all of its commit is in the table or nothing, and the
// next one goes on from there.
static void check_kill(struct iceberg_fixture *fixture, const char *point, bool expected)
{
    struct mor_uuid id = mor_uuid_v7();
    struct mor_error *err = &fixture->base.err;
    bool has = false;
    int status = 0;
    table_open(&fixture->base);
    assert_int_equal(commit_with(fixture, first_rows, 3, "A"), MOR_OK);
    table_close(&fixture->base);
    pid_t child = fork();
    if (child == 0)
        die_at(point, fixture, &id);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child was not killed at %s: %d", point, WEXITSTATUS(status));
    table_open(&fixture->base);
    assert_int_equal(mor_table_has_batch(fixture->base.table, &id, &has, err), MOR_OK);
    if (has != expected)
        fail_msg("%s: the commit is %sin the table", point, has ? "" : "not ");
    assert_attached(fixture, NULL, has ? "AB" : "A");
    if (has) {
        struct iceberg_fixture *other = calloc(1, sizeof *other);
        memcpy(other, fixture, sizeof *other);
        // its rows are those of second_rows: only their values are compared
        other->row_count = 0;
        const struct table_row now[] = {
            {"a", 5, 0, 11, false}, {"c", 3, 1, 10, false}, {"e", 6, 0, 11, false}};
        for (size_t i = 0; i < 3; i++) {
            struct model_row *row = &other->rows[other->row_count++];
            snprintf(row->id, sizeof row->id, "%s", now[i].id);
            row->value = now[i].value;
            row->updated = now[i].updated;
        }
        iceberg_relocate(other, fixture->base.table);
        memcpy(fixture, other, sizeof *other);
        free(other);
    } else {
        iceberg_check(fixture);
        iceberg_must_commit(fixture, second_rows, 3);
        iceberg_check(fixture);
    }
    table_close(&fixture->base);
}

// Stands still between looking at the table and looking at what is attached to it.
static void begin_slowly(struct iceberg_fixture *fixture)
{
    struct mor_write *write = NULL;
    struct mor_uuid id = mor_uuid_v7();
    fixture->base.options.instance = "slow";
    setenv("MORAINE_FAILPOINTS", "iceberg.purge=stop", 1);
    if (mor_fault_init(&fixture->base.err) != MOR_OK ||
        mor_table_open_write(&fixture->base.options, &fixture->base.table, &fixture->base.err) !=
            MOR_OK ||
        mor_write_begin(fixture->base.table, &id, &write, &fixture->base.err) != MOR_OK)
        _exit(2);
    mor_write_free(write);
    mor_table_free(fixture->base.table);
    _exit(0);
}

static void what_others_attach_meanwhile_stays(void **state)
{
    struct iceberg_fixture *fixture = *state;
    int status = 0;
    table_open(&fixture->base);
    assert_int_equal(commit_with(fixture, first_rows, 3, "A"), MOR_OK);
    table_close(&fixture->base);
    pid_t child = fork();
    if (child == 0)
        begin_slowly(fixture);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    table_open(&fixture->base);
    iceberg_of(fixture->base.table)->turn_wait_ms = 10; // the other one has it
    assert_int_equal(commit_with(fixture, second_rows, 3, "B"), MOR_OK);
    assert_int_equal(commit_with(fixture, first_rows, 3, "C"), MOR_OK);
    assert_attached(fixture, NULL, "ABC");
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_attached(fixture, NULL, "ABC");
    table_close(&fixture->base);
}

static const struct {
    const char *point;
    bool is_in;
} points[] = {
    {"iceberg.begin", false},        {"iceberg.group", false},
    {"iceberg.file_written", false}, {"iceberg.group_written", false},
    {"iceberg.removal", false},      {"iceberg.removal_written", false},
    {"iceberg.commit", false},       {"iceberg.manifest", false},
    {"iceberg.manifests", false},    {"iceberg.sync", false},
    {"iceberg.list", false},         {"iceberg.publish", false},
    {"iceberg.published", true},     {"iceberg.committed", true},
    {"iceberg.attach", true},
};

static void a_commit_is_in_the_table_or_not(void **state)
{
    for (int32_t version = 2; version <= 3; version++) {
        for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
            struct iceberg_fixture *fixture = NULL;
            iceberg_setup((void **)&fixture);
            fixture->base.options.format_version = version;
            check_kill(fixture, points[i].point, points[i].is_in);
            iceberg_teardown((void **)&fixture);
        }
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_kept_with_commits, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(a_table_that_was_taken_back_is_noticed, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(commits_of_others_are_built_upon, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(the_ledger_outlives_our_snapshots, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test_setup_teardown(what_others_attach_meanwhile_stays, iceberg_setup,
                                        iceberg_teardown),
        cmocka_unit_test(a_commit_is_in_the_table_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
