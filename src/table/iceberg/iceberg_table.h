// An Iceberg table, private to this folder.
#ifndef MORAINE_TABLE_ICEBERG_TABLE_H
#define MORAINE_TABLE_ICEBERG_TABLE_H

#include <pthread.h>

#include "iceberg/iceberg_catalog.h"
#include "iceberg/iceberg_equality.h"
#include "iceberg/iceberg_state.h"
#include "table_format.h"
#include "writer_turn.h"

// Folders that other engines pass over, as they do with all names that begin with '_'.
#define ICEBERG_STAGED_PREFIX   "_moraine/staged"
#define ICEBERG_ATTACHED_PREFIX "_moraine/attached"
#define ICEBERG_WRITERS_PREFIX  "_moraine/writers"
#define ICEBERG_TURN_KEY        "_moraine/turn"

// Members of snapshot summaries and table properties of this program all begin with this; those of
// one snapshot alone are listed in iceberg_ancestry.c, all others are carried on.
#define ICEBERG_OWN_PREFIX   "moraine"
#define ICEBERG_LEDGER_KEY   "moraine"
#define ICEBERG_BATCH_KEY    "moraine.batch-id"
#define ICEBERG_INSTANCE_KEY "moraine.instance"
#define ICEBERG_ATTACHED_KEY "moraine.attached"    // kinds, separated by commas
#define ICEBERG_SNAPSHOT_KEY "moraine.snapshot-id" // table property: newest snapshot of ours
#define ICEBERG_KEY_KEY      "moraine.key"         // table property: key columns, "a,b"
#define ICEBERG_ORDERING_KEY "moraine.ordering"    // table property: ordering column

#define ICEBERG_VERSION_SIZE 24 // text of a snapshot id

// A commit whose outcome is not known: sent again until it is.
struct iceberg_pending {
    struct iceberg_metadata *base; // NULL = there is none
    struct iceberg_change change;
    int64_t snapshot_id;
    struct mor_uuid batch_id;
};

struct iceberg_table {
    struct mor_table table; // key columns are nullable in its schema: routing finds nulls
    int32_t format_version;
    struct mor_schema *file_schema;    // rows of data files: ids, key columns required
    struct mor_schema *rewrite_schema; // the same, row lineage of version 3, the place
    char *ordering_name;               // NULL = none
    int32_t spec_id;                   // partition spec of what this handle writes

    struct iceberg_catalog *catalog;
    pthread_mutex_t catalog_mutex; // a catalog takes one thread at a time

    pthread_mutex_t mutex;             // guards what follows
    struct iceberg_metadata *metadata; // newest that was seen
    struct mor_map manifests;          // path -> struct iceberg_entries
    struct iceberg_state *state;       // of the newest snapshot that was looked at; may be NULL

    pthread_mutex_t equality_mutex; // guards what follows; held while a group is read
    struct iceberg_equality_cache equality;

    // Writers only; the committer's thread.
    struct mor_lock *lock; // of the instance
    char *instance;
    struct mor_turn turn;
    int64_t turn_wait_ms;
    int64_t seen_snapshot_id, seen_sequence; // newest commit this handle knew, -1 = none
    bool went_back;                          // not told yet
    bool attached_checked;                   // nothing attached belongs to commits taken back
    int64_t begin_snapshot_id;               // base of the last begin, -1 = none
    struct iceberg_pending pending;
};

static inline struct iceberg_table *iceberg_of(struct mor_table *table)
{
    return (struct iceberg_table *)table;
}
static inline const struct iceberg_table *iceberg_of_const(const struct mor_table *table)
{
    return (const struct iceberg_table *)table;
}

static inline void iceberg_version_format(int64_t snapshot_id, char ret_text[ICEBERG_VERSION_SIZE])
{
    if (snapshot_id < 0)
        *ret_text = '\0';
    else
        snprintf(ret_text, ICEBERG_VERSION_SIZE, "%lld", (long long)snapshot_id);
}
// Snapshot id of a version's text; NOT_FOUND in words when it is none.
enum mor_status iceberg_version_parse(const char *version, int64_t *ret_snapshot_id,
                                      struct mor_error *err) MOR_CHECKED;

// ---- iceberg_open.c, iceberg_create.c -----------------------------------------------------------

