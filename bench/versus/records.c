// Records of the benchmarks as frames of integration/tools/produce.c on standard output, from a
// seed.
//
//   versus_records KIND COUNT [-s SEED] [-p PARTITIONS] [-i SCHEMA_ID] [-k KEYS] [-f FIRST]
//                  [-d DAYS] [-c COLUMNS] [-u DUPLICATES_PER_MILLION] [-o SUMMARY] [-n] [-r EVEN]
//
// KIND: trips-json, trips-avro (29 columns like New York's taxi trips), orders-avro, orders-json
// (16 columns with a key), wide-avro, wide-json (COLUMNS columns). Avro has Confluent's five bytes
// in front when SCHEMA_ID is given.
//
// Record n is a function of the seed and n alone. Orders 0 to KEYS - 1 insert every key once, in an
// order that looks random; those from KEYS on update keys by Zipf's law (exponent 1), those from
// EVEN on any key alike; one in fifty deletes its key. FIRST is the first record that is sent, the
// summary counts all before it too. DUPLICATES re-sends one of the thousand records before. With -n
// the time in a trip's `pickup` or an order's `updated_at` is the clock's.
//
// SUMMARY gets JSON: what a table of all records from 0 on must hold (trips: from FIRST on).
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BASE_US       INT64_C(1735689600000000) // 2025-01-01
#define DAY_US        INT64_C(86400000000)
#define VALUE_MAX     (64 << 10)
#define DELETE_EVERY  50
#define DUPLICATE_AGO 1000

struct options {
    const char *kind;
    int64_t count, first, keys, days, columns, duplicates, even;
    uint64_t seed;
    int32_t partitions;
    int32_t schema_id; // -1 = none
    bool clock;
    const char *summary;
};

struct writer {
    uint8_t bytes[VALUE_MAX];
    size_t size;
};

struct order {
    int64_t id, customer, cents, created_us, updated_us;
    uint64_t noise;
    bool deletes;
};

struct sums {
    int64_t rows, ids, cents, small;
};

// ---- numbers ------------------------------------------------------------------------------------

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// x^p for 0 <= p <= 1 by its bits: no library function whose last digit may differ elsewhere.
static uint64_t power_of(uint64_t x, uint64_t fraction32)
{
    double result = 1, root = (double)x;
    for (int bit = 31; bit >= 0; bit--) {
        double guess = root; // Newton's square root
        for (int i = 0; i < 60 && guess * guess > root * 1.0000000001; i++)
            guess = (guess + root / guess) / 2;
        root = guess;
        if ((fraction32 >> bit & 1) != 0)
            result *= root;
    }
    return (uint64_t)result;
}

// The table of 65,536 quantiles of Zipf's law with exponent 1 over `keys` ranks.
static const double *zipf_table(int64_t keys)
{
    static double table[65537];
    for (uint64_t i = 0; i <= 65536; i++)
        table[i] = (double)power_of((uint64_t)keys, i << 16 > UINT32_MAX ? UINT32_MAX : i << 16);
    return table;
}

static int64_t zipf_rank(const double *table, uint64_t random)
{
    uint64_t slot = random >> 48;
    double part = (double)(random >> 16 & UINT32_MAX) / 4294967296.0;
    return (int64_t)(table[slot] + (table[slot + 1] - table[slot]) * part);
}

// A permutation of 0 .. keys - 1 that scatters neighbours.
static int64_t scatter(int64_t rank, int64_t keys)
{
    const int64_t step = INT64_C(2147483647); // a prime larger than any number of keys here
    return (int64_t)((uint64_t)(rank % keys) * (uint64_t)step % (uint64_t)keys);
}

// ---- Avro and JSON ------------------------------------------------------------------------------

static void put(struct writer *w, const void *bytes, size_t size)
{
    if (w->size + size > sizeof w->bytes) {
        fprintf(stderr, "versus_records: a record of more than %d bytes\n", VALUE_MAX);
        exit(1);
    }
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static void put_byte(struct writer *w, uint8_t byte)
{
    put(w, &byte, 1);
}

static void put_long(struct writer *w, int64_t value)
{
    uint64_t left = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; left >= 0x80; left >>= 7)
        put_byte(w, (uint8_t)(left | 0x80));
    put_byte(w, (uint8_t)left);
}

static void put_double(struct writer *w, double value)
{
    put(w, &value, sizeof value);
}

static void put_text(struct writer *w, const char *text)
{
    size_t size = strlen(text);
    put_long(w, (int64_t)size);
    put(w, text, size);
}

