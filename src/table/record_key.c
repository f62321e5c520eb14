#include "record_key.h"

#include <stdio.h>
#include <string.h>

#include "moraine/base/hash.h"

#define KEY_NULL  "__null__"
#define KEY_EMPTY "__empty__"

bool mor_record_key_accepts(const struct mor_field *field)
{
    switch (field->type) {
    case MOR_TYPE_BOOL:
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
    case MOR_TYPE_STRING:
    case MOR_TYPE_UUID:
    case MOR_TYPE_ENUM:
        return true;
    default:
        return false;
    }
}

// Timestamps are keys as the number that is stored, which is what key generators in Java do unless
// told otherwise; everything else as its text.
static void append_value(const struct mor_vector *vector, size_t row, struct mor_buffer *key)
{
    switch (vector->field->type) {
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM: {
        size_t length;
        const uint8_t *bytes = mor_vector_bytes_at(vector, row, &length);
        mor_buffer_append(key, bytes, length);
        return;
    }
    case MOR_TYPE_INT64:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
    case MOR_TYPE_INT32: {
        int64_t value = vector->field->type == MOR_TYPE_INT32 ? mor_vector_i32(vector, row)
                                                              : mor_vector_i64(vector, row);
        char digits[24];
        size_t next = sizeof digits;
        uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        do {
            digits[--next] = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest > 0);
        if (value < 0)
            digits[--next] = '-';
        mor_buffer_append(key, digits + next, sizeof digits - next);
        return;
    }
    default:
        mor_vector_format_text(vector, row, key);
        return;
    }
}

// The text must be taken apart again in one way only: a value must not look like the start of the
// next field, nor like the words for null and empty.
static bool is_ambiguous(const char *value, size_t length, const char *next_name)
{
    if ((length == strlen(KEY_NULL) && memcmp(value, KEY_NULL, length) == 0) ||
        (length == strlen(KEY_EMPTY) && memcmp(value, KEY_EMPTY, length) == 0))
        return true;
    if (!next_name)
        return false;
    size_t name_length = strlen(next_name);
    const char *end = value + length;
    for (const char *comma = memchr(value, ',', length); comma;
         comma = memchr(comma + 1, ',', (size_t)(end - comma - 1))) {
        if ((size_t)(end - comma) >= name_length + 2 &&
            memcmp(comma + 1, next_name, name_length) == 0 && comma[name_length + 1] == ':')
            return true;
    }
    return false;
}

static const char *append_composite(const struct mor_table *table, const struct mor_vector *columns,
                                    size_t row, struct mor_buffer *key, int32_t *hash)
{
    uint32_t list_hash = 1;
    bool any = false;
    for (size_t i = 0; i < table->key_column_count; i++) {
        const struct mor_vector *vector = &columns[table->key_columns[i]];
        if (i > 0)
            mor_buffer_append_u8(key, ',');
        mor_buffer_append_text(key, vector->field->name);
        mor_buffer_append_u8(key, ':');
        size_t start = key->size_bytes;
        int32_t value_hash = 0;
        if (mor_vector_is_null(vector, row)) {
            mor_buffer_append_text(key, KEY_NULL);
        } else {
            append_value(vector, row, key);
            size_t length = key->size_bytes - start;
            const char *value = (const char *)key->data + start;
            const char *next = i + 1 < table->key_column_count
                                   ? columns[table->key_columns[i + 1]].field->name
                                   : NULL;
            if (is_ambiguous(value, length, next))
                return "a key value has a text that cannot be told from the joined key's own marks";
            if (length == 0)
                mor_buffer_append_text(key, KEY_EMPTY);
            else if (hash)
                value_hash = mor_hash_java_string(value, length);
            any |= length > 0;
        }
        list_hash = list_hash * 31 + (uint32_t)value_hash;
    }
    if (!any)
        return "every key column is null or empty";
    if (hash)
        *hash = (int32_t)list_hash;
    return NULL;
}

const char *mor_record_key_append(const struct mor_table *table, const struct mor_vector *columns,
                                  size_t row, struct mor_buffer *key, int32_t *ret_hash)
{
    if (table->key_column_count != 1)
        return append_composite(table, columns, row, key, ret_hash);
    const struct mor_vector *vector = &columns[table->key_columns[0]];
    if (mor_vector_is_null(vector, row))
        return "the key column is null";
    size_t start = key->size_bytes;
    append_value(vector, row, key);
    if (key->size_bytes == start)
        return "the key column is empty";
    if (ret_hash)
        *ret_hash = (int32_t)(31u + (uint32_t)mor_hash_java_string((const char *)key->data + start,
                                                                   key->size_bytes - start));
    return NULL;
}
