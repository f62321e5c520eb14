// Single values in Iceberg's binary form (specification, Appendix D), bounds cut to a length, and
// the column metrics of a data file.
//
// A value of a type: boolean one byte; int, date 4 and long, time, timestamps 8 bytes
// little-endian; float, double IEEE little-endian; string its UTF-8; uuid 16 bytes and fixed as
// they are; decimal the shortest big-endian two's complement of the unscaled number. Partition
// tuples, bounds of columns and partition summaries are all in this form.
#ifndef MORAINE_TABLE_ICEBERG_BOUNDS_H
#define MORAINE_TABLE_ICEBERG_BOUNDS_H

#include "moraine/column.h"

// Borrowed bytes; bytes NULL: null (of a partition tuple), or not known (of a bound).
struct iceberg_value {
    const uint8_t *bytes;
    size_t size_bytes;
};

static inline bool iceberg_value_is_null(struct iceberg_value value)
{
    return value.bytes == NULL;
}
// Copy in the arena; null stays null.
struct iceberg_value iceberg_value_copy(struct iceberg_value value, struct mor_arena *arena);
bool iceberg_value_equal(struct iceberg_value a, struct iceberg_value b);

// Appends slot `index` (not null, no nested type) of a vector.
void iceberg_value_of_slot(const struct mor_vector *vector, size_t index,
                           struct mor_buffer *ret_bytes);
// Order of two values of the type, neither null: negative, 0, positive. Values that were written
// under a narrower type (int for long, float for double) are taken; bytes that are no value of the
// type compare as bytes. NaN is greater than everything, -0.0 less than 0.0.
int iceberg_value_compare(const struct mor_field *type, struct iceberg_value a,
                          struct iceberg_value b);
// Whether the bytes are a value of the type (also of one that it was promoted from).
bool iceberg_value_is_valid(const struct mor_field *type, struct iceberg_value value);
// Appends the value as text for people and paths: "2026-01-31", "12.50", text as it is, bytes in
// base64, uuid in its text form.
void iceberg_value_format(const struct mor_field *type, struct iceberg_value value,
                          struct mor_buffer *ret_text);

// Longest bound of strings (code points) and bytes of write.metadata.metrics.default=truncate(16).
#define ICEBERG_BOUND_LENGTH 16
// Cuts a lower bound of `type` to `length` code points (string) or bytes (binary, fixed); other
// types stay. Returns the new size.
size_t iceberg_bound_cut_lower(const struct mor_field *type, const uint8_t *bytes,
                               size_t size_bytes, size_t length);
// Cuts an upper bound in place and makes it greater than everything that it stands for: the last
// code point (surrogates left out) or byte that can be raised is raised by one. False: there is
// none, so there is no upper bound.
bool iceberg_bound_cut_upper(const struct mor_field *type, struct mor_buffer *bytes, size_t length);

// Metrics of one column of a file by field id; -1 and null values: not known.
struct iceberg_column_metrics {
    int32_t field_id;
    int64_t size_bytes; // compressed, in the file
    int64_t value_count, null_count, nan_count;
    struct iceberg_value lower, upper;
};

// Columns that get metrics when the table does not say (write.metadata.metrics.
// max-inferred-column-defaults).
#define ICEBERG_METRIC_COLUMNS 100

// Collects the metrics of the rows that go into one file. One thread.
struct iceberg_metrics;
// `schema` (borrowed) carries field ids; the first `column_max` leaf columns in schema order get
// metrics (0 = ICEBERG_METRIC_COLUMNS). Columns inside lists and maps get none.
struct iceberg_metrics *iceberg_metrics_new(const struct mor_schema *schema, size_t column_max);
void iceberg_metrics_free(struct iceberg_metrics *metrics);
// For comparing them with stated ones: of all leaf columns, those inside lists and maps too, bounds
// whole and not cut. Batches must be added as a whole then.
struct iceberg_metrics *iceberg_metrics_new_whole(const struct mor_schema *schema);
// Rows [first, first + count) of a batch of the schema.
void iceberg_metrics_add(struct iceberg_metrics *metrics, const struct mor_batch *batch,
                         size_t first, size_t count);
// Rows of a batch by index, in any order.
void iceberg_metrics_add_rows(struct iceberg_metrics *metrics, const struct mor_batch *batch,
                              const uint32_t *indices, size_t count);
// What was collected, ascending by field id, in the arena; bounds of strings and bytes are cut to
// ICEBERG_BOUND_LENGTH. May go on afterwards.
void iceberg_metrics_finish(struct iceberg_metrics *metrics, struct mor_arena *arena,
                            struct iceberg_column_metrics **ret_columns, size_t *ret_count);

#endif
