// Payload decoding, ns per record: moraine's decoders next to generic readers (avro-c, jansson).
//
//   decode_bench [--json] [RECORDS [PART-OF-A-NAME]]
//
// Prints one line per case: name, ns/record of CPU time (least of RUNS passes), MB/s.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_AVRO_C
#include <avro.h>
#endif
#include <jansson.h>

#include "moraine/avro.h"
#include "moraine/base/clock.h"
#include "moraine/decode.h"

#define RUNS  7
#define BATCH 4096

static const char schema_json[] =
    "{\"type\":\"record\",\"name\":\"order\",\"fields\":["
    "{\"name\":\"order_id\",\"type\":\"long\"},{\"name\":\"customer_id\",\"type\":\"long\"},"
    "{\"name\":\"status\",\"type\":\"string\"},{\"name\":\"currency\",\"type\":\"string\"},"
    "{\"name\":\"amount_cents\",\"type\":\"long\"},{\"name\":\"quantity\",\"type\":\"int\"},"
    "{\"name\":\"discount\",\"type\":\"double\"},{\"name\":\"priority\",\"type\":\"int\"},"
    "{\"name\":\"is_gift\",\"type\":\"boolean\"},"
    "{\"name\":\"created_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"updated_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"country\",\"type\":\"string\"},{\"name\":\"product\",\"type\":\"string\"},"
    "{\"name\":\"note\",\"type\":\"string\"},{\"name\":\"event_id\",\"type\":\"string\"}]}";

static const char proto_text[] =
    "syntax = 'proto3'; message Order { int64 order_id = 1; int64 customer_id = 2; string status = "
    "3;"
    " string currency = 4; int64 amount_cents = 5; int32 quantity = 6; double discount = 7;"
    " int32 priority = 8; bool is_gift = 9; int64 created_at = 10; int64 updated_at = 11;"
    " string country = 12; string product = 13; string note = 14; string event_id = 15; }";

struct corpus {
    struct mor_buffer bytes;
    size_t *starts; // count + 1
    size_t count;
};

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

struct order {
    int64_t id, customer, cents, created, updated;
    int quantity, priority;
    double discount;
    bool gift;
    const char *status, *currency, *country;
    char product[32], note[64], event[40];
};

static struct order random_order(int64_t i)
{
    static const char *const statuses[] = {"created", "paid", "packed", "shipped", "delivered"};
    static const char *const currencies[] = {"EUR", "USD", "GBP"};
    static const char *const countries[] = {"DE", "FR", "US", "GB", "PL"};
    struct order o = {
        .id = 1000000000 + i,
        .customer = (int64_t)(next_random() % 5000000),
        .cents = (int64_t)(next_random() % 1000000),
        .created = 1767225600000000 + i * 1000,
        .quantity = (int)(next_random() % 9) + 1,
        .priority = (int)(next_random() % 300),
        .discount = (double)(next_random() % 10000) / 100.0,
        .gift = next_random() % 2,
        .status = statuses[next_random() % 5],
        .currency = currencies[next_random() % 3],
        .country = countries[next_random() % 5],
    };
    o.updated = o.created + (int64_t)(next_random() % 100000000);
    snprintf(o.product, sizeof o.product, "product-%05d", (int)(next_random() % 100000));
    snprintf(o.note, sizeof o.note, "leave at door %d", (int)(next_random() % 1000));
    snprintf(o.event, sizeof o.event, "%08x-%04x-4%03x-8%03x-%012" PRIx64, (uint32_t)next_random(),
             (unsigned)(next_random() & 0xFFFF), (unsigned)(next_random() & 0xFFF),
             (unsigned)(next_random() & 0xFFF), next_random() & 0xFFFFFFFFFFFFu);
    return o;
}

static void put_text(struct mor_buffer *b, const char *text)
{
    mor_avro_put_bytes(b, text, strlen(text));
}

static void put_avro(struct mor_buffer *b, const struct order *o)
{
    mor_avro_put_long(b, o->id);
    mor_avro_put_long(b, o->customer);
    put_text(b, o->status);
    put_text(b, o->currency);
    mor_avro_put_long(b, o->cents);
    mor_avro_put_long(b, o->quantity);
    mor_buffer_append(b, &o->discount, 8);
    mor_avro_put_long(b, o->priority);
    mor_buffer_append_u8(b, o->gift);
    mor_avro_put_long(b, o->created);
    mor_avro_put_long(b, o->updated);
    put_text(b, o->country);
    put_text(b, o->product);
    put_text(b, o->note);
    put_text(b, o->event);
}

