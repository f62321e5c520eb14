#include "moraine/column.h"

#include <assert.h>

size_t mor_type_width(const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_INT32:
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
        return 4;
    case MOR_TYPE_INT64:
    case MOR_TYPE_DOUBLE:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return 8;
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_UUID:
        return 16;
    case MOR_TYPE_FIXED:
        return (size_t)field->fixed_size_bytes;
    default:
        return 0;
    }
}

static bool is_variable(enum mor_type type)
{
    return type == MOR_TYPE_STRING || type == MOR_TYPE_BYTES || type == MOR_TYPE_ENUM ||
           type == MOR_TYPE_JSON;
}

static bool has_offsets(enum mor_type type)
{
    return is_variable(type) || type == MOR_TYPE_LIST || type == MOR_TYPE_MAP;
}

static void append_offset(struct mor_vector *vector, size_t end)
{
    assert(end <= INT32_MAX);
    mor_buffer_append_le32(&vector->offsets, (uint32_t)end);
}

void mor_vector_init(struct mor_vector *vector, const struct mor_field *field,
                     struct mor_budget *budget)
{
    *vector = (struct mor_vector){.field = field, .child_count = field->child_count};
    mor_buffer_init(&vector->validity, budget);
    mor_buffer_init(&vector->data, budget);
    mor_buffer_init(&vector->offsets, budget);
    if (has_offsets(field->type))
        append_offset(vector, 0);
    if (field->child_count > 0)
        vector->children = mor_calloc(field->child_count, sizeof *vector->children);
    for (size_t i = 0; i < field->child_count; i++)
        mor_vector_init(&vector->children[i], &field->children[i], budget);
}

void mor_vector_done(struct mor_vector *vector)
{
    mor_buffer_done(&vector->validity);
    mor_buffer_done(&vector->data);
    mor_buffer_done(&vector->offsets);
    for (size_t i = 0; i < vector->child_count; i++)
        mor_vector_done(&vector->children[i]);
    free(vector->children);
    vector->children = NULL;
    vector->child_count = 0;
}

void mor_vector_reset(struct mor_vector *vector)
{
    vector->length = 0;
    vector->null_count = 0;
    mor_buffer_reset(&vector->validity);
    mor_buffer_reset(&vector->data);
    mor_buffer_reset(&vector->offsets);
    if (has_offsets(vector->field->type))
        append_offset(vector, 0);
    for (size_t i = 0; i < vector->child_count; i++)
        mor_vector_reset(&vector->children[i]);
}

size_t mor_vector_bytes(const struct mor_vector *vector)
{
    size_t bytes =
        vector->validity.size_bytes + vector->data.size_bytes + vector->offsets.size_bytes;
    for (size_t i = 0; i < vector->child_count; i++)
        bytes += mor_vector_bytes(&vector->children[i]);
    return bytes;
}

void mor_bitmap_append(struct mor_buffer *bits, size_t length, bool bit)
{
    size_t byte = length >> 3;
    if (byte >= bits->size_bytes)
        mor_buffer_append_u8(bits, 0);
    uint8_t mask = (uint8_t)(1u << (length & 7));
    if (bit)
        bits->data[byte] |= mask;
    else
        bits->data[byte] &= (uint8_t)~mask;
}

static void append_valid(struct mor_vector *vector, bool valid)
{
    if (vector->field->nullable) {
        mor_bitmap_append(&vector->validity, vector->length, valid);
        vector->null_count += !valid;
    }
    vector->length++;
}

static size_t count_nulls(const struct mor_vector *vector, size_t first, size_t end)
{
    size_t nulls = 0;
    for (size_t i = first; i < end; i++)
        nulls += !mor_bit_get(vector->validity.data, i);
    return nulls;
}

void mor_vector_truncate(struct mor_vector *vector, size_t length)
{
    assert(length <= vector->length);
    if (vector->null_count > 0)
        vector->null_count -= count_nulls(vector, length, vector->length);
    if (vector->field->nullable)
        vector->validity.size_bytes = (length + 7) / 8;
    enum mor_type type = vector->field->type;
    if (type == MOR_TYPE_BOOL)
        vector->data.size_bytes = (length + 7) / 8;
    else if (mor_type_width(vector->field) > 0)
        vector->data.size_bytes = length * mor_type_width(vector->field);
    if (has_offsets(type))
        vector->offsets.size_bytes = (length + 1) * sizeof(int32_t);
    if (is_variable(type))
        vector->data.size_bytes = (size_t)mor_vector_offsets(vector)[length];
    size_t below = type == MOR_TYPE_STRUCT ? length
                   : type == MOR_TYPE_LIST || type == MOR_TYPE_MAP
                       ? (size_t)mor_vector_offsets(vector)[length]
                       : 0;
    for (size_t i = 0; i < vector->child_count; i++)
        mor_vector_truncate(&vector->children[i], below);
    vector->length = length;
}

