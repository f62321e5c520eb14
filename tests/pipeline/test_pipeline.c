// The whole pipeline of a topic on the embedded broker: what goes in is what a scan finds.

#include "check.h"
#include "table_rows_count.h"

#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"
#include "moraine/base/log.h"
#include "moraine/maintain.h"
#include "moraine/merge.h"
#include "moraine/pipeline.h"
#include "moraine/pipeline/dead_letters.h"
#include "moraine/source.h"

#define PARTITIONS  3
#define PATIENCE_MS 30000

struct rig {
    char *folder;
    char *table;
    struct mor_demo_broker *broker;
    struct mor_config *config;
    struct mor_budget budget;
    struct mor_pipeline *pipeline;
    struct mor_pipeline_status *status;
    const char *instance;
    const char *topic_options; // further lines of the topic's file
};

static void write_file(const char *folder, const char *name, const char *text)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_config(const struct rig *rig, const char *more)
{
    MOR_AUTO_FREE char *service = mor_asprintf(
        "instance: %s\nstate_dir: %s/state-%s\nmemory: 64MiB\nlanes: 2\n"
        "kafka: {bootstrap.servers: \"%s\", session.timeout.ms: 2000, heartbeat.interval.ms: 200}\n"
        "topics: topic.yaml\n",
        rig->instance, rig->folder, rig->instance, mor_demo_broker_address(rig->broker));
    MOR_AUTO_FREE char *topic =
        mor_asprintf("topic: events\nvalue: {format: json}\n"
                     "schema: {fields: [{name: id, type: long}, {name: version, type: long}, "
                     "{name: op, type: string}, {name: day, type: string}]}\n"
                     "key: [id]\nordering: version\ndelete_when: {field: op, equals: d}\n"
                     "commit: {interval: 100ms}\n"
                     "table: {format: hudi, location: \"file://%s\", buckets: 2%s}\n%s",
                     rig->table, more, rig->topic_options != NULL ? rig->topic_options : "");
    write_file(rig->folder, "moraine.yaml", service);
    write_file(rig->folder, "topic.yaml", topic);
}

static void set_up(struct rig *rig, const char *more)
{
    struct mor_error err = MOR_ERROR_INIT;
    *rig = (struct rig){
        .folder = check_folder(), .status = mor_calloc(1, sizeof *rig->status), .instance = "test"};
    rig->table = mor_asprintf("%s/table", rig->folder);
    mor_budget_init(&rig->budget, 64u << 20);
    assert_ok(mor_demo_broker_start("events", PARTITIONS, &rig->broker, &err));
    write_config(rig, more);
}

static void start(struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_config_report report = {0};
    MOR_AUTO_FREE char *path = mor_asprintf("%s/moraine.yaml", rig->folder);
    if (mor_config_load(path, &rig->config, &report) != MOR_OK)
        fail_msg("%s", report.count > 0 ? report.notes[0].text : "?");
    mor_config_report_done(&report);
    struct mor_pipeline_options options = {.config = rig->config,
                                           .topic = &rig->config->topics[0],
                                           .budget = &rig->budget,
                                           .budget_share_bytes = 64u << 20};
    assert_ok(mor_pipeline_start(&options, &rig->pipeline, &err));
}

static void stop(struct rig *rig)
{
    mor_pipeline_stop(rig->pipeline, mor_clock_mono_ms() + PATIENCE_MS);
    mor_pipeline_free(rig->pipeline);
    mor_config_free(rig->config);
    rig->pipeline = NULL;
}

static void tear_down(struct rig *rig)
{
    mor_demo_broker_free(rig->broker);
    free(rig->status);
    free(rig->table);
    free(rig->folder);
    assert_int_equal(mor_budget_used(&rig->budget), 0);
}

static void nap(void)
{
    struct timespec pause = {0, 10 * 1000000};
    nanosleep(&pause, NULL);
}

// Waits until this run of the pipeline has committed `records`.
static void wait_for(struct rig *rig, int64_t records)
{
    int64_t deadline = mor_clock_mono_ms() + PATIENCE_MS;
    do {
        nap();
        mor_pipeline_status(rig->pipeline, rig->status);
        if (rig->status->state == MOR_PIPELINE_FAILED)
            fail_msg("the topic failed: %s", rig->status->trouble);
        if (mor_clock_mono_ms() > deadline)
            fail_msg("%lld of %lld records after %d ms: %s: %s", (long long)rig->status->read,
                     (long long)records, PATIENCE_MS, rig->status->step, rig->status->trouble);
    } while (rig->status->read < records);
    assert_int_equal(rig->status->read, records);
}

static void wait_for_failure(struct rig *rig, const char *words)
{
    int64_t deadline = mor_clock_mono_ms() + PATIENCE_MS;
    do {
        nap();
        mor_pipeline_status(rig->pipeline, rig->status);
        assert_true(mor_clock_mono_ms() < deadline);
    } while (rig->status->state != MOR_PIPELINE_FAILED);
    if (strstr(rig->status->trouble, words) == NULL)
        fail_msg("'%s' does not say '%s'", rig->status->trouble, words);
}

static void produce(struct rig *rig, int64_t id, const char *value)
{
    struct mor_error err = MOR_ERROR_INIT;
    char key[24];
    int length = snprintf(key, sizeof key, "%lld", (long long)id);
    assert_ok(mor_demo_broker_produce(rig->broker, (int32_t)(id % PARTITIONS), key, (size_t)length,
                                      value, value != NULL ? strlen(value) : 0, 1767225600000,
                                      &err));
}

static void produce_row(struct rig *rig, int64_t id, int64_t version, const char *op)
{
    char value[128];
    (void)snprintf(value, sizeof value,
                   "{\"id\":%lld,\"version\":%lld,\"op\":\"%s\",\"day\":\"d%lld\"}", (long long)id,
                   (long long)version, op, (long long)(id % 2));
    produce(rig, id, value);
}

static void flush(struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_demo_broker_flush(rig->broker, &err));
}

