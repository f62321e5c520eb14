// The local state: nanoseconds per key for judging, persisting, loading and dropping ids, and for
// keys of the index; beside what LMDB alone needs for the same batches, sorted before its clock
// starts:
//
//   runs    a commit is appended (MDB_APPEND) to a database of its own: nothing is looked up
//   tree    a commit is put (MDB_NOOVERWRITE) into one tree of all keys: duplicates are found
//
//   state_bench [-o FILE] [FOLDER [MILLIONS ...]]    default: a folder in /tmp, 1, 10 and 50
//   million; 50k is its keys alone, 50i its ids
//
// Ids are new, in chunks of 4096, committed per million; every batch is durable. -o writes the
// figures with a goal as JSON; then the exit code is 1 when one was missed.
//
// Memory is touched and given back before each commit: a virtual machine gets it from its host at
// the first touch, and gives free memory back to it after seconds. That can take forty times as
// long as clearing the pages, and would be most of what is measured; what it takes is printed.
#include <dirent.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/state.h"

#define CHUNK         4096
#define COMMIT_ROWS   (1u << 20)
#define COMMIT_CHUNKS (COMMIT_ROWS / CHUNK)
#define WINDOW_MS     (16 * 3600000LL)

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

// ---- figures ------------------------------------------------------------------------------------

static struct {
    FILE *file; // NULL = nobody asked for them
    bool any, missed;
} figures;

// `against_ns` 0 = compared with nothing. A goal of 0 is none.
static void figure(const char *name, size_t keys, double value, const char *unit,
                   const char *against, double against_value, double goal_ratio, double goal_value)
{
    if (figures.file == NULL)
        return;
    double ratio = against_value / value;
    bool met = (goal_ratio == 0 || ratio >= goal_ratio) && (goal_value == 0 || value <= goal_value);
    (void)fprintf(figures.file,
                  "%s  {\"case\": \"state: %s, %zu M\", \"value\": %.1f, \"unit\": \"%s\"",
                  figures.any ? ",\n" : "", name, keys / 1000000, value, unit);
    if (against != NULL)
        (void)fprintf(figures.file, ", \"against\": \"%s: %.1f\", \"ratio\": %.2f", against,
                      against_value, ratio);
    else
        (void)fprintf(figures.file, ", \"against\": null, \"ratio\": null");
    if (goal_ratio > 0 && goal_value > 0)
        (void)fprintf(figures.file, ", \"goal\": \"<= %.0f and ratio >= %.1f\"", goal_value,
                      goal_ratio);
    else if (goal_ratio > 0)
        (void)fprintf(figures.file, ", \"goal\": \"ratio >= %.1f\"", goal_ratio);
    else if (goal_value > 0)
        (void)fprintf(figures.file, ", \"goal\": \"<= %.0f\"", goal_value);
    else
        (void)fprintf(figures.file, ", \"goal\": null");
    if (goal_ratio > 0 || goal_value > 0)
        (void)fprintf(figures.file, ", \"met\": %s", met ? "true" : "false");
    else
        (void)fprintf(figures.file, ", \"met\": null");
    (void)fprintf(figures.file, ", \"command\": \"state_bench FOLDER %zu\"}", keys / 1000000);
    figures.any = true;
    figures.missed |= !met;
}

static double cpu_per(struct span spent, size_t count)
{
    return (double)spent.cpu_ns / (double)count;
}

#define RATIO_GOAL 0.8 // of what LMDB alone does

// Nanoseconds of CPU per key that a durable dedup may cost; 0 = no goal for this many.
static double dedup_goal(size_t keys)
{
    return keys >= 50000000 ? 400 : keys >= 10000000 ? 250 : 0;
}

static void line(const char *name, size_t keys, struct span spent, size_t count)
{
    (void)printf("%-34s %4zu M  %8.1f ns/key wall  %8.1f ns/key CPU\n", name, keys / 1000000,
                 (double)spent.wall_ns / (double)count, (double)spent.cpu_ns / (double)count);
    (void)fflush(stdout);
}

// ---- memory -------------------------------------------------------------------------------------

#define PAGE           4096
#define COMMIT_BYTES   (COMMIT_ROWS * 160) // what a commit needs for a moment, and pages of the file
#define SLOT_BYTES_MAX 32
#define TREE_BYTES_KEY 100  // a commit into a tree writes nearly all of its pages anew
#define LOAD_MIN       0.65 // a table grows at 0.7, all its parts at about the same time

