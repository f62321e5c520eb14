// hoodie.properties of a new table, and how far one on disk fits what the caller wants.
#include <stdio.h>
#include <string.h>

#include "hudi/hudi_table.h"
#include "partition_path.h"

#define PROVENANCE_KEY "_kafka_partition,_kafka_offset"

static char *join_keys(const struct mor_table *table)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < table->key_column_count; i++) {
        if (i > 0)
            mor_buffer_append_u8(&text, ',');
        mor_buffer_append_text(&text, table->schema->root.children[table->key_columns[i]].name);
    }
    // an append-only row is named by where it came from
    if (table->key_column_count == 0 && mor_schema_find(table->schema, "_kafka_partition") >= 0 &&
        mor_schema_find(table->schema, "_kafka_offset") >= 0)
        mor_buffer_append_text(&text, PROVENANCE_KEY);
    return mor_strdup(mor_buffer_terminate(&text));
}

static char *join_partitions(const struct mor_table *table, bool transforms)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t i = 0; i < table->partition_column_count; i++) {
        const struct mor_partition_column *column = &table->partition_columns[i];
        const char *source = table->schema->root.children[column->column].name;
        if (i > 0)
            mor_buffer_append_u8(&text, ',');
        if (transforms && column->transform != MOR_TRANSFORM_IDENTITY)
            mor_buffer_printf(&text, "%s(%s)", mor_transform_name(column->transform), source);
        else
            mor_buffer_append_text(&text, column->path_name);
    }
    return mor_strdup(mor_buffer_terminate(&text));
}

static void set_key_generator(const struct hudi_table *table, size_t key_count,
                              struct hudi_properties *properties)
{
    static const char *const names[][2] = {
        {"org.apache.hudi.keygen.NonpartitionedKeyGenerator", "NON_PARTITION"},
        {"org.apache.hudi.keygen.SimpleKeyGenerator", "SIMPLE"},
        {"org.apache.hudi.keygen.ComplexKeyGenerator", "COMPLEX"},
    };
    size_t partitions = table->table.partition_column_count;
    size_t kind = partitions == 0 ? 0 : partitions == 1 && key_count == 1 ? 1 : 2;
    if (table->version == 6)
        hudi_properties_set(properties, "hoodie.table.keygenerator.class", names[kind][0]);
    else
        hudi_properties_set(properties, "hoodie.table.keygenerator.type", names[kind][1]);
}

static void set_merging(const struct hudi_table *table, struct hudi_properties *properties)
{
    if (table->version == 6) {
        hudi_properties_set(properties, "hoodie.compaction.payload.class", HUDI_PAYLOAD_ORDERING);
        if (!table->ordering_name)
            return;
        hudi_properties_set(properties, "hoodie.table.precombine.field", table->ordering_name);
        // Hudi 0.x's compactor orders by these (default "ts"), not by the precombine field
        hudi_properties_set(properties, "hoodie.payload.ordering.field", table->ordering_name);
        hudi_properties_set(properties, "hoodie.payload.event.time.field", table->ordering_name);
        return;
    }
    hudi_properties_set(properties, "hoodie.record.merge.mode",
                        table->ordering_name ? "EVENT_TIME_ORDERING" : "COMMIT_TIME_ORDERING");
    if (table->ordering_name)
        hudi_properties_set(properties, "hoodie.table.ordering.fields", table->ordering_name);
}

static void set_layout(const struct hudi_table *table, struct hudi_properties *properties)
{
    char text[16];
    snprintf(text, sizeof text, "%d", table->version);
    hudi_properties_set(properties, "hoodie.table.version", text);
    snprintf(text, sizeof text, "%d", table->layout);
    hudi_properties_set(properties, "hoodie.timeline.layout.version", text);
    hudi_properties_set(properties, "hoodie.archivelog.folder", "archived");
    hudi_properties_set(properties, "hoodie.table.timeline.timezone", "UTC");
    if (table->version == 6)
        return;
    snprintf(text, sizeof text, "%d", table->version);
    hudi_properties_set(properties, "hoodie.table.initial.version", text);
    hudi_properties_set(properties, "hoodie.timeline.path", "timeline");
    hudi_properties_set(properties, "hoodie.timeline.history.path", "history");
    hudi_properties_set(properties, "hoodie.table.format", "native");
}

