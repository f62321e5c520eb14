// Sends records from standard input to one topic, fast and in order, and says where they landed.
//
//   produce -X name=value... -t TOPIC [-l PARTITIONS] [-r RECORDS_PER_SECOND] [-T RECORDS]
//
// Input without -l is a sequence of frames, integers little-endian:
//
//   int32 partition | int64 timestamp in ms (-1 = now) | int32 key size (-1 = no key)
//   | int32 value size (-1 = tombstone) | key | value
//
// With -l every line is a value; line n (from 0) goes to partition n modulo PARTITIONS with the
// decimal number n as its key.
//
// With -T records go in transactions of so many, and every third transaction is aborted after its
// records were written.
//
// The producer is idempotent, so offsets of a fresh topic are the positions in the input per
// partition; without -T (whose markers take offsets too) that is checked against every
// acknowledgement. The last line of output is JSON:
// {"records":…,"bytes":…,"seconds":…,"offsets":{"0":next,…}}. Exit 1 when anything was not
// delivered.
#include "kafka_client.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARTITIONS_MAX  1024
#define FRAME_BYTES_MAX (64 << 20)
#define FRAME_HEADER    20
#define TIMEOUT_MS      120000

struct progress {
    int64_t next[PARTITIONS_MAX]; // -1 = nothing acknowledged yet
    int64_t failed;
    bool transactional;
};

struct record {
    int32_t partition;
    int64_t timestamp_ms;
    int32_t key_size, value_size; // -1 = none
    const char *key, *value;
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct progress *progress = context;
    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (progress->failed++ == 0)
            fprintf(stderr, "produce: %s\n", rd_kafka_err2str(message->err));
        return;
    }
    int64_t *next = &progress->next[message->partition];
    if (*next >= 0 && message->offset != *next && !progress->transactional)
        give_up("produce: partition %" PRId32 ": offset %" PRId64 " was acknowledged where %" PRId64
                " was expected",
                message->partition, message->offset, *next);
    *next = message->offset + 1;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void send_record(rd_kafka_t *client, const char *topic, const struct record *record)
{
    if (record->partition < 0 || record->partition >= PARTITIONS_MAX)
        give_up("produce: partition %" PRId32 " is out of range", record->partition);
    const char *key = record->key_size < 0 ? NULL : record->key;
    void *value = record->value_size < 0 ? NULL : (void *)(uintptr_t)record->value;
    size_t key_size = key == NULL ? 0 : (size_t)record->key_size;
    size_t value_size = value == NULL ? 0 : (size_t)record->value_size;
    int64_t timestamp_ms = record->timestamp_ms < 0 ? 0 : record->timestamp_ms; // 0 = now
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(record->partition),
            RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(value, value_size),
            RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            give_up("produce: %s", rd_kafka_err2str(code));
        rd_kafka_poll(client, 100);
    }
}

