// Running a plan: the hot path of Avro ingestion.
//
// The record loop holds the input position in a local structure that never has its address taken by
// an out-of-line function (those get a copy), so that it stays in registers; each operation appends
// straight to its column. Errors are constant texts; their path is put together on the way out.
#include <stdio.h>

#include "avro_plan.h"
#include "avro_read.h"
#include "moraine/avro/append.h"
#include "moraine/base/uuid.h"

#define PATH_MAX_DEPTH (MOR_SCHEMA_DEPTH_MAX + 2)

// Inlined always: out of line they would take the address of the input position.
#define HOT inline __attribute__((always_inline))

struct state {
    size_t empty_left;
    size_t items_max;
    struct mor_notes *notes; // NULL = not wanted
    const uint8_t *kept;     // KEEP: where it begins
    bool flattened;          // a record that SETTLE looks after was there
    size_t path_count;
    const char *path[PATH_MAX_DEPTH]; // innermost first
    const uint8_t *fault_at;
};

static const char column_full[] = "the column is full (2 GiB)";
static const char null_in_required[] = "null in a required column";

static const char *run(const struct mor_avro_program *program, struct mor_vector *vectors,
                       struct mor_avro_input *in, struct state *state);

static inline const char *fault(struct state *state, const struct mor_avro_op *op,
                                const uint8_t *at, const char *wrong)
{
    if (!state->fault_at)
        state->fault_at = at;
    if (state->path_count < PATH_MAX_DEPTH)
        state->path[state->path_count++] = op->name;
    return wrong;
}

// ---- reading, inline ----------------------------------------------------------------------------

// As mor_avro_get_long. Numbers of two to eight bytes are put together in a register: `stop` has
// the high bit of the bytes that end a number, below the first of them stand seven bits per byte.
static HOT const char *get_long(struct mor_avro_input *in, int64_t *ret_value)
{
    size_t left = mor_avro_left(in);
    if (left > 0 && *in->at < 0x80) {
        uint64_t bits = *in->at++;
        *ret_value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
        return NULL;
    }
    uint64_t word, stop = 0;
    if (left >= 8) {
        memcpy(&word, in->at, 8);
        stop = ~word & 0x8080808080808080u;
    }
    if (stop == 0) {
        struct mor_avro_input copy = *in;
        const char *wrong = mor_avro_get_long(&copy, ret_value);
        *in = copy;
        return wrong;
    }
    word &= (stop ^ (stop - 1)) & 0x7F7F7F7F7F7F7F7Fu;
    word = (word & 0x007F007F007F007Fu) | (word & 0x7F007F007F007F00u) >> 1;
    word = (word & 0x00003FFF00003FFFu) | (word & 0x3FFF00003FFF0000u) >> 2;
    word = (word & 0x000000000FFFFFFFu) | (word & 0x0FFFFFFF00000000u) >> 4;
    in->at += (__builtin_ctzll(stop) >> 3) + 1;
    *ret_value = (int64_t)(word >> 1) ^ -(int64_t)(word & 1);
    return NULL;
}

static HOT const char *get_int(struct mor_avro_input *in, int32_t *ret_value)
{
    int64_t value = 0;
    const char *wrong = get_long(in, &value);
    if (wrong)
        return wrong;
    *ret_value = (int32_t)value;
    return *ret_value == value ? NULL : "a number has more than 32 bits";
}

static HOT const char *get_bytes(struct mor_avro_input *in, const uint8_t **ret_bytes,
                                 size_t *ret_size_bytes)
{
    int64_t size = 0;
    const char *wrong = get_long(in, &size);
    if (wrong)
        return wrong;
    if ((uint64_t)size > mor_avro_left(in)) // a negative one is, too
        return size < 0 ? "a length is negative" : "a length is beyond the end of the data";
    *ret_bytes = in->at;
    *ret_size_bytes = (size_t)size;
    in->at += size;
    return NULL;
}

// ---- values of variable width -------------------------------------------------------------------

