// JSON values straight into columns: the hot path of JSON ingestion.
//
// A record's keys mostly come in the order of the record before it. Each field remembers which one
// followed it; its name is compared as bytes where the next key must begin, and only when that
// fails is a key scanned and looked up. Strings are copied 16 bytes at a time while their end is
// searched.
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "json_read.h"
#include "map_keys.h"
#include "moraine/avro.h"
#include "moraine/avro/append.h"
#include "moraine/decode.h"

static const char column_full[] = "the column is full (2 GiB)";

static const uint8_t *fail_full(struct mor_json_reader *reader, const uint8_t *at)
{
    reader->column_full = true;
    return mor_json_fail(reader, at, column_full);
}

static const uint8_t *fail_in(struct mor_json_reader *reader, const char *name)
{
    if (reader->path_count < MOR_JSON_PATH_MAX)
        reader->path[reader->path_count++] = name;
    return NULL;
}

// ---- keys ---------------------------------------------------------------------------------------

static inline bool key_is(const struct mor_json_reader *reader, const uint8_t *at,
                          const struct mor_json_field *field)
{
    size_t size = field->quoted_size;
#ifdef __SSE2__
    if (size <= 32) { // both sides are followed by enough zero bytes
        __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at),
                                     _mm_loadu_si128((const __m128i *)(const void *)field->quoted));
        __m128i high =
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(at + 16)),
                           _mm_loadu_si128((const __m128i *)(const void *)(field->quoted + 16)));
        uint64_t equal = (uint64_t)(uint32_t)_mm_movemask_epi8(low) |
                         (uint64_t)(uint32_t)_mm_movemask_epi8(high) << 16;
        uint64_t wanted = ((uint64_t)1 << size) - 1;
        return (equal & wanted) == wanted && size > 0;
    }
#endif
    return size > 0 && size <= (size_t)(reader->end - at) && memcmp(at, field->quoted, size) == 0;
}

// A known name of up to 15 bytes as they stand in the text: no look at escapes or UTF-8 is needed,
// a name that has either is not found here. NULL: none.
static inline struct mor_json_field *find_short(const struct mor_json_reader *reader,
                                                const struct mor_json_object *object,
                                                const uint8_t *at)
{
#ifdef __SSE2__
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 1));
    unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
    if (quotes == 0)
        return NULL;
    size_t mask = object->slot_count - 1;
    size_t slot = mor_json_name_hash(at + 1, (size_t)__builtin_ctz(quotes)) & mask;
    for (; object->slots[slot] != 0; slot = (slot + 1) & mask) {
        struct mor_json_field *field = mor_json_object_at(object, object->slots[slot] - 1);
        if (key_is(reader, at, field))
            return field;
    }
#else
    (void)reader, (void)object, (void)at;
#endif
    return NULL;
}

// The key at `at` was not the predicted one. Returns what is behind it.
static __attribute__((noinline)) const uint8_t *find_key(struct mor_json_reader *reader,
                                                         struct mor_json_object *object,
                                                         const uint8_t *at,
                                                         struct mor_json_field **ret_field)
{
    const uint8_t *name = NULL;
    size_t size = 0;
    if (*at != '"')
        return mor_json_fail(reader, at, "expected a key");
    *ret_field = find_short(reader, object, at);
    if (*ret_field)
        return at + (*ret_field)->quoted_size;
    const uint8_t *behind = mor_json_text(reader, at + 1, &name, &size);
    if (behind)
        *ret_field = mor_json_object_find(object, name, size);
    return behind;
}

// ---- strings ------------------------------------------------------------------------------------

// The rest of a string behind `text_size` bytes that already stand, uncounted, at the end of the
// data.
static const uint8_t *finish_escaped(struct mor_json_reader *reader,
                                     const struct mor_json_value *value, struct mor_vector *vector,
                                     const uint8_t *at, size_t text_size)
{
    size_t size_before = vector->data.size_bytes;
    vector->data.size_bytes += text_size;
    const uint8_t *behind = mor_json_unescape(reader, at, &vector->data);
    size_t size = vector->data.size_bytes - size_before;
    vector->data.size_bytes = size_before;
    if (!behind)
        return NULL;
    if (!mor_avro_utf8_valid(vector->data.data + size_before, size))
        return mor_json_fail(reader, at, "a string is not valid UTF-8");
    vector->data.size_bytes += size;
    mor_avro_append_offset(vector, value->nullable);
    return behind;
}

