// The history of a table as its ledgers tell it. The reading of the commit property `moraine` is
// this module's own: a checker that shared the writer's code would share its mistakes.
#ifndef MORAINE_VERIFY_LEDGER_H
#define MORAINE_VERIFY_LEDGER_H

#include "moraine/base/hash.h"
#include "verify_report.h"

// [start, end) of one commit.
struct mor_verify_range {
    int32_t partition;
    int64_t start, end;
    struct mor_hash128 digest;
    bool has_digest;
    size_t commit;
};

struct mor_verify_commit {
    const char *version;
    int64_t read, gap, inserted, updated, dead;
    int64_t range_offsets; // sum of end - start
};

// One Kafka partition as the commits know it.
struct mor_verify_partition {
    int32_t partition;
    int64_t first, next; // of the ranges that are known: [first, next)
    int64_t watermark_ms;
    size_t range_first, range_count; // in ranges
};

struct mor_verify_ledger {
    struct mor_verify_commit *commits; // those that moved offsets, oldest first
    size_t commit_count;
    struct mor_verify_range *ranges; // by partition and start
    size_t range_count;
    struct mor_verify_partition *partitions; // by number
    size_t partition_count;
    bool is_complete;      // the oldest ledger is the first one: nothing was archived
    int64_t hole_count;    // places where commits between two that are left were archived
    int64_t redriven;      // dead letters that were sent again and became rows
    int64_t foreign_count; // commits that wrote rows and have no ledger
    char cluster_id[128], topic_id[64], topic[256];
    struct mor_arena arena;
};

// Walks the commits, oldest first, and reports what does not hold. `is_whole`: none was archived,
// so that each must go on where the one before it ended.
void mor_verify_ledger_read(const struct mor_commit_info *commits, size_t commit_count,
                            bool is_whole, struct mor_verify_report *report,
                            struct mor_verify_ledger *ret_ledger);
void mor_verify_ledger_done(struct mor_verify_ledger *ledger);
// NULL when the partition, or the offset within it, is in no range.
const struct mor_verify_partition *
mor_verify_ledger_partition(const struct mor_verify_ledger *ledger, int32_t partition);
const struct mor_verify_range *mor_verify_ledger_find(const struct mor_verify_ledger *ledger,
                                                      int32_t partition, int64_t offset);

#endif
