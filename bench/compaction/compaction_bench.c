// What merging costs, and whether a table that is looked after stays as it is.
//
//   compaction_bench merge DIR [ROWS [COMMITS [ROWS_PER_COMMIT]]]
//       one file group: base of ROWS rows, logs of COMMITS commits; merged by one thread, against
//       reading and writing the same rows as Parquet, which no compactor can do without
//   compaction_bench fill DIR [ROWS [COMMITS [ROWS_PER_COMMIT]]]
//       only that table, not merged
//   compaction_bench ingest DIR
//       large commits with a maintainer beside them and without, in turn
//   compaction_bench day DIR [COMMITS [PACE_MS]]
//       COMMITS commits over 24 table partitions, one every PACE_MS (1000; 0 = without waiting),
//       with a maintainer beside that keeps 60 of them; a line of facts after every hundredth
//
// Results are lines of JSON. DIR must not exist.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/maintain.h"
#include "moraine/merge.h"
#include "moraine/parquet.h"
#include "moraine/storage.h"

#define DAY_PARTITIONS 24
#define DAY_KEYS       2000 // of each partition
#define DAY_ROWS       400  // of a commit, in four partitions

static void check(enum mor_status status, const struct mor_error *err)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// ---- table --------------------------------------------------------------------------------------

static struct mor_schema *make_schema(void)
{
    struct mor_schema *schema = mor_schema_new("orders");
    mor_schema_add(schema, NULL, "order_id", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "hour", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "customer", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "amount", MOR_TYPE_DOUBLE, true);
    mor_schema_add(schema, NULL, "status", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "note", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "created_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "updated_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    return schema;
}

static struct mor_table *open_table(const char *location, const struct mor_schema *schema,
                                    bool partitioned, int32_t buckets)
{
    static const char *const keys[] = {"order_id"};
    static const struct mor_partition_field hour[] = {{"hour", MOR_TRANSFORM_IDENTITY, 0}};
    struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                        .location = location,
                                        .schema = schema,
                                        .key_columns = keys,
                                        .key_column_count = 1,
                                        .ordering_column = "updated_at",
                                        .partition_fields = hour,
                                        .partition_field_count = partitioned,
                                        .bucket_count = buckets,
                                        .instance = "bench"};
    const char *version = getenv("HUDI_TABLE_VERSION");
    options.hudi_table_version = version ? atoi(version) : 6;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    check(mor_table_open_write(&options, &table, &err), &err);
    return table;
}

static void add_row(struct mor_batch *batch, uint64_t key, uint64_t hour, int64_t version)
{
    static const char *const states[] = {"new", "paid", "shipped", "returned"};
    char id[32], text[40], hour_text[8];
    int id_length = snprintf(id, sizeof id, "order-%010llu", (unsigned long long)key);
    int hour_length = snprintf(hour_text, sizeof hour_text, "%02llu", (unsigned long long)hour);
    int length = snprintf(text, sizeof text, "note %llx of %lld",
                          (unsigned long long)(key * 2654435761u), (long long)version);
    int64_t customer = (int64_t)(key * 31 % 100000);
    int64_t created = 1767225600000000 + (int64_t)(key % 86400) * 1000000;
    int64_t updated = created + version * 1000, offset = version * 1000003 + (int64_t)key;
    double amount = (double)((key * 7919 + (uint64_t)version) % 1000003) / 100;
    int32_t partition = (int32_t)(key % 8);
    const char *state = states[(key + (uint64_t)version) % 4];
    struct mor_vector *columns = batch->columns;
    mor_vector_append_bytes(&columns[0], id, (size_t)id_length);
    mor_vector_append_bytes(&columns[1], hour_text, (size_t)hour_length);
    mor_vector_append_fixed(&columns[2], &customer);
    mor_vector_append_fixed(&columns[3], &amount);
    mor_vector_append_bytes(&columns[4], state, strlen(state));
    mor_vector_append_bytes(&columns[5], text, (size_t)length);
    mor_vector_append_fixed(&columns[6], &created);
    mor_vector_append_fixed(&columns[7], &updated);
    mor_vector_append_fixed(&columns[8], &partition);
    mor_vector_append_fixed(&columns[9], &offset);
    batch->row_count++;
}

