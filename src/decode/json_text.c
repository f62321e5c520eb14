// Strings (RFC 8259, section 7), and moving past values that nobody wants.
#include "json_read.h"
#include "moraine/avro.h"

// ---- escapes ------------------------------------------------------------------------------------

// Value of four hexadecimal digits, -1 when they are not.
static int32_t hex4(const uint8_t *at)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static void put_utf8(struct mor_buffer *text, uint32_t code)
{
    if (code < 0x80) {
        mor_buffer_append_u8(text, (uint8_t)code);
        return;
    }
    if (code < 0x800) {
        mor_buffer_append_u8(text, (uint8_t)(0xC0 | code >> 6));
    } else if (code < 0x10000) {
        mor_buffer_append_u8(text, (uint8_t)(0xE0 | code >> 12));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
    } else {
        mor_buffer_append_u8(text, (uint8_t)(0xF0 | code >> 18));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 12 & 0x3F)));
        mor_buffer_append_u8(text, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
    }
    mor_buffer_append_u8(text, (uint8_t)(0x80 | (code & 0x3F)));
}

// `at` at the 'u' of \uXXXX; a high surrogate takes the low one that must follow.
static const uint8_t *unescape_unicode(struct mor_json_reader *reader, const uint8_t *at,
                                       struct mor_buffer *ret_text)
{
    int32_t code = hex4(at + 1);
    if (code < 0)
        return mor_json_fail(reader, at, "\\u without four hexadecimal digits");
    at += 5;
    if (code >= 0xDC00 && code <= 0xDFFF)
        return mor_json_fail(reader, at, "\\u with half of a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
        int32_t low = at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return mor_json_fail(reader, at, "\\u with half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    put_utf8(ret_text, (uint32_t)code);
    return at;
}

// `at` behind the backslash.
static const uint8_t *unescape_one(struct mor_json_reader *reader, const uint8_t *at,
                                   struct mor_buffer *ret_text)
{
    static const uint8_t plain[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    if (*at == 'u')
        return unescape_unicode(reader, at, ret_text);
    if (plain[*at] == 0)
        return mor_json_fail(reader, at, "an escape that does not exist");
    mor_buffer_append_u8(ret_text, plain[*at]);
    return at + 1;
}

// First byte from `at` that ends a run of plain bytes: quote, backslash or control character.
static const uint8_t *plain_end(const uint8_t *at)
{
    for (;;) { // a zero byte ends it at the latest behind the text
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ 0x2222222222222222u;
        uint64_t slash = word ^ 0x5C5C5C5C5C5C5C5Cu;
        // the lowest byte that is marked is a true one: borrows run upwards only
        uint64_t marks = ((word - 0x2020202020202020u) & ~word) |
                         ((quote - 0x0101010101010101u) & ~quote) |
                         ((slash - 0x0101010101010101u) & ~slash);
        marks &= 0x8080808080808080u;
        if (marks)
            return at + (__builtin_ctzll(marks) >> 3);
        at += 8;
    }
}

const uint8_t *mor_json_unescape(struct mor_json_reader *reader, const uint8_t *at,
                                 struct mor_buffer *ret_text)
{
    for (;;) {
        const uint8_t *stop = plain_end(at);
        mor_buffer_append(ret_text, at, (size_t)(stop - at));
        if (*stop == '"')
            return stop + 1;
        if (*stop != '\\')
            return mor_json_fail(reader, stop, "a control character in a string");
        at = unescape_one(reader, stop + 1, ret_text);
        if (!at)
            return NULL;
    }
}

const uint8_t *mor_json_text(struct mor_json_reader *reader, const uint8_t *at,
                             const uint8_t **ret_text, size_t *ret_size)
{
    const uint8_t *stop = plain_end(at);
    *ret_text = at;
    *ret_size = (size_t)(stop - at);
    if (*stop != '"') {
        mor_buffer_reset(reader->scratch);
        const uint8_t *start = at;
        at = mor_json_unescape(reader, start, reader->scratch);
        if (!at)
            return NULL;
        mor_buffer_reserve(reader->scratch, MOR_JSON_PADDING); // wide loads here, too
        *ret_text = reader->scratch->data;
        *ret_size = reader->scratch->size_bytes;
        stop = at - 1;
    }
    if (!mor_avro_utf8_valid(*ret_text, *ret_size))
        return mor_json_fail(reader, stop, "a string is not valid UTF-8");
    return stop + 1;
}

// ---- skipping -----------------------------------------------------------------------------------

static const uint8_t *skip_string(struct mor_json_reader *reader, const uint8_t *at)
{
    const uint8_t *text;
    size_t size;
    if (*at != '"')
        return mor_json_fail(reader, at, "expected a string");
    return mor_json_text(reader, at + 1, &text, &size);
}

// Items of an array or object up to `close`, which has not been seen yet.
static const uint8_t *skip_items(struct mor_json_reader *reader, const uint8_t *at, uint8_t close,
                                 int depth)
{
    if (depth >= reader->depth_max)
        return mor_json_fail(reader, at, "values are nested too deeply");
    at = mor_json_space(at + 1);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = skip_string(reader, at);
            if (!at)
                return NULL;
            at = mor_json_space(at);
            if (*at != ':')
                return mor_json_fail(reader, at, "expected ':'");
            at = mor_json_space(at + 1);
        }
        at = mor_json_skip(reader, at, depth + 1);
        if (!at)
            return NULL;
        at = mor_json_space(at);
        if (*at == close)
            return at + 1;
        if (*at != ',')
            return mor_json_fail(reader, at,
                                 close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        at = mor_json_space(at + 1);
    }
}

static const uint8_t *skip_literal(struct mor_json_reader *reader, const uint8_t *at,
                                   const char *text)
{
    size_t size = strlen(text);
    return memcmp(at, text, size) == 0 ? at + size : mor_json_fail(reader, at, "expected a value");
}

const uint8_t *mor_json_skip(struct mor_json_reader *reader, const uint8_t *at, int depth)
{
    struct mor_json_number number;
    switch (*at) {
    case '"':
        return skip_string(reader, at);
    case '{':
        return skip_items(reader, at, '}', depth);
    case '[':
        return skip_items(reader, at, ']', depth);
    case 't':
        return skip_literal(reader, at, "true");
    case 'f':
        return skip_literal(reader, at, "false");
    case 'n':
        return skip_literal(reader, at, "null");
    default:
        if (*at != '-' && (*at < '0' || *at > '9'))
            return mor_json_fail(reader, at, "expected a value");
        return mor_json_number(reader, at, &number);
    }
}
