// What a Debezium change event is: its operation, its position, values that were not read.
#include "decoder.h"
#include "moraine/avro/append.h"

static const char unavailable[] = "__debezium_unavailable_value";

#define FILE_NUMBER_MAX ((1 << 23) - 1)
#define POSITION_BITS   40

// "mysql-bin.000123": the digits behind the last dot.
static bool file_number(const struct mor_note *file, int64_t *ret_number)
{
    size_t first = file->size_bytes;
    int64_t number = 0;
    while (first > 0 && file->text[first - 1] >= '0' && file->text[first - 1] <= '9')
        first--;
    if (first == file->size_bytes || first == 0 || file->text[first - 1] != '.')
        return false;
    for (size_t i = first; i < file->size_bytes && number <= FILE_NUMBER_MAX; i++)
        number = number * 10 + (file->text[i] - '0');
    *ret_number = number;
    return number <= FILE_NUMBER_MAX;
}

bool mor_position_of(const struct mor_notes *notes, int64_t *ret_position)
{
    const struct mor_note *lsn = &notes->values[MOR_NOTE_LSN];
    const struct mor_note *file = &notes->values[MOR_NOTE_FILE];
    const struct mor_note *pos = &notes->values[MOR_NOTE_POS];
    if (lsn->present && !lsn->text) {
        *ret_position = lsn->number;
        return true;
    }
    int64_t number;
    if (!file->present || !file->text || !pos->present || pos->text || pos->number < 0 ||
        pos->number >> POSITION_BITS != 0 || !file_number(file, &number))
        return false;
    *ret_position = number << POSITION_BITS | pos->number;
    return true;
}

#define UNAVAILABLE_SIZE (sizeof unavailable - 1)

static bool is_marker(const struct mor_vector *vector, size_t row)
{
    size_t size;
    enum mor_type type = vector->field->type;
    if ((type != MOR_TYPE_STRING && type != MOR_TYPE_BYTES && type != MOR_TYPE_JSON) ||
        mor_vector_is_null(vector, row))
        return false;
    const uint8_t *bytes = mor_vector_bytes_at(vector, row, &size);
    return size == UNAVAILABLE_SIZE && memcmp(bytes, unavailable, size) == 0;
}

// Arrays of numbers have the marker's characters as their elements.
static bool spells_marker(const struct mor_vector *numbers, size_t first, size_t count)
{
    bool narrow = numbers->field->type == MOR_TYPE_INT32;
    if (count != UNAVAILABLE_SIZE || (!narrow && numbers->field->type != MOR_TYPE_INT64))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (mor_vector_is_null(numbers, first + i) ||
            (narrow ? mor_vector_i32(numbers, first + i) : mor_vector_i64(numbers, first + i)) !=
                unavailable[i])
            return false;
    }
    return true;
}

// The marker in a text or bytes; in the one element of an array; in the one key of a map; as JSON,
// which quotes it.
static bool is_unavailable(const struct mor_vector *vector, size_t row)
{
    enum mor_type type = vector->field->type;
    if (type != MOR_TYPE_LIST && type != MOR_TYPE_MAP)
        return is_marker(vector, row);
    if (mor_vector_is_null(vector, row))
        return false;
    const int32_t *offsets = mor_vector_offsets(vector);
    size_t first = (size_t)offsets[row], count = (size_t)(offsets[row + 1] - offsets[row]);
    const struct mor_vector *items = &vector->children[0]; // of a map its keys
    return (count == 1 && is_marker(items, first)) ||
           (type == MOR_TYPE_LIST && spells_marker(items, first, count));
}

static enum mor_status settle_unavailable(const struct mor_decoder *decoder,
                                          struct mor_vector *columns, size_t row,
                                          struct mor_error *err)
{
    for (size_t i = 0; i < decoder->options.column_count; i++) {
        if (!is_unavailable(&columns[i], row))
            continue;
        if (decoder->options.unavailable == MOR_UNAVAILABLE_DEAD_LETTER) {
            mor_decoder_undo(decoder, columns, row);
            return mor_error_set(err, MOR_DATA,
                                 "field '%s': the source did not send the value (it is unchanged "
                                 "and stored out of line)",
                                 columns[i].field->name);
        }
        mor_avro_append_undo(&columns[i], row);
        mor_vector_append_null(&columns[i]);
    }
    return MOR_OK;
}

static enum mor_status judge_truncate(const struct mor_decoder *decoder, struct mor_error *err)
{
    if (decoder->options.truncate == MOR_TRUNCATE_IGNORE)
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL,
                         "the source table was truncated: the rows of this table cannot all be "
                         "deleted. Start a new table from a snapshot, or set "
                         "'value.debezium.truncate: ignore' and go on");
}

enum mor_status mor_decoder_judge(struct mor_decoder *decoder, struct mor_vector *columns,
                                  size_t length, enum mor_decoded *ret_what, struct mor_error *err)
{
    const struct mor_notes *notes = &decoder->notes;
    const struct mor_note *op = &notes->values[MOR_NOTE_OP];
    char letter = op->present && op->text && op->size_bytes == 1 ? (char)op->text[0] : '\0';
    bool image = letter == 'd' ? notes->otherwise : !notes->otherwise && !notes->absent;
    switch (letter) {
    case 't':
    case 'm': // a message of the application in the source's log
        mor_decoder_undo(decoder, columns, length);
        *ret_what = MOR_DECODED_NOTHING;
        return letter == 't' ? judge_truncate(decoder, err) : MOR_OK;
    case 'c':
    case 'r':
    case 'u':
    case 'd':
        *ret_what = letter == 'd' ? MOR_DECODED_DELETE : MOR_DECODED_ROW;
        break;
    default:
        mor_decoder_undo(decoder, columns, length);
        return op->present
                   ? mor_error_set(err, MOR_DATA, "the change event has an unknown 'op'")
                   : mor_error_set(err, MOR_DATA, "not a change event: it has no field 'op'");
    }
    if (!image) {
        mor_decoder_undo(decoder, columns, length);
        return mor_error_set(err, MOR_DATA, "a change event with op '%c' has no '%s'", letter,
                             letter == 'd' ? "before" : "after");
    }
    return decoder->options.unavailable == MOR_UNAVAILABLE_KEEP
               ? MOR_OK
               : settle_unavailable(decoder, columns, length, err);
}
