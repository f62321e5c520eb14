// Protobuf values: plans by the registry's schema id and the message's place in its file, bare
// messages, and the table of a message.
#include <stdio.h>

#include "decoder.h"
#include "moraine/base/base64.h"
#include "proto_plan.h"
#include "proto_wire.h"

#define INDEXES_MAX     32
#define HEADER_SIZE_MAX (MOR_WIRE_HEADER_SIZE + 5 * (INDEXES_MAX + 1))
#define MAIN_FILE       "the schema"

// A writer's message type and the plan from it to the columns, or why there is none.
struct proto_plan {
    struct mor_proto_set *set;
    struct mor_proto_plan *plan;
    char *reason;
    bool misfits; // plan NULL: the type is the topic's, but the columns do not take it
    char *change; // what the columns do not take in; NULL = nothing
    bool refused; // plan NULL, and the columns cannot be changed so that it fits
};

struct mor_decoder_protobuf {
    struct mor_map by_header; // the bytes before the message -> struct proto_plan
    uint8_t last_header[HEADER_SIZE_MAX];
    size_t last_size; // the hot case: the same header as before
    int32_t last_id;
    struct proto_plan *last;
    struct proto_plan *bare;
};

static void plan_free(struct proto_plan *plan)
{
    if (!plan)
        return;
    mor_proto_plan_free(plan->plan);
    mor_proto_set_free(plan->set);
    free(plan->reason);
    free(plan->change);
    free(plan);
}

static void forget_plans(struct mor_decoder_protobuf *protobuf)
{
    for (size_t i = 0; i < protobuf->by_header.count; i++)
        plan_free(protobuf->by_header.entries[i].value.pointer);
    mor_map_done(&protobuf->by_header);
    protobuf->by_header = (struct mor_map){0};
    protobuf->last = NULL;
    protobuf->last_size = 0;
}

// ---- message types ------------------------------------------------------------------------------

// Text has no control characters but white space; a descriptor always has.
static bool is_descriptor(const struct mor_schema_text *schema)
{
    for (size_t i = 0; i < schema->size_bytes; i++) {
        if ((unsigned char)schema->text[i] < '\t')
            return true;
    }
    return false;
}

// Some clients register base64 of a FileDescriptorProto instead of text; some registries hand it
// out as it came. No .proto text is without a blank or a semicolon.
static enum mor_status add_file(struct mor_proto_set *set, const char *name, const char *text,
                                size_t size_bytes, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    bool is_base64 = size_bytes > 0 && size_bytes <= MOR_PROTO_TEXT_SIZE_MAX &&
                     mor_base64_decode(text, size_bytes, &bytes);
    return is_base64 ? mor_proto_add_descriptor(set, name, bytes.data, bytes.size_bytes, err)
                     : mor_proto_add_text(set, name, text, size_bytes, err);
}

static enum mor_status read_schema(const struct mor_schema_text *schema, struct mor_proto_set *set,
                                   const struct mor_proto_file **ret_file, struct mor_error *err)
{
    size_t before = set->file_count;
    if (is_descriptor(schema)) {
        MOR_TRY(mor_proto_add_descriptors(set, schema->text, schema->size_bytes, err));
        if (set->file_count == before)
            return mor_error_set(err, MOR_DATA, "descriptor: no file in it");
        *ret_file = set->files[set->file_count - 1];
    } else {
        for (size_t i = 0; i < schema->import_count; i++)
            MOR_TRY(add_file(set, schema->imports[i].name, schema->imports[i].text,
                             strlen(schema->imports[i].text), err));
        MOR_TRY(add_file(set, MAIN_FILE, schema->text, schema->size_bytes, err));
        *ret_file = mor_proto_find_file(set, MAIN_FILE);
    }
    return mor_proto_link(set, err);
}

static enum mor_status find_message(const struct mor_proto_set *set,
                                    const struct mor_proto_file *file, const char *name,
                                    const struct mor_proto_message **ret_message,
                                    struct mor_error *err)
{
    static const int32_t first = 0;
    *ret_message = name ? mor_proto_find(set, name) : mor_proto_at(file, &first, 1);
    return *ret_message
               ? MOR_OK
               : mor_error_set(err, MOR_DATA, "there is no message '%.200s'", name ? name : "");
}

