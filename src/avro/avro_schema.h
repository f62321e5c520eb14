// The parsed form of an Avro schema (Avro 1.11 specification, "Schema Declaration"), private to
// avro/.
#ifndef MORAINE_AVRO_SCHEMA_H
#define MORAINE_AVRO_SCHEMA_H

#include "moraine/avro.h"

#define MOR_AVRO_TEXT_SIZE_MAX (1u << 20)
#define MOR_AVRO_DEPTH_MAX     32
#define MOR_AVRO_MEMBERS_MAX                                                                       \
    5000 // fields + symbols + branches of the whole schema, each definition once
#define MOR_AVRO_FIXED_SIZE_MAX (16u << 20)

// Nesting of data: a recursive type (a tree, a linked list) may go deeper than its schema text.
#define MOR_AVRO_DATUM_DEPTH_MAX 64
// Elements of an array whose items take no bytes at all: nothing else bounds their number.
#define MOR_AVRO_EMPTY_ELEMENTS_MAX 1024

enum mor_avro_kind {
    MOR_AVRO_NULL,
    MOR_AVRO_BOOLEAN,
    MOR_AVRO_INT,
    MOR_AVRO_LONG,
    MOR_AVRO_FLOAT,
    MOR_AVRO_DOUBLE,
    MOR_AVRO_BYTES,
    MOR_AVRO_STRING,
    MOR_AVRO_RECORD,
    MOR_AVRO_ENUM,
    MOR_AVRO_ARRAY,
    MOR_AVRO_MAP,
    MOR_AVRO_UNION,
    MOR_AVRO_FIXED,
};

// A logical type that its base type does not allow is not set (the specification says to ignore
// it).
enum mor_avro_logical {
    MOR_AVRO_LOGICAL_NONE,
    MOR_AVRO_LOGICAL_DECIMAL,
    MOR_AVRO_LOGICAL_UUID,
    MOR_AVRO_LOGICAL_DATE,
    MOR_AVRO_LOGICAL_TIME_MILLIS,
    MOR_AVRO_LOGICAL_TIME_MICROS,
    MOR_AVRO_LOGICAL_TIMESTAMP_MILLIS,
    MOR_AVRO_LOGICAL_TIMESTAMP_MICROS,
    MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MILLIS,
    MOR_AVRO_LOGICAL_LOCAL_TIMESTAMP_MICROS,
};

struct mor_avro_node;

// Field of a record (name, node, ...), symbol of an enum (name), branch of a union, item type of an
// array or value type of a map (node).
struct mor_avro_member {
    const char *name;
    const struct mor_avro_node *node;
    const char *const *aliases;
    size_t alias_count;
    const char *doc;      // NULL when absent
    const char *default_; // JSON text, NULL when absent
    int32_t field_id;     // attribute "field-id" (Iceberg), -1 when absent
};

struct mor_avro_node {
    enum mor_avro_kind kind;
    enum mor_avro_logical logical;
    int32_t precision, scale;
    uint32_t fixed_size_bytes;
    const char *full_name; // RECORD, ENUM, FIXED: namespace included
    const char *doc;
    size_t member_count;
    struct mor_avro_member *members;
    // Least number of bytes of a datum; constant when every datum has exactly that many.
    size_t size_min_bytes;
    bool constant_size;
    // Marks of walks while the schema is built; no meaning afterwards.
    bool open, sizing;
};

struct mor_avro_schema {
    struct mor_arena arena;
    const struct mor_avro_node *root;
};

const char *mor_avro_kind_name(enum mor_avro_kind kind);

#endif
