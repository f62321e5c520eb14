// The strict look: tables of ours are faultless after every kind of commit, and each planted defect
// is found.
#include "iceberg/iceberg_avro_schema.h"
#include "iceberg/iceberg_schema.h"
#include "iceberg/iceberg_table.h"
#include "iceberg_test.h"
#include "moraine/avro.h"

static void open_version(struct iceberg_fixture *fixture, int32_t version)
{
    fixture->base.options.format_version = version;
    table_open(&fixture->base);
}

// Rows of two partitions: inserted, updated, deleted.
static void fill(struct iceberg_fixture *fixture)
{
    static const struct table_row first[] = {{"a", 1, 0, 1, false}, {"b", 2, 0, 1, false},
                                             {"c", 3, 1, 1, false}, {"d", 4, -1, 1, false},
                                             {"f", 8, 0, 1, false}, {"g", 9, 1, 1, false}};
    static const struct table_row second[] = {{"a", 5, 0, 2, false}, {"e", 6, 1, 2, false}};
    static const struct table_row third[] = {{"b", 7, 0, 3, false}, {"c", 0, 1, 3, true}};
    iceberg_must_commit(fixture, first, 6);
    iceberg_must_commit(fixture, second, 2);
    iceberg_must_commit(fixture, third, 2);
}

// ---- looking ------------------------------------------------------------------------------------

struct found {
    struct mor_arena arena;
    struct mor_table_audit audit;
};

static struct found look(struct iceberg_fixture *fixture)
{
    struct found found = {0};
    struct mor_table *table = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    mor_arena_init(&found.arena, 0, NULL);
    if (mor_table_open_read(fixture->base.location, NULL, &table, &err) != MOR_OK ||
        mor_table_audit(table, &found.arena, &found.audit, &err) != MOR_OK)
        fail_msg("%s", err.message);
    mor_table_free(table);
    return found;
}

static void assert_faultless(struct iceberg_fixture *fixture)
{
    struct found found = look(fixture);
    for (size_t i = 0; i < found.audit.remark_count; i++)
        fail_msg("%d: %s %s: %s", (int)found.audit.remarks[i].kind, found.audit.remarks[i].version,
                 found.audit.remarks[i].key, found.audit.remarks[i].text);
    mor_arena_done(&found.arena);
}

static void assert_found(struct iceberg_fixture *fixture, enum mor_audit_kind kind,
                         const char *words)
{
    struct found found = look(fixture);
    bool seen = false;
    for (size_t i = 0; i < found.audit.remark_count; i++)
        seen |= found.audit.remarks[i].kind == kind &&
                (strstr(found.audit.remarks[i].text, words) != NULL ||
                 strstr(found.audit.remarks[i].key, words) != NULL);
    if (!seen) {
        for (size_t i = 0; i < found.audit.remark_count; i++)
            print_message("%d: %s: %s\n", (int)found.audit.remarks[i].kind,
                          found.audit.remarks[i].key, found.audit.remarks[i].text);
        fail_msg("'%s' was not found among %zu remarks", words, found.audit.remark_count);
    }
    mor_arena_done(&found.arena);
}

// ---- values -------------------------------------------------------------------------------------

struct value_faults {
    size_t count;
    char first[600];
};

static void take_fault(void *context, const char *key, const char *text)
{
    struct value_faults *faults = context;
    assert_non_null(strstr(key, "data/"));
    if (faults->count++ == 0)
        snprintf(faults->first, sizeof faults->first, "%s", text);
}

static struct mor_values_checked check_values(struct iceberg_fixture *fixture,
                                              struct value_faults *faults)
{
    struct mor_table *table = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_values_checked checked = {0};
    if (mor_table_open_read(fixture->base.location, NULL, &table, &err) != MOR_OK ||
        mor_table_check_values(table, take_fault, faults, &checked, &err) != MOR_OK)
        fail_msg("%s", err.message);
    mor_table_free(table);
    return checked;
}

