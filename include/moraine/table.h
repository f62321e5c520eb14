// The neutral table: what a lakehouse table is to the rest of the program, whatever its format.
//
// Above this header no code asks which format it has; a format is a folder under src/table/ and one
// row in its registry. The module knows nothing of Kafka: offsets and ledger travel as opaque
// properties.
//
// Life of a commit: mor_write_begin -> mor_write_group (many, in parallel) -> mor_write_commit.
//
// Formats are of two kinds. Some find the versions of a row by its key when they are read. The
// others address rows by *place*: (data file, position in it); to change a row there, its writer
// says which place is void (mor_table_has_places).
#ifndef MORAINE_TABLE_H
#define MORAINE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/hash.h"
#include "moraine/base/memory.h"
#include "moraine/base/position_set.h"
#include "moraine/base/status.h"
#include "moraine/base/uuid.h"
#include "moraine/column.h"

enum mor_table_format { MOR_FORMAT_HUDI, MOR_FORMAT_ICEBERG, MOR_FORMAT_DELTA };

enum mor_transform {
    MOR_TRANSFORM_IDENTITY,
    MOR_TRANSFORM_YEAR,
    MOR_TRANSFORM_MONTH,
    MOR_TRANSFORM_DAY,
    MOR_TRANSFORM_HOUR,
    MOR_TRANSFORM_BUCKET,  // hash of the value modulo N
    MOR_TRANSFORM_TRUNCATE // the first W characters, or the multiple of W below a number
};

struct mor_partition_field {
    const char *column;
    enum mor_transform transform;
    int32_t argument; // N of a bucket, W of a truncation; 0 = the transform takes none
};

// What a new table shall be; compared with an existing one at open.
struct mor_table_options {
    enum mor_table_format format;
    const char *location;            // "file:///path", path, or "catalog:namespace.table"
    const char *database;            // NULL = "default"
    const char *name;                // NULL = last part of the location
    const struct mor_schema *schema; // rows as the pipeline builds them (borrowed for the call)
    const char *const *key_columns;  // none = append-only
    size_t key_column_count;
    const char *ordering_column; // NULL only for append-only tables
    const struct mor_partition_field *partition_fields;
    size_t partition_field_count;
    int32_t bucket_count;       // keyed tables; with places: files per partition and commit
    int32_t hudi_table_version; // 6 or 9; 0 = 6
    int32_t format_version;     // Iceberg: 2 or 3, of a new table or to upgrade to; 0 = 2
    const char *instance;      // written into the lock and the commits for people; NULL = host name
    struct mor_budget *budget; // borrowed
};

struct mor_table;

// ---- catalogs -----------------------------------------------------------------------------------

// A catalog that locations of the form "name:namespace.table" name; levels of a namespace are
// separated by dots.
struct mor_table_catalog {
    const char *name;
    const char *uri; // of an Iceberg REST catalog, without /v1
    const char *warehouse, *token, *credential, *scope, *oauth2_server_uri, *ca_location; // NULL
                                                                                          // = none
};
// The catalogs that this process knows, in place of those before; everything is copied. Tables that
// are open keep theirs. Any thread.
void mor_table_catalogs_set(const struct mor_table_catalog *catalogs, size_t count);
// Whether a location is a table in a catalog: "name:table" without a slash.
bool mor_table_is_in_catalog(const char *location);

// ---- opening ------------------------------------------------------------------------------------

// The types in which a format stores columns: e.g. for Hudi timestamps in microseconds and UUIDs as
// strings. The pipeline decodes straight into the returned schema.
enum mor_status mor_table_normalise_schema(enum mor_table_format format,
                                           const struct mor_schema *schema,
                                           struct mor_schema **ret_schema,
                                           struct mor_error *err) MOR_CHECKED;

// Opens for writing, creating the table when it does not exist. Takes the table's writer lock
// (RETRY with the holder's name when somebody has it), rolls back what failed writers left. FATAL
// with words when the existing table does not fit the options (key, partitioning, buckets, version,
// column types). A schema that only adds nullable columns to the table's is taken over with the
// next commit.
enum mor_status mor_table_open_write(const struct mor_table_options *options,
                                     struct mor_table **ret_table,
                                     struct mor_error *err) MOR_CHECKED;
