// Four processes write one Iceberg table while a fifth rewrites and expires it, and all of them are
// killed and stopped at random. Every commit takes the number of its base on by one and adds the
// row of that number: in the end each number is there once, and none is missing.
#include <signal.h>
#include <sys/wait.h>

#include "iceberg/iceberg_table.h"
#include "iceberg_test.h"
#include "moraine/base/clock.h"

#define WRITERS     4
#define DURATION_MS 6000
#define ROWS_MAX    4096

static void set_up(struct iceberg_fixture *fixture)
{
    fixture->base.options.key_column_count = 0;
    fixture->base.options.ordering_column = NULL;
    fixture->base.options.partition_field_count = 0;
}

// ---- processes ----------------------------------------------------------------------------------

static enum mor_status add_number(struct iceberg_fixture *fixture, struct mor_write *write,
                                  struct mor_error *err)
{
    struct mor_commit_result result;
    char text[16];
    const char *base = mor_write_base_property(write, "moraine");
    int number = (base ? atoi(base) : 0) + 1;
    const struct table_row row = {"n", number, 0, number, false};
    if (table_write_groups(&fixture->base, write, &row, 1) != MOR_OK)
        return fixture->base.err.status;
    snprintf(text, sizeof text, "%d", number);
    const struct mor_property properties[] = {{"moraine", text}};
    MOR_TRY(mor_write_attach(write, "numbers", text, strlen(text), err));
    return mor_write_commit(write, properties, 1, &result, err);
}

static void run_writer(struct iceberg_fixture *fixture, int number)
{
    char name[16];
    snprintf(name, sizeof name, "writer%d", number);
    fixture->base.options.instance = name;
    while (mor_table_open_write(&fixture->base.options, &fixture->base.table, &fixture->base.err) !=
           MOR_OK)
        usleep(20000);
    iceberg_of(fixture->base.table)->turn_wait_ms = 100;
    for (;;) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_uuid id = mor_uuid_v7();
        struct mor_write *write = NULL;
        enum mor_status status = mor_write_begin(fixture->base.table, &id, &write, &err);
        if (status == MOR_OK) {
            status = add_number(fixture, write, &err);
            mor_write_free(write);
        }
        bool has;
        while (status == MOR_UNKNOWN &&
               mor_table_has_batch(fixture->base.table, &id, &has, &err) != MOR_OK)
            usleep(1000);
        if (status == MOR_FATAL || status == MOR_DATA) {
            (void)fprintf(stderr, "%s: %s\n", name, err.message);
            _exit(1);
        }
    }
}

static enum mor_status upkeep_once(struct mor_table *table, struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_expiry expiry;
    const struct mor_retention retention = {500, 5, 3600000};
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status = mor_table_expire(table, &retention, false, &arena, &expiry, err);
    mor_arena_done(&arena);
    return status;
}

static void run_upkeep(struct iceberg_fixture *fixture)
{
    struct mor_table *table = NULL;
    while (mor_table_open_rewrite(fixture->base.location, "upkeep", NULL, &table,
                                  &fixture->base.err) != MOR_OK)
        usleep(20000);
    for (;;) {
        struct mor_error err = MOR_ERROR_INIT;
        enum mor_status status = upkeep_once(table, &err);
        if (status == MOR_FATAL || status == MOR_DATA || status == MOR_NOT_FOUND) {
            (void)fprintf(stderr, "upkeep: %s\n", err.message);
            _exit(1);
        }
        usleep(100000);
    }
}

static pid_t start(struct iceberg_fixture *fixture, int number)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    if (number < WRITERS)
        run_writer(fixture, number);
    run_upkeep(fixture);
    _exit(0);
}

// ---- the table in the end -----------------------------------------------------------------------

struct numbers {
    int counts[ROWS_MAX];
    size_t total;
};

static void count_number(void *context, const struct mor_slice *slice, uint32_t position,
                         const char *id, int32_t value, int64_t updated)
{
    struct numbers *numbers = context;
    (void)slice;
    (void)position;
    (void)updated;
    assert_string_equal(id, "n");
    assert_true(value > 0 && value < ROWS_MAX);
    numbers->counts[value]++;
    numbers->total++;
}

static void check_numbers(struct iceberg_fixture *fixture)
{
    struct mor_error *err = &fixture->base.err;
    struct mor_arena arena;
    struct numbers *numbers = calloc(1, sizeof *numbers);
    struct mor_attachment *attached = NULL;
    size_t count = 0;
    char *value = NULL;
    mor_arena_init(&arena, 0, NULL);
    fixture->base.options.instance = "judge";
    table_open(&fixture->base);
    assert_int_equal(mor_table_property(fixture->base.table, "moraine", true, &arena, &value, err),
                     MOR_OK);
    int last = atoi(value);
    iceberg_visit_rows(fixture->base.table, NULL, count_number, numbers);
    for (int i = 1; i <= last; i++) {
        if (numbers->counts[i] != 1)
            fail_msg("number %d is there %d times", i, numbers->counts[i]);
    }
    assert_int_equal(numbers->total, last);
    assert_true(last > 10);
    // what was attached came with the commits, and nothing else
    assert_int_equal(
        mor_table_attachments(fixture->base.table, "numbers", NULL, &arena, &attached, &count, err),
        MOR_OK);
    assert_int_equal(count, last);
    mor_arena_done(&arena);
    free(numbers);
}

static void every_number_is_there_once(void **state)
{
    struct iceberg_fixture *fixture = *state;
    pid_t children[WRITERS + 1];
    set_up(fixture);
    table_open(&fixture->base);
    table_close(&fixture->base);
    srandom((unsigned)getpid());
    for (int i = 0; i <= WRITERS; i++)
        children[i] = start(fixture, i);
    int64_t until_ms = mor_clock_mono_ms() + DURATION_MS;
    while (mor_clock_mono_ms() < until_ms) {
        int victim = (int)(random() % (WRITERS + 1));
        usleep((useconds_t)(random() % 200000));
        if (random() % 3 == 0) {
            kill(children[victim], SIGSTOP);
            usleep((useconds_t)(random() % 300000));
            kill(children[victim], SIGCONT);
            continue;
        }
        int status = 0;
        kill(children[victim], SIGKILL);
        assert_int_equal(waitpid(children[victim], &status, 0), children[victim]);
        if (!WIFSIGNALED(status))
            fail_msg("process %d ended by itself", victim);
        children[victim] = start(fixture, victim);
    }
    for (int i = 0; i <= WRITERS; i++) {
        int status = 0;
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
        assert_true(WIFSIGNALED(status));
    }
    check_numbers(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_number_is_there_once, iceberg_setup,
                                        iceberg_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