enum mor_status iceberg_probe(struct mor_store *store, bool *ret_found,
                              struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_open_write(struct mor_store *take_store,
                                   const struct mor_table_options *options,
                                   struct mor_table **ret_table, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_open_read(struct mor_store *take_store, struct mor_budget *budget,
                                  struct mor_table **ret_table, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_open_rewrite(struct mor_store *take_store, const char *instance,
                                     struct mor_budget *budget, struct mor_table **ret_table,
                                     struct mor_error *err) MOR_CHECKED;
// The same for a table in a catalog, which is taken in every case; `name` and `database` are what
// it is called there.
struct iceberg_named {
    struct iceberg_catalog *catalog;
    const char *name, *database;
};
enum mor_status iceberg_open_write_named(const struct iceberg_named *take_named,
                                         const struct mor_table_options *options,
                                         struct mor_table **ret_table,
                                         struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_open_read_named(const struct iceberg_named *take_named,
                                        struct mor_budget *budget, struct mor_table **ret_table,
                                        struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_open_rewrite_named(const struct iceberg_named *take_named,
                                           const char *instance, struct mor_budget *budget,
                                           struct mor_table **ret_table,
                                           struct mor_error *err) MOR_CHECKED;
void iceberg_free(struct mor_table *table);
enum mor_status iceberg_normalise_field(struct mor_field *field, struct mor_error *err) MOR_CHECKED;

// The newest metadata. Any thread. FATAL when the table was replaced by another. The caller unrefs.
enum mor_status iceberg_load(struct iceberg_table *table, struct iceberg_metadata **ret_metadata,
                             struct mor_error *err) MOR_CHECKED;
// What is known without asking the catalog; NULL before the first load. The caller unrefs.
struct iceberg_metadata *iceberg_known(struct iceberg_table *table);
// A commit of this handle made `metadata` the newest.
void iceberg_remember(struct iceberg_table *table, struct iceberg_metadata *metadata);
// Whether columns of the table have other types in the metadata, and are the same otherwise: a type
// of Iceberg only ever becomes wider.
bool iceberg_is_outgrown(const struct iceberg_table *table,
                         const struct iceberg_metadata *metadata);
// FATAL, in words, when metadata do not fit what the table was opened with: other columns, other
// partitioning, another format version.
enum mor_status iceberg_check_unchanged(const struct iceberg_table *table,
                                        const struct iceberg_metadata *metadata,
                                        struct mor_error *err) MOR_CHECKED;

// Makes the table that the options describe; CONFLICT when somebody else just did.
enum mor_status iceberg_create(struct iceberg_table *table, const struct mor_table_options *options,
                               struct iceberg_metadata **ret_metadata,
                               struct mor_error *err) MOR_CHECKED;
// Brings an existing table to what the options need: columns, format version, what this program
// notes of it. FATAL, in words, where that cannot be.
enum mor_status iceberg_adapt(struct iceberg_table *table, const struct mor_table_options *options,
                              struct iceberg_metadata **metadata,
                              struct mor_error *err) MOR_CHECKED;

// ---- iceberg_ancestry.c -------------------------------------------------------------------------

// Snapshots from the newest (or `snapshot_id`) to its oldest known ancestor, in the arena.
// *ret_whole: the last of them is the table's first; false: older ones have expired.
void iceberg_ancestors(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                       struct mor_arena *arena, struct iceberg_snapshot **ret_snapshots,
                       size_t *ret_count, bool *ret_whole);
// Whether `snapshot_id` is `of` or an ancestor of it, as far as is known.
bool iceberg_is_ancestor(const struct iceberg_metadata *metadata, int64_t of, int64_t snapshot_id);
// Whether `snapshot_id`, which the table had, is no ancestor of the newest and did not expire.
bool iceberg_was_taken_back(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                            int64_t sequence_number);
bool iceberg_is_own(const struct iceberg_snapshot *snapshot); // a snapshot of this program
// What the next commit of this program finds: properties of its newest snapshot that is an ancestor
// of the newest one, or the table's own copy when all have expired. The caller decrefs.
json_t *iceberg_base_properties(const struct iceberg_metadata *metadata);
// Those of `base` that a commit carries on which says nothing of its own.
json_t *iceberg_carried_properties(const json_t *base);
// Name of a caller's property in summaries: "checkpoint" is "moraine.checkpoint".
void iceberg_property_name(const char *key, char *ret_name, size_t capacity);
enum mor_status iceberg_property(struct mor_table *table, const char *key, bool refresh,
                                 struct mor_arena *arena, char **ret_value,
                                 struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_has_batch(struct mor_table *table, const struct mor_uuid *batch_id,
                                  bool *ret_has, struct mor_error *err) MOR_CHECKED;
// Forgets a commit whose outcome was not known: it is, or another one follows.
void iceberg_pending_done(struct iceberg_table *table);
enum mor_status iceberg_version_at(struct mor_table *table, int64_t time_ms, char ret_version[64],
                                   struct mor_error *err) MOR_CHECKED;

// ---- iceberg_write.c ----------------------------------------------------------------------------

enum mor_status iceberg_write_begin(struct mor_table *table, const struct mor_uuid *batch_id,
                                    struct mor_write **ret_write,
                                    struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_write_group(struct mor_write *write, const struct mor_change_set *changes,
                                    size_t group_index, struct mor_error *err) MOR_CHECKED;
const char *iceberg_write_group_file(const struct mor_write *write, size_t group_index);
enum mor_status iceberg_write_removal(struct mor_write *write, const struct mor_change_set *changes,
                                      size_t removal_index, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_write_commit(struct mor_write *write, const struct mor_property *properties,
                                     size_t property_count, struct mor_commit_result *ret_result,
                                     struct mor_error *err) MOR_CHECKED;
void iceberg_write_free(struct mor_write *write);
const char *iceberg_write_base_property(const struct mor_write *write, const char *key);
const char *iceberg_write_base_version(const struct mor_write *write);
bool iceberg_write_base_went_back(const struct mor_write *write);

// ---- iceberg_attach.c ---------------------------------------------------------------------------

enum mor_status iceberg_write_attach(struct mor_write *write, const char *kind, const void *bytes,
                                     size_t size_bytes, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_attachments(struct mor_table *table, const char *kind,
                                    const char *after_version, struct mor_arena *arena,
                                    struct mor_attachment **ret_attachments, size_t *ret_count,
                                    struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_attachment_drop(struct mor_table *table,
                                        const struct mor_attachment *attachment,
                                        struct mor_error *err) MOR_CHECKED;
char *iceberg_staged_key(int64_t sequence_number, int64_t snapshot_id, const char *kind);
// What is staged for commits that are in the table gets its place.
enum mor_status iceberg_attached_settle(struct mor_store *store,
                                        const struct iceberg_metadata *metadata,
                                        struct mor_error *err) MOR_CHECKED;
// Deletes what is attached to commits that were taken back, by the table as it is now: others may
// have committed since the caller looked.
enum mor_status iceberg_attached_purge(struct iceberg_table *table,
                                       struct mor_error *err) MOR_CHECKED;

// ---- iceberg_slices.c, iceberg_history.c --------------------------------------------------------

enum mor_status iceberg_slices(struct mor_table *table, const char *version,
                               struct mor_arena *arena, struct mor_slice **ret_slices,
                               size_t *ret_count, struct mor_error *err) MOR_CHECKED;
// The same of a state; partition, keys and the rest are in the arena, entries are the state's.
enum mor_status iceberg_slices_of(const struct iceberg_table *table, struct iceberg_state *state,
                                  struct mor_arena *arena, struct mor_slice **ret_slices,
                                  size_t *ret_count, struct mor_error *err) MOR_CHECKED;
// The data file of a slice in the state it was made of.
const struct iceberg_live *iceberg_slice_file(const struct mor_slice *slice);
enum mor_status iceberg_data_files(struct mor_table *table, struct mor_arena *arena,
                                   struct mor_slice **ret_files, size_t *ret_count,
                                   struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_moved_files(struct mor_table *table, const char *after_version,
                                    struct mor_arena *arena, struct mor_slice **ret_slices,
                                    size_t *ret_count, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_removed_rows(struct mor_table *table, const struct mor_slice *slice,
                                     struct mor_budget *budget,
                                     struct mor_position_set **ret_positions,
                                     struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_history(struct mor_table *table, struct mor_arena *arena,
                                struct mor_commit_info **ret_commits, size_t *ret_count,
                                struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_describe(struct mor_table *table, struct mor_buffer *ret_json,
                                 struct mor_error *err) MOR_CHECKED;

// ---- iceberg_audit.c, iceberg_lint_values.c
// ----------------------------------------------------------------------------

enum mor_status iceberg_audit(struct mor_table *table, struct mor_arena *arena,
                              struct mor_table_audit *ret_audit, struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_check_values(
    struct mor_table *table, void (*report)(void *context, const char *key, const char *text),
    void *context, struct mor_values_checked *ret_checked, struct mor_error *err) MOR_CHECKED;

#endif
