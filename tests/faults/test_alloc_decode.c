// Memory is refused while schemas are parsed and payloads decoded.
#include "../decode/decode_test.h"
#include "alloc_fault.h"
#include "moraine/avro.h"
#include "moraine/base/memory.h"

static const char avro_schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
    "{\"name\":\"b\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"c\",\"type\":{\"type\":\"array\",\"items\":\"int\"}}]}";
// a = 3, b = "xyz", c = [1, 2]
static const uint8_t avro_datum[] = {6, 2, 6, 'x', 'y', 'z', 4, 2, 4, 0};
static const char json_value[] = "{\"a\": 3, \"b\": \"x\\u0079z\", \"c\": [1, 2], \"other\": {}}";

struct payload {
    struct mor_decoder_options options;
    const void *bytes;
    size_t size_bytes;
};

// Parses the schemas, decodes one value twice.
static enum mor_status decode(void *context, struct mor_error *err)
{
    const struct payload *payload = context;
    struct mor_schema *schema = schema_of("a!", "long", "b", "string", "c", "list<int>", NULL);
    struct mor_decoder_options options = payload->options;
    struct mor_decoder *decoder = NULL;
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    options.schema = schema;
    options.column_count = 3;
    struct mor_record record = {.value = payload->bytes, .value_size_bytes = payload->size_bytes};
    enum mor_status status = mor_decoder_new(&options, &decoder, err);
    for (int i = 0; i < 2 && status == MOR_OK; i++) {
        status = mor_decoder_value(decoder, &record, batch->columns, err);
        if (status != MOR_OK)
            break;
        batch->row_count++;
        char *text = row_text(batch, (size_t)i);
        if (strcmp(text, "{\"a\":3,\"b\":\"xyz\",\"c\":[1,2]}") != 0)
            abort();
        free(text);
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
    return status;
}

static void avro_survives_refused_memory(void **state)
{
    (void)state;
    struct payload payload = {
        .options = {.format = MOR_PAYLOAD_AVRO,
                    .writer_schema = {.text = avro_schema, .size_bytes = sizeof avro_schema - 1}},
        .bytes = avro_datum,
        .size_bytes = sizeof avro_datum};
    struct alloc_work work = {.name = "Avro payloads", .context = &payload, .run = decode};
    alloc_fault_sweep(&work);
}

static void json_survives_refused_memory(void **state)
{
    (void)state;
    struct payload payload = {.options = {.format = MOR_PAYLOAD_JSON},
                              .bytes = json_value,
                              .size_bytes = sizeof json_value - 1};
    struct alloc_work work = {.name = "JSON payloads", .context = &payload, .run = decode};
    alloc_fault_sweep(&work);
}

static enum mor_status parse_schema(void *context, struct mor_error *err)
{
    (void)context;
    struct mor_avro_schema *avro = NULL;
    MOR_TRY(mor_avro_schema_parse(avro_schema, sizeof avro_schema - 1, &avro, err));
    struct mor_schema *schema = NULL;
    enum mor_status status = mor_avro_schema_to_table(avro, &schema, err);
    if (status == MOR_OK && schema->root.child_count != 3)
        abort();
    mor_schema_free(schema);
    mor_avro_schema_free(avro);
    return status;
}

static void schemas_survive_refused_memory(void **state)
{
    (void)state;
    struct alloc_work work = {.name = "Avro schemas", .run = parse_schema};
    alloc_fault_sweep(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_survive_refused_memory),
        cmocka_unit_test(avro_survives_refused_memory),
        cmocka_unit_test(json_survives_refused_memory),
    };
    return cmocka_run_group_tests_name("allocation faults: decode", tests, NULL, NULL);
}
