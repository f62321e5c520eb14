#include "iceberg_avro_schema.h"

#include <ctype.h>
#include <string.h>

#include "moraine/avro.h"

// ---- constants (specification, "Manifests", "Manifest Lists") -----------------------------------

#define FIELD(name, type, id) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define OPTIONAL(name, type, id)                                                                   \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define MAP(name, id, key_id, value_id, value_type)                                                \
    OPTIONAL(name,                                                                                 \
             "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" #key_id             \
             "_v" #value_id "\",\"fields\":[" FIELD("key", "\"int\"", key_id) "," FIELD(           \
                 "value", value_type, value_id) "]},\"logicalType\":\"map\"}",                     \
             id)
#define LIST(name, id, element_id, type)                                                           \
    OPTIONAL(name, "{\"type\":\"array\",\"items\":" type ",\"element-id\":" #element_id "}", id)

#define LIST_FIELDS                                                                                                                                                                                                                                                                                                                                                                                                                                                        \
    FIELD("manifest_path", "\"string\"", 500)                                                                                                                                                                                                                                                                                                                                                                                                                              \
    "," FIELD("manifest_length", "\"long\"", 501) "," FIELD("partition_spec_id", "\"int\"", 502) "," FIELD("content", "\"int\"", 517) "," FIELD(                                                                                                                                                                                                                                                                                                                           \
        "sequence_number", "\"long\"",                                                                                                                                                                                                                                                                                                                                                                                                                                     \
        515) "," FIELD("min_sequence_number", "\"long\"",                                                                                                                                                                                                                                                                                                                                                                                                                  \
                       516) "," FIELD("added_snapshot_id", "\"long\"",                                                                                                                                                                                                                                                                                                                                                                                                     \
                                      503) "," FIELD("added_files_count",                                                                                                                                                                                                                                                                                                                                                                                                  \
                                                     "\"int\"", 504) "," FIELD("existing_files_"                                                                                                                                                                                                                                                                                                                                                                           \
                                                                               "count",                                                                                                                                                                                                                                                                                                                                                                                    \
                                                                               "\"int\"", 505) "," FIELD("deleted_files_count",                                                                                                                                                                                                                                                                                                                                            \
                                                                                                         "\"int\"",                                                                                                                                                                                                                                                                                                                                                        \
                                                                                                         506) "," FIELD("added_rows_count",                                                                                                                                                                                                                                                                                                                                \
                                                                                                                        "\"long\"",                                                                                                                                                                                                                                                                                                                                        \
                                                                                                                        512) "," FIELD("existing_rows_count", "\"long\"", 513) "," FIELD("deleted_rows_count", "\"long\"", 514) "," OPTIONAL("partitions",                                                                                                                                                                                                                 \
                                                                                                                                                                                                                                             "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":[" FIELD("contains_null", "\"boolean\"", 509) "," OPTIONAL("contains_nan",                                                                   \
                                                                                                                                                                                                                                                                                                                                                                                         "\"boolean\"", 518) "," OPTIONAL("lower_bound",                                   \
                                                                                                                                                                                                                                                                                                                                                                                                                          "\"bytes\"",                                     \
                                                                                                                                                                                                                                                                                                                                                                                                                          510) "," OPTIONAL("upper_bound", "\"bytes\"",    \
                                                                                                                                                                                                                                                                                                                                                                                                                                            511) "]},\"element-id\":508}", \
                                                                                                                                                                                                                                             507) "," OPTIONAL("key_metadata",                                                                                                                                                                                             \
                                                                                                                                                                                                                                                               "\"bytes\"",                                                                                                                                                                                                \
                                                                                                                                                                                                                                                               519)

#define LIST_SCHEMA(fields)                                                                        \
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[" fields "]}"

static const char list_schema_2[] = LIST_SCHEMA(LIST_FIELDS);
static const char list_schema_3[] =
    LIST_SCHEMA(LIST_FIELDS "," OPTIONAL("first_row_id", "\"long\"", 520));

