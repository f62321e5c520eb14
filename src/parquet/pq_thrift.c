#include "pq_thrift.h"

#include <assert.h>

void mor_pq_thrift_init(struct mor_pq_thrift *thrift, const void *bytes, size_t size_bytes)
{
    *thrift = (struct mor_pq_thrift){
        .start = bytes, .at = bytes, .end = (const uint8_t *)bytes + size_bytes};
}

void mor_pq_thrift_fail(struct mor_pq_thrift *thrift, const char *fault)
{
    if (thrift->fault)
        return;
    thrift->fault = fault;
    thrift->fault_at = (size_t)(thrift->at - thrift->start);
    thrift->at = thrift->end;
}

void mor_pq_thrift_enter(struct mor_pq_thrift *thrift)
{
    if (++thrift->depth > MOR_PQ_THRIFT_DEPTH_MAX)
        mor_pq_thrift_fail(thrift, "metadata is nested too deeply");
}

void mor_pq_thrift_leave(struct mor_pq_thrift *thrift)
{
    thrift->depth--;
}

static uint8_t take_byte(struct mor_pq_thrift *thrift)
{
    if (thrift->at == thrift->end) {
        mor_pq_thrift_fail(thrift, "metadata ends too early");
        return 0;
    }
    return *thrift->at++;
}

static uint64_t take_varint(struct mor_pq_thrift *thrift)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (thrift->at == thrift->end) {
            mor_pq_thrift_fail(thrift, "metadata ends inside a number");
            return 0;
        }
        uint8_t byte = *thrift->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    mor_pq_thrift_fail(thrift, "metadata number is too long");
    return 0;
}

