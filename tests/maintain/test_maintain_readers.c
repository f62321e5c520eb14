// Readers that take their time while a table is written, merged and cleaned: as long as a reading
// lasts less than the retention's age, none misses a file, and each shows the rows of one commit.
#include <pthread.h>
#include <stdatomic.h>

#include "maintain_test.h"
#include "moraine/base/clock.h"

#define COMMITS    50
#define KEYS       40
#define AGE_MS     700
#define PACE_US    40000
#define PAUSE_US   15000 // of a reader, after each file group
#define READERS    3
#define ROUNDS_MIN 5

struct state_after {
    size_t count;
    int64_t values;
};

struct watched {
    struct table_fixture *fixture;
    struct state_after expected[COMMITS]; // by commit
    char versions[COMMITS][64];
    int64_t committed_ms[COMMITS];
    atomic_int committed; // commits that are done
    atomic_bool done;
};

struct reader {
    struct watched *watched;
    bool travels; // reads an older commit by its version
    int rounds, too_slow;
    char failure[1200];
};

// The rows that commit_mix leaves, decided here once more.
static void fill_expected(struct watched *watched)
{
    int32_t values[KEYS];
    int64_t updated[KEYS];
    bool there[KEYS] = {false};
    for (int number = 0; number < COMMITS; number++) {
        struct state_after *after = &watched->expected[number];
        for (int key = 0; key < KEYS; key++) {
            int64_t ordering = number % 4 == 3 ? number - 2 : number;
            bool is_delete = number > 0 && (key + number) % 11 == 0;
            if (number > 0 && (key * 7 + number * 3) % 5 == 0)
                continue;
            if (is_delete) {
                there[key] = false;
            } else if (!there[key] || ordering >= updated[key]) {
                there[key] = true;
                values[key] = number * 100 + key;
                updated[key] = ordering;
            }
        }
        for (int key = 0; key < KEYS; key++) {
            after->count += there[key];
            after->values += there[key] ? values[key] : 0;
        }
    }
}

// Reads the table slowly.
static enum mor_status read_slowly(struct table_fixture *fixture, const char *version,
                                   struct state_after *seen, struct mor_error *err)
{
    static const char *const columns[] = {"value"};
    const struct mor_scan_options options = {
        .columns = columns, .column_count = 1, .version = version};
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    MOR_TRY(mor_table_open_read(fixture->location, NULL, &table, err));
    enum mor_status status = mor_scan_open(table, &options, &scan, err);
    struct mor_batch *batch = status == MOR_OK ? mor_batch_new(mor_scan_schema(scan), NULL) : NULL;
    *seen = (struct state_after){0};
    while (status == MOR_OK && (status = mor_scan_next(scan, batch, err)) == MOR_OK &&
           batch->row_count > 0) {
        for (size_t i = 0; i < batch->row_count; i++)
            seen->values += mor_vector_i32(&batch->columns[0], i);
        seen->count += batch->row_count;
        usleep(PAUSE_US);
    }
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return status;
}

static bool is_state_of(const struct watched *watched, int first, int last, struct state_after seen)
{
    for (int i = first; i <= last; i++) {
        if (watched->expected[i].count == seen.count && watched->expected[i].values == seen.values)
            return true;
    }
    return false;
}

static void read_once(struct reader *reader)
{
    struct watched *watched = reader->watched;
    struct mor_error err = MOR_ERROR_INIT;
    struct state_after seen = {0};
    int first = atomic_load(&watched->committed) - 1;
    if (reader->travels && first > 2)
        first -= 2;
    int64_t begun_ms = mor_clock_mono_ms();
    enum mor_status status = read_slowly(
        watched->fixture, reader->travels ? watched->versions[first] : NULL, &seen, &err);
    // a version is kept while it was the newest within the retention's age
    int64_t since_ms = reader->travels ? watched->committed_ms[first] : begun_ms;
    bool too_slow = mor_clock_mono_ms() - since_ms >= AGE_MS;
    int last = atomic_load(&watched->committed);
    last = reader->travels ? first : (last < COMMITS ? last : COMMITS - 1);
    if (status != MOR_OK && !too_slow)
        snprintf(reader->failure, sizeof reader->failure, "commit %d, after %lld ms: %s", first,
                 (long long)(mor_clock_mono_ms() - begun_ms), err.message);
    else if (status == MOR_OK && !is_state_of(watched, first, last, seen))
        snprintf(reader->failure, sizeof reader->failure,
                 "%zu rows with sum %lld are the state of none of the commits %d to %d", seen.count,
                 (long long)seen.values, first, last);
    reader->rounds += status == MOR_OK;
    reader->too_slow += too_slow;
}

