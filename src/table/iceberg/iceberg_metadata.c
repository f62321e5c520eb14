#include "iceberg_metadata.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "moraine/base/uuid.h"

#define LOG_STEP_BACK_MS 60000 // what Java lets pass

// ---- references ---------------------------------------------------------------------------------

struct iceberg_metadata *iceberg_metadata_ref(struct iceberg_metadata *metadata)
{
    atomic_fetch_add(&metadata->references, 1);
    return metadata;
}

void iceberg_metadata_unref(struct iceberg_metadata *metadata)
{
    if (!metadata || atomic_fetch_sub(&metadata->references, 1) > 1)
        return;
    json_decref(metadata->document);
    free(metadata->metadata_location);
    free(metadata);
}

// ---- looking things up --------------------------------------------------------------------------

static const json_t *find_numbered(const json_t *list, const char *key, int64_t number)
{
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)list, index, item)
    {
        const json_t *id = json_object_get(item, key);
        if (json_is_integer(id) && json_integer_value(id) == number)
            return item;
    }
    return NULL;
}

const json_t *iceberg_metadata_schema(const struct iceberg_metadata *metadata, int32_t schema_id)
{
    return find_numbered(json_object_get(metadata->document, "schemas"), "schema-id", schema_id);
}

const json_t *iceberg_metadata_spec(const struct iceberg_metadata *metadata, int32_t spec_id)
{
    return find_numbered(json_object_get(metadata->document, "partition-specs"), "spec-id",
                         spec_id);
}

const char *iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key)
{
    return iceberg_json_text(json_object_get(metadata->document, "properties"), key);
}

size_t iceberg_metadata_snapshot_count(const struct iceberg_metadata *metadata)
{
    return json_array_size(json_object_get(metadata->document, "snapshots"));
}

static void fill_snapshot(const json_t *json, struct iceberg_snapshot *ret_snapshot)
{
    *ret_snapshot = (struct iceberg_snapshot){
        .snapshot_id = iceberg_json_int(json, "snapshot-id", -1),
        .parent_id = iceberg_json_int(json, "parent-snapshot-id", -1),
        .sequence_number = iceberg_json_int(json, "sequence-number", 0),
        .timestamp_ms = iceberg_json_int(json, "timestamp-ms", 0),
        .manifest_list = iceberg_json_text(json, "manifest-list"),
        .schema_id = (int32_t)iceberg_json_int(json, "schema-id", -1),
        .summary = json_object_get(json, "summary"),
        .first_row_id = iceberg_json_int(json, "first-row-id", -1),
        .added_rows = iceberg_json_int(json, "added-rows", -1),
    };
}

void iceberg_metadata_snapshot_at(const struct iceberg_metadata *metadata, size_t index,
                                  struct iceberg_snapshot *ret_snapshot)
{
    fill_snapshot(json_array_get(json_object_get(metadata->document, "snapshots"), index),
                  ret_snapshot);
}

bool iceberg_metadata_snapshot(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                               struct iceberg_snapshot *ret_snapshot)
{
    const json_t *json =
        find_numbered(json_object_get(metadata->document, "snapshots"), "snapshot-id", snapshot_id);
    if (json)
        fill_snapshot(json, ret_snapshot);
    return json != NULL;
}

const char *iceberg_snapshot_property(const struct iceberg_snapshot *snapshot, const char *key)
{
    return iceberg_json_text(snapshot->summary, key);
}

int64_t iceberg_metadata_new_snapshot_id(const struct iceberg_metadata *metadata)
{
    struct iceberg_snapshot taken;
    int64_t id;
    do {
        struct mor_uuid uuid = mor_uuid_v4();
        uint64_t halves[2];
        memcpy(halves, uuid.bytes, sizeof halves);
        id = (int64_t)((halves[0] ^ halves[1]) & INT64_MAX);
    } while (id == 0 || iceberg_metadata_snapshot(metadata, id, &taken));
    return id;
}

