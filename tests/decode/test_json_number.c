// Numbers against the C library: correct rounding, limits, digits around the fast paths.
#include "decode_test.h"

#include <math.h>
#include <stdlib.h>

#include "random_rows.h"

struct bench {
    struct mor_schema *schema;
    struct mor_decoder *decoder;
    struct mor_batch *batch;
};

static struct bench open_bench(const char *type)
{
    struct bench b = {.schema = schema_of("x", type, NULL)};
    b.decoder = decoder_of(b.schema, (struct mor_decoder_options){0});
    b.batch = mor_batch_new(b.schema, NULL);
    return b;
}

static void close_bench(struct bench *b)
{
    mor_batch_free(b->batch);
    mor_decoder_free(b->decoder);
    mor_schema_free(b->schema);
}

static enum mor_status decode_text(struct bench *b, const char *number)
{
    struct mor_error err = MOR_ERROR_INIT;
    char text[512];
    int size = snprintf(text, sizeof text, "{\"x\":%s}", number);
    mor_batch_reset(b->batch);
    return decode_value(b->decoder, b->batch, text, (size_t)size, &err);
}

static void check_double(struct bench *b, const char *number)
{
    double expected = strtod(number, NULL);
    double got;
    enum mor_status status = decode_text(b, number);
    if (status != (isfinite(expected) ? MOR_OK : MOR_DATA))
        fail_msg("%s: %s", number, mor_status_name(status));
    if (status != MOR_OK)
        return;
    memcpy(&got, b->batch->columns[0].data.data, sizeof got);
    if (memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("%s: %.17g is not %.17g", number, got, expected);
}

static void check_float(struct bench *b, const char *number)
{
    float expected = strtof(number, NULL);
    float got;
    enum mor_status status = decode_text(b, number);
    if (status != (isfinite(expected) ? MOR_OK : MOR_DATA))
        fail_msg("%s: %s", number, mor_status_name(status));
    if (status != MOR_OK)
        return;
    memcpy(&got, b->batch->columns[0].data.data, sizeof got);
    if (memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("%s: %.9g is not %.9g", number, (double)got, (double)expected);
}

static void random_number(char *text, size_t capacity)
{
    size_t used = 0;
    if (random_below(2))
        text[used++] = '-';
    size_t digits = random_below(24) + 1;
    for (size_t i = 0; i < digits; i++)
        text[used++] =
            (char)('0' + (i == 0 && digits > 1 ? 1 + random_below(9) : random_below(10)));
    if (random_below(2)) {
        text[used++] = '.';
        for (size_t i = 0, count = random_below(24) + 1; i < count; i++)
            text[used++] = (char)('0' + random_below(10));
    }
    if (random_below(2))
        snprintf(text + used, capacity - used, "%c%s%zu", random_below(2) ? 'e' : 'E',
                 (const char *[]){"", "+", "-"}[random_below(3)],
                 random_below(random_below(2) ? 30 : 340));
    else
        text[used] = '\0';
}

static void test_reals_are_rounded_as_the_c_library_rounds(void **state)
{
    (void)state;
    struct bench d = open_bench("double");
    struct bench f = open_bench("float");
    static const char *const hard[] = {
        "0",
        "-0",
        "-0.0",
        "0e5",
        "0.000",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "2.2250738585072011e-308",
        "16777217",
        "16777217.0000000001",
        "3.4028235e38",
        "3.4028236e38",
        "1.401298464324817e-45",
        "7.006492321624085e-46",
        "0.1e-6",
        "123456789012345678901234567890",
        "8.5",
        "1.00000017881393432617187499",
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
        "0.000000000000000000000000000000000000001e39",
        "18446744073709551615",
        "18446744073709551616",
        "1e-100000",
        "1e99999999999",
    };
    for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++) {
        check_double(&d, hard[i]);
        check_float(&f, hard[i]);
    }
    random_seed = 7;
    for (int i = 0; i < 200000; i++) {
        char text[96];
        random_number(text, sizeof text);
        check_double(&d, text);
        check_float(&f, text);
    }
    close_bench(&d);
    close_bench(&f);
}

static void test_integers_of_every_length_are_exact_or_refused(void **state)
{
    (void)state;
    struct bench b = open_bench("long");
    random_seed = 3;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        size_t digits = random_below(22) + 1;
        size_t used = random_below(2);
        text[0] = '-';
        mor_int128 value = 0;
        bool negative = used > 0;
        for (size_t k = 0; k < digits; k++) {
            size_t digit = k == 0 && digits > 1 ? 1 + random_below(9) : random_below(10);
            text[used++] = (char)('0' + digit);
            value = value * 10 + (mor_int128)digit;
        }
        text[used] = '\0';
        value = negative ? -value : value;
        bool fits = value >= INT64_MIN && value <= INT64_MAX;
        assert_int_equal(decode_text(&b, text), fits ? MOR_OK : MOR_DATA);
        if (fits && mor_vector_i64(&b.batch->columns[0], 0) != (int64_t)value)
            fail_msg("%s became %lld", text, (long long)mor_vector_i64(&b.batch->columns[0], 0));
    }
    close_bench(&b);
}

static void test_a_character_in_a_number_is_never_taken_for_a_digit(void **state)
{
    (void)state;
    struct bench b = open_bench("long");
    for (size_t at = 0; at < 17; at++) {
        for (int c = 1; c < 256; c++) {
            char text[] = "12345678901234567";
            text[at] = (char)c;
            bool digit = c >= '0' && c <= '9';
            bool fine = digit && !(at == 0 && c == '0');
            fine =
                fine || (at == 0 && (c == '-' || c == ' ' || c == '\n' || c == '\r' || c == '\t'));
            fine = fine || (at == 16 && (c == ' ' || c == '\n' || c == '\r' || c == '\t'));
            enum mor_status status = decode_text(&b, text);
            if (at == 1 && (c == 'e' || c == 'E' || c == '.'))
                assert_int_equal(status, MOR_DATA); // 1e345…, 1.345…
            else if (c != 'e' && c != 'E' && c != '.')
                assert_int_equal(status, fine ? MOR_OK : MOR_DATA);
        }
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reals_are_rounded_as_the_c_library_rounds),
        cmocka_unit_test(test_integers_of_every_length_are_exact_or_refused),
        cmocka_unit_test(test_a_character_in_a_number_is_never_taken_for_a_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