// Opens whatever table is at `location` for reading. NOT_FOUND when there is none.
enum mor_status mor_table_open_read(const char *location, struct mor_budget *budget,
                                    struct mor_table **ret_table,
                                    struct mor_error *err) MOR_CHECKED;
void mor_table_free(struct mor_table *table); // releases the lock

// Rows in table order: the schema of batches for writing and of scans (without format-internal
// columns). Lives as long as the table.
const struct mor_schema *mor_table_schema(const struct mor_table *table);
const char *mor_table_name(const struct mor_table *table);
bool mor_table_is_keyed(const struct mor_table *table);
// Whether the last mor_write_begin failed (FATAL) because another writer has given a column a wider
// type since the table was opened: it is to be opened again. The writer's thread.
bool mor_table_is_outgrown(const struct mor_table *table);
// Whether rows are addressed by place: changes are then rows added and places removed, never keys.
bool mor_table_has_places(const struct mor_table *table);
// The same of a format; false for one that is not built in.
bool mor_format_has_places(enum mor_table_format format);
// Whether all versions of a row share the value of column `name`.
bool mor_table_is_key_column(const struct mor_table *table, const char *name);

// Name of key column number `index`, in the order of the key; NULL when there is none.
const char *mor_table_key_column(const struct mor_table *table, size_t index);

// Property `key` of the newest commit that carries it, copied into the arena; NOT_FOUND when no
// commit does. Reads the table again (strongly) when `refresh`, and then any thread may ask, also
// while a commit is on its way.
enum mor_status mor_table_property(struct mor_table *table, const char *key, bool refresh,
                                   struct mor_arena *arena, char **ret_value,
                                   struct mor_error *err) MOR_CHECKED;

// ---- routing ------------------------------------------------------------------------------------

// Finds table partition and bucket of rows. One router per thread; group ids are its own.
struct mor_router;
struct mor_router *mor_router_new(const struct mor_table *table);
void mor_router_free(struct mor_router *router);
// For rows [first, first + count): ret_groups[i] = group id, ret_keys[i] = 128-bit hash of the
// record key (keyed tables; may be NULL for append-only). DATA is reported per row: ret_groups[i] =
// UINT32_MAX when the row has no key, no ordering value, or a partition value that cannot be a
// path. keys_only[i] (may be NULL = none) marks tombstones, which only have their key columns:
// their group is MOR_GROUP_ANY_PARTITION | bucket.
#define MOR_GROUP_INVALID       UINT32_MAX
#define MOR_GROUP_ANY_PARTITION 0x80000000u
void mor_router_route(struct mor_router *router, const struct mor_batch *batch, size_t first,
                      size_t count, const bool *keys_only, uint32_t *ret_groups,
                      struct mor_hash128 *ret_keys);
// Why the row at `row` was invalid, in words.
void mor_router_explain(struct mor_router *router, const struct mor_batch *batch, size_t row,
                        struct mor_error *err);
// Table partition ("" = not partitioned, NULL for MOR_GROUP_ANY_PARTITION) and bucket (-1 = none)
// of a group id; borrowed from the router.
void mor_router_group(const struct mor_router *router, uint32_t group, const char **ret_partition,
                      int32_t *ret_bucket);
// Partitions of the table in which bucket `bucket` has a file group (for tombstones that do not
// know theirs). Borrowed array in the arena. Committer thread only.
void mor_table_partitions_with_bucket(struct mor_table *table, int32_t bucket,
                                      struct mor_arena *arena, const char ***ret_partitions,
                                      size_t *ret_count);

// ---- writing ------------------------------------------------------------------------------------

struct mor_row_ref {
    uint32_t batch; // index into the change set's batches
    uint32_t row;
};

// All changes of one file group in one commit. A key occurs at most once in a group, either as an
// upsert or as a delete.
struct mor_change_group {
    const char *partition; // "" = table is not partitioned
    int32_t bucket;        // -1: append-only
    struct mor_row_ref *upserts;
    size_t upsert_count;
    struct mor_row_ref *deletes; // only the key columns of these rows matter; none with places
    size_t delete_count;
};

