// The metadata document: reading it, what is refused, and what commits make of it.
#include "iceberg_fixture.h"

static struct mor_error err;

static int setup(void **state)
{
    (void)state;
    err = MOR_ERROR_INIT;
    return 0;
}

static struct iceberg_metadata *new_table(int32_t version)
{
    struct iceberg_creation creation = fixture_creation(version, "file:///lake/t");
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_metadata_create(&creation, 1767225600000, &metadata, &err));
    fixture_creation_done(&creation);
    metadata->metadata_location = mor_strdup("file:///lake/t/metadata/v1.metadata.json");
    return metadata;
}

// Applies and gives up the base.
static struct iceberg_metadata *apply(struct iceberg_metadata *take_base,
                                      struct iceberg_change *take_change)
{
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_metadata_apply(take_base, take_change->requirements, take_change->updates,
                                     1767225700000, &next, &err));
    next->metadata_location = mor_asprintf("%s+", take_base->metadata_location);
    iceberg_metadata_unref(take_base);
    iceberg_change_done(take_change);
    return next;
}

static struct iceberg_metadata *append(struct iceberg_metadata *take_base, int64_t snapshot_id)
{
    struct iceberg_change change;
    fixture_append(&change, take_base, snapshot_id);
    return apply(take_base, &change);
}

static void a_new_table_has_the_members_of_its_version(void **state)
{
    (void)state;
    for (int32_t version = 2; version <= 3; version++) {
        struct iceberg_metadata *metadata = new_table(version);
        assert_int_equal(metadata->format_version, version);
        assert_int_equal(metadata->current_snapshot_id, -1);
        assert_int_equal(metadata->last_column_id, 1);
        assert_int_equal(metadata->last_partition_id, 999);
        assert_string_equal(iceberg_metadata_property(metadata, "owner"), "tests");
        const json_t *current = json_object_get(metadata->document, "current-snapshot-id");
        assert_true(version == 2 ? json_integer_value(current) == -1 : json_is_null(current));
        assert_int_equal(json_object_get(metadata->document, "next-row-id") != NULL, version == 3);
        iceberg_metadata_unref(metadata);
    }
}

static void documents_come_back_packed_or_plain(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = new_table(3);
    for (int gzip = 0; gzip < 2; gzip++) {
        struct mor_buffer bytes = {0};
        struct iceberg_metadata *again = NULL;
        assert_ok(iceberg_metadata_encode(metadata, gzip, &bytes, &err));
        assert_int_equal(bytes.data[0] == 0x1f, gzip);
        assert_ok(iceberg_metadata_parse(bytes.data, bytes.size_bytes, &again, &err));
        assert_true(json_equal(metadata->document, again->document));
        iceberg_metadata_unref(again);
        again = NULL;
        assert_fails(iceberg_metadata_parse(bytes.data, bytes.size_bytes / 2, &again, &err),
                     MOR_DATA, "table metadata");
        err = MOR_ERROR_INIT;
        assert_null(again);
        mor_buffer_done(&bytes);
    }
    iceberg_metadata_unref(metadata);
}

// ---- what is refused ----------------------------------------------------------------------------