// Instead of a kind of remark: it is the values that tell.
#define BY_VALUES ((enum mor_audit_kind)100)

static void assert_fault(struct iceberg_fixture *fixture, const char *words)
{
    struct value_faults faults = {0};
    check_values(fixture, &faults);
    if (faults.count != 1 || strstr(faults.first, words) == NULL)
        fail_msg("%zu faults, the first: %s", faults.count, faults.first);
}

// ---- planting -----------------------------------------------------------------------------------

static void overwrite(struct iceberg_fixture *fixture, const char *key, const void *bytes,
                      size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->base.location, key);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static struct iceberg_metadata *newest(struct iceberg_fixture *fixture)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_store *store = NULL;
    struct iceberg_metadata *metadata = NULL;
    if (mor_store_open(fixture->base.location, false, &store, &err) != MOR_OK)
        fail_msg("%s", err.message);
    struct iceberg_catalog *catalog = iceberg_catalog_open_files(store);
    if (iceberg_catalog_load(catalog, &metadata, &err) != MOR_OK)
        fail_msg("%s", err.message);
    iceberg_catalog_free(catalog);
    mor_store_free(store);
    return metadata;
}

static void put_document(struct iceberg_fixture *fixture, const struct iceberg_metadata *metadata,
                         const json_t *document)
{
    struct mor_buffer text = {0};
    iceberg_json_format(document, &text);
    overwrite(fixture, iceberg_key_of_uri(metadata, metadata->metadata_location), text.data,
              text.size_bytes);
    mor_buffer_done(&text);
}

// Replaces the text `from` in the newest document, looks, and puts the document back.
static void plant_in_document(struct iceberg_fixture *fixture, const char *path, json_t *value,
                              const char *words)
{
    struct iceberg_metadata *metadata = newest(fixture);
    json_t *document = json_deep_copy(metadata->document), *object = document;
    char copy[100];
    snprintf(copy, sizeof copy, "%s", path);
    char *part = copy, *slash;
    while ((slash = strchr(part, '/'))) {
        *slash = '\0';
        long index = strtol(part, NULL, 10);
        size_t count = json_array_size(object);
        object = json_is_array(object)
                     ? json_array_get(object, index < 0 ? count - (size_t)-index : (size_t)index)
                     : json_object_get(object, part);
        part = slash + 1;
    }
    json_object_set_new(object, part, value);
    put_document(fixture, metadata, document);
    assert_found(fixture, MOR_AUDIT_BROKEN, words);
    put_document(fixture, metadata, metadata->document);
    json_decref(document);
    iceberg_metadata_unref(metadata);
}

struct newest_list {
    struct iceberg_metadata *metadata;
    struct iceberg_snapshot snapshot;
    const char *key;
    struct mor_buffer bytes;
    struct mor_arena arena;
    struct iceberg_manifest_file *manifests;
    size_t count;
};

static void read_key(struct iceberg_fixture *fixture, const char *key, struct mor_buffer *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->base.location, key);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        mor_buffer_append(bytes, chunk, got);
    fclose(file);
}

static struct newest_list read_list(struct iceberg_fixture *fixture)
{
    struct newest_list list = {.metadata = newest(fixture)};
    struct mor_error err = MOR_ERROR_INIT;
    mor_arena_init(&list.arena, 0, NULL);
    assert_true(iceberg_metadata_snapshot(list.metadata, list.metadata->current_snapshot_id,
                                          &list.snapshot));
    list.key = iceberg_key_of_uri(list.metadata, list.snapshot.manifest_list);
    read_key(fixture, list.key, &list.bytes);
    if (iceberg_manifest_list_read(list.bytes.data, list.bytes.size_bytes, &list.arena,
                                   &list.manifests, &list.count, &err) != MOR_OK)
        fail_msg("%s", err.message);
    return list;
}

static void list_done(struct newest_list *list)
{
    iceberg_metadata_unref(list->metadata);
    mor_buffer_done(&list->bytes);
    mor_arena_done(&list->arena);
}