// `at` behind the opening quote. Room for what is left of the text has been checked.
static inline const uint8_t *decode_string(struct mor_json_reader *reader,
                                           const struct mor_json_value *value,
                                           struct mor_vector *vector, const uint8_t *at)
{
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"');
    const __m128i slashes = _mm_set1_epi8('\\');
    const __m128i controls = _mm_set1_epi8(0x1F);
    const uint8_t *start = at;
    unsigned high = 0, stop;
    for (;;) {
        size_t done = (size_t)(at - start);
        mor_buffer_reserve(&vector->data, done + 16);
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        _mm_storeu_si128((__m128i *)(void *)(vector->data.data + vector->data.size_bytes + done),
                         bytes);
        __m128i marks = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, slashes)),
            _mm_cmpeq_epi8(_mm_min_epu8(bytes, controls), bytes));
        stop = (unsigned)_mm_movemask_epi8(marks);
        unsigned not_ascii = (unsigned)_mm_movemask_epi8(bytes);
        if (stop) {
            high |= not_ascii & ((stop & -stop) - 1);
            break;
        }
        high |= not_ascii;
        at += 16;
    }
    at += __builtin_ctz(stop);
    size_t size = (size_t)(at - start);
    if (*at != '"')
        return finish_escaped(reader, value, vector, at, size);
    if (high && !mor_avro_utf8_valid(start, size))
        return mor_json_fail(reader, at, "a string is not valid UTF-8");
    vector->data.size_bytes += size;
    mor_avro_append_offset(vector, value->nullable);
    return at + 1;
#else
    return finish_escaped(reader, value, vector, at, 0);
#endif
}

// The text of a value as it stands, for a JSON column.
static const uint8_t *decode_raw(struct mor_json_reader *reader, const struct mor_json_value *value,
                                 struct mor_vector *vector, const uint8_t *at, int depth)
{
    const uint8_t *behind = mor_json_skip(reader, at, depth);
    if (behind)
        mor_avro_append_bytes(vector, value->nullable, at, (size_t)(behind - at));
    return behind;
}

// ---- numbers ------------------------------------------------------------------------------------

static const uint8_t *slow_integer(struct mor_json_reader *reader, const uint8_t *at,
                                   int64_t *ret_value)
{
    struct mor_json_number number;
    const uint8_t *behind = mor_json_number(reader, at, &number);
    if (!behind)
        return NULL;
    if (!mor_json_to_int64(&number, ret_value))
        return mor_json_fail(reader, at,
                             number.integral ? "the number does not fit the column"
                                             : "the number is not an integer that fits");
    return behind;
}

// Up to 16 digits without fraction or exponent here, everything else in slow_integer.
static inline const uint8_t *decode_integer(struct mor_json_reader *reader, const uint8_t *at,
                                            int64_t *ret_value)
{
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    bool negative = *at == '-';
    const uint8_t *digits = at + negative;
    unsigned count, total;
    int64_t value = mor_json_digits8(digits, &count);
    total = count;
    if (count == 8) {
        uint32_t more = mor_json_digits8(digits + 8, &count);
        value = value * powers[count] + more;
        total += count;
    }
    uint8_t next = digits[total];
    if (total == 0 || (*digits == '0' && total > 1) || next == '.' || next == 'e' || next == 'E' ||
        (total == 16 && next >= '0' && next <= '9'))
        return slow_integer(reader, at, ret_value);
    *ret_value = negative ? -value : value;
    return digits + total;
}

