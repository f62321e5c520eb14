// UUID version 7 (RFC 9562, section 5.7) and version 4, and their text form.
#ifndef MORAINE_BASE_UUID_H
#define MORAINE_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mor_uuid {
    uint8_t bytes[16]; // big-endian, as printed
};

#define MOR_UUID_TEXT_SIZE 37 // 36 characters and the terminating zero

struct mor_uuid mor_uuid_v7(void);
struct mor_uuid mor_uuid_v4(void);
void mor_uuid_format(const struct mor_uuid *uuid, char ret_text[MOR_UUID_TEXT_SIZE]);
// 36 characters with hyphens, either case. False when it is not a UUID.
bool mor_uuid_parse(const char *text, size_t length, struct mor_uuid *ret_uuid);

#endif
