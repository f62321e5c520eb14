// Several processes write one table while they are killed and stopped at random. Each commit moves
// one of several counters in the property "moraine" on by one, writes a row of its own and another
// version of a row that all share. What counts is the history: every commit follows the one before,
// and every row version is there as often as its commit, once.
#include "table_rows.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "hudi/hudi_table.h"
#include "moraine/base/clock.h"

#define WRITERS     4
#define STORM_MS    4000
#define COMMITS_MAX 4096

struct counters {
    int of[WRITERS];
};

static bool parse_counters(const char *text, struct counters *ret_counters)
{
    *ret_counters = (struct counters){0};
    return !text || sscanf(text, "%d,%d,%d,%d", &ret_counters->of[0], &ret_counters->of[1],
                           &ret_counters->of[2], &ret_counters->of[3]) == WRITERS;
}

// ---- one writer ---------------------------------------------------------------------------------

static void nap_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static enum mor_status commit_next(struct table_fixture *fixture, int writer,
                                   const struct mor_uuid *id, int *ret_number)
{
    struct mor_write *write = NULL;
    struct counters counters;
    char text[96], row[32], previous[32];
    MOR_TRY(mor_write_begin(fixture->table, id, &write, &fixture->err));
    if (!parse_counters(mor_write_base_property(write, "moraine"), &counters))
        _exit(11);
    int number = *ret_number = ++counters.of[writer];
    snprintf(text, sizeof text, "%d,%d,%d,%d", counters.of[0], counters.of[1], counters.of[2],
             counters.of[3]);
    snprintf(row, sizeof row, "w%d-%d", writer, number);
    snprintf(previous, sizeof previous, "w%d-%d", writer, number - 1);
    struct table_row rows[] = {{row, number, number % 2, number, false},
                               {"shared", writer * COMMITS_MAX + number, 0, number, false}};
    enum mor_status status = table_write_groups(fixture, write, rows, 2);
    struct mor_property property = {"moraine", text};
    struct mor_commit_result result;
    if (status == MOR_OK)
        status = mor_write_attach(write, "counters", text, strlen(text), &fixture->err);
    if (status == MOR_OK)
        status = mor_write_commit(write, &property, 1, &result, &fixture->err);
    mor_write_free(write);
    return status;
}

static _Noreturn void run_writer(struct table_fixture *fixture, int writer, int log_fd)
{
    char name[16];
    snprintf(name, sizeof name, "w%d", writer);
    fixture->options.instance = name;
    while (mor_table_open_write(&fixture->options, &fixture->table, &fixture->err) == MOR_RETRY)
        nap_ms(10);
    if (!fixture->table) {
        fprintf(stderr, "open: %s\n", fixture->err.message);
        _exit(10);
    }
    hudi_of(fixture->table)->turn_wait_ms = 150;
    for (;;) {
        struct mor_uuid id = mor_uuid_v7();
        int number = 0;
        enum mor_status status = commit_next(fixture, writer, &id, &number);
        bool has = status == MOR_OK;
        while (status == MOR_UNKNOWN) {
            enum mor_status known = mor_table_has_batch(fixture->table, &id, &has, &fixture->err);
            if (known == MOR_OK)
                break;
            if (known != MOR_RETRY)
                _exit(13);
        }
        if (status == MOR_FATAL || status == MOR_DATA || status == MOR_FENCED) {
            fprintf(stderr, "writer %d: %s\n", writer, fixture->err.message);
            _exit(12);
        }
        int line[2] = {writer, number};
        if (has && write(log_fd, line, sizeof line) != sizeof line)
            _exit(14);
    }
}

// ---- the storm ----------------------------------------------------------------------------------

struct storm {
    struct table_fixture *fixture;
    pid_t pids[WRITERS];
    int64_t wakes_ms[WRITERS]; // 0 = runs
    int log_fd;
    int kills, stops;
};

