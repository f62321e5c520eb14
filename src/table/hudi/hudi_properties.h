// hoodie.properties: Java properties text, ISO-8859-1 with \uXXXX for the rest.
#ifndef MORAINE_TABLE_HUDI_PROPERTIES_H
#define MORAINE_TABLE_HUDI_PROPERTIES_H

#include "moraine/base/map.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"

#define HUDI_PROPERTIES_KEY       ".hoodie/hoodie.properties"
#define HUDI_PROPERTIES_BYTES_MAX (4u << 20)

// Key -> value (owned UTF-8 text in value.pointer).
struct hudi_properties {
    struct mor_map map;
};

void hudi_properties_done(struct hudi_properties *properties);
// DATA when the text breaks the syntax (a cut escape, a zero byte).
enum mor_status hudi_properties_parse(struct hudi_properties *properties, const void *bytes,
                                      size_t size_bytes, struct mor_error *err) MOR_CHECKED;
const char *hudi_properties_get(const struct hudi_properties *properties, const char *key);
// A decimal number; `absent` when there is no such key, -1 when its value is no number from 0 to
// INT32_MAX.
int32_t hudi_properties_int(const struct hudi_properties *properties, const char *key,
                            int32_t absent);
bool hudi_properties_is_true(const struct hudi_properties *properties, const char *key);
void hudi_properties_set(struct hudi_properties *properties, const char *key, const char *value);
// '=' and ':' in values stay as they are: Java's loader takes them, and some readers do not
// unescape.
void hudi_properties_format(const struct hudi_properties *properties, const char *comment,
                            struct mor_buffer *ret_text);

// hoodie.table.checksum: CRC-32 of "database.table".
uint32_t hudi_table_checksum(const char *database, const char *table);

#endif
