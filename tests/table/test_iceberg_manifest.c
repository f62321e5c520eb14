// Manifests and manifest lists: ours read back, those of Spark and Java read by field id, the rules
// of entries, damaged files.
#include <dirent.h>

#include "check.h"
#include "iceberg/iceberg_avro_schema.h"
#include "iceberg/iceberg_manifest.h"
#include "iceberg/iceberg_schema.h"
#include "moraine/avro.h"

static struct mor_error err;
static struct mor_arena arena;

static int setup(void **state)
{
    (void)state;
    err = MOR_ERROR_INIT;
    mor_arena_init(&arena, 0, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mor_arena_done(&arena);
    return 0;
}

// ---- a table with a partition field of every kind of Avro type ----------------------------------

static const struct {
    const char *name;
    enum mor_type type;
    const char *transform;
    const char *bytes;
    size_t size_bytes;
} sources[] = {
    {"b", MOR_TYPE_BOOL, "identity", "\x01", 1},
    {"i", MOR_TYPE_INT32, "identity", "\xff\xff\xff\xff", 4},
    {"l", MOR_TYPE_INT64, "identity", "\xff\xff\xff\xff\xff\xff\xff\x7f", 8},
    {"f", MOR_TYPE_FLOAT, "identity", "\0\0\0\x3f", 4},
    {"d", MOR_TYPE_DOUBLE, "identity", "\0\0\0\0\0\0\xf0\x3f", 8},
    {"dec", MOR_TYPE_DECIMAL, "identity", "\xff\x7f", 2},
    {"date", MOR_TYPE_DATE, "identity", "\xff\xff\xff\xff", 4},
    {"time", MOR_TYPE_TIME_MICROS, "identity", "\x01\0\0\0\0\0\0\0", 8},
    {"ts", MOR_TYPE_TIMESTAMP_MICROS, "identity", "\xfe\xff\xff\xff\xff\xff\xff\xff", 8},
    {"s", MOR_TYPE_STRING, "identity", "", 0},
    {"bin", MOR_TYPE_BYTES, "truncate[4]", "\0\x01", 2},
    {"fix", MOR_TYPE_FIXED, "identity", "\x01\x02\x03", 3},
    {"u", MOR_TYPE_UUID, "identity", "0123456789abcdef", 16},
    {"u2", MOR_TYPE_UUID, "identity", "fedcba9876543210", 16},
    {"at", MOR_TYPE_TIMESTAMP_MICROS, "day", "\x05\0\0\0", 4},
    {"1st-id", MOR_TYPE_INT64, "bucket[16]", "\x03\0\0\0", 4},
};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

static struct mor_schema *wide_schema(void)
{
    struct mor_schema *schema = mor_schema_new("t");
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        struct mor_field *field =
            mor_schema_add(schema, NULL, sources[i].name, sources[i].type, true);
        field->precision = 9;
        field->scale = 2;
        field->fixed_size_bytes = 3;
    }
    int32_t last = 0;
    iceberg_schema_assign(schema, &last);
    return schema;
}

static struct iceberg_spec *wide_spec(const struct mor_schema *schema)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        json_array_append_new(fields, json_pack("{s:i, s:i, s:s, s:s}", "source-id", (int)i + 1,
                                                "field-id", 1000 + (int)i, "name", sources[i].name,
                                                "transform", sources[i].transform));
    json_t *json = json_pack("{s:i, s:o}", "spec-id", 5, "fields", fields);
    struct iceberg_spec *spec = NULL;
    assert_ok(iceberg_spec_from_json(json, schema, &spec, &err));
    json_decref(json);
    return spec;
}

static struct iceberg_spec *no_spec(const struct mor_schema *schema)
{
    json_t *json = json_pack("{s:i, s:[]}", "spec-id", 0, "fields");
    struct iceberg_spec *spec = NULL;
    assert_ok(iceberg_spec_from_json(json, schema, &spec, &err));
    json_decref(json);
    return spec;
}

