#include "hudi/hudi_metadata.h"

#include <string.h>

#include "moraine/avro.h"

// Java's generated classes look for the annotated string type.
#define STRING                "{\"type\":\"string\",\"avro.java.string\":\"String\"}"
#define NULLABLE(t)           "[\"null\"," t "]"
#define FIELD(name, type)     "{\"name\":\"" name "\",\"type\":" type "}"
#define OPTIONAL(name, type)  "{\"name\":\"" name "\",\"type\":" NULLABLE(type) ",\"default\":null}"
#define OPTIONAL_STRING(name) OPTIONAL(name, STRING)
#define OPTIONAL_LONG(name)   OPTIONAL(name, "\"long\"")
#define ARRAY(items)          "{\"type\":\"array\",\"items\":" items "}"
#define MAP(values)           "{\"type\":\"map\",\"values\":" values ",\"avro.java.string\":\"String\"}"
#define RECORD(name, fields)  "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define ROOT(name, fields)                                                                         \
    "{\"type\":\"record\",\"name\":\"" name                                                        \
    "\",\"namespace\":\"org.apache.hudi.avro.model\",\"fields\":[" fields "]}"
#define VERSION "{\"name\":\"version\",\"type\":[\"int\",\"null\"],\"default\":1}"

// clang-format off
#define COMMIT_FIELDS \
    OPTIONAL("partitionToWriteStats", MAP(ARRAY(RECORD("HoodieWriteStat", \
        OPTIONAL_STRING("fileId") "," \
        OPTIONAL_STRING("path") "," \
        OPTIONAL_STRING("prevCommit") "," \
        OPTIONAL_LONG("numWrites") "," \
        OPTIONAL_LONG("numDeletes") "," \
        OPTIONAL_LONG("numUpdateWrites") "," \
        OPTIONAL_LONG("totalWriteBytes") "," \
        OPTIONAL_LONG("totalWriteErrors") "," \
        OPTIONAL_STRING("partitionPath") "," \
        OPTIONAL_LONG("totalLogRecords") "," \
        OPTIONAL_LONG("totalLogFiles") "," \
        OPTIONAL_LONG("totalUpdatedRecordsCompacted") "," \
        OPTIONAL_LONG("numInserts") "," \
        OPTIONAL_LONG("totalLogBlocks") "," \
        OPTIONAL_LONG("totalCorruptLogBlock") "," \
        OPTIONAL_LONG("totalRollbackBlocks") "," \
        OPTIONAL_LONG("fileSizeInBytes") "," \
        OPTIONAL("logVersion", "\"int\"") "," \
        OPTIONAL_LONG("logOffset") "," \
        OPTIONAL_STRING("baseFile") "," \
        OPTIONAL("logFiles", ARRAY(STRING)) "," \
        OPTIONAL("cdcStats", MAP("\"long\"")) "," \
        OPTIONAL_STRING("prevBaseFile") "," \
        OPTIONAL_LONG("minEventTime") "," \
        OPTIONAL_LONG("maxEventTime") "," \
        OPTIONAL("runtimeStats", RECORD("HoodieRuntimeStats", \
            OPTIONAL_LONG("totalScanTime") "," \
            OPTIONAL_LONG("totalCreateTime") "," \
            OPTIONAL_LONG("totalUpsertTime"))) "," \
        OPTIONAL_LONG("totalLogFilesCompacted") "," \
        OPTIONAL_LONG("totalLogReadTimeMs") "," \
        OPTIONAL_LONG("totalLogSizeCompacted") "," \
        OPTIONAL_STRING("tempPath") "," \
        OPTIONAL_LONG("numUpdates"))))) "," \
    OPTIONAL("compacted", "\"boolean\"") "," \
    OPTIONAL("extraMetadata", MAP(STRING)) "," \
    VERSION "," \
    OPTIONAL_STRING("operationType")

static const char commit_schema[] = ROOT("HoodieCommitMetadata", COMMIT_FIELDS);