static void spawn(struct storm *storm, int writer)
{
    storm->pids[writer] = fork();
    assert_true(storm->pids[writer] >= 0);
    if (storm->pids[writer] == 0)
        run_writer(storm->fixture, writer, storm->log_fd);
    storm->wakes_ms[writer] = 0;
}

static void reap(struct storm *storm, int writer)
{
    int status = 0;
    kill(storm->pids[writer], SIGKILL);
    waitpid(storm->pids[writer], &status, 0);
    if (!WIFSIGNALED(status))
        fail_msg("writer %d ended with %d", writer, WEXITSTATUS(status));
}

static void weather(struct storm *storm, unsigned *seed)
{
    int64_t end_ms = mor_clock_mono_ms() + STORM_MS;
    while (mor_clock_mono_ms() < end_ms) {
        nap_ms(5 + rand_r(seed) % 30);
        int writer = rand_r(seed) % WRITERS;
        for (int i = 0; i < WRITERS; i++) {
            if (storm->wakes_ms[i] && storm->wakes_ms[i] <= mor_clock_mono_ms()) {
                kill(storm->pids[i], SIGCONT);
                storm->wakes_ms[i] = 0;
            }
        }
        if (rand_r(seed) % 4 == 0) {
            reap(storm, writer);
            storm->kills++;
            spawn(storm, writer);
        } else if (!storm->wakes_ms[writer] && rand_r(seed) % 2) {
            kill(storm->pids[writer], SIGSTOP);
            storm->wakes_ms[writer] = mor_clock_mono_ms() + rand_r(seed) % 700;
            storm->stops++;
        }
    }
    for (int i = 0; i < WRITERS; i++)
        reap(storm, i);
}

// ---- what must hold -----------------------------------------------------------------------------

// Every commit moved one counter on by one. Counts the commits.
static size_t check_history(struct table_fixture *fixture, struct counters *ret_last)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_commit_info *commits = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_history(fixture->table, &arena, &commits, &count, &fixture->err),
                     MOR_OK);
    struct counters before = {0};
    for (size_t i = 0; i < count; i++) {
        struct counters now = {0};
        int moved = 0;
        const char *text = NULL;
        for (size_t p = 0; p < commits[i].property_count; p++) {
            if (strcmp(commits[i].properties[p].key, "moraine") == 0)
                text = commits[i].properties[p].value;
        }
        assert_non_null(text);
        assert_true(parse_counters(text, &now));
        for (int w = 0; w < WRITERS; w++) {
            assert_true(now.of[w] == before.of[w] || now.of[w] == before.of[w] + 1);
            moved += now.of[w] - before.of[w];
        }
        assert_int_equal(moved, 1);
        before = now;
    }
    *ret_last = before;
    mor_arena_done(&arena);
    return count;
}

struct seen {
    uint8_t rows[WRITERS][COMMITS_MAX], shared[WRITERS][COMMITS_MAX];
};

static void see_row(void *context, const char *id, size_t length, int32_t value, int64_t updated)
{
    struct seen *seen = context;
    char text[32] = "";
    int writer, number;
    assert_true(length < sizeof text);
    memcpy(text, id, length);
    if (strcmp(text, "shared") == 0) {
        assert_int_equal(value % COMMITS_MAX, updated);
        seen->shared[value / COMMITS_MAX][value % COMMITS_MAX]++;
        return;
    }
    assert_int_equal(sscanf(text, "w%d-%d", &writer, &number), 2);
    assert_int_equal(number, updated);
    seen->rows[writer][number]++;
}

static void check_rows_once(struct table_fixture *fixture, const struct counters *last)
{
    struct seen *seen = calloc(1, sizeof *seen);
    table_visit_rows(fixture->table, see_row, seen, &fixture->err);
    for (int w = 0; w < WRITERS; w++) {
        for (int n = 0; n < COMMITS_MAX; n++) {
            int expected = n >= 1 && n <= last->of[w];
            assert_int_equal(seen->rows[w][n], expected);
            assert_int_equal(seen->shared[w][n], expected);
        }
    }
    free(seen);
}

