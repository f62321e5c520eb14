// What a snapshot holds: its manifests, and of them the live data files with the delete files that
// apply to each.
#ifndef MORAINE_TABLE_ICEBERG_STATE_H
#define MORAINE_TABLE_ICEBERG_STATE_H

#include "iceberg/iceberg_manifest.h"
#include "iceberg/iceberg_metadata.h"
#include "moraine/base/map.h"
#include "moraine/base/position_set.h"
#include "moraine/storage.h"

struct iceberg_table;
struct iceberg_equality_group;

// Entries of one manifest, without column metrics in those of data files. Never changes; manifests
// are kept while the newest snapshot has them.
struct iceberg_entries {
    atomic_int references;
    struct mor_arena arena;
    struct iceberg_entry *entries;
    size_t count;
};

// A file that readers of the snapshot take.
struct iceberg_live {
    const struct iceberg_entry *entry;
    uint32_t manifest; // index in the state's
    const char *key;   // in the store
    // data files: the deletes that apply to it, indices into the state's deletes
    const uint32_t *deletes;
    uint32_t delete_count;
    uint32_t group; // equality deletes: index into the state's groups
};

struct iceberg_state {
    atomic_int references;
    struct mor_arena arena;
    struct iceberg_metadata *metadata;
    struct iceberg_snapshot snapshot; // snapshot_id -1: the table is empty
    struct iceberg_manifest_file *manifests;
    size_t manifest_count;
    struct iceberg_spec **specs; // of the metadata, by index
    size_t spec_count;
    // Set by iceberg_state_load_files.
    bool has_files;
    struct iceberg_entries **contents; // one per manifest
    struct iceberg_live *data, *deletes;
    size_t data_count, delete_count;
    struct mor_map by_key; // key of a data file -> index in data
    int64_t equality_delete_count;
    struct iceberg_equality_group *groups; // of equality deletes
    size_t group_count;
};

// The manifests of a snapshot (-1: of the newest; NOT_FOUND when it is gone). Any thread. The
// caller unrefs.
enum mor_status iceberg_state_open(struct iceberg_table *table, struct iceberg_metadata *metadata,
                                   int64_t snapshot_id, struct iceberg_state **ret_state,
                                   struct mor_error *err) MOR_CHECKED;
// The manifests of a list that was read: of a snapshot that the metadata may not have any more.
enum mor_status iceberg_state_of_list(struct iceberg_table *table,
                                      struct iceberg_metadata *metadata,
                                      const struct mor_buffer *list,
                                      struct iceberg_state **ret_state,
                                      struct mor_error *err) MOR_CHECKED;
struct iceberg_state *iceberg_state_ref(struct iceberg_state *state);
void iceberg_state_unref(struct iceberg_state *state); // NULL allowed
static inline void iceberg_state_cleanup(struct iceberg_state **state)
{
    iceberg_state_unref(*state);
}
#define ICEBERG_AUTO_STATE __attribute__((cleanup(iceberg_state_cleanup))) struct iceberg_state

// Reads what the manifests name, if that was not done yet. One thread at a time per state. FATAL
// for files that lie outside the table's location.
enum mor_status iceberg_state_load_files(struct iceberg_table *table, struct iceberg_state *state,
                                         struct mor_error *err) MOR_CHECKED;
// The live data file `key`; NULL when the snapshot has none.
const struct iceberg_live *iceberg_state_find(const struct iceberg_state *state, const char *key);
const struct iceberg_spec *iceberg_state_spec(const struct iceberg_state *state, int32_t spec_id);
// FATAL, in words, when other writers left equality deletes that cannot be applied here.
enum mor_status iceberg_state_check_deletes(const struct iceberg_state *state,
                                            struct mor_error *err) MOR_CHECKED;
// All entries of a manifest with their metrics, in the arena.
enum mor_status iceberg_state_read_manifest(struct iceberg_table *table,
                                            const struct iceberg_state *state, size_t manifest,
                                            struct mor_arena *arena,
                                            struct iceberg_entry **ret_entries, size_t *ret_count,
                                            struct mor_error *err) MOR_CHECKED;
// Adds the positions that the position deletes and the vector of a data file remove.
enum mor_status iceberg_state_removed_by_place(struct iceberg_table *table,
                                               const struct iceberg_state *state,
                                               const struct iceberg_live *file,
                                               struct mor_budget *budget,
                                               struct mor_position_set *positions,
                                               struct mor_error *err) MOR_CHECKED;
// What the equality deletes of one scope have in common, as bytes: spec and partition tuple;
// nothing of either when the spec has no partitions, since they remove rows of the whole table
// then.
void iceberg_state_scope(const struct iceberg_state *state, const struct iceberg_live *live,
                         struct mor_buffer *ret_name);
// A delete file that speaks of one data file alone: the URI of that, borrowed or in the arena; NULL
// = it speaks of several.
const char *iceberg_delete_target(const struct iceberg_data_file *file, struct mor_arena *arena);
// Forgets the contents of manifests. With the mutex of the table, or when nobody else has it.
void iceberg_contents_clear(struct iceberg_table *table);
// The file group's partition as text ("region=eu/created_at_day=2026-01-31"), as the router spells
// it.
void iceberg_partition_text(const struct iceberg_spec *spec, const struct iceberg_value *values,
                            struct mor_buffer *ret_text);

#endif
