// A Kafka record as it is handed from source to decode: bytes and coordinates, nothing copied.
#ifndef MORAINE_BASE_RECORD_H
#define MORAINE_BASE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "moraine/base/hash.h"

struct mor_header {
    const char *name;
    const uint8_t *value; // NULL = null
    size_t size_bytes;
};

struct mor_record {
    const uint8_t *key;   // NULL = no key
    const uint8_t *value; // NULL = tombstone
    size_t key_size_bytes;
    size_t value_size_bytes;
    int64_t offset;
    int64_t timestamp_ms; // Kafka's timestamp, -1 when the topic has none
    int32_t partition;
    // In their order; none unless the source was asked for them. Names may occur twice.
    const struct mor_header *headers;
    size_t header_count;
};

// Adds the hashes of (offset, key) and (offset, value): the digest of a range of records in any
// order. An absent key or value counts unlike an empty one.
void mor_record_digest_add(struct mor_hash128 *sum, const struct mor_record *record);

#endif
