// Record keys as text: how a row is named inside its table partition, and the bucket of that name.
//
// One key column: its value. Several: "f1:v1,f2:v2", null as __null__, empty as __empty__ (Hudi's
// Simple and Complex key generators). Buckets use Java's List<String>.hashCode of the values.
#ifndef MORAINE_TABLE_RECORD_KEY_H
#define MORAINE_TABLE_RECORD_KEY_H

#include "table_format.h"

// True when columns of this type can be part of a key.
bool mor_record_key_accepts(const struct mor_field *field);

// Appends the record key of row `row` of `columns` (the table schema's). NULL when the row has a
// key, else why not, in words (constant). *ret_hash (may be NULL): Java hash of the list of key
// values.
const char *mor_record_key_append(const struct mor_table *table, const struct mor_vector *columns,
                                  size_t row, struct mor_buffer *key, int32_t *ret_hash);

// Bucket of a key by its hash.
static inline int32_t mor_record_key_bucket(int32_t hash, int32_t bucket_count)
{
    return (hash & INT32_MAX) % bucket_count;
}

#endif
