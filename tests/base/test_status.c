#include <errno.h>

#include "check.h"

static void error_set_fills_class_and_message(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(mor_error_set(&err, MOR_DATA, "row %d", 7), MOR_DATA);
    assert_int_equal(err.status, MOR_DATA);
    assert_string_equal(err.message, "row 7");
    assert_int_equal(err.file_offset, -1);
}

static void errno_chooses_the_class(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    assert_int_equal(mor_error_set_errno(&err, ENOSPC, "could not write"), MOR_RETRY);
    assert_string_equal(err.message, "could not write: No space left on device");
    assert_int_equal(err.os_errno, ENOSPC);
    assert_int_equal(mor_error_set_errno(&err, ENOENT, "x"), MOR_NOT_FOUND);
    assert_int_equal(mor_error_set_errno(&err, EEXIST, "x"), MOR_CONFLICT);
    assert_int_equal(mor_error_set_errno(&err, EACCES, "x"), MOR_FATAL);
}

static void wrapping_prepends_and_keeps_the_cause(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    mor_error_set(&err, MOR_RETRY, "disk is full");
    assert_int_equal(mor_error_wrap(&err, "could not write '%s'", "a"), MOR_RETRY);
    assert_string_equal(err.message, "could not write 'a': disk is full");
}

static void wrapping_a_long_message_stays_inside_the_buffer(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    char text[sizeof err.message];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mor_error_set(&err, MOR_DATA, "%s", text);
    for (int i = 0; i < 5; i++)
        mor_error_wrap(&err, "layer %d %s", i, text);
    assert_true(strlen(err.message) < sizeof err.message);
    assert_memory_equal(err.message, "layer 4", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set_fills_class_and_message),
        cmocka_unit_test(errno_chooses_the_class),
        cmocka_unit_test(wrapping_prepends_and_keeps_the_cause),
        cmocka_unit_test(wrapping_a_long_message_stays_inside_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
