// JSON records. What is accepted, jansson accepts too, and the row written as JSON is read as the
// same row; what is refused leaves the columns as they were.
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "decode_corpus.h"
#include "moraine/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mor_schema *schema;
static struct mor_decoder *decoder;

static void put_row(const struct mor_batch *batch, size_t row, struct mor_buffer *text)
{
    for (size_t i = 0; i < batch->column_count; i++) {
        mor_buffer_printf(text, "%s\"%s\":", i ? "," : "{", batch->columns[i].field->name);
        mor_vector_format_json(&batch->columns[i], row, text);
    }
    mor_buffer_append_u8(text, '}');
}

static enum mor_status decode(struct mor_batch *batch, const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_record record = {.value = data, .value_size_bytes = size};
    enum mor_status status = mor_decoder_value(decoder, &record, batch->columns, &err);
    batch->row_count += status == MOR_OK;
    if (mor_batch_validate(batch, &err) != MOR_OK)
        abort();
    return status;
}

// Numbers that jansson cannot hold, in fields that are skipped, and a zero byte in a key, which it
// does not take, are no disagreement.
static void compare_with_jansson(const uint8_t *data, size_t size)
{
    json_error_t error;
    size_t header = size > 5 && data[0] == 0 ? 5 : 0;
    json_t *json = json_loadb((const char *)data + header, size - header, JSON_ALLOW_NUL, &error);
    enum json_error_code code = json ? json_error_unknown : json_error_code(&error);
    if (!json && code != json_error_numeric_overflow && code != json_error_null_byte_in_key)
        abort();
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    if (!decoder) {
        schema = corpus_schema();
        struct mor_decoder_options options = {.schema = schema,
                                              .column_count = schema->root.child_count};
        if (mor_decoder_new(&options, &decoder, &err) != MOR_OK)
            abort();
    }
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    MOR_AUTO_BUFFER first = {0};
    MOR_AUTO_BUFFER second = {0};
    if (decode(batch, data, size) == MOR_OK) {
        compare_with_jansson(data, size);
        put_row(batch, 0, &first);
        // dates beyond the year 9999 are written in a form that is not read
        if (decode(batch, first.data, first.size_bytes) == MOR_OK) {
            put_row(batch, 1, &second);
            if (first.size_bytes != second.size_bytes ||
                memcmp(first.data, second.data, first.size_bytes) != 0)
                abort();
        }
    }
    mor_batch_free(batch);
    return 0;
}
