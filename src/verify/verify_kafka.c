// The ledger against Kafka: what is still there is read again.
#include <inttypes.h>
#include <stdio.h>

#include "moraine/base/record.h"
#include "verify_job.h"

#define FIND(k_, kind_, place_, ...)                                                               \
    mor_verify_report_add((k_)->job->report, MOR_VERIFY_KAFKA, false, kind_, place_, __VA_ARGS__)
#define COUNT(k_, name_, more_)                                                                    \
    mor_verify_report_count((k_)->job->report, MOR_VERIFY_KAFKA, name_, more_)

struct kafka_work {
    struct mor_verify_job *job;
    struct mor_source_reader *reader;
    bool compacted;
    int64_t *commit_records; // by commit of the ledger: found in ranges that were read
    int64_t *commit_offsets; // of those ranges
    bool *commit_differs;    // a digest did not match
    // the ranges that are being read, one behind the other
    const struct mor_verify_range *ranges;
    size_t range_count, range;
    struct mor_hash128 digest;
    int64_t records;
};

// ---- one range ----------------------------------------------------------------------------------

static void finish_range(struct kafka_work *k)
{
    const struct mor_verify_range *range = &k->ranges[k->range];
    bool same = range->has_digest && range->digest.low == k->digest.low &&
                range->digest.high == k->digest.high;
    k->commit_records[range->commit] += k->records;
    k->commit_offsets[range->commit] += range->end - range->start;
    COUNT(k, "ranges", 1);
    COUNT(k, "records", k->records);
    // without a digest the ledger's check has said so
    if (!same && range->has_digest && !k->compacted) {
        const struct mor_verify_place place = {.version =
                                                   k->job->ledger.commits[range->commit].version,
                                               .partition = range->partition,
                                               .offset_first = range->start,
                                               .offset_next = range->end};
        FIND(k, "digest", &place,
             "Kafka has %" PRId64 " records there whose digest is not the one of the ledger",
             k->records);
    }
    k->commit_differs[range->commit] |= !same;
    k->digest = (struct mor_hash128){0};
    k->records = 0;
    k->range++;
}

static enum mor_status take_record(void *context, const struct mor_record *record,
                                   struct mor_error *err)
{
    (void)err;
    struct kafka_work *k = context;
    while (record->offset >= k->ranges[k->range].end)
        finish_range(k);
    mor_record_digest_add(&k->digest, record);
    k->records++;
    return MOR_OK;
}

static void count_gone(struct kafka_work *k, const struct mor_verify_range *range)
{
    COUNT(k, "ranges gone from Kafka", 1);
    COUNT(k, "offsets gone from Kafka", range->end - range->start);
}

// Reads ranges that follow each other without a hole.
static enum mor_status read_run(struct kafka_work *k, const struct mor_verify_range *ranges,
                                size_t count, struct mor_error *err)
{
    k->ranges = ranges;
    k->range_count = count;
    k->range = 0;
    k->digest = (struct mor_hash128){0};
    k->records = 0;
    enum mor_status status = mor_source_reader_read(k->reader, ranges[0].partition, ranges[0].start,
                                                    ranges[count - 1].end, take_record, k, err);
    while (status == MOR_OK && k->range < count)
        finish_range(k);
    return status;
}

// ---- partitions ---------------------------------------------------------------------------------

static enum mor_status check_partition(struct kafka_work *k,
                                       const struct mor_verify_partition *partition,
                                       struct mor_error *err)
{
    const struct mor_verify_range *ranges = k->job->ledger.ranges + partition->range_first;
    struct mor_verify_place place = VERIFY_NOWHERE;
    place.partition = partition->partition;
    for (size_t at = 0; at < partition->range_count;) {
        int64_t low, high;
        enum mor_status status =
            mor_source_reader_ends(k->reader, partition->partition, &low, &high, err);
        if (status == MOR_NOT_FOUND) {
            FIND(k, "partition", &place, "%s", err->message);
            return MOR_OK;
        }
        MOR_TRY(status);
        if (partition->next > high) {
            place.offset_first = high;
            place.offset_next = partition->next;
            FIND(k, "ahead of Kafka", &place,
                 "the table is at offset %" PRId64 ", Kafka's log ends at %" PRId64,
                 partition->next, high);
            return MOR_OK;
        }
        // retention may go on while this reads: what it takes is gone, not wrong
        for (; at < partition->range_count && ranges[at].start < low; at++)
            count_gone(k, &ranges[at]);
        size_t next = at;
        while (next < partition->range_count &&
               (next == at || ranges[next].start == ranges[next - 1].end))
            next++;
        if (next == at)
            break;
        if (k->job->options->progress)
            k->job->options->progress(k->job->options->context, "offsets of Kafka",
                                      ranges[at].start, partition->next);
        status = read_run(k, &ranges[at], next - at, err);
        at += k->range;
        if (status != MOR_OK && status != MOR_NOT_FOUND)
            return status;
        if (status == MOR_NOT_FOUND && k->range == 0)
            count_gone(k, &ranges[at++]);
    }
    return MOR_OK;
}

