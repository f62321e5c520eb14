// Lanes, committer and merger at the same time. Meant for the sanitizers, but it checks, too: of
// all copies of an id exactly one ends up in the table.
#include "state_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define LANES      3
#define CHUNKS     40
#define CHUNK_ROWS 200
#define IDS        9000
#define QUEUE_MAX  (LANES * CHUNKS)

struct piece {
    struct mor_dedup_run *run;
    uint32_t ids[CHUNK_ROWS];
    uint8_t verdicts[CHUNK_ROWS];
};

static struct fixture f;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct piece *queue[QUEUE_MAX];
static size_t queue_count;
static atomic_int lanes_at_work;
static uint8_t in_table[IDS];

static void *lane(void *argument)
{
    uint64_t seed = 88172645463325252u + (uint64_t)(uintptr_t)argument * 7919;
    struct mor_error lane_err = MOR_ERROR_INIT;
    for (int c = 0; c < CHUNKS; c++) {
        struct piece *piece = calloc(1, sizeof *piece);
        struct mor_hash128 ids[CHUNK_ROWS];
        int64_t times[CHUNK_ROWS];
        for (size_t i = 0; i < CHUNK_ROWS; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            piece->ids[i] = (uint32_t)(seed >> 20) % IDS;
            ids[i] = id_of(piece->ids[i]);
            times[i] = (int64_t)(piece->ids[i] % 8) * HOUR_MS;
            piece->verdicts[i] = MOR_DEDUP_ASK;
        }
        if (mor_state_dedup(f.state, ids, times, piece->verdicts, CHUNK_ROWS, &piece->run,
                            &lane_err) != MOR_OK)
            abort();
        struct mor_state_entry entry;
        if (mor_state_lookup(f.state, ids, 1, &entry, &lane_err) != MOR_OK)
            abort();
        struct mor_state_status status;
        mor_state_status(f.state, &status);
        char name[32];
        (void)snprintf(name, sizeof name, "file-%d", c);
        if (mor_state_name_text(f.state, mor_state_name_number(f.state, name)) == NULL)
            abort();
        pthread_mutex_lock(&mutex);
        queue[queue_count++] = piece;
        pthread_mutex_unlock(&mutex);
    }
    atomic_fetch_sub(&lanes_at_work, 1);
    return NULL;
}

static void take_in(struct piece *piece)
{
    for (size_t i = 0; i < CHUNK_ROWS; i++)
        if (piece->verdicts[i] == MOR_DEDUP_NEW) {
            if (in_table[piece->ids[i]])
                fail_msg("id %u is in the table twice", piece->ids[i]);
            in_table[piece->ids[i]] = 1;
        }
}

// Commits what has been gathered; every fifth batch is dropped and its pieces judged again.
static void commit(int number)
{
    struct piece *pieces[QUEUE_MAX];
    struct mor_dedup_run *runs[QUEUE_MAX];
    pthread_mutex_lock(&mutex);
    size_t count = queue_count;
    memcpy(pieces, queue, count * sizeof pieces[0]);
    queue_count = 0;
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < count; i++)
        runs[i] = pieces[i]->run;
    const struct mor_dedup_correction *corrections;
    size_t correction_count;
    struct mor_state_batch *batch =
        begin(&f, runs, count, NULL, 0, &corrections, &correction_count);
    for (size_t i = 0; i < correction_count; i++)
        pieces[corrections[i].run]->verdicts[corrections[i].row] = (uint8_t)corrections[i].verdict;
    bool dropped = number % 5 == 4;
    if (dropped) {
        mor_state_batch_drop(f.state, batch);
    } else {
        put_key(batch, (uint64_t)number, (uint64_t)number);
        apply(&f, batch, INT64_MIN);
    }
    for (size_t i = 0; i < count; i++) {
        if (!dropped) {
            take_in(pieces[i]);
            free(pieces[i]);
            continue;
        }
        struct mor_hash128 ids[CHUNK_ROWS];
        int64_t times[CHUNK_ROWS];
        for (size_t row = 0; row < CHUNK_ROWS; row++) {
            ids[row] = id_of(pieces[i]->ids[row]);
            times[row] = (int64_t)(pieces[i]->ids[row] % 8) * HOUR_MS;
            pieces[i]->verdicts[row] = MOR_DEDUP_ASK;
        }
        assert_ok(mor_state_dedup(f.state, ids, times, pieces[i]->verdicts, CHUNK_ROWS,
                                  &pieces[i]->run, &err));
        pthread_mutex_lock(&mutex);
        queue[queue_count++] = pieces[i];
        pthread_mutex_unlock(&mutex);
    }
}

