// Topics and groups of the rig's broker.
//
//   kafka_admin -X name=value... COMMAND, one of
//
//     create TOPIC PARTITIONS [config=value...]
//     configure TOPIC config=value...
//     grow TOPIC PARTITIONS                      the new total
//     delete TOPIC
//     delete-records TOPIC PARTITION OFFSET      records below OFFSET go
//     watermarks TOPIC PARTITION                 prints low and high
//     records TOPIC PARTITION                    prints offset and key of those that are committed
//     group-offsets GROUP TOPIC PARTITIONS       prints partition and offset
//     set-group-offset GROUP TOPIC PARTITION OFFSET
//     delete-group GROUP
#include "kafka_client.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 20000

static char *bootstrap; // "bootstrap.servers=..." as it was given

// Waits for the one answer of an admin call. The caller destroys it.
static rd_kafka_event_t *wait_answer(rd_kafka_queue_t *queue, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL)
        give_up("%s: no answer", what);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("%s: %s", what, rd_kafka_event_error_string(event));
    return event;
}

static void check_topics(const rd_kafka_topic_result_t **results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            give_up("%s: %s", rd_kafka_topic_result_name(results[i]),
                    rd_kafka_topic_result_error_string(results[i]));
}

static void create_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args, int count)
{
    char text[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(args[0], atoi(args[1]), 1, text, sizeof(text));
    if (topic == NULL)
        give_up("%s", text);
    for (int i = 2; i < count; i++) {
        char *equals = strchr(args[i], '=');
        if (equals == NULL)
            give_up("'%s' is not name=value", args[i]);
        *equals = '\0';
        rd_kafka_NewTopic_set_config(topic, args[i], equals + 1);
    }
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "create");
    size_t result_count;
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &result_count);
    check_topics(topics, result_count);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
}

static void configure_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args, int count)
{
    rd_kafka_ConfigResource_t *topic =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, args[0]);
    for (int i = 1; i < count; i++) {
        char *equals = strchr(args[i], '=');
        if (equals == NULL)
            give_up("'%s' is not name=value", args[i]);
        *equals = '\0';
        rd_kafka_error_t *error = rd_kafka_ConfigResource_add_incremental_config(
            topic, args[i], RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, equals + 1);
        if (error != NULL)
            give_up("%s: %s", args[i], rd_kafka_error_string(error));
    }
    rd_kafka_IncrementalAlterConfigs(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "configure");
    size_t result_count;
    const rd_kafka_ConfigResource_t **results = rd_kafka_IncrementalAlterConfigs_result_resources(
        rd_kafka_event_IncrementalAlterConfigs_result(event), &result_count);
    for (size_t i = 0; i < result_count; i++)
        if (rd_kafka_ConfigResource_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            give_up("%s: %s", args[0], rd_kafka_ConfigResource_error_string(results[i]));
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(topic);
}

static void grow_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args)
{
    char text[256];
    rd_kafka_NewPartitions_t *request =
        rd_kafka_NewPartitions_new(args[0], (size_t)atoi(args[1]), text, sizeof(text));
    if (request == NULL)
        give_up("%s", text);
    rd_kafka_CreatePartitions(client, &request, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "grow");
    size_t count;
    const rd_kafka_topic_result_t **topics = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count);
    check_topics(topics, count);
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(request);
}

static void delete_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "delete");
    size_t count;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    check_topics(topics, count);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
}

static void check_partitions(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            give_up("%s [%" PRId32 "]: %s", list->elems[i].topic, list->elems[i].partition,
                    rd_kafka_err2str(list->elems[i].err));
}

static void delete_records(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, args[0], atoi(args[1]))->offset =
        strtoll(args[2], NULL, 10);
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "delete-records");
    check_partitions(
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event)));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

static void print_watermarks(rd_kafka_t *client, char **args)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(client, args[0], atoi(args[1]), &low, &high, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        give_up("watermarks: %s", rd_kafka_err2str(code));
    printf("%" PRId64 " %" PRId64 "\n", low, high);
}

