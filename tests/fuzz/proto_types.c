// .proto texts and descriptors: what is read links, becomes tables and plans, or is refused.
#include <stdint.h>
#include <stdlib.h>

#include "proto_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct mor_proto_set *set)
{
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_proto_link(set, &err) != MOR_OK)
        return;
    for (size_t i = 0; i < set->message_count && i < 20; i++) {
        struct mor_schema *table;
        struct mor_proto_plan *plan;
        if (mor_proto_to_table(set->messages[i], &table, &err) != MOR_OK)
            continue;
        struct mor_proto_plan_options options = {
            .message = set->messages[i], .table = table, .items_max = 10};
        if (mor_proto_plan_new(&options, &plan, &err) != MOR_OK)
            abort(); // a message fits its own table
        struct mor_batch *batch = mor_batch_new(table, NULL);
        batch->row_count =
            mor_proto_plan_decode(plan, (const uint8_t *)"", 0, batch->columns, &err) == MOR_OK;
        if (mor_batch_validate(batch, &err) != MOR_OK)
            abort();
        mor_batch_free(batch);
        mor_proto_plan_free(plan);
        mor_schema_free(table);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_proto_set *text = mor_proto_set_new(), *descriptors = mor_proto_set_new();
    if (mor_proto_add_text(text, "x", (const char *)data, size, &err) == MOR_OK)
        use(text);
    if (mor_proto_add_descriptors(descriptors, data, size, &err) == MOR_OK)
        use(descriptors);
    mor_proto_set_free(text);
    mor_proto_set_free(descriptors);
    return 0;
}