static void run_lanes(size_t share_bytes)
{
    fixture_init(&f);
    mor_state_free(f.state);
    f.options.share_bytes = share_bytes;
    f.options.merge_by_hand = false;
    fixture_open(&f);
    memset(in_table, 0, sizeof in_table);
    pthread_t threads[LANES];
    atomic_store(&lanes_at_work, LANES);
    for (size_t i = 0; i < LANES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, lane, (void *)(uintptr_t)i), 0);
    int number = 0;
    while (atomic_load(&lanes_at_work) > 0)
        commit(number++);
    for (size_t i = 0; i < LANES; i++)
        pthread_join(threads[i], NULL);
    do
        commit(number++);
    while (queue_count > 0);
    struct mor_state_status status;
    mor_state_status(f.state, &status);
    assert_string_equal(status.trouble, "");
    size_t total = 0;
    for (size_t i = 0; i < IDS; i++)
        total += in_table[i];
    assert_true(total > IDS * 9 / 10);
    fixture_reopen(&f);
    for (uint64_t id = 0; id < IDS; id++) {
        enum mor_dedup_verdict expected = in_table[id] ? MOR_DEDUP_STATE : MOR_DEDUP_NEW;
        mor_state_dedup_forget(f.state, judge_one(&f, id, (int64_t)(id % 8) * HOUR_MS, expected));
    }
    fixture_done(&f);
}

static void lanes_and_committer_agree_with_tables(void **context)
{
    (void)context;
    run_lanes(0);
}

static void lanes_and_committer_agree_with_filters(void **context)
{
    (void)context;
    run_lanes(1);
}

static void lanes_and_committer_agree_while_filters_take_over(void **context)
{
    (void)context;
    run_lanes(300000);
}

static atomic_bool asks;

static void *ask(void *context)
{
    (void)context;
    while (atomic_load(&asks)) {
        struct mor_state_status status;
        mor_state_status(f.state, &status);
        assert_true(status.dedup_entries <= 1);
    }
    return NULL;
}

static void status_may_be_asked_while_the_state_is_reset(void **context)
{
    (void)context;
    fixture_init(&f);
    pthread_t thread;
    atomic_store(&asks, true);
    assert_int_equal(pthread_create(&thread, NULL, ask, NULL), 0);
    for (uint64_t i = 0; i < 20; i++) {
        apply_run(&f, judge_one(&f, i, 0, MOR_DEDUP_NEW), INT64_MIN);
        assert_ok(mor_state_reset(f.state, &err));
    }
    atomic_store(&asks, false);
    pthread_join(thread, NULL);
    fixture_done(&f);
}

int main(void)
{
    // widens the gap between claiming an id and reading the sorted runs for it
    (void)setenv("MORAINE_FAILPOINTS", "state.claimed=delay:1", 1);
    if (mor_fault_init(&err) != MOR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_and_committer_agree_with_tables),
        cmocka_unit_test(lanes_and_committer_agree_with_filters),
        cmocka_unit_test(lanes_and_committer_agree_while_filters_take_over),
        cmocka_unit_test(status_may_be_asked_while_the_state_is_reset),
    };
    return cmocka_run_group_tests_name("state threads", tests, NULL, NULL);
}
