// Slots: who gets one, who is too late, and what is done with what they say.
#include "table_test.h"

#include <signal.h>
#include <sys/wait.h>

#include "hudi/hudi_chain.h"
#include "moraine/base/fault.h"

static struct mor_store *open_store(struct table_fixture *fixture)
{
    struct mor_store *store = NULL;
    assert_int_equal(mor_store_open(fixture->location, true, &store, &fixture->err), MOR_OK);
    return store;
}

// Puts slot `number`, which names `previous` and calls itself `batch`.
static enum mor_status put(struct table_fixture *fixture, struct mor_store *store, uint64_t number,
                           const char *previous, const char *batch)
{
    struct hudi_slot slot = {.number = number,
                             .kind = HUDI_SLOT_COMMIT,
                             .writer = "test",
                             .instant = "20260101000000000",
                             .completion = "20260101000000001"};
    snprintf(slot.previous, sizeof slot.previous, "%s", previous);
    snprintf(slot.batch, sizeof slot.batch, "%s", batch);
    return hudi_chain_put(store, &slot, &fixture->err);
}

static void must_put(struct table_fixture *fixture, struct mor_store *store, uint64_t number,
                     const char *previous, const char *batch)
{
    if (put(fixture, store, number, previous, batch) != MOR_OK)
        fail_msg("slot %d: %s", (int)number, fixture->err.message);
}

// Slots first..last, each named by its number; slot 2 may be another's, named `second`.
static void put_range(struct table_fixture *fixture, struct mor_store *store, int first, int last,
                      const char *second)
{
    for (int n = first; n <= last; n++) {
        char previous[16] = "", batch[16];
        snprintf(batch, sizeof batch, "b%d", n);
        if (n > 1)
            snprintf(previous, sizeof previous, "b%d", n - 1);
        must_put(fixture, store, (uint64_t)n, n == 3 ? second : previous, batch);
    }
}

static uint64_t head_number(struct table_fixture *fixture, struct mor_store *store)
{
    struct hudi_slot head = {0};
    assert_int_equal(hudi_chain_head(store, &head, &fixture->err), MOR_OK);
    uint64_t number = head.number;
    hudi_slot_done(&head);
    return number;
}

static void write_object(struct table_fixture *fixture, struct mor_store *store, const char *key,
                         const char *text)
{
    assert_int_equal(mor_store_put_new(store, key, text, strlen(text), &fixture->err), MOR_OK);
}

static void assert_object(struct table_fixture *fixture, struct mor_store *store, const char *key,
                          const char *expected)
{
    MOR_AUTO_BUFFER bytes = {0};
    enum mor_status status = mor_store_get(store, key, 1000, &bytes, &fixture->err);
    assert_int_equal(status, expected ? MOR_OK : MOR_NOT_FOUND);
    if (expected)
        assert_string_equal(mor_buffer_terminate(&bytes), expected);
}

// ---- slots --------------------------------------------------------------------------------------

static void slot_is_read_back_as_it_was_put(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    struct hudi_move moves[] = {{"a/1", "p=\"x\"/\303\244", 17}, {"a/2", ".hoodie/c", 0}};
    const char *partitions[] = {"", "p=1"}, *deletes[] = {"old"};
    struct hudi_slot slot = {
        .number = 1,
        .kind = HUDI_SLOT_REWRITE,
        .batch = "b1",
        .writer = "w\n\"",
        .instant = "20260101000000000",
        .completion = "20260101000000001",
        .version = "20251231000000000",
        .completed = HUDI_ACTION_COMMIT,
        .partitions = partitions,
        .partition_count = 2,
        .moves = moves,
        .move_count = 2,
        .deletes = deletes,
        .delete_count = 1,
    };
    assert_int_equal(hudi_chain_put(store, &slot, &fixture->err), MOR_OK);
    struct hudi_slot back = {0};
    assert_int_equal(hudi_chain_head(store, &back, &fixture->err), MOR_OK);
    assert_int_equal(back.number, 1);
    assert_int_equal(back.kind, HUDI_SLOT_REWRITE);
    assert_string_equal(back.batch, "b1");
    assert_string_equal(back.previous, "");
    assert_string_equal(back.writer, slot.writer);
    assert_string_equal(back.instant, slot.instant);
    assert_string_equal(back.completion, slot.completion);
    assert_string_equal(back.version, slot.version);
    assert_int_equal(back.completed, HUDI_ACTION_COMMIT);
    assert_int_equal(back.partition_count, 2);
    assert_string_equal(back.partitions[1], "p=1");
    assert_int_equal(back.move_count, 2);
    assert_string_equal(back.moves[0].to, moves[0].to);
    assert_int_equal(back.moves[0].size_bytes, 17);
    assert_string_equal(back.deletes[0], "old");
    hudi_slot_done(&back);
    mor_store_free(store);
}