// Writes the list as it is in memory now, looks, and puts it back as it was.
static void plant_list(struct iceberg_fixture *fixture, struct newest_list *list,
                       enum mor_audit_kind kind, const char *words)
{
    const struct iceberg_manifest_list_options options = {
        .format_version = list->metadata->format_version,
        .snapshot_id = list->snapshot.snapshot_id,
        .parent_snapshot_id = list->snapshot.parent_id,
        .sequence_number = list->snapshot.sequence_number,
        .first_row_id = list->snapshot.first_row_id,
    };
    struct mor_buffer file = {0};
    struct mor_error err = MOR_ERROR_INIT;
    if (iceberg_manifest_list_encode(&options, list->manifests, list->count, &file, NULL, &err) !=
        MOR_OK)
        fail_msg("%s", err.message);
    overwrite(fixture, list->key, file.data, file.size_bytes);
    assert_found(fixture, kind, words);
    overwrite(fixture, list->key, list->bytes.data, list->bytes.size_bytes);
    mor_buffer_done(&file);
}

// Order 0 and another one.
static json_t *sort_orders(int id, int source, const char *transform, const char *direction)
{
    return json_pack("[{s:i,s:[]},{s:i,s:[{s:s,s:i,s:s,s:s}]}]", "order-id", 0, "fields",
                     "order-id", id, "fields", "transform", transform, "source-id", source,
                     "direction", direction, "null-order", "nulls-last");
}

// ---- tests --------------------------------------------------------------------------------------

static void tables_of_ours_are_faultless(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 2);
    assert_faultless(fixture); // without a snapshot
    fill(fixture);
    assert_faultless(fixture);
    struct found found = look(fixture);
    assert_true(found.audit.is_whole);
    assert_true(found.audit.file_count >= 6);
    mor_arena_done(&found.arena);
}

static void tables_of_version_3_are_faultless(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 3);
    assert_faultless(fixture);
    fill(fixture);
    assert_faultless(fixture);
}

static void defects_of_the_document_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 3);
    fill(fixture);
    table_close(&fixture->base);
    struct iceberg_metadata *metadata = newest(fixture);
    int64_t next = metadata->next_row_id;
    iceberg_metadata_unref(metadata);
    plant_in_document(fixture, "last-column-id", json_integer(1), "last-column-id is 1");
    plant_in_document(fixture, "last-partition-id", json_integer(999), "last-partition-id is 999");
    plant_in_document(fixture, "default-sort-order-id", json_integer(7), "default sort order 7");
    plant_in_document(fixture, "sort-orders", sort_orders(1, 99, "identity", "asc"), "by field 99");
    plant_in_document(fixture, "sort-orders", sort_orders(1, 1, "sideways", "asc"), "'sideways'");
    plant_in_document(fixture, "sort-orders", sort_orders(1, 1, "identity", "up"), "no direction");
    plant_in_document(fixture, "sort-orders", sort_orders(0, 1, "identity", "asc"), "there twice");
    plant_in_document(fixture, "sort-orders", sort_orders(0, 1, "identity", "asc"),
                      "sort order 0 has 1 fields");
    plant_in_document(fixture, "next-row-id", json_integer(next + 5), "next-row-id");
    plant_in_document(fixture, "properties/x", json_integer(1), "'x' is no text");
    plant_in_document(fixture, "schemas/0/identifier-field-ids", json_pack("[i]", 2), "identifier");
    plant_in_document(fixture, "snapshots/-1/first-row-id", json_integer(0), "was given before");
    plant_in_document(fixture, "snapshots/-1/sequence-number", json_integer(2), "its parent");
    plant_in_document(fixture, "snapshots/-1/schema-id", json_integer(9), "its schema 9");
    plant_in_document(fixture, "snapshots/-2/timestamp-ms", json_integer(INT64_C(9000000000000)),
                      "a minute older");
    plant_in_document(fixture, "snapshots/-1/summary/operation", json_string("append"),
                      "it is an append");
    plant_in_document(fixture, "snapshots/-1/summary/operation", json_string("compact"),
                      "none that the format knows");
    plant_in_document(fixture, "snapshots/-1/summary/total-records", json_string("99"),
                      "'total-records' is 99");
    plant_in_document(fixture, "snapshots/-1/summary/total-delete-files", json_integer(2),
                      "no number in text");
    plant_in_document(fixture, "snapshots/-1/summary/added-records", json_string("7"),
                      "'added-records' is 7");
    assert_faultless(fixture);
}

