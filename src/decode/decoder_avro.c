// Avro values: plans by the registry's schema id, Confluent's wire format, bare data.
#include <assert.h>
#include <stdio.h>

#include "decoder.h"
#include "moraine/avro/append.h"

// ---- plans --------------------------------------------------------------------------------------

static void plan_free(struct mor_decoder_plan *plan)
{
    if (!plan)
        return;
    mor_avro_plan_free(plan->plan);
    mor_avro_schema_free(plan->writer);
    free(plan->reason);
    free(plan->change);
    free(plan);
}

void mor_decoder_forget_plans(struct mor_decoder_plans *plans)
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

static enum mor_status compile(const struct mor_decoder_plans *plans, const char *text,
                               struct mor_decoder_plan *plan, struct mor_error *err)
{
    MOR_AUTO_FREE char *wrapped = NULL;
    if (plans->wrap_as && !is_record(text)) { // a record of one field has the bytes of the field
        wrapped = mor_asprintf("{\"type\":\"record\",\"name\":\"key\",\"fields\":[{\"name\":\"%s\","
                               "\"type\":%s}]}",
                               plans->wrap_as, text);
        text = wrapped;
    }
    MOR_TRY(mor_avro_schema_parse(text, strlen(text), &plan->writer, err));
    struct mor_avro_plan_options options = {.writer = plan->writer,
                                            .table = plans->table,
                                            .reader = plans->reader,
                                            .routes = plans->routes,
                                            .route_count = plans->route_count,
                                            .row_is_whole = plans->row_is_whole};
    return mor_avro_plan_compile(&options, &plan->plan, err);
}

static struct mor_decoder_plan *plan_of(const struct mor_decoder_plans *plans, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_decoder_plan *plan = mor_calloc(1, sizeof *plan);
    if (compile(plans, text, plan, &err) != MOR_OK)
        plan->reason = mor_strdup(err.message);
    return plan;
}

static enum mor_status find_plan(struct mor_decoder *decoder, struct mor_decoder_plans *plans,
                                 int32_t id, const struct mor_decoder_plan **ret_plan,
                                 struct mor_error *err)
{
    struct mor_map_entry *entry = mor_map_find(&plans->by_id, &id, sizeof id);
    if (!entry) {
        struct mor_arena arena;
        struct mor_schema_text schema;
        mor_arena_init(&arena, 0, NULL);
        enum mor_status status = mor_registry_schema(decoder->options.registry, MOR_SCHEMA_AVRO, id,
                                                     &arena, &schema, err);
        if (status == MOR_OK) {
            if (plans->by_id.count >= MOR_DECODER_PLANS_MAX)
                mor_decoder_forget_plans(plans);
            entry = mor_map_put(&plans->by_id, &id, sizeof id, NULL);
            entry->value.pointer = plan_of(plans, schema.text);
            struct mor_decoder_plan *plan = entry->value.pointer;
            if (plans == &decoder->value_plans)
                mor_decoder_look_for_changes(decoder, id, plan->reason,
                                             plan->plan ? mor_avro_plan_strangers(plan->plan) : "",
                                             &plan->change, &plan->refused);
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
    int32_t id;
    MOR_TRY(mor_decoder_wire_id(bytes, size_bytes, &id, err));
    const struct mor_decoder_plan *plan = plans->last;
    if (!plan || plans->last_id != id)
        MOR_TRY(find_plan(decoder, plans, id, &plan, err));
    assert(plan);
    if (__builtin_expect(plan->change != NULL, 0))
        return mor_decoder_stop_at(decoder, id, plan->change, err);
    if (!plan->plan)
        return mor_decoder_refuse(id, plan->refused, plan->reason, err);
    enum mor_status status = mor_avro_plan_decode_noting(
        plan->plan, bytes + MOR_WIRE_HEADER_SIZE, size_bytes - MOR_WIRE_HEADER_SIZE,
        decoder->options.limits.items_max, columns, &decoder->notes, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "datum of schema id %d", id);
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_decoder_set_avro(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    if (options->reader_schema)
        MOR_TRY(mor_avro_schema_parse(options->reader_schema, strlen(options->reader_schema),
                                      &decoder->reader, err));
    decoder->value_plans.table = decoder->value_table;
    decoder->value_plans.reader = decoder->reader;
    decoder->value_plans.routes = options->routes;
    decoder->value_plans.route_count = options->route_count;
    decoder->value_plans.row_is_whole = options->row_is_whole;
    if (options->registry)
        return MOR_OK;
    if (!options->writer_schema.text)
        return mor_error_set(err, MOR_FATAL, "Avro needs a schema registry or a writer schema");
    decoder->bare = plan_of(&decoder->value_plans, options->writer_schema.text);
    if (!decoder->bare->plan)
        return mor_error_set(err, MOR_DATA, "writer schema: %s", decoder->bare->reason);
    return MOR_OK;
}

void mor_decoder_avro_done(struct mor_decoder *decoder)
{
    mor_decoder_forget_plans(&decoder->value_plans);
    mor_decoder_forget_plans(&decoder->key_plans);
    plan_free(decoder->bare);
    mor_avro_schema_free(decoder->reader);
}

enum mor_status mor_decoder_avro(struct mor_decoder *decoder, const struct mor_record *record,
                                 struct mor_vector *columns, struct mor_error *err)
{
    if (decoder->bare)
        return mor_avro_plan_decode_noting(
            decoder->bare->plan, record->value, record->value_size_bytes,
            decoder->options.limits.items_max, columns, &decoder->notes, err);
    return mor_decoder_wire(decoder, &decoder->value_plans, record->value, record->value_size_bytes,
                            columns, err);
}
