// Hive-style partition paths: "name=value/name=value".
#ifndef MORAINE_TABLE_PARTITION_PATH_H
#define MORAINE_TABLE_PARTITION_PATH_H

#include "moraine/column.h"
#include "moraine/table.h"

#define MOR_PARTITION_NULL "__HIVE_DEFAULT_PARTITION__"

const char *mor_transform_name(enum mor_transform transform); // "day"
bool mor_transform_parse(const char *text, size_t length, enum mor_transform *ret_transform);

// True when columns of this type can be partitioned by the transform.
bool mor_transform_accepts(enum mor_transform transform, const struct mor_field *field);

// Number of the year, month, day or hour (since 1970) that slot `index` lies in. The slot is not
// null.
int64_t mor_transform_unit(enum mor_transform transform, const struct mor_vector *vector,
                           size_t index);

// Appends the value of a unit: "2026", "2026-01", "2026-01-31", "2026-01-31-05".
void mor_transform_format(enum mor_transform transform, int64_t unit, struct mor_buffer *ret_text);

// Appends `value` with the characters that Hive escapes in paths as %XX.
void mor_partition_escape(const void *value, size_t size_bytes, struct mor_buffer *ret_text);

// Appends a value, not null, as a directory name that no other value has, null included: escaped,
// and what would look like null more so. Empty texts are "".
void mor_partition_append(const void *value, size_t size_bytes, struct mor_buffer *ret_text);

// Parses "day(created_at)" or "region"; *ret_column is borrowed from text.
bool mor_partition_field_parse(const char *text, enum mor_transform *ret_transform,
                               const char **ret_column, size_t *ret_column_length);

#endif