void mor_vector_append_null(struct mor_vector *vector)
{
    enum mor_type type = vector->field->type;
    size_t width = mor_type_width(vector->field);
    if (type == MOR_TYPE_BOOL) {
        mor_bitmap_append(&vector->data, vector->length, false);
    } else if (width > 0) {
        mor_buffer_reserve(&vector->data, width);
        memset(vector->data.data + vector->data.size_bytes, 0, width);
        vector->data.size_bytes += width;
    } else if (is_variable(type)) {
        append_offset(vector, vector->data.size_bytes);
    } else if (type == MOR_TYPE_STRUCT) {
        for (size_t i = 0; i < vector->child_count; i++)
            mor_vector_append_null(&vector->children[i]);
    } else {
        append_offset(vector, vector->children[0].length);
    }
    append_valid(vector, false);
}

void mor_vector_append_bool(struct mor_vector *vector, bool value)
{
    mor_bitmap_append(&vector->data, vector->length, value);
    append_valid(vector, true);
}

void mor_vector_append_fixed(struct mor_vector *vector, const void *value)
{
    mor_buffer_append(&vector->data, value, mor_type_width(vector->field));
    append_valid(vector, true);
}

void mor_vector_append_bytes(struct mor_vector *vector, const void *bytes, size_t size_bytes)
{
    mor_buffer_reserve(&vector->data, size_bytes + 1); // never a null pointer, not even for ""
    mor_buffer_append(&vector->data, bytes, size_bytes);
    append_offset(vector, vector->data.size_bytes);
    append_valid(vector, true);
}

void mor_vector_append_end(struct mor_vector *vector)
{
    if (has_offsets(vector->field->type))
        append_offset(vector, vector->children[0].length);
    append_valid(vector, true);
}

// ---- copying ------------------------------------------------------------------------------------

// Marks `count` slots behind the last one as present; the bitmap has room and its new bytes are
// zero.
static void set_valid(struct mor_vector *vector, size_t count)
{
    uint8_t *bits = vector->validity.data;
    size_t at = vector->length, end = vector->length + count;
    for (; at < end && (at & 7) != 0; at++)
        bits[at >> 3] |= (uint8_t)(1u << (at & 7));
    memset(bits + at / 8, 0xff, (end - at) / 8);
    for (at += (end - at) / 8 * 8; at < end; at++)
        bits[at >> 3] |= (uint8_t)(1u << (at & 7));
}

// Makes room for `count` slots more in the bitmap.
static void grow_validity(struct mor_vector *vector, size_t count)
{
    size_t bytes = (vector->length + count + 7) / 8;
    size_t had = vector->validity.size_bytes;
    mor_buffer_reserve(&vector->validity, bytes - had);
    memset(vector->validity.data + had, 0, bytes - had);
    vector->validity.size_bytes = bytes;
}

static void append_validity_of(struct mor_vector *vector, const struct mor_vector *from,
                               const uint32_t *indices, size_t first, size_t count)
{
    if (vector->field->nullable) {
        grow_validity(vector, count);
        if (from->null_count == 0)
            set_valid(vector, count);
        for (size_t i = 0; i < count && from->null_count > 0; i++) {
            bool valid = !mor_vector_is_null(from, indices != NULL ? indices[i] : first + i);
            size_t at = vector->length + i;
            // bits past the old length in its last byte may be stale
            uint8_t mask = (uint8_t)(1u << (at & 7));
            if (valid)
                vector->validity.data[at >> 3] |= mask;
            else
                vector->validity.data[at >> 3] &= (uint8_t)~mask;
            vector->null_count += !valid;
        }
    }
    vector->length += count;
}

static void gather_fixed(struct mor_vector *vector, const struct mor_vector *from,
                         const uint32_t *indices, size_t count, size_t width)
{
    mor_buffer_reserve(&vector->data, count * width);
    uint8_t *to = vector->data.data + vector->data.size_bytes;
    const uint8_t *base = from->data.data;
    switch (width) {
    case 4:
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * 4, base + (size_t)indices[i] * 4, 4);
        break;
    case 8:
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * 8, base + (size_t)indices[i] * 8, 8);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * width, base + (size_t)indices[i] * width, width);
        break;
    }
    vector->data.size_bytes += count * width;
}

