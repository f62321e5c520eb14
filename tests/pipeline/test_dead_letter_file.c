#include <sys/stat.h>

#include "check.h"
#include "dead_letter.h"

struct rig {
    char *folder;
    struct mor_schema *schema;
    struct mor_batch *letters;
    struct mor_ledger ledger;
    struct mor_letter_sink *sink;
};

static void set_up(struct rig *rig)
{
    *rig = (struct rig){.folder = check_folder(), .schema = mor_dead_letter_schema()};
    rig->letters = mor_batch_new(rig->schema, NULL);
    mor_ledger_init(&rig->ledger);
}

static void open_sink(struct rig *rig)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(mor_letter_file_open(rig->folder, "i", "orders", &rig->ledger, &rig->sink, &err));
}

static void close_sink(struct rig *rig)
{
    rig->sink->ops->free(rig->sink);
}

static void tear_down(struct rig *rig)
{
    mor_ledger_done(&rig->ledger);
    mor_batch_free(rig->letters);
    mor_schema_free(rig->schema);
    free(rig->folder);
}

static void append_letter(struct rig *rig, int64_t offset, const char *value)
{
    const struct mor_header headers[] = {{"trace", (const uint8_t *)"x", 1}, {"none", NULL, 0}};
    struct mor_record record = {.key = (const uint8_t *)"k",
                                .key_size_bytes = 1,
                                .value = (const uint8_t *)value,
                                .value_size_bytes = value != NULL ? strlen(value) : 0,
                                .offset = offset,
                                .timestamp_ms = 5,
                                .partition = 2,
                                .headers = headers,
                                .header_count = 2};
    mor_dead_letter_append(rig->letters, "orders", &record, "decode", "bad \"byte\" \x80 at 3");
}

// Writes the letters as one commit would; `lands` false: the commit never comes to be.
static void write_letters(struct rig *rig, bool lands)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger after;
    mor_ledger_init(&after);
    mor_ledger_copy(&after, &rig->ledger);
    const struct mor_letter_rows rows = {rig->letters, 0, rig->letters->row_count};
    assert_ok(rig->sink->ops->write(rig->sink, &rows, 1, NULL, 0, &after, &err));
    if (lands) {
        rig->sink->ops->committed(rig->sink, &after);
        mor_ledger_copy(&rig->ledger, &after);
    }
    mor_ledger_done(&after);
    mor_batch_reset(rig->letters);
}

static char *contents(const struct rig *rig)
{
    static char text[8192];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/dead_letters/orders.jsonl", rig->folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void a_line_holds_coordinates_reason_and_bytes(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    open_sink(&rig);
    append_letter(&rig, 77, "{\"a\"");
    append_letter(&rig, 78, NULL);
    write_letters(&rig, true);
    const char *text = contents(&rig);
    assert_non_null(strstr(text, "\"partition\":2,\"offset\":77,\"timestamp_ms\":5,"));
    assert_non_null(
        strstr(text, "\"stage\":\"decode\",\"reason\":\"bad \\\"byte\\\" \\\\x80 at 3\""));
    assert_non_null(strstr(text, "\"key\":\"aw==\",\"value\":\"eyJhIg==\",\"headers\":[{\"name\":"
                                 "\"trace\",\"value\":\"eA==\"},{\"name\":\"none\",\"value\":null}"
                                 "]}\n"));
    assert_non_null(strstr(text, "\"value\":null,\"headers\""));
    close_sink(&rig);
    tear_down(&rig);
}

static void lines_of_a_commit_that_never_came_are_cut_off(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    open_sink(&rig);
    append_letter(&rig, 1, "one");
    write_letters(&rig, true);
    char *committed = mor_strdup(contents(&rig));
    append_letter(&rig, 2, "two");
    write_letters(&rig, false);
    assert_true(strlen(contents(&rig)) > strlen(committed));
    close_sink(&rig);
    open_sink(&rig); // as after a crash
    assert_string_equal(contents(&rig), committed);
    free(committed);
    close_sink(&rig);
    tear_down(&rig);
}

static void lines_of_a_first_commit_that_never_came_are_set_aside(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    open_sink(&rig);
    append_letter(&rig, 1, "one");
    write_letters(&rig, false);
    close_sink(&rig);
    open_sink(&rig); // as after a crash; no commit states a length
    assert_string_equal(contents(&rig), "");
    append_letter(&rig, 1, "one");
    write_letters(&rig, true);
    const char *line = strstr(contents(&rig), "\"offset\":1,");
    assert_non_null(line);
    assert_null(strstr(line + 1, "\"offset\":1,"));
    close_sink(&rig);
    tear_down(&rig);
}

static void a_repeated_attempt_writes_its_lines_once(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    open_sink(&rig);
    append_letter(&rig, 1, "one");
    write_letters(&rig, false);
    append_letter(&rig, 1, "one");
    write_letters(&rig, true);
    const char *line = strstr(contents(&rig), "\"offset\":1,");
    assert_non_null(line);
    assert_null(strstr(line + 1, "\"offset\":1,"));
    close_sink(&rig);
    tear_down(&rig);
}

static void a_file_that_was_moved_away_is_started_anew(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    open_sink(&rig);
    append_letter(&rig, 1, "one");
    write_letters(&rig, true);
    close_sink(&rig);
    MOR_AUTO_FREE char *path = mor_asprintf("%s/dead_letters/orders.jsonl", rig.folder);
    assert_int_equal(remove(path), 0);
    open_sink(&rig);
    append_letter(&rig, 2, "two");
    write_letters(&rig, true);
    assert_non_null(strstr(contents(&rig), "\"offset\":2,"));
    assert_int_equal(contents(&rig)[0], '{');
    close_sink(&rig);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_holds_coordinates_reason_and_bytes),
        cmocka_unit_test(lines_of_a_commit_that_never_came_are_cut_off),
        cmocka_unit_test(lines_of_a_first_commit_that_never_came_are_set_aside),
        cmocka_unit_test(a_repeated_attempt_writes_its_lines_once),
        cmocka_unit_test(a_file_that_was_moved_away_is_started_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
