// The decoder's inside: JSON plan, Avro plans by schema id, attributes, and the same for message
// keys.
#ifndef MORAINE_DECODER_H
#define MORAINE_DECODER_H

#include <locale.h>

#include "json_read.h"
#include "moraine/avro.h"
#include "moraine/base/map.h"
#include "moraine/decode.h"

// Writer schemas kept per decoder; a topic has a handful. Past it the cache starts anew.
#define MOR_DECODER_PLANS_MAX 1024

#define MOR_WIRE_HEADER_SIZE 5 // 00 and the schema id, big-endian

// A writer schema and the plan from it to the columns, or why there is none.
struct mor_decoder_plan {
    struct mor_avro_schema *writer;
    struct mor_avro_plan *plan;
    char *reason; // plan NULL: the message of the error that every record of this schema gets
    char *change; // what the columns do not take in: every record is a CONFLICT; NULL = nothing
    bool refused; // plan NULL, and the columns cannot be changed so that it fits
};

// Plans by the registry's id, for values or for keys. JSON has no plans, only what an id changes.
struct mor_decoder_plans {
    const struct mor_schema *table;
    const struct mor_avro_schema *reader; // NULL = none
    const struct mor_route *routes;       // NULL = the fields of the columns' names
    size_t route_count;
    bool row_is_whole;
    const char *wrap_as; // a writer schema that is no record is taken as a record of this one field
    struct mor_map by_id;
    int32_t last_id; // the hot case: the same id as before
    struct mor_decoder_plan *last;
};

// A column that does not come from the payload.
struct mor_decoder_attribute {
    enum mor_attribute_kind kind;
    const char *text;
    struct mor_json_value value; // how a text becomes a slot
    struct mor_vector constant;  // CONSTANT: its one slot
};

struct mor_decoder {
    struct mor_decoder_options options; // limits filled in
    struct mor_arena arena;
    locale_t locale;
    struct mor_buffer text; // the record's text with padding behind it
    struct mor_buffer scratch, slots;
    struct mor_notes notes; // of the record that was decoded last
    struct mor_json_object *object;
    const struct mor_json_object *row; // whose unknown fields are left out without being asked to
    size_t row_told;                   // so many of them were noticed
    struct mor_schema *value_table;    // the payload's columns
    struct mor_avro_schema *reader;
    struct mor_decoder_plans value_plans;
    struct mor_decoder_plan *bare; // of options.writer_schema
    struct mor_decoder_protobuf *protobuf;
    struct mor_decoder_attribute *attributes;
    // keys
    size_t key_count;
    size_t *key_indices; // columns of the payload
    struct mor_json_object *key_object;
    struct mor_schema *key_table; // all columns, only the key columns under their name
    struct mor_decoder_plans key_plans;
    char notice[512]; // not told yet; "" = nothing
    int32_t changed_id;
};

// The schema id of the wire format's header.
enum mor_status mor_decoder_wire_id(const uint8_t *bytes, size_t size_bytes, int32_t *ret_id,
                                    struct mor_error *err) MOR_CHECKED;

void mor_decoder_forget_plans(struct mor_decoder_plans *plans);

// ---- writer schemas that change (decoder_changes.c) ---------------------------------------------

// What is to be done about a writer schema that is new to this decoder. `reason`: why the columns
// cannot take it, NULL = they can; `strangers`: its fields that no column takes. *ret_change (the
// caller's, NULL = nothing) says what has to change before a record of it is decoded, *ret_refused
// that a change was tried and does not help. Otherwise what is left out is noted for the log.
void mor_decoder_look_for_changes(struct mor_decoder *decoder, int32_t id, const char *reason,
                                  const char *strangers, char **ret_change, bool *ret_refused);
// CONFLICT: the columns must change first.
enum mor_status mor_decoder_stop_at(struct mor_decoder *decoder, int32_t id, const char *change,
                                    struct mor_error *err) MOR_CHECKED;
// DATA: a record of a schema that does not fit; FATAL when no change of the columns helps.
enum mor_status mor_decoder_refuse(int32_t id, bool refused, const char *reason,
                                   struct mor_error *err) MOR_CHECKED;

// ---- Avro (decoder_avro.c) ----------------------------------------------------------------------

enum mor_status mor_decoder_set_avro(struct mor_decoder *decoder,
                                     struct mor_error *err) MOR_CHECKED;
void mor_decoder_avro_done(struct mor_decoder *decoder);
enum mor_status mor_decoder_avro(struct mor_decoder *decoder, const struct mor_record *record,
                                 struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;
// Decodes a datum in Confluent's wire format.
enum mor_status mor_decoder_wire(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                 const uint8_t *bytes, size_t size_bytes,
                                 struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;

// ---- Protobuf (decoder_protobuf.c) --------------------------------------------------------------

enum mor_status mor_decoder_set_protobuf(struct mor_decoder *decoder,
                                         struct mor_error *err) MOR_CHECKED;
void mor_decoder_protobuf_done(struct mor_decoder *decoder);
enum mor_status mor_decoder_protobuf(struct mor_decoder *decoder, const struct mor_record *record,
                                     struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;

// ---- JSON (decoder_json.c) ----------------------------------------------------------------------

enum mor_status mor_decoder_json(struct mor_decoder *decoder, const struct mor_record *record,
                                 struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;
// Copies the text with padding and sets up the reader.
void mor_decoder_start_json(struct mor_decoder *decoder, const uint8_t *bytes, size_t size_bytes,
                            struct mor_json_reader *ret_reader);
// Steps into {"schema": ..., "payload": ...}, as Kafka Connect writes values with their schema;
// *ret_depth counts how deep. Other texts: where it stands.
const uint8_t *mor_decoder_enter_json(struct mor_json_reader *reader, const uint8_t *at,
                                      int *ret_depth);
// Checks that nothing but the end of what was entered stands behind `at` (NULL = failed before). On
// failure cuts the columns back to `length` and fills the error.
enum mor_status mor_decoder_finish_json(struct mor_decoder *decoder, struct mor_json_reader *reader,
                                        const uint8_t *at, int depth, struct mor_vector *columns,
                                        size_t length, struct mor_error *err) MOR_CHECKED;

// ---- keys, attributes, envelopes ----------------------------------------------------------------

// Reads the key columns of the options. FATAL when one is missing or nested.
enum mor_status mor_decoder_set_keys(struct mor_decoder *decoder,
                                     struct mor_error *err) MOR_CHECKED;

enum mor_status mor_decoder_set_attributes(struct mor_decoder *decoder,
                                           struct mor_error *err) MOR_CHECKED;
void mor_decoder_attributes_done(struct mor_decoder *decoder);
// One slot in each of their columns. DATA: nothing was appended to any of them.
enum mor_status mor_decoder_append_attributes(struct mor_decoder *decoder,
                                              const struct mor_record *record,
                                              struct mor_vector *columns,
                                              struct mor_error *err) MOR_CHECKED;

// What the change event that was just decoded is; NOTHING: its slots were taken back.
enum mor_status mor_decoder_judge(struct mor_decoder *decoder, struct mor_vector *columns,
                                  size_t length, enum mor_decoded *ret_what,
                                  struct mor_error *err) MOR_CHECKED;

// Cuts the payload's columns back.
void mor_decoder_undo(const struct mor_decoder *decoder, struct mor_vector *columns, size_t length);

#endif