// Rows that a commit removes from a data file which the base of the write has (tables with places).
struct mor_change_removal {
    const char *file;          // key of the data file in mor_table_store
    const uint32_t *positions; // of rows, counted from 0, ascending, each once
    size_t count;
};

// Borrowed for the commit; batches have the schema of mor_table_schema.
struct mor_change_set {
    struct mor_batch *const *batches;
    size_t batch_count;
    struct mor_change_group *groups;
    size_t group_count;
    const struct mor_change_removal *removals; // a file at most once
    size_t removal_count;
};

struct mor_property {
    const char *key;
    const char *value;
};
// Source position as text for other ingestion tools; each format stores it under its own
// convention.
#define MOR_PROPERTY_CHECKPOINT "checkpoint"
// The value of a property in a commit that only carries it on. A property that is a JSON object may
// name in its member "own" those members that tell of its own commit alone: they are emptied (0,
// [],
// {} or an object of zeros), so that no two commits claim the same. The caller frees.
char *mor_property_carried(const char *value);

struct mor_commit_result {
    char version[64]; // name of the commit: instant time, snapshot id, version number
    int64_t file_count;
    int64_t bytes_written;
    int64_t log_file_count; // of file_count: delta files
};

// One commit in preparation. One at a time per open table; several instances may have the same
// table open, each under a name of its own.
struct mor_write;
// Takes the newest commit as the base of a new one (files carry batch_id or an instant that belongs
// to it). Completes what another instance decided and left unfinished. Waits a while for the turn
// of this instance, so that instances do not write for nothing; being right does not depend on it.
// RETRY: another writer is in the way, or the disk. FATAL: the table changed in a way that ends
// writing, in words.
enum mor_status mor_write_begin(struct mor_table *table, const struct mor_uuid *batch_id,
                                struct mor_write **ret_write, struct mor_error *err) MOR_CHECKED;
// Property of the base; NULL when it has none. Borrowed until the write is freed. The offsets that
// a commit must continue are in here: compare them before anything is written.
const char *mor_write_base_property(const struct mor_write *write, const char *key);
// Name of the base, "" for a table without commits. Borrowed.
const char *mor_write_base_version(const struct mor_write *write);
// True, once, when the base is older than what this table handle saw before: an operator rolled the
// table back or restored it. Local state that is ahead must be set aside.
bool mor_write_base_went_back(const struct mor_write *write);
// Keeps opaque bytes with the commit, beside its rows: they appear and vanish with it. `kind`
// ([a-z_], at most 32 characters) once per commit. Committer.
enum mor_status mor_write_attach(struct mor_write *write, const char *kind, const void *bytes,
                                 size_t size_bytes, struct mor_error *err) MOR_CHECKED;
// Writes the files of one group, durable but invisible. Any thread, several groups at once.
// *ret_existed: the file group existed before (its rows are updates), may be NULL.
enum mor_status mor_write_group(struct mor_write *write, const struct mor_change_set *changes,
                                size_t group_index, struct mor_error *err) MOR_CHECKED;
// Tables with places, after mor_write_group: key of the one data file of the group, in which
// upserts[i] is the row at position i; NULL when it has none. Never the name that another attempt
// used. Borrowed until the write is freed.
const char *mor_write_group_file(const struct mor_write *write, size_t group_index);
// Tables with places: prepares removals[removal_index]. Any thread, several at once. CONFLICT when
// the base does not have the file (any more).
enum mor_status mor_write_removal(struct mor_write *write, const struct mor_change_set *changes,
                                  size_t removal_index, struct mor_error *err) MOR_CHECKED;
// Publishes everything with the properties, atomically, after the base and nothing else; properties
// of the base that are not given are carried on. CONFLICT: another change came after the base, free
// the write and begin again. UNKNOWN: it is or may be decided, ask mor_table_has_batch. RETRY:
// nothing happened. FATAL: the table was changed in a way that ends writing, in words.
enum mor_status mor_write_commit(struct mor_write *write, const struct mor_property *properties,
                                 size_t property_count, struct mor_commit_result *ret_result,
                                 struct mor_error *err) MOR_CHECKED;
