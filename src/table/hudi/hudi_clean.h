// Which files and instants no kept snapshot needs, and their removal.
//
// The oldest kept snapshot is the newest one before which everything has been visible for longer
// than the retention's age. A file group keeps the slice that this snapshot reads, and all newer
// ones. An instant stays on the timeline while it is not older than that snapshot, while a file
// names it (readers of version 9 leave out files whose instant they do not find), and while it is
// the last that tells something: properties, cleaning.
#ifndef MORAINE_TABLE_HUDI_CLEAN_H
#define MORAINE_TABLE_HUDI_CLEAN_H

#include "hudi/hudi_table.h"

struct hudi_expiring {
    struct hudi_table *table;
    const struct mor_retention *retention;
    struct mor_arena *arena;
    int64_t now_ms;
    char oldest[HUDI_TIME_SIZE];     // instant of the oldest kept snapshot, "" = the table is empty
    struct mor_map groups;           // partition, zero byte, file id -> struct group
    struct mor_map replaced;         // same keys: groups that no kept snapshot has
    struct mor_map live;             // instants that kept files name
    char live_since[HUDI_TIME_SIZE]; // all later ones may be named, "" = none
    struct mor_expired_file *files;
    size_t file_count, file_capacity;
    size_t orphan_count; // the last of the files: no commit names them
};

enum mor_status hudi_expire(struct mor_table *table, const struct mor_retention *retention,
                            bool dry_run, struct mor_arena *arena, struct mor_expiry *ret_expiry,
                            struct mor_error *err) MOR_CHECKED;

// ---- hudi_clean_files.c -------------------------------------------------------------------------

enum mor_status hudi_data_files(struct mor_table *table, struct mor_arena *arena,
                                struct mor_slice **ret_files, size_t *ret_count,
                                struct mor_error *err) MOR_CHECKED;

// ---- hudi_clean_publish.c -----------------------------------------------------------------------

// Deletes the files, with a clean instant that names them.
enum mor_status hudi_clean_publish(struct hudi_expiring *expiring,
                                   struct mor_error *err) MOR_CHECKED;

// ---- hudi_archive.c -----------------------------------------------------------------------------

// The instants that can leave the timeline, oldest first.
enum mor_status hudi_archive_plan(struct hudi_expiring *expiring, const char ***ret_instants,
                                  size_t *ret_count, struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_archive(struct hudi_expiring *expiring, const char *const *instants,
                             size_t count, struct mor_error *err) MOR_CHECKED;

#endif