// Commits the rows of the batch, each key once.
static void commit(struct mor_table *table, struct mor_router *router, struct mor_batch *batch)
{
    enum { GROUPS_MAX = 256 };
    struct mor_error err = MOR_ERROR_INIT;
    size_t count = batch->row_count, group_count = 0;
    uint32_t *ids = mor_alloc(count * sizeof *ids), known[GROUPS_MAX];
    struct mor_hash128 *keys = mor_alloc(count * sizeof *keys);
    struct mor_change_group groups[GROUPS_MAX];
    memset(groups, 0, sizeof groups);
    mor_router_route(router, batch, 0, count, NULL, ids, keys);
    for (size_t i = 0; i < count; i++) {
        size_t g = 0;
        while (g < group_count && known[g] != ids[i])
            g++;
        if (g == group_count) {
            known[group_count++] = ids[i];
            mor_router_group(router, ids[i], &groups[g].partition, &groups[g].bucket);
            groups[g].upserts = mor_alloc(count * sizeof *groups[g].upserts);
        }
        groups[g].upserts[groups[g].upsert_count++] =
            (struct mor_row_ref){.batch = 0, .row = (uint32_t)i};
    }
    struct mor_change_set set = {
        .batches = &batch, .batch_count = 1, .groups = groups, .group_count = group_count};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    enum mor_status status = MOR_CONFLICT;
    while (status == MOR_CONFLICT) {
        check(mor_write_begin(table, &id, &write, &err), &err);
        for (size_t g = 0; g < group_count; g++)
            check(mor_write_group(write, &set, g, &err), &err);
        status = mor_write_commit(write, NULL, 0, &result, &err);
        mor_write_free(write);
    }
    check(status, &err);
    for (size_t g = 0; g < group_count; g++)
        free(groups[g].upserts);
    free(ids);
    free(keys);
}

// ---- merge --------------------------------------------------------------------------------------

static enum mor_status write_to(void *context, const void *bytes, size_t size_bytes,
                                struct mor_error *err)
{
    return mor_sink_write(context, bytes, size_bytes, err);
}

static enum mor_status read_from(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                                 struct mor_error *err)
{
    return mor_reader_read(context, offset, ret_bytes, size_bytes, err);
}

// Reads the file and writes its rows anew, in the way base files are written.
static void copy_parquet(struct mor_store *store, const char *from, const char *to)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_reader *object = NULL;
    struct mor_sink *sink = NULL;
    struct mor_parquet_reader *reader = NULL;
    struct mor_parquet_writer *writer = NULL;
    check(mor_store_open_object(store, from, &object, &err), &err);
    check(mor_store_create(store, to, &sink, &err), &err);
    struct mor_byte_source source = {
        .context = object, .size_bytes = mor_reader_size_bytes(object), .read = read_from};
    struct mor_byte_sink bytes = {.context = sink, .write = write_to};
    struct mor_parquet_writer_options options = MOR_PARQUET_WRITER_OPTIONS;
    options.profile = MOR_PARQUET_CONSERVATIVE;
    check(mor_parquet_reader_open(&source, NULL, &reader, &err), &err);
    check(
        mor_parquet_writer_open(mor_parquet_reader_schema(reader), &bytes, &options, &writer, &err),
        &err);
    struct mor_batch *batch = mor_batch_new(mor_parquet_reader_schema(reader), NULL);
    do {
        check(mor_parquet_reader_next(reader, 4096, batch, NULL, &err), &err);
        if (batch->row_count > 0)
            check(mor_parquet_writer_append(writer, batch, 0, batch->row_count, &err), &err);
    } while (batch->row_count > 0);
    check(mor_parquet_writer_finish(writer, &err), &err);
    check(mor_sink_finish(sink, &err), &err);
    mor_batch_free(batch);
    mor_parquet_writer_free(writer);
    mor_parquet_reader_free(reader);
    mor_sink_free(sink);
    mor_reader_free(object);
}

static int64_t base_of(const char *location, struct mor_arena *arena, const char **ret_key,
                       int64_t *ret_delta_bytes, struct mor_table **ret_table)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_slice *slices = NULL;
    size_t count = 0;
    check(mor_table_open_read(location, NULL, ret_table, &err), &err);
    check(mor_table_slices(*ret_table, NULL, arena, &slices, &count, &err), &err);
    *ret_key = slices[0].base_key;
    *ret_delta_bytes = slices[0].delta_size_bytes;
    return slices[0].base_size_bytes;
}

