// The local state: nanoseconds per key for judging, persisting, loading and dropping ids, and for
// keys of the index; next to random puts into an LMDB B-tree.
//
//   state_bench [FOLDER [MILLIONS ...]]      default: a folder in /tmp, 1 and 10 million ids
//
// Ids are new, in chunks of 4096, committed per million; every batch is durable. The tree is
// measured with at most BTREE_MILLIONS_MAX millions in it.
#include <dirent.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/state.h"

#define CHUNK              4096
#define COMMIT_ROWS        (1u << 20)
#define COMMIT_CHUNKS      (COMMIT_ROWS / CHUNK)
#define BTREE_MILLIONS_MAX 10
#define WINDOW_MS          (16 * 3600000LL)

static struct mor_error err = MOR_ERROR_INIT;

static void must(enum mor_status status, const char *what)
{
    if (status == MOR_OK)
        return;
    (void)fprintf(stderr, "state_bench: %s: %s\n", what, err.message);
    exit(1);
}

// Wall clock, and CPU time of this thread: on a busy machine only the second repeats.
struct span {
    int64_t wall_ns, cpu_ns;
};

static struct span now(void)
{
    return (struct span){mor_clock_mono_ns(), mor_clock_thread_cpu_ns()};
}

static struct span since(struct span start)
{
    return (struct span){mor_clock_mono_ns() - start.wall_ns,
                         mor_clock_thread_cpu_ns() - start.cpu_ns};
}

static void add_since(struct span *sum, struct span start)
{
    struct span more = since(start);
    sum->wall_ns += more.wall_ns;
    sum->cpu_ns += more.cpu_ns;
}

static struct span minus(struct span a, struct span b)
{
    return (struct span){a.wall_ns - b.wall_ns, a.cpu_ns - b.cpu_ns};
}

static void line(const char *name, size_t keys, struct span spent, size_t count)
{
    (void)printf("%-34s %4zu M  %8.1f ns/key wall  %8.1f ns/key CPU\n", name, keys / 1000000,
                 (double)spent.wall_ns / (double)count, (double)spent.cpu_ns / (double)count);
    (void)fflush(stdout);
}

static struct mor_hash128 id_of(uint64_t number)
{
    return mor_hash128(&number, sizeof number);
}

static void fill_chunk(struct mor_hash128 *ids, int64_t *times, uint8_t *verdicts, uint64_t first,
                       int64_t time_ms)
{
    for (size_t i = 0; i < CHUNK; i++) {
        ids[i] = id_of(first + i);
        times[i] = time_ms;
        verdicts[i] = MOR_DEDUP_ASK;
    }
}

static struct mor_hash128 ids[CHUNK];
static int64_t times[CHUNK];
static uint8_t verdicts[CHUNK];

// One commit of new ids; adds the time of judging and of the durable apply.
static void commit_ids(struct mor_state *state, uint64_t first, int64_t time_ms,
                       int64_t watermark_ms, struct span *judged, struct span *applied)
{
    static struct mor_dedup_run *runs[COMMIT_CHUNKS];
    for (size_t c = 0; c < COMMIT_CHUNKS; c++) {
        fill_chunk(ids, times, verdicts, first + c * CHUNK, time_ms);
        struct span start = now();
        must(mor_state_dedup(state, ids, times, verdicts, CHUNK, &runs[c], &err), "dedup");
        add_since(judged, start);
    }
    struct mor_state_mark mark = {
        .version = "v", .offsets = "", .batch_id = mor_uuid_v7(), .watermark_ms = watermark_ms};
    struct span start = now();
    struct mor_state_batch *batch;
    const struct mor_dedup_correction *corrections;
    size_t correction_count;
    must(mor_state_batch_begin(state, runs, COMMIT_CHUNKS, NULL, 0, &batch, &corrections,
                               &correction_count, &err),
         "begin");
    must(mor_state_batch_apply(state, batch, &mark, &err), "apply");
    add_since(applied, start);
}

// Judges `count` ids from `first` on, drawn with a stride; forgets the runs outside of the time.
static struct span probe(struct mor_state *state, uint64_t first, uint64_t range, size_t count,
                         int64_t time_ms)
{
    struct span total = {0};
    uint64_t at = 0;
    for (size_t done = 0; done < count; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++) {
            at = (at + 7919 * 104729ULL) % range;
            ids[i] = id_of(first + at);
            times[i] = time_ms;
            verdicts[i] = MOR_DEDUP_ASK;
        }
        struct mor_dedup_run *run;
        struct span start = now();
        must(mor_state_dedup(state, ids, times, verdicts, CHUNK, &run, &err), "dedup");
        add_since(&total, start);
        mor_state_dedup_forget(state, run);
    }
    return total;
}

