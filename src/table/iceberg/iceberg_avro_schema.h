// The Avro schemas of manifests and manifest lists as text, private to the manifest's writer, its
// readers' checks and the audit.
#ifndef MORAINE_TABLE_ICEBERG_AVRO_SCHEMA_H
#define MORAINE_TABLE_ICEBERG_AVRO_SCHEMA_H

#include "iceberg_spec.h"

// Zero-terminated (not counted). The writer schema of manifests of a spec.
void iceberg_avro_manifest_schema(int32_t format_version, const struct iceberg_spec *spec,
                                  struct mor_buffer *ret_json);
// The writer schema of manifest lists.
const char *iceberg_avro_list_schema(int32_t format_version);
// Appends a partition value (not null) as the datum of its Avro type. Values of narrower types that
// the type was promoted from are widened.
void iceberg_avro_put_partition(const struct mor_field *type, struct iceberg_value value,
                                struct mor_buffer *ret_datum);

#endif
