// Manifests and manifest lists of any writer: what is read can be written again.
#include <stdint.h>
#include <stdlib.h>

#include "iceberg/iceberg_manifest.h"
#include "iceberg/iceberg_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct iceberg_spec *make_spec(void)
{
    static const char text[] =
        "[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
        "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
        "{\"id\":2,\"name\":\"region\",\"required\":false,\"type\":\"string\"},"
        "{\"id\":3,\"name\":\"price\",\"required\":false,\"type\":\"decimal(9, 2)\"}]},"
        "{\"spec-id\":0,\"fields\":["
        "{\"source-id\":2,\"field-id\":1000,\"name\":\"region\",\"transform\":\"identity\"},"
        "{\"source-id\":1,\"field-id\":1001,\"name\":\"id_bucket\",\"transform\":\"bucket[4]\"},"
        "{\"source-id\":3,\"field-id\":1002,\"name\":\"price\",\"transform\":\"identity\"}]}]";
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = NULL;
    struct iceberg_spec *spec = NULL;
    json_t *json = json_loads(text, 0, NULL);
    if (iceberg_schema_from_json(json_array_get(json, 0), &schema, &err) != MOR_OK ||
        iceberg_spec_from_json(json_array_get(json, 1), schema, &spec, &err) != MOR_OK)
        abort();
    mor_schema_free(schema);
    json_decref(json);
    return spec;
}

static void check_manifest(const struct iceberg_spec *spec, const uint8_t *data, size_t size,
                           enum iceberg_manifest_content content, struct mor_arena *arena)
{
    const struct iceberg_manifest_file file = {
        .content = content, .sequence_number = 7, .added_snapshot_id = 3, .first_row_id = 100};
    struct mor_error err = MOR_ERROR_INIT;
    struct iceberg_entry *entries = NULL;
    size_t count = 0;
    if (iceberg_manifest_read(data, size, &file, spec, ICEBERG_READ_ALL, arena, &entries, &count,
                              &err) != MOR_OK)
        return;
    json_t *schema = json_pack("{s:i}", "schema-id", 0);
    const struct iceberg_manifest_options options = {
        .format_version = 3, .content = content, .schema = schema, .spec = spec, .snapshot_id = 3};
    struct iceberg_manifest_writer *writer = iceberg_manifest_writer_new(&options);
    for (size_t i = 0; i < count; i++) // the rules may refuse it
        (void)!iceberg_manifest_writer_add(writer, &entries[i], true, &err);
    struct mor_buffer again = {0};
    struct iceberg_manifest_file stated;
    if (iceberg_manifest_writer_count(writer) > 0 &&
        iceberg_manifest_writer_finish(writer, &again, arena, &stated, &err) != MOR_OK)
        abort();
    mor_buffer_done(&again);
    iceberg_manifest_writer_free(writer);
    json_decref(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct iceberg_spec *spec = make_spec();
    struct mor_arena arena;
    struct iceberg_manifest_file *manifests = NULL;
    size_t count = 0;
    mor_arena_init(&arena, 0, NULL);
    check_manifest(spec, data, size, ICEBERG_MANIFEST_DATA, &arena);
    check_manifest(spec, data, size, ICEBERG_MANIFEST_DELETES, &arena);
    if (iceberg_manifest_list_read(data, size, &arena, &manifests, &count, &err) == MOR_OK) {
        const struct iceberg_manifest_list_options options = {
            .format_version = 3, .snapshot_id = 3, .parent_snapshot_id = -1, .sequence_number = 7};
        struct mor_buffer again = {0};
        (void)!iceberg_manifest_list_encode(&options, manifests, count, &again, NULL, &err);
        mor_buffer_done(&again);
    }
    mor_arena_done(&arena);
    iceberg_spec_free(spec);
    return 0;
}
