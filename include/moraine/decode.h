// Kafka records to columns: JSON, Avro, change events around them, Confluent's wire format and its
// schema registry, and what stands beside the value (headers, coordinates, constants).
#ifndef MORAINE_DECODE_H
#define MORAINE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/avro/route.h"
#include "moraine/base/record.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

// ---- schema registry ----------------------------------------------------------------------------

// Client of a Confluent-compatible registry with a cache of schemas by id; any thread.
struct mor_registry;
struct mor_registry_options {
    const char *url;
    const char *username, *password; // NULL = none
    const char *ca_location;         // NULL = the system's
    int64_t timeout_ms;              // 0 = 10 s
};
enum mor_status mor_registry_open(const struct mor_registry_options *options,
                                  struct mor_registry **ret_registry,
                                  struct mor_error *err) MOR_CHECKED;
void mor_registry_free(struct mor_registry *registry);
enum mor_schema_kind { MOR_SCHEMA_AVRO, MOR_SCHEMA_JSON, MOR_SCHEMA_PROTOBUF };
// A schema and, of JSON and Protobuf, what it refers to, by the name it does so; Avro's is complete
// in itself: schemas that it refers to are written in.
struct mor_schema_import {
    const char *name, *text;
};
struct mor_schema_text {
    int32_t id;
    const char *text;
    size_t size_bytes; // zero-terminated besides
    const struct mor_schema_import *imports;
    size_t import_count;
};
// Newest schema of a subject, in the arena. RETRY when the registry cannot be reached or answers
// 5xx/429, NOT_FOUND when the subject does not exist, FATAL for 401/403 and another kind.
enum mor_status mor_registry_latest(struct mor_registry *registry, enum mor_schema_kind kind,
                                    const char *subject, struct mor_arena *arena,
                                    struct mor_schema_text *ret_schema,
                                    struct mor_error *err) MOR_CHECKED;
// Schema `id`. NOT_FOUND when the registry does not know it (remembered for 30 s), DATA when it is
// of another kind or what it refers to cannot be followed.
enum mor_status mor_registry_schema(struct mor_registry *registry, enum mor_schema_kind kind,
                                    int32_t id, struct mor_arena *arena,
                                    struct mor_schema_text *ret_schema,
                                    struct mor_error *err) MOR_CHECKED;

// The table that a Protobuf message maps to; `message` with its package, NULL = the first of the
// file. `schema` is the text of a .proto file or a FileDescriptorSet (told apart by their bytes);
// of a set without a `message` the first of the last file. *ret_message is the message's name, in
// the arena. Scalars become columns of their kind (uint32 a long, uint64 a decimal(20,0)), enums
// their names, repeated fields lists, maps maps of text keys, messages structs, without fields
// booleans (true where they stand); Timestamp a timestamp, Duration a long of microseconds,
// wrappers nullable scalars, Struct, Value and ListValue JSON text. DATA with the path of what a
// table cannot hold.
enum mor_status mor_protobuf_to_table(const struct mor_schema_text *schema, const char *message,
                                      struct mor_arena *arena, const char **ret_message,
                                      struct mor_schema **ret_schema,
                                      struct mor_error *err) MOR_CHECKED;

// The table that a JSON schema maps to, in the source's types: objects with properties structs,
// with additionalProperties alone maps, integers longs, numbers doubles, texts by their format
// (date-time, date, uuid, base64), Kafka Connect's notes heeded; null beside one type makes a
// column nullable, as does absence from "required". What has no fixed shape is JSON text. DATA when
// it is no schema of an object.
enum mor_status mor_json_schema_to_table(const struct mor_schema_text *schema,
                                         struct mor_schema **ret_schema,
                                         struct mor_error *err) MOR_CHECKED;
// Whether a JSON text is an Avro schema of a record rather than a JSON schema.
bool mor_json_schema_is_avro(const char *text);

// Columns inferred from JSON records: boolean, long, double (also where whole numbers and others
// mix), list, struct, and text for all else, as JSON where it is no text. Values nested deeper than
// 8 levels are text; 2,000 fields at most. Broken records are passed over.
struct mor_json_inference;
struct mor_json_inference *mor_json_inference_new(bool enveloped); // rows of change events
void mor_json_inference_free(struct mor_json_inference *inference);
void mor_json_inference_add(struct mor_json_inference *inference, const void *value,
                            size_t size_bytes);