// `path` is "member" or "list/index/member"; the value NULL takes the member away.
static void damage(json_t *document, const char *path, const char *value)
{
    char copy[100];
    snprintf(copy, sizeof copy, "%s", path);
    json_t *object = document;
    char *part = copy, *slash;
    while ((slash = strchr(part, '/'))) {
        *slash = '\0';
        object = json_is_array(object) ? json_array_get(object, (size_t)atoi(part))
                                       : json_object_get(object, part);
        part = slash + 1;
    }
    if (value)
        json_object_set_new(object, part, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(object, part);
}

static void documents_that_break_the_rules_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value;
        enum mor_status status;
        const char *words;
    } cases[] = {
        {"format-version", NULL, MOR_DATA, "'format-version'"},
        {"format-version", "4", MOR_FATAL, "format version 4"},
        {"table-uuid", "\"x\"", MOR_DATA, "is no UUID"},
        {"location", "\"\"", MOR_DATA, "location is empty"},
        {"last-column-id", "\"3\"", MOR_DATA, "no integer under 'last-column-id'"},
        {"current-schema-id", "7", MOR_DATA, "current schema 7"},
        {"default-spec-id", "7", MOR_DATA, "default spec 7"},
        {"next-row-id", NULL, MOR_DATA, "next-row-id"},
        {"encryption-keys", "[{\"key-id\":\"a\"}]", MOR_FATAL, "encrypted"},
        {"current-snapshot-id", "9", MOR_DATA, "9 is not among the snapshots"},
        {"refs/main/snapshot-id", "11", MOR_DATA, "main refers to snapshot 11"},
        {"refs/main/snapshot-id", "77", MOR_DATA, "'main' refers to snapshot 77"},
        {"snapshots/0/snapshot-id", "12", MOR_DATA, "snapshot-id 12 twice"},
        {"snapshots/0/manifest-list", NULL, MOR_DATA, "no manifest list"},
        {"snapshots/1/sequence-number", "3", MOR_DATA, "the table's last one is 2"},
        {"snapshot-log/0/timestamp-ms", "1767229999999", MOR_DATA, "goes back in time"},
        {"last-updated-ms", "1", MOR_DATA, "older than the snapshot log"},
    };
    struct iceberg_metadata *metadata = append(append(new_table(3), 11), 12);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *document = json_deep_copy(metadata->document);
        struct iceberg_metadata *again = NULL;
        damage(document, cases[i].path, cases[i].value);
        err = MOR_ERROR_INIT;
        assert_fails(iceberg_metadata_take(document, &again, &err), cases[i].status,
                     cases[i].words);
    }
    iceberg_metadata_unref(metadata);
}

static void absent_and_null_current_snapshots_are_none(void **state)
{
    (void)state;
    static const char *const values[] = {"null", "-1", NULL};
    for (size_t i = 0; i < 3; i++) {
        struct iceberg_metadata *metadata = new_table(2), *again = NULL;
        json_t *document = json_deep_copy(metadata->document);
        damage(document, "current-snapshot-id", values[i]);
        assert_ok(iceberg_metadata_take(document, &again, &err));
        assert_int_equal(again->current_snapshot_id, -1);
        iceberg_metadata_unref(again);
        iceberg_metadata_unref(metadata);
    }
}

// ---- commits ------------------------------------------------------------------------------------

static void snapshots_are_added_and_logged(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = append(append(new_table(3), 9007199254740993), 12);
    assert_int_equal(metadata->current_snapshot_id, 12);
    assert_int_equal(metadata->last_sequence_number, 2);
    assert_int_equal(metadata->next_row_id, 20);
    assert_int_equal(iceberg_metadata_snapshot_count(metadata), 2);
    struct iceberg_snapshot snapshot;
    assert_true(iceberg_metadata_snapshot(metadata, 12, &snapshot));
    assert_int_equal(snapshot.parent_id, 9007199254740993);
    assert_int_equal(snapshot.first_row_id, 10);
    assert_string_equal(iceberg_snapshot_property(&snapshot, "operation"), "append");
    assert_int_equal(metadata->last_updated_ms, snapshot.timestamp_ms);
    assert_false(iceberg_metadata_snapshot(metadata, 13, &snapshot));
    iceberg_metadata_snapshot_at(metadata, 0, &snapshot);
    assert_int_equal(snapshot.snapshot_id, 9007199254740993);
    assert_int_equal(snapshot.parent_id, -1);
    const json_t *log = json_object_get(metadata->document, "snapshot-log");
    assert_int_equal(json_array_size(log), 2);
    const json_t *files = json_object_get(metadata->document, "metadata-log");
    assert_int_equal(json_array_size(files), 2);
    assert_string_equal(iceberg_json_text(json_array_get(files, 0), "metadata-file"),
                        "file:///lake/t/metadata/v1.metadata.json");
    int64_t id = iceberg_metadata_new_snapshot_id(metadata);
    assert_true(id > 0 && id != 12);
    iceberg_metadata_unref(metadata);
}