static int64_t take_zigzag(struct mor_pq_thrift *thrift)
{
    uint64_t value = take_varint(thrift);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

bool mor_pq_thrift_next(struct mor_pq_thrift *thrift, struct mor_pq_field *field)
{
    if (thrift->fault)
        return false;
    uint8_t head = take_byte(thrift);
    field->type = head & 0x0f;
    if (thrift->fault || field->type == MOR_PQ_T_STOP)
        return false;
    int64_t id = head >> 4 ? field->id + (head >> 4) : take_zigzag(thrift);
    if (id < INT16_MIN || id > INT16_MAX) {
        mor_pq_thrift_fail(thrift, "metadata field id is out of range");
        return false;
    }
    field->id = (int32_t)id;
    return !thrift->fault;
}

bool mor_pq_thrift_bool(struct mor_pq_thrift *thrift, const struct mor_pq_field *field)
{
    if (field->type != MOR_PQ_T_TRUE && field->type != MOR_PQ_T_FALSE)
        mor_pq_thrift_skip(thrift, field);
    return field->type == MOR_PQ_T_TRUE;
}

int64_t mor_pq_thrift_i64(struct mor_pq_thrift *thrift, const struct mor_pq_field *field)
{
    if (field->type == MOR_PQ_T_BYTE)
        return (int8_t)take_byte(thrift);
    if (field->type != MOR_PQ_T_I16 && field->type != MOR_PQ_T_I32 && field->type != MOR_PQ_T_I64) {
        mor_pq_thrift_skip(thrift, field);
        return 0;
    }
    return take_zigzag(thrift);
}

int32_t mor_pq_thrift_i32(struct mor_pq_thrift *thrift, const struct mor_pq_field *field)
{
    int64_t value = mor_pq_thrift_i64(thrift, field);
    if (value < INT32_MIN || value > INT32_MAX) {
        mor_pq_thrift_fail(thrift, "metadata number is out of range");
        return 0;
    }
    return (int32_t)value;
}

struct mor_pq_bytes mor_pq_thrift_element_binary(struct mor_pq_thrift *thrift)
{
    uint64_t size = take_varint(thrift);
    if (size > (uint64_t)(thrift->end - thrift->at)) {
        mor_pq_thrift_fail(thrift, "metadata text is longer than what follows");
        return (struct mor_pq_bytes){0};
    }
    struct mor_pq_bytes bytes = {.data = thrift->at, .size_bytes = (size_t)size};
    thrift->at += size;
    return bytes;
}

struct mor_pq_bytes mor_pq_thrift_binary(struct mor_pq_thrift *thrift,
                                         const struct mor_pq_field *field)
{
    if (field->type != MOR_PQ_T_BINARY) {
        mor_pq_thrift_skip(thrift, field);
        return (struct mor_pq_bytes){0};
    }
    return mor_pq_thrift_element_binary(thrift);
}

static void skip_elements(struct mor_pq_thrift *thrift, uint8_t type, size_t count);

static size_t take_list_head(struct mor_pq_thrift *thrift, uint8_t *ret_type)
{
    uint8_t head = take_byte(thrift);
    *ret_type = head & 0x0f;
    uint64_t count = head >> 4;
    if (count == 15)
        count = take_varint(thrift);
    if (count > (uint64_t)(thrift->end - thrift->at)) {
        mor_pq_thrift_fail(thrift, "metadata list is longer than what follows");
        return 0;
    }
    return (size_t)count;
}

size_t mor_pq_thrift_list(struct mor_pq_thrift *thrift, const struct mor_pq_field *field,
                          uint8_t element_type)
{
    if (field->type != MOR_PQ_T_LIST && field->type != MOR_PQ_T_SET) {
        mor_pq_thrift_skip(thrift, field);
        return 0;
    }
    uint8_t type;
    size_t count = take_list_head(thrift, &type);
    bool bools = element_type == MOR_PQ_T_TRUE && type == MOR_PQ_T_FALSE;
    if (type != element_type && !bools) {
        skip_elements(thrift, type, count);
        return 0;
    }
    return count;
}

int64_t mor_pq_thrift_element_i64(struct mor_pq_thrift *thrift)
{
    return take_zigzag(thrift);
}

int32_t mor_pq_thrift_element_i32(struct mor_pq_thrift *thrift)
{
    int64_t value = take_zigzag(thrift);
    if (value < INT32_MIN || value > INT32_MAX)
        mor_pq_thrift_fail(thrift, "metadata number is out of range");
    return (int32_t)value;
}

bool mor_pq_thrift_element_bool(struct mor_pq_thrift *thrift)
{
    // Old writers used 0 for false, the specification says 2.
    return take_byte(thrift) == 1;
}

static void skip_type(struct mor_pq_thrift *thrift, uint8_t type, bool element);

static void skip_elements(struct mor_pq_thrift *thrift, uint8_t type, size_t count)
{
    for (size_t i = 0; i < count && !thrift->fault; i++)
        skip_type(thrift, type, true);
}

static void skip_list(struct mor_pq_thrift *thrift)
{
    uint8_t type;
    size_t count = take_list_head(thrift, &type);
    skip_elements(thrift, type, count);
}

static void skip_map(struct mor_pq_thrift *thrift)
{
    uint64_t count = take_varint(thrift);
    if (count == 0)
        return;
    if (count > (uint64_t)(thrift->end - thrift->at)) {
        mor_pq_thrift_fail(thrift, "metadata map is longer than what follows");
        return;
    }
    uint8_t types = take_byte(thrift);
    for (uint64_t i = 0; i < count && !thrift->fault; i++) {
        skip_type(thrift, types >> 4, true);
        skip_type(thrift, types & 0x0f, true);
    }
}

static void skip_struct(struct mor_pq_thrift *thrift)
{
    struct mor_pq_field field = {0};
    while (mor_pq_thrift_next(thrift, &field))
        skip_type(thrift, field.type, false);
}

static void skip_bytes(struct mor_pq_thrift *thrift, size_t count)
{
    if ((size_t)(thrift->end - thrift->at) < count)
        mor_pq_thrift_fail(thrift, "metadata ends too early");
    else
        thrift->at += count;
}

// element: booleans in containers take a byte, as fields they are in the type.
static void skip_type(struct mor_pq_thrift *thrift, uint8_t type, bool element)
{
    mor_pq_thrift_enter(thrift);
    if (thrift->fault)
        return;
    switch (type) {
    case MOR_PQ_T_TRUE:
    case MOR_PQ_T_FALSE:
        skip_bytes(thrift, element ? 1 : 0);
        break;
    case MOR_PQ_T_BYTE:
        skip_bytes(thrift, 1);
        break;
    case MOR_PQ_T_I16:
    case MOR_PQ_T_I32:
    case MOR_PQ_T_I64:
        take_varint(thrift);
        break;
    case MOR_PQ_T_DOUBLE:
        skip_bytes(thrift, 8);
        break;
    case MOR_PQ_T_BINARY:
        mor_pq_thrift_element_binary(thrift);
        break;
    case MOR_PQ_T_LIST:
    case MOR_PQ_T_SET:
        skip_list(thrift);
        break;
    case MOR_PQ_T_MAP:
        skip_map(thrift);
        break;
    case MOR_PQ_T_STRUCT:
        skip_struct(thrift);
        break;
    default:
        mor_pq_thrift_fail(thrift, "metadata has a field of an unknown type");
        break;
    }
    mor_pq_thrift_leave(thrift);
}

void mor_pq_thrift_skip(struct mor_pq_thrift *thrift, const struct mor_pq_field *field)
{
    skip_type(thrift, field->type, false);
}

// ---- writing ------------------------------------------------------------------------------------

void mor_pq_append_varint(struct mor_buffer *out, uint64_t value)
{
    mor_buffer_reserve(out, 10);
    while (value >= 0x80) {
        out->data[out->size_bytes++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out->data[out->size_bytes++] = (uint8_t)value;
}

static void append_zigzag(struct mor_buffer *out, int64_t value)
{
    mor_pq_append_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void mor_pq_out_init(struct mor_pq_thrift_out *writer, struct mor_buffer *out)
{
    *writer = (struct mor_pq_thrift_out){.out = out};
}

static void put_field(struct mor_pq_thrift_out *writer, int32_t id, uint8_t type)
{
    int32_t delta = id - writer->last_id[writer->depth];
    if (delta > 0 && delta <= 15) {
        mor_buffer_append_u8(writer->out, (uint8_t)(delta << 4 | type));
    } else {
        mor_buffer_append_u8(writer->out, type);
        append_zigzag(writer->out, id);
    }
    writer->last_id[writer->depth] = id;
}

void mor_pq_out_bool(struct mor_pq_thrift_out *writer, int32_t id, bool value)
{
    put_field(writer, id, value ? MOR_PQ_T_TRUE : MOR_PQ_T_FALSE);
}

void mor_pq_out_byte(struct mor_pq_thrift_out *writer, int32_t id, int8_t value)
{
    put_field(writer, id, MOR_PQ_T_BYTE);
    mor_buffer_append_u8(writer->out, (uint8_t)value);
}

void mor_pq_out_i16(struct mor_pq_thrift_out *writer, int32_t id, int16_t value)
{
    put_field(writer, id, MOR_PQ_T_I16);
    append_zigzag(writer->out, value);
}

void mor_pq_out_i32(struct mor_pq_thrift_out *writer, int32_t id, int32_t value)
{
    put_field(writer, id, MOR_PQ_T_I32);
    append_zigzag(writer->out, value);
}

void mor_pq_out_i64(struct mor_pq_thrift_out *writer, int32_t id, int64_t value)
{
    put_field(writer, id, MOR_PQ_T_I64);
    append_zigzag(writer->out, value);
}

void mor_pq_out_binary(struct mor_pq_thrift_out *writer, int32_t id, const void *bytes,
                       size_t size_bytes)
{
    put_field(writer, id, MOR_PQ_T_BINARY);
    mor_pq_out_element_binary(writer, bytes, size_bytes);
}

void mor_pq_out_text(struct mor_pq_thrift_out *writer, int32_t id, const char *text)
{
    mor_pq_out_binary(writer, id, text, strlen(text));
}

void mor_pq_out_element(struct mor_pq_thrift_out *writer)
{
    assert(writer->depth + 1 < MOR_PQ_THRIFT_DEPTH_MAX);
    writer->last_id[++writer->depth] = 0;
}

void mor_pq_out_struct(struct mor_pq_thrift_out *writer, int32_t id)
{
    put_field(writer, id, MOR_PQ_T_STRUCT);
    mor_pq_out_element(writer);
}

void mor_pq_out_end(struct mor_pq_thrift_out *writer)
{
    assert(writer->depth > 0);
    mor_buffer_append_u8(writer->out, MOR_PQ_T_STOP);
    writer->depth--;
}

void mor_pq_out_list(struct mor_pq_thrift_out *writer, int32_t id, uint8_t element_type,
                     size_t count)
{
    put_field(writer, id, MOR_PQ_T_LIST);
    if (count < 15) {
        mor_buffer_append_u8(writer->out, (uint8_t)(count << 4 | element_type));
    } else {
        mor_buffer_append_u8(writer->out, (uint8_t)(0xf0 | element_type));
        mor_pq_append_varint(writer->out, count);
    }
}

void mor_pq_out_element_i32(struct mor_pq_thrift_out *writer, int32_t value)
{
    append_zigzag(writer->out, value);
}

void mor_pq_out_element_i64(struct mor_pq_thrift_out *writer, int64_t value)
{
    append_zigzag(writer->out, value);
}

void mor_pq_out_element_bool(struct mor_pq_thrift_out *writer, bool value)
{
    mor_buffer_append_u8(writer->out, value ? MOR_PQ_T_TRUE : MOR_PQ_T_FALSE);
}

void mor_pq_out_element_binary(struct mor_pq_thrift_out *writer, const void *bytes,
                               size_t size_bytes)
{
    mor_pq_append_varint(writer->out, size_bytes);
    mor_buffer_append(writer->out, bytes, size_bytes);
}

void mor_pq_out_stop(struct mor_pq_thrift_out *writer)
{
    assert(writer->depth == 0);
    mor_buffer_append_u8(writer->out, MOR_PQ_T_STOP);
}