static void put_varint(struct mor_buffer *b, int field, uint64_t value)
{
    mor_buffer_append_u8(b, (uint8_t)(field << 3));
    for (; value >= 0x80; value >>= 7)
        mor_buffer_append_u8(b, (uint8_t)(value | 0x80));
    mor_buffer_append_u8(b, (uint8_t)value);
}

static void put_field(struct mor_buffer *b, int field, const char *text)
{
    mor_buffer_append_u8(b, (uint8_t)(field << 3 | 2));
    mor_buffer_append_u8(b, (uint8_t)strlen(text));
    mor_buffer_append_text(b, text);
}

static void put_protobuf(struct mor_buffer *b, const struct order *o)
{
    put_varint(b, 1, (uint64_t)o->id);
    put_varint(b, 2, (uint64_t)o->customer);
    put_field(b, 3, o->status);
    put_field(b, 4, o->currency);
    put_varint(b, 5, (uint64_t)o->cents);
    put_varint(b, 6, (uint64_t)o->quantity);
    mor_buffer_append_u8(b, 7 << 3 | 1);
    mor_buffer_append(b, &o->discount, 8);
    put_varint(b, 8, (uint64_t)o->priority);
    put_varint(b, 9, o->gift);
    put_varint(b, 10, (uint64_t)o->created);
    put_varint(b, 11, (uint64_t)o->updated);
    put_field(b, 12, o->country);
    put_field(b, 13, o->product);
    put_field(b, 14, o->note);
    put_field(b, 15, o->event);
}

// The fields of the record as JSON members, in the order of the schema.
static size_t json_members(const struct order *o, char members[15][96])
{
    size_t n = 0;
    snprintf(members[n++], 96, "\"order_id\":%" PRId64, o->id);
    snprintf(members[n++], 96, "\"customer_id\":%" PRId64, o->customer);
    snprintf(members[n++], 96, "\"status\":\"%s\"", o->status);
    snprintf(members[n++], 96, "\"currency\":\"%s\"", o->currency);
    snprintf(members[n++], 96, "\"amount_cents\":%" PRId64, o->cents);
    snprintf(members[n++], 96, "\"quantity\":%d", o->quantity);
    snprintf(members[n++], 96, "\"discount\":%.2f", o->discount);
    snprintf(members[n++], 96, "\"priority\":%d", o->priority);
    snprintf(members[n++], 96, "\"is_gift\":%s", o->gift ? "true" : "false");
    snprintf(members[n++], 96, "\"created_at\":%" PRId64, o->created);
    snprintf(members[n++], 96, "\"updated_at\":%" PRId64, o->updated);
    snprintf(members[n++], 96, "\"country\":\"%s\"", o->country);
    snprintf(members[n++], 96, "\"product\":\"%s\"", o->product);
    snprintf(members[n++], 96, "\"note\":\"%s\"", o->note);
    snprintf(members[n++], 96, "\"event_id\":\"%s\"", o->event);
    return n;
}

static void put_members(struct mor_buffer *b, const struct order *o, bool shuffle,
                        const char *comma)
{
    char members[15][96];
    size_t count = json_members(o, members);
    size_t order[15];
    for (size_t i = 0; i < count; i++) {
        size_t other = shuffle ? next_random() % (i + 1) : i; // inside-out shuffle
        if (other != i)
            order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < count; i++) {
        const char *member = members[order[i]];
        int name = (int)(strchr(member, ':') - member);
        mor_buffer_printf(b, "%s%.*s:%s%s", i ? comma : "{", name, member, comma + 1,
                          member + name + 1);
    }
    mor_buffer_append_u8(b, '}');
}

static void put_json(struct mor_buffer *b, const struct order *o)
{
    put_members(b, o, false, ",");
}

static void put_json_blanks(struct mor_buffer *b, const struct order *o)
{
    put_members(b, o, false, ", ");
}

static void put_json_shuffled(struct mor_buffer *b, const struct order *o)
{
    put_members(b, o, true, ",");
}