static void the_base_and_unknown_members_stay(void **state)
{
    (void)state;
    struct iceberg_metadata *base = new_table(2);
    json_object_set_new(base->document, "of-a-later-version", json_pack("{s:[i]}", "x", 1));
    json_t *before = json_deep_copy(base->document);
    struct iceberg_change change;
    fixture_append(&change, base, 5);
    iceberg_change_set_property(&change, "a", "b");
    struct iceberg_metadata *next = NULL;
    assert_ok(iceberg_metadata_apply(base, change.requirements, change.updates, 1, &next, &err));
    assert_true(json_equal(before, base->document));
    assert_true(json_equal(json_object_get(before, "of-a-later-version"),
                           json_object_get(next->document, "of-a-later-version")));
    assert_string_equal(iceberg_metadata_property(next, "a"), "b");
    assert_string_equal(iceberg_metadata_property(next, "owner"), "tests");
    iceberg_change_done(&change);
    json_decref(before);
    iceberg_metadata_unref(base);
    iceberg_metadata_unref(next);
}

static void requirements_that_do_not_hold_are_conflicts(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[{\"type\":\"assert-create\"}]",
        "[{\"type\":\"assert-table-uuid\",\"uuid\":\"00000000-0000-0000-0000-000000000000\"}]",
        "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":null}]",
        "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"other\",\"snapshot-id\":5}]",
        "[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":1}]",
        "[{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":9}]",
        "[{\"type\":\"assert-default-spec-id\",\"default-spec-id\":1}]",
        "[{\"type\":\"assert-last-assigned-partition-id\",\"last-assigned-partition-id\":1}]",
        "[{\"type\":\"assert-default-sort-order-id\",\"default-sort-order-id\":1}]",
    };
    static const char *const right[] = {
        "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":5},"
        "{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"other\",\"snapshot-id\":null},"
        "{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0},"
        "{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":1},"
        "{\"type\":\"assert-default-spec-id\",\"default-spec-id\":0},"
        "{\"type\":\"assert-last-assigned-partition-id\",\"last-assigned-partition-id\":999},"
        "{\"type\":\"assert-default-sort-order-id\",\"default-sort-order-id\":0}]",
    };
    struct iceberg_metadata *base = append(new_table(2), 5), *next = NULL;
    json_t *nothing = json_array();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *requirements = fixture_json(wrong[i]);
        err = MOR_ERROR_INIT;
        assert_fails(iceberg_metadata_apply(base, requirements, nothing, 1, &next, &err),
                     MOR_CONFLICT, "");
        json_decref(requirements);
    }
    json_t *requirements = fixture_json(right[0]);
    assert_ok(iceberg_metadata_apply(base, requirements, nothing, 1, &next, &err));
    json_decref(requirements);
    iceberg_metadata_unref(next);
    requirements = fixture_json("[{\"type\":\"assert-weather\"}]");
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_metadata_apply(base, requirements, nothing, 1, &next, &err), MOR_FATAL,
                 "'assert-weather' is not known");
    json_decref(requirements);
    json_decref(nothing);
    iceberg_metadata_unref(base);
}

static void updates_that_break_the_rules_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *updates, *words;
        enum mor_status status;
    } cases[] = {
        {"[{\"action\":\"fly\"}]", "'fly' is not known", MOR_FATAL},
        {"[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":5,\"sequence-number\":9,"
         "\"timestamp-ms\":1}}]",
         "snapshot 5 was added before", MOR_FATAL},
        {"[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":6,\"sequence-number\":1,"
         "\"parent-snapshot-id\":5,\"timestamp-ms\":1,\"first-row-id\":10,\"added-rows\":1}}]",
         "not after the table's last one", MOR_CONFLICT},
        {"[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":6,\"sequence-number\":2,"
         "\"timestamp-ms\":1,\"first-row-id\":9,\"added-rows\":1}}]",
         "'first-row-id' is 9", MOR_FATAL},
        {"[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":6,\"sequence-number\":2,"
         "\"timestamp-ms\":1,\"first-row-id\":10}}]",
         "'added-rows'", MOR_FATAL},
        {"[{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"snapshot-id\":6}]",
         "cannot refer to snapshot 6", MOR_FATAL},
        {"[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[5]}]", "current snapshot 5",
         MOR_FATAL},
        {"[{\"action\":\"set-current-schema\",\"schema-id\":-1}]", "no schema-id -1", MOR_FATAL},
        {"[{\"action\":\"upgrade-format-version\",\"format-version\":2}]", "3 cannot become 2",
         MOR_FATAL},
        {"[{\"action\":\"set-location\",\"location\":\"file:///elsewhere\"}]", "location",
         MOR_FATAL},
    };
    struct iceberg_metadata *base = append(new_table(3), 5), *next = NULL;
    json_t *nothing = json_array();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *updates = fixture_json(cases[i].updates);
        err = MOR_ERROR_INIT;
        assert_fails(iceberg_metadata_apply(base, nothing, updates, 1, &next, &err),
                     cases[i].status, cases[i].words);
        json_decref(updates);
    }
    json_decref(nothing);
    iceberg_metadata_unref(base);
}

