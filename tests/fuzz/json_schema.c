// JSON schemas become tables or are refused; as records the same texts are looked at for columns.
#include <stdint.h>
#include <stdlib.h>

#include "moraine/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_FREE char *copy = mor_strndup((const char *)data, size);
    struct mor_schema_import self = {"self", copy};
    struct mor_schema_text text = {
        .text = copy, .size_bytes = strlen(copy), .imports = &self, .import_count = 1};
    struct mor_schema *schema = NULL;
    if (mor_json_schema_to_table(&text, &schema, &err) == MOR_OK && schema->root.child_count == 0)
        abort();
    mor_schema_free(schema);
    struct mor_json_inference *inference = mor_json_inference_new(size % 2 == 0);
    mor_json_inference_add(inference, data, size);
    mor_schema_free(mor_json_inference_finish(inference));
    mor_json_inference_free(inference);
    return 0;
}
