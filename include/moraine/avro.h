// Avro 1.11: schemas, binary data to and from columns, object container files.
#ifndef MORAINE_AVRO_H
#define MORAINE_AVRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/avro/route.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

// ---- schemas ------------------------------------------------------------------------------------

// A parsed Avro schema, names resolved; immutable, any thread. Limits: text 1 MiB, depth 32, 5000
// fields, symbols and branches. DATA with the path of the fault. Defaults are kept as text and
// checked only when one is used.
struct mor_avro_schema;
enum mor_status mor_avro_schema_parse(const char *json, size_t size_bytes,
                                      struct mor_avro_schema **ret_schema,
                                      struct mor_error *err) MOR_CHECKED;
void mor_avro_schema_free(struct mor_avro_schema *schema);
bool mor_avro_schema_is_record(const struct mor_avro_schema *schema);

// The table schema that a writer schema (a record) maps to: unions with null become nullable
// fields, unions of int and long a long, of float and double a double, other unions of several
// types a struct with a nullable field per branch, named by its type ("string", "array", the name
// of a record; as Kafka Connect has it), logical types become their types, enum ENUM, fixed FIXED,
// the attributes field-id and element-id, value-id become field ids. The child of a LIST is named
// "element", those of a MAP "key" and "value". DATA with the field's path for what a table cannot
// hold (recursive types, null, records without fields, decimals of more than 38 digits). Free with
// mor_schema_free.
enum mor_status mor_avro_schema_to_table(const struct mor_avro_schema *schema,
                                         struct mor_schema **ret_schema,
                                         struct mor_error *err) MOR_CHECKED;

// Names columns as a table has them that was made before their fields were renamed. `columns` is
// what `schema` maps to; a field that `have` lacks by its name, but has under one of its aliases
// (those of `schema`, or of the field of that name in `reader`), gets that name; nested ones alike.
// Names that another field of the record has are not taken. `reader` may be NULL.
void mor_avro_keep_names(const struct mor_avro_schema *schema, const struct mor_avro_schema *reader,
                         const struct mor_schema *have, struct mor_schema *columns);

// Appends the JSON text (compact, as Java prints it) of a table schema in the form that Hudi's
// Spark writer uses (Spark's SchemaConverters): every field ["null", T] with default null when
// nullable; struct field f is a record f in namespace "<namespace>.<name>"; a decimal is a fixed
// named "fixed" in "<namespace>.<name>.<field>"; doc only where the field has one. UUID, ENUM and
// JSON become string, FIXED becomes bytes: Spark has no such types. Zero-terminated (not counted).
// DATA for a name that Avro does not allow.
enum mor_status mor_avro_schema_from_table(const struct mor_schema *schema, const char *name,
                                           const char *namespace_, struct mor_buffer *ret_json,
                                           struct mor_error *err) MOR_CHECKED;

// ---- decoding into columns ----------------------------------------------------------------------

// A plan compiled once for (writer schema, table schema): binary datum -> one slot in each column.
// Immutable, any thread; `writer` is borrowed for the plan's life.
//
// Fields are matched by name, then by the writer field's aliases; writer fields that the table
// lacks are skipped; nullable table columns that the writer lacks get null. Conversions: int ->
// long -> float
// -> double, string <-> bytes, date -> timestamp, units of time and timestamp (a finer one is
// rounded down), decimals to a larger scale, enum -> string, uuid as text or fixed(16), fixed ->
// bytes, a logical type -> its base type. A union of several types is resolved datum by datum.
//
// A column that is a struct with fields named as the branches of a union of several types takes it:
// each branch goes to the field of its name.
//
// DATA with the field's path when a type does not fit or a required column has no field.
struct mor_avro_plan;
struct mor_avro_plan_options {
    const struct mor_avro_schema *writer;
    const struct mor_schema *table;
    // The schema that the columns came from: its defaults fill fields that the writer lacks, its
    // aliases find fields under older names. NULL = none; borrowed for the plan's life.
    const struct mor_avro_schema *reader;
    const struct mor_route *routes; // NULL = the columns are the fields of their names
    size_t route_count;
    bool row_is_whole; // no field of the flattened record with `otherwise` is left out on purpose
};
enum mor_status mor_avro_plan_compile(const struct mor_avro_plan_options *options,
                                      struct mor_avro_plan **ret_plan,
                                      struct mor_error *err) MOR_CHECKED;
// The same without reader and routes.
enum mor_status mor_avro_plan_new(const struct mor_avro_schema *writer,
                                  const struct mor_schema *table, struct mor_avro_plan **ret_plan,
                                  struct mor_error *err) MOR_CHECKED;
void mor_avro_plan_free(struct mor_avro_plan *plan);
// The writer's fields that go to no column, neither by their names nor by an alias, although the
// record around them is the row or a column: their paths for a message, "" = none. What routes
// leave out is no stranger, but for `row_is_whole`. Borrowed from the plan.
const char *mor_avro_plan_strangers(const struct mor_avro_plan *plan);

// Decodes one datum to the end of `columns` (columns[i] for table field i, all of one length;
// `bytes` is not NULL). *ret_used: bytes of the datum; NULL: bytes after it are DATA. Every length,
// count and index is checked against what is left, strings are valid UTF-8. DATA with field path
// and byte position; RETRY when a column would pass 2 GiB (end the batch first). On failure the
// columns are as before. One thread per set of columns.
enum mor_status mor_avro_plan_decode(const struct mor_avro_plan *plan, const uint8_t *bytes,
                                     size_t size_bytes, struct mor_vector *columns,
                                     size_t *ret_used, struct mor_error *err) MOR_CHECKED;
