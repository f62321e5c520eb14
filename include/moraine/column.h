// Types, schemas and columnar batches in Arrow buffer layout.
//
// A schema is a tree of fields; its root is a struct. A batch holds one vector per top-level field.
// Buffers follow the Arrow columnar format (little-endian, validity bitmaps LSB first, int32 string
// offsets), so a batch can be handed to anything that speaks Arrow without a copy.
#ifndef MORAINE_COLUMN_H
#define MORAINE_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

// ---- types --------------------------------------------------------------------------------------

enum mor_type {
    MOR_TYPE_BOOL,             // bitmap
    MOR_TYPE_INT32,            // int32_t
    MOR_TYPE_INT64,            // int64_t
    MOR_TYPE_FLOAT,            // float
    MOR_TYPE_DOUBLE,           // double
    MOR_TYPE_DECIMAL,          // 16 bytes little-endian two's complement (Arrow decimal128)
    MOR_TYPE_DATE,             // int32_t days since 1970-01-01
    MOR_TYPE_TIME_MILLIS,      // int32_t since midnight
    MOR_TYPE_TIME_MICROS,      // int64_t since midnight
    MOR_TYPE_TIMESTAMP_MILLIS, // int64_t since the epoch
    MOR_TYPE_TIMESTAMP_MICROS, // int64_t since the epoch
    MOR_TYPE_STRING,           // int32_t offsets + UTF-8 bytes
    MOR_TYPE_BYTES,            // int32_t offsets + bytes
    MOR_TYPE_FIXED,            // fixed_size_bytes each
    MOR_TYPE_UUID,             // 16 bytes big-endian
    MOR_TYPE_ENUM,             // as STRING
    MOR_TYPE_JSON,             // as STRING
    MOR_TYPE_STRUCT,           // children
    MOR_TYPE_LIST,             // int32_t offsets + one child
    MOR_TYPE_MAP, // int32_t offsets + child 0 = key (required STRING or INT), child 1 = value
};

#define MOR_DECIMAL_PRECISION_MAX 38
#define MOR_SCHEMA_DEPTH_MAX      32
#define MOR_SCHEMA_FIELDS_MAX     5000

struct mor_field {
    char *name;
    enum mor_type type;
    bool nullable;
    bool local_timestamp;     // TIMESTAMP_*: not adjusted to UTC
    int32_t field_id;         // -1 when the schema has none
    int32_t precision, scale; // DECIMAL
    int32_t fixed_size_bytes; // FIXED
    size_t child_count;
    struct mor_field *children;
    char *doc; // may be NULL
};

// Fields live in an arena; a schema never changes after it was built.
struct mor_schema {
    struct mor_field root; // STRUCT, not nullable, name = record name
    struct mor_arena arena;
};

// Builds a schema: add fields to schema->root (or to a nested STRUCT/LIST/MAP field) in order.
// `parent` NULL = root. The returned field is valid until the next sibling is added. Not thread
// safe.
struct mor_schema *mor_schema_new(const char *name);
void mor_schema_free(struct mor_schema *schema);
struct mor_field *mor_schema_add(struct mor_schema *schema, struct mor_field *parent,
                                 const char *name, enum mor_type type, bool nullable);
// Adds a deep copy of `field` (any schema's).
struct mor_field *mor_schema_add_copy(struct mor_schema *schema, struct mor_field *parent,
                                      const struct mor_field *field);
struct mor_schema *mor_schema_copy(const struct mor_schema *schema);
// The schema that holds rows of both: the columns of a in their order, then what only b has
// (nullable). Types widen: int to long, float to double, a decimal to more digits before the point;
// a column that is nullable in one is in both; nested ones alike. FATAL, naming the column, when no
// type holds both.
enum mor_status mor_schema_join(const struct mor_schema *a, const struct mor_schema *b,
                                struct mor_schema **ret_schema, struct mor_error *err) MOR_CHECKED;
// Appends the paths of fields of `theirs` that `have` lacks or holds in a narrower type (a few of
// them, for a message).
void mor_schema_strangers(const struct mor_schema *have, const struct mor_schema *theirs,
                          struct mor_buffer *ret_names);