// Seconds of CPU.
static double touch(size_t bytes)
{
    volatile uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    (void)madvise((void *)(uintptr_t)memory, bytes, MADV_HUGEPAGE); // as the tables do
    struct span start = now();
    for (size_t at = 0; at < bytes; at += PAGE)
        memory[at] = 1;
    struct span spent = since(start);
    (void)munmap((void *)(uintptr_t)memory, bytes);
    return (double)spent.cpu_ns / 1e9;
}

// Before a commit: what it is going to take, with what a table takes that is about to grow.
static void warm_memory(struct mor_state *state)
{
    size_t bytes = COMMIT_BYTES;
    struct mor_state_status status;
    mor_state_status(state, &status);
    double entries = (double)(status.dedup_entries + status.index_entries + COMMIT_ROWS);
    if (entries * SLOT_BYTES_MAX > LOAD_MIN * (double)status.memory_bytes)
        bytes += (size_t)status.memory_bytes;
    (void)touch(bytes);
}

static void tell_memory(void)
{
    const size_t bytes = (size_t)1 << 30;
    double first = touch(bytes), second = touch(bytes);
    (void)printf("memory: %.1f GB/s of CPU at the first touch, %.1f at the second\n",
                 (double)bytes / 1e9 / first, (double)bytes / 1e9 / second);
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
    warm_memory(state);
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

static void figure_size(struct mor_state *state, const char *name, size_t keys, size_t total)
{
    struct mor_state_status status;
    char text[64];
    mor_state_status(state, &status);
    (void)snprintf(text, sizeof text, "memory for %s", name);
    figure(text, keys, (double)status.memory_bytes / (double)total, "bytes each", NULL, 0, 0, 0);
    (void)snprintf(text, sizeof text, "disk for %s, free pages included", name);
    figure(text, keys, (double)status.file_bytes / (double)total, "bytes each", NULL, 0, 0, 0);
}

// What LMDB alone needed per key.
struct alone {
    double runs, tree, lookup;
};

static void merge_due(struct mor_state *state, struct span *spent)
{
    struct span start = now();
    for (bool merged = true; merged;)
        must(mor_state_merge(state, &merged, &err), "merge");
    add_since(spent, start);
}

static void bench_ids(const char *folder, size_t keys, const struct alone *alone)
{
    struct mor_state *state = open_state(folder, 0);
    struct span judging = {0}, applying = {0}, merging = {0};
    struct span last_judged = {0}, last_applying = {0};
    size_t commits = keys / COMMIT_ROWS + 1;
    for (size_t i = 0; i < commits; i++) {
        last_judged = judging;
        last_applying = applying;
        // buckets of an hour, as many as the window has
        commit_ids(state, i * COMMIT_ROWS, (int64_t)(i * 16 / commits) * 3600000, INT64_MIN,
                   &judging, &applying);
        merge_due(state, &merging);
    }
    size_t total = commits * COMMIT_ROWS;
    line("judge new ids, while growing", total, judging, total);
    line("judge new ids, last commit", total, minus(judging, last_judged), COMMIT_ROWS);
    line("apply, durable, all", total, applying, total);
    line("apply, durable, last commit", total, minus(applying, last_applying), COMMIT_ROWS);
    line("merge, all that was due", total, merging, total);
    line("judge duplicates", total, probe(state, 0, total, COMMIT_ROWS, 0), COMMIT_ROWS);
    print_size(state, "ids", total);
    double whole = cpu_per(judging, total) + cpu_per(applying, total) + cpu_per(merging, total);
    figure("durable dedup of new ids, merging included", keys, whole, "ns of CPU per id",
           "LMDB, sorted puts into one tree", alone->tree, RATIO_GOAL, dedup_goal(keys));
    figure("durable apply of ids, merging included", keys,
           cpu_per(applying, total) + cpu_per(merging, total), "ns of CPU per id",
           "LMDB, sorted appends to runs", alone->runs, RATIO_GOAL, 0);
    figure_size(state, "ids", keys, total);
    mor_state_free(state);

    struct span start = now();
    state = open_state(folder, 0);
    line("load at start, verified", total, since(start), total);
    line("judge new ids, table has room", total,
         probe(state, total + (1u << 30), COMMIT_ROWS, COMMIT_ROWS, 0), COMMIT_ROWS);
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

// What a million keys cost that are looked up from all over the index.
static struct span look_up(struct mor_state *state, size_t total)
{
    static struct mor_state_entry entries[CHUNK];
    struct span spent = {0};
    uint64_t at = 0;
    for (size_t done = 0; done < COMMIT_ROWS; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++) {
            at = (at + 7919 * 104729ULL) % total;
            ids[i] = id_of(at);
        }
        struct span start = now();
        must(mor_state_lookup(state, ids, CHUNK, entries, &err), "lookup");
        add_since(&spent, start);
    }
    return spent;
}

static void bench_keys(const char *folder, size_t keys, const struct alone *alone)
{
    struct mor_state *state = open_state(folder, 0);
    struct span applying = {0}, merging = {0}, last_spent = {0};
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
        warm_memory(state);
        struct mor_state_mark mark = {.version = "v", .offsets = "", .watermark_ms = INT64_MIN};
        struct span start = now();
        must(mor_state_batch_apply(state, batch, &mark, &err), "apply");
        last_spent = since(start);
        add_since(&applying, start);
        merge_due(state, &merging);
    }
    line("index: merge, all that was due", total, merging, total + COMMIT_ROWS);
    line("index: apply, durable, all", total, applying, total + COMMIT_ROWS);
    line("index: apply, durable, updates", total, last_spent, COMMIT_ROWS);
    struct span lookup_spent = look_up(state, total);
    line("index: lookup", total, lookup_spent, COMMIT_ROWS);
    print_size(state, "index", total);
    figure("durable apply of keys, merging included", keys,
           cpu_per(applying, total + COMMIT_ROWS) + cpu_per(merging, total + COMMIT_ROWS),
           "ns of CPU per key", "LMDB, sorted appends to runs", alone->runs, RATIO_GOAL, 0);
    figure("the same against a tree", keys,
           cpu_per(applying, total + COMMIT_ROWS) + cpu_per(merging, total + COMMIT_ROWS),
           "ns of CPU per key", "LMDB, sorted puts into one tree", alone->tree, RATIO_GOAL, 0);
    figure("lookup of keys", keys, cpu_per(lookup_spent, COMMIT_ROWS), "ns of CPU per key",
           "LMDB, sorted gets from one tree", alone->lookup, RATIO_GOAL, 0);
    figure_size(state, "keys", keys, total);
    mor_state_free(state);
    struct span start = now();
    mor_state_free(open_state(folder, 0));
    line("index: load at start, verified", total, since(start), total);
    state = open_state(folder, 1); // nothing fits
    struct span merged = {0};
    merge_due(state, &merged);
    line("index in filters: lookup", total, look_up(state, total), COMMIT_ROWS);
    mor_state_free(state);
}

