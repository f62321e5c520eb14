#include "check.h"
#include "moraine/column.h"

// One column of every shape: fixed, bit, variable, struct of variable, list of struct, map.
static struct mor_schema *every_shape(void)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = mor_schema_new("shapes");
    mor_schema_add(schema, NULL, "number", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "flag", MOR_TYPE_BOOL, true);
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, true);
    struct mor_field *pair = mor_schema_add(schema, NULL, "pair", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, pair, "a", MOR_TYPE_INT32, true);
    mor_schema_add(schema, pair, "b", MOR_TYPE_STRING, false);
    assert_ok(mor_type_parse(schema, mor_schema_add(schema, NULL, "list", MOR_TYPE_STRING, true),
                             "list<string>", &err));
    assert_ok(mor_type_parse(schema, mor_schema_add(schema, NULL, "map", MOR_TYPE_STRING, true),
                             "map<long>", &err));
    return schema;
}

// Appends a row whose values follow from `seed`; every seventh value is null.
static void append_row(struct mor_batch *batch, uint32_t seed)
{
    char text[64];
    int64_t number = (int64_t)seed * 1000003;
    if (seed % 7 == 0)
        mor_vector_append_null(&batch->columns[0]);
    else
        mor_vector_append_fixed(&batch->columns[0], &number);
    if (seed % 7 == 1)
        mor_vector_append_null(&batch->columns[1]);
    else
        mor_vector_append_bool(&batch->columns[1], seed % 2);
    int length =
        snprintf(text, sizeof text, "%.*s%u", (int)(seed % 20), "xxxxxxxxxxxxxxxxxxxx", seed);
    if (seed % 7 == 2)
        mor_vector_append_null(&batch->columns[2]);
    else
        mor_vector_append_bytes(&batch->columns[2], text, (size_t)length);
    struct mor_vector *pair = &batch->columns[3];
    if (seed % 7 == 3) {
        mor_vector_append_null(pair);
    } else {
        int32_t small = (int32_t)seed;
        mor_vector_append_fixed(&pair->children[0], &small);
        mor_vector_append_bytes(&pair->children[1], text, (size_t)length);
        mor_vector_append_end(pair);
    }
    for (int column = 4; column < 6; column++) {
        struct mor_vector *nested = &batch->columns[column];
        if (seed % 7 == (uint32_t)column) {
            mor_vector_append_null(nested);
            continue;
        }
        for (uint32_t i = 0; i < seed % 4; i++) {
            mor_vector_append_bytes(&nested->children[0], text, (size_t)length);
            if (column == 5)
                mor_vector_append_fixed(&nested->children[1], &number);
        }
        mor_vector_append_end(nested);
    }
    batch->row_count++;
}

static void assert_row(const struct mor_batch *batch, size_t row, uint32_t seed,
                       const struct mor_schema *schema)
{
    struct mor_batch *expected = mor_batch_new(schema, NULL);
    append_row(expected, seed);
    for (size_t i = 0; i < batch->column_count; i++) {
        MOR_AUTO_BUFFER a = {0};
        MOR_AUTO_BUFFER b = {0};
        mor_vector_format_json(&batch->columns[i], row, &a);
        mor_vector_format_json(&expected->columns[i], 0, &b);
        assert_string_equal(mor_buffer_terminate(&a), mor_buffer_terminate(&b));
    }
    mor_batch_free(expected);
}

static struct mor_batch *filled(const struct mor_schema *schema, struct mor_budget *budget,
                                uint32_t rows)
{
    struct mor_batch *batch = mor_batch_new(schema, budget);
    for (uint32_t i = 0; i < rows; i++)
        append_row(batch, i);
    return batch;
}

static void appended_rows_keep_the_arrow_layout(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, NULL, 1000);
    assert_ok(mor_batch_validate(batch, &err));
    assert_int_equal(batch->columns[0].null_count, 143);
    assert_true(mor_vector_is_null(&batch->columns[0], 7));
    assert_int_equal(mor_vector_i64(&batch->columns[0], 8), 8 * 1000003);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void gathered_rows_are_the_rows_named(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, NULL, 500);
    struct mor_batch *gathered = mor_batch_new(schema, NULL);
    uint32_t indices[333];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 333; i++)
            indices[i] = (i * 97 + round * 13) % 500;
        mor_batch_append_rows(gathered, batch, indices, 333);
        assert_ok(mor_batch_validate(gathered, &err));
    }
    for (size_t row = 0; row < gathered->row_count; row++)
        assert_row(gathered, row, (uint32_t)((row % 333) * 97 + row / 333 * 13) % 500, schema);
    mor_batch_free(gathered);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void ranges_are_copied_with_their_children(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, NULL, 300);
    struct mor_batch *copy = mor_batch_new(schema, NULL);
    for (size_t first = 3; first < 300; first += 33) {
        for (size_t i = 0; i < copy->column_count; i++)
            mor_vector_append_range(&copy->columns[i], &batch->columns[i], first, 33);
        copy->row_count += 33;
    }
    assert_ok(mor_batch_validate(copy, &err));
    for (size_t row = 0; row < copy->row_count; row++)
        assert_row(copy, row, (uint32_t)row + 3, schema);
    mor_batch_free(copy);
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void truncated_batches_go_on_as_if_the_rows_had_never_been(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, NULL, 100);
    for (size_t length = 100; length > 0; length -= 9) {
        mor_batch_truncate(batch, length);
        assert_ok(mor_batch_validate(batch, &err));
        append_row(batch, (uint32_t)length); // row `length` again
        assert_ok(mor_batch_validate(batch, &err));
        for (size_t row = 0; row < batch->row_count; row++)
            assert_row(batch, row, (uint32_t)row, schema);
        if (length < 9)
            break;
    }
    mor_batch_free(batch);
    mor_schema_free(schema);
}

static void reset_keeps_memory_and_free_gives_it_back(void **state)
{
    (void)state;
    struct mor_budget budget;
    mor_budget_init(&budget, 0);
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, &budget, 1000);
    size_t used = mor_budget_used(&budget);
    assert_true(used >= mor_batch_bytes(batch));
    mor_batch_reset(batch);
    assert_int_equal(mor_budget_used(&budget), used);
    for (uint32_t i = 0; i < 1000; i++)
        append_row(batch, i);
    assert_int_equal(mor_budget_used(&budget), used);
    mor_batch_free(batch);
    assert_int_equal(mor_budget_used(&budget), 0);
    mor_schema_free(schema);
}

static void validation_finds_broken_offsets(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = every_shape();
    struct mor_batch *batch = filled(schema, NULL, 50);
    int32_t *offsets = (int32_t *)(void *)batch->columns[2].offsets.data;
    int32_t kept = offsets[10];
    offsets[10] = offsets[11] + 1;
    assert_fails(mor_batch_validate(batch, &err), MOR_DATA, "offsets fall");
    offsets[10] = kept;
    assert_ok(mor_batch_validate(batch, &err));
    batch->row_count++;
    assert_fails(mor_batch_validate(batch, &err), MOR_DATA, "slots in a batch");
    mor_batch_free(batch);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_rows_keep_the_arrow_layout),
        cmocka_unit_test(gathered_rows_are_the_rows_named),
        cmocka_unit_test(ranges_are_copied_with_their_children),
        cmocka_unit_test(truncated_batches_go_on_as_if_the_rows_had_never_been),
        cmocka_unit_test(reset_keeps_memory_and_free_gives_it_back),
        cmocka_unit_test(validation_finds_broken_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