// An update of Debezium's without its schema part.
static void put_event(struct mor_buffer *b, const struct order *o)
{
    mor_buffer_append_text(b, "{\"before\":null,\"after\":");
    put_members(b, o, false, ",");
    mor_buffer_printf(
        b,
        ",\"source\":{\"version\":\"2.7.0\",\"connector\":\"postgresql\",\"ts_ms\":"
        "%" PRId64 ",\"db\":\"shop\",\"schema\":\"public\",\"table\":\"orders\",\"txId\":"
        "%" PRId64 ",\"lsn\":%" PRId64 ",\"xmin\":null},\"op\":\"u\",\"ts_ms\":%" PRId64 "}",
        o->updated / 1000, o->id, o->id * 8, o->updated / 1000);
}

static struct corpus make_corpus(size_t count,
                                 void (*put)(struct mor_buffer *, const struct order *))
{
    struct corpus c = {.count = count, .starts = mor_calloc(count + 1, sizeof(size_t))};
    for (size_t i = 0; i < count; i++) {
        struct order o = random_order((int64_t)i);
        c.starts[i] = c.bytes.size_bytes;
        put(&c.bytes, &o);
    }
    c.starts[count] = c.bytes.size_bytes;
    return c;
}

static void die(const struct mor_error *err)
{
    fprintf(stderr, "decode_bench: %s\n", err->message);
    exit(1);
}

static int64_t pass_decoder(struct mor_decoder *decoder, struct mor_batch *batch,
                            const struct corpus *c)
{
    struct mor_error err = MOR_ERROR_INIT;
    int64_t start = mor_clock_thread_cpu_ns();
    for (size_t i = 0; i < c->count; i++) {
        if (i % BATCH == 0)
            mor_batch_reset(batch);
        struct mor_record record = {.value = c->bytes.data + c->starts[i],
                                    .value_size_bytes = c->starts[i + 1] - c->starts[i]};
        if (mor_decoder_value(decoder, &record, batch->columns, &err) != MOR_OK)
            die(&err);
    }
    return mor_clock_thread_cpu_ns() - start;
}

static struct mor_schema *order_table(bool nullable)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *avro;
    struct mor_schema *table = NULL;
    if (mor_avro_schema_parse(schema_json, strlen(schema_json), &avro, &err) != MOR_OK ||
        mor_avro_schema_to_table(avro, &table, &err) != MOR_OK)
        die(&err);
    for (size_t i = 0; i < table->root.child_count; i++)
        table->root.children[i].nullable = nullable;
    mor_avro_schema_free(avro);
    return table;
}

// The table of the .proto text, all of it nullable as tables are.
static struct mor_schema *proto_table(void)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema_text text = {.text = proto_text, .size_bytes = strlen(proto_text)};
    struct mor_arena arena;
    struct mor_schema *table = NULL;
    const char *message;
    mor_arena_init(&arena, 0, NULL);
    if (mor_protobuf_to_table(&text, NULL, &arena, &message, &table, &err) != MOR_OK)
        die(&err);
    mor_arena_done(&arena);
    return table;
}

// Routes of a change event whose row has the columns of `table`.
static struct mor_route *event_routes(struct mor_arena *arena, const struct mor_schema *table)
{
    size_t count = table->root.child_count;
    struct mor_route *routes = mor_arena_calloc(arena, 2, sizeof *routes);
    struct mor_route *row = mor_arena_calloc(arena, count, sizeof *row);
    for (size_t i = 0; i < count; i++)
        row[i] = (struct mor_route){
            .name = table->root.children[i].name, .column = (int32_t)i, .note = MOR_ROUTE_NONE};
    routes[0] = (struct mor_route){"after", MOR_ROUTE_NONE, MOR_ROUTE_NONE, "before", row, count};
    routes[1] = (struct mor_route){"op", MOR_ROUTE_NONE, MOR_NOTE_OP, NULL, NULL, 0};
    return routes;
}

static int64_t bench_decoder(enum mor_payload_format format, bool nullable, bool event,
                             const struct corpus *c)
{
    struct mor_error err = MOR_ERROR_INIT;
    bool protobuf = format == MOR_PAYLOAD_PROTOBUF;
    const char *text = protobuf ? proto_text : schema_json;
    struct mor_schema *table = protobuf ? proto_table() : order_table(nullable);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_decoder *decoder = NULL;
    struct mor_decoder_options options = {
        .format = format,
        .schema = table,
        .column_count = table->root.child_count,
        .routes = event ? event_routes(&arena, table) : NULL,
        .route_count = event ? 2 : 0,
        .envelope = event ? MOR_ENVELOPE_DEBEZIUM : MOR_ENVELOPE_NONE,
        .writer_schema = {.text = text, .size_bytes = strlen(text)}};
    if (mor_decoder_new(&options, &decoder, &err) != MOR_OK)
        die(&err);
    struct mor_batch *batch = mor_batch_new(table, NULL);
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        int64_t ns = pass_decoder(decoder, batch, c);
        best = ns < best ? ns : best;
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(table);
    mor_arena_done(&arena);
    return best;
}

