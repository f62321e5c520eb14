// From a message's bytes to columns: compiled once per writer's message type, run once per record.
//
// Fields may come in any order and more than once, so every field remembers whether this message
// had it; what is missing is filled in at the end. A plan therefore has state: one thread at a
// time.
#ifndef MORAINE_PROTO_PLAN_H
#define MORAINE_PROTO_PLAN_H

#include "moraine/avro/route.h"
#include "proto_schema.h"

struct mor_proto_plan;
struct mor_proto_plan_options {
    const struct mor_proto_message *message; // borrowed for the plan's life, as is all of this
    const struct mor_schema *table;
    const struct mor_route *routes; // NULL = the columns are the fields of their names
    size_t route_count;
    size_t items_max; // elements of one repeated field or map
};
// The writer's fields that no column takes although the message around them is the row or a column:
// their paths for a message, "" = none. What routes leave out is no stranger. Borrowed.
const char *mor_proto_plan_strangers(const struct mor_proto_plan *plan);
// Fields are matched by name. Conversions: a wider integer or decimal, float to double, integer to
// double, enum to its number. DATA with the field's path when a type does not fit or a required
// column has no field.
enum mor_status mor_proto_plan_new(const struct mor_proto_plan_options *options,
                                   struct mor_proto_plan **ret_plan,
                                   struct mor_error *err) MOR_CHECKED;
void mor_proto_plan_free(struct mor_proto_plan *plan);

// Decodes one message to the end of `columns`. DATA with field path and byte position; RETRY when a
// column would pass 2 GiB. On failure the columns are as before.
enum mor_status mor_proto_plan_decode(struct mor_proto_plan *plan, const uint8_t *bytes,
                                      size_t size_bytes, struct mor_vector *columns,
                                      struct mor_error *err) MOR_CHECKED;

// ---- inside -------------------------------------------------------------------------------------

// How a field is read, besides the scalar types.
enum {
    MOR_PROTO_READ_TIMESTAMP = 32,
    MOR_PROTO_READ_DURATION,
    MOR_PROTO_READ_JSON,    // Struct, Value, ListValue
    MOR_PROTO_READ_PRESENT, // a message without fields
    MOR_PROTO_READ_WRAPPER, // program of one field, the same column
    MOR_PROTO_READ_FLATTEN, // program of the same columns
};

struct mor_proto_program;
struct mor_proto_op {
    uint8_t read;
    uint8_t wire;  // expected; a list of numbers may also be packed
    uint8_t store; // enum mor_type of the value's column
    bool nullable; // of the value's column
    bool implicit, required;
    bool is_list, is_map;
    int32_t number;
    uint32_t tag;  // what an encoder writes for it
    int32_t oneof; // -1 = none
    int32_t precision, scale;
    uint32_t column;
    const char *name;
    const struct mor_proto_message *message;
    const struct mor_proto_enum *enumeration;
    struct mor_proto_program *program; // messages, wrappers, flattened ones; map entries
    uint64_t seen;                     // generation in which it last occurred
    size_t first;                      // lists and maps: where the elements of this slot begin
};

struct mor_proto_program {
    struct mor_proto_op *ops; // by number
    size_t op_count;
    int32_t oneof_count;
    uint32_t *oneof_ops;    // index + 1 of the member that is set
    const uint32_t *absent; // columns that no field fills
    size_t absent_count;
    uint64_t generation;
};

struct mor_proto_plan {
    struct mor_arena arena;
    struct mor_proto_program *program;
    size_t column_count, items_max;
    struct mor_buffer slots; // scratch
    struct mor_buffer strangers;
};

// Appends the JSON text of a Struct, Value or ListValue. NULL or what is wrong.
const char *mor_proto_put_json(enum mor_proto_known known, const uint8_t *bytes, size_t size_bytes,
                               struct mor_buffer *ret_json);

#endif