static size_t digits(char *at, int64_t value)
{
    char reversed[24];
    size_t count = 0, size = 0;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        reversed[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        at[size++] = '-';
    while (count > 0)
        at[size++] = reversed[--count];
    return size;
}

static void put_name(struct writer *w, const char *name)
{
    put(w, w->size == 0 ? "{\"" : ",\"", 2);
    put(w, name, strlen(name));
    put(w, "\":", 2);
}

static void put_number(struct writer *w, const char *name, int64_t value)
{
    char text[24];
    put_name(w, name);
    put(w, text, digits(text, value));
}

static void put_cents(struct writer *w, const char *name, int64_t cents)
{
    char text[24];
    put_name(w, name);
    put(w, text, digits(text, cents / 100));
    if (cents % 100 != 0) {
        text[0] = '.';
        text[1] = (char)('0' + cents % 100 / 10);
        text[2] = (char)('0' + cents % 10);
        put(w, text, text[2] == '0' ? 2 : 3);
    } else {
        put(w, ".0", 2);
    }
}

static void put_string(struct writer *w, const char *name, const char *text)
{
    put_name(w, name);
    put_byte(w, '"');
    put(w, text, strlen(text));
    put_byte(w, '"');
}

static void put_word(struct writer *w, const char *name, const char *word)
{
    put_name(w, name);
    put(w, word, strlen(word));
}

static void begin_avro(struct writer *w, const struct options *options)
{
    w->size = 0;
    if (options->schema_id < 0)
        return;
    uint32_t id = (uint32_t)options->schema_id;
    const uint8_t head[5] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                             (uint8_t)id};
    put(w, head, sizeof head);
}

// ---- trips --------------------------------------------------------------------------------------

static const char *const boroughs[] = {"Manhattan", "Queens", "Brooklyn",
                                       "Bronx",     "EWR",    "Staten Island"};
static const char *const cab_names[] = {"yellow", "green", "fhv"};
static const char *const whole_names[] = {"vendor", "pax", "rate", "pu",
                                          "do",     "pay", "type", "ride"};
static const char *const money_names[] = {"dist",  "fare", "extra", "mta",  "tip",
                                          "tolls", "imp",  "total", "cong", "air"};

struct trip {
    int64_t id, pickup_us, dropoff_us;
    int64_t whole[8];  // as whole_names
    int64_t money[10]; // hundredths, as money_names
    int64_t temp;
    bool has_temp, has_air, flag, shared;
    const char *borough, *cab;
    char zone[8];
};

static struct trip make_trip(const struct options *options, int64_t n)
{
    uint64_t a = mix(options->seed + (uint64_t)n * 4), b = mix(a), c = mix(b);
    struct trip t = {.id = n, .pickup_us = BASE_US + n * 250000 + (int64_t)(a % 250000)};
    if (options->clock)
        t.pickup_us = clock_us();
    t.dropoff_us = t.pickup_us + (int64_t)(120 + b % 3000) * 1000000;
    const int64_t whole[8] = {1 + (int64_t)(a >> 20 & 1),     1 + (int64_t)(a >> 21 & 3),
                              1 + (int64_t)((a >> 23) % 6),   1 + (int64_t)((a >> 26) % 265),
                              1 + (int64_t)((a >> 36) % 265), 1 + (int64_t)((a >> 46) % 4),
                              1 + (int64_t)(a >> 50 & 1),     (int64_t)(b >> 40) % 100000};
    memcpy(t.whole, whole, sizeof whole);
    int64_t fare = 300 + (int64_t)(b % 6000), tip = (int64_t)(c % 1200);
    const int64_t money[10] = {50 + (int64_t)(c >> 20) % 2500,
                               fare,
                               (int64_t)(c >> 32 & 1) * 50,
                               50,
                               tip,
                               (int64_t)(c >> 33 & 7) == 0 ? 612 : 0,
                               30,
                               fare + tip + 130,
                               250,
                               125};
    memcpy(t.money, money, sizeof money);
    t.temp = (int64_t)(c >> 40) % 45 - 12;
    t.has_temp = (c >> 50) % 10 != 0;
    t.has_air = (c >> 54) % 10 == 0;
    t.flag = (a >> 58 & 15) == 0;
    t.shared = (a >> 62) == 0;
    t.borough = boroughs[(b >> 56) % 6];
    t.cab = cab_names[(b >> 60) % 3];
    size_t size = digits(t.zone + 1, (int64_t)((a >> 36) % 265));
    t.zone[0] = 'Z';
    t.zone[size + 1] = '\0';
    return t;
}