// Text of up to 16 bytes as two words, which overlap when it is shorter: no byte before or behind
// it is touched. The last texts of a record are of this kind. False: it is not ASCII.
static bool append_few_ascii(struct mor_vector *vector, bool nullable, const uint8_t *bytes,
                             size_t size_bytes)
{
    uint64_t first = 0, last = 0;
    size_t width = size_bytes >= 8 ? 8 : size_bytes >= 4 ? 4 : size_bytes >= 2 ? 2 : size_bytes;
    mor_buffer_reserve(&vector->data, 16);
    uint8_t *to = vector->data.data + vector->data.size_bytes;
    switch (width) {
    case 8:
        memcpy(&first, bytes, 8);
        memcpy(&last, bytes + size_bytes - 8, 8);
        break;
    case 4:
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + size_bytes - 4, 4);
        break;
    case 2:
        memcpy(&first, bytes, 2);
        memcpy(&last, bytes + size_bytes - 2, 2);
        break;
    case 1:
        first = last = bytes[0];
        break;
    default:
        break;
    }
    if ((first | last) & 0x8080808080808080u)
        return false;
    // little-endian: the bytes above those of the first word are overwritten by the last, or lie
    // behind the text
    memcpy(to, &first, 8);
    if (width > 0)
        memcpy(to + size_bytes - width, &last, 8);
    vector->data.size_bytes += size_bytes;
    mor_avro_append_offset(vector, nullable);
    return true;
}

bool mor_avro_append_checked(struct mor_vector *vector, bool nullable, const uint8_t *bytes,
                             size_t size_bytes)
{
    if (size_bytes <= 16 && append_few_ascii(vector, nullable, bytes, size_bytes))
        return true;
    if (!mor_avro_utf8_valid(bytes, size_bytes))
        return false;
    mor_avro_append_bytes(vector, nullable, bytes, size_bytes);
    return true;
}

static __attribute__((noinline)) const char *append_string(struct mor_vector *vector, bool nullable,
                                                           const uint8_t *bytes, size_t size_bytes)
{
    return mor_avro_append_checked(vector, nullable, bytes, size_bytes)
               ? NULL
               : "a string is not valid UTF-8";
}

static HOT const char *decode_string(struct mor_avro_input *in, struct mor_vector *vector,
                                     bool nullable)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    const char *wrong = get_bytes(in, &bytes, &size_bytes);
    if (wrong)
        return wrong;
    if (!mor_avro_append_has_room(vector, size_bytes))
        return column_full;
    if (mor_avro_append_short_ascii(vector, nullable, bytes, size_bytes, in->end))
        return NULL;
    return append_string(vector, nullable, bytes, size_bytes);
}

static const char *decode_bytes(struct mor_avro_input *in, struct mor_vector *vector, bool nullable)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    const char *wrong = mor_avro_get_bytes(in, &bytes, &size_bytes);
    if (wrong)
        return wrong;
    if (!mor_avro_append_has_room(vector, size_bytes))
        return column_full;
    mor_avro_append_bytes(vector, nullable, bytes, size_bytes);
    return NULL;
}

static const char *decode_fixed(const struct mor_avro_op *op, struct mor_avro_input *in,
                                struct mor_vector *vector)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = op->fixed_size_bytes;
    const char *wrong = op->code == MOR_AVRO_OP_BYTES_FIXED
                            ? mor_avro_get_bytes(in, &bytes, &size_bytes)
                            : mor_avro_get_fixed(in, size_bytes, &bytes);
    if (wrong)
        return wrong;
    if (size_bytes != op->fixed_size_bytes)
        return "bytes of another size than the column's";
    if (!mor_avro_append_has_room(vector, size_bytes))
        return column_full;
    mor_buffer_append(&vector->data, bytes, size_bytes);
    if (op->code == MOR_AVRO_OP_FIXED_BYTES)
        mor_avro_append_offset(vector, op->nullable);
    else
        mor_avro_append_valid(vector, op->nullable);
    return NULL;
}

static const char *decode_uuid(const struct mor_avro_op *op, struct mor_avro_input *in,
                               struct mor_vector *vector)
{
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    struct mor_uuid uuid;
    const char *wrong;
    if (op->code != MOR_AVRO_OP_UUID_FORMAT) {
        if ((wrong = mor_avro_get_bytes(in, &bytes, &size_bytes)))
            return wrong;
        if (!mor_uuid_parse((const char *)bytes, size_bytes, &uuid))
            return "the text is not a UUID";
        if (op->code == MOR_AVRO_OP_UUID_TEXT)
            mor_avro_append_16(vector, op->nullable, uuid.bytes);
        else if (mor_avro_append_has_room(vector, size_bytes))
            mor_avro_append_bytes(vector, op->nullable, bytes, size_bytes);
        else
            return column_full;
        return NULL;
    }
    char text[MOR_UUID_TEXT_SIZE];
    if ((wrong = mor_avro_get_fixed(in, sizeof uuid.bytes, &bytes)))
        return wrong;
    if (!mor_avro_append_has_room(vector, sizeof text))
        return column_full;
    memcpy(uuid.bytes, bytes, sizeof uuid.bytes);
    mor_uuid_format(&uuid, text);
    mor_avro_append_bytes(vector, op->nullable, text, MOR_UUID_TEXT_SIZE - 1);
    return NULL;
}