static void defects_of_the_list_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 3);
    fill(fixture);
    table_close(&fixture->base);
    struct newest_list list = read_list(fixture);
    struct iceberg_manifest_file *first = &list.manifests[0], saved = *first;
    assert_int_equal(first->content, ICEBERG_MANIFEST_DATA);
    first->length_bytes++;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "the list states");
    *first = saved;
    first->added_files++;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "added files, the manifest has");
    *first = saved;
    first->added_rows += 2;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "added rows, the manifest has");
    *first = saved;
    first->min_sequence_number = 100;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "least sequence number");
    *first = saved;
    first->sequence_number = 100;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "is after the snapshot's");
    *first = saved;
    first->spec_id = 44;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "spec 44 is not known");
    *first = saved;
    first->content = ICEBERG_MANIFEST_DELETES;
    plant_list(fixture, &list, MOR_AUDIT_UNREADABLE, "does not belong into this manifest");
    *first = saved;
    first->path = "file:///elsewhere/m.avro";
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "outside the table's location");
    *first = saved;
    struct iceberg_partition_summary summary = {.contains_nan = 0};
    first->partitions = &summary;
    first->partition_count = 1;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "leaves out");
    *first = saved;
    struct iceberg_manifest_file *manifests = list.manifests;
    struct iceberg_manifest_file twice[64];
    assert_true(list.count < 63);
    memcpy(twice, manifests, list.count * sizeof *twice);
    twice[list.count] = saved;
    list.manifests = twice;
    list.count++;
    plant_list(fixture, &list, MOR_AUDIT_BROKEN, "the snapshot has it twice");
    list.manifests = manifests;
    list.count--;
    assert_faultless(fixture);
    list_done(&list);
}

// Entries of the first manifest of the content, written again after `change` had its way.
static void plant_manifest(struct iceberg_fixture *fixture, enum iceberg_manifest_content content,
                           void (*change)(struct iceberg_entry *entry), enum mor_audit_kind kind,
                           const char *words)
{
    struct newest_list list = read_list(fixture);
    struct mor_error err = MOR_ERROR_INIT;
    size_t at = 0, count = 0;
    while (list.manifests[at].content != content ||
           list.manifests[at].added_files + list.manifests[at].existing_files == 0)
        assert_true(++at < list.count);
    struct iceberg_manifest_file *manifest = &list.manifests[at];
    const char *key = iceberg_key_of_uri(list.metadata, manifest->path);
    struct mor_buffer before = {0}, after = {0};
    read_key(fixture, key, &before);
    struct mor_schema *schema = NULL;
    struct iceberg_spec *spec = NULL;
    const json_t *json = iceberg_metadata_schema(list.metadata, list.metadata->current_schema_id);
    assert_int_equal(iceberg_schema_from_json(json, &schema, &err), MOR_OK);
    assert_int_equal(iceberg_spec_from_json(iceberg_metadata_spec(list.metadata, manifest->spec_id),
                                            schema, &spec, &err),
                     MOR_OK);
    struct iceberg_entry *entries = NULL;
    assert_int_equal(iceberg_manifest_read(before.data, before.size_bytes, manifest, spec,
                                           ICEBERG_READ_ALL, &list.arena, &entries, &count, &err),
                     MOR_OK);
    const struct iceberg_manifest_options options = {
        .format_version = list.metadata->format_version,
        .content = content,
        .schema = json,
        .spec = spec,
        .snapshot_id = manifest->added_snapshot_id,
    };
    struct iceberg_manifest_writer *writer = iceberg_manifest_writer_new(&options);
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        if (iceberg_entry_is_live(&entries[i]) && !changed) {
            change(&entries[i]);
            changed = true;
        }
        if (entries[i].status == ICEBERG_ADDED)
            entries[i].sequence_number = entries[i].file_sequence_number = -1;
        if (iceberg_manifest_writer_add(writer, &entries[i], true, &err) != MOR_OK)
            fail_msg("%s", err.message);
    }
    assert_true(changed);
    struct iceberg_manifest_file stated;
    assert_int_equal(iceberg_manifest_writer_finish(writer, &after, &list.arena, &stated, &err),
                     MOR_OK);
    overwrite(fixture, key, after.data, after.size_bytes);
    if (kind == BY_VALUES)
        assert_fault(fixture, words);
    else
        assert_found(fixture, kind, words);
    overwrite(fixture, key, before.data, before.size_bytes);
    iceberg_manifest_writer_free(writer);
    iceberg_spec_free(spec);
    mor_schema_free(schema);
    mor_buffer_done(&before);
    mor_buffer_done(&after);
    list_done(&list);
}

