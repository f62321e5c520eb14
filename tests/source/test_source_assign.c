#include <stdlib.h>
#include <string.h>

#include "source_rig.h"

// The mock cluster waits for it in a rebalance; the old one starts with 3 s of its own.
#if RD_KAFKA_VERSION >= 0x020300ff
#define SESSION_MS "2000"
#else
#define SESSION_MS "6000"
#endif

static struct rig_cluster cluster;

static int start_cluster(void **state)
{
    (void)state;
    rig_cluster_start(&cluster, "orders", RIG_PARTITIONS);
    return 0;
}

static int end_cluster(void **state)
{
    (void)state;
    rig_cluster_end(&cluster);
    return 0;
}

static int owned(struct rig *rig)
{
    int count = 0;
    pthread_mutex_lock(&rig->table->mutex);
    for (int i = 0; i < RIG_PARTITIONS; i++)
        count += rig->assigned[i];
    pthread_mutex_unlock(&rig->table->mutex);
    return count;
}

static void run_two_members(const char *strategy)
{
    enum { EACH = 3000, MORE = 500 };
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig first = {.table = &table}, second = {.table = &table};
    const struct mor_source_property assignor[] = {{"partition.assignment.strategy", strategy},
                                                   {"heartbeat.interval.ms", "200"},
                                                   {"session.timeout.ms", SESSION_MS},
                                                   {NULL, NULL}};
    struct mor_source_options options = rig_options(&first, "orders", "g-two");
    for (int32_t p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(&cluster, "orders", p, 0, EACH);
    rig_open(&first, &cluster, &options, assignor);
    RIG_WAIT(owned(&first) == RIG_PARTITIONS);
    options = rig_options(&second, "orders", "g-two");
    rig_open(&second, &cluster, &options, assignor);
    RIG_WAIT(owned(&first) == RIG_PARTITIONS / 2 && owned(&second) == RIG_PARTITIONS / 2);
    for (int32_t p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(&cluster, "orders", p, EACH, MORE);
    RIG_WAIT(rig_records(&table) == RIG_PARTITIONS * (EACH + MORE));
    // the second one leaves, and the first takes over where it was
    rig_close(&second);
    RIG_WAIT(owned(&first) == RIG_PARTITIONS);
    for (int32_t p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(&cluster, "orders", p, EACH + MORE, MORE);
    RIG_WAIT(rig_records(&table) == RIG_PARTITIONS * (EACH + 2 * MORE));
    rig_close(&first);
    int64_t count = EACH + 2 * MORE;
    assert_int_equal(table.value_sum, RIG_PARTITIONS * (count * (count - 1) / 2));
    assert_int_equal(table.gap_count, 0);
    assert_int_equal(first.failure_count + second.failure_count, 0);
    assert_true(first.revoke_count > 0);
}

static void two_cooperative_members_share_the_topic_without_loss(void **state)
{
    (void)state;
    run_two_members("cooperative-sticky");
}

static void two_eager_members_share_the_topic_without_loss(void **state)
{
    (void)state;
    run_two_members("roundrobin");
}

// ---- a table that cannot be asked ---------------------------------------------------------------

static int asked_count;

static enum mor_status assign_later(void *context, struct mor_source_partition *partitions,
                                    size_t count, struct mor_error *err)
{
    if (++asked_count == 1)
        return mor_error_set(err, MOR_RETRY, "the table is not reachable");
    return rig_assign(context, partitions, count, err);
}

static void offsets_that_cannot_be_told_yet_are_asked_again(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    asked_count = 0;
    struct mor_source_options options = rig_options(&rig, "orders", "g-later");
    options.assign = assign_later;
    rig_produce(&cluster, "orders", 5, 0, 100);
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(rig_records(&table) == 100);
    rig_close(&rig);
    assert_int_equal(asked_count, 2);
    assert_int_equal(rig.failure_count, 0);
}

static enum mor_status assign_never(void *context, struct mor_source_partition *partitions,
                                    size_t count, struct mor_error *err)
{
    (void)context;
    (void)partitions;
    (void)count;
    return mor_error_set(err, MOR_FATAL, "the table was rolled back");
}

static void fatal_answer_ends_the_source(void **state)
{
    (void)state;
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    struct mor_source_options options = rig_options(&rig, "orders", "g-never");
    options.assign = assign_never;
    rig_open(&rig, &cluster, &options, NULL);
    RIG_WAIT(RIG_READ(&rig, rig.failure_count) == 1);
    assert_int_equal(rig.failed_partition, -1);
    assert_string_equal(rig.failure.message, "the table was rolled back");
    rig_close(&rig);
    assert_int_equal(rig.failure_count, 1);
}

// Goes back in the log again and again while records arrive: nothing that was fetched for the old
// place may be taken for the new one, where it would look like a gap.
static void run_going_back(const char *strategy)
{
    struct rig_table table;
    rig_table_init(&table, 0);
    struct rig rig = {.table = &table};
    const struct mor_source_property assignor[] = {{"partition.assignment.strategy", strategy},
                                                   {NULL, NULL}};
    struct mor_source_options options = rig_options(&rig, "orders", strategy);
    int64_t again = 0;
    for (int32_t p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(&cluster, "orders", p, 0, RIG_RECORDS);
    rig_open(&rig, &cluster, &options, assignor);
    RIG_WAIT(owned(&rig) == RIG_PARTITIONS);
    for (int i = 0; i < 200; i++) {
        int32_t p = i % RIG_PARTITIONS;
        pthread_mutex_lock(&table.mutex);
        int64_t back = table.next[p] / 3;
        again += back;
        table.next[p] -= back;
        rig.generations[p] = -1; // what still comes is of the old assignment
        pthread_mutex_unlock(&table.mutex);
        mor_source_reassign(rig.source, p);
        rig_nap();
    }
    RIG_WAIT(rig_records(&table) == RIG_PARTITIONS * RIG_RECORDS + again);
    rig_close(&rig);
    assert_int_equal(table.gap_count, 0);
    for (int32_t p = 0; p < RIG_PARTITIONS; p++)
        assert_int_equal(table.next[p], RIG_RECORDS);
}

static void going_back_under_load_never_leaves_a_hole(void **state)
{
    (void)state;
    run_going_back("cooperative-sticky");
}

static void going_back_under_load_with_an_eager_assignor_never_leaves_a_hole(void **state)
{
    (void)state;
    run_going_back("range");
}

int main(void)
{
#define ON_CLUSTER(test_) cmocka_unit_test_setup_teardown(test_, start_cluster, end_cluster)
    const struct CMUnitTest tests[] = {
        ON_CLUSTER(two_cooperative_members_share_the_topic_without_loss),
        ON_CLUSTER(two_eager_members_share_the_topic_without_loss),
        ON_CLUSTER(offsets_that_cannot_be_told_yet_are_asked_again),
        ON_CLUSTER(fatal_answer_ends_the_source),
        ON_CLUSTER(going_back_under_load_never_leaves_a_hole),
        ON_CLUSTER(going_back_under_load_with_an_eager_assignor_never_leaves_a_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