static struct iceberg_value value_of(const char *bytes, size_t size_bytes)
{
    return (struct iceberg_value){(const uint8_t *)bytes, size_bytes};
}

static const struct iceberg_column_metrics metrics[] = {
    {.field_id = 1,
     .size_bytes = 100,
     .value_count = 5,
     .null_count = 1,
     .nan_count = -1,
     .lower = {(const uint8_t *)"\0", 1},
     .upper = {(const uint8_t *)"\x01", 1}},
    {.field_id = 2, .size_bytes = -1, .value_count = 5, .null_count = 5, .nan_count = -1},
    {.field_id = 4,
     .size_bytes = 7,
     .value_count = 5,
     .null_count = 0,
     .nan_count = 2,
     .lower = {(const uint8_t *)"", 0}},
};
static const int64_t split_offsets[] = {4, 5000000000};

static struct iceberg_entry added_file(const struct iceberg_value *partition)
{
    return (struct iceberg_entry){
        .status = ICEBERG_ADDED,
        .snapshot_id = -1,
        .sequence_number = -1,
        .file_sequence_number = -1,
        .file =
            {
                .content = ICEBERG_DATA,
                .file_path = "file:///t/data/a.parquet",
                .file_format = "PARQUET",
                .partition = partition,
                .record_count = 5,
                .file_size_bytes = 440,
                .metrics = metrics,
                .metric_count = 3,
                .split_offsets = split_offsets,
                .split_offset_count = 2,
                .sort_order_id = 0,
                .first_row_id = -1,
                .content_offset = -1,
                .content_size_bytes = -1,
            },
    };
}

static struct iceberg_manifest_writer *new_writer(int32_t version,
                                                  enum iceberg_manifest_content content,
                                                  const struct iceberg_spec *spec, json_t *schema)
{
    const struct iceberg_manifest_options options = {
        .format_version = version,
        .content = content,
        .schema = schema,
        .spec = spec,
        .snapshot_id = 9007199254740993,
    };
    return iceberg_manifest_writer_new(&options);
}

static void assert_same_file(const struct iceberg_data_file *a, const struct iceberg_data_file *b,
                             size_t field_count)
{
    assert_int_equal(a->content, b->content);
    assert_string_equal(a->file_path, b->file_path);
    assert_string_equal(a->file_format, b->file_format);
    assert_true(iceberg_tuple_equal(a->partition, b->partition, field_count));
    assert_int_equal(a->record_count, b->record_count);
    assert_int_equal(a->file_size_bytes, b->file_size_bytes);
    assert_int_equal(a->metric_count, b->metric_count);
    for (size_t i = 0; i < a->metric_count; i++) {
        assert_int_equal(a->metrics[i].field_id, b->metrics[i].field_id);
        assert_int_equal(a->metrics[i].size_bytes, b->metrics[i].size_bytes);
        assert_int_equal(a->metrics[i].value_count, b->metrics[i].value_count);
        assert_int_equal(a->metrics[i].null_count, b->metrics[i].null_count);
        assert_int_equal(a->metrics[i].nan_count, b->metrics[i].nan_count);
        assert_true(iceberg_value_equal(a->metrics[i].lower, b->metrics[i].lower));
        assert_true(iceberg_value_equal(a->metrics[i].upper, b->metrics[i].upper));
    }
    assert_int_equal(a->split_offset_count, b->split_offset_count);
    for (size_t i = 0; i < a->split_offset_count; i++)
        assert_int_equal(a->split_offsets[i], b->split_offsets[i]);
    assert_int_equal(a->sort_order_id, b->sort_order_id);
    assert_int_equal(a->content_offset, b->content_offset);
    assert_int_equal(a->content_size_bytes, b->content_size_bytes);
    assert_int_equal(a->referenced_data_file != NULL, b->referenced_data_file != NULL);
    if (a->referenced_data_file)
        assert_string_equal(a->referenced_data_file, b->referenced_data_file);
}

