#include "moraine/base/base64.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mor_base64_encode(const void *bytes, size_t size_bytes, struct mor_buffer *ret_text)
{
    const uint8_t *s = bytes;
    mor_buffer_reserve(ret_text, (size_bytes + 2) / 3 * 4);
    char *out = (char *)ret_text->data + ret_text->size_bytes;
    size_t i = 0;
    for (; i < size_bytes; i += 3) {
        size_t count = size_bytes - i < 3 ? size_bytes - i : 3;
        uint32_t group = (uint32_t)s[i] << 16;
        if (count > 1)
            group |= (uint32_t)s[i + 1] << 8;
        if (count > 2)
            group |= s[i + 2];
        *out++ = base64_alphabet[group >> 18];
        *out++ = base64_alphabet[(group >> 12) & 63];
        *out++ = count > 1 ? base64_alphabet[(group >> 6) & 63] : '=';
        *out++ = count > 2 ? base64_alphabet[group & 63] : '=';
    }
    ret_text->size_bytes += (size_bytes + 2) / 3 * 4;
}

// Value of a base64 digit, both alphabets of RFC 4648; -1 when it is none.
static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool mor_base64_decode(const void *text, size_t size_bytes, struct mor_buffer *ret_bytes)
{
    const uint8_t *s = text;
    size_t size_before = ret_bytes->size_bytes;
    if (size_bytes % 4 == 0 && size_bytes > 0 && s[size_bytes - 1] == '=')
        size_bytes -= s[size_bytes - 2] == '=' ? 2 : 1;
    if (size_bytes % 4 == 1)
        return false;
    mor_buffer_reserve(ret_bytes, size_bytes / 4 * 3 + 3);
    uint32_t group = 0;
    int bits = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        int digit = base64_digit(s[i]);
        if (digit < 0) {
            ret_bytes->size_bytes = size_before;
            return false;
        }
        group = group << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ret_bytes->data[ret_bytes->size_bytes++] = (uint8_t)(group >> bits);
        }
    }
    if (group & ((1u << bits) - 1)) { // bits that no byte holds: two texts would mean one value
        ret_bytes->size_bytes = size_before;
        return false;
    }
    return true;
}