// Version of each id that a scan finds, -1 = no row; every id at most once.
static void scan(const struct rig *rig, int64_t *ret_versions, size_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    static const char *const columns[] = {"id", "version"};
    struct mor_scan_options options = {.columns = columns, .column_count = 2};
    struct mor_table *table;
    struct mor_scan *running;
    assert_ok(mor_table_open_read(rig->table, NULL, &table, &err));
    assert_ok(mor_scan_open(table, &options, &running, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(running), NULL);
    for (size_t i = 0; i < count; i++)
        ret_versions[i] = -1;
    for (;;) {
        assert_ok(mor_scan_next(running, batch, &err));
        if (batch->row_count == 0)
            break;
        for (size_t row = 0; row < batch->row_count; row++) {
            int64_t id = mor_vector_i64(&batch->columns[0], row);
            assert_in_range(id, 0, count - 1);
            assert_int_equal(ret_versions[id], -1);
            ret_versions[id] = mor_vector_i64(&batch->columns[1], row);
        }
    }
    mor_batch_free(batch);
    mor_scan_free(running);
    mor_table_free(table);
}

static int count_lines(const struct rig *rig)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/state-test/dead_letters/events.jsonl", rig->folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    int lines = 0;
    for (int byte = getc(file); byte != EOF; byte = getc(file))
        lines += byte == '\n';
    (void)fclose(file);
    return lines;
}

// Inserts 0..99, updates the even ones, deletes every fifth (half of them by tombstone), and sends
// two records that are wrong. *ret_records: how many records that is.
static void produce_story(struct rig *rig, int64_t base_version, int64_t *ret_records)
{
    *ret_records = 100 + 50 + 20 + 2;
    for (int64_t id = 0; id < 100; id++)
        produce_row(rig, id, base_version, "c");
    for (int64_t id = 0; id < 100; id += 2)
        produce_row(rig, id, base_version + 1, "u");
    for (int64_t id = 0; id < 100; id += 5) {
        if (id % 2 == 0)
            produce(rig, id, NULL);
        else
            produce_row(rig, id, base_version + 1, "d");
    }
    produce(rig, 1, "{\"id\":1,\"version\":");
    produce(rig, 2, "{\"version\":5}");
    flush(rig);
}

static void assert_story(const struct rig *rig, int64_t base_version)
{
    int64_t versions[100];
    scan(rig, versions, 100);
    for (int64_t id = 0; id < 100; id++)
        assert_int_equal(versions[id], id % 5 == 0 ? -1 : base_version + (id % 2 == 0 ? 1 : 0));
}

static void rows_arrive_once_and_a_restart_goes_on_from_the_table(void **state)
{
    (void)state;
    struct rig rig;
    int64_t records;
    set_up(&rig, "");
    produce_story(&rig, 1, &records);
    start(&rig);
    wait_for(&rig, records);
    assert_int_equal(rig.status->dead, 2);
    assert_int_equal(rig.status->inserted + rig.status->updated + rig.status->deleted +
                         rig.status->dead,
                     records);
    stop(&rig);
    assert_story(&rig, 1);
    assert_int_equal(count_lines(&rig), 2);

    start(&rig); // nothing is read again
    produce_row(&rig, 7, 50, "u");
    flush(&rig);
    wait_for(&rig, 1);
    stop(&rig);
    int64_t versions[100];
    scan(&rig, versions, 100);
    assert_int_equal(versions[7], 50);
    assert_int_equal(count_lines(&rig), 2);
    tear_down(&rig);
}

static void deletes_find_their_rows_in_a_partitioned_table(void **state)
{
    (void)state;
    struct rig rig;
    int64_t records;
    set_up(&rig, ", partition_by: [day]");
    produce_story(&rig, 1, &records);
    start(&rig);
    wait_for(&rig, records);
    produce(&rig, 1, NULL);
    produce(&rig, 3, "{\"id\":3,\"op\":\"d\"}"); // neither version nor partition
    flush(&rig);
    wait_for(&rig, records + 2);
    stop(&rig);
    int64_t versions[100];
    scan(&rig, versions, 100);
    assert_int_equal(versions[1], -1);
    assert_int_equal(versions[3], -1);
    assert_int_equal(versions[4], 2);
    tear_down(&rig);
}

static void a_second_one_of_the_same_name_waits_until_the_first_has_ended(void **state)
{
    (void)state;
    struct rig first, second;
    set_up(&first, "");
    start(&first);
    produce_row(&first, 1, 1, "c");
    flush(&first);
    wait_for(&first, 1);
    second = (struct rig){.folder = first.folder,
                          .table = first.table,
                          .broker = first.broker,
                          .status = mor_calloc(1, sizeof *second.status)};
    mor_budget_init(&second.budget, 64u << 20);
    start(&second);
    int64_t deadline = mor_clock_mono_ms() + PATIENCE_MS;
    do {
        nap();
        mor_pipeline_status(second.pipeline, second.status);
        assert_true(mor_clock_mono_ms() < deadline);
    } while (second.status->trouble[0] == '\0');
    assert_int_equal(second.status->state, MOR_PIPELINE_STARTING);
    if (strstr(second.status->trouble, "test") == NULL)
        fail_msg("'%s' does not name the instance", second.status->trouble);
    stop(&first);
    produce_row(&first, 2, 1, "c");
    flush(&first);
    wait_for(&second, 1);
    stop(&second);
    free(second.status);
    assert_int_equal(mor_budget_used(&second.budget), 0);
    int64_t versions[3];
    scan(&first, versions, 3);
    assert_int_equal(versions[1], 1);
    assert_int_equal(versions[2], 1);
    tear_down(&first);
}

static int64_t records_of(struct rig *rig)
{
    mor_pipeline_status(rig->pipeline, rig->status);
    if (rig->status->state == MOR_PIPELINE_FAILED)
        fail_msg("instance %s failed: %s", rig->instance, rig->status->trouble);
    return rig->status->read;
}

