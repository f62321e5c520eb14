// Tables of the file system: hints of every kind, races, kills, tables that are replaced.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iceberg_fixture.h"
#include "moraine/base/fault.h"

struct fixture {
    char *folder;
    char *location;
    struct mor_store *store;
    struct iceberg_catalog *catalog;
};

static struct mor_error err;

static int setup(void **state)
{
    struct fixture *fixture = mor_calloc(1, sizeof *fixture);
    err = MOR_ERROR_INIT;
    fixture->folder = check_folder();
    fixture->location = mor_asprintf("file://%s/t", fixture->folder);
    assert_ok(mor_store_open(fixture->location, true, &fixture->store, &err));
    fixture->catalog = iceberg_catalog_open_files(fixture->store);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    iceberg_catalog_free(fixture->catalog);
    mor_store_free(fixture->store);
    char *command = mor_asprintf("rm -rf '%s'", fixture->folder);
    int failed = system(command);
    free(command);
    free(fixture->location);
    free(fixture->folder);
    free(fixture);
    return failed;
}

static struct iceberg_metadata *create(struct fixture *fixture)
{
    struct iceberg_creation creation = fixture_creation(2, fixture->location);
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_catalog_create(fixture->catalog, &creation, &metadata, &err));
    fixture_creation_done(&creation);
    return metadata;
}

static struct iceberg_metadata *load(struct fixture *fixture)
{
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_catalog_load(fixture->catalog, &metadata, &err));
    return metadata;
}

// One more snapshot after what is there.
static void commit(struct fixture *fixture, int64_t snapshot_id)
{
    ICEBERG_AUTO_METADATA *base = load(fixture), *next = NULL;
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, snapshot_id);
    assert_ok(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err));
    assert_int_equal(next->version, base->version + 1);
}

// Commits in a process of its own, with a store of its own, that stops at the failpoint.
static int commit_in_child(const struct fixture *parent, const char *point, int64_t snapshot_id)
{
    struct mor_error wrong = MOR_ERROR_INIT;
    struct iceberg_metadata *base = NULL, *next = NULL;
    struct iceberg_change change;
    struct mor_store *store = NULL;
    setenv("MORAINE_FAILPOINTS", point, 1);
    if (mor_fault_init(&wrong) != MOR_OK ||
        mor_store_open(parent->location, false, &store, &wrong) != MOR_OK)
        return 100;
    struct iceberg_catalog *catalog = iceberg_catalog_open_files(store);
    if (iceberg_catalog_load(catalog, &base, &wrong) != MOR_OK)
        return 101;
    fixture_append(&change, base, snapshot_id);
    return (int)iceberg_catalog_commit(catalog, base, &change, &next, &wrong);
}

// A handle that has not seen anything.
static void start_anew(struct fixture *fixture)
{
    iceberg_catalog_free(fixture->catalog);
    fixture->catalog = iceberg_catalog_open_files(fixture->store);
}

static void write_file(struct fixture *fixture, const char *name, const char *text)
{
    char *path = mor_asprintf("%s/t/metadata/%s", fixture->folder, name);
    unlink(path);
    if (text) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
    }
    free(path);
}

static void assert_hint(struct fixture *fixture, const char *expected)
{
    struct mor_buffer text = {0};
    assert_ok(mor_store_get(fixture->store, "metadata/version-hint.text", 100, &text, &err));
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_buffer_done(&text);
}