// NULL when no record had a field.
struct mor_schema *mor_json_inference_finish(const struct mor_json_inference *inference);
// Turns the schema of a table that was made so back into the source's types: its texts took any
// value.
void mor_json_inference_reopen(struct mor_schema *schema);

// ---- decoders -----------------------------------------------------------------------------------

enum mor_payload_format {
    MOR_PAYLOAD_JSON,
    MOR_PAYLOAD_AVRO,
    MOR_PAYLOAD_PROTOBUF,
    MOR_PAYLOAD_RAW
};
enum mor_key_format { MOR_KEY_AUTO, MOR_KEY_STRING, MOR_KEY_JSON, MOR_KEY_AVRO };

// Columns that do not come from the payload.
enum mor_attribute_kind {
    MOR_ATTRIBUTE_PARTITION, // int or long
    MOR_ATTRIBUTE_OFFSET,    // long
    MOR_ATTRIBUTE_TIMESTAMP, // Kafka's timestamp: timestamp or long (milliseconds)
    MOR_ATTRIBUTE_TOPIC,
    MOR_ATTRIBUTE_KEY,      // the message key as it is
    MOR_ATTRIBUTE_VALUE,    // the value as it is
    MOR_ATTRIBUTE_HEADERS,  // all of them: a map
    MOR_ATTRIBUTE_HEADER,   // the last one of a name, null when there is none
    MOR_ATTRIBUTE_CONSTANT, // the same in every row
    MOR_ATTRIBUTE_OP,       // change event: c, u, d or r
    MOR_ATTRIBUTE_POSITION, // change event: place in the source's log, see mor_position_of
};
struct mor_attribute {
    enum mor_attribute_kind kind;
    const char *text; // TOPIC, HEADER: the name; CONSTANT: the value as text
};

// Debezium's change events {before, after, source, op, ts_ms}, in JSON also inside {schema,
// payload}. The columns are those of the image: after, or before when a row was deleted.
enum mor_envelope { MOR_ENVELOPE_NONE, MOR_ENVELOPE_DEBEZIUM };
// What the events of a truncated table do.
enum mor_truncate { MOR_TRUNCATE_IGNORE, MOR_TRUNCATE_STOP };
// A column that Debezium could not read because its value did not change
// ("__debezium_unavailable_value").
enum mor_unavailable { MOR_UNAVAILABLE_NULL, MOR_UNAVAILABLE_KEEP, MOR_UNAVAILABLE_DEAD_LETTER };
// Notes that the routes of an enveloped payload take.
enum mor_envelope_note {
    MOR_NOTE_OP,
    MOR_NOTE_LSN,  // source.lsn (PostgreSQL)
    MOR_NOTE_FILE, // source.file (MySQL)
    MOR_NOTE_POS,  // source.pos
};

// Limits against hostile records; 0 = the default. What passes one is DATA.
struct mor_decoder_limits {
    size_t value_size_max_bytes; // of a value or a key
    size_t items_max;            // elements of one list or map, headers of a record
    int depth_max;               // nesting of JSON values
};
#define MOR_DECODER_VALUE_SIZE_MAX (32u << 20)
#define MOR_DECODER_ITEMS_MAX      1000000
#define MOR_DECODER_DEPTH_MAX      64

// Everything that is pointed at is borrowed for the decoder's life.
struct mor_decoder_options {
    enum mor_payload_format format;
    const struct mor_schema *schema; // columns to fill
    size_t column_count;             // the first so many columns of it come from the payload,
    const struct mor_attribute *attributes; // the next from these
    size_t attribute_count;
    const struct mor_route *routes; // NULL = the payload's columns are the fields of their names
    size_t route_count;
    // JSON: the schema that the topic declares, the payload's fields by their names; says in which
    // unit a number stands for a date, time or timestamp (the table may hold another) and which
    // fields must not be null. NULL = `schema`.
    const struct mor_schema *source_schema;
    bool base64_decimals; // JSON: texts of decimals are Kafka Connect's, not digits
    // Avro and Protobuf in Confluent's wire format; NULL = bare data of writer_schema.
    struct mor_registry *registry;
    struct mor_schema_text writer_schema; // text NULL = none
    const char *message;                  // Protobuf: the one message that the topic's records are
    // Avro JSON text of the schema that the columns came from: its defaults and aliases help with
    // other writers' data. NULL = none.
    const char *reader_schema;
    // Wire format: a writer schema that the columns do not take in whole (new fields, wider types)
    // makes mor_decoder_value return CONFLICT, before a record of it is decoded; see
    // mor_decoder_changed_id. But for these ids, from which the columns were made already: what of
    // them still does not fit is FATAL (types) or left out (fields). Fields that the routes leave
    // out are no change, but for those of a change event's row when `row_is_whole`.
    bool follow_changes;
    bool row_is_whole;
    const int32_t *learned_ids;
    size_t learned_count;
    enum mor_envelope envelope;
    enum mor_truncate truncate;
    enum mor_unavailable unavailable;
    enum mor_key_format key_format; // how tombstones' message keys are read
    const char *const *key_columns;
    size_t key_column_count;
    struct mor_decoder_limits limits;
};