static const char replace_schema[] = ROOT("HoodieReplaceCommitMetadata",
    COMMIT_FIELDS ","
    OPTIONAL("partitionToReplaceFileIds", MAP(ARRAY(STRING))));

#define INSTANT_INFO RECORD("HoodieInstantInfo", FIELD("commitTime", STRING) "," FIELD("action", STRING))

static const char rollback_plan_schema[] = ROOT("HoodieRollbackPlan",
    OPTIONAL("instantToRollback", INSTANT_INFO) ","
    OPTIONAL("RollbackRequests", ARRAY(RECORD("HoodieRollbackRequest",
        FIELD("partitionPath", STRING) ","
        OPTIONAL_STRING("fileId") ","
        OPTIONAL_STRING("latestBaseInstant") ","
        FIELD("filesToBeDeleted", ARRAY(STRING)) ","
        OPTIONAL("logBlocksToBeDeleted", MAP("\"long\""))))) ","
    VERSION);

static const char rollback_schema[] = ROOT("HoodieRollbackMetadata",
    FIELD("startRollbackTime", STRING) ","
    FIELD("timeTakenInMillis", "\"long\"") ","
    FIELD("totalFilesDeleted", "\"int\"") ","
    FIELD("commitsRollback", ARRAY(STRING)) ","
    FIELD("partitionMetadata", MAP(RECORD("HoodieRollbackPartitionMetadata",
        FIELD("partitionPath", STRING) ","
        FIELD("successDeleteFiles", ARRAY(STRING)) ","
        FIELD("failedDeleteFiles", ARRAY(STRING)) ","
        OPTIONAL("rollbackLogFiles", MAP("\"long\"")) ","
        OPTIONAL("logFilesFromFailedCommit", MAP("\"long\""))))) ","
    VERSION ","
    "{\"name\":\"instantsRollback\",\"type\":" ARRAY(INSTANT_INFO) ",\"default\":[]}");

static const char compaction_plan_schema[] = ROOT("HoodieCompactionPlan",
    OPTIONAL("operations", ARRAY(RECORD("HoodieCompactionOperation",
        FIELD("baseInstantTime", NULLABLE(STRING)) ","
        OPTIONAL("deltaFilePaths", ARRAY(STRING)) ","
        OPTIONAL_STRING("dataFilePath") ","
        OPTIONAL_STRING("fileId") ","
        OPTIONAL_STRING("partitionPath") ","
        OPTIONAL("metrics", MAP("\"double\"")) ","
        OPTIONAL_STRING("bootstrapFilePath")))) ","
    OPTIONAL("extraMetadata", MAP(STRING)) ","
    VERSION);

static const char clean_plan_schema[] = ROOT("HoodieCleanerPlan",
    OPTIONAL("earliestInstantToRetain", RECORD("HoodieActionInstant",
        FIELD("timestamp", STRING) "," FIELD("action", STRING) "," FIELD("state", STRING))) ","
    "{\"name\":\"lastCompletedCommitTimestamp\",\"type\":" STRING ",\"default\":\"\"},"
    FIELD("policy", STRING) ","
    OPTIONAL("filesToBeDeletedPerPartition", MAP(ARRAY(STRING))) ","
    VERSION ","
    OPTIONAL("filePathsToBeDeletedPerPartition", MAP(ARRAY(RECORD("HoodieCleanFileInfo",
        OPTIONAL_STRING("filePath") ","
        OPTIONAL("isBootstrapBaseFile", "\"boolean\""))))) ","
    OPTIONAL("partitionsToBeDeleted", ARRAY(STRING)));