static const char *decode_enum(const struct mor_avro_op *op, struct mor_avro_input *in,
                               struct mor_vector *vector)
{
    int64_t index = 0;
    const char *wrong = mor_avro_get_long(in, &index);
    if (wrong)
        return wrong;
    if ((uint64_t)index >= op->count)
        return "an enum symbol does not exist";
    const struct mor_avro_symbol *symbol = &op->symbols[index];
    if (!mor_avro_append_has_room(vector, symbol->size_bytes))
        return column_full;
    mor_avro_append_bytes(vector, op->nullable, symbol->text, symbol->size_bytes);
    return NULL;
}

static const char *decode_decimal(const struct mor_avro_op *op, struct mor_avro_input *in,
                                  struct mor_vector *vector)
{
    const uint8_t *bytes = NULL;
    const struct mor_avro_decimal *decimal = op->decimal;
    size_t size_bytes = decimal->fixed_size_bytes;
    const char *wrong = op->code == MOR_AVRO_OP_DECIMAL_FIXED
                            ? mor_avro_get_fixed(in, size_bytes, &bytes)
                            : mor_avro_get_bytes(in, &bytes, &size_bytes);
    if (wrong)
        return wrong;
    mor_int128 value = 0;
    if (size_bytes > 0 && !mor_decimal_from_be(bytes, size_bytes, &value))
        return "a decimal has more digits than its column";
    if (__builtin_mul_overflow(value, decimal->multiply, &value) || value >= decimal->limit ||
        value <= -decimal->limit)
        return "a decimal has more digits than its column";
    mor_avro_append_16(vector, op->nullable, &value); // both sides little-endian
    return NULL;
}

// ---- numbers that change ------------------------------------------------------------------------

static int64_t floor_divide(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return quotient - (value % by < 0);
}

static const char *decode_converted(const struct mor_avro_op *op, struct mor_avro_input *in,
                                    struct mor_vector *vector)
{
    int64_t value = 0;
    double wide;
    float narrow;
    int32_t small;
    const char *wrong = mor_avro_get_long(in, &value);
    if (wrong)
        return wrong;
    bool is_int = op->code == MOR_AVRO_OP_INT_I64 || op->code == MOR_AVRO_OP_INT_FLOAT ||
                  op->code == MOR_AVRO_OP_INT_DOUBLE;
    if (is_int && (value < INT32_MIN || value > INT32_MAX))
        return "a number has more than 32 bits";
    switch (op->code) {
    case MOR_AVRO_OP_INT_I64:
    case MOR_AVRO_OP_LONG_MULTIPLY:
        if (__builtin_mul_overflow(value, op->factor, &value))
            return "a time is out of the range of its column";
        break;
    case MOR_AVRO_OP_LONG_DIVIDE:
        value = floor_divide(value, op->factor);
        break;
    case MOR_AVRO_OP_LONG_DIVIDE_I32:
        value = floor_divide(value, op->factor);
        if (value < INT32_MIN || value > INT32_MAX)
            return "a time is out of the range of its column";
        small = (int32_t)value;
        mor_avro_append_4(vector, op->nullable, &small);
        return NULL;
    case MOR_AVRO_OP_INT_FLOAT:
    case MOR_AVRO_OP_LONG_FLOAT:
        narrow = (float)value;
        mor_avro_append_4(vector, op->nullable, &narrow);
        return NULL;
    default:
        wide = (double)value;
        mor_avro_append_8(vector, op->nullable, &wide);
        return NULL;
    }
    mor_avro_append_8(vector, op->nullable, &value);
    return NULL;
}

static const char *decode_float_double(const struct mor_avro_op *op, struct mor_avro_input *in,
                                       struct mor_vector *vector)
{
    const uint8_t *bytes = NULL;
    const char *wrong = mor_avro_get_fixed(in, 4, &bytes);
    if (wrong)
        return wrong;
    float narrow;
    memcpy(&narrow, bytes, sizeof narrow);
    double wide = (double)narrow;
    mor_avro_append_8(vector, op->nullable, &wide);
    return NULL;
}