static const uint8_t *decode_real(struct mor_json_reader *reader,
                                  const struct mor_json_value *value, struct mor_vector *vector,
                                  const uint8_t *at)
{
    struct mor_json_number number;
    double wide = 0;
    float narrow = 0;
    const uint8_t *behind = mor_json_number(reader, at, &number);
    if (!behind)
        return NULL;
    bool is_float = value->type == MOR_TYPE_FLOAT;
    if (is_float ? !mor_json_to_float(reader, &number, &narrow)
                 : !mor_json_to_double(reader, &number, &wide))
        return mor_json_fail(reader, at, "the number is beyond the range of the column");
    if (is_float)
        mor_avro_append_4(vector, value->nullable, &narrow);
    else
        mor_avro_append_8(vector, value->nullable, &wide);
    return behind;
}

static const uint8_t *decode_decimal(struct mor_json_reader *reader,
                                     const struct mor_json_value *value, struct mor_vector *vector,
                                     const uint8_t *at)
{
    struct mor_json_number number;
    const uint8_t *behind = mor_json_number(reader, at, &number);
    if (behind && !mor_json_append_decimal(value, vector, number.start, number.size))
        return mor_json_fail(reader, at, "the number does not fit the decimal column");
    return behind;
}

// A number in the unit of the source.
static const uint8_t *decode_time(struct mor_json_reader *reader,
                                  const struct mor_json_value *value, struct mor_vector *vector,
                                  const uint8_t *at)
{
    int64_t number = 0;
    const uint8_t *behind = decode_integer(reader, at, &number);
    if (!behind)
        return NULL;
    if (value->multiply > 1 && __builtin_mul_overflow(number, value->multiply, &number))
        return mor_json_fail(reader, at, "the number is beyond the range of the column");
    if (value->divide > 1)
        number = number / value->divide - (number % value->divide < 0);
    bool is_clock = value->type == MOR_TYPE_TIME_MILLIS || value->type == MOR_TYPE_TIME_MICROS;
    if (is_clock && (number < 0 || number >= 86400000000 / value->text_divide))
        return mor_json_fail(reader, at, "the time is not within a day");
    if (value->type == MOR_TYPE_DATE || value->type == MOR_TYPE_TIME_MILLIS) {
        int32_t small = (int32_t)number;
        if (small != number)
            return mor_json_fail(reader, at, "the number is beyond the range of the column");
        mor_avro_append_4(vector, value->nullable, &small);
    } else {
        mor_avro_append_8(vector, value->nullable, &number);
    }
    return behind;
}

// ---- lists and maps -----------------------------------------------------------------------------

static const uint8_t *decode_map_key(struct mor_json_reader *reader,
                                     const struct mor_json_value *key, struct mor_vector *vector,
                                     const uint8_t *at)
{
    const uint8_t *text = NULL;
    size_t size = 0;
    if (*at != '"')
        return mor_json_fail(reader, at, "expected a key");
    const uint8_t *behind = mor_json_text(reader, at + 1, &text, &size);
    if (!behind)
        return NULL;
    if (!mor_avro_append_has_room(vector, size))
        return fail_full(reader, at);
    if (!mor_json_append_text(reader, key, vector, text, size))
        return mor_json_fail(reader, at, "the key does not fit the map's key type");
    behind = mor_json_space(behind);
    if (*behind != ':')
        return mor_json_fail(reader, behind, "expected ':'");
    return mor_json_space(behind + 1);
}