static void entries_come_back_with_every_type_of_partition(void **state)
{
    (void)state;
    for (int32_t version = 2; version <= 3; version++) {
        struct mor_schema *schema = wide_schema();
        struct iceberg_spec *spec = wide_spec(schema);
        json_t *json = iceberg_schema_to_json(schema, 3, NULL, 0);
        struct iceberg_value tuple[SOURCE_COUNT], nulls[SOURCE_COUNT] = {0};
        for (size_t i = 0; i < SOURCE_COUNT; i++)
            tuple[i] = value_of(sources[i].bytes, sources[i].size_bytes);
        struct iceberg_manifest_writer *writer =
            new_writer(version, ICEBERG_MANIFEST_DATA, spec, json);
        struct iceberg_entry entries[3] = {added_file(tuple), added_file(nulls), added_file(tuple)};
        entries[1].status = ICEBERG_EXISTING;
        entries[1].snapshot_id = 77;
        entries[1].sequence_number = 4;
        entries[1].file_sequence_number = 6;
        entries[1].file.first_row_id = 12;
        entries[1].file.file_path = "file:///t/data/b.parquet";
        entries[1].file.metric_count = 0;
        entries[1].file.split_offset_count = 0;
        entries[1].file.sort_order_id = -1;
        entries[2].status = ICEBERG_DELETED;
        entries[2].snapshot_id = 9007199254740993;
        entries[2].sequence_number = 3;
        entries[2].file_sequence_number = 3;
        entries[2].file.first_row_id = 0;
        entries[2].file.file_path = "file:///t/data/c.parquet";
        for (size_t i = 0; i < 3; i++)
            assert_ok(iceberg_manifest_writer_add(writer, &entries[i], false, &err));
        assert_int_equal(iceberg_manifest_writer_count(writer), 3);
        struct mor_buffer file = {0};
        struct iceberg_manifest_file manifest;
        assert_ok(iceberg_manifest_writer_finish(writer, &file, &arena, &manifest, &err));
        assert_int_equal(manifest.length_bytes, file.size_bytes);
        assert_int_equal(manifest.spec_id, 5);
        assert_int_equal(manifest.added_rows, 5);
        assert_int_equal(manifest.deleted_files, 1);
        assert_int_equal(manifest.min_sequence_number, 4); // of live ones
        assert_int_equal(manifest.partition_count, SOURCE_COUNT);
        assert_true(manifest.partitions[0].contains_null);
        assert_true(iceberg_value_equal(manifest.partitions[8].lower, tuple[8]));
        assert_true(iceberg_value_equal(manifest.partitions[9].upper, tuple[9]));

        manifest.sequence_number = 8;
        manifest.first_row_id = version == 3 ? 100 : -1;
        struct iceberg_entry *read = NULL;
        size_t count = 0;
        assert_ok(iceberg_manifest_read(file.data, file.size_bytes, &manifest, spec,
                                        ICEBERG_READ_ALL, &arena, &read, &count, &err));
        assert_int_equal(count, 3);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(read[i].status, entries[i].status);
            assert_same_file(&read[i].file, &entries[i].file, SOURCE_COUNT);
        }
        assert_int_equal(read[0].snapshot_id, 9007199254740993);
        assert_int_equal(read[0].sequence_number, 8);
        assert_int_equal(read[0].file_sequence_number, 8);
        assert_int_equal(read[0].file.first_row_id, version == 3 ? 100 : -1);
        assert_int_equal(read[1].snapshot_id, 77);
        assert_int_equal(read[1].sequence_number, 4);
        assert_int_equal(read[1].file_sequence_number, 6);
        assert_int_equal(read[1].file.first_row_id, version == 3 ? 12 : -1);
        assert_ok(iceberg_manifest_read(file.data, file.size_bytes, &manifest, spec,
                                        ICEBERG_READ_NO_METRICS, &arena, &read, &count, &err));
        assert_int_equal(read[0].file.metric_count, 0);
        mor_buffer_done(&file);
        iceberg_manifest_writer_free(writer);
        json_decref(json);
        iceberg_spec_free(spec);
        mor_schema_free(schema);
    }
}

