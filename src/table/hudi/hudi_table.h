// A Hudi table, private to this folder.
#ifndef MORAINE_TABLE_HUDI_TABLE_H
#define MORAINE_TABLE_HUDI_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "hudi/hudi_chain.h"
#include "hudi/hudi_metadata.h"
#include "hudi/hudi_properties.h"
#include "hudi/hudi_slices.h"
#include "table_format.h"
#include "writer_turn.h"

#define HUDI_META_COLUMNS    5
#define HUDI_KEY_COLUMN      "_hoodie_record_key"
#define HUDI_COMMIT_COLUMN   "_hoodie_commit_time"
#define HUDI_SEQUENCE_COLUMN "_hoodie_commit_seqno"
#define HUDI_LOCK_KEY        ".hoodie/moraine/lock"     // while a table is opened
#define HUDI_ARCHIVED_KEY    ".hoodie/moraine/archived" // there once instants left the timeline
#define HUDI_INSTANCE_KEY    "moraine.instance"         // in the metadata of commits: who wrote it
#define HUDI_PARTITION_BY_KEY                                                                      \
    "moraine.partition.by" // in hoodie.properties: "day(created_at),region"
#define HUDI_PAYLOAD_ORDERING "org.apache.hudi.common.model.DefaultHoodieRecordPayload"

// Newest slice of a file group as the next log needs it.
struct hudi_group {
    char *partition;
    char *file_id;
    char *base_name; // NULL = none
    int64_t base_size_bytes;
    char base_instant[HUDI_TIME_SIZE];
    char name_instant[HUDI_TIME_SIZE]; // version 6: of the next log
    int32_t log_version;               // version 6: greatest one under name_instant
    char **logs;                       // version 6: names, for the commit's statistics
    size_t log_count, log_capacity;
};

struct hudi_write;

struct hudi_table {
    struct mor_table table;
    int version; // 6, 8 or 9
    int layout;
    struct mor_buffer properties_bytes; // as they were at open
    struct hudi_properties properties;
    struct mor_schema *stored_schema; // meta columns, table schema, derived partition columns
    size_t derived_count;
    char *schema_json;       // of the table and derived columns: "schema" of every commit
    char *block_schema_json; // the same with meta columns: header of log blocks
    char *ordering_name;     // NULL = none
    bool by_ordering;
    bool has_meta_columns;

    // Writers only; the committer's thread unless said otherwise.
    struct mor_lock *lock; // of the instance
    char *instance;
    char *staging_prefix;
    atomic_uint_fast64_t staged_next; // names in the staging folder
    struct mor_turn turn;
    int64_t turn_wait_ms;
    struct hudi_slot head;         // of the chain, as of begin
    struct hudi_timeline timeline; // as of begin
    char seen[HUDI_TIME_SIZE];     // newest commit this handle knew, "" = none
    bool went_back;                // not told yet
    struct mor_map extra_cache;    // instant -> extraMetadata (json_t) of completed commits
    uint64_t groups_digest;        // hudi_timeline_digest that the groups were built for; 0 = none
    uint64_t groups_slot;          // head at that time
    char groups_batch[MOR_UUID_TEXT_SIZE];
    struct mor_map mended;          // version 6: compaction plans that hudi_mend looked at
    pthread_mutex_t mutex;          // guards what follows
    struct mor_map groups;          // partition, zero byte, file id -> struct hudi_group
    struct mor_map partitions;      // partitions that have their metadata file
    char last_time[HUDI_TIME_SIZE]; // greatest instant or completion given out or seen
};

static inline struct hudi_table *hudi_of(struct mor_table *table)
{
    return (struct hudi_table *)table;
}

static inline const struct hudi_table *hudi_of_const(const struct mor_table *table)
{
    return (const struct hudi_table *)table;
}

// ---- hudi_schema.c ------------------------------------------------------------------------------