// Counts are kept per commit, so they can be compared when all of its ranges were read.
static void check_counts(struct kafka_work *k)
{
    const struct mor_verify_ledger *ledger = &k->job->ledger;
    for (size_t i = 0; i < ledger->commit_count; i++) {
        const struct mor_verify_commit *commit = &ledger->commits[i];
        if (k->commit_offsets[i] != commit->range_offsets)
            continue;
        int64_t found = k->commit_records[i];
        struct mor_verify_place place = VERIFY_NOWHERE;
        place.version = commit->version;
        if (k->compacted && found < commit->read)
            COUNT(k, "commits compacted by Kafka", 1);
        else if (found != commit->read)
            FIND(k, "records", &place,
                 "Kafka has %" PRId64 " records in the commit's ranges, its ledger counts %" PRId64
                 " records and %" PRId64 " gaps",
                 found, commit->read, commit->gap);
        else if (k->compacted && k->commit_differs[i])
            FIND(k, "digest", &place,
                 "Kafka has as many records in the commit's ranges, but not the same");
    }
}

static void compare_text(struct kafka_work *k, const char *what, const char *ledger,
                         const char *kafka)
{
    if (*ledger && *kafka && strcmp(ledger, kafka) != 0)
        FIND(k, "identity", &VERIFY_NOWHERE, "the ledger says %s '%s', Kafka '%s'", what, ledger,
             kafka);
}

static enum mor_status compare_identity(struct kafka_work *k, bool *ret_same, struct mor_error *err)
{
    const struct mor_verify_ledger *ledger = &k->job->ledger;
    struct mor_source_identity identity = {0};
    int64_t before = k->job->report->checks[MOR_VERIFY_KAFKA].finding_count;
    enum mor_status status = mor_source_reader_identity(k->reader, &identity, err);
    if (status == MOR_NOT_FOUND)
        FIND(k, "topic", &VERIFY_NOWHERE, "%s", err->message);
    else if (status != MOR_OK)
        return status;
    if (k->job->options->topic)
        compare_text(k, "topic", ledger->topic, k->job->options->topic);
    compare_text(k, "cluster", ledger->cluster_id, identity.cluster_id);
    compare_text(k, "topic id", ledger->topic_id, identity.topic_id);
    *ret_same = k->job->report->checks[MOR_VERIFY_KAFKA].finding_count == before;
    return MOR_OK;
}

static enum mor_status check_kafka(struct kafka_work *k, struct mor_error *err)
{
    const struct mor_verify_ledger *ledger = &k->job->ledger;
    bool same;
    MOR_TRY(compare_identity(k, &same, err));
    k->job->report->checks[MOR_VERIFY_KAFKA].checked = true;
    if (!same)
        return MOR_OK; // another topic's records say nothing
    k->compacted = mor_source_reader_is_compacted(k->reader);
    if (k->compacted)
        mor_verify_report_why_not(k->job->report, MOR_VERIFY_KAFKA,
                                  "the topic is compacted: where Kafka removed records, neither "
                                  "counts nor digests can be compared");
    for (size_t i = 0; i < ledger->partition_count; i++)
        MOR_TRY(check_partition(k, &ledger->partitions[i], err));
    check_counts(k);
    return MOR_OK;
}

enum mor_status mor_verify_kafka(struct mor_verify_job *job, struct mor_error *err)
{
    size_t count = job->ledger.commit_count;
    if (!job->options->kafka || count == 0) {
        mor_verify_report_why_not(job->report, MOR_VERIFY_KAFKA,
                                  count == 0 ? "there is no ledger" : "no Kafka was given");
        return MOR_OK;
    }
    struct kafka_work k = {.job = job, .reader = job->options->kafka};
    k.commit_records = mor_calloc(count, sizeof *k.commit_records);
    k.commit_offsets = mor_calloc(count, sizeof *k.commit_offsets);
    k.commit_differs = mor_calloc(count, sizeof *k.commit_differs);
    enum mor_status status = check_kafka(&k, err);
    free(k.commit_records);
    free(k.commit_offsets);
    free(k.commit_differs);
    return status;
}