int64_t iceberg_metadata_clamp_ms(const struct iceberg_metadata *metadata, int64_t now_ms)
{
    const json_t *log = json_object_get(metadata->document, "snapshot-log");
    const json_t *last = json_array_get(log, json_array_size(log) - 1);
    int64_t logged_ms = last ? iceberg_json_int(last, "timestamp-ms", 0) : 0;
    if (now_ms < metadata->last_updated_ms)
        now_ms = metadata->last_updated_ms;
    return now_ms < logged_ms ? logged_ms : now_ms;
}

// ---- files and URIs -----------------------------------------------------------------------------

void iceberg_uri_of_key(const struct iceberg_metadata *metadata, const char *key,
                        struct mor_buffer *ret_uri)
{
    size_t length = strlen(metadata->location);
    while (length > 0 && metadata->location[length - 1] == '/')
        length--;
    mor_buffer_append(ret_uri, metadata->location, length);
    mor_buffer_append_u8(ret_uri, '/');
    mor_buffer_append_text(ret_uri, key);
}

// The part of a URI that names the place, and its scheme: 'f' local files, 's' S3, 0 others (then
// the scheme is part of the place).
static const char *place_of(const char *uri, char *ret_scheme)
{
    static const char *const s3[] = {"s3://", "s3a://", "s3n://"};
    *ret_scheme = 'f';
    if (uri[0] == '/')
        return uri;
    if (strncmp(uri, "file:///", 8) == 0)
        return uri + 7;
    if (strncmp(uri, "file:/", 6) == 0 && uri[6] != '/')
        return uri + 5;
    *ret_scheme = 's';
    for (size_t i = 0; i < sizeof s3 / sizeof s3[0]; i++) {
        if (strncmp(uri, s3[i], strlen(s3[i])) == 0)
            return uri + strlen(s3[i]);
    }
    *ret_scheme = 0;
    return uri;
}

const char *iceberg_key_of_uri(const struct iceberg_metadata *metadata, const char *uri)
{
    char root_scheme, scheme;
    const char *root = place_of(metadata->location, &root_scheme);
    const char *place = place_of(uri, &scheme);
    size_t length = strlen(root);
    while (length > 0 && root[length - 1] == '/')
        length--;
    if (scheme != root_scheme || strncmp(root, place, length) != 0 || place[length] != '/')
        return NULL;
    const char *key = place + length + 1;
    return *key != '\0' ? key : NULL;
}

// ---- reading ------------------------------------------------------------------------------------