static void instances_share_a_topic_and_a_table(void **state)
{
    (void)state;
    struct rig first, second;
    set_up(&first, "");
    start(&first);
    int64_t records;
    produce_story(&first, 1, &records);
    wait_for(&first, records);
    second = (struct rig){.folder = first.folder,
                          .table = first.table,
                          .broker = first.broker,
                          .status = mor_calloc(1, sizeof *second.status),
                          .instance = "other"};
    mor_budget_init(&second.budget, 64u << 20);
    write_config(&second, "");
    start(&second);
    int64_t deadline = mor_clock_mono_ms() + PATIENCE_MS, more;
    do { // until both have partitions
        nap();
        (void)records_of(&first);
        (void)records_of(&second);
        assert_true(mor_clock_mono_ms() < deadline);
    } while (first.status->partition_count == 0 || second.status->partition_count == 0 ||
             first.status->partition_count + second.status->partition_count != PARTITIONS);
    produce_story(&first, 2, &more);
    while (records_of(&first) + records_of(&second) < records + more) {
        nap();
        assert_true(mor_clock_mono_ms() < deadline);
    }
    assert_true(records_of(&second) > 0);
    assert_int_equal(records_of(&first) + records_of(&second), records + more);
    stop(&second); // the first one takes its partitions over
    produce_row(&first, 50, 9, "c");
    produce_row(&first, 51, 9, "c");
    produce_row(&first, 52, 9, "c");
    while (records_of(&first) + second.status->read < records + more + 3) {
        nap();
        assert_true(mor_clock_mono_ms() < deadline);
    }
    stop(&first);
    int64_t versions[100];
    scan(&first, versions, 100);
    for (int64_t id = 50; id < 53; id++)
        assert_int_equal(versions[id], 9);
    assert_int_equal(versions[3], 2);
    free(second.status);
    assert_int_equal(mor_budget_used(&second.budget), 0);
    tear_down(&first);
}

static void remove_state(const struct rig *rig)
{
    MOR_AUTO_FREE char *command = mor_asprintf("rm -rf '%s/state-%s'", rig->folder, rig->instance);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
}

// An event whose id is `event`, for the row `id`.
static void produce_event(struct rig *rig, int64_t id, int64_t version, int64_t event)
{
    char value[128];
    (void)snprintf(value, sizeof value,
                   "{\"id\":%lld,\"version\":%lld,\"op\":\"e%lld\",\"day\":\"d\"}", (long long)id,
                   (long long)version, (long long)event);
    produce(rig, id, value);
}

// What a key should be.
struct expected {
    bool live, measured;
    int64_t version;
};

#define MOVING_KEYS 40

// Upserts, deletes and tombstones, a third of them older than what their key has had, in any table
// partition.
static void produce_at_random(struct rig *rig, struct expected *expected, uint64_t *random,
                              int64_t around, int count)
{
    for (int i = 0; i < count; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)(*random >> 33) % MOVING_KEYS;
        unsigned kind = (unsigned)(*random >> 20) % 16;
        struct expected *key = &expected[id];
        if (kind == 0) {
            produce(rig, id, NULL);
            key->live = false;
            continue;
        }
        int64_t version = around + (int64_t)(*random >> 50) % 9;
        bool removes = kind < 5;
        char value[128];
        (void)snprintf(
            value, sizeof value, "{\"id\":%lld,\"version\":%lld,\"op\":\"%s\",\"day\":\"d%d\"}",
            (long long)id, (long long)version, removes ? "d" : "u", (int)(*random >> 45) % 4);
        produce(rig, id, value);
        if (key->measured && version < key->version)
            continue;
        *key = (struct expected){!removes, true, version};
    }
    flush(rig);
}

static void check_keys(const struct rig *rig, const struct expected *expected)
{
    int64_t versions[MOVING_KEYS];
    scan(rig, versions, MOVING_KEYS);
    for (int64_t id = 0; id < MOVING_KEYS; id++)
        assert_int_equal(versions[id], expected[id].live ? expected[id].version : -1);
}

static void late_records_and_moving_keys_come_out_right_whatever_becomes_of_the_state(void **state)
{
    (void)state;
    struct rig rig;
    struct expected expected[MOVING_KEYS] = {0};
    uint64_t random = 3;
    set_up(&rig, ", partition_by: [day]");
    for (int round = 0; round < 6; round++) {
        if (round % 3 == 2)
            remove_state(&rig); // it is made from the table
        start(&rig);
        for (int part = 0; part < 3; part++) {
            produce_at_random(&rig, expected, &random, round * 3 + part, 50);
            wait_for(&rig, (part + 1) * 50);
        }
        stop(&rig);
        check_keys(&rig, expected);
    }
    write_config(&rig, ", partition_by: [day], key_index: off"); // nobody keeps the index meanwhile
    start(&rig);
    produce(&rig, 1, NULL);
    flush(&rig);
    wait_for(&rig, 1);
    stop(&rig);
    expected[1].live = false;
    write_config(&rig, ", partition_by: [day]");
    start(&rig);
    produce_at_random(&rig, expected, &random, 100, 200);
    wait_for(&rig, 200);
    stop(&rig);
    check_keys(&rig, expected);
    tear_down(&rig);
}

static void late_records_come_out_right_when_instances_share_the_table(void **state)
{
    (void)state;
    struct rig first, second;
    struct expected expected[MOVING_KEYS] = {0};
    uint64_t random = 17;
    set_up(&first, ", partition_by: [day]");
    start(&first);
    int64_t records = 0, deadline = mor_clock_mono_ms() + 2 * PATIENCE_MS;
    second = (struct rig){.folder = first.folder,
                          .table = first.table,
                          .broker = first.broker,
                          .status = mor_calloc(1, sizeof *second.status),
                          .instance = "other"};
    mor_budget_init(&second.budget, 64u << 20);
    write_config(&second, ", partition_by: [day]");
    for (int round = 0; round < 4; round++) {
        if (round % 2 == 1)
            start(&second); // takes some partitions over
        for (int part = 0; part < 5; part++) {
            produce_at_random(&first, expected, &random, round * 5 + part, 60);
            records += 60;
            while (records_of(&first) + (round % 2 == 1 ? records_of(&second) : 0) < records) {
                nap();
                assert_true(mor_clock_mono_ms() < deadline);
            }
        }
        if (round % 2 == 1) {
            stop(&second);
            records -= second.status->read; // the next run of it counts from 0
            second.status->read = 0;
        }
        check_keys(&first, expected);
    }
    stop(&first);
    check_keys(&first, expected);
    free(second.status);
    assert_int_equal(mor_budget_used(&second.budget), 0);
    tear_down(&first);
}

