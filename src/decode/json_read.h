// Reading of JSON text (RFC 8259) that stands in a buffer with zero bytes behind it.
//
// The zero bytes are the trick of this reader: no JSON token contains one, so that every scan stops
// at the end by itself and wide loads near the end stay inside the buffer. Functions take the
// position and return the next one, NULL when something is wrong (reader->wrong, wrong_at).
#ifndef MORAINE_JSON_READ_H
#define MORAINE_JSON_READ_H

#include "json_plan.h"

#define MOR_JSON_PADDING 64

#define MOR_JSON_PATH_MAX (MOR_SCHEMA_DEPTH_MAX + 2)

struct mor_json_reader {
    const uint8_t *end; // of the text
    const char *wrong;  // constant text
    const uint8_t *wrong_at;
    bool column_full;
    bool base64_decimals;    // a decimal's text is base64 of big-endian bytes, not digits
    int depth_max;           // of values
    size_t items_max;        // elements of one list or map
    struct mor_notes *notes; // of this record
    size_t path_count;
    const char *path[MOR_JSON_PATH_MAX]; // innermost first
    struct mor_buffer *scratch;          // texts with escapes
    struct mor_buffer *slots;            // table for keys of a map
    void *locale;                        // locale_t "C": strtod must not know another decimal point
};

struct mor_json_number {
    const uint8_t *start;
    size_t size;
    bool negative;
    bool integral;     // neither fraction nor exponent
    bool exact;        // mantissa holds all digits
    uint64_t mantissa; // the digits, the point left out
    int32_t exponent;  // value = mantissa * 10^exponent
};

static inline const uint8_t *mor_json_fail(struct mor_json_reader *reader, const uint8_t *at,
                                           const char *wrong)
{
    if (!reader->wrong) {
        reader->wrong = at >= reader->end ? "the text ends too early" : wrong;
        reader->wrong_at = at > reader->end ? reader->end : at;
    }
    return NULL;
}

static inline const uint8_t *mor_json_space(const uint8_t *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

// `at` behind the opening quote; borrowed text without escapes, else the unescaped text in scratch.
const uint8_t *mor_json_text(struct mor_json_reader *reader, const uint8_t *at,
                             const uint8_t **ret_text, size_t *ret_size);
// Appends the text from `at` (inside a string, anything before it is done) to its closing quote,
// unescaped, not yet checked for UTF-8. Returns what is behind the quote.
const uint8_t *mor_json_unescape(struct mor_json_reader *reader, const uint8_t *at,
                                 struct mor_buffer *ret_text);

// Any number.
const uint8_t *mor_json_number(struct mor_json_reader *reader, const uint8_t *at,
                               struct mor_json_number *ret_number);
// Correctly rounded. False when the number is beyond the type's range.
bool mor_json_to_double(const struct mor_json_reader *reader, const struct mor_json_number *number,
                        double *ret_value);
bool mor_json_to_float(const struct mor_json_reader *reader, const struct mor_json_number *number,
                       float *ret_value);
// False when the number has a fraction or does not fit.
bool mor_json_to_int64(const struct mor_json_number *number, int64_t *ret_value);

// Moves past any value, which must be well-formed. `depth` is its level.
const uint8_t *mor_json_skip(struct mor_json_reader *reader, const uint8_t *at, int depth);

// Decodes the object at `at` ('{') to one slot in each column of its fields.
const uint8_t *mor_json_decode_object(struct mor_json_reader *reader,
                                      struct mor_json_object *object, struct mor_vector *vectors,
                                      const uint8_t *at, int depth);
// Decodes one value to the end of a column.
const uint8_t *mor_json_decode_value(struct mor_json_reader *reader,
                                     const struct mor_json_value *value, struct mor_vector *vector,
                                     const uint8_t *at, int depth);

// The slot of a date, time or timestamp, uuid, bytes, fixed or decimal column from a text. False
// when the text is not one.
bool mor_json_append_text(struct mor_json_reader *reader, const struct mor_json_value *value,
                          struct mor_vector *vector, const uint8_t *text, size_t size);

// The slot of a decimal column from digits.
bool mor_json_append_decimal(const struct mor_json_value *value, struct mor_vector *vector,
                             const uint8_t *digits, size_t size);

// Eight ASCII digits at once: the value of the digits that stand at the beginning of the 8 bytes,
// and how many they are.
static inline uint32_t mor_json_digits8(const uint8_t *at, unsigned *ret_count)
{
    uint64_t word;
    memcpy(&word, at, 8);
    word ^= 0x3030303030303030u; // digits become 0..9
    uint64_t other =
        (((word & 0x7F7F7F7F7F7F7F7Fu) + 0x7676767676767676u) | word) & 0x8080808080808080u;
    unsigned count = other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
    *ret_count = count;
    if (count == 0)
        return 0;
    word <<= 64 - 8 * count; // zeroes in front
    word = (word * 10 + (word >> 8)) & 0x00FF00FF00FF00FFu;
    word = (word * 100 + (word >> 16)) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(word * 10000 + (word >> 32));
}

#endif