static void slot_that_is_taken_is_a_conflict(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    assert_int_equal(head_number(fixture, store), 0);
    put_range(fixture, store, 1, 2, NULL);
    assert_int_equal(put(fixture, store, 2, "b1", "other"), MOR_CONFLICT);
    assert_int_equal(put(fixture, store, 3, "other", "b3"), MOR_CONFLICT);
    assert_int_equal(put(fixture, store, 9, "b8", "b9"), MOR_CONFLICT);
    assert_int_equal(head_number(fixture, store), 2);
    mor_store_free(store);
}

static void cleaning_keeps_the_newest(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    put_range(fixture, store, 1, 9, "b2");
    assert_int_equal(hudi_chain_clean(store, 9, 3, &fixture->err), MOR_OK);
    assert_int_equal(table_count_files(fixture, "slots/"), 3);
    assert_int_equal(head_number(fixture, store), 9);
    put_range(fixture, store, 10, 10, NULL);
    mor_store_free(store);
}

static void damaged_slot_is_fatal(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    static const char *const damages[] = {"printf x | dd of=F bs=1 seek=40 conv=notrunc",
                                          "truncate -s -1 F", "truncate -s 10 F", "truncate -s 0 F",
                                          "printf 'moraine-slot 1 00000000\\n' > F"};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        char command[512];
        put_range(fixture, store, 1, 1, NULL);
        snprintf(command, sizeof command,
                 "cd '%s/.hoodie/moraine/slots' && mv 0* F && { %s; } 2>/dev/null && mv F "
                 "00000000000000000001",
                 fixture->location, damages[i]);
        assert_int_equal(system(command), 0);
        struct hudi_slot head = {0};
        assert_int_equal(hudi_chain_head(store, &head, &fixture->err), MOR_FATAL);
        assert_non_null(strstr(fixture->err.message, "damaged"));
        assert_int_equal(
            mor_store_delete(store, HUDI_SLOTS_PREFIX "/00000000000000000001", true, &fixture->err),
            MOR_OK);
    }
    mor_store_free(store);
}

// ---- stopped processes --------------------------------------------------------------------------

static void wait_for_stop(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
}

// A child that puts slot 2, named "late", and stops at the point; waits until it has stopped.
static pid_t late_child(struct table_fixture *fixture, const char *point)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char setting[64];
        snprintf(setting, sizeof setting, "%s=stop", point);
        setenv("MORAINE_FAILPOINTS", setting, 1);
        if (mor_fault_init(&fixture->err) != MOR_OK)
            _exit(99);
        _exit((int)put(fixture, open_store(fixture), 2, "b1", "late"));
    }
    wait_for_stop(child);
    return child;
}

// Who looks for the head and stops between its list and reading what it showed; ends with the
// number of the head.
static pid_t looking_child(struct table_fixture *fixture)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("MORAINE_FAILPOINTS", "hudi.listed=stop@1", 1);
        struct hudi_slot head = {0};
        if (mor_fault_init(&fixture->err) != MOR_OK ||
            hudi_chain_head(open_store(fixture), &head, &fixture->err) != MOR_OK)
            _exit(99);
        _exit((int)head.number);
    }
    wait_for_stop(child);
    return child;
}

static enum mor_status wake(pid_t child)
{
    int status = 0;
    kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum mor_status)WEXITSTATUS(status);
}

static void late_slot_conflicts_while_the_one_that_won_is_there(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    put_range(fixture, store, 1, 1, NULL);
    pid_t child = late_child(fixture, "hudi.publish");
    put_range(fixture, store, 2, 9, "b2");
    assert_int_equal(wake(child), MOR_CONFLICT);
    mor_store_free(store);
}