static const char manifest_start[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[" FIELD("status", "\"int\"", 0) "," OPTIONAL(
        "snapshot_id", "\"long\"",
        1) "," OPTIONAL("sequence_number", "\"long\"",
                        3) "," OPTIONAL("file_sequence_number", "\"long\"",
                                        4) ","
                                           "{\"name\":\"data_file\",\"type\":{\"type\":\"record\","
                                           "\"name\":\"r2\",\"fields\":[" FIELD(
                                               "content", "\"int\"",
                                               134) "," FIELD("file_path", "\"string\"",
                                                              100) "," FIELD("file_format",
                                                                             "\"string\"",
                                                                             101) ","
                                                                                  "{\"name\":"
                                                                                  "\"partition\","
                                                                                  "\"type\":{"
                                                                                  "\"type\":"
                                                                                  "\"record\","
                                                                                  "\"name\":"
                                                                                  "\"r102\","
                                                                                  "\"fields\":[";

static const char manifest_middle[] =
    "]},\"field-id\":102}," FIELD("record_count", "\"long\"", 103) "," FIELD("file_size_in_bytes", "\"long\"", 104) "," MAP("column_sizes", 108, 117, 118, "\"long\"") "," MAP(
        "value_counts",
        109, 119, 120,
        "\"long\"") "," MAP("null_value_counts", 110, 121, 122,
                            "\"long\"") "," MAP("nan_value_counts", 137, 138, 139,
                                                "\"long\"") "," MAP("lower_bounds", 125, 126, 127,
                                                                    "\"bytes\"") "," MAP("upper_"
                                                                                         "bounds",
                                                                                         128, 129,
                                                                                         130,
                                                                                         "\"bytes"
                                                                                         "\"") "," OPTIONAL("key_metadata",
                                                                                                            "\"bytes\"",
                                                                                                            131) "," LIST("split_offsets",
                                                                                                                          132,
                                                                                                                          133,
                                                                                                                          "\"long\"") "," LIST("equality_ids",
                                                                                                                                               135,
                                                                                                                                               136,
                                                                                                                                               "\"int\"") "," OPTIONAL("sort_order_id",
                                                                                                                                                                       "\"int\"",
                                                                                                                                                                       140);

static const char manifest_end_2[] =
    "," OPTIONAL("referenced_data_file", "\"string\"", 143) "]},\"field-id\":2}]}";
static const char manifest_end_3[] = "," OPTIONAL("first_row_id", "\"long\"", 142) "," OPTIONAL(
    "referenced_data_file", "\"string\"",
    143) "," OPTIONAL("content_offset", "\"long\"", 144) "," OPTIONAL("content_size_in_bytes",
                                                                      "\"long\"",
                                                                      145) "]},\"field-id\":2}]}";

const char *iceberg_avro_list_schema(int32_t format_version)
{
    return format_version >= 3 ? list_schema_3 : list_schema_2;
}

// ---- the partition record -----------------------------------------------------------------------

// Names that Avro does not allow are written as Java writes them: "_" before a digit at the start,
// other characters as "_x" and their number in hex.
static bool put_name(const char *name, struct mor_buffer *json)
{
    if (mor_avro_name_is_valid(name)) {
        mor_buffer_append_text(json, name);
        return true;
    }
    for (const uint8_t *at = (const uint8_t *)name; *at != '\0'; at++) {
        bool first = at == (const uint8_t *)name;
        if (first && isdigit(*at))
            mor_buffer_printf(json, "_%c", *at);
        else if (*at < 0x80 && (isalnum(*at) || *at == '_'))
            mor_buffer_append_u8(json, *at);
        else
            mor_buffer_printf(json, "_x%X", *at);
    }
    return false;
}

// A named type is defined where it is used first; after that its name stands for it.
static bool was_defined(const struct iceberg_spec *spec, size_t index)
{
    const struct mor_field *type = &spec->fields[index].result;
    for (size_t i = 0; i < index; i++) {
        const struct mor_field *before = &spec->fields[i].result;
        if (before->type == type->type && before->precision == type->precision &&
            before->scale == type->scale && before->fixed_size_bytes == type->fixed_size_bytes)
            return true;
    }
    return false;
}

static void put_fixed(const struct iceberg_spec *spec, size_t index, struct mor_buffer *json)
{
    const struct mor_field *type = &spec->fields[index].result;
    char name[48];
    if (type->type == MOR_TYPE_UUID)
        snprintf(name, sizeof name, "uuid_fixed");
    else if (type->type == MOR_TYPE_DECIMAL)
        snprintf(name, sizeof name, "decimal_%d_%d", type->precision, type->scale);
    else
        snprintf(name, sizeof name, "fixed_%d", type->fixed_size_bytes);
    if (was_defined(spec, index)) {
        mor_buffer_printf(json, "\"%s\"", name);
        return;
    }
    mor_buffer_printf(json, "{\"type\":\"fixed\",\"name\":\"%s\",\"size\":", name);
    if (type->type == MOR_TYPE_UUID)
        mor_buffer_append_text(json, "16,\"logicalType\":\"uuid\"}");
    else if (type->type == MOR_TYPE_DECIMAL)
        mor_buffer_printf(json, "%d,\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                          mor_decimal_size_bytes(type->precision), type->precision, type->scale);
    else
        mor_buffer_printf(json, "%d}", type->fixed_size_bytes);
}

static void put_type(const struct iceberg_spec *spec, size_t index, struct mor_buffer *json)
{
    const struct mor_field *type = &spec->fields[index].result;
    switch (type->type) {
    case MOR_TYPE_BOOL:
        mor_buffer_append_text(json, "\"boolean\"");
        break;
    case MOR_TYPE_INT32:
        mor_buffer_append_text(json, "\"int\"");
        break;
    case MOR_TYPE_INT64:
        mor_buffer_append_text(json, "\"long\"");
        break;
    case MOR_TYPE_FLOAT:
        mor_buffer_append_text(json, "\"float\"");
        break;
    case MOR_TYPE_DOUBLE:
        mor_buffer_append_text(json, "\"double\"");
        break;
    case MOR_TYPE_DATE:
        mor_buffer_append_text(json, "{\"type\":\"int\",\"logicalType\":\"date\"}");
        break;
    case MOR_TYPE_TIME_MICROS:
        mor_buffer_append_text(json, "{\"type\":\"long\",\"logicalType\":\"time-micros\"}");
        break;
    case MOR_TYPE_TIMESTAMP_MICROS:
        mor_buffer_printf(
            json, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":%s}",
            type->local_timestamp ? "false" : "true");
        break;
    case MOR_TYPE_DECIMAL:
    case MOR_TYPE_FIXED:
    case MOR_TYPE_UUID:
        put_fixed(spec, index, json);
        break;
    case MOR_TYPE_BYTES:
        mor_buffer_append_text(json, "\"bytes\"");
        break;
    default:
        mor_buffer_append_text(json, "\"string\"");
        break;
    }
}

void iceberg_avro_manifest_schema(int32_t format_version, const struct iceberg_spec *spec,
                                  struct mor_buffer *ret_json)
{
    mor_buffer_append_text(ret_json, manifest_start);
    for (size_t i = 0; i < spec->field_count; i++) {
        const char *name = spec->fields[i].name;
        mor_buffer_append_text(ret_json, i > 0 ? ",{\"name\":\"" : "{\"name\":\"");
        bool same = put_name(name, ret_json);
        mor_buffer_append_text(ret_json, "\",\"type\":[\"null\",");
        put_type(spec, i, ret_json);
        mor_buffer_printf(ret_json, "],\"default\":null,\"field-id\":%d", spec->fields[i].field_id);
        if (!same) {
            mor_buffer_append_text(ret_json, ",\"iceberg-field-name\":");
            mor_avro_put_json_string(ret_json, name, strlen(name));
        }
        mor_buffer_append_u8(ret_json, '}');
    }
    mor_buffer_append_text(ret_json, manifest_middle);
    mor_buffer_append_text(ret_json, format_version >= 3 ? manifest_end_3 : manifest_end_2);
    mor_buffer_terminate(ret_json);
}

// ---- partition values ---------------------------------------------------------------------------

static int64_t load_integer(struct iceberg_value value)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < value.size_bytes && i < 8; i++)
        bits |= (uint64_t)value.bytes[i] << (8 * i);
    return value.size_bytes == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
}