// ---- nested values ------------------------------------------------------------------------------

static const char *decode_value(const struct mor_avro_op *op, struct mor_vector *vector,
                                struct mor_avro_input *in, struct state *state);

static const char *decode_struct(const struct mor_avro_op *op, struct mor_avro_input *in,
                                 struct mor_vector *vector, struct state *state)
{
    const char *wrong = run(op->program, vector->children, in, state);
    if (!wrong)
        mor_avro_append_valid(vector, op->nullable);
    return wrong;
}

static const char *decode_items(const struct mor_avro_op *op, struct mor_avro_input *in,
                                struct mor_vector *vector, struct state *state)
{
    const struct mor_avro_op *item = op->items.item;
    bool is_map = op->code == MOR_AVRO_OP_MAP;
    struct mor_vector *items = &vector->children[item->column];
    struct mor_vector *keys = &vector->children[0];
    size_t first = items->length;
    for (;;) {
        size_t count = 0;
        const char *wrong =
            mor_avro_get_block(in, op->items.size_min_bytes, &state->empty_left, &count);
        if (wrong)
            return wrong;
        if (count == 0)
            break;
        if (count > INT32_MAX - items->length)
            return column_full;
        if (count > state->items_max - (items->length - first))
            return "too many elements";
        for (size_t i = 0; i < count; i++) {
            if (is_map && (wrong = decode_string(in, keys, keys->field->nullable)))
                return wrong;
            if ((wrong = decode_value(item, items, in, state)))
                return fault(state, item, in->at, wrong);
        }
    }
    mor_vector_append_end(vector);
    return NULL;
}

static const char *decode_union(const struct mor_avro_op *op, struct mor_avro_input *in,
                                struct mor_vector *vector, struct state *state)
{
    int64_t branch = 0;
    const char *wrong = mor_avro_get_long(in, &branch);
    if (wrong)
        return wrong;
    if ((uint64_t)branch >= op->count)
        return "a union branch does not exist";
    return decode_value(&op->branches[branch], vector, in, state);
}

// A union of several types to a struct with a field per branch.
static const char *decode_members(const struct mor_avro_op *op, struct mor_avro_input *in,
                                  struct mor_vector *vector, struct state *state)
{
    int64_t branch = 0;
    const char *wrong = mor_avro_get_long(in, &branch);
    if (wrong)
        return wrong;
    if ((uint64_t)branch >= op->count)
        return "a union branch does not exist";
    const struct mor_avro_op *member = &op->branches[branch];
    if (member->code == MOR_AVRO_OP_ABSENT) {
        if (!vector->field->nullable)
            return null_in_required;
        mor_vector_append_null(vector);
        return NULL;
    }
    wrong = decode_value(member, &vector->children[member->column], in, state);
    if (wrong)
        return wrong;
    for (size_t i = 0; i < vector->child_count; i++) {
        if (i != member->column)
            mor_vector_append_null(&vector->children[i]);
    }
    mor_avro_append_valid(vector, vector->field->nullable);
    return NULL;
}

static const char *decode_default(const struct mor_avro_op *op, struct mor_vector *vector,
                                  struct state *state)
{
    const struct mor_buffer *datum = op->preset.datum;
    struct mor_avro_input in = {.at = datum->data, .end = datum->data + datum->size_bytes};
    return decode_value(op->preset.value, vector, &in, state);
}

// ---- notes and flattened records ----------------------------------------------------------------

// Text or a whole number; other types are not noted.
static const char *take_note(const struct mor_avro_node *node, struct mor_avro_input in,
                             struct mor_note *note)
{
    const char *wrong = NULL;
    if (node->kind == MOR_AVRO_UNION) {
        int64_t branch = 0;
        wrong = mor_avro_get_long(&in, &branch);
        if (!wrong && (uint64_t)branch >= node->member_count)
            wrong = "a union branch does not exist";
        if (wrong)
            return wrong;
        node = node->members[branch].node;
    }
    struct mor_note found = {.present = true};
    if (node->kind == MOR_AVRO_INT || node->kind == MOR_AVRO_LONG) {
        wrong = mor_avro_get_long(&in, &found.number);
    } else if (node->kind == MOR_AVRO_STRING) {
        wrong = mor_avro_get_bytes(&in, &found.text, &found.size_bytes);
    } else if (node->kind == MOR_AVRO_ENUM) {
        int64_t index = 0;
        wrong = mor_avro_get_long(&in, &index);
        if (!wrong && (uint64_t)index >= node->member_count)
            wrong = "an enum symbol does not exist";
        if (!wrong) {
            found.text = (const uint8_t *)node->members[index].name;
            found.size_bytes = strlen(node->members[index].name);
        }
    } else {
        return NULL;
    }
    if (!wrong)
        *note = found;
    return wrong;
}

