#include "check.h"
#include "moraine/base/utf8.h"

static void utf8_sequences_are_measured_and_broken_ones_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\xc3\xa4", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x8f\x94", 4},
        {"\x80", 0},             // a continuation alone
        {"\xc3", 0},             // cut off
        {"\xe2\x82", 0},         // cut off
        {"\xf0\x9f\x8f", 0},     // cut off
        {"\xc0\xaf", 0},         // overlong
        {"\xe0\x80\xaf", 0},     // overlong
        {"\xf0\x80\x80\xaf", 0}, // overlong
        {"\xed\xa0\x80", 0},     // surrogate
        {"\xf4\x90\x80\x80", 0}, // above U+10FFFF
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(mor_utf8_length((const uint8_t *)cases[i].text), cases[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_sequences_are_measured_and_broken_ones_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
