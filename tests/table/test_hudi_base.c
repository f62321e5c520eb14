// What a commit builds on when other instances write, and when an operator takes the table back.
#include "table_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "hudi/hudi_table.h"

static const struct table_row first_rows[] = {{"a", 1, 0, 10, false}, {"b", 2, 0, 10, false}};
static const struct table_row second_rows[] = {{"a", 5, 0, 11, false}, {"c", 6, 1, 11, false}};

// Opens the fixture's table once more, under another name.
static void open_other(struct table_fixture *fixture, const char *instance,
                       struct table_fixture *ret_other)
{
    *ret_other = *fixture;
    ret_other->table = NULL;
    ret_other->options.instance = instance;
    table_open(ret_other);
    hudi_of(ret_other->table)->turn_wait_ms = 0;
}

static struct mor_write *begin(struct table_fixture *fixture)
{
    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    if (mor_write_begin(fixture->table, &id, &write, &fixture->err) != MOR_OK)
        fail_msg("begin: %s", fixture->err.message);
    return write;
}

static enum mor_status finish(struct table_fixture *fixture, struct mor_write *write,
                              const char *state)
{
    struct mor_property property = {"moraine", state};
    struct mor_commit_result result;
    enum mor_status status = mor_write_commit(write, &property, 1, &result, &fixture->err);
    mor_write_free(write);
    return status;
}

// Begins, looks at the base, and lets go.
static void assert_base(struct table_fixture *fixture, const char *state, bool went_back)
{
    struct mor_write *write = begin(fixture);
    const char *value = mor_write_base_property(write, "moraine");
    if (state)
        assert_string_equal(value, state);
    else
        assert_null(value);
    assert_int_equal(strlen(mor_write_base_version(write)), state ? 17 : 0);
    assert_int_equal(mor_write_base_went_back(write), went_back);
    mor_write_free(write);
}

static void run_shell(const struct table_fixture *fixture, const char *text)
{
    char command[512];
    snprintf(command, sizeof command, "cd '%s' && %s", fixture->location, text);
    assert_int_equal(system(command), 0);
}

// What a restore to the commit before does: the files of the newest instant go.
static void take_back(const struct table_fixture *fixture)
{
    run_shell(fixture, fixture->options.hudi_table_version == 6
                           ? "cd .hoodie && rm $(ls -d *.deltacommit* | tail -3)"
                           : "cd .hoodie/timeline && rm $(ls -d *.deltacommit* | tail -3)");
}

// ---- other instances ----------------------------------------------------------------------------

static void instances_continue_each_other(void **state)
{
    struct table_fixture *fixture = *state;
    for (int version = 6; version <= 9; version += 3) {
        struct table_fixture other;
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        table_open(fixture);
        open_other(fixture, "other", &other);
        assert_base(&other, NULL, false);
        table_must_commit(fixture, first_rows, 2, NULL, "1");
        assert_base(&other, "1", false);
        table_must_commit(&other, second_rows, 2, "1", "2");
        table_must_commit(fixture, second_rows, 2, "2", "3");
        table_must_commit(&other, first_rows, 2, "3", "4");
        assert_true(mor_table_has_group(fixture->table, "created_at_day=2026-01-01", 0) ||
                    mor_table_has_group(fixture->table, "created_at_day=2026-01-01", 1));
        // logs of one slice are numbered on, whoever writes them
        assert_int_equal(table_count_files(fixture, "\\.log\\.1_") > 0, true);
        if (version == 6)
            assert_true(table_count_files(fixture, "\\.log\\.3_") >= 1);
        table_close(&other);
        table_close(fixture);
    }
}

static void files_of_other_instances_are_taken_in_without_a_listing(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other;
    table_open(fixture);
    open_other(fixture, "other", &other);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    assert_base(&other, "1", false);
    table_must_commit(fixture, second_rows, 2, "1", "2");
    // unreadable folders would fail a listing
    struct hudi_group *known = hudi_group_find(hudi_of(other.table), "created_at_day=2026-01-01",
                                               "00000000-0000-0000-0000-000000000000-0");
    if (!known)
        known = hudi_group_find(hudi_of(other.table), "created_at_day=2026-01-01",
                                "00000001-0000-0000-0000-000000000000-0");
    assert_non_null(known);
    assert_base(&other, "2", false);
    struct hudi_group *now =
        hudi_group_find(hudi_of(other.table), "created_at_day=2026-01-01", known->file_id);
    assert_ptr_equal(now, known); // a listing makes new ones
    assert_true(mor_table_has_group(other.table, "created_at_day=2026-01-02", 0) ||
                mor_table_has_group(other.table, "created_at_day=2026-01-02", 1));
    table_close(&other);
}

