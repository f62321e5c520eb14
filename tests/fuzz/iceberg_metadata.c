// A table's metadata document, schemas and specs, as another program may have written them.
#include <stdint.h>
#include <stdlib.h>

#include "iceberg/iceberg_metadata.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_schema(const struct iceberg_metadata *metadata, const json_t *json)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = NULL, *again = NULL;
    if (iceberg_schema_from_json(json, &schema, &err) != MOR_OK)
        return;
    json_t *text = iceberg_schema_to_json(schema, 0, NULL, 0);
    if (iceberg_schema_from_json(text, &again, &err) != MOR_OK || !mor_schema_equal(schema, again))
        abort();
    json_decref(text);
    mor_schema_free(again);
    size_t index;
    json_t *spec_json;
    json_array_foreach(json_object_get(metadata->document, "partition-specs"), index, spec_json)
    {
        struct iceberg_spec *spec = NULL;
        if (iceberg_spec_from_json(spec_json, schema, &spec, &err) == MOR_OK)
            iceberg_spec_free(spec);
    }
    mor_schema_free(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct iceberg_metadata *metadata = NULL, *again = NULL;
    if (iceberg_metadata_parse(data, size, &metadata, &err) != MOR_OK)
        return 0;
    struct mor_buffer text = {0};
    if (iceberg_metadata_encode(metadata, false, &text, &err) != MOR_OK ||
        iceberg_metadata_parse(text.data, text.size_bytes, &again, &err) != MOR_OK)
        abort();
    size_t index;
    json_t *schema;
    json_array_foreach(json_object_get(metadata->document, "schemas"), index, schema)
        check_schema(metadata, schema);
    for (size_t i = 0; i < iceberg_metadata_snapshot_count(metadata); i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        (void)iceberg_key_of_uri(metadata, snapshot.manifest_list);
    }
    mor_buffer_done(&text);
    iceberg_metadata_unref(again);
    iceberg_metadata_unref(metadata);
    return 0;
}
