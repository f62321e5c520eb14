// A snapshot in preparation: what it adds to and removes from the one before, made into manifests,
// a manifest list and one change of the metadata.
//
// Manifests stay few at any rate of commits: of manifests with about as many entries (within a
// factor of 8) at most MERGE_COUNT stand side by side, then they are merged. Entries of delete
// files are kept in the order of age of their data files, in manifests of moderate size, so that a
// commit that touches recent files rewrites recent manifests.
#ifndef MORAINE_TABLE_ICEBERG_DRAFT_H
#define MORAINE_TABLE_ICEBERG_DRAFT_H

#include "iceberg/iceberg_state.h"
#include "iceberg/iceberg_summary.h"
#include "moraine/base/uuid.h"

struct iceberg_draft_file {
    int32_t spec_id;
    int64_t sequence_number; // of the data; -1 = the commit's
    struct iceberg_data_file file;
};

struct iceberg_draft {
    struct iceberg_table *table;
    struct iceberg_state *state; // of the base
    int64_t snapshot_id;
    struct mor_arena arena;
    struct mor_uuid uuid; // in the names of its files
    struct iceberg_draft_file *added;
    size_t added_count, added_capacity;
    const struct iceberg_live **removed; // of the state
    size_t removed_count, removed_capacity;
    struct iceberg_summary summary;
    // Set by commit.
    struct iceberg_manifest_file *manifests; // of the new list
    size_t manifest_count;
    char **written; // keys of manifests and list
    size_t written_count, written_capacity;
    struct iceberg_change change;
    bool keeps_files; // committed, or may be
};

// Takes a reference to the state; its files must be loaded when anything is removed. One thread.
void iceberg_draft_init(struct iceberg_draft *draft, struct iceberg_table *table,
                        struct iceberg_state *state, int64_t snapshot_id);
// Deletes manifests and list unless they are, or may be, in the table.
void iceberg_draft_done(struct iceberg_draft *draft);
// Texts and metrics of the file are borrowed for the draft's life.
void iceberg_draft_add(struct iceberg_draft *draft, int32_t spec_id,
                       const struct iceberg_data_file *file, int64_t sequence_number);
// A live file of the state, once.
void iceberg_draft_remove(struct iceberg_draft *draft, const struct iceberg_live *live);
// Writes everything that the snapshot needs, durably, and publishes it after the base and nothing
// else. `operation` NULL: as the files say. `properties` go into the summary; the ledger among them
// also into the table's properties. Errors: those of iceberg_catalog_commit; on UNKNOWN
// draft->change is what may have been applied.
enum mor_status iceberg_draft_commit(struct iceberg_draft *draft, const char *operation,
                                     const json_t *properties,
                                     struct iceberg_metadata **ret_metadata,
                                     struct mor_error *err) MOR_CHECKED;

// ---- iceberg_draft_manifests.c ------------------------------------------------------------------

// Decides which manifests stay, writes the new ones (names durable with the next mor_store_sync)
// and lists all.
enum mor_status iceberg_draft_write_manifests(struct iceberg_draft *draft,
                                              struct mor_error *err) MOR_CHECKED;
// Notes a file that belongs to the draft.
void iceberg_draft_wrote(struct iceberg_draft *draft, const char *key);

#endif
