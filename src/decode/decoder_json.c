// JSON values: from a record's bytes to the reader and back to an error.
#include <stdio.h>

#include "decoder.h"

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
    ret_reader->base64_decimals = decoder->options.base64_decimals;
    ret_reader->depth_max = decoder->options.limits.depth_max;
    ret_reader->items_max = decoder->options.limits.items_max;
    ret_reader->notes = &decoder->notes;
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
    mor_decoder_undo(decoder, columns, length);
    return mor_error_set(err, reader->column_full ? MOR_RETRY : MOR_DATA, "%s%s%sbyte %zu: %s",
                         used ? "field '" : "", path, used ? "', " : "",
                         (size_t)(reader->wrong_at - decoder->text.data), reader->wrong);
}

// Behind the key `name` and its colon, when it stands at `at`; else NULL.
static const uint8_t *behind_key(const uint8_t *at, const char *quoted)
{
    size_t size = strlen(quoted); // the text is padded: this many bytes may be read
    if (memcmp(at, quoted, size) != 0)
        return NULL;
    at = mor_json_space(at + size);
    return *at == ':' ? mor_json_space(at + 1) : NULL;
}

const uint8_t *mor_decoder_enter_json(struct mor_json_reader *reader, const uint8_t *at,
                                      int *ret_depth)
{
    *ret_depth = 0;
    if (*at != '{')
        return at;
    const uint8_t *inside = mor_json_space(at + 1);
    const uint8_t *schema = behind_key(inside, "\"schema\"");
    if (schema) {
        inside = mor_json_skip(reader, schema, 1);
        if (!inside)
            return NULL;
        inside = mor_json_space(inside);
        if (*inside != ',')
            return at;
        inside = mor_json_space(inside + 1);
    }
    const uint8_t *payload = behind_key(inside, "\"payload\"");
    *ret_depth = payload ? 1 : 0;
    return payload ? payload : at;
}

// What may follow the payload: the schema, when it did not come first.
static const uint8_t *leave_json(struct mor_json_reader *reader, const uint8_t *at)
{
    at = mor_json_space(at);
    if (*at == ',') {
        const uint8_t *schema = behind_key(mor_json_space(at + 1), "\"schema\"");
        if (!schema)
            return mor_json_fail(reader, at + 1, "expected \"schema\"");
        at = mor_json_skip(reader, schema, 1);
        if (!at)
            return NULL;
        at = mor_json_space(at);
    }
    return *at == '}' ? at + 1 : mor_json_fail(reader, at, "expected '}'");
}

enum mor_status mor_decoder_finish_json(struct mor_decoder *decoder, struct mor_json_reader *reader,
                                        const uint8_t *at, int depth, struct mor_vector *columns,
                                        size_t length, struct mor_error *err)
{
    if (at && depth > 0)
        at = leave_json(reader, at);
    if (at) {
        at = mor_json_space(at);
        if (at == reader->end)
            return MOR_OK;
        mor_json_fail(reader, at, "something stands behind the value");
    }
    return fail_json(decoder, reader, columns, length, err);
}

// What a schema of the registry has that the columns lack. One that is not there, or that is no
// JSON schema of an object, says nothing: the value can be read without it.
static enum mor_status judge_schema(struct mor_decoder *decoder, int32_t id,
                                    struct mor_decoder_plan *plan, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    struct mor_arena arena;
    struct mor_schema_text text;
    struct mor_schema *theirs = NULL;
    MOR_AUTO_BUFFER strangers = {0};
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status =
        mor_registry_schema(options->registry, MOR_SCHEMA_JSON, id, &arena, &text, err);
    if (status == MOR_OK)
        status = mor_json_schema_to_table(&text, &theirs, err);
    if (status == MOR_OK) {
        mor_schema_strangers(options->source_schema, theirs, &strangers);
        mor_decoder_look_for_changes(decoder, id, NULL, mor_buffer_terminate(&strangers),
                                     &plan->change, &plan->refused);
    }
    mor_schema_free(theirs);
    mor_arena_done(&arena);
    return status == MOR_RETRY || status == MOR_FATAL ? status : MOR_OK;
}

// Confluent's five bytes: a schema id that is new may tell of fields that the columns lack. Topics
// that choose their columns leave others out on purpose.
static enum mor_status look_at_schema(struct mor_decoder *decoder, const struct mor_record *record,
                                      struct mor_error *err)
{
    struct mor_decoder_plans *plans = &decoder->value_plans;
    int32_t id;
    if (!decoder->options.registry || !decoder->options.source_schema || decoder->options.routes ||
        mor_decoder_wire_id(record->value, record->value_size_bytes, &id, err) != MOR_OK)
        return MOR_OK;
    if (!plans->last || plans->last_id != id) {
        struct mor_map_entry *entry = mor_map_find(&plans->by_id, &id, sizeof id);
        if (!entry) {
            struct mor_decoder_plan plan = {0};
            MOR_TRY(judge_schema(decoder, id, &plan, err));
            if (plans->by_id.count >= MOR_DECODER_PLANS_MAX)
                mor_decoder_forget_plans(plans);
            entry = mor_map_put(&plans->by_id, &id, sizeof id, NULL);
            entry->value.pointer = mor_calloc(1, sizeof plan);
            memcpy(entry->value.pointer, &plan, sizeof plan);
        }
        plans->last_id = id;
        plans->last = entry->value.pointer;
    }
    return plans->last->change ? mor_decoder_stop_at(decoder, id, plans->last->change, err)
                               : MOR_OK;
}

// Names the fields that came for the first time and go nowhere.
static void notice_strangers(struct mor_decoder *decoder)
{
    const struct mor_json_object *row = decoder->row;
    MOR_AUTO_BUFFER names = {0};
    for (; decoder->row_told < row->ignored_count; decoder->row_told++) {
        const struct mor_json_field *field = &row->ignored[decoder->row_told];
        int size = field->name_size < 100 ? (int)field->name_size : 100;
        mor_buffer_printf(&names, "%s%.*s", names.size_bytes > 0 ? ", " : "", size, field->name);
    }
    (void)snprintf(decoder->notice, sizeof decoder->notice,
                   "records have fields that the table lacks, they are left out: %.300s",
                   mor_buffer_terminate(&names));
}

enum mor_status mor_decoder_json(struct mor_decoder *decoder, const struct mor_record *record,
                                 struct mor_vector *columns, struct mor_error *err)
{
    struct mor_json_reader reader;
    size_t length = columns[0].length;
    int depth = 0;
    mor_decoder_start_json(decoder, record->value, record->value_size_bytes, &reader);
    const uint8_t *at = decoder->text.data;
    if (record->value_size_bytes > MOR_WIRE_HEADER_SIZE && at[0] == 0) { // no JSON text begins so
        MOR_TRY(look_at_schema(decoder, record, err));
        at += MOR_WIRE_HEADER_SIZE;
    }
    at = mor_json_space(at);
    if (decoder->options.envelope != MOR_ENVELOPE_NONE) {
        decoder->notes = (struct mor_notes){0};
        at = mor_decoder_enter_json(&reader, at, &depth);
    }
    if (at)
        at = mor_json_decode_object(&reader, decoder->object, columns, at, depth);
    MOR_TRY(mor_decoder_finish_json(decoder, &reader, at, depth, columns, length, err));
    if (decoder->row && __builtin_expect(decoder->row->ignored_count != decoder->row_told, 0))
        notice_strangers(decoder);
    return MOR_OK;
}
