// Change events in JSON: one row, one delete or nothing; what is refused leaves the columns as they
// were.
#include <stdint.h>
#include <stdlib.h>

#include "moraine/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mor_route row[] = {{"id", 0, MOR_ROUTE_NONE, NULL, NULL, 0},
                                       {"name", 1, MOR_ROUTE_NONE, NULL, NULL, 0},
                                       {"amount", 2, MOR_ROUTE_NONE, NULL, NULL, 0},
                                       {"tags", 3, MOR_ROUTE_NONE, NULL, NULL, 0}};
static const struct mor_route source[] = {{"lsn", 4, MOR_NOTE_LSN, NULL, NULL, 0},
                                          {"file", MOR_ROUTE_NONE, MOR_NOTE_FILE, NULL, NULL, 0},
                                          {"pos", MOR_ROUTE_NONE, MOR_NOTE_POS, NULL, NULL, 0}};
static const struct mor_route routes[] = {
    {"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row, 4},
    {"source", MOR_ROUTE_NONE, MOR_ROUTE_NONE, NULL, source, 3},
    {"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0}};
static const struct mor_attribute attributes[] = {{MOR_ATTRIBUTE_OP, NULL},
                                                  {MOR_ATTRIBUTE_POSITION, NULL}};
static const char *const keys[] = {"id"};
static struct mor_schema *schema;
static struct mor_decoder *decoder;

static void prepare(void)
{
    static const char *const columns[][2] = {
        {"id", "long"},  {"name", "string"}, {"amount", "decimal(9,2)"}, {"tags", "list<string>"},
        {"lsn", "long"}, {"op", "string"},   {"position", "long"}};
    struct mor_error err = MOR_ERROR_INIT;
    schema = mor_schema_new("t");
    for (size_t i = 0; i < 7; i++) {
        struct mor_field *field = mor_schema_add(schema, NULL, columns[i][0], MOR_TYPE_BOOL, true);
        if (mor_type_parse(schema, field, columns[i][1], &err) != MOR_OK)
            abort();
    }
    struct mor_decoder_options options = {.schema = schema,
                                          .column_count = 5,
                                          .attributes = attributes,
                                          .attribute_count = 2,
                                          .routes = routes,
                                          .route_count = 3,
                                          .base64_decimals = true,
                                          .envelope = MOR_ENVELOPE_DEBEZIUM,
                                          .truncate = MOR_TRUNCATE_STOP,
                                          .key_columns = keys,
                                          .key_column_count = 1};
    if (mor_decoder_new(&options, &decoder, &err) != MOR_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!decoder)
        prepare();
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int tombstone = 0; tombstone < 2; tombstone++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_record record = {.key = data, .key_size_bytes = size};
        enum mor_decoded what;
        if (!tombstone)
            record = (struct mor_record){.value = data, .value_size_bytes = size};
        enum mor_status status = mor_decoder_record(decoder, &record, batch->columns, &what, &err);
        batch->row_count += status == MOR_OK && what != MOR_DECODED_NOTHING;
        if (mor_batch_validate(batch, &err) != MOR_OK)
            abort();
    }
    mor_batch_free(batch);
    return 0;
}