// One decoder per thread. FATAL when the options contradict each other (no writer schema, a key
// column that does not exist, a source type that cannot become the column's); DATA for a bad writer
// schema.
struct mor_decoder;
enum mor_status mor_decoder_new(const struct mor_decoder_options *options,
                                struct mor_decoder **ret_decoder,
                                struct mor_error *err) MOR_CHECKED;
void mor_decoder_free(struct mor_decoder *decoder);
// Once per writer schema with fields that the table lacks (a newer version was registered while the
// topic runs), and of JSON once per such field of the row: their names in words, for the log; their
// values are skipped. False when there is nothing new to tell.
bool mor_decoder_take_notice(struct mor_decoder *decoder, char *ret_text, size_t capacity);
// The writer schema that the last CONFLICT was about.
int32_t mor_decoder_changed_id(const struct mor_decoder *decoder);

// What a record is to the table.
enum mor_decoded {
    MOR_DECODED_ROW,
    MOR_DECODED_DELETE,    // a row that says it is gone
    MOR_DECODED_TOMBSTONE, // no value: only the key columns and the attributes count
    MOR_DECODED_NOTHING,   // no row, nothing was appended (an event about no row)
};

// Appends one slot to each of the payload's and the attributes' columns. Classes as below.
enum mor_status mor_decoder_record(struct mor_decoder *decoder, const struct mor_record *record,
                                   struct mor_vector *columns, enum mor_decoded *ret_what,
                                   struct mor_error *err) MOR_CHECKED;

// Appends one slot to each of the payload's columns from the record's value. DATA (with
// the field's path, the byte position and what is wrong): nothing was appended. RETRY: the registry
// is unreachable, or a column would pass 2 GiB: nothing was appended, call again later (with a new
// batch). FATAL: the registry refuses us.
//
// JSON is read as RFC 8259 has it, as an object of the columns' names:
// - a missing or null field is null; for a required column it is DATA. Unknown fields are skipped
//   but must be well-formed.
// - a key that occurs twice is DATA (known fields and map keys; those of unknown fields are not
//   compared).
// - integers: any number without a fraction that fits (7, 7.0, 7e3); float and double are correctly
//   rounded; decimals are taken from the digits of a number or a string, exactly.
// - date, time, timestamp: ISO 8601 string, or a number in the unit of the source's field.
// - bytes and fixed: base64. uuid: 36 characters. enum: string. json: the text of any value; of a
//   string, its content.
// - list: array; map: object; struct: object. Confluent's five bytes before JSON (00 and the id of
//   a JSON schema) are stepped over.
enum mor_status mor_decoder_value(struct mor_decoder *decoder, const struct mor_record *record,
                                  struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;

// Appends one slot to each of the payload's columns from the record's message key: the key columns
// filled, all others null (required ones zero). For tombstones. Classes as above; a record without
// key is DATA.
// - MOR_KEY_STRING: the key is the text of the one key column.
// - MOR_KEY_JSON: an object with the key columns, or the bare value of the one key column.
// - MOR_KEY_AVRO: Confluent's wire format; a record with the key columns, or the bare value of one.
// - MOR_KEY_AUTO: Avro when there is a registry and the first byte is 0, JSON when it begins with a
//   brace or a quote and reads as JSON (always, for several key columns), else text.
enum mor_status mor_decoder_key(struct mor_decoder *decoder, const struct mor_record *record,
                                struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;

// Debezium's position as a number that grows with the source's log: PostgreSQL's LSN; MySQL's
// binlog file number * 2^40 + position. False when there is neither, or they are out of range.
bool mor_position_of(const struct mor_notes *notes, int64_t *ret_position);

#endif
