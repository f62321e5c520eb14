// Texts that another program put into a table's folder: properties and file names.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hudi/hudi_file.h"
#include "hudi/hudi_properties.h"
#include "partition_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_properties(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct hudi_properties properties = {0}, again = {0};
    if (hudi_properties_parse(&properties, data, size, &err) == MOR_OK) {
        struct mor_buffer text = {0};
        hudi_properties_format(&properties, "again", &text);
        if (hudi_properties_parse(&again, text.data, text.size_bytes, &err) != MOR_OK ||
            again.map.count != properties.map.count)
            abort();
        for (size_t i = 0; i < properties.map.count; i++) {
            const char *value = hudi_properties_get(&again, properties.map.entries[i].key);
            if (!value || strcmp(value, properties.map.entries[i].value.pointer) != 0)
                abort();
        }
        mor_buffer_done(&text);
    }
    hudi_properties_done(&properties);
    hudi_properties_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_properties(data, size);
    char *text = mor_strndup((const char *)data, size);
    struct mor_arena arena;
    struct hudi_file file;
    enum mor_transform transform;
    const char *column;
    size_t length;
    mor_arena_init(&arena, 0, NULL);
    if (hudi_file_parse(text, &arena, &file))
        hudi_file_belongs(&file, 6, "20260101000000000");
    if (mor_partition_field_parse(text, &transform, &column, &length) &&
        (column < text || column + length > text + strlen(text)))
        abort();
    mor_arena_done(&arena);
    free(text);
    return 0;
}