static int run_fill(const char *location, uint64_t rows, uint64_t commits, uint64_t per_commit)
{
    struct mor_schema *schema = make_schema();
    struct mor_table *table = open_table(location, schema, false, 1);
    struct mor_router *router = mor_router_new(table);
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    for (uint64_t key = 0; key < rows; key++)
        add_row(batch, key, 0, 0);
    commit(table, router, batch);
    for (uint64_t c = 1; c <= commits; c++) {
        mor_batch_reset(batch);
        uint64_t step = rows / per_commit, first = random_below(step);
        for (uint64_t i = 0; i < per_commit; i++)
            add_row(batch, first + i * step, 0, (int64_t)c);
        commit(table, router, batch);
    }
    mor_batch_free(batch);
    mor_router_free(router);
    mor_table_free(table);
    mor_schema_free(schema);
    return 0;
}

static int run_merge(const char *location, uint64_t rows, uint64_t commits, uint64_t per_commit)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_arena arena;
    const char *key;
    run_fill(location, rows, commits, per_commit);
    int64_t delta_bytes, ignored;
    mor_arena_init(&arena, 0, NULL);
    int64_t base_bytes = base_of(location, &arena, &key, &delta_bytes, &table);
    mor_table_free(table);
    struct mor_compact_options options = {.everything = true, .thread_count = 1};
    struct mor_compact_report report;
    check(mor_table_open_rewrite(location, "bench.maintain", NULL, &table, &err), &err);
    double cpu = cpu_seconds();
    int64_t start_ns = mor_clock_mono_ns();
    check(mor_compact(table, &options, &report, &err), &err);
    double merge_seconds = (double)(mor_clock_mono_ns() - start_ns) / 1e9;
    double merge_cpu = cpu_seconds() - cpu;
    mor_table_free(table);

    base_of(location, &arena, &key, &ignored, &table);
    cpu = cpu_seconds();
    start_ns = mor_clock_mono_ns();
    copy_parquet(mor_table_store(table), key, "copy.of.a.base.file");
    double copy_seconds = (double)(mor_clock_mono_ns() - start_ns) / 1e9;
    double copy_cpu = cpu_seconds() - cpu;
    mor_table_free(table);
    printf("{\"case\":\"merge\",\"rows\":%llu,\"base_bytes\":%lld,\"delta_bytes\":%lld,"
           "\"bytes_written\":%lld,\"merge_s\":%.3f,\"merge_cpu_s\":%.3f,\"floor_s\":%.3f,"
           "\"floor_cpu_s\":%.3f,\"rows_per_s\":%.0f,\"mb_per_s\":%.1f,\"of_floor\":%.2f,"
           "\"of_floor_cpu\":%.2f}\n",
           (unsigned long long)rows, (long long)base_bytes, (long long)delta_bytes,
           (long long)report.bytes_written, merge_seconds, merge_cpu, copy_seconds, copy_cpu,
           (double)report.rows_written / merge_seconds,
           (double)(base_bytes + delta_bytes) / 1e6 / merge_seconds, copy_seconds / merge_seconds,
           copy_cpu / merge_cpu);
    mor_arena_done(&arena);
    return 0;
}

// ---- ingest -------------------------------------------------------------------------------------

#define INGEST_COMMITS 40
#define INGEST_ROWS    50000

// Seconds that the commits take.
static double ingest(const char *location, bool maintained, int64_t *ret_compactions)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = make_schema();
    struct mor_table *table = open_table(location, schema, false, 4);
    struct mor_router *router = mor_router_new(table);
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    struct mor_maintainer *maintainer = NULL;
    const struct mor_maintainer_options options = {
        .location = location,
        .compact = {.limits = {.max_delta_files = 8}, .thread_count = 1},
        .compacts = true,
        .retention = {.age_ms = 600000, .min_snapshots = 10, .orphan_age_ms = 600000},
        .interval_ms = 200,
    };
    if (maintained)
        check(mor_maintainer_start(&options, &maintainer, &err), &err);
    int64_t spent_ns = 0;
    for (int number = 1; number <= INGEST_COMMITS; number++) {
        mor_batch_reset(batch);
        for (uint64_t i = 0; i < INGEST_ROWS; i++)
            add_row(batch, i * 10 + (uint64_t)number % 10, 0, number);
        int64_t start_ns = mor_clock_mono_ns();
        commit(table, router, batch);
        spent_ns += mor_clock_mono_ns() - start_ns;
    }
    struct mor_maintainer_status status = {0};
    if (maintained)
        mor_maintainer_status(maintainer, &status);
    *ret_compactions = status.compactions;
    mor_maintainer_free(maintainer);
    mor_batch_free(batch);
    mor_router_free(router);
    mor_table_free(table);
    mor_schema_free(schema);
    return (double)spent_ns / 1e9;
}