static const char clean_schema[] = ROOT("HoodieCleanMetadata",
    FIELD("startCleanTime", STRING) ","
    FIELD("timeTakenInMillis", "\"long\"") ","
    FIELD("totalFilesDeleted", "\"int\"") ","
    FIELD("earliestCommitToRetain", STRING) ","
    "{\"name\":\"lastCompletedCommitTimestamp\",\"type\":" STRING ",\"default\":\"\"},"
    FIELD("partitionMetadata", MAP(RECORD("HoodieCleanPartitionMetadata",
        FIELD("partitionPath", STRING) ","
        FIELD("policy", STRING) ","
        FIELD("deletePathPatterns", ARRAY(STRING)) ","
        FIELD("successDeleteFiles", ARRAY(STRING)) ","
        FIELD("failedDeleteFiles", ARRAY(STRING)) ","
        OPTIONAL("isPartitionDeleted", "\"boolean\"")))) ","
    VERSION);
// clang-format on

static const char *const schemas[] = {
    [HUDI_RECORD_COMMIT] = commit_schema,
    [HUDI_RECORD_ROLLBACK_PLAN] = rollback_plan_schema,
    [HUDI_RECORD_ROLLBACK] = rollback_schema,
    [HUDI_RECORD_COMPACTION_PLAN] = compaction_plan_schema,
    [HUDI_RECORD_REPLACE_COMMIT] = replace_schema,
    [HUDI_RECORD_CLEAN_PLAN] = clean_plan_schema,
    [HUDI_RECORD_CLEAN] = clean_schema,
};

enum mor_status hudi_metadata_to_avro(enum hudi_record record, const json_t *json,
                                      struct mor_buffer *ret_bytes, struct mor_error *err)
{
    const char *schema_json = schemas[record];
    struct mor_avro_schema *schema = NULL;
    MOR_TRY(mor_avro_schema_parse(schema_json, strlen(schema_json), &schema, err));
    MOR_AUTO_BUFFER text = {0};
    MOR_AUTO_BUFFER datum = {0};
    hudi_metadata_to_json(json, &text);
    enum mor_status status =
        mor_avro_json_to_datum(schema, (const char *)text.data, text.size_bytes, &datum, err);
    if (status == MOR_OK)
        mor_avro_container_write(schema_json, &datum, 1, ret_bytes);
    mor_avro_schema_free(schema);
    return status;
}

static int append_json(const char *bytes, size_t size_bytes, void *context)
{
    mor_buffer_append(context, bytes, size_bytes);
    return 0;
}

void hudi_metadata_to_json(const json_t *json, struct mor_buffer *ret_bytes)
{
    json_dump_callback(json, append_json, ret_bytes, JSON_INDENT(2));
}

static enum mor_status visit_record(void *context, const struct mor_avro_schema *schema,
                                    const uint8_t *datum, size_t size_bytes, struct mor_error *err)
{
    struct mor_buffer *text = context;
    if (text->size_bytes > 0)
        return mor_error_set(err, MOR_DATA, "the file holds more than one record");
    return mor_avro_datum_to_json(schema, datum, size_bytes, text, err);
}

enum mor_status hudi_metadata_read(struct mor_store *store, const char *key, json_t **ret_json,
                                   struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    MOR_AUTO_BUFFER text = {0};
    MOR_TRY(mor_store_get(store, key, HUDI_METADATA_BYTES_MAX, &bytes, err));
    if (bytes.size_bytes == 0) {
        *ret_json = json_object();
        return MOR_OK;
    }
    const struct mor_buffer *json_text = &bytes;
    if (bytes.size_bytes >= 4 && memcmp(bytes.data, "Obj\x01", 4) == 0) {
        enum mor_status status =
            mor_avro_container_read(bytes.data, bytes.size_bytes, visit_record, &text, err);
        if (status != MOR_OK)
            return mor_error_wrap(err, "could not read '%s'", key);
        json_text = &text;
    }
    json_error_t problem;
    json_t *json = json_loadb((const char *)json_text->data, json_text->size_bytes, 0, &problem);
    if (!json || !json_is_object(json)) {
        json_decref(json);
        return mor_error_set(err, MOR_DATA, "could not read '%s': line %d: %s", key, problem.line,
                             json ? "not an object" : problem.text);
    }
    *ret_json = json;
    return MOR_OK;
}

const char *hudi_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t hudi_json_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}
