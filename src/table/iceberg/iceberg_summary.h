// Snapshot summaries (specification, Appendix F): counters of a commit, and totals carried on from
// the parent's.
#ifndef MORAINE_TABLE_ICEBERG_SUMMARY_H
#define MORAINE_TABLE_ICEBERG_SUMMARY_H

#include "iceberg_manifest.h"
#include "moraine/base/map.h"

struct iceberg_file_counts {
    int64_t data_files, records;
    int64_t size_bytes; // of data and delete files; of a deletion vector its blob
    int64_t delete_files, position_delete_files, vectors, equality_delete_files;
    int64_t position_deletes, equality_deletes;
};

// Zero-initialised is a valid empty one; free with iceberg_summary_done.
struct iceberg_summary {
    struct iceberg_file_counts added, removed;
    struct mor_map partitions; // that changed
};
void iceberg_summary_done(struct iceberg_summary *summary);
// Counts a file that the commit adds, or removes.
void iceberg_summary_count(struct iceberg_summary *summary, int32_t spec_id,
                           size_t partition_field_count, const struct iceberg_data_file *file,
                           bool added);

// The summary object: operation, this commit's counters (those that are not 0), all six totals
// after the parent's. `operation` NULL: append, delete or overwrite, as the counters say ("append"
// when nothing was added or removed). A total that the parent lacks or that is no number stays
// away. `parent` NULL: the first snapshot. The caller decrefs and adds what else it has to say.
json_t *iceberg_summary_make(const struct iceberg_summary *summary, const char *operation,
                             const json_t *parent);

#endif
