#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "moraine/base/log.h"

// Runs `write_lines` with standard error going to a file and returns what was written.
static char *captured(void (*write_lines)(void))
{
    static char text[65536];
    int saved = dup(STDERR_FILENO);
    int fd = open("log.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && saved >= 0);
    dup2(fd, STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    close(fd);
    close(saved);
    return text;
}

static void write_hostile(void)
{
    MOR_LOG(INFO, "test", MOR_STR("msg", "a \"b\"\nc\x01"), MOR_STR("bare", "x-1"),
            MOR_INT("n", -5));
}

static void values_are_quoted_so_that_a_line_stays_a_line(void **state)
{
    (void)state;
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_LOGFMT);
    char *text = captured(write_hostile);
    assert_non_null(
        strstr(text, " level=info event=test msg=\"a \\\"b\\\"\\nc\\u0001\" bare=x-1 n=-5\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_JSON);
    text = captured(write_hostile);
    assert_non_null(strstr(
        text,
        "\"event\":\"test\",\"msg\":\"a \\\"b\\\"\\nc\\u0001\",\"bare\":\"x-1\",\"n\":-5}\n"));
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_LOGFMT);
}

static void write_secret(void)
{
    MOR_LOG(INFO, "test", MOR_STR("msg", "http://u:hide\"me@host, hide\"me and hide"),
            MOR_STR("topic", "other-secret"));
}

static void secrets_are_hidden_in_every_text(void **state)
{
    (void)state;
    mor_log_hide("hide\"me");
    mor_log_hide("hide\"me");
    mor_log_hide("other-secret");
    mor_log_hide("");
    assert_non_null(
        strstr(captured(write_secret),
               " msg=\"http://u:*******@host, ******* and hide\" topic=************\n"));
}

static void write_foreign(void)
{
    MOR_LOG(INFO, "test", MOR_STR("msg", "\xc3\xa4 \x86 \xff"));
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_JSON);
    assert_non_null(
        strstr(captured(write_foreign), "\"msg\":\"\xc3\xa4 \xef\xbf\xbd \xef\xbf\xbd\"}\n"));
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_LOGFMT);
}

static void write_debug(void)
{
    MOR_LOG(DEBUG, "quiet", MOR_INT("n", 1));
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    assert_string_equal(captured(write_debug), "");
    mor_log_configure(MOR_LOG_DEBUG, MOR_LOG_LOGFMT);
    assert_non_null(strstr(captured(write_debug), "event=quiet"));
    mor_log_configure(MOR_LOG_INFO, MOR_LOG_LOGFMT);
}

static void write_flood(void)
{
    for (int i = 0; i < 10000; i++)
        MOR_LOG(WARN, "flood", MOR_INT("i", i));
}

static void a_flood_of_one_event_is_cut(void **state)
{
    (void)state;
    size_t lines = 0;
    for (const char *at = captured(write_flood); *at != '\0'; at++)
        lines += *at == '\n';
    assert_in_range(lines, 20, 60); // the flood may cross into a second second
    char problem[128];
    mor_log_last_problem(problem, sizeof problem);
    assert_non_null(strstr(problem, "event=flood"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_so_that_a_line_stays_a_line),
        cmocka_unit_test(secrets_are_hidden_in_every_text),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_flood_of_one_event_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
