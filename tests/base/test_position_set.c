#include "check.h"
#include "moraine/base/position_set.h"

#define SPAN 400000u // positions of the model

// ---- bytes of other implementations -------------------------------------------------------------

static size_t unhex(const char *text, uint8_t *bytes)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        unsigned value;
        assert_int_equal(sscanf(text, "%2x", &value), 1);
        bytes[size++] = (uint8_t)value;
        text++;
    }
    return size;
}

// The format's bytes as the Java library writes them, without the envelope of Iceberg.
static const struct {
    const char *hex;
    uint64_t firsts[8], lengths[8]; // ranges of the set
} golden[] = {
    {"0000000000000000", {0}, {0}},
    {"0100000000000000 00000000 3a300000 01000000 0000 0400 10000000 0100 0300 0500 0700 0900",
     {1, 3, 5, 7, 9},
     {1, 1, 1, 1, 1}},
    {"0100000000000000 00000000 3a300000 02000000 0000 0100 0080 0100 18000000 1c000000 6400 6500 "
     "6300 6400",
     {100, (UINT64_C(1) << 31) + 99},
     {2, 2}},
    {"0200000000000000 00000000 3b300200 06 0000 0100 0100 e603 0200 fdff 0500 0700 0100 0100 e603 "
     "0100 0100 fdff 01000000 3b300200 06 0000 0100 0100 e901 0200 fdff 0a00 1400 0100 0a00 e901 "
     "0100 0100 fdff",
     {5, 7, 65537, 131073, (UINT64_C(1) << 32) + 10, (UINT64_C(1) << 32) + 20,
      (UINT64_C(1) << 32) + 65546, (UINT64_C(1) << 32) + 131073},
     {1, 1, 999, 65534, 1, 1, 490, 65534}},
};

static void bytes_are_those_of_other_implementations(void **state)
{
    (void)state;
    for (size_t g = 0; g < sizeof golden / sizeof golden[0]; g++) {
        uint8_t bytes[256];
        size_t size = unhex(golden[g].hex, bytes);
        struct mor_position_set *set = mor_position_set_new(NULL), *read;
        uint64_t count = 0;
        for (size_t r = 0; r < 8; r++)
            for (uint64_t i = 0; i < golden[g].lengths[r]; i++, count++)
                mor_position_set_add(set, golden[g].firsts[r] + i);
        assert_int_equal(mor_position_set_count(set), count);
        MOR_AUTO_BUFFER written = {0};
        mor_position_set_write(set, &written);
        assert_int_equal(written.size_bytes, size);
        assert_memory_equal(written.data, bytes, size);
        struct mor_error err = MOR_ERROR_INIT;
        assert_ok(mor_position_set_read(bytes, size, NULL, &read, &err));
        assert_int_equal(mor_position_set_count(read), count);
        for (size_t r = 0; r < 8; r++)
            for (uint64_t i = 0; i < golden[g].lengths[r]; i++)
                assert_true(mor_position_set_has(read, golden[g].firsts[r] + i));
        mor_position_set_free(set);
        mor_position_set_free(read);
    }
}

// ---- against a model ----------------------------------------------------------------------------

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// Sets of every density: single positions, runs, nearly everything.
static void fill(struct mor_position_set *set, bool *model, uint64_t *seed)
{
    uint64_t kind = random_next(seed) % 4, steps = kind == 0 ? 50 : kind == 1 ? 3000 : 60000;
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t first = random_next(seed) % SPAN, length = kind == 3 ? random_next(seed) % 9 : 1;
        for (uint64_t p = first; p < first + length && p < SPAN; p++) {
            mor_position_set_add(set, p);
            model[p] = true;
        }
    }
}

static void check_against(const struct mor_position_set *set, const bool *model)
{
    uint64_t rank = 0, at = 0;
    static uint64_t listed[1000];
    size_t listed_count = 0;
    for (uint64_t p = 0; p < SPAN; p++) {
        assert_int_equal(mor_position_set_has(set, p), model[p]);
        if (p % 101 == 0)
            assert_int_equal(mor_position_set_rank(set, p), rank);
        if (!model[p])
            continue;
        if (at == listed_count) {
            listed_count = mor_position_set_list(set, p, listed, 1000);
            at = 0;
            assert_true(listed_count > 0);
        }
        assert_int_equal(listed[at++], p);
        if (rank++ == 0)
            assert_int_equal(mor_position_set_first(set), p);
        if (rank == mor_position_set_count(set))
            assert_int_equal(mor_position_set_last(set), p);
    }
    assert_int_equal(mor_position_set_count(set), rank);
}

static void check_rows_left(const struct mor_position_set *set, const bool *model, uint64_t *seed)
{
    static uint32_t rows[70000];
    for (int i = 0; i < 40; i++) {
        uint64_t first = random_next(seed) % SPAN;
        uint32_t count = (uint32_t)(random_next(seed) % (i % 2 == 0 ? 5000 : 70000)), expected = 0;
        size_t kept = mor_position_set_leave_out(set, first, count, rows);
        for (uint32_t row = 0; row < count; row++)
            if (first + row >= SPAN || !model[first + row])
                assert_int_equal(rows[expected++], row);
        assert_int_equal(kept, expected);
    }
}