static void row_ids_are_inherited_in_order(void **state)
{
    (void)state;
    struct mor_schema *schema = wide_schema();
    struct iceberg_spec *spec = no_spec(schema);
    json_t *json = iceberg_schema_to_json(schema, 0, NULL, 0);
    struct iceberg_manifest_writer *writer = new_writer(3, ICEBERG_MANIFEST_DATA, spec, json);
    for (int i = 0; i < 3; i++) {
        struct iceberg_entry entry = added_file(NULL);
        entry.file.record_count = i + 1;
        entry.file.first_row_id = i == 1 ? 7 : -1;
        assert_ok(iceberg_manifest_writer_add(writer, &entry, false, &err));
    }
    struct mor_buffer file = {0};
    struct iceberg_manifest_file manifest;
    assert_ok(iceberg_manifest_writer_finish(writer, &file, &arena, &manifest, &err));
    manifest.first_row_id = 50;
    manifest.sequence_number = 1;
    struct iceberg_entry *read = NULL;
    size_t count = 0;
    assert_ok(iceberg_manifest_read(file.data, file.size_bytes, &manifest, spec, ICEBERG_READ_ALL,
                                    &arena, &read, &count, &err));
    assert_int_equal(read[0].file.first_row_id, 50);
    assert_int_equal(read[1].file.first_row_id, 7);
    assert_int_equal(read[2].file.first_row_id, 51);
    mor_buffer_done(&file);
    iceberg_manifest_writer_free(writer);
    json_decref(json);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

// ---- rules --------------------------------------------------------------------------------------

static void entries_that_break_the_rules_are_not_written(void **state)
{
    (void)state;
    struct mor_schema *schema = wide_schema();
    struct iceberg_spec *spec = no_spec(schema);
    json_t *json = iceberg_schema_to_json(schema, 0, NULL, 0);
    struct iceberg_manifest_writer *data = new_writer(3, ICEBERG_MANIFEST_DATA, spec, json);
    struct iceberg_manifest_writer *deletes = new_writer(3, ICEBERG_MANIFEST_DELETES, spec, json);
    struct iceberg_manifest_writer *old = new_writer(2, ICEBERG_MANIFEST_DELETES, spec, json);

    struct iceberg_entry entry = added_file(NULL);
    entry.file_sequence_number = 3;
    assert_fails(iceberg_manifest_writer_add(data, &entry, false, &err), MOR_FATAL,
                 "'file:///t/data/a.parquet': an added file states its file sequence number");
    entry = added_file(NULL);
    entry.status = ICEBERG_EXISTING;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(data, &entry, false, &err), MOR_FATAL, "lacks");
    entry.snapshot_id = entry.sequence_number = entry.file_sequence_number = 2;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(data, &entry, false, &err), MOR_FATAL, "first row id");
    assert_ok(iceberg_manifest_writer_add(data, &entry, true, &err));
    entry.status = ICEBERG_DELETED;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(data, &entry, true, &err), MOR_FATAL,
                 "deleted by an older snapshot");

    entry = added_file(NULL);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(deletes, &entry, false, &err), MOR_FATAL,
                 "do not share a manifest");
    entry.file.content = ICEBERG_POSITION_DELETES;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(deletes, &entry, false, &err), MOR_FATAL,
                 "no new position delete files");
    assert_ok(iceberg_manifest_writer_add(old, &entry, false, &err));
    entry.file.file_format = "PUFFIN";
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(deletes, &entry, false, &err), MOR_FATAL,
                 "its data file or its place");
    entry.file.referenced_data_file = "file:///t/data/b.parquet";
    entry.file.content_offset = 4;
    entry.file.content_size_bytes = 42;
    assert_ok(iceberg_manifest_writer_add(deletes, &entry, false, &err));
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(old, &entry, false, &err), MOR_FATAL,
                 "no deletion vectors");
    entry.file.content = ICEBERG_EQUALITY_DELETES;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_add(old, &entry, false, &err), MOR_FATAL, "equality");

    struct iceberg_manifest_writer *empty = new_writer(2, ICEBERG_MANIFEST_DATA, spec, json);
    struct mor_buffer file = {0};
    struct iceberg_manifest_file manifest;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_writer_finish(empty, &file, &arena, &manifest, &err), MOR_FATAL,
                 "without entries");
    assert_ok(iceberg_manifest_writer_finish(deletes, &file, &arena, &manifest, &err));
    manifest.sequence_number = 4;
    struct iceberg_entry *read = NULL;
    size_t count = 0;
    assert_ok(iceberg_manifest_read(file.data, file.size_bytes, &manifest, spec, ICEBERG_READ_ALL,
                                    &arena, &read, &count, &err));
    assert_int_equal(count, 1);
    assert_true(iceberg_file_is_vector(&read[0].file));
    assert_int_equal(read[0].file.content_offset, 4);
    mor_buffer_done(&file);
    iceberg_manifest_writer_free(data);
    iceberg_manifest_writer_free(deletes);
    iceberg_manifest_writer_free(old);
    iceberg_manifest_writer_free(empty);
    json_decref(json);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

