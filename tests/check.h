// What every test shares: cmocka and its includes, and asserting on statuses with their message.
#ifndef MORAINE_TESTS_CHECK_H
#define MORAINE_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

// The call must succeed; otherwise its message is shown.
#define assert_ok(call_)                                                                           \
    do {                                                                                           \
        enum mor_status check_status_ = (call_);                                                   \
        if (check_status_ != MOR_OK)                                                               \
            fail_msg("%s: %s: %s", #call_, mor_status_name(check_status_), err.message);           \
    } while (0)

// The call must fail with `class_` and say `words_`.
#define assert_fails(call_, class_, words_)                                                        \
    do {                                                                                           \
        enum mor_status check_status_ = (call_);                                                   \
        if (check_status_ != (class_))                                                             \
            fail_msg("%s: got %s (%s), not %s", #call_, mor_status_name(check_status_),            \
                     check_status_ == MOR_OK ? "" : err.message, mor_status_name(class_));         \
        if (strstr(err.message, (words_)) == NULL)                                                 \
            fail_msg("%s: '%s' does not say '%s'", #call_, err.message, (words_));                 \
    } while (0)

// A fresh folder below the test's working directory; the caller frees the path.
static inline char *check_folder(void)
{
    char *path = strdup("check-XXXXXX");
    assert_non_null(mkdtemp(path));
    char *whole = realpath(path, NULL);
    free(path);
    assert_non_null(whole);
    return whole;
}

// The text of a buffer, which the caller frees.
static inline char *taken_text(struct mor_buffer *text)
{
    uint8_t *bytes;
    size_t size_bytes;
    mor_buffer_append_u8(text, 0);
    mor_buffer_move(text, &bytes, &size_bytes);
    return (char *)bytes;
}

#endif
