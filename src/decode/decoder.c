#include "decoder.h"

#include <assert.h>
#include <stdio.h>

#include "moraine/avro/append.h"

#define WIRE_HEADER_SIZE 5 // 00 and the schema id, big-endian

// ---- plans --------------------------------------------------------------------------------------

static void plan_free(struct mor_decoder_plan *plan)
{
    if (!plan)
        return;
    mor_avro_plan_free(plan->plan);
    mor_avro_schema_free(plan->writer);
    free(plan->reason);
    free(plan);
}

static void plans_done(struct mor_decoder_plans *plans)
{
    for (size_t i = 0; i < plans->by_id.count; i++)
        plan_free(plans->by_id.entries[i].value.pointer);
    mor_map_done(&plans->by_id);
    plans->by_id = (struct mor_map){0};
    plans->last = NULL;
}

// True when the schema text is that of a record; anything that cannot be parsed counts as one, so
// that its own fault is reported.
static bool is_record(const char *text)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    if (mor_avro_schema_parse(text, strlen(text), &schema, &ignored) != MOR_OK)
        return true;
    bool record = mor_avro_schema_is_record(schema);
    mor_avro_schema_free(schema);
    return record;
}

static enum mor_status compile(struct mor_decoder_plan *plan, const char *text,
                               const struct mor_schema *table, const char *wrap_as,
                               struct mor_error *err)
{
    MOR_AUTO_FREE char *wrapped = NULL;
    if (wrap_as && !is_record(text)) { // a record of one field has the bytes of the field
        wrapped = mor_asprintf("{\"type\":\"record\",\"name\":\"key\",\"fields\":[{\"name\":\"%s\","
                               "\"type\":%s}]}",
                               wrap_as, text);
        text = wrapped;
    }
    MOR_TRY(mor_avro_schema_parse(text, strlen(text), &plan->writer, err));
    return mor_avro_plan_new(plan->writer, table, &plan->plan, err);
}

static struct mor_decoder_plan *plan_of(const char *text, const struct mor_schema *table,
                                        const char *wrap_as)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_decoder_plan *plan = mor_calloc(1, sizeof *plan);
    if (compile(plan, text, table, wrap_as, &err) != MOR_OK)
        plan->reason = mor_strdup(err.message);
    return plan;
}

// Top-level fields of a new writer schema that no column of the table takes in.
static void notice_strangers(struct mor_decoder *decoder, int32_t id,
                             const struct mor_decoder_plan *plan)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    struct mor_schema *fields = NULL;
    if (!plan->plan || mor_avro_schema_to_table(plan->writer, &fields, &ignored) != MOR_OK)
        return;
    MOR_AUTO_BUFFER names = {0};
    for (size_t i = 0; i < fields->root.child_count; i++) {
        const char *name = fields->root.children[i].name;
        if (mor_schema_find(decoder->schema, name) < 0)
            mor_buffer_printf(&names, "%s%s", names.size_bytes > 0 ? ", " : "", name);
    }
    if (names.size_bytes > 0)
        (void)snprintf(decoder->notice, sizeof decoder->notice,
                       "schema id %d has fields that the table lacks, they are left out: %.300s. "
                       "They become columns when the topic is started again",
                       id, mor_buffer_terminate(&names));
    mor_schema_free(fields);
}

bool mor_decoder_take_notice(struct mor_decoder *decoder, char *ret_text, size_t capacity)
{
    if (__builtin_expect(decoder->notice[0] == '\0', 1))
        return false;
    (void)snprintf(ret_text, capacity, "%s", decoder->notice);
    decoder->notice[0] = '\0';
    return true;
}

enum mor_status mor_decoder_find_plan(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                      int32_t id, const struct mor_decoder_plan **ret_plan,
                                      struct mor_error *err)
{
    struct mor_map_entry *entry = mor_map_find(&plans->by_id, &id, sizeof id);
    if (!entry) {
        struct mor_arena arena;
        char *text = NULL;
        mor_arena_init(&arena, 0, NULL);
        enum mor_status status = mor_registry_schema(decoder->registry, id, &arena, &text, err);
        if (status == MOR_OK) {
            if (plans->by_id.count >= MOR_DECODER_PLANS_MAX)
                plans_done(plans);
            entry = mor_map_put(&plans->by_id, &id, sizeof id, NULL);
            entry->value.pointer = plan_of(text, plans->table, plans->wrap_as);
            if (plans == &decoder->value_plans)
                notice_strangers(decoder, id, entry->value.pointer);
        }
        mor_arena_done(&arena);
        if (status == MOR_NOT_FOUND)
            return mor_error_set(err, MOR_DATA, "byte 1: schema id %d is not in the registry", id);
        MOR_TRY(status);
    }
    plans->last_id = id;
    plans->last = entry->value.pointer;
    *ret_plan = plans->last;
    return MOR_OK;
}