static bool is_uuid(const char *text)
{
    struct mor_uuid uuid;
    return text && mor_uuid_parse(text, strlen(text), &uuid);
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

// Objects of the list `name` carry different integers under `key`.
static enum mor_status check_unique(const json_t *document, const char *name, const char *key,
                                    struct mor_error *err)
{
    const json_t *list = json_object_get(document, name);
    size_t count = json_array_size(list);
    MOR_AUTO_FREE int64_t *numbers = mor_calloc(count + 1, sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        if (iceberg_json_need_int(json_array_get(list, i), key, INT64_MIN, INT64_MAX, &numbers[i],
                                  err) != MOR_OK)
            return mor_error_wrap(err, "'%s', number %zu", name, i);
    }
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (size_t i = 1; i < count; i++) {
        if (numbers[i] == numbers[i - 1])
            return mor_error_set(err, MOR_DATA, "'%s' has %s %lld twice", name, key,
                                 (long long)numbers[i]);
    }
    return MOR_OK;
}

static enum mor_status read_int32(const json_t *document, const char *key, int32_t *ret_number,
                                  struct mor_error *err)
{
    int64_t number = 0;
    MOR_TRY(iceberg_json_need_int(document, key, 0, INT32_MAX, &number, err));
    *ret_number = (int32_t)number;
    return MOR_OK;
}

// Version 1 has one schema and one spec under other names; they take their places.
static void modernise(json_t *document)
{
    json_t *schema = json_object_get(document, "schema");
    if (!json_object_get(document, "schemas") && schema) {
        json_t *copy = json_copy(schema);
        json_object_set_new(copy, "schema-id",
                            json_integer(iceberg_json_int(schema, "schema-id", 0)));
        json_object_set_new(document, "schemas", json_pack("[o]", copy));
        json_object_set_new(document, "current-schema-id",
                            json_integer(iceberg_json_int(copy, "schema-id", 0)));
    }
    json_t *fields = json_object_get(document, "partition-spec");
    if (!json_object_get(document, "partition-specs") && fields) {
        json_object_set_new(document, "partition-specs",
                            json_pack("[{s:i, s:O}]", "spec-id", 0, "fields", fields));
        json_object_set_new(document, "default-spec-id", json_integer(0));
    }
    if (!json_object_get(document, "last-partition-id"))
        json_object_set_new(document, "last-partition-id", json_integer(999));
    if (!json_object_get(document, "last-sequence-number"))
        json_object_set_new(document, "last-sequence-number", json_integer(0));
    if (!json_object_get(document, "table-uuid"))
        json_object_set_new(document, "table-uuid",
                            json_string("00000000-0000-0000-0000-000000000000"));
}

static enum mor_status check_version(json_t *document, int32_t *ret_version, struct mor_error *err)
{
    int64_t version = 0;
    MOR_TRY(iceberg_json_need_int(document, "format-version", 1, INT32_MAX, &version, err));
    if (version > 3)
        return mor_error_set(err, MOR_FATAL,
                             "the table is of format version %lld, moraine knows 1, 2 and 3",
                             (long long)version);
    if (version == 1)
        modernise(document);
    if (json_array_size(json_object_get(document, "encryption-keys")) > 0 ||
        iceberg_json_text(json_object_get(document, "properties"), "encryption.key-id"))
        return mor_error_set(err, MOR_FATAL,
                             "the table is encrypted, which moraine does not "
                             "support");
    *ret_version = (int32_t)version;
    return MOR_OK;
}

static enum mor_status read_members(struct iceberg_metadata *metadata, struct mor_error *err)
{
    json_t *document = metadata->document;
    MOR_TRY(check_version(document, &metadata->format_version, err));
    MOR_TRY(iceberg_json_need_text(document, "table-uuid", &metadata->uuid, err));
    if (!is_uuid(metadata->uuid))
        return mor_error_set(err, MOR_DATA, "table-uuid '%.60s' is no UUID", metadata->uuid);
    MOR_TRY(iceberg_json_need_text(document, "location", &metadata->location, err));
    if (metadata->location[0] == '\0')
        return mor_error_set(err, MOR_DATA, "the location is empty");
    MOR_TRY(iceberg_json_need_int(document, "last-sequence-number", 0, INT64_MAX,
                                  &metadata->last_sequence_number, err));
    MOR_TRY(iceberg_json_need_int(document, "last-updated-ms", 0, INT64_MAX,
                                  &metadata->last_updated_ms, err));
    MOR_TRY(read_int32(document, "last-column-id", &metadata->last_column_id, err));
    MOR_TRY(read_int32(document, "current-schema-id", &metadata->current_schema_id, err));
    MOR_TRY(read_int32(document, "default-spec-id", &metadata->default_spec_id, err));
    MOR_TRY(read_int32(document, "last-partition-id", &metadata->last_partition_id, err));
    metadata->current_snapshot_id = iceberg_json_int(document, "current-snapshot-id", -1);
    if (metadata->format_version >= 3)
        MOR_TRY(iceberg_json_need_int(document, "next-row-id", 0, INT64_MAX, &metadata->next_row_id,
                                      err));
    return MOR_OK;
}

static enum mor_status check_snapshots(const struct iceberg_metadata *metadata,
                                       struct mor_error *err)
{
    MOR_TRY(check_unique(metadata->document, "snapshots", "snapshot-id", err));
    for (size_t i = 0; i < iceberg_metadata_snapshot_count(metadata); i++) {
        struct iceberg_snapshot snapshot;
        iceberg_metadata_snapshot_at(metadata, i, &snapshot);
        if (!snapshot.manifest_list)
            return mor_error_set(err, metadata->format_version == 1 ? MOR_FATAL : MOR_DATA,
                                 "snapshot %lld names no manifest list",
                                 (long long)snapshot.snapshot_id);
        if (snapshot.sequence_number > metadata->last_sequence_number)
            return mor_error_set(err, MOR_DATA,
                                 "snapshot %lld has the sequence number %lld, the table's last "
                                 "one is %lld",
                                 (long long)snapshot.snapshot_id,
                                 (long long)snapshot.sequence_number,
                                 (long long)metadata->last_sequence_number);
    }
    return MOR_OK;
}

static enum mor_status check_refs(const struct iceberg_metadata *metadata, struct mor_error *err)
{
    json_t *refs = json_object_get(metadata->document, "refs");
    struct iceberg_snapshot snapshot;
    const char *name;
    json_t *ref;
    if (metadata->current_snapshot_id != -1 &&
        !iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id, &snapshot))
        return mor_error_set(err, MOR_DATA, "the current snapshot %lld is not among the snapshots",
                             (long long)metadata->current_snapshot_id);
    json_object_foreach(refs, name, ref)
    {
        int64_t id = iceberg_json_int(ref, "snapshot-id", -1);
        if (!iceberg_metadata_snapshot(metadata, id, &snapshot))
            return mor_error_set(err, MOR_DATA, "'%s' refers to snapshot %lld, which is not there",
                                 name, (long long)id);
        if (strcmp(name, "main") == 0 && id != metadata->current_snapshot_id)
            return mor_error_set(err, MOR_DATA,
                                 "main refers to snapshot %lld, the current one is %lld",
                                 (long long)id, (long long)metadata->current_snapshot_id);
    }
    return MOR_OK;
}