static const char *decode_note(const struct mor_avro_op *op, struct mor_avro_input *in,
                               struct mor_vector *vector, struct state *state)
{
    if (state->notes) {
        const char *wrong =
            take_note(op->noted->node, *in, &state->notes->values[op->noted->index]);
        if (wrong)
            return wrong;
    }
    return decode_value(op->noted->inner, vector, in, state);
}

// Enters a record that may be null. *ret_null: it is.
static const char *enter_record(uint8_t null_branch, struct mor_avro_input *in, bool *ret_null)
{
    int64_t branch = 0;
    *ret_null = false;
    if (null_branch == MOR_AVRO_NO_BRANCH)
        return NULL;
    const char *wrong = mor_avro_get_long(in, &branch);
    if (!wrong && (uint64_t)branch > 1)
        wrong = "a union branch does not exist";
    *ret_null = branch == null_branch;
    return wrong;
}

// `vectors` are all columns.
static const char *decode_flatten(const struct mor_avro_op *op, struct mor_avro_input *in,
                                  struct mor_vector *vectors, struct state *state)
{
    const struct mor_avro_flatten *flatten = op->flatten;
    bool null;
    const char *wrong = enter_record(op->flatten_null_branch, in, &null);
    if (wrong)
        return wrong;
    if (null)
        return flatten->has_otherwise ? NULL : run(flatten->absent, vectors, in, state);
    state->flattened = state->flattened || flatten->has_otherwise;
    return run(flatten->program, vectors, in, state);
}

static const char *decode_settle(const struct mor_avro_op *op, struct mor_avro_input *in,
                                 struct mor_vector *vectors, struct state *state)
{
    const struct mor_avro_flatten *flatten = op->flatten;
    bool null = true;
    if (state->flattened)
        return NULL;
    struct mor_avro_input kept = {.at = state->kept, .end = in->end};
    if (flatten->kept && state->kept) {
        const char *wrong = enter_record(flatten->kept_null_branch, &kept, &null);
        if (wrong)
            return wrong;
    }
    if (state->notes) {
        state->notes->otherwise = !null;
        state->notes->absent = null;
    }
    return null ? run(flatten->absent, vectors, in, state)
                : run(flatten->kept, vectors, &kept, state);
}

// ---- the loop -----------------------------------------------------------------------------------

// The union around a value of one type: true when the value follows, false when null was appended
// (*ret_wrong NULL) or something is wrong.
static HOT bool enter_union(const struct mor_avro_op *op, struct mor_avro_input *in,
                            struct mor_vector *vector, const char **ret_wrong)
{
    int64_t branch = 0;
    *ret_wrong = get_long(in, &branch);
    if (*ret_wrong)
        return false;
    if ((uint64_t)branch > 1) {
        *ret_wrong = "a union branch does not exist";
        return false;
    }
    if (branch != op->null_branch)
        return true;
    if (op->code <= MOR_AVRO_OP_SKIP_LAST)
        return false;
    if (op->nullable)
        mor_vector_append_null(vector);
    else
        *ret_wrong = null_in_required;
    return false;
}