// The same for a plan with routes whose notes are wanted, with a limit for the elements of one
// array or map; nothing may follow the datum. *ret_notes holds texts of `bytes`; it is left alone
// when the plan takes no notes.
enum mor_status mor_avro_plan_decode_noting(const struct mor_avro_plan *plan, const uint8_t *bytes,
                                            size_t size_bytes, size_t items_max,
                                            struct mor_vector *columns, struct mor_notes *ret_notes,
                                            struct mor_error *err) MOR_CHECKED;

// ---- encoding from columns ----------------------------------------------------------------------

// Appends row `row` of `columns` as a datum of the schema that mor_avro_schema_from_table writes
// for `schema` (nullable = union branch 1). Fixed order, no schema lookup, no allocation but the
// buffer's growth. Any thread.
void mor_avro_encode_row(const struct mor_schema *schema, const struct mor_vector *columns,
                         size_t row, struct mor_buffer *ret_bytes);
// The same for `count` columns whose fields are `fields`; a column may be required where its field
// is nullable.
void mor_avro_encode_fields(const struct mor_field *fields, const struct mor_vector *columns,
                            size_t count, size_t row, struct mor_buffer *ret_bytes);
void mor_avro_put_long(struct mor_buffer *bytes, int64_t value); // zig-zag varint
void mor_avro_put_bytes(struct mor_buffer *bytes, const void *data,
                        size_t size_bytes); // length + bytes

// ---- generic values (control data) --------------------------------------------------------------

// Appends the datum of a JSON text, for control records such as Hudi's commit metadata. A field
// that the object lacks gets its default, else null; a key that the record lacks is DATA. In a
// union JSON null picks the null branch, a value the first branch that fits. Bytes and fixed are
// base64. Any thread.
enum mor_status mor_avro_json_to_datum(const struct mor_avro_schema *schema, const char *json,
                                       size_t size_bytes, struct mor_buffer *ret_datum,
                                       struct mor_error *err) MOR_CHECKED;
// Appends the JSON text of a datum, zero-terminated (not counted). Unions are written bare (no
// {"type": value} wrapper), bytes and fixed as base64, NaN and infinities as strings. Any thread.
enum mor_status mor_avro_datum_to_json(const struct mor_avro_schema *schema, const uint8_t *bytes,
                                       size_t size_bytes, struct mor_buffer *ret_json,
                                       struct mor_error *err) MOR_CHECKED;

// ---- object container files ---------------------------------------------------------------------

enum mor_avro_codec {
    MOR_AVRO_CODEC_NULL,
    MOR_AVRO_CODEC_DEFLATE,
    MOR_AVRO_CODEC_SNAPPY,
    MOR_AVRO_CODEC_ZSTANDARD,
};

struct mor_avro_metadata {
    const char *key;
    const void *value;
    size_t value_size_bytes;
};

struct mor_avro_container_options {
    const char *schema_json; // written verbatim as avro.schema
    enum mor_avro_codec codec;
    const struct mor_avro_metadata *metadata; // besides avro.schema and avro.codec
    size_t metadata_count;
};

// Appends a whole file: header and, unless datum_count is 0, one block with `data`. FATAL when the
// codec fails. Any thread.
enum mor_status mor_avro_container_encode(const struct mor_avro_container_options *options,
                                          const struct mor_buffer *data, int64_t datum_count,
                                          struct mor_buffer *ret_file,
                                          struct mor_error *err) MOR_CHECKED;

// The same with the null codec and no metadata besides avro.schema (as Hudi writes its files).
void mor_avro_container_write(const char *schema_json, const struct mor_buffer *data,
                              int64_t datum_count, struct mor_buffer *ret_file);

// Gets the writer schema and one datum of a container (both borrowed for the call); a status that
// is not MOR_OK ends the reading with it.
typedef enum mor_status mor_avro_datum_fn(void *context, const struct mor_avro_schema *schema,
                                          const uint8_t *datum, size_t size_bytes,
                                          struct mor_error *err);

// Reads a whole container (codecs null, deflate, snappy, zstandard) and visits each datum in turn.
// DATA with the file offset when it is damaged. Any thread.
enum mor_status mor_avro_container_read(const uint8_t *file, size_t size_bytes,
                                        mor_avro_datum_fn *visit, void *context,
                                        struct mor_error *err) MOR_CHECKED;

// Value of a metadata key, borrowed from `file`. NOT_FOUND when the file has none.
enum mor_status mor_avro_container_metadata(const uint8_t *file, size_t size_bytes, const char *key,
                                            const uint8_t **ret_value, size_t *ret_size_bytes,
                                            struct mor_error *err) MOR_CHECKED;

// ---- text ---------------------------------------------------------------------------------------

// True when the bytes are UTF-8 as RFC 3629 has it (no overlong forms, no surrogates).
bool mor_avro_utf8_valid(const void *bytes, size_t size_bytes);
// [A-Za-z_][A-Za-z0-9_]*, the specification's rule for names.
bool mor_avro_name_is_valid(const char *name);
// Appends a JSON string with its quotes; `text` is valid UTF-8.
void mor_avro_put_json_string(struct mor_buffer *json, const char *text, size_t size_bytes);

#endif
