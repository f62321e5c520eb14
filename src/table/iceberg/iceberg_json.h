// JSON as Iceberg's metadata need it: integers of 64 bits exactly (jansson's json_int_t), members
// in the order in which they came.
#ifndef MORAINE_TABLE_ICEBERG_JSON_H
#define MORAINE_TABLE_ICEBERG_JSON_H

#include <jansson.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

static inline void iceberg_json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define ICEBERG_AUTO_JSON __attribute__((cleanup(iceberg_json_cleanup))) json_t

// Parses one JSON value; `what` names the text in the message. Duplicate keys, trailing bytes and
// nesting beyond jansson's limit are DATA. The caller decrefs.
enum mor_status iceberg_json_parse(const void *bytes, size_t size_bytes, const char *what,
                                   json_t **ret_json, struct mor_error *err) MOR_CHECKED;
// Appends the compact text of a value, zero-terminated (not counted).
void iceberg_json_format(const json_t *json, struct mor_buffer *ret_text);

// Text member of an object; NULL when it is absent or no text. Borrowed.
const char *iceberg_json_text(const json_t *object, const char *key);
// Integer member of an object; `absent` when there is none (or null, or no integer).
int64_t iceberg_json_int(const json_t *object, const char *key, int64_t absent);
// The same with what must be there: DATA naming the member.
enum mor_status iceberg_json_need_int(const json_t *object, const char *key, int64_t minimum,
                                      int64_t maximum, int64_t *ret_value,
                                      struct mor_error *err) MOR_CHECKED;
enum mor_status iceberg_json_need_text(const json_t *object, const char *key, const char **ret_text,
                                       struct mor_error *err) MOR_CHECKED;

#endif