// Everything that is not in the record loop itself.
static const char *decode_rare(const struct mor_avro_op *op, struct mor_vector *vector,
                               struct mor_avro_input *in, struct state *state)
{
    switch (op->code) {
    case MOR_AVRO_OP_SKIP:
        return mor_avro_skip(op->skip, in, 0);
    case MOR_AVRO_OP_ABSENT:
        if (!op->nullable)
            return null_in_required;
        mor_vector_append_null(vector);
        return NULL;
    case MOR_AVRO_OP_FLOAT_DOUBLE:
        return decode_float_double(op, in, vector);
    case MOR_AVRO_OP_BYTES:
        return decode_bytes(in, vector, op->nullable);
    case MOR_AVRO_OP_FIXED_BYTES:
    case MOR_AVRO_OP_FIXED:
    case MOR_AVRO_OP_BYTES_FIXED:
        return decode_fixed(op, in, vector);
    case MOR_AVRO_OP_UUID_TEXT:
    case MOR_AVRO_OP_UUID_STRING:
    case MOR_AVRO_OP_UUID_FORMAT:
        return decode_uuid(op, in, vector);
    case MOR_AVRO_OP_ENUM:
        return decode_enum(op, in, vector);
    case MOR_AVRO_OP_DECIMAL_BYTES:
    case MOR_AVRO_OP_DECIMAL_FIXED:
        return decode_decimal(op, in, vector);
    case MOR_AVRO_OP_RECORD:
        return decode_struct(op, in, vector, state);
    case MOR_AVRO_OP_ARRAY:
    case MOR_AVRO_OP_MAP:
        return decode_items(op, in, vector, state);
    case MOR_AVRO_OP_UNION:
        return decode_union(op, in, vector, state);
    case MOR_AVRO_OP_MEMBERS:
        return decode_members(op, in, vector, state);
    case MOR_AVRO_OP_DEFAULT:
        return decode_default(op, vector, state);
    case MOR_AVRO_OP_NOTE:
        return decode_note(op, in, vector, state);
    case MOR_AVRO_OP_FLATTEN:
        return decode_flatten(op, in, vector, state);
    case MOR_AVRO_OP_KEEP:
        state->kept = in->at;
        return mor_avro_skip(op->skip, in, 0);
    case MOR_AVRO_OP_SETTLE:
        return decode_settle(op, in, vector, state);
    case MOR_AVRO_OP_REFUSE:
        return "the branch of the union does not fit the column";
    default:
        return decode_converted(op, in, vector);
    }
}

// One value behind its union. `in` belongs to the caller's registers.
static inline __attribute__((always_inline)) const char *decode_one(const struct mor_avro_op *op,
                                                                    struct mor_vector *vector,
                                                                    struct mor_avro_input *in,
                                                                    struct state *state)
{
    const char *wrong = NULL;
    int64_t number = 0;
    int32_t small = 0;
    const uint8_t *bytes;
    size_t size_bytes;
    switch (op->code) {
    case MOR_AVRO_OP_SKIP_BYTES:
        return get_bytes(in, &bytes, &size_bytes);
    case MOR_AVRO_OP_SKIP_LONG:
        return get_long(in, &number);
    case MOR_AVRO_OP_SKIP_FIXED:
        if (mor_avro_left(in) < op->fixed_size_bytes)
            return "the data end inside a value";
        in->at += op->fixed_size_bytes;
        return NULL;
    case MOR_AVRO_OP_LONG_I64:
        wrong = get_long(in, &number);
        if (!wrong)
            mor_avro_append_8(vector, op->nullable, &number);
        return wrong;
    case MOR_AVRO_OP_INT_I32:
        wrong = get_int(in, &small);
        if (!wrong)
            mor_avro_append_4(vector, op->nullable, &small);
        return wrong;
    case MOR_AVRO_OP_STRING:
        return decode_string(in, vector, op->nullable);
    case MOR_AVRO_OP_DOUBLE:
        if (mor_avro_left(in) < 8)
            return "the data end inside a value";
        mor_avro_append_8(vector, op->nullable, in->at);
        in->at += 8;
        return NULL;
    case MOR_AVRO_OP_FLOAT:
        if (mor_avro_left(in) < 4)
            return "the data end inside a value";
        mor_avro_append_4(vector, op->nullable, in->at);
        in->at += 4;
        return NULL;
    case MOR_AVRO_OP_BOOL:
        if (mor_avro_left(in) < 1)
            return "the data end inside a value";
        if (*in->at > 1)
            return "a boolean is neither 0 nor 1";
        mor_avro_append_bool(vector, op->nullable, *in->at++);
        return NULL;
    case MOR_AVRO_OP_LONG_MULTIPLY:
        wrong = get_long(in, &number);
        if (wrong)
            return wrong;
        if (__builtin_mul_overflow(number, op->factor, &number))
            return "a time is out of the range of its column";
        mor_avro_append_8(vector, op->nullable, &number);
        return NULL;
    default: {
        struct mor_avro_input copy = *in;
        wrong = decode_rare(op, vector, &copy, state);
        *in = copy;
        return wrong;
    }
    }
}