// ---- lists --------------------------------------------------------------------------------------

static void lists_come_back_and_number_the_rows(void **state)
{
    (void)state;
    const struct iceberg_partition_summary summaries[] = {
        {.contains_null = true, .contains_nan = -1},
        {.contains_nan = 1, .lower = {(const uint8_t *)"a", 1}, .upper = {(const uint8_t *)"", 0}},
    };
    const struct iceberg_manifest_file manifests[] = {
        {.path = "file:///t/metadata/new.avro",
         .length_bytes = 4000,
         .spec_id = 1,
         .sequence_number = -1,
         .min_sequence_number = -1,
         .added_snapshot_id = 9007199254740993,
         .added_files = 2,
         .added_rows = 10,
         .existing_rows = 3,
         .existing_files = 1,
         .partitions = summaries,
         .partition_count = 2,
         .first_row_id = -1},
        {.path = "file:///t/metadata/old.avro",
         .length_bytes = 1,
         .sequence_number = 2,
         .min_sequence_number = 1,
         .added_snapshot_id = 5,
         .added_files = 1,
         .added_rows = 7,
         .first_row_id = 20},
        {.path = "file:///t/metadata/older.avro",
         .length_bytes = 1,
         .sequence_number = 1,
         .min_sequence_number = 1,
         .added_snapshot_id = 4,
         .existing_files = 1,
         .existing_rows = 4,
         .deleted_files = 3,
         .deleted_rows = 9,
         .first_row_id = -1},
        {.path = "file:///t/metadata/deletes.avro",
         .length_bytes = 1,
         .content = ICEBERG_MANIFEST_DELETES,
         .sequence_number = -1,
         .min_sequence_number = 2,
         .added_snapshot_id = 9007199254740993,
         .added_files = 1,
         .added_rows = 2,
         .first_row_id = -1},
    };
    for (int32_t version = 2; version <= 3; version++) {
        const struct iceberg_manifest_list_options options = {.format_version = version,
                                                              .snapshot_id = 9007199254740993,
                                                              .parent_snapshot_id = -1,
                                                              .sequence_number = 6,
                                                              .first_row_id = 100};
        struct mor_buffer file = {0};
        int64_t next_row_id = 0;
        assert_ok(iceberg_manifest_list_encode(&options, manifests, 4, &file, &next_row_id, &err));
        const uint8_t *text = NULL;
        size_t size = 0, count = 0;
        assert_ok(mor_avro_container_metadata(file.data, file.size_bytes, "parent-snapshot-id",
                                              &text, &size, &err));
        assert_memory_equal(text, "null", 4);
        struct iceberg_manifest_file *read = NULL;
        assert_ok(
            iceberg_manifest_list_read(file.data, file.size_bytes, &arena, &read, &count, &err));
        assert_int_equal(count, 4);
        assert_string_equal(read[0].path, "file:///t/metadata/new.avro");
        assert_int_equal(read[0].sequence_number, 6);
        assert_int_equal(read[0].min_sequence_number, 6);
        assert_int_equal(read[0].added_files, 2);
        assert_int_equal(read[0].added_snapshot_id, 9007199254740993);
        assert_int_equal(read[0].partition_count, 2);
        assert_true(read[0].partitions[0].contains_null);
        assert_int_equal(read[0].partitions[0].contains_nan, -1);
        assert_null(read[0].partitions[0].lower.bytes);
        assert_int_equal(read[0].partitions[1].contains_nan, 1);
        assert_true(iceberg_value_equal(read[0].partitions[1].upper, summaries[1].upper));
        assert_int_equal(read[3].min_sequence_number, 2);
        assert_int_equal(read[3].sequence_number, 6);
        if (version == 3) {
            assert_int_equal(read[0].first_row_id, 100);
            assert_int_equal(read[1].first_row_id, 20);
            assert_int_equal(read[2].first_row_id, 113);
            assert_int_equal(read[3].first_row_id, -1);
            assert_int_equal(next_row_id, 117);
        } else {
            assert_int_equal(read[0].first_row_id, -1);
        }
        mor_buffer_done(&file);
    }
}

