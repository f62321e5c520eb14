// What a table format implements, and the part of a table that all formats share.
#ifndef MORAINE_TABLE_TABLE_FORMAT_H
#define MORAINE_TABLE_TABLE_FORMAT_H

#include "moraine/storage.h"
#include "moraine/table.h"

// One partition field as rows and paths know it.
struct mor_partition_column {
    int32_t column; // index in the table schema
    enum mor_transform transform;
    int32_t argument; // of the transform
    char *path_name;  // name in "name=value"
};

struct mor_table_ops;

// Head of every format's table. Everything here is fixed after open, so any thread may read it.
struct mor_table {
    const struct mor_table_ops *ops;
    struct mor_store *store;
    struct mor_budget *budget; // borrowed, may be NULL
    char *name;
    char *database;
    struct mor_schema *schema;
    bool keyed;
    int32_t *key_columns; // indices in the schema
    size_t key_column_count;
    int32_t ordering_column; // -1 = none
    struct mor_partition_column *partition_columns;
    size_t partition_column_count;
    bool escape_partition_values;
    int32_t bucket_count; // 0 = no buckets
    bool outgrown;        // see mor_table_is_outgrown
};

struct mor_write {
    struct mor_table *table;
};

struct mor_delta {
    struct mor_table *table;
};

struct mor_rewrite {
    struct mor_table *table;
    int64_t reserved_count; // slices that another engine plans to rewrite
};

struct mor_rewrite_file {
    struct mor_rewrite *rewrite;
};