static const char *decode_value(const struct mor_avro_op *op, struct mor_vector *vector,
                                struct mor_avro_input *in, struct state *state)
{
    const char *wrong = NULL;
    if (op->null_branch != MOR_AVRO_NO_BRANCH && !enter_union(op, in, vector, &wrong))
        return wrong;
    return decode_one(op, vector, in, state);
}

static const char *run(const struct mor_avro_program *program, struct mor_vector *vectors,
                       struct mor_avro_input *in, struct state *state)
{
    struct mor_avro_input at = *in;
    const struct mor_avro_op *end = program->ops + program->op_count;
    for (const struct mor_avro_op *op = program->ops; op < end; op++) {
        struct mor_vector *vector = &vectors[op->column];
        const char *wrong = NULL;
        const uint8_t *start = at.at;
        if (op->null_branch != MOR_AVRO_NO_BRANCH && !enter_union(op, &at, vector, &wrong)) {
            if (wrong)
                return fault(state, op, start, wrong);
            continue;
        }
        wrong = decode_one(op, vector, &at, state);
        if (wrong)
            return fault(state, op, start, wrong);
    }
    *in = at;
    return NULL;
}

// ---- front door ---------------------------------------------------------------------------------

void mor_avro_append_undo(struct mor_vector *vector, size_t length)
{
    enum mor_type type = vector->field->type;
    size_t below = length;
    if (type == MOR_TYPE_LIST || type == MOR_TYPE_MAP)
        below = (size_t)mor_vector_offsets(vector)[length];
    for (size_t i = 0; i < vector->child_count; i++)
        mor_avro_append_undo(&vector->children[i], below);
    mor_vector_truncate(vector, length);
}

static enum mor_status fail(const struct mor_avro_plan *plan, const struct state *state,
                            const uint8_t *bytes, const char *wrong, struct mor_vector *columns,
                            size_t length, struct mor_error *err)
{
    char path[512] = "";
    size_t used = 0;
    for (size_t i = state->path_count; i-- > 0 && used < sizeof path - 1;) {
        int wrote =
            snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", state->path[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    for (size_t i = 0; i < plan->column_count; i++)
        mor_avro_append_undo(&columns[i], length);
    return mor_error_set(err, wrong == column_full ? MOR_RETRY : MOR_DATA, "%s%s%sbyte %zu: %s",
                         used ? "field '" : "", path, used ? "', " : "",
                         (size_t)(state->fault_at - bytes), wrong);
}

static HOT enum mor_status decode(const struct mor_avro_plan *plan, const uint8_t *bytes,
                                  size_t size_bytes, size_t items_max, struct mor_vector *columns,
                                  struct mor_notes *notes, size_t *ret_used, struct mor_error *err)
{
    struct mor_avro_input in = {.at = bytes, .end = bytes + size_bytes};
    struct state state;
    state.empty_left = MOR_AVRO_EMPTY_ELEMENTS_MAX;
    state.items_max = items_max;
    state.notes = notes;
    state.kept = NULL;
    state.flattened = false;
    state.path_count = 0;
    state.fault_at = NULL;
    size_t length = plan->column_count > 0 ? columns[0].length : 0;
    const char *wrong = run(&plan->program, columns, &in, &state);
    if (!wrong && !ret_used && in.at != in.end) {
        state.fault_at = in.at;
        wrong = "bytes are left after the datum";
    }
    if (wrong)
        return fail(plan, &state, bytes, wrong, columns, length, err);
    if (ret_used)
        *ret_used = (size_t)(in.at - bytes);
    return MOR_OK;
}

enum mor_status mor_avro_plan_decode(const struct mor_avro_plan *plan, const uint8_t *bytes,
                                     size_t size_bytes, struct mor_vector *columns,
                                     size_t *ret_used, struct mor_error *err)
{
    return decode(plan, bytes, size_bytes, INT32_MAX, columns, NULL, ret_used, err);
}

enum mor_status mor_avro_plan_decode_noting(const struct mor_avro_plan *plan, const uint8_t *bytes,
                                            size_t size_bytes, size_t items_max,
                                            struct mor_vector *columns, struct mor_notes *ret_notes,
                                            struct mor_error *err)
{
    if (plan->has_notes)
        *ret_notes = (struct mor_notes){0};
    return decode(plan, bytes, size_bytes, items_max, columns, ret_notes, NULL, err);
}