static int run_ingest(const char *location)
{
    enum { ROUNDS = 3 };
    double sum_with = 0, sum_without = 0;
    int64_t compactions = 0, ignored;
    for (int i = 0; i < ROUNDS; i++) {
        MOR_AUTO_FREE char *alone = mor_asprintf("%s.alone%d", location, i);
        MOR_AUTO_FREE char *beside = mor_asprintf("%s.beside%d", location, i);
        sum_without += ingest(alone, false, &ignored);
        sum_with += ingest(beside, true, &ignored);
        compactions += ignored;
    }
    printf(
        "{\"case\":\"ingest\",\"rows\":%d,\"without_s\":%.2f,\"with_s\":%.2f,\"compactions\":%lld,"
        "\"ratio\":%.2f}\n",
        ROUNDS * INGEST_COMMITS * INGEST_ROWS, sum_without, sum_with, (long long)compactions,
        sum_without / sum_with);
    return 0;
}

// ---- day ----------------------------------------------------------------------------------------

static int64_t count_objects(struct mor_store *store, const char *prefix, int64_t *ret_bytes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    check(mor_store_list(store, prefix, true, &arena, &objects, &count, &err), &err);
    *ret_bytes = 0;
    for (size_t i = 0; i < count; i++)
        *ret_bytes += objects[i].size_bytes;
    mor_arena_done(&arena);
    return (int64_t)count;
}

static int64_t scan_rows(const char *location)
{
    static const char *const columns[] = {"amount"};
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_scan_options options = {.columns = columns, .column_count = 1};
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    int64_t rows = 0;
    check(mor_table_open_read(location, NULL, &table, &err), &err);
    check(mor_scan_open(table, &options, &scan, &err), &err);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    do {
        check(mor_scan_next(scan, batch, &err), &err);
        rows += (int64_t)batch->row_count;
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return rows;
}

static void print_facts(const char *location, struct mor_maintainer *maintainer, int commit_number,
                        double commit_ms)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_arena arena;
    struct mor_slice *slices = NULL;
    size_t slice_count = 0;
    int64_t bytes, timeline_bytes, deltas = 0;
    struct mor_maintainer_status status;
    mor_arena_init(&arena, 0, NULL);
    check(mor_table_open_read(location, NULL, &table, &err), &err);
    int64_t start_ns = mor_clock_mono_ns();
    check(mor_table_slices(table, NULL, &arena, &slices, &slice_count, &err), &err);
    double plan_ms = (double)(mor_clock_mono_ns() - start_ns) / 1e6;
    for (size_t i = 0; i < slice_count; i++)
        deltas += (int64_t)slices[i].delta_count;
    int64_t own_bytes, own = count_objects(mor_table_store(table), ".hoodie/moraine", &own_bytes);
    int64_t hoodie = count_objects(mor_table_store(table), ".hoodie", &timeline_bytes);
    int64_t files = count_objects(mor_table_store(table), "", &bytes);
    mor_table_free(table);
    mor_arena_done(&arena);
    mor_maintainer_status(maintainer, &status);
    start_ns = mor_clock_mono_ns();
    int64_t rows = scan_rows(location);
    double scan_ms = (double)(mor_clock_mono_ns() - start_ns) / 1e6;
    printf("{\"case\":\"day\",\"commit\":%d,\"rows\":%lld,\"files\":%lld,\"bytes\":%lld,"
           "\"timeline_objects\":%lld,\"timeline_bytes\":%lld,\"own_objects\":%lld,\"delta_files\":"
           "%lld,"
           "\"file_groups\":%zu,\"plan_ms\":%.2f,\"scan_ms\":%.2f,\"commit_ms\":%.2f,"
           "\"compactions\":%lld,\"cleaned_files\":%lld,\"trouble\":\"%s\"}\n",
           commit_number, (long long)rows, (long long)(files - hoodie),
           (long long)(bytes - timeline_bytes), (long long)(hoodie - own),
           (long long)(timeline_bytes - own_bytes), (long long)own, (long long)deltas, slice_count,
           plan_ms, scan_ms, commit_ms, (long long)status.compactions,
           (long long)status.cleaned_files, status.trouble);
    fflush(stdout);
}

