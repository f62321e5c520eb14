// Contents of timeline files: JSON in table version 6, Avro containers in 8 and 9, plans always
// Avro. In memory both are a JSON tree with Hudi's field names.
#ifndef MORAINE_TABLE_HUDI_METADATA_H
#define MORAINE_TABLE_HUDI_METADATA_H

#include <jansson.h>

#include "moraine/storage.h"

#define HUDI_METADATA_BYTES_MAX (256u << 20)

enum hudi_record {
    HUDI_RECORD_COMMIT,
    HUDI_RECORD_ROLLBACK_PLAN,
    HUDI_RECORD_ROLLBACK,
    HUDI_RECORD_COMPACTION_PLAN,
    HUDI_RECORD_REPLACE_COMMIT,
    HUDI_RECORD_CLEAN_PLAN,
    HUDI_RECORD_CLEAN,
};

// Reads a timeline file of either kind; an empty file is an empty object. The caller decrefs.
enum mor_status hudi_metadata_read(struct mor_store *store, const char *key, json_t **ret_json,
                                   struct mor_error *err) MOR_CHECKED;
// Encodes a record as an Avro container with Hudi's schema.
enum mor_status hudi_metadata_to_avro(enum hudi_record record, const json_t *json,
                                      struct mor_buffer *ret_bytes,
                                      struct mor_error *err) MOR_CHECKED;
void hudi_metadata_to_json(const json_t *json, struct mor_buffer *ret_bytes);

// Text member of an object, NULL when absent or no text.
const char *hudi_json_text(const json_t *object, const char *key);
int64_t hudi_json_int(const json_t *object, const char *key); // 0 when absent

static inline void hudi_json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define HUDI_AUTO_JSON __attribute__((cleanup(hudi_json_cleanup))) json_t

#endif
