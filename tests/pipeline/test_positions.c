#include "check.h"
#include "positions.h"

// A cut with runs that the test wrote down.
struct cut {
    struct mor_lane_batch batch;
    struct mor_lane_batch *batches[1];
    bool take[8];
    bool *take_run[1];
};

static void make_cut(struct cut *cut, struct mor_run *runs, size_t count)
{
    *cut = (struct cut){.batch = {.runs = runs, .run_count = count}};
    cut->batches[0] = &cut->batch;
    cut->take_run[0] = cut->take;
}

static struct mor_ledger ledger_at(int32_t partition, int64_t next_offset)
{
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    mor_ledger_partition(&ledger, partition)->next_offset = next_offset;
    return ledger;
}

// An assignment as it goes: refused until the committer has read the table.
static void assign(struct mor_positions *positions, struct mor_source_partition *partitions,
                   size_t count, const struct mor_ledger *ledger)
{
    struct mor_error err = MOR_ERROR_INIT;
    assert_fails(mor_positions_assign(positions, partitions, count, &err), MOR_RETRY, "table");
    int64_t ticket = mor_positions_sync_wanted(positions);
    assert_true(ticket > 0);
    mor_positions_synced(positions, ticket, ledger);
    assert_int_equal(mor_positions_sync_wanted(positions), 0);
    assert_ok(mor_positions_assign(positions, partitions, count, &err));
}

static void partitions_start_at_the_tables_offset(void **state)
{
    (void)state;
    struct mor_ledger ledger = ledger_at(3, 500);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition wanted[2] = {{.partition = 3}, {.partition = 4}};
    assign(&positions, wanted, 2, &ledger);
    assert_int_equal(wanted[0].offset, 500);
    assert_int_equal(wanted[1].offset,
                     MOR_OFFSET_EARLIEST); // added to a topic that the table knows
    assert_true(wanted[0].generation != wanted[1].generation);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

static void the_first_start_is_left_to_the_configuration(void **state)
{
    (void)state;
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition wanted[2] = {{.partition = 0}, {.partition = 1}};
    assign(&positions, wanted, 2, &ledger);
    assert_int_equal(wanted[0].offset, MOR_OFFSET_NONE);
    assert_int_equal(wanted[1].offset, MOR_OFFSET_NONE);
    mor_positions_done(&positions);
}

static void runs_of_an_older_assignment_are_left_out(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition one = {.partition = 0};
    assign(&positions, &one, 1, &ledger);
    int64_t old = one.generation;
    assign(&positions, &one, 1, &ledger);
    assert_int_equal(one.offset, 10);
    struct mor_run runs[] = {
        {.partition = 0, .generation = old, .offset_first = 10, .offset_next = 20},
        {.partition = 0, .generation = one.generation, .offset_first = 10, .offset_next = 15},
        {.partition = 0, .generation = old, .offset_first = 20, .offset_next = 30},
        {.partition = 0, .generation = one.generation, .offset_first = 15, .offset_next = 16}};
    struct cut cut;
    make_cut(&cut, runs, 4);
    assert_ok(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err));
    assert_false(cut.take[0]);
    assert_true(cut.take[1]);
    assert_false(cut.take[2]);
    assert_true(cut.take[3]);
    // the next assignment starts behind the commit that was on its way
    assert_true(mor_positions_in_flight(&positions, &one, 1));
    struct mor_ledger landed = ledger_at(0, 16);
    mor_positions_commit(&positions, &landed);
    assert_false(mor_positions_in_flight(&positions, &one, 1));
    assign(&positions, &one, 1, &landed);
    assert_int_equal(one.offset, 16);
    mor_ledger_done(&landed);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

static void a_revoked_partition_is_left_out(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition one = {.partition = 0};
    assign(&positions, &one, 1, &ledger);
    struct mor_run run = {
        .partition = 0, .generation = one.generation, .offset_first = 10, .offset_next = 20};
    mor_positions_revoke(&positions, &one, 1);
    struct cut cut;
    make_cut(&cut, &run, 1);
    assert_ok(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err));
    assert_false(cut.take[0]);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

static void a_hole_between_runs_stops_the_commit(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition one = {.partition = 0};
    assign(&positions, &one, 1, &ledger);
    struct mor_run runs[] = {
        {.partition = 0, .generation = one.generation, .offset_first = 10, .offset_next = 20},
        {.partition = 0, .generation = one.generation, .offset_first = 21, .offset_next = 22}};
    struct cut cut;
    make_cut(&cut, runs, 2);
    assert_fails(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err), MOR_FATAL,
                 "hole");
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

static void after_an_abort_everything_starts_from_the_table_again(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition one = {.partition = 0};
    assign(&positions, &one, 1, &ledger);
    struct mor_run run = {
        .partition = 0, .generation = one.generation, .offset_first = 10, .offset_next = 20};
    struct cut cut;
    make_cut(&cut, &run, 1);
    assert_ok(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err));
    struct mor_ledger other = ledger_at(0, 17); // another writer was first
    size_t count;
    int32_t *partitions = mor_positions_abort(&positions, &other, &count);
    assert_int_equal(count, 1);
    assert_int_equal(partitions[0], 0);
    free(partitions);
    run.offset_first = 20;
    run.offset_next = 25; // what the lanes took in meanwhile is void
    assert_ok(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err));
    assert_false(cut.take[0]);
    assign(&positions, &one, 1, &other);
    assert_int_equal(one.offset, 17);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
    mor_ledger_done(&other);
}