// Reads a partition to its end by a consumer of its own.
static void print_records(char **args)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    client_set(conf, bootstrap);
    client_set(conf, "enable.partition.eof=true");
    client_set(conf, "isolation.level=read_committed");
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_t *topic = consumer != NULL ? rd_kafka_topic_new(consumer, args[0], NULL) : NULL;
    int32_t partition = atoi(args[1]);
    if (topic == NULL || rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING) != 0)
        give_up("%s: cannot be read", args[0]);
    for (bool end = false; !end;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, TIMEOUT_MS);
        if (message == NULL)
            give_up("%s: no answer", args[0]);
        end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (!end && message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            give_up("%s: %s", args[0], rd_kafka_message_errstr(message));
        if (!end)
            printf("%" PRId64 " %.*s\n", message->offset, (int)message->key_len,
                   message->key_len > 0 ? (const char *)message->key : "");
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, partition);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

static void print_group_offsets(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (int32_t i = 0; i < atoi(args[2]); i++)
        rd_kafka_topic_partition_list_add(list, args[1], i);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(args[0], list);
    rd_kafka_ListConsumerGroupOffsets(client, &request, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "group-offsets");
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    if (count != 1 || rd_kafka_group_result_error(groups[0]) != NULL)
        give_up("group-offsets: the group cannot be read");
    const rd_kafka_topic_partition_list_t *offsets = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < offsets->cnt; i++)
        printf("%" PRId32 " %" PRId64 "\n", offsets->elems[i].partition, offsets->elems[i].offset);
    rd_kafka_event_destroy(event);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

static void check_groups(const rd_kafka_group_result_t **groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[i]);
        if (error != NULL)
            give_up("%s: %s", rd_kafka_group_result_name(groups[i]), rd_kafka_error_string(error));
        const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[i]);
        if (list != NULL)
            check_partitions(list);
    }
}

static void set_group_offset(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, args[1], atoi(args[2]))->offset =
        strtoll(args[3], NULL, 10);
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rd_kafka_AlterConsumerGroupOffsets_new(args[0], list);
    rd_kafka_AlterConsumerGroupOffsets(client, &request, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "set-group-offset");
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    check_groups(groups, count);
    rd_kafka_event_destroy(event);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

static void delete_group(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name)
{
    rd_kafka_DeleteGroup_t *request = rd_kafka_DeleteGroup_new(name);
    rd_kafka_DeleteGroups(client, &request, 1, NULL, queue);
    rd_kafka_event_t *event = wait_answer(queue, "delete-group");
    size_t count;
    const rd_kafka_group_result_t **groups =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    check_groups(groups, count);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteGroup_destroy(request);
}

// False when `args` is none of the commands.
static bool run_command(rd_kafka_t *client, rd_kafka_queue_t *queue, char **args, int count)
{
    const char *command = args[0];
    if (strcmp(command, "create") == 0 && count >= 3)
        create_topic(client, queue, args + 1, count - 1);
    else if (strcmp(command, "configure") == 0 && count >= 3)
        configure_topic(client, queue, args + 1, count - 1);
    else if (strcmp(command, "grow") == 0 && count == 3)
        grow_topic(client, queue, args + 1);
    else if (strcmp(command, "delete") == 0 && count == 2)
        delete_topic(client, queue, args[1]);
    else if (strcmp(command, "delete-records") == 0 && count == 4)
        delete_records(client, queue, args + 1);
    else if (strcmp(command, "watermarks") == 0 && count == 3)
        print_watermarks(client, args + 1);
    else if (strcmp(command, "records") == 0 && count == 3)
        print_records(args + 1);
    else if (strcmp(command, "group-offsets") == 0 && count == 4)
        print_group_offsets(client, queue, args + 1);
    else if (strcmp(command, "set-group-offset") == 0 && count == 5)
        set_group_offset(client, queue, args + 1);
    else if (strcmp(command, "delete-group") == 0 && count == 2)
        delete_group(client, queue, args[1]);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (int option; (option = getopt(argc, argv, "+X:")) != -1;) {
        if (option != 'X')
            return 2;
        if (strncmp(optarg, "bootstrap.servers=", strlen("bootstrap.servers=")) == 0)
            bootstrap = optarg;
        client_set(conf, optarg);
    }
    rd_kafka_t *client = client_new(conf);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    bool known = optind < argc && run_command(client, queue, argv + optind, argc - optind);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    if (!known)
        fprintf(stderr, "usage: see the top of kafka_admin.c\n");
    return known ? 0 : 2;
}
