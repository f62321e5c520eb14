// Thrift compact protocol, the part that Parquet uses, over bytes in memory.
//
// The reader has a sticky fault: after the first malformed byte every call returns zero values and
// mor_pq_thrift_next returns false, so a struct parser needs one check at its end. Nothing is
// copied: binaries point into the input. Depth of nested containers is limited, list counts are
// limited by the bytes that are left (every element takes at least one).
//
// Source: apache/thrift doc/specs/thrift-compact-protocol.md
#ifndef MOR_PQ_THRIFT_H
#define MOR_PQ_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"

enum mor_pq_thrift_type {
    MOR_PQ_T_STOP = 0,
    MOR_PQ_T_TRUE = 1,
    MOR_PQ_T_FALSE = 2,
    MOR_PQ_T_BYTE = 3,
    MOR_PQ_T_I16 = 4,
    MOR_PQ_T_I32 = 5,
    MOR_PQ_T_I64 = 6,
    MOR_PQ_T_DOUBLE = 7,
    MOR_PQ_T_BINARY = 8,
    MOR_PQ_T_LIST = 9,
    MOR_PQ_T_SET = 10,
    MOR_PQ_T_MAP = 11,
    MOR_PQ_T_STRUCT = 12,
};

#define MOR_PQ_THRIFT_DEPTH_MAX 24

// Borrowed bytes; data NULL = absent (an empty value has a non-NULL pointer).
struct mor_pq_bytes {
    const uint8_t *data;
    size_t size_bytes;
};

// ---- reading ------------------------------------------------------------------------------------

struct mor_pq_thrift {
    const uint8_t *start, *at, *end;
    const char *fault; // what is wrong, NULL = nothing so far
    size_t fault_at;   // offset of the fault from start
    uint32_t depth;
};

struct mor_pq_field {
    int32_t id; // start with 0 for every struct
    uint8_t type;
};

void mor_pq_thrift_init(struct mor_pq_thrift *thrift, const void *bytes, size_t size_bytes);
void mor_pq_thrift_fail(struct mor_pq_thrift *thrift, const char *fault);
// Enters / leaves a struct or list element struct; enter sets a fault when nested too deeply.
void mor_pq_thrift_enter(struct mor_pq_thrift *thrift);
void mor_pq_thrift_leave(struct mor_pq_thrift *thrift);
// Advances to the next field of the struct; false at its end and after a fault.
bool mor_pq_thrift_next(struct mor_pq_thrift *thrift, struct mor_pq_field *field);
// Values of the field just announced. A field of another type than expected is skipped and gives
// zero, as generated Thrift code does: writers have used numbers for things of their own.
bool mor_pq_thrift_bool(struct mor_pq_thrift *thrift, const struct mor_pq_field *field);
int32_t mor_pq_thrift_i32(struct mor_pq_thrift *thrift, const struct mor_pq_field *field);
int64_t mor_pq_thrift_i64(struct mor_pq_thrift *thrift, const struct mor_pq_field *field);
struct mor_pq_bytes mor_pq_thrift_binary(struct mor_pq_thrift *thrift,
                                         const struct mor_pq_field *field);
// Announces a list of `element_type` and returns its count.
size_t mor_pq_thrift_list(struct mor_pq_thrift *thrift, const struct mor_pq_field *field,
                          uint8_t element_type);
// Is the field a struct? Nothing is consumed.
static inline bool mor_pq_thrift_is_struct(const struct mor_pq_field *field)
{
    return field->type == MOR_PQ_T_STRUCT;
}
// Bare elements of a list.
int32_t mor_pq_thrift_element_i32(struct mor_pq_thrift *thrift);
int64_t mor_pq_thrift_element_i64(struct mor_pq_thrift *thrift);
bool mor_pq_thrift_element_bool(struct mor_pq_thrift *thrift);
struct mor_pq_bytes mor_pq_thrift_element_binary(struct mor_pq_thrift *thrift);
// Skips the value of a field that is not known.
void mor_pq_thrift_skip(struct mor_pq_thrift *thrift, const struct mor_pq_field *field);

// ---- writing ------------------------------------------------------------------------------------

struct mor_pq_thrift_out {
    struct mor_buffer *out; // borrowed
    int32_t last_id[MOR_PQ_THRIFT_DEPTH_MAX];
    uint32_t depth;
};

void mor_pq_out_init(struct mor_pq_thrift_out *writer, struct mor_buffer *out);
void mor_pq_out_bool(struct mor_pq_thrift_out *writer, int32_t id, bool value);
void mor_pq_out_byte(struct mor_pq_thrift_out *writer, int32_t id, int8_t value);
void mor_pq_out_i16(struct mor_pq_thrift_out *writer, int32_t id, int16_t value);
void mor_pq_out_i32(struct mor_pq_thrift_out *writer, int32_t id, int32_t value);
void mor_pq_out_i64(struct mor_pq_thrift_out *writer, int32_t id, int64_t value);
void mor_pq_out_binary(struct mor_pq_thrift_out *writer, int32_t id, const void *bytes,
                       size_t size_bytes);
void mor_pq_out_text(struct mor_pq_thrift_out *writer, int32_t id, const char *text);
// A struct field is closed by mor_pq_out_end. List elements follow mor_pq_out_list; structs among
// them are opened with mor_pq_out_element.
void mor_pq_out_struct(struct mor_pq_thrift_out *writer, int32_t id);
void mor_pq_out_element(struct mor_pq_thrift_out *writer);
void mor_pq_out_end(struct mor_pq_thrift_out *writer);
void mor_pq_out_list(struct mor_pq_thrift_out *writer, int32_t id, uint8_t element_type,
                     size_t count);
void mor_pq_out_element_i32(struct mor_pq_thrift_out *writer, int32_t value);
void mor_pq_out_element_i64(struct mor_pq_thrift_out *writer, int64_t value);
void mor_pq_out_element_bool(struct mor_pq_thrift_out *writer, bool value);
void mor_pq_out_element_binary(struct mor_pq_thrift_out *writer, const void *bytes,
                               size_t size_bytes);
// Ends the outermost struct.
void mor_pq_out_stop(struct mor_pq_thrift_out *writer);

void mor_pq_append_varint(struct mor_buffer *out, uint64_t value);

#endif