static void *run_reader(void *argument)
{
    struct reader *reader = argument;
    while (!atomic_load(&reader->watched->done) && !*reader->failure) {
        if (atomic_load(&reader->watched->committed) > 0)
            read_once(reader);
        else
            usleep(1000);
    }
    return NULL;
}

static void newest_version(struct table_fixture *fixture, char ret_version[64])
{
    assert_int_equal(mor_table_version_at(fixture->table, mor_clock_wall_ms() + 1000, ret_version,
                                          &fixture->err),
                     MOR_OK);
}

static void write_commits(struct watched *watched)
{
    struct table_fixture *fixture = watched->fixture;
    for (int i = 0; i < COMMITS; i++) {
        commit_mix(fixture, i);
        // a merge that came after it has the same rows
        newest_version(fixture, watched->versions[i]);
        watched->committed_ms[i] = mor_clock_mono_ms();
        atomic_store(&watched->committed, i + 1);
        usleep(PACE_US);
    }
}

static void slow_readers_miss_no_file_and_see_whole_commits(void **state)
{
    struct table_fixture *fixture = *state;
    static struct watched watched;
    FOR_BOTH_VERSIONS(fixture)
    {
        watched = (struct watched){.fixture = fixture};
        fill_expected(&watched);
        struct mor_maintainer *maintainer = NULL;
        const struct mor_maintainer_options options = {
            .location = fixture->location,
            .compacts = true,
            .compact = {.limits = {.max_delta_files = 2}, .thread_count = 2},
            .retention = {.age_ms = AGE_MS, .min_snapshots = 1, .orphan_age_ms = 60000},
            .interval_ms = 10,
            .expire_interval_ms = 20,
        };
        table_open(fixture);
        assert_int_equal(mor_maintainer_start(&options, &maintainer, &fixture->err), MOR_OK);
        pthread_t threads[READERS];
        struct reader readers[READERS];
        for (int i = 0; i < READERS; i++) {
            readers[i] = (struct reader){.watched = &watched, .travels = i == 1};
            assert_int_equal(pthread_create(&threads[i], NULL, run_reader, &readers[i]), 0);
        }
        write_commits(&watched);
        int64_t deadline_ms = mor_clock_mono_ms() + 60000;
        struct mor_maintainer_status status;
        do {
            usleep(10000);
            mor_maintainer_status(maintainer, &status);
        } while ((status.cleaned_files == 0 || status.archived_versions == 0 ||
                  readers[0].rounds < ROUNDS_MIN || readers[2].rounds < ROUNDS_MIN) &&
                 mor_clock_mono_ms() < deadline_ms);
        atomic_store(&watched.done, true);
        for (int i = 0; i < READERS; i++)
            pthread_join(threads[i], NULL);
        mor_maintainer_free(maintainer);
        for (int i = 0; i < READERS; i++) {
            if (*readers[i].failure)
                fail_msg("version %d, reader %d: %s", version_, i, readers[i].failure);
            print_message("version %d, reader %d: %d readings, %d longer than the retention\n",
                          version_, i, readers[i].rounds, readers[i].too_slow);
        }
        assert_string_equal(status.trouble, "");
        assert_true(status.compactions > 0 && status.cleaned_files > 0);
        struct seen_rows seen = see_rows(fixture, NULL);
        assert_int_equal(seen.count, watched.expected[COMMITS - 1].count);
        assert_int_equal(seen.values, watched.expected[COMMITS - 1].values);
        table_close(fixture);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(slow_readers_miss_no_file_and_see_whole_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