static void set_buckets(const struct hudi_table *table, const char *keys,
                        struct hudi_properties *properties)
{
    if (table->table.bucket_count == 0)
        return;
    // not table properties by Hudi's book, but under the names of its writers' options
    char text[16];
    snprintf(text, sizeof text, "%d", table->table.bucket_count);
    hudi_properties_set(properties, "hoodie.index.type", "BUCKET");
    hudi_properties_set(properties, "hoodie.bucket.index.num.buckets", text);
    hudi_properties_set(properties, "hoodie.bucket.index.hash.field", keys);
    // Java writers that find a hash field here split this one, and fail when it is absent
    hudi_properties_set(properties, "hoodie.datasource.write.recordkey.field", keys);
}

void hudi_create_properties(const struct hudi_table *table, struct hudi_properties *properties)
{
    const struct mor_table *head = &table->table;
    MOR_AUTO_FREE char *keys = join_keys(head);
    MOR_AUTO_FREE char *partitions = join_partitions(head, false);
    MOR_AUTO_FREE char *transforms = join_partitions(head, true);
    char checksum[16];
    hudi_properties_set(properties, "hoodie.table.name", head->name);
    hudi_properties_set(properties, "hoodie.database.name", head->database);
    hudi_properties_set(properties, "hoodie.table.type", "MERGE_ON_READ");
    set_layout(table, properties);
    if (*keys)
        hudi_properties_set(properties, "hoodie.table.recordkey.fields", keys);
    if (*partitions) {
        hudi_properties_set(properties, "hoodie.table.partition.fields", partitions);
        hudi_properties_set(properties, HUDI_PARTITION_BY_KEY, transforms);
    }
    size_t key_count = head->key_column_count > 0 ? head->key_column_count : *keys ? 2 : 1;
    set_key_generator(table, key_count, properties);
    set_merging(table, properties);
    set_buckets(table, keys, properties);
    hudi_properties_set(properties, "hoodie.datasource.write.hive_style_partitioning", "true");
    hudi_properties_set(properties, "hoodie.datasource.write.partitionpath.urlencode",
                        head->escape_partition_values ? "true" : "false");
    hudi_properties_set(properties, "hoodie.datasource.write.drop.partition.columns", "false");
    hudi_properties_set(properties, "hoodie.populate.meta.fields", "true");
    hudi_properties_set(properties, "hoodie.table.base.file.format", "PARQUET");
    hudi_properties_set(properties, "hoodie.table.create.schema", table->schema_json);
    snprintf(checksum, sizeof checksum, "%u", hudi_table_checksum(head->database, head->name));
    hudi_properties_set(properties, "hoodie.table.checksum", checksum);
}

// ---- a table that is there ----------------------------------------------------------------------

static enum mor_status same_list(const struct hudi_properties *properties, const char *key,
                                 const char *wanted, const char *what, struct mor_error *err)
{
    const char *value = hudi_properties_get(properties, key);
    if (!value)
        value = "";
    // custom key generators write "field:TYPE"
    MOR_AUTO_BUFFER plain = {0};
    for (const char *c = value; *c; c++) {
        if (*c == ':') {
            c += strcspn(c, ",");
            if (!*c)
                break;
        }
        if (*c != ' ')
            mor_buffer_append_u8(&plain, (uint8_t)*c);
    }
    if (strcmp(mor_buffer_terminate(&plain), wanted) == 0)
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL, "the table's %s is '%s' (%s), the configuration says '%s'",
                         what, value, key, wanted);
}

static enum mor_status check_buckets(const struct hudi_table *table, struct mor_error *err)
{
    int32_t buckets = hudi_properties_int(&table->properties, "hoodie.bucket.index.num.buckets",
                                          table->table.bucket_count);
    if (buckets == table->table.bucket_count)
        return MOR_OK;
    return mor_error_set(err, MOR_FATAL,
                         "the table has %d buckets per partition, the configuration says %d; the "
                         "number cannot be changed",
                         buckets, table->table.bucket_count);
}