// Frees; what was written is removed unless it was committed.
void mor_write_free(struct mor_write *write);
// Strongly: is the commit of this batch in the table? Looks at every commit since the base of the
// table's last mor_write_begin, and completes what is decided. RETRY: not known now, ask again.
enum mor_status mor_table_has_batch(struct mor_table *table, const struct mor_uuid *batch_id,
                                    bool *ret_has, struct mor_error *err) MOR_CHECKED;

// What mor_write_attach kept, of commits after `after_version` (NULL = of all) up to the newest,
// oldest first. NOT_FOUND when after_version is not in the table (any more).
struct mor_attachment {
    const char *version; // of its commit
    const char *key;     // of its bytes in mor_table_store
    int64_t size_bytes;
};
enum mor_status mor_table_attachments(struct mor_table *table, const char *kind,
                                      const char *after_version, struct mor_arena *arena,
                                      struct mor_attachment **ret_attachments, size_t *ret_count,
                                      struct mor_error *err) MOR_CHECKED;
// Tables with places: data files of the newest snapshot that commits after `after_version` added by
// moving rows of other files into them, as slices; places in the files that they replaced are void.
// NOT_FOUND with words when that is not known (any more), or when somebody else added, changed or
// removed rows since: then everything about places has to be read from the table again.
struct mor_slice;
enum mor_status mor_table_moved_files(struct mor_table *table, const char *after_version,
                                      struct mor_arena *arena, struct mor_slice **ret_slices,
                                      size_t *ret_count, struct mor_error *err) MOR_CHECKED;
// Nobody needs it any more.
enum mor_status mor_table_attachment_drop(struct mor_table *table,
                                          const struct mor_attachment *attachment,
                                          struct mor_error *err) MOR_CHECKED;

// True when the group's file group exists in the table (its rows may be updates). Any thread.
bool mor_table_has_group(const struct mor_table *table, const char *partition, int32_t bucket);

// ---- history and description --------------------------------------------------------------------

struct mor_commit_info {
    char version[64];
    const char *operation; // "upsert", "compaction", "rollback", ...
    int64_t time_ms;       // when it became visible
    int64_t files_added, bytes_added, rows_written, rows_deleted; // as the format states them
    const struct mor_property *properties;
    size_t property_count;
};
// Newest last. Lives in the arena.
enum mor_status mor_table_history(struct mor_table *table, struct mor_arena *arena,
                                  struct mor_commit_info **ret_commits, size_t *ret_count,
                                  struct mor_error *err) MOR_CHECKED;

// The view of the table that slices were taken from; internal to the format.
struct mor_snapshot;

// One file group as it is now: base file and the delta files to merge on it, oldest first. With
// places a slice is one data file, and its deltas say which of its rows are removed.
struct mor_slice {
    uint32_t number; // index in the list that it came in
    const char *partition;
    const char *file_group;
    const char *base_key; // NULL = none
    int64_t base_size_bytes;
    const char *const *delta_keys;
    size_t delta_count;
    int64_t delta_size_bytes;
    int64_t oldest_delta_ms; // wall clock of its commit; 0 = there are no deltas
    int64_t base_row_count;  // 0 = not known without a look
    int64_t delta_row_count; // with places: rows removed, at most; 0 = none, or not known
    int64_t base_row_id;     // of the row at position 0; -1 = rows have no ids
    int64_t base_sequence;   // of the commit that wrote the rows; 0 = not known
    bool sealed;             // slices with these names have these rows, always
    bool has_outdated_delta; // see mor_table_mark_outdated
    const struct mor_snapshot *snapshot; // lives in the arena of the slice
};
// Slices of the newest snapshot, or of `version` when not NULL (NOT_FOUND with words when it is
// gone).
enum mor_status mor_table_slices(struct mor_table *table, const char *version,
                                 struct mor_arena *arena, struct mor_slice **ret_slices,
                                 size_t *ret_count, struct mor_error *err) MOR_CHECKED;