// Standard error goes to a file until end_listening.
static int listen_to_log(const struct rig *rig)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/log", rig->folder);
    int terminal = dup(STDERR_FILENO);
    assert_true(terminal >= 0);
    assert_non_null(freopen(path, "we", stderr));
    mor_log_configure(MOR_LOG_DEBUG, MOR_LOG_LOGFMT);
    return terminal;
}

// Returns how many lines there were with both texts.
static int end_listening(const struct rig *rig, int terminal, const char *first, const char *second)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/log", rig->folder);
    mor_log_configure(MOR_LOG_OFF, MOR_LOG_LOGFMT);
    assert_true(dup2(terminal, STDERR_FILENO) >= 0);
    close(terminal);
    FILE *log = fopen(path, "re");
    assert_non_null(log);
    char line[1024];
    int count = 0;
    while (fgets(line, sizeof line, log) != NULL)
        count += strstr(line, first) != NULL && strstr(line, second) != NULL;
    (void)fclose(log);
    return count;
}

static void every_duplicate_is_explained_in_the_debug_log(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    rig.topic_options = "dedup: {by: [op], window: 1h}\n";
    write_config(&rig, ", key_index: off");
    int terminal = listen_to_log(&rig);
    for (int64_t id = 0; id < 60; id++)
        produce_event(&rig, 0, 1, id % 30); // one chunk: the second half is in flight
    start(&rig);
    flush(&rig);
    wait_for(&rig, 60);
    stop(&rig);
    assert_int_equal(end_listening(&rig, terminal, "event=duplicate ", "found=in_flight"), 30);
    terminal = listen_to_log(&rig);
    start(&rig);
    for (int64_t id = 0; id < 30; id++)
        produce_event(&rig, 0, 1, id);
    flush(&rig);
    wait_for(&rig, 30);
    stop(&rig);
    assert_int_equal(end_listening(&rig, terminal, "event=duplicate ", "found=state"), 30);
    tear_down(&rig);
}

static void an_event_counts_once_over_restarts_and_without_its_state(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    rig.topic_options = "dedup: {by: [op], window: 1h}\n";
    write_config(&rig, ", key_index: off"); // its entries would be counted, too
    start(&rig);
    for (int64_t id = 0; id < 50; id++)
        produce_event(&rig, id, 1, id);
    for (int64_t id = 0; id < 50; id += 2)
        produce_event(&rig, id, 9, id); // the same event with other contents
    flush(&rig);
    wait_for(&rig, 75);
    assert_int_equal(rig.status->duplicate, 25);
    assert_int_equal(rig.status->state_entries, 50);
    stop(&rig);
    for (int round = 0; round < 2; round++) {
        if (round == 1)
            remove_state(&rig); // it is rebuilt from the table
        start(&rig);
        for (int64_t id = 0; id < 50; id++)
            produce_event(&rig, id, 9, id);
        produce_event(&rig, 50, 1 + round, 100 + round);
        flush(&rig);
        wait_for(&rig, 51);
        assert_int_equal(rig.status->duplicate, 50);
        assert_int_equal(rig.status->state_entries, 51 + round);
        stop(&rig);
    }
    int64_t versions[51];
    scan(&rig, versions, 51);
    for (int64_t id = 0; id < 50; id++)
        assert_int_equal(versions[id], 1);
    assert_int_equal(versions[50], 2);
    tear_down(&rig);
}

// What an operator's restore leaves: the newest commit is gone with its files.
static void take_back_newest_commit(const struct rig *rig)
{
    MOR_AUTO_FREE char *command =
        mor_asprintf("cd '%s' && t=$(ls .hoodie/timeline/*_*.deltacommit | sort | tail -n 1) && "
                     "find . -name \"*$(basename $t | cut -d_ -f1)*\" -not -path '*/slots/*' "
                     "-delete",
                     rig->table);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
}

static void the_offsets_follow_a_table_that_was_rolled_back(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, ", hudi: {table_version: 9}");
    rig.topic_options = "dedup: {by: [op], window: 1h}\n";
    write_config(&rig, ", hudi: {table_version: 9}");
    for (int round = 0; round < 2; round++) { // once while stopped, once while running
        start(&rig);
        int64_t base = round * 10;
        produce_event(&rig, base + 1, 1, base + 1);
        flush(&rig);
        wait_for(&rig, 1);
        produce_event(&rig, base + 2, 1, base + 2);
        flush(&rig);
        wait_for(&rig, 2);
        if (round == 0)
            stop(&rig);
        take_back_newest_commit(&rig);
        if (round == 0)
            start(&rig);
        produce_event(&rig, base + 3, 1, base + 3);
        flush(&rig);
        wait_for(&rig, round == 0 ? 2 : 4); // the record whose commit is gone is read again
        assert_int_equal(rig.status->duplicate, 0);
        stop(&rig);
    }
    int64_t versions[14];
    scan(&rig, versions, 14);
    for (int64_t id = 1; id <= 3; id++) {
        assert_int_equal(versions[id], 1);
        assert_int_equal(versions[10 + id], 1);
    }
    tear_down(&rig);
}