static void check_log(int log_fd, const struct counters *last)
{
    int line[2], previous[WRITERS] = {0};
    assert_int_equal(lseek(log_fd, 0, SEEK_SET), 0);
    while (read(log_fd, line, sizeof line) == sizeof line) {
        assert_true(line[1] <= last->of[line[0]]); // what was promised is there
        assert_true(line[1] > previous[line[0]]);
        previous[line[0]] = line[1];
    }
}

static void check_chain(struct table_fixture *fixture, size_t commits)
{
    struct mor_store *store = mor_table_store(fixture->table);
    struct hudi_slot slot = {0};
    char previous[MOR_UUID_TEXT_SIZE] = "", instant[HUDI_TIME_SIZE] = "";
    for (uint64_t n = 1; n <= commits; n++) {
        assert_int_equal(hudi_chain_read(store, n, &slot, &fixture->err), MOR_OK);
        assert_string_equal(slot.previous, previous);
        assert_true(strcmp(slot.instant, instant) > 0);
        memcpy(previous, slot.batch, sizeof previous);
        memcpy(instant, slot.completion, sizeof instant);
        hudi_slot_done(&slot);
    }
    assert_int_equal(hudi_chain_read(store, commits + 1, &slot, &fixture->err), MOR_NOT_FOUND);
    struct mor_attachment *attached = NULL;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    size_t count = 0;
    assert_int_equal(mor_table_attachments(fixture->table, "counters", NULL, &arena, &attached,
                                           &count, &fixture->err),
                     MOR_OK);
    assert_int_equal(count, commits);
    mor_arena_done(&arena);
}

static void storm(struct table_fixture *fixture, int version, bool keyed)
{
    struct storm storm = {.fixture = fixture};
    char path[96];
    unsigned seed = (unsigned)mor_clock_wall_ms();
    snprintf(path, sizeof path, "%s/promised", fixture->root);
    storm.log_fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
    assert_true(storm.log_fd >= 0);
    fixture->options.hudi_table_version = version;
    if (!keyed) {
        fixture->options.key_column_count = 0;
        fixture->options.ordering_column = NULL;
    }
    print_message("seed %u\n", seed);
    for (int i = 0; i < WRITERS; i++)
        spawn(&storm, i);
    weather(&storm, &seed);
    struct counters last;
    table_open(fixture);
    size_t commits = check_history(fixture, &last);
    print_message("%zu commits (%d, %d, %d, %d), %d kills, %d stops\n", commits, last.of[0],
                  last.of[1], last.of[2], last.of[3], storm.kills, storm.stops);
    assert_true(commits > 0);
    check_rows_once(fixture, &last);
    check_log(storm.log_fd, &last);
    check_chain(fixture, commits);
    assert_int_equal(table_count_files(fixture, "moraine/staging/"), 0);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), (int)commits);
    assert_int_equal(table_count_files(fixture, "deltacommit.inflight"), (int)commits);
    assert_int_equal(table_count_files(fixture, "deltacommit.requested"), (int)commits);
    close(storm.log_fd);
}

static void stopped_and_killed_writers_of_version_6_lose_and_double_nothing(void **state)
{
    storm(*state, 6, true);
}

static void stopped_and_killed_writers_of_version_9_lose_and_double_nothing(void **state)
{
    storm(*state, 9, true);
}

static void stopped_and_killed_writers_of_a_table_without_key_lose_and_double_nothing(void **state)
{
    storm(*state, 6, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(stopped_and_killed_writers_of_version_6_lose_and_double_nothing),
        TEST(stopped_and_killed_writers_of_version_9_lose_and_double_nothing),
        TEST(stopped_and_killed_writers_of_a_table_without_key_lose_and_double_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