static void what_others_moved_leaves_the_commit_alone_with_its_partition(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    mor_ledger_partition(&ledger, 1)->next_offset = 50;
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition both[] = {{.partition = 0}, {.partition = 1}};
    assign(&positions, both, 2, &ledger);
    assert_true(mor_positions_fence(&positions, 0));
    struct mor_run runs[] = {
        {.partition = 0, .generation = both[0].generation, .offset_first = 10, .offset_next = 20},
        {.partition = 1, .generation = both[1].generation, .offset_first = 50, .offset_next = 60}};
    struct cut cut;
    make_cut(&cut, runs, 2);
    assert_ok(mor_positions_begin(&positions, cut.batches, cut.take_run, 1, &err));
    assert_false(cut.take[0]);
    assert_true(cut.take[1]);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

static void a_ticket_taken_while_the_table_is_read_waits_for_the_next_reading(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_ledger ledger = ledger_at(0, 10);
    struct mor_positions positions;
    mor_positions_init(&positions, &ledger);
    struct mor_source_partition first = {.partition = 0}, second = {.partition = 1};
    assert_fails(mor_positions_assign(&positions, &first, 1, &err), MOR_RETRY, "table");
    int64_t ticket = mor_positions_sync_wanted(&positions);
    assert_fails(mor_positions_assign(&positions, &second, 1, &err), MOR_RETRY, "table");
    mor_positions_synced(&positions, ticket, &ledger);
    assert_ok(mor_positions_assign(&positions, &first, 1, &err));
    assert_fails(mor_positions_assign(&positions, &second, 1, &err), MOR_RETRY, "table");
    assert_true(mor_positions_sync_wanted(&positions) > ticket);
    mor_positions_done(&positions);
    mor_ledger_done(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_start_at_the_tables_offset),
        cmocka_unit_test(the_first_start_is_left_to_the_configuration),
        cmocka_unit_test(runs_of_an_older_assignment_are_left_out),
        cmocka_unit_test(a_revoked_partition_is_left_out),
        cmocka_unit_test(a_hole_between_runs_stops_the_commit),
        cmocka_unit_test(what_others_moved_leaves_the_commit_alone_with_its_partition),
        cmocka_unit_test(a_ticket_taken_while_the_table_is_read_waits_for_the_next_reading),
        cmocka_unit_test(after_an_abort_everything_starts_from_the_table_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
