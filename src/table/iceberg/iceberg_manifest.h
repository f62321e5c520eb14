// Manifests and manifest lists (specification, "Manifests" and "Manifest Lists"): Avro files that
// name data and delete files, and the manifests of a snapshot.
//
// Written by hand with the schemas of the specification, every attribute included; only the
// partition record (r102) is made from the spec. Read by field id, whoever wrote them and with
// whatever codec.
#ifndef MORAINE_TABLE_ICEBERG_MANIFEST_H
#define MORAINE_TABLE_ICEBERG_MANIFEST_H

#include "iceberg_spec.h"

#define ICEBERG_MANIFEST_BYTES_MAX (1u << 30)

enum iceberg_file_content {
    ICEBERG_DATA = 0,
    ICEBERG_POSITION_DELETES = 1, // of version 3: also deletion vectors, format PUFFIN
    ICEBERG_EQUALITY_DELETES = 2,
};
enum iceberg_entry_status {
    ICEBERG_EXISTING = 0,
    ICEBERG_ADDED = 1,
    ICEBERG_DELETED = 2,
};
enum iceberg_manifest_content {
    ICEBERG_MANIFEST_DATA = 0,
    ICEBERG_MANIFEST_DELETES = 1,
};

// One data or delete file. Numbers: -1 = null. Everything is borrowed, or in the arena of the read.
struct iceberg_data_file {
    enum iceberg_file_content content;
    const char *file_path;                 // URI, byte for byte the same wherever it is named
    const char *file_format;               // "PARQUET", "PUFFIN", upper case
    const struct iceberg_value *partition; // one per field of the manifest's spec
    int64_t record_count, file_size_bytes;
    const struct iceberg_column_metrics *metrics; // by field id
    size_t metric_count;
    const int64_t *split_offsets;
    size_t split_offset_count;
    const int32_t *equality_ids;
    size_t equality_id_count;
    struct iceberg_value key_metadata; // encrypted files: not null
    int32_t sort_order_id;
    int64_t first_row_id;                       // version 3, data
    const char *referenced_data_file;           // NULL = none
    int64_t content_offset, content_size_bytes; // deletion vectors
};

struct iceberg_entry {
    enum iceberg_entry_status status;
    // To write: -1 is inherited, allowed for ADDED only (file_sequence_number: required for ADDED).
    // As read: resolved (what is inherited is filled in).
    int64_t snapshot_id, sequence_number, file_sequence_number;
    struct iceberg_data_file file;
};

static inline bool iceberg_entry_is_live(const struct iceberg_entry *entry)
{
    return entry->status != ICEBERG_DELETED;
}
bool iceberg_file_is_vector(const struct iceberg_data_file *file); // a deletion vector in a Puffin

// Summary of one partition field over a manifest's files.
struct iceberg_partition_summary {
    bool contains_null;
    int8_t contains_nan; // -1 = not known
    struct iceberg_value lower, upper;
};

// One manifest as a manifest list states it.
struct iceberg_manifest_file {
    const char *path; // URI
    int64_t length_bytes;
    int32_t spec_id;
    enum iceberg_manifest_content content;
    // -1 to write: the sequence number of the commit (a manifest of this commit).
    int64_t sequence_number, min_sequence_number;
    int64_t added_snapshot_id;
    int32_t added_files, existing_files, deleted_files;
    int64_t added_rows, existing_rows, deleted_rows;
    const struct iceberg_partition_summary *partitions;
    size_t partition_count;
    struct iceberg_value key_metadata;
    int64_t first_row_id; // version 3, data; -1 = not assigned
};

// ---- writing ------------------------------------------------------------------------------------

struct iceberg_manifest_options {
    int32_t format_version; // 2 or 3
    enum iceberg_manifest_content content;
    const json_t *schema; // of the table, with its schema-id (borrowed)
    const struct iceberg_spec *spec;
    int64_t snapshot_id; // of the commit: added_snapshot_id
};
// A manifest in memory. One thread.
struct iceberg_manifest_writer;
struct iceberg_manifest_writer *
iceberg_manifest_writer_new(const struct iceberg_manifest_options *options);
void iceberg_manifest_writer_free(struct iceberg_manifest_writer *writer); // NULL allowed
// Copies what it needs. Everything is written as given; a broken rule (an EXISTING entry without
// sequence numbers, an ADDED one with a file sequence number, a version 3 data file carried without
// its first row id) is FATAL: the commit would be wrong. A DELETED or EXISTING data file of version
// 3 that never had a row id (added before the upgrade) is taken with -1 when `upgraded`.
enum mor_status iceberg_manifest_writer_add(struct iceberg_manifest_writer *writer,
                                            const struct iceberg_entry *entry, bool upgraded,
                                            struct mor_error *err) MOR_CHECKED;
size_t iceberg_manifest_writer_count(const struct iceberg_manifest_writer *writer);
size_t iceberg_manifest_writer_size_bytes(const struct iceberg_manifest_writer *writer); // plain
// Appends the whole file, deflated, and states it: all of *ret_manifest but the path,
// sequence_number -1, min_sequence_number that of explicit ones or -1; in the arena. FATAL when it
// has no entry.
enum mor_status iceberg_manifest_writer_finish(struct iceberg_manifest_writer *writer,
                                               struct mor_buffer *ret_file, struct mor_arena *arena,
                                               struct iceberg_manifest_file *ret_manifest,
                                               struct mor_error *err) MOR_CHECKED;

struct iceberg_manifest_list_options {
    int32_t format_version;
    int64_t snapshot_id, parent_snapshot_id; // parent -1 = none
    int64_t sequence_number;
    int64_t first_row_id; // version 3: the table's next-row-id
};
// Appends the whole file. Manifests with sequence_number -1 get the commit's; min_sequence_number
// -1, too. In version 3 data manifests without a first_row_id get theirs, in order, from the
// commit's first_row_id on; *ret_next_row_id (may be NULL) is what the table's next-row-id becomes
// (added-rows of the snapshot = the difference).
enum mor_status iceberg_manifest_list_encode(const struct iceberg_manifest_list_options *options,
                                             const struct iceberg_manifest_file *manifests,
                                             size_t count, struct mor_buffer *ret_file,
                                             int64_t *ret_next_row_id,
                                             struct mor_error *err) MOR_CHECKED;

// ---- reading ------------------------------------------------------------------------------------

// Manifests of a list, in its order, in the arena. DATA in words when it is damaged or breaks the
// rules; FATAL for encrypted manifests.
enum mor_status iceberg_manifest_list_read(const uint8_t *file, size_t size_bytes,
                                           struct mor_arena *arena,
                                           struct iceberg_manifest_file **ret_manifests,
                                           size_t *ret_count, struct mor_error *err) MOR_CHECKED;

enum iceberg_read_columns {
    ICEBERG_READ_ALL,
    ICEBERG_READ_NO_METRICS, // leaves metrics and split offsets out: much less memory
};
// Entries of a manifest (deleted ones included) with what they inherit from `manifest` filled in:
// snapshot id, sequence numbers, first row ids. `spec` is the one of manifest->spec_id. Everything
// lives in the arena. DATA in words.
enum mor_status iceberg_manifest_read(const uint8_t *file, size_t size_bytes,
                                      const struct iceberg_manifest_file *manifest,
                                      const struct iceberg_spec *spec,
                                      enum iceberg_read_columns columns, struct mor_arena *arena,
                                      struct iceberg_entry **ret_entries, size_t *ret_count,
                                      struct mor_error *err) MOR_CHECKED;

#endif
