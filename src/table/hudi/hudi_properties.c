#include "hudi/hudi_properties.h"

#include <errno.h>
#include <string.h>

#include "moraine/base/hash.h"

void hudi_properties_done(struct hudi_properties *properties)
{
    for (size_t i = 0; i < properties->map.count; i++)
        free(properties->map.entries[i].value.pointer);
    mor_map_done(&properties->map);
    *properties = (struct hudi_properties){0};
}

const char *hudi_properties_get(const struct hudi_properties *properties, const char *key)
{
    const struct mor_map_entry *entry = mor_map_find_text(&properties->map, key);
    return entry ? entry->value.pointer : NULL;
}

bool hudi_properties_is_true(const struct hudi_properties *properties, const char *key)
{
    const char *value = hudi_properties_get(properties, key);
    return value && strcasecmp(value, "true") == 0;
}

int32_t hudi_properties_int(const struct hudi_properties *properties, const char *key,
                            int32_t absent)
{
    const char *value = hudi_properties_get(properties, key);
    if (!value)
        return absent;
    char *end = NULL;
    errno = 0;
    long number = strtol(value, &end, 10);
    return errno == 0 && end != value && *end == '\0' && number >= 0 && number <= INT32_MAX
               ? (int32_t)number
               : -1;
}

void hudi_properties_set(struct hudi_properties *properties, const char *key, const char *value)
{
    struct mor_map_entry *entry = mor_map_put_text(&properties->map, key, NULL);
    free(entry->value.pointer);
    entry->value.pointer = mor_strdup(value);
}

uint32_t hudi_table_checksum(const char *database, const char *table)
{
    uint32_t crc = mor_crc32(0, database, strlen(database));
    crc = mor_crc32(crc, ".", 1);
    return mor_crc32(crc, table, strlen(table));
}

// ---- reading ------------------------------------------------------------------------------------

static void append_code_point(struct mor_buffer *text, uint32_t code)
{
    if (code < 0x80) {
        mor_buffer_append_u8(text, (uint8_t)code);
    } else if (code < 0x800) {
        mor_buffer_append_u8(text, (uint8_t)(0xC0 | code >> 6));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        mor_buffer_append_u8(text, (uint8_t)(0xE0 | code >> 12));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code & 0x3F)));
    } else {
        mor_buffer_append_u8(text, (uint8_t)(0xF0 | code >> 18));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 12 & 0x3F)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code & 0x3F)));
    }
}

struct cursor {
    const uint8_t *next, *end;
    uint32_t high_surrogate; // pending first half, 0 = none
};

static bool read_unit(struct cursor *in, uint32_t *ret_unit)
{
    if (in->end - in->next < 4)
        return false;
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = *in->next++;
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10
                                                : 16u;
        if (digit > 15)
            return false;
        unit = unit * 16 + digit;
    }
    *ret_unit = unit;
    return true;
}

static void append_unit(struct cursor *in, struct mor_buffer *text, uint32_t unit)
{
    if (in->high_surrogate && unit >= 0xDC00 && unit < 0xE000) {
        append_code_point(text, 0x10000 + ((in->high_surrogate - 0xD800) << 10) + (unit - 0xDC00));
        in->high_surrogate = 0;
        return;
    }
    if (in->high_surrogate)
        append_code_point(text, 0xFFFD);
    in->high_surrogate = unit >= 0xD800 && unit < 0xDC00 ? unit : 0;
    if (!in->high_surrogate)
        append_code_point(text, unit >= 0xDC00 && unit < 0xE000 ? 0xFFFD : unit);
}

static void skip_blanks(struct cursor *in)
{
    while (in->next < in->end && (*in->next == ' ' || *in->next == '\t' || *in->next == '\f'))
        in->next++;
}

// Reads an escape after its backslash; a line continuation adds nothing.
static bool read_escape(struct cursor *in, struct mor_buffer *text)
{
    if (in->next == in->end)
        return true;
    uint8_t c = *in->next++;
    uint32_t unit = c;
    switch (c) {
    case 'u':
        if (!read_unit(in, &unit))
            return false;
        break;
    case 't':
        unit = '\t';
        break;
    case 'n':
        unit = '\n';
        break;
    case 'r':
        unit = '\r';
        break;
    case 'f':
        unit = '\f';
        break;
    case '\r':
        if (in->next < in->end && *in->next == '\n')
            in->next++;
        skip_blanks(in);
        return true;
    case '\n':
        skip_blanks(in);
        return true;
    default:
        break;
    }
    append_unit(in, text, unit);
    return true;
}

