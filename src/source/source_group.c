// Whether the group as a whole reads every partition of the topic.
//
// A group may be at rest while a partition is nobody's. Known ways there: a static member dies
// while it gives partitions up for another one and is back within its session, so the group hands
// it what it had been left with and never learns that the other one was still to get something; or
// the topic grows while the leader is one that has come back like that, which the broker does not
// ask for an assignment. Nothing passes it but another rebalance, and only a member that leaves
// makes one for certain: a member that joins again with what it has changes nothing for the broker.
#include <stdio.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define ASK_INTERVAL_MS  10000
#define ANSWER_LIMIT_MS  10000
#define UNREAD_LIMIT_MS  30000 // rebalances of healthy groups are over before
#define AWAY_MS          1000  // until the leaving has reached the broker
#define AWAY_LIMIT_MS    30000
#define PARTITIONS_NAMED 8

#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_3

// What one member of the group has of our topic.
static const rd_kafka_topic_partition_list_t *
partitions_of(const rd_kafka_ConsumerGroupDescription_t *group, size_t member)
{
    const rd_kafka_MemberDescription_t *description =
        rd_kafka_ConsumerGroupDescription_member(group, member);
    return rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(description));
}

// Marks the partitions of our topic that are in `list`; returns their number.
static int mark_read(const struct mor_source *source, const rd_kafka_topic_partition_list_t *list,
                     bool *read)
{
    int count = 0;
    for (int i = 0; list && i < list->cnt; i++) {
        int32_t partition = list->elems[i].partition;
        if (strcmp(list->elems[i].topic, source->topic) != 0)
            continue;
        count++;
        if (partition >= 0 && partition < source->group.partition_count)
            read[partition] = true;
    }
    return count;
}

static int count_unread(struct mor_source_group *group, const bool *read)
{
    int count = 0;
    size_t length = 0;
    for (int32_t i = 0; i < group->partition_count; i++) {
        if (read[i] || ++count > PARTITIONS_NAMED)
            continue;
        int written = snprintf(group->unread + length, sizeof group->unread - length, "%s%d",
                               count > 1 ? ", " : "", i);
        length += written > 0 ? (size_t)written : 0;
    }
    return count;
}

static void take_members(struct mor_source *source,
                         const rd_kafka_ConsumerGroupDescription_t *description, int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    MOR_AUTO_FREE bool *read = mor_calloc((size_t)group->partition_count + 1, sizeof *read);
    char *own = rd_kafka_memberid(source->kafka);
    size_t before_us = 0;
    bool member = false;
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(description); i++) {
        const char *id = rd_kafka_MemberDescription_consumer_id(
            rd_kafka_ConsumerGroupDescription_member(description, i));
        int order = own ? strcmp(id, own) : 1;
        member = member || order == 0;
        before_us += mark_read(source, partitions_of(description, i), read) > 0 && order < 0;
    }
    if (own)
        rd_kafka_mem_free(source->kafka, own);
    if (!member || count_unread(group, read) == 0) {
        group->unread_since_ms = 0;
        return;
    }
    group->turn = before_us;
    if (group->unread_since_ms == 0)
        group->unread_since_ms = now_ms;
}

static void send_question(struct mor_source *source, const rd_kafka_AdminOptions_t *options)
{
    const char *id = source->group.id;
    rd_kafka_DescribeConsumerGroups(source->kafka, &id, 1, options, source->answer_queue);
}

void mor_source_take_group(struct mor_source *source, rd_kafka_event_t *event)
{
    struct mor_source_group *group = &source->group;
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        rd_kafka_event_DescribeConsumerGroups_result(event);
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        result ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
    group->asked = false;
    // No answer, or a group whose assignment the broker makes by itself: nothing to say.
    bool stable =
        count == 1 && !rd_kafka_ConsumerGroupDescription_error(groups[0]) &&
        rd_kafka_ConsumerGroupDescription_state(groups[0]) == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
    if (stable)
        take_members(source, groups[0], mor_clock_mono_ms());
    else
        group->unread_since_ms = 0;
}

static void ask(struct mor_source *source, int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    if (group->asked || now_ms < group->ask_at_ms || group->partition_count <= 0)
        return;
    group->ask_at_ms = now_ms + ASK_INTERVAL_MS;
    group->asked = true;
    mor_source_send_admin(source, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, ANSWER_LIMIT_MS,
                          send_question);
}

static void leave(struct mor_source *source, int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    mor_source_notice(source, MOR_LOG_WARN,
                      "the group has been at rest for %lld s while nobody reads partition %s: "
                      "leaving it and joining again",
                      (long long)(now_ms - group->unread_since_ms) / 1000, group->unread);
    group->unread_since_ms = 0;
    group->back_at_ms = now_ms + AWAY_MS;
    rd_kafka_unsubscribe(source->kafka);
}

void mor_source_watch_group(struct mor_source *source, int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    if (group->back_at_ms != 0) {
        bool gone = source->part_count == 0 || now_ms >= group->back_at_ms + AWAY_LIMIT_MS;
        if (!gone || now_ms < group->back_at_ms)
            return;
        group->back_at_ms = 0;
        group->ask_at_ms = now_ms + ASK_INTERVAL_MS;
        mor_source_subscribe(source);
        return;
    }
    ask(source, now_ms);
    // one after the other, so that one leaves and the rest need not
    int64_t patience_ms = UNREAD_LIMIT_MS + (int64_t)group->turn * 2 * ASK_INTERVAL_MS;
    if (group->unread_since_ms != 0 && now_ms - group->unread_since_ms >= patience_ms)
        leave(source, now_ms);
}

#else

void mor_source_watch_group(struct mor_source *source, int64_t now_ms)
{
    (void)source;
    (void)now_ms;
}

#endif