#ifdef HAVE_AVRO_C
// avro-c's generic reader with a reused value; values are read, not stored.
static int64_t bench_avro_c(const struct corpus *c)
{
    avro_schema_t schema;
    avro_value_t value;
    if (avro_schema_from_json_length(schema_json, strlen(schema_json), &schema)) {
        fprintf(stderr, "decode_bench: avro-c: %s\n", avro_strerror());
        exit(1);
    }
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_generic_value_new(iface, &value);
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = mor_clock_thread_cpu_ns();
        for (size_t i = 0; i < c->count; i++) {
            avro_reader_t reader = avro_reader_memory((const char *)c->bytes.data + c->starts[i],
                                                      (int64_t)(c->starts[i + 1] - c->starts[i]));
            if (avro_value_read(reader, &value)) {
                fprintf(stderr, "decode_bench: avro-c: %s\n", avro_strerror());
                exit(1);
            }
            avro_reader_free(reader);
        }
        int64_t ns = mor_clock_thread_cpu_ns() - start;
        best = ns < best ? ns : best;
    }
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    return best;
}

#else
static int64_t bench_avro_c(const struct corpus *c)
{
    (void)c;
    return 0; // libavro is missing
}
#endif

static int64_t bench_jansson(const struct corpus *c)
{
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = mor_clock_thread_cpu_ns();
        for (size_t i = 0; i < c->count; i++) {
            json_error_t error;
            json_t *json = json_loadb((const char *)c->bytes.data + c->starts[i],
                                      c->starts[i + 1] - c->starts[i], 0, &error);
            if (!json) {
                fprintf(stderr, "decode_bench: jansson: %s\n", error.text);
                exit(1);
            }
            json_decref(json);
        }
        int64_t ns = mor_clock_thread_cpu_ns() - start;
        best = ns < best ? ns : best;
    }
    return best;
}

// Rows of columns to data, as in Hudi's log blocks.
static int64_t bench_encode(const struct corpus *c)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *table = order_table(true);
    struct mor_decoder *decoder = NULL;
    struct mor_decoder_options options = {.format = MOR_PAYLOAD_AVRO,
                                          .schema = table,
                                          .column_count = table->root.child_count,
                                          .writer_schema.text = schema_json};
    if (mor_decoder_new(&options, &decoder, &err) != MOR_OK)
        die(&err);
    struct mor_batch *batch = mor_batch_new(table, NULL);
    struct mor_buffer bytes = {0};
    pass_decoder(decoder, batch, c);
    size_t rows = batch->columns[0].length; // of the last batch
    int64_t best = INT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = mor_clock_thread_cpu_ns();
        for (size_t i = 0; i < c->count; i++) {
            if (i % rows == 0)
                mor_buffer_reset(&bytes);
            mor_avro_encode_row(table, batch->columns, i % rows, &bytes);
        }
        int64_t ns = mor_clock_thread_cpu_ns() - start;
        best = ns < best ? ns : best;
    }
    mor_buffer_done(&bytes);
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(table);
    return best;
}

// ---- cases --------------------------------------------------------------------------------------

enum { AVRO, JSON, JSON_BLANKS, JSON_SHUFFLED, EVENT, PROTOBUF, CORPUS_COUNT };
enum reader { DECODER, DECODER_NULLABLE, ENCODER, AVRO_C, JANSSON };

struct bench_case {
    const char *name;
    enum reader reader;
    int corpus;
    double goal_ns;      // 0 = none
    const char *against; // case to compare with
    double ns;           // per record; 0 = not run
};