static void fill_commit(struct mor_batch *batch, int number)
{
    mor_batch_reset(batch);
    for (int p = 0; p < 4; p++) {
        uint64_t hour = random_below(DAY_PARTITIONS), rows = DAY_ROWS / 4;
        bool same = false; // two draws of one partition would write a key twice
        for (size_t i = 0; i < batch->row_count && !same; i++) {
            size_t size;
            const uint8_t *text = mor_vector_bytes_at(&batch->columns[1], i, &size);
            same = (uint64_t)(text[0] - '0') * 10 + (uint64_t)(text[1] - '0') == hour;
        }
        uint64_t step = DAY_KEYS / rows, first = random_below(step);
        for (uint64_t i = 0; i < rows && !same; i++)
            add_row(batch, hour * DAY_KEYS + first + i * step, hour, number);
    }
}

static void sleep_until(int64_t at_ns)
{
    int64_t left_ns = at_ns - mor_clock_mono_ns();
    struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    if (left_ns > 0)
        nanosleep(&left, NULL);
}

static int run_day(const char *location, int commits, int pace_ms)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = make_schema();
    struct mor_table *table = open_table(location, schema, true, 2);
    struct mor_router *router = mor_router_new(table);
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    struct mor_maintainer *maintainer = NULL;
    // what a service keeps of a week, scaled: all of it within the first tenth of the commits
    int64_t kept_ms = pace_ms > 0 ? 60 * (int64_t)pace_ms : 5000;
    struct mor_maintainer_options options = {
        .location = location,
        .compact = {.limits = {.max_delta_files = 10, .max_delta_age_ms = 2 * kept_ms},
                    .thread_count = 1,
                    .memory_bytes_max = 64u << 20},
        .compacts = true,
        .retention = {.age_ms = kept_ms, .min_snapshots = 10, .orphan_age_ms = 60000},
        .interval_ms = kept_ms / 10,
        .expire_interval_ms = kept_ms / 4,
    };
    check(mor_maintainer_start(&options, &maintainer, &err), &err);
    int64_t spent_ns = 0, begun_ns = mor_clock_mono_ns();
    for (int number = 1; number <= commits; number++) {
        fill_commit(batch, number);
        sleep_until(begun_ns + (int64_t)number * pace_ms * 1000000);
        int64_t start_ns = mor_clock_mono_ns();
        commit(table, router, batch);
        spent_ns += mor_clock_mono_ns() - start_ns;
        int every = commits < 100 ? 1 : commits / 100;
        if (number % every == 0) {
            print_facts(location, maintainer, number, (double)spent_ns / 1e6 / every);
            spent_ns = 0;
        }
    }
    mor_maintainer_free(maintainer);
    mor_batch_free(batch);
    mor_router_free(router);
    mor_table_free(table);
    mor_schema_free(schema);
    return 0;
}

int main(int argc, char **argv)
{
    bool merge = argc > 2 && strcmp(argv[1], "merge") == 0;
    if (merge || (argc > 2 && strcmp(argv[1], "fill") == 0))
        return (merge ? run_merge : run_fill)(argv[2],
                                              argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000,
                                              argc > 4 ? strtoull(argv[4], NULL, 10) : 10,
                                              argc > 5 ? strtoull(argv[5], NULL, 10) : 30000);
    if (argc > 2 && strcmp(argv[1], "ingest") == 0)
        return run_ingest(argv[2]);
    if (argc > 2 && strcmp(argv[1], "day") == 0)
        return run_day(argv[2], argc > 3 ? atoi(argv[3]) : 3600, argc > 4 ? atoi(argv[4]) : 1000);
    fprintf(stderr, "usage: compaction_bench merge DIR [ROWS [COMMITS [ROWS_PER_COMMIT]]]\n"
                    "       compaction_bench fill DIR [ROWS [COMMITS [ROWS_PER_COMMIT]]]\n"
                    "       compaction_bench ingest DIR\n"
                    "       compaction_bench day DIR [COMMITS [PACE_MS]]\n");
    return 2;
}