static void wrong_size(struct iceberg_entry *entry)
{
    entry->file.file_size_bytes++;
}
static void wrong_rows(struct iceberg_entry *entry)
{
    entry->file.record_count++;
}
static void wrong_target(struct iceberg_entry *entry)
{
    entry->file.referenced_data_file = "file:///nowhere.parquet";
}
static void wrong_path(struct iceberg_entry *entry)
{
    entry->file.file_path = "file:///elsewhere.parquet";
}
static void wrong_offset(struct iceberg_entry *entry)
{
    entry->file.content_offset++;
}

// Metrics are borrowed and constant: the entry gets others.
static struct iceberg_column_metrics planted[64];

static void take_metrics(struct iceberg_entry *entry)
{
    assert_true(entry->file.metric_count > 1 && entry->file.metric_count <= 64);
    memcpy(planted, entry->file.metrics, entry->file.metric_count * sizeof *planted);
    entry->file.metrics = planted;
    assert_int_equal(planted[0].field_id, 1); // id, a text
    assert_int_equal(planted[1].field_id, 2); // value, an int
}
static void wrong_lower(struct iceberg_entry *entry)
{
    take_metrics(entry);
    planted[0].lower = (struct iceberg_value){(const uint8_t *)"zz", 2};
}
static void wrong_upper(struct iceberg_entry *entry)
{
    take_metrics(entry);
    planted[1].upper = (struct iceberg_value){(const uint8_t *)"\0\0\0\0", 4};
}
static void wide_bound(struct iceberg_entry *entry)
{
    take_metrics(entry);
    planted[1].lower = (struct iceberg_value){(const uint8_t *)"\0\0\0\0\0\0\0\0", 8};
}
static void wrong_nulls(struct iceberg_entry *entry)
{
    take_metrics(entry);
    planted[1].null_count = 7;
}

static void sorted_by_5(struct iceberg_entry *entry)
{
    entry->file.sort_order_id = 5;
}
static void sorted_by_1(struct iceberg_entry *entry)
{
    entry->file.sort_order_id = 1;
}

static void rows_that_are_not_in_the_stated_order_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    static const struct table_row rows[] = {{"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}};
    open_version(fixture, 2);
    iceberg_must_commit(fixture, rows, 2);
    table_close(&fixture->base);
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, sorted_by_5, MOR_AUDIT_BROKEN, "sort order 5");
    struct iceberg_metadata *metadata = newest(fixture);
    json_t *document = json_deep_copy(metadata->document);
    struct value_faults faults = {0};
    // the files hold their rows by id, ascending
    json_object_set_new(document, "sort-orders", sort_orders(1, 1, "identity", "desc"));
    put_document(fixture, metadata, document);
    assert_faultless(fixture);
    check_values(fixture, &faults);
    assert_int_equal(faults.count, 0); // they say nothing of it
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, sorted_by_1, BY_VALUES, "not in sort order 1");
    json_decref(document);
    iceberg_metadata_unref(metadata);
}

