// Running a plan: the hot path of Protobuf ingestion.
//
// Encoders write fields by ascending number, so the field behind the last one is expected first and
// looked up only when another comes.
#include <stdio.h>

#include "map_keys.h"
#include "moraine/avro.h"
#include "moraine/avro/append.h"
#include "proto_plan.h"
#include "proto_wire.h"

#define PATH_MAX_DEPTH (MOR_SCHEMA_DEPTH_MAX + 2)

struct state {
    struct mor_proto_plan *plan;
    size_t path_count;
    const char *path[PATH_MAX_DEPTH]; // innermost first
    const uint8_t *fault_at;
};

static const char column_full[] = "the column is full (2 GiB)";
static const char out_of_range[] = "the number does not fit the column";

static const char *run(struct mor_proto_program *program, struct mor_proto_input in,
                       struct mor_vector *vectors, struct state *state);

static const char *fault(struct state *state, const struct mor_proto_op *op, const uint8_t *at,
                         const char *wrong)
{
    if (!state->fault_at)
        state->fault_at = at;
    if (state->path_count < PATH_MAX_DEPTH)
        state->path[state->path_count++] = op->name;
    return wrong;
}

// ---- storing ------------------------------------------------------------------------------------

// `value` as an unsigned number when `is_unsigned`.
static const char *store_integer(const struct mor_proto_op *op, struct mor_vector *vector,
                                 int64_t value, bool is_unsigned)
{
    int32_t narrow = (int32_t)value;
    double wide = is_unsigned ? (double)(uint64_t)value : (double)value;
    mor_int128 number = is_unsigned ? (mor_int128)(uint64_t)value : (mor_int128)value;
    char text[24];
    switch (op->store) {
    case MOR_TYPE_INT32:
        mor_avro_append_4(vector, op->nullable, &narrow);
        return NULL;
    case MOR_TYPE_INT64:
        if (is_unsigned && value < 0)
            return out_of_range;
        mor_avro_append_8(vector, op->nullable, &value);
        return NULL;
    case MOR_TYPE_DOUBLE:
        mor_avro_append_8(vector, op->nullable, &wide);
        return NULL;
    case MOR_TYPE_DECIMAL:
        for (int32_t i = 0; i < op->scale; i++) {
            if (__builtin_mul_overflow(number, 10, &number))
                return out_of_range;
        }
        if (!mor_decimal_fits(number, op->precision))
            return out_of_range;
        mor_avro_append_16(vector, op->nullable, &number);
        return NULL;
    default: // text
        (void)snprintf(text, sizeof text, is_unsigned ? "%llu" : "%lld", (long long)value);
        if (!mor_avro_append_has_room(vector, sizeof text))
            return column_full;
        mor_avro_append_bytes(vector, op->nullable, text, strlen(text));
        return NULL;
    }
}

static const char *store_bool(const struct mor_proto_op *op, struct mor_vector *vector, bool value)
{
    if (op->store == MOR_TYPE_BOOL) {
        mor_avro_append_bool(vector, op->nullable, value);
        return NULL;
    }
    const char *text = value ? "true" : "false";
    if (!mor_avro_append_has_room(vector, strlen(text)))
        return column_full;
    mor_avro_append_bytes(vector, op->nullable, text, strlen(text));
    return NULL;
}

// A number that the enum does not name stays a number, as text.
static const char *store_enum(const struct mor_proto_op *op, struct mor_vector *vector,
                              int32_t number)
{
    const struct mor_proto_enum *names = op->enumeration;
    if (op->store == MOR_TYPE_INT32 || op->store == MOR_TYPE_INT64)
        return store_integer(op, vector, number, false);
    for (size_t i = 0; i < names->value_count; i++) {
        if (names->values[i].number != number)
            continue;
        size_t size = strlen(names->values[i].name);
        if (!mor_avro_append_has_room(vector, size))
            return column_full;
        mor_avro_append_bytes(vector, op->nullable, names->values[i].name, size);
        return NULL;
    }
    return store_integer(op, vector, number, false);
}

static const char *store_bytes(const struct mor_proto_op *op, struct mor_vector *vector,
                               const uint8_t *bytes, size_t size, const uint8_t *end)
{
    if (!mor_avro_append_has_room(vector, size))
        return column_full;
    if (op->store == MOR_TYPE_BYTES)
        mor_avro_append_bytes(vector, op->nullable, bytes, size);
    else if (!mor_avro_append_text(vector, op->nullable, bytes, size, end))
        return "a string is not valid UTF-8";
    return NULL;
}

