#include "avro_text.h"

// ---- names and JSON strings ---------------------------------------------------------------------

bool mor_avro_name_is_valid(const char *name)
{
    if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || *name == '_'))
        return false;
    for (const char *c = name + 1; *c; c++) {
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
              *c == '_'))
            return false;
    }
    return true;
}

void mor_avro_put_json_string(struct mor_buffer *json, const char *text, size_t size_bytes)
{
    static const char short_escapes[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    mor_buffer_append_u8(json, '"');
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            mor_buffer_append_u8(json, '\\');
            mor_buffer_append_u8(json, c);
        } else if (c < sizeof short_escapes && short_escapes[c]) {
            mor_buffer_append_u8(json, '\\');
            mor_buffer_append_u8(json, (uint8_t)short_escapes[c]);
        } else if (c < 0x20) {
            mor_buffer_printf(json, "\\u%04x", c);
        } else {
            mor_buffer_append_u8(json, c);
        }
    }
    mor_buffer_append_u8(json, '"');
}

// ---- UTF-8 --------------------------------------------------------------------------------------

// Size of the multi-byte sequence at `s` when it is one of RFC 3629 (no overlong forms, no
// surrogates, at most U+10FFFF) and fits before `end`, else 0.
static size_t sequence_size(const uint8_t *s, const uint8_t *end)
{
    size_t left = (size_t)(end - s);
    uint8_t a = s[0];
    if (a < 0xC2 || left < 2)
        return 0;
    uint8_t b = s[1];
    if ((b & 0xC0) != 0x80)
        return 0;
    if (a < 0xE0)
        return 2;
    if (left < 3 || (s[2] & 0xC0) != 0x80)
        return 0;
    if (a < 0xF0)
        return (a == 0xE0 && b < 0xA0) || (a == 0xED && b >= 0xA0) ? 0 : 3;
    if (a > 0xF4 || left < 4 || (s[3] & 0xC0) != 0x80)
        return 0;
    return (a == 0xF0 && b < 0x90) || (a == 0xF4 && b >= 0x90) ? 0 : 4;
}

bool mor_avro_utf8_valid(const void *bytes, size_t size_bytes)
{
    const uint8_t *s = bytes;
    const uint8_t *end = s + size_bytes;
    while (s < end) {
        while (end - s >= 8) {
            uint64_t word;
            memcpy(&word, s, 8);
            if (word & 0x8080808080808080u)
                break;
            s += 8;
        }
        if (s == end)
            break;
        if (*s < 0x80) {
            s++;
            continue;
        }
        size_t size = sequence_size(s, end);
        if (size == 0)
            return false;
        s += size;
    }
    return true;
}

// ---- base64 -------------------------------------------------------------------------------------

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mor_avro_base64_encode(const void *bytes, size_t size_bytes, struct mor_buffer *ret_text)
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

bool mor_avro_base64_decode(const void *text, size_t size_bytes, struct mor_buffer *ret_bytes)
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
