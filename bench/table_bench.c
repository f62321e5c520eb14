// Rows per second of processor time of the table path, one thread: routing, base files, logs, scans
// with and without logs.
//
//   table_bench [ROWS]      prints one line per step: name, rows per second, bytes per row
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moraine/base/clock.h"
#include "moraine/merge.h"

#define KEY_COUNT 1000000

static void check(enum mor_status status, const struct mor_error *err)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static struct mor_schema *make_schema(void)
{
    struct mor_schema *schema = mor_schema_new("orders");
    mor_schema_add(schema, NULL, "order_id", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "customer", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "amount", MOR_TYPE_DOUBLE, true);
    mor_schema_add(schema, NULL, "status", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "created_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "updated_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    return schema;
}

static void fill(struct mor_batch *batch, size_t count, int64_t version)
{
    static const char *const states[] = {"new", "paid", "shipped", "returned"};
    mor_batch_reset(batch);
    for (size_t i = 0; i < count; i++) {
        char id[32];
        // distinct keys, scattered
        uint64_t key = (i * 7919) % KEY_COUNT;
        int length = snprintf(id, sizeof id, "order-%08llu", (unsigned long long)key);
        int64_t customer = (int64_t)(key * 31 % 100000), offset = version * KEY_COUNT + (int64_t)i;
        double amount = (double)(key % 10007) / 100;
        int64_t created = 1767225600000000 + (int64_t)(key % 86400) * 1000000;
        int64_t updated = created + version * 1000;
        int32_t partition = (int32_t)(key % 8);
        const char *state = states[(key + (uint64_t)version) % 4];
        struct mor_vector *columns = batch->columns;
        mor_vector_append_bytes(&columns[0], id, (size_t)length);
        mor_vector_append_fixed(&columns[1], &customer);
        mor_vector_append_fixed(&columns[2], &amount);
        mor_vector_append_bytes(&columns[3], state, strlen(state));
        mor_vector_append_fixed(&columns[4], &created);
        mor_vector_append_fixed(&columns[5], &updated);
        mor_vector_append_fixed(&columns[6], &partition);
        mor_vector_append_fixed(&columns[7], &offset);
    }
    batch->row_count = count;
}

static void report(const char *what, size_t rows, int64_t start_ns, int64_t bytes)
{
    double seconds = (double)(mor_clock_thread_cpu_ns() - start_ns) / 1e9;
    printf("%-10s %10.0f rows/s %8.1f bytes/row\n", what, (double)rows / seconds,
           (double)bytes / (double)rows);
}

static void commit(struct mor_table *table, struct mor_batch *batch, int32_t bucket_count,
                   const char *what)
{
    struct mor_error err = MOR_ERROR_INIT;
    size_t count = batch->row_count;
    uint32_t *groups = mor_alloc(count * sizeof *groups);
    struct mor_hash128 *keys = mor_alloc(count * sizeof *keys);
    struct mor_router *router = mor_router_new(table);
    int64_t start_ns = mor_clock_thread_cpu_ns();
    mor_router_route(router, batch, 0, count, NULL, groups, keys);
    report("route", count, start_ns, 0);

    struct mor_change_group *change = mor_calloc((size_t)bucket_count, sizeof *change);
    for (int32_t b = 0; b < bucket_count; b++)
        change[b].upserts = mor_alloc(count * sizeof *change[b].upserts);
    for (size_t i = 0; i < count; i++) {
        int32_t bucket;
        const char *partition;
        mor_router_group(router, groups[i], &partition, &bucket);
        change[bucket].partition = partition;
        change[bucket].bucket = bucket;
        change[bucket].upserts[change[bucket].upsert_count++] =
            (struct mor_row_ref){.batch = 0, .row = (uint32_t)i};
    }
    struct mor_change_set set = {
        .batches = &batch, .batch_count = 1, .groups = change, .group_count = (size_t)bucket_count};
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result;
    start_ns = mor_clock_thread_cpu_ns();
    check(mor_write_begin(table, &id, &write, &err), &err);
    for (size_t i = 0; i < set.group_count; i++)
        check(mor_write_group(write, &set, i, &err), &err);
    check(mor_write_commit(write, NULL, 0, &result, &err), &err);
    report(what, count, start_ns, result.bytes_written);
    mor_write_free(write);
    for (int32_t b = 0; b < bucket_count; b++)
        free(change[b].upserts);
    free(change);
    mor_router_free(router);
    free(groups);
    free(keys);
}

static void scan(struct mor_table *table, const char *what)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_scan_options options = {0};
    struct mor_scan *run = NULL;
    size_t rows = 0;
    int64_t start_ns = mor_clock_thread_cpu_ns();
    check(mor_scan_open(table, &options, &run, &err), &err);
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(run), NULL);
    do {
        check(mor_scan_next(run, batch, &err), &err);
        rows += batch->row_count;
    } while (batch->row_count > 0);
    report(what, rows, start_ns, 0);
    mor_batch_free(batch);
    mor_scan_free(run);
}

int main(int argc, char **argv)
{
    size_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;
    char root[] = "/tmp/moraine-bench-XXXXXX", command[128];
    if (rows == 0 || rows > KEY_COUNT || !mkdtemp(root))
        return 2;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = make_schema();
    static const char *const keys[] = {"order_id"};
    struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                        .location = root,
                                        .schema = schema,
                                        .key_columns = keys,
                                        .key_column_count = 1,
                                        .ordering_column = "updated_at",
                                        .bucket_count = 8};
    struct mor_table *table = NULL;
    check(mor_table_open_write(&options, &table, &err), &err);
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    fill(batch, rows, 0);
    commit(table, batch, 8, "base");
    scan(table, "scan base");
    fill(batch, rows, 1);
    commit(table, batch, 8, "log");
    scan(table, "scan merge");
    mor_batch_free(batch);
    mor_table_free(table);
    mor_schema_free(schema);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) == 0 ? 0 : 1;
}
