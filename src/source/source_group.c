// Whether the group as a whole reads every partition of the topic.
//
// A group may be at rest while a partition is nobody's. Known ways there: a static member dies
// while it gives partitions up for another one and is back within its session, so the group hands
// it what it had been left with and never learns that the other one was still to get something; or
// the topic grows while the leader is one that has come back like that, which the broker does not
// ask for an assignment. Nothing passes it but another rebalance, and only a member that leaves
// makes one for certain: a member that joins again with what it has changes nothing for the broker.
//
// Only static members can get there, so only they ask. They ask with rd_kafka_list_groups: the
// admin client's DescribeConsumerGroups ends the process (librdkafka 2.15 and before) when the
// connection to the coordinator breaks at the wrong moment.
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

#define ASK_INTERVAL_MS  10000
#define ASK_AGAIN_MS     60000 // after a question that was not answered: asking holds up the thread
#define ANSWER_LIMIT_MS  2000
#define UNREAD_LIMIT_MS  30000 // rebalances of healthy groups are over before
#define AWAY_MS          1000  // until the leaving has reached the broker
#define AWAY_LIMIT_MS    30000
#define PARTITIONS_NAMED 8

// A member's assignment as the consumers of the group have it among themselves (Kafka's
// ConsumerProtocolAssignment): version, topics with their partitions, user data.
struct assignment {
    const uint8_t *at, *end;
    bool broken;
};

static int32_t get_number(struct assignment *in, size_t size_bytes)
{
    uint16_t small;
    uint32_t large;
    if (in->broken || (size_t)(in->end - in->at) < size_bytes) {
        in->broken = true;
        return 0;
    }
    const uint8_t *from = in->at;
    in->at += size_bytes;
    if (size_bytes == sizeof small) {
        memcpy(&small, from, sizeof small);
        return (int16_t)be16toh(small);
    }
    memcpy(&large, from, sizeof large);
    return (int32_t)be32toh(large);
}

// Marks the partitions of our topic that a member has; returns their number.
static int mark_read(const struct mor_source *source,
                     const struct rd_kafka_group_member_info *member, bool *read)
{
    struct assignment in = {.at = member->member_assignment,
                            .end = (const uint8_t *)member->member_assignment +
                                   (size_t)member->member_assignment_size};
    if (!member->member_assignment || member->member_assignment_size <= 0)
        return 0;
    int found = 0;
    (void)get_number(&in, 2); // version
    for (int32_t topics = get_number(&in, 4); topics > 0 && !in.broken; topics--) {
        int32_t length = get_number(&in, 2);
        if (in.broken || length < 0 || length > in.end - in.at)
            return found;
        bool ours = (size_t)length == strlen(source->topic) &&
                    memcmp(in.at, source->topic, (size_t)length) == 0;
        in.at += length;
        for (int32_t count = get_number(&in, 4); count > 0 && !in.broken; count--) {
            int32_t partition = get_number(&in, 4);
            if (!ours || in.broken || partition < 0 || partition >= source->group.partition_count)
                continue;
            found++;
            read[partition] = true;
        }
    }
    return found;
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

static void take_members(struct mor_source *source, const struct rd_kafka_group_info *found,
                         int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    MOR_AUTO_FREE bool *read = mor_calloc((size_t)group->partition_count + 1, sizeof *read);
    char *own = rd_kafka_memberid(source->kafka);
    size_t before_us = 0;
    bool member = false;
    for (int i = 0; i < found->member_cnt; i++) {
        int order = own ? strcmp(found->members[i].member_id, own) : 1;
        member = member || order == 0;
        before_us += mark_read(source, &found->members[i], read) > 0 && order < 0;
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

static void ask(struct mor_source *source, int64_t now_ms)
{
    struct mor_source_group *group = &source->group;
    if (now_ms < group->ask_at_ms || group->partition_count <= 0 || source->brokers_down)
        return;
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_list_groups(source->kafka, group->id, &list, ANSWER_LIMIT_MS);
    // What is not at rest, or has its assignment from the broker, is left alone.
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && list->group_cnt == 1 &&
        list->groups[0].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
        strcmp(list->groups[0].state, "Stable") == 0)
        take_members(source, &list->groups[0], now_ms);
    else
        group->unread_since_ms = 0;
    if (list)
        rd_kafka_group_list_destroy(list);
    group->ask_at_ms =
        mor_clock_mono_ms() + (code == RD_KAFKA_RESP_ERR_NO_ERROR ? ASK_INTERVAL_MS : ASK_AGAIN_MS);
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
    if (!group->id)
        return;
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