void iceberg_avro_put_partition(const struct mor_field *type, struct iceberg_value value,
                                struct mor_buffer *ret_datum)
{
    switch (type->type) {
    case MOR_TYPE_INT32:
    case MOR_TYPE_INT64:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        mor_avro_put_long(ret_datum, load_integer(value));
        break;
    case MOR_TYPE_DOUBLE: {
        double number;
        float narrow;
        if (value.size_bytes == sizeof narrow) {
            memcpy(&narrow, value.bytes, sizeof narrow);
            number = (double)narrow;
        } else {
            memcpy(&number, value.bytes, sizeof number);
        }
        mor_buffer_append(ret_datum, &number, sizeof number);
        break;
    }
    case MOR_TYPE_DECIMAL: {
        mor_int128 number = 0;
        uint8_t wide[16];
        size_t size = (size_t)mor_decimal_size_bytes(type->precision);
        (void)mor_decimal_from_be(value.bytes, value.size_bytes, &number);
        mor_decimal_to_be(number, wide, size);
        mor_buffer_append(ret_datum, wide, size);
        break;
    }
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
        mor_avro_put_bytes(ret_datum, value.bytes, value.size_bytes);
        break;
    default: // boolean, float, uuid, fixed
        mor_buffer_append(ret_datum, value.bytes, value.size_bytes);
        break;
    }
}
