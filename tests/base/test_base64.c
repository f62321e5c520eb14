#include "check.h"

#include "moraine/base/base64.h"

static void vectors_of_the_specification_go_both_ways(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        MOR_AUTO_BUFFER text = {0};
        MOR_AUTO_BUFFER bytes = {0};
        mor_base64_encode(vectors[i][0], strlen(vectors[i][0]), &text);
        assert_string_equal(mor_buffer_terminate(&text), vectors[i][1]);
        assert_true(mor_base64_decode(vectors[i][1], strlen(vectors[i][1]), &bytes));
        assert_string_equal(mor_buffer_terminate(&bytes), vectors[i][0]);
    }
}

static void both_alphabets_and_absent_padding_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"+/+/", "-_-_", "Zm8", "Zm8="};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        assert_true(mor_base64_decode(texts[i], strlen(texts[i]), &bytes));
        assert_memory_equal(bytes.data, i < 2 ? "\xFB\xFF\xBF" : "fo", i < 2 ? 3 : 2);
    }
}

static void other_texts_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"Z", "Zg=", "Zm9v=", "Zm 9v", "Zh==", "=", "===="};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        MOR_AUTO_BUFFER bytes = {0};
        mor_buffer_append_u8(&bytes, 'x');
        assert_false(mor_base64_decode(texts[i], strlen(texts[i]), &bytes));
        assert_int_equal(bytes.size_bytes, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_specification_go_both_ways),
        cmocka_unit_test(both_alphabets_and_absent_padding_are_read),
        cmocka_unit_test(other_texts_are_refused_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
