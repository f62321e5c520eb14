// File slices: which base file and which logs make up each file group in a snapshot.
//
// Table version 6: a log belongs to the greatest base instant that is not after the instant in its
// name (a log named by a pending compaction so falls back to the base before it). Versions 8 and 9:
// a log belongs to the greatest base instant that is not after the completion of its commit.
#ifndef MORAINE_TABLE_HUDI_SLICES_H
#define MORAINE_TABLE_HUDI_SLICES_H

#include "hudi/hudi_file.h"
#include "moraine/table.h"

// What a reader may see. Lives in an arena.
struct mor_snapshot {
    int table_version;
    char start[HUDI_TIME_SIZE]; // older instants count as committed
    char *const *committed;     // ascending
    size_t committed_count;
    const char *until; // newest visible instant, NULL = all
};
bool hudi_snapshot_sees(const struct mor_snapshot *snapshot, const char *instant);

struct hudi_log {
    const char *name;
    char instant[HUDI_TIME_SIZE]; // in the name
    char completion[HUDI_TIME_SIZE];
    int32_t version;
    const char *token;
    int64_t size_bytes;
};

struct hudi_slice {
    const char *partition;
    const char *file_id;
    const char *base_name;             // NULL = none
    char base_instant[HUDI_TIME_SIZE]; // of the base file, else of the first log
    int64_t base_size_bytes;
    struct hudi_log *logs; // in merge order
    size_t log_count;
};

struct hudi_listing {
    struct mor_snapshot *snapshot;
    struct hudi_slice *slices;
    size_t slice_count;
    const char **partitions; // with a .hoodie_partition_metadata file
    size_t partition_count;
};

// Lists the table's files and builds the slices of what is committed, up to the instant `until`
// (NULL = all). Everything lives in the arena.
enum mor_status hudi_slices_build(struct mor_store *store, const struct hudi_timeline *timeline,
                                  int table_version, const char *until, struct mor_arena *arena,
                                  struct hudi_listing *ret_listing,
                                  struct mor_error *err) MOR_CHECKED;

// Calls visit for every data file of the table, of any state. A partition is "" or a path.
enum mor_status
hudi_files_visit(struct mor_store *store, struct mor_arena *arena,
                 enum mor_status (*visit)(void *context, const char *partition, const char *name,
                                          const struct hudi_file *file, int64_t size_bytes,
                                          struct mor_error *err),
                 void *context, const char ***ret_partitions, size_t *ret_partition_count,
                 struct mor_error *err) MOR_CHECKED;

#endif