// ---- LMDB alone ---------------------------------------------------------------------------------

static void lmdb_must(int code)
{
    if (code == MDB_SUCCESS)
        return;
    (void)fprintf(stderr, "state_bench: lmdb: %s\n", mdb_strerror(code));
    exit(1);
}

// A key of LMDB: compared as bytes, so the number stands with its highest byte first.
struct lmdb_key {
    uint64_t high, low;
};

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct lmdb_key));
}

// The ids of one commit, sorted.
static void sorted_commit(uint64_t first, struct lmdb_key *keys)
{
    for (size_t i = 0; i < COMMIT_ROWS; i++) {
        struct mor_hash128 id = id_of(first + i);
        keys[i] = (struct lmdb_key){__builtin_bswap64(id.high), id.low};
    }
    qsort(keys, COMMIT_ROWS, sizeof *keys, compare_keys);
}

static MDB_env *open_lmdb(const char *folder)
{
    MDB_env *env;
    lmdb_must(mdb_env_create(&env));
    lmdb_must(mdb_env_set_mapsize(env, (size_t)64 << 30));
    lmdb_must(mdb_env_set_maxdbs(env, 8));
    lmdb_must(mdb_env_open(env, folder, 0, 0640));
    return env;
}

// Puts sorted keys, with a value of two words, into a database; one durable transaction.
static struct span lmdb_commit(MDB_env *env, const char *name, const struct lmdb_key *keys,
                               size_t count, unsigned flags)
{
    struct span start = now();
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    lmdb_must(mdb_txn_begin(env, NULL, 0, &txn));
    lmdb_must(mdb_dbi_open(txn, name, MDB_CREATE, &dbi));
    lmdb_must(mdb_cursor_open(txn, dbi, &cursor));
    for (size_t i = 0; i < count; i++) {
        uint64_t words[2] = {i, i};
        MDB_val key = {sizeof keys[i], (void *)(uintptr_t)&keys[i]}, value = {sizeof words, words};
        int code = mdb_cursor_put(cursor, &key, &value, flags);
        if (code != MDB_KEYEXIST)
            lmdb_must(code);
    }
    mdb_cursor_close(cursor);
    lmdb_must(mdb_txn_commit(txn));
    return since(start);
}