// The reverse: takes from a struct, list or map what the like-named `have` lacks, and gives the
// rest the types of `have` where those are narrower.
void mor_schema_freeze(struct mor_field *fields, const struct mor_field *have);
bool mor_schema_equal(const struct mor_schema *a,
                      const struct mor_schema *b); // names, types, nullability, ids
bool mor_field_equal(const struct mor_field *a, const struct mor_field *b);
// Index of a top-level field, -1 when there is none.
int32_t mor_schema_find(const struct mor_schema *schema, const char *name);
// Gives every field (and nested field) without an id the next free one, in pre-order, from 1.
void mor_schema_assign_ids(struct mor_schema *schema);
const char *mor_type_name(enum mor_type type); // "int", "long", "timestamp_us", ...
// Reads a type by the names of the configuration ("long", "decimal(12,2)", "timestamp_ms",
// "string", "list<string>", "map<long>"); fills type, precision, scale, children. DATA when it is
// not one.
enum mor_status mor_type_parse(struct mor_schema *schema, struct mor_field *field, const char *text,
                               struct mor_error *err) MOR_CHECKED;
// Writes a type in the same notation.
void mor_type_format(const struct mor_field *field, struct mor_buffer *ret_text);

// ---- vectors ------------------------------------------------------------------------------------

// One column. Every buffer grows together; `length` counts slots (rows, or list elements for the
// child of a LIST). validity is maintained only when field->nullable; bit 1 = value present. A null
// slot holds zeroes (fixed width) or repeats the offset (variable width), children of a null STRUCT
// hold null slots.
struct mor_vector {
    const struct mor_field *field; // borrowed
    size_t length;
    size_t null_count;
    struct mor_buffer validity; // bitmap
    struct mor_buffer data;     // values, or bytes of STRING/BYTES/ENUM/JSON
    struct mor_buffer offsets;  // int32_t[length + 1] for STRING, BYTES, ENUM, JSON, LIST, MAP
    size_t child_count;
    struct mor_vector *children;
};

void mor_vector_init(struct mor_vector *vector, const struct mor_field *field,
                     struct mor_budget *budget);
void mor_vector_done(struct mor_vector *vector);
void mor_vector_reset(struct mor_vector *vector); // length 0, memory kept
// Bytes in use (not capacity), children included.
size_t mor_vector_bytes(const struct mor_vector *vector);
// Cuts back to `length` slots (a record that failed half way is taken back).
void mor_vector_truncate(struct mor_vector *vector, size_t length);
// Bytes per slot of `data` for fixed-width types, 0 for BOOL, variable width and nested.
size_t mor_type_width(const struct mor_field *field);

void mor_vector_append_null(
    struct mor_vector *vector); // field->nullable, or zero value of a required child
void mor_vector_append_bool(struct mor_vector *vector, bool value);
// Fixed-width value, mor_type_width bytes.
void mor_vector_append_fixed(struct mor_vector *vector, const void *value);
void mor_vector_append_bytes(struct mor_vector *vector, const void *bytes, size_t size_bytes);
// Ends a LIST/MAP slot whose elements were appended to the children, or a STRUCT slot whose
// children each got one slot.
void mor_vector_append_end(struct mor_vector *vector);
// Copies slot `index` of `from` (same type) to the end.
void mor_vector_append_slot(struct mor_vector *vector, const struct mor_vector *from, size_t index);
// Copies the slots named by indices[0..count) of `from`; the fast path for batches.
void mor_vector_append_slots(struct mor_vector *vector, const struct mor_vector *from,
                             const uint32_t *indices, size_t count);
// Copies slots [first, first + count).
void mor_vector_append_range(struct mor_vector *vector, const struct mor_vector *from, size_t first,
                             size_t count);