static struct mor_state *open_state(const char *folder, size_t share_bytes)
{
    struct mor_state_options options = {.folder = folder,
                                        .table = "bench",
                                        .dedup_by = "id",
                                        .dedup_window_ms = WINDOW_MS,
                                        .index = true,
                                        .share_bytes = share_bytes,
                                        .merge_by_hand = true};
    struct mor_state *state;
    struct mor_state_outcome outcome;
    must(mor_state_open(&options, &state, &outcome, &err), "open");
    return state;
}

static void print_size(struct mor_state *state, const char *name, size_t keys)
{
    struct mor_state_status status;
    mor_state_status(state, &status);
    (void)printf("%-34s %4zu M  %8.1f B/key in memory, %.1f B/key on disk, %zu sorted runs\n", name,
                 keys / 1000000, (double)status.memory_bytes / (double)keys,
                 (double)status.file_bytes / (double)keys, status.sorted_run_count);
}

static void bench_ids(const char *folder, size_t keys)
{
    struct mor_state *state = open_state(folder, 0);
    struct span judging = {0}, applying = {0}, last_judged = {0}, last_applying = {0};
    size_t commits = keys / COMMIT_ROWS + 1;
    for (size_t i = 0; i < commits; i++) {
        last_judged = judging;
        last_applying = applying;
        // buckets of an hour, as many as the window has
        commit_ids(state, i * COMMIT_ROWS, (int64_t)(i * 16 / commits) * 3600000, INT64_MIN,
                   &judging, &applying);
    }
    size_t total = commits * COMMIT_ROWS;
    line("judge new ids, while growing", total, judging, total);
    line("judge new ids, last commit", total, minus(judging, last_judged), COMMIT_ROWS);
    line("apply, durable, all", total, applying, total);
    line("apply, durable, last commit", total, minus(applying, last_applying), COMMIT_ROWS);
    line("judge duplicates", total, probe(state, 0, total, COMMIT_ROWS, 0), COMMIT_ROWS);
    print_size(state, "ids", total);
    mor_state_free(state);

    struct span start = now();
    state = open_state(folder, 0);
    line("load at start, verified", total, since(start), total);
    start = now();
    line("judge new ids, table has room", total,
         probe(state, total + (1u << 30), COMMIT_ROWS, COMMIT_ROWS, 0), COMMIT_ROWS);
    start = now();
    bool merged = true;
    size_t merges = 0;
    for (; merged; merges += merged)
        must(mor_state_merge(state, &merged, &err), "merge");
    if (merges > 0)
        line("merge, all that is due", total, since(start), total);
    mor_state_free(state);

    state = open_state(folder, 1); // filters
    print_size(state, "ids, filters only", total);
    line("filters: judge new ids", total,
         probe(state, total + (1u << 30), COMMIT_ROWS, COMMIT_ROWS / 4, 0), COMMIT_ROWS / 4);
    line("filters: judge duplicates", total, probe(state, 0, total, COMMIT_ROWS / 4, 0),
         COMMIT_ROWS / 4);
    mor_state_free(state);
    state = open_state(folder, 0);

    // the watermark passes half of the buckets; two more commits until they go from the disk
    int64_t watermark = 8 * 3600000LL + WINDOW_MS;
    struct mor_state_status before, after;
    mor_state_status(state, &before);
    start = now();
    for (int i = 0; i < 3; i++) {
        struct mor_state_batch *batch;
        const struct mor_dedup_correction *corrections;
        size_t correction_count;
        struct mor_state_mark mark = {.version = "v", .offsets = "", .watermark_ms = watermark};
        must(mor_state_batch_begin(state, NULL, 0, NULL, 0, &batch, &corrections, &correction_count,
                                   &err),
             "begin");
        must(mor_state_batch_apply(state, batch, &mark, &err), "apply");
    }
    struct span ns = since(start);
    mor_state_status(state, &after);
    size_t dropped = before.dedup_entries - after.dedup_entries;
    line("drop half of the window", dropped, ns, dropped);
    mor_state_free(state);
}

