// Partition specs: transforms, the partition tuples of rows, and the folders they lie in.
#ifndef MORAINE_TABLE_ICEBERG_SPEC_H
#define MORAINE_TABLE_ICEBERG_SPEC_H

#include "iceberg_bounds.h"
#include "iceberg_json.h"

enum iceberg_transform_kind {
    ICEBERG_IDENTITY,
    ICEBERG_BUCKET,   // width = number of buckets
    ICEBERG_TRUNCATE, // width = length, or size of the step
    ICEBERG_YEAR,
    ICEBERG_MONTH,
    ICEBERG_DAY,
    ICEBERG_HOUR,
    ICEBERG_VOID,
    ICEBERG_TRANSFORM_UNKNOWN, // of a later version of the format: readable, not writable
};

struct iceberg_transform {
    enum iceberg_transform_kind kind;
    int32_t width; // BUCKET, TRUNCATE: > 0
};

// "day", "bucket[16]", "truncate[4]". Unknown texts give ICEBERG_TRANSFORM_UNKNOWN; a width that is
// missing, 0 or too large is DATA.
enum mor_status iceberg_transform_parse(const char *text, struct iceberg_transform *ret_transform,
                                        struct mor_error *err) MOR_CHECKED;
void iceberg_transform_format(struct iceberg_transform transform, struct mor_buffer *ret_text);
// Whether columns of the type can be partitioned by it.
bool iceberg_transform_accepts(struct iceberg_transform transform, const struct mor_field *source);
// Type of the transform's values (name and id are left alone): int for bucket, year, month, hour;
// date for day; else the source's.
void iceberg_transform_result(struct iceberg_transform transform, const struct mor_field *source,
                              struct mor_field *ret_type);
// Appends the value of slot `index` in binary form (iceberg_bounds.h). False: null (null source,
// void, unknown transform).
bool iceberg_transform_slot(struct iceberg_transform transform, const struct mor_vector *vector,
                            size_t index, struct mor_buffer *ret_bytes);
// The same of a value in binary form of the source type; null gives null.
bool iceberg_transform_value(struct iceberg_transform transform, const struct mor_field *source,
                             struct iceberg_value value, struct mor_buffer *ret_bytes);
// Appends a value of the transform for people and paths: "2026", "2026-01", "2026-01-31",
// "2026-01-31-05", "7", text as it is; "null" for null.
void iceberg_transform_value_format(struct iceberg_transform transform,
                                    const struct mor_field *result, struct iceberg_value value,
                                    struct mor_buffer *ret_text);

struct iceberg_spec_field {
    int32_t source_id, field_id;
    char *name;
    struct iceberg_transform transform;
    char *transform_text;           // as the spec has it
    const struct mor_field *source; // NULL: the column was dropped; borrowed from the spec's schema
    struct mor_field result; // type of the tuple's values; name = `name`, nullable, id = field_id
};

// One partition spec bound to a schema; never changes after it was built: any thread.
struct iceberg_spec {
    int32_t spec_id;
    size_t field_count;
    struct iceberg_spec_field *fields;
    struct mor_schema *schema; // own copy
};

// Binds a spec's JSON to a schema. DATA when it is malformed. A source that the schema no longer
// has is allowed for void and for old specs: its values are read by what the manifests say, as
// bytes.
enum mor_status iceberg_spec_from_json(const json_t *json, const struct mor_schema *schema,
                                       struct iceberg_spec **ret_spec,
                                       struct mor_error *err) MOR_CHECKED;
void iceberg_spec_free(struct iceberg_spec *spec);
// {"spec-id":0,"fields":[...]}, and its fields alone as manifests carry them. The caller decrefs.
json_t *iceberg_spec_to_json(const struct iceberg_spec *spec);
json_t *iceberg_spec_fields_to_json(const struct iceberg_spec *spec);

// One field of a new spec.
struct iceberg_spec_wish {
    const char *column;
    struct iceberg_transform transform;
};
// The JSON of a spec for columns of a schema with ids; field ids go on after *last_partition_id
// (999 for a new table), which is moved on. Names: the column's for identity, else column_day,
// column_bucket, column_trunc, as Spark names them. FATAL when a column is missing, a transform
// does not take its type, or a name collides with another column or field. The caller decrefs.
enum mor_status iceberg_spec_make(const struct mor_schema *schema,
                                  const struct iceberg_spec_wish *wishes, size_t count,
                                  int32_t spec_id, int32_t *last_partition_id, json_t **ret_json,
                                  struct mor_error *err) MOR_CHECKED;
// Whether the spec has exactly these transforms of these columns in this order (void fields of
// dropped columns aside).
bool iceberg_spec_matches(const struct iceberg_spec *spec, const struct iceberg_spec_wish *wishes,
                          size_t count);
// Whether a manifest can be written for it: no unknown transform, no dropped source.
enum mor_status iceberg_spec_check_writable(const struct iceberg_spec *spec,
                                            struct mor_error *err) MOR_CHECKED;

// Tuple of row `row` of a batch whose schema carries field ids (sources are found by id, also in
// structs). Values live in the arena; ret_values has room for spec->field_count.
void iceberg_spec_tuple(const struct iceberg_spec *spec, const struct mor_batch *batch, size_t row,
                        struct mor_arena *arena, struct iceberg_value *ret_values);
bool iceberg_tuple_equal(const struct iceberg_value *a, const struct iceberg_value *b,
                         size_t count);
// Appends the folder of a tuple, "name=value/name=value" with everything escaped that a path could
// stumble on ("/" and "%" among it; null is "null"); nothing for a spec without fields.
void iceberg_spec_path(const struct iceberg_spec *spec, const struct iceberg_value *values,
                       struct mor_buffer *ret_path);

// MurmurHash3 x86 32-bit, seed 0, which bucket transforms are made of.
uint32_t iceberg_murmur3(const void *bytes, size_t size_bytes);

#endif
