// A datum as a tree of values: for control data whose fields are found by id, whoever wrote them,
// such as Iceberg's manifests.
#ifndef MORAINE_AVRO_VALUE_H
#define MORAINE_AVRO_VALUE_H

#include "moraine/avro.h"

enum mor_avro_value_kind {
    MOR_AVRO_VALUE_NULL,
    MOR_AVRO_VALUE_BOOLEAN,
    MOR_AVRO_VALUE_INT,    // int; an enum's index
    MOR_AVRO_VALUE_LONG,   // long
    MOR_AVRO_VALUE_FLOAT,  // float
    MOR_AVRO_VALUE_DOUBLE, // double
    MOR_AVRO_VALUE_BYTES,  // bytes, fixed
    MOR_AVRO_VALUE_STRING, // zero-terminated copy (not counted)
    MOR_AVRO_VALUE_RECORD, // items are the fields in the writer's order
    MOR_AVRO_VALUE_ARRAY,  // a map is an array of records of two fields, "key" and "value"
};

struct mor_avro_value {
    enum mor_avro_value_kind kind;
    int32_t field_id; // attribute field-id of the record's field that it is; -1 = none
    const char *name; // of the record's field; NULL = it is none. Borrowed from the schema
    union {
        bool boolean;
        int64_t number;
        double floating;
        struct {
            const uint8_t *bytes; // borrowed from the datum, but for strings
            size_t size_bytes;
        } blob;
        struct {
            struct mor_avro_value *items;
            size_t count;
        } list;
    } as;
};

// Builds the tree of a datum in the arena; unions are their branch's value. DATA for bytes that are
// not one. Any thread.
enum mor_status mor_avro_value_read(const struct mor_avro_schema *schema, const uint8_t *datum,
                                    size_t size_bytes, struct mor_arena *arena,
                                    struct mor_avro_value *ret_value,
                                    struct mor_error *err) MOR_CHECKED;
// Field of a record by its id, else by its name among fields without an id; NULL when there is none
// (or the value is no record).
const struct mor_avro_value *mor_avro_value_field(const struct mor_avro_value *record,
                                                  int32_t field_id, const char *name);

#endif