static struct bench_case cases[] = {
    {"avro_generic_avro_c", AVRO_C, AVRO, 0, NULL, 0},
    {"avro_decode", DECODER, AVRO, 60, "avro_generic_avro_c", 0},
    {"avro_decode_nullable", DECODER_NULLABLE, AVRO, 0, "avro_generic_avro_c", 0},
    {"avro_encode_nullable", ENCODER, AVRO, 0, NULL, 0},
    {"json_tree_jansson", JANSSON, JSON, 0, NULL, 0},
    {"json_decode", DECODER, JSON, 150, "json_tree_jansson", 0},
    {"json_decode_nullable", DECODER_NULLABLE, JSON, 0, "json_tree_jansson", 0},
    {"json_decode_blanks", DECODER_NULLABLE, JSON_BLANKS, 0, "json_tree_jansson", 0},
    {"json_decode_random_order", DECODER_NULLABLE, JSON_SHUFFLED, 350, "json_tree_jansson", 0},
    {"json_decode_event", DECODER_NULLABLE, EVENT, 0, "json_tree_jansson", 0},
    {"protobuf_decode_nullable", DECODER_NULLABLE, PROTOBUF, 0, NULL, 0},
};

#define CASE_COUNT (sizeof cases / sizeof cases[0])

static double run_case(const struct bench_case *bench, const struct corpus *c)
{
    enum mor_payload_format format = bench->corpus == AVRO       ? MOR_PAYLOAD_AVRO
                                     : bench->corpus == PROTOBUF ? MOR_PAYLOAD_PROTOBUF
                                                                 : MOR_PAYLOAD_JSON;
    int64_t ns = 0;
    switch (bench->reader) {
    case DECODER:
    case DECODER_NULLABLE:
        ns = bench_decoder(format, bench->reader == DECODER_NULLABLE, bench->corpus == EVENT, c);
        break;
    case ENCODER:
        ns = bench_encode(c);
        break;
    case AVRO_C:
        ns = bench_avro_c(c);
        break;
    case JANSSON:
        ns = bench_jansson(c);
        break;
    }
    return (double)ns / (double)c->count;
}

static double ns_of(const char *name)
{
    for (size_t i = 0; name && i < CASE_COUNT; i++) {
        if (strcmp(cases[i].name, name) == 0)
            return cases[i].ns;
    }
    return 0;
}

static void print_text(const struct corpus *corpora)
{
    for (size_t i = 0; i < CASE_COUNT; i++) {
        const struct bench_case *b = &cases[i];
        const struct corpus *c = &corpora[b->corpus];
        if (b->ns <= 0)
            continue;
        double size = (double)c->bytes.size_bytes / (double)c->count;
        printf("%-26s %8.1f ns/record %7.0f MB/s", b->name, b->ns, size * 1e3 / b->ns);
        if (ns_of(b->against) > 0)
            printf("  %5.1fx of %s", ns_of(b->against) / b->ns, b->against);
        printf("\n");
    }
}

// One object per case, as docs/benchmarks.json has them.
static void print_json(void)
{
    const char *comma = "";
    printf("[");
    for (size_t i = 0; i < CASE_COUNT; i++) {
        const struct bench_case *b = &cases[i];
        if (b->ns <= 0)
            continue;
        double other = ns_of(b->against);
        printf("%s\n{\"case\":\"%s\",\"value\":%.1f,\"unit\":\"ns/record\"", comma, b->name, b->ns);
        if (other > 0)
            printf(",\"against\":\"%s\",\"ratio\":%.2f", b->against, other / b->ns);
        if (b->goal_ns > 0)
            printf(",\"goal\":%.0f,\"met\":%s", b->goal_ns, b->ns <= b->goal_ns ? "true" : "false");
        printf(",\"command\":\"decode_bench --json\"}");
        comma = ",";
    }
    printf("\n]\n");
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    const char *only = argc > 2 ? argv[2] : "";
    if (count == 0) {
        fprintf(stderr, "usage: decode_bench [--json] [RECORDS [PART-OF-A-NAME]]\n");
        return 2;
    }
    struct corpus corpora[CORPUS_COUNT] = {
        [AVRO] = make_corpus(count, put_avro),
        [JSON] = make_corpus(count, put_json),
        [JSON_BLANKS] = make_corpus(count, put_json_blanks),
        [JSON_SHUFFLED] = make_corpus(count, put_json_shuffled),
        [EVENT] = make_corpus(count, put_event),
        [PROTOBUF] = make_corpus(count, put_protobuf),
    };
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (strstr(cases[i].name, only))
            cases[i].ns = run_case(&cases[i], &corpora[cases[i].corpus]);
    }
    if (json)
        print_json();
    else
        print_text(corpora);
    for (size_t i = 0; i < CORPUS_COUNT; i++) {
        mor_buffer_done(&corpora[i].bytes);
        free(corpora[i].starts);
    }
    return 0;
}
