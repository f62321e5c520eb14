// One version of a table's metadata (specification, "Table Metadata"): the JSON document, kept
// whole, so that what moraine does not know survives.
#ifndef MORAINE_TABLE_ICEBERG_METADATA_H
#define MORAINE_TABLE_ICEBERG_METADATA_H

#include <stdatomic.h>

#include "iceberg_json.h"
#include "moraine/column.h"
#include "moraine/storage.h"

#define ICEBERG_METADATA_BYTES_MAX (256u << 20) // unpacked

// Never changes after it was made, so any thread may read it; freed with the last reference.
struct iceberg_metadata {
    atomic_int references;
    json_t *document;
    int32_t format_version; // 1 (reading only), 2, 3
    const char *uuid;       // lower case
    const char *location;   // URI without '/' at the end
    int64_t last_sequence_number, last_updated_ms;
    int32_t last_column_id, current_schema_id, default_spec_id, last_partition_id;
    int64_t current_snapshot_id; // -1 = none
    int64_t next_row_id;         // version 3
    // Set by the catalog: where this version lies (URI, NULL = not published), the number of
    // v<N>.metadata.json (0 = the catalog has no such numbers).
    char *metadata_location;
    int64_t version;
    int64_t file_size_bytes, file_modified_ms; // of the version's file, where it is one
};

// Parses and checks a document, gzip or not: members that the version requires, ids that resolve,
// main == current snapshot, log and timestamps in order. DATA in words when it breaks the rules;
// FATAL for a version above 3 and for encrypted tables. The caller unrefs.
enum mor_status iceberg_metadata_parse(const void *bytes, size_t size_bytes,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err) MOR_CHECKED;
// The same of a parsed document, which is taken in every case.
enum mor_status iceberg_metadata_take(json_t *take_document, struct iceberg_metadata **ret_metadata,
                                      struct mor_error *err) MOR_CHECKED;
struct iceberg_metadata *iceberg_metadata_ref(struct iceberg_metadata *metadata);
void iceberg_metadata_unref(struct iceberg_metadata *metadata); // NULL allowed
static inline void iceberg_metadata_cleanup(struct iceberg_metadata **metadata)
{
    iceberg_metadata_unref(*metadata);
}
#define ICEBERG_AUTO_METADATA                                                                      \
    __attribute__((cleanup(iceberg_metadata_cleanup))) struct iceberg_metadata

// Appends the document's text, packed with gzip when asked.
enum mor_status iceberg_metadata_encode(const struct iceberg_metadata *metadata, bool gzip,
                                        struct mor_buffer *ret_bytes,
                                        struct mor_error *err) MOR_CHECKED;

// ---- looking things up; everything is borrowed from the document, NULL when absent --------------

const json_t *iceberg_metadata_schema(const struct iceberg_metadata *metadata, int32_t schema_id);
const json_t *iceberg_metadata_spec(const struct iceberg_metadata *metadata, int32_t spec_id);
const char *iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key);

struct iceberg_snapshot {
    int64_t snapshot_id, parent_id; // parent -1 = none
    int64_t sequence_number, timestamp_ms;
    const char *manifest_list;        // URI
    int32_t schema_id;                // -1 = not stated
    const json_t *summary;            // object of texts; NULL = none
    int64_t first_row_id, added_rows; // version 3; -1 = not stated
};
size_t iceberg_metadata_snapshot_count(const struct iceberg_metadata *metadata);
// Number `index` in the document's order (oldest first, as all writers keep it).
void iceberg_metadata_snapshot_at(const struct iceberg_metadata *metadata, size_t index,
                                  struct iceberg_snapshot *ret_snapshot);
// False: the table has no such snapshot (any more).
bool iceberg_metadata_snapshot(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                               struct iceberg_snapshot *ret_snapshot);
const char *iceberg_snapshot_property(const struct iceberg_snapshot *snapshot, const char *key);
// A random positive id that no snapshot of the table has.
int64_t iceberg_metadata_new_snapshot_id(const struct iceberg_metadata *metadata);
// Time for the next snapshot: now, but never before what the table has seen.
int64_t iceberg_metadata_clamp_ms(const struct iceberg_metadata *metadata, int64_t now_ms);

// ---- files and URIs -----------------------------------------------------------------------------

// Appends the URI of the object `key` of the table's store: location + "/" + key. The one place
// where URIs are made.
void iceberg_uri_of_key(const struct iceberg_metadata *metadata, const char *key,
                        struct mor_buffer *ret_uri);
// The key of a URI below the table's location, borrowed from `uri`; NULL when it lies elsewhere.
// "/x", "file:/x" and "file:///x" are one place, s3, s3a and s3n one scheme. A table that was moved
// keeps its old location in the document, so keys still come out right.
const char *iceberg_key_of_uri(const struct iceberg_metadata *metadata, const char *uri);

// ---- changes ------------------------------------------------------------------------------------

// Requirements and updates of one commit as the REST specification has them ("assert-table-uuid",
// ...; "add-snapshot", ...). Zero-initialised is valid after iceberg_change_init.
struct iceberg_change {
    json_t *requirements, *updates; // arrays
};
void iceberg_change_init(struct iceberg_change *change);
void iceberg_change_done(struct iceberg_change *change);
#define ICEBERG_AUTO_CHANGE __attribute__((cleanup(iceberg_change_done))) struct iceberg_change
void iceberg_change_require_uuid(struct iceberg_change *change, const char *uuid);
void iceberg_change_require_main(struct iceberg_change *change, int64_t snapshot_id); // -1 = none
void iceberg_change_require_schema(struct iceberg_change *change, int32_t current_schema_id,
                                   int32_t last_column_id);
void iceberg_change_add_schema(struct iceberg_change *change, const json_t *schema); // and current
void iceberg_change_add_spec(struct iceberg_change *change, const json_t *spec);     // and default
void iceberg_change_add_snapshot(struct iceberg_change *change, json_t *take_snapshot);
void iceberg_change_set_main(struct iceberg_change *change, int64_t snapshot_id);
void iceberg_change_remove_snapshots(struct iceberg_change *change, const int64_t *snapshot_ids,
                                     size_t count);
void iceberg_change_set_property(struct iceberg_change *change, const char *key, const char *value);
void iceberg_change_remove_property(struct iceberg_change *change, const char *key);
void iceberg_change_upgrade(struct iceberg_change *change, int32_t format_version);

// A snapshot object for add-snapshot; parent -1, first_row_id -1 (version 2): left out. `summary`
// is borrowed.
json_t *iceberg_snapshot_make(const struct iceberg_snapshot *snapshot);

// What a new table begins with.
struct iceberg_creation {
    int32_t format_version;
    const char *location;     // URI; NULL for catalogs that choose
    const json_t *schema;     // with ids (a catalog may give others: read them from its answer)
    const json_t *spec;       // spec-id 0
    const json_t *properties; // object of texts, NULL = none
};
// The first document of a table.
enum mor_status iceberg_metadata_create(const struct iceberg_creation *creation, int64_t now_ms,
                                        struct iceberg_metadata **ret_metadata,
                                        struct mor_error *err) MOR_CHECKED;
// Applies a change to a copy, as a catalog server does. CONFLICT naming the requirement that does
// not hold; FATAL for an update that is unknown or breaks the rules (a snapshot id or sequence
// number that was there before). The metadata-log of the new version names `base`; with
// write.metadata.previous-versions-max it loses old entries.
enum mor_status iceberg_metadata_apply(const struct iceberg_metadata *base,
                                       const json_t *requirements, const json_t *updates,
                                       int64_t now_ms, struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err) MOR_CHECKED;

#endif
