// Iceberg schemas as JSON (specification, "Schemas and Data Types") to table schemas and back, and
// their evolution by field id.
#ifndef MORAINE_TABLE_ICEBERG_SCHEMA_H
#define MORAINE_TABLE_ICEBERG_SCHEMA_H

#include "iceberg_json.h"
#include "moraine/column.h"

// Ids above are the format's own (specification, "Reserved Field IDs").
#define ICEBERG_FIELD_ID_MAX    2147483447
#define ICEBERG_ID_FILE         2147483646
#define ICEBERG_ID_POS          2147483645
#define ICEBERG_ID_DELETE_PATH  2147483546 // columns of position delete files
#define ICEBERG_ID_DELETE_POS   2147483545
#define ICEBERG_ID_ROW_ID       2147483540
#define ICEBERG_ID_LAST_UPDATED 2147483539

// The type in which an Iceberg table stores a column, nested types included: ENUM and JSON are
// strings, times and timestamps of milliseconds are of microseconds. FATAL when Iceberg has none.
enum mor_status iceberg_schema_normalise(struct mor_field *field,
                                         struct mor_error *err) MOR_CHECKED;

// Gives every field without an id (-1) the next one after *last_id: all of one level first, then
// the nested ones in order, as Java does for new tables. *last_id is moved on.
void iceberg_schema_assign(struct mor_schema *schema, int32_t *last_id);
// Highest id of the schema's fields, nested ones included; 0 when none has one.
int32_t iceberg_schema_last_id(const struct mor_schema *schema);
// The field with that id, nested ones included; NULL when there is none. Borrowed.
const struct mor_field *iceberg_schema_field(const struct mor_schema *schema, int32_t field_id);

// The JSON of a schema whose fields all have ids and types of Iceberg (iceberg_schema_normalise).
// Identifier fields in ascending order of `identifier_ids`; 0 = none. The caller decrefs.
json_t *iceberg_schema_to_json(const struct mor_schema *schema, int32_t schema_id,
                               const int32_t *identifier_ids, size_t identifier_count);
// Type of a field as schema JSON has it: text for a primitive, an object for a nested one.
json_t *iceberg_type_to_json(const struct mor_field *field);

// The table schema of a schema's JSON, field ids kept. DATA when it is malformed (ids that are
// missing, too large or given twice, unknown types); FATAL naming the column for what moraine
// cannot hold: timestamps of nanoseconds, variant, geometry, geography, unknown, initial defaults
// that are not null. Free with mor_schema_free.
enum mor_status iceberg_schema_from_json(const json_t *json, struct mor_schema **ret_schema,
                                         struct mor_error *err) MOR_CHECKED;
// identifier-field-ids of a schema's JSON: their number; at most `capacity` are stored.
size_t iceberg_schema_identifiers(const json_t *json, int32_t *ret_ids, size_t capacity);

// What a table's schema must become to hold rows of `rows` (normalised; ids play no part, columns
// are matched by name at every level): new columns are added (optional), int becomes long, float
// double, decimals get more digits, required ones become optional where the rows may be null (not
// identifier columns: rows without a key are never written); columns that the rows do not have stay
// and become optional. The order of the table's columns stays. *ret_json (the caller decrefs) has
// the id `schema_id` and the identifier fields of `table`; NULL when nothing changes. *last_id is
// moved on for new columns. FATAL naming the column when Iceberg does not allow the change, the
// rows lack an identifier column, or a new name differs from one of the table's by case alone.
enum mor_status iceberg_schema_evolve(const json_t *table, const struct mor_schema *rows,
                                      int32_t schema_id, int32_t *last_id, json_t **ret_json,
                                      struct mor_error *err) MOR_CHECKED;
// Whether two schemas are the same but for their schema-id.
bool iceberg_schema_json_equal(const json_t *a, const json_t *b);

#endif
