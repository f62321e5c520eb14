// moraine demo: the whole way of a record on one machine, with nothing else installed.

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "demo_orders.h"
#include "moraine/base/clock.h"
#include "moraine/merge.h"
#include "moraine/source.h"
#include "service.h"

#define DEMO_SEED           42
#define DEMO_SECONDS        10
#define OUTSTANDING_RECORDS 40000 // the embedded broker keeps about 5 MiB per partition
#define SETTLE_MS           60000
#define PROGRESS_MS         500
#define MARKER              "demo.yaml"

static const struct cli_option options[] = {
    {"seconds", "N", "produce for N seconds (default 10)"},
    {"rows", "N", "stop after N records"},
    {"format", "FORMAT", "table format: hudi (default), iceberg"},
    {"dir", "DIR", "where table, state and configuration go (default: a new temporary folder)"},
    {"keep", NULL, "leave the folder behind (always with --dir)"},
};

static int run_demo(int argc, char **argv);

const struct cli_command cli_demo_command = {
    .name = "demo",
    .arguments = "",
    .summary = "runs the whole pipeline on an embedded broker.\n"
               "Generates orders with updates, deletes, duplicates, late and broken records, lets "
               "the real service write them\n"
               "into a table in DIR/orders, compares the table with what was generated, and prints "
               "how to query it. A demo\n"
               "that was in DIR before is replaced.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_demo,
};

struct demo {
    char directory[PATH_MAX];
    const char *format;
    bool keep;
    int64_t seconds;
    int64_t rows_max; // -1 = until the seconds are over
    struct mor_demo_broker *broker;
    struct demo_orders *orders;
    struct cli_service service;
    int64_t produced;
    int64_t started_ms;
    struct mor_pipeline_status *status;
};

// ---- folder -------------------------------------------------------------------------------------

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static enum mor_status write_file(const char *path, const char *text, struct mor_error *err)
{
    FILE *file = fopen(path, "we");
    bool written = file != NULL && fputs(text, file) >= 0;
    if (file != NULL && fclose(file) != 0)
        written = false;
    return written ? MOR_OK : mor_error_set_errno(err, errno, "could not write '%s'", path);
}

static enum mor_status make_directory(const char *path, struct mor_error *err)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return mor_error_set_errno(err, errno, "could not make folder '%s'", path);
    return MOR_OK;
}

// An empty folder to work in: a fresh temporary one, or DIR without what an earlier demo left in
// it.
static enum mor_status prepare_folder(struct demo *demo, const char *wanted, struct mor_error *err)
{
    if (wanted == NULL) {
        const char *base = getenv("TMPDIR");
        (void)snprintf(demo->directory, sizeof demo->directory, "%s/moraine-demo-XXXXXX",
                       base != NULL ? base : "/tmp");
        if (mkdtemp(demo->directory) == NULL)
            return mor_error_set_errno(err, errno, "could not make folder '%s'", demo->directory);
        return MOR_OK;
    }
    MOR_TRY(make_directory(wanted, err));
    if (realpath(wanted, demo->directory) == NULL)
        return mor_error_set_errno(err, errno, "could not find folder '%s'", wanted);
    MOR_AUTO_FREE char *marker = mor_asprintf("%s/%s", demo->directory, MARKER);
    MOR_AUTO_FREE char *table = mor_asprintf("%s/orders", demo->directory);
    bool ours = access(marker, F_OK) == 0;
    if (access(table, F_OK) == 0 && !ours)
        return mor_error_set(err, MOR_FATAL,
                             "'%s' exists and is not from a demo: choose another --dir", table);
    static const char *const parts[] = {"orders", "state", "topics", MARKER};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && ours; i++) {
        MOR_AUTO_FREE char *part = mor_asprintf("%s/%s", demo->directory, parts[i]);
        remove_tree(part);
    }
    return MOR_OK;
}