static void a_table_is_created_once_and_committed_to(void **state)
{
    struct fixture *fixture = *state;
    struct iceberg_metadata *metadata = NULL;
    assert_fails(iceberg_catalog_load(fixture->catalog, &metadata, &err), MOR_NOT_FOUND,
                 "no Iceberg table");
    bool found = true;
    assert_ok(iceberg_files_probe(fixture->store, &found, &err));
    assert_false(found);
    iceberg_metadata_unref(create(fixture));
    assert_ok(iceberg_files_probe(fixture->store, &found, &err));
    assert_true(found);
    assert_hint(fixture, "1");
    struct iceberg_creation creation = fixture_creation(2, fixture->location);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_create(fixture->catalog, &creation, &metadata, &err), MOR_CONFLICT,
                 "already");
    fixture_creation_done(&creation);
    for (int64_t id = 1; id <= 11; id++)
        commit(fixture, id);
    assert_hint(fixture, "12");
    metadata = load(fixture);
    assert_int_equal(metadata->version, 12);
    assert_int_equal(metadata->current_snapshot_id, 11);
    char *uri = mor_asprintf("%s/metadata/v12.metadata.json", fixture->location);
    assert_string_equal(metadata->metadata_location, uri);
    free(uri);
    bool moved = true;
    assert_ok(iceberg_catalog_has_moved(fixture->catalog, metadata, &moved, &err));
    assert_false(moved);
    commit(fixture, 12);
    assert_ok(iceberg_catalog_has_moved(fixture->catalog, metadata, &moved, &err));
    assert_true(moved);
    iceberg_metadata_unref(metadata);
}

static void hints_may_be_missing_stale_ahead_or_garbage(void **state)
{
    struct fixture *fixture = *state;
    static const char *const hints[] = {
        NULL,        "",     "1",
        "3\n",       " 10 ", "999",
        "00003-abc", "-5",   "184467440737095516161844674407370955161618446744"};
    iceberg_metadata_unref(create(fixture));
    for (int64_t id = 1; id <= 10; id++)
        commit(fixture, id);
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        write_file(fixture, "version-hint.text", hints[i]);
        start_anew(fixture);
        ICEBERG_AUTO_METADATA *metadata = load(fixture);
        assert_int_equal(metadata->version, 11);
    }
    // the hint's version is gone, as after a clean-up by others
    write_file(fixture, "version-hint.text", "2");
    write_file(fixture, "v2.metadata.json", NULL);
    start_anew(fixture);
    ICEBERG_AUTO_METADATA *metadata = load(fixture);
    assert_int_equal(metadata->version, 11);
}

static void packed_metadata_of_both_names_are_read_and_one_is_written(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    {
        ICEBERG_AUTO_METADATA *base = load(fixture), *next = NULL;
        ICEBERG_AUTO_CHANGE change;
        iceberg_change_init(&change);
        iceberg_change_set_property(&change, "write.metadata.compression-codec", "gzip");
        assert_ok(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err));
    }
    commit(fixture, 7);
    struct mor_object_info info;
    assert_ok(mor_store_info(fixture->store, "metadata/v3.gz.metadata.json", &info, &err));
    start_anew(fixture);
    ICEBERG_AUTO_METADATA *metadata = load(fixture);
    assert_int_equal(metadata->version, 3);
    assert_int_equal(metadata->current_snapshot_id, 7);
    assert_ok(mor_store_move(fixture->store, "metadata/v3.gz.metadata.json",
                             "metadata/v3.metadata.json.gz", &err));
    start_anew(fixture);
    ICEBERG_AUTO_METADATA *again = load(fixture);
    assert_int_equal(again->current_snapshot_id, 7);
    commit(fixture, 8);
}

static void who_builds_on_an_old_version_is_in_conflict(void **state)
{
    struct fixture *fixture = *state;
    ICEBERG_AUTO_METADATA *base = create(fixture), *next = NULL;
    commit(fixture, 1);
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, 2);
    assert_fails(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err), MOR_CONFLICT,
                 "exists already");
    ICEBERG_AUTO_METADATA *head = load(fixture);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_commit(fixture->catalog, head, &change, &next, &err), MOR_CONFLICT,
                 "main is 1");
    assert_int_equal(head->current_snapshot_id, 1);
}

