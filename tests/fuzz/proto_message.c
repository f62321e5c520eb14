// Protobuf messages against a type with everything. What is refused leaves the columns as they
// were.
#include <stdint.h>
#include <stdlib.h>

#include "proto_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "syntax = 'proto3'; message M { message I { int64 id = 1; repeated string tags = 2;"
    " optional string note = 3; } double a = 1; float b = 2; int32 c = 3; int64 d = 4;"
    " uint32 e = 5; uint64 f = 6; sint32 g = 7; sint64 h = 8; fixed32 i = 9; fixed64 j = 10;"
    " sfixed32 k = 11; sfixed64 l = 12; bool m = 13; string n = 14; bytes o = 15; E p = 16;"
    " optional int32 q = 17; I inner = 19; repeated int32 numbers = 20; repeated string names = 22;"
    " repeated I inners = 23; repeated E colors = 24; map<string, int64> counts = 25;"
    " map<int32, I> by_id = 26; oneof choice { string x = 27; int64 y = 28; I z = 29; }"
    " google.protobuf.Timestamp at = 30; google.protobuf.Duration took = 31;"
    " google.protobuf.Int64Value w = 32; google.protobuf.Struct free = 35;"
    " google.protobuf.Any any = 36; google.protobuf.Empty nothing = 37; I flat = 38; }"
    " enum E { Z = 0; A = 1; }";

static struct mor_proto_set *set; // kept, as the plan borrows from it
static struct mor_proto_plan *plan;
static struct mor_schema *table;

// The fields of `flat` are columns beside the others.
static void prepare(void)
{
    static struct mor_route inner[] = {{"id", 0, MOR_ROUTE_NONE, NULL, NULL, 0},
                                       {"tags", 1, MOR_ROUTE_NONE, NULL, NULL, 0}};
    static struct mor_route routes[64];
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *whole;
    set = mor_proto_set_new();
    if (mor_proto_add_text(set, "x", text, sizeof text - 1, &err) != MOR_OK ||
        mor_proto_link(set, &err) != MOR_OK ||
        mor_proto_to_table(mor_proto_find(set, "M"), &whole, &err) != MOR_OK)
        abort();
    table = mor_schema_new("t");
    mor_schema_add(table, NULL, "id", MOR_TYPE_INT64, true);
    mor_schema_add(table, mor_schema_add(table, NULL, "tags", MOR_TYPE_LIST, true), "element",
                   MOR_TYPE_STRING, true);
    size_t count = 0;
    for (size_t i = 0; i < whole->root.child_count; i++) {
        const char *name = whole->root.children[i].name;
        bool flat = strcmp(name, "flat") == 0;
        routes[count++] =
            (struct mor_route){.name = name,
                               .column = flat ? MOR_ROUTE_NONE : (int32_t)table->root.child_count,
                               .note = MOR_ROUTE_NONE,
                               .children = flat ? inner : NULL,
                               .child_count = flat ? 2 : 0};
        if (!flat) // the copy's name outlives `whole`
            routes[count - 1].name =
                mor_schema_add_copy(table, NULL, &whole->root.children[i])->name;
        else
            routes[count - 1].name = "flat";
    }
    struct mor_proto_plan_options options = {.message = mor_proto_find(set, "M"),
                                             .table = table,
                                             .routes = routes,
                                             .route_count = count,
                                             .items_max = 1000};
    if (mor_proto_plan_new(&options, &plan, &err) != MOR_OK)
        abort();
    mor_schema_free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    if (!plan)
        prepare();
    struct mor_batch *batch = mor_batch_new(table, NULL);
    for (int round = 0; round < 2; round++) {
        batch->row_count += mor_proto_plan_decode(plan, data, size, batch->columns, &err) == MOR_OK;
        if (mor_batch_validate(batch, &err) != MOR_OK)
            abort();
    }
    if (batch->row_count == 1)
        abort(); // the same bytes are the same message
    mor_batch_free(batch);
    return 0;
}