enum mor_status hudi_normalise_field(struct mor_field *field, struct mor_error *err) MOR_CHECKED;
// Sets stored_schema and the two JSON texts from table.schema and the partition columns.
enum mor_status hudi_schema_prepare(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;
// Schema text for a commit after one that states `newest`: columns that another instance added
// stay. FATAL when the two do not fit. The caller frees.
enum mor_status hudi_schema_join(const struct hudi_table *table, const char *newest,
                                 char **ret_json, struct mor_error *err) MOR_CHECKED;
// Table schema of a commit's "schema" text; derived partition columns are left out.
enum mor_status hudi_schema_parse(const char *json, const char *const *derived_names,
                                  size_t derived_count, struct mor_schema **ret_schema,
                                  struct mor_error *err) MOR_CHECKED;

// ---- hudi_open.c, hudi_create.c -----------------------------------------------------------------

enum mor_status hudi_probe(struct mor_store *store, bool *ret_found,
                           struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_open_write(struct mor_store *take_store,
                                const struct mor_table_options *options,
                                struct mor_table **ret_table, struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_open_read(struct mor_store *take_store, struct mor_budget *budget,
                               struct mor_table **ret_table, struct mor_error *err) MOR_CHECKED;
void hudi_free(struct mor_table *table);
// FATAL, in words, when the properties of the table do not fit what it was opened with.
enum mor_status hudi_check_options(const struct hudi_table *table, int version_wanted,
                                   struct mor_error *err) MOR_CHECKED;
// Properties of a new table from its options; table.schema and what is bound are set.
void hudi_create_properties(const struct hudi_table *table, struct hudi_properties *properties);
// FATAL, naming what differs, unless the properties on disk are those of open.
enum mor_status hudi_properties_unchanged(struct hudi_table *table,
                                          struct mor_error *err) MOR_CHECKED;

// ---- hudi_groups.c ------------------------------------------------------------------------------

// Builds groups and partitions from the files on disk and the timeline in memory.
enum mor_status hudi_groups_load(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;
void hudi_groups_clear(struct hudi_table *table);
// Borrowed; NULL when the file group does not exist. Any thread.
struct hudi_group *hudi_group_find(const struct hudi_table *table, const char *partition,
                                   const char *file_id);
// Takes a committed base file or log into the index.
void hudi_group_add_base(struct hudi_table *table, const char *partition, const char *file_id,
                         const char *name, const char *instant, int64_t size_bytes);
void hudi_group_add_log(struct hudi_group *group, const char *name, int32_t version);
bool hudi_has_group(const struct mor_table *table, const char *partition, int32_t bucket);
// Takes in the files of a commit of the chain. False when they do not fit what is known.
bool hudi_groups_apply(struct hudi_table *table, const struct hudi_slot *slot);
// Version 6: logs that come after a compaction was planned carry the plan's instant, so that they
// belong to the slice it will make.
enum mor_status hudi_groups_apply_plan(struct hudi_table *table, const struct hudi_instant *instant,
                                       struct mor_error *err) MOR_CHECKED;
bool hudi_has_partition(struct hudi_table *table, const char *partition); // any thread
void hudi_partitions_with_bucket(struct mor_table *table, int32_t bucket, struct mor_arena *arena,
                                 const char ***ret_partitions, size_t *ret_count);

// ---- hudi_extra.c -------------------------------------------------------------------------------

// extraMetadata of a completed commit; borrowed from the cache. NULL object when it has none.
enum mor_status hudi_extra_read(struct hudi_table *table, const struct hudi_instant *instant,
                                const json_t **ret_extra, struct mor_error *err) MOR_CHECKED;
// The same from disk, for any thread; the caller decrefs.
enum mor_status hudi_extra_load(const struct hudi_table *table, const struct hudi_instant *instant,
                                json_t **ret_extra, struct mor_error *err) MOR_CHECKED;
void hudi_extra_remember(struct hudi_table *table, const char *instant, json_t *extra);
// Value of `key` in the newest completed commit that carries it; NULL when none does. Borrowed.
enum mor_status hudi_extra_find(struct hudi_table *table, const char *key, const char **ret_value,
                                struct mor_error *err) MOR_CHECKED;
// Properties that a next commit finds: of the newest commit of this program, and of what others
// committed since. The caller decrefs. A rewrite of files carries all of them on.
enum mor_status hudi_extra_base(struct hudi_table *table, json_t **ret_extra,
                                struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_property(struct mor_table *table, const char *key, bool refresh,
                              struct mor_arena *arena, char **ret_value,
                              struct mor_error *err) MOR_CHECKED;

// ---- hudi_write.c, hudi_encode.c ----------------------------------------------------------------

// Statistics of one file that a commit wrote.
struct hudi_file_stat {
    char *partition;
    char *file_id;
    char *name;         // logs: NULL until the commit is decided
    const char *staged; // key; borrowed from the change
    int32_t number;     // in the name
    bool is_log;
    int64_t rows, deletes, size_bytes;
    int32_t log_version;
};

struct hudi_attached {
    char *kind;
    const char *staged; // key; borrowed from the change
    int64_t size_bytes;
};

struct hudi_write {
    struct mor_write write;
    struct hudi_change change;
    const char *instant; // of the change
    struct mor_uuid batch_id;
    json_t *base; // properties of the base
    char base_version[HUDI_TIME_SIZE];
    bool went_back;
    char *schema_json; // of the commit; NULL = the table's
    struct hudi_attached *attached;
    size_t attached_count;
    pthread_mutex_t mutex; // guards what follows
    struct hudi_file_stat *stats;
    size_t stat_count, stat_capacity;
    int32_t file_number; // names of append-only files
};

enum mor_status hudi_write_begin(struct mor_table *table, const struct mor_uuid *batch_id,
                                 struct mor_write **ret_write, struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_write_group(struct mor_write *write, const struct mor_change_set *changes,
                                 size_t group_index, struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_write_commit(struct mor_write *write, const struct mor_property *properties,
                                  size_t property_count, struct mor_commit_result *ret_result,
                                  struct mor_error *err) MOR_CHECKED;
void hudi_write_free(struct mor_write *write);
const char *hudi_write_base_property(const struct mor_write *write, const char *key);
const char *hudi_write_base_version(const struct mor_write *write);
bool hudi_write_base_went_back(const struct mor_write *write);

// Writes the base file or log of a group to its staged key; fills rows, deletes and size of the
// stat.
enum mor_status hudi_encode_base(struct hudi_write *write, const struct mor_change_set *changes,
                                 const struct mor_change_group *group, int32_t number,
                                 struct hudi_file_stat *stat, struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_encode_log(struct hudi_write *write, const struct mor_change_set *changes,
                                const struct mor_change_group *group, int32_t number,
                                struct hudi_file_stat *stat, struct mor_error *err) MOR_CHECKED;

// "partition/name", or "name" when the partition is "".
char *hudi_data_key(const char *partition, const char *name);

// ---- hudi_commit.c ------------------------------------------------------------------------------

// Commit metadata of the given files as a JSON tree. The caller decrefs.
json_t *hudi_commit_build(const struct hudi_table *table, const char *instant,
                          const struct hudi_file_stat *stats, size_t stat_count,
                          const char *operation, json_t *take_extra);
// Its bytes for the table's version.
enum mor_status hudi_commit_encode(const struct hudi_table *table, const json_t *json,
                                   struct mor_buffer *ret_bytes, struct mor_error *err) MOR_CHECKED;

// ---- hudi_instance.c ----------------------------------------------------------------------------

// Takes the lock of the instance: RETRY with words when one of that name has the table open.
enum mor_status hudi_instance_open(struct hudi_table *table, const char *instance,
                                   struct mor_error *err) MOR_CHECKED;
// FATAL when somebody removed the lock: another process may use the name by now.
enum mor_status hudi_instance_check(const struct hudi_table *table,
                                    struct mor_error *err) MOR_CHECKED;
// Waits for the turn of this instance, in vain after table->turn_wait_ms. Turns only save work.
void hudi_turn_take(struct hudi_table *table);
void hudi_turn_release(struct hudi_table *table);
// Finishes what is decided, then empties the staging folders of this instance and of all that do
// not run.
enum mor_status hudi_staging_clear(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;

// ---- hudi_base.c --------------------------------------------------------------------------------

// Reads head and timeline, finishes what is decided. Pending instants of older versions of this
// program go into `failed` (NULL: they are RETRY); RETRY when another writer's is pending.
enum mor_status hudi_base_settle(struct hudi_table *table, struct mor_map *failed,
                                 struct mor_error *err) MOR_CHECKED;
// After settling: notices that the table was taken back, and says so in the chain.
enum mor_status hudi_base_follow(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;
// Finishes what is decided, so that it can be read. Any thread; handles for reading change nothing.
enum mor_status hudi_base_finish(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;
// What the next commit builds on: head, timeline and file groups, after a look at whether the table
// was taken back.
enum mor_status hudi_base_load(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;
// Whether the commit `version`, which the table had, was taken back by somebody. Any thread.
enum mor_status hudi_base_was_taken_back(struct mor_store *store, const char *version,
                                         bool *ret_taken, struct mor_error *err) MOR_CHECKED;
// Newest completed instant that holds rows; "" when there is none.
const char *hudi_base_version(const struct hudi_timeline *timeline);
// A commit of this handle became the head; takes the slot.
void hudi_base_advance(struct hudi_table *table, struct hudi_slot *take_slot);
enum mor_status hudi_has_batch(struct mor_table *table, const struct mor_uuid *batch_id,
                               bool *ret_has, struct mor_error *err) MOR_CHECKED;

// ---- hudi_attach.c ------------------------------------------------------------------------------

enum mor_status hudi_write_attach(struct mor_write *write, const char *kind, const void *bytes,
                                  size_t size_bytes, struct mor_error *err) MOR_CHECKED;
char *hudi_attached_key(const char *kind, const char *instant);
enum mor_status hudi_attachments(struct mor_table *table, const char *kind,
                                 const char *after_version, struct mor_arena *arena,
                                 struct mor_attachment **ret_attachments, size_t *ret_count,
                                 struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_attachment_drop(struct mor_table *table,
                                     const struct mor_attachment *attachment,
                                     struct mor_error *err) MOR_CHECKED;
// Adds deletions to a change: of what is attached to commits after `version` up to `gone`.
enum mor_status hudi_attachments_gone(struct hudi_change *change, const char *version,
                                      const char *gone, struct mor_error *err) MOR_CHECKED;

// ---- hudi_mend.c --------------------------------------------------------------------------------

// Version 6: puts logs that a compaction plan missed into the slice it makes. For plans on the
// timeline in memory that were not looked at yet; the groups are current.
enum mor_status hudi_mend(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;

// ---- hudi_rollback.c ----------------------------------------------------------------------------

// Rolls back what older versions of this program left pending, and removes files of theirs that no
// instant names. RETRY when a foreign writer's instant is pending.
enum mor_status hudi_rollback_failed(struct hudi_table *table, struct mor_error *err) MOR_CHECKED;

// ---- hudi_history.c -----------------------------------------------------------------------------

enum mor_status hudi_history(struct mor_table *table, struct mor_arena *arena,
                             struct mor_commit_info **ret_commits, size_t *ret_count,
                             struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_slices(struct mor_table *table, const char *version, struct mor_arena *arena,
                            struct mor_slice **ret_slices, size_t *ret_count,
                            struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_version_at(struct mor_table *table, int64_t time_ms, char ret_version[64],
                                struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_describe(struct mor_table *table, struct mor_buffer *ret_json,
                              struct mor_error *err) MOR_CHECKED;

// ---- hudi_outdated.c ----------------------------------------------------------------------------

// Whether a column of both has another type in the newer one; columns of one of them do not count.
bool hudi_schema_has_other_types(const struct mor_schema *older, const struct mor_schema *newer);
enum mor_status hudi_mark_outdated(struct mor_table *table, struct mor_slice *slices, size_t count,
                                   struct mor_error *err) MOR_CHECKED;

// ---- hudi_audit.c -------------------------------------------------------------------------------

enum mor_status hudi_audit(struct mor_table *table, struct mor_arena *arena,
                           struct mor_table_audit *ret_audit, struct mor_error *err) MOR_CHECKED;

// ---- hudi_delta.c -------------------------------------------------------------------------------

void hudi_merge_rule(const struct mor_table *table, struct mor_merge_rule *ret_rule);
const struct mor_field *hudi_column(const struct mor_table *table, const char *name);
enum mor_status hudi_delta_open(struct mor_table *table, const struct mor_slice *slice,
                                const struct mor_schema *wanted, struct mor_delta **ret_delta,
                                struct mor_error *err) MOR_CHECKED;
enum mor_status hudi_delta_next(struct mor_delta *delta, enum mor_delta_kind *ret_kind,
                                const struct mor_batch **ret_batch,
                                struct mor_error *err) MOR_CHECKED;
void hudi_delta_select(struct mor_delta *delta, const uint8_t *row_bits, uint64_t row_count);
void hudi_delta_free(struct mor_delta *delta);

#endif
