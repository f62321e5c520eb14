#include "table_test.h"

#include "hudi/hudi_table.h"

static const struct table_row rows[] = {{"a", 1, 0, 10, false}, {"b", 2, 1, 10, false}};

// A commit with the bytes attached; its version.
static void commit_with(struct table_fixture *fixture, const char *kind, const char *bytes,
                        char ret_version[64])
{
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    struct mor_commit_result result = {0};
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(table_write_groups(fixture, write, rows, 2), MOR_OK);
    if (bytes)
        assert_int_equal(mor_write_attach(write, kind, bytes, strlen(bytes), &fixture->err),
                         MOR_OK);
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
    mor_write_free(write);
    memcpy(ret_version, result.version, sizeof result.version);
}

// The attached bytes, joined with commas.
static void assert_attached(struct table_fixture *fixture, const char *kind, const char *after,
                            const char *expected)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *found = NULL;
    size_t count = 0;
    MOR_AUTO_BUFFER text = {0};
    assert_int_equal(
        mor_table_attachments(fixture->table, kind, after, &arena, &found, &count, &fixture->err),
        MOR_OK);
    for (size_t i = 0; i < count; i++) {
        size_t before = text.size_bytes;
        assert_int_equal(mor_store_get(mor_table_store(fixture->table), found[i].key, 1000, &text,
                                       &fixture->err),
                         MOR_OK);
        assert_int_equal(text.size_bytes - before, found[i].size_bytes);
        assert_int_equal(strlen(found[i].version), 17);
        mor_buffer_append_text(&text, ",");
    }
    assert_string_equal(mor_buffer_terminate(&text), expected);
    mor_arena_done(&arena);
}

static void attachments_are_listed_after_a_version_oldest_first(void **state)
{
    struct table_fixture *fixture = *state;
    char first[64], second[64], third[64];
    table_open(fixture);
    assert_attached(fixture, "keys", NULL, "");
    commit_with(fixture, "keys", "one", first);
    commit_with(fixture, "keys", NULL, second);
    commit_with(fixture, "keys", "three", third);
    assert_attached(fixture, "keys", NULL, "one,three,");
    assert_attached(fixture, "keys", first, "three,");
    assert_attached(fixture, "keys", second, "three,");
    assert_attached(fixture, "keys", third, "");
    assert_attached(fixture, "other", NULL, "");
    table_close(fixture);
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &fixture->table, &fixture->err),
                     MOR_OK);
    assert_attached(fixture, "keys", NULL, "one,three,");
}

static void attachments_vanish_with_commits_that_were_taken_back(void **state)
{
    struct table_fixture *fixture = *state;
    char first[64], second[64], command[256];
    table_open(fixture);
    commit_with(fixture, "keys", "one", first);
    commit_with(fixture, "keys", "two", second);
    snprintf(command, sizeof command, "rm '%s'/.hoodie/%s.*", fixture->location, second);
    assert_int_equal(system(command), 0);
    assert_attached(fixture, "keys", NULL, "one,");
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *found = NULL;
    size_t count = 0;
    assert_int_equal(mor_table_attachments(fixture->table, "keys", second, &arena, &found, &count,
                                           &fixture->err),
                     MOR_NOT_FOUND);
    mor_arena_done(&arena);
    commit_with(fixture, "keys", "three", second);
    assert_attached(fixture, "keys", NULL, "one,three,");
    assert_int_equal(table_count_files(fixture, "moraine/attached/"), 2);
}

static void dropped_and_abandoned_attachments_are_gone(void **state)
{
    struct table_fixture *fixture = *state;
    char version[64];
    table_open(fixture);
    commit_with(fixture, "keys", "one", version);
    commit_with(fixture, "keys", "two", version);
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *found = NULL;
    size_t count = 0;
    assert_int_equal(
        mor_table_attachments(fixture->table, "keys", NULL, &arena, &found, &count, &fixture->err),
        MOR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(mor_table_attachment_drop(fixture->table, &found[0], &fixture->err), MOR_OK);
    mor_arena_done(&arena);
    assert_attached(fixture, "keys", NULL, "two,");
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    assert_int_equal(mor_write_begin(fixture->table, &id, &write, &fixture->err), MOR_OK);
    assert_int_equal(mor_write_attach(write, "keys", "three", 5, &fixture->err), MOR_OK);
    assert_int_equal(mor_write_attach(write, "keys", "four", 4, &fixture->err), MOR_FATAL);
    assert_int_equal(mor_write_attach(write, "../keys", "four", 4, &fixture->err), MOR_FATAL);
    assert_int_equal(mor_write_attach(write, "", "four", 4, &fixture->err), MOR_FATAL);
    mor_write_free(write);
    assert_attached(fixture, "keys", NULL, "two,");
    assert_int_equal(table_count_files(fixture, "moraine/staging/"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(attachments_are_listed_after_a_version_oldest_first),
        TEST(attachments_vanish_with_commits_that_were_taken_back),
        TEST(dropped_and_abandoned_attachments_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