static void late_slot_after_cleaning_is_found_out_and_removed(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    // 7: its successor is there and names another; 6 and less: a gap follows
    for (uint64_t kept = 5; kept <= 7; kept++) {
        put_range(fixture, store, 1, 1, NULL);
        pid_t child = late_child(fixture, "hudi.publish");
        put_range(fixture, store, 2, 9, "b2");
        assert_int_equal(hudi_chain_clean(store, 9, kept, &fixture->err), MOR_OK);
        assert_int_equal(wake(child), MOR_CONFLICT);
        assert_int_equal(table_count_files(fixture, "slots/"), (int)kept);
        assert_int_equal(head_number(fixture, store), 9);
        put_range(fixture, store, 10, 10, NULL);
        assert_int_equal(hudi_chain_clean(store, 10, 0, &fixture->err), MOR_OK);
    }
    mor_store_free(store);
}

// Two stand still: one planned slot 2 long ago, one saw in a list that slot 2 is the head.
static void late_slot_is_not_taken_for_the_head_by_who_listed_long_ago(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    put_range(fixture, store, 1, 1, NULL);
    pid_t late = late_child(fixture, "hudi.publish=stop;hudi.slot_put");
    put_range(fixture, store, 2, 2, NULL);
    pid_t looking = looking_child(fixture);
    put_range(fixture, store, 3, 9, "b2");
    assert_int_equal(hudi_chain_clean(store, 9, 3, &fixture->err), MOR_OK);
    kill(late, SIGCONT);
    wait_for_stop(late);
    struct hudi_slot stale = {0};
    assert_int_equal(hudi_chain_read(store, 2, &stale, &fixture->err), MOR_OK);
    assert_string_equal(stale.batch, "late");
    hudi_slot_done(&stale);
    assert_int_equal(wake(looking), 9);
    assert_int_equal(wake(late), MOR_CONFLICT);
    mor_store_free(store);
}

static void slot_that_others_built_on_is_in_the_chain(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    // nothing cleaned, then the slot before it
    for (uint64_t kept = 9; kept >= 8; kept--) {
        put_range(fixture, store, 1, 1, NULL);
        pid_t child = late_child(fixture, "hudi.slot_put");
        put_range(fixture, store, 3, 9, "late");
        assert_int_equal(hudi_chain_clean(store, 9, kept, &fixture->err), MOR_OK);
        assert_int_equal(wake(child), MOR_OK);
        assert_int_equal(hudi_chain_clean(store, 9, 0, &fixture->err), MOR_OK);
    }
    mor_store_free(store);
}

static void slot_that_was_cleaned_away_since_is_unknown(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    put_range(fixture, store, 1, 1, NULL);
    pid_t child = late_child(fixture, "hudi.slot_put");
    put_range(fixture, store, 3, 9, "late");
    assert_int_equal(hudi_chain_clean(store, 9, 3, &fixture->err), MOR_OK);
    assert_int_equal(wake(child), MOR_UNKNOWN);
    assert_int_equal(head_number(fixture, store), 9);
    mor_store_free(store);
}

// ---- helping ------------------------------------------------------------------------------------

static struct hudi_move moves[] = {
    {"s/1", "p=1/data", 1}, {"s/2", "p=1/more", 1}, {"s/3", ".hoodie/done", 1}};
static const char *const partitions[] = {"p=1"};
static const char *const deletes[] = {"old"};

static struct hudi_slot slot_with_files(void)
{
    return (struct hudi_slot){
        .number = 1,
        .batch = "b1",
        .writer = "test",
        .instant = "20260101000000000",
        .completion = "20260101000000001",
        .moves = moves,
        .move_count = 3,
        .partitions = (const char **)(uintptr_t)partitions,
        .partition_count = 1,
        .deletes = (const char **)(uintptr_t)deletes,
        .delete_count = 1,
    };
}

static void stage_files(struct table_fixture *fixture, struct mor_store *store)
{
    write_object(fixture, store, "s/1", "one");
    write_object(fixture, store, "s/2", "two");
    write_object(fixture, store, "s/3", "three");
    write_object(fixture, store, "old", "old");
}

static void assert_done(struct table_fixture *fixture, struct mor_store *store)
{
    assert_object(fixture, store, "p=1/data", "one");
    assert_object(fixture, store, "p=1/more", "two");
    assert_object(fixture, store, ".hoodie/done", "three");
    assert_object(fixture, store, "old", NULL);
    assert_int_equal(table_count_files(fixture, "/s/"), 0);
    assert_int_equal(table_count_files(fixture, "p=1/.hoodie_partition_metadata"), 1);
}

