#include "row_hash.h"

// Every value with its size or its count before it, so that no two rows read alike.
static void append_slot(const struct mor_vector *vector, size_t index, struct mor_buffer *bytes)
{
    if (mor_vector_is_null(vector, index)) {
        mor_buffer_append_u8(bytes, 0);
        return;
    }
    mor_buffer_append_u8(bytes, 1);
    size_t first = index, end = index + 1, width = mor_type_width(vector->field);
    switch (vector->field->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_u8(bytes, mor_bit_get(vector->data.data, index) ? 1 : 0);
        return;
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        first = (size_t)mor_vector_offsets(vector)[index];
        end = (size_t)mor_vector_offsets(vector)[index + 1];
        mor_buffer_append_le32(bytes, (uint32_t)(end - first));
        break;
    case MOR_TYPE_STRUCT:
        break;
    default:
        if (width > 0) {
            mor_buffer_append(bytes, vector->data.data + index * width, width);
        } else {
            size_t size;
            const uint8_t *value = mor_vector_bytes_at(vector, index, &size);
            mor_buffer_append_le32(bytes, (uint32_t)size);
            mor_buffer_append(bytes, value, size);
        }
        return;
    }
    for (size_t i = first; i < end; i++)
        for (size_t child = 0; child < vector->child_count; child++)
            append_slot(&vector->children[child], i, bytes);
}

struct mor_hash128 row_hash(const struct mor_batch *batch, const int32_t *columns, size_t count,
                            size_t row, struct mor_buffer *scratch)
{
    mor_buffer_reset(scratch);
    for (size_t i = 0; i < count; i++)
        append_slot(&batch->columns[columns[i]], row, scratch);
    return mor_hash128(scratch->data, scratch->size_bytes);
}