// The demo is configured as any service is: by files, which stay to be looked at.
static enum mor_status write_config(const struct demo *demo, struct mor_error *err)
{
    MOR_AUTO_FREE char *service =
        mor_asprintf("# written by 'moraine demo'\n"
                     "instance: demo\n"
                     "state_dir: %s/state\n"
                     "memory: 256MiB\n"
                     "log: {level: error, format: logfmt}\n"
                     "http: {listen: \"127.0.0.1:0\"}\n"
                     "kafka:\n"
                     "  bootstrap.servers: %s\n"
                     "topics: topics/*.yaml\n",
                     demo->directory, mor_demo_broker_address(demo->broker));
    MOR_AUTO_FREE char *topic =
        mor_asprintf("# written by 'moraine demo'\n"
                     "topic: orders\n"
                     "value: {format: json}\n"
                     "schema:\n"
                     "  fields:\n"
                     "    - {name: order_id, type: long, nullable: false}\n"
                     "    - {name: op, type: string}\n"
                     "    - {name: customer, type: string}\n"
                     "    - {name: status, type: string}\n"
                     "    - {name: amount, type: \"decimal(12,2)\"}\n"
                     "    - name: address\n"
                     "      fields:\n"
                     "        - {name: city, type: string}\n"
                     "        - {name: zip, type: string}\n"
                     "    - {name: tags, type: \"list<string>\"}\n"
                     "    - {name: note, type: string}\n"
                     "    - {name: created_at, type: timestamp_ms}\n"
                     "    - {name: updated_at, type: timestamp_ms}\n"
                     "key: [order_id]\n"
                     "ordering: updated_at\n"
                     "delete_when: {field: op, equals: d}\n"
                     "event_time: {field: updated_at, unit: ms, max_lateness: 10m}\n"
                     "table:\n"
                     "  format: %s\n"
                     "  location: file://%s/orders\n"
                     "  partition_by: [\"day(created_at)\"]\n"
                     "  buckets: 2\n"
                     "commit: {interval: 1s}\n",
                     demo->format, demo->directory);
    MOR_AUTO_FREE char *topics = mor_asprintf("%s/topics", demo->directory);
    MOR_AUTO_FREE char *service_path = mor_asprintf("%s/%s", demo->directory, MARKER);
    MOR_AUTO_FREE char *topic_path = mor_asprintf("%s/orders.yaml", topics);
    MOR_TRY(make_directory(topics, err));
    MOR_TRY(write_file(service_path, service, err));
    return write_file(topic_path, topic, err);
}

// ---- run ----------------------------------------------------------------------------------------

static void read_status(struct demo *demo)
{
    cli_service_tend(&demo->service);
    mor_pipeline_status(demo->service.topics[0]->pipeline, demo->status);
}

static void show_progress(struct demo *demo, bool end)
{
    if (!isatty(STDERR_FILENO))
        return;
    const struct mor_pipeline_status *status = demo->status;
    (void)fprintf(
        stderr,
        "\r\033[K%5.1f s  produced %lld  in the table %lld  commits %lld  dead letters %lld%s",
        (double)(mor_clock_mono_ms() - demo->started_ms) / 1000.0, (long long)demo->produced,
        (long long)status->read, (long long)status->commits, (long long)status->dead,
        end ? "\n" : "");
    (void)fflush(stderr);
}

static void pause_ms(int64_t ms)
{
    struct timespec pause = {0, ms * 1000000L};
    nanosleep(&pause, NULL);
}

static enum mor_status topic_failure(const struct demo *demo, struct mor_error *err)
{
    return mor_error_set(err, MOR_FATAL, "the topic stopped: %s", demo->status->trouble);
}

static enum mor_status produce(struct demo *demo, struct mor_error *err)
{
    struct demo_record record = {0};
    int64_t end_ms = demo->started_ms + demo->seconds * 1000;
    int64_t shown_ms = 0;
    enum mor_status status = MOR_OK;
    while (status == MOR_OK &&
           (demo->rows_max < 0 ? mor_clock_mono_ms() < end_ms : demo->produced < demo->rows_max)) {
        int64_t now_ms = mor_clock_mono_ms();
        if (now_ms - shown_ms >= PROGRESS_MS) {
            read_status(demo);
            show_progress(demo, false);
            shown_ms = now_ms;
            if (cli_wait_signal(0) != 0)
                break;
        }
        if (demo->status->state == MOR_PIPELINE_FAILED) {
            status = topic_failure(demo, err);
        } else if (demo->produced - demo->status->read >= OUTSTANDING_RECORDS) {
            pause_ms(5);
            read_status(demo);
        } else {
            demo_orders_next(demo->orders, mor_clock_wall_ms(), &record);
            status = mor_demo_broker_produce(
                demo->broker, record.partition, record.key, record.key_size,
                record.tombstone ? NULL : record.value.data,
                record.tombstone ? 0 : record.value.size_bytes, mor_clock_wall_ms(), err);
            demo->produced++;
        }
    }
    mor_buffer_done(&record.value);
    return status != MOR_OK ? status : mor_demo_broker_flush(demo->broker, err);
}

