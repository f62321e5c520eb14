#include "changes_fixture.h"

#include <math.h>

#include "moraine/base/fault.h"

// ---- orderings ----------------------------------------------------------------------------------

static struct mor_schema *one_column(enum mor_type type, struct mor_vector *ret_vector)
{
    struct mor_schema *schema = mor_schema_new("t");
    struct mor_field *field = mor_schema_add(schema, NULL, "c", type, true);
    field->precision = 38;
    mor_vector_init(ret_vector, &schema->root.children[0], NULL);
    return schema;
}

// The values rise strictly; so do their numbers.
static void check_rising(enum mor_type type, const void *values, size_t width, size_t count)
{
    struct mor_vector vector;
    struct mor_schema *schema = one_column(type, &vector);
    mor_vector_append_null(&vector);
    for (size_t i = 0; i < count; i++)
        mor_vector_append_fixed(&vector, (const uint8_t *)values + i * width);
    assert_true(mor_key_ordering(&vector, 0) == 0);
    for (size_t i = 2; i <= count; i++)
        assert_true(mor_key_ordering(&vector, i - 1) < mor_key_ordering(&vector, i));
    mor_vector_done(&vector);
    mor_schema_free(schema);
}

static void numbers_dates_and_timestamps_keep_their_order(void **state)
{
    (void)state;
    const int32_t ints[] = {INT32_MIN, -7, -1, 0, 1, 7, INT32_MAX};
    const int64_t longs[] = {INT64_MIN, INT32_MIN, -1, 0, 1, INT32_MAX, INT64_MAX};
    const float floats[] = {-INFINITY, -1e30F, -1, -1e-40F, -0.0F, 0, 1e-40F, 1, INFINITY, NAN};
    const double doubles[] = {-INFINITY, -1e300, -1, -5e-324, -0.0, 0, 5e-324, 1, INFINITY, NAN};
    check_rising(MOR_TYPE_INT32, ints, 4, 7);
    check_rising(MOR_TYPE_DATE, ints, 4, 7);
    check_rising(MOR_TYPE_INT64, longs, 8, 7);
    check_rising(MOR_TYPE_TIMESTAMP_MICROS, longs, 8, 7);
    check_rising(MOR_TYPE_FLOAT, floats, 4, 10);
    check_rising(MOR_TYPE_DOUBLE, doubles, 8, 10);
}

static void a_column_that_is_widened_keeps_its_numbers(void **state)
{
    (void)state;
    struct mor_vector narrow, wide;
    struct mor_schema *a = one_column(MOR_TYPE_INT32, &narrow);
    struct mor_schema *b = one_column(MOR_TYPE_INT64, &wide);
    const int32_t small = -12345;
    const int64_t large = small;
    mor_vector_append_fixed(&narrow, &small);
    mor_vector_append_fixed(&wide, &large);
    assert_true(mor_key_ordering(&narrow, 0) == mor_key_ordering(&wide, 0));
    mor_vector_done(&narrow);
    mor_vector_done(&wide);
    mor_schema_free(a);
    mor_schema_free(b);
}

// Decimals never come out of order; up to 56 bits they are told apart.
static void decimals_keep_their_order_in_their_leading_digits(void **state)
{
    (void)state;
    struct mor_vector vector;
    struct mor_schema *schema = one_column(MOR_TYPE_DECIMAL, &vector);
    mor_int128 value = -((mor_int128)1 << 120);
    mor_vector_append_fixed(&vector, &value);
    for (int bits = 120; bits >= 0; bits--)
        for (int step = 0; step < 3; step++) {
            mor_int128 next = -((mor_int128)1 << bits) + step;
            if (next > value)
                mor_vector_append_fixed(&vector, &next), value = next;
        }
    for (int bits = 0; bits < 121; bits++)
        for (int step = -1; step < 2; step++) {
            mor_int128 next = ((mor_int128)1 << bits) + step;
            if (next > value)
                mor_vector_append_fixed(&vector, &next), value = next;
        }
    assert_true(vector.length > 600);
    for (size_t i = 1; i < vector.length; i++) {
        uint64_t before = mor_key_ordering(&vector, i - 1), after = mor_key_ordering(&vector, i);
        mor_int128 size = mor_vector_decimal(&vector, i);
        assert_true(before <= after);
        if (size > -((mor_int128)1 << 55) && size < (mor_int128)1 << 55)
            assert_true(before < after);
    }
    assert_true(mor_key_ordering_is_coarse(vector.field));
    mor_vector_done(&vector);
    mor_schema_free(schema);
}