// Reads up to the end of the line, or of the key when `key`.
static bool read_part(struct cursor *in, bool key, struct mor_buffer *text)
{
    mor_buffer_reset(text);
    while (in->next < in->end) {
        uint8_t c = *in->next;
        if (c == '\0')
            return false;
        if (c == '\n' || c == '\r' ||
            (key && (c == '=' || c == ':' || c == ' ' || c == '\t' || c == '\f')))
            break;
        in->next++;
        if (c == '\\') {
            if (!read_escape(in, text))
                return false;
        } else {
            append_unit(in, text, c);
        }
    }
    return true;
}

enum mor_status hudi_properties_parse(struct hudi_properties *properties, const void *bytes,
                                      size_t size_bytes, struct mor_error *err)
{
    struct cursor in = {.next = bytes, .end = (const uint8_t *)bytes + size_bytes};
    MOR_AUTO_BUFFER key = {0};
    MOR_AUTO_BUFFER value = {0};
    while (in.next < in.end) {
        skip_blanks(&in);
        if (in.next == in.end)
            break;
        if (*in.next == '\n' || *in.next == '\r') {
            in.next++;
            continue;
        }
        if (*in.next == '#' || *in.next == '!') {
            while (in.next < in.end && *in.next != '\n' && *in.next != '\r')
                in.next++;
            continue;
        }
        bool good = read_part(&in, true, &key);
        if (good) {
            skip_blanks(&in);
            if (in.next < in.end && (*in.next == '=' || *in.next == ':')) {
                in.next++;
                skip_blanks(&in);
            }
            good = read_part(&in, false, &value);
        }
        if (!good)
            return mor_error_set(err, MOR_DATA, "properties text breaks off at byte %zu",
                                 size_bytes - (size_t)(in.end - in.next));
        hudi_properties_set(properties, mor_buffer_terminate(&key), mor_buffer_terminate(&value));
    }
    return MOR_OK;
}

// ---- writing ------------------------------------------------------------------------------------

static uint32_t next_code_point(const uint8_t **next)
{
    const uint8_t *in = *next;
    uint32_t code = *in++;
    int more = code >= 0xF0 ? 3 : code >= 0xE0 ? 2 : code >= 0xC0 ? 1 : 0;
    if (more > 0)
        code &= 0x3Fu >> more;
    while (more-- > 0 && (*in & 0xC0) == 0x80)
        code = code << 6 | (*in++ & 0x3F);
    *next = in;
    return code;
}

static void format_text(const char *text, bool key, struct mor_buffer *out)
{
    const uint8_t *next = (const uint8_t *)text;
    for (bool first = true; *next; first = false) {
        uint32_t code = next_code_point(&next);
        if (code == '\\')
            mor_buffer_append_text(out, "\\\\");
        else if (code == '\n')
            mor_buffer_append_text(out, "\\n");
        else if (code == '\r')
            mor_buffer_append_text(out, "\\r");
        else if (code == '\t')
            mor_buffer_append_text(out, "\\t");
        else if ((code == ' ' && (first || key)) || (key && (code == '=' || code == ':')) ||
                 (first && (code == '#' || code == '!')))
            mor_buffer_printf(out, "\\%c", (int)code);
        else if (code >= 0x10000)
            mor_buffer_printf(out, "\\u%04X\\u%04X", 0xD800 + ((code - 0x10000) >> 10),
                              0xDC00 + ((code - 0x10000) & 0x3FF));
        else if (code < ' ' || code > '~')
            mor_buffer_printf(out, "\\u%04X", code);
        else
            mor_buffer_append_u8(out, (uint8_t)code);
    }
}

void hudi_properties_format(const struct hudi_properties *properties, const char *comment,
                            struct mor_buffer *ret_text)
{
    mor_buffer_printf(ret_text, "#%s\n", comment);
    for (size_t i = 0; i < properties->map.count; i++) {
        const struct mor_map_entry *entry = &properties->map.entries[i];
        format_text(entry->key, true, ret_text);
        mor_buffer_append_u8(ret_text, '=');
        format_text(entry->value.pointer, false, ret_text);
        mor_buffer_append_u8(ret_text, '\n');
    }
}