// Waits until everything that was produced is in the table.
static enum mor_status settle(struct demo *demo, struct mor_error *err)
{
    int64_t deadline_ms = mor_clock_mono_ms() + SETTLE_MS;
    for (;;) {
        read_status(demo);
        if (demo->status->read >= demo->produced)
            break;
        if (demo->status->state == MOR_PIPELINE_FAILED)
            return topic_failure(demo, err);
        if (mor_clock_mono_ms() > deadline_ms)
            return mor_error_set(
                err, MOR_FATAL, "%lld of %lld records did not reach the table within %d s (%s: %s)",
                (long long)(demo->produced - demo->status->read), (long long)demo->produced,
                SETTLE_MS / 1000, demo->status->step, demo->status->trouble);
        show_progress(demo, false);
        pause_ms(50);
    }
    show_progress(demo, true);
    return MOR_OK;
}

// ---- afterwards ---------------------------------------------------------------------------------

static enum mor_status sum_table(const char *location, int64_t *ret_count, int64_t *ret_cents,
                                 struct mor_error *err)
{
    static const char *const columns[] = {"amount"};
    struct mor_scan_options scan_options = {.columns = columns, .column_count = 1};
    struct mor_table *table;
    MOR_TRY(mor_table_open_read(location, NULL, &table, err));
    struct mor_scan *scan = NULL;
    struct mor_batch *batch = NULL;
    enum mor_status status = mor_scan_open(table, &scan_options, &scan, err);
    if (status == MOR_OK)
        batch = mor_batch_new(mor_scan_schema(scan), NULL);
    *ret_count = 0;
    *ret_cents = 0;
    while (status == MOR_OK && (status = mor_scan_next(scan, batch, err)) == MOR_OK &&
           batch->row_count > 0) {
        *ret_count += (int64_t)batch->row_count;
        for (size_t row = 0; row < batch->row_count; row++)
            *ret_cents += (int64_t)mor_vector_decimal(&batch->columns[0], row);
    }
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return status;
}

static bool print_summary(const struct demo *demo, const char *table, int64_t count, int64_t cents,
                          double seconds)
{
    int64_t expected_count, expected_cents;
    demo_orders_expect(demo->orders, &expected_count, &expected_cents);
    struct demo_counts made = demo_orders_counts(demo->orders);
    const struct mor_pipeline_status *status = demo->status;
    (void)printf("Produced %lld records: %lld inserts, %lld updates, %lld deletes, %lld "
                 "duplicates, %lld late, %lld broken\n",
                 (long long)demo->produced, (long long)made.inserts, (long long)made.updates,
                 (long long)made.deletes, (long long)made.duplicates, (long long)made.late,
                 (long long)made.broken);
    (void)printf("Committed %lld records in %lld commits within %.1f s: %lld files, %.1f MiB\n",
                 (long long)status->read, (long long)status->commits, seconds,
                 (long long)status->files_written, (double)status->bytes_written / 1048576.0);
    (void)printf("  inserted %lld, updated %lld, deleted %lld, dead letters %lld\n",
                 (long long)status->inserted, (long long)status->updated,
                 (long long)status->deleted, (long long)status->dead);
    (void)printf("  dead letters: %s/state/dead_letters/orders.jsonl\n", demo->directory);
    bool equal = count == expected_count && cents == expected_cents;
    (void)printf(
        "Table %s: %lld orders, amounts sum to %lld.%02d; expected %lld and %lld.%02d: %s\n", table,
        (long long)count, (long long)(cents / 100), (int)(cents % 100), (long long)expected_count,
        (long long)(expected_cents / 100), (int)(expected_cents % 100),
        equal ? "equal" : "NOT EQUAL");
    return equal;
}

static void print_hudi_queries(const char *table)
{
    (void)printf(
        "  # Python: pip install hudi pyarrow\n"
        "  python3 -c \"from hudi import HudiTableBuilder; import pyarrow as pa; "
        "print(pa.Table.from_batches(HudiTableBuilder.from_base_uri('%s').build().read()))\"\n",
        table);
    (void)printf("  # Spark 3.5\n"
                 "  pyspark --packages org.apache.hudi:hudi-spark3.5-bundle_2.12:0.15.0 \\\n"
                 "    --conf spark.serializer=org.apache.spark.serializer.KryoSerializer\n"
                 "  >>> spark.read.format('hudi').load('%s').show()\n",
                 table);
}