static void help_is_finished_by_others_wherever_it_ended(void **state)
{
    struct table_fixture *fixture = *state;
    static const char *const points[] = {
        "hudi.help=kill",      "storage.move=kill@1", "storage.move=kill@2", "hudi.renamed=kill",
        "storage.delete=kill", "storage.move=kill@3", "hudi.published=kill"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct mor_store *store = open_store(fixture);
        struct hudi_slot slot = slot_with_files();
        stage_files(fixture, store);
        pid_t child = fork();
        if (child == 0) {
            setenv("MORAINE_FAILPOINTS", points[i], 1);
            if (mor_fault_init(&fixture->err) == MOR_OK)
                (void)!hudi_chain_help(open_store(fixture), &slot, &fixture->err);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        print_message("%s\n", points[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(hudi_chain_help(store, &slot, &fixture->err), MOR_OK);
        assert_done(fixture, store);
        mor_store_free(store);
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", fixture->location);
        assert_int_equal(system(command), 0);
    }
}

static void what_was_done_once_is_never_done_again(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    struct hudi_slot slot = slot_with_files();
    stage_files(fixture, store);
    // stopped with everything ahead but the first file; meanwhile it is finished and taken back
    pid_t child = fork();
    if (child == 0) {
        setenv("MORAINE_FAILPOINTS", "storage.move=stop@2", 1);
        if (mor_fault_init(&fixture->err) != MOR_OK)
            _exit(99);
        _exit((int)hudi_chain_help(open_store(fixture), &slot, &fixture->err));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(hudi_chain_help(store, &slot, &fixture->err), MOR_OK);
    assert_done(fixture, store);
    static const char *const gone[] = {"p=1/data", "p=1/more", ".hoodie/done"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mor_store_delete(store, gone[i], true, &fixture->err), MOR_OK);
    assert_int_equal(wake(child), MOR_OK);
    for (size_t i = 0; i < 3; i++)
        assert_object(fixture, store, gone[i], NULL);
    mor_store_free(store);
}

static void both_names_of_a_rename_in_two_steps_are_cleared_up(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    struct hudi_slot slot = slot_with_files();
    stage_files(fixture, store);
    write_object(fixture, store, "p=1/data", "one");
    write_object(fixture, store, ".hoodie/done", "three");
    assert_int_equal(hudi_chain_help(store, &slot, &fixture->err), MOR_OK);
    assert_done(fixture, store);
    mor_store_free(store);
}

static void instant_of_another_program_is_not_taken_for_ours(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    struct hudi_slot slot = slot_with_files();
    stage_files(fixture, store);
    write_object(fixture, store, ".hoodie/done", "THREE");
    assert_int_equal(hudi_chain_help(store, &slot, &fixture->err), MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "other contents"));
    assert_object(fixture, store, ".hoodie/done", "THREE");
    mor_store_free(store);
}

static void file_that_was_taken_away_is_fatal_and_nothing_is_published(void **state)
{
    struct table_fixture *fixture = *state;
    struct mor_store *store = open_store(fixture);
    struct hudi_slot slot = slot_with_files();
    stage_files(fixture, store);
    assert_int_equal(mor_store_delete(store, "s/2", true, &fixture->err), MOR_OK);
    assert_int_equal(hudi_chain_help(store, &slot, &fixture->err), MOR_FATAL);
    assert_non_null(strstr(fixture->err.message, "s/2"));
    assert_object(fixture, store, ".hoodie/done", NULL);
    mor_store_free(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)
    const struct CMUnitTest tests[] = {
        TEST(slot_is_read_back_as_it_was_put),
        TEST(slot_that_is_taken_is_a_conflict),
        TEST(cleaning_keeps_the_newest),
        TEST(damaged_slot_is_fatal),
        TEST(late_slot_conflicts_while_the_one_that_won_is_there),
        TEST(late_slot_after_cleaning_is_found_out_and_removed),
        TEST(late_slot_is_not_taken_for_the_head_by_who_listed_long_ago),
        TEST(slot_that_others_built_on_is_in_the_chain),
        TEST(slot_that_was_cleaned_away_since_is_unknown),
        TEST(help_is_finished_by_others_wherever_it_ended),
        TEST(what_was_done_once_is_never_done_again),
        TEST(both_names_of_a_rename_in_two_steps_are_cleared_up),
        TEST(instant_of_another_program_is_not_taken_for_ours),
        TEST(file_that_was_taken_away_is_fatal_and_nothing_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