// Tells of the slices, which the table has just given, whether one of their deltas is from before
// the type of a column was changed: not every reader takes such deltas. Reads some commits.
// mor_rewrite_slices are marked already. Any thread.
enum mor_status mor_table_mark_outdated(struct mor_table *table, struct mor_slice *slices,
                                        size_t count, struct mor_error *err) MOR_CHECKED;
// Newest version that readers saw at `time_ms` (wall clock), copied; NOT_FOUND with the oldest one
// when the table is younger, or does not remember.
enum mor_status mor_table_version_at(struct mor_table *table, int64_t time_ms, char ret_version[64],
                                     struct mor_error *err) MOR_CHECKED;
// Every data file of the table by itself, of any version, merged or not: a slice with a base and no
// deltas, or with one delta and no base. What is in them is read without regard to commits.
enum mor_status mor_table_data_files(struct mor_table *table, struct mor_arena *arena,
                                     struct mor_slice **ret_files, size_t *ret_count,
                                     struct mor_error *err) MOR_CHECKED;
// Facts for `describe` as a JSON object text: format, version, key, partitioning, buckets,
// ordering...
enum mor_status mor_table_describe(struct mor_table *table, struct mor_buffer *ret_json,
                                   struct mor_error *err) MOR_CHECKED;

// ---- audit --------------------------------------------------------------------------------------

// A file that readers of the newest snapshot need, as a commit states it.
struct mor_stated_file {
    const char *key;     // in mor_table_store
    const char *version; // newest commit that names it
    int64_t size_bytes;  // -1 = not stated
    int64_t row_count;   // of a base file; -1 = not stated
};
enum mor_audit_kind {
    MOR_AUDIT_MISSING, // `version` names the file `key`, readers need it, and it is not there
    MOR_AUDIT_UNNAMED, // readers take the file `key`, and `version`, which it belongs to, does not
                       // name it
    MOR_AUDIT_UNREADABLE, // the log of the table itself is damaged: `text` says how
    MOR_AUDIT_BROKEN, // `version`, the file `key`, or the table itself breaks a rule of the format:
                      // `text` says which
    MOR_AUDIT_PENDING,  // harmless: `version` was begun and not completed (yet)
    MOR_AUDIT_LEFTOVER, // harmless: nothing names the file `key`
    MOR_AUDIT_IDLE,     // harmless: `version` names the file `key` in vain, `text` says why
};
struct mor_audit_remark {
    enum mor_audit_kind kind;
    const char *version, *key, *text; // "" when it has none
};
struct mor_table_audit {
    struct mor_stated_file *files; // of commits that the table still has
    size_t file_count;
    struct mor_audit_remark *remarks;
    size_t remark_count;
    bool is_whole; // every commit since the table's first is still there: none was archived
};
// Compares what the table's commits state of its files with the files that are there, and with the
// rules of the format; of data files it opens the footer at most. Everything lives in the arena.
// Only for tables opened for reading; commits that land meanwhile do no harm (RETRY when there are
// too many of them).
enum mor_status mor_table_audit(struct mor_table *table, struct mor_arena *arena,
                                struct mor_table_audit *ret_audit,
                                struct mor_error *err) MOR_CHECKED;

// What mor_table_check_values looked at.
struct mor_values_checked {
    int64_t files, bounds;
};
// Reads every row of the newest snapshot's data files and compares the values with what the table
// states of them: counts and bounds, by which readers leave files out. `report` gets the key of the
// file and a sentence for every fault. Formats that state nothing of values do nothing. Errors are
// those of reading.
enum mor_status mor_table_check_values(
    struct mor_table *table, void (*report)(void *context, const char *key, const char *text),
    void *context, struct mor_values_checked *ret_checked, struct mor_error *err) MOR_CHECKED;

// ---- rewriting ----------------------------------------------------------------------------------

// The same rows in other files: base and deltas of a file group become one new base (merging), or
// many small file groups become few (clustering). Readers see the same rows before, during and
// after; what the table says of itself (properties, commit columns of rows) is carried on.
//
// Life: mor_rewrite_begin -> slices -> mor_rewrite_file_open, append, finish (several files side by
// side) -> mor_rewrite_commit.

