// A decoding plan: for each field of the writer's record, in the order of the data, one operation
// that says how its bytes are read and which column takes the value.
#ifndef MORAINE_AVRO_PLAN_H
#define MORAINE_AVRO_PLAN_H

#include "avro_schema.h"

enum mor_avro_op_code {
    MOR_AVRO_OP_SKIP,       // no column: `skip` is the type to move past
    MOR_AVRO_OP_SKIP_BYTES, // ... which has a length
    MOR_AVRO_OP_SKIP_LONG,  // ... is a number of any length
    MOR_AVRO_OP_SKIP_FIXED, // ... has `fixed_size_bytes`
    MOR_AVRO_OP_SKIP_LAST = MOR_AVRO_OP_SKIP_FIXED,
    MOR_AVRO_OP_ABSENT, // no data: the column gets null
    MOR_AVRO_OP_BOOL,
    MOR_AVRO_OP_INT_I32,
    MOR_AVRO_OP_INT_I64, // value * factor
    MOR_AVRO_OP_INT_FLOAT,
    MOR_AVRO_OP_INT_DOUBLE,
    MOR_AVRO_OP_LONG_I64,
    MOR_AVRO_OP_LONG_MULTIPLY, // value * factor, checked
    MOR_AVRO_OP_LONG_DIVIDE,   // floor(value / factor)
    MOR_AVRO_OP_LONG_DIVIDE_I32,
    MOR_AVRO_OP_LONG_FLOAT,
    MOR_AVRO_OP_LONG_DOUBLE,
    MOR_AVRO_OP_FLOAT,
    MOR_AVRO_OP_FLOAT_DOUBLE,
    MOR_AVRO_OP_DOUBLE,
    MOR_AVRO_OP_STRING,      // bytes or string that must be UTF-8
    MOR_AVRO_OP_BYTES,       // bytes or string, taken as they are
    MOR_AVRO_OP_FIXED_BYTES, // fixed to a column of variable width
    MOR_AVRO_OP_FIXED,
    MOR_AVRO_OP_BYTES_FIXED, // bytes of exactly the size of the column
    MOR_AVRO_OP_UUID_TEXT,   // string to UUID
    MOR_AVRO_OP_UUID_STRING, // string that must be a UUID and stays text
    MOR_AVRO_OP_UUID_FORMAT, // fixed to the text of a UUID
    MOR_AVRO_OP_ENUM,
    MOR_AVRO_OP_DECIMAL_BYTES,
    MOR_AVRO_OP_DECIMAL_FIXED,
    MOR_AVRO_OP_RECORD,
    MOR_AVRO_OP_ARRAY,
    MOR_AVRO_OP_MAP,
    MOR_AVRO_OP_UNION,   // several branches: one operation each
    MOR_AVRO_OP_REFUSE,  // a union branch that the column cannot hold
    MOR_AVRO_OP_MEMBERS, // several branches: a field of a struct each
    MOR_AVRO_OP_DEFAULT, // no data: the reader's default
    MOR_AVRO_OP_NOTE,    // noted, then `inner`
    MOR_AVRO_OP_FLATTEN, // a record whose fields are columns beside this one's
    MOR_AVRO_OP_KEEP,    // what may stand in for a flattened record: its place is remembered
    MOR_AVRO_OP_SETTLE,  // at the end: a flattened record that was null gets what was kept
};

#define MOR_AVRO_NO_BRANCH 0xFF

// Unions multiply: nested ones of several records could ask for more operations than memory holds.
#define MOR_AVRO_OPS_MAX 100000

struct mor_avro_program;

struct mor_avro_decimal {
    mor_int128 limit;    // 10^precision of the column
    mor_int128 multiply; // 10^(digits that the column's scale has more)
    uint32_t fixed_size_bytes;
};

struct mor_avro_symbol {
    const char *text;
    size_t size_bytes;
};

// A record whose fields are columns beside it.
struct mor_avro_flatten {
    const struct mor_avro_program *program; // of its fields
    const struct mor_avro_program *absent;  // nothing but nulls
    bool has_otherwise;                     // absence is settled at the end
    // What was kept, NULL when the writer has no such field.
    const struct mor_avro_program *kept;
    uint8_t kept_null_branch; // NO_BRANCH = never null
};

// A value that is noted before it is read.
struct mor_avro_noted {
    const struct mor_avro_op *inner;
    const struct mor_avro_node *node;
    int32_t index;
};

struct mor_avro_op {
    uint8_t code;
    uint8_t null_branch; // a union of one type with null: the branch of null, else NO_BRANCH
    uint8_t flatten_null_branch; // FLATTEN: as null_branch
    bool nullable;               // of the column
    uint32_t column;             // among the vectors of the record
    uint32_t count;              // symbols, branches
    const char *name;            // for messages
    union {
        const struct mor_avro_node *skip;
        int64_t factor;
        uint32_t fixed_size_bytes;
        const struct mor_avro_decimal *decimal;
        const struct mor_avro_symbol *symbols;
        const struct mor_avro_program *program;
        const struct mor_avro_op *branches;
        const struct mor_avro_flatten *flatten;
        struct {
            const struct mor_avro_op *value;
            const struct mor_buffer *datum;
        } preset; // DEFAULT
        const struct mor_avro_noted *noted;
        struct {
            const struct mor_avro_op *item; // of an array or a map
            size_t size_min_bytes;          // of an item, map key included
        } items;
    };
};

struct mor_avro_program {
    size_t op_count;
    const struct mor_avro_op *ops;
};

struct mor_avro_plan {
    struct mor_arena arena;
    struct mor_avro_program program;
    size_t column_count;
    bool has_notes;              // also whether a flattened record was there
    struct mor_buffer *defaults; // their data, one each; a list for the freeing
    size_t default_count;
    struct mor_buffer strangers; // names, see mor_avro_plan_strangers
};

#endif