static const char *store_float(const struct mor_proto_op *op, struct mor_vector *vector,
                               float value)
{
    double wide = (double)value;
    if (op->store == MOR_TYPE_DOUBLE)
        mor_avro_append_8(vector, op->nullable, &wide);
    else
        mor_avro_append_4(vector, op->nullable, &value);
    return NULL;
}

// ---- messages with a meaning --------------------------------------------------------------------

static const char *read_seconds(struct mor_proto_input in, int64_t *ret_seconds, int64_t *ret_nanos)
{
    struct mor_proto_token token;
    *ret_seconds = *ret_nanos = 0;
    while (in.at < in.end) {
        const char *wrong = mor_proto_next(&in, &token);
        if (wrong)
            return wrong;
        if (token.number == 1 && token.wire == MOR_PROTO_WIRE_VARINT)
            *ret_seconds = (int64_t)token.value;
        if (token.number == 2 && token.wire == MOR_PROTO_WIRE_VARINT)
            *ret_nanos = (int32_t)token.value;
    }
    return NULL;
}

// Years 1 to 9999, as the type is defined.
static const char *store_timestamp(const struct mor_proto_op *op, struct mor_vector *vector,
                                   struct mor_proto_input in)
{
    int64_t seconds, nanos;
    const char *wrong = read_seconds(in, &seconds, &nanos);
    if (wrong)
        return wrong;
    if (seconds < -62135596800 || seconds > 253402300799 || nanos < 0 || nanos > 999999999)
        return "the timestamp is out of range";
    int64_t time = op->store == MOR_TYPE_TIMESTAMP_MICROS ? seconds * 1000000 + nanos / 1000
                                                          : seconds * 1000 + nanos / 1000000;
    mor_avro_append_8(vector, op->nullable, &time);
    return NULL;
}

// Microseconds, cut towards zero; about 10,000 years, as the type is defined.
static const char *store_duration(const struct mor_proto_op *op, struct mor_vector *vector,
                                  struct mor_proto_input in)
{
    int64_t seconds, nanos;
    const char *wrong = read_seconds(in, &seconds, &nanos);
    if (wrong)
        return wrong;
    if (seconds < -315576000000 || seconds > 315576000000 || nanos < -999999999 ||
        nanos > 999999999)
        return "the duration is out of range";
    int64_t time = seconds * 1000000 + nanos / 1000;
    mor_avro_append_8(vector, op->nullable, &time);
    return NULL;
}

static const char *store_json(const struct mor_proto_op *op, struct mor_vector *vector,
                              struct mor_proto_input in)
{
    size_t before = vector->data.size_bytes, size = (size_t)(in.end - in.at);
    // quotes, commas, and six characters for one that must be escaped
    if (!mor_avro_append_has_room(vector, size * 6 + 64))
        return column_full;
    mor_buffer_reserve(&vector->data, 1);
    const char *wrong = mor_proto_put_json(op->message->known, in.at, size, &vector->data);
    if (!wrong && vector->data.size_bytes > INT32_MAX)
        wrong = column_full;
    if (wrong)
        vector->data.size_bytes = before;
    else
        mor_avro_append_offset(vector, op->nullable);
    return wrong;
}

// ---- one value ----------------------------------------------------------------------------------

static const char *read_message(struct mor_proto_op *op, struct mor_vector *vector,
                                struct mor_proto_input in, struct state *state)
{
    const char *wrong;
    switch (op->read) {
    case MOR_PROTO_READ_TIMESTAMP:
        return store_timestamp(op, vector, in);
    case MOR_PROTO_READ_DURATION:
        return store_duration(op, vector, in);
    case MOR_PROTO_READ_JSON:
        return store_json(op, vector, in);
    case MOR_PROTO_READ_PRESENT:
        mor_avro_append_bool(vector, op->nullable, true);
        return NULL;
    case MOR_PROTO_READ_WRAPPER: // its one field fills this column
    case MOR_PROTO_READ_FLATTEN: // all columns
        return run(op->program, in, vector, state);
    default:
        break;
    }
    wrong = run(op->program, in, vector->children, state);
    if (!wrong && !op->is_map)
        mor_avro_append_valid(vector, op->nullable);
    return wrong;
}

static int64_t zigzag(uint64_t bits)
{
    return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
}