static void sets_do_what_a_model_does(void **state)
{
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    struct mor_budget budget;
    mor_budget_init(&budget, 1u << 30);
    for (int round = 0; round < 12; round++) {
        bool *a_model = calloc(SPAN, sizeof *a_model), *b_model = calloc(SPAN, sizeof *b_model);
        struct mor_position_set *a = mor_position_set_new(&budget);
        struct mor_position_set *b = mor_position_set_new(&budget), *read;
        fill(a, a_model, &seed);
        fill(b, b_model, &seed);
        check_against(a, a_model);
        check_rows_left(a, a_model, &seed);

        MOR_AUTO_BUFFER bytes = {0};
        struct mor_error err = MOR_ERROR_INIT;
        mor_position_set_write(a, &bytes);
        assert_ok(mor_position_set_read(bytes.data, bytes.size_bytes, &budget, &read, &err));
        check_against(read, a_model);

        struct mor_position_set *both = mor_position_set_copy(a);
        mor_position_set_unite(both, b);
        mor_position_set_subtract(read, b);
        bool *united = calloc(SPAN, sizeof *united), *left = calloc(SPAN, sizeof *left);
        for (size_t p = 0; p < SPAN; p++) {
            united[p] = a_model[p] || b_model[p];
            left[p] = a_model[p] && !b_model[p];
        }
        check_against(both, united);
        check_against(read, left);
        mor_position_set_subtract(read, read);
        assert_int_equal(mor_position_set_count(read), 0);

        mor_position_set_free(a);
        mor_position_set_free(b);
        mor_position_set_free(read);
        mor_position_set_free(both);
        free(a_model);
        free(b_model);
        free(united);
        free(left);
    }
    assert_int_equal(mor_budget_used(&budget), 0);
}

static void sets_hold_the_greatest_position(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *set = mor_position_set_new(NULL), *read;
    mor_position_set_add(set, MOR_POSITION_MAX);
    mor_position_set_add(set, 0);
    MOR_AUTO_BUFFER bytes = {0};
    mor_position_set_write(set, &bytes);
    assert_ok(mor_position_set_read(bytes.data, bytes.size_bytes, NULL, &read, &err));
    assert_int_equal(mor_position_set_first(read), 0);
    assert_int_equal(mor_position_set_last(read), MOR_POSITION_MAX);
    assert_int_equal(mor_position_set_rank(read, MOR_POSITION_MAX), 1);
    mor_position_set_free(set);
    mor_position_set_free(read);
}

// ---- hostile bytes ------------------------------------------------------------------------------

static void other_bytes_are_refused_with_words(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *words;
    } bad[] = {
        {"", "ends in the middle"},
        {"01000000000000", "ends in the middle"},
        {"0100000000000000", "ends in the middle"},
        {"ffffffffffffffff 00000000", "ends in the middle"},
        {"0100000000000000 00000000 39300000", "not the beginning"},
        {"0100000000000000 ffffffff 3a300000 00000000", "ascending order"},
        {"0100000000000000 00000000 3a300000 ffffff7f", "containers"},
        {"0100000000000000 00000000 3b30ffff", "ends in the middle"},
        // values that fall, a container twice, a bitmap twice
        {"0100000000000000 00000000 3a300000 01000000 0000 0100 10000000 0200 0200", "ascending"},
        {"0100000000000000 00000000 3a300000 02000000 0100 0000 0100 0000 18000000 1a000000 0000 "
         "0000",
         "containers of positions"},
        {"0200000000000000 00000000 3a300000 00000000 00000000 3a300000 00000000", "bitmaps"},
        // runs: too many rows, too few, overlapping, beyond the range
        {"0100000000000000 00000000 3b300000 01 0000 0100 0100 0000 0200", "more positions"},
        {"0100000000000000 00000000 3b300000 01 0000 0900 0100 0000 0200", "and state 10"},
        {"0100000000000000 00000000 3b300000 01 0000 0900 0200 0000 0400 0300 0400", "overlap"},
        {"0100000000000000 00000000 3b300000 01 0000 0900 0100 ffff 0100", "leave their range"},
        // bits that are not there, and bytes after the end
        {"0100000000000000 00000000 3a300000 01000000 0000 ffff 10000000 ff", "ends in the middle"},
        {"0000000000000000 00", "1 bytes follow"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[256];
        size_t size = unhex(bad[i].hex, bytes);
        struct mor_position_set *set;
        struct mor_error err = MOR_ERROR_INIT;
        assert_fails(mor_position_set_read(bytes, size, NULL, &set, &err), MOR_DATA, bad[i].words);
        assert_true(err.file_offset >= 0 && err.file_offset <= (int64_t)size);
    }
}

static void bitmaps_without_rows_are_read(void **state)
{
    (void)state; // some writers fill the numbers between bitmaps
    uint8_t bytes[64];
    size_t size = unhex("0200000000000000 00000000 3a300000 00000000 01000000 3a300000 01000000 "
                        "0000 0000 10000000 0700",
                        bytes);
    struct mor_position_set *set;
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_position_set_read(bytes, size, NULL, &set, &err));
    assert_int_equal(mor_position_set_count(set), 1);
    assert_int_equal(mor_position_set_last(set), (UINT64_C(1) << 32) + 7);
    mor_position_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_other_implementations),
        cmocka_unit_test(sets_do_what_a_model_does),
        cmocka_unit_test(sets_hold_the_greatest_position),
        cmocka_unit_test(other_bytes_are_refused_with_words),
        cmocka_unit_test(bitmaps_without_rows_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