static void a_table_in_the_place_of_another_one_is_told(void **state)
{
    struct fixture *fixture = *state;
    ICEBERG_AUTO_METADATA *base = create(fixture), *metadata = NULL;
    write_file(fixture, "v1.metadata.json", NULL);
    struct iceberg_catalog *first = fixture->catalog;
    fixture->catalog = iceberg_catalog_open_files(fixture->store);
    iceberg_metadata_unref(create(fixture));
    assert_fails(iceberg_catalog_load(first, &metadata, &err), MOR_FATAL, "was replaced");
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, 1);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_commit(first, base, &change, &metadata, &err), MOR_CONFLICT,
                 "another one");
    iceberg_catalog_free(first);
}

static void tables_of_other_catalogs_are_read_only(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    commit(fixture, 1);
    assert_ok(mor_store_move(fixture->store, "metadata/v1.metadata.json",
                             "metadata/00000-7d1d0000-0000-4000-8000-000000000000.metadata.json",
                             &err));
    assert_ok(mor_store_move(fixture->store, "metadata/v2.metadata.json",
                             "metadata/00001-7d1d0000-0000-4000-8000-000000000000.metadata.json",
                             &err));
    write_file(fixture, "version-hint.text", NULL);
    start_anew(fixture);
    ICEBERG_AUTO_METADATA *metadata = load(fixture), *next = NULL;
    assert_int_equal(metadata->current_snapshot_id, 1);
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, metadata, 2);
    assert_fails(iceberg_catalog_commit(fixture->catalog, metadata, &change, &next, &err),
                 MOR_FATAL, "belongs to a catalog");
}

static void old_versions_go_when_the_table_wants_it(void **state)
{
    struct fixture *fixture = *state;
    ICEBERG_AUTO_METADATA *base = create(fixture), *next = NULL;
    ICEBERG_AUTO_CHANGE change;
    iceberg_change_init(&change);
    iceberg_change_set_property(&change, "write.metadata.delete-after-commit.enabled", "true");
    iceberg_change_set_property(&change, "write.metadata.previous-versions-max", "2");
    assert_ok(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err));
    for (int64_t id = 1; id <= 5; id++)
        commit(fixture, id);
    // version 7 is current, 5 and 6 are in the log
    struct mor_object_info info;
    for (int version = 1; version <= 7; version++) {
        char key[64];
        snprintf(key, sizeof key, "metadata/v%d.metadata.json", version);
        err = MOR_ERROR_INIT;
        assert_int_equal(mor_store_info(fixture->store, key, &info, &err),
                         version >= 5 ? MOR_OK : MOR_NOT_FOUND);
    }
}

// ---- several processes --------------------------------------------------------------------------

#define RACERS  3
#define COMMITS 25

// Commits COMMITS snapshots, each after whatever is newest.
static int race(const char *location, int64_t number)
{
    struct mor_error wrong = MOR_ERROR_INIT;
    struct mor_store *store = NULL;
    if (mor_store_open(location, false, &store, &wrong) != MOR_OK)
        return 1;
    struct iceberg_catalog *catalog = iceberg_catalog_open_files(store);
    for (int64_t done = 0; done < COMMITS;) {
        struct iceberg_metadata *base = NULL, *next = NULL;
        struct iceberg_change change;
        if (iceberg_catalog_load(catalog, &base, &wrong) != MOR_OK)
            return 2;
        fixture_append(&change, base, number * 1000 + done + 1);
        enum mor_status status = iceberg_catalog_commit(catalog, base, &change, &next, &wrong);
        iceberg_change_done(&change);
        iceberg_metadata_unref(base);
        iceberg_metadata_unref(next);
        if (status == MOR_OK)
            done++;
        else if (status != MOR_CONFLICT)
            return 3;
    }
    iceberg_catalog_free(catalog);
    mor_store_free(store);
    return 0;
}