static struct span lmdb_lookup(MDB_env *env, const struct lmdb_key *keys)
{
    struct span start = now();
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    lmdb_must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    lmdb_must(mdb_dbi_open(txn, "tree", 0, &dbi));
    lmdb_must(mdb_cursor_open(txn, dbi, &cursor));
    for (size_t i = 0; i < COMMIT_ROWS; i++) {
        MDB_val key = {sizeof keys[i], (void *)(uintptr_t)&keys[i]}, value;
        lmdb_must(mdb_cursor_get(cursor, &key, &value, MDB_SET));
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return since(start);
}

// A tree of this many keys, spread evenly, is made in their order; then come commits of ids.
static struct alone bench_lmdb(const char *folder, size_t count)
{
    struct alone alone;
    MDB_env *env = open_lmdb(folder);
    struct lmdb_key *keys = malloc(COMMIT_ROWS * sizeof *keys);
    if (keys == NULL)
        exit(1);
    for (size_t done = 0; done < count; done += COMMIT_ROWS) {
        for (size_t i = 0; i < COMMIT_ROWS; i++)
            keys[i] = (struct lmdb_key){
                __builtin_bswap64(UINT64_MAX / (count + COMMIT_ROWS) * (done + i)), 0};
        (void)lmdb_commit(env, "tree", keys, COMMIT_ROWS, MDB_APPEND);
    }
    struct span tree = {0}, runs = {0};
    const char *const names[] = {"run-0", "run-1", "run-2"};
    for (size_t i = 0; i < 3; i++) {
        sorted_commit(i * COMMIT_ROWS, keys);
        (void)touch(COMMIT_BYTES + count * TREE_BYTES_KEY);
        struct span spent = lmdb_commit(env, "tree", keys, COMMIT_ROWS, MDB_NOOVERWRITE);
        (void)touch(COMMIT_BYTES);
        struct span appended = lmdb_commit(env, names[i], keys, COMMIT_ROWS, MDB_APPEND);
        if (i == 0)
            continue; // of the tree, pages that were filled to the brim are split
        tree.cpu_ns += spent.cpu_ns;
        tree.wall_ns += spent.wall_ns;
        runs.cpu_ns += appended.cpu_ns;
        runs.wall_ns += appended.wall_ns;
    }
    struct span lookup = lmdb_lookup(env, keys);
    line("LMDB alone: sorted appends to runs", count, runs, 2 * COMMIT_ROWS);
    line("LMDB alone: sorted puts, one tree", count, tree, 2 * COMMIT_ROWS);
    line("LMDB alone: sorted gets, one tree", count, lookup, COMMIT_ROWS);
    alone.runs = cpu_per(runs, 2 * COMMIT_ROWS);
    alone.tree = cpu_per(tree, 2 * COMMIT_ROWS);
    alone.lookup = cpu_per(lookup, COMMIT_ROWS);
    mdb_env_close(env);
    free(keys);
    return alone;
}

static void empty_folder(const char *folder)
{
    char command[2100];
    (void)snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s'", folder, folder);
    if (system(command) != 0)
        exit(1);
}

static void bench(const char *folder, const char *millions)
{
    char *part;
    size_t keys = strtoul(millions, &part, 10) * 1000000;
    empty_folder(folder);
    struct alone alone = bench_lmdb(folder, keys);
    empty_folder(folder);
    if (*part != 'k')
        bench_ids(folder, keys, &alone);
    empty_folder(folder);
    if (*part != 'i')
        bench_keys(folder, keys, &alone);
    empty_folder(folder);
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = {"1", "10", "50"};
    if (argc > 2 && strcmp(argv[1], "-o") == 0) {
        figures.file = fopen(argv[2], "we");
        if (figures.file == NULL) {
            perror(argv[2]);
            return 2;
        }
        (void)fputs("[\n", figures.file);
        argc -= 2;
        argv += 2;
    }
    char folder[1000];
    (void)snprintf(folder, sizeof folder, "%s/state-bench-%d", argc > 1 ? argv[1] : "/tmp",
                   (int)getpid());
    size_t count = argc > 2 ? (size_t)argc - 2 : 3;
    tell_memory();
    for (size_t i = 0; i < count; i++)
        bench(folder, argc > 2 ? argv[2 + i] : defaults[i]);
    if (figures.file != NULL && (fputs("\n]\n", figures.file) < 0 || fclose(figures.file) != 0))
        return 2;
    return rmdir(folder) != 0 ? 2 : figures.missed;
}