static inline bool mor_bit_get(const uint8_t *bits, size_t index)
{
    return (bits[index >> 3] >> (index & 7)) & 1;
}
static inline bool mor_vector_is_null(const struct mor_vector *vector, size_t index)
{
    return vector->null_count > 0 && !mor_bit_get(vector->validity.data, index);
}
static inline int32_t mor_vector_i32(const struct mor_vector *vector, size_t index)
{
    return ((const int32_t *)(const void *)vector->data.data)[index];
}
static inline int64_t mor_vector_i64(const struct mor_vector *vector, size_t index)
{
    return ((const int64_t *)(const void *)vector->data.data)[index];
}
static inline const int32_t *mor_vector_offsets(const struct mor_vector *vector)
{
    return (const int32_t *)(const void *)vector->offsets.data;
}
// Bytes of slot `index` of a variable-width vector, never NULL; borrowed until the vector changes.
static inline const uint8_t *mor_vector_bytes_at(const struct mor_vector *vector, size_t index,
                                                 size_t *ret_size_bytes)
{
    const int32_t *offsets = mor_vector_offsets(vector);
    *ret_size_bytes = (size_t)(offsets[index + 1] - offsets[index]);
    const uint8_t *bytes = vector->data.data; // NULL: all values are empty
    return bytes ? bytes + offsets[index] : (const uint8_t *)"";
}
// Appends the bit to a bitmap that holds `length` bits.
void mor_bitmap_append(struct mor_buffer *bits, size_t length, bool bit);

// ---- batches ------------------------------------------------------------------------------------

// Rows [0, row_count) of all columns; columns[i] belongs to schema->root.children[i].
struct mor_batch {
    const struct mor_schema *schema; // borrowed
    size_t row_count;
    size_t column_count;
    struct mor_vector *columns;
};

struct mor_batch *mor_batch_new(const struct mor_schema *schema, struct mor_budget *budget);
void mor_batch_free(struct mor_batch *batch);
void mor_batch_reset(struct mor_batch *batch);
size_t mor_batch_bytes(const struct mor_batch *batch);
void mor_batch_truncate(struct mor_batch *batch, size_t row_count);
// Appends rows `indices` of `from`; columns are matched by position and must have equal types.
void mor_batch_append_rows(struct mor_batch *batch, const struct mor_batch *from,
                           const uint32_t *indices, size_t count);
// Asserts the invariants of the layout (lengths, offsets ascending, child lengths); for tests and
// for batches that came from a file.
enum mor_status mor_batch_validate(const struct mor_batch *batch,
                                   struct mor_error *err) MOR_CHECKED;

// ---- values as text -----------------------------------------------------------------------------

// Appends slot `index` as JSON: numbers, strings (escaped), decimals as strings of digits, dates
// and timestamps as ISO 8601 strings, bytes as base64, NaN and infinities as strings, nested as
// objects and arrays.
void mor_vector_format_json(const struct mor_vector *vector, size_t index,
                            struct mor_buffer *ret_text);
// Appends slot `index` as plain text (partition values, record keys, CSV cells before quoting): as
// in JSON without quotes. Null appends nothing.
void mor_vector_format_text(const struct mor_vector *vector, size_t index,
                            struct mor_buffer *ret_text);

// ---- decimals -----------------------------------------------------------------------------------

typedef __int128 mor_int128;

mor_int128 mor_vector_decimal(const struct mor_vector *vector, size_t index);
// Parses "[-+]digits[.digits][e[+-]n]" into value * 10^scale. DATA when it is not a number, has
// more fraction digits than `scale` that are not zero, or more digits than `precision`.
enum mor_status mor_decimal_parse(const char *text, size_t length, int32_t precision, int32_t scale,
                                  mor_int128 *ret_value, struct mor_error *err) MOR_CHECKED;
// Writes value / 10^scale; at most 48 bytes. Returns the length.
size_t mor_decimal_format(mor_int128 value, int32_t scale, char ret_text[48]);
// Fixed-size big-endian two's complement as Parquet and Avro want it: the least number of bytes
// that holds `precision` digits (1..16).
int32_t mor_decimal_size_bytes(int32_t precision);
void mor_decimal_to_be(mor_int128 value, uint8_t *ret_bytes, size_t size_bytes);
// Sign-extends 1..16 big-endian bytes; longer input must be sign padding, else false.
bool mor_decimal_from_be(const uint8_t *bytes, size_t size_bytes, mor_int128 *ret_value);
bool mor_decimal_fits(mor_int128 value, int32_t precision);

#endif