enum mor_status mor_protobuf_to_table(const struct mor_schema_text *schema, const char *message,
                                      struct mor_arena *arena, const char **ret_message,
                                      struct mor_schema **ret_schema, struct mor_error *err)
{
    struct mor_proto_set *set = mor_proto_set_new();
    const struct mor_proto_file *file;
    const struct mor_proto_message *found;
    enum mor_status status = read_schema(schema, set, &file, err);
    if (status == MOR_OK)
        status = find_message(set, file, message, &found, err);
    if (status == MOR_OK)
        status = mor_proto_to_table(found, ret_schema, err);
    if (status == MOR_OK)
        *ret_message = mor_arena_strdup(arena, found->full_name);
    mor_proto_set_free(set);
    return status;
}

// ---- plans --------------------------------------------------------------------------------------

// `indexes` NULL = the message of the options.
static enum mor_status compile(const struct mor_decoder *decoder,
                               const struct mor_schema_text *schema, const int32_t *indexes,
                               size_t count, struct proto_plan *plan, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    const struct mor_proto_file *file;
    const struct mor_proto_message *message;
    plan->set = mor_proto_set_new();
    MOR_TRY(read_schema(schema, plan->set, &file, err));
    if (!indexes)
        MOR_TRY(find_message(plan->set, file, options->message, &message, err));
    else
        message = mor_proto_at(file, indexes, count);
    if (!message)
        return mor_error_set(err, MOR_DATA, "the schema has no message at the place it names");
    if (options->message && strcmp(options->message, message->full_name) != 0)
        return mor_error_set(err, MOR_DATA, "the message is a '%.200s', not a '%.200s'",
                             message->full_name, options->message);
    struct mor_proto_plan_options plan_options = {.message = message,
                                                  .table = decoder->value_table,
                                                  .routes = options->routes,
                                                  .route_count = options->route_count,
                                                  .items_max = options->limits.items_max};
    enum mor_status status = mor_proto_plan_new(&plan_options, &plan->plan, err);
    plan->misfits = status != MOR_OK;
    return status;
}

static struct proto_plan *plan_of(const struct mor_decoder *decoder,
                                  const struct mor_schema_text *schema, const int32_t *indexes,
                                  size_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct proto_plan *plan = mor_calloc(1, sizeof *plan);
    if (compile(decoder, schema, indexes, count, plan, &err) != MOR_OK)
        plan->reason = mor_strdup(err.message);
    return plan;
}

// Only a message of the topic's type can change the columns.
static void look_for_changes(struct mor_decoder *decoder, int32_t id, struct proto_plan *plan)
{
    if (plan->plan || plan->misfits)
        mor_decoder_look_for_changes(decoder, id, plan->reason,
                                     plan->plan ? mor_proto_plan_strangers(plan->plan) : "",
                                     &plan->change, &plan->refused);
}

// The message indexes behind the schema id: their number and each of them as zig-zag varints; a
// number of 0 stands for one index of 0. *ret_header_size: all bytes before the message.
static enum mor_status read_indexes(const uint8_t *bytes, size_t size_bytes, int32_t *ret_indexes,
                                    size_t *ret_count, size_t *ret_header_size,
                                    struct mor_error *err)
{
    struct mor_proto_input in = {bytes + MOR_WIRE_HEADER_SIZE, bytes + size_bytes};
    uint64_t count = 0, index = 0;
    const char *wrong = mor_proto_varint(&in, &count);
    if (!wrong && (count % 2 != 0 || count / 2 > INDEXES_MAX))
        wrong = "an impossible number of message indexes";
    *ret_count = (size_t)(count / 2);
    for (size_t i = 0; i < *ret_count && !wrong; i++) {
        wrong = mor_proto_varint(&in, &index);
        if (!wrong && (index % 2 != 0 || index / 2 > MOR_PROTO_MEMBERS_MAX))
            wrong = "an impossible message index";
        ret_indexes[i] = (int32_t)(index / 2);
    }
    if (wrong)
        return mor_error_set(err, MOR_DATA, "byte %d: %s", MOR_WIRE_HEADER_SIZE, wrong);
    if (*ret_count == 0)
        ret_indexes[(*ret_count)++] = 0;
    *ret_header_size = (size_t)(in.at - bytes);
    return MOR_OK;
}

