// Avro 1.11: schemas, binary data to and from columns, object container files.
#ifndef MORAINE_AVRO_H
#define MORAINE_AVRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

// ---- schemas ------------------------------------------------------------------------------------

// A parsed Avro schema, names resolved; immutable, any thread. Limits: text 1 MiB, depth 32, 5000 fields.
struct mor_avro_schema;
enum mor_status mor_avro_schema_parse(const char *json, size_t size_bytes, struct mor_avro_schema **ret_schema,
                                      struct mor_error *err) MOR_CHECKED;
void mor_avro_schema_free(struct mor_avro_schema *schema);

// The table schema that a writer schema (a record) maps to: unions with null become nullable fields,
// logical types become their types, enum and other strings STRING-like. DATA with the field's path for
// what a table cannot hold (unions of several branches, recursive types).
enum mor_status mor_avro_schema_to_table(const struct mor_avro_schema *schema, struct mor_schema **ret_schema,
                                         struct mor_error *err) MOR_CHECKED;

// JSON text of a table schema in the form that Hudi's Spark writer uses: every field ["null", T] with
// default null when nullable, nested record, fixed and namespace names as in Spark's SchemaConverters
// (record `name`, namespace `namespace`; nested: namespace + "." + record name ...). Zero-terminated.
enum mor_status mor_avro_schema_from_table(const struct mor_schema *schema, const char *name, const char *namespace_,
                                           struct mor_buffer *ret_json, struct mor_error *err) MOR_CHECKED;

// ---- decoding into columns ----------------------------------------------------------------------

// A plan compiled once for (writer schema, table schema): binary datum -> one slot in each column.
// Fields are matched by name (then alias); writer fields that the table lacks are skipped; table
// columns that the writer lacks get null; numeric promotion int->long->float->double,
// string<->bytes, date/time/timestamp unit changes. Immutable, any thread.
struct mor_avro_plan;
enum mor_status mor_avro_plan_new(const struct mor_avro_schema *writer, const struct mor_schema *table,
                                  struct mor_avro_plan **ret_plan, struct mor_error *err) MOR_CHECKED;
void mor_avro_plan_free(struct mor_avro_plan *plan);

// Decodes one datum to the end of `columns` (columns[i] for table field i; column_count of them).
// On DATA the columns are cut back to where they were. *ret_used: bytes of the datum, may be NULL
// (then trailing bytes are DATA). Every length, count and index is checked against what is left.
enum mor_status mor_avro_plan_decode(const struct mor_avro_plan *plan, const uint8_t *bytes, size_t size_bytes,
                                     struct mor_vector *columns, size_t *ret_used, struct mor_error *err) MOR_CHECKED;

// ---- encoding from columns ----------------------------------------------------------------------

// Appends row `row` of `columns` as a datum of the schema that mor_avro_schema_from_table writes for
// `schema` (nullable = union branch 1). Fixed order, no schema lookup. Any thread.
void mor_avro_encode_row(const struct mor_schema *schema, const struct mor_vector *columns, size_t row,
                         struct mor_buffer *ret_bytes);
void mor_avro_put_long(struct mor_buffer *bytes, int64_t value);             // zig-zag varint
void mor_avro_put_bytes(struct mor_buffer *bytes, const void *data, size_t size_bytes); // length + bytes

// ---- generic values (control data) --------------------------------------------------------------

// Encodes / decodes a jansson-style JSON text against a schema for control records such as Hudi's
// commit metadata: JSON null picks the null branch, a value picks the first branch that fits.
enum mor_status mor_avro_json_to_datum(const struct mor_avro_schema *schema, const char *json, size_t size_bytes,
                                       struct mor_buffer *ret_datum, struct mor_error *err) MOR_CHECKED;
// Unions are written bare (no {"type": value} wrapper), bytes and fixed as base64.
enum mor_status mor_avro_datum_to_json(const struct mor_avro_schema *schema, const uint8_t *bytes, size_t size_bytes,
                                       struct mor_buffer *ret_json, struct mor_error *err) MOR_CHECKED;

// ---- object container files ---------------------------------------------------------------------

// One block with the given data, null codec, metadata key avro.schema = schema_json (verbatim).
void mor_avro_container_write(const char *schema_json, const struct mor_buffer *data, int64_t datum_count,
                              struct mor_buffer *ret_file);

// Reads a whole container (codecs null, deflate, zstandard, snappy): the writer schema and each datum
// in turn. visit returns a status; not MOR_OK ends the reading with it.
enum mor_status mor_avro_container_read(const uint8_t *file, size_t size_bytes,
                                        enum mor_status (*visit)(void *context, const struct mor_avro_schema *schema,
                                                                 const uint8_t *datum, size_t size_bytes,
                                                                 struct mor_error *err),
                                        void *context, struct mor_error *err) MOR_CHECKED;

#endif