static void schemas_and_specs_are_added_once(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = new_table(2);
    json_t *schema = fixture_json(
        "{\"type\":\"struct\",\"schema-id\":1,\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":"
        "true,\"type\":\"long\"},{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"}]"
        "}");
    json_t *spec = fixture_json("{\"spec-id\":1,\"fields\":[{\"source-id\":2,\"field-id\":1000,"
                                "\"name\":\"s\",\"transform\":\"identity\"}]}");
    for (int round = 0; round < 2; round++) {
        struct iceberg_change change;
        iceberg_change_init(&change);
        iceberg_change_require_schema(&change, round, round + 1);
        iceberg_change_add_schema(&change, schema);
        iceberg_change_add_spec(&change, spec);
        metadata = apply(metadata, &change);
        assert_int_equal(metadata->current_schema_id, 1);
        assert_int_equal(metadata->last_column_id, 2);
        assert_int_equal(metadata->default_spec_id, 1);
        assert_int_equal(metadata->last_partition_id, 1000);
        assert_int_equal(json_array_size(json_object_get(metadata->document, "schemas")), 2);
        assert_true(iceberg_schema_json_equal(iceberg_metadata_schema(metadata, 1), schema));
        assert_non_null(iceberg_metadata_spec(metadata, 1));
    }
    struct iceberg_change change;
    iceberg_change_init(&change);
    iceberg_change_upgrade(&change, 3);
    iceberg_change_remove_property(&change, "owner");
    metadata = apply(metadata, &change);
    assert_int_equal(metadata->format_version, 3);
    assert_int_equal(metadata->next_row_id, 0);
    assert_null(iceberg_metadata_property(metadata, "owner"));
    json_decref(schema);
    json_decref(spec);
    iceberg_metadata_unref(metadata);
}

static void removed_snapshots_take_their_log_and_statistics_along(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = new_table(2);
    for (int64_t id = 1; id <= 4; id++)
        metadata = append(metadata, id);
    json_t *updates = fixture_json("[{\"action\":\"set-snapshot-ref\",\"ref-name\":\"old\","
                                   "\"type\":\"tag\",\"snapshot-id\":2},"
                                   "{\"action\":\"set-statistics\",\"statistics\":{\"snapshot-id\":"
                                   "2,\"statistics-path\":\"x\"}},"
                                   "{\"action\":\"set-statistics\",\"statistics\":{\"snapshot-id\":"
                                   "4,\"statistics-path\":\"y\"}}]");
    struct iceberg_change change = {json_array(), updates};
    metadata = apply(metadata, &change);
    assert_int_equal(json_array_size(json_object_get(metadata->document, "statistics")), 2);
    iceberg_change_init(&change);
    iceberg_change_remove_snapshots(&change, (int64_t[]){2}, 1);
    metadata = apply(metadata, &change);
    struct iceberg_snapshot snapshot;
    assert_false(iceberg_metadata_snapshot(metadata, 2, &snapshot));
    assert_true(iceberg_metadata_snapshot(metadata, 1, &snapshot));
    const json_t *log = json_object_get(metadata->document, "snapshot-log");
    assert_int_equal(json_array_size(log), 2); // 3 and 4
    assert_int_equal(iceberg_json_int(json_array_get(log, 0), "snapshot-id", 0), 3);
    assert_int_equal(json_array_size(json_object_get(metadata->document, "statistics")), 1);
    assert_null(json_object_get(json_object_get(metadata->document, "refs"), "old"));
    assert_int_equal(metadata->last_sequence_number, 4);
    iceberg_metadata_unref(metadata);
}