static void second_of_two_commits_on_one_base_is_a_conflict(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    open_other(fixture, "other", &other);
    struct mor_write *write = begin(fixture);
    assert_int_equal(table_write_groups(fixture, write, second_rows, 2), MOR_OK);
    table_must_commit(&other, second_rows, 2, "1", "2");
    assert_int_equal(finish(fixture, write, "2"), MOR_CONFLICT);
    assert_int_equal(table_count_files(fixture, "moraine/staging/"), 0);
    assert_int_equal(table_count_files(fixture, "deltacommit$"), 2);
    table_must_commit(fixture, second_rows, 2, "2", "3");
    table_close(&other);
}

static void batch_is_told_from_others(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other;
    struct mor_uuid mine = mor_uuid_v7(), never = mor_uuid_v7();
    bool has = true;
    table_open(fixture);
    open_other(fixture, "other", &other);
    assert_base(&other, NULL, false);
    assert_int_equal(table_commit_batch(fixture, &mine, first_rows, 2, NULL, "1", NULL), MOR_OK);
    table_must_commit(fixture, second_rows, 2, "1", "2");
    assert_int_equal(mor_table_has_batch(other.table, &mine, &has, &other.err), MOR_OK);
    assert_true(has);
    assert_int_equal(mor_table_has_batch(other.table, &never, &has, &other.err), MOR_OK);
    assert_false(has);
    // slots that are gone cannot be asked any more
    assert_int_equal(hudi_chain_clean(mor_table_store(other.table), 2, 1, &other.err), MOR_OK);
    assert_int_equal(mor_table_has_batch(other.table, &mine, &has, &other.err), MOR_FATAL);
    table_close(&other);
}

struct asking {
    struct mor_table *table;
    atomic_bool stop;
    int answers;
};

static void *ask(void *argument)
{
    struct asking *asking = argument;
    while (!atomic_load(&asking->stop)) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_arena arena;
        mor_arena_init(&arena, 0, NULL);
        char *value = NULL;
        asking->answers +=
            mor_table_property(asking->table, "moraine", true, &arena, &value, &err) == MOR_OK;
        mor_arena_done(&arena);
    }
    return NULL;
}

static void property_is_told_to_any_thread_during_commits(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "0");
    struct asking asking = {.table = fixture->table};
    pthread_t thread;
    pthread_create(&thread, NULL, ask, &asking);
    for (int i = 0; i < 20; i++) {
        char before[16], now[16];
        snprintf(before, sizeof before, "%d", i);
        snprintf(now, sizeof now, "%d", i + 1);
        table_must_commit(fixture, second_rows, 2, before, now);
    }
    atomic_store(&asking.stop, true);
    pthread_join(thread, NULL);
    assert_true(asking.answers > 0);
}

static void commit_with_fewer_properties_carries_the_others_on(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    struct mor_commit_result result;
    struct mor_write *write = begin(fixture);
    assert_int_equal(mor_write_commit(write, NULL, 0, &result, &fixture->err), MOR_OK);
    mor_write_free(write);
    assert_base(fixture, "1", false);
}

static void columns_that_another_instance_added_stay(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other = *fixture;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    other.schema = mor_schema_copy(fixture->schema);
    mor_schema_add(other.schema, NULL, "added", MOR_TYPE_STRING, true);
    other.options.schema = other.schema;
    other.options.instance = "other";
    table_open(&other);
    table_must_commit(&other, second_rows, 2, "1", "2");
    table_must_commit(fixture, second_rows, 2, "2", "3");
    table_must_commit(fixture, second_rows, 2, "3", "4");
    table_close(&other);
    mor_schema_free(other.schema);
    struct mor_table *reader = NULL;
    assert_int_equal(mor_table_open_read(fixture->location, NULL, &reader, &fixture->err), MOR_OK);
    assert_int_equal(mor_table_schema(reader)->root.child_count, 5);
    assert_int_equal(mor_schema_find(mor_table_schema(reader), "added"), 4);
    mor_table_free(reader);
}