static void racing_processes_lose_no_commit(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    pid_t racers[RACERS];
    for (int i = 0; i < RACERS; i++) {
        racers[i] = fork();
        if (racers[i] == 0)
            _exit(race(fixture->location, i + 1));
    }
    for (int i = 0; i < RACERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_int_equal(status, 0);
    }
    ICEBERG_AUTO_METADATA *metadata = load(fixture);
    assert_int_equal(metadata->version, 1 + RACERS * COMMITS);
    assert_int_equal(iceberg_metadata_snapshot_count(metadata), RACERS * COMMITS);
    char hint[16];
    snprintf(hint, sizeof hint, "%d", 1 + RACERS * COMMITS);
    assert_hint(fixture, hint);
    struct iceberg_snapshot snapshot;
    for (int64_t racer = 1; racer <= RACERS; racer++) {
        for (int64_t i = 1; i <= COMMITS; i++)
            assert_true(iceberg_metadata_snapshot(metadata, racer * 1000 + i, &snapshot));
    }
}

// Kills a process at each point of a commit: the table has the snapshot or it does not, and the
// next commit goes on.
static void a_kill_at_any_point_leaves_a_whole_table(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *point;
        bool published;
    } points[] = {
        {"iceberg.publish=kill", false},
        {"storage.publish=kill", false},
        {"storage.put_published=kill", true},
        {"iceberg.published=kill", true},
    };
    iceberg_metadata_unref(create(fixture));
    int64_t id = 0;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(commit_in_child(fixture, points[i].point, id + 1));
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        ICEBERG_AUTO_METADATA *metadata = load(fixture);
        assert_int_equal(metadata->current_snapshot_id, points[i].published ? id + 1
                                                        : id > 0            ? id
                                                                            : -1);
        if (points[i].published)
            id++;
        commit(fixture, ++id);
        start_anew(fixture);
        ICEBERG_AUTO_METADATA *again = load(fixture);
        assert_int_equal(again->current_snapshot_id, id);
    }
}

static void an_error_after_the_put_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    pid_t child = fork();
    if (child == 0)
        _exit(commit_in_child(fixture, "iceberg.published=error", 5));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), MOR_UNKNOWN);
    ICEBERG_AUTO_METADATA *metadata = load(fixture);
    assert_int_equal(metadata->current_snapshot_id, 5);
}

// ---- tables of others ---------------------------------------------------------------------------

static void tables_of_spark_and_java_are_opened(void **state)
{
    (void)state;
    static const char *const tables[] = {MORAINE_GOLDEN "/iceberg/spark/bunnies",
                                         MORAINE_GOLDEN "/iceberg/java/bunnies"};
    for (size_t i = 0; i < 2; i++) {
        struct mor_store *store = NULL;
        if (access(tables[i], R_OK) != 0) {
            print_message("no golden table %s here: it was not read\n", tables[i]);
            continue;
        }
        assert_ok(mor_store_open(tables[i], false, &store, &err));
        struct iceberg_catalog *catalog = iceberg_catalog_open_files(store);
        ICEBERG_AUTO_METADATA *metadata = NULL;
        assert_ok(iceberg_catalog_load(catalog, &metadata, &err));
        assert_int_equal(metadata->format_version, 2);
        struct iceberg_snapshot snapshot;
        assert_true(iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id, &snapshot));
        const char *key = iceberg_key_of_uri(metadata, snapshot.manifest_list);
        assert_non_null(key);
        struct mor_object_info info;
        assert_ok(mor_store_info(store, key, &info, &err));
        iceberg_catalog_free(catalog);
        mor_store_free(store);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_table_is_created_once_and_committed_to),
        TEST(hints_may_be_missing_stale_ahead_or_garbage),
        TEST(packed_metadata_of_both_names_are_read_and_one_is_written),
        TEST(who_builds_on_an_old_version_is_in_conflict),
        TEST(a_table_in_the_place_of_another_one_is_told),
        TEST(tables_of_other_catalogs_are_read_only),
        TEST(old_versions_go_when_the_table_wants_it),
        TEST(racing_processes_lose_no_commit),
        TEST(a_kill_at_any_point_leaves_a_whole_table),
        TEST(an_error_after_the_put_is_unknown),
        TEST(tables_of_spark_and_java_are_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
