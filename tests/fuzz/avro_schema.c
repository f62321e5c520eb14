// A schema text that is accepted must survive its conversions: to a table and back, and as a writer
// of that table.
#include <stdint.h>
#include <stdlib.h>

#include "moraine/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_table(const struct mor_avro_schema *avro, const struct mor_schema *table)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_plan *plan = NULL;
    if (mor_avro_plan_new(avro, table, &plan, &err) != MOR_OK)
        abort(); // a writer fits the table made for it
    mor_avro_plan_free(plan);
    MOR_AUTO_BUFFER json = {0};
    if (mor_avro_schema_from_table(table, "r", "n", &json, &err) != MOR_OK)
        abort();
    struct mor_avro_schema *again = NULL;
    // only the limits may stand in the way: shared types are written out each time
    if (mor_avro_schema_parse((const char *)json.data, json.size_bytes, &again, &err) == MOR_OK)
        mor_avro_schema_free(again);
    else if (json.size_bytes < 1000)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro = NULL;
    struct mor_schema *table = NULL;
    if (mor_avro_schema_parse((const char *)data, size, &avro, &err) != MOR_OK)
        return 0;
    if (mor_avro_schema_to_table(avro, &table, &err) == MOR_OK)
        use_table(avro, table);
    mor_schema_free(table);
    mor_avro_schema_free(avro);
    return 0;
}
