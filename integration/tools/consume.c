// Reads a topic to its end and does nothing with it: what librdkafka alone costs.
//
//   consume -X name=value... -t TOPIC -n RECORDS
//
// All partitions from their beginning by explicit assignment, in batches, with the settings that
// moraine's source makes (16 MiB of queue, 1 MiB fetches). The last line of output is JSON:
// records, bytes, seconds from the first record to the last, seconds since the start of the
// program, CPU seconds (user and system, all threads) of both spans.
#include "kafka_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH       8192
#define SILENCE_MS  10000
#define METADATA_MS 10000

struct moment {
    double wall, cpu;
};

static struct moment now(void)
{
    struct timespec clock;
    struct rusage usage;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    getrusage(RUSAGE_SELF, &usage);
    return (struct moment){(double)clock.tv_sec + 1e-9 * (double)clock.tv_nsec,
                           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)};
}

static rd_kafka_t *new_consumer(rd_kafka_conf_t *conf)
{
    static const char *settings[] = {
        "group.id=consume",
        "enable.auto.commit=false",
        "enable.auto.offset.store=false",
        "check.crcs=true",
        "queued.max.messages.kbytes=16384",
        "fetch.message.max.bytes=1048576",
        "fetch.max.bytes=1048576",
        "message.max.bytes=65536",
        "fetch.wait.max.ms=100",
        "fetch.queue.backoff.ms=5",
    };
    char text[512];
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        client_set(conf, settings[i]);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (client == NULL)
        give_up("no Kafka client: %s", text);
    rd_kafka_poll_set_consumer(client);
    return client;
}

static void assign_all(rd_kafka_t *client, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, METADATA_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topic_cnt != 1)
        give_up("consume: metadata of '%s': %s", name, rd_kafka_err2str(code));
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(parts, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    code = rd_kafka_assign(client, parts);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("consume: assign: %s", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(parts);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *messages[BATCH];
    const char *topic = NULL;
    int64_t wanted = 0, count = 0, bytes = 0;
    struct moment start = now(), first = start;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (int option; (option = getopt(argc, argv, "X:t:n:")) != -1;) {
        if (option == 'X')
            client_set(conf, optarg);
        else if (option == 't')
            topic = optarg;
        else if (option == 'n')
            wanted = strtoll(optarg, NULL, 10);
        else
            return 2;
    }
    if (topic == NULL || wanted < 1)
        give_up("usage: consume -X name=value... -t TOPIC -n RECORDS");
    rd_kafka_t *client = new_consumer(conf);
    assign_all(client, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    double heard = start.wall;
    while (count < wanted) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);
        if (got > 0 && count == 0)
            first = now();
        for (ssize_t i = 0; i < got; i++) {
            if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                count++;
                bytes += (int64_t)(messages[i]->len + messages[i]->key_len);
            }
            rd_kafka_message_destroy(messages[i]);
        }
        if (got > 0)
            heard = now().wall;
        else if (now().wall - heard > SILENCE_MS / 1000.0)
            give_up("consume: %" PRId64 " of %" PRId64 " records, then silence", count, wanted);
    }
    struct moment end = now();
    printf("{\"records\":%" PRId64 ",\"bytes\":%" PRId64
           ",\"seconds\":%.4f,\"cpu\":%.4f,\"seconds_all\":%.4f,\"cpu_all\":%.4f}\n",
           count, bytes, end.wall - first.wall, end.cpu - first.cpu, end.wall - start.wall,
           end.cpu);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return 0;
}
