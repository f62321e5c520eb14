#include "moraine/base/uuid.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "moraine/base/clock.h"

static void fill_random(uint8_t *bytes, size_t size_bytes)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t got = getrandom(bytes + done, size_bytes - done, 0);
        if (got > 0)
            done += (size_t)got;
    }
}

static void stamp_version(struct mor_uuid *uuid, uint8_t version)
{
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0F) | (version << 4));
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3F) | 0x80);
}

struct mor_uuid mor_uuid_v4(void)
{
    struct mor_uuid uuid;
    fill_random(uuid.bytes, sizeof uuid.bytes);
    stamp_version(&uuid, 4);
    return uuid;
}

struct mor_uuid mor_uuid_v7(void)
{
    struct mor_uuid uuid = mor_uuid_v4();
    uint64_t ms = (uint64_t)mor_clock_wall_ms();
    for (int i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    stamp_version(&uuid, 7);
    return uuid;
}

void mor_uuid_format(const struct mor_uuid *uuid, char ret_text[MOR_UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *at = ret_text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[uuid->bytes[i] >> 4];
        *at++ = hex[uuid->bytes[i] & 15];
    }
    *at = '\0';
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool mor_uuid_parse(const char *text, size_t length, struct mor_uuid *ret_uuid)
{
    if (length != 36)
        return false;
    struct mor_uuid uuid;
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
            return false;
        int high = hex_value(text[at]);
        int low = hex_value(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret_uuid = uuid;
    return true;
}