static enum mor_status check_log(const struct iceberg_metadata *metadata, struct mor_error *err)
{
    const json_t *log = json_object_get(metadata->document, "snapshot-log");
    int64_t last_ms = 0;
    size_t index;
    json_t *entry;
    json_array_foreach((json_t *)log, index, entry)
    {
        int64_t time_ms = iceberg_json_int(entry, "timestamp-ms", 0);
        if (time_ms < last_ms - LOG_STEP_BACK_MS)
            return mor_error_set(err, MOR_DATA, "the snapshot log goes back in time at number %zu",
                                 index);
        last_ms = time_ms;
    }
    if (metadata->last_updated_ms < last_ms - LOG_STEP_BACK_MS)
        return mor_error_set(err, MOR_DATA, "last-updated-ms is older than the snapshot log");
    return MOR_OK;
}

static enum mor_status check_document(struct iceberg_metadata *metadata, struct mor_error *err)
{
    if (!json_is_object(metadata->document))
        return mor_error_set(err, MOR_DATA, "they are no JSON object");
    MOR_TRY(read_members(metadata, err));
    MOR_TRY(check_unique(metadata->document, "schemas", "schema-id", err));
    MOR_TRY(check_unique(metadata->document, "partition-specs", "spec-id", err));
    if (!iceberg_metadata_schema(metadata, metadata->current_schema_id))
        return mor_error_set(err, MOR_DATA, "the current schema %d is not among the schemas",
                             metadata->current_schema_id);
    if (!iceberg_metadata_spec(metadata, metadata->default_spec_id))
        return mor_error_set(err, MOR_DATA, "the default spec %d is not among the specs",
                             metadata->default_spec_id);
    MOR_TRY(check_snapshots(metadata, err));
    MOR_TRY(check_refs(metadata, err));
    return check_log(metadata, err);
}