static void trip_avro(struct writer *w, const struct trip *t)
{
    put_long(w, t->id);
    put_long(w, t->pickup_us);
    put_long(w, t->dropoff_us);
    for (size_t i = 0; i < 8; i++)
        put_long(w, t->whole[i]);
    for (size_t i = 0; i < 9; i++)
        put_double(w, (double)t->money[i] / 100);
    put_long(w, t->has_air ? 1 : 0);
    if (t->has_air)
        put_double(w, (double)t->money[9] / 100);
    put_long(w, t->has_temp ? 1 : 0);
    if (t->has_temp)
        put_long(w, t->temp);
    put_text(w, t->flag ? "Y" : "N");
    put_text(w, t->borough);
    put_text(w, t->zone);
    put_text(w, t->cab);
    put_byte(w, t->shared);
    put_long(w, t->id % 97);
    put_text(w, t->whole[6] == 1 ? "street" : "dispatch");
}

static void trip_json(struct writer *w, const struct trip *t)
{
    w->size = 0;
    put_number(w, "id", t->id);
    put_number(w, "pickup", t->pickup_us);
    put_number(w, "dropoff", t->dropoff_us);
    for (size_t i = 0; i < 8; i++)
        put_number(w, whole_names[i], t->whole[i]);
    for (size_t i = 0; i < 9; i++)
        put_cents(w, money_names[i], t->money[i]);
    if (t->has_air)
        put_cents(w, "air", t->money[9]);
    else
        put_word(w, "air", "null");
    if (t->has_temp)
        put_number(w, "temp", t->temp);
    else
        put_word(w, "temp", "null");
    put_string(w, "flag", t->flag ? "Y" : "N");
    put_string(w, "boro", t->borough);
    put_string(w, "zone", t->zone);
    put_string(w, "cab", t->cab);
    put_word(w, "shared", t->shared ? "true" : "false");
    put_number(w, "lot", t->id % 97);
    put_string(w, "hail", t->whole[6] == 1 ? "street" : "dispatch");
    put_byte(w, '}');
}

// ---- orders -------------------------------------------------------------------------------------

static const char *const statuses[] = {"created", "paid", "packed", "shipped", "delivered"};
static const char *const currencies[] = {"EUR", "USD", "GBP"};
static const char *const countries[] = {"DE", "FR", "US", "GB", "PL"};

static struct order make_order(const struct options *options, const double *zipf, int64_t n)
{
    uint64_t random = mix(options->seed + (uint64_t)n * 3), noise = mix(random);
    bool inserts = n < options->keys;
    int64_t rank = inserts             ? n
                   : n < options->even ? zipf_rank(zipf, random)
                                       : (int64_t)(random % (uint64_t)options->keys);
    int64_t id = scatter(rank, options->keys);
    return (struct order){
        .id = id,
        .customer = (int64_t)(noise % 5000000),
        .cents = (int64_t)((noise >> 24) % 1000000),
        .created_us = BASE_US + id % options->days * DAY_US,
        .updated_us = options->clock ? clock_us() : BASE_US + 400 * DAY_US + n * 1000,
        .noise = mix(noise),
        .deletes = !inserts && noise % DELETE_EVERY == 0,
    };
}

struct order_text {
    char product[24], note[32], event[20];
};

