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