// ---- the schemas themselves ---------------------------------------------------------------------

// The schemas carry what avro libraries drop: ids on fields and elements, the logical type of maps.
static void schemas_carry_ids_and_logical_types(void **state)
{
    (void)state;
    struct mor_schema *schema = wide_schema();
    struct iceberg_spec *spec = wide_spec(schema);
    for (int32_t version = 2; version <= 3; version++) {
        struct mor_buffer text = {0};
        iceberg_avro_manifest_schema(version, spec, &text);
        static const char *const parts[] = {
            "\"name\":\"r2\"",
            "\"name\":\"r102\"",
            "\"name\":\"k117_v118\"",
            "\"logicalType\":\"map\"",
            "\"element-id\":133",
            "\"field-id\":1015",
            "{\"name\":\"_1st_x2Did\",\"type\":[\"null\",\"int\"],\"default\":null,"
            "\"field-id\":1015,\"iceberg-field-name\":\"1st-id\"}",
            "{\"type\":\"fixed\",\"name\":\"decimal_9_2\",\"size\":4,\"logicalType\":\"decimal\","
            "\"precision\":9,\"scale\":2}",
            "{\"name\":\"u2\",\"type\":[\"null\",\"uuid_fixed\"],",
            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":true}",
            "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"int\",\"logicalType\":\"date\"}]"};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            if (!strstr((const char *)text.data, parts[i]))
                fail_msg("version %d: %s is not in %s", version, parts[i], (char *)text.data);
        }
        assert_int_equal(strstr((const char *)text.data, "first_row_id") != NULL, version == 3);
        assert_non_null(strstr((const char *)text.data, "referenced_data_file"));
        struct mor_avro_schema *parsed = NULL;
        assert_ok(mor_avro_schema_parse((const char *)text.data, text.size_bytes, &parsed, &err));
        mor_avro_schema_free(parsed);
        mor_buffer_done(&text);
    }
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

// ---- files of others ----------------------------------------------------------------------------

static void read_file(const char *path, struct mor_buffer *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    uint8_t chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        mor_buffer_append(ret_bytes, chunk, got);
    fclose(file);
}

struct seen {
    size_t lists, manifests, entries, deletes, metrics;
};

static void read_manifests(const char *folder, const struct iceberg_manifest_file *list,
                           size_t count, const struct iceberg_spec *spec, struct seen *seen)
{
    for (size_t i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, strrchr(list[i].path, '/') + 1);
        struct mor_buffer file = {0};
        read_file(path, &file);
        struct iceberg_entry *entries = NULL;
        size_t entry_count = 0;
        assert_ok(iceberg_manifest_read(file.data, file.size_bytes, &list[i], spec,
                                        ICEBERG_READ_ALL, &arena, &entries, &entry_count, &err));
        assert_int_equal(list[i].length_bytes, file.size_bytes);
        assert_int_equal(entry_count,
                         list[i].added_files + list[i].existing_files + list[i].deleted_files);
        for (size_t e = 0; e < entry_count; e++) {
            assert_true(entries[e].sequence_number > 0);
            assert_true(entries[e].file.record_count > 0);
            assert_string_equal(entries[e].file.file_format, "PARQUET");
            seen->metrics += entries[e].file.metric_count;
            seen->deletes += entries[e].file.content != ICEBERG_DATA ? 1 : 0;
        }
        seen->entries += entry_count;
        seen->manifests++;
        mor_buffer_done(&file);
    }
}