static const uint8_t *decode_items(struct mor_json_reader *reader,
                                   const struct mor_json_value *value, struct mor_vector *vector,
                                   const uint8_t *at, int depth)
{
    bool is_map = value->type == MOR_TYPE_MAP;
    const uint8_t close = is_map ? '}' : ']';
    struct mor_vector *items = &vector->children[is_map ? 1 : 0];
    size_t first = items->length;
    if (*at != (is_map ? '{' : '['))
        return mor_json_fail(reader, at, is_map ? "expected an object" : "expected an array");
    at = mor_json_space(at + 1);
    bool more = *at != close;
    while (more) {
        if (is_map && !(at = decode_map_key(reader, value->key, &vector->children[0], at)))
            return NULL;
        if (items->length >= INT32_MAX)
            return fail_full(reader, at);
        if (items->length - first >= reader->items_max)
            return mor_json_fail(reader, at, "too many elements");
        at = mor_json_decode_value(reader, value->item, items, at, depth + 1);
        if (!at)
            return fail_in(reader, value->item->name);
        at = mor_json_space(at);
        more = *at == ',';
        if (more)
            at = mor_json_space(at + 1);
        else if (*at != close)
            return mor_json_fail(reader, at,
                                 is_map ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    if (is_map && items->length - first > 1 &&
        !mor_map_keys_differ(reader->slots, &vector->children[0], first))
        return mor_json_fail(reader, at, "duplicate key in a map");
    mor_vector_append_end(vector);
    return at + 1;
}

// ---- values -------------------------------------------------------------------------------------

// A value that is given as a string, whatever the column.
static const uint8_t *decode_from_text(struct mor_json_reader *reader,
                                       const struct mor_json_value *value,
                                       struct mor_vector *vector, const uint8_t *at)
{
    const uint8_t *text = NULL;
    size_t size = 0;
    const uint8_t *behind = mor_json_text(reader, at + 1, &text, &size);
    if (!behind)
        return NULL;
    if (mor_json_append_text(reader, value, vector, text, size))
        return behind;
    switch (value->type) {
    case MOR_TYPE_DATE:
        return mor_json_fail(reader, at, "the text is not a date (YYYY-MM-DD)");
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIME_MICROS:
        return mor_json_fail(reader, at, "the text is not a time of day (hh:mm:ss)");
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return mor_json_fail(reader, at, "the text is not an ISO 8601 date and time");
    case MOR_TYPE_UUID:
        return mor_json_fail(reader, at, "the text is not a UUID");
    case MOR_TYPE_BYTES:
        return mor_json_fail(reader, at, "the text is not base64");
    case MOR_TYPE_FIXED:
        return mor_json_fail(reader, at, "the text is not base64 of the column's size");
    case MOR_TYPE_DECIMAL:
        return mor_json_fail(reader, at, "the text is not a number that fits the decimal column");
    default:
        return mor_json_fail(reader, at, "a string does not fit the column");
    }
}

static const uint8_t *decode_bool(struct mor_json_reader *reader,
                                  const struct mor_json_value *value, struct mor_vector *vector,
                                  const uint8_t *at)
{
    bool is_true = memcmp(at, "true", 4) == 0;
    if (!is_true && memcmp(at, "false", 5) != 0)
        return mor_json_fail(reader, at, "expected true or false");
    mor_avro_append_bool(vector, value->nullable, is_true);
    return at + (is_true ? 4 : 5);
}

static const uint8_t *decode_struct(struct mor_json_reader *reader,
                                    const struct mor_json_value *value, struct mor_vector *vector,
                                    const uint8_t *at, int depth)
{
    at = mor_json_decode_object(reader, value->object, vector->children, at, depth);
    if (at)
        mor_vector_append_end(vector);
    return at;
}

static const uint8_t *decode_rare(struct mor_json_reader *reader,
                                  const struct mor_json_value *value, struct mor_vector *vector,
                                  const uint8_t *at, int depth)
{
    if (memcmp(at, "null", 4) == 0) {
        if (value->required)
            return mor_json_fail(reader, at, "null in a required column");
        mor_vector_append_null(vector);
        return at + 4;
    }
    switch (value->type) {
    case MOR_TYPE_BOOL:
        return decode_bool(reader, value, vector, at);
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
        if (*at == '"')
            break;
        return decode_real(reader, value, vector, at);
    case MOR_TYPE_DECIMAL:
        return *at == '"' ? decode_from_text(reader, value, vector, at)
                          : decode_decimal(reader, value, vector, at);
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return *at == '"' ? decode_from_text(reader, value, vector, at)
                          : decode_time(reader, value, vector, at);
    case MOR_TYPE_BYTES:
    case MOR_TYPE_FIXED:
    case MOR_TYPE_UUID:
        return *at == '"' ? decode_from_text(reader, value, vector, at)
                          : mor_json_fail(reader, at, "expected a string");
    case MOR_TYPE_JSON:
        return decode_raw(reader, value, vector, at, depth);
    case MOR_TYPE_STRUCT:
        return decode_struct(reader, value, vector, at, depth);
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        return decode_items(reader, value, vector, at, depth);
    default:
        break;
    }
    if (value->type == MOR_TYPE_STRING || value->type == MOR_TYPE_ENUM)
        return mor_json_fail(reader, at, "expected a string");
    return mor_json_fail(reader, at, "expected a number");
}

static inline __attribute__((always_inline)) const uint8_t *
decode_one(struct mor_json_reader *reader, const struct mor_json_value *value,
           struct mor_vector *vector, const uint8_t *at, int depth)
{
    int64_t number = 0;
    switch (value->type) {
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        if (*at == '"')
            return decode_string(reader, value, vector, at + 1);
        break;
    case MOR_TYPE_INT64:
    case MOR_TYPE_INT32:
        if (*at > '9') // a digit or '-' stands below; letters and brackets above
            break;
        at = decode_integer(reader, at, &number);
        if (!at)
            return NULL;
        if (value->type == MOR_TYPE_INT64) {
            mor_avro_append_8(vector, value->nullable, &number);
            return at;
        }
        int32_t small = (int32_t)number;
        if (small != number)
            return mor_json_fail(reader, at, "the number does not fit the column");
        mor_avro_append_4(vector, value->nullable, &small);
        return at;
    default:
        break;
    }
    return decode_rare(reader, value, vector, at, depth);
}

const uint8_t *mor_json_decode_value(struct mor_json_reader *reader,
                                     const struct mor_json_value *value, struct mor_vector *vector,
                                     const uint8_t *at, int depth)
{
    if (depth > reader->depth_max)
        return mor_json_fail(reader, at, "values are nested too deeply");
    // the text is never longer than its JSON, so this is enough for any value of this record
    if ((size_t)(reader->end - at) > (size_t)INT32_MAX - vector->data.size_bytes)
        return fail_full(reader, at);
    return decode_one(reader, value, vector, at, depth);
}

// ---- objects ------------------------------------------------------------------------------------

static bool missing(struct mor_json_reader *reader, const struct mor_json_field *field,
                    const uint8_t *at)
{
    mor_json_fail(reader, at, "a required field is missing");
    fail_in(reader, field->name);
    return false;
}

// The columns of a flattened object that is not there.
static void fill_absent(const struct mor_json_object *object, struct mor_vector *vectors)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct mor_json_field *field = &object->fields[i];
        if (field->role == MOR_JSON_FLATTENED)
            fill_absent(field->value.object, vectors);
        else if (field->column != MOR_ROUTE_NONE)
            mor_vector_append_null(&vectors[field->column]);
    }
}