enum mor_status mor_decoder_wire(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                 const uint8_t *bytes, size_t size_bytes,
                                 struct mor_vector *columns, struct mor_error *err)
{
    if (size_bytes < WIRE_HEADER_SIZE)
        return mor_error_set(err, MOR_DATA,
                             "byte 0: %zu bytes are too few for the wire format's header",
                             size_bytes);
    if (bytes[0] != 0)
        return mor_error_set(err, MOR_DATA, "byte 0: the wire format begins with 00, not %02x",
                             bytes[0]);
    uint32_t id =
        (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    if (id > INT32_MAX)
        return mor_error_set(err, MOR_DATA, "byte 1: schema id %u is not in the registry", id);
    const struct mor_decoder_plan *plan = plans->last;
    if (!plan || plans->last_id != (int32_t)id)
        MOR_TRY(mor_decoder_find_plan(decoder, plans, (int32_t)id, &plan, err));
    assert(plan);
    if (!plan->plan)
        return mor_error_set(err, MOR_DATA, "schema id %u: %s", id, plan->reason);
    enum mor_status status = mor_avro_plan_decode(
        plan->plan, bytes + WIRE_HEADER_SIZE, size_bytes - WIRE_HEADER_SIZE, columns, NULL, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "datum of schema id %u", id);
}

// ---- JSON ---------------------------------------------------------------------------------------

void mor_decoder_start_json(struct mor_decoder *decoder, const uint8_t *bytes, size_t size_bytes,
                            struct mor_json_reader *ret_reader)
{
    mor_buffer_reset(&decoder->text);
    mor_buffer_reserve(&decoder->text, size_bytes + MOR_JSON_PADDING);
    if (size_bytes > 0)
        memcpy(decoder->text.data, bytes, size_bytes);
    memset(decoder->text.data + size_bytes, 0, MOR_JSON_PADDING);
    decoder->text.size_bytes = size_bytes;
    ret_reader->end = decoder->text.data + size_bytes;
    ret_reader->wrong = NULL;
    ret_reader->wrong_at = NULL;
    ret_reader->column_full = false;
    ret_reader->path_count = 0;
    ret_reader->scratch = &decoder->scratch;
    ret_reader->slots = &decoder->slots;
    ret_reader->locale = decoder->locale;
}

static enum mor_status fail_json(const struct mor_decoder *decoder,
                                 const struct mor_json_reader *reader, struct mor_vector *columns,
                                 size_t length, struct mor_error *err)
{
    char path[512] = "";
    size_t used = 0;
    for (size_t i = reader->path_count; i-- > 0 && used < sizeof path - 1;) {
        int wrote =
            snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", reader->path[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    for (size_t i = 0; i < decoder->column_count; i++)
        mor_avro_append_undo(&columns[i], length);
    return mor_error_set(err, reader->column_full ? MOR_RETRY : MOR_DATA, "%s%s%sbyte %zu: %s",
                         used ? "field '" : "", path, used ? "', " : "",
                         (size_t)(reader->wrong_at - decoder->text.data), reader->wrong);
}

enum mor_status mor_decoder_finish_json(struct mor_decoder *decoder, struct mor_json_reader *reader,
                                        const uint8_t *at, struct mor_vector *columns,
                                        size_t length, struct mor_error *err)
{
    if (at) {
        at = mor_json_space(at);
        if (at == reader->end)
            return MOR_OK;
        mor_json_fail(reader, at, "something stands behind the value");
    }
    return fail_json(decoder, reader, columns, length, err);
}

static enum mor_status decode_json(struct mor_decoder *decoder, const uint8_t *bytes,
                                   size_t size_bytes, struct mor_vector *columns,
                                   struct mor_error *err)
{
    struct mor_json_reader reader;
    size_t length = columns[0].length;
    mor_decoder_start_json(decoder, bytes, size_bytes, &reader);
    const uint8_t *at = decoder->text.data;
    if (size_bytes > WIRE_HEADER_SIZE && at[0] == 0) // no JSON text begins so
        at += WIRE_HEADER_SIZE;
    at = mor_json_decode_object(&reader, decoder->object, columns, mor_json_space(at), 0);
    return mor_decoder_finish_json(decoder, &reader, at, columns, length, err);
}

// ---- front door ---------------------------------------------------------------------------------

static struct mor_schema *first_columns(const struct mor_schema *schema, size_t count)
{
    struct mor_schema *copy = mor_schema_new(schema->root.name);
    for (size_t i = 0; i < count; i++)
        mor_schema_add_copy(copy, NULL, &schema->root.children[i]);
    return copy;
}

static enum mor_status set_payload(struct mor_decoder *decoder,
                                   const struct mor_decoder_options *options, struct mor_error *err)
{
    if (options->format == MOR_PAYLOAD_JSON)
        return mor_json_object_build(
            &decoder->arena, options->schema->root.children, options->column_count,
            options->source_schema ? &options->source_schema->root : NULL, &decoder->object, err);
    decoder->value_table = first_columns(options->schema, options->column_count);
    decoder->value_plans.table = decoder->value_table;
    if (options->registry)
        return MOR_OK;
    if (!options->writer_schema)
        return mor_error_set(err, MOR_FATAL, "Avro needs a schema registry or a writer schema");
    decoder->bare = plan_of(options->writer_schema, decoder->value_table, NULL);
    if (!decoder->bare->plan)
        return mor_error_set(err, MOR_DATA, "writer schema: %s", decoder->bare->reason);
    return MOR_OK;
}

enum mor_status mor_decoder_new(const struct mor_decoder_options *options,
                                struct mor_decoder **ret_decoder, struct mor_error *err)
{
    if (options->column_count == 0 || options->column_count > options->schema->root.child_count)
        return mor_error_set(err, MOR_FATAL, "a decoder of %zu columns for a schema of %zu",
                             options->column_count, options->schema->root.child_count);
    struct mor_decoder *decoder = mor_calloc(1, sizeof *decoder);
    mor_arena_init(&decoder->arena, 0, NULL);
    decoder->format = options->format;
    decoder->key_format = options->key_format;
    decoder->schema = options->schema;
    decoder->column_count = options->column_count;
    decoder->registry = options->registry;
    decoder->value_size_max_bytes =
        options->value_size_max_bytes ? options->value_size_max_bytes : MOR_DECODER_VALUE_SIZE_MAX;
    decoder->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    enum mor_status status = decoder->locale ? set_payload(decoder, options, err)
                                             : mor_error_set(err, MOR_FATAL, "no locale \"C\"");
    if (status == MOR_OK)
        status = mor_decoder_set_keys(decoder, options, err);
    if (status != MOR_OK) {
        mor_decoder_free(decoder);
        return status;
    }
    *ret_decoder = decoder;
    return MOR_OK;
}

void mor_decoder_free(struct mor_decoder *decoder)
{
    if (!decoder)
        return;
    plans_done(&decoder->value_plans);
    plans_done(&decoder->key_plans);
    plan_free(decoder->bare);
    mor_schema_free(decoder->value_table);
    mor_schema_free(decoder->key_table);
    mor_buffer_done(&decoder->text);
    mor_buffer_done(&decoder->scratch);
    mor_buffer_done(&decoder->slots);
    mor_arena_done(&decoder->arena);
    if (decoder->locale)
        freelocale(decoder->locale);
    free(decoder);
}

enum mor_status mor_decoder_value(struct mor_decoder *decoder, const struct mor_record *record,
                                  struct mor_vector *columns, struct mor_error *err)
{
    if (!record->value)
        return mor_error_set(err, MOR_DATA, "the record has no value");
    if (record->value_size_bytes > decoder->value_size_max_bytes)
        return mor_error_set(err, MOR_DATA, "the value has %zu bytes, the limit is %zu",
                             record->value_size_bytes, decoder->value_size_max_bytes);
    if (decoder->format == MOR_PAYLOAD_JSON)
        return decode_json(decoder, record->value, record->value_size_bytes, columns, err);
    if (decoder->bare)
        return mor_avro_plan_decode(decoder->bare->plan, record->value, record->value_size_bytes,
                                    columns, NULL, err);
    return mor_decoder_wire(decoder, &decoder->value_plans, record->value, record->value_size_bytes,
                            columns, err);
}