static void order_texts(const struct order *o, int64_t n, struct order_text *ret_text)
{
    memcpy(ret_text->product, "product-", 8);
    ret_text->product[8 + digits(ret_text->product + 8, (int64_t)(o->noise % 100000))] = '\0';
    memcpy(ret_text->note, "leave at door ", 14);
    ret_text->note[14 + digits(ret_text->note + 14, (int64_t)(o->noise >> 20) % 1000)] = '\0';
    uint64_t id = mix((uint64_t)n ^ UINT64_C(0x6f72646572));
    for (size_t i = 0; i < 16; i++)
        ret_text->event[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
    ret_text->event[16] = '\0';
}

static void order_avro(struct writer *w, const struct order *o, int64_t n)
{
    struct order_text text;
    order_texts(o, n, &text);
    put_long(w, o->id);
    put_long(w, o->customer);
    put_text(w, statuses[o->noise % 5]);
    put_text(w, currencies[(o->noise >> 8) % 3]);
    put_long(w, o->cents);
    put_long(w, (int64_t)(o->noise >> 10) % 9 + 1);
    put_double(w, (double)((o->noise >> 16) % 10000) / 100);
    put_long(w, (int64_t)(o->noise >> 30) % 300);
    put_byte(w, o->noise >> 40 & 1);
    put_long(w, o->created_us);
    put_long(w, o->updated_us);
    put_text(w, countries[(o->noise >> 44) % 5]);
    put_text(w, text.product);
    put_text(w, text.note);
    put_text(w, text.event);
    put_text(w, o->deletes ? "d" : n == o->id ? "c" : "u");
}

static void order_json(struct writer *w, const struct order *o, int64_t n)
{
    struct order_text text;
    order_texts(o, n, &text);
    w->size = 0;
    put_number(w, "order_id", o->id);
    put_number(w, "customer_id", o->customer);
    put_string(w, "status", statuses[o->noise % 5]);
    put_string(w, "currency", currencies[(o->noise >> 8) % 3]);
    put_number(w, "amount_cents", o->cents);
    put_number(w, "quantity", (int64_t)(o->noise >> 10) % 9 + 1);
    put_cents(w, "discount", (int64_t)(o->noise >> 16) % 10000);
    put_number(w, "priority", (int64_t)(o->noise >> 30) % 300);
    put_word(w, "is_gift", (o->noise >> 40 & 1) != 0 ? "true" : "false");
    put_number(w, "created_at", o->created_us);
    put_number(w, "updated_at", o->updated_us);
    put_string(w, "country", countries[(o->noise >> 44) % 5]);
    put_string(w, "product", text.product);
    put_string(w, "note", text.note);
    put_string(w, "event_id", text.event);
    put_string(w, "op", o->deletes ? "d" : n == o->id ? "c" : "u");
    put_byte(w, '}');
}

// What a keyed table must hold: the newest state of every key.
struct states {
    int32_t *cents; // -1 = deleted or never there
    int8_t *small;
};

static void remember(struct states *states, const struct order *o)
{
    states->cents[o->id] = o->deletes ? -1 : (int32_t)o->cents;
    states->small[o->id] = (int8_t)((int64_t)(o->noise >> 10) % 9 + 1);
}

static struct sums sum_states(const struct states *states, int64_t keys)
{
    struct sums sums = {0};
    for (int64_t id = 0; id < keys; id++) {
        if (states->cents[id] < 0)
            continue;
        sums.rows++;
        sums.ids += id;
        sums.cents += states->cents[id];
        sums.small += states->small[id];
    }
    return sums;
}

// ---- wide ---------------------------------------------------------------------------------------

// Column i: a long, a double or a text by i % 3; column 0 is the number of the record.
static void wide_record(struct writer *w, const struct options *options, int64_t n, bool json)
{
    char name[16] = "c", text[24];
    if (json)
        w->size = 0;
    for (int64_t i = 0; i < options->columns; i++) {
        uint64_t random = mix(options->seed + (uint64_t)(n * options->columns + i));
        name[1 + digits(name + 1, i)] = '\0';
        text[0] = 'v';
        text[1 + digits(text + 1, (int64_t)(random % 1000))] = '\0';
        int64_t value = i == 0 ? n : (int64_t)(random % 100000);
        if (i % 3 == 0 && json)
            put_number(w, name, value);
        else if (i % 3 == 0)
            put_long(w, value);
        else if (i % 3 == 1 && json)
            put_cents(w, name, value);
        else if (i % 3 == 1)
            put_double(w, (double)value / 100);
        else if (json)
            put_string(w, name, text);
        else
            put_text(w, text);
    }
    if (json)
        put_byte(w, '}');
}

// ---- frames -------------------------------------------------------------------------------------

static void put_frame(const struct options *options, int64_t key, int64_t spread,
                      const struct writer *w)
{
    struct {
        int32_t partition;
        int32_t timestamp[2];
        int32_t key_size, value_size;
    } head = {(int32_t)(spread % options->partitions), {-1, -1}, 0, (int32_t)w->size};
    char text[24];
    head.key_size = (int32_t)digits(text, key);
    if (fwrite(&head, sizeof head, 1, stdout) != 1 ||
        fwrite(text, (size_t)head.key_size, 1, stdout) != 1 ||
        fwrite(w->bytes, w->size, 1, stdout) != 1) {
        perror("versus_records");
        exit(1);
    }
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);
    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

static bool repeats(const struct options *options, int64_t n, int64_t *ret_earlier)
{
    uint64_t random = mix((uint64_t)n ^ UINT64_C(0x64757065));
    if ((int64_t)(random % 1000000) >= options->duplicates || n - options->first < DUPLICATE_AGO)
        return false;
    *ret_earlier = n - 1 - (int64_t)(random >> 32) % DUPLICATE_AGO;
    return true;
}

static void send_order(const struct options *options, const double *zipf, struct writer *w,
                       int64_t n)
{
    struct order order = make_order(options, zipf, n);
    begin_avro(w, options);
    if (has_suffix(options->kind, "json"))
        order_json(w, &order, n);
    else
        order_avro(w, &order, n);
    put_frame(options, order.id, order.id, w);
}

static struct sums send_orders(const struct options *options, struct writer *w, int64_t *ret_sent)
{
    const double *zipf = zipf_table(options->keys);
    struct states states = {malloc((size_t)options->keys * sizeof *states.cents),
                            calloc((size_t)options->keys, 1)};
    if (states.cents == NULL || states.small == NULL)
        exit(1);
    memset(states.cents, 0xff, (size_t)options->keys * sizeof *states.cents);
    for (int64_t n = 0; n < options->first + options->count; n++) {
        struct order order = make_order(options, zipf, n);
        remember(&states, &order);
        if (n < options->first)
            continue;
        send_order(options, zipf, w, n);
        ++*ret_sent;
        int64_t earlier;
        if (repeats(options, n, &earlier)) {
            send_order(options, zipf, w, earlier);
            ++*ret_sent;
        }
    }
    struct sums sums = sum_states(&states, options->keys);
    free(states.cents);
    free(states.small);
    return sums;
}

static struct sums send_rows(const struct options *options, struct writer *w, int64_t *ret_sent)
{
    struct sums sums = {0};
    bool json = has_suffix(options->kind, "json"), trips = strncmp(options->kind, "trips", 5) == 0;
    for (int64_t n = options->first; n < options->first + options->count; n++) {
        begin_avro(w, options);
        if (trips) {
            struct trip trip = make_trip(options, n);
            sums.cents += trip.money[1];
            sums.small += trip.whole[1];
            if (json)
                trip_json(w, &trip);
            else
                trip_avro(w, &trip);
        } else {
            wide_record(w, options, n, json);
        }
        sums.rows++;
        sums.ids += n;
        put_frame(options, n, n, w);
    }
    *ret_sent = options->count;
    return sums;
}

static void parse(int argc, char **argv, struct options *options)
{
    for (int option; (option = getopt(argc, argv, "s:p:i:k:f:d:c:u:o:nr:")) != -1;) {
        int64_t number =
            option != 'n' && option != 'o' && option != '?' ? strtoll(optarg, NULL, 10) : 0;
        switch (option) {
        case 's':
            options->seed = (uint64_t)number;
            break;
        case 'p':
            options->partitions = (int32_t)number;
            break;
        case 'i':
            options->schema_id = (int32_t)number;
            break;
        case 'k':
            options->keys = number;
            break;
        case 'f':
            options->first = number;
            break;
        case 'd':
            options->days = number;
            break;
        case 'c':
            options->columns = number;
            break;
        case 'u':
            options->duplicates = number;
            break;
        case 'r':
            options->even = number;
            break;
        case 'o':
            options->summary = optarg;
            break;
        case 'n':
            options->clock = true;
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind != 2 || options->partitions < 1 || options->keys < 1 || options->days < 1 ||
        options->keys >= INT32_MAX) {
        fprintf(stderr, "usage: versus_records KIND COUNT [options]\n");
        exit(2);
    }
    options->kind = argv[optind];
    options->count = strtoll(argv[optind + 1], NULL, 10);
}

int main(int argc, char **argv)
{
    static struct writer writer;
    static char buffer[1 << 18];
    struct options options = {.seed = 42,
                              .partitions = 8,
                              .schema_id = -1,
                              .keys = 1,
                              .days = 1,
                              .columns = 29,
                              .even = INT64_MAX};
    parse(argc, argv, &options);
    setvbuf(stdout, buffer, _IOFBF, options.clock ? 4096 : sizeof buffer);
    int64_t sent = 0;
    bool orders = strncmp(options.kind, "orders", 6) == 0;
    struct sums sums =
        orders ? send_orders(&options, &writer, &sent) : send_rows(&options, &writer, &sent);
    if (fflush(stdout) != 0)
        return 1;
    if (options.summary == NULL)
        return 0;
    FILE *file = fopen(options.summary, "w");
    if (file == NULL) {
        perror(options.summary);
        return 1;
    }
    fprintf(file,
            "{\"sent\":%" PRId64 ",\"rows\":%" PRId64 ",\"ids\":%" PRId64 ",\"cents\":%" PRId64
            ",\"small\":%" PRId64 "}\n",
            sent, sums.rows, sums.ids, sums.cents, sums.small);
    return fclose(file) != 0;
}