static void gather_variable(struct mor_vector *vector, const struct mor_vector *from,
                            const uint32_t *indices, size_t count)
{
    const int32_t *offsets = mor_vector_offsets(from);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)(offsets[indices[i] + 1] - offsets[indices[i]]);
    mor_buffer_reserve(&vector->data, total);
    mor_buffer_reserve(&vector->offsets, count * sizeof(int32_t));
    size_t end = vector->data.size_bytes;
    assert(end + total <= INT32_MAX);
    int32_t *ends = (int32_t *)(void *)(vector->offsets.data + vector->offsets.size_bytes);
    for (size_t i = 0, next; i < count; i = next) {
        // neighbours are copied at once
        for (next = i + 1; next < count && indices[next] == indices[next - 1] + 1; next++)
            continue;
        const int32_t *from_ends = offsets + indices[i] + 1;
        size_t start = (size_t)offsets[indices[i]];
        size_t size = (size_t)from_ends[next - i - 1] - start;
        if (size > 0)
            memcpy(vector->data.data + end, from->data.data + start, size);
        int32_t shift = (int32_t)end - (int32_t)start;
        for (size_t k = i; k < next; k++)
            ends[k] = from_ends[k - i] + shift;
        end += size;
    }
    vector->data.size_bytes = end;
    vector->offsets.size_bytes += count * sizeof(int32_t);
}

void mor_vector_append_slots(struct mor_vector *vector, const struct mor_vector *from,
                             const uint32_t *indices, size_t count)
{
    if (count == 0)
        return;
    enum mor_type type = vector->field->type;
    size_t width = mor_type_width(vector->field);
    if (type == MOR_TYPE_BOOL) {
        for (size_t i = 0; i < count; i++)
            mor_bitmap_append(&vector->data, vector->length + i,
                              mor_bit_get(from->data.data, indices[i]));
    } else if (width > 0) {
        gather_fixed(vector, from, indices, count, width);
    } else if (is_variable(type)) {
        gather_variable(vector, from, indices, count);
    } else if (type == MOR_TYPE_STRUCT) {
        for (size_t i = 0; i < vector->child_count; i++)
            mor_vector_append_slots(&vector->children[i], &from->children[i], indices, count);
    } else {
        const int32_t *offsets = mor_vector_offsets(from);
        for (size_t i = 0; i < count; i++) {
            size_t first = (size_t)offsets[indices[i]];
            size_t elements = (size_t)(offsets[indices[i] + 1] - offsets[indices[i]]);
            for (size_t child = 0; child < vector->child_count; child++)
                mor_vector_append_range(&vector->children[child], &from->children[child], first,
                                        elements);
            append_offset(vector, vector->children[0].length);
        }
    }
    append_validity_of(vector, from, indices, 0, count);
}

static void copy_variable_range(struct mor_vector *vector, const struct mor_vector *from,
                                size_t first, size_t count)
{
    const int32_t *offsets = mor_vector_offsets(from);
    int32_t begin = offsets[first];
    int64_t shift = (int64_t)vector->data.size_bytes - begin;
    mor_buffer_append(&vector->data, from->data.data + begin,
                      (size_t)(offsets[first + count] - begin));
    assert(vector->data.size_bytes <= INT32_MAX);
    mor_buffer_reserve(&vector->offsets, count * sizeof(int32_t));
    for (size_t i = 1; i <= count; i++) {
        int32_t at = (int32_t)(offsets[first + i] + shift);
        memcpy(vector->offsets.data + vector->offsets.size_bytes, &at, sizeof at);
        vector->offsets.size_bytes += sizeof at;
    }
}

void mor_vector_append_range(struct mor_vector *vector, const struct mor_vector *from, size_t first,
                             size_t count)
{
    if (count == 0)
        return;
    enum mor_type type = vector->field->type;
    size_t width = mor_type_width(vector->field);
    if (type == MOR_TYPE_BOOL) {
        for (size_t i = 0; i < count; i++)
            mor_bitmap_append(&vector->data, vector->length + i,
                              mor_bit_get(from->data.data, first + i));
    } else if (width > 0) {
        mor_buffer_append(&vector->data, from->data.data + first * width, count * width);
    } else if (is_variable(type)) {
        copy_variable_range(vector, from, first, count);
    } else if (type == MOR_TYPE_STRUCT) {
        for (size_t i = 0; i < vector->child_count; i++)
            mor_vector_append_range(&vector->children[i], &from->children[i], first, count);
    } else {
        const int32_t *offsets = mor_vector_offsets(from);
        size_t had = vector->children[0].length;
        size_t begin = (size_t)offsets[first];
        for (size_t child = 0; child < vector->child_count; child++)
            mor_vector_append_range(&vector->children[child], &from->children[child], begin,
                                    (size_t)offsets[first + count] - begin);
        for (size_t i = 1; i <= count; i++)
            append_offset(vector, had + (size_t)offsets[first + i] - begin);
    }
    append_validity_of(vector, from, NULL, first, count);
}

