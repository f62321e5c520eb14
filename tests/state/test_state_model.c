// The state inside a small model of the pipeline: partitions, lanes that are cut one after the
// other, rebalances, fences, crashes before the state has heard of a commit, merges, filters. After
// every commit the table must hold each id of the consumed records exactly once.
#include "state_fixture.h"

#define PARTITIONS   3
#define LANES        2
#define RECORDS_MAX  20000 // per partition
#define IDS_MAX      (PARTITIONS * RECORDS_MAX)
#define RUNS_MAX     256 // per lane batch
#define RUN_ROWS_MAX 24
#define KEYS         300
#define COMMITS_MAX  4000
#define STEPS        1500
#define GRAVE_MS     (5 * HOUR_MS)

struct record {
    uint32_t id;
    int64_t time_ms;
};

struct run {
    int partition;
    int generation;
    size_t first, count;
    struct mor_dedup_run *dedup;
    uint8_t verdicts[RUN_ROWS_MAX];
};

struct lane_batch {
    struct run runs[RUNS_MAX];
    size_t count;
};

struct partition {
    struct record log[RECORDS_MAX];
    size_t log_count;
    size_t next_read, committed, in_flight;
    bool has_in_flight;
    int generation;
};

struct key_log {
    uint32_t key;
    struct mor_state_entry entry;
    int64_t watermark_ms;
    int version;
};

struct model {
    struct fixture f;
    uint64_t seed;
    struct partition partitions[PARTITIONS];
    struct lane_batch filling[LANES], cut[LANES];
    struct mor_state_batch *batch; // open, NULL = none
    // the table
    int versions[IDS_MAX]; // commit that brought the id, 0 = not there
    int64_t times[IDS_MAX];
    uint32_t id_count;
    int version;
    int64_t watermark_ms;
    struct key_log keys[KEYS]; // the last of each
    struct key_log key_log[COMMITS_MAX];
    size_t key_log_count;
    int64_t now_ms;
    size_t commits, crashes, fences, corrections, merges, filtered, expired;
};

static uint64_t draw(struct model *m, uint64_t below)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (m->seed >> 11) % below;
}

// ---- lanes --------------------------------------------------------------------------------------

// A new id, or a copy of a record that some partition had not long ago.
static void produce(struct model *m, struct partition *p)
{
    assert_true(p->log_count < RECORDS_MAX);
    struct record *record = &p->log[p->log_count];
    const struct partition *other = &m->partitions[draw(m, PARTITIONS)];
    if (other->log_count > 0 && draw(m, 3) == 0) {
        size_t back = draw(m, other->log_count < 40 ? other->log_count : 40) + 1;
        *record = other->log[other->log_count - back];
    } else {
        m->now_ms += (int64_t)draw(m, HOUR_MS / 20);
        *record = (struct record){m->id_count++, m->now_ms + (int64_t)draw(m, HOUR_MS)};
        m->times[record->id] = record->time_ms;
    }
    p->log_count++;
}

static void fetch(struct model *m, int index)
{
    struct partition *p = &m->partitions[index];
    struct lane_batch *batch = &m->filling[index % LANES];
    if (batch->count == RUNS_MAX)
        return;
    struct run *run = &batch->runs[batch->count++];
    *run = (struct run){.partition = index, .generation = p->generation, .first = p->next_read};
    run->count = draw(m, RUN_ROWS_MAX) + 1;
    struct mor_hash128 ids[RUN_ROWS_MAX];
    int64_t times[RUN_ROWS_MAX];
    while (p->log_count < run->first + run->count)
        produce(m, p);
    for (size_t i = 0; i < run->count; i++) {
        const struct record *record = &p->log[run->first + i];
        ids[i] = id_of(record->id);
        times[i] = record->time_ms;
        run->verdicts[i] = MOR_DEDUP_ASK;
    }
    assert_ok(
        mor_state_dedup(m->f.state, ids, times, run->verdicts, run->count, &run->dedup, &err));
    if (draw(m, 20) == 0) { // the chunk failed and is taken back
        mor_state_dedup_forget(m->f.state, run->dedup);
        batch->count--;
        return;
    }
    p->next_read += run->count;
}

static void fetch_some(struct model *m, uint64_t most)
{
    for (uint64_t i = draw(m, most + 1); i > 0; i--)
        fetch(m, (int)draw(m, PARTITIONS));
}

static void reassign(struct model *m, int index)
{
    struct partition *p = &m->partitions[index];
    p->generation++;
    p->next_read = p->has_in_flight ? p->in_flight : p->committed;
}

// ---- commits ------------------------------------------------------------------------------------