static void bench_keys(const char *folder, size_t keys)
{
    struct mor_state *state = open_state(folder, 0);
    struct span applying = {0}, last_spent = {0}, lookup_spent = {0};
    static struct mor_state_entry entries[CHUNK];
    size_t commits = keys / COMMIT_ROWS + 1, total = commits * COMMIT_ROWS;
    for (size_t commit = 0; commit < commits + 1; commit++) {
        struct mor_state_batch *batch;
        const struct mor_dedup_correction *corrections;
        size_t correction_count;
        must(mor_state_batch_begin(state, NULL, 0, NULL, 0, &batch, &corrections, &correction_count,
                                   &err),
             "begin");
        for (size_t c = 0; c < COMMIT_CHUNKS; c++) {
            for (size_t i = 0; i < CHUNK; i++) {
                uint64_t number = commit * COMMIT_ROWS + c * CHUNK + i;
                if (commit == commits) // the last one moves keys from all over
                    number = number * 7919 % total;
                ids[i] = id_of(number);
                entries[i] = (struct mor_state_entry){number, number};
            }
            mor_state_batch_index(batch, ids, entries, CHUNK);
        }
        struct mor_state_mark mark = {.version = "v", .offsets = "", .watermark_ms = INT64_MIN};
        struct span start = now();
        must(mor_state_batch_apply(state, batch, &mark, &err), "apply");
        last_spent = since(start);
        add_since(&applying, start);
    }
    line("index: apply, durable, all", total, applying, total + COMMIT_ROWS);
    line("index: apply, durable, updates", total, last_spent, COMMIT_ROWS);
    uint64_t at = 0;
    for (size_t done = 0; done < COMMIT_ROWS; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++) {
            at = (at + 7919 * 104729ULL) % total;
            ids[i] = id_of(at);
        }
        struct span start = now();
        must(mor_state_lookup(state, ids, CHUNK, entries, &err), "lookup");
        add_since(&lookup_spent, start);
    }
    line("index: lookup", total, lookup_spent, COMMIT_ROWS);
    print_size(state, "index", total);
    mor_state_free(state);
    struct span start = now();
    mor_state_free(open_state(folder, 0));
    line("index: load at start, verified", total, since(start), total);
}

// ---- the tree -----------------------------------------------------------------------------------

static void lmdb_must(int code)
{
    if (code == MDB_SUCCESS)
        return;
    (void)fprintf(stderr, "state_bench: lmdb: %s\n", mdb_strerror(code));
    exit(1);
}

// Random puts as they come, then one more commit of them into the full tree.
static void bench_btree(const char *folder, size_t keys)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    lmdb_must(mdb_env_create(&env));
    lmdb_must(mdb_env_set_mapsize(env, (size_t)64 << 30));
    lmdb_must(mdb_env_open(env, folder, 0, 0640));
    size_t commits = keys / COMMIT_ROWS + 1;
    struct span ns = {0}, last_spent = {0};
    for (size_t commit = 0; commit < commits; commit++) {
        struct span start = now();
        lmdb_must(mdb_txn_begin(env, NULL, 0, &txn));
        lmdb_must(mdb_dbi_open(txn, NULL, 0, &dbi));
        for (size_t i = 0; i < COMMIT_ROWS; i++) {
            struct mor_hash128 id = id_of(commit * COMMIT_ROWS + i);
            uint64_t bucket = 1;
            MDB_val key = {sizeof id, &id}, value = {sizeof bucket, &bucket};
            int code = mdb_put(txn, dbi, &key, &value, MDB_NOOVERWRITE);
            if (code != MDB_KEYEXIST)
                lmdb_must(code);
        }
        lmdb_must(mdb_txn_commit(txn));
        last_spent = since(start);
        add_since(&ns, start);
    }
    line("B-tree: random puts, durable, all", commits * COMMIT_ROWS, ns, commits * COMMIT_ROWS);
    line("B-tree: random puts, last commit", commits * COMMIT_ROWS, last_spent, COMMIT_ROWS);
    mdb_env_close(env);
}

static void empty_folder(const char *folder)
{
    char command[2100];
    (void)snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s'", folder, folder);
    if (system(command) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = {"1", "10"};
    char folder[1000];
    (void)snprintf(folder, sizeof folder, "%s/state-bench-%d", argc > 1 ? argv[1] : "/tmp",
                   (int)getpid());
    size_t count = argc > 2 ? (size_t)argc - 2 : 2;
    for (size_t i = 0; i < count; i++) {
        size_t keys = (size_t)atol(argc > 2 ? argv[2 + i] : defaults[i]) * 1000000;
        empty_folder(folder);
        bench_ids(folder, keys);
        empty_folder(folder);
        bench_keys(folder, keys);
        empty_folder(folder);
        if (keys <= BTREE_MILLIONS_MAX * 1000000UL)
            bench_btree(folder, keys);
        empty_folder(folder);
    }
    return rmdir(folder) == 0 ? 0 : 1;
}