void mor_vector_append_slot(struct mor_vector *vector, const struct mor_vector *from, size_t index)
{
    mor_vector_append_range(vector, from, index, 1);
}

// ---- batches ------------------------------------------------------------------------------------

struct mor_batch *mor_batch_new(const struct mor_schema *schema, struct mor_budget *budget)
{
    struct mor_batch *batch = mor_calloc(1, sizeof *batch);
    batch->schema = schema;
    batch->column_count = schema->root.child_count;
    batch->columns = mor_calloc(batch->column_count, sizeof *batch->columns);
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_init(&batch->columns[i], &schema->root.children[i], budget);
    return batch;
}

void mor_batch_free(struct mor_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_done(&batch->columns[i]);
    free(batch->columns);
    free(batch);
}

void mor_batch_reset(struct mor_batch *batch)
{
    batch->row_count = 0;
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_reset(&batch->columns[i]);
}

size_t mor_batch_bytes(const struct mor_batch *batch)
{
    size_t bytes = 0;
    for (size_t i = 0; i < batch->column_count; i++)
        bytes += mor_vector_bytes(&batch->columns[i]);
    return bytes;
}

void mor_batch_truncate(struct mor_batch *batch, size_t row_count)
{
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_truncate(&batch->columns[i], row_count);
    batch->row_count = row_count;
}

void mor_batch_append_rows(struct mor_batch *batch, const struct mor_batch *from,
                           const uint32_t *indices, size_t count)
{
    assert(batch->column_count == from->column_count);
    for (size_t i = 0; i < batch->column_count; i++)
        mor_vector_append_slots(&batch->columns[i], &from->columns[i], indices, count);
    batch->row_count += count;
}

static enum mor_status validate_vector(const struct mor_vector *vector, struct mor_error *err)
{
    const struct mor_field *field = vector->field;
    size_t width = mor_type_width(field);
    size_t bitmap = (vector->length + 7) / 8;
    if (field->nullable && vector->validity.size_bytes < bitmap)
        return mor_error_set(err, MOR_DATA, "column '%s': validity bitmap is too short",
                             field->name);
    if (vector->null_count > 0 && count_nulls(vector, 0, vector->length) != vector->null_count)
        return mor_error_set(err, MOR_DATA, "column '%s': null count is wrong", field->name);
    if (field->type == MOR_TYPE_BOOL && vector->data.size_bytes < bitmap)
        return mor_error_set(err, MOR_DATA, "column '%s': values are too short", field->name);
    if (width > 0 && vector->data.size_bytes != vector->length * width)
        return mor_error_set(err, MOR_DATA, "column '%s': %zu bytes for %zu values of %zu",
                             field->name, vector->data.size_bytes, vector->length, width);
    if (has_offsets(field->type)) {
        if (vector->offsets.size_bytes != (vector->length + 1) * sizeof(int32_t))
            return mor_error_set(err, MOR_DATA, "column '%s': wrong number of offsets",
                                 field->name);
        const int32_t *offsets = mor_vector_offsets(vector);
        for (size_t i = 0; i < vector->length; i++)
            if (offsets[i] < 0 || offsets[i] > offsets[i + 1])
                return mor_error_set(err, MOR_DATA, "column '%s': offsets fall at slot %zu",
                                     field->name, i);
        size_t below =
            is_variable(field->type) ? vector->data.size_bytes : vector->children[0].length;
        if ((size_t)offsets[vector->length] != below)
            return mor_error_set(err, MOR_DATA, "column '%s': last offset is not the length",
                                 field->name);
    }
    for (size_t i = 0; i < vector->child_count; i++) {
        if (vector->children[i].length !=
            (field->type == MOR_TYPE_STRUCT ? vector->length : vector->children[0].length))
            return mor_error_set(err, MOR_DATA, "column '%s': children differ in length",
                                 field->name);
        MOR_TRY(validate_vector(&vector->children[i], err));
    }
    return MOR_OK;
}

enum mor_status mor_batch_validate(const struct mor_batch *batch, struct mor_error *err)
{
    for (size_t i = 0; i < batch->column_count; i++) {
        if (batch->columns[i].length != batch->row_count)
            return mor_error_set(err, MOR_DATA, "column '%s': %zu slots in a batch of %zu rows",
                                 batch->columns[i].field->name, batch->columns[i].length,
                                 batch->row_count);
        MOR_TRY(validate_vector(&batch->columns[i], err));
    }
    return MOR_OK;
}