static void cut(struct model *m)
{
    struct mor_dedup_run *taken[LANES * RUNS_MAX], *left_out[LANES * RUNS_MAX];
    struct run *owners[LANES * RUNS_MAX];
    size_t taken_count = 0, left_out_count = 0;
    for (int lane = 0; lane < LANES; lane++) {
        m->cut[lane] = m->filling[lane];
        m->filling[lane].count = 0;
        fetch_some(m, 6); // lanes are not cut at one moment
    }
    for (int lane = 0; lane < LANES; lane++) {
        struct lane_batch *batch = &m->cut[lane];
        size_t kept = 0;
        for (size_t i = 0; i < batch->count; i++) {
            struct partition *p = &m->partitions[batch->runs[i].partition];
            if (batch->runs[i].generation != p->generation) {
                left_out[left_out_count++] = batch->runs[i].dedup;
                continue;
            }
            size_t expected = p->has_in_flight ? p->in_flight : p->committed;
            assert_int_equal(batch->runs[i].first, expected);
            p->has_in_flight = true;
            p->in_flight = expected + batch->runs[i].count;
            batch->runs[kept] = batch->runs[i];
            owners[taken_count] = &batch->runs[kept++];
            taken[taken_count] = owners[taken_count]->dedup;
            taken_count++;
        }
        batch->count = kept;
    }
    const struct mor_dedup_correction *corrections;
    size_t count;
    m->batch = begin(&m->f, taken, taken_count, left_out, left_out_count, &corrections, &count);
    for (size_t i = 0; i < count; i++) {
        uint8_t *verdict = &owners[corrections[i].run]->verdicts[corrections[i].row];
        assert_int_equal(*verdict == MOR_DEDUP_NEW, corrections[i].verdict != MOR_DEDUP_NEW);
        *verdict = (uint8_t)corrections[i].verdict;
    }
    m->corrections += count;
}

static void check_table(const struct model *m)
{
    for (int i = 0; i < PARTITIONS; i++) {
        const struct partition *p = &m->partitions[i];
        for (size_t at = 0; at < p->committed; at++)
            if (m->versions[p->log[at].id] == 0)
                fail_msg("id %u of partition %d, offset %zu is not in the table", p->log[at].id, i,
                         at);
    }
}

// The table takes the batch in.
static void commit_table(struct model *m)
{
    m->version++;
    for (int lane = 0; lane < LANES; lane++)
        for (size_t i = 0; i < m->cut[lane].count; i++) {
            const struct run *run = &m->cut[lane].runs[i];
            struct partition *p = &m->partitions[run->partition];
            for (size_t row = 0; row < run->count; row++) {
                uint32_t id = p->log[run->first + row].id;
                if (run->verdicts[row] != MOR_DEDUP_NEW)
                    continue;
                if (m->versions[id] != 0)
                    fail_msg("id %u is in the table twice: commits %d and %d", id, m->versions[id],
                             m->version);
                m->versions[id] = m->version;
            }
            p->committed = run->first + run->count;
        }
    for (int i = 0; i < PARTITIONS; i++)
        m->partitions[i].has_in_flight = false;
    // late copies come from the last 40 records of a partition: less than two hours behind
    if (m->now_ms - 8 * HOUR_MS > m->watermark_ms)
        m->watermark_ms = m->now_ms - 8 * HOUR_MS;
    check_table(m);
    m->commits++;
}

static struct mor_state_mark model_mark(const struct model *m)
{
    static char version[32];
    (void)snprintf(version, sizeof version, "%d", m->version);
    return (struct mor_state_mark){.version = version,
                                   .offsets = version,
                                   .offsets_size_bytes = strlen(version),
                                   .watermark_ms = m->watermark_ms};
}

static void stage_keys(struct model *m)
{
    for (uint64_t i = draw(m, 5); i > 0 && m->key_log_count < COMMITS_MAX; i--) {
        struct key_log change = {
            (uint32_t)draw(m, KEYS),
            {draw(m, 3) == 0 ? MOR_STATE_NOWHERE : draw(m, 1000000), draw(m, 4)},
            m->watermark_ms,
            m->version};
        m->keys[change.key] = change;
        m->key_log[m->key_log_count++] = change;
        put_entry(m->batch, change.key, change.entry.location, change.entry.ordering);
    }
}

static void check_keys(struct model *m)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        const struct key_log *last = &m->keys[key];
        struct mor_state_entry expected = last->entry, entry = entry_of(&m->f, key);
        if (expected.location == MOR_STATE_NOWHERE && expected.ordering != 0 &&
            m->watermark_ms > last->watermark_ms + GRAVE_MS) {
            expected.ordering = 0;
            m->expired++;
        }
        if (entry.location != expected.location || entry.ordering != expected.ordering)
            fail_msg("key %u is at %llu with %llu, not at %llu with %llu", key,
                     (unsigned long long)entry.location, (unsigned long long)entry.ordering,
                     (unsigned long long)expected.location, (unsigned long long)expected.ordering);
    }
}

static void forget_lanes(struct model *m, struct lane_batch *batches)
{
    for (int lane = 0; lane < LANES; lane++) {
        for (size_t i = 0; i < batches[lane].count; i++)
            mor_state_dedup_forget(m->f.state, batches[lane].runs[i].dedup);
        batches[lane].count = 0;
    }
}