static void dead_letters_land_in_their_table_once(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    MOR_AUTO_FREE char *letters = mor_asprintf("%s/letters", rig.folder);
    MOR_AUTO_FREE char *options = mor_asprintf("dead_letter: {location: \"file://%s\"}\n", letters);
    rig.topic_options = options;
    write_config(&rig, "");
    // the letters land, the rows do not, and everything is tried again
    assert_int_equal(setenv("MORAINE_FAILPOINTS", "commit.before_publish=error@1", 1), 0);
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_fault_init(&err));
    start(&rig);
    for (int64_t id = 0; id < 30; id++)
        produce(&rig, id, id % 3 == 0 ? "{\"id\":" : "{\"id\":1,\"version\":1}");
    flush(&rig);
    wait_for(&rig, 30);
    assert_int_equal(rig.status->dead, 10);
    stop(&rig);
    assert_int_equal(unsetenv("MORAINE_FAILPOINTS"), 0);
    assert_ok(mor_fault_init(&err));
    assert_int_equal(count_rows(letters), 10);
    start(&rig);
    produce(&rig, 3, "{");
    produce(&rig, 4, "{\"id\":4,\"version\":1}");
    flush(&rig);
    wait_for(&rig, 2);
    stop(&rig);
    assert_int_equal(count_rows(letters), 11);
    struct mor_dead_letters *waiting;
    assert_ok(mor_dead_letters_open(letters, "partition = 1 and stage = 'decode'", &waiting, &err));
    struct mor_batch *batch = mor_batch_new(mor_dead_letters_schema(waiting), NULL);
    int64_t count = 0;
    do {
        assert_ok(mor_dead_letters_next(waiting, batch, &err));
        for (size_t row = 0; row < batch->row_count; row++)
            assert_int_equal(mor_vector_i32(&batch->columns[LETTER_PARTITION], row), 1);
        count += (int64_t)batch->row_count;
    } while (batch->row_count > 0);
    assert_int_equal(count, 0); // every third id goes to partition 0
    mor_batch_free(batch);
    mor_dead_letters_free(waiting);
    assert_fails(mor_dead_letters_open(rig.table, NULL, &waiting, &err), MOR_FATAL,
                 "no dead letters");
    tear_down(&rig);
}

static void dead_letters_go_to_a_topic(void **state)
{
    (void)state;
    struct rig rig;
    struct mor_error err = MOR_ERROR_INIT;
    set_up(&rig, "");
    rig.topic_options = "dead_letter: {topic: events.dead}\n";
    write_config(&rig, "");
    start(&rig);
    for (int64_t id = 0; id < 20; id++)
        produce(&rig, id, id % 2 == 0 ? "{" : "{\"id\":1,\"version\":1}");
    flush(&rig);
    wait_for(&rig, 20);
    assert_int_equal(rig.status->dead, 10);
    stop(&rig);
    const struct mor_source_property property = {"bootstrap.servers",
                                                 mor_demo_broker_address(rig.broker)};
    struct mor_source_reader *reader;
    assert_ok(mor_source_reader_open("events.dead", &property, 1, &reader, &err));
    int64_t letters = 0, low, high;
    for (int32_t partition = 0;
         mor_source_reader_ends(reader, partition, &low, &high, &err) == MOR_OK; partition++)
        letters += high - low;
    mor_source_reader_free(reader);
    assert_int_equal(letters, 10);
    tear_down(&rig);
}

// Letters in a table or in the local file, an ordering column that letter 2 lacks, and a letter 3
// that nobody can read.
static void put_letters(struct rig *rig, bool in_table, const char *dedup)
{
    MOR_AUTO_FREE char *place =
        in_table ? mor_asprintf("dead_letter: {location: \"file://%s/letters\"}\n", rig->folder)
                 : mor_strdup("");
    MOR_AUTO_FREE char *options = mor_asprintf("%smessage_key: {format: json}\n%s", place, dedup);
    rig->topic_options = options;
    write_config(rig, "");
    rig->topic_options = NULL;
    start(rig);
    produce_event(rig, 1, 1, 1);
    produce(rig, 2, "{\"id\":2,\"op\":\"x\"}"); // no version: dead for want of an ordering value
    produce(rig, 3, "{");
    flush(rig);
    wait_for(rig, 3);
    assert_int_equal(rig->status->dead, 2);
    stop(rig);
    // the version is not needed any more
    MOR_AUTO_FREE char *mend = mor_asprintf("sed -i '/^ordering/d' '%s/topic.yaml'", rig->folder);
    assert_int_equal(system(mend), 0); // NOLINT(cert-env33-c)
}

static enum mor_status redrive_with(struct rig *rig, const char *failpoints, bool dry_run,
                                    struct mor_redrive_report *report, struct mor_error *ret_err)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_config_report notes = {0};
    MOR_AUTO_FREE char *path = mor_asprintf("%s/moraine.yaml", rig->folder);
    assert_ok(mor_config_load(path, &rig->config, &notes));
    mor_config_report_done(&notes);
    struct mor_redrive_options options = {.config = rig->config,
                                          .topic = &rig->config->topics[0],
                                          .limit = -1,
                                          .dry_run = dry_run,
                                          .budget = &rig->budget,
                                          .budget_share_bytes = 64u << 20};
    if (failpoints != NULL) {
        assert_int_equal(setenv("MORAINE_FAILPOINTS", failpoints, 1), 0);
        assert_ok(mor_fault_init(&err));
        assert_int_equal(unsetenv("MORAINE_FAILPOINTS"), 0);
    }
    enum mor_status status = mor_redrive(&options, report, ret_err);
    mor_config_free(rig->config);
    rig->config = NULL;
    return status;
}

