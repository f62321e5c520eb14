// Payload bytes to columns: JSON and Avro, the Confluent wire format and its schema registry.
#ifndef MORAINE_DECODE_H
#define MORAINE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/record.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

// ---- schema registry ----------------------------------------------------------------------------

// Client of a Confluent-compatible registry with a cache of schemas by id; any thread.
struct mor_registry;
struct mor_registry_options {
    const char *url;
    const char *username, *password; // NULL = none
    const char *ca_location;         // NULL = the system's
    int64_t timeout_ms;              // 0 = 10 s
};
enum mor_status mor_registry_open(const struct mor_registry_options *options, struct mor_registry **ret_registry,
                                  struct mor_error *err) MOR_CHECKED;
void mor_registry_free(struct mor_registry *registry);
// Newest schema of a subject: its id and text (in the arena). RETRY when the registry cannot be
// reached or answers 5xx/429, NOT_FOUND when the subject does not exist, FATAL for 401/403.
enum mor_status mor_registry_latest(struct mor_registry *registry, const char *subject, struct mor_arena *arena,
                                    int32_t *ret_id, char **ret_schema, struct mor_error *err) MOR_CHECKED;
// Text of schema `id`. NOT_FOUND when the registry does not know it (remembered for 30 s).
enum mor_status mor_registry_schema(struct mor_registry *registry, int32_t id, struct mor_arena *arena, char **ret_schema,
                                    struct mor_error *err) MOR_CHECKED;

// ---- decoders -----------------------------------------------------------------------------------

enum mor_payload_format { MOR_PAYLOAD_JSON, MOR_PAYLOAD_AVRO };
enum mor_key_format { MOR_KEY_AUTO, MOR_KEY_STRING, MOR_KEY_JSON, MOR_KEY_AVRO };

struct mor_decoder_options {
    enum mor_payload_format format;
    const struct mor_schema *schema;  // columns to fill (borrowed for the decoder's life)
    size_t column_count;              // the first so many columns of it come from the payload
    struct mor_registry *registry;    // Avro in Confluent's wire format; NULL = bare data of writer_schema
    const char *writer_schema;        // Avro JSON text when there is no registry
    enum mor_key_format key_format;   // how tombstones' message keys are read
    const char *const *key_columns;
    size_t key_column_count;
};

// One decoder per thread.
struct mor_decoder;
enum mor_status mor_decoder_new(const struct mor_decoder_options *options, struct mor_decoder **ret_decoder,
                                struct mor_error *err) MOR_CHECKED;
void mor_decoder_free(struct mor_decoder *decoder);
// Appends one slot to each of the first column_count columns from the record's value. DATA (with the
// field's path, the byte position and what is wrong): nothing was appended. RETRY: the registry is
// unreachable, call again later.
enum mor_status mor_decoder_value(struct mor_decoder *decoder, const struct mor_record *record, struct mor_vector *columns,
                                  struct mor_error *err) MOR_CHECKED;
// Appends one slot from the record's message key: the key columns filled, all others null (required
// ones zero). For tombstones.
enum mor_status mor_decoder_key(struct mor_decoder *decoder, const struct mor_record *record, struct mor_vector *columns,
                                struct mor_error *err) MOR_CHECKED;

#endif