static void print_iceberg_queries(const char *table)
{
    (void)printf("  # Python: pip install 'pyiceberg[pyarrow]'\n"
                 "  python3 -c \"from pyiceberg.table import StaticTable; "
                 "print(StaticTable.from_metadata('%s').scan().to_arrow())\"\n",
                 table);
    (void)printf("  # DuckDB\n"
                 "  duckdb -c \"INSTALL iceberg; LOAD iceberg; SELECT * FROM "
                 "iceberg_scan('%s') LIMIT 3\"\n",
                 table);
    (void)printf("  # Spark 3.5\n"
                 "  pyspark --packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.11.0\n"
                 "  >>> spark.read.format('iceberg').load('%s').show()\n",
                 table);
}

static void print_queries(const struct demo *demo, const char *table)
{
    if (!demo->keep) {
        (void)printf(
            "\nThe folder is removed now; 'moraine demo --keep' leaves it to be queried.\n");
        return;
    }
    char program[PATH_MAX] = "moraine";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0)
        program[length] = '\0';
    (void)printf("\nQuery it:\n"
                 "  %s scan %s --limit 3\n"
                 "  %s history %s\n"
                 "  %s describe %s\n",
                 program, table, program, table, program, table);
    if (strcmp(demo->format, "iceberg") == 0)
        print_iceberg_queries(table);
    else
        print_hudi_queries(table);
}

static enum mor_status start(struct demo *demo, struct mor_error *err)
{
    MOR_TRY(mor_demo_broker_start("orders", DEMO_PARTITIONS, &demo->broker, err));
    MOR_TRY(write_config(demo, err));
    MOR_AUTO_FREE char *path = mor_asprintf("%s/%s", demo->directory, MARKER);
    struct mor_config *config = cli_load_config(path);
    if (config == NULL)
        return mor_error_set(err, MOR_FATAL, "the demo's own configuration was refused");
    return cli_service_start(&demo->service, NULL, config, err);
}

static int run(struct demo *demo, struct mor_error *err)
{
    (void)printf("Demo in %s: an embedded broker with %d partitions, orders as JSON, commits every "
                 "second.\n",
                 demo->directory, DEMO_PARTITIONS);
    (void)fflush(stdout);
    MOR_AUTO_FREE char *table = mor_asprintf("%s/orders", demo->directory);
    int64_t count = 0, cents = 0;
    enum mor_status status = start(demo, err);
    if (status == MOR_OK) {
        (void)printf("status page %s\n", mor_serve_url(demo->service.serve));
        (void)fflush(stdout);
    }
    demo->started_ms = mor_clock_mono_ms();
    if (status == MOR_OK)
        status = produce(demo, err);
    if (status == MOR_OK)
        status = settle(demo, err);
    double seconds = (double)(mor_clock_mono_ms() - demo->started_ms) / 1000.0;
    if (demo->service.first != NULL)
        (void)cli_service_stop(&demo->service);
    if (status == MOR_OK)
        status = sum_table(table, &count, &cents, err);
    if (status != MOR_OK)
        return cli_fail(err);
    bool equal = print_summary(demo, table, count, cents, seconds);
    print_queries(demo, table);
    return equal ? EXIT_DONE : EXIT_FAILED;
}

static int run_demo(int argc, char **argv)
{
    struct cli_arguments arguments;
    static struct demo demo; // paths are large
    if (!cli_parse(&cli_demo_command, argc, argv, &arguments) ||
        !cli_number(&arguments, "seconds", 1, DEMO_SECONDS, &demo.seconds) ||
        !cli_number(&arguments, "rows", 1, -1, &demo.rows_max))
        return EXIT_USAGE;
    const char *format = cli_value(&arguments, "format");
    demo.format = format != NULL ? format : "hudi";
    if (strcmp(demo.format, "hudi") != 0 && strcmp(demo.format, "iceberg") != 0)
        return cli_usage(&cli_demo_command, "--format: '%s' is neither hudi nor iceberg", format);
    demo.keep = cli_flag(&arguments, "keep") || cli_value(&arguments, "dir") != NULL;
    cli_block_signals();
    struct mor_error err = MOR_ERROR_INIT;
    if (prepare_folder(&demo, cli_value(&arguments, "dir"), &err) != MOR_OK)
        return cli_fail(&err);
    demo.orders = demo_orders_new(DEMO_SEED, mor_clock_wall_ms());
    demo.status = mor_calloc(1, sizeof *demo.status);
    int result = run(&demo, &err);
    mor_demo_broker_free(demo.broker);
    demo_orders_free(demo.orders);
    free(demo.status);
    if (!demo.keep)
        remove_tree(demo.directory);
    return result;
}