static const char *read_varint(const struct mor_proto_op *op, struct mor_vector *vector,
                               struct mor_proto_input *in)
{
    uint64_t bits = 0;
    const char *wrong = mor_proto_varint(in, &bits);
    if (wrong)
        return wrong;
    switch (op->read) {
    case MOR_PROTO_INT32:
        return store_integer(op, vector, (int32_t)bits, false);
    case MOR_PROTO_INT64:
        return store_integer(op, vector, (int64_t)bits, false);
    case MOR_PROTO_UINT32:
        return store_integer(op, vector, (uint32_t)bits, true);
    case MOR_PROTO_UINT64:
        return store_integer(op, vector, (int64_t)bits, true);
    case MOR_PROTO_SINT32:
        return store_integer(op, vector, (int32_t)zigzag((uint32_t)bits), false);
    case MOR_PROTO_SINT64:
        return store_integer(op, vector, zigzag(bits), false);
    case MOR_PROTO_BOOL:
        return store_bool(op, vector, bits != 0);
    default:
        return store_enum(op, vector, (int32_t)bits);
    }
}

static const char *read_fixed(const struct mor_proto_op *op, struct mor_vector *vector,
                              struct mor_proto_input *in)
{
    const char *wrong;
    if (op->wire == MOR_PROTO_WIRE_64) {
        int64_t bits = 0;
        if ((wrong = mor_proto_fixed(in, 8, &bits)))
            return wrong;
        if (op->read != MOR_PROTO_DOUBLE)
            return store_integer(op, vector, bits, op->read == MOR_PROTO_FIXED64);
        mor_avro_append_8(vector, op->nullable, &bits);
        return NULL;
    }
    uint32_t bits = 0;
    float value;
    if ((wrong = mor_proto_fixed(in, 4, &bits)))
        return wrong;
    if (op->read == MOR_PROTO_FIXED32)
        return store_integer(op, vector, bits, true);
    if (op->read == MOR_PROTO_SFIXED32)
        return store_integer(op, vector, (int32_t)bits, false);
    memcpy(&value, &bits, sizeof value);
    return store_float(op, vector, value);
}

// The value behind a tag of the expected wire type.
static const char *read_value(struct mor_proto_op *op, struct mor_vector *vector,
                              struct mor_proto_input *in, struct state *state)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    if (op->wire == MOR_PROTO_WIRE_VARINT)
        return read_varint(op, vector, in);
    if (op->wire != MOR_PROTO_WIRE_LENGTH)
        return read_fixed(op, vector, in);
    const char *wrong = mor_proto_bytes(in, &bytes, &size);
    if (wrong)
        return wrong;
    if (op->read == MOR_PROTO_STRING || op->read == MOR_PROTO_BYTES)
        return store_bytes(op, vector, bytes, size, in->end);
    return read_message(op, vector, (struct mor_proto_input){bytes, bytes + size}, state);
}

// ---- fields of a message ------------------------------------------------------------------------

