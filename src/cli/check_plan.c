// What a topic's file leads to, for a person: the table as Spark SQL, and what to expect per hour.

#include <stdio.h>

#include "check.h"

// ---- DDL ----------------------------------------------------------------------------------------

static const struct {
    const char *type, *sql;
} plain_types[] = {
    {"boolean", "BOOLEAN"},
    {"int", "INT"},
    {"long", "BIGINT"},
    {"float", "FLOAT"},
    {"double", "DOUBLE"},
    {"date", "DATE"},
    {"time_ms", "INT"},
    {"time_us", "BIGINT"},
    {"timestamp_ms", "TIMESTAMP"},
    {"timestamp_us", "TIMESTAMP"},
    {"string", "STRING"},
    {"bytes", "BINARY"},
    {"uuid", "STRING"},
};

// Writes the type that begins at *at and leaves *at behind it.
static void append_sql_type(const char **at, struct mor_buffer *out);

static void append_struct(const char **at, struct mor_buffer *out)
{
    mor_buffer_append_text(out, "STRUCT<");
    for (const char *separator = ""; **at != '\0' && **at != '>'; separator = ", ") {
        *at += **at == ',';
        size_t length = strcspn(*at, ":");
        mor_buffer_printf(out, "%s%.*s: ", separator, (int)length, *at);
        *at += length + ((*at)[length] == ':');
        append_sql_type(at, out);
    }
    *at += **at == '>';
    mor_buffer_append_u8(out, '>');
}

static void append_sql_type(const char **at, struct mor_buffer *out)
{
    size_t length = strcspn(*at, "<>(,\n ");
    const char *name = *at;
    *at += length;
    if (**at == '<') {
        (*at)++;
        if (strncmp(name, "struct", length) == 0) {
            append_struct(at, out);
            return;
        }
        mor_buffer_append_text(out, strncmp(name, "map", length) == 0 ? "MAP<STRING, " : "ARRAY<");
        append_sql_type(at, out);
        *at += **at == '>';
        mor_buffer_append_u8(out, '>');
    } else if (**at == '(') { // decimal(12,2)
        size_t arguments = strcspn(*at, ")") + 1;
        mor_buffer_printf(out, "DECIMAL%.*s", (int)arguments, *at);
        *at += arguments;
    } else {
        for (size_t i = 0; i < sizeof plain_types / sizeof plain_types[0]; i++)
            if (strlen(plain_types[i].type) == length &&
                strncmp(plain_types[i].type, name, length) == 0)
                mor_buffer_append_text(out, plain_types[i].sql);
    }
}

