#include <sys/stat.h>

#include "check.h"
#include "dead_letter.h"

static void append_line(struct mor_buffer *lines, int64_t offset, const char *value)
{
    struct mor_record record = {.key = (const uint8_t *)"k",
                                .key_size_bytes = 1,
                                .value = (const uint8_t *)value,
                                .value_size_bytes = value != NULL ? strlen(value) : 0,
                                .offset = offset,
                                .timestamp_ms = 5,
                                .partition = 2};
    mor_dead_letter_format(lines, "orders", &record, "decode", "bad \"byte\" \x80 at 3");
}

static char *contents(const char *folder)
{
    static char text[8192];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/dead_letters/orders.jsonl", folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void a_line_holds_coordinates_reason_and_bytes(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER lines = {0};
    append_line(&lines, 77, "{\"a\"");
    append_line(&lines, 78, NULL);
    char *text = mor_buffer_terminate(&lines);
    assert_non_null(strstr(text, "\"partition\":2,\"offset\":77,\"timestamp_ms\":5,"));
    assert_non_null(strstr(
        text,
        "\"reason\":\"bad \\\"byte\\\" \\u0080 at 3\",\"key\":\"aw==\",\"value\":\"eyJhIg==\"}\n"));
    assert_non_null(strstr(text, "\"value\":null}\n"));
}

static void lines_of_a_commit_that_never_came_are_cut_off(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    char *folder = check_folder();
    struct mor_dead_letters *letters;
    int64_t bytes;
    MOR_AUTO_BUFFER lines = {0};
    assert_ok(mor_dead_letters_open(folder, "orders", -1, &letters, &err));
    append_line(&lines, 1, "one");
    assert_ok(mor_dead_letters_write(letters, &lines, &bytes, &err));
    mor_dead_letters_committed(letters, bytes);
    char *committed = strdup(contents(folder));
    mor_buffer_reset(&lines);
    append_line(&lines, 2, "two");
    int64_t more;
    assert_ok(mor_dead_letters_write(letters, &lines, &more, &err));
    assert_ok(mor_dead_letters_write(letters, &lines, &more, &err)); // the attempt is repeated
    assert_int_equal(strlen(contents(folder)), more);
    mor_dead_letters_free(letters);

    assert_ok(mor_dead_letters_open(folder, "orders", bytes, &letters, &err));
    assert_string_equal(contents(folder), committed);
    assert_int_equal(mor_dead_letters_bytes(letters), bytes);
    mor_dead_letters_free(letters);
    free(committed);
    free(folder);
}

static void a_file_that_was_moved_away_is_started_anew(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    char *folder = check_folder();
    struct mor_dead_letters *letters;
    assert_ok(mor_dead_letters_open(folder, "orders", 100000, &letters, &err));
    assert_int_equal(mor_dead_letters_bytes(letters), 0);
    mor_dead_letters_free(letters);
    free(folder);
}

static void a_folder_that_cannot_be_made_is_said(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_dead_letters *letters;
    assert_fails(mor_dead_letters_open("/proc/no/such", "orders", -1, &letters, &err),
                 MOR_NOT_FOUND, "/proc/no/such");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_holds_coordinates_reason_and_bytes),
        cmocka_unit_test(lines_of_a_commit_that_never_came_are_cut_off),
        cmocka_unit_test(a_file_that_was_moved_away_is_started_anew),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