// Opens whatever table is at `location` for rewriting, expiring and deleting, under an instance
// name of its own. NOT_FOUND when there is none. RETRY: an instance of that name has it open.
enum mor_status mor_table_open_rewrite(const char *location, const char *instance,
                                       struct mor_budget *budget, struct mor_table **ret_table,
                                       struct mor_error *err) MOR_CHECKED;

enum mor_rewrite_kind { MOR_REWRITE_MERGE, MOR_REWRITE_CLUSTER };
// One rewrite at a time per open table, and one thread, unless said otherwise.
struct mor_rewrite;
enum mor_status mor_rewrite_begin(struct mor_table *table, enum mor_rewrite_kind kind,
                                  struct mor_rewrite **ret_rewrite,
                                  struct mor_error *err) MOR_CHECKED;
// The slices that may be rewritten, of the snapshot that the rewrite builds on: those of file
// groups that another engine plans to rewrite are left out. Live as long as the rewrite.
void mor_rewrite_slices(const struct mor_rewrite *rewrite, const struct mor_slice **ret_slices,
                        size_t *ret_count);
// How many were left out for that.
int64_t mor_rewrite_reserved_count(const struct mor_rewrite *rewrite);
// Stored columns, format-internal and virtual ones included: of the rows to read and to append.
const struct mor_schema *mor_rewrite_schema(const struct mor_rewrite *rewrite);

struct mor_rewrite_counts {
    int64_t base_rows, delta_rows, delta_deletes, updated_rows; // what went into a file
};
// A new file. Merging: of the file group of slices[0] (count 1). Clustering: a new file group that
// takes rows of these slices, all of one table partition; several files may name the same slices.
// Slices are of mor_rewrite_slices. Any thread.
struct mor_rewrite_file;
enum mor_status mor_rewrite_file_open(struct mor_rewrite *rewrite,
                                      const struct mor_slice *const *slices, size_t slice_count,
                                      size_t row_group_bytes_max,
                                      struct mor_rewrite_file **ret_file,
                                      struct mor_error *err) MOR_CHECKED;
// Appends the rows of a batch of mor_rewrite_schema. One thread per file.
enum mor_status mor_rewrite_file_append(struct mor_rewrite_file *file,
                                        const struct mor_batch *batch,
                                        struct mor_error *err) MOR_CHECKED;
int64_t mor_rewrite_file_size_bytes(const struct mor_rewrite_file *file); // so far
// Durable but invisible; the file belongs to the rewrite now, or is gone. One without rows counts.
enum mor_status mor_rewrite_file_finish(struct mor_rewrite_file *take_file,
                                        const struct mor_rewrite_counts *counts,
                                        struct mor_error *err) MOR_CHECKED;
void mor_rewrite_file_free(
    struct mor_rewrite_file *file); // NULL allowed; removes what is unfinished

struct mor_rewrite_result {
    char version[64];
    int64_t file_count, bytes_written;
    int64_t left_out; // files whose slices somebody else rewrote meanwhile
};
// Publishes the finished files, atomically. Changes that came in meanwhile stay. CONFLICT: nothing
// fits the table any more. RETRY, UNKNOWN: as in mor_write_commit.
enum mor_status mor_rewrite_commit(struct mor_rewrite *rewrite,
                                   struct mor_rewrite_result *ret_result,
                                   struct mor_error *err) MOR_CHECKED;
void mor_rewrite_free(struct mor_rewrite *rewrite); // removes what was not published