// The process dies and starts again: memory is lost, the state catches up from the table.
static void crash(struct model *m)
{
    forget_lanes(m, m->filling);
    mor_state_batch_drop(m->f.state, m->batch);
    m->batch = NULL;
    fixture_reopen(&m->f);
    assert_int_not_equal(m->f.outcome.condition, MOR_STATE_SET_ASIDE);
    const struct mor_state_mark *known = mor_state_mark_of(m->f.state);
    int from = known != NULL ? atoi(known->version) : 0;
    assert_true(from <= m->version);
    assert_ok(mor_state_load_begin(m->f.state, m->watermark_ms, &err));
    for (uint32_t id = 0; id < m->id_count && from < m->version; id++) {
        struct mor_hash128 hash = id_of(id);
        if (m->versions[id] > from)
            assert_ok(mor_state_load_ids(m->f.state, &hash, &m->times[id], 1, &err));
    }
    for (size_t i = 0; i < m->key_log_count && from < m->version; i++) {
        struct mor_hash128 hash = id_of(m->key_log[i].key);
        if (m->key_log[i].version > from)
            assert_ok(mor_state_load_keys(m->f.state, &hash, &m->key_log[i].entry, 1, &err));
    }
    struct mor_state_mark mark = model_mark(m);
    if (from < m->version)
        assert_ok(mor_state_load_finish(m->f.state, &mark, &err));
    for (int i = 0; i < PARTITIONS; i++) {
        m->partitions[i].has_in_flight = false;
        reassign(m, i);
    }
    m->crashes++;
    check_keys(m);
}

static void fence(struct model *m)
{
    mor_state_batch_drop(m->f.state, m->batch);
    m->batch = NULL;
    for (int i = 0; i < PARTITIONS; i++) {
        m->partitions[i].has_in_flight = false;
        reassign(m, i);
    }
    m->fences++;
}

static void finish_commit(struct model *m)
{
    uint64_t fate = draw(m, 12);
    if (fate == 0) {
        fence(m);
        return;
    }
    if (fate == 1) {
        crash(m); // before the table had it
        return;
    }
    commit_table(m);
    stage_keys(m);
    if (fate == 2) {
        crash(m); // the state never heard of it
        return;
    }
    struct mor_state_mark mark = model_mark(m);
    assert_ok(mor_state_batch_apply(m->f.state, m->batch, &mark, &err));
    m->batch = NULL;
    if (fate == 3)
        crash(m);
}

static void step(struct model *m)
{
    switch (draw(m, 10)) {
    case 0:
        reassign(m, (int)draw(m, PARTITIONS));
        break;
    case 1:
    case 2:
        if (m->batch == NULL)
            cut(m);
        break;
    case 3:
    case 4:
        if (m->batch != NULL)
            finish_commit(m);
        break;
    case 5: {
        bool merged;
        assert_ok(mor_state_merge(m->f.state, &merged, &err));
        m->merges += merged;
        if (m->batch == NULL)
            check_keys(m);
        break;
    }
    default:
        fetch_some(m, 3);
    }
}

static void run_model(uint64_t seed, size_t share_bytes, struct model *m)
{
    memset(m, 0, sizeof *m);
    m->seed = seed * 0x9E3779B97F4A7C15ULL + 1;
    m->watermark_ms = INT64_MIN;
    m->now_ms = 1000 * HOUR_MS;
    for (uint32_t key = 0; key < KEYS; key++)
        m->keys[key].entry.location = MOR_STATE_NOWHERE;
    fixture_init(&m->f);
    mor_state_free(m->f.state);
    m->f.options.share_bytes = share_bytes;
    m->f.options.grave_ms = GRAVE_MS;
    fixture_open(&m->f);
    for (int i = 0; i < STEPS; i++)
        step(m);
    struct mor_state_status status;
    mor_state_status(m->f.state, &status);
    m->filtered = status.dedup_is_filtered && status.index_is_filtered;
    mor_state_batch_drop(m->f.state, m->batch);
    forget_lanes(m, m->filling);
    fixture_done(&m->f);
}

static size_t rounds(void)
{
    const char *text = getenv("STATE_MODEL_ROUNDS");
    return text != NULL ? (size_t)atoi(text) : 6;
}

static void run_rounds(size_t share_bytes, bool filtered)
{
    struct model *m = malloc(sizeof *m);
    assert_non_null(m);
    size_t corrections = 0, merges = 0, fences = 0, crashes = 0, expired = 0;
    for (uint64_t seed = 1; seed <= rounds(); seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_model(seed, share_bytes, m);
        assert_int_equal(m->filtered, filtered);
        corrections += m->corrections;
        merges += m->merges;
        fences += m->fences;
        crashes += m->crashes;
        expired += m->expired;
    }
    print_message("%zu corrections, %zu merges, %zu fences, %zu crashes, %zu graves expired\n",
                  corrections, merges, fences, crashes, expired);
    assert_true(corrections > 0 && merges > 0 && fences > 0 && crashes > 0 && expired > 0);
    free(m);
}

static void every_id_is_in_the_table_once_with_tables_in_memory(void **context)
{
    (void)context;
    run_rounds(0, false);
}

static void every_id_is_in_the_table_once_with_filters(void **context)
{
    (void)context;
    run_rounds(1, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_id_is_in_the_table_once_with_tables_in_memory),
        cmocka_unit_test(every_id_is_in_the_table_once_with_filters),
    };
    return cmocka_run_group_tests_name("state model", tests, NULL, NULL);
}
