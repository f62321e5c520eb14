// Snapshots that leave a table, and their files, private to its files.
//
// Snapshots leave the metadata when they are older than the retention says, or too many: the
// document is written anew with every commit. Their files stay for a while longer, for readers that
// still have them: what left is noted in _moraine/expired/<time>_<uuid>.json before it leaves.
#ifndef MORAINE_TABLE_ICEBERG_EXPIRE_H
#define MORAINE_TABLE_ICEBERG_EXPIRE_H

#include "iceberg/iceberg_table.h"

#define ICEBERG_EXPIRED_PREFIX "_moraine/expired"
#define ICEBERG_SNAPSHOTS_MAX  500     // of the line of the newest one
#define ICEBERG_GRACE_MS       3600000 // that files outlive their snapshot by, at most

struct iceberg_expiring {
    struct iceberg_table *table;
    const struct mor_retention *retention;
    struct mor_arena *arena;
    int64_t now_ms;
    int64_t grace_ms;
    struct iceberg_metadata *metadata; // newest
    struct mor_map kept;               // keys that readers may need
    struct mor_map found;              // keys that some expired snapshot had
    bool kept_is_whole;
    struct mor_expired_file *files;
    size_t file_count, file_capacity;
    char **notes; // keys of notes whose files go; in the arena
    size_t note_count;
};

enum mor_status iceberg_expire(struct mor_table *table, const struct mor_retention *retention,
                               bool dry_run, struct mor_arena *arena, struct mor_expiry *ret_expiry,
                               struct mor_error *err) MOR_CHECKED;

// ---- iceberg_reach.c ----------------------------------------------------------------------------

// Adds the keys of everything that a snapshot with this manifest list needs to the set; manifests
// that `seen` has are passed over. A list that is gone adds nothing when `may_lack`.
enum mor_status iceberg_reach(struct iceberg_table *table, struct iceberg_metadata *metadata,
                              const char *manifest_list, bool may_lack, struct mor_map *seen,
                              struct mor_map *set, struct mor_error *err) MOR_CHECKED;
// The same of all snapshots of the metadata, and the files that the document itself names.
enum mor_status iceberg_reach_all(struct iceberg_table *table, struct iceberg_metadata *metadata,
                                  struct mor_map *seen, struct mor_map *set,
                                  struct mor_error *err) MOR_CHECKED;

#endif