static void read_golden(const char *folder, struct seen *seen)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    struct mor_schema *schema = wide_schema();
    struct iceberg_spec *spec = no_spec(schema);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strncmp(entry->d_name, "snap-", 5) != 0)
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct mor_buffer file = {0};
        read_file(path, &file);
        struct iceberg_manifest_file *manifests = NULL;
        size_t count = 0;
        assert_ok(iceberg_manifest_list_read(file.data, file.size_bytes, &arena, &manifests, &count,
                                             &err));
        seen->lists++;
        read_manifests(folder, manifests, count, spec, seen);
        mor_buffer_done(&file);
    }
    closedir(dir);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

static void manifests_of_spark_and_java_are_read(void **state)
{
    (void)state;
    struct seen seen = {0};
    read_golden(MORAINE_GOLDEN "/iceberg/spark/bunnies/metadata", &seen);
    read_golden(MORAINE_GOLDEN "/iceberg/java/bunnies/metadata", &seen);
    if (seen.lists == 0) {
        print_message("no golden Iceberg tables here: files of others were not read\n");
        return;
    }
    print_message("%zu lists, %zu manifests, %zu entries, %zu of delete files\n", seen.lists,
                  seen.manifests, seen.entries, seen.deletes);
    assert_true(seen.metrics > 0);
    assert_true(seen.lists >= 4);
    assert_true(seen.deletes >= 3);
}

// ---- damage -------------------------------------------------------------------------------------

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct mor_schema *schema = wide_schema();
    struct iceberg_spec *spec = wide_spec(schema);
    json_t *json = iceberg_schema_to_json(schema, 3, NULL, 0);
    struct iceberg_value nulls[SOURCE_COUNT] = {0};
    struct iceberg_manifest_writer *writer = new_writer(2, ICEBERG_MANIFEST_DATA, spec, json);
    struct iceberg_entry entry = added_file(nulls), *read = NULL;
    assert_ok(iceberg_manifest_writer_add(writer, &entry, false, &err));
    struct mor_buffer file = {0};
    struct iceberg_manifest_file manifest;
    size_t count = 0;
    assert_ok(iceberg_manifest_writer_finish(writer, &file, &arena, &manifest, &err));
    for (size_t size = 0; size < file.size_bytes; size += 7) {
        enum mor_status status = iceberg_manifest_read(
            file.data, size, &manifest, spec, ICEBERG_READ_ALL, &arena, &read, &count, &err);
        assert_true(status == MOR_DATA || (status == MOR_OK && count == 0));
    }
    manifest.content = ICEBERG_MANIFEST_DELETES;
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_manifest_read(file.data, file.size_bytes, &manifest, spec,
                                       ICEBERG_READ_ALL, &arena, &read, &count, &err),
                 MOR_DATA, "entry 0 ('file:///t/data/a.parquet'): its content 0");
    struct iceberg_manifest_file *manifests = NULL;
    err = MOR_ERROR_INIT;
    assert_fails(
        iceberg_manifest_list_read(file.data, file.size_bytes, &arena, &manifests, &count, &err),
        MOR_DATA, "manifest_path");
    mor_buffer_done(&file);
    iceberg_manifest_writer_free(writer);
    json_decref(json);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_come_back_with_every_type_of_partition, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(row_ids_are_inherited_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_that_break_the_rules_are_not_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lists_come_back_and_number_the_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(schemas_carry_ids_and_logical_types, setup, teardown),
        cmocka_unit_test_setup_teardown(manifests_of_spark_and_java_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_files_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