enum mor_status iceberg_metadata_take(json_t *take_document, struct iceberg_metadata **ret_metadata,
                                      struct mor_error *err)
{
    struct iceberg_metadata *metadata = mor_calloc(1, sizeof *metadata);
    atomic_init(&metadata->references, 1);
    metadata->document = take_document;
    if (check_document(metadata, err) != MOR_OK) {
        iceberg_metadata_unref(metadata);
        return mor_error_wrap(err, "table metadata");
    }
    *ret_metadata = metadata;
    return MOR_OK;
}

static enum mor_status unpack(const uint8_t *bytes, size_t size_bytes, struct mor_buffer *ret_text,
                              struct mor_error *err)
{
    z_stream z = {0};
    if (size_bytes > UINT_MAX / 2 || inflateInit2(&z, 15 + 16) != Z_OK)
        return mor_error_set(err, MOR_DATA, "table metadata: gzip does not start");
    z.next_in = (Bytef *)bytes;
    z.avail_in = (uInt)size_bytes;
    int result = Z_OK;
    while (result == Z_OK && ret_text->size_bytes <= ICEBERG_METADATA_BYTES_MAX) {
        mor_buffer_reserve(ret_text, size_bytes * 4 + 4096);
        size_t room = ret_text->capacity_bytes - ret_text->size_bytes;
        uInt offered = room > UINT_MAX ? UINT_MAX : (uInt)room;
        z.next_out = ret_text->data + ret_text->size_bytes;
        z.avail_out = offered;
        result = inflate(&z, Z_NO_FLUSH);
        ret_text->size_bytes += offered - z.avail_out;
    }
    inflateEnd(&z);
    if (result != Z_STREAM_END)
        return mor_error_set(err, MOR_DATA, "table metadata: gzip is damaged or too long");
    return MOR_OK;
}

enum mor_status iceberg_metadata_parse(const void *bytes, size_t size_bytes,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err)
{
    MOR_AUTO_BUFFER text = {0};
    const uint8_t *start = bytes;
    json_t *document = NULL;
    if (size_bytes >= 2 && start[0] == 0x1f && start[1] == 0x8b) {
        MOR_TRY(unpack(start, size_bytes, &text, err));
        start = text.data;
        size_bytes = text.size_bytes;
    }
    MOR_TRY(iceberg_json_parse(start, size_bytes, "table metadata", &document, err));
    return iceberg_metadata_take(document, ret_metadata, err);
}

// ---- writing ------------------------------------------------------------------------------------

static enum mor_status pack(const struct mor_buffer *text, struct mor_buffer *ret_bytes,
                            struct mor_error *err)
{
    z_stream z = {0};
    if (text->size_bytes > UINT_MAX / 2 ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return mor_error_set(err, MOR_FATAL, "gzip does not start");
    size_t bound = deflateBound(&z, text->size_bytes);
    mor_buffer_reserve(ret_bytes, bound);
    z.next_in = text->data;
    z.avail_in = (uInt)text->size_bytes;
    z.next_out = ret_bytes->data + ret_bytes->size_bytes;
    z.avail_out = (uInt)bound;
    int result = deflate(&z, Z_FINISH);
    ret_bytes->size_bytes += z.total_out;
    deflateEnd(&z);
    return result == Z_STREAM_END ? MOR_OK : mor_error_set(err, MOR_FATAL, "gzip does not end");
}

enum mor_status iceberg_metadata_encode(const struct iceberg_metadata *metadata, bool gzip,
                                        struct mor_buffer *ret_bytes, struct mor_error *err)
{
    if (!gzip) {
        iceberg_json_format(metadata->document, ret_bytes);
        return MOR_OK;
    }
    MOR_AUTO_BUFFER text = {0};
    iceberg_json_format(metadata->document, &text);
    return pack(&text, ret_bytes, err);
}