static enum mor_status find_plan(struct mor_decoder *decoder, const uint8_t *bytes,
                                 size_t size_bytes, struct mor_error *err)
{
    struct mor_decoder_protobuf *protobuf = decoder->protobuf;
    int32_t id, indexes[INDEXES_MAX + 1];
    size_t count, header_size;
    MOR_TRY(mor_decoder_wire_id(bytes, size_bytes, &id, err));
    MOR_TRY(read_indexes(bytes, size_bytes, indexes, &count, &header_size, err));
    struct mor_map_entry *entry = header_size > HEADER_SIZE_MAX
                                      ? NULL
                                      : mor_map_find(&protobuf->by_header, bytes, header_size);
    if (!entry) {
        struct mor_arena arena;
        struct mor_schema_text schema;
        mor_arena_init(&arena, 0, NULL);
        enum mor_status status = mor_registry_schema(decoder->options.registry, MOR_SCHEMA_PROTOBUF,
                                                     id, &arena, &schema, err);
        if (status == MOR_OK && header_size > HEADER_SIZE_MAX)
            status =
                mor_error_set(err, MOR_DATA, "the message indexes are not in their short form");
        if (status == MOR_OK) {
            if (protobuf->by_header.count >= MOR_DECODER_PLANS_MAX)
                forget_plans(protobuf);
            entry = mor_map_put(&protobuf->by_header, bytes, header_size, NULL);
            entry->value.pointer = plan_of(decoder, &schema, indexes, count);
            look_for_changes(decoder, id, entry->value.pointer);
        }
        mor_arena_done(&arena);
        if (status == MOR_NOT_FOUND)
            return mor_error_set(err, MOR_DATA, "byte 1: schema id %d is not in the registry", id);
        MOR_TRY(status);
    }
    protobuf->last = entry->value.pointer;
    protobuf->last_size = header_size;
    protobuf->last_id = id;
    memcpy(protobuf->last_header, bytes, header_size);
    return MOR_OK;
}

// ---- front door ---------------------------------------------------------------------------------

enum mor_status mor_decoder_set_protobuf(struct mor_decoder *decoder, struct mor_error *err)
{
    const struct mor_decoder_options *options = &decoder->options;
    decoder->protobuf = mor_calloc(1, sizeof *decoder->protobuf);
    if (options->registry)
        return MOR_OK;
    if (!options->writer_schema.text)
        return mor_error_set(err, MOR_FATAL, "Protobuf needs a schema registry or a schema file");
    decoder->protobuf->bare = plan_of(decoder, &options->writer_schema, NULL, 0);
    if (!decoder->protobuf->bare->plan)
        return mor_error_set(err, MOR_DATA, "schema: %s", decoder->protobuf->bare->reason);
    return MOR_OK;
}

void mor_decoder_protobuf_done(struct mor_decoder *decoder)
{
    if (!decoder->protobuf)
        return;
    forget_plans(decoder->protobuf);
    plan_free(decoder->protobuf->bare);
    free(decoder->protobuf);
}

enum mor_status mor_decoder_protobuf(struct mor_decoder *decoder, const struct mor_record *record,
                                     struct mor_vector *columns, struct mor_error *err)
{
    struct mor_decoder_protobuf *protobuf = decoder->protobuf;
    const uint8_t *bytes = record->value;
    size_t size = record->value_size_bytes;
    if (protobuf->bare)
        return mor_proto_plan_decode(protobuf->bare->plan, bytes, size, columns, err);
    if (!protobuf->last || size < protobuf->last_size ||
        memcmp(bytes, protobuf->last_header, protobuf->last_size) != 0)
        MOR_TRY(find_plan(decoder, bytes, size, err));
    if (__builtin_expect(protobuf->last->change != NULL, 0))
        return mor_decoder_stop_at(decoder, protobuf->last_id, protobuf->last->change, err);
    if (!protobuf->last->plan)
        return mor_decoder_refuse(protobuf->last_id, protobuf->last->refused,
                                  protobuf->last->reason, err);
    enum mor_status status =
        mor_proto_plan_decode(protobuf->last->plan, bytes + protobuf->last_size,
                              size - protobuf->last_size, columns, err);
    return status == MOR_OK ? MOR_OK : mor_error_wrap(err, "message");
}