static void land_once(bool in_table)
{
    struct rig rig;
    struct mor_redrive_report report;
    struct mor_error err = MOR_ERROR_INIT;
    set_up(&rig, "");
    put_letters(&rig, in_table, "dedup: {by: [op], window: 1h}\n");
    assert_ok(redrive_with(&rig, NULL, true, &report, &err));
    assert_int_equal(report.letters, 2);
    // dies before the commit, and then after it: the next one finds out what landed
    assert_int_not_equal(redrive_with(&rig, "redrive.marked=error@1", false, &report, &err),
                         MOR_OK);
    assert_non_null(strstr(err.message, "redrive.marked"));
    err = MOR_ERROR_INIT;
    assert_int_not_equal(redrive_with(&rig, "redrive.committed=error@1", false, &report, &err),
                         MOR_OK);
    assert_non_null(strstr(err.message, "redrive.committed"));
    err = MOR_ERROR_INIT;
    assert_ok(redrive_with(&rig, NULL, false, &report, &err)); // one has landed, one still waits
    assert_int_equal(report.letters, 1);
    assert_int_equal(report.dead_again, 1);
    int64_t versions[4];
    scan(&rig, versions, 4);
    assert_int_equal(versions[1], 1);
    assert_int_equal(versions[2], 0); // null, read as zero
    assert_int_equal(versions[3], -1);
    // the service goes on with its letters, and a redrive with what is new
    start(&rig);
    produce(&rig, 3, "{");
    flush(&rig);
    wait_for(&rig, 1);
    stop(&rig);
    assert_ok(redrive_with(&rig, NULL, false, &report, &err));
    assert_int_equal(report.letters, 2);
    assert_int_equal(report.landed, 0);
    tear_down(&rig);
}

static void redriven_letters_land_once(void **state)
{
    (void)state;
    land_once(true);
}

static void redriven_letters_of_the_local_file_land_once(void **state)
{
    (void)state;
    land_once(false);
}

// Lines behind what the table counts belong to no commit (yet).
static void redrive_leaves_lines_that_no_commit_counts(void **state)
{
    (void)state;
    struct rig rig;
    struct mor_redrive_report report;
    struct mor_error err = MOR_ERROR_INIT;
    set_up(&rig, "");
    assert_ok(redrive_with(&rig, NULL, false, &report, &err)); // nothing was ever put aside
    assert_int_equal(report.letters, 0);
    put_letters(&rig, false, "");
    MOR_AUTO_FREE char *more = mor_asprintf("f='%s/state-test/dead_letters/events.jsonl' && "
                                            "sed -n 1p \"$f\" | sed 's/\"offset\":[0-9]*/"
                                            "\"offset\":99/' >>\"$f\"",
                                            rig.folder);
    assert_int_equal(system(more), 0); // NOLINT(cert-env33-c)
    assert_ok(redrive_with(&rig, NULL, true, &report, &err));
    assert_int_equal(report.letters, 2);
    tear_down(&rig);
}

// Merges everything and archives every commit that no file needs any more.
static void forget_history(const struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    struct mor_compact_report report;
    struct mor_expiry expiry;
    struct mor_arena arena;
    const struct mor_retention retention = {.min_snapshots = 1, .orphan_age_ms = 86400000};
    mor_arena_init(&arena, 0, NULL);
    assert_ok(mor_table_open_rewrite(rig->table, "test.forget", NULL, &table, &err));
    assert_ok(mor_compact(table, &(struct mor_compact_options){.everything = true}, &report, &err));
    assert_ok(mor_table_expire(table, &retention, false, &arena, &expiry, &err));
    assert_true(expiry.version_count > 1);
    mor_table_free(table);
    mor_arena_done(&arena);
}

static void a_redrive_whose_commit_was_archived_is_not_sent_again(void **state)
{
    (void)state;
    struct rig rig;
    struct mor_redrive_report report;
    struct mor_error err = MOR_ERROR_INIT;
    set_up(&rig, "");
    put_letters(&rig, true, "");
    assert_int_not_equal(redrive_with(&rig, "redrive.committed=error@1", false, &report, &err),
                         MOR_OK);
    assert_non_null(strstr(err.message, "redrive.committed"));
    err = MOR_ERROR_INIT;
    // the table goes on meanwhile, and forgets the commit that took the letters
    start(&rig);
    produce_event(&rig, 1, 2, 2);
    produce_event(&rig, 2, 2, 2);
    flush(&rig);
    wait_for(&rig, 2);
    stop(&rig);
    forget_history(&rig);
    assert_ok(redrive_with(&rig, NULL, false, &report, &err));
    assert_int_equal(report.letters, 1); // the one that nobody can read
    assert_int_equal(report.landed, 0);
    tear_down(&rig);
}

// Gives the column `day` of the table another type than the topic's file does,
// as another instance does that saw a newer schema.
static void widen_from_elsewhere(const struct rig *rig, enum mor_type type)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    struct mor_write *write;
    struct mor_commit_result result;
    struct mor_schema *schema = NULL;
    assert_ok(mor_table_open_read(rig->table, NULL, &table, &err));
    const struct mor_schema *now = mor_table_schema(table);
    schema = mor_schema_new("wider");
    for (size_t i = 0; i < now->root.child_count; i++) {
        const struct mor_field *field = &now->root.children[i];
        if (strcmp(field->name, "day") == 0)
            mor_schema_add(schema, NULL, "day", type, true);
        else
            mor_schema_add_copy(schema, NULL, field);
    }
    mor_table_free(table);
    static const char *const keys[] = {"id"};
    const struct mor_table_options options = {.format = MOR_FORMAT_HUDI,
                                              .location = rig->table,
                                              .schema = schema,
                                              .key_columns = keys,
                                              .key_column_count = 1,
                                              .ordering_column = "version",
                                              .bucket_count = 2,
                                              .instance = "elsewhere"};
    const struct mor_uuid id = mor_uuid_v7();
    assert_ok(mor_table_open_write(&options, &table, &err));
    mor_schema_free(schema);
    enum mor_status status = MOR_CONFLICT;
    while (status == MOR_CONFLICT) { // the service commits, too
        assert_ok(mor_write_begin(table, &id, &write, &err));
        status = mor_write_commit(write, NULL, 0, &result, &err);
        mor_write_free(write);
    }
    assert_ok(status);
    mor_table_free(table);
}