static void the_metadata_log_is_bounded(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = new_table(2);
    struct iceberg_change change;
    iceberg_change_init(&change);
    iceberg_change_set_property(&change, "write.metadata.previous-versions-max", "3");
    metadata = apply(metadata, &change);
    for (int64_t id = 1; id <= 5; id++)
        metadata = append(metadata, id);
    const json_t *log = json_object_get(metadata->document, "metadata-log");
    assert_int_equal(json_array_size(log), 3);
    assert_string_equal(iceberg_json_text(json_array_get(log, 2), "metadata-file"),
                        "file:///lake/t/metadata/v1.metadata.json+++++");
    iceberg_metadata_unref(metadata);
}

static void time_never_steps_back(void **state)
{
    (void)state;
    struct iceberg_metadata *metadata = append(new_table(2), 1);
    assert_int_equal(iceberg_metadata_clamp_ms(metadata, 5), metadata->last_updated_ms);
    assert_int_equal(iceberg_metadata_clamp_ms(metadata, INT64_MAX), INT64_MAX);
    struct iceberg_change change;
    iceberg_change_init(&change);
    iceberg_change_set_property(&change, "a", "b");
    struct iceberg_metadata *next = NULL;
    assert_ok(
        iceberg_metadata_apply(metadata, change.requirements, change.updates, 5, &next, &err));
    assert_int_equal(next->last_updated_ms, metadata->last_updated_ms);
    iceberg_change_done(&change);
    iceberg_metadata_unref(next);
    iceberg_metadata_unref(metadata);
}

// ---- URIs ---------------------------------------------------------------------------------------

static void uris_and_keys_belong_together(void **state)
{
    (void)state;
    static const struct {
        const char *location, *uri, *key;
    } cases[] = {
        {"file:///lake/t", "file:///lake/t/data/a b%20.parquet", "data/a b%20.parquet"},
        {"file:///lake/t", "file:/lake/t/data/a", "data/a"},
        {"file:///lake/t", "/lake/t/data/a", "data/a"},
        {"/lake/t/", "file:///lake/t/data/a", "data/a"},
        {"file:///lake/t", "file:///lake/t2/data/a", NULL},
        {"file:///lake/t", "file:///lake/t", NULL},
        {"file:///lake/t", "file:///lake/t/", NULL},
        {"s3a://b/t", "s3://b/t/data/a", "data/a"},
        {"s3://b/t", "/b/t/data/a", NULL},
        {"gs://b/t", "gs://b/t/x", "x"},
        {"gs://b/t", "abfs://b/t/x", NULL},
    };
    struct iceberg_metadata metadata = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metadata.location = cases[i].location;
        const char *key = iceberg_key_of_uri(&metadata, cases[i].uri);
        assert_int_equal(key != NULL, cases[i].key != NULL);
        if (key)
            assert_string_equal(key, cases[i].key);
    }
    struct mor_buffer uri = {0};
    metadata.location = "file:///lake/t/";
    iceberg_uri_of_key(&metadata, "data/a", &uri);
    assert_string_equal(mor_buffer_terminate(&uri), "file:///lake/t/data/a");
    mor_buffer_done(&uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_table_has_the_members_of_its_version, setup),
        cmocka_unit_test_setup(documents_come_back_packed_or_plain, setup),
        cmocka_unit_test_setup(documents_that_break_the_rules_are_refused, setup),
        cmocka_unit_test_setup(absent_and_null_current_snapshots_are_none, setup),
        cmocka_unit_test_setup(snapshots_are_added_and_logged, setup),
        cmocka_unit_test_setup(the_base_and_unknown_members_stay, setup),
        cmocka_unit_test_setup(requirements_that_do_not_hold_are_conflicts, setup),
        cmocka_unit_test_setup(updates_that_break_the_rules_are_refused, setup),
        cmocka_unit_test_setup(schemas_and_specs_are_added_once, setup),
        cmocka_unit_test_setup(removed_snapshots_take_their_log_and_statistics_along, setup),
        cmocka_unit_test_setup(the_metadata_log_is_bounded, setup),
        cmocka_unit_test_setup(time_never_steps_back, setup),
        cmocka_unit_test_setup(uris_and_keys_belong_together, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