// A flattened object that did not come, or came as null: what stands in for it, or nothing.
static bool fill_flattened(struct mor_json_reader *reader, struct mor_json_object *object,
                           const struct mor_json_field *field, struct mor_vector *vectors,
                           const uint8_t *at, int depth)
{
    if (field->value.required)
        return missing(reader, field, at);
    const struct mor_json_field *other =
        field->otherwise != MOR_ROUTE_NONE ? &object->fields[field->otherwise] : NULL;
    if (other && other->seen == object->generation && *other->kept != 'n') {
        reader->notes->otherwise = true;
        if (mor_json_decode_object(reader, field->value.object, vectors, other->kept, depth + 1))
            return true;
        fail_in(reader, other->name);
        return false;
    }
    if (other)
        reader->notes->absent = true;
    fill_absent(field->value.object, vectors);
    return true;
}

// Fields that did not come become null.
static bool fill_missing(struct mor_json_reader *reader, struct mor_json_object *object,
                         struct mor_vector *vectors, const uint8_t *at, int depth)
{
    for (size_t i = 0; i < object->field_count; i++) {
        struct mor_json_field *field = &object->fields[i];
        if (field->seen == object->generation)
            continue;
        if (field->role == MOR_JSON_FLATTENED) {
            if (!fill_flattened(reader, object, field, vectors, at, depth))
                return false;
            continue;
        }
        if (field->value.required || field->must_occur)
            return missing(reader, field, at);
        if (field->column != MOR_ROUTE_NONE)
            mor_vector_append_null(&vectors[field->column]);
    }
    return true;
}

