// Processes that die in the middle. A child plays table and state: it notes a version in a file
// (the table commit), then applies it. However it ends, the state must be that of a version which
// the table has, with all ids and keys of it and nothing more.
#include "state_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define IDS_EACH 2000

static uint64_t table_version(const struct fixture *f)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/table", f->folder) > 0);
    int fd = open(path, O_RDONLY);
    free(path);
    if (fd < 0)
        return 0;
    uint64_t version = 0;
    assert_true(read(fd, &version, sizeof version) >= 0);
    close(fd);
    return version;
}

static void commit_to_table(const struct fixture *f, uint64_t version)
{
    char *path = NULL;
    if (asprintf(&path, "%s/table", f->folder) < 0)
        abort();
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    free(path);
    if (fd < 0 || pwrite(fd, &version, sizeof version, 0) != (ssize_t)sizeof version)
        abort();
    close(fd);
}

static uint64_t version_of(const struct fixture *f)
{
    const struct mor_state_mark *mark = mor_state_mark_of(f->state);
    return mark != NULL ? (uint64_t)atoll(mark->version + 1) : 0;
}

static int64_t time_of(uint64_t version)
{
    return (int64_t)version * HOUR_MS / 2;
}

// Applies versions until it is killed or `count` are done. Runs in the child: no cmocka.
static void work(struct fixture *f, uint64_t count)
{
    static uint8_t verdicts[ROWS_MAX];
    static struct mor_hash128 ids[IDS_EACH];
    static int64_t times[IDS_EACH];
    if (mor_state_open(&f->options, &f->state, &f->outcome, &err) != MOR_OK)
        _exit(3);
    uint64_t first = version_of(f);
    for (uint64_t version = first + 1; version <= first + count; version++) {
        for (size_t i = 0; i < IDS_EACH; i++) {
            ids[i] = id_of(version * IDS_EACH + i);
            times[i] = time_of(version);
            verdicts[i] = MOR_DEDUP_ASK;
        }
        struct mor_dedup_run *run;
        struct mor_state_batch *batch;
        const struct mor_dedup_correction *corrections;
        size_t corrections_count;
        bool merged;
        if (mor_state_dedup(f->state, ids, times, verdicts, IDS_EACH, &run, &err) != MOR_OK ||
            mor_state_batch_begin(f->state, &run, 1, NULL, 0, &batch, &corrections,
                                  &corrections_count, &err) != MOR_OK)
            _exit(4);
        struct mor_state_entry entry = {version, 0};
        mor_state_batch_index(batch, ids, &entry, 1);
        char text[32];
        (void)snprintf(text, sizeof text, "v%llu", (unsigned long long)version);
        struct mor_state_mark mark = {
            .version = text, .offsets = "", .watermark_ms = time_of(version)};
        commit_to_table(f, version);
        if (mor_state_batch_apply(f->state, batch, &mark, &err) != MOR_OK ||
            mor_state_merge(f->state, &merged, &err) != MOR_OK)
            _exit(5);
    }
    mor_state_free(f->state);
    _exit(0);
}

// What the survivor finds.
static void check(struct fixture *f)
{
    fixture_open(f);
    assert_int_not_equal(f->outcome.condition, MOR_STATE_SET_ASIDE);
    uint64_t table = table_version(f), state = version_of(f);
    assert_true(state <= table && state + 1 >= table);
    static uint8_t verdicts[ROWS_MAX];
    for (uint64_t version = 1; version <= table + 1; version++) {
        bool alive = time_of(version) >= time_of(state) - WINDOW_MS + HOUR_MS;
        if (!alive)
            continue;
        struct mor_dedup_run *run =
            judge(f, version * IDS_EACH, IDS_EACH, time_of(version), verdicts);
        for (size_t i = 0; i < IDS_EACH; i++)
            assert_int_equal(verdicts[i], version <= state ? MOR_DEDUP_STATE : MOR_DEDUP_NEW);
        mor_state_dedup_forget(f->state, run);
        assert_true(location_of(f, version * IDS_EACH) ==
                    (version <= state ? version : MOR_STATE_NOWHERE));
    }
    // the caller would catch up now
    if (state < table) {
        struct mor_hash128 ids[IDS_EACH];
        int64_t times[IDS_EACH];
        for (size_t i = 0; i < IDS_EACH; i++) {
            ids[i] = id_of(table * IDS_EACH + i);
            times[i] = time_of(table);
        }
        char text[32];
        (void)snprintf(text, sizeof text, "v%llu", (unsigned long long)table);
        struct mor_state_mark mark = {
            .version = text, .offsets = "", .watermark_ms = time_of(table)};
        struct mor_state_entry entry = {table, 0};
        assert_ok(mor_state_load_begin(f->state, mark.watermark_ms, &err));
        assert_ok(mor_state_load_ids(f->state, ids, times, IDS_EACH, &err));
        assert_ok(mor_state_load_keys(f->state, ids, &entry, 1, &err));
        assert_ok(mor_state_load_finish(f->state, &mark, &err));
    }
    mor_state_free(f->state);
    f->state = NULL;
}

