// The strict look at an Iceberg table behind mor_table_audit: what its metadata, manifests and
// files state, against each other and against the format's rules. Lenient readers hide mistakes
// that strict ones stumble on; here every rule that can be checked is.
#ifndef MORAINE_TABLE_ICEBERG_LINT_H
#define MORAINE_TABLE_ICEBERG_LINT_H

#include "iceberg/iceberg_table.h"

// One manifest, read once.
struct lint_manifest {
    struct iceberg_manifest_file file; // as the list says that was met first
    enum mor_status status;            // of reading it
    struct iceberg_entry *entries;
    size_t count;
};

// A live file of a snapshot.
struct lint_live {
    const struct iceberg_entry *entry;
    int32_t spec_id;
};

// What one snapshot holds, by path (deletion vectors: path and offset).
struct lint_contents {
    int64_t snapshot_id;
    bool whole;          // everything could be read
    struct mor_map live; // -> struct lint_live
};
void lint_contents_done(struct lint_contents *contents);

struct lint {
    struct iceberg_table *table;
    struct mor_arena *arena; // of the result
    struct iceberg_metadata *metadata;
    struct iceberg_spec **specs; // of the metadata, by index; NULL where it cannot be read
    size_t spec_count;
    struct mor_map manifests; // path -> struct lint_manifest
    struct mor_audit_remark *remarks;
    size_t remark_count, remark_capacity;
};

// Adds a remark; `snapshot_id` -1 = of the table as a whole, `key` NULL = of no file.
void lint_remark(struct lint *lint, enum mor_audit_kind kind, int64_t snapshot_id, const char *key,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
#define LINT_BROKEN(lint_, snapshot_id_, key_, ...)                                                \
    lint_remark(lint_, MOR_AUDIT_BROKEN, snapshot_id_, key_, __VA_ARGS__)
const struct iceberg_spec *lint_spec(const struct lint *lint, int32_t spec_id);
// The key of a URI for remarks and the store; a URI outside the table is remarked, and NULL.
const char *lint_key(struct lint *lint, int64_t snapshot_id, const char *uri);

// ---- iceberg_lint_metadata.c --------------------------------------------------------------------

// Ids, specs, schemas, logs, row ids and the line of snapshots.
void lint_metadata(struct lint *lint);

// ---- iceberg_lint_manifest.c --------------------------------------------------------------------

// Manifest list and manifests of a snapshot, and what is live in it. RETRY when the disk fails.
enum mor_status lint_snapshot(struct lint *lint, const struct iceberg_snapshot *snapshot,
                              struct lint_contents *contents, struct mor_error *err) MOR_CHECKED;

// ---- iceberg_lint_summary.c ---------------------------------------------------------------------

// The summary of a snapshot against what it holds and what its parent held (NULL = not known).
void lint_summary(struct lint *lint, const struct iceberg_snapshot *snapshot,
                  const struct lint_contents *contents, const struct lint_contents *parent);

// ---- iceberg_lint_files.c -----------------------------------------------------------------------

// The files of the newest snapshot: there, of the stated size, footers and deletes as the manifests
// say.
enum mor_status lint_files(struct lint *lint, const struct lint_contents *contents,
                           struct mor_error *err) MOR_CHECKED;

// ---- iceberg_lint_vectors.c ---------------------------------------------------------------------

// The vectors of a snapshot hold what those of its parent did, for the data files that both have.
void lint_vectors(struct lint *lint, const struct lint_contents *contents,
                  const struct lint_contents *parent);

#endif
