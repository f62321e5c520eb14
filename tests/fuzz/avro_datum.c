// Data against a schema with every type. What the plan accepts, the generic reader accepts too;
// what is refused leaves the columns as they were.
#include <stdint.h>
#include <stdlib.h>

#include "moraine/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_json[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"b\",\"type\":[\"null\",\"boolean\"]},{\"name\":\"i\",\"type\":[\"int\",\"null\"]},"
    "{\"name\":\"l\",\"type\":\"long\"},{\"name\":\"f\",\"type\":[\"null\",\"float\"]},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"s\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"y\",\"type\":\"bytes\"},"
    "{\"name\":\"x\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"x3\",\"size\":3}]},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"e2\",\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"dec\",\"type\":[\"null\",{\"type\":\"bytes\",\"logicalType\":\"decimal\","
    "\"precision\":20,\"scale\":3}]},"
    "{\"name\":\"u\",\"type\":[\"null\",{\"type\":\"string\",\"logicalType\":\"uuid\"}]},"
    "{\"name\":\"t\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}]},"
    "{\"name\":\"a\",\"type\":[\"null\",{\"type\":\"array\",\"items\":[\"null\",{\"type\":"
    "\"record\",\"name\":\"i1\","
    "\"fields\":[{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"string\"]}},"
    "{\"name\":\"n\",\"type\":[\"null\",\"long\"]}]}]}]},"
    "{\"name\":\"skip\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"null\"},"
    "{\"type\":\"record\",\"name\":\"q\",\"fields\":["
    "{\"name\":\"next\",\"type\":[\"null\",\"q\"]},{\"name\":\"d\",\"type\":\"float\"}]}]},"
    "{\"name\":\"many\",\"type\":[\"null\",\"int\",\"long\"]}]}";

static struct mor_avro_schema *avro;
static struct mor_schema *table;
static struct mor_avro_plan *plan;

static void add(const char *name, const char *type, bool nullable)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_field *field = mor_schema_add(table, NULL, name, MOR_TYPE_INT32, nullable);
    if (mor_type_parse(table, field, type, &err) != MOR_OK)
        abort();
}

static void prepare(void)
{
    struct mor_error err = MOR_ERROR_INIT;
    table = mor_schema_new("t");
    add("many", "long", true);
    add("b", "boolean", true);
    add("i", "long", true);
    add("l", "double", false);
    add("f", "double", true);
    add("d", "double", false);
    add("s", "string", true);
    add("y", "bytes", false);
    add("x", "bytes", true);
    add("e", "enum", false);
    add("dec", "decimal(22,5)", true);
    add("u", "uuid", true);
    add("t", "timestamp_us", true);
    add("absent", "string", true);
    struct mor_field *list = mor_schema_add(table, NULL, "a", MOR_TYPE_LIST, true);
    struct mor_field *item = mor_schema_add(table, list, "element", MOR_TYPE_STRUCT, true);
    struct mor_field *map = mor_schema_add(table, item, "m", MOR_TYPE_MAP, false);
    mor_schema_add(table, map, "key", MOR_TYPE_STRING, false);
    mor_schema_add(table, map, "value", MOR_TYPE_STRING, true);
    mor_schema_add(table, item, "n", MOR_TYPE_INT64, true);
    if (mor_avro_schema_parse(schema_json, sizeof schema_json - 1, &avro, &err) != MOR_OK ||
        mor_avro_plan_new(avro, table, &plan, &err) != MOR_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    if (!plan)
        prepare();
    struct mor_batch *batch = mor_batch_new(table, NULL);
    MOR_AUTO_BUFFER json = {0};
    size_t used = 0;
    while (used < size) {
        size_t step = 0;
        enum mor_status status =
            mor_avro_plan_decode(plan, data + used, size - used, batch->columns, &step, &err);
        batch->row_count += status == MOR_OK;
        mor_buffer_reset(&json);
        enum mor_status generic = mor_avro_datum_to_json(
            avro, data + used, status == MOR_OK ? step : size - used, &json, &err);
        // the limits on depth and on items without size count a little differently when skipping;
        // the size of a block of items is compared with what is left, which is less here
        if (status == MOR_OK && generic != MOR_OK && !strstr(err.message, "too ") &&
            !strstr(err.message, "a block is longer"))
            abort();
        if (status != MOR_OK || step == 0)
            break;
        used += step;
    }
    if (mor_batch_validate(batch, &err) != MOR_OK)
        abort();
    mor_batch_free(batch);
    return 0;
}