static void texts_are_told_apart_by_eight_bytes(void **state)
{
    (void)state;
    static const char *const texts[] = {"",           "2",          "2026",    "2026-01-",
                                        "2026-01-01", "2026-02-01", "\xc3\xa9"};
    struct mor_vector vector;
    struct mor_schema *schema = one_column(MOR_TYPE_STRING, &vector);
    for (size_t i = 0; i < 7; i++)
        mor_vector_append_bytes(&vector, texts[i], strlen(texts[i]));
    for (size_t i = 1; i < 7; i++)
        if (i == 4)
            assert_true(mor_key_ordering(&vector, 3) == mor_key_ordering(&vector, 4));
        else
            assert_true(mor_key_ordering(&vector, i - 1) < mor_key_ordering(&vector, i));
    mor_vector_done(&vector);
    mor_schema_free(schema);
}

// ---- attachments --------------------------------------------------------------------------------

#define CHANGES 10000 // more than one piece

static struct mor_key_change change_of(struct mor_state *state, size_t i)
{
    char name[32];
    (void)snprintf(name, sizeof name, "day=%zu", i % 7);
    return (struct mor_key_change){
        mor_hash128(&i, sizeof i),
        {i % 5 == 0 ? MOR_STATE_NOWHERE : mor_state_name_number(state, name), i}};
}

struct seen {
    struct mor_state *state;
    size_t count;
};

static enum mor_status see_changes(void *context, const struct mor_key_change *changes,
                                   size_t count, struct mor_error *err)
{
    (void)err;
    struct seen *seen = context;
    for (size_t i = 0; i < count; i++, seen->count++) {
        struct mor_key_change wanted = change_of(seen->state, seen->count);
        assert_memory_equal(&changes[i], &wanted, sizeof wanted);
    }
    return MOR_OK;
}

static void changes_mean_the_same_to_another_instance(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture mine, theirs;
    set_up(&mine, true, true, true);
    set_up(&theirs, true, true, true);
    for (int i = 20; i > 0; i--) { // the other one numbers partitions in its own way
        char name[32];
        (void)snprintf(name, sizeof name, "day=%d", i);
        (void)mor_state_name_number(theirs.state, name);
    }
    MOR_AUTO_FREE struct mor_key_change *changes = mor_alloc(CHANGES * sizeof *changes);
    for (size_t i = 0; i < CHANGES; i++)
        changes[i] = change_of(mine.state, i);
    MOR_AUTO_BUFFER bytes = {0};
    mor_key_attachment(mine.state, changes, CHANGES, 3, false, &bytes);
    struct seen seen = {.state = theirs.state};
    assert_ok(mor_key_attachment_visit(theirs.state, &bytes, false, see_changes, &seen, &err));
    assert_int_equal(seen.count, CHANGES);
    mor_key_attachment(mine.state, changes, 0, 3, false, &bytes);
    assert_int_equal(bytes.size_bytes, 0);
    tear_down(&mine);
    tear_down(&theirs);
}

static enum mor_status ignore_changes(void *context, const struct mor_key_change *changes,
                                      size_t count, struct mor_error *err)
{
    (void)context;
    (void)changes;
    (void)count;
    (void)err;
    return MOR_OK;
}

static void an_attachment_that_ends_early_is_an_error(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    struct mor_key_change changes[8];
    for (size_t i = 0; i < 8; i++)
        changes[i] = change_of(fixture.state, i);
    MOR_AUTO_BUFFER bytes = {0};
    mor_key_attachment(fixture.state, changes, 8, 3, false, &bytes);
    size_t whole = bytes.size_bytes;
    for (size_t size = ATTACHMENT_HEAD_BYTES; size < whole; size++) {
        bytes.size_bytes = size;
        if ((whole - size) % sizeof changes[0] == 0 && whole - size <= sizeof changes)
            continue; // some whole changes: the head's sum tells
        assert_int_equal(
            mor_key_attachment_visit(fixture.state, &bytes, false, ignore_changes, NULL, &err),
            MOR_FATAL);
    }
    tear_down(&fixture);
}