static struct mor_proto_op *find_op(const struct mor_proto_program *program, int32_t number)
{
    size_t low = 0, high = program->op_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (program->ops[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < program->op_count && program->ops[low].number == number ? &program->ops[low]
                                                                         : NULL;
}

// Takes back what a field appended to this slot.
static void undo(const struct mor_proto_op *op, struct mor_vector *vectors, size_t length)
{
    if (op->read != MOR_PROTO_READ_FLATTEN) {
        mor_avro_append_undo(&vectors[op->column], length);
        return;
    }
    for (size_t i = 0; i < op->program->op_count; i++)
        undo(&op->program->ops[i], vectors, length);
    for (size_t i = 0; i < op->program->absent_count; i++)
        mor_avro_append_undo(&vectors[op->program->absent[i]], length);
}

// A message that occurs again is merged with what came before: as if their bytes stood in one.
static const char *read_again(struct mor_proto_program *program, struct mor_proto_op *op,
                              struct mor_proto_input whole, const uint8_t *end,
                              struct mor_vector *vectors, struct state *state)
{
    MOR_AUTO_BUFFER merged = {0};
    struct mor_proto_token token;
    (void)program;
    whole.end = end; // what follows comes later
    while (whole.at < whole.end && !mor_proto_next(&whole, &token)) {
        if (token.number == op->number && token.wire == MOR_PROTO_WIRE_LENGTH)
            mor_buffer_append(&merged, token.bytes, token.size_bytes);
    }
    mor_buffer_reserve(&merged, 1);
    return read_message(op, &vectors[op->column],
                        (struct mor_proto_input){merged.data, merged.data + merged.size_bytes},
                        state);
}

static const char *add_element(struct mor_proto_op *op, struct mor_vector *vector,
                               struct mor_proto_input *in, struct state *state)
{
    struct mor_vector *items = &vector->children[op->is_map ? 1 : 0];
    if (items->length - op->first >= state->plan->items_max)
        return "too many elements";
    if (items->length >= INT32_MAX)
        return column_full;
    return read_value(op, op->is_map ? vector : items, in, state);
}

static const char *add_packed(struct mor_proto_op *op, struct mor_vector *vector,
                              struct mor_proto_input *in, struct state *state)
{
    struct mor_proto_input packed = {0};
    size_t size = 0;
    const char *wrong = mor_proto_bytes(in, &packed.at, &size);
    if (wrong)
        return wrong;
    packed.end = packed.at + size;
    while (!wrong && packed.at < packed.end)
        wrong = add_element(op, vector, &packed, state);
    return wrong;
}

// One occurrence of a field. `whole` is the message, `length` the slots before it.
static const char *take_field(struct mor_proto_program *program, struct mor_proto_op *op,
                              bool packed, struct mor_proto_input whole, struct mor_proto_input *in,
                              struct mor_vector *vectors, size_t length, struct state *state)
{
    struct mor_vector *vector = &vectors[op->column];
    bool again = op->seen == program->generation;
    op->seen = program->generation;
    if (op->is_list || op->is_map) {
        if (!again)
            op->first = vector->children[op->is_map ? 1 : 0].length;
        return packed ? add_packed(op, vector, in, state) : add_element(op, vector, in, state);
    }
    if (op->oneof >= 0) {
        uint32_t *set = &program->oneof_ops[op->oneof];
        uint32_t index = (uint32_t)(op - program->ops) + 1;
        if (*set != 0 && *set != index) {
            struct mor_proto_op *other = &program->ops[*set - 1];
            undo(other, vectors, length);
            other->seen = 0;
        }
        *set = index;
    }
    if (__builtin_expect(again, 0)) {
        undo(op, vectors, length);
        if (op->program || op->read >= MOR_PROTO_READ_TIMESTAMP) {
            const uint8_t *bytes;
            size_t size;
            const char *wrong = mor_proto_bytes(in, &bytes, &size);
            return wrong ? wrong : read_again(program, op, whole, in->at, vectors, state);
        }
    }
    return read_value(op, vector, in, state);
}

// ---- what did not come --------------------------------------------------------------------------

static void append_zero(const struct mor_proto_op *op, struct mor_vector *vector)
{
    static const uint8_t zero[16];
    switch (op->read) {
    case MOR_PROTO_BOOL:
        (void)store_bool(op, vector, false);
        return;
    case MOR_PROTO_STRING:
    case MOR_PROTO_BYTES:
        mor_avro_append_bytes(vector, op->nullable, zero, 0);
        return;
    case MOR_PROTO_DOUBLE:
        mor_avro_append_8(vector, op->nullable, zero);
        return;
    case MOR_PROTO_FLOAT:
        (void)store_float(op, vector, 0);
        return;
    case MOR_PROTO_ENUM:
        (void)store_enum(op, vector, 0);
        return;
    default:
        (void)store_integer(op, vector, 0, false);
    }
}

static void append_absent(const struct mor_proto_program *program, struct mor_vector *vectors)
{
    for (size_t i = 0; i < program->absent_count; i++)
        mor_vector_append_null(&vectors[program->absent[i]]);
}

// The columns of a flattened message that is not there.
static const char *append_nothing(const struct mor_proto_program *program,
                                  struct mor_vector *vectors)
{
    for (size_t i = 0; i < program->op_count; i++) {
        const struct mor_proto_op *op = &program->ops[i];
        if (op->read == MOR_PROTO_READ_FLATTEN)
            (void)append_nothing(op->program, vectors);
        else
            mor_vector_append_null(&vectors[op->column]);
    }
    append_absent(program, vectors);
    return NULL;
}

static const char *fill_missing(const struct mor_proto_op *op, struct mor_vector *vectors)
{
    struct mor_vector *vector = &vectors[op->column];
    if (op->required)
        return "a required field is missing";
    if (op->read == MOR_PROTO_READ_FLATTEN)
        return append_nothing(op->program, vectors);
    if (op->implicit)
        append_zero(op, vector);
    else if (op->nullable)
        mor_vector_append_null(vector);
    else
        return "the column must not be null";
    return NULL;
}

static const char *finish_list(const struct mor_proto_program *program,
                               const struct mor_proto_op *op, struct mor_vector *vector,
                               struct state *state)
{
    struct mor_vector *keys = &vector->children[0];
    if (op->is_map && op->seen == program->generation && keys->length - op->first > 1 &&
        !mor_map_keys_differ(&state->plan->slots, keys, op->first))
        return "a map has a key twice";
    mor_vector_append_end(vector);
    return NULL;
}

static const char *finish(struct mor_proto_program *program, struct mor_proto_input in,
                          struct mor_vector *vectors, struct state *state)
{
    for (size_t i = 0; i < program->op_count; i++) {
        struct mor_proto_op *op = &program->ops[i];
        const char *wrong = NULL;
        if (op->is_list || op->is_map)
            wrong = finish_list(program, op, &vectors[op->column], state);
        else if (op->seen != program->generation)
            wrong = fill_missing(op, vectors);
        if (wrong)
            return fault(state, op, in.end, wrong);
    }
    append_absent(program, vectors);
    return NULL;
}

// ---- the loop -----------------------------------------------------------------------------------

static size_t base_length(const struct mor_proto_program *program, const struct mor_vector *vectors)
{
    for (size_t i = 0; i < program->op_count; i++) {
        if (program->ops[i].read == MOR_PROTO_READ_FLATTEN)
            return base_length(program->ops[i].program, vectors);
        return vectors[program->ops[i].column].length;
    }
    return program->absent_count > 0 ? vectors[program->absent[0]].length : 0;
}

static const char *run(struct mor_proto_program *program, struct mor_proto_input in,
                       struct mor_vector *vectors, struct state *state)
{
    struct mor_proto_input whole = in;
    size_t length = base_length(program, vectors), next = 0;
    program->generation++;
    memset(program->oneof_ops, 0, (size_t)program->oneof_count * sizeof *program->oneof_ops);
    while (in.at < in.end) {
        const uint8_t *start = in.at;
        uint64_t tag = 0;
        const char *wrong = mor_proto_varint(&in, &tag);
        if (!wrong && (tag >> 3 == 0 || tag > UINT32_MAX || (tag & 7) > MOR_PROTO_WIRE_32))
            wrong = "a field has an impossible tag";
        if (wrong) {
            state->fault_at = state->fault_at ? state->fault_at : start;
            return wrong;
        }
        struct mor_proto_op *op = NULL;
        enum mor_proto_wire wire = (enum mor_proto_wire)(tag & 7);
        if (next < program->op_count && program->ops[next].tag == tag)
            op = &program->ops[next];
        else
            op = find_op(program, (int32_t)(tag >> 3));
        bool packed =
            op && op->is_list && wire == MOR_PROTO_WIRE_LENGTH && op->wire != MOR_PROTO_WIRE_LENGTH;
        if (!op || (op->wire != wire && !packed)) { // also a known number of another type
            struct mor_proto_token token;
            if ((wrong = mor_proto_content(&in, (int32_t)(tag >> 3), wire, &token))) {
                state->fault_at = state->fault_at ? state->fault_at : start;
                return wrong;
            }
            continue;
        }
        next = (size_t)(op - program->ops) + (op->is_list || op->is_map ? 0 : 1);
        wrong = take_field(program, op, packed, whole, &in, vectors, length, state);
        if (wrong)
            return fault(state, op, start, wrong);
    }
    return finish(program, in, vectors, state);
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_proto_plan_decode(struct mor_proto_plan *plan, const uint8_t *bytes,
                                      size_t size_bytes, struct mor_vector *columns,
                                      struct mor_error *err)
{
    struct state state;
    state.plan = plan;
    state.path_count = 0;
    state.fault_at = NULL;
    size_t length = columns[0].length;
    const char *wrong =
        run(plan->program, (struct mor_proto_input){bytes, bytes + size_bytes}, columns, &state);
    if (__builtin_expect(!wrong, 1))
        return MOR_OK;
    char path[512] = "";
    size_t used = 0;
    for (size_t i = state.path_count; i-- > 0 && used < sizeof path - 1;) {
        int wrote =
            snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", state.path[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    for (size_t i = 0; i < plan->column_count; i++)
        mor_avro_append_undo(&columns[i], length);
    // a message that was merged lies elsewhere
    bool inside = state.fault_at >= bytes && state.fault_at <= bytes + size_bytes;
    return mor_error_set(err, wrong == column_full ? MOR_RETRY : MOR_DATA, "%s%s%sbyte %zu: %s",
                         used ? "field '" : "", path, used ? "', " : "",
                         inside ? (size_t)(state.fault_at - bytes) : 0, wrong);
}