// Public functions of table.h hand over to these after what is common was done.
struct mor_table_ops {
    const char *name;
    enum mor_table_format format;
    // True when the store holds a table of this format.
    enum mor_status (*probe)(struct mor_store *store, bool *ret_found, struct mor_error *err);
    // The type in which the format stores `field`, nested types included; FATAL with the reason
    // when it cannot.
    enum mor_status (*normalise_field)(struct mor_field *field, struct mor_error *err);
    // Both take the store in every case.
    enum mor_status (*open_write)(struct mor_store *take_store,
                                  const struct mor_table_options *options,
                                  struct mor_table **ret_table, struct mor_error *err);
    enum mor_status (*open_read)(struct mor_store *take_store, struct mor_budget *budget,
                                 struct mor_table **ret_table, struct mor_error *err);
    void (*free)(struct mor_table *table);
    enum mor_status (*property)(struct mor_table *table, const char *key, bool refresh,
                                struct mor_arena *arena, char **ret_value, struct mor_error *err);
    bool (*has_group)(const struct mor_table *table, const char *partition, int32_t bucket);
    void (*partitions_with_bucket)(struct mor_table *table, int32_t bucket, struct mor_arena *arena,
                                   const char ***ret_partitions, size_t *ret_count);
    // Transforms beyond MOR_TRANSFORM_HOUR; NULL = the format has none. The text of a slot that is
    // not null, as it stands in paths.
    bool (*transform_accepts)(enum mor_transform transform, int32_t argument,
                              const struct mor_field *field);
    void (*transform_text)(const struct mor_partition_column *bound,
                           const struct mor_vector *vector, size_t row,
                           struct mor_buffer *ret_text);
    enum mor_status (*write_begin)(struct mor_table *table, const struct mor_uuid *batch_id,
                                   struct mor_write **ret_write, struct mor_error *err);
    enum mor_status (*write_group)(struct mor_write *write, const struct mor_change_set *changes,
                                   size_t group_index, struct mor_error *err);
    // The four of tables with places; NULL = the format has none.
    enum mor_status (*write_removal)(struct mor_write *write, const struct mor_change_set *changes,
                                     size_t removal_index, struct mor_error *err);
    const char *(*group_file)(const struct mor_write *write, size_t group_index);
    enum mor_status (*moved_files)(struct mor_table *table, const char *after_version,
                                   struct mor_arena *arena, struct mor_slice **ret_slices,
                                   size_t *ret_count, struct mor_error *err);
    enum mor_status (*removed_rows)(struct mor_table *table, const struct mor_slice *slice,
                                    struct mor_budget *budget,
                                    struct mor_position_set **ret_positions, struct mor_error *err);
    enum mor_status (*write_commit)(struct mor_write *write, const struct mor_property *properties,
                                    size_t property_count, struct mor_commit_result *ret_result,
                                    struct mor_error *err);
    void (*write_free)(struct mor_write *write);
    const char *(*base_property)(const struct mor_write *write, const char *key);
    const char *(*base_version)(const struct mor_write *write);
    bool (*base_went_back)(const struct mor_write *write);
    enum mor_status (*attach)(struct mor_write *write, const char *kind, const void *bytes,
                              size_t size_bytes, struct mor_error *err);
    enum mor_status (*has_batch)(struct mor_table *table, const struct mor_uuid *batch_id,
                                 bool *ret_has, struct mor_error *err);
    enum mor_status (*attachments)(struct mor_table *table, const char *kind,
                                   const char *after_version, struct mor_arena *arena,
                                   struct mor_attachment **ret_attachments, size_t *ret_count,
                                   struct mor_error *err);
    enum mor_status (*attachment_drop)(struct mor_table *table,
                                       const struct mor_attachment *attachment,
                                       struct mor_error *err);
    enum mor_status (*history)(struct mor_table *table, struct mor_arena *arena,
                               struct mor_commit_info **ret_commits, size_t *ret_count,
                               struct mor_error *err);
    enum mor_status (*slices)(struct mor_table *table, const char *version, struct mor_arena *arena,
                              struct mor_slice **ret_slices, size_t *ret_count,
                              struct mor_error *err);
    // NULL: deltas of the format do not grow old
    enum mor_status (*mark_outdated)(struct mor_table *table, struct mor_slice *slices,
                                     size_t count, struct mor_error *err);
    enum mor_status (*data_files)(struct mor_table *table, struct mor_arena *arena,
                                  struct mor_slice **ret_files, size_t *ret_count,
                                  struct mor_error *err);
    enum mor_status (*version_at)(struct mor_table *table, int64_t time_ms, char ret_version[64],
                                  struct mor_error *err);
    enum mor_status (*describe)(struct mor_table *table, struct mor_buffer *ret_json,
                                struct mor_error *err);
    enum mor_status (*audit)(struct mor_table *table, struct mor_arena *arena,
                             struct mor_table_audit *ret_audit, struct mor_error *err);
    // NULL: it states nothing of values.
    enum mor_status (*check_values)(
        struct mor_table *table, void (*report)(void *context, const char *key, const char *text),
        void *context, struct mor_values_checked *ret_checked, struct mor_error *err);
    void (*merge_rule)(const struct mor_table *table, struct mor_merge_rule *ret_rule);
    const struct mor_field *(*column)(const struct mor_table *table, const char *name);
    // Tables without places.
    enum mor_status (*delta_open)(struct mor_table *table, const struct mor_slice *slice,
                                  const struct mor_schema *wanted, struct mor_delta **ret_delta,
                                  struct mor_error *err);
    enum mor_status (*delta_next)(struct mor_delta *delta, enum mor_delta_kind *ret_kind,
                                  const struct mor_batch **ret_batch, struct mor_error *err);
    void (*delta_select)(struct mor_delta *delta, const uint8_t *row_bits, uint64_t row_count);
    void (*delta_free)(struct mor_delta *delta);
    // Takes the store in every case.
    enum mor_status (*open_rewrite)(struct mor_store *take_store, const char *instance,
                                    struct mor_budget *budget, struct mor_table **ret_table,
                                    struct mor_error *err);
    enum mor_status (*rewrite_begin)(struct mor_table *table, enum mor_rewrite_kind kind,
                                     struct mor_rewrite **ret_rewrite, struct mor_error *err);
    void (*rewrite_slices)(const struct mor_rewrite *rewrite, const struct mor_slice **ret_slices,
                           size_t *ret_count);
    const struct mor_schema *(*rewrite_schema)(const struct mor_rewrite *rewrite);
    enum mor_status (*rewrite_file_open)(struct mor_rewrite *rewrite,
                                         const struct mor_slice *const *slices, size_t slice_count,
                                         size_t row_group_bytes_max,
                                         struct mor_rewrite_file **ret_file, struct mor_error *err);
    enum mor_status (*rewrite_file_append)(struct mor_rewrite_file *file,
                                           const struct mor_batch *batch, struct mor_error *err);
    int64_t (*rewrite_file_size_bytes)(const struct mor_rewrite_file *file);
    enum mor_status (*rewrite_file_finish)(struct mor_rewrite_file *take_file,
                                           const struct mor_rewrite_counts *counts,
                                           struct mor_error *err);
    void (*rewrite_file_free)(struct mor_rewrite_file *file);
    enum mor_status (*rewrite_commit)(struct mor_rewrite *rewrite,
                                      struct mor_rewrite_result *ret_result, struct mor_error *err);
    void (*rewrite_free)(struct mor_rewrite *rewrite);
    enum mor_status (*expire)(struct mor_table *table, const struct mor_retention *retention,
                              bool dry_run, struct mor_arena *arena, struct mor_expiry *ret_expiry,
                              struct mor_error *err);
};

extern const struct mor_table_ops mor_table_hudi_ops;
extern const struct mor_table_ops mor_table_iceberg_ops;

// Frees the common part; the format frees the structure.
void mor_table_done(struct mor_table *table);

// Fills what the options say of keys, ordering and partitioning, resolved against table->schema.
// FATAL in words when a column is missing or its type cannot serve.
enum mor_status mor_table_bind(struct mor_table *table, const char *const *key_columns,
                               size_t key_column_count, const char *ordering_column,
                               const struct mor_partition_field *partition_fields,
                               size_t partition_field_count, struct mor_error *err) MOR_CHECKED;

// True when values of the two fields are stored alike (names and ids of nested fields included).
bool mor_table_types_equal(const struct mor_field *a, const struct mor_field *b);

#endif
