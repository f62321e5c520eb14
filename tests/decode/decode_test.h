// Helpers of the tests of decode/.
#ifndef MORAINE_DECODE_TEST_H
#define MORAINE_DECODE_TEST_H

#include "check.h"
#include "moraine/decode.h"

// Adds a column of the type in the configuration's notation; a '!' behind the name makes it
// required.
static inline void add_column(struct mor_schema *schema, const char *name, const char *type)
{
    struct mor_error err = MOR_ERROR_INIT;
    char plain[64];
    size_t length = strcspn(name, "!");
    snprintf(plain, sizeof plain, "%.*s", (int)length, name);
    struct mor_field *field =
        mor_schema_add(schema, NULL, plain, MOR_TYPE_INT32, name[length] != '!');
    assert_ok(mor_type_parse(schema, field, type, &err));
}

// name, type, name, type, ..., NULL
static inline struct mor_schema *schema_of(const char *name, ...)
{
    struct mor_schema *schema = mor_schema_new("t");
    va_list arguments;
    va_start(arguments, name);
    for (; name; name = va_arg(arguments, const char *))
        add_column(schema, name, va_arg(arguments, const char *));
    va_end(arguments);
    return schema;
}

static inline struct mor_decoder *decoder_of(const struct mor_schema *schema,
                                             struct mor_decoder_options options)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_decoder *decoder = NULL;
    options.schema = schema;
    if (options.column_count == 0)
        options.column_count = schema->root.child_count;
    assert_ok(mor_decoder_new(&options, &decoder, &err));
    return decoder;
}

// The row as one JSON object; fails when it has none.
static inline char *row_text(const struct mor_batch *batch, size_t row)
{
    struct mor_buffer text = {0};
    for (size_t i = 0; i < batch->column_count; i++) {
        mor_buffer_printf(&text, "%s\"%s\":", i ? "," : "{", batch->columns[i].field->name);
        mor_vector_format_json(&batch->columns[i], row, &text);
    }
    mor_buffer_append_u8(&text, '}');
    return taken_text(&text);
}

// Decodes from a copy that ends where the value ends, so that a sanitizer sees an over-read.
static inline enum mor_status decode_value(struct mor_decoder *decoder, struct mor_batch *batch,
                                           const void *value, size_t size, struct mor_error *err)
{
    *err = MOR_ERROR_INIT;
    uint8_t *copy = mor_alloc(size ? size : 1);
    if (size > 0)
        memcpy(copy, value, size);
    struct mor_record record = {.value = copy, .value_size_bytes = size};
    enum mor_status status = mor_decoder_value(decoder, &record, batch->columns, err);
    free(copy);
    if (status == MOR_OK)
        batch->row_count++;
    for (size_t i = 0; i < batch->column_count; i++)
        assert_int_equal(batch->columns[i].length, batch->row_count);
    return status;
}

#endif
