// Whole container files, codecs included.
#include <stdint.h>
#include <stdlib.h>

#include "moraine/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum mor_status visit(void *context, const struct mor_avro_schema *schema,
                             const uint8_t *datum, size_t size, struct mor_error *err)
{
    size_t *budget = context;
    MOR_AUTO_BUFFER json = {0};
    if ((*budget)-- == 0)
        return mor_error_set(err, MOR_CONFLICT, "enough");
    MOR_TRY(mor_avro_datum_to_json(schema, datum, size, &json, err));
    MOR_AUTO_BUFFER again = {0};
    // not every JSON text finds the same branches again, but none may do harm
    if (mor_avro_json_to_datum(schema, (const char *)json.data, json.size_bytes, &again, err) !=
        MOR_OK)
        *err = MOR_ERROR_INIT;
    return MOR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    size_t budget = 100;
    const uint8_t *value;
    size_t value_size;
    if (mor_avro_container_read(data, size, visit, &budget, &err) == MOR_OK &&
        mor_avro_container_metadata(data, size, "avro.schema", &value, &value_size, &err) != MOR_OK)
        abort();
    return 0;
}