static void init(struct fixture *f)
{
    fixture_init(f);
    mor_state_free(f->state);
    f->state = NULL;
}

static void finish(struct fixture *f)
{
    fixture_open(f);
    fixture_done(f);
}

static void a_kill_at_any_failpoint_leaves_a_state_of_a_version(void **context)
{
    (void)context;
    static const char *const points[] = {"state.before_apply",  "state.mid_write",
                                         "state.before_commit", "state.after_apply",
                                         "state.merge_piece",   "state.merge_last"};
    struct fixture f;
    init(&f);
    size_t killed = 0;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (int nth = 1; nth <= 6; nth++) {
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                char setting[64];
                (void)snprintf(setting, sizeof setting, "%s=kill@%d", points[i], nth);
                (void)setenv("MORAINE_FAILPOINTS", setting, 1);
                if (mor_fault_init(&err) != MOR_OK)
                    _exit(6);
                work(&f, 12);
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            bool by_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            if (!by_signal)
                assert_int_equal(status, 0);
            killed += by_signal;
            check(&f);
        }
    }
    print_message("%zu kills\n", killed);
    assert_true(killed >= 25);
    finish(&f);
}

static void a_kill_at_any_moment_leaves_a_state_of_a_version(void **context)
{
    (void)context;
    struct fixture f;
    init(&f);
    uint64_t seed = 88172645463325252u;
    size_t killed = 0;
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            work(&f, 200);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        struct timespec pause = {0, (long)(seed % 60) * 1000000 + 1000000};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        check(&f);
    }
    print_message("%zu kills, table at version %llu\n", killed,
                  (unsigned long long)table_version(&f));
    finish(&f);
}

// The disk refuses once: nothing changes, and the same call works afterwards.
static void a_failed_write_is_retried_without_loss(void **context)
{
    (void)context;
    static const char *const points[] = {"state.before_apply", "state.mid_write",
                                         "state.before_commit"};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        init(&f);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char setting[64];
            if (mor_state_open(&f.options, &f.state, &f.outcome, &err) != MOR_OK)
                _exit(3);
            (void)snprintf(setting, sizeof setting, "%s=error@2", points[i]);
            (void)setenv("MORAINE_FAILPOINTS", setting, 1);
            if (mor_fault_init(&err) != MOR_OK)
                _exit(6);
            for (uint64_t id = 1; id <= 3; id++) {
                struct mor_hash128 hash = id_of(id);
                int64_t time = HOUR_MS;
                uint8_t verdict = MOR_DEDUP_ASK;
                struct mor_dedup_run *run;
                struct mor_state_batch *batch;
                const struct mor_dedup_correction *corrections;
                size_t count;
                struct mor_state_mark mark = {
                    .version = "v", .offsets = "", .watermark_ms = INT64_MIN};
                if (mor_state_dedup(f.state, &hash, &time, &verdict, 1, &run, &err) != MOR_OK ||
                    mor_state_batch_begin(f.state, &run, 1, NULL, 0, &batch, &corrections, &count,
                                          &err) != MOR_OK)
                    _exit(4);
                struct mor_state_entry entry = {id, 0};
                mor_state_batch_index(batch, &hash, &entry, 1);
                enum mor_status status = mor_state_batch_apply(f.state, batch, &mark, &err);
                if (status != (id == 2 ? MOR_RETRY : MOR_OK))
                    _exit(10 + (int)status);
                if (id == 2 && mor_state_batch_apply(f.state, batch, &mark, &err) != MOR_OK)
                    _exit(5);
            }
            mor_state_free(f.state);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        fixture_open(&f);
        for (uint64_t id = 1; id <= 3; id++) {
            mor_state_dedup_forget(f.state, judge_one(&f, id, HOUR_MS, MOR_DEDUP_STATE));
            assert_true(location_of(&f, id) == id);
        }
        fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_at_any_failpoint_leaves_a_state_of_a_version),
        cmocka_unit_test(a_kill_at_any_moment_leaves_a_state_of_a_version),
        cmocka_unit_test(a_failed_write_is_retried_without_loss),
    };
    return cmocka_run_group_tests_name("state crash", tests, NULL, NULL);
}