// ---- overlay ------------------------------------------------------------------------------------

static void an_overlay_tells_the_last_change(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    struct mor_key_overlay overlay = {0};
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < 5000; i++) {
            const struct mor_key_change change = {mor_hash128(&i, sizeof i), {i, round}};
            mor_key_overlay_put(&overlay, &change);
        }
    assert_int_equal(overlay.count, 5000);
    const struct mor_known_keys known = {fixture.state, &overlay};
    for (size_t i = 0; i < 6000; i++) {
        struct mor_hash128 key = mor_hash128(&i, sizeof i);
        struct mor_state_entry entry;
        assert_ok(mor_known_keys_lookup(&known, &key, 1, &entry, &err));
        assert_true(entry.location == (i < 5000 ? i : MOR_STATE_NOWHERE));
        assert_true(entry.ordering == (i < 5000 ? 1 : 0));
    }
    mor_key_overlay_done(&overlay);
    tear_down(&fixture);
}

// ---- rebuilding ---------------------------------------------------------------------------------

static void the_rows_of_a_table_make_the_index(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    for (int64_t id = 0; id < 9000; id++)
        add_row(&fixture.batches[id % LANES], id, 100 + id, id % 3 == 0 ? "A" : "B", id, 0);
    (void)commit(&fixture);
    for (int64_t id = 0; id < 9000; id += 2) // moved
        add_row(&fixture.batches[0], id, 20000 + id, "C", 9000 + id, 0);
    for (int64_t id = 1; id < 9000; id += 10)
        add_row(&fixture.batches[1], id, 0, NULL, 9000 + id, ROW_TOMBSTONE | ROW_DELETE);
    (void)commit(&fixture);
    mor_state_free(fixture.state);
    free(fixture.state_folder);
    fixture.state_folder = check_folder();
    open_state(&fixture);

    static const int32_t required[] = {VERSION, REGION};
    const struct mor_key_rebuild rebuild = {.table = fixture.table,
                                            .location = fixture.folder,
                                            .rows = mor_table_schema(fixture.table),
                                            .ordering_column = VERSION,
                                            .required_columns = required,
                                            .required_count = 2,
                                            .topic = "t"};
    assert_ok(mor_state_load_begin(fixture.state, INT64_MIN, &err));
    assert_ok(mor_key_index_rebuild(fixture.state, &rebuild, &err));
    const struct mor_state_mark mark = {.version = "v", .offsets = "", .watermark_ms = INT64_MIN};
    assert_ok(mor_state_load_finish(fixture.state, &mark, &err));

    for (int64_t id = 0; id < 9000; id++)
        add_row(&fixture.batches[0], id, 1, "A", 0, 0);
    close_batch(&fixture, 0);
    for (int64_t id = 0; id < 9000; id++) {
        struct mor_state_entry entry;
        assert_ok(mor_state_lookup(fixture.state, &fixture.batches[0].keys[id], 1, &entry, &err));
        if (id % 10 == 1) {
            assert_true(entry.location == MOR_STATE_NOWHERE);
            continue;
        }
        bool moved = id % 2 == 0;
        assert_string_equal(mor_state_name_text(fixture.state, (uint32_t)entry.location),
                            moved         ? "region=C"
                            : id % 3 == 0 ? "region=A"
                                          : "region=B");
        assert_true(entry.ordering == ((uint64_t)((moved ? 20000 : 100) + id) ^ UINT64_C(1) << 63));
    }
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_dates_and_timestamps_keep_their_order),
        cmocka_unit_test(a_column_that_is_widened_keeps_its_numbers),
        cmocka_unit_test(decimals_keep_their_order_in_their_leading_digits),
        cmocka_unit_test(texts_are_told_apart_by_eight_bytes),
        cmocka_unit_test(changes_mean_the_same_to_another_instance),
        cmocka_unit_test(an_attachment_that_ends_early_is_an_error),
        cmocka_unit_test(an_overlay_tells_the_last_change),
        cmocka_unit_test(the_rows_of_a_table_make_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