static void append_columns(const char *columns, struct mor_buffer *out)
{
    for (const char *at = columns; *at != '\0';) {
        size_t length = strcspn(at, " ");
        mor_buffer_printf(out, "%s  %.*s ", at == columns ? "" : ",\n", (int)length, at);
        at += length + (at[length] == ' ');
        append_sql_type(&at, out);
        if (strncmp(at, " not null", 9) == 0)
            mor_buffer_append_text(out, " NOT NULL");
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    mor_buffer_append_u8(out, '\n');
}

static void append_names(const char *before, const char *const *names, size_t count,
                         const char *after, struct mor_buffer *out)
{
    for (size_t i = 0; i < count; i++)
        mor_buffer_printf(out, "%s%s", i == 0 ? before : ", ", names[i]);
    if (count > 0)
        mor_buffer_append_text(out, after);
}

static const char *table_name(const struct mor_config_topic *topic)
{
    const char *slash = strrchr(topic->table.location, '/');
    if (topic->table.catalog.name != NULL)
        return topic->table.catalog.table;
    return topic->table.name != NULL ? topic->table.name
           : slash != NULL           ? slash + 1
                                     : topic->table.location;
}

static void append_hudi_properties(const struct mor_config_topic *topic, struct mor_buffer *out)
{
    append_names("TBLPROPERTIES (type = 'mor', primaryKey = '", topic->key.items, topic->key.count,
                 "'", out);
    if (topic->ordering != NULL)
        mor_buffer_printf(out, ", preCombineField = '%s'", topic->ordering);
    mor_buffer_printf(out,
                      ",\n  hoodie.index.type = 'BUCKET', "
                      "hoodie.bucket.index.num.buckets = '%lld')",
                      (long long)topic->table.buckets);
}

static void append_ddl(const struct mor_config_topic *topic, const char *columns,
                       struct mor_buffer *out)
{
    static const char *const formats[] = {[MOR_CONFIG_TABLE_HUDI] = "hudi",
                                          [MOR_CONFIG_TABLE_ICEBERG] = "iceberg",
                                          [MOR_CONFIG_TABLE_DELTA] = "delta"};
    const char *catalog = topic->table.catalog.name;
    mor_buffer_printf(out, "CREATE TABLE %s%s%s.%s (\n", catalog != NULL ? catalog : "",
                      catalog != NULL ? "." : "",
                      catalog != NULL ? topic->table.catalog.namespace_ : topic->table.database,
                      table_name(topic));
    append_columns(columns, out);
    mor_buffer_printf(out, ") USING %s\n", formats[topic->table.format]);
    append_names("PARTITIONED BY (", topic->table.partition_by.items,
                 topic->table.partition_by.count, ")\n", out);
    if (catalog == NULL) // a catalog chooses
        mor_buffer_printf(out, "LOCATION '%s'\n", topic->table.location);
    if (topic->table.format == MOR_CONFIG_TABLE_HUDI && topic->key.count > 0)
        append_hudi_properties(topic, out);
    if (topic->table.format == MOR_CONFIG_TABLE_ICEBERG)
        mor_buffer_printf(out, "TBLPROPERTIES ('format-version' = '%lld'%s)",
                          (long long)topic->table.format_version,
                          topic->key.count > 0 ? ", 'write.delete.mode' = 'merge-on-read'" : "");
    out->size_bytes -= out->data[out->size_bytes - 1] == '\n' ? 1 : 0;
    mor_buffer_append_text(out, ";\n");
}

// ---- per hour -----------------------------------------------------------------------------------

#define HOUR_MS 3600000

static void append_expectation(const struct mor_config_topic *topic,
                               const struct mor_source_probe *probe, struct mor_buffer *out)
{
    int64_t commits = HOUR_MS / topic->commit.interval_ms;
    int64_t records = probe != NULL ? probe->records_of_last_hour : -1;
    if (records >= 0) {
        int64_t by_rows = records / topic->commit.max_rows;
        commits = by_rows > commits ? by_rows : commits;
        commits = records < commits ? records : commits;
        mor_buffer_printf(out,
                          "%d partitions, %lld records in Kafka, %lld of them from the last hour\n",
                          probe->partition_count, (long long)probe->records, (long long)records);
    }
    int64_t files = topic->key.count > 0 ? topic->table.buckets : 1;
    mor_buffer_printf(out,
                      "per hour: up to %lld commits; each writes up to %lld file%s per table "
                      "partition that it touches: up to %lld files%s\n",
                      (long long)commits, (long long)files, files == 1 ? "" : "s",
                      (long long)(commits * files),
                      topic->table.partition_by.count > 0 ? " while one partition is written" : "");
    if (topic->table.format != MOR_CONFIG_TABLE_ICEBERG || topic->key.count == 0)
        return;
    mor_buffer_append_text(out, topic->table.format_version >= 3
                                    ? "changed and deleted rows: one Puffin file per commit and "
                                      "table partition, with a vector for each data file they lie "
                                      "in\n"
                                    : "changed and deleted rows: one position-delete file per "
                                      "commit for each data file they lie in\n");
}

void check_print_plan(const struct mor_config_topic *topic, const char *columns,
                      const struct mor_source_probe *probe)
{
    MOR_AUTO_BUFFER out = {0};
    mor_buffer_printf(&out,
                      "-- topic %s, as Spark SQL (for reading: moraine creates the table itself)\n",
                      topic->topic);
    append_ddl(topic, columns, &out);
    mor_buffer_append_text(&out, "-- columns as the topic's file names their types\n");
    mor_buffer_append_text(&out, columns);
    append_expectation(topic, probe, &out);
    (void)fputs(mor_buffer_terminate(&out), stdout);
}