// Text as it stands between the quotes, or a whole number; anything else is not noted.
static void take_note(struct mor_json_reader *reader, const struct mor_json_field *field,
                      const uint8_t *at)
{
    struct mor_note *note = &reader->notes->values[field->note];
    struct mor_json_reader peek = *reader; // whoever reads the value next reports what is wrong
    if (*at == '"') {
        const uint8_t *behind = mor_json_skip(&peek, at, 0);
        if (behind)
            *note = (struct mor_note){
                .text = at + 1, .size_bytes = (size_t)(behind - at) - 2, .present = true};
    } else if (*at != 'n') {
        note->present = decode_integer(&peek, at, &note->number) != NULL;
    }
}

static const uint8_t *decode_column(struct mor_json_reader *reader, struct mor_json_field *field,
                                    uint64_t generation, struct mor_vector *vectors,
                                    const uint8_t *at, int depth)
{
    if (field->seen == generation) {
        mor_json_fail(reader, at, "duplicate key");
        return fail_in(reader, field->name);
    }
    field->seen = generation;
    at = field->role == MOR_JSON_FLATTENED
             ? mor_json_decode_object(reader, field->value.object, vectors, at, depth)
             : mor_json_decode_value(reader, &field->value, &vectors[field->column], at, depth);
    return at ? at : fail_in(reader, field->name);
}

// A field that is not simply a column.
static __attribute__((noinline)) const uint8_t *decode_special(struct mor_json_reader *reader,
                                                               struct mor_json_object *object,
                                                               struct mor_json_field *field,
                                                               struct mor_vector *vectors,
                                                               const uint8_t *at, int depth)
{
    uint64_t generation = object->generation;
    switch (field->role) {
    case MOR_JSON_NOTED:
        take_note(reader, field, at);
        if (field->column == MOR_ROUTE_NONE)
            break;
        return decode_column(reader, field, generation, vectors, at, depth);
    case MOR_JSON_FLATTENED:
        if (memcmp(at, "null", 4) == 0)
            return at + 4; // as if it were missing
        return decode_column(reader, field, generation, vectors, at, depth);
    case MOR_JSON_KEPT:
        field->kept = at;
        break;
    default:
        return mor_json_skip(reader, at, depth);
    }
    field->seen = generation;
    return mor_json_skip(reader, at, depth);
}

const uint8_t *mor_json_decode_object(struct mor_json_reader *reader,
                                      struct mor_json_object *object, struct mor_vector *vectors,
                                      const uint8_t *at, int depth)
{
    if (*at != '{')
        return mor_json_fail(reader, at, "expected an object");
    at = mor_json_space(at + 1);
    uint64_t generation = ++object->generation;
    size_t seen = 0;
    struct mor_json_field **link = &object->first;
    bool more = *at != '}';
    while (more) {
        struct mor_json_field *field = *link;
        if (field && key_is(reader, at, field)) {
            at += field->quoted_size;
        } else {
            at = find_key(reader, object, at, &field);
            if (!at)
                return NULL;
            *link = field;
        }
        link = &field->next;
        if (*at != ':') {
            at = mor_json_space(at);
            if (*at != ':')
                return mor_json_fail(reader, at, "expected ':'");
        }
        at = mor_json_space(at + 1);
        if (field->role != MOR_JSON_COLUMN) {
            at = decode_special(reader, object, field, vectors, at, depth + 1);
            if (!at)
                return NULL;
        } else {
            if (field->seen == generation) {
                mor_json_fail(reader, at, "duplicate key");
                return fail_in(reader, field->name);
            }
            field->seen = generation;
            seen++;
            struct mor_vector *vector = &vectors[field->column];
            at = mor_json_decode_value(reader, &field->value, vector, at, depth + 1);
            if (!at)
                return fail_in(reader, field->name);
        }
        at = mor_json_space(at);
        more = *at == ',';
        if (more)
            at = mor_json_space(at + 1);
        else if (*at != '}')
            return mor_json_fail(reader, at, "expected ',' or '}'");
    }
    if (seen < object->field_count && !fill_missing(reader, object, vectors, at, depth))
        return NULL;
    return at + 1;
}