static void take_element(struct iceberg_entry *entry, struct iceberg_column_metrics element)
{
    size_t count = entry->file.metric_count;
    assert_true(count > 1 && count < 64);
    memcpy(planted, entry->file.metrics, count * sizeof *planted);
    planted[count] = element;
    entry->file.metrics = planted;
    entry->file.metric_count++;
}
static void low_element(struct iceberg_entry *entry)
{
    take_element(entry, (struct iceberg_column_metrics){.field_id = 6,
                                                        .size_bytes = -1,
                                                        .value_count = 99,
                                                        .null_count = 99,
                                                        .nan_count = -1,
                                                        .upper = {(const uint8_t *)"A", 1}});
}
static void few_elements(struct iceberg_entry *entry)
{
    take_element(
        entry,
        (struct iceberg_column_metrics){
            .field_id = 6, .size_bytes = -1, .value_count = 0, .null_count = -1, .nan_count = -1});
}

static void what_is_stated_of_values_in_lists_is_compared(void **state)
{
    struct iceberg_fixture *fixture = *state;
    struct mor_field *tags =
        mor_schema_add(fixture->base.schema, NULL, "tags", MOR_TYPE_LIST, true);
    mor_schema_add(fixture->base.schema, tags, "element", MOR_TYPE_STRING, true);
    open_version(fixture, 2);
    fill(fixture);
    table_close(&fixture->base);
    struct value_faults faults = {0};
    check_values(fixture, &faults);
    assert_int_equal(faults.count, 0);
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, low_element, BY_VALUES,
                   "'element' has values above the bound");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, few_elements, BY_VALUES,
                   "0 values of column 'element'");
}

// The first vector of the newest snapshot.
static struct iceberg_data_file old_vector;
static char old_vector_path[300];

static void note_vector(struct iceberg_fixture *fixture)
{
    struct mor_table *head = NULL;
    struct mor_error err = MOR_ERROR_INIT;
    ICEBERG_AUTO_METADATA *metadata = NULL;
    ICEBERG_AUTO_STATE *now = NULL;
    assert_int_equal(mor_table_open_read(fixture->base.location, NULL, &head, &err), MOR_OK);
    assert_int_equal(iceberg_load(iceberg_of(head), &metadata, &err), MOR_OK);
    assert_int_equal(iceberg_state_open(iceberg_of(head), metadata, -1, &now, &err), MOR_OK);
    assert_int_equal(iceberg_state_load_files(iceberg_of(head), now, &err), MOR_OK);
    assert_int_equal(now->delete_count, 1);
    old_vector = now->deletes[0].entry->file;
    snprintf(old_vector_path, sizeof old_vector_path, "%s", old_vector.file_path);
    iceberg_state_unref(now);
    now = NULL;
    mor_table_free(head);
}
static void back_to_old_vector(struct iceberg_entry *entry)
{
    entry->file.file_path = old_vector_path;
    entry->file.content_offset = old_vector.content_offset;
    entry->file.content_size_bytes = old_vector.content_size_bytes;
    entry->file.record_count = old_vector.record_count;
    entry->file.file_size_bytes = old_vector.file_size_bytes;
}

// Between any two snapshots that are there, not only at the end.
static void rows_that_come_back_in_some_snapshot_are_found(void **state)
{
    static const struct table_row rows[] = {
        {"a", 1, 0, 1, false}, {"b", 2, 0, 1, false}, {"c", 3, 0, 1, false}, {"d", 4, 0, 1, false}};
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 3);
    iceberg_must_commit(fixture, rows, 4);
    for (int i = 0; i < 3; i++) {
        const struct table_row gone = {rows[i].id, 0, 0, 2 + i, true};
        iceberg_must_commit(fixture, &gone, 1);
        if (i == 0)
            note_vector(fixture);
    }
    const struct table_row other = {"x", 9, 1, 9, false};
    iceberg_must_commit(fixture, &other, 1);
    iceberg_must_commit(fixture, &(const struct table_row){"y", 9, 1, 9, false}, 1);
    table_close(&fixture->base);
    assert_faultless(fixture);
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, back_to_old_vector, MOR_AUDIT_BROKEN,
                   "row 1 of it was deleted before and is back");
}