static int32_t read_int32(const char *at)
{
    int32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// Reads one frame; `body` grows as needed. False at the end of the input.
static bool read_frame(char **body, size_t *capacity, struct record *ret_record)
{
    char header[FRAME_HEADER];
    size_t got = fread(header, 1, sizeof(header), stdin);
    if (got == 0 && feof(stdin))
        return false;
    if (got != sizeof(header))
        give_up("produce: the input ends inside a frame's header");
    ret_record->partition = read_int32(header);
    memcpy(&ret_record->timestamp_ms, header + 4, sizeof(int64_t));
    ret_record->key_size = read_int32(header + 12);
    ret_record->value_size = read_int32(header + 16);
    if (ret_record->key_size > FRAME_BYTES_MAX || ret_record->value_size > FRAME_BYTES_MAX)
        give_up("produce: a frame of more than %d bytes", FRAME_BYTES_MAX);
    size_t key_size = ret_record->key_size < 0 ? 0 : (size_t)ret_record->key_size;
    size_t value_size = ret_record->value_size < 0 ? 0 : (size_t)ret_record->value_size;
    if (key_size + value_size > *capacity || *body == NULL) {
        *capacity = key_size + value_size + 1024;
        *body = realloc(*body, *capacity);
        if (*body == NULL)
            give_up("produce: out of memory");
    }
    if (fread(*body, 1, key_size + value_size, stdin) != key_size + value_size)
        give_up("produce: the input ends inside a frame");
    ret_record->key = *body;
    ret_record->value = *body + key_size;
    return true;
}

// Reads one line as record number `number`. False at the end of the input.
static bool read_line(char **body, size_t *capacity, int64_t number, int32_t partition_count,
                      char key[24], struct record *ret_record)
{
    ssize_t size = getline(body, capacity, stdin);
    if (size < 0)
        return false;
    if (size > 0 && (*body)[size - 1] == '\n')
        size--;
    ret_record->partition = (int32_t)(number % partition_count);
    ret_record->timestamp_ms = -1;
    ret_record->key_size = snprintf(key, 24, "%" PRId64, number);
    ret_record->key = key;
    ret_record->value_size = (int32_t)size;
    ret_record->value = *body;
    return true;
}

// Keeps to `rate` records per second since `start` by serving acknowledgements meanwhile.
static void keep_rate(rd_kafka_t *client, double start, int64_t count, double rate)
{
    double wait = start + (double)count / rate - now_seconds();
    if (wait > 0)
        rd_kafka_poll(client, (int)(wait * 1000));
}

static void check(const char *what, rd_kafka_error_t *error)
{
    if (error != NULL)
        give_up("produce: %s: %s", what, rd_kafka_error_string(error));
}

// Ends transaction number `number` (from 0).
static void end_transaction(rd_kafka_t *client, int64_t number)
{
    if (rd_kafka_flush(client, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("produce: flush in a transaction timed out");
    if (number % 3 == 2)
        check("abort", rd_kafka_abort_transaction(client, TIMEOUT_MS));
    else
        check("commit", rd_kafka_commit_transaction(client, TIMEOUT_MS));
}

// Called before record number `count`: ends a full transaction and begins the next.
static void turn_transaction(rd_kafka_t *client, int64_t count, int64_t size)
{
    if (size <= 0 || count % size != 0)
        return;
    if (count > 0)
        end_transaction(client, count / size - 1);
    check("begin", rd_kafka_begin_transaction(client));
}

static void print_summary(const struct progress *progress, int64_t count, int64_t bytes,
                          double seconds)
{
    printf("{\"records\":%" PRId64 ",\"bytes\":%" PRId64 ",\"seconds\":%.3f,\"offsets\":{", count,
           bytes, seconds);
    const char *comma = "";
    for (int i = 0; i < PARTITIONS_MAX; i++) {
        if (progress->next[i] >= 0) {
            printf("%s\"%d\":%" PRId64, comma, i, progress->next[i]);
            comma = ",";
        }
    }
    printf("}}\n");
}

struct options {
    const char *topic;
    int32_t line_partitions; // 0 = frames
    int64_t transaction;     // records, 0 = none
    double rate;             // records per second, 0 = as fast as possible
};

static void parse_options(int argc, char **argv, rd_kafka_conf_t *conf, struct options *ret_options)
{
    for (int option; (option = getopt(argc, argv, "X:t:l:r:T:")) != -1;) {
        if (option == 'X')
            client_set(conf, optarg);
        else if (option == 't')
            ret_options->topic = optarg;
        else if (option == 'l')
            ret_options->line_partitions = (int32_t)strtol(optarg, NULL, 10);
        else if (option == 'r')
            ret_options->rate = strtod(optarg, NULL);
        else if (option == 'T')
            ret_options->transaction = strtoll(optarg, NULL, 10);
        else
            exit(2);
    }
    if (ret_options->topic == NULL || optind != argc || ret_options->line_partitions < 0 ||
        ret_options->line_partitions > PARTITIONS_MAX)
        give_up("usage: produce -X name=value... -t TOPIC [-l PARTITIONS] [-r RATE] [-T RECORDS]");
    if (ret_options->transaction > 0)
        client_set(conf, "transactional.id=produce");
}

static rd_kafka_conf_t *new_conf(struct progress *progress)
{
    static const char *settings[] = {
        "enable.idempotence=true",
        "compression.type=zstd",
        "linger.ms=20",
        "batch.size=1000000",
        "queue.buffering.max.messages=500000",
        "queue.buffering.max.kbytes=131072",
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        client_set(conf, settings[i]);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, progress);
    return conf;
}

// Sends the whole input; returns the number of records and adds up their bytes.
static int64_t send_input(rd_kafka_t *client, const struct options *options, int64_t *ret_bytes)
{
    char *body = NULL;
    char key[24];
    size_t capacity = 0;
    int64_t count = 0;
    struct record record;
    double start = now_seconds();
    int32_t partitions = options->line_partitions;
    while (partitions > 0 ? read_line(&body, &capacity, count, partitions, key, &record)
                          : read_frame(&body, &capacity, &record)) {
        turn_transaction(client, count, options->transaction);
        send_record(client, options->topic, &record);
        *ret_bytes += (record.key_size > 0 ? record.key_size : 0) +
                      (record.value_size > 0 ? record.value_size : 0);
        if (++count % 1000 == 0)
            rd_kafka_poll(client, 0);
        if (options->rate > 0)
            keep_rate(client, start, count, options->rate);
    }
    if (options->transaction > 0 && count > 0)
        end_transaction(client, (count - 1) / options->transaction);
    free(body);
    return count;
}

int main(int argc, char **argv)
{
    static struct progress progress;
    memset(progress.next, 0xff, sizeof(progress.next));
    struct options options = {0};
    rd_kafka_conf_t *conf = new_conf(&progress);
    parse_options(argc, argv, conf, &options);
    progress.transactional = options.transaction > 0;
    rd_kafka_t *client = client_new(conf);
    if (options.transaction > 0)
        check("transactions", rd_kafka_init_transactions(client, TIMEOUT_MS));

    double start = now_seconds();
    int64_t bytes = 0;
    int64_t count = send_input(client, &options, &bytes);
    rd_kafka_resp_err_t code = rd_kafka_flush(client, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("produce: flush: %s", rd_kafka_err2str(code));
    rd_kafka_destroy(client);
    print_summary(&progress, count, bytes, now_seconds() - start);
    if (progress.failed > 0)
        give_up("produce: %" PRId64 " records were not delivered", progress.failed);
    return 0;
}