// ---- taken back ---------------------------------------------------------------------------------

static void table_that_was_taken_back_is_followed_and_told_once(void **state)
{
    struct table_fixture *fixture = *state;
    for (int version = 6; version <= 9; version += 3) {
        struct table_fixture other, early;
        fixture->options.hudi_table_version = version;
        snprintf(fixture->location, sizeof fixture->location, "%s/v%d", fixture->root, version);
        table_open(fixture);
        open_other(fixture, "other", &other);
        open_other(fixture, "early", &early);
        table_must_commit(fixture, first_rows, 2, NULL, "1");
        assert_base(&early, "1", false);
        table_must_commit(fixture, second_rows, 2, "1", "2");
        table_must_commit(fixture, second_rows, 2, "2", "3");
        assert_base(&other, "3", false);
        take_back(fixture);
        assert_base(fixture, "2", true);
        assert_base(fixture, "2", false);
        // others are told when they look, also after somebody went on
        table_must_commit(fixture, second_rows, 2, "2", "4");
        assert_base(&other, "4", true);
        assert_base(&other, "4", false);
        // who never saw what is gone has nothing to set aside
        assert_base(&early, "4", false);
        table_close(&early);
        table_close(&other);
        table_close(fixture);
    }
}

static void archived_commits_are_not_taken_for_commits_that_were_taken_back(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture early;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_must_commit(fixture, second_rows, 2, "1", "2");
    open_other(fixture, "early", &early);
    table_must_commit(fixture, second_rows, 2, "2", "3");
    // the second commit leaves the timeline, the first stays
    run_shell(fixture, "cd .hoodie && rm $(ls -d *.deltacommit* | tail -6 | head -3)");
    assert_base(fixture, "3", false);
    assert_base(&early, "3", false);
    table_close(&early);
}

static void commit_on_what_was_taken_back_is_a_conflict(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_must_commit(fixture, second_rows, 2, "1", "2");
    open_other(fixture, "other", &other);
    struct mor_write *write = begin(fixture);
    struct mor_write *late = begin(&other);
    take_back(fixture);
    assert_int_equal(finish(fixture, write, "3"), MOR_CONFLICT);
    assert_base(fixture, "1", true);
    assert_int_equal(finish(&other, late, "3"), MOR_CONFLICT);
    table_close(&other);
}

static void table_that_was_emptied_begins_anew(void **state)
{
    struct table_fixture *fixture = *state;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    take_back(fixture);
    assert_base(fixture, NULL, true);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    assert_base(fixture, "1", false);
}

static void table_of_an_older_version_starts_the_chain(void **state)
{
    struct table_fixture *fixture = *state;
    struct table_fixture other;
    table_open(fixture);
    table_must_commit(fixture, first_rows, 2, NULL, "1");
    table_must_commit(fixture, second_rows, 2, "1", "2");
    table_close(fixture);
    // such a version has no slots and does not say who committed
    run_shell(fixture, "rm -r .hoodie/moraine && sed -i /moraine.instance/d .hoodie/*.deltacommit");
    table_open(fixture);
    assert_base(fixture, "2", false);
    table_must_commit(fixture, second_rows, 2, "2", "3");
    open_other(fixture, "other", &other);
    table_must_commit(&other, second_rows, 2, "3", "4");
    assert_int_equal(table_count_files(fixture, "slots/"), 2);
    table_close(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(instances_continue_each_other),
        TEST(files_of_other_instances_are_taken_in_without_a_listing),
        TEST(second_of_two_commits_on_one_base_is_a_conflict),
        TEST(batch_is_told_from_others),
        TEST(property_is_told_to_any_thread_during_commits),
        TEST(commit_with_fewer_properties_carries_the_others_on),
        TEST(columns_that_another_instance_added_stay),
        TEST(archived_commits_are_not_taken_for_commits_that_were_taken_back),
        TEST(table_that_was_taken_back_is_followed_and_told_once),
        TEST(commit_on_what_was_taken_back_is_a_conflict),
        TEST(table_that_was_emptied_begins_anew),
        TEST(table_of_an_older_version_starts_the_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