static void bounds_and_counts_that_do_not_hold_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 2);
    fill(fixture);
    table_close(&fixture->base);
    struct value_faults faults = {0};
    struct mor_values_checked checked = check_values(fixture, &faults);
    assert_int_equal(faults.count, 0);
    assert_true(checked.files >= 4);
    assert_true(checked.bounds >= 20);
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_lower, BY_VALUES,
                   "'id' has values below the bound");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_upper, BY_VALUES,
                   "'value' has values above the bound");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wide_bound, BY_VALUES,
                   "the lower bound of column 'value' is no int");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_nulls, BY_VALUES, "7 nulls of column");
}

static void defects_of_manifests_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 3);
    fill(fixture);
    table_close(&fixture->base);
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_size, MOR_AUDIT_BROKEN,
                   "its end in the wrong place");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_rows, MOR_AUDIT_BROKEN,
                   "rows, the file has");
    plant_manifest(fixture, ICEBERG_MANIFEST_DATA, wrong_path, MOR_AUDIT_BROKEN, "lies outside");
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_target, MOR_AUDIT_BROKEN,
                   "which the snapshot does not have");
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_target, MOR_AUDIT_BROKEN,
                   "something else of the vector");
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_offset, MOR_AUDIT_BROKEN, "no blob at");
    assert_faultless(fixture);
}

static void defects_of_position_deletes_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 2);
    fill(fixture);
    table_close(&fixture->base);
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_target, MOR_AUDIT_BROKEN,
                   "rows of other files");
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_target, MOR_AUDIT_IDLE,
                   "which the snapshot does not have");
    plant_manifest(fixture, ICEBERG_MANIFEST_DELETES, wrong_rows, MOR_AUDIT_BROKEN,
                   "rows, the file has");
    assert_faultless(fixture);
}

static void files_that_are_lost_or_left_over_are_found(void **state)
{
    struct iceberg_fixture *fixture = *state;
    open_version(fixture, 2);
    fill(fixture);
    table_close(&fixture->base);
    overwrite(fixture, "data/stray.parquet", "x", 1);
    assert_found(fixture, MOR_AUDIT_LEFTOVER, "data/stray.parquet");
    overwrite(fixture, "metadata/version-hint.text", "9999", 4);
    assert_found(fixture, MOR_AUDIT_BROKEN, "it says 9999");
    overwrite(fixture, "metadata/version-hint.text", "v4", 2);
    assert_found(fixture, MOR_AUDIT_BROKEN, "no number");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->base.location, fixture->rows[0].file);
    assert_int_equal(unlink(path), 0);
    assert_found(fixture, MOR_AUDIT_MISSING, fixture->rows[0].file);
    struct newest_list list = read_list(fixture);
    snprintf(path, sizeof path, "%s/%s", fixture->base.location, list.key);
    assert_int_equal(truncate(path, 100), 0);
    assert_found(fixture, MOR_AUDIT_UNREADABLE, list.key);
    list_done(&list);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, iceberg_setup, iceberg_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tables_of_ours_are_faultless),
        TEST(tables_of_version_3_are_faultless),
        TEST(defects_of_the_document_are_found),
        TEST(defects_of_the_list_are_found),
        TEST(defects_of_manifests_are_found),
        TEST(bounds_and_counts_that_do_not_hold_are_found),
        TEST(rows_that_are_not_in_the_stated_order_are_found),
        TEST(what_is_stated_of_values_in_lists_is_compared),
        TEST(rows_that_come_back_in_some_snapshot_are_found),
        TEST(defects_of_position_deletes_are_found),
        TEST(files_that_are_lost_or_left_over_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