// Which snapshots a table keeps. Newer than `age_ms`, and at least `min_snapshots`, whatever their
// age; what readers began before that stays readable.
struct mor_retention {
    int64_t age_ms;
    int64_t min_snapshots;
    int64_t orphan_age_ms; // files that no commit names: not before they are so old
};
struct mor_expired_file {
    const char *key;
    int64_t size_bytes;
};
struct mor_expiry {
    const char *oldest_version; // that is kept
    struct mor_expired_file *files;
    size_t file_count;
    int64_t bytes;
    const char **versions; // commits that leave the timeline
    size_t version_count;
};
// Removes the files that no kept snapshot needs and the commits that nothing refers to any more. A
// dry run only tells and writes nothing: the table may be open for reading only. The result lives
// in the arena. Files are removed after the table says so;
// what a crash leaves is found by the next call.
enum mor_status mor_table_expire(struct mor_table *table, const struct mor_retention *retention,
                                 bool dry_run, struct mor_arena *arena,
                                 struct mor_expiry *ret_expiry, struct mor_error *err) MOR_CHECKED;

// ---- reading one slice --------------------------------------------------------------------------

// How base and delta rows of a file group become one.
struct mor_merge_rule {
    const char
        *key_column; // rows with equal values are versions of one row; NULL: every row stands
    const char *ordering_column; // NULL = none
    bool by_ordering; // true: the higher ordering value wins, equal or unknown: the later one;
                      // false: the later one wins
    // the commit that wrote a row, and which of its rows it is, kept by rewrites; NULL = the table
    // does not tell
    const char *commit_column, *sequence_column;
    bool by_place; // deltas say which rows of the base are removed (mor_table_removed_rows), and
                   // nothing else: no key is needed, and there is no mor_delta
};
void mor_table_merge_rule(const struct mor_table *table, struct mor_merge_rule *ret_rule);
// Where the keys of slices live; borrowed.
struct mor_store *mor_table_store(const struct mor_table *table);
// Value that `partition` has for the table's partition field number `index` (false: there is no
// such field): its source column, transform and text, unescaped, in the arena; NULL text = null.
bool mor_table_partition_value(const struct mor_table *table, const char *partition, size_t index,
                               struct mor_arena *arena, const char **ret_column,
                               enum mor_transform *ret_transform, const char **ret_text);
// Virtual columns of tables with places, all long, filled by whoever reads a slice. A file that was
// rewritten stores the latter two; where it has none, or null, they follow from the slice.
#define MOR_COLUMN_PLACE    "_place"  // number of the slice << 32 | position in its base file
#define MOR_COLUMN_ROW_ID   "_row_id" // base_row_id + position
#define MOR_COLUMN_SEQUENCE "_last_updated_sequence_number" // base_sequence

// A column of the stored files by name, format-internal and virtual ones included; NULL when there
// is none.
const struct mor_field *mor_table_column(const struct mor_table *table, const char *name);

// Tables with places: which rows of a slice's base file its deltas remove; NULL when none is. The
// caller frees. Any thread.
enum mor_status mor_table_removed_rows(struct mor_table *table, const struct mor_slice *slice,
                                       struct mor_budget *budget,
                                       struct mor_position_set **ret_positions,
                                       struct mor_error *err) MOR_CHECKED;

// The changes beside a slice's base file in the order in which they were committed; only what the
// slice's snapshot sees. One thread.
enum mor_delta_kind { MOR_DELTA_END, MOR_DELTA_ROWS, MOR_DELTA_DELETES };
struct mor_delta;
// `wanted`: columns of the rows, borrowed for the delta's life.
enum mor_status mor_delta_open(struct mor_table *table, const struct mor_slice *slice,
                               const struct mor_schema *wanted, struct mor_delta **ret_delta,
                               struct mor_error *err) MOR_CHECKED;
// *ret_batch: rows of the wanted schema; or deletes: column 0 the key (string), column 1 (only when
// the rule has an ordering column, and of its type) the ordering value, null = removes every
// version that came before. Borrowed until the next call.
enum mor_status mor_delta_next(struct mor_delta *delta, enum mor_delta_kind *ret_kind,
                               const struct mor_batch **ret_batch,
                               struct mor_error *err) MOR_CHECKED;
// Leaves out rows whose bit is not set (LSB first; rows, not deletes, are numbered from 0 in the
// order in which they come). Before the first mor_delta_next; the bits are borrowed.
void mor_delta_select(struct mor_delta *delta, const uint8_t *row_bits, uint64_t row_count);
void mor_delta_free(struct mor_delta *delta); // NULL allowed

#endif