static void a_type_that_another_instance_widened_is_followed(void **state)
{
    (void)state;
    struct rig rig;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table;
    set_up(&rig, "");
    MOR_AUTO_FREE char *mend = mor_asprintf("sed -i 's/name: day, type: string/name: day, type: "
                                            "int/' '%s/topic.yaml'",
                                            rig.folder);
    assert_int_equal(system(mend), 0); // NOLINT(cert-env33-c)
    start(&rig);
    produce(&rig, 1, "{\"id\":1,\"version\":1,\"day\":7}");
    flush(&rig);
    wait_for(&rig, 1);
    widen_from_elsewhere(&rig, MOR_TYPE_INT64);
    produce(&rig, 2, "{\"id\":2,\"version\":2,\"day\":8}");
    flush(&rig);
    wait_for(&rig, 2);
    stop(&rig);
    assert_ok(mor_table_open_read(rig.table, NULL, &table, &err));
    const struct mor_schema *schema = mor_table_schema(table);
    assert_int_equal(schema->root.children[mor_schema_find(schema, "day")].type, MOR_TYPE_INT64);
    mor_table_free(table);
    int64_t versions[3];
    scan(&rig, versions, 3);
    assert_int_equal(versions[1], 1);
    assert_int_equal(versions[2], 2);
    tear_down(&rig);
}

static void changed_properties_stop_the_topic_with_words(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    start(&rig);
    produce_row(&rig, 1, 1, "c");
    flush(&rig);
    wait_for(&rig, 1);
    MOR_AUTO_FREE char *path = mor_asprintf("%s/.hoodie/hoodie.properties", rig.table);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fputs("hoodie.table.metadata.partitions=files\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    produce_row(&rig, 2, 1, "c");
    flush(&rig);
    wait_for_failure(&rig, "hoodie.table.metadata.partitions");
    stop(&rig);
    tear_down(&rig);
}

static void every_failed_step_is_tried_again_and_doubles_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {
        "lane.decode",          "commit.begun",
        "commit.files_written", "commit.before_publish",
        "commit.after_publish", "dead_letter.write",
        "hudi.begin",           "hudi.staged",
        "hudi.group",           "hudi.group_written",
        "hudi.commit",          "hudi.sync",
        "hudi.publish",         "hudi.published",
        "hudi.slot_put",        "hudi.renamed",
    };
    struct mor_error err = MOR_ERROR_INIT;
    struct rig rig;
    int64_t records;
    set_up(&rig, "");
    start(&rig);
    int64_t sum = 0;
    const int64_t rounds = sizeof points / sizeof points[0];
    for (int64_t round = 0; round < rounds; round++) {
        MOR_AUTO_FREE char *setting = mor_asprintf("%s=error@1", points[round]);
        assert_int_equal(setenv("MORAINE_FAILPOINTS", setting, 1), 0);
        assert_ok(mor_fault_init(&err)); // one more point; those of earlier rounds have passed
        produce_story(&rig, 1 + round * 10, &records);
        sum += records;
        wait_for(&rig, sum);
    }
    stop(&rig);
    assert_story(&rig, 1 + (rounds - 1) * 10);
    assert_int_equal(count_lines(&rig), 2 * rounds);
    tear_down(&rig);
}

static int64_t sum_of(const struct mor_pipeline_histogram *histogram)
{
    int64_t sum = 0;
    for (size_t i = 0; i <= MOR_PIPELINE_BOUNDS; i++)
        sum += histogram->counts[i];
    return sum;
}

static void a_paused_topic_takes_in_nothing_until_it_is_resumed(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    start(&rig);
    for (int64_t id = 0; id < 30; id++)
        produce_row(&rig, id, 1, "c");
    flush(&rig);
    wait_for(&rig, 30);
    assert_false(rig.status->paused);
    mor_pipeline_pause(rig.pipeline, true);
    for (int64_t id = 30; id < 60; id++)
        produce_row(&rig, id, 1, "c");
    flush(&rig);
    for (int i = 0; i < 60; i++) {
        nap();
        mor_pipeline_status(rig.pipeline, rig.status);
        assert_int_equal(rig.status->read, 30);
        assert_int_equal(rig.status->consumed_records, 30);
    }
    assert_true(rig.status->paused);
    assert_int_equal(rig.status->state, MOR_PIPELINE_RUNNING);
    mor_pipeline_pause(rig.pipeline, false);
    wait_for(&rig, 60);
    mor_pipeline_pause(rig.pipeline, true);
    for (int64_t id = 60; id < 90; id++)
        produce_row(&rig, id, 1, "c");
    flush(&rig);
    stop(&rig); // what was not taken in waits in Kafka for the next start
    start(&rig);
    wait_for(&rig, 30);
    stop(&rig);
    int64_t versions[90];
    scan(&rig, versions, 90);
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(versions[i], 1);
    tear_down(&rig);
}

static void what_a_status_page_shows_is_told(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig, "");
    start(&rig);
    for (int64_t id = 0; id < 30; id++)
        produce_row(&rig, id, 1, "c");
    produce(&rig, 1, "{\"id\":1,\"version\":"); // cannot be decoded
    produce(&rig, 2, "{\"version\":5}");        // has no key
    flush(&rig);
    wait_for(&rig, 32);
    const struct mor_pipeline_status *status = rig.status;
    assert_int_equal(status->consumed_records, 32);
    assert_in_range(status->consumed_bytes, 32 * 10, 32 * 100);
    assert_int_equal(status->dead, 2);
    assert_int_equal(status->dead_by_stage[MOR_DEAD_DECODE], 1);
    assert_int_equal(status->dead_by_stage[MOR_DEAD_KEY], 1);
    assert_int_equal(status->index_hits, 0);
    assert_int_equal(status->index_misses, 30);
    assert_int_equal(sum_of(&status->commit_duration), status->commits);
    assert_int_equal(sum_of(&status->freshness), status->commits);
    // the records say that they are of 2026-01-01
    assert_in_range(status->last_freshness_ms, 1, mor_clock_wall_ms() - 1767225600000);
    assert_in_range(status->rebalances, 1, 10);
    assert_int_equal(status->partition_count, PARTITIONS);
    int64_t waiting, deadline_ms = mor_clock_mono_ms() + PATIENCE_MS;
    do { // the ends are brought up to date a few times per second
        nap();
        mor_pipeline_status(rig.pipeline, rig.status);
        waiting = 0;
        for (size_t i = 0; i < status->partition_count; i++)
            waiting += status->partitions[i].high - status->partitions[i].table_offset;
        assert_true(mor_clock_mono_ms() < deadline_ms);
    } while (waiting != 0);
    stop(&rig);
    tear_down(&rig);
}

