#include "demo_orders.h"

#include <stdio.h>

#define DAYS_BACK 3
#define DAY_MS    86400000LL

struct order {
    int64_t created_ms;
    int64_t updated_ms;
    int64_t cents;
    uint8_t status;
    bool alive;
};

struct demo_orders {
    uint64_t random;
    int64_t start_ms, now_ms; // wall clock at the start, and of the record at hand
    struct order *orders;     // the index is the order's id
    size_t count, capacity;
    struct demo_counts counts;
};

static const char *const statuses[] = {"new", "paid", "packed", "shipped", "delivered", "returned"};
static const char *const cities[] = {"Lyon", "Porto", "Kraków", "Malmö",
                                     "Graz", "Gent",  "Turku",  "Bergen"};

struct demo_orders *demo_orders_new(uint64_t seed, int64_t now_ms)
{
    struct demo_orders *orders = mor_calloc(1, sizeof *orders);
    orders->random = seed * 2 + 1;
    orders->start_ms = now_ms;
    orders->now_ms = now_ms;
    return orders;
}

void demo_orders_free(struct demo_orders *orders)
{
    if (orders == NULL)
        return;
    free(orders->orders);
    free(orders);
}

// splitmix64
static uint64_t draw(struct demo_orders *orders, uint64_t below)
{
    uint64_t mixed = (orders->random += 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return (mixed ^ (mixed >> 31)) % below;
}

// A living order, newer ones more often; NULL when the draw hits none.
static struct order *draw_order(struct demo_orders *orders)
{
    for (int tries = 0; tries < 8 && orders->count > 0; tries++) {
        uint64_t back = draw(orders, draw(orders, orders->count) + 1);
        struct order *order = &orders->orders[orders->count - 1 - back];
        if (order->alive)
            return order;
    }
    return NULL;
}

static void set_key(struct demo_record *record, size_t id)
{
    int length = snprintf(record->key, sizeof record->key, "%zu", id);
    record->key_size = (size_t)length;
    record->partition = (int32_t)(id % DEMO_PARTITIONS);
}

static void set_value(struct demo_record *record, size_t id, const struct order *order,
                      const char *op)
{
    mor_buffer_printf(&record->value,
                      "{\"order_id\":%zu,\"op\":\"%s\",\"customer\":\"customer-%zu\",\"status\":\"%"
                      "s\",\"amount\":%lld.%02d,"
                      "\"address\":{\"city\":\"%s\",\"zip\":\"%05zu\"},\"tags\":[\"web\",\"%s\"],",
                      id, op, id * 7919 % 5000, statuses[order->status],
                      (long long)(order->cents / 100), (int)(order->cents % 100), cities[id % 8],
                      id * 31 % 99999, id % 3 == 0 ? "gift" : "plain");
    if (id % 5 == 0)
        mor_buffer_printf(&record->value, "\"note\":\"leave at \\\"the\\\" door\",");
    mor_buffer_printf(&record->value, "\"created_at\":%lld,\"updated_at\":%lld}",
                      (long long)order->created_ms, (long long)order->updated_ms);
}

static void insert(struct demo_orders *orders, struct demo_record *record)
{
    if (orders->count == orders->capacity) {
        orders->capacity = orders->capacity > 0 ? orders->capacity * 2 : 1024;
        orders->orders = mor_realloc(orders->orders, orders->capacity * sizeof *orders->orders);
    }
    size_t id = orders->count++;
    int64_t created_ms = orders->start_ms - (int64_t)draw(orders, DAYS_BACK * DAY_MS);
    orders->orders[id] = (struct order){.created_ms = created_ms,
                                        .updated_ms = created_ms,
                                        .cents = (int64_t)draw(orders, 100000),
                                        .alive = true};
    set_key(record, id);
    set_value(record, id, &orders->orders[id], "c");
    orders->counts.inserts++;
}

static void update(struct demo_orders *orders, struct demo_record *record, struct order *order)
{
    // newer than before, and in the future only when it was changed within this millisecond
    int64_t newer_ms = order->updated_ms + 1 + (int64_t)draw(orders, 60000);
    order->updated_ms = newer_ms <= orders->now_ms ? newer_ms : order->updated_ms + 1;
    order->cents = (int64_t)draw(orders, 100000);
    order->status = (uint8_t)draw(orders, sizeof statuses / sizeof statuses[0]);
    size_t id = (size_t)(order - orders->orders);
    set_key(record, id);
    set_value(record, id, order, "u");
    orders->counts.updates++;
}

// Half of the deletes are Kafka tombstones, half are records that say so.
static void delete_order(struct demo_orders *orders, struct demo_record *record,
                         struct order *order)
{
    size_t id = (size_t)(order - orders->orders);
    order->alive = false;
    set_key(record, id);
    record->tombstone = draw(orders, 2) == 0;
    order->updated_ms++;
    if (!record->tombstone)
        set_value(record, id, order, "d");
    orders->counts.deletes++;
}

// An older version of the order that arrives after a newer one: it must lose.
static void late(struct demo_orders *orders, struct demo_record *record, const struct order *order)
{
    struct order older = *order;
    older.updated_ms -= 1 + (int64_t)draw(orders, 600000);
    older.cents = 1;
    size_t id = (size_t)(order - orders->orders);
    set_key(record, id);
    set_value(record, id, &older, "u");
    orders->counts.late++;
}

static void broken(struct demo_orders *orders, struct demo_record *record)
{
    static const char *const values[] = {
        "{\"order_id\":12,\"customer\":\"cut off",
        "{\"customer\":\"has no order_id\",\"updated_at\":1767225600000}",
        "{\"order_id\":99999999999999999999,\"updated_at\":1767225600000}",
        "{\"order_id\":\"twelve\",\"updated_at\":1767225600000}",
        "not json at all",
    };
    set_key(record, draw(orders, 1000));
    mor_buffer_append_text(&record->value, values[draw(orders, sizeof values / sizeof values[0])]);
    orders->counts.broken++;
}

void demo_orders_next(struct demo_orders *orders, int64_t now_ms, struct demo_record *record)
{
    mor_buffer_reset(&record->value);
    record->tombstone = false;
    orders->now_ms = now_ms;
    record->timestamp_ms = orders->now_ms;
    uint64_t kind = draw(orders, 1000);
    struct order *order = kind < 350 ? NULL : draw_order(orders);
    if (kind >= 995) {
        broken(orders, record);
    } else if (order == NULL) {
        insert(orders, record);
    } else if (kind < 870) {
        update(orders, record, order);
    } else if (kind < 920) {
        delete_order(orders, record, order);
    } else if (kind < 960) {
        late(orders, record, order);
    } else { // the producer sends the newest version a second time
        size_t id = (size_t)(order - orders->orders);
        set_key(record, id);
        set_value(record, id, order, "u");
        orders->counts.duplicates++;
    }
}

struct demo_counts demo_orders_counts(const struct demo_orders *orders)
{
    return orders->counts;
}

void demo_orders_expect(const struct demo_orders *orders, int64_t *ret_count, int64_t *ret_cents)
{
    *ret_count = 0;
    *ret_cents = 0;
    for (size_t i = 0; i < orders->count; i++) {
        if (!orders->orders[i].alive)
            continue;
        ++*ret_count;
        *ret_cents += orders->orders[i].cents;
    }
}
