// The decoder's inside: JSON plan, Avro plans by schema id, and the same for message keys.
#ifndef MORAINE_DECODER_H
#define MORAINE_DECODER_H

#include <locale.h>

#include "json_read.h"
#include "moraine/avro.h"
#include "moraine/base/map.h"
#include "moraine/decode.h"

// Writer schemas kept per decoder; a topic has a handful. Past it the cache starts anew.
#define MOR_DECODER_PLANS_MAX 1024

// A writer schema and the plan from it to the columns, or why there is none.
struct mor_decoder_plan {
    struct mor_avro_schema *writer;
    struct mor_avro_plan *plan;
    char *reason; // plan NULL: the message of the DATA error that every record of this schema gets
};

// Plans by the registry's id, for values or for keys.
struct mor_decoder_plans {
    const struct mor_schema *table;
    const char *wrap_as; // a writer schema that is no record is taken as a record of this one field
    struct mor_map by_id;
    int32_t last_id; // the hot case: the same id as before
    struct mor_decoder_plan *last;
};

struct mor_decoder {
    enum mor_payload_format format;
    enum mor_key_format key_format;
    const struct mor_schema *schema;
    size_t column_count;
    size_t value_size_max_bytes;
    struct mor_registry *registry;
    struct mor_arena arena;
    locale_t locale;
    struct mor_buffer text; // the record's text with padding behind it
    struct mor_buffer scratch, slots;
    struct mor_json_object *object;
    struct mor_schema *value_table; // the first column_count columns
    struct mor_decoder_plans value_plans;
    struct mor_decoder_plan *bare; // of options.writer_schema
    // keys
    size_t key_count;
    size_t *key_indices; // columns
    struct mor_json_object *key_object;
    struct mor_schema *key_table; // all columns, only the key columns under their name
    struct mor_decoder_plans key_plans;
    char notice[512]; // not told yet; "" = nothing
};

// Plan for the wire format's schema `id`; RETRY, FATAL as the registry says, DATA when the schema
// is not known or does not fit.
enum mor_status mor_decoder_find_plan(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                      int32_t id, const struct mor_decoder_plan **ret_plan,
                                      struct mor_error *err) MOR_CHECKED;
// Decodes a datum in Confluent's wire format.
enum mor_status mor_decoder_wire(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                 const uint8_t *bytes, size_t size_bytes,
                                 struct mor_vector *columns, struct mor_error *err) MOR_CHECKED;

// Copies the text with padding and sets up the reader.
void mor_decoder_start_json(struct mor_decoder *decoder, const uint8_t *bytes, size_t size_bytes,
                            struct mor_json_reader *ret_reader);
// Checks that nothing stands behind `at` (NULL = failed before). On failure cuts the columns back
// to `length` and fills the error.
enum mor_status mor_decoder_finish_json(struct mor_decoder *decoder, struct mor_json_reader *reader,
                                        const uint8_t *at, struct mor_vector *columns,
                                        size_t length, struct mor_error *err) MOR_CHECKED;

// Reads the key columns of the options. FATAL when one is missing or nested.
enum mor_status mor_decoder_set_keys(struct mor_decoder *decoder,
                                     const struct mor_decoder_options *options,
                                     struct mor_error *err) MOR_CHECKED;

#endif
