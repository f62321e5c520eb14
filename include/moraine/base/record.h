// A Kafka record as it is handed from source to decode: bytes and coordinates, nothing copied.
#ifndef MORAINE_BASE_RECORD_H
#define MORAINE_BASE_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct mor_record {
    const uint8_t *key;   // NULL = no key
    const uint8_t *value; // NULL = tombstone
    size_t key_size_bytes;
    size_t value_size_bytes;
    int64_t offset;
    int64_t timestamp_ms; // Kafka's timestamp, -1 when the topic has none
    int32_t partition;
};

#endif