enum mor_status hudi_check_options(const struct hudi_table *table, int version_wanted,
                                   struct mor_error *err)
{
    const struct hudi_properties *properties = &table->properties;
    const struct mor_table *head = &table->table;
    if (table->version != version_wanted)
        return mor_error_set(err, MOR_FATAL,
                             "the table has Hudi table version %d, the configuration says %d",
                             table->version, version_wanted);
    const char *type = hudi_properties_get(properties, "hoodie.table.type");
    if (!type || strcmp(type, "MERGE_ON_READ") != 0)
        return mor_error_set(err, MOR_FATAL,
                             "the table's type is %s, only MERGE_ON_READ is written",
                             type ? type : "not stated");
    MOR_AUTO_FREE char *keys = join_keys(head);
    MOR_AUTO_FREE char *partitions = join_partitions(head, false);
    MOR_AUTO_FREE char *transforms = join_partitions(head, true);
    MOR_TRY(same_list(properties, "hoodie.table.recordkey.fields", keys, "key", err));
    MOR_TRY(
        same_list(properties, "hoodie.table.partition.fields", partitions, "partitioning", err));
    if (hudi_properties_get(properties, HUDI_PARTITION_BY_KEY))
        MOR_TRY(same_list(properties, HUDI_PARTITION_BY_KEY, transforms, "partitioning", err));
    if (head->keyed)
        MOR_TRY(same_list(
            properties,
            table->version >= 9 ? "hoodie.table.ordering.fields" : "hoodie.table.precombine.field",
            table->ordering_name ? table->ordering_name : "", "ordering column", err));
    if (head->partition_column_count > 0 &&
        !hudi_properties_is_true(properties, "hoodie.datasource.write.hive_style_partitioning"))
        return mor_error_set(err, MOR_FATAL,
                             "the table's partition paths are not of the form name=value");
    if (hudi_properties_is_true(properties, "hoodie.datasource.write.drop.partition.columns"))
        return mor_error_set(err, MOR_FATAL,
                             "the table drops its partition columns from the files");
    if (!table->has_meta_columns)
        return mor_error_set(err, MOR_FATAL, "the table has no meta columns");
    const char *metadata = hudi_properties_get(properties, "hoodie.table.metadata.partitions");
    if (metadata && *metadata)
        return mor_error_set(err, MOR_FATAL,
                             "the table has a Hudi metadata table (%s), which would hide what is "
                             "written here; delete it (hoodie.metadata.enable=false) first",
                             metadata);
    return check_buckets(table, err);
}

// ---- has it changed -----------------------------------------------------------------------------

static enum mor_status name_difference(const struct hudi_properties *before,
                                       const struct hudi_properties *now, struct mor_error *err)
{
    for (size_t i = 0; i < now->map.count; i++) {
        const char *key = now->map.entries[i].key, *value = now->map.entries[i].value.pointer;
        const char *old = hudi_properties_get(before, key);
        if (old && strcmp(old, value) == 0)
            continue;
        const char *why = strcmp(key, "hoodie.table.version") == 0
                              ? "another program upgraded the table"
                          : strncmp(key, "hoodie.table.metadata.", 22) == 0
                              ? "another program turned on Hudi's metadata table, which would "
                                "hide what is written here"
                              : "another program changed the table's properties";
        return mor_error_set(err, MOR_FATAL, "%s: %s is '%.200s' and was %s%.200s%s", why, key,
                             value, old ? "'" : "", old ? old : "absent", old ? "'" : "");
    }
    for (size_t i = 0; i < before->map.count; i++) {
        if (!hudi_properties_get(now, before->map.entries[i].key))
            return mor_error_set(err, MOR_FATAL,
                                 "another program changed the table's properties: %s was removed",
                                 before->map.entries[i].key);
    }
    return MOR_OK; // comments or order only
}

enum mor_status hudi_properties_unchanged(struct hudi_table *table, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    enum mor_status status = mor_store_get(table->table.store, HUDI_PROPERTIES_KEY,
                                           HUDI_PROPERTIES_BYTES_MAX, &bytes, err);
    if (status == MOR_NOT_FOUND)
        return mor_error_set(
            err, MOR_FATAL,
            "the table was deleted or moved while it was written: '%s/%s' is gone. "
            "Put it back, or restart to begin a new table there",
            mor_store_location(table->table.store), HUDI_PROPERTIES_KEY);
    if (status != MOR_OK)
        return status;
    if (bytes.size_bytes == table->properties_bytes.size_bytes &&
        memcmp(bytes.data, table->properties_bytes.data, bytes.size_bytes) == 0)
        return MOR_OK;
    struct hudi_properties now = {0};
    status = hudi_properties_parse(&now, bytes.data, bytes.size_bytes, err);
    if (status == MOR_OK)
        status = name_difference(&table->properties, &now, err);
    else
        status = mor_error_set(err, MOR_FATAL, "the table's properties file is damaged");
    hudi_properties_done(&now);
    return status;
}