static void write_evolved_topic(const struct rig *rig, const char *fields)
{
    MOR_AUTO_FREE char *topic =
        mor_asprintf("topic: events\nvalue: {format: json}\nschema: {fields: [%s]}\nkey: [id]\n"
                     "ordering: version\ncommit: {interval: 100ms}\n"
                     "table: {format: hudi, location: \"file://%s\", buckets: 2}\n",
                     fields, rig->table);
    write_file(rig->folder, "topic.yaml", topic);
}

// Rows as text lines "id/version/first/second", NULL columns as "-", sorted by id (single digits).
static void scan_texts(const struct rig *rig, const char *const *columns, size_t column_count,
                       char ret_lines[10][64])
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_scan_options options = {.columns = columns, .column_count = column_count};
    struct mor_table *table;
    struct mor_scan *running;
    assert_ok(mor_table_open_read(rig->table, NULL, &table, &err));
    assert_ok(mor_scan_open(table, &options, &running, &err));
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(running), NULL);
    memset(ret_lines, 0, sizeof(char[10][64]));
    do {
        assert_ok(mor_scan_next(running, batch, &err));
        for (size_t row = 0; row < batch->row_count; row++) {
            MOR_AUTO_BUFFER line = {0};
            for (size_t i = 0; i < column_count; i++) {
                mor_buffer_append_text(&line, i > 0 ? "/" : "");
                mor_vector_format_json(&batch->columns[i], row, &line);
            }
            int64_t id = mor_vector_i64(&batch->columns[0], row);
            assert_in_range(id, 0, 9);
            (void)snprintf(ret_lines[id], 64, "%.60s", mor_buffer_terminate(&line));
        }
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(running);
    mor_table_free(table);
}

static void columns_that_are_added_moved_or_dropped_keep_their_values(void **state)
{
    (void)state;
    static const char *const columns[] = {"id", "version", "name", "score", "_kafka_offset"};
    struct rig rig;
    char lines[10][64];
    set_up(&rig, "");
    write_evolved_topic(
        &rig, "{name: id, type: long}, {name: name, type: string}, {name: version, type: long}");
    start(&rig);
    produce(&rig, 3, "{\"id\":3,\"name\":\"three\",\"version\":1}");
    produce(&rig, 6, "{\"id\":6,\"name\":\"six\",\"version\":1}");
    flush(&rig);
    wait_for(&rig, 2);
    stop(&rig);

    // a new column in front, the others in another order
    write_evolved_topic(
        &rig, "{name: score, type: double}, {name: version, type: long}, {name: id, type: long}, "
              "{name: name, type: string}");
    start(&rig);
    produce(&rig, 6, "{\"id\":6,\"name\":\"SIX\",\"version\":2,\"score\":6.5}");
    produce(&rig, 9, "{\"id\":9,\"name\":\"nine\",\"version\":1}");
    flush(&rig);
    wait_for(&rig, 2);
    stop(&rig);

    // "name" is gone from the topic: the table keeps it
    write_evolved_topic(
        &rig, "{name: id, type: long}, {name: version, type: long}, {name: score, type: double}");
    start(&rig);
    produce(&rig, 0, "{\"id\":0,\"version\":7,\"score\":0.25}");
    flush(&rig);
    wait_for(&rig, 1);
    stop(&rig);

    scan_texts(&rig, columns, 5, lines);
    assert_string_equal(lines[3], "3/1/\"three\"/null/0");
    assert_string_equal(lines[6], "6/2/\"SIX\"/6.5/2");
    assert_string_equal(lines[9], "9/1/\"nine\"/null/3");
    assert_string_equal(lines[0], "0/7/null/0.25/4");
    tear_down(&rig);
}

int main(void)
{
    mor_log_configure(MOR_LOG_OFF, MOR_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_arrive_once_and_a_restart_goes_on_from_the_table),
        cmocka_unit_test(deletes_find_their_rows_in_a_partitioned_table),
        cmocka_unit_test(columns_that_are_added_moved_or_dropped_keep_their_values),
        cmocka_unit_test(a_second_one_of_the_same_name_waits_until_the_first_has_ended),
        cmocka_unit_test(instances_share_a_topic_and_a_table),
        cmocka_unit_test(late_records_and_moving_keys_come_out_right_whatever_becomes_of_the_state),
        cmocka_unit_test(late_records_come_out_right_when_instances_share_the_table),
        cmocka_unit_test(every_duplicate_is_explained_in_the_debug_log),
        cmocka_unit_test(an_event_counts_once_over_restarts_and_without_its_state),
        cmocka_unit_test(the_offsets_follow_a_table_that_was_rolled_back),
        cmocka_unit_test(dead_letters_land_in_their_table_once),
        cmocka_unit_test(dead_letters_go_to_a_topic),
        cmocka_unit_test(redriven_letters_land_once),
        cmocka_unit_test(redriven_letters_of_the_local_file_land_once),
        cmocka_unit_test(redrive_leaves_lines_that_no_commit_counts),
        cmocka_unit_test(a_redrive_whose_commit_was_archived_is_not_sent_again),
        cmocka_unit_test(a_type_that_another_instance_widened_is_followed),
        cmocka_unit_test(changed_properties_stop_the_topic_with_words),
        cmocka_unit_test(a_paused_topic_takes_in_nothing_until_it_is_resumed),
        cmocka_unit_test(what_a_status_page_shows_is_told),
        cmocka_unit_test(
            every_failed_step_is_tried_again_and_doubles_nothing), // leaves failpoints armed
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
